#include "core/scheduler.h"

#include "base/mem.h"
#include "tests/unit/sched_bed.h"

#define PLAIN ((struct sched_job_spec){0})

/* ---- submit
 * -------------------------------------------------------------------------------------- */

static void a_job_is_placed_at_once_and_its_row_comes_with_the_assignment(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, NULL, PLAIN);
    assert_int_equal(bed.update.reply.seq, 1);
    assert_int_equal(bed.update.jobs_n, 1);
    assert_true(bed.update.jobs[0].created);
    assert_int_equal(bed.update.jobs[0].state, JOB_STATE_RUNNING);
    assert_int_equal(bed.update.tasks_n, 1);
    assert_int_equal(bed_given(&bed, 1, 0), 1);
    assert_int_equal(bed.update.sends[0].session, 1);
    assert_int_equal(bed.update.sends[0].key.attempt, 1);
    bed_done(&bed);
}

static void a_job_goes_from_pending_over_running_to_completed(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 0, 0);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_assert_job(&bed, 1, "pending");
    bed_assert_reason(&bed, 1, "no worker has joined");
    bed_put_node(&bed, &(struct sched_node_spec){.id = 1, .name = "n1", .slots = 1});
    bed_up(&bed, 1, 1);
    bed_assert_job(&bed, 1, "running");
    bed_assert_attempt(&bed, 1, 0, 1, "assigned");
    bed_runs(&bed, 1, 1, 0, 1);
    bed_assert_attempt(&bed, 1, 0, 1, "running");
    bed.now_ms += 500;
    bed_completes(&bed, 1, 1, 0, 1);
    bed_assert_attempt(&bed, 1, 0, 1, "completed");
    bed_assert_job(&bed, 1, "completed");
    assert_int_equal(bed_row(&bed, 1)->ended_ms, bed.now_ms);
    assert_non_null(bed_sent(&bed, SCHED_SEND_ACK, 1, 0));
    bed_done(&bed);
}

static void the_same_idempotency_key_gives_the_same_job(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, NULL, (struct sched_job_spec){.idempotency_key = "night"});
    bed_submit(&bed, 2, NULL, (struct sched_job_spec){.idempotency_key = "night"});
    struct uuid first = bed_id(1);
    assert_true(bed.update.reply.duplicate);
    assert_int_equal(bed.update.reply.seq, 1);
    assert_int_equal(uuid_compare(&bed.update.reply.id, &first), 0);
    assert_int_equal(bed.update.jobs_n + bed.update.tasks_n, 0);
    bed_submit(&bed, 3, NULL, (struct sched_job_spec){.idempotency_key = "day"});
    assert_false(bed.update.reply.duplicate);
    bed_new_leader(&bed, 1, 2);
    bed_submit(&bed, 4, NULL, (struct sched_job_spec){.idempotency_key = "night"});
    assert_true(bed.update.reply.duplicate);
    assert_int_equal(bed.update.reply.seq, 1);
    bed_done(&bed);
}

static void what_is_wrong_with_a_job_is_refused_before_anything_changes(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    const struct sched_dependency unknown = {.job = bed_id(77)};
    bed_submit(&bed, 1, NULL, PLAIN);
    assert_int_equal(bed_try_submit(&bed, 1, NULL, PLAIN), ERR_EXISTS);
    assert_int_equal(bed_try_submit(&bed, 2, NULL, (struct sched_job_spec){.selector = "a b"}),
                     ERR_INVALID);
    assert_non_null(strstr(bed.update.reply.text, "\"a b\""));
    assert_int_equal(bed_try_submit(&bed, 2, "0-1000000", PLAIN), ERR_TOO_LARGE);
    assert_int_equal(bed_try_submit(&bed, 2, "100000000", PLAIN), ERR_TOO_LARGE);
    assert_int_equal(bed_try_submit(&bed, 2, NULL, (struct sched_job_spec){.retries = 1001}),
                     ERR_TOO_LARGE);
    assert_int_equal(bed_try_submit(&bed, 2, NULL, (struct sched_job_spec){.cpus = UINT32_MAX}),
                     ERR_TOO_LARGE);
    assert_int_equal(
        bed_try_submit(&bed, 2, NULL, (struct sched_job_spec){.after = &unknown, .after_n = 1}),
        ERR_NOT_FOUND);
    assert_non_null(strstr(bed.update.reply.text, "no job abcd"));
    assert_int_equal(bed.update.jobs_n, 0);
    bed_submit(&bed, 2, NULL, PLAIN);
    assert_int_equal(bed.update.reply.seq, 2);
    bed_done(&bed);
}

/* ---- order and fit
 * ------------------------------------------------------------------------------- */

static void higher_priority_goes_first_and_equal_priority_by_submission(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_submit(&bed, 2, NULL, (struct sched_job_spec){.priority = -1});
    bed_submit(&bed, 3, NULL, PLAIN);
    bed_submit(&bed, 4, NULL, (struct sched_job_spec){.priority = 5});
    bed_submit(&bed, 5, NULL, PLAIN);
    static const unsigned order[] = {1, 4, 3, 5, 2};
    for (size_t i = 0; i < MEM_COUNT(order); i++) {
        assert_int_equal(bed_on(&bed, order[i], 0, 1), 1);
        bed_completes(&bed, 1, order[i], 0, 1);
    }
    bed_done(&bed);
}

static void the_least_loaded_node_is_taken_by_slots_then_load_then_id(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 3, 4);
    bed_put_node(&bed, &(struct sched_node_spec){.id = 4, .name = "n4", .slots = 8});
    bed_up(&bed, 4, 1);
    bed_step(&bed,
             (struct sched_event){.type = SCHED_EVENT_NODE_VITALS, .node = 1, .load_milli = 500});
    static const uint64_t nodes[] = {2, 3, 4, 1, 4, 2, 3, 4, 1, 4};
    for (unsigned i = 0; i < MEM_COUNT(nodes); i++) {
        bed_submit(&bed, i + 1, NULL, PLAIN);
        assert_int_equal(bed_given(&bed, i + 1, 0), nodes[i]);
    }
    bed_done(&bed);
}

static void nodes_are_never_given_more_than_their_slots_of_tasks_that_are_not_short(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 3, 2);
    bed_submit(&bed, 1, "0-99", PLAIN);
    assert_int_equal(bed_count_given(&bed), 6);
    bed_completes(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_count_given(&bed), 1);
    assert_int_equal(bed_given(&bed, 1, 6), 1);
    bed_done(&bed);
}

static void a_job_runs_only_where_its_selector_matches(void **state)
{
    (void)state;
    static const char *const gpu[] = {"gpu=1", "zone=eu"};
    struct bed bed;
    bed_cluster(&bed, 2, 4);
    bed_submit(&bed, 1, NULL, (struct sched_job_spec){.selector = "gpu=1"});
    bed_assert_reason(&bed, 1, "no node matches selector gpu=1");
    bed_put_node(&bed, &(struct sched_node_spec){
                           .id = 2, .name = "n2", .slots = 4, .labels = gpu, .labels_n = 2});
    assert_int_equal(bed_given(&bed, 1, 0), 2);
    bed_submit(&bed, 2, NULL, (struct sched_job_spec){.selector = "name=n1"});
    assert_int_equal(bed_given(&bed, 2, 0), 1);
    bed_done(&bed);
}

static void a_job_that_needs_more_than_any_node_has_says_so(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 4);
    bed_submit(&bed, 1, NULL, (struct sched_job_spec){.cpus = 8});
    bed_assert_reason(&bed, 1, "needs 8 cpus, the largest node has 4");
    bed_put_node(&bed, &(struct sched_node_spec){
                           .id = 3, .name = "n3", .slots = 8, .memory_bytes = UINT64_C(4) << 30});
    bed_up(&bed, 3, 1);
    assert_int_equal(bed_on(&bed, 1, 0, 1), 3);
    bed_submit(&bed, 2, NULL,
               (struct sched_job_spec){.cpus = 8, .memory_bytes = UINT64_C(8) << 30});
    bed_assert_reason(&bed, 2, "needs 8.0 GiB of memory, the largest node has 4.0 GiB");
    bed_done(&bed);
}

static void memory_is_reserved_and_what_others_use_is_left_alone(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 0, 0);
    bed_put_node(
        &bed, &(struct sched_node_spec){.id = 1, .name = "n1", .slots = 8, .memory_bytes = 1000});
    bed_up(&bed, 1, 1);
    bed_submit(&bed, 1, "0-9", (struct sched_job_spec){.memory_bytes = 400});
    assert_int_equal(bed_count_given(&bed), 2);
    bed_completes(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_count_given(&bed), 1);
    bed_step(&bed, (struct sched_event){
                       .type = SCHED_EVENT_NODE_VITALS, .node = 1, .memory_available_bytes = 300});
    bed_completes(&bed, 1, 1, 1, 1);
    assert_int_equal(bed_count_given(&bed), 0);
    bed_step(&bed, (struct sched_event){
                       .type = SCHED_EVENT_NODE_VITALS, .node = 1, .memory_available_bytes = 700});
    assert_int_equal(bed_count_given(&bed), 1);
    bed_done(&bed);
}

static void disk(struct bed *bed, uint64_t node, bool is_full)
{
    bed_step(bed, (struct sched_event){
                      .type = SCHED_EVENT_NODE_VITALS, .node = node, .disk_full = is_full});
}

static void a_node_without_disk_space_gets_nothing_until_it_has_some(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    disk(&bed, 2, true);
    bed_submit(&bed, 1, "0-2", PLAIN);
    assert_int_equal(bed_given(&bed, 1, 0), 1);
    assert_int_equal(bed_count_given(&bed), 1);
    bed_assert_reason(&bed, 1, "the only node is busy");
    disk(&bed, 1, true);
    bed_completes(&bed, 1, 1, 0, 1); /* what it has goes on, and counts */
    assert_int_equal(bed_count_given(&bed), 0);
    bed_submit(&bed, 2, NULL, PLAIN);
    bed_assert_reason(&bed, 2, "n1 and 1 more node have no disk space");
    disk(&bed, 2, false);
    assert_int_equal(bed_given(&bed, 1, 1), 2);
    assert_int_equal(bed_count_given(&bed), 1);
    disk(&bed, 1, false);
    assert_int_equal(bed_given(&bed, 1, 2), 1);
    bed_done(&bed);
}

static void a_job_whose_only_node_has_no_disk_space_says_so(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 3, 1);
    disk(&bed, 2, true);
    bed_submit(&bed, 1, NULL, (struct sched_job_spec){.selector = "name=n2"});
    bed_assert_reason(&bed, 1, "n2 has no disk space");
    disk(&bed, 2, false);
    assert_int_equal(bed_given(&bed, 1, 0), 2);
    bed_done(&bed);
}

static void what_does_not_fit_lets_later_jobs_pass(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 4);
    bed_submit(&bed, 1, "0-1", PLAIN);
    bed_submit(&bed, 2, NULL, (struct sched_job_spec){.cpus = 4});
    bed_assert_reason(&bed, 2, "the only node is busy");
    bed_submit(&bed, 3, NULL, PLAIN);
    assert_int_equal(bed_given(&bed, 3, 0), 1);
    bed_done(&bed);
}

static void a_job_that_starves_reserves_a_node(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 4);
    bed_submit(&bed, 1, "0-3", PLAIN);
    bed_submit(&bed, 2, NULL, (struct sched_job_spec){.cpus = 4});
    assert_int_equal(bed.update.next_deadline_ms, bed.now_ms + 5000);
    bed_submit(&bed, 3, "0-99", PLAIN);
    bed_completes(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_given(&bed, 3, 0), 1);
    bed_tick(&bed, 5000);
    for (uint32_t i = 1; i < 4; i++) {
        bed_completes(&bed, 1, 1, i, 1);
        assert_int_equal(bed_count_given(&bed), 0);
    }
    bed_completes(&bed, 1, 3, 0, 1);
    assert_int_equal(bed_given(&bed, 2, 0), 1);
    bed_completes(&bed, 1, 2, 0, 1);
    assert_int_equal(bed_count_given(&bed), 4);
    bed_done(&bed);
}

static void a_cancelled_job_gives_its_reservation_up(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 4);
    bed_submit(&bed, 1, "0-3", PLAIN);
    bed_submit(&bed, 2, NULL, (struct sched_job_spec){.cpus = 4});
    bed_submit(&bed, 3, "0-99", PLAIN);
    bed_tick(&bed, 5000);
    bed_completes(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_count_given(&bed), 0);
    bed_cancel(&bed, 2, NULL);
    assert_int_equal(bed_given(&bed, 3, 0), 1);
    bed_done(&bed);
}

static void an_array_limit_bounds_what_runs_at_once(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 8);
    bed_submit(&bed, 1, "0-9", (struct sched_job_spec){.array_limit = 4});
    assert_int_equal(bed_count_given(&bed), 4);
    bed_assert_reason(&bed, 1, "array limit 4 reached");
    bed_completes(&bed, bed_on(&bed, 1, 2, 1), 1, 2, 1);
    assert_int_equal(bed_count_given(&bed), 1);
    assert_true(bed_given(&bed, 1, 4) != 0);
    bed_done(&bed);
}

static void indices_of_a_stepped_array_are_those_that_were_asked_for(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 4);
    bed_submit(&bed, 1, "3-9:3,100-101", PLAIN);
    static const uint32_t indices[] = {3, 6, 9, 100};
    for (size_t i = 0; i < MEM_COUNT(indices); i++)
        assert_int_equal(bed_given(&bed, 1, indices[i]), 1);
    bed_completes(&bed, 1, 1, 6, 1);
    assert_int_equal(bed_given(&bed, 1, 101), 1);
    assert_int_equal(bed_cancel(&bed, 1, "4"), ERR_INVALID);
    assert_int_equal(bed_cancel(&bed, 1, "100-101"), 0);
    bed_done(&bed);
}

/* An element of job 1, at its first attempt. */
static void bed_completes_after(struct bed *bed, uint64_t node, uint32_t index, int64_t wall_ms)
{
    struct sched_report report = bed_report(1, index, 1, WIRE__TASK_PHASE__TASK_PHASE_COMPLETED);
    report.wall_ms = wall_ms;
    bed_send_report(bed, node, report);
}

static void short_tasks_are_queued_beyond_the_slots_up_to_twice_and_two(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, "0-99", PLAIN);
    assert_int_equal(bed_count_given(&bed), 2);
    bed_completes_after(&bed, 1, 0, 10);
    assert_int_equal(bed_count_given(&bed), 5);
    bed_completes_after(&bed, 1, 1, 1000);
    assert_int_equal(bed_count_given(&bed), 0);
    bed_done(&bed);
}

static void more_tiny_tasks_are_queued_than_short_ones(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, "0-99", PLAIN);
    bed_completes_after(&bed, 1, 0, 1);
    assert_int_equal(bed_count_given(&bed), (int)sched_slots_ahead(2) - 1);
    bed_completes_after(&bed, 1, 1, 30); /* no longer tiny */
    assert_int_equal(bed_count_given(&bed), 1);
    bed_completes_after(&bed, 1, 2, 100); /* short still, and more are queued than of those */
    for (uint32_t i = 3; i < 13; i++) {
        assert_int_equal(bed_count_given(&bed), 0);
        bed_completes_after(&bed, 1, i, 20);
    }
    assert_int_equal(bed_count_given(&bed), 1);
    bed_done(&bed);
}

static void queues_of_tiny_tasks_grow_evenly(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 2);
    bed_submit(&bed, 1, "0-19", PLAIN);
    assert_int_equal(bed_count_given(&bed), 4);
    bed_completes_after(&bed, bed_on(&bed, 1, 0, 1), 0, 1);
    assert_int_equal(bed_count_given(&bed), 16);
    struct sched_node_view one;
    struct sched_node_view two;
    assert_true(sched_node_view(bed.sched, 1, &one) && sched_node_view(bed.sched, 2, &two));
    assert_true(one.slots_used >= 9 && two.slots_used >= 9);
    bed_done(&bed);
}

static void what_need_not_wait_for_more_of_its_kind_says_so(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, "0-17", PLAIN);
    assert_true(bed.update.hurry); /* somebody waits, and slots are free */
    bed_completes_after(&bed, 1, 0, 1);
    assert_true(bed.update.hurry);
    bed_completes_after(&bed, 1, 1, 1);
    assert_int_equal(bed_count_given(&bed), 1);
    assert_false(bed.update.hurry); /* the node has others to go on with */
    for (uint32_t i = 2; i < 17; i++) {
        bed_completes_after(&bed, 1, i, 1);
        assert_false(bed.update.hurry);
    }
    bed_completes_after(&bed, 1, 17, 1);
    assert_true(bed.update.hurry); /* the job has ended */
    bed_submit(&bed, 2, "0-1", PLAIN);
    bed_cancel(&bed, 2, "1");
    assert_true(bed.update.hurry);
    bed_done(&bed);
}

static void short_tasks_are_not_queued_where_an_earlier_job_waits(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, "0-99", PLAIN);
    bed_submit(&bed, 2, NULL, (struct sched_job_spec){.priority = 1, .cpus = 2});
    bed_completes_after(&bed, 1, 0, 10);
    assert_int_equal(bed_count_given(&bed), 1);
    bed_cancel(&bed, 2, NULL);
    assert_int_equal(bed_count_given(&bed), 4);
    bed_done(&bed);
}

static void a_node_that_gives_back_gets_nothing_for_a_while(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, "0-9", PLAIN);
    bed_returns(&bed, 1, 1, 1, 1);
    bed_assert_attempt(&bed, 1, 1, 1, "returned");
    assert_non_null(bed_sent(&bed, SCHED_SEND_ACK, 1, 1));
    assert_int_equal(bed_count_given(&bed), 0);
    assert_int_equal(bed.update.next_deadline_ms, bed.now_ms + 1000);
    bed_tick(&bed, 1000);
    assert_int_equal(bed_given(&bed, 1, 1), 1);
    assert_int_equal(bed.update.sends[0].key.attempt, 2);
    bed_done(&bed);
}

/* ---- dependencies
 * -------------------------------------------------------------------------------- */

static struct sched_job_spec after(const struct sched_dependency *dependency)
{
    return (struct sched_job_spec){.after = dependency, .after_n = 1};
}

static void a_job_waits_until_its_dependency_is_met(void **state)
{
    (void)state;
    const struct sched_dependency ok = {WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_OK, bed_id(1), 0};
    const struct sched_dependency any = {WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_ANY, bed_id(2), 0};
    const struct sched_dependency fail = {WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_FAIL, bed_id(2),
                                          0};
    struct bed bed;
    bed_cluster(&bed, 1, 8);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_submit(&bed, 2, NULL, PLAIN);
    bed_submit(&bed, 3, NULL, after(&ok));
    bed_submit(&bed, 4, NULL, after(&any));
    bed_submit(&bed, 5, NULL, after(&fail));
    bed_assert_reason(&bed, 3, "waits for job abcd0000 (ok)");
    bed_completes(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_given(&bed, 3, 0), 1);
    bed_fails(&bed, 1, 2, 0, 1);
    assert_int_equal(bed_given(&bed, 4, 0), 1);
    assert_int_equal(bed_given(&bed, 5, 0), 1);
    bed_done(&bed);
}

static void a_dependency_that_can_never_be_met_cancels_the_job_and_those_behind_it(void **state)
{
    (void)state;
    const struct sched_dependency first = {WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_OK, bed_id(1), 0};
    const struct sched_dependency second = {WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_OK, bed_id(2),
                                            0};
    const struct sched_dependency third = {WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_ANY, bed_id(3),
                                           0};
    struct bed bed;
    bed_cluster(&bed, 1, 8);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_submit(&bed, 2, NULL, after(&first));
    bed_submit(&bed, 3, "0-9", after(&second));
    bed_submit(&bed, 4, NULL, after(&third));
    bed_fails(&bed, 1, 1, 0, 1);
    bed_assert_job(&bed, 2, "cancelled");
    bed_assert_reason(&bed, 2,
                      "job abcd0000 ended as failed, but this one was to run only if it completed");
    bed_assert_job(&bed, 3, "cancelled");
    assert_int_equal(bed_given(&bed, 4, 0), 1);
    bed_done(&bed);
}

static void a_job_that_ended_long_ago_counts_as_the_caller_says(void **state)
{
    (void)state;
    struct sched_dependency dependency = {WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_OK, bed_id(99),
                                          JOB_STATE_COMPLETED};
    struct bed bed;
    bed_cluster(&bed, 1, 8);
    bed_submit(&bed, 1, NULL, after(&dependency));
    assert_int_equal(bed_given(&bed, 1, 0), 1);
    dependency.state = JOB_STATE_FAILED;
    bed_submit(&bed, 2, NULL, after(&dependency));
    bed_assert_job(&bed, 2, "cancelled");
    bed_done(&bed);
}

static void a_chain_of_ten_thousand_cancelled_jobs_needs_no_stack(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 1);
    struct rangeset one;
    rangeset_init(&one);
    rangeset_add(&one, 0, 0);
    for (unsigned i = 1; i <= 10000; i++) {
        const struct sched_dependency before = {WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_OK,
                                                bed_id(i - 1), 0};
        const struct sched_job_spec spec = {
            .id = bed_id(i), .elements = &one, .after = &before, .after_n = i > 1};
        const struct sched_event event = {
            .type = SCHED_EVENT_JOB_SUBMIT, .now_ms = bed.now_ms, .job = &spec};
        sched_update_clear(&bed.update);
        assert_int_equal(sched_step(bed.sched, &event, &bed.update), 0);
    }
    rangeset_done(&one);
    sched_update_clear(&bed.update);
    const struct sched_event cancel = {
        .type = SCHED_EVENT_NODE_REMOVE, .now_ms = bed.now_ms, .node = 1};
    sched_step(bed.sched, &cancel, &bed.update);
    const struct sched_event stop = {
        .type = SCHED_EVENT_JOB_CANCEL, .now_ms = bed.now_ms, .job_id = bed_id(1)};
    sched_update_clear(&bed.update);
    assert_int_equal(sched_step(bed.sched, &stop, &bed.update), 0);
    assert_int_equal(bed.update.jobs_n, 10000);
    bed_done(&bed);
}

/* ---- cancel and retry
 * ---------------------------------------------------------------------------- */

static void pending_elements_are_cancelled_at_once_and_running_ones_by_their_node(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, "0-9", PLAIN);
    assert_int_equal(bed_cancel(&bed, 1, NULL), 0);
    bed_assert_job(&bed, 1, "running");
    assert_int_equal(bed_row(&bed, 1)->cancelled_n, 8);
    assert_int_equal(bed_sent(&bed, SCHED_SEND_CANCEL, 1, 0)->node, 1);
    assert_non_null(bed_sent(&bed, SCHED_SEND_CANCEL, 1, 1));
    bed_stopped(&bed, 1, 1, 0, 1);
    bed_completes(&bed, 1, 1, 1, 1);
    bed_assert_job(&bed, 1, "cancelled");
    bed_assert_reason(&bed, 1, "cancelled by ann");
    assert_int_equal(bed_row(&bed, 1)->cancelled_n, 9);
    assert_int_equal(bed_row(&bed, 1)->completed, 1);
    bed_done(&bed);
}

static void single_elements_can_be_cancelled(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 1);
    bed_submit(&bed, 1, "0-3", PLAIN);
    assert_int_equal(bed_cancel(&bed, 1, "1-2"), 0);
    bed_completes(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_given(&bed, 1, 3), 1);
    bed_completes(&bed, 1, 1, 3, 1);
    bed_assert_job(&bed, 1, "cancelled");
    assert_int_equal(bed_cancel(&bed, 1, NULL), 0);
    assert_int_equal(bed_row(&bed, 1)->completed, 2);
    bed_done(&bed);
}

static void a_retry_reopens_what_failed_or_was_cancelled_and_nothing_else(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 4);
    bed_submit(&bed, 1, "0-5", PLAIN);
    bed_cancel(&bed, 1, "4-5");
    bed_completes(&bed, 1, 1, 0, 1);
    bed_completes(&bed, 1, 1, 1, 1);
    bed_fails(&bed, 1, 1, 2, 1);
    bed_fails(&bed, 1, 1, 3, 1);
    bed_assert_job(&bed, 1, "failed");
    bed_assert_reason(&bed, 1, "element 2: exit_nonzero on n1: exit code 3 (and 1 more)");
    assert_int_equal(bed_retry(&bed, 1), 0);
    assert_int_equal(bed_count_given(&bed), 4);
    assert_int_equal(bed_row(&bed, 1)->completed, 2);
    for (uint32_t i = 2; i <= 5; i++)
        bed_completes(&bed, 1, 1, i, 2);
    bed_assert_job(&bed, 1, "completed");
    assert_int_equal(bed_retry(&bed, 1), 0);
    bed_assert_job(&bed, 1, "completed");
    bed_done(&bed);
}

static void a_job_that_left_memory_is_retried_from_its_rows(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 4);
    bed_submit(&bed, 1, "0-2", PLAIN);
    bed_completes(&bed, 1, 1, 0, 1);
    bed_fails(&bed, 1, 1, 1, 1);
    bed_completes(&bed, 1, 1, 2, 1);
    bed_step(&bed, (struct sched_event){.type = SCHED_EVENT_APPLIED, .turn = bed.update.turn});
    assert_int_equal(bed_retry(&bed, 1), ERR_NOT_FOUND);
    struct uuid id = bed_id(1);
    assert_int_equal(sched_rows_load(&bed.rows, &id, bed.sched, &bed.update, bed.now_ms), 0);
    assert_int_equal(bed_retry(&bed, 1), 0);
    assert_int_equal(bed_count_given(&bed), 1);
    assert_int_equal(bed.update.sends[0].key.index, 1);
    assert_int_equal(bed.update.sends[0].key.attempt, 2);
    bed_completes(&bed, 1, 1, 1, 2);
    bed_assert_job(&bed, 1, "completed");
    bed_done(&bed);
}

static void ended_jobs_leave_memory_when_they_are_applied(void **state)
{
    (void)state;
    struct bed bed;
    struct sched_job_view view;
    bed_cluster(&bed, 1, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_completes(&bed, 1, 1, 0, 1);
    struct uuid id = bed_id(1);
    uint64_t turn = bed.update.turn;
    bed_step(&bed, (struct sched_event){.type = SCHED_EVENT_APPLIED, .turn = turn - 1});
    assert_true(sched_job_view(bed.sched, &id, &view));
    bed_step(&bed, (struct sched_event){.type = SCHED_EVENT_APPLIED, .turn = turn});
    assert_false(sched_job_view(bed.sched, &id, &view));
    bed_completes(&bed, 1, 1, 0, 1);
    assert_non_null(bed_sent(&bed, SCHED_SEND_ACK, 1, 0));
    assert_int_equal(bed.update.tasks_n, 0);
    bed_done(&bed);
}

/* ---- nodes
 * --------------------------------------------------------------------------------------- */

static void a_draining_node_finishes_what_it_has_and_gets_nothing_new(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 1);
    bed_submit(&bed, 1, "0-1", PLAIN);
    bed_step(&bed,
             (struct sched_event){.type = SCHED_EVENT_NODE_DRAIN, .node = 1, .draining = true});
    bed_completes(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_count_given(&bed), 0);
    bed_tick(&bed, 100);
    bed_assert_reason(&bed, 1, "the only node is draining");
    bed_step(&bed, (struct sched_event){.type = SCHED_EVENT_NODE_DRAIN, .node = 1});
    assert_int_equal(bed_given(&bed, 1, 1), 1);
    bed_done(&bed);
}

static void at_the_deadline_of_a_drain_what_is_left_goes_to_others(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_step(&bed, (struct sched_event){.type = SCHED_EVENT_NODE_DRAIN,
                                        .node = 1,
                                        .draining = true,
                                        .drain_deadline_ms = bed.now_ms + 700});
    assert_int_equal(bed.update.next_deadline_ms - bed.now_ms, 20);
    bed_tick(&bed, 699);
    assert_int_equal(bed.update.next_deadline_ms - bed.now_ms, 1);
    bed_tick(&bed, 1);
    assert_non_null(bed_sent(&bed, SCHED_SEND_CANCEL, 1, 0));
    bed_stopped(&bed, 1, 1, 0, 1);
    bed_assert_attempt(&bed, 1, 0, 1, "returned");
    assert_int_equal(bed_given(&bed, 1, 0), 2);
    bed_done(&bed);
}

static void a_suspect_node_keeps_what_it_has_and_gets_nothing_new(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_health(&bed, 1, SCHED_HEALTH_SUSPECT);
    bed_submit(&bed, 2, NULL, PLAIN);
    assert_int_equal(bed_count_given(&bed), 0);
    bed_assert_reason(&bed, 2, "no worker is online");
    assert_int_equal(bed_on(&bed, 1, 0, 1), 1);
    bed_health(&bed, 1, SCHED_HEALTH_ALIVE);
    assert_int_equal(bed_given(&bed, 2, 0), 1);
    bed_done(&bed);
}

static void what_a_removed_node_had_goes_to_others(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_step(&bed, (struct sched_event){.type = SCHED_EVENT_NODE_REMOVE, .node = 1});
    bed_assert_attempt(&bed, 1, 0, 1, "lost");
    assert_int_equal(bed_given(&bed, 1, 0), 2);
    bed_done(&bed);
}

/* ---- agents
 * -------------------------------------------------------------------------------------- */

static void an_agent_is_never_pushed_to_and_gets_the_oldest_job_that_fits_when_it_asks(void **state)
{
    (void)state;
    struct bed bed;
    struct task_key key;
    struct uuid second = bed_id(2);
    bed_cluster(&bed, 0, 0);
    bed_agent(&bed, 1);
    bed_submit(&bed, 1, NULL, (struct sched_job_spec){.cpus = 2});
    bed_submit(&bed, 2, NULL, PLAIN);
    bed_submit(&bed, 3, NULL, PLAIN);
    bed_assert_reason(&bed, 2, "waits until the only agent asks for work");
    assert_true(bed_poll(&bed, 1, &key));
    assert_int_equal(bed.update.sends_n, 0);
    assert_int_equal(uuid_compare(&key.job, &second), 0);
    bed_assert_attempt(&bed, 2, 0, 1, "assigned");
    bed_done(&bed);
}

static void an_agent_that_asks_again_gets_the_same_once_more(void **state)
{
    (void)state;
    struct bed bed;
    struct task_key first;
    struct task_key again;
    bed_cluster(&bed, 0, 0);
    bed_agent(&bed, 1);
    bed_submit(&bed, 1, "0-9", PLAIN);
    assert_true(bed_poll(&bed, 1, &first));
    assert_true(bed_poll(&bed, 1, &again));
    assert_memory_equal(&first, &again, sizeof first);
    assert_int_equal(bed.update.tasks_n, 0);
    bed_done(&bed);
}

static int result(struct bed *bed, uint64_t node, unsigned id, uint32_t index)
{
    const struct sched_report report =
        bed_report(id, index, 0, WIRE__TASK_PHASE__TASK_PHASE_COMPLETED);
    return bed_step(
        bed, (struct sched_event){
                 .type = SCHED_EVENT_RESULT, .node = node, .reports = &report, .reports_n = 1});
}

static void results_are_taken_from_the_agent_that_has_the_element(void **state)
{
    (void)state;
    struct bed bed;
    struct task_key key;
    bed_cluster(&bed, 0, 0);
    bed_agent(&bed, 1);
    bed_agent(&bed, 2);
    bed_submit(&bed, 1, "0-1", PLAIN);
    assert_int_equal(result(&bed, 1, 1, 0), ERR_FORBIDDEN);
    assert_true(bed_poll(&bed, 1, &key));
    assert_int_equal(result(&bed, 2, 1, 0), ERR_FORBIDDEN);
    assert_int_equal(result(&bed, 9, 1, 0), ERR_NOT_FOUND);
    assert_int_equal(result(&bed, 1, 7, 0), ERR_NOT_FOUND);
    assert_int_equal(result(&bed, 1, 1, 5), ERR_NOT_FOUND);
    assert_int_equal(result(&bed, 1, 1, 0), 0);
    bed_assert_attempt(&bed, 1, 0, 1, "completed");
    assert_int_equal(result(&bed, 1, 1, 0), ERR_EXISTS);
    assert_int_equal(bed.update.tasks_n, 0);
    bed_done(&bed);
}

static void a_result_of_an_agent_that_was_offline_counts_while_nobody_else_completed(void **state)
{
    (void)state;
    struct bed bed;
    struct task_key key;
    bed_cluster(&bed, 0, 0);
    bed_agent(&bed, 1);
    bed_agent(&bed, 2);
    bed_submit(&bed, 1, NULL, PLAIN);
    assert_true(bed_poll(&bed, 1, &key));
    bed_health(&bed, 1, SCHED_HEALTH_OFFLINE);
    bed_assert_attempt(&bed, 1, 0, 1, "lost");
    assert_true(bed_poll(&bed, 2, &key));
    assert_int_equal(key.attempt, 2);
    assert_int_equal(result(&bed, 1, 1, 0), 0);
    bed_assert_attempt(&bed, 1, 0, 1, "completed");
    bed_assert_attempt(&bed, 1, 0, 2, "cancelled");
    bed_assert_job(&bed, 1, "completed");
    bed_done(&bed);
}

static void cancelling_takes_an_agents_element_away_at_once(void **state)
{
    (void)state;
    struct bed bed;
    struct task_key key;
    bed_cluster(&bed, 0, 0);
    bed_agent(&bed, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    assert_true(bed_poll(&bed, 1, &key));
    bed_cancel(&bed, 1, NULL);
    bed_assert_job(&bed, 1, "cancelled");
    assert_false(bed_poll(&bed, 1, &key));
    assert_int_equal(result(&bed, 1, 1, 0), ERR_EXISTS);
    bed_done(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_placed_at_once_and_its_row_comes_with_the_assignment),
        cmocka_unit_test(a_job_goes_from_pending_over_running_to_completed),
        cmocka_unit_test(the_same_idempotency_key_gives_the_same_job),
        cmocka_unit_test(what_is_wrong_with_a_job_is_refused_before_anything_changes),
        cmocka_unit_test(higher_priority_goes_first_and_equal_priority_by_submission),
        cmocka_unit_test(the_least_loaded_node_is_taken_by_slots_then_load_then_id),
        cmocka_unit_test(nodes_are_never_given_more_than_their_slots_of_tasks_that_are_not_short),
        cmocka_unit_test(a_job_runs_only_where_its_selector_matches),
        cmocka_unit_test(a_job_that_needs_more_than_any_node_has_says_so),
        cmocka_unit_test(memory_is_reserved_and_what_others_use_is_left_alone),
        cmocka_unit_test(a_node_without_disk_space_gets_nothing_until_it_has_some),
        cmocka_unit_test(a_job_whose_only_node_has_no_disk_space_says_so),
        cmocka_unit_test(what_does_not_fit_lets_later_jobs_pass),
        cmocka_unit_test(a_job_that_starves_reserves_a_node),
        cmocka_unit_test(a_cancelled_job_gives_its_reservation_up),
        cmocka_unit_test(an_array_limit_bounds_what_runs_at_once),
        cmocka_unit_test(indices_of_a_stepped_array_are_those_that_were_asked_for),
        cmocka_unit_test(short_tasks_are_queued_beyond_the_slots_up_to_twice_and_two),
        cmocka_unit_test(more_tiny_tasks_are_queued_than_short_ones),
        cmocka_unit_test(queues_of_tiny_tasks_grow_evenly),
        cmocka_unit_test(what_need_not_wait_for_more_of_its_kind_says_so),
        cmocka_unit_test(short_tasks_are_not_queued_where_an_earlier_job_waits),
        cmocka_unit_test(a_node_that_gives_back_gets_nothing_for_a_while),
        cmocka_unit_test(a_job_waits_until_its_dependency_is_met),
        cmocka_unit_test(a_dependency_that_can_never_be_met_cancels_the_job_and_those_behind_it),
        cmocka_unit_test(a_job_that_ended_long_ago_counts_as_the_caller_says),
        cmocka_unit_test(a_chain_of_ten_thousand_cancelled_jobs_needs_no_stack),
        cmocka_unit_test(pending_elements_are_cancelled_at_once_and_running_ones_by_their_node),
        cmocka_unit_test(single_elements_can_be_cancelled),
        cmocka_unit_test(a_retry_reopens_what_failed_or_was_cancelled_and_nothing_else),
        cmocka_unit_test(a_job_that_left_memory_is_retried_from_its_rows),
        cmocka_unit_test(ended_jobs_leave_memory_when_they_are_applied),
        cmocka_unit_test(a_draining_node_finishes_what_it_has_and_gets_nothing_new),
        cmocka_unit_test(at_the_deadline_of_a_drain_what_is_left_goes_to_others),
        cmocka_unit_test(a_suspect_node_keeps_what_it_has_and_gets_nothing_new),
        cmocka_unit_test(what_a_removed_node_had_goes_to_others),
        cmocka_unit_test(
            an_agent_is_never_pushed_to_and_gets_the_oldest_job_that_fits_when_it_asks),
        cmocka_unit_test(an_agent_that_asks_again_gets_the_same_once_more),
        cmocka_unit_test(results_are_taken_from_the_agent_that_has_the_element),
        cmocka_unit_test(a_result_of_an_agent_that_was_offline_counts_while_nobody_else_completed),
        cmocka_unit_test(cancelling_takes_an_agents_element_away_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
