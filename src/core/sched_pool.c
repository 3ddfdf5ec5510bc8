/* Which jobs wait for which nodes.
 *
 * A pool holds the nodes that a selector matches, those with room ordered by load. A class holds
 * the jobs of equal demand on a pool: where one fits, all do. A class for which no node had room is
 * blocked, and costs nothing until a node has more room and it is the first of those that fit. */
#include <assert.h>
#include <string.h>

#include "core/sched_internal.h"

bool sched_member_before(const void *a, const void *b)
{
    const struct sched_node *left = ((const struct sched_member *)a)->node;
    const struct sched_node *right = ((const struct sched_member *)b)->node;
    uint64_t left_used = (uint64_t)left->used * right->slots;
    uint64_t right_used = (uint64_t)right->used * left->slots;
    if (left_used != right_used)
        return left_used < right_used;
    if (left->load_milli != right->load_milli)
        return left->load_milli < right->load_milli;
    return left->id < right->id;
}

bool sched_class_before(const void *a, const void *b)
{
    return sched_job_before(sched_class_first(a), sched_class_first(b));
}

struct sched_job *sched_class_first(const struct sched_class *class)
{
    return heap_first(&class->ready);
}

static bool sched_ready_before(const void *a, const void *b)
{
    return sched_job_before(a, b);
}

bool sched_class_is_able(const struct sched_class *class, const struct sched_size *size)
{
    return size->up && size->slots >= class->cpus &&
           (size->memory_bytes == 0 || size->memory_bytes >= class->memory_bytes);
}

/* ---- pools ----------------------------------------------------------------------------------- */

static bool sched_pool_matches(const struct sched_pool *pool, const struct sched_node *node)
{
    const struct selector_node view = {
        .name = node->name,
        .poll = node->poll,
        .labels = (const char *const *)node->labels,
        .labels_n = node->labels_n,
    };
    return selector_matches(&pool->selector, &view);
}

static void sched_pool_add_member(struct sched *s, struct sched_pool *pool, struct sched_node *node)
{
    struct sched_member *member = mem_zalloc(sizeof *member);
    member->pool = pool;
    member->node = node;
    LIST_INSERT_HEAD(&pool->members, member, of_pool);
    LIST_INSERT_HEAD(&node->members, member, of_node);
    pool->members_n++;
    if (sched_node_is_open(s, node))
        heap_insert(&pool->open, member);
    struct sched_class *class;
    LIST_FOREACH (class, &pool->classes, of_pool)
        class->able += sched_class_is_able(class, &node->counted);
}

static void sched_pool_remove_member(struct sched *s, struct sched_member *member)
{
    struct sched_pool *pool = member->pool;
    struct sched_class *class;
    LIST_FOREACH (class, &pool->classes, of_pool) {
        class->able -= sched_class_is_able(class, &member->node->counted);
        if (class->hint == member->node)
            sched_class_set_state(s, class, SCHED_CLASS_OPEN, NULL);
        else
            sched_class_refile(s, class);
    }
    if (heap_holds(&pool->open, member))
        heap_remove(&pool->open, member);
    pool->members_n--;
    LIST_REMOVE(member, of_pool);
    LIST_REMOVE(member, of_node);
    free(member);
}

void sched_pool_add_node(struct sched *s, struct sched_node *node)
{
    assert(LIST_EMPTY(&node->members));
    for (struct sched_pool *pool = s->pools; pool != NULL; pool = pool->hh.next) {
        if (sched_pool_matches(pool, node))
            sched_pool_add_member(s, pool, node);
    }
}

void sched_pool_remove_node(struct sched *s, struct sched_node *node)
{
    while (!LIST_EMPTY(&node->members))
        sched_pool_remove_member(s, LIST_FIRST(&node->members));
}

static struct sched_pool *sched_pool_get(struct sched *s, const struct selector *selector)
{
    char *text = selector_format(selector);
    struct sched_pool *pool;
    HASH_FIND_STR(s->pools, text, pool);
    if (pool != NULL) {
        free(text);
        return pool;
    }
    pool = mem_zalloc(sizeof *pool);
    pool->text = text;
    int err = selector_parse(&pool->selector, text, NULL);
    assert(err == 0);
    heap_init(&pool->open, sched_member_before, offsetof(struct sched_member, place));
    LIST_INIT(&pool->members);
    LIST_INIT(&pool->classes);
    LIST_INIT(&pool->parking);
    HASH_ADD_KEYPTR(hh, s->pools, pool->text, strlen(pool->text), pool);
    for (struct sched_node *node = s->nodes; node != NULL; node = node->hh.next) {
        if (sched_pool_matches(pool, node))
            sched_pool_add_member(s, pool, node);
    }
    return pool;
}

static void sched_pool_free(struct sched *s, struct sched_pool *pool)
{
    assert(LIST_EMPTY(&pool->classes));
    while (!LIST_EMPTY(&pool->members))
        sched_pool_remove_member(s, LIST_FIRST(&pool->members));
    HASH_DEL(s->pools, pool);
    free(pool->groups);
    heap_done(&pool->open);
    selector_done(&pool->selector);
    free(pool->text);
    free(pool);
}

/* ---- classes --------------------------------------------------------------------------------- */

static struct sched_class *sched_class_get(struct sched *s, struct sched_pool *pool,
                                           const struct sched_job *job, enum sched_ahead ahead)
{
    struct sched_class *class = sched_demand_find(pool, job->cpus, job->memory_bytes, ahead);
    if (class != NULL)
        return class;
    class = mem_zalloc(sizeof *class);
    class->pool = pool;
    class->cpus = job->cpus;
    class->memory_bytes = job->memory_bytes;
    class->ahead = ahead;
    heap_init(&class->ready, sched_ready_before, offsetof(struct sched_job, place));
    TAILQ_INIT(&class->parked);
    LIST_INIT(&class->servers);
    LIST_INSERT_HEAD(&pool->classes, class, of_pool);
    sched_demand_add(class);
    if (ahead != SCHED_AHEAD_NONE)
        LIST_INSERT_HEAD(&s->ahead, class, of_ahead);
    s->memory_classes_n += class->memory_bytes > 0;
    const struct sched_member *member;
    LIST_FOREACH (member, &pool->members, of_pool)
        class->able += sched_class_is_able(class, &member->node->counted);
    return class;
}

static void sched_class_free(struct sched *s, struct sched_class *class)
{
    struct sched_pool *pool = class->pool;
    assert(class->ready.n == 0 && TAILQ_EMPTY(&class->parked));
    assert(class->run_place == 0 && class->wait_place == 0);
    assert(LIST_EMPTY(&class->servers));
    sched_demand_remove(class);
    LIST_REMOVE(class, of_pool);
    if (class->ahead != SCHED_AHEAD_NONE)
        LIST_REMOVE(class, of_ahead);
    if (class->left) {
        LIST_REMOVE(class, of_left);
        s->left_gone = true;
    }
    s->memory_classes_n -= class->memory_bytes > 0;
    heap_done(&class->ready);
    free(class);
    if (LIST_EMPTY(&pool->classes))
        sched_pool_free(s, pool);
}

/* Notes that the class no longer waits with the job that it waited with. */
static void sched_class_mark_left(struct sched *s, struct sched_class *class)
{
    if (class->left)
        return;
    class->left = true;
    class->left_seq = class->wait_seq;
    LIST_INSERT_HEAD(&s->left, class, of_left);
}

static void sched_class_file(struct heap *heap, struct sched_class *class, bool want)
{
    bool in = heap_holds(heap, class);
    if (in && want)
        heap_moved(heap, class);
    else if (in)
        heap_remove(heap, class);
    else if (want)
        heap_insert(heap, class);
}

void sched_class_refile(struct sched *s, struct sched_class *class)
{
    const struct sched_job *first = sched_class_first(class);
    bool blocked = class->state == SCHED_CLASS_BLOCKED;
    bool wait = first != NULL && blocked && class->able > 0;
    if (class->wait_place != 0 && (!wait || class->wait_seq != first->seq))
        sched_class_mark_left(s, class);
    if (wait)
        class->wait_seq = first->seq;
    sched_class_file(&s->runnable, class, first != NULL && !blocked);
    sched_class_file(&s->waiting, class, wait);
    sched_demand_changed(class);
}

void sched_class_set_state(struct sched *s, struct sched_class *class, enum sched_class_state state,
                           struct sched_node *hint)
{
    assert((state == SCHED_CLASS_HINTED) == (hint != NULL));
    class->state = state;
    class->hint = hint;
    sched_class_refile(s, class);
}

void sched_class_add_ready(struct sched *s, struct sched_job *job)
{
    struct sched_class *class = job->class;
    assert(!job->parked);
    heap_insert(&class->ready, job);
    /* what was found for the job that stood first holds for those behind it, not before it */
    if (sched_class_first(class) == job)
        sched_class_set_state(s, class, SCHED_CLASS_OPEN, NULL);
}

static void sched_class_take_parked(struct sched_job *job)
{
    struct sched_class *class = job->class;
    assert(job->parked);
    job->parked = false;
    TAILQ_REMOVE(&class->parked, job, of_parked);
    if (TAILQ_EMPTY(&class->parked))
        LIST_REMOVE(class, of_parking);
}

void sched_class_remove(struct sched *s, struct sched_job *job)
{
    if (job->parked) {
        sched_class_take_parked(job);
        return;
    }
    heap_remove(&job->class->ready, job);
    sched_class_refile(s, job->class);
}

void sched_class_park(struct sched *s, struct sched_job *job)
{
    assert(!job->parked);
    sched_class_remove(s, job);
    job->parked = true;
    if (TAILQ_EMPTY(&job->class->parked))
        LIST_INSERT_HEAD(&job->class->pool->parking, job->class, of_parking);
    TAILQ_INSERT_TAIL(&job->class->parked, job, of_parked);
}

void sched_class_unpark(struct sched *s, struct sched_job *job)
{
    sched_class_take_parked(job);
    heap_insert(&job->class->ready, job);
    sched_class_set_state(s, job->class, SCHED_CLASS_OPEN, NULL);
}

void sched_class_unpark_all(struct sched *s, struct sched_class *class)
{
    while (!TAILQ_EMPTY(&class->parked))
        sched_class_unpark(s, TAILQ_FIRST(&class->parked));
}

static void sched_class_unpark_for(struct sched *s, struct sched_class *class,
                                   const struct sched_node *node)
{
    struct sched_job *job;
    struct sched_job *next;
    for (job = TAILQ_FIRST(&class->parked); job != NULL; job = next) {
        next = TAILQ_NEXT(job, of_parked);
        if (sched_place_may_unpark(s, job, node))
            sched_class_unpark(s, job);
    }
}

void sched_pool_unpark_for(struct sched *s, struct sched_pool *pool, const struct sched_node *node)
{
    struct sched_class *class;
    struct sched_class *next;
    for (class = LIST_FIRST(&pool->parking); class != NULL; class = next) {
        next = LIST_NEXT(class, of_parking);
        sched_class_unpark_for(s, class, node);
    }
}

static void sched_class_enter(struct sched *s, struct sched_job *job, struct sched_pool *pool,
                              enum sched_ahead ahead)
{
    assert(job->class == NULL && job->place == 0 && !job->parked);
    job->class = sched_class_get(s, pool, job, ahead);
    job->class->jobs_n++;
}

void sched_class_join(struct sched *s, struct sched_job *job)
{
    sched_class_enter(s, job, sched_pool_get(s, &job->selector), SCHED_AHEAD_NONE);
}

/* Takes the job out; its class stays, maybe without jobs. */
static struct sched_class *sched_class_exit(struct sched *s, struct sched_job *job)
{
    struct sched_class *class = job->class;
    if (job->parked || job->place != 0)
        sched_class_remove(s, job);
    class->jobs_n--;
    job->class = NULL;
    return class;
}

void sched_class_leave(struct sched *s, struct sched_job *job)
{
    struct sched_class *class = sched_class_exit(s, job);
    if (class->jobs_n == 0)
        sched_class_free(s, class);
}

void sched_class_move(struct sched *s, struct sched_job *job, enum sched_ahead ahead)
{
    bool ready = job->place != 0 || job->parked;
    struct sched_class *old = sched_class_exit(s, job);
    sched_class_enter(s, job, old->pool, ahead);
    if (ready)
        sched_class_add_ready(s, job);
    if (old->jobs_n == 0)
        sched_class_free(s, old);
}
