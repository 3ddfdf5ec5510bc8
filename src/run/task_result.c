#include "run/task_result.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/task_dir.h"

enum {
    TASK_RESULT_NOT_FOUND = 127, /* exit codes, as the shell's */
    TASK_RESULT_NOT_ALLOWED = 126,
    TASK_RESULT_DISK_FULL_BYTES =
        64 * 1024, /* a command that fails with less free failed for that */
    TASK_RESULT_WHICH_MAX = 64,
};

void task_result_init(struct task_result *r)
{
    *r = (struct task_result){0};
    wire__task_report__init(&r->report);
    r->report.exit_code = -1;
    r->report.text = r->text;
}

static void task_result_drop_streams(struct task_result *r)
{
    free(r->report.stdout_inline.data);
    free(r->report.stderr_inline.data);
    r->report.stdout_inline = r->report.stderr_inline = (ProtobufCBinaryData){0};
}

void task_result_done(struct task_result *r)
{
    task_result_drop_streams(r);
}

void task_result_set(struct task_result *r, Wire__TaskPhase phase, enum task_code code,
                     const char *fmt, ...)
{
    va_list args;

    assert(!r->is_set);
    r->is_set = true;
    r->report.phase = phase;
    r->report.code = code;
    va_start(args, fmt);
    vsnprintf(r->text, sizeof r->text, fmt, args);
    va_end(args);
}

#define task_result_fail(r, code, ...)                                                             \
    task_result_set((r), WIRE__TASK_PHASE__TASK_PHASE_FAILED, (code), __VA_ARGS__)

void task_result_add(struct task_result *r, const struct spawn_result *command)
{
    Wire__TaskReport *report = &r->report;

    report->exit_code = command->end == SPAWN_EXITED ? command->exit_code : -1;
    report->signal = command->end == SPAWN_SIGNALED ? (uint32_t)command->signal : 0;
    if (report->started_ms == 0)
        report->started_ms = (uint64_t)command->started_ms;
    if (command->ended_ms > 0)
        report->ended_ms = (uint64_t)command->ended_ms;
    r->wall_us += command->wall_us;
    report->user_us += command->user_us;
    report->system_us += command->system_us;
    if (command->rss_max_bytes > report->rss_max_bytes)
        report->rss_max_bytes = command->rss_max_bytes;
    if (command->end == SPAWN_EXITED || command->end == SPAWN_SIGNALED) {
        report->stdout_bytes = command->stdout_bytes;
        report->stderr_bytes = command->stderr_bytes;
    }
    if (!command->tidied)
        return;
    report->stdout_inline.len = command->stdout_bytes;
    report->stdout_inline.data = mem_dup(command->stdout_data, command->stdout_bytes);
    report->stderr_inline.len = command->stderr_bytes;
    report->stderr_inline.data = mem_dup(command->stderr_data, command->stderr_bytes);
}

/* "command 2 of 3: " where there are several */
static const char *task_result_which(const struct task_result_command *command,
                                     char out[static TASK_RESULT_WHICH_MAX])
{
    out[0] = '\0';
    if (command->count > 1)
        snprintf(out, TASK_RESULT_WHICH_MAX, "command %zu of %zu: ", command->number,
                 command->count);
    return out;
}

static bool task_result_is_disk_full(const struct task_result_command *command)
{
    struct statvfs fs;

    return statvfs(command->tasks_dir, &fs) == 0 &&
           (uint64_t)fs.f_bavail * fs.f_frsize < TASK_RESULT_DISK_FULL_BYTES;
}

static void task_result_set_limit(struct task_result *r, const struct task_result_command *command,
                                  const char *which, enum spawn_reason reason)
{
    char amount[STR_SHORT_MAX];

    if (reason == SPAWN_REASON_TIME_LIMIT)
        task_result_fail(r, TASK_CODE_TIME_LIMIT, "%sran longer than %s", which,
                         str_format_duration((int64_t)command->spec->time_limit_ms, amount));
    else if (reason == SPAWN_REASON_OUTPUT_LIMIT)
        task_result_fail(r, TASK_CODE_OUTPUT_LIMIT, "%swrote more output than %s", which,
                         str_format_bytes(command->output_bytes_max, amount));
    else
        task_result_fail(r, TASK_CODE_MEMORY_LIMIT, "%sused more memory than %s", which,
                         str_format_bytes(command->spec->memory_bytes, amount));
}

static void task_result_set_not_started(struct task_result *r,
                                        const struct task_result_command *command,
                                        const char *which, const struct spawn_result *ended)
{
    const Wire__JobSpec *spec = command->spec;
    bool is_full = ended->error == -ENOSPC || ended->error == -EDQUOT;
    char *file = spec->n_argv > 0 ? str_printable(spec->argv[0], strlen(spec->argv[0]), false)
                                  : mem_strdup("/bin/sh");

    if (ended->error == -ENOENT)
        r->report.exit_code = TASK_RESULT_NOT_FOUND;
    else if (ended->error == -EACCES || ended->error == -ENOEXEC)
        r->report.exit_code = TASK_RESULT_NOT_ALLOWED;
    task_result_fail(r, is_full ? TASK_CODE_DISK_FULL : TASK_CODE_SPAWN_FAILED,
                     "%scannot %s%s%.200s: %s", which, ended->what,
                     strcmp(ended->what, "execute") == 0 ? " " : " for ", file,
                     err_text(ended->error));
    free(file);
}

static void task_result_set_exit(struct task_result *r, const struct task_result_command *command,
                                 const char *which, int exit_code)
{
    if (exit_code == 0)
        task_result_set(r, WIRE__TASK_PHASE__TASK_PHASE_COMPLETED, TASK_CODE_OK, "%s", "");
    else if (task_result_is_disk_full(command))
        task_result_fail(r, TASK_CODE_DISK_FULL, "%sexit code %d, and the disk is full", which,
                         exit_code);
    else
        task_result_fail(r, TASK_CODE_EXIT_NONZERO, "%sexit code %d", which, exit_code);
}

void task_result_set_command(struct task_result *r, const struct task_result_command *command,
                             const struct spawn_result *ended)
{
    char which[TASK_RESULT_WHICH_MAX];

    task_result_which(command, which);
    if (ended->end == SPAWN_FAILED) {
        task_result_set_not_started(r, command, which, ended);
    } else if (ended->end == SPAWN_LOST) {
        task_result_fail(r, TASK_CODE_NODE_LOST,
                         "%sthe process that runs the commands of its node died", which);
    } else if (ended->reason > SPAWN_REASON_KILL) {
        task_result_set_limit(r, command, which, ended->reason);
    } else if (ended->end == SPAWN_SIGNALED) {
        const char *name = sigabbrev_np(ended->signal);
        task_result_fail(r, TASK_CODE_SIGNAL, "%sended by signal %d%s%s", which, ended->signal,
                         name ? ", SIG" : "", name ? name : "");
    } else {
        task_result_set_exit(r, command, which, ended->exit_code);
    }
}

/* Takes a stream into the report; false when it is too large or can't be read. */
static bool task_result_take_stream(const char *dir, const char *name, ProtobufCBinaryData *out,
                                    uint64_t *bytes)
{
    char *data;
    size_t len;

    int err = task_dir_read_small(dir, name, SPAWN_INLINE_MAX, &data, &len);
    if (err == -ENOENT) {
        *bytes = 0;
        return true;
    }
    if (err < 0)
        return false;
    out->data = (uint8_t *)data;
    out->len = len;
    *bytes = len;
    return true;
}

static void task_result_sync_stream(const char *dir, const char *name)
{
    char *path = mem_printf("%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    free(path);
    if (fd < 0)
        return;
    (void)fdatasync(fd);
    close(fd);
}

void task_result_collect(struct task_result *r, const char *dir)
{
    Wire__TaskReport *report = &r->report;

    (void)task_dir_remove_work(dir, NULL); /* retention tries again what can't be removed now */
    if (task_result_take_stream(dir, TASK_DIR_STDOUT, &report->stdout_inline,
                                &report->stdout_bytes) &&
        task_result_take_stream(dir, TASK_DIR_STDERR, &report->stderr_inline,
                                &report->stderr_bytes)) {
        (void)task_dir_remove(dir, NULL);
        return;
    }
    task_result_drop_streams(r); /* both or none */
    report->output_kept = true;
    task_result_sync_stream(dir, TASK_DIR_STDOUT);
    task_result_sync_stream(dir, TASK_DIR_STDERR);
}
