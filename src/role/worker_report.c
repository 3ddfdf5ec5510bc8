/* Reports to the leader.
 *
 * Happy path: what changed in a turn collects in the outbox; at the end of the turn results go into
 * the journal, then all of it into one message; an acknowledgement lets a result go. A new leader,
 * term or link gets everything held in a full heartbeat, which makes the outbox void. Results that
 * nobody acknowledges are sent again. A journal that can't be written costs nothing but that the
 * results don't survive this process. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/trace.h"
#include "role/worker_internal.h"

enum {
    WORKER_LOGGED_MAX = 20,           /* failed attempts a second */
    WORKER_REPORT_RETRY_MS = 50,      /* after a link was full */
    WORKER_REPORT_REWRITE_MS = 1000,  /* between attempts at mending a journal */
    WORKER_REPORT_RESENDS_MAX = 1000, /* at a time */
    WORKER_REPORT_BRIEF_BYTES = 64,   /* of one without text and streams, at most */
    WORKER_REPORT_BATCH_MAX = 1024,   /* reports in one message */
};

static const struct log_about worker_log = {.role = "worker"};

bool worker_report_is_told(const struct worker *worker, uint64_t from)
{
    return from == worker->leader && worker->session != 0 &&
           worker->session == node_session(worker->node, from);
}

static bool worker_report_may_send(const struct worker *worker)
{
    struct node *node = worker->node;
    return node_leader(node) == worker->leader && node_term(node) == worker->term &&
           worker_report_is_told(worker, worker->leader);
}

const Wire__TaskReport *worker_report_of(struct worker_task *task)
{
    return task->report != NULL ? task->report : &task->brief;
}

bool worker_report_has_room(const struct worker *worker)
{
    return worker->report_bytes < WORKER_REPORT_BYTES_MAX;
}

void worker_report_queue(struct worker *worker, struct worker_task *task)
{
    if (!task->in_outbox)
        TAILQ_INSERT_TAIL(&worker->outbox, task, outbox);
    task->in_outbox = true;
    loop_hook_arm(&worker->hook);
}

static void worker_report_out(struct worker *worker, struct worker_task *task)
{
    if (task->in_outbox)
        TAILQ_REMOVE(&worker->outbox, task, outbox);
    task->in_outbox = false;
}

static void worker_report_loud(struct worker *worker, struct worker_task *task)
{
    if (task->is_quiet)
        TAILQ_REMOVE(&worker->quiet, task, quiet);
    task->is_quiet = false;
}

void worker_report_unqueue(struct worker *worker, struct worker_task *task)
{
    worker_report_out(worker, task);
    worker_report_loud(worker, task);
}

void worker_report_note(struct worker *worker, const struct task_key *key, Wire__TaskPhase phase,
                        const char *text)
{
    if (worker->notes_n == WORKER_NOTES_MAX)
        return; /* counts as lost when everything held is told again */
    MEM_GROW(worker->notes, worker->notes_cap, worker->notes_n + 1);
    worker->notes[worker->notes_n++] =
        (struct worker_note){.key = *key, .phase = phase, .text = text};
    loop_hook_arm(&worker->hook);
}

/* ---- one that runs ----------------------------------------------------------------------------*/

void worker_report_running(struct worker *worker, struct worker_task *task)
{
    task->running_ms = loop_now_ms(node_loop(worker->node));
    task->is_quiet = true;
    TAILQ_INSERT_TAIL(&worker->quiet, task, quiet);
    if (!loop_timer_is_running(&worker->quiet_timer))
        loop_timer_start(&worker->quiet_timer, WORKER_RUNNING_AFTER_MS);
}

static void worker_report_on_quiet_timer(void *arg)
{
    struct worker *worker = arg;
    int64_t now_ms = loop_now_ms(node_loop(worker->node));
    struct worker_task *task;
    while ((task = TAILQ_FIRST(&worker->quiet)) != NULL) {
        int64_t due_ms = task->running_ms + WORKER_RUNNING_AFTER_MS;
        if (due_ms > now_ms) {
            loop_timer_start_at(&worker->quiet_timer, due_ms);
            return;
        }
        worker_report_loud(worker, task);
        worker_report_queue(worker, task);
    }
}

/* ---- one that ended ---------------------------------------------------------------------------*/

static void worker_report_keep(struct worker *worker, struct worker_task *task,
                               Wire__TaskReport *report)
{
    task->report = report;
    task->report_size = wire__task_report__get_packed_size(report);
    worker->report_bytes += task->report_size;
    if (!loop_timer_is_running(&worker->resend_timer))
        loop_timer_start(&worker->resend_timer, WORKER_RESEND_MS);
}

static void worker_report_count(const Wire__TaskReport *report)
{
    static struct metric_series *good;
    if (report->code == TASK_CODE_OK && good == NULL)
        good = metric_series(METRIC_TASKS_ENDED, task_code_name(TASK_CODE_OK));
    metric_series_add(report->code == TASK_CODE_OK
                          ? good
                          : metric_series(METRIC_TASKS_ENDED, task_code_name(report->code)),
                      1);
    if (report->started_ms > 0 && report->ended_ms >= report->started_ms)
        metric_observe(METRIC_TASK_DURATION,
                       (int64_t)(report->ended_ms - report->started_ms) * 1000);
}

/* Attempts that came to nothing, so many a second. */
static void worker_report_log(const struct worker_task *task, const Wire__TaskReport *report)
{
    static struct log_limit limit;
    char job[UUID_TEXT_MAX], id[TASK_KEY_TEXT_MAX], more[LOG_LIMIT_TEXT_MAX];
    if (report->code == TASK_CODE_OK || report->code == TASK_CODE_CANCELLED ||
        report->code == TASK_CODE_SUPERSEDED ||
        !log_limit_take(&limit, WORKER_LOGGED_MAX, clock_mono_ms(), more))
        return;
    log_info(LOG_ABOUT(.role = "worker", .job = uuid_format(&task->item.key.job, job),
                       .task = task_key_format(&task->item.key, id),
                       .code_name = task_code_name(report->code)),
             "attempt %u failed: %s%s", task->item.key.attempt,
             report->text[0] != '\0' ? report->text : task_code_text(report->code), more);
}

static void worker_report_trace(struct worker_task *task, const Wire__TaskReport *report)
{
    struct trace_span *span = task->span;
    if (span == NULL)
        return;
    task->span = NULL;
    if (report->started_ms > 0)
        trace_number(span, "clusterd.task.waited_ms",
                     (int64_t)report->started_ms - span->began_us / 1000);
    if (report->exit_code >= 0 && report->started_ms > 0)
        trace_number(span, "process.exit.code", report->exit_code);
    trace_number(span, "clusterd.task.rss_max_bytes", (int64_t)report->rss_max_bytes);
    trace_text(span, "clusterd.task.code", task_code_name(report->code));
    trace_end(span, report->code != TASK_CODE_OK,
              report->text[0] != '\0' ? report->text : task_code_text(report->code));
}

void worker_report_end(struct worker *worker, struct worker_task *task, Wire__TaskReport *report)
{
    worker_report_count(report);
    worker_report_trace(task, report);
    worker_report_log(task, report);
    worker_report_loud(worker, task);
    task_queue_end(&worker->queue, &task->item);
    wire__assign_task__free_unpacked(task->assign, NULL);
    task->assign = NULL;
    worker_report_keep(worker, task, report);
    task->record_size = report_journal_add(worker->journal, report);
    worker_report_queue(worker, task);
}

/* One that the process before this one left. */
static void worker_report_on_found(void *arg, Wire__TaskReport *report, size_t record_size)
{
    struct worker *worker = arg;
    struct task_key key;
    (void)task_key_read(report->key, &key);
    struct worker_task *task = worker_task_new(worker, &key);
    task_queue_add_ended(&worker->queue, &task->item);
    worker_report_keep(worker, task, report);
    task->record_size = record_size;
}

void worker_on_ack(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct worker *worker = self;
    const Wire__TaskAck *ack = (const Wire__TaskAck *)message;
    struct task_key key;
    (void)from;
    for (size_t i = 0; i < ack->n_keys; i++) {
        struct worker_task *task =
            task_key_read(ack->keys[i], &key) == 0 ? worker_task_find(worker, &key) : NULL;
        if (task == NULL || task->item.state != TASK_QUEUE_ENDED)
            continue;
        report_journal_drop(worker->journal, &key, task->record_size);
        worker->report_bytes -= task->report_size;
        worker_report_unqueue(worker, task);
        task_queue_remove(&worker->queue, &task->item);
        worker_task_free(task);
        loop_hook_arm(&worker->hook);
    }
}

static void worker_report_on_resend_timer(void *arg)
{
    struct worker *worker = arg;
    int64_t now_ms = loop_now_ms(node_loop(worker->node));
    struct task_queue_item *item;
    unsigned n = 0;
    TAILQ_FOREACH (item, &worker->queue.lists[TASK_QUEUE_ENDED], link) {
        struct worker_task *task = (struct worker_task *)item;
        if (n == WORKER_REPORT_RESENDS_MAX)
            break;
        if (task->in_outbox || task->sent_ms + WORKER_RESEND_MS > now_ms)
            continue;
        worker_report_queue(worker, task);
        n++;
    }
    if (!TAILQ_EMPTY(&worker->queue.lists[TASK_QUEUE_ENDED]))
        loop_timer_start(&worker->resend_timer, WORKER_RESEND_MS);
}

/* ---- the journal ------------------------------------------------------------------------------*/

static int worker_report_rewrite(struct worker *worker, struct error *e)
{
    size_t n = 0;
    const Wire__TaskReport **reports =
        mem_calloc(worker->queue.n[TASK_QUEUE_ENDED] + 1, sizeof *reports);
    struct task_queue_item *item;
    TAILQ_FOREACH (item, &worker->queue.lists[TASK_QUEUE_ENDED], link)
        reports[n++] = ((struct worker_task *)item)->report;
    int err = report_journal_rewrite(worker->journal, reports, n, e);
    free(reports);
    return err;
}

static void worker_report_write(struct worker *worker)
{
    struct error e;
    int64_t now_ms = loop_now_ms(node_loop(worker->node));
    bool may_retry = now_ms >= worker->journal_retry_ms;
    int err = report_journal_flush(worker->journal, &e);
    if (err == 0 && report_journal_is_wasteful(worker->journal) && may_retry) {
        err = worker_report_rewrite(worker, &e);
        worker->journal_retry_ms = now_ms + WORKER_REPORT_REWRITE_MS;
    }
    if (err < 0 && may_retry) {
        log_error(&worker_log, "%s; a restart of this node would lose results", e.text);
        worker->journal_retry_ms = now_ms + WORKER_REPORT_REWRITE_MS;
    }
}

/* ---- the outbox -------------------------------------------------------------------------------*/

static int worker_report_send(struct worker *worker, Wire__TaskReport **reports, size_t n)
{
    Wire__TaskUpdate update = WIRE__TASK_UPDATE__INIT;
    update.node_id = node_id(worker->node);
    update.reports = reports;
    update.n_reports = n;
    return n > 0 ? node_send(worker->node, worker->leader, WIRE_TASK_UPDATE, &update.base) : 0;
}

static void worker_report_send_notes(struct worker *worker)
{
    size_t n = worker->notes_n;
    Wire__TaskReport *reports = mem_calloc(n, sizeof *reports);
    Wire__TaskReport **pointers = mem_calloc(n, sizeof *pointers);
    Wire__TaskKey *keys = mem_calloc(n, sizeof *keys);
    for (size_t i = 0; i < n; i++) {
        wire__task_report__init(&reports[i]);
        task_key_write(&worker->notes[i].key, &keys[i]);
        reports[i].key = &keys[i];
        reports[i].phase = worker->notes[i].phase;
        reports[i].text = (char *)(uintptr_t)worker->notes[i].text;
        pointers[i] = &reports[i];
    }
    if (worker_report_send(worker, pointers, n) == 0)
        worker->notes_n = 0;
    free(reports);
    free(pointers);
    free(keys);
}

/* Sends as many of the outbox as one message takes. */
static int worker_report_send_some(struct worker *worker)
{
    Wire__TaskReport *reports[WORKER_REPORT_BATCH_MAX];
    struct worker_task *task;
    size_t n = 0;
    size_t bytes = 0;
    TAILQ_FOREACH (task, &worker->outbox, outbox) {
        size_t size = WORKER_REPORT_BRIEF_BYTES + task->report_size;
        if (n == MEM_COUNT(reports) || (n > 0 && bytes + size > WORKER_UPDATE_BYTES_MAX))
            break;
        reports[n++] = (Wire__TaskReport *)(uintptr_t)worker_report_of(task);
        bytes += size;
    }
    int err = worker_report_send(worker, reports, n);
    for (size_t i = 0; err == 0 && i < n; i++) {
        task = TAILQ_FIRST(&worker->outbox);
        task->sent_ms = loop_now_ms(node_loop(worker->node));
        worker_report_out(worker, task);
    }
    return err;
}

static void worker_report_on_hook(void *arg)
{
    struct worker *worker = arg;
    worker_report_write(worker);
    if (!worker_report_may_send(worker))
        return; /* all of it is part of the full heartbeat to come */
    int err = 0;
    if (worker->notes_n > 0)
        worker_report_send_notes(worker);
    while (err == 0 && !TAILQ_EMPTY(&worker->outbox))
        err = worker_report_send_some(worker);
    if (err == ERR_BUSY || worker->notes_n > 0)
        loop_timer_start(&worker->retry_timer, WORKER_REPORT_RETRY_MS);
}

void worker_report_flush(struct worker *worker)
{
    worker_report_on_hook(worker);
}

static void worker_report_on_retry_timer(void *arg)
{
    struct worker *worker = arg;
    loop_hook_arm(&worker->hook);
}

/* ---- the full heartbeat -----------------------------------------------------------------------*/

void worker_report_held(void *arg, Wire__Heartbeat *heartbeat)
{
    struct worker *worker = arg;
    const struct task_queue *queue = &worker->queue;
    size_t n = (size_t)task_queue_active_n(queue) + queue->n[TASK_QUEUE_ENDED];
    size_t bytes = 0;
    heartbeat->held = mem_calloc(n + 1, sizeof *heartbeat->held);
    for (unsigned state = 0; state < TASK_QUEUE_STATES; state++) {
        struct task_queue_item *item;
        TAILQ_FOREACH (item, &queue->lists[state], link) {
            struct worker_task *task = (struct worker_task *)item;
            bytes += task->report_size;
            task->told_as_running = state == TASK_QUEUE_ENDED && bytes > WORKER_HELD_BYTES_MAX;
            heartbeat->held[heartbeat->n_held++] =
                task->told_as_running ? &task->brief
                                      : (Wire__TaskReport *)(uintptr_t)worker_report_of(task);
        }
    }
}

void worker_report_told(void *arg, uint64_t leader, uint64_t term, uint64_t session)
{
    struct worker *worker = arg;
    worker->leader = leader;
    worker->term = term;
    worker->session = session;
    worker->notes_n = 0;
    struct worker_task *task;
    while ((task = TAILQ_FIRST(&worker->outbox)) != NULL)
        worker_report_out(worker, task);
    struct task_queue_item *item;
    TAILQ_FOREACH (item, &worker->queue.lists[TASK_QUEUE_ENDED], link) {
        task = (struct worker_task *)item;
        task->sent_ms = loop_now_ms(node_loop(worker->node));
        if (task->told_as_running)
            worker_report_queue(worker, task);
    }
}

/* ---- life -------------------------------------------------------------------------------------*/

int worker_report_start(struct worker *worker, struct error *e)
{
    struct loop *loop = node_loop(worker->node);
    TAILQ_INIT(&worker->outbox);
    TAILQ_INIT(&worker->quiet);
    loop_hook_init(&worker->hook, loop, LOOP_PHASE_FLUSH, worker_report_on_hook, worker);
    loop_timer_init(&worker->quiet_timer, loop, worker_report_on_quiet_timer, worker);
    loop_timer_init(&worker->resend_timer, loop, worker_report_on_resend_timer, worker);
    loop_timer_init(&worker->retry_timer, loop, worker_report_on_retry_timer, worker);
    char *path = mem_printf("%s/worker/reports", node_options(worker->node)->data_dir);
    int err = report_journal_open(path, worker_report_on_found, worker, &worker->journal, e);
    free(path);
    if (err == 0 && worker->queue.n[TASK_QUEUE_ENDED] > 0)
        log_info(&worker_log, "%u results are still to be acknowledged",
                 worker->queue.n[TASK_QUEUE_ENDED]);
    return err;
}

void worker_report_done(struct worker *worker)
{
    loop_hook_disarm(&worker->hook);
    loop_timer_stop(&worker->quiet_timer);
    loop_timer_stop(&worker->resend_timer);
    loop_timer_stop(&worker->retry_timer);
    report_journal_close(worker->journal);
    free(worker->notes);
}
