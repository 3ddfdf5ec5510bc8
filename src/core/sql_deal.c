/* Which sides of a block are dealt, and by what.
 *
 * Each equality is tried as a beginning: its two terms, then whatever is equal to a term already
 * taken, one term a side. The heavy ones of these sides are dealt, or all of them; then the tree of
 * joins is walked from the leaves up. A side of a join is WHOLE (all rows in each task) or DEALT
 * (the tasks have its rows between them), and a dealt one has *aligned* sides: a row in which their
 * term is v, not null, is in the partition of v. Two dealt sides may be joined when the condition
 * asks for the equality of aligned terms; a dealt and a whole one when the whole one's rows come
 * out only beside the other's. */
#include <string.h>

#include "core/sql_shuffle.h"

enum sql_flow_state {
    SQL_FLOW_WHOLE,
    SQL_FLOW_DEALT,
    SQL_FLOW_BROKEN,
};

struct sql_flow {
    enum sql_flow_state state;
    uint64_t below;   /* sides */
    uint64_t aligned; /* of them */
};

struct sql_try {
    const struct sql_sides *sides;
    const size_t *terms; /* by side */
    uint64_t dealt;
    size_t next; /* side of the next leaf */
};

static uint64_t sql_bit(size_t side)
{
    return UINT64_C(1) << side;
}

/* Whether the equality holds in the rows that come out of a join. */
static bool sql_holds_at(const struct sql_try *t, const struct sql_equality *e, const json_t *join)
{
    const struct sql_side *sides = t->sides->sides;
    const struct sql_term *terms = t->sides->terms;
    if (t->terms[terms[e->a].side] != e->a || t->terms[terms[e->b].side] != e->b)
        return false;
    return e->place == join || (e->place == NULL && sql_join_is_inner(join) &&
                                !sides[terms[e->a].side].hidden && !sides[terms[e->b].side].hidden);
}

/* Whether an aligned side of the one is equal to an aligned one of the other. */
static bool sql_is_linked(const struct sql_try *t, const json_t *join, const struct sql_flow *left,
                          const struct sql_flow *right)
{
    for (size_t i = 0; i < t->sides->equalities_n; i++) {
        const struct sql_equality *e = &t->sides->equalities[i];
        uint64_t a = sql_bit(t->sides->terms[e->a].side);
        uint64_t b = sql_bit(t->sides->terms[e->b].side);
        if (sql_holds_at(t, e, join) && (((left->aligned & a) != 0 && (right->aligned & b) != 0) ||
                                         ((left->aligned & b) != 0 && (right->aligned & a) != 0)))
            return true;
    }
    return false;
}

/* Sides become aligned by being equal to one that is: `from` says whose alignment passes on. */
static void sql_align(const struct sql_try *t, const json_t *join, uint64_t from, uint64_t to,
                      struct sql_flow *flow)
{
    bool more = true;
    while (more) {
        more = false;
        for (size_t i = 0; i < t->sides->equalities_n; i++) {
            const struct sql_equality *e = &t->sides->equalities[i];
            uint64_t both[2] = {sql_bit(t->sides->terms[e->a].side),
                                sql_bit(t->sides->terms[e->b].side)};
            if (!sql_holds_at(t, e, join))
                continue;
            for (size_t k = 0; k < 2; k++) {
                uint64_t known = both[k], new = both[1 - k];
                if ((flow->aligned & known & from) != 0 && (new &to) != 0 &&
                    (flow->aligned & new) == 0) {
                    flow->aligned |= new;
                    more = true;
                }
            }
        }
    }
}

static struct sql_flow sql_flow_of(struct sql_try *t, json_t *ref);

static struct sql_flow sql_flow_join(struct sql_try *t, json_t *join)
{
    struct sql_flow left = sql_flow_of(t, json_object_get(join, "left"));
    struct sql_flow right = sql_flow_of(t, json_object_get(join, "right"));
    const char *type = sql_ast_text(join, "join_type");
    struct sql_flow flow = {SQL_FLOW_BROKEN, left.below | right.below,
                            left.aligned | right.aligned};
    if (left.state == SQL_FLOW_BROKEN || right.state == SQL_FLOW_BROKEN)
        return flow;
    bool inner = sql_join_is_inner(join);
    bool is_left =
        strcmp(type, "LEFT") == 0 || strcmp(type, "SEMI") == 0 || strcmp(type, "ANTI") == 0;
    bool is_right = strcmp(type, "RIGHT") == 0;
    bool full = strcmp(type, "FULL") == 0 || strcmp(type, "OUTER") == 0;
    if (!inner && !is_left && !is_right && !full)
        return flow;
    if (left.state == SQL_FLOW_WHOLE && right.state == SQL_FLOW_WHOLE)
        flow.state = SQL_FLOW_WHOLE;
    else if (left.state == SQL_FLOW_DEALT && right.state == SQL_FLOW_DEALT)
        flow.state = sql_is_linked(t, join, &left, &right) ? SQL_FLOW_DEALT : SQL_FLOW_BROKEN;
    else if (left.state == SQL_FLOW_DEALT)
        flow.state = inner || is_left ? SQL_FLOW_DEALT : SQL_FLOW_BROKEN;
    else
        flow.state = inner || is_right ? SQL_FLOW_DEALT : SQL_FLOW_BROKEN;
    if (inner)
        sql_align(t, join, flow.below, flow.below, &flow);
    else if (is_left)
        sql_align(t, join, left.below, right.below, &flow);
    else if (is_right)
        sql_align(t, join, right.below, left.below, &flow);
    return flow;
}

static struct sql_flow sql_flow_of(struct sql_try *t, json_t *ref)
{
    if (sql_ast_is(ref, "type", "JOIN"))
        return sql_flow_join(t, ref);
    if (sql_ast_is(ref, "type", "EMPTY"))
        return (struct sql_flow){.state = SQL_FLOW_WHOLE};
    uint64_t bit = sql_bit(t->next++);
    bool dealt = (t->dealt & bit) != 0;
    return (struct sql_flow){dealt ? SQL_FLOW_DEALT : SQL_FLOW_WHOLE, bit, dealt ? bit : 0};
}

/* Subqueries are dealt only beside an aligned term of the block. */
static bool sql_subqueries_fit(const struct sql_try *t, uint64_t aligned)
{
    for (size_t s = 0; s < t->sides->n; s++) {
        bool linked = t->sides->sides[s].subquery == NULL || (t->dealt & sql_bit(s)) == 0;
        for (size_t i = 0; i < t->sides->equalities_n && !linked; i++) {
            const struct sql_equality *e = &t->sides->equalities[i];
            size_t other = t->sides->terms[e->b].side; /* a is of the subquery */
            linked = e->place == t->sides->sides[s].subquery && t->terms[s] == e->a &&
                     t->terms[other] == e->b && (aligned & sql_bit(other)) != 0;
        }
        if (!linked)
            return false;
    }
    return true;
}

static bool sql_try_fits(struct sql_try *t)
{
    t->next = 0;
    struct sql_flow flow = sql_flow_of(t, json_object_get(t->sides->select, "from_table"));
    return flow.state == SQL_FLOW_DEALT && sql_subqueries_fit(t, flow.aligned);
}

/* The terms that are equal to those of the first equality, one a side. */
static void sql_try_spread(const struct sql_sides *sides, size_t first, size_t *terms)
{
    for (size_t s = 0; s < SQL_SIDES_MAX; s++)
        terms[s] = SIZE_MAX;
    bool more = true;
    terms[sides->terms[sides->equalities[first].a].side] = sides->equalities[first].a;
    while (more) {
        more = false;
        for (size_t i = 0; i < sides->equalities_n; i++) {
            const struct sql_equality *e = &sides->equalities[i];
            size_t a = sides->terms[e->a].side, b = sides->terms[e->b].side;
            if (terms[a] == e->a && terms[b] == SIZE_MAX) {
                terms[b] = e->b;
                more = true;
            } else if (terms[b] == e->b && terms[a] == SIZE_MAX) {
                terms[a] = e->a;
                more = true;
            }
        }
    }
}

static char *sql_try_type(const struct sql_try *t)
{
    const struct sql_term *terms[SQL_SIDES_MAX];
    size_t n = 0;
    for (size_t s = 0; s < t->sides->n; s++) {
        if ((t->dealt & sql_bit(s)) != 0)
            terms[n++] = &t->sides->terms[t->terms[s]];
    }
    return n >= 2 ? sql_key_type(t->sides->p, terms, n) : NULL;
}

static uint64_t sql_bytes_of(const struct sql_sides *sides, uint64_t which)
{
    uint64_t bytes = 0;
    for (size_t s = 0; s < sides->n; s++)
        bytes += (which & sql_bit(s)) != 0 && sides->sides[s].heavy ? sides->sides[s].bytes : 0;
    return bytes;
}

static unsigned sql_count(uint64_t which)
{
    return (unsigned)__builtin_popcountll(which);
}

/* Deals the sides of `which`; keeps that when it is better than *best. */
static void sql_deal_try(const struct sql_sides *sides, const size_t *terms, uint64_t which,
                         struct sql_deal *best)
{
    struct sql_try t = {sides, terms, which, 0};
    char *type = sql_try_type(&t);
    if (type == NULL || !sql_try_fits(&t))
        return;
    uint64_t left = sql_bytes_of(sides, ~which);
    bool another = best->keys_n > 0 && best->dealt == which && best->keys_n < SQL_DEAL_KEYS_MAX;
    size_t side = (size_t)__builtin_ctzll(which);
    for (size_t k = 0; k < best->keys_n && another; k++)
        another = best->terms[k][side] != terms[side];
    bool better = left < best->left || (left == best->left && best->keys_n > 0 &&
                                        sql_count(which) < sql_count(best->dealt));
    if (!another && !better)
        return;
    if (!another)
        *best = (struct sql_deal){.dealt = which, .left = left};
    memcpy(best->terms[best->keys_n], terms, sizeof best->terms[0]);
    best->types[best->keys_n++] = type;
}

/* Bytes that each task would read whole if the best side were split as it is. */
static uint64_t sql_left_without(const struct sql_sides *sides)
{
    uint64_t most = 0;
    for (size_t s = 0; s < sides->n; s++) {
        const struct sql_side *side = &sides->sides[s];
        if (side->heavy && !side->hidden && side->bytes > most)
            most = side->bytes;
    }
    return sql_bytes_of(sides, ~UINT64_C(0)) - most;
}

bool sql_deal_find(const struct sql_sides *sides, struct sql_deal *out)
{
    *out = (struct sql_deal){.left = sql_left_without(sides)};
    if (out->left == 0)
        return false;
    for (size_t i = 0; i < sides->equalities_n; i++) {
        size_t terms[SQL_SIDES_MAX];
        uint64_t heavy = 0, all = 0;
        sql_try_spread(sides, i, terms);
        for (size_t s = 0; s < sides->n; s++) {
            const struct sql_side *side = &sides->sides[s];
            if (terms[s] == SIZE_MAX || !side->usable)
                continue;
            heavy |= side->heavy ? sql_bit(s) : 0;
            all |= side->heavy || side->subquery == NULL ? sql_bit(s) : 0;
        }
        sql_deal_try(sides, terms, heavy, out);
        if (all != heavy)
            sql_deal_try(sides, terms, all, out);
    }
    return out->keys_n > 0;
}
