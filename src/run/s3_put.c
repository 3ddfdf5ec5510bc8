/* Objects are put: small ones, or what is in memory, by one request; large ones from a descriptor
 * by a multipart upload, read and hashed on threads part by part.
 *
 * A conditional put that may have been carried out by an earlier try and is then refused is looked
 * at: if what is there is what was put, it was. A multipart upload that fails is aborted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/s3_op.h"

enum { S3_PARTS_MAX = 10000 };

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
    s3_op_checksum(op->part, op->part_len, op->sum);
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

void s3_put(struct s3_op *op)
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
