/* Strings, numbers, durations, sizes: parsing what people write and writing what they read. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool str_starts_with(const char *s, const char *prefix);
bool str_ends_with(const char *s, const char *suffix);

/* Decimal, whole string, within [min, max]; else ERR_INVALID and `out` untouched. */
int str_parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out);
int str_parse_i64(const char *s, int64_t min, int64_t max, int64_t *out);

/* "250ms", "10s", "1.5h", "1h30m", "2d"; larger units first, each once. A bare number counts
 * seconds. Less than a millisecond is dropped. ERR_INVALID otherwise, `ms` untouched. */
int str_parse_duration_ms(const char *s, int64_t *ms);
/* "4096", "64K", "1.5M", "2 GiB", "1TB" (powers of 1024, an optional "B" or "iB" behind, in
 * either case). ERR_INVALID otherwise, `bytes` untouched. */
int str_parse_bytes(const char *s, uint64_t *bytes);

enum { STR_SHORT_MAX = 32 };
/* "250ms", "12.3s", "4m05s", "3h12m", "2d04h", rounded down */
const char *str_format_duration(int64_t ms, char out[static STR_SHORT_MAX]);
/* The same in whole seconds at least, for what goes on: "0s", "12s", "4m05s". Negative is 0. */
const char *str_format_age(int64_t ms, char out[static STR_SHORT_MAX]);
/* "17 B", "1.2 KiB", "3.4 GiB", rounded to the nearest */
const char *str_format_bytes(uint64_t bytes, char out[static STR_SHORT_MAX]);

/* Letters, digits, '-', '_', '.', beginning with a letter or digit, 1 to `max` bytes: the form of
 * names of nodes, jobs, labels, users. */
bool str_is_name(const char *s, size_t max);

/* Length of the valid UTF-8 sequence at `s` (`len` bytes left), or 0. */
size_t str_utf8_len(const char *s, size_t len);
bool str_is_utf8(const char *s, size_t len);
/* How many bytes at the beginning of `s` are printable ASCII other than '"' and '\\': what JSON has
 * as it is. */
size_t str_plain_len(const char *s, size_t len);

/* Copies `s` to malloc'ed text that a terminal shows and never obeys: control characters, DEL, C1
 * codes, line separators, direction overrides (U+2028 to U+202E, U+2066 to U+2069) and invalid
 * UTF-8 become \xNN, or \n, \t, \r; newline and tab stay when `keep_lines`. */
char *str_printable(const char *s, size_t len, bool keep_lines);

/* Whole-string wildcard match: '*' any run, '?' one character (UTF-8). */
bool str_glob(const char *pattern, const char *s);

enum { STR_DISTANCE_BYTES_MAX = 255 };
/* Number of single-byte insertions, deletions and replacements between two strings, for "did you
 * mean". Strings past STR_DISTANCE_BYTES_MAX have nothing in common: the longer one's length. */
unsigned str_distance(const char *a, const char *b);

/* The name of what has this id; NULL when nothing has. Borrowed. */
typedef const char *(*str_name_fn)(const void *arg, uint64_t id);
/* Replaces each "node 7" in `text`, whose room is `size`, by "node NAME"; one that would not fit
 * any more, and what has no name, stays. */
void str_name_ids(char *text, size_t size, str_name_fn name_of, const void *arg);

/* Comparison for secrets: its time depends on the lengths only. */
bool str_equal_secret(const char *a, const char *b);

#endif
