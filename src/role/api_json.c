#include "role/api_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/rangeset.h"
#include "base/str.h"
#include "base/uuid.h"
#include "core/job.h"
#include "role/job_spec.h"
#include "role/node.h"
#include "wire/task_code.h"

json_t *api_json_time(uint64_t wall_ms)
{
    char text[CLOCK_RFC3339_MAX];
    return wall_ms > 0 ? json_string(clock_format_rfc3339((int64_t)wall_ms, text)) : json_null();
}

json_t *api_json_text(const char *text)
{
    json_t *json = json_string(text);
    if (json != NULL)
        return json;
    char *printable = str_printable(text, strlen(text), true);
    json = json_string(printable);
    free(printable);
    return json;
}

static json_t *api_json_uuid(const uint8_t bytes[16])
{
    struct uuid id;
    char text[UUID_TEXT_MAX];
    memcpy(id.bytes, bytes, sizeof id.bytes);
    return json_string(uuid_format(&id, text));
}

static void api_json_set(json_t *object, const char *key, json_t *value)
{
    (void)json_object_set_new_nocheck(object, key, value);
}

static void api_json_set_u64(json_t *object, const char *key, uint64_t value)
{
    api_json_set(object, key, json_integer((json_int_t)value));
}

static uint32_t api_json_pending_count(const Wire__JobRow *row)
{
    uint64_t begun = (uint64_t)row->running + row->completed + row->failed + row->cancelled;
    return begun < row->total ? row->total - (uint32_t)begun : 0;
}

static void api_json_set_spec(json_t *job, const Wire__JobSpec *spec)
{
    api_json_set(job, "priority", json_integer(spec->priority));
    api_json_set(job, "array", spec->array[0] ? json_string(spec->array) : json_null());
    api_json_set_u64(job, "array_limit", spec->array_limit);
    api_json_set(job, "commands", job_spec_strings(spec->commands, spec->n_commands));
    api_json_set(job, "argv", job_spec_strings(spec->argv, spec->n_argv));
    api_json_set(job, "selector", json_string(spec->selector));
    api_json_set_u64(job, "cpus", spec->cpus > 0 ? spec->cpus : 1);
    api_json_set_u64(job, "memory_bytes", spec->memory_bytes);
    api_json_set_u64(job, "time_limit_ms", spec->time_limit_ms);
    api_json_set_u64(job, "retries", spec->retries);
    api_json_set(job, "after", job_spec_after(spec));
    api_json_set(job, "idempotency_key",
                 spec->idempotency_key[0] ? api_json_text(spec->idempotency_key) : json_null());
}

json_t *api_json_job(const Wire__JobRow *row, const char *reason)
{
    const Wire__JobSpec *spec = row->spec;
    uint64_t end_ms = row->ended_ms > 0 ? row->ended_ms : (uint64_t)clock_wall_ms();
    json_t *job = json_object();
    api_json_set(job, "id", api_json_uuid(row->id.data));
    api_json_set_u64(job, "seq", row->seq);
    api_json_set(job, "name", api_json_text(spec->name));
    api_json_set(job, "user", api_json_text(spec->user));
    api_json_set(job, "state", json_string(job_state_name((enum job_state)row->state)));
    api_json_set(job, "reason", api_json_text(reason != NULL ? reason : row->reason));
    api_json_set_u64(job, "elements", row->total);
    api_json_set_u64(job, "running", row->running);
    api_json_set_u64(job, "completed", row->completed);
    api_json_set_u64(job, "failed", row->failed);
    api_json_set_u64(job, "cancelled", row->cancelled);
    api_json_set_u64(job, "pending", api_json_pending_count(row));
    api_json_set(job, "submitted_at", api_json_time(row->submitted_ms));
    api_json_set(job, "started_at", api_json_time(row->started_ms));
    api_json_set(job, "ended_at", api_json_time(row->ended_ms));
    api_json_set(job, "wall_ms",
                 row->started_ms > 0 && end_ms >= row->started_ms
                     ? json_integer((json_int_t)(end_ms - row->started_ms))
                     : json_null());
    api_json_set_spec(job, spec);
    return job;
}

static void api_json_set_identity(json_t *task, const uint8_t job[16], uint32_t index)
{
    struct uuid id;
    char text[UUID_TEXT_MAX];
    memcpy(id.bytes, job, sizeof id.bytes);
    api_json_set(task, "id", json_sprintf("%s_%u", uuid_format(&id, text), index));
    api_json_set(task, "job", json_string(text));
    api_json_set_u64(task, "index", index);
}

static void api_json_set_stream(json_t *task, const char *key, uint64_t bytes,
                                ProtobufCBinaryData data)
{
    if (data.len != bytes)
        return; /* kept on its node */
    const char *stream = data.len > 0 ? (const char *)data.data : "";
    json_t *text = memchr(stream, 0, data.len) == NULL ? json_stringn(stream, data.len)
                                                       : NULL; /* NUL: below */
    if (text != NULL) {
        api_json_set(task, key, text);
        return;
    }
    char *printable = str_printable(stream, data.len, true);
    api_json_set(task, key, json_string(printable));
    free(printable);
    struct buf base64;
    buf_init(&base64, data.len * 2 + 4);
    (void)base64_encode(&base64, data.data, data.len);
    char *base64_key = mem_printf("%s_base64", key);
    api_json_set(task, base64_key, json_string(buf_cstr(&base64)));
    free(base64_key);
    buf_done(&base64);
}

static void api_json_set_report(json_t *task, const Wire__TaskReport *report)
{
    bool ended = report->ended_ms > 0;
    api_json_set(task, "exit_code",
                 ended && report->exit_code >= 0 ? json_integer(report->exit_code) : json_null());
    api_json_set(task, "signal", report->signal > 0 ? json_integer(report->signal) : json_null());
    api_json_set(task, "started_at", api_json_time(report->started_ms));
    api_json_set(task, "ended_at", api_json_time(report->ended_ms));
    api_json_set(task, "wall_ms",
                 ended && report->started_ms > 0 && report->ended_ms >= report->started_ms
                     ? json_integer((json_int_t)(report->ended_ms - report->started_ms))
                     : json_null());
    api_json_set_u64(task, "user_ms", report->user_us / 1000);
    api_json_set_u64(task, "system_ms", report->system_us / 1000);
    api_json_set_u64(task, "rss_max_bytes", report->rss_max_bytes);
    api_json_set_u64(task, "stdout_bytes", report->stdout_bytes);
    api_json_set_u64(task, "stderr_bytes", report->stderr_bytes);
    api_json_set(task, "output_kept", json_boolean(report->output_kept));
}

json_t *api_json_task(const struct node *node, const uint8_t job[16], const Wire__TaskRow *row,
                      bool output)
{
    static const Wire__TaskReport none = WIRE__TASK_REPORT__INIT;
    const Wire__TaskReport *report = row->report != NULL ? row->report : &none;
    unsigned code = row->report != NULL ? report->code : row->code;
    const char *text = row->report != NULL && report->text[0] != '\0' ? report->text : row->text;
    json_t *task = json_object();
    api_json_set_identity(task, job, row->index);
    api_json_set_u64(task, "attempt", row->attempt);
    api_json_set_u64(task, "round", row->round);
    api_json_set(task, "state", json_string(attempt_state_name((enum attempt_state)row->state)));
    api_json_set(task, "node", api_json_text(node_member_name(node, row->node_id)));
    api_json_set_u64(task, "node_id", row->node_id);
    bool ended = attempt_state_is_ended((enum attempt_state)row->state);
    api_json_set(task, "code", ended ? json_string(task_code_name(code)) : json_null());
    api_json_set(task, "text", api_json_text(text));
    api_json_set(task, "reason", api_json_text(text));
    api_json_set(task, "assigned_at", api_json_time(row->assigned_ms));
    api_json_set_report(task, report);
    if (output && row->report != NULL) {
        api_json_set_stream(task, "stdout", report->stdout_bytes, report->stdout_inline);
        api_json_set_stream(task, "stderr", report->stderr_bytes, report->stderr_inline);
    }
    return task;
}

json_t *api_json_unstarted(const uint8_t job[16], uint32_t index, bool is_cancelled,
                           const char *reason)
{
    static const char *const empty[] = {"node",       "code",        "exit_code", "signal",
                                        "started_at", "assigned_at", "ended_at",  "wall_ms"};
    json_t *task = json_object();
    api_json_set_identity(task, job, index);
    api_json_set_u64(task, "attempt", 0);
    api_json_set(task, "state", json_string(is_cancelled ? "cancelled" : "pending"));
    for (unsigned i = 0; i < MEM_COUNT(empty); i++)
        api_json_set(task, empty[i], json_null());
    api_json_set(task, "text", json_string(is_cancelled ? "cancelled before it began" : ""));
    api_json_set(task, "reason", api_json_text(is_cancelled ? "" : reason));
    return task;
}

json_t *api_json_body(struct http_request *req)
{
    struct error e;
    json_t *body = NULL;
    if (http_request_json(req, &body, &e) == 0 && !json_is_object(body)) {
        json_decref(body);
        body = NULL;
        (void)error_set(&e, ERR_INVALID, "the body must be a JSON object");
    }
    if (body == NULL)
        http_reply_failure(req, &e, NULL);
    return body;
}
