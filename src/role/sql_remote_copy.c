/* Files of a COPY FROM, and what else is read whole. Happy path: names with wildcards are looked
 * for in a listing; then one file after another comes into the task's scratch directory, under a
 * name that ends as its own does. */
#include <fcntl.h>
#include <fnmatch.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "role/sql_remote_internal.h"

enum { SQL_REMOTE_COPIES_MAX = 10000, SQL_REMOTE_LISTED_MAX = 1000000 };

static void sql_remote_copy_names(struct sql_remote *remote);
static void sql_remote_copy_next(struct sql_remote *remote);

static bool sql_remote_is_pattern(const char *path)
{
    return strpbrk(path, "*?[") != NULL;
}

static void sql_remote_fail_call(struct sql_remote *remote, const struct object_result *result)
{
    sql_remote_end(remote, result->code, result->text, sql_remote_is_elsewhere(result->code));
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void sql_remote_on_copied(void *arg, const struct object_result *result)
{
    struct sql_remote *remote = arg;
    remote->call = NULL;
    if (result->code < 0) {
        sql_remote_fail_call(remote, result);
        return;
    }
    remote->copy_bytes += result->size;
    remote->copies_at++;
    if (remote->copy_bytes > remote->options.copy_bytes_max)
        sql_remote_end(remote, ERR_TOO_LARGE,
                       "the files have more bytes than sql.temp_bytes allows: COPY them in parts, "
                       "or raise the limit",
                       false);
    else
        sql_remote_copy_next(remote);
}

/* Its own directory, so that its name can stay. */
static char *sql_remote_copy_path(struct sql_remote *remote, const struct sql_remote_copy *copy)
{
    const char *slash = strrchr(copy->key, '/');
    const char *dir = sql_remote_dir(remote);
    if (dir == NULL)
        return NULL;
    char *own = mem_printf("%s/%zu", dir, remote->copies_at);
    char *path = mem_printf("%s/%s", own, slash != NULL ? slash + 1 : copy->key);
    (void)mkdir(own, 0700);
    free(own);
    return path;
}

/* The inputs name the local files. */
static void sql_remote_copies_localize(struct sql_remote *remote)
{
    for (size_t i = 0; i < remote->inputs_n; i++) {
        if (!remote->inputs[i].is_copy)
            continue;
        Wire__SqlInput *input = remote->task->fragment->inputs[i];
        Wire__SqlFile **files = mem_calloc(remote->copies_n + 1, sizeof *files);
        size_t n = 0;
        for (size_t c = 0; c < remote->copies_n; c++) {
            const struct sql_remote_copy *copy = &remote->copies[c];
            if (copy->input == i)
                files[n++] = sql_remote_new_file(input->files[copy->index],
                                                 copy->path + strlen(remote->scratch) + 1);
        }
        sql_remote_replace_files(input, remote->scratch, files, n);
    }
}

static void sql_remote_copy_next(struct sql_remote *remote)
{
    if (remote->copies_at == remote->copies_n) {
        sql_remote_copies_localize(remote);
        sql_remote_read(remote);
        return;
    }
    struct sql_remote_copy *copy = &remote->copies[remote->copies_at];
    copy->path = sql_remote_copy_path(remote, copy);
    int fd =
        copy->path != NULL ? open(copy->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (copy->path != NULL && fd < 0) {
        struct error e;
        (void)error_set(&e, -errno, "cannot write %.300s: %s", copy->path, err_text(-errno));
        sql_remote_end(remote, e.code, e.text, true);
    }
    if (fd < 0)
        return;
    struct object_request request = {.verb = OBJECT_GET,
                                     .place = copy->place,
                                     .key = copy->key,
                                     .to_fd = true,
                                     .out_fd = fd,
                                     .trace = remote->options.trace,
                                     .on_done = sql_remote_on_copied,
                                     .arg = remote};
    remote->call = object_store_call(remote->options.store, &request);
    (void)close(fd);
}

/* ---- names ----------------------------------------------------------------------------------- */

static void sql_remote_add_copy(struct sql_remote *remote, const char *place, const char *key)
{
    MEM_GROW(remote->copies, remote->copies_cap, remote->copies_n + 1);
    remote->copies[remote->copies_n++] = (struct sql_remote_copy){.input = remote->copy_input,
                                                                  .index = remote->copy_file,
                                                                  .place = mem_strdup(place),
                                                                  .key = mem_strdup(key)};
}

/* As DuckDB's: '*' and '?' stay in a folder, two stars go through any. */
static bool sql_remote_matches(const char *pattern, const char *key)
{
    return fnmatch(pattern, key, strstr(pattern, "**") != NULL ? 0 : FNM_PATHNAME) == 0;
}

static const Wire__SqlFile *sql_remote_copy_pattern(const struct sql_remote *remote)
{
    return remote->task->fragment->inputs[remote->copy_input]->files[remote->copy_file];
}

static void sql_remote_on_listed(void *arg, const struct object_result *result)
{
    struct sql_remote *remote = arg;
    const char *pattern = sql_remote_copy_pattern(remote)->path;
    const char *root = remote->task->fragment->inputs[remote->copy_input]->root;
    remote->call = NULL;
    if (result->code < 0) {
        sql_remote_fail_call(remote, result);
        return;
    }
    for (size_t i = 0; i < result->entries_n; i++)
        if (sql_remote_matches(pattern, result->entries[i].key))
            sql_remote_add_copy(remote, root, result->entries[i].key);
    free(remote->list_after);
    remote->list_after = NULL;
    if (remote->copies_n > SQL_REMOTE_COPIES_MAX) {
        sql_remote_end(remote, ERR_TOO_LARGE, "more than 10,000 files match: COPY them in parts",
                       false);
        return;
    }
    if (result->more && result->entries_n > 0)
        remote->list_after = mem_strdup(result->entries[result->entries_n - 1].key);
    else
        remote->copy_file++;
    sql_remote_copy_names(remote);
}

static void sql_remote_list(struct sql_remote *remote)
{
    struct object_request request = {.verb = OBJECT_LIST,
                                     .place =
                                         remote->task->fragment->inputs[remote->copy_input]->root,
                                     .key = "",
                                     .after = remote->list_after,
                                     .trace = remote->options.trace,
                                     .on_done = sql_remote_on_listed,
                                     .arg = remote};
    remote->call = object_store_call(remote->options.store, &request);
}

static void sql_remote_copy_names(struct sql_remote *remote)
{
    const Wire__SqlFragment *fragment = remote->task->fragment;
    for (; remote->copy_input < remote->inputs_n; remote->copy_input++, remote->copy_file = 0) {
        const Wire__SqlInput *input = fragment->inputs[remote->copy_input];
        if (!remote->inputs[remote->copy_input].is_copy)
            continue;
        size_t before = remote->copies_n;
        for (; remote->copy_file < input->n_files; remote->copy_file++) {
            const char *path = input->files[remote->copy_file]->path;
            if (sql_remote_is_pattern(path)) {
                sql_remote_list(remote);
                return;
            }
            sql_remote_add_copy(remote, input->root, path);
        }
        bool none = before == remote->copies_n &&
                    (before == 0 || remote->copies[before - 1].input != remote->copy_input);
        if (none && input->n_files > 0) {
            struct error e;
            (void)error_set(&e, ERR_NOT_FOUND, "no file matches %.200s/%.200s", input->root,
                            input->files[0]->path);
            sql_remote_end(remote, e.code, e.text, false);
            return;
        }
    }
    sql_remote_copy_next(remote);
}

void sql_remote_copy(struct sql_remote *remote)
{
    sql_remote_copy_names(remote);
}

void sql_remote_copies_done(struct sql_remote *remote)
{
    for (size_t i = 0; i < remote->copies_n; i++) {
        free(remote->copies[i].place);
        free(remote->copies[i].key);
        free(remote->copies[i].path);
    }
    free(remote->copies);
    free(remote->list_after);
}
