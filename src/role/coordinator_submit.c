/* Submitting a job.
 *
 * Happy path: the specification becomes one scheduler event, its row one record of the next batch,
 * and the answer leaves when that is durable. What the scheduler can't know because it has
 * forgotten it (an idempotency key used long ago, dependencies that ended), and who holds the
 * uploaded files that the job names, is looked up first;
 * submissions with the same key stand in line meanwhile, so that a key is never taken twice. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/trace.h"
#include "role/api_json.h"
#include "role/coordinator_internal.h"
#include "role/job_spec.h"
#include "run/state_query.h"

struct coordinator_submit {
    struct coordinator *coordinator;
    unsigned activation;
    struct http_request *req;
    Wire__JobSpec *spec;
    bool agent_style;
    const char *mode;
    bool looking; /* a lookup is under way for it */
    enum job_state *after;
    Wire__FileRow **files; /* of the specification's files; NULL where they come from elsewhere */
    const char *missing;   /* an uploaded file that is not there */
    Wire__JobRow *earlier; /* the job that has the key */
    struct uuid id;
    bool duplicate;
    uint32_t elements;
    enum job_state state;
    TAILQ_ENTRY(coordinator_submit) link;
};

static void coordinator_submit_free_files(struct coordinator_submit *submit)
{
    for (size_t i = 0; submit->files != NULL && i < submit->spec->n_files; i++)
        if (submit->files[i] != NULL)
            wire__file_row__free_unpacked(submit->files[i], NULL);
    free(submit->files);
    submit->files = NULL;
}

static void coordinator_submit_free(struct coordinator_submit *submit)
{
    coordinator_submit_free_files(submit);
    if (submit->spec != NULL)
        wire__job_spec__free_unpacked(submit->spec, NULL);
    if (submit->earlier != NULL)
        wire__job_row__free_unpacked(submit->earlier, NULL);
    free(submit->after);
    free(submit);
}

static void coordinator_submit_fail(struct coordinator_submit *submit, int code, const char *text,
                                    const char *hint)
{
    struct error e;
    (void)error_set(&e, code, "%s", text);
    http_reply_failure(submit->req, &e, hint);
    coordinator_submit_free(submit);
}

static void coordinator_submit_answer(struct coordinator_submit *submit)
{
    char id[UUID_TEXT_MAX];
    json_t *body =
        json_pack("{s:s, s:s, s:I, s:b}", submit->agent_style ? "job_id" : "id",
                  uuid_format(&submit->id, id), "state", job_state_name(submit->state), "elements",
                  (json_int_t)submit->elements, "duplicate", submit->duplicate);
    if (submit->mode != NULL)
        json_object_set_new(body, "mode", json_string(submit->mode));
    http_reply_json(submit->req, submit->duplicate ? 200 : 201, body);
    coordinator_submit_free(submit);
}

static void coordinator_submit_on_durable(void *arg, int code)
{
    struct coordinator_submit *submit = arg;
    if (code == 0)
        coordinator_submit_answer(submit);
    else
        coordinator_submit_fail(
            submit, code, code == -ENOSPC ? "the disk of the leader is full" : err_text(code),
            code == ERR_OUTCOME_UNKNOWN ? "repeat with the same idempotency key to find out"
                                        : NULL);
}

static size_t coordinator_submit_after(const struct coordinator_submit *submit,
                                       struct sched_dependency *after)
{
    const Wire__JobSpec *spec = submit->spec;
    for (size_t i = 0; i < spec->n_after; i++) {
        after[i].kind = spec->after[i]->kind;
        memcpy(after[i].job.bytes, spec->after[i]->job.data, sizeof after[i].job.bytes);
        after[i].state = submit->after != NULL ? submit->after[i] : JOB_STATE_NONE;
    }
    return spec->n_after;
}

static int coordinator_submit_step(struct coordinator_submit *submit,
                                   const struct rangeset *elements)
{
    struct coordinator *c = submit->coordinator;
    const Wire__JobSpec *spec = submit->spec;
    struct sched_dependency after[SCHED_DEPENDENCIES_MAX];
    struct sched_job_spec job = {
        .elements = elements,
        .array = spec->array[0] != '\0',
        .array_limit = spec->array_limit,
        .cpus = spec->cpus,
        .memory_bytes = spec->memory_bytes,
        .retries = spec->retries,
        .priority = spec->priority,
        .selector = spec->selector,
        .idempotency_key = spec->idempotency_key,
        .after = after,
        .after_n = coordinator_submit_after(submit, after),
    };
    uuid_generate(&job.id);
    struct sched_event event = {.type = SCHED_EVENT_JOB_SUBMIT, .job = &job};
    int code = coordinator_step(c, &event);
    if (code < 0)
        return code;
    const struct sched_reply *reply = &c->update.reply;
    struct sched_job_view view = {.state = JOB_STATE_PENDING};
    submit->duplicate = reply->duplicate;
    submit->id = reply->duplicate ? reply->id : job.id;
    (void)sched_job_view(c->sched, &submit->id, &view);
    submit->elements = view.total;
    submit->state = view.state;
    if (!reply->duplicate) {
        coordinator_job_put(c, reply->seq, &job.id, submit->spec,
                            (uint32_t)rangeset_count(elements));
        submit->spec = NULL;
    }
    return 0;
}

static void coordinator_submit_now(struct coordinator_submit *submit)
{
    struct coordinator *c = submit->coordinator;
    struct rangeset elements;
    struct error e = {0};
    struct sched_stats stats;
    sched_stats(c->sched, &stats);
    rangeset_init(&elements);
    int code = stats.jobs >= node_options(c->node)->pending_jobs_max
                   ? error_set(&e, ERR_BUSY, "there are %u jobs already (jobs.pending_jobs_max)",
                               stats.jobs)
                   : job_spec_elements(submit->spec, &elements, &e);
    if (code == 0) {
        code = coordinator_submit_step(submit, &elements);
        if (code < 0)
            (void)error_set(&e, code, "%s",
                            c->update.reply.text[0] ? c->update.reply.text : err_text(code));
    }
    rangeset_done(&elements);
    if (code < 0)
        coordinator_submit_fail(submit, code, e.text, NULL);
    else
        coordinator_when_durable(c, coordinator_submit_on_durable, submit);
}

/* ---- what has to be looked up ---------------------------------------------------------------- */

static int coordinator_submit_query_files(sqlite3 *db, struct coordinator_submit *submit)
{
    const Wire__JobSpec *spec = submit->spec;
    int err = 0;
    submit->files = mem_calloc(spec->n_files + 1, sizeof *submit->files);
    for (size_t i = 0; err == 0 && submit->missing == NULL && i < spec->n_files; i++) {
        const char *id = spec->files[i]->file;
        if (id[0] == '\0')
            continue;
        err = state_query_file(db, id, &submit->files[i]);
        if (err == ERR_NOT_FOUND) {
            submit->missing = id;
            err = 0;
        }
    }
    return err;
}

static int coordinator_submit_query(sqlite3 *db, void *arg)
{
    struct coordinator_submit *submit = arg;
    const Wire__JobSpec *spec = submit->spec;
    int err = 0;
    if (spec->idempotency_key[0] != '\0')
        err = state_query_job_keyed(db, spec->idempotency_key, &submit->earlier);
    if (err == ERR_NOT_FOUND)
        err = 0;
    submit->after = mem_calloc(spec->n_after, sizeof *submit->after);
    for (size_t i = 0; err == 0 && i < spec->n_after; i++) {
        struct uuid id;
        Wire__JobRow *row = NULL;
        memcpy(id.bytes, spec->after[i]->job.data, sizeof id.bytes);
        err = state_query_job(db, &id, &row);
        if (err == 0 && job_state_is_ended((enum job_state)row->state))
            submit->after[i] = (enum job_state)row->state;
        if (row != NULL)
            wire__job_row__free_unpacked(row, NULL);
        if (err == ERR_NOT_FOUND)
            err = 0; /* the scheduler may know it: not durable yet */
    }
    return err == 0 ? coordinator_submit_query_files(db, submit) : err;
}

/* Puts into the specification what the workers need to fetch the uploaded files by themselves. */
static void coordinator_submit_describe_files(struct coordinator_submit *submit)
{
    const struct node *node = submit->coordinator->node;
    for (size_t i = 0; submit->files != NULL && i < submit->spec->n_files; i++) {
        Wire__TaskFile *file = submit->spec->files[i];
        const Wire__FileRow *row = submit->files[i];
        if (row == NULL)
            continue;
        file->bytes = row->bytes;
        if (file->xxh[0] == '\0' && row->xxh[0] != '\0')
            file->xxh = mem_strdup(row->xxh);
        file->holders = mem_calloc(row->n_holders + 1, sizeof *file->holders);
        for (size_t k = 0; k < row->n_holders; k++) {
            const Wire__Node *member = node_member(node, row->holders[k]);
            if (member != NULL && !member->removed)
                file->holders[file->n_holders++] = mem_strdup(member->name);
        }
    }
    coordinator_submit_free_files(submit);
}

static void coordinator_submit_next(struct coordinator *c, const char *key);

static void coordinator_submit_on_found(void *arg, int code)
{
    struct coordinator_submit *submit = arg;
    struct coordinator *c = submit->coordinator;
    bool current = submit->activation == c->activation && c->active;
    if (!current) { /* taken off the list when the lead was lost */
        coordinator_submit_fail(submit, ERR_NO_LEADER, "the leader has changed", "try again");
        return;
    }
    TAILQ_REMOVE(&c->submits, submit, link);
    char *key = mem_strdup(submit->spec->idempotency_key);
    if (code < 0) {
        coordinator_submit_fail(submit, code, err_text(code), NULL);
    } else if (submit->earlier != NULL) {
        memcpy(submit->id.bytes, submit->earlier->id.data, sizeof submit->id.bytes);
        submit->duplicate = true;
        submit->elements = submit->earlier->total;
        submit->state = (enum job_state)submit->earlier->state;
        coordinator_submit_answer(submit);
    } else if (submit->missing != NULL) {
        char *text = mem_printf("there is no uploaded file %s", submit->missing);
        coordinator_submit_fail(submit, ERR_NOT_FOUND, text, "POST /api/files gives a file its id");
        free(text);
    } else {
        coordinator_submit_describe_files(submit);
        coordinator_submit_now(submit);
    }
    coordinator_submit_next(c, key);
    free(key);
}

static void coordinator_submit_look(struct coordinator_submit *submit)
{
    submit->looking = true;
    state_read(node_replica(submit->coordinator->node)->state, STATE_WEAK, coordinator_submit_query,
               coordinator_submit_on_found, submit);
}

static struct coordinator_submit *coordinator_submit_find(struct coordinator *c, const char *key,
                                                          bool looking)
{
    struct coordinator_submit *submit;
    TAILQ_FOREACH (submit, &c->submits, link)
        if (submit->looking == looking && strcmp(submit->spec->idempotency_key, key) == 0)
            return submit;
    return NULL;
}

static void coordinator_submit_next(struct coordinator *c, const char *key)
{
    if (*key == '\0')
        return;
    struct coordinator_submit *submit = coordinator_submit_find(c, key, false);
    if (submit != NULL)
        coordinator_submit_look(submit);
}

/* Gives the job a span, if it is to be traced: whoever leads when it ends will tell it. */
static void coordinator_submit_trace(const struct http_request *req, Wire__JobSpec *spec)
{
    struct trace_context incoming;
    char text[TRACE_TEXT_MAX];
    (void)trace_parse(http_request_header(req, "traceparent"), &incoming);
    struct trace_span *span = trace_root(&incoming, 1, "job", TRACE_SERVER);
    if (span == NULL)
        return;
    spec->traceparent = mem_strdup(trace_format(trace_context(span), text));
    if (trace_is_set(&incoming))
        spec->trace_under = mem_strdup(trace_format(&incoming, text));
    trace_free(span);
}

void coordinator_submit(struct coordinator *c, struct http_request *req, Wire__JobSpec *spec,
                        bool agent_style, const char *mode)
{
    const char *header = http_request_header(req, "Idempotency-Key");
    struct coordinator_submit *submit = mem_zalloc(sizeof *submit);
    submit->coordinator = c;
    submit->activation = c->activation;
    submit->req = req;
    submit->spec = spec;
    submit->agent_style = agent_style;
    submit->mode = mode;
    if (spec->idempotency_key[0] == '\0' && header != NULL && strlen(header) <= SCHED_KEY_MAX)
        spec->idempotency_key = mem_strdup(header);
    coordinator_submit_trace(req, spec);
    if (spec->idempotency_key[0] == '\0' && spec->n_after == 0 && !job_spec_has_uploads(spec)) {
        coordinator_submit_now(submit);
        return;
    }
    bool wait = spec->idempotency_key[0] != '\0' &&
                coordinator_submit_find(c, spec->idempotency_key, true) != NULL;
    TAILQ_INSERT_TAIL(&c->submits, submit, link);
    if (!wait)
        coordinator_submit_look(submit);
}

void coordinator_submits_clear(struct coordinator *c, int code)
{
    struct coordinator_submit *submit = TAILQ_FIRST(&c->submits);
    while (submit != NULL) {
        struct coordinator_submit *next = TAILQ_NEXT(submit, link);
        TAILQ_REMOVE(&c->submits, submit, link);
        if (!submit->looking)
            coordinator_submit_fail(submit, code, err_text(code), "try again");
        submit = next;
    }
}
