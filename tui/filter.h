/* What `/` asks for: an extended regular expression, or with '!' in front what doesn't match it.
 * Letters match either case unless the pattern has a capital. A pattern without special characters
 * is searched as the text it is, which is many times faster. */
#ifndef TUI_FILTER_H
#define TUI_FILTER_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { FILTER_TEXT_MAX = 256 };

struct filter {
    char text[FILTER_TEXT_MAX]; /* as typed; "" lets everything through */
    bool inverse;
    bool has_regex;
    bool ignores_case;
    const char *literal; /* within text; when it has no regex */
    regex_t regex;
};

/* Begins empty. */
void filter_init(struct filter *filter);
void filter_done(struct filter *filter);
/* ERR_INVALID and the reason for what is no regular expression; the filter stays as it was. */
int filter_set(struct filter *filter, const char *text, struct error *e);
bool filter_is_on(const struct filter *filter);
bool filter_takes(const struct filter *filter, const char *s);

#endif
