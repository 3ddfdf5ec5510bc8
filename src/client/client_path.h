/* Paths of requests: text from outside is escaped (RFC 3986, section 2.3). */
#ifndef CLIENT_PATH_H
#define CLIENT_PATH_H

#include <stddef.h>

enum { CLIENT_PATH_MAX = 8192 };

struct client_path {
    char text[CLIENT_PATH_MAX]; /* what does not fit is cut, and `cut` says so */
    size_t len;
    unsigned n_params;
    int cut;
};

/* `segments` are joined by '/' behind "/api"; each is escaped; NULL ends them:
 * client_path(&p, "jobs", id, "wait", NULL) gives "/api/jobs/ID/wait". Returns p->text. */
const char *client_path(struct client_path *p, ...) __attribute__((sentinel));

/* Adds "?key=value" or "&key=value"; a NULL value adds nothing. Returns p->text. */
const char *client_path_param(struct client_path *p, const char *key, const char *value);
const char *client_path_param_u64(struct client_path *p, const char *key, unsigned long long value);

#endif
