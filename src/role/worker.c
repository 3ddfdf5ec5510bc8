/* Happy path: see worker_task.c for what an attempt goes through, worker_report.c for how its
 * result reaches the leader, worker_output.c for its output. On the way out everything is given
 * back: what waits at once, what runs when it has ended, by force when its grace is over. */
#include "role/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/worker_internal.h"
#include "run/url_cache.h"

static const struct log_about worker_log = {.role = "worker"};

static void worker_count(void *arg, uint32_t *running, uint32_t *queued)
{
    const struct worker *worker = arg;
    *running = worker->queue.n[TASK_QUEUE_RUNNING];
    *queued = task_queue_waiting_n(&worker->queue);
}

static void worker_on_link(void *self, uint64_t peer, uint64_t session)
{
    if (session == 0)
        worker_output_lost(self, peer);
}

/* ---- life -------------------------------------------------------------------------------------*/

static void worker_free(void *self)
{
    struct worker *worker = self;
    if (task_queue_active_n(&worker->queue) > 0 || worker->sweeping || worker->statuses > 0)
        return; /* given up: they still refer to it, and the process ends */
    worker_report_done(worker);
    worker_task_done(worker);
    free(worker);
}

static void worker_on_output_stopped(void *arg)
{
    struct worker *worker = arg;
    node_role_stopped(worker->node);
}

static void worker_finish(struct worker *worker)
{
    worker->finishing = true;
    loop_timer_stop(&worker->stop_timer);
    worker_report_flush(worker);
    worker_output_stop(worker, worker_on_output_stopped);
}

void worker_check_stopped(struct worker *worker)
{
    if (worker->stopping && !worker->finishing && !worker->sweeping && worker->statuses == 0 &&
        task_queue_active_n(&worker->queue) == 0)
        worker_finish(worker);
}

static void worker_on_stop_timer(void *arg)
{
    struct worker *worker = arg;
    if (!worker->hard) {
        worker->hard = true;
        worker_task_kill_all(worker);
        loop_timer_start(&worker->stop_timer, WORKER_STOP_MARGIN_MS / 2);
        return;
    }
    log_error(&worker_log, "%u tasks do not end; their node ends without them",
              task_queue_active_n(&worker->queue));
    worker_finish(worker);
}

static void worker_stop(void *self)
{
    struct worker *worker = self;
    worker->stopping = true;
    worker_task_return_all(worker);
    loop_timer_start(&worker->stop_timer, (int64_t)node_options(worker->node)->kill_grace_ms +
                                              WORKER_STOP_MARGIN_MS / 2);
    worker_check_stopped(worker);
}

static int worker_make_dir(const struct worker *worker, struct error *e)
{
    char *dir = mem_printf("%s/worker", node_options(worker->node)->data_dir);
    int err = 0;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        err = error_set(e, -errno, "cannot create %s: %s", dir, strerror(errno));
    free(dir);
    return err;
}

static int worker_start(struct node *node, void **self, struct error *e)
{
    struct worker *worker = mem_zalloc(sizeof *worker);
    worker->node = node;
    loop_timer_init(&worker->stop_timer, node_loop(node), worker_on_stop_timer, worker);
    int err = worker_make_dir(worker, e);
    if (err == 0)
        err = worker_task_start(worker, e);
    if (err == 0)
        err = worker_report_start(worker, e);
    if (err < 0) {
        file_cache_free(worker->cache);
        url_cache_free(worker->urls);
        free(worker->tasks_dir);
        free(worker);
        return err;
    }
    worker_output_start(worker);
    struct node_work work = {.count = worker_count,
                             .held = worker_report_held,
                             .told = worker_report_told,
                             .disk_full = worker_task_disk_full,
                             .arg = worker};
    node_set_work(node, &work);
    *self = worker;
    return 0;
}

static const struct role_handler worker_handlers[] = {
    {WIRE_ASSIGN_TASK, worker_on_assign},
    {WIRE_CANCEL_TASK, worker_on_cancel},
    {WIRE_TASK_ACK, worker_on_ack},
    {WIRE_GET_TASK_STATUS, worker_on_get_status},
    {WIRE_OUTPUT_READ, worker_on_output_read},
    {WIRE_OUTPUT_CANCEL, worker_on_output_cancel},
    {0, NULL},
};

const struct role worker_role = {
    .name = "worker",
    .start = worker_start,
    .stop = worker_stop,
    .free = worker_free,
    .on_link = worker_on_link,
    .handlers = worker_handlers,
};
