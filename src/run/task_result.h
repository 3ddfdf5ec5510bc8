/* What an attempt comes to: the report that a worker sends of it. */
#ifndef RUN_TASK_RESULT_H
#define RUN_TASK_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "run/spawn.h"
#include "wire/cluster.pb-c.h"
#include "wire/task_code.h"

struct task_result {
    Wire__TaskReport report; /* without its key; the streams in it are owned */
    char text[ERROR_TEXT_MAX];
    bool is_set;
    uint64_t wall_us; /* of all commands together */
};

/* The command that ended, for messages and limits. */
struct task_result_command {
    const Wire__JobSpec *spec;
    size_t number; /* from 1 ... */
    size_t count;  /* ... to this */
    uint64_t output_bytes_max;
    const char *tasks_dir; /* whose file system may be full */
};

void task_result_init(struct task_result *r);
void task_result_done(struct task_result *r);

/* Once. */
void task_result_set(struct task_result *r, Wire__TaskPhase phase, enum task_code code,
                     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Adds how a command ended, its times and sizes and, if the directory was tidied, its streams. */
void task_result_add(struct task_result *r, const struct spawn_result *command);

/* Sets the result by how the last command ended. */
void task_result_set_command(struct task_result *r, const struct task_result_command *command,
                             const struct spawn_result *ended);

/* Removes work/. If both streams are small takes them into the report and removes the whole
 * directory, else makes them survive a power cut. Blocks. */
void task_result_collect(struct task_result *r, const char *dir);

#endif
