/* GET /api/jobs/{job}/output: the bytes that an element wrote, followed while it runs if asked for,
 * on every node. */
#ifndef ROLE_OUTPUT_API_H
#define ROLE_OUTPUT_API_H

enum { OUTPUT_API_STREAMS_MAX = 1024 }; /* at once; further ones are told 503 */

struct node;
struct output_api;

/* Adds its routes to the node's router. */
struct output_api *output_api_new(struct node *node);
/* Ends every stream; further requests are refused. */
void output_api_stop(struct output_api *api);
void output_api_free(struct output_api *api);

#endif
