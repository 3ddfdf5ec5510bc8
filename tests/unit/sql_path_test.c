/* Paths of COPY. */
#include "core/sql_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_format_is_what_is_said_or_what_the_name_ends_in(void **state)
{
    static const struct {
        const char *path, *said;
        enum sql_path_format format;
    } rows[] = {
        {"/a/x.csv", NULL, SQL_PATH_CSV},          {"/a/x.TSV.gz", NULL, SQL_PATH_CSV},
        {"/a/x.json.zst", NULL, SQL_PATH_JSON},    {"/a/x.ndjson", NULL, SQL_PATH_JSON},
        {"/a/x.parquet", NULL, SQL_PATH_PARQUET},  {"/a/x", NULL, SQL_PATH_CSV},
        {"/a.json/x", NULL, SQL_PATH_CSV},         {"/a/x.xlsx", NULL, SQL_PATH_UNKNOWN},
        {"/a/*.gz", NULL, SQL_PATH_CSV},           {"/a/x.xlsx", "csv", SQL_PATH_CSV},
        {"/a/x.csv", "Parquet", SQL_PATH_PARQUET}, {"/a/x.csv", "excel", SQL_PATH_UNKNOWN},
        {"/a/b.json/c.d/x", NULL, SQL_PATH_CSV},   {"s3://b/x.parquet", NULL, SQL_PATH_PARQUET},
        {"/a/x.csv", "", SQL_PATH_UNKNOWN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sql_option options[] = {
            {.name = (char *)(uintptr_t) "header"},
            {.name = (char *)(uintptr_t) "format", .value = (char *)(uintptr_t)rows[i].said}};
        enum sql_path_format format =
            sql_path_format(rows[i].path, options, rows[i].said != NULL ? 2 : 1);
        if (format != rows[i].format)
            fail_msg("%s, said to be %s: %d", rows[i].path, rows[i].said, (int)format);
    }
}

static void the_folder_ends_before_the_name_or_the_pattern(void **state)
{
    static const struct {
        const char *path, *root, *rest;
    } rows[] = {
        {"/data/rows.csv", "file:/data", "rows.csv"},
        {"file:/data/rows.csv", "file:/data", "rows.csv"},
        {"/rows.csv", "file:/", "rows.csv"},
        {"/data/*/x?.csv", "file:/data", "*/x?.csv"},
        {"/data/2024-[01]*/x.csv", "file:/data", "2024-[01]*/x.csv"},
        {"/data/{a,b}.csv", "file:/data", "{a,b}.csv"},
        {"/*", "file:/", "*"},
        {"s3://bucket/dir/rows.csv", "s3://bucket/dir", "rows.csv"},
        {"s3://bucket/rows.csv", "s3://bucket", "rows.csv"},
        {"rows.csv", NULL, NULL},
        {"", NULL, NULL},
        {"file:rows.csv", NULL, NULL},
        {"s3://bucket", NULL, NULL},
        {"http://host/rows.csv", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *root = NULL, *rest = NULL;
        assert_int_equal(sql_path_split(rows[i].path, &root, &rest), rows[i].root != NULL);
        if (rows[i].root == NULL)
            continue;
        assert_string_equal(root, rows[i].root);
        assert_string_equal(rest, rows[i].rest);
        free(root);
        free(rest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_format_is_what_is_said_or_what_the_name_ends_in),
        cmocka_unit_test(the_folder_ends_before_the_name_or_the_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
