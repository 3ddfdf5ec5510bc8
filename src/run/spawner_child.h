/* From the spawner to a running command: vfork, a few system calls, execve. */
#ifndef RUN_SPAWNER_CHILD_H
#define RUN_SPAWNER_CHILD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct spawner_child {
    char **argv; /* NULL-terminated */
    char **env;  /* NULL-terminated */
    const char *cwd;
    int stdout_fd;
    int stderr_fd;
    int cgroup_procs_fd;     /* -1: none */
    uint64_t data_bytes_max; /* RLIMIT_DATA; 0: as it is */
    uint64_t files_max;      /* soft RLIMIT_NOFILE; 0: as it is */
    int nice;
};

/* Starts the command in a session and process group of its own, standard input from /dev/null (our
 * descriptor 0), no other descriptor open, no signal blocked or ignored; it dies with this process.
 * All signals must be blocked. On failure returns -errno with the step that failed in `what`. */
int spawner_child_start(const struct spawner_child *child, pid_t *pid, const char **what);

#endif
