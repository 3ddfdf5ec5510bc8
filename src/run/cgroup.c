/* Control files are short texts. What fails while a group is set up takes the group away again. */
#include "run/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CGROUP_TEXT_MAX = 256,
    CGROUP_FILE_MAX = 4096,
    CGROUP_CPU_PERIOD_US = 100000,
    CGROUP_CPU_QUOTA_MIN_US = 1000, /* the kernel's */
};

#define CGROUP_SELF "clusterd" /* group of the daemon itself, when it must leave the inner node */

static int cgroup_read_at(int dir, const char *name, char *out, size_t size)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, out, size - 1);
    int err = n < 0 ? -errno : 0;
    close(fd);
    out[n < 0 ? 0 : n] = '\0';
    return err;
}

static int cgroup_write_at(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t len = strlen(text);
    int err = write(fd, text, len) == (ssize_t)len ? 0 : -errno;
    close(fd);
    return err;
}

/* Whether a space-separated list has the word. */
static bool cgroup_has_word(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = strstr(list, word); at; at = strstr(at + 1, word)) {
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\n' || !at[len]))
            return true;
    }
    return false;
}

/* Names carry the spawner's pid: several may share a parent group. */
static void cgroup_name(char out[static CGROUP_TEXT_MAX], pid_t spawner, uint64_t id)
{
    snprintf(out, CGROUP_TEXT_MAX, "clusterd-%d-%" PRIu64, (int)spawner, id);
}

/* Where the cgroup2 file system is mounted: "37 30 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw".
 */
static int cgroup_find_mount(char out[static PATH_MAX])
{
    char *line = NULL;
    size_t cap = 0;
    int err = -ENOTSUP;

    FILE *f = fopen("/proc/self/mountinfo", "re");
    if (!f)
        return -errno;
    while (err < 0 && getline(&line, &cap, f) > 0) {
        char path[PATH_MAX];
        if (strstr(line, " - cgroup2 ") && sscanf(line, "%*s %*s %*s %*s %4095s", path) == 1) {
            memcpy(out, path, sizeof path);
            err = 0;
        }
    }
    free(line);
    fclose(f);
    return err;
}

/* The directory of our group; that of its parent when we have moved to CGROUP_SELF before. */
static int cgroup_find_own(char out[static PATH_MAX])
{
    char text[CGROUP_FILE_MAX];
    char mount[PATH_MAX];

    int err = cgroup_find_mount(mount);
    if (err == 0)
        err = cgroup_read_at(AT_FDCWD, "/proc/self/cgroup", text, sizeof text);
    if (err < 0)
        return err;
    char *own = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (!own)
        return -ENOTSUP;
    own = strchr(own, '/');
    if (!own)
        return -ENOTSUP;
    own[strcspn(own, "\n")] = '\0';
    char *last = strrchr(own, '/');
    if (strcmp(last, "/" CGROUP_SELF) == 0)
        *last = '\0';
    int n = snprintf(out, PATH_MAX, "%s%s", mount, own);
    return n > 0 && n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int cgroup_move_pid(int dir, const char *file, pid_t pid)
{
    char text[CGROUP_TEXT_MAX];

    snprintf(text, sizeof text, "%d", (int)pid);
    return cgroup_write_at(dir, file, text);
}

/* A group that hands controllers down may hold no process itself: the daemon and we step aside. */
static int cgroup_step_aside(int dir, const char *controllers)
{
    if (mkdirat(dir, CGROUP_SELF, 0755) < 0 && errno != EEXIST)
        return -errno;
    int err = cgroup_move_pid(dir, CGROUP_SELF "/cgroup.procs", getppid());
    if (err == 0)
        err = cgroup_move_pid(dir, CGROUP_SELF "/cgroup.procs", getpid());
    if (err == 0)
        err = cgroup_write_at(dir, "cgroup.subtree_control", controllers);
    if (err < 0) {
        (void)cgroup_move_pid(dir, "cgroup.procs", getppid());
        (void)cgroup_move_pid(dir, "cgroup.procs", getpid());
        (void)unlinkat(dir, CGROUP_SELF, AT_REMOVEDIR);
    }
    return err;
}

/* Kills and removes the groups of spawners that are gone. A group that is slow to empty stays for
 * the next start. */
static void cgroup_sweep(int root_fd)
{
    struct dirent *entry;
    int spawner;
    int own = dup(root_fd);
    DIR *dir = own < 0 ? NULL : fdopendir(own);

    if (!dir) {
        if (own >= 0)
            close(own);
        return;
    }
    rewinddir(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (sscanf(entry->d_name, "clusterd-%d-", &spawner) != 1 || kill(spawner, 0) == 0 ||
            errno != ESRCH)
            continue;
        int fd = openat(root_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            continue;
        cgroup_kill(fd);
        close(fd);
        (void)unlinkat(root_fd, entry->d_name, AT_REMOVEDIR);
    }
    closedir(dir);
}

int cgroup_open_at(struct cgroup_root *root, const char *path)
{
    char have[CGROUP_FILE_MAX];
    char want[CGROUP_TEXT_MAX];
    struct cgroup_root r = {.fd = -1};

    r.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r.fd < 0)
        return -ENOTSUP;
    int err = cgroup_read_at(r.fd, "cgroup.controllers", have, sizeof have);
    if (err == 0) {
        r.has_memory = cgroup_has_word(have, "memory");
        r.has_cpu = cgroup_has_word(have, "cpu");
        if (!r.has_memory && !r.has_cpu)
            err = -ENOTSUP;
    }
    if (err == 0) {
        snprintf(want, sizeof want, "%s%s", r.has_memory ? "+memory " : "",
                 r.has_cpu ? "+cpu" : "");
        err = cgroup_write_at(r.fd, "cgroup.subtree_control", want);
        if (err == -EBUSY)
            err = cgroup_step_aside(r.fd, want);
    }
    if (err < 0) {
        close(r.fd);
        return -ENOTSUP;
    }
    cgroup_sweep(r.fd);
    *root = r;
    return 0;
}

int cgroup_open(struct cgroup_root *root)
{
    char own[PATH_MAX];

    int err = cgroup_find_own(own);
    return err < 0 ? -ENOTSUP : cgroup_open_at(root, own);
}

void cgroup_close(struct cgroup_root *root)
{
    if (root->fd >= 0)
        close(root->fd);
    root->fd = -1;
}

static int cgroup_set_limits(const struct cgroup_root *root, int group_fd,
                             const struct cgroup_limits *limits)
{
    char text[CGROUP_TEXT_MAX];
    uint64_t quota_us = (uint64_t)limits->cpu_milli_max * CGROUP_CPU_PERIOD_US / 1000;
    int err = 0;

    if (limits->memory_bytes_max > 0 && root->has_memory) {
        snprintf(text, sizeof text, "%" PRIu64, limits->memory_bytes_max);
        err = cgroup_write_at(group_fd, "memory.max", text);
        /* without swap accounting these two don't exist */
        (void)cgroup_write_at(group_fd, "memory.swap.max", "0");
        (void)cgroup_write_at(group_fd, "memory.oom.group", "1");
    }
    if (err == 0 && limits->cpu_milli_max > 0 && root->has_cpu) {
        snprintf(text, sizeof text, "%" PRIu64 " %d",
                 quota_us < CGROUP_CPU_QUOTA_MIN_US ? CGROUP_CPU_QUOTA_MIN_US : quota_us,
                 CGROUP_CPU_PERIOD_US);
        err = cgroup_write_at(group_fd, "cpu.max", text);
    }
    return err;
}

int cgroup_make(const struct cgroup_root *root, uint64_t id, const struct cgroup_limits *limits)
{
    char name[CGROUP_TEXT_MAX];

    cgroup_name(name, getpid(), id);
    if (mkdirat(root->fd, name, 0755) < 0 && errno != EEXIST)
        return -errno;
    int fd = openat(root->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int err = fd < 0 ? -errno : cgroup_set_limits(root, fd, limits);
    if (err == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    (void)unlinkat(root->fd, name, AT_REMOVEDIR);
    return err;
}

int cgroup_open_procs(int group_fd)
{
    int fd = openat(group_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Kernels before 5.14 have no cgroup.kill: then each process that is listed gets the signal. */
static void cgroup_kill_each(int group_fd)
{
    char text[CGROUP_FILE_MAX];

    if (cgroup_read_at(group_fd, "cgroup.procs", text, sizeof text) < 0)
        return;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        pid_t pid = (pid_t)atoi(line);
        if (pid > 0)
            (void)kill(pid, SIGKILL);
    }
}

void cgroup_kill(int group_fd)
{
    if (cgroup_write_at(group_fd, "cgroup.kill", "1") < 0)
        cgroup_kill_each(group_fd);
}

bool cgroup_was_out_of_memory(int group_fd)
{
    char text[CGROUP_FILE_MAX];

    if (cgroup_read_at(group_fd, "memory.events", text, sizeof text) < 0)
        return false;
    const char *line = strstr(text, "oom_kill ");
    return line && strtoull(line + strlen("oom_kill "), NULL, 10) > 0;
}

void cgroup_remove(const struct cgroup_root *root, uint64_t id, int group_fd)
{
    char name[CGROUP_TEXT_MAX];

    cgroup_name(name, getpid(), id);
    (void)unlinkat(root->fd, name, AT_REMOVEDIR);
    close(group_fd);
}
