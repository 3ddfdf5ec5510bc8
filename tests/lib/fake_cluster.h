/* A cluster of three nodes that answers as docs/api.md says, for tests of the console. Nothing
 * really runs: what a job or an exec does is told by its first word:
 *
 *   echo TEXT   writes TEXT; an element of an array adds its index
 *   where       exec: the same line on n1 and n2, another on n3
 *   bytes       writes bytes that no terminal should obey, and no UTF-8
 *   hold        runs until it is cancelled or its connection is closed; exec first says "holding"
 *   exit N      writes "boom" to standard error and ends with N
 *   slow        job: runs until the test calls fake_cluster_finish()
 *
 * SQL answers with the statement itself as its one row, but: select one (n 5, name it's, nothing
 * NULL), none, many (100 rows), cells, evil (statements), bytes, wrong (an error), hold (until it
 * is closed), insert (2 rows); a statement with 'break' is cut off the first time. */
#ifndef TESTS_LIB_FAKE_CLUSTER_H
#define TESTS_LIB_FAKE_CLUSTER_H

#include "tests/lib/fake_api.h"

struct fake_cluster;

struct fake_cluster *fake_cluster_new(const char *socket_path);
void fake_cluster_free(struct fake_cluster *cluster);
struct fake_api *fake_cluster_api(struct fake_cluster *cluster);

void fake_cluster_set_leader(struct fake_cluster *cluster, const char *name); /* NULL: none */
void fake_cluster_finish(struct fake_cluster *cluster); /* "slow" jobs write "finished" and end */
/* Stops and restarts listening: the console sees the node go and come. */
void fake_cluster_stop(struct fake_cluster *cluster);
void fake_cluster_start(struct fake_cluster *cluster);

/* Copies of what was last sent; free() them. */
char *fake_cluster_last_submit(struct fake_cluster *cluster);
char *fake_cluster_last_sql(struct fake_cluster *cluster);
char *fake_cluster_last_change(struct fake_cluster *cluster); /* "POST /api/... body" */
/* The next statement with 'break' is cut off again. */
void fake_cluster_break_again(struct fake_cluster *cluster);
/* Waits until `n` exec connections have been closed by their clients. */
void fake_cluster_wait_closed(struct fake_cluster *cluster, unsigned n);

#endif
