/* Only what every reader understands the same way: numbers, dates, timestamps, text. Bounds that
 * are cut stay bounds: a minimum is cut downwards, a maximum upwards. */
#include "run/executor_stats.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/mem.h"
#include "base/str.h"

enum {
    EXECUTOR_STATS_BYTES_MAX = 256 * 1024,
    EXECUTOR_STATS_TEXT_BYTES_MAX = 64 * 1024,
};

enum executor_stats_class {
    EXECUTOR_STATS_NONE,
    EXECUTOR_STATS_NUMBER,
    EXECUTOR_STATS_REAL,
    EXECUTOR_STATS_DATE,
    EXECUTOR_STATS_TIMESTAMP,
    EXECUTOR_STATS_TEXT,
};

static enum executor_stats_class executor_stats_class(const char *type)
{
    static const struct {
        const char *type;
        enum executor_stats_class class;
    } classes[] = {
        {"TINYINT", EXECUTOR_STATS_NUMBER},
        {"SMALLINT", EXECUTOR_STATS_NUMBER},
        {"INTEGER", EXECUTOR_STATS_NUMBER},
        {"BIGINT", EXECUTOR_STATS_NUMBER},
        {"FLOAT", EXECUTOR_STATS_REAL},
        {"DOUBLE", EXECUTOR_STATS_REAL},
        {"DATE", EXECUTOR_STATS_DATE},
        {"TIMESTAMP", EXECUTOR_STATS_TIMESTAMP},
        {"TIMESTAMP WITH TIME ZONE", EXECUTOR_STATS_TIMESTAMP},
        {"TIMESTAMPTZ", EXECUTOR_STATS_TIMESTAMP},
        {"VARCHAR", EXECUTOR_STATS_TEXT},
    };
    if (str_starts_with(type, "DECIMAL(") && type[strlen(type) - 1] == ')')
        return EXECUTOR_STATS_NUMBER;
    for (size_t i = 0; i < MEM_COUNT(classes); i++)
        if (strcmp(classes[i].type, type) == 0)
            return classes[i].class;
    return EXECUTOR_STATS_NONE;
}

/* ---- bounds: false leaves the column without one -----------------------------------------------
 */

static bool executor_stats_number(struct buf *out, const char *text)
{
    size_t digits = 0;
    const char *s = text + (*text == '-' ? 1 : 0);
    if (*s == '0' && isdigit((unsigned char)s[1]))
        return false;
    for (; *s != '\0'; s++) {
        if (!isdigit((unsigned char)*s) && *s != '.')
            return false;
        digits += isdigit((unsigned char)*s) != 0;
    }
    return digits > 0 && buf_append_str(out, text) == 0;
}

static bool executor_stats_real(struct buf *out, const char *text)
{
    char *end;
    double v = strtod(text, &end);
    char form[40];
    if (*end != '\0' || end == text || v != v || v - v != 0)
        return false;
    (void)snprintf(form, sizeof form, "%.17g", v);
    return buf_append_str(out, form) == 0;
}

/* "2024-02-29 12:00:00.5[+00]" to "2024-02-29T12:00:00.500000Z": all microseconds, since three
 * digits would say that it may be cut. */
static bool executor_stats_timestamp(struct buf *out, const char *text)
{
    char iso[CLOCK_RFC3339_MAX];
    int64_t ms;
    size_t len = strcspn(text, "+");
    bool has_point = len > 20 && text[19] == '.';
    if (len < 19 || len > 26 || text[10] != ' ' || (len > 19 && !has_point))
        return false;
    (void)snprintf(iso, sizeof iso, "%.*sZ", (int)len, text);
    iso[10] = 'T';
    if (clock_parse_rfc3339(iso, &ms) < 0)
        return false;
    iso[len] = '\0';
    return buf_printf(out, "\"%s%s%.*sZ\"", iso, has_point ? "" : ".",
                      (int)(has_point ? 26 - len : 6), "000000") == 0;
}

static bool executor_stats_date(struct buf *out, const char *text)
{
    if (strlen(text) != 10 || strspn(text, "0123456789-") != 10)
        return false;
    return buf_printf(out, "\"%s\"", text) == 0;
}

/* Cut after so many characters; behind a cut maximum goes the last character there is. */
static bool executor_stats_text(struct buf *out, const char *text, bool is_max)
{
    size_t len = strlen(text);
    size_t at = 0;
    if (len > EXECUTOR_STATS_TEXT_BYTES_MAX || !str_is_utf8(text, len))
        return false;
    for (unsigned chars = 0; at < len && chars < EXECUTOR_STATS_TEXT_CHARS_MAX; chars++)
        at += str_utf8_len(text + at, len - at);
    char *cut = mem_printf("%.*s%s", (int)at, text, is_max && at < len ? "\xf4\x8f\xbf\xbf" : "");
    int err = json_text_append(out, cut, strlen(cut));
    free(cut);
    return err == 0;
}

static bool executor_stats_bound(struct buf *out, enum executor_stats_class class, const char *text,
                                 bool is_max)
{
    switch (class) {
    case EXECUTOR_STATS_NUMBER:
        return executor_stats_number(out, text);
    case EXECUTOR_STATS_REAL:
        return executor_stats_real(out, text);
    case EXECUTOR_STATS_DATE:
        return executor_stats_date(out, text);
    case EXECUTOR_STATS_TIMESTAMP:
        return executor_stats_timestamp(out, text);
    case EXECUTOR_STATS_TEXT:
        return executor_stats_text(out, text, is_max);
    default:
        return false;
    }
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* DuckDB names columns in quotes. */
static const json_t *executor_stats_of(const json_t *stats, const char *column)
{
    struct buf key;
    buf_init(&key, strlen(column) * 2 + 3);
    (void)buf_append_byte(&key, '"');
    for (const char *s = column; *s != '\0'; s++) {
        if (*s == '"')
            (void)buf_append_byte(&key, '"');
        (void)buf_append_byte(&key, (uint8_t)*s);
    }
    (void)buf_append_byte(&key, '"');
    const json_t *found = json_object_get(stats, buf_cstr(&key));
    if (found == NULL)
        found = json_object_get(stats, column);
    buf_done(&key);
    return found;
}

static void executor_stats_add(struct buf *out, const char *column, const char *text,
                               enum executor_stats_class class, bool is_max)
{
    size_t before = out->len;
    if (text == NULL)
        return;
    bool ok = out->len == 0 || buf_append_byte(out, ',') == 0;
    ok = ok && json_text_append(out, column, strlen(column)) == 0;
    ok = ok && buf_append_byte(out, ':') == 0;
    ok = ok && executor_stats_bound(out, class, text, is_max);
    if (!ok)
        out->len = before;
}

struct executor_stats {
    struct buf min;
    struct buf max;
    struct buf nulls;
};

static void executor_stats_column(struct executor_stats *s, const Wire__SqlColumn *column,
                                  const json_t *of)
{
    enum executor_stats_class class = executor_stats_class(column->type);
    const char *nan = json_string_value(json_object_get(of, "has_nan"));
    if (nan != NULL && strcmp(nan, "true") == 0)
        class = EXECUTOR_STATS_NONE;
    executor_stats_add(&s->min, column->name, json_string_value(json_object_get(of, "min")), class,
                       false);
    executor_stats_add(&s->max, column->name, json_string_value(json_object_get(of, "max")), class,
                       true);
    executor_stats_add(&s->nulls, column->name,
                       json_string_value(json_object_get(of, "null_count")), EXECUTOR_STATS_NUMBER,
                       false);
}

char *executor_stats_delta(Wire__SqlColumn *const *columns, size_t n, const json_t *stats,
                           uint64_t rows)
{
    struct executor_stats s;
    buf_init(&s.min, EXECUTOR_STATS_BYTES_MAX);
    buf_init(&s.max, EXECUTOR_STATS_BYTES_MAX);
    buf_init(&s.nulls, EXECUTOR_STATS_BYTES_MAX);
    size_t taken = 0;
    for (size_t i = 0; i < n && taken < EXECUTOR_STATS_COLUMNS_MAX; i++) {
        if (columns[i]->partition)
            continue;
        executor_stats_column(&s, columns[i], executor_stats_of(stats, columns[i]->name));
        taken++;
    }
    char *json = mem_printf("{\"numRecords\":%" PRIu64
                            ",\"minValues\":{%s},\"maxValues\":{%s},\"nullCount\":{%s}}",
                            rows, buf_cstr(&s.min), buf_cstr(&s.max), buf_cstr(&s.nulls));
    buf_done(&s.min);
    buf_done(&s.max);
    buf_done(&s.nulls);
    return json;
}
