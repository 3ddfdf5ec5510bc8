#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *mem_check(void *p)
{
    if (p == NULL) {
        fputs("clusterd: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *mem_alloc(size_t size)
{
    return mem_check(malloc(size ? size : 1));
}

void *mem_zalloc(size_t size)
{
    return mem_check(calloc(1, size ? size : 1));
}

void *mem_calloc(size_t count, size_t size)
{
    return mem_check(calloc(count ? count : 1, size ? size : 1));
}

void *mem_realloc(void *p, size_t size)
{
    return mem_check(realloc(p, size ? size : 1));
}

void *mem_reallocarray(void *p, size_t count, size_t size)
{
    return mem_check(reallocarray(p, count ? count : 1, size ? size : 1));
}

void *mem_dup(const void *p, size_t size)
{
    void *copy = mem_alloc(size);
    if (size > 0)
        memcpy(copy, p, size);
    return copy;
}

char *mem_strdup(const char *s)
{
    return s == NULL ? NULL : mem_check(strdup(s));
}

char *mem_strndup(const char *s, size_t n)
{
    return mem_check(n > 0 ? strndup(s, n) : strdup(""));
}

char *mem_printf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    return mem_check(n < 0 ? NULL : text);
}
