/* The gateway role: what every node serves that is no affair of the leader alone.
 *
 *     POST /api/exec                  commands on many nodes, now
 *     GET  /api/jobs/{job}/output     the output of an element, from whichever node has it
 *     POST /api/files, GET /api/files/{id}
 *
 * and to other nodes: commands of an exec (on nodes with the worker role), pieces of uploaded
 * files. The HTTP server's upload directory must be on the file system of the data directory. */
#ifndef ROLE_GATEWAY_H
#define ROLE_GATEWAY_H

#include "role/role.h"

extern const struct role gateway_role;

#endif
