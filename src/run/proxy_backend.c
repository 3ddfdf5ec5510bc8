/* A model's address. Connections are kept after their request; the one used last is used next, so
 * that those not needed grow old and go. Above the limit of connections requests wait in line. */
#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/proxy_internal.h"

struct proxy_backend *proxy_backend_get(struct proxy_core *core, const char *host, uint16_t port)
{
    struct proxy_backend *backend;
    TAILQ_FOREACH (backend, &core->backends, of_core)
        if (backend->port == port && strcmp(backend->host, host) == 0)
            return backend;
    backend = mem_zalloc(sizeof *backend);
    backend->core = core;
    backend->port = port;
    (void)snprintf(backend->host, sizeof backend->host, "%s", host);
    TAILQ_INIT(&backend->idle);
    TAILQ_INIT(&backend->waiting);
    TAILQ_INSERT_TAIL(&core->backends, backend, of_core);
    return backend;
}

void proxy_backend_hold(struct proxy_backend *backend)
{
    backend->refs++;
}

void proxy_backend_release(struct proxy_backend *backend)
{
    assert(backend->refs > 0);
    if (--backend->refs > 0)
        return;
    assert(TAILQ_EMPTY(&backend->idle) && TAILQ_EMPTY(&backend->waiting));
    TAILQ_REMOVE(&backend->core->backends, backend, of_core);
    free(backend);
}

/* ---- resolving ------------------------------------------------------------------------------- */

static void proxy_backend_keep(struct proxy_backend *backend, const struct addrinfo *found)
{
    backend->addresses_n = 0;
    for (; found != NULL && backend->addresses_n < PROXY_ADDRESSES_MAX; found = found->ai_next)
        if (found->ai_addrlen <= sizeof backend->addresses[0])
            memcpy(&backend->addresses[backend->addresses_n++], found->ai_addr, found->ai_addrlen);
    backend->found_ms = loop_now_ms(backend->core->loop);
}

static void proxy_backend_refuse_all(struct proxy_backend *backend, const char *text)
{
    struct proxy_client *c;
    while ((c = TAILQ_FIRST(&backend->waiting)) != NULL) {
        proxy_backend_forget(c);
        proxy_client_failed(c, 502, ERR_UNAVAILABLE, text);
    }
}

static void proxy_backend_on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct proxy_backend *backend = request->data;
    backend->resolving = false;
    if (status == 0) {
        proxy_backend_keep(backend, found);
        uv_freeaddrinfo(found);
    } else if (backend->addresses_n == 0) {
        proxy_backend_refuse_all(backend, uv_strerror(status));
    }
    proxy_backend_pump(backend);
    proxy_backend_release(backend);
}

/* Numeric addresses are known at once. */
static bool proxy_backend_parse(struct proxy_backend *backend)
{
    backend->found_ms = loop_now_ms(backend->core->loop);
    if (address_parse_numeric(backend->host, backend->port, &backend->addresses[0]) < 0)
        return false;
    backend->addresses_n = 1;
    return true;
}

static void proxy_backend_resolve(struct proxy_backend *backend)
{
    char port[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
    if (backend->resolving || proxy_backend_parse(backend))
        return;
    (void)snprintf(port, sizeof port, "%u", backend->port);
    backend->resolve.data = backend;
    backend->resolving =
        uv_getaddrinfo(loop_uv(backend->core->loop), &backend->resolve, proxy_backend_on_resolved,
                       backend->host, port, &hints) == 0;
    if (backend->resolving)
        proxy_backend_hold(backend);
}

/* ---- connections ----------------------------------------------------------------------------- */

static bool proxy_backend_has_room(const struct proxy_backend *backend)
{
    return backend->connections < backend->core->options.model_connections;
}

/* Serves as many of those that wait as it can. */
void proxy_backend_pump(struct proxy_backend *backend)
{
    struct proxy_client *c;
    int64_t age_ms = loop_now_ms(backend->core->loop) - backend->found_ms;
    if (backend->addresses_n == 0 ? !TAILQ_EMPTY(&backend->waiting)
                                  : backend->connections > 0 && age_ms > PROXY_RESOLVE_KEPT_MS)
        proxy_backend_resolve(backend);
    while ((c = TAILQ_FIRST(&backend->waiting)) != NULL) {
        struct proxy_upstream *kept = c->fresh ? NULL : TAILQ_FIRST(&backend->idle);
        if (kept == NULL && (backend->addresses_n == 0 || !proxy_backend_has_room(backend)))
            break;
        proxy_backend_forget(c);
        if (kept != NULL)
            proxy_upstream_take(kept, c);
        else
            proxy_upstream_open(backend, c, 0);
    }
}

void proxy_backend_want(struct proxy_backend *backend, struct proxy_client *client, bool fresh)
{
    assert(!client->waiting);
    if (backend->core->waiting_n >= backend->core->options.waiting_max) {
        proxy_client_failed(client, 503, ERR_BUSY, "too many requests wait for it");
        return;
    }
    client->fresh = fresh;
    client->waiting = true;
    backend->core->waiting_n++;
    TAILQ_INSERT_TAIL(&backend->waiting, client, of_waiting);
    proxy_backend_pump(backend);
}

void proxy_backend_forget(struct proxy_client *client)
{
    if (!client->waiting)
        return;
    client->waiting = false;
    client->core->waiting_n--;
    TAILQ_REMOVE(&client->model->backend->waiting, client, of_waiting);
}
