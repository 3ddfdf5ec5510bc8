#include "run/state_rows.h"

#include <stdlib.h>

#include "base/mem.h"
#include "run/sqlite_use.h"

const char state_rows_schema[] =
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

enum state_rows_statement {
    STATE_ROWS_META,
    STATE_ROWS_NODE,
    STATE_ROWS_JOB_NEW,
    STATE_ROWS_JOB_CHANGE,
    STATE_ROWS_TASK,
    STATE_ROWS_TASK_CHANGE,
    STATE_ROWS_KV_GET,
    STATE_ROWS_KV_PUT,
    STATE_ROWS_KV_DELETE,
    STATE_ROWS_FILE,
    STATE_ROWS_FILE_DELETE,
    STATE_ROWS_TASKS_FORGET,
    STATE_ROWS_JOB_FORGET,
    STATE_ROWS_AUDIT,
    STATE_ROWS_AUDIT_TRIM,
    STATE_ROWS_STATEMENTS,
};

static const char *const state_rows_sql[STATE_ROWS_STATEMENTS] = {
    [STATE_ROWS_META] = "INSERT OR REPLACE INTO meta VALUES(?1, ?2)",
    [STATE_ROWS_NODE] = "INSERT OR REPLACE INTO nodes"
                        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)",
    [STATE_ROWS_JOB_NEW] =
        "INSERT OR REPLACE INTO jobs"
        " VALUES(?1,?2,?3,?12,?13,?14,?15,?4,?5,?6,?7,?8,?9,?10,?11,?16,?17,?18,?19,"
        "coalesce(?20,''))",
    [STATE_ROWS_JOB_CHANGE] =
        "UPDATE jobs SET state=?3, reason=?4, total=?5, running=?6, completed=?7, failed=?8,"
        " cancelled=?9, submitted_ms=?10, started_ms=?11, ended_ms=?16, cancel_requested_ms=?17,"
        " round=?19, cancelled_set=coalesce(?20, cancelled_set)"
        " WHERE seq=?1 AND id=?2",
    [STATE_ROWS_TASK] =
        "INSERT OR REPLACE INTO tasks"
        " VALUES(?1,?2,?3,?4,?5,?6,?21,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20)",
    [STATE_ROWS_TASK_CHANGE] =
        "INSERT INTO tasks(job_seq,idx,attempt,state,node_id,assigned_ms,code,text,round)"
        " VALUES(?1,?2,?3,?4,?5,?6,?9,?10,?21) ON CONFLICT(job_seq,idx,attempt) DO UPDATE"
        " SET state=?4, node_id=?5, assigned_ms=?6, code=?9, text=?10, round=?21",
    [STATE_ROWS_KV_GET] = "SELECT version FROM kv WHERE key=?1",
    [STATE_ROWS_KV_PUT] = "INSERT OR REPLACE INTO kv VALUES(?1,?2,?3,?4)",
    [STATE_ROWS_KV_DELETE] = "DELETE FROM kv WHERE key=?1",
    [STATE_ROWS_FILE] = "INSERT OR REPLACE INTO files VALUES(?1,?2,?3,?4,?5,?6,?7)",
    [STATE_ROWS_FILE_DELETE] = "DELETE FROM files WHERE id=?1",
    [STATE_ROWS_TASKS_FORGET] = "DELETE FROM tasks WHERE job_seq=?1",
    [STATE_ROWS_JOB_FORGET] = "DELETE FROM jobs WHERE seq=?1",
    [STATE_ROWS_AUDIT] =
        "INSERT INTO audit(at_ms,user,action,object,detail) VALUES(?1,?2,?3,?4,?5)",
    [STATE_ROWS_AUDIT_TRIM] = "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?1",
};

struct state_rows {
    sqlite3 *db;
    const char *path;
    sqlite3_stmt *statements[STATE_ROWS_STATEMENTS];
    uint64_t kv_revision;
    uint64_t kv_revision_committed;
    bool kv_changed;
};

int state_rows_open(struct state_rows **out, sqlite3 *db, const char *path, struct error *e)
{
    struct state_rows *rows = mem_zalloc(sizeof *rows);
    int err = 0;
    rows->db = db;
    rows->path = path;
    for (int i = 0; err == 0 && i < STATE_ROWS_STATEMENTS; i++)
        if (sqlite3_prepare_v3(db, state_rows_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &rows->statements[i], NULL) != SQLITE_OK)
            err = sqlite_use_error(db, path, "state", e);
    if (err == 0)
        err = sqlite_use_integer(db, path, "SELECT value FROM meta WHERE key='kv_revision'",
                                 &rows->kv_revision, e);
    if (err < 0) {
        state_rows_close(rows);
        return err;
    }
    rows->kv_revision_committed = rows->kv_revision;
    *out = rows;
    return 0;
}

void state_rows_close(struct state_rows *rows)
{
    if (rows == NULL)
        return;
    for (int i = 0; i < STATE_ROWS_STATEMENTS; i++)
        sqlite3_finalize(rows->statements[i]);
    free(rows);
}

static int state_rows_run(struct state_rows *rows, enum state_rows_statement which, struct error *e)
{
    return sqlite_use_run(rows->db, rows->statements[which], rows->path, "state", e);
}

static int state_rows_set_meta(struct state_rows *rows, const char *key, uint64_t value,
                               struct error *e)
{
    sqlite3_stmt *stmt = rows->statements[STATE_ROWS_META];
    sqlite_use_bind_text(stmt, 1, key);
    sqlite_use_bind_u64(stmt, 2, value);
    return state_rows_run(rows, STATE_ROWS_META, e);
}

static int state_rows_put_cluster(struct state_rows *rows, const Wire__ClusterRow *row,
                                  struct error *e)
{
    sqlite3_stmt *stmt = rows->statements[STATE_ROWS_META];
    sqlite_use_bind_text(stmt, 1, "cluster_id");
    sqlite_use_bind_text(stmt, 2, row->cluster_id);
    int err = state_rows_run(rows, STATE_ROWS_META, e);
    if (err < 0)
        return err;
    sqlite_use_bind_text(stmt, 1, "join_token");
    sqlite_use_bind_text(stmt, 2, row->join_token);
    err = state_rows_run(rows, STATE_ROWS_META, e);
    return err < 0 ? err : state_rows_set_meta(rows, "created_ms", row->created_ms, e);
}

/* "a\nb": labels hold no newline. */
static char *state_rows_join_labels(const Wire__Node *node)
{
    char *text = mem_strdup("");
    for (size_t i = 0; i < node->n_labels; i++) {
        char *longer = mem_printf("%s%s%s", text, i > 0 ? "\n" : "", node->labels[i]);
        free(text);
        text = longer;
    }
    return text;
}

static int state_rows_put_node(struct state_rows *rows, const Wire__Node *node, struct error *e)
{
    sqlite3_stmt *stmt = rows->statements[STATE_ROWS_NODE];
    char *labels = state_rows_join_labels(node);
    sqlite_use_bind_u64(stmt, 1, node->id);
    sqlite_use_bind_text(stmt, 2, node->uuid);
    sqlite_use_bind_text(stmt, 3, node->name);
    sqlite_use_bind_u64(stmt, 4, node->roles);
    sqlite_use_bind_text(stmt, 5, node->peer_address);
    sqlite_use_bind_text(stmt, 6, node->api_address);
    sqlite_use_bind_u64(stmt, 7, node->slots);
    sqlite_use_bind_u64(stmt, 8, node->memory_bytes);
    sqlite_use_bind_text(stmt, 9, labels);
    sqlite_use_bind_u64(stmt, 10, node->draining);
    sqlite_use_bind_text(stmt, 11, node->drain_reason);
    sqlite_use_bind_u64(stmt, 12, node->poll);
    sqlite_use_bind_u64(stmt, 13, node->joined_ms);
    sqlite_use_bind_text(stmt, 14, node->version);
    sqlite_use_bind_u64(stmt, 15, node->removed);
    sqlite_use_bind_u64(stmt, 16, node->drain_deadline_ms);
    sqlite_use_bind_u64(stmt, 17, (uint64_t)node->raft_policy);
    int err = state_rows_run(rows, STATE_ROWS_NODE, e);
    free(labels);
    return err;
}

static int state_rows_put_job(struct state_rows *rows, const Wire__JobRow *row, struct error *e)
{
    enum state_rows_statement which =
        row->spec != NULL ? STATE_ROWS_JOB_NEW : STATE_ROWS_JOB_CHANGE;
    sqlite3_stmt *stmt = rows->statements[which];
    sqlite_use_bind_u64(stmt, 1, row->seq);
    sqlite_use_bind_bytes(stmt, 2, row->id);
    sqlite_use_bind_u64(stmt, 3, (uint64_t)row->state);
    sqlite_use_bind_text(stmt, 4, row->reason);
    sqlite_use_bind_u64(stmt, 5, row->total);
    sqlite_use_bind_u64(stmt, 6, row->running);
    sqlite_use_bind_u64(stmt, 7, row->completed);
    sqlite_use_bind_u64(stmt, 8, row->failed);
    sqlite_use_bind_u64(stmt, 9, row->cancelled);
    sqlite_use_bind_u64(stmt, 10, row->submitted_ms);
    sqlite_use_bind_u64(stmt, 11, row->started_ms);
    sqlite_use_bind_u64(stmt, 16, row->ended_ms);
    sqlite_use_bind_u64(stmt, 17, row->cancel_requested_ms);
    sqlite_use_bind_u64(stmt, 19, row->round);
    sqlite_use_bind_text(stmt, 20, row->cancelled_set != NULL ? row->cancelled_set->text : NULL);
    uint8_t *packed = NULL;
    if (row->spec != NULL) {
        const Wire__JobSpec *spec = row->spec;
        sqlite_use_bind_text(stmt, 12, spec->name);
        sqlite_use_bind_text(stmt, 13, spec->user);
        (void)sqlite3_bind_int64(stmt, 14, spec->priority);
        sqlite_use_bind_text(stmt, 15, spec->idempotency_key[0] ? spec->idempotency_key : NULL);
        size_t len = wire__job_spec__get_packed_size(spec);
        packed = mem_alloc(len);
        (void)wire__job_spec__pack(spec, packed);
        (void)sqlite3_bind_blob64(stmt, 18, packed, len, SQLITE_STATIC);
    }
    int err = state_rows_run(rows, which, e);
    free(packed);
    return err;
}

static int state_rows_put_task(struct state_rows *rows, const Wire__TaskRow *row, struct error *e)
{
    const Wire__TaskReport *report = row->report;
    enum state_rows_statement which = report != NULL ? STATE_ROWS_TASK : STATE_ROWS_TASK_CHANGE;
    sqlite3_stmt *stmt = rows->statements[which];
    (void)sqlite3_clear_bindings(stmt);
    sqlite_use_bind_u64(stmt, 1, row->job_seq);
    sqlite_use_bind_u64(stmt, 2, row->index);
    sqlite_use_bind_u64(stmt, 3, row->attempt);
    sqlite_use_bind_u64(stmt, 4, (uint64_t)row->state);
    sqlite_use_bind_u64(stmt, 5, row->node_id);
    sqlite_use_bind_u64(stmt, 6, row->assigned_ms);
    sqlite_use_bind_u64(stmt, 21, row->round);
    if (report != NULL) {
        sqlite_use_bind_u64(stmt, 7, report->started_ms);
        sqlite_use_bind_u64(stmt, 8, report->ended_ms);
        sqlite_use_bind_u64(stmt, 9, report->code);
        sqlite_use_bind_text(stmt, 10, report->text);
        (void)sqlite3_bind_int64(stmt, 11, report->exit_code);
        sqlite_use_bind_u64(stmt, 12, report->signal);
        sqlite_use_bind_u64(stmt, 13, report->user_us);
        sqlite_use_bind_u64(stmt, 14, report->system_us);
        sqlite_use_bind_u64(stmt, 15, report->rss_max_bytes);
        sqlite_use_bind_u64(stmt, 16, report->stdout_bytes);
        sqlite_use_bind_u64(stmt, 17, report->stderr_bytes);
        if (report->stdout_inline.len > 0)
            sqlite_use_bind_bytes(stmt, 18, report->stdout_inline);
        if (report->stderr_inline.len > 0)
            sqlite_use_bind_bytes(stmt, 19, report->stderr_inline);
        sqlite_use_bind_u64(stmt, 20, report->output_kept);
    } else {
        sqlite_use_bind_u64(stmt, 9, row->code);
        sqlite_use_bind_text(stmt, 10, row->text);
    }
    return state_rows_run(rows, which, e);
}

static int state_rows_kv_version(struct state_rows *rows, const char *key, uint64_t *version,
                                 struct error *e)
{
    sqlite3_stmt *stmt = rows->statements[STATE_ROWS_KV_GET];
    sqlite_use_bind_text(stmt, 1, key);
    int rc = sqlite3_step(stmt);
    *version = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    int err = rc == SQLITE_ROW || rc == SQLITE_DONE
                  ? 0
                  : sqlite_use_error(rows->db, rows->path, "state", e);
    (void)sqlite3_reset(stmt);
    return err;
}

static int state_rows_kv_put(struct state_rows *rows, const Wire__KvPut *put, uint64_t at_ms,
                             struct state_result *result, struct error *e)
{
    if (put->conditional) {
        int err = state_rows_kv_version(rows, put->key, &result->version, e);
        if (err < 0)
            return err;
        if (result->version != put->if_version) {
            result->code = ERR_CONFLICT;
            return 0;
        }
    }
    sqlite3_stmt *stmt = rows->statements[STATE_ROWS_KV_PUT];
    rows->kv_changed = true;
    result->version = ++rows->kv_revision;
    sqlite_use_bind_text(stmt, 1, put->key);
    sqlite_use_bind_bytes(stmt, 2, put->value);
    sqlite_use_bind_u64(stmt, 3, result->version);
    sqlite_use_bind_u64(stmt, 4, at_ms);
    return state_rows_run(rows, STATE_ROWS_KV_PUT, e);
}

static int state_rows_kv_delete(struct state_rows *rows, const Wire__KvDelete *request,
                                struct state_result *result, struct error *e)
{
    int err = state_rows_kv_version(rows, request->key, &result->version, e);
    if (err < 0)
        return err;
    if (result->version == 0 || (request->conditional && result->version != request->if_version)) {
        result->code = result->version == 0 ? ERR_NOT_FOUND : ERR_CONFLICT;
        return 0;
    }
    sqlite3_stmt *stmt = rows->statements[STATE_ROWS_KV_DELETE];
    sqlite_use_bind_text(stmt, 1, request->key);
    return state_rows_run(rows, STATE_ROWS_KV_DELETE, e);
}

static int state_rows_put_file(struct state_rows *rows, const Wire__FileRow *row, struct error *e)
{
    if (row->deleted) {
        sqlite_use_bind_text(rows->statements[STATE_ROWS_FILE_DELETE], 1, row->id);
        return state_rows_run(rows, STATE_ROWS_FILE_DELETE, e);
    }
    char *holders = mem_strdup("");
    for (size_t i = 0; i < row->n_holders; i++) {
        char *longer =
            mem_printf("%s%s%llu", holders, i > 0 ? "," : "", (unsigned long long)row->holders[i]);
        free(holders);
        holders = longer;
    }
    sqlite3_stmt *stmt = rows->statements[STATE_ROWS_FILE];
    sqlite_use_bind_text(stmt, 1, row->id);
    sqlite_use_bind_text(stmt, 2, row->name);
    sqlite_use_bind_u64(stmt, 3, row->bytes);
    sqlite_use_bind_text(stmt, 4, row->xxh);
    sqlite_use_bind_text(stmt, 5, holders);
    sqlite_use_bind_u64(stmt, 6, row->created_ms);
    sqlite_use_bind_text(stmt, 7, row->user);
    int err = state_rows_run(rows, STATE_ROWS_FILE, e);
    free(holders);
    return err;
}

static int state_rows_forget_job(struct state_rows *rows, const Wire__JobForget *forget,
                                 struct error *e)
{
    sqlite_use_bind_u64(rows->statements[STATE_ROWS_TASKS_FORGET], 1, forget->seq);
    int err = state_rows_run(rows, STATE_ROWS_TASKS_FORGET, e);
    if (err < 0)
        return err;
    sqlite_use_bind_u64(rows->statements[STATE_ROWS_JOB_FORGET], 1, forget->seq);
    return state_rows_run(rows, STATE_ROWS_JOB_FORGET, e);
}

static int state_rows_put_audit(struct state_rows *rows, const Wire__AuditRow *row, struct error *e)
{
    sqlite3_stmt *stmt = rows->statements[STATE_ROWS_AUDIT];
    sqlite_use_bind_u64(stmt, 1, row->at_ms);
    sqlite_use_bind_text(stmt, 2, row->user);
    sqlite_use_bind_text(stmt, 3, row->action);
    sqlite_use_bind_text(stmt, 4, row->object);
    sqlite_use_bind_text(stmt, 5, row->detail);
    int err = state_rows_run(rows, STATE_ROWS_AUDIT, e);
    if (err < 0)
        return err;
    sqlite_use_bind_u64(rows->statements[STATE_ROWS_AUDIT_TRIM], 1, STATE_ROWS_AUDIT_MAX);
    return state_rows_run(rows, STATE_ROWS_AUDIT_TRIM, e);
}

int state_rows_apply(struct state_rows *rows, const Wire__Change *change, uint64_t at_ms,
                     struct state_result *result, struct error *e)
{
    switch (change->of_case) {
    case WIRE__CHANGE__OF_CLUSTER:
        return state_rows_put_cluster(rows, change->cluster, e);
    case WIRE__CHANGE__OF_NODE:
        return state_rows_put_node(rows, change->node, e);
    case WIRE__CHANGE__OF_JOB:
        return state_rows_put_job(rows, change->job, e);
    case WIRE__CHANGE__OF_TASK:
        return state_rows_put_task(rows, change->task, e);
    case WIRE__CHANGE__OF_KV_PUT:
        return state_rows_kv_put(rows, change->kv_put, at_ms, result, e);
    case WIRE__CHANGE__OF_KV_DELETE:
        return state_rows_kv_delete(rows, change->kv_delete, result, e);
    case WIRE__CHANGE__OF_FILE:
        return state_rows_put_file(rows, change->file, e);
    case WIRE__CHANGE__OF_JOB_FORGET:
        return state_rows_forget_job(rows, change->job_forget, e);
    case WIRE__CHANGE__OF_AUDIT:
        return state_rows_put_audit(rows, change->audit, e);
    default:
        return error_set(e, ERR_VERSION,
                         "%s: the log holds a change that this version of clusterd does not know",
                         rows->path);
    }
}

int state_rows_flush(struct state_rows *rows, struct error *e)
{
    return rows->kv_changed ? state_rows_set_meta(rows, "kv_revision", rows->kv_revision, e) : 0;
}

void state_rows_committed(struct state_rows *rows)
{
    rows->kv_changed = false;
    rows->kv_revision_committed = rows->kv_revision;
}

void state_rows_rollback(struct state_rows *rows)
{
    rows->kv_changed = false;
    rows->kv_revision = rows->kv_revision_committed;
}
