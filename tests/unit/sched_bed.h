/* A scheduler on a test bed: short ways to say what happens to it, and to ask what it did. Every
 * step is followed by sched_check, every record goes into rows as if it were durable at once. */
#ifndef TESTS_UNIT_SCHED_BED_H
#define TESTS_UNIT_SCHED_BED_H

#include <stdio.h>
#include <string.h>

#include "tests/sim/sched_rows.h"
#include "tests/unit/generated.h"

struct bed {
    struct sched *sched;
    struct sched_update update;
    struct sched_rows rows;
    int64_t now_ms;
};

static inline void bed_init(struct bed *bed)
{
    struct sched_config config;
    sched_config_default(&config);
    *bed = (struct bed){.sched = sched_new(&config), .now_ms = 1000};
    sched_rows_init(&bed->rows);
}

static inline void bed_done(struct bed *bed)
{
    sched_free(bed->sched);
    sched_update_done(&bed->update);
    sched_rows_done(&bed->rows);
}

/* The update of the last step stays until the next one. */
static inline int bed_step(struct bed *bed, struct sched_event event)
{
    sched_update_clear(&bed->update);
    event.now_ms = bed->now_ms;
    event.wall_ms = bed->now_ms;
    int err = sched_step(bed->sched, &event, &bed->update);
    sched_check(bed->sched);
    sched_rows_apply(&bed->rows, &bed->update);
    return err;
}

/* ---- nodes -------------------------------------------------------------------------------------
 */

static inline void bed_put_node(struct bed *bed, const struct sched_node_spec *spec)
{
    assert_int_equal(bed_step(bed, (struct sched_event){.type = SCHED_EVENT_NODE_PUT, .put = spec}),
                     0);
}

static inline void bed_health(struct bed *bed, uint64_t node, enum sched_health health)
{
    bed_step(bed,
             (struct sched_event){.type = SCHED_EVENT_NODE_HEALTH, .node = node, .health = health});
}

static inline void bed_link(struct bed *bed, uint64_t node, uint64_t session)
{
    bed_step(bed,
             (struct sched_event){.type = SCHED_EVENT_NODE_LINK, .node = node, .session = session});
}

static inline void bed_held(struct bed *bed, uint64_t node, uint64_t session,
                            const struct sched_report *reports, size_t n)
{
    bed_step(bed, (struct sched_event){.type = SCHED_EVENT_NODE_HELD,
                                       .node = node,
                                       .session = session,
                                       .reports = reports,
                                       .reports_n = n});
}

/* Alive, linked, holding nothing. */
static inline void bed_up(struct bed *bed, uint64_t node, uint64_t session)
{
    bed_health(bed, node, SCHED_HEALTH_ALIVE);
    bed_link(bed, node, session);
    bed_held(bed, node, session, NULL, 0);
}

static inline void bed_begin(struct bed *bed)
{
    assert_int_equal(sched_rows_restore(&bed->rows, bed->sched, &bed->update, bed->now_ms), 0);
    sched_check(bed->sched);
}

/* A cluster of `n` nodes n1 ... with so many slots, all up. */
static inline void bed_cluster(struct bed *bed, unsigned n, uint32_t slots)
{
    bed_init(bed);
    bed_begin(bed);
    for (unsigned id = 1; id <= n; id++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", id);
        bed_put_node(bed, &(struct sched_node_spec){.id = id, .name = name, .slots = slots});
        bed_up(bed, id, 1);
    }
}

static inline void bed_agent(struct bed *bed, uint64_t id)
{
    char name[16];
    snprintf(name, sizeof name, "a%u", (unsigned)id);
    bed_put_node(bed, &(struct sched_node_spec){.id = id, .name = name, .slots = 1, .poll = true});
    bed_health(bed, id, SCHED_HEALTH_ALIVE);
}

static inline bool bed_poll(struct bed *bed, uint64_t node, struct task_key *key)
{
    assert_int_equal(bed_step(bed, (struct sched_event){.type = SCHED_EVENT_POLL, .node = node}),
                     0);
    *key = bed->update.reply.key;
    return bed->update.reply.assigned;
}

/* ---- jobs --------------------------------------------------------------------------------------
 */

static inline struct uuid bed_id(unsigned n)
{
    struct uuid id = {{0xab, 0xcd}};
    id.bytes[15] = (uint8_t)n;
    id.bytes[14] = (uint8_t)(n >> 8);
    return id;
}

/* `elements` NULL: the one element 0. */
static inline int bed_try_submit(struct bed *bed, unsigned id, const char *elements,
                                 struct sched_job_spec spec)
{
    struct rangeset set;
    rangeset_init(&set);
    assert_int_equal(
        rangeset_parse(&set, elements != NULL ? elements : "0", UINT32_MAX, UINT64_MAX), 0);
    spec.id = bed_id(id);
    spec.elements = &set;
    spec.array = elements != NULL;
    sched_rows_remember(&bed->rows, &spec);
    int err = bed_step(bed, (struct sched_event){.type = SCHED_EVENT_JOB_SUBMIT, .job = &spec});
    rangeset_done(&set);
    return err;
}

static inline void bed_submit(struct bed *bed, unsigned id, const char *elements,
                              struct sched_job_spec spec)
{
    assert_int_equal(bed_try_submit(bed, id, elements, spec), 0);
}

static inline int bed_cancel(struct bed *bed, unsigned id, const char *elements)
{
    struct rangeset set;
    rangeset_init(&set);
    if (elements != NULL)
        assert_int_equal(rangeset_parse(&set, elements, UINT32_MAX, UINT64_MAX), 0);
    int err = bed_step(bed, (struct sched_event){.type = SCHED_EVENT_JOB_CANCEL,
                                                 .job_id = bed_id(id),
                                                 .elements = elements != NULL ? &set : NULL,
                                                 .reason = "cancelled by ann"});
    rangeset_done(&set);
    return err;
}

static inline int bed_retry(struct bed *bed, unsigned id)
{
    return bed_step(bed, (struct sched_event){.type = SCHED_EVENT_JOB_RETRY, .job_id = bed_id(id)});
}

static inline void bed_tick(struct bed *bed, int64_t ms)
{
    bed->now_ms += ms;
    bed_step(bed, (struct sched_event){.type = SCHED_EVENT_TICK});
}

/* ---- reports -----------------------------------------------------------------------------------
 */

static inline struct sched_report bed_report(unsigned id, uint32_t index, uint32_t attempt,
                                             Wire__TaskPhase phase)
{
    bool failed = phase == WIRE__TASK_PHASE__TASK_PHASE_FAILED;
    return (struct sched_report){
        .key = {bed_id(id), index, attempt},
        .phase = phase,
        .code = failed ? TASK_CODE_EXIT_NONZERO : TASK_CODE_OK,
        .text = failed ? "exit code 3" : NULL,
        .wall_ms = 1000,
    };
}

static inline void bed_send_report(struct bed *bed, uint64_t node, struct sched_report report)
{
    bed_step(bed,
             (struct sched_event){
                 .type = SCHED_EVENT_REPORTS, .node = node, .reports = &report, .reports_n = 1});
}

#define BED_REPORT(name, PHASE)                                                                    \
    static inline void bed_##name(struct bed *bed, uint64_t node, unsigned id, uint32_t index,     \
                                  uint32_t attempt)                                                \
    {                                                                                              \
        bed_send_report(bed, node,                                                                 \
                        bed_report(id, index, attempt, WIRE__TASK_PHASE__TASK_PHASE_##PHASE));     \
    }
BED_REPORT(runs, RUNNING)
BED_REPORT(completes, COMPLETED)
BED_REPORT(fails, FAILED)
BED_REPORT(stopped, CANCELLED)
BED_REPORT(returns, RETURNED)
#undef BED_REPORT

/* ---- what it did -------------------------------------------------------------------------------
 */

static inline const struct sched_send *bed_sent(const struct bed *bed, enum sched_send_type type,
                                                unsigned id, uint32_t index)
{
    struct uuid job = bed_id(id);
    for (size_t i = 0; i < bed->update.sends_n; i++) {
        const struct sched_send *send = &bed->update.sends[i];
        if (send->type == type && uuid_compare(&send->key.job, &job) == 0 &&
            send->key.index == index)
            return send;
    }
    return NULL;
}

/* The node that the last step gave the element to; 0: none. */
static inline uint64_t bed_given(const struct bed *bed, unsigned id, uint32_t index)
{
    const struct sched_send *send = bed_sent(bed, SCHED_SEND_ASSIGN, id, index);
    return send != NULL ? send->node : 0;
}

static inline size_t bed_count_given(const struct bed *bed)
{
    size_t n = 0;
    for (size_t i = 0; i < bed->update.sends_n; i++)
        n += bed->update.sends[i].type == SCHED_SEND_ASSIGN;
    return n;
}

/* The node of the element's attempt; 0 when there is no such attempt alive. */
static inline uint64_t bed_on(const struct bed *bed, unsigned id, uint32_t index, uint32_t attempt)
{
    const struct task_key key = {bed_id(id), index, attempt};
    for (uint64_t node = 1; node < 32; node++) {
        if (sched_attempt_is_live(bed->sched, &key, node))
            return node;
    }
    return 0;
}

static inline struct sched_rows_job *bed_row(const struct bed *bed, unsigned id)
{
    struct uuid job = bed_id(id);
    return sched_rows_job(&bed->rows, &job);
}

static inline enum attempt_state bed_attempt(const struct bed *bed, unsigned id, uint32_t index,
                                             uint32_t attempt)
{
    const struct sched_rows_task *task =
        sched_rows_task(&bed->rows, bed_row(bed, id)->seq, index, attempt);
    return task != NULL ? task->state : ATTEMPT_STATE_NONE;
}

#define bed_assert_job(bed, id, wanted)                                                            \
    assert_string_equal(job_state_name(bed_row(bed, id)->state), wanted)

#define bed_assert_reason(bed, id, wanted) assert_string_equal(bed_row(bed, id)->reason, wanted)

#define bed_assert_attempt(bed, id, index, attempt, wanted)                                        \
    assert_string_equal(attempt_state_name(bed_attempt(bed, id, index, attempt)), wanted)

/* A new leader, built from the rows; the nodes are those of bed_cluster. */
static inline void bed_new_leader(struct bed *bed, unsigned nodes, uint32_t slots)
{
    struct sched_config config;
    sched_config_default(&config);
    sched_free(bed->sched);
    sched_update_done(&bed->update);
    bed->sched = sched_new(&config);
    for (unsigned id = 1; id <= nodes; id++) {
        char name[16];
        snprintf(name, sizeof name, "n%u", id);
        bed_put_node(bed, &(struct sched_node_spec){.id = id, .name = name, .slots = slots});
    }
    bed_begin(bed);
    sched_rows_apply(&bed->rows, &bed->update);
}

#endif
