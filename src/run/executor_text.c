#include "run/executor_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXECUTOR_TEXT_DAY_S = 86400,
    EXECUTOR_TEXT_EPOCH_DAYS = 719468, /* from 0000-03-01 to 1970-01-01 */
    EXECUTOR_TEXT_ERA_DAYS = 146097,   /* 400 years */
};

#define EXECUTOR_TEXT_SECOND_US INT64_C(1000000)

size_t executor_text_u64(uint64_t v, char *out)
{
    char digits[24];
    char *at = digits + sizeof digits;
    do {
        *--at = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    size_t n = (size_t)(digits + sizeof digits - at);
    memcpy(out, at, n);
    out[n] = '\0';
    return n;
}

size_t executor_text_uhugeint(unsigned __int128 v, char *out)
{
    char digits[48];
    size_t n = 0;
    if (v <= UINT64_MAX)
        return executor_text_u64((uint64_t)v, out);
    do {
        digits[n++] = (char)('0' + (int)(v % 10));
        v /= 10;
    } while (v > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    out[n] = '\0';
    return n;
}

size_t executor_text_hugeint(__int128 v, char *out)
{
    if (v >= 0)
        return executor_text_uhugeint((unsigned __int128)v, out);
    *out = '-';
    return 1 + executor_text_uhugeint(-(unsigned __int128)v, out + 1);
}

size_t executor_text_decimal(__int128 v, unsigned scale, char *out)
{
    char digits[48];
    bool is_negative = v < 0;
    size_t n =
        executor_text_uhugeint(is_negative ? -(unsigned __int128)v : (unsigned __int128)v, digits);
    size_t at = 0;
    if (is_negative)
        out[at++] = '-';
    if (n <= scale) {
        out[at++] = '0';
    } else {
        memcpy(out + at, digits, n - scale);
        at += n - scale;
    }
    if (scale > 0) {
        out[at++] = '.';
        for (size_t zeros = n < scale ? scale - n : 0; zeros > 0; zeros--)
            out[at++] = '0';
        size_t tail = n < scale ? n : scale;
        memcpy(out + at, digits + n - tail, tail);
        at += tail;
    }
    out[at] = '\0';
    return at;
}

/* A number that looks like an integer gets ".0". */
static size_t executor_text_with_point(char *out, size_t n)
{
    if (strpbrk(out, ".eE") == NULL) {
        memcpy(out + n, ".0", 3);
        n += 2;
    }
    return n;
}

/* A number of few digits, as most are: an integer below 2^53 divided by a power of ten that is
 * exact gives the nearest double, so that its text reads back the same (W. Clinger, "How to Read
 * Floating Point Numbers Accurately", 1990). 0: it is none. */
static size_t executor_text_short_double(double v, char *out)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    double magnitude = fabs(v);
    if (!(magnitude < 1e15) || (magnitude < 1e-5 && magnitude != 0))
        return 0;
    for (unsigned scale = 0; scale < sizeof powers / sizeof *powers; scale++) {
        double scaled = magnitude * powers[scale];
        uint64_t whole = (uint64_t)(scaled + 0.5);
        if (scaled >= 1e15)
            return 0;
        if ((double)whole / powers[scale] != magnitude)
            continue;
        size_t n = 0;
        if (signbit(v))
            out[n++] = '-';
        if (scale == 0)
            return executor_text_with_point(out, n + executor_text_u64(whole, out + n));
        return n + executor_text_decimal((__int128)whole, scale, out + n);
    }
    return 0;
}

size_t executor_text_double(double v, char *out)
{
    size_t n = executor_text_short_double(v, out);
    for (int digits = 15; n == 0; digits++) {
        int len = snprintf(out, EXECUTOR_TEXT_MAX, "%.*g", digits, v);
        if (digits == 17 || strtod(out, NULL) == v)
            n = executor_text_with_point(out, (size_t)len);
    }
    return n;
}

size_t executor_text_float(float v, char *out)
{
    int n = 0;
    for (int digits = 6; digits <= 9; digits++) {
        n = snprintf(out, EXECUTOR_TEXT_MAX, "%.*g", digits, (double)v);
        if (strtof(out, NULL) == v)
            break;
    }
    return executor_text_with_point(out, (size_t)n);
}

/* ---- dates and times ------------------------------------------------------------------------- */

/* Year, month, day from days since the epoch: H. Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms", civil_from_days. */
static size_t executor_text_civil(int64_t days, char *out, bool *is_bc)
{
    days += EXECUTOR_TEXT_EPOCH_DAYS;
    int64_t era = (days >= 0 ? days : days - (EXECUTOR_TEXT_ERA_DAYS - 1)) / EXECUTOR_TEXT_ERA_DAYS;
    int64_t doe = days - era * EXECUTOR_TEXT_ERA_DAYS;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
    *is_bc = year <= 0;
    int n = snprintf(out, EXECUTOR_TEXT_MAX, "%04" PRId64 "-%02" PRId64 "-%02" PRId64,
                     *is_bc ? 1 - year : year, month, day);
    return (size_t)n;
}

static size_t executor_text_add(char *out, size_t at, const char *text)
{
    size_t n = strlen(text);
    memcpy(out + at, text, n + 1);
    return at + n;
}

size_t executor_text_date(int32_t days, char *out)
{
    bool is_bc;
    if (days == INT32_MAX)
        return executor_text_add(out, 0, "infinity");
    if (days == -INT32_MAX)
        return executor_text_add(out, 0, "-infinity");
    size_t n = executor_text_civil(days, out, &is_bc);
    return is_bc ? executor_text_add(out, n, " (BC)") : n;
}

/* "12:34:56" and the fraction without its last zeros. `unit`: of `rest` in a second. */
static size_t executor_text_clock(int64_t seconds, int64_t rest, int64_t unit, char *out)
{
    int n = snprintf(out, EXECUTOR_TEXT_MAX / 2, "%02" PRId64 ":%02" PRId64 ":%02" PRId64,
                     seconds / 3600, seconds / 60 % 60, seconds % 60);
    if (rest == 0)
        return (size_t)n;
    out[n++] = '.';
    for (unit /= 10; rest > 0; unit /= 10) {
        out[n++] = (char)('0' + rest / unit);
        rest %= unit;
    }
    out[n] = '\0';
    return (size_t)n;
}

size_t executor_text_time(int64_t micros, char *out)
{
    return executor_text_clock(micros / EXECUTOR_TEXT_SECOND_US, micros % EXECUTOR_TEXT_SECOND_US,
                               EXECUTOR_TEXT_SECOND_US, out);
}

/* 40 bits of microseconds, then 24 bits of offset, kept as its distance from the largest. */
size_t executor_text_time_tz(uint64_t bits, char *out)
{
    enum { OFFSET_BITS = 24, OFFSET_MAX_S = 16 * 3600 - 1 };
    size_t n = executor_text_time((int64_t)(bits >> OFFSET_BITS), out);
    int offset = OFFSET_MAX_S - (int)(bits & ((1U << OFFSET_BITS) - 1));
    unsigned s = (unsigned)abs(offset);
    n += (size_t)snprintf(out + n, 16, "%c%02u", offset < 0 ? '-' : '+', s / 3600);
    if (s % 3600 != 0)
        n += (size_t)snprintf(out + n, 16, ":%02u", s / 60 % 60);
    if (s % 60 != 0)
        n += (size_t)snprintf(out + n, 16, ":%02u", s % 60);
    return n;
}

size_t executor_text_timestamp(int64_t v, int64_t unit, const char *zone, char *out)
{
    bool is_bc;
    if (v == INT64_MAX)
        return executor_text_add(out, 0, "infinity");
    if (v == -INT64_MAX)
        return executor_text_add(out, 0, "-infinity");
    int64_t seconds = v / unit - (v % unit < 0 ? 1 : 0);
    int64_t rest = v - seconds * unit;
    int64_t days = seconds / EXECUTOR_TEXT_DAY_S - (seconds % EXECUTOR_TEXT_DAY_S < 0 ? 1 : 0);
    size_t n = executor_text_civil(days, out, &is_bc);
    if (is_bc)
        n = executor_text_add(out, n, " (BC)");
    out[n++] = ' ';
    n += executor_text_clock(seconds - days * EXECUTOR_TEXT_DAY_S, rest, unit, out + n);
    return executor_text_add(out, n, zone);
}

static size_t executor_text_part(int64_t value, const char *name, char *out, size_t at)
{
    if (value == 0)
        return at;
    return at + (size_t)snprintf(out + at, 32, "%s%" PRId64 " %s%s", at > 0 ? " " : "", value, name,
                                 value == 1 || value == -1 ? "" : "s");
}

size_t executor_text_interval(int32_t months, int32_t days, int64_t micros, char *out)
{
    size_t n = executor_text_part(months / 12, "year", out, 0);
    n = executor_text_part(months % 12, "month", out, n);
    n = executor_text_part(days, "day", out, n);
    if (micros == 0)
        return n > 0 ? n : executor_text_add(out, 0, "00:00:00");
    if (n > 0)
        out[n++] = ' ';
    if (micros < 0)
        out[n++] = '-';
    uint64_t us = micros < 0 ? -(uint64_t)micros : (uint64_t)micros;
    uint64_t second_us = (uint64_t)EXECUTOR_TEXT_SECOND_US;
    return n + executor_text_clock((int64_t)(us / second_us), (int64_t)(us % second_us),
                                   EXECUTOR_TEXT_SECOND_US, out + n);
}

/* Stored with its highest bit turned, so that the order of integers is that of UUIDs. */
size_t executor_text_uuid(__int128 v, char *out)
{
    unsigned __int128 u = (unsigned __int128)v ^ ((unsigned __int128)1 << 127);
    uint64_t high = (uint64_t)(u >> 64);
    uint64_t low = (uint64_t)u;
    return (size_t)snprintf(out, EXECUTOR_TEXT_MAX, "%08x-%04x-%04x-%04x-%012" PRIx64,
                            (unsigned)(high >> 32), (unsigned)(high >> 16) & 0xffff,
                            (unsigned)high & 0xffff, (unsigned)(low >> 48),
                            low & UINT64_C(0xffffffffffff));
}
