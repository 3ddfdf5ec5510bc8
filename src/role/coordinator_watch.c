/* What is logged, counted and traced of jobs as their records go into the log, and the metrics that
 * only the leader has. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "role/coordinator_internal.h"

enum { COORDINATOR_LOGGED_MAX = 20 }; /* ends of jobs, and lost attempts, a second */

static void coordinator_log_lost(const struct coordinator *c,
                                 const struct sched_task_record *record)
{
    static struct log_limit limit;
    char job[UUID_TEXT_MAX], id[TASK_KEY_TEXT_MAX], more[LOG_LIMIT_TEXT_MAX];
    const char *peer = node_member_name(c->node, record->node);
    if (log_limit_take(&limit, COORDINATOR_LOGGED_MAX, clock_mono_ms(), more))
        log_info(LOG_ABOUT(.role = "coordinator", .job = uuid_format(&record->key.job, job),
                           .task = task_key_format(&record->key, id), .peer = peer,
                           .code_name = task_code_name(TASK_CODE_NODE_LOST)),
                 "attempt %u is lost: %s%s", record->key.attempt,
                 record->text != NULL ? record->text : "its node is gone", more);
}

static void coordinator_log_end(const struct sched_job_record *record)
{
    static struct log_limit limit;
    char job[UUID_TEXT_MAX], more[LOG_LIMIT_TEXT_MAX];
    if (!log_limit_take(&limit, COORDINATOR_LOGGED_MAX, clock_mono_ms(), more))
        return;
    log_info(LOG_ABOUT(.role = "coordinator", .job = uuid_format(&record->id, job),
                       .code_name = record->state == JOB_STATE_COMPLETED
                                        ? NULL
                                        : job_state_name(record->state)),
             "job %s: %u of %u elements completed%s%s%s", job_state_name(record->state),
             record->completed, record->total, record->reason[0] != '\0' ? "; " : "",
             record->reason, more);
}

void coordinator_count(struct coordinator *c, const struct sched_update *update)
{
    static struct metric_series *attempts[ATTEMPT_STATE_RETURNED + 1];
    for (size_t i = 0; i < update->tasks_n; i++) {
        enum attempt_state state = update->tasks[i].state;
        if (attempts[state] == NULL)
            attempts[state] = metric_series(METRIC_ATTEMPTS, attempt_state_name(state));
        metric_series_add(attempts[state], 1);
        if (state == ATTEMPT_STATE_LOST)
            coordinator_log_lost(c, &update->tasks[i]);
    }
    for (size_t i = 0; i < update->jobs_n; i++) {
        const struct sched_job_record *job = &update->jobs[i];
        metric_add(METRIC_JOBS_SUBMITTED, job->created);
        if (!job_state_is_ended(job->state))
            continue;
        metric_series_add(metric_series(METRIC_JOBS_ENDED, job_state_name(job->state)), 1);
        metric_observe(METRIC_JOB_DURATION, (job->ended_ms - job->submitted_ms) * 1000);
        coordinator_log_end(job);
    }
}

void coordinator_on_collect(void *arg)
{
    struct coordinator *c = arg;
    struct sched_stats stats;
    metric_clear(METRIC_NODES);
    metric_clear(METRIC_JOBS);
    metric_clear(METRIC_ELEMENTS);
    if (!c->active)
        return;
    sched_stats(c->sched, &stats);
    metric_series_set(metric_series(METRIC_JOBS, "waiting"), stats.jobs_waiting);
    metric_series_set(metric_series(METRIC_JOBS, "placed"),
                      (double)stats.jobs - (double)stats.jobs_waiting);
    metric_series_set(metric_series(METRIC_ELEMENTS, "pending"), (double)stats.pending);
    metric_series_set(metric_series(METRIC_ELEMENTS, "assigned"), stats.attempts);
    static const char *const states[] = {"online",   "suspect", "offline",
                                         "draining", "drained", "unknown"};
    double counts[MEM_COUNT(states)] = {0};
    struct coordinator_node *known;
    struct coordinator_node *next;
    HASH_ITER (hh, c->nodes, known, next) {
        const char *state = coordinator_node_state(c, known->row);
        for (size_t i = 0; i < MEM_COUNT(states); i++)
            counts[i] += strcmp(states[i], state) == 0;
    }
    for (size_t i = 0; i < MEM_COUNT(states); i++)
        metric_series_set(metric_series(METRIC_NODES, states[i]), counts[i]);
}

struct trace_span *coordinator_job_span(struct coordinator *c,
                                        const struct sched_job_record *record)
{
    struct trace_context context, parent;
    char id[UUID_TEXT_MAX];
    struct coordinator_job *job = trace_is_on() ? coordinator_job_get(c, record->seq) : NULL;
    if (job == NULL || trace_parse(job->spec->traceparent, &context) < 0)
        return NULL;
    (void)trace_parse(job->spec->trace_under, &parent);
    struct trace_span *span = trace_resume(&context, &parent, "job", TRACE_SERVER);
    trace_times(span, record->submitted_ms * 1000, record->ended_ms * 1000);
    trace_text(span, "clusterd.job.id", uuid_format(&record->id, id));
    trace_text(span, "clusterd.job.name", job->spec->name);
    trace_text(span, "clusterd.user", job->spec->user);
    trace_text(span, "clusterd.job.state", job_state_name(record->state));
    trace_number(span, "clusterd.job.elements", record->total);
    trace_number(span, "clusterd.job.failed", record->failed);
    return span;
}
