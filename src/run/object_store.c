/* Happy path: a call is checked against the allowed places, then queued for a thread (folders) or
 * started over HTTP (buckets); its result comes back through the loop. It fails at once, but never
 * from inside the call, for a key or a place that is none or not allowed. */
#include "run/object_store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/trace.h"
#include "run/object_internal.h"
#include "run/object_s3.h"

enum { OBJECT_THREADS_MAX = 64, OBJECT_PLACES_MAX = 4096 };

TAILQ_HEAD(object_calls, object_call);

struct object_store {
    struct loop *loop;
    struct object_s3 *s3;       /* NULL: no buckets */
    struct error s3_error;      /* why there are none */
    struct object_calls remote; /* calls to buckets */
    char **places;              /* allowed, in the spelling of lake_url_format() */
    size_t places_n, places_cap;
    unsigned calls; /* not finished */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    struct loop_post closed_post;
    struct object_store_stats stats;

    pthread_t threads[OBJECT_THREADS_MAX];
    unsigned threads_n;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct object_calls queue;
    bool stop;
};

/* ---- results ----------------------------------------------------------------------------------
 */

int object_call_fail_text(struct object_call *call, int code, const char *text)
{
    return error_set(&call->error, code, "%s", text);
}

int object_call_fail(struct object_call *call, int code, const char *what)
{
    return error_set(&call->error, code, "%s/%s: %s: %s", call->request.place, call->request.key,
                     what, err_text(code));
}

void object_call_add_entry(struct object_call *call, const char *key, uint64_t size,
                           int64_t modified_ms)
{
    MEM_GROW(call->entries, call->entries_cap, call->entries_n + 1);
    call->entries[call->entries_n++] =
        (struct object_entry){.key = mem_strdup(key), .size = size, .modified_ms = modified_ms};
}

static void object_call_free(struct object_call *call)
{
    for (size_t i = 0; i < call->entries_n; i++)
        free((char *)(uintptr_t)call->entries[i].key);
    free(call->entries);
    buf_done(&call->data);
    if (call->request.from_fd && call->request.body_fd >= 0)
        (void)close(call->request.body_fd);
    if (call->request.to_fd && call->request.out_fd >= 0)
        (void)close(call->request.out_fd);
    free((char *)(uintptr_t)call->request.place);
    free((char *)(uintptr_t)call->request.key);
    free((char *)(uintptr_t)call->request.after);
    free((void *)(uintptr_t)call->request.body);
    free(call->etag);
    free(call->root);
    free(call->path);
    trace_free(call->span);
    free(call);
}

static void object_call_unlink(struct object_call *call)
{
    if (call->remote)
        TAILQ_REMOVE(&call->store->remote, call, link);
    call->remote = false;
}

static void object_store_on_all_done(void *arg)
{
    struct object_store *store = arg;
    object_s3_free(store->s3);
    void (*closed)(void *arg) = store->closed;
    void *closed_arg = store->closed_arg;
    for (size_t i = 0; i < store->places_n; i++)
        free(store->places[i]);
    free(store->places);
    (void)pthread_mutex_destroy(&store->lock);
    (void)pthread_cond_destroy(&store->wake);
    free(store);
    if (closed != NULL)
        closed(closed_arg);
}

static void object_store_check_closed(struct object_store *store)
{
    if (!store->closing || store->calls > 0)
        return;
    (void)pthread_mutex_lock(&store->lock);
    store->stop = true;
    (void)pthread_cond_broadcast(&store->wake);
    (void)pthread_mutex_unlock(&store->lock);
    for (unsigned i = 0; i < store->threads_n; i++)
        (void)pthread_join(store->threads[i], NULL);
    loop_post(store->loop, &store->closed_post, object_store_on_all_done, store);
}

static const char *const object_verb_names[] = {
    "put", "put_if_absent", "get", "stat", "list", "delete", "delete_prefix",
};

static const char *const object_span_names[] = {
    "object put",  "object put_if_absent", "object get",           "object stat",
    "object list", "object delete",        "object delete_prefix",
};

static void object_call_count(const struct object_call *call)
{
    const struct object_result *result = &call->result;
    const char *verb = object_verb_names[call->request.verb];
    metric_series_add(metric_series(METRIC_OBJECT_OPERATIONS, verb,
                                    result->code == 0 ? "ok" : err_name(result->code)),
                      1);
    metric_series_observe(metric_series(METRIC_OBJECT_OPERATION, verb),
                          clock_mono_us() - call->since_us);
    if (result->code == 0 && call->request.verb <= OBJECT_PUT_IF_ABSENT)
        metric_series_add(metric_series(METRIC_OBJECT_BYTES, "written"), result->size);
    else if (result->code == 0 && call->request.verb == OBJECT_GET)
        metric_series_add(metric_series(METRIC_OBJECT_BYTES, "read"), result->len);
}

static void object_call_trace(struct object_call *call)
{
    const struct object_result *result = &call->result;
    bool good = result->code == 0 || result->code == ERR_NOT_FOUND || result->code == ERR_EXISTS;
    trace_number(call->span, "clusterd.object.bytes",
                 (int64_t)(call->request.verb == OBJECT_GET ? result->len : result->size));
    trace_text(call->span, "clusterd.object.result",
               result->code == 0 ? "ok" : err_name(result->code));
    trace_end(call->span, good ? 0 : result->code, result->text);
    call->span = NULL;
}

void object_call_finish(struct object_call *call)
{
    struct object_store *store = call->store;
    struct object_result *result = &call->result;
    object_call_unlink(call);
    result->code = call->error.code;
    result->text = call->error.text;
    if (call->error.code == 0 && call->request.verb == OBJECT_GET && !call->request.to_fd) {
        result->data = (const uint8_t *)buf_cstr(&call->data);
        result->len = call->data.len;
    }
    result->etag = call->etag != NULL ? call->etag : "";
    result->entries = call->entries;
    result->entries_n = call->entries_n;
    if (result->code < 0 && result->code != ERR_EXISTS && result->code != ERR_NOT_FOUND)
        store->stats.failures[call->request.verb]++;
    else if (call->request.verb <= OBJECT_PUT_IF_ABSENT)
        store->stats.bytes_written += result->size;
    else if (call->request.verb == OBJECT_GET)
        store->stats.bytes_read += result->len;
    object_call_count(call);
    object_call_trace(call);
    if (call->request.on_done != NULL)
        call->request.on_done(call->request.arg, result);
    object_call_free(call);
    store->calls--;
    object_store_check_closed(store);
}

void object_store_count_retry(struct object_store *store)
{
    store->stats.retries++;
}

static void object_call_on_post(void *arg)
{
    object_call_finish(arg);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

static void *object_store_thread(void *arg)
{
    struct object_store *store = arg;
    (void)pthread_mutex_lock(&store->lock);
    for (;;) {
        struct object_call *call;
        while ((call = TAILQ_FIRST(&store->queue)) == NULL && !store->stop)
            (void)pthread_cond_wait(&store->wake, &store->lock);
        if (call == NULL)
            break;
        TAILQ_REMOVE(&store->queue, call, link);
        (void)pthread_mutex_unlock(&store->lock);
        object_file_run(call);
        loop_post(store->loop, &call->post, object_call_on_post, call);
        (void)pthread_mutex_lock(&store->lock);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return NULL;
}

static void object_store_queue(struct object_store *store, struct object_call *call)
{
    (void)pthread_mutex_lock(&store->lock);
    TAILQ_INSERT_TAIL(&store->queue, call, link);
    (void)pthread_cond_signal(&store->wake);
    (void)pthread_mutex_unlock(&store->lock);
}

/* ---- life -------------------------------------------------------------------------------------
 */

struct object_store *object_store_new(const struct object_store_options *options)
{
    struct object_store *store = mem_zalloc(sizeof *store);
    store->loop = options->loop;
    TAILQ_INIT(&store->queue);
    TAILQ_INIT(&store->remote);
    if (options->http != NULL)
        (void)object_s3_new(&store->s3, options->loop, options->http, &options->s3,
                            &store->s3_error);
    else
        (void)error_set(&store->s3_error, ERR_UNSUPPORTED, "this node reaches no buckets");
    (void)pthread_mutex_init(&store->lock, NULL);
    (void)pthread_cond_init(&store->wake, NULL);
    unsigned n = options->threads > 0 ? options->threads : OBJECT_THREADS_DEFAULT;
    for (; store->threads_n < n && store->threads_n < OBJECT_THREADS_MAX; store->threads_n++)
        if (pthread_create(&store->threads[store->threads_n], NULL, object_store_thread, store) !=
            0)
            break;
    assert(store->threads_n > 0);
    return store;
}

/* A call to a bucket that nobody waits for any more. */
static void object_call_cancel_remote(struct object_call *call)
{
    call->request.on_done = NULL;
    if (!object_s3_cancel(call))
        return;
    object_call_unlink(call);
    call->store->calls--;
    object_call_free(call);
}

void object_store_close(struct object_store *store, void (*closed)(void *arg), void *arg)
{
    assert(!store->closing);
    store->closing = true;
    store->closed = closed;
    store->closed_arg = arg;
    struct object_call *call;
    (void)pthread_mutex_lock(&store->lock);
    struct object_calls dropped = TAILQ_HEAD_INITIALIZER(dropped);
    TAILQ_CONCAT(&dropped, &store->queue, link);
    (void)pthread_mutex_unlock(&store->lock);
    while ((call = TAILQ_FIRST(&dropped)) != NULL) {
        TAILQ_REMOVE(&dropped, call, link);
        object_call_free(call);
        store->calls--;
    }
    struct object_call *next;
    for (call = TAILQ_FIRST(&store->remote); call != NULL; call = next) {
        next = TAILQ_NEXT(call, link);
        object_call_cancel_remote(call);
    }
    object_store_check_closed(store);
}

/* ---- places -----------------------------------------------------------------------------------
 */

/* The widest allowed place that holds `place`. */
static const char *object_store_root(const struct object_store *store, const char *place)
{
    const char *root = NULL;
    for (size_t i = 0; i < store->places_n; i++)
        if (lake_url_contains(store->places[i], place) &&
            (root == NULL || strlen(store->places[i]) < strlen(root)))
            root = store->places[i];
    return root;
}

int object_store_allow(struct object_store *store, const char *place, struct error *e)
{
    struct lake_url url;
    int err = lake_url_parse(place, &url, e);
    if (err < 0)
        return err;
    char *text = lake_url_format(&url);
    if (store->places_n >= OBJECT_PLACES_MAX)
        err = error_set(e, ERR_TOO_LARGE, "%s: more than %d places", text, OBJECT_PLACES_MAX);
    else if (url.scheme == LAKE_SCHEME_S3 && store->s3 == NULL)
        err = error_set(e, store->s3_error.code, "%s: %s", text, store->s3_error.text);
    else if (url.scheme == LAKE_SCHEME_FILE && mkdir(url.path, 0755) < 0 && errno != EEXIST)
        err = error_set(e, -errno, "%s: cannot make the folder: %s", text, strerror(errno));
    lake_url_done(&url);
    if (err == 0 && object_store_root(store, text) == NULL) {
        MEM_GROW(store->places, store->places_cap, store->places_n + 1);
        store->places[store->places_n++] = text;
        return 0;
    }
    free(text);
    return err;
}

void object_store_get_stats(const struct object_store *store, struct object_store_stats *stats)
{
    *stats = store->stats;
    stats->under_way = store->calls;
}

/* ---- calls ------------------------------------------------------------------------------------
 */

/* Fills root and path from the place's canonical spelling. */
static void object_call_locate(struct object_call *call, const char *root, const char *place)
{
    struct lake_url url;
    int err = lake_url_parse(root, &url, NULL);
    assert(err == 0);
    (void)err;
    call->scheme = url.scheme;
    const char *rest = place + strlen(root);
    if (*rest == '/')
        rest++;
    char *base = url.scheme == LAKE_SCHEME_FILE || url.path[0] == '\0'
                     ? mem_strdup(rest)
                     : mem_printf("%s%s%s", url.path, *rest != '\0' ? "/" : "", rest);
    const char *key = call->request.key;
    call->root = mem_strdup(url.scheme == LAKE_SCHEME_FILE ? url.path : url.bucket);
    call->path = mem_printf("%s%s%s", base, base[0] != '\0' && key[0] != '\0' ? "/" : "", key);
    call->place_len = base[0] != '\0' ? strlen(base) + 1 : 0;
    free(base);
    lake_url_done(&url);
}

/* Whether the call may go on. */
static int object_call_check(struct object_call *call)
{
    struct object_store *store = call->store;
    struct object_request *request = &call->request;
    struct lake_url url;
    struct error e;
    bool whole = request->verb == OBJECT_LIST || request->verb == OBJECT_DELETE_PREFIX;
    if (store->closing)
        return object_call_fail(call, ERR_CLOSED, "the store");
    if (store->calls > OBJECT_CALLS_MAX)
        return object_call_fail(call, ERR_BUSY, "the store");
    if (lake_url_parse(request->place, &url, &e) < 0)
        return object_call_fail_text(call, e.code, e.text);
    char *place = lake_url_format(&url);
    lake_url_done(&url);
    const char *root = object_store_root(store, place);
    int err = 0;
    if (!(whole && request->key[0] == '\0') && !lake_key_is_valid(request->key))
        err = object_call_fail_text(call, ERR_INVALID,
                                    "an object's key has no empty part, \".\" or \"..\", and is at "
                                    "most 1024 bytes long");
    else if (root == NULL)
        err = error_set(&call->error, ERR_FORBIDDEN,
                        "%s: the configuration of this node does not allow this place", place);
    else
        object_call_locate(call, root, place);
    free(place);
    return err;
}

static int object_dup(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

struct object_call *object_store_call(struct object_store *store,
                                      const struct object_request *request)
{
    struct object_call *call = mem_zalloc(sizeof *call);
    call->store = store;
    call->since_us = clock_mono_us();
    call->request = *request;
    call->request.place = mem_strdup(request->place);
    call->request.key = mem_strdup(request->key);
    call->request.after = mem_strdup(request->after);
    call->request.body = NULL;
    if (request->body != NULL && !request->from_fd)
        call->request.body = mem_dup(request->body, request->body_len > 0 ? request->body_len : 1);
    if (request->from_fd)
        call->request.body_fd = object_dup(request->body_fd);
    if (request->to_fd)
        call->request.out_fd = object_dup(request->out_fd);
    if (request->bytes_max == 0)
        call->request.bytes_max = OBJECT_BYTES_MAX_DEFAULT;
    if (request->limit == 0 || request->limit > OBJECT_LIST_LIMIT_MAX)
        call->request.limit = OBJECT_LIST_LIMIT_MAX;
    buf_init(&call->data, call->request.bytes_max);
    store->calls++;
    store->stats.calls[request->verb]++;
    call->span = trace_child(&request->trace, object_span_names[request->verb], TRACE_CLIENT);
    trace_text(call->span, "clusterd.object.place", call->request.place);
    trace_text(call->span, "clusterd.object.key", call->request.key);
    if (object_call_check(call) < 0) {
        loop_post(store->loop, &call->post, object_call_on_post, call);
    } else if (call->scheme == LAKE_SCHEME_S3) {
        TAILQ_INSERT_TAIL(&store->remote, call, link);
        call->remote = true;
        object_s3_start(store->s3, call);
    } else {
        object_store_queue(store, call);
    }
    return call;
}

void object_call_cancel(struct object_call *call)
{
    if (call->remote)
        object_call_cancel_remote(call);
    else
        call->request.on_done = NULL;
}
