/* What the parts of the event store share; nobody else includes it. */
#ifndef RUN_EVENT_STORE_INTERNAL_H
#define RUN_EVENT_STORE_INTERNAL_H

#include <sqlite3.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "run/event_store.h"

/* Events of a list on their way to the disk, packed as a wire.EventBatch. */
struct event_store_pending {
    struct buf packed;
    uint64_t n;
    uint64_t first, last;
    int64_t at_min_ms, at_max_ms;
};

struct event_store_blob {
    STAILQ_ENTRY(event_store_blob) link;
    bool frame;
    uint32_t step_ms;
    int64_t at_ms;
    uint64_t position;
    char *data;
    size_t len;
};
STAILQ_HEAD(event_store_blobs, event_store_blob);

/* All that one transaction writes. */
struct event_store_load {
    struct event_store_pending lists[EVENT_STORE_LISTS];
    struct event_store_blobs blobs;
    size_t blobs_bytes;
    struct event_store_mark *marks;
    size_t marks_n, marks_cap;
    uint64_t lost; /* not taken in for lack of room */
};

/* The writer's: touched by one worker at a time. */
struct event_store_file {
    sqlite3 *db;
    char *path;
    uint64_t bytes; /* of data */
    uint64_t bytes_max;
    int64_t keep_ms;
    int64_t ticks_keep_ms[3];
    int64_t pruned_ms;                                  /* wall clock */
    struct event_store_pending open[EVENT_STORE_LISTS]; /* the last block of each, grows */
    size_t open_bytes[EVENT_STORE_LISTS];               /* as it is stored */
};

struct event_store {
    struct event_store_options options;
    struct event_store_file file;
    struct event_store_load load;   /* gathers */
    struct event_store_load flight; /* is being written */
    struct loop_timer timer;
    bool writing;
    bool in_trouble;
    uint64_t lost;
    int code; /* of the last write */
    struct error error;
    uint64_t bytes;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    TAILQ_HEAD(, event_store_read) reads;
};

/* ---- event_store_file.c: on the worker ---- */

int event_store_file_open(struct event_store_file *file, const struct event_store_options *options,
                          struct event_store_found *found, struct error *e);
void event_store_file_close(struct event_store_file *file);
/* One transaction; after a failure nothing of it is there. */
int event_store_file_write(struct event_store_file *file, const struct event_store_load *load,
                           int64_t now_ms, struct error *e);
/* zlib, the raw length in front. malloc'ed. */
void *event_store_deflate(const void *data, size_t len, size_t *out_len);
/* NULL: damaged, or longer than `max`. NUL-terminated. */
char *event_store_inflate(const void *data, size_t len, size_t max, size_t *out_len);

/* ---- event_store_read.c ---- */

void event_store_end_reads(struct event_store *store);

void event_store_pending_init(struct event_store_pending *pending);

#endif
