/* Keys of logs. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tui/act.h"
#include "tui/app.h"

static struct log_view *act_log(struct app *app)
{
    return place_log(app_place(app));
}

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
