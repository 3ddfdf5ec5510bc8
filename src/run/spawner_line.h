/* Commands that wait in the spawner for slots, so that the next one starts the moment that one
 * ends. Started in the order of their coming: one that needs more slots than are free lets nobody
 * pass. */
#ifndef RUN_SPAWNER_LINE_H
#define RUN_SPAWNER_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <uthash.h>

#include "run/spawn_message.h"

struct spawner_waiter {
    uint64_t id;
    uint32_t slots;
    TAILQ_ENTRY(spawner_waiter) link;
    UT_hash_handle hh;
    size_t len;
    uint8_t body[]; /* of its record */
};

struct spawner_line {
    uint32_t slots; /* in all */
    uint64_t used;  /* by commands that left the line and run */
    TAILQ_HEAD(, spawner_waiter) waiting;
    struct spawner_waiter *by_id;
};

void spawner_line_init(struct spawner_line *line);
void spawner_line_done(struct spawner_line *line);

/* Copies the record's body. */
void spawner_line_add(struct spawner_line *line, uint64_t id, uint32_t slots,
                      struct spawn_message_cursor body);

/* Takes out the first one if it may start now, or NULL. The caller frees it, and adds its slots to
 * `used` for as long as it runs. */
struct spawner_waiter *spawner_line_next(struct spawner_line *line);

/* Takes one out that is not to start; false when it doesn't wait here. */
bool spawner_line_remove(struct spawner_line *line, uint64_t id);

bool spawner_line_is_empty(const struct spawner_line *line);

#endif
