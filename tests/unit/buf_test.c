#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tests/unit/generated.h"

static void a_new_buffer_holds_nothing_and_still_gives_a_string(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    assert_null(b.data);
    assert_string_equal(buf_cstr(&b), "");
    assert_int_equal(b.len, 0);
    buf_done(&b);
}

static void a_buffer_takes_its_maximum_to_the_byte(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 5);
    assert_int_equal(buf_append_str(&b, "12345"), 0);
    assert_int_equal(b.len, 5);
    assert_string_equal(buf_cstr(&b), "12345");
    buf_done(&b);
}

static void what_goes_past_the_maximum_fails_and_leaves_the_buffer(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 5);
    assert_int_equal(buf_append_str(&b, "123"), 0);
    assert_int_equal(buf_append_str(&b, "456"), ERR_TOO_LARGE);
    assert_int_equal(buf_printf(&b, "%d", 456), ERR_TOO_LARGE);
    assert_int_equal(buf_reserve(&b, SIZE_MAX), ERR_TOO_LARGE);
    assert_string_equal(buf_cstr(&b), "123");
    assert_int_equal(buf_append_byte(&b, '4'), 0);
    assert_int_equal(buf_append_byte(&b, '5'), 0);
    assert_int_equal(buf_append_byte(&b, '6'), ERR_TOO_LARGE);
    assert_string_equal(buf_cstr(&b), "12345");
    buf_done(&b);
}

static void reserved_room_can_be_written(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(buf_append_str(&b, "head"), 0);
    assert_int_equal(buf_reserve(&b, 4092), 0);
    memset(b.data + b.len, 'x', 4092);
    b.len += 4092;
    assert_int_equal(strlen(buf_cstr(&b)), 4096);
    buf_done(&b);
}

static void stolen_content_belongs_to_the_caller(void **state)
{
    (void)state;
    struct buf b;
    size_t len = 99;
    buf_init(&b, 100);
    assert_int_equal(buf_printf(&b, "%s-%d", "a", 7), 0);
    char *text = buf_steal(&b, &len);
    assert_string_equal(text, "a-7");
    assert_int_equal(len, 3);
    free(text);
    assert_null(b.data);
    text = buf_steal(&b, NULL);
    assert_string_equal(text, "");
    free(text);
}

static void any_sequence_of_changes_equals_a_plain_array(void **state)
{
    (void)state;
    enum { MAX = 600 };
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        uint8_t model[MAX];
        uint8_t piece[200];
        size_t len = 0;
        struct buf b;
        buf_init(&b, MAX);
        for (int step = 0; step < 60; step++) {
            size_t n = prng_below(&g.prng, sizeof piece);
            if (prng_chance(&g.prng, 1, 3)) {
                n = prng_between(&g.prng, 0, len);
                buf_consume(&b, n);
                memmove(model, model + n, len - n);
                len -= n;
            } else {
                prng_bytes(&g.prng, piece, n);
                int want = len + n <= MAX ? 0 : ERR_TOO_LARGE;
                int err = buf_append(&b, piece, n);
                generated_check(&g, err == want, "append of %zu to %zu gives %d", n, len, err);
                if (err == 0)
                    memcpy(model + len, piece, n);
                len += err == 0 ? n : 0;
            }
            generated_check(&g, b.len == len && (len == 0 || memcmp(b.data, model, len) == 0),
                            "step %d: %zu bytes for %zu", step, b.len, len);
        }
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_buffer_holds_nothing_and_still_gives_a_string),
        cmocka_unit_test(a_buffer_takes_its_maximum_to_the_byte),
        cmocka_unit_test(what_goes_past_the_maximum_fails_and_leaves_the_buffer),
        cmocka_unit_test(reserved_room_can_be_written),
        cmocka_unit_test(stolen_content_belongs_to_the_caller),
        cmocka_unit_test(any_sequence_of_changes_equals_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
