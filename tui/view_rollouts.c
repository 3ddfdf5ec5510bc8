/* What serves, how much of the traffic it has and had, what its gates say, and where nodes stand.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tui/app.h"
#include "tui/draw.h"
#include "tui/track.h"
#include "tui/view_rows.h"

enum {
    ROLLOUTS_SERVICE,
    ROLLOUTS_STATE,
    ROLLOUTS_MODEL,
    ROLLOUTS_WEIGHT,
    ROLLOUTS_BAR,
    ROLLOUTS_STEP,
    ROLLOUTS_SINCE,
    ROLLOUTS_KIND,
    ROLLOUTS_TEXT,
};

enum { ROLLOUTS_BAR_WIDTH = 16, ROLLOUTS_VERDICT = 13 };

static const struct list_column rollouts_columns[] = {
    [ROLLOUTS_SERVICE] = {"service", 7, 24, 0, false, false, false},
    [ROLLOUTS_STATE] = {"state", 8, 11, 0, false, false, false},
    [ROLLOUTS_MODEL] = {"model", 5, 24, 1, false, false, false},
    [ROLLOUTS_WEIGHT] = {"has", 4, 5, 0, true, true, false},
    [ROLLOUTS_BAR] = {"", ROLLOUTS_BAR_WIDTH, ROLLOUTS_BAR_WIDTH, 3, false, false, true},
    [ROLLOUTS_STEP] = {"step", 4, 7, 2, true, true, false},
    [ROLLOUTS_SINCE] = {"for", 5, 8, 1, true, true, false},
    [ROLLOUTS_KIND] = {"kind", 4, 9, 6, false, false, false},
    [ROLLOUTS_TEXT] = {"what", 6, 0, 4, false, false, false},
    {NULL, 0, 0, 0, false, false, false},
};

static size_t rollouts_rows(void *arg, const void ***rows)
{
    return place_take_rows(arg, MODEL_ROLLOUTS, NULL, rows);
}

/* The API counts from 0, people don't. */
static void rollouts_step(struct list_cell *cell, const struct model_row *row)
{
    int64_t steps = model_row_int(row, "steps_n", 0);
    int64_t step = model_row_int(row, "step", 0) + 1;
    step = step < steps ? step : steps;
    if (steps > 0)
        cell_number(cell, INK_TEXT, (double)step, "%lld/%lld", (long long)step, (long long)steps);
}

static void rollouts_cell(void *arg, const void *row, int column, struct list_cell *cell)
{
    const struct place *place = arg;
    double weight = model_row_real(row, "weight", NAN);
    switch (column) {
    case ROLLOUTS_SERVICE:
        cell_text(cell, INK_TEXT, model_row_key(row));
        break;
    case ROLLOUTS_STATE:
        cell_state(cell, model_row_text(row, "state"));
        break;
    case ROLLOUTS_MODEL:
        cell_text(cell, INK_TEXT, model_row_text(row, "model"));
        break;
    case ROLLOUTS_WEIGHT:
        if (!isnan(weight))
            cell_number(cell, INK_TEXT, weight, "%.0f%%", weight);
        break;
    case ROLLOUTS_STEP:
        rollouts_step(cell, row);
        break;
    case ROLLOUTS_SINCE:
        cell_age(cell, model_row_time(row, "since"), place_at_ms(place));
        break;
    case ROLLOUTS_KIND:
        cell_text(cell, INK_DIM, model_row_text(row, "kind"));
        break;
    case ROLLOUTS_TEXT:
        cell_text(cell, INK_DIM, model_row_text(row, "text"));
        break;
    default:
        break;
    }
}

static void rollouts_draw_bar(void *arg, const void *row, int column, struct grid *grid,
                              struct rect rect)
{
    (void)arg;
    (void)column;
    draw_bar(grid, rect.x, rect.y, rect.w, model_row_real(row, "weight", 0) / 100,
             STYLE(state_ink(model_row_text(row, "state"))));
}

static const struct list_source rollouts_source = {
    .columns = rollouts_columns,
    .sort = ROLLOUTS_SERVICE,
    .rows = rollouts_rows,
    .key = place_row_key,
    .cell = rollouts_cell,
    .draw = rollouts_draw_bar,
};

static void rollouts_open(struct place *place)
{
    struct track *track = mem_zalloc(sizeof *track);
    track_init(track, track_take_weight);
    place->own = track;
}

static void rollouts_close(struct place *place)
{
    free(place->own);
}

static void rollouts_update(struct place *place)
{
    track_update(place->own, model_events(place->app->model), model_events_end(place->app->model));
}

/* How much the model had over time: its weight at each column's moment. */
static void rollouts_draw_weights(struct place *place, const struct model_row *row,
                                  struct grid *grid, struct rect r)
{
    float values[GRID_WIDTH_MAX];
    const struct track *track = place->own;
    const struct track_point *point;
    int64_t to_ms = place_at_ms(place);
    int64_t span_ms = place->app->timeline.span_ms;
    if (r.w <= 0)
        return;
    size_t n = (size_t)(r.w < GRID_WIDTH_MAX ? r.w : GRID_WIDTH_MAX);
    for (size_t i = 0; i < n; i++)
        values[i] = NAN;
    for (size_t k = 0; (point = track_at(track, k)) != NULL && point->when_ms <= to_ms; k++) {
        if (strcmp(point->subject, model_row_key(row)) != 0)
            continue;
        int64_t from = (int64_t)n - (to_ms - point->when_ms) * (int64_t)n / span_ms - 1;
        for (int64_t i = from < 0 ? 0 : from; i < (int64_t)n; i++)
            values[i] = (float)point->value;
    }
    int64_t since_ms = model_row_time(row, "since");
    int64_t from = since_ms != 0 ? (int64_t)n - (to_ms - since_ms) * (int64_t)n / span_ms - 1 : 0;
    from = since_ms == 0 || from >= (int64_t)n ? (int64_t)n - 1 : from < 0 ? 0 : from;
    for (int64_t i = from; i < (int64_t)n; i++)
        values[i] = (float)model_row_real(row, "weight", NAN);
    draw_spark(grid, r, values, n, 100, STYLE(INK_ACCENT));
}

/* Of a gate: its verdict in colour, then what it measures, in as many lines as that takes. */
static int rollouts_draw_gates(const struct model_row *row, struct grid *grid, struct rect r)
{
    struct model_value gates = model_row_get(row, "gates");
    int y = r.y;
    if (gates.type != MODEL_TYPE_JSON)
        return 0;
    struct json_scan s;
    struct json_slice key;
    struct json_slice value;
    json_scan_init(&s, gates.text, strlen(gates.text));
    (void)json_scan_array(&s);
    while (y < r.y + r.h && json_scan_element(&s)) {
        char gate[80] = "";
        char verdict[24] = "";
        char text[160] = "";
        if (!json_scan_object(&s))
            break;
        while (json_scan_key(&s, &key)) {
            char *to = json_slice_is(&key, "gate")      ? gate
                       : json_slice_is(&key, "verdict") ? verdict
                       : json_slice_is(&key, "text")    ? text
                                                        : NULL;
            size_t size = to == gate ? sizeof gate : to == verdict ? sizeof verdict : sizeof text;
            if (to == NULL || json_scan_peek(&s) != JSON_KIND_STRING)
                (void)json_scan_skip(&s, NULL);
            else if (json_scan_string(&s, &value))
                (void)snprintf(to, size, "%.*s", (int)(value.len < 200 ? value.len : 200),
                               value.text);
        }
        char line[256];
        (void)grid_text(grid, r.x, y, ROLLOUTS_VERDICT, STYLE(state_ink(verdict)),
                        verdict[0] != '\0' ? verdict : "not yet");
        (void)snprintf(line, sizeof line, "%s  %s", gate, text);
        struct rect at = rect_inset(r, ROLLOUTS_VERDICT + 1, y - r.y, 0, 0);
        int lines = draw_wrapped(grid, at, STYLE(INK_TEXT), line, grid);
        y += lines < at.h ? lines : at.h;
    }
    json_scan_done(&s);
    return y - r.y;
}

static int rollouts_draw_route(const struct model_row *row, struct grid *grid, struct rect r,
                               bool is_doubt)
{
    const char *node = model_row_text(row, "node");
    const char *error = model_row_text(row, "error");
    const char *canary = model_row_text(row, "canary_model_id");
    const char *status = model_row_text(row, "status");
    (void)grid_text(grid, r.x, r.y, 14, STYLE(log_view_ink(node)), node);
    if (error[0] != '\0') {
        (void)grid_text(grid, r.x + 15, r.y, r.w - 15, STYLE(INK_BAD), error);
        return 1;
    }
    (void)grid_printf(grid, r.x + 15, r.y, 7, STYLE(INK_TEXT), "v%lld",
                      (long long)model_row_int(row, "version", 0));
    (void)grid_text(grid, r.x + 22, r.y, 9, STYLE(is_doubt ? INK_WARN : state_ink(status)),
                    is_doubt ? "in doubt" : status);
    (void)grid_printf(grid, r.x + 32, r.y, r.w - 32, STYLE(INK_DIM), "%s %.0f%%%s%s%s",
                      model_row_text(row, "stable_model_id"), view_member(row, "weights", "stable"),
                      canary[0] != '\0' ? ", " : "", canary,
                      model_row_bool(row, "in_rotation") ||
                              model_row_get(row, "in_rotation").type == MODEL_TYPE_NULL
                          ? ""
                          : "  out of rotation");
    return 1;
}

/* Where each node stands with this service. */
static int rollouts_draw_nodes(struct place *place, const struct model_row *rollout,
                               struct grid *grid, struct rect r)
{
    const struct model_state *state = place_state(place);
    int y = r.y;
    for (size_t i = 0; i < model_state_count(state, MODEL_ROUTING) && y < r.y + r.h; i++) {
        const struct model_row *row = model_state_at(state, MODEL_ROUTING, i);
        const char *slash = strchr(model_row_key(row), '/');
        if (slash == NULL || strcmp(slash + 1, model_row_key(rollout)) != 0)
            continue;
        struct model_value doubt = model_row_get(row, "in_doubt");
        bool is_doubt = (doubt.type == MODEL_TYPE_BOOL && doubt.integer != 0) ||
                        (doubt.type == MODEL_TYPE_TEXT && doubt.text[0] != '\0') ||
                        (doubt.type == MODEL_TYPE_JSON && strcmp(doubt.text, "[]") != 0);
        y += rollouts_draw_route(row, grid, (struct rect){r.x, y, r.w, 1}, is_doubt);
    }
    return y - r.y;
}

static int rollouts_draw_transactions(struct place *place, struct grid *grid, struct rect r)
{
    const struct model_state *state = place_state(place);
    int y = r.y;
    for (size_t i = 0; i < model_state_count(state, MODEL_TRANSACTIONS) && y < r.y + r.h; i++) {
        const struct model_row *row = model_state_at(state, MODEL_TRANSACTIONS, i);
        const char *word = model_row_text(row, "state");
        char id[VIEW_SHORT_MAX];
        int x = r.x +
                grid_text(grid, r.x, y, 14, STYLE(INK_DIM), view_short_id(model_row_key(row), id));
        x = r.x + 15 + grid_text(grid, r.x + 15, y, 12, STYLE(state_ink(word)), word) + (x > 0);
        (void)grid_text(grid, r.x + 28, y++, r.w - 28, STYLE(INK_DIM), model_row_text(row, "text"));
    }
    return y - r.y;
}

static void rollouts_detail(struct place *place, const void *row, struct grid *grid,
                            struct rect rect)
{
    char text[128];
    bool is_wide = rect.w >= 100;
    int left = is_wide ? rect.w / 2 : rect.w;
    (void)snprintf(text, sizeof text, "share of %s, last %d minutes", model_row_text(row, "model"),
                   (int)(place->app->timeline.span_ms / 60000));
    draw_title(grid, (struct rect){rect.x, rect.y, left - 2, 1}, model_row_key(row), text, false);
    struct rect r = {rect.x + 2, rect.y + 1, left - 5, 4};
    (void)grid_text_right(grid, r.x, r.y, 4, STYLE(INK_DIM), "100%");
    (void)grid_text_right(grid, r.x, r.y + r.h - 1, 4, STYLE(INK_DIM), "0%");
    rollouts_draw_weights(place, row, grid, rect_inset(r, 5, 0, 0, 0));
    struct rect gates = {rect.x + 2, rect.y + 6, left - 4, rect.h - 6};
    draw_title(grid, (struct rect){rect.x, rect.y + 5, left - 2, 1}, "Gates", NULL, false);
    int used = rollouts_draw_gates(row, grid, gates);
    if (used == 0)
        (void)grid_text(grid, gates.x, gates.y, gates.w, STYLE(INK_DIM), "none");
    struct rect nodes = is_wide ? (struct rect){rect.x + left, rect.y, rect.w - left, rect.h}
                                : (struct rect){rect.x, gates.y + (used > 0 ? used : 1) + 1, rect.w,
                                                gates.h - (used > 0 ? used : 1) - 1};
    if (nodes.h < 2)
        return;
    draw_title(grid, (struct rect){nodes.x, nodes.y, nodes.w, 1}, "On the nodes", NULL, false);
    int rows = rollouts_draw_nodes(place, row, grid, rect_inset(nodes, 2, 1, 1, 0));
    nodes = rect_inset(nodes, 0, rows + 2, 0, 0);
    if (nodes.h >= 2 && model_state_count(place_state(place), MODEL_TRANSACTIONS) > 0) {
        draw_title(grid, (struct rect){nodes.x, nodes.y, nodes.w, 1}, "Transactions", NULL, false);
        (void)rollouts_draw_transactions(place, grid, rect_inset(nodes, 2, 1, 1, 0));
    }
}

const struct view view_rollouts = {
    .name = "rollouts",
    .brief = "roll",
    .title = "Rollouts",
    .about = "what serves, how much of it, gates and votes",
    .context = KEYS_ROLLOUTS,
    .list = &rollouts_source,
    .table = MODEL_ROLLOUTS,
    .open = rollouts_open,
    .close = rollouts_close,
    .update = rollouts_update,
    .detail_height = 12,
    .detail = rollouts_detail,
};
