/* The frame around a place: head with tabs or the path, line of time, status, and what is laid over
 * it: help, questions. From 40x10 all of it is readable; below that what fits is shown. */
#include "tui/app.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tui/draw.h"
#include "tui/view_rows.h"

enum {
    APP_TIMELINE_FROM = 14, /* rows of the screen */
    APP_GAPS_FROM = 100,    /* columns, for what is missing in words */
};

static struct style app_bar(enum theme_ink ink, bool bold)
{
    return (struct style){(uint8_t)ink, GROUND_BAR, bold ? ATTR_BOLD : 0};
}

/* "3 nodes · lead n1  16:40:12": as much as fits; its columns. */
static int app_draw_facts(struct app *app, struct grid *grid, int width)
{
    const struct model_state *state = model_state(app->model);
    char text[160];
    char clock[32];
    const struct model_row *lead = model_state_find(state, MODEL_ELECTIONS, "cluster");
    const char *leader = model_row_text(lead, "leader");
    size_t n = model_state_count(state, MODEL_NODES);
    (void)format_clock(model_at_ms(app->model), clock);
    if (width >= 100)
        (void)snprintf(text, sizeof text, "%zu node%s   lead %.20s   %s", n, n == 1 ? "" : "s",
                       leader[0] != '\0' ? leader : "nobody", clock);
    else
        (void)snprintf(text, sizeof text, "%s", clock);
    int w = grid_width(grid, text, strlen(text));
    if (width < 30)
        return 0;
    (void)grid_text(grid, width - w - 1, 0, w, app_bar(INK_TEXT, false), text);
    return w + 2;
}

enum app_tabs { APP_TABS_NAMES, APP_TABS_BRIEF, APP_TABS_DIGITS };

static int app_draw_tabs(struct app *app, struct grid *grid, int width, enum app_tabs form)
{
    int x = 1;
    for (size_t i = 0; view_tabs[i] != NULL; i++) {
        bool active = app->places[0]->view == view_tabs[i];
        int at = x;
        app->tab_x[i] = x;
        char digit[2] = {(char)('1' + i), '\0'};
        const char *name = form == APP_TABS_NAMES || active ? view_tabs[i]->name
                           : form == APP_TABS_BRIEF         ? view_tabs[i]->brief
                                                            : "";
        int w = 1 + (name[0] != '\0' ? 1 + (int)strlen(name) : 0);
        if (x + w > width) {
            app->tab_w[i] = 0;
            continue;
        }
        x +=
            grid_text(grid, x, 0, width - x, app_bar(active ? INK_ACCENT : INK_DIM, active), digit);
        if (name[0] != '\0')
            x += 1 + grid_text(grid, x + 1, 0, width - x - 1,
                               app_bar(active ? INK_ACCENT : INK_TEXT, active), name);
        app->tab_w[i] = x - at;
        x += form == APP_TABS_DIGITS ? 1 : 2;
    }
    return x;
}

static void app_draw_head(struct app *app, struct grid *grid)
{
    grid_fill(grid, (struct rect){0, 0, grid->w, 1}, app_bar(INK_TEXT, false));
    int right = app_draw_facts(app, grid, grid->w);
    int room = grid->w - right;
    memset(app->tab_w, 0, sizeof app->tab_w);
    if (app->n_places == 1) {
        (void)app_draw_tabs(app, grid, room,
                            room >= 84   ? APP_TABS_NAMES
                            : room >= 68 ? APP_TABS_BRIEF
                                         : APP_TABS_DIGITS);
        return;
    }
    int x = 1;
    for (size_t i = 0; i < app->n_places && x < room; i++) {
        bool last = i + 1 == app->n_places;
        if (i > 0) {
            grid_put(grid, x + 1, 0, app_bar(INK_DIM, false), grid_glyph(grid, GLYPH_CRUMB));
            x += 3;
        }
        x += grid_text(grid, x, 0, room - x, app_bar(last ? INK_ACCENT : INK_TEXT, last),
                       app->places[i]->label);
    }
}

/* What is not as it seems: no connection, the past, frozen. */
static bool app_alert(const struct app *app, char *text, size_t size)
{
    char clock[32];
    char ago[STR_SHORT_MAX];
    enum model_mode mode = model_mode(app->model);
    (void)format_clock(model_at_ms(app->model), clock);
    (void)view_age(model_at_ms(app->model), model_live_ms(app->model), ago, sizeof ago);
    if (app->link.is_seeking)
        (void)snprintf(text, size, " asking the cluster for that moment ");
    else if (mode == MODEL_MODE_FROZEN)
        (void)snprintf(text, size, " FROZEN at %s, %s behind; Z goes on ", clock, ago);
    else if (mode == MODEL_MODE_PAST)
        (void)snprintf(text, size, " THE PAST: %s, %s ago; End is now ", clock, ago);
    else if (!app->link.is_connected && !app->link.is_replay)
        (void)snprintf(text, size,
                       app->link.was_connected ? " NOT CONNECTED, trying again: %s "
                                               : " connecting: %s ",
                       app->link.trouble[0] != '\0' ? app->link.trouble : app->link.endpoint);
    else if (model_partial(app->model)[0] != '\0')
        (void)snprintf(text, size, " A PART ONLY, %s ", model_partial(app->model));
    else
        return false;
    return true;
}

/* Short keys of this place, as many as fit. */
static void app_draw_keys(const struct app *app, struct grid *grid, int x, int y, int width)
{
    enum keys_context contexts[KEYS_CONTEXTS];
    size_t n = app_contexts(app, contexts);
    for (size_t c = 0; c < n; c++) {
        for (size_t i = 0; i < keys_n; i++) {
            const struct keys_row *row = &keys_table[i];
            char key[KEYS_NAME_MAX];
            if (row->context != contexts[c] || !row->is_short ||
                (row->changes && app->is_readonly) || row->name[0] == '\0')
                continue;
            (void)keys_name(row->key, key);
            int w = (int)strlen(key) + 1 + (int)strlen(row->name);
            if (x + w > width)
                continue;
            x += grid_text(grid, x, y, width - x, app_bar(INK_ACCENT, true), key) + 1;
            x += grid_text(grid, x, y, width - x, app_bar(INK_DIM, false), row->name) + 2;
        }
    }
}

static void app_draw_edit(struct app *app, struct grid *grid, int y)
{
    static const char *const prompts[] = {":", "/", "say: "};
    char hint[256] = "";
    const char *prompt = prompts[app->edit_kind];
    struct style style = app_bar(INK_TEXT, false);
    int x = 1 + grid_text(grid, 1, y, grid->w - 1, app_bar(INK_ACCENT, true), prompt);
    if (app->edit_kind == APP_EDIT_COMMAND)
        app_complete(app, hint, sizeof hint);
    int used = grid_width(grid, app->edit.text, app->edit.len);
    int room = grid->w - x - used - 4;
    if (hint[0] != '\0' && room > 8)
        (void)grid_text(grid, x + used + 3, y, room, app_bar(INK_DIM, false), hint);
    edit_draw(&app->edit, grid, x, y, grid->w - x - 1, style);
}

static void app_draw_status(struct app *app, struct grid *grid, int y)
{
    char text[APP_NOTICE_MAX + 64];
    grid_fill(grid, (struct rect){0, y, grid->w, 1}, app_bar(INK_TEXT, false));
    if (app->mode == APP_EDIT) {
        app_draw_edit(app, grid, y);
        return;
    }
    int x = 1;
    if (app_alert(app, text, sizeof text)) {
        /* a notice has room beside it */
        x = grid_text(grid, 0, y, app->notice[0] != '\0' ? grid->w / 2 : grid->w,
                      STYLE_ON(INK_TEXT, GROUND_ALERT), text) +
            1;
    }
    (void)model_gaps(app->model, grid->w < APP_GAPS_FROM, text, sizeof text);
    if (text[0] != '\0')
        x += grid_text(grid, x, y, grid->w - x, app_bar(INK_WARN, false), text) + 2;
    if (app->is_readonly && x + 12 < grid->w)
        x += grid_text(grid, x, y, grid->w - x, app_bar(INK_WARN, false), "read only") + 2;
    if (app->notice[0] != '\0')
        (void)grid_text(grid, x, y, grid->w - x - 1,
                        app_bar(app->is_notice_bad ? INK_BAD : INK_TEXT, false), app->notice);
    else
        app_draw_keys(app, grid, x, y, grid->w - 1);
}

static void app_draw_ask(struct app *app, struct grid *grid)
{
    int w = grid->w < 64 ? grid->w - 2 : 60;
    struct rect inner = {0, 0, w - 4, 0};
    int lines = draw_wrapped(NULL, inner, STYLE(INK_TEXT), app->ask, grid);
    lines = lines > grid->h - 5 ? grid->h - 5 : lines;
    lines = lines < 1 ? 1 : lines;
    struct rect box = {(grid->w - w) / 2, (grid->h - lines - 4) / 2, w, lines + 4};
    draw_box(grid, box, "Sure?");
    inner = (struct rect){box.x + 2, box.y + 1, w - 4, lines};
    struct style text = STYLE_ON(INK_TEXT, GROUND_DIALOG);
    (void)draw_wrapped(grid, inner, text, app->ask, grid);
    struct style key = {INK_ACCENT, GROUND_DIALOG, ATTR_BOLD};
    int y = box.y + box.h - 2;
    int x = inner.x;
    x += grid_text(grid, x, y, inner.w, key, "y");
    x += grid_text(grid, x, y, inner.w - 1, text, " do it    ");
    x += grid_text(grid, x, y, box.x + w - 1 - x, key, "n");
    (void)grid_text(grid, x, y, box.x + w - 1 - x, text, " leave it");
}

void app_draw(struct app *app, struct grid *grid)
{
    app->is_ascii = grid->ascii;
    app->height = grid->h;
    app->is_dirty = false;
    app->timeline_y = -1;
    grid_clear(grid);
    struct rect body = {1, 1, grid->w - 2, grid->h - 2};
    if (grid->w < 30)
        body = (struct rect){0, 1, grid->w, grid->h - 2};
    bool is_past = model_mode(app->model) != MODEL_MODE_LIVE;
    if (grid->h >= APP_TIMELINE_FROM || (is_past && grid->h >= 8)) {
        app->timeline_y = grid->h - 2;
        body.h -= 1;
        timeline_draw(&app->timeline, grid, (struct rect){1, app->timeline_y, grid->w - 2, 1},
                      model_at_ms(app->model), model_live_ms(app->model), !is_past);
    }
    if (grid->h >= 20) {
        body.y++;
        body.h -= 2;
    }
    if (body.h > 0 && body.w > 0)
        place_draw(app_place(app), grid, body);
    if (grid->h > 1)
        app_draw_head(app, grid);
    app_draw_status(app, grid, grid->h - 1);
    if (app->mode == APP_HELP)
        app_draw_help(app, grid);
    else if (app->mode == APP_ASK)
        app_draw_ask(app, grid);
    else if (app->mode == APP_COLUMNS)
        app_draw_columns(app, grid);
}

/* Help */

enum { APP_HELP_KEY = 16 };

/* Draws line `line` of the help, or counts when grid is NULL. */
static int app_help_each(const struct app *app, struct grid *grid, struct rect rect, int top)
{
    enum keys_context contexts[KEYS_CONTEXTS];
    size_t n = app_contexts(app, contexts);
    int line = 0;
    for (size_t c = 0; c < n; c++) {
        int y = rect.y + line - top;
        if (grid != NULL && y >= rect.y && y < rect.y + rect.h)
            (void)grid_text(grid, rect.x, y, rect.w,
                            (struct style){INK_TITLE, GROUND_DIALOG, ATTR_BOLD},
                            keys_context_title(contexts[c]));
        line++;
        for (size_t i = 0; i < keys_n; i++) {
            const struct keys_row *row = &keys_table[i];
            char key[KEYS_NAME_MAX];
            char also[KEYS_NAME_MAX];
            char both[64];
            if (row->context != contexts[c])
                continue;
            y = rect.y + line++ - top;
            if (grid == NULL || y < rect.y || y >= rect.y + rect.h)
                continue;
            if (row->key == 0)
                (void)snprintf(both, sizeof both, ":%s", row->name);
            else
                (void)snprintf(both, sizeof both, "%s%s%s", keys_name(row->key, key),
                               row->also != 0 ? " " : "", keys_name(row->also, also));
            bool off = row->changes && app->is_readonly;
            (void)grid_text(grid, rect.x + 2, y, APP_HELP_KEY - 1,
                            STYLE_ON(off ? INK_DIM : INK_ACCENT, GROUND_DIALOG), both);
            (void)grid_text(grid, rect.x + 2 + APP_HELP_KEY, y, rect.w - 2 - APP_HELP_KEY,
                            STYLE_ON(off ? INK_DIM : INK_TEXT, GROUND_DIALOG), row->help);
        }
        line++;
    }
    return line - 1;
}

int app_help_lines(const struct app *app)
{
    return app_help_each(app, NULL, (struct rect){0}, 0);
}

void app_draw_help(struct app *app, struct grid *grid)
{
    int lines = app_help_lines(app);
    int w = grid->w < 80 ? grid->w : 80;
    int h = lines + 4 < grid->h ? lines + 4 : grid->h;
    struct rect box = {(grid->w - w) / 2, (grid->h - h) / 2, w, h};
    char title[128];
    (void)snprintf(title, sizeof title, "%s: %s", app_place(app)->view->title,
                   app_place(app)->view->about);
    draw_box(grid, box, title);
    struct rect inner = rect_inset(box, 2, 2, 2, 2);
    if (h < 12)
        inner = rect_inset(box, 2, 1, 2, 1);
    if (app->help_top > lines - inner.h)
        app->help_top = lines > inner.h ? lines - inner.h : 0;
    (void)app_help_each(app, grid, inner, app->help_top);
    if (lines > inner.h && w > 30)
        (void)grid_text(grid, box.x + w - 24, box.y + h - 1, 22, STYLE_ON(INK_DIM, GROUND_DIALOG),
                        " Up, Down: more; Esc ");
}
