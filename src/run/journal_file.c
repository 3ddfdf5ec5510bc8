#include "run/journal_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define REPLACE_NAME "replace.tmp"

enum { PAGES_BYTES_MIN = 64 << 10, PAGES_KEPT_MAX = 1 << 20 };

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + WAL_PAGE_BYTES - 1) & ~(uint64_t)(WAL_PAGE_BYTES - 1);
}

void journal_file_init(struct journal_file *file)
{
    *file = (struct journal_file){.fd = -1};
}

void journal_file_done(struct journal_file *file)
{
    if (file->fd >= 0)
        (void)close(file->fd);
    free(file->pages);
    journal_file_init(file);
}

/* Pages for a write of `bytes`, the first of them as it was. */
static void make_room(struct journal_file *file, size_t bytes)
{
    size_t want = bytes < PAGES_BYTES_MIN ? PAGES_BYTES_MIN : (size_t)round_up(bytes);
    if (want <= file->pages_cap && (file->pages_cap <= PAGES_KEPT_MAX || want > PAGES_KEPT_MAX))
        return;
    uint8_t *pages = aligned_alloc(WAL_PAGE_BYTES, want);
    if (pages == NULL)
        abort();
    if (file->pages != NULL)
        memcpy(pages, file->pages, WAL_PAGE_BYTES);
    free(file->pages);
    file->pages = pages;
    file->pages_cap = want;
}

/* Opens for durable writes: O_DIRECT|O_DSYNC as long as the file system takes it. */
static int open_file(struct wal_dir *dir, struct journal_file *file, const char *name, int flags)
{
    if (file->fd >= 0)
        (void)close(file->fd);
    flags |= O_RDWR | O_CLOEXEC;
    file->direct = dir->direct;
    if (dir->direct) {
        file->fd = openat(dir->fd, name, flags | O_DIRECT | O_DSYNC, 0600);
        if (file->fd >= 0)
            return 0;
        if (errno != EINVAL && errno != ENOTSUP)
            return -errno;
        dir->direct = file->direct = false;
    }
    file->fd = openat(dir->fd, name, flags, 0600);
    return file->fd < 0 ? -errno : 0;
}

static int write_pages(struct wal_dir *dir, struct journal_file *file, const char *name,
                       const void *pages, size_t len, uint64_t offset)
{
    int rc = wal_file_write_all(dir->io, file->fd, pages, len, offset);
    if (rc != -EINVAL || !dir->direct)
        return rc;
    dir->direct = false;
    rc = open_file(dir, file, name, 0);
    return rc == 0 ? wal_file_write_all(dir->io, file->fd, pages, len, offset) : rc;
}

static int sync_file(const struct wal_dir *dir, int fd)
{
    return dir->io->fdatasync(dir->io->arg, fd) != 0 ? -errno : 0;
}

static int sync_dir(const struct wal_dir *dir)
{
    return fsync(dir->fd) != 0 ? -errno : 0;
}

int journal_file_create(struct wal_dir *dir, struct journal_file *file, const char *name,
                        uint64_t bytes)
{
    int rc = open_file(dir, file, name, O_CREAT | O_TRUNC);
    if (rc < 0)
        return rc;
    file->len = 0;
    file->filled = 0;
    file->cap = round_up(bytes);
    make_room(file, WAL_PAGE_BYTES);
    rc = -dir->io->fallocate(dir->io->arg, file->fd, (off_t)file->cap);
    if (rc < 0) {
        (void)unlinkat(dir->fd, name, 0);
        (void)close(file->fd);
        file->fd = -1;
    }
    return rc;
}

int journal_file_create_growing(struct wal_dir *dir, struct journal_file *file, const char *name)
{
    int rc = open_file(dir, file, name, O_CREAT | O_TRUNC);
    if (rc < 0)
        return rc;
    file->grows = true;
    file->len = file->filled = file->cap = 0;
    make_room(file, WAL_PAGE_BYTES);
    return 0;
}

void journal_file_grow(struct journal_file *file, size_t len)
{
    assert(file->grows);
    file->filled = file->cap = round_up(file->len + len);
}

int journal_file_resume(struct wal_dir *dir, struct journal_file *file, const char *name,
                        uint64_t len, uint64_t bytes)
{
    int rc = open_file(dir, file, name, 0);
    if (rc < 0)
        return rc;
    uint64_t page = len & ~(uint64_t)(WAL_PAGE_BYTES - 1);
    make_room(file, WAL_PAGE_BYTES);
    struct buf tail;
    buf_init(&tail, WAL_PAGE_BYTES);
    rc = journal_file_read(dir, name, page, (size_t)(len - page), &tail);
    if (rc == 0 && tail.len != len - page)
        rc = ERR_CORRUPT;
    if (rc == 0 && tail.len > 0)
        memcpy(file->pages, tail.data, tail.len);
    buf_done(&tail);
    off_t size = lseek(file->fd, 0, SEEK_END);
    if (rc == 0 && size < 0)
        rc = -errno;
    if (rc < 0)
        return rc;
    file->grows = false;
    file->len = len;
    file->cap = round_up(len > bytes ? len : bytes);
    file->filled = (uint64_t)size & ~(uint64_t)(WAL_PAGE_BYTES - 1);
    if (file->filled < page)
        file->filled = page;
    if (file->filled > file->cap)
        file->cap = file->filled;
    return 0;
}

int journal_file_fill(struct wal_dir *dir, struct journal_file *file, const char *name)
{
    if (file->filled == file->cap)
        return 1;
    uint64_t left = file->cap - file->filled;
    size_t len = left < WAL_FILE_SLICE_BYTES ? (size_t)left : WAL_FILE_SLICE_BYTES;
    uint8_t *slice = aligned_alloc(WAL_PAGE_BYTES, WAL_FILE_SLICE_BYTES);
    if (slice == NULL)
        return -ENOMEM;
    memset(slice, '\n', len);
    if (file->filled < file->len) /* the page in progress */
        memcpy(slice, file->pages, (size_t)(file->len - file->filled));
    int rc = write_pages(dir, file, name, slice, len, file->filled);
    free(slice);
    if (rc < 0)
        return rc;
    file->filled += len;
    if (file->filled < file->cap)
        return 0;
    rc = sync_file(dir, file->fd);
    return rc < 0 ? rc : 1;
}

void journal_file_put(struct journal_file *file, const void *data, size_t len,
                      struct disk_write *write)
{
    assert(file->fd >= 0 && file->filled == file->cap && file->len + len <= file->cap);
    size_t tail = (size_t)(file->len % WAL_PAGE_BYTES);
    *write = (struct disk_write){.fd = file->fd, .offset = file->len - tail};
    if (len == 0 && file->len == file->cap)
        return;
    write->len = len > 0 ? (size_t)round_up(tail + len) : WAL_PAGE_BYTES;
    make_room(file, write->len);
    write->data = file->pages;
    if (len > 0)
        memcpy(file->pages + tail, data, len);
    memset(file->pages + tail + len, '\n', write->len - tail - len);
}

void journal_file_wrote(struct journal_file *file, size_t len)
{
    size_t end = (size_t)(file->len % WAL_PAGE_BYTES) + len;
    size_t rest = end % WAL_PAGE_BYTES;
    file->len += len;
    memmove(file->pages, file->pages + (end - rest), rest);
}

int journal_file_write(struct wal_dir *dir, struct journal_file *file, const char *name,
                       const void *data, size_t len)
{
    struct disk_write write;
    journal_file_put(file, data, len, &write);
    if (write.len == 0)
        return sync_file(dir, file->fd);
    int rc = write_pages(dir, file, name, write.data, write.len, write.offset);
    if (rc == 0 && !dir->direct)
        rc = sync_file(dir, file->fd);
    if (rc == 0)
        journal_file_wrote(file, len);
    return rc;
}

int journal_file_touch(struct wal_dir *dir, struct journal_file *file, const char *name)
{
    return journal_file_write(dir, file, name, NULL, 0);
}

int journal_file_rename(struct wal_dir *dir, const char *from, const char *to)
{
    return renameat(dir->fd, from, dir->fd, to) != 0 ? -errno : sync_dir(dir);
}

int journal_file_unlink(struct wal_dir *dir, const char *name)
{
    return unlinkat(dir->fd, name, 0) != 0 && errno != ENOENT ? -errno : sync_dir(dir);
}

int journal_file_cut(struct wal_dir *dir, const char *name, uint64_t len)
{
    int fd = openat(dir->fd, name, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = ftruncate(fd, (off_t)len) != 0 || fsync(fd) != 0 ? -errno : 0;
    (void)close(fd);
    return rc;
}

int journal_file_replace(struct wal_dir *dir, const char *name, const struct buf *content)
{
    int fd = openat(dir->fd, REPLACE_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int rc = wal_file_write_all(dir->io, fd, content->data, content->len, 0);
    if (rc == 0)
        rc = sync_file(dir, fd);
    (void)close(fd);
    if (rc == 0)
        rc = journal_file_rename(dir, REPLACE_NAME, name);
    else
        (void)unlinkat(dir->fd, REPLACE_NAME, 0);
    return rc;
}

int journal_file_read(const struct wal_dir *dir, const char *name, uint64_t offset, size_t len,
                      struct buf *b)
{
    int fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = buf_reserve(b, len);
    size_t end = b->len + len;
    while (rc == 0 && b->len < end) {
        ssize_t n = pread(fd, b->data + b->len, end - b->len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = -errno;
        if (n <= 0)
            break;
        b->len += (size_t)n;
        offset += (uint64_t)n;
    }
    (void)close(fd);
    return rc;
}
