#include "core/vitals_tick.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const struct vitals_column_row vitals_columns[VITALS_COLUMNS] = {
    [VITALS_CPU] = {"cpu_percent", 10},       [VITALS_LOAD] = {"load", 100},
    [VITALS_MEMORY] = {"memory_percent", 10}, [VITALS_DISK] = {"disk_percent", 10},
    [VITALS_TASKS] = {"tasks_running", 1},    [VITALS_RTT] = {"rtt_ms", 100},
    [VITALS_BEAT] = {"beat_ms", 1},           [VITALS_JITTER] = {"beat_jitter_ms", 10},
};

uint16_t vitals_clamp(uint64_t value)
{
    return (uint16_t)(value < VITALS_MAX ? value : VITALS_MAX);
}

struct vitals_tick *vitals_tick_new(int64_t at_ms, uint32_t step_ms, uint32_t n)
{
    struct vitals_tick *tick = mem_zalloc(sizeof *tick + n * sizeof tick->nodes[0]);
    tick->at_ms = at_ms;
    tick->step_ms = step_ms;
    tick->n = n;
    return tick;
}

size_t vitals_tick_bytes(const struct vitals_tick *tick)
{
    return sizeof *tick + tick->n * sizeof tick->nodes[0];
}

static int vitals_compare_ids(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* All ids of the ticks, ascending, each once. */
static uint32_t *vitals_ids(const struct vitals_tick *const *ticks, size_t n, uint32_t *count)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        total += ticks[i]->n;
    uint32_t *ids = mem_calloc(total + 1, sizeof *ids);
    for (size_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < ticks[i]->n; k++)
            ids[at++] = ticks[i]->nodes[k].node;
    qsort(ids, total, sizeof *ids, vitals_compare_ids);
    *count = 0;
    for (size_t i = 0; i < total; i++)
        if (*count == 0 || ids[*count - 1] != ids[i])
            ids[(*count)++] = ids[i];
    return ids;
}

struct vitals_tick *vitals_tick_mean(const struct vitals_tick *const *ticks, size_t n,
                                     uint32_t step_ms)
{
    assert(n > 0);
    uint32_t count;
    uint32_t *ids = vitals_ids(ticks, n, &count);
    struct vitals_tick *mean = vitals_tick_new(ticks[n - 1]->at_ms, step_ms, count);
    size_t *at = mem_calloc(n, sizeof *at);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t sums[VITALS_COLUMNS] = {0};
        uint32_t counts[VITALS_COLUMNS] = {0};
        for (size_t k = 0; k < n; k++) {
            if (at[k] >= ticks[k]->n || ticks[k]->nodes[at[k]].node != ids[i])
                continue;
            const struct vitals_sample *sample = &ticks[k]->nodes[at[k]++].sample;
            for (unsigned c = 0; c < VITALS_COLUMNS; c++) {
                sums[c] += sample->values[c] != VITALS_NONE ? sample->values[c] : 0;
                counts[c] += sample->values[c] != VITALS_NONE;
            }
        }
        mean->nodes[i].node = ids[i];
        for (unsigned c = 0; c < VITALS_COLUMNS; c++)
            mean->nodes[i].sample.values[c] =
                counts[c] == 0 ? VITALS_NONE : (uint16_t)((sums[c] + counts[c] / 2) / counts[c]);
    }
    free(at);
    free(ids);
    return mean;
}

enum { VITALS_HEAD_BYTES = 16 }; /* at, step, n; little endian, as all of it */

static void vitals_write(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t vitals_read(const uint8_t *in, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)in[i] << 8 * i;
    return value;
}

char *vitals_tick_pack(const struct vitals_tick *tick, size_t *len)
{
    *len = VITALS_HEAD_BYTES + (size_t)tick->n * (4 + 2 * VITALS_COLUMNS);
    uint8_t *out = mem_alloc(*len);
    uint8_t *at = out + VITALS_HEAD_BYTES;
    vitals_write(out, (uint64_t)tick->at_ms, 8);
    vitals_write(out + 8, tick->step_ms, 4);
    vitals_write(out + 12, tick->n, 4);
    for (uint32_t i = 0; i < tick->n; i++, at += 4)
        vitals_write(at, tick->nodes[i].node, 4);
    for (unsigned c = 0; c < VITALS_COLUMNS; c++)
        for (uint32_t i = 0; i < tick->n; i++, at += 2)
            vitals_write(at, tick->nodes[i].sample.values[c], 2);
    return (char *)out;
}

struct vitals_tick *vitals_tick_unpack(const char *data, size_t len)
{
    const uint8_t *in = (const uint8_t *)data;
    if (len < VITALS_HEAD_BYTES)
        return NULL;
    uint32_t n = (uint32_t)vitals_read(in + 12, 4);
    if (len != VITALS_HEAD_BYTES + (uint64_t)n * (4 + 2 * VITALS_COLUMNS))
        return NULL;
    struct vitals_tick *tick =
        vitals_tick_new((int64_t)vitals_read(in, 8), (uint32_t)vitals_read(in + 8, 4), n);
    const uint8_t *at = in + VITALS_HEAD_BYTES;
    for (uint32_t i = 0; i < n; i++, at += 4)
        tick->nodes[i].node = (uint32_t)vitals_read(at, 4);
    for (unsigned c = 0; c < VITALS_COLUMNS; c++)
        for (uint32_t i = 0; i < n; i++, at += 2)
            tick->nodes[i].sample.values[c] = (uint16_t)vitals_read(at, 2);
    return tick;
}

void vitals_ticks_init(struct vitals_ticks *ticks, size_t n_max, size_t bytes_max)
{
    *ticks = (struct vitals_ticks){.n_max = n_max, .bytes_max = bytes_max};
    TAILQ_INIT(&ticks->list);
}

static void vitals_ticks_shift(struct vitals_ticks *ticks)
{
    struct vitals_tick *tick = TAILQ_FIRST(&ticks->list);
    TAILQ_REMOVE(&ticks->list, tick, link);
    ticks->n--;
    ticks->first++;
    ticks->bytes -= vitals_tick_bytes(tick);
    free(tick);
}

void vitals_ticks_done(struct vitals_ticks *ticks)
{
    while (ticks->n > 0)
        vitals_ticks_shift(ticks);
}

void vitals_ticks_push(struct vitals_ticks *ticks, struct vitals_tick *tick)
{
    size_t bytes = vitals_tick_bytes(tick);
    while (ticks->n > 0 && (ticks->n >= ticks->n_max || ticks->bytes + bytes > ticks->bytes_max))
        vitals_ticks_shift(ticks);
    TAILQ_INSERT_TAIL(&ticks->list, tick, link);
    ticks->n++;
    ticks->bytes += bytes;
}
