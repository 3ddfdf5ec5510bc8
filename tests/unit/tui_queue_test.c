#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/generated.h"
#include "tui/feed_queue.h"

static int owners[3];

static void push(struct feed_queue *queue, enum feed_piece_kind kind, unsigned owner, uint64_t run,
                 const char *bytes, size_t len)
{
    feed_queue_push(queue, &(struct feed_piece){kind, &owners[owner], run, bytes, len});
}

/* A byte of piece `n`, so that each can be told from all others. */
static char byte_of(uint64_t n, size_t i)
{
    return (char)(n * 31 + i * 7);
}

static void pieces_come_out_as_they_went_in(void **state)
{
    struct generated g;
    (void)state;
    generated_init(&g, 30);
    while (generated_next(&g)) {
        struct feed_queue queue;
        size_t lens[512];
        uint64_t in = 0, out = 0;
        feed_queue_init(&queue);
        for (unsigned step = 0; step < 2000; step++) {
            struct feed_piece piece;
            if (in - out < MEM_COUNT(lens) && prng_chance(&g.prng, step < 1000 ? 3 : 1, 4)) {
                bool is_long = prng_chance(&g.prng, 1, 50);
                size_t len = prng_below(&g.prng, is_long ? 3 * FEED_QUEUE_BLOCK_BYTES : 300);
                char *bytes = mem_alloc(len + 1);
                for (size_t i = 0; i < len; i++)
                    bytes[i] = byte_of(in, i);
                lens[in % MEM_COUNT(lens)] = len;
                push(&queue, len == 0 ? FEED_PIECE_END : FEED_PIECE_DATA, in % 3, in, bytes, len);
                free(bytes);
                in++;
            } else if (feed_queue_first(&queue, &piece)) {
                bool is_same = true;
                for (size_t i = 0; i < piece.len; i++)
                    is_same = is_same && piece.bytes[i] == byte_of(out, i);
                generated_check(&g, piece.len == lens[out % MEM_COUNT(lens)], "%zu", piece.len);
                generated_check(&g, is_same, "%zu", piece.len);
                generated_check(&g, piece.bytes[piece.len] == '\0', "%zu", piece.len);
                generated_check(&g, piece.run == out && piece.owner == &owners[out % 3], "%zu",
                                piece.len);
                generated_check(&g, (piece.kind == FEED_PIECE_END) == (piece.len == 0), "%zu",
                                piece.len);
                feed_queue_pop(&queue);
                out++;
            }
            generated_check(&g, (queue.bytes == 0) == (in == out), "%zu", queue.bytes);
        }
        feed_queue_done(&queue);
    }
}

static void what_is_being_taken_stays_while_more_is_pushed(void **state)
{
    struct feed_queue queue;
    struct feed_piece piece;
    char bytes[1000] = "";
    (void)state;
    feed_queue_init(&queue);
    push(&queue, FEED_PIECE_DATA, 0, 1, "first", 5);
    assert_true(feed_queue_first(&queue, &piece));
    for (int i = 0; i < 1000; i++)
        push(&queue, FEED_PIECE_DATA, 0, 1, bytes, sizeof bytes);
    assert_string_equal(piece.bytes, "first");
    feed_queue_done(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_come_out_as_they_went_in),
        cmocka_unit_test(what_is_being_taken_stays_while_more_is_pushed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
