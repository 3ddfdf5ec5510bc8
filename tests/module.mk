# The rings of tests. `make check-fast`: the checks of the tree, unit tests, simulated clusters; `make check`: these,
# then real processes (tests/e2e) and terminals (tests/pty). tests/run counts their single cases.

tree_checks =
tree_checks += scripts/check-deploy
tree_checks += scripts/check-format
tree_checks += scripts/check-hardening
tree_checks += scripts/check-headers
tree_checks += scripts/check-hosts
tree_checks += scripts/check-layers
tree_checks += scripts/check-man

fast_tests = $(tree_checks:%=$(abs_top_srcdir)/%) $(sim_tests) $(fuzz_tests) $(unit_tests)
slow_tests = $(pty_tests) $(abs_top_srcdir)/scripts/check-dist $(abs_top_srcdir)/scripts/check-shell \
    $(wildcard $(abs_top_srcdir)/tests/e2e/*.bats $(abs_top_srcdir)/tests/pty/*.bats)

run_tests = TOP_SRCDIR='$(abs_top_srcdir)' TOP_BUILDDIR='$(abs_top_builddir)' \
    COMPILE='$(COMPILE)' DISTFILES='$(DISTFILES) check' FORTIFIED='$(HARDEN_CPPFLAGS)' PROGRAMS='$(bin_PROGRAMS)' \
    SANITIZERS='$(SANITIZE_CFLAGS)' \
    $(srcdir)/tests/run

check-fast: $(BUILT_SOURCES)
	@$(MAKE) $(AM_MAKEFLAGS) $(bin_PROGRAMS) $(check_PROGRAMS)
	@$(run_tests) $(fast_tests)

# The longest first, so that none is left to run alone in the end.
check-local:
	@$(run_tests) $(slow_tests) $(fast_tests)

format:
	@$(srcdir)/scripts/check-format --fix

.PHONY: check-fast format

clean-local:
	rm -rf tests/logs

# The bucket of end-to-end tests and of the bench.
check_PROGRAMS += tests/lib/url_serve
tests_lib_url_serve_SOURCES = tests/lib/url_serve.c
tests_lib_url_serve_LDADD = $(run_libs)
check_PROGRAMS += tests/lib/s3_serve
tests_lib_s3_serve_SOURCES = tests/lib/s3_serve.c tests/lib/s3_server.c tests/lib/s3_server.h
tests_lib_s3_serve_SOURCES += tests/lib/fake_api.c tests/lib/fake_api.h
tests_lib_s3_serve_LDADD = $(run_libs)

# Stands between a node and its disk in tests/e2e/chat_disk.bats: preloaded, so no program.
check_PROGRAMS += tests/lib/slow_disk.so
tests_lib_slow_disk_so_SOURCES = tests/lib/slow_disk.c
tests_lib_slow_disk_so_CFLAGS = $(C_FLAGS) $(WARN_CFLAGS) -fPIC
tests_lib_slow_disk_so_LDFLAGS = -shared
tests_lib_slow_disk_so_LDADD =

EXTRA_DIST += $(tree_checks) scripts/check-dist scripts/check-shell scripts/tap.bash
EXTRA_DIST += tests/run tests/lib/tsan.supp
EXTRA_DIST += $(wildcard $(srcdir)/tests/e2e/*.bats $(srcdir)/tests/pty/*.bats $(srcdir)/tests/lib/*.bash)

# What tests/e2e/traces.bats sends traces to.
check_PROGRAMS += tests/lib/otlp_collector
tests_lib_otlp_collector_SOURCES = tests/lib/otlp_collector.c
tests_lib_otlp_collector_LDADD = $(base_libs)
