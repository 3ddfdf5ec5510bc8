/* Happy path: a series is found by its labels' values in the chain of its metric (or is the one
 * that a metric without labels has), and one relaxed atomic operation counts.
 *
 * Chains only ever grow, at their head and under a mutex, so that readers take none. What is read
 * while others count is a value that each word had, not one moment of all: the bucket of an
 * observation may be seen before its sum. The count of a histogram is therefore read off its
 * buckets. */
#include "base/metric.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metric_internal.h"

#define METRIC_ROW(id, name, type, unit, buckets, labels, help)                                    \
    {name, METRIC_##type, METRIC_##unit, METRIC_##buckets, labels, help},

static const struct metric_row metric_rows[METRIC_N] = {METRIC_ROWS(METRIC_ROW)};

static const double metric_latency_bounds[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                               0.005,   0.01,   0.025,   0.05,   0.1,   0.25,
                                               0.5,     1,      2.5,     5,      10};
static const double metric_span_bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,  1,    2.5,
                                            5,     10,   30,    60,   300, 600,  1800, 3600, 14400};
static const double metric_count_bounds[] = {1,   2,   4,    8,    16,   32,   64,   128,
                                             256, 512, 1024, 2048, 4096, 8192, 16384};

static struct metric_state {
    pthread_mutex_t mutex;
    struct metric_head heads[METRIC_N];
    struct {
        metric_collect_fn fn;
        void *arg;
    } collectors[METRIC_COLLECTORS_MAX];
    unsigned collectors_n;
} metric_state = {.mutex = PTHREAD_MUTEX_INITIALIZER};

const struct metric_row *metric_row(enum metric metric)
{
    assert((unsigned)metric < METRIC_N);
    return &metric_rows[metric];
}

size_t metric_labels_n(const struct metric_row *row)
{
    size_t n = row->labels[0] != '\0';
    for (const char *c = row->labels; *c != '\0'; c++)
        n += *c == ',';
    return n;
}

const double *metric_bounds(enum metric_buckets buckets, size_t *n)
{
    switch (buckets) {
    case METRIC_LATENCY:
        *n = MEM_COUNT(metric_latency_bounds);
        return metric_latency_bounds;
    case METRIC_SPAN:
        *n = MEM_COUNT(metric_span_bounds);
        return metric_span_bounds;
    case METRIC_COUNTS:
        *n = MEM_COUNT(metric_count_bounds);
        return metric_count_bounds;
    case METRIC_NO_BUCKETS:
        break;
    }
    *n = 0;
    return NULL;
}

const struct metric_head *metric_head(enum metric metric)
{
    return &metric_state.heads[metric];
}

/* ---- series ---------------------------------------------------------------------------------- */

static size_t metric_value_len(const char *value)
{
    size_t len = strnlen(value, METRIC_VALUE_MAX);
    if (len == METRIC_VALUE_MAX) /* no character is cut in two */
        while (len > 0 && ((unsigned char)value[len] & 0xc0) == 0x80)
            len--;
    return len;
}

static uint32_t metric_hash(const char *const *values, size_t n)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < n; i++) {
        size_t len = metric_value_len(values[i]);
        for (size_t k = 0; k < len; k++)
            hash = (hash ^ (unsigned char)values[i][k]) * 16777619U;
        hash = (hash ^ 0xff) * 16777619U;
    }
    return hash;
}

static bool metric_series_is(const struct metric_series *series, uint32_t hash,
                             const char *const *values, size_t n)
{
    if (series->hash != hash)
        return false;
    for (size_t i = 0; i < n; i++) {
        size_t len = metric_value_len(values[i]);
        if (strncmp(series->values[i], values[i], len) != 0 || series->values[i][len] != '\0')
            return false;
    }
    return true;
}

static struct metric_series *metric_look(struct metric_head *head, uint32_t hash,
                                         const char *const *values, size_t n)
{
    struct metric_series *series =
        __atomic_load_n(&head->chains[hash % METRIC_CHAINS], __ATOMIC_ACQUIRE);
    while (series != NULL && !metric_series_is(series, hash, values, n))
        series = series->next;
    return series;
}

static struct metric_series *metric_series_new(enum metric metric)
{
    size_t buckets;
    const struct metric_row *row = &metric_rows[metric];
    (void)metric_bounds(row->buckets, &buckets);
    struct metric_series *series =
        mem_zalloc(sizeof *series + (buckets > 0 ? buckets + 1 : 0) * sizeof series->buckets[0]);
    series->metric = metric;
    series->shown = row->type != METRIC_GAUGE;
    return series;
}

/* Under the mutex. */
static struct metric_series *metric_insert(struct metric_head *head, enum metric metric,
                                           uint32_t hash, const char *const *values, size_t n)
{
    struct metric_series *series = metric_series_new(metric);
    for (size_t i = 0; i < n; i++)
        series->values[i] = mem_strndup(values[i], metric_value_len(values[i]));
    series->hash = hash;
    struct metric_series **chain = &head->chains[hash % METRIC_CHAINS];
    series->next = *chain;
    series->made_before = head->last;
    head->series_n++;
    __atomic_store_n(chain, series, __ATOMIC_RELEASE);
    __atomic_store_n(&head->last, series, __ATOMIC_RELEASE);
    return series;
}

struct metric_series *metric_find(enum metric metric, const char *const *values, size_t n)
{
    static const char *const others[METRIC_LABELS_MAX] = {"other", "other", "other"};
    struct metric_head *head = &metric_state.heads[metric];
    assert(n == metric_labels_n(&metric_rows[metric]) && n <= METRIC_LABELS_MAX);
    uint32_t hash = metric_hash(values, n);
    struct metric_series *series = metric_look(head, hash, values, n);
    if (series != NULL)
        return series;
    (void)pthread_mutex_lock(&metric_state.mutex);
    if (head->series_n + 1 >= METRIC_SERIES_MAX) {
        values = others;
        hash = metric_hash(values, n);
    }
    series = metric_look(head, hash, values, n);
    if (series == NULL)
        series = metric_insert(head, metric, hash, values, n);
    (void)pthread_mutex_unlock(&metric_state.mutex);
    return series;
}

/* Of a metric without labels. */
static struct metric_series *metric_only(enum metric metric)
{
    assert((unsigned)metric < METRIC_N && metric_rows[metric].labels[0] == '\0');
    struct metric_series *series =
        __atomic_load_n(&metric_state.heads[metric].last, __ATOMIC_ACQUIRE);
    return series != NULL ? series : metric_find(metric, NULL, 0);
}

/* ---- counting -------------------------------------------------------------------------------- */

void metric_series_add(struct metric_series *series, uint64_t n)
{
    assert(metric_rows[series->metric].type == METRIC_COUNTER);
    (void)__atomic_fetch_add(&series->word, n, __ATOMIC_RELAXED);
}

void metric_series_set(struct metric_series *series, double value)
{
    uint64_t word;
    assert(metric_rows[series->metric].type == METRIC_GAUGE);
    memcpy(&word, &value, sizeof word);
    __atomic_store_n(&series->word, word, __ATOMIC_RELAXED);
    __atomic_store_n(&series->shown, true, __ATOMIC_RELAXED);
}

void metric_series_set_counter(struct metric_series *series, uint64_t value)
{
    assert(metric_rows[series->metric].type == METRIC_COUNTER);
    if (value > __atomic_load_n(&series->word, __ATOMIC_RELAXED))
        __atomic_store_n(&series->word, value, __ATOMIC_RELAXED);
}

void metric_series_observe(struct metric_series *series, int64_t value)
{
    const struct metric_row *row = &metric_rows[series->metric];
    size_t n, i = 0;
    const double *bounds = metric_bounds(row->buckets, &n);
    assert(row->type == METRIC_HISTOGRAM);
    uint64_t whole = value > 0 ? (uint64_t)value : 0;
    double scaled = (double)whole * metric_scale(row->unit);
    while (i < n && scaled > bounds[i])
        i++;
    (void)__atomic_fetch_add(&series->buckets[i], 1, __ATOMIC_RELAXED);
    (void)__atomic_fetch_add(&series->word, whole, __ATOMIC_RELAXED);
}

void metric_add(enum metric metric, uint64_t n)
{
    metric_series_add(metric_only(metric), n);
}

void metric_set(enum metric metric, double value)
{
    metric_series_set(metric_only(metric), value);
}

void metric_set_counter(enum metric metric, uint64_t value)
{
    metric_series_set_counter(metric_only(metric), value);
}

void metric_observe(enum metric metric, int64_t value)
{
    metric_series_observe(metric_only(metric), value);
}

void metric_observe_since(enum metric metric, int64_t from_us)
{
    metric_series_observe(metric_only(metric), clock_mono_us() - from_us);
}

void metric_clear(enum metric metric)
{
    assert(metric_rows[metric].type == METRIC_GAUGE);
    struct metric_series *series =
        __atomic_load_n(&metric_state.heads[metric].last, __ATOMIC_ACQUIRE);
    for (; series != NULL; series = series->made_before)
        __atomic_store_n(&series->shown, false, __ATOMIC_RELAXED);
}

/* ---- collectors ------------------------------------------------------------------------------ */

void metric_add_collector(metric_collect_fn fn, void *arg)
{
    struct metric_state *state = &metric_state;
    assert(state->collectors_n < METRIC_COLLECTORS_MAX);
    state->collectors[state->collectors_n].fn = fn;
    state->collectors[state->collectors_n++].arg = arg;
}

void metric_remove_collector(metric_collect_fn fn, void *arg)
{
    struct metric_state *state = &metric_state;
    for (unsigned i = 0; i < state->collectors_n; i++) {
        if (state->collectors[i].fn != fn || state->collectors[i].arg != arg)
            continue;
        state->collectors[i] = state->collectors[--state->collectors_n];
        return;
    }
}

void metric_collect(void)
{
    for (unsigned i = 0; i < metric_state.collectors_n; i++)
        metric_state.collectors[i].fn(metric_state.collectors[i].arg);
    for (unsigned m = 0; m < METRIC_N; m++) /* what never happened is 0, not missing */
        if (metric_rows[m].labels[0] == '\0')
            (void)metric_only((enum metric)m);
}
