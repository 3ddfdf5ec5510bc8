#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

enum { BUF_FIRST_BYTES = 256 };

void buf_init(struct buf *b, size_t max)
{
    assert(max < SIZE_MAX / 2);
    *b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

int buf_reserve(struct buf *b, size_t len)
{
    assert(b->len <= b->max);
    if (len > b->max - b->len)
        return ERR_TOO_LARGE;
    size_t want = b->len + len + 1; /* one more for buf_cstr's NUL */
    if (want <= b->cap)
        return 0;
    size_t cap = b->cap ? b->cap : BUF_FIRST_BYTES;
    while (cap < want)
        cap *= 2;
    if (cap > b->max + 1)
        cap = b->max + 1;
    b->data = mem_realloc(b->data, cap);
    b->cap = cap;
    return 0;
}

int buf_append(struct buf *b, const void *data, size_t len)
{
    int err = buf_reserve(b, len);
    if (err < 0)
        return err;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_append_byte(struct buf *b, uint8_t byte)
{
    return buf_append(b, &byte, 1);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    int err = n < 0 ? ERR_INVALID : buf_reserve(b, (size_t)n);
    if (err == 0) {
        (void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return err;
}

void buf_consume(struct buf *b, size_t len)
{
    assert(len <= b->len);
    b->len -= len;
    if (b->len > 0)
        memmove(b->data, b->data + len, b->len);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

const char *buf_cstr(struct buf *b)
{
    (void)buf_reserve(b, 0);
    b->data[b->len] = '\0';
    return (const char *)b->data;
}

char *buf_steal(struct buf *b, size_t *len)
{
    (void)buf_cstr(b);
    char *data = (char *)b->data;
    if (len != NULL)
        *len = b->len;
    buf_init(b, b->max);
    return data;
}
