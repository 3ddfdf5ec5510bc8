/* Objects in buckets: each call is an op (s3_op.h), whose verb says which requests it needs.
 *
 * How it fails: s3_send.h tries again what may help; what s3_put.c, s3_get.c and s3_list.c can't
 * mend ends the call with a sentence. A call that is cancelled takes its request with it. */
#include "run/object_s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/s3_op.h"

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

/* ---- ops ---- */

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
void s3_op_end(struct s3_op *op)
{
    struct object_call *call = op->call;
    call->s3 = NULL;
    s3_op_free(op);
    object_call_finish(call);
}

void s3_op_fail(struct s3_op *op, int code, const char *text)
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
void s3_op_abort(struct s3_op *op)
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

void s3_op_send(struct s3_op *op, struct s3_request *request, s3_answer_fn fn)
{
    request->bucket = op->call->root;
    if (request->key == NULL)
        request->key = op->call->path;
    if (request->bytes_max == 0)
        request->bytes_max = S3_XML_BYTES_MAX;
    op->send = s3_send(op->s3->client, request, s3_op_on_retry, fn, op);
}

uint64_t s3_op_number(const char *text)
{
    uint64_t n = 0;
    return text != NULL && str_parse_u64(text, 0, INT64_MAX, &n) == 0 ? n : 0;
}

void s3_op_checksum(const void *data, size_t len, char out[static S3_SUM_MAX])
{
    (void)snprintf(out, S3_SUM_MAX, "%016" PRIx64, (uint64_t)XXH3_64bits(data, len));
}

/* ---- calls ---- */

void s3_op_next(struct s3_op *op)
{
    switch (op->call->request.verb) {
    case OBJECT_PUT:
    case OBJECT_PUT_IF_ABSENT:
        s3_put(op);
        break;
    case OBJECT_GET:
        s3_get(op);
        break;
    case OBJECT_STAT:
        s3_stat(op);
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
