#include "run/http_tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int http_tls_read(const char *path, char **out, struct error *e)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set(e, -errno, "cannot read %s: %s", path, strerror(errno));
    char *text = mem_alloc(HTTP_TLS_FILE_BYTES_MAX + 1);
    size_t len = fread(text, 1, HTTP_TLS_FILE_BYTES_MAX + 1, file);
    int rc = 0;
    if (ferror(file))
        rc = error_set(e, -EIO, "cannot read %s", path);
    else if (len > HTTP_TLS_FILE_BYTES_MAX)
        rc = error_set(e, ERR_TOO_LARGE, "%s is too long for a PEM file", path);
    (void)fclose(file);
    if (rc == 0) {
        text[len] = '\0';
        *out = mem_dup(text, len + 1);
    }
    explicit_bzero(text, HTTP_TLS_FILE_BYTES_MAX + 1);
    free(text);
    return rc;
}

static int http_tls_check(const struct http_tls *tls, const struct http_tls_files *files,
                          struct error *e)
{
    gnutls_certificate_credentials_t credentials;
    if (gnutls_certificate_allocate_credentials(&credentials) != 0)
        abort();
    gnutls_datum_t cert = {(unsigned char *)files->cert, (unsigned)strlen(files->cert)};
    gnutls_datum_t key = {(unsigned char *)files->key, (unsigned)strlen(files->key)};
    int rc = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    const char *bad = tls->cert_path;
    if (rc >= 0 && files->client_ca != NULL) {
        gnutls_datum_t ca = {(unsigned char *)files->client_ca, (unsigned)strlen(files->client_ca)};
        rc = gnutls_certificate_set_x509_trust_mem(credentials, &ca, GNUTLS_X509_FMT_PEM);
        rc = rc == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND : rc;
        bad = tls->client_ca_path;
    }
    gnutls_certificate_free_credentials(credentials);
    if (rc < 0)
        return error_set(e, ERR_INVALID, "cannot use the certificate %s: %s", bad,
                         gnutls_strerror(rc));
    return 0;
}

int http_tls_load(const struct http_tls *tls, struct http_tls_files **out, struct error *e)
{
    struct http_tls_files *files = mem_zalloc(sizeof *files);
    int rc = http_tls_read(tls->cert_path, &files->cert, e);
    if (rc == 0)
        rc = http_tls_read(tls->key_path, &files->key, e);
    if (rc == 0 && tls->client_ca_path != NULL)
        rc = http_tls_read(tls->client_ca_path, &files->client_ca, e);
    if (rc == 0)
        rc = http_tls_check(tls, files, e);
    if (rc == 0)
        *out = files;
    else
        http_tls_free(files);
    return rc;
}

void http_tls_free(struct http_tls_files *files)
{
    if (files == NULL)
        return;
    free(files->cert);
    if (files->key != NULL)
        explicit_bzero(files->key, strlen(files->key));
    free(files->key);
    free(files->client_ca);
    free(files);
}

static gnutls_session_t http_tls_session(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info != NULL ? info->tls_session : NULL;
}

bool http_tls_has_good_cert(struct MHD_Connection *mhd)
{
    gnutls_session_t session = http_tls_session(mhd);
    unsigned problems = 0;
    if (session == NULL)
        return false;
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
    return gnutls_certificate_verify_peers(session, &purpose, 1, &problems) == 0 && problems == 0;
}

bool http_tls_cert_name(struct MHD_Connection *mhd, char name[static HTTP_TLS_NAME_MAX])
{
    if (!http_tls_has_good_cert(mhd))
        return false;
    unsigned count = 0;
    const gnutls_datum_t *der = gnutls_certificate_get_peers(http_tls_session(mhd), &count);
    gnutls_x509_crt_t cert;
    if (der == NULL || count == 0 || gnutls_x509_crt_init(&cert) != 0)
        return false;
    size_t size = HTTP_TLS_NAME_MAX;
    bool ok =
        gnutls_x509_crt_import(cert, &der[0], GNUTLS_X509_FMT_DER) == 0 &&
        gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &size) == 0;
    gnutls_x509_crt_deinit(cert);
    return ok;
}
