#include "client/client_replay_statement.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/sql_lex.h"
#include "wire/cluster_rows.h"

static bool client_replay_statement_is_name(const struct sql_token *token)
{
    return (token->kind == SQL_TOKEN_WORD || token->kind == SQL_TOKEN_QUOTED) && !token->open;
}

/* "cluster.NAME" at `at`: its NAME, malloc'ed, and where the text goes on; or NULL. */
static char *client_replay_statement_table(const char *text, size_t len, size_t at, size_t *end)
{
    struct sql_token schema = sql_lex_next(text, len, at);
    if (!client_replay_statement_is_name(&schema))
        return NULL;
    struct sql_token dot = sql_lex_next(text, len, schema.at + schema.len);
    struct sql_token name = sql_lex_next(text, len, dot.at + dot.len);
    char *value = sql_token_value(text, &schema);
    bool is_ours = strcasecmp(value, CLUSTER_SCHEMA) == 0 && sql_token_is_op(text, &dot, ".") &&
                   client_replay_statement_is_name(&name);
    free(value);
    *end = name.at + name.len;
    return is_ours ? sql_token_value(text, &name) : NULL;
}

static bool client_replay_statement_lacks(const char *name)
{
#define NAME(table, columns) #table,
    static const char *const names[] = {CLUSTER_TABLES(NAME)};
#undef NAME
    for (size_t i = 0; i < MEM_COUNT(names); i++)
        if (strcasecmp(names[i], name) == 0)
            return client_replay_table(name) == NULL;
    return false;
}

/* Marks the tables that the statement names. */
static void client_replay_statement_find(const char *text, size_t len,
                                         struct client_replay_statement *statement)
{
    size_t end;
    for (size_t at = statement->query; statement->lacks == NULL;) {
        struct sql_token token = sql_lex_next(text, len, at);
        if (token.kind == SQL_TOKEN_END)
            return;
        at = token.at + token.len;
        char *name = client_replay_statement_table(text, len, token.at, &end);
        const struct client_replay_table *table = name != NULL ? client_replay_table(name) : NULL;
        if (table != NULL)
            statement->wants[table - client_replay_tables] = true;
        if (name != NULL && client_replay_statement_lacks(name)) {
            statement->kind = CLIENT_REPLAY_STATEMENT_LACKS;
            statement->at = token.at;
            statement->lacks = mem_printf(CLUSTER_SCHEMA ".%s", name);
        }
        free(name);
    }
}

static bool client_replay_statement_is_query(const char *text, const struct sql_token *first)
{
    static const char *const words[] = {"select", "from",     "values", "with",
                                        "table",  "describe", "desc",   "summarize",
                                        "pivot",  "unpivot",  "show"};
    for (size_t i = 0; i < MEM_COUNT(words); i++)
        if (sql_token_is(text, first, words[i]))
            return true;
    return sql_token_is_op(text, first, "(");
}

/* SHOW TABLES, and DESCRIBE of a table that is there. */
static void client_replay_statement_look(const char *text, size_t len,
                                         const struct sql_token *first,
                                         struct client_replay_statement *statement)
{
    size_t end = 0;
    struct sql_token second = sql_lex_next(text, len, first->at + first->len);
    if (!sql_token_is(text, first, "describe") && !sql_token_is(text, first, "desc") &&
        !sql_token_is(text, first, "show"))
        return;
    char *name = client_replay_statement_table(text, len, second.at, &end);
    struct sql_token rest = sql_lex_next(text, len, name != NULL ? end : second.at + second.len);
    bool is_all = rest.kind == SQL_TOKEN_END || sql_token_is_op(text, &rest, ";");
    statement->table = name != NULL ? client_replay_table(name) : NULL;
    if (is_all && sql_token_is(text, &second, "tables"))
        statement->kind = CLIENT_REPLAY_STATEMENT_SHOW;
    else if (is_all && statement->table != NULL)
        statement->kind = CLIENT_REPLAY_STATEMENT_DESCRIBE;
    free(name);
}

void client_replay_statement_read(const char *text, struct client_replay_statement *statement)
{
    size_t len = strlen(text);
    struct sql_token first = sql_lex_next(text, len, 0);
    *statement = (struct client_replay_statement){0};
    if (sql_token_is(text, &first, "explain")) {
        statement->explain = WIRE__SQL_EXPLAIN__SQL_EXPLAIN_PLAN;
        statement->query = first.at + first.len;
        first = sql_lex_next(text, len, statement->query);
    }
    if (statement->query > 0 && sql_token_is(text, &first, "analyze")) {
        statement->explain = WIRE__SQL_EXPLAIN__SQL_EXPLAIN_ANALYZE;
        statement->query = first.at + first.len;
        first = sql_lex_next(text, len, statement->query);
    }
    if (first.kind == SQL_TOKEN_END)
        return;
    statement->at = first.at;
    statement->kind = client_replay_statement_is_query(text, &first)
                          ? CLIENT_REPLAY_STATEMENT_QUERY
                          : CLIENT_REPLAY_STATEMENT_CHANGE;
    if (statement->kind != CLIENT_REPLAY_STATEMENT_QUERY)
        return;
    if (statement->query == 0)
        client_replay_statement_look(text, len, &first, statement);
    if (statement->kind == CLIENT_REPLAY_STATEMENT_QUERY)
        client_replay_statement_find(text, len, statement);
}

void client_replay_statement_done(struct client_replay_statement *statement)
{
    free(statement->lacks);
}
