/* Positions of matches stand in a ring that grows at both ends: the front goes back in time, the
 * back forth. A slice looks at what came since, then at what was not yet looked at before.
 *
 * glibc matches bytes several times as fast as characters, so a pattern of ASCII alone is compiled
 * and run in the C locale; there a dot is one byte of a longer character. A piece of the pattern
 * that every match must contain is looked for first. */
#include "tui/model_filter.h"

#include <assert.h>
#include <ctype.h>
#include <locale.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

enum { MODEL_FILTER_PATTERN_MAX = 1024, MODEL_FILTER_PIECE_MAX = 128, MODEL_FILTER_KINDS_MAX = 64 };

enum model_filter_known { MODEL_FILTER_UNKNOWN, MODEL_FILTER_YES, MODEL_FILTER_NO };

struct model_filter {
    const struct model_lines *lines;
    uint64_t generation;
    bool has_pattern, invert, has_empty;
    regex_t regex;
    locale_t locale; /* 0: as the program's */
    char piece[MODEL_FILTER_PIECE_MAX];
    size_t piece_len;
    enum model_level level_min;
    char *kinds[MODEL_FILTER_KINDS_MAX];
    size_t n_kinds;
    bool has_sources;
    struct nodeset sources;
    uint8_t *kind_known, *source_known; /* by id */
    size_t n_kind_known, n_source_known;

    uint64_t low, high; /* positions low <= pos < high have been looked at */
    uint64_t *found;    /* ring */
    size_t cap, first, n;
    uint64_t work;
};

/* The pattern */

/* A run of plain characters outside of anything optional or alternative. Gives up on what is not
 * simple. */
static void model_filter_find_piece(struct model_filter *filter, const char *pattern)
{
    static const char special[] = ".[]()*+?{}|^$\\";
    size_t best = 0, best_len = 0, begin = 0, len = 0;
    if (strpbrk(pattern, "|()[]{}\\") != NULL)
        return;
    for (size_t i = 0;; i++) {
        char c = pattern[i];
        bool is_plain = c != '\0' && strchr(special, c) == NULL;
        if (is_plain) {
            begin = len == 0 ? i : begin;
            len++;
            continue;
        }
        if ((c == '*' || c == '?') && len > 0)
            len--;
        if (len > best_len) {
            best = begin;
            best_len = len;
        }
        len = 0;
        if (c == '\0')
            break;
    }
    if (best_len < sizeof filter->piece) {
        memcpy(filter->piece, pattern + best, best_len);
        filter->piece_len = best_len;
    }
}

static int model_filter_compile(struct model_filter *filter, const struct model_filter_spec *spec,
                                struct error *e)
{
    bool is_ascii = true;
    size_t len = strlen(spec->pattern);
    if (len > MODEL_FILTER_PATTERN_MAX)
        return error_set(e, ERR_INVALID, "the pattern is longer than %d bytes",
                         MODEL_FILTER_PATTERN_MAX);
    for (size_t i = 0; i < len; i++)
        is_ascii = is_ascii && (spec->pattern[i] & 0x80) == 0;
    if (is_ascii)
        filter->locale = newlocale(LC_ALL_MASK, "C", NULL);
    locale_t before = filter->locale != NULL ? uselocale(filter->locale) : NULL;
    int rc =
        regcomp(&filter->regex, spec->pattern, REG_EXTENDED | (spec->ignore_case ? REG_ICASE : 0));
    if (before != NULL)
        (void)uselocale(before);
    if (rc != 0) {
        char reason[128];
        (void)regerror(rc, &filter->regex, reason, sizeof reason);
        char *shown = str_printable(spec->pattern, len, false);
        error_set(e, ERR_INVALID, "\"%s\" is no regular expression: %s", shown, reason);
        free(shown);
        return ERR_INVALID;
    }
    filter->has_pattern = true;
    if (!spec->ignore_case)
        model_filter_find_piece(filter, spec->pattern);
    return 0;
}

static bool model_filter_regex(const struct model_filter *filter, const char *text,
                               regmatch_t match[1])
{
    locale_t before = filter->locale != NULL ? uselocale(filter->locale) : NULL;
    bool found = regexec(&filter->regex, text, match != NULL, match, 0) == 0;
    if (before != NULL)
        (void)uselocale(before);
    return found;
}

bool model_filter_match(const struct model_filter *filter, const char *text, size_t *begin,
                        size_t *end)
{
    regmatch_t match[1];
    if (!filter->has_pattern || filter->invert || !model_filter_regex(filter, text, match))
        return false;
    *begin = (size_t)match[0].rm_so;
    *end = (size_t)match[0].rm_eo;
    return true;
}

/* Kinds and sources */

static int model_filter_set_kinds(struct model_filter *filter, const char *kinds, struct error *e)
{
    for (const char *at = kinds; *at != '\0';) {
        size_t len = strcspn(at, ", ");
        if (len > 0 && filter->n_kinds == MODEL_FILTER_KINDS_MAX)
            return error_set(e, ERR_INVALID, "more than %d kinds", MODEL_FILTER_KINDS_MAX);
        if (len > 0)
            filter->kinds[filter->n_kinds++] = mem_strndup(at, len);
        at += len + (at[len] != '\0');
    }
    return 0;
}

/* The last that fits decides; a list that begins with "!x" begins with all. */
static bool model_filter_wants_kind(const struct model_filter *filter, const char *kind)
{
    bool wants = filter->n_kinds == 0 || filter->kinds[0][0] == '!';
    for (size_t i = 0; i < filter->n_kinds; i++) {
        bool is_not = filter->kinds[i][0] == '!';
        if (str_glob(filter->kinds[i] + is_not, kind))
            wants = !is_not;
    }
    return wants;
}

static uint8_t *model_filter_known(uint8_t **known, size_t *n, size_t id)
{
    if (id >= *n) {
        size_t want = (id + 64) & ~(size_t)63;
        *known = mem_realloc(*known, want);
        memset(*known + *n, MODEL_FILTER_UNKNOWN, want - *n);
        *n = want;
    }
    return &(*known)[id];
}

static bool model_filter_takes_kind(struct model_filter *filter, uint16_t id)
{
    uint8_t *known = model_filter_known(&filter->kind_known, &filter->n_kind_known, id);
    if (*known == MODEL_FILTER_UNKNOWN)
        *known = model_filter_wants_kind(filter, model_lines_kind(filter->lines, id))
                     ? MODEL_FILTER_YES
                     : MODEL_FILTER_NO;
    return *known == MODEL_FILTER_YES;
}

static bool model_filter_takes_source(struct model_filter *filter, uint16_t id)
{
    uint8_t *known = model_filter_known(&filter->source_known, &filter->n_source_known, id);
    if (*known == MODEL_FILTER_UNKNOWN)
        *known = nodeset_contains(&filter->sources, model_lines_source(filter->lines, id))
                     ? MODEL_FILTER_YES
                     : MODEL_FILTER_NO;
    return *known == MODEL_FILTER_YES;
}

/* The text last: the rest is at hand without it. */
static bool model_filter_takes(struct model_filter *filter, uint64_t pos)
{
    struct model_line_head head = model_lines_head(filter->lines, pos);
    size_t len;
    if (head.level < filter->level_min ||
        (!filter->has_empty && model_lines_is_silent(filter->lines, pos)))
        return false;
    if (filter->n_kinds > 0 && !model_filter_takes_kind(filter, head.kind_id))
        return false;
    if (filter->has_sources && !model_filter_takes_source(filter, head.source_id))
        return false;
    if (!filter->has_pattern)
        return true;
    const char *whole = model_lines_whole(filter->lines, pos, &len);
    if (filter->piece_len > 0 && memmem(whole, len, filter->piece, filter->piece_len) == NULL)
        return filter->invert;
    filter->work++;
    return (regexec(&filter->regex, whole, 0, NULL, 0) == 0) != filter->invert;
}

/* Life */

int model_filter_new(const struct model_lines *lines, const struct model_filter_spec *spec,
                     struct model_filter **filter, struct error *e)
{
    struct model_filter *made = mem_zalloc(sizeof *made);
    int rc = 0;
    made->invert = spec->invert && spec->pattern != NULL;
    made->has_empty = spec->empty_lines;
    made->level_min = spec->level_min;
    nodeset_init(&made->sources);
    made->has_sources = spec->sources != NULL;
    for (size_t i = 0; spec->sources != NULL && i < spec->sources->n; i++)
        nodeset_add(&made->sources, spec->sources->names[i]);
    if (spec->kinds != NULL)
        rc = model_filter_set_kinds(made, spec->kinds, e);
    if (rc == 0 && spec->pattern != NULL && spec->pattern[0] != '\0')
        rc = model_filter_compile(made, spec, e);
    if (rc != 0) {
        model_filter_free(made);
        return rc;
    }
    model_filter_reset(made, lines);
    *filter = made;
    return 0;
}

void model_filter_free(struct model_filter *filter)
{
    if (filter == NULL)
        return;
    if (filter->has_pattern)
        regfree(&filter->regex);
    if (filter->locale != NULL)
        freelocale(filter->locale);
    for (size_t i = 0; i < filter->n_kinds; i++)
        free(filter->kinds[i]);
    nodeset_done(&filter->sources);
    free(filter->kind_known);
    free(filter->source_known);
    free(filter->found);
    free(filter);
}

void model_filter_reset(struct model_filter *filter, const struct model_lines *lines)
{
    if (filter->lines != lines) { /* ids are the list's own */
        filter->n_kind_known = filter->n_source_known = 0;
    }
    filter->lines = lines;
    filter->generation = model_lines_generation(lines);
    filter->low = filter->high = model_lines_end(lines);
    filter->n = filter->first = 0;
}

/* Looking */

static void model_filter_push(struct model_filter *filter, uint64_t pos, bool in_front)
{
    if (filter->n == filter->cap) {
        size_t cap = filter->cap > 0 ? filter->cap * 2 : 64;
        uint64_t *found = mem_calloc(cap, sizeof *found);
        for (size_t i = 0; i < filter->n; i++)
            found[i] = filter->found[(filter->first + i) & (filter->cap - 1)];
        free(filter->found);
        filter->found = found;
        filter->cap = cap;
        filter->first = 0;
    }
    if (in_front)
        filter->first = (filter->first - 1) & (filter->cap - 1);
    size_t at = in_front ? filter->first : filter->first + filter->n;
    filter->found[at & (filter->cap - 1)] = pos;
    filter->n++;
}

static void model_filter_forget(struct model_filter *filter)
{
    uint64_t first = model_lines_first(filter->lines);
    if (filter->low < first)
        filter->low = first;
    if (filter->high < first)
        filter->high = first;
    while (filter->n > 0 && filter->found[filter->first] < first) {
        filter->first = (filter->first + 1) & (filter->cap - 1);
        filter->n--;
    }
}

static void model_filter_slice(struct model_filter *filter)
{
    uint64_t first = model_lines_first(filter->lines), end = model_lines_end(filter->lines);
    size_t left = MODEL_FILTER_SLICE;
    for (; left > 0 && filter->high < end; left--, filter->high++)
        if (model_filter_takes(filter, filter->high))
            model_filter_push(filter, filter->high, false);
    for (; left > 0 && filter->low > first; left--)
        if (model_filter_takes(filter, --filter->low))
            model_filter_push(filter, filter->low, true);
}

bool model_filter_run(struct model_filter *filter, int64_t budget_us)
{
    if (filter->generation != model_lines_generation(filter->lines))
        model_filter_reset(filter, filter->lines);
    model_filter_forget(filter);
    int64_t until_us = clock_mono_us() + budget_us;
    locale_t before = filter->locale != NULL ? uselocale(filter->locale) : NULL;
    bool is_done;
    do {
        model_filter_slice(filter);
        is_done = filter->low == model_lines_first(filter->lines) &&
                  filter->high == model_lines_end(filter->lines);
    } while (!is_done && budget_us > 0 && clock_mono_us() < until_us);
    if (before != NULL)
        (void)uselocale(before);
    return is_done;
}

size_t model_filter_count(const struct model_filter *filter)
{
    return filter->n;
}

uint64_t model_filter_at(const struct model_filter *filter, size_t i)
{
    assert(i < filter->n);
    return filter->found[(filter->first + i) & (filter->cap - 1)];
}

size_t model_filter_find(const struct model_filter *filter, uint64_t pos)
{
    size_t low = 0, high = filter->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (model_filter_at(filter, middle) < pos)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void model_filter_progress(const struct model_filter *filter, size_t *looked_at, size_t *all)
{
    *looked_at = (size_t)(filter->high - filter->low);
    *all = (size_t)(model_lines_end(filter->lines) - model_lines_first(filter->lines));
}

uint64_t model_filter_work(const struct model_filter *filter)
{
    return filter->work;
}
