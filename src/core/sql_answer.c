#include "core/sql_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/sql_plan_internal.h"

static size_t sql_member_size(const json_t *object, const char *member)
{
    return json_array_size(json_object_get(object, member));
}

/* One table and a select list, nothing else. */
static bool sql_question_query(const json_t *query)
{
    const json_t *from = json_object_get(query, "from_table");
    const json_t *ctes = json_object_get(json_object_get(query, "cte_map"), "map");
    return sql_ast_is(query, "type", "SELECT_NODE") && sql_ast_is(from, "type", "BASE_TABLE") &&
           json_array_size(ctes) == 0 && sql_member_size(from, "column_name_alias") == 0 &&
           !json_is_object(json_object_get(from, "sample")) &&
           !json_is_object(json_object_get(query, "sample")) &&
           !json_is_object(json_object_get(query, "where_clause")) &&
           !json_is_object(json_object_get(query, "having")) &&
           !json_is_object(json_object_get(query, "qualify")) &&
           sql_member_size(query, "modifiers") == 0 &&
           sql_member_size(query, "group_expressions") == 0 &&
           sql_member_size(query, "group_sets") == 0 &&
           sql_ast_is(query, "aggregate_handling", "STANDARD_HANDLING");
}

/* The column of the table that an argument is. */
static bool sql_question_column(const json_t *argument, const json_t *from,
                                const struct sql_table *table, size_t *column)
{
    const json_t *names = json_object_get(argument, "column_names");
    const char *alias = sql_ast_text(from, "alias");
    size_t n = json_array_size(names);
    if (!sql_ast_is(argument, "class", "COLUMN_REF") || n < 1 || n > 2)
        return false;
    if (alias[0] == '\0')
        alias = sql_ast_text(from, "table_name");
    if (n == 2 && !sql_same(json_string_value(json_array_get(names, 0)), alias))
        return false;
    const char *name = json_string_value(json_array_get(names, n - 1));
    for (size_t i = 0; i < table->columns_n; i++) {
        if (sql_same(table->columns[i].name, name)) {
            *column = i;
            return true;
        }
    }
    return false;
}

static bool sql_question_read(const json_t *item, const json_t *from, const struct sql_table *table,
                              struct sql_question *out)
{
    const char *function = sql_ast_text(item, "function_name");
    const json_t *children = json_object_get(item, "children");
    if (!sql_ast_is(item, "class", "FUNCTION") || sql_ast_text(item, "schema")[0] != '\0' ||
        json_is_true(json_object_get(item, "distinct")) ||
        json_is_object(json_object_get(item, "filter")) ||
        sql_member_size(json_object_get(item, "order_bys"), "orders") > 0)
        return false;
    if (sql_same(function, "count_star") ||
        (sql_same(function, "count") && json_array_size(children) == 0)) {
        out->kind = SQL_QUESTION_ROWS;
        return true;
    }
    if (sql_same(function, "count"))
        out->kind = SQL_QUESTION_COUNT;
    else if (sql_same(function, "min"))
        out->kind = SQL_QUESTION_MIN;
    else if (sql_same(function, "max"))
        out->kind = SQL_QUESTION_MAX;
    else
        return false;
    return json_array_size(children) == 1 &&
           sql_question_column(json_array_get(children, 0), from, table, &out->column);
}

bool sql_questions_read(const json_t *query, const char *printed, const struct sql_refs *refs,
                        const struct sql_table *tables, struct sql_questions *out)
{
    const json_t *list = json_object_get(query, "select_list");
    size_t n = json_array_size(list);
    if (refs->n != 1 || n == 0 || n > SQL_QUESTIONS_MAX || !sql_question_query(query))
        return false;
    struct planner p = {.refs = refs, .tables = tables, .printed = printed};
    struct sql_questions made = {.questions = mem_calloc(n, sizeof *made.questions), .n = n};
    char **names = sql_printed_items(&p, printed, n);
    bool good = true;
    for (size_t i = 0; i < n && good; i++) {
        const json_t *item = json_array_get(list, i);
        const char *alias = sql_ast_text(item, "alias");
        good = sql_question_read(item, json_object_get(query, "from_table"), &tables[0],
                                 &made.questions[i]) &&
               (alias[0] != '\0' || names != NULL);
        if (good)
            made.questions[i].name = mem_strdup(alias[0] != '\0' ? alias : names[i]);
    }
    for (size_t i = 0; i < p.arena_n; i++)
        free(p.arena[i]);
    free(p.arena);
    if (good)
        *out = made;
    else
        sql_questions_done(&made);
    return good;
}

void sql_questions_done(struct sql_questions *questions)
{
    for (size_t i = 0; i < questions->n; i++)
        free(questions->questions[i].name);
    free(questions->questions);
    *questions = (struct sql_questions){0};
}
