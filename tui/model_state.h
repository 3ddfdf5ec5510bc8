/* The cluster's state at one moment: tables of rows by key.
 *
 * Copying a state costs a few pointers; tables are shared until one of the sides changes. Each
 * table has a generation: equal generations mean equal content, in any two states of a process, so
 * whoever paints compares the number with the one painted last. */
#ifndef TUI_MODEL_STATE_H
#define TUI_MODEL_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/model_row.h"

enum { MODEL_ROWS_MAX = 65536 }; /* of one table; then ended rows make room, or the new one waits */

/* X(symbol, name in events and frames) */
#define MODEL_TABLE_LIST(X)                                                                        \
    X(MODEL_NODES, "nodes")               /* key: name */                                          \
    X(MODEL_ELECTIONS, "elections")       /* group */                                              \
    X(MODEL_RAFT, "raft")                 /* name */                                               \
    X(MODEL_JOBS, "jobs")                 /* id */                                                 \
    X(MODEL_TASKS, "tasks")               /* id: UUID_INDEX */                                     \
    X(MODEL_QUERIES, "queries")           /* query */                                              \
    X(MODEL_STAGES, "stages")             /* QUERY/STAGE */                                        \
    X(MODEL_ROLLOUTS, "rollouts")         /* service */                                            \
    X(MODEL_ROUTING, "routing")           /* NODE/SERVICE */                                       \
    X(MODEL_TRANSACTIONS, "transactions") /* txid */                                               \
    X(MODEL_CHAT, "chat")                 /* name of the member */

enum model_table {
#define MODEL_TABLE_ENUM(symbol, name) symbol,
    MODEL_TABLE_LIST(MODEL_TABLE_ENUM)
#undef MODEL_TABLE_ENUM
        MODEL_TABLES
};

struct model_rows; /* one table's content; shared, counted */

struct model_state {
    int64_t at_ms; /* of what it shows; 0: nothing was ever seen */
    struct model_rows *tables[MODEL_TABLES];
    uint64_t refused;  /* rows that found no place here, or have no key */
    uint64_t left_out; /* rows and changes that the server has left out of its frame */
};

const char *model_table_name(enum model_table table);
/* MODEL_TABLES when there is no such table. */
enum model_table model_table_from_name(const char *name, size_t len);

/* Reading */
size_t model_state_count(const struct model_state *state, enum model_table table);
/* i < count. In no order; borrowed until the state changes. */
const struct model_row *model_state_at(const struct model_state *state, enum model_table table,
                                       size_t i);
const struct model_row *model_state_find(const struct model_state *state, enum model_table table,
                                         const char *key);
uint64_t model_state_generation(const struct model_state *state, enum model_table table);

/* Changing */
void model_state_init(struct model_state *state);
void model_state_done(struct model_state *state);
/* `to` is initialised; what it held is dropped. */
void model_state_copy(struct model_state *to, const struct model_state *from);
/* Lays the fields of a JSON object over the row `key`, which it makes when there is none. False
 * when the JSON is malformed or there was no place. */
bool model_state_patch(struct model_state *state, enum model_table table, const char *key,
                       struct json_scan *row);
void model_state_remove(struct model_state *state, enum model_table table, const char *key);
/* Puts an array of rows in the place of the table's content, or over it when `merge`. Keys are
 * found in the rows. */
bool model_state_read_table(struct model_state *state, enum model_table table, bool merge,
                            struct json_scan *rows);
/* Reads an answer of /api/frame; tables that it doesn't have stay. On failure (malformed) the
 * state may have some tables of it. `cursor` gets the cursor, cut. */
bool model_state_read_frame(struct model_state *state, const char *text, size_t len, char *cursor,
                            size_t cursor_size);

bool model_state_equal(const struct model_state *a, const struct model_state *b);

#endif
