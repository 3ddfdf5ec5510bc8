/* /api/jobs: jobs as operators see them, and their submit. Reads run on the state's readers. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/coordinator_read.h"
#include "role/job_spec.h"

/* ---- one job --------------------------------------------------------------------------------- */

static json_t *coordinator_job_json(struct coordinator *c, const Wire__JobRow *row)
{
    char reason[SCHED_REASON_MAX];
    struct uuid id;
    memcpy(id.bytes, row->id.data, sizeof id.bytes);
    bool live = c->active && !job_state_is_ended((enum job_state)row->state) &&
                sched_reason(c->sched, &id, reason) && reason[0] != '\0';
    return api_json_job(row, live ? reason : NULL);
}

void coordinator_finish_show(struct coordinator_read *read)
{
    http_reply_json(read->req, 200, coordinator_job_json(read->coordinator, read->row));
    coordinator_read_free(read);
}

static void coordinator_show(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    enum state_consistency consistency;
    if (!coordinator_read_serves(c, req, coordinator_show, &consistency))
        return;
    struct coordinator_read *read = coordinator_read_new(c, req, coordinator_finish_show);
    coordinator_read_name(read, http_request_param(req, "job"));
    coordinator_read_start(read, consistency);
}

/* ---- list ------------------------------------------------------------------------------------ */

static void coordinator_finish_list(struct coordinator_read *read)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < read->rows_n; i++)
        json_array_append_new(rows, coordinator_job_json(read->coordinator, read->rows[i]));
    http_reply_json(read->req, 200, rows);
    coordinator_read_free(read);
}

static int coordinator_list_filter(struct coordinator_read *read, struct error *e)
{
    struct http_request *req = read->req;
    const char *state = http_request_query(req, "state");
    const char *user = http_request_query(req, "user");
    const char *name = http_request_query(req, "name");
    uint64_t limit = COORDINATOR_LIST_DEFAULT;
    if (state != NULL) {
        read->filter.state = job_state_parse(state);
        if (read->filter.state < 0)
            return error_set(e, ERR_INVALID,
                             "state must be pending, running, completed, failed or cancelled");
    }
    int err = http_request_query_u64(req, "limit", 1, COORDINATOR_LIST_MAX, &limit, e);
    if (err == 0)
        err = http_request_query_u64(req, "after", 0, UINT64_MAX, &read->filter.before, e);
    read->filter.limit = (unsigned)limit;
    read->filter.user = read->filter_user = mem_strdup(user);
    read->filter.name = read->filter_name = mem_strdup(name);
    return err;
}

static void coordinator_list(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    enum state_consistency consistency;
    struct error e;
    if (!coordinator_read_serves(c, req, coordinator_list, &consistency))
        return;
    struct coordinator_read *read = coordinator_read_new(c, req, coordinator_finish_list);
    if (coordinator_list_filter(read, &e) < 0)
        coordinator_read_refuse(read, &e);
    else
        coordinator_read_start(read, consistency);
}

/* ---- status ---------------------------------------------------------------------------------- */

/* GET /api/jobs/status?job_id=: the job, and results of its first elements. */
static void coordinator_finish_status(struct coordinator_read *read)
{
    json_t *job = coordinator_job_json(read->coordinator, read->row);
    json_object_set_new(job, "job_id", json_incref(json_object_get(job, "id")));
    json_object_set_new(job, "results", coordinator_tasks_json(read));
    http_reply_json(read->req, 200, job);
    coordinator_read_free(read);
}

static void coordinator_status(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    enum state_consistency consistency;
    if (!coordinator_read_serves(c, req, coordinator_status, &consistency))
        return;
    const char *id = http_request_query(req, "job_id");
    struct error e;
    if (id == NULL) {
        (void)error_set(&e, ERR_INVALID, "job_id is missing");
        http_reply_failure(req, &e, NULL);
        return;
    }
    struct coordinator_read *read = coordinator_read_new(c, req, coordinator_finish_status);
    coordinator_read_name(read, id);
    read->tasks = true;
    read->output = true;
    read->limit = COORDINATOR_LIST_DEFAULT;
    read->after = UINT64_MAX;
    coordinator_read_start(read, consistency);
}

/* ---- submit ---------------------------------------------------------------------------------- */

static void coordinator_create(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    struct error e;
    Wire__JobSpec *spec = NULL;
    if (!coordinator_serves(c, req, coordinator_create))
        return;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    if (job_spec_parse(body, http_request_user(req), &spec, &e) < 0)
        http_reply_failure(req, &e, NULL);
    else
        coordinator_submit(c, req, spec, false, NULL);
    json_decref(body);
}

const struct http_route coordinator_job_routes[] = {
    {.method = "POST",
     .path = "/api/jobs",
     .flags = HTTP_ROUTE_KEYED,
     .handler = coordinator_create},
    {.method = "GET", .path = "/api/jobs", .handler = coordinator_list},
    {.method = "GET", .path = "/api/jobs/create", .handler = coordinator_list},
    {.method = "GET", .path = "/api/jobs/status", .handler = coordinator_status},
    {.method = "GET", .path = "/api/jobs/{job}", .handler = coordinator_show},
    {.method = "GET", .path = "/api/jobs/{job}/tasks", .handler = coordinator_tasks},
    {.method = "GET", .path = "/api/tasks", .handler = coordinator_all_tasks},
    {.method = "POST", .path = "/api/jobs/{job}/cancel", .handler = coordinator_cancel},
    {.method = "POST", .path = "/api/jobs/{job}/retry", .handler = coordinator_retry},
    {.method = "GET", .path = "/api/jobs/{job}/wait", .handler = coordinator_wait_job},
};
const size_t coordinator_job_routes_n = MEM_COUNT(coordinator_job_routes);
