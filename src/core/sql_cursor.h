/* The cursor that core/sql_text*.c read statements with. The first failure wins: it is kept in
 * `code`, and from then on nothing is accepted any more. */
#ifndef CORE_SQL_CURSOR_H
#define CORE_SQL_CURSOR_H

#include "core/sql_text.h"

struct sql_cursor {
    const char *text;
    size_t len;
    struct sql_token token; /* the next one, not yet taken */
    struct sql_error *e;
    int code; /* the first failure, 0 so far */
};

void sql_advance(struct sql_cursor *c);
bool sql_peek(const struct sql_cursor *c, const char *word);
/* Take the word or operator when it is next. */
bool sql_accept(struct sql_cursor *c, const char *word);
bool sql_accept_op(struct sql_cursor *c, const char *op);
void sql_expect(struct sql_cursor *c, const char *word);
void sql_expect_op(struct sql_cursor *c, const char *op);
/* "syntax error at ...: WANTED is missing". */
void sql_fail(struct sql_cursor *c, const char *wanted, const char *hint);
/* ERR_UNSUPPORTED unless something failed before. */
void sql_refuse(struct sql_cursor *c, size_t at, const char *what, const char *hint);

/* malloc'ed, or NULL after a failure. */
char *sql_take_name(struct sql_cursor *c, const char *wanted);
char *sql_take_string(struct sql_cursor *c, const char *wanted);
void sql_take_table(struct sql_cursor *c, struct sql_name *out);

/* Takes tokens up to one of `marks` (single characters) or `words` outside of brackets. Unbalanced
 * brackets and open quotes fail. The piece is trimmed; its text is NULL when it is empty. */
struct sql_piece sql_take_piece(struct sql_cursor *c, const char *marks, const char *const *words);
/* The same; an empty one fails. */
struct sql_piece sql_take_expression(struct sql_cursor *c, const char *marks,
                                     const char *const *words, const char *wanted);

/* name {"," name} ")" into s->names; the opening bracket has been taken. */
void sql_take_names(struct sql_cursor *c, struct sql_statement *s);
/* Whether what comes is a query. */
bool sql_begins_query(const struct sql_cursor *c);
/* The rest of the text. */
void sql_take_query(struct sql_cursor *c, struct sql_statement *s);

#endif
