/* Between the files of role/query. A statement goes: query.c takes and admits it, query_statement.c
 * decides what to do, query_read.c parses and plans, query_snapshot.c takes snapshots of the tables
 * (query_table.c), query_stage.c runs stages,
 * query_message.c says what a task is told, query_places.c where it runs,
 * query_out.c writes the answer, query_write.c and query_show.c do the statements that aren't
 * queries, query_commit.c ends those that write. */
#ifndef ROLE_QUERY_INTERNAL_H
#define ROLE_QUERY_INTERNAL_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/trace.h"
#include "base/uuid.h"
#include "core/delta_log.h"
#include "core/sql_places.h"
#include "core/sql_plan.h"
#include "role/node.h"
#include "role/query.h"
#include "role/query_cluster.h"
#include "role/query_work.h"
#include "role/tables.h"
#include "wire/sql.pb-c.h"

/* Credit of a task whose rows wait for those of another. */
enum { QUERY_HELD_BYTES = 256 * 1024 };

struct object_call;
struct queries;
struct query;
struct query_crowd;
struct query_group;
struct query_relay;
struct query_task;
struct query_vacuum;

/* A table at one version, as the planner and the executors see it. */
struct query_table {
    char *name; /* as tables.h has it */
    struct uuid id;
    char *place;
    struct delta_view *view; /* NULL: not there yet */
    bool mixed;              /* some of its files may lack columns */
    struct sql_column *columns;
    struct sql_file *files;
    struct delta_file *delta; /* of the view, by index in files */
    size_t files_n;
    const struct query_cluster_table *cluster; /* of the cluster's state; then there is no view */
    struct sql_file whole;                     /* its only "file", when its rows are few: */
    char *lines;                               /* these; or a piece on its way to the store */
    char **keys;                               /* or where in the store its files are */
    size_t files_cap;
};

struct query_attempt {
    struct query_task *task;
    uint64_t node;
    uint64_t call; /* 0: over */
    unsigned number;
    int64_t started_ms;
    uint64_t owed; /* bytes of rows that were passed on and not given credit for */
};

struct query_rows {
    STAILQ_ENTRY(query_rows) entry;
    size_t len;
    struct query_attempt *from;
    char data[];
};

struct query_task {
    struct query *query;
    size_t index;
    uint64_t place; /* the node that its first attempt goes to; 0: any */
    struct query_attempt attempts[QUERY_ATTEMPTS_MAX];
    unsigned attempts_n;
    bool done;
    bool has_sent; /* rows of it are on their way to the client */
    int64_t wall_ms;
    uint64_t rows, bytes;
    Wire__SqlTaskDone *result; /* of the attempt that counts */
    unsigned winner;
    STAILQ_HEAD(, query_rows) held; /* rows that wait for their turn */
};

/* What a stage came to. */
struct query_stage {
    size_t tasks_n;
    struct query_task *tasks;
    size_t done_n;
    Wire__SqlColumn **columns; /* of what it wrote */
    size_t columns_n;
    int64_t started_ms, wall_ms;
    struct trace_span *span; /* while it runs; NULL: not traced */
    uint64_t rows, bytes;
    bool by_alone; /* ran as one task for this stage and all later ones */
};

/* Where the last stage's rows go. */
struct query_target {
    Wire__SqlOutputKind kind; /* ROWS, FILE, TABLE */
    const char *root;
    const char *path; /* FILE */
    Wire__SqlFormat format;
    const struct sql_option *options;
    size_t options_n;
    const struct delta_schema *schema;     /* TABLE: its columns */
    const struct delta_metadata *metadata; /* which of them partition; NULL: see partitions */
    char *const *partitions;
    size_t partitions_n;
    uint64_t target_bytes;
};

/* Called once, never from inside. */
typedef void (*query_next_fn)(struct query *q);

/* The end of a query that no client asked for; it is ended and freed there. */
typedef void (*query_end_fn)(struct query *q, int code, const char *hint, const char *text);

struct query {
    struct queries *role;
    struct http_request *req; /* NULL: over for the client */
    struct uuid id;
    char id_text[UUID_TEXT_MAX];
    char *session, *user, *text;
    bool waiting, ended;
    bool told;               /* that it runs */
    struct trace_span *span; /* until it ended; NULL: not traced */
    int code;                /* of its end; before: what it is when the client goes */
    int64_t began_ms;
    struct sql_statement statement;
    struct query_work *work; /* the step that is worked on */
    bool gone;               /* to be freed when that is over */

    /* reading */
    char *source;                  /* the query that is parsed; may be composed */
    size_t source_from, source_to; /* sql_at_shift() */
    json_t *tree;
    size_t tree_bytes;
    char *printed;
    struct sql_refs refs;
    struct query_table *tables; /* by refs */
    struct sql_table *views;    /* for the planner, by refs */
    size_t tables_got;
    struct tables_call *call;
    struct query_cluster *cluster; /* being loaded */
    bool has_cluster_files;        /* below the query's folder in the store */
    uint64_t light_call;           /* parse or describe under way */
    uint64_t light_node;
    query_next_fn next;
    Wire__SqlColumn **described;
    size_t described_n;
    char **described_as; /* their names, where the executor can't know them */
    size_t described_as_n;

    /* running */
    bool planned;
    struct sql_plan plan;
    struct query_target target;
    struct query_stage *stages;
    size_t stage;    /* that runs */
    uint64_t *nodes; /* workers, this node first */
    size_t nodes_n;
    size_t rows_task;        /* whose rows go out now */
    struct object_call *put; /* of a manifest */
    struct loop_timer timer;
    query_next_fn finished; /* after the last stage */

    /* writing */
    struct query_table target_table;
    char *copy_root, *copy_path; /* COPY's file */
    Wire__SqlFormat copy_format;
    struct delta_schema schema; /* of a table that is made or replaced */
    bool replaces;
    bool counting; /* UPDATE counts its rows first */
    uint64_t counted;
    struct query_vacuum *vacuum;
    char *txn_id;
    struct buf lines;      /* of a commit */
    bool may_be_committed; /* they were sent, and not refused */
    query_next_fn again;   /* when the commit is refused by a later one; NULL: it fails */
    uint64_t affected;
    unsigned retries;

    /* query_crowd.c: INSERTs of rows that read nothing */
    struct sql_values values;  /* rows 0: it is no such */
    struct query_crowd *crowd; /* until its files are written */
    struct query_group *group; /* whose rows are written with others */
    unsigned regrouped;        /* times that its group was given up */
    struct query_group *carries;
    query_end_fn on_end; /* NULL: a client's */
    TAILQ_ENTRY(query) crowd_entry;

    /* answering */
    struct buf out;
    size_t out_at;
    bool streaming, full, told_columns, closing;
    uint64_t rows_out;
    struct loop_hook hook;
    TAILQ_ENTRY(query) entry;
};

struct query_events;

struct queries {
    struct node *node;
    bool stopped;
    unsigned running_n, waiting_n;
    unsigned bodies_n;              /* of requests, that threads read */
    unsigned works_n;               /* on threads */
    TAILQ_HEAD(, query_work) works; /* that wait for one */
    struct sql_places *places;
    struct query_events *events;
    TAILQ_HEAD(query_list, query) all; /* waiting ones in order of arrival */
    struct query_list carriers;        /* no client's */
    TAILQ_HEAD(, query_crowd) crowds;
    TAILQ_HEAD(, query_relay) relays;
    unsigned relays_n;
};

/* query_relay.c: whose statements a request is about, by its parameter `nodes`. */
enum query_nodes { QUERY_NODES_INVALID, QUERY_NODES_HERE, QUERY_NODES_ONE, QUERY_NODES_ALL };
enum query_nodes query_relay_nodes(struct queries *role, struct http_request *req,
                                   enum query_nodes otherwise, struct error *e);
/* Asks the other nodes, or the one that is named, for `target`, and answers the request: with
 * `list` (taken) and the rows of all, or, when it is NULL, with the first answer but 404. */
void query_relay(struct queries *role, struct http_request *req, const char *target, json_t *list);
void query_relays_stop(struct queries *role);

/* query.c */
void query_fail(struct query *q, int code, size_t at, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void query_fail_error(struct query *q, const struct sql_error *e);
void query_done(struct query *q); /* writes {"done":...} and ends */
/* A query that has ended while a thread worked for it: frees what that read, and it if it is gone.
 */
void query_over(struct query *q);

/* Ends it: nothing of it runs any more, it is told nothing. */
void query_stop(struct query *q);
/* One that no client asked for, in the name of `like`. It ends in `on_end`. */
struct query *query_new_carrier(const struct query *like, query_end_fn on_end);

/* query_events.c: what is told of statements. */
void query_tell_begin(struct query *q);
void query_tell_slow(struct query *q); /* it takes long */
void query_tell_stage(struct query *q, bool ended);
void query_tell_end(struct query *q, const char *why); /* NULL: see q->code */
void query_events_start(struct queries *role);
void query_events_free(struct queries *role);

/* query_statement.c: begins what has been admitted. */
void query_begin(struct query *q);

/* query_read.c. Each ends in query_fail() or q->next. */
/* Parses `source` (taken) and takes snapshots of its tables. Positions in it at or after `from` are
 * those of the statement from `to` on. */
void query_read(struct query *q, char *source, size_t from, size_t to, query_next_fn next);
/* Names and types of what q->source gives: q->described. */
void query_describe(struct query *q, query_next_fn next);
/* Plans what was read. */
void query_plan(struct query *q, size_t workers_max, query_next_fn next);
/* As sql_plan_files() does it. */
void query_plan_files(struct query *q, bool invert, query_next_fn next);
void query_read_done(struct query *q);
void query_fail_wire(struct query *q, const Wire__SqlError *error);

/* query_snapshot.c. Of the table `name`, as it is now, into `out`, without files. */
void query_snapshot(struct query *q, const char *name, struct query_table *out, query_next_fn next);
/* Whether the target's protocol and properties allow what the statement writes; fails it if not. */
bool query_may_write(struct query *q);
/* Of the tables of q->refs from q->tables_got on, then q->next. */
void query_snapshots(struct query *q);

/* query_table.c */
size_t query_table_columns(const struct query_table *table);
char *query_table_name(const char *schema, const char *name);
/* All but its files; those, too. */
void query_table_take(struct query_table *table, const struct tables_result *result);
void query_table_files(struct query_table *table);
void query_table_done(struct query_table *table);
/* Columns were added to a table of ours: files from before lack them. */
#define QUERY_TABLE_LACKS "clusterd.columnsAdded"
bool query_table_may_lack(const struct delta_metadata *metadata);

/* query_cluster_rows.c: that of one of the cluster's own tables, then query_snapshots(). */
void query_cluster_snapshot(struct query *q, const struct sql_ref *ref);

/* Who may run tasks now: q->nodes, this node first. */
void query_find_nodes(struct query *q);

/* query_stage.c: runs q->plan into q->target, then q->finished. */
void query_run(struct query *q, query_next_fn finished);
void query_stages_done(struct query *q); /* cancels what runs, frees */
void query_give_credit(struct query *q);
/* Gives a second attempt to a task that takes much longer than its siblings. */
void query_look_for_stragglers(struct query *q);

/* query_places.c: sends the tasks of the stage that begins to nodes that have read their files;
 * notes that one has. */
void query_places_choose(struct query *q);
void query_places_note(struct query *q, const struct query_task *task, uint64_t node);

/* query_message.c. A column as messages have it. */
Wire__SqlColumn *query_column(const char *name, const char *type, bool partition, bool not_null);
/* The message of a task; free with wire__sql_run_task__free_unpacked(). */
Wire__SqlRunTask *query_task_message(struct query *q, const struct query_task *task,
                                     unsigned attempt);
/* What the executors see of a table: its files from `first` to `end` of input->files. */
Wire__SqlInput *query_table_input(const struct query_table *table, const struct sql_input *input,
                                  size_t first, size_t end);

/* query_out.c */
void query_out_init(struct query *q);
void query_out_line(struct query *q, json_t *line); /* takes it */
void query_out_columns(struct query *q, Wire__SqlColumn *const *columns, size_t n);
void query_out_rows(struct query *q, const char *rows, size_t len, uint32_t count);
/* A small answer: columns of VARCHAR unless `types` says more, rows as a JSON array of arrays
 * (taken). */
void query_out_table(struct query *q, const char *const *names, const char *const *types, size_t n,
                     json_t *rows);
void query_out_progress(struct query *q);
void query_out_end(struct query *q); /* what is buffered goes out, then the query is freed */
bool query_out_is_full(const struct query *q);

/* query_answer.c: answers (or explains) the query that was read from the log alone; false when that
 * can't be. */
bool query_answer(struct query *q);

/* query_commit.c. Lines of the entry in q->lines: begins it, with a new q->txn_id; appends a file.
 */
int query_write_info(struct query *q, const char *operation, uint64_t read_version);
int query_write_add(struct query *q, const struct delta_metadata *metadata,
                    const Wire__SqlOutputFile *file, bool changes);
/* Appends an add for each file that the last stage wrote, counts q->affected. */
int query_commit_files(struct query *q, const struct delta_metadata *metadata);
/* Sends q->lines as a version of `table`, which ends the statement. `again` (NULL: it fails then)
 * when another commit took away what this one changes. */
void query_commit_send(struct query *q, const struct query_table *table, query_next_fn again);
/* What came of a commit: refused for sure, its files are not needed any more. */
void query_commit_told(struct query *q, int code);
/* Files of the last stage into q->target_table, whose place they take with q->replaces. */
void query_commit(struct query *q);

/* query_crowd.c. An INSERT whose rows can be written together with those of others: begins it, now
 * or when its turn comes. False: it goes by itself. */
bool query_crowd_take(struct query *q);
/* Its files are written, or it has ended: the next may begin. */
void query_crowd_leave(struct query *q);
/* Its commit, or that of the group that it is in, is on its way: whoever ends it doesn't know. */
bool query_is_committing(const struct query *q);
/* The statements that it carries, as parts of its task. */
void query_crowd_parts(const struct query *carrier, Wire__SqlFragment *fragment);
void query_crowds_free(struct queries *role);

/* query_copy.c */
void query_copy_begin(struct query *q);   /* COPY FROM, of q->target_table */
void query_copy_to_read(struct query *q); /* COPY TO, of what was read */
/* query_create.c; `name` as in tables.h. */
void query_create(struct query *q, const char *name);
void query_drop(struct query *q, const char *name);

/* query_show.c, query_write.c: the statements of their kinds. */
void query_show(struct query *q);
void query_explain(struct query *q);
void query_write(struct query *q);
void query_write_done(struct query *q);
void query_insert(struct query *q); /* takes a snapshot of its table, and so on */
/* Whether an INSERT of rows that read nothing fits `table`: then it has its q->source. False after
 * query_fail(). */
bool query_insert_compose_values(struct query *q, const struct query_table *table);
/* The rows go into q->target_table. */
void query_into_table(struct query *q);
void query_insert_run(struct query *q); /* plans what was read into it, then query_commit() */
/* Index by name without regard to case; SIZE_MAX: none. */
size_t query_find_name(char *const *names, size_t n, const char *name);
/* query_alter.c */
void query_alter(struct query *q);
/* query_rewrite.c: DELETE, UPDATE, OPTIMIZE; query_vacuum.c. */
void query_rewrite(struct query *q);
void query_vacuum(struct query *q);
void query_vacuum_free(struct query_vacuum *vacuum);
/* The files that COPY FROM reads. */
Wire__SqlInput *query_copy_input(const struct query *q);

void query_free(struct query *q);

#endif
