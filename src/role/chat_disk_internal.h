/* What the parts of role/chat_disk share; nobody else includes it. */
#ifndef ROLE_CHAT_DISK_INTERNAL_H
#define ROLE_CHAT_DISK_INTERNAL_H

#include <sys/queue.h>

#include "role/chat_disk.h"
#include "run/wal_meta.h"

/* A record that waits for one before it. */
struct chat_disk_record {
    enum order_record_type type;
    uint64_t record;
    uint64_t id;
    struct order_meta meta;
    uint64_t seq;   /* TRUNCATE, INSTALL */
    uint64_t first; /* MEND */
    uint64_t last;
    bool is_lump;
    struct buf bytes; /* objects with newlines, a lump, or the snapshot */
    STAILQ_ENTRY(chat_disk_record) entry;
};

struct chat_disk_read {
    struct journal_read read;
    struct chat_disk *disk;
    chat_disk_read_fn fn;
    chat_disk_lump_fn lump_fn; /* one of the two */
    void *arg;
    TAILQ_ENTRY(chat_disk_read) entry;
};

struct chat_disk_piece;

struct chat_disk {
    struct loop *loop;
    struct chat_disk_options options;
    char *dir;
    char *snapshot_path;
    struct journal *journal;
    struct wal_meta *meta;
    bool failed;

    STAILQ_HEAD(, chat_disk_record) waiting;
    struct chat_disk_record *slow; /* the one that needs more than the journal */
    int slow_code;
    struct buf scratch;
    struct chat_line_clock clock;

    uint64_t snapshot_seq;
    struct buf snapshot; /* being written */
    uint64_t snapshot_next_seq;
    bool snapshot_busy;
    struct error snapshot_error;

    uint64_t dropping; /* first number that stays; 0: nothing is dropped at the moment */
    TAILQ_HEAD(, chat_disk_read) reads;
    struct chat_line_batch batch;
    TAILQ_HEAD(, chat_disk_piece) pieces;

    bool closing;
    unsigned works; /* on the pool */
    void (*close_fn)(void *arg);
    void *close_arg;
};

/* Bytes of the meta file. */
enum { CHAT_DISK_META_BYTES = 48 };
void chat_disk_put_meta(uint8_t out[static CHAT_DISK_META_BYTES], uint64_t id,
                        const struct order_meta *meta);
int chat_disk_get_meta(const void *data, size_t len, uint64_t *id, struct order_meta *meta);

void chat_disk_fail(struct chat_disk *disk, const struct error *e);
/* A work on the pool has ended. */
void chat_disk_work_done(struct chat_disk *disk);
/* The journal's callbacks. */
void chat_disk_on_space(void *arg, int code);
void chat_disk_on_failed(void *arg, const struct error *e);
void chat_disk_reads_cancel(struct chat_disk *disk);

#endif
