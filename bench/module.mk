# Measurements: `make bench` prints one table and keeps the figures as JSON under bench/out.
# A load program is noinst; lines add one:
#
#   bench_programs += bench/bin/commit_load
#   bench_bin_commit_load_SOURCES = bench/commit_load.c
#   bench_bin_commit_load_LDADD = $(client_libs)

bench_programs =

bench_programs += bench/bin/spawn_bench
bench_bin_spawn_bench_SOURCES = bench/spawn_bench.c
bench_bin_spawn_bench_LDADD = $(run_libs)

EXTRA_PROGRAMS = $(bench_programs)
