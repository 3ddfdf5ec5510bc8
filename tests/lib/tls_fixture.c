#include "tests/lib/tls_fixture.h"

#include <ftw.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

void tls_fixture_init(struct tls_fixture *f)
{
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/clusterd-tls-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
}

static int tls_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void tls_fixture_done(struct tls_fixture *f)
{
    (void)nftw(f->dir, tls_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void tls_write(const char *path, gnutls_datum_t *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text->data, 1, text->size, file), text->size);
    assert_int_equal(fclose(file), 0);
    gnutls_free(text->data);
}

static gnutls_datum_t tls_read(const char *path)
{
    gnutls_datum_t text;
    assert_int_equal(gnutls_load_file(path, &text), 0);
    return text;
}

static gnutls_x509_privkey_t tls_new_key(void)
{
    gnutls_x509_privkey_t key;
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(gnutls_x509_privkey_generate(
                         key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                     0);
    return key;
}

static gnutls_x509_crt_t tls_new_cert(gnutls_x509_privkey_t key, const char *name, int64_t valid_s)
{
    static unsigned char serial;
    gnutls_x509_crt_t cert;
    unsigned char number[] = {1, ++serial};
    assert_int_equal(gnutls_x509_crt_init(&cert), 0);
    assert_int_equal(gnutls_x509_crt_set_version(cert, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(cert, number, sizeof number), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(cert, time(NULL) - 7200), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(cert, time(NULL) + valid_s), 0);
    assert_int_equal(gnutls_x509_crt_set_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                                   (unsigned)strlen(name)),
                     0);
    assert_int_equal(gnutls_x509_crt_set_key(cert, key), 0);
    return cert;
}

/* Signs, writes both files, frees both. */
static struct tls_fixture_pair tls_finish(struct tls_fixture *f, const char *file,
                                          gnutls_x509_crt_t cert, gnutls_x509_privkey_t key,
                                          gnutls_x509_crt_t ca, gnutls_x509_privkey_t ca_key)
{
    struct tls_fixture_pair pair;
    gnutls_datum_t text;
    (void)snprintf(pair.cert_path, sizeof pair.cert_path, "%s/%s.crt", f->dir, file);
    (void)snprintf(pair.key_path, sizeof pair.key_path, "%s/%s.key", f->dir, file);
    assert_int_equal(gnutls_x509_crt_sign2(cert, ca, ca_key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &text), 0);
    tls_write(pair.cert_path, &text);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text), 0);
    tls_write(pair.key_path, &text);
    gnutls_x509_crt_deinit(cert);
    gnutls_x509_privkey_deinit(key);
    return pair;
}

struct tls_fixture_pair tls_fixture_ca(struct tls_fixture *f, const char *name)
{
    gnutls_x509_privkey_t key = tls_new_key();
    gnutls_x509_crt_t cert = tls_new_cert(key, name, 3600);
    assert_int_equal(gnutls_x509_crt_set_basic_constraints(cert, 1, -1), 0);
    assert_int_equal(gnutls_x509_crt_set_key_usage(cert, GNUTLS_KEY_KEY_CERT_SIGN), 0);
    return tls_finish(f, name, cert, key, cert, key);
}

struct tls_fixture_pair tls_fixture_cert(struct tls_fixture *f, const struct tls_fixture_pair *ca,
                                         const char *file, const char *name, int64_t valid_s)
{
    gnutls_x509_crt_t ca_cert;
    gnutls_x509_privkey_t ca_key;
    gnutls_datum_t text = tls_read(ca->cert_path);
    assert_int_equal(gnutls_x509_crt_init(&ca_cert), 0);
    assert_int_equal(gnutls_x509_crt_import(ca_cert, &text, GNUTLS_X509_FMT_PEM), 0);
    gnutls_free(text.data);
    text = tls_read(ca->key_path);
    assert_int_equal(gnutls_x509_privkey_init(&ca_key), 0);
    assert_int_equal(gnutls_x509_privkey_import(ca_key, &text, GNUTLS_X509_FMT_PEM), 0);
    gnutls_free(text.data);

    gnutls_x509_privkey_t key = tls_new_key();
    gnutls_x509_crt_t cert = tls_new_cert(key, name, valid_s);
    assert_int_equal(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_DNSNAME, name,
                                                          (unsigned)strlen(name), GNUTLS_FSAN_SET),
                     0);
    assert_int_equal(gnutls_x509_crt_set_key_usage(cert, GNUTLS_KEY_DIGITAL_SIGNATURE), 0);
    struct tls_fixture_pair pair = tls_finish(f, file, cert, key, ca_cert, ca_key);
    gnutls_x509_crt_deinit(ca_cert);
    gnutls_x509_privkey_deinit(ca_key);
    return pair;
}
