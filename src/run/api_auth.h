/* The bearer token that guards the API on TCP: 32 random bytes in base64url, in a file that only
 * its owner reads. */
#ifndef RUN_API_AUTH_H
#define RUN_API_AUTH_H

#include <stdbool.h>

#include "base/error.h"

enum { API_AUTH_TOKEN_LEN = 43, API_AUTH_TOKEN_MAX = 256 };

/* Reads the token from `path`; makes a file with a new one (mode 0600, synced) when there is none.
 * ERR_FORBIDDEN: others may read the file; ERR_CORRUPT: its content is no token (16 to 256
 * characters of A-Z a-z 0-9 - . _ ~ + / =). On success `token` holds it, NUL-terminated. */
int api_auth_load(const char *path, char token[static API_AUTH_TOKEN_MAX + 1], struct error *e);

/* Makes `path` hold this token, durably, whatever it held before. */
int api_auth_save(const char *path, const char *token, struct error *e);

/* Whether the value of an Authorization header is "Bearer TOKEN" with this token. Takes the same
 * time for every wrong token of the same length. NULL header is false. */
bool api_auth_check(const char *authorization, const char *token);

#endif
