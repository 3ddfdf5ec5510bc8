/* Lives through simulated groups around the ordered log; options: sim_run.h. */
#include "tests/sim/order_world.h"
#include "tests/sim/sim_run.h"

static const struct sim_bug run_bugs[] = {
#define RUN_BUG_ROW(symbol, text) {#symbol, text},
    ORDER_BUG_LIST(RUN_BUG_ROW) ORDER_WORLD_BUG_LIST(RUN_BUG_ROW)
#undef RUN_BUG_ROW
};

static uint64_t run_world(uint64_t seed, unsigned bug, bool trace)
{
    static struct ow w;
    ow_init(&w, seed, bug);
    w.time.trace = trace;
    ow_run(&w);
    ow_done(&w);
    return w.steps;
}

int main(int argc, char **argv)
{
    const struct sim sim = {
        .program = "tests/sim/order_sim",
        .claim = "groups keep every invariant and get well",
        .steps = "the ordered log",
        .worlds = 20000,
        .hunt_max = 20000,
        .bugs = run_bugs,
        .bugs_n = ORDER_WORLD_BUG_N,
        .world = run_world,
    };
    return sim_main(&sim, argc, argv);
}
