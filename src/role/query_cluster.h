/* The state of the cluster as tables: cluster.nodes, .jobs, .tasks, .events, .messages ...
 * Their rows are what the leader answers to the requests of the API with the same names, so they
 * have everything that was acknowledged before the statement began. Each table is as of one moment
 * for as many rows as fit a page of the API; a later page may be of a later moment. */
#ifndef ROLE_QUERY_CLUSTER_H
#define ROLE_QUERY_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/sql_plan.h"

#define QUERY_CLUSTER_SCHEMA "cluster"

enum {
    QUERY_CLUSTER_ROWS_MAX = 50000000,
    QUERY_CLUSTER_PIECES_MAX = 512,
    QUERY_CLUSTER_PIECE_BYTES = 8 << 20,   /* of JSON lines in memory; more goes in pieces */
    QUERY_CLUSTER_BYTES_MAX = 24 << 20,    /* of one, with the last page */
    QUERY_CLUSTER_INLINE_BYTES = 64 << 10, /* more than this reaches the executors as a file */
};

struct query;
struct query_cluster;
struct query_cluster_table;

bool query_cluster_is(const char *schema);
/* NULL when there is none of that name. */
const struct query_cluster_table *query_cluster_find(const char *name);
/* "cluster.nodes, cluster.jobs, ...": static text. */
const char *query_cluster_names(void);
const struct sql_column *query_cluster_columns(const struct query_cluster_table *table, size_t *n);

/* Called for each piece, never from inside. `lines` (malloc'ed, taken) holds rows; while `more`
 * come, query_cluster_more() has the next piece loaded. Or query_fail() was called. */
typedef void (*query_cluster_fn)(struct query *q, char *lines, size_t len, size_t rows, bool more);

/* `at` is the place of the table's name in the statement. */
struct query_cluster *query_cluster_load(struct query *q, const struct query_cluster_table *table,
                                         size_t at, query_cluster_fn fn);
void query_cluster_more(struct query_cluster *load);
void query_cluster_cancel(struct query_cluster *load); /* NULL allowed */

#endif
