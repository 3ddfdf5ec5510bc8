#include "shell/text.h"

#include <assert.h>
#include <langinfo.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/mem.h"
#include "base/str.h"

enum { TEXT_JOIN_BYTES_MAX = 1024 * 1024 };

static bool text_utf8;

void text_set_utf8(bool is_utf8)
{
    text_utf8 = is_utf8;
}

void text_set_locale(void)
{
    text_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

bool text_is_utf8(void)
{
    return text_utf8;
}

/* Code point of the valid sequence of `n` bytes at `s`. */
static wchar_t text_decode(const char *s, size_t n)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (unsigned char)s[0] & masks[n];
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)s[i] & 0x3f);
    return (wchar_t)c;
}

/* Length of the character at `s`, and its columns. */
static size_t text_next(const char *s, size_t left, size_t *columns)
{
    *columns = 1;
    if ((unsigned char)*s < 0x80)
        return 1;
    size_t n = str_utf8_len(s, left);
    if (n == 0)
        return 1;
    int width = text_utf8 ? wcwidth(text_decode(s, n)) : 1;
    if (width >= 0)
        *columns = (size_t)width;
    return n;
}

char *text_clean(const char *s, size_t len, bool keep_lines)
{
    char *clean = str_printable(s, len, keep_lines);
    if (text_utf8)
        return clean;
    size_t n = strlen(clean);
    char *to = clean;
    for (size_t i = 0; i < n;) {
        size_t columns;
        size_t step = text_next(clean + i, n - i, &columns);
        *to++ = (unsigned char)clean[i] < 0x80 ? clean[i] : '?';
        i += step;
    }
    *to = '\0';
    return clean;
}

char *text_of_field(const json_t *object, const char *key, bool keep_lines)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    return text_clean(text != NULL ? text : "", json_string_length(value), keep_lines);
}

char *text_join(const json_t *strings, const char *separator)
{
    struct buf b;
    buf_init(&b, TEXT_JOIN_BYTES_MAX);
    size_t i;
    json_t *item;
    json_array_foreach(strings, i, item)
    {
        const char *text = json_string_value(item);
        (void)buf_printf(&b, "%s%s", i > 0 ? separator : "", text != NULL ? text : "");
    }
    return buf_steal(&b, NULL);
}

/* How many bytes at the end are the beginning of something that goes on. */
static size_t text_unfinished(const char *s, size_t len)
{
    if (len > 0 && s[len - 1] == '\r')
        return 1;
    for (size_t n = 1; n <= 3 && n <= len; n++) {
        unsigned char c = (unsigned char)s[len - n];
        if ((c & 0xc0) == 0x80)
            continue;
        size_t whole = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
        return whole > n ? n : 0;
    }
    return 0;
}

char *text_stream_clean(struct text_stream *stream, const char *bytes, size_t len, bool is_last)
{
    char *all = mem_alloc(stream->n + len + 1);
    memcpy(all, stream->left, stream->n);
    memcpy(all + stream->n, bytes, len);
    len += stream->n;
    stream->n = is_last ? 0 : text_unfinished(all, len);
    len -= stream->n;
    memcpy(stream->left, all + len, stream->n);
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        if (all[i] != '\r' || i + 1 >= len || all[i + 1] != '\n')
            all[to++] = all[i];
    }
    char *clean = text_clean(all, to, true);
    free(all);
    return clean;
}

/* Whether a terminal shows the character and does nothing else. */
static bool text_is_harmless(const char *s, size_t n)
{
    char one[8] = "";
    if (n >= sizeof one)
        return false;
    memcpy(one, s, n);
    char *clean = text_clean(one, n, false);
    bool is_same = strcmp(clean, one) == 0;
    free(clean);
    return is_same;
}

char *text_clean_json(const char *json)
{
    struct buf b;
    size_t len = strlen(json);
    buf_init(&b, 6 * len + 1);
    for (size_t i = 0; i < len;) {
        unsigned char c = (unsigned char)json[i];
        size_t n = c < 0x80 ? 1 : str_utf8_len(json + i, len - i);
        n = n > 0 ? n : 1;
        bool stays =
            c < 0x80 ? (c >= 0x20 && c != 0x7f) || c == '\n' : text_is_harmless(json + i, n);
        uint32_t code = (uint32_t)(n > 1 ? text_decode(json + i, n) : c);
        if (stays)
            (void)buf_append(&b, json + i, n);
        else if (code >= 0x10000)
            (void)buf_printf(&b, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
        else
            (void)buf_printf(&b, "\\u%04x", code);
        i += n;
    }
    return buf_steal(&b, NULL);
}

size_t text_width(const char *s)
{
    size_t len = strlen(s);
    size_t width = 0;
    for (size_t i = 0; i < len;) {
        size_t columns;
        i += text_next(s + i, len - i, &columns);
        width += columns;
    }
    return width;
}

/* Bytes of the longest beginning of `s` that takes at most `width` columns. */
static size_t text_prefix(const char *s, size_t width, size_t *taken)
{
    size_t len = strlen(s);
    size_t i = 0;
    *taken = 0;
    while (i < len) {
        size_t columns;
        size_t step = text_next(s + i, len - i, &columns);
        if (*taken + columns > width)
            break;
        *taken += columns;
        i += step;
    }
    return i;
}

static void text_append_spaces(struct buf *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        (void)buf_append_byte(b, ' ');
}

void text_append_fit(struct buf *b, const char *s, size_t width, bool right, bool pad)
{
    size_t full = text_width(s);
    if (full <= width) {
        if (right && (full > 0 || pad))
            text_append_spaces(b, width - full);
        (void)buf_append_str(b, s);
        if (!right && pad)
            text_append_spaces(b, width - full);
        return;
    }
    const char *ellipsis = text_utf8 ? "\xe2\x80\xa6" : "~";
    size_t taken = 0;
    if (width > 0) {
        size_t n = text_prefix(s, width - 1, &taken);
        (void)buf_append(b, s, n);
        (void)buf_append_str(b, ellipsis);
        taken++;
    }
    if (pad)
        text_append_spaces(b, width - taken);
}

char *text_cut(const char *s, size_t width)
{
    struct buf b;
    buf_init(&b, strlen(s) + 16);
    text_append_fit(&b, s, width, false, false);
    return buf_steal(&b, NULL);
}

static void text_append_paragraph(struct buf *b, const char *s, size_t len, size_t indent,
                                  size_t width)
{
    size_t column = 0;
    while (len > 0) {
        size_t spaces = 0;
        while (spaces < len && s[spaces] == ' ')
            spaces++;
        size_t word = spaces;
        while (word < len && s[word] != ' ')
            word++;
        char *text = mem_strndup(s + spaces, word - spaces);
        size_t columns = text_width(text);
        if (column > 0 && column + 1 + columns > width) {
            (void)buf_append_byte(b, '\n');
            column = 0;
        }
        text_append_spaces(b, column == 0 ? indent : 1);
        (void)buf_append_str(b, text);
        column += columns + (column > 0);
        free(text);
        s += word;
        len -= word;
    }
    (void)buf_append_byte(b, '\n');
}

void text_append_wrapped(struct buf *b, const char *s, size_t indent, size_t width)
{
    assert(width > indent);
    while (*s != '\0') {
        size_t len = strcspn(s, "\n");
        if (len == 0) {
            (void)buf_append_byte(b, '\n');
        } else if (s[0] == ' ') {
            text_append_spaces(b, indent);
            (void)buf_append(b, s, len);
            (void)buf_append_byte(b, '\n');
        } else {
            text_append_paragraph(b, s, len, indent, width - indent);
        }
        s += len + (s[len] == '\n');
    }
}
