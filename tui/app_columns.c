/* The dialog that says which columns a list shows, and what is remembered of that. */
#include "tui/app.h"

#include "tui/act.h"
#include "tui/draw.h"

/* Columns */

void act_columns(struct app *app, const char *argument)
{
    (void)argument;
    if (place_list(app_place(app)) == NULL) {
        app_notice(app, false, "there is no list here");
        return;
    }
    app->mode = APP_COLUMNS;
    app->column = 0;
}

void app_key_columns(struct app *app, uint32_t key)
{
    struct list *list = &app_place(app)->list;
    int n = list_columns(list);
    switch (key) {
    case TERM_KEY_DOWN:
    case 'j':
        app->column += app->column + 1 < n;
        break;
    case TERM_KEY_UP:
    case 'k':
        app->column -= app->column > 0;
        break;
    case TERM_KEY_SPACE:
    case 'x':
        list_hide(list, app->column, !list_is_hidden(list, app->column));
        app->column += app->column + 1 < n;
        break;
    case 'a':
        list->hidden = 0;
        break;
    default:
        app->mode = APP_NORMAL;
        app_keep(app, app_place(app));
        break;
    }
}

void app_draw_columns(struct app *app, struct grid *grid)
{
    const struct list *list = &app_place(app)->list;
    int n = list_columns(list);
    int w = grid->w < 40 ? grid->w : 40;
    int h = n + 4 < grid->h ? n + 4 : grid->h;
    struct rect box = {(grid->w - w) / 2, (grid->h - h) / 2, w, h};
    draw_box(grid, box, "Columns");
    struct rect inner = rect_inset(box, 2, 1, 2, 2);
    int top = app->column >= inner.h ? app->column - inner.h + 1 : 0;
    for (int i = top; i < n && i - top < inner.h; i++) {
        char label[LIST_LABEL_MAX];
        bool shown = !list_is_hidden(list, i);
        int y = inner.y + i - top;
        const char *about = i == 0 ? "always" : shown && list->drawn_w[i] == 0 ? "no room" : "";
        (void)grid_text(grid, inner.x, y, 4, STYLE_ON(INK_ACCENT, GROUND_DIALOG),
                        shown ? "[x]" : "[ ]");
        (void)grid_text(grid, inner.x + 4, y, inner.w - 12, STYLE_ON(INK_TEXT, GROUND_DIALOG),
                        list_column_label(list, i, label));
        (void)grid_text_right(grid, inner.x, y, inner.w, STYLE_ON(INK_DIM, GROUND_DIALOG), about);
        if (i == app->column)
            grid_ground(grid, (struct rect){inner.x, y, inner.w, 1}, GROUND_SELECT);
    }
    (void)grid_text(grid, inner.x, box.y + h - 2, inner.w, STYLE_ON(INK_DIM, GROUND_DIALOG),
                    "Space shows or hides, a all, Enter");
}

/* Settings */

void app_keep(struct app *app, struct place *place)
{
    if (app->settings != NULL && place->view->list != NULL &&
        settings_take(app->settings, place->view->name, &place->list))
        app->wants_save = true;
}

void act_theme(struct app *app, const char *argument)
{
    enum theme theme;
    if (argument == NULL || !theme_from_name(argument, &theme)) {
        app_notice(app, true, "a theme is dark, light or mono");
        return;
    }
    app->theme = (int)theme;
    if (app->settings == NULL)
        return;
    app->wants_save = app->wants_save || app->settings->theme != theme;
    app->settings->theme = theme;
}
