/* WITH: each CTE is put as a subquery where it is named. Tables of the catalog are marked before,
 * so that a body means the same wherever it stands. */
#include "core/sql_plan_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    SQL_CTES_MAX = 200, /* places */
    SQL_CTE_OBJECTS_MAX =
        65536, /* of the tree, in all places: CTEs that name others grow by powers */
};

struct sql_with {
    const char *name;
    const json_t *entry; /* {aliases, query: {node}}, expanded */
    size_t objects;      /* of its query */
    size_t id;
    const struct sql_with *outer;
};

struct sql_expand {
    struct planner *p;
    const struct sql_with *env;
    size_t places, objects;
    bool failed;
};

static size_t sql_objects_of(json_t *tree)
{
    json_t *value;
    size_t i, n = json_is_object(tree);
    const char *key;
    json_array_foreach(tree, i, value) n += sql_objects_of(value);
    json_object_foreach(tree, key, value) n += sql_objects_of(value);
    return n;
}

static void sql_expand_tree(struct sql_expand *x, json_t *tree);

/* Turns the reference into a subquery. */
static void sql_expand_ref(struct sql_expand *x, json_t *ref, const struct sql_with *with)
{
    json_t *node = json_object_get(json_object_get(with->entry, "query"), "node");
    json_t *own = json_object_get(ref, "column_name_alias");
    json_t *aliases = json_object_get(with->entry, "aliases");
    x->objects += with->objects;
    if (++x->places > SQL_CTES_MAX || x->objects > SQL_CTE_OBJECTS_MAX || !sql_ast_is_query(node) ||
        (json_array_size(own) > 0 && json_array_size(aliases) > 0)) {
        x->failed = true;
        return;
    }
    const char *alias = sql_ast_text(ref, "alias");
    json_t *made = sql_ast_subquery(json_deep_copy(node), alias[0] != '\0' ? alias : with->name);
    json_object_set(made, "column_name_alias", json_array_size(own) > 0 ? own : aliases);
    json_object_set_new(made, "_cte", json_integer((json_int_t)with->id));
    x->p->ctes[with->id].uses++;
    json_object_clear(ref);
    json_object_update(ref, made);
    json_decref(made);
}

static void sql_expand_query(struct sql_expand *x, json_t *query)
{
    json_t *map = json_object_get(json_object_get(query, "cte_map"), "map");
    size_t n = json_array_size(map);
    const struct sql_with *outer = x->env;
    struct sql_with *withs = mem_calloc(n + 1, sizeof *withs);
    struct planner *p = x->p;
    for (size_t i = 0; i < n; i++) {
        json_t *entry = json_array_get(map, i);
        sql_expand_tree(x, json_object_get(entry, "value"));
        MEM_GROW(p->ctes, p->ctes_cap, p->ctes_n + 1);
        p->ctes[p->ctes_n] = (struct sql_cte){0};
        json_t *value = json_object_get(entry, "value");
        withs[i] = (struct sql_with){sql_ast_text(entry, "key"), value, sql_objects_of(value),
                                     p->ctes_n++, x->env};
        x->env = &withs[i];
    }
    const char *key;
    json_t *value;
    json_object_foreach(query, key, value)
    {
        if (strcmp(key, "cte_map") != 0)
            sql_expand_tree(x, value);
    }
    x->env = outer;
    free(withs);
    if (n > 0)
        json_array_clear(map);
}

static void sql_expand_tree(struct sql_expand *x, json_t *tree)
{
    json_t *value;
    size_t i;
    const char *key;
    if (x->failed)
        return;
    if (json_is_array(tree)) {
        json_array_foreach(tree, i, value) sql_expand_tree(x, value);
        return;
    }
    if (!json_is_object(tree))
        return;
    if (sql_ast_is_query(tree)) {
        sql_expand_query(x, tree);
        return;
    }
    if (sql_ast_is_table(tree) && sql_ast_is(tree, "type", "BASE_TABLE") &&
        json_object_get(tree, "_table") == NULL) {
        const char *name = sql_ast_text(tree, "table_name");
        for (const struct sql_with *with = x->env; with != NULL; with = with->outer) {
            if (sql_same(with->name, name)) {
                sql_expand_ref(x, tree, with);
                return;
            }
        }
        x->failed = true;
        return;
    }
    json_object_foreach(tree, key, value) sql_expand_tree(x, value);
}

bool sql_expand_ctes(struct planner *p, json_t *query)
{
    struct sql_expand x = {.p = p};
    sql_expand_tree(&x, query);
    return !x.failed || sql_why(p, "WITH in a form that stays whole");
}
