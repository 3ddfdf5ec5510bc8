/* Places: what all views share. A list above, what is known of its selected row below, or a log. */
#include "tui/view.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "tui/app.h"
#include "tui/draw.h"

struct place *place_new(struct app *app, const struct view *view, const char *subject,
                        const char *label)
{
    struct place *place = mem_zalloc(sizeof *place);
    place->app = app;
    place->view = view;
    (void)snprintf(place->subject, sizeof place->subject, "%s", subject);
    (void)snprintf(place->label, sizeof place->label, "%s", label);
    if (view->list != NULL)
        list_init(&place->list, view->list, place);
    if (view->has_log)
        log_view_init(&place->log, view->log_show);
    place->focus = view->list != NULL ? PLACE_LIST : PLACE_LOG;
    return place;
}

void place_free(struct place *place)
{
    if (place == NULL)
        return;
    if (place->view->close != NULL)
        place->view->close(place);
    if (place->view->list != NULL)
        list_done(&place->list);
    if (place->view->has_log)
        log_view_done(&place->log);
    free(place->rows);
    free(place);
}

struct list *place_list(struct place *place)
{
    return place->view->list != NULL && place->focus == PLACE_LIST ? &place->list : NULL;
}

struct log_view *place_log(struct place *place)
{
    return place->view->has_log && place->focus == PLACE_LOG ? &place->log : NULL;
}

/* Whether what the list is made from has changed since it was made. */
static bool place_is_changed(struct place *place)
{
    enum model_table table = place->view->table;
    if (table == MODEL_TABLES)
        return true;
    const struct model_state *state = place_state(place);
    uint64_t generation = model_state_generation(state, table);
    uint64_t vitals =
        table == MODEL_NODES ? model_vitals_generation(model_vitals(place->app->model)) : 0;
    int64_t at_ms = table == MODEL_NODES ? state->at_ms : 0;
    if (place->made_of == state->tables[table] && place->generation == generation &&
        place->vitals == vitals && place->made_at_ms == at_ms)
        return false;
    place->made_of = state->tables[table];
    place->generation = generation;
    place->vitals = vitals;
    place->made_at_ms = at_ms;
    return true;
}

void place_update(struct place *place)
{
    struct app *app = place->app;
    app->is_behind = false;
    if (place->view->update != NULL)
        place->view->update(place);
    if (place->view->list != NULL && place_is_changed(place))
        list_update(&place->list);
    if (place->view->has_log) {
        const struct model_lines *lines = model_events(app->model);
        uint64_t end = model_events_end(app->model);
        if (place->view == &view_chat) {
            lines = model_messages(app->model);
            end = model_messages_end(app->model);
        } else if (place->view == &view_output) {
            lines = model_output(app->model);
            end = model_lines_end(lines);
        }
        app->is_behind = !log_view_update(&place->log, lines, end);
    }
}

bool place_is_behind(const struct place *place)
{
    return place->view->has_log && place->log.is_behind;
}

static void place_draw_list_title(struct place *place, struct grid *grid, struct rect rect)
{
    char right[VIEW_STATUS_MAX];
    const struct list *list = &place->list;
    int n = list->n == list->n_all
                ? snprintf(right, sizeof right, "%zu", list->n)
                : snprintf(right, sizeof right, "%zu of %zu", list->n, list->n_all);
    size_t used = (size_t)n;
    if (filter_is_on(&list->filter))
        used += (size_t)snprintf(right + used, sizeof right - used, ", /%.60s", list->filter.text);
    if (list->n_marks > 0 && used < sizeof right)
        used += (size_t)snprintf(right + used, sizeof right - used, ", %zu marked", list->n_marks);
    if (list->follows && used < sizeof right)
        (void)snprintf(right + used, sizeof right - used, ", following");
    draw_title(grid, rect, place->view->title, right, place->focus == PLACE_LIST);
}

/* The list with its title, and below what is known of the selected row where there is room. */
static void place_draw_list(struct place *place, struct grid *grid, struct rect rect)
{
    const struct view *view = place->view;
    const void *row = list_selected(&place->list);
    int detail = view->detail_height;
    bool has_detail =
        view->detail != NULL && row != NULL && !place->hides_detail && rect.h >= detail + 10;
    if (has_detail) {
        struct rect below = {rect.x, rect.y + rect.h - detail, rect.w, detail};
        view->detail(place, row, grid, below);
        rect.h -= detail + 1;
    }
    place_draw_list_title(place, grid, (struct rect){rect.x, rect.y, rect.w, 1});
    list_draw(&place->list, grid, rect_inset(rect, 0, 1, 0, 0));
    if (place->list.n == 0 && rect.h > 2) {
        const char *why =
            place->list.n_all > 0 ? "nothing matches the filter; Esc ends it" : "none";
        (void)grid_text(grid, rect.x + 2, rect.y + 2, rect.w - 2, STYLE(INK_DIM), why);
    }
}

void place_draw(struct place *place, struct grid *grid, struct rect rect)
{
    place->list.is_idle = place->focus != PLACE_LIST;
    if (place->view->draw != NULL)
        place->view->draw(place, grid, rect);
    else if (place->view->list != NULL)
        place_draw_list(place, grid, rect);
}

/* Rows */

void place_add_row(struct place *place, const void *row)
{
    MEM_GROW(place->rows, place->rows_cap, place->n_rows + 1);
    place->rows[place->n_rows++] = row;
}

size_t place_take_rows(struct place *place, enum model_table table,
                       bool (*takes)(const struct place *place, const struct model_row *row),
                       const void ***rows)
{
    const struct model_state *state = place_state(place);
    size_t n = model_state_count(state, table);
    place->n_rows = 0;
    for (size_t i = 0; i < n; i++) {
        const struct model_row *row = model_state_at(state, table, i);
        if (takes == NULL || takes(place, row))
            place_add_row(place, row);
    }
    *rows = place->rows;
    return place->n_rows;
}

void place_row_key(void *arg, const void *row, char key[static LIST_KEY_MAX])
{
    (void)arg;
    (void)snprintf(key, LIST_KEY_MAX, "%s", model_row_key(row));
}

const struct model_state *place_state(const struct place *place)
{
    return model_state(place->app->model);
}

int64_t place_at_ms(const struct place *place)
{
    return model_at_ms(place->app->model);
}

/* Cells */

void cell_text(struct list_cell *cell, enum theme_ink ink, const char *s)
{
    size_t len = strnlen(s, sizeof cell->text - 1);
    while (len > 0 && len == sizeof cell->text - 1 && ((unsigned char)s[len] & 0xc0) == 0x80)
        len--;
    memcpy(cell->text, s, len);
    cell->text[len] = '\0';
    cell->style = STYLE(ink);
}

void cell_printf(struct list_cell *cell, enum theme_ink ink, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(cell->text, sizeof cell->text, fmt, args);
    va_end(args);
    cell->style = STYLE(ink);
}

void cell_number(struct list_cell *cell, enum theme_ink ink, double number, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(cell->text, sizeof cell->text, fmt, args);
    va_end(args);
    cell->style = STYLE(ink);
    cell->number = number;
    cell->has_number = true;
}

void cell_unknown(struct list_cell *cell)
{
    cell->text[0] = '\0';
    cell->style = STYLE(INK_DIM);
    cell->has_number = false;
}

enum theme_ink state_ink(const char *state)
{
    static const struct {
        const char *state;
        enum theme_ink ink;
    } inks[] = {
        {"online", INK_GOOD},      {"suspect", INK_WARN},   {"offline", INK_BAD},
        {"draining", INK_WARN},    {"drained", INK_DIM},    {"removed", INK_DIM},
        {"pending", INK_DIM},      {"assigned", INK_BUSY},  {"running", INK_BUSY},
        {"completed", INK_GOOD},   {"failed", INK_BAD},     {"cancelled", INK_DIM},
        {"lost", INK_WARN},        {"waiting", INK_DIM},    {"switching", INK_BUSY},
        {"watching", INK_BUSY},    {"paused", INK_WARN},    {"frozen", INK_WARN},
        {"reverting", INK_WARN},   {"promoted", INK_GOOD},  {"aborted", INK_BAD},
        {"rolled_back", INK_WARN}, {"stable", INK_GOOD},    {"canary", INK_BUSY},
        {"full", INK_BAD},         {"damaged", INK_BAD},    {"leading", INK_GOOD},
        {"following", INK_TEXT},   {"electing", INK_WARN},  {"done", INK_GOOD},
        {"pass", INK_GOOD},        {"fail", INK_BAD},       {"inconclusive", INK_WARN},
        {"prepared", INK_WARN},    {"committed", INK_GOOD}, {"voter", INK_TEXT},
    };
    for (size_t i = 0; i < MEM_COUNT(inks); i++) {
        if (strcmp(inks[i].state, state) == 0)
            return inks[i].ink;
    }
    return INK_TEXT;
}

void cell_state(struct list_cell *cell, const char *state)
{
    cell_text(cell, state_ink(state), state);
}

void cell_age(struct list_cell *cell, int64_t since_ms, int64_t now_ms)
{
    char text[STR_SHORT_MAX];
    if (since_ms == 0) {
        cell_unknown(cell);
        return;
    }
    int64_t age = now_ms > since_ms ? now_ms - since_ms : 0;
    /* whole seconds: tenths would change all the time */
    cell_number(cell, INK_TEXT, (double)age, "%s",
                age < 60000 ? "" : str_format_duration(age, text));
    if (age < 60000)
        (void)snprintf(cell->text, sizeof cell->text, "%ds", (int)(age / 1000));
}

void cell_bytes(struct list_cell *cell, double bytes)
{
    char text[STR_SHORT_MAX];
    if (bytes < 0)
        cell_unknown(cell);
    else
        cell_number(cell, INK_TEXT, bytes, "%s", str_format_bytes((uint64_t)bytes, text));
}

void cell_duration(struct list_cell *cell, double ms)
{
    char text[STR_SHORT_MAX];
    if (ms < 0)
        cell_unknown(cell);
    else
        cell_number(cell, INK_TEXT, ms, "%s", str_format_duration((int64_t)ms, text));
}

const char *format_clock(int64_t at_ms, char out[static 32])
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm tm;
    if (at_ms == 0 || localtime_r(&seconds, &tm) == NULL || strftime(out, 32, "%H:%M:%S", &tm) == 0)
        out[0] = '\0';
    return out;
}

int draw_fact(struct grid *grid, struct rect rect, int y, const char *label, enum theme_ink ink,
              const char *fmt, ...)
{
    enum { FACT_LABEL = 12 };
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (y >= rect.y + rect.h)
        return y;
    (void)grid_text(grid, rect.x, y, FACT_LABEL - 1, STYLE(INK_DIM), label);
    (void)grid_text(grid, rect.x + FACT_LABEL, y, rect.w - FACT_LABEL, STYLE(ink), text);
    return y + 1;
}
