/* A read runs on one of the state's readers, off the loop: the query finds the job and its tasks,
 * the answer is made of them on the loop by whoever asked. */
#include "role/coordinator_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static struct coordinator_read *coordinator_read_make(struct coordinator *c)
{
    struct coordinator_read *read = mem_zalloc(sizeof *read);
    read->coordinator = c;
    read->element = -1;
    rangeset_init(&read->elements);
    rangeset_init(&read->cancelled);
    rangeset_init(&read->waiting);
    return read;
}

struct coordinator_read *coordinator_read_new(struct coordinator *c, struct http_request *req,
                                              void (*finish)(struct coordinator_read *read))
{
    struct coordinator_read *read = coordinator_read_make(c);
    read->activation = c->activation;
    read->req = req;
    read->finish = finish;
    read->user = mem_strdup(http_request_user(req));
    return read;
}

struct coordinator_read *coordinator_read_new_job(const struct coordinator_read *of,
                                                  Wire__JobRow *row)
{
    struct coordinator_read *read = coordinator_read_make(of->coordinator);
    read->row = row;
    return read;
}

void coordinator_read_free(struct coordinator_read *read)
{
    if (read->row != NULL)
        wire__job_row__free_unpacked(read->row, NULL);
    for (size_t i = 0; i < read->rows_n; i++)
        wire__job_row__free_unpacked(read->rows[i], NULL);
    for (size_t i = 0; i < read->found_n; i++)
        wire__task_row__free_unpacked(read->found[i], NULL);
    rangeset_done(&read->elements);
    rangeset_done(&read->cancelled);
    rangeset_done(&read->waiting);
    free(read->rows);
    free(read->found);
    free(read->unstarted);
    free(read->job);
    free(read->user);
    free(read->filter_user);
    free(read->filter_name);
    free(read->elements_text);
    free(read->reason);
    free(read);
}

void coordinator_read_fail(struct coordinator_read *read, int code)
{
    struct error e;
    const char *hint = NULL;
    if (code == ERR_NOT_FOUND && read->job != NULL) {
        (void)error_set(&e, code, "there is no job %.64s", read->job);
        hint = "job list shows the jobs";
    } else if (code == ERR_CONFLICT) {
        (void)error_set(&e, code, "several jobs begin with %.64s", read->job);
        hint = "give more characters of the id";
    } else if (code == ERR_INVALID) {
        (void)error_set(&e, code, "\"%.64s\" is no job id", read->job);
        hint = "a job is named by its id, 4 or more characters of it, or last";
    } else {
        (void)error_set(&e, code == ERR_NOT_LEADER ? ERR_NO_LEADER : code, "%s", err_text(code));
    }
    http_reply_failure(read->req, &e, hint);
    coordinator_read_free(read);
}

/* ---- on the reader's thread ------------------------------------------------------------------ */

static int coordinator_read_take_row(void *arg, Wire__JobRow *row)
{
    struct coordinator_read *read = arg;
    MEM_GROW(read->rows, read->rows_cap, read->rows_n + 1);
    read->rows[read->rows_n++] = row;
    return 0;
}

static int coordinator_read_query(sqlite3 *db, void *arg)
{
    struct coordinator_read *read = arg;
    if (read->job == NULL)
        return state_query_jobs(db, &read->filter, coordinator_read_take_row, read);
    int err = state_query_find_job(db, read->job, read->user, &read->id);
    if (err == 0)
        err = state_query_job(db, &read->id, &read->row);
    return err == 0 && read->tasks ? coordinator_read_tasks(db, read) : err;
}

static void coordinator_read_on_answer(void *arg, int code)
{
    struct coordinator_read *read = arg;
    if (code < 0)
        coordinator_read_fail(read, code);
    else
        read->finish(read);
}

/* ---- beginning a read ------------------------------------------------------------------------ */

static bool coordinator_read_consistency(struct http_request *req, enum state_consistency *out)
{
    static const char *const names[] = {
        [STATE_LINEARIZABLE] = "linearizable", [STATE_WEAK] = "weak", [STATE_STALE] = "stale"};
    const char *text = http_request_query(req, "consistency");
    *out = STATE_LINEARIZABLE;
    for (unsigned i = 0; text != NULL && i < MEM_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *out = (enum state_consistency)i;
            return true;
        }
    if (text == NULL)
        return true;
    struct error e;
    (void)error_set(&e, ERR_INVALID, "consistency must be linearizable, weak or stale");
    http_reply_failure(req, &e, NULL);
    return false;
}

bool coordinator_read_serves(struct coordinator *c, struct http_request *req,
                             http_request_fn handler, enum state_consistency *consistency)
{
    if (!coordinator_read_consistency(req, consistency))
        return false;
    if (*consistency == STATE_STALE && node_replica(c->node) != NULL)
        return true;
    if (*consistency == STATE_STALE)
        *consistency = STATE_WEAK;
    return coordinator_serves(c, req, handler);
}

void coordinator_read_start(struct coordinator_read *read, enum state_consistency consistency)
{
    state_read(node_replica(read->coordinator->node)->state, consistency, coordinator_read_query,
               coordinator_read_on_answer, read);
}

void coordinator_read_refuse(struct coordinator_read *read, const struct error *e)
{
    http_reply_failure(read->req, e, NULL);
    coordinator_read_free(read);
}

void coordinator_read_name(struct coordinator_read *read, const char *name)
{
    const char *mark = strrchr(name, '_');
    uint64_t index;
    if (mark != NULL && str_parse_u64(mark + 1, 0, SCHED_INDEX_MAX, &index) == 0) {
        read->element = (int64_t)index;
        read->job = mem_strndup(name, (size_t)(mark - name));
    } else {
        read->job = mem_strdup(name);
    }
}

bool coordinator_read_is_late(struct coordinator_read *read)
{
    if (read->coordinator->active && read->activation == read->coordinator->activation)
        return false;
    coordinator_read_fail(read, ERR_NOT_LEADER);
    return true;
}
