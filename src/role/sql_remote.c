/* Happy path: copies whole (sql_remote_copy.c), then parts (sql_remote_read.c), then the task is
 * ready; after it has run, what it wrote is put (sql_remote_put.c). Each step ends in
 * sql_remote_end(), whose callback comes at the end of the turn. */
#include "role/sql_remote.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "role/sql_remote_internal.h"
#include "run/executor_publish.h"
#include "wire/lake_path.h"
#include "wire/message.h"

bool sql_remote_is_url(const char *text)
{
    return str_starts_with(text, "s3://") || str_starts_with(text, "s3a://");
}

bool sql_remote_is_elsewhere(int code)
{
    return code != ERR_NOT_FOUND && code != ERR_FORBIDDEN && code != ERR_UNAUTHORIZED &&
           code != ERR_CORRUPT && code != ERR_UNSUPPORTED && code != ERR_INVALID &&
           code != ERR_TOO_LARGE && code != ERR_CONFLICT;
}

void sql_remote_locate(const char *root, const char *path, char **place, char **key)
{
    const char *slash = sql_remote_is_url(path) ? strrchr(path, '/') : NULL;
    *place = slash != NULL ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup(root);
    *key = mem_strdup(slash != NULL ? slash + 1 : path);
}

static bool sql_remote_is_input(const Wire__SqlInput *input)
{
    if (input->format == WIRE__SQL_FORMAT__SQL_FORMAT_LINES)
        return false;
    return sql_remote_is_url(input->root) ||
           (input->n_files > 0 && sql_remote_is_url(input->files[0]->path));
}

bool sql_remote_is_needed(const Wire__SqlRunTask *task)
{
    const Wire__SqlFragment *fragment = task->fragment;
    if (fragment == NULL)
        return false;
    for (size_t i = 0; i < fragment->n_inputs; i++)
        if (sql_remote_is_input(fragment->inputs[i]))
            return true;
    return fragment->output != NULL && sql_remote_is_url(fragment->output->root);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void sql_remote_on_end(void *arg)
{
    struct sql_remote *remote = arg;
    sql_remote_fn fn = remote->fn;
    struct error e = remote->end_error;
    remote->fn = NULL;
    if (fn != NULL)
        fn(remote->arg, e.code, &e, remote->end_elsewhere);
}

void sql_remote_end(struct sql_remote *remote, int code, const char *text, bool elsewhere)
{
    (void)error_set(&remote->end_error, code, "%s", text);
    remote->end_elsewhere = elsewhere;
    loop_hook_arm(&remote->hook);
}

static void sql_remote_removed(void *arg, int code)
{
    (void)code;
    free(arg);
}

static void sql_remote_remove(void *arg)
{
    executor_publish_remove(arg);
}

static void sql_remote_destroy(struct sql_remote *remote)
{
    sql_remote_read_done(remote);
    sql_remote_copies_done(remote);
    for (size_t i = 0; i < remote->inputs_n; i++)
        sql_remote_input_done(&remote->inputs[i]);
    free(remote->inputs);
    if (remote->scratch != NULL)
        (void)loop_work(remote->options.loop, sql_remote_remove, sql_remote_removed,
                        remote->scratch);
    free((char *)(uintptr_t)remote->options.scratch);
    free(remote->out_root);
    free(remote->out_dir);
    wire_free(&remote->task->base);
    free(remote);
}

bool sql_remote_check(struct sql_remote *remote)
{
    if (!remote->is_freed)
        return true;
    if (remote->works == 0) {
        if (remote->footers != NULL)
            object_fetch_release(remote->footers);
        sql_remote_destroy(remote);
    }
    return false;
}

void sql_remote_free(struct sql_remote *remote)
{
    if (remote == NULL)
        return;
    remote->fn = NULL;
    remote->is_freed = true;
    loop_hook_disarm(&remote->hook);
    if (remote->call != NULL)
        object_call_cancel(remote->call);
    sql_remote_put_done(remote);
    if (remote->parts != NULL)
        object_fetch_release(remote->parts);
    remote->parts = NULL;
    (void)sql_remote_check(remote);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

Wire__SqlFile *sql_remote_new_file(const Wire__SqlFile *like, const char *path)
{
    Wire__SqlFile *file = mem_alloc(sizeof *file);
    wire__sql_file__init(file);
    file->path = mem_strdup(path);
    file->values = mem_calloc(like->n_values + 1, sizeof(Wire__SqlValue *));
    for (size_t v = 0; v < like->n_values; v++) {
        Wire__SqlValue *value = mem_alloc(sizeof *value);
        wire__sql_value__init(value);
        value->is_null = like->values[v]->is_null;
        value->text = mem_strdup(like->values[v]->text);
        file->values[file->n_values++] = value;
    }
    return file;
}

void sql_remote_replace_files(Wire__SqlInput *input, const char *dir, Wire__SqlFile **files,
                              size_t n)
{
    for (size_t f = 0; f < input->n_files; f++)
        wire__sql_file__free_unpacked(input->files[f], NULL);
    free(input->files);
    input->files = files;
    input->n_files = n;
    if (input->root != protobuf_c_empty_string)
        free(input->root);
    input->root = mem_printf("file:%s", dir != NULL ? dir : "/");
}

/* ---- the beginning --------------------------------------------------------------------------- */

const char *sql_remote_dir(struct sql_remote *remote)
{
    char name[UUID_TEXT_MAX];
    struct uuid id;
    if (remote->scratch != NULL)
        return remote->scratch;
    uuid_generate(&id);
    char *dir = mem_printf("%s/bucket-%s", remote->options.scratch, uuid_format(&id, name));
    if (mkdir(dir, 0700) < 0) {
        struct error e;
        (void)error_set(&e, -errno, "cannot make %.300s: %s", dir, err_text(-errno));
        sql_remote_end(remote, e.code, e.text, true);
        free(dir);
        return NULL;
    }
    remote->scratch = dir;
    return dir;
}

/* The executor writes into the scratch directory. */
static bool sql_remote_output(struct sql_remote *remote)
{
    Wire__SqlOutput *output = remote->task->fragment->output;
    if (output == NULL || !sql_remote_is_url(output->root))
        return true;
    const char *dir = sql_remote_dir(remote);
    if (dir == NULL)
        return false;
    remote->out_dir = mem_printf("%s/out", dir);
    if (mkdir(remote->out_dir, 0700) < 0) {
        sql_remote_end(remote, -errno, "cannot make a scratch directory", true);
        return false;
    }
    remote->out_root = output->root;
    output->root = mem_printf("file:%s", remote->out_dir);
    output->durable = false;
    remote->keeps_names = output->kind == WIRE__SQL_OUTPUT_KIND__SQL_OUTPUT_KIND_FILE &&
                          !lake_key_is_shuffle(output->n_paths > 0 ? output->paths[0] : "");
    return true;
}

struct sql_remote *sql_remote_new(const struct sql_remote_options *options, Wire__SqlRunTask *task,
                                  sql_remote_fn fn, void *arg)
{
    struct sql_remote *remote = mem_zalloc(sizeof *remote);
    remote->options = *options;
    remote->options.scratch = mem_strdup(options->scratch);
    remote->task = task;
    remote->fn = fn;
    remote->arg = arg;
    loop_hook_init(&remote->hook, options->loop, LOOP_PHASE_DEFER, sql_remote_on_end, remote);
    remote->inputs_n = task->fragment->n_inputs;
    remote->inputs = mem_calloc(remote->inputs_n + 1, sizeof *remote->inputs);
    for (size_t i = 0; i < remote->inputs_n; i++) {
        const Wire__SqlInput *input = task->fragment->inputs[i];
        struct sql_remote_input *mine = &remote->inputs[i];
        bool is_parquet =
            input->format == WIRE__SQL_FORMAT__SQL_FORMAT_PARQUET && !input->any_columns;
        mine->is_parts = sql_remote_is_input(input) && is_parquet && input->n_columns > 0 &&
                         (input->n_files == 0 || input->files[0]->bytes > 0);
        mine->is_copy = sql_remote_is_input(input) && !mine->is_parts;
        if (mine->is_parts)
            sql_remote_input_init(mine, input);
    }
    if (sql_remote_output(remote))
        sql_remote_copy(remote);
    return remote;
}

Wire__SqlRunTask *sql_remote_task(const struct sql_remote *remote)
{
    return remote->task;
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Replaces each `from` by `to`. */
static char *sql_remote_replace(const char *text, const char *from, const char *to)
{
    struct buf out;
    const char *found;
    buf_init(&out, ((size_t)16 << 20) + strlen(text));
    while ((found = strstr(text, from)) != NULL) {
        (void)buf_append(&out, text, (size_t)(found - text));
        (void)buf_append_str(&out, to);
        text = found + strlen(from);
    }
    (void)buf_append_str(&out, text);
    (void)buf_cstr(&out);
    return buf_steal(&out, NULL);
}

char *sql_remote_translate(const struct sql_remote *remote, const char *text)
{
    char *out = object_cache_translate(remote->options.cache, text);
    for (size_t i = 0; i < remote->copies_n; i++) {
        const struct sql_remote_copy *copy = &remote->copies[i];
        if (copy->path == NULL || strstr(out, copy->path) == NULL)
            continue;
        char *url = mem_printf("%s/%s", copy->place, copy->key);
        char *next = sql_remote_replace(out, copy->path, url);
        free(out);
        free(url);
        out = next;
    }
    if (remote->out_dir != NULL) {
        char *next = sql_remote_replace(out, remote->out_dir, remote->out_root);
        free(out);
        out = next;
    }
    return out;
}
