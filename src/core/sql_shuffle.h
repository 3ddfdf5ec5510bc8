/* Joins whose sides are dealt out by the hash of what they are joined on.
 *
 * A *side* is a table or subquery of a block's FROM, a table in the FROM of a subquery of its WHERE
 * that depends on the block, or an IN subquery that doesn't. A *term* is an expression over one
 * side only. An *equality* says that two terms are equal in every row that matters: a conjunct of
 * WHERE, of a join's condition, of a subquery's WHERE.
 *
 * When sides are dealt, each by the hash of one of its terms, task p has partition p of each, and
 * of all others everything. sql_deal_find() looks for terms so that the union of what the tasks
 * give is the block's answer: rows that must meet are in the same partition. */
#ifndef CORE_SQL_SHUFFLE_H
#define CORE_SQL_SHUFFLE_H

#include "core/sql_plan_internal.h"

enum {
    SQL_SIDES_MAX = 64,
    SQL_EQUALITIES_MAX = 256,
    SQL_DEAL_KEYS_MAX = 4,
};

struct sql_side {
    json_t *ref;      /* in the FROM of `select`; NULL: an IN subquery */
    json_t *subquery; /* the expression that it is in, or is; NULL: the block's own */
    json_t *select;   /* the block whose WHERE filters it */
    const struct sql_scope *scope;
    size_t source;  /* of scope */
    uint64_t bytes; /* of the columns that are wanted, about */
    bool heavy;     /* too large to be read whole by each task */
    bool usable;    /* can be dealt */
    bool hidden;    /* its rows don't decide which rows come out: it can't be split as it is */
    bool odd;       /* neither a table nor a query by itself: it may name sides before it */
};

struct sql_term {
    size_t side;
    json_t *expression; /* owned */
    char *key;
    const char *type; /* of DuckDB, where it is known; NULL */
    enum sql_class class;
};

struct sql_equality {
    size_t a, b;         /* terms */
    const json_t *place; /* the JOIN, or the subquery, that asks for it; NULL: WHERE */
};

struct sql_sides {
    struct planner *p;
    json_t *select;
    struct sql_scope scope;
    struct sql_scope *inner[SQL_SIDES_MAX]; /* of subqueries */
    size_t inner_n;
    struct sql_side sides[SQL_SIDES_MAX];
    size_t n;
    struct sql_term *terms;
    size_t terms_n, terms_cap;
    struct sql_equality equalities[SQL_EQUALITIES_MAX];
    size_t equalities_n;
    json_t *used; /* {name in lower case: true}: what the block names */
};

/* A way to deal: for each key and side the term, SIZE_MAX for none. Sets of sides are bits. */
struct sql_deal {
    size_t terms[SQL_DEAL_KEYS_MAX][SQL_SIDES_MAX];
    char *types[SQL_DEAL_KEYS_MAX]; /* what all terms are cast to; "": they are alike. Kept */
    size_t keys_n;
    uint64_t dealt;
    uint64_t left; /* bytes of heavy sides that each task reads whole */
};

/* sql_sides.c. False: a form that can't be dealt. Release in either case. */
bool sql_sides_take(struct planner *p, json_t *select, struct sql_sides *out);
void sql_sides_done(struct sql_sides *sides);
/* The conjuncts of a condition (NULL allowed), appended to a list of borrowed pointers. */
struct sql_conjuncts {
    json_t **list;
    size_t n, cap;
};
void sql_conjuncts_take(json_t *condition, struct sql_conjuncts *out);
/* The one source that all columns in an expression without subqueries are of, else SIZE_MAX. */
size_t sql_only_source(const struct sql_scope *scope, json_t *expression);
bool sql_join_is_inner(const json_t *join);

/* sql_estimate.c. Notes the names in a block; then: of so many bytes of a marked table those of the
 * columns that are named; of a query what it reads, a quarter of that when it groups. */
void sql_estimate_names(struct sql_sides *sides, json_t *select);
uint64_t sql_estimate_columns(const struct sql_sides *sides, const json_t *ref, uint64_t bytes);
uint64_t sql_estimate_query(const struct sql_sides *sides, json_t *query);

/* sql_deal.c: the best way to deal. False: nothing is gained. */
bool sql_deal_find(const struct sql_sides *sides, struct sql_deal *out);

/* sql_key.c: the type in which terms of these types are equal when DuckDB's "=" says so: "" when
 * they are of one type, NULL when there is none. Kept. */
char *sql_key_type(struct planner *p, const struct sql_term *const *terms, size_t n);
/* Casts to what sql_key_type() gave; takes the expression. */
json_t *sql_key_cast(json_t *expression, const char *type);
/* How wide a value of the type is in a file, about. */
unsigned sql_key_width(const char *type);

/* sql_nest.c: puts the dealt sides, and what is joined to them alone, into a subquery of FROM, so
 * that another join is left outside. False: not possible, nothing was changed. */
bool sql_nest(const struct sql_sides *sides, const struct sql_deal *deal);

/* sql_shuffle.c: deals sides of the block, when that is better than to split one of them. Its
 * tables are then views of stages. */
bool sql_shuffle(struct planner *p, json_t *select);

#endif
