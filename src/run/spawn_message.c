/* Records are measured before they are written, so that they are written whole or not at all. A
 * record that contradicts its length is ERR_PROTOCOL: the other end is then no program of ours. */
#include "run/spawn_message.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

enum { SPAWN_MESSAGE_ALIGN = 8 };

static size_t spawn_message_pad(size_t len)
{
    return (SPAWN_MESSAGE_ALIGN - len % SPAWN_MESSAGE_ALIGN) % SPAWN_MESSAGE_ALIGN;
}

int spawn_message_begin(struct buf *out, enum spawn_message_type type, size_t body_bytes)
{
    size_t len = sizeof(struct spawn_message_head) + body_bytes;
    struct spawn_message_head head = {.bytes = (uint32_t)(len + spawn_message_pad(len)),
                                      .type = type};

    assert(out->len % SPAWN_MESSAGE_ALIGN == 0);
    if (len > SPAWN_MESSAGE_LARGE_BYTES_MAX || buf_reserve(out, head.bytes) < 0)
        return ERR_TOO_LARGE;
    spawn_message_put(out, &head, sizeof head);
    return 0;
}

void spawn_message_put(struct buf *out, const void *data, size_t len)
{
    int err = buf_append(out, data, len);

    assert(err == 0); /* begin made room */
    (void)err;
}

void spawn_message_end(struct buf *out)
{
    static const uint8_t zeros[SPAWN_MESSAGE_ALIGN];

    spawn_message_put(out, zeros, spawn_message_pad(out->len));
}

/* Adds the strings' sizes and number; returns false above the limits. */
static bool spawn_message_measure(const char *const *strings, size_t *bytes, uint32_t *count)
{
    for (; strings && *strings; strings++) {
        *bytes += strlen(*strings) + 1;
        if (*bytes > SPAWN_REQUEST_BYTES_MAX || ++*count > SPAWN_MESSAGE_STRINGS_MAX)
            return false;
    }
    return true;
}

static void spawn_message_put_string(struct buf *out, const char *s)
{
    spawn_message_put(out, s, strlen(s) + 1);
}

int spawn_message_add_hello(struct buf *out, const char *owner, const char *spare, uint32_t slots)
{
    struct spawn_message_hello hello = {.has_spare = spare != NULL, .slots = slots};
    size_t bytes = strlen(owner) + 1 + (spare ? strlen(spare) + 1 : 0);

    int err = spawn_message_begin(out, SPAWN_MESSAGE_HELLO, sizeof hello + bytes);
    if (err < 0)
        return err;
    spawn_message_put(out, &hello, sizeof hello);
    spawn_message_put_string(out, owner);
    if (spare)
        spawn_message_put_string(out, spare);
    spawn_message_end(out);
    return 0;
}

int spawn_message_add_run(struct buf *out, uint64_t id, const struct spawn_command *command)
{
    struct spawn_message_run run = {
        .id = id,
        .time_limit_ms = command->time_limit_ms,
        .kill_grace_ms = command->kill_grace_ms,
        .output_bytes_max = command->output_bytes_max,
        .memory_bytes_max = command->memory_bytes_max,
        .cpu_milli_max = command->cpu_milli_max,
        .nice = command->nice,
        .dir_use = command->dir_use,
        .has_dir = command->dir != NULL,
        .slots = command->slots,
    };
    size_t bytes = command->dir ? strlen(command->dir) + 1 : 0;

    if (!command->argv || !command->argv[0] || !command->argv[0][0])
        return ERR_INVALID;
    if (command->dir ? command->dir[0] != '/' : command->dir_use != 0)
        return ERR_INVALID;
    if (!spawn_message_measure(command->argv, &bytes, &run.argc) ||
        !spawn_message_measure(command->env, &bytes, &run.envc))
        return ERR_TOO_LARGE;

    int err = spawn_message_begin(out, SPAWN_MESSAGE_RUN, sizeof run + bytes);
    if (err < 0)
        return err;
    spawn_message_put(out, &run, sizeof run);
    if (command->dir)
        spawn_message_put_string(out, command->dir);
    for (uint32_t i = 0; i < run.argc; i++)
        spawn_message_put_string(out, command->argv[i]);
    for (uint32_t i = 0; i < run.envc; i++)
        spawn_message_put_string(out, command->env[i]);
    spawn_message_end(out);
    return 0;
}

int spawn_message_get(struct spawn_message_cursor *c, void *out, size_t bytes)
{
    if (bytes > c->len)
        return ERR_PROTOCOL;
    memcpy(out, c->data, bytes);
    c->data += bytes;
    c->len -= bytes;
    return 0;
}

int spawn_message_get_string(struct spawn_message_cursor *c, char **out)
{
    uint8_t *nul = memchr(c->data, '\0', c->len);

    if (!nul)
        return ERR_PROTOCOL;
    *out = (char *)c->data;
    c->len -= (size_t)(nul + 1 - c->data);
    c->data = nul + 1;
    return 0;
}

static int spawn_message_get_strings(struct spawn_message_cursor *c, size_t count, char **out)
{
    for (size_t i = 0; i < count; i++) {
        int err = spawn_message_get_string(c, &out[i]);
        if (err < 0)
            return err;
    }
    return 0;
}

int spawn_message_read_run(struct spawn_message_cursor c, struct spawn_message_run *run, char **dir,
                           char ***argv, char ***env)
{
    int err = spawn_message_get(&c, run, sizeof *run);
    if (err < 0)
        return err;
    if (run->argc < 1 || run->argc > SPAWN_MESSAGE_STRINGS_MAX ||
        run->envc > SPAWN_MESSAGE_STRINGS_MAX)
        return ERR_PROTOCOL;
    char **strings = mem_calloc((size_t)run->argc + run->envc + 3, sizeof *strings);
    *dir = NULL;
    *argv = strings;
    *env = strings + run->argc + 1;
    if (run->has_dir)
        err = spawn_message_get_string(&c, dir);
    if (err == 0)
        err = spawn_message_get_strings(&c, run->argc, *argv);
    if (err == 0)
        err = spawn_message_get_strings(&c, run->envc, *env + 1);
    if (err < 0)
        free(strings);
    return err;
}

int spawn_message_read_ended(struct spawn_message_cursor c, struct spawn_message_ended *m,
                             struct spawn_result *result)
{
    int err = spawn_message_get(&c, m, sizeof *m);
    if (err < 0)
        return err;
    if (m->tidied && (m->stdout_bytes > c.len || m->stderr_bytes > c.len - m->stdout_bytes))
        return ERR_PROTOCOL;
    *result = (struct spawn_result){
        .end = (enum spawn_end)m->end,
        .reason = (enum spawn_reason)m->reason,
        .exit_code = m->end == SPAWN_EXITED ? m->status : 0,
        .signal = m->end == SPAWN_SIGNALED ? m->status : 0,
        .error = m->end == SPAWN_FAILED ? m->status : 0,
        .what = m->what,
        .started_ms = m->started_ms,
        .ended_ms = m->ended_ms,
        .wall_us = m->wall_us,
        .user_us = m->user_us,
        .system_us = m->system_us,
        .rss_max_bytes = m->rss_max_bytes,
        .stdout_bytes = m->stdout_bytes,
        .stderr_bytes = m->stderr_bytes,
        .tidied = m->tidied,
        .stdout_data = m->tidied ? (const char *)c.data : NULL,
        .stderr_data = m->tidied ? (const char *)c.data + m->stdout_bytes : NULL,
    };
    return 0;
}
