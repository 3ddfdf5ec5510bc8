#include "core/routing.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "wire/txn.pb-c.h"

const char *routing_status(const struct routing_state *state)
{
    return state->canary[0] != '\0' && state->canary_weight > 0 ? "canary" : "stable";
}

static int routing_check_model(const char *model, const char *what, routing_known_fn known,
                               void *arg, struct error *e)
{
    if (!str_is_name(model, ROUTING_NAME_MAX))
        return error_set(e, ERR_INVALID,
                         "the %s model needs an id of 1 to %d letters, digits, '-', '_' or '.'",
                         what, ROUTING_NAME_MAX);
    if (known != NULL && !known(arg, model))
        return error_set(e, ERR_NOT_FOUND,
                         "no model is called %s: model list shows them, model add makes one",
                         model);
    return 0;
}

int routing_check(const struct routing_state *state, routing_known_fn known, void *arg,
                  struct error *e)
{
    if (!str_is_name(state->service, ROUTING_NAME_MAX))
        return error_set(e, ERR_INVALID,
                         "a service is named by 1 to %d letters, digits, '-', '_' or '.'",
                         ROUTING_NAME_MAX);
    if (state->stable_weight < 0 || state->canary_weight < 0)
        return error_set(e, ERR_INVALID, "weights are percentages, 0 to 100; %d is negative",
                         state->stable_weight < 0 ? state->stable_weight : state->canary_weight);
    if ((int64_t)state->stable_weight + state->canary_weight != ROUTING_WEIGHT_SUM)
        return error_set(e, ERR_INVALID, "weights sum to 100; %d and %d don't",
                         state->stable_weight, state->canary_weight);
    int err = routing_check_model(state->stable, "stable", known, arg, e);
    if (err < 0)
        return err;
    if (state->canary[0] == '\0') {
        if (state->canary_weight > 0)
            return error_set(e, ERR_INVALID,
                             "%d %% of the traffic are for a canary, but there is "
                             "none",
                             state->canary_weight);
        return 0;
    }
    if (strcmp(state->stable, state->canary) == 0)
        return error_set(e, ERR_INVALID, "model %s is the stable one already", state->canary);
    return routing_check_model(state->canary, "canary", known, arg, e);
}

int routing_encode(const struct routing_state *state, struct buf *out)
{
    Wire__VoteGate gate = WIRE__VOTE_GATE__INIT;
    gate.model_id = (char *)(uintptr_t)state->gate.model;
    gate.errors_permille_max = state->gate.errors_permille_max;
    gate.p95_us_max =
        state->gate.p95_us_max <= UINT32_MAX ? (uint32_t)state->gate.p95_us_max : UINT32_MAX;
    gate.samples_min = (uint32_t)state->gate.samples_min;
    Wire__RoutingState message = WIRE__ROUTING_STATE__INIT;
    message.service = (char *)(uintptr_t)state->service;
    message.version = state->version;
    message.stable_model_id = (char *)(uintptr_t)state->stable;
    message.canary_model_id = (char *)(uintptr_t)state->canary;
    message.stable_weight = state->stable_weight;
    message.canary_weight = state->canary_weight;
    message.status = (char *)(uintptr_t)routing_status(state);
    message.txid.data = (uint8_t *)(uintptr_t)state->txid.bytes;
    message.txid.len = sizeof state->txid.bytes;
    message.gate = state->gate.model[0] != '\0' ? &gate : NULL;
    message.by = (char *)(uintptr_t)state->by;
    message.reason = (char *)(uintptr_t)state->reason;
    message.stable_url = (char *)(uintptr_t)state->stable_url;
    message.canary_url = (char *)(uintptr_t)state->canary_url;
    message.at_ms = (uint64_t)state->at_ms;
    size_t len = wire__routing_state__get_packed_size(&message);
    int err = buf_reserve(out, len);
    if (err < 0)
        return err;
    out->len += wire__routing_state__pack(&message, out->data + out->len);
    return 0;
}

static bool routing_copy(char *to, size_t max, const char *from)
{
    if (!str_is_utf8(from, strlen(from)) || strlen(from) >= max)
        return false;
    memcpy(to, from, strlen(from) + 1);
    return true;
}

static bool routing_decode_message(const Wire__RoutingState *message, struct routing_state *state)
{
    *state = (struct routing_state){
        .version = message->version,
        .stable_weight = message->stable_weight,
        .canary_weight = message->canary_weight,
        .at_ms = (int64_t)message->at_ms,
    };
    if (message->gate != NULL) {
        state->gate.errors_permille_max = message->gate->errors_permille_max;
        state->gate.p95_us_max = message->gate->p95_us_max;
        state->gate.samples_min = message->gate->samples_min;
        if (!routing_copy(state->gate.model, sizeof state->gate.model, message->gate->model_id))
            return false;
    }
    if (message->txid.len != sizeof state->txid.bytes)
        return false;
    memcpy(state->txid.bytes, message->txid.data, message->txid.len);
    return routing_copy(state->service, sizeof state->service, message->service) &&
           routing_copy(state->stable, sizeof state->stable, message->stable_model_id) &&
           routing_copy(state->canary, sizeof state->canary, message->canary_model_id) &&
           routing_copy(state->by, sizeof state->by, message->by) &&
           routing_copy(state->reason, sizeof state->reason, message->reason) &&
           routing_copy(state->stable_url, sizeof state->stable_url, message->stable_url) &&
           routing_copy(state->canary_url, sizeof state->canary_url, message->canary_url);
}

int routing_decode(const void *data, size_t len, struct routing_state *state)
{
    Wire__RoutingState *message = wire__routing_state__unpack(NULL, len, data);
    if (message == NULL)
        return ERR_PROTOCOL;
    struct routing_state decoded;
    bool ok =
        routing_decode_message(message, &decoded) && routing_check(&decoded, NULL, NULL, NULL) == 0;
    wire__routing_state__free_unpacked(message, NULL);
    if (!ok)
        return ERR_PROTOCOL;
    *state = decoded;
    return 0;
}

const char *routing_model_id(const struct routing_state *state, enum routing_model model)
{
    return model == ROUTING_MODEL_CANARY ? state->canary : state->stable;
}

const char *routing_model_url(const struct routing_state *state, enum routing_model model)
{
    return model == ROUTING_MODEL_CANARY ? state->canary_url : state->stable_url;
}
