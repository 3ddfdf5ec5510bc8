# Fuzz targets: a parser each, under inputs made from good ones (tests/fuzz/fuzz.h). Two lines add one:
#
#   fuzz_tests += tests/fuzz/x_fuzz
#   tests_fuzz_x_fuzz_SOURCES = tests/fuzz/x_fuzz.c $(fuzz_main)
#   tests_fuzz_x_fuzz_LDADD = $(base_libs)

fuzz_tests =
fuzz_main = tests/fuzz/fuzz_main.c tests/fuzz/fuzz.h

fuzz_tests += tests/fuzz/json_fuzz
tests_fuzz_json_fuzz_SOURCES = tests/fuzz/json_fuzz.c $(fuzz_main)
tests_fuzz_json_fuzz_LDADD = $(base_libs)
fuzz_tests += tests/fuzz/text_fuzz
tests_fuzz_text_fuzz_SOURCES = tests/fuzz/text_fuzz.c $(fuzz_main)
tests_fuzz_text_fuzz_LDADD = $(base_libs)

fuzz_tests += tests/fuzz/frame_fuzz
tests_fuzz_frame_fuzz_SOURCES = tests/fuzz/frame_fuzz.c $(fuzz_main)
tests_fuzz_frame_fuzz_LDADD = $(wire_libs)
fuzz_tests += tests/fuzz/state_fuzz
tests_fuzz_state_fuzz_SOURCES = tests/fuzz/state_fuzz.c $(fuzz_main)
tests_fuzz_state_fuzz_LDADD = $(wire_libs)
fuzz_tests += tests/fuzz/target_fuzz
tests_fuzz_target_fuzz_SOURCES = tests/fuzz/target_fuzz.c $(fuzz_main)
tests_fuzz_target_fuzz_LDADD = $(wire_libs)

fuzz_tests += tests/fuzz/delta_fuzz
tests_fuzz_delta_fuzz_SOURCES = tests/fuzz/delta_fuzz.c $(fuzz_main)
tests_fuzz_delta_fuzz_LDADD = $(core_libs)
fuzz_tests += tests/fuzz/order_fuzz
tests_fuzz_order_fuzz_SOURCES = tests/fuzz/order_fuzz.c $(fuzz_main)
tests_fuzz_order_fuzz_LDADD = $(core_libs)
fuzz_tests += tests/fuzz/parquet_fuzz
tests_fuzz_parquet_fuzz_SOURCES = tests/fuzz/parquet_fuzz.c $(fuzz_main)
tests_fuzz_parquet_fuzz_LDADD = $(core_libs)
fuzz_tests += tests/fuzz/sql_fuzz
tests_fuzz_sql_fuzz_SOURCES = tests/fuzz/sql_fuzz.c $(fuzz_main)
tests_fuzz_sql_fuzz_LDADD = $(core_libs)

fuzz_tests += tests/fuzz/logs_fuzz
tests_fuzz_logs_fuzz_SOURCES = tests/fuzz/logs_fuzz.c $(fuzz_main)
tests_fuzz_logs_fuzz_LDADD = $(run_libs)
fuzz_tests += tests/fuzz/raft_fuzz
tests_fuzz_raft_fuzz_SOURCES = tests/fuzz/raft_fuzz.c $(fuzz_main)
tests_fuzz_raft_fuzz_LDADD = $(run_libs)
fuzz_tests += tests/fuzz/spawn_fuzz
tests_fuzz_spawn_fuzz_SOURCES = tests/fuzz/spawn_fuzz.c $(fuzz_main)
tests_fuzz_spawn_fuzz_LDADD = $(run_libs)

fuzz_tests += tests/fuzz/config_fuzz
tests_fuzz_config_fuzz_SOURCES = tests/fuzz/config_fuzz.c src/config.c src/config_yaml.c $(fuzz_main)
tests_fuzz_config_fuzz_LDADD = $(wire_libs) $(YAML_LIBS)
fuzz_tests += tests/fuzz/shell_fuzz
tests_fuzz_shell_fuzz_SOURCES = tests/fuzz/shell_fuzz.c $(fuzz_main)
tests_fuzz_shell_fuzz_LDADD = $(shell_libs)

check_PROGRAMS += $(fuzz_tests)
