/* Pieces of the API's JSON that several handlers share. New references. */
#ifndef ROLE_API_JSON_H
#define ROLE_API_JSON_H

#include <jansson.h>

#include "run/http_request.h"
#include "wire/state.pb-c.h"

struct node;

json_t *api_json_time(uint64_t wall_ms); /* null for 0 */
json_t *api_json_text(const char *text); /* invalid UTF-8 is escaped */

/* A job as docs/api.md has it. `reason` NULL: the row's. */
json_t *api_json_job(const Wire__JobRow *row, const char *reason);

/* An attempt. With `output` also the streams that are stored inline. */
json_t *api_json_task(const struct node *node, const uint8_t job[16], const Wire__TaskRow *row,
                      bool output);
/* An element without an attempt: pending with a reason, or cancelled. */
json_t *api_json_unstarted(const uint8_t job[16], uint32_t index, bool is_cancelled,
                           const char *reason);

/* Parses the body; answers the request and returns NULL when it is not a JSON object. */
json_t *api_json_body(struct http_request *req);

#endif
