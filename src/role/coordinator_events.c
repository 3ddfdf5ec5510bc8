/* What the coordinator tells of nodes, jobs and attempts (role/events.h).
 *
 * Edges of jobs and attempts are drafted when they go into the log and told when they are durable.
 * So many a second are told one by one; what is beyond that is summed up each second, and so are
 * the rows of the jobs that it concerns. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/coordinator_internal.h"
#include "role/events.h"
#include "run/state_query.h"

enum {
    COORDINATOR_TELL_MS = 1000,
    COORDINATOR_TELL_EDGES = 100,    /* of attempts, a second */
    COORDINATOR_TELL_FAILURES = 100, /* of attempts, and of jobs */
    COORDINATOR_TELL_JOBS = 100,     /* edges of jobs */
    COORDINATOR_TELL_ROWS = 200,     /* rows of jobs */
    COORDINATOR_TELL_ENDED = 500,    /* jobs that have ended and stay in the frames */
};

/* A job that has not ended, as it was told. */
struct coordinator_tale {
    uint64_t seq;
    struct uuid id;
    enum job_state state; /* as told; NONE: not at all */
    bool dirty;           /* its counts have changed since its row was told */
    uint32_t running, completed, failed, cancelled, total;
    uint32_t began_many, completed_many, failed_many; /* edges that were not told one by one */
    UT_hash_handle hh;
};

struct coordinator_ended {
    struct uuid id;
    STAILQ_ENTRY(coordinator_ended) link;
};

struct coordinator_events {
    struct coordinator_tale *tales;
    STAILQ_HEAD(, coordinator_ended) ended;
    unsigned ended_n;
    unsigned edges_left, failures_left, jobs_left;
    uint32_t submitted_many, completed_many, failed_many, cancelled_many; /* jobs */
    struct loop_timer timer;
};

/* ---- nodes ----------------------------------------------------------------------------------- */

void coordinator_tell_health(struct coordinator *c, const struct detector_change *change, bool left)
{
    const struct coordinator_node *known = coordinator_node_get(c, change->node);
    const char *name = node_member_name(c->node, change->node);
    if (known == NULL || !events_enabled(c->node))
        return;
    enum event_kind kind = left                                   ? EVENT_NODE_LEAVE
                           : change->to == DETECTOR_STATE_ALIVE   ? EVENT_NODE_ONLINE
                           : change->to == DETECTOR_STATE_SUSPECT ? EVENT_NODE_SUSPECT
                                                                  : EVENT_NODE_OFFLINE;
    const char *state = coordinator_node_state(c, known->row);
    json_t *row = json_pack("{s:s, s:o}", "state", state, "last_seen",
                            api_json_time((uint64_t)known->heard_wall_ms));
    if (change->to == DETECTOR_STATE_ALIVE && known->vitals != NULL)
        json_object_set_new(row, "uptime_ms", json_integer((json_int_t)known->vitals->uptime_ms));
    event_emit(c->node, kind,
               EVENT_ABOUT(.node = name, .key = name, .cause = change->reason, .row = row),
               "%s is %s: %s", name, state, change->reason);
}

/* `before` NULL: a new member. */
void coordinator_tell_node(struct coordinator *c, const Wire__Node *before, const Wire__Node *row)
{
    enum event_kind kind = EVENT_NODE_CHANGE;
    const char *text = "has changed";
    if (!c->active || !events_enabled(c->node))
        return;
    if (before == NULL) {
        kind = EVENT_NODE_JOIN;
        text = "is a member";
    } else if (before->draining != row->draining) {
        kind = row->draining ? EVENT_NODE_DRAIN : EVENT_NODE_RESUME;
        text = row->draining ? "gets no new work" : "gets work again";
    }
    const char *reason = row->draining ? row->drain_reason : "";
    event_emit(c->node, kind,
               EVENT_ABOUT(.node = row->name, .key = row->name, .cause = reason,
                           .row = coordinator_node_row(c, row)),
               "%s %s%s%s", row->name, text, *reason ? ": " : "", reason);
}

void coordinator_tell_removed(struct coordinator *c, const Wire__Node *row)
{
    if (c->active)
        event_emit(c->node, EVENT_NODE_REMOVE,
                   EVENT_ABOUT(.node = row->name, .key = row->name, .gone = true),
                   "%s is no member any more", row->name);
}

static void coordinator_node_rows(void *arg, struct event_rows *rows, unsigned slice)
{
    struct coordinator *c = arg;
    const Wire__Members *members = node_members(c->node);
    for (size_t i = slice; c->active && i < members->n_nodes; i += EVENT_SLICES)
        if (!members->nodes[i]->removed)
            event_rows_add(rows, members->nodes[i]->name,
                           coordinator_node_row(c, members->nodes[i]));
}

/* ---- attempts -------------------------------------------------------------------------------- */

static struct coordinator_tale *coordinator_tale_get(struct coordinator *c, uint64_t seq)
{
    struct coordinator_tale *tale = NULL;
    HASH_FIND(hh, c->events->tales, &seq, sizeof seq, tale);
    return tale;
}

static void coordinator_turn_tell(struct coordinator_turn *turn, struct event_draft *draft)
{
    MEM_GROW(turn->drafts, turn->drafts_cap, turn->drafts_n + 1);
    turn->drafts[turn->drafts_n++] = draft;
}

static json_t *coordinator_task_patch(const struct coordinator *c, const char *id,
                                      const char *job_id, const struct sched_task_record *record)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:o, s:o}", "id", id, "job", job_id, "index",
                     (json_int_t)record->key.index, "attempt", (json_int_t)record->key.attempt,
                     "state", attempt_state_name(record->state), "node",
                     api_json_text(node_member_name(c->node, record->node)), "code",
                     attempt_state_is_ended(record->state)
                         ? json_string(task_code_name(record->code))
                         : json_null());
}

static void coordinator_tell_task(struct coordinator *c, struct coordinator_turn *turn,
                                  const struct sched_task_record *record, bool failed)
{
    char job_id[UUID_TEXT_MAX];
    const struct coordinator_job *job = coordinator_job_get(c, record->job_seq);
    const Wire__TaskReport *report = record->keep;
    const char *why = record->text != NULL                        ? record->text
                      : report != NULL && report->text[0] != '\0' ? report->text
                                                                  : "";
    const char *node = node_member_name(c->node, record->node);
    (void)uuid_format(&record->key.job, job_id);
    char *id = mem_printf("%s_%u", job_id, record->key.index);
    coordinator_turn_tell(
        turn, event_draft(c->node, failed ? EVENT_TASK_FAIL : EVENT_TASK_STATE,
                          EVENT_ABOUT(.node = node, .key = id, .cause = why,
                                      .row = coordinator_task_patch(c, id, job_id, record)),
                          "element %u of %s %s on %s%s%s", record->key.index,
                          job != NULL && job->spec->name[0] != '\0' ? job->spec->name : job_id,
                          attempt_state_name(record->state), node, *why ? ": " : "", why));
    free(id);
}

static void coordinator_note_task(struct coordinator *c, struct coordinator_turn *turn,
                                  const struct sched_task_record *record)
{
    struct coordinator_events *events = c->events;
    struct coordinator_tale *tale = coordinator_tale_get(c, record->job_seq);
    bool failed = record->state == ATTEMPT_STATE_FAILED || record->state == ATTEMPT_STATE_LOST;
    unsigned *left = failed ? &events->failures_left : &events->edges_left;
    if (tale != NULL)
        tale->dirty = true;
    if (record->state == ATTEMPT_STATE_ASSIGNED)
        return; /* it runs in a moment */
    if (*left > 0) {
        --*left;
        coordinator_tell_task(c, turn, record, failed);
    } else if (tale != NULL) {
        tale->began_many += record->state == ATTEMPT_STATE_RUNNING;
        tale->completed_many += record->state == ATTEMPT_STATE_COMPLETED;
        tale->failed_many += failed;
    }
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static json_t *coordinator_job_counts(const struct coordinator_tale *tale)
{
    uint32_t begun = tale->running + tale->completed + tale->failed + tale->cancelled;
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "running", (json_int_t)tale->running, "completed",
                     (json_int_t)tale->completed, "failed", (json_int_t)tale->failed, "cancelled",
                     (json_int_t)tale->cancelled, "pending",
                     (json_int_t)(begun < tale->total ? tale->total - begun : 0));
}

/* What changes of a job's row with its state. */
static json_t *coordinator_job_patch(const struct coordinator_tale *tale,
                                     const struct sched_job_record *record)
{
    json_t *row = coordinator_job_counts(tale);
    int64_t wall_ms = record->started_ms > 0 && record->ended_ms >= record->started_ms
                          ? record->ended_ms - record->started_ms
                          : 0;
    json_object_set_new(row, "state", json_string(job_state_name(record->state)));
    json_object_set_new(row, "reason", api_json_text(record->reason));
    json_object_set_new(row, "started_at", api_json_time((uint64_t)record->started_ms));
    json_object_set_new(row, "ended_at", api_json_time((uint64_t)record->ended_ms));
    json_object_set_new(row, "wall_ms", wall_ms > 0 ? json_integer(wall_ms) : json_null());
    return row;
}

static json_t *coordinator_job_row(struct coordinator *c, const struct sched_job_record *record,
                                   const struct coordinator_job *job)
{
    Wire__JobRow row = WIRE__JOB_ROW__INIT;
    Wire__ElementSet cancelled = WIRE__ELEMENT_SET__INIT;
    coordinator_fill_job(c, record, &row, &cancelled);
    row.spec = job->spec;
    return api_json_job(&row, NULL);
}

static void coordinator_tell_job(struct coordinator *c, struct coordinator_turn *turn,
                                 const struct coordinator_tale *tale,
                                 const struct sched_job_record *record)
{
    char id[UUID_TEXT_MAX];
    const struct coordinator_job *job = coordinator_job_get(c, record->seq);
    bool fresh = tale->state == JOB_STATE_NONE && job != NULL;
    enum event_kind kind = record->state == JOB_STATE_FAILED ? EVENT_JOB_FAIL
                           : record->created                 ? EVENT_JOB_SUBMIT
                                                             : EVENT_JOB_STATE;
    (void)uuid_format(&record->id, id);
    const char *name = job != NULL && job->spec->name[0] != '\0' ? job->spec->name : id;
    char *what = record->created
                     ? mem_printf("was submitted with %u element%s", record->total,
                                  record->total == 1 ? "" : "s")
                     : mem_printf("is %s%s%s", job_state_name(record->state),
                                  record->reason[0] != '\0' ? ": " : "", record->reason);
    coordinator_turn_tell(
        turn, event_draft(c->node, kind,
                          EVENT_ABOUT(.key = id, .cause = record->reason,
                                      .by = job != NULL ? job->spec->user : NULL,
                                      .row = fresh ? coordinator_job_row(c, record, job)
                                                   : coordinator_job_patch(tale, record)),
                          "job %s %s", name, what));
    free(what);
}

static void coordinator_note_ended(struct coordinator *c, struct coordinator_tale *tale)
{
    struct coordinator_events *events = c->events;
    if (tale->state != JOB_STATE_NONE) { /* it is in the frames */
        struct coordinator_ended *ended = mem_zalloc(sizeof *ended);
        ended->id = tale->id;
        STAILQ_INSERT_TAIL(&events->ended, ended, link);
        events->ended_n++;
    }
    HASH_DEL(events->tales, tale);
    free(tale);
}

static void coordinator_count_job(struct coordinator_events *events,
                                  const struct sched_job_record *record)
{
    events->submitted_many += record->created;
    events->completed_many += record->state == JOB_STATE_COMPLETED;
    events->failed_many += record->state == JOB_STATE_FAILED;
    events->cancelled_many += record->state == JOB_STATE_CANCELLED;
}

static void coordinator_note_job(struct coordinator *c, struct coordinator_turn *turn,
                                 const struct sched_job_record *record)
{
    struct coordinator_events *events = c->events;
    struct coordinator_tale *tale = coordinator_tale_get(c, record->seq);
    if (tale == NULL) {
        tale = mem_zalloc(sizeof *tale);
        tale->seq = record->seq;
        tale->id = record->id;
        HASH_ADD(hh, events->tales, seq, sizeof tale->seq, tale);
    }
    tale->dirty = true;
    tale->running = record->running;
    tale->completed = record->completed;
    tale->failed = record->failed;
    tale->cancelled = record->cancelled_n;
    tale->total = record->total;
    bool told = tale->state != JOB_STATE_NONE;
    bool worth = record->state == JOB_STATE_FAILED && events->failures_left > 0;
    if (record->state != tale->state) {
        if (events->jobs_left > 0 || worth || (told && job_state_is_ended(record->state))) {
            events->jobs_left -= events->jobs_left > 0;
            events->failures_left -= worth;
            coordinator_tell_job(c, turn, tale, record);
            tale->state = record->state;
            tale->dirty = false;
        } else {
            coordinator_count_job(events, record);
        }
    }
    if (job_state_is_ended(record->state))
        coordinator_note_ended(c, tale);
}

void coordinator_tell_records(struct coordinator *c, struct coordinator_turn *turn)
{
    const struct sched_update *update = &c->update;
    if (!events_enabled(c->node))
        return;
    for (size_t i = 0; i < update->tasks_n; i++)
        coordinator_note_task(c, turn, &update->tasks[i]);
    for (size_t i = 0; i < update->jobs_n; i++)
        coordinator_note_job(c, turn, &update->jobs[i]);
}

/* ---- each second ----------------------------------------------------------------------------- */

static void coordinator_tell_many(struct coordinator *c, struct coordinator_tale *tale,
                                  const char *id)
{
    const struct coordinator_job *job = coordinator_job_get(c, tale->seq);
    const char *name = job != NULL && job->spec->name[0] != '\0' ? job->spec->name : id;
    json_t *more =
        json_pack("{s:I, s:I, s:I}", "started", (json_int_t)tale->began_many, "completed",
                  (json_int_t)tale->completed_many, "failed", (json_int_t)tale->failed_many);
    event_emit(c->node, EVENT_TASK_MANY,
               EVENT_ABOUT(.key = id, .more = more, .row = coordinator_job_counts(tale)),
               "job %s: %u elements began, %u completed, %u failed", name, tale->began_many,
               tale->completed_many, tale->failed_many);
    tale->began_many = tale->completed_many = tale->failed_many = 0;
}

/* Rows of jobs that were not told, or have other counts now. */
static void coordinator_tell_rows(struct coordinator *c)
{
    struct coordinator_tale *tale;
    struct coordinator_tale *next;
    unsigned left = COORDINATOR_TELL_ROWS;
    HASH_ITER (hh, c->events->tales, tale, next) {
        char id[UUID_TEXT_MAX];
        struct sched_job_view view;
        if (!tale->dirty || left == 0 || !sched_job_view(c->sched, &tale->id, &view))
            continue;
        left--;
        (void)uuid_format(&tale->id, id);
        tale->dirty = false;
        tale->running = view.running;
        tale->completed = view.completed;
        tale->failed = view.failed;
        tale->cancelled = view.cancelled;
        if (tale->state == JOB_STATE_NONE) {
            const struct coordinator_job *job = coordinator_job_get(c, tale->seq);
            struct sched_job_record record = {.seq = tale->seq, .id = tale->id};
            record.state = tale->state = view.state;
            record.reason = (char *)(uintptr_t) "";
            record.total = tale->total;
            record.submitted_ms = loop_wall_ms(node_loop(c->node));
            if (job != NULL)
                event_emit(c->node, EVENT_STATE_ROW,
                           EVENT_ABOUT(.table = "jobs", .key = id,
                                       .row = coordinator_job_row(c, &record, job)),
                           "jobs %s", id);
        }
        if (tale->began_many + tale->completed_many + tale->failed_many > 0)
            coordinator_tell_many(c, tale, id);
        else
            event_emit(c->node, EVENT_STATE_ROW,
                       EVENT_ABOUT(.table = "jobs", .key = id, .row = coordinator_job_counts(tale)),
                       "jobs %s", id);
    }
}

static void coordinator_drop_ended(struct coordinator *c, unsigned keep)
{
    struct coordinator_events *events = c->events;
    while (events->ended_n > keep) {
        char id[UUID_TEXT_MAX];
        struct coordinator_ended *ended = STAILQ_FIRST(&events->ended);
        STAILQ_REMOVE_HEAD(&events->ended, link);
        events->ended_n--;
        (void)uuid_format(&ended->id, id);
        if (c->active)
            event_emit(c->node, EVENT_STATE_ROW,
                       EVENT_ABOUT(.table = "jobs", .key = id, .gone = true), "jobs %s is old", id);
        free(ended);
    }
}

static void coordinator_tell_jobs_many(struct coordinator *c)
{
    struct coordinator_events *events = c->events;
    uint32_t ended = events->completed_many + events->failed_many + events->cancelled_many;
    if (events->submitted_many + ended == 0)
        return;
    json_t *more =
        json_pack("{s:I, s:I, s:I, s:I}", "submitted", (json_int_t)events->submitted_many,
                  "completed", (json_int_t)events->completed_many, "failed",
                  (json_int_t)events->failed_many, "cancelled", (json_int_t)events->cancelled_many);
    event_emit(c->node, EVENT_JOB_MANY, EVENT_ABOUT(.more = more),
               "%u jobs were submitted, %u completed, %u failed, %u were cancelled",
               events->submitted_many, events->completed_many, events->failed_many,
               events->cancelled_many);
    events->submitted_many = events->completed_many = events->failed_many = events->cancelled_many =
        0;
}

static void coordinator_events_refill(struct coordinator_events *events)
{
    events->edges_left = COORDINATOR_TELL_EDGES;
    events->failures_left = COORDINATOR_TELL_FAILURES;
    events->jobs_left = COORDINATOR_TELL_JOBS;
}

static void coordinator_on_tell(void *arg)
{
    struct coordinator *c = arg;
    coordinator_events_refill(c->events);
    if (!c->active)
        return;
    loop_timer_start(&c->events->timer, COORDINATOR_TELL_MS);
    coordinator_tell_jobs_many(c);
    coordinator_tell_rows(c);
    coordinator_drop_ended(c, COORDINATOR_TELL_ENDED);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The jobs that the frames begin with. */
struct coordinator_found {
    struct coordinator *coordinator;
    unsigned activation;
    Wire__JobRow **rows;
    size_t n, cap;
};

static int coordinator_found_row(void *arg, Wire__JobRow *row)
{
    struct coordinator_found *found = arg;
    MEM_GROW(found->rows, found->cap, found->n + 1);
    found->rows[found->n++] = row;
    return 0;
}

static int coordinator_found_query(sqlite3 *db, void *arg)
{
    struct state_query_job_filter filter = {.limit = COORDINATOR_TELL_ENDED};
    return state_query_jobs(db, &filter, coordinator_found_row, arg);
}

static void coordinator_on_found(void *arg, int code)
{
    struct coordinator_found *found = arg;
    struct coordinator *c = found->coordinator;
    bool current = code == 0 && c->active && found->activation == c->activation;
    for (size_t i = found->n; i-- > 0;) { /* oldest first */
        Wire__JobRow *row = found->rows[i];
        char id[UUID_TEXT_MAX];
        struct uuid uuid;
        if (current && row->spec != NULL && row->id.len == sizeof uuid.bytes) {
            memcpy(uuid.bytes, row->id.data, sizeof uuid.bytes);
            (void)uuid_format(&uuid, id);
            events_found_row(c->node, "jobs", id, api_json_job(row, NULL));
            if (job_state_is_ended((enum job_state)row->state)) {
                struct coordinator_ended *ended = mem_zalloc(sizeof *ended);
                ended->id = uuid;
                STAILQ_INSERT_TAIL(&c->events->ended, ended, link);
                c->events->ended_n++;
            }
        }
        wire__job_row__free_unpacked(row, NULL);
    }
    if (current)
        events_begin(c->node);
    free(found->rows);
    free(found);
}

void coordinator_events_active(struct coordinator *c)
{
    if (!events_enabled(c->node))
        return;
    struct coordinator_found *found = mem_zalloc(sizeof *found);
    found->coordinator = c;
    found->activation = c->activation;
    loop_timer_start(&c->events->timer, COORDINATOR_TELL_MS);
    state_read(node_replica(c->node)->state, STATE_WEAK, coordinator_found_query,
               coordinator_on_found, found);
}

void coordinator_events_inactive(struct coordinator *c)
{
    struct coordinator_tale *tale;
    struct coordinator_tale *next;
    loop_timer_stop(&c->events->timer);
    HASH_ITER (hh, c->events->tales, tale, next) {
        HASH_DEL(c->events->tales, tale);
        free(tale);
    }
    coordinator_drop_ended(c, 0);
}

void coordinator_events_start(struct coordinator *c)
{
    c->events = mem_zalloc(sizeof *c->events);
    STAILQ_INIT(&c->events->ended);
    coordinator_events_refill(c->events);
    loop_timer_init(&c->events->timer, node_loop(c->node), coordinator_on_tell, c);
    events_add_source(c->node,
                      &(struct event_source){
                          .table = "nodes", .sliced = true, .fn = coordinator_node_rows, .arg = c});
}

void coordinator_events_free(struct coordinator *c)
{
    coordinator_events_inactive(c);
    free(c->events);
}
