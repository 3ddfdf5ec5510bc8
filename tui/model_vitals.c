/* Each node has three rings of steps: 1 s, 10 s, 1 min. A sample goes into every ring whose step is
 * at least its own; a step of several samples is their mean, or the largest. Values are floats cut
 * to their upper 16 bits (bfloat16, rounded): one part in 256 is more than a sparkline shows. */
#include "tui/model_vitals.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "tui/model_text.h"

enum { MODEL_VITALS_RINGS = 3, MODEL_VITALS_COLUMNS_MAX = 64, MODEL_VITALS_NAME_MAX = 256 };

static const int64_t model_vitals_step_ms[MODEL_VITALS_RINGS] = {1000, 10000, 60000};
static const uint32_t model_vitals_long[MODEL_VITALS_RINGS] = {900, 1440, 1200};
static const uint32_t model_vitals_short[MODEL_VITALS_RINGS] = {180, 180, 240};

struct model_ring {
    uint16_t *values; /* cap steps of MODEL_VITALS; grows up to the bound */
    uint32_t cap, bound;
    int64_t last;    /* step number of the newest; its mean is not finished */
    int64_t begin;   /* the first that ever was */
    int64_t last_ms; /* of the last sample */
    float sum[MODEL_VITALS];
    uint16_t count[MODEL_VITALS];
};

struct model_series {
    UT_hash_handle hh;
    struct model_ring rings[MODEL_VITALS_RINGS];
    float newest[MODEL_VITALS];
    int64_t newest_ms;
    char name[];
};

struct model_vitals {
    struct model_series *series;
    size_t n, bytes;
    int64_t newest_ms;
    uint64_t generation;
};

static const char *const model_vital_names[] = {
#define MODEL_VITAL_NAME(symbol, name) name,
    MODEL_VITAL_LIST(MODEL_VITAL_NAME)
#undef MODEL_VITAL_NAME
};

static uint16_t model_vital_pack(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return isnan(value) ? 0x7fc0 : (uint16_t)((bits + 0x8000) >> 16);
}

static float model_vital_unpack(uint16_t packed)
{
    uint32_t bits = (uint32_t)packed << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool model_vital_is_peak(size_t vital)
{
    return vital == MODEL_VITAL_RTT || vital == MODEL_VITAL_BEAT || vital == MODEL_VITAL_JITTER;
}

struct model_vitals *model_vitals_new(void)
{
    return mem_zalloc(sizeof(struct model_vitals));
}

void model_vitals_clear(struct model_vitals *vitals)
{
    struct model_series *series, *next;
    HASH_ITER (hh, vitals->series, series, next) {
        HASH_DEL(vitals->series, series);
        for (size_t i = 0; i < MODEL_VITALS_RINGS; i++)
            free(series->rings[i].values);
        free(series);
    }
    *vitals = (struct model_vitals){.generation = vitals->generation + 1};
}

void model_vitals_free(struct model_vitals *vitals)
{
    if (vitals == NULL)
        return;
    model_vitals_clear(vitals);
    free(vitals);
}

static struct model_series *model_vitals_find(const struct model_vitals *vitals, const char *name,
                                              size_t len)
{
    struct model_series *series;
    HASH_FIND(hh, vitals->series, name, len, series);
    return series;
}

static struct model_series *model_vitals_make(struct model_vitals *vitals, const char *name,
                                              size_t len)
{
    if (vitals->n == MODEL_VITALS_NODES_MAX || len > MODEL_VITALS_NAME_MAX)
        return NULL;
    struct model_series *series = mem_zalloc(sizeof *series + len + 1);
    const uint32_t *bounds =
        vitals->n < MODEL_VITALS_FEW_NODES ? model_vitals_long : model_vitals_short;
    for (size_t i = 0; i < MODEL_VITALS_RINGS; i++)
        series->rings[i].bound = bounds[i];
    memcpy(series->name, name, len);
    HASH_ADD_KEYPTR(hh, vitals->series, series->name, len, series);
    vitals->n++;
    vitals->bytes += sizeof *series + len;
    return series;
}

/* Rings */

static uint16_t *model_ring_step(const struct model_ring *ring, int64_t step)
{
    return &ring->values[(size_t)(step % ring->cap) * MODEL_VITALS];
}

static bool model_ring_has(const struct model_ring *ring, int64_t step)
{
    return ring->cap > 0 && step >= ring->begin && step <= ring->last &&
           step > ring->last - (int64_t)ring->cap;
}

static void model_ring_grow(struct model_ring *ring, int64_t step, size_t *bytes)
{
    uint32_t want = ring->cap > 0 ? ring->cap : 16;
    while (want < ring->bound && step - ring->begin >= (int64_t)want)
        want *= 2;
    want = want < ring->bound ? want : ring->bound;
    if (want == ring->cap)
        return;
    struct model_ring grown = *ring;
    grown.cap = want;
    grown.values = mem_alloc((size_t)want * MODEL_VITALS * sizeof *grown.values);
    for (size_t i = 0; i < (size_t)want * MODEL_VITALS; i++)
        grown.values[i] = model_vital_pack(NAN);
    for (int64_t at = ring->last - (int64_t)ring->cap + 1; at <= ring->last; at++)
        if (model_ring_has(ring, at))
            memcpy(model_ring_step(&grown, at), model_ring_step(ring, at),
                   MODEL_VITALS * sizeof *grown.values);
    free(ring->values);
    *bytes += (size_t)(want - ring->cap) * MODEL_VITALS * sizeof *grown.values;
    *ring = grown;
}

/* Makes `step` the newest, with nothing in it and in those left out. */
static void model_ring_advance(struct model_ring *ring, int64_t step, size_t *bytes)
{
    if (ring->cap == 0)
        ring->begin = ring->last = step;
    bool is_fresh = ring->cap == 0;
    model_ring_grow(ring, step, bytes);
    int64_t from = is_fresh ? step : ring->last + 1;
    if (from <= step - (int64_t)ring->cap)
        from = step - (int64_t)ring->cap + 1;
    for (int64_t at = from; at <= step; at++)
        for (size_t i = 0; i < MODEL_VITALS; i++)
            model_ring_step(ring, at)[i] = model_vital_pack(NAN);
    memset(ring->sum, 0, sizeof ring->sum);
    memset(ring->count, 0, sizeof ring->count);
    ring->last = step;
}

/* Samples a second apart may leave out a step, by a jitter around its edge: no gap. */
static bool model_ring_slipped(const struct model_ring *ring, int64_t step, int64_t step_ms,
                               int64_t at_ms)
{
    return ring->cap > 1 && step == ring->last + 2 && at_ms - ring->last_ms < step_ms * 3 / 2;
}

static void model_ring_add(struct model_ring *ring, int64_t step_ms, int64_t at_ms,
                           const float *values, size_t *bytes)
{
    int64_t step = at_ms / step_ms;
    bool slipped = model_ring_slipped(ring, step, step_ms, at_ms);
    if (ring->cap == 0 || step > ring->last)
        model_ring_advance(ring, step, bytes);
    ring->last_ms = at_ms;
    if (slipped)
        for (size_t i = 0; i < MODEL_VITALS; i++)
            model_ring_step(ring, step - 1)[i] = model_vital_pack(values[i]);
    if (step < ring->last) /* late */
        return;
    for (size_t i = 0; i < MODEL_VITALS; i++) {
        if (isnan(values[i]) || ring->count[i] == UINT16_MAX)
            continue;
        if (model_vital_is_peak(i))
            ring->sum[i] =
                ring->count[i] == 0 || values[i] > ring->sum[i] ? values[i] : ring->sum[i];
        else
            ring->sum[i] += values[i];
        ring->count[i]++;
        float value = model_vital_is_peak(i) ? ring->sum[i] : ring->sum[i] / (float)ring->count[i];
        model_ring_step(ring, step)[i] = model_vital_pack(value);
    }
}

static void model_series_add(struct model_vitals *vitals, struct model_series *series,
                             int64_t at_ms, int64_t step_ms, const float *values)
{
    for (size_t i = 0; i < MODEL_VITALS_RINGS; i++)
        if (model_vitals_step_ms[i] >= step_ms)
            model_ring_add(&series->rings[i], model_vitals_step_ms[i], at_ms, values,
                           &vitals->bytes);
    if (at_ms >= series->newest_ms) {
        memcpy(series->newest, values, sizeof series->newest);
        series->newest_ms = at_ms;
    }
}

/* Reading */

struct model_vitals_head {
    int64_t at_ms, step_ms;
    int columns[MODEL_VITALS_COLUMNS_MAX]; /* vital of each; -1: none of ours */
    size_t n_columns;
};

static void model_vitals_read_columns(struct json_scan *s, struct model_vitals_head *head)
{
    struct json_slice name;
    head->n_columns = 0;
    (void)json_scan_array(s);
    while (json_scan_element(s)) {
        int vital = -1;
        if (json_scan_peek(s) != JSON_KIND_STRING || !json_scan_string(s, &name)) {
            (void)json_scan_skip(s, NULL);
            name = (struct json_slice){.text = "", .len = 0};
        }
        for (int i = 0; i < MODEL_VITALS; i++)
            if (json_slice_is(&name, model_vital_names[i]))
                vital = i;
        if (head->n_columns < MODEL_VITALS_COLUMNS_MAX)
            head->columns[head->n_columns++] = vital;
    }
}

/* True when there was a value at all. */
static bool model_vitals_read_values(struct json_scan *s, const struct model_vitals_head *head,
                                     float values[MODEL_VITALS])
{
    struct json_slice raw;
    bool any = false;
    for (size_t i = 0; i < MODEL_VITALS; i++)
        values[i] = NAN;
    if (json_scan_peek(s) != JSON_KIND_ARRAY) {
        (void)json_scan_skip(s, NULL);
        return false;
    }
    (void)json_scan_array(s);
    for (size_t i = 0; json_scan_element(s); i++) {
        bool is_number = json_scan_peek(s) == JSON_KIND_NUMBER;
        if (!json_scan_skip(s, &raw))
            return false;
        if (!is_number || i >= head->n_columns || head->columns[i] < 0)
            continue;
        values[head->columns[i]] = (float)model_text_number(&raw);
        any = true;
    }
    return any;
}

static void model_vitals_read_nodes(struct model_vitals *vitals, struct json_scan *s,
                                    const struct model_vitals_head *head)
{
    struct json_slice name;
    float values[MODEL_VITALS];
    (void)json_scan_object(s);
    while (json_scan_key(s, &name)) {
        struct model_series *series = model_vitals_find(vitals, name.text, name.len);
        if (series == NULL)
            series = model_vitals_make(vitals, name.text, name.len);
        if (!model_vitals_read_values(s, head, values) || series == NULL)
            continue;
        model_series_add(vitals, series, head->at_ms, head->step_ms, values);
    }
}

bool model_vitals_read(struct model_vitals *vitals, const char *text, size_t len)
{
    struct model_vitals_head head = {.step_ms = 1000};
    struct json_scan s;
    struct json_slice key, value;
    struct json_mark nodes = {0};
    json_scan_init(&s, text, len);
    for (int i = 0; i < MODEL_VITALS; i++)
        head.columns[head.n_columns++] = i;
    (void)json_scan_object(&s);
    while (json_scan_key(&s, &key)) {
        enum json_kind kind = json_scan_peek(&s);
        if (json_slice_is(&key, "at") && kind == JSON_KIND_STRING) {
            if (json_scan_string(&s, &value))
                head.at_ms = clock_rfc3339_ms(value.text, value.len);
        } else if (json_slice_is(&key, "step_ms") && kind == JSON_KIND_NUMBER) {
            (void)json_scan_i64(&s, &head.step_ms);
        } else if (json_slice_is(&key, "columns") && kind == JSON_KIND_ARRAY) {
            model_vitals_read_columns(&s, &head);
        } else {
            if (json_slice_is(&key, "nodes") && kind == JSON_KIND_OBJECT)
                nodes = json_scan_mark(&s);
            (void)json_scan_skip(&s, NULL);
        }
    }
    bool ok = json_scan_end(&s) && nodes.at != NULL && head.at_ms > 0 && head.step_ms > 0;
    if (ok) {
        json_scan_rewind(&s, nodes);
        model_vitals_read_nodes(vitals, &s, &head);
        ok = !json_scan_failed(&s);
        vitals->newest_ms = head.at_ms > vitals->newest_ms ? head.at_ms : vitals->newest_ms;
        vitals->generation++;
    }
    json_scan_done(&s);
    return ok;
}

/* Giving */

/* The value of all the ring's steps that begin in (from_ms, to_ms]. */
static float model_ring_between(const struct model_ring *ring, int64_t ring_step_ms, size_t vital,
                                int64_t from_ms, int64_t to_ms)
{
    float sum = NAN;
    unsigned n = 0;
    int64_t first = from_ms / ring_step_ms + 1, last = to_ms / ring_step_ms;
    if (first > last)
        first = last;
    if (first < ring->begin)
        first = ring->begin;
    if (last > ring->last)
        last = ring->last;
    for (int64_t step = first; step <= last; step++) {
        if (!model_ring_has(ring, step))
            continue;
        float value = model_vital_unpack(model_ring_step(ring, step)[vital]);
        if (isnan(value))
            continue;
        n++;
        if (n == 1)
            sum = value;
        else
            sum = !model_vital_is_peak(vital) ? sum + value : value > sum ? value : sum;
    }
    return n > 1 && !model_vital_is_peak(vital) ? sum / (float)n : sum;
}

void model_vitals_get(const struct model_vitals *vitals, const char *node, enum model_vital vital,
                      int64_t end_ms, int64_t step_ms, size_t n, float *out)
{
    const struct model_series *series = model_vitals_find(vitals, node, strlen(node));
    assert(step_ms > 0);
    for (size_t i = 0; i < n; i++) {
        int64_t to_ms = end_ms - (int64_t)(n - 1 - i) * step_ms;
        out[i] = NAN;
        for (size_t r = 0; series != NULL && r < MODEL_VITALS_RINGS; r++) {
            const struct model_ring *ring = &series->rings[r];
            bool reaches =
                ring->cap > 0 && (model_ring_has(ring, to_ms / model_vitals_step_ms[r]) ||
                                  to_ms / model_vitals_step_ms[r] > ring->last);
            if (!reaches)
                continue;
            out[i] =
                model_ring_between(ring, model_vitals_step_ms[r], vital, to_ms - step_ms, to_ms);
            break;
        }
    }
}

float model_vitals_value(const struct model_vitals *vitals, const char *node,
                         enum model_vital vital, int64_t at_ms)
{
    const struct model_series *series = model_vitals_find(vitals, node, strlen(node));
    float value = NAN;
    if (series == NULL)
        return NAN;
    if (at_ms >= series->newest_ms && at_ms - series->newest_ms <= MODEL_VITALS_GAP_MS)
        return series->newest[vital];
    for (int64_t back = 0; back <= MODEL_VITALS_GAP_MS && isnan(value);
         back += model_vitals_step_ms[0])
        model_vitals_get(vitals, node, vital, at_ms - back, model_vitals_step_ms[0], 1, &value);
    return value;
}

int64_t model_vitals_newest_ms(const struct model_vitals *vitals)
{
    return vitals->newest_ms;
}

uint64_t model_vitals_generation(const struct model_vitals *vitals)
{
    return vitals->generation;
}

size_t model_vitals_bytes(const struct model_vitals *vitals)
{
    return vitals->bytes;
}
