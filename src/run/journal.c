/* Happy path: lines are formatted into the last op that is staged; the loop's hook at the end of
 * the turn hands the staged ops to the writer, unless it has two already: then lines go on
 * gathering for one larger write. The writer hands ops back.
 *
 * How it fails: see journal.h. The writer notes the first error, and from then on only passes ops
 * back with it. */
#include "run/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>

#include "base/mem.h"
#include "run/journal_format.h"
#include "run/journal_internal.h"
#include "run/journal_replay.h"
#include "run/journal_rewrite.h"

enum {
    OP_BYTES_MAX = 256 << 10, /* of one write, unless a single line is larger */
    BULK_BYTES_MAX = 1 << 20, /* of one in bulk */
    OP_TEXT_MAX = 2 << 20,
    HANDED_MAX = 2,
};

static void flush(struct journal *journal, bool force)
{
    if (journal->handed >= HANDED_MAX && !force)
        return;
    const struct journal_op *op;
    STAILQ_FOREACH (op, &journal->staged, entry)
        journal->handed++;
    if (!STAILQ_EMPTY(&journal->staged))
        journal_thread_put(&journal->thread, &journal->staged);
}

static void on_turn_end(void *arg)
{
    flush(arg, false);
}

static void free_op(struct journal_op *op)
{
    buf_done(&op->text);
    free(op);
}

static struct journal_op *take_op(struct journal *journal)
{
    struct journal_op *op = STAILQ_FIRST(&journal->kept);
    if (op != NULL) {
        STAILQ_REMOVE_HEAD(&journal->kept, entry);
        journal->kept_n--;
        return op;
    }
    op = mem_zalloc(sizeof *op);
    buf_init(&op->text, SIZE_MAX / 4);
    return op;
}

static void give_op(struct journal *journal, struct journal_op *op)
{
    if (journal->kept_n >= JOURNAL_OPS_KEPT_MAX || op->text.cap > OP_TEXT_MAX) {
        free_op(op);
        return;
    }
    buf_clear(&op->text);
    STAILQ_INSERT_HEAD(&journal->kept, op, entry);
    journal->kept_n++;
}

static struct journal_op *stage(struct journal *journal, enum journal_op_kind kind, uint64_t first)
{
    assert(!journal->closing);
    struct journal_op *op = take_op(journal);
    op->kind = kind;
    op->first = first;
    op->last = first - 1;
    op->durable = 0;
    op->status = 0;
    op->bulk = false;
    op->queued_ms = loop_now_ms(journal->loop);
    STAILQ_INIT(&op->reqs);
    STAILQ_INSERT_TAIL(&journal->staged, op, entry);
    TAILQ_INSERT_TAIL(&journal->order, op, order);
    loop_hook_arm(&journal->hook);
    return op;
}

static void free_journal(struct journal *journal)
{
    loop_hook_disarm(&journal->hook);
    journal_writer_done(&journal->writer);
    journal_table_done(&journal->table);
    wal_dir_done(&journal->dir);
    struct journal_op *op;
    while ((op = STAILQ_FIRST(&journal->kept)) != NULL) {
        STAILQ_REMOVE_HEAD(&journal->kept, entry);
        free_op(op);
    }
    free(journal);
}

static void finish(struct journal *journal, struct journal_op *op)
{
    assert(TAILQ_FIRST(&journal->order) == op);
    TAILQ_REMOVE(&journal->order, op, order);
    journal->handed--;
    if (op->kind == JOURNAL_OP_WRITE)
        journal->in_flight_bytes -= op->text.len;
    if (op->status == 0 && op->durable > journal->durable)
        journal->durable = op->durable;
    if (op->kind == JOURNAL_OP_DROP && op->status == 0) {
        pthread_mutex_lock(&journal->table.mutex);
        const struct journal_segment *oldest = TAILQ_FIRST(&journal->table.segments);
        uint64_t first = oldest != NULL ? oldest->first : 0; /* none while a reset is written */
        pthread_mutex_unlock(&journal->table.mutex);
        if (first > journal->first)
            journal->first = first;
    }
    struct journal_req *req;
    while ((req = STAILQ_FIRST(&op->reqs)) != NULL) {
        STAILQ_REMOVE_HEAD(&op->reqs, entry);
        req->status = op->status;
        req->cb(req, req->status);
    }
    give_op(journal, op);
}

static void on_outcome(void *arg)
{
    struct journal *journal = arg;
    struct journal_outcome outcome;
    journal_thread_take(&journal->thread, &outcome);
    if (outcome.writer.error.code != 0 && journal->status == 0) {
        journal->status = outcome.writer.error.code;
        if (journal->options.on_failed != NULL)
            journal->options.on_failed(journal->options.arg, &outcome.writer.error);
    }
    struct journal_op *op;
    while ((op = STAILQ_FIRST(&outcome.done)) != NULL) {
        STAILQ_REMOVE_HEAD(&outcome.done, entry);
        finish(journal, op);
    }
    if (outcome.writer.reserve_changed && !journal->closing && journal->options.on_reserve != NULL)
        journal->options.on_reserve(journal->options.arg, outcome.writer.reserve);
    if (!outcome.writer.stopped) {
        loop_hook_arm(&journal->hook);
        return;
    }
    assert(TAILQ_EMPTY(&journal->order));
    journal_thread_join(&journal->thread);
    journal->stopped = true;
    journal_finish_close(journal);
}

void journal_finish_close(struct journal *journal)
{
    if (!journal->stopped || journal->plans > 0)
        return;
    void (*cb)(void *arg) = journal->close_cb;
    void *close_arg = journal->close_arg;
    free_journal(journal);
    if (cb != NULL)
        cb(close_arg);
}

static uint64_t random_u64(void)
{
    uint64_t value = 0;
    while (value == 0)
        if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
            value = 0;
    return value;
}

static int replay(struct journal *journal, uint64_t *log, struct error *e)
{
    struct journal_replay replay = {
        .dir = &journal->dir, .table = &journal->table, .options = &journal->options};
    int rc = journal_replay_run(&replay, e);
    journal->torn_bytes = replay.torn_bytes;
    journal->next = replay.next;
    journal->durable = replay.next - 1;
    *log = replay.log != 0 ? replay.log : random_u64();
    const struct journal_segment *oldest = TAILQ_FIRST(&journal->table.segments);
    journal->first = oldest != NULL ? oldest->first : 1;
    return rc;
}

static struct journal *new_journal(struct loop *loop, const struct journal_options *options)
{
    struct journal *journal = mem_zalloc(sizeof *journal);
    journal->loop = loop;
    journal->dir.fd = -1;
    if (options != NULL)
        journal->options = *options;
    if (journal->options.segment_bytes == 0)
        journal->options.segment_bytes = JOURNAL_SEGMENT_BYTES;
    if (journal->options.in_flight_bytes_max == 0)
        journal->options.in_flight_bytes_max = JOURNAL_IN_FLIGHT_BYTES;
    assert(journal->options.segment_bytes % WAL_PAGE_BYTES == 0);
    assert(journal->options.segment_bytes >= JOURNAL_SEGMENT_BYTES_MIN);
    STAILQ_INIT(&journal->staged);
    STAILQ_INIT(&journal->kept);
    TAILQ_INIT(&journal->order);
    LIST_INIT(&journal->reads);
    journal_file_init(&journal->writer.file);
    journal_file_init(&journal->writer.next);
    journal_table_init(&journal->table);
    loop_hook_init(&journal->hook, loop, LOOP_PHASE_WRITE, on_turn_end, journal);
    return journal;
}

int journal_open(struct journal **out, struct loop *loop, const char *dir,
                 const struct journal_options *options, struct error *e)
{
    struct journal *journal = new_journal(loop, options);
    uint64_t log = 0;
    int rc = wal_dir_open(&journal->dir, dir, journal->options.buffered, journal->options.io, e);
    if (rc == 0 && flock(journal->dir.fd, LOCK_EX | LOCK_NB) != 0)
        rc = error_set(e, ERR_BUSY, "%s is in use by another process", dir);
    if (rc == 0)
        rc = replay(journal, &log, e);
    if (rc == 0)
        rc = journal_writer_init(&journal->writer, &journal->dir, &journal->table, log,
                                 journal->options.segment_bytes, e);
    struct writer_thread_owner owner = {loop, journal->dir.io, on_outcome, journal};
    if (rc == 0)
        rc = journal_thread_start(&journal->thread, &journal->writer, &owner, e);
    if (rc < 0) {
        free_journal(journal);
        return rc;
    }
    *out = journal;
    return 0;
}

void journal_close(struct journal *journal, void (*cb)(void *arg), void *arg)
{
    assert(!journal->closing && LIST_EMPTY(&journal->reads));
    journal->close_cb = cb;
    journal->close_arg = arg;
    flush(journal, true);
    journal->closing = true;
    journal_thread_stop(&journal->thread);
}

uint64_t journal_first(const struct journal *journal)
{
    return journal->first;
}

uint64_t journal_last(const struct journal *journal)
{
    return journal->next - 1;
}

uint64_t journal_durable(const struct journal *journal)
{
    return journal->durable;
}

static struct journal_op *last_staged(struct journal *journal)
{
    if (STAILQ_EMPTY(&journal->staged))
        return NULL;
    return TAILQ_LAST(&journal->order, journal_op_order);
}

/* Whether a line of at most `bytes` can go into the write that was staged last. */
static bool takes(const struct journal_op *op, uint64_t bytes, bool bulk)
{
    if (op == NULL || op->kind != JOURNAL_OP_WRITE)
        return false;
    uint64_t bytes_max = bulk ? BULK_BYTES_MAX : OP_BYTES_MAX;
    return op->text.len == 0 || (op->bulk == bulk && op->text.len + bytes <= bytes_max);
}

/* An object without its first brace. */
static int append_members(struct journal *journal, const char *members, size_t len, bool bulk)
{
    if (journal->status != 0)
        return journal->status;
    if (len >= JOURNAL_LINE_BYTES_MAX)
        return ERR_TOO_LARGE;
    uint64_t bytes = JOURNAL_PREFIX_BYTES_MAX + len;
    if (journal->in_flight_bytes > 0 &&
        journal->in_flight_bytes + bytes > journal->options.in_flight_bytes_max)
        return ERR_BUSY;
    struct journal_op *op = last_staged(journal);
    if (!takes(op, bytes, bulk))
        op = stage(journal, JOURNAL_OP_WRITE, journal->next);
    if (op->text.len == 0) {
        op->first = journal->next;
        op->bulk = bulk;
    }
    size_t before = op->text.len;
    journal_format_put_members(&op->text, journal->next, op->first, members, len);
    journal->in_flight_bytes += op->text.len - before;
    op->last = op->durable = journal->next++;
    return 0;
}

int journal_append(struct journal *journal, const char *object, size_t len)
{
    assert(journal_format_is_object(object, len));
    return append_members(journal, object + 1, len - 1, false);
}

int journal_append_lines(struct journal *journal, const char *lines, size_t len)
{
    const char *end = lines + len;
    int rc = 0;
    while (rc == 0 && lines < end) {
        const char *newline = memchr(lines, '\n', (size_t)(end - lines));
        size_t line_len = (size_t)((newline != NULL ? newline : end) - lines);
        size_t members = journal_format_members(lines, line_len);
        rc = append_members(journal, lines + members, line_len - members, true);
        lines += line_len + 1;
    }
    return rc;
}

void journal_sync(struct journal *journal, struct journal_req *req, journal_fn cb)
{
    assert(cb != NULL);
    req->cb = cb;
    struct journal_op *op = last_staged(journal);
    if (op == NULL)
        op = stage(journal, JOURNAL_OP_WRITE, journal->next);
    STAILQ_INSERT_TAIL(&op->reqs, req, entry);
}

int journal_sync_now(struct journal *journal)
{
    flush(journal, true);
    return journal_thread_sync(&journal->thread);
}

int journal_beat(struct journal *journal)
{
    if (journal->status != 0)
        return journal->status;
    (void)stage(journal, JOURNAL_OP_BEAT, journal->next);
    return 0;
}

int journal_truncate(struct journal *journal, uint64_t seq)
{
    assert(seq >= journal->first && seq < journal->next);
    if (journal->status != 0)
        return journal->status;
    struct journal_op *op;
    TAILQ_FOREACH (op, &journal->order, order)
        if (op->durable >= seq)
            op->durable = seq - 1;
    if (journal->durable >= seq)
        journal->durable = seq - 1;
    (void)stage(journal, JOURNAL_OP_TRUNCATE, seq);
    journal->next = seq;
    return 0;
}

static int stage_carry(struct journal *journal, enum journal_op_kind kind, uint64_t seq,
                       const struct buf *carry)
{
    if (journal->status != 0)
        return journal->status;
    if (carry != NULL && carry->len > JOURNAL_CARRY_BYTES_MAX)
        return ERR_TOO_LARGE;
    if (journal_count_objects(carry) < 0)
        return ERR_INVALID;
    struct journal_op *op = stage(journal, kind, seq);
    if (carry != NULL && carry->len > 0)
        (void)buf_append(&op->text, carry->data, carry->len);
    return 0;
}

int journal_reset(struct journal *journal, uint64_t next, const struct buf *carry)
{
    assert(next > 0);
    int rc = stage_carry(journal, JOURNAL_OP_RESET, next, carry);
    if (rc < 0)
        return rc;
    struct journal_op *op;
    TAILQ_FOREACH (op, &journal->order, order)
        op->durable = 0;
    last_staged(journal)->durable = next - 1;
    journal->durable = 0;
    journal->first = journal->next = next;
    return 0;
}

int journal_drop(struct journal *journal, uint64_t seq, const struct buf *carry)
{
    assert(seq <= journal->next);
    return stage_carry(journal, JOURNAL_OP_DROP, seq, carry);
}

uint64_t journal_retain(const struct journal *journal, uint64_t bytes_max, int64_t oldest_ms)
{
    struct journal_table *table = (struct journal_table *)&journal->table;
    pthread_mutex_lock(&table->mutex);
    uint64_t bytes = table->bytes;
    const struct journal_segment *segment = TAILQ_FIRST(&table->segments);
    const struct journal_segment *next;
    while (segment != NULL && (next = TAILQ_NEXT(segment, entry)) != NULL) {
        bool is_old = oldest_ms > 0 && next->at_ms < oldest_ms; /* begun when this one ended */
        if (!is_old && (bytes_max == 0 || bytes <= bytes_max))
            break;
        bytes -= segment->bytes;
        segment = next;
    }
    uint64_t seq = segment != NULL ? segment->first : 0; /* none while a reset is written */
    pthread_mutex_unlock(&table->mutex);
    return seq < journal->first ? journal->first : seq;
}

bool journal_damage(const struct journal *journal, unsigned index, struct journal_damage *out)
{
    struct journal_table *table = (struct journal_table *)&journal->table;
    pthread_mutex_lock(&table->mutex);
    bool known = index < table->damage_n;
    if (known)
        *out = table->damage[index];
    pthread_mutex_unlock(&table->mutex);
    return known;
}

int journal_repair(struct journal *journal, uint64_t first, uint64_t last, const struct buf *lines)
{
    if (journal->status != 0)
        return journal->status;
    struct journal_damage damage;
    unsigned i = 0;
    do
        if (!journal_damage(journal, i++, &damage))
            return ERR_NOT_FOUND;
    while (first < damage.first || last > damage.last);
    int64_t count = journal_count_objects(lines);
    if (count < 0 || (last > 0 && (uint64_t)count != last - first + 1))
        return ERR_INVALID;
    struct journal_op *op = stage(journal, JOURNAL_OP_REPAIR, first);
    op->last = last;
    (void)buf_append(&op->text, lines->data, lines->len);
    return 0;
}

uint64_t journal_torn_bytes(const struct journal *journal)
{
    return journal->torn_bytes;
}

uint64_t journal_bytes_in_flight(const struct journal *journal)
{
    return journal->in_flight_bytes;
}

uint64_t journal_bytes_on_disk(const struct journal *journal)
{
    struct journal_table *table = (struct journal_table *)&journal->table;
    pthread_mutex_lock(&table->mutex);
    uint64_t bytes = table->bytes;
    pthread_mutex_unlock(&table->mutex);
    return bytes;
}

unsigned journal_segments(const struct journal *journal)
{
    struct journal_table *table = (struct journal_table *)&journal->table;
    pthread_mutex_lock(&table->mutex);
    unsigned n = table->segments_n;
    pthread_mutex_unlock(&table->mutex);
    return n;
}

uint64_t journal_oldest_wait_ms(const struct journal *journal)
{
    const struct journal_op *oldest = TAILQ_FIRST(&journal->order);
    return oldest == NULL ? 0 : (uint64_t)(loop_now_ms(journal->loop) - oldest->queued_ms);
}

int journal_status(const struct journal *journal)
{
    return journal->status;
}
