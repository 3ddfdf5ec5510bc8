/* Entries and pieces of the snapshot, read off the loop. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "role/chat_disk_internal.h"

static void free_read(struct chat_disk_read *read)
{
    TAILQ_REMOVE(&read->disk->reads, read, entry);
    journal_read_done(&read->read);
    free(read);
}

/* ---- lumps ----------------------------------------------------------------------------------- */

void chat_disk_lump_init(struct chat_disk_lump *lump)
{
    *lump = (struct chat_disk_lump){0};
    chat_line_batch_init(&lump->batch);
}

void chat_disk_lump_done(struct chat_disk_lump *lump)
{
    chat_line_batch_done(&lump->batch);
    free(lump->ends);
    chat_disk_lump_init(lump);
}

/* What is written here has no control characters and is UTF-8: JSON, for whoever reads it. */
static bool is_clean(const char *text, size_t len)
{
    const uint64_t highs = 0x8080808080808080U;
    const uint64_t spaces = 0x2020202020202020U;
    uint64_t all = 0;
    uint64_t low = 0;
    size_t at = 0;
    for (uint64_t eight; at + sizeof eight <= len; at += sizeof eight) {
        memcpy(&eight, text + at, sizeof eight);
        all |= eight;
        low |=
            ~((eight | highs) - spaces) & ~eight; /* a byte under a space has its high bit here */
    }
    for (; at < len; at++) {
        all |= (unsigned char)text[at];
        low |= (unsigned char)text[at] < ' ' ? highs : 0;
    }
    return (low & highs) == 0 && ((all & highs) == 0 || str_is_utf8(text, len));
}

int chat_disk_lump_take(struct chat_disk_lump *lump, const void *bytes, size_t len)
{
    const struct buf lines = {.data = (uint8_t *)bytes, .len = len};
    struct chat_line_batch *batch = &lump->batch;
    struct journal_line line;
    size_t at = 0;
    int rc = 0;
    chat_line_batch_clear(batch);
    while (rc == 0 && journal_next_line(&lines, &at, &line)) {
        if (!is_clean(line.text, line.len))
            return ERR_CORRUPT;
        MEM_GROW(lump->ends, lump->ends_cap, batch->n + 1);
        lump->ends[batch->n] = at;
        rc = chat_line_batch_add(batch, line.seq, line.members, line.members_len);
    }
    chat_line_batch_finish(batch);
    return rc == 0 && at < len ? ERR_CORRUPT : rc;
}

static void on_read_lump(struct journal_read *journal_read, int status)
{
    struct chat_disk_read *read = journal_read->data;
    size_t n = (size_t)(journal_read->next - journal_read->from);
    read->lump_fn(read->arg, status, journal_read->lines.data, journal_read->lines.len,
                  status == 0 ? n : 0);
    free_read(read);
}

/* ---- entries --------------------------------------------------------------------------------- */

static int take_lines(struct chat_line_batch *batch, const struct buf *lines)
{
    struct journal_line line;
    size_t at = 0;
    int rc = 0;
    chat_line_batch_clear(batch);
    while (rc == 0 && journal_next_line(lines, &at, &line))
        rc = chat_line_batch_add(batch, line.seq, line.members, line.members_len);
    chat_line_batch_finish(batch);
    return rc;
}

static void on_read(struct journal_read *journal_read, int status)
{
    struct chat_disk_read *read = journal_read->data;
    struct chat_line_batch *batch = &read->disk->batch;
    chat_disk_read_fn fn = read->fn;
    void *arg = read->arg;
    if (status == 0)
        status = take_lines(batch, &journal_read->lines);
    free_read(read);
    fn(arg, status, batch->entries, status == 0 ? batch->n : 0);
}

static struct chat_disk_read *start_read(struct chat_disk *disk, uint64_t first,
                                         unsigned entries_max, size_t bytes_max,
                                         const struct chat_disk_read *how)
{
    struct chat_disk_read *read = mem_dup(how, sizeof *how);
    read->disk = disk;
    read->read.from = first;
    read->read.lines_max = entries_max;
    read->read.bytes_max = bytes_max < JOURNAL_READ_BYTES_MAX ? bytes_max : JOURNAL_READ_BYTES_MAX;
    read->read.data = read;
    TAILQ_INSERT_TAIL(&disk->reads, read, entry);
    journal_read(disk->journal, &read->read, read->fn != NULL ? on_read : on_read_lump);
    return read;
}

struct chat_disk_read *chat_disk_read(struct chat_disk *disk, uint64_t first, unsigned entries_max,
                                      size_t bytes_max, chat_disk_read_fn fn, void *arg)
{
    const struct chat_disk_read how = {.fn = fn, .arg = arg};
    return start_read(disk, first, entries_max, bytes_max, &how);
}

struct chat_disk_read *chat_disk_read_lump(struct chat_disk *disk, uint64_t first,
                                           unsigned entries_max, size_t bytes_max,
                                           chat_disk_lump_fn fn, void *arg)
{
    const struct chat_disk_read how = {.lump_fn = fn, .arg = arg};
    return start_read(disk, first, entries_max, bytes_max, &how);
}

void chat_disk_read_cancel(struct chat_disk_read *read)
{
    if (read != NULL)
        free_read(read);
}

/* ---- the snapshot ---------------------------------------------------------------------------- */

struct chat_disk_piece {
    struct chat_disk *disk;
    uint64_t wanted; /* seq; 0: any */
    uint64_t seq;
    uint64_t size;
    uint64_t offset;
    size_t len;
    uint8_t *data;
    int code;
    chat_disk_piece_fn fn;
    void *arg;
    TAILQ_ENTRY(chat_disk_piece) entry;
};

static int read_piece(struct chat_disk_piece *piece, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -errno;
    piece->size = (uint64_t)st.st_size;
    if (piece->offset > piece->size)
        return ERR_NOT_FOUND;
    if (piece->len > piece->size - piece->offset)
        piece->len = (size_t)(piece->size - piece->offset);
    piece->data = mem_alloc(piece->len + 1);
    size_t at = 0;
    while (at < piece->len) {
        ssize_t n = pread(fd, piece->data + at, piece->len - at, (off_t)(piece->offset + at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : ERR_CORRUPT;
        at += (size_t)n;
    }
    return 0;
}

static void on_piece_work(void *arg)
{
    struct chat_disk_piece *piece = arg;
    int fd = open(piece->disk->snapshot_path, O_RDONLY | O_CLOEXEC);
    piece->code = fd < 0 ? -errno : read_piece(piece, fd);
    if (fd >= 0)
        (void)close(fd);
}

/* A snapshot that was replaced meanwhile may be another one than `seq` says. */
static void on_piece_done(void *arg, int code)
{
    struct chat_disk_piece *piece = arg;
    struct chat_disk *disk = piece->disk;
    TAILQ_REMOVE(&disk->pieces, piece, entry);
    bool replaced = piece->seq != disk->snapshot_seq || disk->snapshot_busy;
    bool other = piece->wanted != 0 && piece->wanted != piece->seq;
    if (code == 0)
        code = piece->code == -ENOENT || other || replaced ? ERR_NOT_FOUND : piece->code;
    if (!disk->closing)
        piece->fn(piece->arg, code, piece->seq, piece->size, piece->data, piece->len);
    free(piece->data);
    free(piece);
    chat_disk_work_done(disk);
}

void chat_disk_read_snapshot(struct chat_disk *disk, uint64_t seq, uint64_t offset,
                             size_t bytes_max, chat_disk_piece_fn fn, void *arg)
{
    struct chat_disk_piece *piece = mem_zalloc(sizeof *piece);
    piece->disk = disk;
    piece->wanted = seq;
    piece->seq = disk->snapshot_seq;
    piece->offset = offset;
    piece->len = bytes_max;
    piece->fn = fn;
    piece->arg = arg;
    TAILQ_INSERT_TAIL(&disk->pieces, piece, entry);
    disk->works++;
    (void)loop_work(disk->loop, on_piece_work, on_piece_done, piece);
}

void chat_disk_reads_cancel(struct chat_disk *disk)
{
    struct chat_disk_read *read;
    while ((read = TAILQ_FIRST(&disk->reads)) != NULL)
        free_read(read);
}
