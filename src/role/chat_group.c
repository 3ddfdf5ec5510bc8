/* Founding the group or joining it, and keeping its members those of the cluster.
 *
 * Happy path: a node without a group asks the cluster's state who founds it. The first to write its
 * name there does, alone; the others join through any member. The leader of the group notes behind
 * the name that it is founded, takes out who left the cluster, lost its disk or its role, and
 * follows changed addresses.
 *
 * How it fails: nobody leads the cluster's state: asked again later. The founder dies before it
 * founded: it does so when it comes back, under the name written down; a founder that lost its
 * disk since is another one, and joins, as does one that finds that it has founded already and
 * has nothing of it: its log was lost. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "role/chat_internal.h"
#include "run/http_router.h"

#define GROUP_KEY "/api/kv/clusterd.chat.group"
#define FOUNDED   " founded"

enum { RETRY_MS = 500 };

struct chat_group {
    struct chat *chat;
    struct http_request *asking; /* under way */
    bool busy;
    bool joining;
    bool noted; /* that it is founded, as far as this node has to care */
    struct loop_timer retry;
};

static const struct log_about group_log = {.role = "chat"};

/* ---- who founds ------------------------------------------------------------------------------ */

static void found_group(struct chat_group *group, uint64_t number)
{
    struct chat *chat = group->chat;
    struct order_member member = {.id = chat->id, .voter = true};
    const struct node_options *options = node_options(chat->node);
    (void)uuid_parse(options->uuid, &member.uuid);
    (void)snprintf(member.address, sizeof member.address, "%s", options->peer_address);
    struct order_event event = {
        .type = ORDER_EVENT_FORM, .members = &member, .members_n = 1, .group = number};
    int rc = chat_step(chat, &event);
    if (rc == 0)
        log_info(&group_log, "this node founds the chat");
    else if (rc != ERR_EXISTS)
        log_error(LOG_ABOUT(.role = "chat", .code = rc), "cannot found the chat: %s", err_text(rc));
}

static void join_group(struct chat_group *group)
{
    struct order_event event = {.type = ORDER_EVENT_JOIN};
    int rc = chat_step(group->chat, &event);
    group->joining = rc == 0 || rc == ERR_EXISTS;
}

static void request(struct chat_group *group, const char *method, const char *target,
                    const char *value, http_result_fn fn)
{
    struct chat *chat = group->chat;
    struct http_message message = {
        .method = method,
        .target = target,
        .user = "clusterd",
        .body = value,
        .body_len = strlen(value),
    };
    group->busy = true;
    struct http_request *req = http_dispatch(node_router(chat->node), &message, fn, group);
    if (group->busy)
        group->asking = req;
}

/* 200: it is as we wanted it, 409: somebody was first; either way it is read again. */
static void on_put(void *arg, const struct http_result *result)
{
    struct chat_group *group = arg;
    (void)result;
    group->busy = false;
    group->asking = NULL;
    if (!group->chat->stopping)
        loop_timer_start(&group->retry, 0);
}

static void claim(struct chat_group *group)
{
    char value[128];
    uint64_t number;
    random_bytes(&number, sizeof number);
    (void)snprintf(value, sizeof value, "%016" PRIx64 " %" PRIu64 " %s", number | 1,
                   node_id(group->chat->node), node_options(group->chat->node)->uuid);
    request(group, "PUT", GROUP_KEY "?if_version=0", value, on_put);
}

static void note_founded(struct chat_group *group, const char *founder)
{
    char value[128 + sizeof FOUNDED];
    (void)snprintf(value, sizeof value, "%s" FOUNDED, founder);
    request(group, "PUT", GROUP_KEY, value, on_put);
}

static bool is_in_group(const struct chat_group *group, uint64_t *number)
{
    struct order_view view;
    order_view(group->chat->order, &view);
    *number = view.group;
    return view.group != 0;
}

/* "GROUP NODE UUID", then perhaps that it is founded, as the cluster has it. */
static void take_founder(struct chat_group *group, const char *text)
{
    const struct node_options *options = node_options(group->chat->node);
    uint64_t number;
    uint64_t node;
    uint64_t own;
    char uuid[UUID_TEXT_MAX];
    if (sscanf(text, "%16" SCNx64 " %" SCNu64 " %36s", &number, &node, uuid) != 3 || number == 0) {
        log_error(&group_log, "the key clusterd.chat.group holds no founder: delete it");
        return;
    }
    bool is_me = node == node_id(group->chat->node) && strcmp(uuid, options->uuid) == 0;
    bool is_founded = str_ends_with(text, FOUNDED);
    if (is_in_group(group, &own)) {
        group->noted = is_founded || own != number;
        if (!group->noted)
            note_founded(group, text);
    } else if (is_me && !is_founded) {
        found_group(group, number);
    } else {
        if (is_me)
            log_warn(&group_log, "this node founded the chat and has lost its log: it joins the "
                                 "others (if all have lost theirs, delete the key "
                                 "clusterd.chat.group and restart them)");
        join_group(group);
    }
}

static void retry_later(struct chat_group *group)
{
    if (!group->chat->stopping)
        loop_timer_start(&group->retry, RETRY_MS);
}

/* Nobody founds: this node does, or, in a group, has nothing to note. */
static void take_nobody(struct chat_group *group)
{
    uint64_t number;
    group->noted = is_in_group(group, &number);
    if (!group->noted)
        claim(group);
}

static void on_asked(void *arg, const struct http_result *result)
{
    struct chat_group *group = arg;
    group->busy = false;
    group->asking = NULL;
    if (group->chat->stopping)
        return;
    char text[128];
    (void)snprintf(text, sizeof text, "%.*s",
                   (int)(result->body_len < 127 ? result->body_len : 127),
                   (const char *)result->body);
    if (result->status == 404)
        take_nobody(group);
    else if (result->status == 200)
        take_founder(group, text);
    if (!group->busy)
        retry_later(group);
}

static void ask(struct chat_group *group)
{
    request(group, "GET", GROUP_KEY, "", on_asked);
}

/* ---- members that left ----------------------------------------------------------------------- */

static void remove_member(struct chat *chat, const struct order_member *member, const char *why)
{
    struct order_event event = {.type = ORDER_EVENT_MEMBER_REMOVE, .peer = member->id};
    if (chat_step(chat, &event) == 0)
        log_info(&group_log, "%s leaves the chat: %s", chat_name(chat, member->id), why);
}

/* Compares one member with the cluster's list; true when a change was begun. */
static bool settle_member(struct chat *chat, const struct order_member *member)
{
    const Wire__Node *row = node_member(chat->node, chat_cluster_id(member->id));
    struct uuid uuid;
    if (row == NULL || member->id == chat->id)
        return false;
    const char *why = NULL;
    if (row->removed)
        why = "it was removed from the cluster";
    else if ((row->roles & WIRE__NODE_ROLE__NODE_ROLE_CHAT) == 0)
        why = "it has not the role any more";
    else if (uuid_parse(row->uuid, &uuid) == 0 && !uuid_is_nil(&member->uuid) &&
             uuid_compare(&uuid, &member->uuid) != 0)
        why = "it has another disk";
    if (why != NULL) {
        remove_member(chat, member, why);
        return true;
    }
    if (row->peer_address[0] == '\0' || strcmp(row->peer_address, member->address) == 0)
        return false;
    struct order_member changed = *member;
    (void)snprintf(changed.address, sizeof changed.address, "%s", row->peer_address);
    struct order_event event = {
        .type = ORDER_EVENT_MEMBER_PUT, .members = &changed, .members_n = 1};
    return chat_step(chat, &event) == 0;
}

static void settle_members(struct chat *chat)
{
    struct order_peer_view members[ORDER_MEMBERS_MAX];
    size_t n = order_members(chat->order, members);
    for (size_t i = 0; i < n; i++)
        if (settle_member(chat, &members[i].member))
            return; /* one at a time */
}

/* ---- life ------------------------------------------------------------------------------------ */

void chat_group_work(struct chat_group *group)
{
    struct chat *chat = group->chat;
    if (chat->order == NULL || chat->stopping || node_id(chat->node) == 0)
        return;
    struct order_view view;
    order_view(chat->order, &view);
    if (view.state == ORDER_STATE_LEADING && !view.members_changing)
        settle_members(chat);
    bool is_outside = view.state == ORDER_STATE_OUTSIDE;
    bool must_note = view.state == ORDER_STATE_LEADING && !group->noted;
    if (!is_outside || view.group != 0)
        group->joining = false;
    if (!(is_outside || must_note) || group->joining || group->busy ||
        loop_timer_is_running(&group->retry))
        return;
    if (is_outside && view.group != 0) /* it was one: perhaps with another address or disk */
        join_group(group);
    else
        ask(group);
}

static void on_retry(void *arg)
{
    chat_group_work(arg);
}

struct chat_group *chat_group_new(struct chat *chat)
{
    struct chat_group *group = mem_zalloc(sizeof *group);
    group->chat = chat;
    loop_timer_init(&group->retry, chat->loop, on_retry, group);
    return group;
}

void chat_group_free(struct chat_group *group)
{
    if (group == NULL)
        return;
    loop_timer_stop(&group->retry);
    if (group->busy && group->asking != NULL)
        http_dispatch_cancel(group->asking);
    free(group);
}
