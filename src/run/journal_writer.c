#include "run/journal_writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "run/journal_format.h"
#include "run/journal_rewrite.h"

#define NEXT_NAME    "next.tmp"
#define GROWING_NAME "growing.tmp"

static void lock(struct journal_writer *writer)
{
    pthread_mutex_lock(&writer->table->mutex);
}

static void unlock(struct journal_writer *writer)
{
    pthread_mutex_unlock(&writer->table->mutex);
}

static int fill_all(struct journal_writer *writer, struct journal_file *file, const char *name)
{
    int rc;
    while ((rc = journal_file_fill(writer->dir, file, name)) == 0)
        continue;
    return rc < 0 ? rc : 0;
}

static int prepare(struct journal_writer *writer, uint64_t bytes)
{
    if (writer->next_ready && writer->next.cap >= bytes)
        return 1;
    int rc = 0;
    if (writer->next.fd < 0 || writer->next.cap < bytes) {
        journal_file_done(&writer->next);
        writer->next_ready = false;
        rc = journal_file_create(writer->dir, &writer->next, NEXT_NAME, bytes);
    }
    if (rc == 0)
        rc = journal_file_fill(writer->dir, &writer->next, NEXT_NAME);
    writer->next_ready = rc == 1;
    if (rc < 0) {
        journal_file_done(&writer->next);
        (void)journal_file_unlink(writer->dir, NEXT_NAME);
    }
    return rc;
}

static int prepare_all(struct journal_writer *writer, uint64_t bytes)
{
    int rc;
    while ((rc = prepare(writer, bytes)) == 0)
        continue;
    return rc < 0 ? rc : 0;
}

static uint64_t at_most_whole(const struct journal_writer *writer, uint64_t bytes)
{
    return bytes < writer->segment_bytes ? bytes : writer->segment_bytes;
}

int journal_writer_prepare(struct journal_writer *writer)
{
    return prepare(writer, writer->segment_bytes);
}

bool journal_writer_is_low(const struct journal_writer *writer)
{
    const struct journal_file *file = &writer->file;
    return !writer->next_ready && (file->len > file->cap / 2 || file->cap < writer->segment_bytes);
}

/* Of a segment that nobody prepared: somebody waits for it. */
static uint64_t next_bytes(const struct journal_writer *writer)
{
    return at_most_whole(writer,
                         writer->file.fd >= 0 ? 2 * writer->file.cap : JOURNAL_SEGMENT_BYTES_FIRST);
}

/* `file`, which is empty, becomes the segment that begins with line `first`, with `content` in it,
 * of which `head_len` bytes are its head, and is written from now on. */
static int adopt(struct journal_writer *writer, struct journal_file *file, const char *name,
                 uint64_t first, const struct buf *content, size_t head_len)
{
    char final[JOURNAL_NAME_MAX];
    journal_name(final, first);
    int rc = journal_file_write(writer->dir, file, name, content->data, content->len);
    if (rc == 0)
        rc = journal_file_rename(writer->dir, name, final);
    if (rc < 0)
        return rc;
    struct journal_segment *segment = journal_segment_new(first);
    segment->bytes = segment->lines_at = head_len;
    segment->at_ms = clock_wall_ms();
    lock(writer);
    journal_table_add(writer->table, segment);
    unlock(writer);
    journal_file_done(&writer->file);
    writer->active = segment;
    writer->file = *file;
    journal_file_init(file);
    return 0;
}

/* Goes on in a new segment that begins with line `first` and has room for `bytes` of lines. */
static int rotate(struct journal_writer *writer, uint64_t first, const struct buf *carry,
                  uint64_t bytes)
{
    struct buf head;
    buf_init(&head, SIZE_MAX / 4);
    journal_put_beginning(&head, writer->log, first, carry);
    uint64_t want = head.len + bytes;
    if (want < next_bytes(writer))
        want = next_bytes(writer);
    if (!writer->next_ready && writer->next.cap > want)
        journal_file_done(&writer->next); /* a smaller one is sooner there than the rest of it */
    int rc = prepare_all(writer, want);
    if (rc == 0)
        rc = adopt(writer, &writer->next, NEXT_NAME, first, &head, head.len);
    if (rc == 0)
        writer->next_ready = false;
    buf_done(&head);
    return rc;
}

/* Writes on in the last segment, which gets room for `bytes` in all. */
static int resume(struct journal_writer *writer, uint64_t bytes)
{
    struct journal_segment *segment = TAILQ_LAST(&writer->table->segments, journal_segment_list);
    char name[JOURNAL_NAME_MAX];
    journal_name(name, segment->first);
    journal_file_done(&writer->file);
    writer->active = segment;
    int rc = journal_file_resume(writer->dir, &writer->file, name, segment->bytes, bytes);
    return rc == 0 ? fill_all(writer, &writer->file, name) : rc;
}

/* Writes on in the last segment, which gets as much room again as it has lines. */
static int resume_last(struct journal_writer *writer)
{
    uint64_t bytes = 2 * TAILQ_LAST(&writer->table->segments, journal_segment_list)->bytes;
    if (bytes < JOURNAL_SEGMENT_BYTES_FIRST)
        bytes = JOURNAL_SEGMENT_BYTES_FIRST;
    return resume(writer, at_most_whole(writer, bytes));
}

/* Makes room for `bytes` of lines that begin with `first`: in a new segment, or, when there is no
 * line in the present one yet, there. */
static int make_room(struct journal_writer *writer, uint64_t first, uint64_t bytes)
{
    if (writer->active->first == first)
        return resume(writer, writer->active->bytes + bytes);
    return rotate(writer, first, NULL, bytes);
}

int journal_writer_init(struct journal_writer *writer, struct wal_dir *dir,
                        struct journal_table *table, uint64_t log, uint64_t segment_bytes,
                        struct error *e)
{
    *writer = (struct journal_writer){
        .dir = dir, .table = table, .log = log, .segment_bytes = segment_bytes};
    const char *slash = strrchr(dir->path, '/');
    const char *name = slash != NULL ? slash + 1 : dir->path;
    writer->sync = metric_series(METRIC_LOG_SYNC, name);
    writer->batch = metric_series(METRIC_LOG_BATCH, name);
    writer->bytes = metric_series(METRIC_LOG_BYTES, name);
    journal_file_init(&writer->file);
    journal_file_init(&writer->next);
    int rc = TAILQ_EMPTY(&table->segments) ? rotate(writer, 1, NULL, 0) : resume_last(writer);
    if (rc < 0)
        return error_set(e, rc, "cannot write to the journal in %s: %s", dir->path, err_text(rc));
    return 0;
}

void journal_writer_done(struct journal_writer *writer)
{
    journal_file_done(&writer->file);
    if (writer->next.fd >= 0)
        (void)journal_file_unlink(writer->dir, NEXT_NAME);
    journal_file_done(&writer->next);
}

/* The lines of `op` are durable. */
static void note_lines(struct journal_writer *writer, const struct journal_op *op)
{
    struct journal_segment *segment = writer->active;
    metric_series_observe(writer->sync, clock_mono_us() - writer->since_us);
    metric_series_observe(writer->batch, (int64_t)(op->last - op->first + 1));
    metric_series_add(writer->bytes, op->text.len);
    lock(writer);
    journal_segment_note(segment, op->first, segment->bytes);
    segment->last = op->last;
    segment->bytes += op->text.len;
    writer->table->bytes += op->text.len;
    unlock(writer);
}

static int put_lines(struct journal_writer *writer, const struct journal_op *op)
{
    char name[JOURNAL_NAME_MAX];
    journal_name(name, writer->active->first);
    int rc = journal_file_write(writer->dir, &writer->file, name, op->text.data, op->text.len);
    if (rc == 0)
        note_lines(writer, op);
    return rc;
}

/* Goes on in a new segment that grows, with the lines of `op` as its first. */
static int begin_growing(struct journal_writer *writer, const struct journal_op *op)
{
    struct journal_file file;
    struct buf content;
    journal_file_init(&file);
    buf_init(&content, SIZE_MAX / 4);
    journal_put_beginning(&content, writer->log, op->first, NULL);
    size_t head_len = content.len;
    (void)buf_append(&content, op->text.data, op->text.len);
    int rc = journal_file_create_growing(writer->dir, &file, GROWING_NAME);
    if (rc == 0) {
        journal_file_grow(&file, content.len);
        rc = adopt(writer, &file, GROWING_NAME, op->first, &content, head_len);
    }
    if (rc == 0) {
        note_lines(writer, op);
    } else {
        journal_file_done(&file);
        (void)journal_file_unlink(writer->dir, GROWING_NAME);
    }
    buf_done(&content);
    return rc;
}

static bool is_full(int code)
{
    return code == -ENOSPC || code == -EDQUOT;
}

/* Writes where the segment grows. When is_full() nothing was written, and the reserve is there. */
static int write_growing(struct journal_writer *writer, const struct journal_op *op)
{
    struct journal_file *file = &writer->file;
    int rc = prepare_all(writer, writer->segment_bytes);
    if (rc < 0)
        return rc;
    if (!file->grows || file->len + op->text.len > writer->segment_bytes)
        return begin_growing(writer, op);
    journal_file_grow(file, op->text.len);
    rc = put_lines(writer, op);
    if (!is_full(rc))
        return rc;
    char name[JOURNAL_NAME_MAX];
    journal_name(name, writer->active->first);
    int cut = journal_file_cut(writer->dir, name, file->len);
    return cut < 0 ? cut : rc;
}

static int write_lines(struct journal_writer *writer, const struct journal_op *op)
{
    if (op->text.len == 0)
        return 0;
    assert(op->first == writer->active->last + 1);
    writer->since_us = clock_mono_us();
    if (writer->file.len + op->text.len <= writer->file.cap)
        return put_lines(writer, op);
    bool is_empty = writer->active->first == op->first;
    int rc = op->bulk && !is_empty ? write_growing(writer, op) : -ENOSPC;
    if (!is_full(rc))
        return rc;
    rc = make_room(writer, op->first, op->text.len);
    return rc == 0 ? put_lines(writer, op) : rc;
}

bool journal_writer_plan(struct journal_writer *writer, const struct journal_op *op,
                         struct disk_write *write)
{
    bool is_write = op->kind == JOURNAL_OP_WRITE && op->text.len > 0;
    const struct journal_file *file = &writer->file;
    if (!file->direct || (!is_write && op->kind != JOURNAL_OP_BEAT) ||
        op->text.len > DISK_WRITE_BYTES_MAX - WAL_PAGE_BYTES ||
        file->len + op->text.len > file->cap)
        return false;
    writer->since_us = clock_mono_us();
    journal_file_put(&writer->file, op->text.data, op->text.len, write);
    return write->len > 0;
}

void journal_writer_wrote(struct journal_writer *writer, const struct journal_op *op)
{
    journal_file_wrote(&writer->file, op->text.len);
    if (op->kind == JOURNAL_OP_WRITE)
        note_lines(writer, op);
}

static int beat(struct journal_writer *writer)
{
    char name[JOURNAL_NAME_MAX];
    journal_name(name, writer->active->first);
    return journal_file_touch(writer->dir, &writer->file, name);
}

/* Finds where line `seq` (or the next one that is there) begins; the end of the segment when none.
 */
static int find_line(struct journal_writer *writer, const struct journal_segment *segment,
                     uint64_t seq, uint64_t *offset, uint64_t *last)
{
    char name[JOURNAL_NAME_MAX];
    journal_name(name, segment->first);
    uint64_t from = journal_segment_seek(segment, seq);
    struct buf content;
    buf_init(&content, (size_t)segment->bytes + 1);
    int rc = journal_file_read(writer->dir, name, from, (size_t)(segment->bytes - from), &content);
    struct journal_scan scan = {(const char *)content.data, content.len, 0};
    struct journal_item item;
    *offset = segment->bytes;
    *last = seq - 1;
    while (rc == 0) {
        journal_scan_next(&scan, &item);
        if (item.kind == JOURNAL_ITEM_END)
            break;
        if (item.kind != JOURNAL_ITEM_LINE || item.mark.seq < seq)
            continue;
        *offset = from + item.offset;
        break;
    }
    buf_done(&content);
    return rc;
}

static int remove_segment(struct journal_writer *writer, struct journal_segment *segment)
{
    char name[JOURNAL_NAME_MAX];
    journal_name(name, segment->first);
    int rc = journal_file_unlink(writer->dir, name);
    if (rc < 0)
        return rc;
    lock(writer);
    journal_table_remove(writer->table, segment);
    unlock(writer);
    return 0;
}

/* Newest first, so that a crash leaves no gap. */
static int remove_behind(struct journal_writer *writer, const struct journal_segment *stay)
{
    struct journal_segment *segment;
    int rc = 0;
    while (rc == 0 &&
           (segment = TAILQ_LAST(&writer->table->segments, journal_segment_list)) != stay)
        rc = remove_segment(writer, segment);
    return rc;
}

static int truncate_from(struct journal_writer *writer, uint64_t seq)
{
    lock(writer);
    struct journal_segment *segment = journal_table_find(writer->table, seq);
    writer->table->generation++;
    unlock(writer);
    assert(segment != NULL);
    journal_file_done(&writer->file);
    uint64_t offset = 0;
    uint64_t last = 0;
    int rc = remove_behind(writer, segment);
    if (rc == 0)
        rc = find_line(writer, segment, seq, &offset, &last);
    char name[JOURNAL_NAME_MAX];
    journal_name(name, segment->first);
    if (rc == 0)
        rc = journal_file_cut(writer->dir, name, offset);
    if (rc < 0)
        return rc;
    lock(writer);
    journal_segment_cut(segment, seq);
    writer->table->bytes -= segment->bytes - offset;
    segment->bytes = offset;
    if (segment->last >= seq)
        segment->last = last;
    journal_table_forget_damage(writer->table, seq, UINT64_MAX);
    unlock(writer);
    return resume_last(writer);
}

static int reset(struct journal_writer *writer, uint64_t next, const struct buf *carry)
{
    lock(writer);
    writer->table->generation++;
    unlock(writer);
    int rc = remove_behind(writer, NULL);
    if (rc < 0)
        return rc;
    lock(writer);
    journal_table_forget_damage(writer->table, 0, UINT64_MAX);
    unlock(writer);
    return rotate(writer, next, carry, 0);
}

static int rewrite(struct journal_writer *writer, const struct journal_rewrite *how)
{
    struct journal_rewrite full = *how;
    full.dir = writer->dir;
    full.table = writer->table;
    full.log = writer->log;
    return journal_rewrite(&full);
}

/* The segment's file is a new one: if it is the one being written, go on there. */
static int follow(struct journal_writer *writer, const struct journal_segment *segment)
{
    return segment == writer->active ? resume_last(writer) : 0;
}

static int drop(struct journal_writer *writer, struct journal_op *op)
{
    lock(writer);
    struct journal_segment *stay = journal_table_find(writer->table, op->first);
    unlock(writer);
    if (stay == NULL || stay == TAILQ_FIRST(&writer->table->segments))
        return 0;
    int rc = 0;
    if (op->text.len > 0) {
        op->status =
            rewrite(writer, &(struct journal_rewrite){.segment = stay, .carry = &op->text});
        if (op->status < 0)
            return 0;
        rc = follow(writer, stay);
    }
    lock(writer);
    writer->table->generation++;
    journal_table_forget_damage(writer->table, 0, stay->first - 1);
    unlock(writer);
    struct journal_segment *segment;
    while (rc == 0 && (segment = TAILQ_FIRST(&writer->table->segments)) != stay)
        rc = remove_segment(writer, segment); /* oldest first: a crash leaves no gap */
    return rc;
}

static int repair(struct journal_writer *writer, struct journal_op *op)
{
    bool carried = op->last == 0;
    lock(writer);
    struct journal_segment *segment = carried ? TAILQ_FIRST(&writer->table->segments)
                                              : journal_table_find(writer->table, op->first);
    unlock(writer);
    struct journal_rewrite how = {.segment = segment};
    if (carried) {
        how.carry = &op->text;
    } else {
        how.first = op->first;
        how.last = op->last;
        how.lines = &op->text;
    }
    op->status = segment == NULL ? ERR_NOT_FOUND : rewrite(writer, &how);
    if (op->status < 0)
        return 0;
    lock(writer);
    journal_table_forget_damage(writer->table, op->first, op->last);
    unlock(writer);
    return follow(writer, segment);
}

static int execute(struct journal_writer *writer, struct journal_op *op)
{
    switch (op->kind) {
    case JOURNAL_OP_WRITE:
        return write_lines(writer, op);
    case JOURNAL_OP_TRUNCATE:
        return truncate_from(writer, op->first);
    case JOURNAL_OP_RESET:
        return reset(writer, op->first, op->text.len > 0 ? &op->text : NULL);
    case JOURNAL_OP_DROP:
        return drop(writer, op);
    case JOURNAL_OP_BEAT:
        return beat(writer);
    case JOURNAL_OP_REPAIR:
        return repair(writer, op);
    }
    return ERR_INTERNAL;
}

int journal_writer_step(struct journal_writer *writer, struct journal_op *op)
{
    op->status = 0;
    int rc = execute(writer, op);
    if (rc < 0)
        op->status = rc;
    return rc;
}
