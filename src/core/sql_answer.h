/* Queries that a table's log answers by itself: nothing but count(*), count(c), min(c), max(c) of
 * one table's own columns, without WHERE, GROUP BY, HAVING, ORDER BY, LIMIT. */
#ifndef CORE_SQL_ANSWER_H
#define CORE_SQL_ANSWER_H

#include "core/sql_plan.h"

enum { SQL_QUESTIONS_MAX = 256 };

enum sql_question_kind {
    SQL_QUESTION_ROWS, /* count(*) */
    SQL_QUESTION_COUNT,
    SQL_QUESTION_MIN,
    SQL_QUESTION_MAX,
};

struct sql_question {
    enum sql_question_kind kind;
    size_t column; /* of the table */
    char *name;    /* of the result's column */
};

struct sql_questions {
    struct sql_question *questions; /* in the order of the select list */
    size_t n;
};

/* True: `query` asks only such things of the only table of `refs`; release with
 * sql_questions_done(). False: it must be planned. `printed` as in sql_plan_query(). */
bool sql_questions_read(const json_t *query, const char *printed, const struct sql_refs *refs,
                        const struct sql_table *tables, struct sql_questions *out);
void sql_questions_done(struct sql_questions *questions);

#endif
