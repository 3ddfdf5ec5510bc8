/* Plans of queries: DuckDB's syntax tree and what the tables are made of in, stages out.
 *
 * A stage is one query (the fragment) that several tasks run, each over its part of the inputs. One
 * of the inputs (or, for UNION ALL, one of each branch) is split between the tasks, by files or by
 * partitions of an earlier stage's shuffle; all others are whole in every task. Shapes:
 *
 * - Scan, filter, project, join: the largest table that keeps its rows through the joins is split;
 *   the others are read whole by every task. Where that would be too much (broadcast_bytes), the
 *   sides of a join are stages that are shuffled by what they are joined on, one join after the
 *   other; so are tables of IN and EXISTS.
 * - Aggregates: partial in each task, shuffled by the keys of the groups, then final. What has no
 *   partial form (median, list, ...): the rows themselves are shuffled by the keys.
 * - DISTINCT is shuffled by its columns, windows by PARTITION BY.
 * - ORDER BY, LIMIT, top-N: the first rows of each task, then the first of all.
 * - Subqueries and CTEs are planned by themselves when they are large and don't depend on the
 *   outside.
 *
 * Everything else is one stage with one task, on one node: DuckDB itself. So is everything small.
 * The plan is a pure function of its arguments. */
#ifndef CORE_SQL_PLAN_H
#define CORE_SQL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "core/sql_ast.h"

enum {
    SQL_STAGES_MAX = 64,
    SQL_TASKS_MAX = 1024, /* of a stage */
    SQL_TABLES_MAX = 256, /* references in one query */
};

/* A table that the query names; the same table at two versions is two of them. */
struct sql_ref {
    char *schema; /* "" when not given */
    char *name;
    char *at_unit; /* "VERSION", "TIMESTAMP" or "" */
    char *at_text; /* the constant as text */
    size_t at;     /* position of the name in the statement */
};

struct sql_refs {
    struct sql_ref *refs;
    size_t n;
};

/* Collects the tables that the query reads, each once, in order of appearance; names of CTEs are
 * left out. ERR_UNSUPPORTED with its position: AT with something else than a constant, a catalog
 * (a.b.c), more than SQL_TABLES_MAX. ERR_FORBIDDEN: table functions that reach files or settings
 * while `files` is false. */
int sql_refs_collect(const json_t *query, bool files, struct sql_refs *out, struct sql_error *e);
/* For a statement that has no tree: each name in the text that `known` says is a table.
 * ERR_FORBIDDEN while `files` is false: something in it may name a file. */
int sql_refs_guess(const char *text, size_t len, bool files,
                   bool (*known)(const char *schema, const char *name, void *ctx), void *ctx,
                   struct sql_refs *out, struct sql_error *e);
void sql_refs_done(struct sql_refs *refs);

struct sql_column {
    const char *name;
    const char *type; /* DuckDB's text: "BIGINT", "DECIMAL(15,2)", ... */
    bool partition;   /* its values are not in the files */
};

struct sql_file {
    uint64_t bytes;
    int64_t rows; /* -1: not known */
};

enum sql_op {
    SQL_OP_EQ,
    SQL_OP_LT,
    SQL_OP_LE,
    SQL_OP_GT,
    SQL_OP_GE,
    SQL_OP_IS_NULL,
    SQL_OP_IS_NOT_NULL,
    SQL_OP_PREFIX, /* LIKE 'value%' */
    SQL_OP_IN,
};

/* "column op value" must hold for a row to matter. Values are text as DuckDB casts it to the
 * column's type. */
struct sql_filter {
    size_t column;
    enum sql_op op;
    char **values; /* one; several for IN; none for NULL tests */
    size_t values_n;
};

/* What the planner knows of one table of sql_refs, in the same order. Borrowed. */
struct sql_table {
    const char *name;
    const struct sql_column *columns;
    size_t columns_n;
    const struct sql_file *files;
    size_t files_n;
    /* Clears keep[i] for files that can't hold a row that passes all filters. NULL: keeps all. */
    void (*prune)(const struct sql_table *table, const struct sql_filter *filters, size_t n,
                  bool *keep);
    void *ctx;
};

struct sql_plan_options {
    size_t workers;           /* >= 1: how many nodes may run tasks at the same time */
    size_t tasks_per_worker;  /* >= 1 */
    uint64_t split_bytes_min; /* a table below this isn't worth a second task */
    size_t partitions;        /* of shuffles; 0: as many as workers * tasks_per_worker */
    const char *now; /* RFC 3339 text of the statement's time: now() is the same everywhere */
    /* A side of a join up to this size is read whole by each task, larger ones are dealt out by the
     * hash of what they are joined on. 0: all are read whole. */
    uint64_t broadcast_bytes;
};

enum sql_input_kind {
    SQL_INPUT_TABLE,
    SQL_INPUT_STAGE,
};

struct sql_input {
    char *schema; /* "" but for `text`: there a view is called as the table is */
    char *view;   /* the name that the fragment uses */
    enum sql_input_kind kind;
    bool split;      /* between the tasks; else whole in each */
    size_t index;    /* of the table in sql_refs, or of the earlier stage */
    size_t *columns; /* of a table: the wanted ones, ascending; at least one unless the table has
                        none */
    size_t columns_n;
    struct sql_filter *filters; /* of a table */
    size_t filters_n;
    size_t *files; /* of a table: those that are left after pruning, ascending */
    size_t files_n;
    uint64_t bytes;
};

/* Task t of a stage reads, of each split input: files[first[t] .. first[t + 1]) of a table;
 * partition t of a stage. */
enum sql_output_kind {
    SQL_OUTPUT_ROWS,   /* the answer: to the client, tasks in order */
    SQL_OUTPUT_GATHER, /* one file a task, read whole by later stages, in the order of the tasks */
    SQL_OUTPUT_HASH,   /* `partitions` files a task by hash of `keys` */
};

struct sql_stage {
    char *fragment; /* text for json_execute_serialized_sql; NULL: `text` */
    char *text;     /* the statement as SQL */
    /* When not NULL and all inputs from stages are small: this, as one task over all their
     * partitions, is the answer (SQL_OUTPUT_ROWS) and stands for this stage and all later ones. */
    char *alone;
    struct sql_input *inputs;
    size_t inputs_n;
    size_t tasks;
    size_t **first; /* by input: tasks + 1 numbers for split tables, else NULL */
    enum sql_output_kind output;
    size_t partitions;  /* of SQL_OUTPUT_HASH */
    char **keys;        /* columns of the fragment */
    size_t *key_places; /* which ones, from 0 */
    size_t keys_n;
    int64_t limit; /* no task needs to give more rows than this; -1: no limit */
    char *what;    /* for people: "scan lineitem, partial aggregate by l_returnflag" */
};

struct sql_plan {
    struct sql_stage *stages; /* inputs come from earlier ones; the last one has SQL_OUTPUT_ROWS */
    size_t stages_n;
    char **names; /* of the columns, where the last fragment needed others; else NULL */
    size_t names_n;
    bool whole;      /* one stage, one task: DuckDB itself */
    const char *why; /* why it is whole; static text; "" otherwise */
    size_t scopes;   /* FROM clauses that were looked through: what planning took */
};

/* Plans a query. `query` is borrowed and not changed; `printed` (may be NULL) is
 * json_deserialize_sql of it, from which the names of columns come; `text` (may be NULL) is what
 * the user wrote: a plan that is whole runs that over views that are called as the tables are,
 * unless one of them is at a version. */
int sql_plan_query(const json_t *query, const char *printed, const char *text,
                   const struct sql_refs *refs, const struct sql_table *tables,
                   const struct sql_plan_options *options, struct sql_plan *out,
                   struct sql_error *e);
/* Plans SELECT ... FROM t WHERE c so that each task reads one file of t (a table; the only one in
 * FROM) and everything else whole: for statements that write files anew. The files are those where
 * a row may pass c. `invert`: the rows are those for which c isn't true; otherwise c only picks the
 * files, and all of their rows come. The table is the first input of the only stage.
 * ERR_UNSUPPORTED for other forms. */
int sql_plan_files(const json_t *query, bool invert, const struct sql_refs *refs,
                   const struct sql_table *tables, struct sql_plan *out, struct sql_error *e);
/* Plans a statement without a tree: whole. Views are called as the tables are. */
int sql_plan_text(const char *text, const struct sql_refs *refs, const struct sql_table *tables,
                  struct sql_plan *out);
void sql_plan_done(struct sql_plan *plan);

/* Whether one task does as well as several with what earlier stages wrote: it has few bytes beside
 * what a task of a table is worth, and few rows, since those of a shuffle are small and what is
 * done with them (to join, to group) is not. */
bool sql_stage_is_small(uint64_t bytes, uint64_t rows, uint64_t split_bytes_min);

/* malloc'ed text of the stages for EXPLAIN. */
char *sql_plan_explain(const struct sql_plan *plan, const struct sql_refs *refs,
                       const struct sql_table *tables);

/* Cuts `n` files into `tasks` runs of about equal bytes, in order: first[t] .. first[t + 1].
 * `first` has tasks + 1 places. No run is larger than it must be. */
void sql_split_files(const uint64_t *bytes, size_t n, size_t tasks, size_t *first);

#endif
