#include "shell/statement.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/sql_lex.h"
#include "base/str.h"
#include "shell/meta_words.h"

static bool statement_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The backslash commands that may stand behind a command. */
static bool statement_is_suffix(const char *text, size_t left)
{
    static const char *const words[] = {"\\g", "\\gx", "\\gset", "\\gexec", "\\gdesc", "\\watch"};
    for (size_t i = 0; i < MEM_COUNT(words); i++) {
        size_t len = strlen(words[i]);
        if (left >= len && memcmp(text, words[i], len) == 0 &&
            (left == len || strchr(" \t\r\n;", text[len]) != NULL))
            return true;
    }
    return false;
}

/* Where a scan over one statement stands. */
struct statement_scan {
    const char *text;
    size_t len;
    size_t at;
    char quote;
    bool in_word;
};

enum statement_token {
    STATEMENT_TOKEN_BYTE,   /* the byte at `at` belongs to a word */
    STATEMENT_TOKEN_SYNTAX, /* a quote, or the backslash before an escaped byte */
    STATEMENT_TOKEN_JOIN,   /* backslash and newline */
    STATEMENT_TOKEN_SPACE,  /* between words */
    STATEMENT_TOKEN_COMMENT,
    STATEMENT_TOKEN_SEPARATOR, /* ';' or newline */
    STATEMENT_TOKEN_SUFFIX,    /* \g and the like follow; nothing was taken */
};

static enum statement_token statement_scan_quoted(struct statement_scan *s, size_t *n)
{
    char c = s->text[s->at];
    char next = s->at + 1 < s->len ? s->text[s->at + 1] : '\0';
    *n = 1;
    if (c == s->quote) {
        s->quote = '\0';
        return STATEMENT_TOKEN_SYNTAX;
    }
    if (s->quote == '"' && c == '\\' && next == '\n') {
        *n = 2;
        return STATEMENT_TOKEN_JOIN;
    }
    if (s->quote == '"' && c == '\\' && (next == '"' || next == '\\'))
        return STATEMENT_TOKEN_SYNTAX;
    return STATEMENT_TOKEN_BYTE;
}

/* Classifies what stands at s->at; *n is how many bytes it takes. A SYNTAX backslash leaves the
 * escaped byte to the caller. */
static enum statement_token statement_scan_next(struct statement_scan *s, size_t *n)
{
    char c = s->text[s->at];
    char next = s->at + 1 < s->len ? s->text[s->at + 1] : '\0';
    if (s->quote != '\0')
        return statement_scan_quoted(s, n);
    *n = 1;
    if (c == ';' || c == '\n')
        return STATEMENT_TOKEN_SEPARATOR;
    if (statement_is_space(c))
        return STATEMENT_TOKEN_SPACE;
    if (c == '\\' && next == '\n') {
        *n = 2;
        return STATEMENT_TOKEN_JOIN;
    }
    if (!s->in_word && c == '#') {
        const char *end = memchr(s->text + s->at, '\n', s->len - s->at);
        *n = end != NULL ? (size_t)(end - (s->text + s->at)) : s->len - s->at;
        return STATEMENT_TOKEN_COMMENT;
    }
    if (!s->in_word && s->at > 0 && statement_is_suffix(s->text + s->at, s->len - s->at))
        return STATEMENT_TOKEN_SUFFIX;
    if (c == '\'' || c == '"') {
        s->quote = c;
        return STATEMENT_TOKEN_SYNTAX;
    }
    return c == '\\' && next != '\0' ? STATEMENT_TOKEN_SYNTAX : STATEMENT_TOKEN_BYTE;
}

/* Length of a comment that begins with a slash and a star, as SQL has them: they nest. 0: it is not
 * closed. */
static size_t statement_comment_len(const char *text, size_t len)
{
    unsigned depth = 0;
    for (size_t n = 0; n + 1 < len;) {
        bool opens = text[n] == '/' && text[n + 1] == '*';
        bool closes = text[n] == '*' && text[n + 1] == '/';
        depth += opens;
        depth -= closes;
        n += opens || closes ? 2 : 1;
        if (depth == 0)
            return n;
    }
    return 0;
}

bool statement_begins_comment(const char *text, size_t len)
{
    return len >= 2 && text[0] == '/' && text[1] == '*';
}

/* No command begins with two dashes, or with a slash and a star: these are comments of SQL. */
size_t statement_skip_space(const char *text, size_t len)
{
    size_t n = 0;
    while (n < len) {
        size_t comment = statement_begins_comment(text + n, len - n)
                             ? statement_comment_len(text + n, len - n)
                             : 0;
        if (statement_is_space(text[n]) || text[n] == '\n' || text[n] == ';') {
            n++;
        } else if (len - n >= 2 && text[n] == '-' && text[n + 1] == '-') {
            const char *newline = memchr(text + n, '\n', len - n);
            n = newline != NULL ? (size_t)(newline - text) : len;
        } else if (comment > 0) {
            n += comment;
        } else {
            break;
        }
    }
    return n;
}

static bool statement_is_meta_at(const char *text, size_t len)
{
    return len >= 2 && text[0] == '\\' && text[1] != '\n';
}

bool statement_is_meta(const char *text, size_t len)
{
    size_t start = statement_skip_space(text, len);
    return statement_is_meta_at(text + start, len - start);
}

bool statement_end_is_open(enum statement_end end)
{
    return end != STATEMENT_END_COMPLETE && end != STATEMENT_END_CUT;
}

/* The first word of SQL statements; no command has such a name. */
static const char *const statement_sql_words[] = {
    "select",  "with",      "from",      "values", "table",   "pivot",    "unpivot",  "summarize",
    "create",  "drop",      "insert",    "copy",   "delete",  "update",   "optimize", "vacuum",
    "explain", "describe",  "desc",      "show",   "alter",   "attach",   "detach",   "set",
    "pragma",  "install",   "load",      "begin",  "commit",  "rollback", "truncate", "merge",
    "use",     "call",      "analyze",   "reset",  "prepare", "execute",  "grant",    "revoke",
    "start",   "savepoint", "deallocate"};

bool statement_begins_sql(const char *text, size_t len)
{
    struct sql_token token = sql_lex_next(text, len, 0);
    struct sql_token next = sql_lex_next(text, len, token.at + token.len);
    if (sql_token_is_op(text, &token, "("))
        return true;
    for (size_t i = 0; i < MEM_COUNT(statement_sql_words); i++) {
        if (sql_token_is(text, &token, statement_sql_words[i]))
            return !sql_token_is_op(text, &next, "=");
    }
    return false;
}

const char *statement_like_sql(const char *word)
{
    const char *best = NULL;
    unsigned best_distance = 0;
    for (size_t i = 0; i < MEM_COUNT(statement_sql_words); i++) {
        unsigned distance = str_distance(word, statement_sql_words[i]);
        if (best == NULL || distance < best_distance) {
            best = statement_sql_words[i];
            best_distance = distance;
        }
    }
    return best_distance <= 1 + strlen(word) / 4 && best_distance < strlen(word) - 1 ? best : NULL;
}

bool statement_is_sql(const char *text, size_t len, size_t *from, size_t *sql_len)
{
    struct sql_split split;
    size_t start = statement_skip_space(text, len);
    if (!statement_begins_sql(text + start, len - start) ||
        !sql_split_next(text + start, len - start, &split))
        return false;
    *from = start + split.at;
    *sql_len = split.len;
    return true;
}

/* In what the text of SQL ends that has no ';' outside of quotes. */
static enum statement_end statement_open_sql(const char *text, size_t len)
{
    struct sql_split split;
    if (!sql_split_next(text, len, &split))
        return STATEMENT_END_SQL;
    switch (split.open) {
    case '\'':
    case '$':
        return STATEMENT_END_QUOTE_SINGLE;
    case '"':
        return STATEMENT_END_QUOTE_DOUBLE;
    case '*':
        return STATEMENT_END_COMMENT;
    case '\0':
        return STATEMENT_END_SQL;
    default:
        return STATEMENT_END_BRACKET;
    }
}

/* SQL from `start` on, up to its ';' or the backslash of a command. */
static enum statement_end statement_next_sql(const char *text, size_t start, size_t all,
                                             size_t *len)
{
    for (size_t at = start; at < all;) {
        struct sql_token token = sql_lex_next(text, all, at);
        at = token.at + token.len;
        if (token.kind == SQL_TOKEN_END || token.open)
            break;
        bool is_cut = sql_token_is_op(text, &token, "\\") && token.at > start;
        if (is_cut || sql_token_is_op(text, &token, ";")) {
            *len = is_cut ? token.at : at;
            return is_cut ? STATEMENT_END_CUT : STATEMENT_END_COMPLETE;
        }
    }
    *len = all;
    return statement_open_sql(text + start, all - start);
}

enum statement_end statement_next_behind(const char *text, size_t *len)
{
    size_t all = strlen(text);
    size_t start = strspn(text, " \t\r\n");
    if (statement_is_meta_at(text + start, all - start)) {
        *len = start + meta_words_len(text + start, all - start);
        return STATEMENT_END_COMPLETE;
    }
    return statement_next_sql(text, 0, all, len);
}

enum statement_end statement_next(const char *text, size_t *len)
{
    size_t all = strlen(text);
    size_t start = statement_skip_space(text, all);
    if (statement_begins_sql(text + start, all - start))
        return statement_next_sql(text, start, all, len);
    if (statement_is_meta_at(text + start, all - start)) {
        *len = start + meta_words_len(text + start, all - start);
        return STATEMENT_END_COMPLETE;
    }
    if (statement_begins_comment(text + start, all - start)) {
        *len = all;
        return STATEMENT_END_COMMENT;
    }

    /* The scan begins at the statement: a backslash command there was taken above. */
    struct statement_scan s = {.text = text + start, .len = all - start};
    bool joined = false;
    while (s.at < s.len) {
        size_t n;
        enum statement_token token = statement_scan_next(&s, &n);
        joined = token == STATEMENT_TOKEN_JOIN;
        if (token == STATEMENT_TOKEN_SEPARATOR || token == STATEMENT_TOKEN_SUFFIX) {
            bool is_cut = token == STATEMENT_TOKEN_SUFFIX;
            *len = start + s.at + !is_cut;
            return is_cut ? STATEMENT_END_CUT : STATEMENT_END_COMPLETE;
        }
        if (token == STATEMENT_TOKEN_SYNTAX && s.text[s.at] == '\\')
            n = 2;
        s.in_word = token == STATEMENT_TOKEN_BYTE || token == STATEMENT_TOKEN_SYNTAX ||
                    (token == STATEMENT_TOKEN_JOIN && s.in_word);
        s.at += n;
    }
    *len = all;
    if (s.quote != '\0')
        return s.quote == '"' ? STATEMENT_END_QUOTE_DOUBLE : STATEMENT_END_QUOTE_SINGLE;
    return joined ? STATEMENT_END_JOINED : STATEMENT_END_COMPLETE;
}

/* Takes the word that begins at s->at. */
static void statement_take_word(struct statement_scan *s, struct statement_word *word)
{
    struct buf b;
    buf_init(&b, s->len + 1);
    *word = (struct statement_word){.from = s->at};
    while (s->at < s->len) {
        size_t n;
        s->in_word = s->at > word->from;
        enum statement_token token = statement_scan_next(s, &n);
        bool is_part = token == STATEMENT_TOKEN_BYTE || token == STATEMENT_TOKEN_SYNTAX ||
                       token == STATEMENT_TOKEN_JOIN;
        if (!is_part)
            break;
        if (token == STATEMENT_TOKEN_BYTE) {
            (void)buf_append_byte(&b, (uint8_t)s->text[s->at]);
        } else if (token == STATEMENT_TOKEN_SYNTAX) {
            word->quoted = true;
            if (s->text[s->at] == '\\' && s->at + 1 < s->len)
                (void)buf_append_byte(&b, (uint8_t)s->text[s->at + n++]);
        }
        s->at += n;
    }
    word->to = s->at;
    word->in_quote = s->quote;
    word->text = buf_steal(&b, NULL);
}

static int statement_add_word(struct statement *s, const struct statement_word *word,
                              struct error *e)
{
    if (s->n == STATEMENT_WORDS_MAX) {
        free(word->text);
        return error_set(e, ERR_TOO_LARGE, "a statement has at most %d words", STATEMENT_WORDS_MAX);
    }
    MEM_GROW(s->words, s->cap, s->n + 1);
    s->words[s->n++] = *word;
    return 0;
}

int statement_split(struct statement *s, const char *text, size_t len, bool partial,
                    struct error *e)
{
    *s = (struct statement){0};
    struct statement_scan scan = {.text = text, .len = len};
    int rc = 0;
    scan.at = statement_skip_space(text, len);
    if (!partial && statement_begins_comment(text + scan.at, len - scan.at))
        rc = error_set(e, ERR_INVALID, "a comment, /*, is not closed");
    while (rc == 0 && scan.at < len) {
        size_t n;
        scan.in_word = false;
        enum statement_token token = statement_scan_next(&scan, &n);
        if (token == STATEMENT_TOKEN_SUFFIX) {
            break;
        } else if (token == STATEMENT_TOKEN_BYTE || token == STATEMENT_TOKEN_SYNTAX) {
            struct statement_word word;
            scan.quote = '\0';
            statement_take_word(&scan, &word);
            rc = statement_add_word(s, &word, e);
        } else {
            scan.at += n;
        }
    }
    if (rc == 0 && scan.quote != '\0' && !partial)
        rc = error_set(e, ERR_INVALID, "a %c quote is not closed", scan.quote);
    s->texts = mem_calloc(s->n + 1, sizeof *s->texts);
    for (size_t i = 0; i < s->n; i++)
        s->texts[i] = s->words[i].text;
    return rc;
}

void statement_done(struct statement *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->words[i].text);
    free(s->words);
    free(s->texts);
    *s = (struct statement){0};
}

char *statement_quote(const char *word)
{
    bool is_plain = word[0] != '\0' && word[0] != '#' && strpbrk(word, " \t\r\n;'\"\\") == NULL;
    if (is_plain)
        return mem_strdup(word);
    struct buf b;
    buf_init(&b, 5 * strlen(word) + 3);
    (void)buf_append_byte(&b, '\'');
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            (void)buf_append_str(&b, "'\\''");
        else
            (void)buf_append_byte(&b, (uint8_t)*word);
    }
    (void)buf_append_byte(&b, '\'');
    return buf_steal(&b, NULL);
}
