/* POST /api/execute in mode "direct": a command on this node, now, its output in the answer. */
#ifndef ROLE_EXEC_DIRECT_H
#define ROLE_EXEC_DIRECT_H

#include <jansson.h>

#include "role/node.h"

enum { EXEC_DIRECT_STREAM_BYTES_MAX = 1 << 20 };

/* Runs what `body` ({"mode":"direct","command":"..."|"argv":[...],"time_limit_ms"?}, borrowed) asks
 * for and answers `req`: 200 with exit code, signal, streams (cut at EXEC_DIRECT_STREAM_BYTES_MAX
 * each), or an error. A client that goes away ends the command. */
void exec_direct(struct node *node, struct http_request *req, const json_t *body);

#endif
