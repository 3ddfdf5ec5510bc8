/* What the parts of the rollouts share; nobody else includes it.
 *
 * Keys of the replicated state: clusterd/model/ID, clusterd/rollout/active/UUID,
 * clusterd/rollout/past/MILLISECONDS-UUID. */
#ifndef ROLE_ROLLOUTS_INTERNAL_H
#define ROLE_ROLLOUTS_INTERNAL_H

#include <jansson.h>
#include <sys/queue.h>

#include "core/rollout.h"
#include "role/changes.h"
#include "role/participant_internal.h"
#include "role/rollouts.h"

enum {
    ROLLOUTS_MAX = 256,      /* active */
    ROLLOUTS_PAST_MAX = 200, /* kept */
    ROLLOUTS_NOTES_MAX = 64, /* of one rollout */
    ROLLOUTS_MODELS_MAX = 1024,
    ROLLOUTS_GATE_MS = 10000, /* an HTTP or command gate may take */
    ROLLOUTS_SETTLE_MS = 1000,
    ROLLOUTS_SETTLE_TRIES = 8,
};

#define ROLLOUTS_MODEL_PREFIX  "clusterd/model/"
#define ROLLOUTS_ACTIVE_PREFIX "clusterd/rollout/active/"
#define ROLLOUTS_PAST_PREFIX   "clusterd/rollout/past/"

struct rollouts_model {
    char id[ROUTING_NAME_MAX + 1];
    char url[ROUTING_URL_MAX];
    json_t *json; /* as it is stored */
    TAILQ_ENTRY(rollouts_model) link;
};

/* What one node said of a target's canary. */
struct rollouts_reading {
    uint64_t node;
    uint64_t boot;
    size_t target;
    struct health_window window;
    TAILQ_ENTRY(rollouts_reading) link;
};

/* Which gate of which rollout an answer is for. */
struct rollouts_gate_arg {
    struct rollouts_entry *entry;
    size_t gate;
};

/* What a step asked for, done at the end of the turn: each of these may step the rollout again. */
struct rollouts_todo {
    uint32_t run; /* gates */
    bool settle;
    bool measure;
    bool begin;
};

struct rollouts_entry {
    struct rollouts *rollouts;
    struct rollout r;
    json_t *notes;
    bool past;
    unsigned writes; /* of its state, on their way */
    unsigned settle_tries;
    struct trace_span *span; /* of the transaction under way; NULL: not traced */
    int64_t begun_us;        /* of the transaction under way, monotonic */
    int64_t switch_us;       /* that the last one took until it was decided; 0: none yet */
    uint64_t gate_calls[ROLLOUT_GATES_MAX]; /* commands under way */
    struct http_call *gate_https[ROLLOUT_GATES_MAX];
    struct rollouts_gate_arg gate_args[ROLLOUT_GATES_MAX];
    struct rollouts_todo todo;
    struct loop_timer timer;
    struct loop_timer settle_timer;
    struct loop_hook todo_hook;
    TAILQ_HEAD(, rollouts_reading) readings;
    TAILQ_ENTRY(rollouts_entry) link;
};

TAILQ_HEAD(rollouts_entries, rollouts_entry);

struct rollouts {
    struct participant *participant;
    struct node *node;
    bool active;    /* leads, and has read its state */
    uint64_t epoch; /* of the lead: what belongs to an earlier one is void */
    TAILQ_HEAD(, rollouts_model) models;
    size_t models_n;
    struct rollouts_entries entries; /* active and past ones, oldest first */
    size_t active_n, past_n;
};

/* ---- rollouts.c ---- */

/* Steps, writes, and does what is asked once it is durable. `req` (may be NULL) is answered with
 * the rollout then. */
int rollouts_step(struct rollouts_entry *entry, struct rollout_event event,
                  struct http_request *req, char text[ROLLOUT_TEXT_MAX]);
/* At the end of this turn: what it asks for may step the rollout again. */
void rollouts_perform(struct rollouts_entry *entry, const struct rollout_update *update);
struct rollouts_entry *rollouts_entry_new(struct rollouts *rollouts, const struct rollout *r);
void rollouts_entry_free(struct rollouts_entry *entry);
/* The active rollout of a service, or its latest; NULL: none. */
struct rollouts_entry *rollouts_find(const struct rollouts *rollouts, const char *service,
                                     bool active);

/* NULL: the rollout is not about that service. */
const struct rollout_target *rollouts_target(const struct rollouts_entry *entry,
                                             const char *service);

/* ---- rollouts_record.c ---- */

/* The entry as it is; `update` is performed and `req` (may be NULL) answered once it is durable. */
void rollouts_write(struct rollouts_entry *entry, const struct rollout_update *update,
                    struct http_request *req);
/* Models and rollouts; the leader is active, and goes on with them, when they are read. */
void rollouts_load(struct rollouts *rollouts);
void rollouts_put(struct rollouts *rollouts, const char *key, json_t *json, changes_done_fn done,
                  void *arg);
void rollouts_delete(struct rollouts *rollouts, const char *key);

/* ---- rollouts_switch.c ---- */

/* The transaction of the switch that the entry is at. */
void rollouts_begin(struct rollouts_entry *entry);
/* Finds out what became of it, again and again until it is known; `arg` is the entry. */
void rollouts_settle(void *arg);

/* ---- rollouts_json.c ---- */

json_t *rollouts_json(const struct rollouts_entry *entry);
/* From what rollouts_json() made. */
int rollouts_parse(const json_t *json, struct rollout *r, json_t **notes);
json_t *rollouts_gate_json(const struct rollout_gate *gate);

/* ---- rollouts_gate.c ---- */

void rollouts_measure(struct rollouts_entry *entry);
void rollouts_run_gates(struct rollouts_entry *entry, uint32_t gates);
void rollouts_stop_gates(struct rollouts_entry *entry);

/* ---- rollouts_model.c ---- */

const struct rollouts_model *rollouts_model(const struct rollouts *rollouts, const char *id);
void rollouts_model_load(struct rollouts *rollouts, json_t *json);
void rollouts_models_clear(struct rollouts *rollouts);
void rollouts_model_add_routes(struct rollouts *rollouts);

/* ---- rollouts_api.c ---- */

void rollouts_api_add_routes(struct rollouts *rollouts);
/* First line of a handler: true when this node leads and has read its state. */
bool rollouts_serves(struct rollouts *rollouts, struct http_request *req, http_request_fn fn);

#endif
