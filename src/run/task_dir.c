/* Making is two mkdirs. Removing goes in passes over the top directory: of each subdirectory the
 * files are unlinked and its own subdirectories moved up for the next pass, so that neither depth
 * nor path length matters. Each directory is made writable first. Errors are remembered, the work
 * goes on. */
#include "run/task_dir.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { TASK_DIR_MODE = 0700, TASK_DIR_HOIST_NAME_MAX = 32 };

char *task_dir_path(const char *tasks_dir, const struct task_key *key)
{
    char name[TASK_KEY_TEXT_MAX];

    return mem_printf("%s/%s", tasks_dir, task_key_format(key, name));
}

int task_dir_parse(const char *name, struct task_key *key)
{
    struct task_key k;
    char job[UUID_TEXT_MAX];
    char again[TASK_KEY_TEXT_MAX];

    if (strlen(name) < UUID_TEXT_MAX)
        return ERR_INVALID;
    memcpy(job, name, UUID_TEXT_MAX - 1);
    job[UUID_TEXT_MAX - 1] = '\0';
    if (uuid_parse(job, &k.job) < 0 ||
        sscanf(name + UUID_TEXT_MAX - 1, "_%u.%u", &k.index, &k.attempt) != 2 ||
        strcmp(task_key_format(&k, again), name) != 0)
        return ERR_INVALID;
    *key = k;
    return 0;
}

int task_dir_make(const char *dir, struct error *e)
{
    char work[PATH_MAX];
    int n = snprintf(work, sizeof work, "%s/%s", dir, TASK_DIR_WORK);

    if (n < 0 || n >= (int)sizeof work)
        return error_set(e, -ENAMETOOLONG, "cannot make %s: the path is too long", dir);
    if (mkdir(dir, TASK_DIR_MODE) < 0) {
        int err = -errno;
        return error_set(e, err, "cannot make %s: %s", dir, err_text(err));
    }
    if (mkdir(work, TASK_DIR_MODE) < 0) {
        int err = -errno;
        (void)rmdir(dir);
        return error_set(e, err, "cannot make %s: %s", work, err_text(err));
    }
    return 0;
}

static bool task_dir_is_own(const char *name)
{
    static const char *const own[] = {".", "..", TASK_DIR_WORK, TASK_DIR_STDOUT, TASK_DIR_STDERR};

    for (size_t i = 0; i < MEM_COUNT(own); i++) {
        if (strcmp(name, own[i]) == 0)
            return true;
    }
    return false;
}

/* Whether there is nothing in a directory; at the top its own three entries are nothing. */
static bool task_dir_has_nothing(int fd, bool is_top)
{
    _Alignas(struct dirent64) char block[512];
    ssize_t n;

    while ((n = getdents64(fd, block, sizeof block)) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const void *)(block + at);
            if (is_top ? !task_dir_is_own(entry->d_name)
                       : strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                return false;
            at += entry->d_reclen;
        }
    }
    return n == 0;
}

/* The directory's descriptor if it is as it was made and there is nothing in it, or -1. */
static int task_dir_open_clean(int at, const char *name, bool is_top)
{
    struct stat st;

    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 07777) == TASK_DIR_MODE &&
        task_dir_has_nothing(fd, is_top))
        return fd;
    close(fd);
    return -1;
}

bool task_dir_is_clean(const char *dir)
{
    int fd = task_dir_open_clean(AT_FDCWD, dir, true);
    if (fd < 0)
        return false;
    int work = task_dir_open_clean(fd, TASK_DIR_WORK, false);
    close(fd);
    if (work < 0)
        return false;
    close(work);
    return true;
}

struct task_dir_removal {
    int top; /* directory that all others are moved up to */
    dev_t device;
    unsigned hoisted;        /* gives the moved ones their names */
    int code;                /* first error */
    char name[NAME_MAX + 1]; /* and where it was */
};

static void task_dir_removal_fail(struct task_dir_removal *r, int code, const char *name)
{
    if (r->code == 0) {
        r->code = code;
        snprintf(r->name, sizeof r->name, "%s", name);
    }
}

/* Opens a directory for emptying: on this file system, ours to change. */
static int task_dir_removal_open(struct task_dir_removal *r, int at, const char *name)
{
    enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
    struct stat st;

    int fd = openat(at, name, FLAGS);
    if (fd < 0 && errno == EACCES && fchmodat(at, name, TASK_DIR_MODE, 0) == 0)
        fd = openat(at, name, FLAGS);
    if (fd < 0)
        return -errno;
    int err = fstat(fd, &st) < 0 ? -errno : 0;
    if (err == 0 && st.st_dev != r->device)
        err = -EXDEV;
    if (err == 0 && (st.st_mode & TASK_DIR_MODE) != TASK_DIR_MODE)
        err = fchmod(fd, TASK_DIR_MODE) < 0 ? -errno : 0;
    if (err < 0) {
        close(fd);
        return err;
    }
    return fd;
}

/* Moves subdirectory `name` of `fd` up to the top. A directory's own entry ".." changes with that,
 * so it must be writable. */
static int task_dir_removal_hoist(struct task_dir_removal *r, int fd, const char *name)
{
    char up[TASK_DIR_HOIST_NAME_MAX];

    for (;;) {
        snprintf(up, sizeof up, ".removed.%u", r->hoisted++);
        if (renameat2(fd, name, r->top, up, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno == EACCES && fchmodat(fd, name, TASK_DIR_MODE, 0) == 0 &&
            renameat2(fd, name, r->top, up, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EEXIST)
            return -errno;
    }
}

/* Takes away everything in `fd`; returns how much was done. At the top subdirectories stay where
 * they are and are emptied; elsewhere they are moved up. */
static size_t task_dir_removal_empty(struct task_dir_removal *r, int fd, bool is_top);

static size_t task_dir_removal_subdir(struct task_dir_removal *r, int at, const char *name,
                                      bool is_top)
{
    size_t progress = 0;
    int err;

    if (!is_top) {
        err = task_dir_removal_hoist(r, at, name);
    } else {
        int fd = task_dir_removal_open(r, at, name);
        if (fd >= 0) {
            progress = task_dir_removal_empty(r, fd, false);
            close(fd);
        }
        err = fd < 0 ? fd : unlinkat(at, name, AT_REMOVEDIR) < 0 ? -errno : 0;
    }
    if (err == 0)
        return progress + 1;
    task_dir_removal_fail(r, err, name);
    return progress;
}

static size_t task_dir_removal_empty(struct task_dir_removal *r, int fd, bool is_top)
{
    size_t progress = 0;
    struct dirent *entry;
    int own = dup(fd);
    DIR *dir = own < 0 ? NULL : fdopendir(own);

    if (!dir) {
        task_dir_removal_fail(r, -errno, ".");
        if (own >= 0)
            close(own);
        return 0;
    }
    rewinddir(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) == 0)
            progress++;
        else if (errno == EISDIR || errno == EPERM)
            progress += task_dir_removal_subdir(r, fd, entry->d_name, is_top);
        else
            task_dir_removal_fail(r, -errno, entry->d_name);
    }
    closedir(dir);
    return progress;
}

int task_dir_remove(const char *path, struct error *e)
{
    struct stat st;
    struct task_dir_removal r = {.top = -1};

    if (lstat(path, &st) < 0)
        return errno == ENOENT
                   ? 0
                   : error_set(e, -errno, "cannot remove %s: %s", path, err_text(-errno));
    if (!S_ISDIR(st.st_mode)) {
        if (unlink(path) == 0)
            return 0;
        return error_set(e, -errno, "cannot remove %s: %s", path, err_text(-errno));
    }
    r.device = st.st_dev;
    r.top = task_dir_removal_open(&r, AT_FDCWD, path);
    if (r.top < 0)
        return error_set(e, r.top, "cannot remove %s: %s", path, err_text(r.top));
    /* each pass removes what the one before moved up; without progress only the stubborn is left */
    while (task_dir_removal_empty(&r, r.top, true) > 0)
        ;
    close(r.top);
    if (rmdir(path) == 0 || errno == ENOENT)
        return 0;
    if (r.code == 0)
        task_dir_removal_fail(&r, -errno, ".");
    return error_set(e, r.code, "cannot remove %s in %s: %s", r.name, path, err_text(r.code));
}

int task_dir_remove_work(const char *dir, struct error *e)
{
    char *work = mem_printf("%s/%s", dir, TASK_DIR_WORK);
    int err = task_dir_remove(work, e);

    free(work);
    return err;
}

int task_dir_read_small(const char *dir, const char *name, size_t max, char **data, size_t *len)
{
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = fstat(fd, &st) < 0 ? -errno : 0;
    if (err == 0 && (uint64_t)st.st_size > max)
        err = ERR_TOO_LARGE;
    if (err == 0) {
        char *text = mem_alloc((size_t)st.st_size + 1);
        ssize_t n = pread(fd, text, (size_t)st.st_size, 0);
        if (n < 0) {
            err = -errno;
            free(text);
        } else {
            *data = text;
            *len = (size_t)n;
        }
    }
    close(fd);
    return err;
}
