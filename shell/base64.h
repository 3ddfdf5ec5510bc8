/* Base64, RFC 4648 section 4: how bytes that are no UTF-8 travel in JSON. */
#ifndef SHELL_BASE64_H
#define SHELL_BASE64_H

#include <stddef.h>

/* Decodes `text` into malloc'ed bytes. NULL when it is malformed. */
char *base64_decode(const char *text, size_t *len);

#endif
