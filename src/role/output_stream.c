/* Happy path: while pieces come back whole, two reads are under way; the first that is short shows
 * the end of what there is, and from then on one read waits at the end for more. Pieces are given
 * in order, whichever came first. */
#include "role/output_stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/node.h"

struct output_stream_read {
    struct output_stream *stream;
    uint64_t call; /* under way */
    uint64_t offset;
    bool wait;
    int code;
    uint8_t *data;
    size_t len;
    size_t taken;
    bool eof;
};

struct output_stream {
    struct node *node;
    uint64_t from;
    struct task_key key;
    Wire__OutputStream stream;
    uint64_t offset; /* of the read to come */
    bool follow;
    bool hot;       /* pieces come back whole */
    bool caught_up; /* once */
    bool finished;
    struct output_stream_read *reads[OUTPUT_STREAM_DEPTH]; /* in order */
    unsigned reads_n;
    const struct output_stream_ops *ops;
    void *arg;
    unsigned busy; /* callbacks under way */
    bool dead;
};

static void output_stream_drop(struct output_stream_read *read)
{
    struct output_stream *stream = read->stream;
    if (read->call != 0) {
        Wire__OutputCancel cancel = WIRE__OUTPUT_CANCEL__INIT;
        cancel.call = read->call;
        (void)node_send(stream->node, stream->from, WIRE_OUTPUT_CANCEL, &cancel.base);
        node_call_end(stream->node, read->call);
    }
    free(read->data);
    free(read);
}

static void output_stream_drop_all(struct output_stream *stream)
{
    while (stream->reads_n > 0)
        output_stream_drop(stream->reads[--stream->reads_n]);
}

static void output_stream_drop_first(struct output_stream *stream)
{
    output_stream_drop(stream->reads[0]);
    stream->reads_n--;
    memmove(stream->reads, stream->reads + 1, stream->reads_n * sizeof stream->reads[0]);
}

static void output_stream_go_on(struct output_stream *stream);

static void output_stream_on_chunk(void *arg, int code, const ProtobufCMessage *message)
{
    struct output_stream_read *read = arg;
    struct output_stream *stream = read->stream;
    const Wire__OutputChunk *chunk = (const Wire__OutputChunk *)message;
    if (chunk == NULL && code == ERR_TIMEOUT && read->wait) {
        Wire__OutputCancel cancel = WIRE__OUTPUT_CANCEL__INIT;
        cancel.call = read->call;
        (void)node_send(stream->node, stream->from, WIRE_OUTPUT_CANCEL, &cancel.base);
    } else if (chunk == NULL) {
        read->code = code;
    } else if (chunk->code < 0) {
        read->code = chunk->code;
    } else if (chunk->data.len > OUTPUT_STREAM_PIECE_BYTES_MAX) {
        read->code = ERR_PROTOCOL;
    } else {
        read->eof = chunk->eof;
        read->len = chunk->data.len;
        if (read->len > 0)
            read->data = mem_dup(chunk->data.data, read->len);
    }
    read->call = 0;
    output_stream_go_on(stream);
}

static void output_stream_ask(struct output_stream *stream)
{
    struct output_stream_read *read = mem_zalloc(sizeof *read);
    Wire__OutputRead request = WIRE__OUTPUT_READ__INIT;
    Wire__TaskKey key;
    task_key_write(&stream->key, &key);
    read->stream = stream;
    read->offset = stream->offset;
    read->wait = stream->follow && stream->caught_up && !stream->hot;
    request.key = &key;
    request.stream = stream->stream;
    request.offset = read->offset;
    request.bytes_max = OUTPUT_STREAM_PIECE_BYTES_MAX;
    request.wait = read->wait;
    read->call = node_call(stream->node, stream->from, WIRE_OUTPUT_READ, &request.base, false,
                           read->wait ? OUTPUT_STREAM_WAIT_MS : OUTPUT_STREAM_TIMEOUT_MS,
                           output_stream_on_chunk, read);
    stream->offset += OUTPUT_STREAM_PIECE_BYTES_MAX;
    stream->reads[stream->reads_n++] = read;
}

/* Gives what the first read brought, if it has; false: nothing more is to be done now. */
static bool output_stream_give(struct output_stream *stream)
{
    struct output_stream_read *read = stream->reads_n > 0 ? stream->reads[0] : NULL;
    if (read == NULL || read->call != 0)
        return false;
    if (read->code < 0) {
        int code = read->code;
        stream->finished = true;
        output_stream_drop_all(stream);
        stream->ops->failed(stream->arg, code);
        return false;
    }
    if (read->taken < read->len) {
        size_t taken =
            stream->ops->bytes(stream->arg, read->data + read->taken, read->len - read->taken);
        if (stream->dead)
            return false;
        read->taken += taken;
        if (read->taken < read->len)
            return false;
    }
    uint64_t end = read->offset + read->len;
    bool eof = read->eof;
    stream->hot = read->len == OUTPUT_STREAM_PIECE_BYTES_MAX;
    output_stream_drop_first(stream);
    if (eof || !stream->hot) {
        output_stream_drop_all(stream);
        stream->offset = end;
        stream->caught_up = true;
        stream->finished = eof || !stream->follow;
        void (*tell)(void *) = eof ? stream->ops->ended : stream->ops->caught_up;
        tell(stream->arg);
    }
    return !stream->dead && !stream->finished;
}

static void output_stream_go_on(struct output_stream *stream)
{
    stream->busy++;
    while (output_stream_give(stream))
        ;
    while (!stream->dead && !stream->finished && stream->reads_n < (stream->hot ? 2U : 1U))
        output_stream_ask(stream);
    stream->busy--;
    if (stream->dead && stream->busy == 0)
        free(stream);
}

void output_stream_resume(struct output_stream *stream)
{
    output_stream_go_on(stream);
}

struct output_stream *output_stream_new(struct node *node, uint64_t from,
                                        const struct task_key *key, Wire__OutputStream stream,
                                        uint64_t offset, bool follow,
                                        const struct output_stream_ops *ops, void *arg)
{
    struct output_stream *out = mem_zalloc(sizeof *out);
    out->node = node;
    out->from = from;
    out->key = *key;
    out->stream = stream;
    out->offset = offset;
    out->follow = follow;
    out->ops = ops;
    out->arg = arg;
    output_stream_ask(out);
    return out;
}

void output_stream_free(struct output_stream *stream)
{
    if (stream == NULL)
        return;
    output_stream_drop_all(stream);
    stream->dead = true;
    if (stream->busy == 0)
        free(stream);
}
