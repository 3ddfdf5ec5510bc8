# Unit tests: one cmocka program for each module, tests/unit/MODULE_test.c. Two lines add one:
#
#   unit_tests += tests/unit/buf_test
#   tests_unit_buf_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
#
# with the libs of the layer under test: base_libs, wire_libs, core_libs, run_libs, role_libs, client_libs.
# Keep the tests of one layer together, in alphabetical order.

unit_tests =

check_PROGRAMS += $(unit_tests)
