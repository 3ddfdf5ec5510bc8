#include "role/rollouts_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "role/routing_table.h"
#include "run/proxy.h"

static int spec_keys(const json_t *body, const char *const *known, size_t n, struct error *e)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < n; i++)
            found = found || strcmp(known[i], key) == 0;
        if (!found)
            return error_set(e, ERR_INVALID, "unknown key \"%.64s\" in the body", key);
    }
    return 0;
}

static int spec_bool(const json_t *body, const char *key, bool *out, struct error *e)
{
    const json_t *value = json_object_get(body, key);
    if (value == NULL)
        return 0;
    if (!json_is_boolean(value))
        return error_set(e, ERR_INVALID, "\"%s\" is true or false", key);
    *out = json_is_true(value);
    return 0;
}

static int spec_text(const json_t *body, const char *key, char *out, size_t size, struct error *e)
{
    const json_t *value = json_object_get(body, key);
    if (value == NULL)
        return 0;
    if (!json_is_string(value) || json_string_length(value) >= size ||
        strlen(json_string_value(value)) != json_string_length(value))
        return error_set(e, ERR_INVALID, "\"%s\" is a text of at most %zu bytes", key, size - 1);
    (void)snprintf(out, size, "%s", json_string_value(value));
    return 0;
}

static int spec_int(const json_t *body, const char *key, int64_t max, int64_t *out, struct error *e)
{
    const json_t *value = json_object_get(body, key);
    if (value == NULL)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
        return error_set(e, ERR_INVALID, "\"%s\" is a number from 0 to %lld", key, (long long)max);
    *out = json_integer_value(value);
    return 0;
}

/* ---- targets
 * ------------------------------------------------------------------------------------------ */

/* Whether a node serves one more besides those that the rollout begins already. */
static bool spec_has_room(const struct rollouts *rollouts, const struct rollout *r)
{
    size_t n = r->targets_n;
    for (size_t i = 0; i < r->targets_n; i++)
        n -= r->targets[i].stable[0] != '\0';
    return routing_table_at(node_routing(rollouts->node), PROXY_SERVICES_MAX - 1 - n) == NULL;
}

static int spec_target(const struct rollouts *rollouts, struct rollout *r, const char *service,
                       const char *model, struct error *e)
{
    if (r->targets_n == ROLLOUT_TARGETS_MAX)
        return error_set(e, ERR_INVALID, "a rollout changes at most %d services",
                         ROLLOUT_TARGETS_MAX);
    if (!str_is_name(service, ROUTING_NAME_MAX))
        return error_set(e, ERR_INVALID,
                         "a service is named by 1 to %d letters, digits, '-', "
                         "'_' or '.'",
                         ROUTING_NAME_MAX);
    if (rollouts_model(rollouts, model) == NULL)
        return error_set(e, ERR_NOT_FOUND,
                         "no model is called %.64s: model list shows them, model add makes one",
                         model);
    const struct rollouts_entry *active = rollouts_find(rollouts, service, true);
    if (active != NULL)
        return error_set(e, ERR_CONFLICT,
                         "%s has a rollout already, to %s, which is %s: promote, abort or roll it "
                         "back first",
                         service, active->r.targets[0].canary, rollout_state_name(active->r.state));
    const struct routing_state *now = routing_table_find(node_routing(rollouts->node), service);
    if (now == NULL && !spec_has_room(rollouts, r))
        return error_set(e, ERR_TOO_LARGE,
                         "%d services are served already, which is all that a node serves: roll "
                         "the model out to one of them",
                         PROXY_SERVICES_MAX);
    struct rollout_target *target = &r->targets[r->targets_n++];
    (void)snprintf(target->service, sizeof target->service, "%s", service);
    (void)snprintf(target->canary, sizeof target->canary, "%s", model);
    if (now != NULL) {
        (void)snprintf(target->stable, sizeof target->stable, "%s", now->stable);
        target->from_version = now->version;
    }
    return 0;
}

static int spec_targets(const struct rollouts *rollouts, const char *service, const json_t *body,
                        struct rollout *r, struct error *e)
{
    const char *model = json_string_value(json_object_get(body, "model"));
    const json_t *also = json_object_get(body, "also");
    if (model == NULL)
        return error_set(e, ERR_INVALID, "\"model\" names the model to roll out");
    int err = spec_target(rollouts, r, service, model, e);
    const char *other;
    json_t *value;
    if (also != NULL && !json_is_object(also))
        return error_set(e, ERR_INVALID, "\"also\" is {\"SERVICE\":\"MODEL\", …}");
    json_object_foreach((json_t *)(uintptr_t)also, other, value)
    {
        if (err == 0 && !json_is_string(value))
            err = error_set(e, ERR_INVALID, "\"also\" is {\"SERVICE\":\"MODEL\", …}");
        if (err == 0)
            err = spec_target(rollouts, r, other, json_string_value(value), e);
    }
    return err;
}

/* ---- the plan
 * ------------------------------------------------------------------------------------------ */

/* "weights" in place of steps: one step, {"stable":90,"canary":10}, that stays until promote. */
static int spec_weights(const json_t *weights, struct rollout *r, struct error *e)
{
    const json_t *stable = json_object_get(weights, "stable");
    const json_t *canary = json_object_get(weights, "canary");
    if (!json_is_integer(stable) || !json_is_integer(canary))
        return error_set(e, ERR_INVALID, "\"weights\" is {\"stable\":90,\"canary\":10}");
    json_int_t of_stable = json_integer_value(stable);
    json_int_t of_canary = json_integer_value(canary);
    if (of_canary > 100)
        return error_set(e, ERR_INVALID, "weights are percentages, 0 to 100; %lld is more",
                         (long long)of_canary);
    if (of_stable < 0 || of_canary < 0)
        return error_set(e, ERR_INVALID, "weights are percentages, 0 to 100; %lld is negative",
                         (long long)(of_stable < 0 ? of_stable : of_canary));
    if (of_stable > 100 || of_canary > 100 || of_stable + of_canary != 100)
        return error_set(e, ERR_INVALID, "weights sum to 100; %lld and %lld don't",
                         (long long)of_stable, (long long)of_canary);
    if (of_canary == 0)
        return error_set(e, ERR_INVALID, "a canary without traffic is no rollout: at least 1 %%");
    r->steps_n = 0;
    if (of_canary < 100)
        r->steps[r->steps_n++] = (struct rollout_step){.weight = (int)of_canary, .wait = true};
    r->steps[r->steps_n++] = (struct rollout_step){.weight = 100};
    return 0;
}

static int spec_plan(const json_t *body, struct rollout *r, struct error *e)
{
    const json_t *steps = json_object_get(body, "steps");
    const json_t *weights = json_object_get(body, "weights");
    if (steps != NULL && weights != NULL)
        return error_set(e, ERR_INVALID, "give steps or weights, not both");
    if (weights != NULL)
        return spec_weights(weights, r, e);
    if (steps == NULL)
        return 0;
    if (!json_is_string(steps))
        return error_set(e, ERR_INVALID, "\"steps\" is a text: \"5:1m,25:10m,50:wait,100\"");
    return rollout_steps_parse(json_string_value(steps), r, e);
}

static int spec_gates(const json_t *body, struct rollout *r, struct error *e)
{
    const json_t *gates = json_object_get(body, "gates");
    size_t i;
    json_t *gate;
    if (gates != NULL && !json_is_array(gates))
        return error_set(e, ERR_INVALID, "\"gates\" is an array of texts: [\"errors<=1%%\"]");
    if (json_array_size(gates) > ROLLOUT_GATES_MAX)
        return error_set(e, ERR_TOO_LARGE, "a rollout has at most %d gates", ROLLOUT_GATES_MAX);
    json_array_foreach(gates, i, gate)
    {
        if (!json_is_string(gate))
            return error_set(e, ERR_INVALID, "a gate is a text: \"errors<=1%%\"");
        int err = rollout_gate_parse(json_string_value(gate), &r->gates[i], e);
        if (err < 0)
            return err;
        r->gates_n = i + 1;
    }
    return 0;
}

static int spec_limits(const json_t *body, struct rollout *r, struct error *e)
{
    int64_t samples_min = (int64_t)r->samples_min;
    int64_t failures = 0;
    int64_t inconclusive = 0;
    char no_data[16] = "inconclusive";
    char decide_by[16] = "metadata";
    int err = spec_int(body, "window_ms", 600000, &r->window_ms, e);
    if (err == 0)
        err = spec_int(body, "interval_ms", 600000, &r->interval_ms, e);
    if (err == 0)
        err = spec_int(body, "deadline_ms", INT64_C(30) * 86400000, &r->deadline_ms, e);
    if (err == 0)
        err = spec_int(body, "samples_min", 1000000000, &samples_min, e);
    if (err == 0)
        err = spec_int(body, "failure_limit", 1000000, &failures, e);
    if (err == 0)
        err = spec_int(body, "inconclusive_limit", 1000000, &inconclusive, e);
    if (err == 0)
        err = spec_text(body, "no_data", no_data, sizeof no_data, e);
    if (err == 0)
        err = spec_text(body, "decide_by", decide_by, sizeof decide_by, e);
    if (err < 0)
        return err;
    if (strcmp(no_data, "inconclusive") != 0 && strcmp(no_data, "pass") != 0)
        return error_set(e, ERR_INVALID, "\"no_data\" is inconclusive or pass");
    if (strcmp(decide_by, "metadata") != 0 && strcmp(decide_by, "peers") != 0)
        return error_set(e, ERR_INVALID, "\"decide_by\" is metadata or peers");
    r->samples_min = (uint64_t)samples_min;
    r->failure_limit = (unsigned)failures;
    r->inconclusive_limit = (unsigned)inconclusive;
    r->no_data_passes = strcmp(no_data, "pass") == 0;
    r->by_peers = strcmp(decide_by, "peers") == 0;
    return 0;
}

int rollouts_spec_start(const struct rollouts *rollouts, const char *service, const json_t *body,
                        const char *user, struct rollout *r, bool *dry_run, struct error *e)
{
    static const char *const keys[] = {
        "model",         "also",
        "steps",         "weights",
        "gates",         "window_ms",
        "interval_ms",   "deadline_ms",
        "samples_min",   "no_data",
        "decide_by",     "reason",
        "failure_limit", "inconclusive_limit",
        "dry_run",
    };
    *dry_run = false;
    rollout_init(r);
    (void)snprintf(r->by, sizeof r->by, "%.64s", user);
    uuid_generate(&r->id);
    int err = spec_keys(body, keys, MEM_COUNT(keys), e);
    if (err == 0)
        err = spec_targets(rollouts, service, body, r, e);
    if (err == 0)
        err = spec_plan(body, r, e);
    if (err == 0)
        err = spec_gates(body, r, e);
    if (err == 0)
        err = spec_limits(body, r, e);
    if (err == 0)
        err = spec_text(body, "reason", r->reason, sizeof r->reason, e);
    if (err == 0)
        err = spec_bool(body, "dry_run", dry_run, e);
    return err == 0 ? rollout_check(r, e) : err;
}

/* ---- again
 * --------------------------------------------------------------------------------------------- */

int rollouts_spec_retry(const struct rollouts *rollouts, const struct rollout *from,
                        const json_t *body, const char *user, struct rollout *r, struct error *e)
{
    static const char *const keys[] = {"reason"};
    const char *service = from->targets[0].service;
    if (!rollout_is_ended(from))
        return error_set(e, ERR_CONFLICT, "the rollout of %s is %s: it has not ended", service,
                         rollout_state_name(from->state));
    if (from->state != ROLLOUT_STATE_ABORTED || from->kind != ROLLOUT_KIND_CANARY)
        return error_set(e, ERR_CONFLICT, "the rollout of %s was %s: there is nothing to try again",
                         service,
                         from->state == ROLLOUT_STATE_PROMOTED ? "promoted" : "a rollback");
    rollout_again(from, r);
    r->targets_n = 0;
    (void)snprintf(r->by, sizeof r->by, "%.64s", user);
    uuid_generate(&r->id);
    int err = spec_keys(body, keys, MEM_COUNT(keys), e);
    for (size_t i = 0; i < from->targets_n && err == 0; i++)
        err = spec_target(rollouts, r, from->targets[i].service, from->targets[i].canary, e);
    if (err == 0)
        err = spec_text(body, "reason", r->reason, sizeof r->reason, e);
    return err == 0 ? rollout_check(r, e) : err;
}

/* ---- steering
 * ------------------------------------------------------------------------------------------ */

int rollouts_spec_steer(const json_t *body, bool promote, bool *full,
                        char reason[static ROLLOUT_TEXT_MAX], struct error *e)
{
    static const char *const keys[] = {"reason", "full"};
    *full = false;
    reason[0] = '\0';
    int err = spec_keys(body, keys, promote ? 2 : 1, e);
    if (err == 0)
        err = spec_bool(body, "full", full, e);
    return err == 0 ? spec_text(body, "reason", reason, ROLLOUT_TEXT_MAX, e) : err;
}

/* ---- rollback
 * ------------------------------------------------------------------------------------------ */

/* The state that `version` was; 0: the last one before whose stable model was another and alone. */
static int spec_version(const struct rollouts *rollouts, const struct routing_state *now,
                        uint64_t version, struct routing_state *found, struct error *e)
{
    const struct txn *txn = rollouts->participant->txn;
    uint64_t oldest = now->version > TXN_HISTORY_MAX ? now->version - TXN_HISTORY_MAX : 1;
    uint64_t from = version != 0 ? version : now->version - 1;
    for (uint64_t at = from; at >= oldest && txn != NULL; at--) {
        const struct txn_item *item = txn_item(txn, now->service, at);
        bool is = item != NULL && routing_decode(item->value, item->len, found) == 0;
        if (is && (version != 0 ||
                   (found->canary_weight == 0 && strcmp(found->stable, now->stable) != 0))) {
            found->version = at;
            return 0;
        }
        if (version != 0)
            break;
    }
    if (version != 0)
        return error_set(e, ERR_NOT_FOUND,
                         "version %llu of %s is not kept; rollout history shows what there was",
                         (unsigned long long)version, now->service);
    return error_set(e, ERR_NOT_FOUND, "%s has no earlier version with another model",
                     now->service);
}

static struct rollout_target *spec_back(struct rollout *r, const struct routing_state *now,
                                        const char *model, uint64_t version)
{
    struct rollout_target *target = &r->targets[r->targets_n++];
    (void)snprintf(target->service, sizeof target->service, "%s", now->service);
    (void)snprintf(target->stable, sizeof target->stable, "%s", now->stable);
    (void)snprintf(target->canary, sizeof target->canary, "%s", model);
    target->from_version = now->version;
    target->to_version = version;
    return target;
}

/* What the rollout that ends with this did to other services is taken back with it; a rollback that
 * ends is made with it. A service that was new has nothing to go back to. */
static void spec_back_others(const struct rollouts *rollouts, const struct rollout *ending,
                             struct rollout *r)
{
    for (size_t i = 0; i < ending->targets_n; i++) {
        const struct rollout_target *from = &ending->targets[i];
        const struct routing_state *now =
            routing_table_find(node_routing(rollouts->node), from->service);
        if (now == NULL || from->stable[0] == '\0' ||
            strcmp(from->service, r->targets[0].service) == 0)
            continue;
        if (ending->kind == ROLLOUT_KIND_ROLLBACK)
            r->targets[r->targets_n++] = *from;
        else
            (void)spec_back(r, now, from->stable, from->from_version);
    }
}

int rollouts_spec_rollback(const struct rollouts *rollouts, const char *service, const json_t *body,
                           const char *user, const struct rollout *ending, struct rollout *r,
                           struct error *e)
{
    static const char *const keys[] = {"version", "reason"};
    const struct routing_state *now = routing_table_find(node_routing(rollouts->node), service);
    struct routing_state to;
    int64_t version = 0;
    rollout_init(r);
    r->kind = ROLLOUT_KIND_ROLLBACK;
    r->steps_n = 0;
    (void)snprintf(r->by, sizeof r->by, "%.64s", user);
    uuid_generate(&r->id);
    if (now == NULL)
        return error_set(e, ERR_NOT_FOUND, "no service is called %.64s: routing show lists them",
                         service);
    int err = spec_keys(body, keys, MEM_COUNT(keys), e);
    if (err == 0)
        err = spec_int(body, "version", INT64_MAX, &version, e);
    if (err == 0)
        err = spec_text(body, "reason", r->reason, sizeof r->reason, e);
    if (err == 0 && version != 0 && (uint64_t)version >= now->version)
        err = error_set(e, ERR_INVALID, "%s is at version %llu: a rollback goes to an earlier one",
                        service, (unsigned long long)now->version);
    if (err == 0)
        err = spec_version(rollouts, now, (uint64_t)version, &to, e);
    if (err < 0)
        return err;
    struct rollout_target *target = spec_back(r, now, to.stable, to.version);
    (void)snprintf(target->to_canary, sizeof target->to_canary, "%s", to.canary);
    target->to_weight = to.canary_weight;
    if (ending != NULL)
        spec_back_others(rollouts, ending, r);
    return rollout_check(r, e);
}
