/* One row a key: its name and the function that checks and takes the value. */
#include "role/job_spec.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "core/scheduler.h"
#include "core/selector.h"

struct job_spec_row {
    const char *key;
    int (*take)(Wire__JobSpec *spec, const json_t *value, struct error *e);
};

/* ---- values ---------------------------------------------------------------------------------- */

static int job_spec_string(char **field, const json_t *value, const char *key, size_t max,
                           struct error *e)
{
    const char *text = json_string_value(value);
    if (text == NULL)
        return error_set(e, ERR_INVALID, "\"%s\" must be a string", key);
    if (strlen(text) != json_string_length(value))
        return error_set(e, ERR_INVALID, "\"%s\" must not hold NUL characters", key);
    if (json_string_length(value) > max)
        return error_set(e, ERR_TOO_LARGE, "\"%s\" is longer than %zu bytes", key, max);
    *field = mem_strdup(text);
    return 0;
}

static int job_spec_integer(int64_t *out, const json_t *value, const char *key, int64_t min,
                            int64_t max, struct error *e)
{
    if (!json_is_integer(value))
        return error_set(e, ERR_INVALID, "\"%s\" must be a whole number", key);
    int64_t number = json_integer_value(value);
    if (number < min || number > max)
        return error_set(e, ERR_INVALID, "\"%s\" must be from %lld to %lld", key, (long long)min,
                         (long long)max);
    *out = number;
    return 0;
}

static int job_spec_string_list(char ***field, size_t *n, const json_t *value, const char *key,
                                size_t max, struct error *e)
{
    if (!json_is_array(value))
        return error_set(e, ERR_INVALID, "\"%s\" must be a list of strings", key);
    if (json_array_size(value) > max)
        return error_set(e, ERR_TOO_LARGE, "\"%s\" has more than %zu items", key, max);
    *field = mem_calloc(json_array_size(value), sizeof **field);
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item))
            return error_set(e, ERR_INVALID, "\"%s\" must be a list of strings", key);
        int err = job_spec_string(&(*field)[i], item, key, JOB_SPEC_BYTES_MAX, e);
        if (err < 0)
            return err;
        (*n)++;
    }
    return 0;
}

static bool job_spec_bool(const json_t *value, const char *key, int *err, struct error *e)
{
    if (!json_is_boolean(value))
        *err = error_set(e, ERR_INVALID, "\"%s\" must be true or false", key);
    return json_is_true(value);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static int job_spec_take_name(Wire__JobSpec *spec, const json_t *value, struct error *e)
{
    int err = job_spec_string(&spec->name, value, "name", 128, e);
    if (err == 0 && !str_is_utf8(spec->name, strlen(spec->name)))
        err = error_set(e, ERR_INVALID, "\"name\" is not UTF-8");
    return err;
}

static int job_spec_take_commands(Wire__JobSpec *spec, const json_t *value, struct error *e)
{
    return job_spec_string_list(&spec->commands, &spec->n_commands, value, "commands",
                                JOB_SPEC_COMMANDS_MAX, e);
}

static int job_spec_take_command(Wire__JobSpec *spec, const json_t *value, struct error *e)
{
    spec->commands = mem_calloc(1, sizeof *spec->commands);
    int err = job_spec_string(&spec->commands[0], value, "command", JOB_SPEC_BYTES_MAX, e);
    spec->n_commands = err == 0;
    return err;
}

static int job_spec_take_argv(Wire__JobSpec *spec, const json_t *value, struct error *e)
{
    return job_spec_string_list(&spec->argv, &spec->n_argv, value, "argv", 65536, e);
}

static int job_spec_take_env(Wire__JobSpec *spec, const json_t *value, struct error *e)
{
    if (!json_is_object(value))
        return error_set(e, ERR_INVALID, "\"env\" must be an object of strings");
    if (json_object_size(value) > JOB_SPEC_ENV_MAX)
        return error_set(e, ERR_TOO_LARGE, "\"env\" has more than %d variables", JOB_SPEC_ENV_MAX);
    spec->env = mem_calloc(json_object_size(value), sizeof *spec->env);
    const char *name;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)value, name, item)
    {
        Wire__EnvVar *var = mem_alloc(sizeof *var);
        wire__env_var__init(var);
        spec->env[spec->n_env++] = var;
        if (*name == '\0' || strchr(name, '=') != NULL)
            return error_set(e, ERR_INVALID, "\"env\" names a variable \"%s\"", name);
        var->name = mem_strdup(name);
        int err = job_spec_string(&var->value, item, name, JOB_SPEC_BYTES_MAX, e);
        if (err < 0)
            return err;
    }
    return 0;
}

static int job_spec_take_file_key(Wire__TaskFile *file, const char *key, const json_t *value,
                                  struct error *e)
{
    int err = 0;
    if (strcmp(key, "name") == 0)
        err = job_spec_string(&file->name, value, key, 4096, e);
    else if (strcmp(key, "url") == 0)
        err = job_spec_string(&file->url, value, key, 8192, e);
    else if (strcmp(key, "file") == 0)
        err = job_spec_string(&file->file, value, key, 64, e);
    else if (strcmp(key, "xxh") == 0)
        err = job_spec_string(&file->xxh, value, key, 64, e);
    else if (strcmp(key, "executable") == 0)
        file->executable = job_spec_bool(value, key, &err, e);
    else if (strcmp(key, "unpack") == 0)
        file->unpack = job_spec_bool(value, key, &err, e);
    else
        err = error_set(e, ERR_INVALID, "unknown key \"%s\" in \"files\"", key);
    return err;
}

static int job_spec_check_file(const Wire__TaskFile *file, struct error *e)
{
    bool url = file->url[0] != '\0';
    if (url == (file->file[0] != '\0'))
        return error_set(e, ERR_INVALID, "an item of \"files\" needs one of \"url\" and \"file\"");
    if (url && !str_starts_with(file->url, "http://") && !str_starts_with(file->url, "https://"))
        return error_set(e, ERR_INVALID, "\"url\" must begin with http:// or https://");
    struct uuid id;
    if (!url && uuid_parse(file->file, &id) < 0)
        return error_set(e, ERR_INVALID,
                         "\"file\" is \"%.64s\", must be the id of an uploaded file", file->file);
    const char *name = file->name;
    if (name[0] == '/' || strcmp(name, "..") == 0 || str_starts_with(name, "../") ||
        strstr(name, "/../") != NULL || str_ends_with(name, "/..") || str_ends_with(name, "/"))
        return error_set(e, ERR_INVALID,
                         "\"name\" of a file must stay below the working directory");
    return 0;
}

/* Without a name a file is called as the last part of its URL. */
static void job_spec_default_file_name(Wire__TaskFile *file)
{
    if (file->name[0] != '\0' || file->url[0] == '\0')
        return;
    const char *path = strstr(file->url, "://") + 3;
    size_t len = strcspn(path, "?#");
    size_t at = len;
    while (at > 0 && path[at - 1] != '/')
        at--;
    if (at > 0 && len > at)
        file->name = mem_strndup(path + at, len - at);
}

static int job_spec_take_file(Wire__JobSpec *spec, const json_t *item, struct error *e)
{
    Wire__TaskFile *file = mem_alloc(sizeof *file);
    wire__task_file__init(file);
    spec->files[spec->n_files++] = file;
    if (!json_is_object(item))
        return error_set(e, ERR_INVALID, "\"files\" must be a list of objects");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)item, key, value)
    {
        int err = job_spec_take_file_key(file, key, value, e);
        if (err < 0)
            return err;
    }
    job_spec_default_file_name(file);
    int err = job_spec_check_file(file, e);
    if (err == 0 && file->name[0] == '\0' && !file->unpack)
        err = error_set(e, ERR_INVALID, "an item of \"files\" needs a \"name\"");
    return err;
}

static int job_spec_take_files(Wire__JobSpec *spec, const json_t *value, struct error *e)
{
    if (!json_is_array(value))
        return error_set(e, ERR_INVALID, "\"files\" must be a list of objects");
    if (json_array_size(value) > JOB_SPEC_FILES_MAX)
        return error_set(e, ERR_TOO_LARGE, "\"files\" has more than %d items", JOB_SPEC_FILES_MAX);
    spec->files = mem_calloc(json_array_size(value), sizeof *spec->files);
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item)
    {
        int err = job_spec_take_file(spec, item, e);
        if (err < 0)
            return err;
    }
    return 0;
}

#define JOB_SPEC_TAKE_INTEGER(field, type, min, max)                                               \
    static int job_spec_take_##field(Wire__JobSpec *spec, const json_t *value, struct error *e)    \
    {                                                                                              \
        int64_t number = 0;                                                                        \
        int err = job_spec_integer(&number, value, #field, (min), (max), e);                       \
        spec->field = (type)number;                                                                \
        return err;                                                                                \
    }

JOB_SPEC_TAKE_INTEGER(time_limit_ms, uint64_t, 0, INT64_C(366) * 86400000)
JOB_SPEC_TAKE_INTEGER(retries, uint32_t, 0, SCHED_RETRIES_MAX)
JOB_SPEC_TAKE_INTEGER(priority, int32_t, -1000000, 1000000)
JOB_SPEC_TAKE_INTEGER(cpus, uint32_t, 1, 4096)
JOB_SPEC_TAKE_INTEGER(memory_bytes, uint64_t, 0, INT64_C(1) << 50)
JOB_SPEC_TAKE_INTEGER(kill_grace_ms, uint64_t, 0, 3600000)
JOB_SPEC_TAKE_INTEGER(output_bytes_max, uint64_t, 0, INT64_C(1) << 50)
JOB_SPEC_TAKE_INTEGER(array_limit, uint32_t, 0, SCHED_ELEMENTS_MAX)

static int job_spec_take_selector(Wire__JobSpec *spec, const json_t *value, struct error *e)
{
    int err = job_spec_string(&spec->selector, value, "selector", SELECTOR_TEXT_MAX, e);
    if (err < 0)
        return err;
    struct selector selector;
    err = selector_parse(&selector, spec->selector, e);
    if (err == 0)
        selector_done(&selector);
    return err;
}

/* "0-99:2%4" */
static int job_spec_take_array(Wire__JobSpec *spec, const json_t *value, struct error *e)
{
    int err = job_spec_string(&spec->array, value, "array", 65536, e);
    if (err < 0)
        return err;
    char *percent = strchr(spec->array, '%');
    if (percent != NULL) {
        uint64_t limit;
        if (str_parse_u64(percent + 1, 1, SCHED_ELEMENTS_MAX, &limit) < 0)
            return error_set(e, ERR_INVALID, "\"array\": %s must be %%N with N from 1", percent);
        spec->array_limit = (uint32_t)limit;
        *percent = '\0';
    }
    struct rangeset elements;
    rangeset_init(&elements);
    err = job_spec_elements(spec, &elements, e);
    rangeset_done(&elements);
    return err;
}

static int job_spec_take_dependency(Wire__Dependency *after, const char *text, struct error *e)
{
    static const struct {
        const char *prefix;
        Wire__DependencyKind kind;
    } kinds[] = {{"ok:", WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_OK},
                 {"any:", WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_ANY},
                 {"fail:", WIRE__DEPENDENCY_KIND__DEPENDENCY_KIND_FAIL}};
    const char *id = text;
    for (unsigned i = 0; i < MEM_COUNT(kinds); i++)
        if (str_starts_with(text, kinds[i].prefix)) {
            after->kind = kinds[i].kind;
            id = text + strlen(kinds[i].prefix);
        }
    struct uuid uuid;
    if (uuid_parse(id, &uuid) < 0)
        return error_set(e, ERR_INVALID,
                         "\"after\" holds \"%s\", must be ok:JOB, any:JOB or fail:JOB with the "
                         "whole id of a job",
                         text);
    after->job.data = mem_dup(uuid.bytes, sizeof uuid.bytes);
    after->job.len = sizeof uuid.bytes;
    return 0;
}

static int job_spec_take_after(Wire__JobSpec *spec, const json_t *value, struct error *e)
{
    if (!json_is_array(value) || json_array_size(value) > JOB_SPEC_AFTER_MAX)
        return error_set(e, ERR_INVALID, "\"after\" must be a list of at most %d dependencies",
                         JOB_SPEC_AFTER_MAX);
    spec->after = mem_calloc(json_array_size(value), sizeof *spec->after);
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item)
    {
        Wire__Dependency *after = mem_alloc(sizeof *after);
        wire__dependency__init(after);
        spec->after[spec->n_after++] = after;
        const char *text = json_string_value(item);
        int err = text != NULL ? job_spec_take_dependency(after, text, e)
                               : error_set(e, ERR_INVALID, "\"after\" must be a list of strings");
        if (err < 0)
            return err;
    }
    return 0;
}

static int job_spec_take_idempotency_key(Wire__JobSpec *spec, const json_t *value, struct error *e)
{
    return job_spec_string(&spec->idempotency_key, value, "idempotency_key", SCHED_KEY_MAX, e);
}

static const struct job_spec_row job_spec_rows[] = {
    {"name", job_spec_take_name},
    {"commands", job_spec_take_commands},
    {"command", job_spec_take_command},
    {"argv", job_spec_take_argv},
    {"env", job_spec_take_env},
    {"files", job_spec_take_files},
    {"time_limit_ms", job_spec_take_time_limit_ms},
    {"retries", job_spec_take_retries},
    {"selector", job_spec_take_selector},
    {"priority", job_spec_take_priority},
    {"cpus", job_spec_take_cpus},
    {"memory_bytes", job_spec_take_memory_bytes},
    {"array", job_spec_take_array},
    {"array_limit", job_spec_take_array_limit},
    {"after", job_spec_take_after},
    {"idempotency_key", job_spec_take_idempotency_key},
    {"kill_grace_ms", job_spec_take_kill_grace_ms},
    {"output_bytes_max", job_spec_take_output_bytes_max},
};

/* ---- the whole ------------------------------------------------------------------------------- */

static int job_spec_take_all(Wire__JobSpec *spec, const json_t *json, struct error *e)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        const struct job_spec_row *row = NULL;
        for (unsigned i = 0; i < MEM_COUNT(job_spec_rows); i++)
            if (strcmp(job_spec_rows[i].key, key) == 0)
                row = &job_spec_rows[i];
        if (row == NULL)
            return error_set(e, ERR_INVALID, "unknown key \"%s\"", key);
        if (json_is_null(value))
            continue;
        int err = row->take(spec, value, e);
        if (err < 0)
            return err;
    }
    return 0;
}

static int job_spec_check(const Wire__JobSpec *spec, struct error *e)
{
    if ((spec->n_commands > 0) == (spec->n_argv > 0))
        return error_set(e, ERR_INVALID, "needs either \"commands\" or \"argv\"");
    if (spec->n_argv > 0 && spec->argv[0][0] == '\0')
        return error_set(e, ERR_INVALID, "the first item of \"argv\" is empty");
    for (size_t i = 0; i < spec->n_commands; i++)
        if (spec->commands[i][0] == '\0')
            return error_set(e, ERR_INVALID, "\"commands\" holds an empty command");
    if (wire__job_spec__get_packed_size(spec) > JOB_SPEC_BYTES_MAX)
        return error_set(e, ERR_TOO_LARGE, "the job is larger than %d bytes", JOB_SPEC_BYTES_MAX);
    return 0;
}

int job_spec_parse(const json_t *json, const char *user, Wire__JobSpec **out, struct error *e)
{
    if (!json_is_object(json))
        return error_set(e, ERR_INVALID, "a job must be a JSON object");
    Wire__JobSpec *spec = mem_alloc(sizeof *spec);
    wire__job_spec__init(spec);
    int err = job_spec_take_all(spec, json, e);
    if (err == 0)
        err = job_spec_check(spec, e);
    if (err < 0) {
        wire__job_spec__free_unpacked(spec, NULL);
        return err;
    }
    spec->user = mem_strdup(user);
    *out = spec;
    return 0;
}

bool job_spec_has_uploads(const Wire__JobSpec *spec)
{
    for (size_t i = 0; i < spec->n_files; i++)
        if (spec->files[i]->file[0] != '\0')
            return true;
    return false;
}

int job_spec_elements(const Wire__JobSpec *spec, struct rangeset *elements, struct error *e)
{
    if (spec->array[0] == '\0') {
        rangeset_add(elements, 0, 0);
        return 0;
    }
    int err = rangeset_parse(elements, spec->array, SCHED_INDEX_MAX, SCHED_ELEMENTS_MAX);
    if (err == ERR_TOO_LARGE)
        return error_set(e, err, "\"array\" %.64s: at most %d elements up to index %d", spec->array,
                         SCHED_ELEMENTS_MAX, SCHED_INDEX_MAX);
    if (err < 0 || rangeset_is_empty(elements))
        return error_set(e, ERR_INVALID,
                         "\"array\" is \"%.64s\", must be as 0-99, 1,3,5-9 or 0-98:2", spec->array);
    return 0;
}

json_t *job_spec_strings(char **strings, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(strings[i]));
    return list;
}

json_t *job_spec_after(const Wire__JobSpec *spec)
{
    static const char *const kinds[] = {"ok", "any", "fail"};
    json_t *list = json_array();
    for (size_t i = 0; i < spec->n_after; i++) {
        struct uuid uuid;
        char text[UUID_TEXT_MAX];
        memcpy(uuid.bytes, spec->after[i]->job.data, sizeof uuid.bytes);
        json_array_append_new(
            list, json_sprintf("%s:%s", kinds[spec->after[i]->kind % 3], uuid_format(&uuid, text)));
    }
    return list;
}

json_t *job_spec_env(const Wire__JobSpec *spec)
{
    json_t *object = json_object();
    for (size_t i = 0; i < spec->n_env; i++)
        json_object_set_new(object, spec->env[i]->name, json_string(spec->env[i]->value));
    return object;
}

json_t *job_spec_files(const Wire__JobSpec *spec)
{
    json_t *list = json_array();
    for (size_t i = 0; i < spec->n_files; i++) {
        const Wire__TaskFile *file = spec->files[i];
        json_t *url =
            file->url[0] ? json_string(file->url) : json_sprintf("/api/files/%s", file->file);
        json_array_append_new(list,
                              json_pack("{s:s, s:o, s:b, s:b}", "name", file->name, "url", url,
                                        "unpack", file->unpack, "executable", file->executable));
    }
    return list;
}
