/* Statements that change what is in tables, and COPY, as text. */
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/sql_text_internal.h"

void sql_text_insert(struct sql_cursor *c, struct sql_statement *s)
{
    s->kind = SQL_INSERT;
    if (sql_peek(c, "or"))
        sql_refuse(c, c->token.at, "tables have no keys, so nothing to replace or ignore",
                   "INSERT INTO, or UPDATE, or DELETE and INSERT");
    sql_expect(c, "into");
    sql_take_table(c, &s->table);
    /* A bracket opens the columns unless a query stands in it. */
    struct sql_token next = sql_lex_next(c->text, c->len, c->token.at + c->token.len);
    bool query = sql_token_is(c->text, &next, "select") || sql_token_is(c->text, &next, "with") ||
                 sql_token_is(c->text, &next, "values") || sql_token_is(c->text, &next, "from") ||
                 sql_token_is_op(c->text, &next, "(");
    if (!query && sql_accept_op(c, "("))
        sql_take_names(c, s);
    if (sql_accept(c, "by")) {
        if (!sql_accept(c, "position")) {
            sql_expect(c, "name");
            s->by_name = true;
        }
    }
    if (sql_peek(c, "default"))
        sql_refuse(c, c->token.at, "columns have no defaults", "INSERT INTO t VALUES (...)");
    if (c->code == 0 && c->token.kind != SQL_TOKEN_END && !sql_begins_query(c))
        sql_fail(c, "VALUES or a query", NULL);
    sql_take_query(c, s);
}

static void sql_option(struct sql_cursor *c, struct sql_statement *s, size_t *cap)
{
    struct sql_option option = {.at = c->token.at};
    option.name = sql_take_name(c, "the name of an option");
    if (option.name == NULL)
        return;
    for (char *p = option.name; *p != '\0'; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    (void)sql_accept_op(c, "=");
    if (c->token.kind == SQL_TOKEN_STRING && !c->token.open) {
        option.value = sql_token_value(c->text, &c->token);
        sql_advance(c);
    } else {
        option.value = sql_take_piece(c, ",)", NULL).text;
    }
    MEM_GROW(s->options, *cap, s->options_n + 1);
    s->options[s->options_n++] = option;
    if (s->options_n > 100 && c->code == 0)
        c->code = sql_error_set(c->e, ERR_TOO_LARGE, option.at, NULL, "more than 100 options");
}

static void sql_options(struct sql_cursor *c, struct sql_statement *s)
{
    (void)sql_accept(c, "with");
    if (!sql_accept_op(c, "("))
        return;
    size_t cap = 0;
    do
        sql_option(c, s, &cap);
    while (c->code == 0 && sql_accept_op(c, ","));
    sql_expect_op(c, ")");
}

void sql_text_copy(struct sql_cursor *c, struct sql_statement *s)
{
    if (sql_accept_op(c, "(")) {
        s->query = sql_take_expression(c, ")", NULL, "a query");
        sql_expect_op(c, ")");
        sql_expect(c, "to");
        s->kind = SQL_COPY_TO;
    } else {
        sql_take_table(c, &s->table);
        if (sql_accept_op(c, "("))
            sql_take_names(c, s);
        s->kind = sql_peek(c, "to") ? SQL_COPY_TO : SQL_COPY_FROM;
        if (c->code == 0 && !sql_accept(c, "to") && !sql_accept(c, "from"))
            sql_fail(c, "FROM or TO", NULL);
    }
    if (sql_peek(c, "stdin") || sql_peek(c, "stdout"))
        sql_refuse(c, c->token.at, "COPY works on files that the nodes can read",
                   "clustersh -o csv -c 'SELECT ...' > FILE for a file of yours");
    s->path = sql_take_string(c, "the path of a file");
    sql_options(c, s);
}

static const char *const sql_where[] = {"where", "returning", "using", NULL};

static void sql_take_where(struct sql_cursor *c, struct sql_statement *s)
{
    if (sql_accept(c, "where"))
        s->where = sql_take_expression(c, "", sql_where, "a condition");
    if (sql_peek(c, "returning") || sql_peek(c, "using"))
        sql_refuse(c, c->token.at, "RETURNING and USING don't work here",
                   "a subquery in WHERE can look into other tables");
}

void sql_text_delete(struct sql_cursor *c, struct sql_statement *s)
{
    s->kind = SQL_DELETE;
    sql_expect(c, "from");
    sql_take_table(c, &s->table);
    sql_take_where(c, s);
}

void sql_text_truncate(struct sql_cursor *c, struct sql_statement *s)
{
    s->kind = SQL_DELETE;
    (void)sql_accept(c, "table");
    sql_take_table(c, &s->table);
}

void sql_text_update(struct sql_cursor *c, struct sql_statement *s)
{
    static const char *const ends[] = {"where", "from", "returning", NULL};
    s->kind = SQL_UPDATE;
    sql_take_table(c, &s->table);
    sql_expect(c, "set");
    size_t cap = 0;
    do {
        struct sql_assignment set = {0};
        set.column = sql_take_name(c, "the name of a column");
        sql_expect_op(c, "=");
        set.value = sql_take_expression(c, ",", ends, "a value");
        for (size_t i = 0; i < s->sets_n && c->code == 0; i++) {
            if (strcasecmp(s->sets[i].column, set.column) == 0)
                c->code = sql_error_set(c->e, ERR_INVALID, set.value.at, NULL,
                                        "column \"%s\" is set twice", set.column);
        }
        MEM_GROW(s->sets, cap, s->sets_n + 1);
        s->sets[s->sets_n++] = set;
    } while (c->code == 0 && s->sets_n < SQL_COLUMNS_MAX && sql_accept_op(c, ","));
    if (sql_peek(c, "from"))
        sql_refuse(c, c->token.at, "UPDATE ... FROM doesn't work here",
                   "a subquery can look into other tables: SET c = (SELECT ...)");
    sql_take_where(c, s);
}

void sql_text_optimize(struct sql_cursor *c, struct sql_statement *s)
{
    s->kind = SQL_OPTIMIZE;
    (void)sql_accept(c, "table");
    sql_take_table(c, &s->table);
    sql_take_where(c, s);
}

void sql_text_vacuum(struct sql_cursor *c, struct sql_statement *s)
{
    s->kind = SQL_VACUUM;
    sql_take_table(c, &s->table);
    if (sql_accept(c, "retain")) {
        char *hours = sql_token_value(c->text, &c->token);
        if (c->code == 0 && (c->token.kind != SQL_TOKEN_NUMBER ||
                             str_parse_i64(hours, 0, 24 * 366 * 100, &s->retain_hours) < 0))
            sql_fail(c, "a whole number of hours", "VACUUM t RETAIN 168 HOURS");
        free(hours);
        sql_advance(c);
        if (!sql_accept(c, "hour"))
            sql_expect(c, "hours");
    }
    if (sql_accept(c, "dry")) {
        sql_expect(c, "run");
        s->dry_run = true;
    }
}
