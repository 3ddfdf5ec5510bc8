/* POST /api/files, GET /api/files/{id}: uploaded files, on every node. */
#ifndef ROLE_FILES_API_H
#define ROLE_FILES_API_H

enum { FILES_API_DOWNLOADS_MAX = 256 }; /* from other nodes, at once; further ones are told 503 */

struct node;
struct files_api;

/* Adds its routes to the node's router. */
struct files_api *files_api_new(struct node *node);
/* Ends every request; further ones are refused. `closed`, maybe from inside, when nothing is being
 * stored any more. */
void files_api_close(struct files_api *api, void (*closed)(void *arg), void *arg);
void files_api_free(struct files_api *api);

#endif
