/* AWS Signature Version 4 in the Authorization header.
 *
 * Source: AWS General Reference, "Create a signed AWS API request"; Amazon S3 API Reference,
 * "Authenticating Requests: Using the Authorization Header". As in S3 the path is encoded once and
 * not normalised. Pure: the time is given. */
#ifndef RUN_SIGV4_H
#define RUN_SIGV4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIGV4_HASH_MAX = 65, SIGV4_DATE_MAX = 17, SIGV4_HEADERS_MAX = 16, SIGV4_QUERY_MAX = 16 };

struct sigv4_pair {
    const char *name;  /* headers: lower case */
    const char *value; /* not encoded */
};

struct sigv4_request {
    const char *method;
    const char *path; /* "/bucket/key", not encoded */
    struct sigv4_pair query[SIGV4_QUERY_MAX];
    size_t query_n;
    /* All headers that are signed, with host; x-amz-date is added. */
    struct sigv4_pair headers[SIGV4_HEADERS_MAX];
    size_t headers_n;
    const char *payload_hash; /* SHA-256 of the body in hex */
};

struct sigv4_credentials {
    const char *access_key;
    const char *secret_key;
    const char *region;
    const char *service;
};

/* SHA-256 in lower-case hex. */
void sigv4_hash(const void *data, size_t len, char out[static SIGV4_HASH_MAX]);

/* "20130524T000000Z" */
const char *sigv4_date(int64_t wall_ms, char out[static SIGV4_DATE_MAX]);

/* The value of the Authorization header; malloc'ed. `date` as of sigv4_date(). */
char *sigv4_authorize(const struct sigv4_request *request,
                      const struct sigv4_credentials *credentials, const char *date);

/* Encodes as URIs of AWS are; slashes stay when `path`. Malloc'ed. */
char *sigv4_encode(const char *text, bool path);
/* The encoded query, sorted, without '?'; malloc'ed. */
char *sigv4_query(const struct sigv4_request *request);

#endif
