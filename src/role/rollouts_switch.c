/* A rollout's switch is a transaction: it is begun with everybody who is there, its outcome becomes
 * an event of the rollout, and a new leader finds out what became of one that it did not begin. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/trace.h"
#include "role/rollouts_internal.h"
#include "role/routing_table.h"

static void rollouts_switched(struct rollouts_entry *entry, const struct uuid *txid, bool committed,
                              const char *text)
{
    (void)rollouts_step(
        entry,
        (struct rollout_event){
            .type = ROLLOUT_EVENT_SWITCHED, .txid = *txid, .committed = committed, .text = text},
        NULL, NULL);
}

static const char *rollouts_url_in(const struct routing_state *state, const char *model)
{
    if (state != NULL && strcmp(state->stable, model) == 0)
        return state->stable_url;
    return state != NULL && strcmp(state->canary, model) == 0 ? state->canary_url : NULL;
}

/* As it is registered; a model that is no more, as it is or was served. */
static int rollouts_set_url(const struct rollouts *rollouts, const char *model, char *url,
                            const struct routing_state *now, const struct routing_state *was,
                            char why[static TXN_TEXT_MAX])
{
    const struct rollouts_model *known = rollouts_model(rollouts, model);
    const char *from = known != NULL ? known->url : rollouts_url_in(now, model);
    if (from == NULL)
        from = rollouts_url_in(was, model);
    if (from == NULL && model[0] != '\0') {
        (void)snprintf(why, TXN_TEXT_MAX, "model %.64s is registered no more: model add makes it",
                       model);
        return ERR_NOT_FOUND;
    }
    (void)snprintf(url, ROUTING_URL_MAX, "%s", from != NULL ? from : "");
    return 0;
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

/* The version that a rollback goes to, if this node keeps it. */
static const struct routing_state *rollouts_was(const struct rollouts_entry *entry, size_t i,
                                                struct routing_state *was)
{
    const struct rollout_target *target = &entry->r.targets[i];
    const struct txn_item *item =
        target->to_version != 0
            ? txn_item(entry->rollouts->participant->txn, target->service, target->to_version)
            : NULL;
    return item != NULL && routing_decode(item->value, item->len, was) == 0 ? was : NULL;
}

static int rollouts_make_write(struct rollouts_entry *entry, size_t i, struct txn_write *write,
                               struct buf *value, char why[static TXN_TEXT_MAX])
{
    struct rollouts *rollouts = entry->rollouts;
    struct routing_state state;
    struct routing_state then;
    rollout_wanted(&entry->r, i, &state);
    const struct routing_state *now =
        routing_table_find(node_routing(rollouts->node), state.service);
    const struct routing_state *was = rollouts_was(entry, i, &then);
    write->key = entry->r.targets[i].service;
    write->base_version = txn_version(rollouts->participant->txn, write->key);
    state.version = write->base_version + 1;
    state.txid = entry->r.txid;
    int err = rollouts_set_url(rollouts, state.stable, state.stable_url, now, was, why);
    if (err == 0)
        err = rollouts_set_url(rollouts, state.canary, state.canary_url, now, was, why);
    if (err == 0)
        err = routing_check(&state, NULL, NULL, NULL);
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

void rollouts_begin(struct rollouts_entry *entry)
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
            err = rollouts_make_write(entry, i, &writes[i], &values[i], text);
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

/* ---- what became of an earlier leader's switch ---- */

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

void rollouts_settle(void *arg)
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
