/* Lives through simulated clusters around the scheduler; options: sim_run.h. */
#include "tests/sim/sim_run.h"
#include "tests/sim/world.h"

static const struct sim_bug run_bugs[] = {
#define RUN_BUG_ROW(symbol, text) {#symbol, text},
    WORLD_BUG_LIST(RUN_BUG_ROW)
#undef RUN_BUG_ROW
};

static uint64_t run_world(uint64_t seed, unsigned bug, bool trace)
{
    static struct world w;
    world_init(&w, seed, (enum world_bug)bug);
    w.time.trace = trace;
    world_run(&w);
    world_done(&w);
    return w.steps;
}

int main(int argc, char **argv)
{
    const struct sim sim = {
        .program = "tests/sim/scheduler_sim",
        .claim = "clusters keep every invariant and end",
        .steps = "the scheduler",
        .worlds = 20000,
        .hunt_max = 4000,
        .bugs = run_bugs,
        .bugs_n = WORLD_BUG_N,
        .world = run_world,
    };
    return sim_main(&sim, argc, argv);
}
