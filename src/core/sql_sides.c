/* Takes a block apart for a join by hash: its sides, and what is equal in all rows that matter. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/sql_shuffle.h"

/* ---- small things ---------------------------------------------------------------------------- */

void sql_conjuncts_take(json_t *condition, struct sql_conjuncts *out)
{
    if (!json_is_object(condition))
        return;
    const json_t *children = json_object_get(condition, "children");
    if (sql_ast_is(condition, "type", "CONJUNCTION_AND")) {
        for (size_t i = 0; i < json_array_size(children); i++)
            sql_conjuncts_take(json_array_get(children, i), out);
        return;
    }
    MEM_GROW(out->list, out->cap, out->n + 1);
    out->list[out->n++] = condition;
}

bool sql_join_is_inner(const json_t *join)
{
    return sql_ast_is(join, "join_type", "INNER") &&
           (sql_ast_is(join, "ref_type", "REGULAR") || sql_ast_is(join, "ref_type", "CROSS"));
}

struct sql_only {
    const struct sql_scope *scope;
    size_t source; /* SIZE_MAX: none so far */
    bool failed;
};

static bool sql_only_visit(json_t *object, void *ctx)
{
    struct sql_only *only = ctx;
    size_t s, c;
    if (sql_ast_is_query(object) || sql_ast_is(object, "class", "LAMBDA") ||
        sql_ast_is(object, "class", "STAR") || sql_ast_is(object, "class", "SUBQUERY"))
        only->failed = true;
    if (!only->failed && sql_ast_is(object, "class", "COLUMN_REF")) {
        only->failed = sql_resolve(only->scope, object, &s, &c) != SQL_FOUND ||
                       (only->source != SIZE_MAX && only->source != s);
        if (!only->failed)
            only->source = s;
    }
    return !only->failed;
}

size_t sql_only_source(const struct sql_scope *scope, json_t *expression)
{
    struct sql_only only = {scope, SIZE_MAX, false};
    sql_ast_walk(expression, sql_only_visit, &only);
    return only.failed ? SIZE_MAX : only.source;
}

/* ---- sides ----------------------------------------------------------------------------------- */

static bool sql_is_heavy_side(const struct sql_sides *sides, uint64_t bytes)
{
    return bytes > sides->p->options->broadcast_bytes;
}

static bool sql_names_known(const struct sql_source *source)
{
    for (size_t i = 0; i < source->n; i++) {
        if (source->columns[i] == NULL || source->columns[i][0] == '\x01')
            return false;
    }
    return source->known;
}

/* A WITH that stands in several places is one stage that all of them read. */
static bool sql_is_shared(const struct sql_sides *sides, const json_t *ref, json_t *query)
{
    const json_t *cte = json_object_get(ref, "_cte");
    return json_is_integer(cte) && sides->p->ctes[json_integer_value(cte)].uses > 1 &&
           !sql_is_simple(query);
}

static struct sql_side *sql_side_new(struct sql_sides *sides, json_t *ref, json_t *select,
                                     const struct sql_scope *scope, size_t source)
{
    if (sides->n == SQL_SIDES_MAX)
        return NULL;
    struct sql_side *side = &sides->sides[sides->n++];
    *side = (struct sql_side){.ref = ref, .select = select, .scope = scope, .source = source};
    return side;
}

static void sql_side_weigh(struct sql_sides *sides, struct sql_side *side)
{
    const struct sql_source *source = &side->scope->sources[side->source];
    json_t *ref = side->ref;
    side->odd = !sql_ast_is(ref, "type", "BASE_TABLE");
    if (sql_ast_is(ref, "type", "BASE_TABLE") && json_is_integer(json_object_get(ref, "_table")) &&
        json_object_get(ref, "_view") == NULL) {
        side->usable = sql_names_known(source) && source->n > 0;
        side->bytes = sql_estimate_columns(
            sides, ref, sql_table_bytes(sides->p, ref, side->select, side->scope));
    } else if (sql_ast_is(ref, "type", "SUBQUERY")) {
        json_t *query = json_object_get(json_object_get(ref, "subquery"), "node");
        bool alone = sql_ast_is_query(query) && !sql_is_correlated(sides->p, query) &&
                     !sql_is_shared(sides, ref, query);
        side->odd = !sql_ast_is_query(query) || sql_is_correlated(sides->p, query);
        side->usable = alone && sql_names_known(source) && source->n > 0;
        side->bytes = alone ? sql_estimate_query(sides, query) : 0;
    }
    side->heavy = side->usable && sql_is_heavy_side(sides, side->bytes);
}

/* Sides are in the order of the scope's sources. False: a join that can't be dealt. */
static bool sql_sides_from(struct sql_sides *sides, json_t *ref, bool hidden)
{
    if (sql_ast_is(ref, "type", "EMPTY"))
        return true;
    if (!sql_ast_is(ref, "type", "JOIN")) {
        struct sql_side *side = sql_side_new(sides, ref, sides->select, &sides->scope, sides->n);
        if (side == NULL || sides->n > sides->scope.n)
            return false;
        side->hidden = hidden || sides->scope.sources[side->source].nullable;
        sql_side_weigh(sides, side);
        return true;
    }
    const char *type = sql_ast_text(ref, "join_type");
    bool semi = strcmp(type, "SEMI") == 0 || strcmp(type, "ANTI") == 0;
    if (!sql_ast_is(ref, "ref_type", "REGULAR") && !sql_ast_is(ref, "ref_type", "CROSS"))
        return false;
    return sql_sides_from(sides, json_object_get(ref, "left"), hidden) &&
           sql_sides_from(sides, json_object_get(ref, "right"), hidden || semi);
}

/* ---- terms ----------------------------------------------------------------------------------- */

static const char *sql_term_type(const struct sql_scope *scope, const json_t *expression)
{
    size_t s, c;
    if (sql_ast_is(expression, "class", "COLUMN_REF"))
        return sql_resolve(scope, expression, &s, &c) == SQL_FOUND ? scope->sources[s].types[c]
                                                                   : NULL;
    if (sql_ast_is(expression, "class", "CAST") &&
        !json_is_true(json_object_get(expression, "try_cast"))) {
        const json_t *type = json_object_get(expression, "cast_type");
        return json_is_object(json_object_get(type, "type_info")) ? NULL : sql_ast_text(type, "id");
    }
    return NULL;
}

/* The term of a side, known or new. Its text has the column's place instead of its name, so that
 * "k" and "t.k" are one. */
static size_t sql_term_take(struct sql_sides *sides, size_t side, const struct sql_scope *scope,
                            const json_t *expression)
{
    size_t s, c;
    char *key = sql_ast_is(expression, "class", "COLUMN_REF") &&
                        sql_resolve(scope, expression, &s, &c) == SQL_FOUND
                    ? mem_printf("%zu", c)
                    : sql_ast_key(expression);
    for (size_t i = 0; i < sides->terms_n; i++) {
        if (sides->terms[i].side == side && strcmp(sides->terms[i].key, key) == 0) {
            free(key);
            return i;
        }
    }
    MEM_GROW(sides->terms, sides->terms_cap, sides->terms_n + 1);
    json_t *copy = sql_ast_alias(json_deep_copy(expression), "");
    sides->terms[sides->terms_n] = (struct sql_term){
        side, copy, key, sql_term_type(scope, expression), sql_class_of(scope, expression)};
    return sides->terms_n++;
}

static void sql_equality_add(struct sql_sides *sides, size_t a, size_t b, const json_t *place)
{
    if (sides->equalities_n < SQL_EQUALITIES_MAX && sides->terms[a].side != sides->terms[b].side)
        sides->equalities[sides->equalities_n++] = (struct sql_equality){a, b, place};
}

static void sql_equality_of(struct sql_sides *sides, json_t *conjunct, const json_t *place);

/* (e AND ...) OR (e AND ...): what stands in each of them. */
static void sql_equality_of_or(struct sql_sides *sides, json_t *either, const json_t *place)
{
    const json_t *branches = json_object_get(either, "children");
    struct sql_conjuncts first = {0};
    sql_conjuncts_take(json_array_get(branches, 0), &first);
    for (size_t i = 0; i < first.n; i++) {
        bool all = sql_ast_is(first.list[i], "type", "COMPARE_EQUAL");
        char *key = all ? sql_ast_key(first.list[i]) : NULL;
        for (size_t b = 1; b < json_array_size(branches) && all; b++) {
            struct sql_conjuncts other = {0};
            sql_conjuncts_take(json_array_get(branches, b), &other);
            all = false;
            for (size_t k = 0; k < other.n && !all; k++) {
                char *its = sql_ast_key(other.list[k]);
                all = strcmp(its, key) == 0;
                free(its);
            }
            free(other.list);
        }
        free(key);
        if (all)
            sql_equality_of(sides, first.list[i], place);
    }
    free(first.list);
}

static void sql_equality_of(struct sql_sides *sides, json_t *conjunct, const json_t *place)
{
    if (sql_ast_is(conjunct, "type", "CONJUNCTION_OR"))
        sql_equality_of_or(sides, conjunct, place);
    if (!sql_ast_is(conjunct, "type", "COMPARE_EQUAL"))
        return;
    json_t *left = json_object_get(conjunct, "left");
    json_t *right = json_object_get(conjunct, "right");
    size_t l = sql_only_source(&sides->scope, left);
    size_t r = sql_only_source(&sides->scope, right);
    if (l == SIZE_MAX || r == SIZE_MAX || l == r)
        return;
    size_t a = sql_term_take(sides, l, &sides->scope, left);
    size_t b = sql_term_take(sides, r, &sides->scope, right);
    sql_equality_add(sides, a, b, place);
}

/* Leaves of a table reference are sides from *at on. */
static size_t sql_leaves_below(const json_t *ref)
{
    if (sql_ast_is(ref, "type", "EMPTY"))
        return 0;
    if (!sql_ast_is(ref, "type", "JOIN"))
        return 1;
    return sql_leaves_below(json_object_get(ref, "left")) +
           sql_leaves_below(json_object_get(ref, "right"));
}

/* USING (c): the one side on the left that has it, and the one on the right. */
static size_t sql_using_side(const struct sql_sides *sides, size_t first, size_t end,
                             const char *name, size_t *column)
{
    size_t found = SIZE_MAX;
    for (size_t s = first; s < end; s++) {
        const struct sql_source *source = &sides->scope.sources[s];
        for (size_t c = 0; c < source->n; c++) {
            if (!sql_same(source->columns[c], name))
                continue;
            if (found != SIZE_MAX)
                return SIZE_MAX;
            found = s;
            *column = c;
        }
    }
    return found;
}

static void sql_equality_using(struct sql_sides *sides, const json_t *join, size_t first)
{
    const json_t *names = json_object_get(join, "using_columns");
    size_t middle = first + sql_leaves_below(json_object_get(join, "left"));
    size_t end = middle + sql_leaves_below(json_object_get(join, "right"));
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        size_t column, terms[2];
        size_t both[2] = {sql_using_side(sides, first, middle, name, &column),
                          sql_using_side(sides, middle, end, name, &column)};
        for (size_t k = 0; k < 2 && both[0] != SIZE_MAX && both[1] != SIZE_MAX; k++) {
            const char *alias = sides->scope.sources[both[k]].alias;
            json_t *ref = sql_ast_column_of(alias, name);
            terms[k] = sql_term_take(sides, both[k], &sides->scope, ref);
            json_decref(ref);
            if (k == 1 && alias[0] != '\0')
                sql_equality_add(sides, terms[0], terms[1], join);
        }
    }
}

static void sql_equalities_from(struct sql_sides *sides, json_t *ref, size_t first)
{
    if (!sql_ast_is(ref, "type", "JOIN"))
        return;
    json_t *left = json_object_get(ref, "left");
    sql_equalities_from(sides, left, first);
    sql_equalities_from(sides, json_object_get(ref, "right"), first + sql_leaves_below(left));
    struct sql_conjuncts on = {0};
    sql_conjuncts_take(json_object_get(ref, "condition"), &on);
    for (size_t i = 0; i < on.n; i++)
        sql_equality_of(sides, on.list[i], ref);
    free(on.list);
    sql_equality_using(sides, ref, first);
}

/* ---- subqueries of WHERE --------------------------------------------------------------------- */

/* Every column is of the block, and none could be of the subquery. */
static bool sql_outer_visit(json_t *object, void *ctx)
{
    struct sql_only *only = ctx;
    const json_t *names = json_object_get(object, "column_names");
    if (!sql_ast_is(object, "class", "COLUMN_REF"))
        return true;
    for (size_t s = 0; s < only->scope->n; s++) {
        const struct sql_source *source = &only->scope->sources[s];
        const char *name = json_string_value(json_array_get(names, 0));
        only->failed |= !source->known || sql_same(source->alias, name);
        for (size_t c = 0; c < source->n; c++)
            only->failed |= sql_same(source->columns[c], name);
    }
    return !only->failed;
}

static size_t sql_outer_source(const struct sql_sides *sides, const struct sql_scope *inner,
                               json_t *expression)
{
    struct sql_only outside = {inner, SIZE_MAX, false};
    sql_ast_walk(expression, sql_outer_visit, &outside);
    return outside.failed ? SIZE_MAX : sql_only_source(&sides->scope, expression);
}

static bool sql_all_inner(const json_t *ref)
{
    if (!sql_ast_is(ref, "type", "JOIN"))
        return true;
    return sql_join_is_inner(ref) && sql_all_inner(json_object_get(ref, "left")) &&
           sql_all_inner(json_object_get(ref, "right"));
}

/* inner = outer, in the WHERE of a subquery. */
static void sql_correlation_of(struct sql_sides *sides, json_t *subquery,
                               const struct sql_scope *inner, size_t first, json_t *conjunct)
{
    if (!sql_ast_is(conjunct, "type", "COMPARE_EQUAL"))
        return;
    json_t *both[2] = {json_object_get(conjunct, "left"), json_object_get(conjunct, "right")};
    for (size_t i = 0; i < 2; i++) {
        size_t own = sql_only_source(inner, both[i]);
        size_t outer = sql_outer_source(sides, inner, both[1 - i]);
        if (own == SIZE_MAX || outer == SIZE_MAX)
            continue;
        size_t a = sql_term_take(sides, first + own, inner, both[i]);
        size_t b = sql_term_take(sides, outer, &sides->scope, both[1 - i]);
        sql_equality_add(sides, a, b, subquery);
    }
}

static void sql_sides_leaves(struct sql_sides *sides, json_t *ref, json_t *select, json_t *subquery,
                             const struct sql_scope *scope, size_t first)
{
    if (sql_ast_is(ref, "type", "JOIN")) {
        sql_sides_leaves(sides, json_object_get(ref, "left"), select, subquery, scope, first);
        sql_sides_leaves(sides, json_object_get(ref, "right"), select, subquery, scope, first);
        return;
    }
    struct sql_side *side = sql_side_new(sides, ref, select, scope, sides->n - first);
    side->subquery = subquery;
    side->hidden = true;
    if (sql_ast_is(ref, "type", "BASE_TABLE"))
        sql_side_weigh(sides, side);
}

static void sql_sides_correlated(struct sql_sides *sides, json_t *subquery, json_t *query)
{
    json_t *from = json_object_get(query, "from_table");
    size_t leaves = sql_leaves_below(from);
    if (!sql_ast_is(query, "type", "SELECT_NODE") || !sql_all_inner(from) || leaves == 0 ||
        sql_ast_is(from, "type", "EMPTY") || sides->n + leaves > SQL_SIDES_MAX ||
        sides->inner_n == SQL_SIDES_MAX)
        return;
    struct sql_scope *inner = mem_alloc(sizeof *inner);
    sql_scope_init(sides->p, inner, from);
    sides->inner[sides->inner_n++] = inner;
    if (!inner->known || inner->n != leaves)
        return;
    size_t first = sides->n;
    sql_sides_leaves(sides, from, query, subquery, inner, first);
    struct sql_conjuncts where = {0};
    sql_conjuncts_take(json_object_get(query, "where_clause"), &where);
    for (size_t i = 0; i < where.n; i++)
        sql_correlation_of(sides, subquery, inner, first, where.list[i]);
    free(where.list);
}

/* x IN (SELECT ...) that looks at nothing outside: a conjunct, so that NULL is as good as false. */
static void sql_sides_in(struct sql_sides *sides, json_t *subquery, json_t *query)
{
    json_t *child = json_object_get(subquery, "child");
    size_t outer = sql_only_source(&sides->scope, child);
    const json_t *item = json_array_get(json_object_get(query, "select_list"), 0);
    if (outer == SIZE_MAX || !sql_ast_is(query, "type", "SELECT_NODE") ||
        json_array_size(json_object_get(query, "select_list")) != 1 ||
        sql_ast_is(item, "class", "STAR") || sides->n == SQL_SIDES_MAX ||
        sides->inner_n == SQL_SIDES_MAX)
        return;
    struct sql_scope *inner = mem_alloc(sizeof *inner);
    sql_scope_init(sides->p, inner, json_object_get(query, "from_table"));
    sides->inner[sides->inner_n++] = inner;
    struct sql_side *side = sql_side_new(sides, NULL, query, inner, 0);
    side->subquery = subquery;
    side->hidden = side->usable = true;
    side->bytes = sql_estimate_query(sides, query);
    side->heavy = sql_is_heavy_side(sides, side->bytes);
    size_t a = sql_term_take(sides, sides->n - 1, inner, item);
    size_t b = sql_term_take(sides, outer, &sides->scope, child);
    sql_equality_add(sides, a, b, subquery);
}

static bool sql_sides_subquery(json_t *object, void *ctx)
{
    struct sql_sides *sides = ctx;
    if (sql_ast_is_query(object))
        return false;
    if (!sql_ast_is(object, "class", "SUBQUERY"))
        return true;
    json_t *query = json_object_get(json_object_get(object, "subquery"), "node");
    if (sql_ast_is_query(query) && sql_is_correlated(sides->p, query))
        sql_sides_correlated(sides, object, query);
    return true;
}

static void sql_sides_where(struct sql_sides *sides)
{
    struct sql_conjuncts where = {0};
    sql_conjuncts_take(json_object_get(sides->select, "where_clause"), &where);
    for (size_t i = 0; i < where.n; i++) {
        json_t *conjunct = where.list[i];
        json_t *query = json_object_get(json_object_get(conjunct, "subquery"), "node");
        sql_equality_of(sides, conjunct, NULL);
        if (sql_ast_is(conjunct, "class", "SUBQUERY") &&
            sql_ast_is(conjunct, "subquery_type", "ANY") &&
            sql_ast_is(conjunct, "comparison_type", "COMPARE_EQUAL") && sql_ast_is_query(query) &&
            !sql_is_correlated(sides->p, query))
            sql_sides_in(sides, conjunct, query);
        else
            sql_ast_walk(conjunct, sql_sides_subquery, sides);
    }
    free(where.list);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static bool sql_sides_exists(json_t *object, void *ctx)
{
    (void)ctx;
    if (sql_ast_is(object, "class", "SUBQUERY"))
        sql_exists_shorten(object);
    return true;
}

bool sql_sides_take(struct planner *p, json_t *select, struct sql_sides *out)
{
    json_t *from = json_object_get(select, "from_table");
    sql_ast_walk(json_object_get(select, "where_clause"), sql_sides_exists, NULL);
    *out = (struct sql_sides){.p = p, .select = select, .used = json_object()};
    sql_scope_init_all(p, &out->scope, from);
    if (out->scope.natural)
        return false;
    sql_estimate_names(out, select);
    if (!sql_sides_from(out, from, false) || out->n != out->scope.n)
        return false;
    sql_equalities_from(out, from, 0);
    sql_sides_where(out);
    return true;
}

void sql_sides_done(struct sql_sides *sides)
{
    for (size_t i = 0; i < sides->terms_n; i++) {
        json_decref(sides->terms[i].expression);
        free(sides->terms[i].key);
    }
    free(sides->terms);
    for (size_t i = 0; i < sides->inner_n; i++) {
        sql_scope_done(sides->inner[i]);
        free(sides->inner[i]);
    }
    sql_scope_done(&sides->scope);
    json_decref(sides->used);
    *sides = (struct sql_sides){0};
}
