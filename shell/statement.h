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
 * A statement that begins with a backslash is a backslash command: it ends at the newline, or where
 * its words end (meta_words.h). It may also stand behind a statement and then says what becomes of
 * it: any one in SQL, outside of quotes and comments; of a command one of \g, \gx, \gset,
 * \gexec, \gdesc and \watch as a word of its own. */
#ifndef SHELL_STATEMENT_H
#define SHELL_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* As much as the API takes (core/sql_text.h). */
enum { STATEMENT_BYTES_MAX = 16 * 1024 * 1024, STATEMENT_WORDS_MAX = 4096 };

enum statement_end {
    STATEMENT_END_COMPLETE,
    STATEMENT_END_JOINED,       /* the line ended with a backslash */
    STATEMENT_END_QUOTE_SINGLE, /* inside '…' */
    STATEMENT_END_QUOTE_DOUBLE,
    STATEMENT_END_SQL,     /* its ';' is missing */
    STATEMENT_END_COMMENT, /* inside a comment of SQL */
    STATEMENT_END_BRACKET, /* of SQL, inside brackets */
    STATEMENT_END_CUT,     /* a backslash command follows, which says what becomes of it */
};

/* Whether more must be typed. */
bool statement_end_is_open(enum statement_end end);

/* Finds the first statement in `text`. *len is how many bytes of text it takes, its separator
 * included. When text ends before the statement does, says in what and *len is all of it; at the
 * end of a file such a text is what statement_split makes of it. */
enum statement_end statement_next(const char *text, size_t *len);
/* The same where a beginning of SQL, cut by a backslash command, is to go on: what comes is more of
 * it, or a further backslash command. */
enum statement_end statement_next_behind(const char *text, size_t *len);

/* Whether the text, blanks left out, begins with a backslash command. */
bool statement_is_meta(const char *text, size_t len);
/* Bytes of blanks, separators and comments in front of a statement. */
size_t statement_skip_space(const char *text, size_t len);
/* Whether a comment begins there that may take several lines. Behind statement_skip_space(): one
 * that is not closed. */
bool statement_begins_comment(const char *text, size_t len);
/* Whether the text begins with a word of SQL. */
bool statement_begins_sql(const char *text, size_t len);
/* The word that a statement of SQL may begin with and that is most like this one; NULL: none is. */
const char *statement_like_sql(const char *word);

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

/* Malloc'ed text that statement_split gives back as the one word `word`. */
char *statement_quote(const char *word);

#endif
