/* Clocks and how times are written. Monotonic for intervals and deadlines, wall for what people
 * read. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

enum { CLOCK_RFC3339_MAX = 32 };

int64_t clock_mono_us(void);
int64_t clock_mono_ms(void);
int64_t clock_wall_ms(void); /* since the epoch, UTC */

/* Writes "2026-11-20T20:15:04.123Z" into `out` and returns it. Times before the year 0 or after
 * 9999 are written as the first or last that the form can hold. */
const char *clock_format_rfc3339(int64_t wall_ms, char out[static CLOCK_RFC3339_MAX]);

/* Parses RFC 3339 with any offset and up to nine fraction digits (kept to the millisecond). A
 * leap second is the first of the next minute. ERR_INVALID otherwise, `wall_ms` untouched. */
int clock_parse_rfc3339(const char *s, int64_t *wall_ms);

/* The same of `len` bytes; 0 for what is none. */
int64_t clock_rfc3339_ms(const char *text, size_t len);

/* What people give for a moment: RFC 3339, or a duration ("10m") back from `now_ms`. ERR_INVALID
 * otherwise, `wall_ms` untouched. */
int clock_parse_moment(const char *s, int64_t now_ms, int64_t *wall_ms);

#endif
