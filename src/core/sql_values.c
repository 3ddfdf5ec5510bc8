/* VALUES with nothing but literals: what INSERT of a few rows mostly is. Such a text reads no table
 * and has as many columns as it shows, so that nobody needs to be asked about it. */
#include "base/sql_lex.h"
#include "core/sql_text.h"

struct sql_values {
    const char *text;
    size_t len;
    struct sql_token token;
};

static void sql_values_next(struct sql_values *v)
{
    v->token = sql_lex_next(v->text, v->len, v->token.at + v->token.len);
}

static bool sql_values_op(struct sql_values *v, const char *op)
{
    if (v->token.kind != SQL_TOKEN_OTHER || !sql_token_is_op(v->text, &v->token, op))
        return false;
    sql_values_next(v);
    return true;
}

static bool sql_values_kind(struct sql_values *v, enum sql_token_kind kind)
{
    if (v->token.kind != kind || v->token.open)
        return false;
    sql_values_next(v);
    return true;
}

/* A number with its sign, a string, null, true, false, DATE 'text', TIMESTAMP 'text'. */
static bool sql_values_literal(struct sql_values *v)
{
    static const char *const words[] = {"null", "true", "false"};
    static const char *const types[] = {"date", "timestamp", "time"};
    if (sql_values_op(v, "-") || sql_values_op(v, "+"))
        return sql_values_kind(v, SQL_TOKEN_NUMBER);
    if (sql_values_kind(v, SQL_TOKEN_NUMBER) || sql_values_kind(v, SQL_TOKEN_STRING))
        return true;
    for (size_t i = 0; i < 3 && v->token.kind == SQL_TOKEN_WORD; i++) {
        bool is_type = sql_token_is(v->text, &v->token, types[i]);
        if (!is_type && !sql_token_is(v->text, &v->token, words[i]))
            continue;
        sql_values_next(v);
        return !is_type || sql_values_kind(v, SQL_TOKEN_STRING);
    }
    return false;
}

size_t sql_values_columns(const char *text, size_t len)
{
    struct sql_values v = {text, len, sql_lex_next(text, len, 0)};
    size_t columns = 0;
    if (v.token.kind != SQL_TOKEN_WORD || !sql_token_is(text, &v.token, "values"))
        return 0;
    sql_values_next(&v);
    do {
        size_t n = 0;
        if (!sql_values_op(&v, "("))
            return 0;
        do {
            if (!sql_values_literal(&v))
                return 0;
            n++;
        } while (sql_values_op(&v, ","));
        if (!sql_values_op(&v, ")") || (columns > 0 && n != columns))
            return 0;
        columns = n;
    } while (sql_values_op(&v, ","));
    return v.token.kind == SQL_TOKEN_END && !v.token.open ? columns : 0;
}
