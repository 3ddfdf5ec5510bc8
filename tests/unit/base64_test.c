#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/error.h"

static void the_vectors_of_rfc_4648_come_out(void **state)
{
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    struct buf b;
    (void)state;
    buf_init(&b, 64);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        buf_clear(&b);
        assert_int_equal(base64_encode(&b, vectors[i][0], strlen(vectors[i][0])), 0);
        assert_string_equal(buf_cstr(&b), vectors[i][1]);
        buf_clear(&b);
        assert_int_equal(base64_decode(&b, vectors[i][1], strlen(vectors[i][1])), 0);
        assert_string_equal(buf_cstr(&b), vectors[i][0]);
    }
    buf_done(&b);
}

static void what_was_encoded_decodes_to_the_same_bytes(void **state)
{
    uint8_t data[300];
    struct buf text;
    struct buf back;
    (void)state;
    buf_init(&text, 1024);
    buf_init(&back, 1024);
    for (size_t len = 0; len < sizeof data; len++) {
        for (size_t i = 0; i < len; i++)
            data[i] = (uint8_t)(i * 37 + len * 11);
        buf_clear(&text);
        buf_clear(&back);
        assert_int_equal(base64_encode(&text, data, len), 0);
        assert_int_equal(base64_decode(&back, (const char *)text.data, text.len), 0);
        assert_int_equal(back.len, len);
        if (len > 0)
            assert_memory_equal(back.data, data, len);
    }
    buf_done(&text);
    buf_done(&back);
}

static void what_is_not_base64_is_refused_and_leaves_the_buffer(void **state)
{
    static const char *const bad[] = {"Z",    "Zg",   "Zg=",  "Zg==Zg==", "Zh==",
                                      "Zm9=", "====", "Z===", "Zm 9",     "Zm9v\n",
                                      "Zm-_", "=g==", "Zg=a", "Zm9vZg==Z"};
    struct buf b;
    (void)state;
    buf_init(&b, 64);
    assert_int_equal(buf_append_str(&b, "kept"), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(base64_decode(&b, bad[i], strlen(bad[i])), ERR_INVALID);
        assert_string_equal(buf_cstr(&b), "kept");
    }
    buf_done(&b);
}

static void a_full_buffer_takes_nothing(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b, 7);
    assert_int_equal(base64_encode(&b, "foob", 4), ERR_TOO_LARGE);
    assert_int_equal(base64_decode(&b, "Zm9vYmFyYmF6", 12), ERR_TOO_LARGE);
    assert_int_equal(b.len, 0);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648_come_out),
        cmocka_unit_test(what_was_encoded_decodes_to_the_same_bytes),
        cmocka_unit_test(what_is_not_base64_is_refused_and_leaves_the_buffer),
        cmocka_unit_test(a_full_buffer_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
