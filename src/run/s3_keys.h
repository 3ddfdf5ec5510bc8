/* Who signs: keys from the configuration, the environment, or a credentials file that is read again
 * when it has changed. They are never printed. */
#ifndef RUN_S3_KEYS_H
#define RUN_S3_KEYS_H

#include "base/error.h"

struct s3_keys;

struct s3_keys_options {
    const char *access_key; /* NULL or "": look elsewhere */
    const char *secret_key;
    const char *session_token;
    const char *path; /* of a file as the AWS tools have it; NULL or "": none */
};

struct s3_keys *s3_keys_new(const struct s3_keys_options *options);
void s3_keys_free(struct s3_keys *keys);

/* Borrowed until the next call; `*token` may be NULL. ERR_UNAUTHORIZED with what to do when there
 * are none. */
int s3_keys_get(struct s3_keys *keys, const char **access_key, const char **secret_key,
                const char **token, struct error *e);

#endif
