/* An event as it is kept: its line of JSON, as the node that saw it wrote it, and what filters look
 * at. Shared by the rings that hold it; never changed, except for the position that the collector
 * gives it. On one thread.
 *
 * A ring keeps the latest events, as many as its bounds allow. */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

enum {
    EVENT_TEXT_MAX = 1024,      /* bytes of an event's text */
    EVENT_JSON_MAX = 64 * 1024, /* of its line */
    EVENT_NAME_MAX = 255,       /* of kind, table, node */
};

struct event {
    unsigned refs;
    uint64_t node; /* id of the node that saw it */
    uint64_t seq;
    uint64_t position; /* in the collected stream; 0: not collected here */
    int64_t at_ms;
    enum log_level level;
    const char *kind;
    const char *about; /* name of the node that it is about, or "" */
    const char *table; /* "": carries no patch */
    const char *json;  /* without a line feed, NUL-terminated */
    size_t json_len;
};

/* Copies `from`, with one reference. The strings' bounds are above. */
struct event *event_new(const struct event *from);
/* As event_new(), without the patch of the state that it carries. NULL when its line is no JSON. */
struct event *event_new_without_patch(const struct event *from);
struct event *event_ref(struct event *event);
void event_unref(struct event *event);         /* NULL allowed */
size_t event_bytes(const struct event *event); /* of memory */

struct event_ring {
    struct event **slots;
    size_t cap;     /* a power of two */
    uint64_t first; /* index of the oldest; indices grow for ever */
    size_t n;
    size_t bytes;
    size_t n_max, bytes_max;
    uint64_t dropped; /* pushed out of it */
};

void event_ring_init(struct event_ring *ring, size_t n_max, size_t bytes_max);
void event_ring_done(struct event_ring *ring);
/* Takes the reference; the oldest go until it fits. */
void event_ring_push(struct event_ring *ring, struct event *event);
void event_ring_shift(struct event_ring *ring); /* drops the oldest; not empty */
/* The event `at` places behind the oldest, at < n; borrowed. */
struct event *event_ring_at(const struct event_ring *ring, size_t at);
/* How many of the oldest have a position, or seq, up to this one; they must ascend. */
size_t event_ring_after_position(const struct event_ring *ring, uint64_t position);
size_t event_ring_after_seq(const struct event_ring *ring, uint64_t seq);

#endif
