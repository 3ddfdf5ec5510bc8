#include "core/order_entry.h"

#include <string.h>

#include "base/error.h"
#include "tests/unit/generated.h"

static uint8_t payload[4096];

static struct order_entry entry_generate(struct generated *g)
{
    static char text[ORDER_SENDER_MAX];
    prng_bytes(&g->prng, text, sizeof text);
    prng_bytes(&g->prng, payload, 64);
    struct order_entry entry = {
        .seq = prng_next(&g->prng),
        .term = prng_next(&g->prng),
        .type = (enum order_entry_type)prng_between(&g->prng, 1, 3),
        .wall_ms = (int64_t)prng_next(&g->prng),
        .channel = text,
        .sender = text,
        .payload = payload,
        .channel_len = (uint8_t)prng_below(&g->prng, ORDER_CHANNEL_MAX + 1),
        .sender_len = (uint8_t)prng_below(&g->prng, ORDER_SENDER_MAX + 1),
    };
    if (entry.type == ORDER_ENTRY_MESSAGE) {
        prng_bytes(&g->prng, entry.client.bytes, sizeof entry.client.bytes);
        entry.number = 1 + prng_below(&g->prng, 1000);
    }
    if (entry.type != ORDER_ENTRY_LEAD)
        entry.payload_len = 1 + (uint32_t)prng_below(&g->prng, sizeof payload);
    return entry;
}

static void an_entry_comes_back_as_it_was(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 500);
    while (generated_next(&g)) {
        struct order_entry in = entry_generate(&g);
        struct buf b;
        buf_init(&b, 1 << 20);
        assert_int_equal(order_entry_encode(&in, &b), 0);
        generated_check(&g, b.len == order_entry_size(&in), "%zu bytes", b.len);
        struct order_entry out;
        assert_int_equal(order_entry_decode(b.data, b.len, &out), (int)b.len);
        generated_check(&g, out.seq == in.seq && out.term == in.term && out.type == in.type,
                        "seq %" PRIu64, out.seq);
        assert_true(out.wall_ms == in.wall_ms && out.number == in.number);
        assert_int_equal(uuid_compare(&out.client, &in.client), 0);
        assert_int_equal(out.channel_len, in.channel_len);
        assert_int_equal(out.sender_len, in.sender_len);
        assert_int_equal(out.payload_len, in.payload_len);
        assert_memory_equal(out.channel, in.channel, in.channel_len);
        assert_memory_equal(out.sender, in.sender, in.sender_len);
        assert_memory_equal(out.payload, in.payload, in.payload_len);
        assert_true(order_entry_check(&out) == order_entry_check(&in));
        buf_done(&b);
    }
}

static void the_check_is_the_checksum_of_the_form(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 100);
    while (generated_next(&g)) {
        struct order_entry entry = entry_generate(&g);
        struct buf b;
        buf_init(&b, 1 << 20);
        assert_int_equal(order_entry_encode(&entry, &b), 0);
        uint64_t check = 0;
        for (unsigned i = 0; i < 8; i++)
            check |= (uint64_t)b.data[4 + i] << (8 * i);
        generated_check(&g, check == order_entry_check(&entry), "%" PRIx64, check);
        buf_done(&b);
    }
}

static void a_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2000);
    while (generated_next(&g)) {
        struct order_entry entry = entry_generate(&g);
        struct buf b;
        buf_init(&b, 1 << 20);
        assert_int_equal(order_entry_encode(&entry, &b), 0);
        size_t bit = prng_below(&g.prng, 8 * b.len);
        b.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        struct order_entry out;
        generated_check(&g, order_entry_decode(b.data, b.len, &out) < 0, "bit %zu", bit);
        buf_done(&b);
    }
}

static void an_entry_that_is_cut_off_is_refused(void **state)
{
    (void)state;
    struct order_entry entry = {.seq = 1, .term = 1, .type = ORDER_ENTRY_MEMBERS};
    entry.payload = payload;
    entry.payload_len = 100;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_int_equal(order_entry_encode(&entry, &b), 0);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *copy = malloc(len + 1); /* exactly as long as said, for the sanitizers */
        memcpy(copy, b.data, len);
        assert_int_equal(order_entry_decode(copy, len, &entry), ERR_PROTOCOL);
        free(copy);
    }
    buf_done(&b);
}

static void what_a_type_must_not_have_is_refused(void **state)
{
    (void)state;
    struct order_entry wrong[] = {
        {.type = ORDER_ENTRY_MESSAGE, .number = 1},
        {.type = ORDER_ENTRY_MESSAGE, .client = {{1}}},
        {.type = ORDER_ENTRY_LEAD, .number = 1},
        {.type = ORDER_ENTRY_LEAD, .client = {{1}}},
        {.type = ORDER_ENTRY_LEAD, .payload = payload, .payload_len = 1},
        {.type = ORDER_ENTRY_MEMBERS},
        {.type = (enum order_entry_type)0},
        {.type = (enum order_entry_type)77},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct buf b;
        buf_init(&b, 1 << 20);
        assert_int_equal(order_entry_encode(&wrong[i], &b), 0);
        struct order_entry out;
        assert_int_equal(order_entry_decode(b.data, b.len, &out), ERR_PROTOCOL);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_comes_back_as_it_was),
        cmocka_unit_test(the_check_is_the_checksum_of_the_form),
        cmocka_unit_test(a_flipped_bit_is_noticed),
        cmocka_unit_test(an_entry_that_is_cut_off_is_refused),
        cmocka_unit_test(what_a_type_must_not_have_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
