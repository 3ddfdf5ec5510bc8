/* Reading, on workers with connections of their own: a reader never waits for the writer. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/event_store_internal.h"

enum { EVENT_STORE_READ_BUSY_MS = 2000, EVENT_STORE_RAW_MAX = 4 * EVENT_STORE_PENDING_MAX };

enum event_store_kind { EVENT_STORE_EVENTS, EVENT_STORE_FRAME, EVENT_STORE_TICKS };

struct event_store_read {
    struct event_store *store; /* NULL: it is closed */
    char *path;
    struct loop *loop;
    enum event_store_kind kind;
    bool cancelled;
    struct event_store_want want;
    int64_t from_ms, to_ms;
    union {
        event_store_events_fn events;
        event_store_frame_fn frame;
        event_store_ticks_fn ticks;
    } fn;
    void *arg;

    int code;
    char *data;
    size_t len;
    Wire__EventBatch *batch;
    uint64_t first, last;
    int64_t at_ms;
    struct event_store_tick *ticks;
    size_t ticks_n;
    TAILQ_ENTRY(event_store_read) link;
};

/* ---- on the worker --------------------------------------------------------------------------- */

static char *event_store_column(sqlite3_stmt *stmt, int column, size_t max, size_t *len)
{
    return event_store_inflate(sqlite3_column_blob(stmt, column),
                               (size_t)sqlite3_column_bytes(stmt, column), max, len);
}

static int event_store_query_events(struct event_store_read *read, sqlite3 *db)
{
    static const char *const sql[] = {
        "SELECT first, last, data FROM own WHERE last > ? AND first < ? AND at_max >= ?"
        " ORDER BY first LIMIT 1",
        "SELECT first, last, data FROM stream WHERE last > ? AND first < ? AND at_max >= ?"
        " ORDER BY first LIMIT 1"};
    sqlite3_stmt *stmt = NULL;
    int64_t before = read->want.before > INT64_MAX ? INT64_MAX : (int64_t)read->want.before;
    if (sqlite3_prepare_v2(db, sql[read->want.list], -1, &stmt, NULL) != SQLITE_OK)
        return ERR_CORRUPT;
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)read->want.after);
    (void)sqlite3_bind_int64(stmt, 2, before);
    (void)sqlite3_bind_int64(stmt, 3, read->want.since_ms);
    int rc = sqlite3_step(stmt);
    int err = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : ERR_CORRUPT;
    if (rc == SQLITE_ROW) {
        read->first = (uint64_t)sqlite3_column_int64(stmt, 0);
        read->last = (uint64_t)sqlite3_column_int64(stmt, 1);
        read->data = event_store_column(stmt, 2, EVENT_STORE_RAW_MAX, &read->len);
        if (read->data != NULL)
            read->batch = wire__event_batch__unpack(NULL, read->len, (uint8_t *)read->data);
        err = read->batch != NULL ? 0 : ERR_CORRUPT;
    }
    (void)sqlite3_finalize(stmt);
    return err;
}

static int event_store_query_frame(struct event_store_read *read, sqlite3 *db)
{
    static const char *const sql[] = {
        "SELECT position, at, data FROM frames WHERE at <= ? ORDER BY at DESC LIMIT 1",
        "SELECT position, at, data FROM frames WHERE at > ? ORDER BY at LIMIT 1"};
    int err = ERR_NOT_FOUND;
    for (unsigned i = 0; err == ERR_NOT_FOUND && i < MEM_COUNT(sql); i++) {
        sqlite3_stmt *stmt = NULL;
        if (sqlite3_prepare_v2(db, sql[i], -1, &stmt, NULL) != SQLITE_OK)
            return ERR_CORRUPT;
        (void)sqlite3_bind_int64(stmt, 1, read->from_ms);
        int rc = sqlite3_step(stmt);
        err = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? ERR_NOT_FOUND : ERR_CORRUPT;
        if (rc == SQLITE_ROW) {
            read->first = (uint64_t)sqlite3_column_int64(stmt, 0);
            read->at_ms = sqlite3_column_int64(stmt, 1);
            read->data = event_store_column(stmt, 2, EVENT_STORE_BLOB_MAX, &read->len);
            err = read->data != NULL ? 0 : ERR_CORRUPT;
        }
        (void)sqlite3_finalize(stmt);
    }
    return err;
}

/* A coarse tick is left out where finer ones begin. */
static int event_store_query_ticks(struct event_store_read *read, sqlite3 *db)
{
    static const char sql[] =
        "SELECT step, at, data FROM ticks WHERE at > ?1 AND at < ?2 AND"
        " (step = 1000 OR (step = 10000 AND at < (SELECT coalesce(min(at), ?2) FROM ticks WHERE"
        " step = 1000)) OR (step = 60000 AND at < (SELECT coalesce(min(at), ?2) FROM ticks WHERE"
        " step IN (1000, 10000)))) ORDER BY at LIMIT ?3";
    sqlite3_stmt *stmt = NULL;
    int rc;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return ERR_CORRUPT;
    (void)sqlite3_bind_int64(stmt, 1, read->from_ms);
    (void)sqlite3_bind_int64(stmt, 2, read->to_ms);
    (void)sqlite3_bind_int64(stmt, 3, EVENT_STORE_TICKS_MAX);
    read->ticks = mem_calloc(EVENT_STORE_TICKS_MAX, sizeof *read->ticks);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && read->ticks_n < EVENT_STORE_TICKS_MAX) {
        struct event_store_tick *tick = &read->ticks[read->ticks_n];
        tick->step_ms = (uint32_t)sqlite3_column_int64(stmt, 0);
        tick->at_ms = sqlite3_column_int64(stmt, 1);
        tick->data = event_store_column(stmt, 2, EVENT_STORE_BLOB_MAX, &tick->len);
        read->ticks_n += tick->data != NULL;
    }
    (void)sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : ERR_CORRUPT;
}

static void event_store_on_read(void *arg)
{
    struct event_store_read *read = arg;
    sqlite3 *db = NULL;
    read->code = ERR_CORRUPT;
    if (sqlite3_open_v2(read->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) ==
        SQLITE_OK) {
        (void)sqlite3_busy_timeout(db, EVENT_STORE_READ_BUSY_MS);
        read->code = read->kind == EVENT_STORE_EVENTS  ? event_store_query_events(read, db)
                     : read->kind == EVENT_STORE_FRAME ? event_store_query_frame(read, db)
                                                       : event_store_query_ticks(read, db);
    }
    (void)sqlite3_close(db);
}

/* ---- on the loop ----------------------------------------------------------------------------- */

static void event_store_answer(struct event_store_read *read)
{
    switch (read->kind) {
    case EVENT_STORE_EVENTS:
        read->fn.events(read->arg, read->code, read->batch, read->first, read->last);
        break;
    case EVENT_STORE_FRAME:
        read->fn.frame(read->arg, read->code, read->data, read->len, read->first, read->at_ms);
        break;
    case EVENT_STORE_TICKS:
        read->fn.ticks(read->arg, read->code, read->ticks, read->ticks_n);
        break;
    }
}

static void event_store_on_done(void *arg, int code)
{
    struct event_store_read *read = arg;
    (void)code;
    if (read->store != NULL)
        TAILQ_REMOVE(&read->store->reads, read, link);
    if (!read->cancelled)
        event_store_answer(read);
    for (size_t i = 0; i < read->ticks_n; i++)
        free(read->ticks[i].data);
    if (read->batch != NULL)
        wire__event_batch__free_unpacked(read->batch, NULL);
    free(read->ticks);
    free(read->data);
    free(read->path);
    free(read);
}

static struct event_store_read *event_store_read_new(struct event_store *store,
                                                     enum event_store_kind kind, void *arg)
{
    struct event_store_read *read = mem_zalloc(sizeof *read);
    read->store = store;
    read->path = mem_strdup(store->file.path);
    read->loop = store->options.loop;
    read->kind = kind;
    read->arg = arg;
    TAILQ_INSERT_TAIL(&store->reads, read, link);
    return read;
}

static struct event_store_read *event_store_start(struct event_store_read *read)
{
    (void)loop_work(read->loop, event_store_on_read, event_store_on_done, read);
    return read;
}

struct event_store_read *event_store_read_events(struct event_store *store,
                                                 const struct event_store_want *want,
                                                 event_store_events_fn fn, void *arg)
{
    struct event_store_read *read = event_store_read_new(store, EVENT_STORE_EVENTS, arg);
    read->want = *want;
    read->fn.events = fn;
    return event_store_start(read);
}

struct event_store_read *event_store_read_frame(struct event_store *store, int64_t at_ms,
                                                event_store_frame_fn fn, void *arg)
{
    struct event_store_read *read = event_store_read_new(store, EVENT_STORE_FRAME, arg);
    read->from_ms = at_ms;
    read->fn.frame = fn;
    return event_store_start(read);
}

struct event_store_read *event_store_read_ticks(struct event_store *store, int64_t after_ms,
                                                int64_t before_ms, event_store_ticks_fn fn,
                                                void *arg)
{
    struct event_store_read *read = event_store_read_new(store, EVENT_STORE_TICKS, arg);
    read->from_ms = after_ms;
    read->to_ms = before_ms;
    read->fn.ticks = fn;
    return event_store_start(read);
}

void event_store_cancel(struct event_store_read *read)
{
    if (read != NULL)
        read->cancelled = true;
}

/* The store closes: who reads hears nothing any more; what runs ends by itself. */
void event_store_end_reads(struct event_store *store)
{
    struct event_store_read *read;
    while ((read = TAILQ_FIRST(&store->reads)) != NULL) {
        TAILQ_REMOVE(&store->reads, read, link);
        read->store = NULL;
        read->cancelled = true;
    }
}

/* ---- everything ------------------------------------------------------------------------------ */

/* Steps through `sql`, which gives numbers in its first two columns and data in its third. */
static int event_store_walk_rows(sqlite3 *db, const char *sql, int64_t since_ms, unsigned what,
                                 const struct event_store_walk *walk)
{
    sqlite3_stmt *stmt = NULL;
    int rc = SQLITE_ROW, err = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return ERR_CORRUPT;
    (void)sqlite3_bind_int64(stmt, 1, since_ms);
    while (err == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        size_t len;
        int64_t first = sqlite3_column_int64(stmt, 0), second = sqlite3_column_int64(stmt, 1);
        char *data = event_store_column(stmt, 2, EVENT_STORE_BLOB_MAX, &len);
        Wire__EventBatch *batch = data != NULL && what == EVENT_STORE_EVENTS
                                      ? wire__event_batch__unpack(NULL, len, (uint8_t *)data)
                                      : NULL;
        if (data == NULL || (what == EVENT_STORE_EVENTS && batch == NULL))
            err = ERR_CORRUPT;
        else if (what == EVENT_STORE_EVENTS)
            walk->events(walk->arg, batch);
        else if (what == EVENT_STORE_FRAME)
            walk->frame(walk->arg, second, (uint64_t)first, data, len);
        else
            walk->tick(walk->arg, (uint32_t)first, second, data, len);
        if (batch != NULL)
            wire__event_batch__free_unpacked(batch, NULL);
        free(data);
    }
    (void)sqlite3_finalize(stmt);
    return err == 0 && rc != SQLITE_DONE ? ERR_CORRUPT : err;
}

int event_store_walk(const char *path, const struct event_store_walk *walk)
{
    static const char ticks[] =
        "SELECT step, at, data FROM ticks WHERE at >= ?1 AND (step = 1000 OR (step = 10000 AND at <"
        " (SELECT coalesce(min(at), 9e18) FROM ticks WHERE step = 1000)) OR (step = 60000 AND at <"
        " (SELECT coalesce(min(at), 9e18) FROM ticks WHERE step IN (1000, 10000)))) ORDER BY at";
    sqlite3 *db = NULL;
    int err = -EIO;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK) {
        (void)sqlite3_busy_timeout(db, EVENT_STORE_READ_BUSY_MS);
        err = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK ? 0 : ERR_CORRUPT;
    }
    if (err == 0)
        err = event_store_walk_rows(
            db,
            "SELECT position, at, data FROM frames WHERE at >= (SELECT coalesce(max(at), 0) FROM "
            "frames WHERE at <= ?1) ORDER BY at",
            walk->since_ms, EVENT_STORE_FRAME, walk);
    if (err == 0)
        err = event_store_walk_rows(
            db,
            "SELECT first, last, data FROM stream WHERE at_max >= ?1 OR last > (SELECT coalesce("
            "max(position), 9e18) FROM frames WHERE at <= ?1) ORDER BY first",
            walk->since_ms, EVENT_STORE_EVENTS, walk);
    if (err == 0)
        err = event_store_walk_rows(db, ticks, walk->since_ms, EVENT_STORE_TICKS, walk);
    (void)sqlite3_close(db);
    return err;
}
