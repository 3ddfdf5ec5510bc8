#include "core/detector.h"

#include <string.h>

#include "base/error.h"
#include "tests/unit/generated.h"

/* Steps a detector and keeps the promise of ticking in time. */
struct bed {
    struct detector *detector;
    struct detector_update update;
    int64_t now_ms;
};

static void bed_init(struct bed *bed)
{
    *bed = (struct bed){.detector = detector_new(), .now_ms = 1000000};
    bed->update.next_deadline_ms = bed->now_ms;
}

static void bed_done(struct bed *bed)
{
    detector_update_done(&bed->update);
    detector_free(bed->detector);
}

static int bed_step(struct bed *bed, enum detector_event_type type, uint64_t node)
{
    const struct detector_event event = {.type = type, .now_ms = bed->now_ms, .node = node};
    int err = detector_step(bed->detector, &event, &bed->update);
    detector_check(bed->detector);
    return err;
}

static void bed_watch(struct bed *bed, uint64_t node, uint32_t interval_ms, uint32_t offline_ms)
{
    const struct detector_event event = {
        .type = DETECTOR_EVENT_WATCH,
        .now_ms = bed->now_ms,
        .node = node,
        .interval_ms = interval_ms,
        .offline_ms = offline_ms,
    };
    assert_int_equal(detector_step(bed->detector, &event, &bed->update), 0);
}

/* Lets time pass, ticking when due. */
static void bed_wait(struct bed *bed, int64_t ms)
{
    for (int64_t end_ms = bed->now_ms + ms; bed->now_ms < end_ms;) {
        int64_t due_ms = bed->update.next_deadline_ms;
        bed->now_ms = due_ms < end_ms ? due_ms : end_ms;
        bed_step(bed, DETECTOR_EVENT_TICK, 0);
    }
}

static void bed_beat(struct bed *bed, uint64_t node, int64_t interval_ms, int n)
{
    for (int i = 0; i < n; i++) {
        bed_wait(bed, interval_ms);
        bed_step(bed, DETECTOR_EVENT_HEARD, node);
    }
}

static enum detector_state bed_state(const struct bed *bed, uint64_t node)
{
    return detector_get(bed->detector, node);
}

static void a_node_is_suspect_after_three_missed_beats_and_offline_after_its_time(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    bed_watch(&bed, 1, 1000, 5000);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 1);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_ALIVE);
    bed_wait(&bed, 2999);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_ALIVE);
    bed_wait(&bed, 1);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_SUSPECT);
    assert_int_equal(bed.update.n, 1);
    assert_int_equal(bed.update.changes[0].silent_ms, 3000);
    assert_string_equal(bed.update.changes[0].reason, "missed heartbeats (silent for 3000 ms)");
    bed_wait(&bed, 1999);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_SUSPECT);
    bed_wait(&bed, 1);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_OFFLINE);
    bed_wait(&bed, 60000);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 1);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_ALIVE);
    bed_done(&bed);
}

static void a_beat_takes_suspicion_back(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    bed_watch(&bed, 1, 1000, 5000);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 1);
    bed_wait(&bed, 3500);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_SUSPECT);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 1);
    assert_int_equal(bed.update.changes[0].to, DETECTOR_STATE_ALIVE);
    bed_wait(&bed, 2999);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_ALIVE);
    bed_done(&bed);
}

static void a_node_never_heard_is_offline_after_its_time(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    bed_watch(&bed, 1, 0, 0);
    bed_wait(&bed, DETECTOR_OFFLINE_MS - 1);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_UNKNOWN);
    bed_wait(&bed, 1);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_OFFLINE);
    bed_done(&bed);
}

static void agents_have_their_own_times(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    bed_watch(&bed, 7, DETECTOR_POLL_INTERVAL_MS, DETECTOR_POLL_OFFLINE_MS);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 7);
    bed_wait(&bed, 29999);
    assert_int_equal(bed_state(&bed, 7), DETECTOR_STATE_ALIVE);
    bed_wait(&bed, 1);
    assert_int_equal(bed_state(&bed, 7), DETECTOR_STATE_OFFLINE);
    bed_done(&bed);
}

static void a_broken_link_makes_suspect_at_once_and_a_goodbye_offline(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    bed_watch(&bed, 1, 1000, 5000);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 1);
    bed_wait(&bed, 1000);
    bed_step(&bed, DETECTOR_EVENT_LINK_LOST, 1);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_SUSPECT);
    bed_wait(&bed, 3999);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_SUSPECT);
    bed_wait(&bed, 1);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_OFFLINE);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 1);
    bed_step(&bed, DETECTOR_EVENT_LEFT, 1);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_OFFLINE);
    assert_non_null(strstr(bed.update.changes[0].reason, "stopped"));
    bed_step(&bed, DETECTOR_EVENT_LEFT, 1);
    assert_int_equal(bed.update.n, 0);
    bed_done(&bed);
}

static void irregular_beats_delay_suspicion_but_never_past_the_offline_time(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    bed_watch(&bed, 1, 500, 10000);
    bed_watch(&bed, 2, 500, 10000);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 1);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 2);
    for (int i = 0; i < 40; i++) {
        bed_beat(&bed, 2, 500, 1);
        if (i % 4 == 0 || i % 4 == 3)
            bed_step(&bed, DETECTOR_EVENT_HEARD, 1);
    }
    bed_beat(&bed, 2, 500, 2);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 1);
    bed_wait(&bed, 1500);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_ALIVE);
    assert_int_equal(bed_state(&bed, 2), DETECTOR_STATE_SUSPECT);
    bed_wait(&bed, 8500);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_OFFLINE);
    bed_done(&bed);
}

static void our_own_pause_is_nobodys_silence(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    for (uint64_t node = 1; node <= 100; node++) {
        bed_watch(&bed, node, 1000, 5000);
        bed_step(&bed, DETECTOR_EVENT_HEARD, node);
    }
    bed_wait(&bed, 1000);
    bed.now_ms += 3600000;
    bed_step(&bed, DETECTOR_EVENT_TICK, 0);
    assert_int_equal(bed.update.n, 0);
    assert_int_equal(bed.update.stalled_ms, 3600000);
    bed_wait(&bed, 1999);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_ALIVE);
    bed_wait(&bed, 1);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_SUSPECT);
    bed_done(&bed);
}

static void a_tick_that_is_a_little_late_is_no_stall(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    bed_watch(&bed, 1, 1000, 5000);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 1);
    for (int i = 0; i < 8; i++) {
        bed.now_ms = bed.update.next_deadline_ms + DETECTOR_STALL_MS;
        bed_step(&bed, DETECTOR_EVENT_TICK, 0);
        assert_int_equal(bed.update.stalled_ms, 0);
    }
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_OFFLINE);
    bed_done(&bed);
}

static void a_forgotten_node_is_not_reported(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    bed_watch(&bed, 1, 1000, 5000);
    bed_step(&bed, DETECTOR_EVENT_HEARD, 1);
    bed_step(&bed, DETECTOR_EVENT_FORGET, 1);
    assert_int_equal(bed.update.n, 0);
    assert_int_equal(bed_state(&bed, 1), DETECTOR_STATE_NONE);
    assert_int_equal(bed_step(&bed, DETECTOR_EVENT_HEARD, 1), ERR_NOT_FOUND);
    bed_wait(&bed, 10000);
    assert_int_equal(bed.update.n, 0);
    bed_done(&bed);
}

/* A plain model: who was heard when, without stalls. */
static void no_node_is_offline_early_or_late_under_any_schedule(void **state)
{
    (void)state;
    enum { NODES = 8 };
    struct generated g;
    generated_init(&g, 200);
    while (generated_next(&g)) {
        struct bed bed;
        bed_init(&bed);
        int64_t heard_ms[NODES];
        for (uint64_t node = 0; node < NODES; node++) {
            bed_watch(&bed, node, 1000, 5000);
            heard_ms[node] = bed.now_ms;
        }
        for (int i = 0; i < 400; i++) {
            bed_wait(&bed, (int64_t)prng_below(&g.prng, 700));
            uint64_t node = prng_below(&g.prng, NODES);
            if (prng_chance(&g.prng, 2, 3)) {
                bed_step(&bed, DETECTOR_EVENT_HEARD, node);
                heard_ms[node] = bed.now_ms;
            }
            for (uint64_t k = 0; k < NODES; k++) {
                int64_t silent_ms = bed.now_ms - heard_ms[k];
                bool offline = bed_state(&bed, k) == DETECTOR_STATE_OFFLINE;
                generated_check(&g, offline == (silent_ms >= 5000), "silent for %d ms",
                                (int)silent_ms);
            }
        }
        bed_done(&bed);
    }
}

static void the_machine_prints_itself(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(detector_state_print(&out), 0);
    assert_non_null(strstr(buf_cstr(&out), "| suspect | alive | heard |\n"));
    buf_done(&out);
    assert_false(detector_state_allows(DETECTOR_STATE_OFFLINE, DETECTOR_STATE_SUSPECT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_suspect_after_three_missed_beats_and_offline_after_its_time),
        cmocka_unit_test(a_beat_takes_suspicion_back),
        cmocka_unit_test(a_node_never_heard_is_offline_after_its_time),
        cmocka_unit_test(agents_have_their_own_times),
        cmocka_unit_test(a_broken_link_makes_suspect_at_once_and_a_goodbye_offline),
        cmocka_unit_test(irregular_beats_delay_suspicion_but_never_past_the_offline_time),
        cmocka_unit_test(our_own_pause_is_nobodys_silence),
        cmocka_unit_test(a_tick_that_is_a_little_late_is_no_stall),
        cmocka_unit_test(a_forgotten_node_is_not_reported),
        cmocka_unit_test(no_node_is_offline_early_or_late_under_any_schedule),
        cmocka_unit_test(the_machine_prints_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
