/* One call to a bucket, on its way: what its kinds share. Between object_s3.c, s3_put.c, s3_get.c
 * and s3_list.c; nobody else includes it. */
#ifndef RUN_S3_OP_H
#define RUN_S3_OP_H

#include "run/object_s3.h"
#include "run/s3_send.h"

/* Of a whole object that was put in one piece: XXH3 of it, as sixteen digits. */
#define S3_SUM_HEADER "x-amz-meta-clusterd-xxh3"

enum { S3_SUM_MAX = 17, S3_XML_BYTES_MAX = 16 << 20 };

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
    bool more; /* pages */
};

/* ---- object_s3.c ---- */

/* Sends a request about the call's object (or request->key); op->send until `fn`. */
void s3_op_send(struct s3_op *op, struct s3_request *request, s3_answer_fn fn);
/* The next request that the call's verb needs, by how far it is. */
void s3_op_next(struct s3_op *op);
/* End the call; its error is set if it failed. `op` is gone. */
void s3_op_end(struct s3_op *op);
void s3_op_fail(struct s3_op *op, int code, const char *text);
/* Undoes a multipart upload, if one was begun. */
void s3_op_abort(struct s3_op *op);

uint64_t s3_op_number(const char *text); /* 0: it is none */
void s3_op_checksum(const void *data, size_t len, char out[static S3_SUM_MAX]);

/* ---- s3_put.c, s3_get.c, s3_list.c: begin, or go on from where the op is ---- */

void s3_put(struct s3_op *op);
void s3_get(struct s3_op *op);
void s3_stat(struct s3_op *op);
void s3_list(struct s3_op *op);
void s3_delete(struct s3_op *op, const char *key);
void s3_delete_prefix(struct s3_op *op);

#endif
