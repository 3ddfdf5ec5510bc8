/* The planner's own parts. One struct planner lives for one call of sql_plan_query.
 *
 * Names in the trees: a catalog table has "_table" (its index in sql_refs); a view has "_view" (its
 * index in the planner) and, when known, "_columns" (their names), "_types", "_classes". A query
 * with "_alone" is known not to look outside of itself; "_cte" is the number of the CTE that a
 * subquery was. */
#ifndef CORE_SQL_PLAN_INTERNAL_H
#define CORE_SQL_PLAN_INTERNAL_H

#include "core/sql_plan.h"

#include "base/buf.h"

/* What kind of number an expression is, as far as the planner can tell. */
enum sql_class {
    SQL_CLASS_UNKNOWN,
    SQL_CLASS_INTEGER,
    SQL_CLASS_DECIMAL,
    SQL_CLASS_FLOAT,
    SQL_CLASS_NULL, /* goes with any */
};

/* One table, subquery or function of a FROM clause. Names are of the planner's arena: they stay
 * while the tree that they come from is rewritten. */
struct sql_source {
    const char *alias;
    json_t *ref; /* borrowed */
    char **columns;
    char **types; /* NULL where not known */
    enum sql_class *classes;
    size_t n;
    bool known;    /* these are all its columns */
    bool nullable; /* its rows may be made up of NULLs by an outer join */
};

struct sql_scope {
    struct sql_source *sources;
    size_t n, cap;
    char **shared; /* names of USING columns */
    size_t shared_n, shared_cap;
    bool known;   /* all sources are */
    bool natural; /* there is a NATURAL join */
    bool semi;    /* the right sides of SEMI and ANTI joins are among the sources */
};

/* A view that fragments name. */
struct sql_view {
    char *name;
    enum sql_input_kind kind;
    size_t index; /* of the table, of the stage */
    bool split;
    struct sql_filter *filters;
    size_t filters_n;
    size_t *files;
    size_t files_n;
    uint64_t bytes; /* of the files that are left */
};

struct planner {
    const struct sql_refs *refs;
    const struct sql_table *tables;
    const struct sql_plan_options *options;
    const char *printed;
    const json_t *top; /* the query itself, while it is planned */
    struct sql_plan *plan;
    struct sql_view *views;
    size_t views_n, views_cap;
    const char *prefix; /* of views and columns that the planner makes */
    void **arena;
    size_t arena_n, arena_cap;
    const char *why;
    struct sql_cte *ctes; /* by "_cte" */
    size_t ctes_n, ctes_cap;
    size_t stages_cap;
    json_t *alone;
};

/* A CTE that stands in more places than one may become a stage that all of them read. */
struct sql_cte {
    size_t uses;
    bool closed;
    size_t stage;
    char **columns;
    size_t columns_n;
};

/* A query whose answer is the union of what its tasks give, when `split`; else one task gives it.
 */
struct sql_part {
    json_t *query; /* owned; NULL: failed */
    bool split;
    json_t *alone; /* borrowed: planner's alone; see struct sql_stage; of the last stage that was
                      closed */
};

/* Remembers an allocation until the planner ends; returns it. */
void *sql_keep(struct planner *p, void *allocated);
/* Notes why a shape stays in one task; returns false. */
bool sql_why(struct planner *p, const char *why);
/* A name that no part of the query has: "<prefix>KIND<n>". Kept. */
char *sql_fresh(struct planner *p, const char *kind, size_t n);

/* sql_refs.c: puts "_table" on each table of the catalog. Returns false when one isn't in refs. */
bool sql_mark_tables(json_t *query, const struct sql_refs *refs);

/* sql_scope.c */
bool sql_same(const char *a, const char *b); /* names, whatever the case */
void sql_scope_init(struct planner *p, struct sql_scope *scope, json_t *from);
/* With the right sides of SEMI and ANTI joins: conditions of these joins name them. */
void sql_scope_init_all(struct planner *p, struct sql_scope *scope, json_t *from);
void sql_scope_done(struct sql_scope *scope);

enum sql_found {
    SQL_FOUND,       /* in *source, *column */
    SQL_FOUND_MANY,  /* several, a USING column, or a whole row: it is of this scope, no more is
                        known */
    SQL_FOUND_MAYBE, /* some source isn't known */
    SQL_FOUND_NOT,
};
enum sql_found sql_resolve(const struct sql_scope *scope, const json_t *ref, size_t *source,
                           size_t *column);
/* SELECT * or t.*, without anything more. */
bool sql_is_plain_star(const json_t *item);
/* Names of the columns that a query gives; NULL when they aren't known. Kept. *n set. */
char **sql_query_columns(struct planner *p, json_t *query, size_t *n);
/* DuckDB's name of an expression without alias; kept; NULL when the planner doesn't know it. */
char *sql_name_of(struct planner *p, const json_t *expression);
enum sql_class sql_class_of(const struct sql_scope *scope, const json_t *expression);
enum sql_class sql_class_of_type(const char *type);
/* Whether the query looks at something outside of itself, or might. */
bool sql_is_correlated(struct planner *p, json_t *query);
/* Members of a SELECT_NODE that hold expressions; the last is NULL. */
extern const char *const sql_clauses[];

/* sql_functions.c */
bool sql_is_aggregate(const char *function);
bool sql_is_volatile(const char *function);
/* Whether anything below (not inside of subqueries) is an aggregate, a window. */
bool sql_has_aggregate(json_t *tree);
bool sql_has_window(json_t *tree);
bool sql_has_subquery(json_t *tree);
bool sql_has_unnest(const json_t *tree);
/* now() and its like become constants; false when something random is called. */
bool sql_fix_time(json_t **query, const char *now);

/* sql_views.c */
/* Makes a view of the table that `ref` (marked) names and turns `ref` into it. `select` (may be
 * NULL) and `scope` give the filters. Returns the view's index. */
size_t sql_view_table(struct planner *p, json_t *ref, const json_t *select,
                      const struct sql_scope *scope);
/* Turns every marked table below into a view that each task reads whole. */
void sql_views_whole(struct planner *p, json_t *tree);
/* No view below is split any more. */
void sql_views_unsplit(struct planner *p, json_t *tree);
/* Bytes of the files of a marked table that are left after pruning, as sql_view_table() does it. */
uint64_t sql_table_bytes(struct planner *p, const json_t *ref, const json_t *select,
                         const struct sql_scope *scope);
/* Bytes of the tables and table views below. */
uint64_t sql_bytes_below(struct planner *p, json_t *tree);
/* Closes a stage: takes the query. Returns the index of the new stage. */
size_t sql_stage_close(struct planner *p, json_t *query, enum sql_output_kind output,
                       const char *const *keys, size_t keys_n, const char *what);
/* A new view of a stage's output; a table reference to it by that alias. Columns' names may be
 * NULL. */
json_t *sql_stage_ref(struct planner *p, size_t stage, bool split, const char *alias,
                      char *const *columns, size_t n);
/* Tasks that a split of so many bytes in so many files is worth. */
size_t sql_tasks_for(const struct planner *p, uint64_t bytes, size_t files);
size_t sql_partitions(const struct planner *p);

/* sql_cte.c: puts each CTE where it is named, marked "_cte". False: too many, or a form that it
 * doesn't know. */
bool sql_expand_ctes(struct planner *p, json_t *query);

/* sql_from.c: plans FROM and the subqueries of a SELECT_NODE in place; returns whether one of its
 * inputs is split. */
bool sql_from(struct planner *p, json_t *select);
/* Whether a query is a plain SELECT ... FROM ... WHERE that may stay where it is. */
bool sql_is_simple(json_t *query);
/* EXISTS (SELECT * ...) looks at no column: a constant takes their place. */
void sql_exists_shorten(json_t *expression);

/* sql_items.c: the select list as (expression, name) pairs, aliases and ordinals resolved. */
struct sql_items {
    json_t **items; /* owned; no alias */
    char **names;   /* kept; NULL: not known */
    size_t n;
};
/* Expands stars, takes aliases of the select list out of all clauses of `select` (changed in place)
 * and qualifies columns. Returns false when it can't tell. */
bool sql_items_take(struct planner *p, json_t *select, const struct sql_scope *scope,
                    bool names_matter, const char *printed, struct sql_items *out);
void sql_items_done(struct sql_items *items);
/* Select list: item i AS names[i] or, when `fresh`, as the planner's column i. */
json_t *sql_items_list(struct planner *p, const struct sql_items *items, bool fresh);

/* The items of the printed query's select list as text, kept; NULL unless it has `wanted` of them.
 */
char **sql_printed_items(struct planner *p, const char *printed, size_t wanted);
/* Makes the names of the outermost columns differ, since a fragment can't have two alike; the names
 * that they should have go to the plan. False when it can't tell what they are. */
bool sql_names_fit(struct planner *p, json_t **query);

/* Collects the columns that expressions use, so that they can be computed before a shuffle. */
struct sql_project {
    json_t **columns; /* owned COLUMN_REFs */
    char **keys;
    size_t n, cap;
};
/* Adds what `tree` uses and replaces it by the planner's names; false when it can't. Takes, gives
 * *tree. */
bool sql_project_add(struct planner *p, const struct sql_scope *scope, struct sql_project *project,
                     json_t **tree);
json_t *sql_project_list(struct planner *p, const struct sql_project *project);
void sql_project_done(struct sql_project *project);
char *sql_project_name(struct planner *p, size_t i);

/* The modifiers of a query node, taken apart. */
struct sql_tail {
    bool distinct;
    json_t *orders; /* array of {type, null_order, expression}, borrowed; NULL */
    bool limited;
    int64_t limit, offset; /* limit -1: none */
    bool odd;              /* something else: DISTINCT ON, percent, an expression */
};
void sql_tail_read(json_t *query, struct sql_tail *tail);
/* Whether SELECT DISTINCT of these may be ordered so: by some of the items. */
bool sql_tail_fits(struct planner *p, const struct sql_items *items, const json_t *orders);
/* sql_tail.c: DISTINCT, ORDER BY, LIMIT. `select` has FROM and WHERE; the items become its select
 * list. The expressions of tail->orders are over the same FROM. Takes select on success; query
 * NULL: not possible, nothing was made. */
struct sql_part sql_tail_plan(struct planner *p, json_t *select, const struct sql_items *items,
                              const struct sql_tail *tail, bool split, const char *what);

/* sql_group.c, sql_window.c: SELECT_NODEs whose FROM is planned and split. Take select. query NULL:
 * not possible, nothing was made. */
struct sql_part sql_group(struct planner *p, json_t *select, const struct sql_scope *scope,
                          bool names_matter, const char *printed);
struct sql_part sql_window(struct planner *p, json_t *select, const struct sql_scope *scope,
                           bool names_matter, const char *printed);

/* sql_plan_whole.c. Plans the query as one task; `text` (NULL allowed) is what was written. */
void sql_plan_whole(struct planner *p, const json_t *query, const char *text, const char *why);
void sql_stage_done(struct sql_stage *stage);

/* sql_plan.c: plans a query; takes it. `printed` as for sql_plan_query, for the outermost. */
struct sql_part sql_query(struct planner *p, json_t *query, bool names_matter, const char *printed);

#endif
