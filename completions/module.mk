# Completions of bash, zsh and fish. One file does for all programs; bash and fish look for it by each one's name.

bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
fishcompletiondir = $(datadir)/fish/vendor_completions.d

dist_zshcompletion_DATA = completions/_clusterd
dist_fishcompletion_DATA = completions/clusterd.fish
EXTRA_DIST += completions/clusterd.bash

install-completions:
	$(MKDIR_P) '$(DESTDIR)$(bashcompletiondir)'
	$(INSTALL_DATA) $(srcdir)/completions/clusterd.bash '$(DESTDIR)$(bashcompletiondir)/clusterd'
	for name in clustersh clustertop; do \
	    ln -sf clusterd '$(DESTDIR)$(bashcompletiondir)'/$$name; \
	    ln -sf clusterd.fish '$(DESTDIR)$(fishcompletiondir)'/$$name.fish; \
	done

uninstall-completions:
	cd '$(DESTDIR)$(bashcompletiondir)' && rm -f clusterd clustersh clustertop
	cd '$(DESTDIR)$(fishcompletiondir)' && rm -f clustersh.fish clustertop.fish

install-data-hook: install-completions
uninstall-hook: uninstall-completions
.PHONY: install-completions uninstall-completions
