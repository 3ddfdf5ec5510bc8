/* Base64 with padding, RFC 4648 section 4. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

#include "base/buf.h"

/* Each appends to `b`. ERR_TOO_LARGE: past its limit; ERR_INVALID: not base64. On failure the
 * buffer is as it was. */
int base64_encode(struct buf *b, const void *data, size_t len);
int base64_decode(struct buf *b, const char *text, size_t len);

#endif
