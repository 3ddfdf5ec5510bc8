/* One attempt at a task, from its directory to its result:
 *
 *   directory -> fetch files -> unpack -> commands in order, stop at the first failure -> clean up
 * -> done
 *
 * Everything that blocks happens in the spawner or on libuv's pool. work/ is always gone at the
 * end; the streams stay as files unless both fit into the result. */
#ifndef RUN_TASK_RUN_H
#define RUN_TASK_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/error.h"
#include "run/spawn.h"
#include "wire/cluster.pb-c.h"
#include "wire/task_code.h"
#include "wire/task_key.h"

#define TASK_RUN_OUTPUT_BYTES_MAX (UINT64_C(10) << 30) /* default limit of a stream */

enum { TASK_RUN_KILL_GRACE_MS = 5000 }; /* default between SIGTERM and SIGKILL */

struct http_client;
struct url_cache;

/* Ends a fetch: 0, or a negative code and a sentence. Exactly once per started fetch, also after a
 * cancel, never from within start. */
typedef void (*task_run_fetched_fn)(void *arg, int code, const char *text);

/* How the node gets at uploaded files (TaskFile.file). */
struct task_run_files {
    /* Begins to copy `file` to `path` (which does not exist yet). Returns a handle for cancel. */
    void *(*start)(void *arg, const Wire__TaskFile *file, const char *path,
                   task_run_fetched_fn fetched, void *fetched_arg);
    void (*cancel)(void *arg, void *handle); /* `fetched` follows with ERR_CANCELLED */
    void *arg;
};

/* What the attempts of a node share. Borrowed by each of them until it is done. */
struct task_run_node {
    uv_loop_t *loop;
    struct spawn *spawn;
    struct http_client *http;    /* for TaskFile.url */
    struct task_run_files files; /* start NULL: no uploaded files here */
    struct url_cache *urls;      /* files by URL; NULL: each attempt downloads them for itself */
    const char *name;            /* CLUSTERD_NODE */
    const char *tasks_dir;       /* absolute, exists */
    uint64_t output_bytes_max; /* ceiling and default for a stream; 0: TASK_RUN_OUTPUT_BYTES_MAX */
    uint64_t download_bytes_max; /* each file; 0: no limit */
};

struct task_run;

struct task_run_callbacks {
    /* The first command is running. Not called when it ended before that was known. May be NULL. */
    void (*running)(void *arg, struct task_run *run, int64_t started_ms);
    /* The attempt is over; `report` (phase COMPLETED, FAILED, CANCELLED, FAILED with code
     * NODE_LOST, or RETURNED after a recall) is valid during the call, `run` is freed after it.
     * Never called from within start or cancel. */
    void (*done)(void *arg, struct task_run *run, const Wire__TaskReport *report);
    void *arg;
};

/* Begins an attempt. `assign` is borrowed until done. Cannot fail: what goes wrong ends in the
 * report. With `line_slots` its command waits in the spawner's line for so many slots (spawn.h);
 * only for one that task_run_is_plain(). */
struct task_run *task_run_start(const struct task_run_node *node, const Wire__AssignTask *assign,
                                uint32_t line_slots, const struct task_run_callbacks *callbacks);

/* Whether the attempt is a single command, without files. */
bool task_run_is_plain(const Wire__AssignTask *assign);

/* Gives up an attempt whose command still waits in line; without effect on any other. */
void task_run_recall(struct task_run *run);

/* Ends the attempt as soon as possible, at any stage; `code` is TASK_CODE_CANCELLED or
 * TASK_CODE_SUPERSEDED, `reason` is copied. The command gets SIGTERM and the job's grace, or
 * SIGKILL at once with `hard`. A second call may only harden the first. Done still comes. */
void task_run_cancel(struct task_run *run, enum task_code code, const char *reason, bool hard);

const char *task_run_dir(const struct task_run *run);
int64_t
task_run_started_ms(const struct task_run *run); /* wall clock; 0 before the first command */

/* The session of the command that runs; 0 while none is known to. */
pid_t task_run_session(const struct task_run *run);

#endif
