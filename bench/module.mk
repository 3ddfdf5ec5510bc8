# Measurements: `make bench` prints one table and keeps the figures as JSON under bench/out; bench/run says how.
# Its programs are built by `make check` too, so that none falls behind. Lines add one:
#
#   bench_programs += bench/bin/commit_load
#   bench_bin_commit_load_SOURCES = bench/commit_load.c
#   bench_bin_commit_load_LDADD = $(client_libs)

bench_programs =

bench_programs += bench/bin/http_load
bench_bin_http_load_SOURCES = bench/http_load.c
bench_bin_http_load_LDADD = $(base_libs)

bench_programs += bench/bin/prompt_latency
bench_bin_prompt_latency_SOURCES = bench/prompt_latency.c
bench_bin_prompt_latency_LDADD = $(base_libs) -lutil

bench_programs += bench/bin/spawn_bench
bench_bin_spawn_bench_SOURCES = bench/spawn_bench.c
bench_bin_spawn_bench_LDADD = $(run_libs)
bench_programs += bench/bin/raft_bench
bench_bin_raft_bench_SOURCES = bench/raft_bench.c
bench_bin_raft_bench_LDADD = $(run_libs)
bench_programs += bench/bin/disk_floor
bench_bin_disk_floor_SOURCES = bench/disk_floor.c
bench_bin_disk_floor_LDADD = $(base_libs)
bench_programs += bench/bin/wal_bench
bench_bin_wal_bench_SOURCES = bench/wal_bench.c
bench_bin_wal_bench_LDADD = $(run_libs)

bench_programs += bench/bin/observe_bench
bench_bin_observe_bench_SOURCES = bench/observe_bench.c
bench_bin_observe_bench_LDADD = $(base_libs)
bench_programs += bench/bin/order_bench
bench_bin_order_bench_SOURCES = bench/order_bench.c tests/lib/order_bed.c tests/lib/order_bed.h
bench_bin_order_bench_LDADD = $(core_libs)
bench_programs += bench/bin/nats_load
bench_bin_nats_load_SOURCES = bench/nats_load.c
bench_bin_nats_load_LDADD = $(base_libs)

bench_programs += bench/bin/scheduler_bench
bench_bin_scheduler_bench_SOURCES = bench/scheduler_bench.c
bench_bin_scheduler_bench_LDADD = $(core_libs)

if HAVE_DUCKDB
bench_programs += bench/bin/s3_serve
bench_bin_s3_serve_SOURCES = tests/lib/s3_serve.c tests/lib/s3_server.c tests/lib/s3_server.h
bench_bin_s3_serve_SOURCES += tests/lib/fake_api.c tests/lib/fake_api.h
bench_bin_s3_serve_LDADD = $(run_libs)
bench_programs += bench/bin/sql_bench
bench_bin_sql_bench_SOURCES = bench/sql_bench.c
bench_bin_sql_bench_LDADD = $(run_libs)
bench_programs += bench/bin/tpch_bench
bench_bin_tpch_bench_SOURCES = bench/tpch_bench.c bench/sql_client.c bench/sql_client.h tests/lib/tpch.c tests/lib/tpch.h
bench_bin_tpch_bench_LDADD = $(run_libs)
endif

bench_programs += bench/bin/sql_load
bench_bin_sql_load_SOURCES = bench/sql_load.c bench/sql_client.c bench/sql_client.h
bench_bin_sql_load_LDADD = $(base_libs) $(JANSSON_LIBS) -lpthread

bench_programs += bench/bin/submit_latency
bench_bin_submit_latency_SOURCES = bench/submit_latency.c
bench_bin_submit_latency_LDADD = $(base_libs) $(JANSSON_LIBS)

bench_programs += bench/bin/txn_bench
bench_bin_txn_bench_SOURCES = bench/txn_bench.c
bench_bin_txn_bench_LDADD = $(core_libs)

bench_programs += bench/bin/top_load
bench_bin_top_load_SOURCES = bench/top_load.c $(fake_top_files)
bench_bin_top_load_LDADD = $(base_libs) $(ARCHIVE_LIBS) $(GNUTLS_LIBS) $(XXHASH_LIBS)
bench_programs += bench/bin/top_model
bench_bin_top_model_SOURCES = bench/top_model.c
bench_bin_top_model_LDADD = $(tui_libs)
bench_programs += bench/bin/top_picture
bench_bin_top_picture_SOURCES = bench/top_picture.c
bench_bin_top_picture_LDADD = $(base_libs) $(VTERM_LIBS) -lutil
bench_programs += bench/bin/top_pty
bench_bin_top_pty_SOURCES = bench/top_pty.c
bench_bin_top_pty_LDADD = $(base_libs) -lutil

bench_programs += bench/bin/worker_load
bench_bin_worker_load_SOURCES = bench/worker_load.c
bench_bin_worker_load_LDADD = $(run_libs)

check_PROGRAMS += $(bench_programs)

EXTRA_DIST += bench/run bench/sql_sections.bash bench/top_sections.bash
EXTRA_DIST += bench/observe_section.bash
EXTRA_DIST += bench/cpg_load.c
EXTRA_DIST += bench/etcd_load/main.go

bench: all
	@$(MAKE) $(AM_MAKEFLAGS) $(bench_programs)
	@TOP_SRCDIR='$(abs_top_srcdir)' TOP_BUILDDIR='$(abs_top_builddir)' $(srcdir)/bench/run $(SECTIONS)

.PHONY: bench
