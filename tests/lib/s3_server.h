/* A small S3 for tests: one bucket in memory, on a free port of 127.0.0.1. It checks every
 * signature and payload hash and the clock, pages listings (ListObjectsV2), honours If-None-Match
 * and Range, and knows multipart uploads. Faults can be injected into the next requests. */
#ifndef TESTS_LIB_S3_SERVER_H
#define TESTS_LIB_S3_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#define S3_SERVER_BUCKET "bucket"
#define S3_SERVER_ACCESS "AKIATEST"
#define S3_SERVER_SECRET "secret/of+tests"
#define S3_SERVER_REGION "eu-test-1"

struct s3_server;

enum s3_fault {
    S3_FAULT_NONE,
    S3_FAULT_403,
    S3_FAULT_500,
    S3_FAULT_503,
    S3_FAULT_CUT,       /* the connection is closed without an answer */
    S3_FAULT_CUT_AFTER, /* carried out, then closed without an answer */
    S3_FAULT_CUT_BODY,  /* closed in the middle of the answer's body */
    S3_FAULT_FLIP,      /* a bit of the answer's body is wrong */
    S3_FAULT_SLOW,      /* a byte at a time, then silence until the client goes away */
};

struct s3_server *s3_server_new(void);
void s3_server_free(struct s3_server *server);
const char *s3_server_endpoint(const struct s3_server *server); /* "http://127.0.0.1:PORT" */

/* The next `n` requests (behind `skip` good ones) fail so. */
void s3_server_fail(struct s3_server *server, enum s3_fault fault, unsigned skip, unsigned n);

unsigned s3_server_requests(struct s3_server *server);
unsigned s3_server_uploads(struct s3_server *server); /* multipart uploads that are open */
unsigned s3_server_objects(struct s3_server *server);
unsigned s3_server_refused(struct s3_server *server);  /* requests whose signature was wrong */
size_t s3_server_bytes_sent(struct s3_server *server); /* of objects */

#endif
