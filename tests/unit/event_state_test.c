/* The state that frames hold and patches change. */
#include "wire/event_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/generated.h"

static json_t *printed(const struct event_state *state)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    assert_int_equal(buf_append_byte(&out, '{'), 0);
    assert_int_equal(event_state_print(state, NULL, NULL, &out), 0);
    assert_int_equal(buf_append_byte(&out, '}'), 0);
    json_t *json = json_loadb((char *)out.data, out.len, 0, NULL);
    assert_non_null(json);
    buf_done(&out);
    return json;
}

static void apply(struct event_state *state, const char *line)
{
    assert_int_equal(event_state_apply(state, line, strlen(line)), 0);
}

static void test_patches_make_change_and_remove_rows(void **state)
{
    struct event_state *s = event_state_new();
    (void)state;
    apply(s, "{\"table\":\"nodes\",\"key\":\"n1\",\"row\":{\"state\":\"online\",\"slots\":2}}");
    assert_string_equal(event_state_row(s, "nodes", "n1"),
                        "{\"name\":\"n1\",\"state\":\"online\",\"slots\":2}");
    apply(s, "{\"table\":\"nodes\",\"key\":\"n1\",\"row\":{\"state\":\"suspect\"}}");
    assert_string_equal(event_state_row(s, "nodes", "n1"),
                        "{\"name\":\"n1\",\"state\":\"suspect\",\"slots\":2}");
    apply(s, "{\"table\":\"nodes\",\"key\":\"n1\",\"gone\":true}");
    assert_null(event_state_row(s, "nodes", "n1"));
    apply(s, "{\"table\":\"nodes\",\"key\":\"n1\",\"gone\":true}");
    assert_int_equal(event_state_rows(s, "nodes"), 0);
    event_state_free(s);
}

static void test_a_row_has_both_fields_of_its_key(void **state)
{
    struct event_state *s = event_state_new();
    (void)state;
    apply(s, "{\"table\":\"routing\",\"key\":\"n1/api\",\"row\":{\"version\":3}}");
    assert_string_equal(event_state_row(s, "routing", "n1/api"),
                        "{\"node\":\"n1\",\"service\":\"api\",\"version\":3}");
    char key[EVENT_STATE_KEY_MAX];
    json_t *row = json_loads(event_state_row(s, "routing", "n1/api"), 0, NULL);
    assert_int_equal(event_state_key(event_state_table("routing"), row, key), 0);
    assert_string_equal(key, "n1/api");
    json_object_clear(row);
    assert_int_equal(event_state_key(event_state_table("routing"), row, key), ERR_INVALID);
    json_decref(row);
    event_state_free(s);
}

static void test_events_without_a_patch_and_unknown_tables_change_nothing(void **state)
{
    struct event_state *s = event_state_new();
    (void)state;
    apply(s, "{\"kind\":\"log.record\",\"text\":\"x\"}");
    apply(s, "{\"table\":\"tasks\",\"key\":\"a_1\",\"row\":{\"state\":\"failed\"}}");
    apply(s, "{\"table\":\"of another version\",\"key\":\"a\",\"row\":{}}");
    apply(s, "{\"table\":7,\"key\":[],\"row\":{}}");
    assert_int_equal(event_state_apply(s, "{", 1), ERR_INVALID);
    assert_int_equal(event_state_apply(s, "[]", 2), ERR_INVALID);
    for (const struct event_state_table *t = event_state_tables; t->name != NULL; t++)
        assert_int_equal(event_state_rows(s, t->name), 0);
    event_state_free(s);
}

static void test_rows_are_printed_in_natural_order(void **state)
{
    struct event_state *s = event_state_new();
    (void)state;
    for (unsigned i = 12; i > 0; i--) {
        char *key = mem_printf("n%u", i);
        assert_int_equal(event_state_patch(s, "nodes", key, NULL, false), 0);
        free(key);
    }
    json_t *frame = printed(s);
    const json_t *rows = json_object_get(frame, "nodes");
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "name")), "n2");
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 11), "name")),
                        "n12");
    json_decref(frame);
    event_state_free(s);
}

static void test_a_row_that_grows_too_long_stays_as_it_was(void **state)
{
    struct event_state *s = event_state_new();
    (void)state;
    char *text = mem_zalloc(EVENT_STATE_ROW_MAX + 1);
    memset(text, 'x', EVENT_STATE_ROW_MAX);
    assert_int_equal(event_state_patch(s, "nodes", "n1", NULL, false), 0);
    json_t *row = json_pack("{s:s}", "text", text);
    assert_int_equal(event_state_patch(s, "nodes", "n1", row, false), ERR_TOO_LARGE);
    assert_string_equal(event_state_row(s, "nodes", "n1"), "{\"name\":\"n1\"}");
    json_decref(row);
    free(text);
    event_state_free(s);
}

static void patch_anything(struct generated *g, struct event_state *const *states, unsigned n)
{
    static const char *const tables[] = {"nodes", "jobs", "routing", "stages", "chat"};
    const char *table = tables[prng_below(&g->prng, MEM_COUNT(tables))];
    char *key = mem_printf("k%u/x", (unsigned)prng_below(&g->prng, 8));
    bool gone = prng_below(&g->prng, 4) == 0;
    json_t *row = json_pack("{s:i,s:s}", prng_below(&g->prng, 2) ? "a" : "b",
                            (int)prng_below(&g->prng, 100), "t", "\033[31m\"\\\n");
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(event_state_patch(states[i], table, key, row, gone), 0);
    json_decref(row);
    free(key);
}

/* Who takes a frame at any moment and the patches behind it comes to the same state. */
static void test_a_frame_and_later_patches_are_the_state(void **state)
{
    struct generated g;
    (void)state;
    generated_init(&g, 50);
    while (generated_next(&g)) {
        struct event_state *states[2] = {event_state_new(), event_state_new()};
        for (unsigned i = prng_below(&g.prng, 100); i > 0; i--)
            patch_anything(&g, states, 1);
        json_t *frame = printed(states[0]);
        assert_int_equal(event_state_load(states[1], frame), 0);
        json_decref(frame);
        for (unsigned i = prng_below(&g.prng, 100); i > 0; i--)
            patch_anything(&g, states, 2);
        json_t *a = printed(states[0]), *b = printed(states[1]);
        generated_check(&g, json_equal(a, b), "%s", "the same");
        json_decref(a);
        json_decref(b);
        event_state_free(states[0]);
        event_state_free(states[1]);
    }
}

static void test_what_is_no_frame_is_refused(void **state)
{
    static const char *const bad[] = {"[]", "7", "\"nodes\"", "null"};
    struct event_state *s = event_state_new();
    (void)state;
    for (unsigned i = 0; i < MEM_COUNT(bad); i++) {
        json_t *frame = json_loads(bad[i], JSON_DECODE_ANY, NULL);
        assert_int_equal(event_state_load(s, frame), ERR_INVALID);
        assert_int_equal(event_state_rows(s, "nodes"), 0);
        json_decref(frame);
    }
    event_state_free(s);
}

/* Of a server of another version, or a forged archive. */
static void test_rows_of_a_frame_without_their_key_are_left_out_and_counted(void **state)
{
    static const struct {
        const char *frame;
        const char *table;
        size_t rows;
        uint64_t refused;
    } cases[] = {
        {"{\"nodes\":[{},{\"name\":\"n1\"},7,{\"name\":\"\"},{\"name\":[]}]}", "nodes", 1, 4},
        {"{\"stages\":[{\"query\":\"q\"},{\"query\":\"q\",\"stage\":0},{\"stage\":1}]}", "stages",
         1, 2},
        {"{\"nodes\":{\"n1\":{\"name\":\"n1\"}},\"jobs\":[{\"id\":\"j\"}]}", "jobs", 1, 0},
        {"{\"nodes\":7,\"of another version\":[{}],\"jobs\":null}", "nodes", 0, 0},
    };
    struct event_state *s = event_state_new();
    (void)state;
    for (unsigned i = 0; i < MEM_COUNT(cases); i++) {
        json_t *frame = json_loads(cases[i].frame, 0, NULL);
        assert_int_equal(event_state_load(s, frame), 0);
        assert_int_equal(event_state_rows(s, cases[i].table), cases[i].rows);
        assert_int_equal(event_state_refused(s), cases[i].refused);
        json_decref(frame);
    }
    event_state_free(s);
}

static void test_too_long_rows_of_a_frame_are_left_out_and_counted(void **state)
{
    struct event_state *s = event_state_new();
    (void)state;
    char *text = mem_zalloc(EVENT_STATE_ROW_MAX + 1);
    memset(text, 'x', EVENT_STATE_ROW_MAX);
    json_t *frame =
        json_pack("{s:[{s:s,s:s},{s:s}]}", "nodes", "name", "n1", "text", text, "name", "n2");
    assert_int_equal(event_state_load(s, frame), 0);
    assert_null(event_state_row(s, "nodes", "n1"));
    assert_non_null(event_state_row(s, "nodes", "n2"));
    assert_int_equal(event_state_refused(s), 1);
    json_decref(frame);
    frame = printed(s);
    assert_int_equal(json_integer_value(json_object_get(frame, "left_out")), 1);
    assert_int_equal(event_state_load(s, frame), 0);
    assert_int_equal(event_state_refused(s), 1);
    json_decref(frame);
    free(text);
    event_state_free(s);
}

static void test_patches_leave_a_row_its_key(void **state)
{
    struct event_state *s = event_state_new();
    (void)state;
    apply(s, "{\"table\":\"nodes\",\"key\":\"n1\",\"row\":{\"name\":7,\"slots\":2}}");
    assert_string_equal(event_state_row(s, "nodes", "n1"), "{\"name\":\"n1\",\"slots\":2}");
    apply(s, "{\"table\":\"nodes\",\"key\":\"n1\",\"row\":{\"name\":\"n2\"}}");
    assert_string_equal(event_state_row(s, "nodes", "n1"), "{\"name\":\"n1\",\"slots\":2}");
    apply(s, "{\"table\":\"stages\",\"key\":\"q/3\",\"row\":{\"query\":null,\"stage\":3}}");
    assert_string_equal(event_state_row(s, "stages", "q/3"), "{\"query\":\"q\",\"stage\":\"3\"}");
    apply(s, "{\"table\":\"stages\",\"key\":\"p/3\",\"row\":{\"query\":\"p\",\"stage\":3}}");
    assert_string_equal(event_state_row(s, "stages", "p/3"), "{\"query\":\"p\",\"stage\":3}");
    assert_int_equal(event_state_refused(s), 0);
    event_state_free(s);
}

/* What could not be found again in a frame makes no row. */
static void test_patches_of_keys_that_are_none_are_left_out_and_counted(void **state)
{
    static const char *const bad[] = {
        "{\"table\":\"nodes\",\"key\":\"\",\"row\":{\"name\":\"n1\"}}",
        "{\"table\":\"routing\",\"key\":\"n1\",\"row\":{\"node\":\"n1\",\"service\":\"a\"}}",
        "{\"table\":\"routing\",\"key\":\"/a\",\"row\":{}}",
        "{\"table\":\"routing\",\"key\":\"n1/\",\"row\":{}}",
    };
    struct event_state *s = event_state_new();
    (void)state;
    for (unsigned i = 0; i < MEM_COUNT(bad); i++) {
        assert_int_equal(event_state_apply(s, bad[i], strlen(bad[i])), ERR_INVALID);
        assert_int_equal(event_state_refused(s), i + 1);
    }
    assert_int_equal(event_state_rows(s, "nodes") + event_state_rows(s, "routing"), 0);
    event_state_clear(s);
    assert_int_equal(event_state_refused(s), 0);
    event_state_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_patches_make_change_and_remove_rows),
        cmocka_unit_test(test_a_row_has_both_fields_of_its_key),
        cmocka_unit_test(test_events_without_a_patch_and_unknown_tables_change_nothing),
        cmocka_unit_test(test_rows_are_printed_in_natural_order),
        cmocka_unit_test(test_a_row_that_grows_too_long_stays_as_it_was),
        cmocka_unit_test(test_a_frame_and_later_patches_are_the_state),
        cmocka_unit_test(test_what_is_no_frame_is_refused),
        cmocka_unit_test(test_rows_of_a_frame_without_their_key_are_left_out_and_counted),
        cmocka_unit_test(test_too_long_rows_of_a_frame_are_left_out_and_counted),
        cmocka_unit_test(test_patches_leave_a_row_its_key),
        cmocka_unit_test(test_patches_of_keys_that_are_none_are_left_out_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
