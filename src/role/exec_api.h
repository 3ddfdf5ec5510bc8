/* POST /api/exec: a command on many nodes, now, their output live as JSON lines; on every node. */
#ifndef ROLE_EXEC_API_H
#define ROLE_EXEC_API_H

enum {
    EXEC_API_REQUESTS_MAX = 64,       /* at once; further ones are told 503 */
    EXEC_API_WINDOW_BYTES = 16 << 20, /* of output under way for one request, over all its nodes */
};

struct node;
struct exec_api;

/* Adds its routes to the node's router. */
struct exec_api *exec_api_new(struct node *node);
/* Ends every request and its commands; further ones are refused. */
void exec_api_stop(struct exec_api *api);
void exec_api_free(struct exec_api *api);

#endif
