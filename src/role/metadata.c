/* Happy path: opens the replica once the node has an id, passes Raft's messages, and while this
 * node leads: founds the cluster's first rows, takes in members, keeps the Raft group as large as
 * the configuration wants. It fails with the replica (see role/state.h); then the daemon goes on as
 * a node without one. */
#include "role/metadata.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "role/api_json.h"
#include "role/changes.h"
#include "role/events.h"
#include "role/join.h"
#include "role/join_relay.h"
#include "role/members.h"
#include "role/node.h"
#include "role/state.h"
#include "role/status_api.h"
#include "run/state_query.h"

enum { METADATA_RECONCILE_MS = 200 };

struct metadata {
    struct node *node;
    struct replica replica;
    char *dir;
    struct loop_timer timer;
    bool changing; /* the Raft group */
    bool stopping;
};

/* A JoinRequest that is being answered. */
struct metadata_join {
    struct metadata *metadata;
    uint64_t from;
    uint64_t call;
};

static const struct log_about metadata_log = {.role = "metadata"};

static bool metadata_leads(const struct metadata *metadata)
{
    return node_is_active(metadata->node);
}

/* ---- the replica ----------------------------------------------------------------------------- */

static int metadata_send_raft(void *arg, uint64_t to, const Wire__RaftMessage *message)
{
    struct metadata *metadata = arg;
    return node_send(metadata->node, to, WIRE_RAFT_MESSAGE, &message->base);
}

static int metadata_send_confirm(void *arg, uint64_t to, const Wire__ReadConfirm *message)
{
    struct metadata *metadata = arg;
    return node_send(metadata->node, to, WIRE_READ_CONFIRM, &message->base);
}

static void metadata_on_leader(void *arg, uint64_t leader, uint64_t term)
{
    struct metadata *metadata = arg;
    node_set_leader(metadata->node, leader, term);
}

static void metadata_on_candidate(void *arg, uint64_t term, bool pre_vote)
{
    struct metadata *metadata = arg;
    const char *name = node_options(metadata->node)->name;
    event_emit(metadata->node, pre_vote ? EVENT_RAFT_PREVOTE : EVENT_RAFT_ELECTION,
               EVENT_ABOUT(.node = name, .more = json_pack("{s:I}", "term", (json_int_t)term)),
               "%s %s term %llu", name,
               pre_vote ? "asks whether it would be elected in" : "asks for the lead in",
               (unsigned long long)term);
}

static void metadata_on_members_ready(void *arg);

static void metadata_on_founded(void *arg, int code, const struct state_result *result)
{
    struct metadata *metadata = arg;
    (void)result;
    if (code == 0 && state_is_active(metadata->replica.state))
        members_activate(metadata->replica.members, metadata_on_members_ready, metadata);
}

/* The first rows of a new cluster: itself, and the node that founds it. */
static void metadata_found(struct metadata *metadata)
{
    const struct node_options *options = node_options(metadata->node);
    Wire__Change change = WIRE__CHANGE__INIT;
    Wire__ClusterRow row = WIRE__CLUSTER_ROW__INIT;
    row.cluster_id = (char *)(uintptr_t)node_cluster_id(metadata->node);
    row.join_token = (char *)(uintptr_t)options->join_token;
    row.created_ms = (uint64_t)clock_wall_ms();
    change.of_case = WIRE__CHANGE__OF_CLUSTER;
    change.cluster = &row;
    changes_add(metadata->replica.changes, &change, NULL, NULL);
    Wire__Node self;
    join_describe(metadata->node, &self);
    self.joined_ms = row.created_ms;
    change.of_case = WIRE__CHANGE__OF_NODE;
    change.node = &self;
    changes_add(metadata->replica.changes, &change, metadata_on_founded, metadata);
}

static void metadata_tell_lead(struct metadata *metadata)
{
    struct node *node = metadata->node;
    const char *name = node_options(node)->name;
    struct node_election election;
    if (!node_election(node, 0, &election) || !events_enabled(node))
        return;
    event_emit(node, EVENT_RAFT_LEAD,
               EVENT_ABOUT(.node = name, .key = election.group, .cause = election.reason,
                           .more = json_pack("{s:I}", "term", (json_int_t)election.term),
                           .row = status_election_json(node, &election)),
               "%s leads the cluster in term %llu: %s", name, (unsigned long long)election.term,
               election.reason);
}

static void metadata_on_members_ready(void *arg)
{
    struct metadata *metadata = arg;
    if (members_get(metadata->replica.members, node_id(metadata->node)) == NULL &&
        node_options(metadata->node)->bootstrap) {
        metadata_found(metadata);
        return;
    }
    node_set_active(metadata->node, true);
    metadata_tell_lead(metadata);
    loop_timer_start(&metadata->timer, 0);
}

static void metadata_on_active(void *arg, uint64_t term)
{
    struct metadata *metadata = arg;
    log_info(&metadata_log, "leading in term %llu", (unsigned long long)term);
    members_activate(metadata->replica.members, metadata_on_members_ready, metadata);
}

static void metadata_on_inactive(void *arg)
{
    struct metadata *metadata = arg;
    const char *name = node_options(metadata->node)->name;
    if (node_is_active(metadata->node))
        event_emit(metadata->node, EVENT_RAFT_LOST, EVENT_ABOUT(.node = name),
                   "%s leads the cluster no longer", name);
    loop_timer_stop(&metadata->timer);
    changes_reset(metadata->replica.changes);
    members_deactivate(metadata->replica.members);
    node_set_active(metadata->node, false);
}

static void metadata_on_applied(void *arg, uint64_t index)
{
    (void)arg;
    (void)index;
}

static void metadata_on_full(void *arg, bool full)
{
    struct metadata *metadata = arg;
    const char *name = node_options(metadata->node)->name;
    const char *what = full ? "is full: it takes no changes" : "has room again";
    event_emit(metadata->node, full ? EVENT_DISK_FULL : EVENT_DISK_ROOM, EVENT_ABOUT(.node = name),
               "the disk of %s %s", name, what);
    if (!full && metadata->replica.changes != NULL)
        changes_wake(metadata->replica.changes);
}

static void metadata_on_failed(void *arg, const struct error *e)
{
    struct metadata *metadata = arg;
    node_set_leader(metadata->node, 0, node_term(metadata->node));
    node_fatal(metadata->node, e);
}

/* ---- whose state it is ------------------------------------------------------------------------
 */

/* What the state file says of its cluster. */
struct metadata_look {
    struct metadata *metadata;
    struct state_query_nodes nodes;
};

static int metadata_query_cluster(sqlite3 *db, void *arg)
{
    struct metadata_look *look = arg;
    return state_query_nodes(db, &look->nodes);
}

/* Files of another cluster, moved or copied here, would be taken for our own. */
static void metadata_on_cluster(void *arg, int code)
{
    struct metadata_look *look = arg;
    struct metadata *metadata = look->metadata;
    const char *theirs = look->nodes.cluster_id;
    const char *ours = node_cluster_id(metadata->node);
    if (code == 0 && !metadata->stopping && theirs[0] != '\0' && strcmp(theirs, ours) != 0) {
        struct error e;
        (void)error_set(&e, ERR_WRONG_CLUSTER,
                        "%s holds the state of cluster %s, this node is in %s: put its own files "
                        "back, or move the data directory away and join again",
                        metadata->dir, theirs, ours);
        node_fatal(metadata->node, &e);
    }
    state_query_nodes_done(&look->nodes);
    free(look);
}

static void metadata_check_cluster(struct metadata *metadata)
{
    struct metadata_look *look = mem_zalloc(sizeof *look);
    look->metadata = metadata;
    state_read(metadata->replica.state, STATE_STALE, metadata_query_cluster, metadata_on_cluster,
               look);
}

/* A person changed something. */
static void metadata_on_audit(void *arg, const char *user, const char *action, const char *object,
                              const char *detail)
{
    struct metadata *metadata = arg;
    event_emit(
        metadata->node, EVENT_OPERATOR_COMMAND,
        EVENT_ABOUT(.by = user,
                    .node = node_member_named(metadata->node, object) != NULL ? object : NULL,
                    .more = json_pack("{s:s, s:o, s:o}", "action", action, "object",
                                      api_json_text(object), "detail", api_json_text(detail))),
        "%s: %s %s%s%s", user, action, object, *detail ? ": " : "", detail);
}

static int metadata_open(struct metadata *metadata, struct error *e)
{
    struct node *node = metadata->node;
    const struct node_options *options = node_options(node);
    struct state_options state_options = {
        .loop = node_loop(node),
        .dir = metadata->dir,
        .id = node_id(node),
        .address = options->peer_address,
        .election_timeout_ms = (unsigned)options->election_timeout_ms,
        .heartbeat_ms = (unsigned)options->raft_heartbeat_ms,
        .snapshot_bytes = options->snapshot_bytes,
        .log_bytes_kept = options->log_bytes_kept,
    };
    struct state_callbacks callbacks = {
        .send_raft = metadata_send_raft,
        .send_confirm = metadata_send_confirm,
        .leader = metadata_on_leader,
        .candidate = metadata_on_candidate,
        .active = metadata_on_active,
        .inactive = metadata_on_inactive,
        .applied = metadata_on_applied,
        .full = metadata_on_full,
        .failed = metadata_on_failed,
        .arg = metadata,
    };
    struct replica *replica = &metadata->replica;
    int err = state_open(&replica->state, &state_options, &callbacks, options->bootstrap, e);
    if (err < 0)
        return err;
    replica->changes = changes_new(node_loop(node), replica->state);
    changes_on_audit(replica->changes, metadata_on_audit, metadata);
    replica->members = members_new(node, replica->state, replica->changes);
    node_set_replica(node, replica);
    metadata_check_cluster(metadata);
    return 0;
}

static void metadata_on_raft(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct metadata *metadata = self;
    if (metadata->replica.state != NULL && !metadata->stopping)
        state_receive_raft(metadata->replica.state, from, (const Wire__RaftMessage *)message);
}

static void metadata_on_confirm(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct metadata *metadata = self;
    Wire__ReadConfirmReply reply = WIRE__READ_CONFIRM_REPLY__INIT;
    if (metadata->replica.state == NULL || metadata->stopping)
        return;
    state_receive_confirm(metadata->replica.state, (const Wire__ReadConfirm *)message, &reply);
    (void)node_send(metadata->node, from, WIRE_READ_CONFIRM_REPLY, &reply.base);
}

static void metadata_on_confirm_reply(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct metadata *metadata = self;
    if (metadata->replica.state != NULL && !metadata->stopping)
        state_receive_confirm_reply(metadata->replica.state, from,
                                    (const Wire__ReadConfirmReply *)message);
}

/* ---- joining --------------------------------------------------------------------------------- */

static void metadata_answer_join(struct metadata *metadata, uint64_t to, uint64_t call, int code,
                                 const char *text, uint64_t id)
{
    Wire__JoinReply reply = WIRE__JOIN_REPLY__INIT;
    reply.call = call;
    reply.code = code;
    reply.text = (char *)(uintptr_t)text;
    reply.cluster_id = (char *)(uintptr_t)node_cluster_id(metadata->node);
    reply.node_id = id;
    Wire__Members *members = (Wire__Members *)(uintptr_t)node_members(metadata->node);
    reply.members = code == 0 ? members : NULL;
    (void)node_send(metadata->node, to, WIRE_JOIN_REPLY, &reply.base);
}

static void metadata_on_join_written(void *arg, int code, const Wire__Node *row)
{
    struct metadata_join *join = arg;
    struct metadata *metadata = join->metadata;
    if (code == 0 && row != NULL)
        log_info(LOG_ABOUT(.role = "metadata", .peer = row->name), "%s (node %llu) is a member",
                 row->name, (unsigned long long)row->id);
    if (!metadata->stopping)
        metadata_answer_join(metadata, join->from, join->call, row != NULL ? 0 : ERR_NO_LEADER,
                             err_text(code), row != NULL ? row->id : 0);
    free(join);
}

static int metadata_check_join(struct metadata *metadata, const Wire__JoinRequest *request,
                               struct error *e)
{
    const struct members *members = metadata->replica.members;
    const Wire__Node *node = request->node;
    if (node == NULL || !str_is_name(node->name, 63) || node->uuid[0] == '\0' || node->poll)
        return error_set(e, ERR_INVALID, "malformed request to join");
    if (!str_equal_secret(request->token, members_join_token(members)))
        return error_set(e, ERR_UNAUTHORIZED, "the join token is wrong (cluster.join_token)");
    const Wire__Node *same = members_find_uuid(members, node->uuid);
    if (same != NULL && same->removed)
        return error_set(e, ERR_FORBIDDEN,
                         "this node was removed from the cluster; with an empty data directory it "
                         "can join as a new one");
    if (same == NULL && node->id != 0)
        return error_set(e, ERR_FORBIDDEN, "no member with id %llu is known",
                         (unsigned long long)node->id);
    const Wire__Node *named = members_find_name(members, node->name);
    if (named != NULL && named != same && node_session(metadata->node, named->id) != 0)
        return error_set(e, ERR_EXISTS,
                         "the name %s belongs to another node that is up (node %llu)", node->name,
                         (unsigned long long)named->id);
    return 0;
}

/* A node that lost its data directory comes back under its old name: the old one is no more. */
static void metadata_replace(struct metadata *metadata, const Wire__Node *node)
{
    const Wire__Node *named = members_find_name(metadata->replica.members, node->name);
    if (named == NULL || strcmp(named->uuid, node->uuid) == 0)
        return;
    log_warn(&metadata_log, "%s comes with a new data directory: node %llu is removed", node->name,
             (unsigned long long)named->id);
    Wire__Node *removed = members_copy(named);
    removed->removed = true;
    members_put(metadata->replica.members, removed, NULL, NULL);
    wire__node__free_unpacked(removed, NULL);
}

static bool metadata_is_same(const Wire__Node *a, const Wire__Node *b)
{
    size_t a_len = wire__node__get_packed_size(a);
    size_t b_len = wire__node__get_packed_size(b);
    if (a_len != b_len)
        return false;
    uint8_t *a_packed = mem_alloc(a_len);
    uint8_t *b_packed = mem_alloc(b_len);
    (void)wire__node__pack(a, a_packed);
    (void)wire__node__pack(b, b_packed);
    bool same = memcmp(a_packed, b_packed, a_len) == 0;
    free(a_packed);
    free(b_packed);
    return same;
}

static void metadata_take_join(struct metadata *metadata, uint64_t from,
                               const Wire__JoinRequest *request)
{
    struct error e;
    if (metadata_check_join(metadata, request, &e) < 0) {
        log_warn(LOG_ABOUT(.role = "metadata", .code = e.code), "refused to take in %s: %s",
                 request->node != NULL ? request->node->name : "?", e.text);
        metadata_answer_join(metadata, from, request->call, e.code, e.text, 0);
        return;
    }
    const Wire__Node *old = members_find_uuid(metadata->replica.members, request->node->uuid);
    Wire__Node row = *request->node;
    if (old != NULL) {
        row.id = old->id;
        row.draining = old->draining;
        row.drain_reason = old->drain_reason;
        row.drain_deadline_ms = old->drain_deadline_ms;
        row.joined_ms = old->joined_ms;
        row.raft_policy = old->raft_policy;
        if (metadata_is_same(old, &row)) {
            metadata_answer_join(metadata, from, request->call, 0, "", old->id);
            return;
        }
    } else {
        metadata_replace(metadata, request->node);
        row.joined_ms = (uint64_t)clock_wall_ms();
    }
    struct metadata_join *join = mem_zalloc(sizeof *join);
    *join = (struct metadata_join){.metadata = metadata, .from = from, .call = request->call};
    members_put(metadata->replica.members, &row, metadata_on_join_written, join);
}

static void metadata_on_join(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct metadata *metadata = self;
    const Wire__JoinRequest *request = (const Wire__JoinRequest *)message;
    if (metadata_leads(metadata))
        metadata_take_join(metadata, from, request);
    else
        join_relay(metadata->node, from, request);
}

/* ---- the Raft group -------------------------------------------------------------------------- */

static void metadata_on_group_changed(void *arg, int code, const char *text)
{
    struct metadata *metadata = arg;
    metadata->changing = false;
    if (code < 0)
        log_info(LOG_ABOUT(.role = "metadata", .code = code), "change of the Raft group: %s", text);
}

static bool metadata_may_vote(const struct metadata *metadata, const Wire__Node *row)
{
    (void)metadata;
    return !row->removed && (row->roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0 &&
           row->raft_policy != WIRE__RAFT_POLICY__RAFT_POLICY_NEVER;
}

/* How many voters there should be: an odd number. */
static unsigned metadata_voters_wanted(const struct metadata *metadata)
{
    const Wire__Members *members = node_members(metadata->node);
    uint64_t n = 0;
    for (size_t i = 0; i < members->n_nodes; i++)
        n += metadata_may_vote(metadata, members->nodes[i]);
    uint64_t max = node_options(metadata->node)->voters_max;
    n = n < max ? n : max;
    return (unsigned)(n % 2 == 0 && n > 0 ? n - 1 : n);
}

static bool metadata_is_up(const struct metadata *metadata, uint64_t id)
{
    return node_session(metadata->node, id) != 0;
}

/* Takes a server out that is no member any more, or that may not vote. */
static bool metadata_shrink(struct metadata *metadata, const struct state_member *servers,
                            unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const Wire__Node *row = members_get(metadata->replica.members, servers[i].id);
        if (servers[i].id == node_id(metadata->node) ||
            (row != NULL && metadata_may_vote(metadata, row)))
            continue;
        metadata->changing = true;
        state_remove(metadata->replica.state, servers[i].id, metadata_on_group_changed, metadata);
        return true;
    }
    return false;
}

/* Adds a member to the group that is in none: as one that follows and, when voters are wanted,
 * learns to vote. */
static bool metadata_grow(struct metadata *metadata)
{
    const Wire__Members *members = node_members(metadata->node);
    for (size_t i = 0; i < members->n_nodes; i++) {
        const Wire__Node *row = members->nodes[i];
        if (!metadata_may_vote(metadata, row) || !metadata_is_up(metadata, row->id) ||
            state_has_member(metadata->replica.state, row->id))
            continue;
        metadata->changing = true;
        state_add(metadata->replica.state, row->id, row->peer_address, metadata_on_group_changed,
                  metadata);
        return true;
    }
    return false;
}

static void metadata_promote(struct metadata *metadata, const struct state_member *servers,
                             unsigned n)
{
    unsigned voters = 0;
    for (unsigned i = 0; i < n; i++)
        voters += servers[i].role == STATE_VOTER;
    unsigned wanted = metadata_voters_wanted(metadata);
    for (unsigned i = 0; i < n; i++) {
        if (servers[i].role == STATE_VOTER || !metadata_is_up(metadata, servers[i].id))
            continue;
        if (voters >= wanted && servers[i].role == STATE_STANDBY)
            continue;
        metadata->changing = true;
        state_assign(metadata->replica.state, servers[i].id,
                     voters < wanted ? STATE_VOTER : STATE_STANDBY, metadata_on_group_changed,
                     metadata);
        return;
    }
}

static void metadata_on_timer(void *arg)
{
    struct metadata *metadata = arg;
    struct state_member servers[STATE_MEMBERS_MAX];
    loop_timer_start(&metadata->timer, METADATA_RECONCILE_MS);
    if (!metadata_leads(metadata) || metadata->changing)
        return;
    unsigned n = state_members(metadata->replica.state, servers);
    if (!metadata_shrink(metadata, servers, n) && !metadata_grow(metadata))
        metadata_promote(metadata, servers, n);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void metadata_on_link(void *self, uint64_t peer, uint64_t session)
{
    struct metadata *metadata = self;
    if (session != 0 && metadata_leads(metadata))
        members_tell(metadata->replica.members, peer);
}

static void metadata_on_joined(void *self)
{
    struct metadata *metadata = self;
    struct error e;
    if (metadata->replica.state == NULL && metadata_open(metadata, &e) < 0)
        node_fatal(metadata->node, &e);
}

static int metadata_start(struct node *node, void **self, struct error *e)
{
    struct metadata *metadata = mem_zalloc(sizeof *metadata);
    metadata->node = node;
    metadata->dir = mem_printf("%s/raft", node_options(node)->data_dir);
    loop_timer_init(&metadata->timer, node_loop(node), metadata_on_timer, metadata);
    *self = metadata;
    return node_id(node) != 0 ? metadata_open(metadata, e) : 0;
}

static void metadata_on_closed(void *arg)
{
    struct metadata *metadata = arg;
    metadata->replica.state = NULL;
    node_role_stopped(metadata->node);
}

static void metadata_stop(void *self)
{
    struct metadata *metadata = self;
    metadata->stopping = true;
    loop_timer_stop(&metadata->timer);
    if (metadata->replica.state != NULL)
        state_close(metadata->replica.state, metadata_on_closed, metadata);
    else
        node_role_stopped(metadata->node);
}

static void metadata_free(void *self)
{
    struct metadata *metadata = self;
    members_free(metadata->replica.members);
    changes_free(metadata->replica.changes);
    free(metadata->dir);
    free(metadata);
}

static const struct role_handler metadata_handlers[] = {
    {WIRE_RAFT_MESSAGE, metadata_on_raft},
    {WIRE_READ_CONFIRM, metadata_on_confirm},
    {WIRE_READ_CONFIRM_REPLY, metadata_on_confirm_reply},
    {WIRE_JOIN_REQUEST, metadata_on_join},
    {0, NULL},
};

const struct role metadata_role = {
    .name = "metadata",
    .start = metadata_start,
    .stop = metadata_stop,
    .free = metadata_free,
    .on_link = metadata_on_link,
    .on_joined = metadata_on_joined,
    .handlers = metadata_handlers,
};
