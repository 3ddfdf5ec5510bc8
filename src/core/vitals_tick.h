/* How every node was at a moment, in few bytes: one tick a second, later one for ten seconds or a
 * minute, in which a node's values are the means of its finer ones. */
#ifndef CORE_VITALS_TICK_H
#define CORE_VITALS_TICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum vitals_column {
    VITALS_CPU,    /* permille */
    VITALS_LOAD,   /* hundredths */
    VITALS_MEMORY, /* permille used */
    VITALS_DISK,   /* permille used */
    VITALS_TASKS,
    VITALS_RTT,    /* 10 microseconds */
    VITALS_BEAT,   /* ms between heartbeats */
    VITALS_JITTER, /* tenths of a ms that they came early or late, smoothed */
    VITALS_COLUMNS
};

enum { VITALS_NONE = UINT16_MAX, VITALS_MAX = UINT16_MAX - 1 };

/* Names as docs/events.md has them; a value is `raw` divided by `scale`. */
struct vitals_column_row {
    const char *name;
    unsigned scale;
};
extern const struct vitals_column_row vitals_columns[VITALS_COLUMNS];

struct vitals_sample {
    uint16_t values[VITALS_COLUMNS]; /* all VITALS_NONE: silent */
};

/* As much as fits. */
uint16_t vitals_clamp(uint64_t value);

struct vitals_node {
    uint32_t node;
    struct vitals_sample sample;
};

struct vitals_tick {
    int64_t at_ms;
    uint32_t step_ms;
    uint32_t n;
    TAILQ_ENTRY(vitals_tick) link;
    struct vitals_node nodes[]; /* by id */
};

struct vitals_tick *vitals_tick_new(int64_t at_ms, uint32_t step_ms, uint32_t n);
size_t vitals_tick_bytes(const struct vitals_tick *tick);

/* The mean of ticks (in order of time, n > 0), at the time of the last: malloc'ed. A value is
 * the mean of those that are there; a node is silent when it was in all of them. */
struct vitals_tick *vitals_tick_mean(const struct vitals_tick *const *ticks, size_t n,
                                     uint32_t step_ms);

/* A tick in bytes that compress well (by columns), and back. NULL: malformed. */
char *vitals_tick_pack(const struct vitals_tick *tick, size_t *len);
struct vitals_tick *vitals_tick_unpack(const char *data, size_t len);

/* The latest ticks, bounded. */
struct vitals_ticks {
    TAILQ_HEAD(vitals_tick_list, vitals_tick) list;
    size_t n, n_max;
    size_t bytes, bytes_max;
    uint64_t first; /* number of the oldest; numbers grow for ever */
};

void vitals_ticks_init(struct vitals_ticks *ticks, size_t n_max, size_t bytes_max);
void vitals_ticks_done(struct vitals_ticks *ticks);
void vitals_ticks_push(struct vitals_ticks *ticks, struct vitals_tick *tick); /* takes it */

#endif
