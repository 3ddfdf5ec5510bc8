/* The part of a worker that runs SQL tasks for whoever coordinates a query: one executor for each
 * slot, a queue that is fair between sessions, rows as fast as the requester gives credit.
 *
 * A task belongs to the link it came over: when that is lost it ends, and nothing of it is told.
 * Each SqlRunTask is answered by SqlTaskUpdates, the last with `done`; errors with `elsewhere` are
 * those of this node rather than the statement's. Tasks that only parse or describe don't wait for
 * slots.
 *
 * Places: "file:" URLs below the store and the directories of sql.paths, which every node that may
 * get the task must reach; buckets through role/sql_remote.h. */
#ifndef ROLE_SQL_WORKER_H
#define ROLE_SQL_WORKER_H

#include "role/role.h"

enum {
    SQL_WORKER_RUNS_MAX = 4096, /* at once, waiting ones too; further ones are told ERR_BUSY */
    SQL_WORKER_SESSION_BYTES_MAX = 128,
    SQL_WORKER_LOGGED_MAX = 20, /* failed tasks a second */
    SQL_WORKER_RETRY_MS = 10,   /* after a link's queue was full */
};

/* Its pool is node_lake()->executors. Comes after the tables role, whose store its tasks may use.
 */
extern const struct role sql_worker_role;

#endif
