#include "base/base64.h"

#include <stdint.h>

#include "base/error.h"

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(struct buf *b, const void *data, size_t len)
{
    const uint8_t *in = data;
    size_t out_len = (len + 2) / 3 * 4;
    int err = buf_reserve(b, out_len);
    if (err < 0)
        return err;
    uint8_t *out = b->data + b->len;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16;
        if (n > 1)
            bits |= (uint32_t)in[i + 1] << 8;
        if (n > 2)
            bits |= in[i + 2];
        *out++ = (uint8_t)base64_alphabet[bits >> 18];
        *out++ = (uint8_t)base64_alphabet[bits >> 12 & 63];
        *out++ = n > 1 ? (uint8_t)base64_alphabet[bits >> 6 & 63] : '=';
        *out++ = n > 2 ? (uint8_t)base64_alphabet[bits & 63] : '=';
    }
    b->len += out_len;
    return 0;
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters; `n` of them carry bits. The bits that the last one leaves over must be zero. */
static int base64_group(struct buf *b, const char *text, size_t n)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < n ? base64_value(text[i]) : 0;
        if (value < 0)
            return ERR_INVALID;
        bits = bits << 6 | (uint32_t)value;
    }
    if ((n == 2 && (bits & 0xffff) != 0) || (n == 3 && (bits & 0xff) != 0))
        return ERR_INVALID;
    uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
    return buf_append(b, bytes, n - 1);
}

int base64_decode(struct buf *b, const char *text, size_t len)
{
    size_t was = b->len;
    int err = len % 4 == 0 ? 0 : ERR_INVALID;
    for (size_t i = 0; err == 0 && i < len; i += 4) {
        bool last = i + 4 == len;
        size_t padding = last && text[i + 3] == '=' ? text[i + 2] == '=' ? 2 : 1 : 0;
        err = base64_group(b, text + i, 4 - padding);
    }
    if (err < 0)
        b->len = was;
    return err;
}
