/* Happy path: the body is in a file already; it gets its id as name, one more node copies it, the
 * leader writes down who holds it, and then the client hears its id. Without a second node, or when
 * that fails, one copy must do. What fails before it is written down leaves no file here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "role/file_store.h"
#include "role/files_internal.h"
#include "role/leader_request.h"
#include "run/atomic_file.h"

enum {
    FILES_UPLOAD_NAME_BYTES_MAX = 255,
    FILES_UPLOAD_COPIES = 2,      /* this node's included */
    FILES_UPLOAD_TRIES_MAX = 2,   /* of nodes that are asked to copy */
    FILES_UPLOAD_COPY_MS = 15000, /* and a second for each FILES_UPLOAD_COPY_RATE bytes */
    FILES_UPLOAD_COPY_RATE = 4 << 20,
};

static const struct log_about files_log = {.role = "gateway"};

struct files_upload {
    struct files_api *api;
    struct http_request *req;
    char id[UUID_TEXT_MAX];
    char *name;
    char *from; /* where the body is */
    char *path;
    uint64_t bytes;
    char xxh[FILE_STORE_XXH_MAX];
    uint64_t holders[FILES_UPLOAD_COPIES];
    size_t holders_n;
    uint64_t asked[FILES_UPLOAD_TRIES_MAX];
    unsigned asked_n;
    uint64_t call;
    struct leader_request *request;
    bool working; /* on libuv's pool */
    struct error e;
    TAILQ_ENTRY(files_upload) link;
};

static void files_upload_free(struct files_upload *up)
{
    struct files_api *api = up->api;
    TAILQ_REMOVE(&api->uploads, up, link);
    free(up->name);
    free(up->from);
    free(up->path);
    free(up);
    files_api_check_closed(api);
}

static void files_upload_remove(void *arg)
{
    struct files_upload *up = arg;
    (void)unlink(up->path);
}

static void files_upload_on_removed(void *arg, int code)
{
    (void)code;
    files_upload_free(arg);
}

/* Nobody knows of the file: it goes. */
static void files_upload_fail(struct files_upload *up, const struct error *e)
{
    http_reply_failure(up->req, e, NULL);
    up->req = NULL;
    (void)loop_work(node_loop(up->api->node), files_upload_remove, files_upload_on_removed, up);
}

/* ---- written down -----------------------------------------------------------------------------*/

static void files_upload_on_written(void *arg, json_t *json, const struct error *e)
{
    struct files_upload *up = arg;
    (void)json;
    up->request = NULL;
    if (e == NULL) {
        http_reply_json(up->req, 201,
                        json_pack("{s:s, s:s, s:I, s:s}", "id", up->id, "name", up->name, "bytes",
                                  (json_int_t)up->bytes, "xxh", up->xxh));
        files_upload_free(up);
    } else if (e->code == ERR_TIMEOUT || e->code == ERR_OUTCOME_UNKNOWN) {
        http_reply_failure(up->req, e, "it may be there or not: upload it again");
        files_upload_free(up);
    } else {
        files_upload_fail(up, e);
    }
}

static void files_upload_write_down(struct files_upload *up)
{
    json_t *holders = json_array();
    for (size_t i = 0; i < up->holders_n; i++)
        json_array_append_new(holders, json_integer((json_int_t)up->holders[i]));
    json_t *row = json_pack("{s:s, s:s, s:I, s:s, s:o, s:s}", "id", up->id, "name", up->name,
                            "bytes", (json_int_t)up->bytes, "xxh", up->xxh, "holders", holders,
                            "user", http_request_user(up->req));
    char *body = json_dumps(row, JSON_COMPACT);
    struct leader_request_spec spec = {.method = "POST",
                                       .path = "/api/internal/files",
                                       .user = http_request_user(up->req),
                                       .body = body};
    up->request = leader_request_start(up->api->node, &spec, files_upload_on_written, up);
    free(body);
    json_decref(row);
}

/* ---- copied -----------------------------------------------------------------------------------*/

static bool files_upload_was_asked(const struct files_upload *up, uint64_t id)
{
    for (unsigned i = 0; i < up->asked_n; i++)
        if (up->asked[i] == id)
            return true;
    return false;
}

/* One of the linked nodes, chosen by the file's id so that copies spread; 0: none is left. */
static uint64_t files_upload_choose(const struct files_upload *up)
{
    const struct node *node = up->api->node;
    const Wire__Members *members = node_members(node);
    struct uuid id;
    (void)uuid_parse(up->id, &id);
    size_t first = id.bytes[0];
    for (size_t i = 0; i < members->n_nodes; i++) {
        const Wire__Node *member = members->nodes[(first + i) % members->n_nodes];
        if (member->id != node_id(node) && !member->removed && !member->poll &&
            node_session(node, member->id) != 0 && !files_upload_was_asked(up, member->id))
            return member->id;
    }
    return 0;
}

static void files_upload_copy(struct files_upload *up);

static void files_upload_on_copied(void *arg, int code, const ProtobufCMessage *message)
{
    struct files_upload *up = arg;
    const Wire__FileCopied *reply = (const Wire__FileCopied *)message;
    uint64_t holder = up->asked[up->asked_n - 1];
    up->call = 0;
    if (reply != NULL)
        code = reply->code;
    if (code == 0)
        up->holders[up->holders_n++] = holder;
    else
        log_warn(&files_log, "%s could not copy file %s: %s",
                 node_member_name(up->api->node, holder), up->id,
                 reply != NULL ? reply->text : err_text(code));
    files_upload_copy(up);
}

static void files_upload_copy(struct files_upload *up)
{
    struct node *node = up->api->node;
    uint64_t holder = up->holders_n < FILES_UPLOAD_COPIES && up->asked_n < FILES_UPLOAD_TRIES_MAX
                          ? files_upload_choose(up)
                          : 0;
    if (holder == 0) {
        files_upload_write_down(up);
        return;
    }
    Wire__FileCopy message = WIRE__FILE_COPY__INIT;
    message.file = up->id;
    message.bytes = up->bytes;
    message.xxh = up->xxh;
    up->asked[up->asked_n++] = holder;
    int64_t timeout_ms =
        FILES_UPLOAD_COPY_MS + (int64_t)(up->bytes / FILES_UPLOAD_COPY_RATE) * 1000;
    up->call = node_call(node, holder, WIRE_FILE_COPY, &message.base, false, timeout_ms,
                         files_upload_on_copied, up);
}

/* ---- named ------------------------------------------------------------------------------------*/

static void files_upload_name(void *arg)
{
    struct files_upload *up = arg;
    char *dir = mem_printf("%s/files", node_options(up->api->node)->data_dir);
    if (rename(up->from, up->path) != 0)
        (void)error_set(&up->e, -errno, "cannot store the file: %s", strerror(errno));
    else
        (void)atomic_file_sync_dir(dir, &up->e);
    free(dir);
}

static void files_upload_on_named(void *arg, int code)
{
    struct files_upload *up = arg;
    (void)code;
    up->working = false;
    if (access(up->from, F_OK) != 0)
        http_request_keep_upload(up->req);
    if (up->api->stopped)
        (void)error_set(&up->e, ERR_UNAVAILABLE, "the node is shutting down");
    if (up->e.code < 0) {
        struct error e = up->e;
        files_upload_fail(up, &e);
        return;
    }
    up->holders[up->holders_n++] = node_id(up->api->node);
    files_upload_copy(up);
}

static int files_upload_check_name(const char *name, struct error *e)
{
    size_t len = strlen(name);
    bool good = len > 0 && len <= FILES_UPLOAD_NAME_BYTES_MAX && str_is_utf8(name, len) &&
                strchr(name, '/') == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    for (const char *c = name; *c != '\0'; c++)
        good = good && (unsigned char)*c >= 0x20 && *c != 0x7f;
    return good ? 0
                : error_set(e, ERR_INVALID,
                            "the name of a file has 1 to %d bytes of text and no \"/\"",
                            FILES_UPLOAD_NAME_BYTES_MAX);
}

void files_upload_post(struct http_request *req, void *arg)
{
    struct files_api *api = arg;
    struct error e;
    const char *name = http_request_query(req, "name");
    if (name == NULL)
        name = "file";
    int err = files_upload_check_name(name, &e);
    if (err == 0 && (api->stopped || node_id(api->node) == 0))
        err = error_set(&e, ERR_UNAVAILABLE, "this node cannot take files now");
    if (err < 0) {
        http_reply_failure(req, &e, NULL);
        return;
    }
    const struct http_upload *body = http_request_upload(req);
    struct files_upload *up = mem_zalloc(sizeof *up);
    struct uuid id;
    uuid_generate(&id);
    (void)uuid_format(&id, up->id);
    up->api = api;
    up->req = req;
    up->name = mem_strdup(name);
    up->from = mem_strdup(body->path);
    up->path = file_store_path(api->node, up->id);
    up->bytes = body->bytes_len;
    (void)file_store_format_xxh(body->xxh3, up->xxh);
    TAILQ_INSERT_TAIL(&api->uploads, up, link);
    up->working = true;
    (void)loop_work(node_loop(api->node), files_upload_name, files_upload_on_named, up);
}

void files_upload_stop(struct files_api *api)
{
    struct files_upload *up;
    struct files_upload *next;
    struct error e;
    (void)error_set(&e, ERR_UNAVAILABLE, "the node is shutting down");
    for (up = TAILQ_FIRST(&api->uploads); up != NULL; up = next) {
        next = TAILQ_NEXT(up, link);
        if (up->working || up->req == NULL)
            continue;
        if (up->call != 0)
            node_call_end(api->node, up->call);
        if (up->request != NULL)
            leader_request_cancel(up->request);
        files_upload_fail(up, &e);
    }
}
