#include "run/wal_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum { WRITES_WITHOUT_PROGRESS_MAX = 8 };

static ssize_t system_pwrite(void *arg, int fd, const void *data, size_t len, off_t offset)
{
    (void)arg;
    return pwrite(fd, data, len, offset);
}

static int system_fdatasync(void *arg, int fd)
{
    (void)arg;
    return fdatasync(fd);
}

static int system_fallocate(void *arg, int fd, off_t len)
{
    (void)arg;
    return posix_fallocate(fd, 0, len);
}

static int system_start(void *arg, struct disk_queue *queue, const struct disk_write *write)
{
    (void)arg;
    return disk_queue_start(queue, write);
}

const struct wal_io wal_file_system_io = {
    .pwrite = system_pwrite,
    .fdatasync = system_fdatasync,
    .fallocate = system_fallocate,
    .start = system_start,
};

int wal_file_write_all(const struct wal_io *io, int fd, const void *data, size_t len,
                       uint64_t offset)
{
    const uint8_t *at = data;
    unsigned stuck = 0;
    while (len > 0) {
        ssize_t n = io->pwrite(io->arg, fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        /* O_DIRECT takes whole pages only: go back to the beginning of a page written in part. */
        size_t done = (size_t)n == len ? len : (size_t)n & ~(size_t)(WAL_PAGE_BYTES - 1);
        if (done == 0 && ++stuck > WRITES_WITHOUT_PROGRESS_MAX)
            return -EIO;
        at += done;
        offset += done;
        len -= done;
    }
    return 0;
}

int wal_dir_open(struct wal_dir *dir, const char *path, bool buffered, const struct wal_io *io,
                 struct error *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set(e, -errno, "cannot open directory %s: %s", path, strerror(errno));
    *dir = (struct wal_dir){
        .path = mem_strdup(path),
        .fd = fd,
        .direct = !buffered,
        .io = io != NULL ? io : &wal_file_system_io,
    };
    return 0;
}

void wal_dir_done(struct wal_dir *dir)
{
    if (dir->fd >= 0)
        (void)close(dir->fd);
    free(dir->path);
    *dir = (struct wal_dir){.fd = -1};
}

struct wal_segment *wal_file_new(const char *name)
{
    struct wal_segment *segment = mem_zalloc(sizeof *segment);
    (void)snprintf(segment->name, sizeof segment->name, "%s", name);
    segment->fd = -1;
    return segment;
}

void wal_file_close(struct wal_segment *segment)
{
    if (segment->fd >= 0)
        (void)close(segment->fd);
    segment->fd = -1;
}

void wal_file_free(struct wal_segment *segment)
{
    if (segment == NULL)
        return;
    wal_file_close(segment);
    free(segment);
}

void wal_file_free_all(struct wal_segments *segments)
{
    struct wal_segment *segment;
    while ((segment = TAILQ_FIRST(segments)) != NULL) {
        TAILQ_REMOVE(segments, segment, entry);
        wal_file_free(segment);
    }
}

/* Opens for writing: O_DIRECT as long as the file system takes it, with `flags` beside it. */
static int open_file(struct wal_dir *dir, struct wal_segment *segment, int flags)
{
    wal_file_close(segment);
    flags |= O_RDWR | O_CLOEXEC;
    segment->direct = dir->direct;
    if (dir->direct) {
        segment->fd = openat(dir->fd, segment->name, flags | O_DIRECT, 0600);
        if (segment->fd >= 0)
            return 0;
        if (errno != EINVAL && errno != ENOTSUP)
            return -errno;
        dir->direct = segment->direct = false;
    }
    segment->fd = openat(dir->fd, segment->name, flags, 0600);
    return segment->fd < 0 ? -errno : 0;
}

int wal_file_open(struct wal_dir *dir, struct wal_segment *segment)
{
    return open_file(dir, segment, O_DSYNC);
}

void wal_file_remove(struct wal_dir *dir, struct wal_segment *segment)
{
    (void)unlinkat(dir->fd, segment->name, 0);
    wal_file_free(segment);
}

int wal_file_create(struct wal_dir *dir, uint64_t number, uint64_t bytes, struct wal_segment **out)
{
    char name[WAL_FILE_NAME_MAX];
    (void)snprintf(name, sizeof name, "%016" PRIx64 WAL_FILE_SUFFIX, number);
    struct wal_segment *segment = wal_file_new(name);
    int rc = open_file(dir, segment, O_CREAT | O_EXCL);
    if (rc < 0) {
        wal_file_free(segment);
        return rc;
    }
    rc = -dir->io->fallocate(dir->io->arg, segment->fd, (off_t)bytes);
    if (rc == 0 && fsync(dir->fd) != 0)
        rc = -errno;
    if (rc < 0) {
        wal_file_remove(dir, segment);
        return rc;
    }
    segment->head.bytes = bytes;
    *out = segment;
    return 0;
}

int wal_file_fill(struct wal_dir *dir, struct wal_segment *segment)
{
    uint64_t left = segment->head.bytes - segment->filled;
    size_t len = left < WAL_FILE_SLICE_BYTES ? (size_t)left : WAL_FILE_SLICE_BYTES;
    void *zeros = aligned_alloc(WAL_PAGE_BYTES, WAL_FILE_SLICE_BYTES);
    if (zeros == NULL)
        return -ENOMEM;
    memset(zeros, 0, len);
    int rc = wal_file_write_all(dir->io, segment->fd, zeros, len, segment->filled);
    if (rc == -EINVAL && dir->direct) {
        dir->direct = false;
        rc = open_file(dir, segment, 0);
        if (rc == 0)
            rc = wal_file_write_all(dir->io, segment->fd, zeros, len, segment->filled);
    }
    free(zeros);
    if (rc < 0)
        return rc;
    segment->filled += len;
    if (segment->filled < segment->head.bytes)
        return 0;
    return dir->io->fdatasync(dir->io->arg, segment->fd) != 0 ? -errno : 1;
}

int wal_file_start(struct wal_dir *dir, struct wal_segment *segment, const struct wal_head *head)
{
    assert(head->bytes % WAL_PAGE_BYTES == 0);
    int rc = wal_file_open(dir, segment);
    if (rc < 0)
        return rc;
    uint8_t *page = aligned_alloc(WAL_PAGE_BYTES, WAL_PAGE_BYTES);
    if (page == NULL)
        return -ENOMEM;
    wal_format_put_head(page, head);
    rc = wal_file_write(dir, segment, page, WAL_PAGE_BYTES, 0);
    free(page);
    if (rc == 0) {
        segment->head = *head;
        segment->index_max = 0;
    }
    return rc;
}

int wal_file_write(struct wal_dir *dir, struct wal_segment *segment, const void *pages, size_t len,
                   uint64_t offset)
{
    assert(segment->fd >= 0 && len % WAL_PAGE_BYTES == 0 && offset % WAL_PAGE_BYTES == 0);
    int rc = wal_file_write_all(dir->io, segment->fd, pages, len, offset);
    if (rc == -EINVAL && dir->direct) {
        dir->direct = false;
        rc = wal_file_open(dir, segment);
        if (rc == 0)
            rc = wal_file_write_all(dir->io, segment->fd, pages, len, offset);
    }
    if (rc < 0 || dir->direct)
        return rc;
    return dir->io->fdatasync(dir->io->arg, segment->fd) != 0 ? -errno : 0;
}

static int read_all(int fd, uint8_t *data, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = pread(fd, data + at, len - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return ERR_CORRUPT;
        at += (size_t)n;
    }
    return 0;
}

int wal_file_read(struct wal_dir *dir, struct wal_segment *segment, size_t len, uint8_t **data,
                  struct error *e)
{
    int fd = openat(dir->fd, segment->name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(e, -errno, "cannot open %s/%s: %s", dir->path, segment->name,
                         strerror(errno));
    int rc = dir->io->fdatasync(dir->io->arg, fd) != 0 ? -errno : 0;
    uint8_t *out = NULL;
    if (rc == 0) {
        /* After a failed sync the cache may hold what the disk does not. */
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        out = mem_alloc(len);
        rc = read_all(fd, out, len);
    }
    (void)close(fd);
    if (rc < 0) {
        free(out);
        if (rc == ERR_CORRUPT)
            return error_set(e, rc, "%s/%s is shorter than the %zu bytes it should have", dir->path,
                             segment->name, len);
        return error_set(e, rc, "cannot read %s/%s: %s", dir->path, segment->name, err_text(rc));
    }
    *data = out;
    return 0;
}
