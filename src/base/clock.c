#include "base/clock.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/str.h"

static int64_t clock_read_us(clockid_t id)
{
    struct timespec ts;
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
    return clock_read_us(CLOCK_MONOTONIC);
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_wall_ms(void)
{
    return clock_read_us(CLOCK_REALTIME) / 1000;
}

/* Writes `digits` digits of `value` and the character `behind`; returns where they end. */
static char *clock_write(char *at, unsigned digits, int value, char behind)
{
    for (unsigned i = digits; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    at[digits] = behind;
    return at + digits + 1;
}

const char *clock_format_rfc3339(int64_t wall_ms, char out[static CLOCK_RFC3339_MAX])
{
    static const int64_t first_ms = INT64_C(-62167219200000); /* 0000-01-01T00:00:00.000Z */
    static const int64_t last_ms = INT64_C(253402300799999);  /* 9999-12-31T23:59:59.999Z */
    wall_ms = wall_ms < first_ms ? first_ms : wall_ms > last_ms ? last_ms : wall_ms;
    int64_t ms = (wall_ms % 1000 + 1000) % 1000;
    time_t s = (time_t)((wall_ms - ms) / 1000);
    struct tm tm = {0};
    (void)gmtime_r(&s, &tm);
    char *at = clock_write(out, 4, tm.tm_year + 1900, '-');
    at = clock_write(at, 2, tm.tm_mon + 1, '-');
    at = clock_write(at, 2, tm.tm_mday, 'T');
    at = clock_write(at, 2, tm.tm_hour, ':');
    at = clock_write(at, 2, tm.tm_min, ':');
    at = clock_write(at, 2, tm.tm_sec, '.');
    at = clock_write(at, 3, (int)ms, 'Z');
    *at = '\0';
    return out;
}

/* Reads `digits` digits and the character `behind` (0: none). False, and *s stays, on anything else
 * or a number outside [min, max]. */
static bool clock_read(const char **s, unsigned digits, char behind, int min, int max, int *out)
{
    const char *at = *s;
    int value = 0;
    for (; digits > 0; digits--, at++) {
        if (!isdigit((unsigned char)*at))
            return false;
        value = value * 10 + (*at - '0');
    }
    if ((behind != 0 && *at++ != behind) || value < min || value > max)
        return false;
    *s = at;
    *out = value;
    return true;
}

/* ".123456" at *s, kept to the millisecond; nothing there is 0. */
static bool clock_read_fraction(const char **s, int *ms)
{
    *ms = 0;
    if (**s != '.')
        return true;
    const char *at = *s + 1;
    if (!isdigit((unsigned char)*at))
        return false;
    int scale = 100;
    for (int digits = 0; isdigit((unsigned char)*at); at++, digits++) {
        if (digits == 9)
            return false;
        *ms += (*at - '0') * scale;
        scale /= 10;
    }
    *s = at;
    return true;
}

static bool clock_read_offset(const char *s, int *offset_s)
{
    *offset_s = 0;
    if (strcmp(s, "Z") == 0 || strcmp(s, "z") == 0)
        return true;
    if (*s != '+' && *s != '-')
        return false;
    int sign = *s++ == '-' ? -1 : 1;
    int hours;
    int minutes;
    if (!clock_read(&s, 2, ':', 0, 23, &hours) || !clock_read(&s, 2, 0, 0, 59, &minutes) ||
        *s != '\0')
        return false;
    *offset_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

static int clock_month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

int clock_parse_rfc3339(const char *s, int64_t *wall_ms)
{
    int year;
    int month;
    struct tm tm = {0};
    if (!clock_read(&s, 4, '-', 0, 9999, &year) || !clock_read(&s, 2, '-', 1, 12, &month) ||
        !clock_read(&s, 2, 0, 1, clock_month_days(year, month), &tm.tm_mday))
        return ERR_INVALID;
    if (*s != 'T' && *s != 't' && *s != ' ')
        return ERR_INVALID;
    s++;
    int ms;
    int offset_s;
    if (!clock_read(&s, 2, ':', 0, 23, &tm.tm_hour) || !clock_read(&s, 2, ':', 0, 59, &tm.tm_min) ||
        !clock_read(&s, 2, 0, 0, 60, &tm.tm_sec) || !clock_read_fraction(&s, &ms) ||
        !clock_read_offset(s, &offset_s))
        return ERR_INVALID;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    *wall_ms = ((int64_t)timegm(&tm) - offset_s) * 1000 + ms;
    return 0;
}

int64_t clock_rfc3339_ms(const char *text, size_t len)
{
    char copy[CLOCK_RFC3339_MAX + 8];
    int64_t ms;
    if (len >= sizeof copy)
        return 0;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return clock_parse_rfc3339(copy, &ms) == 0 ? ms : 0;
}

int clock_parse_moment(const char *s, int64_t now_ms, int64_t *wall_ms)
{
    int64_t back_ms;
    if (clock_parse_rfc3339(s, wall_ms) == 0)
        return 0;
    if (str_parse_duration_ms(s, &back_ms) != 0)
        return ERR_INVALID;
    *wall_ms = now_ms - back_ms;
    return 0;
}
