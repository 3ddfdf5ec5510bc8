/* Two halves: `struct proxy` belongs to the owner's loop, `struct proxy_core` to the thread. They
 * talk by posts alone: tables go in, totals come out, and at the end the core says that it is
 * empty. */
#include "run/proxy.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/metric.h"
#include "run/http_listen.h"
#include "run/proxy_internal.h"

struct proxy {
    struct loop *loop;
    struct proxy_core core; /* the thread's alone, once it runs */
    struct loop *core_loop;
    uv_thread_t thread;
    uint16_t port;
    proxy_stats_fn on_stats;
    void *arg;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;

    struct loop_post begin; /* to the thread */
    struct loop_post end;
    struct loop_post done; /* from the thread */
    unsigned drain_ms;
    int fd;

    /* the thread's */
    struct loop_timer stats_timer;
    struct loop_timer drain_timer;
};

static struct proxy *proxy_of(struct proxy_core *core)
{
    return (struct proxy *)(void *)((char *)core - offsetof(struct proxy, core));
}

void proxy_options_init(struct proxy_options *options)
{
    *options = (struct proxy_options){
        .connections_max = 1024,
        .model_connections = 256,
        .waiting_max = 4096,
        .body_bytes_max = 64 << 20,
        .head_timeout_ms = 10000,
        .idle_timeout_ms = 60000,
        .connect_timeout_ms = 2000,
        .answer_timeout_ms = 30000,
    };
}

/* ---- totals ---------------------------------------------------------------------------------- */

static void proxy_counters_free(struct proxy_core *core, struct proxy_counters *counters)
{
    TAILQ_REMOVE(&core->counters, counters, of_core);
    core->counters_n--;
    free(counters->service);
    free(counters->model);
    free(counters);
}

struct proxy_counters *proxy_core_counters(struct proxy_core *core, const char *service,
                                           const char *model)
{
    struct proxy_counters *counters;
    struct proxy_counters *unused = NULL;
    TAILQ_FOREACH (counters, &core->counters, of_core) {
        if (strcmp(counters->service, service) == 0 && strcmp(counters->model, model) == 0)
            return counters;
        if (counters->refs == 0 && unused == NULL)
            unused = counters;
    }
    if (core->counters_n >= PROXY_COUNTERS_MAX && unused != NULL)
        proxy_counters_free(core, unused);
    counters = mem_zalloc(sizeof *counters);
    counters->service = mem_strdup(service);
    counters->model = mem_strdup(model);
    counters->latency = metric_series(METRIC_DATA_REQUEST, service, model);
    counters->stats.service = counters->service;
    counters->stats.model = counters->model;
    TAILQ_INSERT_TAIL(&core->counters, counters, of_core);
    core->counters_n++;
    return counters;
}

/* A copy of the totals on its way to the owner. */
struct proxy_report {
    struct loop_post post;
    struct proxy *proxy;
    size_t n;
    struct proxy_stats *rows; /* strings owned */
};

static void proxy_on_report(void *arg)
{
    struct proxy_report *report = arg;
    struct proxy *proxy = report->proxy;
    if (!proxy->closing && proxy->on_stats != NULL)
        proxy->on_stats(proxy->arg, report->rows, report->n);
    for (size_t i = 0; i < report->n; i++) {
        free((void *)(uintptr_t)report->rows[i].service);
        free((void *)(uintptr_t)report->rows[i].model);
    }
    free(report->rows);
    free(report);
}

static void proxy_core_on_stats_timer(void *arg)
{
    struct proxy *proxy = arg;
    struct proxy_core *core = &proxy->core;
    struct proxy_report *report = mem_zalloc(sizeof *report);
    struct proxy_counters *counters;
    report->proxy = proxy;
    report->rows = mem_calloc(core->counters_n + 1, sizeof *report->rows);
    TAILQ_FOREACH (counters, &core->counters, of_core) {
        struct proxy_stats *row = &report->rows[report->n++];
        *row = counters->stats;
        row->service = mem_strdup(counters->service);
        row->model = mem_strdup(counters->model);
    }
    loop_post(proxy->loop, &report->post, proxy_on_report, report);
    loop_timer_start(&proxy->stats_timer, PROXY_STATS_MS);
}

/* ---- tables ---------------------------------------------------------------------------------- */

struct proxy_delivery {
    struct loop_post post;
    struct proxy_core *core;
    struct proxy_routes *routes;
};

static void proxy_core_on_table(void *arg)
{
    struct proxy_delivery *delivery = arg;
    struct proxy_core *core = delivery->core;
    struct proxy_routes *old = core->routes;
    if (core->draining) {
        proxy_routes_release(delivery->routes);
    } else {
        core->routes = delivery->routes;
        proxy_routes_bind(core->routes, core);
        proxy_routes_release(old);
    }
    free(delivery);
}

void proxy_set_table(struct proxy *proxy, const struct proxy_table *table)
{
    assert(!proxy->closing);
    struct proxy_delivery *delivery = mem_zalloc(sizeof *delivery);
    delivery->core = &proxy->core;
    delivery->routes = proxy_routes_new(table);
    loop_post(proxy->core_loop, &delivery->post, proxy_core_on_table, delivery);
}

/* ---- the listener ---------------------------------------------------------------------------- */

static void proxy_core_on_connection(uv_stream_t *listener, int status)
{
    struct proxy_core *core = listener->data;
    if (status < 0)
        return;
    if (core->clients_n >= core->options.connections_max)
        core->full = true; /* libuv stops listening until it is accepted */
    else
        proxy_client_accept(core, listener);
}

void proxy_core_listen(struct proxy_core *core)
{
    if (!core->full || core->draining)
        return;
    core->full = false;
    proxy_client_accept(core, (uv_stream_t *)&core->listener);
}

static void proxy_core_on_begin(void *arg)
{
    struct proxy *proxy = arg;
    struct proxy_core *core = &proxy->core;
    (void)uv_tcp_init(loop_uv(core->loop), &core->listener);
    core->listener.data = core;
    core->listening = uv_tcp_open(&core->listener, proxy->fd) == 0 &&
                      uv_listen((uv_stream_t *)&core->listener, HTTP_LISTEN_BACKLOG,
                                proxy_core_on_connection) == 0;
    assert(core->listening);
    loop_timer_start(&proxy->stats_timer, PROXY_STATS_MS);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void proxy_core_finish(struct proxy_core *core)
{
    struct proxy *proxy = proxy_of(core);
    loop_timer_stop(&proxy->drain_timer);
    loop_stop(core->loop);
}

void proxy_core_released(struct proxy_core *core)
{
    assert(core->handles > 0);
    if (--core->handles == 0 && core->draining)
        proxy_core_finish(core);
}

/* A connection holds its backend until it has closed. */
static void proxy_core_drop_idle(struct proxy_core *core)
{
    struct proxy_backend *backend;
    TAILQ_FOREACH (backend, &core->backends, of_core)
        while (!TAILQ_EMPTY(&backend->idle))
            proxy_upstream_drop(TAILQ_FIRST(&backend->idle));
}

static void proxy_core_on_drained(void *arg)
{
    struct proxy *proxy = arg;
    struct proxy_client *c;
    TAILQ_FOREACH (c, &proxy->core.clients, of_core)
        proxy_client_close(c);
    proxy_core_drop_idle(&proxy->core);
}

static void proxy_core_on_listener_closed(uv_handle_t *handle)
{
    struct proxy_core *core = handle->data;
    proxy_core_released(core);
}

static void proxy_core_on_end(void *arg)
{
    struct proxy *proxy = arg;
    struct proxy_core *core = &proxy->core;
    struct proxy_client *c;
    core->draining = true;
    loop_timer_stop(&proxy->stats_timer);
    loop_timer_start(&proxy->drain_timer, proxy->drain_ms);
    core->handles++;
    uv_close((uv_handle_t *)&core->listener, proxy_core_on_listener_closed);
    TAILQ_FOREACH (c, &core->clients, of_core)
        proxy_client_drain(c);
    proxy_core_drop_idle(core);
}

static void proxy_on_done(void *arg)
{
    struct proxy *proxy = arg;
    (void)uv_thread_join(&proxy->thread);
    void (*closed)(void *arg) = proxy->closed;
    void *closed_arg = proxy->closed_arg;
    free(proxy->core.sticky_header);
    free(proxy);
    if (closed != NULL)
        closed(closed_arg);
}

void proxy_close(struct proxy *proxy, unsigned drain_ms, void (*closed)(void *arg), void *arg)
{
    assert(!proxy->closing);
    proxy->closing = true;
    proxy->closed = closed;
    proxy->closed_arg = arg;
    proxy->drain_ms = drain_ms;
    loop_post(proxy->core_loop, &proxy->end, proxy_core_on_end, proxy);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void proxy_core_run(void *arg)
{
    struct proxy *proxy = arg;
    struct proxy_core *core = &proxy->core;
    loop_run(core->loop);
    proxy_routes_release(core->routes);
    while (!TAILQ_EMPTY(&core->counters))
        proxy_counters_free(core, TAILQ_FIRST(&core->counters));
    proxy_streams_done(&core->streams);
    loop_free(core->loop);
    loop_post(proxy->loop, &proxy->done, proxy_on_done, proxy);
}

static void proxy_core_init(struct proxy_core *core, struct loop *loop,
                            const struct proxy_options *options)
{
    static const struct proxy_table empty;
    core->loop = loop;
    core->options = *options;
    core->sticky_header = mem_strdup(options->sticky_header);
    core->options.sticky_header = core->sticky_header;
    TAILQ_INIT(&core->clients);
    TAILQ_INIT(&core->upstreams);
    TAILQ_INIT(&core->backends);
    TAILQ_INIT(&core->counters);
    proxy_streams_init(&core->streams, loop);
    core->routes = proxy_routes_new(&empty);
    proxy_routes_bind(core->routes, core);
}

int proxy_open(struct proxy **out, const struct proxy_options *options, proxy_stats_fn on_stats,
               void *arg, struct error *e)
{
    uint16_t port;
    int fd = http_listen_tcp(options->host, options->port, &port, e);
    if (fd < 0)
        return fd;
    struct proxy *proxy = mem_zalloc(sizeof *proxy);
    proxy->loop = options->loop;
    proxy->port = port;
    proxy->fd = fd;
    proxy->on_stats = on_stats;
    proxy->arg = arg;
    proxy->core_loop = loop_new();
    proxy_core_init(&proxy->core, proxy->core_loop, options);
    loop_timer_init(&proxy->stats_timer, proxy->core_loop, proxy_core_on_stats_timer, proxy);
    loop_timer_init(&proxy->drain_timer, proxy->core_loop, proxy_core_on_drained, proxy);
    loop_post(proxy->core_loop, &proxy->begin, proxy_core_on_begin, proxy);
    int err = uv_thread_create(&proxy->thread, proxy_core_run, proxy);
    if (err < 0) {
        (void)close(fd);
        return error_set(e, err, "cannot start the data plane's thread: %s", uv_strerror(err));
    }
    *out = proxy;
    return 0;
}

uint16_t proxy_port(const struct proxy *proxy)
{
    return proxy->port;
}
