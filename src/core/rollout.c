/* Happy path: a step's switch is committed, its time passes while gates are measured, the next one
 * begins; after the last the canary is the stable model.
 *
 * Every change of the struct sets `changed`, and what it asks for happens only once it is durable,
 * so that a new leader finds the transaction's id before the transaction can exist. */
#include "core/rollout.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void rollout_text(char out[static ROLLOUT_TEXT_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void rollout_text(char out[static ROLLOUT_TEXT_MAX], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(out, ROLLOUT_TEXT_MAX, fmt, args);
    va_end(args);
}

void rollout_init(struct rollout *rollout)
{
    *rollout = (struct rollout){
        .steps = {{.weight = 5, .pause_ms = 60000},
                  {.weight = 25, .pause_ms = 60000},
                  {.weight = 50, .pause_ms = 60000},
                  {.weight = 100}},
        .steps_n = 4,
        .window_ms = ROLLOUT_WINDOW_MS,
        .interval_ms = ROLLOUT_INTERVAL_MS,
        .deadline_ms = ROLLOUT_DEADLINE_MS,
        .samples_min = ROLLOUT_SAMPLES_MIN,
    };
}

void rollout_again(const struct rollout *from, struct rollout *out)
{
    *out = (struct rollout){
        .id = from->id,
        .kind = from->kind,
        .targets_n = from->targets_n,
        .steps_n = from->steps_n,
        .gates_n = from->gates_n,
        .window_ms = from->window_ms,
        .interval_ms = from->interval_ms,
        .deadline_ms = from->deadline_ms,
        .samples_min = from->samples_min,
        .failure_limit = from->failure_limit,
        .inconclusive_limit = from->inconclusive_limit,
        .no_data_passes = from->no_data_passes,
        .by_peers = from->by_peers,
    };
    memcpy(out->targets, from->targets, sizeof out->targets);
    memcpy(out->steps, from->steps, sizeof out->steps);
    memcpy(out->gates, from->gates, sizeof out->gates);
    memcpy(out->by, from->by, sizeof out->by);
    memcpy(out->reason, from->reason, sizeof out->reason);
    for (size_t i = 0; i < out->gates_n; i++) {
        struct rollout_gate *gate = &out->gates[i];
        gate->verdict = ROLLOUT_VERDICT_NONE;
        gate->failures = gate->inconclusive = 0;
        gate->value = NAN;
        gate->text[0] = '\0';
    }
}

/* ---- moves
 * ----------------------------------------------------------------------------------------- */

static void rollout_set(struct rollout *rollout, enum rollout_state to, int64_t wall_ms,
                        const char *why, struct rollout_update *update)
{
    assert(rollout_allows(rollout->state, to));
    rollout->state = to;
    rollout->since_ms = wall_ms;
    if (why != rollout->text)
        rollout_text(rollout->text, "%s", why);
    if (rollout_is_ended(rollout)) {
        rollout->ended_ms = wall_ms;
        update->ended = true;
    }
    update->changed = true;
}

static void rollout_note(struct rollout_update *update, const char *what, const char *by,
                         const char *text)
{
    update->note = true;
    (void)snprintf(update->what, sizeof update->what, "%s", what);
    (void)snprintf(update->by, sizeof update->by, "%s", by != NULL && by[0] ? by : "clusterd");
    rollout_text(update->text, "%s", text != NULL ? text : "");
}

/* Whether the coming switch ends the rollout: nothing is to be watched at 100 %. */
static bool rollout_is_last(const struct rollout *rollout)
{
    const struct rollout_step *step = &rollout->steps[rollout->step];
    return rollout->step == rollout->steps_n ||
           (rollout->step + 1 == rollout->steps_n && !step->wait && step->pause_ms == 0);
}

/* A service that is new has no traffic to move in steps. */
static bool rollout_is_first(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->targets_n; i++) {
        if (rollout->targets[i].stable[0] != '\0')
            return false;
    }
    return true;
}

static void rollout_begin_switch(struct rollout *rollout, const struct rollout_event *event,
                                 struct rollout_update *update)
{
    rollout->txid = event->fresh;
    rollout->retry_ms = 0;
    rollout->tries++;
    update->begin = true;
    update->changed = true;
}

static void rollout_to_step(struct rollout *rollout, size_t step, const struct rollout_event *event,
                            const char *why, struct rollout_update *update)
{
    rollout->step = step;
    rollout->tries = 0;
    rollout_set(rollout, ROLLOUT_STATE_SWITCHING, event->wall_ms, why, update);
    rollout_begin_switch(rollout, event, update);
}

static void rollout_next(struct rollout *rollout, const struct rollout_event *event,
                         const char *why, struct rollout_update *update)
{
    rollout_to_step(rollout, rollout->full ? rollout->steps_n : rollout->step + 1, event, why,
                    update);
}

static void rollout_revert(struct rollout *rollout, const struct rollout_event *event,
                           const char *why, struct rollout_update *update)
{
    rollout->abort_wanted = false;
    rollout->tries = 0;
    if (rollout->changed_traffic) {
        rollout_set(rollout, ROLLOUT_STATE_REVERTING, event->wall_ms, why, update);
        rollout_begin_switch(rollout, event, update);
    } else {
        rollout_set(rollout, ROLLOUT_STATE_ABORTED, event->wall_ms, why, update);
    }
}

/* ---- what a switch makes
 * ---------------------------------------------------------------------------- */

static void rollout_gate_of(const struct rollout *rollout, const char *model,
                            struct routing_gate *gate)
{
    for (size_t i = 0; i < rollout->gates_n; i++) {
        const struct rollout_gate *from = &rollout->gates[i];
        if (from->dry_run)
            continue;
        if (from->kind == ROLLOUT_GATE_ERRORS)
            gate->errors_permille_max = from->limit > 0 ? (unsigned)from->limit : 1;
        else if (from->kind == ROLLOUT_GATE_LATENCY && from->permille == 950)
            gate->p95_us_max = from->limit;
        else
            continue;
        (void)snprintf(gate->model, sizeof gate->model, "%s", model);
        gate->samples_min = rollout->samples_min;
    }
}

static int rollout_wanted_weight(const struct rollout *rollout)
{
    if (rollout->state == ROLLOUT_STATE_REVERTING)
        return 0;
    return rollout->step < rollout->steps_n ? rollout->steps[rollout->step].weight : 100;
}

void rollout_wanted(const struct rollout *rollout, size_t i, struct routing_state *state)
{
    const struct rollout_target *target = &rollout->targets[i];
    *state = (struct routing_state){.stable_weight = 100};
    (void)snprintf(state->service, sizeof state->service, "%s", target->service);
    (void)snprintf(state->by, sizeof state->by, "%s", rollout->by);
    (void)snprintf(state->reason, sizeof state->reason, "%s", rollout->text);
    const char *stable = target->canary;
    if (rollout->kind == ROLLOUT_KIND_ROLLBACK) {
        (void)snprintf(state->canary, sizeof state->canary, "%s", target->to_canary);
        state->canary_weight = target->to_weight;
    } else if (rollout->state == ROLLOUT_STATE_REVERTING) {
        stable = target->stable[0] != '\0' ? target->stable : target->canary;
    } else if (!rollout_is_last(rollout) && target->stable[0] != '\0') {
        stable = target->stable;
        state->canary_weight = rollout_wanted_weight(rollout);
        (void)snprintf(state->canary, sizeof state->canary, "%s", target->canary);
    }
    state->stable_weight = 100 - state->canary_weight;
    (void)snprintf(state->stable, sizeof state->stable, "%s", stable);
    if (rollout->kind == ROLLOUT_KIND_CANARY && rollout->state == ROLLOUT_STATE_SWITCHING &&
        rollout->changed_traffic && !rollout->full)
        rollout_gate_of(rollout, target->canary, &state->gate);
}

/* ---- the switch's outcome
 * ---------------------------------------------------------------------------- */

static void rollout_arrive(struct rollout *rollout, const struct rollout_event *event,
                           struct rollout_update *update)
{
    const struct rollout_step *step = &rollout->steps[rollout->step];
    char why[ROLLOUT_TEXT_MAX];
    rollout->weight = step->weight;
    for (size_t i = 0; i < rollout->gates_n; i++) {
        struct rollout_gate *gate = &rollout->gates[i];
        gate->verdict = ROLLOUT_VERDICT_NONE;
        gate->failures = gate->inconclusive = 0;
    }
    rollout->measure_ms = event->wall_ms + rollout->interval_ms;
    rollout_text(why, "%d %% of the traffic are on the canary", step->weight);
    enum rollout_state to = step->wait ? ROLLOUT_STATE_WAITING : ROLLOUT_STATE_WATCHING;
    if (rollout->hold != ROLLOUT_STATE_NONE) {
        rollout->resume_to = to;
        rollout->pause_left_ms = step->pause_ms;
        to = rollout->hold;
        rollout->hold = ROLLOUT_STATE_NONE;
    }
    rollout_set(rollout, to, event->wall_ms, why, update);
    rollout_note(update, "step", NULL, why);
}

static void rollout_switched(struct rollout *rollout, const struct rollout_event *event,
                             struct rollout_update *update)
{
    rollout->changed_traffic = true;
    if (rollout->state == ROLLOUT_STATE_REVERTING) {
        rollout->weight = 0;
        rollout_set(rollout, ROLLOUT_STATE_ABORTED, event->wall_ms, rollout->text, update);
        rollout_note(update, "aborted", NULL, rollout->text);
    } else if (rollout->kind == ROLLOUT_KIND_ROLLBACK) {
        rollout->weight = 100 - rollout->targets[0].to_weight;
        rollout_text(rollout->text, "version %llu is back",
                     (unsigned long long)rollout->targets[0].to_version);
        rollout_set(rollout, ROLLOUT_STATE_ROLLED_BACK, event->wall_ms, rollout->text, update);
        rollout_note(update, "rolled_back", rollout->by, rollout->text);
    } else if (rollout->abort_wanted && !rollout_is_first(rollout)) {
        rollout->weight = rollout_wanted_weight(rollout);
        rollout_revert(rollout, event, rollout->text, update);
    } else if (rollout_is_last(rollout) || rollout_is_first(rollout)) {
        rollout->weight = 100;
        rollout_set(rollout, ROLLOUT_STATE_PROMOTED, event->wall_ms,
                    "the canary is the stable model now", update);
        rollout_note(update, "promoted", NULL, rollout->text);
    } else {
        rollout_arrive(rollout, event, update);
    }
}

static int64_t rollout_backoff_ms(unsigned tries)
{
    return ROLLOUT_RETRY_MS * (INT64_C(1) << (tries < 5 ? tries : 5));
}

static void rollout_not_switched(struct rollout *rollout, const struct rollout_event *event,
                                 struct rollout_update *update)
{
    char why[ROLLOUT_TEXT_MAX];
    rollout_text(why, "the switch was not made: %s", event->text != NULL ? event->text : "");
    update->changed = true;
    bool tired = rollout->kind == ROLLOUT_KIND_CANARY && rollout->hold == ROLLOUT_STATE_NONE &&
                 rollout->tries >= ROLLOUT_SWITCH_TRIES;
    if (rollout->state != ROLLOUT_STATE_REVERTING && (rollout->abort_wanted || tired)) {
        rollout_revert(rollout, event, rollout->abort_wanted ? rollout->text : why, update);
        rollout_note(update, "abort", NULL, rollout->text);
        return;
    }
    if (rollout->state != ROLLOUT_STATE_REVERTING)
        rollout_text(rollout->text, "%s", why);
    rollout->retry_ms = event->wall_ms + rollout_backoff_ms(rollout->tries);
}

static void rollout_outcome(struct rollout *rollout, const struct rollout_event *event,
                            struct rollout_update *update)
{
    if (uuid_is_nil(&rollout->txid) || uuid_compare(&rollout->txid, &event->txid) != 0)
        return;
    rollout->txid = (struct uuid){{0}};
    if (event->committed)
        rollout_switched(rollout, event, update);
    else
        rollout_not_switched(rollout, event, update);
}

/* ---- gates
 * -------------------------------------------------------------------------------------------- */

static bool rollout_is_measured(const struct rollout *rollout)
{
    return rollout->gates_n > 0 &&
           (rollout->state == ROLLOUT_STATE_WATCHING || rollout->state == ROLLOUT_STATE_WAITING ||
            rollout->state == ROLLOUT_STATE_PAUSED || rollout->state == ROLLOUT_STATE_FROZEN);
}

static void rollout_hold(struct rollout *rollout, enum rollout_state to, int64_t wall_ms,
                         const char *why, struct rollout_update *update);

static void rollout_verdict(struct rollout *rollout, struct rollout_gate *gate,
                            const struct rollout_event *event, enum rollout_verdict verdict,
                            struct rollout_update *update)
{
    char why[ROLLOUT_TEXT_MAX];
    char *name = rollout_gate_format(gate);
    rollout_text(why, "gate %.80s: %.150s", name, gate->text);
    free(name);
    gate->verdict = verdict;
    gate->failures += verdict == ROLLOUT_VERDICT_FAIL;
    gate->inconclusive = verdict == ROLLOUT_VERDICT_INCONCLUSIVE ? gate->inconclusive + 1 : 0;
    update->changed = true;
    if (gate->dry_run || rollout->state == ROLLOUT_STATE_FROZEN || !rollout_is_measured(rollout))
        return;
    if (gate->failures > rollout->failure_limit) {
        rollout_revert(rollout, event, why, update);
        rollout_note(update, "abort", NULL, why);
    } else if (rollout->inconclusive_limit > 0 &&
               gate->inconclusive > rollout->inconclusive_limit &&
               rollout->state != ROLLOUT_STATE_PAUSED) {
        rollout_hold(rollout, ROLLOUT_STATE_PAUSED, event->wall_ms, why, update);
        rollout_note(update, "pause", NULL, why);
    }
}

/* The worst of all targets counts. */
static enum rollout_verdict rollout_metric(const struct rollout *rollout, struct rollout_gate *gate,
                                           const struct health *health)
{
    enum rollout_verdict worst = ROLLOUT_VERDICT_PASS;
    bool errors = gate->kind == ROLLOUT_GATE_ERRORS;
    gate->value = NAN;
    for (size_t i = 0; i < rollout->targets_n && worst != ROLLOUT_VERDICT_FAIL; i++) {
        if (health[i].requests < rollout->samples_min || health[i].requests == 0) {
            rollout_text(gate->text, "%llu requests of %s in the window, %llu are needed",
                         (unsigned long long)health[i].requests, rollout->targets[i].canary,
                         (unsigned long long)rollout->samples_min);
            if (!rollout->no_data_passes)
                worst = ROLLOUT_VERDICT_INCONCLUSIVE;
            continue;
        }
        uint64_t value = errors ? health_errors_permille(&health[i])
                                : health_percentile_us(&health[i], gate->permille);
        gate->value = errors ? (double)value / 10 : (double)value / 1000;
        rollout_text(gate->text, errors ? "%g %% errors of %s" : "%g ms of %s", gate->value,
                     rollout->targets[i].canary);
        if (value > gate->limit)
            worst = ROLLOUT_VERDICT_FAIL;
    }
    return worst;
}

static void rollout_sample(struct rollout *rollout, const struct rollout_event *event,
                           struct rollout_update *update)
{
    for (size_t i = 0; i < rollout->gates_n && rollout_is_measured(rollout); i++) {
        struct rollout_gate *gate = &rollout->gates[i];
        if (gate->kind != ROLLOUT_GATE_ERRORS && gate->kind != ROLLOUT_GATE_LATENCY)
            continue;
        enum rollout_verdict verdict = rollout_metric(rollout, gate, event->health);
        rollout_verdict(rollout, gate, event, verdict, update);
    }
}

static void rollout_external(struct rollout *rollout, const struct rollout_event *event,
                             struct rollout_update *update)
{
    if (event->gate >= rollout->gates_n || !rollout_is_measured(rollout))
        return;
    struct rollout_gate *gate = &rollout->gates[event->gate];
    if (gate->kind != ROLLOUT_GATE_HTTP && gate->kind != ROLLOUT_GATE_COMMAND)
        return;
    gate->value = event->value;
    rollout_text(gate->text, "%s", event->text != NULL ? event->text : "");
    rollout_verdict(rollout, gate, event, event->verdict, update);
}

static void rollout_measure(struct rollout *rollout, const struct rollout_event *event,
                            struct rollout_update *update)
{
    if (!rollout_is_measured(rollout) || event->wall_ms < rollout->measure_ms)
        return;
    rollout->measure_ms = event->wall_ms + rollout->interval_ms;
    for (size_t i = 0; i < rollout->gates_n; i++) {
        if (rollout->gates[i].kind == ROLLOUT_GATE_HTTP ||
            rollout->gates[i].kind == ROLLOUT_GATE_COMMAND)
            update->run |= UINT32_C(1) << i;
        else
            update->measure = true;
    }
}

/* ---- time
 * ---------------------------------------------------------------------------------------------- */

static bool rollout_gates_pass(const struct rollout *rollout)
{
    for (size_t i = 0; i < rollout->gates_n; i++) {
        if (!rollout->gates[i].dry_run && rollout->gates[i].verdict != ROLLOUT_VERDICT_PASS)
            return false;
    }
    return true;
}

static int64_t rollout_pause_end_ms(const struct rollout *rollout)
{
    return rollout->since_ms + rollout->steps[rollout->step].pause_ms;
}

static void rollout_tick(struct rollout *rollout, const struct rollout_event *event,
                         struct rollout_update *update)
{
    if (rollout->retry_ms != 0 && event->wall_ms >= rollout->retry_ms)
        rollout_begin_switch(rollout, event, update);
    rollout_measure(rollout, event, update);
    if (rollout->state != ROLLOUT_STATE_WATCHING || event->wall_ms < rollout_pause_end_ms(rollout))
        return;
    if (rollout_gates_pass(rollout)) {
        rollout_next(rollout, event, "its time is over and the gates pass", update);
    } else if (event->wall_ms >= rollout_pause_end_ms(rollout) + rollout->deadline_ms) {
        char why[ROLLOUT_TEXT_MAX];
        rollout_text(why, "no progress within %lld s of the step's pause: not every gate passes",
                     (long long)rollout->deadline_ms / 1000);
        rollout_revert(rollout, event, why, update);
        rollout_note(update, "abort", NULL, why);
    }
}

static int64_t rollout_next_ms(const struct rollout *rollout)
{
    int64_t next_ms = INT64_MAX;
    if (rollout->retry_ms != 0)
        next_ms = rollout->retry_ms;
    if (rollout_is_measured(rollout) && rollout->measure_ms < next_ms)
        next_ms = rollout->measure_ms;
    if (rollout->state == ROLLOUT_STATE_WATCHING) {
        int64_t end_ms = rollout_pause_end_ms(rollout);
        if (!rollout_gates_pass(rollout) && end_ms < rollout->measure_ms)
            end_ms = rollout->measure_ms;
        if (end_ms < next_ms)
            next_ms = end_ms;
    }
    return next_ms;
}

/* ---- operators
 * ------------------------------------------------------------------------------------------- */

static void rollout_hold(struct rollout *rollout, enum rollout_state to, int64_t wall_ms,
                         const char *why, struct rollout_update *update)
{
    if (rollout->state == ROLLOUT_STATE_WATCHING || rollout->state == ROLLOUT_STATE_WAITING) {
        int64_t left_ms = rollout_pause_end_ms(rollout) - wall_ms;
        rollout->resume_to = rollout->state;
        rollout->pause_left_ms = left_ms > 0 ? left_ms : 0;
    }
    rollout_set(rollout, to, wall_ms, why, update);
}

static int rollout_refuse(const struct rollout *rollout, struct rollout_update *update,
                          const char *what, const char *hint)
{
    *update = (struct rollout_update){.next_ms = rollout_next_ms(rollout)};
    rollout_text(update->text, "the rollout is %s and cannot be %s%s%s",
                 rollout_state_name(rollout->state), what, hint != NULL ? ": " : "",
                 hint != NULL ? hint : "");
    return ERR_CONFLICT;
}

static const char *rollout_hint(const struct rollout *rollout)
{
    if (rollout_is_ended(rollout))
        return "rollout start begins another";
    if (rollout->state == ROLLOUT_STATE_REVERTING)
        return "it is being taken back";
    if (rollout->state == ROLLOUT_STATE_SWITCHING)
        return "a step is being taken, try again when it is; abort still takes all back";
    return rollout->state == ROLLOUT_STATE_FROZEN ? "resume it first" : NULL;
}

static int rollout_promote(struct rollout *rollout, const struct rollout_event *event,
                           struct rollout_update *update)
{
    if (rollout->state != ROLLOUT_STATE_WATCHING && rollout->state != ROLLOUT_STATE_WAITING &&
        rollout->state != ROLLOUT_STATE_PAUSED)
        return rollout_refuse(rollout, update, "promoted", rollout_hint(rollout));
    rollout->full = rollout->full || event->full;
    rollout_next(rollout, event, "promoted by an operator", update);
    rollout_note(update, event->full ? "promote full" : "promote", event->by, event->text);
    return 0;
}

static int rollout_stop(struct rollout *rollout, const struct rollout_event *event,
                        struct rollout_update *update)
{
    bool freeze = event->type == ROLLOUT_EVENT_FREEZE;
    enum rollout_state to = freeze ? ROLLOUT_STATE_FROZEN : ROLLOUT_STATE_PAUSED;
    char why[ROLLOUT_TEXT_MAX];
    rollout_text(why, "%s by %.60s: %.150s", freeze ? "frozen" : "paused",
                 event->by != NULL ? event->by : "an operator",
                 event->text != NULL && event->text[0] ? event->text : "no reason given");
    if (rollout->kind == ROLLOUT_KIND_CANARY && rollout->state == ROLLOUT_STATE_SWITCHING) {
        rollout->hold = to;
        update->changed = true;
    } else if (rollout_allows(rollout->state, to)) {
        rollout_hold(rollout, to, event->wall_ms, why, update);
    } else {
        return rollout_refuse(rollout, update, freeze ? "frozen" : "paused", rollout_hint(rollout));
    }
    rollout_note(update, freeze ? "freeze" : "pause", event->by, event->text);
    return 0;
}

static int rollout_resume(struct rollout *rollout, const struct rollout_event *event,
                          struct rollout_update *update)
{
    if (rollout->state == ROLLOUT_STATE_SWITCHING && rollout->hold != ROLLOUT_STATE_NONE) {
        rollout->hold = ROLLOUT_STATE_NONE;
        update->changed = true;
    } else if (rollout->state == ROLLOUT_STATE_PAUSED || rollout->state == ROLLOUT_STATE_FROZEN) {
        rollout_set(rollout, rollout->resume_to, event->wall_ms, "resumed", update);
        /* as if it had begun so long ago that the rest of the pause is left */
        rollout->since_ms -= rollout->steps[rollout->step].pause_ms - rollout->pause_left_ms;
        for (size_t i = 0; i < rollout->gates_n; i++)
            rollout->gates[i].failures = rollout->gates[i].inconclusive = 0;
        rollout->measure_ms = event->wall_ms + rollout->interval_ms;
    } else {
        return rollout_refuse(rollout, update, "resumed", "it is neither paused nor frozen");
    }
    rollout_note(update, "resume", event->by, event->text);
    return 0;
}

static int rollout_abort(struct rollout *rollout, const struct rollout_event *event,
                         struct rollout_update *update)
{
    char why[ROLLOUT_TEXT_MAX];
    if (rollout_is_ended(rollout) || rollout->state == ROLLOUT_STATE_REVERTING)
        return rollout_refuse(rollout, update, "aborted", rollout_hint(rollout));
    rollout_text(why, "aborted by %.60s: %.150s", event->by != NULL ? event->by : "an operator",
                 event->text != NULL && event->text[0] ? event->text : "no reason given");
    if (rollout->state == ROLLOUT_STATE_SWITCHING && !uuid_is_nil(&rollout->txid)) {
        rollout->abort_wanted = true;
        rollout_text(rollout->text, "%s", why);
        update->changed = true;
    } else {
        rollout->retry_ms = 0;
        rollout_revert(rollout, event, why, update);
    }
    rollout_note(update, "abort", event->by, event->text);
    return 0;
}

static int rollout_supersede(struct rollout *rollout, const struct rollout_event *event,
                             struct rollout_update *update)
{
    if (rollout_is_ended(rollout))
        return rollout_refuse(rollout, update, "replaced", NULL);
    rollout->txid = (struct uuid){{0}};
    rollout->retry_ms = 0;
    rollout_set(rollout, ROLLOUT_STATE_ABORTED, event->wall_ms, "a rollback took its place",
                update);
    rollout_note(update, "superseded", event->by, event->text);
    return 0;
}

/* ---- events
 * -----------------------------------------------------------------------------------------------
 */

static void rollout_start(struct rollout *rollout, const struct rollout_event *event,
                          struct rollout_update *update)
{
    rollout->began_ms = event->wall_ms;
    size_t step =
        rollout->kind == ROLLOUT_KIND_ROLLBACK || rollout_is_first(rollout) ? rollout->steps_n : 0;
    rollout_to_step(rollout, step, event, rollout->reason, update);
    rollout_note(update, rollout->kind == ROLLOUT_KIND_ROLLBACK ? "rollback" : "start", rollout->by,
                 rollout->reason);
}

static void rollout_not_after(int64_t *at_ms, int64_t latest_ms, struct rollout_update *update)
{
    if (*at_ms > latest_ms) {
        *at_ms = latest_ms;
        update->changed = true;
    }
}

/* Clocks of leaders differ: whatever this one waits for is no further ahead than it would be if it
 * began to wait now. */
static void rollout_restored(struct rollout *rollout, const struct rollout_event *event,
                             struct rollout_update *update)
{
    update->settle = !uuid_is_nil(&rollout->txid);
    rollout_not_after(&rollout->since_ms, event->wall_ms, update);
    rollout_not_after(&rollout->measure_ms, event->wall_ms + rollout->interval_ms, update);
    rollout_not_after(&rollout->retry_ms, event->wall_ms + rollout_backoff_ms(rollout->tries),
                      update);
}

static int rollout_dispatch(struct rollout *rollout, const struct rollout_event *event,
                            struct rollout_update *update)
{
    switch (event->type) {
    case ROLLOUT_EVENT_START:
        rollout_start(rollout, event, update);
        return 0;
    case ROLLOUT_EVENT_SWITCHED:
        rollout_outcome(rollout, event, update);
        return 0;
    case ROLLOUT_EVENT_SAMPLE:
        rollout_sample(rollout, event, update);
        return 0;
    case ROLLOUT_EVENT_GATE:
        rollout_external(rollout, event, update);
        return 0;
    case ROLLOUT_EVENT_PROMOTE:
        return rollout_promote(rollout, event, update);
    case ROLLOUT_EVENT_PAUSE:
    case ROLLOUT_EVENT_FREEZE:
        return rollout_stop(rollout, event, update);
    case ROLLOUT_EVENT_RESUME:
        return rollout_resume(rollout, event, update);
    case ROLLOUT_EVENT_ABORT:
        return rollout_abort(rollout, event, update);
    case ROLLOUT_EVENT_SUPERSEDE:
        return rollout_supersede(rollout, event, update);
    case ROLLOUT_EVENT_RESTORED:
        rollout_restored(rollout, event, update);
        return 0;
    case ROLLOUT_EVENT_TICK:
        return 0;
    }
    return 0;
}

int rollout_step(struct rollout *rollout, const struct rollout_event *event,
                 struct rollout_update *update)
{
    *update = (struct rollout_update){0};
    int err = rollout_dispatch(rollout, event, update);
    if (err < 0)
        return err;
    if (event->type != ROLLOUT_EVENT_START && !update->begin && !rollout_is_ended(rollout))
        rollout_tick(rollout, event, update);
    update->next_ms = rollout_is_ended(rollout) ? INT64_MAX : rollout_next_ms(rollout);
    return 0;
}
