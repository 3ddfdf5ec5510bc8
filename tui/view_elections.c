/* Who leads each group, who led, and why it changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tui/app.h"
#include "tui/draw.h"
#include "tui/track.h"
#include "tui/view_rows.h"

enum {
    ELECTIONS_GROUP,
    ELECTIONS_LEADER,
    ELECTIONS_TERM,
    ELECTIONS_SINCE,
    ELECTIONS_N,
    ELECTIONS_MEMBERS,
    ELECTIONS_REASON
};

static const struct list_column elections_columns[] = {
    [ELECTIONS_GROUP] = {"group", 7, 16, 0, false, false, false},
    [ELECTIONS_LEADER] = {"leader", 6, 20, 0, false, false, false},
    [ELECTIONS_TERM] = {"term", 4, 8, 2, true, true, false},
    [ELECTIONS_SINCE] = {"for", 5, 8, 0, true, true, false},
    [ELECTIONS_N] = {"elections", 9, 9, 3, true, true, false},
    [ELECTIONS_MEMBERS] = {"members", 7, 9, 4, true, true, false},
    [ELECTIONS_REASON] = {"why", 8, 0, 1, false, false, false},
    {NULL, 0, 0, 0, false, false, false},
};

static size_t elections_rows(void *arg, const void ***rows)
{
    return place_take_rows(arg, MODEL_ELECTIONS, NULL, rows);
}

static void elections_cell_members(const struct model_row *row, struct list_cell *cell)
{
    struct model_value members = model_row_get(row, "members");
    double n = members.real;
    if (members.type == MODEL_TYPE_JSON) {
        n = members.text[1] != ']';
        int depth = 0;
        for (const char *s = members.text; *s != '\0'; s++) {
            depth += *s == '[' || *s == '{';
            depth -= *s == ']' || *s == '}';
            n += *s == ',' && depth == 1;
        }
    }
    cell_number(cell, INK_TEXT, n, "%.0f", n);
}

static void elections_cell(void *arg, const void *row, int column, struct list_cell *cell)
{
    const struct place *place = arg;
    const char *leader = model_row_text(row, "leader");
    int64_t n;
    switch (column) {
    case ELECTIONS_GROUP:
        cell_text(cell, INK_TEXT, model_row_key(row));
        break;
    case ELECTIONS_LEADER:
        if (leader[0] != '\0')
            cell_text(cell, INK_ACCENT, leader);
        else
            cell_text(cell, INK_BAD, "nobody");
        cell->style.attr = ATTR_BOLD;
        break;
    case ELECTIONS_TERM:
        n = model_row_int(row, "term", 0);
        cell_number(cell, INK_TEXT, (double)n, "%lld", (long long)n);
        break;
    case ELECTIONS_SINCE:
        cell_age(cell, model_row_time(row, "since"), place_at_ms(place));
        break;
    case ELECTIONS_N:
        n = model_row_int(row, "elections", 0);
        cell_number(cell, INK_TEXT, (double)n, "%lld", (long long)n);
        break;
    case ELECTIONS_MEMBERS:
        elections_cell_members(row, cell);
        break;
    case ELECTIONS_REASON:
        cell_text(cell, INK_DIM, model_row_text(row, "reason"));
        break;
    default:
        break;
    }
}

static const struct list_source elections_source = {
    .columns = elections_columns,
    .sort = ELECTIONS_GROUP,
    .rows = elections_rows,
    .key = place_row_key,
    .cell = elections_cell,
};

static void elections_open(struct place *place)
{
    struct track *track = mem_zalloc(sizeof *track);
    track_init(track, track_take_lead);
    place->own = track;
    place->log.level_min = MODEL_LEVEL_DEBUG;
    (void)log_view_set_kinds(&place->log, "raft.*,chat.*", NULL);
}

static void elections_close(struct place *place)
{
    free(place->own);
}

static void elections_update(struct place *place)
{
    track_update(place->own, model_events(place->app->model), model_events_end(place->app->model));
}

/* Who led `group` at `at_ms` as far as events tell; NULL when they don't, "" when nobody. */
static const char *elections_leader_at(const struct track *track, const char *group, int64_t at_ms)
{
    const char *who = NULL;
    const struct track_point *point;
    for (size_t i = 0; (point = track_at(track, i)) != NULL && point->when_ms <= at_ms; i++) {
        if (strcmp(point->subject, group) == 0)
            who = point->who;
    }
    return who;
}

/* A band of time: one colour for each leader, with its name where it has room. */
static void elections_band(struct place *place, struct grid *grid, struct rect r, const char *group,
                           const char *leader, int64_t since_ms)
{
    int64_t to_ms = place_at_ms(place);
    int64_t span_ms = place->app->timeline.span_ms;
    const char *before = NULL;
    int begun = 0;
    for (int i = 0; i <= r.w; i++) {
        int64_t at_ms = to_ms - span_ms + span_ms * (i + 1) / r.w;
        const char *who = i < r.w ? elections_leader_at(place->own, group, at_ms) : NULL;
        if (i < r.w && since_ms != 0 && at_ms >= since_ms && leader[0] != '\0')
            who = leader;
        if (i < r.w) {
            bool led = who != NULL && who[0] != '\0';
            uint32_t ch = grid->ascii ? (led           ? '='
                                         : who != NULL ? 'x'
                                                       : '.')
                                      : (led           ? 0x2501
                                         : who != NULL ? 0x00d7
                                                       : 0x2500);
            enum theme_ink ink = led ? log_view_ink(who) : who != NULL ? INK_BAD : INK_RULE;
            grid_put(grid, r.x + i, r.y, STYLE(ink), ch);
        }
        bool same = i < r.w && before != NULL && who != NULL && strcmp(before, who) == 0;
        if (same)
            continue;
        int room = i - begun - 2;
        if (before != NULL && before[0] != '\0' && room >= (int)strlen(before) + 1) {
            grid_put(grid, r.x + begun + 1, r.y, STYLE(INK_TEXT), ' ');
            int used = grid_text(grid, r.x + begun + 2, r.y, room - 1,
                                 STYLE_BOLD(log_view_ink(before)), before);
            grid_put(grid, r.x + begun + 2 + used, r.y, STYLE(INK_TEXT), ' ');
        }
        begun = i;
        before = who;
    }
}

static int elections_draw_bands(struct place *place, struct grid *grid, struct rect r)
{
    char right[64];
    const struct model_state *state = place_state(place);
    size_t n = model_state_count(state, MODEL_ELECTIONS);
    (void)snprintf(right, sizeof right, "last %d minutes",
                   (int)(place->app->timeline.span_ms / 60000));
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Who led", right, false);
    int y = r.y + 1;
    static const char *const order[] = {"chat", "cluster"};
    for (size_t k = 0; k < MEM_COUNT(order) && n > 0; k++) {
        const struct model_row *row = model_state_find(state, MODEL_ELECTIONS, order[k]);
        if (row == NULL)
            continue;
        (void)grid_text(grid, r.x + 2, y, 9, STYLE(INK_TEXT), order[k]);
        elections_band(place, grid, (struct rect){r.x + 11, y, r.w - 12, 1}, order[k],
                       model_row_text(row, "leader"), model_row_time(row, "since"));
        y++;
    }
    return y - r.y;
}

/* Replicas of the cluster's state, one a line. */
static int elections_draw_members(struct place *place, struct grid *grid, struct rect r)
{
    const struct model_state *state = place_state(place);
    size_t n = model_state_count(state, MODEL_RAFT);
    int rows = (int)n < r.h - 1 ? (int)n : r.h - 1;
    if (n == 0 || rows < 1)
        return 0;
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Replicas of the cluster's state", NULL,
               false);
    for (int i = 0; i < rows; i++) {
        const struct model_row *row = model_state_at(state, MODEL_RAFT, (size_t)i);
        bool leads = model_row_bool(row, "leader");
        int64_t lag = model_row_int(row, "lag", 0);
        const char *word = model_row_text(row, "state");
        int y = r.y + 1 + i;
        (void)grid_text(grid, r.x + 2, y, 16, leads ? STYLE_BOLD(INK_ACCENT) : STYLE(INK_TEXT),
                        model_row_key(row));
        (void)grid_text(grid, r.x + 19, y, 8, STYLE(INK_DIM), model_row_text(row, "role"));
        (void)grid_text(grid, r.x + 28, y, 10, STYLE(state_ink(word)), word);
        char behind[VIEW_SHORT_MAX] = "keeps up";
        if (lag > 0)
            (void)snprintf(behind, sizeof behind, "behind by %lld", (long long)lag);
        (void)grid_printf(grid, r.x + 39, y, r.w - 40, STYLE(lag > 100 ? INK_WARN : INK_DIM),
                          "term %lld   %s", (long long)model_row_int(row, "term", 0), behind);
    }
    return rows + 1;
}

static void elections_draw(struct place *place, struct grid *grid, struct rect r)
{
    char right[VIEW_STATUS_MAX];
    int groups = (int)place->list.n_all > 0 ? (int)place->list.n_all : 1;
    int list = groups + 2 < r.h ? groups + 2 : r.h;
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Elections", NULL,
               place->focus == PLACE_LIST);
    list_draw(&place->list, grid, (struct rect){r.x, r.y + 1, r.w, list - 1});
    bool is_tall = r.h >= 16;
    r = rect_inset(r, 0, list + is_tall, 0, 0);
    if (r.h >= 5)
        r = rect_inset(r, 0, elections_draw_bands(place, grid, r) + is_tall, 0, 0);
    if (r.h >= 14) {
        int used = elections_draw_members(place, grid, (struct rect){r.x, r.y, r.w, r.h / 2});
        r = rect_inset(r, 0, used > 0 ? used + 1 : 0, 0, 0);
    }
    if (r.h < 2)
        return;
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Why it changed",
               log_view_summary(&place->log, right, sizeof right), place->focus == PLACE_LOG);
    log_view_draw(&place->log, grid, rect_inset(r, 0, 1, 0, 0), place->focus == PLACE_LOG);
}

const struct view view_elections = {
    .name = "elections",
    .brief = "lead",
    .title = "Elections",
    .about = "who leads, who led, and why it changed",
    .context = KEYS_ELECTIONS,
    .list = &elections_source,
    .has_log = true,
    .log_show = LOG_VIEW_SOURCE | LOG_VIEW_KIND | LOG_VIEW_LEVEL,
    .table = MODEL_ELECTIONS,
    .open = elections_open,
    .close = elections_close,
    .update = elections_update,
    .draw = elections_draw,
};
