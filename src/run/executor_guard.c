#include "run/executor_guard.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "run/executor_error.h"

enum { EXECUTOR_GUARD_NAME_MAX = 64 };

enum executor_guard_token {
    EXECUTOR_GUARD_END,
    EXECUTOR_GUARD_NAME, /* a word or a quoted name; `name` holds it, cut */
    EXECUTOR_GUARD_OTHER,
};

struct executor_guard {
    const char *sql;
    const char *at;    /* behind the token */
    const char *start; /* of the token */
    bool is_quoted;
    char name[EXECUTOR_GUARD_NAME_MAX];
};

static const char *const executor_guard_beginnings[] = {
    "select", "with",      "from",  "values",  "table",       "describe",     "desc",
    "show",   "summarize", "pivot", "unpivot", "pivot_wider", "pivot_longer",
};

static const char *const executor_guard_functions[] = {
    "arrow_scan",
    "arrow_scan_dumb",
    "checkpoint",
    "disable_logging",
    "enable_logging",
    "force_checkpoint",
    "json_execute_serialized_sql",
    "query",
    "truncate_duckdb_logs",
    "write_log",
};

static bool executor_guard_is_in(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(name, list[i]) == 0)
            return true;
    return false;
}

static const char *executor_guard_skip_comment(const char *s)
{
    if (s[0] == '-')
        return s + strcspn(s, "\r\n");
    unsigned depth = 0;
    do {
        if (s[0] == '/' && s[1] == '*') {
            depth++;
            s += 2;
        } else if (s[0] == '*' && s[1] == '/') {
            depth--;
            s += 2;
        } else if (*s != '\0') {
            s++;
        }
    } while (depth > 0 && *s != '\0');
    return s;
}

static const char *executor_guard_skip_space(const char *s)
{
    for (;;) {
        if (isspace((unsigned char)*s))
            s++;
        else if ((s[0] == '-' && s[1] == '-') || (s[0] == '/' && s[1] == '*'))
            s = executor_guard_skip_comment(s);
        else
            return s;
    }
}

/* `s` is at the opening quote; returns what is behind the closing one, or the end. */
static const char *executor_guard_skip_quoted(const char *s, bool has_escapes)
{
    char quote = *s++;
    for (; *s != '\0'; s++) {
        if (has_escapes && *s == '\\' && s[1] != '\0') {
            s++;
        } else if (*s == quote) {
            if (s[1] != quote)
                return s + 1;
            s++;
        }
    }
    return s;
}

static bool executor_guard_is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* $tag$ ... $tag$; NULL: it is none. */
static const char *executor_guard_skip_dollar(const char *s)
{
    const char *end = s + 1;
    if (isdigit((unsigned char)*end))
        return NULL;
    while (executor_guard_is_word(*end))
        end++;
    if (*end != '$')
        return NULL;
    size_t tag_len = (size_t)(end + 1 - s);
    char *tag = mem_strndup(s, tag_len);
    const char *close = strstr(end + 1, tag);
    free(tag);
    return close != NULL ? close + tag_len : s + strlen(s);
}

static void executor_guard_keep(struct executor_guard *g, const char *from, const char *to)
{
    size_t n = 0;
    for (; from < to && n + 1 < sizeof g->name; from++) {
        if (g->is_quoted && *from == '"')
            from++;
        g->name[n++] = *from;
    }
    g->name[n] = '\0';
}

static enum executor_guard_token executor_guard_word(struct executor_guard *g)
{
    const char *s = g->start;
    while (executor_guard_is_word(*s) || *s == '$')
        s++;
    g->is_quoted = false;
    if (*s == '\'' && s == g->start + 1 && strchr("eExXbB", *g->start) != NULL) {
        g->at = executor_guard_skip_quoted(s, strchr("eE", *g->start) != NULL);
        return EXECUTOR_GUARD_OTHER;
    }
    executor_guard_keep(g, g->start, s);
    g->at = s;
    return EXECUTOR_GUARD_NAME;
}

static enum executor_guard_token executor_guard_next(struct executor_guard *g)
{
    const char *s = executor_guard_skip_space(g->at);
    g->start = s;
    g->at = s;
    if (*s == '\0')
        return EXECUTOR_GUARD_END;
    if (isalpha((unsigned char)*s) || *s == '_' || (unsigned char)*s >= 0x80)
        return executor_guard_word(g);
    if (*s == '"') {
        g->at = executor_guard_skip_quoted(s, false);
        g->is_quoted = true;
        executor_guard_keep(g, s + 1, g->at > s + 1 ? g->at - 1 : g->at);
        return EXECUTOR_GUARD_NAME;
    }
    if (*s == '\'')
        g->at = executor_guard_skip_quoted(s, false);
    else if (*s == '$' && executor_guard_skip_dollar(s) != NULL)
        g->at = executor_guard_skip_dollar(s);
    else
        g->at = s + 1;
    return EXECUTOR_GUARD_OTHER;
}

static Wire__SqlError *executor_guard_error(const struct executor_guard *g, int code,
                                            const char *kind, const char *text, const char *hint)
{
    Wire__SqlError *error = executor_error_new(code, kind, "%s", text);
    error->position = (uint32_t)(g->start - g->sql) + 1;
    executor_error_hint(error, "%s", hint);
    return error;
}

static Wire__SqlError *executor_guard_function(const struct executor_guard *g)
{
    char text[EXECUTOR_GUARD_NAME_MAX + 64];
    (void)snprintf(text, sizeof text, "the function %s is not allowed", g->name);
    return executor_guard_error(g, ERR_FORBIDDEN, "permission", text,
                                "it reaches around the limits of a query");
}

static Wire__SqlError *executor_guard_begin(struct executor_guard *g)
{
    enum executor_guard_token token = executor_guard_next(g);
    if (token == EXECUTOR_GUARD_END)
        return executor_guard_error(g, ERR_INVALID, "syntax", "the statement is empty",
                                    "write a SELECT");
    if (token == EXECUTOR_GUARD_OTHER && *g->start == '(')
        return NULL;
    if (token == EXECUTOR_GUARD_NAME && !g->is_quoted &&
        executor_guard_is_in(g->name, executor_guard_beginnings,
                             MEM_COUNT(executor_guard_beginnings)))
        return NULL;
    return executor_guard_error(g, ERR_FORBIDDEN, "permission", "this is no SELECT",
                                "an executor runs SELECT, FROM, VALUES, DESCRIBE, SUMMARIZE, "
                                "PIVOT and nothing that changes something");
}

/* '/path' as a path, malloc'ed; NULL when the token is no such text. */
static char *executor_guard_path(const struct executor_guard *g)
{
    static const char scheme[] = "file:";
    if (*g->start != '\'' || g->at < g->start + 2 || g->at[-1] != '\'')
        return NULL;
    char *path = mem_strndup(g->start + 1, (size_t)(g->at - g->start) - 2);
    const char *at = path;
    char *to = path;
    if (strncmp(at, scheme, strlen(scheme)) == 0)
        at += strlen(scheme);
    bool is_path = *at == '/';
    for (; *at != '\0'; at++) {
        at += at[0] == '\'' && at[1] == '\'';
        *to++ = *at;
    }
    *to = '\0';
    if (is_path)
        return path;
    free(path);
    return NULL;
}

/* read_csv, sniff_csv, parquet_metadata, ...: functions that open what they are given. */
static bool executor_guard_is_reader(const char *name)
{
    static const char *const beginnings[] = {"read_", "sniff_", "parquet_"};
    for (size_t i = 0; i < MEM_COUNT(beginnings); i++)
        if (strncasecmp(name, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

static Wire__SqlError *executor_guard_file(const struct executor_guard *g,
                                           const struct executor_engine *engine)
{
    char *path = executor_guard_path(g);
    Wire__SqlError *error = NULL;
    struct stat st;
    if (path != NULL && executor_engine_allows(engine, path) && stat(path, &st) == 0 &&
        !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        error = executor_guard_error(g, ERR_INVALID, "file", "",
                                     "name a file, or several by a pattern: '/folder/*.csv'");
        executor_error_say(error, "%s is a device, pipe or socket, not a file", path);
    }
    free(path);
    return error;
}

Wire__SqlError *executor_guard_files(const struct executor_engine *engine, const char *sql)
{
    struct executor_guard g = {.sql = sql, .at = sql};
    Wire__SqlError *error = NULL;
    size_t depth = 0, reader = SIZE_MAX; /* parentheses around it */
    enum executor_guard_token token;
    while (error == NULL && (token = executor_guard_next(&g)) != EXECUTOR_GUARD_END) {
        if (token == EXECUTOR_GUARD_NAME && reader == SIZE_MAX &&
            *executor_guard_skip_space(g.at) == '(' && executor_guard_is_reader(g.name))
            reader = depth;
        else if (token == EXECUTOR_GUARD_OTHER && *g.start == '(')
            depth++;
        else if (token == EXECUTOR_GUARD_OTHER && *g.start == ')' && depth > 0 && --depth == reader)
            reader = SIZE_MAX;
        else if (token == EXECUTOR_GUARD_OTHER && reader < depth)
            error = executor_guard_file(&g, engine);
    }
    return error;
}

Wire__SqlError *executor_guard_check(const char *sql, size_t *len)
{
    struct executor_guard g = {.sql = sql, .at = sql};
    Wire__SqlError *error = executor_guard_begin(&g);
    bool has_ended = false;
    while (error == NULL) {
        enum executor_guard_token token = executor_guard_next(&g);
        if (!has_ended)
            *len = (size_t)(g.start - sql);
        if (token == EXECUTOR_GUARD_END)
            break;
        bool is_end = token == EXECUTOR_GUARD_OTHER && *g.start == ';';
        if (has_ended && !is_end)
            error = executor_guard_error(&g, ERR_INVALID, "syntax",
                                         "there is more than one statement", "send one at a time");
        has_ended = has_ended || is_end;
        if (error == NULL && token == EXECUTOR_GUARD_NAME &&
            *executor_guard_skip_space(g.at) == '(' &&
            executor_guard_is_in(g.name, executor_guard_functions,
                                 MEM_COUNT(executor_guard_functions)))
            error = executor_guard_function(&g);
    }
    return error;
}
