/* /api/internal/files: which uploaded files there are and which nodes hold them. For nodes, not for
 * users; on every node, served by the leader. */
#ifndef ROLE_FILES_INDEX_H
#define ROLE_FILES_INDEX_H

struct node;

void files_index_add_routes(struct node *node);

#endif
