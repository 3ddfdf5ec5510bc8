/* A node's vitals drawn: heartbeats as a strip, others as lines. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tui/app.h"
#include "tui/draw.h"
#include "tui/view_rows.h"

enum { VITALS_STEP_MS = 1000, VITALS_STRIP_MAX = 256 };

static int vitals_compare(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;
    return x < y ? -1 : x > y;
}

/* The interval that is usual for this node: the median of what was seen. */
static double vitals_expected_ms(const float *values, size_t n)
{
    float seen[VITALS_STRIP_MAX];
    size_t k = 0;
    for (size_t i = 0; i < n && k < MEM_COUNT(seen); i++) {
        if (!isnan(values[i]))
            seen[k++] = values[i];
    }
    if (k == 0)
        return 0;
    qsort(seen, k, sizeof seen[0], vitals_compare);
    return (double)seen[k / 2];
}

/* The last `n` steps. What a step had comes at some moment in it: one that is not over, and has
 * nothing yet, is not shown, and not missed. */
static void vitals_values(const struct place *place, const char *node, enum model_vital vital,
                          size_t n, float *values)
{
    const struct model_vitals *vitals = model_vitals(place->app->model);
    int64_t end_ms = place_at_ms(place);
    model_vitals_get(vitals, node, vital, end_ms, VITALS_STEP_MS, n, values);
    if (n > 1 && isnan(values[n - 1]) && !isnan(values[n - 2]))
        model_vitals_get(vitals, node, vital, end_ms - VITALS_STEP_MS, VITALS_STEP_MS, n, values);
}

void view_draw_beats(const struct place *place, const char *node, struct grid *grid,
                     struct rect rect)
{
    float values[GRID_WIDTH_MAX];
    if (rect.w <= 0)
        return;
    size_t n = (size_t)(rect.w < VITALS_STRIP_MAX ? rect.w : VITALS_STRIP_MAX);
    vitals_values(place, node, MODEL_VITAL_BEAT, n, values);
    /* before the first one nothing was missed: it was not watched */
    size_t from = 0;
    while (from < n && isnan(values[from]))
        from++;
    if (from < n)
        draw_strip(grid, rect.x, rect.y, rect.w, values + from, n - from,
                   vitals_expected_ms(values + from, n - from));
}

void view_draw_vital(const struct place *place, const char *node, enum model_vital vital,
                     double max, struct grid *grid, struct rect rect, struct style style)
{
    float values[GRID_WIDTH_MAX];
    if (rect.w <= 0)
        return;
    size_t n = (size_t)(rect.w < GRID_WIDTH_MAX ? rect.w : GRID_WIDTH_MAX);
    vitals_values(place, node, vital, n, values);
    draw_spark(grid, rect, values, n, max, style);
}
