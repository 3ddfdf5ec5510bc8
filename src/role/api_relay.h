/* API requests that other nodes (or parts of this one) sent here to be served: the other end of
 * node_forward(). */
#ifndef ROLE_API_RELAY_H
#define ROLE_API_RELAY_H

#include <stdint.h>

#include "wire/message.h"

enum { API_RELAY_REQUESTS_MAX = 4096, API_RELAY_HOPS_MAX = 2 };

struct node;
struct api_relay;

struct api_relay *api_relay_new(struct node *node);
/* Lets go of what is still being served. */
void api_relay_free(struct api_relay *relay);

/* Handlers of WIRE_API_REQUEST and WIRE_API_CANCEL, and of a link that went down. */
void api_relay_on_request(struct api_relay *relay, uint64_t from, const Wire__ApiRequest *message);
void api_relay_on_cancel(struct api_relay *relay, uint64_t from, const Wire__ApiCancel *message);
void api_relay_lost(struct api_relay *relay, uint64_t peer);

#endif
