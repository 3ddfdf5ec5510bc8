/* "What became of these attempts?" Of those that run, what they use is measured on a thread before
 * the answer leaves. */
#include <stdlib.h>

#include "base/mem.h"
#include "role/worker_internal.h"
#include "run/task_usage.h"

enum {
    WORKER_STATUS_KEYS_MAX = 1024, /* of one question; further ones are not answered */
    WORKER_STATUS_MAX = 4, /* measured at once: beyond, the answer says no more than phases */
};

struct worker_status {
    struct worker *worker;
    uint64_t from;
    uint64_t call;
    size_t n;
    struct task_key *keys;
    Wire__TaskKey *report_keys;
    Wire__TaskReport *reports;
    struct task_usage *usages;
};

static void worker_status_free(struct worker_status *status)
{
    for (size_t i = 0; i < status->n; i++)
        free((char *)(uintptr_t)status->usages[i].dir);
    free(status->keys);
    free(status->report_keys);
    free(status->reports);
    free(status->usages);
    free(status);
}

static void worker_status_answer(struct worker_status *status)
{
    Wire__TaskStatus answer = WIRE__TASK_STATUS__INIT;
    answer.call = status->call;
    answer.n_reports = status->n;
    answer.reports = mem_calloc(status->n + 1, sizeof(Wire__TaskReport *));
    for (size_t i = 0; i < status->n; i++)
        answer.reports[i] = &status->reports[i];
    (void)node_send(status->worker->node, status->from, WIRE_TASK_STATUS, &answer.base);
    free(answer.reports);
    worker_status_free(status);
}

static void worker_status_measure(void *arg)
{
    struct worker_status *status = arg;
    task_usage_measure(status->usages, status->n);
}

static void worker_status_on_measured(void *arg, int code)
{
    struct worker_status *status = arg;
    struct worker *worker = status->worker;
    (void)code;
    for (size_t i = 0; i < status->n; i++) {
        const struct task_usage *usage = &status->usages[i];
        if (usage->session == 0)
            continue;
        status->reports[i].user_us = usage->user_us;
        status->reports[i].system_us = usage->system_us;
        status->reports[i].rss_max_bytes = usage->rss_bytes;
        status->reports[i].stdout_bytes = usage->stdout_bytes;
        status->reports[i].stderr_bytes = usage->stderr_bytes;
    }
    worker->statuses--;
    worker_status_answer(status);
    worker_check_stopped(worker);
}

/* What is known without measuring, and what there is to measure. */
static bool worker_status_add(struct worker_status *status, const struct task_key *key)
{
    size_t i = status->n++;
    const struct worker_task *task = worker_task_find(status->worker, key);
    Wire__TaskReport *report = &status->reports[i];
    status->keys[i] = *key;
    task_key_write(&status->keys[i], &status->report_keys[i]);
    wire__task_report__init(report);
    report->key = &status->report_keys[i];
    report->exit_code = -1;
    report->phase = WIRE__TASK_PHASE__TASK_PHASE_UNKNOWN;
    if (task == NULL)
        return false;
    report->phase = task->report != NULL ? task->report->phase : task->brief.phase;
    if (task->report != NULL || task->run == NULL)
        return false;
    report->started_ms = (uint64_t)task_run_started_ms(task->run);
    status->usages[i].session = task_run_session(task->run);
    status->usages[i].dir = mem_strdup(task_run_dir(task->run));
    return status->usages[i].session != 0;
}

void worker_on_get_status(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct worker *worker = self;
    const Wire__GetTaskStatus *request = (const Wire__GetTaskStatus *)message;
    size_t n = request->n_keys < WORKER_STATUS_KEYS_MAX ? request->n_keys : WORKER_STATUS_KEYS_MAX;
    struct worker_status *status = mem_zalloc(sizeof *status);
    status->worker = worker;
    status->from = from;
    status->call = request->call;
    status->keys = mem_calloc(n + 1, sizeof *status->keys);
    status->report_keys = mem_calloc(n + 1, sizeof *status->report_keys);
    status->reports = mem_calloc(n + 1, sizeof *status->reports);
    status->usages = mem_calloc(n + 1, sizeof *status->usages);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        struct task_key key;
        if (task_key_read(request->keys[i], &key) == 0)
            any = worker_status_add(status, &key) || any;
    }
    if (!any || worker->finishing || worker->statuses == WORKER_STATUS_MAX) {
        worker_status_answer(status);
        return;
    }
    worker->statuses++;
    (void)loop_work(node_loop(worker->node), worker_status_measure, worker_status_on_measured,
                    status);
}
