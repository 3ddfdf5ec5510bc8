#include "wire/http_target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tests/unit/generated.h"

static struct http_target target;
static struct error e;

static void targets_are_taken_apart(void **state)
{
    (void)state;
    assert_int_equal(http_target_parse(&target, "/api/a%20b//c?x=1&y&=z&x=%C3%A4+b&", &e), 0);
    assert_string_equal(target.raw, "/api/a%20b//c?x=1&y&=z&x=%C3%A4+b&");
    assert_int_equal(target.path_len, 13);
    static const char *const segments[] = {"api", "a b", "", "c"};
    assert_int_equal(target.segments_len, MEM_COUNT(segments));
    for (size_t i = 0; i < MEM_COUNT(segments); i++)
        assert_string_equal(target.segments[i], segments[i]);
    assert_int_equal(target.query_len, 4);
    assert_string_equal(http_target_query(&target, "x"), "1");
    assert_string_equal(http_target_query(&target, "y"), "");
    assert_string_equal(http_target_query(&target, ""), "z");
    assert_string_equal(target.query[3].value, "\xc3\xa4 b");
    assert_null(http_target_query(&target, "z"));
    http_target_done(&target);
}

static void absolute_targets_name_their_authority(void **state)
{
    (void)state;
    assert_int_equal(http_target_parse(&target, "HTTP://host:1/p?q=http://x", &e), 0);
    assert_string_equal(target.authority, "host:1");
    assert_string_equal(target.raw, "/p?q=http://x");
    assert_string_equal(target.segments[0], "p");
    http_target_done(&target);
    assert_int_equal(http_target_parse(&target, "*", &e), 0);
    assert_int_equal(target.segments_len, 0);
    http_target_done(&target);
}

static void what_cannot_be_decoded_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",         "x",          "?x",
        "/%",       "/%1",        "/%x1",
        "/%1g",     "/%00",       "/a?b=%",
        "/a?%=b",   "/%ff",       "/\xff",
        "/%c3",     "http:/",     "http://ab",
        "ftp://x/", "/%ed%a0%80", "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};
    for (size_t i = 0; i < MEM_COUNT(wrong); i++)
        assert_int_equal(http_target_parse(&target, wrong[i], &e), ERR_INVALID);
}

static void the_length_is_bounded(void **state)
{
    (void)state;
    char *text = mem_alloc(HTTP_TARGET_MAX + 2);
    memset(text, 'a', HTTP_TARGET_MAX + 1);
    text[0] = '/';
    text[HTTP_TARGET_MAX + 1] = '\0';
    assert_int_equal(http_target_parse(&target, text, &e), ERR_TOO_LARGE);
    text[HTTP_TARGET_MAX] = '\0';
    assert_int_equal(http_target_parse(&target, text, &e), 0);
    assert_int_equal(strlen(target.segments[0]), HTTP_TARGET_MAX - 1);
    http_target_done(&target);
    free(text);
}

static void any_text_is_taken_apart_or_refused(void **state)
{
    (void)state;
    static const char letters[] = "/?&=%%%+.a0fC3e2\x80\xc3#";
    struct generated g;
    generated_init(&g, 20000);
    while (generated_next(&g)) {
        char text[400];
        size_t len = prng_below(&g.prng, sizeof text);
        text[0] = '/';
        for (size_t i = 1; i < len; i++)
            text[i] = letters[prng_below(&g.prng, sizeof letters - 1)];
        text[len == 0 ? 1 : len] = '\0';
        if (http_target_parse(&target, text, &e) != 0)
            continue;
        generated_check(&g, strcmp(target.raw, text) == 0, "%s", text);
        for (size_t i = 0; i < target.segments_len; i++)
            generated_check(&g, str_is_utf8(target.segments[i], strlen(target.segments[i])), "%s",
                            text);
        for (size_t i = 0; i < target.query_len; i++)
            generated_check(&g, http_target_query(&target, target.query[i].name) != NULL, "%s",
                            text);
        http_target_done(&target);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_taken_apart),
        cmocka_unit_test(absolute_targets_name_their_authority),
        cmocka_unit_test(what_cannot_be_decoded_is_refused),
        cmocka_unit_test(the_length_is_bounded),
        cmocka_unit_test(any_text_is_taken_apart_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
