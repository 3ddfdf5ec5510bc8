/* Who gets which slot.
 *
 * Happy path: nodes that have more room than before wake the class of the first job that fits them;
 * the first job of the first class that is awake gets the best node with room, until every class
 * with something to place is blocked. A class stays blocked, and costs nothing, until its first job
 * is the first one that some node has room for.
 *
 * An element that failed on a node leaves it to others while some other node could run it; a job
 * with only such elements is parked until something changes. */
#include <assert.h>

#include "core/sched_internal.h"

/* Whether an earlier job of another class waits for this node. One that may yet be placed in this
 * step doesn't wait, and hides those behind it: then the answer is given again when it is gone. */
static bool sched_place_is_awaited(const struct sched_job *job, const struct sched_node *node)
{
    const struct sched_demand whole = {
        .cpus_max = node->slots,
        .memory_max = node->memory_bytes > 0 ? node->memory_bytes : UINT64_MAX,
    };
    const struct sched_member *member;
    LIST_FOREACH (member, &node->members, of_node) {
        const struct sched_job *first = sched_demand_first(member->pool, &whole, job->class);
        if (first != NULL && first->class->state == SCHED_CLASS_BLOCKED &&
            sched_job_before(first, job))
            return true;
    }
    return false;
}

bool sched_place_fits(const struct sched *s, const struct sched_job *job,
                      const struct sched_node *node)
{
    if (!sched_node_is_up(node) || node->hold_until_ms != 0)
        return false;
    if (s->reserve_node == node && s->reserve_job != job && sched_job_before(s->reserve_job, job))
        return false;
    if (!sched_node_has_memory(node, job->memory_bytes))
        return false;
    if (node->used + job->cpus <= node->slots)
        return true;
    return job->cpus <= node->slots &&
           node->used + job->cpus <= sched_node_slots_ahead(s, node, job->class->ahead) &&
           !sched_place_is_awaited(job, node);
}

/* Whether a node that the element doesn't avoid could run it at some time. */
static bool sched_place_has_other(const struct sched_job *job, const struct sched_past *past)
{
    const struct sched_class *class = job->class;
    if (class->able > past->avoid_n)
        return true;
    const struct sched_member *member;
    LIST_FOREACH (member, &class->pool->members, of_pool) {
        if (sched_class_is_able(class, &member->node->counted) &&
            !sched_past_avoids(past, member->node->id))
            return true;
    }
    return false;
}

/* The element of the job that the node should run: `past` or, NULL, the next fresh one. In the
 * middle of an event the job may have none left. */
static bool sched_place_element(const struct sched_job *job, const struct sched_node *node,
                                struct sched_past **past)
{
    int looked = 0;
    struct sched_past *again;
    TAILQ_FOREACH (again, &job->again, of_again) {
        if (looked++ == SCHED_AGAIN_LOOK)
            break;
        if (!sched_past_avoids(again, node->id)) {
            *past = again;
            return true;
        }
    }
    again = TAILQ_FIRST(&job->again);
    if (job->fresh_n == 0 && (again == NULL || sched_place_has_other(job, again)))
        return false;
    *past = job->fresh_n > 0 ? NULL : again;
    return true;
}

bool sched_place_may_unpark(const struct sched *s, const struct sched_job *job,
                            const struct sched_node *node)
{
    struct sched_past *past;
    return sched_place_fits(s, job, node) && sched_place_element(job, node, &past);
}

/* ---- the best node -----------------------------------------------------------------------------
 */

struct sched_place_search {
    const struct sched *s;
    const struct sched_job *job;
    const struct sched_past *past; /* its nodes are avoided; NULL: none */
};

static bool sched_place_takes(const struct sched_place_search *search,
                              const struct sched_node *node)
{
    return sched_place_fits(search->s, search->job, node) &&
           (search->past == NULL || !sched_past_avoids(search->past, node->id));
}

static enum heap_verdict sched_place_judge(const void *item, void *arg)
{
    const struct sched_place_search *search = arg;
    const struct sched_node *node = ((const struct sched_member *)item)->node;
    if (node->used >= node->slots && search->job->class->ahead == SCHED_AHEAD_NONE)
        return HEAP_VERDICT_STOP;
    return sched_place_takes(search, node) ? HEAP_VERDICT_TAKE : HEAP_VERDICT_NEXT;
}

static struct sched_node *sched_place_find(struct sched *s, const struct sched_job *job,
                                           const struct sched_past *past)
{
    struct sched_place_search search = {s, job, past};
    struct sched_class *class = job->class;
    if (class->state == SCHED_CLASS_HINTED)
        return sched_place_takes(&search, class->hint) ? class->hint : NULL;
    const struct sched_member *member = heap_search(&class->pool->open, sched_place_judge, &search);
    return member != NULL ? member->node : NULL;
}

/* ---- a job's turn ------------------------------------------------------------------------------
 */

/* Starts one element of the first job of the class, or takes the class or the job off the list. The
 * node that the element went to, or NULL. */
static struct sched_node *sched_place_first(struct sched *s, struct sched_class *class)
{
    struct sched_job *job = sched_class_first(class);
    struct sched_past *past;
    int looked = 0;
    TAILQ_FOREACH (past, &job->again, of_again) {
        if (looked++ == SCHED_AGAIN_LOOK)
            break;
        struct sched_node *node = sched_place_find(s, job, past);
        if (node != NULL) {
            sched_element_start(s, job, past, node);
            return node;
        }
        if (past->avoid_n == 0)
            break; /* no node has room, whatever the element */
    }
    struct sched_node *node = sched_place_find(s, job, NULL);
    past = TAILQ_FIRST(&job->again);
    if (node == NULL) {
        sched_class_set_state(s, class, SCHED_CLASS_BLOCKED, NULL);
    } else if (job->fresh_n > 0 || !sched_place_has_other(job, past)) {
        sched_element_start(s, job, job->fresh_n > 0 ? NULL : past, node);
        return node;
    } else {
        sched_class_park(s, job);
    }
    return NULL;
}

/* ---- nodes that have more room -----------------------------------------------------------------
 */

/* What fits the node if it may be queued so far ahead. */
static struct sched_demand sched_place_room(const struct sched *s, const struct sched_node *node,
                                            enum sched_ahead ahead)
{
    uint32_t slots = sched_node_slots_ahead(s, node, ahead);
    uint32_t left = slots > node->used ? slots - node->used : 0;
    return (struct sched_demand){
        .cpus_max = left < node->slots ? left : node->slots,
        .memory_max = sched_node_memory_left(node),
        .ahead_min = ahead,
    };
}

/* The first job that waits and fits the node: if the first one with such a demand is kept from it,
 * those behind it are too. */
static struct sched_job *sched_place_whom(const struct sched *s, const struct sched_node *node)
{
    struct sched_job *whom = NULL;
    for (enum sched_ahead ahead = SCHED_AHEAD_NONE; ahead <= SCHED_AHEAD_TINY; ahead++) {
        const struct sched_demand room = sched_place_room(s, node, ahead);
        const struct sched_member *member;
        LIST_FOREACH (member, &node->members, of_node) {
            struct sched_job *job = sched_demand_first(member->pool, &room, NULL);
            if (job != NULL && (whom == NULL || sched_job_before(job, whom)) &&
                sched_place_fits(s, job, node))
                whom = job;
        }
    }
    return whom;
}

static void sched_place_ask(struct sched *s, struct sched_node *node)
{
    sched_node_unset_spare(s, node);
    struct sched_member *member;
    LIST_FOREACH (member, &node->members, of_node)
        sched_pool_unpark_for(s, member->pool, node);
    if (!sched_node_is_open(s, node))
        return;
    const struct sched_job *job = sched_place_whom(s, node);
    if (job == NULL)
        return;
    struct sched_class *class = job->class;
    if (class->state == SCHED_CLASS_BLOCKED)
        sched_class_set_state(s, class, SCHED_CLASS_HINTED, node);
    else if (class->state == SCHED_CLASS_HINTED && class->hint != node)
        sched_class_set_state(s, class, SCHED_CLASS_OPEN, NULL);
    node->serves = class;
    LIST_INSERT_HEAD(&class->servers, node, of_serves);
}

/* Gives the first class that is awake its turn. Nodes that woke it are asked again when its first
 * job is another one, or no longer fits. */
static void sched_place_turn(struct sched *s, struct sched_class *class)
{
    const struct sched_job *job = sched_class_first(class);
    struct sched_node *node = sched_place_first(s, class);
    bool same = class->run_place != 0 && sched_class_first(class) == job;
    while (!same && !LIST_EMPTY(&class->servers))
        sched_node_set_spare(s, LIST_FIRST(&class->servers));
    if (node != NULL && node->serves != NULL &&
        !sched_place_fits(s, sched_class_first(node->serves), node))
        sched_node_set_spare(s, node);
}

/* Short tasks may be queued at nodes again that an earlier job waited for. */
static bool sched_place_reopen(struct sched *s)
{
    bool gone = s->left_gone;
    s->left_gone = false;
    for (struct sched_class *class; (class = LIST_FIRST(&s->left)) != NULL;) {
        LIST_REMOVE(class, of_left);
        class->left = false;
        if (class->wait_place == 0 || class->wait_seq != class->left_seq)
            gone = true;
    }
    if (!gone)
        return false;
    bool opened = false;
    struct sched_class *class;
    LIST_FOREACH (class, &s->ahead, of_ahead) {
        opened = opened || !TAILQ_EMPTY(&class->parked);
        sched_class_unpark_all(s, class);
        if (class->state == SCHED_CLASS_BLOCKED && class->ready.n > 0) {
            sched_class_set_state(s, class, SCHED_CLASS_OPEN, NULL);
            opened = true;
        }
    }
    return opened;
}

/* ---- jobs that wait too long -------------------------------------------------------------------
 */

void sched_place_forget_reserve(struct sched *s)
{
    struct sched_node *node = s->reserve_node;
    s->reserve_job = NULL;
    s->reserve_node = NULL;
    if (node != NULL)
        sched_node_room_changed(s, node, true);
}

/* Whether the node has room for the job once enough of its tasks have ended. */
static bool sched_place_could_empty(const struct sched_job *job, const struct sched_node *node)
{
    uint64_t free_bytes = node->memory_available_bytes + node->memory_reserved_bytes;
    return sched_class_is_able(job->class, &node->counted) &&
           (node->memory_available_bytes == 0 || job->memory_bytes <= free_bytes);
}

/* The node where the fewest slots must become free. */
static struct sched_node *sched_place_choose_reserve(const struct sched_job *job)
{
    struct sched_node *best = NULL;
    uint32_t best_missing = UINT32_MAX;
    const struct sched_member *member;
    LIST_FOREACH (member, &job->class->pool->members, of_pool) {
        struct sched_node *node = member->node;
        uint32_t need = node->used + job->cpus;
        uint32_t missing = need > node->slots ? need - node->slots : 0;
        if (sched_place_could_empty(job, node) &&
            (best == NULL || missing < best_missing ||
             (missing == best_missing && node->id < best->id))) {
            best = node;
            best_missing = missing;
        }
    }
    return best;
}

static struct sched_job *sched_place_first_waiting(const struct sched *s)
{
    const struct sched_class *class = heap_first(&s->waiting);
    return class != NULL ? sched_class_first(class) : NULL;
}

static int64_t sched_place_starves_ms(const struct sched *s, const struct sched_job *job)
{
    int64_t starves_ms = job->waits_since_ms + s->config.starve_ms;
    return starves_ms > s->reserve_again_ms ? starves_ms : s->reserve_again_ms;
}

/* Reserves a node for the first job that waits, once it has waited for long, and gives up a
 * reservation that no longer helps it. True if there is room for others by that. */
static bool sched_place_reserve(struct sched *s)
{
    struct sched_job *job = sched_place_first_waiting(s);
    if (s->reserve_job != NULL &&
        (s->reserve_job != job || !sched_place_could_empty(job, s->reserve_node))) {
        sched_place_forget_reserve(s);
        return true;
    }
    if (job == NULL || s->reserve_job != NULL || s->now_ms < sched_place_starves_ms(s, job))
        return false;
    s->reserve_node = sched_place_choose_reserve(job);
    if (s->reserve_node != NULL)
        s->reserve_job = job;
    else
        s->reserve_again_ms = s->now_ms + s->config.starve_ms;
    return false;
}

int64_t sched_place_deadline_ms(const struct sched *s)
{
    const struct sched_job *job = sched_place_first_waiting(s);
    if (job == NULL || s->reserve_job != NULL)
        return INT64_MAX;
    return sched_place_starves_ms(s, job);
}

void sched_place(struct sched *s)
{
    do {
        struct sched_class *class;
        do {
            for (struct sched_node *node; (node = TAILQ_FIRST(&s->spare)) != NULL;)
                sched_place_ask(s, node);
            class = heap_first(&s->runnable);
            if (class != NULL)
                sched_place_turn(s, class);
        } while (class != NULL || !TAILQ_EMPTY(&s->spare));
    } while (sched_place_reopen(s) || sched_place_reserve(s));
    assert(s->runnable.n == 0);
}

/* ---- agents that ask ---------------------------------------------------------------------------
 */

struct sched_poll_search {
    const struct sched *s;
    const struct sched_node *node;
};

static enum heap_verdict sched_poll_judge(const void *item, void *arg)
{
    const struct sched_poll_search *search = arg;
    const struct sched_job *job = item;
    struct sched_past *past;
    bool takes = sched_place_fits(search->s, job, search->node) &&
                 sched_place_element(job, search->node, &past);
    return takes ? HEAP_VERDICT_TAKE : HEAP_VERDICT_NEXT;
}

/* Looks at all classes. */
static struct sched_job *sched_poll_search(struct sched *s, const struct sched_node *node)
{
    struct sched_poll_search search = {s, node};
    struct sched_job *best = NULL;
    const struct sched_member *member;
    LIST_FOREACH (member, &node->members, of_node) {
        struct sched_class *class;
        LIST_FOREACH (class, &member->pool->classes, of_pool) {
            struct sched_job *job = heap_search(&class->ready, sched_poll_judge, &search);
            if (job != NULL && (best == NULL || sched_job_before(job, best)))
                best = job;
        }
    }
    return best;
}

static struct sched_job *sched_poll_choose(struct sched *s, const struct sched_node *node)
{
    struct sched_member *member;
    LIST_FOREACH (member, &node->members, of_node)
        sched_pool_unpark_for(s, member->pool, node);
    struct sched_job *job = sched_place_whom(s, node);
    struct sched_past *past;
    if (job == NULL || sched_place_element(job, node, &past))
        return job;
    return sched_poll_search(s, node); /* all that is left of it has failed here */
}

int sched_place_poll(struct sched *s, const struct sched_event *event)
{
    struct sched_node *node = sched_node_by_id(s, event->node);
    if (node == NULL)
        return ERR_NOT_FOUND;
    if (!node->poll)
        return sched_refuse(s, ERR_INVALID, "node %s is no agent that asks for work", node->name);
    struct sched_attempt *attempt = NULL;
    if (node->used >= node->slots) {
        attempt = TAILQ_FIRST(&node->attempts);
    } else {
        struct sched_job *job = sched_poll_choose(s, node);
        struct sched_past *past;
        if (job != NULL && sched_place_element(job, node, &past))
            attempt = sched_element_start(s, job, past, node);
    }
    if (attempt != NULL) {
        s->update->reply.assigned = true;
        s->update->reply.seq = attempt->job->seq;
        s->update->reply.id = attempt->job->id;
        sched_attempt_key(attempt, &s->update->reply.key);
    }
    return 0;
}
