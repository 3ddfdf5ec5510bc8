#include "shell/interpolate.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/sql_lex.h"
#include "shell/statement.h"

static size_t interpolate_name_len(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len && (isalnum((unsigned char)text[n]) || text[n] == '_'))
        n++;
    return vars_is_name(text, n) ? n : 0;
}

/* ":{?name}" */
static size_t interpolate_test(const struct vars *vars, const char *text, size_t len, char **value)
{
    if (len < 5 || text[2] != '?')
        return 0;
    size_t n = interpolate_name_len(text + 3, len - 3);
    if (n == 0 || 3 + n >= len || text[3 + n] != '}')
        return 0;
    char *name = mem_strndup(text + 3, n);
    *value = mem_strdup(vars_get(vars, name) != NULL ? "TRUE" : "FALSE");
    free(name);
    return 3 + n + 1;
}

size_t interpolate_at(const struct vars *vars, const char *text, size_t len, bool as_is,
                      char **value)
{
    char quote = len >= 2 && (text[1] == '\'' || text[1] == '"') ? text[1] : '\0';
    if (len >= 2 && text[1] == '{')
        return interpolate_test(vars, text, len, value);
    size_t from = quote != '\0' ? 2 : 1;
    size_t n = from < len ? interpolate_name_len(text + from, len - from) : 0;
    size_t end = from + n;
    if (n == 0 || (quote != '\0' && (end >= len || text[end] != quote)))
        return 0;
    char *name = mem_strndup(text + from, n);
    const char *found = vars_get(vars, name);
    free(name);
    if (found == NULL)
        return 0;
    *value = quote == '\0' || as_is ? mem_strdup(found)
             : quote == '\''        ? sql_quote_text(found)
                                    : sql_quote_name(found);
    return end + (quote != '\0');
}

static char *interpolate_finish(struct buf *b, bool is_cut, struct error *e)
{
    char *text = NULL;
    if (is_cut)
        (void)error_set(e, ERR_TOO_LARGE, "with its variables the statement is larger than %d MiB",
                        INTERPOLATE_BYTES_MAX >> 20);
    else
        text = mem_strdup(buf_cstr(b));
    buf_done(b);
    return text;
}

char *interpolate_sql(const struct vars *vars, const char *text, size_t len, struct error *e)
{
    struct buf b;
    bool is_cut = false;
    size_t copied = 0;
    buf_init(&b, INTERPOLATE_BYTES_MAX);
    for (size_t at = 0;;) {
        struct sql_token token = sql_lex_next(text, len, at);
        at = token.at + token.len;
        if (token.kind == SQL_TOKEN_END)
            break;
        char *value;
        size_t n;
        if (!sql_token_is_op(text, &token, ":") ||
            (n = interpolate_at(vars, text + token.at, len - token.at, false, &value)) == 0)
            continue;
        is_cut |= buf_append(&b, text + copied, token.at - copied) != 0;
        is_cut |= buf_append_str(&b, value) != 0;
        free(value);
        copied = at = token.at + n;
    }
    is_cut |= buf_append(&b, text + copied, len - copied) != 0;
    return interpolate_finish(&b, is_cut, e);
}

/* Whether a colon may begin a variable behind this byte. */
static bool interpolate_may_begin(const char *text, size_t at)
{
    unsigned char before = at > 0 ? (unsigned char)text[at - 1] : ' ';
    return !isalnum(before) && before != ':' && before != '_' && before != '\\' && before < 0x80;
}

char *interpolate_command(const struct vars *vars, const char *text, size_t len, struct error *e)
{
    struct buf b;
    char quote = '\0';
    bool is_cut = false;
    buf_init(&b, INTERPOLATE_BYTES_MAX);
    for (size_t at = 0; at < len;) {
        char c = text[at];
        char *value;
        size_t n = quote == '\0' && c == ':' && interpolate_may_begin(text, at)
                       ? interpolate_at(vars, text + at, len - at, true, &value)
                       : 0;
        if (n > 0) {
            char *quoted = statement_quote(value);
            is_cut |= buf_append_str(&b, quoted) != 0;
            free(quoted);
            free(value);
            at += n;
            continue;
        }
        if (quote == '\0' && (c == '\'' || c == '"'))
            quote = c;
        else if (c == quote)
            quote = '\0';
        n = c == '\\' && quote != '\'' && at + 1 < len ? 2 : 1;
        is_cut |= buf_append(&b, text + at, n) != 0;
        at += n;
    }
    return interpolate_finish(&b, is_cut, e);
}
