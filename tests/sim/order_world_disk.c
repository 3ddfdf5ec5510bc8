/* Disks: what is durable, what is being written, what a crash leaves of it. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/order_world.h"

static uint64_t ow_disk_last(const struct ow_disk *disk)
{
    return disk->first + disk->n - 1;
}

static struct ow_form ow_form_of(const struct order_entry *entry)
{
    struct buf form;
    buf_init(&form, 1 << 20);
    int err = order_entry_encode(entry, &form);
    assert(err == 0);
    (void)err;
    struct ow_form out;
    out.bytes = (uint8_t *)buf_steal(&form, &out.len);
    return out;
}

static void ow_disk_cut(struct ow_disk *disk, uint64_t seq)
{
    while (disk->n > 0 && ow_disk_last(disk) > seq)
        free(disk->forms[--disk->n].bytes);
}

static void ow_write_free(struct ow_write *write)
{
    for (size_t i = 0; i < write->n; i++)
        free(write->forms[i].bytes);
    free(write->forms);
    free(write->seqs);
    free(write->snapshot);
}

void ow_disk_done(struct ow_disk *disk)
{
    ow_disk_cut(disk, 0);
    while (disk->n > 0)
        free(disk->forms[--disk->n].bytes);
    for (size_t i = 0; i < disk->writes_n; i++)
        ow_write_free(&disk->writes[i]);
    free(disk->writes);
    free(disk->forms);
    free(disk->snapshot);
}

bool ow_disk_holds(const struct ow_disk *disk, uint64_t seq, uint64_t check)
{
    struct order_entry entry;
    if (disk->snapshot != NULL && seq < disk->first)
        return seq <= disk->snapshot_seq;
    if (seq < disk->first || seq > ow_disk_last(disk))
        return false;
    const struct ow_form *form = &disk->forms[seq - disk->first];
    return form->bytes != NULL && order_entry_decode(form->bytes, form->len, &entry) > 0 &&
           order_entry_check(&entry) == check;
}

bool ow_disk_entry(const struct ow_disk *disk, uint64_t seq, struct order_entry *entry)
{
    if (seq < disk->first || seq > ow_disk_last(disk))
        return false;
    const struct ow_form *form = &disk->forms[seq - disk->first];
    return form->bytes != NULL && order_entry_decode(form->bytes, form->len, entry) > 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void ow_write_lump(struct ow *w, struct ow_write *write, const struct order_record *record)
{
    const uint8_t *at = record->lump;
    write->n = record->lump_n;
    write->forms = mem_calloc(write->n, sizeof *write->forms);
    write->seqs = mem_calloc(write->n, sizeof *write->seqs);
    for (size_t i = 0; i < write->n; i++) {
        struct order_entry entry;
        size_t left = record->lump_len - (size_t)(at - (const uint8_t *)record->lump);
        int len = order_entry_decode(at, left, &entry);
        if (len <= 0 || entry.seq != record->seq + i)
            ow_wrong(w, "a lump from entry %llu on begins with another",
                     (unsigned long long)record->seq);
        write->forms[i] = (struct ow_form){mem_dup(at, (size_t)len), (size_t)len};
        write->seqs[i] = entry.seq;
        at += len;
    }
    if (at != (const uint8_t *)record->lump + record->lump_len)
        ow_wrong(w, "a lump has more than its entries");
}

void ow_disk_record(struct ow *w, unsigned node, const struct order_record *record)
{
    struct ow_disk *disk = &w->nodes[node].disk;
    MEM_GROW(disk->writes, disk->writes_cap, disk->writes_n + 1);
    struct ow_write *write = &disk->writes[disk->writes_n++];
    *write = (struct ow_write){.record = record->record,
                               .type = record->type,
                               .meta = record->meta,
                               .n = record->entries_n,
                               .seq = record->seq,
                               .at_ms = w->time.now_ms};
    if (record->lump != NULL)
        ow_write_lump(w, write, record);
    if (record->entries_n > 0) {
        write->forms = mem_calloc(record->entries_n, sizeof *write->forms);
        write->seqs = mem_calloc(record->entries_n, sizeof *write->seqs);
    }
    for (size_t i = 0; i < record->entries_n; i++) {
        write->forms[i] = ow_form_of(record->entries[i]);
        write->seqs[i] = record->entries[i]->seq;
    }
    if (record->snapshot_len > 0) {
        write->snapshot = mem_dup(record->snapshot, record->snapshot_len);
        write->snapshot_len = record->snapshot_len;
    }
}

static void ow_disk_put(struct ow *w, struct ow_disk *disk, struct ow_write *write, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (write->type == ORDER_RECORD_APPEND) {
            if (write->seqs[i] != ow_disk_last(disk) + 1)
                ow_wrong(w, "entry %llu is written behind entry %llu",
                         (unsigned long long)write->seqs[i],
                         (unsigned long long)ow_disk_last(disk));
            MEM_GROW(disk->forms, disk->cap, disk->n + 1);
            disk->forms[disk->n++] = write->forms[i];
        } else {
            struct ow_form *hole = &disk->forms[write->seqs[i] - disk->first];
            assert(write->seqs[i] >= disk->first && write->seqs[i] <= ow_disk_last(disk));
            if (hole->bytes != NULL)
                continue;
            *hole = write->forms[i];
        }
        write->forms[i].bytes = NULL;
    }
}

/* `part`: of its entries, if it is not written as a whole. */
static void ow_disk_apply(struct ow *w, struct ow_disk *disk, struct ow_write *write, size_t part)
{
    switch (write->type) {
    case ORDER_RECORD_META:
        disk->meta = write->meta;
        break;
    case ORDER_RECORD_APPEND:
    case ORDER_RECORD_MEND:
        ow_disk_put(w, disk, write, part < write->n ? part : write->n);
        break;
    case ORDER_RECORD_TRUNCATE:
        if (write->seq < disk->committed)
            ow_wrong(w, "entry %llu is cut off and was delivered",
                     (unsigned long long)disk->committed);
        ow_disk_cut(disk, write->seq);
        break;
    case ORDER_RECORD_INSTALL:
        ow_disk_cut(disk, 0);
        while (disk->n > 0)
            free(disk->forms[--disk->n].bytes);
        disk->first = write->seq + 1;
        free(disk->snapshot);
        disk->snapshot = write->snapshot;
        disk->snapshot_len = write->snapshot_len;
        disk->snapshot_seq = disk->committed = write->seq;
        write->snapshot = NULL;
        break;
    case ORDER_RECORD_BEAT:
        break;
    }
}

static void ow_disk_drop(struct ow_disk *disk, size_t n)
{
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        ow_write_free(&disk->writes[i]);
    memmove(disk->writes, disk->writes + n, (disk->writes_n - n) * sizeof *disk->writes);
    disk->writes_n -= n;
}

static void ow_disk_said(struct ow *w, struct ow_event *event)
{
    struct ow_node *node = &w->nodes[event->node];
    if (node->up && node->boot == event->boot && !ow_node_defer(w, event))
        ow_node_step(w, event->node,
                     (struct order_event){.type = ORDER_EVENT_PERSISTED, .record = event->number});
}

static void ow_disk_say(struct ow *w, unsigned node, uint64_t record)
{
    struct ow_event *said = ow_at(w, ow_ms(w, 0, 1), ow_disk_said);
    said->node = node;
    said->boot = w->nodes[node].boot;
    said->number = record;
}

static void ow_disk_written(struct ow *w, struct ow_event *event)
{
    struct ow_node *node = &w->nodes[event->node];
    struct ow_disk *disk = &node->disk;
    if (!node->up || node->boot != event->boot)
        return;
    if (disk->free_ms > w->time.now_ms) {
        struct ow_event *later = ow_at(w, disk->free_ms - w->time.now_ms, ow_disk_written);
        later->node = event->node;
        later->boot = event->boot;
        later->number = event->number;
        return;
    }
    size_t n = 0;
    while (n < disk->writes_n && disk->writes[n].record <= event->number) {
        ow_disk_apply(w, disk, &disk->writes[n], SIZE_MAX);
        n++;
    }
    if (n == 0)
        return;
    ow_disk_drop(disk, n);
    if (w->bug != ORDER_WORLD_BUG_FSYNC_SKIPPED)
        ow_disk_say(w, event->node, event->number);
}

void ow_disk_flush(struct ow *w, unsigned node)
{
    struct ow_disk *disk = &w->nodes[node].disk;
    uint64_t record = disk->writes[disk->writes_n - 1].record;
    int64_t ms = ow_ms(w, 0, w->disk_max_ms);
    if (w->bug == ORDER_WORLD_BUG_FSYNC_SKIPPED) {
        ow_disk_say(w, node, record);
        ms += ow_ms(w, 0, 500);
    }
    struct ow_event *event = ow_at(w, ms, ow_disk_written);
    event->node = node;
    event->boot = w->nodes[node].boot;
    event->number = record;
}

void ow_disk_crash(struct ow *w, unsigned node)
{
    struct ow_disk *disk = &w->nodes[node].disk;
    size_t keep = prng_below(&w->time.prng, disk->writes_n + 1);
    for (size_t i = 0; i < disk->writes_n; i++) {
        if (disk->writes[i].type == ORDER_RECORD_INSTALL) /* it may never have been */
            w->nodes[node].delivered = disk->committed;
    }
    for (size_t i = 0; i < keep; i++)
        ow_disk_apply(w, disk, &disk->writes[i], SIZE_MAX);
    if (keep < disk->writes_n && disk->writes[keep].type == ORDER_RECORD_APPEND)
        ow_disk_apply(w, disk, &disk->writes[keep],
                      prng_below(&w->time.prng, disk->writes[keep].n + 1));
    ow_disk_drop(disk, disk->writes_n);
    if (w->bug == ORDER_WORLD_BUG_META_LOST && disk->meta.promised_to != 0)
        disk->meta.promised_to = 0, disk->meta.term--;
}

/* ---- damage ---------------------------------------------------------------------------------- */

void ow_disk_damage(struct ow *w, unsigned node)
{
    struct ow_disk *disk = &w->nodes[node].disk;
    if (disk->n == 0 || disk->snapshot == NULL)
        return;
    uint64_t seq = disk->first + prng_below(&w->time.prng, disk->n);
    w->bits_lost++;
    bool hidden = w->bug == ORDER_WORLD_BUG_DAMAGE_HIDDEN;
    if (seq <= disk->snapshot_seq && !hidden) {
        ow_trace(w, "node %u loses entry %llu", node + 1, (unsigned long long)seq);
        free(disk->forms[seq - disk->first].bytes);
        disk->forms[seq - disk->first] = (struct ow_form){0};
    } else if (seq > disk->snapshot_seq) {
        ow_trace(w, "node %u loses all from entry %llu on", node + 1, (unsigned long long)seq);
        ow_disk_cut(disk, seq - 1);
        if (disk->committed > seq - 1)
            disk->committed = seq - 1;
        if (w->nodes[node].delivered > disk->committed)
            w->nodes[node].delivered = disk->committed;
    }
    disk->meta.damaged = !hidden;
}

/* ---- loading --------------------------------------------------------------------------------- */

static void ow_disk_load_entries(struct ow *w, unsigned node)
{
    struct ow_disk *disk = &w->nodes[node].disk;
    struct error e = {0};
    uint64_t first = disk->snapshot != NULL ? disk->snapshot_seq + 1 : 1;
    for (uint64_t seq = first; seq <= ow_disk_last(disk); seq++) {
        struct order_entry entry;
        const struct ow_form *form = &disk->forms[seq - disk->first];
        int len = order_entry_decode(form->bytes, form->len, &entry);
        assert(len > 0);
        (void)len;
        if (order_load_entries(w->nodes[node].order, &entry, 1, &e) < 0)
            ow_wrong(w, "node %u: %s", node + 1, e.text);
    }
}

static void ow_disk_tell_holes(struct ow *w, unsigned node)
{
    const struct ow_disk *disk = &w->nodes[node].disk;
    for (uint64_t seq = disk->first; seq <= ow_disk_last(disk); seq++) {
        struct order_event event = {.type = ORDER_EVENT_MEND, .first = seq, .last = seq};
        if (disk->forms[seq - disk->first].bytes == NULL)
            ow_node_step(w, node, event);
    }
}

void ow_disk_load(struct ow *w, unsigned node)
{
    struct ow_node *n = &w->nodes[node];
    struct ow_disk *disk = &n->disk;
    struct error e = {0};
    if (order_load_meta(n->order, &disk->meta, &e) < 0)
        ow_wrong(w, "node %u: %s", node + 1, e.text);
    if (disk->snapshot != NULL) {
        if (order_load_snapshot(n->order, disk->snapshot, disk->snapshot_len, &e) < 0)
            ow_wrong(w, "node %u: %s", node + 1, e.text);
    }
    ow_disk_load_entries(w, node);
    if (n->delivered > disk->committed && ow_chance(w, 50))
        disk->committed = n->delivered;
    n->delivered = disk->committed;
    ow_node_step(w, node,
                 (struct order_event){.type = ORDER_EVENT_START,
                                      .committed = disk->committed,
                                      .disk_code = disk->code});
    if (disk->snapshot != NULL && disk->first > 1)
        ow_node_step(w, node,
                     (struct order_event){.type = ORDER_EVENT_TRIMMED, .seq = disk->first - 1});
    ow_disk_tell_holes(w, node);
}

/* ---- reading, snapshots ---------------------------------------------------------------------- */

static void ow_disk_answer_snapshot(struct ow *w, const struct ow_event *event)
{
    const struct ow_disk *disk = &w->nodes[event->node].disk;
    const struct order_read *read = &event->read;
    struct order_event answer = {.type = ORDER_EVENT_SNAPSHOT, .read = read->read};
    bool has = disk->snapshot != NULL && read->offset < disk->snapshot_len &&
               (read->snapshot_seq == 0 || read->snapshot_seq == disk->snapshot_seq);
    answer.code = has ? 0 : ERR_NOT_FOUND;
    if (has) {
        answer.bytes = disk->snapshot + read->offset;
        answer.bytes_len = disk->snapshot_len - read->offset;
        if (answer.bytes_len > read->bytes_max)
            answer.bytes_len = read->bytes_max;
        answer.snapshot_seq = disk->snapshot_seq;
        answer.snapshot_size = disk->snapshot_len;
    }
    ow_node_step(w, event->node, answer);
}

/* What was read, as a lump. */
static void ow_disk_answer_lump(struct ow *w, const struct ow_event *event,
                                struct order_event *answer)
{
    const struct ow_disk *disk = &w->nodes[event->node].disk;
    struct buf bytes;
    buf_init(&bytes, SIZE_MAX / 4);
    for (size_t i = 0; i < answer->entries_n; i++) {
        const struct ow_form *form = &disk->forms[answer->entries[i].seq - disk->first];
        (void)buf_append(&bytes, form->bytes, form->len);
    }
    answer->lump_n = answer->entries_n;
    answer->entries_n = 0;
    answer->bytes = bytes.data;
    answer->bytes_len = bytes.len;
    ow_node_step(w, event->node, *answer);
    buf_done(&bytes);
}

static void ow_disk_answer(struct ow *w, struct ow_event *event)
{
    const struct ow_node *node = &w->nodes[event->node];
    const struct ow_disk *disk = &node->disk;
    const struct order_read *read = &event->read;
    struct order_entry entries[OW_LUMP_MAX];
    struct order_event answer = {.type = ORDER_EVENT_READ, .read = read->read, .entries = entries};
    if (!node->up || node->boot != event->boot || ow_node_defer(w, event))
        return;
    if (read->type == ORDER_READ_SNAPSHOT) {
        ow_disk_answer_snapshot(w, event);
        return;
    }
    size_t bytes = 0;
    for (uint64_t seq = read->first; seq <= read->last; seq++) {
        if (seq < disk->first || seq > ow_disk_last(disk) || answer.entries_n == OW_LUMP_MAX)
            break;
        const struct ow_form *form = &disk->forms[seq - disk->first];
        if (form->bytes == NULL || (bytes > 0 && bytes + form->len > read->bytes_max))
            break;
        int len = order_entry_decode(form->bytes, form->len, &entries[answer.entries_n++]);
        assert(len > 0);
        bytes += (size_t)len;
    }
    answer.code = answer.entries_n > 0 ? 0 : ERR_NOT_FOUND;
    if (read->lump && answer.code == 0)
        ow_disk_answer_lump(w, event, &answer);
    else
        ow_node_step(w, event->node, answer);
}

void ow_disk_read(struct ow *w, unsigned node, const struct order_read *read)
{
    struct ow_event *event = ow_at(w, ow_ms(w, 0, 3), ow_disk_answer);
    event->node = node;
    event->boot = w->nodes[node].boot;
    event->read = *read;
}

void ow_disk_snapshot(struct ow *w, unsigned node)
{
    struct ow_node *n = &w->nodes[node];
    struct buf snapshot;
    buf_init(&snapshot, 1 << 20);
    if (n->disk.writes_n > 0 || order_delivered(n->order) <= n->disk.snapshot_seq ||
        order_snapshot(n->order, &snapshot) < 0) {
        buf_done(&snapshot);
        return;
    }
    free(n->disk.snapshot);
    n->disk.snapshot = (uint8_t *)buf_steal(&snapshot, &n->disk.snapshot_len);
    n->disk.snapshot_seq = order_delivered(n->order);
    if (n->disk.committed < n->disk.snapshot_seq)
        n->disk.committed = n->disk.snapshot_seq;
    if (ow_chance(w, 30))
        ow_disk_trim(w, node);
}

static void ow_disk_give_up(struct ow *w, unsigned node, uint64_t upto)
{
    struct ow_disk *disk = &w->nodes[node].disk;
    size_t n = (size_t)(upto + 1 - disk->first);
    for (size_t i = 0; i < n; i++)
        free(disk->forms[i].bytes);
    memmove(disk->forms, disk->forms + n, (disk->n - n) * sizeof *disk->forms);
    disk->n -= n;
    disk->first = upto + 1;
    ow_node_step(w, node, (struct order_event){.type = ORDER_EVENT_TRIMMED, .seq = upto});
}

void ow_disk_trim(struct ow *w, unsigned node)
{
    struct ow_disk *disk = &w->nodes[node].disk;
    if (disk->snapshot_seq < disk->first)
        return;
    uint64_t upto = (uint64_t)ow_ms(w, (int64_t)disk->first, (int64_t)disk->snapshot_seq);
    for (uint64_t seq = disk->first; seq <= upto; seq++) {
        if (disk->forms[seq - disk->first].bytes == NULL)
            return;
    }
    ow_disk_give_up(w, node, upto);
}

void ow_disk_trim_wanted(struct ow *w, unsigned node, uint64_t upto)
{
    struct ow_disk *disk = &w->nodes[node].disk;
    if (upto >= disk->first && upto <= disk->snapshot_seq)
        ow_disk_give_up(w, node, upto);
}
