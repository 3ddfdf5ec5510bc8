#include "run/task_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "run/url_cache.h"

static void task_fetch_end(struct task_fetch *f, int code, const char *text)
{
    f->download = NULL;
    f->shared = NULL;
    f->upload = NULL;
    f->fetched(f->arg, code, text);
}

static void task_fetch_downloaded(void *arg, const struct http_answer *answer)
{
    struct task_fetch *f = arg;
    char text[ERROR_TEXT_MAX];

    if (answer->code == 0 && (answer->status < 200 || answer->status > 299)) {
        snprintf(text, sizeof text, "%.400s answers with status %u", f->file->url, answer->status);
        task_fetch_end(f, ERR_UNAVAILABLE, text);
        return;
    }
    task_fetch_end(f, answer->code, answer->text);
}

static void task_fetch_given(void *arg, int code, const char *text)
{
    task_fetch_end(arg, code, text);
}

static int task_fetch_download(struct task_fetch *f, const char *path, uint64_t limit_ms,
                               struct error *e)
{
    struct http_call_options options = {
        .url = f->file->url,
        .to_fd = true,
        .body_max = f->node->download_bytes_max,
        .total_timeout_ms = limit_ms < UINT_MAX ? (unsigned)limit_ms : UINT_MAX,
        .on_done = task_fetch_downloaded,
        .arg = f,
    };

    if (f->node->urls) {
        f->shared = url_cache_get(f->node->urls, f->file->url, path, limit_ms, task_fetch_given, f);
        return 0;
    }
    if (!f->node->http)
        return error_set(e, ERR_UNSUPPORTED, "this node downloads nothing");
    options.out_fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (options.out_fd < 0)
        return error_set(e, -errno, "cannot make %s: %s", f->file->name, err_text(-errno));
    f->download = http_client_call(f->node->http, &options);
    return 0;
}

int task_fetch_start(struct task_fetch *f, const struct task_run_node *node,
                     const Wire__TaskFile *file, const char *path, uint64_t limit_ms,
                     task_run_fetched_fn fetched, void *arg, struct error *e)
{
    const struct task_run_files *files = &node->files;

    *f = (struct task_fetch){.node = node, .file = file, .fetched = fetched, .arg = arg};
    if (file->url[0])
        return task_fetch_download(f, path, limit_ms, e);
    if (!file->file[0] || !files->start)
        return error_set(e, ERR_INVALID, "%s has no source", file->name);
    f->upload = files->start(files->arg, file, path, task_fetch_given, f);
    return 0;
}

bool task_fetch_cancel(struct task_fetch *f)
{
    if (f->download) {
        http_call_cancel(f->download);
        f->download = NULL;
        return true;
    }
    if (f->shared)
        url_cache_cancel(f->shared);
    if (f->upload)
        f->node->files.cancel(f->node->files.arg, f->upload);
    return false;
}
