/* Generated joins whose sides are all too large to be read whole, by stages, beside DuckDB itself:
 * outer joins, several in a row, keys of other types, nulls, skew, sides without rows.
 * ORACLE_QUERIES sets how many; TEST_SEED replays one. */
#include "tests/lib/sql_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/generated.h"

enum { QUERIES = 120, TEXT_MAX = 65536 };

/* All have: id (unique), k (few values, skewed, nulls), n (a number of another type), s, d. */
static const struct {
    const char *name, *rows;
    size_t files;
} tables[] = {
    {"a",
     "SELECT i::INTEGER AS id, CASE WHEN i % 11 = 0 THEN NULL WHEN i % 3 > 0 THEN 1 ELSE i % 17 "
     "END::INTEGER AS k, (i % 50)::BIGINT AS n, CASE WHEN i % 9 > 0 THEN 's' || i % 23 END AS s, "
     "(i % 40 / 4)::DECIMAL(12,3) AS d, DATE '2024-01-01' + (i % 30)::INTEGER AS day FROM "
     "range(150) t(i)",
     4},
    {"b",
     "SELECT (i * 2)::BIGINT AS id, (i % 13)::SMALLINT AS k, (i % 37)::DOUBLE AS n, 's' || i % 31 "
     "AS s, (i % 30 / 2)::DECIMAL(7,1) AS d, TIMESTAMP '2024-01-10' + to_days((i % 9)::INTEGER) AS "
     "day FROM range(90) t(i)",
     3},
    {"c",
     "SELECT (i * 3)::UBIGINT AS id, CASE WHEN i % 5 > 0 THEN i % 19 END::HUGEINT AS k, "
     "i::FLOAT AS n, CASE WHEN i % 2 > 0 THEN 's' || i % 7 END AS s, i::DECIMAL(4,0) AS d, "
     "DATE '2024-01-05' + (i % 40)::INTEGER AS day FROM range(60) t(i)",
     3},
    {"none",
     "SELECT i::INTEGER AS id, i::INTEGER AS k, i::BIGINT AS n, 'x' AS s, 1.5::DECIMAL(6,2) AS d, "
     "DATE '2024-01-01' AS day FROM range(0) t(i)",
     0},
    {"one",
     "SELECT 4::INTEGER AS id, 1::INTEGER AS k, 7::BIGINT AS n, 's1' AS s, 2.25::DECIMAL(6,2) AS "
     "d, DATE '2024-01-12' AS day",
     1},
};

static int setup(void **state)
{
    struct sql_oracle *o = mem_zalloc(sizeof *o);
    *state = o;
    sql_oracle_init(o);
    for (size_t i = 0; i < MEM_COUNT(tables); i++) {
        char *sql = mem_printf("CREATE TABLE %s AS %s", tables[i].name, tables[i].rows);
        sql_oracle_exec(o, sql);
        free(sql);
        sql_oracle_table(o, tables[i].name, tables[i].files);
    }
    return 0;
}

static int teardown(void **state)
{
    sql_oracle_done(*state);
    free(*state);
    return 0;
}

struct maker {
    struct prng *prng;
    struct buf out;
    char shown[4]; /* aliases that may be named */
    size_t shown_n;
};

static size_t pick(struct maker *m, size_t n)
{
    return (size_t)prng_below(m->prng, n);
}

static void sayf(struct maker *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void sayf(struct maker *m, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert_int_equal(buf_append_str(&m->out, text), 0);
}

static const char *one_of(struct maker *m, const char *const *list, size_t n)
{
    return list[pick(m, n)];
}
#define ONE_OF(m, ...)                                                                             \
    one_of(m, (const char *const[]){__VA_ARGS__},                                                  \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static const char *table(struct maker *m)
{
    return ONE_OF(m, "a", "a", "a", "b", "b", "c", "c", "none", "one");
}

static char shown(struct maker *m)
{
    return m->shown[pick(m, m->shown_n)];
}

static void source(struct maker *m, char alias)
{
    size_t kind = pick(m, 8);
    if (kind == 0)
        sayf(m, "(SELECT * FROM %s WHERE id %% 3 > 0) %c", table(m), alias);
    else if (kind == 1)
        sayf(m,
             "(SELECT k, max(id) AS id, min(s) AS s, sum(n) AS n, max(d) AS d, min(day) AS day "
             "FROM %s GROUP BY k) %c",
             table(m), alias);
    else
        sayf(m, "%s %c", table(m), alias);
}

/* left.x = right.y */
static void equality(struct maker *m, char left, char right)
{
    switch (pick(m, 9)) {
    case 0:
    case 1:
        sayf(m, "%c.k = %c.k", left, right);
        break;
    case 2:
    case 3:
        sayf(m, "%c.id = %c.id", right, left);
        break;
    case 4:
        sayf(m, "%c.s = %c.s", left, right);
        break;
    case 5:
        sayf(m, "%c.d = %c.d", left, right);
        break;
    case 6:
        sayf(m, "%c.id = %c.n", left, right);
        break;
    case 7:
        sayf(m, "%c.day = %c.day", left, right);
        break;
    default:
        sayf(m, "%c.id + 1 = %c.id", left, right);
    }
}

static void condition(struct maker *m, char t)
{
    switch (pick(m, 9)) {
    case 0:
        sayf(m, "%c.id > %zu", t, pick(m, 60));
        break;
    case 1:
        sayf(m, "%c.s LIKE 's1%%'", t);
        break;
    case 2:
        sayf(m, "%c.k IS NOT NULL", t);
        break;
    case 3:
        sayf(m, "%c.s IS NULL", t);
        break;
    case 4:
        sayf(m, "%c.k IN (SELECT k FROM %s WHERE id < %zu)", t, table(m), pick(m, 120));
        break;
    case 5:
        sayf(m, "%sEXISTS (SELECT * FROM %s e WHERE e.id = %c.id%s)", ONE_OF(m, "", "NOT "),
             table(m), t, ONE_OF(m, "", " AND e.s > 's1'"));
        break;
    case 6:
        sayf(m, "%c.n >= (SELECT avg(z.n) FROM %s z WHERE z.k = %c.k)", t, table(m), t);
        break;
    case 7:
        sayf(m, "%c.k NOT IN (SELECT k FROM %s WHERE k IS NOT NULL)", t, ONE_OF(m, "none", "one"));
        break;
    default:
        sayf(m, "(%c.k = 1 OR %c.id %% 3 = 0)", t, t);
    }
}

static void join_chain(struct maker *m)
{
    size_t n = 2 + pick(m, 3);
    m->shown_n = 0;
    sayf(m, " FROM ");
    source(m, 't');
    m->shown[m->shown_n++] = 't';
    for (size_t i = 1; i < n; i++) {
        char alias = "tuvw"[i];
        const char *kind =
            ONE_OF(m, "", "", "INNER", "LEFT", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI");
        char left = shown(m);
        sayf(m, " %s JOIN ", kind);
        source(m, alias);
        if (pick(m, 10) == 0 && m->shown_n == 1 && i == 1) {
            sayf(m, " USING (%s)", ONE_OF(m, "k", "id", "k, s"));
        } else {
            sayf(m, " ON ");
            equality(m, left, alias);
            if (pick(m, 3) == 0) {
                sayf(m, " AND ");
                equality(m, left, alias);
            }
            if (pick(m, 4) == 0)
                sayf(m, " AND %c.id %% 5 > 0", pick(m, 2) == 0 ? left : alias);
        }
        if (strcmp(kind, "SEMI") != 0 && strcmp(kind, "ANTI") != 0)
            m->shown[m->shown_n++] = alias;
    }
    for (size_t i = 0, c = pick(m, 3); i < c; i++) {
        sayf(m, i == 0 ? " WHERE " : " AND ");
        condition(m, shown(m));
    }
}

/* FROM t, u, v WHERE ... in any order. */
static void comma_list(struct maker *m)
{
    size_t n = 2 + pick(m, 3);
    m->shown_n = 0;
    for (size_t i = 0; i < n; i++) {
        sayf(m, i == 0 ? " FROM " : ", ");
        m->shown[m->shown_n++] = "tuvw"[i];
        source(m, "tuvw"[i]);
    }
    for (size_t i = 1; i < n; i++) {
        sayf(m, i == 1 ? " WHERE " : " AND ");
        equality(m, "tuvw"[pick(m, i)], "tuvw"[i]);
    }
    for (size_t i = pick(m, 3); i > 0; i--) {
        sayf(m, " AND ");
        condition(m, shown(m));
    }
}

static void query(struct maker *m)
{
    struct buf out = m->out;
    buf_init(&m->out, TEXT_MAX);
    (pick(m, 3) == 0 ? comma_list : join_chain)(m);
    char *from = buf_steal(&m->out, NULL);
    buf_done(&m->out);
    m->out = out;
    char x = shown(m), y = shown(m);
    switch (pick(m, 6)) {
    case 0:
        sayf(m, "SELECT %c.id, %c.s, %c.d AS v", x, y, y);
        break;
    case 1:
        sayf(m, "SELECT count(*), sum(%c.id), count(%c.k), avg(%c.n)", x, y, y);
        break;
    case 2:
        sayf(m, "SELECT %c.k, count(*), sum(%c.d), avg(%c.id)", x, y, y);
        break;
    case 3:
        sayf(m, "SELECT DISTINCT %c.k, %c.s", x, y);
        break;
    case 4:
        sayf(m, "SELECT %c.k, %c.id, row_number() OVER (PARTITION BY %c.k ORDER BY %c.id) > 0", x,
             y, x, y);
        break;
    default:
        sayf(m, "SELECT %c.k, %c.s, count(*) AS n", x, y);
    }
    bool grouped = strstr(buf_cstr(&m->out), "count(*)") != NULL;
    bool keyed = buf_cstr(&m->out)[7] != 'c';
    assert_int_equal(buf_append_str(&m->out, from), 0);
    if (grouped && keyed)
        sayf(m, " GROUP BY ALL");
    free(from);
}

static void generated_joins_answer_as_duckdb_does(void **state)
{
    const char *queries = getenv("ORACLE_QUERIES");
    struct generated g;
    size_t distributed = 0, total = 0;
    generated_init(&g, queries != NULL ? (unsigned)atoi(queries) : QUERIES);
    while (generated_next(&g)) {
        struct maker m = {.prng = &g.prng};
        buf_init(&m.out, TEXT_MAX);
        query(&m);
        const char *sql = buf_cstr(&m.out);
        static const uint64_t broadcasts[] = {1, 1, 1, 700};
        uint64_t broadcast = broadcasts[pick(&m, MEM_COUNT(broadcasts))];
        for (size_t workers = 1; workers <= 3; workers++) {
            struct sql_plan_options options = {workers,  1, 0, 0, "2025-01-31 12:00:00+00",
                                               broadcast};
            struct sql_oracle_result result;
            char *text = sql_oracle_check(*state, sql, &options, false, &result);
            if (text != NULL && strstr(text, "INTERNAL Error") != NULL)
                break; /* DuckDB can't do it at all */
            generated_check(&g, text == NULL, "%zu workers: %s\n%s", workers, sql, text);
            total += workers == 2;
            distributed += workers == 2 && result.tasks > 1;
        }
        buf_done(&m.out);
    }
    print_message("# %zu of %zu queries in several tasks\n", distributed, total);
    if (total > 100)
        assert_true(distributed * 10 >= total * 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generated_joins_answer_as_duckdb_does),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
