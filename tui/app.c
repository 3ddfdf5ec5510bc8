#include "tui/app.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tui/view_rows.h"

const struct view *const view_tabs[] = {
    &view_overview, &view_nodes, &view_elections, &view_jobs, &view_queries,
    &view_rollouts, &view_chat,  &view_logs,      NULL,
};

void app_init(struct app *app, struct model *model, const struct app_ops *ops, void *arg)
{
    *app = (struct app){.model = model, .ops = ops, .ops_arg = arg, .is_dirty = true};
    app->mouse = app->theme = -1;
    app->timeline_y = -1;
    timeline_init(&app->timeline);
    (void)app_show(app, view_tabs[0]->name);
}

static void app_drop_requests(struct app *app)
{
    for (size_t i = 0; i < app->n_requests; i++) {
        free(app->requests[i].key);
        free(app->requests[i].text);
        free(app->requests[i].what);
    }
    app->n_requests = 0;
    app->is_sending = false;
}

/* The topmost place is left. */
static void app_leave(struct app *app)
{
    struct place *place = app->places[--app->n_places];
    app_keep(app, place);
    place_free(place);
}

void app_done(struct app *app)
{
    while (app->n_places > 0)
        app_leave(app);
    free(app->copy);
    app_drop_requests(app);
    free(app->requests);
    edit_done(&app->edit);
    for (size_t i = 0; i < APP_EDITS; i++)
        edit_history_done(&app->histories[i]);
}

struct place *app_place(const struct app *app)
{
    assert(app->n_places > 0);
    return app->places[app->n_places - 1];
}

struct place *app_enter(struct app *app, const struct view *view, const char *subject,
                        const char *label)
{
    if (app->n_places == APP_PLACES_MAX)
        app_back(app);
    struct place *place = place_new(app, view, subject, label);
    app->places[app->n_places++] = place;
    app->is_dirty = true;
    if (view->open != NULL)
        view->open(place);
    place_update(place);
    if (app->settings != NULL && view->list != NULL)
        settings_apply(app->settings, view->name, &place->list);
    return place;
}

void app_back(struct app *app)
{
    if (app->n_places < 2)
        return;
    app_leave(app);
    app->is_dirty = true;
    place_update(app_place(app));
}

bool app_show(struct app *app, const char *name)
{
    const struct view *found = NULL;
    for (size_t i = 0; view_tabs[i] != NULL && name[0] != '\0'; i++) {
        if (str_starts_with(view_tabs[i]->name, name) && found == NULL)
            found = view_tabs[i];
    }
    if (found == NULL)
        return false;
    /* a view that is open keeps its sorting, filter and marks */
    if (app->n_places > 0 && app->places[0]->view == found) {
        while (app->n_places > 1)
            app_back(app);
        return true;
    }
    while (app->n_places > 0)
        app_leave(app);
    (void)app_enter(app, found, "", found->title);
    return true;
}

void app_notice(struct app *app, bool is_bad, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(app->notice, sizeof app->notice, fmt, args);
    va_end(args);
    app->is_notice_bad = is_bad;
    app->notice_until_ms = app->now_ms + APP_NOTICE_MS;
    app->is_dirty = true;
}

size_t app_contexts(const struct app *app, enum keys_context out[static KEYS_CONTEXTS])
{
    struct place *place = app_place(app);
    size_t n = 0;
    if (place->view->context != KEYS_EVERYWHERE)
        out[n++] = place->view->context;
    if (place_log(place) != NULL)
        out[n++] = KEYS_LOG;
    else if (place->view->list != NULL)
        out[n++] = KEYS_LIST;
    out[n++] = KEYS_TIME;
    out[n++] = KEYS_EVERYWHERE;
    return n;
}

void app_update(struct app *app)
{
    uint64_t generation = model_generation(app->model);
    bool is_new = generation != app->generation;
    if (app->notice[0] != '\0' && app->now_ms >= app->notice_until_ms) {
        app->notice[0] = '\0';
        app->is_dirty = true;
    }
    if (!is_new && !app->is_behind)
        return;
    app->generation = generation;
    app->is_dirty = true;
    timeline_update(&app->timeline, model_live_events(app->model));
    place_update(app_place(app));
}

/* Asking */

bool app_ask_begin(struct app *app)
{
    if (app->is_sending) {
        app_notice(app, true, "the last changes are still under way: %zu of %zu are done",
                   app->n_done, app->n_requests);
        return false;
    }
    app_drop_requests(app);
    return true;
}

void app_ask_add(struct app *app, enum feed_verb verb, const char *key, const char *text)
{
    char label[VIEW_SHORT_MAX];
    if (app->n_requests == APP_REQUESTS_MAX)
        return;
    MEM_GROW(app->requests, app->requests_cap, app->n_requests + 1);
    app->requests[app->n_requests++] = (struct app_request){
        .verb = verb,
        .key = mem_strdup(key),
        .text = mem_strdup(text),
        .what =
            mem_printf("%s %s", feed_verb_text(verb), view_short_id(key != NULL ? key : "", label)),
    };
}

void app_ask(struct app *app, const char *fmt, ...)
{
    va_list args;
    if (app->n_requests == 0)
        return;
    va_start(args, fmt);
    (void)vsnprintf(app->ask, sizeof app->ask, fmt, args);
    va_end(args);
    app->mode = APP_ASK;
    app->is_dirty = true;
}

static void app_count_outcome(struct app *app, int code, const char *text)
{
    const char *what = app->n_done < app->n_requests ? app->requests[app->n_done].what : "";
    app->n_done++;
    app->n_failed += code != 0;
    if (code != 0)
        app_notice(app, true, "%s", text);
    else if (app->n_failed == 0 && app->n_requests > 1)
        app_notice(app, false, "%zu of %zu: done", app->n_done, app->n_requests);
    else if (app->n_failed == 0)
        app_notice(app, false, "%s: done", what);
    if (app->n_done >= app->n_requests)
        app_drop_requests(app);
}

/* Begins as many as can be under way at once; the rest follows as those end. */
static void app_send(struct app *app)
{
    while (app->is_sending && app->n_begun < app->n_requests) {
        struct error e = {0};
        int rc = app->ops->act(app->ops_arg, &app->requests[app->n_begun], &e);
        if (rc == ERR_BUSY && app->n_begun > app->n_done)
            return;
        app->n_begun++;
        if (rc != 0)
            app_count_outcome(app, rc, e.text);
    }
}

void app_ask_answer(struct app *app, bool yes)
{
    app->mode = APP_NORMAL;
    app->is_dirty = true;
    if (!yes || app->ops == NULL || app->ops->act == NULL) {
        app_notice(app, yes, yes ? "there is no cluster to do this" : "nothing was done");
        app_drop_requests(app);
        return;
    }
    app->n_begun = app->n_done = app->n_failed = 0;
    app->is_sending = true;
    app_send(app);
}

void app_outcome(struct app *app, int code, const char *text)
{
    app_count_outcome(app, code, text);
    app_send(app);
}

/* Time */

void app_go_live(struct app *app)
{
    if (app->ops != NULL && app->ops->go_live != NULL)
        app->ops->go_live(app->ops_arg);
    else
        model_go_live(app->model);
    app->is_dirty = true;
}

void app_seek(struct app *app, int64_t at_ms)
{
    int64_t now_ms = model_live_ms(app->model);
    app->is_dirty = true;
    if (now_ms == 0)
        return;
    if (at_ms >= now_ms)
        app_go_live(app);
    else if (app->ops != NULL && app->ops->seek != NULL)
        app->ops->seek(app->ops_arg, at_ms);
    else if (model_seek(app->model, at_ms) != 0)
        app_notice(app, true, "nothing is known of that moment any more");
}

void app_step(struct app *app, int64_t by_ms)
{
    app_seek(app, model_at_ms(app->model) + by_ms);
}

/* Input */

static void app_key_normal(struct app *app, uint32_t key)
{
    enum keys_context contexts[KEYS_CONTEXTS];
    size_t n = app_contexts(app, contexts);
    const struct keys_row *row = keys_find(key, contexts, n);
    if (row == NULL) {
        char name[KEYS_NAME_MAX];
        if (keys_name(key, name)[0] != '\0')
            app_notice(app, false, "%s does nothing here; ? shows what does", name);
        return;
    }
    row->run(app, NULL);
}

static void app_key_help(struct app *app, uint32_t key)
{
    int page = app->height > 4 ? app->height - 4 : 1;
    if (key == TERM_KEY_DOWN || key == 'j')
        app->help_top++;
    else if (key == TERM_KEY_UP || key == 'k')
        app->help_top--;
    else if (key == TERM_KEY_PAGE_DOWN || key == ' ')
        app->help_top += page;
    else if (key == TERM_KEY_PAGE_UP)
        app->help_top -= page;
    else if (key == TERM_KEY_HOME || key == 'g')
        app->help_top = 0;
    else if (key == TERM_KEY_END || key == 'G')
        app->help_top = app_help_lines(app);
    else
        app->mode = APP_NORMAL;
    app->help_top = app->help_top < 0 ? 0 : app->help_top;
}

static void app_key(struct app *app, uint32_t key)
{
    app->is_dirty = true;
    switch (app->mode) {
    case APP_NORMAL:
        app_key_normal(app, key);
        break;
    case APP_EDIT:
        app_edit_key(app, key);
        break;
    case APP_ASK:
        if (key == 'y' || key == 'Y')
            app_ask_answer(app, true);
        else if (key == 'n' || key == 'N' || key == 'q' || key == TERM_KEY_ESC ||
                 key == TERM_CTRL('c'))
            app_ask_answer(app, false);
        break;
    case APP_HELP:
        app_key_help(app, key);
        break;
    case APP_COLUMNS:
        app_key_columns(app, key);
        break;
    }
}

static void app_click_tab(struct app *app, int x)
{
    for (size_t i = 0; view_tabs[i] != NULL; i++) {
        if (app->tab_w[i] > 0 && x >= app->tab_x[i] && x < app->tab_x[i] + app->tab_w[i])
            (void)app_show(app, view_tabs[i]->name);
    }
}

static void app_click(struct app *app, int x, int y)
{
    struct place *place = app_place(app);
    if (y == 0) {
        app_click_tab(app, x);
    } else if (y == app->timeline_y) {
        int64_t at_ms = timeline_at(&app->timeline, x);
        if (at_ms != 0)
            app_seek(app, at_ms);
    } else {
        enum list_hit hit =
            place->view->list != NULL ? list_click(&place->list, x, y) : LIST_HIT_NONE;
        if (hit == LIST_HIT_SAME_ROW && place->view->enter != NULL)
            place->view->enter(place);
        else if (hit != LIST_HIT_NONE)
            place->focus = PLACE_LIST;
        else if (place->view->has_log && log_view_click(&place->log, y))
            place->focus = PLACE_LOG;
    }
}

static void app_wheel(struct app *app, int by)
{
    struct place *place = app_place(app);
    if (app->mode == APP_HELP)
        app_key_help(app, by < 0 ? TERM_KEY_UP : TERM_KEY_DOWN);
    else if (place_log(place) != NULL)
        log_view_move(place_log(place), by);
    else if (place_list(place) != NULL)
        list_move(place_list(place), by);
}

void app_input(struct app *app, const struct term_input *input)
{
    enum { APP_WHEEL = 3 };
    /* rows of a list are as old as its last update: none may have gone meanwhile */
    app_update(app);
    app->is_dirty = true;
    switch (input->kind) {
    case TERM_INPUT_KEY:
        app_key(app, input->key);
        break;
    case TERM_INPUT_CLICK:
        if (app->mode == APP_NORMAL)
            app_click(app, input->x, input->y);
        else if (app->mode == APP_HELP)
            app->mode = APP_NORMAL;
        else if (app->mode == APP_COLUMNS)
            app_key_columns(app, TERM_KEY_ESC);
        break;
    case TERM_INPUT_WHEEL_UP:
        app_wheel(app, -APP_WHEEL);
        break;
    case TERM_INPUT_WHEEL_DOWN:
        app_wheel(app, APP_WHEEL);
        break;
    case TERM_INPUT_PASTE:
        /* only where text is typed: what was meant for another window presses no keys here */
        if (app->mode == APP_EDIT)
            edit_paste(&app->edit, input->paste, input->paste_len);
        else
            app_notice(app, false, "pasted text goes to : / and messages only");
        break;
    case TERM_INPUT_NONE:
    case TERM_INPUT_CLOSED:
        break;
    }
    app->is_behind = app->is_behind || place_is_behind(app_place(app));
}
