/* Nodes: who is a member, reachable, draining, and how much room each has.
 *
 * What a class needs to know of a node (is it up, how large) is counted when it changes, see
 * sched_node_changed; what changes with every task (its room) only moves the node within its pools.
 */
#include <assert.h>
#include <string.h>

#include "core/sched_internal.h"

struct sched_node *sched_node_by_id(const struct sched *s, uint64_t id)
{
    struct sched_node *node;
    HASH_FIND(hh, s->nodes, &id, sizeof id, node);
    return node;
}

bool sched_node_is_up(const struct sched_node *node)
{
    return node->health == SCHED_HEALTH_ALIVE && !node->draining && !node->disk_full &&
           node->slots > 0 && (node->poll || node->linked);
}

uint32_t sched_node_slots_ahead(const struct sched *s, const struct sched_node *node,
                                enum sched_ahead ahead)
{
    if (s->config.short_ms == 0 || node->poll || ahead == SCHED_AHEAD_NONE)
        return node->slots;
    return ahead == SCHED_AHEAD_TINY ? sched_slots_ahead(node->slots) : 2 * node->slots + 2;
}

bool sched_node_is_open(const struct sched *s, const struct sched_node *node)
{
    return sched_node_is_up(node) && !node->poll && node->hold_until_ms == 0 &&
           node->used < sched_node_slots_ahead(s, node, SCHED_AHEAD_TINY);
}

uint64_t sched_node_memory_left(const struct sched_node *node)
{
    uint64_t left = UINT64_MAX;
    if (node->memory_bytes > 0)
        left = node->memory_bytes > node->memory_reserved_bytes
                   ? node->memory_bytes - node->memory_reserved_bytes
                   : 0;
    if (node->memory_available_bytes == 0)
        return left;
    uint64_t unseen = node->memory_available_bytes > node->memory_unseen_bytes
                          ? node->memory_available_bytes - node->memory_unseen_bytes
                          : 0;
    return unseen < left ? unseen : left;
}

bool sched_node_has_memory(const struct sched_node *node, uint64_t bytes)
{
    return bytes == 0 || bytes <= sched_node_memory_left(node);
}

/* ---- room ------------------------------------------------------------------------------------ */

void sched_node_set_spare(struct sched *s, struct sched_node *node)
{
    if (node->serves != NULL)
        LIST_REMOVE(node, of_serves);
    node->serves = NULL;
    if (!node->spare)
        TAILQ_INSERT_TAIL(&s->spare, node, of_spare);
    node->spare = true;
}

void sched_node_unset_spare(struct sched *s, struct sched_node *node)
{
    if (node->spare)
        TAILQ_REMOVE(&s->spare, node, of_spare);
    node->spare = false;
}

void sched_node_room_changed(struct sched *s, struct sched_node *node, bool more)
{
    bool open = sched_node_is_open(s, node);
    struct sched_member *member;
    LIST_FOREACH (member, &node->members, of_node) {
        struct heap *heap = &member->pool->open;
        bool in = heap_holds(heap, member);
        if (in && open)
            heap_moved(heap, member);
        else if (in)
            heap_remove(heap, member);
        else if (open)
            heap_insert(heap, member);
    }
    if (more && s->serving)
        sched_node_set_spare(s, node);
}

void sched_node_changed(struct sched *s, struct sched_node *node)
{
    const struct sched_size size = {sched_node_is_up(node), node->slots, node->memory_bytes};
    struct sched_member *member;
    LIST_FOREACH (member, &node->members, of_node) {
        struct sched_class *class;
        LIST_FOREACH (class, &member->pool->classes, of_pool) {
            class->able -= sched_class_is_able(class, &node->counted);
            class->able += sched_class_is_able(class, &size);
            sched_class_unpark_all(s, class);
            sched_class_refile(s, class);
        }
    }
    node->counted = size;
    s->topology++;
    s->sweep_left = s->jobs_n;
    sched_node_room_changed(s, node, true);
}

void sched_node_take(struct sched *s, struct sched_node *node, uint32_t cpus, uint64_t memory_bytes)
{
    node->used += cpus;
    node->memory_reserved_bytes += memory_bytes;
    node->memory_unseen_bytes += memory_bytes;
    sched_node_room_changed(s, node, false);
}

void sched_node_give_back(struct sched *s, struct sched_node *node, uint32_t cpus,
                          uint64_t memory_bytes)
{
    assert(node->used >= cpus && node->memory_reserved_bytes >= memory_bytes);
    node->used -= cpus;
    node->memory_reserved_bytes -= memory_bytes;
    if (node->memory_unseen_bytes > node->memory_reserved_bytes)
        node->memory_unseen_bytes = node->memory_reserved_bytes;
    sched_node_room_changed(s, node, true);
}

/* ---- attempts that don't count -----------------------------------------------------------------
 */

void sched_node_add_stray(struct sched *s, struct sched_node *node, const struct task_key *key,
                          uint32_t cpus, uint64_t memory_bytes)
{
    if (node->strays_n == SCHED_STRAY_MAX)
        return;
    struct sched_stray *stray;
    TAILQ_FOREACH (stray, &node->strays, of_node) {
        if (memcmp(&stray->key, key, sizeof *key) == 0)
            return;
    }
    stray = mem_zalloc(sizeof *stray);
    stray->key = *key;
    stray->cpus = cpus;
    stray->memory_bytes = memory_bytes;
    TAILQ_INSERT_TAIL(&node->strays, stray, of_node);
    node->strays_n++;
    sched_node_take(s, node, cpus, memory_bytes);
}

static void sched_node_drop_stray(struct sched *s, struct sched_node *node,
                                  struct sched_stray *stray)
{
    TAILQ_REMOVE(&node->strays, stray, of_node);
    node->strays_n--;
    uint32_t cpus = stray->cpus;
    uint64_t memory_bytes = stray->memory_bytes;
    free(stray);
    sched_node_give_back(s, node, cpus, memory_bytes);
}

void sched_node_remove_stray(struct sched *s, struct sched_node *node, const struct task_key *key)
{
    struct sched_stray *stray;
    TAILQ_FOREACH (stray, &node->strays, of_node) {
        if (memcmp(&stray->key, key, sizeof *key) == 0) {
            sched_node_drop_stray(s, node, stray);
            return;
        }
    }
}

void sched_node_clear_strays(struct sched *s, struct sched_node *node)
{
    while (!TAILQ_EMPTY(&node->strays))
        sched_node_drop_stray(s, node, TAILQ_FIRST(&node->strays));
}

/* ---- membership ------------------------------------------------------------------------------ */

static void sched_node_forget_labels(struct sched_node *node)
{
    for (size_t i = 0; i < node->labels_n; i++)
        free(node->labels[i]);
    free(node->labels);
    node->labels = NULL;
    node->labels_n = 0;
}

static bool sched_node_is_named(const struct sched_node *node, const struct sched_node_spec *put)
{
    if (strcmp(node->name, put->name) != 0 || node->labels_n != put->labels_n ||
        node->poll != put->poll)
        return false;
    for (size_t i = 0; i < put->labels_n; i++) {
        if (strcmp(node->labels[i], put->labels[i]) != 0)
            return false;
    }
    return true;
}

/* Name and labels decide which pools it is in. */
static void sched_node_name(struct sched *s, struct sched_node *node,
                            const struct sched_node_spec *put)
{
    sched_pool_remove_node(s, node);
    free(node->name);
    sched_node_forget_labels(node);
    node->name = mem_strdup(put->name);
    node->poll = put->poll;
    node->labels = mem_calloc(put->labels_n + 1, sizeof *node->labels);
    for (size_t i = 0; i < put->labels_n; i++)
        node->labels[node->labels_n++] = mem_strdup(put->labels[i]);
    sched_pool_add_node(s, node);
}

static struct sched_node *sched_node_new(struct sched *s, const struct sched_node_spec *put)
{
    struct sched_node *node = mem_zalloc(sizeof *node);
    node->id = put->id;
    node->name = mem_strdup("");
    TAILQ_INIT(&node->attempts);
    TAILQ_INIT(&node->strays);
    LIST_INIT(&node->members);
    HASH_ADD(hh, s->nodes, id, sizeof node->id, node);
    return node;
}

int sched_node_put(struct sched *s, const struct sched_event *event)
{
    const struct sched_node_spec *put = event->put;
    if (put->id == 0 || put->name == NULL || put->labels_n > SCHED_LABELS_MAX ||
        put->slots > SCHED_CPUS_MAX)
        return sched_refuse(s, ERR_INVALID,
                            "a node needs an id, a name, at most %d labels and %d slots",
                            SCHED_LABELS_MAX, SCHED_CPUS_MAX);
    struct sched_node *node = sched_node_by_id(s, put->id);
    if (node != NULL && node->slots == put->slots && node->memory_bytes == put->memory_bytes &&
        sched_node_is_named(node, put))
        return 0;
    if (node == NULL)
        node = sched_node_new(s, put);
    node->slots = put->slots;
    node->memory_bytes = put->memory_bytes;
    sched_node_name(s, node, put);
    sched_node_changed(s, node);
    return 0;
}

static void sched_node_lose_all(struct sched *s, struct sched_node *node, const char *text)
{
    while (!TAILQ_EMPTY(&node->attempts))
        sched_attempt_lost(s, TAILQ_FIRST(&node->attempts), NULL, text);
    sched_node_clear_strays(s, node);
}

/* Starts or stops looking at it in ticks. */
static void sched_node_retime(struct sched *s, struct sched_node *node)
{
    bool timed = node->drain_deadline_ms != 0 || node->hold_until_ms != 0;
    if (timed && !node->timed)
        LIST_INSERT_HEAD(&s->timed, node, of_timed);
    if (!timed && node->timed)
        LIST_REMOVE(node, of_timed);
    node->timed = timed;
}

void sched_node_free(struct sched *s, struct sched_node *node)
{
    assert(TAILQ_EMPTY(&node->attempts) && TAILQ_EMPTY(&node->strays) && node->serves == NULL);
    sched_node_unset_spare(s, node);
    node->drain_deadline_ms = 0;
    node->hold_until_ms = 0;
    sched_node_retime(s, node);
    sched_pool_remove_node(s, node);
    HASH_DEL(s->nodes, node);
    sched_node_forget_labels(node);
    free(node->name);
    free(node);
}

int sched_node_remove(struct sched *s, const struct sched_event *event)
{
    struct sched_node *node = sched_node_by_id(s, event->node);
    if (node == NULL)
        return ERR_NOT_FOUND;
    node->linked = false;
    node->health = SCHED_HEALTH_OFFLINE;
    sched_node_changed(s, node);
    sched_node_lose_all(s, node, "its node was removed");
    if (s->reserve_node == node)
        sched_place_forget_reserve(s);
    sched_node_free(s, node);
    return 0;
}

/* ---- reachability ---------------------------------------------------------------------------- */

int sched_node_link(struct sched *s, const struct sched_event *event)
{
    struct sched_node *node = sched_node_by_id(s, event->node);
    if (node == NULL)
        return ERR_NOT_FOUND;
    assert(!node->poll);
    node->session = event->session;
    node->linked = false;
    sched_node_changed(s, node);
    return 0;
}

int sched_node_health(struct sched *s, const struct sched_event *event)
{
    struct sched_node *node = sched_node_by_id(s, event->node);
    if (node == NULL)
        return ERR_NOT_FOUND;
    if (node->health == event->health)
        return 0;
    node->health = event->health;
    if (event->health == SCHED_HEALTH_OFFLINE)
        node->linked = false;
    sched_node_changed(s, node);
    if (event->health == SCHED_HEALTH_OFFLINE)
        sched_node_lose_all(s, node, "its node went offline");
    return 0;
}

int sched_node_vitals(struct sched *s, const struct sched_event *event)
{
    struct sched_node *node = sched_node_by_id(s, event->node);
    if (node == NULL)
        return ERR_NOT_FOUND;
    bool moved = node->load_milli != event->load_milli;
    bool filled = node->disk_full != event->disk_full;
    node->load_milli = event->load_milli;
    node->memory_available_bytes = event->memory_available_bytes;
    node->memory_unseen_bytes = 0;
    node->disk_full = event->disk_full;
    if (filled)
        sched_node_changed(s, node);
    else if (moved || s->memory_classes_n > 0)
        sched_node_room_changed(s, node, s->memory_classes_n > 0);
    return 0;
}

int sched_node_drain(struct sched *s, const struct sched_event *event)
{
    struct sched_node *node = sched_node_by_id(s, event->node);
    if (node == NULL)
        return ERR_NOT_FOUND;
    node->draining = event->draining;
    node->drain_deadline_ms = event->draining ? event->drain_deadline_ms : 0;
    sched_node_retime(s, node);
    sched_node_changed(s, node);
    return 0;
}

void sched_node_hold(struct sched *s, struct sched_node *node)
{
    node->hold_until_ms = s->now_ms + s->config.hold_ms;
    sched_node_retime(s, node);
    sched_node_room_changed(s, node, false);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void sched_node_evict_all(struct sched *s, struct sched_node *node)
{
    struct sched_attempt *attempt;
    struct sched_attempt *next;
    for (attempt = TAILQ_FIRST(&node->attempts); attempt != NULL; attempt = next) {
        next = TAILQ_NEXT(attempt, of_node);
        sched_attempt_evict(s, attempt);
    }
}

void sched_node_tick(struct sched *s)
{
    struct sched_node *node;
    struct sched_node *next;
    for (node = LIST_FIRST(&s->timed); node != NULL; node = next) {
        next = LIST_NEXT(node, of_timed);
        bool drained = node->drain_deadline_ms != 0 && node->drain_deadline_ms <= s->now_ms;
        bool held = node->hold_until_ms != 0 && node->hold_until_ms <= s->now_ms;
        if (drained)
            node->drain_deadline_ms = 0;
        if (held)
            node->hold_until_ms = 0;
        sched_node_retime(s, node);
        if (drained)
            sched_node_evict_all(s, node);
        if (held)
            sched_node_room_changed(s, node, true);
    }
}

int64_t sched_node_deadline_ms(const struct sched *s)
{
    int64_t deadline_ms = INT64_MAX;
    const struct sched_node *node;
    LIST_FOREACH (node, &s->timed, of_timed) {
        if (node->drain_deadline_ms != 0 && node->drain_deadline_ms < deadline_ms)
            deadline_ms = node->drain_deadline_ms;
        if (node->hold_until_ms != 0 && node->hold_until_ms < deadline_ms)
            deadline_ms = node->hold_until_ms;
    }
    return deadline_ms;
}
