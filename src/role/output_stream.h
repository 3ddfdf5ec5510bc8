/* The output of one attempt, from whichever node has it, in order, in pieces, with at most two
 * pieces under way and none kept that the owner has not asked for. */
#ifndef ROLE_OUTPUT_STREAM_H
#define ROLE_OUTPUT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/cluster.pb-c.h"
#include "wire/task_key.h"

enum {
    OUTPUT_STREAM_PIECE_BYTES_MAX = 256 * 1024,
    OUTPUT_STREAM_DEPTH = 2,
    OUTPUT_STREAM_TIMEOUT_MS = 10000,
    OUTPUT_STREAM_WAIT_MS = 30000, /* of a read that waits for more; then it is asked again */
};

struct node;
struct output_stream;

/* Each callback may free the stream. */
struct output_stream_ops {
    /* The next bytes, borrowed. Returns how many were taken; after less than all nothing comes
     * before output_stream_resume(). */
    size_t (*bytes)(void *arg, const uint8_t *data, size_t len);
    /* All that there is for now was given; without `follow` nothing else comes. */
    void (*caught_up)(void *arg);
    /* The attempt ended and everything was given. Nothing else comes. */
    void (*ended)(void *arg);
    /* Nothing else comes. ERR_NOT_FOUND: not on that node; ERR_UNAVAILABLE, ERR_TIMEOUT, -errno. */
    void (*failed)(void *arg, int code);
};

/* `follow`: goes on until the attempt has ended. No callback comes from inside. */
struct output_stream *output_stream_new(struct node *node, uint64_t from,
                                        const struct task_key *key, Wire__OutputStream stream,
                                        uint64_t offset, bool follow,
                                        const struct output_stream_ops *ops, void *arg);
/* Bytes are wanted again; callbacks may come from inside. */
void output_stream_resume(struct output_stream *stream);
void output_stream_free(struct output_stream *stream);

#endif
