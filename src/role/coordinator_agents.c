/* The HTTP surface for agents in any language that poll: /api/workers/... and the job routes that
 * they use. An agent is a node that is never pushed to; its id is the UUID of its row. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "role/api_json.h"
#include "role/coordinator_internal.h"
#include "role/exec_direct.h"
#include "role/job_spec.h"
#include "run/state_query.h"

enum {
    COORDINATOR_AGENT_HEARTBEAT_MS = 10000,
    COORDINATOR_AGENT_POLL_MS = 5000,
    COORDINATOR_AGENT_SLOTS_MAX = 4096,
    COORDINATOR_RESULT_BYTES_MAX = 4 << 20, /* body of a result */
};

/* A request of an agent that waits for the log. */
struct coordinator_agent {
    struct coordinator *coordinator;
    unsigned activation;
    struct http_request *req;
    uint64_t node;
    bool known;
    uint64_t seq;
    struct task_key key;
    bool duplicate;
    int looked_up; /* what the durable state says of a result's element */
    struct error error;
};

static struct coordinator_agent *coordinator_agent_new(struct coordinator *c,
                                                       struct http_request *req, uint64_t node)
{
    struct coordinator_agent *agent = mem_zalloc(sizeof *agent);
    agent->coordinator = c;
    agent->activation = c->activation;
    agent->req = req;
    agent->node = node;
    return agent;
}

static bool coordinator_agent_current(const struct coordinator_agent *agent)
{
    return agent->coordinator->active && agent->activation == agent->coordinator->activation;
}

static void coordinator_agent_fail(struct coordinator_agent *agent, int code)
{
    struct error e;
    (void)error_set(&e, code == ERR_NOT_LEADER ? ERR_NO_LEADER : code, "%s", err_text(code));
    http_reply_failure(agent->req, &e, "repeat the request");
    free(agent);
}

static void coordinator_refuse(struct http_request *req, int code, const char *text,
                               const char *hint)
{
    struct error e;
    (void)error_set(&e, code, "%s", text);
    http_reply_failure(req, &e, hint);
}

/* The agent that `id` names, heard of now; NULL after answering. */
static const Wire__Node *coordinator_agent_named(struct coordinator *c, struct http_request *req,
                                                 const char *id)
{
    const Wire__Node *row =
        id != NULL ? members_find_uuid(node_replica(c->node)->members, id) : NULL;
    if (row != NULL && row->poll && !row->removed) {
        struct coordinator_node *known = coordinator_node_get(c, row->id);
        if (known != NULL)
            known->heard_wall_ms = loop_wall_ms(node_loop(c->node));
        coordinator_detect(c, DETECTOR_EVENT_HEARD, row->id);
        return row;
    }
    if (id == NULL)
        coordinator_refuse(req, ERR_INVALID, "\"worker_id\" is missing, or no text", NULL);
    else
        coordinator_refuse(req, ERR_NOT_FOUND, "there is no such worker",
                           "POST /api/workers/register gives a worker_id");
    return NULL;
}

static const char *coordinator_string(const json_t *body, const char *key)
{
    return json_string_value(json_object_get(body, key));
}

/* ---- register -------------------------------------------------------------------------------- */

static void coordinator_on_registered(void *arg, int code, const Wire__Node *row)
{
    struct coordinator_agent *agent = arg;
    struct coordinator *c = agent->coordinator;
    if (row == NULL || !coordinator_agent_current(agent)) {
        coordinator_agent_fail(agent, code < 0 ? code : ERR_NOT_LEADER);
        return;
    }
    coordinator_detect(c, DETECTOR_EVENT_HEARD, row->id);
    struct coordinator_node *known = coordinator_node_get(c, row->id);
    if (known != NULL)
        known->heard_wall_ms = loop_wall_ms(node_loop(c->node));
    http_reply_json(agent->req, agent->known ? 200 : 201,
                    json_pack("{s:s, s:s, s:i, s:i}", "worker_id", row->uuid, "name", row->name,
                              "heartbeat_interval_ms", COORDINATOR_AGENT_HEARTBEAT_MS,
                              "poll_interval_ms", COORDINATOR_AGENT_POLL_MS));
    free(agent);
}

static int coordinator_read_labels(const json_t *list, Wire__Node *row, struct error *e)
{
    size_t i;
    json_t *item;
    if (list == NULL)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > SCHED_LABELS_MAX)
        return error_set(e, ERR_INVALID, "\"labels\" must be a list of at most %d strings",
                         SCHED_LABELS_MAX);
    row->labels = mem_calloc(json_array_size(list), sizeof *row->labels);
    json_array_foreach(list, i, item)
    {
        const char *label = json_string_value(item);
        if (label == NULL || *label == '\0' || strlen(label) > 256 || strchr(label, '\n') != NULL)
            return error_set(e, ERR_INVALID, "\"labels\" must hold short strings");
        row->labels[row->n_labels++] = mem_strdup(label);
    }
    return 0;
}

/* Fills a new or known agent's row from the body. */
static int coordinator_read_agent(struct coordinator *c, const json_t *body, Wire__Node *row,
                                  struct error *e)
{
    const struct members *members = node_replica(c->node)->members;
    const char *name = coordinator_string(body, "name");
    json_t *slots = json_object_get(body, "slots");
    if (slots != NULL && (!json_is_integer(slots) || json_integer_value(slots) < 1 ||
                          json_integer_value(slots) > COORDINATOR_AGENT_SLOTS_MAX))
        return error_set(e, ERR_INVALID, "\"slots\" must be a whole number from 1 to %d",
                         COORDINATOR_AGENT_SLOTS_MAX);
    if (slots != NULL)
        row->slots = (uint32_t)json_integer_value(slots);
    if (row->slots == 0)
        row->slots = 1;
    if (name != NULL && !str_is_name(name, 63))
        return error_set(e, ERR_INVALID,
                         "\"name\" must be letters, digits, '-', '_', '.', at most 63");
    if (name != NULL) {
        const Wire__Node *named = members_find_name(members, name);
        if (named != NULL && strcmp(named->uuid, row->uuid) != 0)
            return error_set(e, ERR_EXISTS, "the name %s is taken", name);
        if (row->name != protobuf_c_empty_string)
            free(row->name);
        row->name = mem_strdup(name);
    } else if (row->name[0] == '\0') {
        row->name = mem_printf("agent-%.8s", row->uuid);
    }
    return row->n_labels > 0 ? 0 : coordinator_read_labels(json_object_get(body, "labels"), row, e);
}

static void coordinator_register(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    struct error e;
    if (!coordinator_serves(c, req, coordinator_register))
        return;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    const char *id = coordinator_string(body, "worker_id");
    struct uuid uuid;
    const struct members *members = node_replica(c->node)->members;
    const Wire__Node *old = id != NULL ? members_find_uuid(members, id) : NULL;
    if (id != NULL &&
        (uuid_parse(id, &uuid) < 0 || (old != NULL && (!old->poll || old->removed)))) {
        coordinator_refuse(req, ERR_INVALID, "\"worker_id\" is no id of a worker",
                           "leave it out to register a new worker");
        json_decref(body);
        return;
    }
    Wire__Node *row;
    if (old != NULL) {
        row = members_copy(old);
    } else {
        char text[UUID_TEXT_MAX];
        row = mem_alloc(sizeof *row);
        wire__node__init(row);
        if (id == NULL)
            uuid_generate(&uuid);
        row->uuid = mem_strdup(uuid_format(&uuid, text));
        row->poll = true;
        row->roles = WIRE__NODE_ROLE__NODE_ROLE_WORKER;
        row->joined_ms = (uint64_t)loop_wall_ms(node_loop(c->node));
    }
    if (coordinator_read_agent(c, body, row, &e) < 0) {
        http_reply_failure(req, &e, NULL);
    } else {
        struct coordinator_agent *agent = coordinator_agent_new(c, req, row->id);
        agent->known = old != NULL;
        members_put(node_replica(c->node)->members, row, coordinator_on_registered, agent);
    }
    wire__node__free_unpacked(row, NULL);
    json_decref(body);
}

static json_t *coordinator_agent_json(struct coordinator *c, const struct coordinator_node *known)
{
    struct sched_node_view view = {0};
    const char *state = coordinator_node_state(c, known->row);
    if (strcmp(state, "offline") != 0 && strcmp(state, "unknown") != 0)
        state = sched_node_view(c->sched, known->id, &view) && view.assigned + view.running > 0
                    ? "busy"
                    : "idle";
    else
        state = "offline";
    return json_pack("{s:s, s:s, s:s, s:o, s:I, s:o}", "worker_id", known->row->uuid, "name",
                     known->row->name, "state", state, "last_heartbeat",
                     api_json_time((uint64_t)known->heard_wall_ms), "jobs_done",
                     (json_int_t)known->jobs_done, "registered_at",
                     api_json_time(known->row->joined_ms));
}

static void coordinator_agents_list(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    if (!coordinator_serves(c, req, coordinator_agents_list))
        return;
    json_t *rows = json_array();
    struct coordinator_node *known;
    struct coordinator_node *next;
    HASH_ITER (hh, c->nodes, known, next)
        if (known->row->poll)
            json_array_append_new(rows, coordinator_agent_json(c, known));
    http_reply_json(req, 200, rows);
}

static void coordinator_agent_heartbeat(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    if (!coordinator_serves(c, req, coordinator_agent_heartbeat))
        return;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    if (coordinator_agent_named(c, req, coordinator_string(body, "worker_id")) != NULL)
        http_reply_json(req, 200,
                        json_pack("{s:s, s:o}", "status", "ok", "at",
                                  api_json_time((uint64_t)loop_wall_ms(node_loop(c->node)))));
    json_decref(body);
}

/* ---- get-job --------------------------------------------------------------------------------- */

static void coordinator_on_handed_out(void *arg, int code)
{
    struct coordinator_agent *agent = arg;
    struct coordinator *c = agent->coordinator;
    const struct coordinator_job *job =
        code == 0 && coordinator_agent_current(agent) ? coordinator_job_get(c, agent->seq) : NULL;
    if (job == NULL) {
        coordinator_agent_fail(agent, code < 0 ? code : ERR_NOT_LEADER);
        return;
    }
    char id[UUID_TEXT_MAX];
    (void)uuid_format(&agent->key.job, id);
    const Wire__JobSpec *spec = job->spec;
    http_reply_json(
        agent->req, 200,
        json_pack("{s:s, s:o, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:I}", "job_id", id, "task_id",
                  json_sprintf("%s_%u", id, agent->key.index), "index",
                  (json_int_t)agent->key.index, "attempt", (json_int_t)agent->key.attempt, "name",
                  spec->name, "commands", job_spec_strings(spec->commands, spec->n_commands),
                  "argv", job_spec_strings(spec->argv, spec->n_argv), "env", job_spec_env(spec),
                  "files", job_spec_files(spec), "time_limit_ms", (json_int_t)spec->time_limit_ms));
    free(agent);
}

static void coordinator_get_job(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    if (!coordinator_serves(c, req, coordinator_get_job))
        return;
    const Wire__Node *row = coordinator_agent_named(c, req, http_request_query(req, "worker_id"));
    if (row == NULL)
        return;
    struct sched_event event = {.type = SCHED_EVENT_POLL, .node = row->id};
    int code = coordinator_step(c, &event);
    const struct sched_reply *reply = &c->update.reply;
    if (code < 0) {
        coordinator_refuse(req, code, reply->text[0] ? reply->text : err_text(code), NULL);
    } else if (!reply->assigned) {
        http_reply(req, 204, NULL, NULL, 0);
    } else {
        struct coordinator_agent *agent = coordinator_agent_new(c, req, row->id);
        agent->seq = reply->seq;
        agent->key = reply->key;
        coordinator_when_durable(c, coordinator_on_handed_out, agent);
    }
}

/* ---- submit-result --------------------------------------------------------------------------- */

static void coordinator_on_result(void *arg, int code)
{
    struct coordinator_agent *agent = arg;
    if (code < 0) {
        coordinator_agent_fail(agent, code);
        return;
    }
    http_reply_json(agent->req, 200,
                    json_pack("{s:b, s:b}", "accepted", 1, "duplicate", agent->duplicate));
    free(agent);
}

static int coordinator_result_take_task(void *arg, Wire__TaskRow *row)
{
    struct coordinator_agent *agent = arg;
    bool decided = row->state == WIRE__ATTEMPT_STATE__ATTEMPT_STATE_COMPLETED ||
                   row->state == WIRE__ATTEMPT_STATE__ATTEMPT_STATE_FAILED;
    agent->looked_up = ERR_FORBIDDEN;
    if (row->node_id == agent->node && decided &&
        (agent->key.attempt == 0 || agent->key.attempt == row->attempt))
        agent->duplicate = true;
    wire__task_row__free_unpacked(row, NULL);
    return 0;
}

/* A result for a job that the scheduler has forgotten: it was this agent's and is known already, or
 * it never was. */
static int coordinator_result_query(sqlite3 *db, void *arg)
{
    struct coordinator_agent *agent = arg;
    Wire__JobRow *row = NULL;
    int err = state_query_job(db, &agent->key.job, &row);
    if (err < 0)
        return err;
    agent->looked_up = ERR_NOT_FOUND;
    err = state_query_tasks(db, row->seq, false, agent->key.index, agent->key.index,
                            coordinator_result_take_task, agent);
    wire__job_row__free_unpacked(row, NULL);
    return err;
}

static void coordinator_on_result_looked_up(void *arg, int code)
{
    struct coordinator_agent *agent = arg;
    if (code == 0 && agent->duplicate) {
        coordinator_on_result(agent, 0);
        return;
    }
    if (code == ERR_NOT_FOUND)
        coordinator_refuse(agent->req, code, "there is no such job", NULL);
    else if (code == 0 && agent->looked_up == ERR_NOT_FOUND)
        coordinator_refuse(agent->req, ERR_NOT_FOUND, "nobody was given this element", NULL);
    else if (code == 0)
        coordinator_refuse(agent->req, ERR_FORBIDDEN, "this element is not this worker's", NULL);
    else
        coordinator_refuse(agent->req, code == ERR_NOT_LEADER ? ERR_NO_LEADER : code,
                           err_text(code), NULL);
    free(agent);
}

static void coordinator_take_stream(const json_t *body, const char *key, ProtobufCBinaryData *out,
                                    uint64_t *bytes)
{
    const json_t *value = json_object_get(body, key);
    out->len = json_string_length(value);
    if (out->len > 0)
        out->data = mem_dup(json_string_value(value), out->len);
    *bytes = out->len;
}

/* The report that a result's body stands for; NULL with `e` set. */
static Wire__TaskReport *coordinator_read_result(struct coordinator *c, const json_t *body,
                                                 bool failure, struct error *e)
{
    const json_t *exit_code = json_object_get(body, "exit_code");
    const char *text = coordinator_string(body, "error");
    if (!failure && !json_is_integer(exit_code)) {
        (void)error_set(e, ERR_INVALID, "\"exit_code\" must be a whole number");
        return NULL;
    }
    if (failure && text == NULL) {
        (void)error_set(e, ERR_INVALID, "\"error\" must say what went wrong");
        return NULL;
    }
    Wire__TaskReport *report = mem_alloc(sizeof *report);
    wire__task_report__init(report);
    bool ok = !failure && json_integer_value(exit_code) == 0;
    report->phase =
        ok ? WIRE__TASK_PHASE__TASK_PHASE_COMPLETED : WIRE__TASK_PHASE__TASK_PHASE_FAILED;
    report->code = ok ? TASK_CODE_OK : failure ? TASK_CODE_SPAWN_FAILED : TASK_CODE_EXIT_NONZERO;
    report->exit_code = failure ? -1 : (int32_t)json_integer_value(exit_code);
    if (!ok)
        report->text = failure ? mem_strdup(text) : mem_printf("exit code %d", report->exit_code);
    report->ended_ms = (uint64_t)loop_wall_ms(node_loop(c->node));
    report->started_ms = report->ended_ms;
    coordinator_take_stream(body, "stdout", &report->stdout_inline, &report->stdout_bytes);
    coordinator_take_stream(body, "stderr", &report->stderr_inline, &report->stderr_bytes);
    return report;
}

static int coordinator_read_key(const json_t *body, struct task_key *key, struct error *e)
{
    const char *id = coordinator_string(body, "job_id");
    const json_t *index = json_object_get(body, "index");
    const json_t *attempt = json_object_get(body, "attempt");
    if (id == NULL || uuid_parse(id, &key->job) < 0)
        return error_set(e, ERR_INVALID, "\"job_id\" must be the id of a job");
    if ((index != NULL && (!json_is_integer(index) || json_integer_value(index) < 0 ||
                           json_integer_value(index) > SCHED_INDEX_MAX)) ||
        (attempt != NULL && (!json_is_integer(attempt) || json_integer_value(attempt) < 1 ||
                             json_integer_value(attempt) > UINT32_MAX)))
        return error_set(e, ERR_INVALID, "\"index\" and \"attempt\" must be whole numbers");
    key->index = (uint32_t)json_integer_value(index);
    key->attempt = (uint32_t)json_integer_value(attempt);
    return 0;
}

static void coordinator_give_result(struct coordinator *c, struct http_request *req,
                                    const Wire__Node *row, const json_t *body, bool failure)
{
    struct error e;
    struct coordinator_agent *agent = coordinator_agent_new(c, req, row->id);
    Wire__TaskReport *report = coordinator_read_result(c, body, failure, &e);
    if (report == NULL || coordinator_read_key(body, &agent->key, &e) < 0) {
        http_reply_failure(req, &e, NULL);
        if (report != NULL)
            wire__task_report__free_unpacked(report, NULL);
        free(agent);
        return;
    }
    struct sched_report read = {.key = agent->key,
                                .phase = report->phase,
                                .code = (enum task_code)report->code,
                                .text = report->text,
                                .wall_ms = -1,
                                .keep = report};
    struct sched_event event = {
        .type = SCHED_EVENT_RESULT, .node = row->id, .reports = &read, .reports_n = 1};
    coordinator_keep(c, &report->base);
    int code = coordinator_step(c, &event);
    if (code == ERR_NOT_FOUND) {
        state_read(node_replica(c->node)->state, STATE_WEAK, coordinator_result_query,
                   coordinator_on_result_looked_up, agent);
    } else if (code < 0) {
        coordinator_refuse(
            req, code, code == ERR_FORBIDDEN ? "this element is not this worker's" : err_text(code),
            NULL);
        free(agent);
    } else {
        struct coordinator_node *known = coordinator_node_get(c, row->id);
        agent->duplicate = c->update.reply.duplicate;
        known->jobs_done += !agent->duplicate;
        coordinator_when_durable(c, coordinator_on_result, agent);
    }
}

static void coordinator_submit_result_as(struct coordinator *c, struct http_request *req,
                                         bool failure)
{
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    const Wire__Node *row = coordinator_agent_named(c, req, coordinator_string(body, "worker_id"));
    if (row != NULL)
        coordinator_give_result(c, req, row, body, failure);
    json_decref(body);
}

static void coordinator_submit_result(struct http_request *req, void *arg)
{
    if (coordinator_serves(arg, req, coordinator_submit_result))
        coordinator_submit_result_as(arg, req, false);
}

static void coordinator_submit_failure(struct http_request *req, void *arg)
{
    if (coordinator_serves(arg, req, coordinator_submit_failure))
        coordinator_submit_result_as(arg, req, true);
}

/* ---- create ---------------------------------------------------------------------------------- */

static void coordinator_agent_create(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    struct error e;
    Wire__JobSpec *spec = NULL;
    if (!coordinator_serves(c, req, coordinator_agent_create))
        return;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    if (job_spec_parse(body, http_request_user(req), &spec, &e) < 0)
        http_reply_failure(req, &e, NULL);
    else
        coordinator_submit(c, req, spec, true, NULL);
    json_decref(body);
}

/* ---- execute --------------------------------------------------------------------------------- */

/* "direct" is this node's own affair, "distributed" a job like any other. */
static void coordinator_execute(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    struct error e;
    Wire__JobSpec *spec = NULL;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    const char *mode = coordinator_string(body, "mode");
    if (mode != NULL && strcmp(mode, "direct") == 0) {
        exec_direct(c->node, req, body);
    } else if (mode == NULL || strcmp(mode, "distributed") != 0) {
        coordinator_refuse(req, ERR_INVALID, "\"mode\" must be direct or distributed", NULL);
    } else if (coordinator_serves(c, req, coordinator_execute)) {
        (void)json_object_del(body, "mode");
        if (job_spec_parse(body, http_request_user(req), &spec, &e) < 0)
            http_reply_failure(req, &e, NULL);
        else
            coordinator_submit(c, req, spec, true, "distributed");
    }
    json_decref(body);
}

const struct http_route coordinator_agent_routes[] = {
    {.method = "POST", .path = "/api/workers/register", .handler = coordinator_register},
    {.method = "GET", .path = "/api/workers/register", .handler = coordinator_agents_list},
    {.method = "POST", .path = "/api/workers/heartbeat", .handler = coordinator_agent_heartbeat},
    {.method = "POST",
     .path = "/api/jobs/create",
     .flags = HTTP_ROUTE_KEYED,
     .handler = coordinator_agent_create},
    {.method = "POST",
     .path = "/api/execute",
     .flags = HTTP_ROUTE_KEYED,
     .handler = coordinator_execute},
    {.method = "GET", .path = "/api/jobs/get-job", .handler = coordinator_get_job},
    {.method = "POST",
     .path = "/api/jobs/submit-result",
     .body_max = COORDINATOR_RESULT_BYTES_MAX,
     .handler = coordinator_submit_result},
    {.method = "PUT",
     .path = "/api/jobs/submit-result",
     .body_max = COORDINATOR_RESULT_BYTES_MAX,
     .handler = coordinator_submit_failure},
};
const size_t coordinator_agent_routes_n = MEM_COUNT(coordinator_agent_routes);
