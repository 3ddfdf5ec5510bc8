/* Names of the answer. DuckDB's json_execute_serialized_sql refuses two columns of one name, a
 * query may have them. */
#include "core/sql_plan_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The SELECT_NODE whose list names the columns of the query. */
static json_t *sql_names_select(json_t *query)
{
    while (sql_ast_is(query, "type", "SET_OPERATION_NODE"))
        query = json_object_get(query, "left");
    return sql_ast_is(query, "type", "SELECT_NODE") ? query : NULL;
}

static bool sql_names_star(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (sql_ast_is(json_array_get(list, i), "class", "STAR"))
            return true;
    }
    return false;
}

/* Expands the stars of a list whose names aren't known to differ. */
static bool sql_names_expand(struct planner *p, json_t *select)
{
    size_t n;
    if (sql_query_columns(p, select, &n) != NULL)
        return true;
    struct sql_scope scope;
    struct sql_items items;
    json_t *copy = json_deep_copy(select);
    sql_scope_init(p, &scope, json_object_get(copy, "from_table"));
    bool known = sql_items_take(p, copy, &scope, false, p->printed, &items);
    if (known) {
        json_object_set_new(select, "select_list", sql_items_list(p, &items, false));
        sql_items_done(&items);
    }
    sql_scope_done(&scope);
    json_decref(copy);
    return known;
}

/* What the item is called, kept; a text of its own where DuckDB would print it. */
static char *sql_names_item(struct planner *p, const json_t *item, const char *text)
{
    const char *alias = sql_ast_text(item, "alias");
    if (alias[0] != '\0')
        return sql_keep(p, mem_strdup(alias));
    char *name = sql_ast_is(item, "class", "COLUMN_REF") || text == NULL ? sql_name_of(p, item)
                                                                         : (char *)text;
    return name != NULL ? name : sql_keep(p, sql_ast_key(item));
}

bool sql_names_fit(struct planner *p, json_t **query)
{
    json_t *select = sql_names_select(*query);
    if (select == NULL)
        return true;
    if (sql_names_star(json_object_get(select, "select_list")) && !sql_names_expand(p, select))
        return false;
    json_t *list = json_object_get(select, "select_list");
    size_t n = json_array_size(list);
    if (sql_names_star(list))
        return true; /* its columns are known to differ */
    char **texts = sql_printed_items(p, p->printed, n);
    char **names = mem_calloc(n + 1, sizeof *names);
    bool differ = true;
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_array_get(list, i);
        names[i] = sql_names_item(p, item, texts != NULL ? texts[i] : NULL);
        if (texts != NULL && sql_ast_text(item, "alias")[0] == '\0' && sql_has_subquery(item))
            sql_ast_alias(item, names[i]); /* its own name would have the planner's in it */
        for (size_t k = 0; k < i; k++) {
            if (sql_same(names[k], names[i])) {
                differ = false;
                sql_ast_alias(item, sql_fresh(p, "n", i));
                break;
            }
        }
    }
    if (!differ && p->plan->names == NULL) {
        for (size_t i = 0; i < n; i++)
            names[i] = mem_strdup(names[i]);
        p->plan->names = names;
        p->plan->names_n = n;
    } else {
        free(names);
    }
    return true;
}
