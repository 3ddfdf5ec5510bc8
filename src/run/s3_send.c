#include "run/s3_send.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/prng.h"
#include "base/str.h"
#include "base/uuid.h"
#include "run/s3_keys.h"

enum {
    S3_ATTEMPTS = 6,
    S3_BACKOFF_MS = 100,
    S3_BACKOFF_MAX_MS = 10000,
    S3_PART_BYTES = 8 << 20,
    S3_IDLE_MS = 30000,
    S3_HEADERS_SENT_MAX = 16,
};

#define S3_EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct s3_client {
    struct loop *loop;
    struct http_client *http;
    struct s3_keys *keys;
    char *scheme; /* "http" or "https" */
    char *host;   /* with port */
    char *base;   /* path in front of everything, "" mostly */
    char *region;
    bool virtual_host;
    unsigned attempts_max, backoff_ms, idle_timeout_ms;
    uint64_t part_bytes;
    struct prng prng; /* jitter */
    TAILQ_HEAD(, s3_send) sends;
};

struct s3_send {
    TAILQ_ENTRY(s3_send) link;
    struct s3_client *client;
    struct s3_request request; /* strings are its own */
    struct http_call *call;
    struct loop_timer timer;
    unsigned tries;
    bool unsure;
    struct error error; /* of what never was sent */
    void (*on_retry)(void *arg);
    s3_answer_fn fn;
    void *arg;
};

static const struct log_about s3_log = {.role = "s3"};

/* ---- client ------------------------------------------------------------------------------------
 */

static int s3_client_endpoint(struct s3_client *client, const char *endpoint, struct error *e)
{
    const char *env = getenv("AWS_ENDPOINT_URL");
    char *own = NULL;
    if (endpoint == NULL || endpoint[0] == '\0')
        endpoint = env;
    if (endpoint == NULL || endpoint[0] == '\0')
        endpoint = own = mem_printf("https://s3.%s.amazonaws.com", client->region);
    bool tls = str_starts_with(endpoint, "https://");
    int err = 0;
    if (!tls && !str_starts_with(endpoint, "http://")) {
        err = error_set(e, ERR_INVALID, "%.200s: an S3 endpoint is written https://HOST[:PORT]",
                        endpoint);
    } else {
        const char *host = endpoint + (tls ? 8 : 7);
        size_t len = strcspn(host, "/");
        const char *path = host + len;
        size_t path_len = strlen(path);
        while (path_len > 0 && path[path_len - 1] == '/')
            path_len--;
        client->scheme = mem_strdup(tls ? "https" : "http");
        client->host = mem_strndup(host, len);
        client->base = mem_strndup(path, path_len);
        if (len == 0 || strpbrk(client->host, "@?# ") != NULL)
            err = error_set(e, ERR_INVALID, "%.200s: not an S3 endpoint", endpoint);
    }
    free(own);
    return err;
}

int s3_client_new(struct s3_client **out, struct loop *loop, struct http_client *http,
                  const struct object_s3_options *o, struct error *e)
{
    struct s3_client *client = mem_zalloc(sizeof *client);
    struct s3_keys_options keys = {o->access_key, o->secret_key, o->session_token,
                                   o->credentials_path};
    const char *region =
        o->region != NULL && o->region[0] != '\0' ? o->region : getenv("AWS_REGION");
    uint64_t seed;
    TAILQ_INIT(&client->sends);
    client->loop = loop;
    client->http = http;
    client->keys = s3_keys_new(&keys);
    client->region = mem_strdup(region != NULL && region[0] != '\0' ? region : "us-east-1");
    client->virtual_host = o->virtual_host;
    client->attempts_max = o->attempts_max > 0 ? o->attempts_max : S3_ATTEMPTS;
    client->backoff_ms = o->backoff_ms > 0 ? o->backoff_ms : S3_BACKOFF_MS;
    client->idle_timeout_ms = o->idle_timeout_ms > 0 ? o->idle_timeout_ms : S3_IDLE_MS;
    client->part_bytes = o->part_bytes > 0 ? o->part_bytes : S3_PART_BYTES;
    random_bytes(&seed, sizeof seed);
    prng_init(&client->prng, seed);
    int err = s3_client_endpoint(client, o->endpoint, e);
    if (err < 0) {
        s3_client_free(client);
        return err;
    }
    *out = client;
    return 0;
}

void s3_client_free(struct s3_client *client)
{
    struct s3_send *send;
    if (client == NULL)
        return;
    while ((send = TAILQ_FIRST(&client->sends)) != NULL)
        s3_send_cancel(send);
    s3_keys_free(client->keys);
    free(client->scheme);
    free(client->host);
    free(client->base);
    free(client->region);
    free(client);
}

uint64_t s3_client_part_bytes(const struct s3_client *client)
{
    return client->part_bytes;
}

/* ---- XML ---------------------------------------------------------------------------------------
 */

static size_t s3_entity(const char *text, char *out)
{
    static const struct {
        const char *name;
        char c;
    } names[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    for (size_t i = 0; i < MEM_COUNT(names); i++)
        if (str_starts_with(text, names[i].name)) {
            *out = names[i].c;
            return strlen(names[i].name);
        }
    *out = *text;
    return 1;
}

char *s3_xml(const char **at, const char *name)
{
    char *open = mem_printf("<%s>", name), *close = mem_printf("</%s>", name);
    const char *from = strstr(*at, open);
    const char *end = from != NULL ? strstr(from, close) : NULL;
    char *text = NULL;
    if (end != NULL) {
        size_t n = 0;
        from += strlen(open);
        text = mem_alloc((size_t)(end - from) + 1);
        while (from < end)
            from += s3_entity(from, &text[n++]);
        text[n] = '\0';
        *at = end + strlen(close);
    }
    free(open);
    free(close);
    return text;
}

/* ---- answers ------------------------------------------------------------------------------------
 */

static void s3_send_free(struct s3_send *send)
{
    struct s3_request *r = &send->request;
    loop_timer_stop(&send->timer);
    for (size_t i = 0; i < r->query_n; i++) {
        free((char *)(uintptr_t)r->query[i].name);
        free((char *)(uintptr_t)r->query[i].value);
    }
    for (size_t i = 0; i < r->headers_n; i++) {
        free((char *)(uintptr_t)r->headers[i].name);
        free((char *)(uintptr_t)r->headers[i].value);
    }
    free((char *)(uintptr_t)r->method);
    free((char *)(uintptr_t)r->bucket);
    free((char *)(uintptr_t)r->key);
    free((char *)(uintptr_t)r->payload_hash);
    free(send);
}

void s3_send_cancel(struct s3_send *send)
{
    TAILQ_REMOVE(&send->client->sends, send, link);
    if (send->call != NULL)
        http_call_cancel(send->call);
    s3_send_free(send);
}

static void s3_send_end(struct s3_send *send, int code, const char *text,
                        const struct http_answer *http)
{
    struct s3_answer answer = {
        .code = code, .text = text, .tries = send->tries, .unsure = send->unsure, .http = http};
    s3_answer_fn fn = send->fn;
    void *arg = send->arg;
    TAILQ_REMOVE(&send->client->sends, send, link);
    fn(arg, &answer);
    s3_send_free(send);
}

static bool s3_may_help(const struct http_answer *http)
{
    if (http->code < 0)
        return http->code == ERR_UNAVAILABLE || http->code == ERR_TIMEOUT ||
               http->code == ERR_CLOSED || http->code == ERR_PROTOCOL;
    return http->status == 409 || http->status == 429 || http->status == 500 ||
           http->status == 502 || http->status == 503 || http->status == 504;
}

static int s3_status_code(unsigned status, const char *name)
{
    switch (status) {
    case 301:
    case 307:
    case 308:
    case 400:
        return strcmp(name, "InvalidAccessKeyId") == 0 || strcmp(name, "ExpiredToken") == 0 ||
                       strcmp(name, "InvalidToken") == 0
                   ? ERR_UNAUTHORIZED
                   : ERR_INVALID;
    case 401:
        return ERR_UNAUTHORIZED;
    case 403:
        return strcmp(name, "AccessDenied") == 0 || name[0] == '\0' ? ERR_FORBIDDEN
                                                                    : ERR_UNAUTHORIZED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 412:
        return ERR_EXISTS;
    case 416:
        return ERR_INVALID;
    case 501:
        return ERR_UNSUPPORTED;
    default:
        return ERR_UNAVAILABLE;
    }
}

static const char *s3_advice(unsigned status, const char *name)
{
    if (strcmp(name, "NoSuchBucket") == 0)
        return ": the bucket does not exist: make it, or see sql.store and sql.s3_endpoint";
    if (strcmp(name, "RequestTimeTooSkewed") == 0)
        return ": the clock of this machine is wrong";
    if (strcmp(name, "InvalidAccessKeyId") == 0 || strcmp(name, "SignatureDoesNotMatch") == 0)
        return ": the S3 credentials are wrong: see sql.s3_access_key and sql.s3_credentials";
    if (status == 403)
        return ": the S3 credentials do not allow this";
    if (status == 301 || status == 307)
        return ": the bucket is in another region: set sql.s3_region";
    return "";
}

static void s3_send_explain(const struct s3_send *send, const struct http_answer *http,
                            struct error *e)
{
    const struct s3_request *r = &send->request;
    const char *at = http->body != NULL ? http->body : "";
    const char *separator = r->key[0] != '\0' ? "/" : "";
    char *name = s3_xml(&at, "Code");
    const char *known = name != NULL ? name : "";
    if (http->code < 0)
        (void)error_set(e, http->code == ERR_CLOSED ? ERR_UNAVAILABLE : http->code,
                        "s3://%s%s%s: %s after %u tries: %.200s", r->bucket, separator, r->key,
                        err_text(http->code), send->tries, http->text);
    else
        (void)error_set(
            e, s3_status_code(http->status, known), "s3://%s%s%s: the store answered %u%s%.60s%s%s",
            r->bucket, separator, r->key, http->status, known[0] != '\0' ? " " : "", known,
            s3_advice(http->status, known), http->status >= 500 ? ", again and again" : "");
    free(name);
}

static void s3_send_on_answer(void *arg, const struct http_answer *http)
{
    struct s3_send *send = arg;
    struct error e;
    send->call = NULL;
    if (http->code == 0 && http->status >= 200 && http->status < 300) {
        s3_send_end(send, 0, "", http);
        return;
    }
    s3_send_explain(send, http, &e);
    if (!s3_may_help(http) || send->tries >= send->client->attempts_max) {
        s3_send_end(send, e.code, e.text, http->code == 0 ? http : NULL);
        return;
    }
    send->unsure |= http->code < 0 || http->status >= 500;
    uint64_t pause = send->client->backoff_ms;
    for (unsigned i = 1; i < send->tries && pause < S3_BACKOFF_MAX_MS; i++)
        pause *= 2;
    if (pause > S3_BACKOFF_MAX_MS)
        pause = S3_BACKOFF_MAX_MS;
    pause = prng_between(&send->client->prng, pause / 2, pause);
    log_debug(&s3_log, "%s: trying again in %" PRIu64 " ms", e.text, pause);
    if (send->on_retry != NULL)
        send->on_retry(send->arg);
    loop_timer_start(&send->timer, (int64_t)pause);
}

/* ---- sending ------------------------------------------------------------------------------------
 */

static char *s3_header(const char *name, const char *value)
{
    return mem_printf("%s: %s", name, value);
}

/* Signs and sends; everything that is signed is sent, and host by libcurl itself. */
static void s3_send_sign(struct s3_send *send, const char *access_key, const char *secret_key,
                         const char *token)
{
    struct s3_client *client = send->client;
    const struct s3_request *r = &send->request;
    const char *headers[S3_HEADERS_SENT_MAX + 1] = {NULL};
    char date[SIGV4_DATE_MAX];
    size_t n = 0;
    const char *hash = r->payload_hash != NULL ? r->payload_hash : S3_EMPTY_HASH;
    char *host = client->virtual_host ? mem_printf("%s.%s", r->bucket, client->host)
                                      : mem_strdup(client->host);
    char *path = client->virtual_host ? mem_printf("%s/%s", client->base, r->key)
                 : r->key[0] != '\0'  ? mem_printf("%s/%s/%s", client->base, r->bucket, r->key)
                                      : mem_printf("%s/%s", client->base, r->bucket);
    struct sigv4_request sign = {.method = r->method, .path = path, .payload_hash = hash};
    memcpy(sign.query, r->query, r->query_n * sizeof *r->query);
    sign.query_n = r->query_n;
    memcpy(sign.headers, r->headers, r->headers_n * sizeof *r->headers);
    sign.headers_n = r->headers_n;
    sign.headers[sign.headers_n++] = (struct sigv4_pair){"x-amz-content-sha256", hash};
    if (token != NULL)
        sign.headers[sign.headers_n++] = (struct sigv4_pair){"x-amz-security-token", token};
    for (size_t i = 0; i < sign.headers_n; i++)
        headers[n++] = s3_header(sign.headers[i].name, sign.headers[i].value);
    sign.headers[sign.headers_n++] = (struct sigv4_pair){"host", host};
    struct sigv4_credentials keys = {access_key, secret_key, client->region, "s3"};
    (void)sigv4_date(loop_wall_ms(client->loop), date);
    char *authorization = sigv4_authorize(&sign, &keys, date);
    headers[n++] = s3_header("Authorization", authorization);
    headers[n++] = s3_header("x-amz-date", date);
    headers[n++] = s3_header("Content-Type", "application/octet-stream");
    headers[n++] = s3_header("Expect", "");
    char *encoded = sigv4_encode(path, true), *query = sigv4_query(&sign);
    char *url =
        mem_printf("%s://%s%s%s%s", client->scheme, host, encoded, query[0] ? "?" : "", query);
    struct http_call_options options = {.method = r->method,
                                        .url = url,
                                        .headers = headers,
                                        .body = r->body,
                                        .body_len = r->body_len,
                                        .body_max = r->bytes_max,
                                        .idle_timeout_ms = client->idle_timeout_ms,
                                        .redirects_max = -1,
                                        .on_done = s3_send_on_answer,
                                        .arg = send};
    send->call = http_client_call(client->http, &options);
    for (size_t i = 0; i < n; i++)
        free((char *)(uintptr_t)headers[i]);
    free(authorization);
    free(host);
    free(path);
    free(encoded);
    free(query);
    free(url);
}

static void s3_send_try(void *arg)
{
    struct s3_send *send = arg;
    const char *access_key, *secret_key, *token;
    if (send->error.code < 0) {
        s3_send_end(send, send->error.code, send->error.text, NULL);
        return;
    }
    send->tries++;
    if (s3_keys_get(send->client->keys, &access_key, &secret_key, &token, &send->error) < 0)
        loop_timer_start(&send->timer, 0);
    else
        s3_send_sign(send, access_key, secret_key, token);
}

static struct sigv4_pair s3_pair_copy(struct sigv4_pair pair)
{
    return (struct sigv4_pair){mem_strdup(pair.name), mem_strdup(pair.value)};
}

struct s3_send *s3_send(struct s3_client *client, const struct s3_request *request,
                        void (*on_retry)(void *arg), s3_answer_fn fn, void *arg)
{
    struct s3_send *send = mem_zalloc(sizeof *send);
    send->client = client;
    send->request = *request;
    send->request.method = mem_strdup(request->method);
    send->request.bucket = mem_strdup(request->bucket);
    send->request.key = mem_strdup(request->key);
    send->request.payload_hash = mem_strdup(request->payload_hash);
    for (size_t i = 0; i < request->query_n; i++)
        send->request.query[i] = s3_pair_copy(request->query[i]);
    for (size_t i = 0; i < request->headers_n; i++)
        send->request.headers[i] = s3_pair_copy(request->headers[i]);
    send->on_retry = on_retry;
    send->fn = fn;
    send->arg = arg;
    loop_timer_init(&send->timer, client->loop, s3_send_try, send);
    TAILQ_INSERT_TAIL(&client->sends, send, link);
    s3_send_try(send);
    return send;
}
