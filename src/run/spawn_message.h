/* What the daemon and its spawner say to each other. Both are the same program, so records are
 * plain structs, followed by their strings.
 *
 * A record is a struct spawn_message_head and its body. Records travel in batches: a packet of the
 * socket holds as many as fit; one that is larger than a packet travels alone, in a memory file
 * whose descriptor the packet carries (spawn_channel.h). */
#ifndef RUN_SPAWN_MESSAGE_H
#define RUN_SPAWN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "run/spawn.h"

enum {
    SPAWN_MESSAGE_PACKET_BYTES = 64 * 1024,
    SPAWN_MESSAGE_STRINGS_MAX = 65536, /* arguments and variables of a command */
    SPAWN_MESSAGE_LARGE_BYTES_MAX = SPAWN_REQUEST_BYTES_MAX + 65536, /* any record */
};

enum spawn_message_type {
    SPAWN_MESSAGE_HELLO = 1, /* daemon: struct spawn_message_hello, owner, spare directory */
    SPAWN_MESSAGE_RUN,       /* daemon: struct spawn_message_run, dir, argv, env */
    SPAWN_MESSAGE_KILL,      /* daemon: struct spawn_message_kill */
    SPAWN_MESSAGE_STARTED,   /* spawner: struct spawn_message_started */
    SPAWN_MESSAGE_ENDED,     /* spawner: struct spawn_message_ended, stdout, stderr */
    SPAWN_MESSAGE_SLOTS,     /* daemon: struct spawn_message_slots */
    SPAWN_MESSAGE_LARGE, /* either: alone in a packet, the record is in the attached memory file */
};

struct spawn_message_head {
    uint32_t bytes; /* of the record, this head included; a multiple of 8 */
    uint32_t type;
};

struct spawn_message_hello {
    uint32_t has_spare; /* a second string follows the owner */
    uint32_t slots;
};

struct spawn_message_run {
    uint64_t id;
    uint64_t time_limit_ms;
    uint64_t kill_grace_ms;
    uint64_t output_bytes_max;
    uint64_t memory_bytes_max;
    uint32_t cpu_milli_max;
    int32_t nice;
    uint32_t dir_use;
    uint32_t has_dir;
    uint32_t argc;
    uint32_t envc;
    uint32_t slots;
    uint32_t pad;
};

struct spawn_message_kill {
    uint64_t id;
    uint64_t grace_ms;
    uint32_t is_recall; /* only if it waits in line */
    uint32_t pad;
};

struct spawn_message_slots {
    uint32_t slots;
    uint32_t pad;
};

struct spawn_message_started {
    uint64_t id;
    int64_t started_ms;
    int32_t pid;
    int32_t pad;
};

enum { SPAWN_MESSAGE_WHAT_MAX = 32 };

struct spawn_message_ended {
    uint64_t id;
    int32_t end;    /* enum spawn_end */
    int32_t reason; /* enum spawn_reason */
    int32_t status; /* exit code, signal or -errno, as `end` says */
    int32_t tidied; /* then the streams follow */
    int64_t started_ms;
    int64_t ended_ms;
    uint64_t wall_us;
    uint64_t user_us;
    uint64_t system_us;
    uint64_t rss_max_bytes;
    uint64_t stdout_bytes;
    uint64_t stderr_bytes;
    char what[SPAWN_MESSAGE_WHAT_MAX];
};

/* Writing: begin makes room for the whole record (ERR_TOO_LARGE when `out` has none), then its
 * parts are put, then it ends. */
int spawn_message_begin(struct buf *out, enum spawn_message_type type, size_t body_bytes);
void spawn_message_put(struct buf *out, const void *data, size_t len);
void spawn_message_end(struct buf *out);

int spawn_message_add_hello(struct buf *out, const char *owner, const char *spare, uint32_t slots);

/* Appends the record of a command; ERR_TOO_LARGE or ERR_INVALID and `out` as before. */
int spawn_message_add_run(struct buf *out, uint64_t id, const struct spawn_command *command);

/* Reading a record's body. Each get fails with ERR_PROTOCOL past its end. */
struct spawn_message_cursor {
    uint8_t *data;
    size_t len;
};

int spawn_message_get(struct spawn_message_cursor *c, void *out, size_t bytes);
int spawn_message_get_string(struct spawn_message_cursor *c, char **out); /* within the record */

/* Reads the records' bodies. `argv` and `env` are NULL-terminated parts of one array: free(*argv).
 * The first of `env` is left NULL for the caller; strings are within the record. */
int spawn_message_read_run(struct spawn_message_cursor c, struct spawn_message_run *run, char **dir,
                           char ***argv, char ***env);
/* `result` borrows from `m` and the record. */
int spawn_message_read_ended(struct spawn_message_cursor c, struct spawn_message_ended *m,
                             struct spawn_result *result);

#endif
