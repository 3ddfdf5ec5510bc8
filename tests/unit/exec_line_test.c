#include "role/exec_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/prng.h"
#include "wire/task_code.h"

enum { OUT_BYTES_MAX = 1 << 20 };

static int set_up(void **state)
{
    static struct buf out;
    buf_init(&out, OUT_BYTES_MAX);
    *state = &out;
    return 0;
}

static int tear_down(void **state)
{
    buf_done(*state);
    return 0;
}

static void the_targets_are_one_line(void **state)
{
    struct buf *out = *state;
    const char *const names[] = {"n1", "n\"2"};
    assert_int_equal(exec_line_targets(out, names, 2), 0);
    assert_string_equal(buf_cstr(out), "{\"event\":\"targets\",\"nodes\":[\"n1\",\"n\\\"2\"]}\n");
}

static void beginnings_and_ends_are_lines(void **state)
{
    struct buf *out = *state;
    Wire__TaskReport report = WIRE__TASK_REPORT__INIT;
    report.code = TASK_CODE_EXIT_NONZERO;
    report.exit_code = 7;
    report.started_ms = 1000;
    report.ended_ms = 1012;
    assert_int_equal(exec_line_started(out, "n1"), 0);
    assert_int_equal(exec_line_ended(out, "n1", &report), 0);
    report.code = TASK_CODE_SIGNAL;
    report.exit_code = -1;
    report.signal = 9;
    report.ended_ms = 1; /* a clock that went back */
    assert_int_equal(exec_line_ended(out, "n1", &report), 0);
    assert_int_equal(exec_line_failed(out, "n3", "unavailable", "no \"link\"\n"), 0);
    assert_int_equal(exec_line_done(out, 2, 1), 0);
    assert_string_equal(buf_cstr(out),
                        "{\"node\":\"n1\",\"event\":\"started\"}\n"
                        "{\"node\":\"n1\",\"event\":\"ended\",\"exit_code\":7,\"signal\":0,"
                        "\"code\":\"exit_nonzero\",\"wall_ms\":12}\n"
                        "{\"node\":\"n1\",\"event\":\"ended\",\"exit_code\":null,\"signal\":9,"
                        "\"code\":\"signal\",\"wall_ms\":0}\n"
                        "{\"node\":\"n3\",\"event\":\"failed\",\"code\":\"unavailable\","
                        "\"text\":\"no \\\"link\\\"\\n\"}\n"
                        "{\"event\":\"done\",\"ok\":2,\"failed\":1}\n");
}

/* Appends what the lines of `out` carry to `data`; true when one was Base64. */
static bool decode(struct buf *out, struct buf *data)
{
    bool has_base64 = false;
    char *save = NULL;
    for (char *line = strtok_r((char *)(uintptr_t)buf_cstr(out), "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(json);
        assert_string_equal(json_string_value(json_object_get(json, "event")), "stdout");
        const json_t *text = json_object_get(json, "data");
        const json_t *base64 = json_object_get(json, "data_base64");
        assert_true((text == NULL) != (base64 == NULL));
        has_base64 = has_base64 || base64 != NULL;
        if (text != NULL)
            assert_int_equal(buf_append(data, json_string_value(text), json_string_length(text)),
                             0);
        else
            assert_int_equal(
                base64_decode(data, json_string_value(base64), json_string_length(base64)), 0);
        json_decref(json);
    }
    return has_base64;
}

/* Cuts `text` into random pieces, as reads of a pipe do. */
static bool survives(struct prng *prng, struct buf *out, const uint8_t *text, size_t len)
{
    struct exec_line_rest rest = {.len = 0};
    struct buf data;
    buf_init(&data, OUT_BYTES_MAX);
    buf_clear(out);
    for (size_t at = 0; at < len;) {
        size_t n = 1 + (size_t)prng_below(prng, 7);
        n = n < len - at ? n : len - at;
        assert_int_equal(exec_line_output(out, "n1", "stdout", text + at, n, &rest, false), 0);
        at += n;
    }
    assert_int_equal(exec_line_output(out, "n1", "stdout", NULL, 0, &rest, true), 0);
    assert_int_equal(rest.len, 0);
    bool has_base64 = decode(out, &data);
    assert_int_equal(data.len, len);
    if (len > 0)
        assert_memory_equal(data.data, text, len);
    buf_done(&data);
    return has_base64;
}

static void characters_across_pieces_stay_text(void **state)
{
    struct buf *out = *state;
    static const char text[] = "z\xc3\xa4hle \xe2\x82\xac und \xf0\x9d\x84\x9e, \"quoted\"\t\\\n";
    struct prng prng;
    prng_init(&prng, 7);
    for (int i = 0; i < 500; i++)
        assert_false(survives(&prng, out, (const uint8_t *)text, sizeof text - 1));
}

static void bytes_that_are_no_text_come_through(void **state)
{
    struct buf *out = *state;
    struct prng prng;
    prng_init(&prng, 11);
    for (int i = 0; i < 500; i++) {
        uint8_t bytes[64];
        size_t len = (size_t)prng_below(&prng, sizeof bytes + 1);
        for (size_t k = 0; k < len; k++)
            bytes[k] = prng_below(&prng, 2) == 0 ? (uint8_t)prng_below(&prng, 256) : 'a';
        (void)survives(&prng, out, bytes, len);
    }
    static const uint8_t cut[] = {'a', 0xe2, 0x82};
    assert_true(survives(&prng, out, cut, sizeof cut)); /* what never becomes a character */
}

static void a_full_buffer_keeps_its_whole_lines(void **state)
{
    (void)state;
    struct buf out;
    struct exec_line_rest rest = {.len = 0};
    buf_init(&out, 64);
    assert_int_equal(exec_line_started(&out, "n1"), 0);
    size_t len = out.len;
    assert_int_equal(
        exec_line_output(&out, "n1", "stdout", (const uint8_t *)"0123456789", 10, &rest, true),
        ERR_TOO_LARGE);
    assert_int_equal(out.len, len);
    assert_int_equal(exec_line_failed(&out, "n1", "unavailable", "text"), ERR_TOO_LARGE);
    const char *const names[] = {"a-name-that-is-long", "a-name-that-is-longer"};
    assert_int_equal(exec_line_targets(&out, names, 2), ERR_TOO_LARGE);
    assert_int_equal(out.len, len);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_targets_are_one_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(beginnings_and_ends_are_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(characters_across_pieces_stay_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_that_are_no_text_come_through, set_up, tear_down),
        cmocka_unit_test(a_full_buffer_keeps_its_whole_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
