/* A block that joins by one thing after the other is taken apart: what can be joined by the first
 * goes into a subquery, and what named its columns names the subquery's. Inner joins may be done in
 * any order; of another join its left side may go as it is. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/sql_shuffle.h"

/* ---- references ------------------------------------------------------------------------------ */

struct sql_inside {
    const struct sql_scope *scope;
    const json_t *select; /* its aliases count too */
    const struct sql_inside *outer;
};

struct sql_rename {
    const struct sql_sides *sides;
    const struct sql_inside *inside; /* subqueries around */
    uint64_t sources;                /* those that are moved */
    uint64_t seen;                   /* those that are named */
    bool failed;
    bool dry;          /* only looks */
    const char *alias; /* of the subquery that they become */
    json_t *list;      /* its columns: places of sources and columns by name */
    json_t *names;
};

static bool sql_rename_has_alias(const json_t *select, const char *name)
{
    const json_t *list = json_object_get(select, "select_list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (sql_same(sql_ast_text(json_array_get(list, i), "alias"), name))
            return true;
    }
    return false;
}

/* Whether a column is of a subquery around; *failed when that isn't certain. */
static bool sql_rename_is_inside(const struct sql_rename *r, const json_t *ref, bool *failed)
{
    const json_t *names = json_object_get(ref, "column_names");
    const char *first = json_string_value(json_array_get(names, 0));
    for (const struct sql_inside *in = r->inside; in != NULL; in = in->outer) {
        size_t s, c;
        enum sql_found found = sql_resolve(in->scope, ref, &s, &c);
        if (found == SQL_FOUND || found == SQL_FOUND_MANY ||
            (json_array_size(names) == 1 && sql_rename_has_alias(in->select, first)))
            return true;
        for (s = 0; s < in->scope->n; s++)
            *failed |= !in->scope->sources[s].known;
    }
    return false;
}

/* The subquery's column for a source's, made when it is the first of its kind. */
static const char *sql_rename_column(struct sql_rename *r, size_t source, size_t column)
{
    const struct sql_source *from = &r->sides->scope.sources[source];
    char *key = mem_printf("%zu.%zu", source, column);
    const json_t *known = json_object_get(r->names, key);
    if (known == NULL) {
        char *name = sql_fresh(r->sides->p, "j", json_array_size(r->list));
        json_t *item = from->alias[0] != '\0'
                           ? sql_ast_column_of(from->alias, from->columns[column])
                           : sql_ast_column(from->columns[column]);
        json_array_append_new(r->list, sql_ast_alias(item, name));
        json_object_set_new(r->names, key, json_string(name));
        known = json_object_get(r->names, key);
    }
    free(key);
    return json_string_value(known);
}

static void sql_rename_ref(struct sql_rename *r, json_t *ref)
{
    size_t s, c;
    if (sql_rename_is_inside(r, ref, &r->failed) || r->failed)
        return;
    enum sql_found found = sql_resolve(&r->sides->scope, ref, &s, &c);
    if (found == SQL_FOUND_MANY || found == SQL_FOUND_MAYBE)
        r->failed = true;
    if (found != SQL_FOUND)
        return;
    r->seen |= UINT64_C(1) << s;
    if (r->dry || (r->sources & UINT64_C(1) << s) == 0)
        return;
    json_t *names = json_pack("[s,s]", r->alias, sql_rename_column(r, s, c));
    json_object_set_new(ref, "column_names", names);
}

static bool sql_rename_visit(json_t *object, void *ctx);

static void sql_rename_query(struct sql_rename *r, json_t *query)
{
    if (sql_ast_is(query, "type", "SET_OPERATION_NODE")) {
        sql_ast_walk(json_object_get(query, "left"), sql_rename_visit, r);
        sql_ast_walk(json_object_get(query, "right"), sql_rename_visit, r);
        return;
    }
    if (!sql_ast_is(query, "type", "SELECT_NODE")) {
        r->failed = true;
        return;
    }
    struct sql_scope scope;
    json_t *from = json_object_get(query, "from_table");
    sql_scope_init(r->sides->p, &scope, from);
    struct sql_inside inside = {&scope, query, r->inside};
    r->inside = &inside;
    sql_ast_walk(from, sql_rename_visit, r);
    for (size_t i = 0; sql_clauses[i] != NULL; i++)
        sql_ast_walk(json_object_get(query, sql_clauses[i]), sql_rename_visit, r);
    r->inside = inside.outer;
    sql_scope_done(&scope);
}

static bool sql_rename_visit(json_t *object, void *ctx)
{
    struct sql_rename *r = ctx;
    if (r->failed)
        return false;
    if (sql_ast_is_query(object)) {
        if (!json_is_true(json_object_get(object, "_alone")))
            sql_rename_query(r, object);
        return false;
    }
    r->failed |= sql_ast_is(object, "class", "LAMBDA") ||
                 (sql_ast_is(object, "class", "STAR") && r->inside == NULL) ||
                 json_array_size(json_object_get(object, "using_columns")) > 0;
    if (sql_ast_is(object, "class", "COLUMN_REF"))
        sql_rename_ref(r, object);
    return true;
}

/* Sources that an expression of the block names, also from within subqueries. All bits: not
 * certain.
 */
static uint64_t sql_sources_named(const struct sql_sides *sides, json_t *expression)
{
    struct sql_rename r = {.sides = sides, .dry = true};
    sql_ast_walk(expression, sql_rename_visit, &r);
    return r.failed ? UINT64_MAX : r.seen;
}

/* Items keep the names that they had; ORDER BY an alias stays what it is. False: one has a name
 * that isn't known, since DuckDB makes it of the text. */
static bool sql_rename_items(struct planner *p, json_t *select, bool top)
{
    json_t *list = json_object_get(select, "select_list");
    size_t n = json_array_size(list);
    char **texts = top ? sql_printed_items(p, p->printed, n) : NULL;
    for (size_t i = 0; i < n; i++) {
        json_t *item = json_array_get(list, i);
        if (sql_ast_text(item, "alias")[0] != '\0')
            continue;
        char *name = sql_name_of(p, item);
        if (texts != NULL && !sql_ast_is(item, "class", "COLUMN_REF"))
            name = texts[i];
        if (name == NULL)
            return false;
        sql_ast_alias(item, name);
    }
    return true;
}

static void sql_rename_clause(struct sql_rename *r, json_t *select, const char *clause)
{
    json_t *tree = json_object_get(select, clause);
    if (strcmp(clause, "modifiers") != 0) {
        sql_ast_walk(tree, sql_rename_visit, r);
        return;
    }
    for (size_t m = 0; m < json_array_size(tree); m++) {
        json_t *orders = json_object_get(json_array_get(tree, m), "orders");
        if (orders == NULL)
            sql_ast_walk(json_array_get(tree, m), sql_rename_visit, r);
        for (size_t i = 0; i < json_array_size(orders); i++) {
            json_t *e = json_object_get(json_array_get(orders, i), "expression");
            const json_t *names = json_object_get(e, "column_names");
            const char *first = json_string_value(json_array_get(names, 0));
            if (json_array_size(names) != 1 || !sql_rename_has_alias(select, first))
                sql_ast_walk(e, sql_rename_visit, r);
        }
    }
}

/* ---- what goes inside ------------------------------------------------------------------------ */

struct sql_nesting {
    const struct sql_sides *sides;
    uint64_t dealt;
    json_t **refs; /* of the inner joins at the top, or the two sides of another one */
    uint64_t *below;
    size_t n, cap;
    size_t next;
    struct sql_conjuncts conjuncts;
};

static uint64_t sql_nest_leaves(struct sql_nesting *n, json_t *ref)
{
    if (sql_ast_is(ref, "type", "EMPTY"))
        return 0;
    if (sql_ast_is(ref, "type", "JOIN")) {
        uint64_t left = sql_nest_leaves(n, json_object_get(ref, "left"));
        return left | sql_nest_leaves(n, json_object_get(ref, "right"));
    }
    return UINT64_C(1) << n->next++;
}

/* Inner joins at the top as a list, their conditions among the conjuncts. */
static void sql_nest_flatten(struct sql_nesting *n, json_t *ref)
{
    if (sql_ast_is(ref, "type", "JOIN") && sql_join_is_inner(ref) &&
        json_array_size(json_object_get(ref, "using_columns")) == 0) {
        sql_nest_flatten(n, json_object_get(ref, "left"));
        sql_nest_flatten(n, json_object_get(ref, "right"));
        sql_conjuncts_take(json_object_get(ref, "condition"), &n->conjuncts);
        return;
    }
    size_t cap = n->cap;
    MEM_GROW(n->refs, n->cap, n->n + 1);
    if (cap != n->cap)
        n->below = mem_reallocarray(n->below, n->cap, sizeof *n->below);
    n->refs[n->n] = ref;
    n->below[n->n] = sql_nest_leaves(n, ref);
    n->n++;
}

/* Light ones that are equal to something inside, and to nothing heavy outside. */
static uint64_t sql_nest_more(const struct sql_nesting *n, uint64_t inside)
{
    const struct sql_sides *sides = n->sides;
    for (size_t i = 0; i < n->n; i++) {
        bool joined = false, heavy = false;
        for (size_t s = 0; s < sides->n; s++)
            heavy |= (n->below[i] & UINT64_C(1) << s) != 0 && sides->sides[s].heavy;
        if (heavy || (n->below[i] & inside) != 0)
            continue;
        for (size_t e = 0; e < sides->equalities_n; e++) {
            uint64_t a = UINT64_C(1) << sides->terms[sides->equalities[e].a].side;
            uint64_t b = UINT64_C(1) << sides->terms[sides->equalities[e].b].side;
            if (((a | b) & n->below[i]) == 0 || sides->equalities[e].place != NULL)
                continue;
            uint64_t other = (a | b) & ~n->below[i];
            joined |= (other & inside) != 0;
            for (size_t s = 0; s < sides->n; s++)
                heavy |= (other & ~inside & UINT64_C(1) << s) != 0 && sides->sides[s].heavy;
        }
        if (joined && !heavy)
            inside |= n->below[i];
    }
    return inside;
}

static json_t *sql_nest_cross(json_t *left, json_t *right)
{
    if (left == NULL)
        return right;
    return json_pack("{s:s,s:s,s:n,s:o,s:o,s:n,s:s,s:s,s:[],s:b,s:[]}", "type", "JOIN", "alias", "",
                     "sample", "left", left, "right", right, "condition", "join_type", "INNER",
                     "ref_type", "CROSS", "using_columns", "delim_flipped", 0,
                     "duplicate_eliminated_columns");
}

struct sql_nest_search {
    const struct sql_nesting *n;
    bool dealt, heavy; /* a subquery that is dealt; a heavy one that is not */
};

static bool sql_nest_visit(json_t *object, void *ctx)
{
    struct sql_nest_search *search = ctx;
    const struct sql_nesting *n = search->n;
    for (size_t s = 0; s < n->sides->n; s++) {
        const struct sql_side *side = &n->sides->sides[s];
        bool dealt = (n->dealt & UINT64_C(1) << s) != 0;
        search->dealt |= side->subquery == object && dealt;
        search->heavy |= side->subquery == object && side->heavy && !dealt;
    }
    return true;
}

/* The FROM and WHERE of the subquery and of what stays. */
struct sql_nested {
    json_t *in_from, *in_where, *out_from, *out_where;
};

/* A conjunct with a subquery that is to be dealt by something else. */
static bool sql_nest_stays(const struct sql_nesting *n, json_t *conjunct)
{
    struct sql_nest_search search = {n, false, false};
    sql_ast_walk(conjunct, sql_nest_visit, &search);
    return search.heavy;
}

/* A conjunct with a subquery that is dealt by the same as the rest inside. */
static bool sql_nest_joins(const struct sql_nesting *n, json_t *conjunct)
{
    struct sql_nest_search search = {n, false, false};
    sql_ast_walk(conjunct, sql_nest_visit, &search);
    return search.dealt;
}

static bool sql_nest_inner(struct sql_nesting *n, uint64_t inside, struct sql_nested *out)
{
    uint64_t whole = 0;
    size_t joined =
        0; /* what goes inside has to join something, else the next look finds the same */
    bool stays = false;
    for (size_t i = 0; i < n->n; i++) {
        whole |= (n->below[i] & inside) != 0 ? n->below[i] : 0;
        joined += (n->below[i] & inside) != 0;
    }
    for (size_t i = 0; i < n->conjuncts.n; i++)
        stays |= sql_nest_stays(n, n->conjuncts.list[i]);
    if (whole != inside || (whole == UINT64_MAX >> (64 - n->next) && !stays))
        return false; /* a part of an outer join; or nothing would stay */
    for (size_t i = 0; i < n->n; i++) {
        json_t **from = (n->below[i] & inside) != 0 ? &out->in_from : &out->out_from;
        *from = sql_nest_cross(*from, json_incref(n->refs[i]));
    }
    for (size_t i = 0; i < n->conjuncts.n; i++) {
        json_t *conjunct = n->conjuncts.list[i];
        uint64_t named = sql_sources_named(n->sides, conjunct);
        bool in = named != 0 && (named & ~inside) == 0 && !sql_nest_stays(n, conjunct);
        joined += in && sql_nest_joins(n, conjunct);
        json_t **where = in ? &out->in_where : &out->out_where;
        *where = sql_ast_and(*where, json_incref(conjunct));
    }
    return joined > 1;
}

/* Of an outer join at the top the left side, when it is a join itself. */
static bool sql_nest_left(struct sql_nesting *n, json_t *from, struct sql_nested *out)
{
    json_t *left = json_object_get(from, "left");
    if (!sql_ast_is(from, "type", "JOIN") || !sql_ast_is(left, "type", "JOIN"))
        return false;
    out->in_from = json_incref(left);
    out->out_from = json_incref(from);
    out->out_where = json_incref(json_object_get(n->sides->select, "where_clause"));
    return true;
}

/* ---- doing it -------------------------------------------------------------------------------- */

/* Names everything of `inside` anew, in a copy of the block without what goes inside. */
static bool sql_nest_rename(const struct sql_sides *sides, struct sql_nested *nested,
                            uint64_t inside, json_t *copy, json_t **subquery)
{
    struct planner *p = sides->p;
    struct sql_rename r = {.sides = sides, .sources = inside, .list = json_array()};
    r.names = json_object();
    r.alias = sql_fresh(p, "n", p->plan->stages_n * SQL_SIDES_MAX + sides->n);
    for (size_t i = 0; sql_clauses[i] != NULL; i++)
        sql_rename_clause(&r, copy, sql_clauses[i]);
    if (nested->out_from != NULL)
        sql_ast_walk(nested->out_from, sql_rename_visit, &r);
    if (json_array_size(r.list) == 0)
        json_array_append_new(r.list, sql_ast_alias(sql_ast_integer(1), sql_fresh(p, "j", 0)));
    *subquery =
        r.failed
            ? NULL
            : sql_ast_subquery(sql_ast_select(json_incref(r.list), json_deep_copy(nested->in_from),
                                              json_deep_copy(nested->in_where)),
                               r.alias);
    json_decref(r.list);
    json_decref(r.names);
    return *subquery != NULL;
}

static void sql_nested_done(struct sql_nested *nested)
{
    json_decref(nested->in_from);
    json_decref(nested->in_where);
    json_decref(nested->out_from);
    json_decref(nested->out_where);
}

/* What stays is copied, so that a failure changes nothing. */
static bool sql_nest_build(const struct sql_sides *sides, struct sql_nested *nested,
                           uint64_t inside, bool is_left)
{
    json_t *copy = json_deep_copy(sides->select);
    json_t *from = json_deep_copy(nested->out_from);
    json_t *subquery;
    if (is_left)
        json_object_set_new(from, "left", sql_ast_empty_table());
    json_decref(nested->out_from); /* NULL: everything goes inside */
    nested->out_from = from;
    json_object_set_new(copy, "where_clause",
                        nested->out_where != NULL ? json_deep_copy(nested->out_where)
                                                  : json_null());
    bool done = sql_rename_items(sides->p, copy, sides->select == sides->p->top) &&
                sql_nest_rename(sides, nested, inside, copy, &subquery);
    if (done) {
        if (is_left)
            json_object_set_new(from, "left", subquery);
        else
            from = from != NULL ? sql_nest_cross(subquery, json_incref(from)) : subquery;
        json_object_set(copy, "from_table", from);
        if (!is_left)
            json_decref(from);
        json_object_clear(sides->select);
        json_object_update(sides->select, copy);
    }
    json_decref(copy);
    return done;
}

bool sql_nest(const struct sql_sides *sides, const struct sql_deal *deal)
{
    struct sql_nesting n = {.sides = sides, .dealt = deal->dealt};
    struct sql_nested nested = {0};
    json_t *from = json_object_get(sides->select, "from_table");
    uint64_t own = 0;
    bool odd = sides->scope.shared_n > 0;
    for (size_t s = 0; s < sides->n; s++)
        odd |= sides->sides[s].subquery == NULL && sides->sides[s].odd;
    if (odd)
        return false;
    for (size_t s = 0; s < sides->n; s++)
        own |= sides->sides[s].subquery == NULL ? deal->dealt & UINT64_C(1) << s : 0;
    sql_nest_flatten(&n, from);
    sql_conjuncts_take(json_object_get(sides->select, "where_clause"), &n.conjuncts);
    uint64_t inside = sql_nest_more(&n, own);
    bool is_left = n.n == 1;
    if (is_left) {
        n.next = 0;
        inside = sql_nest_leaves(&n, json_object_get(from, "left"));
    }
    bool fits = is_left ? sql_nest_left(&n, from, &nested) : sql_nest_inner(&n, inside, &nested);
    fits = fits && sql_nest_build(sides, &nested, inside, is_left);
    sql_nested_done(&nested);
    free(n.refs);
    free(n.below);
    free(n.conjuncts.list);
    return fits;
}
