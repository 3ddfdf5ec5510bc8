/* Each query prepares, binds, steps and finalises; statements are short-lived because readers'
 * connections are replaced when the state file is. */
#include "run/state_query.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#define STATE_QUERY_JOB_COLUMNS                                                                    \
    "seq, id, state, reason, total, running, completed, failed, cancelled, submitted_ms,"          \
    " started_ms, ended_ms, cancel_requested_ms, round, cancelled_set, spec"

#define STATE_QUERY_TASK_COLUMNS                                                                   \
    "idx, attempt, state, node_id, assigned_ms, round, started_ms, ended_ms, code, text,"          \
    " exit_code, signal, user_us, system_us, rss_max_bytes, stdout_bytes, stderr_bytes,"           \
    " output_kept"

enum { STATE_QUERY_PREFIX_MIN = 4, STATE_QUERY_PREFIX_MAX = 36 };

static int state_query_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **stmt)
{
    return sqlite3_prepare_v2(db, sql, -1, stmt, NULL) == SQLITE_OK ? 0 : ERR_INTERNAL;
}

/* Ends a walk: `err` of the caller, or what SQLite said last. */
static int state_query_finish(sqlite3_stmt *stmt, int rc, int err)
{
    sqlite3_finalize(stmt);
    if (err != 0)
        return err;
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : ERR_INTERNAL;
}

static char *state_query_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return mem_strdup(text != NULL ? text : "");
}

static uint64_t state_query_u64(sqlite3_stmt *stmt, int column)
{
    return (uint64_t)sqlite3_column_int64(stmt, column);
}

static ProtobufCBinaryData state_query_bytes(sqlite3_stmt *stmt, int column)
{
    ProtobufCBinaryData bytes = {.len = (size_t)sqlite3_column_bytes(stmt, column)};
    if (bytes.len > 0)
        bytes.data = mem_dup(sqlite3_column_blob(stmt, column), bytes.len);
    return bytes;
}

static char *state_query_meta(sqlite3 *db, const char *key)
{
    sqlite3_stmt *stmt = NULL;
    char *value = NULL;
    if (state_query_prepare(db, "SELECT value FROM meta WHERE key=?1", &stmt) == 0) {
        (void)sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
        if (sqlite3_step(stmt) == SQLITE_ROW)
            value = state_query_text(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return value != NULL ? value : mem_strdup("");
}

/* ---- members --------------------------------------------------------------------------------- */

static void state_query_labels(const char *text, Wire__Node *node)
{
    size_t cap = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        MEM_GROW(node->labels, cap, node->n_labels + 1);
        node->labels[node->n_labels++] = mem_strndup(text, len);
        text += len + (text[len] == '\n');
    }
}

static Wire__Node *state_query_node_row(sqlite3_stmt *stmt)
{
    Wire__Node *node = mem_zalloc(sizeof *node);
    wire__node__init(node);
    node->id = state_query_u64(stmt, 0);
    node->uuid = state_query_text(stmt, 1);
    node->name = state_query_text(stmt, 2);
    node->roles = (uint32_t)state_query_u64(stmt, 3);
    node->peer_address = state_query_text(stmt, 4);
    node->api_address = state_query_text(stmt, 5);
    node->slots = (uint32_t)state_query_u64(stmt, 6);
    node->memory_bytes = state_query_u64(stmt, 7);
    state_query_labels((const char *)sqlite3_column_text(stmt, 8), node);
    node->draining = state_query_u64(stmt, 9) != 0;
    node->drain_reason = state_query_text(stmt, 10);
    node->poll = state_query_u64(stmt, 11) != 0;
    node->joined_ms = state_query_u64(stmt, 12);
    node->version = state_query_text(stmt, 13);
    node->removed = state_query_u64(stmt, 14) != 0;
    node->drain_deadline_ms = state_query_u64(stmt, 15);
    node->raft_policy = (Wire__RaftPolicy)state_query_u64(stmt, 16);
    return node;
}

int state_query_nodes(sqlite3 *db, struct state_query_nodes *result)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare(
        db,
        "SELECT id, uuid, name, roles, peer_address, api_address, slots, memory_bytes, labels,"
        " draining, drain_reason, poll, joined_ms, version, removed, drain_deadline_ms,"
        " raft_policy FROM nodes ORDER BY id",
        &stmt);
    if (err < 0)
        return err;
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        MEM_GROW(result->nodes, result->cap, result->n + 1);
        result->nodes[result->n++] = state_query_node_row(stmt);
    }
    result->join_token = state_query_meta(db, "join_token");
    result->cluster_id = state_query_meta(db, "cluster_id");
    return state_query_finish(stmt, rc, 0);
}

void state_query_nodes_done(struct state_query_nodes *result)
{
    for (size_t i = 0; i < result->n; i++)
        wire__node__free_unpacked(result->nodes[i], NULL);
    free(result->nodes);
    free(result->join_token);
    free(result->cluster_id);
    *result = (struct state_query_nodes){0};
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static Wire__JobRow *state_query_job_row(sqlite3_stmt *stmt)
{
    Wire__JobRow *row = mem_zalloc(sizeof *row);
    wire__job_row__init(row);
    row->seq = state_query_u64(stmt, 0);
    row->id = state_query_bytes(stmt, 1);
    row->state = (Wire__JobState)sqlite3_column_int(stmt, 2);
    row->reason = state_query_text(stmt, 3);
    row->total = (uint32_t)state_query_u64(stmt, 4);
    row->running = (uint32_t)state_query_u64(stmt, 5);
    row->completed = (uint32_t)state_query_u64(stmt, 6);
    row->failed = (uint32_t)state_query_u64(stmt, 7);
    row->cancelled = (uint32_t)state_query_u64(stmt, 8);
    row->submitted_ms = state_query_u64(stmt, 9);
    row->started_ms = state_query_u64(stmt, 10);
    row->ended_ms = state_query_u64(stmt, 11);
    row->cancel_requested_ms = state_query_u64(stmt, 12);
    row->round = (uint32_t)state_query_u64(stmt, 13);
    row->cancelled_set = mem_zalloc(sizeof *row->cancelled_set);
    wire__element_set__init(row->cancelled_set);
    row->cancelled_set->text = state_query_text(stmt, 14);
    row->spec = wire__job_spec__unpack(NULL, (size_t)sqlite3_column_bytes(stmt, 15),
                                       sqlite3_column_blob(stmt, 15));
    if (row->spec == NULL || row->id.len != sizeof(struct uuid)) {
        wire__job_row__free_unpacked(row, NULL);
        return NULL;
    }
    return row;
}

/* Steps a bound query for one row. */
static int state_query_one_job(sqlite3_stmt *stmt, Wire__JobRow **row)
{
    int rc = sqlite3_step(stmt);
    int err = rc == SQLITE_DONE ? ERR_NOT_FOUND : 0;
    if (rc == SQLITE_ROW && (*row = state_query_job_row(stmt)) == NULL)
        err = ERR_CORRUPT;
    return state_query_finish(stmt, rc, err);
}

int state_query_job(sqlite3 *db, const struct uuid *id, Wire__JobRow **row)
{
    sqlite3_stmt *stmt = NULL;
    int err =
        state_query_prepare(db, "SELECT " STATE_QUERY_JOB_COLUMNS " FROM jobs WHERE id=?1", &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_blob(stmt, 1, id->bytes, sizeof id->bytes, SQLITE_STATIC);
    return state_query_one_job(stmt, row);
}

int state_query_job_keyed(sqlite3 *db, const char *idempotency_key, Wire__JobRow **row)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare(
        db, "SELECT " STATE_QUERY_JOB_COLUMNS " FROM jobs WHERE idempotency_key=?1", &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_text(stmt, 1, idempotency_key, -1, SQLITE_STATIC);
    return state_query_one_job(stmt, row);
}

/* Steps a bound query for any number of rows. */
static int state_query_each_job(sqlite3_stmt *stmt, state_query_job_fn fn, void *arg)
{
    int rc;
    int err = 0;
    while (err == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        Wire__JobRow *row = state_query_job_row(stmt);
        err = row != NULL ? fn(arg, row) : ERR_CORRUPT;
    }
    return state_query_finish(stmt, err == 0 ? rc : SQLITE_DONE, err);
}

int state_query_active_jobs(sqlite3 *db, uint64_t after, state_query_job_fn fn, void *arg)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare(db,
                                  "SELECT " STATE_QUERY_JOB_COLUMNS
                                  " FROM jobs WHERE state < 3 AND seq > ?1 ORDER BY seq",
                                  &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)after);
    return state_query_each_job(stmt, fn, arg);
}

int state_query_jobs(sqlite3 *db, const struct state_query_job_filter *filter,
                     state_query_job_fn fn, void *arg)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare(db,
                                  "SELECT " STATE_QUERY_JOB_COLUMNS
                                  " FROM jobs WHERE (?1 = 0 OR state = ?1)"
                                  " AND (?2 IS NULL OR user = ?2)"
                                  " AND (?3 IS NULL OR name GLOB ?3)"
                                  " AND (?4 = 0 OR seq < ?4) ORDER BY seq DESC LIMIT ?5",
                                  &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_int(stmt, 1, filter->state);
    (void)sqlite3_bind_text(stmt, 2, filter->user, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 3, filter->name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 4, (sqlite3_int64)filter->before);
    (void)sqlite3_bind_int64(stmt, 5, filter->limit);
    return state_query_each_job(stmt, fn, arg);
}

static Wire__TaskRow *state_query_task_row(sqlite3_stmt *stmt, uint64_t job_seq, bool with_output)
{
    Wire__TaskRow *row = mem_zalloc(sizeof *row);
    wire__task_row__init(row);
    row->job_seq = job_seq;
    row->index = (uint32_t)state_query_u64(stmt, 0);
    row->attempt = (uint32_t)state_query_u64(stmt, 1);
    row->state = (Wire__AttemptState)sqlite3_column_int(stmt, 2);
    row->node_id = state_query_u64(stmt, 3);
    row->assigned_ms = state_query_u64(stmt, 4);
    row->round = (uint32_t)state_query_u64(stmt, 5);
    row->code = (uint32_t)state_query_u64(stmt, 8);
    row->text = state_query_text(stmt, 9);
    if (sqlite3_column_type(stmt, 6) == SQLITE_NULL)
        return row;
    Wire__TaskReport *report = row->report = mem_zalloc(sizeof *report);
    wire__task_report__init(report);
    report->started_ms = state_query_u64(stmt, 6);
    report->ended_ms = state_query_u64(stmt, 7);
    report->code = row->code;
    report->text = mem_strdup(row->text);
    report->exit_code = sqlite3_column_int(stmt, 10);
    report->signal = (uint32_t)state_query_u64(stmt, 11);
    report->user_us = state_query_u64(stmt, 12);
    report->system_us = state_query_u64(stmt, 13);
    report->rss_max_bytes = state_query_u64(stmt, 14);
    report->stdout_bytes = state_query_u64(stmt, 15);
    report->stderr_bytes = state_query_u64(stmt, 16);
    report->output_kept = state_query_u64(stmt, 17) != 0;
    if (with_output) {
        report->stdout_inline = state_query_bytes(stmt, 18);
        report->stderr_inline = state_query_bytes(stmt, 19);
    }
    return row;
}

int state_query_tasks(sqlite3 *db, uint64_t job_seq, bool with_output, int64_t index_from,
                      int64_t index_to, state_query_task_fn fn, void *arg)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare(
        db,
        with_output ? "SELECT " STATE_QUERY_TASK_COLUMNS ", stdout, stderr FROM tasks"
                      " WHERE job_seq=?1 AND idx BETWEEN ?2 AND ?3 ORDER BY idx, attempt"
                    : "SELECT " STATE_QUERY_TASK_COLUMNS " FROM tasks"
                      " WHERE job_seq=?1 AND idx BETWEEN ?2 AND ?3 ORDER BY idx, attempt",
        &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)job_seq);
    (void)sqlite3_bind_int64(stmt, 2, index_from);
    (void)sqlite3_bind_int64(stmt, 3, index_to);
    int rc = SQLITE_DONE;
    while (err == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        err = fn(arg, state_query_task_row(stmt, job_seq, with_output));
    return state_query_finish(stmt, err == 0 ? rc : SQLITE_DONE, err);
}

int state_query_tasks_after(sqlite3 *db, uint64_t job_seq, uint32_t index, uint32_t attempt,
                            unsigned limit, state_query_task_fn fn, void *arg)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare(
        db,
        "SELECT idx, attempt, state, node_id, assigned_ms, round, code, text FROM tasks"
        " WHERE job_seq=?1 AND (idx, attempt) > (?2, ?3) ORDER BY idx, attempt LIMIT ?4",
        &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_int64(stmt, 1, (sqlite3_int64)job_seq);
    (void)sqlite3_bind_int64(stmt, 2, index);
    (void)sqlite3_bind_int64(stmt, 3, attempt);
    (void)sqlite3_bind_int64(stmt, 4, limit);
    int rc = SQLITE_DONE;
    while (err == 0 && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        Wire__TaskRow *row = mem_zalloc(sizeof *row);
        wire__task_row__init(row);
        row->job_seq = job_seq;
        row->index = (uint32_t)state_query_u64(stmt, 0);
        row->attempt = (uint32_t)state_query_u64(stmt, 1);
        row->state = (Wire__AttemptState)sqlite3_column_int(stmt, 2);
        row->node_id = state_query_u64(stmt, 3);
        row->assigned_ms = state_query_u64(stmt, 4);
        row->round = (uint32_t)state_query_u64(stmt, 5);
        row->code = (uint32_t)state_query_u64(stmt, 6);
        row->text = state_query_text(stmt, 7);
        err = fn(arg, row);
    }
    return state_query_finish(stmt, err == 0 ? rc : SQLITE_DONE, err);
}

int state_query_last_seq(sqlite3 *db, uint64_t *seq)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare(db, "SELECT coalesce(max(seq), 0) FROM jobs", &stmt);
    if (err < 0)
        return err;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *seq = state_query_u64(stmt, 0);
    return state_query_finish(stmt, rc, 0);
}

/* The least and greatest UUID whose text begins with `prefix`. */
static int state_query_uuid_range(const char *prefix, struct uuid *low, struct uuid *high)
{
    char low_text[UUID_TEXT_MAX] = "00000000-0000-0000-0000-000000000000";
    char high_text[UUID_TEXT_MAX] = "ffffffff-ffff-ffff-ffff-ffffffffffff";
    size_t len = strlen(prefix);
    if (len < STATE_QUERY_PREFIX_MIN || len > STATE_QUERY_PREFIX_MAX)
        return ERR_INVALID;
    memcpy(low_text, prefix, len);
    memcpy(high_text, prefix, len);
    return uuid_parse(low_text, low) < 0 ? ERR_INVALID : uuid_parse(high_text, high);
}

static int state_query_prepare_find(sqlite3 *db, const char *prefix, const char *user,
                                    sqlite3_stmt **stmt)
{
    if (strcmp(prefix, "last") == 0) {
        int err = state_query_prepare(
            db, "SELECT id FROM jobs WHERE user=?1 ORDER BY seq DESC LIMIT 1", stmt);
        if (err == 0)
            (void)sqlite3_bind_text(*stmt, 1, user, -1, SQLITE_STATIC);
        return err;
    }
    struct uuid low;
    struct uuid high;
    int err = state_query_uuid_range(prefix, &low, &high);
    if (err == 0)
        err =
            state_query_prepare(db, "SELECT id FROM jobs WHERE id BETWEEN ?1 AND ?2 LIMIT 2", stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_blob(*stmt, 1, low.bytes, sizeof low.bytes, SQLITE_TRANSIENT);
    (void)sqlite3_bind_blob(*stmt, 2, high.bytes, sizeof high.bytes, SQLITE_TRANSIENT);
    return 0;
}

int state_query_find_job(sqlite3 *db, const char *prefix, const char *user, struct uuid *id)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare_find(db, prefix, user, &stmt);
    if (err < 0)
        return err;
    unsigned found = 0;
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (sqlite3_column_bytes(stmt, 0) == sizeof id->bytes)
            memcpy(id->bytes, sqlite3_column_blob(stmt, 0), sizeof id->bytes);
        found++;
    }
    return state_query_finish(stmt, rc, found == 1 ? 0 : found > 1 ? ERR_CONFLICT : ERR_NOT_FOUND);
}

int state_query_forgettable(sqlite3 *db, int64_t before_ms, uint64_t keep, uint64_t *seqs,
                            unsigned max, unsigned *n)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare(
        db,
        "SELECT seq FROM jobs WHERE state >= 3 AND (ended_ms < ?1 OR ended_ms <="
        " (SELECT ended_ms FROM jobs WHERE state >= 3 ORDER BY ended_ms DESC LIMIT 1 OFFSET ?2))"
        " ORDER BY ended_ms LIMIT ?3",
        &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_int64(stmt, 1, before_ms);
    (void)sqlite3_bind_int64(stmt, 2, (sqlite3_int64)keep);
    (void)sqlite3_bind_int64(stmt, 3, max);
    int rc;
    *n = 0;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        seqs[(*n)++] = state_query_u64(stmt, 0);
    return state_query_finish(stmt, rc, 0);
}

/* ---- keys, files, audit ---------------------------------------------------------------------- */

int state_query_kv(sqlite3 *db, const char *key, struct state_query_value *value)
{
    sqlite3_stmt *stmt = NULL;
    int err =
        state_query_prepare(db, "SELECT value, version, updated_ms FROM kv WHERE key=?1", &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        value->len = (size_t)sqlite3_column_bytes(stmt, 0);
        value->data = mem_dup(sqlite3_column_blob(stmt, 0), value->len);
        value->version = state_query_u64(stmt, 1);
        value->updated_ms = sqlite3_column_int64(stmt, 2);
    }
    return state_query_finish(stmt, rc, rc == SQLITE_DONE ? ERR_NOT_FOUND : 0);
}

static json_t *state_query_time(int64_t ms)
{
    char text[CLOCK_RFC3339_MAX];
    return ms > 0 ? json_string(clock_format_rfc3339(ms, text)) : json_null();
}

int state_query_kv_list(sqlite3 *db, const char *prefix, unsigned limit, json_t **rows)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare(db,
                                  "SELECT key, version, length(value), updated_ms FROM kv"
                                  " WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key LIMIT ?2",
                                  &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_text(stmt, 1, prefix, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, limit);
    *rows = json_array();
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        json_array_append_new(
            *rows, json_pack("{s:s, s:I, s:I, s:o}", "key", sqlite3_column_text(stmt, 0), "version",
                             (json_int_t)sqlite3_column_int64(stmt, 1), "bytes",
                             (json_int_t)sqlite3_column_int64(stmt, 2), "updated_at",
                             state_query_time(sqlite3_column_int64(stmt, 3))));
    return state_query_finish(stmt, rc, 0);
}

int state_query_audit(sqlite3 *db, unsigned limit, json_t **rows)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare(
        db, "SELECT at_ms, user, action, object, detail FROM audit ORDER BY id DESC LIMIT ?1",
        &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_int64(stmt, 1, limit);
    *rows = json_array();
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        json_array_append_new(*rows, json_pack("{s:o, s:s, s:s, s:s, s:s}", "at",
                                               state_query_time(sqlite3_column_int64(stmt, 0)),
                                               "user", sqlite3_column_text(stmt, 1), "action",
                                               sqlite3_column_text(stmt, 2), "object",
                                               sqlite3_column_text(stmt, 3), "detail",
                                               sqlite3_column_text(stmt, 4)));
    return state_query_finish(stmt, rc, 0);
}

static void state_query_holders(const char *text, Wire__FileRow *row)
{
    size_t cap = 0;
    while (*text != '\0') {
        char *end;
        uint64_t id = strtoull(text, &end, 10);
        if (end == text)
            return;
        MEM_GROW(row->holders, cap, row->n_holders + 1);
        row->holders[row->n_holders++] = id;
        text = end + (*end == ',');
    }
}

int state_query_file(sqlite3 *db, const char *id, Wire__FileRow **out)
{
    sqlite3_stmt *stmt = NULL;
    int err = state_query_prepare(
        db, "SELECT id, name, bytes, xxh, holders, created_ms, user FROM files WHERE id=?1", &stmt);
    if (err < 0)
        return err;
    (void)sqlite3_bind_text(stmt, 1, id, -1, SQLITE_STATIC);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        Wire__FileRow *row = mem_zalloc(sizeof *row);
        wire__file_row__init(row);
        row->id = state_query_text(stmt, 0);
        row->name = state_query_text(stmt, 1);
        row->bytes = state_query_u64(stmt, 2);
        row->xxh = state_query_text(stmt, 3);
        state_query_holders((const char *)sqlite3_column_text(stmt, 4), row);
        row->created_ms = state_query_u64(stmt, 5);
        row->user = state_query_text(stmt, 6);
        *out = row;
    }
    return state_query_finish(stmt, rc, rc == SQLITE_DONE ? ERR_NOT_FOUND : 0);
}
