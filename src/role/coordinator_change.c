/* POST /api/jobs/ID/cancel and /retry: the job is found by a read, changed through the scheduler,
 * and shown as it is when that is durable. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/coordinator_read.h"

void coordinator_show_changed(void *arg, int code)
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

static void coordinator_finish_cancel(struct coordinator_read *read)
{
    struct coordinator *c = read->coordinator;
    struct rangeset elements;
    if (coordinator_read_is_late(read))
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
        coordinator_when_durable(c, coordinator_show_changed, read);
    } else {
        coordinator_change_failed(read, code);
    }
}

void coordinator_cancel(struct http_request *req, void *arg)
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
    coordinator_when_durable(c, coordinator_show_changed, read);
}

static void coordinator_finish_retry(struct coordinator_read *read)
{
    struct coordinator *c = read->coordinator;
    struct sched_job_view view;
    if (coordinator_read_is_late(read))
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

void coordinator_retry(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    if (!coordinator_serves(c, req, coordinator_retry))
        return;
    struct coordinator_read *read = coordinator_read_new(c, req, coordinator_finish_retry);
    coordinator_read_name(read, http_request_param(req, "job"));
    coordinator_read_start(read, STATE_LINEARIZABLE);
}
