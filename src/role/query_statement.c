/* What each kind of statement begins with. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/query_internal.h"

static void query_select_run(struct query *q)
{
    query_run(q, q->statement.explain ? query_explain : query_done);
}

static void query_select_read(struct query *q)
{
    bool explains = q->statement.explain && !q->statement.analyze;
    if (q->tree == NULL || q->tree_bytes >= QUERY_WORK_BYTES || !query_answer(q))
        query_plan(q, SIZE_MAX, explains ? query_explain : query_select_run);
}

/* Positions count from the beginning of the text. */
static void query_statement_read(struct query_work *work)
{
    const char *text = work->q->text;
    size_t len = strlen(text);
    struct sql_split split, more;
    struct sql_error *e = &work->error;
    if (!sql_split_next(text, len, &split)) {
        (void)sql_error_set(e, ERR_INVALID, SQL_AT_NONE, NULL, "there is no statement");
        return;
    }
    if (sql_split_next(text + split.end, len - split.end, &more)) {
        (void)sql_error_set(e, ERR_INVALID, split.end + more.at, "send them one by one",
                            "more than one statement");
        return;
    }
    if (sql_parse(text, split.at + split.len, &work->statement, e) < 0)
        return;
    *e = (struct sql_error){.at = SQL_AT_NONE};
    if (work->statement.kind == SQL_INSERT && !work->statement.by_name)
        (void)sql_values_count(work->statement.query.text, strlen(work->statement.query.text),
                               &work->values);
}

static void query_statement_begin(struct query *q)
{
    struct sql_error e = q->work->error;
    q->statement = q->work->statement;
    q->values = q->work->values;
    q->work->statement = (struct sql_statement){0};
    query_work_end(q);
    if (e.error.code < 0) {
        query_fail_error(q, &e);
        return;
    }
    switch (q->statement.kind) {
    case SQL_QUERY: {
        char *text = q->statement.query.text; /* nobody else wants it */
        q->statement.query.text = NULL;
        query_read(q, text, 0, q->statement.query.at, query_select_read);
        break;
    }
    case SQL_SHOW_TABLES:
    case SQL_DESCRIBE:
    case SQL_DESCRIBE_HISTORY:
        query_show(q);
        break;
    default:
        query_write(q);
    }
}

void query_begin(struct query *q)
{
    if (node_lake(q->role->node)->tables == NULL) {
        query_fail(q, ERR_UNAVAILABLE, SQL_AT_NONE, "wait until it has joined its cluster",
                   "this node has no tables yet");
        return;
    }
    query_work_run(query_work_new(q), strlen(q->text), query_statement_read, query_statement_begin);
}
