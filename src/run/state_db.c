/* Happy path: the loop queues operations for the writer, which takes all of them at once, applies
 * them in one transaction and queues what came of it for the loop. Reads wait on the loop until
 * the index they need was applied, then go to a reader. On a full disk the writer says so and tries
 * the same entries again until there is room; when applying fails for another reason it reports
 * once and drops everything that follows. */
#include "run/state_db.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum state_db_kind {
    STATE_DB_APPLY,
    STATE_DB_SKIP,
    STATE_DB_PERSIST,
    STATE_DB_COPY,
    STATE_DB_RESTORE,
    STATE_DB_READ,
    STATE_DB_STALLED,
    STATE_DB_FAILED,
};

enum { STATE_DB_RETRY_MS = 100 };

/* One operation on its way to a thread and back. */
struct state_db_op {
    STAILQ_ENTRY(state_db_op) link;
    enum state_db_kind kind;
    uint64_t index;
    state_db_done_fn done;
    state_db_query_fn query;
    state_db_answer_fn answer;
    void *arg;
    char *path;
    struct state_result *results;
    size_t n;
    struct error error;
    size_t len;
    uint8_t batch[];
};

STAILQ_HEAD(state_db_queue, state_db_op);

struct state_db {
    uv_loop_t *loop;
    struct state_db_callbacks callbacks;
    char *path;
    struct state_store *store; /* the writer's */
    uv_async_t async;

    /* loop only */
    uint64_t applied;
    struct state_db_queue waiting; /* reads whose index was not applied yet */
    unsigned reads;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;

    pthread_mutex_t lock;
    pthread_cond_t writer_wake;
    pthread_cond_t reader_wake;
    struct state_db_queue to_writer;
    struct state_db_queue to_reader;
    struct state_db_queue to_loop;
    bool stop;
    bool stalled;        /* the writer's: the disk is full */
    unsigned generation; /* of the file, changes with a restore */

    pthread_rwlock_t file; /* readers share it, a restore has it alone */
    pthread_t writer;
    pthread_t readers[STATE_DB_READERS];
};

static struct state_db_op *state_db_op_new(enum state_db_kind kind, const void *batch, size_t len)
{
    struct state_db_op *op = mem_alloc(sizeof *op + len);
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->len = len;
    if (len > 0)
        memcpy(op->batch, batch, len);
    return op;
}

static void state_db_op_free(struct state_db_op *op)
{
    free(op->path);
    free(op->results);
    free(op);
}

static void state_db_queue_for(struct state_db *db, struct state_db_queue *queue,
                               pthread_cond_t *wake, struct state_db_op *op)
{
    pthread_mutex_lock(&db->lock);
    STAILQ_INSERT_TAIL(queue, op, link);
    pthread_cond_signal(wake);
    pthread_mutex_unlock(&db->lock);
}

static void state_db_give_back(struct state_db *db, struct state_db_queue *ops)
{
    pthread_mutex_lock(&db->lock);
    STAILQ_CONCAT(&db->to_loop, ops);
    pthread_mutex_unlock(&db->lock);
    (void)uv_async_send(&db->async);
}

static int state_db_apply_op(struct state_db *db, struct state_db_op *op, struct error *e)
{
    if (op->kind == STATE_DB_SKIP) {
        state_store_skip(db->store, op->index);
        return 0;
    }
    const struct state_result *results = NULL;
    size_t n = 0;
    int err = state_store_apply(db->store, op->index, op->batch, op->len, &results, &n, e);
    if (err == 0 && n > 0) {
        op->results = mem_dup(results, n * sizeof *results);
        op->n = n;
    }
    return err;
}

static int state_db_swap(struct state_db *db, const char *path, struct error *e)
{
    uint64_t applied = 0;
    int err = state_store_probe(path, &applied, e);
    if (err < 0)
        return err;
    if (applied <= state_store_applied(db->store)) {
        (void)unlink(path);
        return 0;
    }
    char *log = mem_printf("%s-wal", db->path);
    char *shm = mem_printf("%s-shm", db->path);
    pthread_rwlock_wrlock(&db->file);
    state_store_close(db->store);
    db->store = NULL;
    (void)unlink(log);
    (void)unlink(shm);
    if (rename(path, db->path) < 0)
        err = error_set(e, -errno, "%s: cannot take the place of %s: %s", path, db->path,
                        err_text(-errno));
    if (err == 0)
        err = state_store_open(&db->store, db->path, e);
    pthread_mutex_lock(&db->lock);
    db->generation++;
    pthread_mutex_unlock(&db->lock);
    pthread_rwlock_unlock(&db->file);
    free(log);
    free(shm);
    return err;
}

static bool state_db_is_write(const struct state_db_op *op)
{
    return op->kind == STATE_DB_APPLY || op->kind == STATE_DB_SKIP;
}

/* Applies the run of writes at the front of `from` in one transaction and moves it to `to`. */
static int state_db_write_run(struct state_db *db, struct state_db_queue *from,
                              struct state_db_queue *to, struct error *e)
{
    int err = state_store_begin(db->store, e);
    struct state_db_op *op;
    while (err == 0 && (op = STAILQ_FIRST(from)) != NULL && state_db_is_write(op)) {
        STAILQ_REMOVE_HEAD(from, link);
        err = state_db_apply_op(db, op, e);
        STAILQ_INSERT_TAIL(to, op, link);
    }
    return err < 0 ? err : state_store_commit(db->store, e);
}

/* Returns a code only for what makes the state unusable. */
static int state_db_write_other(struct state_db *db, struct state_db_op *op, struct error *e)
{
    switch (op->kind) {
    case STATE_DB_PERSIST:
        (void)state_store_persist(db->store, &op->error);
        return 0;
    case STATE_DB_RESTORE:
        return state_db_swap(db, op->path, e);
    default:
        assert(!"not the writer's");
        return ERR_INTERNAL;
    }
}

static void state_db_tell_stalled(struct state_db *db, int code)
{
    struct state_db_queue one = STAILQ_HEAD_INITIALIZER(one);
    struct state_db_op *op = state_db_op_new(STATE_DB_STALLED, NULL, 0);
    op->error.code = code;
    db->stalled = code < 0;
    STAILQ_INSERT_TAIL(&one, op, link);
    state_db_give_back(db, &one);
}

/* Waits a little for room; false when the database is being closed. */
static bool state_db_wait_for_room(struct state_db *db)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += STATE_DB_RETRY_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_mutex_lock(&db->lock);
    if (!db->stop)
        (void)pthread_cond_timedwait(&db->writer_wake, &db->lock, &until);
    bool stop = db->stop;
    pthread_mutex_unlock(&db->lock);
    return !stop;
}

/* Takes back the entries of a transaction that found the disk full: they wait for room in the
 * state file as it was before. */
static int state_db_stall(struct state_db *db, struct state_db_queue *run,
                          struct state_db_queue *ops, struct error *e)
{
    struct state_db_op *op;
    STAILQ_FOREACH (op, run, link) {
        free(op->results);
        op->results = NULL;
        op->n = 0;
    }
    STAILQ_CONCAT(run, ops);
    STAILQ_CONCAT(ops, run);
    state_store_rollback(db->store);
    if (!db->stalled)
        state_db_tell_stalled(db, e->code);
    if (!state_db_wait_for_room(db))
        return error_set(e, ERR_CLOSED, "%s: closed while the disk was full", db->path);
    return 0;
}

/* Applies the writes at the front of `ops`, however long that takes on a full disk. */
static int state_db_write_patiently(struct state_db *db, struct state_db_queue *ops,
                                    struct state_db_queue *done, struct error *e)
{
    struct state_db_queue run = STAILQ_HEAD_INITIALIZER(run);
    int err = state_db_write_run(db, ops, &run, e);
    while (err == -ENOSPC) {
        err = state_db_stall(db, &run, ops, e);
        if (err == 0)
            err = state_db_write_run(db, ops, &run, e);
    }
    STAILQ_CONCAT(done, &run);
    if (err == 0 && db->stalled)
        state_db_tell_stalled(db, 0);
    return err;
}

/* Handles everything in `ops`. After a failure what is left goes back with the error. */
static int state_db_write_all(struct state_db *db, struct state_db_queue *ops, struct error *e)
{
    struct state_db_queue done = STAILQ_HEAD_INITIALIZER(done);
    int err = 0;
    struct state_db_op *op;
    while (err == 0 && (op = STAILQ_FIRST(ops)) != NULL) {
        if (state_db_is_write(op)) {
            err = state_db_write_patiently(db, ops, &done, e);
        } else {
            STAILQ_REMOVE_HEAD(ops, link);
            err = state_db_write_other(db, op, e);
            STAILQ_INSERT_TAIL(&done, op, link);
        }
        if (err == 0)
            state_db_give_back(db, &done);
    }
    if (err == 0)
        return 0;
    STAILQ_CONCAT(&done, ops);
    STAILQ_FOREACH (op, &done, link)
        op->error = *e;
    op = state_db_op_new(STATE_DB_FAILED, NULL, 0);
    op->error = *e;
    STAILQ_INSERT_TAIL(&done, op, link);
    state_db_give_back(db, &done);
    return err;
}

static void *state_db_writer(void *arg)
{
    struct state_db *db = arg;
    struct error failure = {0};
    int err = 0;
    for (;;) {
        struct state_db_queue ops = STAILQ_HEAD_INITIALIZER(ops);
        pthread_mutex_lock(&db->lock);
        while (STAILQ_EMPTY(&db->to_writer) && !db->stop)
            pthread_cond_wait(&db->writer_wake, &db->lock);
        STAILQ_CONCAT(&ops, &db->to_writer);
        pthread_mutex_unlock(&db->lock);
        if (STAILQ_EMPTY(&ops))
            return NULL;
        if (err == 0) {
            err = state_db_write_all(db, &ops, &failure);
        } else {
            struct state_db_op *op;
            STAILQ_FOREACH (op, &ops, link)
                op->error = failure;
            state_db_give_back(db, &ops);
        }
    }
}

struct state_db_reader {
    sqlite3 *connection;
    unsigned generation;
};

static void state_db_run_read(struct state_db *db, struct state_db_reader *reader,
                              struct state_db_op *op)
{
    if (op->kind == STATE_DB_COPY) {
        (void)state_store_copy(db->path, op->path, &op->error);
        return;
    }
    pthread_mutex_lock(&db->lock);
    unsigned generation = db->generation;
    pthread_mutex_unlock(&db->lock);
    if (reader->connection != NULL && reader->generation != generation) {
        sqlite3_close(reader->connection);
        reader->connection = NULL;
    }
    if (reader->connection == NULL &&
        state_store_open_reader(db->path, &reader->connection, &op->error) < 0)
        return;
    reader->generation = generation;
    op->error.code = op->query(reader->connection, op->arg);
}

static void *state_db_reader_main(void *arg)
{
    struct state_db *db = arg;
    struct state_db_reader reader = {0};
    for (;;) {
        pthread_mutex_lock(&db->lock);
        while (STAILQ_EMPTY(&db->to_reader) && !db->stop)
            pthread_cond_wait(&db->reader_wake, &db->lock);
        struct state_db_op *op = STAILQ_FIRST(&db->to_reader);
        if (op != NULL)
            STAILQ_REMOVE_HEAD(&db->to_reader, link);
        pthread_mutex_unlock(&db->lock);
        if (op == NULL)
            break;
        pthread_rwlock_rdlock(&db->file);
        state_db_run_read(db, &reader, op);
        pthread_rwlock_unlock(&db->file);
        struct state_db_queue one = STAILQ_HEAD_INITIALIZER(one);
        STAILQ_INSERT_TAIL(&one, op, link);
        state_db_give_back(db, &one);
    }
    sqlite3_close(reader.connection);
    return NULL;
}

/* On the loop: hands reads on whose index is there now. */
static void state_db_release_reads(struct state_db *db)
{
    struct state_db_queue still = STAILQ_HEAD_INITIALIZER(still);
    struct state_db_op *op;
    while ((op = STAILQ_FIRST(&db->waiting)) != NULL) {
        STAILQ_REMOVE_HEAD(&db->waiting, link);
        if (op->index <= db->applied)
            state_db_queue_for(db, &db->to_reader, &db->reader_wake, op);
        else
            STAILQ_INSERT_TAIL(&still, op, link);
    }
    STAILQ_CONCAT(&db->waiting, &still);
}

static void state_db_deliver(struct state_db *db, struct state_db_op *op)
{
    const struct error *e = &op->error;
    switch (op->kind) {
    case STATE_DB_APPLY:
    case STATE_DB_SKIP:
        if (e->code < 0)
            break;
        if (op->index > db->applied)
            db->applied = op->index;
        db->callbacks.applied(db->callbacks.arg, op->index, op->results, op->n);
        break;
    case STATE_DB_PERSIST:
    case STATE_DB_COPY:
        op->done(op->arg, e->code, e->text);
        break;
    case STATE_DB_READ:
        db->reads--;
        op->answer(op->arg, e->code);
        break;
    case STATE_DB_STALLED:
        if (db->callbacks.stalled != NULL)
            db->callbacks.stalled(db->callbacks.arg, e->code);
        break;
    case STATE_DB_FAILED:
        if (e->code != ERR_CLOSED)
            db->callbacks.failed(db->callbacks.arg, e);
        break;
    case STATE_DB_RESTORE:
        break;
    }
}

static void state_db_on_async(uv_async_t *async)
{
    struct state_db *db = async->data;
    struct state_db_queue ops = STAILQ_HEAD_INITIALIZER(ops);
    pthread_mutex_lock(&db->lock);
    STAILQ_CONCAT(&ops, &db->to_loop);
    pthread_mutex_unlock(&db->lock);
    struct state_db_op *op;
    while ((op = STAILQ_FIRST(&ops)) != NULL) {
        STAILQ_REMOVE_HEAD(&ops, link);
        state_db_deliver(db, op);
        state_db_op_free(op);
    }
    if (!STAILQ_EMPTY(&db->waiting))
        state_db_release_reads(db);
}

static void state_db_init_queues(struct state_db *db)
{
    STAILQ_INIT(&db->to_writer);
    STAILQ_INIT(&db->to_reader);
    STAILQ_INIT(&db->to_loop);
    STAILQ_INIT(&db->waiting);
}

int state_db_open(struct state_db **out, uv_loop_t *loop, const char *path,
                  const struct state_db_callbacks *callbacks, struct error *e)
{
    struct state_store *store;
    int err = state_store_open(&store, path, e);
    if (err < 0)
        return err;
    struct state_db *db = mem_zalloc(sizeof *db);
    db->loop = loop;
    db->callbacks = *callbacks;
    db->path = mem_strdup(path);
    db->store = store;
    db->applied = state_store_applied(store);
    state_db_init_queues(db);
    pthread_mutex_init(&db->lock, NULL);
    pthread_cond_init(&db->writer_wake, NULL);
    pthread_cond_init(&db->reader_wake, NULL);
    pthread_rwlock_init(&db->file, NULL);
    (void)uv_async_init(loop, &db->async, state_db_on_async);
    db->async.data = db;
    if (pthread_create(&db->writer, NULL, state_db_writer, db) != 0)
        abort();
    for (int i = 0; i < STATE_DB_READERS; i++)
        if (pthread_create(&db->readers[i], NULL, state_db_reader_main, db) != 0)
            abort();
    *out = db;
    return 0;
}

static void state_db_on_closed(uv_handle_t *handle)
{
    struct state_db *db = handle->data;
    pthread_mutex_destroy(&db->lock);
    pthread_cond_destroy(&db->writer_wake);
    pthread_cond_destroy(&db->reader_wake);
    pthread_rwlock_destroy(&db->file);
    free(db->path);
    void (*closed)(void *arg) = db->closed;
    void *arg = db->closed_arg;
    free(db);
    if (closed != NULL)
        closed(arg);
}

void state_db_close(struct state_db *db, void (*closed)(void *arg), void *arg)
{
    assert(!db->closing);
    db->closing = true;
    db->closed = closed;
    db->closed_arg = arg;
    pthread_mutex_lock(&db->lock);
    db->stop = true;
    pthread_cond_broadcast(&db->writer_wake);
    pthread_cond_broadcast(&db->reader_wake);
    pthread_mutex_unlock(&db->lock);
    (void)pthread_join(db->writer, NULL);
    for (int i = 0; i < STATE_DB_READERS; i++)
        (void)pthread_join(db->readers[i], NULL);
    struct state_db_op *op;
    while ((op = STAILQ_FIRST(&db->waiting)) != NULL) {
        STAILQ_REMOVE_HEAD(&db->waiting, link);
        op->error.code = ERR_CLOSED;
        STAILQ_INSERT_TAIL(&db->to_loop, op, link);
    }
    state_db_on_async(&db->async);
    state_store_close(db->store);
    uv_close((uv_handle_t *)&db->async, state_db_on_closed);
}

uint64_t state_db_applied(const struct state_db *db)
{
    return db->applied;
}

void state_db_apply(struct state_db *db, uint64_t index, const void *batch, size_t len)
{
    struct state_db_op *op = state_db_op_new(STATE_DB_APPLY, batch, len);
    op->index = index;
    state_db_queue_for(db, &db->to_writer, &db->writer_wake, op);
}

void state_db_skip(struct state_db *db, uint64_t index)
{
    struct state_db_op *op = state_db_op_new(STATE_DB_SKIP, NULL, 0);
    op->index = index;
    state_db_queue_for(db, &db->to_writer, &db->writer_wake, op);
}

void state_db_persist(struct state_db *db, state_db_done_fn done, void *arg)
{
    struct state_db_op *op = state_db_op_new(STATE_DB_PERSIST, NULL, 0);
    op->done = done;
    op->arg = arg;
    state_db_queue_for(db, &db->to_writer, &db->writer_wake, op);
}

void state_db_copy(struct state_db *db, const char *path, state_db_done_fn done, void *arg)
{
    struct state_db_op *op = state_db_op_new(STATE_DB_COPY, NULL, 0);
    op->done = done;
    op->arg = arg;
    op->path = mem_strdup(path);
    state_db_queue_for(db, &db->to_reader, &db->reader_wake, op);
}

void state_db_restore(struct state_db *db, const char *path)
{
    struct state_db_op *op = state_db_op_new(STATE_DB_RESTORE, NULL, 0);
    op->path = mem_strdup(path);
    state_db_queue_for(db, &db->to_writer, &db->writer_wake, op);
}

void state_db_read(struct state_db *db, uint64_t index, state_db_query_fn query,
                   state_db_answer_fn answer, void *arg)
{
    struct state_db_op *op = state_db_op_new(STATE_DB_READ, NULL, 0);
    op->index = index;
    op->query = query;
    op->answer = answer;
    op->arg = arg;
    db->reads++;
    if (db->closing || db->reads > STATE_DB_READS_MAX) {
        op->error.code = db->closing ? ERR_CLOSED : ERR_BUSY;
        struct state_db_queue one = STAILQ_HEAD_INITIALIZER(one);
        STAILQ_INSERT_TAIL(&one, op, link);
        state_db_give_back(db, &one);
    } else if (index <= db->applied) {
        state_db_queue_for(db, &db->to_reader, &db->reader_wake, op);
    } else {
        STAILQ_INSERT_TAIL(&db->waiting, op, link);
    }
}
