/* Happy path: an event changes a rollout, the change is written to the replicated state, and when
 * it is durable the transaction begins, gates are asked, the operator is answered. These may step
 * the rollout again, so they wait for the end of the turn: no step runs inside another.
 *
 * How it fails: a lost lead drops everything here; the next leader reads what was written, and asks
 * the metadata group what became of a switch that was under way. */
#include "role/rollouts.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/trace.h"
#include "role/events.h"
#include "role/rollouts_internal.h"

static const struct log_about rollouts_log = {.role = "rollout"};

/* ---- entries ---- */

static void rollouts_on_timer(void *arg)
{
    (void)rollouts_step(arg, (struct rollout_event){.type = ROLLOUT_EVENT_TICK}, NULL, NULL);
}

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
    loop_hook_init(&entry->todo_hook, node_loop(rollouts->node), LOOP_PHASE_DEFER, rollouts_on_todo,
                   entry);
    TAILQ_INSERT_TAIL(&rollouts->entries, entry, link);
    rollouts->active_n++;
    return entry;
}

void rollouts_entry_free(struct rollouts_entry *entry)
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
    loop_hook_disarm(&entry->todo_hook);
    TAILQ_REMOVE(&rollouts->entries, entry, link);
    if (entry->past)
        rollouts->past_n--;
    else
        rollouts->active_n--;
    json_decref(entry->notes);
    trace_free(entry->span);
    free(entry);
}

const struct rollout_target *rollouts_target(const struct rollouts_entry *entry,
                                             const char *service)
{
    for (size_t i = 0; i < entry->r.targets_n; i++) {
        if (strcmp(entry->r.targets[i].service, service) == 0)
            return &entry->r.targets[i];
    }
    return NULL;
}

struct rollouts_entry *rollouts_find(const struct rollouts *rollouts, const char *service,
                                     bool active)
{
    struct rollouts_entry *entry;
    struct rollouts_entry *found = NULL;
    TAILQ_FOREACH (entry, &rollouts->entries, link) {
        if (rollouts_target(entry, service) != NULL && !(active && rollout_is_ended(&entry->r)))
            found = entry;
    }
    return found;
}

/* ---- what is told of them ---- */

/* {SERVICE: VERSION} that the transaction `txid` made, as far as this node has them; NULL: none. */
static json_t *rollouts_versions(const struct rollouts_entry *entry, const struct uuid *txid)
{
    const struct txn *txn = entry->rollouts->participant->txn;
    json_t *versions = json_object();
    for (size_t i = 0; i < entry->r.targets_n && txn != NULL; i++) {
        const char *service = entry->r.targets[i].service;
        const struct txn_item *item = txn_item(txn, service, 0);
        if (item != NULL && uuid_compare(&item->txid, txid) == 0)
            json_object_set_new(versions, service, json_integer((json_int_t)item->version));
    }
    if (json_object_size(versions) > 0)
        return versions;
    json_decref(versions);
    return NULL;
}

static void rollouts_note(struct rollouts_entry *entry, const struct rollout_update *update,
                          const struct rollout_event *event)
{
    int64_t wall_ms = event->wall_ms;
    json_t *note = json_pack("{s:I, s:s, s:s, s:s, s:s, s:i}", "at_ms", (json_int_t)wall_ms, "what",
                             update->what, "by", update->by, "text", update->text, "state",
                             rollout_state_name(entry->r.state), "weight", entry->r.weight);
    if (note == NULL)
        return;
    json_t *versions = event->committed ? rollouts_versions(entry, &event->txid) : NULL;
    if (versions != NULL)
        json_object_set_new(note, "versions", versions);
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

void rollouts_collect(const struct rollouts *rollouts)
{
    metric_clear(METRIC_ROLLOUTS);
    if (rollouts->active)
        metric_set(METRIC_ROLLOUTS, (double)rollouts->active_n);
}

/* ---- steps ---- */

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

void rollouts_perform(struct rollouts_entry *entry, const struct rollout_update *update)
{
    struct rollouts_todo *todo = &entry->todo;
    todo->settle = todo->settle || update->settle;
    todo->run |= update->run;
    todo->measure = todo->measure || update->measure;
    todo->begin = todo->begin || update->begin;
    if (todo->settle || todo->run != 0 || todo->measure || todo->begin)
        loop_hook_arm(&entry->todo_hook);
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
        rollouts_note(entry, &update, &event);
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

/* ---- leading ---- */

void rollouts_activate(struct rollouts *rollouts)
{
    rollouts_load(rollouts);
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

/* ---- life ---- */

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
