/* Who belongs to the log. The last entry of the log that names members counts from the moment it is
 * in the log, delivered or not; when it is cut off again the one before does. */
#include <assert.h>
#include <string.h>

#include "core/order_internal.h"

/* ---- wire <-> struct ------------------------------------------------------------------------- */

int order_member_from_wire(const Wire__ChatMember *wire, struct order_member *member)
{
    *member = (struct order_member){.id = wire->id, .voter = wire->voter};
    if (wire->id == 0 || strlen(wire->address) >= sizeof member->address)
        return ERR_PROTOCOL;
    if (wire->uuid[0] != '\0' && uuid_parse(wire->uuid, &member->uuid) < 0)
        return ERR_PROTOCOL;
    strcpy(member->address, wire->address);
    return 0;
}

Wire__ChatMember *order_member_to_wire(const struct order_member *member)
{
    Wire__ChatMember *wire = mem_alloc(sizeof *wire);
    char text[UUID_TEXT_MAX];
    wire__chat_member__init(wire);
    wire->id = member->id;
    wire->voter = member->voter;
    wire->address = mem_strdup(member->address);
    if (!uuid_is_nil(&member->uuid))
        wire->uuid = mem_strdup(uuid_format(&member->uuid, text));
    return wire;
}

Wire__ChatMember **order_members_to_wire(const struct order_conf *conf)
{
    Wire__ChatMember **members = mem_calloc(ORDER_MEMBERS_MAX, sizeof(Wire__ChatMember *));
    for (size_t i = 0; i < conf->n; i++)
        members[i] = order_member_to_wire(&conf->members[i]);
    return members;
}

/* Ascending ids, at least one voter. */
static bool order_conf_is_right(const struct order_conf *conf)
{
    bool voter = false;
    for (size_t i = 0; i < conf->n; i++) {
        if (conf->members[i].id == 0 || (i > 0 && conf->members[i].id <= conf->members[i - 1].id))
            return false;
        voter = voter || conf->members[i].voter;
    }
    return voter;
}

int order_conf_decode(const struct order_entry *entry, struct order_conf *conf)
{
    Wire__ChatMembers *members =
        wire__chat_members__unpack(NULL, entry->payload_len, entry->payload);
    if (members == NULL)
        return ERR_PROTOCOL;
    int err = members->n_members > ORDER_MEMBERS_MAX ? ERR_PROTOCOL : 0;
    *conf = (struct order_conf){.seq = entry->seq};
    for (size_t i = 0; i < members->n_members && err == 0; i++)
        err = order_member_from_wire(members->members[i], &conf->members[conf->n++]);
    wire__chat_members__free_unpacked(members, NULL);
    if (err == 0 && !order_conf_is_right(conf))
        err = ERR_PROTOCOL;
    return err;
}

/* ---- which list counts ----------------------------------------------------------------------- */

void order_conf_changed(struct order *order)
{
    bool member = order_conf_find(order_conf(order), order->config.id) != NULL;
    order_peers_refresh(order);
    order->update->members_changed = true;
    if (member && order->state == ORDER_STATE_OUTSIDE) {
        order->joining = false;
        order_set_state(order, ORDER_STATE_FOLLOWER, order->leader, "taken in");
        order_elect_later(order, order->heard_ms != 0 ? order->config.leader_timeout_ms
                                                      : order_answer_ms(order));
    } else if (!member && order->state != ORDER_STATE_OUTSIDE &&
               order->state != ORDER_STATE_LEADING) {
        order_set_state(order, ORDER_STATE_OUTSIDE, order->leader, "removed");
    }
}

void order_conf_push(struct order *order, const struct order_conf *conf)
{
    MEM_GROW(order->confs, order->confs_cap, order->confs_n + 1);
    order->confs[order->confs_n++] = *conf;
    order_conf_changed(order);
}

void order_conf_truncate(struct order *order, uint64_t seq)
{
    size_t n = order->confs_n;
    while (order->confs_n > 1 && order->confs[order->confs_n - 1].seq > seq &&
           !ORDER_BUG(MEMBERS_STAY))
        order->confs_n--;
    if (order->confs_n != n)
        order_conf_changed(order);
}

void order_conf_delivered(struct order *order)
{
    size_t drop = 0;
    while (drop + 1 < order->confs_n && order->confs[drop + 1].seq <= order->delivered_seq)
        drop++;
    memmove(order->confs, order->confs + drop, (order->confs_n - drop) * sizeof *order->confs);
    order->confs_n -= drop;
    if (ORDER_BUG(MEMBERS_LATE))
        order_conf_changed(order);
}

bool order_members_changing(const struct order *order)
{
    if (ORDER_BUG(MEMBERS_AT_ONCE))
        return false;
    return order->confs[order->confs_n - 1].seq > order->delivered_seq ||
           (order->state == ORDER_STATE_LEADING && order->delivered_seq < order->lead_seq);
}

/* ---- changes --------------------------------------------------------------------------------- */

static void order_member_change(struct order *order, struct order_conf *conf)
{
    Wire__ChatMembers wire = WIRE__CHAT_MEMBERS__INIT;
    assert(order_conf_is_right(conf));
    wire.n_members = conf->n;
    wire.members = order_members_to_wire(conf);
    size_t len = wire__chat_members__get_packed_size(&wire);
    uint8_t *payload = mem_alloc(len);
    wire__chat_members__pack(&wire, payload);
    struct order_entry entry = {
        .type = ORDER_ENTRY_MEMBERS, .payload = payload, .payload_len = (uint32_t)len};
    order_lead_append(order, &entry);
    conf->seq = order->log.last_seq;
    for (size_t i = 0; i < conf->n; i++)
        wire__chat_member__free_unpacked(wire.members[i], NULL);
    free(wire.members);
    free(payload);
    order_record_append(order, conf->seq);
    order_conf_push(order, conf);
}

static struct order_member *order_member_find(struct order_conf *conf, uint64_t id)
{
    for (size_t i = 0; i < conf->n; i++) {
        if (conf->members[i].id == id)
            return &conf->members[i];
    }
    return NULL;
}

static void order_member_insert(struct order_conf *conf, const struct order_member *member)
{
    size_t at = conf->n++;
    for (; at > 0 && conf->members[at - 1].id > member->id; at--)
        conf->members[at] = conf->members[at - 1];
    conf->members[at] = *member;
    conf->members[at].voter = false;
}

int order_member_put(struct order *order, const struct order_member *member)
{
    if (order->state != ORDER_STATE_LEADING)
        return ERR_NOT_LEADER;
    if (member->id == 0 || memchr(member->address, '\0', sizeof member->address) == NULL)
        return ERR_INVALID;
    struct order_conf conf = *order_conf(order);
    struct order_member *known = order_member_find(&conf, member->id);
    if (known != NULL && !uuid_is_nil(&known->uuid) &&
        uuid_compare(&known->uuid, &member->uuid) != 0)
        return ERR_EXISTS;
    if (known != NULL && strcmp(known->address, member->address) == 0)
        return 0;
    if (order_members_changing(order))
        return ERR_BUSY;
    if (known == NULL && conf.n == ORDER_MEMBERS_MAX)
        return ERR_TOO_LARGE;
    if (known != NULL)
        strcpy(known->address, member->address);
    else
        order_member_insert(&conf, member);
    order_member_change(order, &conf);
    return 0;
}

int order_member_remove(struct order *order, uint64_t id)
{
    if (order->state != ORDER_STATE_LEADING)
        return ERR_NOT_LEADER;
    struct order_conf conf = *order_conf(order);
    struct order_member *known = order_member_find(&conf, id);
    if (known == NULL)
        return ERR_NOT_FOUND;
    if (order_members_changing(order))
        return ERR_BUSY;
    size_t at = (size_t)(known - conf.members);
    memmove(known, known + 1, (conf.n - at - 1) * sizeof *known);
    conf.n--;
    if (!order_conf_is_right(&conf))
        return ERR_INVALID;
    order_member_change(order, &conf);
    return 0;
}

/* A learner that has the log becomes a voter; a leader that was removed goes. */
void order_member_work(struct order *order)
{
    if (order->state != ORDER_STATE_LEADING || order_members_changing(order))
        return;
    if (order_conf_find(order_conf(order), order->config.id) == NULL) {
        order_resign(order, "removed");
        order_set_state(order, ORDER_STATE_OUTSIDE, 0, "removed");
        return;
    }
    const struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        bool ready = peer->member && !peer->voter && peer->linked && !peer->damaged &&
                     !peer->full && !peer->probing && peer->match_seq > 0 &&
                     peer->match_seq + order->config.close_max >= order->log.last_seq;
        if (!ready)
            continue;
        struct order_conf conf = *order_conf(order);
        order_member_find(&conf, peer->id)->voter = true;
        order_member_change(order, &conf);
        return;
    }
}

/* ---- forming and joining --------------------------------------------------------------------- */

int order_form(struct order *order, const struct order_event *event)
{
    if (order->meta.group != 0 || order->loaded || order->log.last_seq > 0)
        return ERR_EXISTS;
    struct order_conf conf = {0};
    if (event->group == 0 || event->members_n == 0 || event->members_n > ORDER_MEMBERS_MAX)
        return ERR_INVALID;
    for (size_t i = 0; i < event->members_n; i++) {
        const struct order_member *member = &event->members[i];
        if (memchr(member->address, '\0', sizeof member->address) == NULL ||
            order_member_find(&conf, member->id) != NULL)
            return ERR_INVALID;
        order_member_insert(&conf, member);
    }
    for (size_t i = 0; i < conf.n; i++)
        conf.members[i].voter = true;
    if (order_conf_find(&conf, order->config.id) == NULL || !order_conf_is_right(&conf))
        return ERR_INVALID;
    order->meta.group = event->group;
    order->confs[0] = conf;
    struct buf snapshot;
    buf_init(&snapshot, ORDER_SNAPSHOT_BYTES_MAX);
    int err = order_snapshot(order, &snapshot);
    assert(err == 0);
    (void)err;
    struct order_record *record = order_record_add(order, ORDER_RECORD_INSTALL);
    record->snapshot_len = snapshot.len;
    record->snapshot = buf_steal(&snapshot, NULL);
    order_update_own(order->update, (void *)record->snapshot);
    order_record_meta(order);
    order->loaded = true;
    order_conf_changed(order);
    return 0;
}

void order_join_work(struct order *order)
{
    if (!order->joining || order->state != ORDER_STATE_OUTSIDE || order->now_ms < order->join_ms)
        return;
    order->join_ms = order->now_ms + order->config.heartbeat_ms;
    struct order_member self = {.id = order->config.id, .uuid = order->config.uuid};
    (void)strncpy(self.address, order->address, sizeof self.address - 1);
    const struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        Wire__ChatJoin *join = order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_JOIN);
        if (join != NULL)
            join->member = order_member_to_wire(&self);
    }
}

static const char *order_join_text(int code)
{
    switch (code) {
    case 0:
        return "";
    case ERR_EXISTS:
        return "another node has this id: give this one its own";
    case ERR_BUSY:
        return "another change of members is under way";
    case ERR_NOT_LEADER:
        return "ask the leader";
    default:
        return err_text(code);
    }
}

/* Who asks to be taken in has no log. One that had a vote has forgotten what it acknowledged and
 * promised: it becomes a learner, and is let in once that is delivered. */
static int order_member_enter(struct order *order, struct order_peer *peer,
                              const struct order_member *member)
{
    bool is_new = order_conf_find(order_conf(order), member->id) == NULL;
    int code = order_member_put(order, member);
    if (code < 0 || is_new)
        return code;
    if (order_members_changing(order))
        return ERR_BUSY;
    struct order_conf conf = *order_conf(order);
    struct order_member *known = order_member_find(&conf, member->id);
    if (!known->voter)
        return 0;
    known->voter = false;
    order_lead_reset_peer(order, peer);
    order_member_change(order, &conf);
    order_trouble(order, "node %llu has lost its log: it votes again once it has the others'",
                  (unsigned long long)member->id);
    return ERR_BUSY;
}

int order_on_join(struct order *order, struct order_peer *peer, const Wire__ChatJoin *join)
{
    struct order_member member;
    if (join->member == NULL || order_member_from_wire(join->member, &member) < 0 ||
        member.id != peer->id)
        return ERR_PROTOCOL;
    int code = join->leave ? order_member_remove(order, member.id)
                           : order_member_enter(order, peer, &member);
    Wire__ChatJoinReply *reply = order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_JOIN_REPLY);
    if (reply == NULL)
        return 0;
    const struct order_member *leader = order_conf_find(order_conf(order), order->leader);
    reply->code = code;
    reply->text = mem_strdup(order_join_text(code));
    reply->leader = order->leader;
    reply->leader_address = mem_strdup(leader != NULL ? leader->address : "");
    reply->n_members = order_conf(order)->n;
    reply->members = order_members_to_wire(order_conf(order));
    return 0;
}

int order_on_join_reply(struct order *order, uint64_t group, const Wire__ChatJoinReply *reply)
{
    if (!order->joining || order->state != ORDER_STATE_OUTSIDE)
        return 0;
    if (reply->n_members > ORDER_MEMBERS_MAX || (reply->code == 0 && group == 0))
        return ERR_PROTOCOL;
    struct order_member *hints = mem_calloc(ORDER_MEMBERS_MAX, sizeof *hints);
    size_t n = 0;
    for (size_t i = 0; i < reply->n_members; i++) {
        if (order_member_from_wire(reply->members[i], &hints[n]) == 0)
            n++;
    }
    if (n > 0) {
        free(order->hints);
        order->hints = hints;
        order->hints_n = n;
        order->update->members_changed = true;
    } else {
        free(hints);
    }
    if (reply->code == 0 && order->meta.group != group) {
        order->meta.group = group;
        order_record_meta(order);
    } else if (reply->code < 0 && reply->code != ERR_NOT_LEADER && reply->code != ERR_BUSY) {
        order_trouble(order, "not taken in: %s", order_join_text(reply->code));
    }
    return 0;
}
