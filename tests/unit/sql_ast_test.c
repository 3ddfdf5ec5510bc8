#include "core/sql_ast.h"

#include <string.h>

#include "base/mem.h"
#include "tests/unit/generated.h"
#include "tests/unit/sql_trees.h"

static json_t *read_tree(const char *text)
{
    json_t *query = NULL;
    struct sql_error e = {0};
    if (sql_ast_read(text, strlen(text), &query, &e) < 0)
        fail_msg("%s", e.error.text);
    return query;
}

static void refused(const char *text, int code, size_t at)
{
    json_t *query;
    struct sql_error e = {.at = 77};
    assert_int_equal(sql_ast_read(text, strlen(text), &query, &e), code);
    assert_true(e.at == at);
    assert_true(e.error.text[0] != '\0');
}

static void what_was_read_is_written_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(sql_trees); i++) {
        json_t *query = read_tree(sql_trees[i].ast);
        char *text = sql_ast_write(query);
        json_t *again = read_tree(text);
        char *second = sql_ast_write(again);
        assert_string_equal(text, second);
        assert_true(json_equal(query, again) == 1 ||
                    strstr(sql_trees[i].ast, "18446744073709551615") != NULL);
        json_decref(query);
        json_decref(again);
        free(text);
        free(second);
    }
}

static void numbers_too_large_for_jansson_survive(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(sql_trees); i++) {
        if (strcmp(sql_trees[i].name, "wide") != 0)
            continue;
        json_t *query = read_tree(sql_trees[i].ast);
        char *text = sql_ast_write(query);
        assert_non_null(
            strstr(text, "\"upper\":9223372036854775807,\"lower\":18446744073709551615"));
        assert_null(strstr(text, "\"query_location\":-1"));
        assert_null(strstr(text, "\"query_location\":18446744073709551615"));
        free(text);
        json_decref(query);
    }
}

static void errors_of_duckdb_keep_their_place(void **state)
{
    (void)state;
    refused("{\"error\":true,\"error_type\":\"parser\",\"error_message\":\"syntax "
            "error\",\"position\":\"12\"}",
            ERR_INVALID, 12);
    refused("{\"error\":true,\"error_type\":\"parser\",\"error_message\":\"bad\"}", ERR_INVALID,
            SQL_AT_NONE);
    refused("{\"error\":true,\"error_type\":\"not implemented\",\"error_message\":\"Only SELECT\"}",
            ERR_UNSUPPORTED, SQL_AT_NONE);
    refused("", ERR_CORRUPT, SQL_AT_NONE);
    refused("[]", ERR_CORRUPT, SQL_AT_NONE);
    refused("{}", ERR_CORRUPT, SQL_AT_NONE);
    refused("{\"error\":false,\"statements\":[{\"node\":{}}]}", ERR_CORRUPT, SQL_AT_NONE);
    refused("{\"error\":false,\"statements\":[{},{}]}", ERR_INVALID, SQL_AT_NONE);
}

static void trees_without_end_are_refused(void **state)
{
    (void)state;
    enum { DEPTH = 3000 };
    static const char head[] =
        "{\"error\":false,\"statements\":[{\"node\":{\"type\":\"SELECT_NODE\",\"x\":";
    char *text = mem_alloc(sizeof head + 2 * DEPTH + 8);
    strcpy(text, head);
    size_t n = strlen(text);
    for (size_t i = 0; i < DEPTH; i++)
        text[n++] = '[';
    for (size_t i = 0; i < DEPTH; i++)
        text[n++] = ']';
    strcpy(text + n, "}}]}");
    json_t *query;
    struct sql_error e;
    assert_true(sql_ast_read(text, strlen(text), &query, &e) < 0);
    n = strlen(head);
    for (size_t i = 0; i < 1000; i++)
        text[n++] = '[';
    for (size_t i = 0; i < 1000; i++)
        text[n++] = ']';
    strcpy(text + n, "}}]}");
    assert_int_equal(sql_ast_read(text, strlen(text), &query, &e), ERR_TOO_LARGE);
    free(text);
}

static void keys_are_equal_for_what_means_the_same(void **state)
{
    (void)state;
    json_t *a = sql_ast_alias(sql_ast_call("SUM", sql_ast_column("Price"), NULL), "x");
    json_t *b = sql_ast_alias(sql_ast_call("sum", sql_ast_column("price"), NULL), "y");
    json_t *c = sql_ast_call("sum", sql_ast_column("cost"), NULL);
    json_t *d = sql_ast_string("Price");
    json_t *e = sql_ast_string("price");
    json_object_set_new(a, "query_location", json_integer(5));
    char *keys[] = {sql_ast_key(a), sql_ast_key(b), sql_ast_key(c), sql_ast_key(d), sql_ast_key(e)};
    assert_string_equal(keys[0], keys[1]);
    assert_string_not_equal(keys[0], keys[2]);
    assert_string_not_equal(keys[3], keys[4]);
    for (size_t i = 0; i < MEM_COUNT(keys); i++)
        free(keys[i]);
    json_decref(a);
    json_decref(b);
    json_decref(c);
    json_decref(d);
    json_decref(e);
}

static json_t *rename_k(json_t *object, void *ctx)
{
    (void)ctx;
    const json_t *names = json_object_get(object, "column_names");
    const char *name = json_string_value(json_array_get(names, 0));
    return name != NULL && strcmp(name, "k") == 0 ? sql_ast_column("z") : NULL;
}

static void rewriting_reaches_every_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(sql_trees); i++) {
        json_t *query = sql_ast_rewrite(read_tree(sql_trees[i].ast), rename_k, NULL);
        char *text = sql_ast_write(query);
        assert_null(strstr(text, "\"column_names\":[\"k\"]"));
        free(text);
        json_decref(query);
    }
    json_t *whole = sql_ast_rewrite(sql_ast_column("k"), rename_k, NULL);
    char *key = sql_ast_key(whole);
    assert_non_null(strstr(key, "[\"z\"]"));
    free(key);
    json_decref(whole);
}

static void marks_of_the_planner_are_not_written(void **state)
{
    (void)state;
    json_t *column = sql_ast_column("a");
    json_object_set_new(column, "_table", json_integer(3));
    char *text = sql_ast_write(column);
    assert_null(strstr(text, "_table"));
    free(text);
    json_decref(column);
}

static void any_text_is_read_or_refused(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 3000);
    while (generated_next(&g)) {
        char made[120];
        generated_text(&g, "{}[]\",:\\0123456789.eE-+\"errostatmndype ", sizeof made, made);
        size_t len = strlen(made);
        char *text = mem_dup(made, len > 0 ? len : 1);
        json_t *query = NULL;
        struct sql_error e;
        generated_check(&g, sql_ast_read(text, len, &query, &e) < 0, "%s", made);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_read_is_written_again),
        cmocka_unit_test(numbers_too_large_for_jansson_survive),
        cmocka_unit_test(errors_of_duckdb_keep_their_place),
        cmocka_unit_test(trees_without_end_are_refused),
        cmocka_unit_test(keys_are_equal_for_what_means_the_same),
        cmocka_unit_test(rewriting_reaches_every_place),
        cmocka_unit_test(marks_of_the_planner_are_not_written),
        cmocka_unit_test(any_text_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
