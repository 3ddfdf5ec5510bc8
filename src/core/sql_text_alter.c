/* ALTER TABLE as text: what a Delta table can become without its files being written anew. For the
 * rest the hints say how to write it anew. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "core/sql_text_internal.h"

static void sql_alter_refuse(struct sql_cursor *c, const struct sql_statement *s, const char *what,
                             const char *list)
{
    char hint[256];
    (void)snprintf(hint, sizeof hint, "CREATE OR REPLACE TABLE %.60s AS SELECT %s FROM %.60s",
                   s->table.name != NULL ? s->table.name : "t", list,
                   s->table.name != NULL ? s->table.name : "t");
    sql_refuse(c, c->token.at, what, hint);
}

/* ADD [COLUMN] [IF NOT EXISTS] name TYPE */
static void sql_alter_add(struct sql_cursor *c, struct sql_statement *s)
{
    size_t cap = 0;
    (void)sql_accept(c, "column");
    if (sql_accept(c, "if")) {
        sql_expect(c, "not");
        sql_expect(c, "exists");
        s->if_not_exists = true;
    }
    size_t at = c->token.at;
    sql_text_column(c, s, &cap);
    if (c->code == 0 && s->columns[0].not_null)
        sql_refuse(c, at, "a column that is added is NULL in the rows that are there",
                   "leave NOT NULL out");
    if (c->code == 0 && sql_accept_op(c, ","))
        sql_refuse(c, c->token.at, "one column is added at a time", "ALTER TABLE once for each");
}

/* ALTER [COLUMN] name DROP NOT NULL */
static void sql_alter_column(struct sql_cursor *c, struct sql_statement *s)
{
    (void)sql_accept(c, "column");
    s->names = mem_calloc(1, sizeof *s->names);
    s->names[s->names_n++] = sql_take_name(c, "the name of a column");
    if (sql_accept(c, "drop")) {
        if (sql_peek(c, "default"))
            sql_refuse(c, c->token.at, "columns have no defaults", "DROP NOT NULL is possible");
        sql_expect(c, "not");
        sql_expect(c, "null");
        return;
    }
    struct sql_token next = sql_lex_next(c->text, c->len, c->token.at + c->token.len);
    if (sql_peek(c, "type") || (sql_peek(c, "set") && sql_token_is(c->text, &next, "data")))
        sql_alter_refuse(c, s, "the type of a column stays", "* REPLACE (CAST(c AS TYPE) AS c)");
    else if (sql_peek(c, "set"))
        sql_refuse(c, c->token.at, "columns get no defaults and no NOT NULL later",
                   "CREATE TABLE with NOT NULL, then INSERT");
    else
        sql_fail(c, "DROP NOT NULL", NULL);
}

void sql_text_alter(struct sql_cursor *c, struct sql_statement *s)
{
    s->kind = SQL_ALTER_TABLE;
    if (!sql_peek(c, "table"))
        sql_refuse(c, c->token.at, "only tables can be altered", "ALTER TABLE name ADD COLUMN ...");
    sql_expect(c, "table");
    if (sql_accept(c, "if")) {
        sql_expect(c, "exists");
        s->if_exists = true;
    }
    sql_take_table(c, &s->table);
    struct sql_token next = sql_lex_next(c->text, c->len, c->token.at + c->token.len);
    if (sql_peek(c, "add") &&
        (sql_token_is(c->text, &next, "constraint") || sql_token_is(c->text, &next, "primary")))
        sql_refuse(c, next.at, "tables have no keys and no checks",
                   "NOT NULL is the only constraint");
    else if (sql_accept(c, "add"))
        sql_alter_add(c, s);
    else if (sql_accept(c, "alter"))
        sql_alter_column(c, s);
    else if (sql_peek(c, "rename") && sql_token_is(c->text, &next, "to"))
        sql_refuse(c, c->token.at, "tables keep their names",
                   "CREATE TABLE new AS FROM old, then DROP TABLE old");
    else if (sql_peek(c, "rename"))
        sql_alter_refuse(c, s, "columns keep their names", "* RENAME (old AS new)");
    else if (sql_peek(c, "drop"))
        sql_alter_refuse(c, s, "columns are not dropped in place", "* EXCLUDE (c)");
    else
        sql_fail(c, "ADD COLUMN name TYPE, or ALTER COLUMN name DROP NOT NULL", NULL);
}
