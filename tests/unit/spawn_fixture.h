/* A loop, a spawner and a directory for tests that run real commands. The test program is its own
 * spawner: its main calls spawn_fixture_main first. */
#ifndef TESTS_UNIT_SPAWN_FIXTURE_H
#define TESTS_UNIT_SPAWN_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#include "base/mem.h"
#include "run/spawn.h"
#include "run/spawner.h"
#include "run/task_dir.h"

enum { SPAWN_FIXTURE_PATIENCE_MS = 300000, SPAWN_FIXTURE_TICK_MS = 2 };

struct spawn_fixture {
    uv_loop_t loop;
    uv_timer_t tick;
    uv_timer_t patience;
    struct spawn *spawn;
    char dir[64]; /* removed at the end */
    char *tasks;
    unsigned next_dir;
};

/* One command and what became of it. */
struct spawn_fixture_run {
    uint64_t id;
    char *dir;
    bool has_started;
    bool has_ended;
    int pid;
    struct spawn_result result; /* streams below */
    char what[64];
    char *out; /* NUL-terminated; NULL unless tidied */
    char *err;
};

static const char *const spawn_fixture_env[] = {"PATH=/usr/bin:/bin", NULL};

static inline void spawn_fixture_ticked(uv_timer_t *timer)
{
    (void)timer;
}

static inline void spawn_fixture_gave_up(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "the test waits for something that doesn't happen\n");
    abort();
}

/* Turns the loop until `condition(arg)`. */
static inline void spawn_fixture_wait(struct spawn_fixture *f, bool (*condition)(void *arg),
                                      void *arg)
{
    uv_timer_start(&f->patience, spawn_fixture_gave_up, SPAWN_FIXTURE_PATIENCE_MS, 0);
    uv_timer_start(&f->tick, spawn_fixture_ticked, SPAWN_FIXTURE_TICK_MS, SPAWN_FIXTURE_TICK_MS);
    while (!condition(arg))
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->tick);
    uv_timer_stop(&f->patience);
}

static inline void spawn_fixture_init(struct spawn_fixture *f)
{
    *f = (struct spawn_fixture){.dir = "/tmp/clusterd-test-XXXXXX"};
    assert_non_null(mkdtemp(f->dir));
    f->tasks = mem_printf("%s/tasks", f->dir);
    assert_int_equal(mkdir(f->tasks, 0700), 0);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    uv_timer_init(&f->loop, &f->tick);
    uv_timer_init(&f->loop, &f->patience);
    struct spawn_options options = {.owner = f->dir, .tasks_dir = f->tasks};
    struct error e = {0};
    if (spawn_new(&f->loop, &options, &f->spawn, &e) < 0)
        fail_msg("%s", e.text);
}

static inline void spawn_fixture_done(struct spawn_fixture *f)
{
    struct error e = {0};

    spawn_close(f->spawn, NULL, NULL);
    uv_close((uv_handle_t *)&f->tick, NULL);
    uv_close((uv_handle_t *)&f->patience, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    if (task_dir_remove(f->dir, &e) < 0)
        fail_msg("%s", e.text);
    free(f->tasks);
}

static inline void spawn_fixture_started(void *arg, uint64_t id, int pid, int64_t started_ms)
{
    struct spawn_fixture_run *r = arg;

    assert_false(r->has_started || r->has_ended);
    assert_int_equal(id, r->id);
    assert_true(started_ms > 0);
    r->has_started = true;
    r->pid = pid;
}

static inline void spawn_fixture_ended(void *arg, uint64_t id, const struct spawn_result *result)
{
    struct spawn_fixture_run *r = arg;

    assert_false(r->has_ended);
    assert_int_equal(id, r->id);
    r->has_ended = true;
    r->result = *result;
    snprintf(r->what, sizeof r->what, "%s", result->what);
    if (result->tidied) {
        r->out = mem_strndup(result->stdout_data, result->stdout_bytes);
        r->err = mem_strndup(result->stderr_data, result->stderr_bytes);
    }
}

static inline void spawn_fixture_run_done(struct spawn_fixture_run *r)
{
    free(r->dir);
    free(r->out);
    free(r->err);
    *r = (struct spawn_fixture_run){0};
}

/* Starts `command`; with a directory of its own unless dir_use is 0. */
static inline void spawn_fixture_begin(struct spawn_fixture *f, struct spawn_command command,
                                       struct spawn_fixture_run *r)
{
    struct spawn_callbacks callbacks = {spawn_fixture_started, spawn_fixture_ended, r};

    *r = (struct spawn_fixture_run){0};
    if (command.dir_use) {
        r->dir = mem_printf("%s/run-%u", f->tasks, f->next_dir++);
        command.dir = r->dir;
    }
    if (!command.env)
        command.env = spawn_fixture_env;
    assert_int_equal(spawn_run(f->spawn, &command, &callbacks, &r->id), 0);
}

static inline bool spawn_fixture_has_started(void *arg)
{
    return ((struct spawn_fixture_run *)arg)->has_started;
}

static inline bool spawn_fixture_has_ended(void *arg)
{
    return ((struct spawn_fixture_run *)arg)->has_ended;
}

/* Runs a command to its end. */
static inline void spawn_fixture_run(struct spawn_fixture *f, struct spawn_command command,
                                     struct spawn_fixture_run *r)
{
    spawn_fixture_begin(f, command, r);
    spawn_fixture_wait(f, spawn_fixture_has_ended, r);
}

enum {
    SPAWN_FIXTURE_TIDY = SPAWN_DIR_MAKE | SPAWN_DIR_TIDY_ON_FAILURE | SPAWN_DIR_TIDY_ON_SUCCESS
};

/* A command line of the shell, in a directory that is tidied if possible. */
#define SPAWN_FIXTURE_SHELL(text)                                                                  \
    (struct spawn_command)                                                                         \
    {                                                                                              \
        .argv = (const char *const[]){"/bin/sh", "-c", (text), NULL},                              \
        .dir_use = SPAWN_FIXTURE_TIDY                                                              \
    }

/* The number in a file that a command writes; 0 while there is none. */
static inline int spawn_fixture_read_pid(const char *path)
{
    int pid = 0;
    char newline = 0;
    FILE *file = fopen(path, "re");

    if (!file)
        return 0;
    if (fscanf(file, "%d%c", &pid, &newline) != 2 || newline != '\n')
        pid = 0;
    fclose(file);
    return pid;
}

struct spawn_fixture_pid_file {
    char *path;
    int pid;
};

static inline bool spawn_fixture_has_pid(void *arg)
{
    struct spawn_fixture_pid_file *file = arg;

    file->pid = spawn_fixture_read_pid(file->path);
    return file->pid > 0;
}

/* Waits until a command has written its pid to DIR/name. */
static inline int spawn_fixture_wait_pid(struct spawn_fixture *f, const char *dir, const char *name)
{
    struct spawn_fixture_pid_file file = {.path = mem_printf("%s/%s", dir, name)};

    spawn_fixture_wait(f, spawn_fixture_has_pid, &file);
    free(file.path);
    return file.pid;
}

/* ThreadSanitizer makes a fork of vfork: the spawner never hears why a command did not start. */
static inline void spawn_fixture_needs_vfork(void)
{
#ifdef __SANITIZE_THREAD__
    skip();
#endif
}

static inline bool spawn_fixture_is_gone(void *arg)
{
    return kill(*(int *)arg, 0) < 0 && errno == ESRCH;
}

/* To be called with main's arguments: in the spawner it doesn't return. */
static inline void spawn_fixture_main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "spawner") == 0)
        exit(spawner_main(SPAWNER_FD));
}

#endif
