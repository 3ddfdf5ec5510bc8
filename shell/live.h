/* What the cluster looked like a moment ago: names for completion, the node and leader for the
 * prompt. Fetched in the background; asking waits only briefly and never fails. */
#ifndef SHELL_LIVE_H
#define SHELL_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct shell;
struct client_call;

enum live_kind {
    LIVE_STATUS,
    LIVE_NODES,
    LIVE_JOBS,
    LIVE_KEYS,
    LIVE_TABLES,
    LIVE_COLUMNS,
    LIVE_FUNCTIONS,
    LIVE_KEYWORDS,
    LIVE_MODELS,
    LIVE_ROLLOUTS,
    LIVE_ROUTING,
    LIVE_MESSAGES, /* the last of the chat */
    LIVE_INDOUBT,
    LIVE_QUERIES,
    LIVE_KINDS
};

enum { LIVE_COLUMNS_TABLES = 8 }; /* whose columns are kept */
enum { LIVE_WAIT_MS = 200, LIVE_FRESH_MS = 1000, LIVE_FAILED_MS = 2000 };

struct live_item {
    struct shell *shell;
    enum live_kind kind;
    json_t *value; /* NULL when never seen or, for the status, not answered last time */
    int64_t fetched_ms;
    int64_t failed_ms;
    struct client_call *call; /* under way */
    char trouble[256];        /* why the last fetch failed */
    char *path;               /* of LIVE_COLUMNS: which table's */
    char *sql;                /* of LIVE_COLUMNS: asked instead of the path */
};

struct live {
    struct live_item items[LIVE_KINDS]; /* that of LIVE_COLUMNS is unused */
    struct live_item columns[LIVE_COLUMNS_TABLES];
    unsigned next_columns; /* its turn to be replaced */
    unsigned changes;      /* counts answers and failures of LIVE_STATUS */
};

void live_init(struct live *live, struct shell *shell);
void live_done(struct live *live); /* also when the client is about to be closed */

/* Starts fetching unless that is under way. */
void live_fetch(struct live *live, enum live_kind kind);

/* The value, at most LIVE_FRESH_MS old where the cluster answers within `wait_ms`; else the last
 * one there was, NULL when there was none. Borrowed until the next call. */
const json_t *live_get(struct live *live, enum live_kind kind, int64_t wait_ms);

/* The columns of a table, [{name, type}]; also of cluster.nodes and its like. */
const json_t *live_get_columns(struct live *live, const char *table, int64_t wait_ms);

#endif
