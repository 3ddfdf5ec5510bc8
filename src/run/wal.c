/* Happy path: requests are staged during a turn of the loop, whose hook hands them to the writer
 * together; the writer hands them back.
 *
 * How it fails: see wal.h. The writer notes the first error, and from then on only passes requests
 * back with it. */
#include "run/wal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "run/wal_replay.h"
#include "run/wal_store.h"
#include "run/wal_thread.h"

struct wal {
    struct loop *loop;
    struct loop_hook hook; /* hands over what was staged */
    struct wal_options options;
    struct wal_store store; /* the writer's while its thread runs */
    struct wal_thread writer;
    struct wal_replay replay; /* until loaded */
    uint64_t torn_bytes;
    bool direct;
    bool loaded;
    bool changed; /* since the open */
    bool closing;
    int status;
    uint64_t first; /* index of the first record */
    uint64_t next;  /* index behind the last */
    uint64_t in_flight_bytes;
    struct wal_queue staged;
    STAILQ_HEAD(, wal_req) order; /* all in flight, oldest first */
    void (*close_cb)(void *arg);
    void *close_arg;
};

static void flush(struct wal *wal)
{
    if (!STAILQ_EMPTY(&wal->staged))
        wal_thread_put(&wal->writer, &wal->staged);
}

static void on_turn_end(void *arg)
{
    flush(arg);
}

static void free_wal(struct wal *wal)
{
    loop_hook_disarm(&wal->hook);
    wal_store_done(&wal->store);
    wal_replay_done(&wal->replay);
    free(wal);
}

static void finish(struct wal *wal, struct wal_req *req)
{
    assert(STAILQ_FIRST(&wal->order) == req);
    STAILQ_REMOVE_HEAD(&wal->order, order);
    wal->in_flight_bytes -= req->bytes;
    if (req->cb != NULL)
        req->cb(req, req->status);
    else
        free(req);
}

static void on_outcome(void *arg)
{
    struct wal *wal = arg;
    struct wal_outcome outcome;
    wal_thread_take(&wal->writer, &outcome);
    if (outcome.writer.error.code != 0 && wal->status == 0) {
        wal->status = outcome.writer.error.code;
        if (wal->options.on_failed != NULL)
            wal->options.on_failed(wal->options.arg, &outcome.writer.error);
    }
    struct wal_req *req;
    while ((req = STAILQ_FIRST(&outcome.done)) != NULL) {
        STAILQ_REMOVE_HEAD(&outcome.done, entry);
        finish(wal, req);
    }
    if (outcome.writer.reserve_changed && !wal->closing && wal->options.on_reserve != NULL)
        wal->options.on_reserve(wal->options.arg, outcome.writer.reserve);
    if (!outcome.writer.stopped)
        return;
    assert(STAILQ_EMPTY(&wal->order));
    wal_thread_join(&wal->writer);
    void (*cb)(void *arg) = wal->close_cb;
    void *close_arg = wal->close_arg;
    free_wal(wal);
    if (cb != NULL)
        cb(close_arg);
}

int wal_open(struct wal **out, struct loop *loop, const char *dir,
             const struct wal_options *options, struct error *e)
{
    struct wal *wal = mem_zalloc(sizeof *wal);
    wal->loop = loop;
    if (options != NULL)
        wal->options = *options;
    if (wal->options.in_flight_bytes_max == 0)
        wal->options.in_flight_bytes_max = WAL_IN_FLIGHT_BYTES;
    STAILQ_INIT(&wal->staged);
    STAILQ_INIT(&wal->order);
    loop_hook_init(&wal->hook, loop, LOOP_PHASE_WRITE, on_turn_end, wal);
    int rc = wal_store_init(&wal->store, dir, &wal->options, e);
    if (rc == 0)
        rc = wal_replay_run(&wal->replay, &wal->store, e);
    if (rc < 0) {
        free_wal(wal);
        return rc;
    }
    wal->torn_bytes = wal->replay.torn_bytes;
    wal->direct = wal->store.dir.direct;
    wal->next = wal->replay.next;
    wal->first = wal->next - wal->replay.count;
    struct writer_thread_owner owner = {loop, wal->store.dir.io, on_outcome, wal};
    rc = wal_thread_start(&wal->writer, &wal->store, &owner, e);
    if (rc < 0) {
        free_wal(wal);
        return rc;
    }
    *out = wal;
    return 0;
}

void wal_close(struct wal *wal, void (*cb)(void *arg), void *arg)
{
    assert(!wal->closing);
    wal->closing = true;
    wal->close_cb = cb;
    wal->close_arg = arg;
    flush(wal);
    wal_thread_stop(&wal->writer);
}

int wal_load(struct wal *wal, wal_load_fn fn, void *arg, struct error *e)
{
    assert(!wal->loaded && !wal->changed);
    int rc = wal_replay_load(&wal->replay, &wal->store, fn, arg, e);
    wal->loaded = true;
    wal_replay_done(&wal->replay);
    return rc < 0 ? rc : 0;
}

uint64_t wal_torn_bytes(const struct wal *wal)
{
    return wal->torn_bytes;
}

bool wal_is_direct(const struct wal *wal)
{
    return wal->direct;
}

uint64_t wal_first_index(const struct wal *wal)
{
    return wal->first;
}

uint64_t wal_last_index(const struct wal *wal)
{
    return wal->next - 1;
}

static void stage(struct wal *wal, struct wal_req *req, enum wal_kind kind, uint64_t bytes,
                  wal_fn cb)
{
    assert(!wal->closing);
    req->kind = (int)kind;
    req->bytes = bytes;
    req->cb = cb;
    req->written = 0;
    req->status = 0;
    req->queued_ms = loop_now_ms(wal->loop);
    wal->changed = true;
    wal->in_flight_bytes += bytes;
    STAILQ_INSERT_TAIL(&wal->staged, req, entry);
    STAILQ_INSERT_TAIL(&wal->order, req, order);
    loop_hook_arm(&wal->hook);
}

int wal_append(struct wal *wal, struct wal_req *req, const struct wal_record *records,
               unsigned count, wal_fn cb)
{
    assert(count > 0 && cb != NULL);
    if (wal->status != 0)
        return wal->status;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        assert(records[i].index == wal->next + i);
        if (records[i].len > WAL_RECORD_BYTES_MAX)
            return ERR_TOO_LARGE;
        bytes += wal_format_record_bytes(records[i].len);
    }
    if (wal->in_flight_bytes > 0 && wal->in_flight_bytes + bytes > wal->options.in_flight_bytes_max)
        return ERR_BUSY;
    req->records = records;
    req->count = count;
    wal->next += count;
    stage(wal, req, WAL_KIND_APPEND, bytes, cb);
    return 0;
}

static int stage_change(struct wal *wal, struct wal_req *req, enum wal_kind kind, uint64_t index,
                        wal_fn cb)
{
    if (wal->status != 0)
        return wal->status;
    if (req == NULL)
        req = mem_zalloc(sizeof *req);
    req->records = NULL;
    req->count = 1;
    req->index = index;
    stage(wal, req, kind, 0, cb);
    return 0;
}

int wal_truncate(struct wal *wal, uint64_t index)
{
    assert(index >= wal->first && index < wal->next);
    int rc = stage_change(wal, NULL, WAL_KIND_TRUNCATE, index, NULL);
    if (rc == 0)
        wal->next = index;
    return rc;
}

int wal_trim(struct wal *wal, uint64_t index)
{
    assert(index < wal->next);
    if (index < wal->first)
        return 0;
    int rc = stage_change(wal, NULL, WAL_KIND_TRIM, index, NULL);
    if (rc == 0)
        wal->first = index + 1;
    return rc;
}

int wal_reset(struct wal *wal, struct wal_req *req, uint64_t next_index, wal_fn cb)
{
    assert(next_index > 0 && cb != NULL);
    int rc = stage_change(wal, req, WAL_KIND_RESET, next_index, cb);
    if (rc == 0)
        wal->first = wal->next = next_index;
    return rc;
}

int wal_sync(struct wal *wal)
{
    flush(wal);
    return wal_thread_sync(&wal->writer);
}

uint64_t wal_bytes_in_flight(const struct wal *wal)
{
    return wal->in_flight_bytes;
}

uint64_t wal_bytes_on_disk(struct wal *wal)
{
    return wal_thread_disk_bytes(&wal->writer);
}

uint64_t wal_oldest_wait_ms(const struct wal *wal)
{
    const struct wal_req *oldest = STAILQ_FIRST(&wal->order);
    return oldest == NULL ? 0 : (uint64_t)(loop_now_ms(wal->loop) - oldest->queued_ms);
}

bool wal_is_stalled(struct wal *wal)
{
    return wal_thread_is_stalled(&wal->writer);
}

int wal_status(const struct wal *wal)
{
    return wal->status;
}
