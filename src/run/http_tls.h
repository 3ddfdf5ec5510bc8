/* TLS of a listener, and who a client certificate belongs to. */
#ifndef RUN_HTTP_TLS_H
#define RUN_HTTP_TLS_H

#include <microhttpd.h>
#include <stdbool.h>

#include "base/error.h"
#include "run/http_server.h"

enum { HTTP_TLS_NAME_MAX = 128, HTTP_TLS_FILE_BYTES_MAX = 256 * 1024 };

/* PEM texts; `client_ca` may be NULL. */
struct http_tls_files {
    char *cert;
    char *key;
    char *client_ca;
};

/* Reads the files and checks that key and certificate are one pair. */
int http_tls_load(const struct http_tls *tls, struct http_tls_files **out, struct error *e);
void http_tls_free(struct http_tls_files *files); /* NULL allowed */

/* Whether the client showed a certificate that our client CA signed and that is valid now. */
bool http_tls_has_good_cert(struct MHD_Connection *mhd);
/* Its common name; false without a good certificate. */
bool http_tls_cert_name(struct MHD_Connection *mhd, char name[static HTTP_TLS_NAME_MAX]);

#endif
