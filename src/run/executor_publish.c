#include "run/executor_publish.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { EXECUTOR_PUBLISH_FTW_FDS = 16, EXECUTOR_PUBLISH_COPY_BYTES = 1 << 20 };

static int executor_publish_remove_one(const char *path, const struct stat *st, int type,
                                       struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void executor_publish_remove(const char *dir)
{
    (void)nftw(dir, executor_publish_remove_one, EXECUTOR_PUBLISH_FTW_FDS, FTW_DEPTH | FTW_PHYS);
}

static int executor_publish_sync(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    if (fd < 0)
        return -errno;
    int err = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return err;
}

/* The directory that `path` is in. */
static char *executor_publish_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

static int executor_publish_make_dirs(const char *dir, bool durable)
{
    if (mkdir(dir, 0777) == 0) {
        char *parent = executor_publish_parent(dir);
        int err = durable ? executor_publish_sync(parent, O_DIRECTORY) : 0;
        free(parent);
        return err;
    }
    if (errno == EEXIST)
        return 0;
    if (errno != ENOENT || strcmp(dir, "/") == 0)
        return -errno;
    char *parent = executor_publish_parent(dir);
    int err = executor_publish_make_dirs(parent, durable);
    free(parent);
    if (err == 0 && mkdir(dir, 0777) < 0 && errno != EEXIST)
        err = -errno;
    return err;
}

static int executor_publish_copy_bytes(int in, int out)
{
    for (;;) {
        ssize_t n = sendfile(out, in, NULL, EXECUTOR_PUBLISH_COPY_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
    }
}

/* To another file system. */
static int executor_publish_copy(const char *from, const char *to, bool durable)
{
    char *part = mem_printf("%s.%d.tmp", to, (int)getpid());
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int err = out < 0 ? -errno : executor_publish_copy_bytes(in, out);
    if (err == 0 && durable && fsync(out) < 0)
        err = -errno;
    if (out >= 0 && close(out) < 0 && err == 0)
        err = -errno;
    if (in >= 0)
        close(in);
    if (err == 0 && rename(part, to) < 0)
        err = -errno;
    if (err < 0 && out >= 0)
        (void)unlink(part);
    if (err == 0)
        (void)unlink(from);
    free(part);
    return err;
}

int executor_publish_file(const char *from, const char *to, bool durable)
{
    char *parent = executor_publish_parent(to);
    int err = executor_publish_make_dirs(parent, durable);
    if (err == 0 && durable)
        err = executor_publish_sync(from, 0);
    if (err == 0 && rename(from, to) < 0)
        err = errno == EXDEV ? executor_publish_copy(from, to, durable) : -errno;
    if (err == 0 && durable)
        err = executor_publish_sync(parent, O_DIRECTORY);
    free(parent);
    return err;
}
