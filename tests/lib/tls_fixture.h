/* Certificates for tests, made when the test runs, in a directory of their own. */
#ifndef TESTS_LIB_TLS_FIXTURE_H
#define TESTS_LIB_TLS_FIXTURE_H

#include <stdint.h>

enum { TLS_FIXTURE_PATH_MAX = 128 };

struct tls_fixture {
    char dir[64];
};

struct tls_fixture_pair {
    char cert_path[TLS_FIXTURE_PATH_MAX];
    char key_path[TLS_FIXTURE_PATH_MAX];
};

void tls_fixture_init(struct tls_fixture *f);
void tls_fixture_done(struct tls_fixture *f); /* removes the directory */

/* A CA called `name`. */
struct tls_fixture_pair tls_fixture_ca(struct tls_fixture *f, const char *name);

/* A certificate for DNS name `name` signed by `ca`, in files called `file`, that ends `valid_s`
 * seconds from now (negative: has ended). */
struct tls_fixture_pair tls_fixture_cert(struct tls_fixture *f, const struct tls_fixture_pair *ca,
                                         const char *file, const char *name, int64_t valid_s);

#endif
