/* While no node can be reached that collects: nobody leads, or the one that does is not linked. An
 * election lasts less than EVENTS_DARK_MS: what needs the collector waits for so long, then this
 * node answers with what it and the nodes that it is linked to keep, and says so.
 *
 * Meanwhile nodes tell each other how they are (role/heartbeat.h), and each keeps what it hears as
 * the collector would. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/api_json.h"
#include "role/events_internal.h"
#include "role/status_api.h"

enum { EVENTS_DARK_PASS_MS = 30000 }; /* for another node to answer */

/* A request that waits for a collector, or for the dark. */
struct events_wait {
    struct events *events;
    struct http_request *req;
    http_request_fn fn;
    TAILQ_ENTRY(events_wait) link;
};

bool events_has_collector(const struct events *events)
{
    const struct node *node = events->node;
    uint64_t leader = node_leader(node);
    return events->collecting ||
           (leader != 0 && leader != node_id(node) && node_session(node, leader) != 0);
}

void events_dark_look(struct events *events)
{
    int64_t now_ms = loop_now_ms(node_loop(events->node));
    if (events_has_collector(events)) {
        if (events->dark_ms != 0 && !events->collecting)
            events_vitals_clear(events); /* the collector tells them again */
        events->dark = false;
        events->dark_ms = 0;
    } else if (events->dark_ms == 0) {
        events->dark_ms = now_ms;
        events->dark_wall_ms = loop_wall_ms(node_loop(events->node));
        events_vitals_clear(events);
        events_vitals_expect(events);
    } else if (now_ms - events->dark_ms >= EVENTS_DARK_MS) {
        events->dark = true;
    }
}

/* ---- requests that wait ---------------------------------------------------------------------- */

bool events_must_wait(const struct events *events)
{
    return !events->dark && !events_has_collector(events);
}

static void events_wait_end(struct events_wait *wait)
{
    TAILQ_REMOVE(&wait->events->waits, wait, link);
    http_request_on_close(wait->req, NULL, NULL);
    free(wait);
}

static void events_wait_on_close(struct http_request *req, void *arg)
{
    events_wait_end(arg);
    http_reply(req, 499, NULL, NULL, 0);
}

void events_wait(struct events *events, struct http_request *req, http_request_fn fn)
{
    struct events_wait *wait = mem_zalloc(sizeof *wait);
    wait->events = events;
    wait->req = req;
    wait->fn = fn;
    TAILQ_INSERT_TAIL(&events->waits, wait, link);
    http_request_on_close(req, events_wait_on_close, wait);
}

void events_waits_go_on(struct events *events)
{
    struct events_wait *wait;
    while (!events_must_wait(events) && (wait = TAILQ_FIRST(&events->waits)) != NULL) {
        struct http_request *req = wait->req;
        http_request_fn fn = wait->fn;
        events_wait_end(wait);
        fn(req, events);
    }
}

void events_waits_end(struct events *events)
{
    struct events_wait *wait;
    struct error e;
    (void)error_set(&e, ERR_UNAVAILABLE, "this node is being stopped");
    while ((wait = TAILQ_FIRST(&events->waits)) != NULL) {
        struct http_request *req = wait->req;
        events_wait_end(wait);
        http_reply_failure(req, &e, NULL);
    }
}

/* ---- what is said ---------------------------------------------------------------------------- */

static bool events_may_reach(const struct events *events, const Wire__Node *member)
{
    return !member->removed && !member->poll && member->id != node_id(events->node);
}

const char *events_dark_reason(const struct events *events, char out[static EVENT_SOURCE_TEXT_MAX])
{
    const struct node *node = events->node;
    uint64_t leader = node_leader(node);
    if (leader == 0)
        (void)snprintf(out, EVENT_SOURCE_TEXT_MAX, "no node leads");
    else if (leader == node_id(node))
        (void)snprintf(out, EVENT_SOURCE_TEXT_MAX, "%s does not lead yet",
                       node_member_name(node, leader));
    else
        (void)snprintf(out, EVENT_SOURCE_TEXT_MAX, "%s, who leads, is not linked to %s",
                       node_member_name(node, leader), events->name);
    return out;
}

json_t *events_dark_json(const struct events *events)
{
    const struct node *node = events->node;
    const Wire__Members *members = node_members(node);
    char reason[EVENT_SOURCE_TEXT_MAX];
    json_t *reached = json_array(), *missing = json_array();
    json_array_append_new(reached, json_string(node_options(node)->name));
    for (size_t i = 0; i < members->n_nodes; i++)
        if (events_may_reach(events, members->nodes[i]))
            json_array_append_new(node_session(node, members->nodes[i]->id) != 0 ? reached
                                                                                 : missing,
                                  api_json_text(members->nodes[i]->name));
    return json_pack("{s:s, s:s, s:o, s:o}", "partial", node_options(node)->name, "reason",
                     events_dark_reason(events, reason), "reached", reached, "missing", missing);
}

uint64_t events_dark_other(const struct events *events)
{
    const Wire__Members *members = node_members(events->node);
    uint64_t best = events->position, other = 0;
    for (size_t i = 0; i < members->n_nodes; i++) {
        uint64_t id = members->nodes[i]->id;
        uint64_t position = events_vitals_position(events, id);
        if (events_may_reach(events, members->nodes[i]) && position > best &&
            node_session(events->node, id) != 0) {
            best = position;
            other = id;
        }
    }
    return other;
}

/* ---- requests that another node can answer better ---------------------------------------------
 */

struct events_dark_ask {
    struct events *events;
    struct http_request *req;
    uint64_t call;
};

static void dark_ask_on_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct events_dark_ask *ask = arg;
    struct http_request *req = ask->req;
    const Wire__ApiReply *reply = (const Wire__ApiReply *)message;
    struct error e;
    http_request_on_close(req, NULL, NULL);
    free(ask);
    if (reply != NULL) {
        http_reply(req, reply->status, reply->content_type, reply->body.data, reply->body.len);
        return;
    }
    (void)error_set(&e, code, "the node that has the events is lost");
    http_reply_failure(req, &e, "ask again");
}

static void dark_ask_on_close(struct http_request *req, void *arg)
{
    struct events_dark_ask *ask = arg;
    node_call_end(ask->events->node, ask->call);
    free(ask);
    http_reply(req, 499, NULL, NULL, 0);
}

bool events_dark_pass(struct events *events, struct http_request *req)
{
    Wire__ApiRequest request = WIRE__API_REQUEST__INIT;
    const char *target = http_request_target(req);
    uint64_t to = events_dark_other(events);
    if (to == 0 || http_request_query(req, "here") != NULL)
        return false;
    struct events_dark_ask *ask = mem_zalloc(sizeof *ask);
    char *path = mem_printf("%s%chere=true", target, strchr(target, '?') != NULL ? '&' : '?');
    ask->events = events;
    ask->req = req;
    request.method = (char *)(uintptr_t) "GET";
    request.path = path;
    request.user = (char *)(uintptr_t)http_request_user(req);
    request.here = true;
    request.hops = 1;
    http_request_on_close(req, dark_ask_on_close, ask);
    ask->call = node_call(events->node, to, WIRE_API_REQUEST, &request.base, false,
                          EVENTS_DARK_PASS_MS, dark_ask_on_reply, ask);
    free(path);
    return true;
}

/* ---- the state as this node sees it ---------------------------------------------------------- */

/* The row of a node that no frame has. */
static json_t *events_dark_node(const Wire__Node *member, bool up)
{
    return json_pack("{s:o, s:I, s:s, s:s, s:s, s:s, s:I, s:b, s:o, s:o, s:s}", "name",
                     api_json_text(member->name), "id", (json_int_t)member->id, "state",
                     up ? "online" : "offline", "kind", member->poll ? "agent" : "node", "address",
                     member->peer_address, "api_address", member->api_address, "slots",
                     (json_int_t)member->slots, "draining", member->draining, "drain_reason",
                     api_json_text(member->drain_reason), "joined_at",
                     api_json_time(member->joined_ms), "version", member->version);
}

/* As the leader's detector would; NULL: nothing is known of it. */
static const char *events_dark_state(const struct events *events, const Wire__Node *member)
{
    const struct node_options *options = node_options(events->node);
    int64_t heard_ms = events_vitals_heard_ms(events, member->id);
    int64_t silent_ms = loop_now_ms(node_loop(events->node)) -
                        (heard_ms > events->dark_ms ? heard_ms : events->dark_ms);
    if (member->id == node_id(events->node) || node_session(events->node, member->id) != 0)
        return "online";
    if (member->poll || !node_keeps_link(events->node, member->id))
        return NULL;
    return silent_ms >= (int64_t)options->offline_after_ms   ? "offline"
           : silent_ms >= (int64_t)options->suspect_after_ms ? "suspect"
                                                             : NULL;
}

json_t *events_dark_fixes(const struct events *events)
{
    const struct node *node = events->node;
    const Wire__Members *members = node_members(node);
    json_t *fixes = json_array();
    struct node_election election;
    for (size_t i = 0; i < members->n_nodes; i++) {
        const Wire__Node *member = members->nodes[i];
        const char *state = events_dark_state(events, member);
        json_t *row = json_pack("{s:b}", "leader", 0);
        if (member->removed) {
            json_decref(row);
            continue;
        }
        if (state != NULL)
            (void)json_object_set_new(row, "state", json_string(state));
        bool up = state != NULL && strcmp(state, "online") == 0;
        json_array_append_new(
            fixes, json_pack("{s:s, s:o, s:o, s:o, s:b}", "table", "nodes", "key",
                             api_json_text(member->name), "row", row, "base",
                             events_dark_node(member, up), "linked",
                             member->id == node_id(node) || node_session(node, member->id) != 0));
    }
    for (unsigned i = 0; node_election(node, i, &election); i++)
        json_array_append_new(
            fixes, json_pack("{s:s, s:s, s:o, s:o}", "table", "elections", "key", election.group,
                             "row", status_election_json(node, &election), "base", json_object()));
    return fixes;
}

/* As the leader has it: a replica that is not linked is offline. */
static void events_dark_fix_raft(struct event_state *state, const char *name, bool linked)
{
    if (event_state_row(state, "raft", name) == NULL)
        return;
    json_t *patch = json_pack("{s:b, s:s}", "leader", 0, "state", linked ? "online" : "offline");
    (void)event_state_patch(state, "raft", name, patch, false);
    json_decref(patch);
}

/* A node that is here is as it was, unless it was not. */
static void events_dark_fix_node(struct event_state *state, const char *name, json_t *row)
{
    const char *now = json_string_value(json_object_get(row, "state"));
    const char *text = event_state_row(state, "nodes", name);
    json_t *old = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const char *was = json_string_value(json_object_get(old, "state"));
    if (now != NULL && was != NULL && strcmp(now, "online") == 0) {
        if (strcmp(was, "suspect") != 0 && strcmp(was, "offline") != 0)
            (void)json_object_del(row, "state");
        else if (json_is_true(json_object_get(old, "draining")))
            (void)json_object_set_new(row, "state", json_string("draining"));
    }
    (void)event_state_patch(state, "nodes", name, row, false);
    json_decref(old);
}

void events_dark_fix(struct event_state *state, const json_t *fixes)
{
    const json_t *fix;
    size_t i;
    json_array_foreach(fixes, i, fix)
    {
        const char *table = json_string_value(json_object_get(fix, "table"));
        const char *key = json_string_value(json_object_get(fix, "key"));
        if (event_state_row(state, table, key) == NULL)
            (void)event_state_patch(state, table, key, json_object_get(fix, "base"), false);
        if (strcmp(table, "nodes") == 0) {
            events_dark_fix_node(state, key, json_object_get(fix, "row"));
            events_dark_fix_raft(state, key, json_is_true(json_object_get(fix, "linked")));
        } else {
            (void)event_state_patch(state, table, key, json_object_get(fix, "row"), false);
        }
    }
}

/* ---- how the nodes are ----------------------------------------------------------------------- */

void events_on_vitals(void *self, uint64_t from, const ProtobufCMessage *message)
{
    struct events *events = self;
    const Wire__EventVitals *heard = (const Wire__EventVitals *)message;
    if (heard->vitals == NULL || events_has_collector(events) ||
        node_member(events->node, from) == NULL)
        return;
    events_vitals_take(events, from, heard->vitals);
    events_vitals_set_position(events, from, heard->position);
}
