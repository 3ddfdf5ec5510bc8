/* What a task wrote goes from its scratch directory into the bucket, a few files at a time, large
 * ones in parts. A put that fails takes back what was put before; so does the end of the task in
 * the middle of it. What COPY TO writes has a name of the user's choice: a file that was there is
 * replaced at once or stays. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "role/sql_remote_internal.h"

static void sql_remote_put_some(struct sql_remote *remote);

static void sql_remote_on_taken_back(void *arg, const struct object_result *result)
{
    (void)arg;
    (void)result;
}

/* Those that may be there: put or being put. */
static void sql_remote_take_back(struct sql_remote *remote)
{
    for (size_t i = 0; i < SQL_REMOTE_PUTS; i++) {
        if (remote->puts[i] != NULL)
            object_call_cancel(remote->puts[i]);
        remote->puts[i] = NULL;
    }
    for (size_t i = 0; i < remote->puts_at && !remote->keeps_names; i++) {
        struct object_request request = {.verb = OBJECT_DELETE,
                                         .place = remote->out_root,
                                         .key = remote->put_keys[i],
                                         .on_done = sql_remote_on_taken_back};
        (void)object_store_call(remote->options.store, &request);
    }
    remote->puts_at = 0;
}

static void sql_remote_put_fail(struct sql_remote *remote, int code, const char *text)
{
    sql_remote_take_back(remote);
    sql_remote_end(remote, code, text, sql_remote_is_elsewhere(code));
}

static void sql_remote_on_put(struct sql_remote *remote, size_t slot,
                              const struct object_result *result)
{
    remote->puts[slot] = NULL;
    if (result->code < 0) {
        sql_remote_put_fail(remote, result->code, result->text);
        return;
    }
    if (++remote->puts_done == remote->puts_n) {
        remote->puts_at = 0; /* nothing to take back any more */
        sql_remote_end(remote, 0, "", false);
    } else {
        sql_remote_put_some(remote);
    }
}

static void sql_remote_on_put_0(void *arg, const struct object_result *result)
{
    sql_remote_on_put(arg, 0, result);
}

static void sql_remote_on_put_1(void *arg, const struct object_result *result)
{
    sql_remote_on_put(arg, 1, result);
}

static int sql_remote_put_file(struct sql_remote *remote, size_t slot, const char *key)
{
    static const object_done_fn done[SQL_REMOTE_PUTS] = {sql_remote_on_put_0, sql_remote_on_put_1};
    struct stat st;
    char *path = mem_printf("%s/%s", remote->out_dir, key);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int err = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    if (err == 0) {
        struct object_request request = {.verb = OBJECT_PUT,
                                         .place = remote->out_root,
                                         .key = key,
                                         .from_fd = true,
                                         .body_fd = fd,
                                         .fd_len = (uint64_t)st.st_size,
                                         .trace = remote->options.trace,
                                         .on_done = done[slot],
                                         .arg = remote};
        remote->puts[slot] = object_store_call(remote->options.store, &request);
    }
    if (fd >= 0)
        (void)close(fd);
    (void)unlink(path);
    free(path);
    return err;
}

static void sql_remote_put_some(struct sql_remote *remote)
{
    for (size_t slot = 0; slot < SQL_REMOTE_PUTS && remote->puts_at < remote->puts_n; slot++) {
        if (remote->puts[slot] != NULL)
            continue;
        int err = sql_remote_put_file(remote, slot, remote->put_keys[remote->puts_at++]);
        if (err < 0) {
            struct error e;
            (void)error_set(&e, err, "cannot read what is to be put into %.200s: %s",
                            remote->out_root, err_text(err));
            sql_remote_put_fail(remote, err, e.text);
            return;
        }
    }
}

bool sql_remote_put(struct sql_remote *remote, const Wire__SqlTaskDone *done, sql_remote_fn fn,
                    void *arg)
{
    if (remote->out_root == NULL || done->n_files == 0)
        return false;
    remote->fn = fn;
    remote->arg = arg;
    remote->puts_n = done->n_files;
    remote->put_keys = mem_calloc(done->n_files, sizeof *remote->put_keys);
    for (size_t i = 0; i < done->n_files; i++)
        remote->put_keys[i] = mem_strdup(done->files[i]->path);
    sql_remote_put_some(remote);
    return true;
}

void sql_remote_put_done(struct sql_remote *remote)
{
    sql_remote_take_back(remote);
    for (size_t i = 0; i < remote->puts_n; i++)
        free(remote->put_keys[i]);
    free(remote->put_keys);
}
