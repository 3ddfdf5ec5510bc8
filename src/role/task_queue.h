/* What a worker holds: attempts that wait for slots, run, or have ended and are not acknowledged.
 *
 * Pure: the caller gives the time, starts and ends what it is told. Slots are given in the order of
 * arrival; one that needs more than are free lets nobody pass. What waited for TASK_QUEUE_HOLD_MS
 * is to be given back. Items are embedded in their owner.
 *
 * Plain items need nothing but slots to start. They are handed on at once to whoever starts each
 * when it fits, in the same order (the spawner's line), and share what task_queue_line_slots()
 * says. Any other waits until all that was handed on before it has started. */
#ifndef ROLE_TASK_QUEUE_H
#define ROLE_TASK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/error.h"
#include "base/hash.h"
#include "wire/task_key.h"

enum {
    TASK_QUEUE_HOLD_MS = 250,
    TASK_QUEUE_HELD_MAX = 65536, /* items in all: beyond, nothing is accepted */
};

enum task_queue_state {
    TASK_QUEUE_QUEUED,
    TASK_QUEUE_HANDED,   /* in line */
    TASK_QUEUE_RECALLED, /* asked back from there: it comes back, or runs after all */
    TASK_QUEUE_RUNNING,
    TASK_QUEUE_ENDED,
    TASK_QUEUE_STATES,
};

struct task_queue_item {
    struct task_key key; /* set by the owner, as `cpus` and `plain` */
    uint32_t cpus;       /* slots that it takes; 0 means 1 */
    bool plain;
    enum task_queue_state state;
    int64_t queued_ms;
    TAILQ_ENTRY(task_queue_item) link;
    UT_hash_handle hh;
};

TAILQ_HEAD(task_queue_list, task_queue_item);

struct task_queue {
    uint32_t slots;
    uint32_t slots_used;                             /* by what is known to run */
    uint32_t slots_apart;                            /* of them, by what is not plain */
    uint32_t n[TASK_QUEUE_STATES];                   /* by state */
    struct task_queue_list lists[TASK_QUEUE_STATES]; /* in order of arrival in it */
    struct task_queue_item *items;
};

void task_queue_init(struct task_queue *queue, uint32_t slots);

/* NULL when the key isn't held. */
struct task_queue_item *task_queue_find(const struct task_queue *queue, const struct task_key *key);

/* Queues an item. ERR_EXISTS: its key is held. ERR_BUSY: as many as sched_slots_ahead() says wait
 * or run already, or TASK_QUEUE_HELD_MAX are held. ERR_TOO_LARGE: it needs more slots than there
 * are. */
int task_queue_add(struct task_queue *queue, struct task_queue_item *item, int64_t now_ms);

/* Holds an item that has ended already; its key isn't held yet. */
void task_queue_add_ended(struct task_queue *queue, struct task_queue_item *item);

/* The queued item that may be handed on (if plain) or run (if not) now, or NULL. */
struct task_queue_item *task_queue_next(const struct task_queue *queue);
void task_queue_hand(struct task_queue *queue, struct task_queue_item *item);
void task_queue_recall(struct task_queue *queue, struct task_queue_item *item);
/* From queued, handed on or recalled to running. */
void task_queue_run(struct task_queue *queue, struct task_queue_item *item);

uint32_t task_queue_cpus(const struct task_queue_item *item);
/* Slots that plain items share now. */
uint32_t task_queue_line_slots(const struct task_queue *queue);
/* How many wait, and how many have not ended. */
uint32_t task_queue_waiting_n(const struct task_queue *queue);
uint32_t task_queue_active_n(const struct task_queue *queue);

/* From any other state to ended. */
void task_queue_end(struct task_queue *queue, struct task_queue_item *item);

/* Lets go of an item in any state. */
void task_queue_remove(struct task_queue *queue, struct task_queue_item *item);

/* The item, queued or handed on, that has waited too long, or NULL. */
struct task_queue_item *task_queue_overdue(const struct task_queue *queue, int64_t now_ms);
/* When there will be one; INT64_MAX while nothing waits. */
int64_t task_queue_due_ms(const struct task_queue *queue);

#endif
