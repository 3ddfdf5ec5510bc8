/* Sets of elements. A job's elements are ranges of indices; ordinals count them through. */
#include <assert.h>

#include "core/sched_internal.h"

/* Position of the range of the job's elements that holds `ordinal`. */
static size_t sched_set_find(const struct sched_job *job, uint32_t ordinal)
{
    assert(ordinal < job->total);
    size_t low = 0;
    size_t high = job->elements.n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (job->base[middle] <= ordinal)
            low = middle;
        else
            high = middle;
    }
    return low;
}

uint32_t sched_set_index(const struct sched_job *job, uint32_t ordinal)
{
    size_t at = sched_set_find(job, ordinal);
    return job->elements.ranges[at].first + (ordinal - job->base[at]);
}

bool sched_set_ordinal(const struct sched_job *job, uint32_t index, uint32_t *ordinal)
{
    size_t low = 0;
    size_t high = job->elements.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (job->elements.ranges[middle].last < index)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == job->elements.n || job->elements.ranges[low].first > index)
        return false;
    *ordinal = job->base[low] + (index - job->elements.ranges[low].first);
    return true;
}

void sched_set_append(struct rangeset *set, uint32_t first, uint32_t last)
{
    assert(first <= last);
    struct rangeset_range *end = set->n > 0 ? &set->ranges[set->n - 1] : NULL;
    assert(end == NULL || end->last < first);
    if (end != NULL && end->last + 1 == first) {
        end->last = last;
        return;
    }
    MEM_GROW(set->ranges, set->cap, set->n + 1);
    set->ranges[set->n++] = (struct rangeset_range){first, last};
}

bool sched_set_ordinals(const struct sched_job *job, const struct rangeset *indices,
                        struct rangeset *ordinals)
{
    assert(ordinals->n == 0);
    const struct rangeset_range *have = job->elements.ranges;
    size_t at = 0;
    for (size_t i = 0; i < indices->n; i++) {
        uint32_t first = indices->ranges[i].first;
        uint32_t last = indices->ranges[i].last;
        for (;;) {
            while (at < job->elements.n && have[at].last < first)
                at++;
            if (at == job->elements.n || have[at].first > first)
                return false;
            uint32_t end = have[at].last < last ? have[at].last : last;
            sched_set_append(ordinals, job->base[at] + (first - have[at].first),
                             job->base[at] + (end - have[at].first));
            if (end == last)
                break;
            first = end + 1;
        }
    }
    return true;
}

void sched_set_indices(const struct sched_job *job, const struct rangeset *ordinals,
                       struct rangeset *indices)
{
    assert(indices->n == 0);
    for (size_t i = 0; i < ordinals->n; i++) {
        uint32_t first = ordinals->ranges[i].first;
        uint32_t left = ordinals->ranges[i].last - first + 1;
        for (size_t at = sched_set_find(job, first); left > 0; at++) {
            const struct rangeset_range *have = &job->elements.ranges[at];
            uint32_t start = have->first + (first - job->base[at]);
            uint32_t count = have->last - start + 1;
            if (count > left)
                count = left;
            sched_set_append(indices, start, start + count - 1);
            first += count;
            left -= count;
        }
    }
}

void sched_set_subtract(struct rangeset *set, const struct rangeset *other)
{
    struct rangeset rest;
    rangeset_init(&rest);
    size_t at = 0;
    for (size_t i = 0; i < set->n; i++) {
        uint64_t first = set->ranges[i].first;
        uint64_t last = set->ranges[i].last;
        while (at < other->n && other->ranges[at].last < first)
            at++;
        for (size_t k = at; k < other->n && other->ranges[k].first <= last && first <= last; k++) {
            if (other->ranges[k].first > first)
                sched_set_append(&rest, (uint32_t)first, other->ranges[k].first - 1);
            first = (uint64_t)other->ranges[k].last + 1;
        }
        if (first <= last)
            sched_set_append(&rest, (uint32_t)first, (uint32_t)last);
    }
    rangeset_done(set);
    *set = rest;
}

void sched_set_unite(struct rangeset *set, const struct rangeset *other)
{
    struct rangeset sum;
    rangeset_init(&sum);
    size_t a = 0;
    size_t b = 0;
    while (a < set->n || b < other->n) {
        bool left = b == other->n || (a < set->n && set->ranges[a].first <= other->ranges[b].first);
        struct rangeset_range next = left ? set->ranges[a++] : other->ranges[b++];
        struct rangeset_range *end = sum.n > 0 ? &sum.ranges[sum.n - 1] : NULL;
        if (end == NULL || next.first > end->last)
            sched_set_append(&sum, next.first, next.last);
        else if (next.last > end->last)
            end->last = next.last;
    }
    rangeset_done(set);
    *set = sum;
}
