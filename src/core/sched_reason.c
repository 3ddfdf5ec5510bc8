/* Why an element is pending: first what concerns its job alone, then what concerns every job of its
 * class, which is found once for each change of the nodes. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "core/sched_internal.h"

enum sched_why_code {
    SCHED_WHY_NONE,
    SCHED_WHY_DEPENDENCY,  /* x: how many are not met, y: which is the first of them */
    SCHED_WHY_ARRAY_LIMIT, /* x: the limit */
    SCHED_WHY_AVOIDS,      /* x: the node where it failed */
    SCHED_WHY_NO_NODE,
    SCHED_WHY_NO_MATCH,
    SCHED_WHY_CPUS,     /* x: needed, y: of the largest node that matches */
    SCHED_WHY_MEMORY,   /* the same in bytes */
    SCHED_WHY_OFFLINE,  /* x: nodes that match and are large enough */
    SCHED_WHY_DRAINING, /* x: the same */
    SCHED_WHY_DISK,     /* x: of these, those whose disks are full, y: one of them */
    SCHED_WHY_SILENT,   /* x: nodes that this leader has not heard of yet */
    SCHED_WHY_AGENTS,   /* x: agents that could run it */
    SCHED_WHY_BUSY,     /* x: nodes that could run it */
};

/* What the nodes of a pool look like to a class. */
struct sched_census {
    uint32_t slots_max;
    uint64_t memory_bytes_max; /* of those with enough slots */
    uint32_t large;            /* enough slots and memory */
    uint32_t silent;           /* of these: not heard of, or not linked yet */
    uint32_t draining;
    uint32_t full;    /* of these: up but for their disks */
    uint64_t full_id; /* one of them, the lowest */
    uint32_t agents_up;
};

static void sched_census_add(struct sched_census *census, const struct sched_class *class,
                             const struct sched_node *node)
{
    uint64_t memory_bytes = node->memory_bytes > 0 ? node->memory_bytes : UINT64_MAX;
    if (node->slots > census->slots_max)
        census->slots_max = node->slots;
    if (node->slots < class->cpus)
        return;
    if (memory_bytes > census->memory_bytes_max)
        census->memory_bytes_max = memory_bytes;
    if (memory_bytes < class->memory_bytes)
        return;
    bool alive = node->health == SCHED_HEALTH_ALIVE;
    census->large++;
    census->draining += node->draining;
    census->silent +=
        node->health == SCHED_HEALTH_UNKNOWN || (alive && !node->poll && !node->linked);
    if (alive && node->disk_full && !node->draining && (node->poll || node->linked)) {
        census->full_id =
            census->full == 0 || node->id < census->full_id ? node->id : census->full_id;
        census->full++;
    }
    census->agents_up += node->poll && sched_node_is_up(node);
}

static struct sched_why sched_why_of_class(const struct sched *s, const struct sched_class *class)
{
    const struct sched_pool *pool = class->pool;
    struct sched_census census = {0};
    const struct sched_member *member;
    LIST_FOREACH (member, &pool->members, of_pool)
        sched_census_add(&census, class, member->node);
    if (s->nodes == NULL)
        return (struct sched_why){.code = SCHED_WHY_NO_NODE};
    if (pool->members_n == 0)
        return (struct sched_why){.code = SCHED_WHY_NO_MATCH};
    if (census.slots_max < class->cpus)
        return (struct sched_why){SCHED_WHY_CPUS, class->cpus, census.slots_max};
    if (census.large == 0)
        return (struct sched_why){SCHED_WHY_MEMORY, class->memory_bytes, census.memory_bytes_max};
    if (class->able > census.agents_up)
        return (struct sched_why){SCHED_WHY_BUSY, class->able, 0};
    if (class->able > 0)
        return (struct sched_why){SCHED_WHY_AGENTS, class->able, 0};
    if (census.silent > 0)
        return (struct sched_why){SCHED_WHY_SILENT, census.silent, 0};
    if (census.full > 0)
        return (struct sched_why){SCHED_WHY_DISK, census.full, census.full_id};
    if (census.draining > 0)
        return (struct sched_why){SCHED_WHY_DRAINING, census.draining, 0};
    return (struct sched_why){SCHED_WHY_OFFLINE, census.large, 0};
}

static uint64_t sched_why_first_dep(const struct sched_job *job)
{
    for (size_t i = 0; i < job->deps_n; i++) {
        if (job->deps[i].on != NULL)
            return i;
    }
    assert(false);
    return 0;
}

struct sched_why sched_why(struct sched *s, struct sched_job *job)
{
    if (sched_job_pending(job) == 0)
        return (struct sched_why){0};
    if (job->deps_waiting > 0)
        return (struct sched_why){SCHED_WHY_DEPENDENCY, job->deps_waiting,
                                  sched_why_first_dep(job)};
    if (job->array_limit > 0 && job->live_n >= job->array_limit)
        return (struct sched_why){SCHED_WHY_ARRAY_LIMIT, job->array_limit, 0};
    if (job->parked) {
        const struct sched_past *past = TAILQ_FIRST(&job->again);
        return (struct sched_why){SCHED_WHY_AVOIDS, past->avoid[past->avoid_n - 1], 0};
    }
    struct sched_class *class = job->class;
    if (class->why_topology != s->topology || class->why.code == SCHED_WHY_NONE) {
        class->why = sched_why_of_class(s, class);
        class->why_topology = s->topology;
    }
    return class->why;
}

/* ---- text --------------------------------------------------------------------------------------
 */

static void sched_why_format_dependency(const struct sched_job *job, const struct sched_why *why,
                                        char out[static SCHED_REASON_MAX])
{
    static const char *const kinds[] = {
        [WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_OK] = "ok",
        [WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_ANY] = "any",
        [WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_FAIL] = "fail",
    };
    const struct sched_dep *dep = &job->deps[why->y];
    char id[UUID_TEXT_MAX];
    int len = snprintf(out, SCHED_REASON_MAX, "waits for job %.8s (%s)", uuid_format(&dep->id, id),
                       (size_t)dep->kind < MEM_COUNT(kinds) ? kinds[dep->kind] : "any");
    if (why->x > 1)
        snprintf(out + len, SCHED_REASON_MAX - (size_t)len, " and %llu more",
                 (unsigned long long)why->x - 1);
}

/* "the only matching node is WHAT", "all 3 matching nodes are WHAT" */
static void sched_why_format_nodes(const struct sched_job *job, const struct sched_why *why,
                                   const char *what, char out[static SCHED_REASON_MAX])
{
    const char *matching = job->selector.n > 0 ? " matching" : "";
    if (why->x == 1)
        snprintf(out, SCHED_REASON_MAX, "the only%s node is %s", matching, what);
    else
        snprintf(out, SCHED_REASON_MAX, "all %llu%s nodes are %s", (unsigned long long)why->x,
                 matching, what);
}

static void sched_why_format_size(const struct sched_job *job, const struct sched_why *why,
                                  char out[static SCHED_REASON_MAX])
{
    const char *matching = job->selector.n > 0 ? " matching" : "";
    char need[STR_SHORT_MAX];
    char have[STR_SHORT_MAX];
    if (why->code == SCHED_WHY_CPUS)
        snprintf(out, SCHED_REASON_MAX, "needs %llu cpus, the largest%s node has %llu",
                 (unsigned long long)why->x, matching, (unsigned long long)why->y);
    else
        snprintf(out, SCHED_REASON_MAX, "needs %s of memory, the largest%s node has %s",
                 str_format_bytes(why->x, need), matching, str_format_bytes(why->y, have));
}

/* "n2 has no disk space", "n2 and 3 more nodes have no disk space" */
static void sched_why_format_disk(const struct sched_node *node, const struct sched_why *why,
                                  char out[static SCHED_REASON_MAX])
{
    const char *name = node != NULL ? node->name : "a node";
    if (why->x == 1)
        snprintf(out, SCHED_REASON_MAX, "%s has no disk space", name);
    else
        snprintf(out, SCHED_REASON_MAX, "%s and %llu more %s have no disk space", name,
                 (unsigned long long)why->x - 1, why->x == 2 ? "node" : "nodes");
}

void sched_why_format(const struct sched *s, const struct sched_job *job,
                      const struct sched_why *why, char out[static SCHED_REASON_MAX])
{
    const struct sched_node *node;
    switch ((enum sched_why_code)why->code) {
    case SCHED_WHY_NONE:
        out[0] = '\0';
        break;
    case SCHED_WHY_DEPENDENCY:
        sched_why_format_dependency(job, why, out);
        break;
    case SCHED_WHY_ARRAY_LIMIT:
        snprintf(out, SCHED_REASON_MAX, "array limit %llu reached", (unsigned long long)why->x);
        break;
    case SCHED_WHY_AVOIDS:
        node = sched_node_by_id(s, why->x);
        snprintf(out, SCHED_REASON_MAX, "waits for another node than %s, where it failed",
                 node != NULL ? node->name : "one");
        break;
    case SCHED_WHY_NO_NODE:
        snprintf(out, SCHED_REASON_MAX, "no worker has joined");
        break;
    case SCHED_WHY_NO_MATCH:
        snprintf(out, SCHED_REASON_MAX, "no node matches selector %.*s", SCHED_REASON_MAX - 40,
                 job->class->pool->text);
        break;
    case SCHED_WHY_CPUS:
    case SCHED_WHY_MEMORY:
        sched_why_format_size(job, why, out);
        break;
    case SCHED_WHY_OFFLINE:
        if (job->selector.n == 0)
            snprintf(out, SCHED_REASON_MAX, "no worker is online");
        else
            sched_why_format_nodes(job, why, "offline", out);
        break;
    case SCHED_WHY_DRAINING:
        sched_why_format_nodes(job, why, "draining", out);
        break;
    case SCHED_WHY_DISK:
        node = sched_node_by_id(s, why->y);
        sched_why_format_disk(node, why, out);
        break;
    case SCHED_WHY_SILENT:
        snprintf(out, SCHED_REASON_MAX, "waits for workers to report to the new leader");
        break;
    case SCHED_WHY_AGENTS:
        if (why->x == 1)
            snprintf(out, SCHED_REASON_MAX, "waits until the only agent asks for work");
        else
            snprintf(out, SCHED_REASON_MAX, "waits until one of %llu agents asks for work",
                     (unsigned long long)why->x);
        break;
    case SCHED_WHY_BUSY:
        sched_why_format_nodes(job, why, "busy", out);
        break;
    }
}

static bool sched_why_equals(const struct sched_why *a, const struct sched_why *b)
{
    return a->code == b->code && a->x == b->x && a->y == b->y;
}

/* Renews job->why and its text; true if the text changed. */
static bool sched_why_renew(struct sched *s, struct sched_job *job)
{
    struct sched_why why = sched_why(s, job);
    if (sched_why_equals(&why, &job->why))
        return false;
    char text[SCHED_REASON_MAX];
    sched_why_format(s, job, &why, text);
    job->why = why;
    if (strcmp(text, job->why_text != NULL ? job->why_text : "") == 0)
        return false;
    free(job->why_text);
    job->why_text = mem_strdup(text);
    return true;
}

void sched_job_reason(struct sched *s, struct sched_job *job, char out[static SCHED_REASON_MAX])
{
    const char *cancelled = job->cancel_reason;
    if (cancelled == NULL || cancelled[0] == '\0')
        cancelled = "cancelled";
    if (job->state == JOB_STATE_FAILED && job->failed_n > 1)
        snprintf(out, SCHED_REASON_MAX, "%s (and %u more)", job->first_failure, job->failed_n - 1);
    else if (job->state == JOB_STATE_FAILED)
        snprintf(out, SCHED_REASON_MAX, "%s", job->first_failure);
    else if (job->state == JOB_STATE_CANCELLED)
        snprintf(out, SCHED_REASON_MAX, "%s", cancelled);
    else if (job->state == JOB_STATE_COMPLETED)
        out[0] = '\0';
    else if (sched_job_pending(job) == 0 && job->cancel_requested_ms != 0)
        snprintf(out, SCHED_REASON_MAX, "%s", cancelled);
    else {
        sched_why_renew(s, job);
        snprintf(out, SCHED_REASON_MAX, "%s", job->why_text != NULL ? job->why_text : "");
    }
}

void sched_sweep(struct sched *s)
{
    for (int i = 0; i < SCHED_SWEEP_JOBS && s->sweep_left > 0; i++) {
        struct sched_job *job = TAILQ_FIRST(&s->jobs);
        if (job == NULL) {
            s->sweep_left = 0;
            break;
        }
        s->sweep_left--;
        TAILQ_REMOVE(&s->jobs, job, of_all);
        TAILQ_INSERT_TAIL(&s->jobs, job, of_all);
        if (sched_job_pending(job) > 0 && sched_why_renew(s, job))
            sched_touch(s, job);
    }
}
