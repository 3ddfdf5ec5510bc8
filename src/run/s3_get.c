/* Objects are read: into memory by one request, to a descriptor by ranges of one part's size, each
 * written on a thread. What is read whole and carries a checksum is compared with it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/s3_op.h"

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
    return slash != NULL ? s3_op_number(slash + 1)
                         : s3_op_number(http_answer_header(http, "Content-Length"));
}

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
    s3_op_checksum(http->body, http->body_len, actual);
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

void s3_get(struct s3_op *op)
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

void s3_stat(struct s3_op *op)
{
    struct s3_request request = {.method = "HEAD", .bytes_max = UINT64_C(1) << 60};
    s3_op_send(op, &request, s3_on_stat);
}
