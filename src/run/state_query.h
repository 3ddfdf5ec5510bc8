/* Reading the replicated state: the queries that roles need, each run on a reader's thread
 * (run/state_db.h). They return 0, ERR_NOT_FOUND, or ERR_CORRUPT / ERR_INTERNAL when SQLite fails.
 */
#ifndef RUN_STATE_QUERY_H
#define RUN_STATE_QUERY_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "base/uuid.h"
#include "wire/state.pb-c.h"

/* ---- members ---- */

struct state_query_nodes {
    Wire__Node **nodes;
    size_t n;
    size_t cap;
    char *join_token; /* "" when there is none yet */
    char *cluster_id;
};

int state_query_nodes(sqlite3 *db, struct state_query_nodes *result);
void state_query_nodes_done(struct state_query_nodes *result);

/* ---- jobs ---- */

/* A job's row with its specification; `row.spec` set. Free with wire__job_row__free_unpacked(). */
int state_query_job(sqlite3 *db, const struct uuid *id, Wire__JobRow **row);
int state_query_job_keyed(sqlite3 *db, const char *idempotency_key, Wire__JobRow **row);

/* Jobs that have not ended, behind seq `after`, by seq. `fn` takes the row; a non-zero return ends
 * the walk and is returned. */
typedef int (*state_query_job_fn)(void *arg, Wire__JobRow *row);
int state_query_active_jobs(sqlite3 *db, uint64_t after, state_query_job_fn fn, void *arg);

/* All attempts of a job by (index, attempt), without output. `fn` takes the row. */
typedef int (*state_query_task_fn)(void *arg, Wire__TaskRow *row);
int state_query_tasks(sqlite3 *db, uint64_t job_seq, bool with_output, int64_t index_from,
                      int64_t index_to, state_query_task_fn fn, void *arg);

/* The same, all attempts behind this one, at most `limit`, without what only reports say. */
int state_query_tasks_after(sqlite3 *db, uint64_t job_seq, uint32_t index, uint32_t attempt,
                            unsigned limit, state_query_task_fn fn, void *arg);

/* Greatest sequence number of a job, 0 when there is none. */
int state_query_last_seq(sqlite3 *db, uint64_t *seq);

/* Finds a job by the beginning of its UUID's text form (at least 4 characters), or "last" of a
 * user. ERR_CONFLICT when several match. */
int state_query_find_job(sqlite3 *db, const char *prefix, const char *user, struct uuid *id);

struct state_query_job_filter {
    int state;        /* Wire__JobState; 0 any */
    const char *user; /* NULL any */
    const char *name; /* with wildcards; NULL any */
    uint64_t before;  /* only with a smaller seq; 0 any */
    unsigned limit;
};

/* Rows newest first. `fn` takes the row. */
int state_query_jobs(sqlite3 *db, const struct state_query_job_filter *filter,
                     state_query_job_fn fn, void *arg);

/* Seqs of ended jobs that are older than `before_ms` or beyond the newest `keep`; at most `max`. */
int state_query_forgettable(sqlite3 *db, int64_t before_ms, uint64_t keep, uint64_t *seqs,
                            unsigned max, unsigned *n);

/* ---- keys, files, audit: JSON as in docs/api.md ---- */

struct state_query_value {
    void *data; /* malloc'ed */
    size_t len;
    uint64_t version;
    int64_t updated_ms;
};

int state_query_kv(sqlite3 *db, const char *key, struct state_query_value *value);
int state_query_kv_list(sqlite3 *db, const char *prefix, unsigned limit, json_t **rows);
int state_query_audit(sqlite3 *db, unsigned limit, json_t **rows);
/* Free with wire__file_row__free_unpacked(). */
int state_query_file(sqlite3 *db, const char *id, Wire__FileRow **row);

#endif
