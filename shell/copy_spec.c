/* Read with the lexer of SQL. */
#include "shell/copy_spec.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/sql_lex.h"
#include "base/str.h"

struct copy_scan {
    const char *text;
    size_t len;
    struct sql_token token; /* that comes next */
    struct error *e;
};

static void copy_advance(struct copy_scan *s)
{
    s->token = sql_lex_next(s->text, s->len, s->token.at + s->token.len);
}

static int copy_wrong(struct copy_scan *s, const char *wanted)
{
    if (s->token.kind == SQL_TOKEN_END)
        return error_set(s->e, ERR_INVALID, "\\copy: %s is missing", wanted);
    return error_set(s->e, ERR_INVALID, "\\copy: %s is wanted at \"%.40s\"", wanted,
                     s->text + s->token.at);
}

/* Text from the parenthesis that comes to the one that closes it, without them. NULL: none closes.
 */
static char *copy_parenthesis(struct copy_scan *s)
{
    size_t depth = 0;
    size_t from = s->token.at + 1;
    for (; s->token.kind != SQL_TOKEN_END; copy_advance(s)) {
        if (sql_token_is_op(s->text, &s->token, "("))
            depth++;
        else if (sql_token_is_op(s->text, &s->token, ")") && --depth == 0)
            break;
    }
    if (s->token.kind == SQL_TOKEN_END)
        return NULL;
    char *inner = mem_strndup(s->text + from, s->token.at - from);
    copy_advance(s);
    return inner;
}

static int copy_take_what(struct copy_scan *s, struct copy_spec *spec)
{
    if (sql_token_is_op(s->text, &s->token, "(")) {
        spec->is_query = true;
        spec->what = copy_parenthesis(s);
        return spec->what != NULL ? 0 : copy_wrong(s, "a )");
    }
    size_t from = s->token.at;
    size_t to = from;
    while (s->token.kind == SQL_TOKEN_WORD || s->token.kind == SQL_TOKEN_QUOTED) {
        to = s->token.at + s->token.len;
        copy_advance(s);
        if (!sql_token_is_op(s->text, &s->token, "."))
            break;
        copy_advance(s);
    }
    if (to == from)
        return copy_wrong(s, "a table, or a query in parentheses");
    spec->what = mem_strndup(s->text + from, to - from);
    if (!sql_token_is_op(s->text, &s->token, "("))
        return 0;
    spec->columns = copy_parenthesis(s);
    return spec->columns != NULL ? 0 : copy_wrong(s, "a )");
}

/* A file without quotes goes up to the next blank. */
static char *copy_bare_word(struct copy_scan *s)
{
    size_t end = s->token.at;
    while (end < s->len && !isspace((unsigned char)s->text[end]))
        end++;
    char *word = mem_strndup(s->text + s->token.at, end - s->token.at);
    s->token = sql_lex_next(s->text, s->len, end);
    return word;
}

static int copy_take_place(struct copy_scan *s, struct copy_spec *spec)
{
    spec->is_from = sql_token_is(s->text, &s->token, "from");
    if (!spec->is_from && !sql_token_is(s->text, &s->token, "to"))
        return copy_wrong(s, "FROM or TO");
    copy_advance(s);
    if (sql_token_is(s->text, &s->token, spec->is_from ? "stdin" : "stdout")) {
        copy_advance(s);
        return 0;
    }
    spec->is_command = sql_token_is(s->text, &s->token, "program");
    if (spec->is_command)
        copy_advance(s);
    bool is_quoted = s->token.kind == SQL_TOKEN_STRING && !s->token.open;
    if (s->token.kind == SQL_TOKEN_END || s->token.open || (spec->is_command && !is_quoted))
        return copy_wrong(s, spec->is_command ? "a command in quotes" : "a file");
    if (is_quoted) {
        spec->place = sql_token_value(s->text, &s->token);
        copy_advance(s);
    } else {
        spec->place = copy_bare_word(s);
    }
    return 0;
}

static bool copy_is_on(const char *value)
{
    return value[0] == '\0' || strcasecmp(value, "true") == 0 || strcasecmp(value, "on") == 0 ||
           strcmp(value, "1") == 0;
}

static bool copy_is_off(const char *value)
{
    return strcasecmp(value, "false") == 0 || strcasecmp(value, "off") == 0 ||
           strcmp(value, "0") == 0;
}

/* "text" is what psql calls tsv. */
static bool copy_find_format(const char *name, enum format *format)
{
    char *small = mem_strdup(strcasecmp(name, "text") == 0 ? "tsv" : name);
    for (char *c = small; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    bool found = format_parse(small, format) == 0;
    free(small);
    return found;
}

static int copy_set_delimiter(struct copy_spec *spec, const char *value, struct error *e)
{
    spec->delimiter = strcmp(value, "\\t") == 0 ? '\t' : value[0];
    if (strlen(value) != 1 && spec->delimiter != '\t')
        return error_set(e, ERR_INVALID, "\\copy: a delimiter is one character");
    return 0;
}

/* One option; `value` is "" for none. */
static int copy_set_option(struct copy_spec *spec, const char *name, const char *value,
                           struct error *e)
{
    if (strcasecmp(name, "header") == 0) {
        spec->has_header = copy_is_on(value);
        spec->header_given = true;
    } else if (strcasecmp(name, "format") == 0) {
        if (!copy_find_format(value, &spec->format))
            return error_set(e, ERR_INVALID, "\\copy: the format \"%.40s\" is none of %s", value,
                             format_choices);
    } else if (strcasecmp(name, "null") == 0 || strcasecmp(name, "nullstr") == 0) {
        free(spec->null);
        spec->null = mem_strdup(value);
    } else if (strcasecmp(name, "delimiter") == 0 || strcasecmp(name, "delim") == 0 ||
               strcasecmp(name, "sep") == 0) {
        return copy_set_delimiter(spec, value, e);
    } else {
        return error_set(e, ERR_INVALID,
                         "\\copy: there is no option \"%.40s\"; FORMAT, HEADER, DELIMITER and NULL "
                         "are the ones",
                         name);
    }
    return 0;
}

/* Whether the word at the scan is the value of an option of that name: psql also takes
 * CSV HEADER DELIMITER AS ';' without commas. */
static bool copy_has_value(struct copy_scan *s, const char *name)
{
    bool is_header = strcasecmp(name, "header") == 0;
    if (!is_header && sql_token_is(s->text, &s->token, "as"))
        copy_advance(s);
    if (s->token.kind == SQL_TOKEN_END || s->token.kind == SQL_TOKEN_OTHER || s->token.open)
        return false;
    if (!is_header)
        return true;
    char *value = mem_strndup(s->text + s->token.at, s->token.len);
    bool is_switch = copy_is_on(value) || copy_is_off(value);
    free(value);
    return is_switch;
}

static int copy_take_option(struct copy_scan *s, struct copy_spec *spec)
{
    if (s->token.kind != SQL_TOKEN_WORD)
        return copy_wrong(s, "an option");
    char *name = sql_token_value(s->text, &s->token);
    copy_advance(s);
    if (copy_find_format(name, &spec->format)) { /* its name alone */
        free(name);
        return 0;
    }
    bool has_value = copy_has_value(s, name);
    char *value = has_value ? sql_token_value(s->text, &s->token) : mem_strdup("");
    if (has_value)
        copy_advance(s);
    int rc = has_value || strcasecmp(name, "null") != 0
                 ? copy_set_option(spec, name, value, s->e)
                 : copy_wrong(s, "what stands for NULL, in quotes");
    free(name);
    free(value);
    return rc;
}

static int copy_take_options(struct copy_scan *s, struct copy_spec *spec)
{
    int rc = 0;
    if (sql_token_is(s->text, &s->token, "with"))
        copy_advance(s);
    bool is_open = sql_token_is_op(s->text, &s->token, "(");
    if (is_open)
        copy_advance(s);
    while (rc == 0 && s->token.kind == SQL_TOKEN_WORD) {
        rc = copy_take_option(s, spec);
        if (rc == 0 && sql_token_is_op(s->text, &s->token, ","))
            copy_advance(s);
    }
    if (rc == 0 && is_open && !sql_token_is_op(s->text, &s->token, ")"))
        return copy_wrong(s, "a )");
    if (rc == 0 && is_open)
        copy_advance(s);
    return rc;
}

/* By the file's name, unless an option says otherwise. */
static void copy_guess_format(struct copy_spec *spec)
{
    static const char *const names[] = {"tsv", "json", "jsonl", "md"};
    static const enum format formats[] = {FORMAT_TSV, FORMAT_JSON, FORMAT_JSONL, FORMAT_MARKDOWN};
    spec->format = FORMAT_CSV;
    for (size_t i = 0; i < MEM_COUNT(names) && spec->place != NULL && !spec->is_command; i++) {
        const char *dot = strrchr(spec->place, '.');
        if (dot != NULL && strcasecmp(dot + 1, names[i]) == 0)
            spec->format = formats[i];
    }
}

int copy_spec_parse(struct copy_spec *spec, const char *text, struct error *e)
{
    struct copy_scan s = {.text = text, .len = strlen(text), .e = e};
    *spec = (struct copy_spec){.has_header = true};
    while (s.len > 0 && strchr(" \t;", text[s.len - 1]) != NULL)
        s.len--;
    copy_advance(&s);
    int rc = copy_take_what(&s, spec);
    if (rc == 0)
        rc = copy_take_place(&s, spec);
    copy_guess_format(spec);
    if (rc == 0)
        rc = copy_take_options(&s, spec);
    if (rc == 0 && s.token.kind != SQL_TOKEN_END)
        rc = copy_wrong(&s, "the end");
    if (rc == 0 && spec->is_query && spec->is_from)
        rc = error_set(e, ERR_INVALID, "\\copy: FROM needs a table, not a query");
    if (rc == 0 && spec->is_from && spec->format != FORMAT_CSV && spec->format != FORMAT_TSV)
        rc = error_set(e, ERR_INVALID, "\\copy: files that are read are csv or tsv");
    if (rc == 0 && !spec->is_from && spec->delimiter == '\t' && spec->format == FORMAT_CSV)
        spec->format = FORMAT_TSV;
    else if (rc == 0 && !spec->is_from && spec->delimiter != '\0' && spec->delimiter != ',')
        rc = error_set(e, ERR_INVALID, "\\copy: files are written with , or a tab between values");
    return rc;
}

void copy_spec_done(struct copy_spec *spec)
{
    free(spec->what);
    free(spec->columns);
    free(spec->place);
    free(spec->null);
    *spec = (struct copy_spec){0};
}
