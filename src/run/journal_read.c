/* Happy path: the loop looks up where to begin, a thread of the pool reads from there, checks each
 * line and keeps those wanted, and the loop calls back.
 *
 * How it fails: when lines were cut off, moved or removed meanwhile (the table's generation says
 * so), what was read does not count and is read again. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "run/journal_format.h"
#include "run/journal_internal.h"

enum { PIECE_BYTES = 128 << 10, PIECE_BYTES_MAX = 2 << 20 };

/* What the thread needs to know; it touches nothing else of the journal. */
struct journal_plan {
    struct journal *journal;
    struct journal_read *read; /* NULL: cancelled */
    const struct wal_dir *dir;
    struct loop_work *work;
    char name[JOURNAL_NAME_MAX];
    uint64_t generation;
    uint64_t offset; /* where to begin */
    uint64_t end;    /* of the segment's lines */
    uint64_t from;
    uint64_t to; /* last line that may be read */
    unsigned lines_max;
    size_t bytes_max;
    struct buf lines;
    uint64_t next;
    uint64_t seen; /* the last line on the way, 0: none */
    bool damaged;
    struct journal_damage damage;
    int status;
};

static int make_plan(struct journal *journal, const struct journal_read *read,
                     struct journal_plan *plan)
{
    struct journal_table *table = &journal->table;
    pthread_mutex_lock(&table->mutex);
    const struct journal_segment *segment = journal_table_find(table, read->from);
    int rc = 0;
    if (read->from < journal->first || read->from > journal->durable || segment == NULL) {
        rc = ERR_NOT_FOUND;
    } else {
        const struct journal_segment *next = TAILQ_NEXT(segment, entry);
        journal_name(plan->name, segment->first);
        plan->generation = table->generation;
        plan->offset = journal_segment_seek(segment, read->from);
        plan->end = segment->bytes;
        plan->to = next != NULL ? next->first - 1 : segment->last;
        if (plan->to > journal->durable)
            plan->to = journal->durable;
    }
    pthread_mutex_unlock(&table->mutex);
    plan->dir = &journal->dir;
    plan->from = plan->next = read->from;
    plan->lines_max = read->lines_max;
    plan->bytes_max = read->bytes_max;
    return rc;
}

/* A line in its place; 1: enough. */
static int take_line(struct journal_plan *plan, const char *text, const struct journal_item *item)
{
    if (item->mark.kind != JOURNAL_LINE)
        return 0;
    if (item->mark.seq <= plan->from)
        plan->damaged = false; /* it was before what is wanted */
    if (plan->damaged) {       /* the first line behind it */
        plan->damage.last = item->mark.seq - 1;
        return 1;
    }
    plan->seen = item->mark.seq;
    if (item->mark.seq < plan->next)
        return 0;
    if (item->mark.seq > plan->next || item->mark.seq > plan->to)
        return 1;
    if (plan->lines.len > 0 && plan->lines.len + item->len > plan->bytes_max)
        return 1;
    (void)buf_append(&plan->lines, text, item->len);
    plan->next++;
    bool full = plan->lines_max > 0 && plan->next - plan->from >= plan->lines_max;
    return full || plan->next > plan->to;
}

/* Notes damage in front of the first line wanted. */
static void note_damage(struct journal_plan *plan, uint64_t offset)
{
    plan->damaged = true;
    plan->damage = (struct journal_damage){
        .offset = offset,
        .first = plan->seen > 0 ? plan->seen + 1 : plan->from,
        .last = plan->to,
    };
    (void)snprintf(plan->damage.file, sizeof plan->damage.file, "%s", plan->name);
}

/* Goes through the whole lines of `piece`, which begins at `plan->offset`; 1: enough. */
static int take_piece(struct journal_plan *plan, const struct buf *piece, size_t len)
{
    struct journal_scan scan = {(const char *)piece->data, len, 0};
    struct journal_item item;
    for (;;) {
        journal_scan_next(&scan, &item);
        if (item.kind == JOURNAL_ITEM_END)
            return 0;
        const char *text = (const char *)piece->data + item.offset;
        bool is_line = item.kind == JOURNAL_ITEM_LINE;
        bool is_gap = !is_line || (item.mark.kind == JOURNAL_LINE && item.mark.seq > plan->next);
        if (is_gap && !plan->damaged) {
            if (plan->next > plan->from)
                return 1;
            note_damage(plan, plan->offset + item.offset);
        }
        if (is_line && take_line(plan, text, &item) > 0)
            return 1;
    }
}

static int run_plan(struct journal_plan *plan)
{
    size_t piece_bytes = PIECE_BYTES;
    struct buf piece;
    buf_init(&piece, PIECE_BYTES_MAX + 1);
    int rc = 0;
    bool enough = false;
    while (rc == 0 && !enough && plan->offset < plan->end) {
        uint64_t left = plan->end - plan->offset;
        size_t len = left < piece_bytes ? (size_t)left : piece_bytes;
        buf_clear(&piece);
        rc = journal_file_read(plan->dir, plan->name, plan->offset, len, &piece);
        if (rc < 0 || piece.len == 0)
            break;
        const char *newline = memrchr(piece.data, '\n', piece.len);
        size_t whole = newline == NULL ? 0 : (size_t)(newline - (const char *)piece.data) + 1;
        if (whole == 0 && piece.len == len && len < left && piece_bytes < PIECE_BYTES_MAX) {
            piece_bytes *= 2;
            continue;
        }
        if (whole == 0 || len == left)
            whole = piece.len;
        enough = take_piece(plan, &piece, whole) > 0;
        plan->offset += whole;
    }
    buf_done(&piece);
    if (rc == -ENOENT)
        return ERR_NOT_FOUND;
    if (rc == 0 && plan->next == plan->from) {
        if (!plan->damaged)
            note_damage(plan, plan->offset);
        rc = ERR_CORRUPT;
    }
    return rc;
}

/* Whether the plan was made for what is there now. */
static bool is_stale(struct journal *journal, const struct journal_plan *plan)
{
    pthread_mutex_lock(&journal->table.mutex);
    bool stale = plan->generation != journal->table.generation;
    pthread_mutex_unlock(&journal->table.mutex);
    return stale;
}

static void give_result(struct journal *journal, struct journal_read *read,
                        struct journal_plan *plan)
{
    buf_done(&read->lines);
    read->lines = plan->lines;
    buf_init(&plan->lines, 1);
    read->next = plan->next;
    read->damage = plan->damage;
    if (plan->status != ERR_CORRUPT)
        return;
    pthread_mutex_lock(&journal->table.mutex);
    for (size_t i = 0; i < journal->table.damage_n; i++) {
        const struct journal_damage *known = &journal->table.damage[i];
        if (known->first <= plan->damage.first && known->last >= plan->damage.first)
            read->damage = *known;
    }
    journal_table_add_damage(&journal->table, &read->damage);
    pthread_mutex_unlock(&journal->table.mutex);
}

static void free_plan(struct journal_plan *plan)
{
    buf_done(&plan->lines);
    free(plan);
}

static void on_work(void *arg)
{
    struct journal_plan *plan = arg;
    if (plan->status == 0)
        plan->status = run_plan(plan);
}

static void start(struct journal *journal, struct journal_read *read);

static void on_work_done(void *arg, int code)
{
    struct journal_plan *plan = arg;
    struct journal *journal = plan->journal;
    struct journal_read *read = plan->read;
    journal->plans--;
    if (read == NULL) {
        free_plan(plan);
        journal_finish_close(journal);
        return;
    }
    LIST_REMOVE(read, entry);
    read->plan = NULL;
    if (code == 0 && is_stale(journal, plan)) {
        free_plan(plan);
        start(journal, read);
        return;
    }
    give_result(journal, read, plan);
    read->status = code < 0 ? code : plan->status;
    free_plan(plan);
    read->cb(read, read->status);
}

static void start(struct journal *journal, struct journal_read *read)
{
    struct journal_plan *plan = mem_zalloc(sizeof *plan);
    buf_init(&plan->lines, read->bytes_max + JOURNAL_LINE_BYTES_MAX + JOURNAL_PREFIX_BYTES_MAX + 1);
    plan->journal = journal;
    plan->read = read;
    plan->status = make_plan(journal, read, plan);
    if (plan->status < 0)
        plan->generation = journal->table.generation;
    read->plan = plan;
    LIST_INSERT_HEAD(&journal->reads, read, entry);
    journal->plans++;
    plan->work = loop_work(journal->loop, on_work, on_work_done, plan);
}

void journal_read(struct journal *journal, struct journal_read *read, journal_read_fn cb)
{
    assert(!journal->closing && read->plan == NULL && cb != NULL);
    assert(read->bytes_max > 0 && read->bytes_max <= JOURNAL_READ_BYTES_MAX);
    read->journal = journal;
    read->cb = cb;
    start(journal, read);
}

void journal_read_cancel(struct journal_read *read)
{
    struct journal_plan *plan = read->plan;
    if (plan == NULL)
        return;
    LIST_REMOVE(read, entry);
    read->plan = NULL;
    plan->read = NULL;
    (void)loop_work_cancel(plan->work);
}

int journal_read_now(struct journal *journal, struct journal_read *read)
{
    assert(read->plan == NULL && read->bytes_max > 0);
    struct journal_plan plan;
    do {
        plan = (struct journal_plan){.read = read};
        buf_init(&plan.lines,
                 read->bytes_max + JOURNAL_LINE_BYTES_MAX + JOURNAL_PREFIX_BYTES_MAX + 1);
        plan.status = make_plan(journal, read, &plan);
        if (plan.status < 0)
            break;
        plan.status = run_plan(&plan);
        if (!is_stale(journal, &plan))
            break;
        buf_done(&plan.lines);
    } while (true);
    give_result(journal, read, &plan);
    buf_done(&plan.lines);
    return plan.status;
}

void journal_read_done(struct journal_read *read)
{
    journal_read_cancel(read);
    buf_done(&read->lines);
}

bool journal_next_line(const struct buf *lines, size_t *at, struct journal_line *line)
{
    if (*at >= lines->len)
        return false;
    const char *text = (const char *)lines->data + *at;
    const char *end = memchr(text, '\n', lines->len - *at);
    struct journal_mark mark;
    if (end == NULL || journal_format_get(text, (size_t)(end - text), &mark) != 0 ||
        mark.kind != JOURNAL_LINE)
        return false;
    *at += (size_t)(end - text) + 1;
    *line = (struct journal_line){
        .seq = mark.seq,
        .text = text,
        .len = (size_t)(end - text),
        .members = text + mark.members,
        .members_len = (size_t)(end - text) - mark.members,
    };
    return true;
}
