#include "run/executor_sql.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { EXECUTOR_SQL_TYPE_BYTES_MAX = 64 * 1024, EXECUTOR_SQL_OPTION_BYTES_MAX = 64 };

void executor_sql_init(struct executor_sql *sql)
{
    buf_init(&sql->text, EXECUTOR_SQL_BYTES_MAX);
    sql->failed = 0;
}

void executor_sql_done(struct executor_sql *sql)
{
    buf_done(&sql->text);
}

const char *executor_sql_text(struct executor_sql *sql)
{
    return buf_cstr(&sql->text);
}

void executor_sql_add(struct executor_sql *sql, const char *text)
{
    if (buf_append_str(&sql->text, text) < 0)
        sql->failed = ERR_TOO_LARGE;
}

void executor_sql_printf(struct executor_sql *sql, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0)
        abort();
    executor_sql_add(sql, text);
    free(text);
}

static void executor_sql_quote(struct executor_sql *sql, const char *s, char quote)
{
    int err = buf_append_byte(&sql->text, (uint8_t)quote);
    for (; *s != '\0'; s++) {
        if (*s == quote)
            err |= buf_append_byte(&sql->text, (uint8_t)quote);
        err |= buf_append_byte(&sql->text, (uint8_t)*s);
    }
    err |= buf_append_byte(&sql->text, (uint8_t)quote);
    if (err != 0)
        sql->failed = ERR_TOO_LARGE;
}

void executor_sql_name(struct executor_sql *sql, const char *name)
{
    executor_sql_quote(sql, name, '"');
}

void executor_sql_literal(struct executor_sql *sql, const char *s)
{
    executor_sql_quote(sql, s, '\'');
}

/* Skips what is between quotes; NULL when it doesn't end. */
static const char *executor_sql_skip_quoted(const char *s)
{
    char quote = *s++;
    for (;; s++) {
        if (*s == '\0')
            return NULL;
        if (*s == quote && s[1] != quote)
            return s;
        if (*s == quote)
            s++;
    }
}

/* Words, numbers, quoted names and labels between balanced brackets: no way to end the type and go
 * on with something else. */
int executor_sql_check_type(const char *type)
{
    int depth = 0;
    if (*type == '\0' || strlen(type) > EXECUTOR_SQL_TYPE_BYTES_MAX)
        return ERR_INVALID;
    for (const char *s = type; *s != '\0'; s++) {
        if (*s == '"' || *s == '\'') {
            s = executor_sql_skip_quoted(s);
            if (s == NULL)
                return ERR_INVALID;
        } else if (*s == '(' || *s == '[') {
            depth++;
        } else if (*s == ')' || *s == ']') {
            if (--depth < 0)
                return ERR_INVALID;
        } else if (*s == ',' && depth == 0) {
            return ERR_INVALID;
        } else if (!isalnum((unsigned char)*s) && strchr("_ ,", *s) == NULL) {
            return ERR_INVALID;
        }
    }
    return depth == 0 ? 0 : ERR_INVALID;
}
