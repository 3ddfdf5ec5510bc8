/* Answers that need no task: from the log's statistics, when they are exact. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/delta_prune.h"
#include "core/sql_answer.h"
#include "role/api_json.h"
#include "role/query_internal.h"

enum { QUERY_DATE_LEN = 10 }; /* of years that DuckDB and Delta write alike */

static const int64_t query_number_max = (INT64_C(1) << 53) - 1;

static bool query_answer_is_whole(enum delta_kind kind)
{
    return kind == DELTA_BYTE || kind == DELTA_SHORT || kind == DELTA_INTEGER || kind == DELTA_LONG;
}

/* min and max of types whose text is the same in the log and in answers. */
static bool query_answer_fits(const struct query_table *table, const struct sql_question *question)
{
    if (question->kind == SQL_QUESTION_ROWS || question->kind == SQL_QUESTION_COUNT)
        return true;
    const struct delta_schema *schema = &delta_view_metadata(table->view)->schema;
    enum delta_kind kind = schema->fields[question->column].type.kind;
    return query_answer_is_whole(kind) || kind == DELTA_DATE || kind == DELTA_STRING;
}

/* NULL: not to be had from here. */
static json_t *query_answer_value(const struct query_table *table,
                                  const struct sql_question *question,
                                  const struct delta_answer *answer)
{
    if (question->kind == SQL_QUESTION_ROWS || question->kind == SQL_QUESTION_COUNT)
        return json_integer((json_int_t)answer->count);
    if (answer->null)
        return json_null();
    const struct delta_schema *schema = &delta_view_metadata(table->view)->schema;
    enum delta_kind kind = schema->fields[question->column].type.kind;
    if (query_answer_is_whole(kind)) {
        long long number = strtoll(answer->text, NULL, 10);
        if (number >= -query_number_max && number <= query_number_max)
            return json_integer(number);
    }
    if (kind == DELTA_DATE && strlen(answer->text) != QUERY_DATE_LEN)
        return NULL;
    return api_json_text(answer->text);
}

static json_t *query_answer_row(const struct query_table *table,
                                const struct sql_questions *questions)
{
    static const enum delta_aggregate aggregates[] = {[SQL_QUESTION_ROWS] = DELTA_COUNT_ROWS,
                                                      [SQL_QUESTION_COUNT] = DELTA_COUNT,
                                                      [SQL_QUESTION_MIN] = DELTA_MIN,
                                                      [SQL_QUESTION_MAX] = DELTA_MAX};
    struct delta_question asked[SQL_QUESTIONS_MAX];
    struct delta_answer answers[SQL_QUESTIONS_MAX];
    bool good = true;
    for (size_t i = 0; i < questions->n && good; i++) {
        const struct sql_question *question = &questions->questions[i];
        asked[i] = (struct delta_question){aggregates[question->kind], question->column};
        good = query_answer_fits(table, question);
    }
    if (!good)
        return NULL;
    struct delta_prune *prune = delta_prune_new(table->view, NULL, 0);
    good = delta_prune_answer(prune, asked, questions->n, answers);
    delta_prune_free(prune);
    json_t *row = good ? json_array() : NULL;
    for (size_t i = 0; i < questions->n && row != NULL; i++) {
        json_t *value = query_answer_value(table, &questions->questions[i], &answers[i]);
        if (value == NULL) {
            json_decref(row);
            row = NULL;
        } else {
            json_array_append_new(row, value);
        }
    }
    for (size_t i = 0; i < questions->n && good; i++)
        free(answers[i].text);
    return row;
}

static void query_answer_out(struct query *q, const struct sql_questions *questions, json_t *row)
{
    const char *names[SQL_QUESTIONS_MAX], *types[SQL_QUESTIONS_MAX];
    for (size_t i = 0; i < questions->n; i++) {
        const struct sql_question *question = &questions->questions[i];
        bool counts = question->kind == SQL_QUESTION_ROWS || question->kind == SQL_QUESTION_COUNT;
        names[i] = question->name;
        types[i] = counts ? "BIGINT" : q->tables[0].columns[question->column].type;
    }
    json_t *rows = json_array();
    json_array_append_new(rows, row);
    query_out_table(q, names, types, questions->n, rows);
}

static void query_answer_explain(struct query *q, json_t *row)
{
    static const char *const names[] = {"plan"};
    const struct query_table *table = &q->tables[0];
    char *line = mem_printf("answered by the log of %s at version %llu: no task, 0 of %zu files",
                            table->name, (unsigned long long)delta_view_version(table->view),
                            table->files_n);
    json_t *rows = json_array(), *text = json_array();
    json_array_append_new(text, api_json_text(line));
    json_array_append_new(rows, text);
    query_out_table(q, names, NULL, 1, rows);
    json_decref(row);
    free(line);
}

bool query_answer(struct query *q)
{
    struct sql_questions questions;
    if (q->refs.n != 1 || q->tables[0].view == NULL ||
        !sql_questions_read(q->tree, q->printed, &q->refs, q->views, &questions))
        return false;
    json_t *row = query_answer_row(&q->tables[0], &questions);
    if (row != NULL && q->statement.explain)
        query_answer_explain(q, row);
    else if (row != NULL)
        query_answer_out(q, &questions, row);
    sql_questions_done(&questions);
    if (row != NULL)
        query_done(q);
    return row != NULL;
}
