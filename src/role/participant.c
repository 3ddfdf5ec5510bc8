/* Happy path: a message is an event for the machine; its records go to the journal, and when they
 * are durable the effects that wait for them happen: votes leave, versions are applied.
 *
 * How it fails: a journal that cannot be written ends the node's part: nothing more is voted or
 * told, the node is out of rotation and says so; the daemon has to be started again. */
#include "role/participant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "base/trace.h"
#include "role/api_json.h"
#include "role/events.h"
#include "role/participant_internal.h"
#include "role/rollouts.h"
#include "role/routing_table.h"

static const struct log_about participant_log = {.role = "participant"};

/* What was appended in one turn. */
struct participant_sync {
    struct journal_req req;
    struct participant *participant;
    uint64_t seq;
};

bool participant_takes_part(const Wire__Node *member)
{
    return !member->removed && !member->poll &&
           (member->roles &
            (WIRE__NODE_ROLE__NODE_ROLE_METADATA | WIRE__NODE_ROLE__NODE_ROLE_PARTICIPANT)) != 0;
}

/* ---- effects
 * ------------------------------------------------------------------------------------- */

static json_t *participant_routing_row(const struct participant *participant,
                                       const struct routing_state *state)
{
    const char *why;
    json_t *row = participant_state_json(state);
    json_object_set_new(row, "node", api_json_text(node_options(participant->node)->name));
    json_object_set_new(
        row, "in_rotation",
        json_boolean(routing_table_in_rotation(node_routing(participant->node), &why)));
    return row;
}

static void participant_tell_routing(struct participant *participant,
                                     const struct routing_state *state)
{
    const char *name = node_options(participant->node)->name;
    if (!events_enabled(participant->node))
        return;
    char *key = mem_printf("%s/%s", name, state->service);
    event_emit(participant->node, EVENT_ROUTING_VERSION,
               EVENT_ABOUT(.node = name, .key = key, .by = state->by, .cause = state->reason,
                           .row = participant_routing_row(participant, state)),
               "%s serves %s at version %llu: %s %d %%%s%s", name, state->service,
               (unsigned long long)state->version, state->stable, state->stable_weight,
               state->canary[0] != '\0' ? ", " : "", state->canary);
    free(key);
}

static void participant_routing_rows(void *arg, struct event_rows *rows, unsigned slice)
{
    const struct participant *participant = arg;
    const struct routing_table *table = node_routing(participant->node);
    const struct routing_state *state;
    (void)slice;
    for (size_t i = 0; (state = routing_table_at(table, i)) != NULL; i++) {
        char *key = mem_printf("%s/%s", node_options(participant->node)->name, state->service);
        event_rows_add(rows, key, participant_routing_row(participant, state));
        free(key);
    }
}

/* "prepared -> committed: why". The coordinator's view is the row; of the others it has what they
 * voted. */
static void participant_tell_change(struct participant *participant,
                                    const struct txn_effect *effect)
{
    char id[UUID_TEXT_MAX];
    char state[32] = "";
    const char *name = node_options(participant->node)->name;
    const char *to = strstr(effect->text, "-> ");
    if (to == NULL || !events_enabled(participant->node))
        return;
    (void)uuid_format(&effect->txid, id);
    (void)snprintf(state, sizeof state, "%.*s", (int)strcspn(to + 3, ":, "), to + 3);
    char *part = mem_printf("part.%s", name);
    bool votes = strcmp(state, "prepared") == 0;
    json_t *row = effect->yes ? json_pack("{s:s, s:s, s:o}", "coordinator", name, "state", state,
                                          "text", api_json_text(effect->text))
                  : votes     ? json_pack("{s:s}", part, state)
                              : NULL;
    bool doubt = strstr(state, "doubt") != NULL;
    event_emit(participant->node, doubt ? EVENT_TXN_DOUBT : EVENT_TXN_STATE,
               EVENT_ABOUT(.node = name, .key = row != NULL ? id : NULL, .row = row,
                           .more = json_pack("{s:s, s:s}", "txid", id, "state", state)),
               "%s transaction %s on %s: %s", effect->yes ? "coordinated" : "taking part in", id,
               name, effect->text);
    free(part);
}

static void participant_tell_ended(struct participant *participant, const struct txn_effect *effect)
{
    char id[UUID_TEXT_MAX];
    event_emit(participant->node, EVENT_TXN_STATE,
               EVENT_ABOUT(.node = node_options(participant->node)->name,
                           .key = uuid_format(&effect->txid, id), .gone = true,
                           .more = json_pack("{s:s, s:s}", "txid", uuid_format(&effect->txid, id),
                                             "state", "ended")),
               "transaction %s has ended: every participant has applied it",
               uuid_format(&effect->txid, id));
}

static void participant_apply(struct participant *participant, const struct txn_item *item)
{
    struct routing_state state;
    struct trace_context context = trace_context_of(&item->txid);
    struct trace_span *span = trace_child(&context, "txn apply", TRACE_CONSUMER);
    trace_text(span, "clusterd.service", item->key);
    trace_number(span, "clusterd.routing.version", (int64_t)item->version);
    trace_end(span, 0, NULL);
    if (routing_decode(item->value, item->len, &state) < 0) {
        log_error(&participant_log, "version %llu of %s cannot be read", /* another version's */
                  (unsigned long long)item->version, item->key);
        return;
    }
    state.version = item->version;
    state.txid = item->txid;
    state.at_ms = item->at_ms;
    routing_table_apply(node_routing(participant->node), &state);
    participant_tell_routing(participant, &state);
}

static void participant_alarm(struct participant *participant, const struct txn_effect *effect)
{
    char id[UUID_TEXT_MAX];
    size_t at = participant->alarms_n++ % PARTICIPANT_ALARMS_MAX;
    participant->alarms[at].at_ms = loop_wall_ms(node_loop(participant->node));
    participant->alarms[at].txid = effect->txid;
    memcpy(participant->alarms[at].text, effect->text, sizeof effect->text);
    log_error(&participant_log, "transaction %s: two outcomes have met: %s",
              uuid_format(&effect->txid, id), effect->text);
}

static void participant_judge_now(struct participant *participant, const struct txn_body *body)
{
    char why[TXN_TEXT_MAX] = "";
    struct trace_context context = trace_context_of(&body->txid);
    struct trace_span *span = trace_child(&context, "txn vote", TRACE_CONSUMER);
    bool yes = participant_judge(participant, body, why);
    trace_text(span, "clusterd.txn.vote", yes ? "yes" : "no");
    trace_end(span, !yes, why);
    (void)participant_step(
        participant,
        (struct txn_event){.type = TXN_EVENT_JUDGED, .txid = body->txid, .yes = yes, .text = why},
        NULL);
}

static void participant_do(struct participant *participant, struct txn_effect *effect)
{
    char id[UUID_TEXT_MAX];
    switch (effect->type) {
    case TXN_EFFECT_SEND:
        participant_send(participant, &effect->message);
        break;
    case TXN_EFFECT_JUDGE:
        participant_judge_now(participant, effect->body);
        break;
    case TXN_EFFECT_PROPOSE:
        participant_propose(participant, &effect->txid, effect->outcome);
        break;
    case TXN_EFFECT_OUTCOME:
        rollouts_on_outcome(participant->rollouts, &effect->txid,
                            effect->outcome == TXN_OUTCOME_COMMIT, effect->text);
        break;
    case TXN_EFFECT_APPLY:
        participant_apply(participant, effect->item);
        break;
    case TXN_EFFECT_RESOLVED:
        participant_api_resolved(participant, effect);
        break;
    case TXN_EFFECT_ROTATION:
        routing_table_set_rotation(node_routing(participant->node), effect->yes, effect->text);
        log_write(effect->yes ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, &participant_log, "%s",
                  effect->text);
        break;
    case TXN_EFFECT_ALARM:
        participant_alarm(participant, effect);
        break;
    case TXN_EFFECT_CHANGED:
        log_debug(&participant_log, "%stransaction %s: %s", effect->yes ? "coordinated " : "",
                  uuid_format(&effect->txid, id), effect->text);
        participant_tell_change(participant, effect);
        break;
    case TXN_EFFECT_ENDED:
        participant_tell_ended(participant, effect);
        break;
    }
}

/* Whatever has its records durable happens; that may make more. */
static void participant_release(struct participant *participant)
{
    if (participant->releasing)
        return;
    participant->releasing = true;
    for (size_t i = 0; i < participant->effects_n; i++) {
        struct txn_effect effect = participant->effects[i];
        if (effect.after > participant->durable)
            continue;
        memmove(&participant->effects[i], &participant->effects[i + 1],
                (--participant->effects_n - i) * sizeof effect);
        i--;
        participant_do(participant, &effect);
        txn_effect_release(&effect);
    }
    participant->releasing = false;
}

/* ---- the journal
 * ----------------------------------------------------------------------------------- */

static void participant_fail(struct participant *participant, const char *text)
{
    if (participant->failed)
        return;
    participant->failed = true;
    loop_timer_stop(&participant->timer);
    log_error(&participant_log, "the log of transactions failed, this node votes no more: %s",
              text);
    routing_table_set_rotation(node_routing(participant->node), false,
                               "its log of transactions failed; start clusterd again");
}

static void participant_on_failed(void *arg, const struct error *e)
{
    participant_fail(arg, e->text);
}

static void participant_on_reserve(void *arg, int code)
{
    struct participant *participant = arg;
    participant->full = code < 0;
}

static void participant_on_synced(struct journal_req *req, int status)
{
    struct participant_sync *sync = req->data;
    struct participant *participant = sync->participant;
    uint64_t seq = sync->seq;
    free(sync);
    if (status < 0 || participant->failed)
        return; /* participant_on_failed() said so */
    participant->durable = seq;
    participant_release(participant);
}

static void participant_sync(struct participant *participant)
{
    struct participant_sync *sync = mem_zalloc(sizeof *sync);
    sync->req.data = sync;
    sync->participant = participant;
    sync->seq = participant->written;
    journal_sync(participant->journal, &sync->req, participant_on_synced);
}

static void participant_carry_one(void *arg, const struct txn_record *record)
{
    struct buf *carry = arg;
    json_t *json = participant_record_json(record);
    char *text = json_dumps(json, JSON_COMPACT);
    (void)buf_append_str(carry, text);
    (void)buf_append_byte(carry, '\n');
    free(text);
    json_decref(json);
}

/* Replaces the log by what it amounts to. */
static void participant_compact(struct participant *participant)
{
    uint64_t last = journal_last(participant->journal);
    if (last - participant->compacted < PARTICIPANT_JOURNAL_LINES_MAX)
        return;
    struct buf carry;
    buf_init(&carry, JOURNAL_CARRY_BYTES_MAX);
    txn_snapshot(participant->txn, participant_carry_one, &carry);
    if (journal_reset(participant->journal, last + 1, &carry) == 0)
        participant->compacted = last;
    buf_done(&carry);
    participant_sync(participant);
}

static void participant_write(struct participant *participant, const struct txn_record *record)
{
    json_t *json = participant_record_json(record);
    char *text = json_dumps(json, JSON_COMPACT);
    int err = journal_append(participant->journal, text, strlen(text));
    if (err < 0)
        participant_fail(participant, err_text(err));
    participant->written = record->seq;
    free(text);
    json_decref(json);
}

/* ---- steps
 * -------------------------------------------------------------------------------------------- */

static void participant_on_timer(void *arg)
{
    (void)participant_step(arg, (struct txn_event){.type = TXN_EVENT_TICK}, NULL);
}

static const char *participant_name_of(const void *arg, uint64_t id)
{
    const Wire__Node *member = node_member(arg, id);
    return member != NULL ? member->name : NULL;
}

/* The core knows numbers only. */
static void participant_name_nodes(const struct participant *participant, char text[TXN_TEXT_MAX])
{
    str_name_ids(text, TXN_TEXT_MAX, participant_name_of, participant->node);
}

int participant_step(struct participant *participant, struct txn_event event,
                     char text[TXN_TEXT_MAX])
{
    struct txn_update *update = &participant->update;
    if (participant->txn == NULL || participant->failed || participant->stopping) {
        if (text != NULL)
            memcpy(text, "this node takes no part in rollouts at the moment", 50);
        return ERR_UNAVAILABLE;
    }
    event.now_ms = loop_now_ms(node_loop(participant->node));
    event.wall_ms = loop_wall_ms(node_loop(participant->node));
    int err = txn_step(participant->txn, &event, update);
    participant_name_nodes(participant, update->text);
    if (text != NULL)
        memcpy(text, update->text, TXN_TEXT_MAX);
    for (size_t i = 0; i < update->records_n && !participant->failed; i++)
        participant_write(participant, &update->records[i]);
    if (update->records_n > 0 && !participant->failed)
        participant_sync(participant);
    for (size_t i = 0; i < update->effects_n; i++) {
        participant_name_nodes(participant, update->effects[i].text);
        MEM_GROW(participant->effects, participant->effects_cap, participant->effects_n + 1);
        participant->effects[participant->effects_n++] = update->effects[i];
    }
    update->effects_n = 0; /* taken */
    txn_update_clear(update);
    if (participant->failed)
        return err;
    loop_timer_start_at(&participant->timer, update->next_deadline_ms);
    participant_release(participant);
    participant_compact(participant);
    return err;
}

/* ---- start
 * ---------------------------------------------------------------------------------------------- */

static int participant_on_line(void *arg, const struct journal_line *line, struct error *e)
{
    struct participant *participant = arg;
    json_error_t at;
    json_t *json = json_loadb(line->text, line->len, 0, &at);
    struct txn_record record = {0};
    int err = json == NULL ? error_set(e, ERR_CORRUPT, "%s", at.text)
                           : participant_record_parse(json, &record, e);
    json_decref(json);
    if (err == 0) {
        const struct txn_event event = {.type = TXN_EVENT_RESTORE, .record = &record};
        err = txn_step(participant->txn, &event, &participant->update);
        if (err < 0)
            (void)error_set(e, err, "%s", participant->update.text);
    }
    txn_record_release(&record);
    return err;
}

static int participant_open(struct participant *participant, struct error *e)
{
    struct txn_config config;
    char *dir = mem_printf("%s/routing", node_options(participant->node)->data_dir);
    struct journal_options options = {
        .whole = true,
        .segment_bytes = 1 << 20,
        .on_line = participant_on_line,
        .on_reserve = participant_on_reserve,
        .on_failed = participant_on_failed,
        .arg = participant,
    };
    txn_config_default(&config, node_id(participant->node));
    participant->txn = txn_new(&config);
    int err = 0;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        err = error_set(e, -errno, "cannot create %s: %s", dir, strerror(errno));
    if (err == 0)
        err = journal_open(&participant->journal, node_loop(participant->node), dir, &options, e);
    if (err < 0)
        (void)error_prefix(e, "the log of transactions");
    else if (journal_torn_bytes(participant->journal) > 0)
        log_warn(&participant_log, "cut %llu bytes of an unfinished write from the log in %s",
                 (unsigned long long)journal_torn_bytes(participant->journal), dir);
    free(dir);
    return err;
}

static void participant_tell_members(struct participant *participant)
{
    const Wire__Members *members = node_members(participant->node);
    uint64_t *ids = mem_calloc(members->n_nodes + 1, sizeof *ids);
    size_t n = 0;
    for (size_t i = 0; i < members->n_nodes; i++) {
        if (participant_takes_part(members->nodes[i]))
            ids[n++] = members->nodes[i]->id;
    }
    if (n > 0)
        (void)participant_step(
            participant, (struct txn_event){.type = TXN_EVENT_MEMBERS, .peers = ids, .peers_n = n},
            NULL);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] != node_id(participant->node))
            (void)participant_step(
                participant,
                (struct txn_event){.type = TXN_EVENT_ALIVE,
                                   .peer = ids[i],
                                   .alive = node_session(participant->node, ids[i]) != 0},
                NULL);
    }
    free(ids);
}

/* Once this node has its number. */
static int participant_begin(struct participant *participant, struct error *e)
{
    int err = participant_open(participant, e);
    if (err < 0) {
        participant->failed = true; /* nothing more can be written */
        return err;
    }
    (void)participant_step(participant, (struct txn_event){.type = TXN_EVENT_RESTORED}, NULL);
    participant_tell_members(participant);
    loop_timer_start(&participant->snapshot_timer, PARTICIPANT_SNAPSHOT_MS);
    return 0;
}

static void participant_on_joined(void *self)
{
    struct participant *participant = self;
    struct error e;
    if (participant->txn == NULL && node_id(participant->node) != 0 &&
        participant_begin(participant, &e) < 0)
        node_fatal(participant->node, &e);
}

static void participant_on_members(void *self)
{
    participant_tell_members(self);
}

static void participant_on_link(void *self, uint64_t peer, uint64_t session)
{
    (void)participant_step(
        self, (struct txn_event){.type = TXN_EVENT_ALIVE, .peer = peer, .alive = session != 0},
        NULL);
}

static void participant_on_active(void *self)
{
    struct participant *participant = self;
    rollouts_activate(participant->rollouts);
}

static void participant_on_inactive(void *self)
{
    struct participant *participant = self;
    rollouts_deactivate(participant->rollouts);
}

static void participant_on_snapshot_timer(void *arg)
{
    struct participant *participant = arg;
    participant_read_health(participant);
    participant_send_snapshot(participant);
    loop_timer_start(&participant->snapshot_timer, PARTICIPANT_SNAPSHOT_MS);
}

/* ---- life
 * -------------------------------------------------------------------------------------------------
 */

static void participant_on_collect(void *arg)
{
    const struct participant *participant = arg;
    struct txn_doubt doubt;
    size_t doubts = 0;
    while (participant->txn != NULL && txn_doubt_at(participant->txn, doubts, &doubt))
        doubts++;
    metric_set(METRIC_TXNS_IN_DOUBT, (double)doubts);
    rollouts_collect(participant->rollouts);
}

static int participant_start(struct node *node, void **self, struct error *e)
{
    struct participant *participant = mem_zalloc(sizeof *participant);
    participant->node = node;
    TAILQ_INIT(&participant->proposals);
    TAILQ_INIT(&participant->resolves);
    TAILQ_INIT(&participant->windows);
    loop_timer_init(&participant->timer, node_loop(node), participant_on_timer, participant);
    loop_timer_init(&participant->snapshot_timer, node_loop(node), participant_on_snapshot_timer,
                    participant);
    events_add_source(participant->node, &(struct event_source){.table = "routing",
                                                                .local = true,
                                                                .fn = participant_routing_rows,
                                                                .arg = participant});
    participant->rollouts = rollouts_new(participant);
    participant_api_add_routes(participant);
    participant_group_add_routes(participant);
    metric_add_collector(participant_on_collect, participant);
    *self = participant;
    return node_id(node) != 0 ? participant_begin(participant, e) : 0; /* a member since earlier */
}

static void participant_on_closed(void *arg)
{
    struct participant *participant = arg;
    participant->journal = NULL;
    node_role_stopped(participant->node);
}

static void participant_stop(void *self)
{
    struct participant *participant = self;
    participant->stopping = true;
    metric_remove_collector(participant_on_collect, participant);
    loop_timer_stop(&participant->timer);
    loop_timer_stop(&participant->snapshot_timer);
    rollouts_stop(participant->rollouts);
    participant_group_stop(participant);
    participant_api_stop(participant);
    if (participant->journal != NULL)
        journal_close(participant->journal, participant_on_closed, participant);
    else
        node_role_stopped(participant->node);
}

static void participant_free(void *self)
{
    struct participant *participant = self;
    metric_remove_collector(participant_on_collect, participant);
    for (size_t i = 0; i < participant->effects_n; i++)
        txn_effect_release(&participant->effects[i]);
    free(participant->effects);
    struct participant_window *window;
    while ((window = TAILQ_FIRST(&participant->windows)) != NULL) {
        TAILQ_REMOVE(&participant->windows, window, link);
        free(window);
    }
    rollouts_free(participant->rollouts);
    txn_free(participant->txn);
    txn_update_done(&participant->update);
    free(participant);
}

const struct role participant_role = {
    .name = "participant",
    .start = participant_start,
    .stop = participant_stop,
    .free = participant_free,
    .on_members = participant_on_members,
    .on_link = participant_on_link,
    .on_joined = participant_on_joined,
    .on_active = participant_on_active,
    .on_inactive = participant_on_inactive,
    .handlers = participant_handlers,
};
