/* Happy path: open (schema made on first use), begin, apply batches row by row through prepared
 * statements, commit. It fails on a full or broken disk; the caller then stops using the file. */
#include "run/state_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/state_tables.h"

enum { STATE_STORE_COPY_PAGES = 1024, STATE_STORE_BUSY_MS = 10000, STATE_STORE_AUDIT_ROWS = 20000 };

static const char state_store_schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE nodes(id INTEGER PRIMARY KEY, uuid TEXT NOT NULL, name TEXT NOT NULL,"
    " roles INTEGER NOT NULL, peer_address TEXT NOT NULL, api_address TEXT NOT NULL,"
    " slots INTEGER NOT NULL, memory_bytes INTEGER NOT NULL, labels TEXT NOT NULL,"
    " draining INTEGER NOT NULL, drain_reason TEXT NOT NULL, poll INTEGER NOT NULL,"
    " joined_ms INTEGER NOT NULL, version TEXT NOT NULL, removed INTEGER NOT NULL,"
    " drain_deadline_ms INTEGER NOT NULL, raft_policy INTEGER NOT NULL);"
    "CREATE INDEX nodes_uuid ON nodes(uuid);"
    "CREATE TABLE jobs(seq INTEGER PRIMARY KEY, id BLOB NOT NULL, state INTEGER NOT NULL,"
    " name TEXT NOT NULL, user TEXT NOT NULL, priority INTEGER NOT NULL, idempotency_key TEXT,"
    " reason TEXT NOT NULL, total INTEGER NOT NULL, running INTEGER NOT NULL,"
    " completed INTEGER NOT NULL, failed INTEGER NOT NULL, cancelled INTEGER NOT NULL,"
    " submitted_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL,"
    " cancel_requested_ms INTEGER NOT NULL, spec BLOB NOT NULL, round INTEGER NOT NULL,"
    " cancelled_set TEXT NOT NULL);"
    "CREATE UNIQUE INDEX jobs_id ON jobs(id);"
    "CREATE UNIQUE INDEX jobs_idempotency ON jobs(idempotency_key)"
    " WHERE idempotency_key IS NOT NULL;"
    "CREATE INDEX jobs_active ON jobs(seq) WHERE state < 3;"
    "CREATE INDEX jobs_ended ON jobs(ended_ms) WHERE state >= 3;"
    "CREATE TABLE tasks(job_seq INTEGER NOT NULL, idx INTEGER NOT NULL, attempt INTEGER NOT NULL,"
    " state INTEGER NOT NULL, node_id INTEGER NOT NULL, assigned_ms INTEGER NOT NULL,"
    " round INTEGER NOT NULL,"
    " started_ms INTEGER, ended_ms INTEGER, code INTEGER, text TEXT, exit_code INTEGER,"
    " signal INTEGER, user_us INTEGER, system_us INTEGER, rss_max_bytes INTEGER,"
    " stdout_bytes INTEGER, stderr_bytes INTEGER, stdout BLOB, stderr BLOB, output_kept INTEGER,"
    " PRIMARY KEY(job_seq, idx, attempt)) WITHOUT ROWID;"
    "CREATE TABLE kv(key TEXT PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE files(id TEXT PRIMARY KEY, name TEXT NOT NULL, bytes INTEGER NOT NULL,"
    " xxh TEXT NOT NULL, holders TEXT NOT NULL, created_ms INTEGER NOT NULL,"
    " user TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE audit(id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, user TEXT NOT NULL,"
    " action TEXT NOT NULL, object TEXT NOT NULL, detail TEXT NOT NULL);"
    "INSERT INTO meta VALUES('applied', 0), ('kv_revision', 0);";

enum state_store_statement {
    STATE_STORE_BEGIN,
    STATE_STORE_COMMIT,
    STATE_STORE_META,
    STATE_STORE_NODE,
    STATE_STORE_JOB_NEW,
    STATE_STORE_JOB_CHANGE,
    STATE_STORE_TASK,
    STATE_STORE_TASK_CHANGE,
    STATE_STORE_KV_GET,
    STATE_STORE_KV_PUT,
    STATE_STORE_KV_DELETE,
    STATE_STORE_FILE,
    STATE_STORE_FILE_DELETE,
    STATE_STORE_TASKS_FORGET,
    STATE_STORE_JOB_FORGET,
    STATE_STORE_AUDIT,
    STATE_STORE_AUDIT_TRIM,
    STATE_STORE_STATEMENTS,
};

static const char *const state_store_sql[STATE_STORE_STATEMENTS] = {
    [STATE_STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STATE_STORE_COMMIT] = "COMMIT",
    [STATE_STORE_META] = "INSERT OR REPLACE INTO meta VALUES(?1, ?2)",
    [STATE_STORE_NODE] = "INSERT OR REPLACE INTO nodes"
                         " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
    [STATE_STORE_JOB_NEW] =
        "INSERT OR REPLACE INTO jobs"
        " VALUES(?1,?2,?3,?12,?13,?14,?15,?4,?5,?6,?7,?8,?9,?10,?11,?16,?17,?18,?19,"
        "coalesce(?20,''))",
    [STATE_STORE_JOB_CHANGE] =
        "UPDATE jobs SET state=?3, reason=?4, total=?5, running=?6, completed=?7, failed=?8,"
        " cancelled=?9, submitted_ms=?10, started_ms=?11, ended_ms=?16, cancel_requested_ms=?17,"
        " round=?19, cancelled_set=coalesce(?20, cancelled_set)"
        " WHERE seq=?1 AND id=?2",
    [STATE_STORE_TASK] =
        "INSERT OR REPLACE INTO tasks"
        " VALUES(?1,?2,?3,?4,?5,?6,?21,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20)",
    [STATE_STORE_TASK_CHANGE] =
        "INSERT INTO tasks(job_seq,idx,attempt,state,node_id,assigned_ms,code,text,round)"
        " VALUES(?1,?2,?3,?4,?5,?6,?9,?10,?21) ON CONFLICT(job_seq,idx,attempt) DO UPDATE"
        " SET state=?4, node_id=?5, assigned_ms=?6, code=?9, text=?10, round=?21",
    [STATE_STORE_KV_GET] = "SELECT version FROM kv WHERE key=?1",
    [STATE_STORE_KV_PUT] = "INSERT OR REPLACE INTO kv VALUES(?1,?2,?3,?4)",
    [STATE_STORE_KV_DELETE] = "DELETE FROM kv WHERE key=?1",
    [STATE_STORE_FILE] = "INSERT OR REPLACE INTO files VALUES(?1,?2,?3,?4,?5,?6,?7)",
    [STATE_STORE_FILE_DELETE] = "DELETE FROM files WHERE id=?1",
    [STATE_STORE_TASKS_FORGET] = "DELETE FROM tasks WHERE job_seq=?1",
    [STATE_STORE_JOB_FORGET] = "DELETE FROM jobs WHERE seq=?1",
    [STATE_STORE_AUDIT] =
        "INSERT INTO audit(at_ms,user,action,object,detail) VALUES(?1,?2,?3,?4,?5)",
    [STATE_STORE_AUDIT_TRIM] = "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?1",
};

struct state_store {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *statements[STATE_STORE_STATEMENTS];
    struct state_tables *tables;
    uint64_t applied;
    uint64_t kv_revision;
    uint64_t applied_committed;
    uint64_t kv_revision_committed;
    bool kv_changed;
    struct state_result *results;
    size_t results_cap;
};

static int state_store_error(sqlite3 *db, const char *path, const char *what, struct error *e)
{
    int rc = sqlite3_errcode(db);
    int code = ERR_INTERNAL;
    if (rc == SQLITE_FULL)
        code = -ENOSPC;
    else if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB)
        code = ERR_CORRUPT;
    else if (rc == SQLITE_IOERR || rc == SQLITE_CANTOPEN)
        code = -EIO;
    else if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
        code = ERR_BUSY;
    return error_set(e, code, "%s: %s: %s", path, what, sqlite3_errmsg(db));
}

static int state_store_exec(sqlite3 *db, const char *path, const char *sql, struct error *e)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : state_store_error(db, path, "state", e);
}

static int state_store_integer(sqlite3 *db, const char *path, const char *sql, uint64_t *value,
                               struct error *e)
{
    sqlite3_stmt *stmt = NULL;
    int err = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        return state_store_error(db, path, "state", e);
    if (sqlite3_step(stmt) == SQLITE_ROW)
        *value = (uint64_t)sqlite3_column_int64(stmt, 0);
    else
        err = error_set(e, ERR_CORRUPT, "%s: not a state file of clusterd", path);
    sqlite3_finalize(stmt);
    return err;
}

static int state_store_prepare_schema(sqlite3 *db, const char *path, struct error *e)
{
    uint64_t format = 0;
    int err = state_store_integer(db, path, "PRAGMA user_version", &format, e);
    if (err < 0)
        return err;
    if (format > STATE_STORE_FORMAT)
        return error_set(e, ERR_VERSION,
                         "%s: written by a newer clusterd (state format %llu, this one reads %d)",
                         path, (unsigned long long)format, STATE_STORE_FORMAT);
    if (format == STATE_STORE_FORMAT)
        return 0;
    char *sql = mem_printf("BEGIN IMMEDIATE;%sPRAGMA user_version=%d;COMMIT", state_store_schema,
                           STATE_STORE_FORMAT);
    err = state_store_exec(db, path, sql, e);
    free(sql);
    return err;
}

int state_store_open(struct state_store **out, const char *path, struct error *e)
{
    struct state_store *store = mem_zalloc(sizeof *store);
    store->path = mem_strdup(path);
    int err = 0;
    if (sqlite3_open_v2(path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        err = state_store_error(store->db, path, "cannot open", e);
        goto out;
    }
    (void)sqlite3_busy_timeout(store->db, STATE_STORE_BUSY_MS);
    err = state_store_exec(store->db, path,
                           "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                           "PRAGMA wal_autocheckpoint=4000; PRAGMA cache_size=-8000;"
                           "PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY",
                           e);
    if (err == 0)
        err = state_store_prepare_schema(store->db, path, e);
    for (int i = 0; err == 0 && i < STATE_STORE_STATEMENTS; i++)
        if (sqlite3_prepare_v3(store->db, state_store_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &store->statements[i], NULL) != SQLITE_OK)
            err = state_store_error(store->db, path, "state", e);
    if (err == 0)
        err = state_tables_open(&store->tables, store->db, store->path, e);
    if (err == 0)
        err = state_store_integer(store->db, path, "SELECT value FROM meta WHERE key='applied'",
                                  &store->applied, e);
    if (err == 0)
        err = state_store_integer(store->db, path, "SELECT value FROM meta WHERE key='kv_revision'",
                                  &store->kv_revision, e);
out:
    if (err < 0) {
        state_store_close(store);
        return err;
    }
    store->applied_committed = store->applied;
    store->kv_revision_committed = store->kv_revision;
    *out = store;
    return 0;
}

void state_store_close(struct state_store *store)
{
    if (store == NULL)
        return;
    for (int i = 0; i < STATE_STORE_STATEMENTS; i++)
        sqlite3_finalize(store->statements[i]);
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

/* Runs a statement whose parameters are bound; no rows are expected. */
static int state_store_run(struct state_store *store, enum state_store_statement which,
                           struct error *e)
{
    sqlite3_stmt *stmt = store->statements[which];
    int rc = sqlite3_step(stmt);
    int err = rc == SQLITE_DONE ? 0 : state_store_error(store->db, store->path, "state", e);
    (void)sqlite3_reset(stmt);
    return err;
}

static void state_store_bind_u64(sqlite3_stmt *stmt, int column, uint64_t value)
{
    (void)sqlite3_bind_int64(stmt, column, (sqlite3_int64)value);
}

static void state_store_bind_text(sqlite3_stmt *stmt, int column, const char *text)
{
    (void)sqlite3_bind_text(stmt, column, text, -1, SQLITE_STATIC);
}

static void state_store_bind_bytes(sqlite3_stmt *stmt, int column, ProtobufCBinaryData bytes)
{
    (void)sqlite3_bind_blob64(stmt, column, bytes.data != NULL ? bytes.data : (const void *)"",
                              bytes.len, SQLITE_STATIC);
}

static int state_store_set_meta(struct state_store *store, const char *key, uint64_t value,
                                struct error *e)
{
    sqlite3_stmt *stmt = store->statements[STATE_STORE_META];
    state_store_bind_text(stmt, 1, key);
    state_store_bind_u64(stmt, 2, value);
    return state_store_run(store, STATE_STORE_META, e);
}

int state_store_begin(struct state_store *store, struct error *e)
{
    return state_store_run(store, STATE_STORE_BEGIN, e);
}

int state_store_commit(struct state_store *store, struct error *e)
{
    int err = state_store_set_meta(store, "applied", store->applied, e);
    if (err == 0 && store->kv_changed)
        err = state_store_set_meta(store, "kv_revision", store->kv_revision, e);
    if (err == 0)
        err = state_store_run(store, STATE_STORE_COMMIT, e);
    if (err < 0)
        return err;
    store->kv_changed = false;
    store->applied_committed = store->applied;
    store->kv_revision_committed = store->kv_revision;
    return 0;
}

void state_store_rollback(struct state_store *store)
{
    if (sqlite3_get_autocommit(store->db) == 0)
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    store->applied = store->applied_committed;
    store->kv_revision = store->kv_revision_committed;
    store->kv_changed = false;
}

static int state_store_put_cluster(struct state_store *store, const Wire__ClusterRow *row,
                                   struct error *e)
{
    sqlite3_stmt *stmt = store->statements[STATE_STORE_META];
    state_store_bind_text(stmt, 1, "cluster_id");
    state_store_bind_text(stmt, 2, row->cluster_id);
    int err = state_store_run(store, STATE_STORE_META, e);
    if (err < 0)
        return err;
    state_store_bind_text(stmt, 1, "join_token");
    state_store_bind_text(stmt, 2, row->join_token);
    err = state_store_run(store, STATE_STORE_META, e);
    return err < 0 ? err : state_store_set_meta(store, "created_ms", row->created_ms, e);
}

/* "a\nb": labels hold no newline. */
static char *state_store_join_labels(const Wire__Node *node)
{
    char *text = mem_strdup("");
    for (size_t i = 0; i < node->n_labels; i++) {
        char *longer = mem_printf("%s%s%s", text, i > 0 ? "\n" : "", node->labels[i]);
        free(text);
        text = longer;
    }
    return text;
}

static int state_store_put_node(struct state_store *store, const Wire__Node *node, struct error *e)
{
    sqlite3_stmt *stmt = store->statements[STATE_STORE_NODE];
    char *labels = state_store_join_labels(node);
    state_store_bind_u64(stmt, 1, node->id);
    state_store_bind_text(stmt, 2, node->uuid);
    state_store_bind_text(stmt, 3, node->name);
    state_store_bind_u64(stmt, 4, node->roles);
    state_store_bind_text(stmt, 5, node->peer_address);
    state_store_bind_text(stmt, 6, node->api_address);
    state_store_bind_u64(stmt, 7, node->slots);
    state_store_bind_u64(stmt, 8, node->memory_bytes);
    state_store_bind_text(stmt, 9, labels);
    state_store_bind_u64(stmt, 10, node->draining);
    state_store_bind_text(stmt, 11, node->drain_reason);
    state_store_bind_u64(stmt, 12, node->poll);
    state_store_bind_u64(stmt, 13, node->joined_ms);
    state_store_bind_text(stmt, 14, node->version);
    state_store_bind_u64(stmt, 15, node->removed);
    state_store_bind_u64(stmt, 16, node->drain_deadline_ms);
    state_store_bind_u64(stmt, 17, (uint64_t)node->raft_policy);
    int err = state_store_run(store, STATE_STORE_NODE, e);
    free(labels);
    return err;
}

static int state_store_put_job(struct state_store *store, const Wire__JobRow *row, struct error *e)
{
    enum state_store_statement which =
        row->spec != NULL ? STATE_STORE_JOB_NEW : STATE_STORE_JOB_CHANGE;
    sqlite3_stmt *stmt = store->statements[which];
    state_store_bind_u64(stmt, 1, row->seq);
    state_store_bind_bytes(stmt, 2, row->id);
    state_store_bind_u64(stmt, 3, (uint64_t)row->state);
    state_store_bind_text(stmt, 4, row->reason);
    state_store_bind_u64(stmt, 5, row->total);
    state_store_bind_u64(stmt, 6, row->running);
    state_store_bind_u64(stmt, 7, row->completed);
    state_store_bind_u64(stmt, 8, row->failed);
    state_store_bind_u64(stmt, 9, row->cancelled);
    state_store_bind_u64(stmt, 10, row->submitted_ms);
    state_store_bind_u64(stmt, 11, row->started_ms);
    state_store_bind_u64(stmt, 16, row->ended_ms);
    state_store_bind_u64(stmt, 17, row->cancel_requested_ms);
    state_store_bind_u64(stmt, 19, row->round);
    state_store_bind_text(stmt, 20, row->cancelled_set != NULL ? row->cancelled_set->text : NULL);
    uint8_t *packed = NULL;
    if (row->spec != NULL) {
        const Wire__JobSpec *spec = row->spec;
        state_store_bind_text(stmt, 12, spec->name);
        state_store_bind_text(stmt, 13, spec->user);
        (void)sqlite3_bind_int64(stmt, 14, spec->priority);
        state_store_bind_text(stmt, 15, spec->idempotency_key[0] ? spec->idempotency_key : NULL);
        size_t len = wire__job_spec__get_packed_size(spec);
        packed = mem_alloc(len);
        (void)wire__job_spec__pack(spec, packed);
        (void)sqlite3_bind_blob64(stmt, 18, packed, len, SQLITE_STATIC);
    }
    int err = state_store_run(store, which, e);
    free(packed);
    return err;
}

static int state_store_put_task(struct state_store *store, const Wire__TaskRow *row,
                                struct error *e)
{
    const Wire__TaskReport *report = row->report;
    enum state_store_statement which = report != NULL ? STATE_STORE_TASK : STATE_STORE_TASK_CHANGE;
    sqlite3_stmt *stmt = store->statements[which];
    (void)sqlite3_clear_bindings(stmt);
    state_store_bind_u64(stmt, 1, row->job_seq);
    state_store_bind_u64(stmt, 2, row->index);
    state_store_bind_u64(stmt, 3, row->attempt);
    state_store_bind_u64(stmt, 4, (uint64_t)row->state);
    state_store_bind_u64(stmt, 5, row->node_id);
    state_store_bind_u64(stmt, 6, row->assigned_ms);
    state_store_bind_u64(stmt, 21, row->round);
    if (report != NULL) {
        state_store_bind_u64(stmt, 7, report->started_ms);
        state_store_bind_u64(stmt, 8, report->ended_ms);
        state_store_bind_u64(stmt, 9, report->code);
        state_store_bind_text(stmt, 10, report->text);
        (void)sqlite3_bind_int64(stmt, 11, report->exit_code);
        state_store_bind_u64(stmt, 12, report->signal);
        state_store_bind_u64(stmt, 13, report->user_us);
        state_store_bind_u64(stmt, 14, report->system_us);
        state_store_bind_u64(stmt, 15, report->rss_max_bytes);
        state_store_bind_u64(stmt, 16, report->stdout_bytes);
        state_store_bind_u64(stmt, 17, report->stderr_bytes);
        if (report->stdout_inline.len > 0)
            state_store_bind_bytes(stmt, 18, report->stdout_inline);
        if (report->stderr_inline.len > 0)
            state_store_bind_bytes(stmt, 19, report->stderr_inline);
        state_store_bind_u64(stmt, 20, report->output_kept);
    } else {
        state_store_bind_u64(stmt, 9, row->code);
        state_store_bind_text(stmt, 10, row->text);
    }
    return state_store_run(store, which, e);
}

static int state_store_kv_version(struct state_store *store, const char *key, uint64_t *version,
                                  struct error *e)
{
    sqlite3_stmt *stmt = store->statements[STATE_STORE_KV_GET];
    state_store_bind_text(stmt, 1, key);
    int rc = sqlite3_step(stmt);
    *version = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    int err = rc == SQLITE_ROW || rc == SQLITE_DONE
                  ? 0
                  : state_store_error(store->db, store->path, "state", e);
    (void)sqlite3_reset(stmt);
    return err;
}

static int state_store_kv_put(struct state_store *store, const Wire__KvPut *put, uint64_t at_ms,
                              struct state_result *result, struct error *e)
{
    if (put->conditional) {
        int err = state_store_kv_version(store, put->key, &result->version, e);
        if (err < 0)
            return err;
        if (result->version != put->if_version) {
            result->code = ERR_CONFLICT;
            return 0;
        }
    }
    sqlite3_stmt *stmt = store->statements[STATE_STORE_KV_PUT];
    store->kv_changed = true;
    result->version = ++store->kv_revision;
    state_store_bind_text(stmt, 1, put->key);
    state_store_bind_bytes(stmt, 2, put->value);
    state_store_bind_u64(stmt, 3, result->version);
    state_store_bind_u64(stmt, 4, at_ms);
    return state_store_run(store, STATE_STORE_KV_PUT, e);
}

static int state_store_kv_delete(struct state_store *store, const Wire__KvDelete *request,
                                 struct state_result *result, struct error *e)
{
    int err = state_store_kv_version(store, request->key, &result->version, e);
    if (err < 0)
        return err;
    if (result->version == 0 || (request->conditional && result->version != request->if_version)) {
        result->code = result->version == 0 ? ERR_NOT_FOUND : ERR_CONFLICT;
        return 0;
    }
    sqlite3_stmt *stmt = store->statements[STATE_STORE_KV_DELETE];
    state_store_bind_text(stmt, 1, request->key);
    return state_store_run(store, STATE_STORE_KV_DELETE, e);
}

static int state_store_put_file(struct state_store *store, const Wire__FileRow *row,
                                struct error *e)
{
    if (row->deleted) {
        state_store_bind_text(store->statements[STATE_STORE_FILE_DELETE], 1, row->id);
        return state_store_run(store, STATE_STORE_FILE_DELETE, e);
    }
    char *holders = mem_strdup("");
    for (size_t i = 0; i < row->n_holders; i++) {
        char *longer =
            mem_printf("%s%s%llu", holders, i > 0 ? "," : "", (unsigned long long)row->holders[i]);
        free(holders);
        holders = longer;
    }
    sqlite3_stmt *stmt = store->statements[STATE_STORE_FILE];
    state_store_bind_text(stmt, 1, row->id);
    state_store_bind_text(stmt, 2, row->name);
    state_store_bind_u64(stmt, 3, row->bytes);
    state_store_bind_text(stmt, 4, row->xxh);
    state_store_bind_text(stmt, 5, holders);
    state_store_bind_u64(stmt, 6, row->created_ms);
    state_store_bind_text(stmt, 7, row->user);
    int err = state_store_run(store, STATE_STORE_FILE, e);
    free(holders);
    return err;
}

static int state_store_forget_job(struct state_store *store, const Wire__JobForget *forget,
                                  struct error *e)
{
    state_store_bind_u64(store->statements[STATE_STORE_TASKS_FORGET], 1, forget->seq);
    int err = state_store_run(store, STATE_STORE_TASKS_FORGET, e);
    if (err < 0)
        return err;
    state_store_bind_u64(store->statements[STATE_STORE_JOB_FORGET], 1, forget->seq);
    return state_store_run(store, STATE_STORE_JOB_FORGET, e);
}

static int state_store_put_audit(struct state_store *store, const Wire__AuditRow *row,
                                 struct error *e)
{
    sqlite3_stmt *stmt = store->statements[STATE_STORE_AUDIT];
    state_store_bind_u64(stmt, 1, row->at_ms);
    state_store_bind_text(stmt, 2, row->user);
    state_store_bind_text(stmt, 3, row->action);
    state_store_bind_text(stmt, 4, row->object);
    state_store_bind_text(stmt, 5, row->detail);
    int err = state_store_run(store, STATE_STORE_AUDIT, e);
    if (err < 0)
        return err;
    state_store_bind_u64(store->statements[STATE_STORE_AUDIT_TRIM], 1, STATE_STORE_AUDIT_ROWS);
    return state_store_run(store, STATE_STORE_AUDIT_TRIM, e);
}

static int state_store_apply_change(struct state_store *store, const Wire__Change *change,
                                    uint64_t at_ms, struct state_result *result, struct error *e)
{
    switch (change->of_case) {
    case WIRE__CHANGE__OF_CLUSTER:
        return state_store_put_cluster(store, change->cluster, e);
    case WIRE__CHANGE__OF_NODE:
        return state_store_put_node(store, change->node, e);
    case WIRE__CHANGE__OF_JOB:
        return state_store_put_job(store, change->job, e);
    case WIRE__CHANGE__OF_TASK:
        return state_store_put_task(store, change->task, e);
    case WIRE__CHANGE__OF_KV_PUT:
        return state_store_kv_put(store, change->kv_put, at_ms, result, e);
    case WIRE__CHANGE__OF_KV_DELETE:
        return state_store_kv_delete(store, change->kv_delete, result, e);
    case WIRE__CHANGE__OF_FILE:
        return state_store_put_file(store, change->file, e);
    case WIRE__CHANGE__OF_JOB_FORGET:
        return state_store_forget_job(store, change->job_forget, e);
    case WIRE__CHANGE__OF_AUDIT:
        return state_store_put_audit(store, change->audit, e);
    case WIRE__CHANGE__OF_TABLE_CREATE:
        return state_tables_create(store->tables, change->table_create, at_ms, result, e);
    case WIRE__CHANGE__OF_TABLE_DROP:
        return state_tables_drop(store->tables, change->table_drop, result, e);
    case WIRE__CHANGE__OF_TABLE_COMMIT:
        return state_tables_commit(store->tables, change->table_commit, at_ms, result, e);
    case WIRE__CHANGE__OF_TABLE_PUBLISHED:
        return state_tables_published(store->tables, change->table_published, e);
    case WIRE__CHANGE__OF__NOT_SET:
    case _WIRE__CHANGE__OF__CASE_IS_INT_SIZE:
        break;
    }
    return error_set(e, ERR_VERSION,
                     "%s: the log holds a change that this version of clusterd does not know",
                     store->path);
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
        return state_store_error(store->db, store->path, "checkpoint", e);
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
        int err = state_store_error(db, path, "cannot open", e);
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
        err = state_store_error(to, copy, "cannot copy the state", e);
        goto out;
    }
    /* One read transaction for the whole copy: otherwise each commit would start it over. */
    err = state_store_exec(from, path, "BEGIN; SELECT count(*) FROM meta", e);
    int rc = SQLITE_OK;
    while (err == 0 && rc == SQLITE_OK)
        rc = sqlite3_backup_step(backup, STATE_STORE_COPY_PAGES);
    if (err == 0 && rc != SQLITE_DONE)
        err = state_store_error(to, copy, "cannot copy the state", e);
out:
    if (backup != NULL && sqlite3_backup_finish(backup) != SQLITE_OK && err == 0)
        err = state_store_error(to, copy, "cannot copy the state", e);
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
    err = state_store_integer(db, path, "SELECT value FROM meta WHERE key='applied'", applied, e);
    sqlite3_close(db);
    return err;
}
