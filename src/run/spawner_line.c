#include "run/spawner_line.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void spawner_line_init(struct spawner_line *line)
{
    *line = (struct spawner_line){.slots = UINT32_MAX};
    TAILQ_INIT(&line->waiting);
}

static void spawner_line_take(struct spawner_line *line, struct spawner_waiter *waiter)
{
    TAILQ_REMOVE(&line->waiting, waiter, link);
    HASH_DEL(line->by_id, waiter);
}

void spawner_line_done(struct spawner_line *line)
{
    struct spawner_waiter *waiter;

    while ((waiter = TAILQ_FIRST(&line->waiting)) != NULL) {
        spawner_line_take(line, waiter);
        free(waiter);
    }
}

void spawner_line_add(struct spawner_line *line, uint64_t id, uint32_t slots,
                      struct spawn_message_cursor body)
{
    struct spawner_waiter *waiter = mem_alloc(sizeof *waiter + body.len);

    memset(waiter, 0, sizeof *waiter);
    waiter->id = id;
    waiter->slots = slots;
    waiter->len = body.len;
    memcpy(waiter->body, body.data, body.len);
    TAILQ_INSERT_TAIL(&line->waiting, waiter, link);
    HASH_ADD(hh, line->by_id, id, sizeof waiter->id, waiter);
}

struct spawner_waiter *spawner_line_next(struct spawner_line *line)
{
    struct spawner_waiter *first = TAILQ_FIRST(&line->waiting);

    if (!first || line->used + first->slots > line->slots)
        return NULL;
    spawner_line_take(line, first);
    return first;
}

bool spawner_line_remove(struct spawner_line *line, uint64_t id)
{
    struct spawner_waiter *waiter;

    HASH_FIND(hh, line->by_id, &id, sizeof id, waiter);
    if (!waiter)
        return false;
    spawner_line_take(line, waiter);
    free(waiter);
    return true;
}

bool spawner_line_is_empty(const struct spawner_line *line)
{
    return TAILQ_EMPTY(&line->waiting);
}
