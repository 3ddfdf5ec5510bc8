/* A rollout as JSON: what is kept in the replicated state, and what users see. Times are
 * milliseconds where the next leader reads them, and RFC 3339 beside them for people. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/rollouts_internal.h"

/* ---- to JSON
 * -------------------------------------------------------------------------------------- */

static json_t *json_uuid(const struct uuid *id)
{
    char text[UUID_TEXT_MAX];
    return uuid_is_nil(id) ? json_null() : json_string(uuid_format(id, text));
}

json_t *rollouts_gate_json(const struct rollout_gate *gate)
{
    char *text = rollout_gate_format(gate);
    json_t *json = json_pack("{s:s, s:b, s:s, s:o, s:i, s:i, s:o}", "gate", text, "dry_run",
                             gate->dry_run, "verdict", rollout_verdict_name(gate->verdict), "value",
                             isnan(gate->value) ? json_null() : json_real(gate->value), "failures",
                             (int)gate->failures, "inconclusive", (int)gate->inconclusive, "text",
                             api_json_text(gate->text));
    free(text);
    return json;
}

static json_t *json_targets(const struct rollout *r)
{
    json_t *targets = json_array();
    for (size_t i = 0; i < r->targets_n; i++) {
        const struct rollout_target *target = &r->targets[i];
        json_array_append_new(
            targets,
            json_pack("{s:s, s:I, s:s, s:s, s:I, s:s, s:i}", "service", target->service,
                      "from_version", (json_int_t)target->from_version, "stable", target->stable,
                      "canary", target->canary, "to_version", (json_int_t)target->to_version,
                      "to_canary", target->to_canary, "to_weight", target->to_weight));
    }
    return targets;
}

static void json_set_int(json_t *json, const char *key, int64_t value)
{
    json_object_set_new(json, key, json_integer(value));
}

static void json_set_progress(json_t *json, const struct rollout *r)
{
    json_object_set_new(json, "state", json_string(rollout_state_name(r->state)));
    json_object_set_new(json, "resume_to", json_string(rollout_state_name(r->resume_to)));
    json_object_set_new(json, "hold", json_string(rollout_state_name(r->hold)));
    json_set_int(json, "step", (int64_t)r->step);
    json_set_int(json, "steps_n", (int64_t)r->steps_n);
    json_set_int(json, "weight", r->weight);
    json_object_set_new(json, "full", json_boolean(r->full));
    json_object_set_new(json, "changed_traffic", json_boolean(r->changed_traffic));
    json_object_set_new(json, "abort_wanted", json_boolean(r->abort_wanted));
    json_object_set_new(json, "txid", json_uuid(&r->txid));
    json_set_int(json, "tries", r->tries);
    json_set_int(json, "began_ms", r->began_ms);
    json_set_int(json, "since_ms", r->since_ms);
    json_set_int(json, "pause_left_ms", r->pause_left_ms);
    json_set_int(json, "retry_ms", r->retry_ms);
    json_set_int(json, "ended_ms", r->ended_ms);
    json_object_set_new(json, "began_at", api_json_time((uint64_t)r->began_ms));
    json_object_set_new(json, "since", api_json_time((uint64_t)r->since_ms));
    json_object_set_new(json, "ended_at", api_json_time((uint64_t)r->ended_ms));
    json_object_set_new(json, "text", api_json_text(r->text));
}

json_t *rollouts_json(const struct rollouts_entry *entry)
{
    const struct rollout *r = &entry->r;
    char *steps = rollout_steps_format(r);
    json_t *gates = json_array();
    for (size_t i = 0; i < r->gates_n; i++)
        json_array_append_new(gates, rollouts_gate_json(&r->gates[i]));
    json_t *json = json_pack(
        "{s:o, s:s, s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:I}", "id", json_uuid(&r->id), "kind",
        r->kind == ROLLOUT_KIND_ROLLBACK ? "rollback" : "canary", "service", r->targets[0].service,
        "model", r->targets[0].canary, "targets", json_targets(r), "gates", gates, "steps",
        r->kind == ROLLOUT_KIND_ROLLBACK ? "" : steps, "by", api_json_text(r->by), "reason",
        api_json_text(r->reason), "window_ms", (json_int_t)r->window_ms);
    json_set_int(json, "interval_ms", r->interval_ms);
    json_set_int(json, "deadline_ms", r->deadline_ms);
    json_set_int(json, "samples_min", (int64_t)r->samples_min);
    json_set_int(json, "failure_limit", r->failure_limit);
    json_set_int(json, "inconclusive_limit", r->inconclusive_limit);
    json_object_set_new(json, "no_data_passes", json_boolean(r->no_data_passes));
    json_object_set_new(json, "decide_by", json_string(r->by_peers ? "peers" : "metadata"));
    json_set_progress(json, r);
    json_set_int(json, "switch_us", entry->switch_us);
    json_object_set(json, "notes", entry->notes);
    free(steps);
    return json;
}

/* ---- from JSON
 * -------------------------------------------------------------------------------------- */

static void json_get_text(const json_t *json, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(json, key));
    (void)snprintf(out, size, "%s", text != NULL ? text : "");
}

static int64_t json_get_int(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

static enum rollout_state json_get_state(const json_t *json, const char *key)
{
    const char *name = json_string_value(json_object_get(json, key));
    int state = name != NULL ? rollout_state_parse(name) : (int)ERR_INVALID;
    return state < 0 ? ROLLOUT_STATE_NONE : (enum rollout_state)state;
}

static void json_get_uuid(const json_t *json, const char *key, struct uuid *id)
{
    const char *text = json_string_value(json_object_get(json, key));
    if (text == NULL || uuid_parse(text, id) < 0)
        *id = (struct uuid){{0}};
}

static int rollouts_parse_gates(const json_t *gates, struct rollout *r)
{
    size_t i;
    json_t *json;
    json_array_foreach(gates, i, json)
    {
        const char *text = json_string_value(json_object_get(json, "gate"));
        const char *verdict = json_string_value(json_object_get(json, "verdict"));
        const json_t *value = json_object_get(json, "value");
        if (i == ROLLOUT_GATES_MAX || text == NULL ||
            rollout_gate_parse(text, &r->gates[i], NULL) < 0)
            return ERR_CORRUPT;
        struct rollout_gate *gate = &r->gates[i];
        int parsed = verdict != NULL ? rollout_verdict_parse(verdict) : 0;
        gate->verdict = parsed > 0 ? (enum rollout_verdict)parsed : ROLLOUT_VERDICT_NONE;
        gate->failures = (unsigned)json_get_int(json, "failures");
        gate->inconclusive = (unsigned)json_get_int(json, "inconclusive");
        gate->value = json_is_number(value) ? json_number_value(value) : NAN;
        json_get_text(json, "text", gate->text, sizeof gate->text);
        r->gates_n = i + 1;
    }
    return 0;
}

static int rollouts_parse_targets(const json_t *targets, struct rollout *r)
{
    size_t i;
    json_t *json;
    json_array_foreach(targets, i, json)
    {
        if (i == ROLLOUT_TARGETS_MAX)
            return ERR_CORRUPT;
        struct rollout_target *target = &r->targets[i];
        json_get_text(json, "service", target->service, sizeof target->service);
        json_get_text(json, "stable", target->stable, sizeof target->stable);
        json_get_text(json, "canary", target->canary, sizeof target->canary);
        json_get_text(json, "to_canary", target->to_canary, sizeof target->to_canary);
        target->from_version = (uint64_t)json_get_int(json, "from_version");
        target->to_version = (uint64_t)json_get_int(json, "to_version");
        target->to_weight = (int)json_get_int(json, "to_weight");
        r->targets_n = i + 1;
    }
    return 0;
}

static void rollouts_parse_progress(const json_t *json, struct rollout *r)
{
    r->state = json_get_state(json, "state");
    r->resume_to = json_get_state(json, "resume_to");
    r->hold = json_get_state(json, "hold");
    r->step = (size_t)json_get_int(json, "step");
    r->weight = (int)json_get_int(json, "weight");
    r->full = json_is_true(json_object_get(json, "full"));
    r->changed_traffic = json_is_true(json_object_get(json, "changed_traffic"));
    r->abort_wanted = json_is_true(json_object_get(json, "abort_wanted"));
    json_get_uuid(json, "txid", &r->txid);
    r->tries = (unsigned)json_get_int(json, "tries");
    r->began_ms = json_get_int(json, "began_ms");
    r->since_ms = json_get_int(json, "since_ms");
    r->pause_left_ms = json_get_int(json, "pause_left_ms");
    r->retry_ms = json_get_int(json, "retry_ms");
    r->ended_ms = json_get_int(json, "ended_ms");
    json_get_text(json, "text", r->text, sizeof r->text);
}

int rollouts_parse(const json_t *json, struct rollout *r, json_t **notes)
{
    rollout_init(r);
    const char *kind = json_string_value(json_object_get(json, "kind"));
    const char *steps = json_string_value(json_object_get(json, "steps"));
    const char *decide_by = json_string_value(json_object_get(json, "decide_by"));
    if (kind == NULL || steps == NULL || decide_by == NULL)
        return ERR_CORRUPT;
    json_get_uuid(json, "id", &r->id);
    r->kind = strcmp(kind, "rollback") == 0 ? ROLLOUT_KIND_ROLLBACK : ROLLOUT_KIND_CANARY;
    r->by_peers = strcmp(decide_by, "peers") == 0;
    json_get_text(json, "by", r->by, sizeof r->by);
    json_get_text(json, "reason", r->reason, sizeof r->reason);
    r->window_ms = json_get_int(json, "window_ms");
    r->interval_ms = json_get_int(json, "interval_ms");
    r->deadline_ms = json_get_int(json, "deadline_ms");
    r->samples_min = (uint64_t)json_get_int(json, "samples_min");
    r->failure_limit = (unsigned)json_get_int(json, "failure_limit");
    r->inconclusive_limit = (unsigned)json_get_int(json, "inconclusive_limit");
    r->no_data_passes = json_is_true(json_object_get(json, "no_data_passes"));
    rollouts_parse_progress(json, r);
    if (r->kind == ROLLOUT_KIND_ROLLBACK)
        r->steps_n = 0;
    if ((r->kind == ROLLOUT_KIND_CANARY && rollout_steps_parse(steps, r, NULL) < 0) ||
        rollouts_parse_gates(json_object_get(json, "gates"), r) < 0 ||
        rollouts_parse_targets(json_object_get(json, "targets"), r) < 0 ||
        rollout_check(r, NULL) < 0 || r->step > r->steps_n || r->state == ROLLOUT_STATE_NONE)
        return ERR_CORRUPT;
    *notes = json_deep_copy(json_object_get(json, "notes"));
    if (!json_is_array(*notes)) {
        json_decref(*notes);
        *notes = json_array();
    }
    return 0;
}
