#include "run/raft_io.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "run/raft_append.h"
#include "run/raft_load.h"
#include "run/raft_message.h"
#include "run/raft_node.h"
#include "run/raft_put.h"
#include "run/raft_term.h"
#include "run/raft_transfer.h"

/* ---- codes ------------------------------------------------------------------------------------
 */

int raft_io_code(int raft_status)
{
    switch (raft_status) {
    case 0:
        return 0;
    case RAFT_NOTLEADER:
        return ERR_NOT_LEADER;
    case RAFT_LEADERSHIPLOST:
        return ERR_OUTCOME_UNKNOWN;
    case RAFT_CANTBOOTSTRAP:
    case RAFT_DUPLICATEID:
    case RAFT_DUPLICATEADDRESS:
        return ERR_EXISTS;
    case RAFT_CANTCHANGE:
    case RAFT_BUSY:
    case RAFT_TOOMANY:
        return ERR_BUSY;
    case RAFT_SHUTDOWN:
        return ERR_CLOSED;
    case RAFT_CANCELED:
        return ERR_CANCELLED;
    case RAFT_TOOBIG:
        return ERR_TOO_LARGE;
    case RAFT_NOCONNECTION:
        return ERR_UNAVAILABLE;
    case RAFT_MALFORMED:
    case RAFT_CORRUPT:
        return ERR_CORRUPT;
    case RAFT_IOERR:
        return -EIO;
    case RAFT_NOSPACE:
        return -ENOSPC;
    case RAFT_NOTFOUND:
        return ERR_NOT_FOUND;
    case RAFT_BADID:
    case RAFT_BADROLE:
    case RAFT_INVALID:
    case RAFT_NAMETOOLONG:
        return ERR_INVALID;
    case RAFT_UNAUTHORIZED:
        return ERR_UNAUTHORIZED;
    default:
        return ERR_INTERNAL;
    }
}

int raft_node_status(struct raft_node *node, int code, const struct error *e)
{
    if (code == 0)
        return 0;
    (void)snprintf(node->io->errmsg, sizeof node->io->errmsg, "%.*s", RAFT_ERRMSG_BUF_SIZE - 1,
                   e != NULL ? e->text : err_text(code));
    switch (code) {
    case ERR_CORRUPT:
    case ERR_VERSION:
        return RAFT_CORRUPT;
    case ERR_BUSY:
        return RAFT_BUSY;
    case ERR_TOO_LARGE:
        return RAFT_TOOBIG;
    case -ENOSPC:
        return RAFT_NOSPACE;
    default:
        return RAFT_IOERR;
    }
}

/* ---- failure and silence ----------------------------------------------------------------------
 */

void raft_node_fail(struct raft_node *node, const struct error *e)
{
    bool is_first = !node->failed;
    node->failed = true;
    if (!is_first || node->closing)
        return;
    (void)raft_node_status(node, e->code, e);
    if (node->options.on_failed != NULL)
        node->options.on_failed(node->options.arg, e);
}

bool raft_node_is_full(const struct raft_node *node)
{
    return node->wal != NULL && wal_oldest_wait_ms(node->wal) > 0 &&
           raft_node_raft(node)->state != RAFT_LEADER && wal_is_stalled(node->wal);
}

bool raft_node_is_silent(const struct raft_node *node)
{
    return node->failed || node->wal == NULL ||
           (wal_oldest_wait_ms(node->wal) > node->options.election_timeout_ms &&
            !raft_node_is_full(node)) ||
           raft_term_wait_ms(node) > node->options.election_timeout_ms;
}

void raft_node_check_alive(struct raft_node *node)
{
    if (node->closing || node->failed || raft_node_raft(node)->state != RAFT_UNAVAILABLE)
        return;
    struct error e;
    const char *why = raft_node_raft(node)->errmsg;
    error_set(&e, ERR_INTERNAL, "Raft gave up: %s", why[0] != '\0' ? why : node->io->errmsg);
    raft_node_fail(node, &e);
}

/* ---- callbacks at the end of the turn -----------------------------------------------------------
 */

static void defer(struct raft_node *node, const struct raft_deferred *item)
{
    struct raft_deferred_list *list = &node->deferred;
    MEM_GROW(list->items, list->cap, list->count + 1);
    list->items[list->count++] = *item;
    loop_hook_arm(&node->hook);
}

void raft_node_defer_send(struct raft_node *node, struct raft_io_send *req, int status)
{
    defer(node, &(struct raft_deferred){.send = req, .status = status});
}

static void end_get(struct raft_node *node, struct raft_io_snapshot_get *get)
{
    struct raft_snapshot *snapshot = NULL;
    int rv = RAFT_NOTFOUND;
    if (node->closing)
        rv = RAFT_CANCELED;
    else if (node->record.index > 0)
        rv = raft_record_to_snapshot(&node->record, node->dir, &snapshot);
    get->cb(get, snapshot, rv);
}

/* libraft asks for no answer to a TimeoutNow. */
static void end_send(struct raft_io_send *send, int status)
{
    if (send->cb != NULL)
        send->cb(send, status);
}

static void run_deferred(struct raft_node *node)
{
    struct raft_deferred_list list = node->deferred;
    node->deferred = (struct raft_deferred_list){0};
    for (size_t i = 0; i < list.count; i++) {
        struct raft_deferred *item = &list.items[i];
        if (item->send != NULL)
            end_send(item->send, item->status);
        else
            end_get(node, item->get);
    }
    if (node->deferred.items == NULL) { /* keep the memory for the next turn */
        list.count = 0;
        node->deferred = list;
    } else {
        free(list.items);
    }
}

static void finish_close(struct raft_node *node);

static void on_turn_end(void *arg)
{
    struct raft_node *node = arg;
    run_deferred(node);
    if (node->closing && node->pending == 0 && node->deferred.count == 0)
        finish_close(node);
}

/* ---- libraft's other calls
 * ----------------------------------------------------------------------- */

static int node_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)address;
    raft_node_of(io)->id = id;
    return 0;
}

static void on_tick(void *arg)
{
    struct raft_node *node = arg;
    loop_timer_start(&node->tick_timer, node->tick_ms);
    raft_download_tick(node);
    if (raft_node_is_full(node) || raft_term_hold_tick(node))
        return; /* who could not store a barrier does not stand for election */
    node->tick(node->io);
    raft_node_check_alive(node);
}

static int node_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick,
                      raft_io_recv_cb recv)
{
    struct raft_node *node = raft_node_of(io);
    node->tick = tick;
    node->recv = recv;
    raft_set_install_snapshot_timeout(raft_node_raft(node), RAFT_TRANSFER_INSTALL_MS);
    /* libraft looks at its timers at ticks only: twice as many make them twice as exact. */
    node->tick_ms = msecs > 1 ? msecs / 2 : 1;
    loop_timer_start(&node->tick_timer, node->tick_ms);
    return 0;
}

static int node_truncate(struct raft_io *io, raft_index index)
{
    struct raft_node *node = raft_node_of(io);
    return raft_node_status(node, wal_truncate(node->wal, index), NULL);
}

static int node_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
                             raft_io_snapshot_get_cb cb)
{
    req->cb = cb;
    defer(raft_node_of(io), &(struct raft_deferred){.get = req});
    return 0;
}

static raft_time node_time(struct raft_io *io)
{
    return (raft_time)loop_now_ms(raft_node_of(io)->options.loop);
}

static int node_random(struct raft_io *io, int min, int max)
{
    assert(min < max);
    return min + (int)prng_below(&raft_node_of(io)->prng, (uint64_t)(max - min));
}

struct async_work {
    struct raft_node *node;
    struct raft_io_async_work *req;
    int status;
};

static void run_async_work(void *arg)
{
    struct async_work *work = arg;
    work->status = work->req->work(work->req);
}

static void end_async_work(void *arg, int code)
{
    struct async_work *work = arg;
    work->req->cb(work->req, code == 0 ? work->status : RAFT_CANCELED);
    raft_node_release(work->node);
    free(work);
}

static int node_async_work(struct raft_io *io, struct raft_io_async_work *req,
                           raft_io_async_work_cb cb)
{
    struct async_work *work = mem_zalloc(sizeof *work);
    work->node = raft_node_of(io);
    work->req = req;
    req->cb = cb;
    raft_node_hold(work->node);
    loop_work(work->node->options.loop, run_async_work, end_async_work, work);
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

void raft_node_hold(struct raft_node *node)
{
    node->pending++;
}

void raft_node_release(struct raft_node *node)
{
    assert(node->pending > 0);
    if (--node->pending == 0 && node->closing)
        loop_hook_arm(&node->hook);
}

static void on_wal_closed(void *arg)
{
    struct raft_node *node = arg;
    node->wal = NULL;
    raft_append_end_failed(node);
    raft_node_release(node);
}

static void finish_close(struct raft_node *node)
{
    wal_meta_close(node->meta);
    node->meta = NULL;
    raft_io_close_cb cb = node->close_cb;
    node->close_cb = NULL;
    if (cb != NULL)
        cb(node->io);
}

static void node_close(struct raft_io *io, raft_io_close_cb cb)
{
    struct raft_node *node = raft_node_of(io);
    assert(!node->closing);
    node->closing = true;
    node->close_cb = cb;
    loop_timer_stop(&node->tick_timer);
    raft_put_close(node);
    raft_term_close(node);
    raft_upload_close(node);
    raft_download_close(node);
    raft_node_hold(node);
    wal_close(node->wal, on_wal_closed, node);
}

static void on_wal_failed(void *arg, const struct error *e)
{
    raft_node_fail(arg, e);
}

static void on_wal_reserve(void *arg, int code)
{
    struct raft_node *node = arg;
    if (!node->closing && node->options.on_reserve != NULL)
        node->options.on_reserve(node->options.arg, code);
}

static int open_wal(struct raft_node *node, struct error *e)
{
    char *dir = mem_printf("%s/log", node->dir);
    struct wal_options options = {
        .segment_bytes = node->options.segment_bytes,
        .in_flight_bytes_max =
            UINT64_MAX, /* libraft must not be refused; see receive_for_libraft() */
        .io = node->options.wal_io,
        .on_reserve = on_wal_reserve,
        .on_failed = on_wal_failed,
        .arg = node,
    };
    int rc = raft_load_make_dir(dir, e);
    if (rc == 0)
        rc = wal_open(&node->wal, node->options.loop, dir, &options, e);
    free(dir);
    return rc;
}

static void free_node(struct raft_node *node)
{
    loop_hook_disarm(&node->hook);
    loop_timer_stop(&node->tick_timer);
    wal_meta_close(node->meta);
    raft_record_done(&node->record);
    raft_load_free(&node->loaded);
    free(node->deferred.items);
    free(node->record_path);
    free(node->dir);
    free(node);
}

/* The log could be opened, but what it holds cannot be used. */
static void on_unused_wal_closed(void *arg)
{
    free_node(arg);
}

static void init_io(struct raft_io *io, struct raft_node *node)
{
    void *data = io->data;
    *io = (struct raft_io){
        .version = 2,
        .data = data,
        .impl = node,
        .init = node_init,
        .close = node_close,
        .load = raft_load_all,
        .start = node_start,
        .bootstrap = raft_load_bootstrap,
        .recover = raft_load_recover,
        .set_term = raft_term_set,
        .set_vote = raft_term_set_vote,
        .send = raft_message_send,
        .append = raft_append_submit,
        .truncate = node_truncate,
        .snapshot_put = raft_put_snapshot,
        .snapshot_get = node_snapshot_get,
        .time = node_time,
        .random = node_random,
        .async_work = node_async_work,
    };
    node->io = io;
}

int raft_io_open(struct raft_io *io, const struct raft_io_options *options, struct error *e)
{
    struct raft_node *node = mem_zalloc(sizeof *node);
    uint64_t seed;
    node->options = *options;
    node->dir = mem_strdup(options->dir);
    node->record_path = mem_printf("%s/snapshot", options->dir);
    random_bytes(&seed, sizeof seed);
    prng_init(&node->prng, seed);
    LIST_INIT(&node->uploads);
    STAILQ_INIT(&node->failed_appends);
    raft_record_init(&node->record);
    loop_hook_init(&node->hook, options->loop, LOOP_PHASE_DEFER, on_turn_end, node);
    loop_timer_init(&node->tick_timer, options->loop, on_tick, node);
    raft_put_init(node);
    raft_term_init(node);
    int rc = 0;
    if (strlen(node->dir) + RAFT_RECORD_NAME_MAX >= RAFT_IO_PATH_MAX)
        rc = error_set(e, -ENAMETOOLONG, "%s: %s", node->dir, err_text(-ENAMETOOLONG));
    if (rc == 0)
        rc = raft_load_open(node, e);
    if (rc == 0)
        rc = open_wal(node, e);
    if (rc < 0) {
        free_node(node);
        return rc;
    }
    rc = raft_load_log(node, e);
    if (rc < 0) {
        node->closing = true;
        wal_close(node->wal, on_unused_wal_closed, node);
        return rc;
    }
    raft_transfer_sweep(node->dir, node->record.file_name);
    init_io(io, node);
    return 0;
}

void raft_io_abandon(struct raft_io *io, raft_io_close_cb cb)
{
    node_close(io, cb);
}

void raft_io_done(struct raft_io *io)
{
    struct raft_node *node = raft_node_of(io);
    assert(node->wal == NULL && node->pending == 0);
    free_node(node);
    io->impl = NULL;
}

/* ---- what the owner may want to know ------------------------------------------------------------
 */

uint64_t raft_io_log_bytes(const struct raft_io *io)
{
    return raft_node_of(io)->log_bytes;
}

uint64_t raft_io_torn_bytes(const struct raft_io *io)
{
    return wal_torn_bytes(raft_node_of(io)->wal);
}

uint64_t raft_io_snapshot_index(const struct raft_io *io)
{
    return raft_node_of(io)->record.index;
}

bool raft_io_is_sending_snapshot(const struct raft_io *io)
{
    return raft_upload_is_any(raft_node_of(io));
}

bool raft_io_is_silent(const struct raft_io *io)
{
    return raft_node_is_silent(raft_node_of(io));
}

bool raft_io_is_full(const struct raft_io *io)
{
    return raft_node_is_full(raft_node_of(io));
}

bool raft_io_is_pristine(const struct raft_io *io)
{
    return raft_load_is_pristine(raft_node_of(io));
}
