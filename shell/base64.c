#include "shell/base64.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

char *base64_decode(const char *text, size_t *len)
{
    size_t n = strlen(text);
    if (n % 4 != 0)
        return NULL;
    size_t padding = n > 0 && text[n - 1] == '=' ? text[n - 2] == '=' ? 2 : 1 : 0;
    char *out = mem_alloc(n / 4 * 3 + 1);
    uint32_t bits = 0;
    size_t written = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = i >= n - padding ? 0 : base64_digit(text[i]);
        if (digit < 0) {
            free(out);
            return NULL;
        }
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 3) {
            out[written++] = (char)(bits >> 16 & 0xff);
            out[written++] = (char)(bits >> 8 & 0xff);
            out[written++] = (char)(bits & 0xff);
        }
    }
    *len = written - padding;
    out[*len] = '\0';
    return out;
}
