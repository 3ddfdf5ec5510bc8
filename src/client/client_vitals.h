/* What nodes measure each second (GET /api/vitals), put into rows of nodes. */
#ifndef CLIENT_CLIENT_VITALS_H
#define CLIENT_CLIENT_VITALS_H

#include <jansson.h>

/* Puts what the line `tick` (NULL: none) tells of nodes into their rows. */
void client_vitals_put(json_t *nodes, const json_t *tick);

/* For rows of a frame, which say how nodes were when something last happened to them: what the line
 * `tick` (NULL: none) tells takes that place, and of a node that it does not tell of nothing is
 * said. */
void client_vitals_renew(json_t *nodes, const json_t *tick);

#endif
