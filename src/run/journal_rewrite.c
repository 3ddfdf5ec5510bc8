#include "run/journal_rewrite.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/journal_format.h"

bool journal_next_object(const struct buf *objects, size_t *at, const char **object, size_t *len)
{
    if (objects == NULL || *at >= objects->len)
        return false;
    const char *begin = (const char *)objects->data + *at;
    const char *end = memchr(begin, '\n', objects->len - *at);
    *len = end == NULL ? objects->len - *at : (size_t)(end - begin);
    *object = begin;
    *at += *len + (end == NULL ? 0 : 1);
    return true;
}

int64_t journal_count_objects(const struct buf *objects)
{
    int64_t n = 0;
    size_t at = 0;
    const char *object;
    size_t len;
    for (; journal_next_object(objects, &at, &object, &len); n++)
        if (len > JOURNAL_LINE_BYTES_MAX || !journal_format_is_object(object, len))
            return -1;
    return n;
}

static void put_carried_all(struct buf *b, const struct buf *carry)
{
    size_t at = 0;
    const char *object;
    size_t len;
    while (journal_next_object(carry, &at, &object, &len))
        journal_format_put_carried(b, object, len);
}

void journal_put_beginning(struct buf *b, uint64_t log, uint64_t first, const struct buf *carry)
{
    struct journal_head head = {
        .log = log,
        .first = first,
        .at_ms = clock_wall_ms(),
        .carry = (uint64_t)journal_count_objects(carry),
    };
    journal_format_put_head(b, &head);
    put_carried_all(b, carry);
}

/* The new file as it grows, and its index. */
struct draft {
    const struct journal_rewrite *rewrite;
    struct buf content;
    struct journal_segment *index;
    bool inserted;
};

static void note_line(struct draft *d, uint64_t seq)
{
    journal_segment_note(d->index, seq, d->content.len);
    d->index->last = seq;
}

static void put_lines_back(struct draft *d)
{
    const struct journal_rewrite *rewrite = d->rewrite;
    size_t at = 0;
    const char *object;
    size_t len;
    uint64_t seq = rewrite->first;
    for (; journal_next_object(rewrite->lines, &at, &object, &len); seq++) {
        note_line(d, seq);
        journal_format_put_line(&d->content, seq, seq, object, len);
    }
    d->inserted = true;
}

/* The head, with what is to be carried. */
static void put_beginning(struct draft *d, const struct buf *old)
{
    const struct journal_rewrite *rewrite = d->rewrite;
    struct journal_head head = {
        .log = rewrite->log,
        .first = rewrite->segment->first,
        .at_ms = rewrite->segment->at_ms,
    };
    struct buf carried;
    buf_init(&carried, old->len + 1);
    struct journal_scan scan = {(const char *)old->data, old->len, 0};
    struct journal_item item;
    for (journal_scan_next(&scan, &item); item.kind != JOURNAL_ITEM_END && rewrite->carry == NULL;
         journal_scan_next(&scan, &item)) {
        if (item.kind != JOURNAL_ITEM_LINE || item.mark.kind != JOURNAL_CARRIED)
            continue;
        (void)buf_append(&carried, old->data + item.offset, item.len);
        head.carry++;
    }
    if (rewrite->carry != NULL)
        head.carry = (uint64_t)journal_count_objects(rewrite->carry);
    else if (rewrite->damaged_carry)
        head.carry++;
    journal_format_put_head(&d->content, &head);
    if (rewrite->carry != NULL)
        put_carried_all(&d->content, rewrite->carry);
    else if (carried.len > 0)
        (void)buf_append(&d->content, carried.data, carried.len);
    d->index->lines_at = d->content.len;
    buf_done(&carried);
}

static void put_lines(struct draft *d, const struct buf *old)
{
    const struct journal_rewrite *rewrite = d->rewrite;
    struct journal_scan scan = {(const char *)old->data, old->len, 0};
    struct journal_item item;
    for (journal_scan_next(&scan, &item); item.kind != JOURNAL_ITEM_END;
         journal_scan_next(&scan, &item)) {
        uint64_t seq = item.mark.seq;
        if (item.kind != JOURNAL_ITEM_LINE || item.mark.kind != JOURNAL_LINE ||
            seq <= d->index->last)
            continue;
        if (rewrite->first > 0 && !d->inserted && seq > rewrite->last)
            put_lines_back(d);
        if (seq <= d->index->last)
            continue;
        note_line(d, seq);
        (void)buf_append(&d->content, old->data + item.offset, item.len);
    }
    if (rewrite->first > 0 && !d->inserted)
        put_lines_back(d);
}

/* The segment is as the new file is. */
static void adopt(struct draft *d)
{
    struct journal_table *table = d->rewrite->table;
    struct journal_segment *segment = d->rewrite->segment;
    struct journal_segment *index = d->index;
    pthread_mutex_lock(&table->mutex);
    table->bytes += d->content.len - segment->bytes;
    segment->bytes = d->content.len;
    segment->last = index->last;
    segment->lines_at = index->lines_at;
    struct journal_place *places = segment->places;
    segment->places = index->places;
    segment->places_n = index->places_n;
    segment->places_cap = index->places_cap;
    index->places = places;
    pthread_mutex_unlock(&table->mutex);
}

int journal_rewrite(const struct journal_rewrite *rewrite)
{
    char name[JOURNAL_NAME_MAX];
    journal_name(name, rewrite->segment->first);
    size_t bytes = (size_t)rewrite->segment->bytes;
    struct buf old;
    buf_init(&old, bytes + 1);
    int rc = journal_file_read(rewrite->dir, name, 0, bytes, &old);
    if (rc == 0) {
        pthread_mutex_lock(&rewrite->table->mutex);
        rewrite->table->generation++;
        pthread_mutex_unlock(&rewrite->table->mutex);
        struct draft d = {.rewrite = rewrite,
                          .index = journal_segment_new(rewrite->segment->first)};
        buf_init(&d.content, SIZE_MAX / 4);
        put_beginning(&d, &old);
        put_lines(&d, &old);
        rc = journal_file_replace(rewrite->dir, name, &d.content);
        if (rc == 0)
            adopt(&d);
        journal_segment_free(d.index);
        buf_done(&d.content);
    }
    buf_done(&old);
    return rc;
}
