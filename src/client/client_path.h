/* Paths of requests: text from outside is escaped (RFC 3986, section 2.3). */
#ifndef CLIENT_CLIENT_PATH_H
#define CLIENT_CLIENT_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLIENT_PATH_MAX = 8192 };

struct client_path {
    char text[CLIENT_PATH_MAX];
    size_t len;
    unsigned n_params;
    bool cut; /* something did not fit and is missing */
};

/* `segments` are joined by '/' behind "/api"; each is escaped; NULL ends them:
 * client_path(&p, "jobs", id, "wait", NULL) gives "/api/jobs/ID/wait". Returns p->text. */
const char *client_path(struct client_path *p, ...) __attribute__((sentinel));

/* Adds "?key=value" or "&key=value"; a NULL value adds nothing. Returns p->text. */
const char *client_path_param(struct client_path *p, const char *key, const char *value);
const char *client_path_param_u64(struct client_path *p, const char *key, uint64_t value);

#endif
