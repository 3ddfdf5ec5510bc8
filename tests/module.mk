# The rings of tests: `make check-fast` for static checks, unit and sim; `make check` adds e2e and pty.
# tests/run runs them side by side, counts single cases and closes with "N passed, N failed".

fast_tests = $(unit_tests) $(sim_tests)
slow_tests = $(wildcard $(srcdir)/tests/e2e/*.bats $(srcdir)/tests/pty/*.bats)

run_tests = TOP_SRCDIR='$(abs_top_srcdir)' TOP_BUILDDIR='$(abs_top_builddir)' $(srcdir)/tests/run

check-fast: $(BUILT_SOURCES)
	@$(MAKE) $(bin_PROGRAMS) $(check_PROGRAMS)
	@$(run_tests) $(fast_tests)

check-local: $(bin_PROGRAMS)
	@$(run_tests) $(fast_tests) $(slow_tests)

.PHONY: check-fast

EXTRA_DIST += tests/run
EXTRA_DIST += $(wildcard $(srcdir)/tests/e2e/*.bats $(srcdir)/tests/pty/*.bats $(srcdir)/tests/lib/*.bash)
