/* Happy path: when a link is up, one JoinRequest through it; the reply gives cluster, id and
 * members. A node that is a member already asks again at each start, so that a changed address,
 * size or label becomes known. It fails by trying the next link, except when the cluster refuses:
 * that ends the daemon. The list of members is kept in a file, for the addresses at the next start.
 */
#include "role/join.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "role/node.h"
#include "run/atomic_file.h"

enum { JOIN_RETRY_MS = 250, JOIN_TIMEOUT_MS = 5000, JOIN_FILE_BYTES_MAX = 16 << 20 };

struct join_file;

struct join {
    struct node *node;
    struct loop_timer timer;
    struct join_file *file;
    uint64_t peer; /* the last one that was asked */
    uint64_t call;
    bool done;
    uint64_t version;
    uint64_t term;
};

static const struct log_about join_log = {.role = "join"};

void join_describe(const struct node *node, Wire__Node *row)
{
    const struct node_options *options = node_options(node);
    wire__node__init(row);
    row->id = node_id(node);
    row->uuid = (char *)(uintptr_t)options->uuid;
    row->name = (char *)(uintptr_t)options->name;
    row->roles = options->roles;
    row->peer_address = (char *)(uintptr_t)options->peer_address;
    row->api_address = (char *)(uintptr_t)options->api_address;
    row->slots = options->slots;
    row->memory_bytes = options->memory_bytes;
    row->labels = (char **)(uintptr_t)options->labels;
    row->n_labels = options->labels_n;
    row->version = (char *)(uintptr_t)options->version;
}

/* The file of members: one write at a time, of the latest list. Lives on until its write is done.
 */
struct join_file {
    struct loop *loop;
    char *path;
    uint8_t *packed; /* being written; NULL: nothing is */
    size_t len;
    uint8_t *next; /* to be written after it */
    size_t next_len;
    bool orphan;
    struct error e;
};

static void join_file_free(struct join_file *file)
{
    free(file->path);
    free(file->packed);
    free(file->next);
    free(file);
}

static void join_write(void *arg)
{
    struct join_file *file = arg;
    file->e.code = 0;
    (void)atomic_file_write(file->path, 0600, file->packed, file->len, &file->e);
}

static void join_on_written(void *arg, int code);

static void join_file_next(struct join_file *file)
{
    file->packed = file->next;
    file->len = file->next_len;
    file->next = NULL;
    if (file->packed != NULL)
        (void)loop_work(file->loop, join_write, join_on_written, file);
}

static void join_on_written(void *arg, int code)
{
    struct join_file *file = arg;
    if (code == 0 && file->e.code < 0)
        log_warn(&join_log, "%s", file->e.text);
    if (file->orphan) {
        join_file_free(file);
        return;
    }
    free(file->packed);
    join_file_next(file);
}

static void join_save_members(struct join *join, const Wire__Members *members)
{
    struct join_file *file = join->file;
    free(file->next);
    file->next_len = wire__members__get_packed_size(members);
    file->next = mem_alloc(file->next_len);
    (void)wire__members__pack(members, file->next);
    if (file->packed == NULL)
        join_file_next(file);
}

static void join_load_members(struct join *join)
{
    struct buf content;
    struct error e;
    buf_init(&content, JOIN_FILE_BYTES_MAX);
    if (atomic_file_read(join->file->path, &content, &e) == 0) {
        Wire__Members *members = wire__members__unpack(NULL, content.len, content.data);
        if (members != NULL) {
            node_set_members(join->node, members);
            wire__members__free_unpacked(members, NULL);
        }
    }
    buf_done(&content);
}

static void join_take_members(struct join *join, const Wire__Members *members)
{
    struct node *node = join->node;
    bool newer = members->term > join->term ||
                 (members->term == join->term && members->version >= join->version);
    if (!newer)
        return;
    join->term = members->term;
    join->version = members->version;
    if (!node_is_active(node))
        node_set_members(node, members);
    if (node_replica(node) == NULL)
        node_set_leader(node, members->leader_id, members->term);
    join_save_members(join, members);
}

static void join_on_members(void *self, uint64_t from, const ProtobufCMessage *message)
{
    (void)from;
    join_take_members(self, (const Wire__Members *)message);
}

static void join_accept(struct join *join, const Wire__JoinReply *reply)
{
    struct node *node = join->node;
    struct error e;
    bool fresh = node_id(node) == 0;
    if (fresh && node_set_identity(node, reply->cluster_id, reply->node_id, &e) < 0) {
        node_fatal(node, &e);
        return;
    }
    join->done = true;
    loop_timer_stop(&join->timer);
    if (reply->members != NULL)
        join_take_members(join, reply->members);
    if (!fresh)
        return;
    log_info(&join_log, "joined cluster %s as node %llu", reply->cluster_id,
             (unsigned long long)reply->node_id);
    node_joined(node);
}

static bool join_is_refusal(int code)
{
    return code == ERR_UNAUTHORIZED || code == ERR_FORBIDDEN || code == ERR_EXISTS ||
           code == ERR_WRONG_CLUSTER || code == ERR_INVALID || code == ERR_VERSION;
}

static void join_on_reply(void *arg, int code, const ProtobufCMessage *message)
{
    struct join *join = arg;
    const Wire__JoinReply *reply = (const Wire__JoinReply *)message;
    join->call = 0;
    if (reply == NULL) {
        log_debug(&join_log, "asking to join: %s", err_text(code));
    } else if (reply->code == 0) {
        join_accept(join, reply);
    } else if (join_is_refusal(reply->code)) {
        struct error e;
        (void)error_set(&e, reply->code, "the cluster refuses this node: %s", reply->text);
        node_fatal(join->node, &e);
    } else {
        log_info(&join_log, "cannot join yet: %s", reply->text);
    }
}

struct join_choice {
    uint64_t last;
    uint64_t next;  /* least peer above last */
    uint64_t least; /* least of all */
};

static void join_consider(void *arg, struct link *link)
{
    struct join_choice *choice = arg;
    uint64_t id = link_node_id(link);
    if (id == 0)
        return;
    if (choice->least == 0 || id < choice->least)
        choice->least = id;
    if (id > choice->last && (choice->next == 0 || id < choice->next))
        choice->next = id;
}

/* Asks through the leader when it is linked, else through one peer after the other. */
static uint64_t join_choose(struct join *join)
{
    struct node *node = join->node;
    uint64_t leader = node_leader(node);
    if (leader != 0 && node_session(node, leader) != 0)
        return leader;
    struct join_choice choice = {.last = join->peer};
    link_set_each(node_links(node), join_consider, &choice);
    return choice.next != 0 ? choice.next : choice.least;
}

static void join_ask(struct join *join)
{
    struct node *node = join->node;
    loop_timer_start(&join->timer, JOIN_RETRY_MS);
    if (join->done || join->call != 0)
        return;
    join->peer = join_choose(join);
    if (join->peer == 0)
        return;
    Wire__JoinRequest request = WIRE__JOIN_REQUEST__INIT;
    Wire__Node row;
    join_describe(node, &row);
    request.token = (char *)(uintptr_t)node_options(node)->join_token;
    request.node = &row;
    join->call = node_call(node, join->peer, WIRE_JOIN_REQUEST, &request.base, false,
                           JOIN_TIMEOUT_MS, join_on_reply, join);
}

static void join_on_timer(void *arg)
{
    join_ask(arg);
}

static void join_on_link(void *self, uint64_t peer, uint64_t session)
{
    struct join *join = self;
    (void)peer;
    if (session != 0 && !join->done)
        join_ask(join);
}

static int join_start(struct node *node, void **self, struct error *e)
{
    struct join *join = mem_zalloc(sizeof *join);
    (void)e;
    join->node = node;
    join->file = mem_zalloc(sizeof *join->file);
    join->file->loop = node_loop(node);
    join->file->path = mem_printf("%s/members", node_options(node)->data_dir);
    loop_timer_init(&join->timer, node_loop(node), join_on_timer, join);
    loop_timer_start(&join->timer, JOIN_RETRY_MS);
    if (node_id(node) != 0)
        join_load_members(join);
    *self = join;
    return 0;
}

static void join_stop(void *self)
{
    struct join *join = self;
    loop_timer_stop(&join->timer);
    join->done = true;
    node_role_stopped(join->node);
}

static void join_free(void *self)
{
    struct join *join = self;
    if (join->file->packed != NULL)
        join->file->orphan = true;
    else
        join_file_free(join->file);
    free(join);
}

static const struct role_handler join_handlers[] = {{WIRE_MEMBERS, join_on_members}, {0, NULL}};

const struct role join_role = {
    .name = "join",
    .start = join_start,
    .stop = join_stop,
    .free = join_free,
    .on_link = join_on_link,
    .handlers = join_handlers,
};
