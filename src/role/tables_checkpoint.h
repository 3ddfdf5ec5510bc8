/* Checkpoints through an executor: a log out of one, and one out of a view. */
#ifndef ROLE_TABLES_CHECKPOINT_H
#define ROLE_TABLES_CHECKPOINT_H

#include "core/delta_checkpoint.h"
#include "role/tables_internal.h"

enum { TABLES_CHECKPOINT_TIME_MS = 600000 }; /* for one to be read or written */

struct tables_checkpoint_read;
struct tables_checkpoint_write;

/* The log (taken by `fn`) that the checkpoint holds. `which` may say what _last_checkpoint knows of
 * it. */
struct tables_checkpoint_read *tables_checkpoint_read(struct tables *tables, const char *place,
                                                      const struct delta_last_checkpoint *which,
                                                      tables_load_fn fn, void *arg);
void tables_checkpoint_cancel(struct tables_checkpoint_read *read);

typedef void (*tables_checkpoint_fn)(void *arg, int code, const char *text);

/* Writes the checkpoint of the view (taken) and _last_checkpoint. */
struct tables_checkpoint_write *tables_checkpoint_write(struct tables *tables, const char *place,
                                                        struct delta_view *view,
                                                        tables_checkpoint_fn fn, void *arg);
void tables_checkpoint_write_cancel(struct tables_checkpoint_write *write);

/* The node's executors, or a pool of one for checkpoints alone; NULL with an error. */
struct executor_pool *tables_executors(struct tables *tables, struct error *e);

#endif
