#include "wire/task_key.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

int task_key_read(const Wire__TaskKey *message, struct task_key *key)
{
    if (!message || message->job.len != sizeof key->job.bytes)
        return ERR_PROTOCOL;
    memcpy(key->job.bytes, message->job.data, sizeof key->job.bytes);
    key->index = message->index;
    key->attempt = message->attempt;
    return 0;
}

void task_key_write(const struct task_key *key, Wire__TaskKey *message)
{
    wire__task_key__init(message);
    message->job.data = (uint8_t *)key->job.bytes;
    message->job.len = sizeof key->job.bytes;
    message->index = key->index;
    message->attempt = key->attempt;
}

const char *task_key_format(const struct task_key *key, char out[static TASK_KEY_TEXT_MAX])
{
    char job[UUID_TEXT_MAX];

    snprintf(out, TASK_KEY_TEXT_MAX, "%s_%u.%u", uuid_format(&key->job, job), key->index,
             key->attempt);
    return out;
}
