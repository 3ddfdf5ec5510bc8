#include "tests/lib/s3_server.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/mem.h"
#include "run/sigv4.h"
#include "tests/lib/fake_api.h"

enum { S3_SKEW_S = 900, S3_PAGE_MAX = 1000, S3_ASKED_MAX = 4096 };

struct s3_object {
    char *key;
    char *data;
    size_t len;
    char *sum; /* the metadata that is kept */
    char etag[32];
    struct s3_object *next;
};

struct s3_upload {
    char id[32];
    char *key;
    char *parts[64];
    size_t lens[64];
    struct s3_upload *next;
};

/* A GET that was answered. */
struct s3_ask {
    char key[160];
    size_t from, len;
};

struct s3_server {
    struct fake_api *api;
    char *endpoint;
    pthread_mutex_t lock;
    struct s3_object *objects; /* sorted by key */
    struct s3_upload *uploads;
    unsigned uploads_made;
    enum s3_fault fault;
    unsigned fault_skip, fault_n;
    unsigned refused, gets;
    size_t bytes_sent;
    const char *counted; /* only of objects whose key has this in it */
    char counted_text[64];
    struct s3_ask asked[S3_ASKED_MAX];
    size_t asked_n;
};

static char *decode(const char *text)
{
    char *out = mem_alloc(strlen(text) + 1);
    size_t n = 0;
    for (; *text != '\0'; text++) {
        unsigned byte;
        if (*text == '%' && sscanf(text + 1, "%2x", &byte) == 1) {
            out[n++] = (char)byte;
            text += 2;
        } else {
            out[n++] = *text;
        }
    }
    out[n] = '\0';
    return out;
}

/* ---- signatures ---------------------------------------------------------------------------------
 */

/* Splits the query into decoded pairs, which stay allocated with `owned`. */
static void read_query(const struct fake_request *request, struct sigv4_request *sign,
                       char *owned[2 * SIGV4_QUERY_MAX])
{
    char *copy = mem_strdup(request->query), *save = NULL;
    for (char *pair = strtok_r(copy, "&", &save); pair != NULL && sign->query_n < SIGV4_QUERY_MAX;
         pair = strtok_r(NULL, "&", &save)) {
        char *equals = strchr(pair, '=');
        if (equals != NULL)
            *equals = '\0';
        char *name = decode(pair), *value = decode(equals != NULL ? equals + 1 : "");
        owned[2 * sign->query_n] = name;
        owned[2 * sign->query_n + 1] = value;
        sign->query[sign->query_n++] = (struct sigv4_pair){name, value};
    }
    free(copy);
}

static const char *check_signature(const struct fake_request *request)
{
    const char *authorization = fake_header(request, "Authorization");
    char *given = mem_strdup(authorization), *names = strstr(given, "SignedHeaders=");
    char *date = mem_strdup(fake_header(request, "x-amz-date"));
    char *hash = mem_strdup(fake_header(request, "x-amz-content-sha256"));
    char actual[SIGV4_HASH_MAX];
    char *owned[2 * SIGV4_QUERY_MAX] = {NULL}, *values[SIGV4_HEADERS_MAX] = {NULL};
    const char *wrong = NULL;
    struct sigv4_request sign = {.method = request->method, .payload_hash = hash};
    char *path = decode(request->path), *save = NULL;
    sign.path = path;
    read_query(request, &sign, owned);
    sigv4_hash(request->body, request->body_len, actual);
    struct tm tm = {0};
    if (names == NULL || strptime(date, "%Y%m%dT%H%M%SZ", &tm) == NULL)
        wrong = "AccessDenied";
    else if (labs((long)(timegm(&tm) - time(NULL))) > S3_SKEW_S)
        wrong = "RequestTimeTooSkewed";
    else if (strcmp(hash, actual) != 0)
        wrong = "XAmzContentSHA256Mismatch";
    char *list = names != NULL ? mem_strndup(names + 14, strcspn(names + 14, ",")) : NULL;
    for (char *name = list != NULL ? strtok_r(list, ";", &save) : NULL;
         name != NULL && sign.headers_n < SIGV4_HEADERS_MAX; name = strtok_r(NULL, ";", &save)) {
        if (strcmp(name, "x-amz-date") == 0)
            continue;
        values[sign.headers_n] = mem_strdup(fake_header(request, name));
        sign.headers[sign.headers_n] = (struct sigv4_pair){name, values[sign.headers_n]};
        sign.headers_n++;
    }
    struct sigv4_credentials keys = {S3_SERVER_ACCESS, S3_SERVER_SECRET, S3_SERVER_REGION, "s3"};
    if (wrong == NULL) {
        char *expected = sigv4_authorize(&sign, &keys, date);
        if (strcmp(expected, given) != 0)
            wrong = strstr(given, S3_SERVER_ACCESS "/") == NULL ? "InvalidAccessKeyId"
                                                                : "SignatureDoesNotMatch";
        free(expected);
    }
    for (size_t i = 0; i < MEM_COUNT(owned); i++)
        free(owned[i]);
    for (size_t i = 0; i < MEM_COUNT(values); i++)
        free(values[i]);
    free(list);
    free(path);
    free(given);
    free(date);
    free(hash);
    return wrong;
}

/* ---- objects ------------------------------------------------------------------------------------
 */

static struct s3_object **find_slot(struct s3_server *s, const char *key)
{
    struct s3_object **slot = &s->objects;
    while (*slot != NULL && strcmp((*slot)->key, key) < 0)
        slot = &(*slot)->next;
    return slot;
}

static struct s3_object *find_object(struct s3_server *s, const char *key)
{
    struct s3_object *object = *find_slot(s, key);
    return object != NULL && strcmp(object->key, key) == 0 ? object : NULL;
}

static void free_object(struct s3_object *object)
{
    free(object->key);
    free(object->data);
    free(object->sum);
    free(object);
}

static void put_object(struct s3_server *s, const char *key, const char *data, size_t len,
                       const char *sum)
{
    struct s3_object **slot = find_slot(s, key), *object = mem_zalloc(sizeof *object);
    object->key = mem_strdup(key);
    object->data = mem_dup(data, len + 1);
    object->len = len;
    object->sum = mem_strdup(sum);
    snprintf(object->etag, sizeof object->etag, "\"%016llx\"",
             (unsigned long long)XXH3_64bits(data, len));
    object->next = *slot;
    if (*slot != NULL && strcmp((*slot)->key, key) == 0) {
        object->next = (*slot)->next;
        free_object(*slot);
    }
    *slot = object;
}

/* ---- answers ------------------------------------------------------------------------------------
 */

static void refuse(struct fake_conn *conn, unsigned status, const char *code)
{
    char *body = mem_printf("<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>%s</Message>"
                            "</Error>",
                            code, code);
    fake_answer(conn, status, "application/xml", body, strlen(body));
    free(body);
}

/* Sends an object's bytes, perhaps badly. */
static void send_bytes(struct fake_conn *conn, unsigned status, const char *data, size_t len,
                       enum s3_fault fault)
{
    char *copy = mem_dup(data, len + 1);
    if (fault == S3_FAULT_FLIP && len > 0)
        copy[len / 2] ^= 1;
    if (fault == S3_FAULT_CUT_BODY || fault == S3_FAULT_SLOW) {
        fake_begin(conn, status, "application/octet-stream");
        fake_write(conn, copy, len / 2);
        if (fault == S3_FAULT_SLOW)
            fake_wait_closed(conn);
        fake_drop(conn);
    } else {
        fake_answer(conn, status, "application/octet-stream", copy, len);
    }
    free(copy);
}

static void count_get(struct s3_server *s, const char *key, size_t from, size_t len)
{
    if (s->counted[0] != '\0' && strstr(key, s->counted) == NULL)
        return;
    s->gets++;
    s->bytes_sent += len;
    if (s->asked_n == S3_ASKED_MAX)
        return;
    struct s3_ask *ask = &s->asked[s->asked_n++];
    snprintf(ask->key, sizeof ask->key, "%s", key);
    ask->from = from;
    ask->len = len;
}

static void get_object(struct s3_server *s, struct fake_conn *conn,
                       const struct fake_request *request, const char *key, enum s3_fault fault)
{
    struct s3_object *object = find_object(s, key);
    unsigned long long from = 0, to = 0;
    char line[128];
    if (object == NULL) {
        refuse(conn, 404, "NoSuchKey");
        return;
    }
    const char *range = fake_header(request, "Range");
    int n = sscanf(range, "bytes=%llu-%llu", &from, &to);
    size_t len = object->len;
    fake_set_header(conn, "Last-Modified: Fri, 24 May 2013 00:00:00 GMT");
    snprintf(line, sizeof line, "ETag: %s", object->etag);
    fake_set_header(conn, line);
    if (object->sum[0] != '\0') {
        snprintf(line, sizeof line, "x-amz-meta-clusterd-xxh3: %s", object->sum);
        fake_set_header(conn, line);
    }
    if (n >= 1 && from >= len) {
        snprintf(line, sizeof line, "Content-Range: bytes */%zu", len);
        fake_set_header(conn, line);
        refuse(conn, 416, "InvalidRange");
        return;
    }
    if (n < 2 || to >= len)
        to = len > 0 ? len - 1 : 0;
    if (n >= 1) {
        snprintf(line, sizeof line, "Content-Range: bytes %llu-%llu/%zu", from, to, len);
        fake_set_header(conn, line);
    }
    size_t count = len > 0 ? (size_t)(to - from + 1) : 0;
    if (strcmp(request->method, "GET") == 0)
        count_get(s, key, (size_t)from, count);
    send_bytes(conn, n >= 1 ? 206 : 200, object->data + from, count, fault);
}

static void put_one(struct s3_server *s, struct fake_conn *conn, const struct fake_request *request,
                    const char *key, bool cut)
{
    if (strcmp(fake_header(request, "If-None-Match"), "*") == 0 && find_object(s, key) != NULL) {
        refuse(conn, 412, "PreconditionFailed");
        return;
    }
    put_object(s, key, request->body, request->body_len,
               fake_header(request, "x-amz-meta-clusterd-xxh3"));
    fake_set_header(conn, "ETag: \"etag\"");
    if (cut)
        fake_drop(conn);
    else
        fake_answer(conn, 200, NULL, "", 0);
}

static struct s3_upload **find_upload(struct s3_server *s, const char *id)
{
    struct s3_upload **slot = &s->uploads;
    while (*slot != NULL && strcmp((*slot)->id, id) != 0)
        slot = &(*slot)->next;
    return slot;
}

static void free_upload(struct s3_upload **slot)
{
    struct s3_upload *upload = *slot;
    *slot = upload->next;
    for (size_t i = 0; i < MEM_COUNT(upload->parts); i++)
        free(upload->parts[i]);
    free(upload->key);
    free(upload);
}

static void begin_upload(struct s3_server *s, struct fake_conn *conn, const char *key)
{
    struct s3_upload *upload = mem_zalloc(sizeof *upload);
    snprintf(upload->id, sizeof upload->id, "up&%u", ++s->uploads_made);
    upload->key = mem_strdup(key);
    upload->next = s->uploads;
    s->uploads = upload;
    char body[256];
    snprintf(body, sizeof body,
             "<InitiateMultipartUploadResult><UploadId>up&amp;%u</UploadId>"
             "</InitiateMultipartUploadResult>",
             s->uploads_made);
    fake_answer(conn, 200, "application/xml", body, strlen(body));
}

static void put_part(struct s3_server *s, struct fake_conn *conn,
                     const struct fake_request *request, const char *id)
{
    struct s3_upload *upload = *find_upload(s, id);
    unsigned number = (unsigned)atoi(fake_param(request, "partNumber"));
    char line[64];
    if (upload == NULL || number < 1 || number > MEM_COUNT(upload->parts)) {
        refuse(conn, 404, "NoSuchUpload");
        return;
    }
    free(upload->parts[number - 1]);
    upload->parts[number - 1] = mem_dup(request->body, request->body_len + 1);
    upload->lens[number - 1] = request->body_len;
    snprintf(line, sizeof line, "ETag: \"part%u\"", number);
    fake_set_header(conn, line);
    fake_answer(conn, 200, NULL, "", 0);
}

static void complete_upload(struct s3_server *s, struct fake_conn *conn,
                            const struct fake_request *request, const char *id)
{
    struct s3_upload **slot = find_upload(s, id);
    struct buf b;
    if (*slot == NULL) {
        refuse(conn, 404, "NoSuchUpload");
        return;
    }
    if (strcmp(fake_header(request, "If-None-Match"), "*") == 0 &&
        find_object(s, (*slot)->key) != NULL) {
        refuse(conn, 412, "PreconditionFailed");
        return;
    }
    buf_init(&b, 512 << 20);
    for (unsigned i = 0; i < MEM_COUNT((*slot)->parts); i++) {
        char part[64];
        snprintf(part, sizeof part, "<PartNumber>%u</PartNumber><ETag>\"part%u\"</ETag>", i + 1,
                 i + 1);
        if ((strstr(request->body, part) != NULL) != ((*slot)->parts[i] != NULL)) {
            buf_done(&b);
            refuse(conn, 400, "InvalidPart");
            return;
        }
        if ((*slot)->parts[i] != NULL)
            buf_append(&b, (*slot)->parts[i], (*slot)->lens[i]);
    }
    put_object(s, (*slot)->key, buf_cstr(&b), b.len, "");
    buf_done(&b);
    free_upload(slot);
    static const char body[] = "<CompleteMultipartUploadResult/>";
    fake_answer(conn, 200, "application/xml", body, sizeof body - 1);
}

static void list_objects(struct s3_server *s, struct fake_conn *conn,
                         const struct fake_request *request)
{
    char *prefix = mem_strdup(fake_param(request, "prefix"));
    char *after = mem_strdup(fake_param(request, "start-after"));
    unsigned max = (unsigned)atoi(fake_param(request, "max-keys")), n = 0;
    bool more = false;
    struct buf b;
    buf_init(&b, 512 << 20);
    if (max == 0 || max > S3_PAGE_MAX)
        max = S3_PAGE_MAX;
    for (struct s3_object *o = s->objects; o != NULL; o = o->next) {
        if (strncmp(o->key, prefix, strlen(prefix)) != 0 || strcmp(o->key, after) <= 0)
            continue;
        if (n == max) {
            more = true;
            break;
        }
        char *encoded = sigv4_encode(o->key, true);
        buf_printf(&b,
                   "<Contents><Key>%s</Key><LastModified>2013-05-24T00:00:00.000Z</LastModified>"
                   "<Size>%zu</Size></Contents>",
                   encoded, o->len);
        free(encoded);
        n++;
    }
    char *body = mem_printf("<ListBucketResult><IsTruncated>%s</IsTruncated>%s</ListBucketResult>",
                            more ? "true" : "false", buf_cstr(&b));
    fake_answer(conn, 200, "application/xml", body, strlen(body));
    free(body);
    free(prefix);
    free(after);
    buf_done(&b);
}

static void delete_object(struct s3_server *s, struct fake_conn *conn, const char *key)
{
    struct s3_object **slot = find_slot(s, key), *object = *slot;
    if (object != NULL && strcmp(object->key, key) == 0) {
        *slot = object->next;
        free_object(object);
    }
    fake_answer(conn, 204, NULL, "", 0);
}

static void route(struct s3_server *s, struct fake_conn *conn, const struct fake_request *request,
                  enum s3_fault fault)
{
    char *path = decode(request->path);
    const char *bucket = "/" S3_SERVER_BUCKET;
    size_t len = strlen(bucket);
    char *id = mem_strdup(fake_param(request, "uploadId"));
    const char *method = request->method;
    if (strncmp(path, bucket, len) != 0 || (path[len] != '/' && path[len] != '\0')) {
        refuse(conn, 404, "NoSuchBucket");
    } else if (path[len] == '\0') {
        list_objects(s, conn, request);
    } else {
        const char *key = path + len + 1;
        if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
            get_object(s, conn, request, key, fault);
        else if (strcmp(method, "PUT") == 0 && id[0] != '\0')
            put_part(s, conn, request, id);
        else if (strcmp(method, "PUT") == 0)
            put_one(s, conn, request, key, fault == S3_FAULT_CUT_AFTER);
        else if (strcmp(method, "POST") == 0 && id[0] != '\0')
            complete_upload(s, conn, request, id);
        else if (strcmp(method, "POST") == 0)
            begin_upload(s, conn, key);
        else if (id[0] != '\0' && *find_upload(s, id) != NULL) {
            free_upload(find_upload(s, id));
            fake_answer(conn, 204, NULL, "", 0);
        } else {
            delete_object(s, conn, key);
        }
    }
    free(path);
    free(id);
}

/* For tests in other processes: /control/fail?fault=503&skip=2&n=5, /control/reset?counted=TEXT,
 * /control/stats, /control/asked. */
static void control(struct s3_server *s, struct fake_conn *conn, const struct fake_request *request)
{
    static const char *const faults[] = {"none",      "403",      "500",  "503", "cut",
                                         "cut_after", "cut_body", "flip", "slow"};
    struct buf b;
    buf_init(&b, 4 << 20);
    if (strcmp(request->path, "/control/fail") == 0) {
        char *name = mem_strdup(fake_param(request, "fault"));
        for (unsigned i = 0; i < MEM_COUNT(faults); i++)
            if (strcmp(faults[i], name) == 0)
                s->fault = (enum s3_fault)i;
        s->fault_skip = (unsigned)atoi(fake_param(request, "skip"));
        s->fault_n = (unsigned)atoi(fake_param(request, "n"));
        free(name);
    } else if (strcmp(request->path, "/control/reset") == 0) {
        snprintf(s->counted_text, sizeof s->counted_text, "%s", fake_param(request, "counted"));
        s->counted = s->counted_text;
        s->gets = 0;
        s->bytes_sent = 0;
        s->asked_n = 0;
    } else if (strcmp(request->path, "/control/asked") == 0) {
        for (size_t i = 0; i < s->asked_n; i++)
            (void)buf_printf(&b, "%s %zu %zu\n", s->asked[i].key, s->asked[i].from,
                             s->asked[i].len);
    } else {
        unsigned objects = 0, uploads = 0;
        for (const struct s3_object *o = s->objects; o != NULL; o = o->next)
            objects++;
        for (const struct s3_upload *u = s->uploads; u != NULL; u = u->next)
            uploads++;
        (void)buf_printf(&b,
                         "{\"gets\":%u,\"bytes\":%zu,\"objects\":%u,\"uploads\":%u,"
                         "\"refused\":%u}\n",
                         s->gets, s->bytes_sent, objects, uploads, s->refused);
    }
    fake_answer(conn, 200, "application/json", buf_cstr(&b), b.len);
    buf_done(&b);
}

static void on_request(void *arg, struct fake_conn *conn, const struct fake_request *request)
{
    struct s3_server *s = arg;
    enum s3_fault fault = S3_FAULT_NONE;
    pthread_mutex_lock(&s->lock);
    if (strncmp(request->path, "/control/", 9) == 0) {
        control(s, conn, request);
        pthread_mutex_unlock(&s->lock);
        return;
    }
    const char *wrong = check_signature(request);
    if (s->fault_skip > 0) {
        s->fault_skip--;
    } else if (s->fault_n > 0) {
        s->fault_n--;
        fault = s->fault;
    }
    if (strcmp(request->method, "HEAD") == 0) /* the body that comes all the same is not read */
        fake_set_header(conn, "Connection: close");
    if (wrong != NULL) {
        s->refused++;
        refuse(conn, 403, wrong);
    } else if (fault == S3_FAULT_403) {
        refuse(conn, 403, "AccessDenied");
    } else if (fault == S3_FAULT_500 || fault == S3_FAULT_503) {
        refuse(conn, fault == S3_FAULT_500 ? 500 : 503,
               fault == S3_FAULT_500 ? "InternalError" : "SlowDown");
    } else if (fault == S3_FAULT_CUT) {
        fake_drop(conn);
    } else {
        route(s, conn, request, fault);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- life ---------------------------------------------------------------------------------------
 */

struct s3_server *s3_server_new(void)
{
    struct s3_server *s = mem_zalloc(sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->counted = "";
    s->api = fake_api_new(NULL, on_request, s);
    s->endpoint = mem_strdup(fake_api_endpoint(s->api));
    return s;
}

void s3_server_free(struct s3_server *s)
{
    fake_api_free(s->api);
    while (s->uploads != NULL)
        free_upload(&s->uploads);
    while (s->objects != NULL) {
        struct s3_object *next = s->objects->next;
        free_object(s->objects);
        s->objects = next;
    }
    pthread_mutex_destroy(&s->lock);
    free(s->endpoint);
    free(s);
}

const char *s3_server_endpoint(const struct s3_server *s)
{
    return s->endpoint;
}

void s3_server_fail(struct s3_server *s, enum s3_fault fault, unsigned skip, unsigned n)
{
    pthread_mutex_lock(&s->lock);
    s->fault = fault;
    s->fault_skip = skip;
    s->fault_n = n;
    pthread_mutex_unlock(&s->lock);
}

unsigned s3_server_requests(struct s3_server *s)
{
    return fake_api_requests(s->api);
}

static unsigned count(struct s3_server *s, unsigned (*fn)(const struct s3_server *s))
{
    pthread_mutex_lock(&s->lock);
    unsigned n = fn(s);
    pthread_mutex_unlock(&s->lock);
    return n;
}

static unsigned count_uploads(const struct s3_server *s)
{
    unsigned n = 0;
    for (const struct s3_upload *u = s->uploads; u != NULL; u = u->next)
        n++;
    return n;
}

static unsigned count_objects(const struct s3_server *s)
{
    unsigned n = 0;
    for (const struct s3_object *o = s->objects; o != NULL; o = o->next)
        n++;
    return n;
}

static unsigned count_refused(const struct s3_server *s)
{
    return s->refused;
}

unsigned s3_server_uploads(struct s3_server *s)
{
    return count(s, count_uploads);
}

unsigned s3_server_objects(struct s3_server *s)
{
    return count(s, count_objects);
}

unsigned s3_server_refused(struct s3_server *s)
{
    return count(s, count_refused);
}

size_t s3_server_bytes_sent(struct s3_server *s)
{
    pthread_mutex_lock(&s->lock);
    size_t n = s->bytes_sent;
    pthread_mutex_unlock(&s->lock);
    return n;
}
