/* Reads of small files below /proc. A process can be gone at any moment; that is an error code and
 * never a reason to fail. */
#include "run/proc_fs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROC_FS_FILE_BYTES = 4096, PROC_FS_PATH_MAX = 64 };

static int proc_fs_open(pid_t pid, const char *name)
{
    char path[PROC_FS_PATH_MAX];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Reads a file that fits into `out`, NUL-terminated. */
static int proc_fs_read(pid_t pid, const char *name, char out[static PROC_FS_FILE_BYTES])
{
    int fd = proc_fs_open(pid, name);
    if (fd < 0)
        return fd;
    ssize_t n = read(fd, out, PROC_FS_FILE_BYTES - 1);
    int err = n < 0 ? -errno : 0;
    close(fd);
    out[n < 0 ? 0 : n] = '\0';
    return err;
}

int proc_fs_stat(pid_t pid, struct proc_stat *out)
{
    char text[PROC_FS_FILE_BYTES];
    struct proc_stat st = {.pid = pid};
    unsigned long user, system;
    long children_user, children_system, rss_pages;

    int err = proc_fs_read(pid, "stat", text);
    if (err < 0)
        return err;
    /* the name in parentheses may hold anything, also parentheses */
    const char *rest = strrchr(text, ')');
    if (!rest || sscanf(rest + 1,
                        " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld %*d %*d "
                        "%*d %*d %*u %*u %ld",
                        &st.state, &st.ppid, &st.group, &st.session, &user, &system, &children_user,
                        &children_system, &rss_pages) != 9)
        return -ESRCH;
    uint64_t tick_us = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    st.user_us = (user + (unsigned long)children_user) * tick_us;
    st.system_us = (system + (unsigned long)children_system) * tick_us;
    st.rss_bytes = rss_pages > 0 ? (uint64_t)rss_pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
    *out = st;
    return 0;
}

int proc_fs_pss(pid_t pid, uint64_t *bytes)
{
    char text[PROC_FS_FILE_BYTES];

    int err = proc_fs_read(pid, "smaps_rollup", text);
    if (err < 0)
        return err;
    const char *line = strstr(text, "\nPss:");
    if (!line)
        return -ESRCH;
    *bytes = strtoull(line + 5, NULL, 10) * 1024;
    return 0;
}

struct proc_fs_search {
    const char *prefix;
    size_t
        matched; /* bytes of `prefix` that the present variable begins with; SIZE_MAX: it differs */
    char *rest;
    size_t len;
    size_t size;
};

/* Feeds a piece of the environment; true once the variable was seen to its end. */
static bool proc_fs_search_feed(struct proc_fs_search *s, const char *piece, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool is_in_rest = s->matched != SIZE_MAX && s->prefix[s->matched] == '\0';
        if (piece[i] == '\0') {
            if (is_in_rest)
                return true;
            s->matched = 0;
        } else if (is_in_rest) {
            if (s->len + 1 < s->size)
                s->rest[s->len++] = piece[i];
        } else if (s->matched != SIZE_MAX) {
            s->matched = piece[i] == s->prefix[s->matched] ? s->matched + 1 : SIZE_MAX;
        }
    }
    return false;
}

bool proc_fs_find_env(pid_t pid, const char *prefix, char *rest, size_t size)
{
    char piece[PROC_FS_FILE_BYTES];
    struct proc_fs_search search = {.prefix = prefix, .rest = rest, .size = size};
    bool found = false;
    ssize_t n;

    int fd = proc_fs_open(pid, "environ");
    if (fd < 0)
        return false;
    while (!found && (n = read(fd, piece, sizeof piece)) > 0)
        found = proc_fs_search_feed(&search, piece, (size_t)n);
    close(fd);
    if (found)
        rest[search.len] = '\0';
    return found;
}

int proc_fs_each(bool (*fn)(void *arg, pid_t pid), void *arg)
{
    DIR *dir = opendir("/proc");
    if (!dir)
        return -errno;
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]) && !fn(arg, (pid_t)atoi(entry->d_name)))
            break;
    }
    closedir(dir);
    return 0;
}

int proc_fs_children_open(void)
{
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

struct proc_fs_children_scan {
    void (*fn)(void *arg, pid_t pid);
    void *arg;
};

static bool proc_fs_children_check(void *arg, pid_t pid)
{
    struct proc_fs_children_scan *scan = arg;
    struct proc_stat st;

    if (proc_fs_stat(pid, &st) == 0 && st.ppid == getpid())
        scan->fn(scan->arg, pid);
    return true;
}

int proc_fs_children(int fd, void (*fn)(void *arg, pid_t pid), void *arg)
{
    char piece[PROC_FS_FILE_BYTES];
    pid_t pid = 0;
    off_t offset = 0;
    ssize_t n;

    if (fd < 0) {
        struct proc_fs_children_scan scan = {fn, arg};
        return proc_fs_each(proc_fs_children_check, &scan);
    }
    while ((n = pread(fd, piece, sizeof piece, offset)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (isdigit((unsigned char)piece[i])) {
                pid = pid * 10 + (piece[i] - '0');
            } else if (pid > 0) {
                fn(arg, pid);
                pid = 0;
            }
        }
        offset += n;
    }
    return n < 0 ? -errno : 0;
}
