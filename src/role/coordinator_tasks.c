/* GET /api/jobs/ID/tasks: elements with their attempts, and those without any. On the reader's
 * thread as many rows as the answer holds are read, on the loop they are put in order with the
 * elements that have no attempt. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/coordinator_read.h"
#include "role/job_spec.h"

/* ---- on the reader's thread ------------------------------------------------------------------ */

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
int coordinator_read_tasks(sqlite3 *db, struct coordinator_read *read)
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

/* ---- the answer ------------------------------------------------------------------------------ */

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

json_t *coordinator_tasks_json(const struct coordinator_read *read)
{
    json_t *rows = json_array();
    if (read->task_state == 0)
        coordinator_add_all_tasks(read, rows);
    else
        coordinator_add_tasks_of_state(read, rows);
    return rows;
}

static void coordinator_answer_tasks(struct coordinator_read *read)
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

static void coordinator_finish_tasks(struct coordinator_read *read)
{
    if (read->usage)
        coordinator_usage_fetch(read, coordinator_answer_tasks);
    else
        coordinator_answer_tasks(read);
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
    if (err == 0)
        err = http_request_query_bool(req, "usage", &read->usage, e);
    if (element != UINT64_MAX)
        read->element = (int64_t)element;
    if (err < 0 || state == NULL)
        return err;
    read->task_state = strcmp(state, "pending") == 0 ? -1 : attempt_state_parse(state);
    if (read->task_state < -1)
        return error_set(e, ERR_INVALID, "there is no task state \"%.32s\"", state);
    return 0;
}

void coordinator_tasks(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    enum state_consistency consistency;
    struct error e;
    if (!coordinator_read_serves(c, req, coordinator_tasks, &consistency))
        return;
    struct coordinator_read *read = coordinator_read_new(c, req, coordinator_finish_tasks);
    coordinator_read_name(read, http_request_param(req, "job"));
    read->tasks = true;
    if (coordinator_tasks_filter(read, &e) < 0)
        coordinator_read_refuse(read, &e);
    else
        coordinator_read_start(read, consistency);
}
