/* The words in front of the cursor's word tell whether a table or something of an expression comes.
 */
#include "shell/complete_sql.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/sql_lex.h"
#include "base/str.h"
#include "shell/sql_words.h"

enum { COMPLETE_SQL_TABLES_MAX = 8 };

/* Words that a table follows. */
static const char *const complete_sql_before_table[] = {
    "from",   "join",     "into",   "table",   "describe", "desc",
    "update", "optimize", "vacuum", "history", "copy",     "summarize",
};

/* Words that end a list of tables. */
static const char *const complete_sql_after_from[] = {
    "where", "group",   "order",  "on",    "using",  "having",    "limit",  "select",
    "set",   "qualify", "window", "union", "except", "intersect", "values",
};

static bool complete_sql_in(const char *text, const struct sql_token *token,
                            const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (sql_token_is(text, token, words[i]))
            return true;
    return false;
}

static bool complete_sql_is_name(const struct sql_token *token)
{
    return token->kind == SQL_TOKEN_WORD || (token->kind == SQL_TOKEN_QUOTED && !token->open);
}

/* Names that follow FROM and the like, "schema.name" in one. */
struct complete_sql_tables {
    char *names[COMPLETE_SQL_TABLES_MAX];
    char *aliases[COMPLETE_SQL_TABLES_MAX]; /* NULL: the name itself */
    size_t n;
};

/* Reads a table at `at`; returns where the text goes on. */
static size_t complete_sql_table(const char *text, size_t len, size_t at,
                                 struct complete_sql_tables *out)
{
    struct sql_token token = sql_lex_next(text, len, at);
    if (!complete_sql_is_name(&token) || out->n == COMPLETE_SQL_TABLES_MAX)
        return at;
    char *name = sql_token_value(text, &token);
    at = token.at + token.len;
    token = sql_lex_next(text, len, at);
    struct sql_token second = sql_lex_next(text, len, token.at + token.len);
    if (sql_token_is_op(text, &token, ".") && complete_sql_is_name(&second)) {
        char *part = sql_token_value(text, &second);
        char *both = mem_printf("%s.%s", name, part);
        free(name);
        free(part);
        name = both;
        at = second.at + second.len;
        token = sql_lex_next(text, len, at);
    }
    if (sql_token_is(text, &token, "as")) {
        at = token.at + token.len;
        token = sql_lex_next(text, len, at);
    }
    bool is_alias =
        complete_sql_is_name(&token) &&
        (token.kind == SQL_TOKEN_QUOTED || !sql_words_is_keyword(text + token.at, token.len));
    out->names[out->n] = name;
    out->aliases[out->n++] = is_alias ? sql_token_value(text, &token) : NULL;
    return is_alias ? token.at + token.len : at;
}

static void complete_sql_find_tables(const char *text, size_t len, struct complete_sql_tables *out)
{
    bool in_from = false;
    size_t at = 0;
    for (;;) {
        struct sql_token token = sql_lex_next(text, len, at);
        if (token.kind == SQL_TOKEN_END)
            break;
        at = token.at + token.len;
        if (complete_sql_in(text, &token, complete_sql_before_table,
                            MEM_COUNT(complete_sql_before_table)))
            in_from = true;
        else if (!in_from || !sql_token_is_op(text, &token, ",")) {
            if (complete_sql_in(text, &token, complete_sql_after_from,
                                MEM_COUNT(complete_sql_after_from)))
                in_from = false;
            continue;
        }
        at = complete_sql_table(text, len, at, out);
    }
}

static void complete_sql_columns(struct complete *complete,
                                 const struct complete_sql_tables *tables, const char *only,
                                 complete_names_fn names, void *arg)
{
    for (size_t i = 0; i < tables->n; i++) {
        const char *called = tables->aliases[i] != NULL ? tables->aliases[i] : tables->names[i];
        if (only != NULL && strcasecmp(only, called) != 0)
            continue;
        complete->of = tables->names[i];
        names(arg, COMPLETE_NAMES_COLUMNS, complete);
    }
    complete->of = NULL;
}

/* In capitals if what is typed is. */
static void complete_sql_add_words(struct complete *complete, const char *const *words, size_t n)
{
    bool capital = isupper((unsigned char)complete->prefix[0]) != 0;
    for (size_t i = 0; i < n; i++) {
        char *word = mem_strdup(words[i]);
        for (char *c = word; capital && *c != '\0'; c++)
            *c = (char)toupper((unsigned char)*c);
        complete_add(complete, word, NULL);
        free(word);
    }
}

/* What the cluster knows, in capitals if what is typed is. Functions come with their parenthesis.
 */
static void complete_sql_add_names(struct complete *complete, enum complete_names kind,
                                   complete_names_fn names, void *arg)
{
    bool capital = isupper((unsigned char)complete->prefix[0]) != 0;
    const char *behind = kind == COMPLETE_NAMES_FUNCTIONS ? "(" : "";
    struct complete found = {.prefix = mem_strdup(complete->prefix)};
    for (char *c = found.prefix; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    bool was_empty = complete->n == 0;
    names(arg, kind, &found);
    for (size_t i = 0; i < found.n; i++) {
        char *text = mem_printf("%s%s", found.items[i].text, behind);
        for (char *c = text; capital && *c != '\0'; c++)
            *c = (char)toupper((unsigned char)*c);
        complete_add(complete, text, found.items[i].about);
        free(text);
    }
    if (was_empty && complete->n == 1 && behind[0] != '\0')
        complete->is_open = true;
    complete_done(&found);
}

/* What the tables of the statement are called. */
static void complete_sql_aliases(struct complete *complete,
                                 const struct complete_sql_tables *tables)
{
    for (size_t i = 0; i < tables->n; i++) {
        const char *called = tables->aliases[i] != NULL ? tables->aliases[i] : tables->names[i];
        if (strcmp(called, complete->prefix) != 0) /* what is typed may look like one */
            complete_add(complete, called, "table");
    }
}

/* Names that WITH gives to queries. */
static void complete_sql_with(struct complete *complete, const char *text, size_t len)
{
    for (size_t at = 0;;) {
        struct sql_token name = sql_lex_next(text, len, at);
        if (name.kind == SQL_TOKEN_END)
            return;
        at = name.at + name.len;
        struct sql_token as = sql_lex_next(text, len, at);
        struct sql_token open = sql_lex_next(text, len, as.at + as.len);
        if (!complete_sql_is_name(&name) || !sql_token_is(text, &as, "as") ||
            !sql_token_is_op(text, &open, "("))
            continue;
        char *word = mem_strndup(text + name.at, name.len);
        complete_add(complete, word, "query");
        free(word);
    }
}

void complete_sql_first_words(struct complete *complete)
{
    static const char *const words[] = {
        "copy",  "create", "delete",   "describe", "drop", "explain",
        "from",  "insert", "optimize", "select",   "show", "summarize",
        "table", "update", "vacuum",   "values",   "with",
    };
    complete_sql_add_words(complete, words, MEM_COUNT(words));
}

/* What is in front of the cursor. */
struct complete_sql_place {
    struct sql_token word;      /* at the cursor; len 0: none */
    struct sql_token before;    /* in front of it, and of its qualifier */
    struct sql_token qualifier; /* "q." in front of it; len 0: none */
    bool in_from;
    bool in_quotes;   /* of a string: nothing is known */
    bool after_colon; /* a variable */
};

static void complete_sql_look(const char *text, size_t len, struct complete_sql_place *place)
{
    struct sql_token last[4] = {{.kind = SQL_TOKEN_END}}; /* newest first */
    size_t at = 0;
    *place = (struct complete_sql_place){.word = {.at = len}};
    for (;;) {
        struct sql_token token = sql_lex_next(text, len, at);
        place->in_quotes = token.open && token.kind != SQL_TOKEN_QUOTED;
        if (token.kind == SQL_TOKEN_END)
            break;
        at = token.at + token.len;
        if (place->in_quotes)
            return;
        if (at == len && (token.kind == SQL_TOKEN_WORD || token.kind == SQL_TOKEN_QUOTED)) {
            place->word = token;
            break;
        }
        if (complete_sql_in(text, &token, complete_sql_before_table,
                            MEM_COUNT(complete_sql_before_table)))
            place->in_from = true;
        else if (complete_sql_in(text, &token, complete_sql_after_from,
                                 MEM_COUNT(complete_sql_after_from)))
            place->in_from = false;
        memmove(last + 1, last, 3 * sizeof *last);
        last[0] = token;
    }
    bool has_dot = last[0].kind == SQL_TOKEN_OTHER && sql_token_is_op(text, &last[0], ".") &&
                   last[0].at + last[0].len == place->word.at && complete_sql_is_name(&last[1]);
    if (has_dot)
        place->qualifier = last[1];
    place->before = last[has_dot ? 2 : 0];
    place->after_colon = sql_token_is_op(text, &last[0], ":") && last[0].at + 1 == place->word.at;
}

void complete_sql(struct complete *complete, const char *text, size_t point, size_t len,
                  complete_names_fn names, void *arg)
{
    struct complete_sql_place place;
    struct complete_sql_tables tables = {.n = 0};
    complete_sql_look(text, point, &place);
    bool is_table = complete_sql_in(text, &place.before, complete_sql_before_table,
                                    MEM_COUNT(complete_sql_before_table)) ||
                    (place.in_from && place.before.kind == SQL_TOKEN_OTHER &&
                     sql_token_is_op(text, &place.before, ","));
    size_t from = is_table && place.qualifier.len > 0 ? place.qualifier.at : place.word.at;
    complete->from = from;
    free(complete->prefix);
    complete->prefix = mem_strndup(text + from, point - from);
    complete->is_sql = true;
    if (place.in_quotes)
        return;
    if (is_table) {
        names(arg, COMPLETE_NAMES_TABLES, complete);
        complete_sql_with(complete, text, len);
        return;
    }
    if (place.after_colon) {
        names(arg, COMPLETE_NAMES_VARIABLES, complete);
        return;
    }
    char *only = place.qualifier.len > 0 ? sql_token_value(text, &place.qualifier) : NULL;
    complete_sql_find_tables(text, len, &tables);
    complete_sql_columns(complete, &tables, only, names, arg);
    if (only == NULL && complete->prefix[0] != '\0') {
        complete_sql_aliases(complete, &tables);
        complete_sql_add_words(complete, sql_words, sql_words_n);
        complete_sql_add_names(complete, COMPLETE_NAMES_KEYWORDS, names, arg);
        complete_sql_add_names(complete, COMPLETE_NAMES_FUNCTIONS, names, arg);
    }
    for (size_t i = 0; i < tables.n; i++) {
        free(tables.names[i]);
        free(tables.aliases[i]);
    }
    free(only);
}
