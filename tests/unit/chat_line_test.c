#include "role/chat_line.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/journal.h"
#include "tests/unit/generated.h"

/* Text of any characters, or any bytes. */
static size_t make_text(struct generated *g, char *out, size_t max, bool utf8)
{
    static const char *const pieces[] = {"a",          "\"",   "\\",       "\n",     "\t",
                                         "\x01",       "\x7f", "\xc2\x85", "\u20ac", "\u2028",
                                         "\U0001f600", "\r",   "\b",       "/"};
    size_t len = 0;
    size_t want = prng_below(&g->prng, max);
    if (!utf8) {
        prng_bytes(&g->prng, out, want);
        return want;
    }
    for (;;) {
        const char *piece = pieces[prng_below(&g->prng, MEM_COUNT(pieces))];
        if (len + strlen(piece) > want)
            return len;
        memcpy(out + len, piece, strlen(piece));
        len += strlen(piece);
    }
}

static void make_entry(struct generated *g, struct order_entry *entry, char *strings)
{
    *entry = (struct order_entry){
        .seq = prng_between(&g->prng, 1, UINT64_MAX - 1),
        .term = prng_between(&g->prng, 1, UINT64_MAX - 1),
        .type = (enum order_entry_type)prng_between(&g->prng, 1, 3),
        .wall_ms = (int64_t)prng_below(&g->prng, 4000000000000),
    };
    bool is_message = entry->type == ORDER_ENTRY_MESSAGE;
    char *channel = strings;
    char *sender = strings + 100;
    char *payload = strings + 300;
    if (is_message) {
        prng_bytes(&g->prng, entry->client.bytes, sizeof entry->client.bytes);
        entry->number = prng_between(&g->prng, 1, UINT64_MAX - 1);
        entry->channel_len = (uint8_t)make_text(g, channel, ORDER_CHANNEL_MAX, true);
        entry->sender_len = (uint8_t)make_text(g, sender, ORDER_SENDER_MAX, true);
    }
    bool utf8 = is_message && prng_chance(&g->prng, 9, 10);
    entry->payload_len = (uint32_t)make_text(g, payload, 500, utf8);
    entry->channel = channel;
    entry->sender = sender;
    entry->payload = payload;
}

static void assert_same(struct generated *g, const struct order_entry *a,
                        const struct order_entry *b)
{
    bool same = a->seq == b->seq && a->term == b->term && a->type == b->type &&
                a->wall_ms == b->wall_ms && a->number == b->number &&
                uuid_compare(&a->client, &b->client) == 0 && a->channel_len == b->channel_len &&
                a->sender_len == b->sender_len && a->payload_len == b->payload_len &&
                memcmp(a->channel, b->channel, a->channel_len) == 0 &&
                memcmp(a->sender, b->sender, a->sender_len) == 0 &&
                memcmp(a->payload, b->payload, a->payload_len) == 0;
    generated_check(g, same, "another entry came %s", "back");
}

static void any_entry_comes_back_as_it_was(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    struct chat_line_clock clock = {0};
    struct chat_line_batch batch;
    chat_line_batch_init(&batch);
    while (generated_next(&g)) {
        enum { N = 20 };
        static char strings[N][1000];
        struct order_entry entries[N];
        chat_line_batch_clear(&batch);
        for (int i = 0; i < N; i++) {
            make_entry(&g, &entries[i], strings[i]);
            struct buf line;
            buf_init(&line, 100000);
            chat_line_put(&line, &clock, &entries[i]);
            generated_check(&g, memchr(line.data, '\n', line.len) == NULL, "%s lines", "several");
            generated_check(&g, str_is_utf8((const char *)line.data, line.len), "%s", "no UTF-8");
            int rc = chat_line_batch_add(&batch, entries[i].seq, (const char *)line.data + 1,
                                         line.len - 1);
            generated_check(&g, rc == 0, "%s: %s", err_text(rc), buf_cstr(&line));
            buf_done(&line);
        }
        chat_line_batch_finish(&batch);
        for (int i = 0; i < N; i++)
            assert_same(&g, &entries[i], &batch.entries[i]);
    }
    chat_line_batch_done(&batch);
}

static void times_within_a_second_are_told_apart(void **state)
{
    (void)state;
    struct chat_line_clock clock = {0};
    for (int64_t ms = 1764333000998; ms < 1764333002003; ms++) {
        char expected[CLOCK_RFC3339_MAX];
        assert_string_equal(chat_line_time(&clock, ms), clock_format_rfc3339(ms, expected));
    }
}

static void times_of_one_second_are_read_as_they_were(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2000);
    struct chat_line_clock clock = {0};
    struct chat_line_batch batch;
    chat_line_batch_init(&batch);
    while (generated_next(&g)) {
        struct order_entry entry = {.seq = 1, .term = 1, .type = ORDER_ENTRY_LEAD};
        entry.wall_ms = 1764333000000 + (int64_t)prng_below(&g.prng, 3000);
        struct buf line;
        buf_init(&line, 1000);
        chat_line_put(&line, &clock, &entry);
        chat_line_batch_clear(&batch);
        int rc = chat_line_batch_add(&batch, 1, (const char *)line.data + 1, line.len - 1);
        generated_check(&g, rc == 0 && batch.entries[0].wall_ms == entry.wall_ms, "%s",
                        buf_cstr(&line));
        char *dot = strchr((char *)line.data, '.');
        dot[prng_between(&g.prng, 1, 4)] = 'x'; /* a digit or the Z */
        rc = chat_line_batch_add(&batch, 2, (const char *)line.data + 1, line.len - 1);
        generated_check(&g, rc == ERR_CORRUPT, "%s", buf_cstr(&line));
        buf_done(&line);
    }
    chat_line_batch_done(&batch);
}

static void what_is_no_entry_is_refused(void **state)
{
    (void)state;
    static const char whole[] =
        "\"term\":3,\"at\":\"2026-11-28T13:45:00.123Z\",\"kind\":\"message\",\"client\":"
        "\"31c26336-da78-43f4-8f1a-85a3560dc50c\",\"number\":7,\"channel\":\"general\",\"from\":"
        "\"anna\",\"text\":\"hello\"}";
    struct chat_line_batch batch;
    chat_line_batch_init(&batch);
    assert_int_equal(chat_line_batch_add(&batch, 1, whole, strlen(whole)), 0);
    for (size_t len = 0; len < strlen(whole); len++)
        assert_int_equal(chat_line_batch_add(&batch, 1, whole, len), ERR_CORRUPT);
    struct generated g;
    generated_init(&g, 5000);
    while (generated_next(&g)) {
        char text[sizeof whole];
        memcpy(text, whole, sizeof whole);
        for (int i = 0; i < 3; i++)
            text[prng_below(&g.prng, strlen(whole))] = (char)prng_below(&g.prng, 256);
        (void)chat_line_batch_add(&batch, 1, text, strlen(whole));
        chat_line_batch_finish(&batch);
    }
    chat_line_batch_done(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_entry_comes_back_as_it_was),
        cmocka_unit_test(times_within_a_second_are_told_apart),
        cmocka_unit_test(times_of_one_second_are_read_as_they_were),
        cmocka_unit_test(what_is_no_entry_is_refused),
    };
    return cmocka_run_group_tests_name("lines of the chat's log", tests, NULL, NULL);
}
