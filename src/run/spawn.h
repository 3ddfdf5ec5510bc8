/* Running commands through the node's spawner, a small child process of the daemon.
 *
 * The daemon's side: requests go out in batches at the end of a loop turn, results come back as
 * callbacks on the loop. A command runs in its own session and process group, without privileges to
 * gain, with a time limit that holds even while the daemon is stopped; when it ends nothing that it
 * left behind stays alive. Commands may wait in line there for each other's slots, so that one
 * follows the other without the daemon. When the daemon dies, the spawner ends every command and
 * then itself.
 *
 * When the spawner dies, each command it ran is reported as SPAWN_LOST, what survived is killed,
 * and another spawner takes over (at once, then after growing pauses). Commands handed over
 * meanwhile wait.
 */
#ifndef RUN_SPAWN_H
#define RUN_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

enum {
    SPAWN_COMMANDS_MAX = 65536,                /* handed over and not yet ended */
    SPAWN_REQUEST_BYTES_MAX = 4 * 1024 * 1024, /* arguments and environment of a command */
    SPAWN_INLINE_MAX = 4096, /* bytes of an output stream that travel in the result */
    SPAWN_OWNER_BYTES_MAX = 127,
    SPAWN_RESTART_PAUSE_MS_MAX = 5000,
};

struct spawn;

struct spawn_options {
    const char *program; /* runs `PROGRAM spawner`; NULL: this program */
    /* Marks the processes of this node, e.g. the id of its data directory: what a dead spawner of
     * the same owner left behind is killed at start. At most 127 bytes. NULL: random. */
    const char *owner;
    /* Where attempts have their directories; empty ones are put aside there for the next. NULL:
     * they are made and removed each time. */
    const char *tasks_dir;
};

/* What happens to the directory of a command (see task_dir.h for its layout). */
enum spawn_dir_use {
    SPAWN_DIR_MAKE = 1,            /* create it; ends with -EEXIST when it is there */
    SPAWN_DIR_TIDY_ON_FAILURE = 2, /* see below, when the command fails */
    SPAWN_DIR_TIDY_ON_SUCCESS = 4, /* when it exits with 0 */
};

/* Tidying: when the directory holds nothing but the two streams, both at most SPAWN_INLINE_MAX
 * bytes, and an empty work/, the streams go into the result and the directory goes. */

struct spawn_command {
    const char *const *argv; /* NULL-terminated, argv[0] is looked up in PATH of `env` */
    const char *const *env;  /* NULL-terminated, "NAME=VALUE", the whole environment but for
                                CLUSTERD_TASK_TOKEN */
    const char *dir;         /* absolute; the command runs in DIR/work and appends to DIR/stdout and
                                DIR/stderr. NULL: in "/", output thrown away */
    unsigned dir_use;        /* enum spawn_dir_use bits */
    /* SIGTERM after the limit, SIGKILL after the grace, to the whole group. 0: no limit, no grace.
     */
    uint64_t time_limit_ms;
    uint64_t kill_grace_ms;
    uint64_t output_bytes_max; /* each stream; 0: no limit. Checked ten times a second */
    uint64_t memory_bytes_max; /* all its processes together; 0: no limit */
    uint32_t cpu_milli_max;    /* 1000: one processor; only where cgroups can be written; 0: none */
    int nice;
    uint32_t slots; /* waits in line until so many are free; 0: starts at once */
};

enum spawn_end {
    SPAWN_EXITED,   /* exit_code */
    SPAWN_SIGNALED, /* signal */
    SPAWN_FAILED,   /* never started: error, what */
    SPAWN_LOST,     /* the spawner died */
    SPAWN_RECALLED, /* was taken back, or killed, while it waited in line; counts as tidied */
};

/* Why the spawner ended it. */
enum spawn_reason {
    SPAWN_REASON_NONE,
    SPAWN_REASON_KILL, /* spawn_kill */
    SPAWN_REASON_TIME_LIMIT,
    SPAWN_REASON_OUTPUT_LIMIT,
    SPAWN_REASON_MEMORY_LIMIT, /* also when the kernel's own limit ended it */
};

struct spawn_result {
    enum spawn_end end;
    enum spawn_reason reason;
    int exit_code;
    int signal;
    int error;          /* SPAWN_FAILED: -errno */
    const char *what;   /* SPAWN_FAILED: the step that failed ("execute", "make directory", ...) */
    int64_t started_ms; /* wall clock; 0 when it never started */
    int64_t ended_ms;
    uint64_t wall_us;
    uint64_t user_us; /* of it and all children that it waited for */
    uint64_t system_us;
    uint64_t rss_max_bytes; /* largest process; never less than the spawner's own */
    uint64_t stdout_bytes;  /* 0 without a directory */
    uint64_t stderr_bytes;
    bool tidied;             /* the directory is gone, the streams are here: */
    const char *stdout_data; /* stdout_bytes long */
    const char *stderr_data;
};

/* Called on the loop; `result` and what it points to are valid during the call. After `ended` the
 * id means nothing any more. `started` may be NULL, isn't called when the command could not be
 * started, and comes together with `ended` for a short one. */
typedef void (*spawn_started_fn)(void *arg, uint64_t id, int pid, int64_t started_ms);
typedef void (*spawn_ended_fn)(void *arg, uint64_t id, const struct spawn_result *result);

struct spawn_callbacks {
    spawn_started_fn started;
    spawn_ended_fn ended;
    void *arg;
};

/* Starts the spawner. Call before the daemon opens much: the spawner inherits nothing but keeps
 * what is mapped until it executes. */
int spawn_new(uv_loop_t *loop, const struct spawn_options *options, struct spawn **out,
              struct error *e);

/* Kills every command (their callbacks are not called), ends the spawner; `closed` when it is gone.
 * Frees. */
void spawn_close(struct spawn *s, void (*closed)(void *arg), void *arg);

/* How many slots the commands in line share; at first without limit. It may fall below what is in
 * use: then nothing starts until enough has ended. */
void spawn_set_slots(struct spawn *s, uint32_t slots);

/* Hands a command over; copies all it needs. Fails with ERR_BUSY above SPAWN_COMMANDS_MAX,
 * ERR_TOO_LARGE above SPAWN_REQUEST_BYTES_MAX, ERR_INVALID for what can't be a command; otherwise
 * `ended` is called exactly once, never from within this call. */
int spawn_run(struct spawn *s, const struct spawn_command *command,
              const struct spawn_callbacks *callbacks, uint64_t *id);

/* Ends a command: SIGTERM to its group, after `grace_ms` (0: at once) SIGKILL to all that is left
 * of it. An id that has ended is ignored. */
void spawn_kill(struct spawn *s, uint64_t id, uint64_t grace_ms);

/* Takes a command back that waits in line; without effect on one that has started. */
void spawn_recall(struct spawn *s, uint64_t id);

int spawn_pid(const struct spawn *s); /* of the spawner, 0 while there is none */
unsigned spawn_restart_count(const struct spawn *s);
size_t spawn_command_count(const struct spawn *s); /* handed over and not yet ended */

#endif
