#include "role/files_api.h"

#include <stdlib.h>

#include "base/mem.h"
#include "role/files_internal.h"

static const struct http_route files_api_routes[] = {
    {.method = "POST",
     .path = "/api/files",
     .flags = HTTP_ROUTE_UPLOAD | HTTP_ROUTE_BYTES,
     .handler = files_upload_post},
    {.method = "GET",
     .path = "/api/files/{id}",
     .flags = HTTP_ROUTE_STREAM,
     .handler = files_download_get},
};

struct files_api *files_api_new(struct node *node)
{
    struct files_api *api = mem_zalloc(sizeof *api);
    api->node = node;
    TAILQ_INIT(&api->uploads);
    TAILQ_INIT(&api->downloads);
    http_router_add(node_router(node), files_api_routes, MEM_COUNT(files_api_routes), api);
    return api;
}

void files_api_check_closed(struct files_api *api)
{
    if (api->closed == NULL || !TAILQ_EMPTY(&api->uploads))
        return;
    void (*closed)(void *) = api->closed;
    void *arg = api->closed_arg;
    api->closed = NULL;
    closed(arg);
}

void files_api_close(struct files_api *api, void (*closed)(void *arg), void *arg)
{
    api->stopped = true;
    files_upload_stop(api);
    files_download_stop(api);
    api->closed = closed;
    api->closed_arg = arg;
    files_api_check_closed(api);
}

void files_api_free(struct files_api *api)
{
    free(api);
}
