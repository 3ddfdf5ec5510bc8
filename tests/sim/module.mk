# Simulated clusters: core under a seeded world that drops, delays, reorders, partitions and crashes.
# Each program is a cmocka program; SOAK=1 in the environment asks for more schedules. Lines add one:
#
#   sim_tests += tests/sim/scheduler_sim
#   tests_sim_scheduler_sim_SOURCES =
#   tests_sim_scheduler_sim_SOURCES += tests/sim/scheduler_sim.c
#   tests_sim_scheduler_sim_SOURCES += tests/sim/world.c tests/sim/world.h
#   tests_sim_scheduler_sim_LDADD = $(core_libs) $(CMOCKA_LIBS)

sim_tests =

check_PROGRAMS += $(sim_tests)
