/* Fetching one file of a task: by its URL, or an uploaded one by its id. */
#ifndef RUN_TASK_FETCH_H
#define RUN_TASK_FETCH_H

#include <stdbool.h>

#include "base/error.h"
#include "run/http_client.h"
#include "run/task_run.h"

struct url_cache_get;

struct task_fetch {
    const struct task_run_node *node;
    const Wire__TaskFile *file;
    struct http_call *download; /* one of the three while it is under way */
    struct url_cache_get *shared;
    void *upload;
    task_run_fetched_fn fetched;
    void *arg;
};

/* Begins to fetch `file` (borrowed) to `path`; a download may take `limit_ms` (0: as long as bytes
 * come). `fetched` is called once, with a text that is a
 * sentence about the file, never from within this. A negative code: it could not begin, `fetched`
 * isn't called. */
int task_fetch_start(struct task_fetch *f, const struct task_run_node *node,
                     const Wire__TaskFile *file, const char *path, uint64_t limit_ms,
                     task_run_fetched_fn fetched, void *arg, struct error *e);

/* True: it is over, `fetched` won't be called. False: `fetched` is going to be called, or nothing
 * was under way. */
bool task_fetch_cancel(struct task_fetch *f);

#endif
