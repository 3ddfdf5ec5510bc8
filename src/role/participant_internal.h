/* What the parts of the participant share; nobody else includes it. */
#ifndef ROLE_PARTICIPANT_INTERNAL_H
#define ROLE_PARTICIPANT_INTERNAL_H

#include <jansson.h>
#include <sys/queue.h>

#include "core/health_window.h"
#include "core/routing.h"
#include "core/txn.h"
#include "role/node.h"
#include "run/journal.h"

enum {
    PARTICIPANT_SNAPSHOT_MS = 1000,        /* between two HEALTH_SNAPSHOTs to the leader */
    PARTICIPANT_GATE_WINDOW_MS = 60000,    /* that a node's own vote looks at */
    PARTICIPANT_JOURNAL_LINES_MAX = 20000, /* then it is replaced by what it amounts to */
    PARTICIPANT_ALARMS_MAX = 16,
    PARTICIPANT_ASKS_MAX = 64, /* peers that one request asks */
};

struct rollouts;

/* A decision that is being asked of the metadata group. */
struct participant_proposal {
    struct participant *participant;
    struct uuid txid;
    enum txn_outcome outcome;
    struct leader_request *request; /* NULL: this node leads */
    TAILQ_ENTRY(participant_proposal) link;
};

/* An operator's decision whose answer is awaited. */
struct participant_resolve {
    struct http_request *req;
    struct uuid txid;
    TAILQ_ENTRY(participant_resolve) link;
};

/* Readings of a model's counters on this node. */
struct participant_window {
    char service[ROUTING_NAME_MAX + 1];
    char model[ROUTING_NAME_MAX + 1];
    struct health_window window;
    TAILQ_ENTRY(participant_window) link;
};

struct participant {
    struct node *node;
    struct journal *journal; /* NULL before the node has joined */
    struct txn *txn;
    struct txn_update update;
    struct txn_effect *effects; /* that wait for their records */
    size_t effects_n, effects_cap;
    uint64_t written; /* seq of the last record handed to the journal */
    uint64_t durable;
    uint64_t compacted; /* journal number of the last compaction */
    bool full;          /* the journal's reserve is lost: votes are no */
    bool failed;
    bool stopping;
    bool releasing;
    struct loop_timer timer;
    struct loop_timer snapshot_timer;
    TAILQ_HEAD(, participant_proposal) proposals;
    TAILQ_HEAD(, participant_resolve) resolves;
    TAILQ_HEAD(, participant_window) windows;
    struct {
        int64_t at_ms;
        struct uuid txid;
        char text[TXN_TEXT_MAX];
    } alarms[PARTICIPANT_ALARMS_MAX];
    size_t alarms_n; /* ever */
    struct rollouts *rollouts;
};

/* ---- participant.c ---- */

/* Gives the machine an event; fills now and wall in. ERR_UNAVAILABLE before the node has joined or
 * when the log failed; `text` (may be NULL) gets what the machine says about a refusal. */
int participant_step(struct participant *participant, struct txn_event event,
                     char text[TXN_TEXT_MAX]);

/* ---- participant_record.c: records as JSON ---- */

json_t *participant_record_json(const struct txn_record *record);
/* Fills in a record whose parts are to be released with txn_record_release(). ERR_CORRUPT. */
int participant_record_parse(const json_t *json, struct txn_record *record, struct error *e);

/* ---- participant_wire.c: messages ---- */

void participant_send(struct participant *participant, const struct txn_message *message);
extern const struct role_handler participant_handlers[];

/* ---- participant_judge.c ---- */

/* Whether this node agrees to the transaction; `why` when not. */
bool participant_judge(struct participant *participant, const struct txn_body *body,
                       char why[static TXN_TEXT_MAX]);
void participant_read_health(struct participant *participant);
void participant_send_snapshot(struct participant *participant);

/* ---- participant_group.c: the decision in the metadata group ---- */

void participant_propose(struct participant *participant, const struct uuid *txid,
                         enum txn_outcome outcome);
void participant_group_stop(struct participant *participant);
/* On the leader: writes the register unless it is written; tells what it holds, NONE when that
 * cannot be told. `fn` is called once. */
typedef void (*participant_decided_fn)(void *arg, enum txn_outcome outcome);
void participant_decide(struct node *node, const struct uuid *txid, enum txn_outcome outcome,
                        participant_decided_fn fn, void *arg);
void participant_group_add_routes(struct participant *participant);

/* ---- participant_api.c ---- */

void participant_api_add_routes(struct participant *participant);
void participant_api_resolved(struct participant *participant, const struct txn_effect *effect);
void participant_api_stop(struct participant *participant);
json_t *participant_state_json(const struct routing_state *state);

/* ---- participant_ask.c: the same question to every participant ---- */

/* `rows`: an array, one object for each participant: {"node":NAME, ...} with what it answered to
 * GET `path`, or "error". Takes no reference. */
typedef void (*participant_asked_fn)(void *arg, json_t *rows);
void participant_ask_all(struct node *node, const char *path, participant_asked_fn fn, void *arg);

bool participant_takes_part(const Wire__Node *member);

#endif
