/* The decision of a transaction in the metadata group: the key clusterd/txn/TXID, written once.
 *
 * The leader writes it; other nodes ask it to. A question that fails is not repeated here: the
 * machine proposes again until it is told. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "role/api_json.h"
#include "role/changes.h"
#include "role/leader_request.h"
#include "role/participant_internal.h"
#include "run/state_query.h"

/* ---- on the leader
 * ----------------------------------------------------------------------------------- */

struct group_decision {
    struct node *node;
    char key[64];
    enum txn_outcome outcome;
    struct state_query_value value;
    participant_decided_fn fn;
    void *arg;
};

static void group_end(struct group_decision *decision, enum txn_outcome outcome)
{
    participant_decided_fn fn = decision->fn;
    void *arg = decision->arg;
    free(decision->value.data);
    free(decision);
    fn(arg, outcome);
}

static int group_query(sqlite3 *db, void *arg)
{
    struct group_decision *decision = arg;
    return state_query_kv(db, decision->key, &decision->value);
}

static void group_on_read(void *arg, int code)
{
    struct group_decision *decision = arg;
    enum txn_outcome outcome = TXN_OUTCOME_NONE;
    if (code == 0) {
        char *text = mem_strndup(decision->value.data, decision->value.len);
        int parsed = txn_outcome_parse(text);
        free(text);
        if (parsed > 0)
            outcome = (enum txn_outcome)parsed;
    }
    group_end(decision, outcome);
}

static void group_on_written(void *arg, int code, const struct state_result *result)
{
    struct group_decision *decision = arg;
    const struct replica *replica = node_replica(decision->node);
    if (code == 0 && result != NULL && result->code == 0)
        group_end(decision, decision->outcome);
    else if (code == 0 && result != NULL && result->code == ERR_CONFLICT && replica != NULL)
        state_read(replica->state, STATE_LINEARIZABLE, group_query, group_on_read, decision);
    else
        group_end(decision, TXN_OUTCOME_NONE);
}

void participant_decide(struct node *node, const struct uuid *txid, enum txn_outcome outcome,
                        participant_decided_fn fn, void *arg)
{
    char id[UUID_TEXT_MAX];
    struct group_decision *decision = mem_zalloc(sizeof *decision);
    decision->node = node;
    decision->outcome = outcome;
    decision->fn = fn;
    decision->arg = arg;
    (void)snprintf(decision->key, sizeof decision->key, "clusterd/txn/%s", uuid_format(txid, id));
    Wire__KvPut put = WIRE__KV_PUT__INIT;
    put.key = decision->key;
    put.value.data = (uint8_t *)(uintptr_t)txn_outcome_name(outcome);
    put.value.len = strlen(txn_outcome_name(outcome));
    put.conditional = true;
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_KV_PUT;
    change.kv_put = &put;
    changes_add(node_replica(node)->changes, &change, group_on_written, decision);
}

/* ---- proposals
 * ---------------------------------------------------------------------------------------- */

static void group_proposal_end(struct participant_proposal *proposal, enum txn_outcome outcome)
{
    struct participant *participant = proposal->participant;
    struct uuid txid = proposal->txid;
    TAILQ_REMOVE(&participant->proposals, proposal, link);
    free(proposal);
    if (outcome != TXN_OUTCOME_NONE)
        (void)participant_step(
            participant,
            (struct txn_event){.type = TXN_EVENT_GROUP, .txid = txid, .outcome = outcome}, NULL);
}

static void group_on_decided(void *arg, enum txn_outcome outcome)
{
    group_proposal_end(arg, outcome);
}

static void group_on_answer(void *arg, json_t *json, const struct error *e)
{
    (void)e;
    struct participant_proposal *proposal = arg;
    const char *name = json_string_value(json_object_get(json, "outcome"));
    int outcome = name != NULL ? txn_outcome_parse(name) : 0;
    group_proposal_end(proposal, outcome > 0 ? (enum txn_outcome)outcome : TXN_OUTCOME_NONE);
}

void participant_propose(struct participant *participant, const struct uuid *txid,
                         enum txn_outcome outcome)
{
    char id[UUID_TEXT_MAX];
    struct participant_proposal *proposal;
    TAILQ_FOREACH (proposal, &participant->proposals, link) {
        if (uuid_compare(&proposal->txid, txid) == 0)
            return;
    }
    proposal = mem_zalloc(sizeof *proposal);
    proposal->participant = participant;
    proposal->txid = *txid;
    proposal->outcome = outcome;
    TAILQ_INSERT_TAIL(&participant->proposals, proposal, link);
    if (node_is_active(participant->node)) {
        participant_decide(participant->node, txid, outcome, group_on_decided, proposal);
        return;
    }
    char *path = mem_printf("/api/rollouts/decisions/%s", uuid_format(txid, id));
    char *user = mem_printf("node:%s", node_options(participant->node)->name);
    char *body = mem_printf("{\"outcome\":\"%s\"}", txn_outcome_name(outcome));
    const struct leader_request_spec spec = {
        .method = "PUT", .path = path, .user = user, .body = body};
    proposal->request = leader_request_start(participant->node, &spec, group_on_answer, proposal);
    free(path);
    free(user);
    free(body);
}

void participant_group_stop(struct participant *participant)
{
    struct participant_proposal *proposal;
    struct participant_proposal *next;
    for (proposal = TAILQ_FIRST(&participant->proposals); proposal != NULL; proposal = next) {
        next = TAILQ_NEXT(proposal, link);
        if (proposal->request == NULL)
            continue; /* its change comes back by itself */
        leader_request_cancel(proposal->request);
        TAILQ_REMOVE(&participant->proposals, proposal, link);
        free(proposal);
    }
}

/* ---- what other nodes ask of the leader
 * ------------------------------------------------------------------ */

static void group_on_put_decided(void *arg, enum txn_outcome outcome)
{
    struct http_request *req = arg;
    struct error e;
    if (outcome != TXN_OUTCOME_NONE) {
        http_reply_json(req, 200, json_pack("{s:s}", "outcome", txn_outcome_name(outcome)));
        return;
    }
    (void)error_set(&e, ERR_OUTCOME_UNKNOWN, "the lead was lost before the decision was written");
    http_reply_failure(req, &e, "ask again");
}

static void group_put(struct http_request *req, void *arg)
{
    struct participant *participant = arg;
    struct uuid txid;
    struct error e;
    if (!node_serves(participant->node, req, group_put, arg))
        return;
    json_t *body = api_json_body(req);
    if (body == NULL)
        return;
    const char *name = json_string_value(json_object_get(body, "outcome"));
    int outcome = name != NULL ? txn_outcome_parse(name) : (int)ERR_INVALID;
    json_decref(body);
    if (!str_starts_with(http_request_user(req), "node:"))
        (void)error_set(&e, ERR_FORBIDDEN,
                        "decisions are written by nodes; rollout resolve is for operators");
    else if (outcome < 0 || uuid_parse(http_request_param(req, "txid"), &txid) < 0)
        (void)error_set(&e, ERR_INVALID, "a decision is commit or abort, for a UUID");
    else {
        participant_decide(participant->node, &txid, (enum txn_outcome)outcome,
                           group_on_put_decided, req);
        return;
    }
    http_reply_failure(req, &e, NULL);
}

static const struct http_route group_routes[] = {
    {.method = "PUT", .path = "/api/rollouts/decisions/{txid}", .handler = group_put},
};

void participant_group_add_routes(struct participant *participant)
{
    http_router_add(node_router(participant->node), group_routes, MEM_COUNT(group_routes),
                    participant);
}
