/* GET /api/jobs/ID/wait: answers when the job has ended, or when the time is over. */
#include <stdlib.h>

#include "base/mem.h"
#include "role/coordinator_read.h"

enum { COORDINATOR_WAIT_MS_MAX = 50000 };

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
    if (coordinator_read_is_late(read))
        return;
    if (!sched_job_view(c->sched, &read->id, &view)) { /* has ended since the read */
        coordinator_show_changed(read, 0);
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
            coordinator_show_changed(read, 0);
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

void coordinator_wait_job(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    struct error e;
    if (!coordinator_serves(c, req, coordinator_wait_job))
        return;
    struct coordinator_read *read = coordinator_read_new(c, req, coordinator_finish_wait);
    coordinator_read_name(read, http_request_param(req, "job"));
    read->limit = COORDINATOR_WAIT_MS_MAX;
    if (http_request_query_u64(req, "timeout_ms", 0, UINT64_MAX, &read->limit, &e) < 0) {
        coordinator_read_refuse(read, &e);
        return;
    }
    if (read->limit > COORDINATOR_WAIT_MS_MAX)
        read->limit = COORDINATOR_WAIT_MS_MAX;
    coordinator_read_start(read, STATE_WEAK);
}
