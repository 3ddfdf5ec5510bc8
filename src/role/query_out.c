/* The answer: JSON lines in the request's stream. What the client has not taken yet waits in a
 * buffer; while that is large no task gets credit for more rows. */
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"
#include "role/query_internal.h"

enum { QUERY_OUT_BYTES_MAX = 64 << 20 };

static void query_out_flush(struct query *q)
{
    while (q->req != NULL && !q->full && q->out_at < q->out.len) {
        size_t n = q->out.len - q->out_at;
        n = n < HTTP_STREAM_WRITE_MAX ? n : HTTP_STREAM_WRITE_MAX;
        int rc = http_stream_write(q->req, q->out.data + q->out_at, n);
        if (rc < 0)
            return; /* on_close comes */
        q->out_at += n;
        q->full = rc > 0;
    }
    if (q->out_at < q->out.len)
        return;
    buf_clear(&q->out);
    q->out_at = 0;
    if (!q->closing) {
        query_give_credit(q);
        return;
    }
    struct http_request *req = q->req;
    q->req = NULL;
    if (req != NULL) {
        http_request_on_close(req, NULL, NULL);
        http_stream_end(req);
    }
    query_free(q);
}

static void query_out_on_hook(void *arg)
{
    query_out_flush(arg);
}

static void query_out_on_drain(struct http_request *req, void *arg)
{
    struct query *q = arg;
    (void)req;
    q->full = false;
    query_out_flush(q);
}

void query_out_init(struct query *q)
{
    buf_init(&q->out, QUERY_OUT_BYTES_MAX);
    loop_hook_init(&q->hook, node_loop(q->role->node), LOOP_PHASE_FLUSH, query_out_on_hook, q);
    http_stream_begin(q->req, 200, "application/x-ndjson", HTTP_STREAM_CHUNKED);
    http_stream_on_drain(q->req, query_out_on_drain, q);
    q->streaming = true;
}

bool query_out_is_full(const struct query *q)
{
    return q->full || q->out.len - q->out_at > QUERY_WINDOW_BYTES;
}

static void query_out_bytes(struct query *q, const char *data, size_t len)
{
    if (buf_append(&q->out, data, len) < 0) /* credit keeps it far from this */
        q->closing = true;
    loop_hook_arm(&q->hook);
}

void query_out_line(struct query *q, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    if (text != NULL) {
        query_out_bytes(q, text, strlen(text));
        query_out_bytes(q, "\n", 1);
    }
    free(text);
    json_decref(line);
}

void query_out_columns(struct query *q, Wire__SqlColumn *const *columns, size_t n)
{
    if (q->told_columns)
        return;
    q->told_columns = true;
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const char *name = i < q->plan.names_n ? q->plan.names[i] : columns[i]->name;
        json_array_append_new(list, json_pack("{s:s,s:s}", "name", name, "type", columns[i]->type));
    }
    query_out_line(q, json_pack("{s:o}", "columns", list));
}

void query_out_rows(struct query *q, const char *rows, size_t len, uint32_t count)
{
    static const char head[] = "{\"rows\":[", tail[] = "]}\n";
    q->rows_out += count;
    query_out_bytes(q, head, sizeof head - 1);
    query_out_bytes(q, rows, len);
    query_out_bytes(q, tail, sizeof tail - 1);
}

void query_out_table(struct query *q, const char *const *names, const char *const *types, size_t n,
                     json_t *rows)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("{s:s,s:s}", "name", names[i], "type",
                                        types != NULL && types[i] != NULL ? types[i] : "VARCHAR"));
    q->told_columns = true;
    query_out_line(q, json_pack("{s:o}", "columns", list));
    q->rows_out += json_array_size(rows);
    if (json_array_size(rows) > 0)
        query_out_line(q, json_pack("{s:o}", "rows", rows));
    else
        json_decref(rows);
}

void query_out_progress(struct query *q)
{
    size_t tasks = 0, done = 0;
    uint64_t rows = 0, bytes = 0;
    for (size_t s = 0; q->stages != NULL && s < q->plan.stages_n; s++) {
        const struct query_stage *stage = &q->stages[s];
        tasks += stage->tasks_n > 0 ? stage->tasks_n : q->plan.stages[s].tasks;
        done += stage->done_n;
        rows += stage->rows;
        bytes += stage->bytes;
    }
    query_out_line(q, json_pack("{s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I}}", "progress", "stage",
                                (json_int_t)(q->stages != NULL ? q->stage + 1 : 0), "stages",
                                (json_int_t)q->plan.stages_n, "tasks", (json_int_t)tasks,
                                "tasks_done", (json_int_t)done, "rows", (json_int_t)rows, "bytes",
                                (json_int_t)bytes, "wall_ms",
                                (json_int_t)(loop_now_ms(node_loop(q->role->node)) - q->began_ms)));
}

void query_out_end(struct query *q)
{
    q->closing = true;
    loop_hook_arm(&q->hook);
}
