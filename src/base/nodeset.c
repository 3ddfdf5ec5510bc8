/* Happy path: the text is a list of terms; each term's items are written out as names, joined by
 * '&', and then put into or taken from what the terms before it left. A copy takes the changes, so
 * a failure leaves the set as it was: wrong form, a group nobody knows, too many names. */
#include "base/nodeset.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

enum { NODESET_GROUP_MAX = 255 /* bytes of a group's name */ };

static bool nodeset_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t nodeset_digits(const char *s)
{
    size_t n = 0;
    while (nodeset_is_digit(s[n]))
        n++;
    return n;
}

int nodeset_compare_names(const char *a, const char *b)
{
    const char *left = a;
    const char *right = b;
    int tie = 0; /* what decides when all numbers have the same value: fewer zeros in front */
    while (*left != '\0' && *right != '\0') {
        if (!nodeset_is_digit(*left) || !nodeset_is_digit(*right)) {
            if (*left != *right)
                return (unsigned char)*left < (unsigned char)*right ? -1 : 1;
            left++;
            right++;
            continue;
        }
        size_t left_zeros = strspn(left, "0");
        size_t right_zeros = strspn(right, "0");
        if (tie == 0 && left_zeros != right_zeros)
            tie = left_zeros < right_zeros ? -1 : 1;
        left += left_zeros;
        right += right_zeros;
        size_t left_n = nodeset_digits(left);
        size_t right_n = nodeset_digits(right);
        int order = left_n != right_n ? (left_n < right_n ? -1 : 1) : memcmp(left, right, left_n);
        if (order != 0)
            return order;
        left += left_n;
        right += right_n;
    }
    if (*left != *right)
        return *left == '\0' ? -1 : 1;
    return tie;
}

void nodeset_init(struct nodeset *set)
{
    *set = (struct nodeset){0};
}

void nodeset_done(struct nodeset *set)
{
    for (size_t i = 0; i < set->n; i++)
        free(set->names[i]);
    free(set->names);
    nodeset_init(set);
}

/* Position of the first of `n` ordered names at or behind `name`. */
static size_t nodeset_find(char *const *names, size_t n, const char *name)
{
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (nodeset_compare_names(names[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool nodeset_is_at(const struct nodeset *set, size_t at, const char *name)
{
    return at < set->n && strcmp(set->names[at], name) == 0;
}

bool nodeset_contains(const struct nodeset *set, const char *name)
{
    return nodeset_is_at(set, nodeset_find(set->names, set->n, name), name);
}

void nodeset_add(struct nodeset *set, const char *name)
{
    size_t at = nodeset_find(set->names, set->n, name);
    if (nodeset_is_at(set, at, name))
        return;
    MEM_GROW(set->names, set->cap, set->n + 1);
    memmove(set->names + at + 1, set->names + at, (set->n - at) * sizeof *set->names);
    set->names[at] = mem_strdup(name);
    set->n++;
}

/* Moves the names of `from`, which is empty then, into `set`. From the back, each block of names
 * moves once. */
static void nodeset_unite(struct nodeset *set, struct nodeset *from)
{
    size_t fresh = 0;
    for (size_t i = 0; i < from->n; i++) {
        if (nodeset_contains(set, from->names[i]))
            free(from->names[i]);
        else
            from->names[fresh++] = from->names[i];
    }
    from->n = 0;
    MEM_GROW(set->names, set->cap, set->n + fresh);
    size_t end = set->n;
    set->n += fresh;
    while (fresh-- > 0) {
        size_t at = nodeset_find(set->names, end, from->names[fresh]);
        memmove(set->names + at + fresh + 1, set->names + at, (end - at) * sizeof *set->names);
        set->names[at + fresh] = from->names[fresh];
        end = at;
    }
}

static void nodeset_intersect(struct nodeset *set, const struct nodeset *with)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->n; i++) {
        if (nodeset_contains(with, set->names[i]))
            set->names[kept++] = set->names[i];
        else
            free(set->names[i]);
    }
    set->n = kept;
}

static void nodeset_subtract(struct nodeset *set, const struct nodeset *from)
{
    for (size_t i = 0; i < from->n; i++) {
        size_t at = nodeset_find(set->names, set->n, from->names[i]);
        if (!nodeset_is_at(set, at, from->names[i]))
            continue;
        free(set->names[at]);
        memmove(set->names + at, set->names + at + 1, (set->n - at - 1) * sizeof *set->names);
        set->n--;
    }
}

/* Names in the order they were written out: the members of one pattern, not yet a set. */
struct nodeset_list {
    char **names;
    size_t n;
    size_t cap;
};

static void nodeset_list_done(struct nodeset_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct nodeset_list){0};
}

struct nodeset_parser {
    const char *text;
    const char *at;
    size_t left; /* names that may still be written out */
    nodeset_resolve_fn resolve;
    void *arg;
    struct error *e;
};

static int nodeset_fail(const struct nodeset_parser *p, int code, const char *why)
{
    char *text = str_printable(p->text, strnlen(p->text, 200), false);
    (void)error_set(p->e, code, "node set \"%s\": %s at byte %zu", text, why,
                    (size_t)(p->at - p->text) + 1);
    free(text);
    return code;
}

static int nodeset_too_many(const struct nodeset_parser *p)
{
    return error_set(p->e, ERR_TOO_LARGE, "node set names more than %d nodes", NODESET_NAMES_MAX);
}

static void nodeset_skip_blanks(struct nodeset_parser *p)
{
    while (*p->at == ' ' || *p->at == '\t')
        p->at++;
}

/* Reads the number at p->at; `width` is its length when it is padded with zeros, else 0. */
static int nodeset_read_number(struct nodeset_parser *p, uint32_t *value, int *width)
{
    size_t n = nodeset_digits(p->at);
    if (n == 0 || n > NODESET_DIGITS_MAX)
        return nodeset_fail(p, ERR_INVALID,
                            n == 0 ? "a number is missing" : "a number has more than 9 digits");
    *width = n > 1 && *p->at == '0' ? (int)n : 0;
    *value = 0;
    for (; n > 0; n--)
        *value = *value * 10 + (uint32_t)(*p->at++ - '0');
    return 0;
}

/* Appends prefix + each number of [first, last] to `out` for each prefix in `prefixes`. */
static void nodeset_multiply(const struct nodeset_list *prefixes, uint32_t first, uint32_t last,
                             int width, struct nodeset_list *out)
{
    MEM_GROW(out->names, out->cap, out->n + prefixes->n * ((size_t)last - first + 1));
    for (size_t i = 0; i < prefixes->n; i++) {
        for (uint32_t number = first; number <= last; number++)
            out->names[out->n++] = mem_printf("%s%0*u", prefixes->names[i], width, number);
    }
}

/* "[1-3,7]" at p->at: each name of `list` becomes one for each number. */
static int nodeset_read_bracket(struct nodeset_parser *p, struct nodeset_list *list)
{
    struct nodeset_list product = {0};
    int err;
    do {
        uint32_t first;
        uint32_t last;
        int width;
        int last_width;
        p->at++;
        err = nodeset_read_number(p, &first, &width);
        last = first;
        if (err == 0 && *p->at == '-') {
            p->at++;
            err = nodeset_read_number(p, &last, &last_width);
            if (err == 0 && last < first)
                err = nodeset_fail(p, ERR_INVALID, "a range runs backwards");
        }
        if (err == 0 && *p->at != ',' && *p->at != ']')
            err = nodeset_fail(p, ERR_INVALID, "a bracket is not closed");
        if (err == 0 && ((uint64_t)last - first + 1) * list->n > p->left - product.n)
            err = nodeset_too_many(p);
        if (err == 0)
            nodeset_multiply(list, first, last, width, &product);
    } while (err == 0 && *p->at == ',');
    nodeset_list_done(list);
    *list = product;
    if (err == 0)
        p->at++;
    return err;
}

static void nodeset_append_literal(struct nodeset_list *list, const char *text, size_t len)
{
    for (size_t i = 0; i < list->n; i++) {
        size_t n = strlen(list->names[i]);
        list->names[i] = mem_realloc(list->names[i], n + len + 1);
        memcpy(list->names[i] + n, text, len);
        list->names[i][n + len] = '\0';
    }
}

/* "node[1-3].rack[01-04]" at p->at, written out into `set`. */
static int nodeset_read_pattern(struct nodeset_parser *p, struct nodeset *set)
{
    struct nodeset_list list = {0};
    MEM_GROW(list.names, list.cap, 1);
    list.names[list.n++] = mem_strdup("");
    int err = p->left == 0 ? nodeset_too_many(p) : 0;
    for (unsigned brackets = 0; err == 0;) {
        size_t len = strcspn(p->at, "[]@,!& \t");
        if (len > NODESET_NAME_MAX) {
            err = nodeset_fail(p, ERR_INVALID, "a name is too long");
        } else if (len > 0) {
            nodeset_append_literal(&list, p->at, len);
            p->at += len;
        } else if (*p->at == '[' && brackets++ < NODESET_BRACKETS_MAX) {
            err = nodeset_read_bracket(p, &list);
        } else {
            break;
        }
    }
    if (err == 0 && *p->at != '\0' && strchr("[]@", *p->at) != NULL)
        err = nodeset_fail(p, ERR_INVALID,
                           *p->at == '[' ? "a pattern has more than 4 brackets"
                                         : "a character does not belong");
    for (size_t i = 0; i < list.n && err == 0; i++) {
        if (!str_is_name(list.names[i], NODESET_NAME_MAX))
            err = nodeset_fail(p, ERR_INVALID, "no valid node name ends");
        else
            nodeset_add(set, list.names[i]);
    }
    p->left -= err == 0 ? list.n : 0;
    nodeset_list_done(&list);
    return err;
}

static int nodeset_read_group(struct nodeset_parser *p, struct nodeset *set)
{
    const char *start = ++p->at;
    size_t len = strcspn(start, "[]@,!& \t");
    if (len == 0 || len > NODESET_GROUP_MAX)
        return nodeset_fail(p, ERR_INVALID, "@ wants the name of a group");
    if (p->resolve == NULL)
        return nodeset_fail(p, ERR_INVALID, "groups are not known here, but one is named");
    char name[NODESET_GROUP_MAX + 1];
    memcpy(name, start, len);
    name[len] = '\0';
    int err = p->resolve(p->arg, name, set);
    if (err == ERR_NOT_FOUND)
        return nodeset_fail(p, err, "there is no such group");
    if (err < 0)
        return nodeset_fail(p, err, err_text(err));
    p->at += len;
    if (set->n > p->left)
        return nodeset_too_many(p);
    p->left -= set->n;
    return 0;
}

/* item { "&" ["!"] item } */
static int nodeset_read_term(struct nodeset_parser *p, struct nodeset *term)
{
    for (unsigned items = 0;; items++) {
        struct nodeset item;
        nodeset_init(&item);
        nodeset_skip_blanks(p);
        bool take_away = items > 0 && *p->at == '!';
        if (take_away) {
            p->at++;
            nodeset_skip_blanks(p);
        }
        int err = *p->at == '@' ? nodeset_read_group(p, &item) : nodeset_read_pattern(p, &item);
        if (err == 0 && take_away)
            nodeset_subtract(term, &item);
        else if (err == 0 && items > 0)
            nodeset_intersect(term, &item);
        else if (err == 0)
            nodeset_unite(term, &item);
        nodeset_done(&item);
        nodeset_skip_blanks(p);
        if (err < 0 || *p->at != '&')
            return err;
        p->at++;
    }
}

/* ["!"] term { ("," | "!" | ",!") term } */
static int nodeset_read_list(struct nodeset_parser *p, struct nodeset *set)
{
    for (bool first = true;; first = false) {
        nodeset_skip_blanks(p);
        bool take_away = *p->at == '!';
        if (take_away && first && set->n == 0)
            return nodeset_fail(p, ERR_INVALID, "nothing stands left of '!' to take away from");
        p->at += take_away;
        struct nodeset term;
        nodeset_init(&term);
        int err = nodeset_read_term(p, &term);
        if (err == 0 && take_away)
            nodeset_subtract(set, &term);
        else if (err == 0)
            nodeset_unite(set, &term);
        nodeset_done(&term);
        if (err < 0 || *p->at == '\0')
            return err;
        if (*p->at != ',' && *p->at != '!')
            return nodeset_fail(p, ERR_INVALID, "a comma is missing");
        p->at += *p->at == ',';
    }
}

int nodeset_parse(struct nodeset *set, const char *text, nodeset_resolve_fn resolve, void *arg,
                  struct error *e)
{
    struct nodeset_parser p = {.text = text,
                               .at = text,
                               .left = NODESET_NAMES_MAX,
                               .resolve = resolve,
                               .arg = arg,
                               .e = e};
    struct nodeset result;
    nodeset_init(&result);
    MEM_GROW(result.names, result.cap, set->n);
    for (; result.n < set->n; result.n++)
        result.names[result.n] = mem_strdup(set->names[result.n]);
    int err = nodeset_read_list(&p, &result);
    if (err == 0) {
        struct nodeset old = *set;
        *set = result;
        result = old;
    }
    nodeset_done(&result);
    return err;
}
