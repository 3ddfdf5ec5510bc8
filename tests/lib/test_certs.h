/* A certificate authority for one test: PEM files in a directory. */
#ifndef TESTS_LIB_TEST_CERTS_H
#define TESTS_LIB_TEST_CERTS_H

struct test_ca;

/* Writes DIR/NAME.pem. */
struct test_ca *test_ca_new(const char *dir, const char *name);
void test_ca_free(struct test_ca *ca);
/* Writes DIR/NAME.pem and DIR/NAME.key: common name NAME, valid for localhost and 127.0.0.1, as
 * server and as client. */
void test_ca_issue(struct test_ca *ca, const char *dir, const char *name);

#endif
