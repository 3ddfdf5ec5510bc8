#include "base/json_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"

enum { JSON_TEXT_ESCAPE_MAX = 8 };

/* Writes the escape of the character of `n` bytes at `s` (n 0: not UTF-8); false: it stays. */
static bool json_text_escape(const char *s, size_t n, char escape[static JSON_TEXT_ESCAPE_MAX])
{
    static const char short_from[] = "\"\\\b\f\n\r\t";
    static const char short_to[] = "\"\\bfnrt";
    const uint8_t *bytes = (const uint8_t *)s;
    unsigned code = bytes[0];
    if (n == 0)
        code = 0xfffd;
    else if (n == 2 && code == 0xc2)
        code = bytes[1];
    else if (n > 1)
        return false;
    const char *at = code != 0 && code < 0x80 ? strchr(short_from, (int)code) : NULL;
    if (at != NULL)
        memcpy(escape, (const char[]){'\\', short_to[at - short_from], '\0'}, 3);
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xfffd)
        (void)snprintf(escape, JSON_TEXT_ESCAPE_MAX, "\\u%04x", code & 0xffff);
    else
        return false;
    return true;
}

int json_text_append(struct buf *b, const char *s, size_t len)
{
    size_t before = b->len;
    int err = buf_append_byte(b, '"');
    size_t kept = 0; /* start of what stays as it is */
    for (size_t at = 0; err == 0;) {
        at += str_plain_len(s + at, len - at); /* most of most texts */
        if (at == len)
            break;
        char escape[JSON_TEXT_ESCAPE_MAX];
        size_t n = str_utf8_len(s + at, len - at);
        bool escaped = json_text_escape(s + at, n, escape);
        size_t end = at + (n > 0 ? n : 1);
        if (escaped) {
            err = buf_append(b, s + kept, at - kept);
            if (err == 0)
                err = buf_append_str(b, escape);
            kept = end;
        }
        at = end;
    }
    if (err == 0)
        err = buf_append(b, s + kept, len - kept);
    if (err == 0)
        err = buf_append_byte(b, '"');
    if (err < 0)
        b->len = before;
    return err;
}
