#include "run/trace_export.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "run/http_client.h"

enum { TRACE_EXPORT_PAUSE_MS_MAX = 30000 };

struct trace_export {
    struct loop *loop;
    struct http_client *http;
    char *url;
    char *token;
    char *headers[TRACE_EXPORT_HEADERS_MAX + 1]; /* "Name: value", NULL at the end */
    char *service, *version, *instance, *node, *cluster;
    int64_t interval_ms;
    struct loop_timer timer;
    struct trace_spans batch; /* being sent, or to be sent again */
    size_t batch_n;
    unsigned tries;
    struct http_call *call;
    int64_t complained_ms; /* 0: never */
    uint64_t dropped;      /* since the last complaint */
    struct loop_timer limit;
    void (*finished)(void *arg); /* NULL: it goes on */
    void *finished_arg;
};

static void trace_export_on_timer(void *arg);
static void trace_export_finish_step(struct trace_export *export, bool good);

/* ---- options --------------------------------------------------------------------------------- */

static int trace_export_set_url(struct trace_export *export, const char *url, struct error *e)
{
    size_t scheme = str_starts_with(url, "http://")    ? strlen("http://")
                    : str_starts_with(url, "https://") ? strlen("https://")
                                                       : 0;
    const char *host = url + scheme;
    if (scheme == 0 || host[0] == '\0' || host[0] == '/' || strlen(url) > 1024)
        return error_set(e, ERR_INVALID,
                         "trace.endpoint must be http://HOST:PORT or https://HOST:PORT, with the "
                         "path of the collector or without");
    const char *path = strchr(host, '/');
    if (path == NULL)
        export->url = mem_printf("%s/v1/traces", url);
    else if (path[1] == '\0')
        export->url = mem_printf("%sv1/traces", url);
    else
        export->url = mem_strdup(url);
    return 0;
}

static int trace_export_set_headers(struct trace_export *export,
                                    const struct trace_export_options *options, struct error *e)
{
    if (options->headers_n > TRACE_EXPORT_HEADERS_MAX)
        return error_set(e, ERR_TOO_LARGE, "trace.headers has more than %d headers",
                         TRACE_EXPORT_HEADERS_MAX);
    for (size_t i = 0; i < options->headers_n; i++) {
        const char *header = options->headers[i];
        const char *equals = strchr(header, '=');
        size_t len = equals != NULL ? (size_t)(equals - header) : 0;
        bool good = len > 0 && strpbrk(equals, "\r\n") == NULL;
        for (size_t k = 0; k < len; k++)
            good = good && header[k] > ' ' && header[k] < 127 && header[k] != ':';
        if (!good)
            return error_set(e, ERR_INVALID, "trace.headers: number %zu must be NAME=VALUE", i + 1);
        export->headers[i] = mem_printf("%.*s: %s", (int)len, header, equals + 1);
    }
    return 0;
}

/* ---- the end of a batch ---------------------------------------------------------------------- */

static void trace_export_count(const char *result, uint64_t n)
{
    if (n > 0)
        metric_series_add(metric_series(METRIC_TRACE_SPANS, result), n);
}

static void trace_export_batch_over(struct trace_export *export, uint64_t dropped)
{
    trace_export_count("dropped", dropped);
    trace_export_count("sent", export->batch_n - dropped);
    export->dropped += dropped;
    trace_free_all(&export->batch);
    export->batch_n = 0;
    export->tries = 0;
}

static void trace_export_complain(struct trace_export *export, int code, const char *what)
{
    int64_t now_ms = loop_now_ms(export->loop);
    if (export->complained_ms != 0 && now_ms - export->complained_ms < TRACE_EXPORT_COMPLAIN_MS)
        return;
    char *safe = str_printable(what, strnlen(what, 300), false);
    log_warn(LOG_ABOUT(.role = "trace", .code = code),
             "spans cannot be sent to the collector (trace.endpoint): %s; %llu were dropped", safe,
             (unsigned long long)export->dropped);
    free(safe);
    export->complained_ms = now_ms;
    export->dropped = 0;
}

static bool trace_export_may_pass(const struct http_answer *answer)
{
    if (answer->code != 0)
        return answer->code == ERR_UNAVAILABLE || answer->code == ERR_TIMEOUT ||
               answer->code == ERR_CLOSED;
    return answer->status == 429 || answer->status == 502 || answer->status == 503 ||
           answer->status == 504;
}

/* {"partialSuccess":{"rejectedSpans":"3","errorMessage":"..."}}: it took the others. */
static uint64_t trace_export_rejected(const struct http_answer *answer, char text[static 256])
{
    json_t *body = json_loadb(answer->body, answer->body_len, 0, NULL);
    const json_t *partial = json_object_get(body, "partialSuccess");
    const json_t *rejected = json_object_get(partial, "rejectedSpans");
    const char *message = json_string_value(json_object_get(partial, "errorMessage"));
    long long n = json_is_string(rejected) ? strtoll(json_string_value(rejected), NULL, 10)
                                           : json_integer_value(rejected);
    (void)snprintf(text, 256, "it rejects some: %s", message != NULL ? message : "");
    json_decref(body);
    return n > 0 ? (uint64_t)n : 0;
}

static void trace_export_failed(struct trace_export *export, const struct http_answer *answer)
{
    char text[512];
    if (answer->code != 0)
        (void)snprintf(text, sizeof text, "%s", answer->text);
    else
        (void)snprintf(text, sizeof text, "%s answers %u %.200s", export->url, answer->status,
                       answer->body);
    bool again = trace_export_may_pass(answer) && ++export->tries < TRACE_EXPORT_TRIES_MAX;
    int64_t pause_ms = export->interval_ms << export->tries;
    if (!again)
        trace_export_batch_over(export, export->batch_n);
    trace_export_complain(export, answer->code != 0 ? answer->code : ERR_PROTOCOL, text);
    loop_timer_start(&export->timer, !again ? export->interval_ms
                                     : pause_ms < TRACE_EXPORT_PAUSE_MS_MAX
                                         ? pause_ms
                                         : TRACE_EXPORT_PAUSE_MS_MAX);
}

static void trace_export_on_done(void *arg, const struct http_answer *answer)
{
    struct trace_export *export = arg;
    char text[256];
    export->call = NULL;
    bool good = answer->code == 0 && answer->status >= 200 && answer->status < 300;
    metric_series_add(metric_series(METRIC_TRACE_EXPORTS, good ? "ok" : "failed"), 1);
    if (export->finished != NULL) {
        trace_export_batch_over(export, good ? 0 : export->batch_n);
        trace_export_finish_step(export, good);
        return;
    }
    if (!good) {
        trace_export_failed(export, answer);
        return;
    }
    uint64_t rejected = trace_export_rejected(answer, text);
    if (rejected > export->batch_n)
        rejected = export->batch_n;
    trace_export_batch_over(export, rejected);
    if (rejected > 0)
        trace_export_complain(export, ERR_INVALID, text);
    bool more = trace_waiting() >= TRACE_EXPORT_BATCH_MAX;
    loop_timer_start(&export->timer, more ? 0 : export->interval_ms);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void trace_export_send(struct trace_export *export)
{
    struct trace_resource resource = {.service = export->service,
                                      .version = export->version,
                                      .instance = export->instance,
                                      .node = export->node,
                                      .cluster = export->cluster};
    struct buf body;
    buf_init(&body, TRACE_EXPORT_BYTES_MAX);
    if (trace_write(&body, &resource, &export->batch) < 0) {
        trace_export_batch_over(export, export->batch_n); /* 512 spans of the largest size fit */
        loop_timer_start(export->finished != NULL ? &export->limit : &export->timer,
                         export->finished != NULL ? 0 : export->interval_ms);
        buf_done(&body);
        return;
    }
    struct http_call_options call = {
        .method = "POST",
        .url = export->url,
        .headers = (const char *const *)export->headers,
        .token = export->token,
        .body = body.data,
        .body_len = body.len,
        .body_max = 64 * 1024,
        .connect_timeout_ms = TRACE_EXPORT_TIMEOUT_MS / 2,
        .total_timeout_ms = TRACE_EXPORT_TIMEOUT_MS,
        .redirects_max = -1,
        .on_done = trace_export_on_done,
        .arg = export,
    };
    export->call = http_client_call(export->http, &call);
    buf_done(&body);
}

static void trace_export_on_timer(void *arg)
{
    struct trace_export *export = arg;
    if (export->batch_n == 0)
        export->batch_n = trace_take(&export->batch, TRACE_EXPORT_BATCH_MAX);
    if (export->batch_n > 0)
        trace_export_send(export);
    else
        loop_timer_start(&export->timer, export->interval_ms);
}

/* ---- the end ----------------------------------------------------------------------------------
 */

static void trace_export_over(struct trace_export *export)
{
    void (*done)(void *arg) = export->finished;
    size_t waiting = export->batch_n + trace_waiting();
    loop_timer_stop(&export->limit);
    if (waiting > 0 || export->dropped > 0)
        log_warn(LOG_ABOUT(.role = "trace"),
                 "%llu spans were not sent to the collector (trace.endpoint) before the stop",
                 (unsigned long long)(waiting + export->dropped));
    export->finished = NULL;
    done(export->finished_arg);
}

static void trace_export_on_limit(void *arg)
{
    struct trace_export *export = arg;
    if (export->call != NULL)
        http_call_cancel(export->call);
    export->call = NULL;
    trace_export_over(export);
}

/* One batch after the other, while the collector takes them. */
static void trace_export_finish_step(struct trace_export *export, bool good)
{
    if (good && export->batch_n == 0)
        export->batch_n = trace_take(&export->batch, TRACE_EXPORT_BATCH_MAX);
    if (!good || export->batch_n == 0)
        trace_export_over(export);
    else
        trace_export_send(export);
}

void trace_export_finish(struct trace_export *export, void (*done)(void *arg), void *arg)
{
    assert(export->finished == NULL);
    export->finished = done;
    export->finished_arg = arg;
    loop_timer_stop(&export->timer);
    loop_timer_start(&export->limit, TRACE_EXPORT_FINISH_MS);
    if (export->call == NULL)
        trace_export_finish_step(export, true);
}

/* ---- life ------------------------------------------------------------------------------------ */

int trace_export_new(const struct trace_export_options *options, struct trace_export **out,
                     struct error *e)
{
    struct trace_export *export = mem_zalloc(sizeof *export);
    export->loop = options->loop;
    export->http = options->http;
    export->interval_ms = options->interval_ms > 0 ? options->interval_ms : TRACE_EXPORT_MS;
    export->service = mem_strdup(options->resource.service);
    export->version = mem_strdup(options->resource.version);
    export->instance = mem_strdup(options->resource.instance);
    export->node = mem_strdup(options->resource.node);
    export->cluster = mem_strdup(options->resource.cluster);
    if (options->token != NULL && options->token[0] != '\0')
        export->token = mem_strdup(options->token);
    STAILQ_INIT(&export->batch);
    loop_timer_init(&export->timer, export->loop, trace_export_on_timer, export);
    loop_timer_init(&export->limit, export->loop, trace_export_on_limit, export);
    int err = trace_export_set_url(export, options->url, e);
    if (err == 0)
        err = trace_export_set_headers(export, options, e);
    if (err < 0) {
        trace_export_free(export);
        return err;
    }
    loop_timer_start(&export->timer, export->interval_ms);
    *out = export;
    return 0;
}

void trace_export_set_cluster(struct trace_export *export, const char *cluster)
{
    free(export->cluster);
    export->cluster = mem_strdup(cluster);
}

void trace_export_free(struct trace_export *export)
{
    if (export == NULL)
        return;
    if (export->call != NULL)
        http_call_cancel(export->call);
    loop_timer_stop(&export->timer);
    loop_timer_stop(&export->limit);
    trace_free_all(&export->batch);
    for (unsigned i = 0; i < TRACE_EXPORT_HEADERS_MAX; i++)
        free(export->headers[i]);
    free(export->url);
    free(export->token);
    free(export->service);
    free(export->version);
    free(export->instance);
    free(export->node);
    free(export->cluster);
    free(export);
}
