#include "run/file_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "run/file_write.h"

/* Reads `in` to its end and, unless the blocks are shared, writes it to `out`. */
static int file_copy_pieces(const struct file_copy *copy, int in, int out, bool shared,
                            XXH3_state_t *sum, uint64_t *bytes)
{
    uint8_t *piece = mem_alloc(FILE_COPY_PIECE_BYTES);
    int err = 0;
    while (err == 0) {
        ssize_t n = read(shared ? out : in, piece, FILE_COPY_PIECE_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err = n < 0 ? -errno : 0;
            break;
        }
        (void)XXH3_64bits_update(sum, piece, (size_t)n);
        *bytes += (uint64_t)n;
        if (!shared)
            err = file_write_all(out, piece, (size_t)n);
        if (copy->cancel != NULL && atomic_load_explicit(copy->cancel, memory_order_relaxed))
            err = ERR_CANCELLED;
    }
    free(piece);
    return err;
}

static int file_copy_between(const struct file_copy *copy, int in, int out, struct error *e)
{
    bool shared = ioctl(out, FICLONE, in) == 0;
    XXH3_state_t *sum = XXH3_createState();
    if (sum == NULL)
        return error_set(e, -ENOMEM, "%s: %s", copy->from, err_text(-ENOMEM));
    (void)XXH3_64bits_reset(sum);
    uint64_t bytes = 0;
    int err = file_copy_pieces(copy, in, out, shared, sum, &bytes);
    uint64_t xxh3 = XXH3_64bits_digest(sum);
    XXH3_freeState(sum);
    if (err < 0)
        return error_set(e, err, "cannot copy %s: %s", copy->from, err_text(err));
    if (copy->bytes != UINT64_MAX && bytes != copy->bytes)
        return error_set(e, ERR_CORRUPT, "%s has another size than it should", copy->from);
    if (xxh3 != copy->xxh3)
        return error_set(e, ERR_CORRUPT, "the checksum of %s differs", copy->from);
    return 0;
}

int file_copy_checked(const struct file_copy *copy, struct error *e)
{
    int in = open(copy->from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return error_set(e, -errno, "cannot read %s: %s", copy->from, strerror(errno));
    int out = open(copy->to, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0) {
        int err = error_set(e, -errno, "cannot create %s: %s", copy->to, strerror(errno));
        (void)close(in);
        return err;
    }
    int err = file_copy_between(copy, in, out, e);
    (void)close(in);
    if (close(out) != 0 && err == 0)
        err = error_set(e, -errno, "cannot write %s: %s", copy->to, strerror(errno));
    if (err < 0)
        (void)unlink(copy->to);
    return err;
}
