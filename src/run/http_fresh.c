#include "run/http_fresh.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HTTP_FRESH_EXACT_S = 2, /* a time of change is exact when the answer is later by this */
    HTTP_FRESH_AGE_MAX_S = 365 * 24 * 3600,
};

static const char *http_fresh_skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

/* A number of seconds, quoted or not; what is none is 0: stale. */
static int64_t http_fresh_seconds(const char *text)
{
    char *end;
    text += *text == '"';
    if (*text < '0' || *text > '9')
        return 0;
    unsigned long long value = strtoull(text, &end, 10);
    return value > HTTP_FRESH_AGE_MAX_S ? HTTP_FRESH_AGE_MAX_S : (int64_t)value;
}

/* The end of a directive with its argument: a comma that is not quoted, or the end of the text. */
static const char *http_fresh_directive_end(const char *at)
{
    bool quoted = false;
    for (; *at != '\0' && (quoted || *at != ','); at++) {
        if (quoted && *at == '\\' && at[1] != '\0')
            at++;
        else if (*at == '"')
            quoted = !quoted;
    }
    return at;
}

struct http_fresh_control {
    bool no_store;
    bool no_cache;
    int64_t max_age_s; /* -1: not said */
};

static void http_fresh_take(struct http_fresh_control *control, const char *name, size_t len,
                            const char *value)
{
    if (len == 8 && strncasecmp(name, "no-store", len) == 0)
        control->no_store = true;
    else if (len == 8 && strncasecmp(name, "no-cache", len) == 0)
        control->no_cache = true;
    else if (len == 7 && strncasecmp(name, "max-age", len) == 0) {
        int64_t age_s = value != NULL ? http_fresh_seconds(value) : 0;
        if (control->max_age_s < 0 || age_s < control->max_age_s)
            control->max_age_s = age_s;
    }
}

static struct http_fresh_control http_fresh_control(const char *text)
{
    struct http_fresh_control control = {.max_age_s = -1};
    while (text != NULL && *text != '\0') {
        const char *name = http_fresh_skip_space(text);
        size_t len = strcspn(name, " \t=,");
        const char *value = http_fresh_skip_space(name + len);
        const char *end = http_fresh_directive_end(name);
        http_fresh_take(&control, name, len,
                        *value == '=' ? http_fresh_skip_space(value + 1) : NULL);
        text = *end == ',' ? end + 1 : end;
    }
    return control;
}

/* What can be sent back in a header as it is. */
static bool http_fresh_is_plain(const char *text)
{
    size_t len = 0;
    for (; text[len] != '\0'; len++)
        if ((unsigned char)text[len] < 0x20 || text[len] == 0x7f)
            return false;
    return len > 0 && len < HTTP_FRESH_TEXT_MAX;
}

static bool http_fresh_is_etag(const char *text)
{
    const char *quote = strncmp(text, "W/", 2) == 0 ? text + 2 : text;
    size_t len = strlen(quote);
    return http_fresh_is_plain(text) && len >= 2 && quote[0] == '"' && quote[len - 1] == '"' &&
           strchr(quote + 1, '"') == quote + len - 1;
}

/* A file that changed twice within a second has one time of change for both. */
static bool http_fresh_is_exact(const char *modified, const char *date)
{
    time_t changed = http_fresh_is_plain(modified) ? curl_getdate(modified, NULL) : -1;
    time_t answered = date != NULL ? curl_getdate(date, NULL) : -1;
    return changed >= 0 && answered >= 0 && answered - changed >= HTTP_FRESH_EXACT_S;
}

void http_fresh_parse(const struct http_fresh_fields *fields, struct http_fresh *out)
{
    struct http_fresh_control control = http_fresh_control(fields->cache_control);
    *out = (struct http_fresh){.keep = false};
    if (fields->etag != NULL && http_fresh_is_etag(fields->etag))
        (void)strcpy(out->etag, fields->etag);
    if (fields->last_modified != NULL && http_fresh_is_exact(fields->last_modified, fields->date))
        (void)strcpy(out->modified, fields->last_modified);
    int64_t age_s =
        fields->age != NULL ? http_fresh_seconds(http_fresh_skip_space(fields->age)) : 0;
    if (!control.no_cache && control.max_age_s > age_s)
        out->fresh_ms = (control.max_age_s - age_s) * 1000;
    bool varies = fields->vary != NULL && strchr(fields->vary, '*') != NULL;
    out->keep = !control.no_store && !varies && (out->fresh_ms > 0 || http_fresh_can_ask(out));
}

bool http_fresh_can_ask(const struct http_fresh *fresh)
{
    return fresh->etag[0] != '\0' || fresh->modified[0] != '\0';
}

void http_fresh_question(const struct http_fresh *fresh, char out[static HTTP_FRESH_TEXT_MAX + 32])
{
    out[0] = '\0';
    if (fresh->etag[0] != '\0')
        (void)snprintf(out, HTTP_FRESH_TEXT_MAX + 32, "If-None-Match: %s", fresh->etag);
    else if (fresh->modified[0] != '\0')
        (void)snprintf(out, HTTP_FRESH_TEXT_MAX + 32, "If-Modified-Since: %s", fresh->modified);
}
