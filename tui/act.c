/* Keys that move, look and type. What changes the cluster is in act_cluster.c. */
#include "tui/act.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"
#include "tui/app.h"

static struct list *act_list(struct app *app)
{
    return place_list(app_place(app));
}

static struct log_view *act_log(struct app *app)
{
    return place_log(app_place(app));
}

/* Everywhere */

void act_help(struct app *app, const char *argument)
{
    (void)argument;
    app->mode = APP_HELP;
    app->help_top = 0;
}

void act_command(struct app *app, const char *argument)
{
    (void)argument;
    app_edit_begin(app, APP_EDIT_COMMAND, "");
}

void act_filter(struct app *app, const char *argument)
{
    struct error e = {0};
    int rc = 0;
    if (act_list(app) == NULL && act_log(app) == NULL)
        app_notice(app, false, "there is nothing to filter here");
    else if (argument == NULL)
        app_edit_begin(app, APP_EDIT_FILTER,
                       act_log(app) != NULL ? act_log(app)->pattern : act_list(app)->filter.text);
    else if (act_log(app) != NULL)
        rc = log_view_set_pattern(act_log(app), argument, &e);
    else
        rc = list_set_filter(act_list(app), argument, &e);
    if (rc != 0)
        app_notice(app, true, "%s", e.text);
}

void act_enter(struct app *app, const char *argument)
{
    struct place *place = app_place(app);
    (void)argument;
    if (place->view->enter != NULL)
        place->view->enter(place);
    else
        act_focus(app, NULL);
}

/* One thing at a time: filter, marks, then the place itself. */
void act_back(struct app *app, const char *argument)
{
    struct list *list = act_list(app);
    struct log_view *log = act_log(app);
    (void)argument;
    if (list != NULL && filter_is_on(&list->filter))
        (void)list_set_filter(list, "", NULL);
    else if (log != NULL && log->pattern[0] != '\0')
        (void)log_view_set_pattern(log, "", NULL);
    else if (list != NULL && list->n_marks > 0)
        list_mark_clear(list);
    else if (app->n_places > 1)
        app_back(app);
    else if (model_mode(app->model) != MODEL_MODE_LIVE)
        app_go_live(app);
    else
        (void)app_show(app, view_tabs[0]->name);
}

void act_focus(struct app *app, const char *argument)
{
    struct place *place = app_place(app);
    (void)argument;
    if (place->view->list != NULL && place->view->has_log)
        place->focus = place->focus == PLACE_LIST ? PLACE_LOG : PLACE_LIST;
}

void act_quit(struct app *app, const char *argument)
{
    (void)argument;
    app->wants_quit = true;
}

void act_redraw(struct app *app, const char *argument)
{
    (void)argument;
    app->wants_redraw = true;
}

void act_suspend(struct app *app, const char *argument)
{
    (void)argument;
    app->wants_suspend = true;
}

static void act_view(struct app *app, size_t i)
{
    (void)app_show(app, view_tabs[i]->name);
}

#define ACT_VIEW(n)                                                                                \
    void act_view_##n(struct app *app, const char *argument)                                       \
    {                                                                                              \
        (void)argument;                                                                            \
        act_view(app, (n)-1);                                                                      \
    }
ACT_VIEW(1)
ACT_VIEW(2)
ACT_VIEW(3)
ACT_VIEW(4)
ACT_VIEW(5)
ACT_VIEW(6)
ACT_VIEW(7)
ACT_VIEW(8)

void act_mouse(struct app *app, const char *argument)
{
    bool off = argument != NULL && strcmp(argument, "off") == 0;
    if (!off && argument != NULL && strcmp(argument, "on") != 0)
        app_notice(app, true, "the mouse is on or off");
    else
        app->mouse = !off;
}

/* Moving in lists and logs */

static void act_move(struct app *app, long by)
{
    if (act_log(app) != NULL)
        log_view_move(act_log(app), by);
    else if (act_list(app) != NULL)
        list_move(act_list(app), by);
}

void act_up(struct app *app, const char *argument)
{
    (void)argument;
    act_move(app, -1);
}

void act_down(struct app *app, const char *argument)
{
    (void)argument;
    act_move(app, 1);
}

static void act_page(struct app *app, int by)
{
    if (act_log(app) != NULL)
        log_view_page(act_log(app), by);
    else if (act_list(app) != NULL)
        list_page(act_list(app), by);
}

void act_page_up(struct app *app, const char *argument)
{
    (void)argument;
    act_page(app, -1);
}

void act_page_down(struct app *app, const char *argument)
{
    (void)argument;
    act_page(app, 1);
}

void act_top(struct app *app, const char *argument)
{
    (void)argument;
    if (act_log(app) != NULL)
        log_view_home(act_log(app));
    else if (act_list(app) != NULL)
        list_home(act_list(app));
}

void act_bottom(struct app *app, const char *argument)
{
    (void)argument;
    if (act_log(app) != NULL)
        log_view_end(act_log(app));
    else if (act_list(app) != NULL)
        list_end(act_list(app));
}

/* Lists */

void act_sort_next(struct app *app, const char *argument)
{
    struct list *list = act_list(app);
    if (list == NULL)
        return;
    if (argument == NULL || argument[0] == '\0')
        list_sort_step(list, 1);
    else if (!list_sort_by(list, argument))
        app_notice(app, true, "there is no column '%s' here", argument);
}

void act_sort_before(struct app *app, const char *argument)
{
    (void)argument;
    if (act_list(app) != NULL)
        list_sort_step(act_list(app), -1);
}

void act_invert(struct app *app, const char *argument)
{
    (void)argument;
    if (act_list(app) != NULL)
        list_sort_invert(act_list(app));
}

void act_mark(struct app *app, const char *argument)
{
    (void)argument;
    if (act_log(app) != NULL)
        log_view_mark(act_log(app));
    else if (act_list(app) != NULL)
        list_mark_toggle(act_list(app));
}

void act_mark_range(struct app *app, const char *argument)
{
    (void)argument;
    if (act_log(app) != NULL)
        log_view_mark_range(act_log(app));
    else if (act_list(app) != NULL)
        list_mark_range(act_list(app));
}

void act_mark_all(struct app *app, const char *argument)
{
    (void)argument;
    if (act_list(app) != NULL)
        list_mark_all(act_list(app));
}

void act_unmark(struct app *app, const char *argument)
{
    (void)argument;
    if (act_log(app) != NULL)
        log_view_unmark(act_log(app));
    else if (act_list(app) != NULL)
        list_mark_clear(act_list(app));
}

void act_follow_row(struct app *app, const char *argument)
{
    struct list *list = act_list(app);
    (void)argument;
    if (list == NULL)
        return;
    list->follows = !list->follows;
    app_notice(app, false,
               list->follows ? "the row keeps its place when the order changes"
                             : "the list stays, the row moves in it");
}

void act_detail(struct app *app, const char *argument)
{
    (void)argument;
    app_place(app)->hides_detail = !app_place(app)->hides_detail;
}
