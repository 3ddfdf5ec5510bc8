/* usage: scheduler_bench [--json] [--nodes N] [--waiting N] [--rounds N]
 *
 * What one turn of a task costs the scheduler - a result comes in, the freed slots go to who waits
 * - while so many jobs wait: all of one demand, each of a demand of its own (slots and memory),
 * each of one that doesn't fit, or with a selector for every hundred of them. Medians of the rounds
 * in us; pure computation, no I/O. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/scheduler.h"

enum {
    SCHEDULER_BENCH_ROUNDS_MAX = 999,
    SCHEDULER_BENCH_STEPS = 2000, /* results in a round, at most */
    SCHEDULER_BENCH_SLOTS = 8,
};

enum scheduler_bench_kind {
    SCHEDULER_BENCH_SAME,
    SCHEDULER_BENCH_DEMANDS,
    SCHEDULER_BENCH_TOO_LARGE,
    SCHEDULER_BENCH_SELECTORS,
    SCHEDULER_BENCH_KINDS,
};

static const char *const scheduler_bench_names[SCHEDULER_BENCH_KINDS] = {
    "one demand", "demands of their own", "demands that don't fit", "many selectors"};
static const char *const scheduler_bench_keys[SCHEDULER_BENCH_KINDS] = {
    "same_us", "demands_us", "too_large_us", "selectors_us"};

struct scheduler_bench {
    unsigned nodes;
    unsigned waiting;
    unsigned rounds;
    bool has_json;

    struct sched *sched;
    struct sched_update update;
    int64_t now_ms;
    struct sched_send *running; /* in the order of their assignment */
    size_t first, running_n, running_cap;
};

static void scheduler_bench_step(struct scheduler_bench *b, struct sched_event event)
{
    event.now_ms = event.wall_ms = b->now_ms;
    if (sched_step(b->sched, &event, &b->update) < 0) {
        fprintf(stderr, "scheduler_bench: %s\n", b->update.reply.text);
        exit(EXIT_FAILURE);
    }
    for (size_t i = 0; i < b->update.sends_n; i++) {
        if (b->update.sends[i].type != SCHED_SEND_ASSIGN)
            continue;
        MEM_GROW(b->running, b->running_cap, b->running_n + 1);
        b->running[b->running_n++] = b->update.sends[i];
    }
    sched_update_clear(&b->update);
}

static void scheduler_bench_add_nodes(struct scheduler_bench *b)
{
    for (uint64_t id = 1; id <= b->nodes; id++) {
        char name[32];
        snprintf(name, sizeof name, "n%llu", (unsigned long long)id);
        struct sched_node_spec put = {.id = id,
                                      .name = name,
                                      .slots = SCHEDULER_BENCH_SLOTS,
                                      .memory_bytes = UINT64_C(64) << 30};
        scheduler_bench_step(b, (struct sched_event){.type = SCHED_EVENT_NODE_PUT, .put = &put});
        scheduler_bench_step(b, (struct sched_event){.type = SCHED_EVENT_NODE_HEALTH,
                                                     .node = id,
                                                     .health = SCHED_HEALTH_ALIVE});
        scheduler_bench_step(
            b, (struct sched_event){.type = SCHED_EVENT_NODE_LINK, .node = id, .session = 1});
        scheduler_bench_step(
            b, (struct sched_event){.type = SCHED_EVENT_NODE_HELD, .node = id, .session = 1});
    }
}

static void scheduler_bench_submit(struct scheduler_bench *b, unsigned n,
                                   enum scheduler_bench_kind kind)
{
    struct rangeset one;
    struct sched_job_spec spec = {.cpus = 1, .elements = &one};
    char selector[64];

    memcpy(spec.id.bytes, &n, sizeof n);
    rangeset_init(&one);
    rangeset_add(&one, 0, 0);
    if (kind == SCHEDULER_BENCH_DEMANDS) {
        spec.cpus = 1 + n % 4;
        spec.memory_bytes = UINT64_C(1) + n;
    } else if (kind == SCHEDULER_BENCH_TOO_LARGE && n > b->nodes * SCHEDULER_BENCH_SLOTS) {
        spec.cpus = 2 + n % 7;
        spec.memory_bytes = UINT64_C(1) + n;
    } else if (kind == SCHEDULER_BENCH_SELECTORS) {
        snprintf(selector, sizeof selector, "name!=x%u", n / 100);
        spec.selector = selector;
    }
    scheduler_bench_step(b, (struct sched_event){.type = SCHED_EVENT_JOB_SUBMIT, .job = &spec});
    rangeset_done(&one);
}

static void scheduler_bench_begin(struct scheduler_bench *b, enum scheduler_bench_kind kind)
{
    struct sched_config config;

    sched_config_default(&config);
    config.starve_ms = INT64_MAX / 4; /* no node is kept free for one that waits long */
    b->sched = sched_new(&config);
    b->now_ms = 1;
    b->first = b->running_n = 0;
    scheduler_bench_step(b, (struct sched_event){.type = SCHED_EVENT_RESTORE_BEGIN, .next_seq = 1});
    scheduler_bench_step(b, (struct sched_event){.type = SCHED_EVENT_RESTORE_END});
    scheduler_bench_add_nodes(b);
    unsigned jobs = b->nodes * SCHEDULER_BENCH_SLOTS + b->waiting;
    for (unsigned n = 1; n <= jobs; n++)
        scheduler_bench_submit(b, n, kind);
}

/* us for each result, with the placement behind it. */
static double scheduler_bench_round(struct scheduler_bench *b, enum scheduler_bench_kind kind)
{
    scheduler_bench_begin(b, kind);
    size_t steps = b->running_n - b->first;
    if (kind != SCHEDULER_BENCH_TOO_LARGE || steps > SCHEDULER_BENCH_STEPS)
        steps = SCHEDULER_BENCH_STEPS;
    if (steps > b->waiting)
        steps = b->waiting;
    /* of those that don't fit, half of a node's slots are freed, one by one */
    if (kind == SCHEDULER_BENCH_TOO_LARGE)
        steps = b->nodes;
    int64_t start_us = clock_mono_us();
    size_t done = 0;
    for (; done < steps && b->first < b->running_n; done++) {
        const struct sched_send *send = &b->running[b->first++];
        struct sched_report report = {
            .key = send->key, .phase = WIRE__TASK_PHASE__TASK_PHASE_COMPLETED, .wall_ms = 1000};
        scheduler_bench_step(b, (struct sched_event){.type = SCHED_EVENT_REPORTS,
                                                     .node = send->node,
                                                     .reports = &report,
                                                     .reports_n = 1});
        scheduler_bench_step(
            b, (struct sched_event){.type = SCHED_EVENT_APPLIED, .turn = b->update.turn});
    }
    double us = (double)(clock_mono_us() - start_us) / (double)(done > 0 ? done : 1);
    sched_free(b->sched);
    sched_update_done(&b->update);
    return us;
}

static int scheduler_bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void scheduler_bench_options(struct scheduler_bench *b, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"nodes", required_argument, NULL, 'n'},
                                            {"waiting", required_argument, NULL, 'w'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    int c;

    *b = (struct scheduler_bench){.nodes = 10, .waiting = 20000, .rounds = 5};
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        unsigned value = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
        if (c == 'j') {
            b->has_json = true;
        } else if (c == '?' || value == 0 || (c == 'r' && value > SCHEDULER_BENCH_ROUNDS_MAX)) {
            fprintf(stderr, "scheduler_bench: see the top of its source for usage\n");
            exit(EXIT_FAILURE);
        } else {
            *(c == 'n' ? &b->nodes : c == 'w' ? &b->waiting : &b->rounds) = value;
        }
    }
}

int main(int argc, char **argv)
{
    struct scheduler_bench b;

    scheduler_bench_options(&b, argc, argv);
    if (b.has_json)
        printf("{\"nodes\":%u,\"waiting\":%u", b.nodes, b.waiting);
    for (enum scheduler_bench_kind kind = 0; kind < SCHEDULER_BENCH_KINDS; kind++) {
        double us[SCHEDULER_BENCH_ROUNDS_MAX];
        for (unsigned i = 0; i < b.rounds; i++)
            us[i] = scheduler_bench_round(&b, kind);
        qsort(us, b.rounds, sizeof *us, scheduler_bench_compare);
        if (b.has_json)
            printf(",\"%s\":%.2f", scheduler_bench_keys[kind], us[b.rounds / 2]);
        else
            printf("%u jobs wait, %-24s %10.2f us\n", b.waiting, scheduler_bench_names[kind],
                   us[b.rounds / 2]);
        fflush(stdout);
    }
    if (b.has_json)
        printf("}\n");
    free(b.running);
    return EXIT_SUCCESS;
}
