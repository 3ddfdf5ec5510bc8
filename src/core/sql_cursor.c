#include "core/sql_cursor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"

void sql_advance(struct sql_cursor *c)
{
    c->token = sql_lex_next(c->text, c->len, c->token.at + c->token.len);
}

bool sql_peek(const struct sql_cursor *c, const char *word)
{
    return sql_token_is(c->text, &c->token, word);
}

bool sql_accept(struct sql_cursor *c, const char *word)
{
    if (c->code < 0 || !sql_peek(c, word))
        return false;
    sql_advance(c);
    return true;
}

bool sql_accept_op(struct sql_cursor *c, const char *op)
{
    if (c->code < 0 || !sql_token_is_op(c->text, &c->token, op))
        return false;
    sql_advance(c);
    return true;
}

enum { SQL_NEAR_MAX = 40 };

void sql_fail(struct sql_cursor *c, const char *wanted, const char *hint)
{
    if (c->code < 0)
        return;
    if (c->token.kind == SQL_TOKEN_END) {
        c->code = sql_error_set(c->e, ERR_INVALID, c->len, hint,
                                "the statement ends where %s is missing", wanted);
        return;
    }
    size_t len = c->token.len < SQL_NEAR_MAX ? c->token.len : SQL_NEAR_MAX;
    char *near = str_printable(c->text + c->token.at, len, false);
    c->code = sql_error_set(c->e, ERR_INVALID, c->token.at, hint,
                            "syntax error at \"%s\": %s is missing", near, wanted);
    free(near);
}

void sql_expect(struct sql_cursor *c, const char *word)
{
    if (c->code == 0 && !sql_accept(c, word))
        sql_fail(c, word, NULL);
}

void sql_expect_op(struct sql_cursor *c, const char *op)
{
    char wanted[8];
    snprintf(wanted, sizeof wanted, "\"%s\"", op);
    if (c->code == 0 && !sql_accept_op(c, op))
        sql_fail(c, wanted, NULL);
}

char *sql_take_name(struct sql_cursor *c, const char *wanted)
{
    if (c->code < 0)
        return NULL;
    if ((c->token.kind != SQL_TOKEN_WORD && c->token.kind != SQL_TOKEN_QUOTED) || c->token.open) {
        sql_fail(c, wanted, NULL);
        return NULL;
    }
    char *name = sql_token_value(c->text, &c->token);
    size_t len = strlen(name);
    if (len == 0 || len > SQL_NAME_BYTES_MAX || !str_is_utf8(name, len)) {
        free(name);
        c->code = sql_error_set(c->e, ERR_INVALID, c->token.at, "1 to 255 bytes of UTF-8",
                                "%s can't be called that", wanted);
        return NULL;
    }
    sql_advance(c);
    return name;
}

char *sql_take_string(struct sql_cursor *c, const char *wanted)
{
    if (c->code == 0 && (c->token.kind != SQL_TOKEN_STRING || c->token.open))
        sql_fail(c, wanted, "texts stand in single quotes");
    if (c->code < 0)
        return NULL;
    char *value = sql_token_value(c->text, &c->token);
    sql_advance(c);
    return value;
}

void sql_take_table(struct sql_cursor *c, struct sql_name *out)
{
    out->at = c->token.at;
    out->name = sql_take_name(c, "the name of a table");
    if (out->name == NULL || !sql_accept_op(c, "."))
        return;
    out->schema = out->name;
    out->name = sql_take_name(c, "the name of a table");
    if (c->code == 0 && sql_token_is_op(c->text, &c->token, "."))
        c->code = sql_error_set(c->e, ERR_UNSUPPORTED, out->at, "write table or schema.table",
                                "a table's name has at most one dot");
}

static char sql_bracket(const struct sql_cursor *c)
{
    return c->token.kind == SQL_TOKEN_OTHER && c->token.len == 1 ? c->text[c->token.at] : '\0';
}

struct sql_piece sql_take_piece(struct sql_cursor *c, const char *marks, const char *const *words)
{
    struct sql_piece piece = {NULL, c->token.at};
    size_t end = c->token.at;
    size_t depth = 0;
    while (c->code == 0 && c->token.kind != SQL_TOKEN_END) {
        char b = sql_bracket(c);
        bool stop = depth == 0 && b != '\0' && strchr(marks, b) != NULL;
        for (size_t i = 0; words != NULL && words[i] != NULL && depth == 0; i++)
            stop |= sql_peek(c, words[i]);
        if (stop)
            break;
        if (b == '(' || b == '[' || b == '{') {
            depth++;
        } else if (b == ')' || b == ']' || b == '}') {
            if (depth == 0) {
                c->code =
                    sql_error_set(c->e, ERR_INVALID, c->token.at, NULL, "\"%c\" closes nothing", b);
                break;
            }
            depth--;
        }
        if (c->token.open)
            c->code = sql_error_set(c->e, ERR_INVALID, c->token.at, NULL, "a quote isn't closed");
        end = c->token.at + c->token.len;
        sql_advance(c);
    }
    if (c->code == 0 && depth > 0)
        sql_fail(c, "a closing bracket", NULL);
    if (c->code == 0 && end > piece.at)
        piece.text = mem_strndup(c->text + piece.at, end - piece.at);
    return piece;
}

struct sql_piece sql_take_expression(struct sql_cursor *c, const char *marks,
                                     const char *const *words, const char *wanted)
{
    struct sql_piece piece = sql_take_piece(c, marks, words);
    if (c->code == 0 && piece.text == NULL)
        sql_fail(c, wanted, NULL);
    return piece;
}

void sql_take_names(struct sql_cursor *c, struct sql_statement *s)
{
    size_t cap = s->names_n;
    do {
        char *name = sql_take_name(c, "the name of a column");
        if (name == NULL)
            return;
        for (size_t i = 0; i < s->names_n; i++) {
            if (strcasecmp(s->names[i], name) == 0 && c->code == 0)
                c->code = sql_error_set(c->e, ERR_INVALID, c->token.at, NULL,
                                        "column \"%s\" is named twice", name);
        }
        if (s->names_n >= SQL_COLUMNS_MAX && c->code == 0)
            c->code = sql_error_set(c->e, ERR_TOO_LARGE, c->token.at, NULL, "more than %d columns",
                                    SQL_COLUMNS_MAX);
        MEM_GROW(s->names, cap, s->names_n + 1);
        s->names[s->names_n++] = name;
    } while (sql_accept_op(c, ","));
    sql_expect_op(c, ")");
}

void sql_take_query(struct sql_cursor *c, struct sql_statement *s)
{
    if (c->code == 0 && c->token.kind == SQL_TOKEN_END)
        sql_fail(c, "a query", NULL);
    if (c->code < 0)
        return;
    s->query.at = c->token.at;
    s->query.text = mem_strndup(c->text + c->token.at, c->len - c->token.at);
    c->token = (struct sql_token){SQL_TOKEN_END, c->len, 0, false};
}

bool sql_begins_query(const struct sql_cursor *c)
{
    static const char *const words[] = {"select",       "with",     "values",  "from",
                                        "table",        "pivot",    "unpivot", "pivot_wider",
                                        "pivot_longer", "summarize"};
    for (size_t i = 0; i < MEM_COUNT(words); i++) {
        if (sql_peek(c, words[i]))
            return true;
    }
    return sql_token_is_op(c->text, &c->token, "(");
}

void sql_refuse(struct sql_cursor *c, size_t at, const char *what, const char *hint)
{
    if (c->code == 0)
        c->code = sql_error_set(c->e, ERR_UNSUPPORTED, at, hint, "%s", what);
}
