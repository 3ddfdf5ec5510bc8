/* The first screen: what is wrong, since when and where, as a list to go into; below it the whole
 * cluster in calm panes. What is wrong is found by overview_problems.c. */
#include "tui/overview.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/nodeset.h"
#include "base/str.h"
#include "tui/app.h"
#include "tui/draw.h"
#include "tui/view_rows.h"

enum { OVERVIEW_SINCE, OVERVIEW_WHERE, OVERVIEW_WHAT };

static const struct list_column overview_columns[] = {
    [OVERVIEW_SINCE] = {"for", 5, 8, 1, true, false, false},
    [OVERVIEW_WHERE] = {"where", 6, 28, 0, false, false, false},
    [OVERVIEW_WHAT] = {"what", 10, 0, 0, false, false, false},
    {NULL, 0, 0, 0, false, false, false},
};

static size_t overview_rows(void *arg, const void ***rows)
{
    struct place *place = arg;
    struct overview *own = place->own;
    place->n_rows = 0;
    for (size_t i = 0; i < own->n; i++)
        place_add_row(place, &own->problems[i]);
    *rows = place->rows;
    return place->n_rows;
}

static void overview_key(void *arg, const void *row, char key[static LIST_KEY_MAX])
{
    const struct overview_problem *problem = row;
    (void)arg;
    (void)snprintf(key, LIST_KEY_MAX, "%s/%.100s", problem->view->name, problem->key);
}

static void overview_cell(void *arg, const void *row, int column, struct list_cell *cell)
{
    const struct overview_problem *problem = row;
    const struct place *place = arg;
    enum theme_ink ink = problem->is_bad ? INK_BAD : INK_WARN;
    switch (column) {
    case OVERVIEW_SINCE:
        cell_age(cell, problem->since_ms, place_at_ms(place));
        break;
    case OVERVIEW_WHERE:
        cell_text(cell, ink, problem->where);
        break;
    default:
        cell_text(cell, INK_TEXT, problem->what);
        break;
    }
}

static const struct list_source overview_source = {
    .columns = overview_columns,
    .sort = -1,
    .rows = overview_rows,
    .key = overview_key,
    .cell = overview_cell,
};

static void overview_open(struct place *place)
{
    place->own = mem_zalloc(sizeof(struct overview));
    place->log.level_min = MODEL_LEVEL_WARN;
}

static void overview_close(struct place *place)
{
    struct overview *own = place->own;
    free(own->nodes);
    free(own);
}

static int overview_compare_nodes(const void *a, const void *b)
{
    const struct model_row *const *one = a;
    const struct model_row *const *two = b;
    return nodeset_compare_names(model_row_key(*one), model_row_key(*two));
}

static void overview_update(struct place *place)
{
    struct overview *own = place->own;
    const struct model_state *state = place_state(place);
    uint64_t generation = model_state_generation(state, MODEL_NODES);
    overview_find_problems(own, place->app->model);
    if (own->nodes != NULL && own->nodes_generation == generation &&
        own->nodes_of == state->tables[MODEL_NODES])
        return;
    own->nodes_generation = generation;
    own->nodes_of = state->tables[MODEL_NODES];
    own->n_nodes = model_state_count(state, MODEL_NODES);
    free(own->nodes);
    own->nodes = mem_calloc(own->n_nodes + 1, sizeof *own->nodes);
    for (size_t i = 0; i < own->n_nodes; i++)
        own->nodes[i] = model_state_at(state, MODEL_NODES, i);
    if (own->n_nodes > 1)
        qsort(own->nodes, own->n_nodes, sizeof *own->nodes, overview_compare_nodes);
}

static void overview_enter(struct place *place)
{
    const struct overview_problem *problem = list_selected(&place->list);
    struct app *app = place->app;
    char key[LIST_KEY_MAX];
    if (place->focus == PLACE_LOG || problem == NULL)
        return;
    (void)snprintf(key, sizeof key, "%s", problem->key);
    const struct view *view = problem->view;
    (void)app_show(app, view->name);
    if (key[0] == '\0' && app_place(app)->view->list != NULL)
        (void)list_set_filter(&app_place(app)->list, "failed", NULL);
    else if (app_place(app)->view->list != NULL)
        (void)list_select(&app_place(app)->list, key);
}

/* Panes: each draws a title and what fits, and returns the lines it took */

static int overview_draw_groups(struct place *place, struct grid *grid, struct rect r)
{
    const struct model_state *state = place_state(place);
    static const char *const order[] = {"cluster", "chat"};
    int y = r.y + 1;
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Who leads", NULL, false);
    for (size_t i = 0; i < MEM_COUNT(order) && y < r.y + r.h; i++) {
        const struct model_row *row = model_state_find(state, MODEL_ELECTIONS, order[i]);
        char age[32];
        if (row == NULL)
            continue;
        const char *leader = model_row_text(row, "leader");
        int64_t since_ms = model_row_time(row, "since");
        (void)grid_text(grid, r.x + 2, y, 8, STYLE(INK_DIM), order[i]);
        int x = r.x + 11;
        x += grid_text(grid, x, y, 16,
                       leader[0] != '\0' ? STYLE_BOLD(INK_ACCENT) : STYLE_BOLD(INK_BAD),
                       leader[0] != '\0' ? leader : "nobody");
        (void)grid_printf(grid, x + 2, y++, r.x + r.w - x - 2, STYLE(INK_DIM), "%s%s%sterm %lld",
                          since_ms != 0 ? "for " : "",
                          view_age(since_ms, place_at_ms(place), age, sizeof age),
                          since_ms != 0 ? ", " : "", (long long)model_row_int(row, "term", 0));
    }
    return y - r.y;
}

static void overview_draw_node(struct place *place, const struct model_row *row, struct grid *grid,
                               struct rect r)
{
    const char *word = model_row_text(row, "state");
    const struct model_vitals *vitals = model_vitals(place->app->model);
    const char *name = model_row_key(row);
    float cpu = model_vitals_value(vitals, name, MODEL_VITAL_CPU, place_at_ms(place));
    float memory = model_vitals_value(vitals, name, MODEL_VITAL_MEMORY, place_at_ms(place));
    int label = r.w >= 60 ? 16 : 8;
    grid_put(grid, r.x, r.y, STYLE(state_ink(word)), grid_glyph(grid, GLYPH_BULLET));
    (void)grid_text(grid, r.x + 2, r.y, label, STYLE(INK_TEXT), name);
    int x = r.x + 3 + label;
    if (strcmp(word, "online") != 0 || isnan(cpu)) {
        (void)grid_text(grid, x, r.y, r.x + r.w - x, STYLE(state_ink(word)), word);
        return;
    }
    (void)grid_printf(grid, x, r.y, 8, STYLE(cpu >= 95 ? INK_WARN : INK_TEXT), "cpu %3.0f%%",
                      (double)cpu);
    x += 9;
    int line = r.x + r.w - x;
    if (line >= 22 && !isnan(memory)) {
        (void)grid_printf(grid, x, r.y, 8, STYLE(memory >= 95 ? INK_WARN : INK_TEXT), "mem %3.0f%%",
                          (double)memory);
        x += 9;
        line -= 9;
    }
    int strip = line >= 30 ? line / 2 : 0;
    if (line >= 4)
        view_draw_vital(place, name, MODEL_VITAL_CPU, 100, grid,
                        (struct rect){x, r.y, line - (strip > 0 ? strip + 1 : 0), 1},
                        STYLE(INK_ACCENT));
    if (strip > 0)
        view_draw_beats(place, name, grid, (struct rect){x + line - strip, r.y, strip, 1});
}

/* "997 online, 2 suspect": numbers of states, in their order of worry. */
static void overview_count_states(const struct overview *own, char *out, size_t size)
{
    static const char *const words[] = {"offline", "suspect", "draining", "drained", "online"};
    size_t used = 0;
    out[0] = '\0';
    for (size_t k = 0; k < MEM_COUNT(words); k++) {
        size_t n = 0;
        for (size_t i = 0; i < own->n_nodes; i++)
            n += strcmp(model_row_text(own->nodes[i], "state"), words[k]) == 0;
        if (n > 0 && used < size)
            used += (size_t)snprintf(out + used, size - used, "%s%zu %s", used > 0 ? ", " : "", n,
                                     words[k]);
    }
}

static void overview_draw_sign(const struct model_row *node, struct grid *grid, int x, int y)
{
    enum theme_ink ink = state_ink(model_row_text(node, "state"));
    uint32_t ch = grid_glyph(grid, ink == INK_BAD ? GLYPH_CROSS : GLYPH_BULLET);
    if (ink == INK_GOOD)
        ch = grid->ascii ? '.' : 0x2022;
    grid_put(grid, x, y, STYLE(ink), ch);
}

/* One sign a node, where a line for each has no room. When there is none for that either, those
 * that are well are left out first. */
static int overview_draw_field(const struct overview *own, struct grid *grid, struct rect r)
{
    size_t width = (size_t)(r.w > 0 ? r.w : 1);
    size_t room = width * (size_t)(r.h > 0 ? r.h : 0);
    size_t n_bad = 0;
    size_t at = 0;
    for (size_t i = 0; i < own->n_nodes; i++)
        n_bad += state_ink(model_row_text(own->nodes[i], "state")) != INK_GOOD;
    size_t n_good = room > n_bad ? room - n_bad : 0;
    for (size_t i = 0; i < own->n_nodes && at < room; i++) {
        bool is_good = state_ink(model_row_text(own->nodes[i], "state")) == INK_GOOD;
        if (is_good && n_good == 0)
            continue;
        n_good -= is_good;
        overview_draw_sign(own->nodes[i], grid, r.x + (int)(at % width), r.y + (int)(at / width));
        at++;
    }
    return at > 0 ? (int)((at - 1) / width) + 1 : 0;
}

static int overview_draw_nodes(struct place *place, struct grid *grid, struct rect r)
{
    const struct overview *own = place->own;
    char right[96];
    overview_count_states(own, right, sizeof right);
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Nodes", right, false);
    struct rect inner = rect_inset(r, 2, 1, 1, 0);
    if ((int)own->n_nodes > inner.h)
        return 1 + overview_draw_field(own, grid, inner);
    for (size_t i = 0; i < own->n_nodes; i++)
        overview_draw_node(place, own->nodes[i], grid,
                           (struct rect){inner.x, inner.y + (int)i, inner.w, 1});
    return 1 + (int)own->n_nodes;
}

static bool overview_is_active(const struct model_row *row)
{
    const char *word = model_row_text(row, "state");
    return strcmp(word, "running") == 0 || strcmp(word, "pending") == 0 ||
           strcmp(word, "waiting") == 0;
}

static int overview_draw_jobs(struct place *place, struct grid *grid, struct rect r)
{
    const struct model_state *state = place_state(place);
    size_t n = model_state_count(state, MODEL_JOBS);
    size_t running = 0;
    size_t pending = 0;
    int y = r.y + 1;
    for (size_t i = 0; i < n; i++) {
        const struct model_row *row = model_state_at(state, MODEL_JOBS, i);
        const char *word = model_row_text(row, "state");
        running += strcmp(word, "running") == 0;
        pending += strcmp(word, "pending") == 0;
        if (!overview_is_active(row) || y >= r.y + r.h)
            continue;
        char id[VIEW_SHORT_MAX];
        const char *name = model_row_text(row, "name");
        int label = r.w >= 50 ? 20 : 12;
        (void)grid_text(grid, r.x + 2, y, label, STYLE(INK_TEXT),
                        name[0] != '\0' ? name : view_short_id(model_row_key(row), id));
        char done[40];
        (void)snprintf(done, sizeof done, "%lld/%lld",
                       (long long)model_row_int(row, "completed", 0),
                       (long long)model_row_int(row, "elements", 0));
        (void)grid_text_right(grid, r.x + r.w - 13, y, 12, STYLE(INK_DIM), done);
        if (strcmp(word, "pending") == 0)
            (void)grid_text(grid, r.x + label + 3, y, r.w - label - 17, STYLE(INK_DIM),
                            model_row_text(row, "reason"));
        else
            view_draw_job(row, grid, (struct rect){r.x + label + 3, y, r.w - label - 17, 1});
        y++;
    }
    char right[64];
    (void)snprintf(right, sizeof right, "%zu running, %zu pending", running, pending);
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Jobs", right, false);
    return y - r.y;
}

static int overview_draw_queries(struct place *place, struct grid *grid, struct rect r)
{
    const struct model_state *state = place_state(place);
    size_t n = model_state_count(state, MODEL_QUERIES);
    size_t running = 0;
    int y = r.y + 1;
    for (size_t i = 0; i < n; i++) {
        const struct model_row *row = model_state_at(state, MODEL_QUERIES, i);
        if (!overview_is_active(row))
            continue;
        running++;
        if (y < r.y + r.h) {
            (void)grid_text(grid, r.x + 2, y, 10, STYLE(state_ink(model_row_text(row, "state"))),
                            model_row_text(row, "state"));
            (void)grid_text(grid, r.x + 12, y++, r.w - 13, STYLE(INK_TEXT),
                            model_row_text(row, "sql"));
        }
    }
    char right[64];
    (void)snprintf(right, sizeof right, "%zu running", running);
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Queries", right, false);
    return y - r.y;
}

static int overview_draw_rollouts(struct place *place, struct grid *grid, struct rect r)
{
    const struct model_state *state = place_state(place);
    size_t n = model_state_count(state, MODEL_ROLLOUTS);
    char right[64];
    int y = r.y + 1;
    (void)snprintf(right, sizeof right, "%zu service%s", n, n == 1 ? "" : "s");
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Rollouts", right, false);
    for (size_t i = 0; i < n && y < r.y + r.h; i++) {
        const struct model_row *row = model_state_at(state, MODEL_ROLLOUTS, i);
        const char *word = model_row_text(row, "state");
        double weight = model_row_real(row, "weight", 0);
        (void)grid_text(grid, r.x + 2, y, 12, STYLE(INK_TEXT), model_row_key(row));
        (void)grid_text(grid, r.x + 15, y, 10, STYLE(INK_DIM), model_row_text(row, "model"));
        int bar = r.w - 44;
        if (bar >= 6)
            draw_bar(grid, r.x + 26, y, bar, weight / 100, STYLE(state_ink(word)));
        (void)grid_printf(grid, r.x + r.w - 17, y, 5, STYLE(INK_TEXT), "%3.0f%%", weight);
        (void)grid_text(grid, r.x + r.w - 12, y++, 11, STYLE(state_ink(word)), word);
    }
    return y - r.y;
}

static int overview_draw_chat(struct place *place, struct grid *grid, struct rect r)
{
    const struct model_lines *lines = model_messages(place->app->model);
    uint64_t end = model_messages_end(place->app->model);
    uint64_t first = model_lines_first(lines);
    uint64_t room = r.h > 1 ? (uint64_t)r.h - 1 : 0;
    int y = r.y + 1;
    draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "Chat", NULL, false);
    for (uint64_t pos = end > first + room ? end - room : first; pos < end; pos++) {
        struct model_line line;
        model_lines_get(lines, pos, &line);
        int used = grid_text(grid, r.x + 2, y, 12, STYLE(log_view_ink(line.source)), line.source);
        (void)grid_text(grid, r.x + 3 + used, y, r.w - used - 4, STYLE(INK_TEXT), line.text);
        y++;
    }
    return y - r.y;
}

/* Lists under each other; each gets what it wants as far as that goes, an empty line between. */
static void overview_draw_column(struct place *place, struct grid *grid, struct rect r,
                                 int (*const *panes)(struct place *, struct grid *, struct rect),
                                 const int *wants, size_t n)
{
    int least = 0;
    for (size_t i = 0; i < n; i++)
        least += wants[i] < 3 ? wants[i] : 3;
    bool has_gaps = r.h >= least + (int)n - 1;
    int spare = r.h - least - (has_gaps ? (int)n - 1 : 0);
    for (size_t i = 0; i < n && r.h >= 2; i++) {
        int h = wants[i] < 3 ? wants[i] : 3;
        int more = wants[i] - h;
        more = more > spare ? spare : more;
        more = more < 0 ? 0 : more;
        spare -= more;
        h += more;
        h = h > r.h ? r.h : h;
        (void)panes[i](place, grid, (struct rect){r.x, r.y, r.w, h});
        r = rect_inset(r, 0, h + has_gaps, 0, 0);
    }
}

static int overview_n_active(const struct model_state *state, enum model_table table)
{
    int active = 0;
    for (size_t i = 0; i < model_state_count(state, table) && active < 20; i++)
        active += overview_is_active(model_state_at(state, table, i));
    return active;
}

static void overview_draw_panes(struct place *place, struct grid *grid, struct rect r)
{
    static int (*const panes[])(struct place *, struct grid *, struct rect) = {
        overview_draw_groups, overview_draw_nodes, overview_draw_chat};
    static int (*const others[])(struct place *, struct grid *, struct rect) = {
        overview_draw_jobs, overview_draw_queries, overview_draw_rollouts, overview_draw_chat};
    const struct model_state *state = place_state(place);
    const struct overview *own = place->own;
    int groups = 1 + (int)model_state_count(state, MODEL_ELECTIONS);
    int rollouts = (int)model_state_count(state, MODEL_ROLLOUTS);
    int chat = r.h / 3 + 2;
    int lefts[] = {groups < 3 ? groups : 3, 1 + (int)own->n_nodes, chat};
    int rights[] = {1 + overview_n_active(state, MODEL_JOBS),
                    1 + overview_n_active(state, MODEL_QUERIES), 1 + rollouts, chat};
    if (r.w < 76) {
        int used = lefts[0] + lefts[1] + 2;
        overview_draw_column(place, grid, r, panes, lefts, 2);
        overview_draw_column(place, grid, rect_inset(r, 0, used, 0, 0), others, rights, 4);
        return;
    }
    /* chat stands where there is more room */
    bool is_left =
        lefts[0] + lefts[1] < rights[0] + rights[1] + rights[2] && lefts[0] + lefts[1] + 6 <= r.h;
    int w = r.w / 2;
    overview_draw_column(place, grid, (struct rect){r.x, r.y, w - 1, r.h}, panes, lefts,
                         is_left ? 3 : 2);
    overview_draw_column(place, grid, (struct rect){r.x + w + 1, r.y, r.w - w - 1, r.h}, others,
                         rights, is_left ? 3 : 4);
}

static void overview_draw(struct place *place, struct grid *grid, struct rect r)
{
    char text[VIEW_STATUS_MAX];
    int n = (int)place->list.n;
    int gap = r.h >= 16;
    bool knows = place_at_ms(place) != 0;
    if (place->list.n_all == 0) {
        grid_put(grid, r.x, r.y, STYLE(knows ? INK_GOOD : INK_DIM), grid_glyph(grid, GLYPH_BULLET));
        (void)grid_text(grid, r.x + 2, r.y, r.w - 2, STYLE_BOLD(knows ? INK_GOOD : INK_DIM),
                        knows ? "All is well" : "Nothing is known yet");
        r = rect_inset(r, 0, 1 + gap, 0, 0);
    } else {
        int most = r.h < 12 ? r.h - 1 : r.h / 3;
        int h = n + 1 < most ? n + 1 : most;
        (void)snprintf(text, sizeof text, "%d", n);
        draw_title(grid, (struct rect){r.x, r.y, r.w, 1}, "What is wrong", text,
                   place->focus == PLACE_LIST);
        list_draw(&place->list, grid, (struct rect){r.x, r.y + 1, r.w, h});
        r = rect_inset(r, 0, h + 1 + gap, 0, 0);
    }
    int log = r.h >= 22 ? r.h / 4 : 0;
    overview_draw_panes(place, grid, rect_inset(r, 0, 0, 0, log > 0 ? log + 1 : 0));
    if (log > 0) {
        struct rect below = {r.x, r.y + r.h - log, r.w, log};
        draw_title(grid, (struct rect){below.x, below.y, below.w, 1}, "Latest warnings and errors",
                   NULL, place->focus == PLACE_LOG);
        log_view_draw(&place->log, grid, rect_inset(below, 0, 1, 0, 0), place->focus == PLACE_LOG);
    }
}

const struct view view_overview = {
    .name = "overview",
    .brief = "over",
    .title = "Overview",
    .about = "what is wrong, since when, and where",
    .context = KEYS_EVERYWHERE,
    .list = &overview_source,
    .has_log = true,
    .log_show = LOG_VIEW_SOURCE | LOG_VIEW_LEVEL,
    .table = MODEL_TABLES,
    .open = overview_open,
    .close = overview_close,
    .update = overview_update,
    .draw = overview_draw,
    .enter = overview_enter,
};
