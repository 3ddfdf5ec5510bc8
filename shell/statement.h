/* Statements: where one ends, which words it has.
 *
 * A statement ends at a newline or an unquoted ';'. A backslash at the end of a line joins the next
 * one. '…' is literal, "…" knows \" \\ and backslash newline, a backslash outside quotes takes the
 * next character as it is; quotes may span lines. '#' at the beginning of a word starts a comment,
 * so do two dashes at the beginning of a statement.
 *
 * SQL, which begins with one of its own words (SELECT, WITH, CREATE, ...), ends at a ';' only, as
 * base/sql_lex.h finds it, and keeps its newlines.
 *
 * A statement that begins with a backslash is a meta-command: it ends at the newline whatever
 * stands in it. The unquoted word \watch ends the statement before it. */
#ifndef SHELL_STATEMENT_H
#define SHELL_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { STATEMENT_BYTES_MAX = 1024 * 1024, STATEMENT_WORDS_MAX = 4096 };

enum statement_end {
    STATEMENT_END_COMPLETE,
    STATEMENT_END_JOINED,       /* the line ended with a backslash */
    STATEMENT_END_QUOTE_SINGLE, /* inside '…' */
    STATEMENT_END_QUOTE_DOUBLE,
    STATEMENT_END_SQL, /* its ';' is missing */
};

/* Finds the first statement in `text`. *len is how many bytes of text it takes, its separator
 * included. When text ends before the statement does, says in what and *len is all of it; at the
 * end of a file such a text is what statement_split makes of it. */
enum statement_end statement_next(const char *text, size_t *len);

/* Whether the text is a statement of SQL; then where it begins, and how long it is without its ';'.
 */
bool statement_is_sql(const char *text, size_t len, size_t *from, size_t *sql_len);

struct statement_word {
    char *text;    /* without quotes */
    size_t from;   /* where it stands in the source */
    size_t to;     /* behind its last byte */
    bool quoted;   /* some of it */
    char in_quote; /* the quote that was not closed, or 0 */
};

struct statement {
    struct statement_word *words;
    size_t n;
    size_t cap;
    const char **texts; /* words[i].text, and NULL */
};

/* Splits one statement into words. ERR_INVALID for a quote that is not closed, unless `partial` or
 * in a meta-command; ERR_TOO_LARGE past STATEMENT_WORDS_MAX. Release with statement_done in any
 * case. */
int statement_split(struct statement *s, const char *text, size_t len, bool partial,
                    struct error *e);
void statement_done(struct statement *s);

/* The rest of a meta-command's line behind its first word, trimmed, as it stands. Malloc'ed. */
char *statement_rest(const char *text, size_t len);

/* Malloc'ed text that statement_split gives back as the one word `word`. */
char *statement_quote(const char *word);

#endif
