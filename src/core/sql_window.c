/* Windows: the rows are shuffled by what all of the block's PARTITION BYs have in common, so that
 * every window finds its rows in one task. */
#include "core/sql_plan_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct sql_windows {
    json_t *common; /* expressions; NULL before the first window */
};

static bool sql_windows_visit(json_t *object, void *ctx)
{
    struct sql_windows *w = ctx;
    if (sql_ast_is_query(object))
        return false;
    if (!sql_ast_is(object, "class", "WINDOW"))
        return true;
    const json_t *partitions = json_object_get(object, "partitions");
    if (w->common == NULL) {
        w->common = json_deep_copy(partitions);
        return true;
    }
    for (size_t i = json_array_size(w->common); i-- > 0;) {
        char *key = sql_ast_key(json_array_get(w->common, i));
        bool found = false;
        for (size_t k = 0; k < json_array_size(partitions) && !found; k++) {
            char *other = sql_ast_key(json_array_get(partitions, k));
            found = strcmp(key, other) == 0;
            free(other);
        }
        free(key);
        if (!found)
            json_array_remove(w->common, i);
    }
    return true;
}

/* The rows with the columns that the block uses, shuffled. Takes select. */
static size_t sql_window_map(struct planner *p, json_t *select, const struct sql_project *project,
                             const json_t *common)
{
    size_t n = json_array_size(common);
    json_t *list = sql_project_list(p, project);
    const char **keys = mem_calloc(n + 1, sizeof *keys);
    for (size_t i = 0; i < n; i++) {
        keys[i] = sql_fresh(p, "k", i);
        json_array_append_new(list,
                              sql_ast_alias(json_deep_copy(json_array_get(common, i)), keys[i]));
    }
    json_object_set_new(select, "select_list", list);
    json_object_set_new(select, "modifiers", json_array());
    json_object_set_new(select, "qualify", json_null());
    size_t stage = sql_stage_close(p, select, SQL_OUTPUT_HASH, keys, n, "rows for windows");
    free(keys);
    return stage;
}

struct sql_part sql_window(struct planner *p, json_t *select, const struct sql_scope *scope,
                           bool names_matter, const char *printed)
{
    struct sql_windows windows = {0};
    struct sql_project project = {0};
    struct sql_items items;
    struct sql_tail tail;
    struct sql_part part = {0};
    json_t *qualify = NULL, *orders = NULL;
    if (!sql_items_take(p, select, scope, names_matter, printed, &items))
        return part;
    sql_tail_read(select, &tail);
    for (size_t i = 0; i < items.n; i++)
        sql_ast_walk(items.items[i], sql_windows_visit, &windows);
    sql_ast_walk(json_object_get(select, "qualify"), sql_windows_visit, &windows);
    if (tail.orders != NULL)
        sql_ast_walk(tail.orders, sql_windows_visit, &windows);
    bool fits = json_array_size(windows.common) > 0 ||
                sql_why(p, "windows without a PARTITION BY that they share");
    fits = fits && (!tail.odd || sql_why(p, "DISTINCT ON, or a LIMIT that is no plain number"));
    fits = fits && (!sql_has_subquery(windows.common) || sql_why(p, "a window by a subquery"));
    fits = fits && (!tail.distinct || sql_tail_fits(p, &items, tail.orders));
    for (size_t i = 0; fits && i < items.n; i++)
        fits = sql_project_add(p, scope, &project, &items.items[i]);
    if (fits && json_is_object(json_object_get(select, "qualify"))) {
        qualify = json_deep_copy(json_object_get(select, "qualify"));
        fits = sql_project_add(p, scope, &project, &qualify);
    }
    if (fits && tail.orders != NULL) {
        orders = json_deep_copy(tail.orders);
        fits = sql_project_add(p, scope, &project, &orders);
        tail.orders = orders;
    }
    if (fits) {
        size_t stage = sql_window_map(p, select, &project, windows.common);
        json_t *outer =
            sql_ast_select(json_array(), sql_stage_ref(p, stage, true, "", NULL, 0), NULL);
        if (qualify != NULL)
            json_object_set(outer, "qualify", qualify);
        part = sql_tail_plan(p, outer, &items, &tail, true, "windows");
    }
    json_decref(qualify);
    json_decref(orders);
    json_decref(windows.common);
    sql_project_done(&project);
    sql_items_done(&items);
    return part;
}
