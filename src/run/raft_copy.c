/* Happy path: the owner writes the copy, a pool thread takes its checksum, all who wait are told.
 * The last one to leave takes the file along RAFT_TRANSFER_IDLE_MS later, so that the next
 * receiver, or the same one after a broken link, finds it. */
#include "run/raft_copy.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "run/raft_transfer.h"

enum copy_state { COPY_NEW, COPY_BUSY, COPY_DONE };

struct raft_copy {
    struct raft_node *node;
    enum copy_state state;
    uint64_t index;
    uint64_t id;
    char *path;
    int fd; /* -1 until ready */
    uint64_t size;
    uint64_t checksum;
    int code;      /* why there is none */
    bool telling;  /* its users, who may leave meanwhile */
    bool detached; /* not node->copy any more */
    struct raft_io_done copied;
    struct loop_timer timer; /* to begin, to tell users who came later, to remove it */
    LIST_HEAD(, raft_copy_user) users;
};

static void free_copy(struct raft_copy *copy)
{
    if (copy->node->copy == copy)
        copy->node->copy = NULL;
    loop_timer_stop(&copy->timer);
    if (copy->fd >= 0)
        (void)close(copy->fd);
    (void)unlink(copy->path);
    raft_node_release(copy->node);
    free(copy->path);
    free(copy);
}

static void detach(struct raft_copy *copy)
{
    copy->detached = true;
    if (copy->node->copy == copy)
        copy->node->copy = NULL;
}

static void settle(struct raft_copy *copy)
{
    if (!LIST_EMPTY(&copy->users) || copy->state != COPY_DONE || copy->telling)
        return;
    if (copy->detached || copy->node->closing)
        free_copy(copy);
    else
        loop_timer_start(&copy->timer, RAFT_TRANSFER_IDLE_MS);
}

int raft_copy_checksum_file(int fd, uint64_t *checksum, uint64_t *size)
{
    uint8_t *data = mem_alloc(RAFT_IO_CHUNK_BYTES);
    XXH3_state_t *hash = XXH3_createState();
    if (hash == NULL)
        abort();
    XXH3_64bits_reset(hash);
    uint64_t at = 0;
    ssize_t n;
    while ((n = pread(fd, data, RAFT_IO_CHUNK_BYTES, (off_t)at)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        XXH3_64bits_update(hash, data, (size_t)n);
        at += (uint64_t)n;
    }
    int rc = n < 0 ? -errno : 0;
    *checksum = XXH3_64bits_digest(hash);
    *size = at;
    XXH3_freeState(hash);
    free(data);
    return rc;
}

/* On a pool thread. */
static void open_copy(void *arg)
{
    struct raft_copy *copy = arg;
    copy->fd = open(copy->path, O_RDONLY | O_CLOEXEC);
    if (copy->fd < 0)
        copy->code = -errno;
    else
        copy->code = raft_copy_checksum_file(copy->fd, &copy->checksum, &copy->size);
    if (copy->code == 0 && copy->size == 0)
        copy->code = ERR_CORRUPT;
}

static struct raft_copy_user *find_untold(struct raft_copy *copy)
{
    struct raft_copy_user *user;
    LIST_FOREACH (user, &copy->users, entry)
        if (!user->told)
            break;
    return user;
}

static void tell_all(struct raft_copy *copy)
{
    copy->state = COPY_DONE;
    copy->telling = true;
    struct raft_copy_user *user;
    while ((user = find_untold(copy)) != NULL) {
        user->told = true;
        user->ready(user, copy->code);
    }
    copy->telling = false;
    if (copy->code < 0)
        detach(copy);
    settle(copy);
}

static void on_opened(void *arg, int code)
{
    struct raft_copy *copy = arg;
    if (code < 0)
        copy->code = code;
    tell_all(copy);
}

static void on_copied(struct raft_io_done *done, int status)
{
    struct raft_copy *copy =
        (struct raft_copy *)((char *)done - offsetof(struct raft_copy, copied));
    copy->code = copy->node->closing ? ERR_CANCELLED : status;
    if (copy->code < 0)
        tell_all(copy);
    else
        (void)loop_work(copy->node->options.loop, open_copy, on_opened, copy);
}

static void begin(struct raft_copy *copy)
{
    struct raft_node *node = copy->node;
    copy->state = COPY_BUSY;
    if (node->closing) {
        copy->code = ERR_CANCELLED;
        tell_all(copy);
        return;
    }
    node->options.snapshots.copy(node->options.snapshots.arg, copy->index, copy->path,
                                 &copy->copied);
}

static void on_timer(void *arg)
{
    struct raft_copy *copy = arg;
    if (copy->state == COPY_NEW) {
        begin(copy);
    } else if (find_untold(copy) != NULL) {
        tell_all(copy);
    } else {
        detach(copy);
        settle(copy);
    }
}

static struct raft_copy *new_copy(struct raft_node *node, uint64_t index)
{
    struct raft_copy *copy = mem_zalloc(sizeof *copy);
    copy->node = node;
    copy->index = index;
    copy->fd = -1;
    random_bytes(&copy->id, sizeof copy->id);
    copy->path = mem_printf("%s/" RAFT_TRANSFER_COPY "%016" PRIx64, node->dir, copy->id);
    copy->copied.cb = on_copied;
    LIST_INIT(&copy->users);
    loop_timer_init(&copy->timer, node->options.loop, on_timer, copy);
    loop_timer_start(&copy->timer, 0);
    raft_node_hold(node);
    return copy;
}

struct raft_copy *raft_copy_acquire(struct raft_node *node, uint64_t index,
                                    struct raft_copy_user *user)
{
    struct raft_copy *copy = node->copy;
    if (copy != NULL && copy->index != index) {
        detach(copy);
        settle(copy);
        copy = NULL;
    }
    if (copy == NULL)
        node->copy = copy = new_copy(node, index);
    else if (copy->state == COPY_DONE)
        loop_timer_start(&copy->timer, 0);
    user->told = false;
    LIST_INSERT_HEAD(&copy->users, user, entry);
    return copy;
}

void raft_copy_release(struct raft_copy *copy, struct raft_copy_user *user)
{
    LIST_REMOVE(user, entry);
    settle(copy);
}

void raft_copy_close(struct raft_node *node)
{
    struct raft_copy *copy = node->copy;
    if (copy == NULL)
        return;
    detach(copy);
    settle(copy);
}

uint64_t raft_copy_id(const struct raft_copy *copy)
{
    return copy->id;
}

uint64_t raft_copy_size(const struct raft_copy *copy)
{
    return copy->size;
}

uint64_t raft_copy_checksum(const struct raft_copy *copy)
{
    return copy->checksum;
}

int raft_copy_read(const struct raft_copy *copy, uint8_t *data, size_t len, uint64_t offset)
{
    for (size_t at = 0; at < len;) {
        ssize_t n = pread(copy->fd, data + at, len - at, (off_t)(offset + at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : ERR_CORRUPT;
        at += (size_t)n;
    }
    return 0;
}
