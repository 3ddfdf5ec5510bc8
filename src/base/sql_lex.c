/* Happy path: blanks and comments are skipped, the first byte says what the token is, its own
 * function finds the end. What is not closed runs to the end of the text and says so. */
#include "base/sql_lex.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static bool sql_is_start(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool sql_is_inside(char c)
{
    return sql_is_start(c) || isdigit((unsigned char)c) || c == '$';
}

/* Returns the position behind a comment that begins at `at`, `len` with *open when it doesn't end.
 */
static size_t sql_skip_comment(const char *text, size_t len, size_t at, bool *open)
{
    if (text[at] == '-') {
        const char *end = memchr(text + at, '\n', len - at);
        return end != NULL ? (size_t)(end - text) + 1 : len;
    }
    unsigned depth = 0;
    while (at < len) {
        if (at + 1 < len && text[at] == '/' && text[at + 1] == '*') {
            depth++;
            at += 2;
        } else if (at + 1 < len && text[at] == '*' && text[at + 1] == '/') {
            depth--;
            at += 2;
            if (depth == 0)
                return at;
        } else {
            at++;
        }
    }
    *open = true;
    return len;
}

static size_t sql_skip_blank(const char *text, size_t len, size_t at, bool *open)
{
    while (at < len) {
        char c = text[at];
        if (c == ' ' || (c >= '\t' && c <= '\r'))
            at++;
        else if (at + 1 < len &&
                 ((c == '-' && text[at + 1] == '-') || (c == '/' && text[at + 1] == '*')))
            at = sql_skip_comment(text, len, at, open);
        else
            break;
    }
    return at;
}

/* A quoted run that begins at `at`; returns the position behind it. */
static size_t sql_skip_quoted(const char *text, size_t len, size_t at, bool escapes, bool *open)
{
    char quote = text[at++];
    while (at < len) {
        if (escapes && text[at] == '\\' && at + 1 < len) {
            at += 2;
        } else if (text[at] != quote) {
            at++;
        } else if (at + 1 < len && text[at + 1] == quote) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    *open = true;
    return len;
}

/* Length of the $tag$ at `at`, 0 when there is none. */
static size_t sql_dollar_tag(const char *text, size_t len, size_t at)
{
    size_t end = at + 1;
    if (end < len && isdigit((unsigned char)text[end]))
        return 0;
    while (end < len && text[end] != '$' && sql_is_inside(text[end]))
        end++;
    return end < len && text[end] == '$' ? end + 1 - at : 0;
}

static size_t sql_skip_dollar(const char *text, size_t len, size_t at, size_t tag, bool *open)
{
    size_t end = at + tag;
    while (end + tag <= len) {
        const char *next = memchr(text + end, '$', len - end);
        if (next == NULL || (size_t)(next - text) + tag > len)
            break;
        if (memcmp(next, text + at, tag) == 0)
            return (size_t)(next - text) + tag;
        end = (size_t)(next - text) + 1;
    }
    *open = true;
    return len;
}

static size_t sql_skip_number(const char *text, size_t len, size_t at)
{
    while (at < len) {
        char c = text[at];
        if (isalnum((unsigned char)c) || c == '_' || c == '.')
            at++;
        else if ((c == '+' || c == '-') && tolower((unsigned char)text[at - 1]) == 'e')
            at++;
        else
            break;
    }
    return at;
}

static size_t sql_skip_op(const char *text, size_t len, size_t at)
{
    static const char *const pairs[] = {"=>", "<=", ">=", "<>", "!=", "::", "->", "||", "=="};
    for (size_t i = 0; i < MEM_COUNT(pairs); i++) {
        if (at + 1 < len && memcmp(text + at, pairs[i], 2) == 0)
            return at + 2;
    }
    return at + 1;
}

struct sql_token sql_lex_next(const char *text, size_t len, size_t at)
{
    bool open = false;
    at = sql_skip_blank(text, len, at, &open);
    if (at >= len)
        return (struct sql_token){SQL_TOKEN_END, len, 0, open};
    char c = text[at];
    char next = at + 1 < len ? text[at + 1] : '\0';
    struct sql_token token = {SQL_TOKEN_OTHER, at, 0, false};
    size_t end = at + 1;
    size_t tag = c == '$' ? sql_dollar_tag(text, len, at) : 0;
    if (c == '\'' || (next == '\'' && strchr("eEbBxX", c) != NULL)) {
        token.kind = SQL_TOKEN_STRING;
        end =
            sql_skip_quoted(text, len, c == '\'' ? at : at + 1, c == 'e' || c == 'E', &token.open);
    } else if (c == '"') {
        token.kind = SQL_TOKEN_QUOTED;
        end = sql_skip_quoted(text, len, at, false, &token.open);
    } else if (tag > 0) {
        token.kind = SQL_TOKEN_STRING;
        end = sql_skip_dollar(text, len, at, tag, &token.open);
    } else if (sql_is_start(c)) {
        token.kind = SQL_TOKEN_WORD;
        while (end < len && sql_is_inside(text[end]))
            end++;
    } else if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)next))) {
        token.kind = SQL_TOKEN_NUMBER;
        end = sql_skip_number(text, len, end);
    } else {
        end = sql_skip_op(text, len, at);
    }
    token.len = end - at;
    return token;
}

bool sql_token_is(const char *text, const struct sql_token *token, const char *word)
{
    return token->kind == SQL_TOKEN_WORD && strlen(word) == token->len &&
           strncasecmp(text + token->at, word, token->len) == 0;
}

bool sql_token_is_op(const char *text, const struct sql_token *token, const char *op)
{
    return token->kind == SQL_TOKEN_OTHER && strlen(op) == token->len &&
           memcmp(text + token->at, op, token->len) == 0;
}

static char sql_escape_char(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    default:
        return c;
    }
}

char *sql_token_value(const char *text, const struct sql_token *token)
{
    const char *from = text + token->at;
    size_t len = token->len;
    if (token->kind != SQL_TOKEN_QUOTED && token->kind != SQL_TOKEN_STRING)
        return mem_strndup(from, len);
    if (from[0] == '$') {
        size_t tag = sql_dollar_tag(from, len, 0);
        return mem_strndup(from + tag, len >= 2 * tag ? len - 2 * tag : 0);
    }
    bool escapes = from[0] == 'e' || from[0] == 'E';
    if (from[0] != '\'' && from[0] != '"') {
        from++;
        len--;
    }
    char quote = from[0];
    char *out = mem_alloc(len + 1);
    size_t n = 0;
    size_t end = token->open ? len : len - 1;
    for (size_t i = 1; i < end; i++) {
        char c = from[i];
        if (escapes && c == '\\' && i + 1 < end)
            c = sql_escape_char(from[++i]);
        else if (c == quote && i + 1 < end)
            i++;
        if (c != '\0')
            out[n++] = c;
    }
    out[n] = '\0';
    return out;
}

static char *sql_quote(const char *s, char quote)
{
    char *out = mem_alloc(2 * strlen(s) + 3);
    size_t n = 0;
    out[n++] = quote;
    for (; *s != '\0'; s++) {
        if (*s == quote)
            out[n++] = quote;
        out[n++] = *s;
    }
    out[n++] = quote;
    out[n] = '\0';
    return out;
}

char *sql_quote_name(const char *name)
{
    return sql_quote(name, '"');
}

char *sql_quote_text(const char *value)
{
    return sql_quote(value, '\'');
}

static char sql_open_of(const char *text, const struct sql_token *token)
{
    switch (token->kind) {
    case SQL_TOKEN_END:
        return '*';
    case SQL_TOKEN_QUOTED:
        return '"';
    default:
        return text[token->at] == '$' ? '$' : '\'';
    }
}

enum { SQL_BRACKETS_MAX = 64 }; /* the innermost open one is only shown to people */

bool sql_split_next(const char *text, size_t len, struct sql_split *out)
{
    *out = (struct sql_split){.end = len};
    char brackets[SQL_BRACKETS_MAX];
    size_t depth = 0;
    bool begun = false;
    size_t last = 0;
    for (size_t at = 0;;) {
        struct sql_token token = sql_lex_next(text, len, at);
        at = token.at + token.len;
        if (token.kind == SQL_TOKEN_END || token.open) {
            out->open = token.open                               ? sql_open_of(text, &token)
                        : depth > 0 && depth <= SQL_BRACKETS_MAX ? brackets[depth - 1]
                                                                 : '\0';
            if (!begun && token.kind != SQL_TOKEN_END)
                out->at = token.at;
            begun |= token.kind != SQL_TOKEN_END;
            last = token.kind != SQL_TOKEN_END ? at : last;
            break;
        }
        bool semicolon = sql_token_is_op(text, &token, ";");
        if (semicolon && begun) {
            out->complete = true;
            out->end = at;
            break;
        }
        if (semicolon)
            continue;
        if (!begun)
            out->at = token.at;
        begun = true;
        last = at;
        char c = token.kind == SQL_TOKEN_OTHER && token.len == 1 ? text[token.at] : '\0';
        if (c == '(' || c == '[' || c == '{') {
            if (depth < SQL_BRACKETS_MAX)
                brackets[depth] = c;
            depth++;
        } else if (depth > 0 && (c == ')' || c == ']' || c == '}')) {
            depth--;
        }
    }
    out->len = begun ? last - out->at : 0;
    return begun || out->open != '\0';
}
