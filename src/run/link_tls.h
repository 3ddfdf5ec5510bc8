/* TLS 1.3 of links, on GnuTLS: both sides show a certificate that the cluster's CA signed.
 *
 * Sessions do no input or output: ciphertext is fed in and collected, so nothing here blocks. */
#ifndef RUN_LINK_TLS_H
#define RUN_LINK_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "run/link.h"

enum { LINK_TLS_IN_BYTES_MAX = 256 * 1024 };

struct link_tls; /* what the sessions of a set share */
struct link_tls_session;

/* ERR_INVALID (no certificate, key of another certificate ...) or -errno; the text names the file.
 */
int link_tls_new(const struct link_tls_options *options, struct link_tls **out, struct error *e);
void link_tls_free(struct link_tls *tls); /* after its sessions; NULL allowed */

struct link_tls_session *link_tls_session_new(const struct link_tls *tls, bool is_client);
void link_tls_session_free(struct link_tls_session *session); /* NULL allowed */

/* Ciphertext from the peer. ERR_TOO_LARGE: more than LINK_TLS_IN_BYTES_MAX unread. */
int link_tls_feed(struct link_tls_session *session, const void *data, size_t len);

/* Ciphertext for the peer; whoever sends it clears or takes it. */
struct buf *link_tls_output(struct link_tls_session *session);

/* Whether a stream that begins with these bytes can be TLS (RFC 8446, 5.1: handshake or alert). */
bool link_tls_is_record(const void *data, size_t len);

/* Takes the handshake as far as the input goes. 1: done; 0: needs more input; ERR_UNAUTHORIZED
 * (certificate, either side's), ERR_PROTOCOL. May run on another thread, when nothing else touches
 * the session: it costs about a millisecond. */
int link_tls_handshake(struct link_tls_session *session, struct error *e);

/* After the handshake. Decrypts to `out`: bytes, 0 when more input is needed, ERR_CLOSED (orderly
 * end), ERR_UNAUTHORIZED, ERR_PROTOCOL. May produce output. */
ssize_t link_tls_open(struct link_tls_session *session, void *out, size_t len, struct error *e);

/* Encrypts all of `data` to the output. */
void link_tls_seal(struct link_tls_session *session, const void *data, size_t len);

/* The close notification. */
void link_tls_end(struct link_tls_session *session);

/* Whether the peer's certificate carries `name` as a DNS name. */
bool link_tls_has_name(const struct link_tls_session *session, const char *name);

#endif
