/* Text as a JSON string, RFC 8259 section 7, in a form that is safe to show on a terminal too. */
#ifndef BASE_JSON_TEXT_H
#define BASE_JSON_TEXT_H

#include <stddef.h>

#include "base/buf.h"

enum { JSON_TEXT_FACTOR_MAX = 6 }; /* bytes that one byte takes at most, beside the two quotes */

/* Appends `len` bytes of `s` between quotes. Control characters, DEL and C1 codes become escapes,
 * each byte that is not UTF-8 becomes U+FFFD. ERR_TOO_LARGE leaves the buffer as it was. */
int json_text_append(struct buf *b, const char *s, size_t len);

#endif
