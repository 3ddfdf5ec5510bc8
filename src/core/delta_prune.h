/* Which files of a table a query can leave out, and what the log answers by itself: from partition
 * values and statistics alone. Never wrong, only sometimes not sharp. */
#ifndef CORE_DELTA_PRUNE_H
#define CORE_DELTA_PRUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/delta_log.h"

enum delta_op {
    DELTA_OP_EQ,
    DELTA_OP_NE,
    DELTA_OP_LT,
    DELTA_OP_LE,
    DELTA_OP_GT,
    DELTA_OP_GE,
    DELTA_OP_IN,
    DELTA_OP_IS_NULL,
    DELTA_OP_IS_NOT_NULL,
};

/* `column op literal`, with literals as text that reads as the column's type (delta_value.h). All
 * conjuncts of a query's WHERE hold at once; leave out what does not have this form, and where
 * DuckDB would not compare as the column's own type does: a DOUBLE beside a BIGINT or DECIMAL
 * column, a time with a zone beside a column without. A literal that is not understood prunes
 * nothing. */
struct delta_conjunct {
    size_t column; /* of the schema, top level */
    enum delta_op op;
    const char *const *literals; /* one; any number with IN; none with IS ... */
    size_t literals_n;
};

struct delta_prune;

/* Copies what it needs of `conjuncts`; the view is borrowed. */
struct delta_prune *delta_prune_new(const struct delta_view *view,
                                    const struct delta_conjunct *conjuncts, size_t n);
/* The same for rows that no log tells of, say a part of a file: `column` of a conjunct is a place
 * in `types`. */
struct delta_prune *delta_prune_new_typed(const struct delta_type *types,
                                          const struct delta_conjunct *conjuncts, size_t n);
void delta_prune_free(struct delta_prune *prune);

enum delta_verdict {
    DELTA_NONE_MATCH, /* no row of the file can satisfy all conjuncts */
    DELTA_SOME_MATCH, /* not known */
    DELTA_ALL_MATCH,  /* every row does */
};

enum delta_verdict delta_prune_judge(const struct delta_prune *prune,
                                     const struct delta_file *file);

/* Of `rows` rows (UINT64_MAX: not known) whose columns have these ranges, by place in the types. */
enum delta_verdict delta_prune_judge_ranges(const struct delta_prune *prune, uint64_t rows,
                                            const struct delta_range *ranges);

/* What aggregates without GROUP BY come to under the conjuncts, from the log alone. */
enum delta_aggregate {
    DELTA_COUNT_ROWS, /* count(*) */
    DELTA_COUNT,      /* count(column) */
    DELTA_MIN,
    DELTA_MAX,
};

struct delta_question {
    enum delta_aggregate aggregate;
    size_t column;
};

struct delta_answer {
    bool null;      /* min and max of nothing */
    uint64_t count; /* of the counts */
    char *text;     /* min, max: text that a cast to the column's type reads; malloc'ed */
};

/* true: all `n` answers are exact (free their texts). false: the data must be read. */
bool delta_prune_answer(const struct delta_prune *prune, const struct delta_question *questions,
                        size_t n, struct delta_answer *answers);

#endif
