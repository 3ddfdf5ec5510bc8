/* Processes as /proc shows them. */
#ifndef RUN_PROC_FS_H
#define RUN_PROC_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
    pid_t pid;
    pid_t ppid;
    pid_t group;
    pid_t session;
    char state; /* 'R', 'S', 'Z' ... */
    uint64_t rss_bytes;
    uint64_t user_us, system_us; /* with the children that it waited for */
};

/* All return 0 or -errno; -ENOENT or -ESRCH when the process is gone. */
int proc_fs_stat(pid_t pid, struct proc_stat *out);

/* Proportional set size: a page shared by n processes counts 1/n. Slow for large processes. */
int proc_fs_pss(pid_t pid, uint64_t *bytes);

/* Looks for the variable whose "NAME=VALUE" begins with `prefix` in the environment that the
 * process was started with. Copies what follows the prefix (cut to `size`) and returns true when it
 * is there. */
bool proc_fs_find_env(pid_t pid, const char *prefix, char *rest, size_t size);

/* Every process. `fn` returns false to stop. */
int proc_fs_each(bool (*fn)(void *arg, pid_t pid), void *arg);

/* The children of the calling thread's process that this thread made or that were given to it:
 * open once, list often (one system call). Zombies are listed until they are waited for. */
int proc_fs_children_open(void);
/* Calls `fn` with each child. With a negative fd looks through all processes. */
int proc_fs_children(int fd, void (*fn)(void *arg, pid_t pid), void *arg);

#endif
