/* SQL statements of the clients of this node: POST /api/sql (docs/api.md). The node that took a
 * statement coordinates it, whoever leads.
 *
 * A statement waits for its turn (fair between sessions), is parsed by an executor, gets a snapshot
 * of each table that it names, is planned (core/sql_plan.h), and runs stage after stage on the
 * workers of the cluster. Which attempts of a stage count stands in its SUCCESS manifest before the
 * next one begins. An attempt that fails through no fault of the statement is repeated on another
 * node; one that takes much longer than its siblings gets a second one. A client that goes away, or
 * DELETE /api/sql/{query}, ends it on every node. */
#ifndef ROLE_QUERY_H
#define ROLE_QUERY_H

#include "role/role.h"

enum {
    QUERY_RUNNING_MAX = 16,  /* at once; others wait */
    QUERY_WAITING_MAX = 256, /* further ones are told ERR_BUSY */
    QUERY_ATTEMPTS_MAX = 4,  /* of one task */
    QUERY_PROGRESS_MS = 500, /* before the first progress line, and between two */
    QUERY_WINDOW_BYTES = 1 << 20,
    QUERY_STRAGGLER_MS = 2000, /* no second attempt before this */
    QUERY_FILE_TARGET_BYTES = 128 << 20,
};

extern const struct role query_role;

#endif
