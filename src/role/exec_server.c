/* Happy path: the command starts in a directory of its own, its two streams are read as they grow,
 * and when it has ended and all was sent comes the report. What wrote little is reported in one
 * message. A link that is full makes the run wait and repeat. Who cancels, or is gone, hears
 * nothing more; the run is over when its directory is. */
#include "role/exec_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "role/exec_command.h"
#include "role/node.h"
#include "run/output_reader.h"
#include "run/task_dir.h"
#include "wire/task_key.h"

enum { EXEC_SERVER_RETRY_MS = 10, EXEC_SERVER_STREAMS = 2 };

static const struct log_about exec_log = {.role = "exec"};

struct exec_server_id {
    uint64_t peer;
    uint64_t call;
};

struct exec_server_run;

struct exec_server_stream {
    struct exec_server_run *run;
    Wire__OutputStream stream;
    struct output_read *read;
    uint64_t offset;
    uint64_t reserved; /* credit of the read under way */
    bool eof;
};

struct exec_server_run {
    struct exec_server_id id;
    struct exec_server *server;
    struct task_key key; /* names its directory */
    char *dir;
    char *program;
    uint64_t spawn_id;
    uint64_t credit;
    uint64_t credit_first;
    struct exec_server_stream streams[EXEC_SERVER_STREAMS];
    Wire__TaskReport report;
    char *text;                         /* of the report */
    char *inlined[EXEC_SERVER_STREAMS]; /* streams that came with the end */
    bool started;
    bool told; /* that it has started */
    bool ended;
    bool quiet; /* nobody listens */
    bool removing;
    struct loop_hook hook;
    struct loop_timer retry;
    UT_hash_handle hh;
};

struct exec_server {
    struct node *node;
    char *dir;
    struct output_reader *reader; /* NULL where nothing is run */
    struct exec_server_run *runs;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- the end ----------------------------------------------------------------------------------*/

static void exec_server_on_reader_closed(void *arg)
{
    struct exec_server *server = arg;
    void (*closed)(void *) = server->closed;
    void *closed_arg = server->closed_arg;
    free(server->dir);
    free(server);
    closed(closed_arg);
}

static void exec_server_check_closed(struct exec_server *server)
{
    if (!server->closing || server->runs != NULL)
        return;
    struct output_reader *reader = server->reader;
    server->reader = NULL;
    if (reader != NULL)
        output_reader_close(reader, exec_server_on_reader_closed, server);
    else
        exec_server_on_reader_closed(server);
}

static void exec_server_free_run(struct exec_server_run *run)
{
    struct exec_server *server = run->server;
    HASH_DEL(server->runs, run);
    loop_hook_disarm(&run->hook);
    loop_timer_stop(&run->retry);
    for (unsigned i = 0; i < EXEC_SERVER_STREAMS; i++)
        free(run->inlined[i]);
    free(run->dir);
    free(run->program);
    free(run->text);
    free(run);
    exec_server_check_closed(server);
}

static void exec_server_remove(void *arg)
{
    const struct exec_server_run *run = arg;
    struct error e;
    if (task_dir_remove(run->dir, &e) < 0)
        log_warn(&exec_log, "%s", e.text);
}

static void exec_server_on_removed(void *arg, int code)
{
    (void)code;
    exec_server_free_run(arg);
}

/* The run is over for everybody. */
static void exec_server_end(struct exec_server_run *run)
{
    run->removing = true;
    loop_timer_stop(&run->retry);
    for (unsigned i = 0; i < EXEC_SERVER_STREAMS; i++) {
        if (run->streams[i].read != NULL)
            output_reader_cancel(run->streams[i].read);
        run->streams[i].read = NULL;
    }
    (void)loop_work(node_loop(run->server->node), exec_server_remove, exec_server_on_removed, run);
}

/* ---- what is sent -----------------------------------------------------------------------------*/

static int exec_server_send(struct exec_server_run *run, Wire__ExecUpdate *update)
{
    update->call = run->id.call;
    if (run->started && !run->told)
        update->started = true;
    int err = node_send(run->server->node, run->id.peer, WIRE_EXEC_UPDATE, &update->base);
    if (err == 0)
        run->told = run->started;
    if (err == ERR_BUSY && !loop_timer_is_running(&run->retry))
        loop_timer_start(&run->retry, EXEC_SERVER_RETRY_MS);
    return err;
}

static void exec_server_refuse(struct exec_server *server, const struct exec_server_id *id,
                               int code, const char *text)
{
    Wire__ExecUpdate update = WIRE__EXEC_UPDATE__INIT;
    update.call = id->call;
    update.ended = true;
    update.code = code;
    update.text = (char *)(uintptr_t)text;
    (void)node_send(server->node, id->peer, WIRE_EXEC_UPDATE, &update.base);
}

/* The last message: what the streams still hold, and how it ended. */
static void exec_server_send_end(struct exec_server_run *run)
{
    Wire__ExecUpdate update = WIRE__EXEC_UPDATE__INIT;
    ProtobufCBinaryData *data[EXEC_SERVER_STREAMS] = {&update.stdout_data, &update.stderr_data};
    uint64_t bytes[EXEC_SERVER_STREAMS] = {run->report.stdout_bytes, run->report.stderr_bytes};
    for (unsigned i = 0; i < EXEC_SERVER_STREAMS; i++) {
        uint64_t given = run->streams[i].offset;
        if (run->inlined[i] == NULL || given >= bytes[i])
            continue;
        data[i]->data = (uint8_t *)run->inlined[i] + given;
        data[i]->len = (size_t)(bytes[i] - given);
    }
    update.ended = true;
    update.report = &run->report;
    if (exec_server_send(run, &update) != ERR_BUSY)
        exec_server_end(run);
}

/* ---- streams ----------------------------------------------------------------------------------*/

static void exec_server_step(struct exec_server_run *run);

static void exec_server_on_chunk(void *arg, const struct output_chunk *chunk)
{
    struct exec_server_stream *stream = arg;
    struct exec_server_run *run = stream->run;
    Wire__ExecUpdate update = WIRE__EXEC_UPDATE__INIT;
    bool out = stream->stream == WIRE__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT;
    ProtobufCBinaryData *data = out ? &update.stdout_data : &update.stderr_data;
    stream->read = NULL;
    run->credit += stream->reserved;
    data->data = (uint8_t *)(uintptr_t)chunk->data;
    data->len = chunk->len;
    if (run->quiet || (chunk->len > 0 && exec_server_send(run, &update) == ERR_BUSY))
        return; /* read again later, if at all */
    run->credit -= chunk->len;
    stream->offset += chunk->len;
    stream->eof = chunk->eof || chunk->code < 0;
    exec_server_step(run);
}

static void exec_server_read(struct exec_server_stream *stream)
{
    struct exec_server_run *run = stream->run;
    uint64_t piece = run->credit_first / 4;
    if (stream->read != NULL || stream->eof || run->credit == 0)
        return;
    if (piece > EXEC_SERVER_PIECE_BYTES_MAX)
        piece = EXEC_SERVER_PIECE_BYTES_MAX;
    stream->reserved = piece < run->credit ? piece : run->credit;
    run->credit -= stream->reserved;
    stream->read =
        output_reader_read(run->server->reader, &run->key, stream->stream, stream->offset,
                           (size_t)stream->reserved, true, exec_server_on_chunk, stream);
}

/* Does what there is to do now. */
static void exec_server_step(struct exec_server_run *run)
{
    bool all = run->inlined[0] != NULL || (run->streams[0].eof && run->streams[1].eof);
    if (run->removing || (run->quiet && !run->ended) || loop_timer_is_running(&run->retry))
        return;
    if (run->ended && run->quiet) {
        exec_server_end(run);
    } else if (run->ended && (all || !run->started)) {
        exec_server_send_end(run);
    } else if (run->started) {
        Wire__ExecUpdate update = WIRE__EXEC_UPDATE__INIT;
        if (!run->told && exec_server_send(run, &update) == ERR_BUSY)
            return;
        exec_server_read(&run->streams[0]);
        exec_server_read(&run->streams[1]);
    }
}

static void exec_server_on_hook(void *arg)
{
    exec_server_step(arg);
}

/* ---- the command ------------------------------------------------------------------------------*/

static void exec_server_on_started(void *arg, uint64_t id, int pid, int64_t started_ms)
{
    struct exec_server_run *run = arg;
    (void)id;
    (void)pid;
    (void)started_ms;
    run->started = true;
    loop_hook_arm(&run->hook);
}

/* Nothing is added to the files any more. */
static void exec_server_end_output(struct exec_server_run *run)
{
    Wire__TaskReport report = WIRE__TASK_REPORT__INIT;
    report.output_kept = true;
    output_reader_end(run->server->reader, &run->key, &report);
}

/* The whole stream came with the end: its file is gone. */
static void exec_server_inline(struct exec_server_stream *stream, const char *data, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (len > 0)
        memcpy(copy, data, len);
    stream->run->inlined[stream->stream] = copy;
    if (stream->read != NULL)
        output_reader_cancel(stream->read);
    stream->read = NULL;
}

static void exec_server_on_ended(void *arg, uint64_t id, const struct spawn_result *result)
{
    struct exec_server_run *run = arg;
    (void)id;
    run->text = exec_command_report(run->program, result, &run->report);
    run->ended = true;
    if (result->tidied) {
        exec_server_inline(&run->streams[0], result->stdout_data, (size_t)result->stdout_bytes);
        exec_server_inline(&run->streams[1], result->stderr_data, (size_t)result->stderr_bytes);
    }
    exec_server_end_output(run);
    if (run->server->closing && !run->quiet) {
        exec_server_refuse(run->server, &run->id, ERR_UNAVAILABLE, "the node is shutting down");
        run->quiet = true;
    }
    loop_hook_arm(&run->hook);
}

static struct exec_server_run *exec_server_add(struct exec_server *server,
                                               const struct exec_server_id *id, uint64_t credit)
{
    struct loop *loop = node_loop(server->node);
    struct exec_server_run *run = mem_zalloc(sizeof *run);
    run->id = *id;
    run->server = server;
    run->credit_first = credit < EXEC_SERVER_CREDIT_MIN   ? EXEC_SERVER_CREDIT_MIN
                        : credit > EXEC_SERVER_CREDIT_MAX ? EXEC_SERVER_CREDIT_MAX
                                                          : credit;
    run->credit = run->credit_first;
    uuid_generate(&run->key.job);
    run->key.attempt = 1;
    run->dir = task_dir_path(server->dir, &run->key);
    for (unsigned i = 0; i < EXEC_SERVER_STREAMS; i++) {
        run->streams[i].run = run;
        run->streams[i].stream = (Wire__OutputStream)i;
    }
    loop_hook_init(&run->hook, loop, LOOP_PHASE_DEFER, exec_server_on_hook, run);
    loop_timer_init(&run->retry, loop, exec_server_on_hook, run);
    HASH_ADD(hh, server->runs, id, sizeof run->id, run);
    output_reader_begin(server->reader, &run->key);
    return run;
}

void exec_server_on_start(struct exec_server *server, uint64_t from, const Wire__ExecStart *message)
{
    struct exec_server_id id = {.peer = from, .call = message->call};
    struct exec_server_run *run = NULL;
    HASH_FIND(hh, server->runs, &id, sizeof id, run);
    if (server->reader == NULL || server->closing) {
        exec_server_refuse(server, &id, server->closing ? ERR_UNAVAILABLE : ERR_UNSUPPORTED,
                           server->closing ? "the node is shutting down"
                                           : "the node has no worker role: it runs no commands");
    } else if (run != NULL || message->n_argv == 0) {
        exec_server_refuse(server, &id, ERR_PROTOCOL, err_text(ERR_PROTOCOL));
    } else if (HASH_COUNT(server->runs) >= EXEC_SERVER_RUNS_MAX) {
        exec_server_refuse(server, &id, ERR_BUSY, "the node runs too many commands at once");
    } else {
        run = exec_server_add(server, &id, message->credit);
        run->program = mem_strdup(message->argv[0]);
        struct spawn_callbacks callbacks = {
            .started = exec_server_on_started, .ended = exec_server_on_ended, .arg = run};
        int err = exec_command_spawn(server->node, message, run->dir, &callbacks, &run->spawn_id);
        if (err == 0)
            return;
        exec_server_refuse(server, &id, err, err_text(err));
        exec_server_end_output(run);
        exec_server_free_run(run);
    }
}

/* ---- who asked --------------------------------------------------------------------------------*/

void exec_server_on_credit(struct exec_server *server, uint64_t from,
                           const Wire__ExecCredit *message)
{
    struct exec_server_id id = {.peer = from, .call = message->call};
    struct exec_server_run *run = NULL;
    HASH_FIND(hh, server->runs, &id, sizeof id, run);
    if (run == NULL || message->bytes > run->credit_first)
        return;
    run->credit += message->bytes;
    exec_server_step(run);
}

static void exec_server_stop_run(struct exec_server_run *run, uint64_t grace_ms)
{
    run->quiet = true;
    if (run->ended)
        exec_server_step(run);
    else
        spawn_kill(node_spawn(run->server->node), run->spawn_id, grace_ms);
}

void exec_server_on_cancel(struct exec_server *server, uint64_t from,
                           const Wire__ExecCancel *message)
{
    struct exec_server_id id = {.peer = from, .call = message->call};
    struct exec_server_run *run = NULL;
    HASH_FIND(hh, server->runs, &id, sizeof id, run);
    if (run != NULL)
        exec_server_stop_run(run, node_options(server->node)->kill_grace_ms);
}

void exec_server_lost(struct exec_server *server, uint64_t peer)
{
    struct exec_server_run *run;
    struct exec_server_run *next;
    HASH_ITER (hh, server->runs, run, next)
        if (run->id.peer == peer)
            exec_server_stop_run(run, node_options(server->node)->kill_grace_ms);
}

/* ---- life -------------------------------------------------------------------------------------*/

int exec_server_new(struct node *node, struct exec_server **out, struct error *e)
{
    struct exec_server *server = mem_zalloc(sizeof *server);
    server->node = node;
    server->dir = mem_printf("%s/exec", node_options(node)->data_dir);
    int err = task_dir_remove(server->dir, e);
    if (err == 0 && mkdir(server->dir, 0700) != 0)
        err = error_set(e, -errno, "cannot create %s: %s", server->dir, strerror(errno));
    if (err < 0) {
        free(server->dir);
        free(server);
        return err;
    }
    if ((node_options(node)->roles & WIRE__NODE_ROLE__NODE_ROLE_WORKER) != 0)
        server->reader = output_reader_new(loop_uv(node_loop(node)), server->dir);
    *out = server;
    return 0;
}

void exec_server_close(struct exec_server *server, void (*closed)(void *arg), void *arg)
{
    struct exec_server_run *run;
    struct exec_server_run *next;
    server->closing = true;
    server->closed = closed;
    server->closed_arg = arg;
    HASH_ITER (hh, server->runs, run, next) {
        if (run->ended && !run->quiet)
            exec_server_refuse(server, &run->id, ERR_UNAVAILABLE, "the node is shutting down");
        if (run->ended)
            exec_server_stop_run(run, 0);
        else
            spawn_kill(node_spawn(server->node), run->spawn_id, 0);
    }
    exec_server_check_closed(server);
}
