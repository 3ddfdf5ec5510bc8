#include "run/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/file_write.h"

int atomic_file_sync_dir(const char *path, struct error *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 || fsync(fd) != 0 ? -errno : 0;
    if (fd >= 0)
        (void)close(fd);
    return rc == 0 ? 0 : error_set(e, rc, "cannot sync %s: %s", path, err_text(rc));
}

static int atomic_file_write_part(const char *part, mode_t mode, const uint8_t *data, size_t len)
{
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    int rc = file_write_all(fd, data, len);
    if (rc == 0 && fsync(fd) != 0)
        rc = -errno;
    if (close(fd) != 0 && rc == 0)
        rc = -errno;
    return rc;
}

int atomic_file_write(const char *path, mode_t mode, const void *data, size_t len, struct error *e)
{
    char *part = mem_printf("%s.tmp", path);
    int rc = atomic_file_write_part(part, mode, data, len);
    if (rc == 0 && rename(part, path) != 0)
        rc = -errno;
    if (rc < 0) {
        error_set(e, rc, "cannot write %s: %s", path, err_text(rc));
        (void)unlink(part);
    } else {
        char *copy = mem_strdup(path);
        rc = atomic_file_sync_dir(dirname(copy), e);
        free(copy);
    }
    free(part);
    return rc;
}

int atomic_file_read(const char *path, struct buf *b, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 ? -errno : 0;
    if (rc < 0)
        return error_set(e, rc, "cannot open %s: %s", path, err_text(rc));
    char data[4096];
    ssize_t n;
    while (rc == 0 && (n = read(fd, data, sizeof data)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        rc = n < 0 ? -errno : buf_append(b, data, (size_t)n);
    }
    (void)close(fd);
    return rc == 0 ? 0 : error_set(e, rc, "cannot read %s: %s", path, err_text(rc));
}
