/* Happy path: a round lists the old files off the loop, then asks the leader about one after the
 * other. A file without a row, or with one that does not name this node, is removed. No leader, or
 * any other trouble: the round ends, the next one tries again. */
#include "role/file_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "role/file_store.h"
#include "role/leader_request.h"
#include "role/node.h"

struct file_sweep {
    struct node *node;
    char *dir;
    struct loop_timer timer;
    struct loop_hook hook; /* of the end */
    char (*ids)[UUID_TEXT_MAX];
    size_t ids_n;
    size_t ids_cap;
    size_t at;
    bool listing; /* on libuv's pool */
    struct leader_request *request;
    void (*closed)(void *arg);
    void *closed_arg;
};

static const struct log_about file_sweep_log = {.role = "gateway"};

static void file_sweep_rest(struct file_sweep *sweep)
{
    free(sweep->ids);
    sweep->ids = NULL;
    sweep->ids_n = sweep->ids_cap = sweep->at = 0;
    if (sweep->closed == NULL)
        loop_timer_start(&sweep->timer, (int64_t)node_options(sweep->node)->orphan_after_ms);
}

/* ---- one file after the other -----------------------------------------------------------------*/

static void file_sweep_ask(struct file_sweep *sweep);

static bool file_sweep_is_held(const struct file_sweep *sweep, const json_t *row)
{
    const json_t *holders = json_object_get(row, "holders");
    for (size_t i = 0; i < json_array_size(holders); i++)
        if ((uint64_t)json_integer_value(json_array_get(holders, i)) == node_id(sweep->node))
            return true;
    return false;
}

static void file_sweep_on_row(void *arg, json_t *row, const struct error *e)
{
    struct file_sweep *sweep = arg;
    sweep->request = NULL;
    if (e != NULL && e->code != ERR_NOT_FOUND) {
        file_sweep_rest(sweep);
        return;
    }
    if (e != NULL || !file_sweep_is_held(sweep, row)) {
        char *path = file_store_path(sweep->node, sweep->ids[sweep->at]);
        if (unlink(path) == 0)
            log_info(&file_sweep_log, "removed file %s, which belongs to no upload",
                     sweep->ids[sweep->at]);
        free(path);
    }
    sweep->at++;
    file_sweep_ask(sweep);
}

static void file_sweep_ask(struct file_sweep *sweep)
{
    if (sweep->at == sweep->ids_n || node_leader(sweep->node) == 0) {
        file_sweep_rest(sweep);
        return;
    }
    char *path = mem_printf("/api/internal/files/%s", sweep->ids[sweep->at]);
    struct leader_request_spec spec = {.method = "GET", .path = path, .user = ""};
    sweep->request = leader_request_start(sweep->node, &spec, file_sweep_on_row, sweep);
    free(path);
}

/* ---- the list ---------------------------------------------------------------------------------*/

static bool file_sweep_is_old(const struct file_sweep *sweep, const struct stat *st)
{
    int64_t age_s = (int64_t)time(NULL) - (int64_t)st->st_mtime;
    int64_t storing_s = (int64_t)st->st_size / FILE_SWEEP_RATE;
    return age_s - storing_s > (int64_t)(node_options(sweep->node)->orphan_after_ms / 1000);
}

static void file_sweep_list(void *arg)
{
    struct file_sweep *sweep = arg;
    DIR *dir = opendir(sweep->dir);
    const struct dirent *entry;
    while (dir != NULL && sweep->ids_n < FILE_SWEEP_FILES_MAX && (entry = readdir(dir)) != NULL) {
        struct uuid id;
        struct stat st;
        if (uuid_parse(entry->d_name, &id) < 0 ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode) || !file_sweep_is_old(sweep, &st))
            continue;
        MEM_GROW(sweep->ids, sweep->ids_cap, sweep->ids_n + 1);
        (void)uuid_format(&id, sweep->ids[sweep->ids_n++]);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

static void file_sweep_on_listed(void *arg, int code)
{
    struct file_sweep *sweep = arg;
    (void)code;
    sweep->listing = false;
    if (sweep->closed != NULL)
        loop_hook_arm(&sweep->hook);
    else
        file_sweep_ask(sweep);
}

static void file_sweep_on_timer(void *arg)
{
    struct file_sweep *sweep = arg;
    if (node_id(sweep->node) == 0) {
        file_sweep_rest(sweep);
        return;
    }
    sweep->listing = true;
    (void)loop_work(node_loop(sweep->node), file_sweep_list, file_sweep_on_listed, sweep);
}

/* ---- life -------------------------------------------------------------------------------------*/

static void file_sweep_on_hook(void *arg)
{
    struct file_sweep *sweep = arg;
    void (*closed)(void *) = sweep->closed;
    void *closed_arg = sweep->closed_arg;
    if (sweep->listing)
        return;
    loop_hook_disarm(&sweep->hook);
    free(sweep->ids);
    free(sweep->dir);
    free(sweep);
    closed(closed_arg);
}

struct file_sweep *file_sweep_new(struct node *node)
{
    struct file_sweep *sweep = mem_zalloc(sizeof *sweep);
    sweep->node = node;
    sweep->dir = mem_printf("%s/files", node_options(node)->data_dir);
    loop_hook_init(&sweep->hook, node_loop(node), LOOP_PHASE_DEFER, file_sweep_on_hook, sweep);
    loop_timer_init(&sweep->timer, node_loop(node), file_sweep_on_timer, sweep);
    file_sweep_rest(sweep);
    return sweep;
}

void file_sweep_close(struct file_sweep *sweep, void (*closed)(void *arg), void *arg)
{
    sweep->closed = closed;
    sweep->closed_arg = arg;
    loop_timer_stop(&sweep->timer);
    if (sweep->request != NULL)
        leader_request_cancel(sweep->request);
    sweep->request = NULL;
    loop_hook_arm(&sweep->hook);
}
