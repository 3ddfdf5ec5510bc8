/* Two-phase commit in simulated clusters (tests/sim/txn_world.h). */
#include "base/mem.h"
#include "tests/sim/sim_run.h"
#include "tests/sim/txn_world.h"

static const struct sim_bug txn_bugs[] = {
#define TXN_BUG_ROW(symbol, text) {#symbol, text},
    TXN_BUG_LIST(TXN_BUG_ROW)
#undef TXN_BUG_ROW
};

static uint64_t txn_sim_world(uint64_t seed, unsigned bug, bool trace)
{
    static struct txn_world w;
    txn_world_init(&w, seed, (enum txn_bug)bug);
    w.time.trace = trace;
    txn_world_run(&w);
    txn_world_done(&w);
    return w.steps;
}

int main(int argc, char **argv)
{
    const struct sim sim = {
        .program = "tests/sim/txn_sim",
        .claim = "clusters agree on every transaction, and on every version in the end",
        .steps = "two-phase commit",
        .worlds = 20000,
        .hunt_max = 4000,
        .bugs = txn_bugs,
        .bugs_n = MEM_COUNT(txn_bugs),
        .world = txn_sim_world,
    };
    return sim_main(&sim, argc, argv);
}
