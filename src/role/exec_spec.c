#include "role/exec_spec.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

static bool exec_spec_is_text(const json_t *value)
{
    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

static int exec_spec_check_keys(const json_t *body, const char *const *others, struct error *e)
{
    static const char *const known[] = {"argv", "command", "env", "time_limit_ms"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, key, value)
    {
        bool ok = false;
        for (unsigned i = 0; i < MEM_COUNT(known); i++)
            ok = ok || strcmp(key, known[i]) == 0;
        for (unsigned i = 0; others[i] != NULL; i++)
            ok = ok || strcmp(key, others[i]) == 0;
        if (!ok)
            return error_set(e, ERR_INVALID, "unknown key \"%.64s\"", key);
    }
    return 0;
}

static int exec_spec_read_argv(const json_t *body, Wire__ExecStart *start, struct error *e)
{
    const json_t *argv = json_object_get(body, "argv");
    const json_t *command = json_object_get(body, "command");
    if ((argv != NULL) == (command != NULL))
        return error_set(e, ERR_INVALID, "give either \"argv\" or \"command\"");
    if (command != NULL ? !exec_spec_is_text(command) : !json_is_array(argv))
        return error_set(e, ERR_INVALID,
                         command != NULL ? "\"command\" must be text"
                                         : "\"argv\" must be a list of texts");
    size_t n = command != NULL ? 1 : json_array_size(argv);
    if (n == 0 || n > EXEC_SPEC_ARGV_MAX)
        return error_set(e, ERR_INVALID, "\"argv\" must have 1 to %d elements", EXEC_SPEC_ARGV_MAX);
    start->argv = mem_calloc(n, sizeof *start->argv);
    for (size_t i = 0; i < n; i++) {
        const json_t *arg = command != NULL ? command : json_array_get(argv, i);
        if (!exec_spec_is_text(arg))
            return error_set(e, ERR_INVALID, "\"argv\" must be a list of texts");
        start->argv[start->n_argv++] = mem_strdup(json_string_value(arg));
    }
    if (start->argv[0][0] == '\0')
        return error_set(e, ERR_INVALID, "the command is empty");
    return 0;
}

static int exec_spec_read_env(const json_t *body, Wire__ExecStart *start, struct error *e)
{
    const json_t *env = json_object_get(body, "env");
    const char *name;
    json_t *value;
    if (env == NULL)
        return 0;
    if (!json_is_object(env) || json_object_size(env) > EXEC_SPEC_ENV_MAX)
        return error_set(e, ERR_INVALID, "\"env\" must be an object of up to %d texts",
                         EXEC_SPEC_ENV_MAX);
    start->env = mem_calloc(json_object_size(env) + 1, sizeof(Wire__EnvVar *));
    json_object_foreach((json_t *)(uintptr_t)env, name, value)
    {
        if (name[0] == '\0' || strchr(name, '=') != NULL || !exec_spec_is_text(value))
            return error_set(e, ERR_INVALID, "\"env\" must give texts to names without \"=\"");
        Wire__EnvVar *var = mem_alloc(sizeof *var);
        wire__env_var__init(var);
        var->name = mem_strdup(name);
        var->value = mem_strdup(json_string_value(value));
        start->env[start->n_env++] = var;
    }
    return 0;
}

static int exec_spec_read_limit(const json_t *body, Wire__ExecStart *start, struct error *e)
{
    const json_t *limit = json_object_get(body, "time_limit_ms");
    if (limit == NULL)
        return 0;
    if (!json_is_integer(limit) || json_integer_value(limit) < 0 ||
        json_integer_value(limit) > EXEC_SPEC_TIME_LIMIT_MS_MAX)
        return error_set(e, ERR_INVALID, "\"time_limit_ms\" must be a number from 0 to %d",
                         EXEC_SPEC_TIME_LIMIT_MS_MAX);
    start->time_limit_ms = (uint64_t)json_integer_value(limit);
    return 0;
}

int exec_spec_parse(const json_t *body, const char *const *others, Wire__ExecStart **out,
                    struct error *e)
{
    Wire__ExecStart *start = mem_alloc(sizeof *start);
    wire__exec_start__init(start);
    int err = exec_spec_check_keys(body, others, e);
    if (err == 0)
        err = exec_spec_read_argv(body, start, e);
    if (err == 0)
        err = exec_spec_read_env(body, start, e);
    if (err == 0)
        err = exec_spec_read_limit(body, start, e);
    if (err < 0)
        wire__exec_start__free_unpacked(start, NULL);
    else
        *out = start;
    return err;
}
