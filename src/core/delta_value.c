/* Happy path: numbers become one whole number in units of the type's last digit, dates days,
 * timestamps microseconds since the epoch. What does not parse gives DELTA_CLASS_NONE. */
#include "core/delta_value.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/mem.h"

enum { DELTA_NUMBER_BYTES_MAX = 128, DELTA_WHOLE_TEXT_MAX = 64 };

/* ---- numbers ----------------------------------------------------------------------------------
 */

struct delta_digits {
    bool negative;
    char digits[DELTA_NUMBER_BYTES_MAX]; /* without point */
    int n;
    int point; /* digits before the point */
};

static bool delta_exponent(const char *text, const char *end, int *exponent)
{
    bool negative = text < end && *text == '-';
    int n = 0;
    text += text < end && (*text == '-' || *text == '+');
    if (text == end || end - text > 4)
        return false;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9')
            return false;
        n = n * 10 + (*text - '0');
    }
    *exponent = negative ? -n : n;
    return true;
}

/* [+-]digits[.digits][e[+-]digits], with a digit somewhere */
static bool delta_read_digits(const char *text, size_t len, struct delta_digits *out)
{
    const char *end = text + len;
    bool point = false;
    int exponent = 0;
    if (len == 0 || len >= DELTA_NUMBER_BYTES_MAX)
        return false;
    *out = (struct delta_digits){.negative = *text == '-'};
    text += *text == '-' || *text == '+';
    for (; text < end && (*text | 0x20) != 'e'; text++) {
        if (*text == '.' && !point) {
            point = true;
        } else if (*text >= '0' && *text <= '9') {
            out->digits[out->n++] = *text;
            out->point += !point;
        } else {
            return false;
        }
    }
    if (out->n == 0 || (text < end && !delta_exponent(text + 1, end, &exponent)))
        return false;
    out->point += exponent;
    return true;
}

/* In units of 10^-scale, rounded down; `above` tells that something was cut. */
static void delta_parse_whole(const char *text, size_t len, unsigned scale,
                              struct delta_value *value)
{
    struct delta_digits d;
    if (!delta_read_digits(text, len, &d))
        return;
    int keep = d.point + (int)scale; /* digits that count */
    __int128 whole = 0;
    bool rest = false;
    static const __int128 most = (__int128)1000000000000000000 * 1000000000000000000 * 10;
    for (int i = 0; i < d.n; i++) {
        if (i >= keep) {
            rest |= d.digits[i] != '0';
            continue;
        }
        if (whole > most)
            return;
        whole = whole * 10 + (d.digits[i] - '0');
    }
    for (int i = d.n; i < keep; i++) {
        if (whole > most)
            return;
        if (whole == 0)
            break;
        whole *= 10;
    }
    if (d.negative)
        whole = -whole - rest;
    value->class = DELTA_CLASS_WHOLE;
    value->whole = whole;
    value->above = rest;
}

static void delta_parse_double(const char *text, size_t len, struct delta_value *value)
{
    char copy[DELTA_NUMBER_BYTES_MAX];
    char *rest;
    if (len == 0 || len >= sizeof copy || memchr("0123456789-+.iIn", text[0], 16) == NULL)
        return;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (strpbrk(copy, "xX") != NULL)
        return;
    double number = strtod(copy, &rest);
    if (*rest != '\0' || isnan(number))
        return;
    value->class = DELTA_CLASS_DOUBLE;
    value->number = number;
}

/* ---- dates and times --------------------------------------------------------------------------
 */

/* Days since 1970-01-01 of a proleptic Gregorian date (Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms"). */
static int64_t delta_days(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned of_era = (unsigned)(year - era * 400);
    unsigned of_year = (153 * (month + (month > 2 ? -3U : 9U)) + 2) / 5 + day - 1;
    unsigned day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    return era * 146097 + (int64_t)day_of_era - 719468;
}

static void delta_civil(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = (unsigned)(days - era * 146097);
    unsigned yoe = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned doy = of_era - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = (int64_t)yoe + era * 400 + (*month <= 2);
}

static bool delta_field(const char **at, const char *end, unsigned digits_min, unsigned digits_max,
                        unsigned max, unsigned *value)
{
    unsigned n = 0, digits = 0;
    for (; *at < end && **at >= '0' && **at <= '9' && digits < digits_max; digits++)
        n = n * 10 + (unsigned)(*(*at)++ - '0');
    *value = n;
    return digits >= digits_min && n <= max;
}

static bool delta_char(const char **at, const char *end, char c)
{
    if (*at == end || **at != c)
        return false;
    (*at)++;
    return true;
}

static bool delta_read_date(const char **at, const char *end, int64_t *days)
{
    static const unsigned char lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year, month, day;
    if (!delta_field(at, end, 4, 6, 294276, &year) || !delta_char(at, end, '-') ||
        !delta_field(at, end, 1, 2, 12, &month) || month == 0 || !delta_char(at, end, '-') ||
        !delta_field(at, end, 1, 2, 31, &day) || day == 0 || day > lengths[month - 1])
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month == 2 && day == 29 && !leap)
        return false;
    *days = delta_days(year, month, day);
    return true;
}

/* ".123456": microseconds; `above` when there is more. */
static bool delta_read_fraction(const char **at, const char *end, unsigned *us, bool *above)
{
    unsigned n = 0, digits = 0;
    for (; *at < end && **at >= '0' && **at <= '9' && digits < 12; digits++, (*at)++) {
        if (digits < 6)
            n = n * 10 + (unsigned)(**at - '0');
        else
            *above |= **at != '0';
    }
    if (digits == 0)
        return false;
    for (unsigned i = digits; i < 6; i++)
        n *= 10;
    *us = n;
    return true;
}

/* "Z", "+01", "-0530", "+05:30", or nothing */
static bool delta_read_zone(const char **at, const char *end, int *minutes)
{
    unsigned hour, minute = 0;
    *minutes = 0;
    if (*at == end || delta_char(at, end, 'Z'))
        return true;
    int sign = **at == '-' ? -1 : 1;
    if (**at != '-' && **at != '+')
        return false;
    (*at)++;
    if (!delta_field(at, end, 2, 2, 15, &hour))
        return false;
    bool colon = delta_char(at, end, ':');
    if ((colon || *at < end) && !delta_field(at, end, 2, 2, 59, &minute))
        return false;
    *minutes = sign * (int)(hour * 60 + minute);
    return true;
}

static void delta_parse_time(const char *text, size_t len, bool zoned, struct delta_value *value)
{
    const char *at = text, *end = text + len;
    int64_t days;
    unsigned hour = 0, minute = 0, second = 0, us = 0;
    int offset = 0;
    bool above = false;
    if (!delta_read_date(&at, end, &days))
        return;
    if (at < end) {
        if ((!delta_char(&at, end, ' ') && !delta_char(&at, end, 'T')) ||
            !delta_field(&at, end, 1, 2, 23, &hour) || !delta_char(&at, end, ':') ||
            !delta_field(&at, end, 2, 2, 59, &minute))
            return;
        if (delta_char(&at, end, ':') && !delta_field(&at, end, 2, 2, 59, &second))
            return;
        if (delta_char(&at, end, '.') && !delta_read_fraction(&at, end, &us, &above))
            return;
        if (!delta_read_zone(&at, end, &offset) || (!zoned && offset != 0) || at != end)
            return;
    }
    int64_t seconds = days * 86400 + hour * 3600 + minute * 60 + second - (int64_t)offset * 60;
    value->class = DELTA_CLASS_WHOLE;
    value->whole = (__int128)seconds * 1000000 + us;
    value->above = above;
}

static void delta_parse_date(const char *text, size_t len, struct delta_value *value)
{
    const char *at = text;
    int64_t days;
    if (!delta_read_date(&at, text + len, &days) || at != text + len)
        return;
    value->class = DELTA_CLASS_WHOLE;
    value->whole = days;
}

/* ---- parsing ----------------------------------------------------------------------------------
 */

static void delta_parse_bool(const char *text, size_t len, struct delta_value *value)
{
    bool yes = len == 4 && memcmp(text, "true", 4) == 0;
    if (!yes && !(len == 5 && memcmp(text, "false", 5) == 0))
        return;
    value->class = DELTA_CLASS_WHOLE;
    value->whole = yes;
}

void delta_value_parse(const struct delta_type *type, const char *text, size_t len,
                       struct delta_value *value)
{
    *value = (struct delta_value){0};
    switch (type->kind) {
    case DELTA_BOOLEAN:
        delta_parse_bool(text, len, value);
        break;
    case DELTA_BYTE:
    case DELTA_SHORT:
    case DELTA_INTEGER:
    case DELTA_LONG:
        delta_parse_whole(text, len, 0, value);
        break;
    case DELTA_DECIMAL:
        delta_parse_whole(text, len, type->scale, value);
        break;
    case DELTA_FLOAT:
    case DELTA_DOUBLE:
        delta_parse_double(text, len, value);
        break;
    case DELTA_STRING:
        *value = (struct delta_value){.class = DELTA_CLASS_TEXT, .text = text, .len = len};
        break;
    case DELTA_DATE:
        delta_parse_date(text, len, value);
        break;
    case DELTA_TIMESTAMP:
    case DELTA_TIMESTAMP_NTZ:
        delta_parse_time(text, len, type->kind == DELTA_TIMESTAMP, value);
        break;
    default:
        break;
    }
}

int delta_value_compare(const struct delta_value *a, const struct delta_value *b)
{
    if (a->class == DELTA_CLASS_WHOLE) {
        if (a->whole != b->whole)
            return a->whole < b->whole ? -1 : 1;
        return (int)a->above - (int)b->above;
    }
    if (a->class == DELTA_CLASS_DOUBLE)
        return a->number < b->number ? -1 : a->number > b->number;
    size_t len = a->len < b->len ? a->len : b->len;
    int order = len > 0 ? memcmp(a->text, b->text, len) : 0;
    return order != 0 ? order : a->len < b->len ? -1 : a->len > b->len;
}

/* ---- formatting -------------------------------------------------------------------------------
 */

/* A whole number in units of 10^-scale. */
static int delta_format_whole(__int128 whole, unsigned scale, struct buf *b)
{
    char text[DELTA_WHOLE_TEXT_MAX];
    char *at = text + sizeof text - 1;
    bool negative = whole < 0;
    unsigned __int128 n = negative ? -(unsigned __int128)whole : (unsigned __int128)whole;
    *at = '\0';
    for (unsigned digits = 0; n > 0 || digits <= scale; digits++) {
        if (digits == scale && scale > 0)
            *--at = '.';
        *--at = (char)('0' + (int)(n % 10));
        n /= 10;
    }
    if (negative)
        *--at = '-';
    return buf_append_str(b, at);
}

static int delta_format_date(int64_t days, struct buf *b)
{
    int64_t year;
    unsigned month, day;
    delta_civil(days, &year, &month, &day);
    if (year < 0 || year > 9999)
        return buf_printf(b, "%04" PRId64 "-%02u-%02u", year, month, day);
    char text[] = {(char)('0' + year / 1000),
                   (char)('0' + year / 100 % 10),
                   (char)('0' + year / 10 % 10),
                   (char)('0' + year % 10),
                   '-',
                   (char)('0' + month / 10),
                   (char)('0' + month % 10),
                   '-',
                   (char)('0' + day / 10),
                   (char)('0' + day % 10)};
    return buf_append(b, text, sizeof text);
}

static int delta_format_time(__int128 us, char between, const char *zone, struct buf *b)
{
    const int64_t day_us = INT64_C(86400000000);
    int64_t days = (int64_t)(us / day_us);
    int64_t rest = (int64_t)(us % day_us);
    if (rest < 0) {
        rest += day_us;
        days--;
    }
    int err = delta_format_date(days, b);
    int64_t seconds = rest / 1000000;
    return err < 0 ? err
                   : buf_printf(b, "%c%02d:%02d:%02d.%06d%s", between, (int)(seconds / 3600),
                                (int)(seconds / 60 % 60), (int)(seconds % 60),
                                (int)(rest % 1000000), zone);
}

static int delta_format_double(double number, bool quoted, struct buf *b)
{
    if (isinf(number))
        return buf_printf(b, quoted ? "\"%sInfinity\"" : "%sInfinity", number < 0 ? "-" : "");
    for (int digits = 15; digits < 17; digits++) {
        char text[40];
        (void)snprintf(text, sizeof text, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            return buf_append_str(b, text);
    }
    return buf_printf(b, "%.17g", number);
}

/* Without quotes; strings as they are. */
static int delta_format_plain(const struct delta_type *type, const struct delta_value *value,
                              char between, struct buf *b)
{
    switch (type->kind) {
    case DELTA_BOOLEAN:
        return buf_append_str(b, value->whole != 0 ? "true" : "false");
    case DELTA_DATE:
        return delta_format_date((int64_t)value->whole, b);
    case DELTA_TIMESTAMP:
        return delta_format_time(value->whole, between, between == 'T' ? "Z" : "+00", b);
    case DELTA_TIMESTAMP_NTZ:
        return delta_format_time(value->whole, between, "", b);
    case DELTA_STRING:
        return buf_append(b, value->text, value->len);
    case DELTA_FLOAT:
    case DELTA_DOUBLE:
        return delta_format_double(value->number, false, b);
    default:
        return delta_format_whole(value->whole, type->kind == DELTA_DECIMAL ? type->scale : 0, b);
    }
}

int delta_value_format_text(const struct delta_type *type, const struct delta_value *value,
                            struct buf *b)
{
    return delta_format_plain(type, value, ' ', b);
}

int delta_value_format_json(const struct delta_type *type, const struct delta_value *value,
                            struct buf *b)
{
    if (type->kind == DELTA_STRING)
        return json_text_append(b, value->text, value->len);
    if (value->class == DELTA_CLASS_DOUBLE)
        return delta_format_double(value->number, true, b);
    bool quoted = type->kind == DELTA_DATE || type->kind == DELTA_TIMESTAMP ||
                  type->kind == DELTA_TIMESTAMP_NTZ;
    int err = quoted ? buf_append_byte(b, '"') : 0;
    if (err == 0)
        err = delta_format_plain(type, value, 'T', b);
    return err == 0 && quoted ? buf_append_byte(b, '"') : err;
}

int delta_partition_format(const struct delta_type *type, const char *duckdb_text, char **out,
                           struct error *e)
{
    struct delta_value value;
    struct buf b;
    if (type->kind >= DELTA_VOID || type->kind == DELTA_BINARY)
        return error_set(e, ERR_UNSUPPORTED,
                         "a table cannot be partitioned by a column of this type");
    *out = NULL;
    if (duckdb_text == NULL || duckdb_text[0] == '\0')
        return 0;
    if (type->kind == DELTA_FLOAT || type->kind == DELTA_DOUBLE || type->kind == DELTA_STRING) {
        *out = mem_strdup(duckdb_text);
        return 0;
    }
    delta_value_parse(type, duckdb_text, strlen(duckdb_text), &value);
    if (value.class == DELTA_CLASS_NONE || value.above)
        return error_set(e, ERR_INVALID, "\"%.100s\" is not a value of the partition column's type",
                         duckdb_text);
    buf_init(&b, 256);
    (void)delta_format_plain(type, &value, type->kind == DELTA_TIMESTAMP ? 'T' : ' ', &b);
    *out = buf_steal(&b, NULL);
    return 0;
}
