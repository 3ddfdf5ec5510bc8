/* A task inside an executor: what it was asked, what it has made so far, how it ends.
 *
 * Functions that can fail return 0 or -1; the reason is then in the task, the first one counts. */
#ifndef RUN_EXECUTOR_TASK_H
#define RUN_EXECUTOR_TASK_H

#include <duckdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "run/executor_engine.h"
#include "run/executor_port.h"
#include "wire/message.h"

struct executor_task {
    struct executor_engine *engine;
    struct executor_port *port;
    const Wire__SqlRunTask *request;
    duckdb_connection con;
    char *dir; /* its scratch directory; removed at its end */
    bool is_in_transaction;
    bool spools;    /* its rows go by way of memory (executor_spool.h) */
    bool streams;   /* they may not: it failed */
    bool measured;  /* its profile is complete */
    size_t lines_n; /* files made of SQL_FORMAT_LINES */
    Wire__SqlError *error;
    Wire__SqlTaskDone done; /* owns its files, text, profile */
    char **scratch_names; /* of done.files, where they were written; done.n_files of them or none */
    /* The columns of what it gives; with `done` unless they went before. */
    Wire__SqlColumn **columns;
    size_t columns_n;
    bool columns_told;
};

/* All is borrowed until executor_task_done(). */
void executor_task_init(struct executor_task *task, struct executor_engine *engine,
                        struct executor_port *port, const Wire__SqlRunTask *request);
/* Does what `request` says; rows leave meanwhile. */
void executor_task_run(struct executor_task *task);
/* Sends the last update, with `done`. */
void executor_task_answer(struct executor_task *task);
void executor_task_done(struct executor_task *task);

/* Takes `error`. */
int executor_task_fail(struct executor_task *task, Wire__SqlError *error);
int executor_task_fail_text(struct executor_task *task, int code, const char *kind, const char *fmt,
                            ...) __attribute__((format(printf, 4, 5)));
/* Fails with ERR_CANCELLED when it was. */
int executor_task_check(struct executor_task *task);

/* Executes `sql` of ours on the task's connection. */
int executor_task_execute(struct executor_task *task, const char *sql);
/* What was made in the database from here on is gone at the end of the task. */
int executor_task_begin(struct executor_task *task);
void executor_task_rollback(struct executor_task *task);

/* Below `dir`, which is made if need be: malloc'ed path, NULL when it cannot be made. */
char *executor_task_path(struct executor_task *task, const char *name);

/* Takes `type`. */
void executor_task_add_column(struct executor_task *task, const char *name, char *type);
void executor_task_drop_columns(struct executor_task *task);
/* Takes what is in `file`. */
Wire__SqlOutputFile *executor_task_add_file(struct executor_task *task);
/* Forgets them all; they are in the scratch directory still. */
void executor_task_drop_files(struct executor_task *task);

/* Sends rows as soon as there is credit; the columns go with the first. */
int executor_task_send_rows(struct executor_task *task, const void *data, size_t len,
                            uint32_t count);

#endif
