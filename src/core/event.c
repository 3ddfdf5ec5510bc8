#include "core/event.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char *event_copy_text(char **at, const char *text, size_t len)
{
    char *copy = *at;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *at += len + 1;
    return copy;
}

struct event *event_new(const struct event *from)
{
    size_t kind = strlen(from->kind), about = strlen(from->about), table = strlen(from->table);
    assert(kind <= EVENT_NAME_MAX && about <= EVENT_NAME_MAX && table <= EVENT_NAME_MAX);
    assert(from->json_len <= EVENT_JSON_MAX);
    struct event *event = mem_alloc(sizeof *event + kind + about + table + from->json_len + 4);
    char *at = (char *)(event + 1);
    *event = *from;
    event->refs = 1;
    event->kind = event_copy_text(&at, from->kind, kind);
    event->about = event_copy_text(&at, from->about, about);
    event->table = event_copy_text(&at, from->table, table);
    event->json = event_copy_text(&at, from->json, from->json_len);
    return event;
}

struct event *event_new_without_patch(const struct event *from)
{
    static const char *const patch[] = {"table", "key", "row", "gone"};
    struct event bare = *from;
    json_t *line = json_loadb(from->json, from->json_len, 0, NULL);
    for (size_t i = 0; i < MEM_COUNT(patch); i++)
        (void)json_object_del(line, patch[i]);
    char *json = json_is_object(line) ? json_dumps(line, JSON_COMPACT) : NULL;
    struct event *event = NULL;
    if (json != NULL && strlen(json) <= EVENT_JSON_MAX) {
        bare.table = "";
        bare.json = json;
        bare.json_len = strlen(json);
        event = event_new(&bare);
    }
    free(json);
    json_decref(line);
    return event;
}

struct event *event_ref(struct event *event)
{
    event->refs++;
    return event;
}

void event_unref(struct event *event)
{
    if (event != NULL && --event->refs == 0)
        free(event);
}

size_t event_bytes(const struct event *event)
{
    return sizeof *event + strlen(event->kind) + strlen(event->about) + strlen(event->table) +
           event->json_len + 4;
}

void event_ring_init(struct event_ring *ring, size_t n_max, size_t bytes_max)
{
    *ring = (struct event_ring){.n_max = n_max, .bytes_max = bytes_max};
}

void event_ring_done(struct event_ring *ring)
{
    while (ring->n > 0)
        event_ring_shift(ring);
    free(ring->slots);
    event_ring_init(ring, ring->n_max, ring->bytes_max);
}

struct event *event_ring_at(const struct event_ring *ring, size_t at)
{
    assert(at < ring->n);
    return ring->slots[(ring->first + at) & (ring->cap - 1)];
}

void event_ring_shift(struct event_ring *ring)
{
    struct event *event = event_ring_at(ring, 0);
    ring->bytes -= event_bytes(event);
    ring->first++;
    ring->n--;
    event_unref(event);
}

static void event_ring_grow(struct event_ring *ring)
{
    size_t cap = ring->cap > 0 ? ring->cap * 2 : 64;
    struct event **slots = mem_calloc(cap, sizeof *slots);
    for (size_t i = 0; i < ring->n; i++)
        slots[(ring->first + i) & (cap - 1)] = event_ring_at(ring, i);
    free(ring->slots);
    ring->slots = slots;
    ring->cap = cap;
}

void event_ring_push(struct event_ring *ring, struct event *event)
{
    size_t bytes = event_bytes(event);
    while (ring->n > 0 && (ring->n >= ring->n_max || ring->bytes + bytes > ring->bytes_max)) {
        event_ring_shift(ring);
        ring->dropped++;
    }
    if (ring->n == ring->cap)
        event_ring_grow(ring);
    ring->slots[(ring->first + ring->n) & (ring->cap - 1)] = event;
    ring->n++;
    ring->bytes += bytes;
}

static uint64_t event_number(const struct event *event, bool position)
{
    return position ? event->position : event->seq;
}

static size_t event_ring_after(const struct event_ring *ring, uint64_t number, bool position)
{
    size_t low = 0, high = ring->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (event_number(event_ring_at(ring, middle), position) <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t event_ring_after_position(const struct event_ring *ring, uint64_t position)
{
    return event_ring_after(ring, position, true);
}

size_t event_ring_after_seq(const struct event_ring *ring, uint64_t seq)
{
    return event_ring_after(ring, seq, false);
}
