/* Happy path: activate reads all rows; a put goes into the table at once, into the log, and when it
 * is durable to everybody: at once in a small cluster, else to a few members each tick, so that a
 * thousand that join don't each cause a thousand long messages. When the lead is lost the table is
 * thrown away. */
#include "role/members.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/state_query.h"

enum { MEMBERS_TICK_MS = 10, MEMBERS_TICK_BYTES = 256 << 10 };

struct members {
    struct node *node;
    struct state *state;
    struct changes *changes;
    Wire__Members table;
    size_t cap;
    uint64_t next_id;
    char *join_token;
    bool active;
    unsigned activation; /* tells answers of an earlier lead apart */
    struct loop_timer tick;
    size_t next;  /* row of the member that is told next */
    size_t stale; /* members that don't know the latest yet */
    void (*ready)(void *arg);
    void *ready_arg;
};

struct members_put {
    struct members *members;
    unsigned activation;
    uint64_t id;
    members_done_fn done;
    void *arg;
};

struct members_load {
    struct members *members;
    unsigned activation;
    struct state_query_nodes result;
};

static const struct log_about members_log = {.role = "metadata"};

static void members_on_tick(void *arg);

struct members *members_new(struct node *node, struct state *state, struct changes *changes)
{
    struct members *members = mem_zalloc(sizeof *members);
    members->node = node;
    members->state = state;
    members->changes = changes;
    members->join_token = mem_strdup("");
    wire__members__init(&members->table);
    loop_timer_init(&members->tick, node_loop(node), members_on_tick, members);
    return members;
}

static void members_clear(struct members *members)
{
    for (size_t i = 0; i < members->table.n_nodes; i++)
        wire__node__free_unpacked(members->table.nodes[i], NULL);
    free(members->table.nodes);
    members->table.nodes = NULL;
    members->table.n_nodes = 0;
    members->cap = 0;
}

void members_free(struct members *members)
{
    if (members == NULL)
        return;
    loop_timer_stop(&members->tick);
    members_clear(members);
    free(members->join_token);
    free(members);
}

Wire__Node *members_copy(const Wire__Node *row)
{
    size_t len = wire__node__get_packed_size(row);
    uint8_t *packed = mem_alloc(len);
    (void)wire__node__pack(row, packed);
    Wire__Node *copy = wire__node__unpack(NULL, len, packed);
    free(packed);
    assert(copy != NULL);
    return copy;
}

static Wire__Node **members_slot(const struct members *members, uint64_t id)
{
    for (size_t i = 0; i < members->table.n_nodes; i++)
        if (members->table.nodes[i]->id == id)
            return &members->table.nodes[i];
    return NULL;
}

const Wire__Node *members_get(const struct members *members, uint64_t id)
{
    Wire__Node **slot = members_slot(members, id);
    return slot != NULL ? *slot : NULL;
}

const Wire__Node *members_find_uuid(const struct members *members, const char *uuid)
{
    for (size_t i = 0; i < members->table.n_nodes; i++)
        if (strcmp(members->table.nodes[i]->uuid, uuid) == 0)
            return members->table.nodes[i];
    return NULL;
}

const Wire__Node *members_find_name(const struct members *members, const char *name)
{
    for (size_t i = 0; i < members->table.n_nodes; i++)
        if (!members->table.nodes[i]->removed && strcmp(members->table.nodes[i]->name, name) == 0)
            return members->table.nodes[i];
    return NULL;
}

/* Takes `row`. */
static void members_set(struct members *members, Wire__Node *row)
{
    Wire__Node **slot = members_slot(members, row->id);
    if (slot != NULL) {
        wire__node__free_unpacked(*slot, NULL);
        *slot = row;
        return;
    }
    MEM_GROW(members->table.nodes, members->cap, members->table.n_nodes + 1);
    members->table.nodes[members->table.n_nodes++] = row;
    if (row->id >= members->next_id)
        members->next_id = row->id + 1;
}

static const Wire__Members *members_view(struct members *members)
{
    members->table.version = state_applied(members->state);
    members->table.leader_id = node_id(members->node);
    members->table.term = state_term(members->state);
    return &members->table;
}

void members_tell(struct members *members, uint64_t peer)
{
    if (members->active)
        (void)node_send(members->node, peer, WIRE_MEMBERS, &members_view(members)->base);
}

void members_tell_all(struct members *members)
{
    if (!members->active)
        return;
    const Wire__Members *view = members_view(members);
    node_set_members(members->node, view);
    for (size_t i = 0; i < view->n_nodes; i++)
        if (view->nodes[i]->id != node_id(members->node))
            (void)node_send(members->node, view->nodes[i]->id, WIRE_MEMBERS, &view->base);
}

/* Tells as many as a tick allows, at least one. */
static void members_on_tick(void *arg)
{
    struct members *members = arg;
    const Wire__Members *view = members_view(members);
    size_t size = wire__members__get_packed_size(view);
    for (size_t bytes = 0; members->stale > 0 && bytes < MEMBERS_TICK_BYTES; bytes += size) {
        members->next = (members->next + 1) % view->n_nodes;
        members->stale--;
        uint64_t peer = view->nodes[members->next]->id;
        if (peer != node_id(members->node))
            (void)node_send(members->node, peer, WIRE_MEMBERS, &view->base);
    }
    if (members->stale > 0)
        loop_timer_start(&members->tick, MEMBERS_TICK_MS);
}

static void members_spread(struct members *members)
{
    if (!members->active)
        return;
    node_set_members(members->node, members_view(members));
    members->stale = members->table.n_nodes;
    if (!loop_timer_is_running(&members->tick))
        members_on_tick(members);
}

static int members_query(sqlite3 *db, void *arg)
{
    struct members_load *load = arg;
    return state_query_nodes(db, &load->result);
}

static void members_on_loaded(void *arg, int code)
{
    struct members_load *load = arg;
    struct members *members = load->members;
    bool current = load->activation == members->activation && state_is_active(members->state);
    if (current && code == 0) {
        members_clear(members);
        members->next_id = 1;
        for (size_t i = 0; i < load->result.n; i++)
            members_set(members, members_copy(load->result.nodes[i]));
        free(members->join_token);
        members->join_token = mem_strdup(load->result.join_token);
        members->active = true;
    } else if (current) {
        log_error(&members_log, "cannot read the members: %s", err_text(code));
    }
    state_query_nodes_done(&load->result);
    free(load);
    if (current && code == 0) {
        members_tell_all(members);
        members->ready(members->ready_arg);
    }
}

void members_activate(struct members *members, void (*ready)(void *arg), void *arg)
{
    struct members_load *load = mem_zalloc(sizeof *load);
    load->members = members;
    load->activation = ++members->activation;
    members->ready = ready;
    members->ready_arg = arg;
    state_read(members->state, STATE_WEAK, members_query, members_on_loaded, load);
}

void members_deactivate(struct members *members)
{
    members->activation++;
    members->active = false;
    members->stale = 0;
    loop_timer_stop(&members->tick);
    members_clear(members);
}

const char *members_join_token(const struct members *members)
{
    return members->join_token;
}

static void members_on_put(void *arg, int code, const struct state_result *result)
{
    struct members_put *put = arg;
    struct members *members = put->members;
    bool current = put->activation == members->activation;
    (void)result;
    if (current && code == 0)
        members_spread(members);
    if (put->done != NULL)
        put->done(put->arg, code, current && code == 0 ? members_get(members, put->id) : NULL);
    free(put);
}

void members_put(struct members *members, const Wire__Node *row, members_done_fn done, void *arg)
{
    assert(members->active);
    Wire__Node *copy = members_copy(row);
    if (copy->id == 0)
        copy->id = members->next_id;
    struct members_put *put = mem_zalloc(sizeof *put);
    *put = (struct members_put){.members = members,
                                .activation = members->activation,
                                .id = copy->id,
                                .done = done,
                                .arg = arg};
    members_set(members, copy);
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_NODE;
    change.node = copy;
    changes_add(members->changes, &change, members_on_put, put);
}
