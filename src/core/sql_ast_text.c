/* Reading: DuckDB writes unsigned integers that jansson can't hold (positions that are not there
 * are 2^64 - 1, the lower half of a HUGEINT is any). Before jansson sees the text such numbers
 * become strings that begin with SQL_AST_BIG, or -1 for positions; writing turns them back. */
#include "core/sql_ast.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json_text.h"
#include "base/mem.h"

#define SQL_AST_BIG "\x01integer:"

enum { SQL_AST_INT64_DIGITS = 18 }; /* any number of so many digits fits */

/* Copies the text, with the numbers that are too large rewritten. */
static int sql_ast_narrow(const char *text, size_t len, struct buf *out)
{
    static const char position[] = "\"query_location\":";
    size_t copied = 0;
    int code = 0;
    for (size_t at = 0; at < len && code == 0;) {
        char c = text[at];
        if (c == '"') {
            for (at++; at < len && text[at] != '"'; at++)
                at += text[at] == '\\';
            at++;
            continue;
        }
        if (c < '0' || c > '9') {
            at++;
            continue;
        }
        size_t end = at;
        bool real = false;
        for (; end < len && strchr("0123456789.eE+-", text[end]) != NULL; end++)
            real |= strchr(".eE", text[end]) != NULL;
        if (!real && end - at > SQL_AST_INT64_DIGITS && (at == 0 || text[at - 1] != '-')) {
            bool place = at >= sizeof position - 1 && memcmp(text + at - (sizeof position - 1),
                                                             position, sizeof position - 1) == 0;
            code = buf_append(out, text + copied, at - copied);
            if (code == 0)
                code = place
                           ? buf_append_str(out, "-1")
                           : buf_printf(out, "\"\\u0001integer:%.*s\"", (int)(end - at), text + at);
            copied = end;
        }
        at = end;
    }
    return code < 0 ? code : buf_append(out, text + copied, len - copied);
}

static bool sql_ast_shallow(const json_t *tree, unsigned depth)
{
    if (depth > SQL_AST_DEPTH_MAX)
        return false;
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_array(tree)) {
        json_array_foreach(tree, i, value)
        {
            if (!sql_ast_shallow(value, depth + 1))
                return false;
        }
    }
    json_object_foreach((json_t *)tree, key, value)
    {
        if (!sql_ast_shallow(value, depth + 1))
            return false;
    }
    return true;
}

/* What DuckDB said instead of a tree. */
static int sql_ast_error(const json_t *root, struct sql_error *e)
{
    const char *message = sql_ast_text(root, "error_message");
    if (sql_ast_is(root, "error_type", "not implemented"))
        return sql_error_set(e, ERR_UNSUPPORTED, SQL_AT_NONE, NULL, "%s", message);
    const char *position = sql_ast_text(root, "position");
    size_t at = SQL_AT_NONE;
    if (position[0] >= '0' && position[0] <= '9') {
        errno = 0;
        unsigned long long n = strtoull(position, NULL, 10);
        at = errno == 0 && n < SIZE_MAX ? (size_t)n : SQL_AT_NONE;
    }
    return sql_error_set(e, ERR_INVALID, at, NULL, "%s", message);
}

static int sql_ast_query_of(const json_t *root, json_t **query, struct sql_error *e)
{
    if (json_is_true(json_object_get(root, "error")))
        return sql_ast_error(root, e);
    const json_t *statements = json_object_get(root, "statements");
    if (json_array_size(statements) > 1)
        return sql_error_set(e, ERR_INVALID, SQL_AT_NONE, "send them one by one",
                             "more than one statement");
    json_t *node = json_object_get(json_array_get(statements, 0), "node");
    if (!sql_ast_is_query(node))
        return sql_error_set(e, ERR_CORRUPT, SQL_AT_NONE, NULL, "the syntax tree has no query");
    if (!sql_ast_shallow(node, 0))
        return sql_error_set(e, ERR_TOO_LARGE, SQL_AT_NONE, "split it by WITH",
                             "the query is nested too deeply");
    *query = json_incref(node);
    return 0;
}

int sql_ast_read(const char *text, size_t len, json_t **query, struct sql_error *e)
{
    if (len > SQL_AST_BYTES_MAX)
        return sql_error_set(e, ERR_TOO_LARGE, SQL_AT_NONE, NULL, "the syntax tree is too large");
    struct buf narrow;
    buf_init(&narrow, 2 * (size_t)SQL_AST_BYTES_MAX);
    json_error_t error;
    json_t *root = NULL;
    if (sql_ast_narrow(text, len, &narrow) == 0)
        root = json_loadb((const char *)narrow.data, narrow.len, JSON_REJECT_DUPLICATES, &error);
    buf_done(&narrow);
    if (!json_is_object(root)) {
        json_decref(root);
        return sql_error_set(e, ERR_CORRUPT, SQL_AT_NONE, NULL, "the syntax tree isn't JSON");
    }
    int code = sql_ast_query_of(root, query, e);
    json_decref(root);
    return code;
}

/* Writing. */

struct sql_ast_writer {
    struct buf out;
    bool key;       /* without positions, in lower case */
    bool outermost; /* the next object's alias is left out */
};

static void sql_ast_put(struct sql_ast_writer *w, const json_t *value, bool lower);

static bool sql_ast_left_out(const struct sql_ast_writer *w, const char *key, const json_t *value,
                             bool outermost)
{
    if (key[0] == '_')
        return true;
    if (strcmp(key, "query_location") == 0)
        return w->key || json_integer_value(value) < 0;
    return outermost && strcmp(key, "alias") == 0;
}

static void sql_ast_put_object(struct sql_ast_writer *w, const json_t *object)
{
    bool outermost = w->outermost;
    w->outermost = false;
    const char *key;
    json_t *value;
    bool first = true;
    (void)buf_append_byte(&w->out, '{');
    json_object_foreach((json_t *)object, key, value)
    {
        if (sql_ast_left_out(w, key, value, outermost))
            continue;
        if (!first)
            (void)buf_append_byte(&w->out, ',');
        first = false;
        (void)json_text_append(&w->out, key, strlen(key));
        (void)buf_append_byte(&w->out, ':');
        sql_ast_put(w, value,
                    w->key &&
                        (strcmp(key, "column_names") == 0 || strcmp(key, "function_name") == 0));
    }
    (void)buf_append_byte(&w->out, '}');
}

static void sql_ast_put_string(struct sql_ast_writer *w, const json_t *value, bool lower)
{
    const char *s = json_string_value(value);
    if (strncmp(s, SQL_AST_BIG, sizeof SQL_AST_BIG - 1) == 0) {
        (void)buf_append_str(&w->out, s + sizeof SQL_AST_BIG - 1);
        return;
    }
    char *text = mem_dup(s, json_string_length(value) + 1);
    for (char *p = text; lower && *p != '\0'; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    (void)json_text_append(&w->out, text, json_string_length(value));
    free(text);
}

static void sql_ast_put(struct sql_ast_writer *w, const json_t *value, bool lower)
{
    json_t *element;
    size_t i;
    if (value == NULL) {
        (void)buf_append_str(&w->out, "null");
        return;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        sql_ast_put_object(w, value);
        break;
    case JSON_ARRAY:
        (void)buf_append_byte(&w->out, '[');
        json_array_foreach(value, i, element)
        {
            if (i > 0)
                (void)buf_append_byte(&w->out, ',');
            sql_ast_put(w, element, lower);
        }
        (void)buf_append_byte(&w->out, ']');
        break;
    case JSON_STRING:
        sql_ast_put_string(w, value, lower);
        break;
    case JSON_INTEGER:
        (void)buf_printf(&w->out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL: {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
        (void)buf_append_str(&w->out, text != NULL ? text : "null");
        free(text);
        break;
    }
    case JSON_TRUE:
        (void)buf_append_str(&w->out, "true");
        break;
    case JSON_FALSE:
        (void)buf_append_str(&w->out, "false");
        break;
    case JSON_NULL:
        (void)buf_append_str(&w->out, "null");
        break;
    }
}

char *sql_ast_write(const json_t *query)
{
    struct sql_ast_writer w = {.key = false};
    buf_init(&w.out, 4 * (size_t)SQL_AST_BYTES_MAX);
    (void)buf_append_str(&w.out, "{\"error\":false,\"statements\":[{\"node\":");
    sql_ast_put(&w, query, false);
    (void)buf_append_str(&w.out, ",\"named_param_map\":[]}]}");
    char *text = buf_steal(&w.out, NULL);
    buf_done(&w.out);
    return text;
}

char *sql_ast_key(const json_t *expression)
{
    struct sql_ast_writer w = {.key = true, .outermost = true};
    buf_init(&w.out, 4 * (size_t)SQL_AST_BYTES_MAX);
    sql_ast_put(&w, expression, false);
    char *text = buf_steal(&w.out, NULL);
    buf_done(&w.out);
    return text;
}
