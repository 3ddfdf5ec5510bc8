/* SQL statements as text: what a statement is, and the parts of those that clusterd runs itself.
 * Queries stay text; DuckDB parses them (core/sql_ast.h reads what comes back).
 *
 * - CREATE [OR REPLACE] TABLE [IF NOT EXISTS] t (c TYPE [NOT NULL], ...) [PARTITIONED BY (c, ...)]
 *   [LOCATION 'url']
 * - CREATE [OR REPLACE] TABLE [IF NOT EXISTS] t [PARTITIONED BY (c, ...)] [LOCATION 'url'] AS query
 * - CREATE TABLE [IF NOT EXISTS] t LOCATION 'url': a Delta table that is there
 * - ALTER TABLE [IF EXISTS] t ADD [COLUMN] [IF NOT EXISTS] c TYPE
 * - ALTER TABLE [IF EXISTS] t ALTER [COLUMN] c DROP NOT NULL
 * - DROP TABLE [IF EXISTS] t; SHOW TABLES; DESCRIBE t; DESCRIBE HISTORY t
 * - INSERT INTO t [(c, ...)] [BY NAME] query; VALUES is a query
 * - COPY t [(c, ...)] FROM 'path' [(option [value], ...)]
 * - COPY t | (query) TO 'path' [(option [value], ...)]
 * - DELETE FROM t [WHERE e]; TRUNCATE [TABLE] t; UPDATE t SET c = e, ... [WHERE e]
 * - OPTIMIZE t [WHERE e]; VACUUM t [RETAIN n HOURS] [DRY RUN]
 * - EXPLAIN [ANALYZE] query; SELECT, WITH, VALUES, FROM, TABLE, PIVOT, UNPIVOT, SUMMARIZE,
 *   DESCRIBE query
 *
 * Everything else of DuckDB is refused by name with what to do instead. */
#ifndef CORE_SQL_TEXT_H
#define CORE_SQL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/sql_lex.h"

enum {
    SQL_TEXT_BYTES_MAX = 16 * 1024 * 1024,
    SQL_COLUMNS_MAX = 4096,
    SQL_NAME_BYTES_MAX = 255,
};

enum sql_kind {
    SQL_QUERY,
    SQL_CREATE_TABLE,
    SQL_CREATE_TABLE_AS,
    SQL_DROP_TABLE,
    SQL_SHOW_TABLES,
    SQL_DESCRIBE, /* of a table; of a query it is SQL_QUERY */
    SQL_DESCRIBE_HISTORY,
    SQL_INSERT,
    SQL_COPY_FROM,
    SQL_COPY_TO,
    SQL_DELETE,
    SQL_UPDATE,
    SQL_OPTIMIZE,
    SQL_VACUUM,
    SQL_ALTER_TABLE, /* columns: one that is added; names: one that may be NULL from now on */
};

/* "SELECT", "CREATE TABLE", ...: the name of the command in answers. */
const char *sql_kind_name(enum sql_kind kind);

/* A position in the statement for a caret, or SQL_AT_NONE. */
#define SQL_AT_NONE SIZE_MAX

struct sql_error {
    struct error error;
    char hint[256]; /* what to do, or "" */
    size_t at;      /* byte in the text that was given, or SQL_AT_NONE */
};

struct sql_name {
    char *schema; /* NULL when not given */
    char *name;
    size_t at;
};

struct sql_column_def {
    char *name;
    char *type; /* DuckDB's text of it, as written */
    bool not_null;
    size_t at;
};

/* A piece of SQL with the place that it was taken from. */
struct sql_piece {
    char *text; /* NULL when absent */
    size_t at;
};

struct sql_assignment {
    char *column;
    struct sql_piece value;
};

struct sql_option {
    char *name;  /* lower case */
    char *value; /* NULL for a bare name; a list in parentheses stays as written */
    size_t at;
};

struct sql_statement {
    enum sql_kind kind;
    bool explain, analyze;
    bool if_exists, if_not_exists, or_replace, by_name, dry_run;
    struct sql_name table; /* name NULL for queries, SHOW TABLES, COPY (query) */
    struct sql_column_def *columns;
    size_t columns_n;
    char **names; /* column list of INSERT and COPY, PARTITIONED BY of CREATE */
    size_t names_n;
    char *path; /* LOCATION, COPY's file */
    struct sql_piece query;
    struct sql_piece where;
    struct sql_assignment *sets;
    size_t sets_n;
    struct sql_option *options;
    size_t options_n;
    int64_t retain_hours; /* -1 when not given */
};

/* Parses one statement (without semicolon; `len` bytes). On failure there is nothing to release and
 * `e` says what is wrong, where and what to do: ERR_INVALID, ERR_UNSUPPORTED, ERR_FORBIDDEN,
 * ERR_TOO_LARGE. Queries are only classified: DuckDB finds what is wrong in them. */
int sql_parse(const char *text, size_t len, struct sql_statement *out, struct sql_error *e);
void sql_statement_done(struct sql_statement *statement);

/* VALUES (expression, ...), ... */
struct sql_values {
    size_t columns, rows;
};

/* Counts them; false: the text isn't that, has something behind it, a subquery, DEFAULT or a
 * parameter in it. What is counted DuckDB gives, or it refuses the text. */
bool sql_values_count(const char *text, size_t len, struct sql_values *out);

/* Sets `e` (NULL allowed) and returns `code`. `hint` may be NULL. */
int sql_error_set(struct sql_error *e, int code, size_t at, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* Brings what DuckDB says about a parsed, composed text back to the statement: a position at or
 * after `from` of the composed text becomes one relative to `to`; before it, SQL_AT_NONE. */
size_t sql_at_shift(size_t at, size_t from, size_t to);

#endif
