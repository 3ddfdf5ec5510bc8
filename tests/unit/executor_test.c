/* Real executors with DuckDB: what comes back, how tasks end, what statements can't reach. */
#include <jansson.h>
#include <signal.h>

#include "base/str.h"
#include "wire/frame.h"
#include "tests/unit/executor_bed.h"

static int setup(void **state)
{
    struct executor_bed *bed = mem_zalloc(sizeof *bed);
    executor_bed_init(bed);
    *state = bed;
    return 0;
}

static int teardown(void **state)
{
    executor_bed_done(*state);
    free(*state);
    return 0;
}

static void rows_are(struct executor_bed *bed, const char *sql, const char *expected)
{
    char *rows = executor_bed_rows(bed, sql);
    assert_string_equal(rows, expected);
    free(rows);
}

/* The statement fails so. `part` is in the message; NULL: whatever it is. */
static void fails_with(struct executor_bed *bed, const char *sql, int code, const char *kind,
                       const char *part)
{
    struct executor_bed_run run;
    executor_bed_select(bed, sql, &run);
    const Wire__SqlError *error = run.done->error;
    if (error == NULL)
        fail_msg("%s: no error", sql);
    if (error->code != code || strcmp(error->kind, kind) != 0 ||
        (part != NULL && strstr(error->message, part) == NULL))
        fail_msg("%s: %d %s: %s", sql, error->code, error->kind, error->message);
    executor_bed_run_done(&run);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void numbers_are_exact(void **state)
{
    rows_are(*state,
             "SELECT 1::TINYINT, -5::SMALLINT, 9007199254740991, 9007199254740992, "
             "-9223372036854775807 - 1, 18446744073709551615::UBIGINT, "
             "170141183460469231731687303715884105727, "
             "12.30::DECIMAL(10,2), -0.05::DECIMAL(4,2), 0.1, 1e300, -0.0::DOUBLE, 0.1::FLOAT, "
             "1::DOUBLE, 'nan'::DOUBLE, 'inf'::FLOAT, '-inf'::DOUBLE",
             "[1,-5,9007199254740991,\"9007199254740992\",\"-9223372036854775808\","
             "\"18446744073709551615\",\"170141183460469231731687303715884105727\",\"12.30\","
             "\"-0.05\",\"0.1\",1e+300,-0.0,0.1,1.0,\"NaN\",\"Infinity\",\"-Infinity\"]");
}

static void text_and_bytes_come_back(void **state)
{
    rows_are(
        *state,
        "SELECT 'a\"b\\c' || chr(10) || 'é🦆', '', NULL, '\\xDE\\xAD\\x00'::BLOB, ''::BLOB, "
        "true, '{\"a\": 1}'::JSON, '101'::BIT",
        "[\"a\\\"b\\\\c\\né🦆\",\"\",null,\"\\\\xdead00\",\"\\\\x\",true,"
        "\"{\\\"a\\\": 1}\",\"101\"]");
}

static void nested_values_are_json(void **state)
{
    rows_are(*state,
             "SELECT [1, NULL, 3], {'a': 1, 'b c': 'x'}, MAP {'k': 1.5, 'l': NULL}, "
             "MAP {2: 'two'}, [[1], []], [{'q': 1}], array_value(1, 2), "
             "union_value(num := 3), NULL::INTEGER[]",
             "[[1,null,3],{\"a\":1,\"b c\":\"x\"},{\"k\":\"1.5\",\"l\":null},{\"2\":\"two\"},"
             "[[1],[]],[{\"q\":1}],[1,2],{\"num\":3},null]");
}

static void columns_have_their_types(void **state)
{
    struct executor_bed_run run;
    executor_bed_select(*state,
                        "SELECT 1::DECIMAL(9,3) a, [1] b, {'x y': 1, 'end': DATE '2020-01-01'} c, "
                        "MAP {'k': [1]} d, 'x'::ENUM('x', 'it''s') e, now() f, '1'::JSON g, "
                        "array_value(1,2) h, NULL i",
                        &run);
    assert_string_equal(run.columns,
                        "a DECIMAL(9,3), b INTEGER[], c STRUCT(\"x y\" INTEGER, \"end\" DATE), "
                        "d MAP(VARCHAR, INTEGER[]), e ENUM('x', 'it''s'), f TIMESTAMP WITH TIME "
                        "ZONE, g JSON, h INTEGER[2], i INTEGER");
    executor_bed_run_done(&run);
}

/* Each scalar of test_all_types() and its neighbours beside DuckDB's own cast. */
static void moments_are_written_as_duckdb_writes_them(void **state)
{
    static const char *const columns[] = {
        "tinyint",   "smallint",    "int",          "uint",    "date",         "time",
        "timestamp", "timestamp_s", "timestamp_ms", "time_tz", "timestamp_ns", "dec_4_1",
        "dec_9_4",   "dec_18_6",    "dec38_10",     "uuid",    "interval",     "bit",
        "bignum",    "small_enum",  "large_enum",
    };
    for (size_t i = 0; i < MEM_COUNT(columns); i++) {
        char *sql = mem_printf(
            "SELECT x, x::VARCHAR FROM (SELECT \"%s\" AS x FROM test_all_types())", columns[i]);
        char *rows = executor_bed_rows(*state, sql);
        char *array = mem_printf("[%s]", rows);
        json_t *all = json_loads(array, JSON_DECODE_INT_AS_REAL, NULL);
        size_t k;
        json_t *row;
        assert_non_null(all);
        json_array_foreach(all, k, row)
        {
            json_t *ours = json_array_get(row, 0);
            json_t *theirs = json_array_get(row, 1);
            if (json_is_real(ours))
                assert_true(json_real_value(ours) == strtod(json_string_value(theirs), NULL));
            else if (!json_equal(ours, theirs))
                fail_msg("%s: %s", columns[i], rows);
        }
        json_decref(all);
        free(array);
        free(rows);
        free(sql);
    }
}

static void intervals_and_offsets_are_written_as_duckdb_writes_them(void **state)
{
    static const char *const values[] = {
        "INTERVAL '1 year'",
        "INTERVAL '-1 year -2 months'",
        "INTERVAL '14 months 1 day'",
        "INTERVAL '-3 days'",
        "INTERVAL '1 hour 2 minutes 3.5 seconds'",
        "INTERVAL '-1 hour'",
        "INTERVAL '100 hours'",
        "INTERVAL '0 days'",
        "TIMETZ '12:34:56.789+05:30'",
        "TIMETZ '00:00:00-11'",
        "TIMETZ '01:02:03+15:59:59'",
        "DATE '0001-01-01'",
        "DATE '-0043-03-15'",
        "DATE '12345-06-07'",
        "TIMESTAMP '1969-12-31 23:59:59.999999'",
        "TIMESTAMP '0044-03-15 (BC) 01:02:03'",
        "TIMESTAMPTZ '2024-02-29 12:00:00+02'",
        "TIME '23:59:59.000001'",
        "'infinity'::TIMESTAMP",
        "'-infinity'::DATE",
        "'1e-7'::DOUBLE::VARCHAR",
        "TIMESTAMP_NS '2020-01-01 00:00:00.000000001'",
    };
    for (size_t i = 0; i < MEM_COUNT(values); i++) {
        char *sql = mem_printf("SELECT %s, (%s)::VARCHAR", values[i], values[i]);
        char *rows = executor_bed_rows(*state, sql);
        json_t *row = json_loads(rows, 0, NULL);
        if (!json_equal(json_array_get(row, 0), json_array_get(row, 1)))
            fail_msg("%s: %s", values[i], rows);
        json_decref(row);
        free(rows);
        free(sql);
    }
}

static void generated_doubles_read_back_the_same(void **state)
{
    char *rows = executor_bed_rows(
        *state, "SELECT x, x::VARCHAR FROM (SELECT (random() - 0.5) * 10 ** (i % 40 - 20) AS x "
                "FROM range(5000) t(i))");
    char *array = mem_printf("[%s]", rows);
    json_t *all = json_loads(array, 0, NULL);
    size_t k;
    json_t *row;
    assert_int_equal(json_array_size(all), 5000);
    json_array_foreach(all, k, row)
        assert_true(json_real_value(json_array_get(row, 0)) ==
                    strtod(json_string_value(json_array_get(row, 1)), NULL));
    json_decref(all);
    free(array);
    free(rows);
}

static void order_survives_casts_of_unusual_types(void **state)
{
    rows_are(*state,
             "SELECT i, (i * 3)::BIGNUM AS b FROM range(5) t(i) ORDER BY i DESC; -- a comment",
             "[4,\"12\"],[3,\"9\"],[2,\"6\"],[1,\"3\"],[0,\"0\"]");
}

static void every_kind_of_select_runs(void **state)
{
    struct executor_bed *bed = *state;
    rows_are(bed, "VALUES (1, 'a'), (2, 'b')", "[1,\"a\"],[2,\"b\"]");
    rows_are(bed, "FROM range(2)", "[0],[1]");
    rows_are(bed,
             "WITH RECURSIVE c AS (SELECT 1 x UNION ALL SELECT x + 1 FROM c WHERE x < 3) FROM c",
             "[1],[2],[3]");
    rows_are(bed, "(SELECT 1) UNION ALL (SELECT 2)", "[1],[2]");
    rows_are(bed, "PIVOT (VALUES (1, 'x', 2), (2, 'y', 3)) t(a, b, c) ON b USING sum(c) ORDER BY a",
             "[1,2,null],[2,null,3]");
    rows_are(bed, "SELECT count(*) FROM (SUMMARIZE SELECT 1 a, 2 b)", "[2]");
    rows_are(bed, "DESCRIBE SELECT 1 a", "[\"a\",\"INTEGER\",\"YES\",null,null,null]");
    rows_are(bed, "SELECT 1 AS a, 2 AS a", "[1,2]");
    rows_are(bed, "SELECT row(1, 'x'), {'a': 2}", "[[1,\"x\"],{\"a\":2}]");
    rows_are(bed, "SELECT 1 WHERE false", "");
    rows_are(bed, "/* ; */ SELECT ';', $$a;b$$, 'it''s', E'x\\'y' -- ;",
             "[\";\",\"a;b\",\"it's\",\"x'y\"]");
}

static void an_ast_runs_as_its_statement(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlParse parse = WIRE__SQL_PARSE__INIT;
    char *sql[] = {(char *)"SELECT i, 'x''y' AS s FROM range(3) t(i) WHERE i > 0 ORDER BY i DESC"};
    parse.sql = sql;
    parse.n_sql = 1;
    task.parse = &parse;
    executor_bed_run(bed, &task, &run);
    assert_null(run.done->error);
    assert_int_equal(run.done->n_parsed, 1);
    char *ast = mem_strdup(run.done->parsed[0]->json);
    executor_bed_run_done(&run);

    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    fragment.ast = ast;
    task.parse = NULL;
    task.fragment = &fragment;
    executor_bed_run(bed, &task, &run);
    assert_null(run.done->error);
    assert_string_equal(buf_cstr(&run.rows), "[2,\"x'y\"],[1,\"x'y\"]");
    assert_string_equal(run.columns, "i BIGINT, s VARCHAR");
    executor_bed_run_done(&run);
    free(ast);
}

static void parsing_tells_where_the_syntax_is_wrong(void **state)
{
    struct executor_bed_run run;
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlParse parse = WIRE__SQL_PARSE__INIT;
    char *sql[] = {(char *)"SELECT 1", (char *)"SELECT a FRM b"};
    parse.sql = sql;
    parse.n_sql = 2;
    task.parse = &parse;
    executor_bed_run(*state, &task, &run);
    assert_null(run.done->error);
    json_t *bad = json_loads(run.done->parsed[1]->json, 0, NULL);
    assert_true(str_starts_with(run.done->parsed[0]->json, "{\"error\":false,"));
    assert_true(json_is_true(json_object_get(bad, "error")));
    assert_string_equal(json_string_value(json_object_get(bad, "position")), "13");
    json_decref(bad);
    executor_bed_run_done(&run);
}

/* ---- describing ------------------------------------------------------------------------------ */

static void describe(struct executor_bed *bed, const char *sql, struct executor_bed_run *run)
{
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlDescribe d = WIRE__SQL_DESCRIBE__INIT;
    Wire__SqlInput input = WIRE__SQL_INPUT__INIT;
    Wire__SqlColumn a = WIRE__SQL_COLUMN__INIT;
    Wire__SqlColumn b = WIRE__SQL_COLUMN__INIT;
    Wire__SqlColumn *columns[] = {&a, &b};
    Wire__SqlInput *inputs[] = {&input};
    a.name = (char *)"quantity";
    a.type = (char *)"DECIMAL(12,2)";
    b.name = (char *)"Odd name";
    b.type = (char *)"VARCHAR";
    input.name = (char *)"sales";
    input.schema = (char *)"shop";
    input.columns = columns;
    input.n_columns = 2;
    d.inputs = inputs;
    d.n_inputs = 1;
    d.sql = (char *)(uintptr_t)sql;
    task.describe = &d;
    executor_bed_run(bed, &task, run);
}

static void describing_gives_columns_without_data(void **state)
{
    struct executor_bed_run run;
    describe(*state, "SELECT sum(quantity) AS q, \"Odd name\" FROM shop.sales GROUP BY ALL", &run);
    assert_null(run.done->error);
    assert_string_equal(run.columns, "q DECIMAL(38,2), Odd name VARCHAR");
    executor_bed_run_done(&run);
    /* nothing of it stays */
    fails_with(*state, "SELECT * FROM shop.sales", ERR_NOT_FOUND, "catalog", "sales");
}

static void describing_names_what_is_not_there(void **state)
{
    static const struct {
        const char *sql;
        const char *kind;
        const char *message;
        const char *hint;
        unsigned position;
    } cases[] = {
        {"SELECT quantitty FROM shop.sales", "binder", "quantitty", "quantity", 8},
        {"SELECT * FROM shop.sale", "catalog", "sale", "sales", 15},
        {"SELECT quantity + DATE '2020-01-01' FROM shop.sales", "binder", "+", "", 17},
        {"SELECT summ(quantity) FROM shop.sales", "catalog", "summ", "sum", 8},
        {"SELECT * FROM shop.sales WHERE", "syntax", "end of input", "", 0},
    };
    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        struct executor_bed_run run;
        describe(*state, cases[i].sql, &run);
        const Wire__SqlError *error = run.done->error;
        assert_non_null(error);
        if (strcmp(error->kind, cases[i].kind) != 0 ||
            strstr(error->message, cases[i].message) == NULL ||
            strstr(error->hint, cases[i].hint) == NULL ||
            (cases[i].position > 0 && error->position != cases[i].position))
            fail_msg("%s: %s: %s; %s; at %u", cases[i].sql, error->kind, error->message,
                     error->hint, error->position);
        executor_bed_run_done(&run);
    }
}

/* ---- credit, size ---------------------------------------------------------------------------- */

static void rows_wait_for_credit(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    fragment.sql = (char *)"SELECT i, repeat('x', 100) FROM range(100000) t(i)";
    task.fragment = &fragment;
    task.credit = 1;
    executor_bed_begin(bed, &task, &run);
    run.holds_credit = true;
    while (run.batches == 0)
        loop_turn(bed->loop);
    for (unsigned batches = 1; batches < 4; batches++) {
        /* what it may send, and nothing more: another statement has all the time to run meanwhile
         */
        rows_are(bed, "SELECT 1", "[1]");
        assert_int_equal(run.batches, batches);
        assert_true(run.batch_bytes_max <= EXECUTOR_ROWS_BYTES_MAX);
        executor_credit(run.job, run.rows.len);
        while (run.batches == batches)
            loop_turn(bed->loop);
    }
    run.holds_credit = false;
    executor_credit(run.job, EXECUTOR_BED_CREDIT);
    executor_bed_wait(&run);
    assert_null(run.done->error);
    assert_int_equal(run.rows_n, 100000);
    assert_int_equal(run.done->rows, 100000);
    executor_bed_run_done(&run);
}

static void a_thousand_columns(void **state)
{
    struct buf sql;
    buf_init(&sql, 1 << 20);
    assert_int_equal(buf_append_str(&sql, "SELECT 0 AS c0"), 0);
    for (unsigned i = 1; i < 1000; i++)
        assert_int_equal(buf_printf(&sql, ", %u AS \"column %u\"", i, i), 0);
    char *rows = executor_bed_rows(*state, buf_cstr(&sql));
    assert_true(str_starts_with(rows, "[0,1,2,3,"));
    assert_true(str_ends_with(rows, ",998,999]"));
    free(rows);
    buf_done(&sql);
}

static void large_statements_run_or_are_refused(void **state)
{
    struct executor_bed *bed = *state;
    size_t len = 4 << 20;
    char *text = mem_alloc(FRAME_BODY_BYTES_MAX + 1);
    memset(text, 'x', FRAME_BODY_BYTES_MAX);
    text[FRAME_BODY_BYTES_MAX] = '\0';
    char *sql = mem_printf("SELECT length('%.*s')", (int)len, text);
    rows_are(bed, sql, "[4194304]");
    free(sql);

    sql = mem_printf("SELECT length('%s')", text);
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    struct executor_job *job;
    fragment.sql = sql;
    task.fragment = &fragment;
    assert_int_equal(executor_run(bed->pool, &task, executor_bed_on_update, NULL, &job),
                     ERR_TOO_LARGE);
    free(sql);
    free(text);
}

static void a_row_has_its_limit(void **state)
{
    struct executor_bed_run run;
    executor_bed_select(*state, "SELECT repeat('x', 4000000)", &run);
    assert_null(run.done->error);
    assert_int_equal(run.rows.len, 4000004);
    executor_bed_run_done(&run);
    fails_with(*state, "SELECT repeat('x', 5000000)", ERR_TOO_LARGE, "limit", "row");
    fails_with(*state, "SELECT repeat('x', 50000000)", ERR_TOO_LARGE, "limit", "row");
}

static void deep_expressions_are_an_error(void **state)
{
    struct buf sql;
    buf_init(&sql, 1 << 20);
    assert_int_equal(buf_append_str(&sql, "SELECT "), 0);
    for (unsigned i = 0; i < 20000; i++)
        assert_int_equal(buf_append_byte(&sql, '('), 0);
    assert_int_equal(buf_append_byte(&sql, '1'), 0);
    for (unsigned i = 0; i < 20000; i++)
        assert_int_equal(buf_append_str(&sql, "+1)"), 0);
    struct executor_bed_run run;
    executor_bed_select(*state, buf_cstr(&sql), &run);
    assert_non_null(run.done->error);
    executor_bed_run_done(&run);
    buf_done(&sql);
    rows_are(*state, "SELECT 1", "[1]");
}

/* ---- ends ------------------------------------------------------------------------------------ */

#define ENDLESS                                                                                    \
    "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = -1"

static void begin(struct executor_bed *bed, const char *sql, uint64_t time_limit_ms,
                  struct executor_bed_run *run)
{
    Wire__SqlRunTask task = WIRE__SQL_RUN_TASK__INIT;
    Wire__SqlFragment fragment = WIRE__SQL_FRAGMENT__INIT;
    fragment.sql = (char *)(uintptr_t)sql;
    task.fragment = &fragment;
    task.time_limit_ms = time_limit_ms;
    executor_bed_begin(bed, &task, run);
}

static int pid_that_runs(struct executor_bed *bed)
{
    struct executor_stats stats;
    uint64_t idle = 0;
    do {
        loop_turn(bed->loop);
        executor_pool_get_stats(bed->pool, &stats);
        idle = stats.queued;
    } while (idle > 0 || stats.pid_last == 0);
    return stats.pid_last;
}

static void a_cancel_ends_a_statement(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    begin(bed, ENDLESS, 0, &run);
    (void)pid_that_runs(bed);
    executor_cancel(run.job, ERR_CANCELLED, "Ctrl-C");
    executor_bed_wait(&run);
    assert_int_equal(run.done->error->code, ERR_CANCELLED);
    assert_string_equal(run.done->error->message, "Ctrl-C");
    executor_bed_run_done(&run);
    rows_are(bed, "SELECT 1", "[1]");
}

static void a_cancel_ends_a_statement_that_waits_for_credit(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    begin(bed, "SELECT i, repeat('x', 1000) FROM range(1000000) t(i)", 0, &run);
    run.holds_credit = true;
    while (run.batches == 0)
        loop_turn(bed->loop);
    executor_cancel(run.job, ERR_CANCELLED, "enough");
    executor_bed_wait(&run);
    assert_int_equal(run.done->error->code, ERR_CANCELLED);
    executor_bed_run_done(&run);
}

static void a_cancel_ends_a_statement_that_waits_for_a_slot(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run running[2];
    struct executor_bed_run waiting;
    for (unsigned i = 0; i < 2; i++)
        begin(bed, ENDLESS, 0, &running[i]);
    begin(bed, "SELECT 1", 0, &waiting);
    (void)executor_pool_has_slot(bed->pool);
    executor_cancel(waiting.job, ERR_CANCELLED, "never mind");
    executor_bed_wait(&waiting);
    assert_int_equal(waiting.done->error->code, ERR_CANCELLED);
    assert_false(executor_pool_has_slot(bed->pool));
    for (unsigned i = 0; i < 2; i++) {
        executor_cancel(running[i].job, ERR_CANCELLED, "enough");
        executor_bed_wait(&running[i]);
        executor_bed_run_done(&running[i]);
    }
    executor_bed_run_done(&waiting);
}

static void an_executor_that_obeys_no_cancel_is_killed(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_stats before;
    struct executor_stats after;
    struct executor_bed_run run;
    executor_pool_get_stats(bed->pool, &before);
    begin(bed, ENDLESS, 0, &run);
    assert_int_equal(kill(pid_that_runs(bed), SIGSTOP), 0);
    executor_cancel(run.job, ERR_CANCELLED, "Ctrl-C");
    executor_bed_wait(&run);
    executor_pool_get_stats(bed->pool, &after);
    assert_int_equal(run.done->error->code, ERR_CANCELLED);
    assert_int_equal(after.kills, before.kills + 1);
    assert_int_equal(after.crashes, before.crashes);
    executor_bed_run_done(&run);
    rows_are(bed, "SELECT 1", "[1]");
}

static void a_crash_costs_the_statement_alone(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_stats before;
    struct executor_stats after;
    struct executor_bed_run run;
    executor_pool_get_stats(bed->pool, &before);
    begin(bed, ENDLESS, 0, &run);
    assert_int_equal(kill(pid_that_runs(bed), SIGKILL), 0);
    executor_bed_wait(&run);
    assert_int_equal(run.done->error->code, ERR_UNAVAILABLE);
    assert_string_equal(run.done->error->kind, "crash");
    assert_true(run.done->error->elsewhere);
    executor_pool_get_stats(bed->pool, &after);
    assert_int_equal(after.crashes, before.crashes + 1);
    executor_bed_run_done(&run);
    rows_are(bed, "SELECT 1", "[1]");
}

static void an_idle_executor_that_dies_is_replaced(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_stats stats;
    rows_are(bed, "SELECT 1", "[1]");
    executor_pool_get_stats(bed->pool, &stats);
    uint64_t crashes = stats.crashes;
    assert_int_equal(kill(stats.pid_last, SIGKILL), 0);
    while (stats.crashes == crashes) {
        loop_turn(bed->loop);
        executor_pool_get_stats(bed->pool, &stats);
    }
    rows_are(bed, "SELECT 2", "[2]");
}

static void the_time_limit_ends_a_statement(void **state)
{
    struct executor_bed_run run;
    begin(*state, ENDLESS, 100, &run);
    executor_bed_wait(&run);
    assert_int_equal(run.done->error->code, ERR_TIMEOUT);
    assert_string_equal(run.done->error->kind, "limit");
    assert_non_null(strstr(run.done->error->message, "100ms"));
    executor_bed_run_done(&run);
}

static void light_tasks_run_while_the_slots_are_taken(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run running[2];
    struct executor_bed_run run;
    for (unsigned i = 0; i < 2; i++)
        begin(bed, ENDLESS, 0, &running[i]);
    describe(bed, "SELECT quantity FROM shop.sales", &run);
    assert_null(run.done->error);
    executor_bed_run_done(&run);
    for (unsigned i = 0; i < 2; i++) {
        executor_cancel(running[i].job, ERR_CANCELLED, "enough");
        executor_bed_wait(&running[i]);
        executor_bed_run_done(&running[i]);
    }
}

static void a_dropped_job_is_heard_of_no_more(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    begin(bed, ENDLESS, 0, &run);
    (void)pid_that_runs(bed);
    executor_drop(run.job);
    rows_are(bed, "SELECT 1", "[1]");
    assert_null(run.done);
    executor_bed_run_done(&run);
}

/* The executor obeys at last, but the loop is held up and kills it before it hears of that. */
static void let_it_obey(void *arg)
{
    assert_int_equal(kill(*(int *)arg, SIGCONT), 0);
    (void)usleep(5 * EXECUTOR_CANCEL_MS * 1000);
}

static void an_executor_that_was_killed_too_late_is_given_nothing_more(void **state)
{
    struct executor_bed *bed = *state;
    struct executor_bed_run run;
    struct loop_timer timer;
    begin(bed, ENDLESS, 0, &run);
    int pid = pid_that_runs(bed);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    loop_timer_init(&timer, bed->loop, let_it_obey, &pid);
    loop_timer_start(&timer, EXECUTOR_CANCEL_MS);
    executor_cancel(run.job, ERR_CANCELLED, "Ctrl-C");
    executor_bed_wait(&run);
    assert_int_equal(run.done->error->code, ERR_CANCELLED);
    rows_are(bed, "SELECT 1", "[1]");
    executor_bed_run_done(&run);
}

/* ---- limits of the pool ---------------------------------------------------------------------- */

static void limits_of_memory_and_disk_are_errors(void **state)
{
    struct executor_bed bed = {0};
    struct executor_pool_options options;
    (void)state;
    executor_bed_open(&bed);
    executor_bed_options(&bed, &options);
    options.memory_bytes_max = 64 << 20;
    options.temp_bytes_max = 64 << 20;
    executor_bed_start(&bed, &options);
    fails_with(&bed,
               "SELECT length(string_agg(repeat(i::VARCHAR, 50), '')) FROM range(5000000) t(i)",
               -ENOMEM, "memory", NULL);
    fails_with(&bed,
               "SELECT count(*) FROM (SELECT sha256(i::VARCHAR) s FROM range(10000000) t(i) "
               "ORDER BY s) WHERE s > '1'", /* on the disk it is half as large, if that is slow */
               -ENOSPC, "disk", NULL);
    rows_are(&bed, "SELECT 1", "[1]");
    executor_bed_stop(&bed);
    free((void *)(uintptr_t)options.dir);
    executor_bed_done(&bed);
}

static void a_library_that_is_missing_is_named(void **state)
{
    struct executor_bed bed = {0};
    struct executor_pool_options options;
    struct error e = {0};
    (void)state;
    executor_bed_open(&bed);
    executor_bed_options(&bed, &options);
    options.library = "/nowhere/libduckdb.so";
    assert_int_equal(executor_check(options.library, &e), ERR_UNSUPPORTED);
    executor_bed_start(&bed, &options);
    fails_with(&bed, "SELECT 1", ERR_UNSUPPORTED, "unavailable", "/nowhere/libduckdb.so");
    fails_with(&bed, "SELECT 1", ERR_UNSUPPORTED, "unavailable", "/nowhere/libduckdb.so");
    executor_bed_stop(&bed);
    free((void *)(uintptr_t)options.dir);
    executor_bed_done(&bed);
}

static void a_program_that_is_missing_is_an_error(void **state)
{
    struct executor_bed bed = {0};
    struct executor_pool_options options;
    (void)state;
    executor_bed_open(&bed);
    executor_bed_options(&bed, &options);
    options.program = "/nowhere/clusterd";
    executor_bed_start(&bed, &options);
    fails_with(&bed, "SELECT 1", -ENOENT, "unavailable", "cannot start");
    executor_bed_stop(&bed);
    options.program = "/bin/false";
    executor_bed_start(&bed, &options);
    fails_with(&bed, "SELECT 1", ERR_UNAVAILABLE, "unavailable", "does not start");
    executor_bed_stop(&bed);
    free((void *)(uintptr_t)options.dir);
    executor_bed_done(&bed);
}

static void nothing_stays_when_the_pool_is_closed(void **state)
{
    struct executor_bed bed;
    struct executor_bed_run run;
    struct executor_bed_run waiting;
    (void)state;
    executor_bed_init(&bed);
    begin(&bed, ENDLESS, 0, &run);
    int pid = pid_that_runs(&bed);
    begin(&bed, "SELECT 1", 0, &waiting);
    char *dir = mem_printf("%s/sql", bed.dir);
    assert_int_equal(access(dir, F_OK), 0);
    executor_bed_stop(&bed);
    assert_int_not_equal(access(dir, F_OK), 0);
    assert_int_not_equal(kill(pid, 0), 0);
    assert_int_equal(run.done->error->code, ERR_UNAVAILABLE);
    assert_int_equal(waiting.done->error->code, ERR_UNAVAILABLE);
    free(dir);
    executor_bed_run_done(&run);
    executor_bed_run_done(&waiting);
    executor_bed_done(&bed);
}

/* ---- safety ---------------------------------------------------------------------------------- */

static void files_outside_are_out_of_reach(void **state)
{
    struct executor_bed *bed = *state;
    static const char *const statements[] = {
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_blob('/proc/self/environ')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM parquet_metadata('/etc/passwd')",
        "SELECT * FROM read_json('/etc/passwd')",
        "SELECT * FROM read_csv('https://127.0.0.1/x.csv')",
        "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    };
    for (size_t i = 0; i < MEM_COUNT(statements); i++)
        fails_with(bed, statements[i], ERR_FORBIDDEN, "permission", NULL);
    char *above = mem_printf("SELECT * FROM glob('%s/../*')", bed->store);
    fails_with(bed, above, ERR_FORBIDDEN, "permission", NULL);
    free(above);
}

static void what_is_no_select_is_refused(void **state)
{
    static const char *const statements[] = {
        "LOAD httpfs",
        "INSTALL httpfs",
        "ATTACH ':memory:' AS x",
        "SET memory_limit='100GB'",
        "RESET lock_configuration",
        "PRAGMA memory_limit='1TB'",
        "PRAGMA import_database('/tmp')",
        "CREATE TABLE t(i INTEGER)",
        "CREATE SECRET (TYPE s3)",
        "COPY (SELECT 1) TO '/tmp/executor-test-escape'",
        "EXPORT DATABASE '/tmp/executor-test-escape'",
        "IMPORT DATABASE '/tmp'",
        "CALL enable_logging()",
        "EXECUTE x",
        "PREPARE x AS SELECT 1",
        "BEGIN",
        "DROP VIEW x",
        "USE x",
        "VACUUM",
        "CHECKPOINT",
        "SELECT * FROM arrow_scan(1, 2, 3)",
        "SELECT * FROM system.main.\"ARROW_scan_dumb\" /* x */ (1, 2, 3)",
        "SELECT * FROM query('SELECT * FROM arr' || 'ow_scan(1,2,3)')",
        "SELECT * FROM enable_logging()",
        "SELECT * FROM json_execute_serialized_sql('{}')",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/executor-test-escape'",
    };
    for (size_t i = 0; i < MEM_COUNT(statements); i++)
        fails_with(*state, statements[i], ERR_FORBIDDEN, "permission", NULL);
    fails_with(*state, "SELECT 1; SELECT 2", ERR_INVALID, "syntax", "more than one");
    fails_with(*state, "  -- nothing", ERR_INVALID, "syntax", "empty");
    fails_with(*state, "WITH x AS (INSERT INTO y VALUES (1) RETURNING 1) FROM x", ERR_UNSUPPORTED,
               "unsupported", NULL);
    assert_int_not_equal(access("/tmp/executor-test-escape", F_OK), 0);
}

int main(int argc, char **argv)
{
    EXECUTOR_BED_MAIN(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(text_and_bytes_come_back),
        cmocka_unit_test(nested_values_are_json),
        cmocka_unit_test(columns_have_their_types),
        cmocka_unit_test(moments_are_written_as_duckdb_writes_them),
        cmocka_unit_test(intervals_and_offsets_are_written_as_duckdb_writes_them),
        cmocka_unit_test(generated_doubles_read_back_the_same),
        cmocka_unit_test(order_survives_casts_of_unusual_types),
        cmocka_unit_test(every_kind_of_select_runs),
        cmocka_unit_test(an_ast_runs_as_its_statement),
        cmocka_unit_test(parsing_tells_where_the_syntax_is_wrong),
        cmocka_unit_test(describing_gives_columns_without_data),
        cmocka_unit_test(describing_names_what_is_not_there),
        cmocka_unit_test(rows_wait_for_credit),
        cmocka_unit_test(a_thousand_columns),
        cmocka_unit_test(large_statements_run_or_are_refused),
        cmocka_unit_test(a_row_has_its_limit),
        cmocka_unit_test(deep_expressions_are_an_error),
        cmocka_unit_test(a_cancel_ends_a_statement),
        cmocka_unit_test(a_cancel_ends_a_statement_that_waits_for_credit),
        cmocka_unit_test(a_cancel_ends_a_statement_that_waits_for_a_slot),
        cmocka_unit_test(an_executor_that_obeys_no_cancel_is_killed),
        cmocka_unit_test(a_crash_costs_the_statement_alone),
        cmocka_unit_test(an_idle_executor_that_dies_is_replaced),
        cmocka_unit_test(the_time_limit_ends_a_statement),
        cmocka_unit_test(light_tasks_run_while_the_slots_are_taken),
        cmocka_unit_test(a_dropped_job_is_heard_of_no_more),
        cmocka_unit_test(an_executor_that_was_killed_too_late_is_given_nothing_more),
        cmocka_unit_test(limits_of_memory_and_disk_are_errors),
        cmocka_unit_test(a_library_that_is_missing_is_named),
        cmocka_unit_test(a_program_that_is_missing_is_an_error),
        cmocka_unit_test(nothing_stays_when_the_pool_is_closed),
        cmocka_unit_test(files_outside_are_out_of_reach),
        cmocka_unit_test(what_is_no_select_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
