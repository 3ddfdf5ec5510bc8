/* Footers of files that DuckDB wrote, and copies of such files that lack most of their bytes. */
#include "core/parquet_footer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/prng.h"
#include "core/delta_prune.h"
#include "tests/lib/sql_oracle.h"

enum { GROUP_ROWS = 2048, GROUPS = 5, COLUMNS = 9 };

static const char *const names[COLUMNS] = {"id", "name", "day", "moment", "price",
                                           "x",  "pair", "k",   "big"};

struct bed {
    struct sql_oracle oracle;
    char dir[64];
    char *path;
    uint8_t *data;
    size_t len;
    struct parquet_footer *footer;
};

static void load(struct bed *bed, const char *path)
{
    uint64_t len;
    struct error e = {0};
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    bed->data = mem_alloc(8 << 20);
    bed->len = fread(bed->data, 1, 8 << 20, f);
    (void)fclose(f);
    assert_int_equal(
        parquet_footer_length(bed->data + bed->len - PARQUET_FOOTER_END, bed->len, &len, &e), 0);
    uint64_t at = bed->len - PARQUET_FOOTER_END - len;
    if (parquet_footer_parse(bed->data + at, len, at, &bed->footer, &e) < 0)
        fail_msg("%s", e.text);
}

static int setup(void **state)
{
    struct bed *bed = mem_zalloc(sizeof *bed);
    const char *tmp = getenv("TMPDIR");
    snprintf(bed->dir, sizeof bed->dir, "%s/footer-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(bed->dir));
    sql_oracle_init(&bed->oracle);
    bed->path = mem_printf("%s/a.parquet", bed->dir);
    char *sql = mem_printf(
        "COPY (SELECT i::BIGINT AS id, CASE WHEN i %% 5 > 0 THEN 'name ' || i END AS name, "
        "DATE '2020-01-01' + (i %% 400)::INTEGER AS day, TIMESTAMP '2020-01-01' + to_seconds(i) AS "
        "moment, "
        "(i / 4.0)::DECIMAL(10,2) AS price, i / 3.0 AS x, {'a': i, 'b': [i, i + 1]} AS pair, "
        "(i %% 7)::SMALLINT AS k, i::DECIMAL(38,3) AS big FROM range(%d) r(i)) "
        "TO '%s' (FORMAT parquet, ROW_GROUP_SIZE %d)",
        GROUP_ROWS * GROUPS, bed->path, GROUP_ROWS);
    sql_oracle_exec(&bed->oracle, sql);
    free(sql);
    load(bed, bed->path);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    struct bed *bed = *state;
    parquet_footer_free(bed->footer);
    sql_oracle_done(&bed->oracle);
    (void)unlink(bed->path);
    char *copy = mem_printf("%s/copy.parquet", bed->dir);
    (void)unlink(copy);
    free(copy);
    (void)rmdir(bed->dir);
    free(bed->path);
    free(bed->data);
    free(bed);
    return 0;
}

static void a_footer_says_where_each_column_of_each_row_group_is(void **state)
{
    const struct bed *bed = *state;
    const struct parquet_footer *footer = bed->footer;
    assert_int_equal(footer->groups_n, GROUPS);
    assert_int_equal(footer->leaves_n, COLUMNS + 1);
    assert_string_equal(footer->leaves[6].name, "pair");
    assert_string_equal(footer->leaves[7].name, "pair");
    assert_true(footer->leaves[7].nested);
    assert_string_equal(footer->leaves[8].name, "k");
    assert_false(footer->leaves[8].nested);
    uint64_t bytes = 0;
    for (size_t g = 0; g < GROUPS; g++) {
        assert_int_equal(footer->groups[g].rows, GROUP_ROWS);
        bytes += footer->groups[g].bytes;
    }
    assert_true(bytes < footer->data_end && bytes > footer->data_end / 2);
}

/* A copy with nothing but the wanted columns of groups [first, end): the rest is `hole`. */
static void make_copy(const struct bed *bed, size_t first, size_t end, unsigned columns,
                      uint8_t hole)
{
    struct buf tail;
    uint8_t *copy = mem_alloc(bed->len);
    memset(copy, hole, bed->len);
    for (size_t g = first; g < end; g++) {
        for (size_t l = 0; l < bed->footer->leaves_n; l++) {
            const struct parquet_chunk *chunk = &bed->footer->groups[g].chunks[l];
            unsigned column = 0;
            while (strcmp(names[column], bed->footer->leaves[l].name) != 0)
                column++;
            if ((columns >> column & 1) != 0)
                memcpy(copy + chunk->offset, bed->data + chunk->offset, chunk->len);
        }
    }
    buf_init(&tail, 1 << 20);
    assert_int_equal(parquet_footer_write(bed->footer, first, end, &tail), 0);
    char *path = mem_printf("%s/copy.parquet", bed->dir);
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite("PAR1", 1, 4, f), 4);
    assert_int_equal(fwrite(copy + 4, 1, bed->footer->data_end - 4, f), bed->footer->data_end - 4);
    assert_int_equal(fwrite(tail.data, 1, tail.len, f), tail.len);
    assert_int_equal(fclose(f), 0);
    free(path);
    free(copy);
    buf_done(&tail);
}

static void check_copy(struct bed *bed, size_t first, size_t end, unsigned columns)
{
    struct buf list;
    buf_init(&list, 4096);
    for (unsigned c = 0; c < COLUMNS; c++)
        if ((columns >> c & 1) != 0)
            (void)buf_printf(&list, "%s%s", list.len > 0 ? ", " : "", names[c]);
    const char *what = buf_cstr(&list);
    char *whole = mem_printf(
        "(SELECT %s FROM read_parquet('%s', file_row_number=true) WHERE file_row_number >= %zu "
        "AND file_row_number < %zu)",
        what, bed->path, first * GROUP_ROWS, end * GROUP_ROWS);
    char *part = mem_printf("(SELECT %s FROM read_parquet('%s/copy.parquet'))", what, bed->dir);
    char *sql = mem_printf("SELECT CASE WHEN (SELECT count(*) FROM %s) <> %zu OR (SELECT count(*) "
                           "FROM (%s EXCEPT ALL %s)) > 0 "
                           "THEN error('another answer') END",
                           part, (end - first) * GROUP_ROWS, whole, part);
    sql_oracle_exec(&bed->oracle, sql);
    free(whole);
    free(part);
    free(sql);
    buf_done(&list);
}

static void a_copy_of_some_columns_and_row_groups_reads_as_these(void **state)
{
    struct bed *bed = *state;
    struct prng prng;
    prng_init(&prng, 11);
    for (unsigned round = 0; round < 40; round++) {
        size_t first = prng_below(&prng, GROUPS);
        size_t end = first + 1 + prng_below(&prng, GROUPS - first);
        unsigned columns = 1 + (unsigned)prng_below(&prng, (1 << COLUMNS) - 1);
        make_copy(bed, first, end, columns, round % 2 == 0 ? 0 : 0xff);
        check_copy(bed, first, end, columns);
    }
}

/* DuckDB writes Bloom filters for what it has in a dictionary; they aren't in the copy. */
static void conditions_read_nothing_that_is_not_there(void **state)
{
    struct bed *bed = *state;
    make_copy(bed, 1, 3, 1U << 7, 0xff);
    char *sql = mem_printf("SELECT CASE WHEN count(*) = 0 THEN error('none') END FROM "
                           "read_parquet('%s/copy.parquet') WHERE k = 3",
                           bed->dir);
    sql_oracle_exec(&bed->oracle, sql);
    free(sql);
    sql = mem_printf("SELECT count(*) FROM read_parquet('%s/copy.parquet') WHERE k = 77", bed->dir);
    sql_oracle_exec(&bed->oracle, sql);
    free(sql);
}

static size_t leaf_of(const struct bed *bed, const char *name)
{
    size_t l = 0;
    while (strcmp(bed->footer->leaves[l].name, name) != 0)
        l++;
    return l;
}

static void check_range(const struct bed *bed, const char *name, const char *type_name,
                        size_t group, const char *min, const char *max, uint64_t nulls)
{
    struct delta_schema schema = {0};
    struct delta_range range;
    struct buf text;
    assert_int_equal(delta_schema_add(&schema, name, type_name, true, NULL), 0);
    const struct delta_type *type = &schema.fields[0].type;
    parquet_footer_range(bed->footer, group, leaf_of(bed, name), type, &range);
    const char *wanted[] = {min, max};
    for (int i = 0; i < 2; i++) {
        buf_init(&text, 4096);
        if (wanted[i] == NULL) {
            assert_int_equal(i == 0 ? range.min.class : range.max.class, DELTA_CLASS_NONE);
        } else {
            assert_int_equal(delta_value_format_text(type, i == 0 ? &range.min : &range.max, &text),
                             0);
            assert_string_equal(buf_cstr(&text), wanted[i]);
        }
        buf_done(&text);
    }
    assert_int_equal(range.nulls, nulls);
    delta_schema_done(&schema);
}

static void statistics_are_values_of_the_tables_types(void **state)
{
    const struct bed *bed = *state;
    check_range(bed, "id", "BIGINT", 2, "4096", "6143", 0);
    check_range(bed, "id", "INTEGER", 0, "0", "2047", 0);
    check_range(bed, "id", "VARCHAR", 0, NULL, NULL, 0);
    check_range(bed, "id", "DECIMAL(10,0)", 0, NULL, NULL, 0);
    check_range(bed, "name", "VARCHAR", 0, "name 1", "name 999", 410);
    check_range(bed, "day", "DATE", 0, "2020-01-01", "2021-02-03", 0);
    check_range(bed, "moment", "TIMESTAMP", 1, "2020-01-01 00:34:08.000000",
                "2020-01-01 01:08:15.000000", 0);
    check_range(bed, "price", "DECIMAL(10,2)", 1, "512.00", "1023.75", 0);
    check_range(bed, "price", "DECIMAL(12,3)", 1, NULL, NULL, 0);
    check_range(bed, "k", "SMALLINT", 1, "0", "6", 0);
    check_range(bed, "big", "DECIMAL(38,3)", 1, "2048.000", "4095.000", 0);
    check_range(bed, "x", "DOUBLE", 1, NULL, NULL, 0);
    check_range(bed, "pair", "BIGINT", 1, NULL, NULL, UINT64_MAX);
}

static void conditions_leave_row_groups_out(void **state)
{
    const struct bed *bed = *state;
    struct delta_schema schema = {0};
    struct delta_range ranges[2];
    const char *id[] = {"4096"}, *at[] = {"2020-01-01 01:08:16"};
    assert_int_equal(delta_schema_add(&schema, "id", "BIGINT", true, NULL), 0);
    assert_int_equal(delta_schema_add(&schema, "moment", "TIMESTAMP", true, NULL), 0);
    struct delta_type types[2] = {schema.fields[0].type, schema.fields[1].type};
    struct delta_conjunct conjuncts[] = {{0, DELTA_OP_GE, id, 1}, {1, DELTA_OP_LE, at, 1}};
    struct delta_prune *prune = delta_prune_new_typed(types, conjuncts, 2);
    for (size_t g = 0; g < GROUPS; g++) {
        parquet_footer_range(bed->footer, g, leaf_of(bed, "id"), &types[0], &ranges[0]);
        parquet_footer_range(bed->footer, g, leaf_of(bed, "moment"), &types[1], &ranges[1]);
        assert_int_equal(delta_prune_judge_ranges(prune, bed->footer->groups[g].rows, ranges) !=
                             DELTA_NONE_MATCH,
                         g == 2);
    }
    delta_prune_free(prune);
    delta_schema_done(&schema);
}

/* Whatever a footer says, what is believed of it lies in the file. */
static void damaged_footers_are_refused_or_harmless(void **state)
{
    const struct bed *bed = *state;
    struct prng prng;
    prng_init(&prng, 5);
    size_t len = bed->footer->len;
    for (unsigned round = 0; round < 6000; round++) {
        uint8_t *damaged = mem_dup(bed->footer->data, len);
        size_t n = round % 3 == 0 ? prng_below(&prng, len) : len;
        for (unsigned flips = 1 + (unsigned)prng_below(&prng, 4); round % 3 != 0 && flips > 0;
             flips--)
            damaged[prng_below(&prng, len)] = (uint8_t)prng_below(&prng, 256);
        struct parquet_footer *footer = NULL;
        struct error e = {0};
        uint8_t *exact =
            mem_dup(damaged, n > 0 ? n : 1); /* so that a sanitizer sees a step behind it */
        int err = parquet_footer_parse(exact, n, bed->footer->data_end, &footer, &e);
        if (err == 0) {
            struct buf out;
            buf_init(&out, 1 << 20);
            for (size_t g = 0; g < footer->groups_n; g++)
                for (size_t l = 0; l < footer->leaves_n; l++)
                    assert_true(footer->groups[g].chunks[l].offset +
                                    footer->groups[g].chunks[l].len <=
                                footer->data_end);
            (void)parquet_footer_write(footer, 0, footer->groups_n, &out);
            buf_done(&out);
        } else {
            assert_true(strlen(e.text) > 0);
        }
        parquet_footer_free(footer);
        free(exact);
        free(damaged);
    }
}

static void files_that_are_none_are_named(void **state)
{
    uint64_t len;
    struct error e;
    (void)state;
    assert_int_equal(parquet_footer_length((const uint8_t *)"\4\0\0\0PAR1", 100, &len, &e), 0);
    assert_int_equal(len, 4);
    assert_int_equal(parquet_footer_length((const uint8_t *)"\4\0\0\0PARE", 100, &len, &e),
                     ERR_UNSUPPORTED);
    assert_int_equal(parquet_footer_length((const uint8_t *)"\4\0\0\0PAR2", 100, &len, &e),
                     ERR_CORRUPT);
    assert_int_equal(parquet_footer_length((const uint8_t *)"\100\0\0\0PAR1", 70, &len, &e),
                     ERR_CORRUPT);
    assert_int_equal(
        parquet_footer_length((const uint8_t *)"\0\0\0\4PAR1", UINT64_C(1) << 40, &len, &e),
        ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_footer_says_where_each_column_of_each_row_group_is),
        cmocka_unit_test(a_copy_of_some_columns_and_row_groups_reads_as_these),
        cmocka_unit_test(conditions_read_nothing_that_is_not_there),
        cmocka_unit_test(statistics_are_values_of_the_tables_types),
        cmocka_unit_test(conditions_leave_row_groups_out),
        cmocka_unit_test(damaged_footers_are_refused_or_harmless),
        cmocka_unit_test(files_that_are_none_are_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
