/* DuckDB's syntax tree as json_serialize_sql prints it: read, walked, changed, written again.
 *
 * Three kinds of object: query nodes ("type": SELECT_NODE, SET_OPERATION_NODE, ...), table
 * references
 * ("type": BASE_TABLE, JOIN, SUBQUERY, ...) and expressions (they have a "class"). Members whose
 * name begins with '_' are the planner's own marks and are never written. Trees are jansson's. */
#ifndef CORE_SQL_AST_H
#define CORE_SQL_AST_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "core/sql_text.h"

enum { SQL_AST_BYTES_MAX = 64 * 1024 * 1024, SQL_AST_DEPTH_MAX = 512 };

/* Reads what json_serialize_sql returned. 0 and *query = the query node of its only statement (the
 * caller releases it by json_decref). A syntax error of the user comes back as ERR_INVALID with its
 * position; a statement that DuckDB can't serialise (PIVOT without IN) as ERR_UNSUPPORTED; more
 * than one statement as ERR_INVALID; what isn't such a text, or too deep, as ERR_CORRUPT. */
int sql_ast_read(const char *text, size_t len, json_t **query, struct sql_error *e);

/* malloc'ed text for json_execute_serialized_sql. */
char *sql_ast_write(const json_t *query);

/* malloc'ed text that is equal for expressions that mean the same: without positions, without the
 * alias of the outermost, names of columns and functions in lower case. */
char *sql_ast_key(const json_t *expression);

/* "" when the member is absent or not a string. */
const char *sql_ast_text(const json_t *object, const char *member);
bool sql_ast_is(const json_t *object, const char *member, const char *value);
bool sql_ast_is_expression(const json_t *object);
bool sql_ast_is_query(const json_t *object);
bool sql_ast_is_table(const json_t *object);
/* Position in the statement, or SQL_AT_NONE. */
size_t sql_ast_at(const json_t *object);

/* Calls `visit` for each object of the tree, parents first. It returns whether to go on into the
 * object. */
typedef bool sql_ast_visit(json_t *object, void *ctx);
void sql_ast_walk(json_t *tree, sql_ast_visit *visit, void *ctx);

/* Calls `change` for each object below `tree` and for `tree` itself, parents first; when it returns
 * a tree (a new reference), that takes the object's place and isn't visited. Returns the tree:
 * `tree` itself or what replaced it. Takes and returns a reference. */
typedef json_t *sql_ast_change(json_t *object, void *ctx);
json_t *sql_ast_rewrite(json_t *tree, sql_ast_change *change, void *ctx);

/* New trees. Texts are borrowed, trees taken. */
json_t *sql_ast_column(const char *name);
json_t *sql_ast_column_of(const char *table, const char *name);
json_t *sql_ast_call(const char *function, json_t *a, json_t *b); /* a, b may be NULL */
json_t *sql_ast_operator(const char *op, json_t *a, json_t *b);   /* "+", "/", "*", "-", "//" ... */
json_t *sql_ast_compare(const char *type, json_t *a, json_t *b);  /* COMPARE_EQUAL ... */
json_t *sql_ast_and(json_t *a, json_t *b);                        /* either may be NULL */
json_t *sql_ast_cast(json_t *child, const char *type);            /* a type without parameters */
json_t *sql_ast_integer(long long value);
json_t *sql_ast_string(const char *value);
json_t *sql_ast_null(void);
json_t *sql_ast_star(void);
json_t *sql_ast_alias(json_t *expression, const char *alias); /* sets it, returns the expression */
json_t *sql_ast_base_table(const char *name, const char *alias);
json_t *sql_ast_subquery(json_t *query, const char *alias); /* a table reference */
json_t *sql_ast_empty_table(void);
json_t *sql_ast_select(json_t *select_list, json_t *from, json_t *where);
json_t *sql_ast_limit(json_t *limit, json_t *offset); /* a modifier; offset may be NULL */

#endif
