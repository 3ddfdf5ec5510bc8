#include "tests/lib/fake_cluster.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/nodeset.h"
#include "base/str.h"

enum { FAKE_NODES = 3 };

static const char *const fake_names[FAKE_NODES] = {"n1", "n2", "n3"};

struct fake_cluster {
    struct fake_api *api;
    char *socket_path;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char leader[32];
    json_t *jobs; /* newest last, with "word" and "argument" beside the API's keys */
    json_t *keys; /* {key: {value, version}} */
    char node_states[FAKE_NODES][16];
    char *last_submit;
    char *last_change;
    unsigned n_closed;
    unsigned n_breaks; /* answers that were cut off */
    char *last_sql;
    bool finished;
    bool stopping;
};

static const char *fake_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static void fake_send_json(struct fake_conn *conn, unsigned status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    fake_answer(conn, status, "application/json", text, strlen(text));
    free(text);
    json_decref(json);
}

static void fake_lock(struct fake_cluster *c)
{
    (void)pthread_mutex_lock(&c->lock);
}

static void fake_unlock(struct fake_cluster *c)
{
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
}

/* Nodes */

static json_t *fake_node(struct fake_cluster *c, int i)
{
    const char *name = fake_names[i];
    return json_pack("{s:s, s:s, s:s, s:[s,s], s:s, s:s, s:b, s:i, s:i, s:i, s:i, s:f, s:f, s:I, "
                     "s:I, s:s, s:[s],"
                     " s:s, s:s, s:i}",
                     "name", name, "id", "0c5bd0a8-0d6f-4c4e-9d5e-6a3a3a2d0001", "state",
                     c->node_states[i], "roles", "metadata", "worker", "address", "127.0.0.1:7400",
                     "api_address", "", "leader", strcmp(c->leader, name) == 0, "slots", 2,
                     "slots_used", i, "tasks_running", i, "tasks_queued", 0, "cpu_percent", 12.5,
                     "load", 0.25, "memory_total_bytes", (json_int_t)8 << 30,
                     "memory_available_bytes", (json_int_t)6 << 30, "last_seen",
                     "2026-11-20T20:00:00.000Z", "labels", i == 0 ? "gpu" : "plain", "kind", "node",
                     "version", "0.1.0", "pid", 100 + i);
}

static json_t *fake_nodes(struct fake_cluster *c)
{
    json_t *nodes = json_array();
    for (int i = 0; i < FAKE_NODES; i++)
        (void)json_array_append_new(nodes, fake_node(c, i));
    return nodes;
}

static void fake_on_node(struct fake_cluster *c, struct fake_conn *conn,
                         const struct fake_request *r)
{
    char name[64] = "";
    char verb[32] = "";
    (void)sscanf(r->path, "/api/nodes/%63[^/]/%31s", name, verb);
    for (int i = 0; i < FAKE_NODES; i++) {
        if (strcmp(fake_names[i], name) != 0)
            continue;
        const char *state = strcmp(verb, "drain") == 0    ? "draining"
                            : strcmp(verb, "resume") == 0 ? "online"
                            : strcmp(verb, "remove") == 0 ? "removed"
                                                          : NULL;
        if (state != NULL)
            (void)snprintf(c->node_states[i], sizeof c->node_states[i], "%s", state);
        fake_send_json(conn, 200, fake_node(c, i));
        return;
    }
    fake_answer_error(conn, 404, "not_found", "no node of this name", "node list shows the nodes");
}

static void fake_on_raft(struct fake_cluster *c, struct fake_conn *conn,
                         const struct fake_request *r)
{
    if (strcmp(r->path, "/api/raft/transfer") == 0) {
        json_t *body = json_loads(r->body, 0, NULL);
        const char *to = fake_text(body, "to");
        (void)snprintf(c->leader, sizeof c->leader, "%s", to[0] != '\0' ? to : "n2");
        json_decref(body);
        fake_send_json(conn, 200, json_pack("{s:s, s:i}", "leader", c->leader, "term", 8));
        return;
    }
    json_t *members = json_array();
    for (int i = 0; i < FAKE_NODES; i++) {
        const char *name = fake_names[i];
        (void)json_array_append_new(members, json_pack("{s:s, s:s, s:b, s:i, s:i, s:i, s:i, s:s}",
                                                       "name", name, "role", "voter", "leader",
                                                       strcmp(c->leader, name) == 0, "term", 7,
                                                       "last_index", 120, "applied_index", 120,
                                                       "lag", 0, "state", "online"));
    }
    fake_send_json(conn, 200, members);
}

/* Keys */

static void fake_on_key(struct fake_cluster *c, struct fake_conn *conn,
                        const struct fake_request *r)
{
    const char *key = r->path + strlen("/api/kv/");
    json_t *entry = json_object_get(c->keys, key);
    json_int_t version = json_integer_value(json_object_get(entry, "version"));
    const char *wanted = fake_param(r, "if_version");
    char header[64];
    if (strcmp(r->method, "GET") == 0 && entry == NULL) {
        fake_answer_error(conn, 404, "not_found", "no such key", "kv list shows the keys");
    } else if (strcmp(r->method, "GET") == 0) {
        const json_t *value = json_object_get(entry, "value");
        (void)snprintf(header, sizeof header, "ETag: \"%lld\"", (long long)version);
        fake_set_header(conn, header);
        fake_answer(conn, 200, "application/octet-stream", json_string_value(value),
                    json_string_length(value));
    } else if (wanted[0] != '\0' && strtoll(wanted, NULL, 10) != version) {
        fake_answer_error(conn, 409, "conflict", "the key has another version", "");
    } else if (strcmp(r->method, "PUT") == 0) {
        (void)json_object_set_new(
            c->keys, key,
            json_pack("{s:s%, s:I}", "value", r->body, r->body_len, "version", version + 1));
        fake_answer_json(conn, 200, "{\"key\":\"%s\",\"version\":%lld}", key,
                         (long long)version + 1);
    } else {
        (void)json_object_del(c->keys, key);
        fake_answer_json(conn, 200, "{\"key\":\"%s\",\"version\":%lld}", key,
                         (long long)version + 1);
    }
}

static json_t *fake_keys(struct fake_cluster *c, const char *prefix)
{
    json_t *rows = json_array();
    const char *key;
    json_t *entry;
    json_object_foreach(c->keys, key, entry)
    {
        if (str_starts_with(key, prefix))
            (void)json_array_append_new(
                rows, json_pack("{s:s, s:O, s:i, s:s}", "key", key, "version",
                                json_object_get(entry, "version"), "bytes",
                                (int)json_string_length(json_object_get(entry, "value")),
                                "updated_at", "2026-11-20T20:00:00.000Z"));
    }
    return rows;
}

/* Jobs */

static json_t *fake_find_job(struct fake_cluster *c, const char *id)
{
    size_t n = json_array_size(c->jobs);
    size_t len = strcspn(id, "_");
    for (size_t i = n; i-- > 0;) {
        json_t *job = json_array_get(c->jobs, i);
        if (strcmp(id, "last") == 0 || (len >= 4 && strncmp(fake_text(job, "id"), id, len) == 0))
            return job;
    }
    return NULL;
}

static json_int_t fake_count(const json_t *job, const char *key)
{
    return json_integer_value(json_object_get(job, key));
}

static void fake_set_state(json_t *job, const char *state)
{
    json_int_t elements = fake_count(job, "elements");
    (void)json_object_set_new(job, "state", json_string(state));
    static const char *const keys[] = {"running", "completed", "failed", "cancelled", "pending"};
    for (size_t i = 0; i < MEM_COUNT(keys); i++)
        (void)json_object_set_new(job, keys[i],
                                  json_integer(strcmp(keys[i], state) == 0 ? elements : 0));
}

/* "0-99%4" → 100 */
static json_int_t fake_count_elements(const char *array)
{
    int first = 0;
    int last = 0;
    return array[0] == '\0' ? 1 : sscanf(array, "%d-%d", &first, &last) == 2 ? last - first + 1 : 1;
}

static void fake_on_submit(struct fake_cluster *c, struct fake_conn *conn,
                           const struct fake_request *r)
{
    json_t *body = json_loads(r->body, 0, NULL);
    free(c->last_submit);
    c->last_submit = mem_strdup(r->body);
    size_t seq = json_array_size(c->jobs) + 1;
    json_t *argv = json_object_get(body, "argv");
    json_t *commands = json_object_get(body, "commands");
    const char *line = argv != NULL ? json_string_value(json_array_get(argv, 0))
                                    : json_string_value(json_array_get(commands, 0));
    const char *argument = argv != NULL ? json_string_value(json_array_get(argv, 1)) : NULL;
    const char *space = strchr(line, ' ');
    char *word = mem_strndup(line, space != NULL ? (size_t)(space - line) : strlen(line));
    char id[64];
    (void)snprintf(id, sizeof id, "4f12000%zx-0d6f-4c4e-9d5e-6a3a3a2d00%02zx", seq % 16, seq);
    json_t *job = json_pack(
        "{s:s, s:I, s:s, s:s, s:s, s:I, s:s, s:s, s:n, s:I, s:s, s:s, s:s}", "id", id, "seq",
        (json_int_t)seq, "name", fake_text(body, "name"), "user", "root", "reason", "", "elements",
        fake_count_elements(fake_text(body, "array")), "submitted_at", "2026-11-20T20:00:00.000Z",
        "started_at", "2026-11-20T20:00:01.000Z", "ended_at", "wall_ms", (json_int_t)1500, "array",
        fake_text(body, "array"), "word", word, "argument",
        argument != NULL ? argument
        : space != NULL  ? space + 1
                         : "");
    bool runs_on = strcmp(word, "hold") == 0 || (strcmp(word, "slow") == 0 && !c->finished);
    fake_set_state(job, runs_on ? "running" : strcmp(word, "exit") == 0 ? "failed" : "completed");
    (void)json_array_append_new(c->jobs, job);
    fake_send_json(conn, 201,
                   json_pack("{s:s, s:s, s:O, s:b}", "id", id, "state", "pending", "elements",
                             json_object_get(job, "elements"), "duplicate", 0));
    free(word);
    json_decref(body);
}

/* What element `index` writes. */
static char *fake_output(const json_t *job, json_int_t index, bool is_stderr)
{
    const char *word = fake_text(job, "word");
    if (strcmp(word, "exit") == 0 && is_stderr)
        return mem_strdup("boom\n");
    if (is_stderr)
        return mem_strdup("");
    if (strcmp(word, "echo") == 0 && fake_text(job, "array")[0] != '\0')
        return mem_printf("%s %lld\n", fake_text(job, "argument"), (long long)index);
    if (strcmp(word, "echo") == 0)
        return mem_printf("%s\n", fake_text(job, "argument"));
    if (strcmp(word, "bytes") == 0)
        return mem_strdup("\033[31mred\033]0;title\007\xff\n");
    if (strcmp(word, "slow") == 0 && strcmp(fake_text(job, "state"), "completed") == 0)
        return mem_strdup("finished\n");
    return mem_strdup("");
}

static json_t *fake_task(const json_t *job, json_int_t index, bool with_output)
{
    const char *state = fake_text(job, "state");
    bool is_bad = strcmp(state, "failed") == 0;
    char *id = mem_printf("%s_%lld", fake_text(job, "id"), (long long)index);
    char *out = fake_output(job, index, false);
    char *err = fake_output(job, index, true);
    json_t *task = json_pack(
        "{s:s, s:O, s:I, s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:I, s:i, s:i, s:s}", "id", id,
        "job", json_object_get(job, "id"), "index", index, "attempt", 1, "state", state, "node",
        index % 2 == 0 ? "n1" : "n2", "code", is_bad ? "exit_nonzero" : "ok", "text", "",
        "exit_code", is_bad ? atoi(fake_text(job, "argument")) : 0, "signal", 0, "started_at",
        "2026-11-20T20:00:01.000Z", "wall_ms", (json_int_t)1500, "stdout_bytes", (int)strlen(out),
        "stderr_bytes", (int)strlen(err), "reason", "");
    if (with_output && str_is_utf8(out, strlen(out))) {
        (void)json_object_set_new(task, "stdout", json_string(out));
        (void)json_object_set_new(task, "stderr", json_string(err));
    }
    free(id);
    free(out);
    free(err);
    return task;
}

static void fake_on_tasks(struct fake_conn *conn, const struct fake_request *r, const json_t *job)
{
    json_t *tasks = json_array();
    const char *after = fake_param(r, "after");
    json_int_t first = after[0] != '\0' ? strtoll(after, NULL, 10) + 1 : 0;
    const char *limit_text = fake_param(r, "limit");
    json_int_t limit = limit_text[0] != '\0' ? strtoll(limit_text, NULL, 10) : 100;
    char state[32];
    (void)snprintf(state, sizeof state, "%s", fake_param(r, "state"));
    bool with_output = strcmp(fake_param(r, "output"), "true") == 0;
    for (json_int_t i = first; i < fake_count(job, "elements") && i < first + limit; i++) {
        if (state[0] == '\0' || strcmp(state, fake_text(job, "state")) == 0)
            (void)json_array_append_new(tasks, fake_task(job, i, with_output));
    }
    fake_send_json(conn, 200, tasks);
}

/* Called with the lock, which a wait gives up. */
static void fake_wait_ended(struct fake_cluster *c, json_t *job)
{
    while (strcmp(fake_text(job, "state"), "running") == 0 && !c->stopping)
        (void)pthread_cond_wait(&c->changed, &c->lock);
}

static void fake_on_output(struct fake_cluster *c, struct fake_conn *conn,
                           const struct fake_request *r, json_t *job)
{
    json_int_t index = strtoll(fake_param(r, "element"), NULL, 10);
    bool is_stderr = strcmp(fake_param(r, "stream"), "stderr") == 0;
    fake_begin(conn, 200, "application/octet-stream");
    if (strcmp(fake_text(job, "word"), "slow") == 0 && !is_stderr)
        fake_printf(conn, "started\n");
    if (strcmp(fake_param(r, "follow"), "true") == 0)
        fake_wait_ended(c, job);
    char *text = fake_output(job, index, is_stderr);
    fake_write(conn, text, strlen(text));
    fake_end(conn);
    free(text);
}

static void fake_on_job(struct fake_cluster *c, struct fake_conn *conn,
                        const struct fake_request *r)
{
    char id[128] = "";
    char verb[32] = "";
    (void)sscanf(r->path, "/api/jobs/%127[^/]/%31s", id, verb);
    json_t *job = fake_find_job(c, id);
    if (job == NULL) {
        fake_answer_error(conn, 404, "not_found", "no such job", "job list shows the jobs");
        return;
    }
    if (strcmp(verb, "tasks") == 0) {
        fake_on_tasks(conn, r, job);
        return;
    }
    if (strcmp(verb, "output") == 0) {
        fake_on_output(c, conn, r, job);
        return;
    }
    if (strcmp(verb, "wait") == 0 && strcmp(fake_text(job, "state"), "running") == 0) {
        fake_answer_error(conn, 504, "timeout", "the job is running", "");
        return;
    }
    if (strcmp(verb, "cancel") == 0)
        fake_set_state(job, "cancelled");
    if (strcmp(verb, "retry") == 0)
        fake_set_state(job, "completed");
    fake_send_json(conn, 200, json_deep_copy(job));
}

static json_t *fake_jobs(struct fake_cluster *c, const struct fake_request *r)
{
    json_t *rows = json_array();
    const char *limit_text = fake_param(r, "limit");
    size_t limit = limit_text[0] != '\0' ? (size_t)strtoul(limit_text, NULL, 10) : 100;
    const char *after_text = fake_param(r, "after");
    json_int_t after = after_text[0] != '\0' ? strtoll(after_text, NULL, 10) : INT32_MAX;
    for (size_t i = json_array_size(c->jobs); i-- > 0 && json_array_size(rows) < limit;) {
        json_t *job = json_array_get(c->jobs, i);
        if (fake_count(job, "seq") < after)
            (void)json_array_append(rows, job);
    }
    return rows;
}

/* Exec */

static int fake_resolve(void *arg, const char *name, struct nodeset *set)
{
    (void)arg;
    if (strcmp(name, "all") != 0)
        return ERR_NOT_FOUND;
    nodeset_add(set, "n1");
    nodeset_add(set, "n2");
    nodeset_add(set, "n3");
    return 0;
}

static void fake_exec_on(struct fake_conn *conn, const char *node, const char *word,
                         const char *argument)
{
    fake_printf(conn, "{\"node\":\"%s\",\"event\":\"started\"}\n", node);
    if (strcmp(word, "where") == 0)
        fake_printf(conn, "{\"node\":\"%s\",\"event\":\"stdout\",\"data\":\"%s\\n\"}\n", node,
                    strcmp(node, "n3") == 0 ? "elsewhere" : "here");
    else if (strcmp(word, "hold") == 0 || strcmp(word, "hang") == 0)
        fake_printf(conn, "{\"node\":\"%s\",\"event\":\"stdout\",\"data\":\"holding\\n\"}\n", node);
    else if (strcmp(word, "bytes") == 0)
        fake_printf(conn, "{\"node\":\"%s\",\"event\":\"stdout\",\"data_base64\":\"/v8K\"}\n",
                    node);
    else if (strcmp(word, "exit") == 0)
        fake_printf(conn, "{\"node\":\"%s\",\"event\":\"stderr\",\"data\":\"boom\\n\"}\n", node);
    else
        fake_printf(conn, "{\"node\":\"%s\",\"event\":\"stdout\",\"data\":\"%s\\n\"}\n", node,
                    argument);
    if (strcmp(word, "hold") != 0 && strcmp(word, "hang") != 0)
        fake_printf(conn,
                    "{\"node\":\"%s\",\"event\":\"ended\",\"exit_code\":%d,\"signal\":0,"
                    "\"code\":\"%s\",\"wall_ms\":12}\n",
                    node, strcmp(word, "exit") == 0 ? atoi(argument) : 0,
                    strcmp(word, "exit") == 0 ? "exit_nonzero" : "ok");
}

/* Without the lock: it may wait for its client. */
static void fake_on_exec(struct fake_cluster *c, struct fake_conn *conn,
                         const struct fake_request *r)
{
    json_t *body = json_loads(r->body, 0, NULL);
    const json_t *argv = json_object_get(body, "argv");
    const char *line = json_string_value(json_array_get(argv, 0));
    const char *second = json_string_value(json_array_get(argv, 1));
    const char *space = strchr(line, ' ');
    char *word = mem_strndup(line, space != NULL ? (size_t)(space - line) : strlen(line));
    const char *argument = second != NULL ? second : space != NULL ? space + 1 : "";
    struct nodeset set;
    struct error e = {0};
    nodeset_init(&set);
    if (nodeset_parse(&set, fake_text(body, "nodes"), fake_resolve, NULL, &e) != 0) {
        fake_answer_error(conn, 400, "invalid", e.text, "");
    } else {
        fake_begin(conn, 200, "application/x-ndjson");
        fake_printf(conn, "{\"event\":\"targets\",\"nodes\":[");
        for (size_t i = 0; i < set.n; i++)
            fake_printf(conn, "%s\"%s\"", i > 0 ? "," : "", set.names[i]);
        fake_printf(conn, "]}\n");
        size_t n = strcmp(word, "hang") == 0 ? 1 : set.n; /* the first alone answers */
        for (size_t i = 0; i < n; i++)
            fake_exec_on(conn, set.names[i], word, argument);
        if (strcmp(word, "hold") == 0 || strcmp(word, "hang") == 0) {
            fake_wait_closed(conn);
            fake_lock(c);
            c->n_closed++;
            fake_unlock(c);
        } else {
            fake_printf(conn, "{\"event\":\"done\",\"ok\":%zu,\"failed\":0}\n", set.n);
            fake_end(conn);
        }
    }
    nodeset_done(&set);
    free(word);
    json_decref(body);
}

/* SQL: lines that are known by how the statement begins; anything else is a row that shows it. */

static const struct {
    const char *begins;
    const char *lines;
} fake_sqls[] = {
    {"SELECT DISTINCT function_name AS name, function_type AS type FROM",
     "{\"columns\":[{\"name\":\"name\",\"type\":\"VARCHAR\"},{\"name\":\"type\",\"type\":"
     "\"VARCHAR\"}]}\n{\"rows\":[[\"regexp_matches\",\"scalar\"],[\"range\",\"table\"]]}\n"
     "{\"done\":{\"rows\":2}}\n"},
    {"SELECT keyword_name",
     "{\"columns\":[{\"name\":\"name\",\"type\":\"VARCHAR\"}]}\n{\"rows\":[[\"reindex\"]]}\n"
     "{\"done\":{\"rows\":1}}\n"},
    {"DESCRIBE cluster.jobs",
     "{\"columns\":[{\"name\":\"column_name\",\"type\":\"VARCHAR\"},{\"name\":\"column_type\","
     "\"type\":\"VARCHAR\"}]}\n{\"rows\":[[\"submitted_at\",\"VARCHAR\"],[\"state\","
     "\"VARCHAR\"]]}\n{\"done\":{\"rows\":2}}\n"},
    {"select one", "{\"columns\":[{\"name\":\"n\",\"type\":\"INTEGER\"},{\"name\":\"name\","
                   "\"type\":\"VARCHAR\"},{\"name\":\"nothing\",\"type\":\"VARCHAR\"}]}\n"
                   "{\"rows\":[[5,\"it's\",null]]}\n{\"done\":{\"rows\":1}}\n"},
    {"select none", "{\"columns\":[{\"name\":\"n\",\"type\":\"INTEGER\"}]}\n"
                    "{\"done\":{\"rows\":0}}\n"},
    {"select cells", "{\"columns\":[{\"name\":\"a\",\"type\":\"VARCHAR\"},{\"name\":\"b\","
                     "\"type\":\"VARCHAR\"}]}\n{\"rows\":[[\"kv put a 1\",null],[\"kv put b 2\","
                     "\"select :x\"]]}\n{\"done\":{\"rows\":2}}\n"},
    {"select evil", "{\"columns\":[{\"name\":\"a\",\"type\":\"VARCHAR\"}]}\n"
                    "{\"rows\":[[\"\\\\! touch evil\"]]}\n{\"done\":{\"rows\":1}}\n"},
    {"select bytes", "{\"columns\":[{\"name\":\"a\",\"type\":\"VARCHAR\"}]}\n"
                     "{\"rows\":[[\"\\u001b[31mred\\u009b1m\\u202eevil\"]]}\n"
                     "{\"done\":{\"rows\":1}}\n"},
    {"select wrong", "{\"error\":{\"code\":\"invalid\",\"message\":\"no such thing\",\"hint\":"
                     "\"look again\",\"position\":7}}\n"},
    {"INSERT", "{\"done\":{\"rows\":0,\"command\":\"INSERT\",\"affected\":2}}\n"},
    {"insert", "{\"done\":{\"rows\":0,\"command\":\"INSERT\",\"affected\":2}}\n"},
};

static void fake_sql_many(struct fake_conn *conn, int rows)
{
    fake_printf(conn, "{\"columns\":[{\"name\":\"number\",\"type\":\"INTEGER\"}]}\n{\"rows\":[");
    for (int i = 0; i < rows; i++)
        fake_printf(conn, "%s[%d]", i > 0 ? "," : "", i + 1);
    fake_printf(conn, "]}\n{\"done\":{\"rows\":%d}}\n", rows);
}

/* Without the lock: it may wait for its client. */
static void fake_on_sql(struct fake_cluster *c, struct fake_conn *conn,
                        const struct fake_request *r)
{
    json_t *body = json_loads(r->body, 0, NULL);
    const char *sql = fake_text(body, "sql");
    const char *lines = NULL;
    bool breaks = str_starts_with(sql, "break") || strstr(sql, "'break'") != NULL;
    fake_lock(c);
    breaks = breaks && c->n_breaks++ == 0;
    free(c->last_sql);
    c->last_sql = mem_strdup(sql);
    fake_unlock(c);
    fake_begin(conn, 200, "application/x-ndjson");
    for (size_t i = 0; i < MEM_COUNT(fake_sqls); i++)
        if (str_starts_with(sql, fake_sqls[i].begins))
            lines = fake_sqls[i].lines;
    if (breaks) {
        json_decref(body);
        fake_printf(conn, "{\"query\":\"q1\"}\n");
        fake_drop(conn);
        return; /* the connection ends in the middle of the answer */
    }
    if (str_starts_with(sql, "select hold")) {
        fake_printf(conn,
                    "{\"progress\":{\"stage\":1,\"stages\":2,\"tasks\":4,\"tasks_done\":1}}\n");
        fake_wait_closed(conn);
        fake_lock(c);
        c->n_closed++;
        fake_unlock(c);
    } else if (str_starts_with(sql, "select many")) {
        fake_sql_many(conn, 100);
        fake_end(conn);
    } else if (lines != NULL) {
        fake_write(conn, lines, strlen(lines));
        fake_end(conn);
    } else {
        json_t *row = json_pack("{s:[[s]]}", "rows", sql);
        char *text = json_dumps(row, JSON_COMPACT);
        fake_printf(conn, "{\"columns\":[{\"name\":\"sql\",\"type\":\"VARCHAR\"}]}\n%s\n", text);
        fake_printf(conn, "{\"done\":{\"rows\":1}}\n");
        fake_end(conn);
        free(text);
        json_decref(row);
    }
    json_decref(body);
}

/* The chat: two messages in its log; what is sent is refused. Without the lock. */
static void fake_on_messages(struct fake_conn *conn, const struct fake_request *r)
{
    if (strcmp(r->method, "POST") == 0) {
        fake_answer_error(conn, 413, "too_large", "a message has at most 3 bytes", "say less");
        return;
    }
    bool follows = strcmp(fake_param(r, "follow"), "true") == 0;
    int from = atoi(fake_param(r, "from"));
    fake_begin(conn, 200, "application/x-ndjson");
    for (int seq = 1; seq <= 2; seq++) {
        if (seq >= from)
            fake_printf(conn,
                        "{\"seq\":%d,\"at\":\"2026-11-20T20:00:00.000Z\",\"channel\":\"general\","
                        "\"from\":\"anna\",\"text\":\"message %d\"}\n",
                        seq, seq);
    }
    if (follows)
        fake_wait_closed(conn);
    else
        fake_end(conn);
}

/* All together */

static void fake_route(struct fake_cluster *c, struct fake_conn *conn, const struct fake_request *r)
{
    if (strcmp(r->method, "GET") != 0) {
        free(c->last_change);
        c->last_change =
            mem_printf("%s %s?%s %.*s", r->method, r->path, r->query, (int)r->body_len, r->body);
    }
    if (strcmp(r->path, "/api/status") == 0)
        fake_answer_json(conn, 200,
                         "{\"node\":\"n1\",\"leader\":%s%s%s,\"version\":\"0.1.0\",\"term\":7,"
                         "\"roles\":[\"metadata\",\"worker\"],\"pid\":100,\"uptime_ms\":61000,"
                         "\"rss_bytes\":15728640,\"applied_index\":120}",
                         c->leader[0] != '\0' ? "\"" : "",
                         c->leader[0] != '\0' ? c->leader : "null",
                         c->leader[0] != '\0' ? "\"" : "");
    else if (strcmp(r->path, "/api/nodes") == 0)
        fake_send_json(conn, 200, fake_nodes(c));
    else if (str_starts_with(r->path, "/api/nodes/"))
        fake_on_node(c, conn, r);
    else if (str_starts_with(r->path, "/api/raft"))
        fake_on_raft(c, conn, r);
    else if (strcmp(r->path, "/api/tables") == 0)
        fake_answer_json(conn, 200, "[{\"name\":\"trips\"},{\"name\":\"sales.daily\"}]");
    else if (strcmp(r->path, "/api/tables/trips") == 0)
        fake_answer_json(conn, 200,
                         "{\"name\":\"trips\",\"columns\":[{\"name\":\"distance\",\"type\":"
                         "\"DOUBLE\"}]}");
    else if (strcmp(r->path, "/api/kv") == 0)
        fake_send_json(conn, 200, fake_keys(c, fake_param(r, "prefix")));
    else if (str_starts_with(r->path, "/api/kv/"))
        fake_on_key(c, conn, r);
    else if (strcmp(r->path, "/api/files") == 0)
        fake_answer_json(conn, 201, "{\"id\":\"f1\",\"name\":\"%s\",\"bytes\":%zu,\"xxh\":\"0\"}",
                         fake_param(r, "name"), r->body_len);
    else if (strcmp(r->path, "/api/jobs") == 0 && strcmp(r->method, "POST") == 0)
        fake_on_submit(c, conn, r);
    else if (strcmp(r->path, "/api/jobs") == 0)
        fake_send_json(conn, 200, fake_jobs(c, r));
    else if (str_starts_with(r->path, "/api/jobs/"))
        fake_on_job(c, conn, r);
    else if (strcmp(r->path, "/api/audit") == 0)
        fake_answer_json(conn, 200,
                         "[{\"at\":\"2026-11-20T20:00:00.000Z\",\"user\":\"root\",\"action\":"
                         "\"drain\",\"object\":\"n3\",\"detail\":\"new disk\"}]");
    else
        fake_answer_error(conn, 404, "not_found", "no such path", "");
}

static void fake_handle(void *arg, struct fake_conn *conn, const struct fake_request *r)
{
    struct fake_cluster *c = arg;
    if (strcmp(r->path, "/api/exec") == 0) {
        fake_on_exec(c, conn, r);
        return;
    }
    if (strcmp(r->path, "/api/chat/messages") == 0) {
        fake_on_messages(conn, r);
        return;
    }
    if (strcmp(r->path, "/api/sql") == 0) {
        fake_on_sql(c, conn, r);
        return;
    }
    fake_lock(c);
    fake_route(c, conn, r);
    fake_unlock(c);
}

struct fake_cluster *fake_cluster_new(const char *socket_path)
{
    struct fake_cluster *c = mem_zalloc(sizeof *c);
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->changed, NULL);
    c->socket_path = mem_strdup(socket_path);
    c->jobs = json_array();
    c->keys = json_object();
    (void)snprintf(c->leader, sizeof c->leader, "n1");
    for (int i = 0; i < FAKE_NODES; i++)
        (void)snprintf(c->node_states[i], sizeof c->node_states[i], "online");
    fake_cluster_start(c);
    return c;
}

void fake_cluster_start(struct fake_cluster *c)
{
    c->stopping = false;
    c->api = fake_api_new(c->socket_path, fake_handle, c);
}

void fake_cluster_stop(struct fake_cluster *c)
{
    fake_lock(c);
    c->stopping = true;
    fake_unlock(c);
    fake_api_free(c->api);
    c->api = NULL;
}

void fake_cluster_free(struct fake_cluster *c)
{
    if (c->api != NULL)
        fake_cluster_stop(c);
    json_decref(c->jobs);
    json_decref(c->keys);
    free(c->last_submit);
    free(c->last_change);
    free(c->last_sql);
    free(c->socket_path);
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

struct fake_api *fake_cluster_api(struct fake_cluster *c)
{
    return c->api;
}

void fake_cluster_set_leader(struct fake_cluster *c, const char *name)
{
    fake_lock(c);
    (void)snprintf(c->leader, sizeof c->leader, "%s", name != NULL ? name : "");
    fake_unlock(c);
}

void fake_cluster_finish(struct fake_cluster *c)
{
    fake_lock(c);
    c->finished = true;
    size_t i;
    json_t *job;
    json_array_foreach(c->jobs, i, job)
    {
        if (strcmp(fake_text(job, "word"), "slow") == 0)
            fake_set_state(job, "completed");
    }
    fake_unlock(c);
}

char *fake_cluster_last_submit(struct fake_cluster *c)
{
    fake_lock(c);
    char *text = mem_strdup(c->last_submit);
    fake_unlock(c);
    return text;
}

char *fake_cluster_last_change(struct fake_cluster *c)
{
    fake_lock(c);
    char *text = mem_strdup(c->last_change);
    fake_unlock(c);
    return text;
}

char *fake_cluster_last_sql(struct fake_cluster *c)
{
    fake_lock(c);
    char *text = mem_strdup(c->last_sql);
    fake_unlock(c);
    return text;
}

void fake_cluster_break_again(struct fake_cluster *c)
{
    fake_lock(c);
    c->n_breaks = 0;
    fake_unlock(c);
}

void fake_cluster_wait_closed(struct fake_cluster *c, unsigned n)
{
    fake_lock(c);
    while (c->n_closed < n)
        (void)pthread_cond_wait(&c->changed, &c->lock);
    fake_unlock(c);
}
