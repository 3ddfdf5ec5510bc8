#include "base/str.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "tests/unit/generated.h"

static void prefixes_and_suffixes_are_whole_strings(void **state)
{
    (void)state;
    assert_true(str_starts_with("node1", "node"));
    assert_true(str_starts_with("node", ""));
    assert_false(str_starts_with("no", "node"));
    assert_true(str_ends_with("a.tar.gz", ".gz"));
    assert_true(str_ends_with("gz", "gz"));
    assert_false(str_ends_with("z", "gz"));
}

static void numbers_are_decimal_whole_and_within_bounds(void **state)
{
    (void)state;
    uint64_t u = 77;
    int64_t i = 77;
    static const char *const wrong[] = {"",    " 1",  "1 ",  "+1", "0x1",
                                        "1e3", "1.0", "--1", "-",  "18446744073709551616"};
    for (size_t n = 0; n < sizeof wrong / sizeof *wrong; n++) {
        assert_int_equal(str_parse_u64(wrong[n], 0, UINT64_MAX, &u), ERR_INVALID);
        assert_int_equal(str_parse_i64(wrong[n], INT64_MIN, INT64_MAX, &i), ERR_INVALID);
    }
    assert_int_equal(str_parse_u64("-1", 0, UINT64_MAX, &u), ERR_INVALID);
    assert_int_equal(str_parse_u64("5", 6, 10, &u), ERR_INVALID);
    assert_int_equal(str_parse_u64("11", 6, 10, &u), ERR_INVALID);
    assert_int_equal(str_parse_i64("9223372036854775808", INT64_MIN, INT64_MAX, &i), ERR_INVALID);
    assert_int_equal(str_parse_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &i), ERR_INVALID);
    assert_int_equal(str_parse_i64("-3", -2, 2, &i), ERR_INVALID);
    assert_true(u == 77 && i == 77);
    assert_int_equal(str_parse_u64("18446744073709551615", 0, UINT64_MAX, &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(str_parse_u64("007", 7, 7, &u), 0);
    assert_int_equal(str_parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &i), 0);
    assert_true(i == INT64_MIN);
}

static void numbers_read_back_as_written(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2000);
    while (generated_next(&g)) {
        char text[32];
        uint64_t u = prng_next(&g.prng) >> prng_below(&g.prng, 64);
        uint64_t u_again = 0;
        int64_t i = (int64_t)u;
        int64_t i_again = 0;
        (void)snprintf(text, sizeof text, "%" PRIu64, u);
        generated_check(&g, str_parse_u64(text, 0, UINT64_MAX, &u_again) == 0, "%s", text);
        (void)snprintf(text, sizeof text, "%" PRId64, i);
        generated_check(&g, str_parse_i64(text, INT64_MIN, INT64_MAX, &i_again) == 0, "%s", text);
        generated_check(&g, u == u_again && i == i_again, "%s", text);
    }
}

static void durations_are_read_in_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } right[] = {{"0", 0},
                 {"10", 10000},
                 {"1.5", 1500},
                 {"250ms", 250},
                 {"10s", 10000},
                 {"12.3s", 12300},
                 {"1h30m", 5400000},
                 {"1.5h", 5400000},
                 {"2d", 172800000},
                 {"2d04h", 187200000},
                 {"1d2h3m4s5ms", 93784005},
                 {"0.0009s", 0},
                 {"90m", 5400000},
                 {"9223372036854775807ms", INT64_MAX}};
    static const char *const wrong[] = {"",
                                        "s",
                                        "-1s",
                                        "1 s",
                                        "1x",
                                        "1m1h",
                                        "1s1s",
                                        "1h30",
                                        "1.s",
                                        ".5s",
                                        "1s ",
                                        " 1s",
                                        "1S",
                                        "1ms1s",
                                        "1.2.3s",
                                        "1.0123456789s",
                                        "5w",
                                        "9223372036854775808ms",
                                        "106751991168d",
                                        "1e3s"};
    int64_t ms;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_int_equal(str_parse_duration_ms(right[i].text, &ms), 0);
        assert_int_equal(ms, right[i].ms);
    }
    ms = 77;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(str_parse_duration_ms(wrong[i], &ms), ERR_INVALID);
    assert_int_equal(ms, 77);
}

static void durations_are_written_in_the_unit_that_fits(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "0ms"},
                 {999, "999ms"},
                 {1000, "1.0s"},
                 {12345, "12.3s"},
                 {59999, "59.9s"},
                 {60000, "1m00s"},
                 {245000, "4m05s"},
                 {3599999, "59m59s"},
                 {11520000, "3h12m"},
                 {86399999, "23h59m"},
                 {187200000, "2d04h"},
                 {-1500, "-1.5s"},
                 {INT64_MIN, "-106751991167d07h"}};
    char out[STR_SHORT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(str_format_duration(cases[i].ms, out), cases[i].text);
}

static void durations_read_back_but_for_what_was_rounded(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 5000);
    while (generated_next(&g)) {
        int64_t ms = (int64_t)(prng_next(&g.prng) >> prng_between(&g.prng, 1, 63));
        int64_t again = -1;
        char out[STR_SHORT_MAX];
        str_format_duration(ms, out);
        int64_t unit = ms < 1000 ? 1 : ms < 60000 ? 100 : ms < 3600000 ? 1000 : 60000;
        unit = ms < 86400000 ? unit : 3600000;
        generated_check(&g, str_parse_duration_ms(out, &again) == 0, "%s", out);
        generated_check(&g, again == ms - ms % unit, "%" PRId64 " is %s", ms, out);
    }
}

static void sizes_are_read_in_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } right[] = {{"0", 0},
                 {"4096", 4096},
                 {"17 B", 17},
                 {"17B", 17},
                 {"64K", 65536},
                 {"64k", 65536},
                 {"64KB", 65536},
                 {"64KiB", 65536},
                 {"64kib", 65536},
                 {"10M", 10485760},
                 {"1.5M", 1572864},
                 {"2G", 2147483648},
                 {"2 GiB", 2147483648},
                 {"1T", UINT64_C(1) << 40},
                 {"1P", UINT64_C(1) << 50},
                 {"15E", UINT64_C(15) << 60},
                 {"18446744073709551615", UINT64_MAX}};
    static const char *const wrong[] = {"",
                                        "K",
                                        "-1",
                                        "1.5",
                                        "1.5B",
                                        "1 ",
                                        " 1",
                                        "1  K",
                                        "1X",
                                        "1KK",
                                        "1Ki",
                                        "1K ",
                                        "16E",
                                        "0x1",
                                        "1BB",
                                        "1iB",
                                        "1,5K",
                                        "18446744073709551616",
                                        "18014398509481984K"};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        assert_int_equal(str_parse_bytes(right[i].text, &bytes), 0);
        assert_true(bytes == right[i].bytes);
    }
    bytes = 77;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(str_parse_bytes(wrong[i], &bytes), ERR_INVALID);
    assert_int_equal(bytes, 77);
}

static void sizes_are_written_in_the_unit_that_fits(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {17, "17 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KiB"},
                 {1229, "1.2 KiB"},
                 {1048575, "1.0 MiB"},
                 {1048524, "1023.9 KiB"},
                 {UINT64_C(3650722202), "3.4 GiB"},
                 {UINT64_MAX, "16.0 EiB"}};
    char out[STR_SHORT_MAX];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(str_format_bytes(cases[i].bytes, out), cases[i].text);
}

static void sizes_read_back_within_a_twentieth_of_their_unit(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 5000);
    while (generated_next(&g)) {
        uint64_t bytes = prng_next(&g.prng) >> prng_between(&g.prng, 1, 63);
        uint64_t again = 0;
        char out[STR_SHORT_MAX];
        str_format_bytes(bytes, out);
        generated_check(&g, str_parse_bytes(out, &again) == 0, "%s", out);
        uint64_t unit = 1;
        while (unit < UINT64_C(1) << 60 && bytes / unit >= 1024)
            unit *= 1024;
        uint64_t off = again > bytes ? again - bytes : bytes - again;
        generated_check(&g, off <= unit / 20 + 1, "%" PRIu64 " is %s", bytes, out);
    }
}

static void any_text_is_a_value_or_refused_without_a_trace(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 30000);
    while (generated_next(&g)) {
        char text[16];
        generated_text(&g, "0123456789.. kKmMgGsShHdDbBi-\xc3", sizeof text, text);
        int64_t ms = -77;
        uint64_t bytes = 77;
        int err = str_parse_duration_ms(text, &ms);
        generated_check(&g, err == 0 ? ms >= 0 : err == ERR_INVALID && ms == -77, "\"%s\"", text);
        err = str_parse_bytes(text, &bytes);
        generated_check(&g, err == 0 || (err == ERR_INVALID && bytes == 77), "\"%s\"", text);
    }
}

static void names_are_plain_and_begin_with_a_letter_or_digit(void **state)
{
    (void)state;
    assert_true(str_is_name("node-1.rack_2", 63));
    assert_true(str_is_name("7", 1));
    assert_true(str_is_name("abc", 3));
    assert_false(str_is_name("abc", 2));
    assert_false(str_is_name("", 63));
    assert_false(str_is_name("-a", 63));
    assert_false(str_is_name(".", 63));
    assert_false(str_is_name("a/b", 63));
    assert_false(str_is_name("a b", 63));
    assert_false(str_is_name("a\n", 63));
    assert_false(str_is_name("\xc3\xa9", 63));
}

static size_t encode_utf8(uint32_t code, char out[static 4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(first[len] | code);
    return len;
}

static void every_code_point_but_surrogates_is_utf8(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x110100; code++) {
        char s[4];
        size_t len = encode_utf8(code, s);
        bool valid = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        if (str_utf8_len(s, 4) != (valid ? len : 0) || str_utf8_len(s, len - 1) != 0)
            fail_msg("U+%04X", code);
    }
}

static void overlong_cut_and_stray_bytes_are_not_utf8(void **state)
{
    (void)state;
    static const char *const wrong[] = {"\x80",
                                        "\xbf",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xe0\x9f\xbf",
                                        "\xed\xa0\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf4\x90\x80\x80",
                                        "\xf5\x80\x80\x80",
                                        "\xff",
                                        "\xc3(",
                                        "\xe2\x82",
                                        "\xe2\x28\xa1",
                                        "\xf0\x9f\x98"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(str_is_utf8(wrong[i], strlen(wrong[i])));
    assert_true(str_is_utf8("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80", 15));
    assert_true(str_is_utf8("", 0));
}

static void assert_printable(const char *s, size_t len, bool keep_lines, const char *want)
{
    char *text = str_printable(s, len, keep_lines);
    assert_string_equal(text, want);
    free(text);
}

static void what_a_terminal_would_obey_is_shown_as_bytes(void **state)
{
    (void)state;
    assert_printable("plain \xc3\xa9\xe2\x82\xac", 11, false, "plain \xc3\xa9\xe2\x82\xac");
    assert_printable("\x1b[2J", 4, false, "\\x1b[2J");
    assert_printable("a\r\b\x7f", 4, true, "a\\r\\x08\\x7f");
    assert_printable("a\0b", 3, false, "a\\x00b");
    assert_printable("a\tb\n", 4, true, "a\tb\n");
    assert_printable("a\tb\n", 4, false, "a\\tb\\n");
    assert_printable("\xc2\x9b"
                     "31m",
                     5, true, "\\xc2\\x9b31m");
    assert_printable("\xe2\x80\xae", 3, true, "\\xe2\\x80\\xae");
    assert_printable("\xe2\x81\xa6", 3, true, "\\xe2\\x81\\xa6");
    assert_printable("\xff\xc3", 2, true, "\\xff\\xc3");
    assert_printable("", 0, true, "");
}

static void any_bytes_become_printable_utf8(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 3000);
    while (generated_next(&g)) {
        char bytes[64];
        size_t len = prng_below(&g.prng, sizeof bytes);
        prng_bytes(&g.prng, bytes, len);
        char *text = str_printable(bytes, len, false);
        generated_check(&g, str_is_utf8(text, strlen(text)), "%s", text);
        for (const uint8_t *at = (const uint8_t *)text; *at != 0; at++) {
            bool is_c1 = at[0] == 0xc2 && at[1] < 0xa0;
            generated_check(&g, *at >= 0x20 && *at != 0x7f && !is_c1, "%s", text);
        }
        char *again = str_printable(text, strlen(text), false);
        generated_check(&g, strcmp(text, again) == 0, "%s", text);
        free(again);
        free(text);
    }
}

static size_t naive_plain_len(const char *s, size_t len)
{
    size_t at = 0;
    while (at < len && (uint8_t)s[at] >= 0x20 && (uint8_t)s[at] < 0x7f && s[at] != '"' &&
           s[at] != '\\')
        at++;
    return at;
}

static void a_plain_beginning_ends_at_the_first_other_byte(void **state)
{
    (void)state;
    char bytes[40];
    for (size_t len = 0; len <= sizeof bytes; len++) {
        for (size_t at = 0; at < len; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                memset(bytes, byte % 2 == 0 ? ' ' : '~', sizeof bytes);
                bytes[at] = (char)byte;
                if (at + 3 < len)
                    bytes[at + 3] = '"';
                assert_int_equal(str_plain_len(bytes, len), naive_plain_len(bytes, len));
            }
        }
    }
    struct generated g;
    generated_init(&g, 3000);
    while (generated_next(&g)) {
        size_t len = prng_below(&g.prng, sizeof bytes);
        prng_bytes(&g.prng, bytes, len);
        for (size_t i = 0; i < len; i++)
            if (prng_chance(&g.prng, 9, 10))
                bytes[i] = (char)prng_between(&g.prng, 0x1f, 0x80);
        generated_check(&g, str_plain_len(bytes, len) == naive_plain_len(bytes, len), "%zu", len);
    }
}

static bool naive_glob(const char *pattern, const char *s)
{
    if (*pattern == '*')
        return naive_glob(pattern + 1, s) || (*s != '\0' && naive_glob(pattern, s + 1));
    if (*pattern == '\0' || *s == '\0')
        return *pattern == *s;
    return (*pattern == '?' || *pattern == *s) && naive_glob(pattern + 1, s + 1);
}

static void globs_match_as_the_recursive_definition_says(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 20000);
    while (generated_next(&g)) {
        char pattern[8];
        char s[10];
        generated_text(&g, "aab**?", sizeof pattern, pattern);
        generated_text(&g, "aaab", sizeof s, s);
        generated_check(&g, str_glob(pattern, s) == naive_glob(pattern, s), "\"%s\" on \"%s\"",
                        pattern, s);
    }
}

static void a_question_mark_takes_one_character_of_any_length(void **state)
{
    (void)state;
    assert_true(str_glob("caf?", "caf\xc3\xa9"));
    assert_false(str_glob("caf??", "caf\xc3\xa9"));
    assert_true(str_glob("*?\xe2\x82\xac", "1\xe2\x82\xac"));
    assert_false(str_glob("*\xa9", "caf\xc3\xa9"));
    assert_true(str_glob("?", "\xff"));
    assert_true(str_glob("", ""));
    assert_true(str_glob("*", ""));
    assert_false(str_glob("?", ""));
}

/* By definition, for strings of a few bytes. */
static unsigned naive_distance(const char *a, const char *b)
{
    if (*a == '\0' || *b == '\0')
        return (unsigned)(strlen(a) + strlen(b));
    if (*a == *b)
        return naive_distance(a + 1, b + 1);
    unsigned best = naive_distance(a + 1, b + 1);
    unsigned other = naive_distance(a + 1, b);
    best = other < best ? other : best;
    other = naive_distance(a, b + 1);
    return 1 + (other < best ? other : best);
}

static void distances_are_those_of_the_recursive_definition(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2000);
    while (generated_next(&g)) {
        char a[7];
        char b[7];
        generated_text(&g, "abc", sizeof a, a);
        generated_text(&g, "abc", sizeof b, b);
        unsigned distance = str_distance(a, b);
        generated_check(&g, distance == naive_distance(a, b), "\"%s\" \"%s\": %u", a, b, distance);
    }
    assert_int_equal(str_distance("kitten", "sitting"), 3);
}

static void long_strings_have_nothing_in_common(void **state)
{
    (void)state;
    char a[300];
    memset(a, 'a', sizeof a);
    a[299] = '\0';
    assert_int_equal(str_distance(a, a), 299);
    a[STR_DISTANCE_BYTES_MAX] = '\0';
    assert_int_equal(str_distance(a, a), 0);
    assert_int_equal(str_distance(a, ""), STR_DISTANCE_BYTES_MAX);
}

static void secrets_are_equal_only_as_a_whole(void **state)
{
    (void)state;
    assert_true(str_equal_secret("", ""));
    assert_true(str_equal_secret("token", "token"));
    assert_false(str_equal_secret("token", "tokem"));
    assert_false(str_equal_secret("token", "uoken"));
    assert_false(str_equal_secret("token", "toke"));
    assert_false(str_equal_secret("", "t"));
}

static const char *name_of(const void *arg, uint64_t id)
{
    const char *const *names = arg;
    return id < 4 ? names[id] : NULL;
}

static void nodes_are_called_by_their_names(void **state)
{
    static const char *const names[4] = {NULL, "n1", "a-long-name", "n3"};
    static const struct {
        const char *before, *after;
        size_t room;
    } cases[] = {
        {"node 3 votes no: node 1 is full", "node n3 votes no: node n1 is full", 0},
        {"node 2", "node a-long-name", 0},
        {"node 2 and node 1", "node 2 and node n1", 20},
        {"node 0, node 9, node 18446744073709551616", NULL, 0},
        {"node 1x, subnode 1, node n1, node ", NULL, 0},
        {"", NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        char text[80];
        (void)snprintf(text, sizeof text, "%s", cases[i].before);
        str_name_ids(text, cases[i].room > 0 ? cases[i].room : sizeof text, name_of, names);
        assert_string_equal(text, cases[i].after != NULL ? cases[i].after : cases[i].before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_and_suffixes_are_whole_strings),
        cmocka_unit_test(numbers_are_decimal_whole_and_within_bounds),
        cmocka_unit_test(numbers_read_back_as_written),
        cmocka_unit_test(durations_are_read_in_every_form),
        cmocka_unit_test(durations_are_written_in_the_unit_that_fits),
        cmocka_unit_test(durations_read_back_but_for_what_was_rounded),
        cmocka_unit_test(sizes_are_read_in_every_form),
        cmocka_unit_test(sizes_are_written_in_the_unit_that_fits),
        cmocka_unit_test(sizes_read_back_within_a_twentieth_of_their_unit),
        cmocka_unit_test(any_text_is_a_value_or_refused_without_a_trace),
        cmocka_unit_test(names_are_plain_and_begin_with_a_letter_or_digit),
        cmocka_unit_test(every_code_point_but_surrogates_is_utf8),
        cmocka_unit_test(overlong_cut_and_stray_bytes_are_not_utf8),
        cmocka_unit_test(what_a_terminal_would_obey_is_shown_as_bytes),
        cmocka_unit_test(any_bytes_become_printable_utf8),
        cmocka_unit_test(a_plain_beginning_ends_at_the_first_other_byte),
        cmocka_unit_test(globs_match_as_the_recursive_definition_says),
        cmocka_unit_test(a_question_mark_takes_one_character_of_any_length),
        cmocka_unit_test(distances_are_those_of_the_recursive_definition),
        cmocka_unit_test(long_strings_have_nothing_in_common),
        cmocka_unit_test(secrets_are_equal_only_as_a_whole),
        cmocka_unit_test(nodes_are_called_by_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
