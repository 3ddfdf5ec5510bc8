/* Bytes of a write-ahead log on disk, little-endian.
 *
 * A segment file is a head page, then blocks one after another:
 *
 *   head    u64 checksum, u32 magic, u32 format, u64 log, u64 number, u64 salt, u64 bytes, u64
 * flags block   u64 checksum, u32 magic, u32 length, u64 sequence, then `length` bytes of records
 *   record  u64 index, u64 term, u32 length, u16 type, u16 kind, data, zeros up to 8 bytes
 *
 * Checksums are XXH3 of what follows them. A block's is seeded with the segment's salt, which is
 * new each time the file is used, and the block's offset: what an earlier use left behind, and what
 * a record's data may imitate, is never taken for a block. Sequences count blocks over all
 * segments. */
#ifndef RUN_WAL_FORMAT_H
#define RUN_WAL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/wal.h"

enum {
    WAL_FORMAT = 1,
    WAL_PAGE_BYTES = 4096,
    WAL_BLOCK_HEAD_BYTES = 24,
    WAL_RECORD_HEAD_BYTES = 24,
    WAL_SEAL_BYTES = WAL_BLOCK_HEAD_BYTES + WAL_RECORD_HEAD_BYTES,
};

enum wal_kind {
    WAL_KIND_APPEND = 1,
    WAL_KIND_TRUNCATE, /* index: the first that is gone */
    WAL_KIND_RESET,    /* index: the next to come */
    WAL_KIND_SEAL,     /* index: number of the segment that follows */
    WAL_KIND_TRIM,     /* a request only, never on disk */
};

struct wal_head {
    uint64_t log; /* the same in all segments of a log */
    uint64_t number;
    uint64_t salt;
    uint64_t bytes;
    bool fresh; /* nothing but zeros behind the blocks */
};

struct wal_block {
    uint64_t sequence;
    const uint8_t *records;
    size_t len;
};

/* Bytes that a record takes in a block. */
size_t wal_format_record_bytes(uint32_t len);

void wal_format_put_head(uint8_t page[static WAL_PAGE_BYTES], const struct wal_head *head);

/* 0; ERR_NOT_FOUND for a page of zeros; ERR_VERSION for a newer format; else ERR_CORRUPT. */
int wal_format_get_head(const uint8_t page[static WAL_PAGE_BYTES], struct wal_head *head);

/* Writes a record at `at` and returns its bytes. */
size_t wal_format_put_record(uint8_t *at, enum wal_kind kind, const struct wal_record *record);

/* Writes the head of a block in front of `len` bytes of records at `at` + WAL_BLOCK_HEAD_BYTES. */
void wal_format_put_block(uint8_t *at, size_t len, uint64_t sequence, uint64_t salt,
                          uint64_t offset);

/* Whether the head of a block, whole or torn, stands at `offset`. */
bool wal_format_is_block(const uint8_t *data, uint64_t salt, uint64_t offset);

/* Reads the block at `offset` of the segment in `data`; false when there is no whole one. */
bool wal_format_get_block(const uint8_t *data, uint64_t bytes, uint64_t salt, uint64_t offset,
                          struct wal_block *block);

/* Takes the next record from `block`; the data stays where it is. False at the end. A block that
 * does not end with a whole record gives ERR_CORRUPT in `*code`. */
bool wal_format_next_record(struct wal_block *block, enum wal_kind *kind, struct wal_record *record,
                            int *code);

/* Returns the offset of the first valid block at or behind `from`, 0 if there is none. */
uint64_t wal_format_find_block(const uint8_t *data, uint64_t bytes, uint64_t salt, uint64_t from);

/* Bytes that look like the remains of the write of block `sequence` at `offset`. */
uint64_t wal_format_torn_bytes(const uint8_t *data, const struct wal_head *head, uint64_t offset,
                               uint64_t sequence);

#endif
