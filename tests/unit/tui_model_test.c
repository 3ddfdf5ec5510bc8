#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "tests/unit/generated.h"
#include "tui/model.h"

enum { T0 = 1700000000, EVENTS = 400, NODES = 3 };

#define T0_MS (T0 * INT64_C(1000))

static int64_t now_ms; /* of the generated cluster */
static uint64_t numbers[NODES];

static const char *stamp(int64_t ms)
{
    static char text[CLOCK_RFC3339_MAX];
    return clock_format_rfc3339(ms, text);
}

static enum model_line_kind feed_event(struct model *model, const char *line)
{
    struct error e;
    return model_read_event(model, line, strlen(line), &e);
}

static void feed_frame(struct model *model, const char *tables)
{
    struct error e;
    char *text = mem_printf("{\"at\":\"%s\",\"cursor\":\"c0\"%s%s}", stamp(now_ms),
                            tables[0] != '\0' ? "," : "", tables);
    assert_int_equal(model_read_frame(model, text, strlen(text), &e), 0);
    free(text);
}

static void feed_cursor(struct model *model, const char *cursor)
{
    char *text = mem_printf("{\"cursor\":\"%s\",\"at\":\"%s\"}", cursor, stamp(now_ms));
    assert_int_equal(feed_event(model, text), MODEL_LINE_CURSOR);
    free(text);
}

static void begin(void)
{
    now_ms = T0_MS;
    for (size_t i = 0; i < NODES; i++)
        numbers[i] = 7;
}

/* Text as hostile as it gets in JSON. */
static void append_hostile(struct generated *g, struct buf *b)
{
    char raw[24];
    size_t len = prng_below(&g->prng, sizeof raw);
    prng_bytes(&g->prng, raw, len);
    assert_int_equal(json_text_append(b, raw, len), 0);
}

static void append_row(struct generated *g, struct buf *b)
{
    static const char *const fields[] = {"state", "node", "leader", "term", "load", "labels"};
    (void)buf_append_str(b, "{");
    for (uint64_t i = 0, n = prng_below(&g->prng, 6); i < n; i++) {
        (void)buf_printf(b, "%s\"%s\":", i > 0 ? "," : "", fields[prng_below(&g->prng, 6)]);
        switch (prng_below(&g->prng, 6)) {
        case 0:
            (void)buf_append_str(b, "null");
            break;
        case 1:
            (void)buf_append_str(b, prng_chance(&g->prng, 1, 2) ? "true" : "false");
            break;
        case 2:
            (void)buf_printf(b, "%d", (int)prng_below(&g->prng, 1000) - 500);
            break;
        case 3:
            (void)buf_printf(b, "%u.%02ue1", (unsigned)prng_below(&g->prng, 100),
                             (unsigned)prng_below(&g->prng, 100));
            break;
        case 4:
            (void)buf_append_str(b, "[\"a\",{\"b\":1}]");
            break;
        default:
            append_hostile(g, b);
        }
    }
    (void)buf_append_str(b, "}");
}

/* The next event of the generated cluster; free it. */
static char *next_event(struct generated *g)
{
    struct buf b;
    size_t node = prng_below(&g->prng, NODES);
    buf_init(&b, 1 << 16);
    now_ms += (int64_t)prng_below(&g->prng, 900);
    (void)buf_printf(&b,
                     "{\"id\":\"n%zu:%llu\",\"at\":\"%s\",\"kind\":\"job.state\",\"text\":", node,
                     (unsigned long long)numbers[node]++, stamp(now_ms));
    append_hostile(g, &b);
    if (prng_chance(&g->prng, 4, 5)) {
        enum model_table table = (enum model_table)prng_below(&g->prng, MODEL_TABLES);
        (void)buf_printf(&b, ",\"table\":\"%s\",\"key\":\"k%u\"", model_table_name(table),
                         (unsigned)prng_below(&g->prng, 6));
        if (prng_chance(&g->prng, 1, 5)) {
            (void)buf_append_str(&b, ",\"gone\":true");
        } else {
            (void)buf_append_str(&b, ",\"row\":");
            append_row(g, &b);
        }
    }
    (void)buf_append_str(&b, "}");
    return buf_steal(&b, NULL);
}

static void test_the_past_is_what_was(void **state)
{
    struct generated g;
    (void)state;
    generated_init(&g, 30);
    while (generated_next(&g)) {
        struct model *model = model_new();
        struct model_state *was = mem_calloc(EVENTS, sizeof *was);
        uint64_t pos[EVENTS];
        begin();
        feed_frame(model, "");
        for (size_t i = 0; i < EVENTS; i++) {
            char *event = next_event(&g);
            assert_int_equal(feed_event(model, event), MODEL_LINE_EVENT);
            free(event);
            model_state_init(&was[i]);
            model_state_copy(&was[i], model_live_state(model));
            pos[i] = model_lines_end(model_live_events(model)) - 1;
        }
        for (size_t i = 0; i < 100; i++) {
            size_t to = prng_below(&g.prng, EVENTS);
            assert_int_equal(model_seek_event(model, pos[to]), 0);
            generated_check(&g, model_state_equal(model_state(model), &was[to]), "event %zu", to);
            generated_check(&g, model_events_end(model) == pos[to] + 1, "end at event %zu", to);

            struct model_line line;
            to = prng_below(&g.prng, EVENTS - 1);
            model_lines_get(model_live_events(model), pos[to], &line);
            int64_t at_ms = line.when_ms + (int64_t)prng_below(&g.prng, 300);
            for (; to + 1 < EVENTS; to++) {
                model_lines_get(model_live_events(model), pos[to + 1], &line);
                if (line.when_ms > at_ms)
                    break;
            }
            assert_int_equal(model_seek(model, at_ms), 0);
            generated_check(&g, model_state_equal(model_state(model), &was[to]), "time of %zu", to);
        }
        generated_check(&g, model_seek(model, T0_MS - 1) == ERR_UNAVAILABLE, "%s",
                        "before the frame");
        model_go_live(model);
        generated_check(&g, model_state_equal(model_state(model), &was[EVENTS - 1]), "%s", "live");
        for (size_t i = 0; i < EVENTS; i++)
            model_state_done(&was[i]);
        free(was);
        model_free(model);
    }
}

/* A stream that breaks, begins earlier again and repeats gives what one in one piece gives. */
static void test_a_broken_stream_is_as_a_whole_one(void **state)
{
    struct generated g;
    (void)state;
    generated_init(&g, 60);
    while (generated_next(&g)) {
        struct model *whole = model_new(), *broken = model_new();
        char *events[EVENTS];
        begin();
        feed_frame(whole, "");
        feed_frame(broken, "");
        for (size_t i = 0; i < EVENTS; i++)
            events[i] = next_event(&g);
        for (size_t i = 0; i < EVENTS; i++)
            assert_int_equal(feed_event(whole, events[i]), MODEL_LINE_EVENT);
        for (size_t i = 0; i < EVENTS; i++) {
            assert_int_equal(feed_event(broken, events[i]), MODEL_LINE_EVENT);
            if (!prng_chance(&g.prng, 1, 20))
                continue;
            model_resume(broken);
            i -= prng_below(&g.prng, i < 50 ? i + 1 : 50);
        }
        generated_check(&g, model_state_equal(model_live_state(whole), model_live_state(broken)),
                        "%s", "state");
        generated_check(&g,
                        model_lines_end(model_live_events(whole)) ==
                            model_lines_end(model_live_events(broken)),
                        "%s", "lines");
        generated_check(&g, model_lost(broken) == 0, "lost %d", (int)model_lost(broken));
        for (size_t i = 0; i < EVENTS; i++)
            free(events[i]);
        model_free(whole);
        model_free(broken);
    }
}

static char *plain_event(const char *id, const char *more)
{
    return mem_printf("{\"id\":\"%s\",\"at\":\"%s\",\"kind\":\"log.record\",\"text\":\"x\"%s}", id,
                      stamp(now_ms), more);
}

static void feed_plain(struct model *model, const char *id, const char *more)
{
    char *event = plain_event(id, more);
    assert_int_equal(feed_event(model, event), MODEL_LINE_EVENT);
    free(event);
}

static void test_holes_are_said_where_they_are_and_close(void **state)
{
    struct model *model = model_new();
    struct model_line line;
    (void)state;
    begin();
    feed_frame(model, "");
    feed_plain(model, "n1:5", "");
    feed_plain(model, "n1:9", "");
    assert_int_equal(model_lost(model), 3);
    assert_int_equal(model_lines_end(model_events(model)), 3);
    model_lines_get(model_events(model), 1, &line);
    assert_true(line.is_hole);
    assert_string_equal(line.source, "n1");
    assert_non_null(strstr(line.text, "3 events of this node are missing here (6 to 8)"));
    feed_plain(model, "n1:7", ""); /* late */
    assert_int_equal(model_lost(model), 2);
    feed_plain(model, "n1:7", "");
    assert_int_equal(model_duplicates(model), 1);
    feed_plain(model, "n1:4", ""); /* before what the frame had */
    assert_int_equal(model_duplicates(model), 2);
    feed_plain(model, "n1:12", ",\"lost\":5");
    assert_int_equal(model_lost(model), 2 + 5);

    assert_int_equal(feed_event(model, "{\"dropped\":4}"), MODEL_LINE_DROPPED);
    uint64_t end = model_lines_end(model_events(model));
    assert_int_equal(model_lost(model), 2 + 5 + 4);
    feed_plain(model, "n1:17", "");
    assert_int_equal(model_lost(model), 2 + 5 + 4);
    assert_int_equal(model_lines_end(model_events(model)), end + 1);
    model_free(model);
}

static void test_numbers_that_a_start_has_skipped_are_not_lost(void **state)
{
    struct model *model = model_new();
    (void)state;
    begin();
    feed_frame(model, "");
    feed_plain(model, "n1:5", "");
    feed_plain(model, "n1:4096", ",\"skipped\":true");
    assert_int_equal(model_lost(model), 0);
    assert_int_equal(model_lines_end(model_events(model)), 2);
    model_free(model);
}

static void test_a_frame_brings_rows_under_their_keys(void **state)
{
    struct model *model = model_new();
    char text[64];
    struct model_value value, stable;
    (void)state;
    begin();
    feed_frame(model, "\"nodes\":[{\"name\":\"n1\",\"roles\":[\"worker\",\"chat\"],\"load\":0.5,"
                      "\"slots\":4,\"leader\":true}],"
                      "\"stages\":[{\"query\":\"q1\",\"stage\":2}],\"novelty\":[{}],"
                      "\"routing\":[{\"node\":\"n1\",\"service\":\"s\","
                      "\"weights\":{\"stable\":95,\"canary\":5}}]");
    const struct model_row *node = model_state_find(model_state(model), MODEL_NODES, "n1");
    assert_non_null(node);
    assert_true(model_row_real(node, "load", 0) > 0.49);
    assert_int_equal(model_row_int(node, "slots", 0), 4);
    assert_true(model_row_bool(node, "leader"));
    assert_int_equal(model_row_get(node, "nothing").type, MODEL_TYPE_NULL);
    value = model_row_get(node, "roles");
    assert_string_equal(model_value_format(&value, text, sizeof text), "worker,chat");
    assert_non_null(model_state_find(model_state(model), MODEL_STAGES, "q1/2"));
    const struct model_row *row = model_state_find(model_state(model), MODEL_ROUTING, "n1/s");
    value = model_row_get(row, "weights");
    assert_true(model_value_member(&value, "stable", &stable, text, sizeof text));
    assert_int_equal(stable.integer, 95);
    assert_false(model_value_member(&value, "none", &stable, text, sizeof text));
    model_free(model);
}

static void test_text_is_safe_for_a_terminal(void **state)
{
    struct model *model = model_new();
    struct model_line line;
    (void)state;
    begin();
    feed_frame(model, "\"nodes\":[{\"name\":\"n1\",\"state\":\"\\u001b[2J\"}]");
    feed_plain(model, "n\\u001b[31m1:1", ",\"by\":\"\\u009b31m\",\"cause\":\"a\\u0000b\"");
    model_lines_get(model_events(model), 0, &line);
    assert_string_equal(line.source, "n\\x1b[31m1");
    assert_string_equal(line.by, "\\xc2\\x9b31m");
    const struct model_row *row = model_state_find(model_state(model), MODEL_NODES, "n1");
    assert_string_equal(model_row_text(row, "state"), "\\x1b[2J");
    model_free(model);
}

static void test_what_is_malformed_is_counted_and_nothing_else(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"id\":\"n1:1\"}",
        "{\"id\":\"n1\",\"at\":\"x\",\"kind\":\"k\"}",
        "{\"id\":\"n1:-1\",\"at\":\"2026-01-01T00:00:00Z\",\"kind\":\"k\"}",
        "{\"x\":1}",
        "{\"id\":\"n1:1\",\"at\":\"2026-01-01T00:00:00Z\",\"kind\":\"k\"} x",
        "{\"id\":7}"};
    struct model *model = model_new();
    (void)state;
    begin();
    feed_frame(model, "");
    for (size_t i = 0; i < MEM_COUNT(lines); i++)
        assert_int_equal(feed_event(model, lines[i]), MODEL_LINE_MALFORMED);
    assert_int_equal(model_malformed(model), MEM_COUNT(lines));
    assert_int_equal(model_lines_end(model_events(model)), 0);
    assert_true(model_complaint(model)[0] != '\0');

    struct error e;
    static const char refused[] = "{\"error\":{\"code\":\"x\",\"message\":\"go\\u001b\"}}";
    assert_int_equal(model_read_event(model, refused, strlen(refused), &e), MODEL_LINE_ERROR);
    assert_string_equal(e.text, "go\\x1b");
    assert_int_equal(model_read_frame(model, "{\"nodes\":[{]}", 13, &e), ERR_PROTOCOL);
    model_free(model);
}

static void test_generated_garbage_is_survived(void **state)
{
    struct generated g;
    (void)state;
    generated_init(&g, 2000);
    struct model *model = model_new();
    begin();
    feed_frame(model, "");
    while (generated_next(&g)) {
        struct error e;
        char *event = next_event(&g);
        size_t len = strlen(event);
        for (size_t i = 0, n = prng_below(&g.prng, 4); i < n; i++)
            event[prng_below(&g.prng, len)] = (char)prng_next(&g.prng);
        len = prng_chance(&g.prng, 1, 4) ? prng_below(&g.prng, len) : len;
        (void)model_read_event(model, event, len, &e);
        model_read_vitals(model, event, len);
        model_read_message(model, event, len);
        (void)model_read_frame(model, event, len, &e);
        free(event);
    }
    model_free(model);
}

static void test_memory_has_bounds(void **state)
{
    struct model *model = model_new();
    char more[256];
    (void)state;
    begin();
    feed_frame(model, "");
    for (unsigned i = 1; i <= 200000; i++) {
        char id[32];
        now_ms += 20;
        (void)snprintf(id, sizeof id, "n1:%u", i);
        (void)snprintf(more, sizeof more,
                       ",\"table\":\"tasks\",\"key\":\"j_%u\",\"row\":{\"state\":\"%s\",\"node\":"
                       "\"n1\",\"reason\":\"because of something\"}",
                       i, i % 2 == 0 ? "completed" : "failed");
        feed_plain(model, id, more);
    }
    const struct model_lines *events = model_live_events(model);
    assert_true(model_lines_end(events) - model_lines_first(events) <= MODEL_EVENTS_MAX);
    assert_true(model_lines_dropped(events) >= 200000 - MODEL_EVENTS_MAX);
    assert_int_equal(model_state_count(model_live_state(model), MODEL_TASKS), MODEL_ROWS_MAX);
    assert_int_equal(model_live_state(model)->refused, 0);
    assert_non_null(model_state_find(model_live_state(model), MODEL_TASKS, "j_200000"));
    assert_true(model_bytes(model) < 60 * 1024 * 1024);
    assert_true(model_oldest_ms(model) > T0_MS);
    assert_int_equal(model_seek(model, model_oldest_ms(model)), 0);
    model_free(model);
}

static void test_frozen_stays_while_the_cluster_goes_on(void **state)
{
    struct model *model = model_new();
    (void)state;
    begin();
    feed_frame(model, "\"nodes\":[{\"name\":\"n1\",\"state\":\"online\"}]");
    model_freeze(model);
    now_ms += 100;
    feed_plain(model, "n1:1",
               ",\"table\":\"nodes\",\"key\":\"n1\",\"row\":{\"state\":\"offline\"}");
    const struct model_row *row = model_state_find(model_state(model), MODEL_NODES, "n1");
    assert_string_equal(model_row_text(row, "state"), "online");
    assert_int_equal(model_events_end(model), 0);
    assert_int_equal(model_at_ms(model), T0_MS);
    row = model_state_find(model_live_state(model), MODEL_NODES, "n1");
    assert_string_equal(model_row_text(row, "state"), "offline");
    feed_cursor(model, "c1");
    assert_string_equal(model_cursor(model), "c1");
    model_go_live(model);
    row = model_state_find(model_state(model), MODEL_NODES, "n1");
    assert_string_equal(model_row_text(row, "state"), "offline");
    model_free(model);
}

static void test_only_tables_that_change_have_another_generation(void **state)
{
    struct model *model = model_new();
    uint64_t before[MODEL_TABLES];
    (void)state;
    begin();
    feed_frame(model, "\"nodes\":[{\"name\":\"n1\"}],\"jobs\":[{\"id\":\"j\"}]");
    for (enum model_table i = 0; i < MODEL_TABLES; i++)
        before[i] = model_state_generation(model_state(model), i);
    feed_plain(model, "n1:1", ",\"table\":\"jobs\",\"key\":\"j\",\"row\":{\"state\":\"running\"}");
    for (enum model_table i = 0; i < MODEL_TABLES; i++)
        assert_int_equal(before[i] != model_state_generation(model_state(model), i),
                         i == MODEL_JOBS);
    model_free(model);
}

static void test_a_frame_of_the_server_shows_an_older_past(void **state)
{
    struct model *model = model_new();
    struct error e;
    (void)state;
    begin();
    feed_frame(model, "\"nodes\":[{\"name\":\"n1\",\"state\":\"online\"}]");
    char *frame = mem_printf("{\"at\":\"%s\",\"cursor\":\"c\",\"nodes\":[{\"name\":\"n1\","
                             "\"state\":\"suspect\"}]}",
                             stamp(T0_MS - 600000));
    assert_int_equal(model_seek_frame(model, T0_MS - 600000, frame, strlen(frame), &e), 0);
    free(frame);
    const struct model_row *row = model_state_find(model_state(model), MODEL_NODES, "n1");
    assert_string_equal(model_row_text(row, "state"), "suspect");
    now_ms = T0_MS - 600001;
    char *line = plain_event("n1:1", "");
    model_past_line(model, line, strlen(line));
    free(line);
    now_ms = T0_MS - 599999;
    line = plain_event("n1:2", "");
    model_past_line(model, line, strlen(line)); /* later than the moment */
    free(line);
    assert_int_equal(model_events_end(model), 1);
    model_go_live(model);
    row = model_state_find(model_state(model), MODEL_NODES, "n1");
    assert_string_equal(model_row_text(row, "state"), "online");
    model_free(model);
}

static void test_earlier_events_that_come_again_are_listed_once(void **state)
{
    static const char patch[] =
        ",\"table\":\"nodes\",\"key\":\"n1\",\"row\":{\"state\":\"offline\"}";
    struct model *model = model_new();
    (void)state;
    begin();
    feed_frame(model, "\"nodes\":[{\"name\":\"n1\",\"state\":\"online\"}]");
    char *event = plain_event("n1:7", patch);
    model_read_earlier(model, event, strlen(event));
    model_end_earlier(model);
    assert_int_equal(feed_event(model, event), MODEL_LINE_EVENT);
    free(event);
    const struct model_row *row = model_state_find(model_state(model), MODEL_NODES, "n1");
    assert_string_equal(model_row_text(row, "state"), "offline");
    assert_false(model_lines_is_silent(model_events(model), 0));
    assert_true(model_lines_is_silent(model_events(model), 1));
    assert_int_equal(model_seek_event(model, 1), 0);
    row = model_state_find(model_state(model), MODEL_NODES, "n1");
    assert_string_equal(model_row_text(row, "state"), "offline");
    assert_int_equal(model_lost(model), 0);
    model_free(model);
}

static void test_messages_come_once_and_in_order(void **state)
{
    static const char *const lines[] = {
        "{\"gone_before\":3}",
        "{\"seq\":3,\"at\":\"2026-01-01T00:00:00Z\",\"channel\":\"general\",\"from\":\"ann\","
        "\"text\":\"hi\"}",
        "{\"seq\":3,\"at\":\"2026-01-01T00:00:00Z\",\"channel\":\"general\",\"from\":\"ann\","
        "\"text\":\"hi\"}",
        "{\"seq\":9,\"at\":\"2026-01-01T00:00:01Z\",\"channel\":\"general\",\"from\":\"bob\","
        "\"text\":\"ho\"}"};
    struct model *model = model_new();
    struct model_line line;
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(lines); i++)
        model_read_message(model, lines[i], strlen(lines[i]));
    assert_int_equal(model_lines_end(model_messages(model)), 3);
    model_lines_get(model_messages(model), 2, &line);
    assert_string_equal(line.source, "bob");
    assert_string_equal(line.kind, "general");
    assert_string_equal(line.text, "ho");
    assert_int_equal(model_message_next(model), 10);
    model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_past_is_what_was),
        cmocka_unit_test(test_a_broken_stream_is_as_a_whole_one),
        cmocka_unit_test(test_holes_are_said_where_they_are_and_close),
        cmocka_unit_test(test_numbers_that_a_start_has_skipped_are_not_lost),
        cmocka_unit_test(test_a_frame_brings_rows_under_their_keys),
        cmocka_unit_test(test_text_is_safe_for_a_terminal),
        cmocka_unit_test(test_what_is_malformed_is_counted_and_nothing_else),
        cmocka_unit_test(test_generated_garbage_is_survived),
        cmocka_unit_test(test_memory_has_bounds),
        cmocka_unit_test(test_frozen_stays_while_the_cluster_goes_on),
        cmocka_unit_test(test_only_tables_that_change_have_another_generation),
        cmocka_unit_test(test_a_frame_of_the_server_shows_an_older_past),
        cmocka_unit_test(test_earlier_events_that_come_again_are_listed_once),
        cmocka_unit_test(test_messages_come_once_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
