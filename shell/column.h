/* A column: which key of the API's objects it shows, and how people and programs read it. */
#ifndef SHELL_COLUMN_H
#define SHELL_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

enum column_kind {
    COLUMN_KIND_TEXT,
    COLUMN_KIND_COUNT,
    COLUMN_KIND_FLOAT,   /* two digits */
    COLUMN_KIND_PERCENT, /* 0 to 100 */
    COLUMN_KIND_BYTES,
    COLUMN_KIND_DURATION, /* milliseconds */
    COLUMN_KIND_TIME,     /* RFC 3339; people read local time, a table as an age: "3m12s" */
    COLUMN_KIND_FLAG,
    COLUMN_KIND_LIST,  /* of strings */
    COLUMN_KIND_ID,    /* a UUID; a table shows its first eight characters */
    COLUMN_KIND_STATE, /* coloured by what it says */
};

struct column {
    const char *key;   /* and the header for programs; NULL ends a list of columns */
    const char *title; /* for people; NULL: the key */
    enum column_kind kind;
    bool is_detail; /* not in a table for people */
    /* What people read instead of the value of `key`; malloc'ed, NULL for nothing. */
    char *(*human)(const json_t *row);
};

enum column_use { COLUMN_USE_TABLE, COLUMN_USE_VERTICAL, COLUMN_USE_RAW };

/* The row's value as text: malloc'ed, "" when it is null or not there. For people it is clean
 * (text.h); RAW leaves every byte as it is. */
char *column_text(const struct column *column, const json_t *row, enum column_use use,
                  int64_t now_ms);

const char *column_title(const struct column *column, enum column_use use);
bool column_is_right(const struct column *column); /* numbers */
bool column_may_shrink(const struct column *column);

/* SGR parameters for a state's text ("32"), "" for none. */
const char *column_state_color(const char *state);

#endif
