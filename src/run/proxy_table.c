/* Services and their models as one immutable table, counted by who uses it: requests under way keep
 * theirs when another one comes. Totals of a model outlive the tables that name it. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/proxy_internal.h"

/* Coprime to 100: every hundred tickets in a row are the numbers 0 to 99, well mixed. */
enum { PROXY_TICKET_STEP = 61 };

/* ---- latencies ------------------------------------------------------------------------------- */

unsigned proxy_bucket_of(uint64_t us)
{
    unsigned exponent = us < 4 ? 0 : 61 - (unsigned)__builtin_clzll(us);
    unsigned bucket = us < 4 ? (unsigned)us : 4 * exponent + (unsigned)((us >> exponent) & 3) + 4;
    return bucket < PROXY_BUCKETS ? bucket : PROXY_BUCKETS - 1;
}

uint64_t proxy_bucket_limit_us(unsigned bucket)
{
    assert(bucket < PROXY_BUCKETS);
    if (bucket < 4)
        return bucket + 1;
    return (uint64_t)(4 + (bucket & 3) + 1) << (bucket / 4 - 1);
}

/* ---- URLs ------------------------------------------------------------------------------------ */

struct proxy_url {
    bool echo;
    unsigned fail_percent;
    int64_t delay_ms;
    char host[ADDRESS_HOST_MAX];
    uint16_t port;
    char path[PROXY_PATH_MAX];
    char authority[ADDRESS_HOST_MAX + 8];
};

static int proxy_url_parse_echo(const char *options, struct proxy_url *url, struct error *e)
{
    char *copy = mem_strdup(options);
    char *rest = copy;
    int err = 0;
    for (char *word; err == 0 && (word = strsep(&rest, ",")) != NULL;) {
        uint64_t percent;
        if (*word == '\0')
            continue;
        if (str_starts_with(word, "fail=") && str_parse_u64(word + 5, 0, 100, &percent) == 0)
            url->fail_percent = (unsigned)percent;
        else if (!str_starts_with(word, "delay=") ||
                 str_parse_duration_ms(word + 6, &url->delay_ms) < 0 || url->delay_ms > 600000)
            err = error_set(e, ERR_INVALID,
                            "\"%s\": the built-in model takes fail=PERCENT and delay=DURATION "
                            "(at most 10m)",
                            word);
    }
    free(copy);
    url->echo = true;
    return err;
}

/* Visible ASCII only: what goes into a request line as it stands. */
static bool proxy_url_is_clean(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}

static int proxy_url_parse(const char *text, struct proxy_url *url, struct error *e)
{
    *url = (struct proxy_url){.port = 80};
    if (str_starts_with(text, "echo:"))
        return proxy_url_parse_echo(text + 5, url, e);
    if (strncasecmp(text, "https:", 6) == 0)
        return error_set(e, ERR_UNSUPPORTED,
                         "models are spoken to over http, not https: put a proxy that speaks TLS "
                         "beside this node, or give the model an http address");
    if (strncasecmp(text, "http://", 7) != 0)
        return error_set(e, ERR_INVALID,
                         "a model's URL is http://HOST[:PORT]/PATH or echo:[fail=PERCENT]"
                         "[,delay=DURATION]");
    const char *authority = text + 7;
    size_t len = strcspn(authority, "/?#");
    const char *path = authority + len;
    if (len == 0 || len >= ADDRESS_HOST_MAX || memchr(authority, '@', len) != NULL ||
        strchr(path, '#') != NULL || !proxy_url_is_clean(text))
        return error_set(e, ERR_INVALID,
                         "a model's URL has a host, no user, no fragment, no blanks");
    (void)snprintf(url->authority, sizeof url->authority, "%.*s", (int)len, authority);
    bool bracketed = url->authority[0] == '[';
    const char *colon = strrchr(url->authority, ':');
    if (colon != NULL && (!bracketed || colon[-1] == ']')) {
        if (address_split(url->authority, url->host, &url->port) < 0 || url->port == 0)
            return error_set(e, ERR_INVALID, "\"%s\" is no HOST:PORT", url->authority);
    } else if (bracketed) {
        if (len < 3 || url->authority[len - 1] != ']')
            return error_set(e, ERR_INVALID, "\"%s\" is no address", url->authority);
        (void)snprintf(url->host, sizeof url->host, "%.*s", (int)len - 2, url->authority + 1);
    } else {
        (void)snprintf(url->host, sizeof url->host, "%.*s", (int)len, url->authority);
    }
    int n = snprintf(url->path, sizeof url->path, "%s%s", *path == '/' ? "" : "/", path);
    if ((size_t)n >= sizeof url->path)
        return error_set(e, ERR_TOO_LARGE, "a model's path has at most %d bytes",
                         PROXY_PATH_MAX - 1);
    return 0;
}

int proxy_check_url(const char *url, struct error *e)
{
    struct proxy_url parsed;
    return proxy_url_parse(url, &parsed, e);
}

/* ---- tables ---------------------------------------------------------------------------------- */

struct proxy_routes *proxy_routes_new(const struct proxy_table *table)
{
    struct proxy_routes *routes = mem_zalloc(sizeof *routes);
    assert(table->services_n <= PROXY_SERVICES_MAX && table->pages_n <= PROXY_PAGES_MAX);
    routes->refs = 1;
    routes->n = table->services_n;
    routes->items = mem_calloc(routes->n + 1, sizeof *routes->items);
    for (size_t i = 0; i < routes->n; i++) {
        const struct proxy_service *service = &table->services[i];
        struct proxy_route *route = &routes->items[i];
        assert(service->targets_n <= PROXY_TARGETS_MAX);
        route->name = mem_strdup(service->name);
        route->seed = XXH3_64bits(service->name, strlen(service->name));
        route->version = service->version;
        route->closed = mem_strdup(service->closed);
        route->models_n = (unsigned)service->targets_n;
        for (unsigned j = 0; j < route->models_n; j++) {
            route->models[j].weight = service->targets[j].weight;
            /* until it is bound: what it is to be bound to */
            route->models[j].host = mem_strdup(service->targets[j].model);
            route->models[j].path = mem_strdup(service->targets[j].url);
        }
    }
    if (table->service != NULL)
        routes->fallback = proxy_routes_find(routes, table->service, strlen(table->service));
    routes->pages_n = table->pages_n;
    routes->pages = mem_calloc(routes->pages_n + 1, sizeof *routes->pages);
    for (size_t i = 0; i < routes->pages_n; i++)
        routes->pages[i] =
            (struct proxy_page){mem_strdup(table->pages[i].path), table->pages[i].status,
                                mem_strdup(table->pages[i].json)};
    return routes;
}

static void proxy_model_bind(struct proxy_model *model, const char *service,
                             struct proxy_core *core)
{
    struct proxy_url url;
    int err = proxy_url_parse(model->path, &url, NULL);
    assert(err == 0);
    (void)err;
    model->counters = proxy_core_counters(core, service, model->host);
    model->counters->refs++;
    free(model->host);
    free(model->path);
    model->host = mem_strdup(url.authority);
    model->path = mem_strdup(url.path);
    model->fail_percent = url.fail_percent;
    model->delay_ms = url.delay_ms;
    if (url.echo)
        return;
    model->backend = proxy_backend_get(core, url.host, url.port);
    proxy_backend_hold(model->backend);
}

void proxy_routes_bind(struct proxy_routes *routes, struct proxy_core *core)
{
    assert(routes->core == NULL);
    routes->core = core;
    for (size_t i = 0; i < routes->n; i++)
        for (unsigned j = 0; j < routes->items[i].models_n; j++)
            proxy_model_bind(&routes->items[i].models[j], routes->items[i].name, core);
}

struct proxy_routes *proxy_routes_hold(struct proxy_routes *routes)
{
    routes->refs++;
    return routes;
}

void proxy_routes_release(struct proxy_routes *routes)
{
    if (routes == NULL || --routes->refs > 0)
        return;
    for (size_t i = 0; i < routes->n; i++) {
        struct proxy_route *route = &routes->items[i];
        for (unsigned j = 0; j < route->models_n; j++) {
            if (route->models[j].counters != NULL)
                route->models[j].counters->refs--;
            if (route->models[j].backend != NULL)
                proxy_backend_release(route->models[j].backend);
            free(route->models[j].host);
            free(route->models[j].path);
        }
        free(route->name);
        free(route->closed);
    }
    for (size_t i = 0; i < routes->pages_n; i++) {
        free((void *)(uintptr_t)routes->pages[i].path);
        free((void *)(uintptr_t)routes->pages[i].json);
    }
    free(routes->items);
    free(routes->pages);
    free(routes);
}

struct proxy_route *proxy_routes_find(struct proxy_routes *routes, const char *name, size_t len)
{
    for (size_t i = 0; i < routes->n; i++)
        if (strlen(routes->items[i].name) == len && memcmp(routes->items[i].name, name, len) == 0)
            return &routes->items[i];
    return NULL;
}

const struct proxy_page *proxy_routes_page(const struct proxy_routes *routes, const char *path,
                                           size_t len)
{
    for (size_t i = 0; i < routes->pages_n; i++)
        if (strlen(routes->pages[i].path) == len && memcmp(routes->pages[i].path, path, len) == 0)
            return &routes->pages[i];
    return NULL;
}

/* ---- choosing -------------------------------------------------------------------------------- */

static unsigned proxy_ticket_draw(unsigned *ticket)
{
    *ticket = (*ticket + PROXY_TICKET_STEP) % 100;
    return *ticket;
}

struct proxy_model *proxy_route_choose(struct proxy_route *route, const char *sticky)
{
    unsigned ticket =
        sticky != NULL && *sticky != '\0'
            ? (unsigned)(XXH3_64bits_withSeed(sticky, strlen(sticky), route->seed) % 100)
            : proxy_ticket_draw(&route->ticket);
    for (unsigned i = 0; i < route->models_n; i++) {
        if (ticket < route->models[i].weight)
            return &route->models[i];
        ticket -= route->models[i].weight;
    }
    return NULL;
}

bool proxy_model_fails(struct proxy_model *model)
{
    return model->fail_percent > 0 && proxy_ticket_draw(&model->fail_ticket) < model->fail_percent;
}
