#include "tests/lib/test_certs.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

struct test_ca {
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t cert;
    unsigned char serial;
};

static void test_certs_must(int rc)
{
    if (rc < 0) {
        (void)fprintf(stderr, "test certificates: %s\n", gnutls_strerror(rc));
        abort();
    }
}

static gnutls_x509_privkey_t test_certs_key(void)
{
    gnutls_x509_privkey_t key;
    test_certs_must(gnutls_x509_privkey_init(&key));
    test_certs_must(gnutls_x509_privkey_generate(
        key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    return key;
}

static gnutls_x509_crt_t test_certs_cert(gnutls_x509_privkey_t key, const char *name,
                                         unsigned char serial)
{
    gnutls_x509_crt_t cert;
    time_t now = time(NULL);
    test_certs_must(gnutls_x509_crt_init(&cert));
    test_certs_must(gnutls_x509_crt_set_version(cert, 3));
    test_certs_must(gnutls_x509_crt_set_serial(cert, &serial, 1));
    test_certs_must(gnutls_x509_crt_set_activation_time(cert, now - 3600));
    test_certs_must(gnutls_x509_crt_set_expiration_time(cert, now + 3600));
    test_certs_must(gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                                  (unsigned)strlen(name)));
    test_certs_must(gnutls_x509_crt_set_key(cert, key));
    return cert;
}

static void test_certs_write(const char *dir, const char *name, const char *suffix,
                             const gnutls_datum_t *pem)
{
    char *path = mem_printf("%s/%s.%s", dir, name, suffix);
    FILE *file = fopen(path, "we");
    if (file == NULL || fwrite(pem->data, 1, pem->size, file) != pem->size || fclose(file) != 0)
        abort();
    free(path);
}

static void test_certs_write_cert(const char *dir, const char *name, gnutls_x509_crt_t cert)
{
    gnutls_datum_t pem;
    test_certs_must(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &pem));
    test_certs_write(dir, name, "pem", &pem);
    gnutls_free(pem.data);
}

struct test_ca *test_ca_new(const char *dir, const char *name)
{
    struct test_ca *ca = mem_zalloc(sizeof *ca);
    ca->key = test_certs_key();
    ca->cert = test_certs_cert(ca->key, name, 1);
    ca->serial = 1;
    test_certs_must(gnutls_x509_crt_set_basic_constraints(ca->cert, 1, -1));
    test_certs_must(gnutls_x509_crt_set_key_usage(ca->cert, GNUTLS_KEY_KEY_CERT_SIGN));
    test_certs_must(gnutls_x509_crt_sign2(ca->cert, ca->cert, ca->key, GNUTLS_DIG_SHA256, 0));
    test_certs_write_cert(dir, name, ca->cert);
    return ca;
}

void test_ca_free(struct test_ca *ca)
{
    gnutls_x509_crt_deinit(ca->cert);
    gnutls_x509_privkey_deinit(ca->key);
    free(ca);
}

void test_ca_issue(struct test_ca *ca, const char *dir, const char *name)
{
    static const unsigned char address[] = {127, 0, 0, 1};
    gnutls_x509_privkey_t key = test_certs_key();
    gnutls_x509_crt_t cert = test_certs_cert(key, name, ++ca->serial);
    test_certs_must(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, "localhost", 9,
                                                         GNUTLS_FSAN_APPEND));
    test_certs_must(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, address,
                                                         sizeof address, GNUTLS_FSAN_APPEND));
    test_certs_must(gnutls_x509_crt_set_key_purpose_oid(cert, GNUTLS_KP_TLS_WWW_SERVER, 0));
    test_certs_must(gnutls_x509_crt_set_key_purpose_oid(cert, GNUTLS_KP_TLS_WWW_CLIENT, 0));
    test_certs_must(gnutls_x509_crt_sign2(cert, ca->cert, ca->key, GNUTLS_DIG_SHA256, 0));
    test_certs_write_cert(dir, name, cert);
    gnutls_datum_t pem;
    test_certs_must(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem));
    test_certs_write(dir, name, "key", &pem);
    gnutls_free(pem.data);
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
}
