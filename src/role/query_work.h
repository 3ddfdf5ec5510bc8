/* What takes long on a large statement, on a thread: reading its text, its tree, planning.
 *
 * A step is made by query_work_new(), filled, and run; `next` takes what it came to from q->work
 * and ends it. A small one runs at once. While a step is on its thread the loop changes nothing of
 * what the query has read: a query that ends meanwhile stays until the thread is done. */
#ifndef ROLE_QUERY_WORK_H
#define ROLE_QUERY_WORK_H

#include <sys/queue.h>

#include "base/clock.h"
#include "core/sql_plan.h"

struct delta_vacuum;
struct queries;
struct query;
struct query_work;

enum {
    QUERY_WORK_BYTES = 16 * 1024, /* from here on a step goes to a thread */
    QUERY_WORKS_MAX = 2,          /* on threads at once; further ones wait */
};

/* Must touch nothing but the step, and of the query what it has read. */
typedef void (*query_work_fn)(struct query_work *work);

struct query_work {
    struct query *q;
    query_work_fn fn;
    void (*next)(struct query *q);
    bool runs; /* on a thread */
    TAILQ_ENTRY(query_work) entry;

    /* in, by need */
    char *json; /* of the tree */
    size_t json_len;
    bool paths;  /* files may be named */
    bool invert; /* see sql_plan_files() */
    struct sql_plan_options options;
    int64_t before_ms, unknown_before_ms; /* see delta_vacuum_new() */
    char now[CLOCK_RFC3339_MAX];

    /* out */
    struct sql_error error; /* its code is 0 when it succeeded */
    struct sql_statement statement;
    struct sql_values values; /* of an INSERT of rows that read nothing */
    json_t *tree;
    struct sql_refs refs;
    struct sql_plan plan;
    struct delta_vacuum *vacuum;
};

/* The query's next step; it has none. */
struct query_work *query_work_new(struct query *q);
/* `bytes`: of what is worked on. */
void query_work_run(struct query_work *work, size_t bytes, query_work_fn fn,
                    void (*next)(struct query *q));
/* Frees the step, with what was not taken of it (and zeroed). */
void query_work_end(struct query *q);
/* The query is over: a step that waits is forgotten. */
void query_work_cancel(struct query *q);
bool query_work_runs(const struct query *q);

/* json_decref() of a tree of so many bytes. */
void query_work_drop_tree(struct queries *role, json_t *tree, size_t bytes);

#endif
