/* Jobs of many different demands that wait for few nodes. That nothing waits that would fit is what
 * sched_check says after each step; here it is said who goes first. */
#include "tests/unit/sched_bed.h"

enum { NODES = 3, JOBS = 60, PRIORITIES = 3 };

struct demand {
    uint32_t cpus;
    uint64_t memory_bytes;
    int32_t priority;
    bool large; /* only on the node with the label */
    uint32_t placed;
    uint32_t done;
    uint32_t total;
};

struct room {
    uint32_t slots, slots_used;
    uint64_t memory_bytes, memory_used;
};

struct crowd {
    struct bed bed;
    struct generated g;
    struct demand jobs[JOBS + 1]; /* by number, from 1 */
    unsigned jobs_n;
    struct room rooms[NODES + 1];
    struct task_key running[JOBS * 4];
    uint64_t running_on[JOBS * 4];
    unsigned running_n;
};

static unsigned number_of(const struct crowd *c, const struct task_key *key)
{
    for (unsigned n = 1; n <= c->jobs_n; n++) {
        struct uuid id = bed_id(n);
        if (uuid_compare(&id, &key->job) == 0)
            return n;
    }
    fail_msg("an unknown job was placed");
    return 0;
}

static bool fits(const struct crowd *c, const struct demand *job, uint64_t node,
                 const struct room *room)
{
    (void)c;
    return (!job->large || node == 1) && room->slots_used + job->cpus <= room->slots &&
           (job->memory_bytes == 0 || room->memory_used + job->memory_bytes <= room->memory_bytes);
}

/* Each element that was just given out is of a job before which no other one would have fitted. */
static void check_order(struct crowd *c)
{
    for (size_t i = 0; i < c->bed.update.sends_n; i++) {
        const struct sched_send *send = &c->bed.update.sends[i];
        if (send->type != SCHED_SEND_ASSIGN)
            continue;
        unsigned n = number_of(c, &send->key);
        struct demand *job = &c->jobs[n];
        struct room *room = &c->rooms[send->node];
        generated_check(&c->g, fits(c, job, send->node, room), "job %u fits node %u", n,
                        (unsigned)send->node);
        for (unsigned other = 1; other <= c->jobs_n; other++) {
            const struct demand *first = &c->jobs[other];
            bool before =
                first->priority > job->priority || (first->priority == job->priority && other < n);
            generated_check(&c->g,
                            !before || first->placed == first->total ||
                                !fits(c, first, send->node, room),
                            "job %u goes to node %u before job %u", n, (unsigned)send->node, other);
        }
        job->placed++;
        room->slots_used += job->cpus;
        room->memory_used += job->memory_bytes;
        c->running[c->running_n] = send->key;
        c->running_on[c->running_n++] = send->node;
    }
}

static void submit_any(struct crowd *c)
{
    unsigned n = ++c->jobs_n;
    struct demand *job = &c->jobs[n];
    *job = (struct demand){
        .cpus = 1 + (uint32_t)prng_below(&c->g.prng, 4),
        .memory_bytes = prng_below(&c->g.prng, 3) == 0 ? 0 : 1 + prng_below(&c->g.prng, 40),
        .priority = (int32_t)prng_below(&c->g.prng, PRIORITIES),
        .large = prng_below(&c->g.prng, 4) == 0,
        .total = 1 + (uint32_t)prng_below(&c->g.prng, 3),
    };
    char array[16];
    snprintf(array, sizeof array, "0-%u", job->total - 1);
    bed_submit(&c->bed, n, array,
               (struct sched_job_spec){.cpus = job->cpus,
                                       .memory_bytes = job->memory_bytes,
                                       .priority = job->priority,
                                       .selector = job->large ? "large" : NULL});
    check_order(c);
}

/* Long: nothing is queued beyond the slots. */
static void complete_any(struct crowd *c)
{
    unsigned at = (unsigned)prng_below(&c->g.prng, c->running_n);
    struct task_key key = c->running[at];
    uint64_t node = c->running_on[at];
    struct demand *job = &c->jobs[number_of(c, &key)];
    c->running_n--;
    c->running[at] = c->running[c->running_n];
    c->running_on[at] = c->running_on[c->running_n];
    c->rooms[node].slots_used -= job->cpus;
    c->rooms[node].memory_used -= job->memory_bytes;
    job->done++;
    struct sched_report report = bed_report(number_of(c, &key), key.index, key.attempt,
                                            WIRE__TASK_PHASE__TASK_PHASE_COMPLETED);
    report.wall_ms = 1000;
    bed_send_report(&c->bed, node, report);
    check_order(c);
}

static void start_nodes(struct crowd *c)
{
    static const char *const labels[] = {"large"};
    for (uint64_t id = 1; id <= NODES; id++) {
        struct room *room = &c->rooms[id];
        *room = (struct room){.slots = 4 + (uint32_t)prng_below(&c->g.prng, 5),
                              .memory_bytes = 40 + prng_below(&c->g.prng, 40)};
        char name[8];
        snprintf(name, sizeof name, "n%u", (unsigned)id);
        bed_put_node(&c->bed, &(struct sched_node_spec){.id = id,
                                                        .name = name,
                                                        .slots = room->slots,
                                                        .memory_bytes = room->memory_bytes,
                                                        .labels = labels,
                                                        .labels_n = id == 1});
        bed_up(&c->bed, id, 1);
    }
}

static void the_first_job_that_fits_gets_the_room(void **state)
{
    static struct crowd c;
    (void)state;
    generated_init(&c.g, 200);
    while (generated_next(&c.g)) {
        bed_init(&c.bed);
        bed_begin(&c.bed);
        c.jobs_n = 0;
        c.running_n = 0;
        start_nodes(&c);
        while (c.jobs_n < JOBS || c.running_n > 0) {
            bool submit = c.jobs_n < JOBS && (c.running_n == 0 || prng_below(&c.g.prng, 3) > 0);
            if (submit)
                submit_any(&c);
            else
                complete_any(&c);
        }
        for (unsigned n = 1; n <= JOBS; n++)
            generated_check(&c.g, c.jobs[n].done == c.jobs[n].total, "%u of %u of job %u are done",
                            c.jobs[n].done, c.jobs[n].total, n);
        bed_done(&c.bed);
    }
}

/* The earliest that fits is far behind in line. */
static void a_freed_slot_goes_to_the_one_demand_that_fits(void **state)
{
    struct bed bed;
    (void)state;
    bed_cluster(&bed, 1, 4);
    bed_submit(&bed, 1, NULL, (struct sched_job_spec){.cpus = 1});
    bed_submit(&bed, 2, NULL, (struct sched_job_spec){.cpus = 3});
    for (unsigned n = 3; n < 300; n++)
        bed_submit(&bed, n, NULL,
                   (struct sched_job_spec){.cpus = n == 299 ? 1 : 2, .memory_bytes = n});
    struct sched_report report = bed_report(1, 0, 1, WIRE__TASK_PHASE__TASK_PHASE_COMPLETED);
    bed_send_report(&bed, 1, report);
    assert_int_equal(bed_count_given(&bed), 1);
    assert_int_equal(bed_given(&bed, 299, 0), 1);
    report = bed_report(2, 0, 1, WIRE__TASK_PHASE__TASK_PHASE_COMPLETED);
    bed_send_report(&bed, 1, report);
    assert_int_equal(bed_count_given(&bed), 1);
    assert_int_equal(bed_given(&bed, 3, 0), 1);
    bed_done(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_job_that_fits_gets_the_room),
        cmocka_unit_test(a_freed_slot_goes_to_the_one_demand_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
