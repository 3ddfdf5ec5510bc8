/* What streams have brought and the model has not taken yet: pieces in the order of their arrival,
 * of all streams together. Whoever fills it looks at `bytes`.
 *
 * A piece is a line, some bytes, or the end of a stream. Each belongs to one run of its stream; a
 * stream that is stopped or begun anew is in another run, and what is left of the old one is
 * passed over. */
#ifndef TUI_FEED_QUEUE_H
#define TUI_FEED_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum { FEED_QUEUE_BLOCK_BYTES = 128 * 1024 };

struct feed_queue_block;

struct feed_queue {
    TAILQ_HEAD(feed_queue_blocks, feed_queue_block) blocks;
    struct feed_queue_block *spare; /* NULL: none */
    size_t bytes;                   /* with their heads; 0: no piece */
};

enum feed_piece_kind {
    FEED_PIECE_DATA,
    FEED_PIECE_END,
};

struct feed_piece {
    enum feed_piece_kind kind;
    void *owner; /* as it was pushed */
    uint64_t run;
    const char *bytes; /* NUL-terminated besides */
    size_t len;
};

void feed_queue_init(struct feed_queue *queue);
void feed_queue_done(struct feed_queue *queue);

/* Copies the piece. */
void feed_queue_push(struct feed_queue *queue, const struct feed_piece *piece);
/* The oldest piece, borrowed until the next feed_queue_pop(), however much is pushed meanwhile;
 * false when there is none. */
bool feed_queue_first(const struct feed_queue *queue, struct feed_piece *piece);
void feed_queue_pop(struct feed_queue *queue);

#endif
