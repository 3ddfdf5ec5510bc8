/* A byte buffer that is born with its maximum. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data; /* NULL until the first byte */
    size_t len;
    size_t cap;
    size_t max; /* bytes; growing past it fails */
};

void buf_init(struct buf *b, size_t max); /* max < SIZE_MAX / 2 */
void buf_done(struct buf *b);             /* frees; the buffer is as after buf_init */

/* Each returns 0, or ERR_TOO_LARGE and leaves the buffer as it was. */
int buf_append(struct buf *b, const void *data, size_t len);
int buf_append_str(struct buf *b, const char *s);
int buf_append_byte(struct buf *b, uint8_t byte);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for `len` more bytes at data + len. Add to len what was then written there. */
int buf_reserve(struct buf *b, size_t len);

/* Drops `len` bytes (<= b->len) from the front. */
void buf_consume(struct buf *b, size_t len);
void buf_clear(struct buf *b);

/* Returns the content as a NUL-terminated string that the buffer still owns. The NUL does not count
 * towards len or max. */
const char *buf_cstr(struct buf *b);

/* Hands the content over (free() it; NUL-terminated) and leaves the buffer empty. */
char *buf_steal(struct buf *b, size_t *len);

#endif
