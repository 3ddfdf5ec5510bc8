#include "run/raft_record.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/mem.h"
#include "run/atomic_file.h"
#include "run/raft_codec.h"

/* The file: u64 XXH3 of what follows, u32 magic, u32 format, a packed wire.RaftSnapshotRecord. */
enum { FILE_HEAD_BYTES = 16, FILE_FORMAT = 1, FILE_BYTES_MAX = 1 << 20, FILE_MODE = 0600 };

#define FILE_MAGIC 0x4e535443u /* "CTSN" */

void raft_record_init(struct raft_record *record)
{
    *record = (struct raft_record){0};
    raft_configuration_init(&record->configuration);
}

void raft_record_done(struct raft_record *record)
{
    raft_configuration_close(&record->configuration);
    raft_record_init(record);
}

int raft_record_from_snapshot(struct raft_record *record, const struct raft_snapshot *snapshot,
                              unsigned trailing, const char *file_name)
{
    int rv = raft_codec_copy_configuration(&snapshot->configuration, &record->configuration);
    if (rv != 0)
        return rv;
    record->index = snapshot->index;
    record->term = snapshot->term;
    record->configuration_index = snapshot->configuration_index;
    record->trailing = trailing;
    (void)snprintf(record->file_name, sizeof record->file_name, "%s", file_name);
    return 0;
}

int raft_record_descriptor(uint64_t index, const char *path, struct raft_buffer *out)
{
    size_t len = strlen(path) + 1;
    if (len > RAFT_IO_PATH_MAX)
        return RAFT_NAMETOOLONG;
    uint8_t *base = raft_malloc(sizeof index + len);
    if (base == NULL)
        return RAFT_NOMEM;
    index = htole64(index);
    memcpy(base, &index, sizeof index);
    memcpy(base + sizeof index, path, len);
    *out = (struct raft_buffer){base, sizeof index + len};
    return 0;
}

int raft_io_descriptor_parse(const struct raft_buffer *buf, struct raft_io_descriptor *out)
{
    uint64_t index;
    if (buf->len <= sizeof index || buf->len > sizeof index + RAFT_IO_PATH_MAX)
        return ERR_CORRUPT;
    const char *path = (const char *)buf->base + sizeof index;
    if (memchr(path, 0, buf->len - sizeof index) == NULL)
        return ERR_CORRUPT;
    memcpy(&index, buf->base, sizeof index);
    out->index = le64toh(index);
    (void)snprintf(out->path, sizeof out->path, "%s", path);
    return 0;
}

int raft_io_snapshot_bufs(struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct raft_buffer *buf = raft_malloc(sizeof *buf);
    if (buf == NULL)
        return RAFT_NOMEM;
    int rv = raft_record_descriptor(0, "", buf);
    if (rv != 0) {
        raft_free(buf);
        return rv;
    }
    *bufs = buf;
    *n_bufs = 1;
    return 0;
}

int raft_record_to_snapshot(const struct raft_record *record, const char *dir,
                            struct raft_snapshot **out)
{
    char path[RAFT_IO_PATH_MAX] = "";
    int len = 0;
    if (record->file_name[0] != '\0')
        len = snprintf(path, sizeof path, "%s/%s", dir, record->file_name);
    if (len >= (int)sizeof path)
        return RAFT_NAMETOOLONG;
    struct raft_snapshot *snapshot = raft_calloc(1, sizeof *snapshot);
    struct raft_buffer *buf = raft_calloc(1, sizeof *buf);
    if (snapshot == NULL || buf == NULL)
        abort();
    int rv = raft_codec_copy_configuration(&record->configuration, &snapshot->configuration);
    if (rv == 0) {
        rv = raft_record_descriptor(record->index, path, buf);
        if (rv != 0)
            raft_configuration_close(&snapshot->configuration);
    }
    if (rv != 0) {
        raft_free(buf);
        raft_free(snapshot);
        return rv;
    }
    snapshot->index = record->index;
    snapshot->term = record->term;
    snapshot->configuration_index = record->configuration_index;
    snapshot->bufs = buf;
    snapshot->n_bufs = 1;
    *out = snapshot;
    return 0;
}

/* ---- the file ---------------------------------------------------------------------------------
 */

static int decode(struct raft_record *record, const uint8_t *data, size_t len)
{
    uint64_t checksum;
    uint32_t magic;
    uint32_t format;
    if (len < FILE_HEAD_BYTES)
        return ERR_CORRUPT;
    memcpy(&checksum, data, sizeof checksum);
    memcpy(&magic, data + 8, sizeof magic);
    memcpy(&format, data + 12, sizeof format);
    if (le64toh(checksum) != XXH3_64bits(data + 8, len - 8) || le32toh(magic) != FILE_MAGIC)
        return ERR_CORRUPT;
    if (le32toh(format) != FILE_FORMAT)
        return ERR_VERSION;
    Wire__RaftSnapshotRecord *wire =
        wire__raft_snapshot_record__unpack(NULL, len - FILE_HEAD_BYTES, data + FILE_HEAD_BYTES);
    int rc = ERR_CORRUPT;
    if (wire != NULL && strlen(wire->file_name) < sizeof record->file_name &&
        strchr(wire->file_name, '/') == NULL && wire->index > 0 &&
        raft_codec_to_configuration(wire->configuration, &record->configuration) == 0) {
        record->index = wire->index;
        record->term = wire->term;
        record->configuration_index = wire->configuration_index;
        record->trailing = wire->trailing;
        memcpy(record->file_name, wire->file_name, strlen(wire->file_name) + 1);
        rc = 0;
    }
    wire__raft_snapshot_record__free_unpacked(wire, NULL);
    return rc;
}

int raft_record_load(struct raft_record *record, const char *path, struct error *e)
{
    struct buf b;
    buf_init(&b, FILE_BYTES_MAX);
    int rc = atomic_file_read(path, &b, e);
    if (rc == -ENOENT) {
        rc = 0;
    } else if (rc == 0) {
        rc = decode(record, b.data, b.len);
        if (rc < 0)
            error_set(e, rc, "%s: %s", path, err_text(rc));
    }
    buf_done(&b);
    return rc;
}

int raft_record_store(const struct raft_record *record, const char *path, struct error *e)
{
    Wire__RaftSnapshotRecord wire;
    wire__raft_snapshot_record__init(&wire);
    wire.index = record->index;
    wire.term = record->term;
    wire.configuration_index = record->configuration_index;
    wire.configuration = raft_codec_from_configuration(&record->configuration);
    wire.trailing = record->trailing;
    wire.file_name = (char *)record->file_name;
    size_t len = FILE_HEAD_BYTES + wire__raft_snapshot_record__get_packed_size(&wire);
    uint8_t *data = mem_zalloc(len);
    uint32_t magic = htole32(FILE_MAGIC);
    uint32_t format = htole32(FILE_FORMAT);
    memcpy(data + 8, &magic, sizeof magic);
    memcpy(data + 12, &format, sizeof format);
    wire__raft_snapshot_record__pack(&wire, data + FILE_HEAD_BYTES);
    uint64_t checksum = htole64(XXH3_64bits(data + 8, len - 8));
    memcpy(data, &checksum, sizeof checksum);
    int rc = atomic_file_write(path, FILE_MODE, data, len, e);
    free(data);
    wire__raft_configuration__free_unpacked(wire.configuration, NULL);
    return rc;
}
