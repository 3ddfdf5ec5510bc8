#include "base/uuid.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/error.h"

void random_bytes(void *out, unsigned len)
{
    uint8_t *at = out;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort();
        at += n;
        len -= (unsigned)n;
    }
}

void uuid_generate(struct uuid *id)
{
    random_bytes(id->bytes, sizeof id->bytes);
    id->bytes[6] = (uint8_t)((id->bytes[6] & 0x0f) | 0x40);
    id->bytes[8] = (uint8_t)((id->bytes[8] & 0x3f) | 0x80);
}

static int uuid_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int uuid_parse(const char *text, struct uuid *id)
{
    struct uuid parsed;
    if (strlen(text) != UUID_TEXT_MAX - 1)
        return ERR_INVALID;
    for (unsigned i = 0; i < sizeof parsed.bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            if (*text++ != '-')
                return ERR_INVALID;
        }
        int high = uuid_hex(*text++);
        int low = uuid_hex(*text++);
        if (high < 0 || low < 0)
            return ERR_INVALID;
        parsed.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *id = parsed;
    return 0;
}

const char *uuid_format(const struct uuid *id, char out[static UUID_TEXT_MAX])
{
    static const char digits[] = "0123456789abcdef";
    char *at = out;
    for (unsigned i = 0; i < sizeof id->bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[id->bytes[i] >> 4];
        *at++ = digits[id->bytes[i] & 15];
    }
    *at = '\0';
    return out;
}

int uuid_compare(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

bool uuid_is_nil(const struct uuid *id)
{
    static const struct uuid nil;
    return uuid_compare(id, &nil) == 0;
}
