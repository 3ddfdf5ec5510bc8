/* A session is in the ring as long as it has something that waits. Whoever had a turn goes to the
 * end of the ring. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/sql_worker_internal.h"

TAILQ_HEAD(sql_runs, sql_run);

struct sql_session {
    TAILQ_ENTRY(sql_session) entry;
    UT_hash_handle hh;
    struct sql_runs runs;
    char name[];
};

struct sql_queue {
    TAILQ_HEAD(, sql_session) ring;
    struct sql_session *by_name;
};

struct sql_queue *sql_queue_new(void)
{
    struct sql_queue *queue = mem_zalloc(sizeof *queue);
    TAILQ_INIT(&queue->ring);
    return queue;
}

void sql_queue_free(struct sql_queue *queue)
{
    assert(queue == NULL || TAILQ_EMPTY(&queue->ring));
    free(queue);
}

static struct sql_session *sql_queue_session(struct sql_queue *queue, const char *name)
{
    struct sql_session *session = NULL;
    size_t len = strlen(name);
    HASH_FIND(hh, queue->by_name, name, (unsigned)len, session);
    if (session != NULL)
        return session;
    session = mem_zalloc(sizeof *session + len + 1);
    memcpy(session->name, name, len + 1);
    TAILQ_INIT(&session->runs);
    HASH_ADD_KEYPTR(hh, queue->by_name, session->name, (unsigned)len, session);
    TAILQ_INSERT_TAIL(&queue->ring, session, entry);
    return session;
}

void sql_queue_add(struct sql_queue *queue, const char *session, struct sql_run *run)
{
    assert(run->session == NULL);
    run->session = sql_queue_session(queue, session);
    TAILQ_INSERT_TAIL(&run->session->runs, run, entry);
}

void sql_queue_remove(struct sql_queue *queue, struct sql_run *run)
{
    struct sql_session *session = run->session;
    assert(session != NULL);
    TAILQ_REMOVE(&session->runs, run, entry);
    run->session = NULL;
    if (!TAILQ_EMPTY(&session->runs))
        return;
    TAILQ_REMOVE(&queue->ring, session, entry);
    HASH_DEL(queue->by_name, session);
    free(session);
}

struct sql_run *sql_queue_take(struct sql_queue *queue)
{
    struct sql_session *session = TAILQ_FIRST(&queue->ring);
    if (session == NULL)
        return NULL;
    struct sql_run *run = TAILQ_FIRST(&session->runs);
    TAILQ_REMOVE(&queue->ring, session, entry);
    TAILQ_INSERT_TAIL(&queue->ring, session, entry);
    sql_queue_remove(queue, run);
    return run;
}
