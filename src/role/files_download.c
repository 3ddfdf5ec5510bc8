/* Happy path: a file that is here is sent as it is; for another one the leader says who holds it,
 * and its pieces come from there, one while the one before is written to the client. The last piece
 * is only written when the checksum of the whole is right. A holder that fails is followed by the
 * next one at the same place; without a further one the connection is broken off. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "role/file_fetch.h"
#include "role/file_store.h"
#include "role/files_internal.h"
#include "role/leader_request.h"

struct files_download {
    struct files_api *api;
    struct http_request *req;
    char id[UUID_TEXT_MAX];
    uint64_t bytes;
    char xxh[FILE_STORE_XXH_MAX];
    uint64_t holders[FILE_FETCH_HOLDERS_MAX];
    size_t holders_n;
    size_t at;
    struct leader_request *request;
    uint64_t call;
    uint64_t received;
    XXH3_state_t *hash;
    uint8_t *piece;
    size_t piece_len;
    size_t piece_written;
    bool begun;
    bool full; /* the client must read first */
    TAILQ_ENTRY(files_download) link;
};

static void files_download_release(struct files_download *down)
{
    TAILQ_REMOVE(&down->api->downloads, down, link);
    down->api->downloads_n--;
    if (down->request != NULL)
        leader_request_cancel(down->request);
    if (down->call != 0)
        node_call_end(down->api->node, down->call);
    http_request_on_close(down->req, NULL, NULL);
    (void)XXH3_freeState(down->hash);
    free(down->piece);
    free(down);
}

static void files_download_fail(struct files_download *down, const struct error *e)
{
    struct http_request *req = down->req;
    struct error failure = *e;
    bool begun = down->begun;
    files_download_release(down);
    if (begun)
        http_stream_abort(req);
    else
        http_reply_failure(req, &failure, NULL);
}

static void files_download_on_close(struct http_request *req, void *arg)
{
    struct error e;
    (void)req;
    (void)error_set(&e, ERR_CLOSED, "the client is gone");
    files_download_fail(arg, &e);
}

static void files_download_ask(struct files_download *down);

/* Writes what the client takes of the piece at hand, then goes on. */
static void files_download_write(struct files_download *down)
{
    while (!down->full && down->piece_written < down->piece_len) {
        size_t n = down->piece_len - down->piece_written;
        n = n < HTTP_STREAM_WRITE_MAX ? n : HTTP_STREAM_WRITE_MAX;
        int rc = http_stream_write(down->req, down->piece + down->piece_written, n);
        if (rc < 0)
            return; /* on_close comes */
        down->full = rc > 0;
        down->piece_written += n;
    }
    if (down->piece_written < down->piece_len)
        return;
    if (down->received < down->bytes) {
        files_download_ask(down);
        return;
    }
    struct http_request *req = down->req;
    files_download_release(down);
    http_stream_end(req);
}

static void files_download_on_drain(struct http_request *req, void *arg)
{
    struct files_download *down = arg;
    (void)req;
    down->full = false;
    if (down->piece_written < down->piece_len)
        files_download_write(down);
}

static void files_download_miss(struct files_download *down, int code)
{
    struct error e;
    if (++down->at < down->holders_n) {
        files_download_ask(down);
        return;
    }
    (void)error_set(&e, code == ERR_NOT_FOUND ? ERR_UNAVAILABLE : code,
                    "no node that holds the file answers: %s", err_text(code));
    files_download_fail(down, &e);
}

static bool files_download_is_right(const struct files_download *down)
{
    char sum[FILE_STORE_XXH_MAX];
    return strcmp(file_store_format_xxh(XXH3_64bits_digest(down->hash), sum), down->xxh) == 0;
}

static void files_download_on_piece(void *arg, int code, const ProtobufCMessage *message)
{
    struct files_download *down = arg;
    const Wire__FileChunk *chunk = (const Wire__FileChunk *)message;
    struct error e;
    down->call = 0;
    if (chunk != NULL)
        code = chunk->code;
    if (code == 0 && (chunk->data.len == 0 || chunk->data.len > FILE_FETCH_PIECE_BYTES_MAX ||
                      chunk->data.len > down->bytes - down->received))
        code = ERR_CORRUPT;
    if (code < 0) {
        files_download_miss(down, code);
        return;
    }
    memcpy(down->piece, chunk->data.data, chunk->data.len);
    down->piece_len = chunk->data.len;
    down->piece_written = 0;
    down->received += chunk->data.len;
    (void)XXH3_64bits_update(down->hash, chunk->data.data, chunk->data.len);
    if (down->received == down->bytes && !files_download_is_right(down)) {
        (void)error_set(&e, ERR_CORRUPT, "the file is damaged where it is kept");
        files_download_fail(down, &e);
        return;
    }
    if (!down->begun)
        http_stream_begin(down->req, 200, "application/octet-stream", down->bytes);
    down->begun = true;
    files_download_write(down);
}

static void files_download_ask(struct files_download *down)
{
    Wire__FileRead request = WIRE__FILE_READ__INIT;
    request.file = down->id;
    request.offset = down->received;
    request.bytes_max = FILE_FETCH_PIECE_BYTES_MAX;
    down->call = node_call(down->api->node, down->holders[down->at], WIRE_FILE_READ, &request.base,
                           false, FILE_FETCH_TIMEOUT_MS, files_download_on_piece, down);
}

static int files_download_read_row(struct files_download *down, const json_t *json)
{
    const json_t *holders = json_object_get(json, "holders");
    const char *xxh = json_string_value(json_object_get(json, "xxh"));
    const json_t *bytes = json_object_get(json, "bytes");
    if (!json_is_array(holders) || xxh == NULL || !json_is_integer(bytes))
        return ERR_PROTOCOL;
    down->bytes = (uint64_t)json_integer_value(bytes);
    (void)snprintf(down->xxh, sizeof down->xxh, "%s", xxh);
    for (size_t i = 0; i < json_array_size(holders) && i < FILE_FETCH_HOLDERS_MAX; i++)
        down->holders[down->holders_n++] = (uint64_t)json_integer_value(json_array_get(holders, i));
    return 0;
}

static void files_download_on_row(void *arg, json_t *json, const struct error *e)
{
    struct files_download *down = arg;
    struct error failure;
    down->request = NULL;
    if (e == NULL && files_download_read_row(down, json) < 0) {
        (void)error_set(&failure, ERR_PROTOCOL, "the leader's answer makes no sense");
        e = &failure;
    } else if (e == NULL && down->holders_n == 0) {
        (void)error_set(&failure, ERR_UNAVAILABLE, "no node holds the file");
        e = &failure;
    }
    if (e != NULL) {
        files_download_fail(down, e);
    } else if (down->bytes == 0) {
        struct http_request *req = down->req;
        files_download_release(down);
        http_reply(req, 200, "application/octet-stream", NULL, 0);
    } else {
        files_download_ask(down);
    }
}

/* From another node. */
static void files_download_start(struct files_api *api, struct http_request *req, const char *id)
{
    struct files_download *down = mem_zalloc(sizeof *down);
    down->api = api;
    down->req = req;
    (void)snprintf(down->id, sizeof down->id, "%s", id);
    down->piece = mem_alloc(FILE_FETCH_PIECE_BYTES_MAX);
    down->hash = XXH3_createState();
    if (down->hash == NULL)
        abort();
    (void)XXH3_64bits_reset(down->hash);
    TAILQ_INSERT_TAIL(&api->downloads, down, link);
    api->downloads_n++;
    http_request_on_close(req, files_download_on_close, down);
    http_stream_on_drain(req, files_download_on_drain, down);
    char *path = mem_printf("/api/internal/files/%s", id);
    struct leader_request_spec spec = {
        .method = "GET", .path = path, .user = http_request_user(req)};
    down->request = leader_request_start(api->node, &spec, files_download_on_row, down);
    free(path);
}

void files_download_get(struct http_request *req, void *arg)
{
    struct files_api *api = arg;
    struct error e;
    struct uuid uuid;
    struct stat st;
    char id[UUID_TEXT_MAX];
    if (uuid_parse(http_request_param(req, "id"), &uuid) < 0) {
        (void)error_set(&e, ERR_NOT_FOUND, "there is no such file");
        http_reply_failure(req, &e, "a file is named by the id that its upload gave");
        return;
    }
    char *path = file_store_path(api->node, uuid_format(&uuid, id));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        http_reply_file(req, 200, "application/octet-stream", fd, 0, (uint64_t)st.st_size);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    if (api->stopped || api->downloads_n >= FILES_API_DOWNLOADS_MAX) {
        (void)error_set(&e, api->stopped ? ERR_UNAVAILABLE : ERR_BUSY,
                        "this node cannot fetch files now");
        http_reply_failure(req, &e, NULL);
        return;
    }
    files_download_start(api, req, id);
}

void files_download_stop(struct files_api *api)
{
    struct files_download *down;
    struct error e;
    (void)error_set(&e, ERR_UNAVAILABLE, "the node is shutting down");
    while ((down = TAILQ_FIRST(&api->downloads)) != NULL)
        files_download_fail(down, &e);
}
