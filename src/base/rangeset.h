/* A set of indices kept as ordered ranges: the elements of a job array.
 *
 * Text form: "0-99", "1,3,5-9", with a step "0-98:2". A million consecutive elements cost one
 * range. */
#ifndef BASE_RANGESET_H
#define BASE_RANGESET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rangeset_range {
    uint32_t first;
    uint32_t last; /* inclusive */
};

struct rangeset {
    struct rangeset_range *ranges; /* ascending, disjoint, not adjacent */
    size_t n;
    size_t cap;
};

void rangeset_init(struct rangeset *set);
void rangeset_done(struct rangeset *set);
void rangeset_copy(struct rangeset *to, const struct rangeset *from); /* `to` is initialised */

/* Adds the elements of `text`; fails with ERR_INVALID on a wrong form, ERR_TOO_LARGE when the set
 * would hold more than `count_max` elements or an index above `index_max`, or when the items with a
 * step name more than `count_max`. A failure leaves the set as it was. */
int rangeset_parse(struct rangeset *set, const char *text, uint32_t index_max, uint64_t count_max);
/* malloc'ed text form ("" when empty), which rangeset_parse reads back as the same set */
char *rangeset_format(const struct rangeset *set);

/* first <= last */
void rangeset_add(struct rangeset *set, uint32_t first, uint32_t last);
void rangeset_remove(struct rangeset *set, uint32_t first, uint32_t last);
bool rangeset_contains(const struct rangeset *set, uint32_t index);
bool rangeset_is_empty(const struct rangeset *set);
uint64_t rangeset_count(const struct rangeset *set);
/* Least element >= from; false when there is none. */
bool rangeset_next(const struct rangeset *set, uint32_t from, uint32_t *index);

#endif
