/* Tasks whose files are in buckets. What such a task reads is brought to this node's disk before it
 * begins, what it writes is put into the bucket before its end is told: an executor sees local
 * files alone.
 *
 * Of Parquet files of a table the footer comes first, then the column chunks that the task can
 * touch: those of its input's columns, in row groups for which the statistics do not rule the
 * input's conditions out (core/parquet_footer.h), kept in the node's cache (run/object_cache.h).
 * Shuffle files come whole, and so do the files of a COPY FROM, which are not kept. */
#ifndef ROLE_SQL_REMOTE_H
#define ROLE_SQL_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/trace.h"
#include "run/loop.h"
#include "wire/sql.pb-c.h"

struct object_cache;
struct object_store;
struct sql_remote;

enum {
    SQL_REMOTE_FILES_MAX = 200000,      /* that one task reads */
    SQL_REMOTE_SEGMENT_BYTES = 2 << 20, /* row groups are brought in runs of this many bytes */
    SQL_REMOTE_WHOLE_BYTES = 32 << 10,  /* a smaller file is brought whole */
};

struct sql_remote_options {
    struct loop *loop;
    struct object_store *store;
    struct object_cache *cache;
    const char *scratch;        /* a local directory that executors may use */
    uint64_t copy_bytes_max;    /* of the files of a COPY FROM together */
    struct trace_context trace; /* of the task */
};

/* Whether a task has files in buckets. */
bool sql_remote_is_needed(const Wire__SqlRunTask *task);

/* `e` is borrowed; `elsewhere` as in SqlError. */
typedef void (*sql_remote_fn)(void *arg, int code, const struct error *e, bool elsewhere);

/* Takes the task and brings what it reads; once `fn` was called without an error it is one for an
 * executor of this node. `fn` once, never from inside this. Copies the options. */
struct sql_remote *sql_remote_new(const struct sql_remote_options *options, Wire__SqlRunTask *task,
                                  sql_remote_fn fn, void *arg);
Wire__SqlRunTask *sql_remote_task(const struct sql_remote *remote);

/* Puts what the task wrote where it belongs; `fn` once, never from inside. When it fails nothing of
 * it stays there. At once when there is nothing to put: then false, and no `fn`. */
bool sql_remote_put(struct sql_remote *remote, const Wire__SqlTaskDone *done, sql_remote_fn fn,
                    void *arg);

/* A message of the executor with the names that the user knows; malloc'ed. */
char *sql_remote_translate(const struct sql_remote *remote, const char *text);

/* No `fn` is called any more; what was being put is taken back. Lets go of what was brought. */
void sql_remote_free(struct sql_remote *remote);

#endif
