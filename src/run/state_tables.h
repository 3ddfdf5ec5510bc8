/* Tables of the lake in the replicated state: what a Raft entry changes, and reading it.
 *
 * A commit is decided where it is applied, on every replica alike: unknown table, id seen before,
 * files removed since the base, or the next version. Ids are kept for ever; lines of entries until
 * they are published and STATE_TABLES_KEEP newer ones are. */
#ifndef RUN_STATE_TABLES_H
#define RUN_STATE_TABLES_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/uuid.h"
#include "run/state_store.h"
#include "wire/state.pb-c.h"

enum {
    STATE_TABLES_KEEP = 256,     /* published entries whose lines stay */
    STATE_TABLES_MEMORY = 10000, /* entries whose removed files are remembered */
    STATE_TABLES_HASH_BYTES = 16,
    STATE_TABLES_READ_BYTES = 4 << 20, /* of lines that one read gives */
    STATE_TABLES_BEHIND_MAX = 4096,    /* entries of a table that wait to be published */
};

/* ---- writing: between state_store.c and here --------------------------------------------------
 */

struct state_tables;

/* Makes what is missing in the schema. */
int state_tables_open(struct state_tables **out, sqlite3 *db, const char *path, struct error *e);
void state_tables_close(struct state_tables *tables);

/* Inside the transaction of state_store_apply(). Refusals are in `result`; a negative return is a
 * failure of the disk. */
int state_tables_create(struct state_tables *tables, const Wire__TableCreate *create,
                        uint64_t at_ms, struct state_result *result, struct error *e);
int state_tables_drop(struct state_tables *tables, const Wire__TableDrop *drop,
                      struct state_result *result, struct error *e);
int state_tables_commit(struct state_tables *tables, const Wire__TableCommit *commit,
                        uint64_t at_ms, struct state_result *result, struct error *e);
int state_tables_published(struct state_tables *tables, const Wire__TablePublished *published,
                           struct error *e);

/* The hash of a path in TableCommit.removed. */
void state_tables_hash(const char *path, uint8_t out[static STATE_TABLES_HASH_BYTES]);

/* ---- reading: on a reader's thread ------------------------------------------------------------
 */

struct state_table {
    struct uuid id;
    char *name;
    char *place;
    char *metadata;
    char *broken; /* "" or why nothing can be committed any more */
    bool owned;
    bool registered;
    uint64_t version;
    uint64_t published; /* UINT64_MAX: not even entry 0 */
    uint64_t created_ms, changed_ms;
};

void state_table_done(struct state_table *table);

struct state_table_entry {
    uint64_t version;
    uint64_t at_ms;
    char *txn_id;
    char *operation;
    char *user;
    uint32_t files_added, files_removed;
    uint64_t rows_added, bytes_added;
    uint8_t *lines; /* malloc'ed; NULL: in the log only, or not asked for */
    size_t lines_len;
};

struct state_table_entries {
    struct state_table_entry *entries;
    size_t n, cap;
    bool more; /* there are later ones */
};

void state_table_entries_done(struct state_table_entries *entries);

/* ERR_NOT_FOUND when there is none. */
int state_query_table_named(sqlite3 *db, const char *name, struct state_table *table);
int state_query_table(sqlite3 *db, const struct uuid *id, struct state_table *table);

/* All tables by name, or those with entries to publish. `fn` takes the table; a non-zero return
 * ends the walk. */
typedef int (*state_query_table_fn)(void *arg, struct state_table *table);
int state_query_tables(sqlite3 *db, bool unpublished, state_query_table_fn fn, void *arg);

/* Entries from version `from` on, in order, with their lines as far as they are kept, up to
 * STATE_TABLES_READ_BYTES of them (at least one entry). */
int state_query_table_entries(sqlite3 *db, const struct uuid *id, uint64_t from,
                              struct state_table_entries *entries);

/* The history: the newest `limit` entries before version `before` (UINT64_MAX: all), newest first,
 * without lines. */
int state_query_table_history(sqlite3 *db, const struct uuid *id, uint64_t before, unsigned limit,
                              struct state_table_entries *entries);

/* Last version that was committed at or before `at_ms`; ERR_NOT_FOUND when this state has none so
 * old. */
int state_query_table_version_at(sqlite3 *db, const struct uuid *id, uint64_t at_ms,
                                 uint64_t *version);

#endif
