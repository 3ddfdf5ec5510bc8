/* Happy path: a heartbeat stores its time and little else. A heap holds for each node the time at
 * which it must be looked at again; heartbeats hardly touch it, so it may be too early: who is due
 * and not silent for long enough is put back at its proper time.
 *
 * All times within are those of a clock that stands still while we do: event time minus
 * `stalled_ms`. So a stall moves every deadline at the cost of one addition. */
#include "core/detector.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/mem.h"

struct detector_node {
    uint64_t id;
    enum detector_state state;
    uint32_t interval_ms;
    uint32_t offline_ms;
    int64_t heard_ms; /* watched, when it was never heard */
    int64_t look_ms;  /* never later than its next change; INT64_MAX: none by time */
    /* of the gaps between heartbeats, in 1/8 and 1/4 ms as Jacobson keeps them */
    int64_t mean_8ms;
    int64_t deviation_4ms;
    size_t place;
    UT_hash_handle hh;
};

struct detector {
    struct detector_node *nodes;
    struct heap due;
    int64_t stalled_ms;
    int64_t last_ms; /* of the last event, as given */
    int64_t promised_ms;
    bool stepped;
};

static const char *const detector_names[] = {
    [DETECTOR_STATE_NONE] = "none",       [DETECTOR_STATE_UNKNOWN] = "unknown",
    [DETECTOR_STATE_ALIVE] = "alive",     [DETECTOR_STATE_SUSPECT] = "suspect",
    [DETECTOR_STATE_OFFLINE] = "offline",
};

static const struct detector_edge {
    enum detector_state from;
    enum detector_state to;
    const char *cause;
} detector_edges[] = {
    {DETECTOR_STATE_NONE, DETECTOR_STATE_UNKNOWN, "watched"},
    {DETECTOR_STATE_UNKNOWN, DETECTOR_STATE_ALIVE, "heard"},
    {DETECTOR_STATE_UNKNOWN, DETECTOR_STATE_OFFLINE,
     "never heard within its offline time, or left"},
    {DETECTOR_STATE_ALIVE, DETECTOR_STATE_SUSPECT, "missed three heartbeats, or its link broke"},
    {DETECTOR_STATE_ALIVE, DETECTOR_STATE_OFFLINE, "left"},
    {DETECTOR_STATE_SUSPECT, DETECTOR_STATE_ALIVE, "heard"},
    {DETECTOR_STATE_SUSPECT, DETECTOR_STATE_OFFLINE, "silent for its offline time, or left"},
    {DETECTOR_STATE_OFFLINE, DETECTOR_STATE_ALIVE, "heard"},
};

const char *detector_state_name(enum detector_state state)
{
    return (size_t)state < MEM_COUNT(detector_names) ? detector_names[state] : "none";
}

bool detector_state_allows(enum detector_state from, enum detector_state to)
{
    for (size_t i = 0; i < MEM_COUNT(detector_edges); i++) {
        if (detector_edges[i].from == from && detector_edges[i].to == to)
            return true;
    }
    return false;
}

int detector_state_print(struct buf *out)
{
    int err = buf_append_str(out, "| from | to | cause |\n|---|---|---|\n");
    for (size_t i = 0; i < MEM_COUNT(detector_edges) && err == 0; i++)
        err = buf_printf(out, "| %s | %s | %s |\n", detector_state_name(detector_edges[i].from),
                         detector_state_name(detector_edges[i].to), detector_edges[i].cause);
    return err;
}

static bool detector_before(const void *a, const void *b)
{
    const struct detector_node *left = a;
    const struct detector_node *right = b;
    return left->look_ms != right->look_ms ? left->look_ms < right->look_ms : left->id < right->id;
}

struct detector *detector_new(void)
{
    struct detector *detector = mem_zalloc(sizeof *detector);
    heap_init(&detector->due, detector_before, offsetof(struct detector_node, place));
    return detector;
}

static void detector_drop(struct detector *detector, struct detector_node *node)
{
    heap_remove(&detector->due, node);
    HASH_DEL(detector->nodes, node);
    free(node);
}

void detector_free(struct detector *detector)
{
    if (detector == NULL)
        return;
    struct detector_node *node;
    struct detector_node *next;
    HASH_ITER (hh, detector->nodes, node, next)
        detector_drop(detector, node);
    heap_done(&detector->due);
    free(detector);
}

static struct detector_node *detector_find(const struct detector *detector, uint64_t id)
{
    struct detector_node *node;
    HASH_FIND(hh, detector->nodes, &id, sizeof id, node);
    return node;
}

enum detector_state detector_get(const struct detector *detector, uint64_t id)
{
    const struct detector_node *node = detector_find(detector, id);
    return node != NULL ? node->state : DETECTOR_STATE_NONE;
}

/* Silence that makes an alive node suspect. */
static int64_t detector_suspect_after_ms(const struct detector_node *node)
{
    int64_t limit = (int64_t)DETECTOR_MISSED_MAX * node->interval_ms;
    int64_t adaptive = node->mean_8ms / 8 + node->deviation_4ms;
    if (adaptive > limit)
        limit = adaptive;
    return limit < node->offline_ms ? limit : node->offline_ms;
}

/* When the node changes by itself if it stays silent. */
static int64_t detector_expires_ms(const struct detector_node *node)
{
    switch (node->state) {
    case DETECTOR_STATE_ALIVE:
        return node->heard_ms + detector_suspect_after_ms(node);
    case DETECTOR_STATE_UNKNOWN:
    case DETECTOR_STATE_SUSPECT:
        return node->heard_ms + node->offline_ms;
    default:
        return INT64_MAX;
    }
}

static void detector_look_at(struct detector *detector, struct detector_node *node, int64_t look_ms)
{
    if (node->look_ms == look_ms)
        return;
    node->look_ms = look_ms;
    heap_moved(&detector->due, node);
}

static void detector_set(struct detector *detector, struct detector_node *node,
                         enum detector_state to, int64_t at_ms, const char *why,
                         struct detector_update *update)
{
    assert(detector_state_allows(node->state, to));
    MEM_GROW(update->changes, update->cap, update->n + 1);
    struct detector_change *change = &update->changes[update->n++];
    *change = (struct detector_change){
        .node = node->id,
        .from = node->state,
        .to = to,
        .silent_ms = at_ms - node->heard_ms,
    };
    if (to == DETECTOR_STATE_ALIVE)
        snprintf(change->reason, sizeof change->reason, "%s", why);
    else
        snprintf(change->reason, sizeof change->reason, "%s (silent for %lld ms)", why,
                 (long long)change->silent_ms);
    node->state = to;
    detector_look_at(detector, node, detector_expires_ms(node));
}

/* RFC 6298 section 2, alpha = 1/8 and beta = 1/4. Gaps that ended offline don't count. */
static void detector_learn(struct detector_node *node, int64_t gap_ms)
{
    if (node->mean_8ms == 0) {
        node->mean_8ms = 8 * gap_ms;
        node->deviation_4ms = 2 * gap_ms;
        return;
    }
    int64_t error_ms = gap_ms - node->mean_8ms / 8;
    node->mean_8ms += error_ms;
    node->deviation_4ms += (error_ms < 0 ? -error_ms : error_ms) - node->deviation_4ms / 4;
}

static void detector_watch(struct detector *detector, const struct detector_event *event,
                           int64_t at_ms)
{
    uint32_t interval_ms = event->interval_ms > 0 ? event->interval_ms : DETECTOR_INTERVAL_MS;
    uint32_t offline_ms = event->offline_ms > 0 ? event->offline_ms : DETECTOR_OFFLINE_MS;
    assert(offline_ms > interval_ms);
    struct detector_node *node = detector_find(detector, event->node);
    if (node == NULL) {
        node = mem_zalloc(sizeof *node);
        node->id = event->node;
        node->state = DETECTOR_STATE_UNKNOWN;
        node->heard_ms = at_ms;
        node->look_ms = INT64_MAX;
        HASH_ADD(hh, detector->nodes, id, sizeof node->id, node);
        heap_insert(&detector->due, node);
    }
    node->interval_ms = interval_ms;
    node->offline_ms = offline_ms;
    detector_look_at(detector, node, detector_expires_ms(node));
}

static void detector_hear(struct detector *detector, struct detector_node *node, int64_t at_ms,
                          struct detector_update *update)
{
    int64_t gap_ms = at_ms - node->heard_ms;
    bool beating = node->state == DETECTOR_STATE_ALIVE || node->state == DETECTOR_STATE_SUSPECT;
    /* messages between the beats are signs of life, but no measure of the beat */
    if (beating && gap_ms >= node->interval_ms / 2)
        detector_learn(node, gap_ms);
    const char *why = node->state == DETECTOR_STATE_UNKNOWN ? "first heartbeat" : "heard again";
    node->heard_ms = at_ms;
    if (node->state != DETECTOR_STATE_ALIVE)
        detector_set(detector, node, DETECTOR_STATE_ALIVE, at_ms, why, update);
    else if (detector_expires_ms(node) < node->look_ms) /* its beat became more regular */
        detector_look_at(detector, node, detector_expires_ms(node));
}

static void detector_expire(struct detector *detector, int64_t at_ms,
                            struct detector_update *update)
{
    for (struct detector_node *node;
         (node = heap_first(&detector->due)) != NULL && node->look_ms <= at_ms;) {
        int64_t expires_ms = detector_expires_ms(node);
        if (expires_ms > at_ms)
            detector_look_at(detector, node, expires_ms);
        else if (node->state == DETECTOR_STATE_ALIVE)
            detector_set(detector, node, DETECTOR_STATE_SUSPECT, at_ms, "missed heartbeats",
                         update);
        else
            detector_set(detector, node, DETECTOR_STATE_OFFLINE, at_ms,
                         node->state == DETECTOR_STATE_UNKNOWN ? "never heard" : "silent", update);
    }
}

/* Notices that nobody stepped when it was due, and stops the inner clock for that long. */
static int64_t detector_stall(struct detector *detector, int64_t now_ms)
{
    assert(!detector->stepped || now_ms >= detector->last_ms);
    int64_t stalled_ms = 0;
    if (detector->stepped && now_ms - detector->promised_ms > DETECTOR_STALL_MS)
        stalled_ms = now_ms - detector->last_ms;
    detector->stalled_ms += stalled_ms;
    detector->last_ms = now_ms;
    detector->stepped = true;
    return stalled_ms;
}

static void detector_apply(struct detector *detector, struct detector_node *node,
                           const struct detector_event *event, int64_t at_ms,
                           struct detector_update *update)
{
    switch (event->type) {
    case DETECTOR_EVENT_HEARD:
        detector_hear(detector, node, at_ms, update);
        break;
    case DETECTOR_EVENT_LINK_LOST:
        if (node->state == DETECTOR_STATE_ALIVE)
            detector_set(detector, node, DETECTOR_STATE_SUSPECT, at_ms, "link lost", update);
        break;
    case DETECTOR_EVENT_LEFT:
        if (node->state != DETECTOR_STATE_OFFLINE)
            detector_set(detector, node, DETECTOR_STATE_OFFLINE, at_ms, "it was stopped", update);
        break;
    case DETECTOR_EVENT_FORGET:
        detector_drop(detector, node);
        break;
    default:
        break;
    }
}

int detector_step(struct detector *detector, const struct detector_event *event,
                  struct detector_update *update)
{
    update->n = 0;
    update->stalled_ms = detector_stall(detector, event->now_ms);
    int64_t at_ms = event->now_ms - detector->stalled_ms;
    int err = 0;
    struct detector_node *node = NULL;
    if (event->type == DETECTOR_EVENT_WATCH) {
        detector_watch(detector, event, at_ms);
    } else if (event->type != DETECTOR_EVENT_TICK) {
        node = detector_find(detector, event->node);
        err = node != NULL ? 0 : ERR_NOT_FOUND;
    }
    if (node != NULL)
        detector_apply(detector, node, event, at_ms, update);
    detector_expire(detector, at_ms, update);

    const struct detector_node *first = heap_first(&detector->due);
    detector->promised_ms = event->now_ms + DETECTOR_TICK_MS;
    if (first != NULL && first->look_ms - at_ms < DETECTOR_TICK_MS)
        detector->promised_ms = event->now_ms + (first->look_ms - at_ms);
    update->next_deadline_ms = detector->promised_ms;
    return err;
}

void detector_update_done(struct detector_update *update)
{
    free(update->changes);
    *update = (struct detector_update){0};
}

void detector_check(const struct detector *detector)
{
    heap_check(&detector->due);
    assert(detector->due.n == HASH_COUNT(detector->nodes));
    int64_t at_ms = detector->last_ms - detector->stalled_ms;
    for (const struct detector_node *node = detector->nodes; node != NULL; node = node->hh.next) {
        assert(node->state != DETECTOR_STATE_NONE);
        assert(node->heard_ms <= at_ms);
        assert(node->look_ms > at_ms);
        assert(node->look_ms <= detector_expires_ms(node));
        if (node->state == DETECTOR_STATE_ALIVE || node->state == DETECTOR_STATE_SUSPECT)
            assert(at_ms - node->heard_ms < node->offline_ms);
    }
}
