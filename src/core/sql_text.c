/* Happy path: a cursor over the tokens; the first words say which statement it is, its own function
 * takes what its grammar allows in order, and whatever is left over at the end is a mistake. The
 * first mistake wins: it fills the error and every later step sees it. */
#include "core/sql_text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/sql_text_internal.h"

const char *sql_kind_name(enum sql_kind kind)
{
    static const char *const names[] = {
        [SQL_QUERY] = "SELECT",
        [SQL_CREATE_TABLE] = "CREATE TABLE",
        [SQL_CREATE_TABLE_AS] = "CREATE TABLE AS",
        [SQL_DROP_TABLE] = "DROP TABLE",
        [SQL_SHOW_TABLES] = "SHOW TABLES",
        [SQL_DESCRIBE] = "DESCRIBE",
        [SQL_DESCRIBE_HISTORY] = "DESCRIBE HISTORY",
        [SQL_INSERT] = "INSERT",
        [SQL_COPY_FROM] = "COPY FROM",
        [SQL_COPY_TO] = "COPY TO",
        [SQL_DELETE] = "DELETE",
        [SQL_UPDATE] = "UPDATE",
        [SQL_OPTIMIZE] = "OPTIMIZE",
        [SQL_VACUUM] = "VACUUM",
        [SQL_ALTER_TABLE] = "ALTER TABLE",
    };
    assert((size_t)kind < MEM_COUNT(names));
    return names[kind];
}

int sql_error_set(struct sql_error *e, int code, size_t at, const char *hint, const char *fmt, ...)
{
    if (e == NULL)
        return code;
    va_list args;
    va_start(args, fmt);
    e->error.code = code;
    vsnprintf(e->error.text, sizeof e->error.text, fmt, args);
    va_end(args);
    snprintf(e->hint, sizeof e->hint, "%s", hint != NULL ? hint : "");
    e->at = at;
    return code;
}

size_t sql_at_shift(size_t at, size_t from, size_t to)
{
    return at == SQL_AT_NONE || at < from ? SQL_AT_NONE : at - from + to;
}

static void sql_drop(struct sql_cursor *c, struct sql_statement *s)
{
    s->kind = SQL_DROP_TABLE;
    if (!sql_peek(c, "table"))
        sql_refuse(c, c->token.at, "only tables can be dropped", "DROP TABLE name");
    sql_expect(c, "table");
    if (sql_accept(c, "if")) {
        sql_expect(c, "exists");
        s->if_exists = true;
    }
    sql_take_table(c, &s->table);
}

static void sql_show(struct sql_cursor *c, struct sql_statement *s)
{
    s->kind = SQL_SHOW_TABLES;
    bool all = sql_accept(c, "all");
    if (!all && !sql_peek(c, "tables") &&
        (c->token.kind == SQL_TOKEN_WORD || c->token.kind == SQL_TOKEN_QUOTED)) {
        s->kind = SQL_DESCRIBE; /* as DuckDB has it */
        sql_take_table(c, &s->table);
        return;
    }
    if (c->code == 0 && !sql_peek(c, "tables"))
        sql_fail(c, "TABLES", "SHOW TABLES lists the tables, DESCRIBE name the columns of one");
    sql_expect(c, "tables");
}

static void sql_describe(struct sql_cursor *c, struct sql_statement *s)
{
    if (sql_begins_query(c) && !sql_peek(c, "table")) {
        s->kind = SQL_QUERY;
        s->query.at = 0;
        s->query.text = mem_strndup(c->text, c->len);
        c->token = (struct sql_token){SQL_TOKEN_END, c->len, 0, false};
        return;
    }
    s->kind = SQL_DESCRIBE;
    struct sql_token second = sql_lex_next(c->text, c->len, c->token.at + c->token.len);
    if (sql_peek(c, "history") &&
        (second.kind == SQL_TOKEN_WORD || second.kind == SQL_TOKEN_QUOTED)) {
        sql_advance(c);
        s->kind = SQL_DESCRIBE_HISTORY;
    } else {
        (void)sql_accept(c, "table");
    }
    sql_take_table(c, &s->table);
}

static const struct sql_refused {
    const char *word;
    int code;
    const char *hint;
} sql_refused[] = {
    {"attach", ERR_FORBIDDEN, "CREATE TABLE t LOCATION 'url' registers a Delta table"},
    {"detach", ERR_FORBIDDEN, "DROP TABLE forgets a table"},
    {"load", ERR_FORBIDDEN, "extensions can't be loaded into executors"},
    {"install", ERR_FORBIDDEN, "extensions can't be loaded into executors"},
    {"force", ERR_FORBIDDEN, "extensions can't be loaded into executors"},
    {"set", ERR_FORBIDDEN, "settings of SQL are in the section sql of the configuration"},
    {"reset", ERR_FORBIDDEN, "settings of SQL are in the section sql of the configuration"},
    {"pragma", ERR_FORBIDDEN, "settings of SQL are in the section sql of the configuration"},
    {"use", ERR_UNSUPPORTED, "write schema.table"},
    {"call", ERR_FORBIDDEN, "SELECT * FROM function(...)"},
    {"export", ERR_UNSUPPORTED, "COPY table TO 'path' for each table"},
    {"import", ERR_UNSUPPORTED, "COPY table FROM 'path' for each table"},
    {"begin", ERR_UNSUPPORTED, "each statement is a transaction of its own"},
    {"start", ERR_UNSUPPORTED, "each statement is a transaction of its own"},
    {"commit", ERR_UNSUPPORTED, "each statement is a transaction of its own"},
    {"rollback", ERR_UNSUPPORTED, "each statement is a transaction of its own"},
    {"abort", ERR_UNSUPPORTED, "each statement is a transaction of its own"},
    {"merge", ERR_UNSUPPORTED, "DELETE, UPDATE and INSERT"},
    {"prepare", ERR_UNSUPPORTED, "send the statement itself"},
    {"execute", ERR_UNSUPPORTED, "send the statement itself"},
    {"deallocate", ERR_UNSUPPORTED, "send the statement itself"},
    {"analyze", ERR_UNSUPPORTED, "statistics are always up to date"},
    {"checkpoint", ERR_UNSUPPORTED, "checkpoints are written by themselves"},
    {"comment", ERR_UNSUPPORTED, "tables have no comments"},
    {"grant", ERR_UNSUPPORTED, "tables have no owners"},
    {"revoke", ERR_UNSUPPORTED, "tables have no owners"},
};

static void sql_unknown(struct sql_cursor *c)
{
    for (size_t i = 0; i < MEM_COUNT(sql_refused); i++) {
        if (sql_peek(c, sql_refused[i].word)) {
            char *word = sql_token_value(c->text, &c->token);
            c->code = sql_error_set(c->e, sql_refused[i].code, c->token.at, sql_refused[i].hint,
                                    "%s isn't possible here", word);
            free(word);
            return;
        }
    }
    sql_fail(c, "a statement",
             "statements begin with SELECT, WITH, FROM, VALUES, CREATE, INSERT, COPY, UPDATE, "
             "DELETE, ...");
}

static void sql_statement(struct sql_cursor *c, struct sql_statement *s)
{
    static const struct {
        const char *word;
        void (*parse)(struct sql_cursor *, struct sql_statement *);
    } rows[] = {
        {"create", sql_text_create},     {"drop", sql_drop},          {"show", sql_show},
        {"describe", sql_describe},      {"desc", sql_describe},      {"insert", sql_text_insert},
        {"copy", sql_text_copy},         {"delete", sql_text_delete}, {"update", sql_text_update},
        {"optimize", sql_text_optimize}, {"vacuum", sql_text_vacuum}, {"alter", sql_text_alter},
        {"truncate", sql_text_truncate},
    };
    if (sql_begins_query(c)) {
        s->kind = SQL_QUERY;
        sql_take_query(c, s);
        return;
    }
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        if (sql_accept(c, rows[i].word)) {
            rows[i].parse(c, s);
            return;
        }
    }
    sql_unknown(c);
}

static void sql_explain(struct sql_cursor *c, struct sql_statement *s)
{
    s->explain = true;
    s->analyze = sql_accept(c, "analyze");
    size_t at = c->token.at;
    sql_statement(c, s);
    if (c->code == 0 && s->kind != SQL_QUERY)
        sql_refuse(c, at, "only queries are explained", "EXPLAIN [ANALYZE] SELECT ...");
}

int sql_parse(const char *text, size_t len, struct sql_statement *out, struct sql_error *e)
{
    if (len > SQL_TEXT_BYTES_MAX)
        return sql_error_set(e, ERR_TOO_LARGE, SQL_AT_NONE, "COPY t FROM 'path' takes large data",
                             "the statement has %zu bytes; the limit is %d", len,
                             SQL_TEXT_BYTES_MAX);
    if (memchr(text, '\0', len) != NULL || !str_is_utf8(text, len))
        return sql_error_set(e, ERR_INVALID, SQL_AT_NONE, NULL, "the statement isn't UTF-8 text");
    struct sql_statement s = {.retain_hours = -1};
    struct sql_cursor c = {.text = text, .len = len, .e = e};
    sql_advance(&c);
    if (sql_peek(&c, "explain")) {
        sql_advance(&c);
        sql_explain(&c, &s);
    } else {
        sql_statement(&c, &s);
    }
    if (c.code == 0 && c.token.kind != SQL_TOKEN_END)
        sql_fail(&c, "the end of the statement", NULL);
    if (c.code < 0) {
        sql_statement_done(&s);
        return c.code;
    }
    *out = s;
    return 0;
}

void sql_statement_done(struct sql_statement *s)
{
    free(s->table.schema);
    free(s->table.name);
    for (size_t i = 0; i < s->columns_n; i++) {
        free(s->columns[i].name);
        free(s->columns[i].type);
    }
    free(s->columns);
    for (size_t i = 0; i < s->names_n; i++)
        free(s->names[i]);
    free(s->names);
    free(s->path);
    free(s->query.text);
    free(s->where.text);
    for (size_t i = 0; i < s->sets_n; i++) {
        free(s->sets[i].column);
        free(s->sets[i].value.text);
    }
    free(s->sets);
    for (size_t i = 0; i < s->options_n; i++) {
        free(s->options[i].name);
        free(s->options[i].value);
    }
    free(s->options);
    *s = (struct sql_statement){0};
}
