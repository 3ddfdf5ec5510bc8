#include "core/job.h"

#include <string.h>

#include "base/error.h"
#include "tests/unit/generated.h"

static void names_of_states_are_read_back(void **state)
{
    (void)state;
    for (int i = JOB_STATE_NONE; i <= JOB_STATE_CANCELLED; i++)
        assert_int_equal(job_state_parse(job_state_name(i)), i);
    for (int i = ATTEMPT_STATE_NONE; i <= ATTEMPT_STATE_RETURNED; i++)
        assert_int_equal(attempt_state_parse(attempt_state_name(i)), i);
    assert_int_equal(job_state_parse("finished"), ERR_NOT_FOUND);
    assert_string_equal(job_state_name((enum job_state)99), "none");
}

static void a_completed_job_and_attempt_stay_completed(void **state)
{
    (void)state;
    for (int i = JOB_STATE_NONE; i <= JOB_STATE_CANCELLED; i++)
        assert_false(job_state_allows(JOB_STATE_COMPLETED, i));
    for (int i = ATTEMPT_STATE_NONE; i <= ATTEMPT_STATE_RETURNED; i++)
        assert_false(attempt_state_allows(ATTEMPT_STATE_COMPLETED, i));
}

static void only_lost_attempts_come_back(void **state)
{
    (void)state;
    for (int i = ATTEMPT_STATE_COMPLETED; i <= ATTEMPT_STATE_RETURNED; i++)
        assert_int_equal(attempt_state_allows(i, ATTEMPT_STATE_RUNNING), i == ATTEMPT_STATE_LOST);
}

static void every_state_but_none_is_reached(void **state)
{
    (void)state;
    for (int to = JOB_STATE_PENDING; to <= JOB_STATE_CANCELLED; to++) {
        int ways = 0;
        for (int from = JOB_STATE_NONE; from <= JOB_STATE_CANCELLED; from++)
            ways += job_state_allows(from, to);
        assert_true(ways > 0);
    }
    assert_false(job_state_allows(JOB_STATE_PENDING, JOB_STATE_NONE));
}

static void ended_states_are_told_from_live_ones(void **state)
{
    (void)state;
    assert_false(job_state_is_ended(JOB_STATE_PENDING));
    assert_false(job_state_is_ended(JOB_STATE_RUNNING));
    assert_true(job_state_is_ended(JOB_STATE_CANCELLED));
    assert_false(attempt_state_is_ended(ATTEMPT_STATE_RUNNING));
    assert_true(attempt_state_is_ended(ATTEMPT_STATE_RETURNED));
}

static void the_machines_print_themselves_with_a_cause_for_every_edge(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(job_state_print(&out), 0);
    assert_non_null(strstr(buf_cstr(&out), "| failed | pending | retried |\n"));
    buf_clear(&out);
    assert_int_equal(attempt_state_print(&out), 0);
    assert_non_null(strstr(buf_cstr(&out), "| lost | running | "));
    buf_done(&out);
    buf_init(&out, 10);
    assert_int_equal(job_state_print(&out), ERR_TOO_LARGE);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_states_are_read_back),
        cmocka_unit_test(a_completed_job_and_attempt_stay_completed),
        cmocka_unit_test(only_lost_attempts_come_back),
        cmocka_unit_test(every_state_but_none_is_reached),
        cmocka_unit_test(ended_states_are_told_from_live_ones),
        cmocka_unit_test(the_machines_print_themselves_with_a_cause_for_every_edge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
