/* The program around a simulated world: usage PROGRAM [--seeds N] [--seed S] [--bug NAME] [--trace]
 * [--hunts N] [--list]
 *
 * Without options: a fixed number of worlds (a hundred times as many with SOAK=1), then each seeded
 * bug until it is noticed; prints TAP. With --seed S only that one. A world in which something is
 * wrong says so with its seed; "--seed S --trace" replays it in words. --bug NAME without a seed
 * hunts that bug alone; --hunts N hunts each bug N times, from other seeds each time, and prints
 * how many worlds it took on average; --hunts 0 hunts none. */
#ifndef TESTS_SIM_SIM_RUN_H
#define TESTS_SIM_SIM_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_bug {
    const char *name;
    const char *text; /* continues "it is noticed when ..." */
};

struct sim {
    const char *program; /* path below the build */
    const char *claim;   /* continues "20000 simulated ..." */
    const char *steps;   /* what the steps are of */
    uint64_t worlds;
    uint64_t hunt_max; /* worlds in which a bug must be noticed */
    const struct sim_bug *bugs;
    size_t bugs_n; /* the first is no bug */

    /* Lives through one world, in this process, with the bug of this index, and returns its steps;
     * aborts when something is wrong. */
    uint64_t (*world)(uint64_t seed, unsigned bug, bool trace);
};

/* Returns the exit status. */
int sim_main(const struct sim *sim, int argc, char **argv);

#endif
