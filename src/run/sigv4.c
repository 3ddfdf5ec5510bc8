/* Happy path: canonical request, string to sign, a key derived from date, region and service, HMAC.
 */
#include "run/sigv4.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

enum { SIGV4_DIGEST_BYTES = 32, SIGV4_DAY_LEN = 8 };

static void sigv4_hex(const uint8_t *bytes, char out[static SIGV4_HASH_MAX])
{
    for (int i = 0; i < SIGV4_DIGEST_BYTES; i++)
        (void)sprintf(out + 2 * (size_t)i, "%02x", bytes[i]);
}

void sigv4_hash(const void *data, size_t len, char out[static SIGV4_HASH_MAX])
{
    uint8_t digest[SIGV4_DIGEST_BYTES];
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data != NULL ? data : "", len, digest) != 0)
        abort();
    sigv4_hex(digest, out);
}

static void sigv4_hmac(const void *key, size_t key_len, const char *text,
                       uint8_t out[static SIGV4_DIGEST_BYTES])
{
    if (gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, key_len, text, strlen(text), out) != 0)
        abort();
}

const char *sigv4_date(int64_t wall_ms, char out[static SIGV4_DATE_MAX])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    (void)strftime(out, SIGV4_DATE_MAX, "%Y%m%dT%H%M%SZ", &tm);
    return out;
}

char *sigv4_encode(const char *text, bool path)
{
    char *out = mem_alloc(strlen(text) * 3 + 1);
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr("-_.~", *p) != NULL || (path && *p == '/');
        if (plain)
            out[n++] = (char)*p;
        else
            n += (size_t)sprintf(out + n, "%%%02X", *p);
    }
    out[n] = '\0';
    return out;
}

static int sigv4_compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *sigv4_query(const struct sigv4_request *request)
{
    char *pairs[SIGV4_QUERY_MAX];
    char *query = mem_strdup("");
    for (size_t i = 0; i < request->query_n; i++) {
        char *name = sigv4_encode(request->query[i].name, false);
        char *value = sigv4_encode(request->query[i].value, false);
        pairs[i] = mem_printf("%s=%s", name, value);
        free(name);
        free(value);
    }
    qsort(pairs, request->query_n, sizeof *pairs, sigv4_compare_text);
    for (size_t i = 0; i < request->query_n; i++) {
        char *longer = mem_printf("%s%s%s", query, i > 0 ? "&" : "", pairs[i]);
        free(query);
        free(pairs[i]);
        query = longer;
    }
    return query;
}

static int sigv4_compare_pair(const void *a, const void *b)
{
    return strcmp(((const struct sigv4_pair *)a)->name, ((const struct sigv4_pair *)b)->name);
}

/* The canonical headers, and their names separated by ';'. */
static void sigv4_headers(const struct sigv4_request *request, const char *date, char **headers,
                          char **names)
{
    struct sigv4_pair sorted[SIGV4_HEADERS_MAX + 1];
    size_t n = request->headers_n;
    memcpy(sorted, request->headers, n * sizeof *sorted);
    sorted[n++] = (struct sigv4_pair){"x-amz-date", date};
    qsort(sorted, n, sizeof *sorted, sigv4_compare_pair);
    *headers = mem_strdup("");
    *names = mem_strdup("");
    for (size_t i = 0; i < n; i++) {
        char *longer = mem_printf("%s%s:%s\n", *headers, sorted[i].name, sorted[i].value);
        free(*headers);
        *headers = longer;
        longer = mem_printf("%s%s%s", *names, i > 0 ? ";" : "", sorted[i].name);
        free(*names);
        *names = longer;
    }
}

static void sigv4_key(const struct sigv4_credentials *credentials, const char *day,
                      uint8_t key[static SIGV4_DIGEST_BYTES])
{
    char *secret = mem_printf("AWS4%s", credentials->secret_key);
    sigv4_hmac(secret, strlen(secret), day, key);
    gnutls_memset(secret, 0, strlen(secret));
    free(secret);
    sigv4_hmac(key, SIGV4_DIGEST_BYTES, credentials->region, key);
    sigv4_hmac(key, SIGV4_DIGEST_BYTES, credentials->service, key);
    sigv4_hmac(key, SIGV4_DIGEST_BYTES, "aws4_request", key);
}

char *sigv4_authorize(const struct sigv4_request *request,
                      const struct sigv4_credentials *credentials, const char *date)
{
    char *headers, *names;
    char hash[SIGV4_HASH_MAX], signature[SIGV4_HASH_MAX], day[SIGV4_DAY_LEN + 1];
    uint8_t key[SIGV4_DIGEST_BYTES];
    (void)snprintf(day, sizeof day, "%.8s", date);
    sigv4_headers(request, date, &headers, &names);
    char *path = sigv4_encode(request->path, true);
    char *query = sigv4_query(request);
    char *canonical = mem_printf("%s\n%s\n%s\n%s\n%s\n%s", request->method, path, query, headers,
                                 names, request->payload_hash);
    sigv4_hash(canonical, strlen(canonical), hash);
    char *scope =
        mem_printf("%s/%s/%s/aws4_request", day, credentials->region, credentials->service);
    char *to_sign = mem_printf("AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hash);
    sigv4_key(credentials, day, key);
    sigv4_hmac(key, sizeof key, to_sign, key);
    sigv4_hex(key, signature);
    char *value = mem_printf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                             credentials->access_key, scope, names, signature);
    free(headers);
    free(names);
    free(path);
    free(query);
    free(canonical);
    free(scope);
    free(to_sign);
    return value;
}
