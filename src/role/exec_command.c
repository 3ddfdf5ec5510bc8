#include "role/exec_command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/task_code.h"

static bool exec_command_sets(const Wire__ExecStart *start, const char *name)
{
    for (size_t i = 0; i < start->n_env; i++)
        if (strcmp(start->env[i]->name, name) == 0)
            return true;
    return false;
}

/* What every command of the node gets, as far as the asker sets nothing else. */
static char **exec_command_make_env(const struct node *node, const Wire__ExecStart *start)
{
    static const char *const inherited[] = {"PATH", "HOME", "LANG", "TZ", "USER", "LOGNAME"};
    char **env = mem_calloc(MEM_COUNT(inherited) + start->n_env + 2, sizeof *env);
    size_t n = 0;
    for (unsigned i = 0; i < MEM_COUNT(inherited); i++) {
        const char *value = getenv(inherited[i]);
        if (value == NULL && i == 0)
            value = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        if (value != NULL && !exec_command_sets(start, inherited[i]))
            env[n++] = mem_printf("%s=%s", inherited[i], value);
    }
    env[n++] = mem_printf("CLUSTERD_NODE=%s", node_options(node)->name);
    for (size_t i = 0; i < start->n_env; i++)
        env[n++] = mem_printf("%s=%s", start->env[i]->name, start->env[i]->value);
    return env;
}

int exec_command_spawn(struct node *node, const Wire__ExecStart *start, const char *dir,
                       const struct spawn_callbacks *callbacks, uint64_t *id)
{
    const struct node_options *options = node_options(node);
    const char *shell[] = {"/bin/sh", "-c", start->argv[0], NULL};
    const char **argv = mem_calloc(start->n_argv + 1, sizeof *argv);
    for (size_t i = 0; i < start->n_argv; i++)
        argv[i] = start->argv[i];
    char **env = exec_command_make_env(node, start);
    struct spawn_command command = {
        .argv = start->n_argv == 1 ? shell : argv,
        .env = (const char *const *)env,
        .dir = dir,
        .dir_use = SPAWN_DIR_MAKE | SPAWN_DIR_TIDY_ON_FAILURE | SPAWN_DIR_TIDY_ON_SUCCESS,
        .time_limit_ms = start->time_limit_ms,
        .kill_grace_ms = options->kill_grace_ms,
        .output_bytes_max = options->output_bytes_max,
    };
    int err = spawn_run(node_spawn(node), &command, callbacks, id);
    for (size_t i = 0; env[i] != NULL; i++)
        free(env[i]);
    free(env);
    free(argv);
    return err;
}

static enum task_code exec_command_code(const struct spawn_result *result)
{
    switch (result->reason) {
    case SPAWN_REASON_TIME_LIMIT:
        return TASK_CODE_TIME_LIMIT;
    case SPAWN_REASON_OUTPUT_LIMIT:
        return TASK_CODE_OUTPUT_LIMIT;
    case SPAWN_REASON_MEMORY_LIMIT:
        return TASK_CODE_MEMORY_LIMIT;
    case SPAWN_REASON_KILL:
        return TASK_CODE_CANCELLED;
    default:
        break;
    }
    switch (result->end) {
    case SPAWN_EXITED:
        return result->exit_code == 0 ? TASK_CODE_OK : TASK_CODE_EXIT_NONZERO;
    case SPAWN_SIGNALED:
        return TASK_CODE_SIGNAL;
    case SPAWN_FAILED:
        return result->error == -ENOSPC ? TASK_CODE_DISK_FULL : TASK_CODE_SPAWN_FAILED;
    default:
        return TASK_CODE_NODE_LOST;
    }
}

char *exec_command_report(const char *program, const struct spawn_result *result,
                          Wire__TaskReport *report)
{
    wire__task_report__init(report);
    report->code = exec_command_code(result);
    report->phase = report->code == TASK_CODE_OK ? WIRE__TASK_PHASE__TASK_PHASE_COMPLETED
                                                 : WIRE__TASK_PHASE__TASK_PHASE_FAILED;
    report->exit_code = result->end == SPAWN_EXITED ? result->exit_code : -1;
    report->signal = result->end == SPAWN_SIGNALED ? (uint32_t)result->signal : 0;
    report->started_ms = (uint64_t)result->started_ms;
    report->ended_ms = (uint64_t)result->started_ms + result->wall_us / 1000;
    report->user_us = result->user_us;
    report->system_us = result->system_us;
    report->rss_max_bytes = result->rss_max_bytes;
    report->stdout_bytes = result->stdout_bytes;
    report->stderr_bytes = result->stderr_bytes;
    report->text = result->end == SPAWN_FAILED ? mem_printf("%s: cannot %s: %s", program,
                                                            result->what, err_text(result->error))
                                               : mem_strdup(task_code_text(report->code));
    return report->text;
}
