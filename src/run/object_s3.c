/* Objects in buckets.
 *
 * Happy path: small objects are one request; large ones from a descriptor are a multipart upload,
 * read and hashed on threads part by part, and large reads to a descriptor are ranges of one part's
 * size. A listing is one page of ListObjectsV2 that begins behind a key.
 *
 * How it fails: s3_send.h tries again what may help. A conditional put that may have been carried
 * out by an earlier try and is then refused is looked at: if what is there is what was put, it was.
 * A multipart upload that fails is aborted. Whole objects that were put in one piece carry their
 * checksum, which is compared when they are read whole. */
#include "run/object_s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/s3_send.h"

#define S3_SUM_HEADER "x-amz-meta-clusterd-xxh3"

enum {
    S3_PARTS_MAX = 10000,
    S3_XML_BYTES_MAX = 16 << 20,
    S3_SUM_MAX = 17,
};

struct object_s3 {
    struct loop *loop;
    struct s3_client *client;
};

struct s3_op {
    struct object_s3 *s3;
    struct object_call *call;
    struct s3_send *send;
    struct loop_work *work;
    bool cancelled;

    uint8_t *part; /* bytes at hand */
    size_t part_len;
    uint64_t at; /* bytes done */
    uint64_t total;
    int part_err;
    char hash[SIGV4_HASH_MAX];
    char sum[S3_SUM_MAX];

    char *upload_id;
    char **etags;
    size_t etags_n, etags_cap;
    char *complete; /* body of CompleteMultipartUpload */

    char **doomed; /* keys of DELETE_PREFIX */
    size_t doomed_n, doomed_cap;
    bool more;
};

static void s3_op_next(struct s3_op *op);

int object_s3_new(struct object_s3 **out, struct loop *loop, struct http_client *http,
                  const struct object_s3_options *options, struct error *e)
{
    struct object_s3 *s3 = mem_zalloc(sizeof *s3);
    s3->loop = loop;
    int err = s3_client_new(&s3->client, loop, http, options, e);
    if (err < 0) {
        free(s3);
        return err;
    }
    *out = s3;
    return 0;
}

void object_s3_free(struct object_s3 *s3)
{
    if (s3 == NULL)
        return;
    s3_client_free(s3->client);
    free(s3);
}

/* ---- life ---------------------------------------------------------------------------------------
 */

static void s3_op_free(struct s3_op *op)
{
    for (size_t i = 0; i < op->etags_n; i++)
        free(op->etags[i]);
    for (size_t i = 0; i < op->doomed_n; i++)
        free(op->doomed[i]);
    free(op->etags);
    free(op->doomed);
    free(op->upload_id);
    free(op->complete);
    free(op->part);
    free(op);
}

/* Ends the call; its error is set if it failed. */
static void s3_op_end(struct s3_op *op)
{
    struct object_call *call = op->call;
    call->s3 = NULL;
    s3_op_free(op);
    object_call_finish(call);
}

static void s3_op_fail(struct s3_op *op, int code, const char *text)
{
    (void)object_call_fail_text(op->call, code, text);
    s3_op_end(op);
}

static void s3_on_abort(void *arg, const struct s3_answer *answer)
{
    (void)arg;
    (void)answer;
}

/* Nobody waits for the answer: an abort that is lost leaves parts, which buckets are set to expire.
 */
static void s3_op_abort(struct s3_op *op)
{
    if (op->upload_id == NULL)
        return;
    struct s3_request request = {.method = "DELETE",
                                 .bucket = op->call->root,
                                 .key = op->call->path,
                                 .query = {{"uploadId", op->upload_id}},
                                 .query_n = 1};
    (void)s3_send(op->s3->client, &request, NULL, s3_on_abort, NULL);
    free(op->upload_id);
    op->upload_id = NULL;
}

bool object_s3_cancel(struct object_call *call)
{
    struct s3_op *op = call->s3;
    op->cancelled = true;
    if (op->send != NULL)
        s3_send_cancel(op->send);
    op->send = NULL;
    s3_op_abort(op);
    if (op->work != NULL)
        return false;
    call->s3 = NULL;
    s3_op_free(op);
    return true;
}

static void s3_op_on_retry(void *arg)
{
    struct s3_op *op = arg;
    object_store_count_retry(op->call->store);
}

static void s3_op_send(struct s3_op *op, struct s3_request *request, s3_answer_fn fn)
{
    request->bucket = op->call->root;
    if (request->key == NULL)
        request->key = op->call->path;
    if (request->bytes_max == 0)
        request->bytes_max = S3_XML_BYTES_MAX;
    op->send = s3_send(op->s3->client, request, s3_op_on_retry, fn, op);
}

/* ---- what answers say
 * ----------------------------------------------------------------------------- */

static uint64_t s3_number(const char *text)
{
    uint64_t n = 0;
    return text != NULL && str_parse_u64(text, 0, INT64_MAX, &n) == 0 ? n : 0;
}

static int64_t s3_http_date(const char *text)
{
    struct tm tm = {0};
    if (text == NULL || strptime(text, "%a, %d %b %Y %H:%M:%S", &tm) == NULL)
        return 0;
    return (int64_t)timegm(&tm) * 1000;
}

/* Size of the whole object: of Content-Range "bytes 0-9/100", else of Content-Length. */
static uint64_t s3_size(const struct http_answer *http)
{
    const char *range = http_answer_header(http, "Content-Range");
    const char *slash = range != NULL ? strrchr(range, '/') : NULL;
    return slash != NULL ? s3_number(slash + 1)
                         : s3_number(http_answer_header(http, "Content-Length"));
}

static void s3_checksum(const void *data, size_t len, char out[static S3_SUM_MAX])
{
    (void)snprintf(out, S3_SUM_MAX, "%016" PRIx64, (uint64_t)XXH3_64bits(data, len));
}

/* ---- put
 * ------------------------------------------------------------------------------------------ */

static void s3_on_compared(void *arg, const struct s3_answer *answer)
{
    struct s3_op *op = arg;
    op->send = NULL;
    bool same = answer->code == 0 && answer->http->body_len == op->part_len &&
                memcmp(answer->http->body, op->part, op->part_len) == 0;
    if (same)
        op->call->result.size = op->part_len;
    else
        (void)object_call_fail(op->call, ERR_EXISTS, "cannot create it");
    s3_op_end(op);
}

static void s3_on_put(void *arg, const struct s3_answer *answer)
{
    struct s3_op *op = arg;
    op->send = NULL;
    if (answer->code == ERR_EXISTS && answer->unsure && op->part_len <= S3_XML_BYTES_MAX) {
        struct s3_request request = {.method = "GET"};
        s3_op_send(op, &request, s3_on_compared);
        return;
    }
    if (answer->code < 0)
        (void)object_call_fail_text(op->call, answer->code, answer->text);
    op->call->result.size = op->part_len;
    s3_op_end(op);
}

static void s3_put_whole(struct s3_op *op)
{
    struct s3_request request = {
        .method = "PUT", .body = op->part, .body_len = op->part_len, .payload_hash = op->hash};
    request.headers[request.headers_n++] = (struct sigv4_pair){S3_SUM_HEADER, op->sum};
    if (op->call->request.verb == OBJECT_PUT_IF_ABSENT)
        request.headers[request.headers_n++] = (struct sigv4_pair){"if-none-match", "*"};
    s3_op_send(op, &request, s3_on_put);
}

static void s3_on_completed(void *arg, const struct s3_answer *answer)
{
    struct s3_op *op = arg;
    op->send = NULL;
    /* An error may come behind a status of 200. */
    const char *body = answer->code == 0 ? answer->http->body : "";
    char *code = s3_xml(&body, "Code");
    if (answer->code == 0 && code == NULL) {
        free(op->upload_id);
        op->upload_id = NULL;
        op->call->result.size = op->total;
        s3_op_end(op);
    } else {
        s3_op_abort(op);
        s3_op_fail(op, answer->code < 0 ? answer->code : ERR_UNAVAILABLE,
                   answer->code < 0 ? answer->text : "the store could not put the parts together");
    }
    free(code);
}

static void s3_complete(struct s3_op *op)
{
    struct buf b;
    buf_init(&b, S3_XML_BYTES_MAX);
    (void)buf_append_str(&b, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < op->etags_n; i++)
        (void)buf_printf(&b, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", i + 1,
                         op->etags[i]);
    (void)buf_append_str(&b, "</CompleteMultipartUpload>");
    size_t len = b.len;
    op->complete = buf_steal(&b, NULL);
    sigv4_hash(op->complete, len, op->hash);
    struct s3_request request = {.method = "POST",
                                 .query = {{"uploadId", op->upload_id}},
                                 .query_n = 1,
                                 .body = op->complete,
                                 .body_len = len,
                                 .payload_hash = op->hash};
    if (op->call->request.verb == OBJECT_PUT_IF_ABSENT)
        request.headers[request.headers_n++] = (struct sigv4_pair){"if-none-match", "*"};
    s3_op_send(op, &request, s3_on_completed);
}

static void s3_on_part(void *arg, const struct s3_answer *answer)
{
    struct s3_op *op = arg;
    op->send = NULL;
    const char *etag = answer->code == 0 ? http_answer_header(answer->http, "ETag") : NULL;
    if (etag == NULL) {
        s3_op_abort(op);
        s3_op_fail(op, answer->code < 0 ? answer->code : ERR_PROTOCOL,
                   answer->code < 0 ? answer->text : "the store gave a part no ETag");
        return;
    }
    MEM_GROW(op->etags, op->etags_cap, op->etags_n + 1);
    op->etags[op->etags_n++] = mem_strdup(etag);
    op->at += op->part_len;
    s3_op_next(op);
}

static void s3_put_part(struct s3_op *op)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%zu", op->etags_n + 1);
    struct s3_request request = {.method = "PUT",
                                 .query = {{"partNumber", number}, {"uploadId", op->upload_id}},
                                 .query_n = 2,
                                 .body = op->part,
                                 .body_len = op->part_len,
                                 .payload_hash = op->hash};
    s3_op_send(op, &request, s3_on_part);
}

static void s3_on_begun(void *arg, const struct s3_answer *answer)
{
    struct s3_op *op = arg;
    op->send = NULL;
    const char *body = answer->code == 0 ? answer->http->body : "";
    op->upload_id = s3_xml(&body, "UploadId");
    if (op->upload_id != NULL)
        s3_op_next(op);
    else
        s3_op_fail(op, answer->code < 0 ? answer->code : ERR_PROTOCOL,
                   answer->code < 0 ? answer->text : "the store gave an upload no id");
}

static uint64_t s3_part_bytes(const struct s3_op *op)
{
    uint64_t bytes = s3_client_part_bytes(op->s3->client);
    return op->total / bytes < S3_PARTS_MAX ? bytes : op->total / S3_PARTS_MAX + 1;
}

/* On a thread: reads and hashes what is put next. */
static void s3_read_part(void *arg)
{
    struct s3_op *op = arg;
    const struct object_request *request = &op->call->request;
    size_t done = 0;
    op->part_err = request->from_fd && request->body_fd < 0 ? -EMFILE : 0;
    while (request->from_fd && op->part_err == 0 && done < op->part_len) {
        ssize_t n =
            pread(request->body_fd, op->part + done, op->part_len - done, (off_t)(op->at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            op->part_err = n < 0 ? -errno : -EIO;
        else
            done += (size_t)n;
    }
    sigv4_hash(op->part, op->part_len, op->hash);
    s3_checksum(op->part, op->part_len, op->sum);
}

static void s3_on_part_read(void *arg, int code)
{
    struct s3_op *op = arg;
    (void)code;
    op->work = NULL;
    if (op->cancelled) {
        s3_op_end(op);
    } else if (op->part_err < 0) {
        s3_op_abort(op);
        (void)object_call_fail(op->call, op->part_err, "cannot read what is to be put");
        s3_op_end(op);
    } else if (op->upload_id != NULL) {
        s3_put_part(op);
    } else {
        s3_put_whole(op);
    }
}

static void s3_put(struct s3_op *op)
{
    const struct object_request *request = &op->call->request;
    uint64_t bytes = s3_part_bytes(op);
    op->total = request->from_fd ? request->fd_len : request->body_len;
    if (op->upload_id == NULL && request->from_fd && op->total > bytes) {
        struct s3_request begin = {.method = "POST", .query = {{"uploads", ""}}, .query_n = 1};
        s3_op_send(op, &begin, s3_on_begun);
        return;
    }
    if (op->upload_id != NULL && op->at >= op->total) {
        s3_complete(op);
        return;
    }
    bytes = s3_part_bytes(op);
    op->part_len = (size_t)(op->total - op->at);
    if (request->from_fd && op->part_len > bytes)
        op->part_len = (size_t)bytes;
    if (op->part == NULL)
        op->part = mem_alloc(op->part_len + 1);
    if (!request->from_fd && op->part_len > 0)
        memcpy(op->part, request->body, op->part_len);
    op->work = loop_work(op->s3->loop, s3_read_part, s3_on_part_read, op);
}

/* ---- get, stat
 * ------------------------------------------------------------------------------------- */

static void s3_write_part(void *arg)
{
    struct s3_op *op = arg;
    const struct object_request *request = &op->call->request;
    size_t done = 0;
    op->part_err = request->out_fd < 0 ? -EMFILE : 0;
    while (op->part_err == 0 && done < op->part_len) {
        ssize_t n = pwrite(request->out_fd, op->part + done, op->part_len - done,
                           (off_t)(request->out_offset + op->at + done));
        if (n < 0 && errno != EINTR)
            op->part_err = -errno;
        else if (n > 0)
            done += (size_t)n;
    }
}

static void s3_on_part_written(void *arg, int code)
{
    struct s3_op *op = arg;
    (void)code;
    op->work = NULL;
    free(op->part);
    op->part = NULL;
    op->at += op->part_len;
    if (op->cancelled || op->part_err < 0) {
        if (op->part_err < 0)
            (void)object_call_fail(op->call, op->part_err, "cannot write what was read");
        s3_op_end(op);
        return;
    }
    op->call->result.len = (size_t)op->at;
    if (op->part_len == 0 || op->at >= op->total)
        s3_op_end(op);
    else
        s3_op_next(op);
}

static bool s3_is_damaged(const struct s3_op *op, const struct http_answer *http)
{
    const struct object_request *request = &op->call->request;
    const char *sum = http_answer_header(http, S3_SUM_HEADER);
    char actual[S3_SUM_MAX];
    if (sum == NULL || request->offset > 0 || request->length > 0 || request->to_fd)
        return false;
    s3_checksum(http->body, http->body_len, actual);
    return strcmp(sum, actual) != 0;
}

static void s3_on_got(void *arg, const struct s3_answer *answer)
{
    struct s3_op *op = arg;
    struct object_call *call = op->call;
    const struct http_answer *http = answer->http;
    op->send = NULL;
    bool behind = http != NULL && http->status == 416; /* the range begins behind the end */
    if (answer->code < 0 && !behind) {
        s3_op_fail(op, answer->code, answer->text);
        return;
    }
    call->result.size = s3_size(http);
    call->result.modified_ms = s3_http_date(http_answer_header(http, "Last-Modified"));
    free(call->etag);
    call->etag = mem_strdup(http_answer_header(http, "ETag"));
    if (!behind && s3_is_damaged(op, http)) {
        (void)object_call_fail(call, ERR_CORRUPT, "its checksum is not that of its bytes");
        s3_op_end(op);
    } else if (call->request.to_fd && !behind) {
        uint64_t offset = call->request.offset;
        op->total = call->result.size > offset ? call->result.size - offset : 0;
        if (call->request.length > 0 && call->request.length < op->total)
            op->total = call->request.length;
        op->part = mem_dup(http->body, http->body_len + 1);
        op->part_len = http->body_len;
        op->work = loop_work(op->s3->loop, s3_write_part, s3_on_part_written, op);
    } else {
        if (!behind && !call->request.to_fd)
            (void)buf_append(&call->data, http->body, http->body_len);
        s3_op_end(op);
    }
}

static void s3_get(struct s3_op *op)
{
    const struct object_request *request = &op->call->request;
    char range[64];
    uint64_t from = request->offset + op->at;
    uint64_t left = request->length > 0 ? request->length - op->at : 0;
    if (request->to_fd && (left == 0 || left > s3_client_part_bytes(op->s3->client)))
        left = s3_client_part_bytes(op->s3->client);
    struct s3_request get = {.method = "GET",
                             .bytes_max = request->to_fd ? left : request->bytes_max};
    if (from > 0 || left > 0) {
        if (left > 0)
            (void)snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, from,
                           from + left - 1);
        else
            (void)snprintf(range, sizeof range, "bytes=%" PRIu64 "-", from);
        get.headers[get.headers_n++] = (struct sigv4_pair){"range", range};
    }
    s3_op_send(op, &get, s3_on_got);
}

static void s3_on_stat(void *arg, const struct s3_answer *answer)
{
    struct s3_op *op = arg;
    op->send = NULL;
    if (answer->code < 0) {
        s3_op_fail(op, answer->code, answer->text);
        return;
    }
    op->call->result.size = s3_size(answer->http);
    op->call->result.modified_ms = s3_http_date(http_answer_header(answer->http, "Last-Modified"));
    s3_op_end(op);
}

/* ---- list
 * ------------------------------------------------------------------------------------------- */

/* Undoes the encoding that encoding-type=url asked for. */
static char *s3_url_decode(const char *text)
{
    char *out = mem_alloc(strlen(text) + 1);
    size_t n = 0;
    for (const char *p = text; *p != '\0'; p++) {
        unsigned byte;
        int used = 0;
        if (*p == '%' && sscanf(p, "%%%2x%n", &byte, &used) == 1 && used == 3) {
            out[n++] = (char)byte;
            p += 2;
        } else {
            out[n++] = *p == '+' ? ' ' : *p;
        }
    }
    out[n] = '\0';
    return out;
}

static void s3_list_entry(struct s3_op *op, const char *contents)
{
    const char *at = contents;
    char *encoded = s3_xml(&at, "Key");
    at = contents;
    char *size = s3_xml(&at, "Size");
    at = contents;
    char *modified = s3_xml(&at, "LastModified");
    char *key = encoded != NULL ? s3_url_decode(encoded) : mem_strdup("");
    int64_t modified_ms = 0;
    if (modified != NULL)
        (void)clock_parse_rfc3339(modified, &modified_ms);
    bool listing = op->call->request.verb == OBJECT_LIST;
    if (strlen(key) > op->call->place_len && !(listing && str_ends_with(key, "/"))) {
        if (listing) {
            object_call_add_entry(op->call, key + op->call->place_len, s3_number(size),
                                  modified_ms);
        } else {
            MEM_GROW(op->doomed, op->doomed_cap, op->doomed_n + 1);
            op->doomed[op->doomed_n++] = mem_strdup(key);
        }
    }
    free(encoded);
    free(size);
    free(modified);
    free(key);
}

static void s3_on_listed(void *arg, const struct s3_answer *answer)
{
    struct s3_op *op = arg;
    op->send = NULL;
    if (answer->code < 0) {
        s3_op_fail(op, answer->code, answer->text);
        return;
    }
    const char *at = answer->http->body;
    char *truncated = s3_xml(&at, "IsTruncated");
    op->more = truncated != NULL && strcmp(truncated, "true") == 0;
    free(truncated);
    at = answer->http->body;
    for (;;) {
        const char *begin = strstr(at, "<Contents>");
        const char *end = begin != NULL ? strstr(begin, "</Contents>") : NULL;
        if (end == NULL)
            break;
        char *contents = mem_strndup(begin, (size_t)(end - begin));
        s3_list_entry(op, contents);
        free(contents);
        at = end;
    }
    op->call->result.more = op->more;
    if (op->call->request.verb == OBJECT_LIST)
        s3_op_end(op);
    else
        s3_op_next(op);
}

static void s3_list(struct s3_op *op)
{
    const struct object_request *request = &op->call->request;
    char limit[16];
    const char *path = op->call->path;
    char *prefix = mem_printf("%s%s", path, path[0] != '\0' ? "/" : "");
    char *after =
        request->after != NULL
            ? mem_printf("%.*s%s%s", (int)op->call->place_len, path,
                         op->call->place_len > 0 && path[op->call->place_len - 1] != '/' ? "/" : "",
                         request->after)
            : NULL;
    (void)snprintf(limit, sizeof limit, "%u", request->limit);
    struct s3_request list = {.method = "GET",
                              .key = "",
                              .query = {{"list-type", "2"},
                                        {"prefix", prefix},
                                        {"max-keys", limit},
                                        {"encoding-type", "url"}},
                              .query_n = 4};
    if (after != NULL)
        list.query[list.query_n++] = (struct sigv4_pair){"start-after", after};
    s3_op_send(op, &list, s3_on_listed);
    free(prefix);
    free(after);
}

/* ---- delete
 * ----------------------------------------------------------------------------------------- */

static void s3_on_deleted(void *arg, const struct s3_answer *answer)
{
    struct s3_op *op = arg;
    op->send = NULL;
    if (answer->code < 0 && answer->code != ERR_NOT_FOUND)
        s3_op_fail(op, answer->code, answer->text);
    else if (op->call->request.verb == OBJECT_DELETE)
        s3_op_end(op);
    else
        s3_op_next(op);
}

static void s3_delete(struct s3_op *op, const char *key)
{
    struct s3_request request = {.method = "DELETE", .key = key};
    s3_op_send(op, &request, s3_on_deleted);
}

/* Deletes what the last page gave, one after another, then asks for the next page. */
static void s3_delete_prefix(struct s3_op *op)
{
    if (op->doomed_n > 0) {
        char *key = op->doomed[--op->doomed_n];
        op->at++;
        s3_delete(op, key);
        free(key);
    } else if (op->at == 0 || op->more) {
        op->at = 1;
        s3_list(op);
    } else {
        s3_op_end(op);
    }
}

/* ---- calls
 * ------------------------------------------------------------------------------------------ */

static void s3_op_next(struct s3_op *op)
{
    struct s3_request request = {.method = "HEAD", .bytes_max = UINT64_C(1) << 60};
    switch (op->call->request.verb) {
    case OBJECT_PUT:
    case OBJECT_PUT_IF_ABSENT:
        s3_put(op);
        break;
    case OBJECT_GET:
        s3_get(op);
        break;
    case OBJECT_STAT:
        s3_op_send(op, &request, s3_on_stat);
        break;
    case OBJECT_LIST:
        s3_list(op);
        break;
    case OBJECT_DELETE:
        s3_delete(op, op->call->path);
        break;
    case OBJECT_DELETE_PREFIX:
        s3_delete_prefix(op);
        break;
    }
}

void object_s3_start(struct object_s3 *s3, struct object_call *call)
{
    struct s3_op *op = mem_zalloc(sizeof *op);
    op->s3 = s3;
    op->call = call;
    call->s3 = op;
    s3_op_next(op);
}
