/* Attempts from the assignment to their end.
 *
 * Happy path: an assignment is queued, runs as soon as slots are free (one that is plain waits for
 * them in the spawner's line), and its end becomes a report that is kept until it is acknowledged.
 * What can't be taken or can't start soon is given back. What comes from somebody who was not told
 * what this node holds is ignored: it was decided without that knowledge. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/trace.h"
#include "role/worker_internal.h"
#include "run/url_cache.h"
#include "run/vitals.h"

#define WORKER_TASK_SHUT_DOWN "its node was shut down"
#define WORKER_TASK_DISK_FULL "its node has no disk space"

static const struct log_about worker_log = {.role = "worker"};

struct worker_task *worker_task_find(struct worker *worker, const struct task_key *key)
{
    return (struct worker_task *)task_queue_find(&worker->queue, key);
}

void worker_task_free(struct worker_task *task)
{
    if (task->assign != NULL)
        wire__assign_task__free_unpacked(task->assign, NULL);
    if (task->report != NULL)
        wire__task_report__free_unpacked(task->report, NULL);
    trace_free(task->span);
    free(task);
}

/* Lets go of an attempt that has no report to keep. */
static void worker_task_drop(struct worker_task *task)
{
    struct worker *worker = task->worker;
    worker_report_unqueue(worker, task);
    task_queue_remove(&worker->queue, &task->item);
    worker_task_free(task);
}

static void worker_task_give_back(struct worker_task *task, const char *why)
{
    worker_report_note(task->worker, &task->item.key, WIRE__TASK_PHASE__TASK_PHASE_RETURNED, why);
    worker_task_drop(task);
}

/* ---- running ----------------------------------------------------------------------------------*/

static void worker_task_pump(struct worker *worker);

static void worker_task_set_running(struct worker_task *task)
{
    struct worker *worker = task->worker;
    task_queue_run(&worker->queue, &task->item);
    task->brief.phase = WIRE__TASK_PHASE__TASK_PHASE_RUNNING;
    output_reader_begin(worker->reader, &task->item.key);
}

static void worker_task_on_running(void *arg, struct task_run *run, int64_t started_ms)
{
    struct worker_task *task = arg;
    struct worker *worker = task->worker;
    (void)run;
    if (task->item.state != TASK_QUEUE_RUNNING)
        worker_task_set_running(task);
    task->brief.started_ms = (uint64_t)started_ms;
    worker_report_running(worker, task);
}

static Wire__TaskReport *worker_task_copy_report(const Wire__TaskReport *report)
{
    size_t len = wire__task_report__get_packed_size(report);
    uint8_t *packed = mem_alloc(len);
    (void)wire__task_report__pack(report, packed);
    Wire__TaskReport *copy = wire__task_report__unpack(NULL, len, packed);
    free(packed);
    assert(copy != NULL);
    return copy;
}

/* Whether the disk is full now; the leader hears at once that it has become so. */
static bool worker_task_look_at_disk(struct worker *worker)
{
    bool was_full = worker->disk_full;
    if (worker_task_disk_full(worker) && !was_full)
        node_pulse(worker->node);
    return worker->disk_full;
}

static void worker_task_on_done(void *arg, struct task_run *run, const Wire__TaskReport *report)
{
    struct worker_task *task = arg;
    struct worker *worker = task->worker;
    (void)run;
    task->run = NULL;
    if (worker->finishing)
        return; /* too late: nobody reports any more */
    output_reader_end(worker->reader, &task->item.key, report);
    bool returned = report->phase == WIRE__TASK_PHASE__TASK_PHASE_RETURNED;
    bool cancelled = report->phase == WIRE__TASK_PHASE__TASK_PHASE_CANCELLED;
    bool disk_full = report->code == TASK_CODE_DISK_FULL && worker_task_look_at_disk(worker);
    if (disk_full && report->started_ms == 0) { /* nothing of it has run */
        task->return_why = WORKER_TASK_DISK_FULL;
        returned = true;
    }
    if (returned || (task->returning && cancelled))
        worker_task_give_back(task, task->return_why);
    else
        worker_report_end(worker, task, worker_task_copy_report(report));
    worker_task_pump(worker);
    worker_check_stopped(worker);
}

/* Always before what is in line by these numbers. */
static void worker_task_share_slots(struct worker *worker)
{
    spawn_set_slots(node_spawn(worker->node), task_queue_line_slots(&worker->queue));
}

static void worker_task_run(struct worker_task *task)
{
    struct worker *worker = task->worker;
    static const struct task_run_callbacks functions = {.running = worker_task_on_running,
                                                        .done = worker_task_on_done};
    struct task_run_callbacks callbacks = functions;
    callbacks.arg = task;
    if (task->item.plain)
        task_queue_hand(&worker->queue, &task->item);
    else
        worker_task_set_running(task);
    worker_task_share_slots(worker);
    task->run = task_run_start(&worker->run_node, task->assign,
                               task->item.plain ? task_queue_cpus(&task->item) : 0, &callbacks);
}

/* Starts what fits and sees to what waits. */
static void worker_task_pump(struct worker *worker)
{
    struct task_queue_item *item;
    while ((item = task_queue_next(&worker->queue)) != NULL)
        worker_task_run((struct worker_task *)item);
    worker_task_share_slots(worker);
    int64_t due_ms = task_queue_due_ms(&worker->queue);
    if (due_ms == INT64_MAX)
        loop_timer_stop(&worker->hold_timer);
    else if (!loop_timer_is_running(&worker->hold_timer))
        loop_timer_start_at(&worker->hold_timer, due_ms);
}

/* Gives back an attempt that waits: at once, or when the spawner gives it up. */
static void worker_task_call_back(struct worker_task *task, const char *why)
{
    task->return_why = why;
    if (task->item.state == TASK_QUEUE_QUEUED) {
        worker_task_give_back(task, why);
        return;
    }
    task_queue_recall(&task->worker->queue, &task->item);
    task_run_recall(task->run);
}

static void worker_task_on_hold_timer(void *arg)
{
    struct worker *worker = arg;
    int64_t now_ms = loop_now_ms(node_loop(worker->node));
    struct task_queue_item *item;
    while ((item = task_queue_overdue(&worker->queue, now_ms)) != NULL)
        worker_task_call_back((struct worker_task *)item, "it could not start soon");
    worker_task_pump(worker);
}

/* ---- the disk ---------------------------------------------------------------------------------*/

static void worker_task_call_back_all(struct worker *worker, const char *why)
{
    static const enum task_queue_state waiting[] = {TASK_QUEUE_QUEUED, TASK_QUEUE_HANDED};
    for (size_t i = 0; i < MEM_COUNT(waiting); i++) {
        struct task_queue_item *item;
        while ((item = TAILQ_FIRST(&worker->queue.lists[waiting[i]])) != NULL)
            worker_task_call_back((struct worker_task *)item, why);
    }
    worker_task_pump(worker);
}

bool worker_task_disk_full(void *arg)
{
    struct worker *worker = arg;
    const struct node_options *options = node_options(worker->node);
    bool was_full = worker->disk_full;
    worker->disk_full =
        vitals_disk_is_full(worker->tasks_dir, options->disk_free_min_bytes, was_full);
    if (worker->disk_full && !was_full) {
        log_warn(&worker_log, "the disk of %s is full: no tasks are taken until there is room",
                 options->data_dir);
        worker_task_call_back_all(worker, WORKER_TASK_DISK_FULL);
        file_cache_clear(worker->cache);
        url_cache_clear(worker->urls);
    } else if (was_full && !worker->disk_full) {
        log_info(&worker_log, "the disk of %s has room again: tasks are taken", options->data_dir);
    }
    return worker->disk_full;
}

/* ---- what the leader wants --------------------------------------------------------------------*/

static Wire__AssignTask *worker_task_copy_assign(const Wire__AssignTask *assign)
{
    size_t len = wire__assign_task__get_packed_size(assign);
    uint8_t *packed = mem_alloc(len);
    (void)wire__assign_task__pack(assign, packed);
    Wire__AssignTask *copy = wire__assign_task__unpack(NULL, len, packed);
    free(packed);
    assert(copy != NULL);
    return copy;
}

struct worker_task *worker_task_new(struct worker *worker, const struct task_key *key)
{
    struct worker_task *task = mem_zalloc(sizeof *task);
    task->worker = worker;
    task->item.key = *key;
    task_key_write(&task->item.key, &task->brief_key);
    wire__task_report__init(&task->brief);
    task->brief.key = &task->brief_key;
    task->brief.phase = WIRE__TASK_PHASE__TASK_PHASE_QUEUED;
    return task;
}

/* Its span, from the assignment on; the commands get its context in place of the job's. */
static void worker_task_trace(struct worker_task *task)
{
    Wire__JobSpec *spec = task->assign->spec;
    struct trace_context job;
    char text[TRACE_TEXT_MAX], id[UUID_TEXT_MAX];
    if (spec->traceparent[0] == '\0' || trace_parse(spec->traceparent, &job) < 0)
        return;
    task->span = trace_child(&job, "task", TRACE_CONSUMER);
    if (task->span == NULL)
        return;
    trace_text(task->span, "clusterd.job.id", uuid_format(&task->item.key.job, id));
    trace_number(task->span, "clusterd.task.index", task->item.key.index);
    trace_number(task->span, "clusterd.task.attempt", task->item.key.attempt);
    free(spec->traceparent);
    spec->traceparent = mem_strdup(trace_format(trace_context(task->span), text));
}

static void worker_task_take(struct worker *worker, const struct task_key *key,
                             const Wire__AssignTask *assign)
{
    if (worker->disk_full || !worker_report_has_room(worker)) {
        worker_report_note(worker, key, WIRE__TASK_PHASE__TASK_PHASE_RETURNED,
                           worker->disk_full ? WORKER_TASK_DISK_FULL
                                             : "its node holds too many unacknowledged results");
        return;
    }
    struct worker_task *task = worker_task_new(worker, key);
    task->item.cpus = assign->spec->cpus;
    int err = task_queue_add(&worker->queue, &task->item, loop_now_ms(node_loop(worker->node)));
    if (err < 0) {
        worker_task_free(task);
        worker_report_note(worker, key, WIRE__TASK_PHASE__TASK_PHASE_RETURNED,
                           err == ERR_TOO_LARGE ? "it needs more slots than its node has"
                                                : "its node has no room for it");
        return;
    }
    task->assign = worker_task_copy_assign(assign);
    worker_task_trace(task);
    task->item.plain = task_run_is_plain(task->assign);
    worker_task_pump(worker);
}

void worker_on_assign(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct worker *worker = self;
    const Wire__AssignTask *assign = (const Wire__AssignTask *)message;
    struct task_key key;
    if (!worker_report_is_told(worker, from) || assign->term != worker->term) {
        log_debug(&worker_log, "an assignment by %s is from before it knew what is held here",
                  node_member_name(worker->node, from));
        return;
    }
    if (task_key_read(assign->key, &key) < 0 || assign->spec == NULL) {
        log_warn(&worker_log, "%s sent an assignment that is incomplete",
                 node_member_name(worker->node, from));
        return;
    }
    struct worker_task *held = worker_task_find(worker, &key);
    if (held != NULL)
        worker_report_queue(worker, held);
    else if (worker->stopping)
        worker_report_note(worker, &key, WIRE__TASK_PHASE__TASK_PHASE_RETURNED,
                           WORKER_TASK_SHUT_DOWN);
    else
        worker_task_take(worker, &key, assign);
}

/* One that never ran: its end is known at once. */
static void worker_task_cancel_queued(struct worker_task *task, enum task_code code,
                                      const char *reason)
{
    struct worker *worker = task->worker;
    Wire__TaskReport report = task->brief;
    report.phase = WIRE__TASK_PHASE__TASK_PHASE_CANCELLED;
    report.code = code;
    report.text = (char *)(uintptr_t)reason;
    report.exit_code = -1;
    report.ended_ms = (uint64_t)loop_wall_ms(node_loop(worker->node));
    worker_report_end(worker, task, worker_task_copy_report(&report));
    worker_task_pump(worker);
}

void worker_on_cancel(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct worker *worker = self;
    const Wire__CancelTask *cancel = (const Wire__CancelTask *)message;
    enum task_code code = cancel->superseded ? TASK_CODE_SUPERSEDED : TASK_CODE_CANCELLED;
    struct task_key key;
    if (!worker_report_is_told(worker, from) || task_key_read(cancel->key, &key) < 0)
        return;
    struct worker_task *task = worker_task_find(worker, &key);
    if (task == NULL) {
        worker_report_note(worker, &key, WIRE__TASK_PHASE__TASK_PHASE_UNKNOWN, "");
    } else if (task->item.state == TASK_QUEUE_QUEUED) {
        worker_task_cancel_queued(task, code, cancel->reason);
    } else if (task->item.state == TASK_QUEUE_ENDED) {
        worker_report_queue(worker, task);
    } else {
        task->returning = false;
        task_run_cancel(task->run, code, cancel->reason, false);
    }
}

/* ---- life -------------------------------------------------------------------------------------*/

static void worker_task_cancel_all(struct worker *worker, bool hard)
{
    for (unsigned state = TASK_QUEUE_HANDED; state <= TASK_QUEUE_RUNNING; state++) {
        struct task_queue_item *item;
        TAILQ_FOREACH (item, &worker->queue.lists[state], link) {
            struct worker_task *task = (struct worker_task *)item;
            task->returning = task->returning || !hard;
            task->return_why = WORKER_TASK_SHUT_DOWN;
            task_run_cancel(task->run, TASK_CODE_CANCELLED, WORKER_TASK_SHUT_DOWN, hard);
        }
    }
}

void worker_task_return_all(struct worker *worker)
{
    struct task_queue_item *item;
    while ((item = TAILQ_FIRST(&worker->queue.lists[TASK_QUEUE_QUEUED])) != NULL)
        worker_task_give_back((struct worker_task *)item, WORKER_TASK_SHUT_DOWN);
    loop_timer_stop(&worker->hold_timer);
    worker_task_cancel_all(worker, false);
}

void worker_task_kill_all(struct worker *worker)
{
    worker_task_cancel_all(worker, true);
}

static int worker_task_cache_urls(struct worker *worker, struct error *e)
{
    const struct node_options *options = node_options(worker->node);
    char *dir = mem_printf("%s/url-cache", options->data_dir);
    int err = url_cache_new(&(struct url_cache_options){.loop = node_loop(worker->node),
                                                        .http = node_http(worker->node),
                                                        .dir = dir,
                                                        .bytes_max = options->url_cache_bytes},
                            &worker->urls, e);
    free(dir);
    return err;
}

int worker_task_start(struct worker *worker, struct error *e)
{
    struct node *node = worker->node;
    const struct node_options *options = node_options(node);
    worker->tasks_dir = mem_printf("%s/tasks", options->data_dir);
    if (mkdir(worker->tasks_dir, 0700) != 0 && errno != EEXIST)
        return error_set(e, -errno, "cannot create %s: %s", worker->tasks_dir, strerror(errno));
    int err = file_cache_new(node, options->file_cache_bytes, &worker->cache, e);
    if (err < 0)
        return err;
    err = worker_task_cache_urls(worker, e);
    if (err < 0)
        return err;
    task_queue_init(&worker->queue, options->slots);
    loop_timer_init(&worker->hold_timer, node_loop(node), worker_task_on_hold_timer, worker);
    worker->run_node = (struct task_run_node){
        .loop = loop_uv(node_loop(node)),
        .spawn = node_spawn(node),
        .http = node_http(node),
        .files = file_cache_for_tasks(worker->cache),
        .urls = worker->urls,
        .name = options->name,
        .tasks_dir = worker->tasks_dir,
        .output_bytes_max = options->output_bytes_max,
    };
    return 0;
}

void worker_task_done(struct worker *worker)
{
    loop_timer_stop(&worker->hold_timer);
    for (unsigned state = 0; state < TASK_QUEUE_STATES; state++) {
        struct task_queue_item *item;
        while ((item = TAILQ_FIRST(&worker->queue.lists[state])) != NULL) {
            task_queue_remove(&worker->queue, item);
            worker_task_free((struct worker_task *)item);
        }
    }
    file_cache_free(worker->cache);
    url_cache_free(worker->urls);
    free(worker->tasks_dir);
}
