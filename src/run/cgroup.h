/* Limits by control groups, version 2, where this process may make some: one group per command that
 * has a limit. Elsewhere cgroup_open says no and rlimits must do.
 *
 * (A group costs a command about 0.1 ms here, so those without a limit don't get one.) */
#ifndef RUN_CGROUP_H
#define RUN_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_root {
    int fd; /* directory below which the groups are made; -1: none */
    bool has_memory;
    bool has_cpu;
};

struct cgroup_limits {
    uint64_t memory_bytes_max; /* 0: none */
    uint32_t cpu_milli_max;    /* 0: none */
};

/* Finds the group of this process and hands its controllers down. Where that needs it, this process
 * and its parent (the daemon) move to a group "clusterd" below. Removes what dead spawners left
 * there. -ENOTSUP when it can't be done; then nothing is changed. */
int cgroup_open(struct cgroup_root *root);
/* The same below a directory of the caller's choice. */
int cgroup_open_at(struct cgroup_root *root, const char *path);
void cgroup_close(struct cgroup_root *root);

/* Makes the group of command `id` with its limits. Returns a descriptor of the directory or -errno.
 */
int cgroup_make(const struct cgroup_root *root, uint64_t id, const struct cgroup_limits *limits);

/* Opens the file that a process writes "0" to in order to move itself in; or -errno. */
int cgroup_open_procs(int group_fd);

void cgroup_kill(int group_fd);              /* SIGKILL to everything in it */
bool cgroup_was_out_of_memory(int group_fd); /* the kernel killed for memory.max */

/* Removes a group, which should be empty, and closes its descriptor. One that isn't empty stays
 * until the next spawner's start. */
void cgroup_remove(const struct cgroup_root *root, uint64_t id, int group_fd);

#endif
