/* Generated queries by stages, beside DuckDB itself: one, two and three workers must answer as
 * DuckDB does, in names, types and rows. ORACLE_QUERIES sets how many; TEST_SEED replays one. */
#include "tests/lib/sql_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/generated.h"

enum { QUERIES = 150, TEXT_MAX = 65536, DEPTH = 40 };

static const struct {
    const char *name, *rows;
    size_t files;
} tables[] = {
    /* nulls, skew (k is 1 in most rows), decimals, dates, strings that need care */
    {"facts",
     "SELECT i::INTEGER AS id, CASE WHEN i % 11 = 0 THEN NULL WHEN i % 3 > 0 THEN 1 ELSE (i * 7919 "
     "% 17)::INTEGER END AS k, "
     "CASE WHEN i % 13 = 5 THEN NULL ELSE (i * 31 % 9973 - 3000)::DECIMAL(12,3) / 8 "
     "END::DECIMAL(12,3) AS d, "
     "['it''s', '\"q\"', '🐙 octo', '', 'a,b', 'ß', NULL, 'plain', 'x\\y', 'NULL'][i * 7 % 10 + 1] "
     "AS s, "
     "DATE '2024-01-01' + (i * 5 % 97)::INTEGER AS dt, (i % 41) * 0.25::DOUBLE AS f, i % 5 < 2 AS "
     "b, i * 1000000007 AS big "
     "FROM range(600) t(i)",
     6},
    {"dim",
     "SELECT CASE WHEN i = 9 THEN NULL ELSE i::INTEGER END AS k, 'name ' || i AS name, (i * "
     "1.5)::DECIMAL(5,1) AS w "
     "FROM range(12) t(i)",
     3},
    {"other",
     "SELECT (i * 3)::INTEGER AS id, (i % 5)::SMALLINT AS k, CASE WHEN i % 4 > 0 THEN 'v' || i % 6 "
     "END AS s, i::BIGINT * i AS n "
     "FROM range(150) t(i)",
     4},
    {"nothing",
     "SELECT i::INTEGER AS id, i::INTEGER AS k, 1.5::DECIMAL(6,2) AS d, 'x' AS s FROM range(0) "
     "t(i)",
     0},
    {"one", "SELECT 4::INTEGER AS id, 1::INTEGER AS k, 2.25::DECIMAL(6,2) AS d, 'only' AS s", 1},
    {"many",
     "SELECT i::INTEGER AS id, (i % 7)::INTEGER AS k, (i * 0.5)::DECIMAL(9,2) AS d, 's' || i % 3 "
     "AS s "
     "FROM range(120) t(i)",
     40},
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

/* The generator. */

struct maker {
    struct prng *prng;
    struct buf out;
    const char *t; /* alias of the table in front; all have id, k, s */
    const char *u; /* of a joined one, or NULL */
    bool front_is_facts;
};

static size_t pick(struct maker *m, size_t n)
{
    return (size_t)prng_below(m->prng, n);
}

static void say(struct maker *m, const char *text)
{
    assert_int_equal(buf_append_str(&m->out, text), 0);
}

static void sayf(struct maker *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void sayf(struct maker *m, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    say(m, text);
}

static const char *one_of(struct maker *m, const char *const *list, size_t n)
{
    return list[pick(m, n)];
}
#define ONE_OF(m, ...)                                                                             \
    one_of(m, (const char *const[]){__VA_ARGS__},                                                  \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static const char *side(struct maker *m)
{
    return m->u != NULL && pick(m, 3) == 0 ? m->u : m->t;
}

static void number(struct maker *m)
{
    switch (pick(m, m->front_is_facts ? 8 : 4)) {
    case 0:
        sayf(m, "%s.id", side(m));
        break;
    case 1:
        sayf(m, "%s.k", side(m));
        break;
    case 2:
        sayf(m, "%s.id %% 5", m->t);
        break;
    case 3:
        sayf(m, "(%s.k + %zu)", m->t, pick(m, 9));
        break;
    case 4:
        sayf(m, "%s.d", m->t);
        break;
    case 5:
        sayf(m, "(%s.d * 2)", m->t);
        break;
    case 6:
        sayf(m, "%s.f", m->t);
        break;
    default:
        sayf(m, "%s.big", m->t);
    }
}

static void key(struct maker *m)
{
    switch (pick(m, m->front_is_facts ? 7 : 4)) {
    case 0:
    case 1:
        sayf(m, "%s.k", side(m));
        break;
    case 2:
        sayf(m, "%s.s", side(m));
        break;
    case 3:
        sayf(m, "%s.id %% 4", m->t);
        break;
    case 4:
        sayf(m, "%s.dt", m->t);
        break;
    case 5:
        sayf(m, "%s.b", m->t);
        break;
    default:
        sayf(m, "month(%s.dt)", m->t);
    }
}

static void aggregate(struct maker *m)
{
    const char *filter =
        pick(m, 6) == 0 ? ONE_OF(m, "id > 50", "k IS NOT NULL", "id % 2 = 0") : NULL;
    size_t kind = pick(m, 14);
    if (kind < 3) {
        sayf(m, "%s(", ONE_OF(m, "sum", "min", "max"));
        number(m);
    } else if (kind < 5) {
        say(m, "avg(");
        number(m);
    } else if (kind < 7) {
        say(m, "count(");
        key(m);
    } else if (kind == 7) {
        say(m, "count(*");
    } else if (kind == 8) {
        sayf(m, "%s(DISTINCT ", ONE_OF(m, "count", "count", "sum"));
        sayf(m, "%s.%s", m->t, ONE_OF(m, "k", "id"));
    } else if (kind == 9) {
        sayf(m, "%s(%s.id > %zu", ONE_OF(m, "bool_and", "bool_or"), m->t, pick(m, 200));
    } else if (kind == 10) {
        sayf(m, "%s(%s.s", ONE_OF(m, "min", "max"), side(m));
    } else if (kind == 11) {
        sayf(m, "%s(%s.id", ONE_OF(m, "median", "stddev", "var_pop"), m->t);
    } else if (kind == 12) {
        sayf(m, "string_agg(%s.s, '|' ORDER BY %s.s, %s.id", m->t, m->t, m->t);
    } else {
        sayf(m, "sum(CASE WHEN %s.k = 1 THEN %s.id ELSE 0 END", m->t, m->t);
    }
    say(m, ")");
    if (filter != NULL)
        sayf(m, " FILTER (WHERE %s.%s)", m->t, filter);
}

static void condition(struct maker *m)
{
    switch (pick(m, m->front_is_facts ? 12 : 9)) {
    case 0:
        sayf(m, "%s.id %s %zu", m->t, ONE_OF(m, "<", ">", "<=", ">=", "=", "<>"), pick(m, 300));
        break;
    case 1:
        sayf(m, "%s.k IN (1, 2, %zu)", side(m), pick(m, 12));
        break;
    case 2:
        sayf(m, "%s.s %s", m->t,
             ONE_OF(m, "LIKE 's%'", "= 'it''s'", "IS NULL", "IS NOT NULL", "<> '🐙 octo'"));
        break;
    case 3:
        sayf(m, "%s.id BETWEEN %zu AND %zu", m->t, pick(m, 100), 50 + pick(m, 300));
        break;
    case 4:
        sayf(m, "%s.k %s (SELECT k FROM %s WHERE id < %zu)", m->t, ONE_OF(m, "IN", "NOT IN"),
             ONE_OF(m, "other", "many", "one", "nothing"), pick(m, 99));
        break;
    case 5:
        sayf(m, "%s (SELECT * FROM other e WHERE e.id = %s.id)", ONE_OF(m, "EXISTS", "NOT EXISTS"),
             m->t);
        break;
    case 6:
        sayf(m, "%s.id > (SELECT avg(id) FROM %s)", m->t, ONE_OF(m, "other", "many", "one"));
        break;
    case 7:
        sayf(m, "%s.id >= (SELECT min(z.id) FROM many z WHERE z.k = %s.k)", m->t, m->t);
        break;
    case 8:
        sayf(m, "(%s.k = 1 OR %s.id %% 3 = 0)", m->t, m->t);
        break;
    case 9:
        sayf(m, "%s.dt %s DATE '2024-0%zu-15'", m->t, ONE_OF(m, "<", ">=", "="), 1 + pick(m, 4));
        break;
    case 10:
        sayf(m, "%s.d > %zu.5", m->t, pick(m, 500));
        break;
    default:
        sayf(m, "NOT %s.b", m->t);
    }
}

static void where(struct maker *m)
{
    size_t n = pick(m, 3);
    for (size_t i = 0; i < n; i++) {
        say(m, i == 0 ? " WHERE " : " AND ");
        condition(m);
    }
}

/* FROM with up to one join; sets the aliases. */
static void from(struct maker *m)
{
    static const char *const names[] = {"facts", "facts", "facts",  "other",
                                        "many",  "one",   "nothing"};
    const char *front = names[pick(m, MEM_COUNT(names))];
    m->front_is_facts = strcmp(front, "facts") == 0;
    m->t = "t";
    m->u = NULL;
    if (pick(m, 8) == 0)
        sayf(m, " FROM (SELECT * FROM %s WHERE id %% 2 = %zu) t", front, pick(m, 2));
    else if (pick(m, 8) == 0)
        sayf(m, " FROM (SELECT * FROM %s UNION ALL SELECT * FROM %s WHERE id > 20) t", front,
             front);
    else
        sayf(m, " FROM %s t", front);
    size_t join = pick(m, 7);
    if (join == 0)
        sayf(m, " %s JOIN %s u ON t.id = u.id", ONE_OF(m, "", "LEFT", "RIGHT", "FULL", "INNER"),
             ONE_OF(m, "other", "many", "one", "nothing"));
    else if (join == 1)
        sayf(m, " %s JOIN other u ON t.k = u.k AND u.id < 60", ONE_OF(m, "", "LEFT"));
    else if (join == 2)
        sayf(m, " JOIN (SELECT k, max(id) AS id, min(s) AS s FROM many GROUP BY k) u ON t.k = u.k");
    else if (join == 3)
        say(m, ", other u");
    if (join < 4)
        m->u = "u";
    if (join == 3) {
        say(m, " WHERE t.id = u.id");
        for (size_t i = pick(m, 2); i > 0; i--) {
            say(m, " AND ");
            condition(m);
        }
    } else {
        where(m);
    }
}

/* Text that is made before its place is known. */
static char *later(struct maker *m, void (*make)(struct maker *))
{
    struct buf out = m->out;
    buf_init(&m->out, TEXT_MAX);
    make(m);
    char *text = buf_steal(&m->out, NULL);
    buf_done(&m->out);
    m->out = out;
    return text != NULL ? text : mem_strdup("");
}

static void order(struct maker *m, size_t columns)
{
    for (size_t i = 1; i <= columns; i++)
        sayf(m, "%s %zu%s", i == 1 ? " ORDER BY" : ",", i,
             ONE_OF(m, "", " DESC", " NULLS FIRST", " DESC NULLS LAST"));
}

static bool grouped(struct maker *m)
{
    char *source = later(m, from);
    size_t keys = pick(m, 3), n = keys;
    char *texts[2] = {NULL, NULL};
    say(m, "SELECT ");
    for (size_t i = 0; i < keys; i++) {
        texts[i] = later(m, key);
        sayf(m, "%s%s", texts[i], pick(m, 2) == 0 ? "" : i == 0 ? " AS k0" : " AS k1");
        say(m, ", ");
    }
    size_t aggregates = 1 + pick(m, 3);
    for (size_t i = 0; i < aggregates; i++, n++) {
        if (i > 0)
            say(m, ", ");
        size_t wrap = pick(m, 8);
        say(m, wrap == 0 ? "coalesce(" : wrap == 1 ? "(" : "");
        aggregate(m);
        say(m, wrap == 0 ? ", NULL)" : wrap == 1 ? ") IS NULL" : "");
        if (pick(m, 2) == 0)
            sayf(m, " AS a%zu", i);
    }
    say(m, source);
    for (size_t i = 0; i < keys; i++) {
        say(m, i == 0 ? " GROUP BY " : ", ");
        if (pick(m, 3) == 0)
            sayf(m, "%zu", i + 1);
        else
            say(m, texts[i]);
    }
    if (keys > 0 && pick(m, 4) == 0)
        sayf(m, " HAVING count(*) > %zu", pick(m, 5));
    bool ordered = pick(m, 3) == 0;
    if (ordered) {
        order(m, n);
        if (pick(m, 2) == 0)
            sayf(m, " LIMIT %zu", pick(m, 12));
        if (pick(m, 4) == 0)
            sayf(m, " OFFSET %zu", pick(m, 5));
    }
    free(source);
    free(texts[0]);
    free(texts[1]);
    return ordered;
}

static bool plain(struct maker *m)
{
    char *source = later(m, from);
    bool distinct = pick(m, 4) == 0;
    sayf(m, "SELECT %s", distinct ? "DISTINCT " : "");
    size_t n = 1 + pick(m, 3);
    bool star = !distinct && m->u == NULL && pick(m, 4) == 0;
    for (size_t i = 0; i < n && !star; i++) {
        say(m, i > 0 ? ", " : "");
        (pick(m, 2) == 0 ? key : number)(m);
        if (pick(m, 3) == 0)
            sayf(m, " AS c%zu", i);
    }
    if (star)
        say(m, "*");
    say(m, source);
    bool ordered = false;
    if (star && pick(m, 2) == 0) {
        say(m, " ORDER BY id, k, s LIMIT 17");
        ordered = false;
    } else if (!star && pick(m, 2) == 0) {
        order(m, n);
        ordered = true;
        if (pick(m, 2) == 0)
            sayf(m, " LIMIT %zu OFFSET %zu", pick(m, 40), pick(m, 4));
    }
    free(source);
    return ordered;
}

static bool windowed(struct maker *m)
{
    char *source = later(m, from);
    sayf(m, "SELECT %s.id, ", m->t);
    sayf(m, "%s OVER (PARTITION BY %s.k ORDER BY %s.id, %s.s)",
         ONE_OF(m, "row_number()", "sum(t.id)", "count(*)", "lag(t.s)"), m->t, m->t,
         m->u != NULL ? m->u : m->t);
    if (pick(m, 2) == 0)
        sayf(m, ", max(%s.id) OVER (PARTITION BY %s.k%s) AS top", m->t, m->t,
             ONE_OF(m, "", ", t.id % 2"));
    say(m, source);
    if (pick(m, 3) == 0)
        sayf(m, " QUALIFY row_number() OVER (PARTITION BY %s.k ORDER BY %s.id, %s.s) < 4", m->t,
             m->t, m->u != NULL ? m->u : m->t);
    free(source);
    return false;
}

static bool nested(struct maker *m)
{
    switch (pick(m, 7)) {
    case 0:
        sayf(m,
             "WITH c AS (SELECT k, count(*) AS n, sum(id) AS total FROM facts WHERE id > %zu GROUP "
             "BY k) SELECT a.k, a.n, "
             "b.total, a.total - b.n FROM c a JOIN c b ON a.k = b.k WHERE a.n >= (SELECT min(n) "
             "FROM c)",
             pick(m, 300));
        break;
    case 1:
        sayf(m, "SELECT n, count(*) AS times FROM (SELECT k, count(s) FROM facts t LEFT JOIN other "
                "USING (id, s) GROUP BY k) "
                "AS q (k, n) GROUP BY n");
        return false;
    case 2:
        sayf(m, "SELECT k, sum(x) FROM (SELECT k, id AS x FROM facts UNION ALL SELECT k, n FROM "
                "other UNION ALL SELECT k, 1 FROM "
                "many) u GROUP BY ALL");
        break;
    case 3:
        sayf(m, "SELECT %s FROM facts UNION %s SELECT %s FROM other", ONE_OF(m, "k, s", "k, 'x'"),
             ONE_OF(m, "", "ALL"), ONE_OF(m, "k, s", "k, NULL"));
        break;
    case 4:
        sayf(m, "SELECT k, s FROM facts %s SELECT k, s FROM other",
             ONE_OF(m, "INTERSECT", "EXCEPT"));
        break;
    case 5:
        sayf(m, "SELECT k, n, rank() OVER (ORDER BY n DESC, k) FROM (SELECT k, count(*) AS n FROM "
                "facts GROUP BY k) q");
        break;
    default:
        sayf(m,
             "SELECT count(*), count(DISTINCT s), sum(DISTINCT k), avg(d), max(dt) FROM facts "
             "WHERE id < %zu",
             pick(m, 600));
    }
    return false;
}

static void generated_queries_answer_as_duckdb_does(void **state)
{
    const char *queries = getenv("ORACLE_QUERIES");
    struct generated g;
    size_t distributed = 0, total = 0;
    generated_init(&g, queries != NULL ? (unsigned)atoi(queries) : QUERIES);
    while (generated_next(&g)) {
        struct maker m = {.prng = &g.prng};
        buf_init(&m.out, TEXT_MAX);
        size_t kind = pick(&m, 10);
        bool ordered = kind < 5   ? grouped(&m)
                       : kind < 7 ? plain(&m)
                       : kind < 8 ? windowed(&m)
                                  : nested(&m);
        const char *sql = buf_cstr(&m.out);
        uint64_t split = ONE_OF(&m, "x", "xy")[1] == 'y' ? 500 : 0;
        static const uint64_t broadcasts[] = {0, 1, 1, 400};
        uint64_t broadcast = broadcasts[pick(&m, MEM_COUNT(broadcasts))];
        for (size_t workers = 1; workers <= 3; workers++) {
            struct sql_plan_options options = {workers, 1 + workers / 3,          split,
                                               0,       "2025-01-31 12:00:00+00", broadcast};
            struct sql_oracle_result result;
            char *text = sql_oracle_check(*state, sql, &options, ordered, &result);
            generated_check(&g, text == NULL, "%zu workers: %s\n%s", workers, sql, text);
            total += workers == 2;
            distributed += workers == 2 && result.tasks > 1;
        }
        buf_done(&m.out);
    }
    print_message("# %zu of %zu queries in several tasks\n", distributed, total);
    if (total > 100)
        assert_true(distributed * 10 >= total * 6);
}

/* Work that doubles with each level would never end. */
static void a_deep_nest_takes_no_longer_than_its_text(void **state)
{
    static const char *const forms[] = {"SELECT * FROM (%s) AS q",
                                        "SELECT q.k, q.n FROM (%s) AS q, (SELECT 1) AS one",
                                        "SELECT k, n FROM (%s) AS q WHERE EXISTS (SELECT 1)"};
    for (size_t f = 0; f < MEM_COUNT(forms); f++) {
        char *sql = mem_strdup("SELECT f.k, count(*) AS n FROM facts f JOIN other o ON f.id = o.id "
                               "GROUP BY f.k");
        for (size_t level = 0; level < DEPTH; level++) {
            const char *at = strstr(forms[f], "%s");
            char *more =
                mem_printf("%.*s%s%s", (int)(at - forms[f]), forms[f], sql, at + strlen("%s"));
            free(sql);
            sql = more;
        }
        struct sql_plan_options options = {2, 1, 0, 0, "2025-01-31 12:00:00+00", 1};
        struct sql_oracle_result result;
        char *text = sql_oracle_check(*state, sql, &options, false, &result);
        if (text != NULL)
            fail_msg("%s: %s", forms[f], text);
        free(sql);
    }
}

static size_t scopes_of_nest(struct sql_oracle *o, const char *form, size_t depth)
{
    char *sql = mem_strdup("SELECT k, count(*) AS n FROM facts GROUP BY k");
    for (size_t level = 0; level < depth; level++) {
        const char *at = strstr(form, "%s");
        char *more = mem_printf("%.*s%s%s", (int)(at - form), form, sql, at + strlen("%s"));
        free(sql);
        sql = more;
    }
    struct sql_plan_options options = {2, 1, 0, 0, "2025-01-31 12:00:00+00", 1};
    struct sql_plan plan;
    struct sql_refs refs;
    struct sql_table *views;
    sql_oracle_plan(o, sql, &options, &plan, &refs, &views);
    size_t scopes = plan.scopes;
    sql_plan_done(&plan);
    sql_refs_done(&refs);
    free(views);
    free(sql);
    return scopes;
}

/* Each level looks at all that is below it, not each of these again at all below that. */
static void planning_a_nest_takes_the_square_of_its_depth_at_most(void **state)
{
    static const char *const forms[] = {
        "SELECT * FROM (%s) AS q",
        "SELECT q.k, q.n FROM (%s) AS q WHERE q.n > 0",
        "SELECT k, n FROM (%s) AS q WHERE EXISTS (SELECT 1 FROM facts WHERE facts.k = q.k)",
        "SELECT k, max(n) AS n FROM (%s) AS q GROUP BY k",
    };
    for (size_t f = 0; f < MEM_COUNT(forms); f++) {
        size_t few = scopes_of_nest(*state, forms[f], DEPTH / 2);
        size_t many = scopes_of_nest(*state, forms[f], DEPTH);
        print_message("# %zu, %zu: %s\n", few, many, forms[f]);
        assert_true(few > 0);
        assert_true(many <= 5 * few);
    }
}

static void ctes_that_double_each_other_stay_whole(void **state)
{
    struct buf sql;
    buf_init(&sql, TEXT_MAX);
    assert_int_equal(buf_printf(&sql, "WITH c0 AS (SELECT DISTINCT k FROM facts)"), 0);
    for (size_t i = 1; i <= DEPTH; i++)
        assert_int_equal(buf_printf(&sql,
                                    ", c%zu AS MATERIALIZED (SELECT x.k FROM c%zu x JOIN c%zu y ON "
                                    "x.k = y.k)",
                                    i, i - 1, i - 1),
                         0);
    assert_int_equal(buf_printf(&sql, " SELECT count(*) FROM c%d", DEPTH), 0);
    struct sql_plan_options options = {2, 1, 0, 0, "2025-01-31 12:00:00+00", 1};
    struct sql_oracle_result result;
    char *text = sql_oracle_check(*state, buf_cstr(&sql), &options, false, &result);
    if (text != NULL)
        fail_msg("%s", text);
    assert_int_equal(result.tasks, 1);
    buf_done(&sql);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ctes_that_double_each_other_stay_whole),
        cmocka_unit_test(a_deep_nest_takes_no_longer_than_its_text),
        cmocka_unit_test(planning_a_nest_takes_the_square_of_its_depth_at_most),
        cmocka_unit_test(generated_queries_answer_as_duckdb_does),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
