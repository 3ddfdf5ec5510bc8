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

/* Time */

void act_freeze(struct app *app, const char *argument)
{
    (void)argument;
    if (model_mode(app->model) == MODEL_MODE_LIVE)
        model_freeze(app->model);
    else
        app_go_live(app);
}

void act_earlier(struct app *app, const char *argument)
{
    (void)argument;
    app_step(app, -5000);
}

void act_later(struct app *app, const char *argument)
{
    (void)argument;
    app_step(app, 5000);
}

void act_minute_earlier(struct app *app, const char *argument)
{
    (void)argument;
    app_step(app, -60000);
}

void act_minute_later(struct app *app, const char *argument)
{
    (void)argument;
    app_step(app, 60000);
}

static void act_event(struct app *app, bool back)
{
    int64_t at_ms = timeline_next(&app->timeline, model_at_ms(app->model), back);
    if (at_ms != 0)
        app_seek(app, at_ms);
    else if (back)
        app_notice(app, false, "nothing worth a look before this");
    else
        app_go_live(app);
}

void act_event_earlier(struct app *app, const char *argument)
{
    (void)argument;
    act_event(app, true);
}

void act_event_later(struct app *app, const char *argument)
{
    (void)argument;
    act_event(app, false);
}

void act_now(struct app *app, const char *argument)
{
    if (argument == NULL && model_mode(app->model) == MODEL_MODE_LIVE)
        act_bottom(app, NULL);
    app_go_live(app);
}

/* "14:05", "14:05:09" of the last 24 hours, or "10m" back. */
static int64_t act_parse_time(const char *s, int64_t now_ms)
{
    int h;
    int m;
    int sec = 0;
    int64_t back;
    int n = 0;
    if ((sscanf(s, "%2d:%2d%n", &h, &m, &n) == 2 && s[n] == '\0') ||
        (sscanf(s, "%2d:%2d:%2d%n", &h, &m, &sec, &n) == 3 && s[n] == '\0')) {
        time_t now = (time_t)(now_ms / 1000);
        struct tm tm;
        if (h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60 ||
            localtime_r(&now, &tm) == NULL)
            return 0;
        tm.tm_hour = h;
        tm.tm_min = m;
        tm.tm_sec = sec;
        time_t at = mktime(&tm);
        return ((int64_t)at > (int64_t)now ? (int64_t)at - 86400 : (int64_t)at) * 1000;
    }
    if (str_parse_duration_ms(s, &back) == 0)
        return now_ms - back;
    return 0;
}

void act_time(struct app *app, const char *argument)
{
    int64_t now_ms = model_live_ms(app->model);
    int64_t at_ms = argument != NULL ? act_parse_time(argument, now_ms) : 0;
    if (at_ms == 0)
        app_notice(app, true, "a time is 14:05, 14:05:09, or how long ago: 10m");
    else
        app_seek(app, at_ms);
}

void act_span(struct app *app, const char *argument)
{
    int64_t span_ms;
    if (argument == NULL || str_parse_duration_ms(argument, &span_ms) != 0 || span_ms < 60000 ||
        span_ms > TIMELINE_SECONDS * 1000LL)
        app_notice(app, true, "the line of time shows from 1m to 1h8m");
    else
        app->timeline.span_ms = span_ms;
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

/* Logs */

void act_log_follow(struct app *app, const char *argument)
{
    (void)argument;
    if (act_log(app) != NULL)
        log_view_follow(act_log(app), !act_log(app)->follows);
}

void act_log_wrap(struct app *app, const char *argument)
{
    (void)argument;
    if (act_log(app) != NULL)
        act_log(app)->wraps = !act_log(app)->wraps;
}

void act_log_time(struct app *app, const char *argument)
{
    (void)argument;
    if (act_log(app) != NULL)
        act_log(app)->time = (act_log(app)->time + 1) % LOG_VIEW_TIMES;
}

void act_log_errors(struct app *app, const char *argument)
{
    struct log_view *log = act_log(app);
    (void)argument;
    if (log != NULL)
        log_view_set_level(log, log->level_min == MODEL_LEVEL_WARN ? MODEL_LEVEL_INFO
                                                                   : MODEL_LEVEL_WARN);
}

void act_log_more(struct app *app, const char *argument)
{
    struct log_view *log = act_log(app);
    if (log == NULL)
        return;
    if (argument == NULL || argument[0] == '\0') {
        if (log->level_min > MODEL_LEVEL_DEBUG)
            log_view_set_level(log, log->level_min - 1);
        return;
    }
    enum model_level level = model_level_from_name(argument);
    if (strcmp(model_level_name(level), argument) != 0)
        app_notice(app, true, "a level is debug, info, warn or error");
    else
        log_view_set_level(log, level);
}

void act_log_less(struct app *app, const char *argument)
{
    struct log_view *log = act_log(app);
    (void)argument;
    if (log != NULL && log->level_min < MODEL_LEVEL_ERROR)
        log_view_set_level(log, log->level_min + 1);
}

void act_log_next_mark(struct app *app, const char *argument)
{
    (void)argument;
    if (act_log(app) != NULL)
        log_view_next_mark(act_log(app), false);
}

void act_log_mark_before(struct app *app, const char *argument)
{
    (void)argument;
    if (act_log(app) != NULL)
        log_view_next_mark(act_log(app), true);
}

void act_log_save(struct app *app, const char *argument)
{
    struct error e = {0};
    char path[512];
    size_t n = 0;
    time_t now = time(NULL);
    struct tm tm;
    if (act_log(app) == NULL)
        return;
    if (argument != NULL && argument[0] != '\0')
        (void)snprintf(path, sizeof path, "%s", argument);
    else if (localtime_r(&now, &tm) == NULL ||
             strftime(path, sizeof path, "clustertop-%Y%m%d-%H%M%S.log", &tm) == 0)
        return;
    if (log_view_save(act_log(app), path, &n, &e) != 0)
        app_notice(app, true, "not saved: %s; :save FILE takes another name", e.text);
    else
        app_notice(app, false, "%zu lines are in %s", n, path);
}

void act_log_there(struct app *app, const char *argument)
{
    struct model_line line;
    (void)argument;
    if (act_log(app) != NULL && log_view_selected(act_log(app), &line))
        app_seek(app, line.when_ms);
}

void act_log_from(struct app *app, const char *argument)
{
    struct error e = {0};
    if (act_log(app) != NULL && argument != NULL &&
        log_view_set_sources(act_log(app), argument, &e) != 0)
        app_notice(app, true, "%s", e.text);
}

void act_log_kind(struct app *app, const char *argument)
{
    struct error e = {0};
    if (act_log(app) != NULL && argument != NULL &&
        log_view_set_kinds(act_log(app), argument, &e) != 0)
        app_notice(app, true, "%s", e.text);
}
