/* Happy path: the files in the order of their names; in each a head, the carried lines, then lines
 * numbered without a gap, also from one file to the next.
 *
 * How it fails: bytes that are no line are remembered until the next line tells whether any is
 * missing. Missing lines in the last file whose followers all belong to the write that was under
 * way, and anything at its very end, are a torn tail and are cut. */
#include "run/journal_replay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "run/journal_format.h"
#include "run/journal_rewrite.h"

enum { FILE_BYTES_MAX = 1 << 30 };

/* One file while it is read. */
struct replay_file {
    struct journal_replay *replay;
    struct journal_segment *segment;
    char name[JOURNAL_NAME_MAX];
    const struct buf *content;
    bool last;
    uint64_t batch_max; /* of its last line */
    bool has_head;
    uint64_t carry;   /* carried lines the head speaks of */
    uint64_t carried; /* and those read */
    bool has_garbage;
    uint64_t garbage_at; /* offset of the first since the last line */
    uint64_t garbage_bytes;
    bool heal;          /* damage that took no line */
    bool carry_damaged; /* and reported */
    bool torn;          /* ends at `end` */
    uint64_t end;       /* offset behind the last line */
};

static int compare_firsts(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The numbers that files are named after, in order, malloc'ed; removes what a crash left half made.
 */
static int list_files(const struct wal_dir *dir, uint64_t **firsts, size_t *n, struct error *e)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (d == NULL) {
        int code = -errno;
        if (fd >= 0)
            (void)close(fd);
        return error_set(e, code, "cannot read directory %s: %s", dir->path, err_text(code));
    }
    size_t cap = 0;
    *firsts = NULL;
    *n = 0;
    const struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        uint64_t first;
        if (str_ends_with(entry->d_name, ".tmp"))
            (void)unlinkat(dir->fd, entry->d_name, 0);
        if (!journal_name_parse(entry->d_name, &first))
            continue;
        MEM_GROW(*firsts, cap, *n + 1);
        (*firsts)[(*n)++] = first;
    }
    (void)closedir(d);
    if (*n > 0)
        qsort(*firsts, *n, sizeof **firsts, compare_firsts);
    return 0;
}

/* Reads a file whole; the last one is made durable first, and read from the disk where the system
 * lets us. */
static int load(const struct wal_dir *dir, const char *name, bool last, struct buf *b,
                struct error *e)
{
    struct stat st;
    int fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC);
    int rc = fd < 0 || fstat(fd, &st) != 0 ? -errno : 0;
    if (rc == 0 && last) {
        rc = dir->io->fdatasync(dir->io->arg, fd) != 0 ? -errno : 0;
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    }
    if (fd >= 0)
        (void)close(fd);
    if (rc == 0 && st.st_size > FILE_BYTES_MAX)
        rc = ERR_TOO_LARGE;
    buf_clear(b);
    if (rc == 0)
        rc = journal_file_read(dir, name, 0, (size_t)st.st_size, b);
    if (rc < 0)
        return error_set(e, rc, "cannot read %s/%s: %s", dir->path, name, err_text(rc));
    return 0;
}

/* A version that is newer refuses the whole journal; so does another journal's file. */
static int check_head(const struct replay_file *f, int code, const struct journal_mark *mark,
                      struct error *e)
{
    const struct journal_replay *replay = f->replay;
    if (code == ERR_VERSION)
        return error_set(e, code,
                         "%s/%s was written by a newer version of clusterd: use that version, or "
                         "move the directory away",
                         replay->dir->path, f->name);
    bool is_head = code == 0 && mark->kind == JOURNAL_HEAD && mark->head.log != 0;
    if (is_head && replay->log != 0 && replay->log != mark->head.log)
        return error_set(e, ERR_CORRUPT,
                         "%s/%s belongs to another journal than the files before it: move it away",
                         replay->dir->path, f->name);
    return 0;
}

/* Looks at the first line alone, before anything is changed. */
static int judge_head(struct replay_file *f, struct error *e)
{
    const char *data = (const char *)f->content->data;
    const char *end = f->content->len > 0 ? memchr(data, '\n', f->content->len) : NULL;
    struct journal_mark mark;
    int code = end == NULL ? ERR_CORRUPT : journal_format_get(data, (size_t)(end - data), &mark);
    return check_head(f, code, &mark, e);
}

static void find_batch_max(struct replay_file *f)
{
    struct journal_scan scan = {(const char *)f->content->data, f->content->len, 0};
    struct journal_item item;
    for (journal_scan_next(&scan, &item); item.kind != JOURNAL_ITEM_END;
         journal_scan_next(&scan, &item))
        if (item.kind == JOURNAL_ITEM_LINE && item.mark.batch > f->batch_max)
            f->batch_max = item.mark.batch;
}

static void add_garbage(struct replay_file *f, const struct journal_item *item)
{
    if (!f->has_garbage)
        f->garbage_at = item->offset;
    f->has_garbage = true;
    f->garbage_bytes += item->len;
}

static void add_damage(struct replay_file *f, uint64_t offset, uint64_t first, uint64_t last)
{
    struct journal_damage damage = {.offset = offset, .first = first, .last = last};
    (void)snprintf(damage.file, sizeof damage.file, "%s", f->name);
    journal_table_add_damage(f->replay->table, &damage);
}

static void take_head(struct replay_file *f, const struct journal_item *item)
{
    const struct journal_head *head = &item->mark.head;
    if (head->log != 0) /* 0: it was damaged when no other was known */
        f->replay->log = head->log;
    f->has_head = true;
    f->carry = head->carry;
    f->segment->at_ms = head->at_ms;
    f->end = item->offset + item->len;
    f->segment->lines_at = f->end;
}

static int deliver(struct replay_file *f, const struct journal_item *item, struct error *e)
{
    const struct journal_options *options = f->replay->options;
    if (options->on_line == NULL)
        return 0;
    const char *text = (const char *)f->content->data + item->offset;
    struct journal_line line = {
        .seq = item->mark.seq,
        .text = text,
        .len = item->len - 1,
        .members = text + item->mark.members,
        .members_len = item->len - 1 - item->mark.members,
    };
    return options->on_line(options->arg, &line, e);
}

/* What carried lines say counts only in the oldest file. */
static int take_carried(struct replay_file *f, const struct journal_item *item, struct error *e)
{
    f->carried++;
    f->end = item->offset + item->len;
    f->segment->lines_at = f->end;
    return f->segment == TAILQ_FIRST(&f->replay->table->segments) ? deliver(f, item, e) : 0;
}

/* 1: the file ends before this line. */
static int take_line(struct replay_file *f, const struct journal_item *item, struct error *e)
{
    struct journal_replay *replay = f->replay;
    uint64_t seq = item->mark.seq;
    if (seq < replay->next) {
        add_garbage(f, item);
        return 0;
    }
    if (seq > replay->next) {
        if (f->last && f->batch_max <= replay->next) {
            f->torn = true;
            return 1;
        }
        add_damage(f, f->has_garbage ? f->garbage_at : item->offset, replay->next, seq - 1);
    } else if (f->has_garbage) {
        f->heal = true;
    }
    f->has_garbage = false;
    f->garbage_bytes = 0;
    journal_segment_note(f->segment, seq, item->offset);
    replay->next = seq + 1;
    f->segment->last = seq;
    f->end = item->offset + item->len;
    return deliver(f, item, e);
}

static int take_item(struct replay_file *f, const struct journal_item *item, struct error *e)
{
    if (item->kind == JOURNAL_ITEM_GARBAGE) {
        add_garbage(f, item);
        return 0;
    }
    switch (item->mark.kind) {
    case JOURNAL_HEAD:
        if (item->offset == 0 && item->mark.head.first == f->segment->first)
            take_head(f, item);
        else
            add_garbage(f, item);
        return 0;
    case JOURNAL_CARRIED:
        if (f->segment->last + 1 == f->segment->first)
            return take_carried(f, item, e);
        add_garbage(f, item);
        return 0;
    case JOURNAL_LINE:
        return take_line(f, item, e);
    }
    return ERR_INTERNAL;
}

/* Carried lines that are gone are told as damage of number 0. */
static void judge_carry(struct replay_file *f)
{
    bool oldest = f->segment == TAILQ_FIRST(&f->replay->table->segments);
    if (!f->has_head)
        f->heal = true;
    if (!oldest || (f->has_head ? f->carried >= f->carry : f->segment->first == 1))
        return;
    f->carry_damaged = true;
    add_damage(f, 0, 0, 0);
}

/* The rest of the torn bytes, counted without the newlines that fill. */
static uint64_t count_rest(const struct replay_file *f)
{
    uint64_t bytes = 0;
    for (size_t i = f->end; i < f->content->len; i++)
        bytes += f->content->data[i] != '\n';
    return bytes;
}

static int finish_file(struct replay_file *f, struct error *e)
{
    struct journal_replay *replay = f->replay;
    judge_carry(f);
    if (f->has_garbage && !f->last)
        f->heal = true; /* whether lines are missing the next file tells */
    if (f->has_garbage && f->last)
        f->torn = true;
    f->segment->bytes = f->end;
    replay->table->bytes += f->end;
    int rc = 0;
    if (f->torn) {
        replay->torn_bytes = count_rest(f);
        rc = journal_file_cut(replay->dir, f->name, f->end);
    }
    if (rc < 0)
        return error_set(e, rc, "cannot cut %s/%s: %s", replay->dir->path, f->name, err_text(rc));
    return 0;
}

static int read_items(struct replay_file *f, struct error *e)
{
    struct journal_scan scan = {(const char *)f->content->data, f->content->len, 0};
    struct journal_item item;
    for (;;) {
        journal_scan_next(&scan, &item);
        if (item.kind == JOURNAL_ITEM_END)
            break;
        int rc = take_item(f, &item, e);
        if (rc < 0)
            return rc;
        if (rc > 0)
            break;
    }
    return finish_file(f, e);
}

/* Numbers between the end of the last file and the beginning of this one. */
static int join(struct journal_replay *replay, uint64_t first, struct error *e)
{
    const struct journal_segment *before =
        TAILQ_LAST(&replay->table->segments, journal_segment_list);
    if (before == NULL) {
        replay->next = first;
        return 0;
    }
    struct replay_file f = {.replay = replay};
    journal_name(f.name, before->first);
    if (first < replay->next)
        return error_set(e, ERR_CORRUPT,
                         "%s: the file that begins with line %" PRIu64
                         " overlaps the one before it, %s: move one of them away",
                         replay->dir->path, first, f.name);
    if (first > replay->next)
        add_damage(&f, before->bytes, replay->next, first - 1);
    replay->next = first;
    return 0;
}

static int read_file(struct journal_replay *replay, uint64_t first, bool last, struct buf *content,
                     struct error *e)
{
    struct replay_file f = {.replay = replay, .content = content, .last = last};
    journal_name(f.name, first);
    int rc = load(replay->dir, f.name, last, content, e);
    if (rc == 0)
        rc = judge_head(&f, e);
    if (rc == 0)
        rc = join(replay, first, e);
    if (rc < 0)
        return rc;
    f.segment = journal_segment_new(first);
    journal_table_add(replay->table, f.segment);
    if (last)
        find_batch_max(&f);
    rc = read_items(&f, e);
    if (rc < 0 || !f.heal || replay->options->whole)
        return rc;
    log_warn(LOG_ABOUT(.role = "journal", .code = ERR_CORRUPT),
             "%s/%s: damage that took no line is removed", replay->dir->path, f.name);
    rc = journal_rewrite(&(struct journal_rewrite){.dir = replay->dir,
                                                   .table = replay->table,
                                                   .log = replay->log,
                                                   .segment = f.segment,
                                                   .damaged_carry = f.carry_damaged});
    if (rc < 0)
        return error_set(e, rc, "cannot repair %s/%s: %s", replay->dir->path, f.name, err_text(rc));
    return 0;
}

static int refuse_damage(const struct journal_replay *replay, struct error *e)
{
    const struct journal_damage *d = replay->table->damage;
    if (d->first == 0)
        return error_set(e, ERR_CORRUPT, "%s/%s is damaged at its beginning", replay->dir->path,
                         d->file);
    return error_set(e, ERR_CORRUPT,
                     "%s/%s is damaged at byte %" PRIu64 ": lines %" PRIu64 " to %" PRIu64
                     " are gone%s",
                     replay->dir->path, d->file, d->offset, d->first, d->last,
                     replay->table->damage_n > 1 ? ", and there is more" : "");
}

int journal_replay_run(struct journal_replay *replay, struct error *e)
{
    uint64_t *firsts = NULL;
    size_t n = 0;
    int rc = list_files(replay->dir, &firsts, &n, e);
    if (rc < 0)
        return rc;
    struct buf content;
    buf_init(&content, FILE_BYTES_MAX + 1U);
    replay->next = 1;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = read_file(replay, firsts[i], i + 1 == n, &content, e);
    buf_done(&content);
    free(firsts);
    if (rc == 0 && replay->options->whole && replay->table->damage_n > 0)
        return refuse_damage(replay, e);
    return rc;
}
