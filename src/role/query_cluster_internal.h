/* Between query_cluster.c, which loads tables of the cluster's state, and query_cluster_table.c,
 * which says what they are. */
#ifndef ROLE_QUERY_CLUSTER_INTERNAL_H
#define ROLE_QUERY_CLUSTER_INTERNAL_H

#include "core/sql_range.h"
#include "role/query_cluster.h"

enum query_cluster_from {
    QUERY_CLUSTER_LEADER, /* JSON arrays */
    QUERY_CLUSTER_ANY,    /* the same; without a leader, of this node */
    QUERY_CLUSTER_CHAT,   /* lines, of the nodes that chat */
    QUERY_CLUSTER_SELF,   /* the settings */
};

/* GET path; `cursor` of the last row is the next page's parameter, unless the answer is an object
 * that says what its parameters are. */
struct query_cluster_list {
    const char *path;
    const char *parameter; /* NULL: one page is all, or says what comes behind it */
    const char *cursor;
    unsigned limit;
};

struct query_cluster_table {
    const char *name;
    enum query_cluster_from from;
    const struct query_cluster_list *list;
    const char *item; /* of the list: names what `path` of `each` goes between; NULL: no items */
    const struct query_cluster_list *each; /* path: what follows the item */
    const struct sql_column *columns;
    size_t columns_n;
    /* Of these only what the statement can see is asked for; NULL: all of it is. */
    const struct sql_range_columns *ranged;
};

#endif
