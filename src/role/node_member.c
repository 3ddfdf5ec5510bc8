/* Who is in the cluster, who leads it, and which members a text means. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "role/events.h"
#include "role/node_internal.h"

static const struct log_about node_log = {.role = "node"};

void node_set_members(struct node *node, const Wire__Members *members)
{
    size_t len = wire__members__get_packed_size(members);
    uint8_t *packed = mem_alloc(len);
    (void)wire__members__pack(members, packed);
    Wire__Members *copy = wire__members__unpack(NULL, len, packed);
    free(packed);
    assert(copy != NULL);
    wire__members__free_unpacked(node->members, NULL);
    node->members = copy;
    node_update_dials(node);
    for (unsigned i = 0; i < node->roles_n; i++)
        if (node->roles[i].role->on_members != NULL)
            node->roles[i].role->on_members(node->roles[i].self);
}

const Wire__Members *node_members(const struct node *node)
{
    return node->members;
}

const Wire__Node *node_member(const struct node *node, uint64_t id)
{
    for (size_t i = 0; i < node->members->n_nodes; i++)
        if (node->members->nodes[i]->id == id)
            return node->members->nodes[i];
    return NULL;
}

const Wire__Node *node_member_named(const struct node *node, const char *name)
{
    for (size_t i = 0; i < node->members->n_nodes; i++)
        if (!node->members->nodes[i]->removed && strcmp(node->members->nodes[i]->name, name) == 0)
            return node->members->nodes[i];
    return NULL;
}

const char *node_member_name(const struct node *node, uint64_t id)
{
    static char unknown[32];
    const Wire__Node *member = node_member(node, id);
    if (member != NULL)
        return member->name;
    (void)snprintf(unknown, sizeof unknown, "node %llu", (unsigned long long)id);
    return unknown;
}

static void node_tell_leader(struct node *node)
{
    const char *name = node->options.name;
    unsigned long long term = node->term;
    if (node->leader == 0)
        event_emit(node, EVENT_RAFT_NONE,
                   EVENT_ABOUT(.node = name, .more = json_pack("{s:I}", "term", (json_int_t)term)),
                   "%s knows no leader of the cluster (term %llu)", name, term);
    else
        event_emit(node, EVENT_RAFT_TERM,
                   EVENT_ABOUT(.node = name, .more = json_pack("{s:I}", "term", (json_int_t)term)),
                   "%s follows %s in term %llu", name, node_member_name(node, node->leader), term);
}

void node_set_leader(struct node *node, uint64_t leader, uint64_t term)
{
    if (term < node->term || (leader == node->leader && term == node->term))
        return;
    if (node->leader != 0)
        node->leader_before = node->leader;
    node->leader_since_ms = loop_wall_ms(node->loop);
    node->leader = leader;
    node->term = term;
    metric_series_add(metric_series(METRIC_LEADER_CHANGES, "cluster"), 1);
    if (leader != 0)
        log_info(&node_log, "%s leads in term %llu",
                 leader == node->id ? "this node" : node_member_name(node, leader),
                 (unsigned long long)term);
    else
        log_info(&node_log, "no leader is known");
    node_tell_leader(node);
    for (unsigned i = 0; i < node->roles_n; i++)
        if (node->roles[i].role->on_leader != NULL)
            node->roles[i].role->on_leader(node->roles[i].self, leader, term);
    node_forward_leader(node);
}

uint64_t node_leader(const struct node *node)
{
    return node->leader;
}

uint64_t node_term(const struct node *node)
{
    return node->term;
}

void node_set_election(struct node *node, node_election_fn fn, void *arg)
{
    assert(node->elections_n < NODE_ELECTIONS_MAX);
    node->elections[node->elections_n].fn = fn;
    node->elections[node->elections_n++].arg = arg;
}

/* Why the cluster's leader leads, as far as this node can tell. */
static void node_explain_leader(const struct node *node, struct node_election *out)
{
    const char *before = node_member_name(node, node->leader_before);
    if (node->leader == 0)
        (void)snprintf(out->reason, sizeof out->reason, "no majority of the metadata nodes");
    else if (node->leader_before == 0)
        (void)snprintf(out->reason, sizeof out->reason, "the first that this node heard of");
    else if (node->leader_before == node->leader)
        (void)snprintf(out->reason, sizeof out->reason, "elected again");
    else
        (void)snprintf(out->reason, sizeof out->reason, "elected after %s, which is %s", before,
                       node_session(node, node->leader_before) != 0 ? "linked" : "not reachable");
}

bool node_election(const struct node *node, unsigned index, struct node_election *out)
{
    if (index > 0) {
        if (index > node->elections_n)
            return false;
        node->elections[index - 1].fn(node->elections[index - 1].arg, out);
        return true;
    }
    bool replica = (node->options.roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0;
    *out = (struct node_election){
        .group = "cluster",
        .leader = node->leader,
        .term = node->term,
        .since_ms = node->leader_since_ms,
        .state = node->active ? "leading"
                 : replica    ? "follower"
                              : "outside",
    };
    for (size_t i = 0; i < node->members->n_nodes; i++)
        out->members += !node->members->nodes[i]->removed &&
                        (node->members->nodes[i]->roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0;
    node_explain_leader(node, out);
    return true;
}

/* ---- sets of nodes --------------------------------------------------------------------------- */

static bool node_has_label(const Wire__Node *member, const char *label)
{
    size_t len = strlen(label);
    bool with_value = strchr(label, '=') != NULL;
    for (size_t i = 0; i < member->n_labels; i++)
        if (strcmp(member->labels[i], label) == 0 ||
            (!with_value && strncmp(member->labels[i], label, len) == 0 &&
             member->labels[i][len] == '='))
            return true;
    return false;
}

static bool node_in_group(const struct node *node, const Wire__Node *member, const char *group)
{
    if (strcmp(group, "all") == 0)
        return true;
    if (strcmp(group, "worker") == 0)
        return (member->roles & WIRE__NODE_ROLE__NODE_ROLE_WORKER) != 0;
    if (strcmp(group, "metadata") == 0)
        return (member->roles & WIRE__NODE_ROLE__NODE_ROLE_METADATA) != 0;
    if (strcmp(group, "chat") == 0)
        return (member->roles & WIRE__NODE_ROLE__NODE_ROLE_CHAT) != 0;
    if (strcmp(group, "online") == 0)
        return node_session(node, member->id) != 0;
    return str_starts_with(group, "label=") && node_has_label(member, group + 6);
}

static int node_resolve_group(void *arg, const char *group, struct nodeset *set)
{
    const struct node *node = arg;
    static const char *const known[] = {"all", "worker", "metadata", "chat", "online"};
    bool is_known = str_starts_with(group, "label=");
    for (unsigned i = 0; i < MEM_COUNT(known); i++)
        is_known = is_known || strcmp(known[i], group) == 0;
    if (!is_known)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < node->members->n_nodes; i++) {
        const Wire__Node *member = node->members->nodes[i];
        if (!member->removed && !member->poll && node_in_group(node, member, group))
            nodeset_add(set, member->name);
    }
    return 0;
}

int node_resolve(const struct node *node, const char *text, struct nodeset *set, struct error *e)
{
    int err = nodeset_parse(set, text, node_resolve_group, (void *)(uintptr_t)node, e);
    struct nodeset missing;
    nodeset_init(&missing);
    for (size_t i = 0; err == 0 && i < set->n; i++)
        if (node_member_named(node, set->names[i]) == NULL)
            nodeset_add(&missing, set->names[i]);
    if (missing.n > 0) {
        char *names = nodeset_fold(&missing);
        err = error_set(e, ERR_NOT_FOUND, "there is no node %s", names);
        free(names);
    }
    nodeset_done(&missing);
    return err;
}
