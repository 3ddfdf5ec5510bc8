#include "run/wal_writer.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"

enum { PAGES_BYTES_MIN = 64 << 10, PAGES_BYTES_KEPT_MAX = 2 * WAL_BLOCK_BYTES_MAX };

static size_t round_up(size_t bytes)
{
    return (bytes + WAL_PAGE_BYTES - 1) & ~(size_t)(WAL_PAGE_BYTES - 1);
}

static void resize(struct wal_writer *writer, size_t cap)
{
    uint8_t *pages = aligned_alloc(WAL_PAGE_BYTES, cap);
    if (pages == NULL)
        abort();
    if (writer->len > 0)
        memcpy(pages, writer->pages, writer->len);
    free(writer->pages);
    writer->pages = pages;
    writer->cap = cap;
}

static void make_room(struct wal_writer *writer, size_t bytes)
{
    size_t want = round_up(writer->len + bytes);
    size_t cap = writer->cap;
    while (cap < want)
        cap *= 2;
    if (cap != writer->cap)
        resize(writer, cap);
}

/* A log is called after its directory; one in ".../raft/log" after the directory that holds it. */
static void name_metrics(struct wal_writer *writer, const char *path)
{
    char name[METRIC_VALUE_MAX];
    const char *end = path + strlen(path);
    if (end - path > 4 && strcmp(end - 4, "/log") == 0)
        end -= 4;
    const char *begin = end;
    while (begin > path && begin[-1] != '/')
        begin--;
    (void)snprintf(name, sizeof name, "%.*s", (int)(end - begin), begin);
    writer->sync = metric_series(METRIC_LOG_SYNC, name);
    writer->batch = metric_series(METRIC_LOG_BATCH, name);
    writer->bytes = metric_series(METRIC_LOG_BYTES, name);
}

int wal_writer_init(struct wal_writer *writer, struct wal_store *store, struct error *e)
{
    *writer = (struct wal_writer){.store = store};
    name_metrics(writer, store->dir.path);
    resize(writer, PAGES_BYTES_MIN);
    size_t tail = store->offset % WAL_PAGE_BYTES;
    if (tail == 0)
        return 0;
    uint8_t *data;
    int rc = wal_file_read(&store->dir, store->active, store->offset, &data, e);
    if (rc < 0)
        return rc;
    memcpy(writer->pages, data + store->offset - tail, tail);
    writer->len = tail;
    free(data);
    return 0;
}

void wal_writer_done(struct wal_writer *writer)
{
    free(writer->pages);
    *writer = (struct wal_writer){0};
}

/* The block whose records follow `begin` + head in `pages` is whole: the bytes to write. */
static size_t close_block(struct wal_writer *writer, size_t begin)
{
    struct wal_store *store = writer->store;
    size_t records = writer->len - begin - WAL_BLOCK_HEAD_BYTES;
    assert(begin == store->offset % WAL_PAGE_BYTES);
    wal_format_put_block(writer->pages + begin, records, store->sequence, store->active->head.salt,
                         store->offset);
    size_t bytes = round_up(writer->len);
    memset(writer->pages + writer->len, 0, bytes - writer->len);
    writer->begin = begin;
    writer->since_us = clock_mono_us();
    return bytes;
}

/* And now it is durable. */
static void note_block(struct wal_writer *writer)
{
    struct wal_store *store = writer->store;
    metric_series_observe(writer->sync, clock_mono_us() - writer->since_us);
    metric_series_observe(writer->batch, writer->records);
    metric_series_add(writer->bytes, round_up(writer->len));
    writer->records = 0;
    store->sequence++;
    store->offset += writer->len - writer->begin;
    size_t tail = writer->len % WAL_PAGE_BYTES;
    memmove(writer->pages, writer->pages + writer->len - tail, tail);
    writer->len = tail;
    if (writer->cap > PAGES_BYTES_KEPT_MAX)
        resize(writer, PAGES_BYTES_MIN);
}

static int write_block(struct wal_writer *writer, size_t bytes)
{
    struct wal_store *store = writer->store;
    int rc = wal_file_write(&store->dir, store->active, writer->pages, bytes,
                            store->offset - writer->begin);
    if (rc == 0)
        note_block(writer);
    return rc;
}

static void put_record(struct wal_writer *writer, enum wal_kind kind,
                       const struct wal_record *record)
{
    make_room(writer, wal_format_record_bytes(record->len));
    writer->records++;
    writer->len += wal_format_put_record(writer->pages + writer->len, kind, record);
}

static size_t begin_block(struct wal_writer *writer)
{
    size_t begin = writer->len;
    make_room(writer, WAL_BLOCK_HEAD_BYTES);
    writer->len += WAL_BLOCK_HEAD_BYTES;
    return begin;
}

/* Goes on to segments behind the active one until a block of `bytes` fits. */
static int find_room(struct wal_writer *writer, uint64_t bytes)
{
    struct wal_store *store = writer->store;
    while (wal_store_room(store) < bytes) {
        int rc = wal_store_prepare_now(store, bytes);
        if (rc == -ENOSPC || rc == -EDQUOT)
            return WAL_WRITER_NO_ROOM;
        if (rc < 0)
            return rc;
        size_t begin = begin_block(writer);
        struct wal_record seal = {.index = store->next->head.number};
        put_record(writer, WAL_KIND_SEAL, &seal);
        rc = write_block(writer, close_block(writer, begin));
        if (rc < 0)
            return rc;
        wal_store_advance(store);
        writer->len = 0;
    }
    return 0;
}

static struct wal_record next_record(const struct wal_req *req)
{
    if (req->kind == WAL_KIND_APPEND)
        return req->records[req->written];
    return (struct wal_record){.index = req->index};
}

/* Puts records of one request into the block as far as they fit in `room`; true when all did. */
static bool put_request(struct wal_writer *writer, struct wal_req *req, size_t begin, uint64_t room)
{
    struct wal_segment *segment = writer->store->active;
    while (req->written < req->count) {
        struct wal_record record = next_record(req);
        if (writer->len - begin + wal_format_record_bytes(record.len) > room)
            return false;
        put_record(writer, (enum wal_kind)req->kind, &record);
        if (req->kind == WAL_KIND_APPEND && record.index > segment->index_max)
            segment->index_max = record.index;
        req->written++;
    }
    return true;
}

static void move_first(struct wal_queue *from, struct wal_queue *to)
{
    struct wal_req *req = STAILQ_FIRST(from);
    STAILQ_REMOVE_HEAD(from, entry);
    STAILQ_INSERT_TAIL(to, req, entry);
}

/* Makes a block of at most `room` bytes from the front of `queue`, of which the first request's
 * next record fits; before a reset when that is not wanted. */
static void make_block(struct wal_writer *writer, const struct wal_queue *queue, uint64_t room,
                       bool takes_reset)
{
    size_t begin = begin_block(writer);
    writer->made = true;
    writer->begin = begin;
    writer->complete = 0;
    writer->reset = NULL; /* ends its block */
    struct wal_req *req = STAILQ_FIRST(queue);
    while (req != NULL && req->kind != WAL_KIND_TRIM && writer->reset == NULL &&
           (takes_reset || req->kind != WAL_KIND_RESET) && put_request(writer, req, begin, room)) {
        writer->complete++;
        if (req->kind == WAL_KIND_RESET)
            writer->reset = req;
        req = STAILQ_NEXT(req, entry);
    }
}

static uint64_t bytes_of_next(const struct wal_req *req)
{
    struct wal_record first = next_record(req);
    return WAL_BLOCK_HEAD_BYTES + wal_format_record_bytes(first.len);
}

int wal_writer_step(struct wal_writer *writer, struct wal_queue *queue, struct wal_queue *done)
{
    struct wal_store *store = writer->store;
    struct wal_req *req = STAILQ_FIRST(queue);
    int rc = 0;
    if (!writer->made && req->kind == WAL_KIND_TRIM) {
        rc = wal_store_trim(store, req->index);
        if (rc == 0)
            move_first(queue, done);
        return rc;
    }
    if (!writer->made) {
        uint64_t bytes = bytes_of_next(req);
        rc = find_room(writer, bytes);
        if (rc != 0)
            return rc;
        uint64_t room = wal_store_room(store);
        if (room > WAL_BLOCK_BYTES_MAX)
            room = bytes > WAL_BLOCK_BYTES_MAX ? bytes : WAL_BLOCK_BYTES_MAX;
        make_block(writer, queue, room, true);
    }
    rc = write_block(writer, close_block(writer, writer->begin));
    if (rc == 0 && writer->reset != NULL)
        rc = wal_store_reset(store, writer->reset->index);
    if (rc < 0)
        return rc;
    writer->made = false;
    for (; writer->complete > 0; writer->complete--)
        move_first(queue, done);
    return 0;
}

bool wal_writer_plan(struct wal_writer *writer, struct wal_queue *queue, struct disk_write *write)
{
    struct wal_store *store = writer->store;
    const struct wal_req *req = STAILQ_FIRST(queue);
    if (writer->made || !store->active->direct || req->kind == WAL_KIND_TRIM ||
        req->kind == WAL_KIND_RESET)
        return false;
    uint64_t room = wal_store_room(store);
    if (room > DISK_WRITE_BYTES_MAX - WAL_PAGE_BYTES)
        room = DISK_WRITE_BYTES_MAX - WAL_PAGE_BYTES;
    if (bytes_of_next(req) > room)
        return false;
    make_block(writer, queue, room, false);
    size_t bytes = close_block(writer, writer->begin);
    *write =
        (struct disk_write){store->active->fd, writer->pages, bytes, store->offset - writer->begin};
    return true;
}

void wal_writer_wrote(struct wal_writer *writer, struct wal_queue *queue, struct wal_queue *done)
{
    note_block(writer);
    writer->made = false;
    for (; writer->complete > 0; writer->complete--)
        move_first(queue, done);
}

int wal_writer_trim_ahead(struct wal_writer *writer, const struct wal_queue *queue)
{
    struct wal_store *store = writer->store;
    const struct wal_segment *oldest = TAILQ_FIRST(&store->live);
    uint64_t untouched = UINT64_MAX; /* no request so far concerns an index below */
    const struct wal_req *req;
    STAILQ_FOREACH (req, queue, entry) {
        if (req->kind == WAL_KIND_RESET)
            break;
        uint64_t index = next_record(req).index;
        if (req->kind == WAL_KIND_TRIM && index < untouched) {
            int rc = wal_store_trim(store, index);
            if (rc < 0)
                return rc;
        } else if (req->kind != WAL_KIND_TRIM && index < untouched) {
            untouched = index;
        }
    }
    return TAILQ_FIRST(&store->live) != oldest;
}
