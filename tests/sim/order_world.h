/* A simulated group of nodes around the ordered log: disks that write late, tear, hang, fill up and
 * lose bits; links that break, drop, delay, repeat and reorder, one way too; nodes that crash,
 * pause and whose clocks run at their own speed; members that come and go; clients that ask again
 * elsewhere, and long afterwards.
 *
 * One seed decides everything. After each step: at most one leader in a term; what a node delivers
 * follows on what it delivered before and is what any other delivered under that number; no message
 * is there twice; what a client was told is so; what is delivered is on a majority's disks. When
 * the trouble is over everything must be delivered everywhere, every client be answered, and the
 * highest id lead.
 *
 * A bug is one of the machine's (core/order_bug.h) or one of its surroundings (below); each must be
 * noticed. */
#ifndef TESTS_SIM_ORDER_WORLD_H
#define TESTS_SIM_ORDER_WORLD_H

#include "core/order.h"
#include "core/order_bug.h"
#include "tests/sim/sim_time.h"

/* X(symbol, what the world does wrong) */
#define ORDER_WORLD_BUG_LIST(X)                                                                    \
    X(FSYNC_SKIPPED, "records are said to be durable before they are")                             \
    X(META_LOST, "a crash loses the last promise")                                                 \
    X(DAMAGE_HIDDEN, "a damaged log is taken for a whole, shorter one")

enum order_world_bug {
    ORDER_WORLD_BUG_BEFORE = ORDER_BUG_N - 1,
#define ORDER_WORLD_BUG_ENUM(symbol, text) ORDER_WORLD_BUG_##symbol,
    ORDER_WORLD_BUG_LIST(ORDER_WORLD_BUG_ENUM)
#undef ORDER_WORLD_BUG_ENUM
        ORDER_WORLD_BUG_N
};

enum {
    OW_NODES_MAX = 9, /* ids 1 to nodes_n */
    OW_CLIENTS_MAX = 4,
    OW_NUMBERS_MAX = 64, /* messages of each client */
    OW_TRUTH_MAX = 4096,
    OW_HOLES_MAX = 4,
    OW_LUMP_MAX = 64,      /* entries; on these disks they are in the form of core/order_entry.h */
    OW_HEAL_MS = 60000,    /* all must be well so long after the trouble, */
    OW_PROGRESS_MS = 3000, /* and as long as clients wait something be delivered so often */
};

struct ow;
struct ow_event;
typedef void (*ow_fire_fn)(struct ow *w, struct ow_event *event);

/* A message on its way, perhaps twice. In some worlds it is packed and unpacked as on a real link.
 */
struct ow_letter {
    unsigned refs;
    Wire__ChatMessage *message;
};

/* Something that will happen. Who made it says what the numbers mean. */
struct ow_event {
    struct sim_event due; /* the first member */
    ow_fire_fn fire;
    unsigned node; /* index */
    unsigned peer;
    uint64_t boot;
    uint64_t epoch; /* of the link */
    uint64_t number;
    struct ow_letter *letter; /* holds a reference */
    struct order_read read;
};

/* An entry as it lies on disk; NULL: in a hole. */
struct ow_form {
    uint8_t *bytes;
    size_t len;
};

/* A record that the disk has not written yet. */
struct ow_write {
    uint64_t record;
    enum order_record_type type;
    struct order_meta meta;
    struct ow_form *forms;
    uint64_t *seqs;
    size_t n;
    uint64_t seq;
    uint8_t *snapshot;
    size_t snapshot_len;
    int64_t at_ms;
};

struct ow_disk {
    struct order_meta meta;
    uint8_t *snapshot;
    size_t snapshot_len;
    uint64_t snapshot_seq;
    uint64_t first; /* of forms */
    struct ow_form *forms;
    size_t n, cap;
    uint64_t committed; /* known to be delivered */
    struct ow_write *writes;
    size_t writes_n, writes_cap;
    int64_t free_ms; /* busy or hanging until then */
    int code;
    int64_t full_ms; /* since when the code is negative, and the node knows */
};

struct ow_node {
    uint64_t id;
    bool up;
    bool dead; /* never comes back */
    bool joins;
    bool lumps; /* it gives and takes them; an older one does not */
    uint64_t boot;
    struct order *order;
    struct order_update update;
    struct ow_disk disk;
    int64_t paused_until_ms;
    int64_t clock_ms;       /* its clock at the start of the world */
    int64_t clock_permille; /* its speed */
    int64_t last_ms;        /* its clock never goes back */
    int64_t tick_ms;        /* when the next TICK is due, world time */
    uint64_t delivered;
    struct uuid uuid;
    int64_t heard_ms[OW_NODES_MAX]; /* when something of another node was last taken */
    int64_t leads_ms;               /* since when it leads; 0: it does not */
};

struct ow_link {
    bool up;
    bool told[2]; /* lower, higher id: LINK_UP was said */
    uint64_t epoch;
    bool cut[2]; /* from the lower, from the higher: silently lost */
};

struct ow_message {
    bool acked;
    bool wanted;  /* submitted at least once */
    uint64_t seq; /* in the truth */
};

struct ow_client {
    struct uuid id;
    uint64_t next;
    uint64_t total;
    unsigned window;
    unsigned open;
    struct ow_message messages[OW_NUMBERS_MAX + 1];
};

struct ow_truth {
    bool known;
    uint64_t term;
    enum order_entry_type type;
    uint64_t check;
};

struct ow {
    struct sim_time time;
    unsigned bug;
    uint64_t steps;
    bool healed;
    int64_t heal_ms;
    struct order_config config;
    bool members_change; /* who is a voter is not known from the beginning */
    bool bits_flip;
    bool packed;
    bool calm; /* at the beginning, long enough for an election */
    unsigned flip_node;
    uint64_t bits_lost;
    unsigned loss_percent, repeat_percent, delay_max_ms;
    unsigned disk_max_ms;
    struct ow_node nodes[OW_NODES_MAX];
    unsigned nodes_n;
    unsigned voters_n; /* at the beginning: nodes 0 to voters_n - 1 */
    struct ow_link links[OW_NODES_MAX][OW_NODES_MAX]; /* lower index first */
    struct ow_client clients[OW_CLIENTS_MAX];
    unsigned clients_n;
    struct ow_truth truth[OW_TRUTH_MAX + 1];
    uint64_t truth_last;
    int64_t progress_ms; /* when the last entry was first delivered */
    struct {
        uint64_t term;
        uint64_t leader;
    } leaders[512];
    size_t leaders_n;
};

/* ---- order_world.c ---- */

void ow_init(struct ow *w, uint64_t seed, unsigned bug);
void ow_run(struct ow *w);
void ow_done(struct ow *w);
struct ow_event *ow_at(struct ow *w, int64_t ms, ow_fire_fn fire); /* from now */
#define ow_ms(w, from, to)    sim_time_between(&(w)->time, (from), (to))
#define ow_chance(w, percent) sim_time_chance(&(w)->time, (percent))
#define ow_trace(w, ...)      sim_time_trace(&(w)->time, __VA_ARGS__)
#define ow_wrong(w, ...)      sim_time_wrong(&(w)->time, __VA_ARGS__)

/* ---- order_world_node.c ---- */

void ow_node_start(struct ow *w, unsigned node);
void ow_node_crash(struct ow *w, unsigned node);
/* Steps the machine now and does what it says; the node is up. */
int ow_node_step(struct ow *w, unsigned node, struct order_event event);
/* Puts the event off, and returns true, when the node is paused. */
bool ow_node_defer(struct ow *w, struct ow_event *event);

/* ---- order_world_disk.c ---- */

void ow_disk_record(struct ow *w, unsigned node, const struct order_record *record);
/* Begins to write what waits. */
void ow_disk_flush(struct ow *w, unsigned node);
/* What a crash leaves of what was not written yet. */
void ow_disk_crash(struct ow *w, unsigned node);
void ow_disk_load(struct ow *w, unsigned node);
void ow_disk_read(struct ow *w, unsigned node, const struct order_read *read);
void ow_disk_snapshot(struct ow *w, unsigned node);
void ow_disk_trim(struct ow *w, unsigned node);
void ow_disk_trim_wanted(struct ow *w, unsigned node, uint64_t upto);
/* Loses something of a node that is down. */
void ow_disk_damage(struct ow *w, unsigned node);
bool ow_disk_holds(const struct ow_disk *disk, uint64_t seq, uint64_t check);
/* The entry as it is on the disk; false when it is not. */
bool ow_disk_entry(const struct ow_disk *disk, uint64_t seq, struct order_entry *entry);
void ow_disk_done(struct ow_disk *disk);

/* ---- order_world_net.c ---- */

struct ow_link *ow_link(struct ow *w, unsigned a, unsigned b);
void ow_net_connect(struct ow *w, unsigned a, unsigned b);
/* `notice_ms`: when the ends hear of it, at most. */
void ow_net_break(struct ow *w, unsigned a, unsigned b, int64_t notice_ms);
void ow_net_cut(struct ow *w, unsigned from, unsigned to, bool cut);
void ow_net_send(struct ow *w, unsigned from, struct order_send *send);
void ow_letter_unref(struct ow_letter *letter);

/* ---- order_world_client.c ---- */

void ow_client_init(struct ow *w);
void ow_client_reply(struct ow *w, unsigned node, const struct order_reply *reply);
bool ow_client_is_done(const struct ow *w);

/* ---- order_world_truth.c ---- */

void ow_truth_delivered(struct ow *w, unsigned node, uint64_t first, uint64_t last);
/* Whether a leader may be one, after a step. */
void ow_truth_leads(struct ow *w, unsigned node);
/* Whether a message may leave. */
void ow_truth_sends(struct ow *w, unsigned node, const struct order_send *send);
/* Everything is as it should be when the trouble is over. */
bool ow_truth_is_well(struct ow *w);
void ow_truth_end(struct ow *w);
/* Each node's view, into the trace. */
void ow_truth_dump(const struct ow *w);

#endif
