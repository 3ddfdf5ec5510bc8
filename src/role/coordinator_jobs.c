/* /api/jobs: jobs as operators see and steer them. Reads run on the state's readers; what changes
 * goes through the scheduler. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "role/api_json.h"
#include "role/coordinator_internal.h"
#include "role/job_spec.h"
#include "run/state_query.h"

enum {
    COORDINATOR_LIST_MAX = 10000,
    COORDINATOR_LIST_DEFAULT = 100,
    COORDINATOR_WAIT_MS_MAX = 50000,

};

/* A request that reads: what it asks, what was found, what is done with it. */
struct coordinator_read {
    struct coordinator *coordinator;
    unsigned activation;
    struct http_request *req;
    void (*finish)(struct coordinator_read *read);
    char *job; /* how the request names it */
    char *user;

    struct state_query_job_filter filter;
    char *filter_user, *filter_name;
    bool tasks, all_attempts, output;
    int64_t element; /* -1: all */
    uint64_t after, limit, attempt;
    int task_state; /* enum attempt_state, 0 any, -1 pending */
    /* Elements without an attempt, where only those of one state are wanted. */
    const struct rangeset *unstarted_of; /* that may be among them; NULL: none are */
    uint32_t *unstarted;
    size_t unstarted_n, unstarted_cap;
    uint32_t unstarted_at; /* elements before it were looked at */
    uint32_t last;         /* element that was looked at */

    Wire__JobRow *row;
    Wire__JobRow **rows;
    size_t rows_n, rows_cap;
    Wire__TaskRow **found;
    size_t found_n, found_cap;
    struct rangeset elements;
    struct rangeset cancelled; /* of the elements */
    struct rangeset waiting;   /* the others, unless the job has ended */
    char *elements_text;       /* of a cancel */
    char *reason;
    struct uuid id;
};

static struct coordinator_read *coordinator_read_new(struct coordinator *c,
                                                     struct http_request *req,
                                                     void (*finish)(struct coordinator_read *read))
{
    struct coordinator_read *read = mem_zalloc(sizeof *read);
    read->coordinator = c;
    read->activation = c->activation;
    read->req = req;
    read->finish = finish;
    read->element = -1;
    read->user = mem_strdup(http_request_user(req));
    rangeset_init(&read->elements);
    rangeset_init(&read->cancelled);
    rangeset_init(&read->waiting);
    return read;
}

static void coordinator_read_free(struct coordinator_read *read)
{
    if (read->row != NULL)
        wire__job_row__free_unpacked(read->row, NULL);
    for (size_t i = 0; i < read->rows_n; i++)
        wire__job_row__free_unpacked(read->rows[i], NULL);
    for (size_t i = 0; i < read->found_n; i++)
        wire__task_row__free_unpacked(read->found[i], NULL);
    rangeset_done(&read->elements);
    rangeset_done(&read->cancelled);
    rangeset_done(&read->waiting);
    free(read->rows);
    free(read->found);
    free(read->unstarted);
    free(read->job);
    free(read->user);
    free(read->filter_user);
    free(read->filter_name);
    free(read->elements_text);
    free(read->reason);
    free(read);
}

static void coordinator_read_fail(struct coordinator_read *read, int code)
{
    struct error e;
    const char *hint = NULL;
    if (code == ERR_NOT_FOUND && read->job != NULL) {
        (void)error_set(&e, code, "there is no job %.64s", read->job);
        hint = "job list shows the jobs";
    } else if (code == ERR_CONFLICT) {
        (void)error_set(&e, code, "several jobs begin with %.64s", read->job);
        hint = "give more characters of the id";
    } else if (code == ERR_INVALID) {
        (void)error_set(&e, code, "\"%.64s\" is no job id", read->job);
        hint = "a job is named by its id, 4 or more characters of it, or last";
    } else {
        (void)error_set(&e, code == ERR_NOT_LEADER ? ERR_NO_LEADER : code, "%s", err_text(code));
    }
    http_reply_failure(read->req, &e, hint);
    coordinator_read_free(read);
}

/* ---- on the reader's thread ------------------------------------------------------------------ */

static int coordinator_read_take_row(void *arg, Wire__JobRow *row)
{
    struct coordinator_read *read = arg;
    MEM_GROW(read->rows, read->rows_cap, read->rows_n + 1);
    read->rows[read->rows_n++] = row;
    return 0;
}

/* Notes elements before `end` that have no attempt; true when there are enough of them. */
static bool coordinator_read_add_unstarted(struct coordinator_read *read, uint64_t end)
{
    uint32_t index;
    while (read->unstarted_n < read->limit &&
           rangeset_next(read->unstarted_of, read->unstarted_at, &index) && index < end) {
        MEM_GROW(read->unstarted, read->unstarted_cap, read->unstarted_n + 1);
        read->unstarted[read->unstarted_n++] = index;
        read->unstarted_at = index + 1;
    }
    return read->unstarted_n == read->limit;
}

static void coordinator_read_drop_last(struct coordinator_read *read)
{
    wire__task_row__free_unpacked(read->found[--read->found_n], NULL);
}

/* All attempts at the last element that was found are known. Whether the answer is full. */
static bool coordinator_read_settle(struct coordinator_read *read)
{
    if (read->found_n > 0 && read->task_state > 0 &&
        (int)read->found[read->found_n - 1]->state != read->task_state)
        coordinator_read_drop_last(read);
    return read->task_state > 0 && read->found_n >= read->limit;
}

/* Keeps a row that may be in the answer. 1: the answer is full. */
static int coordinator_read_keep_task(struct coordinator_read *read, Wire__TaskRow *row)
{
    size_t n = read->found_n;
    /* Of an element the attempt that completed it counts, else the latest. */
    if (!read->all_attempts && n > 0 && read->found[n - 1]->index == row->index) {
        bool decided = read->found[n - 1]->state == WIRE__ATTEMPT_STATE__ATTEMPT_STATE_COMPLETED;
        wire__task_row__free_unpacked(decided ? row : read->found[n - 1], NULL);
        read->found[n - 1] = decided ? read->found[n - 1] : row;
        return 0;
    }
    if (coordinator_read_settle(read)) {
        wire__task_row__free_unpacked(row, NULL);
        return 1;
    }
    MEM_GROW(read->found, read->found_cap, read->found_n + 1);
    read->found[read->found_n++] = row;
    return 0;
}

static int coordinator_read_take_task(void *arg, Wire__TaskRow *row)
{
    struct coordinator_read *read = arg;
    bool full = false;
    if (read->unstarted_of != NULL) {
        full = coordinator_read_add_unstarted(read, row->index);
        read->unstarted_at = row->index < UINT32_MAX ? row->index + 1 : UINT32_MAX;
    }
    if (read->task_state < 0 || full) {
        wire__task_row__free_unpacked(row, NULL);
        return full;
    }
    if (read->attempt == 0 || row->attempt == read->attempt)
        return coordinator_read_keep_task(read, row);
    wire__task_row__free_unpacked(row, NULL);
    return 0;
}

/* Those of `set` that the request is about. */
static void coordinator_read_narrow(const struct coordinator_read *read, const struct rangeset *set,
                                    struct rangeset *out)
{
    if (read->element < 0) {
        rangeset_copy(out, set);
        if (read->after != UINT64_MAX)
            rangeset_remove(out, 0, (uint32_t)read->after);
    } else if (rangeset_contains(set, (uint32_t)read->element)) {
        rangeset_add(out, (uint32_t)read->element, (uint32_t)read->element);
    }
}

/* Which elements the request is about, and which of them are cancelled if they have no attempt. */
static int coordinator_read_elements(struct coordinator_read *read)
{
    struct error e;
    struct rangeset all, cancelled;
    const Wire__ElementSet *set = read->row->cancelled_set;
    rangeset_init(&all);
    rangeset_init(&cancelled);
    int err = job_spec_elements(read->row->spec, &all, &e);
    if (err == 0 && set != NULL && set->text[0] != '\0')
        err = rangeset_parse(&cancelled, set->text, SCHED_INDEX_MAX, SCHED_ELEMENTS_MAX);
    if (err == 0) {
        coordinator_read_narrow(read, &all, &read->elements);
        coordinator_read_narrow(read, &cancelled, &read->cancelled);
        if (!job_state_is_ended((enum job_state)read->row->state))
            rangeset_copy(&read->waiting, &read->elements);
        for (size_t i = 0; i < cancelled.n; i++)
            rangeset_remove(&read->waiting, cancelled.ranges[i].first, cancelled.ranges[i].last);
    }
    if (read->task_state < 0)
        read->unstarted_of = &read->waiting;
    else if (read->task_state == ATTEMPT_STATE_CANCELLED && read->attempt == 0)
        read->unstarted_of = &read->cancelled;
    rangeset_done(&cancelled);
    rangeset_done(&all);
    return err;
}

/* Attempts from the first wanted element on, no more than the answer holds. */
static int coordinator_read_tasks(sqlite3 *db, struct coordinator_read *read)
{
    int err = coordinator_read_elements(read);
    uint32_t first = 0;
    if (err < 0 || !rangeset_next(&read->elements, 0, &first))
        return err;
    uint32_t last = read->elements.ranges[read->elements.n - 1].last;
    if (read->task_state == 0) {
        uint32_t at = first;
        for (uint64_t i = 0; i < read->limit; i++) {
            last = at;
            if (at == UINT32_MAX || !rangeset_next(&read->elements, at + 1, &at))
                break;
        }
    }
    read->last = last;
    err = state_query_tasks(db, read->row->seq, read->output, first, last,
                            coordinator_read_take_task, read);
    if (err == 0 && read->unstarted_of != NULL)
        (void)coordinator_read_add_unstarted(read, (uint64_t)last + 1);
    if (err >= 0)
        (void)coordinator_read_settle(read);
    return err > 0 ? 0 : err;
}

static int coordinator_read_query(sqlite3 *db, void *arg)
{
    struct coordinator_read *read = arg;
    if (read->job == NULL)
        return state_query_jobs(db, &read->filter, coordinator_read_take_row, read);
    int err = state_query_find_job(db, read->job, read->user, &read->id);
    if (err == 0)
        err = state_query_job(db, &read->id, &read->row);
    return err == 0 && read->tasks ? coordinator_read_tasks(db, read) : err;
}

static void coordinator_read_on_answer(void *arg, int code)
{
    struct coordinator_read *read = arg;
    if (code < 0)
        coordinator_read_fail(read, code);
    else
        read->finish(read);
}

/* ---- beginning a read ------------------------------------------------------------------------ */

static bool coordinator_consistency(struct http_request *req, enum state_consistency *out)
{
    static const char *const names[] = {
        [STATE_LINEARIZABLE] = "linearizable", [STATE_WEAK] = "weak", [STATE_STALE] = "stale"};
    const char *text = http_request_query(req, "consistency");
    *out = STATE_LINEARIZABLE;
    for (unsigned i = 0; text != NULL && i < MEM_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum state_consistency)i;
            return true;
        }
    if (text == NULL)
        return true;
    struct error e;
    (void)error_set(&e, ERR_INVALID, "consistency must be linearizable, weak or stale");
    http_reply_failure(req, &e, NULL);
    return false;
}

/* Whether this node answers a read: the leader all, any replica a stale one. */
static bool coordinator_serves_read(struct coordinator *c, struct http_request *req,
                                    http_request_fn handler, enum state_consistency *consistency)
{
    if (!coordinator_consistency(req, consistency))
        return false;
    if (*consistency == STATE_STALE && node_replica(c->node) != NULL)
        return true;
    if (*consistency == STATE_STALE)
        *consistency = STATE_WEAK;
    return coordinator_serves(c, req, handler);
}

static void coordinator_read_start(struct coordinator_read *read,
                                   enum state_consistency consistency)
{
    state_read(node_replica(read->coordinator->node)->state, consistency, coordinator_read_query,
               coordinator_read_on_answer, read);
}

static void coordinator_bad_query(struct coordinator_read *read, const struct error *e)
{
    http_reply_failure(read->req, e, NULL);
    coordinator_read_free(read);
}

/* "UUID_7" names element 7. */
static void coordinator_read_name(struct coordinator_read *read, const char *name)
{
    const char *mark = strrchr(name, '_');
    uint64_t index;
    if (mark != NULL && str_parse_u64(mark + 1, 0, SCHED_INDEX_MAX, &index) == 0) {
        read->element = (int64_t)index;
        read->job = mem_strndup(name, (size_t)(mark - name));
    } else {
        read->job = mem_strdup(name);
    }
}

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

static void coordinator_finish_show(struct coordinator_read *read)
{
    http_reply_json(read->req, 200, coordinator_job_json(read->coordinator, read->row));
    coordinator_read_free(read);
}

static void coordinator_show(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    enum state_consistency consistency;
    if (!coordinator_serves_read(c, req, coordinator_show, &consistency))
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
    if (!coordinator_serves_read(c, req, coordinator_list, &consistency))
        return;
    struct coordinator_read *read = coordinator_read_new(c, req, coordinator_finish_list);
    if (coordinator_list_filter(read, &e) < 0)
        coordinator_bad_query(read, &e);
    else
        coordinator_read_start(read, consistency);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static void coordinator_add_task(const struct coordinator_read *read, json_t *rows,
                                 const Wire__TaskRow *row)
{
    json_array_append_new(
        rows, api_json_task(read->coordinator->node, read->row->id.data, row, read->output));
}

static void coordinator_add_unstarted(const struct coordinator_read *read, json_t *rows,
                                      uint32_t index)
{
    bool is_cancelled = rangeset_contains(&read->cancelled, index);
    if (is_cancelled || rangeset_contains(&read->waiting, index))
        json_array_append_new(
            rows, api_json_unstarted(read->row->id.data, index, is_cancelled, read->row->reason));
}

/* Elements in order, each with its attempts, or pending or cancelled without one. */
static void coordinator_add_all_tasks(const struct coordinator_read *read, json_t *rows)
{
    size_t at = 0;
    uint32_t index = 0;
    bool more = rangeset_next(&read->elements, 0, &index);
    while (more && index <= read->last && json_array_size(rows) < read->limit) {
        bool any = false;
        for (; at < read->found_n && read->found[at]->index <= index; at++) {
            any = any || read->found[at]->index == index;
            if (read->found[at]->index == index)
                coordinator_add_task(read, rows, read->found[at]);
        }
        if (!any && read->attempt == 0)
            coordinator_add_unstarted(read, rows, index);
        more = index < UINT32_MAX && rangeset_next(&read->elements, index + 1, &index);
    }
}

/* Elements of one state, those without an attempt among them. */
static void coordinator_add_tasks_of_state(const struct coordinator_read *read, json_t *rows)
{
    size_t f = 0;
    size_t u = read->attempt == 0 ? 0 : read->unstarted_n;
    while (json_array_size(rows) < read->limit && (f < read->found_n || u < read->unstarted_n)) {
        bool is_found = u == read->unstarted_n ||
                        (f < read->found_n && read->found[f]->index < read->unstarted[u]);
        if (is_found)
            coordinator_add_task(read, rows, read->found[f++]);
        else
            coordinator_add_unstarted(read, rows, read->unstarted[u++]);
    }
}

static json_t *coordinator_tasks_json(const struct coordinator_read *read)
{
    json_t *rows = json_array();
    if (read->task_state == 0)
        coordinator_add_all_tasks(read, rows);
    else
        coordinator_add_tasks_of_state(read, rows);
    return rows;
}

static void coordinator_finish_tasks(struct coordinator_read *read)
{
    if (read->element >= 0 && rangeset_is_empty(&read->elements)) {
        struct error e;
        (void)error_set(&e, ERR_NOT_FOUND, "the job has no element %lld", (long long)read->element);
        http_reply_failure(read->req, &e, NULL);
    } else {
        http_reply_json(read->req, 200, coordinator_tasks_json(read));
    }
    coordinator_read_free(read);
}

static int coordinator_tasks_filter(struct coordinator_read *read, struct error *e)
{
    struct http_request *req = read->req;
    const char *state = http_request_query(req, "state");
    const char *attempts = http_request_query(req, "attempts");
    uint64_t element = UINT64_MAX;
    read->limit = COORDINATOR_LIST_DEFAULT;
    read->after = UINT64_MAX;
    read->all_attempts = attempts != NULL && strcmp(attempts, "all") == 0;
    int err = http_request_query_u64(req, "limit", 1, COORDINATOR_LIST_MAX, &read->limit, e);
    if (err == 0)
        err = http_request_query_u64(req, "after", 0, SCHED_INDEX_MAX, &read->after, e);
    if (err == 0)
        err = http_request_query_u64(req, "element", 0, SCHED_INDEX_MAX, &element, e);
    if (err == 0)
        err = http_request_query_u64(req, "attempt", 1, UINT32_MAX, &read->attempt, e);
    if (err == 0)
        err = http_request_query_bool(req, "output", &read->output, e);
    if (element != UINT64_MAX)
        read->element = (int64_t)element;
    if (err < 0 || state == NULL)
        return err;
    read->task_state = strcmp(state, "pending") == 0 ? -1 : attempt_state_parse(state);
    if (read->task_state < -1)
        return error_set(e, ERR_INVALID, "there is no task state \"%.32s\"", state);
    return 0;
}

static void coordinator_tasks(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    enum state_consistency consistency;
    struct error e;
    if (!coordinator_serves_read(c, req, coordinator_tasks, &consistency))
        return;
    struct coordinator_read *read = coordinator_read_new(c, req, coordinator_finish_tasks);
    coordinator_read_name(read, http_request_param(req, "job"));
    read->tasks = true;
    if (coordinator_tasks_filter(read, &e) < 0)
        coordinator_bad_query(read, &e);
    else
        coordinator_read_start(read, consistency);
}

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
    if (!coordinator_serves_read(c, req, coordinator_status, &consistency))
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

/* ---- cancel and retry ------------------------------------------------------------------------ */

/* A change is durable: shows the job as it is then. */
static void coordinator_on_changed(void *arg, int code)
{
    struct coordinator_read *read = arg;
    if (code < 0) {
        coordinator_read_fail(read, code);
        return;
    }
    wire__job_row__free_unpacked(read->row, NULL);
    read->row = NULL;
    read->tasks = false;
    free(read->job);
    char id[UUID_TEXT_MAX];
    read->job = mem_strdup(uuid_format(&read->id, id));
    read->finish = coordinator_finish_show;
    coordinator_read_start(read, STATE_WEAK);
}

static void coordinator_change_failed(struct coordinator_read *read, int code)
{
    struct error e;
    const char *text = read->coordinator->update.reply.text;
    (void)error_set(&e, code, "%s", text[0] != '\0' ? text : err_text(code));
    http_reply_failure(read->req, &e, NULL);
    coordinator_read_free(read);
}

static bool coordinator_lead_lost(struct coordinator_read *read)
{
    if (read->coordinator->active && read->activation == read->coordinator->activation)
        return false;
    coordinator_read_fail(read, ERR_NOT_LEADER);
    return true;
}

static void coordinator_finish_cancel(struct coordinator_read *read)
{
    struct coordinator *c = read->coordinator;
    struct rangeset elements;
    if (coordinator_lead_lost(read))
        return;
    rangeset_init(&elements);
    struct sched_event event = {.type = SCHED_EVENT_JOB_CANCEL,
                                .job_id = read->id,
                                .reason = read->reason != NULL ? read->reason : ""};
    int code = 0;
    if (read->elements_text != NULL) {
        code = rangeset_parse(&elements, read->elements_text, SCHED_INDEX_MAX, SCHED_ELEMENTS_MAX);
        event.elements = &elements;
    } else if (read->element >= 0) {
        rangeset_add(&elements, (uint32_t)read->element, (uint32_t)read->element);
        event.elements = &elements;
    }
    if (code == 0)
        code = coordinator_step(c, &event);
    rangeset_done(&elements);
    if (code == 0 || code == ERR_NOT_FOUND) { /* it has ended: nothing to cancel */
        char id[UUID_TEXT_MAX];
        if (code == 0)
            changes_audit(node_replica(c->node)->changes, read->user, "job.cancel",
                          uuid_format(&read->id, id), event.reason);
        coordinator_when_durable(c, coordinator_on_changed, read);
    } else {
        coordinator_change_failed(read, code);
    }
}

static void coordinator_cancel(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    if (!coordinator_serves(c, req, coordinator_cancel))
        return;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    struct coordinator_read *read = coordinator_read_new(c, req, coordinator_finish_cancel);
    coordinator_read_name(read, http_request_param(req, "job"));
    read->elements_text = mem_strdup(json_string_value(json_object_get(body, "elements")));
    read->reason = mem_strdup(json_string_value(json_object_get(body, "reason")));
    json_decref(body);
    coordinator_read_start(read, STATE_LINEARIZABLE);
}

/* The job is in memory, or was brought back: `code` says how that went. */
static void coordinator_retry_now(struct coordinator *c, void *arg, int code)
{
    struct coordinator_read *read = arg;
    struct sched_event event = {.type = SCHED_EVENT_JOB_RETRY, .job_id = read->id};
    if (code == ERR_NOT_LEADER) {
        coordinator_read_fail(read, code);
        return;
    }
    if (code == 0 || code == ERR_EXISTS) /* somebody else brought it back meanwhile */
        code = coordinator_step(c, &event);
    if (code < 0) {
        coordinator_change_failed(read, code);
        return;
    }
    char id[UUID_TEXT_MAX];
    changes_audit(node_replica(c->node)->changes, read->user, "job.retry",
                  uuid_format(&read->id, id), "");
    coordinator_when_durable(c, coordinator_on_changed, read);
}

static void coordinator_finish_retry(struct coordinator_read *read)
{
    struct coordinator *c = read->coordinator;
    struct sched_job_view view;
    if (coordinator_lead_lost(read))
        return;
    Wire__JobRow *row = read->row;
    if (sched_job_view(c->sched, &read->id, &view)) {
        coordinator_retry_now(c, read, 0);
    } else if (coordinator_job_get(c, row->seq) != NULL) { /* somebody else brings it back */
        coordinator_change_failed(read, ERR_BUSY);
    } else {
        read->row = NULL;
        coordinator_restore_job(c, row, coordinator_retry_now, read);
    }
}

static void coordinator_retry(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    if (!coordinator_serves(c, req, coordinator_retry))
        return;
    struct coordinator_read *read = coordinator_read_new(c, req, coordinator_finish_retry);
    coordinator_read_name(read, http_request_param(req, "job"));
    coordinator_read_start(read, STATE_LINEARIZABLE);
}

/* ---- wait ------------------------------------------------------------------------------------ */

struct coordinator_wait {
    struct coordinator *coordinator;
    struct coordinator_read *read;
    uint64_t seq;
    struct loop_timer timer;
    TAILQ_ENTRY(coordinator_wait) link;
};

static void coordinator_wait_end(struct coordinator_wait *wait)
{
    TAILQ_REMOVE(&wait->coordinator->waits, wait, link);
    loop_timer_stop(&wait->timer);
    http_request_on_close(wait->read->req, NULL, NULL);
    free(wait);
}

static void coordinator_wait_on_timer(void *arg)
{
    struct coordinator_wait *wait = arg;
    struct coordinator_read *read = wait->read;
    struct coordinator *c = wait->coordinator;
    struct sched_job_view view = {.state = JOB_STATE_RUNNING};
    struct error e;
    (void)sched_job_view(c->sched, &read->id, &view);
    coordinator_wait_end(wait);
    (void)error_set(&e, ERR_TIMEOUT, "the job is %s: %u of %u elements have ended",
                    job_state_name(view.state), view.completed + view.failed + view.cancelled,
                    view.total);
    http_reply_failure(read->req, &e, "ask again");
    coordinator_read_free(read);
}

static void coordinator_wait_on_close(struct http_request *req, void *arg)
{
    struct coordinator_wait *wait = arg;
    struct coordinator_read *read = wait->read;
    coordinator_wait_end(wait);
    http_reply(req, 499, NULL, NULL, 0);
    coordinator_read_free(read);
}

static void coordinator_finish_wait(struct coordinator_read *read)
{
    struct coordinator *c = read->coordinator;
    struct sched_job_view view;
    if (job_state_is_ended((enum job_state)read->row->state)) {
        coordinator_finish_show(read);
        return;
    }
    if (coordinator_lead_lost(read))
        return;
    if (!sched_job_view(c->sched, &read->id, &view)) { /* has ended since the read */
        coordinator_on_changed(read, 0);
        return;
    }
    struct coordinator_wait *wait = mem_zalloc(sizeof *wait);
    wait->coordinator = c;
    wait->read = read;
    wait->seq = read->row->seq;
    loop_timer_init(&wait->timer, node_loop(c->node), coordinator_wait_on_timer, wait);
    loop_timer_start(&wait->timer, (int64_t)read->limit);
    TAILQ_INSERT_TAIL(&c->waits, wait, link);
    http_request_on_close(read->req, coordinator_wait_on_close, wait);
}

void coordinator_waits_wake(struct coordinator *c, uint64_t seq)
{
    struct coordinator_wait *wait = TAILQ_FIRST(&c->waits);
    while (wait != NULL) {
        struct coordinator_wait *next = TAILQ_NEXT(wait, link);
        if (wait->seq == seq) {
            struct coordinator_read *read = wait->read;
            coordinator_wait_end(wait);
            coordinator_on_changed(read, 0);
        }
        wait = next;
    }
}

void coordinator_waits_clear(struct coordinator *c)
{
    struct coordinator_wait *wait;
    while ((wait = TAILQ_FIRST(&c->waits)) != NULL) {
        struct coordinator_read *read = wait->read;
        coordinator_wait_end(wait);
        coordinator_read_fail(read, ERR_NOT_LEADER);
    }
}

static void coordinator_wait_job(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    struct error e;
    if (!coordinator_serves(c, req, coordinator_wait_job))
        return;
    struct coordinator_read *read = coordinator_read_new(c, req, coordinator_finish_wait);
    coordinator_read_name(read, http_request_param(req, "job"));
    read->limit = COORDINATOR_WAIT_MS_MAX;
    if (http_request_query_u64(req, "timeout_ms", 0, UINT64_MAX, &read->limit, &e) < 0) {
        coordinator_bad_query(read, &e);
        return;
    }
    if (read->limit > COORDINATOR_WAIT_MS_MAX)
        read->limit = COORDINATOR_WAIT_MS_MAX;
    coordinator_read_start(read, STATE_WEAK);
}

const struct http_route coordinator_job_routes[] = {
    {.method = "POST", .path = "/api/jobs", .handler = coordinator_create},
    {.method = "GET", .path = "/api/jobs", .handler = coordinator_list},
    {.method = "GET", .path = "/api/jobs/create", .handler = coordinator_list},
    {.method = "GET", .path = "/api/jobs/status", .handler = coordinator_status},
    {.method = "GET", .path = "/api/jobs/{job}", .handler = coordinator_show},
    {.method = "GET", .path = "/api/jobs/{job}/tasks", .handler = coordinator_tasks},
    {.method = "POST", .path = "/api/jobs/{job}/cancel", .handler = coordinator_cancel},
    {.method = "POST", .path = "/api/jobs/{job}/retry", .handler = coordinator_retry},
    {.method = "GET", .path = "/api/jobs/{job}/wait", .handler = coordinator_wait_job},
};
const size_t coordinator_job_routes_n = MEM_COUNT(coordinator_job_routes);
