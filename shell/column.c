#include "shell/column.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "shell/text.h"

enum { COLUMN_ID_SHORT = 8 };

/* The value as programs read it. */
static char *column_raw(const json_t *value)
{
    if (value == NULL || json_is_null(value))
        return mem_strdup("");
    if (json_is_string(value))
        return mem_strndup(json_string_value(value), json_string_length(value));
    if (json_is_array(value))
        return text_join(value, ",");
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    return text != NULL ? text : mem_strdup("");
}

static char *column_time(enum column_kind kind, const char *text, enum column_use use,
                         int64_t now_ms)
{
    int64_t at_ms;
    char out[64];
    if (clock_parse_rfc3339(text, &at_ms) != 0)
        return mem_strdup(text);
    if (kind == COLUMN_KIND_AGE && use == COLUMN_USE_TABLE) {
        char age[STR_SHORT_MAX];
        int64_t age_s = now_ms > at_ms ? (now_ms - at_ms) / 1000 : 0;
        return age_s < 60 ? mem_printf("%ds ago", (int)age_s)
                          : mem_printf("%s ago", str_format_duration(age_s * 1000, age));
    }
    struct tm tm;
    time_t seconds = (time_t)(at_ms / 1000);
    (void)localtime_r(&seconds, &tm);
    size_t n = strftime(out, sizeof out, "%Y-%m-%d %H:%M:%S", &tm);
    if (use != COLUMN_USE_TABLE)
        (void)snprintf(out + n, sizeof out - n, ".%03d", (int)(at_ms % 1000));
    return mem_strdup(out);
}

static char *column_number(enum column_kind kind, const json_t *value)
{
    double number = json_number_value(value);
    bool is_set = number > 0;
    char text[STR_SHORT_MAX];
    switch (kind) {
    case COLUMN_KIND_FLOAT:
        return mem_printf("%.2f", number);
    case COLUMN_KIND_PERCENT:
        return mem_printf("%.0f%%", number);
    case COLUMN_KIND_COUNT_SET:
        return is_set ? column_raw(value) : NULL;
    case COLUMN_KIND_BYTES_SET:
        return is_set ? column_number(COLUMN_KIND_BYTES, value) : NULL;
    case COLUMN_KIND_DURATION_SET:
        return is_set ? column_number(COLUMN_KIND_DURATION, value) : NULL;
    case COLUMN_KIND_BYTES:
        return mem_strdup(str_format_bytes(number > 0 ? (uint64_t)number : 0, text));
    case COLUMN_KIND_UPTIME:
        return mem_strdup(str_format_age((int64_t)number, text));
    case COLUMN_KIND_DURATION:
        return mem_strdup(str_format_duration(number > 0 ? (int64_t)number : 0, text));
    default:
        return column_raw(value);
    }
}

static char *column_human(const struct column *column, const json_t *row, enum column_use use,
                          int64_t now_ms)
{
    if (column->human != NULL)
        return column->human(row);
    const json_t *value = json_object_get(row, column->key);
    if (json_is_number(value))
        return column_number(column->kind, value);
    if (json_is_boolean(value))
        return mem_strdup(json_is_true(value) ? "yes" : "no");
    bool is_time = column->kind == COLUMN_KIND_TIME || column->kind == COLUMN_KIND_AGE;
    if (is_time && json_is_string(value))
        return column_time(column->kind, json_string_value(value), use, now_ms);
    char *text = column_raw(value);
    if (column->kind == COLUMN_KIND_ID && use == COLUMN_USE_TABLE && strlen(text) > COLUMN_ID_SHORT)
        text[COLUMN_ID_SHORT] = '\0';
    return text;
}

char *column_text(const struct column *column, const json_t *row, enum column_use use,
                  int64_t now_ms)
{
    if (use == COLUMN_USE_RAW)
        return column_raw(json_object_get(row, column->key));
    char *text = column_human(column, row, use, now_ms);
    if (text == NULL)
        return mem_strdup("");
    char *clean = text_clean(text, strlen(text), false);
    free(text);
    return clean;
}

const char *column_title(const struct column *column, enum column_use use)
{
    return use == COLUMN_USE_RAW || column->title == NULL ? column->key : column->title;
}

bool column_is_right(const struct column *column)
{
    switch (column->kind) {
    case COLUMN_KIND_NUMBER:
    case COLUMN_KIND_COUNT:
    case COLUMN_KIND_COUNT_SET:
    case COLUMN_KIND_BYTES_SET:
    case COLUMN_KIND_DURATION_SET:
    case COLUMN_KIND_FLOAT:
    case COLUMN_KIND_PERCENT:
    case COLUMN_KIND_BYTES:
    case COLUMN_KIND_DURATION:
    case COLUMN_KIND_UPTIME:
    case COLUMN_KIND_AGE:
        return true;
    default:
        return false;
    }
}

bool column_is_shown(const struct column *column, enum column_use use)
{
    switch (column->show) {
    case COLUMN_SHOW_DETAIL:
        return use != COLUMN_USE_TABLE;
    case COLUMN_SHOW_RAW:
        return use == COLUMN_USE_RAW;
    default:
        return true;
    }
}

bool column_may_shrink(const struct column *column)
{
    return column->kind == COLUMN_KIND_TEXT || column->kind == COLUMN_KIND_LIST;
}

const char *column_state_color(const char *state)
{
    static const struct {
        const char *state;
        const char *color;
    } rows[] = {
        {"online", "32"},  {"completed", "32"}, {"running", "36"},  {"assigned", "36"},
        {"pending", "33"}, {"suspect", "33"},   {"draining", "33"}, {"drained", "33"},
        {"offline", "31"}, {"failed", "31"},    {"lost", "31"},     {"cancelled", "35"},
        {"removed", "35"},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        if (strcmp(rows[i].state, state) == 0)
            return rows[i].color;
    }
    return "";
}
