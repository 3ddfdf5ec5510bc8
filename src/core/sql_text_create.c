/* CREATE TABLE as text. */
#include <strings.h>

#include "base/mem.h"
#include "core/sql_text_internal.h"

static const char *const sql_column_ends[] = {"not",     "null",  "default",    "primary",
                                              "unique",  "check", "references", "generated",
                                              "collate", "as",    NULL};

void sql_text_column(struct sql_cursor *c, struct sql_statement *s, size_t *cap)
{
    static const char *const constraints[] = {"primary", "unique", "check", "foreign",
                                              "constraint"};
    for (size_t i = 0; i < MEM_COUNT(constraints); i++) {
        if (sql_peek(c, constraints[i]) && c->code == 0) {
            struct sql_token next = sql_lex_next(c->text, c->len, c->token.at + c->token.len);
            if (sql_token_is(c->text, &next, "key") || sql_token_is_op(c->text, &next, "(") ||
                sql_peek(c, "constraint"))
                sql_refuse(c, c->token.at, "tables have no keys and no checks",
                           "NOT NULL is the only constraint");
        }
    }
    struct sql_column_def column = {.at = c->token.at};
    column.name = sql_take_name(c, "the name of a column");
    struct sql_piece type = sql_take_expression(c, ",)", sql_column_ends, "the type of the column");
    column.type = type.text;
    if (sql_accept(c, "not")) {
        sql_expect(c, "null");
        column.not_null = true;
    } else {
        (void)sql_accept(c, "null");
    }
    for (size_t i = 2; sql_column_ends[i] != NULL; i++) {
        if (sql_peek(c, sql_column_ends[i]))
            sql_refuse(c, c->token.at, "columns have no defaults, keys, checks or expressions",
                       "NOT NULL is the only constraint");
    }
    for (size_t i = 0; i < s->columns_n && c->code == 0; i++) {
        if (strcasecmp(s->columns[i].name, column.name) == 0)
            c->code = sql_error_set(c->e, ERR_INVALID, column.at, NULL,
                                    "column \"%s\" is defined twice", column.name);
    }
    if (c->code == 0 && s->columns_n >= SQL_COLUMNS_MAX)
        c->code = sql_error_set(c->e, ERR_TOO_LARGE, column.at, NULL, "more than %d columns",
                                SQL_COLUMNS_MAX);
    MEM_GROW(s->columns, *cap, s->columns_n + 1);
    s->columns[s->columns_n++] = column;
}

static bool sql_is_column(const struct sql_statement *s, const char *name)
{
    for (size_t i = 0; i < s->columns_n; i++) {
        if (strcasecmp(s->columns[i].name, name) == 0)
            return true;
    }
    return false;
}

static void sql_check_create(struct sql_cursor *c, struct sql_statement *s, size_t partitioned_at)
{
    if (c->code < 0)
        return;
    if (s->columns_n == 0 && s->query.text == NULL && s->path == NULL) {
        sql_fail(c, "a list of columns, AS query, or LOCATION", NULL);
        return;
    }
    if (s->columns_n == 0 && s->query.text == NULL && s->names_n > 0)
        c->code = sql_error_set(c->e, ERR_INVALID, partitioned_at,
                                "a table that is there knows its partition columns",
                                "PARTITIONED BY needs a list of columns or a query");
    for (size_t i = 0; i < s->names_n && s->columns_n > 0 && c->code == 0; i++) {
        if (!sql_is_column(s, s->names[i]))
            c->code = sql_error_set(c->e, ERR_INVALID, partitioned_at, NULL,
                                    "PARTITIONED BY names \"%s\", which is no column of the table",
                                    s->names[i]);
    }
    if (c->code == 0 && s->columns_n > 0 && s->names_n == s->columns_n)
        c->code = sql_error_set(c->e, ERR_INVALID, partitioned_at, NULL,
                                "a table needs at least one column that it isn't partitioned by");
    if (c->code == 0 && s->or_replace && s->if_not_exists)
        c->code = sql_error_set(c->e, ERR_INVALID, s->table.at, "leave one of them out",
                                "OR REPLACE and IF NOT EXISTS exclude each other");
}

void sql_text_create(struct sql_cursor *c, struct sql_statement *s)
{
    if (sql_accept(c, "or")) {
        sql_expect(c, "replace");
        s->or_replace = true;
    }
    static const char *const others[] = {"temp",  "temporary", "view",     "schema",
                                         "index", "macro",     "function", "secret",
                                         "type",  "sequence",  "unique",   "persistent"};
    for (size_t i = 0; i < MEM_COUNT(others); i++) {
        if (sql_peek(c, others[i]))
            sql_refuse(c, c->token.at, "only tables can be created",
                       "CREATE TABLE name (...); WITH name AS (...) for a part of one query");
    }
    sql_expect(c, "table");
    s->kind = SQL_CREATE_TABLE;
    if (sql_accept(c, "if")) {
        sql_expect(c, "not");
        sql_expect(c, "exists");
        s->if_not_exists = true;
    }
    sql_take_table(c, &s->table);
    if (sql_accept_op(c, "(")) {
        size_t cap = 0;
        do
            sql_text_column(c, s, &cap);
        while (c->code == 0 && sql_accept_op(c, ","));
        sql_expect_op(c, ")");
    }
    size_t partitioned_at = SQL_AT_NONE;
    while (c->code == 0) {
        if (s->names_n == 0 && (sql_peek(c, "partitioned") || sql_peek(c, "partition"))) {
            partitioned_at = c->token.at;
            sql_advance(c);
            sql_expect(c, "by");
            sql_expect_op(c, "(");
            sql_take_names(c, s);
        } else if (s->path == NULL && sql_accept(c, "location")) {
            s->path = sql_take_string(c, "the URL of the table");
        } else {
            break;
        }
    }
    if (s->columns_n == 0 && sql_accept(c, "as")) {
        s->kind = SQL_CREATE_TABLE_AS;
        sql_take_query(c, s);
    }
    sql_check_create(c, s, partitioned_at);
}
