/* The disk of a chat node: the journal with the entries, the small record of term and promise, the
 * latest snapshot.
 *
 *   LOG_DIR/00000000000000000001.jsonl ...   entries (run/journal.h, role/chat_line.h)
 *   LOG_DIR/meta                             struct order_meta and the node's id in the group
 *   LOG_DIR/snapshot                         order_snapshot()
 *
 * Records reach it in their order: what needs another file than the journal waits for the journal,
 * and what follows waits for it; both are rare. */
#ifndef ROLE_CHAT_DISK_H
#define ROLE_CHAT_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "core/order.h"
#include "role/chat_line.h"
#include "run/journal.h"
#include "run/loop.h"

struct chat_disk;

struct chat_disk_options {
    const char *dir;    /* exists */
    uint64_t bytes_max; /* of entries kept, 0: all */
    int64_t age_max_ms; /* of entries kept, 0: any */

    /* All records up to `record` are durable. */
    void (*on_persisted)(void *arg, uint64_t record);
    /* Space is short (`code` < 0) or not any more (0). */
    void (*on_space)(void *arg, int code);
    /* Nothing can be written any more; close it and open it again. Once. */
    void (*on_failed)(void *arg, const struct error *e);
    /* Entries up to `seq` were given up. */
    void (*on_trimmed)(void *arg, uint64_t seq);
    void *arg;
};

/* What was found at the open, for the machine. Freed with chat_disk_found_done(). */
struct chat_disk_found {
    uint64_t id; /* this node's in its group; 0: nothing was ever written */
    struct order_meta meta;
    struct buf snapshot; /* empty: none */
    uint64_t snapshot_seq;
    uint64_t trimmed_seq; /* entries up to here are not there */
    char trouble[256];    /* "" or what an operator should know */
};

/* Blocks for as long as reading all takes. Damage behind the snapshot cuts the log there, and
 * meta.damaged is set durably before. */
int chat_disk_open(struct chat_disk **out, struct loop *loop,
                   const struct chat_disk_options *options, struct chat_disk_found *found,
                   struct error *e);
void chat_disk_found_done(struct chat_disk_found *found);

/* Hands the entries behind the snapshot to the machine. Blocks. */
int chat_disk_load(struct chat_disk *disk, struct order *order, struct error *e);

/* A hole in entries that the snapshot covers; false when there is none. */
bool chat_disk_hole(const struct chat_disk *disk, uint64_t *first, uint64_t *last);

/* Finishes what was given to it unless it failed, frees it and calls `fn`. No callback comes any
 * more. */
void chat_disk_close(struct chat_disk *disk, void (*fn)(void *arg), void *arg);

/* Takes records over, in their order. `id`: this node's. */
void chat_disk_write(struct chat_disk *disk, uint64_t id, const struct order_record *records,
                     size_t n);

/* Keeps a snapshot of the entries up to `seq`, copied. Older entries may go from then on. */
void chat_disk_keep_snapshot(struct chat_disk *disk, uint64_t seq, const struct buf *snapshot);

/* Gives up what retention lets go; calls on_trimmed when that is done. True: it would give up
 * more if a newer snapshot were kept. */
bool chat_disk_trim(struct chat_disk *disk, int64_t wall_ms);

/* First entry there; the last that is durable. */
uint64_t chat_disk_first(const struct chat_disk *disk);
uint64_t chat_disk_last(const struct chat_disk *disk);
/* What the kept snapshot covers; 0: there is none. */
uint64_t chat_disk_snapshot_seq(const struct chat_disk *disk);
uint64_t chat_disk_bytes(const struct chat_disk *disk);
bool chat_disk_failed(const struct chat_disk *disk);

/* Reads entries from `first` on; `fn` is called once, never from within, with 0 and at least one
 * entry, or ERR_NOT_FOUND, ERR_CORRUPT, -errno. The entries are borrowed for the call. */
typedef void (*chat_disk_read_fn)(void *arg, int code, const struct order_entry *entries, size_t n);
struct chat_disk_read;
struct chat_disk_read *chat_disk_read(struct chat_disk *disk, uint64_t first, unsigned entries_max,
                                      size_t bytes_max, chat_disk_read_fn fn, void *arg);
void chat_disk_read_cancel(struct chat_disk_read *read); /* NULL allowed */

/* The same as a lump: `n` lines of the journal as they are, each with its checksum. */
typedef void (*chat_disk_lump_fn)(void *arg, int code, const void *bytes, size_t len, size_t n);
struct chat_disk_read *chat_disk_read_lump(struct chat_disk *disk, uint64_t first,
                                           unsigned entries_max, size_t bytes_max,
                                           chat_disk_lump_fn fn, void *arg);

/* What is in a lump. */
struct chat_disk_lump {
    struct chat_line_batch batch; /* the entries */
    size_t *ends;                 /* where each ends in the bytes */
    size_t ends_cap;
};

void chat_disk_lump_init(struct chat_disk_lump *lump);
void chat_disk_lump_done(struct chat_disk_lump *lump);
/* Reads a lump that came from elsewhere; what `lump` held before goes. ERR_CORRUPT: a sum is wrong,
 * or these are no lines that chat_disk_write() could have written. */
int chat_disk_lump_take(struct chat_disk_lump *lump, const void *bytes, size_t len);

/* A piece of the kept snapshot; `seq` 0: the latest. `fn` as above. */
typedef void (*chat_disk_piece_fn)(void *arg, int code, uint64_t seq, uint64_t size,
                                   const void *data, size_t len);
void chat_disk_read_snapshot(struct chat_disk *disk, uint64_t seq, uint64_t offset,
                             size_t bytes_max, chat_disk_piece_fn fn, void *arg);

#endif
