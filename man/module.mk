# Manual pages, as the programs print them from their rows: `make man` writes them, scripts/check-man compares.
# man/links has names that refer to a page: clustersh-job-submit.1 to clustersh-job.1.

dist_man1_MANS = $(wildcard $(srcdir)/man/*.1)
dist_man5_MANS = $(wildcard $(srcdir)/man/*.5)
dist_man7_MANS = $(wildcard $(srcdir)/man/*.7)
dist_man8_MANS = $(wildcard $(srcdir)/man/*.8)
EXTRA_DIST += man/links scripts/make-man

man: $(bin_PROGRAMS)
	TOP_BUILDDIR='$(abs_top_builddir)' $(srcdir)/scripts/make-man

install-man-links:
	cd '$(DESTDIR)$(man1dir)' && while read -r name page; do ln -sf "$$page" "$$name"; done <'$(abs_srcdir)/man/links'

uninstall-man-links:
	cd '$(DESTDIR)$(man1dir)' && while read -r name page; do rm -f "$$name"; done <'$(abs_srcdir)/man/links'

install-data-hook: install-man-links
uninstall-hook: uninstall-man-links
.PHONY: man install-man-links uninstall-man-links
