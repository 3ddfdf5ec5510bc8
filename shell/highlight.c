/* The text is cut into statements as script.c does it; each is read by the lexer of its kind. */
#include "shell/highlight.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/sql_lex.h"
#include "shell/command.h"
#include "shell/meta_words.h"
#include "shell/sql_words.h"
#include "shell/statement.h"
#include "shell/vars.h"

struct highlight {
    const char *text;
    size_t len;
    size_t point;
    struct highlight_span *spans;
    size_t n;
};

const char *highlight_color(enum highlight_kind kind)
{
    static const char *const colors[] = {
        [HIGHLIGHT_PLAIN] = "",       [HIGHLIGHT_COMMAND] = "1;36", [HIGHLIGHT_OPTION] = "36",
        [HIGHLIGHT_KEYWORD] = "1;34", [HIGHLIGHT_FUNCTION] = "36",  [HIGHLIGHT_STRING] = "32",
        [HIGHLIGHT_NAME] = "33",      [HIGHLIGHT_NUMBER] = "35",    [HIGHLIGHT_COMMENT] = "2",
        [HIGHLIGHT_VARIABLE] = "33",  [HIGHLIGHT_ERROR] = "1;31",
    };
    return colors[kind];
}

static void highlight_add(struct highlight *h, size_t at, size_t len, enum highlight_kind kind)
{
    if (h->n < HIGHLIGHT_SPANS_MAX && len > 0)
        h->spans[h->n++] = (struct highlight_span){at, len, kind};
}

/* SQL */

/* The comments between two tokens. */
static void highlight_gap(struct highlight *h, size_t from, size_t to)
{
    while (from < to) {
        bool is_line = to - from >= 2 && h->text[from] == '-' && h->text[from + 1] == '-';
        bool is_block = to - from >= 2 && h->text[from] == '/' && h->text[from + 1] == '*';
        size_t end = to;
        if (is_line) {
            const char *newline = memchr(h->text + from, '\n', to - from);
            end = newline != NULL ? (size_t)(newline - h->text) : to;
        } else if (!is_block) {
            from++;
            continue;
        }
        highlight_add(h, from, end - from, HIGHLIGHT_COMMENT);
        from = end;
    }
}

/* ":name" behind the colon at `at`; its length, or 0. */
static size_t highlight_variable(const struct highlight *h, size_t at, size_t end)
{
    struct sql_token next = sql_lex_next(h->text, end, at + 1);
    bool is_name = next.kind == SQL_TOKEN_WORD ||
                   ((next.kind == SQL_TOKEN_QUOTED || next.kind == SQL_TOKEN_STRING) && !next.open);
    return is_name && next.at == at + 1 ? 1 + next.len : 0;
}

static enum highlight_kind highlight_token(const struct highlight *h, const struct sql_token *token,
                                           size_t end)
{
    struct sql_token next;
    switch (token->kind) {
    case SQL_TOKEN_STRING:
        return token->open ? HIGHLIGHT_ERROR : HIGHLIGHT_STRING;
    case SQL_TOKEN_QUOTED:
        return token->open ? HIGHLIGHT_ERROR : HIGHLIGHT_NAME;
    case SQL_TOKEN_NUMBER:
        return HIGHLIGHT_NUMBER;
    case SQL_TOKEN_WORD:
        next = sql_lex_next(h->text, end, token->at + token->len);
        bool is_part = token->at > 0 && h->text[token->at - 1] == '.';
        if (!is_part && sql_words_is_keyword(h->text + token->at, token->len))
            return HIGHLIGHT_KEYWORD;
        return sql_token_is_op(h->text, &next, "(") && next.at == token->at + token->len
                   ? HIGHLIGHT_FUNCTION
                   : HIGHLIGHT_PLAIN;
    default:
        return HIGHLIGHT_PLAIN;
    }
}

static void highlight_sql(struct highlight *h, size_t from, size_t end)
{
    for (size_t at = from; at < end;) {
        struct sql_token token = sql_lex_next(h->text, end, at);
        size_t to = token.at < end ? token.at : end;
        highlight_gap(h, at, to);
        if (token.kind == SQL_TOKEN_END)
            break;
        size_t variable =
            sql_token_is_op(h->text, &token, ":") ? highlight_variable(h, token.at, end) : 0;
        if (variable > 0) {
            highlight_add(h, token.at, variable, HIGHLIGHT_VARIABLE);
            at = token.at + variable;
            continue;
        }
        enum highlight_kind kind = highlight_token(h, &token, end);
        if (kind != HIGHLIGHT_PLAIN)
            highlight_add(h, token.at, token.len, kind);
        at = token.at + token.len;
    }
}

/* Commands */

static bool highlight_is_typed(const struct highlight *h, size_t from, size_t to)
{
    return h->point >= from && h->point <= to;
}

static enum highlight_kind highlight_word(const struct statement_word *word, bool is_name,
                                          bool *options_over)
{
    if (word->in_quote != '\0')
        return HIGHLIGHT_ERROR;
    if (is_name)
        return HIGHLIGHT_COMMAND;
    if (!*options_over && strcmp(word->text, "--") == 0)
        *options_over = true;
    if (!*options_over && !word->quoted && word->text[0] == '-' && word->text[1] != '\0')
        return HIGHLIGHT_OPTION;
    if (word->quoted)
        return HIGHLIGHT_STRING;
    if (word->text[0] == ':' && vars_is_name(word->text + 1, strlen(word->text + 1)))
        return HIGHLIGHT_VARIABLE;
    return HIGHLIGHT_PLAIN;
}

static void highlight_command(struct highlight *h, size_t from, size_t end)
{
    struct statement s;
    const struct command *command;
    size_t n_words = 0;
    char hint[COMMAND_HINT_MAX];
    bool options_over = false;
    const char *text = h->text + from;
    if (statement_split(&s, text, end - from, true, NULL) == 0 && s.n > 0) {
        int rc = command_find(s.texts, s.n, &command, &n_words, NULL, hint);
        bool is_wrong = rc == ERR_NOT_FOUND &&
                        !highlight_is_typed(h, from + s.words[0].from, from + s.words[s.n - 1].to);
        if (rc != 0)
            n_words = rc == ERR_NOT_FOUND ? 0 : s.n;
        for (size_t i = 0; i < s.n; i++) {
            const struct statement_word *word = &s.words[i];
            enum highlight_kind kind = i == 0 && is_wrong
                                           ? HIGHLIGHT_ERROR
                                           : highlight_word(word, i < n_words, &options_over);
            if (kind != HIGHLIGHT_PLAIN)
                highlight_add(h, from + word->from, word->to - word->from, kind);
        }
        size_t last = s.words[s.n - 1].to;
        const char *hash = memchr(text + last, '#', end - from - last);
        if (hash != NULL)
            highlight_add(h, (size_t)(hash - h->text), end - (size_t)(hash - h->text),
                          HIGHLIGHT_COMMENT);
    } else {
        const char *hash = memchr(text, '#', end - from);
        if (hash != NULL)
            highlight_add(h, (size_t)(hash - h->text), end - (size_t)(hash - h->text),
                          HIGHLIGHT_COMMENT);
    }
    statement_done(&s);
}

/* Backslash commands */

static void highlight_meta(struct highlight *h, size_t from, size_t end)
{
    size_t name;
    const struct command *command = meta_words_command(h->text + from, end - from, &name);
    bool is_typed = highlight_is_typed(h, from, from + name);
    if (command != NULL || is_typed || (end - from >= 2 && h->text[from + 1] == '\\'))
        highlight_add(h, from, name > 1 ? name : 2, HIGHLIGHT_COMMAND);
    else
        highlight_add(h, from, name, HIGHLIGHT_ERROR);
    if (meta_words_form(command) != META_WORDS_PLAIN)
        return;
    for (size_t at = from + name; at < end;) {
        char c = h->text[at];
        if (c == '\'' || c == '"' || c == '`') {
            const char *close = memchr(h->text + at + 1, c, end - at - 1);
            size_t to = close != NULL ? (size_t)(close - h->text) + 1 : end;
            highlight_add(h, at, to - at,
                          close == NULL ? HIGHLIGHT_ERROR
                          : c == '`'    ? HIGHLIGHT_VARIABLE
                                        : HIGHLIGHT_STRING);
            at = to;
            continue;
        }
        size_t variable = c == ':' ? highlight_variable(h, at, end) : 0;
        highlight_add(h, at, variable, HIGHLIGHT_VARIABLE);
        at += variable > 0 ? variable : 1;
    }
}

size_t highlight_find(const char *text, size_t len, bool in_sql, size_t point,
                      struct highlight_span spans[static HIGHLIGHT_SPANS_MAX])
{
    len = len < HIGHLIGHT_BYTES_MAX ? len : HIGHLIGHT_BYTES_MAX;
    struct highlight h = {.text = text, .len = len, .point = point, .spans = spans};
    char *copy = mem_strndup(text, len);
    len = strlen(copy);
    h.text = copy;
    for (size_t at = 0; at < len;) {
        size_t n;
        enum statement_end end =
            in_sql ? statement_next_behind(copy + at, &n) : statement_next(copy + at, &n);
        size_t space = in_sql ? strspn(copy + at, " \t\r\n") : statement_skip_space(copy + at, n);
        size_t start = at + (space < n ? space : n);
        if (!in_sql)
            highlight_gap(&h, at, start);
        if (start < at + n && copy[start] == '\\' && at + n - start >= 2) {
            highlight_meta(&h, start, at + n);
        } else if (start < at + n) {
            bool is_sql = in_sql || statement_begins_sql(copy + start, at + n - start);
            if (is_sql)
                highlight_sql(&h, start, at + n);
            else
                highlight_command(&h, start, at + n);
            in_sql = is_sql && end == STATEMENT_END_CUT;
        }
        at += n;
    }
    free(copy);
    return h.n;
}
