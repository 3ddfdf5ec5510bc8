/* Happy path: links, ticks, requests and the disk become events of the machine during a turn of the
 * loop. At its end messages that clients sent become one event, then what the machine wants is
 * done: records go to the disk, messages to the links, replies to their requests, entries to
 * whoever reads.
 *
 * How it fails: a disk that takes no more writes is opened again every few seconds; until then the
 * node answers what it has and leads nothing. */
#include "role/chat.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/str.h"
#include "role/chat_internal.h"

static const struct log_about chat_log = {.role = "chat"};

enum { ID_BITS = 32 };

#define CHAT_TRACE_SHARE 0.01 /* of the traces that are recorded elsewhere: messages are many */

uint64_t chat_cluster_id(uint64_t id)
{
    return id & (((uint64_t)1 << ID_BITS) - 1);
}

const char *chat_name(const struct chat *chat, uint64_t id)
{
    return node_member_name(chat->node, chat_cluster_id(id));
}

uint64_t chat_delivered(const struct chat *chat)
{
    return chat->order != NULL ? order_delivered(chat->order) : 0;
}

uint64_t chat_first(const struct chat *chat)
{
    uint64_t first = chat->disk != NULL ? chat_disk_first(chat->disk) : 1;
    return first > chat->trimmed ? first : chat->trimmed + 1;
}

int chat_step(struct chat *chat, struct order_event *event)
{
    if (chat->order == NULL)
        return ERR_UNAVAILABLE;
    event->now_ms = loop_now_ms(chat->loop);
    event->wall_ms = loop_wall_ms(chat->loop);
    loop_hook_arm(&chat->hook);
    return order_step(chat->order, event, &chat->update);
}

/* ---- messages of clients --------------------------------------------------------------------- */

void chat_submit(struct chat *chat, struct chat_submit *submit,
                 void (*fn)(struct chat_submit *submit, const struct order_reply *reply))
{
    struct order_submit *s = &submit->submit;
    submit->fn = fn;
    submit->since_us = clock_mono_us();
    submit->span = trace_root(&submit->trace, CHAT_TRACE_SHARE, "chat append", TRACE_SERVER);
    submit->strings = mem_alloc((size_t)s->channel_len + s->sender_len + s->payload_len + 1);
    memcpy(submit->strings, s->channel, s->channel_len);
    memcpy(submit->strings + s->channel_len, s->sender, s->sender_len);
    memcpy(submit->strings + s->channel_len + s->sender_len, s->payload, s->payload_len);
    s->channel = submit->strings;
    s->sender = s->channel + s->channel_len;
    s->payload = s->sender + s->sender_len;
    s->token = (uint64_t)(uintptr_t)submit;
    STAILQ_INSERT_TAIL(&chat->staged, submit, staged);
    chat->staged_n++;
    TAILQ_INSERT_TAIL(&chat->submits, submit, entry);
    chat->submits_n++;
    loop_hook_arm(&chat->hook);
}

static void on_forgotten(struct chat_submit *submit, const struct order_reply *reply)
{
    (void)reply;
    free(submit);
}

void chat_submit_forget(struct chat *chat, struct chat_submit *submit)
{
    (void)chat;
    submit->fn = on_forgotten; /* the machine still answers */
}

static void count_submit(const struct chat_submit *submit, int code)
{
    static struct metric_series *good;
    if (code < 0) {
        metric_series_add(metric_series(METRIC_CHAT_SUBMITS, err_name(code)), 1);
        return;
    }
    if (good == NULL)
        good = metric_series(METRIC_CHAT_SUBMITS, "ok");
    metric_series_add(good, 1);
    metric_observe_since(METRIC_CHAT_SUBMIT, submit->since_us);
}

static void answer(struct chat *chat, struct chat_submit *submit, const struct order_reply *reply)
{
    TAILQ_REMOVE(&chat->submits, submit, entry);
    chat->submits_n--;
    free(submit->strings);
    submit->strings = NULL;
    count_submit(submit, reply->code);
    trace_number(submit->span, "clusterd.chat.seq", (int64_t)reply->seq);
    trace_end(submit->span, reply->code, NULL);
    submit->span = NULL;
    submit->fn(submit, reply);
}

static void answer_all(struct chat *chat, int code)
{
    STAILQ_INIT(&chat->staged);
    chat->staged_n = 0;
    struct chat_submit *submit;
    while ((submit = TAILQ_FIRST(&chat->submits)) != NULL)
        answer(chat, submit,
               &(struct order_reply){
                   .client = submit->submit.client, .number = submit->submit.number, .code = code});
}

static void step_submits(struct chat *chat)
{
    if (STAILQ_EMPTY(&chat->staged))
        return;
    if (chat->order == NULL) {
        answer_all(chat, ERR_NO_LEADER);
        return;
    }
    struct order_submit *submits = mem_calloc(chat->staged_n, sizeof *submits);
    size_t n = 0;
    const struct chat_submit *submit;
    STAILQ_FOREACH (submit, &chat->staged, staged)
        submits[n++] = submit->submit;
    STAILQ_INIT(&chat->staged);
    chat->staged_n = 0;
    struct order_event event = {.type = ORDER_EVENT_SUBMIT, .submits = submits, .submits_n = n};
    int rc = chat_step(chat, &event);
    assert(rc == 0);
    (void)rc;
    free(submits);
}

/* ---- links ----------------------------------------------------------------------------------- */

static struct chat_peer *find_peer(const struct chat *chat, uint64_t cluster_id)
{
    struct chat_peer *peer = NULL;
    HASH_FIND(hh, chat->peers, &cluster_id, sizeof cluster_id, peer);
    return peer;
}

static void tell_link(struct chat *chat, const struct chat_peer *peer, bool up)
{
    struct order_event event = {.type = up ? ORDER_EVENT_LINK_UP : ORDER_EVENT_LINK_DOWN,
                                .peer = peer->id};
    (void)chat_step(chat, &event);
}

/* A peer turns out to have another number in the group than was thought. */
static void rename_peer(struct chat *chat, struct chat_peer *peer, uint64_t id)
{
    if (peer->id == id)
        return;
    tell_link(chat, peer, false);
    peer->id = id;
    tell_link(chat, peer, true);
}

/* Who has the role and a link is a peer; the members of the group know their numbers. */
static void update_peer(struct chat *chat, uint64_t cluster_id)
{
    const Wire__Node *row = node_member(chat->node, cluster_id);
    bool up = cluster_id != node_id(chat->node) && node_session(chat->node, cluster_id) != 0 &&
              row != NULL && (row->roles & WIRE__NODE_ROLE__NODE_ROLE_CHAT) != 0 && !row->removed;
    struct chat_peer *peer = find_peer(chat, cluster_id);
    if (up && peer == NULL) {
        peer = mem_zalloc(sizeof *peer);
        peer->cluster_id = peer->id = cluster_id;
        HASH_ADD(hh, chat->peers, cluster_id, sizeof peer->cluster_id, peer);
        struct order_peer_view members[ORDER_MEMBERS_MAX];
        size_t n = chat->order != NULL ? order_members(chat->order, members) : 0;
        for (size_t i = 0; i < n; i++)
            if (chat_cluster_id(members[i].member.id) == cluster_id)
                peer->id = members[i].member.id;
        tell_link(chat, peer, true);
    } else if (!up && peer != NULL) {
        tell_link(chat, peer, false);
        HASH_DEL(chat->peers, peer);
        free(peer);
    }
}

static void chat_on_link(void *self, uint64_t peer, uint64_t session)
{
    struct chat *chat = self;
    struct chat_peer *known = find_peer(chat, peer);
    if (known != NULL && session != 0) { /* another link in the place of the last one */
        tell_link(chat, known, false);
        tell_link(chat, known, true);
        return;
    }
    update_peer(chat, peer);
}

static void chat_on_members(void *self)
{
    struct chat *chat = self;
    const Wire__Members *members = node_members(chat->node);
    for (size_t i = 0; i < members->n_nodes; i++)
        update_peer(chat, members->nodes[i]->id);
    chat_group_work(chat->group);
}

/* Which of two with one priority leads is up to their numbers in the cluster: nobody chose that. */
static void look_for_twin(struct chat *chat, uint64_t id)
{
    if (chat->twin_said || id == chat->id || id >> ID_BITS != chat->id >> ID_BITS ||
        id >> ID_BITS == 0)
        return;
    chat->twin_said = true;
    log_warn(LOG_ABOUT(.role = "chat", .peer = chat_name(chat, id)),
             "%s has the same chat.node_id %llu: the one that joined the cluster later goes "
             "first; give each its own",
             chat_name(chat, id), (unsigned long long)(id >> ID_BITS));
}

static void take_members(struct chat *chat)
{
    struct order_peer_view members[ORDER_MEMBERS_MAX];
    size_t n = order_members(chat->order, members);
    for (size_t i = 0; i < n; i++) {
        look_for_twin(chat, members[i].member.id);
        struct chat_peer *peer = find_peer(chat, chat_cluster_id(members[i].member.id));
        if (peer != NULL)
            rename_peer(chat, peer, members[i].member.id);
    }
}

/* An append with a lump: what is in it. */
static int take_lump(struct chat *chat, const Wire__ChatMessage *message, struct order_event *event)
{
    if (message->kind_case != WIRE__CHAT_MESSAGE__KIND_APPEND || message->append->lump.len == 0)
        return 0;
    int rc =
        chat_disk_lump_take(&chat->lump, message->append->lump.data, message->append->lump.len);
    event->entries = chat->lump.batch.entries;
    event->entries_n = chat->lump.batch.n;
    event->lump_ends = chat->lump.ends;
    return rc;
}

static void chat_on_message(void *self, uint64_t from, const ProtobufCMessage *base)
{
    struct chat *chat = self;
    const Wire__ChatMessage *message = (const Wire__ChatMessage *)base;
    struct chat_peer *peer = find_peer(chat, from);
    if (peer == NULL)
        return; /* it has no such role, as far as is known here */
    if (chat_cluster_id(message->sender) != from) {
        log_warn(LOG_ABOUT(.role = "chat", .peer = node_member_name(chat->node, from)),
                 "speaks as another node: ignored");
        return;
    }
    rename_peer(chat, peer, message->sender);
    struct order_event event = {.type = ORDER_EVENT_MESSAGE, .peer = peer->id, .message = message};
    int rc = take_lump(chat, message, &event);
    if (rc == 0)
        rc = chat_step(chat, &event);
    if (rc < 0 && rc != ERR_UNAVAILABLE)
        log_warn(LOG_ABOUT(.role = "chat", .peer = node_member_name(chat->node, from), .code = rc),
                 "a message was refused: %s", err_text(rc));
}

/* ---- the disk -------------------------------------------------------------------------------- */

static void chat_on_persisted(void *arg, uint64_t record)
{
    struct chat *chat = arg;
    struct order_event event = {.type = ORDER_EVENT_PERSISTED, .record = record};
    (void)chat_step(chat, &event);
}

static void chat_on_space(void *arg, int code)
{
    struct chat *chat = arg;
    if (code < 0)
        log_error(LOG_ABOUT(.role = "chat", .code = code),
                  "%s has no room for the next segment of the log: messages are refused until "
                  "there is",
                  chat->dir);
    else
        log_info(&chat_log, "%s has room again", chat->dir);
    chat->disk_code = code;
    struct order_event event = {.type = ORDER_EVENT_DISK, .disk_code = code};
    (void)chat_step(chat, &event);
}

static void chat_on_trimmed(void *arg, uint64_t seq)
{
    struct chat *chat = arg;
    struct order_event event = {.type = ORDER_EVENT_TRIMMED, .seq = seq};
    (void)chat_step(chat, &event);
}

/* The machine goes with its disk; both come back together. */
static void drop_machine(struct chat *chat)
{
    order_free(chat->order);
    chat->order = NULL;
    order_update_done(&chat->update);
    chat->update = (struct order_update){0};
    loop_timer_stop(&chat->timer);
    answer_all(chat, ERR_OUTCOME_UNKNOWN);
}

static void on_disk_failed(void *arg, const struct error *e)
{
    struct chat *chat = arg;
    log_error(LOG_ABOUT(.role = "chat", .code = e->code),
              "%s: this node takes no part in the chat until its disk can be written again",
              e->text);
    chat->disk_away = true;
    loop_hook_arm(&chat->hook);
}

static const struct chat_disk_options disk_callbacks = {
    .on_persisted = chat_on_persisted,
    .on_space = chat_on_space,
    .on_failed = on_disk_failed,
    .on_trimmed = chat_on_trimmed,
};

static void configure(const struct chat *chat, struct order_config *config)
{
    const struct node_options *options = node_options(chat->node);
    order_config_default(config);
    config->id = chat->id;
    (void)uuid_parse(options->uuid, &config->uuid);
    config->address = options->peer_address;
    config->heartbeat_ms = (uint32_t)options->chat.heartbeat_ms;
    config->leader_timeout_ms = (uint32_t)options->chat.leader_timeout_ms;
    config->payload_max = (uint32_t)options->chat.message_bytes_max;
    config->lumps = true;
    random_bytes(&config->hash_seed, sizeof config->hash_seed);
}

static int load(struct chat *chat, const struct chat_disk_found *found, struct error *e)
{
    int rc = 0;
    if (found->id != 0 || found->meta.group != 0)
        rc = order_load_meta(chat->order, &found->meta, e);
    if (rc == 0 && found->snapshot.len > 0)
        rc = order_load_snapshot(chat->order, found->snapshot.data, found->snapshot.len, e);
    return rc == 0 ? chat_disk_load(chat->disk, chat->order, e) : rc;
}

static int check_id(const struct chat *chat, const struct chat_disk_found *found, struct error *e)
{
    if (found->id == 0 || found->id == chat->id)
        return 0;
    return error_set(e, ERR_CONFLICT,
                     "the log in %s was begun by node %llu with priority %llu: set chat.node_id "
                     "back, or remove the directory, and the node fetches the log from the others",
                     chat->dir, (unsigned long long)chat_cluster_id(found->id),
                     (unsigned long long)(found->id >> ID_BITS));
}

static void start_machine(struct chat *chat, const struct chat_disk_found *found)
{
    struct order_event start = {.type = ORDER_EVENT_START, .disk_code = chat->disk_code};
    (void)chat_step(chat, &start);
    if (found->trimmed_seq > 0 && found->meta.group != 0)
        chat_on_trimmed(chat, found->trimmed_seq);
    uint64_t first;
    uint64_t last;
    if (found->meta.damaged && chat_disk_hole(chat->disk, &first, &last)) {
        struct order_event mend = {.type = ORDER_EVENT_MEND, .first = first, .last = last};
        (void)chat_step(chat, &mend);
    }
    const struct chat_peer *peer;
    for (peer = chat->peers; peer != NULL; peer = peer->hh.next)
        tell_link(chat, peer, true);
    chat_on_members(chat);
}

/* Opens the disk, blocking, and starts the machine with what is on it. */
static int open_machine(struct chat *chat, struct error *e)
{
    const struct node_options *options = node_options(chat->node);
    struct chat_disk_options disk_options = disk_callbacks;
    disk_options.dir = chat->dir;
    disk_options.bytes_max = options->chat.keep_bytes;
    disk_options.age_max_ms = (int64_t)options->chat.keep_ms;
    disk_options.arg = chat;
    struct chat_disk_found found;
    int rc = chat_disk_open(&chat->disk, chat->loop, &disk_options, &found, e);
    if (rc < 0)
        return rc;
    if (found.trouble[0] != '\0')
        log_error(&chat_log, "%s", found.trouble);
    struct order_config config;
    configure(chat, &config);
    rc = check_id(chat, &found, e);
    if (rc == 0) {
        chat->order = order_new(&config);
        chat->incarnation++;
        rc = load(chat, &found, e);
    }
    if (rc == 0)
        start_machine(chat, &found);
    else
        drop_machine(chat);
    chat_disk_found_done(&found);
    return rc;
}

static void on_disk_closed(void *arg)
{
    struct chat *chat = arg;
    if (chat->stopping) {
        chat->stopped = true;
        node_role_stopped(chat->node);
        return;
    }
    loop_timer_start(&chat->reopen, CHAT_REOPEN_MS);
}

static void close_disk(struct chat *chat)
{
    struct chat_disk *disk = chat->disk;
    chat_api_disk_gone(chat->api);
    chat->disk = NULL;
    chat_disk_close(disk, on_disk_closed, chat);
}

static void on_reopen(void *arg)
{
    struct chat *chat = arg;
    struct error e;
    chat->disk_code = 0;
    if (open_machine(chat, &e) == 0) {
        log_info(&chat_log, "the log in %s can be written again", chat->dir);
        chat_api_delivered(chat->api);
        return;
    }
    log_error(LOG_ABOUT(.role = "chat", .code = e.code), "%s", e.text);
    if (chat->disk != NULL)
        close_disk(chat);
    else
        loop_timer_start(&chat->reopen, CHAT_REOPEN_MS);
}

/* ---- reads that the machine asks for --------------------------------------------------------- */

struct wanted {
    struct chat *chat;
    uint64_t incarnation;
    uint64_t read;
};

static struct wanted *want(struct chat *chat, const struct order_read *read)
{
    struct wanted *wanted = mem_zalloc(sizeof *wanted);
    *wanted = (struct wanted){.chat = chat, .incarnation = chat->incarnation, .read = read->read};
    return wanted;
}

static void give_read(struct wanted *wanted, struct order_event *event)
{
    event->type = ORDER_EVENT_READ;
    event->read = wanted->read;
    if (wanted->incarnation == wanted->chat->incarnation)
        (void)chat_step(wanted->chat, event);
    if (event->code == ERR_CORRUPT)
        log_error(LOG_ABOUT(.role = "chat", .code = event->code),
                  "the log in %s was damaged while the node ran: restart it to repair the log from "
                  "the other nodes",
                  wanted->chat->dir);
    free(wanted);
}

static void on_entries(void *arg, int code, const struct order_entry *entries, size_t n)
{
    give_read(arg, &(struct order_event){.code = code, .entries = entries, .entries_n = n});
}

static void on_lump(void *arg, int code, const void *bytes, size_t len, size_t n)
{
    give_read(arg,
              &(struct order_event){.code = code, .bytes = bytes, .bytes_len = len, .lump_n = n});
}

static void on_piece(void *arg, int code, uint64_t seq, uint64_t size, const void *data, size_t len)
{
    struct wanted *wanted = arg;
    struct order_event event = {.type = ORDER_EVENT_SNAPSHOT,
                                .read = wanted->read,
                                .code = code,
                                .bytes = data,
                                .bytes_len = len,
                                .snapshot_seq = seq,
                                .snapshot_size = size};
    if (wanted->incarnation == wanted->chat->incarnation)
        (void)chat_step(wanted->chat, &event);
    free(wanted);
}

static void start_read(struct chat *chat, const struct order_read *read)
{
    size_t bytes = read->bytes_max > 0 ? read->bytes_max : 1;
    if (read->type == ORDER_READ_SNAPSHOT) {
        chat_disk_read_snapshot(chat->disk, read->snapshot_seq, read->offset, bytes, on_piece,
                                want(chat, read));
        return;
    }
    uint64_t entries = read->last - read->first + 1;
    unsigned max = entries < 65536 ? (unsigned)entries : 65536;
    if (read->lump)
        (void)chat_disk_read_lump(chat->disk, read->first, max, bytes, on_lump, want(chat, read));
    else
        (void)chat_disk_read(chat->disk, read->first, max, bytes, on_entries, want(chat, read));
}

/* ---- the end of a turn ----------------------------------------------------------------------- */

static void count_change(struct chat *chat, const struct order_change *change)
{
    if (change->to == ORDER_STATE_CLAIMING)
        metric_series_add(metric_series(METRIC_ELECTIONS_STARTED, "chat"), 1);
    if (change->to == ORDER_STATE_LEADING)
        metric_series_add(metric_series(METRIC_ELECTIONS_WON, "chat"), 1);
    if (change->leader != chat->counted_leader || change->term != chat->counted_term)
        metric_series_add(metric_series(METRIC_LEADER_CHANGES, "chat"), 1);
    chat->counted_leader = change->leader;
    chat->counted_term = change->term;
}

static void note_change(struct chat *chat, const struct order_change *change)
{
    chat->past[chat->past_n++ % CHAT_HISTORY_MAX] =
        (struct chat_past){.at_ms = loop_wall_ms(chat->loop), .change = *change};
    chat->since_ms = loop_wall_ms(chat->loop);
    count_change(chat, change);
    log_info(&chat_log, "chat: %s -> %s in term %llu%s%s: %s", order_state_name(change->from),
             order_state_name(change->to), (unsigned long long)change->term,
             change->leader != 0 ? ", leader " : "",
             change->leader != 0 ? chat_name(chat, change->leader) : "", change->reason);
    chat_api_tell_change(chat->api, change);
}

static void send_all(struct chat *chat)
{
    const struct order_update *update = &chat->update;
    for (size_t i = 0; i < update->sends_n; i++) {
        update->sends[i].message->sender = chat->id;
        (void)node_send(chat->node, chat_cluster_id(update->sends[i].peer), WIRE_CHAT_MESSAGE,
                        &update->sends[i].message->base);
    }
}

static void keep_snapshot(struct chat *chat)
{
    struct buf snapshot;
    buf_init(&snapshot, ORDER_SNAPSHOT_BYTES_MAX);
    uint64_t seq = 0;
    int rc = order_snapshot(chat->order, &snapshot);
    if (rc == 0)
        rc = order_snapshot_seq(snapshot.data, snapshot.len, &seq);
    if (rc == 0)
        chat_disk_keep_snapshot(chat->disk, seq, &snapshot);
    else
        log_error(LOG_ABOUT(.role = "chat", .code = rc), "cannot make a snapshot: %s",
                  err_text(rc));
    buf_done(&snapshot);
}

/* What the machine wanted in this turn. Answers and wake-ups come last: they may step it again. */
static const char *chat_name_of(const void *arg, uint64_t id)
{
    const struct chat *chat = arg;
    const Wire__Node *member = node_member(chat->node, chat_cluster_id(id));
    return member != NULL ? member->name : NULL;
}

static void follow_update(struct chat *chat)
{
    struct order_update *update = &chat->update;
    chat_disk_write(chat->disk, chat->id, update->records, update->records_n);
    send_all(chat);
    for (size_t i = 0; i < update->reads_n; i++)
        start_read(chat, &update->reads[i]);
    for (size_t i = 0; i < update->records_n; i++)
        if (update->records[i].type == ORDER_RECORD_META)
            chat_api_tell_promise(chat->api, &update->records[i].meta);
    for (size_t i = 0; i < update->changes_n; i++)
        note_change(chat, &update->changes[i]);
    str_name_ids(update->trouble, sizeof update->trouble, chat_name_of, chat);
    if (update->trouble[0] != '\0')
        log_warn(&chat_log, "%s", update->trouble);
    if (update->snapshot_wanted || update->trim_wanted > chat->trimmed)
        keep_snapshot(chat);
    if (update->trim_wanted > chat->trimmed)
        chat->trim_wanted = update->trim_wanted;
    chat->members_changed = chat->members_changed || update->members_changed;
    for (size_t i = 0; i < update->replies_n; i++)
        answer(chat, (struct chat_submit *)(uintptr_t)update->replies[i].token,
               &update->replies[i]);
    if (update->deliver_last > 0) {
        metric_add(METRIC_CHAT_DELIVERED, update->deliver_last - update->deliver_first + 1);
        chat_api_delivered(chat->api);
    }
}

static void on_timer(void *arg)
{
    struct chat *chat = arg;
    struct order_event event = {.type = ORDER_EVENT_TICK};
    (void)chat_step(chat, &event);
}

static void on_turn_end(void *arg)
{
    struct chat *chat = arg;
    if (chat->disk_away) {
        chat->disk_away = false;
        drop_machine(chat);
        close_disk(chat);
        return;
    }
    step_submits(chat);
    if (chat->order == NULL || chat->disk == NULL)
        return;
    follow_update(chat);
    if (chat->order == NULL)
        return;
    int64_t deadline_ms = chat->update.next_deadline_ms;
    order_update_clear(&chat->update);
    if (chat->members_changed) {
        chat->members_changed = false;
        take_members(chat);
    }
    int64_t wait_ms = deadline_ms - loop_now_ms(chat->loop);
    loop_timer_start(&chat->timer, wait_ms > 0 ? wait_ms : 0);
}

/* What this disk lost and nobody has any more is given up once a snapshot stands for it. */
static void give_up_lost(struct chat *chat)
{
    uint64_t seq = chat->trim_wanted;
    if (seq <= chat->trimmed)
        return;
    if (chat_disk_snapshot_seq(chat->disk) < seq) {
        keep_snapshot(chat);
        return;
    }
    log_error(&chat_log, "messages up to number %llu are lost: no node has all of them any more",
              (unsigned long long)seq);
    chat->trimmed = seq;
    chat_on_trimmed(chat, seq);
}

static void on_housekeeping(void *arg)
{
    struct chat *chat = arg;
    loop_timer_start(&chat->housekeeping, CHAT_HOUSEKEEPING_MS);
    if (chat->order == NULL || chat->disk == NULL)
        return;
    if (chat_disk_trim(chat->disk, loop_wall_ms(chat->loop)))
        keep_snapshot(chat);
    give_up_lost(chat);
    chat_group_work(chat->group);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* The machine can start when the node has a number. */
static int begin(struct chat *chat, struct error *e)
{
    const struct node_options *options = node_options(chat->node);
    uint64_t id = node_id(chat->node);
    if (chat->id != 0 || id == 0)
        return 0;
    chat->id = options->chat.priority << ID_BITS | id;
    return open_machine(chat, e);
}

static void chat_on_joined(void *self)
{
    struct chat *chat = self;
    struct error e;
    if (begin(chat, &e) < 0)
        node_fatal(chat->node, &e);
    else
        chat_on_members(chat);
}

static int make_dir(struct chat *chat, struct error *e)
{
    const struct node_options *options = node_options(chat->node);
    chat->dir = options->chat.log_dir[0] != '\0' ? mem_strdup(options->chat.log_dir)
                                                 : mem_printf("%s/chat", options->data_dir);
    if (mkdir(chat->dir, 0700) < 0 && errno != EEXIST)
        return error_set(e, -errno, "cannot make chat.log_dir %s: %s", chat->dir, strerror(errno));
    return 0;
}

static void on_collect(void *arg)
{
    struct chat *chat = arg;
    metric_set(METRIC_CHAT_SEQUENCE, (double)chat_delivered(chat));
    metric_set(METRIC_CHAT_SUBSCRIBERS, chat_api_tails(chat->api));
    metric_series_set(metric_series(METRIC_QUEUE_LENGTH, "chat"), chat->submits_n);
}

static void chat_free(void *self)
{
    struct chat *chat = self;
    metric_remove_collector(on_collect, chat);
    chat_api_free(chat->api);
    chat_group_free(chat->group);
    order_free(chat->order);
    order_update_done(&chat->update);
    chat_disk_lump_done(&chat->lump);
    struct chat_peer *peer;
    struct chat_peer *next;
    HASH_ITER (hh, chat->peers, peer, next) {
        HASH_DEL(chat->peers, peer);
        free(peer);
    }
    loop_hook_disarm(&chat->hook);
    loop_timer_stop(&chat->timer);
    loop_timer_stop(&chat->housekeeping);
    loop_timer_stop(&chat->reopen);
    free(chat->dir);
    free(chat);
}

static int chat_start(struct node *node, void **self, struct error *e)
{
    struct chat *chat = mem_zalloc(sizeof *chat);
    chat->node = node;
    chat->loop = node_loop(node);
    STAILQ_INIT(&chat->staged);
    TAILQ_INIT(&chat->submits);
    uuid_generate(&chat->own_client);
    chat_disk_lump_init(&chat->lump);
    loop_hook_init(&chat->hook, chat->loop, LOOP_PHASE_COMMIT, on_turn_end, chat);
    loop_timer_init(&chat->timer, chat->loop, on_timer, chat);
    loop_timer_init(&chat->housekeeping, chat->loop, on_housekeeping, chat);
    loop_timer_init(&chat->reopen, chat->loop, on_reopen, chat);
    chat->group = chat_group_new(chat);
    chat->api = chat_api_new(chat);
    int rc = make_dir(chat, e);
    if (rc == 0)
        rc = begin(chat, e);
    if (rc < 0)
        return rc;
    loop_timer_start(&chat->housekeeping, CHAT_HOUSEKEEPING_MS);
    metric_add_collector(on_collect, chat);
    *self = chat;
    return 0;
}

static void chat_stop(void *self)
{
    struct chat *chat = self;
    struct order_event event = {.type = ORDER_EVENT_STOP};
    chat->stopping = true;
    metric_remove_collector(on_collect, chat);
    if (chat_step(chat, &event) == 0)
        send_all(chat);
    chat_api_stop(chat->api);
    drop_machine(chat);
    loop_hook_disarm(&chat->hook);
    loop_timer_stop(&chat->housekeeping);
    bool is_closing = chat->disk == NULL && chat->id != 0 && !loop_timer_is_running(&chat->reopen);
    loop_timer_stop(&chat->reopen);
    if (chat->disk != NULL)
        close_disk(chat);
    else if (!is_closing)
        node_role_stopped(chat->node);
}

static const struct role_handler chat_handlers[] = {{WIRE_CHAT_MESSAGE, chat_on_message},
                                                    {0, NULL}};

const struct role chat_role = {
    .name = "chat",
    .start = chat_start,
    .stop = chat_stop,
    .free = chat_free,
    .on_members = chat_on_members,
    .on_link = chat_on_link,
    .on_joined = chat_on_joined,
    .handlers = chat_handlers,
};
