#include "role/routing_json.h"

#include "base/uuid.h"

json_t *routing_json(const struct routing_state *state)
{
    char txid[UUID_TEXT_MAX];
    return json_pack(
        "{s:s, s:I, s:s, s:o, s:{s:i, s:i}, s:s, s:s, s:s, s:s}", "service", state->service,
        "version", (json_int_t)state->version, "stable_model_id", state->stable, "canary_model_id",
        state->canary[0] != '\0' ? json_string(state->canary) : json_null(), "weights", "stable",
        state->stable_weight, "canary", state->canary_weight, "status", routing_status(state),
        "txid", uuid_format(&state->txid, txid), "by", state->by, "reason", state->reason);
}
