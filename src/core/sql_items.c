/* The select list in a form that survives being taken apart: stars expanded, aliases replaced by
 * what they stand for, columns qualified. DuckDB's order: a column wins over an alias, except that
 * ORDER BY with nothing but a name looks at the aliases first. */
#include "core/sql_plan_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct sql_alias_ctx {
    struct planner *p;
    const struct sql_scope *scope;
    const struct sql_items *items;
    char **aliases; /* of the first n items; NULL: none */
    size_t n;       /* those that may be used */
    bool failed;
};

static json_t *sql_alias_find(const struct sql_alias_ctx *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->aliases[i] != NULL && sql_same(c->aliases[i], name))
            return c->items->items[i];
    }
    return NULL;
}

static json_t *sql_alias_change(json_t *object, void *ctx)
{
    struct sql_alias_ctx *c = ctx;
    if (sql_ast_is_query(object))
        return json_incref(object);
    if (sql_ast_is(object, "class", "LAMBDA"))
        c->failed = true; /* its parameters look like columns */
    if (!sql_ast_is(object, "class", "COLUMN_REF"))
        return NULL;
    const json_t *names = json_object_get(object, "column_names");
    const char *name = json_string_value(json_array_get(names, 0));
    size_t s, k;
    enum sql_found found = sql_resolve(c->scope, object, &s, &k);
    if (found == SQL_FOUND && c->scope->sources[s].alias[0] != '\0') {
        json_t *made =
            sql_ast_column_of(c->scope->sources[s].alias, c->scope->sources[s].columns[k]);
        sql_ast_alias(made, sql_ast_text(object, "alias"));
        return made;
    }
    if (found == SQL_FOUND || found == SQL_FOUND_MANY)
        return json_incref(object);
    json_t *item = json_array_size(names) == 1 ? sql_alias_find(c, name) : NULL;
    if (found == SQL_FOUND_MAYBE && item != NULL)
        c->failed = true;
    if (item == NULL)
        return json_incref(object);
    return sql_ast_alias(json_deep_copy(item), sql_ast_text(object, "alias"));
}

static json_t *sql_alias_resolve(struct sql_alias_ctx *c, json_t *tree)
{
    return sql_ast_rewrite(tree, sql_alias_change, c);
}

/* The text between "SELECT" and its "FROM" at the top of the printed query, cut at commas. */
char **sql_printed_items(struct planner *p, const char *printed, size_t wanted)
{
    if (printed == NULL)
        return NULL;
    size_t len = strlen(printed);
    size_t at = 0, depth = 0, n = 0, begin = 0, end = 0;
    bool inside = false;
    char **names = sql_keep(p, mem_calloc(wanted + 1, sizeof *names));
    struct sql_token token;
    do {
        token = sql_lex_next(printed, len, at);
        at = token.at + token.len;
        char mark = token.kind == SQL_TOKEN_OTHER && token.len == 1 ? printed[token.at] : '\0';
        bool stop =
            token.kind == SQL_TOKEN_END ||
            (depth == 0 && inside && (mark == ',' || sql_token_is(printed, &token, "from")));
        if (stop && inside) {
            if (n < wanted)
                names[n] = sql_keep(p, mem_strndup(printed + begin, end - begin));
            n++;
            begin = at;
            if (mark != ',')
                break;
            begin = sql_lex_next(printed, len, at).at;
        }
        depth += mark == '(' || mark == '[' || mark == '{';
        depth -= depth > 0 && (mark == ')' || mark == ']' || mark == '}');
        if (!inside && depth == 0 && sql_token_is(printed, &token, "select")) {
            inside = true;
            begin = sql_lex_next(printed, len, at).at;
            struct sql_token next = sql_lex_next(printed, len, at);
            if (sql_token_is(printed, &next, "distinct")) {
                at = next.at + next.len;
                begin = sql_lex_next(printed, len, at).at;
            }
        }
        end = at;
    } while (token.kind != SQL_TOKEN_END);
    return n == wanted ? names : NULL;
}

static void sql_items_add(struct sql_items *out, size_t *cap, json_t *item, char *name)
{
    size_t names_cap = *cap;
    MEM_GROW(out->items, *cap, out->n + 1);
    if (names_cap != *cap)
        out->names = mem_reallocarray(out->names, *cap, sizeof *out->names);
    out->items[out->n] = item;
    out->names[out->n++] = name;
}

static bool sql_items_star(struct planner *p, const struct sql_scope *scope, const json_t *star,
                           struct sql_items *out, size_t *cap)
{
    const char *relation = sql_ast_text(star, "relation_name");
    if (!sql_is_plain_star(star) || !scope->known || scope->natural || scope->shared_n > 0)
        return false;
    for (size_t s = 0; s < scope->n; s++) {
        const struct sql_source *source = &scope->sources[s];
        if (relation[0] != '\0' && !sql_same(relation, source->alias))
            continue;
        if (source->alias[0] == '\0' && scope->n > 1)
            return false;
        for (size_t c = 0; c < source->n; c++) {
            char *name = source->columns[c];
            if (name == NULL || name[0] == '\x01')
                return false;
            sql_items_add(out, cap,
                          source->alias[0] != '\0' ? sql_ast_column_of(source->alias, name)
                                                   : sql_ast_column(name),
                          sql_keep(p, mem_strdup(name)));
        }
    }
    return out->n > 0;
}

/* The select list as items with names; *aliases as long as items. */
static bool sql_items_list_take(struct planner *p, const json_t *list,
                                const struct sql_scope *scope, bool names_matter,
                                const char *printed, struct sql_items *out, struct sql_alias_ctx *c)
{
    size_t cap = 0;
    size_t n = json_array_size(list);
    char **texts = sql_printed_items(p, printed, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        size_t before = out->n;
        const char *alias = sql_ast_text(item, "alias");
        if (sql_ast_is(item, "class", "STAR")) {
            if (!sql_items_star(p, scope, item, out, &cap))
                return false;
        } else {
            char *name = alias[0] != '\0' ? sql_keep(p, mem_strdup(alias)) : sql_name_of(p, item);
            if (texts != NULL && alias[0] == '\0' && !sql_ast_is(item, "class", "COLUMN_REF"))
                name = texts[i];
            if (name == NULL && names_matter)
                return sql_why(p, "a column of a subquery has no name");
            if (name == NULL)
                name = sql_fresh(p, "n", i);
            sql_items_add(out, &cap, sql_ast_alias(json_deep_copy(item), ""), name);
        }
        c->aliases = mem_reallocarray(c->aliases, out->n + 1, sizeof *c->aliases);
        for (size_t k = before; k < out->n; k++)
            c->aliases[k] = k == before && alias[0] != '\0' ? out->names[k] : NULL;
    }
    return true;
}

static bool sql_items_clauses(struct sql_alias_ctx *c, json_t *select)
{
    static const char *const clauses[] = {"where_clause", "having", "qualify"};
    for (size_t i = 0; i < MEM_COUNT(clauses); i++) {
        json_t *clause = json_object_get(select, clauses[i]);
        if (json_is_object(clause))
            json_object_set_new(select, clauses[i], sql_alias_resolve(c, json_deep_copy(clause)));
    }
    return !c->failed;
}

/* What "GROUP BY 2" or "ORDER BY 2" means; NULL when it isn't that. */
static json_t *sql_items_ordinal(const struct sql_items *items, const json_t *expression)
{
    const json_t *value = json_object_get(json_object_get(expression, "value"), "value");
    if (!sql_ast_is(expression, "class", "CONSTANT") || !json_is_integer(value))
        return NULL;
    json_int_t n = json_integer_value(value);
    return n >= 1 && (size_t)n <= items->n ? items->items[n - 1] : NULL;
}

static bool sql_items_groups(struct sql_alias_ctx *c, json_t *select)
{
    const json_t *groups = json_object_get(select, "group_expressions");
    json_t *made = json_array();
    for (size_t i = 0; i < json_array_size(groups); i++) {
        json_t *group = json_array_get(groups, i);
        json_t *item = sql_items_ordinal(c->items, group);
        json_array_append_new(made, item != NULL ? json_deep_copy(item)
                                                 : sql_alias_resolve(c, json_deep_copy(group)));
    }
    json_object_set_new(select, "group_expressions", made);
    return !c->failed;
}

static bool sql_items_orders(struct sql_alias_ctx *c, json_t *select)
{
    json_t *modifiers = json_object_get(select, "modifiers");
    for (size_t m = 0; m < json_array_size(modifiers); m++) {
        json_t *orders = json_object_get(json_array_get(modifiers, m), "orders");
        for (size_t i = 0; i < json_array_size(orders);) {
            json_t *order = json_array_get(orders, i);
            json_t *expression = json_object_get(order, "expression");
            const json_t *names = json_object_get(expression, "column_names");
            json_t *item = sql_items_ordinal(c->items, expression);
            if (sql_ast_is(expression, "class", "STAR"))
                return false;
            if (item == NULL && json_array_size(names) == 1)
                item = sql_alias_find(c, json_string_value(json_array_get(names, 0)));
            if (item != NULL && sql_ast_is(item, "class", "CONSTANT")) {
                json_array_remove(orders, i); /* orders nothing, and would read as an ordinal */
                continue;
            }
            json_object_set_new(order, "expression",
                                item != NULL ? json_deep_copy(item)
                                             : sql_alias_resolve(c, json_deep_copy(expression)));
            i++;
        }
    }
    return !c->failed;
}

bool sql_items_take(struct planner *p, json_t *select, const struct sql_scope *scope,
                    bool names_matter, const char *printed, struct sql_items *out)
{
    *out = (struct sql_items){0};
    struct sql_alias_ctx c = {.p = p, .scope = scope, .items = out};
    bool ok = sql_items_list_take(p, json_object_get(select, "select_list"), scope, names_matter,
                                  printed, out, &c);
    ok = ok && out->n > 0;
    for (size_t i = 0; ok && i < out->n; i++) {
        c.n = i;
        out->items[i] = sql_alias_resolve(&c, out->items[i]);
    }
    c.n = out->n;
    ok = ok && !c.failed && sql_items_clauses(&c, select) && sql_items_groups(&c, select) &&
         sql_items_orders(&c, select);
    free(c.aliases);
    if (!ok) {
        sql_items_done(out);
        return sql_why(p, "names of columns that aren't certain");
    }
    return true;
}

void sql_items_done(struct sql_items *items)
{
    for (size_t i = 0; i < items->n; i++)
        json_decref(items->items[i]);
    free(items->items);
    free(items->names);
    *items = (struct sql_items){0};
}

json_t *sql_items_list(struct planner *p, const struct sql_items *items, bool fresh)
{
    json_t *list = json_array();
    for (size_t i = 0; i < items->n; i++)
        json_array_append_new(list, sql_ast_alias(json_deep_copy(items->items[i]),
                                                  fresh ? sql_fresh(p, "c", i) : items->names[i]));
    return list;
}

/* Projections. */

struct sql_project_ctx {
    struct planner *p;
    struct sql_project *project;
    const struct sql_scope *scope;
    bool failed;
};

char *sql_project_name(struct planner *p, size_t i)
{
    return sql_fresh(p, "x", i);
}

static json_t *sql_project_change(json_t *object, void *ctx)
{
    struct sql_project_ctx *c = ctx;
    if (sql_ast_is_query(object)) {
        c->failed |= sql_is_correlated(c->p, object);
        return json_incref(object);
    }
    if (sql_ast_is(object, "class", "STAR") || sql_ast_is(object, "class", "LAMBDA") ||
        sql_ast_is(object, "class", "POSITIONAL_REFERENCE"))
        c->failed = true;
    if (!sql_ast_is(object, "class", "COLUMN_REF"))
        return NULL;
    size_t s, k;
    enum sql_found found = sql_resolve(c->scope, object, &s, &k);
    c->failed |= found != SQL_FOUND && found != SQL_FOUND_MANY;
    struct sql_project *project = c->project;
    char *key = sql_ast_key(object);
    size_t i = 0;
    while (i < project->n && strcmp(project->keys[i], key) != 0)
        i++;
    if (i == project->n) {
        size_t cap = project->cap;
        MEM_GROW(project->columns, project->cap, project->n + 1);
        if (cap != project->cap)
            project->keys = mem_reallocarray(project->keys, project->cap, sizeof *project->keys);
        project->columns[i] = json_deep_copy(object);
        project->keys[i] = key;
        project->n++;
    } else {
        free(key);
    }
    return sql_ast_alias(sql_ast_column(sql_project_name(c->p, i)), sql_ast_text(object, "alias"));
}

bool sql_project_add(struct planner *p, const struct sql_scope *scope, struct sql_project *project,
                     json_t **tree)
{
    struct sql_project_ctx c = {p, project, scope, false};
    *tree = sql_ast_rewrite(*tree, sql_project_change, &c);
    return c.failed ? sql_why(p, "a subquery that depends on the outside, or a lambda") : true;
}

json_t *sql_project_list(struct planner *p, const struct sql_project *project)
{
    json_t *list = json_array();
    for (size_t i = 0; i < project->n; i++)
        json_array_append_new(
            list, sql_ast_alias(json_deep_copy(project->columns[i]), sql_project_name(p, i)));
    return list;
}

void sql_project_done(struct sql_project *project)
{
    for (size_t i = 0; i < project->n; i++) {
        json_decref(project->columns[i]);
        free(project->keys[i]);
    }
    free(project->columns);
    free(project->keys);
    *project = (struct sql_project){0};
}
