#include "wire/lake_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/generated.h"

static void check_url(const char *text, const char *spelling)
{
    struct lake_url url;
    assert_int_equal(lake_url_parse(text, &url, NULL), 0);
    char *formatted = lake_url_format(&url);
    assert_string_equal(formatted, spelling);
    free(formatted);
    lake_url_done(&url);
}

static void a_place_has_one_spelling(void **state)
{
    (void)state;
    check_url("file:/srv/lake", "file:/srv/lake");
    check_url("file:///srv/lake//", "file:/srv/lake");
    check_url("/srv/lake/", "file:/srv/lake");
    check_url("s3://bucket", "s3://bucket");
    check_url("s3a://bucket/a/b/", "s3://bucket/a/b");
}

static void what_is_no_place_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        "lake",      "http://x/y", "file:lake",       "file://host/x",  "file:/",
        "/",       "/a/../b",   "/a//b",      "/a/./b",          "s3://",          "s3://Bucket",
        "s3://ab", "s3://b_c/", "s3://buck-", "s3://buck/a/../", "s3://buck/a//b", "/a\nb",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct lake_url url;
        struct error e = {0};
        if (lake_url_parse(bad[i], &url, &e) != ERR_INVALID)
            fail_msg("%s was taken", bad[i]);
        assert_true(e.text[0] != '\0');
    }
}

static void a_place_contains_what_is_below_it_and_not_its_namesake(void **state)
{
    (void)state;
    assert_true(lake_url_contains("file:/a/b", "file:/a/b"));
    assert_true(lake_url_contains("file:/a/b", "file:/a/b/c"));
    assert_false(lake_url_contains("file:/a/b", "file:/a/bc"));
    assert_false(lake_url_contains("file:/a/b", "file:/a"));
}

static void keys_lead_nowhere_else(void **state)
{
    (void)state;
    assert_true(lake_key_is_valid("a"));
    assert_true(lake_key_is_valid("a=b/..c/part-1.parquet"));
    static const char *const bad[] = {"", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.", "a\tb"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(lake_key_is_valid(bad[i]));
    char longest[LAKE_KEY_BYTES_MAX + 2];
    for (size_t i = 0; i <= LAKE_KEY_BYTES_MAX; i++)
        longest[i] = i % 100 == 99 ? '/' : 'x';
    longest[LAKE_KEY_BYTES_MAX + 1] = '\0';
    assert_false(lake_key_is_valid(longest));
    longest[LAKE_KEY_BYTES_MAX] = '\0';
    assert_true(lake_key_is_valid(longest));
}

static void names_of_the_log_are_those_of_the_protocol(void **state)
{
    (void)state;
    char name[LAKE_LOG_NAME_MAX];
    assert_string_equal(lake_log_entry(7, name), "_delta_log/00000000000000000007.json");
    assert_string_equal(lake_log_checkpoint(10, name),
                        "_delta_log/00000000000000000010.checkpoint.parquet");
    assert_string_equal(lake_log_checkpoint_part(10, 2, 3, name),
                        "_delta_log/00000000000000000010.checkpoint.0000000002.0000000003.parquet");
}

static void names_of_the_log_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        struct lake_log_name name;
    } cases[] = {
        {"_delta_log/00000000000000000007.json", {LAKE_LOG_ENTRY, 7, 0, 0}},
        {"_delta_log/00000000000000000010.checkpoint.parquet", {LAKE_LOG_CHECKPOINT, 10, 0, 0}},
        {"_delta_log/00000000000000000010.checkpoint.0000000002.0000000003.parquet",
         {LAKE_LOG_CHECKPOINT_PART, 10, 2, 3}},
        {"_delta_log/00000000000000000010.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json",
         {LAKE_LOG_CHECKPOINT_UUID, 10, 0, 0}},
        {"_delta_log/00000000000000000010.checkpoint.0000000004.0000000003.parquet",
         {LAKE_LOG_OTHER, 10, 0, 0}},
        {"_delta_log/_last_checkpoint", {LAKE_LOG_OTHER, 0, 0, 0}},
        {"_delta_log/00000000000000000007.crc", {LAKE_LOG_OTHER, 7, 0, 0}},
        {"_delta_log/0000000000000000007.json", {LAKE_LOG_OTHER, 0, 0, 0}},
        {"_delta_log/99999999999999999999.json", {LAKE_LOG_OTHER, 0, 0, 0}},
        {"part-7.parquet", {LAKE_LOG_OTHER, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lake_log_name name;
        lake_log_parse(cases[i].key, &name);
        if (name.kind != cases[i].name.kind)
            fail_msg("%s is of kind %d", cases[i].key, name.kind);
        if (name.kind == LAKE_LOG_OTHER)
            continue;
        assert_true(name.version == cases[i].name.version);
        assert_int_equal(name.part, cases[i].name.part);
        assert_int_equal(name.parts, cases[i].name.parts);
    }
}

static void partition_folders_are_escaped_as_hive_does(void **state)
{
    (void)state;
    struct uuid id = {{0x80, 0xa0, 0x83, 0xe8}};
    struct lake_partition parts[] = {{"day", "2024-01-02 10:00:00"}, {"a/b", NULL}, {"e", ""}};
    char *key = lake_data_key(parts, 3, &id);
    assert_string_equal(key, "day=2024-01-02 10%3A00%3A00/a%2Fb=__HIVE_DEFAULT_PARTITION__/"
                             "e=__HIVE_DEFAULT_PARTITION__/"
                             "part-80a083e8-0000-0000-0000-000000000000.parquet");
    assert_true(lake_key_is_valid(key));
    char *path = lake_action_path(key);
    assert_string_equal(path,
                        "day=2024-01-02%2010%253A00%253A00/a%252Fb=__HIVE_DEFAULT_PARTITION__/"
                        "e=__HIVE_DEFAULT_PARTITION__/"
                        "part-80a083e8-0000-0000-0000-000000000000.parquet");
    char *place, *back;
    assert_int_equal(lake_action_resolve("file:/t", path, &place, &back, NULL), 0);
    assert_string_equal(back, key);
    assert_string_equal(place, "file:/t");
    free(place);
    free(back);
    free(path);
    free(key);
}

static void paths_of_actions_are_resolved_or_refused(void **state)
{
    (void)state;
    char *place, *key;
    assert_int_equal(lake_action_resolve("s3://b/t", "s3://other/x/y.parquet", &place, &key, NULL),
                     0);
    assert_string_equal(place, "s3://other/x");
    assert_string_equal(key, "y.parquet");
    free(place);
    free(key);
    assert_int_equal(lake_action_resolve("s3://b/t", "file:///x/y%20z.parquet", &place, &key, NULL),
                     0);
    assert_string_equal(place, "file:/x");
    assert_string_equal(key, "y z.parquet");
    free(place);
    free(key);
    static const char *const bad[] = {"../x", "a/%2e%2e/b",     "a%2",     "a%00b",
                                      "",     "file:///x/../y", "%2e%2e/y"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (lake_action_resolve("file:/t", bad[i], &place, &key, NULL) != ERR_INVALID)
            fail_msg("%s was taken", bad[i]);
}

static void any_value_of_a_partition_gives_a_key_that_comes_back(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2000);
    while (generated_next(&g)) {
        char value[300], column[40];
        struct lake_partition part = {
            generated_text(&g, "aZ0_ /%=\"\\\n\t.:#?\x7f\xc3", sizeof column, column),
            generated_text(&g, "aZ0_ /%=\"\\\n\t.:#?\x7f\xc3", sizeof value, value)};
        struct uuid id = {{1}};
        char *key = lake_data_key(&part, 1, &id);
        generated_check(&g, lake_key_is_valid(key), "%s", key);
        char *path = lake_action_path(key), *place, *back;
        int err = lake_action_resolve("file:/t", path, &place, &back, NULL);
        generated_check(&g, err == 0 && strcmp(back, key) == 0, "%s", path);
        free(place);
        free(back);
        free(path);
        free(key);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_has_one_spelling),
        cmocka_unit_test(what_is_no_place_is_refused),
        cmocka_unit_test(a_place_contains_what_is_below_it_and_not_its_namesake),
        cmocka_unit_test(keys_lead_nowhere_else),
        cmocka_unit_test(names_of_the_log_are_those_of_the_protocol),
        cmocka_unit_test(names_of_the_log_are_taken_apart),
        cmocka_unit_test(partition_folders_are_escaped_as_hive_does),
        cmocka_unit_test(paths_of_actions_are_resolved_or_refused),
        cmocka_unit_test(any_value_of_a_partition_gives_a_key_that_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
