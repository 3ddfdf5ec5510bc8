#include "role/task_queue.h"

#include <assert.h>

#include "core/scheduler.h"

void task_queue_init(struct task_queue *queue, uint32_t slots)
{
    *queue = (struct task_queue){.slots = slots};
    for (unsigned i = 0; i < TASK_QUEUE_STATES; i++)
        TAILQ_INIT(&queue->lists[i]);
}

uint32_t task_queue_cpus(const struct task_queue_item *item)
{
    return item->cpus > 0 ? item->cpus : 1;
}

uint32_t task_queue_line_slots(const struct task_queue *queue)
{
    return queue->slots - queue->slots_apart;
}

uint32_t task_queue_waiting_n(const struct task_queue *queue)
{
    return queue->n[TASK_QUEUE_QUEUED] + queue->n[TASK_QUEUE_HANDED] +
           queue->n[TASK_QUEUE_RECALLED];
}

uint32_t task_queue_active_n(const struct task_queue *queue)
{
    return task_queue_waiting_n(queue) + queue->n[TASK_QUEUE_RUNNING];
}

static void task_queue_enter(struct task_queue *queue, struct task_queue_item *item,
                             enum task_queue_state state)
{
    item->state = state;
    TAILQ_INSERT_TAIL(&queue->lists[state], item, link);
    queue->n[state]++;
    if (state != TASK_QUEUE_RUNNING)
        return;
    queue->slots_used += task_queue_cpus(item);
    if (!item->plain)
        queue->slots_apart += task_queue_cpus(item);
}

static void task_queue_leave(struct task_queue *queue, struct task_queue_item *item)
{
    assert(queue->n[item->state] > 0);
    TAILQ_REMOVE(&queue->lists[item->state], item, link);
    queue->n[item->state]--;
    if (item->state != TASK_QUEUE_RUNNING)
        return;
    queue->slots_used -= task_queue_cpus(item);
    if (!item->plain)
        queue->slots_apart -= task_queue_cpus(item);
}

struct task_queue_item *task_queue_find(const struct task_queue *queue, const struct task_key *key)
{
    struct task_queue_item *item = NULL;
    HASH_FIND(hh, queue->items, key, sizeof *key, item);
    return item;
}

int task_queue_add(struct task_queue *queue, struct task_queue_item *item, int64_t now_ms)
{
    if (task_queue_find(queue, &item->key) != NULL)
        return ERR_EXISTS;
    if (task_queue_cpus(item) > queue->slots)
        return ERR_TOO_LARGE;
    uint32_t active = task_queue_active_n(queue);
    if (active >= sched_slots_ahead(queue->slots) ||
        active + queue->n[TASK_QUEUE_ENDED] >= TASK_QUEUE_HELD_MAX)
        return ERR_BUSY;
    HASH_ADD(hh, queue->items, key, sizeof item->key, item);
    item->queued_ms = now_ms;
    task_queue_enter(queue, item, TASK_QUEUE_QUEUED);
    return 0;
}

void task_queue_add_ended(struct task_queue *queue, struct task_queue_item *item)
{
    assert(task_queue_find(queue, &item->key) == NULL);
    HASH_ADD(hh, queue->items, key, sizeof item->key, item);
    task_queue_enter(queue, item, TASK_QUEUE_ENDED);
}

struct task_queue_item *task_queue_next(const struct task_queue *queue)
{
    struct task_queue_item *first = TAILQ_FIRST(&queue->lists[TASK_QUEUE_QUEUED]);
    if (first == NULL || first->plain)
        return first;
    bool in_line = queue->n[TASK_QUEUE_HANDED] + queue->n[TASK_QUEUE_RECALLED] > 0;
    return !in_line && queue->slots_used + task_queue_cpus(first) <= queue->slots ? first : NULL;
}

void task_queue_hand(struct task_queue *queue, struct task_queue_item *item)
{
    assert(item->state == TASK_QUEUE_QUEUED && item->plain);
    task_queue_leave(queue, item);
    task_queue_enter(queue, item, TASK_QUEUE_HANDED);
}

void task_queue_recall(struct task_queue *queue, struct task_queue_item *item)
{
    assert(item->state == TASK_QUEUE_HANDED);
    task_queue_leave(queue, item);
    task_queue_enter(queue, item, TASK_QUEUE_RECALLED);
}

void task_queue_run(struct task_queue *queue, struct task_queue_item *item)
{
    assert(item->plain ? item->state != TASK_QUEUE_RUNNING : item->state == TASK_QUEUE_QUEUED);
    task_queue_leave(queue, item);
    task_queue_enter(queue, item, TASK_QUEUE_RUNNING);
    assert(queue->slots_apart <= queue->slots);
}

void task_queue_end(struct task_queue *queue, struct task_queue_item *item)
{
    assert(item->state != TASK_QUEUE_ENDED);
    task_queue_leave(queue, item);
    task_queue_enter(queue, item, TASK_QUEUE_ENDED);
}

void task_queue_remove(struct task_queue *queue, struct task_queue_item *item)
{
    task_queue_leave(queue, item);
    HASH_DEL(queue->items, item);
}

/* What was handed on came before what is queued. */
static struct task_queue_item *task_queue_oldest(const struct task_queue *queue)
{
    struct task_queue_item *handed = TAILQ_FIRST(&queue->lists[TASK_QUEUE_HANDED]);
    return handed != NULL ? handed : TAILQ_FIRST(&queue->lists[TASK_QUEUE_QUEUED]);
}

struct task_queue_item *task_queue_overdue(const struct task_queue *queue, int64_t now_ms)
{
    return now_ms >= task_queue_due_ms(queue) ? task_queue_oldest(queue) : NULL;
}

int64_t task_queue_due_ms(const struct task_queue *queue)
{
    const struct task_queue_item *oldest = task_queue_oldest(queue);
    return oldest != NULL ? oldest->queued_ms + TASK_QUEUE_HOLD_MS : INT64_MAX;
}
