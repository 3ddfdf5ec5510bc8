/* Rollouts: steps, gates, what operators may do, restarts. */
#include "tests/unit/generated.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/rollout.h"

struct bed {
    struct rollout rollout;
    struct rollout_update update;
    int64_t now_ms;
    uint8_t ids;
    int begun;
    int notes;
};

static int bed_step(struct bed *bed, struct rollout_event event)
{
    event.wall_ms = bed->now_ms;
    event.fresh.bytes[15] = ++bed->ids;
    int err = rollout_step(&bed->rollout, &event, &bed->update);
    bed->begun += bed->update.begin;
    bed->notes += bed->update.note;
    return err;
}

static void bed_init(struct bed *bed, const char *steps, const char *gate)
{
    struct error e;
    *bed = (struct bed){.now_ms = 1000000};
    rollout_init(&bed->rollout);
    if (steps != NULL)
        assert_int_equal(rollout_steps_parse(steps, &bed->rollout, &e), 0);
    if (gate != NULL) {
        assert_int_equal(rollout_gate_parse(gate, &bed->rollout.gates[0], &e), 0);
        bed->rollout.gates_n = 1;
    }
    bed->rollout.targets_n = 1;
    strcpy(bed->rollout.targets[0].service, "web");
    strcpy(bed->rollout.targets[0].stable, "m1");
    strcpy(bed->rollout.targets[0].canary, "m2");
    strcpy(bed->rollout.by, "ada");
    assert_int_equal(rollout_check(&bed->rollout, &e), 0);
    assert_int_equal(bed_step(bed, (struct rollout_event){.type = ROLLOUT_EVENT_START}), 0);
    assert_true(bed->update.begin && bed->update.changed && bed->update.note);
}

static void bed_outcome(struct bed *bed, bool committed)
{
    bed_step(bed, (struct rollout_event){.type = ROLLOUT_EVENT_SWITCHED,
                                         .txid = bed->rollout.txid,
                                         .committed = committed,
                                         .text = "node 3 votes no"});
}

static void bed_commit(struct bed *bed)
{
    assert_int_equal(bed->rollout.state == ROLLOUT_STATE_SWITCHING ||
                         bed->rollout.state == ROLLOUT_STATE_REVERTING,
                     1);
    bed_outcome(bed, true);
}

static int bed_do(struct bed *bed, enum rollout_event_type type)
{
    return bed_step(bed, (struct rollout_event){.type = type, .by = "eva", .text = "because"});
}

static void bed_sample(struct bed *bed, uint64_t requests, uint64_t errors)
{
    struct health health = {0};
    for (uint64_t i = 0; i < requests; i++)
        health_count(&health, i < errors, 100000);
    bed_step(bed, (struct rollout_event){.type = ROLLOUT_EVENT_SAMPLE, .health = &health});
}

/* Ticks when it is time, with samples when they are asked for. */
static void bed_wait(struct bed *bed, int64_t ms, uint64_t requests, uint64_t errors)
{
    for (int64_t end_ms = bed->now_ms + ms; bed->now_ms < end_ms;) {
        int64_t next_ms = bed->update.next_ms;
        bed->now_ms = next_ms < end_ms && next_ms > bed->now_ms ? next_ms : end_ms;
        bed_step(bed, (struct rollout_event){.type = ROLLOUT_EVENT_TICK});
        if (bed->update.measure)
            bed_sample(bed, requests, errors);
    }
}

static void bed_expect(const struct bed *bed, enum rollout_state state)
{
    assert_string_equal(rollout_state_name(bed->rollout.state), rollout_state_name(state));
}

static void bed_expect_wanted(const struct bed *bed, const char *stable, int canary_weight)
{
    struct routing_state wanted;
    rollout_wanted(&bed->rollout, 0, &wanted);
    assert_int_equal(routing_check(&wanted, NULL, NULL, NULL), 0);
    assert_string_equal(wanted.stable, stable);
    assert_int_equal(wanted.canary_weight, canary_weight);
}

static void the_default_plan_goes_through_its_steps_and_ends_promoted(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, NULL);
    const int weights[] = {5, 25, 50};
    for (int i = 0; i < 3; i++) {
        bed_expect_wanted(&bed, "m1", weights[i]);
        bed_commit(&bed);
        bed_expect(&bed, ROLLOUT_STATE_WATCHING);
        bed_wait(&bed, 59999, 0, 0);
        bed_expect(&bed, ROLLOUT_STATE_WATCHING);
        bed_wait(&bed, 1, 0, 0);
        bed_expect(&bed, ROLLOUT_STATE_SWITCHING);
    }
    bed_expect_wanted(&bed, "m2", 0);
    bed_commit(&bed);
    bed_expect(&bed, ROLLOUT_STATE_PROMOTED);
    assert_true(bed.update.ended);
    assert_int_equal(bed.begun, 4);
}

static void a_last_step_with_a_pause_is_watched_before_it_is_final(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, "100:10s", NULL);
    bed_expect_wanted(&bed, "m1", 100);
    bed_commit(&bed);
    bed_wait(&bed, 10000, 0, 0);
    bed_expect_wanted(&bed, "m2", 0);
    bed_commit(&bed);
    bed_expect(&bed, ROLLOUT_STATE_PROMOTED);
}

static void a_step_may_wait_until_it_is_promoted(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, "10:wait,100", NULL);
    bed_commit(&bed);
    bed_expect(&bed, ROLLOUT_STATE_WAITING);
    bed_wait(&bed, 100000000, 0, 0);
    bed_expect(&bed, ROLLOUT_STATE_WAITING);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_PROMOTE), 0);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_PROMOTE), ERR_CONFLICT);
    assert_non_null(strstr(bed.update.text, "switching and cannot be promoted: a step is being"));
    bed_commit(&bed);
    bed_expect(&bed, ROLLOUT_STATE_PROMOTED);
}

static void a_failed_gate_takes_the_traffic_back(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, "errors<=1%");
    bed_commit(&bed);
    bed_wait(&bed, 5000, 200, 2);
    bed_expect(&bed, ROLLOUT_STATE_WATCHING);
    bed_wait(&bed, 5000, 200, 3);
    bed_expect(&bed, ROLLOUT_STATE_REVERTING);
    assert_string_equal(bed.rollout.text, "gate errors<=1%: 1.5 % errors of m2");
    bed_expect_wanted(&bed, "m1", 0);
    bed_commit(&bed);
    bed_expect(&bed, ROLLOUT_STATE_ABORTED);
}

static void a_latency_gate_reads_its_percentile(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, "p95<=50ms");
    bed_commit(&bed);
    bed_wait(&bed, 5000, 200, 0);
    bed_expect(&bed, ROLLOUT_STATE_REVERTING);
    bed_init(&bed, NULL, "p95<=200ms");
    bed_commit(&bed);
    bed_wait(&bed, 5000, 200, 0);
    bed_expect(&bed, ROLLOUT_STATE_WATCHING);
}

static void failures_up_to_the_limit_are_borne(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, "errors<=1%");
    bed.rollout.failure_limit = 2;
    bed_commit(&bed);
    bed_wait(&bed, 10000, 100, 50);
    bed_expect(&bed, ROLLOUT_STATE_WATCHING);
    bed_wait(&bed, 5000, 100, 50);
    bed_expect(&bed, ROLLOUT_STATE_REVERTING);
}

static void a_dry_run_gate_is_measured_and_never_acts(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, "dry:errors<=1%");
    bed_commit(&bed);
    bed_wait(&bed, 59000, 100, 100);
    assert_true(bed.rollout.gates[0].failures > 5);
    bed_expect(&bed, ROLLOUT_STATE_WATCHING);
    bed_wait(&bed, 1000, 100, 100);
    bed_expect(&bed, ROLLOUT_STATE_SWITCHING);
}

static void too_few_requests_neither_pass_nor_fail_until_the_deadline(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, "errors<=1%");
    bed_commit(&bed);
    bed_wait(&bed, 60000 + ROLLOUT_DEADLINE_MS - 1000, 19, 19);
    bed_expect(&bed, ROLLOUT_STATE_WATCHING);
    bed_wait(&bed, 6000, 19, 19);
    bed_expect(&bed, ROLLOUT_STATE_REVERTING);
    assert_non_null(strstr(bed.rollout.text, "no progress"));
    bed_init(&bed, NULL, "errors<=1%");
    bed.rollout.no_data_passes = true;
    bed_commit(&bed);
    bed_wait(&bed, 61000, 0, 0);
    bed_expect(&bed, ROLLOUT_STATE_SWITCHING);
}

static void what_is_inconclusive_too_often_pauses(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, "http://127.0.0.1:1/gate");
    bed.rollout.inconclusive_limit = 2;
    bed_commit(&bed);
    for (int i = 0; i < 3; i++) {
        bed_expect(&bed, ROLLOUT_STATE_WATCHING);
        bed_wait(&bed, 5000, 0, 0);
        assert_int_equal(bed.update.run, 1);
        bed_step(&bed, (struct rollout_event){.type = ROLLOUT_EVENT_GATE,
                                              .verdict = ROLLOUT_VERDICT_INCONCLUSIVE,
                                              .value = NAN,
                                              .text = "connection refused"});
    }
    bed_expect(&bed, ROLLOUT_STATE_PAUSED);
    assert_non_null(strstr(bed.rollout.text, "connection refused"));
}

static void a_pause_keeps_what_is_left_of_the_step(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, NULL);
    bed_commit(&bed);
    bed_wait(&bed, 40000, 0, 0);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_PAUSE), 0);
    bed_wait(&bed, 500000, 0, 0);
    bed_expect(&bed, ROLLOUT_STATE_PAUSED);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_RESUME), 0);
    bed_wait(&bed, 19999, 0, 0);
    bed_expect(&bed, ROLLOUT_STATE_WATCHING);
    bed_wait(&bed, 1, 0, 0);
    bed_expect(&bed, ROLLOUT_STATE_SWITCHING);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_PAUSE), 0);
    bed_commit(&bed);
    bed_expect(&bed, ROLLOUT_STATE_PAUSED);
}

static void a_frozen_rollout_ignores_its_gates_a_paused_one_does_not(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, "errors<=1%");
    bed_commit(&bed);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_FREEZE), 0);
    bed_wait(&bed, 100000, 100, 100);
    bed_expect(&bed, ROLLOUT_STATE_FROZEN);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_PROMOTE), ERR_CONFLICT);
    assert_string_equal(bed.update.text,
                        "the rollout is frozen and cannot be promoted: resume it first");
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_PAUSE), 0);
    bed_wait(&bed, 6000, 100, 100);
    bed_expect(&bed, ROLLOUT_STATE_REVERTING);
}

static void after_an_abort_nothing_is_promoted(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, NULL);
    bed_commit(&bed);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_ABORT), 0);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_PROMOTE), ERR_CONFLICT);
    bed_commit(&bed);
    bed_expect(&bed, ROLLOUT_STATE_ABORTED);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_PROMOTE), ERR_CONFLICT);
    assert_non_null(strstr(bed.update.text, "rollout start"));
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_ABORT), ERR_CONFLICT);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_RESUME), ERR_CONFLICT);
}

static void an_abort_in_the_middle_of_a_switch_waits_for_its_outcome(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, NULL);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_ABORT), 0);
    bed_expect(&bed, ROLLOUT_STATE_SWITCHING);
    bed_outcome(&bed, false);
    bed_expect(&bed, ROLLOUT_STATE_ABORTED);
    bed_init(&bed, "100", NULL);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_ABORT), 0);
    bed_commit(&bed);
    bed_expect(&bed, ROLLOUT_STATE_REVERTING);
    bed_expect_wanted(&bed, "m1", 0);
}

static void a_switch_is_tried_again_under_another_id_and_then_given_up(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, NULL);
    struct uuid first = bed.rollout.txid;
    bed_outcome(&bed, false);
    bed_expect(&bed, ROLLOUT_STATE_SWITCHING);
    bed_wait(&bed, 2 * ROLLOUT_RETRY_MS, 0, 0);
    assert_int_not_equal(uuid_compare(&first, &bed.rollout.txid), 0);
    bed_outcome(&bed, false);
    bed_wait(&bed, 4 * ROLLOUT_RETRY_MS, 0, 0);
    bed_outcome(&bed, false);
    bed_expect(&bed, ROLLOUT_STATE_ABORTED);
    assert_string_equal(bed.rollout.text, "the switch was not made: node 3 votes no");
}

static void taking_back_is_tried_until_it_is_done(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, NULL);
    bed_commit(&bed);
    bed_do(&bed, ROLLOUT_EVENT_ABORT);
    for (int i = 0; i < 20; i++) {
        bed_outcome(&bed, false);
        bed_expect(&bed, ROLLOUT_STATE_REVERTING);
        bed_wait(&bed, 40000, 0, 0);
    }
    bed_commit(&bed);
    bed_expect(&bed, ROLLOUT_STATE_ABORTED);
}

static void a_rollback_is_one_switch_without_gates(void **state)
{
    (void)state;
    struct bed bed = {.now_ms = 5};
    rollout_init(&bed.rollout);
    bed.rollout.kind = ROLLOUT_KIND_ROLLBACK;
    bed.rollout.targets_n = 1;
    strcpy(bed.rollout.targets[0].service, "web");
    strcpy(bed.rollout.targets[0].stable, "m3");
    strcpy(bed.rollout.targets[0].canary, "m1");
    strcpy(bed.rollout.targets[0].to_canary, "m2");
    bed.rollout.targets[0].to_weight = 5;
    bed_step(&bed, (struct rollout_event){.type = ROLLOUT_EVENT_START});
    bed.rollout.targets[0].to_version = 3;
    bed_expect_wanted(&bed, "m1", 5);
    bed_outcome(&bed, false);
    bed_wait(&bed, 2 * ROLLOUT_RETRY_MS, 0, 0);
    bed_commit(&bed);
    bed_expect(&bed, ROLLOUT_STATE_ROLLED_BACK);
    assert_string_equal(bed.rollout.text, "version 3 is back"); /* not why it took long */
    assert_int_equal(bed.rollout.weight, 95);                   /* of the model that is back */
}

static void a_rollback_takes_the_place_of_whatever_is_under_way(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_SUPERSEDE), i == 0 ? 0 : ERR_CONFLICT);
        bed_expect(&bed, ROLLOUT_STATE_ABORTED);
        bed_outcome(&bed, true);
    }
    bed_init(&bed, NULL, NULL);
    bed_commit(&bed);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_FREEZE), 0);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_SUPERSEDE), 0);
    bed_expect(&bed, ROLLOUT_STATE_ABORTED);
}

static void a_new_service_needs_no_steps(void **state)
{
    (void)state;
    struct bed bed = {.now_ms = 5};
    rollout_init(&bed.rollout);
    bed.rollout.targets_n = 1;
    strcpy(bed.rollout.targets[0].service, "web");
    strcpy(bed.rollout.targets[0].canary, "m1");
    bed_step(&bed, (struct rollout_event){.type = ROLLOUT_EVENT_START});
    bed_expect_wanted(&bed, "m1", 0);
    bed_commit(&bed);
    bed_expect(&bed, ROLLOUT_STATE_PROMOTED);
}

static void a_new_leader_finds_out_what_became_of_the_switch(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, NULL, NULL);
    bed_step(&bed, (struct rollout_event){.type = ROLLOUT_EVENT_RESTORED});
    assert_true(bed.update.settle);
    bed_step(&bed, (struct rollout_event){
                       .type = ROLLOUT_EVENT_SWITCHED, .txid = {{7}}, .committed = true});
    bed_expect(&bed, ROLLOUT_STATE_SWITCHING);
    bed_commit(&bed);
    bed_step(&bed, (struct rollout_event){.type = ROLLOUT_EVENT_RESTORED});
    assert_false(bed.update.settle);
}

/* The clock of the lost leader was minutes ahead. */
static void a_leader_whose_clock_is_behind_waits_no_longer_than_the_plan_says(void **state)
{
    (void)state;
    enum { AHEAD_MS = 400000 };
    struct bed bed;
    bed_init(&bed, "5:1m,100", "errors<=1%");
    bed_commit(&bed);
    bed.now_ms -= AHEAD_MS;
    bed_step(&bed, (struct rollout_event){.type = ROLLOUT_EVENT_RESTORED});
    assert_true(bed.update.changed);
    assert_true(bed.update.next_ms <= bed.now_ms + ROLLOUT_INTERVAL_MS);
    bed_wait(&bed, 66000, 100, 0);
    bed_expect(&bed, ROLLOUT_STATE_SWITCHING);
    bed_outcome(&bed, false);
    bed.now_ms -= AHEAD_MS;
    bed_step(&bed, (struct rollout_event){.type = ROLLOUT_EVENT_RESTORED});
    bed_wait(&bed, 2 * ROLLOUT_RETRY_MS, 100, 0);
    assert_false(uuid_is_nil(&bed.rollout.txid));
    bed_step(&bed, (struct rollout_event){.type = ROLLOUT_EVENT_RESTORED});
    assert_false(bed.update.changed);
}

/* Who froze it finds it where it was, however often its switch fails. */
static void a_rollout_that_is_held_is_not_given_up(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, "5:1m,100", NULL);
    bed_commit(&bed);
    bed_wait(&bed, 60000, 0, 0);
    bed_expect(&bed, ROLLOUT_STATE_SWITCHING);
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_FREEZE), 0);
    for (int i = 0; i < 2 * ROLLOUT_SWITCH_TRIES; i++) {
        bed_outcome(&bed, false);
        bed_expect(&bed, ROLLOUT_STATE_SWITCHING);
        bed_wait(&bed, 60000, 0, 0);
    }
    assert_int_equal(bed_do(&bed, ROLLOUT_EVENT_RESUME), 0);
    bed_outcome(&bed, false);
    bed_expect(&bed, ROLLOUT_STATE_REVERTING);
}

static void gates_and_steps_read_as_they_are_written(void **state)
{
    (void)state;
    static const char *const gates[] = {"errors<=1%",          "errors<=0.5%", "p95<=250ms",
                                        "p999<=2000ms",        "dry:p50<=5ms", "http://h:1/x?y=1",
                                        "command:test -e /ok", "https://h/",   "dry:command:false"};
    struct error e;
    struct rollout_gate gate;
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
        assert_int_equal(rollout_gate_parse(gates[i], &gate, &e), 0);
        char *text = rollout_gate_format(&gate);
        assert_string_equal(text, gates[i]);
        free(text);
    }
    static const char *const bad[] = {
        "",           "speed<=1", "errors",       "errors<=x%",   "errors<=1",  "errors<=-1%",
        "p95<=0ms",   "p95<=250", "errors<=nan%", "errors<=101%", "command:",   "p94<=1ms",
        "http:",      "http:foo", "http://",      "http:///x",    "https://:1", "http://h/a b",
        "http:http:h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(rollout_gate_parse(bad[i], &gate, &e), ERR_INVALID);
    assert_int_equal(rollout_gate_parse("speed<=1", &gate, &e), ERR_INVALID);
    assert_non_null(strstr(e.text, "names no metric"));
    struct rollout rollout;
    rollout_init(&rollout);
    assert_int_equal(
        rollout_steps_parse("5:60s,25:1500ms,40:90m,50:wait,60:48h,100:90s", &rollout, &e), 0);
    char *text = rollout_steps_format(&rollout);
    assert_string_equal(text, "5:1m,25:1500ms,40:90m,50:wait,60:2d,100:90s");
    free(text);
    static const char *const bad_steps[] = {"", "5:", "0", "101", "5,", "a", "5:-1s", "5:forever"};
    for (size_t i = 0; i < sizeof bad_steps / sizeof *bad_steps; i++)
        assert_int_equal(rollout_steps_parse(bad_steps[i], &rollout, &e), ERR_INVALID);
    assert_int_equal(rollout_steps_parse("50,25,100", &rollout, &e), 0);
    rollout.targets_n = 1;
    strcpy(rollout.targets[0].service, "web");
    strcpy(rollout.targets[0].canary, "m2");
    assert_int_equal(rollout_check(&rollout, &e), ERR_INVALID);
    assert_int_equal(rollout_steps_parse("50", &rollout, &e), 0);
    assert_int_equal(rollout_check(&rollout, &e), ERR_INVALID);
}

/* Whatever comes, what is not written has not changed. */
static void nothing_changes_without_being_written(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct bed bed;
        static const char *const steps[] = {"5:1m,25:wait,100", "100", "10,100:5s", "50:wait,100"};
        bed_init(&bed, steps[prng_below(&g.prng, 4)], "errors<=1%");
        bed.rollout.inconclusive_limit = (unsigned)prng_below(&g.prng, 3);
        for (int i = 0; i < 60; i++) {
            struct rollout before = bed.rollout;
            bed.now_ms += (int64_t)prng_below(&g.prng, 20000);
            struct health health = {0};
            for (uint64_t n = prng_below(&g.prng, 60); n > 0; n--)
                health_count(&health, prng_chance(&g.prng, 1, 40), 1000);
            struct rollout_event event = {
                .type = prng_chance(&g.prng, 1, 2)
                            ? ROLLOUT_EVENT_TICK
                            : (enum rollout_event_type)prng_between(&g.prng, ROLLOUT_EVENT_SWITCHED,
                                                                    ROLLOUT_EVENT_RESTORED),
                .txid = bed.rollout.txid,
                .committed = prng_chance(&g.prng, 3, 4),
                .full = prng_chance(&g.prng, 1, 4),
                .health = &health};
            enum rollout_state from = bed.rollout.state;
            int err = bed_step(&bed, event);
            before.measure_ms = bed.rollout.measure_ms;
            if (err < 0 || !bed.update.changed)
                generated_check(&g, memcmp(&before, &bed.rollout, sizeof before) == 0,
                                "event %d in %s", event.type, rollout_state_name(from));
            generated_check(&g, bed.update.next_ms == INT64_MAX || bed.update.next_ms > 0, "%s",
                            rollout_state_name(bed.rollout.state));
            struct routing_state wanted;
            rollout_wanted(&bed.rollout, 0, &wanted);
            generated_check(&g, routing_check(&wanted, NULL, NULL, NULL) == 0, "%s",
                            rollout_state_name(bed.rollout.state));
        }
    }
}

static void the_machine_prints_itself(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 8192);
    assert_int_equal(rollout_state_print(&out), 0);
    assert_non_null(strstr(buf_cstr(&out), "| waiting | switching | promote |\n"));
    buf_done(&out);
    assert_false(rollout_allows(ROLLOUT_STATE_ABORTED, ROLLOUT_STATE_SWITCHING));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_plan_goes_through_its_steps_and_ends_promoted),
        cmocka_unit_test(a_last_step_with_a_pause_is_watched_before_it_is_final),
        cmocka_unit_test(a_step_may_wait_until_it_is_promoted),
        cmocka_unit_test(a_failed_gate_takes_the_traffic_back),
        cmocka_unit_test(a_latency_gate_reads_its_percentile),
        cmocka_unit_test(failures_up_to_the_limit_are_borne),
        cmocka_unit_test(a_dry_run_gate_is_measured_and_never_acts),
        cmocka_unit_test(too_few_requests_neither_pass_nor_fail_until_the_deadline),
        cmocka_unit_test(what_is_inconclusive_too_often_pauses),
        cmocka_unit_test(a_pause_keeps_what_is_left_of_the_step),
        cmocka_unit_test(a_frozen_rollout_ignores_its_gates_a_paused_one_does_not),
        cmocka_unit_test(after_an_abort_nothing_is_promoted),
        cmocka_unit_test(an_abort_in_the_middle_of_a_switch_waits_for_its_outcome),
        cmocka_unit_test(a_switch_is_tried_again_under_another_id_and_then_given_up),
        cmocka_unit_test(taking_back_is_tried_until_it_is_done),
        cmocka_unit_test(a_rollback_is_one_switch_without_gates),
        cmocka_unit_test(a_rollback_takes_the_place_of_whatever_is_under_way),
        cmocka_unit_test(a_new_service_needs_no_steps),
        cmocka_unit_test(a_new_leader_finds_out_what_became_of_the_switch),
        cmocka_unit_test(a_leader_whose_clock_is_behind_waits_no_longer_than_the_plan_says),
        cmocka_unit_test(a_rollout_that_is_held_is_not_given_up),
        cmocka_unit_test(gates_and_steps_read_as_they_are_written),
        cmocka_unit_test(nothing_changes_without_being_written),
        cmocka_unit_test(the_machine_prints_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
