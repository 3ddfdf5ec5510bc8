/* Answers that need no task: from the log's statistics, when they are exact. */
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "core/delta_prune.h"
#include "core/sql_answer.h"
#include "role/api_json.h"
#include "role/query_internal.h"
#include "run/executor_text.h"

enum {
    QUERY_DATE_LEN = 10, /* of years that DuckDB and Delta write alike */
    QUERY_TIME_LEN = 19,
    QUERY_ROW_BYTES_MAX = 4 << 20,
};

static const int64_t query_number_max = (INT64_C(1) << 53) - 1;

static bool query_answer_is_whole(enum delta_kind kind)
{
    return kind == DELTA_BYTE || kind == DELTA_SHORT || kind == DELTA_INTEGER || kind == DELTA_LONG;
}

static enum delta_kind query_answer_kind(const struct query_table *table,
                                         const struct sql_question *question)
{
    return delta_view_metadata(table->view)->schema.fields[question->column].type.kind;
}

/* What statistics can tell. The maximum of a DOUBLE is none: not all writers heed NaN, which is
 * above all for DuckDB. */
static bool query_answer_fits(const struct query_table *table, const struct sql_question *question)
{
    if (question->kind == SQL_QUESTION_ROWS || question->kind == SQL_QUESTION_COUNT)
        return true;
    enum delta_kind kind = query_answer_kind(table, question);
    return query_answer_is_whole(kind) || kind == DELTA_DATE || kind == DELTA_STRING ||
           kind == DELTA_DECIMAL || kind == DELTA_TIMESTAMP || kind == DELTA_TIMESTAMP_NTZ ||
           (kind == DELTA_DOUBLE && question->kind == SQL_QUESTION_MIN);
}

/* "2024-01-31 12:00:00.500000" as DuckDB has it: "2024-01-31 12:00:00.5", with a zone "...+00". */
static int query_answer_time(struct buf *out, const char *text, bool zoned)
{
    size_t len = strcspn(text, "Z+");
    if (memchr(text, '.', len) != NULL)
        while (text[len - 1] == '0' || text[len - 1] == '.')
            if (text[--len] == '.')
                break;
    return buf_printf(out, "\"%.*s%s\"", (int)len, text, zoned ? "+00" : "");
}

static int query_answer_text(struct buf *out, const char *text)
{
    return json_text_append(out, text, strlen(text));
}

/* Appends the answer as rows have it; false: it is not to be had from here. */
static bool query_answer_value(const struct query_table *table, const struct sql_question *question,
                               const struct delta_answer *answer, struct buf *out)
{
    if (question->kind == SQL_QUESTION_ROWS || question->kind == SQL_QUESTION_COUNT)
        return buf_printf(out, "%llu", (unsigned long long)answer->count) == 0;
    if (answer->null)
        return buf_append_str(out, "null") == 0;
    enum delta_kind kind = query_answer_kind(table, question);
    if (query_answer_is_whole(kind)) {
        long long number = strtoll(answer->text, NULL, 10);
        if (number >= -query_number_max && number <= query_number_max)
            return buf_printf(out, "%lld", number) == 0;
    }
    bool zoned = kind == DELTA_TIMESTAMP;
    bool is_time = zoned || kind == DELTA_TIMESTAMP_NTZ;
    bool is_odd = (kind == DELTA_DATE && strlen(answer->text) != QUERY_DATE_LEN) ||
                  (is_time && strlen(answer->text) < QUERY_TIME_LEN) ||
                  (is_time && answer->text[4] != '-');
    if (is_odd)
        return false;
    char number[EXECUTOR_TEXT_MAX];
    if (kind == DELTA_DOUBLE)
        return buf_append(out, number, executor_text_double(strtod(answer->text, NULL), number)) ==
               0;
    int err = is_time ? query_answer_time(out, answer->text, zoned)
                      : query_answer_text(out, answer->text);
    return err == 0;
}

/* "[...]", malloc'ed; NULL: the data must be read. */
static char *query_answer_row(const struct query_table *table,
                              const struct sql_questions *questions)
{
    static const enum delta_aggregate aggregates[] = {[SQL_QUESTION_ROWS] = DELTA_COUNT_ROWS,
                                                      [SQL_QUESTION_COUNT] = DELTA_COUNT,
                                                      [SQL_QUESTION_MIN] = DELTA_MIN,
                                                      [SQL_QUESTION_MAX] = DELTA_MAX};
    struct delta_question asked[SQL_QUESTIONS_MAX];
    struct delta_answer answers[SQL_QUESTIONS_MAX];
    for (size_t i = 0; i < questions->n; i++) {
        const struct sql_question *question = &questions->questions[i];
        asked[i] = (struct delta_question){aggregates[question->kind], question->column};
        if (!query_answer_fits(table, question))
            return NULL;
    }
    struct delta_prune *prune = delta_prune_new(table->view, NULL, 0);
    bool good = delta_prune_answer(prune, asked, questions->n, answers);
    delta_prune_free(prune);
    if (!good)
        return NULL;
    struct buf row;
    buf_init(&row, QUERY_ROW_BYTES_MAX);
    for (size_t i = 0; i < questions->n && good; i++)
        good = buf_append_byte(&row, i > 0 ? ',' : '[') == 0 &&
               query_answer_value(table, &questions->questions[i], &answers[i], &row);
    good = good && buf_append_byte(&row, ']') == 0;
    for (size_t i = 0; i < questions->n; i++)
        free(answers[i].text);
    (void)buf_cstr(&row);
    char *text = good ? buf_steal(&row, NULL) : NULL;
    buf_done(&row);
    return text;
}

static void query_answer_out(struct query *q, const struct sql_questions *questions,
                             const char *row)
{
    const char *names[SQL_QUESTIONS_MAX], *types[SQL_QUESTIONS_MAX];
    for (size_t i = 0; i < questions->n; i++) {
        const struct sql_question *question = &questions->questions[i];
        bool counts = question->kind == SQL_QUESTION_ROWS || question->kind == SQL_QUESTION_COUNT;
        names[i] = question->name;
        types[i] = counts ? "BIGINT" : q->tables[0].columns[question->column].type;
    }
    query_out_table(q, names, types, questions->n, json_array());
    query_out_rows(q, row, strlen(row), 1);
}

static void query_answer_explain(struct query *q)
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
    free(line);
}

bool query_answer(struct query *q)
{
    struct sql_questions questions;
    if (q->refs.n != 1 || q->tables[0].view == NULL ||
        !sql_questions_read(q->tree, q->printed, &q->refs, q->views, &questions))
        return false;
    char *row = query_answer_row(&q->tables[0], &questions);
    bool answers = row != NULL;
    if (answers && q->statement.explain)
        query_answer_explain(q);
    else if (answers)
        query_answer_out(q, &questions, row);
    free(row);
    sql_questions_done(&questions);
    if (answers)
        query_done(q);
    return answers;
}
