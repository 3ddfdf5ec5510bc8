/* The file. The last block of a list is written again with what has come until it is full: few
 * rows, and text that compresses well. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/event_store_internal.h"

enum {
    EVENT_STORE_PRUNE_MS = 30000,
    EVENT_STORE_PRUNE_ROWS = 16, /* blocks that go at once */
    EVENT_STORE_BUSY_MS = 5000,
};

static const char event_store_schema[] =
    "CREATE TABLE own (first INTEGER PRIMARY KEY, last INTEGER, at_min INTEGER, at_max INTEGER,"
    " bytes INTEGER, data BLOB);"
    "CREATE TABLE stream (first INTEGER PRIMARY KEY, last INTEGER, at_min INTEGER,"
    " at_max INTEGER, bytes INTEGER, data BLOB);"
    "CREATE TABLE frames (position INTEGER PRIMARY KEY, at INTEGER, bytes INTEGER, data BLOB);"
    "CREATE INDEX frames_at ON frames (at);"
    "CREATE TABLE ticks (step INTEGER, at INTEGER, bytes INTEGER, data BLOB,"
    " PRIMARY KEY (step, at));"
    "CREATE TABLE marks (node INTEGER PRIMARY KEY, seq INTEGER);"
    "PRAGMA user_version=1;";

static const char *const event_store_names[] = {"own", "stream"};
static const uint32_t event_store_steps[] = {1000, 10000, 60000};

void *event_store_deflate(const void *data, size_t len, size_t *out_len)
{
    uLongf bound = compressBound(len);
    uint8_t *out = mem_alloc(bound + 4);
    for (unsigned i = 0; i < 4; i++)
        out[i] = (uint8_t)(len >> 8 * i);
    if (compress2(out + 4, &bound, data, len, 1) != Z_OK)
        abort(); /* the bound is zlib's own */
    *out_len = bound + 4;
    return out;
}

char *event_store_inflate(const void *data, size_t len, size_t max, size_t *out_len)
{
    const uint8_t *in = data;
    size_t raw = 0;
    for (unsigned i = 0; len >= 4 && i < 4; i++)
        raw |= (size_t)in[i] << 8 * i;
    uLongf got = raw;
    if (len < 4 || raw > max)
        return NULL;
    char *out = mem_alloc(raw + 1);
    if (uncompress((Bytef *)out, &got, in + 4, len - 4) != Z_OK || got != raw) {
        free(out);
        return NULL;
    }
    out[raw] = '\0';
    *out_len = raw;
    return out;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int event_store_code(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    default:
        return -EIO;
    }
}

static int event_store_fail(const struct event_store_file *file, struct error *e)
{
    int code = event_store_code(sqlite3_errcode(file->db));
    return error_set(e, code, "%s: %s", file->path, sqlite3_errmsg(file->db));
}

static int event_store_exec(struct event_store_file *file, const char *sql, struct error *e)
{
    return sqlite3_exec(file->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                      : event_store_fail(file, e);
}

static int event_store_integer(struct event_store_file *file, const char *sql, int64_t *value,
                               struct error *e)
{
    sqlite3_stmt *stmt = NULL;
    int err = 0;
    *value = 0;
    if (sqlite3_prepare_v2(file->db, sql, -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        err = event_store_fail(file, e);
    else
        *value = sqlite3_column_int64(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return err;
}

static int event_store_find_marks(struct event_store_file *file, struct event_store_found *found,
                                  struct error *e)
{
    sqlite3_stmt *stmt = NULL;
    size_t cap = 0;
    int rc = sqlite3_prepare_v2(file->db, "SELECT node, seq FROM marks", -1, &stmt, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        MEM_GROW(found->marks, cap, found->marks_n + 1);
        found->marks[found->marks_n++] =
            (struct event_store_mark){.node = (uint64_t)sqlite3_column_int64(stmt, 0),
                                      .seq = (uint64_t)sqlite3_column_int64(stmt, 1)};
        rc = SQLITE_OK;
    }
    int err = rc == SQLITE_DONE ? 0 : event_store_fail(file, e);
    (void)sqlite3_finalize(stmt);
    return err;
}

static int event_store_look(struct event_store_file *file, struct event_store_found *found,
                            struct error *e)
{
    int64_t last[EVENT_STORE_LISTS], bytes = 0;
    int err = event_store_integer(file, "SELECT coalesce(max(last), 0) FROM own", &last[0], e);
    if (err == 0)
        err = event_store_integer(file, "SELECT coalesce(max(last), 0) FROM stream", &last[1], e);
    if (err == 0)
        err = event_store_integer(
            file,
            "SELECT (SELECT coalesce(sum(bytes), 0) FROM own) + (SELECT coalesce(sum(bytes), 0) "
            "FROM stream) + (SELECT coalesce(sum(bytes), 0) FROM frames) + (SELECT "
            "coalesce(sum(bytes), 0) FROM ticks)",
            &bytes, e);
    if (err == 0)
        err = event_store_find_marks(file, found, e);
    for (unsigned i = 0; err == 0 && i < EVENT_STORE_LISTS; i++)
        found->last[i] = (uint64_t)last[i];
    file->bytes = (uint64_t)bytes;
    return err;
}

static int event_store_open_file(struct event_store_file *file, struct event_store_found *found,
                                 struct error *e)
{
    int64_t version = 0;
    if (sqlite3_open_v2(file->path, &file->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return event_store_fail(file, e);
    (void)sqlite3_busy_timeout(file->db, EVENT_STORE_BUSY_MS);
    int err = event_store_exec(file,
                               "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL;"
                               "PRAGMA synchronous=OFF; PRAGMA cache_size=-2000;"
                               "PRAGMA journal_size_limit=4194304; PRAGMA temp_store=MEMORY",
                               e);
    if (err == 0)
        err = event_store_integer(file, "PRAGMA user_version", &version, e);
    if (err == 0 && version > EVENT_STORE_FORMAT)
        return error_set(e, ERR_VERSION,
                         "%s was written by a newer clusterd: start that one, or "
                         "move the file away",
                         file->path);
    if (err == 0 && version == 0)
        err = event_store_exec(file, event_store_schema, e);
    return err < 0 ? err : event_store_look(file, found, e);
}

static void event_store_put_aside(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (unsigned i = 0; i < MEM_COUNT(endings); i++) {
        char *from = mem_printf("%s%s", path, endings[i]);
        char *to = mem_printf("%s.damaged%s", path, endings[i]);
        (void)rename(from, to);
        free(from);
        free(to);
    }
}

int event_store_file_open(struct event_store_file *file, const struct event_store_options *options,
                          struct event_store_found *found, struct error *e)
{
    *file = (struct event_store_file){.path = mem_strdup(options->path),
                                      .bytes_max = options->bytes_max,
                                      .keep_ms = options->keep_ms};
    memcpy(file->ticks_keep_ms, options->ticks_keep_ms, sizeof file->ticks_keep_ms);
    for (unsigned i = 0; i < EVENT_STORE_LISTS; i++)
        event_store_pending_init(&file->open[i]);
    *found = (struct event_store_found){0};
    int err = event_store_open_file(file, found, e);
    if (err == ERR_CORRUPT) {
        (void)sqlite3_close(file->db);
        file->db = NULL;
        free(found->marks);
        *found = (struct event_store_found){.renewed = true};
        event_store_put_aside(file->path);
        err = event_store_open_file(file, found, e);
    }
    if (err < 0)
        event_store_file_close(file);
    return err;
}

void event_store_file_close(struct event_store_file *file)
{
    (void)sqlite3_close(file->db);
    file->db = NULL;
    for (unsigned i = 0; i < EVENT_STORE_LISTS; i++)
        buf_done(&file->open[i].packed);
    free(file->path);
    file->path = NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int event_store_run(struct event_store_file *file, const char *sql, const int64_t *values,
                           int n, const void *data, size_t len, struct error *e)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(file->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return event_store_fail(file, e);
    for (int i = 0; i < n; i++)
        (void)sqlite3_bind_int64(stmt, i + 1, values[i]);
    if (data != NULL)
        (void)sqlite3_bind_blob64(stmt, n + 1, data, len, SQLITE_STATIC);
    int err = sqlite3_step(stmt) == SQLITE_DONE ? 0 : event_store_fail(file, e);
    (void)sqlite3_finalize(stmt);
    return err;
}

/* Writes the last block of a list as it is now. */
static int event_store_write_block(struct event_store_file *file, unsigned list,
                                   const struct event_store_pending *block, struct error *e)
{
    size_t len;
    char sql[128];
    void *data = event_store_deflate(block->packed.data, block->packed.len, &len);
    const int64_t values[] = {(int64_t)block->first, (int64_t)block->last, block->at_min_ms,
                              block->at_max_ms, (int64_t)len};
    (void)snprintf(sql, sizeof sql,
                   "REPLACE INTO %s (first, last, at_min, at_max, bytes, data)"
                   " VALUES (?, ?, ?, ?, ?, ?)",
                   event_store_names[list]);
    int err = event_store_run(file, sql, values, MEM_COUNT(values), data, len, e);
    if (err == 0) {
        file->bytes += len - file->open_bytes[list];
        file->open_bytes[list] = len;
    }
    free(data);
    return err;
}

static int event_store_write_list(struct event_store_file *file, unsigned list,
                                  const struct event_store_pending *more, struct error *e)
{
    struct event_store_pending *open = &file->open[list];
    if (more->n == 0)
        return 0;
    if (open->packed.len > 0 && open->packed.len + more->packed.len > EVENT_STORE_BLOCK_BYTES) {
        buf_clear(&open->packed);
        file->open_bytes[list] = 0;
    }
    if (open->packed.len == 0) {
        open->first = more->first;
        open->at_min_ms = more->at_min_ms;
        open->at_max_ms = more->at_max_ms;
    }
    (void)buf_append(&open->packed, more->packed.data, more->packed.len);
    open->last = more->last;
    if (more->at_min_ms < open->at_min_ms)
        open->at_min_ms = more->at_min_ms;
    if (more->at_max_ms > open->at_max_ms)
        open->at_max_ms = more->at_max_ms;
    return event_store_write_block(file, list, open, e);
}

static int event_store_write_blob(struct event_store_file *file,
                                  const struct event_store_blob *blob, struct error *e)
{
    size_t len;
    void *data = event_store_deflate(blob->data, blob->len, &len);
    const int64_t frame[] = {(int64_t)blob->position, blob->at_ms, (int64_t)len};
    const int64_t tick[] = {blob->step_ms, blob->at_ms, (int64_t)len};
    int err = event_store_run(
        file,
        blob->frame ? "REPLACE INTO frames (position, at, bytes, data) VALUES (?, ?, ?, ?)"
                    : "REPLACE INTO ticks (step, at, bytes, data) VALUES (?, ?, ?, ?)",
        blob->frame ? frame : tick, 3, data, len, e);
    file->bytes += err == 0 ? len : 0;
    free(data);
    return err;
}

/* ---- what goes ------------------------------------------------------------------------------- */

/* Deletes what `where` says (with one value) and takes its bytes off. */
static int event_store_drop(struct event_store_file *file, const char *table, const char *where,
                            int64_t value, struct error *e)
{
    sqlite3_stmt *stmt = NULL;
    char sql[256];
    (void)snprintf(sql, sizeof sql, "DELETE FROM %s WHERE %s RETURNING bytes", table, where);
    if (sqlite3_prepare_v2(file->db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return event_store_fail(file, e);
    (void)sqlite3_bind_int64(stmt, 1, value);
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        uint64_t bytes = (uint64_t)sqlite3_column_int64(stmt, 0);
        file->bytes -= bytes < file->bytes ? bytes : file->bytes;
    }
    int err = rc == SQLITE_DONE ? 0 : event_store_fail(file, e);
    (void)sqlite3_finalize(stmt);
    return err;
}

static int event_store_drop_old(struct event_store_file *file, int64_t now_ms, struct error *e)
{
    char where[64];
    int err = event_store_drop(file, "own", "at_max < ?", now_ms - file->keep_ms, e);
    if (err == 0)
        err = event_store_drop(file, "stream", "at_max < ?", now_ms - file->keep_ms, e);
    if (err == 0)
        err = event_store_drop(file, "frames", "at < ?", now_ms - file->keep_ms, e);
    for (unsigned i = 0; err == 0 && i < MEM_COUNT(event_store_steps); i++) {
        (void)snprintf(where, sizeof where, "step = %u AND at < ?", event_store_steps[i]);
        err = event_store_drop(file, "ticks", where, now_ms - file->ticks_keep_ms[i], e);
    }
    return err;
}

#define EVENT_STORE_ALL                                                                            \
    "(SELECT at_max AS at FROM own UNION ALL SELECT at_max FROM stream UNION ALL SELECT at FROM "  \
    "frames UNION ALL SELECT at FROM ticks)"

/* The oldest eighth of everything, but not many rows at once. */
static int event_store_drop_oldest(struct event_store_file *file, struct error *e)
{
    int64_t at_ms = 0, rows = 0;
    char sql[512];
    int err = event_store_integer(file, "SELECT count(*) FROM " EVENT_STORE_ALL, &rows, e);
    rows = rows / 8 < 1 ? 1 : rows / 8 > EVENT_STORE_PRUNE_ROWS ? EVENT_STORE_PRUNE_ROWS : rows / 8;
    (void)snprintf(sql, sizeof sql,
                   "SELECT coalesce(max(at), 0) FROM (SELECT at FROM " EVENT_STORE_ALL
                   " ORDER BY at LIMIT %d)",
                   (int)rows);
    if (err == 0)
        err = event_store_integer(file, sql, &at_ms, e);
    if (err == 0)
        err = event_store_drop(file, "own", "at_max <= ?", at_ms, e);
    if (err == 0)
        err = event_store_drop(file, "stream", "at_max <= ?", at_ms, e);
    if (err == 0)
        err = event_store_drop(file, "frames", "at <= ?", at_ms, e);
    if (err == 0)
        err = event_store_drop(file, "ticks", "at <= ?", at_ms, e);
    return err;
}

static int event_store_prune(struct event_store_file *file, int64_t now_ms, struct error *e)
{
    bool due = now_ms - file->pruned_ms >= EVENT_STORE_PRUNE_MS || now_ms < file->pruned_ms;
    if (!due && file->bytes <= file->bytes_max)
        return 0;
    int err = event_store_drop_old(file, now_ms, e);
    uint64_t before = UINT64_MAX;
    while (err == 0 && file->bytes > file->bytes_max && file->bytes < before) {
        before = file->bytes;
        err = event_store_drop_oldest(file, e);
    }
    file->pruned_ms = now_ms;
    return err;
}

int event_store_file_write(struct event_store_file *file, const struct event_store_load *load,
                           int64_t now_ms, struct error *e)
{
    int err = event_store_exec(file, "BEGIN", e);
    if (err < 0)
        return err;
    for (unsigned i = 0; err == 0 && i < EVENT_STORE_LISTS; i++)
        err = event_store_write_list(file, i, &load->lists[i], e);
    const struct event_store_blob *blob;
    STAILQ_FOREACH (blob, &load->blobs, link)
        err = err == 0 ? event_store_write_blob(file, blob, e) : err;
    for (size_t i = 0; err == 0 && i < load->marks_n; i++) {
        const int64_t values[] = {(int64_t)load->marks[i].node, (int64_t)load->marks[i].seq};
        err = event_store_run(file, "REPLACE INTO marks (node, seq) VALUES (?, ?)", values, 2, NULL,
                              0, e);
    }
    if (err == 0)
        err = event_store_prune(file, now_ms, e);
    if (err == 0)
        err = event_store_exec(file, "COMMIT", e);
    if (err == 0) {
        (void)sqlite3_exec(file->db, "PRAGMA incremental_vacuum(64)", NULL, NULL, NULL);
        return 0;
    }
    (void)sqlite3_exec(file->db, "ROLLBACK", NULL, NULL, NULL);
    for (unsigned i = 0; i < EVENT_STORE_LISTS; i++) { /* begin new blocks */
        buf_clear(&file->open[i].packed);
        file->open_bytes[i] = 0;
    }
    return err;
}
