# Simulated clusters: core under a seeded world that drops, delays, reorders, partitions and crashes.
# Each program prints TAP (tests/sim/sim_run.h); SOAK=1 in the environment asks for more schedules.

sim_tests =
sim_run = tests/sim/sim_run.c tests/sim/sim_run.h tests/sim/sim_time.c tests/sim/sim_time.h

# The machine's own files once more, with its wrong turns (core/order_bug.h) in them.
sim_tests += tests/sim/order_sim
tests_sim_order_sim_CPPFLAGS = $(AM_CPPFLAGS) -DORDER_SEEDED_BUGS
tests_sim_order_sim_SOURCES =
tests_sim_order_sim_SOURCES += src/core/order.c
tests_sim_order_sim_SOURCES += src/core/order_client.c
tests_sim_order_sim_SOURCES += src/core/order_copy.c
tests_sim_order_sim_SOURCES += src/core/order_deliver.c
tests_sim_order_sim_SOURCES += src/core/order_elect.c
tests_sim_order_sim_SOURCES += src/core/order_entry.c
tests_sim_order_sim_SOURCES += src/core/order_follow.c
tests_sim_order_sim_SOURCES += src/core/order_lead.c
tests_sim_order_sim_SOURCES += src/core/order_log.c
tests_sim_order_sim_SOURCES += src/core/order_marks.c
tests_sim_order_sim_SOURCES += src/core/order_member.c
tests_sim_order_sim_SOURCES += src/core/order_peer.c
tests_sim_order_sim_SOURCES += src/core/order_record.c
tests_sim_order_sim_SOURCES += src/core/order_snapshot.c
tests_sim_order_sim_SOURCES += src/core/order_state.c
tests_sim_order_sim_SOURCES += src/core/order_view.c
tests_sim_order_sim_SOURCES += tests/sim/order_sim.c
tests_sim_order_sim_SOURCES += tests/sim/order_world.c tests/sim/order_world.h
tests_sim_order_sim_SOURCES += tests/sim/order_world_client.c
tests_sim_order_sim_SOURCES += tests/sim/order_world_disk.c
tests_sim_order_sim_SOURCES += tests/sim/order_world_net.c
tests_sim_order_sim_SOURCES += tests/sim/order_world_node.c
tests_sim_order_sim_SOURCES += tests/sim/order_world_truth.c
tests_sim_order_sim_SOURCES += $(sim_run)
tests_sim_order_sim_LDADD = $(core_libs)

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
