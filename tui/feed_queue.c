/* Pieces lie one behind another in blocks; a block that is used up is kept for the next, or freed,
 * so that a burst leaves nothing behind. */
#include "tui/feed_queue.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct feed_queue_block {
    TAILQ_ENTRY(feed_queue_block) entry;
    size_t size, begin, end; /* of its bytes */
    alignas(max_align_t) char bytes[];
};

/* In front of the bytes of each piece. */
struct feed_queue_head {
    enum feed_piece_kind kind;
    void *owner;
    uint64_t run;
    size_t len;
};

static size_t feed_queue_size(size_t len)
{
    size_t size = sizeof(struct feed_queue_head) + len + 1;
    return (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

void feed_queue_init(struct feed_queue *queue)
{
    *queue = (struct feed_queue){0};
    TAILQ_INIT(&queue->blocks);
}

void feed_queue_done(struct feed_queue *queue)
{
    struct feed_queue_block *block;
    while ((block = TAILQ_FIRST(&queue->blocks)) != NULL) {
        TAILQ_REMOVE(&queue->blocks, block, entry);
        free(block);
    }
    free(queue->spare);
    *queue = (struct feed_queue){0};
}

static struct feed_queue_block *feed_queue_add_block(struct feed_queue *queue, size_t size)
{
    struct feed_queue_block *block = queue->spare;
    if (block != NULL && block->size >= size) {
        queue->spare = NULL;
    } else {
        size = size > FEED_QUEUE_BLOCK_BYTES ? size : FEED_QUEUE_BLOCK_BYTES;
        block = mem_alloc(sizeof *block + size);
        block->size = size;
    }
    block->begin = block->end = 0;
    TAILQ_INSERT_TAIL(&queue->blocks, block, entry);
    return block;
}

void feed_queue_push(struct feed_queue *queue, const struct feed_piece *piece)
{
    size_t size = feed_queue_size(piece->len);
    struct feed_queue_block *block = TAILQ_LAST(&queue->blocks, feed_queue_blocks);
    if (block == NULL || block->size - block->end < size)
        block = feed_queue_add_block(queue, size);
    char *at = block->bytes + block->end;
    *(struct feed_queue_head *)(void *)at =
        (struct feed_queue_head){piece->kind, piece->owner, piece->run, piece->len};
    at += sizeof(struct feed_queue_head);
    if (piece->len > 0)
        memcpy(at, piece->bytes, piece->len);
    at[piece->len] = '\0';
    block->end += size;
    queue->bytes += size;
}

static struct feed_queue_head *feed_queue_head(struct feed_queue_block *block)
{
    assert(block->begin < block->end);
    return (struct feed_queue_head *)(void *)(block->bytes + block->begin);
}

bool feed_queue_first(const struct feed_queue *queue, struct feed_piece *piece)
{
    if (queue->bytes == 0)
        return false;
    const struct feed_queue_head *head = feed_queue_head(TAILQ_FIRST(&queue->blocks));
    *piece = (struct feed_piece){
        .kind = head->kind,
        .owner = head->owner,
        .run = head->run,
        .bytes = (const char *)(head + 1),
        .len = head->len,
    };
    return true;
}

void feed_queue_pop(struct feed_queue *queue)
{
    assert(queue->bytes > 0);
    struct feed_queue_block *block = TAILQ_FIRST(&queue->blocks);
    size_t size = feed_queue_size(feed_queue_head(block)->len);
    block->begin += size;
    queue->bytes -= size;
    if (block->begin < block->end)
        return;
    TAILQ_REMOVE(&queue->blocks, block, entry);
    if (queue->spare == NULL && block->size == FEED_QUEUE_BLOCK_BYTES)
        queue->spare = block;
    else
        free(block);
}
