#include "core/delta_prune.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/delta_commit.h"
#include "tests/unit/generated.h"

/* The oracle: tables whose rows are known. Columns: i BIGINT, s VARCHAR, d DECIMAL(6,2), t DATE, p
 * INTEGER (partition). Each value is a small number that grows with the value of the column, so
 * that the oracle compares numbers; literals may lie between. */
enum { COLUMNS = 5, PARTITION = 4, FILES_MAX = 8, ROWS_MAX = 6, NONE = -1 };

static const char *const types[COLUMNS] = {"BIGINT", "VARCHAR", "DECIMAL(6,2)", "DATE", "INTEGER"};
static const char *const names[COLUMNS] = {"i", "s", "d", "t", "p"};

struct table {
    int rows[FILES_MAX][ROWS_MAX][COLUMNS]; /* in halves; NONE: null */
    size_t rows_n[FILES_MAX];
    size_t files;
    struct delta_log *log;
    struct delta_view *view;
};

/* The value as text; odd ones lie between two values and are literals only. */
static const char *text_of(int column, int half, char out[static 32])
{
    int n = half / 2;
    bool odd = half % 2 != 0;
    switch (column) {
    case 1:
        snprintf(out, 32, "v%02d%s", n, odd ? "x" : "");
        break;
    case 2:
        snprintf(out, 32, odd ? "%.3f" : "%.2f", n - 5 + (odd ? 0.005 : 0));
        break;
    case 3:
        snprintf(out, 32, "2024-01-%02d", n + 1);
        break;
    default:
        snprintf(out, 32, odd ? "%.1f" : "%.0f", n - 5 + (odd ? 0.5 : 0));
        break;
    }
    return out;
}

static void write_stats(struct generated *g, const struct table *t, size_t f, struct buf *b)
{
    char text[32];
    buf_printf(b, "{\"numRecords\":%zu", t->rows_n[f]);
    for (int kind = 0; kind < 3; kind++) {
        buf_printf(b, ",\"%s\":{", kind == 0 ? "minValues" : kind == 1 ? "maxValues" : "nullCount");
        bool first = true;
        for (int c = 0; c < PARTITION; c++) {
            int least = NONE, greatest = NONE, nulls = 0;
            for (size_t r = 0; r < t->rows_n[f]; r++) {
                int v = t->rows[f][r][c];
                nulls += v == NONE;
                if (v != NONE && (least == NONE || v < least))
                    least = v;
                if (v != NONE && v > greatest)
                    greatest = v;
            }
            if ((kind < 2 && least == NONE) || prng_chance(&g->prng, 1, 10))
                continue;
            const char *quote = kind < 2 && (c == 1 || c == 3) ? "\"" : "";
            if (kind == 2)
                snprintf(text, sizeof text, "%d", nulls);
            else
                text_of(c, kind == 0 ? least : greatest, text);
            buf_printf(b, "%s\"%s\":%s%s%s", first ? "" : ",", names[c], quote, text, quote);
            first = false;
        }
        buf_append_str(b, "}");
    }
    buf_append_str(b, "}");
}

static void make_table(struct generated *g, struct table *t)
{
    struct delta_metadata metadata = {.id = (char *)"x"};
    size_t partitions[] = {PARTITION};
    struct buf b, stats;
    char text[32];
    for (int c = 0; c < COLUMNS; c++)
        assert_int_equal(delta_schema_add(&metadata.schema, names[c], types[c], true, NULL), 0);
    metadata.partitions = partitions;
    metadata.partitions_n = 1;
    buf_init(&b, 1 << 20);
    buf_init(&stats, 1 << 20);
    delta_write_protocol(&b, &metadata.schema);
    delta_write_metadata(&b, &metadata);
    t->files = prng_below(&g->prng, FILES_MAX + 1);
    for (size_t f = 0; f < t->files; f++) {
        char path[24];
        int p = prng_chance(&g->prng, 1, 6) ? NONE : (int)prng_below(&g->prng, 8) * 2;
        const char *value = p == NONE ? NULL : text_of(PARTITION, p, text);
        t->rows_n[f] = prng_below(&g->prng, ROWS_MAX + 1);
        bool nulls = prng_chance(&g->prng, 1, 2), narrow = prng_chance(&g->prng, 1, 2);
        for (size_t r = 0; r < t->rows_n[f]; r++)
            for (int c = 0; c < COLUMNS; c++)
                t->rows[f][r][c] = c == PARTITION                         ? p
                                   : nulls && prng_chance(&g->prng, 1, 3) ? NONE
                                   : narrow                               ? 6
                                            : (int)prng_below(&g->prng, 10) * 2;
        buf_clear(&stats);
        write_stats(g, t, f, &stats);
        snprintf(path, sizeof path, "f%zu", f);
        struct delta_new_file file = {.path = path,
                                      .partition_values = &value,
                                      .size = 1,
                                      .stats =
                                          prng_chance(&g->prng, 1, 12) ? NULL : buf_cstr(&stats)};
        delta_write_add(&b, &metadata, &file, true);
    }
    t->log = delta_log_new();
    struct error e;
    if (delta_log_apply(t->log, 0, buf_cstr(&b), b.len, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(delta_view_open(t->log, 0, &t->view, NULL), 0);
    delta_schema_done(&metadata.schema);
    buf_done(&b);
    buf_done(&stats);
}

static bool row_passes(const int *row, const struct delta_conjunct *c, const int *halves)
{
    int v = row[c->column];
    if (c->op == DELTA_OP_IS_NULL || c->op == DELTA_OP_IS_NOT_NULL)
        return (v == NONE) == (c->op == DELTA_OP_IS_NULL);
    if (v == NONE)
        return false;
    switch (c->op) {
    case DELTA_OP_EQ:
        return v == halves[0];
    case DELTA_OP_NE:
        return v != halves[0];
    case DELTA_OP_LT:
        return v < halves[0];
    case DELTA_OP_LE:
        return v <= halves[0];
    case DELTA_OP_GT:
        return v > halves[0];
    case DELTA_OP_GE:
        return v >= halves[0];
    default:
        for (size_t i = 0; i < c->literals_n; i++)
            if (v == halves[i])
                return true;
        return false;
    }
}

struct query {
    struct delta_conjunct conjuncts[3];
    int halves[3][3];
    char texts[3][3][32];
    const char *literals[3][3];
    size_t n;
};

static void make_query(struct generated *g, struct query *q)
{
    q->n = prng_below(&g->prng, 4);
    for (size_t i = 0; i < q->n; i++) {
        size_t column = prng_below(&g->prng, COLUMNS);
        enum delta_op op = (enum delta_op)prng_below(&g->prng, DELTA_OP_IS_NOT_NULL + 1);
        size_t n = op == DELTA_OP_IN ? prng_below(&g->prng, 4) : 1;
        if (op > DELTA_OP_IN)
            n = 0;
        for (size_t j = 0; j < n; j++) {
            q->halves[i][j] = (int)prng_below(&g->prng, 20);
            if (column == 3)
                q->halves[i][j] &= ~1;
            q->literals[i][j] = text_of((int)column, q->halves[i][j], q->texts[i][j]);
        }
        q->conjuncts[i] = (struct delta_conjunct){
            .column = column, .op = op, .literals = q->literals[i], .literals_n = n};
    }
}

/* Rows of a file that satisfy the query. */
static size_t passing(const struct table *t, const struct query *q, size_t f, bool *passes)
{
    size_t n = 0;
    for (size_t r = 0; r < t->rows_n[f]; r++) {
        passes[r] = true;
        for (size_t i = 0; i < q->n; i++)
            passes[r] &= row_passes(t->rows[f][r], &q->conjuncts[i], q->halves[i]);
        n += passes[r];
    }
    return n;
}

static void check_answers(struct generated *g, const struct table *t, const struct query *q,
                          const struct delta_prune *prune, unsigned *answered)
{
    struct delta_question questions[1 + 3 * COLUMNS] = {{.aggregate = DELTA_COUNT_ROWS}};
    struct delta_answer answers[1];
    for (size_t i = 0; i < 3 * COLUMNS; i++)
        questions[1 + i] =
            (struct delta_question){.aggregate = DELTA_COUNT + i % 3, .column = i / 3};
    for (size_t i = 0; i < MEM_COUNT(questions); i++) {
        if (!delta_prune_answer(prune, &questions[i], 1, answers))
            continue;
        ++*answered;
        size_t rows = 0, values = 0;
        int least = NONE, greatest = NONE;
        for (size_t f = 0; f < t->files; f++) {
            bool passes[ROWS_MAX];
            rows += passing(t, q, f, passes);
            for (size_t r = 0; r < t->rows_n[f]; r++) {
                int v = t->rows[f][r][questions[i].column];
                if (!passes[r] || v == NONE)
                    continue;
                values++;
                if (least == NONE || v < least)
                    least = v;
                if (v > greatest)
                    greatest = v;
            }
        }
        char text[32];
        if (questions[i].aggregate == DELTA_COUNT_ROWS) {
            generated_check(g, answers[0].count == rows, "count(*) %" PRIu64, answers[0].count);
        } else if (questions[i].aggregate == DELTA_COUNT) {
            generated_check(g, answers[0].count == values, "count(%s) %" PRIu64,
                            names[questions[i].column], answers[0].count);
        } else {
            int best = questions[i].aggregate == DELTA_MIN ? least : greatest;
            generated_check(g, answers[0].null == (best == NONE), "null of %s",
                            names[questions[i].column]);
            if (best != NONE)
                generated_check(
                    g, strcmp(answers[0].text, text_of((int)questions[i].column, best, text)) == 0,
                    "%s(%s) %s is not %s", questions[i].aggregate == DELTA_MIN ? "min" : "max",
                    names[questions[i].column], answers[0].text, text);
        }
        free(answers[0].text);
    }
}

static void pruning_never_loses_a_row_and_answers_are_exact(void **state)
{
    (void)state;
    struct generated g;
    unsigned pruned = 0, whole = 0, answered = 0;
    generated_init(&g, 4000);
    while (generated_next(&g)) {
        struct table t = {0};
        struct query q;
        struct delta_file file;
        make_table(&g, &t);
        make_query(&g, &q);
        struct delta_prune *prune = delta_prune_new(t.view, q.conjuncts, q.n);
        size_t f = 0;
        for (size_t at = 0; delta_view_next(t.view, &at, &file); f++) {
            bool passes[ROWS_MAX];
            size_t n = passing(&t, &q, f, passes);
            enum delta_verdict verdict = delta_prune_judge(prune, &file);
            generated_check(&g, verdict != DELTA_NONE_MATCH || n == 0, "file %zu", f);
            generated_check(&g, verdict != DELTA_ALL_MATCH || n == t.rows_n[f], "file %zu", f);
            pruned += verdict == DELTA_NONE_MATCH;
            whole += verdict == DELTA_ALL_MATCH;
        }
        check_answers(&g, &t, &q, prune, &answered);
        delta_prune_free(prune);
        delta_view_close(t.view);
        delta_log_free(t.log);
    }
    assert_true(pruned > 1000 && whole > 1000 && answered > 1000);
}

static struct delta_log *log_of(const char *type, const char *stats)
{
    struct delta_metadata metadata = {.id = (char *)"x"};
    struct buf b;
    assert_int_equal(delta_schema_add(&metadata.schema, "c", type, true, NULL), 0);
    buf_init(&b, 1 << 20);
    delta_write_protocol(&b, &metadata.schema);
    delta_write_metadata(&b, &metadata);
    struct delta_new_file file = {.path = "f", .size = 1, .stats = stats};
    delta_write_add(&b, &metadata, &file, true);
    struct delta_log *log = delta_log_new();
    assert_int_equal(delta_log_apply(log, 0, buf_cstr(&b), b.len, NULL), 0);
    delta_schema_done(&metadata.schema);
    buf_done(&b);
    return log;
}

static enum delta_verdict judge(const char *type, const char *stats, enum delta_op op,
                                const char *literal)
{
    struct delta_log *log = log_of(type, stats);
    struct delta_view *view;
    struct delta_file file;
    size_t at = 0;
    assert_int_equal(delta_view_open(log, 0, &view, NULL), 0);
    assert_true(delta_view_next(view, &at, &file));
    struct delta_conjunct c = {.op = op, .literals = &literal, .literals_n = 1};
    struct delta_prune *prune = delta_prune_new(view, &c, 1);
    enum delta_verdict verdict = delta_prune_judge(prune, &file);
    delta_prune_free(prune);
    delta_view_close(view);
    delta_log_free(log);
    return verdict;
}

static void what_was_cut_bounds_but_is_no_answer(void **state)
{
    (void)state;
#define STATS(min, max)                                                                            \
    "{\"numRecords\":2,\"minValues\":{\"c\":" min "},\"maxValues\":{\"c\":" max                    \
    "},\"nullCount\":{\"c\":0}}"
    static const char cut[] = STATS("\"2024-01-01T00:00:00.001Z\"", "\"2024-01-01T00:00:00.002Z\"");
    assert_int_equal(judge("TIMESTAMPTZ", cut, DELTA_OP_GT, "2024-01-01 00:00:00.002500"),
                     DELTA_SOME_MATCH);
    assert_int_equal(judge("TIMESTAMPTZ", cut, DELTA_OP_GT, "2024-01-01 00:00:00.003000"),
                     DELTA_NONE_MATCH);
    struct delta_log *log = log_of("TIMESTAMPTZ", cut);
    struct delta_view *view;
    struct delta_question question = {.aggregate = DELTA_MIN};
    struct delta_answer answer;
    assert_int_equal(delta_view_open(log, 0, &view, NULL), 0);
    struct delta_prune *prune = delta_prune_new(view, NULL, 0);
    assert_false(delta_prune_answer(prune, &question, 1, &answer));
    delta_prune_free(prune);
    delta_view_close(view);
    delta_log_free(log);
    static const char text[] = STATS("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "\"b\"");
    assert_int_equal(judge("VARCHAR", text, DELTA_OP_LT, "aa"), DELTA_NONE_MATCH);
}

static void numbers_that_are_none_prune_nothing(void **state)
{
    (void)state;
    static const char stats[] = STATS("1.5", "2.5");
    assert_int_equal(judge("DOUBLE", stats, DELTA_OP_GT, "3"), DELTA_SOME_MATCH);
    assert_int_equal(judge("DOUBLE", stats, DELTA_OP_LT, "1"), DELTA_NONE_MATCH);
    assert_int_equal(judge("DOUBLE", stats, DELTA_OP_GE, "1"), DELTA_ALL_MATCH);
    assert_int_equal(judge("FLOAT", stats, DELTA_OP_LT, "1"), DELTA_SOME_MATCH);
    assert_int_equal(judge("BIGINT", "{\"numRecords\":\"x\"}", DELTA_OP_LT, "1"), DELTA_SOME_MATCH);
    assert_int_equal(judge("BIGINT", STATS("5", "[]"), DELTA_OP_LT, "1"), DELTA_NONE_MATCH);
    assert_int_equal(judge("BIGINT", STATS("5", "6"), DELTA_OP_LT, "one"), DELTA_SOME_MATCH);
    assert_int_equal(judge("BIGINT",
                           "{\"tightBounds\":false,\"numRecords\":2,\"minValues\":{\"c\":5}}",
                           DELTA_OP_LT, "1"),
                     DELTA_SOME_MATCH);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pruning_never_loses_a_row_and_answers_are_exact),
        cmocka_unit_test(what_was_cut_bounds_but_is_no_answer),
        cmocka_unit_test(numbers_that_are_none_prune_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
