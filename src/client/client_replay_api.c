/* The requests of docs/api.md that only look, as far as a report holds what they ask for. The rest
 * is answered by 501 with what can be done instead. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/client_replay_internal.h"
#include "client/client_rows.h"
#include "wire/cluster_rows.h"

/* Answers */

void client_replay_fail(struct client_replay_answer *answer, int code, const char *hint,
                        const char *fmt, ...)
{
    char *text;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    va_end(args);
    answer->status = code == ERR_NOT_FOUND     ? 404
                     : code == ERR_UNSUPPORTED ? 501
                     : code == ERR_CONFLICT    ? 409
                                               : 400;
    json_t *error = json_pack("{s:{s:s, s:s, s:s}}", "error", "code", err_name(code), "message",
                              text, "hint", hint);
    char *body = json_dumps(error, JSON_COMPACT);
    (void)buf_append_str(&answer->body, body != NULL ? body : "{}");
    free(body);
    json_decref(error);
    free(text);
}

void client_replay_give(struct client_replay_answer *answer, json_t *json)
{
    char *body = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(json);
    answer->status = 200;
    if (body != NULL)
        (void)buf_append_str(&answer->body, body);
    free(body);
}

const char *client_replay_text(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text != NULL ? text : "";
}

void client_replay_keep(json_t *rows, const char *field, const char *value)
{
    for (size_t i = json_array_size(rows); i > 0 && value != NULL; i--)
        if (strcmp(client_replay_text(json_array_get(rows, i - 1), field), value) != 0)
            (void)json_array_remove(rows, i - 1);
}

uint64_t client_replay_limit(const struct client_replay_answer *answer, uint64_t otherwise)
{
    const char *text = http_target_query(&answer->target, "limit");
    uint64_t limit = otherwise;
    if (text != NULL)
        (void)str_parse_u64(text, 0, UINT64_MAX, &limit);
    return limit;
}

void client_replay_cut(json_t *rows, uint64_t limit)
{
    while (json_array_size(rows) > limit)
        (void)json_array_remove(rows, json_array_size(rows) - 1);
}

/* Events that tell something */

typedef json_t *(*client_replay_row_fn)(const json_t *event);

static int client_replay_compare_newest(const void *a, const void *b)
{
    const char *x = client_replay_text(*(json_t *const *)a, "at");
    const char *y = client_replay_text(*(json_t *const *)b, "at");
    return strcmp(y, x);
}

/* A row for each event of `kinds` up to the moment, newest first. */
static json_t *client_replay_told(const struct client_replay *replay, const char *kinds,
                                  client_replay_row_fn row_of)
{
    const struct replay_part *events = &replay->archive->parts[REPLAY_EVENTS];
    struct client_replay_event event;
    json_t *rows = json_array();
    size_t offset = 0, len;
    const char *line;
    while ((line = replay_part_line(events, &offset, &len)) != NULL) {
        if (!client_replay_read_event(line, len, &event) || event.at_ms > replay->at_ms ||
            !event_kind_matches(kinds, event.kind))
            continue;
        json_t *told = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
        json_t *row = told != NULL ? row_of(told) : NULL;
        json_decref(told);
        if (row != NULL)
            (void)json_array_append_new(rows, row);
    }
    client_rows_sort(rows, client_replay_compare_newest);
    return rows;
}

static json_t *client_replay_audit_row(const json_t *event)
{
    return json_pack("{s:O*, s:s, s:s, s:s, s:s}", "at", json_object_get(event, "at"), "user",
                     client_replay_text(event, "by"), "action", client_replay_text(event, "action"),
                     "object", client_replay_text(event, "object"), "detail",
                     client_replay_text(event, "detail"));
}

static json_t *client_replay_history_row(const json_t *event)
{
    const json_t *row = json_object_get(event, "row");
    const char *what = client_replay_text(event, "what");
    if (what[0] == '\0' || !json_is_object(row))
        return NULL;
    return json_pack("{s:O*, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "at",
                     json_object_get(event, "at"), "service", client_replay_text(row, "service"),
                     "model", client_replay_text(row, "model"), "rollout",
                     client_replay_text(row, "id"), "what", what, "by",
                     client_replay_text(event, "by"), "text", client_replay_text(event, "cause"),
                     "state", client_replay_text(row, "state"), "weight",
                     json_integer_value(json_object_get(row, "weight")));
}

static void client_replay_ask_audit(struct client_replay_answer *answer)
{
    json_t *rows = client_replay_told(answer->replay, "operator.command", client_replay_audit_row);
    client_replay_cut(rows, client_replay_limit(answer, CLIENT_REPLAY_ROWS_MAX));
    client_replay_give(answer, rows);
}

static void client_replay_ask_history(struct client_replay_answer *answer)
{
    json_t *rows = client_replay_told(answer->replay, "rollout.state", client_replay_history_row);
    client_replay_keep(rows, "service", http_target_query(&answer->target, "service"));
    client_replay_cut(rows, client_replay_limit(answer, CLIENT_REPLAY_ROWS_MAX));
    client_replay_give(answer, rows);
}

/* The cluster */

static void client_replay_ask_status(struct client_replay_answer *answer)
{
    const struct replay_archive *archive = answer->replay->archive;
    json_t *elections = client_replay_rows(answer->replay, "elections");
    json_t *cluster = NULL;
    size_t i;
    json_t *row;
    json_array_foreach(elections, i, row)
    {
        if (strcmp(client_replay_text(row, "group"), "cluster") == 0)
            cluster = row;
    }
    json_t *status = json_pack("{s:s, s:s, s:s}", "node", archive->node, "cluster_id",
                               archive->cluster, "version", archive->version);
    (void)json_object_set(status, "leader", json_object_get(cluster, "leader"));
    (void)json_object_set(status, "term", json_object_get(cluster, "term"));
    json_decref(elections);
    client_replay_give(answer, status);
}

static void client_replay_ask_node(struct client_replay_answer *answer)
{
    const char *name = answer->target.segments[2];
    json_t *nodes = client_replay_nodes(answer->replay);
    client_replay_keep(nodes, "name", name);
    json_t *node = json_incref(json_array_get(nodes, 0));
    json_decref(nodes);
    if (node == NULL) {
        client_replay_fail(answer, ERR_NOT_FOUND, "node list shows the nodes of that time",
                           "no node %s", name);
        return;
    }
    json_t *running = client_replay_tasks(answer->replay, NULL, CLIENT_REPLAY_ACTIVE);
    client_replay_keep(running, "node", name);
    client_replay_keep(running, "state", "running");
    (void)json_object_set_new(node, "running", running);
    client_replay_give(answer, node);
}

static void client_replay_ask_nodes(struct client_replay_answer *answer)
{
    client_replay_give(answer, client_replay_nodes(answer->replay));
}

static void client_replay_ask_elections(struct client_replay_answer *answer)
{
    client_replay_give(answer, client_replay_rows(answer->replay, "elections"));
}

static void client_replay_ask_raft(struct client_replay_answer *answer)
{
    client_replay_give(answer, client_replay_rows(answer->replay, "raft"));
}

static void client_replay_ask_members(struct client_replay_answer *answer)
{
    client_replay_give(answer, client_replay_rows(answer->replay, "chat"));
}

static void client_replay_ask_queries(struct client_replay_answer *answer)
{
    client_replay_give(answer, client_replay_rows(answer->replay, "queries"));
}

/* What SQL can read. */
static void client_replay_ask_tables(struct client_replay_answer *answer)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < CLIENT_REPLAY_TABLES; i++)
        (void)json_array_append_new(
            rows, json_pack("{s:s+}", "name", CLUSTER_SCHEMA ".", client_replay_tables[i].name));
    client_replay_give(answer, rows);
}

/* Rollouts */

static void client_replay_ask_rollouts(struct client_replay_answer *answer)
{
    client_replay_give(answer, client_replay_rows(answer->replay, "rollouts"));
}

static void client_replay_ask_rollout(struct client_replay_answer *answer)
{
    const char *service = answer->target.segments[2];
    json_t *rows = client_replay_rows(answer->replay, "rollouts");
    client_replay_keep(rows, "service", service);
    json_t *rollout = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    if (rollout == NULL)
        client_replay_fail(answer, ERR_NOT_FOUND, "rollout status lists those of that time",
                           "no rollout of %s", service);
    else
        client_replay_give(answer, rollout);
}

static void client_replay_ask_routing(struct client_replay_answer *answer)
{
    client_replay_give(answer, client_replay_rows(answer->replay, "routing"));
}

/* A row for each node that has voted yes and knows no outcome. */
static void client_replay_ask_indoubt(struct client_replay_answer *answer)
{
    json_t *transactions = client_replay_rows(answer->replay, "transactions");
    json_t *rows = json_array();
    size_t i;
    json_t *txn;
    json_array_foreach(transactions, i, txn)
    {
        const char *key;
        json_t *vote;
        json_object_foreach(txn, key, vote)
        {
            if (!str_starts_with(key, "part.") || !json_is_string(vote) ||
                strcmp(json_string_value(vote), "prepared") != 0)
                continue;
            (void)json_array_append_new(
                rows, json_pack("{s:s, s:s, s:s, s:s, s:s}", "node", key + strlen("part."), "txid",
                                client_replay_text(txn, "txid"), "state", "prepared", "coordinator",
                                client_replay_text(txn, "coordinator"), "text",
                                client_replay_text(txn, "text")));
        }
    }
    json_decref(transactions);
    client_replay_give(answer, rows);
}

static void client_replay_ask_frame(struct client_replay_answer *answer)
{
    char at[CLOCK_RFC3339_MAX];
    answer->status = 200;
    (void)buf_printf(&answer->body, "{\"at\":\"%s\",\"cursor\":\"replay\",",
                     clock_format_rfc3339(answer->replay->at_ms, at));
    (void)event_state_print(answer->replay->state, NULL, NULL, &answer->body);
    (void)buf_append_byte(&answer->body, '}');
}

/* Routes */

static const struct {
    const char *path; /* below /api/; '*' stands for one segment. The first that fits counts */
    void (*ask)(struct client_replay_answer *answer);
} client_replay_routes[] = {
    {"status", client_replay_ask_status},
    {"nodes", client_replay_ask_nodes},
    {"nodes/*", client_replay_ask_node},
    {"elections", client_replay_ask_elections},
    {"raft", client_replay_ask_raft},
    {"audit", client_replay_ask_audit},
    {"jobs", client_replay_ask_jobs},
    {"jobs/*", client_replay_ask_job},
    {"jobs/*/tasks", client_replay_ask_tasks},
    {"jobs/*/wait", client_replay_ask_wait},
    {"rollouts", client_replay_ask_rollouts},
    {"rollouts/history", client_replay_ask_history},
    {"rollouts/indoubt", client_replay_ask_indoubt},
    {"rollouts/*", client_replay_ask_rollout},
    {"routing", client_replay_ask_routing},
    {"chat/members", client_replay_ask_members},
    {"chat/messages", client_replay_ask_messages},
    {"sql", client_replay_ask_queries},
    {"tables", client_replay_ask_tables},
    {"events", client_replay_ask_events},
    {"vitals", client_replay_ask_vitals},
    {"frame", client_replay_ask_frame},
};

/* What a report leaves out. */
static const struct {
    const char *path, *what;
} client_replay_lacks[] = {
    {"jobs/*/output", "what jobs wrote"},
    {"kv", "keys and their values"},
    {"kv/*", "keys and their values"},
    {"tables/*", "tables of data: SHOW TABLES lists what it holds"},
    {"models", "a list of models"},
    {"metrics", "metrics: node list shows the vitals of that time"},
    {"settings", "settings that can be asked for: they are in it, as config/NODE.yaml"},
    {"report", "another report"},
};

static bool client_replay_path_fits(const struct http_target *target, const char *path)
{
    size_t i = 1;
    if (target->segments_len < 2 || strcmp(target->segments[0], "api") != 0)
        return false;
    for (; *path != '\0'; i++) {
        size_t len = strcspn(path, "/");
        if (i == target->segments_len)
            return false;
        const char *segment = target->segments[i];
        bool is_any = len == 1 && path[0] == '*';
        if (!is_any && (strlen(segment) != len || memcmp(segment, path, len) != 0))
            return false;
        path += len + (path[len] == '/');
    }
    return i == target->segments_len;
}

static void client_replay_refuse(struct client_replay_answer *answer, bool is_read)
{
    static const char hint[] = "clustersh without --replay, or \\connect ENDPOINT, asks a cluster";
    const struct client_replay *replay = answer->replay;
    const char *what = NULL;
    for (size_t i = 0; is_read && i < MEM_COUNT(client_replay_lacks); i++)
        if (client_replay_path_fits(&answer->target, client_replay_lacks[i].path))
            what = client_replay_lacks[i].what;
    if (!is_read)
        client_replay_fail(answer, ERR_UNSUPPORTED, hint,
                           "this is a replay of %s: nothing runs in it, nothing can be changed",
                           replay->path);
    else
        client_replay_fail(answer, ERR_UNSUPPORTED, hint,
                           "this is a replay of %s: a report does not hold %s", replay->path,
                           what != NULL ? what : "that");
}

struct client_replay_answer *client_replay_ask(struct client_replay *replay, const char *method,
                                               const char *path, const void *data, size_t len)
{
    struct client_replay_answer *answer = mem_zalloc(sizeof *answer);
    struct error e = {0};
    bool is_read = strcmp(method, "GET") == 0;
    answer->replay = replay;
    buf_init(&answer->body, CLIENT_REPLY_BYTES_MAX);
    nodeset_init(&answer->stream.nodes);
    if (http_target_parse(&answer->target, path, &e) != 0) {
        client_replay_fail(answer, e.code, "", "%s", e.text);
        return answer;
    }
    for (size_t i = 0; is_read && i < MEM_COUNT(client_replay_routes); i++) {
        if (!client_replay_path_fits(&answer->target, client_replay_routes[i].path))
            continue;
        client_replay_routes[i].ask(answer);
        assert(answer->status != 0);
        return answer;
    }
    if (strcmp(method, "POST") == 0 && client_replay_path_fits(&answer->target, "sql"))
        client_replay_ask_sql(answer, data, len);
    else
        client_replay_refuse(answer, is_read);
    return answer;
}

unsigned client_replay_status(const struct client_replay_answer *answer)
{
    return answer->status;
}

bool client_replay_next(struct client_replay_answer *answer, struct buf *out)
{
    if (answer->sql != NULL)
        return client_replay_sql_next(answer->sql, out);
    if (answer->is_stream) {
        client_replay_stream_next(answer, out);
        return !answer->stream.is_over;
    }
    (void)buf_append(out, answer->body.data, answer->body.len);
    return false;
}

int client_replay_fd(const struct client_replay_answer *answer)
{
    return answer->sql != NULL ? client_replay_sql_fd(answer->sql) : -1;
}

int64_t client_replay_due_ms(const struct client_replay_answer *answer)
{
    return answer->sql != NULL ? client_replay_sql_due_ms(answer->sql) : INT64_MAX;
}

void client_replay_answer_free(struct client_replay_answer *answer)
{
    if (answer == NULL)
        return;
    client_replay_sql_free(answer->sql);
    http_target_done(&answer->target);
    nodeset_done(&answer->stream.nodes);
    buf_done(&answer->body);
    free(answer);
}
