#include "run/wal_format.h"

#include <endian.h>
#include <string.h>
#include <xxhash.h>

#define SEGMENT_MAGIC 0x474c4157u /* "WALG" */

enum { HEAD_BYTES = 56, HEAD_FRESH = 1 };

static void put16(uint8_t *at, uint16_t value)
{
    value = htole16(value);
    memcpy(at, &value, sizeof value);
}

static void put32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

static void put64(uint8_t *at, uint64_t value)
{
    value = htole64(value);
    memcpy(at, &value, sizeof value);
}

static uint16_t get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return le16toh(value);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static bool is_zero(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != 0)
            return false;
    return true;
}

size_t wal_format_record_bytes(uint32_t len)
{
    return WAL_RECORD_HEAD_BYTES + (((size_t)len + 7) & ~(size_t)7);
}

void wal_format_put_head(uint8_t page[static WAL_PAGE_BYTES], const struct wal_head *head)
{
    memset(page, 0, WAL_PAGE_BYTES);
    put32(page + 8, SEGMENT_MAGIC);
    put32(page + 12, WAL_FORMAT);
    put64(page + 16, head->log);
    put64(page + 24, head->number);
    put64(page + 32, head->salt);
    put64(page + 40, head->bytes);
    put64(page + 48, head->fresh ? HEAD_FRESH : 0);
    put64(page, XXH3_64bits(page + 8, HEAD_BYTES - 8));
}

int wal_format_get_head(const uint8_t page[static WAL_PAGE_BYTES], struct wal_head *head)
{
    if (is_zero(page, WAL_PAGE_BYTES))
        return ERR_NOT_FOUND;
    if (get32(page + 8) != SEGMENT_MAGIC || get64(page) != XXH3_64bits(page + 8, HEAD_BYTES - 8))
        return ERR_CORRUPT;
    if (get32(page + 12) != WAL_FORMAT)
        return ERR_VERSION;
    *head = (struct wal_head){
        .log = get64(page + 16),
        .number = get64(page + 24),
        .salt = get64(page + 32),
        .bytes = get64(page + 40),
        .fresh = get64(page + 48) & HEAD_FRESH,
    };
    return 0;
}

size_t wal_format_put_record(uint8_t *at, enum wal_kind kind, const struct wal_record *record)
{
    size_t bytes = wal_format_record_bytes(record->len);
    put64(at, record->index);
    put64(at + 8, record->term);
    put32(at + 16, record->len);
    put16(at + 20, record->type);
    put16(at + 22, (uint16_t)kind);
    size_t end = WAL_RECORD_HEAD_BYTES + (size_t)record->len;
    if (record->len > 0)
        memcpy(at + WAL_RECORD_HEAD_BYTES, record->data, record->len);
    memset(at + end, 0, bytes - end);
    return bytes;
}

static uint32_t mark_of(const uint8_t *at, uint64_t seed)
{
    return (uint32_t)XXH3_64bits_withSeed(at + 12, WAL_BLOCK_HEAD_BYTES - 12, seed);
}

void wal_format_put_block(uint8_t *at, size_t len, uint64_t sequence, uint64_t salt,
                          uint64_t offset)
{
    put32(at + 12, (uint32_t)len);
    put64(at + 16, sequence);
    put32(at + 8, mark_of(at, salt + offset));
    put64(at, XXH3_64bits_withSeed(at + 8, WAL_BLOCK_HEAD_BYTES - 8 + len, salt + offset));
}

bool wal_format_is_block(const uint8_t *data, uint64_t salt, uint64_t offset)
{
    const uint8_t *at = data + offset;
    uint32_t len = get32(at + 12); /* looked at first: cheaper than the mark */
    return len >= WAL_RECORD_HEAD_BYTES && len % 8 == 0 &&
           get32(at + 8) == mark_of(at, salt + offset);
}

bool wal_format_get_block(const uint8_t *data, uint64_t bytes, uint64_t salt, uint64_t offset,
                          struct wal_block *block)
{
    if (offset > bytes || bytes - offset < WAL_BLOCK_HEAD_BYTES)
        return false;
    const uint8_t *at = data + offset;
    if (!wal_format_is_block(data, salt, offset))
        return false;
    size_t len = get32(at + 12);
    if (len > bytes - offset - WAL_BLOCK_HEAD_BYTES)
        return false;
    if (get64(at) != XXH3_64bits_withSeed(at + 8, WAL_BLOCK_HEAD_BYTES - 8 + len, salt + offset))
        return false;
    *block = (struct wal_block){get64(at + 16), at + WAL_BLOCK_HEAD_BYTES, len};
    return true;
}

bool wal_format_next_record(struct wal_block *block, enum wal_kind *kind, struct wal_record *record,
                            int *code)
{
    *code = 0;
    if (block->len == 0)
        return false;
    const uint8_t *at = block->records;
    if (block->len < WAL_RECORD_HEAD_BYTES ||
        wal_format_record_bytes(get32(at + 16)) > block->len) {
        *code = ERR_CORRUPT;
        return false;
    }
    *record = (struct wal_record){
        .index = get64(at),
        .term = get64(at + 8),
        .len = get32(at + 16),
        .type = get16(at + 20),
        .data = at + WAL_RECORD_HEAD_BYTES,
    };
    *kind = get16(at + 22);
    size_t bytes = wal_format_record_bytes(record->len);
    block->records += bytes;
    block->len -= bytes;
    return true;
}

uint64_t wal_format_find_block(const uint8_t *data, uint64_t bytes, uint64_t salt, uint64_t from)
{
    struct wal_block block;
    for (uint64_t offset = from; offset + WAL_BLOCK_HEAD_BYTES <= bytes; offset += 8)
        if (wal_format_get_block(data, bytes, salt, offset, &block))
            return offset;
    return 0;
}

uint64_t wal_format_torn_bytes(const uint8_t *data, const struct wal_head *head, uint64_t offset,
                               uint64_t sequence)
{
    const uint8_t *at = data + offset;
    if (head->bytes - offset >= WAL_BLOCK_HEAD_BYTES &&
        wal_format_is_block(data, head->salt, offset) && get64(at + 16) == sequence) {
        uint64_t torn = WAL_BLOCK_HEAD_BYTES + (uint64_t)get32(at + 12);
        return torn < head->bytes - offset ? torn : head->bytes - offset;
    }
    if (!head->fresh)
        return 0;
    uint64_t end = head->bytes;
    while (end > offset && data[end - 1] == 0)
        end--;
    return end - offset;
}
