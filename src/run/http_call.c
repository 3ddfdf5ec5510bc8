/* A call's options become those of a libcurl handle, its end becomes an answer: libcurl's result
 * and what the body callbacks found are put into one code and one sentence that names method and
 * URL. */
#include "run/http_call.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum {
    HTTP_CALL_MEMORY_BYTES_MAX = 16 * 1024 * 1024,
    HTTP_CALL_CONNECT_TIMEOUT_MS = 10000,
    HTTP_CALL_IDLE_TIMEOUT_MS = 30000,
    HTTP_CALL_REDIRECTS_MAX = 10,
    HTTP_CALL_PROGRESS_MS = 100,
    HTTP_CALL_URL_TEXT_MAX = 200
};
static const uint64_t http_call_file_bytes_max = UINT64_C(16) << 30;

/* What may be shown of a URL: no user, password, query. */
static char *http_call_public_url(const char *url)
{
    const char *rest = strstr(url, "://");
    size_t scheme = rest != NULL ? (size_t)(rest - url) + 3 : 0;
    rest = url + scheme;
    const char *at = memchr(rest, '@', strcspn(rest, "/?#"));
    if (at != NULL)
        rest = at + 1;
    size_t len = strcspn(rest, "?#");
    char *text = mem_printf("%.*s%.*s", (int)scheme, url, (int)len, rest);
    char *safe = str_printable(text, strlen(text), false);
    free(text);
    if (strlen(safe) > HTTP_CALL_URL_TEXT_MAX)
        (void)strcpy(safe + HTTP_CALL_URL_TEXT_MAX - 3, "...");
    return safe;
}

static int http_call_on_progress(void *arg, curl_off_t total, curl_off_t received,
                                 curl_off_t upload_total, curl_off_t sent)
{
    (void)upload_total;
    (void)sent;
    struct http_call *call = arg;
    uint64_t now = uv_now(call->client->loop);
    if (received > 0 && now - call->progress_at_ms >= HTTP_CALL_PROGRESS_MS) {
        call->progress_at_ms = now;
        call->on_progress(call->arg, (uint64_t)received, (uint64_t)total);
    }
    return 0;
}

static void http_call_set_headers(struct http_call *call, const struct http_call_options *o)
{
    bool has_type = false;
    for (size_t i = 0; o->headers != NULL && o->headers[i] != NULL; i++) {
        call->headers = curl_slist_append(call->headers, o->headers[i]);
        has_type = has_type || strncasecmp(o->headers[i], "Content-Type:", 13) == 0;
    }
    bool has_body = o->body != NULL || o->body_fd_len > 0;
    if (!has_type) /* without a value libcurl sends none; its own default is a form */
        call->headers = curl_slist_append(call->headers, has_body ? "Content-Type: application/json"
                                                                  : "Content-Type:");
    (void)curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

static void http_call_set_body(struct http_call *call, const struct http_call_options *o)
{
    CURL *easy = call->easy;
    bool post = strcmp(call->method, "POST") == 0;
    if (o->body_fd_len > 0) {
        call->source.fd = fcntl(o->body_fd, F_DUPFD_CLOEXEC, 0);
        call->source.len = o->body_fd_len;
        (void)curl_easy_setopt(easy, post ? CURLOPT_POST : CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(easy, post ? CURLOPT_POSTFIELDSIZE_LARGE : CURLOPT_INFILESIZE_LARGE,
                               (curl_off_t)o->body_fd_len);
        (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, http_call_on_read);
        (void)curl_easy_setopt(easy, CURLOPT_READDATA, call);
        (void)curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, http_call_on_seek);
        (void)curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
    } else if (o->body != NULL || post) {
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_len);
        (void)curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, o->body != NULL ? o->body : "");
    }
    if (strcmp(call->method, "HEAD") == 0)
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else
        (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static void http_call_set_limits(struct http_call *call, const struct http_call_options *o)
{
    CURL *easy = call->easy;
    unsigned idle_ms = o->idle_timeout_ms != 0 ? o->idle_timeout_ms : HTTP_CALL_IDLE_TIMEOUT_MS;
    unsigned connect_ms =
        o->connect_timeout_ms != 0 ? o->connect_timeout_ms : HTTP_CALL_CONNECT_TIMEOUT_MS;
    int redirects = o->redirects_max != 0 ? o->redirects_max : HTTP_CALL_REDIRECTS_MAX;
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(idle_ms + 999) / 1000);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)o->total_timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, redirects > 0 ? 1L : 0L);
    (void)curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)redirects);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    uint64_t body_max = o->to_fd ? http_call_file_bytes_max : HTTP_CALL_MEMORY_BYTES_MAX;
    call->body_max = o->body_max != 0 ? o->body_max : body_max;
    (void)curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)call->body_max);
    size_t memory_max = o->to_fd ? HTTP_CLIENT_ERROR_BYTES_MAX : call->body_max;
    if (memory_max < HTTP_CLIENT_ERROR_BYTES_MAX)
        memory_max = HTTP_CLIENT_ERROR_BYTES_MAX;
    buf_init(&call->body, memory_max);
}

static void http_call_set_access(struct http_call *call, const struct http_call_options *o)
{
    CURL *easy = call->easy;
    if (o->unix_path != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, o->unix_path);
    if (o->token != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        (void)curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, o->token);
    }
    if (o->unix_path != NULL || o->token != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (call->client->ca_path != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, call->client->ca_path);
    if (call->client->cert_path != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_SSLCERT, call->client->cert_path);
        (void)curl_easy_setopt(easy, CURLOPT_SSLKEY, call->client->key_path);
    }
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, call->client->user_agent);
}

struct http_call *http_call_new(struct http_client *client, const struct http_call_options *o)
{
    struct http_call *call = mem_zalloc(sizeof *call);
    bool has_body = o->body != NULL || o->body_fd_len > 0;
    call->client = client;
    call->easy = curl_easy_init();
    if (call->easy == NULL)
        abort(); /* out of memory */
    call->method = mem_strdup(o->method != NULL ? o->method : has_body ? "POST" : "GET");
    call->url = http_call_public_url(o->url);
    call->source.fd = -1;
    call->target.fd = o->to_fd ? o->out_fd : -1;
    call->on_progress = o->on_progress;
    call->on_done = o->on_done;
    call->arg = o->arg;

    CURL *easy = call->easy;
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    (void)curl_easy_setopt(easy, CURLOPT_URL, o->url);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->curl_text);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, http_call_on_write);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    if (call->on_progress != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
        (void)curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, http_call_on_progress);
        (void)curl_easy_setopt(easy, CURLOPT_XFERINFODATA, call);
    }
    http_call_set_limits(call, o);
    http_call_set_access(call, o);
    http_call_set_headers(call, o);
    http_call_set_body(call, o);
    if (strlen(o->url) > HTTP_CLIENT_URL_BYTES_MAX) {
        call->code = ERR_INVALID;
        (void)strcpy(call->why, "the URL is too long");
    } else if (o->body_fd_len > 0 && call->source.fd < 0) {
        call->code = -errno;
        (void)snprintf(call->why, sizeof call->why, "%s", strerror(errno));
    }
    return call;
}

static int http_call_code(CURLcode result)
{
    switch (result) {
    case CURLE_OK:
        return 0;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        return ERR_INVALID;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return ERR_UNAVAILABLE;
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return ERR_CLOSED;
    case CURLE_FILESIZE_EXCEEDED:
        return ERR_TOO_LARGE;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return ERR_UNAUTHORIZED;
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return ERR_PROTOCOL;
    default:
        return ERR_INTERNAL;
    }
}

/* The sentence for a failed call, in `full_text`. */
static const char *http_call_explain(struct http_call *call, CURLcode result, uint64_t total)
{
    const char *why = call->curl_text[0] != '\0' ? call->curl_text : curl_easy_strerror(result);
    char got[STR_SHORT_MAX];
    char all[STR_SHORT_MAX];
    char cut[128];
    if (call->code != 0) {
        why = call->why;
    } else if (result == CURLE_PARTIAL_FILE || (result == CURLE_RECV_ERROR && call->received > 0)) {
        (void)snprintf(cut, sizeof cut, "the connection was closed after %s of %s",
                       str_format_bytes(call->received, got),
                       total > 0 ? str_format_bytes(total, all) : "an unknown number of bytes");
        why = cut;
    } else if (result == CURLE_FILESIZE_EXCEEDED) {
        (void)snprintf(cut, sizeof cut, "the answer is larger than %s",
                       str_format_bytes(call->body_max, all));
        why = cut;
    } else if (result == CURLE_TOO_MANY_REDIRECTS) {
        why = "redirected too often, maybe in a loop";
    }
    (void)snprintf(call->full_text, sizeof call->full_text, "%.16s %s: %s", call->method, call->url,
                   why);
    return call->full_text;
}

static void http_call_close_target(struct http_call *call)
{
    if (call->target.fd >= 0)
        (void)close(call->target.fd);
    call->target.fd = -1;
}

static void http_call_answer(struct http_call *call)
{
    CURLcode result = call->result;
    long status = 0;
    curl_off_t total = 0;
    const char *type = NULL;
    (void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type);
    (void)curl_easy_getinfo(call->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
    int code = call->code != 0 ? call->code : http_call_code(result);
    struct http_answer answer = {
        .code = code,
        .text = code != 0 ? http_call_explain(call, result, total > 0 ? (uint64_t)total : 0) : "",
        .status = (unsigned)status,
        .type = type != NULL ? type : "",
        .body = buf_cstr(&call->body),
        .body_len = call->body.len,
        .bytes_received = call->received,
        .xxh3 = call->xxh3,
        .call = call,
    };
    http_call_close_target(call);
    http_call_leave(call);
    call->on_done(call->arg, &answer);
    http_call_end(call);
}

static void http_call_on_stored(void *arg, int rc)
{
    struct http_call *call = arg;
    call->target.sink = NULL;
    if (rc != 0) {
        call->code = rc;
        (void)snprintf(call->why, sizeof call->why, "%s", err_text(rc));
    }
    http_call_answer(call);
}

static void http_call_on_sink_gone(void *arg)
{
    struct http_call *call = arg;
    call->target.sink = NULL;
    if (call->state == HTTP_CALL_ENDED)
        http_call_release(call);
    else
        http_call_answer(call);
}

static void http_call_drop_target(struct http_call *call)
{
    call->target.dropping = true;
    file_sink_cancel(call->target.sink, http_call_on_sink_gone, call);
}

void http_call_finish(struct http_call *call, CURLcode result)
{
    struct http_call_target *target = &call->target;
    call->result = result;
    if (target->sink == NULL)
        http_call_answer(call);
    else if (result != CURLE_OK || call->code != 0)
        http_call_drop_target(call);
    else if (target->left_used == target->left_len) {
        call->xxh3 = file_sink_xxh3(target->sink);
        file_sink_finish(target->sink, false, http_call_on_stored, call);
    }
}

const char *http_answer_header(const struct http_answer *answer, const char *name)
{
    struct curl_header *header;
    if (curl_easy_header(answer->call->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    return header->value;
}

size_t http_answer_fields(const struct http_answer *answer, const char *name, char *out,
                          size_t out_max)
{
    struct curl_header *header;
    size_t len = 0;
    size_t found = 0;
    assert(out_max > 0);
    out[0] = '\0';
    while (curl_easy_header(answer->call->easy, name, found, CURLH_HEADER, -1, &header) ==
           CURLHE_OK) {
        int n = snprintf(out + len, out_max - len, "%s%s", found > 0 ? ", " : "", header->value);
        if (n < 0 || (size_t)n >= out_max - len)
            break;
        len += (size_t)n;
        found++;
    }
    return found;
}

const char *http_answer_url(const struct http_answer *answer)
{
    const char *url = NULL;
    (void)curl_easy_getinfo(answer->call->easy, CURLINFO_EFFECTIVE_URL, &url);
    return url != NULL ? url : "";
}

static void http_call_free(struct http_call *call)
{
    struct http_client *client = call->client;
    if (call->source.fd >= 0)
        (void)close(call->source.fd);
    http_call_close_target(call);
    free(call->source.block);
    free(call->target.left);
    free(call->method);
    free(call->url);
    buf_done(&call->body);
    free(call);
    http_client_call_gone(client);
}

void http_call_release(struct http_call *call)
{
    if (call->target.sink == NULL && !call->source.reading)
        http_call_free(call);
}

void http_call_leave(struct http_call *call)
{
    struct http_client *client = call->client;
    assert(call->state != HTTP_CALL_ENDED);
    if (call->state == HTTP_CALL_WAITING)
        TAILQ_REMOVE(&client->waiting, call, entry);
    else
        TAILQ_REMOVE(&client->running, call, entry);
    call->state = HTTP_CALL_ENDED;
}

void http_call_end(struct http_call *call)
{
    assert(call->state == HTTP_CALL_ENDED);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    if (call->target.sink == NULL)
        http_call_release(call);
    else if (!call->target.dropping)
        http_call_drop_target(call);
}
