/* Happy path: an event changes a rollout, the change is written to the replicated state, and when
 * it is durable the transaction begins, gates are asked, the operator is answered.
 *
 * How it fails: a lost lead drops everything here; the next leader reads what was written, and asks
 * the metadata group what became of a switch that was under way. */
#include "role/rollouts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/trace.h"
#include "role/events.h"
#include "role/rollouts_internal.h"
#include "role/routing_table.h"
#include "run/state_query.h"

static const struct log_about rollouts_log = {.role = "rollout"};

/* A write on its way, and what happens behind it. */
struct rollouts_write {
    struct rollouts *rollouts;
    struct rollouts_entry *entry;
    uint64_t epoch;
    struct rollout_update update;
    struct http_request *req;
};

/* ---- entries
 * --------------------------------------------------------------------------------------- */

static void rollouts_on_timer(void *arg)
{
    (void)rollouts_step(arg, (struct rollout_event){.type = ROLLOUT_EVENT_TICK}, NULL, NULL);
}

static void rollouts_settle(void *arg);
static void rollouts_on_todo(void *arg);

struct rollouts_entry *rollouts_entry_new(struct rollouts *rollouts, const struct rollout *r)
{
    struct rollouts_entry *entry = mem_zalloc(sizeof *entry);
    entry->rollouts = rollouts;
    entry->r = *r;
    entry->notes = json_array();
    TAILQ_INIT(&entry->readings);
    loop_timer_init(&entry->timer, node_loop(rollouts->node), rollouts_on_timer, entry);
    loop_timer_init(&entry->settle_timer, node_loop(rollouts->node), rollouts_settle, entry);
    loop_timer_init(&entry->todo_timer, node_loop(rollouts->node), rollouts_on_todo, entry);
    TAILQ_INSERT_TAIL(&rollouts->entries, entry, link);
    rollouts->active_n++;
    return entry;
}

static void rollouts_entry_free(struct rollouts_entry *entry)
{
    struct rollouts *rollouts = entry->rollouts;
    struct rollouts_reading *reading;
    while ((reading = TAILQ_FIRST(&entry->readings)) != NULL) {
        TAILQ_REMOVE(&entry->readings, reading, link);
        free(reading);
    }
    rollouts_stop_gates(entry);
    loop_timer_stop(&entry->timer);
    loop_timer_stop(&entry->settle_timer);
    loop_timer_stop(&entry->todo_timer);
    TAILQ_REMOVE(&rollouts->entries, entry, link);
    if (entry->past)
        rollouts->past_n--;
    else
        rollouts->active_n--;
    json_decref(entry->notes);
    trace_free(entry->span);
    free(entry);
}

static bool rollouts_concerns(const struct rollouts_entry *entry, const char *service)
{
    for (size_t i = 0; i < entry->r.targets_n; i++) {
        if (strcmp(entry->r.targets[i].service, service) == 0)
            return true;
    }
    return false;
}

struct rollouts_entry *rollouts_find(const struct rollouts *rollouts, const char *service,
                                     bool active)
{
    struct rollouts_entry *entry;
    struct rollouts_entry *found = NULL;
    TAILQ_FOREACH (entry, &rollouts->entries, link) {
        if (rollouts_concerns(entry, service) && !(active && rollout_is_ended(&entry->r)))
            found = entry;
    }
    return found;
}

/* ---- the replicated state
 * ---------------------------------------------------------------------------- */

void rollouts_put(struct rollouts *rollouts, const char *key, json_t *json, changes_done_fn done,
                  void *arg)
{
    char *text = json_dumps(json, JSON_COMPACT);
    Wire__KvPut put = WIRE__KV_PUT__INIT;
    put.key = (char *)(uintptr_t)key;
    put.value.data = (uint8_t *)text;
    put.value.len = strlen(text);
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_KV_PUT;
    change.kv_put = &put;
    changes_add(node_replica(rollouts->node)->changes, &change, done, arg);
    free(text);
}

void rollouts_delete(struct rollouts *rollouts, const char *key)
{
    Wire__KvDelete request = WIRE__KV_DELETE__INIT;
    request.key = (char *)(uintptr_t)key;
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_KV_DELETE;
    change.kv_delete = &request;
    changes_add(node_replica(rollouts->node)->changes, &change, NULL, NULL);
}

static void rollouts_key(const struct rollouts_entry *entry, bool past, char out[static 128])
{
    char id[UUID_TEXT_MAX];
    (void)uuid_format(&entry->r.id, id);
    if (past)
        (void)snprintf(out, 128, ROLLOUTS_PAST_PREFIX "%015lld-%s", (long long)entry->r.began_ms,
                       id);
    else
        (void)snprintf(out, 128, ROLLOUTS_ACTIVE_PREFIX "%s", id);
}

/* ---- transactions
 * -------------------------------------------------------------------------------------- */

static void rollouts_switched(struct rollouts_entry *entry, const struct uuid *txid, bool committed,
                              const char *text)
{
    (void)rollouts_step(
        entry,
        (struct rollout_event){
            .type = ROLLOUT_EVENT_SWITCHED, .txid = *txid, .committed = committed, .text = text},
        NULL, NULL);
}

static void rollouts_set_url(const struct rollouts *rollouts, const char *model, char *url,
                             const struct routing_state *now)
{
    const struct rollouts_model *known = rollouts_model(rollouts, model);
    const char *from = known != NULL ? known->url : "";
    if (known == NULL && now != NULL && strcmp(now->stable, model) == 0)
        from = now->stable_url;
    else if (known == NULL && now != NULL && strcmp(now->canary, model) == 0)
        from = now->canary_url;
    (void)snprintf(url, ROUTING_URL_MAX, "%s", from);
}

/* Everybody who is there; it must be a majority. */
static size_t rollouts_participants(const struct rollouts *rollouts, uint64_t *ids)
{
    const Wire__Members *members = node_members(rollouts->node);
    size_t n = 0;
    for (size_t i = 0; i < members->n_nodes && n < TXN_PARTICIPANTS_MAX; i++) {
        const Wire__Node *member = members->nodes[i];
        if (participant_takes_part(member) && node_session(rollouts->node, member->id) != 0)
            ids[n++] = member->id;
    }
    return n;
}

static int rollouts_make_write(struct rollouts_entry *entry, size_t i, struct txn_write *write,
                               struct buf *value)
{
    struct rollouts *rollouts = entry->rollouts;
    struct routing_state state;
    struct error e;
    rollout_wanted(&entry->r, i, &state);
    const struct routing_state *now =
        routing_table_find(node_routing(rollouts->node), state.service);
    write->key = entry->r.targets[i].service;
    write->base_version = txn_version(rollouts->participant->txn, write->key);
    state.version = write->base_version + 1;
    state.txid = entry->r.txid;
    rollouts_set_url(rollouts, state.stable, state.stable_url, now);
    rollouts_set_url(rollouts, state.canary, state.canary_url, now);
    int err = routing_check(&state, NULL, NULL, &e);
    size_t at = value->len;
    if (err == 0)
        err = routing_encode(&state, value);
    write->value = value->data + at;
    write->len = value->len - at;
    return err;
}

static void rollouts_trace(const struct rollouts_entry *entry, size_t participants)
{
    char id[UUID_TEXT_MAX];
    trace_text(entry->span, "clusterd.rollout.id", uuid_format(&entry->r.id, id));
    trace_text(entry->span, "clusterd.txn.id", uuid_format(&entry->r.txid, id));
    trace_text(entry->span, "clusterd.service", entry->r.targets[0].service);
    trace_number(entry->span, "clusterd.rollout.weight", entry->r.weight);
    trace_number(entry->span, "clusterd.txn.participants", (int64_t)participants);
}

static void rollouts_begin(struct rollouts_entry *entry)
{
    struct rollouts *rollouts = entry->rollouts;
    uint64_t ids[TXN_PARTICIPANTS_MAX];
    struct txn_write writes[ROLLOUT_TARGETS_MAX];
    struct buf values[ROLLOUT_TARGETS_MAX];
    char text[TXN_TEXT_MAX] = "the new state cannot be written down";
    struct uuid txid = entry->r.txid;
    struct txn_body from = {
        .txid = txid,
        .coordinator = node_id(rollouts->node),
        .group = !entry->r.by_peers,
        .began_ms = loop_wall_ms(node_loop(rollouts->node)),
        .participants = ids,
        .writes = writes,
        .writes_n = entry->r.targets_n,
    };
    from.participants_n = rollouts_participants(rollouts, ids);
    int err = rollouts->participant->txn != NULL ? 0 : ERR_UNAVAILABLE;
    entry->begun_us = clock_mono_us();
    trace_free(entry->span);
    entry->span = trace_root_of(&txid, "rollout transaction", TRACE_INTERNAL);
    rollouts_trace(entry, from.participants_n);
    for (size_t i = 0; i < entry->r.targets_n; i++) {
        buf_init(&values[i], TXN_VALUE_BYTES_MAX);
        if (err == 0)
            err = rollouts_make_write(entry, i, &writes[i], &values[i]);
    }
    struct txn_body *body = err == 0 ? txn_body_new(&from, text) : NULL;
    for (size_t i = 0; i < entry->r.targets_n; i++)
        buf_done(&values[i]);
    err = body == NULL
              ? ERR_INVALID
              : participant_step(rollouts->participant,
                                 (struct txn_event){.type = TXN_EVENT_BEGIN, .body = body}, text);
    txn_body_free(body);
    if (err < 0)
        rollouts_switched(entry, &txid, false, text);
}

void rollouts_collect(const struct rollouts *rollouts)
{
    metric_clear(METRIC_ROLLOUTS);
    if (rollouts->active)
        metric_set(METRIC_ROLLOUTS, (double)rollouts->active_n);
}

static void rollouts_count_txn(const struct rollouts_entry *entry, bool committed)
{
    const char *outcome = txn_outcome_name(committed ? TXN_OUTCOME_COMMIT : TXN_OUTCOME_ABORT);
    metric_series_add(metric_series(METRIC_TXNS, outcome), 1);
    if (entry->begun_us != 0)
        metric_series_observe(metric_series(METRIC_TXN, outcome), entry->switch_us);
}

void rollouts_on_outcome(struct rollouts *rollouts, const struct uuid *txid, bool committed,
                         const char *text)
{
    struct rollouts_entry *entry;
    struct rollouts_entry *next;
    for (entry = TAILQ_FIRST(&rollouts->entries); entry != NULL && rollouts->active; entry = next) {
        next = TAILQ_NEXT(entry, link);
        if (rollout_is_ended(&entry->r) || uuid_compare(&entry->r.txid, txid) != 0)
            continue;
        if (entry->begun_us != 0)
            entry->switch_us = clock_mono_us() - entry->begun_us;
        rollouts_count_txn(entry, committed);
        trace_end(entry->span, !committed, text);
        entry->span = NULL;
        rollouts_switched(entry, txid, committed, text);
    }
}

/* ---- what became of an earlier leader's switch
 * ----------------------------------------------------------- */

struct rollouts_settling {
    struct rollouts *rollouts;
    uint64_t epoch;
    struct uuid txid;
};

static void rollouts_on_settled(void *arg, enum txn_outcome outcome)
{
    struct rollouts_settling *settling = arg;
    struct rollouts *rollouts = settling->rollouts;
    struct uuid txid = settling->txid;
    bool void_now = settling->epoch != rollouts->epoch || !rollouts->active;
    free(settling);
    if (void_now || outcome == TXN_OUTCOME_NONE)
        return;
    rollouts_on_outcome(rollouts, &txid, outcome == TXN_OUTCOME_COMMIT,
                        "its leader was lost before it was decided");
}

/* Without the group: whether this node knows of it, which took part like any other. */
static bool rollouts_settle_by_peers(struct rollouts_entry *entry)
{
    const struct txn *txn = entry->rollouts->participant->txn;
    struct uuid txid = entry->r.txid;
    const struct txn_item *item =
        txn != NULL ? txn_item(txn, entry->r.targets[0].service, 0) : NULL;
    enum txn_state state = txn != NULL ? txn_state_of(txn, &txid) : TXN_STATE_NONE;
    if (state == TXN_STATE_COMMITTED || (item != NULL && uuid_compare(&item->txid, &txid) == 0)) {
        rollouts_switched(entry, &txid, true, "committed");
        return true;
    }
    if (state == TXN_STATE_PREPARED || state == TXN_STATE_DOUBT)
        return false;
    if (state == TXN_STATE_NONE && ++entry->settle_tries < ROLLOUTS_SETTLE_TRIES)
        return false;
    rollouts_switched(entry, &txid, false, "its leader was lost before it was decided");
    return true;
}

static void rollouts_settle(void *arg)
{
    struct rollouts_entry *entry = arg;
    struct rollouts *rollouts = entry->rollouts;
    if (!rollouts->active || uuid_is_nil(&entry->r.txid) || rollout_is_ended(&entry->r))
        return;
    if (entry->r.by_peers) {
        if (rollouts_settle_by_peers(entry))
            return;
    } else {
        struct rollouts_settling *settling = mem_zalloc(sizeof *settling);
        settling->rollouts = rollouts;
        settling->epoch = rollouts->epoch;
        settling->txid = entry->r.txid;
        participant_decide(rollouts->node, &entry->r.txid, TXN_OUTCOME_ABORT, rollouts_on_settled,
                           settling);
    }
    loop_timer_start(&entry->settle_timer, ROLLOUTS_SETTLE_MS);
}

/* ---- steps
 * --------------------------------------------------------------------------------------------------
 */

static void rollouts_on_todo(void *arg)
{
    struct rollouts_entry *entry = arg;
    struct rollouts_todo todo = entry->todo;
    entry->todo = (struct rollouts_todo){0};
    if (todo.settle) {
        entry->settle_tries = 0;
        rollouts_settle(entry);
    }
    if (todo.run != 0)
        rollouts_run_gates(entry, todo.run);
    if (todo.measure)
        rollouts_measure(entry);
    if (todo.begin && !rollout_is_ended(&entry->r))
        rollouts_begin(entry);
}

static void rollouts_perform(struct rollouts_entry *entry, const struct rollout_update *update)
{
    struct rollouts_todo *todo = &entry->todo;
    todo->settle = todo->settle || update->settle;
    todo->run |= update->run;
    todo->measure = todo->measure || update->measure;
    todo->begin = todo->begin || update->begin;
    if (todo->settle || todo->run != 0 || todo->measure || todo->begin)
        loop_timer_start(&entry->todo_timer, 0);
}

static void rollouts_on_written(void *arg, int code, const struct state_result *result)
{
    (void)result;
    struct rollouts_write *write = arg;
    struct rollouts *rollouts = write->rollouts;
    struct error e;
    bool void_now = write->epoch != rollouts->epoch || !rollouts->active;
    if (write->req != NULL && code == 0 && !void_now) {
        http_reply_json(write->req, 200, rollouts_json(write->entry));
    } else if (write->req != NULL) {
        (void)error_set(&e, code < 0 ? code : ERR_OUTCOME_UNKNOWN, "%s",
                        err_text(code < 0 ? code : ERR_OUTCOME_UNKNOWN));
        http_reply_failure(write->req, &e, "rollout status tells how far it is");
    }
    if (!void_now) {
        write->entry->writes--;
        if (code == 0)
            rollouts_perform(write->entry, &write->update);
    }
    free(write);
}

static void rollouts_note(struct rollouts_entry *entry, const struct rollout_update *update,
                          int64_t wall_ms)
{
    json_t *note = json_pack("{s:I, s:s, s:s, s:s, s:s, s:i}", "at_ms", (json_int_t)wall_ms, "what",
                             update->what, "by", update->by, "text", update->text, "state",
                             rollout_state_name(entry->r.state), "weight", entry->r.weight);
    if (note == NULL)
        return;
    if (json_array_size(entry->notes) >= ROLLOUTS_NOTES_MAX)
        json_array_remove(entry->notes, 1); /* the start stays */
    json_array_append_new(entry->notes, note);
    log_info(&rollouts_log, "%s: %s by %s: %s", entry->r.targets[0].service, update->what,
             update->by, update->text);
}

static json_t *rollouts_row(const struct rollouts_entry *entry)
{
    json_t *row = rollouts_json(entry);
    (void)json_object_del(row, "notes"); /* they are events */
    return row;
}

static void rollouts_tell(struct rollouts_entry *entry, const struct rollout_update *update)
{
    const char *service = entry->r.targets[0].service;
    if (!events_enabled(entry->rollouts->node))
        return;
    event_emit(entry->rollouts->node,
               strncmp(update->text, "gate ", 5) == 0 ? EVENT_ROLLOUT_GATE : EVENT_ROLLOUT_STATE,
               EVENT_ABOUT(.key = service, .by = update->by, .cause = update->text,
                           .more = json_pack("{s:s}", "what", update->what),
                           .row = rollouts_row(entry)),
               "rollout of %s: %s, now %s at %d %%%s%s", service, update->what,
               rollout_state_name(entry->r.state), entry->r.weight,
               update->text[0] != '\0' ? ": " : "", update->text);
}

/* The latest of each service. */
static void rollouts_rows(void *arg, struct event_rows *rows, unsigned slice)
{
    struct rollouts *rollouts = arg;
    const struct rollouts_entry *entry;
    (void)slice;
    TAILQ_FOREACH (entry, &rollouts->entries, link) {
        const char *service = entry->r.targets[0].service;
        if (rollouts->active && rollouts_find(rollouts, service, false) == entry)
            event_rows_add(rows, service, rollouts_row(entry));
    }
}

static void rollouts_drop_old(struct rollouts *rollouts)
{
    struct rollouts_entry *entry = TAILQ_FIRST(&rollouts->entries);
    while (rollouts->past_n > ROLLOUTS_PAST_MAX && entry != NULL) {
        struct rollouts_entry *next = TAILQ_NEXT(entry, link);
        char key[128];
        if (entry->past && entry->writes == 0) {
            rollouts_key(entry, true, key);
            rollouts_delete(rollouts, key);
            rollouts_entry_free(entry);
        }
        entry = next;
    }
}

static void rollouts_write(struct rollouts_entry *entry, const struct rollout_update *update,
                           struct http_request *req)
{
    struct rollouts *rollouts = entry->rollouts;
    struct rollouts_write *write = mem_zalloc(sizeof *write);
    char key[128];
    write->rollouts = rollouts;
    write->entry = entry;
    write->epoch = rollouts->epoch;
    write->update = *update;
    write->req = req;
    entry->writes++;
    if (update->ended) {
        rollouts_key(entry, false, key);
        rollouts_delete(rollouts, key);
        entry->past = true;
        metric_series_add(metric_series(METRIC_ROLLOUTS_ENDED, rollout_state_name(entry->r.state)),
                          1);
        rollouts->active_n--;
        rollouts->past_n++;
    }
    rollouts_key(entry, entry->past, key);
    json_t *json = rollouts_json(entry);
    rollouts_put(rollouts, key, json, rollouts_on_written, write);
    json_decref(json);
    if (update->ended)
        rollouts_drop_old(rollouts);
}

int rollouts_step(struct rollouts_entry *entry, struct rollout_event event,
                  struct http_request *req, char text[ROLLOUT_TEXT_MAX])
{
    struct rollouts *rollouts = entry->rollouts;
    struct rollout_update update;
    event.wall_ms = loop_wall_ms(node_loop(rollouts->node));
    uuid_generate(&event.fresh);
    int err = rollout_step(&entry->r, &event, &update);
    if (text != NULL)
        memcpy(text, update.text, sizeof update.text);
    if (err < 0)
        return err;
    if (update.note) {
        rollouts_note(entry, &update, event.wall_ms);
        rollouts_tell(entry, &update);
    }
    if (update.next_ms == INT64_MAX) {
        loop_timer_stop(&entry->timer);
    } else {
        int64_t wait_ms = update.next_ms - event.wall_ms;
        loop_timer_start(&entry->timer, wait_ms > 0 ? wait_ms : 1);
    }
    if (update.changed || update.note || req != NULL)
        rollouts_write(entry, &update, req);
    else
        rollouts_perform(entry, &update);
    return 0;
}

/* ---- leading
 * --------------------------------------------------------------------------------------------------
 */

struct rollouts_load {
    struct rollouts *rollouts;
    uint64_t epoch;
    json_t *models;
    json_t *rows; /* of rollouts, past ones first */
};

static int rollouts_load_prefix(sqlite3 *db, const char *prefix, json_t *into)
{
    json_t *keys = NULL;
    int err = state_query_kv_list(db, prefix, 100000, &keys);
    size_t i;
    json_t *row;
    json_array_foreach(keys, i, row)
    {
        struct state_query_value value = {0};
        if (state_query_kv(db, json_string_value(json_object_get(row, "key")), &value) == 0) {
            json_t *json = json_loadb(value.data, value.len, 0, NULL);
            if (json != NULL)
                json_array_append_new(into, json);
        }
        free(value.data);
    }
    json_decref(keys);
    return err;
}

static int rollouts_load_query(sqlite3 *db, void *arg)
{
    struct rollouts_load *load = arg;
    load->models = json_array();
    load->rows = json_array();
    int err = rollouts_load_prefix(db, ROLLOUTS_MODEL_PREFIX, load->models);
    if (err == 0)
        err = rollouts_load_prefix(db, ROLLOUTS_PAST_PREFIX, load->rows);
    if (err == 0)
        err = rollouts_load_prefix(db, ROLLOUTS_ACTIVE_PREFIX, load->rows);
    return err;
}

static void rollouts_load_one(struct rollouts *rollouts, const json_t *json)
{
    struct rollout r;
    json_t *notes = NULL;
    if (rollouts_parse(json, &r, &notes) < 0) {
        log_error(&rollouts_log,
                  "a rollout in the replicated state cannot be read and is left out");
        return;
    }
    struct rollouts_entry *entry = rollouts_entry_new(rollouts, &r);
    json_decref(entry->notes);
    entry->notes = notes;
    if (rollout_is_ended(&r)) {
        entry->past = true;
        rollouts->active_n--;
        rollouts->past_n++;
    }
}

static void rollouts_on_loaded(void *arg, int code)
{
    struct rollouts_load *load = arg;
    struct rollouts *rollouts = load->rollouts;
    size_t i;
    json_t *json;
    if (code == 0 && load->epoch == rollouts->epoch && node_is_active(rollouts->node)) {
        json_array_foreach(load->models, i, json) rollouts_model_load(rollouts, json);
        json_array_foreach(load->rows, i, json) rollouts_load_one(rollouts, json);
        rollouts->active = true;
        struct rollouts_entry *entry;
        TAILQ_FOREACH (entry, &rollouts->entries, link) {
            if (!entry->past)
                (void)rollouts_step(entry, (struct rollout_event){.type = ROLLOUT_EVENT_RESTORED},
                                    NULL, NULL);
        }
    } else if (code < 0 && load->epoch == rollouts->epoch) {
        log_error(&rollouts_log, "cannot read the rollouts: %s", err_text(code));
    }
    json_decref(load->models);
    json_decref(load->rows);
    free(load);
}

void rollouts_activate(struct rollouts *rollouts)
{
    struct rollouts_load *load = mem_zalloc(sizeof *load);
    load->rollouts = rollouts;
    load->epoch = ++rollouts->epoch;
    state_read(node_replica(rollouts->node)->state, STATE_WEAK, rollouts_load_query,
               rollouts_on_loaded, load);
}

void rollouts_deactivate(struct rollouts *rollouts)
{
    struct rollouts_entry *entry;
    rollouts->active = false;
    rollouts->epoch++;
    while ((entry = TAILQ_FIRST(&rollouts->entries)) != NULL)
        rollouts_entry_free(entry);
    rollouts_models_clear(rollouts);
}

/* ---- life
 * ------------------------------------------------------------------------------------------------------
 */

struct rollouts *rollouts_new(struct participant *participant)
{
    struct rollouts *rollouts = mem_zalloc(sizeof *rollouts);
    rollouts->participant = participant;
    rollouts->node = participant->node;
    TAILQ_INIT(&rollouts->models);
    TAILQ_INIT(&rollouts->entries);
    events_add_source(
        rollouts->node,
        &(struct event_source){.table = "rollouts", .fn = rollouts_rows, .arg = rollouts});
    rollouts_model_add_routes(rollouts);
    rollouts_api_add_routes(rollouts);
    return rollouts;
}

void rollouts_stop(struct rollouts *rollouts)
{
    rollouts_deactivate(rollouts);
}

void rollouts_free(struct rollouts *rollouts)
{
    free(rollouts);
}
