/* What lies on a node's disk and may be damaged: segments of journals and of write-ahead logs. The
 * first byte says which. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "run/journal_format.h"
#include "run/wal_format.h"

enum { PAGES_MAX = 8, SALT = 77 };

static void read_journal(const char *text, size_t len)
{
    struct journal_scan scan = {.data = text, .len = len};
    struct journal_item item;
    size_t at = 0;
    do {
        journal_scan_next(&scan, &item);
        if (item.kind == JOURNAL_ITEM_END)
            break;
        fuzz_check(item.offset >= at && item.len > 0 && item.offset + item.len <= len);
        at = item.offset + item.len;
        if (item.kind == JOURNAL_ITEM_LINE && item.mark.kind != JOURNAL_HEAD)
            fuzz_check(item.mark.members <= item.len);
    } while (true);
    (void)journal_format_is_object(text, len);
}

static void read_blocks(const uint8_t *segment, const struct wal_head *head, size_t bytes)
{
    uint64_t offset = WAL_PAGE_BYTES, sequence = 0;
    while (offset < bytes) {
        struct wal_block block;
        struct wal_record record;
        enum wal_kind kind;
        int code = 0;
        (void)wal_format_is_block(segment, head->salt, offset);
        (void)wal_format_torn_bytes(segment, head, offset, sequence + 1);
        if (!wal_format_get_block(segment, bytes, head->salt, offset, &block)) {
            uint64_t next = wal_format_find_block(segment, bytes, head->salt, offset + 1);
            if (next <= offset)
                return;
            offset = next;
            continue;
        }
        sequence = block.sequence;
        fuzz_check(block.records >= segment + offset &&
                   block.records + block.len <= segment + bytes);
        offset += (WAL_BLOCK_HEAD_BYTES + block.len + WAL_PAGE_BYTES - 1) / WAL_PAGE_BYTES *
                  WAL_PAGE_BYTES;
        while (wal_format_next_record(&block, &kind, &record, &code))
            ;
    }
}

/* Whole pages behind a head of the test's own. */
static void read_wal(const uint8_t *data, size_t len)
{
    size_t pages = 1 + len / WAL_PAGE_BYTES + 1;
    if (pages > PAGES_MAX)
        return;
    size_t bytes = pages * WAL_PAGE_BYTES;
    uint8_t *segment = mem_zalloc(bytes);
    struct wal_head head = {.log = 1, .number = 1, .salt = SALT, .bytes = bytes};
    if (len > 0)
        memcpy(segment + WAL_PAGE_BYTES, data, len);
    read_blocks(segment, &head, bytes);
    if (wal_format_get_head(segment + WAL_PAGE_BYTES, &head) == 0)
        fuzz_check(head.bytes > 0);
    free(segment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;
    if (data[0] % 2 == 0)
        read_journal((const char *)data + 1, len - 1);
    else
        read_wal(data + 1, len - 1);
    return 0;
}

static void add_block(fuzz_add_fn add, uint32_t len)
{
    size_t record_len = wal_format_record_bytes(len);
    uint8_t *at = mem_zalloc(1 + 4 * WAL_PAGE_BYTES);
    uint8_t *payload = mem_zalloc(len + 1);
    struct wal_record record = {.index = 1, .data = payload, .len = len};
    at[0] = 1;
    (void)wal_format_put_record(at + 1 + WAL_BLOCK_HEAD_BYTES, WAL_KIND_APPEND, &record);
    wal_format_put_block(at + 1, record_len, 1, SALT, WAL_PAGE_BYTES);
    add(at, 1 + 2 * WAL_PAGE_BYTES);
    free(payload);
    free(at);
}

void fuzz_seeds(fuzz_add_fn add)
{
    struct buf b;
    struct journal_head head = {.log = 5, .first = 1, .at_ms = 1764333000000, .carry = 1};
    uint8_t page[1 + WAL_PAGE_BYTES] = {1};
    buf_init(&b, 1 << 16);
    (void)buf_reserve(&b, 1 << 14);
    (void)buf_append_byte(&b, 0);
    journal_format_put_head(&b, &head);
    journal_format_put_carried(&b, "{\"kept\":1}", 10);
    journal_format_put_line(&b, 1, 1, "{\"kind\":\"say\",\"text\":\"hello\"}", 29);
    journal_format_put_line(&b, 2, 1, "{\"a\":1}", 7);
    (void)buf_append_str(&b, "\n\n\n");
    add(b.data, b.len);
    buf_done(&b);
    wal_format_put_head(page + 1,
                        &(struct wal_head){.log = 1, .number = 2, .salt = SALT, .bytes = 1 << 20});
    add(page, sizeof page);
    add_block(add, 10);
    add_block(add, 5000);
}
