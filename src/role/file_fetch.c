/* Happy path: without holders the leader names them; a piece is asked for, goes into a file sink,
 * and when that has taken it the next one is asked for; the end closes the file and compares the
 * checksum. What fails with one holder begins again with the next; without a further one the last
 * reason is given. */
#include "role/file_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "role/file_store.h"
#include "role/leader_request.h"
#include "role/node.h"
#include "run/file_sink.h"

struct file_fetch {
    struct node *node;
    char *id;
    char *path;
    uint64_t bytes;
    char *xxh;
    uint64_t holders[FILE_FETCH_HOLDERS_MAX];
    size_t holders_n;
    size_t at; /* the holder that is asked */
    int fd;
    struct file_sink *sink;
    uint64_t xxh3;
    uint64_t received;
    uint64_t call;
    struct leader_request *request; /* who holds it? */
    uint8_t *piece;                 /* the last one */
    size_t piece_len;
    size_t piece_taken;
    bool eof;
    bool leaving; /* the sink of the holder before is being closed */
    struct error e;
    struct loop_hook hook;
    file_fetch_fn fn;
    void *arg;
};

static void file_fetch_on_hook(void *arg)
{
    struct file_fetch *fetch = arg;
    if (fetch->fd >= 0)
        (void)close(fetch->fd);
    if (fetch->e.code < 0 && fetch->fd >= 0)
        (void)unlink(fetch->path);
    fetch->fn(fetch->arg, fetch->e.code, fetch->e.text);
    loop_hook_disarm(&fetch->hook);
    free(fetch->id);
    free(fetch->path);
    free(fetch->xxh);
    free(fetch->piece);
    free(fetch);
}

static void file_fetch_end(struct file_fetch *fetch)
{
    loop_hook_arm(&fetch->hook);
}

static void file_fetch_ask(struct file_fetch *fetch);
static void file_fetch_open(struct file_fetch *fetch);
static void file_fetch_take(struct file_fetch *fetch);

static void file_fetch_on_ready(void *arg)
{
    file_fetch_take(arg);
}

/* Begins with the holder whose turn it is. */
static void file_fetch_begin(struct file_fetch *fetch)
{
    fetch->received = 0;
    fetch->piece_len = 0;
    fetch->eof = false;
    if (ftruncate(fetch->fd, 0) != 0 || lseek(fetch->fd, 0, SEEK_SET) != 0) {
        (void)error_set(&fetch->e, -errno, "cannot write %s: %s", fetch->path, strerror(errno));
        file_fetch_end(fetch);
        return;
    }
    fetch->sink = file_sink_new(loop_uv(node_loop(fetch->node)), fetch->fd);
    file_sink_on_ready(fetch->sink, file_fetch_on_ready, fetch);
    file_fetch_ask(fetch);
}

static void file_fetch_on_left(void *arg)
{
    struct file_fetch *fetch = arg;
    fetch->leaving = false;
    if (fetch->at < fetch->holders_n)
        file_fetch_begin(fetch);
    else
        file_fetch_end(fetch);
}

/* Goes on with the holder `at`, or ends, when the file is no longer being written. */
static void file_fetch_leave(struct file_fetch *fetch)
{
    struct file_sink *sink = fetch->sink;
    fetch->sink = NULL;
    fetch->leaving = true;
    if (sink != NULL)
        file_sink_cancel(sink, file_fetch_on_left, fetch);
    else
        file_fetch_on_left(fetch);
}

static void file_fetch_failed(struct file_fetch *fetch, int code, const char *what)
{
    (void)error_set(&fetch->e, code, "file %s from %s: %s", fetch->id,
                    node_member_name(fetch->node, fetch->holders[fetch->at]), what);
    fetch->at++;
    file_fetch_leave(fetch);
}

static void file_fetch_on_finished(void *arg, int rc)
{
    struct file_fetch *fetch = arg;
    char sum[FILE_STORE_XXH_MAX];
    fetch->sink = NULL;
    if (rc < 0) {
        (void)error_set(&fetch->e, rc, "cannot write %s: %s", fetch->path, err_text(rc));
        file_fetch_end(fetch);
        return;
    }
    bool complete = fetch->bytes == 0 || fetch->bytes == fetch->received;
    bool checked = strlen(fetch->xxh) != FILE_STORE_XXH_MAX - 1 ||
                   strcmp(file_store_format_xxh(fetch->xxh3, sum), fetch->xxh) == 0;
    if (!complete || !checked) {
        file_fetch_failed(fetch, ERR_CORRUPT,
                          complete ? "its checksum differs" : "it is cut short");
        return;
    }
    fetch->e.code = 0;
    file_fetch_end(fetch);
}

/* Gives the sink what it takes of the last piece, then goes on. */
static void file_fetch_take(struct file_fetch *fetch)
{
    fetch->piece_taken += file_sink_write(fetch->sink, fetch->piece + fetch->piece_taken,
                                          fetch->piece_len - fetch->piece_taken);
    if (fetch->piece_taken < fetch->piece_len)
        return; /* on_ready comes */
    if (!fetch->eof) {
        file_fetch_ask(fetch);
        return;
    }
    fetch->xxh3 = file_sink_xxh3(fetch->sink);
    file_sink_finish(fetch->sink, false, file_fetch_on_finished, fetch);
}

static void file_fetch_on_piece(void *arg, int code, const ProtobufCMessage *message)
{
    struct file_fetch *fetch = arg;
    const Wire__FileChunk *chunk = (const Wire__FileChunk *)message;
    fetch->call = 0;
    if (chunk == NULL || chunk->code < 0) {
        code = chunk != NULL ? chunk->code : code;
        file_fetch_failed(fetch, code, err_text(code));
        return;
    }
    if (chunk->data.len > FILE_FETCH_PIECE_BYTES_MAX || (chunk->data.len == 0 && !chunk->eof)) {
        file_fetch_failed(fetch, ERR_PROTOCOL, "the answer makes no sense");
        return;
    }
    if (file_sink_error(fetch->sink) < 0) {
        file_sink_finish(fetch->sink, false, file_fetch_on_finished, fetch);
        return;
    }
    if (chunk->data.len > 0)
        memcpy(fetch->piece, chunk->data.data, chunk->data.len);
    fetch->piece_len = chunk->data.len;
    fetch->piece_taken = 0;
    fetch->received += chunk->data.len;
    fetch->eof = chunk->eof;
    file_fetch_take(fetch);
}

static void file_fetch_ask(struct file_fetch *fetch)
{
    Wire__FileRead request = WIRE__FILE_READ__INIT;
    request.file = fetch->id;
    request.offset = fetch->received;
    request.bytes_max = FILE_FETCH_PIECE_BYTES_MAX;
    fetch->call = node_call(fetch->node, fetch->holders[fetch->at], WIRE_FILE_READ, &request.base,
                            false, FILE_FETCH_TIMEOUT_MS, file_fetch_on_piece, fetch);
}

/* This node first: that costs no network. */
static void file_fetch_set_holders(struct file_fetch *fetch, const uint64_t *holders, size_t n)
{
    uint64_t self = node_id(fetch->node);
    if (file_store_has(fetch->node, fetch->id))
        fetch->holders[fetch->holders_n++] = self;
    for (size_t i = 0; i < n && fetch->holders_n < FILE_FETCH_HOLDERS_MAX; i++)
        if (holders[i] != self)
            fetch->holders[fetch->holders_n++] = holders[i];
}

/* ---- who holds it -----------------------------------------------------------------------------*/

static void file_fetch_on_row(void *arg, json_t *json, const struct error *e)
{
    struct file_fetch *fetch = arg;
    uint64_t holders[FILE_FETCH_HOLDERS_MAX];
    const json_t *list = json_object_get(json, "holders");
    size_t n = 0;
    fetch->request = NULL;
    if (e != NULL) {
        (void)error_set(&fetch->e, e->code, "file %s: %s", fetch->id, e->text);
        file_fetch_end(fetch);
        return;
    }
    for (size_t i = 0; i < json_array_size(list) && n < FILE_FETCH_HOLDERS_MAX; i++)
        holders[n++] = (uint64_t)json_integer_value(json_array_get(list, i));
    const char *xxh = json_string_value(json_object_get(json, "xxh"));
    if (fetch->bytes == 0)
        fetch->bytes = (uint64_t)json_integer_value(json_object_get(json, "bytes"));
    if (xxh != NULL) {
        free(fetch->xxh);
        fetch->xxh = mem_strdup(xxh);
    }
    file_fetch_set_holders(fetch, holders, n);
    file_fetch_open(fetch);
}

static void file_fetch_ask_leader(struct file_fetch *fetch)
{
    char *path = mem_printf("/api/internal/files/%s", fetch->id);
    struct leader_request_spec spec = {.method = "GET", .path = path, .user = ""};
    fetch->request = leader_request_start(fetch->node, &spec, file_fetch_on_row, fetch);
    free(path);
}

/* ---- life -------------------------------------------------------------------------------------*/

static void file_fetch_open(struct file_fetch *fetch)
{
    fetch->fd = open(fetch->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fetch->fd < 0) {
        (void)error_set(&fetch->e, -errno, "cannot create %s: %s", fetch->path, strerror(errno));
        file_fetch_end(fetch);
    } else if (fetch->holders_n == 0) {
        (void)error_set(&fetch->e, ERR_NOT_FOUND, "no node holds file %s", fetch->id);
        file_fetch_end(fetch);
    } else {
        file_fetch_begin(fetch);
    }
}

struct file_fetch *file_fetch_start(struct node *node, const struct file_fetch_spec *spec,
                                    file_fetch_fn fn, void *arg)
{
    struct file_fetch *fetch = mem_zalloc(sizeof *fetch);
    fetch->node = node;
    fetch->id = mem_strdup(spec->id);
    fetch->path = mem_strdup(spec->path);
    fetch->bytes = spec->bytes;
    fetch->xxh = mem_strdup(spec->xxh);
    fetch->fn = fn;
    fetch->arg = arg;
    fetch->piece = mem_alloc(FILE_FETCH_PIECE_BYTES_MAX);
    loop_hook_init(&fetch->hook, node_loop(node), LOOP_PHASE_DEFER, file_fetch_on_hook, fetch);
    file_fetch_set_holders(fetch, spec->holders, spec->holders_n);
    struct uuid uuid;
    fetch->fd = -1;
    if (uuid_parse(spec->id, &uuid) < 0) {
        (void)error_set(&fetch->e, ERR_INVALID, "\"%.64s\" is no file's id", spec->id);
        file_fetch_end(fetch);
    } else if (fetch->holders_n == 0) {
        file_fetch_ask_leader(fetch);
    } else {
        file_fetch_open(fetch);
    }
    return fetch;
}

void file_fetch_cancel(struct file_fetch *fetch)
{
    (void)error_set(&fetch->e, ERR_CANCELLED, "cancelled");
    if (fetch->call != 0)
        node_call_end(fetch->node, fetch->call);
    fetch->call = 0;
    if (fetch->request != NULL)
        leader_request_cancel(fetch->request);
    fetch->request = NULL;
    fetch->at = fetch->holders_n;
    if (!fetch->leaving)
        file_fetch_leave(fetch);
}

/* ---- for tasks --------------------------------------------------------------------------------*/

size_t file_fetch_holders(const struct node *node, const Wire__TaskFile *file,
                          uint64_t holders[static FILE_FETCH_HOLDERS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < file->n_holders && n < FILE_FETCH_HOLDERS_MAX; i++) {
        const Wire__Node *member = node_member_named(node, file->holders[i]);
        if (member != NULL)
            holders[n++] = member->id;
    }
    return n;
}
