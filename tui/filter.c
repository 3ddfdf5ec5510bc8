#include "tui/filter.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

static const char filter_special[] = ".[]{}()\\*+?|^$";

void filter_init(struct filter *filter)
{
    *filter = (struct filter){0};
    filter->literal = filter->text;
}

void filter_done(struct filter *filter)
{
    if (filter->has_regex)
        regfree(&filter->regex);
    filter_init(filter);
}

/* Bytes are compared, not characters of a locale: glibc's matcher is far faster so, and UTF-8
 * matches itself all the same. */
static locale_t filter_bytes(void)
{
    static locale_t bytes;
    if (bytes == (locale_t)0)
        bytes = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return bytes;
}

static bool filter_has_capital(const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s >= 'A' && *s <= 'Z')
            return true;
    }
    return false;
}

int filter_set(struct filter *filter, const char *text, struct error *e)
{
    struct filter next;
    filter_init(&next);
    if ((size_t)snprintf(next.text, sizeof next.text, "%s", text) >= sizeof next.text)
        return error_set(e, ERR_INVALID, "a filter has at most %d bytes", FILTER_TEXT_MAX - 1);
    next.inverse = next.text[0] == '!';
    const char *pattern = text + next.inverse;
    next.ignores_case = !filter_has_capital(pattern);
    next.has_regex = strpbrk(pattern, filter_special) != NULL;
    if (next.has_regex) {
        int flags = REG_EXTENDED | REG_NOSUB | (next.ignores_case ? REG_ICASE : 0);
        locale_t before = uselocale(filter_bytes());
        int rc = regcomp(&next.regex, pattern, flags);
        (void)uselocale(before);
        if (rc != 0) {
            char why[128];
            (void)regerror(rc, &next.regex, why, sizeof why);
            return error_set(e, ERR_INVALID, "no regular expression: %s", why);
        }
    }
    filter_done(filter);
    *filter = next;
    filter->literal = filter->text + filter->inverse;
    return 0;
}

bool filter_is_on(const struct filter *filter)
{
    return filter->literal[0] != '\0';
}

bool filter_takes(const struct filter *filter, const char *s)
{
    bool found;
    if (!filter_is_on(filter))
        return true;
    if (filter->has_regex) {
        locale_t before = uselocale(filter_bytes());
        found = regexec(&filter->regex, s, 0, NULL, 0) == 0;
        (void)uselocale(before);
    } else if (filter->ignores_case) {
        found = strcasestr(s, filter->literal) != NULL;
    } else {
        found = strstr(s, filter->literal) != NULL;
    }
    return found != filter->inverse;
}
