/* A column: which key of the API's objects it shows, and how people and programs read it. */
#ifndef SHELL_COLUMN_H
#define SHELL_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum column_kind {
    COLUMN_KIND_TEXT,
    COLUMN_KIND_NUMBER, /* as it is, on the right */
    COLUMN_KIND_COUNT,
    COLUMN_KIND_COUNT_SET, /* 0 says that none is set: people read nothing */
    COLUMN_KIND_FLOAT,     /* two digits */
    COLUMN_KIND_PERCENT,   /* 0 to 100 */
    COLUMN_KIND_BYTES,
    COLUMN_KIND_BYTES_SET,
    COLUMN_KIND_DURATION, /* milliseconds */
    COLUMN_KIND_UPTIME,   /* milliseconds, in whole seconds */
    COLUMN_KIND_DURATION_SET,
    COLUMN_KIND_TIME, /* RFC 3339; people read local time */
    COLUMN_KIND_AGE,  /* the same; in a table "3m12s ago" */
    COLUMN_KIND_FLAG,
    COLUMN_KIND_LIST,  /* of strings */
    COLUMN_KIND_ID,    /* a UUID; a table shows its first eight characters */
    COLUMN_KIND_STATE, /* coloured by what it says */
};

enum column_show {
    COLUMN_SHOW_ALWAYS,
    COLUMN_SHOW_WIDE,   /* in a table only where the terminal has room for all columns */
    COLUMN_SHOW_DETAIL, /* not in a table */
    COLUMN_SHOW_RAW,    /* not for people */
};

struct column {
    const char *key;   /* and the header for programs; NULL ends a list of columns */
    const char *title; /* for people; NULL: the key */
    enum column_kind kind;
    enum column_show show;
    /* What people read instead of the value of `key`; malloc'ed, NULL for nothing. */
    char *(*human)(const json_t *row);
};

/* Lines of a list: KIND without its prefix; `title` NULL for the key. */
#define COLUMN(key, title, kind)                                                                   \
    {                                                                                              \
        key, title, COLUMN_KIND_##kind, COLUMN_SHOW_ALWAYS, NULL                                   \
    }
#define COLUMN_WIDE(key, title, kind)                                                              \
    {                                                                                              \
        key, title, COLUMN_KIND_##kind, COLUMN_SHOW_WIDE, NULL                                     \
    }
#define COLUMN_DETAIL(key, title, kind)                                                            \
    {                                                                                              \
        key, title, COLUMN_KIND_##kind, COLUMN_SHOW_DETAIL, NULL                                   \
    }
#define COLUMN_RAW(key, kind)                                                                      \
    {                                                                                              \
        key, NULL, COLUMN_KIND_##kind, COLUMN_SHOW_RAW, NULL                                       \
    }
#define COLUMN_AS(key, title, kind, human)                                                         \
    {                                                                                              \
        key, title, COLUMN_KIND_##kind, COLUMN_SHOW_ALWAYS, human                                  \
    }
#define COLUMN_DETAIL_AS(key, title, kind, human)                                                  \
    {                                                                                              \
        key, title, COLUMN_KIND_##kind, COLUMN_SHOW_DETAIL, human                                  \
    }
#define COLUMN_END                                                                                 \
    {                                                                                              \
        NULL, NULL, COLUMN_KIND_TEXT, COLUMN_SHOW_ALWAYS, NULL                                     \
    }

enum column_use { COLUMN_USE_TABLE, COLUMN_USE_VERTICAL, COLUMN_USE_RAW };

/* The row's value as text: malloc'ed, "" when it is null or not there. For people it is clean
 * (text.h); RAW leaves every byte as it is. */
char *column_text(const struct column *column, const json_t *row, enum column_use use,
                  int64_t now_ms);

const char *column_title(const struct column *column, enum column_use use);
bool column_is_right(const struct column *column); /* numbers */
bool column_is_shown(const struct column *column, enum column_use use);
bool column_may_shrink(const struct column *column);

/* SGR parameters for a state's text ("32"), "" for none. */
const char *column_state_color(const char *state);

#endif
