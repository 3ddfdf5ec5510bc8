/* Happy path: the leader says where the element's latest attempt is; its output came with the
 * answer or is read from its node; with `follow` this goes on until the element has ended.
 *
 * While an element waits for a node, or its attempt is neither here nor over, the leader is asked
 * again. An attempt that was lost or failed and has a successor: the successor's output is given
 * when nothing of the first had been, else the connection is broken off, so that no reader takes
 * two halves for a whole. Errors before the first byte are answers, later ones break off too. */
#include "role/output_api.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/scheduler.h"
#include "role/lookup.h"
#include "role/node.h"
#include "role/output_stream.h"

enum {
    OUTPUT_API_POLL_MS = 200,    /* for an element that waits */
    OUTPUT_API_POLL_MS_MIN = 10, /* for the leader to hear of an end */
    OUTPUT_API_MISSES_MAX = 50,  /* in a row, of output that should be there */
    OUTPUT_API_JOB_BYTES_MAX = 64,
};

static const struct log_about output_log = {.role = "gateway"};

struct output_api_request {
    struct output_api *api;
    struct http_request *req;
    char job[OUTPUT_API_JOB_BYTES_MAX + 1];
    uint32_t element;
    uint32_t attempt; /* asked for; 0: the latest */
    Wire__OutputStream stream;
    bool follow;
    uint64_t offset; /* of the next byte */

    struct lookup *lookup;
    struct loop_timer timer;
    int64_t poll_ms;
    unsigned misses;
    uint32_t current; /* the attempt that is being given, 0: none yet */
    bool given;       /* all of it was */
    bool over;        /* its element had no other to come when the leader was asked */
    struct output_stream *bytes;
    bool begun;
    bool full; /* the client must read first */
    TAILQ_ENTRY(output_api_request) link;
};

struct output_api {
    struct node *node;
    bool stopped;
    unsigned requests_n;
    TAILQ_HEAD(, output_api_request) requests;
};

/* ---- ends -------------------------------------------------------------------------------------*/

static void output_api_release(struct output_api_request *r)
{
    struct output_api *api = r->api;
    TAILQ_REMOVE(&api->requests, r, link);
    api->requests_n--;
    loop_timer_stop(&r->timer);
    if (r->lookup != NULL)
        lookup_cancel(r->lookup);
    output_stream_free(r->bytes);
    http_request_on_close(r->req, NULL, NULL);
    free(r);
}

static void output_api_begin(struct output_api_request *r)
{
    if (!r->begun)
        http_stream_begin(r->req, 200, "application/octet-stream", HTTP_STREAM_CHUNKED);
    r->begun = true;
}

static void output_api_finish(struct output_api_request *r)
{
    struct http_request *req = r->req;
    output_api_begin(r);
    output_api_release(r);
    http_stream_end(req);
}

static void output_api_fail(struct output_api_request *r, const struct error *e)
{
    struct http_request *req = r->req;
    struct error failure = *e;
    if (r->begun)
        log_info(LOG_ABOUT(.role = output_log.role, .job = r->job, .code = e->code),
                 "output of element %u breaks off: %s", r->element, e->text);
    bool begun = r->begun;
    output_api_release(r);
    if (begun)
        http_stream_abort(req);
    else
        http_reply_failure(req, &failure, NULL);
}

static void output_api_on_close(struct http_request *req, void *arg)
{
    struct output_api_request *r = arg;
    bool begun = r->begun;
    output_api_release(r);
    if (begun)
        http_stream_abort(req);
    else
        http_reply(req, 499, NULL, NULL, 0);
}

/* ---- bytes ------------------------------------------------------------------------------------*/

/* Takes as much as the client's connection does. */
static size_t output_api_write(struct output_api_request *r, const uint8_t *data, size_t len)
{
    size_t taken = 0;
    output_api_begin(r);
    while (taken < len && !r->full) {
        size_t n = len - taken < HTTP_STREAM_WRITE_MAX ? len - taken : HTTP_STREAM_WRITE_MAX;
        int rc = http_stream_write(r->req, data + taken, n);
        if (rc < 0)
            return taken; /* on_close comes */
        r->full = rc > 0;
        taken += n;
    }
    r->offset += taken;
    r->misses = 0;
    return taken;
}

static void output_api_ask(struct output_api_request *r);

static void output_api_ask_later(struct output_api_request *r, int64_t after_ms)
{
    loop_timer_start(&r->timer, after_ms);
}

static size_t output_api_on_bytes(void *arg, const uint8_t *data, size_t len)
{
    return output_api_write(arg, data, len);
}

static void output_api_on_drain(struct http_request *req, void *arg)
{
    struct output_api_request *r = arg;
    (void)req;
    r->full = false;
    if (r->bytes != NULL)
        output_stream_resume(r->bytes);
}

static void output_api_on_caught_up(void *arg)
{
    struct output_api_request *r = arg;
    if (r->follow)
        output_api_begin(r);
    else
        output_api_finish(r);
}

/* The attempt has ended; whether the element has, the leader knows. */
static void output_api_on_ended(void *arg)
{
    struct output_api_request *r = arg;
    output_stream_free(r->bytes);
    r->bytes = NULL;
    r->given = true;
    r->poll_ms = OUTPUT_API_POLL_MS_MIN;
    if (!r->follow || r->attempt != 0)
        output_api_finish(r);
    else
        output_api_ask(r);
}

static void output_api_on_failed(void *arg, int code)
{
    struct output_api_request *r = arg;
    struct error e;
    output_stream_free(r->bytes);
    r->bytes = NULL;
    r->misses++;
    bool patient = code == ERR_NOT_FOUND || code == ERR_BUSY || r->follow;
    if (patient && r->misses < OUTPUT_API_MISSES_MAX) {
        output_api_ask_later(r, code == ERR_NOT_FOUND && r->misses == 1 ? OUTPUT_API_POLL_MS_MIN
                                                                        : OUTPUT_API_POLL_MS);
        return;
    }
    (void)error_set(&e, code, "output of %s_%u: %s", r->job, r->element,
                    code == ERR_NOT_FOUND ? "it is no longer on the node that ran it"
                                          : err_text(code));
    output_api_fail(r, &e);
}

static void output_api_read(struct output_api_request *r, const struct lookup_result *found)
{
    static const struct output_stream_ops ops = {.bytes = output_api_on_bytes,
                                                 .caught_up = output_api_on_caught_up,
                                                 .ended = output_api_on_ended,
                                                 .failed = output_api_on_failed};
    r->bytes = output_stream_new(r->api->node, found->node, &found->key, r->stream, r->offset,
                                 r->follow, &ops, r);
}

/* ---- what the leader says ---------------------------------------------------------------------*/

static void output_api_on_over(void *arg, bool over, const struct error *e)
{
    struct output_api_request *r = arg;
    r->lookup = NULL;
    if (e != NULL)
        output_api_fail(r, e);
    else if (over && r->attempt != 0)
        output_api_finish(r);
    else if (over) { /* perhaps by an attempt that came since the last answer */
        r->over = true;
        output_api_ask(r);
    } else
        output_api_ask_later(r, OUTPUT_API_POLL_MS);
}

static struct lookup_spec output_api_spec(const struct output_api_request *r)
{
    return (struct lookup_spec){.job = r->job,
                                .element = r->element,
                                .attempt = r->attempt,
                                .stream = r->stream,
                                .user = http_request_user(r->req)};
}

/* Nothing more comes of the present attempt: ends, or waits for what comes behind it. */
static void output_api_wait(struct output_api_request *r, enum lookup_state state)
{
    struct lookup_spec spec = output_api_spec(r);
    switch (state) {
    case LOOKUP_COMPLETED:
    case LOOKUP_NEVER_RAN:
        output_api_finish(r);
        break;
    case LOOKUP_FAILED:
    case LOOKUP_CANCELLED:
    case LOOKUP_LOST:
        if (r->over) {
            output_api_finish(r);
            break;
        }
        failpoint_pause("output.over");
        r->lookup = lookup_over(r->api->node, &spec, output_api_on_over, r);
        break;
    default:
        output_api_ask_later(r, r->poll_ms);
        r->poll_ms = r->poll_ms * 2 < OUTPUT_API_POLL_MS ? r->poll_ms * 2 : OUTPUT_API_POLL_MS;
    }
}

/* False: there is another attempt now, and bytes of the one before are out. */
static bool output_api_move_on(struct output_api_request *r, uint32_t attempt)
{
    if (attempt == r->current || r->current == 0) {
        r->current = attempt;
        return true;
    }
    if (r->offset != 0)
        return false;
    r->current = attempt;
    r->given = false;
    r->over = false;
    r->misses = 0;
    return true;
}

/* An attempt that ended, whose stream is kept by the leader, by its node, or by nobody. */
static void output_api_give_ended(struct output_api_request *r, const struct lookup_result *found)
{
    struct error e;
    if (found->has_stream) {
        size_t skip = r->offset < found->len ? (size_t)r->offset : found->len;
        (void)output_api_write(r, found->data + skip, found->len - skip);
        output_api_on_ended(r);
    } else if (found->output_kept) {
        output_api_read(r, found);
    } else if (found->stream_bytes == 0) {
        output_api_on_ended(r);
    } else {
        (void)error_set(&e, ERR_NOT_FOUND, "the output of %s_%u was not kept", r->job, r->element);
        output_api_fail(r, &e);
    }
}

static void output_api_act(struct output_api_request *r, const struct lookup_result *found)
{
    struct error e;
    if (found->key.attempt != 0 && !output_api_move_on(r, found->key.attempt)) {
        (void)error_set(&e, ERR_CONFLICT, "attempt %u takes the place of one that was shown",
                        found->key.attempt);
        output_api_fail(r, &e);
        return;
    }
    if (r->given) {
        output_api_wait(r, found->state);
        return;
    }
    switch (found->state) {
    case LOOKUP_NEVER_RAN:
        output_api_finish(r);
        break;
    case LOOKUP_PENDING:
        if (!r->follow) {
            output_api_finish(r);
            break;
        }
        output_api_begin(r);
        output_api_ask_later(r, OUTPUT_API_POLL_MS);
        break;
    case LOOKUP_LOST:
        if (r->follow && r->attempt == 0)
            output_api_wait(r, found->state);
        else
            output_api_read(r, found);
        break;
    case LOOKUP_ACTIVE:
        output_api_read(r, found);
        break;
    default:
        output_api_give_ended(r, found);
    }
}

static void output_api_on_found(void *arg, const struct lookup_result *found, const struct error *e)
{
    struct output_api_request *r = arg;
    r->lookup = NULL;
    if (e != NULL) {
        output_api_fail(r, e);
        return;
    }
    if (found->key.attempt != 0 || found->state == LOOKUP_PENDING) {
        char id[UUID_TEXT_MAX];
        (void)snprintf(r->job, sizeof r->job, "%s", uuid_format(&found->key.job, id));
    }
    output_api_act(r, found);
}

static void output_api_ask(struct output_api_request *r)
{
    struct lookup_spec spec = output_api_spec(r);
    r->lookup = lookup_task(r->api->node, &spec, output_api_on_found, r);
}

static void output_api_on_timer(void *arg)
{
    output_api_ask(arg);
}

/* ---- requests ---------------------------------------------------------------------------------*/

/* "UUID_7" names element 7. */
static int output_api_parse_job(struct output_api_request *r, struct error *e)
{
    const char *name = http_request_param(r->req, "job");
    const char *mark = strrchr(name, '_');
    size_t len = mark != NULL ? (size_t)(mark - name) : strlen(name);
    uint64_t index = 0;
    if (mark != NULL && str_parse_u64(mark + 1, 0, SCHED_INDEX_MAX, &index) < 0)
        return error_set(e, ERR_INVALID, "\"%.64s\" is no job id", name);
    if (len > OUTPUT_API_JOB_BYTES_MAX || strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz"
                                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") < len)
        return error_set(e, ERR_INVALID, "\"%.64s\" is no job id", name);
    memcpy(r->job, name, len);
    r->element = (uint32_t)index;
    return 0;
}

static int output_api_parse(struct output_api_request *r, struct error *e)
{
    const char *stream = http_request_query(r->req, "stream");
    uint64_t element = 0;
    uint64_t attempt = 0;
    int err = output_api_parse_job(r, e);
    element = r->element;
    if (err == 0)
        err = http_request_query_u64(r->req, "element", 0, SCHED_INDEX_MAX, &element, e);
    if (err == 0)
        err = http_request_query_u64(r->req, "attempt", 1, UINT32_MAX, &attempt, e);
    if (err == 0)
        err = http_request_query_u64(r->req, "offset", 0, INT64_MAX, &r->offset, e);
    if (err == 0)
        err = http_request_query_bool(r->req, "follow", &r->follow, e);
    if (err == 0 && stream != NULL && strcmp(stream, "stdout") != 0 &&
        strcmp(stream, "stderr") != 0)
        err = error_set(e, ERR_INVALID, "stream must be stdout or stderr");
    r->element = (uint32_t)element;
    r->attempt = (uint32_t)attempt;
    r->stream = stream != NULL && strcmp(stream, "stderr") == 0
                    ? WIRE__OUTPUT_STREAM__OUTPUT_STREAM_STDERR
                    : WIRE__OUTPUT_STREAM__OUTPUT_STREAM_STDOUT;
    return err;
}

static void output_api_get(struct http_request *req, void *arg)
{
    struct output_api *api = arg;
    struct error e;
    if (api->stopped || api->requests_n >= OUTPUT_API_STREAMS_MAX) {
        (void)error_set(&e, api->stopped ? ERR_UNAVAILABLE : ERR_BUSY, "%s",
                        api->stopped ? "the node is shutting down"
                                     : "this node streams the output of too many elements at once");
        http_reply_failure(req, &e, NULL);
        return;
    }
    struct output_api_request *r = mem_zalloc(sizeof *r);
    r->api = api;
    r->req = req;
    r->poll_ms = OUTPUT_API_POLL_MS_MIN;
    loop_timer_init(&r->timer, node_loop(api->node), output_api_on_timer, r);
    TAILQ_INSERT_TAIL(&api->requests, r, link);
    api->requests_n++;
    if (output_api_parse(r, &e) < 0) {
        output_api_fail(r, &e);
        return;
    }
    http_request_on_close(req, output_api_on_close, r);
    http_stream_on_drain(req, output_api_on_drain, r);
    output_api_ask(r);
}

static const struct http_route output_api_routes[] = {
    {.method = "GET",
     .path = "/api/jobs/{job}/output",
     .flags = HTTP_ROUTE_STREAM,
     .handler = output_api_get},
};

struct output_api *output_api_new(struct node *node)
{
    struct output_api *api = mem_zalloc(sizeof *api);
    api->node = node;
    TAILQ_INIT(&api->requests);
    http_router_add(node_router(node), output_api_routes, MEM_COUNT(output_api_routes), api);
    return api;
}

void output_api_stop(struct output_api *api)
{
    struct output_api_request *r;
    struct error e;
    (void)error_set(&e, ERR_UNAVAILABLE, "the node is shutting down");
    api->stopped = true;
    while ((r = TAILQ_FIRST(&api->requests)) != NULL)
        output_api_fail(r, &e);
}

void output_api_free(struct output_api *api)
{
    free(api);
}
