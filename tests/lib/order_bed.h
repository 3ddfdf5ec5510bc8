/* A few nodes of the ordered log on one bench: links without loss, disks that write at once unless
 * they are told not to, one clock that a test moves. */
#ifndef TESTS_LIB_ORDER_BED_H
#define TESTS_LIB_ORDER_BED_H

#include "core/order.h"

enum { ORDER_BED_NODES_MAX = 5, ORDER_BED_GROUP = 77, ORDER_BED_LUMP_MAX = 256 };

struct order_bed_letter {
    unsigned from, to; /* ids */
    Wire__ChatMessage *message;
};

struct order_bed_node {
    struct order *order; /* NULL: not running */
    struct order_update update;
    bool disk_hangs; /* it says nothing any more */
    uint64_t record; /* the last one given to it */
    uint64_t said;   /* that it has said to be durable */
    uint64_t delivered;
    uint64_t messages;        /* delivered */
    uint64_t acks;            /* replies with code 0 */
    uint64_t answers;         /* all replies */
    uint64_t reads;           /* asked of the role */
    struct order_reply reply; /* the last one */
    struct order_meta meta;
    bool keeps;      /* entries for reads, and the snapshot */
    uint8_t **forms; /* from entry 1 on */
    size_t *lens;
    size_t forms_n, forms_cap, lens_cap;
    uint8_t *snapshot;
    size_t snapshot_len;
};

struct order_bed {
    struct order_config config; /* for every node; 100 ms heartbeats, 300 ms timeout */
    unsigned n;
    int64_t now_ms;
    struct order_bed_node nodes[ORDER_BED_NODES_MAX + 1];       /* by id */
    bool cut[ORDER_BED_NODES_MAX + 1][ORDER_BED_NODES_MAX + 1]; /* from, to: silently lost */
    struct order_bed_letter *letters;
    size_t letters_n, letters_cap;
    uint64_t steps;
    bool check; /* order_check() after each step */
    /* sees every message; NULL allowed */
    void (*on_send)(struct order_bed *bed, unsigned from, const struct order_send *send);
    void *arg;
};

/* Nodes 1 to n. Change `config` before the first start. */
void order_bed_init(struct order_bed *bed, unsigned n);
void order_bed_done(struct order_bed *bed);

/* Starts a node that has nothing, or with what it kept when it was stopped; links it to all that
 * run. Nothing is delivered before order_bed_settle(). */
void order_bed_start(struct order_bed *bed, unsigned id);
/* Starts all n, forms the log with all of them, and waits for a leader. */
void order_bed_form(struct order_bed *bed);
/* As by SIGKILL: the others lose their links to it. */
void order_bed_kill(struct order_bed *bed, unsigned id);
/* A node that doesn't run loses what it kept behind entry `seq`; with 0 all of it. */
void order_bed_lose(struct order_bed *bed, unsigned id, uint64_t seq);

int order_bed_step(struct order_bed *bed, unsigned id, struct order_event event);
/* Delivers messages until none is left. */
void order_bed_settle(struct order_bed *bed);
/* Lets time pass, with ticks when they are due, settling each time. */
void order_bed_wait(struct order_bed *bed, int64_t ms);
/* Waits until some node leads and returns its id; 0 when none does within `ms`. */
unsigned order_bed_leader(struct order_bed *bed, int64_t ms);

/* What is in a lump: on these disks entries are in the form of core/order_entry.h. Returns how
 * many.
 */
size_t order_bed_read_lump(const Wire__ChatAppend *append, struct order_entry *entries,
                           size_t *ends);

/* Submits one message of client `client` with `number`; the outcome is in the node's `reply`. */
void order_bed_submit(struct order_bed *bed, unsigned id, unsigned client, uint64_t number);
struct uuid order_bed_client(unsigned client);
struct order_view order_bed_view(const struct order_bed *bed, unsigned id);

#endif
