/* This node as its roles see it: who the members are, who leads, messages to any of them, the API.
 *
 * A message to this node itself takes the same way as any other, without a link. Calls match
 * replies to requests by their `call` number. All on the loop's thread. */
#ifndef ROLE_NODE_H
#define ROLE_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/nodeset.h"
#include "role/role.h"
#include "run/http_router.h"
#include "run/link.h"
#include "run/loop.h"
#include "wire/message.h"

struct changes;
struct events;
struct http_client;
struct members;
struct routing_table;
struct spawn;
struct state;

enum { NODE_ROLES_MAX = 24, NODE_CALLS_MAX = 65536, NODE_ELECTIONS_MAX = 4 };

/* A key of the configuration as it holds; secrets are hidden. */
struct node_setting {
    const char *name; /* "section.key" */
    const char *value;
    const char *description;
};

/* What the daemon decided; strings live as long as the node. */
struct node_options {
    const char *name;
    const char *uuid; /* of the data directory */
    const char *data_dir;
    const char *version;
    const char *cluster_id; /* "" before it has joined */
    uint64_t id;            /* 0 before it has joined */
    uint32_t roles;         /* Wire__NodeRole bits */
    const char *const *labels;
    size_t labels_n;
    const char *api_address; /* HOST:PORT of the API, "" for none */
    const char *api_socket;  /* path of the API's Unix socket */
    bool api_tls;
    int64_t started_ms;       /* loop_now_ms() */
    const char *peer_address; /* HOST:PORT that others dial */
    uint32_t slots;
    uint64_t memory_bytes;
    uint64_t mesh_max; /* members up to which everybody links to everybody */
    uint64_t worker_heartbeat_ms;
    uint64_t kill_grace_ms;
    uint64_t output_bytes_max;
    uint64_t output_keep_ms;
    uint64_t file_cache_bytes;    /* of uploaded files that tasks used */
    uint64_t url_cache_bytes;     /* of files by URL */
    uint64_t disk_free_min_bytes; /* below, no tasks are run; 0: see run/vitals.h */
    uint64_t orphan_after_ms;     /* of stored files */
    uint64_t output_keep_bytes;
    uint64_t suspect_after_ms;
    uint64_t offline_after_ms;
    uint64_t history_keep_ms;
    uint64_t history_jobs_max;
    uint64_t pending_jobs_max;
    uint64_t election_timeout_ms;
    uint64_t raft_heartbeat_ms;
    uint64_t snapshot_bytes;
    uint64_t log_bytes_kept;
    uint64_t voters_max;
    const char *data_address; /* HOST:PORT of the data plane, "" or "none" for none */
    const char *data_sticky_header;
    uint64_t data_connections_max;
    uint64_t data_body_bytes_max;
    uint64_t data_connect_timeout_ms;
    uint64_t data_answer_timeout_ms;
    struct {
        uint64_t priority;
        uint64_t heartbeat_ms;
        uint64_t leader_timeout_ms;
        const char *log_dir; /* "": in the data directory */
        uint64_t message_bytes_max;
        uint64_t rate_max;
        uint64_t keep_ms;
        uint64_t keep_bytes;
    } chat;
    uint32_t sql_slots;        /* >= 1 */
    uint32_t sql_threads;      /* of each slot, >= 1 */
    uint64_t sql_memory_bytes; /* of all slots together, and so on */
    uint64_t sql_temp_bytes;
    uint64_t sql_cache_bytes;     /* of files in buckets, on disk */
    uint64_t sql_time_limit_ms;   /* of a task; 0: none */
    const char *const *sql_paths; /* directories and places in buckets that COPY may use */
    size_t sql_paths_n;
    uint64_t sql_split_bytes;     /* of files that are worth a task */
    uint64_t sql_broadcast_bytes; /* of a join's side that every task may read */
    struct {
        bool enabled;
        int log_level; /* records from this level on are events; -1: none */
        uint64_t keep_ms;
        uint64_t bytes_max;
        uint64_t memory_bytes; /* of this node's own */
    } events;
    bool bootstrap;
    struct {
        const char *endpoint; /* "": nothing is traced */
        const char *token;
        const char *headers; /* "NAME=VALUE,..." */
        double sample;
    } trace;
    const char *lake_place; /* URL of the store; "": DATA/lake */
    const char *s3_endpoint, *s3_region, *s3_credentials, *s3_access_key, *s3_secret_key;
    const char *join_token;
    const char *const *join; /* peer addresses of members */
    size_t join_n;
    const struct node_setting *settings;
    size_t settings_n;
};

struct node *node_new(struct loop *loop, const struct node_options *options, struct link_set *links,
                      struct http_router *router, struct spawn *spawn, struct http_client *http);
/* Only after node_stop()'s callback. */
void node_free(struct node *node);

/* The operations that the link set must be made with; its `arg` is the node, set by
 * node_set_links() before any link can come up. */
const struct link_ops *node_link_ops(void);
void node_set_links(struct node *node, struct link_set *links);

/* Roles are started in the order of adding, stopped in the opposite one. */
int node_add_role(struct node *node, const struct role *role, struct error *e);
void node_stop(struct node *node, void (*stopped)(void *arg), void *arg);
void node_role_stopped(struct node *node);

/* Before the first role is added. */
void node_set_options(struct node *node, const struct node_options *options);
const struct node_options *node_options(const struct node *node);
struct loop *node_loop(const struct node *node);
struct http_router *node_router(const struct node *node);
struct spawn *node_spawn(const struct node *node);
struct http_client *node_http(const struct node *node);
struct link_set *node_links(const struct node *node);
struct routing_table *node_routing(const struct node *node); /* role/routing_table.h */

uint64_t node_id(const struct node *node); /* 0 before it has joined */
const char *node_cluster_id(const struct node *node);
/* Tells the roles that the node is in its cluster. */
void node_joined(struct node *node);
/* The identity that a join gave; makes it durable through `on_identity` of the daemon. */
int node_set_identity(struct node *node, const char *cluster_id, uint64_t id, struct error *e);
void node_on_identity(struct node *node,
                      int (*fn)(void *arg, const char *cluster_id, uint64_t id, struct error *e),
                      void *arg);

/* Something that the daemon cannot go on after; it ends with this error. */
void node_fatal(struct node *node, const struct error *e);
void node_on_fatal(struct node *node, void (*fn)(void *arg, const struct error *e), void *arg);

/* ---- members and the leader ------------------------------------------------------------------ */

/* A newer view (version or term) replaces the one there is; roles hear of it. */
void node_set_members(struct node *node, const Wire__Members *members);
const Wire__Members *node_members(const struct node *node);          /* never NULL */
const Wire__Node *node_member(const struct node *node, uint64_t id); /* NULL when unknown */
const Wire__Node *node_member_named(const struct node *node, const char *name);
const char *node_member_name(const struct node *node, uint64_t id); /* "node 7" when unknown */

/* What the log says about the leader, on metadata nodes; others learn it from Members. */
void node_set_leader(struct node *node, uint64_t leader, uint64_t term);
uint64_t node_leader(const struct node *node); /* 0: none known */
uint64_t node_term(const struct node *node);

/* Resolves "@all", "@worker", "n[1-3]", ...: see docs/api.md. `set` is initialised. */
int node_resolve(const struct node *node, const char *text, struct nodeset *set, struct error *e);

/* ---- the replicated state, on metadata nodes ---------------------------------------------------
 */

struct replica {
    struct state *state;
    struct changes *changes;
    struct members *members;
};

void node_set_replica(struct node *node, const struct replica *replica);
/* NULL on nodes without the metadata role, and before they have joined. */
const struct replica *node_replica(const struct node *node);

/* ---- tables and what reads them
 * -------------------------------------------------------------------
 */

struct executor_pool;
struct object_store;
struct tables;

/* Filled by the roles that own the parts, at their start; NULL where there is none. */
struct lake {
    struct object_store *objects;    /* of the tables role */
    const char *place;               /* where tables and shuffle files live: wire/lake_path.h */
    struct tables *tables;           /* role/tables.h */
    struct executor_pool *executors; /* of the role that runs SQL tasks */
    /* That role calls it before it closes the pool: who has jobs there drops them. NULL allowed. */
    void (*executors_lost)(void *arg);
    void *executors_lost_arg;
};

struct lake *node_lake(struct node *node); /* never NULL */

/* ---- the work of this node, for its heartbeat ------------------------------------------------ */

struct node_work {
    void (*count)(void *arg, uint32_t *running, uint32_t *queued);
    /* Sets `held` of a full heartbeat: a malloc'ed array of borrowed reports. */
    void (*held)(void *arg, Wire__Heartbeat *heartbeat);
    /* That heartbeat is on its way to `leader` in `term` on `session`. */
    void (*told)(void *arg, uint64_t leader, uint64_t term, uint64_t session);
    /* Looks at the disk: whether it is too full for tasks. */
    bool (*disk_full)(void *arg);
    void *arg;
};

/* Copied; set by the role that does the work, at its start. */
void node_set_work(struct node *node, const struct node_work *work);
const struct node_work *node_work(const struct node *node); /* NULL where nothing is run */

/* Has the next heartbeat sent at once: something that placement goes by has changed. */
void node_pulse(struct node *node);
void node_on_pulse(struct node *node, void (*fn)(void *arg), void *arg);

/* ---- leading --------------------------------------------------------------------------------- */

/* This node begins or ceases to act as the leader; roles hear of it. */
void node_set_active(struct node *node, bool active);
bool node_is_active(const struct node *node);

/* ---- what the node tells (role/events.h); NULL while nothing is ---------------------------------
 */

void node_set_events(struct node *node, struct events *events);
struct events *node_events(const struct node *node);

/* ---- messages -------------------------------------------------------------------------------- */

/* Queues a message to a member (or to `to` of a peer that is linked). ERR_UNAVAILABLE: no link;
 * ERR_BUSY: its queue is full. */
int node_send(struct node *node, uint64_t to, enum wire_type type, const ProtobufCMessage *message);

/* The message that a handler is called with, or a reply: it is the handler's from now on, to be
 * freed with wire_free(). NULL when it can't be had, since another node sent it: copy it then. */
ProtobufCMessage *node_take_message(struct node *node, const ProtobufCMessage *message);

/* Whether links to this member are kept up at all: in a large cluster only with metadata nodes;
 * others are linked for a node_call(). */
bool node_keeps_link(const struct node *node, uint64_t peer);

/* Which incarnation of the link to a member is up; 0: none. This node itself always has 1. */
uint64_t node_session(const struct node *node, uint64_t peer);
uint32_t node_rtt_us(const struct node *node, uint64_t peer);

/* A reply, or the end of waiting: code ERR_UNAVAILABLE (no link, or lost), ERR_TIMEOUT, ERR_BUSY;
 * then `reply` is NULL. */
typedef void (*node_reply_fn)(void *arg, int code, const ProtobufCMessage *reply);

/* Sends a request whose first field `call` is set here. `fn` is called once (with `many`: for each
 * reply until node_call_end() or a code), never from within. `timeout_ms` 0: none; with `many` it
 * is the longest pause. A member to whom no link is kept is dialed for it, and told within seconds
 * or ERR_UNAVAILABLE. Returns the call, never 0. */
uint64_t node_call(struct node *node, uint64_t to, enum wire_type type, ProtobufCMessage *request,
                   bool many, int64_t timeout_ms, node_reply_fn fn, void *arg);
/* The same with a request of its own memory, which is taken: to this node itself it goes as it is,
 * whatever its size. */
uint64_t node_call_give(struct node *node, uint64_t to, enum wire_type type,
                        ProtobufCMessage *request, bool many, int64_t timeout_ms, node_reply_fn fn,
                        void *arg);
/* No more replies are wanted. An ended call is ignored. */
void node_call_end(struct node *node, uint64_t call);

/* ---- elections ------------------------------------------------------------------------------- */

/* Who leads a group of nodes, as this node knows it. */
struct node_election {
    const char *group;
    uint64_t leader; /* node; 0: none known */
    uint64_t term;
    int64_t since_ms;   /* wall clock; 0: not known */
    const char *state;  /* of this node in it */
    uint64_t elections; /* that this node began since it started */
    unsigned members;   /* that vote */
    char reason[192];
};

typedef void (*node_election_fn)(void *arg, struct node_election *out);
/* A role that elects tells how its last election went; at most NODE_ELECTIONS_MAX. */
void node_set_election(struct node *node, node_election_fn fn, void *arg);
/* The election number `index`, the cluster's own first; false when there are no more. */
bool node_election(const struct node *node, unsigned index, struct node_election *out);

/* ---- API requests that belong to the leader ---------------------------------------------------
 */

/* Sees that the leader's handler serves `req`: forwards it when another node leads, holds it while
 * nobody does (503 after a while). `handler` is called again with `arg` when this node takes the
 * lead meanwhile. */
void node_forward(struct node *node, struct http_request *req, http_request_fn handler, void *arg);

/* First line of a handler that only the leader can serve: true when this node is it, else the
 * request is forwarded and the handler has nothing left to do. */
bool node_serves(struct node *node, struct http_request *req, http_request_fn handler, void *arg);

#endif
