/* The parts of the ordered log's machine, which order_*.c share. */
#ifndef CORE_ORDER_INTERNAL_H
#define CORE_ORDER_INTERNAL_H

#include <sys/queue.h>

#include "base/hash.h"
#include "core/order.h"
#include "core/order_bug.h"
#include "core/order_marks.h"

enum {
    ORDER_IN_FLIGHT_MAX = 64, /* messages of entries to one follower */
    ORDER_RETRY_BUSY_MS = 50,
    ORDER_NOTICE_MS = 1,
    ORDER_TAKEOVER_BACKOFF_MAX = 6, /* doublings */
};

/* An entry in memory, shared by log, update and submission. Immutable once it has a number. */
struct order_item {
    unsigned refs;
    uint32_t form_len;
    struct order_entry entry; /* its strings lie in the form */
    UT_hash_handle hh;        /* of order_log.by_key */
    uint8_t form[];           /* core/order_entry.h */
};

struct order_key {
    struct uuid client;
    uint64_t number;
};

/* Entries from first_seq up to the next run's have this term. */
struct order_run {
    uint64_t first_seq;
    uint64_t term;
};

struct order_log {
    uint64_t base_seq; /* entries up to here were given up */
    uint64_t base_term;
    struct order_run *runs; /* of the entries behind it, ascending */
    size_t runs_n, runs_cap;
    uint64_t last_seq;
    uint64_t durable_seq;
    /* Those in memory: item_first to last_seq, seq at ring[seq & (ring_cap - 1)]; NULL: came in a
     * lump. */
    struct order_item **ring;
    size_t ring_cap; /* power of two */
    uint64_t item_first;
    uint64_t item_bytes;
    uint64_t open_bytes;             /* of those not delivered */
    struct order_item *by_key;       /* messages among them */
    STAILQ_HEAD(, order_lump) lumps; /* oldest first */
    uint64_t lumps_last;             /* the last entry that came in one */
};

/* Records that are not durable yet: what the log's last durable entry is once they are. */
struct order_pending {
    uint64_t record;
    uint64_t upto_seq;
    int64_t at_ms;
};

/* Entries that came in a lump and are not delivered yet: their keys. What is no message has a nil
 * client and its type as the number. A leader has none: its promise came behind them to the disk.
 */
struct order_lump {
    uint64_t first;
    size_t n;
    STAILQ_ENTRY(order_lump) entry;
    struct order_key keys[];
};

struct order_conf {
    uint64_t seq; /* of its entry; 0: formed */
    size_t n;
    struct order_member members[ORDER_MEMBERS_MAX];
};

struct order_flight {
    uint64_t upto_seq;
    size_t bytes;
};

/* A node that is a member or linked. */
struct order_peer {
    uint64_t id;
    bool linked;
    bool member;
    bool voter;
    int64_t linked_ms;
    /* in this node's poll, claim */
    bool answered;
    bool hears;
    bool able;
    bool promised;
    bool refused;
    uint64_t last_term;
    uint64_t last_seq;
    uint64_t base_seq;
    /* as a follower of this leader */
    bool probing;       /* one message at a time until one fits */
    uint64_t probe_seq; /* what the outstanding probe has before its entries; UINT64_MAX: none */
    uint64_t next_seq;
    uint64_t match_seq; /* durable there, and the same as here */
    uint64_t commit_sent;
    int64_t notice_ms;    /* when it is told of commit_seq if nothing else is sent; 0: it knows */
    uint64_t awaited_seq; /* its clients wait for entries up to this one */
    bool takes_lumps;
    uint64_t delivered_seq;
    bool damaged;
    bool full;
    bool can_lead;
    int64_t heard_ms;   /* 0: not since this node leads */
    int64_t contact_ms; /* heard without a break since then; 0: not */
    struct order_flight flight[ORDER_IN_FLIGHT_MAX];
    unsigned flight_first, flight_n;
    size_t flight_bytes;
    uint64_t reading; /* id of the order_read that is under way for it; 0: none */
    bool reading_copy;
    bool reading_mend;
    uint64_t reading_first;
    int64_t read_ms;          /* nothing is read for it before */
    int64_t takeover_ms;      /* not to be handed the lead before */
    unsigned takeovers;       /* in vain, in a row */
    int64_t installing_ms;    /* a snapshot is on its way; 0: not */
    uint64_t snapshot_seq;    /* 0: not known yet */
    uint64_t snapshot_offset; /* it wants */
    UT_hash_handle hh;
};

/* A submission that has no answer yet. */
struct order_wait {
    struct order_key key;
    struct order_item *item; /* without a number */
    uint64_t token;
    int64_t at_ms;
    int64_t sent_ms; /* when it was given to a leader, last */
    bool sent;       /* in order.sent, else in order.unsent */
    bool ever_sent;
    bool duplicate; /* it was in the log before */
    TAILQ_ENTRY(order_wait) entry;
    UT_hash_handle hh;
};

TAILQ_HEAD(order_wait_list, order_wait);

struct order_hole {
    uint64_t first;
    uint64_t last;
};

struct order {
    struct order_config config;
    char *address;
    bool loaded; /* a snapshot */
    bool started;
    bool stopping;
    bool joining;
    int64_t now_ms;
    int64_t wall_ms;
    struct order_update *update; /* of the present step */

    struct order_meta meta;
    enum order_state state;
    int64_t since_ms;
    char reason[ORDER_REASON_MAX];
    uint64_t leader;  /* 0: none known */
    int64_t heard_ms; /* of the leader, or of the claimant promised to; 0: silent */

    struct order_log log;
    uint64_t commit_seq;    /* known to be on a majority's disks */
    uint64_t delivered_seq; /* and here */
    struct order_marks marks;
    uint64_t snapshot_seq;    /* of the last one made or loaded */
    struct order_conf *confs; /* the one in force when delivered, and later ones; the last counts */
    size_t confs_n, confs_cap;
    struct order_member *hints; /* members as a join reply named them */
    size_t hints_n;
    struct order_peer *peers;

    /* records */
    uint64_t record; /* the last one's number */
    uint64_t persisted;
    uint64_t meta_record;          /* of the last META */
    struct order_pending *pending; /* ring */
    size_t pending_first, pending_n, pending_cap;
    int disk_code;
    bool disk_hangs;

    /* election */
    int64_t election_ms; /* when it polls if nothing is heard */
    int64_t answer_ms;   /* end of the present poll, or of waiting, or of a claim */
    int64_t again_ms;    /* claim or fetch is repeated */
    uint64_t round;
    bool passed_over; /* higher nodes that answered have had their chance */
    bool claim_transfer;
    bool claim_sent;
    bool promise_due;
    int64_t handed_ms;  /* when another was told to take the lead; 0: never */
    uint64_t seen_term; /* highest met in a refusal */
    uint64_t elections;
    uint64_t copy_peer;
    uint64_t copy_after_seq; /* what the last fetch asked for */
    int64_t copied_ms;       /* progress */

    /* follower */
    uint64_t matched_seq; /* the same as the leader's up to here */
    uint64_t acked_seq;
    bool reply_due;
    bool rejected;
    uint64_t rejected_seq;
    uint64_t hint_seq;
    uint64_t hint_term;
    uint64_t target_seq; /* damaged: whole when it has so much of the leader's; 0: no leader met */
    uint64_t target_term;
    struct order_hole *holes;
    size_t holes_n, holes_cap;
    int64_t mend_ms;    /* of the next request */
    uint64_t mend_peer; /* was asked last */
    size_t mend_gone;   /* who do not keep what is in the first hole */
    int64_t join_ms;
    struct buf incoming; /* of a snapshot */
    uint64_t incoming_seq;
    uint64_t incoming_size;
    uint64_t incoming_term;

    /* leader */
    int64_t beat_ms;       /* of the next heartbeat */
    uint64_t beat_record;  /* it waits for this one; 0: none is waiting */
    uint64_t lead_seq;     /* of the LEAD entry of its term */
    int64_t persisted_ms;  /* of the last PERSISTED */
    double catchup_tokens; /* bytes */
    int64_t catchup_ms;    /* of the last time they grew */
    uint64_t reads;        /* last order_read's id */

    /* clients */
    struct order_wait *waits;
    struct order_wait_list sent;
    struct order_wait_list unsent;
    size_t waits_n;
    int64_t scan_ms; /* of the next look for submissions that are too old */
    int64_t busy_ms; /* nothing is forwarded before */
};

/* ---- order.c ---- */

uint32_t order_answer_ms(const struct order *order);
uint32_t order_takeover_ms(const struct order *order);
uint32_t order_disk_limit_ms(const struct order *order);
/* Takes part, and nothing keeps it from leading. */
bool order_is_able(const struct order *order);
void order_trouble(struct order *order, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- order_state.c ---- */

void order_set_state(struct order *order, enum order_state to, uint64_t leader, const char *fmt,
                     ...) __attribute__((format(printf, 4, 5)));

/* ---- order_record.c: records, and what has become of them ---- */

struct order_record *order_record_add(struct order *order, enum order_record_type type);
void order_record_meta(struct order *order);
/* Takes over what the log was given from `first_seq` to its end. */
void order_record_append(struct order *order, uint64_t first_seq);
/* The same of what came in a lump, whose bytes are copied. */
void order_record_lump(struct order *order, uint64_t first_seq, const void *bytes, size_t len);
void order_record_mend(struct order *order, struct order_item **items, size_t n);
void order_record_persisted(struct order *order, uint64_t record);
/* How long the oldest has been waiting. */
int64_t order_record_wait_ms(const struct order *order);
/* Nothing behind seq is durable any more. */
void order_record_cut(struct order *order, uint64_t seq);
/* Memory that lives as long as the update. */
void order_update_own(struct order_update *update, void *memory);
void order_update_hold(struct order_update *update, struct order_item *item);

/* ---- order_log.c ---- */

/* A new item with one reference: a copy of `entry`, which has its number (or 0). */
struct order_item *order_item_new(const struct order_entry *entry);
/* Of a form that order_entry_decode() took as `entry`. */
struct order_item *order_item_new_form(const struct order_entry *entry, const void *form,
                                       size_t len);
struct order_item *order_item_ref(struct order_item *item);
void order_item_unref(struct order_item *item);

void order_log_init(struct order_log *log);
void order_log_done(struct order_log *log);
/* Empties it: the next entry is seq + 1. */
void order_log_reset(struct order_log *log, uint64_t seq, uint64_t term);
/* The term of the entry; false when the log does not hold it. base_seq counts as held. */
bool order_log_term(const struct order_log *log, uint64_t seq, uint64_t *term);
uint64_t order_log_last_term(const struct order_log *log);
bool order_log_holds(const struct order_log *log, uint64_t seq, uint64_t term);
struct order_item *order_log_item(const struct order_log *log, uint64_t seq);
/* The item with the number last_seq + 1; takes the reference. */
void order_log_push(struct order_log *log, struct order_item *item, uint64_t seed);
/* Entries from last_seq + 1 on, of which only the keys are kept. */
void order_log_push_lump(struct order_log *log, const struct order_entry *entries, size_t n);
/* The key of an entry that is not delivered and came in a lump. */
const struct order_key *order_log_lumped(const struct order_log *log, uint64_t seq);
/* Forgets lumps that end at or before `seq`. */
void order_log_drop_lumps(struct order_log *log, uint64_t seq);
void order_log_truncate(struct order_log *log, uint64_t seq);
/* Forgets items up to seq until they are no more than bytes_max. */
void order_log_evict(struct order_log *log, uint64_t seq, uint64_t bytes_max);
void order_log_trim(struct order_log *log, uint64_t seq);
struct order_item *order_log_find(const struct order_log *log, const struct order_key *key,
                                  uint64_t seed);
/* The latest entry at or before `seq` that may be shared with a log in which that one has `term`.
 */
void order_log_hint(const struct order_log *log, uint64_t seq, uint64_t term, uint64_t *hint_seq,
                    uint64_t *hint_term);
unsigned order_key_hash(const struct order_key *key, uint64_t seed);

/* ---- order_peer.c ---- */

struct order_peer *order_peer(const struct order *order, uint64_t id);
struct order_peer *order_peer_get(struct order *order, uint64_t id);
void order_peers_free(struct order *order);
/* Those that are neither linked nor members go. */
void order_peers_refresh(struct order *order);
const struct order_conf *order_conf(const struct order *order);
const struct order_member *order_conf_find(const struct order_conf *conf, uint64_t id);
size_t order_voters(const struct order *order);
size_t order_majority(const struct order *order);
bool order_is_voter(const struct order *order);
/* Adds a message to the peer and returns its empty body, of the type that the kind has; NULL when
 * the peer is not linked. */
void *order_send(struct order *order, uint64_t to, Wire__ChatMessage__KindCase kind);

/* ---- order_elect.c ---- */

bool order_hears(const struct order *order);
/* Steps down or goes on waiting: a follower of nobody, polls in `ms` unless something is heard. */
void order_elect_later(struct order *order, int64_t ms);
void order_follow_nobody(struct order *order, const char *reason);
/* The term of a leader or of a claimant. */
void order_adopt_term(struct order *order, uint64_t term, uint64_t promised_to);
void order_claim(struct order *order, bool transfer, const char *reason);
void order_elect_work(struct order *order);
void order_on_poll(struct order *order, struct order_peer *peer, const Wire__ChatPoll *poll);
void order_on_poll_reply(struct order *order, struct order_peer *peer,
                         const Wire__ChatPollReply *reply);
void order_on_claim(struct order *order, struct order_peer *peer, uint64_t term,
                    const Wire__ChatClaim *claim);
void order_on_promise(struct order *order, struct order_peer *peer, uint64_t term,
                      const Wire__ChatPromise *promise);
void order_on_refuse(struct order *order, struct order_peer *peer, uint64_t term,
                     const Wire__ChatRefuse *refuse);

/* ---- order_copy.c: fetching entries outside of a leader's appends ---- */

void order_copy_begin(struct order *order, uint64_t from);
void order_copy_work(struct order *order);
int order_on_fetch(struct order *order, struct order_peer *peer, uint64_t term,
                   const Wire__ChatFetch *fetch);
int order_on_copy(struct order *order, struct order_peer *peer, uint64_t term,
                  const Wire__ChatCopy *copy);
void order_copy_send(struct order *order, struct order_peer *peer, uint64_t after_seq,
                     const struct order_entry *entries, size_t n, int code, bool mend);
void order_mend_work(struct order *order);
/* Entries up to seq are not kept any more. */
void order_mend_trimmed(struct order *order, uint64_t seq);
int order_mend(struct order *order, uint64_t first, uint64_t last);

/* ---- order_follow.c ---- */

/* Entries that arrived: items of its own, or those of a lump, borrowed. */
struct order_batch {
    struct order_item **items;
    size_t n;
    const struct order_entry *lump;
    const uint8_t *bytes;
    const size_t *ends;
};

/* Decodes `count` entries; the first has the number first_seq (0: none has one), and they follow
 * each other. */
int order_batch_decode(const ProtobufCBinaryData *bytes, uint32_t count, uint64_t first_seq,
                       struct order_batch *batch);
void order_batch_done(struct order_batch *batch);
/* Puts the batch behind an entry that is in the log, cuts off what contradicts it, and makes the
 * records. ERR_CONFLICT: it contradicts what was delivered; ERR_PROTOCOL: terms that fall, or are
 * over this node's; members that are none. */
int order_batch_store(struct order *order, struct order_batch *batch);

int order_on_append(struct order *order, struct order_peer *peer, const struct order_event *event);
void order_on_resign(struct order *order, struct order_peer *peer, uint64_t term,
                     const Wire__ChatResign *resign);
void order_on_take_over(struct order *order, struct order_peer *peer, uint64_t term);
void order_follow_work(struct order *order);

/* ---- order_lead.c ---- */

void order_lead(struct order *order);
/* Whether it may go on leading; before it takes anything more. */
void order_lead_check(struct order *order);
void order_lead_work(struct order *order);
void order_resign(struct order *order, const char *reason);
void order_on_append_reply(struct order *order, struct order_peer *peer, uint64_t term,
                           const Wire__ChatAppendReply *reply);
/* Gives the next number to an entry without one. */
void order_lead_append(struct order *order, struct order_entry *entry);
/* Forgets what is known of a node: what it has is found out anew. */
void order_lead_reset_peer(struct order *order, struct order_peer *peer);
bool order_lead_has_room(const struct order *order, size_t bytes);
bool order_lead_has_quorum(const struct order *order);
/* When the next heartbeat or notice is due. */
int64_t order_lead_next_ms(const struct order *order);
int order_transfer(struct order *order, uint64_t to);
bool order_is_handing(const struct order *order); /* a moment ago */
int order_read_event(struct order *order, const struct order_event *event);
/* Asks the role for entries; one at a time for each peer. */
void order_read_ask(struct order *order, struct order_peer *peer, uint64_t first, uint64_t last);

/* ---- order_deliver.c ---- */

void order_deliver(struct order *order);

/* ---- order_client.c ---- */

int order_submit(struct order *order, const struct order_event *event);
int order_on_forward(struct order *order, struct order_peer *peer,
                     const Wire__ChatForward *forward);
void order_on_forward_reply(struct order *order, const Wire__ChatForwardReply *reply);
void order_client_work(struct order *order);
void order_client_delivered(struct order *order, const struct order_key *key, uint64_t seq);
/* All submissions that are in the log by now, after a snapshot. */
void order_client_recheck(struct order *order);
/* They are all given to the next leader again. */
void order_client_leader_changed(struct order *order);
void order_client_free(struct order *order);
int64_t order_client_deadline_ms(const struct order *order);

/* ---- order_member.c ---- */

int order_conf_decode(const struct order_entry *entry, struct order_conf *conf);
void order_conf_push(struct order *order, const struct order_conf *conf);
/* Those behind seq are gone. */
void order_conf_truncate(struct order *order, uint64_t seq);
void order_conf_delivered(struct order *order);
/* What follows from the members being others. */
void order_conf_changed(struct order *order);
bool order_members_changing(const struct order *order);
int order_member_put(struct order *order, const struct order_member *member);
int order_member_remove(struct order *order, uint64_t id);
void order_member_work(struct order *order);
int order_form(struct order *order, const struct order_event *event);
void order_join_work(struct order *order);
int order_on_join(struct order *order, struct order_peer *peer, const Wire__ChatJoin *join);
int order_on_join_reply(struct order *order, uint64_t group, const Wire__ChatJoinReply *reply);
/* wire <-> struct; the Wire strings are malloc'ed. ERR_PROTOCOL. */
int order_member_from_wire(const Wire__ChatMember *wire, struct order_member *member);
Wire__ChatMember *order_member_to_wire(const struct order_member *member);
Wire__ChatMember **order_members_to_wire(const struct order_conf *conf);

/* ---- order_snapshot.c ---- */

int order_snapshot_load(struct order *order, const void *data, size_t len, struct error *e);
void order_snapshot_begin(struct order *order, struct order_peer *peer);
void order_snapshot_work(struct order *order, struct order_peer *peer);
int order_snapshot_event(struct order *order, const struct order_event *event);
int order_on_snapshot_chunk(struct order *order, struct order_peer *peer, uint64_t term,
                            const Wire__ChatSnapshotChunk *chunk);
void order_on_snapshot_reply(struct order *order, struct order_peer *peer, uint64_t term,
                             const Wire__ChatSnapshotReply *reply);

#endif
