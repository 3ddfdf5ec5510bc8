#include "run/link_tls.h"

#include <assert.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"

struct link_tls {
    gnutls_certificate_credentials_t credentials;
    gnutls_priority_t priority;
};

struct link_tls_session {
    gnutls_session_t gnutls;
    struct buf in;
    size_t in_at; /* consumed bytes of in */
    struct buf out;
    bool spoken; /* the peer's first bytes were TLS */
};

/* ---- credentials -------------------------------------------------------------------------- */

static int link_tls_check_file(const char *path, struct error *e)
{
    if (access(path, R_OK) == 0)
        return 0;
    int code = -errno;
    return error_set(e, code, "%s: %s", path, err_text(code));
}

static int link_tls_load(struct link_tls *tls, const struct link_tls_options *options,
                         struct error *e)
{
    const char *const paths[] = {options->ca_path, options->cert_path, options->key_path};
    for (size_t i = 0; i < MEM_COUNT(paths); i++) {
        int err = link_tls_check_file(paths[i], e);
        if (err < 0)
            return err;
    }
    int n = gnutls_certificate_set_x509_trust_file(tls->credentials, options->ca_path,
                                                   GNUTLS_X509_FMT_PEM);
    if (n <= 0)
        return error_set(e, ERR_INVALID, "%s: no CA certificate: %s", options->ca_path,
                         n < 0 ? gnutls_strerror(n) : "the file has none");
    n = gnutls_certificate_set_x509_key_file(tls->credentials, options->cert_path,
                                             options->key_path, GNUTLS_X509_FMT_PEM);
    if (n < 0)
        return error_set(e, ERR_INVALID, "certificate %s with key %s: %s", options->cert_path,
                         options->key_path, gnutls_strerror(n));
    return 0;
}

int link_tls_new(const struct link_tls_options *options, struct link_tls **out, struct error *e)
{
    struct link_tls *tls = mem_zalloc(sizeof *tls);
    if (gnutls_certificate_allocate_credentials(&tls->credentials) < 0 ||
        gnutls_priority_init(&tls->priority, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL) < 0)
        abort();
    int err = link_tls_load(tls, options, e);
    if (err < 0) {
        link_tls_free(tls);
        return err;
    }
    *out = tls;
    return 0;
}

void link_tls_free(struct link_tls *tls)
{
    if (tls == NULL)
        return;
    gnutls_priority_deinit(tls->priority);
    gnutls_certificate_free_credentials(tls->credentials);
    free(tls);
}

/* ---- bytes below TLS ---------------------------------------------------------------------- */

static size_t link_tls_unread(const struct link_tls_session *session)
{
    return session->in.len - session->in_at;
}

static ssize_t link_tls_pull(gnutls_transport_ptr_t arg, void *data, size_t len)
{
    struct link_tls_session *session = arg;
    size_t unread = link_tls_unread(session);
    if (unread == 0) {
        gnutls_transport_set_errno(session->gnutls, EAGAIN);
        return -1;
    }
    if (len > unread)
        len = unread;
    memcpy(data, session->in.data + session->in_at, len);
    session->in_at += len;
    if (len == unread) {
        buf_done(&session->in);
        session->in_at = 0;
    }
    return (ssize_t)len;
}

static int link_tls_pull_timeout(gnutls_transport_ptr_t arg, unsigned ms)
{
    (void)ms;
    return link_tls_unread(arg) > 0;
}

static ssize_t link_tls_push(gnutls_transport_ptr_t arg, const void *data, size_t len)
{
    struct link_tls_session *session = arg;
    int err = buf_append(&session->out, data, len);
    assert(err == 0); /* bounded by what is sealed at once */
    (void)err;
    return (ssize_t)len;
}

int link_tls_feed(struct link_tls_session *session, const void *data, size_t len)
{
    if (session->in_at > 0) {
        buf_consume(&session->in, session->in_at);
        session->in_at = 0;
    }
    return buf_append(&session->in, data, len);
}

struct buf *link_tls_output(struct link_tls_session *session)
{
    return &session->out;
}

/* ---- sessions ----------------------------------------------------------------------------- */

struct link_tls_session *link_tls_session_new(const struct link_tls *tls, bool is_client)
{
    struct link_tls_session *session = mem_zalloc(sizeof *session);
    unsigned flags = (is_client ? GNUTLS_CLIENT : GNUTLS_SERVER) | GNUTLS_NONBLOCK |
                     GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS;
    buf_init(&session->in, LINK_TLS_IN_BYTES_MAX);
    buf_init(&session->out, SIZE_MAX / 4);
    if (gnutls_init(&session->gnutls, flags) < 0 ||
        gnutls_priority_set(session->gnutls, tls->priority) < 0 ||
        gnutls_credentials_set(session->gnutls, GNUTLS_CRD_CERTIFICATE, tls->credentials) < 0)
        abort();
    /* Whose certificate it is the Hello says, later: see link_tls_has_name(). */
    gnutls_session_set_verify_cert(session->gnutls, NULL, 0);
    if (!is_client)
        gnutls_certificate_server_set_request(session->gnutls, GNUTLS_CERT_REQUIRE);
    gnutls_handshake_set_timeout(session->gnutls, GNUTLS_INDEFINITE_TIMEOUT);
    gnutls_transport_set_ptr(session->gnutls, session);
    gnutls_transport_set_push_function(session->gnutls, link_tls_push);
    gnutls_transport_set_pull_function(session->gnutls, link_tls_pull);
    gnutls_transport_set_pull_timeout_function(session->gnutls, link_tls_pull_timeout);
    return session;
}

void link_tls_session_free(struct link_tls_session *session)
{
    if (session == NULL)
        return;
    gnutls_deinit(session->gnutls);
    buf_done(&session->in);
    buf_done(&session->out);
    free(session);
}

static int link_tls_verify_error(const struct link_tls_session *session, struct error *e)
{
    gnutls_datum_t text = {0};
    unsigned status = gnutls_session_get_verify_cert_status(session->gnutls);
    if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
        return error_set(e, ERR_UNAUTHORIZED, "TLS: the peer's certificate is not trusted");
    error_set(e, ERR_UNAUTHORIZED, "TLS: the peer's certificate: %s", (const char *)text.data);
    gnutls_free(text.data);
    return ERR_UNAUTHORIZED;
}

static int link_tls_error(const struct link_tls_session *session, int status, struct error *e)
{
    switch (status) {
    case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
        return link_tls_verify_error(session, e);
    case GNUTLS_E_CERTIFICATE_REQUIRED:
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
        return error_set(e, ERR_UNAUTHORIZED, "TLS: the peer showed no certificate");
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
        return error_set(e, ERR_UNAUTHORIZED, "TLS: the peer refused: %s",
                         gnutls_alert_get_name(gnutls_alert_get(session->gnutls)));
    case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
        return error_set(e, ERR_PROTOCOL, "TLS: the peer does not speak TLS 1.3");
    default:
        return error_set(e, ERR_PROTOCOL, "TLS: %s", gnutls_strerror(status));
    }
}

bool link_tls_is_record(const void *data, size_t len)
{
    enum { ALERT = 21, HANDSHAKE = 22, VERSION_MAJOR = 3 };
    const uint8_t *at = data;
    return (len < 1 || at[0] == HANDSHAKE || at[0] == ALERT) && (len < 2 || at[1] == VERSION_MAJOR);
}

int link_tls_handshake(struct link_tls_session *session, struct error *e)
{
    int status;
    /* GnuTLS would wait for the end of what it takes for a record. */
    if (!session->spoken && session->in.len > 0) {
        if (!link_tls_is_record(session->in.data, session->in.len)) {
            (void)gnutls_alert_send(session->gnutls, GNUTLS_AL_FATAL, GNUTLS_A_UNEXPECTED_MESSAGE);
            return error_set(e, ERR_PROTOCOL, "TLS: the peer does not speak it");
        }
        session->spoken = session->in.len >= 2;
    }
    do {
        status = gnutls_handshake(session->gnutls);
    } while (status == GNUTLS_E_INTERRUPTED || status == GNUTLS_E_WARNING_ALERT_RECEIVED);
    if (status == GNUTLS_E_AGAIN)
        return 0;
    if (status == GNUTLS_E_SUCCESS)
        return 1;
    (void)gnutls_alert_send_appropriate(session->gnutls, status);
    return link_tls_error(session, status, e);
}

ssize_t link_tls_open(struct link_tls_session *session, void *out, size_t len, struct error *e)
{
    ssize_t n;
    do {
        n = gnutls_record_recv(session->gnutls, out, len);
    } while (n == GNUTLS_E_INTERRUPTED || n == GNUTLS_E_WARNING_ALERT_RECEIVED);
    if (n > 0)
        return n;
    if (n == GNUTLS_E_AGAIN)
        return 0;
    if (n == 0 || n == GNUTLS_E_PREMATURE_TERMINATION)
        return error_set(e, -ECONNRESET, "the other side closed the connection");
    return link_tls_error(session, (int)n, e);
}

void link_tls_seal(struct link_tls_session *session, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t n = gnutls_record_send(session->gnutls, at, len);
        assert(n > 0); /* link_tls_push() takes everything */
        at += n;
        len -= (size_t)n;
    }
}

void link_tls_end(struct link_tls_session *session)
{
    (void)gnutls_bye(session->gnutls, GNUTLS_SHUT_WR);
}

bool link_tls_has_name(const struct link_tls_session *session, const char *name)
{
    unsigned n = 0;
    const gnutls_datum_t *certs = gnutls_certificate_get_peers(session->gnutls, &n);
    gnutls_x509_crt_t cert;
    if (certs == NULL || n == 0 || gnutls_x509_crt_init(&cert) < 0)
        return false;
    bool found = false;
    int type = gnutls_x509_crt_import(cert, &certs[0], GNUTLS_X509_FMT_DER);
    for (unsigned i = 0; type >= 0 && !found; i++) {
        char text[256];
        size_t len = sizeof text - 1;
        type = gnutls_x509_crt_get_subject_alt_name(cert, i, text, &len, NULL);
        if (type == GNUTLS_E_SHORT_MEMORY_BUFFER)
            type = GNUTLS_SAN_OTHERNAME;
        else if (type == GNUTLS_SAN_DNSNAME)
            found = len == strlen(name) && strncasecmp(text, name, len) == 0;
    }
    gnutls_x509_crt_deinit(cert);
    return found;
}
