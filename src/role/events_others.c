/* Happy path: every node that this one is linked to is asked for its own events behind those that
 * the last collector had of it; each answers with lines until it has no more.
 *
 * One that is silent for EVENTS_OTHERS_MS, or whose link is lost, is told to whoever asks; what it
 * had said before counts. Lines that are none are left out. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/events_internal.h"

enum {
    EVENTS_OTHERS_MS = 3000,         /* longest pause of a node that has not said all */
    EVENTS_OTHERS_MAX = 8,           /* that are asked at once */
    EVENTS_OTHERS_FOLLOWED_MAX = 64, /* streams that go on */
    EVENTS_OTHER_CREDIT = 64 << 10,
    EVENTS_OTHER_LINE_MAX = EVENT_JSON_MAX + (256 << 10),
};

struct events_other {
    struct events_others *others;
    uint64_t node;
    uint64_t call;
    uint64_t owed; /* credit that is not given back yet */
    struct buf tail;
    TAILQ_ENTRY(events_other) link;
};

struct events_others {
    struct events *events;
    struct events_others_ask ask;
    char *target;
    uint64_t *nodes; /* that are to be asked */
    size_t nodes_n, next;
    unsigned open_n;
    TAILQ_HEAD(, events_other) open;
};

static void other_free(struct events_other *other)
{
    TAILQ_REMOVE(&other->others->open, other, link);
    other->others->open_n--;
    buf_done(&other->tail);
    free(other);
}

static void others_go_on(struct events_others *others);

static void other_end(struct events_other *other, bool lost)
{
    struct events_others *others = other->others;
    uint64_t node = other->node;
    other_free(other);
    others_go_on(others);
    if (lost)
        others->ask.lost(others->ask.arg, node);
    others->ask.heard(others->ask.arg);
}

/* Whole lines go, the rest waits. */
static void other_take_lines(struct events_other *other)
{
    const struct events_others_ask *ask = &other->others->ask;
    const char *at = (const char *)other->tail.data;
    size_t left = other->tail.len;
    const char *end;
    while ((end = left > 0 ? memchr(at, '\n', left) : NULL) != NULL) {
        size_t len = (size_t)(end - at);
        if (events_is_json(at, len))
            ask->line(ask->arg, at, len);
        at = end + 1;
        left -= len + 1;
    }
    buf_consume(&other->tail, other->tail.len - left);
}

static void other_on_chunk(void *arg, int code, const ProtobufCMessage *message)
{
    struct events_other *other = arg;
    const Wire__EventChunk *chunk = (const Wire__EventChunk *)message;
    struct node *node = other->others->events->node;
    (void)code;
    if (chunk == NULL) {
        other_end(other, true);
        return;
    }
    bool fits = buf_append(&other->tail, chunk->data.data, chunk->data.len) == 0;
    if (fits)
        other_take_lines(other);
    other->owed += chunk->data.len;
    if (fits && !chunk->eof) {
        other->others->ask.heard(other->others->ask.arg);
        return;
    }
    node_call_end(node, other->call);
    other_end(other, !fits || chunk->code < 0);
}

static void others_ask(struct events_others *others, uint64_t to)
{
    Wire__EventRead read = WIRE__EVENT_READ__INIT;
    struct events_other *other = mem_zalloc(sizeof *other);
    other->others = others;
    other->node = to;
    buf_init(&other->tail, EVENTS_OTHER_LINE_MAX);
    TAILQ_INSERT_TAIL(&others->open, other, link);
    others->open_n++;
    read.target = others->target;
    read.user = (char *)(uintptr_t) "events";
    read.credit = EVENTS_OTHER_CREDIT;
    read.own = true;
    read.own_after = events_mark_get(others->events, to)->seq;
    read.own_since_ms = others->ask.since_ms > 0 ? (uint64_t)others->ask.since_ms : 0;
    other->call = node_call(others->events->node, to, WIRE_EVENT_READ, &read.base, true,
                            others->ask.follow ? 0 : EVENTS_OTHERS_MS, other_on_chunk, other);
}

static void others_go_on(struct events_others *others)
{
    unsigned max = others->ask.follow ? EVENTS_OTHERS_FOLLOWED_MAX : EVENTS_OTHERS_MAX;
    while (others->next < others->nodes_n && others->open_n < max)
        others_ask(others, others->nodes[others->next++]);
}

struct events_others *events_others_new(struct events *events, const struct events_others_ask *ask)
{
    const Wire__Members *members = node_members(events->node);
    struct events_others *others = mem_zalloc(sizeof *others);
    others->events = events;
    others->ask = *ask;
    others->target = mem_strdup(ask->target);
    others->nodes = mem_calloc(members->n_nodes + 1, sizeof *others->nodes);
    TAILQ_INIT(&others->open);
    for (size_t i = 0; i < members->n_nodes; i++) {
        const Wire__Node *member = members->nodes[i];
        if (!member->removed && !member->poll && member->id != node_id(events->node) &&
            node_session(events->node, member->id) != 0)
            others->nodes[others->nodes_n++] = member->id;
    }
    others_go_on(others);
    return others;
}

void events_others_free(struct events_others *others)
{
    struct events_other *other;
    while (others != NULL && (other = TAILQ_FIRST(&others->open)) != NULL) {
        Wire__EventReadCancel cancel = WIRE__EVENT_READ_CANCEL__INIT;
        cancel.call = other->call;
        (void)node_send(others->events->node, other->node, WIRE_EVENT_READ_CANCEL, &cancel.base);
        node_call_end(others->events->node, other->call);
        other_free(other);
    }
    if (others == NULL)
        return;
    free(others->target);
    free(others->nodes);
    free(others);
}

bool events_others_ended(const struct events_others *others)
{
    return others->open_n == 0 && others->next == others->nodes_n;
}

void events_others_pay(struct events_others *others)
{
    struct events_other *other;
    TAILQ_FOREACH (other, &others->open, link) {
        Wire__EventCredit credit = WIRE__EVENT_CREDIT__INIT;
        if (other->owed == 0)
            continue;
        credit.call = other->call;
        credit.bytes = other->owed;
        other->owed = 0;
        (void)node_send(others->events->node, other->node, WIRE_EVENT_CREDIT, &credit.base);
    }
}

void events_others_linked(struct events_others *others, uint64_t node)
{
    const struct events_other *other;
    const Wire__Node *member = node_member(others->events->node, node);
    TAILQ_FOREACH (other, &others->open, link)
        if (other->node == node)
            return;
    if (others->ask.follow && member != NULL && !member->removed &&
        others->open_n < EVENTS_OTHERS_FOLLOWED_MAX)
        others_ask(others, node);
}
