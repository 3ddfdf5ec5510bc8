/* Names: what a FROM clause offers, what a column reference means, what the columns of a query are
 * called. Whatever isn't certain is said to be so; the planner then leaves the shape as it is. */
#include "core/sql_plan_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

const char *const sql_clauses[] = {
    "select_list", "where_clause", "group_expressions", "having", "qualify", "modifiers", NULL};

bool sql_same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcasecmp(a, b) == 0;
}

static void sql_scope_add(struct planner *p, struct sql_scope *scope, json_t *ref, bool nullable);
static char **sql_select_columns(struct planner *p, const struct sql_scope *scope,
                                 const json_t *select, size_t *n);

static char *sql_scope_name(struct planner *p, const char *name)
{
    return name != NULL ? sql_keep(p, mem_strdup(name)) : NULL;
}

static struct sql_source *sql_source_new(struct planner *p, struct sql_scope *scope, json_t *ref,
                                         const char *alias, bool nullable)
{
    MEM_GROW(scope->sources, scope->cap, scope->n + 1);
    struct sql_source *source = &scope->sources[scope->n++];
    *source =
        (struct sql_source){.alias = sql_scope_name(p, alias), .ref = ref, .nullable = nullable};
    return source;
}

static void sql_source_columns(struct planner *p, struct sql_source *source, size_t n)
{
    source->n = n;
    source->columns = sql_keep(p, mem_calloc(n + 1, sizeof *source->columns));
    source->types = sql_keep(p, mem_calloc(n + 1, sizeof *source->types));
    source->classes = sql_keep(p, mem_calloc(n + 1, sizeof *source->classes));
    source->known = true;
}

/* t AS a(x, y): the first columns have other names. */
static void sql_source_rename(struct planner *p, struct sql_source *source)
{
    const json_t *names = json_object_get(source->ref, "column_name_alias");
    for (size_t i = 0; i < json_array_size(names) && i < source->n; i++)
        source->columns[i] = sql_scope_name(p, json_string_value(json_array_get(names, i)));
}

static void sql_scope_table(struct planner *p, struct sql_scope *scope, json_t *ref, bool nullable)
{
    const char *alias = sql_ast_text(ref, "alias");
    if (alias[0] == '\0')
        alias = sql_ast_text(ref, "table_name");
    struct sql_source *source = sql_source_new(p, scope, ref, alias, nullable);
    const json_t *table = json_object_get(ref, "_table");
    const json_t *columns = json_object_get(ref, "_columns");
    const json_t *types = json_object_get(ref, "_types");
    const json_t *classes = json_object_get(ref, "_classes");
    if (json_is_integer(table)) {
        const struct sql_table *t = &p->tables[json_integer_value(table)];
        sql_source_columns(p, source, t->columns_n);
        for (size_t i = 0; i < t->columns_n; i++) {
            source->columns[i] = (char *)t->columns[i].name;
            source->types[i] = (char *)t->columns[i].type;
            source->classes[i] = sql_class_of_type(t->columns[i].type);
        }
    } else if (json_is_array(columns)) {
        sql_source_columns(p, source, json_array_size(columns));
        for (size_t i = 0; i < source->n; i++)
            source->columns[i] = sql_scope_name(p, json_string_value(json_array_get(columns, i)));
        for (size_t i = 0; i < source->n && classes != NULL; i++) {
            source->types[i] = sql_scope_name(p, json_string_value(json_array_get(types, i)));
            source->classes[i] = (enum sql_class)json_integer_value(json_array_get(classes, i));
        }
    }
    sql_source_rename(p, source);
}

/* Classes of the columns of a subquery, as far as they are plain to see; `inner` is its FROM. */
static void sql_scope_classes(struct sql_source *source, const struct sql_scope *inner,
                              const json_t *query)
{
    const json_t *list = json_object_get(query, "select_list");
    if (json_array_size(list) != source->n)
        return;
    for (size_t i = 0; i < source->n; i++) {
        const json_t *item = json_array_get(list, i);
        source->classes[i] = sql_class_of(inner, item);
        size_t s, c;
        if (sql_ast_is(item, "class", "COLUMN_REF") &&
            sql_resolve(inner, item, &s, &c) == SQL_FOUND)
            source->types[i] = inner->sources[s].types[c];
    }
}

/* The names and the classes come from one scope of the subquery: each level of a nest that opened
 * two would double the work of all below it. */
static void sql_scope_subquery(struct planner *p, struct sql_scope *scope, json_t *ref,
                               bool nullable)
{
    const char *alias = sql_ast_text(ref, "alias");
    struct sql_source made = *sql_source_new(p, scope, ref, alias, nullable);
    size_t at = scope->n - 1;
    json_t *query = json_object_get(json_object_get(ref, "subquery"), "node");
    bool plain = sql_ast_is(query, "type", "SELECT_NODE");
    struct sql_scope inner = {0};
    if (plain)
        sql_scope_init(p, &inner, json_object_get(query, "from_table"));
    size_t n = 0;
    char **names =
        plain ? sql_select_columns(p, &inner, query, &n) : sql_query_columns(p, query, &n);
    if (names != NULL) {
        sql_source_columns(p, &made, n);
        for (size_t i = 0; i < n; i++)
            made.columns[i] = sql_scope_name(p, names[i]);
        if (plain)
            sql_scope_classes(&made, &inner, query);
        sql_source_rename(p, &made);
        scope->sources[at] = made;
    }
    sql_scope_done(&inner);
}

static void sql_scope_join(struct planner *p, struct sql_scope *scope, json_t *ref, bool nullable)
{
    const char *type = sql_ast_text(ref, "join_type");
    bool outer = strcmp(type, "OUTER") == 0 || strcmp(type, "FULL") == 0;
    sql_scope_add(p, scope, json_object_get(ref, "left"),
                  nullable || outer || strcmp(type, "RIGHT") == 0);
    size_t before = scope->n;
    sql_scope_add(p, scope, json_object_get(ref, "right"),
                  nullable || outer || strcmp(type, "LEFT") == 0);
    if (!scope->semi && (strcmp(type, "SEMI") == 0 || strcmp(type, "ANTI") == 0))
        scope->n = before; /* the right side gives no columns */
    if (sql_ast_is(ref, "ref_type", "NATURAL"))
        scope->natural = true;
    const json_t *shared = json_object_get(ref, "using_columns");
    for (size_t i = 0; i < json_array_size(shared); i++) {
        MEM_GROW(scope->shared, scope->shared_cap, scope->shared_n + 1);
        scope->shared[scope->shared_n++] =
            sql_scope_name(p, json_string_value(json_array_get(shared, i)));
    }
}

static void sql_scope_add(struct planner *p, struct sql_scope *scope, json_t *ref, bool nullable)
{
    const char *type = sql_ast_text(ref, "type");
    if (strcmp(type, "BASE_TABLE") == 0)
        sql_scope_table(p, scope, ref, nullable);
    else if (strcmp(type, "SUBQUERY") == 0)
        sql_scope_subquery(p, scope, ref, nullable);
    else if (strcmp(type, "JOIN") == 0)
        sql_scope_join(p, scope, ref, nullable);
    else if (strcmp(type, "EMPTY") != 0)
        sql_source_new(p, scope, ref, sql_ast_text(ref, "alias"), nullable);
}

static void sql_scope_fill(struct planner *p, struct sql_scope *scope, json_t *from)
{
    p->plan->scopes++;
    sql_scope_add(p, scope, from, false);
    scope->known = true;
    for (size_t i = 0; i < scope->n; i++)
        scope->known &= scope->sources[i].known;
}

void sql_scope_init(struct planner *p, struct sql_scope *scope, json_t *from)
{
    *scope = (struct sql_scope){0};
    sql_scope_fill(p, scope, from);
}

void sql_scope_init_all(struct planner *p, struct sql_scope *scope, json_t *from)
{
    *scope = (struct sql_scope){.semi = true};
    sql_scope_fill(p, scope, from);
}

void sql_scope_done(struct sql_scope *scope)
{
    free(scope->sources);
    free(scope->shared);
    *scope = (struct sql_scope){0};
}

static bool sql_scope_shares(const struct sql_scope *scope, const char *name)
{
    for (size_t i = 0; i < scope->shared_n; i++) {
        if (sql_same(scope->shared[i], name))
            return true;
    }
    return false;
}

/* How many sources have the column; the last one in *source, *column. */
static size_t sql_scope_count(const struct sql_scope *scope, const char *name, size_t *source,
                              size_t *column)
{
    size_t found = 0;
    for (size_t s = 0; s < scope->n; s++) {
        for (size_t c = 0; c < scope->sources[s].n; c++) {
            if (scope->sources[s].columns[c] != NULL &&
                sql_same(scope->sources[s].columns[c], name)) {
                *source = s;
                *column = c;
                found++;
                break;
            }
        }
    }
    return found;
}

enum sql_found sql_resolve(const struct sql_scope *scope, const json_t *ref, size_t *source,
                           size_t *column)
{
    const json_t *names = json_object_get(ref, "column_names");
    size_t n = json_array_size(names);
    const char *first = json_string_value(json_array_get(names, 0));
    if (first == NULL)
        return SQL_FOUND_MAYBE;
    for (size_t s = 0; n == 2 && s < scope->n; s++) {
        const struct sql_source *from = &scope->sources[s];
        if (from->alias[0] == '\0' || !sql_same(from->alias, first))
            continue;
        const char *name = json_string_value(json_array_get(names, 1));
        for (size_t c = 0; c < from->n; c++) {
            if (from->columns[c] != NULL && sql_same(from->columns[c], name)) {
                *source = s;
                *column = c;
                return SQL_FOUND;
            }
        }
        return from->known ? SQL_FOUND_MAYBE : SQL_FOUND_MANY;
    }
    size_t found = sql_scope_count(scope, first, source, column);
    if (found == 1 && n == 1 && !sql_scope_shares(scope, first))
        return SQL_FOUND;
    if (found >= 1)
        return SQL_FOUND_MANY;
    for (size_t s = 0; s < scope->n; s++) {
        if (scope->sources[s].alias[0] != '\0' && sql_same(scope->sources[s].alias, first))
            return SQL_FOUND_MANY; /* a whole row, or table.column.field */
    }
    return scope->known && n == 1 ? SQL_FOUND_NOT : SQL_FOUND_MAYBE;
}

/* Names of columns. */

bool sql_is_plain_star(const json_t *item)
{
    return sql_ast_is(item, "class", "STAR") && !json_is_true(json_object_get(item, "columns")) &&
           json_array_size(json_object_get(item, "exclude_list")) == 0 &&
           json_array_size(json_object_get(item, "replace_list")) == 0 &&
           json_array_size(json_object_get(item, "qualified_exclude_list")) == 0 &&
           json_array_size(json_object_get(item, "rename_list")) == 0 &&
           !json_is_object(json_object_get(item, "expr"));
}

static char *sql_name_of_call(struct planner *p, const json_t *call)
{
    if (json_is_true(json_object_get(call, "is_operator")) ||
        json_is_true(json_object_get(call, "distinct")) ||
        json_is_object(json_object_get(call, "filter")) ||
        sql_ast_text(call, "schema")[0] != '\0' ||
        json_array_size(json_object_get(json_object_get(call, "order_bys"), "orders")) > 0)
        return NULL;
    char *name = mem_printf("%s(", sql_ast_text(call, "function_name"));
    const json_t *children = json_object_get(call, "children");
    for (size_t i = 0; i < json_array_size(children); i++) {
        const json_t *child = json_array_get(children, i);
        char *part = sql_ast_is(child, "class", "COLUMN_REF") &&
                             json_array_size(json_object_get(child, "column_names")) == 1
                         ? sql_name_of(p, child)
                         : NULL;
        for (const char *c = part; c != NULL && *c != '\0'; c++) {
            if (!((*c >= 'a' && *c <= 'z') || *c == '_' || (c > part && *c >= '0' && *c <= '9'))) {
                part = NULL; /* DuckDB would quote it */
                break;
            }
        }
        char *more = part != NULL ? mem_printf("%s%s%s", name, i > 0 ? ", " : "", part) : NULL;
        free(name);
        name = more;
        if (name == NULL)
            return NULL;
    }
    char *whole = mem_printf("%s)", name);
    free(name);
    return sql_keep(p, whole);
}

char *sql_name_of(struct planner *p, const json_t *expression)
{
    if (sql_ast_is(expression, "class", "COLUMN_REF")) {
        const json_t *names = json_object_get(expression, "column_names");
        const char *last = json_string_value(json_array_get(names, json_array_size(names) - 1));
        return last != NULL ? sql_keep(p, mem_strdup(last)) : NULL;
    }
    if (sql_ast_is(expression, "class", "FUNCTION"))
        return sql_name_of_call(p, expression);
    return NULL;
}

/* Appends what a star stands for; false when that isn't known. */
static bool sql_star_columns(const struct sql_scope *scope, const json_t *star, char ***names,
                             size_t *n, size_t *cap)
{
    const char *relation = sql_ast_text(star, "relation_name");
    if (!sql_is_plain_star(star) || scope->natural || scope->shared_n > 0 || !scope->known)
        return false;
    bool any = false;
    for (size_t s = 0; s < scope->n; s++) {
        const struct sql_source *source = &scope->sources[s];
        if (relation[0] != '\0' && !sql_same(relation, source->alias))
            continue;
        any = true;
        for (size_t c = 0; c < source->n; c++) {
            MEM_GROW(*names, *cap, *n + 1);
            (*names)[(*n)++] = source->columns[c];
        }
    }
    return any;
}

/* Names of the columns of a SELECT whose FROM is `scope`; NULL when they aren't certain. */
static char **sql_select_columns(struct planner *p, const struct sql_scope *scope,
                                 const json_t *select, size_t *n)
{
    char **names = NULL;
    size_t cap = 0;
    bool known = true;
    *n = 0;
    const json_t *list = json_object_get(select, "select_list");
    for (size_t i = 0; i < json_array_size(list) && known; i++) {
        const json_t *item = json_array_get(list, i);
        const char *alias = sql_ast_text(item, "alias");
        if (sql_ast_is(item, "class", "STAR")) {
            known = sql_star_columns(scope, item, &names, n, &cap);
            continue;
        }
        MEM_GROW(names, cap, *n + 1);
        names[(*n)++] = alias[0] != '\0' ? (char *)alias : sql_name_of(p, item);
        known = !sql_has_unnest(item);
    }
    for (size_t i = 0; i < *n && known; i++) {
        for (size_t j = i + 1; j < *n && names[i] != NULL; j++) {
            if (names[j] != NULL && sql_same(names[i], names[j]))
                known = false; /* DuckDB gives the second another name */
        }
    }
    if (!known) {
        free(names);
        return NULL;
    }
    return sql_keep(p, names != NULL ? names : mem_zalloc(sizeof *names));
}

char **sql_query_columns(struct planner *p, json_t *query, size_t *n)
{
    if (sql_ast_is(query, "type", "SELECT_NODE")) {
        struct sql_scope scope;
        sql_scope_init(p, &scope, json_object_get(query, "from_table"));
        char **names = sql_select_columns(p, &scope, query, n);
        sql_scope_done(&scope);
        return names;
    }
    if (sql_ast_is(query, "type", "SET_OPERATION_NODE") &&
        !sql_ast_is(query, "setop_type", "UNION_BY_NAME"))
        return sql_query_columns(p, json_object_get(query, "left"), n);
    return NULL;
}

/* Whether a query looks outside. */

struct sql_chain {
    const struct sql_scope *scope;
    const json_t *select; /* its aliases count too */
    const struct sql_chain *outer;
    size_t depth; /* 1: the outermost */
};

struct sql_outside {
    struct planner *p;
    const struct sql_chain *chain;
    size_t depth; /* of the outermost that was named so far; 0: outside of all, or not certain */
};

static bool sql_has_alias(const json_t *select, const char *name)
{
    const json_t *list = json_object_get(select, "select_list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (sql_same(sql_ast_text(json_array_get(list, i), "alias"), name))
            return true;
    }
    return false;
}

static void sql_outside_ref(struct sql_outside *o, const json_t *ref)
{
    const json_t *names = json_object_get(ref, "column_names");
    const char *first = json_string_value(json_array_get(names, 0));
    for (const struct sql_chain *chain = o->chain; chain != NULL; chain = chain->outer) {
        size_t s, c;
        enum sql_found found = sql_resolve(chain->scope, ref, &s, &c);
        bool here = found == SQL_FOUND || found == SQL_FOUND_MANY;
        if (found == SQL_FOUND_MAYBE)
            break;
        if (here || (first != NULL && sql_has_alias(chain->select, first))) {
            if (chain->depth < o->depth)
                o->depth = chain->depth;
            return;
        }
    }
    o->depth = 0;
}

static bool sql_outside_visit(json_t *object, void *ctx);

static void sql_outside_parts(struct sql_outside *o, json_t *query)
{
    if (!sql_ast_is(query, "type", "SELECT_NODE")) {
        /* ORDER BY of a set operation names columns of its result. */
        sql_ast_walk(json_object_get(query, "left"), sql_outside_visit, o);
        sql_ast_walk(json_object_get(query, "right"), sql_outside_visit, o);
        if (!sql_ast_is(query, "type", "SET_OPERATION_NODE"))
            o->depth = 0;
        return;
    }
    struct sql_scope scope;
    json_t *from = json_object_get(query, "from_table");
    sql_scope_init(o->p, &scope, from);
    struct sql_chain chain = {&scope, query, o->chain, o->chain != NULL ? o->chain->depth + 1 : 1};
    o->chain = &chain;
    sql_ast_walk(from, sql_outside_visit, o);
    for (size_t i = 0; sql_clauses[i] != NULL; i++)
        sql_ast_walk(json_object_get(query, sql_clauses[i]), sql_outside_visit, o);
    o->chain = chain.outer;
    sql_scope_done(&scope);
}

/* What is within a query that looks outside may still stand alone, and is marked: each level of a
 * nest asks, and only the first one looks through all that is below it. */
static void sql_outside_query(struct sql_outside *o, json_t *query)
{
    size_t before = o->depth, around = o->chain != NULL ? o->chain->depth : 0;
    o->depth = SIZE_MAX;
    sql_outside_parts(o, query);
    if (o->depth > around)
        json_object_set_new(query, "_alone", json_true());
    if (before < o->depth)
        o->depth = before;
}

static bool sql_outside_visit(json_t *object, void *ctx)
{
    struct sql_outside *o = ctx;
    if (sql_ast_is_query(object)) {
        if (!json_is_true(json_object_get(object, "_alone")))
            sql_outside_query(o, object);
        return false;
    }
    if (sql_ast_is(object, "class", "COLUMN_REF"))
        sql_outside_ref(o, object);
    return true;
}

bool sql_is_correlated(struct planner *p, json_t *query)
{
    if (json_is_true(json_object_get(query, "_alone")))
        return false;
    struct sql_outside o = {.p = p, .depth = SIZE_MAX};
    sql_outside_query(&o, query);
    return o.depth == 0;
}
