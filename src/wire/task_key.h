/* Which attempt at which element of which job. Usable as a hash key: it has no padding. */
#ifndef WIRE_TASK_KEY_H
#define WIRE_TASK_KEY_H

#include <stdint.h>

#include "base/uuid.h"
#include "wire/cluster.pb-c.h"

struct task_key {
    struct uuid job;
    uint32_t index;
    uint32_t attempt;
};

_Static_assert(sizeof(struct task_key) == 24, "padding in a hash key");

enum { TASK_KEY_TEXT_MAX = UUID_TEXT_MAX + 24 };

/* Reads a received key; ERR_PROTOCOL when it is absent or its job is not 16 bytes. */
int task_key_read(const Wire__TaskKey *message, struct task_key *key);

/* Fills a message that borrows `key`'s bytes: `key` must outlive it. */
void task_key_write(const struct task_key *key, Wire__TaskKey *message);

/* "UUID_INDEX.ATTEMPT", for log records. */
const char *task_key_format(const struct task_key *key, char out[static TASK_KEY_TEXT_MAX]);

#endif
