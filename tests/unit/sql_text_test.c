#include "core/sql_text.h"

#include <string.h>

#include "base/mem.h"
#include "tests/unit/generated.h"

static struct sql_statement parse(const char *text)
{
    struct sql_statement s;
    struct sql_error e;
    if (sql_parse(text, strlen(text), &s, &e) < 0)
        fail_msg("%s: %s at %zd", text, e.error.text, (ssize_t)e.at);
    return s;
}

static void refused(const char *text, int code, size_t at, const char *part)
{
    struct sql_statement s;
    struct sql_error e = {0};
    int got = sql_parse(text, strlen(text), &s, &e);
    if (got != code || strstr(e.error.text, part) == NULL || e.at != at || e.error.code != code)
        fail_msg("%s: %d at %zd: %s", text, got, (ssize_t)e.at, e.error.text);
}

static void is_kind(const char *text, enum sql_kind kind)
{
    struct sql_statement s = parse(text);
    if (s.kind != kind)
        fail_msg("%s is %s", text, sql_kind_name(s.kind));
    sql_statement_done(&s);
}

static void statements_are_told_by_their_first_words(void **state)
{
    (void)state;
    is_kind("select 1", SQL_QUERY);
    is_kind("with a as (select 1) from a", SQL_QUERY);
    is_kind("FROM t", SQL_QUERY);
    is_kind("values (1)", SQL_QUERY);
    is_kind("(select 1) union all (select 2)", SQL_QUERY);
    is_kind("pivot t on a using sum(b)", SQL_QUERY);
    is_kind("summarize t", SQL_QUERY);
    is_kind("describe select 1", SQL_QUERY);
    is_kind("describe t", SQL_DESCRIBE);
    is_kind("desc history", SQL_DESCRIBE);
    is_kind("describe history t", SQL_DESCRIBE_HISTORY);
    is_kind("show tables", SQL_SHOW_TABLES);
    is_kind("-- note\n drop table t", SQL_DROP_TABLE);
    is_kind("optimize t", SQL_OPTIMIZE);
}

static void create_table_has_columns_partitions_and_a_place(void **state)
{
    (void)state;
    struct sql_statement s = parse(
        "CREATE TABLE IF NOT EXISTS s.\"T x\" (a INTEGER NOT NULL, b decimal(15, 2), c struct(x "
        "int, y varchar)[] null) PARTITIONED BY (a) LOCATION 'file:/x'");
    assert_int_equal(s.kind, SQL_CREATE_TABLE);
    assert_true(s.if_not_exists);
    assert_string_equal(s.table.schema, "s");
    assert_string_equal(s.table.name, "T x");
    assert_int_equal(s.columns_n, 3);
    assert_string_equal(s.columns[0].type, "INTEGER");
    assert_true(s.columns[0].not_null);
    assert_string_equal(s.columns[1].type, "decimal(15, 2)");
    assert_string_equal(s.columns[2].type, "struct(x int, y varchar)[]");
    assert_false(s.columns[2].not_null);
    assert_int_equal(s.names_n, 1);
    assert_string_equal(s.names[0], "a");
    assert_string_equal(s.path, "file:/x");
    sql_statement_done(&s);
    s = parse("create or replace table t partitioned by (d) as select 1 a, 2 d");
    assert_int_equal(s.kind, SQL_CREATE_TABLE_AS);
    assert_true(s.or_replace);
    assert_string_equal(s.query.text, "select 1 a, 2 d");
    assert_int_equal(s.query.at, 48);
    sql_statement_done(&s);
    s = parse("create table t location 's3://b/t'");
    assert_int_equal(s.columns_n, 0);
    assert_string_equal(s.path, "s3://b/t");
    sql_statement_done(&s);
}

static void statements_that_write_come_apart(void **state)
{
    (void)state;
    struct sql_statement s = parse("insert into t (a, \"B\") values (1, ';'), (2, $$x$$)");
    assert_int_equal(s.names_n, 2);
    assert_string_equal(s.names[1], "B");
    assert_string_equal(s.query.text, "values (1, ';'), (2, $$x$$)");
    sql_statement_done(&s);
    s = parse("insert into t (select 1)");
    assert_int_equal(s.names_n, 0);
    assert_string_equal(s.query.text, "(select 1)");
    sql_statement_done(&s);
    s = parse("insert into t by name from u");
    assert_true(s.by_name);
    assert_string_equal(s.query.text, "from u");
    sql_statement_done(&s);
    s = parse("delete from t where a in (select b from u where c) and d");
    assert_string_equal(s.where.text, "a in (select b from u where c) and d");
    assert_int_equal(s.where.at, 20);
    sql_statement_done(&s);
    s = parse("update t set a = f(1, 2), b = 'x, where' where c > 1");
    assert_int_equal(s.sets_n, 2);
    assert_string_equal(s.sets[0].value.text, "f(1, 2)");
    assert_string_equal(s.sets[1].value.text, "'x, where'");
    assert_string_equal(s.where.text, "c > 1");
    sql_statement_done(&s);
    s = parse("copy t from '/d/*.csv.gz' (header true, delim '|', NULL '')");
    assert_int_equal(s.kind, SQL_COPY_FROM);
    assert_string_equal(s.path, "/d/*.csv.gz");
    assert_int_equal(s.options_n, 3);
    assert_string_equal(s.options[1].value, "|");
    assert_string_equal(s.options[2].name, "null");
    sql_statement_done(&s);
    s = parse("copy (select ')' from t) to 'x.parquet' with (format parquet)");
    assert_int_equal(s.kind, SQL_COPY_TO);
    assert_string_equal(s.query.text, "select ')' from t");
    sql_statement_done(&s);
    s = parse("vacuum s.t retain 168 hours dry run");
    assert_int_equal(s.retain_hours, 168);
    assert_true(s.dry_run);
    sql_statement_done(&s);
    s = parse("vacuum t");
    assert_int_equal(s.retain_hours, -1);
    sql_statement_done(&s);
    s = parse("explain analyze select 1");
    assert_true(s.explain && s.analyze);
    assert_string_equal(s.query.text, "select 1");
    sql_statement_done(&s);
}

static void mistakes_are_named_with_their_place(void **state)
{
    (void)state;
    refused("", ERR_INVALID, 0, "a statement is missing");
    refused("selec 1", ERR_INVALID, 0, "\"selec\"");
    refused("create table t (a)", ERR_INVALID, 17, "the type of the column is missing");
    refused("create table t (a int, A text)", ERR_INVALID, 23, "defined twice");
    refused("create table t (a int", ERR_INVALID, 21, "\")\" is missing");
    refused("create table t", ERR_INVALID, 14, "a list of columns");
    refused("create table t (a int) partitioned by (b)", ERR_INVALID, 23, "\"b\"");
    refused("create table t (a int) partitioned by (a)", ERR_INVALID, 23, "at least one column");
    refused("create table t (a int default 1)", ERR_UNSUPPORTED, 22, "no defaults");
    refused("create table t (a int, primary key (a))", ERR_UNSUPPORTED, 23, "no keys");
    refused("create view v as select 1", ERR_UNSUPPORTED, 7, "only tables");
    refused("create table a.b.c (x int)", ERR_UNSUPPORTED, 13, "at most one dot");
    refused("insert into t", ERR_INVALID, 13, "a query is missing");
    refused("insert into t foo", ERR_INVALID, 14, "VALUES or a query");
    refused("update t set a = ", ERR_INVALID, 17, "a value is missing");
    refused("update t set a = 1, a = 2", ERR_INVALID, 24, "set twice");
    refused("delete from t where a) or (b", ERR_INVALID, 21, "closes nothing");
    refused("delete from t where 'a", ERR_INVALID, 20, "isn't closed");
    refused("drop table t cascade", ERR_INVALID, 13, "the end of the statement");
    refused("vacuum t retain x hours", ERR_INVALID, 16, "whole number");
    refused("explain insert into t select 1", ERR_UNSUPPORTED, 8, "only queries");
    refused("copy t from stdin", ERR_UNSUPPORTED, 12, "files that the nodes can read");
}

static void what_would_leave_the_cluster_is_refused_by_name(void **state)
{
    (void)state;
    refused("ATTACH 'x.db'", ERR_FORBIDDEN, 0, "ATTACH isn't possible");
    refused("load httpfs", ERR_FORBIDDEN, 0, "load isn't possible");
    refused("INSTALL spatial", ERR_FORBIDDEN, 0, "INSTALL");
    refused("set enable_external_access = true", ERR_FORBIDDEN, 0, "set");
    refused("pragma version", ERR_FORBIDDEN, 0, "pragma");
    refused("call pragma_version()", ERR_FORBIDDEN, 0, "call");
    refused("begin", ERR_UNSUPPORTED, 0, "begin");
}

static void any_text_parses_or_fails_with_a_place_in_it(void **state)
{
    (void)state;
    static const char *const words[] = {
        "create",   "table",   "t",        "(",      ")",       ",",      "a",           "int",
        "not",      "null",    "as",       "select", "1",       "insert", "into",        "values",
        "'x'",      "delete",  "from",     "where",  "update",  "set",    "=",           "copy",
        "to",       "vacuum",  "retain",   "hours",  "dry",     "run",    "partitioned", "by",
        "location", "\"q\"",   ".",        "$$",     "'",       "/*",     "--",          "explain",
        "describe", "history", "optimize", "or",     "replace", "if",     "exists",      "[",
        "]",        "\xff"};
    struct generated g;
    generated_init(&g, 5000);
    while (generated_next(&g)) {
        char made[256] = "";
        size_t n = prng_below(&g.prng, 14);
        for (size_t i = 0; i < n; i++) {
            strcat(made, words[prng_below(&g.prng, MEM_COUNT(words))]);
            strcat(made, " ");
        }
        size_t len = strlen(made);
        char *text = mem_dup(made, len > 0 ? len : 1); /* no NUL behind it */
        struct sql_statement s;
        struct sql_error e = {.at = SQL_AT_NONE};
        int code = sql_parse(text, len, &s, &e);
        if (code == 0) {
            sql_statement_done(&s);
        } else {
            generated_check(&g, e.error.code == code && e.error.text[0] != '\0', "%s", made);
            generated_check(&g, e.at == SQL_AT_NONE || e.at <= len, "%s: %zu", made, e.at);
        }
        free(text);
    }
}

static void values_that_read_nothing_are_told_from_others(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t columns, rows;
    } rows[] = {
        {"values (1, 'x')", 2, 1},
        {"VALUES (-1.5e3, NULL, date '2024-01-31'),\n (+2, true, 'it''s') -- two rows", 3, 2},
        {"values ($$a, (b$$)", 1, 1},
        {"values (1 + 1), (abs(-2)), (3)", 1, 3},
        {"values (x)", 1, 1},
        {"values (random(), now() - interval '1 day', [1, 2, 3], {'a': 1, 'b': (2, 3)}, 'x' || "
         "'y')",
         5, 1},
        {"values (1::decimal(10, 2), cast(1 as decimal(4, 1)))", 2, 1},
        {"values (extract(year from date '2024-01-31'), list_transform([1, 2], x -> x + 1))", 2, 1},
        {"values (case when 1 in (1, 2) then 'a' else 'b' end)", 1, 1},
        {"values ('a)', \"b)\"), (/* ), */ 1, 2)", 2, 2},
        {"values (map {'k': 1}['k'])", 1, 1},
        {"values (1), (2, 3)", 0, 0},
        {"values (default)", 0, 0},
        {"values (1, DEFAULT)", 0, 0},
        {"values (?, 1)", 0, 0},
        {"values ($1)", 0, 0},
        {"values ((select 1))", 0, 0},
        {"values (1 + ( /* x */ SELECT 1))", 0, 0},
        {"values (exists(from range(1)))", 0, 0},
        {"values (1 in (values (1)))", 0, 0},
        {"values (array(with a as (select 1) from a))", 0, 0},
        {"values ((table t))", 0, 0},
        {"values (((select 1)))", 0, 0},
        {"values (1) union all select 2", 0, 0},
        {"values (1) order by 1", 0, 0},
        {"values (1) t(a)", 0, 0},
        {"values (1", 0, 0},
        {"values (1]", 0, 0},
        {"values ([1)", 0, 0},
        {"values ('x)", 0, 0},
        {"values (1;)", 0, 0},
        {"values (1,)", 0, 0},
        {"values (,1)", 0, 0},
        {"values (1),", 0, 0},
        {"values ()", 0, 0},
        {"values", 0, 0},
        {"select 1", 0, 0},
        {"", 0, 0},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        struct sql_values values = {0};
        bool is_values = sql_values_count(rows[i].text, strlen(rows[i].text), &values);
        if (is_values != (rows[i].columns > 0) || values.columns != rows[i].columns ||
            values.rows != rows[i].rows)
            fail_msg("%s: %zu columns, %zu rows", rows[i].text, values.columns, values.rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_are_told_by_their_first_words),
        cmocka_unit_test(create_table_has_columns_partitions_and_a_place),
        cmocka_unit_test(statements_that_write_come_apart),
        cmocka_unit_test(values_that_read_nothing_are_told_from_others),
        cmocka_unit_test(mistakes_are_named_with_their_place),
        cmocka_unit_test(what_would_leave_the_cluster_is_refused_by_name),
        cmocka_unit_test(any_text_parses_or_fails_with_a_place_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
