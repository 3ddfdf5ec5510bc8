/* Happy path of a turn: what the scheduler changed since the last one goes into one batch of the
 * log; when that is durable, its messages leave and those who wait are answered, in order. Results
 * alone may wait a few milliseconds for others. A turn of a lead that is lost sends nothing. */
#include <stdlib.h>

#include "base/mem.h"
#include "role/coordinator_internal.h"

enum {
    COORDINATOR_LINGER_MS = 4, /* results wait for others at most */
    COORDINATOR_LINGER_TASKS_MAX = 256,
};

void coordinator_keep(struct coordinator *c, ProtobufCMessage *message)
{
    MEM_GROW(c->kept, c->kept_cap, c->kept_n + 1);
    c->kept[c->kept_n++] = message;
}

void coordinator_drop_kept(struct coordinator *c)
{
    for (size_t i = 0; i < c->kept_n; i++)
        protobuf_c_message_free_unpacked(c->kept[i], NULL);
    c->kept_n = 0;
}

static void coordinator_turn_free(struct coordinator_turn *turn)
{
    for (size_t i = 0; i < turn->ended_n; i++)
        trace_free(turn->ended[i].span);
    free(turn->sends);
    free(turn->replies);
    for (size_t i = 0; i < turn->drafts_n; i++)
        event_draft_free(turn->drafts[i]);
    free(turn->drafts);
    free(turn->ended);
    free(turn);
}

static void coordinator_send_assign(struct coordinator *c, const struct sched_send *send)
{
    struct coordinator_job *job = coordinator_job_get(c, send->job_seq);
    if (job == NULL || !sched_attempt_is_live(c->sched, &send->key, send->node))
        return;
    Wire__AssignTask message = WIRE__ASSIGN_TASK__INIT;
    Wire__TaskKey key = WIRE__TASK_KEY__INIT;
    task_key_write(&send->key, &key);
    message.key = &key;
    message.spec = job->spec;
    message.job_name = job->spec->name;
    message.term = node_term(c->node);
    message.files = job->spec->files;
    message.n_files = job->spec->n_files;
    message.array_count = job->elements;
    (void)node_send(c->node, send->node, WIRE_ASSIGN_TASK, &message.base);
}

static void coordinator_send_cancel(struct coordinator *c, const struct sched_send *send)
{
    Wire__CancelTask message = WIRE__CANCEL_TASK__INIT;
    Wire__TaskKey key = WIRE__TASK_KEY__INIT;
    task_key_write(&send->key, &key);
    message.key = &key;
    message.superseded = send->superseded;
    if (send->reason != NULL)
        message.reason = (char *)(uintptr_t)send->reason;
    (void)node_send(c->node, send->node, WIRE_CANCEL_TASK, &message.base);
}

/* Sends the acknowledgements for one node that stand together as one message. */
static size_t coordinator_send_acks(struct coordinator *c, const struct sched_send *sends, size_t n)
{
    enum { COORDINATOR_ACKS_MAX = 256 };
    Wire__TaskAck message = WIRE__TASK_ACK__INIT;
    Wire__TaskKey keys[COORDINATOR_ACKS_MAX];
    Wire__TaskKey *pointers[COORDINATOR_ACKS_MAX];
    size_t count = 0;
    while (count < n && count < COORDINATOR_ACKS_MAX && sends[count].type == SCHED_SEND_ACK &&
           sends[count].node == sends[0].node) {
        wire__task_key__init(&keys[count]);
        task_key_write(&sends[count].key, &keys[count]);
        pointers[count] = &keys[count];
        count++;
    }
    message.keys = pointers;
    message.n_keys = count;
    (void)node_send(c->node, sends[0].node, WIRE_TASK_ACK, &message.base);
    return count;
}

static void coordinator_send_all(struct coordinator *c, const struct coordinator_turn *turn)
{
    for (size_t i = 0; i < turn->sends_n;) {
        const struct sched_send *send = &turn->sends[i];
        if (send->session == 0 || node_session(c->node, send->node) != send->session) {
            i++;
            continue;
        }
        if (send->type == SCHED_SEND_ACK) {
            i += coordinator_send_acks(c, send, turn->sends_n - i);
            continue;
        }
        if (send->type == SCHED_SEND_ASSIGN)
            coordinator_send_assign(c, send);
        else
            coordinator_send_cancel(c, send);
        i++;
    }
}

static void coordinator_release(struct coordinator *c, struct coordinator_turn *turn)
{
    bool current = turn->activation == c->activation && c->sched != NULL;
    if (current && turn->code == 0) {
        coordinator_send_all(c, turn);
        struct sched_event applied = {.type = SCHED_EVENT_APPLIED, .turn = turn->turn};
        (void)coordinator_step(c, &applied);
    }
    for (size_t i = 0; turn->code == 0 && i < turn->drafts_n; i++)
        event_publish(c->node, turn->drafts[i]);
    turn->drafts_n = turn->code == 0 ? 0 : turn->drafts_n;
    for (size_t i = 0; i < turn->replies_n; i++)
        turn->replies[i].fn(turn->replies[i].arg, turn->code);
    for (size_t i = 0; current && turn->code == 0 && i < turn->ended_n; i++) {
        uint64_t seq = turn->ended[i].seq;
        trace_end(turn->ended[i].span, turn->ended[i].failed, "elements of it failed");
        turn->ended[i].span = NULL;
        coordinator_waits_wake(c, seq);
        struct coordinator_job *job = coordinator_job_get(c, seq);
        struct sched_job_view view;
        if (job != NULL && !sched_job_view(c->sched, &job->id, &view))
            coordinator_job_drop(c, seq);
    }
    coordinator_turn_free(turn);
}

static void coordinator_release_ready(struct coordinator *c)
{
    struct coordinator_turn *turn;
    while ((turn = STAILQ_FIRST(&c->turns)) != NULL && turn->done) {
        STAILQ_REMOVE_HEAD(&c->turns, link);
        coordinator_release(c, turn);
    }
}

static void coordinator_on_turn(void *arg, int code, const struct state_result *result)
{
    struct coordinator_turn *turn = arg;
    struct coordinator *c = turn->coordinator;
    (void)result;
    turn->done = true;
    turn->code = code;
    coordinator_release_ready(c);
}

void coordinator_fill_job(struct coordinator *c, const struct sched_job_record *record,
                          Wire__JobRow *row, Wire__ElementSet *cancelled)
{
    struct coordinator_job *job = record->created ? coordinator_job_get(c, record->seq) : NULL;
    row->seq = record->seq;
    row->id.data = (uint8_t *)(uintptr_t)record->id.bytes;
    row->id.len = sizeof record->id.bytes;
    row->state = (Wire__JobState)record->state;
    row->spec = job != NULL ? job->spec : NULL;
    row->reason = record->reason;
    row->total = record->total;
    row->running = record->running;
    row->completed = record->completed;
    row->failed = record->failed;
    row->cancelled = record->cancelled_n;
    row->submitted_ms = (uint64_t)record->submitted_ms;
    row->started_ms = (uint64_t)record->started_ms;
    row->ended_ms = (uint64_t)record->ended_ms;
    row->cancel_requested_ms = (uint64_t)record->cancel_requested_ms;
    row->round = record->round;
    if (record->cancelled_changed) {
        cancelled->text = record->cancelled;
        row->cancelled_set = cancelled;
    }
}

static void coordinator_fill_task(const struct sched_task_record *record, Wire__TaskRow *row)
{
    row->job_seq = record->job_seq;
    row->index = record->key.index;
    row->attempt = record->key.attempt;
    row->state = (Wire__AttemptState)record->state;
    row->node_id = record->node;
    row->assigned_ms = (uint64_t)record->assigned_ms;
    row->round = record->round;
    row->code = record->code;
    if (record->text != NULL)
        row->text = (char *)(uintptr_t)record->text;
    row->report = (Wire__TaskReport *)(uintptr_t)record->keep;
}

/* Adds the turn's records to the batch; the last one answers for all. */
static void coordinator_add_records(struct coordinator *c, struct coordinator_turn *turn)
{
    struct changes *changes = node_replica(c->node)->changes;
    const struct sched_update *update = &c->update;
    size_t left = update->jobs_n + update->tasks_n;
    for (size_t i = 0; i < update->tasks_n; i++) {
        Wire__Change change = WIRE__CHANGE__INIT;
        Wire__TaskRow row = WIRE__TASK_ROW__INIT;
        coordinator_fill_task(&update->tasks[i], &row);
        change.of_case = WIRE__CHANGE__OF_TASK;
        change.task = &row;
        changes_add(changes, &change, --left == 0 ? coordinator_on_turn : NULL, turn);
    }
    for (size_t i = 0; i < update->jobs_n; i++) {
        Wire__Change change = WIRE__CHANGE__INIT;
        Wire__JobRow row = WIRE__JOB_ROW__INIT;
        Wire__ElementSet cancelled = WIRE__ELEMENT_SET__INIT;
        coordinator_fill_job(c, &update->jobs[i], &row, &cancelled);
        change.of_case = WIRE__CHANGE__OF_JOB;
        change.job = &row;
        changes_add(changes, &change, --left == 0 ? coordinator_on_turn : NULL, turn);
    }
}

static void coordinator_collect_ended(struct coordinator *c, struct coordinator_turn *turn)
{
    for (size_t i = 0; i < c->update.jobs_n; i++)
        if (job_state_is_ended(c->update.jobs[i].state)) {
            turn->ended = mem_reallocarray(turn->ended, turn->ended_n + 1, sizeof *turn->ended);
            turn->ended[turn->ended_n++] = (struct coordinator_finish){
                c->update.jobs[i].seq, coordinator_job_span(c, &c->update.jobs[i]),
                c->update.jobs[i].state == JOB_STATE_FAILED};
        }
}

/* Whether what the scheduler changed may wait for more of its kind: results of elements whose nodes
 * have others to go on with. One batch for several of them costs little more than for one. */
static bool coordinator_may_linger(struct coordinator *c)
{
    const struct sched_update *update = &c->update;
    int64_t now_ms = loop_now_ms(node_loop(c->node));
    if (update->hurry || c->replies_n > 0 || update->tasks_n >= COORDINATOR_LINGER_TASKS_MAX ||
        changes_has_open(node_replica(c->node)->changes))
        return false;
    if (c->linger_due_ms == 0)
        c->linger_due_ms = now_ms + COORDINATOR_LINGER_MS;
    if (now_ms >= c->linger_due_ms)
        return false;
    if (!loop_timer_is_running(&c->linger_timer))
        loop_timer_start_at(&c->linger_timer, c->linger_due_ms);
    return true;
}

static void coordinator_on_linger(void *arg)
{
    struct coordinator *c = arg;
    if (c->sched != NULL)
        changes_wake(node_replica(c->node)->changes);
}

/* Right before a batch: what the scheduler changed since the last one goes into it. */
static void coordinator_on_source(void *arg)
{
    struct coordinator *c = arg;
    struct sched_update *update = &c->update;
    size_t records = update->jobs_n + update->tasks_n;
    if (c->sched == NULL || records + update->sends_n + c->replies_n == 0 ||
        coordinator_may_linger(c))
        return;
    c->linger_due_ms = 0;
    loop_timer_stop(&c->linger_timer);
    struct coordinator_turn *turn = mem_zalloc(sizeof *turn);
    turn->coordinator = c;
    turn->activation = c->activation;
    turn->turn = update->turn;
    turn->done = records == 0;
    turn->sends = mem_dup(update->sends, update->sends_n * sizeof *update->sends);
    turn->sends_n = update->sends_n;
    turn->replies = mem_dup(c->replies, c->replies_n * sizeof *c->replies);
    turn->replies_n = c->replies_n;
    c->replies_n = 0;
    coordinator_collect_ended(c, turn);
    coordinator_count(c, update);
    coordinator_tell_records(c, turn);
    STAILQ_INSERT_TAIL(&c->turns, turn, link);
    coordinator_add_records(c, turn);
    sched_update_clear(update);
    coordinator_drop_kept(c);
    coordinator_release_ready(c);
}

void coordinator_when_durable(struct coordinator *c, coordinator_durable_fn fn, void *arg)
{
    MEM_GROW(c->replies, c->replies_cap, c->replies_n + 1);
    c->replies[c->replies_n++] = (struct coordinator_reply){.fn = fn, .arg = arg};
    changes_wake(node_replica(c->node)->changes);
}

void coordinator_turns_start(struct coordinator *c)
{
    STAILQ_INIT(&c->turns);
    loop_timer_init(&c->linger_timer, node_loop(c->node), coordinator_on_linger, c);
}

void coordinator_turns_active(struct coordinator *c)
{
    if (!c->source_added)
        changes_add_source(node_replica(c->node)->changes, coordinator_on_source, c);
    c->source_added = true;
}

void coordinator_turns_inactive(struct coordinator *c)
{
    size_t n = c->replies_n;
    loop_timer_stop(&c->linger_timer);
    c->linger_due_ms = 0;
    c->replies_n = 0;
    for (size_t i = 0; i < n; i++) /* in no batch yet: certainly not done */
        c->replies[i].fn(c->replies[i].arg, ERR_NOT_LEADER);
}

void coordinator_turns_free(struct coordinator *c)
{
    struct coordinator_turn *turn;
    while ((turn = STAILQ_FIRST(&c->turns)) != NULL) {
        STAILQ_REMOVE_HEAD(&c->turns, link);
        coordinator_turn_free(turn);
    }
    free(c->replies);
    free(c->kept);
}
