#include "base/json_text.h"

#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "tests/unit/generated.h"

static void assert_text(const char *s, size_t len, const char *want)
{
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(json_text_append(&b, s, len), 0);
    assert_string_equal(buf_cstr(&b), want);
    buf_done(&b);
}

static void plain_text_stands_between_quotes(void **state)
{
    (void)state;
    assert_text("", 0, "\"\"");
    assert_text("abc /'", 6, "\"abc /'\"");
    assert_text("caf\xc3\xa9 \xe2\x82\xac", 9, "\"caf\xc3\xa9 \xe2\x82\xac\"");
}

static void what_json_or_a_terminal_would_obey_is_escaped(void **state)
{
    (void)state;
    assert_text("\"\\", 2, "\"\\\"\\\\\"");
    assert_text("\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"");
    assert_text("\x1b\x7f", 2, "\"\\u001b\\u007f\"");
    assert_text("a\0b", 3, "\"a\\u0000b\"");
    assert_text("\xc2\x9b\xc2\xa0", 4, "\"\\u009b\xc2\xa0\"");
    assert_text("\xffx\xc3", 3, "\"\\ufffdx\\ufffd\"");
}

static void a_full_buffer_is_left_as_it_was(void **state)
{
    (void)state;
    for (size_t max = 0; max < 15; max++) {
        struct buf b;
        buf_init(&b, max + 1);
        assert_int_equal(buf_append_byte(&b, '['), 0);
        assert_int_equal(json_text_append(&b, "a\x01\xff", 3), ERR_TOO_LARGE);
        assert_string_equal(buf_cstr(&b), "[");
        buf_done(&b);
    }
    assert_text("a\x01\xff", 3, "\"a\\u0001\\ufffd\"");
}

/* `s` with U+FFFD for each byte that is not UTF-8. */
static size_t replace_invalid(const char *s, size_t len, char *out)
{
    size_t out_len = 0;
    for (size_t at = 0; at < len;) {
        size_t n = str_utf8_len(s + at, len - at);
        memcpy(out + out_len, n > 0 ? s + at : "\xef\xbf\xbd", n > 0 ? n : 3);
        out_len += n > 0 ? n : 3;
        at += n > 0 ? n : 1;
    }
    return out_len;
}

static void any_bytes_are_one_string_to_another_parser(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 3000);
    while (generated_next(&g)) {
        char bytes[80];
        char want[3 * sizeof bytes];
        size_t len = prng_below(&g.prng, sizeof bytes);
        prng_bytes(&g.prng, bytes, len);
        if (prng_chance(&g.prng, 1, 2)) {
            for (size_t i = 0; i < len; i++)
                bytes[i] = (char)(bytes[i] & 0x7f);
        }
        struct buf b;
        buf_init(&b, JSON_TEXT_FACTOR_MAX * sizeof bytes + 2);
        generated_check(&g, json_text_append(&b, bytes, len) == 0, "%zu bytes", len);
        json_t *json = json_loadb((const char *)b.data, b.len,
                                  JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
        generated_check(&g, json_is_string(json), "%s", buf_cstr(&b));
        size_t want_len = replace_invalid(bytes, len, want);
        generated_check(&g,
                        json_string_length(json) == want_len &&
                            memcmp(json_string_value(json), want, want_len) == 0,
                        "%s", buf_cstr(&b));
        json_decref(json);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_stands_between_quotes),
        cmocka_unit_test(what_json_or_a_terminal_would_obey_is_escaped),
        cmocka_unit_test(a_full_buffer_is_left_as_it_was),
        cmocka_unit_test(any_bytes_are_one_string_to_another_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
