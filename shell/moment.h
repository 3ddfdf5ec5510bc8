/* Moments of a replay as people write and read them: local time. */
#ifndef SHELL_MOMENT_H
#define SHELL_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

enum { MOMENT_TEXT_MAX = 32 };

/* "end", RFC 3339, "11-28 20:15:04", "20:15", "20:15:04.250" (of the day, the year of `at_ms`),
 * "+10s" and "-10s" from `at_ms`, "10m" before `last_ms`. ERR_INVALID otherwise, `out` untouched.
 */
int moment_parse(const char *text, int64_t at_ms, int64_t last_ms, int64_t *out);

/* "11-28 20:15:04.250", which moment_parse() reads. Returns `out`. */
const char *moment_format(int64_t at_ms, char out[static MOMENT_TEXT_MAX]);

/* When an event or a message was, by its "at"; with `is_short` the time of day alone, "20:15:04".
 * "" when it says none. */
const char *moment_of(const json_t *object, bool is_short, char out[static MOMENT_TEXT_MAX]);

#endif
