/* The words of SQL text, as DuckDB's scanner cuts them (PostgreSQL's rules: '' and "" doubled
 * inside quotes, E'' with backslashes, $tag$ ... $tag$, comments after two dashes and nested
 * slash-star), and where a statement ends. Works on any bytes, never reads past `len`, allocates
 * only what it says. */
#ifndef BASE_SQL_LEX_H
#define BASE_SQL_LEX_H

#include <stdbool.h>
#include <stddef.h>

enum sql_token_kind {
    SQL_TOKEN_END,    /* nothing but blanks and comments was left */
    SQL_TOKEN_WORD,   /* name or key word without quotes */
    SQL_TOKEN_QUOTED, /* "name" */
    SQL_TOKEN_STRING, /* 'text', E'text', $$text$$ */
    SQL_TOKEN_NUMBER,
    SQL_TOKEN_OTHER, /* one character, or "=>", "<=", ">=", "<>", "!=", "::", "->", "||", "==" */
};

struct sql_token {
    enum sql_token_kind kind;
    size_t at, len; /* bytes of the text */
    bool open;      /* a quote (or, for SQL_TOKEN_END, a comment) is not closed */
};

/* Returns the token at or after `at`. After SQL_TOKEN_END `at` is `len`. */
struct sql_token sql_lex_next(const char *text, size_t len, size_t at);

/* The same word, whatever the case; only for SQL_TOKEN_WORD. */
bool sql_token_is(const char *text, const struct sql_token *token, const char *word);
/* The character or operator of a SQL_TOKEN_OTHER. */
bool sql_token_is_op(const char *text, const struct sql_token *token, const char *op);

/* malloc'ed text that a WORD, QUOTED or closed STRING token means: quotes and escapes undone. A
 * NUL character that an escape would make is left out. */
char *sql_token_value(const char *text, const struct sql_token *token);

/* malloc'ed: `name` as SQL text, in double quotes; `value` as a string, in single quotes. */
char *sql_quote_name(const char *name);
char *sql_quote_text(const char *value);

struct sql_split {
    size_t at, len; /* the statement without blanks and comments around it, without its semicolon */
    size_t end;     /* where the next statement may begin */
    bool complete;  /* a semicolon ended it */
    char open;      /* what is not closed at the end of the text: ' " $ * (a comment) ( [ {, or 0 */
};

/* Finds the first statement of the text. False when only blanks, comments and semicolons are left
 * and nothing is open (`out` has `end` = len). */
bool sql_split_next(const char *text, size_t len, struct sql_split *out);

#endif
