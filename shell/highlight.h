/* What parts of a statement are, for colours. Knows no terminal. */
#ifndef SHELL_HIGHLIGHT_H
#define SHELL_HIGHLIGHT_H

#include <stdbool.h>
#include <stddef.h>

enum highlight_kind {
    HIGHLIGHT_PLAIN,
    HIGHLIGHT_COMMAND, /* words of a command's name, or of a backslash command's */
    HIGHLIGHT_OPTION,
    HIGHLIGHT_KEYWORD, /* of SQL */
    HIGHLIGHT_FUNCTION,
    HIGHLIGHT_STRING,
    HIGHLIGHT_NAME, /* in double quotes, of SQL */
    HIGHLIGHT_NUMBER,
    HIGHLIGHT_COMMENT,
    HIGHLIGHT_VARIABLE,
    HIGHLIGHT_ERROR, /* a quote that is not closed, a command that there is not */
};

struct highlight_span {
    size_t at, len;
    enum highlight_kind kind;
};

enum { HIGHLIGHT_SPANS_MAX = 4096, HIGHLIGHT_BYTES_MAX = 64 * 1024 };

/* Fills `spans` with the parts of `text` that are not plain, ascending, none over another; returns
 * how many. `in_sql`: the text goes on with SQL that a backslash command cut. `point`: the byte at
 * the cursor; the word that ends there may be half typed and is no error. What is past the bounds
 * stays plain. */
size_t highlight_find(const char *text, size_t len, bool in_sql, size_t point,
                      struct highlight_span spans[static HIGHLIGHT_SPANS_MAX]);

/* SGR parameters ("1;34"), "" for plain. */
const char *highlight_color(enum highlight_kind kind);

#endif
