#include "run/task_env.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* Secrets and service manager's sockets stay behind. */
static const char *const task_env_inherited[] = {"PATH", "HOME", "USER",   "LOGNAME", "SHELL",
                                                 "LANG", "TZ",   "LC_ALL", "TMPDIR"};

#define TASK_ENV_PATH   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define TASK_ENV_PREFIX "CLUSTERD_"

enum { TASK_ENV_OWN = 6, TASK_ENV_TRACE = 1 };

static bool task_env_is_job_variable(const Wire__EnvVar *var)
{
    return var->name[0] && !strchr(var->name, '=') && !str_starts_with(var->name, TASK_ENV_PREFIX);
}

static bool task_env_is_replaced(const Wire__JobSpec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_env; i++) {
        if (strcmp(spec->env[i]->name, name) == 0)
            return true;
    }
    return false;
}

static size_t task_env_inherit(char **env, const Wire__JobSpec *spec)
{
    size_t n = 0;

    for (size_t i = 0; i < MEM_COUNT(task_env_inherited); i++) {
        const char *name = task_env_inherited[i];
        const char *value = getenv(name);
        if (!value && strcmp(name, "PATH") == 0)
            value = TASK_ENV_PATH;
        if (value && !task_env_is_replaced(spec, name))
            env[n++] = mem_printf("%s=%s", name, value);
    }
    return n;
}

static size_t task_env_describe(char **env, const Wire__AssignTask *assign,
                                const struct task_key *key, const char *node_name)
{
    char job[UUID_TEXT_MAX];
    size_t n = 0;

    env[n++] = mem_printf("CLUSTERD_JOB_ID=%s", uuid_format(&key->job, job));
    env[n++] = mem_printf("CLUSTERD_JOB_NAME=%s", assign->job_name);
    env[n++] = mem_printf("CLUSTERD_ARRAY_INDEX=%" PRIu32, key->index);
    env[n++] = mem_printf("CLUSTERD_ARRAY_COUNT=%" PRIu32,
                          assign->array_count > 0 ? assign->array_count : 1);
    env[n++] = mem_printf("CLUSTERD_ATTEMPT=%" PRIu32, key->attempt);
    env[n++] = mem_printf("CLUSTERD_NODE=%s", node_name);
    assert(n == TASK_ENV_OWN);
    return n;
}

char **task_env_new(const Wire__AssignTask *assign, const struct task_key *key,
                    const char *node_name)
{
    const Wire__JobSpec *spec = assign->spec;
    char **env =
        mem_calloc(MEM_COUNT(task_env_inherited) + TASK_ENV_OWN + TASK_ENV_TRACE + spec->n_env + 1,
                   sizeof *env);
    size_t n = task_env_inherit(env, spec);

    n += task_env_describe(env + n, assign, key, node_name);
    if (spec->traceparent[0] != '\0' && !task_env_is_replaced(spec, "TRACEPARENT"))
        env[n++] = mem_printf("TRACEPARENT=%s", spec->traceparent);
    for (size_t i = 0; i < spec->n_env; i++) {
        if (task_env_is_job_variable(spec->env[i]))
            env[n++] = mem_printf("%s=%s", spec->env[i]->name, spec->env[i]->value);
    }
    return env;
}

void task_env_free(char **env)
{
    if (!env)
        return;
    for (char **var = env; *var; var++)
        free(*var);
    free(env);
}
