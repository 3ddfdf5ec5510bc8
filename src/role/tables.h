/* Tables as roles use them: make, drop, commit, read a version. Works on every node; what needs the
 * leader is asked of it, and repeated while one is looked for. All on the loop's thread; callbacks
 * come once and never from inside a call.
 *
 * Happy path of a commit: the lines of an entry and a transaction id go to the leader, become a
 * change in the Raft log, are decided where that is applied (base version, files removed since),
 * and get the next version. From then on the commit stands; the leader publishes it as
 * _delta_log/N.json, in order, and so does whoever leads after a crash.
 *
 * A snapshot is linearisable: it has every commit that was acknowledged before it was asked for. */
#ifndef ROLE_TABLES_H
#define ROLE_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"
#include "core/delta_log.h"
#include "role/role.h"

struct node;
struct tables;
struct tables_call;

/* The role that keeps them, on every node: sets objects, place and tables of node_lake(). */
extern const struct role tables_role;

enum {
    TABLES_NAME_BYTES_MAX = 255,
    TABLES_ENTRY_BYTES_MAX = 4 << 20, /* lines of one commit */
};                                    /* "name" or "schema.name"; schema "main" is left out */

struct tables_table {
    const char *name;
    struct uuid id;
    const char *place;  /* URL, wire/lake_path.h */
    uint64_t version;   /* latest */
    uint64_t published; /* latest in _delta_log; may lag by moments. DELTA_NO_VERSION: none yet */
    const char *broken; /* "", or why nothing can be committed any more */
    bool owned;         /* its files are deleted with it */
    int64_t created_ms;
    int64_t changed_ms;
};

/* A version as its history tells. */
struct tables_entry {
    uint64_t version;
    int64_t at_ms;
    const char *operation;
    const char *user;
    const char *txn_id;
    uint32_t files_added, files_removed;
    uint64_t rows_added, bytes_added;
};

/* Borrowed for the call of the callback. */
struct tables_result {
    int code; /* 0; ERR_NOT_FOUND (table or version), ERR_EXISTS, ERR_CONFLICT, ERR_UNSUPPORTED,
                 ERR_CORRUPT, ERR_NO_LEADER, ERR_OUTCOME_UNKNOWN (repeat with the same id), ... */
    const char *text;                  /* a sentence; "" when code is 0 */
    const struct tables_table *tables; /* of list: all; else the one at hand */
    size_t tables_n;
    const struct tables_entry *entries; /* of history: newest first */
    size_t entries_n;
    uint64_t version;        /* of commit, create */
    bool repeated;           /* of commit: it had been committed before, at `version` */
    struct delta_view *view; /* of snapshot: taken by the callback, which closes it */
};

typedef void (*tables_done_fn)(void *arg, const struct tables_result *result);

/* Makes a table. `place` NULL: below the store's place, empty. With a place that holds a Delta log
 * the table is that one (schema, partitions, properties must then be empty); a place that holds
 * none needs a schema. Strings are copied, `schema` too. */
struct tables_create {
    const char *name;
    const char *place;
    const struct delta_schema *schema;
    const char *const *partitions; /* names of columns */
    size_t partitions_n;
    const struct delta_property *properties;
    size_t properties_n;
    const struct uuid *id; /* NULL: one is made up */
    const char *operation; /* NULL: "CREATE TABLE" */
    /* With a schema: further actions of its first entry, as of tables_commit(): it then has files.
     */
    const char *lines;
    size_t lines_len;
    const char *txn_id; /* repeated with the same id it answers as before; NULL: one is made up */
    const char *user;
    bool if_not_exists; /* an existing one is well: code 0, repeated, no table in the result */
};

struct tables_call *tables_create(struct tables *tables, const struct tables_create *create,
                                  tables_done_fn fn, void *arg);

/* Forgets the table; its files are deleted if they were made below the store's place. */
struct tables_call *tables_drop(struct tables *tables, const char *name, const char *user,
                                tables_done_fn fn, void *arg);

/* Commits the lines that delta_commit.h wrote (without commitInfo's newline rules to mind: whole
 * lines). `base` is the version that was read. The id makes it safe to repeat. */
struct tables_commit {
    struct uuid table;
    uint64_t base;
    const char *txn_id;
    const char *user; /* NULL: nobody in particular */
    const char *lines;
    size_t lines_len;
};

struct tables_call *tables_commit(struct tables *tables, const struct tables_commit *commit,
                                  tables_done_fn fn, void *arg);

/* `version` DELTA_NO_VERSION: the latest, or, with at_ms > 0, the last that was committed at or
 * before that time. */
struct tables_call *tables_snapshot(struct tables *tables, const char *name, uint64_t version,
                                    int64_t at_ms, tables_done_fn fn, void *arg);

/* The newest `limit` versions before `before` (DELTA_NO_VERSION: all) that this cluster committed.
 */
struct tables_call *tables_history(struct tables *tables, const char *name, uint64_t before,
                                   unsigned limit, tables_done_fn fn, void *arg);

struct tables_call *tables_list(struct tables *tables, tables_done_fn fn, void *arg);

/* The callback is not called any more; what was asked for may happen all the same. */
void tables_cancel(struct tables_call *call);

#endif
