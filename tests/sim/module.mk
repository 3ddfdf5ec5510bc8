# Simulated clusters: core under a seeded world that drops, delays, reorders, partitions and crashes.
# Each program prints TAP (tests/sim/sim_run.h); SOAK=1 in the environment asks for more schedules.

sim_tests =
sim_run = tests/sim/sim_run.c tests/sim/sim_run.h

sim_tests += tests/sim/scheduler_sim
tests_sim_scheduler_sim_SOURCES =
tests_sim_scheduler_sim_SOURCES += tests/sim/sched_rows.c tests/sim/sched_rows.h
tests_sim_scheduler_sim_SOURCES += tests/sim/scheduler_sim.c
tests_sim_scheduler_sim_SOURCES += $(sim_run)
tests_sim_scheduler_sim_SOURCES += tests/sim/world.c tests/sim/world.h
tests_sim_scheduler_sim_SOURCES += tests/sim/world_agent.c
tests_sim_scheduler_sim_SOURCES += tests/sim/world_client.c
tests_sim_scheduler_sim_SOURCES += tests/sim/world_leader.c
tests_sim_scheduler_sim_SOURCES += tests/sim/world_truth.c
tests_sim_scheduler_sim_SOURCES += tests/sim/world_worker.c
tests_sim_scheduler_sim_LDADD = $(core_libs)

sim_tests += tests/sim/txn_sim
tests_sim_txn_sim_SOURCES =
tests_sim_txn_sim_SOURCES += $(sim_run)
tests_sim_txn_sim_SOURCES += tests/sim/txn_sim.c
tests_sim_txn_sim_SOURCES += tests/sim/txn_truth.c
tests_sim_txn_sim_SOURCES += tests/sim/txn_world.c tests/sim/txn_world.h
tests_sim_txn_sim_SOURCES += tests/sim/txn_world_link.c
tests_sim_txn_sim_SOURCES += tests/sim/txn_world_node.c
tests_sim_txn_sim_LDADD = $(core_libs)

check_PROGRAMS += $(sim_tests)
