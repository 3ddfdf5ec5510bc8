/* Deals the sides of a block: each becomes a stage of its own that writes its rows by hash, with
 * the conditions that are about it alone and the columns that the block names; the block then reads
 * partitions. Sides that can't all be dealt by one thing are joined in turn: those that can go into
 * a subquery, which is a side of what is left. */
#include "core/sql_shuffle.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct sql_dealing {
    struct planner *p;
    struct sql_sides *sides;
    const struct sql_deal *deal;
    size_t side;
    const char *keys[SQL_DEAL_KEYS_MAX];
    char **names; /* columns that the stage gives; kept */
    size_t names_n;
    json_t *list;
};

static bool sql_is_dealt(const struct sql_deal *deal, size_t side)
{
    return (deal->dealt & UINT64_C(1) << side) != 0;
}

/* ---- conditions ------------------------------------------------------------------------------ */

static json_t *sql_where_of(const struct sql_conjuncts *where)
{
    json_t *all = NULL;
    for (size_t i = 0; i < where->n; i++) {
        if (where->list[i] != NULL)
            all = sql_ast_and(all, json_incref(where->list[i]));
    }
    return all;
}

/* Takes the conjuncts of the WHERE that are about this side alone. */
static json_t *sql_deal_where(const struct sql_side *side)
{
    const struct sql_source *source = &side->scope->sources[side->source];
    struct sql_conjuncts where = {0};
    json_t *own = NULL;
    sql_conjuncts_take(json_object_get(side->select, "where_clause"), &where);
    bool may = !source->nullable && (side->subquery != NULL || !side->hidden);
    for (size_t i = 0; i < where.n && may; i++) {
        if (sql_only_source(side->scope, where.list[i]) != side->source)
            continue;
        own = sql_ast_and(own, json_deep_copy(where.list[i]));
        where.list[i] = NULL;
    }
    json_t *rest = own != NULL ? sql_where_of(&where) : NULL;
    if (own != NULL)
        json_object_set_new(side->select, "where_clause", rest != NULL ? rest : json_null());
    free(where.list);
    return own;
}

/* The join that has this reference directly below; NULL: none. */
static json_t *sql_join_above(json_t *ref, const json_t *below)
{
    if (!sql_ast_is(ref, "type", "JOIN"))
        return NULL;
    json_t *left = json_object_get(ref, "left"), *right = json_object_get(ref, "right");
    if (left == below || right == below)
        return ref;
    json_t *found = sql_join_above(left, below);
    return found != NULL ? found : sql_join_above(right, below);
}

/* Those of its join's condition, where they only choose which of its rows may match. */
static json_t *sql_deal_on(const struct sql_side *side)
{
    json_t *join = sql_join_above(json_object_get(side->select, "from_table"), side->ref);
    struct sql_conjuncts on = {0};
    json_t *own = NULL;
    if (join == NULL)
        return NULL;
    const char *type = sql_ast_text(join, "join_type");
    bool is_right = json_object_get(join, "right") == side->ref;
    bool may = sql_join_is_inner(join) || strcmp(type, "SEMI") == 0 ||
               (strcmp(type, "ANTI") == 0 && is_right) || (strcmp(type, "LEFT") == 0 && is_right) ||
               (strcmp(type, "RIGHT") == 0 && !is_right);
    sql_conjuncts_take(json_object_get(join, "condition"), &on);
    for (size_t i = 0; i < on.n && may; i++) {
        if (sql_only_source(side->scope, on.list[i]) == side->source)
            own = sql_ast_and(own, json_deep_copy(on.list[i]));
    }
    free(on.list);
    return own;
}

/* ---- columns --------------------------------------------------------------------------------- */

struct sql_named {
    const char *name, *alias;
    bool found, whole;
};

static bool sql_named_visit(json_t *object, void *ctx)
{
    static const char *const lists[] = {"column_names", "using_columns"};
    struct sql_named *named = ctx;
    for (size_t l = 0; l < MEM_COUNT(lists); l++) {
        const json_t *names = json_object_get(object, lists[l]);
        for (size_t i = 0; i < json_array_size(names); i++)
            named->found |= sql_same(json_string_value(json_array_get(names, i)), named->name);
        named->whole |= json_array_size(names) == 1 &&
                        sql_same(json_string_value(json_array_get(names, 0)), named->alias);
    }
    named->whole |= sql_ast_is(object, "class", "STAR");
    return true;
}

static struct sql_named sql_is_named(json_t *select, const char *name, const char *alias)
{
    struct sql_named named = {.name = name, .alias = alias};
    sql_ast_walk(select, sql_named_visit, &named);
    return named;
}

static json_t *sql_column_in(const struct sql_source *source, const char *name)
{
    return source->alias[0] != '\0' ? sql_ast_column_of(source->alias, name) : sql_ast_column(name);
}

static void sql_deal_column(struct sql_dealing *d, json_t *expression, char *name)
{
    for (size_t i = 0; i < d->names_n; i++) {
        if (sql_same(d->names[i], name)) {
            json_decref(expression);
            return;
        }
    }
    json_array_append_new(d->list, sql_ast_alias(expression, name));
    d->names[d->names_n++] = name;
}

/* The columns that the block names, then the keys: a column where that is one of the right type. */
static void sql_deal_columns(struct sql_dealing *d, const struct sql_side *side)
{
    const struct sql_source *source = &side->scope->sources[side->source];
    d->list = json_array();
    d->names = sql_keep(d->p, mem_calloc(source->n + SQL_DEAL_KEYS_MAX + 1, sizeof *d->names));
    for (size_t c = 0; c < source->n; c++) {
        struct sql_named named = sql_is_named(side->select, source->columns[c], source->alias);
        if (named.found || named.whole)
            sql_deal_column(d, sql_column_in(source, source->columns[c]),
                            sql_keep(d->p, mem_strdup(source->columns[c])));
    }
    for (size_t k = 0; k < d->deal->keys_n; k++) {
        const struct sql_term *term = &d->sides->terms[d->deal->terms[k][d->side]];
        size_t s, c;
        char *name = sql_fresh(d->p, "h", k);
        if (d->deal->types[k][0] == '\0' && sql_ast_is(term->expression, "class", "COLUMN_REF") &&
            sql_resolve(side->scope, term->expression, &s, &c) == SQL_FOUND)
            name = sql_keep(d->p, mem_strdup(source->columns[c]));
        d->keys[k] = name;
        sql_deal_column(d, sql_key_cast(json_deep_copy(term->expression), d->deal->types[k]), name);
    }
}

/* A star, or a whole row as a value, would also get the keys that are made. */
static bool sql_deal_adds_columns(const struct sql_sides *sides, const struct sql_deal *deal)
{
    for (size_t s = 0; s < sides->n; s++) {
        const struct sql_side *side = &sides->sides[s];
        if (!sql_is_dealt(deal, s) || side->ref == NULL)
            continue;
        const struct sql_source *source = &side->scope->sources[side->source];
        bool whole = sql_is_named(side->select, NULL, source->alias).whole;
        for (size_t k = 0; k < deal->keys_n && whole; k++) {
            const struct sql_term *term = &sides->terms[deal->terms[k][s]];
            if (deal->types[k][0] != '\0' || !sql_ast_is(term->expression, "class", "COLUMN_REF"))
                return true;
        }
    }
    return false;
}

/* ---- stages ---------------------------------------------------------------------------------- */

static size_t sql_deal_close(struct sql_dealing *d, json_t *query, const char *what)
{
    struct sql_part part = sql_query(d->p, query, true, NULL);
    char *text = mem_printf("%s, for a join", what);
    size_t stage =
        sql_stage_close(d->p, part.query, SQL_OUTPUT_HASH, d->keys, d->deal->keys_n, text);
    free(text);
    return stage;
}

/* The reference becomes one to a stage's partition, whose columns have the types that they had. */
static void sql_deal_replace(const struct sql_dealing *d, const struct sql_source *source,
                             json_t *ref, json_t *by)
{
    json_t *types = json_array(), *classes = json_array();
    for (size_t i = 0; i < d->names_n; i++) {
        size_t c = 0;
        while (c < source->n && !sql_same(source->columns[c], d->names[i]))
            c++;
        const char *type = c < source->n ? source->types[c] : NULL;
        json_array_append_new(types, type != NULL ? json_string(type) : json_null());
        json_array_append_new(classes,
                              json_integer(c < source->n ? source->classes[c] : SQL_CLASS_UNKNOWN));
    }
    json_object_set_new(by, "_types", types);
    json_object_set_new(by, "_classes", classes);
    json_object_clear(ref);
    json_object_update(ref, by);
    json_decref(by);
}

static void sql_deal_table(struct sql_dealing *d, const struct sql_side *side)
{
    const struct sql_source *source = &side->scope->sources[side->source];
    json_t *where = sql_deal_on(side);
    where = sql_ast_and(where, sql_deal_where(side));
    sql_deal_columns(d, side);
    char *what = sql_ast_is(side->ref, "type", "BASE_TABLE")
                     ? mem_printf("rows of %s", sql_ast_text(side->ref, "table_name"))
                     : mem_strdup("rows of a subquery");
    json_t *query = sql_ast_select(d->list, json_deep_copy(side->ref), where);
    size_t stage = sql_deal_close(d, query, what);
    free(what);
    sql_deal_replace(d, source, side->ref,
                     sql_stage_ref(d->p, stage, true, source->alias, d->names, d->names_n));
}

/* x IN (query) becomes x IN (SELECT v FROM the partition). */
static void sql_deal_in(struct sql_dealing *d, const struct sql_side *side)
{
    char *value = sql_fresh(d->p, "v", d->side);
    json_t *from = sql_ast_subquery(json_deep_copy(side->select), sql_fresh(d->p, "q", d->side));
    json_object_set_new(from, "column_name_alias", json_pack("[s]", value));
    json_t *list = json_array();
    d->names = sql_keep(d->p, mem_calloc(2 + SQL_DEAL_KEYS_MAX, sizeof *d->names));
    d->list = list;
    sql_deal_column(d, sql_ast_column(value), value);
    for (size_t k = 0; k < d->deal->keys_n; k++) {
        char *name = d->deal->types[k][0] == '\0' ? value : sql_fresh(d->p, "h", k);
        d->keys[k] = name;
        sql_deal_column(d, sql_key_cast(sql_ast_column(value), d->deal->types[k]), name);
    }
    size_t stage = sql_deal_close(d, sql_ast_select(list, from, NULL), "a subquery");
    json_t *one = json_array();
    json_array_append_new(one, sql_ast_column(value));
    json_t *reads =
        sql_ast_select(one, sql_stage_ref(d->p, stage, true, "", d->names, d->names_n), NULL);
    json_object_set_new(reads, "_alone", json_true());
    json_object_set_new(json_object_get(side->subquery, "subquery"), "node", reads);
}

static void sql_deal_apply(struct sql_sides *sides, const struct sql_deal *deal)
{
    for (size_t s = 0; s < sides->n; s++) {
        const struct sql_side *side = &sides->sides[s];
        struct sql_dealing d = {.p = sides->p, .sides = sides, .deal = deal, .side = s};
        if (!sql_is_dealt(deal, s))
            continue;
        if (side->ref == NULL)
            sql_deal_in(&d, side);
        else
            sql_deal_table(&d, side);
    }
}

/* ---- the choice ------------------------------------------------------------------------------ */

enum sql_shuffled {
    SQL_SHUFFLED_NOT,
    SQL_SHUFFLED_AGAIN, /* the block is another one now */
    SQL_SHUFFLED,
};

static enum sql_shuffled sql_shuffle_once(struct planner *p, json_t *select)
{
    struct sql_sides sides;
    struct sql_deal deal;
    enum sql_shuffled shuffled = SQL_SHUFFLED_NOT;
    if (sql_sides_take(p, select, &sides) && p->plan->stages_n + 2 * sides.n + 8 < SQL_STAGES_MAX &&
        sql_deal_find(&sides, &deal) && !sql_deal_adds_columns(&sides, &deal)) {
        if (deal.left > 0 && sql_nest(&sides, &deal)) {
            shuffled = SQL_SHUFFLED_AGAIN;
        } else {
            sql_deal_apply(&sides, &deal);
            shuffled = SQL_SHUFFLED;
        }
    }
    sql_sides_done(&sides);
    return shuffled;
}

bool sql_shuffle(struct planner *p, json_t *select)
{
    if (p->options->broadcast_bytes == 0)
        return false;
    json_t *from = json_object_get(select, "from_table");
    json_t *query = json_object_get(json_object_get(from, "subquery"), "node");
    if (sql_ast_is(from, "type", "SUBQUERY") && sql_is_simple(query) &&
        !sql_is_correlated(p, query))
        return sql_shuffle(p, query);
    /* Each nest joins something more, so that there are fewer of them than sides. */
    enum sql_shuffled shuffled = SQL_SHUFFLED_AGAIN;
    for (size_t i = 0; i < SQL_SIDES_MAX && shuffled == SQL_SHUFFLED_AGAIN; i++)
        shuffled = sql_shuffle_once(p, select);
    assert(shuffled != SQL_SHUFFLED_AGAIN);
    return shuffled == SQL_SHUFFLED;
}
