/* Single values as text, the same that DuckDB's cast to VARCHAR gives. */
#ifndef RUN_EXECUTOR_TEXT_H
#define RUN_EXECUTOR_TEXT_H

#include <stddef.h>
#include <stdint.h>

enum { EXECUTOR_TEXT_MAX = 96 };

/* Each writes at most EXECUTOR_TEXT_MAX bytes with the NUL and returns the length. */
size_t executor_text_u64(uint64_t v, char *out);
size_t executor_text_hugeint(__int128 v, char *out);
size_t executor_text_uhugeint(unsigned __int128 v, char *out);
size_t executor_text_decimal(__int128 v, unsigned scale, char *out);
/* The shortest that reads back the same, always with a point or exponent; NaN and infinities not.
 */
size_t executor_text_double(double v, char *out);
size_t executor_text_float(float v, char *out);
size_t executor_text_date(int32_t days, char *out);
size_t executor_text_time(int64_t micros, char *out);
size_t executor_text_time_tz(uint64_t bits, char *out);
/* Since the epoch; `unit` is of those in a second: 1, 1000, 1000000, 1000000000. */
size_t executor_text_timestamp(int64_t v, int64_t unit, const char *zone, char *out);
size_t executor_text_interval(int32_t months, int32_t days, int64_t micros, char *out);
size_t executor_text_uuid(__int128 v, char *out);

#endif
