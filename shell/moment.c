#include "shell/moment.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/str.h"

/* ".250" behind the seconds: milliseconds; -1 when there is something else. */
static int moment_fraction(const char *text)
{
    int ms = 0;
    int scale = 100;
    if (*text == '\0')
        return 0;
    if (*text++ != '.' || !isdigit((unsigned char)*text))
        return -1;
    for (; isdigit((unsigned char)*text); text++, scale /= 10)
        ms += (*text - '0') * scale;
    return *text == '\0' ? ms : -1;
}

static int moment_parse_local(const char *text, int64_t at_ms, int64_t *out)
{
    static const char *const forms[] = {"%m-%d %H:%M:%S", "%m-%d %H:%M", "%H:%M:%S", "%H:%M"};
    time_t at_s = (time_t)(at_ms / 1000);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm tm;
        if (localtime_r(&at_s, &tm) == NULL)
            return ERR_INVALID;
        tm.tm_sec = 0;
        tm.tm_isdst = -1;
        const char *rest = strptime(text, forms[i], &tm);
        int ms = rest != NULL ? moment_fraction(rest) : -1;
        time_t s = ms >= 0 ? mktime(&tm) : (time_t)-1;
        if (s == (time_t)-1)
            continue;
        *out = (int64_t)s * 1000 + ms;
        return 0;
    }
    return ERR_INVALID;
}

int moment_parse(const char *text, int64_t at_ms, int64_t last_ms, int64_t *out)
{
    int64_t apart_ms;
    bool is_apart = text[0] == '+' || text[0] == '-';
    if (strcmp(text, "end") == 0) {
        *out = last_ms;
        return 0;
    }
    if (is_apart && str_parse_duration_ms(text + 1, &apart_ms) == 0) {
        *out = text[0] == '+' ? at_ms + apart_ms : at_ms - apart_ms;
        return 0;
    }
    if (is_apart)
        return ERR_INVALID;
    if (moment_parse_local(text, at_ms, out) == 0)
        return 0;
    return clock_parse_moment(text, last_ms, out);
}

const char *moment_format(int64_t at_ms, char out[static MOMENT_TEXT_MAX])
{
    struct tm tm;
    time_t s = (time_t)(at_ms / 1000);
    size_t n = localtime_r(&s, &tm) != NULL
                   ? strftime(out, MOMENT_TEXT_MAX - 8, "%m-%d %H:%M:%S", &tm)
                   : 0;
    (void)snprintf(out + n, MOMENT_TEXT_MAX - n, ".%03d", (int)(at_ms % 1000));
    return out;
}

const char *moment_of(const json_t *object, bool is_short, char out[static MOMENT_TEXT_MAX])
{
    const char *at = json_string_value(json_object_get(object, "at"));
    int64_t at_ms;
    struct tm tm;
    out[0] = '\0';
    if (at == NULL || clock_parse_rfc3339(at, &at_ms) < 0)
        return out;
    if (!is_short)
        return moment_format(at_ms, out);
    time_t s = (time_t)(at_ms / 1000);
    if (localtime_r(&s, &tm) != NULL)
        (void)strftime(out, MOMENT_TEXT_MAX, "%H:%M:%S", &tm);
    return out;
}
