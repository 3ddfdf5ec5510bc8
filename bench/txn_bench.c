/* usage: txn_bench [--json] [ROUNDS]
 *
 * Two-phase commit among 3, 8, 16, 32 and 64 nodes in one process. Links and disks are simulated
 * (LINK_US one way, DISK_US a write); what the machines themselves cost is real: a node that has
 * something to do is busy for as long as that took here. Prints the median time from the begin of a
 * round to its decision, until everybody has acknowledged it, and the processor time of all nodes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/heap.h"
#include "base/mem.h"
#include "core/txn.h"

enum { NODES_MAX = 64, LINK_US = 100, DISK_US = 200, ROUNDS = 200, ROUNDS_MAX = 100000 };

struct bench_event {
    double at_us;
    uint64_t order;
    size_t place;
    int node;
    struct txn_effect effect; /* SEND: arrives; JUDGE: to be judged */
};

struct bench_node {
    struct txn *txn;
    struct txn_update update;
    double free_us; /* from then on it has nothing to do */
};

struct bench {
    int nodes_n;
    double now_us;
    uint64_t orders;
    struct heap queue;
    struct bench_node nodes[NODES_MAX + 1];
    double began_us, decided_us, ended_us, busy_us;
};

static double bench_clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static bool bench_before(const void *a, const void *b)
{
    const struct bench_event *x = a;
    const struct bench_event *y = b;
    return x->at_us < y->at_us || (x->at_us == y->at_us && x->order < y->order);
}

static void bench_at(struct bench *bench, double at_us, int node, struct txn_effect *effect)
{
    struct bench_event *event = mem_zalloc(sizeof *event);
    event->at_us = at_us;
    event->order = ++bench->orders;
    event->node = node;
    event->effect = *effect;
    *effect = (struct txn_effect){.type = TXN_EFFECT_CHANGED};
    heap_insert(&bench->queue, event);
}

/* What is done at `at_us`, when the step was over and, where it has to be, its record durable. */
static void bench_effect(struct bench *bench, int node, double at_us, struct txn_effect *effect)
{
    switch (effect->type) {
    case TXN_EFFECT_SEND: {
        int to = (int)effect->message.peer;
        effect->message.peer = (uint64_t)node;
        bench_at(bench, at_us + (to == node ? 0 : LINK_US), to, effect);
        break;
    }
    case TXN_EFFECT_JUDGE:
        bench_at(bench, at_us, node, effect);
        break;
    case TXN_EFFECT_OUTCOME:
        bench->decided_us = at_us;
        break;
    case TXN_EFFECT_ENDED:
        bench->ended_us = at_us;
        break;
    default:
        break;
    }
}

static void bench_step(struct bench *bench, int at, struct txn_event event)
{
    struct bench_node *node = &bench->nodes[at];
    double begin_us = node->free_us > bench->now_us ? node->free_us : bench->now_us;
    event.now_ms = event.wall_ms = 1000 + (int64_t)(begin_us / 1000);
    double before_us = bench_clock_us();
    (void)txn_step(node->txn, &event, &node->update);
    double took_us = bench_clock_us() - before_us;
    node->free_us = begin_us + took_us;
    bench->busy_us += took_us;
    for (size_t i = 0; i < node->update.effects_n; i++) {
        struct txn_effect *effect = &node->update.effects[i];
        bench_effect(bench, at, node->free_us + (effect->after != 0 ? DISK_US : 0), effect);
    }
    txn_update_clear(&node->update);
}

static void bench_fire(struct bench *bench, struct bench_event *event)
{
    bench->now_us = event->at_us;
    if (event->effect.type == TXN_EFFECT_JUDGE)
        bench_step(bench, event->node,
                   (struct txn_event){
                       .type = TXN_EVENT_JUDGED, .txid = event->effect.body->txid, .yes = true});
    else
        bench_step(
            bench, event->node,
            (struct txn_event){.type = TXN_EVENT_RECEIVED, .message = &event->effect.message});
    txn_effect_release(&event->effect);
    free(event);
}

static void bench_start(struct bench *bench, int nodes_n)
{
    uint64_t ids[NODES_MAX];
    *bench = (struct bench){.nodes_n = nodes_n};
    heap_init(&bench->queue, bench_before, offsetof(struct bench_event, place));
    for (int i = 0; i < nodes_n; i++)
        ids[i] = (uint64_t)i + 1;
    for (int i = 1; i <= nodes_n; i++) {
        struct txn_config config;
        txn_config_default(&config, (uint64_t)i);
        bench->nodes[i].txn = txn_new(&config);
        bench_step(bench, i, (struct txn_event){.type = TXN_EVENT_RESTORED});
        bench_step(bench, i,
                   (struct txn_event){
                       .type = TXN_EVENT_MEMBERS, .peers = ids, .peers_n = (size_t)nodes_n});
        for (int peer = 1; peer <= nodes_n; peer++)
            bench_step(
                bench, i,
                (struct txn_event){.type = TXN_EVENT_ALIVE, .peer = (uint64_t)peer, .alive = true});
    }
}

static void bench_end(struct bench *bench)
{
    for (int i = 1; i <= bench->nodes_n; i++) {
        txn_free(bench->nodes[i].txn);
        txn_update_done(&bench->nodes[i].update);
    }
    heap_done(&bench->queue);
}

static void bench_round(struct bench *bench, unsigned number)
{
    static const char value[256] = "a routing state";
    uint64_t ids[NODES_MAX];
    char why[TXN_TEXT_MAX];
    char key[] = "web";
    for (int i = 0; i < bench->nodes_n; i++)
        ids[i] = (uint64_t)i + 1;
    struct txn_write write = {.key = key,
                              .base_version = txn_version(bench->nodes[1].txn, key),
                              .value = (void *)(uintptr_t)value,
                              .len = sizeof value};
    struct txn_body from = {.coordinator = 1,
                            .participants = ids,
                            .participants_n = (size_t)bench->nodes_n,
                            .writes = &write,
                            .writes_n = 1};
    memcpy(from.txid.bytes, &number, sizeof number);
    struct txn_body *body = txn_body_new(&from, why);
    bench->began_us = bench->now_us;
    bench->decided_us = bench->ended_us = bench->busy_us = 0;
    bench_step(bench, 1, (struct txn_event){.type = TXN_EVENT_BEGIN, .body = body});
    txn_body_free(body);
    struct bench_event *event;
    while ((event = heap_first(&bench->queue)) != NULL) {
        heap_remove(&bench->queue, event);
        bench_fire(bench, event);
    }
    if (bench->ended_us == 0) {
        fprintf(stderr, "txn_bench: a round among %d nodes did not end\n", bench->nodes_n);
        exit(1);
    }
}

static int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double bench_median(double *values, unsigned n)
{
    qsort(values, n, sizeof *values, bench_compare);
    return values[n / 2];
}

int main(int argc, char **argv)
{
    static const int sizes[] = {3, 8, 16, 32, 64};
    static double decided[ROUNDS_MAX], ended[ROUNDS_MAX], busy[ROUNDS_MAX];
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    unsigned long wanted = argc > 1 + json ? strtoul(argv[1 + json], NULL, 10) : ROUNDS;
    unsigned rounds = wanted == 0 || wanted > ROUNDS_MAX ? ROUNDS : (unsigned)wanted;
    for (size_t i = 0; i < MEM_COUNT(sizes); i++) {
        struct bench bench;
        bench_start(&bench, sizes[i]);
        for (unsigned round = 0; round < rounds; round++) {
            bench_round(&bench, round + 1);
            decided[round] = bench.decided_us - bench.began_us;
            ended[round] = bench.ended_us - bench.began_us;
            busy[round] = bench.busy_us;
        }
        printf(json ? "{\"nodes\":%d,\"decided_us\":%.0f,\"ended_us\":%.0f,\"busy_us\":%.0f}\n"
                    : "%2d nodes: decided after %5.0f us, over after %5.0f us, %5.0f us of work\n",
               sizes[i], bench_median(decided, rounds), bench_median(ended, rounds),
               bench_median(busy, rounds));
        bench_end(&bench);
    }
    return 0;
}
