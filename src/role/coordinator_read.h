/* Requests that read jobs, and what begins with a read: used by the files of /api/jobs only. */
#ifndef ROLE_COORDINATOR_READ_H
#define ROLE_COORDINATOR_READ_H

#include "role/coordinator_internal.h"
#include "run/state_query.h"

enum {
    COORDINATOR_LIST_MAX = 10000,
    COORDINATOR_LIST_DEFAULT = 100,
};

/* A request that reads: what it asks, what was found, what is done with it. */
struct coordinator_read {
    struct coordinator *coordinator;
    unsigned activation;
    struct http_request *req;
    void (*finish)(struct coordinator_read *read);
    char *job; /* how the request names it */
    char *user;

    struct state_query_job_filter filter;
    char *filter_user, *filter_name;
    bool tasks, all_attempts, output, usage;
    int64_t element; /* -1: all */
    uint64_t after, limit, attempt;
    int task_state; /* enum attempt_state, 0 any, -1 pending */
    /* Elements without an attempt, where only those of one state are wanted. */
    const struct rangeset *unstarted_of; /* that may be among them; NULL: none are */
    uint32_t *unstarted;
    size_t unstarted_n, unstarted_cap;
    uint32_t unstarted_at; /* elements before it were looked at */
    uint32_t last;         /* element that was looked at */

    Wire__JobRow *row;
    Wire__JobRow **rows;
    size_t rows_n, rows_cap;
    Wire__TaskRow **found;
    size_t found_n, found_cap;
    struct rangeset elements;
    struct rangeset cancelled; /* of the elements */
    struct rangeset waiting;   /* the others, unless the job has ended */
    char *elements_text;       /* of a cancel */
    char *reason;
    struct uuid id;
};

/* ---- coordinator_read.c ---------------------------------------------------------------------- */

/* For `req`, which `finish` answers with what was found, and then frees the read; what fails is
 * answered here. */
struct coordinator_read *coordinator_read_new(struct coordinator *c, struct http_request *req,
                                              void (*finish)(struct coordinator_read *read));
/* One of a job (taken), for what `of` asks of several; it answers nothing. Any thread. */
struct coordinator_read *coordinator_read_new_job(const struct coordinator_read *of,
                                                  Wire__JobRow *row);
void coordinator_read_free(struct coordinator_read *read);
/* "UUID_7" names element 7. */
void coordinator_read_name(struct coordinator_read *read, const char *name);
/* Finds the job that is named, its tasks too if `tasks`; without a name: jobs by the filter. */
void coordinator_read_start(struct coordinator_read *read, enum state_consistency consistency);
/* Answer the request with what went wrong, and free the read. */
void coordinator_read_fail(struct coordinator_read *read, int code);
void coordinator_read_refuse(struct coordinator_read *read, const struct error *e);
/* Whether this node answers a read: the leader all, any replica a stale one. Otherwise the request
 * is answered or on its way. */
bool coordinator_read_serves(struct coordinator *c, struct http_request *req,
                             http_request_fn handler, enum state_consistency *consistency);
/* The lead was lost since the read began: it is answered. */
bool coordinator_read_is_late(struct coordinator_read *read);

/* ---- coordinator_tasks.c --------------------------------------------------------------------- */

/* On the reader's thread: the tasks that `read` asks for, of the job that it found. */
int coordinator_read_tasks(sqlite3 *db, struct coordinator_read *read);
json_t *coordinator_tasks_json(const struct coordinator_read *read);
void coordinator_tasks(struct http_request *req, void *arg);

/* ---- coordinator_all_tasks.c ----------------------------------------------------------------- */

void coordinator_all_tasks(struct http_request *req, void *arg);

/* ---- coordinator_usage.c --------------------------------------------------------------------- */

/* Asks the nodes of those attempts that were found running what they use, and then calls `done`;
 * from within when there is nobody to ask. */
void coordinator_usage_fetch(struct coordinator_read *read,
                             void (*done)(struct coordinator_read *read));

/* ---- coordinator_jobs.c ---------------------------------------------------------------------- */

void coordinator_finish_show(struct coordinator_read *read);

/* ---- coordinator_change.c -------------------------------------------------------------------- */

/* A change (`arg`: its read) is durable: shows the job as it is then. */
void coordinator_show_changed(void *arg, int code);
void coordinator_cancel(struct http_request *req, void *arg);
void coordinator_retry(struct http_request *req, void *arg);

/* ---- coordinator_wait.c ---------------------------------------------------------------------- */

void coordinator_wait_job(struct http_request *req, void *arg);

#endif
