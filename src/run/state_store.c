/* Happy path: open (schema made on first use), begin, apply batches change by change
 * (state_rows.h, state_tables.h), commit. It fails on a full or broken disk; the caller then stops
 * using the file. */
#include "run/state_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/sqlite_use.h"
#include "run/state_rows.h"
#include "run/state_tables.h"

enum { STATE_STORE_COPY_PAGES = 1024, STATE_STORE_BUSY_MS = 10000 };

struct state_store {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *begin;
    sqlite3_stmt *commit;
    sqlite3_stmt *set_applied;
    struct state_rows *rows;
    struct state_tables *tables;
    uint64_t applied;
    uint64_t applied_committed;
    struct state_result *results;
    size_t results_cap;
};

static int state_store_prepare_schema(sqlite3 *db, const char *path, struct error *e)
{
    uint64_t format = 0;
    int err = sqlite_use_integer(db, path, "PRAGMA user_version", &format, e);
    if (err < 0)
        return err;
    if (format > STATE_STORE_FORMAT)
        return error_set(e, ERR_VERSION,
                         "%s: written by a newer clusterd (state format %llu, this one reads %d)",
                         path, (unsigned long long)format, STATE_STORE_FORMAT);
    if (format == STATE_STORE_FORMAT)
        return 0;
    char *sql = mem_printf("BEGIN IMMEDIATE;%sPRAGMA user_version=%d;COMMIT", state_rows_schema,
                           STATE_STORE_FORMAT);
    err = sqlite_use_exec(db, path, sql, e);
    free(sql);
    return err;
}

static int state_store_prepare(struct state_store *store, struct error *e)
{
    const struct {
        const char *sql;
        sqlite3_stmt **out;
    } statements[] = {
        {"BEGIN IMMEDIATE", &store->begin},
        {"COMMIT", &store->commit},
        {"INSERT OR REPLACE INTO meta VALUES('applied', ?1)", &store->set_applied},
    };
    for (size_t i = 0; i < MEM_COUNT(statements); i++) {
        if (sqlite3_prepare_v3(store->db, statements[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
                               statements[i].out, NULL) != SQLITE_OK)
            return sqlite_use_error(store->db, store->path, "state", e);
    }
    return 0;
}

int state_store_open(struct state_store **out, const char *path, struct error *e)
{
    struct state_store *store = mem_zalloc(sizeof *store);
    store->path = mem_strdup(path);
    int err = 0;
    if (sqlite3_open_v2(path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        err = sqlite_use_error(store->db, path, "cannot open", e);
        goto out;
    }
    (void)sqlite3_busy_timeout(store->db, STATE_STORE_BUSY_MS);
    err = sqlite_use_exec(store->db, path,
                          "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                          "PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-8000;"
                          "PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY",
                          e);
    if (err == 0)
        err = state_store_prepare_schema(store->db, path, e);
    if (err == 0)
        err = state_store_prepare(store, e);
    if (err == 0)
        err = state_rows_open(&store->rows, store->db, store->path, e);
    if (err == 0)
        err = state_tables_open(&store->tables, store->db, store->path, e);
    if (err == 0)
        err = sqlite_use_integer(store->db, path, "SELECT value FROM meta WHERE key='applied'",
                                 &store->applied, e);
out:
    if (err < 0) {
        state_store_close(store);
        return err;
    }
    store->applied_committed = store->applied;
    *out = store;
    return 0;
}

void state_store_close(struct state_store *store)
{
    if (store == NULL)
        return;
    sqlite3_finalize(store->begin);
    sqlite3_finalize(store->commit);
    sqlite3_finalize(store->set_applied);
    state_rows_close(store->rows);
    state_tables_close(store->tables);
    sqlite3_close(store->db);
    free(store->results);
    free(store->path);
    free(store);
}

uint64_t state_store_applied(const struct state_store *store)
{
    return store->applied;
}

static int state_store_run(struct state_store *store, sqlite3_stmt *stmt, struct error *e)
{
    return sqlite_use_run(store->db, stmt, store->path, "state", e);
}

int state_store_begin(struct state_store *store, struct error *e)
{
    return state_store_run(store, store->begin, e);
}

int state_store_commit(struct state_store *store, struct error *e)
{
    sqlite_use_bind_u64(store->set_applied, 1, store->applied);
    int err = state_store_run(store, store->set_applied, e);
    if (err == 0)
        err = state_rows_flush(store->rows, e);
    if (err == 0)
        err = state_store_run(store, store->commit, e);
    if (err < 0)
        return err;
    state_rows_committed(store->rows);
    store->applied_committed = store->applied;
    return 0;
}

void state_store_rollback(struct state_store *store)
{
    if (sqlite3_get_autocommit(store->db) == 0)
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    state_rows_rollback(store->rows);
    store->applied = store->applied_committed;
}

static int state_store_apply_change(struct state_store *store, const Wire__Change *change,
                                    uint64_t at_ms, struct state_result *result, struct error *e)
{
    switch (change->of_case) {
    case WIRE__CHANGE__OF_TABLE_CREATE:
        return state_tables_create(store->tables, change->table_create, at_ms, result, e);
    case WIRE__CHANGE__OF_TABLE_DROP:
        return state_tables_drop(store->tables, change->table_drop, result, e);
    case WIRE__CHANGE__OF_TABLE_COMMIT:
        return state_tables_commit(store->tables, change->table_commit, at_ms, result, e);
    case WIRE__CHANGE__OF_TABLE_PUBLISHED:
        return state_tables_published(store->tables, change->table_published, e);
    default:
        return state_rows_apply(store->rows, change, at_ms, result, e);
    }
}

int state_store_apply(struct state_store *store, uint64_t index, const void *batch, size_t len,
                      const struct state_result **results, size_t *n, struct error *e)
{
    *n = 0;
    *results = store->results;
    if (index <= store->applied)
        return 0;
    Wire__Batch *parsed = wire__batch__unpack(NULL, len, batch);
    if (parsed == NULL)
        return error_set(e, ERR_CORRUPT, "%s: entry %llu of the log is malformed", store->path,
                         (unsigned long long)index);
    MEM_GROW(store->results, store->results_cap, parsed->n_changes);
    int err = 0;
    for (size_t i = 0; err == 0 && i < parsed->n_changes; i++) {
        store->results[i] = (struct state_result){0};
        err = state_store_apply_change(store, parsed->changes[i], parsed->at_ms, &store->results[i],
                                       e);
    }
    if (err == 0) {
        *n = parsed->n_changes;
        *results = store->results;
        store->applied = index;
    }
    wire__batch__free_unpacked(parsed, NULL);
    return err;
}

void state_store_skip(struct state_store *store, uint64_t index)
{
    if (index > store->applied)
        store->applied = index;
}

static int state_store_fsync(const char *path, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0) {
        int err = -errno;
        if (fd >= 0)
            close(fd);
        return error_set(e, err, "%s: cannot sync: %s", path, err_text(err));
    }
    close(fd);
    return 0;
}

int state_store_persist(struct state_store *store, struct error *e)
{
    int rc = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        return sqlite_use_error(store->db, store->path, "checkpoint", e);
    /* A reader may have kept part of SQLite's log from being copied: both files must be down. */
    char *log = mem_printf("%s-wal", store->path);
    int err = state_store_fsync(log, e);
    free(log);
    return err < 0 && err != -ENOENT ? err : state_store_fsync(store->path, e);
}

int state_store_open_reader(const char *path, sqlite3 **out, struct error *e)
{
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        int err = sqlite_use_error(db, path, "cannot open", e);
        sqlite3_close(db);
        return err;
    }
    (void)sqlite3_busy_timeout(db, STATE_STORE_BUSY_MS);
    (void)sqlite3_exec(db, "PRAGMA cache_size=-4000; PRAGMA temp_store=MEMORY", NULL, NULL, NULL);
    *out = db;
    return 0;
}

int state_store_copy(const char *path, const char *copy, struct error *e)
{
    sqlite3 *from = NULL;
    sqlite3 *to = NULL;
    int err = state_store_open_reader(path, &from, e);
    if (err < 0)
        return err;
    sqlite3_backup *backup = NULL;
    if (sqlite3_open(copy, &to) != SQLITE_OK ||
        sqlite3_exec(to, "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF", NULL, NULL, NULL) !=
            SQLITE_OK ||
        (backup = sqlite3_backup_init(to, "main", from, "main")) == NULL) {
        err = sqlite_use_error(to, copy, "cannot copy the state", e);
        goto out;
    }
    /* One read transaction for the whole copy: otherwise each commit would start it over. */
    err = sqlite_use_exec(from, path, "BEGIN; SELECT count(*) FROM meta", e);
    int rc = SQLITE_OK;
    while (err == 0 && rc == SQLITE_OK)
        rc = sqlite3_backup_step(backup, STATE_STORE_COPY_PAGES);
    if (err == 0 && rc != SQLITE_DONE)
        err = sqlite_use_error(to, copy, "cannot copy the state", e);
out:
    if (backup != NULL && sqlite3_backup_finish(backup) != SQLITE_OK && err == 0)
        err = sqlite_use_error(to, copy, "cannot copy the state", e);
    sqlite3_close(to);
    sqlite3_close(from);
    if (err == 0)
        err = state_store_fsync(copy, e);
    if (err < 0)
        (void)unlink(copy);
    return err;
}

int state_store_probe(const char *path, uint64_t *applied, struct error *e)
{
    sqlite3 *db = NULL;
    int err = state_store_open_reader(path, &db, e);
    if (err < 0)
        return err;
    err = sqlite_use_integer(db, path, "SELECT value FROM meta WHERE key='applied'", applied, e);
    sqlite3_close(db);
    return err;
}
