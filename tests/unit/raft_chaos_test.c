/* Servers are cut off, stopped, started, wiped, lose power in the middle of a write, have a disk
 * that hangs, lose messages, while commands are proposed. In the end all agree, and nothing that
 * was acknowledged is missing anywhere. */
#include <stdlib.h>

#include "run/raft_io.h"
#include "tests/unit/generated.h"
#include "tests/unit/raft_world.h"

enum { STEPS = 50, TURNS_MAX = 20, COMMANDS_MAX = 30, LEN_MAX = 2000 };

static void heal(struct raft_world *w)
{
    w->drop_percent = 0;
    for (uint64_t id = 1; id <= w->count; id++) {
        raft_world_isolate(w, id, false);
        wal_disk_release(&raft_world_server(w, id)->disk);
    }
}

static unsigned count_running(struct raft_world *w)
{
    unsigned running = 0;
    for (unsigned i = 0; i < w->count; i++)
        running += w->servers[i].running && !w->servers[i].closing;
    return running;
}

static void start(struct raft_world *w, struct raft_server_case *s)
{
    wal_disk_fail(&s->disk, WAL_FAULT_NONE, 0, 0);
    raft_world_start(w, s->id, 0);
}

static void start_all(struct raft_world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct raft_server_case *s = &w->servers[i];
        raft_world_wait(w, !s->closing && !s->close_wanted);
        if (!s->running)
            start(w, s);
    }
}

static void disturb(struct raft_world *w, struct prng *prng)
{
    struct raft_server_case *s = raft_world_server(w, prng_between(prng, 1, w->count));
    bool is_up = s->running && !s->closing;
    switch (prng_below(prng, 12)) {
    case 0:
        raft_world_isolate(w, s->id, true);
        break;
    case 1:
        w->cut[s->id][s->id % w->count + 1] = true; /* one way only */
        break;
    case 2:
        w->drop_percent = (unsigned)prng_below(prng, 20);
        break;
    case 3:
        wal_disk_release(&s->disk); /* a stop waits for what is being written */
        if (is_up)
            raft_world_stop(w, s->id);
        break;
    case 4:
    case 5:
        if (is_up)
            wal_disk_fail(&s->disk, WAL_FAULT_POWER, (unsigned)prng_below(prng, 10), 0);
        break;
    case 6:
        if (is_up && s->disk.fault == WAL_FAULT_NONE)
            wal_disk_fail(&s->disk, WAL_FAULT_HANG, (unsigned)prng_below(prng, 10), 0);
        break;
    case 7:
        if (is_up && count_running(w) == w->count && raft_world_agrees(w)) {
            raft_world_stop(w, s->id);
            raft_world_wipe(w, s->id);
            start(w, s);
        }
        break;
    case 8:
        if (!s->running)
            start(w, s);
        break;
    default:
        heal(w);
    }
}

static void run_case(struct generated *g)
{
    struct raft_world w;
    raft_world_init(&w, prng_chance(&g->prng, 1, 2) ? 3 : 5, g->seed);
    w.threshold = (unsigned)prng_between(&g->prng, 30, 300);
    w.trailing = (unsigned)prng_between(&g->prng, 5, 50);
    w.state_bytes = prng_below(&g->prng, 3 * RAFT_IO_CHUNK_BYTES);
    raft_world_start_all(&w);
    for (int step = 0; step < STEPS; step++) {
        if (prng_chance(&g->prng, 1, 2))
            disturb(&w, &g->prng);
        if (raft_world_leader(&w) != 0 && w.outstanding < 1000)
            raft_world_apply(&w, (unsigned)prng_below(&g->prng, COMMANDS_MAX),
                             sizeof(uint64_t) + prng_below(&g->prng, LEN_MAX));
        if (count_running(&w) == 0)
            start_all(&w);
        for (uint64_t turns = prng_below(&g->prng, TURNS_MAX); turns > 0; turns--)
            raft_world_turn(&w);
    }
    heal(&w);
    start_all(&w);
    raft_world_apply_all(&w, 1, 100);
    raft_world_wait(&w, raft_world_agrees(&w));
    for (uint64_t id = 1; id <= w.count; id++)
        raft_world_check_acked(&w, raft_world_server(&w, id));
    raft_world_done(&w);
}

static void nothing_acknowledged_is_lost_whatever_fails(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2);
    while (generated_next(&g)) {
        print_message("# seed %" PRIu64 "\n", g.seed);
        run_case(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost_whatever_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
