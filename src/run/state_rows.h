/* The rows of the replicated state, the lake's tables aside: what a change makes of cluster, nodes,
 * jobs, tasks, keys, files and the audit trail. Between state_store.c and here. */
#ifndef RUN_STATE_ROWS_H
#define RUN_STATE_ROWS_H

#include "run/state_store.h"

enum { STATE_ROWS_AUDIT_MAX = 20000 };

struct state_rows;

/* Of a new file; state_tables_open() makes the rest. */
extern const char state_rows_schema[];

/* `path` names the file in errors; both are borrowed. */
int state_rows_open(struct state_rows **out, sqlite3 *db, const char *path, struct error *e);
void state_rows_close(struct state_rows *rows); /* NULL allowed */

/* Inside the transaction of state_store_apply(). Refusals are in `result`; a negative return is a
 * failure of the disk, or ERR_VERSION for a kind of change that is not known. */
int state_rows_apply(struct state_rows *rows, const Wire__Change *change, uint64_t at_ms,
                     struct state_result *result, struct error *e);

/* The revision that keys are numbered with: written as the last of a transaction, taken as it is
 * once that is committed, or as it was before. */
int state_rows_flush(struct state_rows *rows, struct error *e);
void state_rows_committed(struct state_rows *rows);
void state_rows_rollback(struct state_rows *rows);

#endif
