/* The stages of an attempt, each ended by a callback:
 *
 *   command: the spawner makes the directory, runs the commands one after the other, and tidies up.
 *   With files to fetch (or a directory of that name already there) before that, on libuv's pool:
 *   place -> for each file: fetch -> accept (check, unpack)
 *   With something left in the directory after it: clean up, on the pool.
 *
 * Whatever fails, or a cancel, stores the result and goes on with cleaning up. A cancel during a
 * stage asks that stage to end; its callback then finds the result there. */
#include "run/task_run.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/task_dir.h"
#include "run/task_env.h"
#include "run/task_fetch.h"
#include "run/task_file.h"
#include "run/task_result.h"

enum task_run_stage {
    TASK_RUN_STAGE_NEW,
    TASK_RUN_STAGE_PLACE,
    TASK_RUN_STAGE_FETCH,
    TASK_RUN_STAGE_ACCEPT,
    TASK_RUN_STAGE_COMMAND,
    TASK_RUN_STAGE_CLEAN_UP,
    TASK_RUN_STAGE_DONE,
    TASK_RUN_STAGE_COUNT,
};

struct task_run {
    const struct task_run_node *node;
    const Wire__AssignTask *assign;
    struct task_run_callbacks callbacks;
    struct task_key key;
    char *dir;
    enum task_run_stage stage;
    bool has_dir; /* it was made */
    uint32_t line_slots;

    size_t next_file;
    uint64_t fetch_began_ms;
    struct task_fetch fetch;

    size_t next_command;
    char **env;
    uint64_t spawn_id; /* 0: no command runs */
    pid_t session;     /* of it, once it is known to run */

    bool is_cancelled;
    bool is_hard;
    atomic_bool stop; /* for work on the pool */
    enum task_code cancel_code;
    char *cancel_reason;

    struct task_result result;

    uv_work_t work;
    int work_code;
    struct error work_error;
};

static void task_run_place(struct task_run *run);
static void task_run_next_file(struct task_run *run);
static void task_run_next_command(struct task_run *run);
static void task_run_clean_up(struct task_run *run);

/* ---- stages ---- */

static void task_run_set_stage(struct task_run *run, enum task_run_stage stage)
{
#define TO(stage) (1u << TASK_RUN_STAGE_##stage)
    static const unsigned edges[TASK_RUN_STAGE_COUNT] = {
        [TASK_RUN_STAGE_NEW] = TO(PLACE) | TO(COMMAND) | TO(CLEAN_UP),
        [TASK_RUN_STAGE_PLACE] = TO(FETCH) | TO(COMMAND) | TO(CLEAN_UP),
        [TASK_RUN_STAGE_FETCH] = TO(ACCEPT) | TO(CLEAN_UP),
        [TASK_RUN_STAGE_ACCEPT] = TO(FETCH) | TO(COMMAND) | TO(CLEAN_UP),
        [TASK_RUN_STAGE_COMMAND] = TO(COMMAND) | TO(PLACE) | TO(CLEAN_UP) | TO(DONE),
        [TASK_RUN_STAGE_CLEAN_UP] = TO(DONE),
    };
#undef TO

    assert(edges[run->stage] & (1u << stage));
    run->stage = stage;
}

static void task_run_free(struct task_run *run)
{
    task_env_free(run->env);
    task_result_done(&run->result);
    free(run->cancel_reason);
    free(run->dir);
    free(run);
}

static void task_run_done(struct task_run *run)
{
    Wire__TaskReport *report = &run->result.report;
    Wire__TaskKey key;

    task_run_set_stage(run, TASK_RUN_STAGE_DONE);
    assert(run->result.is_set);
    task_key_write(&run->key, &key);
    report->key = &key;
    if (report->ended_ms == 0)
        report->ended_ms = (uint64_t)clock_wall_ms();
    run->callbacks.done(run->callbacks.arg, run, report);
    task_run_free(run);
}

static void task_run_set_cancelled(struct task_run *run)
{
    task_result_set(&run->result, WIRE__TASK_PHASE__TASK_PHASE_CANCELLED, run->cancel_code, "%s",
                    run->cancel_reason);
}

/* A step before or between the commands failed, or was cancelled: ends the attempt. */
static void task_run_fail_step(struct task_run *run, enum task_code code, int err, const char *text)
{
    bool is_full = err == -ENOSPC || err == -EDQUOT;

    if (run->is_cancelled)
        task_run_set_cancelled(run);
    else
        task_result_set(&run->result, WIRE__TASK_PHASE__TASK_PHASE_FAILED,
                        is_full ? TASK_CODE_DISK_FULL : code, "%s", text);
    task_run_clean_up(run);
}

static size_t task_run_count_commands(const Wire__AssignTask *assign)
{
    return assign->spec->n_argv > 0 ? 1 : assign->spec->n_commands;
}

static size_t task_run_command_count(const struct task_run *run)
{
    return task_run_count_commands(run->assign);
}

static uint64_t task_run_output_max(const struct task_run *run)
{
    uint64_t most =
        run->node->output_bytes_max > 0 ? run->node->output_bytes_max : TASK_RUN_OUTPUT_BYTES_MAX;
    uint64_t wanted = run->assign->spec->output_bytes_max;

    return wanted > 0 && wanted < most ? wanted : most;
}

/* ---- work on the pool ---- */

static void task_run_queue(struct task_run *run, uv_work_cb work, uv_after_work_cb after)
{
    run->work.data = run;
    run->work_code = 0;
    run->work_error = (struct error){0};
    uv_queue_work(run->node->loop, &run->work, work, after);
}

/* ---- place: the directory, for files ---- */

static void task_run_place_work(uv_work_t *work)
{
    struct task_run *run = work->data;
    const Wire__AssignTask *assign = run->assign;
    struct error *e = &run->work_error;

    /* left by an attempt of this name that a daemon's death ended */
    int err = task_dir_remove(run->dir, e);
    if (err == 0)
        err = task_dir_make(run->dir, e);
    for (size_t i = 0; err == 0 && i < assign->n_files; i++)
        err = task_file_make_place(run->dir, assign->files[i], e);
    run->work_code = err;
}

static void task_run_place_worked(uv_work_t *work, int status)
{
    struct task_run *run = work->data;

    (void)status;
    run->has_dir = true;
    if (run->work_code < 0 || run->is_cancelled)
        task_run_fail_step(
            run, run->work_code == ERR_INVALID ? TASK_CODE_DOWNLOAD_FAILED : TASK_CODE_SPAWN_FAILED,
            run->work_code, run->work_error.text);
    else
        task_run_next_file(run);
}

static void task_run_place(struct task_run *run)
{
    task_run_set_stage(run, TASK_RUN_STAGE_PLACE);
    task_run_queue(run, task_run_place_work, task_run_place_worked);
}

/* ---- accept: a file that has come ---- */

static void task_run_accept_work(uv_work_t *work)
{
    struct task_run *run = work->data;
    const Wire__TaskFile *file = run->assign->files[run->next_file];

    run->work_code = task_file_accept(run->dir, file, &run->work_error);
}

static void task_run_unpack_work(uv_work_t *work)
{
    struct task_run *run = work->data;
    const Wire__TaskFile *file = run->assign->files[run->next_file];

    run->work_code = task_file_unpack(run->dir, file, &run->stop, &run->work_error);
}

static void task_run_unpack_worked(uv_work_t *work, int status)
{
    struct task_run *run = work->data;

    (void)status;
    if (run->work_code < 0 || run->is_cancelled) {
        task_run_fail_step(run, TASK_CODE_UNPACK_FAILED, run->work_code, run->work_error.text);
        return;
    }
    run->next_file++;
    task_run_next_file(run);
}

static void task_run_accept_worked(uv_work_t *work, int status)
{
    struct task_run *run = work->data;

    (void)status;
    if (run->work_code < 0 || run->is_cancelled)
        task_run_fail_step(run, TASK_CODE_DOWNLOAD_FAILED, run->work_code, run->work_error.text);
    else if (run->assign->files[run->next_file]->unpack)
        task_run_queue(run, task_run_unpack_work, task_run_unpack_worked);
    else
        task_run_unpack_worked(work, 0);
}

/* ---- fetch ---- */

static void task_run_fetched(void *arg, int code, const char *text)
{
    struct task_run *run = arg;

    if (code < 0 || run->is_cancelled) {
        task_run_fail_step(run, TASK_CODE_DOWNLOAD_FAILED, code, text);
        return;
    }
    task_run_set_stage(run, TASK_RUN_STAGE_ACCEPT);
    task_run_queue(run, task_run_accept_work, task_run_accept_worked);
}

/* The time limit holds for all downloads together, as it does for all commands; at least 1. */
static uint64_t task_run_fetch_left_ms(struct task_run *run)
{
    uint64_t limit_ms = run->assign->spec->time_limit_ms;
    uint64_t now_ms = uv_now(run->node->loop);

    if (limit_ms == 0)
        return 0;
    if (run->next_file == 0)
        run->fetch_began_ms = now_ms;
    uint64_t used_ms = now_ms - run->fetch_began_ms;
    return used_ms < limit_ms ? limit_ms - used_ms : 1;
}

static void task_run_next_file(struct task_run *run)
{
    struct error e;

    if (run->next_file == run->assign->n_files) {
        task_run_next_command(run);
        return;
    }
    task_run_set_stage(run, TASK_RUN_STAGE_FETCH);
    const Wire__TaskFile *file = run->assign->files[run->next_file];
    char *path = task_file_path(run->dir, file);
    int err = task_fetch_start(&run->fetch, run->node, file, path, task_run_fetch_left_ms(run),
                               task_run_fetched, run, &e);
    free(path);
    if (err < 0)
        task_run_fail_step(run, TASK_CODE_DOWNLOAD_FAILED, err, e.text);
}

/* ---- command ---- */

static void task_run_started(void *arg, uint64_t id, int pid, int64_t started_ms)
{
    struct task_run *run = arg;

    (void)id;
    run->session = pid;
    if (run->result.report.started_ms > 0)
        return;
    run->result.report.started_ms = (uint64_t)started_ms;
    if (run->callbacks.running)
        run->callbacks.running(run->callbacks.arg, run, started_ms);
}

static void task_run_set_command_result(struct task_run *run, const struct spawn_result *ended)
{
    struct task_result_command command = {
        .spec = run->assign->spec,
        .number = run->next_command,
        .count = task_run_command_count(run),
        .output_bytes_max = task_run_output_max(run),
        .tasks_dir = run->node->tasks_dir,
    };

    /* what exits well in spite of a cancel has completed */
    if (run->is_cancelled && ended->reason <= SPAWN_REASON_KILL && ended->end != SPAWN_LOST &&
        (ended->end != SPAWN_EXITED || ended->exit_code != 0 || command.number < command.count))
        task_run_set_cancelled(run);
    else
        task_result_set_command(&run->result, &command, ended);
}

static void task_run_ended(void *arg, uint64_t id, const struct spawn_result *ended)
{
    struct task_run *run = arg;
    bool is_dir_there = ended->end == SPAWN_FAILED && ended->error == -EEXIST;

    (void)id;
    run->spawn_id = 0;
    run->session = 0;
    if (is_dir_there && !run->has_dir && !run->is_cancelled) {
        run->next_command = 0;
        task_run_place(run);
        return;
    }
    if (ended->end == SPAWN_RECALLED) {
        if (run->is_cancelled)
            task_run_set_cancelled(run);
        else
            task_result_set(&run->result, WIRE__TASK_PHASE__TASK_PHASE_RETURNED, TASK_CODE_OK, "%s",
                            "");
        task_run_done(run);
        return;
    }
    run->has_dir = true;
    task_result_add(&run->result, ended);
    bool is_ok = ended->end == SPAWN_EXITED && ended->exit_code == 0 &&
                 ended->reason == SPAWN_REASON_NONE && !run->is_cancelled;
    if (is_ok && run->next_command < task_run_command_count(run)) {
        task_run_next_command(run);
        return;
    }
    task_run_set_command_result(run, ended);
    if (ended->tidied)
        task_run_done(run);
    else
        task_run_clean_up(run);
}

/* What is left of the limit for all commands together; at least 1. */
static uint64_t task_run_time_left_ms(const struct task_run *run)
{
    uint64_t limit_ms = run->assign->spec->time_limit_ms;
    uint64_t used_ms = run->result.wall_us / 1000;

    if (limit_ms == 0)
        return 0;
    return used_ms < limit_ms ? limit_ms - used_ms : 1;
}

static uint64_t task_run_grace_ms(const struct task_run *run)
{
    uint64_t grace_ms = run->assign->spec->kill_grace_ms;

    return grace_ms > 0 ? grace_ms : TASK_RUN_KILL_GRACE_MS;
}

static int task_run_spawn(struct task_run *run, const char *const *argv, bool is_last)
{
    const Wire__JobSpec *spec = run->assign->spec;
    struct spawn_callbacks callbacks = {task_run_started, task_run_ended, run};
    struct spawn_command command = {
        .argv = argv,
        .env = (const char *const *)run->env,
        .dir = run->dir,
        .dir_use = (run->has_dir ? 0 : SPAWN_DIR_MAKE) | SPAWN_DIR_TIDY_ON_FAILURE |
                   (is_last ? SPAWN_DIR_TIDY_ON_SUCCESS : 0),
        .time_limit_ms = task_run_time_left_ms(run),
        .kill_grace_ms = task_run_grace_ms(run),
        .output_bytes_max = task_run_output_max(run),
        .memory_bytes_max = spec->memory_bytes,
        .cpu_milli_max = spec->cpus * 1000,
        .slots = run->line_slots,
    };

    return spawn_run(run->node->spawn, &command, &callbacks, &run->spawn_id);
}

static void task_run_next_command(struct task_run *run)
{
    const Wire__JobSpec *spec = run->assign->spec;
    const char *shell[] = {"/bin/sh", "-c", NULL, NULL};
    const char **argv = shell;
    size_t count = task_run_command_count(run);

    if (!run->env)
        run->env = task_env_new(run->assign, &run->key, run->node->name);
    if (spec->n_argv > 0) {
        argv = mem_calloc(spec->n_argv + 1, sizeof *argv);
        memcpy(argv, spec->argv, spec->n_argv * sizeof *argv);
    } else if (count > 0) {
        shell[2] = spec->commands[run->next_command];
    }
    int err = ERR_INVALID;
    if (count > 0) {
        run->next_command++;
        err = task_run_spawn(run, argv, run->next_command == count);
    }
    if (argv != shell)
        free(argv);
    if (err < 0)
        task_run_fail_step(run, TASK_CODE_SPAWN_FAILED, err,
                           count == 0 ? "the job has no command" : err_text(err));
    else
        task_run_set_stage(run, TASK_RUN_STAGE_COMMAND);
}

/* ---- clean up ---- */

static void task_run_clean_up_work(uv_work_t *work)
{
    struct task_run *run = work->data;

    task_result_collect(&run->result, run->dir);
}

static void task_run_clean_up_worked(uv_work_t *work, int status)
{
    (void)status;
    task_run_done(work->data);
}

static void task_run_clean_up(struct task_run *run)
{
    assert(run->result.is_set);
    task_run_set_stage(run, TASK_RUN_STAGE_CLEAN_UP);
    task_run_queue(run, task_run_clean_up_work, task_run_clean_up_worked);
}

/* ---- */

bool task_run_is_plain(const Wire__AssignTask *assign)
{
    return assign->n_files == 0 && task_run_count_commands(assign) == 1;
}

struct task_run *task_run_start(const struct task_run_node *node, const Wire__AssignTask *assign,
                                uint32_t line_slots, const struct task_run_callbacks *callbacks)
{
    struct task_run *run = mem_zalloc(sizeof *run);

    assert(callbacks->done && assign->spec && (line_slots == 0 || task_run_is_plain(assign)));
    *run = (struct task_run){
        .node = node, .assign = assign, .line_slots = line_slots, .callbacks = *callbacks};
    int err = task_key_read(assign->key, &run->key);
    assert(err == 0); /* who took the message has checked it */
    (void)err;
    task_result_init(&run->result);
    run->dir = task_dir_path(node->tasks_dir, &run->key);
    if (assign->n_files > 0)
        task_run_place(run);
    else
        task_run_next_command(run);
    return run;
}

void task_run_cancel(struct task_run *run, enum task_code code, const char *reason, bool hard)
{
    bool is_first = !run->is_cancelled;

    if (run->result.is_set || (!is_first && (!hard || run->is_hard)))
        return;
    run->is_hard = hard;
    if (is_first) {
        run->is_cancelled = true;
        run->cancel_code = code;
        run->cancel_reason = mem_strdup(reason);
        atomic_store(&run->stop, true);
    }
    if (run->spawn_id > 0) {
        spawn_kill(run->node->spawn, run->spawn_id, hard ? 0 : task_run_grace_ms(run));
    } else if (run->stage == TASK_RUN_STAGE_FETCH && is_first && task_fetch_cancel(&run->fetch)) {
        task_run_set_cancelled(run);
        task_run_clean_up(run);
    }
}

void task_run_recall(struct task_run *run)
{
    if (run->spawn_id > 0 && run->line_slots > 0)
        spawn_recall(run->node->spawn, run->spawn_id);
}

const char *task_run_dir(const struct task_run *run)
{
    return run->dir;
}

int64_t task_run_started_ms(const struct task_run *run)
{
    return (int64_t)run->result.report.started_ms;
}

pid_t task_run_session(const struct task_run *run)
{
    return run->session;
}
