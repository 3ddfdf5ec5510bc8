/* How a set is written: names are taken apart at their numbers; number by number, from the right,
 * those that are equal everywhere else go into one bracket. It cannot fail. */
#include "base/nodeset.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

struct nodeset_slice {
    const char *s; /* inside a name of the set */
    size_t len;
};

/* One or more names that differ in numbers only: text[0] number[0] text[1] ... text[n]. */
struct nodeset_pattern {
    size_t order; /* position of its first name in the set */
    size_t n;
    struct nodeset_slice text[NODESET_BRACKETS_MAX + 1];
    struct nodeset_slice number[NODESET_BRACKETS_MAX];
    char *bracket[NODESET_BRACKETS_MAX]; /* stands for number[i] when not NULL */
};

static size_t nodeset_digits(const char *s)
{
    return strspn(s, "0123456789");
}

static size_t nodeset_count_numbers(const char *s)
{
    size_t numbers = 0;
    while (*s != '\0') {
        size_t digits = nodeset_digits(s);
        numbers += digits > 0 && digits <= NODESET_DIGITS_MAX;
        s += digits > 0 ? digits : 1;
    }
    return numbers;
}

/* Takes the last NODESET_BRACKETS_MAX numbers out of `name`. */
static void nodeset_split(const char *name, size_t order, struct nodeset_pattern *pattern)
{
    size_t numbers_left = nodeset_count_numbers(name);
    *pattern = (struct nodeset_pattern){.order = order};
    pattern->text[0].s = name;
    for (const char *s = name; *s != '\0';) {
        size_t digits = nodeset_digits(s);
        bool is_number = digits > 0 && digits <= NODESET_DIGITS_MAX;
        if (is_number && numbers_left-- <= NODESET_BRACKETS_MAX) {
            pattern->number[pattern->n++] = (struct nodeset_slice){s, digits};
            pattern->text[pattern->n].s = s + digits;
        } else {
            pattern->text[pattern->n].len += digits > 0 ? digits : 1;
        }
        s += digits > 0 ? digits : 1;
    }
}

static int nodeset_compare_slices(const struct nodeset_slice *a, const struct nodeset_slice *b)
{
    int order = memcmp(a->s, b->s, a->len < b->len ? a->len : b->len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* 0 when the two differ at most in number `skip`. */
static int nodeset_compare_patterns(const struct nodeset_pattern *a,
                                    const struct nodeset_pattern *b, size_t skip)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (size_t i = 0; i <= a->n; i++) {
        int order = nodeset_compare_slices(&a->text[i], &b->text[i]);
        if (order == 0 && i < a->n && i != skip) {
            if (a->bracket[i] != NULL && b->bracket[i] != NULL)
                order = strcmp(a->bracket[i], b->bracket[i]);
            else if (a->bracket[i] != NULL || b->bracket[i] != NULL)
                order = a->bracket[i] != NULL ? 1 : -1;
            else
                order = nodeset_compare_slices(&a->number[i], &b->number[i]);
        }
        if (order != 0)
            return order;
    }
    return 0;
}

static uint32_t nodeset_value(const struct nodeset_slice *number)
{
    uint32_t value = 0;
    for (size_t i = 0; i < number->len; i++)
        value = value * 10 + (uint32_t)(number->s[i] - '0');
    return value;
}

/* Sorts so that patterns that differ in number `skip_right`, counted from the right, lie side by
 * side in that number's order. */
static int nodeset_compare_for_fold(const void *a, const void *b, void *skip_right)
{
    const struct nodeset_pattern *left = a;
    const struct nodeset_pattern *right = b;
    size_t from_right = *(const size_t *)skip_right;
    size_t skip = from_right < left->n ? left->n - 1 - from_right : SIZE_MAX;
    int order = nodeset_compare_patterns(left, right, skip);
    if (order != 0 || skip == SIZE_MAX)
        return order;
    const struct nodeset_slice *x = &left->number[skip];
    const struct nodeset_slice *y = &right->number[skip];
    uint32_t x_value = nodeset_value(x);
    uint32_t y_value = nodeset_value(y);
    if (x_value != y_value)
        return x_value < y_value ? -1 : 1;
    return (x->len > y->len) - (x->len < y->len);
}

static int nodeset_compare_order(const void *a, const void *b)
{
    const struct nodeset_pattern *left = a;
    const struct nodeset_pattern *right = b;
    return (left->order > right->order) - (left->order < right->order);
}

/* Is `next` what follows the member `steps` - 1 places behind `first` in "[first-...]"? */
static bool nodeset_is_next(const struct nodeset_slice *first, size_t steps,
                            const struct nodeset_slice *next)
{
    if (nodeset_value(next) != nodeset_value(first) + steps)
        return false;
    bool padded = first->len > 1 && first->s[0] == '0';
    return padded ? next->len == first->len || (next->len > first->len && next->s[0] != '0')
                  : next->len == 1 || next->s[0] != '0';
}

/* What the bracket holds that stands for number `at` of `n` sorted patterns. */
static char *nodeset_bracket(const struct nodeset_pattern *patterns, size_t n, size_t at)
{
    struct buf b;
    buf_init(&b, n * (NODESET_DIGITS_MAX + 1));
    int err = 0;
    for (size_t i = 0; i < n && err == 0;) {
        const struct nodeset_slice *first = &patterns[i].number[at];
        size_t run = 1;
        while (i + run < n && nodeset_is_next(first, run, &patterns[i + run].number[at]))
            run++;
        const struct nodeset_slice *last = &patterns[i + run - 1].number[at];
        err = buf_printf(&b, "%s%.*s", i > 0 ? "," : "", (int)first->len, first->s);
        if (err == 0 && run > 1)
            err = buf_printf(&b, "-%.*s", (int)last->len, last->s);
        i += run;
    }
    assert(err == 0);
    return buf_steal(&b, NULL);
}

/* Puts patterns that differ in one number only into one; returns how many are left. */
static size_t nodeset_fold_number(struct nodeset_pattern *patterns, size_t n, size_t from_right)
{
    qsort_r(patterns, n, sizeof *patterns, nodeset_compare_for_fold, &from_right);
    size_t kept = 0;
    for (size_t i = 0; i < n;) {
        struct nodeset_pattern first = patterns[i];
        size_t run = 1;
        size_t at = first.n - 1 - from_right;
        if (from_right < first.n) {
            while (i + run < n && nodeset_compare_patterns(&first, &patterns[i + run], at) == 0)
                run++;
        }
        if (run > 1)
            first.bracket[at] = nodeset_bracket(patterns + i, run, at);
        for (size_t j = 1; j < run; j++) {
            for (size_t k = 0; k < NODESET_BRACKETS_MAX; k++)
                free(patterns[i + j].bracket[k]);
        }
        patterns[kept++] = first;
        i += run;
    }
    return kept;
}

static int nodeset_write_pattern(const struct nodeset_pattern *pattern, struct buf *b)
{
    int err = buf_append(b, pattern->text[0].s, pattern->text[0].len);
    for (size_t i = 0; i < pattern->n && err == 0; i++) {
        if (pattern->bracket[i] != NULL)
            err = buf_printf(b, "[%s]", pattern->bracket[i]);
        else
            err = buf_append(b, pattern->number[i].s, pattern->number[i].len);
        if (err == 0)
            err = buf_append(b, pattern->text[i + 1].s, pattern->text[i + 1].len);
    }
    return err;
}

char *nodeset_fold(const struct nodeset *set)
{
    struct nodeset_pattern *patterns = mem_calloc(set->n, sizeof *patterns);
    size_t bytes_max = 0;
    for (size_t i = 0; i < set->n; i++) {
        nodeset_split(set->names[i], i, &patterns[i]);
        bytes_max += strlen(set->names[i]) + 2 * NODESET_BRACKETS_MAX + 1;
    }
    size_t n = set->n;
    for (size_t from_right = 0; from_right < NODESET_BRACKETS_MAX; from_right++)
        n = nodeset_fold_number(patterns, n, from_right);
    qsort(patterns, n, sizeof *patterns, nodeset_compare_order);

    struct buf b;
    buf_init(&b, bytes_max);
    int err = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && err == 0)
            err = buf_append_byte(&b, ',');
        if (err == 0)
            err = nodeset_write_pattern(&patterns[i], &b);
        for (size_t k = 0; k < NODESET_BRACKETS_MAX; k++)
            free(patterns[i].bracket[k]);
    }
    assert(err == 0);
    free(patterns);
    return buf_steal(&b, NULL);
}
