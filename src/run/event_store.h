/* Events on this node's disk: an SQLite file below the data directory, written on a worker thread,
 * one transaction for all that came up meanwhile.
 *
 * Two lists of events, packed wire.Event each: what this node told (by its own numbers), and what
 * it collected (by position). Numbers ascend. Events are kept in compressed blocks, so that a day
 * of them is small. Besides: frames (the state at a moment), ticks of vitals, and what was
 * collected from each node.
 *
 * Nothing waits for the disk: what it does not take is counted and told. All functions are called
 * on the loop's thread; callbacks come there, never from within. */
#ifndef RUN_EVENT_STORE_H
#define RUN_EVENT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "run/loop.h"
#include "wire/event.pb-c.h"

enum {
    EVENT_STORE_FORMAT = 1,
    EVENT_STORE_FLUSH_MS = 250,
    EVENT_STORE_PENDING_MAX = 8 << 20, /* bytes that wait for the disk; what comes then is lost */
    EVENT_STORE_BLOCK_BYTES = 64 << 10,
    EVENT_STORE_BLOB_MAX = 72 << 20,
    EVENT_STORE_TICKS_MAX = 256, /* in one read */
};

enum event_store_list { EVENT_STORE_OWN, EVENT_STORE_STREAM, EVENT_STORE_LISTS };

struct event_store;

struct event_store_options {
    struct loop *loop;
    const char *path;
    uint64_t bytes_max; /* of what is kept; the oldest goes */
    int64_t keep_ms;
    int64_t ticks_keep_ms[3]; /* of ticks of a second, ten seconds, a minute */
    /* Right before what waits is handed over: more may be added. NULL allowed. */
    void (*flushing)(void *arg);
    /* The disk does not take it (`code` < 0; `lost` events since it last did), or does again (0).
     */
    void (*trouble)(void *arg, int code, const char *text, uint64_t lost);
    void *arg;
};

struct event_store_mark {
    uint64_t node;
    uint64_t seq;
};

/* What a file holds when it is opened. */
struct event_store_found {
    uint64_t last[EVENT_STORE_LISTS]; /* number; 0: none */
    struct event_store_mark *marks;   /* malloc'ed */
    size_t marks_n;
    bool renewed; /* a damaged file was put aside */
};

/* ERR_VERSION: made by a newer program. A damaged file is renamed and a new one begun. */
int event_store_open(struct event_store **out, const struct event_store_options *options,
                     struct event_store_found *found, struct error *e);
/* Writes what waits, then frees and calls `closed`. Reads are cancelled. */
void event_store_close(struct event_store *store, void (*closed)(void *arg), void *arg);

/* ---- writing --------------------------------------------------------------------------------- */

/* `number` is greater than all before. Copies. */
void event_store_add(struct event_store *store, enum event_store_list list, uint64_t number,
                     const Wire__Event *event);
void event_store_add_mark(struct event_store *store, uint64_t node, uint64_t seq);
/* Takes `data` (malloc'ed). */
void event_store_add_frame(struct event_store *store, uint64_t position, int64_t at_ms, char *data,
                           size_t len);
void event_store_add_tick(struct event_store *store, uint32_t step_ms, int64_t at_ms, char *data,
                          size_t len);
/* Bytes that are kept, as of the last write. */
uint64_t event_store_bytes(const struct event_store *store);

/* ---- reading --------------------------------------------------------------------------------- */

struct event_store_read;

struct event_store_want {
    enum event_store_list list;
    uint64_t after;   /* numbers greater than this */
    uint64_t before;  /* and smaller than this */
    int64_t since_ms; /* blocks that end earlier are left out */
};

/* `batch` (borrowed) holds the events of a block, also some that were not wanted; NULL when there
 * is none. `first` and `last` are the block's numbers. */
typedef void (*event_store_events_fn)(void *arg, int code, const Wire__EventBatch *batch,
                                      uint64_t first, uint64_t last);
/* The first block that has such events. */
struct event_store_read *event_store_read_events(struct event_store *store,
                                                 const struct event_store_want *want,
                                                 event_store_events_fn fn, void *arg);

/* `data` is NULL with ERR_NOT_FOUND. */
typedef void (*event_store_frame_fn)(void *arg, int code, const char *data, size_t len,
                                     uint64_t position, int64_t at_ms);
/* The last frame at or before a time (`at_ms`), or the first behind it. */
struct event_store_read *event_store_read_frame(struct event_store *store, int64_t at_ms,
                                                event_store_frame_fn fn, void *arg);

struct event_store_tick {
    uint32_t step_ms;
    int64_t at_ms;
    char *data;
    size_t len;
};

/* Ticks in order of time, finer ones where there are; borrowed. */
typedef void (*event_store_ticks_fn)(void *arg, int code, const struct event_store_tick *ticks,
                                     size_t n);
/* Those behind `after_ms` and before `before_ms`, EVENT_STORE_TICKS_MAX at most. */
struct event_store_read *event_store_read_ticks(struct event_store *store, int64_t after_ms,
                                                int64_t before_ms, event_store_ticks_fn fn,
                                                void *arg);

/* `fn` is not called any more. Only before it was. NULL allowed. */
void event_store_cancel(struct event_store_read *read);

/* ---- everything, for a worker of the caller's own ----------------------------------------------
 */

struct event_store_walk {
    int64_t since_ms; /* and the last frame before it */
    void (*frame)(void *arg, int64_t at_ms, uint64_t position, const char *data, size_t len);
    void (*events)(void *arg, const Wire__EventBatch *batch); /* collected ones; blocks in order */
    void (*tick)(void *arg, uint32_t step_ms, int64_t at_ms, const char *data, size_t len);
    void *arg;
};

/* Reads all of a file that may be written meanwhile. 0, ERR_CORRUPT, -EIO. Blocks. */
int event_store_walk(const char *path, const struct event_store_walk *walk);

#endif
