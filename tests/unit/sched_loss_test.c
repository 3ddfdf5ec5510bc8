/* What becomes of elements when nodes, links, daemons and leaders fail. */
#include "core/scheduler.h"

#include "base/mem.h"
#include "tests/unit/sched_bed.h"

#define PLAIN   ((struct sched_job_spec){0})
#define RUNNING WIRE__TASK_PHASE__TASK_PHASE_RUNNING
#define QUEUED  WIRE__TASK_PHASE__TASK_PHASE_QUEUED
#define DONE    WIRE__TASK_PHASE__TASK_PHASE_COMPLETED

/* ---- failures
 * ------------------------------------------------------------------------------------ */

static void a_failed_element_is_retried_on_a_different_node(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 4);
    bed_submit(&bed, 1, NULL, (struct sched_job_spec){.retries = 2});
    bed_fails(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_given(&bed, 1, 0), 2);
    bed_fails(&bed, 2, 1, 0, 2);
    assert_int_equal(bed_given(&bed, 1, 0), 1);
    bed_fails(&bed, 1, 1, 0, 3);
    bed_assert_job(&bed, 1, "failed");
    bed_assert_reason(&bed, 1, "exit_nonzero on n1: exit code 3");
    bed_done(&bed);
}

static void a_retry_waits_for_another_node_that_is_up_and_busy(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, NULL, (struct sched_job_spec){.retries = 1});
    bed_submit(&bed, 2, NULL, PLAIN);
    bed_submit(&bed, 3, NULL, PLAIN);
    bed_fails(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_given(&bed, 1, 0), 0);
    assert_int_equal(bed_given(&bed, 3, 0), 1);
    bed_assert_reason(&bed, 1, "waits for another node than n1, where it failed");
    bed_completes(&bed, 1, 3, 0, 1);
    assert_int_equal(bed_count_given(&bed), 0);
    bed_completes(&bed, 2, 2, 0, 1);
    assert_int_equal(bed_given(&bed, 1, 0), 2);
    bed_done(&bed);
}

static void a_retry_goes_back_when_no_other_node_is_left(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, NULL, (struct sched_job_spec){.retries = 1});
    bed_submit(&bed, 2, NULL, PLAIN);
    bed_fails(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_count_given(&bed), 0);
    bed_health(&bed, 2, SCHED_HEALTH_OFFLINE);
    assert_int_equal(bed_given(&bed, 1, 0), 1);
    bed_done(&bed);
}

static void other_elements_go_on_where_one_failed(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, "0-9", (struct sched_job_spec){.retries = 1});
    bed_fails(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_given(&bed, 1, 2), 1);
    bed_completes(&bed, 2, 1, 1, 1);
    assert_int_equal(bed_given(&bed, 1, 0), 2);
    bed_done(&bed);
}

/* ---- losses
 * -------------------------------------------------------------------------------------- */

static void what_an_offline_node_had_goes_to_others_and_uses_up_no_retry(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_runs(&bed, 1, 1, 0, 1);
    bed_health(&bed, 1, SCHED_HEALTH_SUSPECT);
    assert_int_equal(bed.update.tasks_n, 0);
    bed_health(&bed, 1, SCHED_HEALTH_OFFLINE);
    bed_assert_attempt(&bed, 1, 0, 1, "lost");
    assert_int_equal(bed_given(&bed, 1, 0), 2);
    assert_int_equal(bed.update.sends[0].key.attempt, 2);
    bed_completes(&bed, 2, 1, 0, 2);
    bed_assert_job(&bed, 1, "completed");
    bed_done(&bed);
}

static void an_element_that_is_lost_too_often_fails(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    for (uint64_t session = 2; session <= 21; session++) {
        bed_assert_job(&bed, 1, "running");
        bed_link(&bed, 1, session);
        bed_held(&bed, 1, session, NULL, 0);
        assert_int_equal(bed_given(&bed, 1, 0), 1);
    }
    bed_link(&bed, 1, 22);
    bed_held(&bed, 1, 22, NULL, 0);
    bed_assert_job(&bed, 1, "failed");
    assert_non_null(strstr(bed_row(&bed, 1)->reason, "node_lost"));
    bed_done(&bed);
}

static void a_task_that_died_with_its_daemon_is_lost_and_not_failed(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    struct sched_report report = bed_report(1, 0, 1, WIRE__TASK_PHASE__TASK_PHASE_FAILED);
    report.code = TASK_CODE_NODE_LOST;
    bed_send_report(&bed, 1, report);
    bed_assert_attempt(&bed, 1, 0, 1, "lost");
    assert_non_null(bed_sent(&bed, SCHED_SEND_ACK, 1, 0));
    assert_int_equal(bed_given(&bed, 1, 0), 1);
    bed_done(&bed);
}

static void a_lost_attempt_that_still_runs_is_taken_back_while_nothing_replaced_it(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_runs(&bed, 1, 1, 0, 1);
    bed_health(&bed, 1, SCHED_HEALTH_OFFLINE);
    bed_assert_attempt(&bed, 1, 0, 1, "lost");
    bed_health(&bed, 1, SCHED_HEALTH_ALIVE);
    bed_link(&bed, 1, 2);
    const struct sched_report held = bed_report(1, 0, 1, RUNNING);
    bed_held(&bed, 1, 2, &held, 1);
    bed_assert_attempt(&bed, 1, 0, 1, "running");
    assert_int_equal(bed_count_given(&bed), 0);
    bed_completes(&bed, 1, 1, 0, 1);
    bed_assert_job(&bed, 1, "completed");
    bed_done(&bed);
}

static void a_lost_attempt_that_was_replaced_is_stopped_when_it_is_found(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_health(&bed, 1, SCHED_HEALTH_OFFLINE);
    assert_int_equal(bed_on(&bed, 1, 0, 2), 2);
    bed_health(&bed, 1, SCHED_HEALTH_ALIVE);
    bed_link(&bed, 1, 2);
    const struct sched_report held = bed_report(1, 0, 1, RUNNING);
    bed_held(&bed, 1, 2, &held, 1);
    const struct sched_send *cancel = bed_sent(&bed, SCHED_SEND_CANCEL, 1, 0);
    assert_true(cancel->superseded);
    assert_int_equal(cancel->key.attempt, 1);
    bed_assert_attempt(&bed, 1, 0, 1, "lost");
    bed_submit(&bed, 2, NULL, PLAIN);
    assert_int_equal(bed_given(&bed, 2, 0), 0);
    bed_stopped(&bed, 1, 1, 0, 1);
    assert_int_equal(bed_given(&bed, 2, 0), 1);
    bed_done(&bed);
}

static void a_lost_attempt_that_completed_counts_and_its_replacement_is_stopped(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_health(&bed, 1, SCHED_HEALTH_OFFLINE);
    bed_runs(&bed, 2, 1, 0, 2);
    bed_completes(&bed, 1, 1, 0, 1);
    bed_assert_attempt(&bed, 1, 0, 1, "completed");
    bed_assert_attempt(&bed, 1, 0, 2, "cancelled");
    bed_assert_job(&bed, 1, "completed");
    assert_int_equal(bed_sent(&bed, SCHED_SEND_CANCEL, 1, 0)->node, 2);
    bed_completes(&bed, 2, 1, 0, 2);
    assert_int_equal(bed.update.tasks_n + bed.update.jobs_n, 0);
    assert_int_equal(bed_sent(&bed, SCHED_SEND_ACK, 1, 0)->node, 2);
    bed_done(&bed);
}

static void a_lost_attempt_that_failed_counts_only_while_nothing_replaced_it(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_health(&bed, 1, SCHED_HEALTH_OFFLINE);
    bed_fails(&bed, 1, 1, 0, 1);
    bed_assert_attempt(&bed, 1, 0, 1, "lost");
    bed_assert_job(&bed, 1, "running");
    bed_health(&bed, 2, SCHED_HEALTH_OFFLINE);
    bed_fails(&bed, 2, 1, 0, 2);
    bed_assert_attempt(&bed, 1, 0, 2, "failed");
    bed_assert_job(&bed, 1, "failed");
    bed_done(&bed);
}

static void the_second_report_of_a_result_changes_nothing_and_is_acknowledged(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, "0-9", PLAIN);
    bed_completes(&bed, 1, 1, 0, 1);
    bed_completes(&bed, 1, 1, 0, 1);
    assert_int_equal(bed.update.tasks_n + bed.update.jobs_n, 0);
    assert_int_equal(bed.update.sends_n, 1);
    assert_int_equal(bed.update.sends[0].type, SCHED_SEND_ACK);
    assert_int_equal(bed_row(&bed, 1)->completed, 1);
    bed_done(&bed);
}

static void reports_of_attempts_that_were_never_given_out_are_not_believed(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_completes(&bed, 2, 1, 0, 1);
    bed_assert_job(&bed, 1, "running");
    bed_completes(&bed, 1, 1, 0, 2);
    bed_assert_job(&bed, 1, "running");
    bed_completes(&bed, 1, 1, 5, 1);
    bed_completes(&bed, 1, 9, 0, 1);
    assert_int_equal(bed.update.tasks_n + bed.update.jobs_n, 0);
    bed_runs(&bed, 2, 1, 0, 1);
    assert_true(bed_sent(&bed, SCHED_SEND_CANCEL, 1, 0)->superseded);
    assert_int_equal(bed_on(&bed, 1, 0, 1), 1);
    bed_done(&bed);
}

/* ---- links
 * --------------------------------------------------------------------------------------- */

static void an_assignment_that_a_broken_link_swallowed_is_given_again(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, "0-1", PLAIN);
    bed_link(&bed, 1, 2);
    const struct sched_report held = bed_report(1, 1, 1, QUEUED);
    bed_held(&bed, 1, 2, &held, 1);
    bed_assert_attempt(&bed, 1, 0, 1, "lost");
    bed_assert_attempt(&bed, 1, 1, 1, "assigned");
    assert_int_equal(bed_given(&bed, 1, 0), 1);
    assert_int_equal(bed.update.sends[0].session, 2);
    bed_done(&bed);
}

static void what_was_assigned_in_this_session_is_on_its_way_and_not_lost(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_held(&bed, 1, 1, NULL, 0);
    assert_int_equal(bed_on(&bed, 1, 0, 1), 1);
    bed_held(&bed, 1, 7, NULL, 0);
    assert_int_equal(bed_on(&bed, 1, 0, 1), 1);
    bed_done(&bed);
}

static void a_node_gets_nothing_before_it_said_what_it_holds(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_link(&bed, 1, 2);
    bed_submit(&bed, 1, NULL, PLAIN);
    assert_int_equal(bed_count_given(&bed), 0);
    bed_held(&bed, 1, 1, NULL, 0);
    assert_int_equal(bed_count_given(&bed), 0);
    bed_held(&bed, 1, 2, NULL, 0);
    assert_int_equal(bed_given(&bed, 1, 0), 1);
    bed_done(&bed);
}

static void a_node_back_from_offline_says_first_what_it_holds(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_health(&bed, 1, SCHED_HEALTH_OFFLINE);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_health(&bed, 1, SCHED_HEALTH_ALIVE);
    assert_int_equal(bed_count_given(&bed), 0);
    bed_held(&bed, 1, 1, NULL, 0);
    assert_int_equal(bed_given(&bed, 1, 0), 1);
    bed_done(&bed);
}

static void a_cancellation_that_a_broken_link_swallowed_is_sent_again(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_cancel(&bed, 1, NULL);
    bed_link(&bed, 1, 2);
    const struct sched_report held = bed_report(1, 0, 1, RUNNING);
    bed_held(&bed, 1, 2, &held, 1);
    assert_non_null(bed_sent(&bed, SCHED_SEND_CANCEL, 1, 0));
    bed_health(&bed, 1, SCHED_HEALTH_OFFLINE);
    bed_assert_job(&bed, 1, "cancelled");
    bed_done(&bed);
}

/* ---- a new leader
 * -------------------------------------------------------------------------------- */

static void a_new_leader_leaves_tasks_to_their_nodes(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 2);
    bed_submit(&bed, 1, "0-9", PLAIN);
    bed_completes(&bed, 1, 1, 0, 1);
    bed_runs(&bed, 2, 1, 1, 1);
    bed_new_leader(&bed, 2, 2);
    bed_assert_attempt(&bed, 1, 1, 1, "running");
    assert_int_equal(bed.update.tasks_n, 0);
    bed_health(&bed, 2, SCHED_HEALTH_ALIVE);
    bed_link(&bed, 2, 1);
    const struct sched_report held[] = {bed_report(1, 1, 1, RUNNING), bed_report(1, 3, 1, DONE)};
    bed_held(&bed, 2, 1, held, 2);
    bed_assert_attempt(&bed, 1, 3, 1, "completed");
    assert_int_equal(bed_count_given(&bed), 1);
    assert_int_equal(bed_given(&bed, 1, 5), 2);
    bed_done(&bed);
}

static void a_new_leader_requeues_what_a_node_does_not_hold(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_new_leader(&bed, 1, 1);
    bed_up(&bed, 1, 1);
    bed_assert_attempt(&bed, 1, 0, 1, "lost");
    assert_int_equal(bed_given(&bed, 1, 0), 1);
    assert_int_equal(bed.update.sends[0].key.attempt, 2);
    bed_done(&bed);
}

static void a_new_leader_loses_what_silent_nodes_had(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_new_leader(&bed, 2, 1);
    bed_up(&bed, 2, 1);
    assert_int_equal(bed_count_given(&bed), 0);
    bed_health(&bed, 1, SCHED_HEALTH_OFFLINE);
    assert_int_equal(bed_given(&bed, 1, 0), 2);
    bed_done(&bed);
}

static void a_new_leader_knows_failures_losses_and_cancellations(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 2);
    bed_submit(&bed, 1, "0-9", (struct sched_job_spec){.retries = 1});
    bed_cancel(&bed, 1, "8-9");
    bed_fails(&bed, 1, 1, 0, 1);
    bed_cancel(&bed, 1, "1");
    bed_new_leader(&bed, 2, 2);
    struct sched_job_view view;
    struct uuid id = bed_id(1);
    assert_true(sched_job_view(bed.sched, &id, &view));
    assert_int_equal(view.cancelled, 2);
    assert_int_equal(view.running, 4);
    bed_health(&bed, 2, SCHED_HEALTH_ALIVE);
    bed_link(&bed, 2, 1);
    const struct sched_report held = bed_report(1, 1, 1, RUNNING);
    bed_held(&bed, 2, 1, &held, 1);
    assert_non_null(bed_sent(&bed, SCHED_SEND_CANCEL, 1, 1));
    uint64_t on = bed_given(&bed, 1, 0);
    assert_int_equal(on, 2);
    bed_fails(&bed, 2, 1, 0, 2);
    assert_int_equal(bed_row(&bed, 1)->failed, 1);
    bed_done(&bed);
}

static void a_new_leader_knows_which_round_of_retries_it_is(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 1, 2);
    bed_submit(&bed, 1, "0-3", PLAIN);
    for (uint32_t i = 0; i < 4; i++)
        bed_fails(&bed, 1, 1, i, 1);
    bed_retry(&bed, 1);
    bed_fails(&bed, 1, 1, 0, 2);
    bed_new_leader(&bed, 1, 2);
    struct sched_job_view view;
    struct uuid id = bed_id(1);
    assert_true(sched_job_view(bed.sched, &id, &view));
    assert_int_equal(view.failed, 1);
    assert_int_equal(view.pending, 1);
    bed_up(&bed, 1, 1);
    for (uint32_t i = 1; i < 4; i++)
        bed_completes(&bed, 1, 1, i, i < 3 ? 3 : 2);
    bed_assert_job(&bed, 1, "failed");
    assert_int_equal(bed_row(&bed, 1)->completed, 3);
    bed_done(&bed);
}

static void a_job_whose_dependency_was_met_before_the_leader_fell_goes_on(void **state)
{
    (void)state;
    const struct sched_dependency first = {WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_OK, bed_id(1), 0};
    const struct sched_dependency third = {WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_OK, bed_id(3), 0};
    struct bed bed;
    bed_cluster(&bed, 1, 1);
    bed_submit(&bed, 1, NULL, PLAIN);
    bed_submit(&bed, 2, NULL, (struct sched_job_spec){.after = &first, .after_n = 1});
    bed_submit(&bed, 3, NULL, PLAIN);
    bed_submit(&bed, 4, NULL, (struct sched_job_spec){.after = &third, .after_n = 1});
    bed_completes(&bed, 1, 1, 0, 1);
    bed_new_leader(&bed, 1, 1);
    bed_up(&bed, 1, 1);
    assert_int_equal(bed_on(&bed, 2, 0, 2), 1);
    bed_tick(&bed, 100);
    bed_assert_reason(&bed, 4, "waits for job abcd0000 (ok)");
    bed_done(&bed);
}

static void rows_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    struct bed bed;
    bed_cluster(&bed, 2, 1);
    bed_submit(&bed, 1, "0-9", PLAIN);
    struct sched_rows_task *task = sched_rows_task(&bed.rows, 1, 0, 1);
    task->round = 3;
    struct sched_config config;
    sched_config_default(&config);
    struct sched *other = sched_new(&config);
    struct sched_update update = {0};
    assert_int_equal(sched_rows_restore(&bed.rows, other, &update, bed.now_ms), ERR_CORRUPT);
    sched_free(other);
    sched_update_done(&update);
    bed_done(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_element_is_retried_on_a_different_node),
        cmocka_unit_test(a_retry_waits_for_another_node_that_is_up_and_busy),
        cmocka_unit_test(a_retry_goes_back_when_no_other_node_is_left),
        cmocka_unit_test(other_elements_go_on_where_one_failed),
        cmocka_unit_test(what_an_offline_node_had_goes_to_others_and_uses_up_no_retry),
        cmocka_unit_test(an_element_that_is_lost_too_often_fails),
        cmocka_unit_test(a_task_that_died_with_its_daemon_is_lost_and_not_failed),
        cmocka_unit_test(a_lost_attempt_that_still_runs_is_taken_back_while_nothing_replaced_it),
        cmocka_unit_test(a_lost_attempt_that_was_replaced_is_stopped_when_it_is_found),
        cmocka_unit_test(a_lost_attempt_that_completed_counts_and_its_replacement_is_stopped),
        cmocka_unit_test(a_lost_attempt_that_failed_counts_only_while_nothing_replaced_it),
        cmocka_unit_test(the_second_report_of_a_result_changes_nothing_and_is_acknowledged),
        cmocka_unit_test(reports_of_attempts_that_were_never_given_out_are_not_believed),
        cmocka_unit_test(an_assignment_that_a_broken_link_swallowed_is_given_again),
        cmocka_unit_test(what_was_assigned_in_this_session_is_on_its_way_and_not_lost),
        cmocka_unit_test(a_node_gets_nothing_before_it_said_what_it_holds),
        cmocka_unit_test(a_node_back_from_offline_says_first_what_it_holds),
        cmocka_unit_test(a_cancellation_that_a_broken_link_swallowed_is_sent_again),
        cmocka_unit_test(a_new_leader_leaves_tasks_to_their_nodes),
        cmocka_unit_test(a_new_leader_requeues_what_a_node_does_not_hold),
        cmocka_unit_test(a_new_leader_loses_what_silent_nodes_had),
        cmocka_unit_test(a_new_leader_knows_failures_losses_and_cancellations),
        cmocka_unit_test(a_new_leader_knows_which_round_of_retries_it_is),
        cmocka_unit_test(a_job_whose_dependency_was_met_before_the_leader_fell_goes_on),
        cmocka_unit_test(rows_that_contradict_each_other_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
