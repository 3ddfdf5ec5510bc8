/* What the parts of the chat role share; nobody else includes it. */
#ifndef ROLE_CHAT_INTERNAL_H
#define ROLE_CHAT_INTERNAL_H

#include <sys/queue.h>

#include "base/hash.h"
#include "base/trace.h"
#include "core/order.h"
#include "role/chat_disk.h"
#include "role/node.h"

enum {
    CHAT_HISTORY_MAX = 64, /* changes of state that are remembered */
    CHAT_REOPEN_MS = 5000, /* between tries to open a disk that failed */
    CHAT_HOUSEKEEPING_MS = 5000,
    CHAT_SUBMITS_MAX = 65536, /* without an answer */
    CHAT_TAILS_MAX = 512,
    CHAT_REASON_MAX = 192,
};

/* A linked member of the cluster that has the role. Its number in the group is made of its priority
 * and its number in the cluster. */
struct chat_peer {
    uint64_t cluster_id;
    uint64_t id; /* in the group */
    UT_hash_handle hh;
};

struct chat_past {
    int64_t at_ms;
    struct order_change change;
};

/* A message on its way: embedded in what waits for it. Its strings are copied. */
struct chat_submit {
    struct order_submit submit;
    void (*fn)(struct chat_submit *submit, const struct order_reply *reply);
    char *strings;
    int64_t since_us;
    struct trace_context trace; /* what it is a part of; zero: nothing */
    struct trace_span *span;
    STAILQ_ENTRY(chat_submit) staged;
    TAILQ_ENTRY(chat_submit) entry;
};

struct chat_tail;
struct chat_group;
struct chat_api;

struct chat {
    struct node *node;
    struct loop *loop;
    char *dir;
    uint64_t id;         /* in the group; 0 before the node is in its cluster */
    struct order *order; /* NULL while there is no disk */
    struct order_update update;
    struct chat_disk *disk;
    struct chat_disk_lump lump; /* of the message that is being read */
    bool disk_away;             /* it failed and is being opened again */
    uint64_t incarnation;       /* of order and disk */
    struct loop_hook hook;
    struct loop_timer timer; /* the machine's deadline */
    struct loop_timer housekeeping;
    struct loop_timer reopen;
    struct chat_peer *peers;
    bool members_changed;
    bool twin_said; /* that another member has this node's priority */
    int disk_code;
    uint64_t trim_wanted; /* entries up to here are lost everywhere; 0: none */
    uint64_t trimmed;     /* and were given up for that */

    STAILQ_HEAD(, chat_submit) staged; /* of this turn */
    unsigned staged_n;
    TAILQ_HEAD(chat_submit_list, chat_submit) submits; /* given to the machine */
    unsigned submits_n;
    struct uuid own_client; /* for messages whose sender numbers nothing */
    uint64_t own_number;

    struct chat_group *group;
    struct chat_api *api;

    struct chat_past past[CHAT_HISTORY_MAX]; /* ring */
    unsigned past_n;
    int64_t since_ms; /* wall clock of the last change */

    uint64_t counted_leader, counted_term; /* by the metrics */

    bool stopping;
    bool stopped;
};

/* Fills in times and steps the machine; what follows happens at the end of the turn.
 * ERR_UNAVAILABLE while there is no machine. */
int chat_step(struct chat *chat, struct order_event *event);

uint64_t chat_cluster_id(uint64_t id); /* of a number in the group */
const char *chat_name(const struct chat *chat, uint64_t id);

/* Has `submit` (client, number, channel, sender, payload set) numbered; `fn` is called once, never
 * from within. The strings are copied. */
void chat_submit(struct chat *chat, struct chat_submit *submit,
                 void (*fn)(struct chat_submit *submit, const struct order_reply *reply));
/* `fn` will not be called; the message may become an entry all the same. */
void chat_submit_forget(struct chat *chat, struct chat_submit *submit);

/* The last entry that is delivered and the first there is. */
uint64_t chat_delivered(const struct chat *chat);
uint64_t chat_first(const struct chat *chat);

/* role/chat_group.c: founding or joining the group. */
struct chat_group *chat_group_new(struct chat *chat);
void chat_group_free(struct chat_group *group);
/* Does what is due: called when the node has joined, when members changed, and now and then. */
void chat_group_work(struct chat_group *group);

/* role/chat_api.c, chat_tail.c, chat_show.c */
struct chat_api *chat_api_new(struct chat *chat);
void chat_api_stop(struct chat_api *api);
unsigned chat_api_tails(const struct chat_api *api); /* clients that read */
void chat_api_free(struct chat_api *api);
/* There is something new to read. */
/* Tells that the machine is in another state. */
void chat_api_tell_change(struct chat_api *api, const struct order_change *change);
/* Tells whom this node promised to follow. */
void chat_api_tell_promise(struct chat_api *api, const struct order_meta *meta);
void chat_api_delivered(struct chat_api *api);
/* The disk is about to be closed. */
void chat_api_disk_gone(struct chat_api *api);

#endif
