/* Happy path: entries become lines of the journal; when they are durable, the record that brought
 * them is persisted. A META or INSTALL waits until the journal is durable, is written on the pool,
 * and then what came behind it goes on.
 *
 * How it fails: the first error of journal, meta or snapshot ends all writing; the owner opens the
 * disk anew. */
#include "role/chat_disk.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/chat_disk_internal.h"
#include "run/atomic_file.h"

static const struct log_about chat_log = {.role = "chat"};

/* ---- the meta file --------------------------------------------------------------------------- */

enum { META_VERSION = 1, META_FIELDS = CHAT_DISK_META_BYTES / 8 };

void chat_disk_put_meta(uint8_t out[static CHAT_DISK_META_BYTES], uint64_t id,
                        const struct order_meta *meta)
{
    uint64_t fields[META_FIELDS] = {
        htole64(META_VERSION),      htole64(id),
        htole64(meta->group),       htole64(meta->term),
        htole64(meta->promised_to), htole64(meta->damaged),
    };
    memcpy(out, fields, sizeof fields);
}

int chat_disk_get_meta(const void *data, size_t len, uint64_t *id, struct order_meta *meta)
{
    uint64_t fields[META_FIELDS];
    if (len != sizeof fields)
        return ERR_CORRUPT;
    memcpy(fields, data, sizeof fields);
    if (le64toh(fields[0]) != META_VERSION)
        return ERR_VERSION;
    *id = le64toh(fields[1]);
    *meta = (struct order_meta){
        .group = le64toh(fields[2]),
        .term = le64toh(fields[3]),
        .promised_to = le64toh(fields[4]),
        .damaged = fields[5] != 0,
    };
    return 0;
}

/* ---- failure and the end --------------------------------------------------------------------- */

void chat_disk_fail(struct chat_disk *disk, const struct error *e)
{
    if (disk->failed || disk->closing)
        return;
    disk->failed = true;
    disk->options.on_failed(disk->options.arg, e);
}

void chat_disk_on_failed(void *arg, const struct error *e)
{
    chat_disk_fail(arg, e);
}

void chat_disk_on_space(void *arg, int code)
{
    struct chat_disk *disk = arg;
    if (!disk->failed && !disk->closing)
        disk->options.on_space(disk->options.arg, code);
}

static void free_record(struct chat_disk_record *record)
{
    buf_done(&record->bytes);
    free(record);
}

static void on_journal_closed(void *arg)
{
    struct chat_disk *disk = arg;
    wal_meta_close(disk->meta);
    struct chat_disk_record *record;
    while ((record = STAILQ_FIRST(&disk->waiting)) != NULL) {
        STAILQ_REMOVE_HEAD(&disk->waiting, entry);
        free_record(record);
    }
    if (disk->slow != NULL)
        free_record(disk->slow);
    void (*fn)(void *arg) = disk->close_fn;
    void *close_arg = disk->close_arg;
    chat_line_batch_done(&disk->batch);
    buf_done(&disk->scratch);
    buf_done(&disk->snapshot);
    free(disk->snapshot_path);
    free(disk->dir);
    free(disk);
    fn(close_arg);
}

static void finish_close(struct chat_disk *disk)
{
    if (disk->closing && disk->works == 0)
        journal_close(disk->journal, on_journal_closed, disk);
}

void chat_disk_close(struct chat_disk *disk, void (*fn)(void *arg), void *arg)
{
    assert(!disk->closing);
    disk->closing = true;
    disk->close_fn = fn;
    disk->close_arg = arg;
    chat_disk_reads_cancel(disk);
    finish_close(disk);
}

void chat_disk_work_done(struct chat_disk *disk)
{
    disk->works--;
    finish_close(disk);
}

/* ---- records --------------------------------------------------------------------------------- */

static void pump(struct chat_disk *disk);

struct synced {
    struct journal_req req;
    struct chat_disk *disk;
    uint64_t record; /* 0: the slow one may begin, or has ended */
};

static void run_slow(struct chat_disk *disk);

static void on_synced(struct journal_req *req, int status)
{
    struct synced *synced = req->data;
    struct chat_disk *disk = synced->disk;
    uint64_t record = synced->record;
    free(synced);
    if (status < 0 || disk->closing || disk->failed)
        return;
    if (record > 0)
        disk->options.on_persisted(disk->options.arg, record);
    else
        run_slow(disk);
}

static void sync_journal(struct chat_disk *disk, uint64_t record)
{
    struct synced *synced = mem_zalloc(sizeof *synced);
    synced->disk = disk;
    synced->record = record;
    synced->req.data = synced;
    journal_sync(disk->journal, &synced->req, on_synced);
}

/* On the pool: META and INSTALL touch files of their own. */
static void on_slow_work(void *arg)
{
    struct chat_disk *disk = arg;
    struct chat_disk_record *record = disk->slow;
    if (record->type == ORDER_RECORD_META) {
        uint8_t bytes[CHAT_DISK_META_BYTES];
        chat_disk_put_meta(bytes, record->id, &record->meta);
        disk->slow_code = wal_meta_store(disk->meta, bytes, sizeof bytes, NULL);
    } else {
        disk->slow_code = atomic_file_write(disk->snapshot_path, 0600, record->bytes.data,
                                            record->bytes.len, NULL);
    }
}

static void on_slow_done(void *arg, int code)
{
    struct chat_disk *disk = arg;
    struct chat_disk_record *record = disk->slow;
    struct error e;
    if (code == 0)
        code = disk->slow_code;
    if (code < 0 && !disk->closing) {
        error_set(&e, code, "cannot write %s in %s: %s",
                  record->type == ORDER_RECORD_META ? "the promise" : "a snapshot", disk->dir,
                  err_text(code));
        chat_disk_fail(disk, &e);
    } else if (!disk->closing && !disk->failed) {
        if (record->type == ORDER_RECORD_INSTALL) {
            disk->snapshot_seq = record->seq;
            (void)journal_reset(disk->journal, record->seq + 1, NULL);
        }
        sync_journal(disk, record->record);
        disk->slow = NULL;
        free_record(record);
        pump(disk);
    }
    chat_disk_work_done(disk);
}

static void run_slow(struct chat_disk *disk)
{
    if (disk->slow->type == ORDER_RECORD_INSTALL && disk->snapshot_busy) {
        sync_journal(disk, 0); /* one writer of that file at a time */
        return;
    }
    disk->works++;
    (void)loop_work(disk->loop, on_slow_work, on_slow_done, disk);
}

static int append_objects(struct chat_disk *disk, const struct buf *objects)
{
    int rc = 0;
    const char *at = (const char *)objects->data;
    const char *end = at + objects->len;
    while (rc == 0 && at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        rc = journal_append(disk->journal, at, (size_t)(newline - at));
        at = newline + 1;
    }
    return rc;
}

static void append_lump(struct chat_disk *disk, const void *bytes, size_t len)
{
    (void)journal_append_lines(disk->journal, bytes, len);
}

static void repair(struct chat_disk *disk, const struct chat_disk_record *record)
{
    int rc = journal_repair(disk->journal, record->first, record->last, &record->bytes);
    if (rc < 0 && rc != ERR_NOT_FOUND)
        log_warn(LOG_ABOUT(.role = "chat", .code = rc), "cannot repair the log: %s", err_text(rc));
}

/* What the journal alone can do. The journal's own errors come by on_failed. */
static void execute(struct chat_disk *disk, const struct chat_disk_record *record)
{
    switch (record->type) {
    case ORDER_RECORD_APPEND:
        if (record->is_lump)
            append_lump(disk, record->bytes.data, record->bytes.len);
        else
            (void)append_objects(disk, &record->bytes);
        break;
    case ORDER_RECORD_TRUNCATE:
        if (record->seq < journal_last(disk->journal))
            (void)journal_truncate(disk->journal, record->seq + 1);
        break;
    case ORDER_RECORD_MEND:
        repair(disk, record);
        break;
    case ORDER_RECORD_BEAT:
        (void)journal_beat(disk->journal);
        break;
    case ORDER_RECORD_META:
    case ORDER_RECORD_INSTALL:
        assert(false);
    }
}

/* Gives the journal what may go on; one callback for all of it. */
static void pump(struct chat_disk *disk)
{
    uint64_t last = 0;
    struct chat_disk_record *record;
    while (disk->slow == NULL && (record = STAILQ_FIRST(&disk->waiting)) != NULL) {
        STAILQ_REMOVE_HEAD(&disk->waiting, entry);
        if (record->type == ORDER_RECORD_META || record->type == ORDER_RECORD_INSTALL) {
            disk->slow = record;
            break;
        }
        execute(disk, record);
        last = record->record;
        free_record(record);
    }
    if (last > 0)
        sync_journal(disk, last);
    if (disk->slow != NULL)
        sync_journal(disk, 0);
}

static void put_entries(struct chat_disk *disk, const struct order_record *record, struct buf *out)
{
    for (size_t i = 0; i < record->entries_n; i++) {
        chat_line_put(out, &disk->clock, record->entries[i]);
        (void)buf_append_byte(out, '\n');
    }
}

static void queue_record(struct chat_disk *disk, uint64_t id, const struct order_record *record)
{
    struct chat_disk_record *copy = mem_zalloc(sizeof *copy);
    copy->type = record->type;
    copy->record = record->record;
    copy->id = id;
    copy->meta = record->meta;
    copy->seq = record->seq;
    buf_init(&copy->bytes, SIZE_MAX / 4);
    if (record->entries_n > 0) {
        copy->first = record->entries[0]->seq;
        copy->last = record->entries[record->entries_n - 1]->seq;
        put_entries(disk, record, &copy->bytes);
    }
    copy->is_lump = record->lump != NULL;
    if (copy->is_lump)
        (void)buf_append(&copy->bytes, record->lump, record->lump_len);
    if (record->snapshot_len > 0)
        (void)buf_append(&copy->bytes, record->snapshot, record->snapshot_len);
    STAILQ_INSERT_TAIL(&disk->waiting, copy, entry);
}

static void append_record(struct chat_disk *disk, const struct order_record *record)
{
    uint64_t next = journal_last(disk->journal) + 1;
    if (record->lump != NULL) {
        assert(record->seq == next);
        append_lump(disk, record->lump, record->lump_len);
    }
    assert(record->entries_n == 0 || record->entries[0]->seq == next);
    (void)next;
    for (size_t i = 0; i < record->entries_n; i++) {
        buf_clear(&disk->scratch);
        chat_line_put(&disk->scratch, &disk->clock, record->entries[i]);
        (void)journal_append(disk->journal, (const char *)disk->scratch.data, disk->scratch.len);
    }
}

void chat_disk_write(struct chat_disk *disk, uint64_t id, const struct order_record *records,
                     size_t n)
{
    if (disk->failed || n == 0)
        return;
    size_t at = 0;
    bool is_idle = disk->slow == NULL && STAILQ_EMPTY(&disk->waiting);
    for (; is_idle && at < n && records[at].type == ORDER_RECORD_APPEND; at++)
        append_record(disk, &records[at]);
    if (at > 0 && at == n)
        sync_journal(disk, records[n - 1].record);
    for (; at < n; at++)
        queue_record(disk, id, &records[at]);
    if (is_idle)
        pump(disk);
}

/* ---- snapshots and retention ----------------------------------------------------------------- */

static void on_snapshot_work(void *arg)
{
    struct chat_disk *disk = arg;
    (void)atomic_file_write(disk->snapshot_path, 0600, disk->snapshot.data, disk->snapshot.len,
                            &disk->snapshot_error);
}

static void on_snapshot_done(void *arg, int code)
{
    struct chat_disk *disk = arg;
    disk->snapshot_busy = false;
    buf_done(&disk->snapshot);
    if (code == 0 && disk->snapshot_error.code == 0) {
        if (disk->snapshot_next_seq > disk->snapshot_seq)
            disk->snapshot_seq = disk->snapshot_next_seq;
    } else if (code == 0 && !disk->closing) {
        log_warn(LOG_ABOUT(.role = "chat", .code = disk->snapshot_error.code), "%s",
                 disk->snapshot_error.text);
    }
    chat_disk_work_done(disk);
}

void chat_disk_keep_snapshot(struct chat_disk *disk, uint64_t seq, const struct buf *snapshot)
{
    bool installing = disk->slow != NULL && disk->slow->type == ORDER_RECORD_INSTALL;
    if (disk->snapshot_busy || installing || disk->failed || disk->closing)
        return;
    disk->snapshot_busy = true;
    disk->snapshot_next_seq = seq;
    disk->snapshot_error = (struct error){0};
    (void)buf_append(&disk->snapshot, snapshot->data, snapshot->len);
    disk->works++;
    (void)loop_work(disk->loop, on_snapshot_work, on_snapshot_done, disk);
}

struct dropped {
    struct journal_req req;
    struct chat_disk *disk;
};

static void on_dropped(struct journal_req *req, int status)
{
    struct dropped *dropped = req->data;
    struct chat_disk *disk = dropped->disk;
    free(dropped);
    disk->dropping = 0;
    if (status < 0 || disk->closing || disk->failed)
        return;
    uint64_t first = journal_first(disk->journal);
    log_info(&chat_log, "messages before %llu were given up, as the retention says",
             (unsigned long long)first);
    disk->options.on_trimmed(disk->options.arg, first - 1);
}

bool chat_disk_trim(struct chat_disk *disk, int64_t wall_ms)
{
    if (disk->failed || disk->closing || disk->dropping > 0)
        return false;
    int64_t oldest_ms = disk->options.age_max_ms > 0 ? wall_ms - disk->options.age_max_ms : 0;
    uint64_t seq = journal_retain(disk->journal, disk->options.bytes_max, oldest_ms);
    bool wants_snapshot = seq > disk->snapshot_seq + 1;
    if (wants_snapshot)
        seq = disk->snapshot_seq + 1;
    if (seq <= journal_first(disk->journal))
        return wants_snapshot;
    disk->dropping = seq;
    struct dropped *dropped = mem_zalloc(sizeof *dropped);
    dropped->disk = disk;
    dropped->req.data = dropped;
    (void)journal_drop(disk->journal, seq, NULL);
    journal_sync(disk->journal, &dropped->req, on_dropped);
    return wants_snapshot;
}

uint64_t chat_disk_first(const struct chat_disk *disk)
{
    return journal_first(disk->journal);
}

uint64_t chat_disk_last(const struct chat_disk *disk)
{
    return journal_durable(disk->journal);
}

uint64_t chat_disk_snapshot_seq(const struct chat_disk *disk)
{
    return disk->snapshot_seq;
}

uint64_t chat_disk_bytes(const struct chat_disk *disk)
{
    return journal_bytes_on_disk(disk->journal);
}

bool chat_disk_failed(const struct chat_disk *disk)
{
    return disk->failed;
}
