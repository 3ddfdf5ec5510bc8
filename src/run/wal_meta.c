#include "run/wal_meta.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "run/wal_file.h"
#include "run/wal_format.h"

/* A slot: u64 checksum of what follows, u32 magic, u32 length, u64 version, the content, zeros. */
enum { SLOT_BYTES = WAL_PAGE_BYTES, SLOT_COUNT = 2, SLOT_HEAD_BYTES = 24 };

#define SLOT_MAGIC 0x4d4c4157u /* "WALM" */

struct wal_meta {
    char *path;
    int fd;
    bool direct;
    const struct wal_io *io;
    int failed; /* code of the store that failed, else 0 */
    uint64_t version;
    size_t len;
    uint8_t content[WAL_META_BYTES_MAX];
    uint8_t *page; /* SLOT_BYTES, aligned */
};

static void put_slot(uint8_t *page, uint64_t version, const void *data, size_t len)
{
    uint32_t magic = htole32(SLOT_MAGIC);
    uint32_t length = htole32((uint32_t)len);
    version = htole64(version);
    memset(page, 0, SLOT_BYTES);
    memcpy(page + 8, &magic, sizeof magic);
    memcpy(page + 12, &length, sizeof length);
    memcpy(page + 16, &version, sizeof version);
    if (len > 0)
        memcpy(page + SLOT_HEAD_BYTES, data, len);
    uint64_t checksum = htole64(XXH3_64bits(page + 8, SLOT_BYTES - 8));
    memcpy(page, &checksum, sizeof checksum);
}

static bool get_slot(const uint8_t *page, uint64_t *version, size_t *len)
{
    uint64_t checksum;
    uint32_t magic;
    uint32_t length;
    memcpy(&checksum, page, sizeof checksum);
    memcpy(&magic, page + 8, sizeof magic);
    memcpy(&length, page + 12, sizeof length);
    memcpy(version, page + 16, sizeof *version);
    *version = le64toh(*version);
    *len = le32toh(length);
    return le64toh(checksum) == XXH3_64bits(page + 8, SLOT_BYTES - 8) &&
           le32toh(magic) == SLOT_MAGIC && *len <= WAL_META_BYTES_MAX;
}

static int open_file(struct wal_meta *meta, int flags)
{
    flags |= O_RDWR | O_CLOEXEC | O_DSYNC;
    meta->direct = true;
    meta->fd = open(meta->path, flags | O_DIRECT, 0600);
    if (meta->fd < 0 && (errno == EINVAL || errno == ENOTSUP)) {
        meta->direct = false;
        meta->fd = open(meta->path, flags, 0600);
    }
    return meta->fd < 0 ? -errno : 0;
}

static int sync_dir_of(const char *path)
{
    char *copy = mem_strdup(path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(copy);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) != 0 ? -errno : 0;
    (void)close(fd);
    return rc;
}

/* Reads both slots and takes the newer whole one. A file whose creation was cut off, with nothing
 * but zeros or not of full length, is as new: no store has returned yet. */
static int read_slots(struct wal_meta *meta, bool *empty, struct error *e)
{
    uint8_t *slots = mem_zalloc((size_t)SLOT_BYTES * SLOT_COUNT);
    int fd = open(meta->path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pread(fd, slots, (size_t)SLOT_BYTES * SLOT_COUNT, 0);
    int rc = n < 0 ? -errno : 0;
    if (fd >= 0)
        (void)close(fd);
    bool found = false;
    for (size_t i = 0; rc == 0 && i < SLOT_COUNT; i++) {
        const uint8_t *slot = slots + i * SLOT_BYTES;
        uint64_t version;
        size_t len;
        if (!get_slot(slot, &version, &len) || (found && version <= meta->version))
            continue;
        found = true;
        meta->version = version;
        meta->len = len;
        memcpy(meta->content, slot + SLOT_HEAD_BYTES, len);
    }
    *empty = true;
    for (size_t i = 0; i < (size_t)SLOT_BYTES * SLOT_COUNT; i++)
        *empty = *empty && slots[i] == 0;
    free(slots);
    if (rc < 0)
        return error_set(e, rc, "cannot read %s: %s", meta->path, err_text(rc));
    if (!found && !(*empty || n < SLOT_BYTES * SLOT_COUNT))
        return error_set(e, ERR_CORRUPT, "%s: both copies are damaged", meta->path);
    *empty = !found;
    return 0;
}

int wal_meta_open(struct wal_meta **out, const char *path, const struct wal_io *io, struct error *e)
{
    struct wal_meta *meta = mem_zalloc(sizeof *meta);
    meta->fd = -1;
    meta->path = mem_strdup(path);
    meta->io = io != NULL ? io : &wal_file_system_io;
    meta->page = aligned_alloc(WAL_PAGE_BYTES, SLOT_BYTES);
    int rc = meta->page == NULL ? -ENOMEM : open_file(meta, O_CREAT);
    if (rc < 0) {
        error_set(e, rc, "cannot open %s: %s", path, err_text(rc));
        goto fail;
    }
    bool empty = true;
    rc = read_slots(meta, &empty, e);
    if (rc < 0)
        goto fail;
    /* Both slots anew: heals a damaged one, and an empty file gets its space on the disk. */
    rc = wal_meta_store(meta, meta->content, meta->len, e);
    if (rc == 0 && empty && (rc = sync_dir_of(path)) < 0)
        error_set(e, rc, "cannot sync the directory of %s: %s", path, err_text(rc));
    if (rc < 0)
        goto fail;
    *out = meta;
    return 0;
fail:
    wal_meta_close(meta);
    return rc;
}

void wal_meta_close(struct wal_meta *meta)
{
    if (meta == NULL)
        return;
    if (meta->fd >= 0)
        (void)close(meta->fd);
    free(meta->page);
    free(meta->path);
    free(meta);
}

const void *wal_meta_get(const struct wal_meta *meta, size_t *len)
{
    *len = meta->len;
    return meta->content;
}

static int write_slot(struct wal_meta *meta, int slot)
{
    uint64_t offset = (uint64_t)slot * SLOT_BYTES;
    int rc = wal_file_write_all(meta->io, meta->fd, meta->page, SLOT_BYTES, offset);
    if (rc == -EINVAL && meta->direct) {
        (void)close(meta->fd);
        meta->direct = false;
        meta->fd = open(meta->path, O_RDWR | O_CLOEXEC | O_DSYNC);
        rc = meta->fd < 0 ? -errno
                          : wal_file_write_all(meta->io, meta->fd, meta->page, SLOT_BYTES, offset);
    }
    if (rc == 0 && !meta->direct && meta->io->fdatasync(meta->io->arg, meta->fd) != 0)
        rc = -errno;
    return rc;
}

int wal_meta_store(struct wal_meta *meta, const void *data, size_t len, struct error *e)
{
    assert(len <= WAL_META_BYTES_MAX);
    if (meta->failed != 0)
        return error_set(e, meta->failed, "%s: an earlier write failed: %s", meta->path,
                         err_text(meta->failed));
    put_slot(meta->page, meta->version + 1, data, len);
    for (int slot = 0; slot < SLOT_COUNT; slot++) {
        int rc = write_slot(meta, slot);
        if (rc < 0) {
            meta->failed = rc;
            return error_set(e, rc, "cannot write %s: %s", meta->path, err_text(rc));
        }
    }
    meta->version++;
    if (data != meta->content && len > 0)
        memcpy(meta->content, data, len);
    meta->len = len;
    return 0;
}
