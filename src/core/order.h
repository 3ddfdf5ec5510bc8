/* The ordered log: who leads, which message has which number, what is on a majority's disks.
 *
 *   submit ──> leader numbers ──> records, appends ──> on a majority's disks ──> delivered, replies
 *
 * Pure: one event in, what follows from it out. A node's machine is stepped by its role, which owns
 * disk, links and clock.
 *
 * What holds, whatever messages are lost, late, repeated or out of order, whoever crashes:
 *   - at most one node leads in a term;
 *   - what one node delivers as entry n is what every node delivers as n, n counts from 1, no gap;
 *   - what was delivered or answered with a number is on a majority's disks and stays in the log;
 *   - (client, number) is in the log once, however late it is repeated and whoever leads;
 *   - a minority elects nobody and acknowledges nothing.
 * It is broken by a majority that loses what its disks had acknowledged without noticing.
 *
 * ---- Election: Garcia-Molina, "Elections in a Distributed Computing System", IEEE Transactions on
 * Computers C-31(1), 1982, section III, the Bully algorithm: who misses the coordinator asks all of
 * higher priority; if none answers he is it; who is asked by a lower one answers and elects
 * himself. The node id is the priority. Where this differs, and why:
 *   1. Terms, promises and a majority. The paper assumes that who doesn't answer in time is dead
 *      (its assumption 9); over a real network that gives two coordinators. Here an election is a
 *      claim to term+1, which holds with the promises of a majority to refuse all lower terms. It
 * is phase 1 of Lamport's "The Part-Time Parliament" (1998), or a vote in Ongaro's Raft (2014).
 *   2. The ask goes to all voters, not only to the higher ones, and changes nothing: it is also the
 *      question whether a majority misses the leader (Raft's pre-vote, dissertation 9.6). A node
 *      behind a bad link cannot depose a leader whom the majority hears.
 *   3. A higher node that answered and then doesn't lead within leader_timeout_ms is passed over
 *      once: it may reach us and no majority. The paper would elect for ever.
 *   4. A higher node whose log is more than behind_max entries shorter than the asker's is
 *      not waited for, nor one that lacks entries which the asker doesn't keep any more. It catches
 *      up first, as a follower: the service doesn't stand still for it.
 *   5. For the same reason a returning higher node doesn't bully at once (paper: on recovery). It
 *      follows, catches up, and is handed the lead (take over) once it has been in contact for
 *      takeover_ms. From then on the rule holds again: the highest id that can lead, leads.
 *   6. A node whose disk is full, hangs, or whose log is damaged answers that it is not able.
 * The winner's log may be short: it copies the longest log, the highest last (term, seq), among
 * those who promised, and looks again when what it copied names other members. Only then it leads,
 * with an entry of its own term first; what is on a majority's disks counts as delivered only up to
 * an entry of the present term (Raft paper, section 5.4.2). A claimant is thus in the place of a
 * Raft candidate whose log was as long as any voter's; members change one at a time, behind an
 * entry of the present term (dissertation, section 4.1, and Ongaro's correction of 2015).
 *
 * ---- Disk. Records are numbered and must reach the disk in their order. The role writes them and
 * says PERSISTED. What must not leave before is held back here: everything in `sends` may go at
 * once. The heartbeat is behind a record in the same way, an idle leader writes a BEAT for it: a
 * leader whose disk takes nothing for disk_limit_ms resigns and is not able to lead until it does.
 *   - Space is short (say the reserve was lost): DISK with a code. A leader hands over or resigns,
 *     a follower takes no entries, both still promise; all records given out so far will still be
 *     written. DISK with 0 ends it.
 *   - A write failed: order_free, open the disk again, order_new and load. Until it takes writes,
 *     START with `disk_code`: it follows and delivers what it has, nothing more.
 *   - The log was found damaged at the load (not a torn tail, of which nothing was acknowledged):
 *     load what is before the damage, or all with holes below `committed`, and say
 *     meta.damaged. The node promises nothing and its acknowledgements don't count, until it has
 *     what a leader, elected without it, had in its log when they met; then a META record ends it.
 *     Where a majority is damaged nobody leads and all stays readable: what is lost is not known.
 *
 * ---- Memory. Entries that are not delivered, the last `cache_bytes` of the others, a term for
 * each change of leader, 48 bytes or so for each client that ever spoke (core/order_marks.h). A
 * follower further behind is served from the role's disk (READ), one read at a time, or from a
 * snapshot when the entries were given up. What it lacks is on a majority's disks since long: where
 * both roles take lumps, it goes from disk to disk as a lump, bytes that only roles read. Of its
 * entries the machine gets all but the strings, and keeps their keys until they are delivered.
 *
 * ---- State: see order_state_print(). */
#ifndef CORE_ORDER_H
#define CORE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/uuid.h"
#include "core/order_entry.h"
#include "wire/chat.pb-c.h"

enum {
    ORDER_MEMBERS_MAX = 15, /* voters and learners */
    ORDER_ADDRESS_MAX = 256,
    ORDER_REASON_MAX = 128,
    ORDER_NUMBER_GAPS_MAX = 1024, /* of one client: numbers may come out of order so far */
    ORDER_SNAPSHOT_BYTES_MAX = 1 << 30,
};

enum order_state {
    ORDER_STATE_OUTSIDE,  /* no member: not formed, joining, or removed */
    ORDER_STATE_FOLLOWER, /* of `leader`, or waiting for one */
    ORDER_STATE_POLLING,  /* misses the leader, asks the others */
    ORDER_STATE_WAITING,  /* a higher node answered that it takes over */
    ORDER_STATE_CLAIMING, /* collects promises */
    ORDER_STATE_COPYING,  /* has a majority's, copies the longest log */
    ORDER_STATE_LEADING,
};

/* Times in ms. */
struct order_config {
    uint64_t id;                /* this node, > 0, and its priority */
    struct uuid uuid;           /* of the data directory: two nodes of one id are told apart */
    const char *address;        /* HOST:PORT for links; copied */
    uint32_t heartbeat_ms;      /* 800 */
    uint32_t leader_timeout_ms; /* 2400; at least 2 heartbeats */
    uint32_t answer_ms;         /* to a poll; 0: half a heartbeat, 20 to 250 */
    uint32_t takeover_ms;       /* 0: 2 leader_timeout_ms */
    uint32_t disk_limit_ms;     /* 0: leader_timeout_ms */
    uint32_t submit_timeout_ms; /* 10000: then a submission's outcome is unknown */
    uint64_t cache_bytes;       /* of delivered entries: 8 MiB */
    uint64_t in_flight_bytes;   /* of entries not delivered, on the leader: 32 MiB */
    uint32_t waiting_max;       /* submissions without an answer, on each node: 65536 */
    uint32_t chunk_bytes;       /* of entries in one message, unless one is larger: 256 KiB */
    uint32_t window_bytes;      /* sent to a follower and not acknowledged: 4 MiB */
    uint64_t catchup_bytes_s;   /* of lumps for others, a second, or half of entries: 88 MiB */
    uint32_t payload_max;       /* 64 KiB, at most ORDER_PAYLOAD_MAX */
    uint32_t clients_max;       /* remembered: 4,000,000; further ones are refused */
    uint32_t behind_max;        /* entries, see 4. above: 10,000 */
    uint32_t close_max;         /* entries: who is no further behind may vote, and lead: 1,000 */
    uint64_t hash_seed;         /* any number that clients cannot guess */
    bool lumps;                 /* the role gives and takes entries as its disk has them: false */
};

/* ---- what goes in ---------------------------------------------------------------------------- */

struct order_member {
    uint64_t id;
    struct uuid uuid; /* of its data directory; nil: not known, as in lists to FORM */
    char address[ORDER_ADDRESS_MAX];
    bool voter;
};

struct order_submit {
    struct uuid client; /* not nil */
    uint64_t number;    /* from 1, never used again for another message, in any order and at any
                           time; at most ORDER_NUMBER_GAPS_MAX gaps at once */
    const char *channel;
    const char *sender;
    const void *payload;
    uint32_t payload_len;
    uint8_t channel_len;
    uint8_t sender_len;
    uint64_t token; /* returned with the reply */
};

/* Everything is borrowed for the call. */
enum order_event_type {
    ORDER_EVENT_TICK,

    /* Once, behind the loads. committed: an entry known to be delivered (0: only the snapshot's);
     * it must be in the log. disk_code: as for DISK. */
    ORDER_EVENT_START,

    /* members, group (not 0): a new log with these voters, this node among them, in all of which
     * FORM is called with the same list and group. Or in one of them alone, with itself as the only
     * voter, and the others join. ERR_EXISTS: this node has a log already. ERR_INVALID. */
    ORDER_EVENT_FORM,

    /* Asks members to be taken in, repeatedly, on all links that are up, until it is one. The role
     * links to some. ERR_EXISTS: it is a member, or was and knows a group (then: `group` 0 in
     * meta). */
    ORDER_EVENT_JOIN,

    /* peer: its link takes messages from now on, or no longer. Nothing is sent before. A lost link
     * to the leader is silence from that moment. */
    ORDER_EVENT_LINK_UP,
    ORDER_EVENT_LINK_DOWN,

    /* peer (as the link's handshake proved), message. Anything may be in it. ERR_PROTOCOL,
     * ERR_WRONG_CLUSTER (another group), ERR_CORRUPT (a checksum): nothing has changed; close the
     * link. When it is an append with a lump: entries, what the role read in it, in their order,
     * and lump_ends. Only the payloads of MEMBERS count among the strings. */
    ORDER_EVENT_MESSAGE,

    /* record: this and all before are durable. */
    ORDER_EVENT_PERSISTED,

    /* disk_code: < 0 it takes no more entries soon (-ENOSPC), 0 it does again. */
    ORDER_EVENT_DISK,

    /* submits. Each gets one reply, now or in a later update. */
    ORDER_EVENT_SUBMIT,

    /* read: what an order_read asked for. code 0 and entries, from `first` on, at least one, no gap
     * (fewer than asked is fine); or ERR_NOT_FOUND: given up; or any other code. The entries are
     * copied. For a lump: bytes and how many entries are in them (`lump_n`), or entries. */
    ORDER_EVENT_READ,
    /* read: bytes of the snapshot that a read of kind SNAPSHOT asked for; snapshot_seq,
     * snapshot_size; or a code. */
    ORDER_EVENT_SNAPSHOT,

    /* seq: entries up to it were given up here; the role keeps a snapshot of seq or later, not
     * beyond what was delivered. */
    ORDER_EVENT_TRIMMED,

    /* first, last: entries, delivered by now, that the disk has lost (meta.damaged was given). They
     * come back in records of type MEND. Again for each hole that is left after a restart. */
    ORDER_EVENT_MEND,

    /* On the leader; else ERR_NOT_LEADER. One change at a time: ERR_BUSY until the last one is
     * delivered. members[0]: who comes (first as a learner, a voter once it has the log) or has a
     * new address; peer: who goes. ERR_EXISTS: id of another node; ERR_NOT_FOUND; ERR_INVALID: the
     * last voter. */
    ORDER_EVENT_MEMBER_PUT,
    ORDER_EVENT_MEMBER_REMOVE,

    /* On the leader, peer (0: the highest other voter that can): hand the lead over. 0: begun. The
     * highest id takes it back in takeover_ms unless it is removed or stopped. ERR_NOT_LEADER,
     * ERR_NOT_FOUND, ERR_UNAVAILABLE: it does not follow closely enough. */
    ORDER_EVENT_TRANSFER,

    /* Before the node stops: a leader resigns so that the others need not wait for its silence. */
    ORDER_EVENT_STOP,
};

struct order_event {
    enum order_event_type type;
    int64_t now_ms;  /* monotonic, never less than before */
    int64_t wall_ms; /* for entries */

    uint64_t peer;
    const Wire__ChatMessage *message;

    uint64_t record;
    uint64_t seq; /* TRIMMED */
    uint64_t committed;
    int disk_code;

    const struct order_submit *submits;
    size_t submits_n;

    const struct order_member *members;
    size_t members_n;
    uint64_t group;

    /* READ, SNAPSHOT: `read` is the order_read's id */
    uint64_t read;
    int code;
    const struct order_entry *entries;
    size_t entries_n;
    const size_t *lump_ends; /* MESSAGE: where each of the entries ends in the lump */
    size_t lump_n;
    const void *bytes; /* READ, SNAPSHOT */
    size_t bytes_len;
    uint64_t snapshot_seq;
    uint64_t snapshot_size;

    uint64_t first; /* MEND */
    uint64_t last;
};

/* ---- what comes out -------------------------------------------------------------------------- */

/* What a node must remember besides its log. */
struct order_meta {
    uint64_t group; /* 0: in no group */
    uint64_t term;
    uint64_t promised_to; /* in that term; 0: nobody */
    bool damaged;
};

enum order_record_type {
    ORDER_RECORD_META,     /* meta replaces the one before */
    ORDER_RECORD_APPEND,   /* entries follow on the log's last one */
    ORDER_RECORD_TRUNCATE, /* every entry behind `seq` goes; none of them was delivered */
    ORDER_RECORD_INSTALL,  /* snapshot (of `seq`) replaces the log and the snapshot; the next entry
                              is seq + 1. Keep the bytes for the next load. */
    ORDER_RECORD_MEND,     /* entries go back into the hole they fill */
    ORDER_RECORD_BEAT,     /* any durable write to the disk of the log; content doesn't matter */
};

/* Must reach the disk in this order, across updates. */
struct order_record {
    uint64_t record; /* its number: 1, 2, 3 ... since order_new */
    enum order_record_type type;
    struct order_meta meta;
    const struct order_entry *const *entries;
    size_t entries_n;
    const void *lump; /* APPEND: not NULL: in place of the entries, lump_n from seq on */
    size_t lump_len;
    size_t lump_n;
    uint64_t seq;
    const void *snapshot;
    size_t snapshot_len;
};

/* A message that may leave at once, in the order of the array. Drop it when the link is down or its
 * queue is full: everything is repeated. Who wants to keep the message puts NULL in its place. */
struct order_send {
    uint64_t peer;
    Wire__ChatMessage *message;
};

struct order_reply {
    uint64_t token;
    struct uuid client;
    uint64_t number;
    uint64_t seq;   /* 0: not known (a duplicate of long ago) */
    bool duplicate; /* it was in the log before this submission */
    /* 0: delivered, on a majority's disks. Certainly not in the log: ERR_INVALID, ERR_TOO_LARGE
     * (payload; number with too many gaps before it; too many clients), ERR_BUSY, ERR_NO_LEADER,
     * ERR_UNAVAILABLE (outside, or behind STOP). Not known,
     * ask again with the same number: ERR_OUTCOME_UNKNOWN, ERR_CANCELLED (asked again meanwhile,
     * the later token gets the answer). */
    int code;
};

enum order_read_type {
    ORDER_READ_ENTRIES,  /* first to last, at most bytes_max (one at least), durable here */
    ORDER_READ_SNAPSHOT, /* of the kept snapshot `snapshot_seq` (0: the latest) from `offset` on, at
                            most bytes_max */
};

/* To be answered with READ or SNAPSHOT, once. */
struct order_read {
    uint64_t read;
    enum order_read_type type;
    uint64_t peer; /* for whom */
    uint64_t first;
    uint64_t last;
    bool lump; /* may be answered with one */
    uint64_t snapshot_seq;
    uint64_t offset;
    size_t bytes_max;
};

/* For the events of the cluster and `election show`. */
/* Reason of a leader that is one no longer because it, or an operator, wanted so. */
#define ORDER_REASON_HANDED "the lead is handed over"

struct order_change {
    enum order_state from;
    enum order_state to;
    uint64_t term;
    uint64_t leader; /* 0: none */
    char reason[ORDER_REASON_MAX];
};

/* Collects over the events of a loop turn. Starts zeroed. Everything in it is valid until it is
 * cleared. */
struct order_update {
    struct order_record *records;
    size_t records_n, records_cap;
    struct order_send *sends;
    size_t sends_n, sends_cap;
    struct order_reply *replies;
    size_t replies_n, replies_cap;
    struct order_read *reads;
    size_t reads_n, reads_cap;
    struct order_change *changes;
    size_t changes_n, changes_cap;

    /* Delivered since the last clear: deliver_first to deliver_last, 0 and 0 for none. They are
     * durable here; order_entry() gives them until the next step, but those of lumps. After a load
     * it begins behind what START called committed, after an INSTALL behind what the snapshot
     * covers. */
    uint64_t deliver_first;
    uint64_t deliver_last;

    bool members_changed; /* see order_members(): link to them */
    bool snapshot_wanted; /* more than ORDER_SNAPSHOT_EVERY entries since the last one */
    uint64_t trim_wanted; /* > 0: nobody keeps what this disk lost up to this entry: make a
                             snapshot, give up all up to it, say TRIMMED */
    char trouble[ORDER_REASON_MAX]; /* "" or what an operator should know of this turn */

    int64_t next_deadline_ms; /* step with a TICK no later */

    void **owned; /* memory of the above */
    size_t owned_n, owned_cap;
};

/* ---- life ------------------------------------------------------------------------------------ */

struct order;

void order_config_default(struct order_config *config);

struct order *order_new(const struct order_config *config);
void order_free(struct order *order);

/* Loading, before START, in this order; each returns 0, or ERR_CORRUPT, ERR_INVALID or ERR_VERSION
 * with the reason in `e`. A node without anything on disk calls none of them.
 * The snapshot is the latest kept one. Behind START, TRIMMED says which of the entries that it
 * covers were given up since it was made. */
int order_load_meta(struct order *order, const struct order_meta *meta, struct error *e);
int order_load_snapshot(struct order *order, const void *data, size_t len, struct error *e);
/* All entries behind the snapshot's, in order, in pieces of any size. Copied. */
int order_load_entries(struct order *order, const struct order_entry *entries, size_t n,
                       struct error *e);

/* Applies `event`, adds to `update`. Returns 0 or the code that the event's type names; then
 * nothing has changed but the time. Use one `update` with one machine all its life. */
int order_step(struct order *order, const struct order_event *event, struct order_update *update);

void order_update_clear(struct order_update *update);
void order_update_done(struct order_update *update);

/* ---- questions ------------------------------------------------------------------------------- */

/* The entry, while it is in memory: what was delivered in the last step is, unless it came in a
 * lump. NULL otherwise. */
const struct order_entry *order_entry(const struct order *order, uint64_t seq);

uint64_t order_delivered(const struct order *order);
enum order_state order_state(const struct order *order);

/* Whether (client, number) is in the log as far as this node has delivered it. */
bool order_knows(const struct order *order, const struct uuid *client, uint64_t number);

/* Appends a snapshot of all that was delivered. The role keeps it, durably, before it gives up
 * entries; at least every ORDER_SNAPSHOT_EVERY entries, so that a load is short; one only of each
 * entry, since pieces of two would not fit together. ERR_TOO_LARGE. */
enum { ORDER_SNAPSHOT_EVERY = 100000 };
int order_snapshot(struct order *order, struct buf *out);
/* The entry that a snapshot covers, after checking it as a whole. ERR_CORRUPT, ERR_VERSION. */
int order_snapshot_seq(const void *data, size_t len, uint64_t *seq);

struct order_peer_view {
    struct order_member member;
    bool self, leader, linked;
    bool active;          /* on the leader: heard within leader_timeout_ms */
    bool damaged, full;   /* as it said */
    uint64_t durable_seq; /* on the leader: what it has */
    uint64_t delivered_seq;
};

struct order_view {
    enum order_state state;
    uint64_t group, term, promised_to;
    uint64_t leader;               /* 0: none known */
    int64_t since_ms;              /* of this state */
    char reason[ORDER_REASON_MAX]; /* of the last change */
    uint64_t base_seq, last_seq, durable_seq, delivered_seq, committed_seq;
    uint64_t waiting; /* submissions without an answer */
    uint64_t clients; /* remembered */
    uint64_t members_seq;
    bool members_changing; /* the last change is not delivered yet */
    bool damaged;
    int disk_code;
    bool disk_hangs;
    uint64_t elections; /* claims made since order_new */
    uint64_t bytes;     /* of memory, about */
};

void order_view(const struct order *order, struct order_view *view);
/* Members as of the last entry in the log, ascending by id; returns how many. */
size_t order_members(const struct order *order,
                     struct order_peer_view out[static ORDER_MEMBERS_MAX]);

const char *order_state_name(enum order_state state);
bool order_state_allows(enum order_state from, enum order_state to);
/* Appends the machine as a Markdown table: from, to, cause. 0 or ERR_TOO_LARGE. */
int order_state_print(struct buf *out);

/* Asserts every invariant of one node. For tests. */
void order_check(const struct order *order);

#endif
