/* Happy path: a cursor over the tokens; the first words say which statement it is, its own function
 * takes what its grammar allows in order, and whatever is left over at the end is a mistake. The
 * first mistake wins: it fills the error and every later step sees it. */
#include "core/sql_text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/sql_cursor.h"

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

/* The statements. */

static const char *const sql_column_ends[] = {"not",     "null",  "default",    "primary",
                                              "unique",  "check", "references", "generated",
                                              "collate", "as",    NULL};

static void sql_column(struct sql_cursor *c, struct sql_statement *s, size_t *cap)
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

static void sql_create(struct sql_cursor *c, struct sql_statement *s)
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
            sql_column(c, s, &cap);
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

static void sql_insert(struct sql_cursor *c, struct sql_statement *s)
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

static void sql_copy(struct sql_cursor *c, struct sql_statement *s)
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

static void sql_delete(struct sql_cursor *c, struct sql_statement *s)
{
    s->kind = SQL_DELETE;
    sql_expect(c, "from");
    sql_take_table(c, &s->table);
    sql_take_where(c, s);
}

static void sql_update(struct sql_cursor *c, struct sql_statement *s)
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

static void sql_optimize(struct sql_cursor *c, struct sql_statement *s)
{
    s->kind = SQL_OPTIMIZE;
    (void)sql_accept(c, "table");
    sql_take_table(c, &s->table);
    sql_take_where(c, s);
}

static void sql_vacuum(struct sql_cursor *c, struct sql_statement *s)
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
    {"alter", ERR_UNSUPPORTED, "CREATE OR REPLACE TABLE t AS SELECT ... FROM t changes its form"},
    {"truncate", ERR_UNSUPPORTED, "DELETE FROM table"},
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
        {"create", sql_create},     {"drop", sql_drop},     {"show", sql_show},
        {"describe", sql_describe}, {"desc", sql_describe}, {"insert", sql_insert},
        {"copy", sql_copy},         {"delete", sql_delete}, {"update", sql_update},
        {"optimize", sql_optimize}, {"vacuum", sql_vacuum},
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
