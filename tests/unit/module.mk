# Unit tests: one cmocka program for each module, tests/unit/MODULE_test.c. Two lines add one:
#
#   unit_tests += tests/unit/buf_test
#   tests_unit_buf_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
#
# with the libs of the layer under test: base_libs, wire_libs, core_libs, run_libs, role_libs, client_libs.
# Keep the tests of one layer together, in alphabetical order.

unit_tests =

EXTRA_DIST += tests/unit/generated.h

unit_tests += tests/unit/base64_test
tests_unit_base64_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/buf_test
tests_unit_buf_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/clock_test
tests_unit_clock_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/error_test
tests_unit_error_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/heap_test
tests_unit_heap_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/json_scan_test
tests_unit_json_scan_test_LDADD = $(base_libs) $(CMOCKA_LIBS) $(JANSSON_LIBS)
unit_tests += tests/unit/json_text_test
tests_unit_json_text_test_LDADD = $(base_libs) $(CMOCKA_LIBS) $(JANSSON_LIBS)
unit_tests += tests/unit/log_test
tests_unit_log_test_LDADD = $(base_libs) $(CMOCKA_LIBS) $(JANSSON_LIBS)
unit_tests += tests/unit/mem_test
tests_unit_mem_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/nodeset_test
tests_unit_nodeset_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/prng_test
tests_unit_prng_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/rangeset_test
tests_unit_rangeset_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/sql_lex_test
tests_unit_sql_lex_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/str_test
tests_unit_str_test_LDADD = $(base_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/uuid_test
tests_unit_uuid_test_LDADD = $(base_libs) $(CMOCKA_LIBS)

unit_tests += tests/unit/exec_line_test
tests_unit_exec_line_test_LDADD = $(role_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/frame_test
tests_unit_frame_test_LDADD = $(wire_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/lake_path_test
tests_unit_lake_path_test_LDADD = $(wire_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/message_test
tests_unit_message_test_LDADD = $(wire_libs) $(CMOCKA_LIBS)

unit_tests += tests/unit/delta_log_test
tests_unit_delta_log_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/delta_prune_test
tests_unit_delta_prune_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/delta_schema_test
tests_unit_delta_schema_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/delta_value_test
tests_unit_delta_value_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/detector_test
tests_unit_detector_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/job_test
tests_unit_job_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/order_entry_test
tests_unit_order_entry_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/rollout_test
tests_unit_rollout_test_LDADD = $(core_libs) -lm $(CMOCKA_LIBS)
unit_tests += tests/unit/routing_test
tests_unit_routing_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/order_marks_test
tests_unit_order_marks_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
EXTRA_DIST += tests/unit/sched_bed.h
unit_tests += tests/unit/sched_demand_test
tests_unit_sched_demand_test_SOURCES =
tests_unit_sched_demand_test_SOURCES += tests/sim/sched_rows.c tests/sim/sched_rows.h
tests_unit_sched_demand_test_SOURCES += tests/unit/sched_demand_test.c
tests_unit_sched_demand_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/sched_loss_test
tests_unit_sched_loss_test_SOURCES =
tests_unit_sched_loss_test_SOURCES += tests/sim/sched_rows.c tests/sim/sched_rows.h
tests_unit_sched_loss_test_SOURCES += tests/unit/sched_loss_test.c
tests_unit_sched_loss_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/scheduler_test
tests_unit_scheduler_test_SOURCES =
tests_unit_scheduler_test_SOURCES += tests/sim/sched_rows.c tests/sim/sched_rows.h
tests_unit_scheduler_test_SOURCES += tests/unit/scheduler_test.c
tests_unit_scheduler_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/selector_test
tests_unit_selector_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/sql_ast_test
tests_unit_sql_ast_test_SOURCES = tests/unit/sql_ast_test.c tests/unit/sql_trees.h
tests_unit_sql_ast_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/sql_plan_test
tests_unit_sql_plan_test_SOURCES = tests/unit/sql_plan_test.c tests/unit/sql_trees.h
tests_unit_sql_plan_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/sql_text_test
tests_unit_sql_text_test_LDADD = $(core_libs) $(CMOCKA_LIBS)
if HAVE_DUCKDB
unit_tests += tests/unit/sql_oracle_test
tests_unit_sql_oracle_test_SOURCES = tests/unit/sql_oracle_test.c tests/lib/sql_oracle.c tests/lib/sql_oracle.h
tests_unit_sql_oracle_test_LDADD = $(core_libs) $(CMOCKA_LIBS) $(DUCKDB_LIBS) -lm
unit_tests += tests/unit/sql_tpch_test
tests_unit_sql_tpch_test_SOURCES = tests/unit/sql_tpch_test.c tests/lib/tpch.c tests/lib/tpch.h
tests_unit_sql_tpch_test_SOURCES += tests/lib/sql_oracle.c tests/lib/sql_oracle.h
tests_unit_sql_tpch_test_LDADD = $(core_libs) $(CMOCKA_LIBS) $(DUCKDB_LIBS) -lm
endif

unit_tests += tests/unit/txn_test
tests_unit_txn_test_LDADD = $(core_libs) $(CMOCKA_LIBS)

unit_tests += tests/unit/api_auth_test
tests_unit_api_auth_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/http_client_test
tests_unit_http_client_test_SOURCES = tests/unit/http_client_test.c tests/lib/http_fixture.c tests/lib/http_fixture.h
tests_unit_http_client_test_SOURCES += tests/lib/test_certs.c tests/lib/test_certs.h
tests_unit_http_client_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/http_limits_test
tests_unit_http_limits_test_SOURCES = tests/unit/http_limits_test.c tests/lib/http_fixture.c tests/lib/http_fixture.h
tests_unit_http_limits_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/http_server_test
tests_unit_http_server_test_SOURCES = tests/unit/http_server_test.c tests/lib/http_fixture.c tests/lib/http_fixture.h
tests_unit_http_server_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/http_status_test
tests_unit_http_status_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/http_target_test
tests_unit_http_target_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/http_upload_test
tests_unit_http_upload_test_SOURCES = tests/unit/http_upload_test.c tests/lib/http_fixture.c tests/lib/http_fixture.h
tests_unit_http_upload_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
EXTRA_DIST += tests/unit/spawn_fixture.h
unit_tests += tests/unit/cgroup_test
tests_unit_cgroup_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/output_reader_test
tests_unit_output_reader_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/object_file_test
tests_unit_object_file_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/retention_test
tests_unit_retention_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/spawn_line_test
tests_unit_spawn_line_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/spawn_message_test
tests_unit_spawn_message_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
if HAVE_DUCKDB
EXTRA_DIST += tests/unit/executor_bed.h
unit_tests += tests/unit/executor_file_test
tests_unit_executor_file_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/executor_test
tests_unit_executor_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
endif
unit_tests += tests/unit/spawn_test
tests_unit_spawn_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/client_endpoint_test
tests_unit_client_endpoint_test_LDADD = $(client_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/client_test
tests_unit_client_test_SOURCES = tests/unit/client_test.c tests/lib/fake_api.c tests/lib/fake_api.h
tests_unit_client_test_LDADD = $(client_libs) $(GNUTLS_LIBS) $(CMOCKA_LIBS)
unit_tests += tests/unit/data_dir_test
tests_unit_data_dir_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/client_tls_test
tests_unit_client_tls_test_SOURCES = tests/unit/client_tls_test.c tests/lib/fake_api.c tests/lib/fake_api.h
tests_unit_client_tls_test_SOURCES += tests/lib/tls_fixture.c tests/lib/tls_fixture.h
tests_unit_client_tls_test_LDADD = $(client_libs) $(GNUTLS_LIBS) $(CMOCKA_LIBS)
unit_tests += tests/unit/proxy_test
tests_unit_proxy_test_SOURCES = tests/unit/proxy_test.c tests/lib/model_server.c tests/lib/model_server.h
tests_unit_proxy_test_LDADD = $(run_libs) $(CMOCKA_LIBS)

unit_tests += tests/unit/link_chaos_test
tests_unit_link_chaos_test_SOURCES = tests/unit/link_chaos_test.c tests/lib/link_fixture.c tests/lib/link_fixture.h
tests_unit_link_chaos_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/link_test
tests_unit_link_test_SOURCES = tests/unit/link_test.c tests/lib/link_fixture.c tests/lib/link_fixture.h
tests_unit_link_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/link_tls_test
tests_unit_link_tls_test_SOURCES = tests/unit/link_tls_test.c tests/lib/link_fixture.c tests/lib/link_fixture.h
tests_unit_link_tls_test_SOURCES += tests/lib/tls_fixture.c tests/lib/tls_fixture.h
tests_unit_link_tls_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/link_wire_test
tests_unit_link_wire_test_SOURCES = tests/unit/link_wire_test.c tests/lib/link_fixture.c tests/lib/link_fixture.h
tests_unit_link_wire_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/loop_test
tests_unit_loop_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/sd_notify_test
tests_unit_sd_notify_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/task_dir_test
tests_unit_task_dir_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/task_run_test
tests_unit_task_run_test_SOURCES = tests/unit/task_run_test.c tests/lib/http_fixture.c tests/lib/http_fixture.h
tests_unit_task_run_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/unpack_test
tests_unit_unpack_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/vitals_test
tests_unit_vitals_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
wal_fixture = tests/unit/wal_fixture.c tests/unit/wal_fixture.h

raft_world = tests/unit/raft_world.c tests/unit/raft_world.h $(wal_fixture)

unit_tests += tests/unit/raft_chaos_test
tests_unit_raft_chaos_test_SOURCES = tests/unit/raft_chaos_test.c $(raft_world)
tests_unit_raft_chaos_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/raft_io_test
tests_unit_raft_io_test_SOURCES = tests/unit/raft_io_test.c $(raft_world)
tests_unit_raft_io_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/raft_transfer_test
tests_unit_raft_transfer_test_SOURCES = tests/unit/raft_transfer_test.c $(raft_world)
tests_unit_raft_transfer_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
journal_fixture = tests/unit/journal_fixture.c tests/unit/journal_fixture.h $(wal_fixture)

unit_tests += tests/unit/journal_damage_test
tests_unit_journal_damage_test_SOURCES = tests/unit/journal_damage_test.c $(journal_fixture)
tests_unit_journal_damage_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/journal_test
tests_unit_journal_test_SOURCES = tests/unit/journal_test.c $(journal_fixture)
tests_unit_journal_test_LDADD = $(run_libs) $(CMOCKA_LIBS)

unit_tests += tests/unit/wal_fault_test
tests_unit_wal_fault_test_SOURCES = tests/unit/wal_fault_test.c $(wal_fixture)
tests_unit_wal_fault_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/wal_meta_test
tests_unit_wal_meta_test_SOURCES = tests/unit/wal_meta_test.c $(wal_fixture)
tests_unit_wal_meta_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/wal_power_test
tests_unit_wal_power_test_SOURCES = tests/unit/wal_power_test.c $(wal_fixture)
tests_unit_wal_power_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/wal_test
tests_unit_wal_test_SOURCES = tests/unit/wal_test.c $(wal_fixture)
tests_unit_wal_test_LDADD = $(run_libs) $(CMOCKA_LIBS)

unit_tests += tests/unit/chat_disk_test
tests_unit_chat_disk_test_SOURCES = tests/unit/chat_disk_test.c $(wal_fixture)
tests_unit_chat_disk_test_LDADD = $(role_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/chat_line_test
tests_unit_chat_line_test_SOURCES = tests/unit/chat_line_test.c
tests_unit_chat_line_test_LDADD = $(role_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/report_journal_test
tests_unit_report_journal_test_LDADD = $(role_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/routing_table_test
tests_unit_routing_table_test_LDADD = $(role_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/task_queue_test
tests_unit_task_queue_test_LDADD = $(role_libs) $(CMOCKA_LIBS)

fake_cluster_files = tests/lib/fake_api.c tests/lib/fake_api.h tests/lib/fake_cluster.c tests/lib/fake_cluster.h

unit_tests += tests/unit/clustersh_test
tests_unit_clustersh_test_SOURCES = tests/unit/clustersh_test.c $(fake_cluster_files)
tests_unit_clustersh_test_LDADD = $(base_libs) $(GNUTLS_LIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS)
unit_tests += tests/unit/shell_command_test
tests_unit_shell_command_test_LDADD = $(shell_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/shell_complete_test
tests_unit_shell_complete_test_LDADD = $(shell_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/shell_gather_test
tests_unit_shell_gather_test_LDADD = $(shell_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/shell_hist_test
tests_unit_shell_hist_test_LDADD = $(shell_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/shell_render_test
tests_unit_shell_render_test_LDADD = $(shell_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/shell_statement_test
tests_unit_shell_statement_test_LDADD = $(shell_libs) $(CMOCKA_LIBS)

check_PROGRAMS += $(unit_tests)

unit_tests += tests/unit/config_test
tests_unit_config_test_SOURCES = tests/unit/config_test.c src/config.c src/config_print.c src/config_yaml.c
tests_unit_config_test_LDADD = $(base_libs) $(YAML_LIBS) $(CMOCKA_LIBS)
unit_tests += tests/unit/state_store_test
tests_unit_state_store_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
unit_tests += tests/unit/state_tables_test
tests_unit_state_tables_test_LDADD = $(run_libs) $(CMOCKA_LIBS)
