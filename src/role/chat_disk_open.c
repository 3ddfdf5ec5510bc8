/* Happy path: meta, snapshot, journal; the entries behind the snapshot are loaded from the journal.
 *
 * How it fails: what the journal lost behind the snapshot, or all of it, is cut off, and the meta
 * file says before that the log is damaged: the node then promises nothing until it has from the
 * others what it may have lost. What it lost in entries that the snapshot covers is mended from
 * them. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/chat_disk_internal.h"
#include "run/atomic_file.h"

enum { LOAD_BYTES = 1 << 20 };

void chat_disk_found_done(struct chat_disk_found *found)
{
    buf_done(&found->snapshot);
}

static int read_meta(struct chat_disk *disk, struct chat_disk_found *found, struct error *e)
{
    char *path = mem_printf("%s/meta", disk->dir);
    int rc = wal_meta_open(&disk->meta, path, NULL, e);
    free(path);
    if (rc < 0)
        return rc;
    size_t len;
    const void *data = wal_meta_get(disk->meta, &len);
    if (len == 0)
        return 0;
    rc = chat_disk_get_meta(data, len, &found->id, &found->meta);
    if (rc == ERR_VERSION)
        return error_set(e, rc, "%s/meta was written by a newer version of clusterd", disk->dir);
    if (rc < 0)
        return error_set(e, rc,
                         "%s/meta is damaged: remove %s, and the node fetches the log from "
                         "the others",
                         disk->dir, disk->dir);
    return 0;
}

static int read_snapshot(struct chat_disk *disk, struct chat_disk_found *found, struct error *e)
{
    int rc = atomic_file_read(disk->snapshot_path, &found->snapshot, e);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0)
        rc = order_snapshot_seq(found->snapshot.data, found->snapshot.len, &found->snapshot_seq);
    else
        return rc;
    if (rc < 0)
        return error_set(e, rc, "%s: %s: remove %s, and the node fetches the log from the others",
                         disk->snapshot_path, err_text(rc), disk->dir);
    disk->snapshot_seq = found->snapshot_seq;
    return 0;
}

/* Before anything is cut: the meta file says that the log is not whole. */
static int note_damage(struct chat_disk *disk, struct chat_disk_found *found, struct error *e)
{
    if (found->meta.damaged)
        return 0;
    found->meta.damaged = true;
    uint8_t bytes[CHAT_DISK_META_BYTES];
    chat_disk_put_meta(bytes, found->id, &found->meta);
    return wal_meta_store(disk->meta, bytes, sizeof bytes, e);
}

/* The first number behind the snapshot that the journal lost; 0: none. */
static uint64_t find_damage(const struct chat_disk *disk, uint64_t behind)
{
    struct journal_damage damage;
    for (unsigned i = 0; journal_damage(disk->journal, i, &damage); i++)
        if (damage.last > behind)
            return damage.first > behind ? damage.first : behind + 1;
    return 0;
}

static int cut_damage(struct chat_disk *disk, struct chat_disk_found *found, struct error *e)
{
    uint64_t behind = found->snapshot_seq;
    uint64_t first = journal_first(disk->journal);
    uint64_t last = journal_last(disk->journal);
    uint64_t lost = find_damage(disk, behind);
    if (lost == 0 && first <= behind + 1 && last >= behind) {
        struct journal_damage damage;
        if (!journal_damage(disk->journal, 0, &damage))
            return 0;
        (void)snprintf(found->trouble, sizeof found->trouble,
                       "%s is damaged at byte %" PRIu64 ": messages %" PRIu64 " to %" PRIu64
                       " are fetched from the other nodes",
                       damage.file, damage.offset, damage.first, damage.last);
        return note_damage(disk, found, e);
    }
    if (last < behind && lost == 0) { /* an INSTALL that a crash interrupted */
        (void)journal_reset(disk->journal, behind + 1, NULL);
        return journal_sync_now(disk->journal);
    }
    (void)snprintf(found->trouble, sizeof found->trouble,
                   "the log is damaged: messages from %" PRIu64
                   " on are fetched from the other nodes",
                   lost > 0 ? lost : behind + 1);
    int rc = note_damage(disk, found, e);
    if (rc < 0)
        return rc;
    if (lost > first && lost <= last)
        rc = journal_truncate(disk->journal, lost);
    else
        rc = journal_reset(disk->journal, behind + 1, NULL);
    return rc < 0 ? rc : journal_sync_now(disk->journal);
}

static int open_all(struct chat_disk *disk, struct chat_disk_found *found, struct error *e)
{
    const struct journal_options options = {
        .in_flight_bytes_max = UINT64_MAX, /* the machine has a bound of its own */
        .on_reserve = chat_disk_on_space,
        .on_failed = chat_disk_on_failed,
        .arg = disk,
    };
    int rc = read_meta(disk, found, e);
    if (rc == 0)
        rc = read_snapshot(disk, found, e);
    if (rc == 0)
        rc = journal_open(&disk->journal, disk->loop, disk->dir, &options, e);
    if (rc < 0)
        return rc;
    if (journal_torn_bytes(disk->journal) > 0)
        log_info(LOG_ABOUT(.role = "chat"),
                 "%" PRIu64 " bytes at the end of the log were cut: a write that was interrupted",
                 journal_torn_bytes(disk->journal));
    rc = cut_damage(disk, found, e);
    if (rc < 0)
        return error_set(e, rc, "cannot repair the log in %s: %s", disk->dir, err_text(rc));
    found->trimmed_seq = journal_first(disk->journal) - 1;
    return 0;
}

static void ignore(void *arg)
{
    (void)arg;
}

int chat_disk_open(struct chat_disk **out, struct loop *loop,
                   const struct chat_disk_options *options, struct chat_disk_found *found,
                   struct error *e)
{
    struct chat_disk *disk = mem_zalloc(sizeof *disk);
    disk->loop = loop;
    disk->options = *options;
    disk->dir = mem_strdup(options->dir);
    disk->snapshot_path = mem_printf("%s/snapshot", disk->dir);
    STAILQ_INIT(&disk->waiting);
    TAILQ_INIT(&disk->reads);
    TAILQ_INIT(&disk->pieces);
    buf_init(&disk->scratch, SIZE_MAX / 4);
    buf_init(&disk->snapshot, SIZE_MAX / 4);
    chat_line_batch_init(&disk->batch);
    *found = (struct chat_disk_found){0};
    buf_init(&found->snapshot, ORDER_SNAPSHOT_BYTES_MAX);
    int rc = open_all(disk, found, e);
    if (rc == 0) {
        *out = disk;
        return 0;
    }
    chat_disk_found_done(found);
    if (disk->journal != NULL) {
        disk->closing = true;
        disk->close_fn = ignore;
        chat_disk_work_done((disk->works++, disk));
        return rc;
    }
    wal_meta_close(disk->meta);
    free(disk->snapshot_path);
    free(disk->dir);
    free(disk);
    return rc;
}

int chat_disk_load(struct chat_disk *disk, struct order *order, struct error *e)
{
    struct journal_read read = {.from = disk->snapshot_seq + 1, .bytes_max = LOAD_BYTES};
    int rc = 0;
    while (rc == 0 && read.from <= journal_last(disk->journal)) {
        rc = journal_read_now(disk->journal, &read);
        struct journal_line line;
        size_t at = 0;
        chat_line_batch_clear(&disk->batch);
        while (rc == 0 && journal_next_line(&read.lines, &at, &line))
            rc = chat_line_batch_add(&disk->batch, line.seq, line.members, line.members_len);
        if (rc < 0) {
            (void)error_set(e, rc, "cannot read line %" PRIu64 " of the log in %s: %s", read.from,
                            disk->dir, err_text(rc));
            break;
        }
        chat_line_batch_finish(&disk->batch);
        rc = order_load_entries(order, disk->batch.entries, disk->batch.n, e);
        read.from = read.next;
    }
    journal_read_done(&read);
    return rc;
}

bool chat_disk_hole(const struct chat_disk *disk, uint64_t *first, uint64_t *last)
{
    struct journal_damage damage;
    if (!journal_damage(disk->journal, 0, &damage) || damage.first == 0)
        return false;
    *first = damage.first;
    *last = damage.last;
    return true;
}
