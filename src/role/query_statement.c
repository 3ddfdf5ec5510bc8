/* What each kind of statement begins with. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/query_internal.h"

static void query_select_read(struct query *q)
{
    if (query_answer(q))
        return;
    if (q->statement.explain && !q->statement.analyze) {
        query_explain(q);
        return;
    }
    if (query_plan(q, SIZE_MAX))
        query_run(q, q->statement.explain ? query_explain : query_done);
}

void query_begin(struct query *q)
{
    struct sql_error e;
    if (node_lake(q->role->node)->tables == NULL) {
        query_fail(q, ERR_UNAVAILABLE, SQL_AT_NONE, "wait until it has joined its cluster",
                   "this node has no tables yet");
        return;
    }
    struct sql_split split;
    size_t len = strlen(q->text);
    if (!sql_split_next(q->text, len, &split)) {
        query_fail(q, ERR_INVALID, SQL_AT_NONE, NULL, "there is no statement");
        return;
    }
    struct sql_split more;
    if (sql_split_next(q->text + split.end, len - split.end, &more)) {
        query_fail(q, ERR_INVALID, split.end + more.at, "send them one by one",
                   "more than one statement");
        return;
    }
    /* Positions count from the beginning of the text. */
    if (sql_parse(q->text, split.at + split.len, &q->statement, &e) < 0) {
        query_fail_error(q, &e);
        return;
    }
    switch (q->statement.kind) {
    case SQL_QUERY:
        query_read(q, mem_strdup(q->statement.query.text), 0, q->statement.query.at,
                   query_select_read);
        break;
    case SQL_SHOW_TABLES:
    case SQL_DESCRIBE:
    case SQL_DESCRIBE_HISTORY:
        query_show(q);
        break;
    default:
        query_write(q);
    }
}
