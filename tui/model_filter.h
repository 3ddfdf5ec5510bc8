/* Which lines of a list a person wants to see, kept up while more come.
 *
 * The work is cut into slices: the newest lines first, so that the screen is right at once, then
 * back to the oldest, and whatever comes meanwhile. Nothing is looked at twice. */
#ifndef TUI_MODEL_FILTER_H
#define TUI_MODEL_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/nodeset.h"
#include "tui/model_lines.h"

struct model_filter_spec {
    const char *pattern; /* extended regular expression over "SOURCE KIND TEXT"; NULL: every line */
    bool invert;         /* those that don't match the pattern */
    bool ignore_case;
    bool empty_lines; /* also lines without a text: those of output, not of events */
    enum model_level level_min;
    const char *kinds; /* "job.*,raft.*": wildcards, commas; "!x" takes away; NULL: all */
    const struct nodeset *sources; /* NULL: all; copied */
};

struct model_filter;

/* `lines` outlives the filter. ERR_INVALID and what is wrong with the pattern in `e`. The text is
 * safe to show. */
int model_filter_new(const struct model_lines *lines, const struct model_filter_spec *spec,
                     struct model_filter **filter, struct error *e);
void model_filter_free(struct model_filter *filter);

/* Looks at lines for about `budget_us` (0: a single slice of MODEL_FILTER_SLICE lines) and forgets
 * those that the list dropped. True when every line has been looked at. */
enum { MODEL_FILTER_SLICE = 1024 };
bool model_filter_run(struct model_filter *filter, int64_t budget_us);
/* The same over another list, or over this one from its beginning. */
void model_filter_reset(struct model_filter *filter, const struct model_lines *lines);

/* Matches found so far, ascending: position of the i-th, i < count. Indexes change with every
 * run; positions stay. */
size_t model_filter_count(const struct model_filter *filter);
uint64_t model_filter_at(const struct model_filter *filter, size_t i);
/* Index of the first match at or after `pos`; count when there is none. */
size_t model_filter_find(const struct model_filter *filter, uint64_t pos);
/* Lines looked at so far, out of those there are. */
void model_filter_progress(const struct model_filter *filter, size_t *looked_at, size_t *all);
/* Regular expressions run so far; for tests. */
uint64_t model_filter_work(const struct model_filter *filter);

/* Where the pattern stands in `text`: false when it doesn't, or there is none. For highlighting. */
bool model_filter_match(const struct model_filter *filter, const char *text, size_t *begin,
                        size_t *end);

#endif
