/* Happy path: each conjunct is judged against the range of its column in the file; one that no row
 * can satisfy rules the file out, and if every row satisfies all of them the file needs no filter.
 *
 * NULL satisfies no comparison. A bound that is not exact still bounds. */
#include "core/delta_prune.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct delta_test {
    size_t column;
    enum delta_op op;
    char **texts;
    struct delta_value *values;
    size_t n;
};

struct delta_prune {
    const struct delta_view *view;
    struct delta_test *tests;
    size_t n;
};

static void delta_prune_add(struct delta_prune *prune, const struct delta_conjunct *from,
                            const struct delta_type *type)
{
    struct delta_test *to = &prune->tests[prune->n++];
    *to = (struct delta_test){.column = from->column, .op = from->op, .n = from->literals_n};
    to->texts = mem_calloc(from->literals_n + 1, sizeof *to->texts);
    to->values = mem_calloc(from->literals_n + 1, sizeof *to->values);
    for (size_t j = 0; j < from->literals_n; j++) {
        to->texts[j] = mem_strdup(from->literals[j]);
        if (type->kind != DELTA_FLOAT) /* DuckDB may compare as FLOAT or as DOUBLE */
            delta_value_parse(type, to->texts[j], strlen(to->texts[j]), &to->values[j]);
    }
}

struct delta_prune *delta_prune_new(const struct delta_view *view,
                                    const struct delta_conjunct *conjuncts, size_t n)
{
    const struct delta_metadata *metadata = delta_view_metadata(view);
    struct delta_prune *prune = mem_zalloc(sizeof *prune);
    prune->view = view;
    prune->tests = mem_calloc(n + 1, sizeof *prune->tests);
    for (size_t i = 0; i < n; i++)
        delta_prune_add(prune, &conjuncts[i], &metadata->schema.fields[conjuncts[i].column].type);
    return prune;
}

struct delta_prune *delta_prune_new_typed(const struct delta_type *types,
                                          const struct delta_conjunct *conjuncts, size_t n)
{
    struct delta_prune *prune = mem_zalloc(sizeof *prune);
    prune->tests = mem_calloc(n + 1, sizeof *prune->tests);
    for (size_t i = 0; i < n; i++)
        delta_prune_add(prune, &conjuncts[i], &types[conjuncts[i].column]);
    return prune;
}

void delta_prune_free(struct delta_prune *prune)
{
    if (prune == NULL)
        return;
    for (size_t i = 0; i < prune->n; i++) {
        for (size_t j = 0; j < prune->tests[i].n; j++)
            free(prune->tests[i].texts[j]);
        free(prune->tests[i].texts);
        free(prune->tests[i].values);
    }
    free(prune->tests);
    free(prune);
}

/* ---- judging ----------------------------------------------------------------------------------
 */

/* What the file's values that are not null do: whether some, all may compare so with the literal.
 */
struct delta_odds {
    bool below, equal, above; /* some value may lie there */
};

static struct delta_odds delta_odds_of(const struct delta_range *range,
                                       const struct delta_value *literal)
{
    struct delta_odds odds = {true, true, true};
    if (literal->class == DELTA_CLASS_NONE)
        return odds;
    if (range->min.class == literal->class) {
        int order = delta_value_compare(&range->min, literal);
        odds.below &= order < 0;
        odds.equal &= order <= 0;
    }
    if (range->max.class == literal->class) {
        int order = delta_value_compare(&range->max, literal);
        odds.above &= order > 0;
        odds.equal &= order >= 0;
    }
    if (literal->above)
        odds.equal = false; /* no value of the type is this literal */
    return odds;
}

/* From whether values that satisfy, and ones that do not, may be there. */
static enum delta_verdict delta_verdict_of(bool some_do, bool some_dont, bool nulls)
{
    if (!some_do)
        return DELTA_NONE_MATCH;
    return some_dont || nulls ? DELTA_SOME_MATCH : DELTA_ALL_MATCH;
}

static enum delta_verdict delta_judge_compare(const struct delta_test *test,
                                              const struct delta_range *range, bool nulls)
{
    if (test->n != 1 || test->values[0].class == DELTA_CLASS_NONE)
        return DELTA_SOME_MATCH;
    struct delta_odds odds = delta_odds_of(range, &test->values[0]);
    switch (test->op) {
    case DELTA_OP_EQ:
        return delta_verdict_of(odds.equal, odds.below || odds.above, nulls);
    case DELTA_OP_NE:
        return delta_verdict_of(odds.below || odds.above, odds.equal, nulls);
    case DELTA_OP_LT:
        return delta_verdict_of(odds.below, odds.equal || odds.above, nulls);
    case DELTA_OP_LE:
        return delta_verdict_of(odds.below || odds.equal, odds.above, nulls);
    case DELTA_OP_GT:
        return delta_verdict_of(odds.above, odds.equal || odds.below, nulls);
    default:
        return delta_verdict_of(odds.above || odds.equal, odds.below, nulls);
    }
}

static enum delta_verdict delta_judge_in(const struct delta_test *test,
                                         const struct delta_range *range, bool nulls)
{
    bool some = false, all = false;
    for (size_t i = 0; i < test->n; i++) {
        if (test->values[i].class == DELTA_CLASS_NONE)
            return DELTA_SOME_MATCH;
        struct delta_odds odds = delta_odds_of(range, &test->values[i]);
        some |= odds.equal;
        all |= odds.equal && !odds.below && !odds.above;
    }
    return delta_verdict_of(some, !all, nulls);
}

static enum delta_verdict delta_judge_test(const struct delta_test *test,
                                           const struct delta_range *range, bool all_null)
{
    bool some_null = all_null || range->nulls == UINT64_MAX || range->nulls > 0;
    if (test->op == DELTA_OP_IS_NULL)
        return delta_verdict_of(some_null, !all_null, false);
    if (test->op == DELTA_OP_IS_NOT_NULL)
        return delta_verdict_of(!all_null, some_null, false);
    if (all_null)
        return DELTA_NONE_MATCH;
    return test->op == DELTA_OP_IN ? delta_judge_in(test, range, some_null)
                                   : delta_judge_compare(test, range, some_null);
}

static bool delta_all_null(const struct delta_range *range, uint64_t rows)
{
    return range->nulls != UINT64_MAX && rows != UINT64_MAX && range->nulls >= rows && rows > 0;
}

static enum delta_verdict delta_judge(const struct delta_prune *prune,
                                      const struct delta_test *test, const struct delta_file *file)
{
    struct delta_range range;
    delta_file_range(prune->view, file, test->column, &range);
    size_t partition = delta_metadata_partition(delta_view_metadata(prune->view), test->column);
    bool all_null = partition != SIZE_MAX
                        ? delta_file_partition(prune->view, file, partition) == NULL
                        : delta_all_null(&range, file->rows);
    return delta_judge_test(test, &range, all_null);
}

enum delta_verdict delta_prune_judge(const struct delta_prune *prune, const struct delta_file *file)
{
    enum delta_verdict verdict = file->rows == 0 ? DELTA_NONE_MATCH : DELTA_ALL_MATCH;
    for (size_t i = 0; i < prune->n && verdict != DELTA_NONE_MATCH; i++) {
        enum delta_verdict one = delta_judge(prune, &prune->tests[i], file);
        if (one < verdict)
            verdict = one;
    }
    return verdict;
}

enum delta_verdict delta_prune_judge_ranges(const struct delta_prune *prune, uint64_t rows,
                                            const struct delta_range *ranges)
{
    enum delta_verdict verdict = rows == 0 ? DELTA_NONE_MATCH : DELTA_ALL_MATCH;
    for (size_t i = 0; i < prune->n && verdict != DELTA_NONE_MATCH; i++) {
        const struct delta_range *range = &ranges[prune->tests[i].column];
        enum delta_verdict one =
            delta_judge_test(&prune->tests[i], range, delta_all_null(range, rows));
        if (one < verdict)
            verdict = one;
    }
    return verdict;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static bool delta_count(const struct delta_range *range, const struct delta_file *file,
                        const struct delta_question *question, struct delta_answer *answer)
{
    if (file->rows == UINT64_MAX)
        return false;
    if (question->aggregate == DELTA_COUNT_ROWS) {
        answer->count += file->rows;
        return true;
    }
    if (range->nulls == UINT64_MAX || range->nulls > file->rows)
        return false;
    answer->count += file->rows - range->nulls;
    return true;
}

static bool delta_extreme(const struct delta_range *range, const struct delta_file *file, bool max,
                          struct delta_value *best)
{
    const struct delta_value *value = max ? &range->max : &range->min;
    if (file->rows == UINT64_MAX)
        return false; /* it may have no row at all */
    if (range->nulls != UINT64_MAX && range->nulls >= file->rows)
        return true; /* nothing but nulls */
    if (value->class == DELTA_CLASS_NONE || !(max ? range->max_exact : range->min_exact))
        return false;
    int order = best->class == DELTA_CLASS_NONE ? 0 : delta_value_compare(value, best);
    if (best->class == DELTA_CLASS_NONE || (max ? order > 0 : order < 0))
        *best = *value;
    return true;
}

/* Takes one file into all answers; false when one of them would not be exact. */
static bool delta_answer_file(const struct delta_prune *prune, const struct delta_file *file,
                              const struct delta_question *questions, size_t n,
                              struct delta_answer *answers, struct delta_value *best)
{
    for (size_t i = 0; i < n; i++) {
        struct delta_range range = {.nulls = 0};
        enum delta_aggregate aggregate = questions[i].aggregate;
        if (aggregate != DELTA_COUNT_ROWS)
            delta_file_range(prune->view, file, questions[i].column, &range);
        bool good = aggregate == DELTA_COUNT || aggregate == DELTA_COUNT_ROWS
                        ? delta_count(&range, file, &questions[i], &answers[i])
                        : delta_extreme(&range, file, aggregate == DELTA_MAX, &best[i]);
        if (!good)
            return false;
    }
    return true;
}

static bool delta_answer_text(const struct delta_prune *prune,
                              const struct delta_question *question, const struct delta_value *best,
                              struct delta_answer *answer)
{
    struct buf b;
    answer->null = best->class == DELTA_CLASS_NONE;
    if (answer->null)
        return true;
    buf_init(&b, (size_t)1 << 20);
    const struct delta_schema *schema = &delta_view_metadata(prune->view)->schema;
    int err = delta_value_format_text(&schema->fields[question->column].type, best, &b);
    if (err < 0) {
        buf_done(&b);
        return false;
    }
    (void)buf_cstr(&b);
    answer->text = buf_steal(&b, NULL);
    return true;
}

bool delta_prune_answer(const struct delta_prune *prune, const struct delta_question *questions,
                        size_t n, struct delta_answer *answers)
{
    struct delta_value *best = mem_calloc(n + 1, sizeof *best);
    struct delta_file file;
    bool good = true;
    memset(answers, 0, n * sizeof *answers);
    for (size_t at = 0; good && delta_view_next(prune->view, &at, &file);) {
        enum delta_verdict verdict = delta_prune_judge(prune, &file);
        if (verdict == DELTA_SOME_MATCH)
            good = false;
        else if (verdict == DELTA_ALL_MATCH)
            good = delta_answer_file(prune, &file, questions, n, answers, best);
    }
    for (size_t i = 0; good && i < n; i++)
        if (questions[i].aggregate == DELTA_MIN || questions[i].aggregate == DELTA_MAX)
            good = delta_answer_text(prune, &questions[i], &best[i], &answers[i]);
    for (size_t i = 0; !good && i < n; i++)
        free(answers[i].text);
    if (!good)
        memset(answers, 0, n * sizeof *answers);
    free(best);
    return good;
}
