/* Each path of the tables is one `struct http_path` with its methods. A path without parameters is
 * found by a hash of the raw path. All paths also stand in a list, the more literal ones first,
 * that is walked for paths with parameters and for percent-encoded spellings of literals. */
#include "run/http_router.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <uthash.h>

#include "base/mem.h"
#include "run/http_internal.h"

enum { HTTP_METHODS_MAX = 6 };

struct http_method {
    const struct http_route *route;
    void *arg;
};

struct http_path {
    const char *pattern;
    char *copy; /* cut into segments */
    const char *literals[HTTP_SEGMENTS_MAX];
    const char *params[HTTP_SEGMENTS_MAX]; /* NULL where the segment is a literal */
    size_t segments_len;
    size_t params_len;
    struct http_method methods[HTTP_METHODS_MAX];
    size_t methods_len;
    TAILQ_ENTRY(http_path) entry;
    UT_hash_handle hh;
};

struct http_router {
    struct http_path *by_pattern;
    TAILQ_HEAD(, http_path) paths;
};

struct http_router *http_router_new(void)
{
    struct http_router *router = mem_zalloc(sizeof *router);
    TAILQ_INIT(&router->paths);
    return router;
}

void http_router_free(struct http_router *router)
{
    if (router == NULL)
        return;
    HASH_CLEAR(hh, router->by_pattern);
    struct http_path *path;
    while ((path = TAILQ_FIRST(&router->paths)) != NULL) {
        TAILQ_REMOVE(&router->paths, path, entry);
        free(path->copy);
        free(path);
    }
    free(router);
}

static void http_path_split(struct http_path *path)
{
    char *rest = path->copy + 1;
    while (rest != NULL) {
        assert(path->segments_len < HTTP_SEGMENTS_MAX);
        char *segment = strsep(&rest, "/");
        size_t len = strlen(segment);
        if (segment[0] == '{') {
            assert(len > 2 && segment[len - 1] == '}');
            segment[len - 1] = '\0';
            path->params[path->segments_len] = segment + 1;
            path->params_len++;
        } else {
            path->literals[path->segments_len] = segment;
        }
        path->segments_len++;
    }
    assert(path->params_len <= HTTP_PARAM_MAX);
}

/* Whether `a` must be tried before `b`: at the first segment where they differ in kind it has the
 * literal. */
static bool http_path_before(const struct http_path *a, const struct http_path *b)
{
    for (size_t i = 0; i < a->segments_len && i < b->segments_len; i++)
        if ((a->params[i] == NULL) != (b->params[i] == NULL))
            return a->params[i] == NULL;
    return false;
}

static struct http_path *http_path_new(struct http_router *router, const char *pattern)
{
    assert(pattern[0] == '/');
    struct http_path *path = mem_zalloc(sizeof *path);
    path->pattern = pattern;
    path->copy = mem_strdup(pattern);
    http_path_split(path);
    HASH_ADD_KEYPTR(hh, router->by_pattern, path->pattern, strlen(path->pattern), path);
    struct http_path *other;
    TAILQ_FOREACH (other, &router->paths, entry) {
        if (http_path_before(path, other)) {
            TAILQ_INSERT_BEFORE(other, path, entry);
            return path;
        }
    }
    TAILQ_INSERT_TAIL(&router->paths, path, entry);
    return path;
}

static const struct http_method *http_path_method(const struct http_path *path, const char *method)
{
    for (size_t i = 0; i < path->methods_len; i++)
        if (strcmp(path->methods[i].route->method, method) == 0)
            return &path->methods[i];
    return NULL;
}

void http_router_add(struct http_router *router, const struct http_route *routes, size_t count,
                     void *arg)
{
    for (size_t i = 0; i < count; i++) {
        const struct http_route *route = &routes[i];
        assert(route->handler != NULL);
        struct http_path *path;
        HASH_FIND_STR(router->by_pattern, route->path, path);
        if (path == NULL)
            path = http_path_new(router, route->path);
        assert(http_path_method(path, route->method) == NULL);
        assert(path->methods_len < HTTP_METHODS_MAX);
        path->methods[path->methods_len++] = (struct http_method){route, arg};
    }
}

static bool http_path_matches(const struct http_path *path, const struct http_target *target)
{
    if (path->segments_len != target->segments_len)
        return false;
    for (size_t i = 0; i < path->segments_len; i++) {
        if (path->params[i] != NULL ? target->segments[i][0] == '\0'
                                    : strcmp(path->literals[i], target->segments[i]) != 0)
            return false;
    }
    return true;
}

static const struct http_path *http_router_path(const struct http_router *router,
                                                const struct http_target *target)
{
    const struct http_path *path;
    HASH_FIND(hh, router->by_pattern, target->raw, target->path_len, path);
    if (path != NULL && path->params_len == 0)
        return path;
    TAILQ_FOREACH (path, &router->paths, entry) {
        if (http_path_matches(path, target))
            return path;
    }
    return NULL;
}

static void http_path_allow(const struct http_path *path, char allow[static HTTP_ALLOW_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < path->methods_len; i++) {
        const char *method = path->methods[i].route->method;
        bool get = strcmp(method, "GET") == 0;
        len += (size_t)snprintf(allow + len, HTTP_ALLOW_MAX - len, "%s, %s", method,
                                get ? "HEAD, " : "");
    }
    (void)snprintf(allow + len, HTTP_ALLOW_MAX - len, "OPTIONS");
}

static void http_router_refuse(const struct http_path *path, const struct http_request *req,
                               struct http_refusal *refusal)
{
    bool options = strcmp(req->method, "OPTIONS") == 0;
    if (path != NULL) {
        http_path_allow(path, refusal->allow);
        refusal->status = options ? 204 : 405;
        refusal->hint = "the Allow header lists the methods that this path has";
    } else if (options && strcmp(req->target.raw, "*") == 0) {
        (void)snprintf(refusal->allow, sizeof refusal->allow,
                       "GET, HEAD, POST, PUT, DELETE, OPTIONS");
        refusal->status = 204;
    } else {
        refusal->status = 404;
        refusal->hint = "docs/api.md lists the paths";
    }
    refusal->code = refusal->status == 405 ? "method_not_allowed" : "not_found";
    (void)snprintf(refusal->text, sizeof refusal->text,
                   refusal->status == 405 ? "%s is not a method of %.*s" : "%s %.*s does not exist",
                   req->method, (int)(req->target.path_len < 100 ? req->target.path_len : 100),
                   req->target.raw);
}

void http_router_find(const struct http_router *router, struct http_request *req,
                      struct http_refusal *refusal)
{
    const struct http_path *path = http_router_path(router, &req->target);
    const struct http_method *method = NULL;
    if (path != NULL) {
        method = http_path_method(path, req->method);
        if (method == NULL && strcmp(req->method, "HEAD") == 0)
            method = http_path_method(path, "GET");
    }
    if (method == NULL) {
        http_router_refuse(path, req, refusal);
        return;
    }
    if (strcmp(req->method, "HEAD") == 0)
        memcpy(req->method, "GET", sizeof "GET");
    req->route = method->route;
    req->route_arg = method->arg;
    req->param_names = path->params;
}
