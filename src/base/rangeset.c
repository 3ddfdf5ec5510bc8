/* Happy path: text becomes ranges in the order written, behind those that the set holds; one sort
 * and one pass bring them into order. It fails before the set changes: wrong form, an index or a
 * count past its limit. Bounds are compared in 64 bits, so the greatest index needs no care. */
#include "base/rangeset.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/mem.h"

enum {
    RANGESET_TEXT_MAX = 32, /* bytes that one range takes in text form, at most */
    RANGESET_STEP_MIN = 4   /* elements of equal distance from which they are written "a-b:step" */
};

void rangeset_init(struct rangeset *set)
{
    *set = (struct rangeset){0};
}

void rangeset_done(struct rangeset *set)
{
    free(set->ranges);
    rangeset_init(set);
}

void rangeset_copy(struct rangeset *to, const struct rangeset *from)
{
    if (to == from)
        return;
    MEM_GROW(to->ranges, to->cap, from->n);
    if (from->n > 0)
        memcpy(to->ranges, from->ranges, from->n * sizeof *to->ranges);
    to->n = from->n;
}

static void rangeset_append(struct rangeset *set, uint32_t first, uint32_t last)
{
    MEM_GROW(set->ranges, set->cap, set->n + 1);
    set->ranges[set->n++] = (struct rangeset_range){first, last};
}

static int rangeset_compare(const void *a, const void *b)
{
    const struct rangeset_range *left = a;
    const struct rangeset_range *right = b;
    return (left->first > right->first) - (left->first < right->first);
}

/* Brings ranges of any order and overlap into the form that the header states. */
static void rangeset_normalise(struct rangeset *set)
{
    if (set->n == 0)
        return;
    qsort(set->ranges, set->n, sizeof *set->ranges, rangeset_compare);
    size_t kept = 0;
    for (size_t i = 1; i < set->n; i++) {
        struct rangeset_range *before = &set->ranges[kept];
        if (set->ranges[i].first > (uint64_t)before->last + 1)
            set->ranges[++kept] = set->ranges[i];
        else if (set->ranges[i].last > before->last)
            before->last = set->ranges[i].last;
    }
    set->n = kept + 1;
}

/* Reads digits at *s; numbers that don't fit stay at UINT64_MAX / 10, above every limit. */
static int rangeset_read_number(const char **s, uint64_t *number)
{
    const char *at = *s;
    uint64_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        value = value >= UINT64_MAX / 100 ? UINT64_MAX / 10 : value * 10 + (uint64_t)(*at - '0');
    if (at == *s)
        return ERR_INVALID;
    *s = at;
    *number = value;
    return 0;
}

struct rangeset_item {
    uint64_t first;
    uint64_t last;
    uint64_t step;
};

/* Reads "5", "1-9" or "1-9:2" at *s. */
static int rangeset_read_item(const char **s, struct rangeset_item *item)
{
    int err = rangeset_read_number(s, &item->first);
    item->last = item->first;
    item->step = 1;
    if (err == 0 && **s == '-') {
        (*s)++;
        err = rangeset_read_number(s, &item->last);
        if (err == 0 && **s == ':') {
            (*s)++;
            err = rangeset_read_number(s, &item->step);
        }
    }
    return err < 0 || item->last < item->first || item->step == 0 ? ERR_INVALID : err;
}

int rangeset_parse(struct rangeset *set, const char *text, uint32_t index_max, uint64_t count_max)
{
    struct rangeset sum;
    rangeset_init(&sum);
    rangeset_copy(&sum, set);
    uint64_t stepped = 0; /* elements that cost a range each */
    int err;
    for (const char *s = text;; s++) {
        struct rangeset_item item;
        err = rangeset_read_item(&s, &item);
        if (err == 0 && *s != ',' && *s != '\0')
            err = ERR_INVALID;
        if (err == 0 && item.last > index_max)
            err = ERR_TOO_LARGE;
        if (err == 0 && item.step > 1) {
            stepped += (item.last - item.first) / item.step + 1;
            err = stepped > count_max ? ERR_TOO_LARGE : 0;
        }
        if (err < 0)
            goto out;
        if (item.step == 1)
            rangeset_append(&sum, (uint32_t)item.first, (uint32_t)item.last);
        for (uint64_t i = item.first; item.step > 1 && i <= item.last; i += item.step)
            rangeset_append(&sum, (uint32_t)i, (uint32_t)i);
        if (*s == '\0')
            break;
    }
    rangeset_normalise(&sum);
    if (rangeset_count(&sum) > count_max) {
        err = ERR_TOO_LARGE;
        goto out;
    }
    struct rangeset old = *set;
    *set = sum;
    sum = old;
out:
    rangeset_done(&sum);
    return err;
}

/* Number of ranges from `at` on that hold one element each, at equal distances. */
static size_t rangeset_stepped(const struct rangeset *set, size_t at)
{
    size_t end = at;
    uint32_t step = 0;
    for (; end < set->n && set->ranges[end].first == set->ranges[end].last; end++) {
        if (end == at)
            continue;
        uint32_t distance = set->ranges[end].first - set->ranges[end - 1].first;
        if (end > at + 1 && distance != step)
            break;
        step = distance;
    }
    return end - at;
}

char *rangeset_format(const struct rangeset *set)
{
    struct buf b;
    buf_init(&b, set->n * RANGESET_TEXT_MAX);
    int err = 0;
    for (size_t i = 0; i < set->n && err == 0;) {
        const char *comma = i > 0 ? "," : "";
        const struct rangeset_range *r = &set->ranges[i];
        size_t stepped = rangeset_stepped(set, i);
        if (stepped >= RANGESET_STEP_MIN) {
            err = buf_printf(&b, "%s%u-%u:%u", comma, r->first, r[stepped - 1].first,
                             r[1].first - r->first);
            i += stepped;
            continue;
        }
        if (r->first == r->last)
            err = buf_printf(&b, "%s%u", comma, r->first);
        else
            err = buf_printf(&b, "%s%u-%u", comma, r->first, r->last);
        i++;
    }
    assert(err == 0);
    return buf_steal(&b, NULL);
}

/* Position of the first range that ends at or behind `index`. */
static size_t rangeset_find(const struct rangeset *set, uint32_t index)
{
    size_t low = 0;
    size_t high = set->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->ranges[middle].last < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Puts `count` uninitialised ranges in the place of those in [at, end). */
static void rangeset_splice(struct rangeset *set, size_t at, size_t end, size_t count)
{
    assert(at <= end && end <= set->n);
    size_t n = set->n - (end - at) + count;
    MEM_GROW(set->ranges, set->cap, n);
    if (set->n > end)
        memmove(set->ranges + at + count, set->ranges + end, (set->n - end) * sizeof *set->ranges);
    set->n = n;
}

void rangeset_add(struct rangeset *set, uint32_t first, uint32_t last)
{
    assert(first <= last);
    size_t at = rangeset_find(set, first > 0 ? first - 1 : 0);
    size_t end = at;
    for (; end < set->n && set->ranges[end].first <= (uint64_t)last + 1; end++) {
        if (set->ranges[end].first < first)
            first = set->ranges[end].first;
        if (set->ranges[end].last > last)
            last = set->ranges[end].last;
    }
    rangeset_splice(set, at, end, 1);
    set->ranges[at] = (struct rangeset_range){first, last};
}

void rangeset_remove(struct rangeset *set, uint32_t first, uint32_t last)
{
    assert(first <= last);
    struct rangeset_range rest[2];
    size_t rest_n = 0;
    size_t at = rangeset_find(set, first);
    size_t end = at;
    for (; end < set->n && set->ranges[end].first <= last; end++) {
        const struct rangeset_range r = set->ranges[end];
        if (r.first < first)
            rest[rest_n++] = (struct rangeset_range){r.first, first - 1};
        if (r.last > last)
            rest[rest_n++] = (struct rangeset_range){last + 1, r.last};
    }
    rangeset_splice(set, at, end, rest_n);
    for (size_t i = 0; i < rest_n; i++)
        set->ranges[at + i] = rest[i];
}

bool rangeset_contains(const struct rangeset *set, uint32_t index)
{
    size_t at = rangeset_find(set, index);
    return at < set->n && set->ranges[at].first <= index;
}

bool rangeset_is_empty(const struct rangeset *set)
{
    return set->n == 0;
}

uint64_t rangeset_count(const struct rangeset *set)
{
    uint64_t count = 0;
    for (size_t i = 0; i < set->n; i++)
        count += (uint64_t)set->ranges[i].last - set->ranges[i].first + 1;
    return count;
}

bool rangeset_next(const struct rangeset *set, uint32_t from, uint32_t *index)
{
    size_t at = rangeset_find(set, from);
    if (at == set->n)
        return false;
    *index = set->ranges[at].first > from ? set->ranges[at].first : from;
    return true;
}
