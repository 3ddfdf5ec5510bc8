/* Header fields in one text, as offsets: a head costs no allocation once the buffer has grown. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "run/proxy_internal.h"

void proxy_fields_init(struct proxy_fields *fields)
{
    *fields = (struct proxy_fields){0};
    buf_init(&fields->text, PROXY_HEAD_BYTES_MAX + 2 * PROXY_FIELDS_MAX);
}

void proxy_fields_done(struct proxy_fields *fields)
{
    buf_done(&fields->text);
}

void proxy_fields_clear(struct proxy_fields *fields)
{
    buf_clear(&fields->text);
    fields->n = 0;
    fields->in_value = false;
    fields->code = 0;
}

static void proxy_fields_append(struct proxy_fields *fields, const char *at, size_t len)
{
    if (buf_append(&fields->text, at, len) < 0 || buf_append_byte(&fields->text, '\0') < 0)
        fields->code = ERR_TOO_LARGE;
    else
        fields->text.len--; /* the NUL stays behind what the next piece may follow on */
}

/* RFC 9110, 5.6.2. The parser's own check depends on how it was built. */
static bool proxy_fields_is_token(const char *at, size_t len)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)at[i]) && memchr(marks, at[i], sizeof marks - 1) == NULL)
            return false;
    return true;
}

void proxy_fields_name(struct proxy_fields *fields, const char *at, size_t len)
{
    if (fields->code == 0 && !proxy_fields_is_token(at, len))
        fields->code = ERR_PROTOCOL;
    if (fields->code < 0)
        return;
    if (fields->n == 0 || fields->in_value) {
        if (fields->n == PROXY_FIELDS_MAX) {
            fields->code = ERR_TOO_LARGE;
            return;
        }
        if (fields->in_value)
            fields->text.len++;
        fields->in_value = false;
        fields->items[fields->n].name = (uint32_t)fields->text.len;
        fields->items[fields->n].value = (uint32_t)fields->text.len;
        fields->n++;
    }
    proxy_fields_append(fields, at, len);
}

/* Anything but a control character (a tab is none here) and DEL: RFC 9110, 5.5. */
static bool proxy_fields_is_clean(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)at[i] < ' ' && at[i] != '\t') || at[i] == 0x7f)
            return false;
    return true;
}

void proxy_fields_value(struct proxy_fields *fields, const char *at, size_t len)
{
    if (fields->code < 0 || fields->n == 0)
        return;
    if (!proxy_fields_is_clean(at, len)) {
        fields->code = ERR_PROTOCOL;
        return;
    }
    if (!fields->in_value) {
        fields->in_value = true;
        fields->text.len++;
        fields->items[fields->n - 1].value = (uint32_t)fields->text.len;
    }
    proxy_fields_append(fields, at, len);
}

const char *proxy_fields_at_name(const struct proxy_fields *fields, unsigned i)
{
    return (const char *)fields->text.data + fields->items[i].name;
}

const char *proxy_fields_at_value(const struct proxy_fields *fields, unsigned i)
{
    bool empty = fields->items[i].value == fields->items[i].name;
    return empty ? "" : (const char *)fields->text.data + fields->items[i].value;
}

const char *proxy_fields_get(const struct proxy_fields *fields, const char *name)
{
    for (unsigned i = 0; i < fields->n; i++)
        if (strcasecmp(proxy_fields_at_name(fields, i), name) == 0)
            return proxy_fields_at_value(fields, i);
    return NULL;
}

unsigned proxy_fields_count(const struct proxy_fields *fields, const char *name)
{
    unsigned n = 0;
    for (unsigned i = 0; i < fields->n; i++)
        n += strcasecmp(proxy_fields_at_name(fields, i), name) == 0;
    return n;
}

/* Whether the list `value` ("a, b") has `name`. */
static bool proxy_fields_lists(const char *value, const char *name)
{
    size_t len = strlen(name);
    while (*value != '\0') {
        value += strspn(value, ", \t");
        size_t n = strcspn(value, ", \t");
        if (n == len && strncasecmp(value, name, n) == 0)
            return true;
        value += n;
    }
    return false;
}

/* What is between two neighbours, and what the proxy alone says. */
static bool proxy_fields_passes(const struct proxy_fields *fields, const char *name)
{
    static const char *const kept_back[] = {
        "Connection",
        "Content-Length",
        "Expect",
        "Host",
        "Keep-Alive",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Upgrade",
        "Transfer-Encoding",
        "Proxy-Connection",
        "X-Clusterd-Model",
        "X-Clusterd-Version",
    };
    for (unsigned i = 0; i < sizeof kept_back / sizeof *kept_back; i++)
        if (strcasecmp(name, kept_back[i]) == 0)
            return false;
    for (unsigned i = 0; i < fields->n; i++)
        if (strcasecmp(proxy_fields_at_name(fields, i), "Connection") == 0 &&
            proxy_fields_lists(proxy_fields_at_value(fields, i), name))
            return false;
    return true;
}

int proxy_fields_pass(const struct proxy_fields *fields, const char *but, struct buf *out)
{
    int err = 0;
    for (unsigned i = 0; err == 0 && i < fields->n; i++) {
        const char *name = proxy_fields_at_name(fields, i);
        if (!proxy_fields_passes(fields, name) || (but != NULL && strcasecmp(name, but) == 0))
            continue;
        if (buf_append_str(out, name) < 0 || buf_append(out, ": ", 2) < 0 ||
            buf_append_str(out, proxy_fields_at_value(fields, i)) < 0)
            err = ERR_TOO_LARGE;
        else
            err = buf_append(out, "\r\n", 2);
    }
    return err;
}
