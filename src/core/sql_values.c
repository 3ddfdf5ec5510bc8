/* VALUES with nothing in it that reads: what INSERT of a few rows mostly is. Such a text has as
 * many columns and rows as it shows, so that nobody needs to be asked about it. */
#include "base/sql_lex.h"
#include "core/sql_text.h"

struct sql_values_text {
    const char *text;
    size_t len;
    struct sql_token token;
};

static void sql_values_next(struct sql_values_text *v)
{
    v->token = sql_lex_next(v->text, v->len, v->token.at + v->token.len);
}

static bool sql_values_is_op(const struct sql_values_text *v, const char *op)
{
    return v->token.kind == SQL_TOKEN_OTHER && sql_token_is_op(v->text, &v->token, op);
}

static bool sql_values_op(struct sql_values_text *v, const char *op)
{
    if (!sql_values_is_op(v, op))
        return false;
    sql_values_next(v);
    return true;
}

static bool sql_values_is_open(const struct sql_values_text *v)
{
    return sql_values_is_op(v, "(") || sql_values_is_op(v, "[") || sql_values_is_op(v, "{");
}

static bool sql_values_is_close(const struct sql_values_text *v)
{
    return sql_values_is_op(v, ")") || sql_values_is_op(v, "]") || sql_values_is_op(v, "}");
}

/* What a query in parentheses begins with. */
static bool sql_values_begins_query(const struct sql_values_text *v)
{
    static const char *const words[] = {
        "select", "with",    "from",      "values", "table",   "describe",    "desc",        "show",
        "pivot",  "unpivot", "summarize", "call",   "explain", "pivot_wider", "pivot_longer"};
    for (size_t i = 0; v->token.kind == SQL_TOKEN_WORD && i < sizeof words / sizeof *words; i++)
        if (sql_token_is(v->text, &v->token, words[i]))
            return true;
    return false;
}

/* DEFAULT, and parameters that nobody gave a value. */
static bool sql_values_is_bare(const struct sql_values_text *v)
{
    return !v->token.open && !sql_values_is_op(v, "?") && !sql_values_is_op(v, "$") &&
           !(v->token.kind == SQL_TOKEN_WORD && sql_token_is(v->text, &v->token, "default"));
}

/* One expression, up to the comma or parenthesis behind it; false: it isn't one, or reads. */
static bool sql_values_expression(struct sql_values_text *v)
{
    size_t depth = 0;
    size_t begin = v->token.at;
    bool is_first = false; /* behind an opening parenthesis */
    for (;; sql_values_next(v)) {
        if (v->token.kind == SQL_TOKEN_END || !sql_values_is_bare(v) || sql_values_is_op(v, ";"))
            return false;
        if (depth == 0 && (sql_values_is_op(v, ",") || sql_values_is_op(v, ")")))
            return v->token.at > begin;
        if (is_first && sql_values_begins_query(v))
            return false;
        is_first = sql_values_is_op(v, "(");
        if (sql_values_is_open(v))
            depth++;
        else if (sql_values_is_close(v) && depth-- == 0)
            return false;
    }
}

static bool sql_values_row(struct sql_values_text *v, size_t *columns)
{
    size_t n = 0;
    if (!sql_values_op(v, "("))
        return false;
    do {
        if (!sql_values_expression(v))
            return false;
        n++;
    } while (sql_values_op(v, ","));
    if (!sql_values_op(v, ")") || (*columns > 0 && n != *columns))
        return false;
    *columns = n;
    return true;
}

bool sql_values_count(const char *text, size_t len, struct sql_values *out)
{
    struct sql_values_text v = {text, len, sql_lex_next(text, len, 0)};
    struct sql_values values = {0};
    if (v.token.kind != SQL_TOKEN_WORD || !sql_token_is(text, &v.token, "values"))
        return false;
    sql_values_next(&v);
    do {
        if (!sql_values_row(&v, &values.columns))
            return false;
        values.rows++;
    } while (sql_values_op(&v, ","));
    if (v.token.kind != SQL_TOKEN_END || v.token.open)
        return false;
    *out = values;
    return true;
}
