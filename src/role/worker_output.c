/* The output of this node's tasks, for readers anywhere.
 *
 * Happy path: an OutputRead becomes a read of the output reader, its chunk the answer. A link that
 * is full makes the read repeat later, so that chunks never pile up here; a link that is lost ends
 * its reads. Once a minute output that is too old or too much goes. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/worker_internal.h"
#include "run/retention.h"

enum { WORKER_OUTPUT_RETRY_MS = 5 };

struct worker_read_id {
    uint64_t peer;
    uint64_t call;
};

struct worker_read {
    struct worker_read_id id;
    struct worker *worker;
    struct output_read *read; /* NULL while it waits for room on the link */
    struct loop_timer retry;
    struct task_key key;
    Wire__OutputStream stream;
    uint64_t offset;
    uint32_t bytes_max;
    bool wait;
    UT_hash_handle hh;
};

static const struct log_about worker_log = {.role = "worker"};

static int worker_output_send(struct worker *worker, const struct worker_read_id *id,
                              const struct output_chunk *chunk)
{
    Wire__OutputChunk message = WIRE__OUTPUT_CHUNK__INIT;
    message.call = id->call;
    message.code = chunk->code;
    message.data.data = (uint8_t *)(uintptr_t)chunk->data;
    message.data.len = chunk->len;
    message.eof = chunk->eof;
    return node_send(worker->node, id->peer, WIRE_OUTPUT_CHUNK, &message.base);
}

static void worker_output_free(struct worker_read *read)
{
    HASH_DEL(read->worker->reads, read);
    loop_timer_stop(&read->retry);
    if (read->read != NULL)
        output_reader_cancel(read->read);
    free(read);
}

static void worker_output_on_chunk(void *arg, const struct output_chunk *chunk)
{
    struct worker_read *read = arg;
    read->read = NULL;
    if (worker_output_send(read->worker, &read->id, chunk) == ERR_BUSY)
        loop_timer_start(&read->retry, WORKER_OUTPUT_RETRY_MS);
    else
        worker_output_free(read);
}

static void worker_output_begin(void *arg)
{
    struct worker_read *read = arg;
    read->read = output_reader_read(read->worker->reader, &read->key, read->stream, read->offset,
                                    read->bytes_max, read->wait, worker_output_on_chunk, read);
}

void worker_on_output_read(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct worker *worker = self;
    const Wire__OutputRead *request = (const Wire__OutputRead *)message;
    struct worker_read_id id = {.peer = from, .call = request->call};
    struct output_chunk refusal = {0};
    struct task_key key;
    struct worker_read *read = NULL;
    HASH_FIND(hh, worker->reads, &id, sizeof id, read);
    refusal.code = task_key_read(request->key, &key);
    if (read != NULL)
        refusal.code = ERR_PROTOCOL;
    else if (worker->finishing)
        refusal.code = ERR_CLOSED;
    else if (HASH_COUNT(worker->reads) >= OUTPUT_READER_READS_MAX)
        refusal.code = ERR_BUSY;
    if (refusal.code < 0) {
        (void)worker_output_send(worker, &id, &refusal);
        return;
    }
    read = mem_zalloc(sizeof *read);
    read->id = id;
    read->worker = worker;
    read->key = key;
    read->stream = request->stream;
    read->offset = request->offset;
    read->bytes_max = request->bytes_max;
    read->wait = request->wait;
    loop_timer_init(&read->retry, node_loop(worker->node), worker_output_begin, read);
    HASH_ADD(hh, worker->reads, id, sizeof read->id, read);
    worker_output_begin(read);
}

void worker_on_output_cancel(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct worker *worker = self;
    struct worker_read_id id = {.peer = from, .call = ((const Wire__OutputCancel *)message)->call};
    struct worker_read *read = NULL;
    HASH_FIND(hh, worker->reads, &id, sizeof id, read);
    if (read != NULL)
        worker_output_free(read);
}

void worker_output_lost(struct worker *worker, uint64_t peer)
{
    struct worker_read *read;
    struct worker_read *next;
    HASH_ITER (hh, worker->reads, read, next)
        if (read->id.peer == peer)
            worker_output_free(read);
}

/* ---- retention --------------------------------------------------------------------------------*/

static void worker_output_on_swept(void *arg, int code, const struct retention_stats *stats,
                                   const char *text)
{
    struct worker *worker = arg;
    worker->sweeping = false;
    if (code < 0)
        log_warn(&worker_log, "old output could not be removed: %s", text);
    else if (stats->attempts_removed > 0)
        log_info(&worker_log, "removed the output of %llu attempts, %llu bytes",
                 (unsigned long long)stats->attempts_removed,
                 (unsigned long long)stats->bytes_removed);
    worker_check_stopped(worker);
}

static void worker_output_on_retention_timer(void *arg)
{
    struct worker *worker = arg;
    const struct node_options *options = node_options(worker->node);
    struct retention_policy policy = {.age_max_ms = (int64_t)options->output_keep_ms,
                                      .bytes_max = options->output_keep_bytes};
    size_t n = 0;
    struct task_key *keep = mem_calloc(HASH_COUNT(worker->queue.items) + 1, sizeof *keep);
    struct task_queue_item *item;
    struct task_queue_item *next;
    HASH_ITER (hh, worker->queue.items, item, next)
        keep[n++] = item->key;
    if (!worker->sweeping) {
        worker->sweeping = true;
        retention_start(loop_uv(node_loop(worker->node)), worker->tasks_dir, &policy, keep, n,
                        worker_output_on_swept, worker);
    }
    free(keep);
    loop_timer_start(&worker->retention_timer, WORKER_RETENTION_INTERVAL_MS);
}

/* ---- life -------------------------------------------------------------------------------------*/

void worker_output_start(struct worker *worker)
{
    struct loop *loop = node_loop(worker->node);
    worker->reader = output_reader_new(loop_uv(loop), worker->tasks_dir);
    loop_timer_init(&worker->retention_timer, loop, worker_output_on_retention_timer, worker);
    loop_timer_start(&worker->retention_timer, WORKER_RETENTION_INTERVAL_MS);
}

void worker_output_stop(struct worker *worker, void (*stopped)(void *arg))
{
    static const struct output_chunk closed = {.code = ERR_CLOSED};
    struct worker_read *read;
    struct worker_read *next;
    HASH_ITER (hh, worker->reads, read, next) {
        (void)worker_output_send(worker, &read->id, &closed);
        worker_output_free(read);
    }
    loop_timer_stop(&worker->retention_timer);
    struct output_reader *reader = worker->reader;
    worker->reader = NULL;
    output_reader_close(reader, stopped, worker);
}
