/* A model for tests of the data plane: an HTTP server on threads that answers, misbehaves or dies
 * as the path of the request says.
 *
 *     /ok        200, "NAME METHOD TARGET LENGTH-OF-BODY", the connection stays
 *     /head      200, the request's head as it came
 *     /body      200, the request's body, with a length
 *     /chunked   the same in chunks of odd sizes
 *     /close     the same, ended by closing
 *     /early     413 at once, the body is not read
 *     /hints     103, then as /ok
 *     /once      as /ok; the connection is closed without a word before the next request is read
 *     /half      a length of 1000, ten bytes, the end
 *     /garbage   what is not HTTP
 *     /forged    200, with the fields by which the proxy tells the model and the version
 *     /http2     200, as if it were HTTP 2.0
 *     /die       the end, without an answer
 *     /held      as /ok, when model_server_release() is called
 *     /slow      nothing, until the server is stopped
 *     /status/N  status N
 *     /big       20 MiB
 */
#ifndef TESTS_LIB_MODEL_SERVER_H
#define TESTS_LIB_MODEL_SERVER_H

#include <stdint.h>

struct model_server;

struct model_server *model_server_start(const char *name);
void model_server_stop(struct model_server *server);
void model_server_release(struct model_server *server);
uint16_t model_server_port(const struct model_server *server);
unsigned model_server_requests(struct model_server *server);
unsigned model_server_connections(struct model_server *server);

enum { MODEL_SERVER_BIG_BYTES = 20 << 20 };

#endif
