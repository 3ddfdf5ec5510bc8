/* GET /api/tasks: the attempts of all jobs, newest job first, a page of so many elements at a time.
 * One read of the state finds the jobs and, while it is at each, its elements; what the answer
 * needs of a job stays, its specification does not. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"
#include "role/coordinator_read.h"

struct coordinator_all_tasks {
    struct coordinator_read *read; /* the request */
    uint64_t job, after; /* begins at this job, behind that element; UINT64_MAX: neither */
    uint64_t left;       /* elements that still fit the page */
    struct coordinator_read **jobs;
    size_t jobs_n, jobs_cap;
    bool more;
    uint64_t next_job, next_after;
};

static void coordinator_all_tasks_free(struct coordinator_all_tasks *all)
{
    for (size_t i = 0; i < all->jobs_n; i++)
        coordinator_read_free(all->jobs[i]);
    free(all->jobs);
    free(all);
}

/* ---- on the reader's thread ------------------------------------------------------------------ */

/* The element behind the page, when the job has more than fit it. */
static void coordinator_all_tasks_count(struct coordinator_all_tasks *all,
                                        const struct coordinator_read *job)
{
    uint64_t n = rangeset_count(&job->elements);
    if (n <= all->left) {
        all->left -= n;
        return;
    }
    all->left = 0;
    all->more = true;
    all->next_job = job->row->seq;
    all->next_after = job->last;
}

static int coordinator_all_tasks_take(sqlite3 *db, struct coordinator_all_tasks *all,
                                      Wire__JobRow *row)
{
    struct coordinator_read *job = coordinator_read_new_job(all->read, row);
    MEM_GROW(all->jobs, all->jobs_cap, all->jobs_n + 1);
    all->jobs[all->jobs_n++] = job;
    job->limit = all->left;
    job->after = row->seq == all->job ? all->after : UINT64_MAX;
    job->all_attempts = true;
    int err = coordinator_read_tasks(db, job);
    if (err < 0)
        return err;
    coordinator_all_tasks_count(all, job);
    job->limit = UINT64_MAX; /* of rows: all that were found */
    wire__job_spec__free_unpacked(row->spec, NULL);
    row->spec = NULL;
    return 0;
}

struct coordinator_all_tasks_row {
    struct coordinator_all_tasks *all;
    sqlite3 *db;
};

static int coordinator_all_tasks_on_job(void *arg, Wire__JobRow *row)
{
    const struct coordinator_all_tasks_row *at = arg;
    struct coordinator_all_tasks *all = at->all;
    if (all->left == 0 && !all->more) {
        all->more = true;
        all->next_job = row->seq;
        all->next_after = UINT64_MAX;
    }
    if (all->more) {
        wire__job_row__free_unpacked(row, NULL);
        return 1;
    }
    return coordinator_all_tasks_take(at->db, all, row);
}

static int coordinator_all_tasks_query(sqlite3 *db, void *arg)
{
    struct coordinator_all_tasks *all = arg;
    struct coordinator_all_tasks_row at = {all, db};
    struct state_query_job_filter filter = {.before = all->job != UINT64_MAX ? all->job + 1 : 0,
                                            .limit = COORDINATOR_LIST_MAX + 2};
    int err = state_query_jobs(db, &filter, coordinator_all_tasks_on_job, &at);
    return err > 0 ? 0 : err;
}

/* ---- the answer ------------------------------------------------------------------------------ */

static json_t *coordinator_all_tasks_next(const struct coordinator_all_tasks *all)
{
    if (!all->more)
        return json_null();
    char *next = all->next_after == UINT64_MAX
                     ? mem_printf("job=%" PRIu64, all->next_job)
                     : mem_printf("job=%" PRIu64 "&after=%" PRIu64, all->next_job, all->next_after);
    json_t *text = json_string(next);
    free(next);
    return text;
}

static void coordinator_all_tasks_on_answer(void *arg, int code)
{
    struct coordinator_all_tasks *all = arg;
    struct coordinator_read *read = all->read;
    if (code < 0) {
        coordinator_read_fail(read, code);
    } else {
        json_t *rows = json_array();
        for (size_t i = 0; i < all->jobs_n; i++) {
            json_t *of_job = coordinator_tasks_json(all->jobs[i]);
            (void)json_array_extend(rows, of_job);
            json_decref(of_job);
        }
        http_reply_json(
            read->req, 200,
            json_pack("{s:o,s:o}", "tasks", rows, "next", coordinator_all_tasks_next(all)));
        coordinator_read_free(read);
    }
    coordinator_all_tasks_free(all);
}

void coordinator_all_tasks(struct http_request *req, void *arg)
{
    struct coordinator *c = arg;
    enum state_consistency consistency;
    struct error e;
    uint64_t limit = COORDINATOR_LIST_DEFAULT, job = UINT64_MAX, after = UINT64_MAX;
    if (!coordinator_read_serves(c, req, coordinator_all_tasks, &consistency))
        return;
    int err = http_request_query_u64(req, "limit", 1, COORDINATOR_LIST_MAX, &limit, &e);
    if (err == 0)
        err = http_request_query_u64(req, "job", 1, INT64_MAX, &job, &e);
    if (err == 0)
        err = http_request_query_u64(req, "after", 0, SCHED_INDEX_MAX, &after, &e);
    if (err < 0) {
        http_reply_failure(req, &e, NULL);
        return;
    }
    struct coordinator_all_tasks *all = mem_zalloc(sizeof *all);
    all->read = coordinator_read_new(c, req, NULL);
    all->job = job;
    all->after = after;
    all->left = limit;
    state_read(node_replica(c->node)->state, consistency, coordinator_all_tasks_query,
               coordinator_all_tasks_on_answer, all);
}
