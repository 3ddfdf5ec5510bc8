#include "base/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"

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

const char *clock_format_rfc3339(int64_t wall_ms, char out[static CLOCK_RFC3339_MAX])
{
    int64_t ms = wall_ms % 1000;
    time_t s = (time_t)(wall_ms / 1000);
    if (ms < 0) {
        ms += 1000;
        s--;
    }
    struct tm tm;
    if (gmtime_r(&s, &tm) == NULL)
        memset(&tm, 0, sizeof tm);
    char date[CLOCK_RFC3339_MAX];
    if (strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        date[0] = '\0';
    (void)snprintf(out, CLOCK_RFC3339_MAX, "%.20s.%03dZ", date, (int)ms);
    return out;
}

/* Parses ".123456" (to milliseconds) when it stands at s; returns what follows. */
static const char *clock_parse_fraction(const char *s, int *ms)
{
    *ms = 0;
    if (*s != '.')
        return s;
    int scale = 100;
    s++;
    if (!isdigit((unsigned char)*s))
        return NULL;
    for (int digits = 0; isdigit((unsigned char)*s); s++, digits++) {
        if (digits == 9)
            return NULL;
        *ms += (*s - '0') * scale;
        scale /= 10;
    }
    return s;
}

static int clock_parse_offset(const char *s, int *offset_s)
{
    *offset_s = 0;
    if (strcmp(s, "Z") == 0 || strcmp(s, "z") == 0)
        return 0;
    unsigned hours = 0;
    unsigned minutes = 0;
    int end = 0;
    if ((*s != '+' && *s != '-') || sscanf(s + 1, "%2u:%2u%n", &hours, &minutes, &end) != 2 ||
        end != 5 || s[6] != '\0' || hours > 23 || minutes > 59)
        return ERR_INVALID;
    *offset_s = (int)(hours * 3600 + minutes * 60) * (*s == '-' ? -1 : 1);
    return 0;
}

int clock_parse_rfc3339(const char *s, int64_t *wall_ms)
{
    struct tm tm = {0};
    const char *rest = strptime(s, "%Y-%m-%d", &tm);
    if (rest == NULL || (*rest != 'T' && *rest != 't' && *rest != ' '))
        return ERR_INVALID;
    rest = strptime(rest + 1, "%H:%M:%S", &tm);
    int ms;
    if (rest == NULL || (rest = clock_parse_fraction(rest, &ms)) == NULL)
        return ERR_INVALID;
    int offset_s;
    if (clock_parse_offset(rest, &offset_s) < 0)
        return ERR_INVALID;
    *wall_ms = ((int64_t)timegm(&tm) - offset_s) * 1000 + ms;
    return 0;
}
