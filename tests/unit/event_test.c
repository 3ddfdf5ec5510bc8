/* Kinds of events, events in rings, vitals in few bytes. */
#include "core/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/event_kind.h"
#include "core/vitals_tick.h"
#include "tests/unit/generated.h"

/* ---- kinds ----------------------------------------------------------------------------------- */

static void test_every_kind_is_found_by_its_name(void **state)
{
    (void)state;
    for (unsigned i = EVENT_NONE + 1; i < EVENT_KINDS; i++) {
        const struct event_kind_row *row = event_kind_row((enum event_kind)i);
        assert_int_equal(event_kind_find(row->name), i);
        assert_non_null(strchr(row->name, '.'));
        assert_true(row->help[0] != '\0');
    }
    assert_int_equal(event_kind_find("node.nothing"), EVENT_NONE);
}

/* What an earlier leader told of them comes late, and must not undo what was told since. */
static void test_patches_of_the_leaders_tables_are_told_by_nobody_else(void **state)
{
    static const char *const leaders[] = {"nodes", "jobs", "tasks", "raft", "rollouts"};
    static const char *const anybodys[] = {"queries", "stages", "routing", "transactions"};
    (void)state;
    for (unsigned i = EVENT_NONE + 1; i < EVENT_KINDS; i++) {
        const struct event_kind_row *row = event_kind_row((enum event_kind)i);
        for (size_t k = 0; k < MEM_COUNT(leaders); k++)
            if (strcmp(row->table, leaders[k]) == 0)
                assert_true(event_kind_is_leaders(row->name, row->table));
        for (size_t k = 0; k < MEM_COUNT(anybodys); k++)
            if (strcmp(row->table, anybodys[k]) == 0)
                assert_false(event_kind_is_leaders(row->name, row->table));
        assert_false(event_kind_is_leaders(row->name, "")); /* no patch */
    }
    for (size_t k = 0; k < MEM_COUNT(leaders); k++) {
        assert_true(event_kind_is_leaders("state.row", leaders[k]));
        assert_true(event_kind_is_leaders("kind.to_come", leaders[k]));
    }
    for (size_t k = 0; k < MEM_COUNT(anybodys); k++)
        assert_false(event_kind_is_leaders("state.row", anybodys[k]));
    assert_true(event_kind_is_leaders("raft.lead", "elections"));
    assert_false(event_kind_is_leaders("chat.lead", "elections"));
}

static void test_patterns_match_names_and_areas(void **state)
{
    (void)state;
    assert_true(event_kind_matches("job.*", "job.state"));
    assert_true(event_kind_matches("raft.lead,job.*", "job.fail"));
    assert_true(event_kind_matches("raft.lead", "raft.lead"));
    assert_false(event_kind_matches("raft.lead", "raft.leader"));
    assert_false(event_kind_matches("job.*", "jobs.state"));
    assert_false(event_kind_matches("job", "job.state"));
}

static void test_patterns_of_no_kind_are_refused(void **state)
{
    static const char *const bad[] = {"", "job", "jobs.*", "job.*,", "job.*,,raft.*", "*", ".*"};
    struct error e;
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(bad); i++)
        if (strcmp(bad[i], "job.*,") != 0) /* a comma at the end is none between two */
            assert_int_equal(event_kind_check_patterns(bad[i], &e), ERR_INVALID);
    assert_int_equal(event_kind_check_patterns("job.*,node.suspect", &e), 0);
    char *many = mem_zalloc(10000);
    for (unsigned i = 0; i < 1000; i++)
        strcat(many, "job.*,");
    assert_int_equal(event_kind_check_patterns(many, &e), ERR_INVALID);
    free(many);
}

/* docs/events.md has the table as it is printed. */
static void test_the_documentation_lists_the_kinds(void **state)
{
    (void)state;
    char *path =
        mem_printf("%.*s/../../docs/events.md", (int)(strrchr(__FILE__, '/') - __FILE__), __FILE__);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    static char text[256 * 1024];
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    struct buf out;
    buf_init(&out, sizeof text);
    assert_int_equal(event_kind_print(&out), 0);
    assert_non_null(strstr(text, buf_cstr(&out)));
    buf_done(&out);
    free(path);
}

/* ---- rings ----------------------------------------------------------------------------------- */

static struct event *make(uint64_t number, size_t json_len)
{
    char *json = mem_zalloc(json_len + 1);
    memset(json, 'x', json_len);
    struct event from = {.seq = number,
                         .position = number * 10,
                         .kind = "log.record",
                         .about = "n1",
                         .table = "",
                         .json = json,
                         .json_len = json_len};
    struct event *event = event_new(&from);
    free(json);
    return event;
}

static void test_an_event_keeps_what_it_was_made_of(void **state)
{
    (void)state;
    struct event *event = make(7, 100);
    assert_string_equal(event->kind, "log.record");
    assert_string_equal(event->about, "n1");
    assert_string_equal(event->table, "");
    assert_int_equal(strlen(event->json), 100);
    assert_ptr_equal(event_ref(event), event);
    event_unref(event);
    assert_int_equal(event->seq, 7);
    event_unref(event);
}

/* Whatever is pushed: the ring holds the latest within its bounds, in order, and finds them. */
static void test_an_event_without_its_patch_tells_the_rest(void **state)
{
    static const char json[] =
        "{\"id\":\"n1:7\",\"kind\":\"job.state\",\"text\":\"j runs\",\"table\":\"jobs\","
        "\"key\":\"j\",\"row\":{\"state\":\"running\"},\"by\":\"op\"}";
    struct event from = {.seq = 7, .kind = "job.state", .about = "", .table = "jobs", .json = json};
    from.json_len = strlen(json);
    struct event *event = event_new_without_patch(&from);
    (void)state;
    assert_int_equal(event->seq, 7);
    assert_string_equal(event->table, "");
    assert_string_equal(
        event->json, "{\"id\":\"n1:7\",\"kind\":\"job.state\",\"text\":\"j runs\",\"by\":\"op\"}");
    event_unref(event);
    from.json_len--;
    assert_null(event_new_without_patch(&from));
}

static void test_a_ring_holds_the_latest_within_its_bounds(void **state)
{
    struct generated g;
    (void)state;
    generated_init(&g, 200);
    while (generated_next(&g)) {
        size_t n_max = 1 + prng_below(&g.prng, 100), bytes_max = 500 + prng_below(&g.prng, 20000);
        struct event_ring ring;
        event_ring_init(&ring, n_max, bytes_max);
        uint64_t pushed = 0;
        for (unsigned i = 0; i < 300; i++) {
            if (prng_below(&g.prng, 10) == 0 && ring.n > 0) {
                event_ring_shift(&ring);
                continue;
            }
            event_ring_push(&ring, make(++pushed, prng_below(&g.prng, 200)));
            generated_check(&g, ring.n <= n_max, "%zu events", ring.n);
            generated_check(&g, ring.bytes <= bytes_max || ring.n == 1, "%zu bytes", ring.bytes);
            generated_check(&g, event_ring_at(&ring, ring.n - 1)->seq == pushed, "%s", "the last");
        }
        for (size_t i = 1; i < ring.n; i++)
            generated_check(&g,
                            event_ring_at(&ring, i)->seq == event_ring_at(&ring, i - 1)->seq + 1,
                            "%s", "in order");
        uint64_t number = prng_below(&g.prng, (unsigned)pushed + 2);
        size_t by_seq = event_ring_after_seq(&ring, number);
        generated_check(&g, by_seq == event_ring_after_position(&ring, number * 10 + 9), "%s",
                        "found");
        generated_check(&g, by_seq == ring.n || event_ring_at(&ring, by_seq)->seq > number, "%s",
                        "next");
        generated_check(&g, by_seq == 0 || event_ring_at(&ring, by_seq - 1)->seq <= number, "%s",
                        "last");
        event_ring_done(&ring);
    }
}

/* ---- vitals ---------------------------------------------------------------------------------- */

static struct vitals_tick *make_tick(int64_t at_ms, uint32_t n, const uint32_t *ids,
                                     const uint16_t *cpu)
{
    struct vitals_tick *tick = vitals_tick_new(at_ms, 1000, n);
    for (uint32_t i = 0; i < n; i++) {
        tick->nodes[i].node = ids[i];
        for (unsigned c = 0; c < VITALS_COLUMNS; c++)
            tick->nodes[i].sample.values[c] = cpu[i];
    }
    return tick;
}

static void test_a_mean_leaves_out_what_is_silent(void **state)
{
    (void)state;
    const struct vitals_tick *ticks[] = {
        make_tick(1000, 2, (uint32_t[]){1, 3}, (uint16_t[]){10, VITALS_NONE}),
        make_tick(2000, 2, (uint32_t[]){1, 2}, (uint16_t[]){20, 7}),
        make_tick(3000, 2, (uint32_t[]){1, 3}, (uint16_t[]){VITALS_NONE, VITALS_NONE}),
    };
    struct vitals_tick *mean = vitals_tick_mean(ticks, 3, 10000);
    assert_int_equal(mean->at_ms, 3000);
    assert_int_equal(mean->step_ms, 10000);
    assert_int_equal(mean->n, 3);
    assert_int_equal(mean->nodes[0].sample.values[VITALS_CPU], 15);
    assert_int_equal(mean->nodes[1].node, 2);
    assert_int_equal(mean->nodes[1].sample.values[VITALS_CPU], 7);
    assert_int_equal(mean->nodes[2].sample.values[VITALS_CPU], VITALS_NONE);
    free(mean);
    for (unsigned i = 0; i < 3; i++)
        free((void *)(uintptr_t)ticks[i]);
}

static void test_ticks_stay_within_their_bounds(void **state)
{
    (void)state;
    struct vitals_ticks ticks;
    vitals_ticks_init(&ticks, 10, 1 << 20);
    for (int64_t i = 0; i < 25; i++)
        vitals_ticks_push(&ticks, vitals_tick_new(i * 1000, 1000, 3));
    assert_int_equal(ticks.n, 10);
    assert_int_equal(ticks.first, 15);
    assert_int_equal(TAILQ_FIRST(&ticks.list)->at_ms, 15000);
    ticks.bytes_max = 1000;
    vitals_ticks_push(&ticks, vitals_tick_new(25000, 1000, 10));
    assert_true(ticks.bytes <= 1000);
    vitals_ticks_done(&ticks);
    assert_int_equal(ticks.bytes, 0);
}

static void test_a_tick_in_bytes_is_the_same_tick(void **state)
{
    struct generated g;
    (void)state;
    generated_init(&g, 100);
    while (generated_next(&g)) {
        uint32_t n = (uint32_t)prng_below(&g.prng, 20);
        struct vitals_tick *tick = vitals_tick_new(1234567890123, 10000, n);
        for (uint32_t i = 0; i < n; i++) {
            tick->nodes[i].node = i * 3 + 70000;
            for (unsigned c = 0; c < VITALS_COLUMNS; c++)
                tick->nodes[i].sample.values[c] = (uint16_t)prng_below(&g.prng, 65536);
        }
        size_t len;
        char *data = vitals_tick_pack(tick, &len);
        struct vitals_tick *back = vitals_tick_unpack(data, len);
        assert_non_null(back);
        assert_int_equal(back->at_ms, tick->at_ms);
        assert_int_equal(back->step_ms, tick->step_ms);
        assert_int_equal(back->n, n);
        assert_memory_equal(back->nodes, tick->nodes, n * sizeof tick->nodes[0]);
        assert_null(vitals_tick_unpack(data, len - 1));
        assert_null(vitals_tick_unpack(data, 3));
        data[12] = (char)(data[12] + 1); /* more nodes than there are bytes */
        assert_null(vitals_tick_unpack(data, len));
        free(back);
        free(tick);
        free(data);
    }
}

static void test_values_too_large_are_the_largest(void **state)
{
    (void)state;
    assert_int_equal(vitals_clamp(5), 5);
    assert_int_equal(vitals_clamp(UINT64_MAX), VITALS_MAX);
    assert_int_equal(vitals_clamp(VITALS_NONE), VITALS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_is_found_by_its_name),
        cmocka_unit_test(test_patches_of_the_leaders_tables_are_told_by_nobody_else),
        cmocka_unit_test(test_patterns_match_names_and_areas),
        cmocka_unit_test(test_patterns_of_no_kind_are_refused),
        cmocka_unit_test(test_the_documentation_lists_the_kinds),
        cmocka_unit_test(test_an_event_keeps_what_it_was_made_of),
        cmocka_unit_test(test_an_event_without_its_patch_tells_the_rest),
        cmocka_unit_test(test_a_ring_holds_the_latest_within_its_bounds),
        cmocka_unit_test(test_a_mean_leaves_out_what_is_silent),
        cmocka_unit_test(test_ticks_stay_within_their_bounds),
        cmocka_unit_test(test_a_tick_in_bytes_is_the_same_tick),
        cmocka_unit_test(test_values_too_large_are_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
