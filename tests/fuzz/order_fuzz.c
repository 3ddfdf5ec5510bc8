/* Entries of the ordered log. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "core/order_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct order_entry entry;
    struct buf again;
    int n = order_entry_decode(data, len, &entry);
    if (n < 0)
        return 0;
    fuzz_check((size_t)n <= len && (size_t)n == order_entry_size(&entry));
    buf_init(&again, ORDER_PAYLOAD_MAX * 2);
    fuzz_check(order_entry_encode(&entry, &again) == 0);
    fuzz_check(again.len == (size_t)n && memcmp(again.data, data, again.len) == 0);
    buf_done(&again);
    return 0;
}

void fuzz_seeds(fuzz_add_fn add)
{
    const struct order_entry entries[] = {
        {.seq = 1, .term = 1, .type = ORDER_ENTRY_LEAD, .channel = "", .sender = "", .payload = ""},
        {.seq = 2,
         .term = 1,
         .type = ORDER_ENTRY_MESSAGE,
         .wall_ms = 1764333000000,
         .client = {{1, 2, 3}},
         .number = 9,
         .channel = "room",
         .channel_len = 4,
         .sender = "ann",
         .sender_len = 3,
         .payload = "hello",
         .payload_len = 5},
    };
    for (size_t i = 0; i < MEM_COUNT(entries); i++) {
        struct buf b;
        buf_init(&b, 4096);
        (void)order_entry_encode(&entries[i], &b);
        add(b.data, b.len);
        buf_done(&b);
    }
}
