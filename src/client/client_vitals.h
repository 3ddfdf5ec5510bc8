/* What nodes measure each second (GET /api/vitals), put into rows of nodes. */
#ifndef CLIENT_CLIENT_VITALS_H
#define CLIENT_CLIENT_VITALS_H

#include <jansson.h>

/* Puts `values`, those of the node in the line `tick`, into its row. */
void client_vitals_set(json_t *node, const json_t *tick, const json_t *values);

/* For rows of a frame, which say how nodes were when something last happened to them: what the line
 * `tick` (NULL: none) tells takes that place, and of a node that it does not tell of nothing is
 * said. */
void client_vitals_renew(json_t *nodes, const json_t *tick);

#endif
