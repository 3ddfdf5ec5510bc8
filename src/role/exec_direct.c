/* Happy path: the command goes to this node's own exec service, what it writes is collected, and
 * its end is the answer. A client that goes away cancels it. */
#include "role/exec_direct.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/str.h"
#include "role/exec_server.h"
#include "role/exec_spec.h"
#include "wire/task_code.h"

struct exec_direct {
    struct node *node;
    struct http_request *req;
    uint64_t call;
    struct buf streams[2];
    bool truncated;
};

static void exec_direct_release(struct exec_direct *direct)
{
    http_request_on_close(direct->req, NULL, NULL);
    node_call_end(direct->node, direct->call);
    buf_done(&direct->streams[0]);
    buf_done(&direct->streams[1]);
    free(direct);
}

static void exec_direct_fail(struct exec_direct *direct, int code, const char *text)
{
    struct http_request *req = direct->req;
    struct error e;
    (void)error_set(&e, code, "%s", text);
    exec_direct_release(direct);
    http_reply_failure(req, &e, NULL);
}

static void exec_direct_on_close(struct http_request *req, void *arg)
{
    struct exec_direct *direct = arg;
    Wire__ExecCancel cancel = WIRE__EXEC_CANCEL__INIT;
    cancel.call = direct->call;
    (void)node_send(direct->node, node_id(direct->node), WIRE_EXEC_CANCEL, &cancel.base);
    exec_direct_release(direct);
    http_reply(req, 499, NULL, NULL, 0);
}

/* Text, and what is no text, or no text that every reader of JSON takes, as Base64 too. */
static void exec_direct_set_stream(json_t *answer, const char *key, struct buf *data)
{
    struct buf base64;
    const char *text = buf_cstr(data);
    if (memchr(text, 0, data->len) == NULL && str_is_utf8(text, data->len)) {
        json_object_set_new(answer, key, json_stringn(text, data->len));
        return;
    }
    char *printable = str_printable(text, data->len, true);
    char *base64_key = mem_printf("%s_base64", key);
    buf_init(&base64, data->len * 2 + 4);
    (void)base64_encode(&base64, data->data, data->len);
    json_object_set_new(answer, key, json_string(printable));
    json_object_set_new(answer, base64_key, json_string(buf_cstr(&base64)));
    buf_done(&base64);
    free(base64_key);
    free(printable);
}

static void exec_direct_answer(struct exec_direct *direct, const Wire__TaskReport *report)
{
    struct http_request *req = direct->req;
    uint64_t wall_ms =
        report->ended_ms > report->started_ms ? report->ended_ms - report->started_ms : 0;
    json_t *answer = json_pack(
        "{s:s, s:o, s:i, s:s, s:I}", "mode", "direct", "exit_code",
        report->exit_code >= 0 ? json_integer(report->exit_code) : json_null(), "signal",
        (int)report->signal, "code", task_code_name(report->code), "wall_ms", (json_int_t)wall_ms);
    exec_direct_set_stream(answer, "stdout", &direct->streams[0]);
    exec_direct_set_stream(answer, "stderr", &direct->streams[1]);
    if (direct->truncated)
        json_object_set_new(answer, "truncated", json_true());
    exec_direct_release(direct);
    http_reply_json(req, 200, answer);
}

static void exec_direct_collect(struct exec_direct *direct, struct buf *stream,
                                ProtobufCBinaryData data)
{
    size_t room = stream->max - stream->len;
    direct->truncated = direct->truncated || data.len > room;
    (void)buf_append(stream, data.data, data.len < room ? data.len : room);
}

static void exec_direct_on_update(void *arg, int code, const ProtobufCMessage *message)
{
    struct exec_direct *direct = arg;
    const Wire__ExecUpdate *update = (const Wire__ExecUpdate *)message;
    if (update == NULL) {
        exec_direct_fail(direct, code, err_text(code));
        return;
    }
    exec_direct_collect(direct, &direct->streams[0], update->stdout_data);
    exec_direct_collect(direct, &direct->streams[1], update->stderr_data);
    if (!update->ended) {
        Wire__ExecCredit credit = WIRE__EXEC_CREDIT__INIT;
        credit.call = direct->call;
        credit.bytes = update->stdout_data.len + update->stderr_data.len;
        (void)node_send(direct->node, node_id(direct->node), WIRE_EXEC_CREDIT, &credit.base);
    } else if (update->code < 0 || update->report == NULL) {
        exec_direct_fail(direct, update->code < 0 ? update->code : ERR_PROTOCOL, update->text);
    } else if (update->report->code == TASK_CODE_SPAWN_FAILED) {
        exec_direct_fail(direct, ERR_INVALID, update->report->text);
    } else {
        exec_direct_answer(direct, update->report);
    }
}

void exec_direct(struct node *node, struct http_request *req, const json_t *body)
{
    static const char *const others[] = {"mode", NULL};
    Wire__ExecStart *start = NULL;
    struct error e;
    if (exec_spec_parse(body, others, &start, &e) < 0) {
        http_reply_failure(req, &e, NULL);
        return;
    }
    struct exec_direct *direct = mem_zalloc(sizeof *direct);
    direct->node = node;
    direct->req = req;
    for (unsigned i = 0; i < 2; i++)
        buf_init(&direct->streams[i], EXEC_DIRECT_STREAM_BYTES_MAX);
    http_request_on_close(req, exec_direct_on_close, direct);
    start->credit = EXEC_SERVER_CREDIT_MAX;
    start->user = mem_strdup(http_request_user(req));
    direct->call = node_call(node, node_id(node), WIRE_EXEC_START, &start->base, true, 0,
                             exec_direct_on_update, direct);
    wire__exec_start__free_unpacked(start, NULL);
}
