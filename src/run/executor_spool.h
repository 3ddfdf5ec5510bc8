/* A shuffle's rows by way of memory: the statement fills a table (which DuckDB spills when it has
 * to), and each partition is written from there. DuckDB's COPY ... PARTITION_BY costs more for each
 * row than what a shuffle's statement mostly does, and would have the statement planned three
 * times: for its columns, for the COPY, and when that begins. */
#ifndef RUN_EXECUTOR_SPOOL_H
#define RUN_EXECUTOR_SPOOL_H

#include "run/executor_write_internal.h"

/* Whether rows of this output, of what the fragment reads, go by way of memory: those of other
 * stages, few enough of partitions, when nothing speaks against it in what is read. `len` as in
 * executor_write_run(). */
bool executor_spool_fits(const struct executor_task *task, const Wire__SqlOutput *output,
                         size_t len);

/* Runs `text` and writes what it gives to w->scratch; tells the columns. */
int executor_spool_write(struct executor_write *w, const char *text);

/* After it failed: whether the other way may do, since it was for lack of room, or because of types
 * that a table can't have. */
bool executor_spool_was_to_blame(const struct executor_task *task);

#endif
