/* Keys that go back and forth in time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "tui/act.h"
#include "tui/app.h"

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

/* "14:05", "14:05:09" of the last 24 hours, or "10m", "10m ago". */
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
    size_t len = strlen(s);
    if (str_ends_with(s, " ago"))
        len -= strlen(" ago");
    char *span = mem_strndup(s, len);
    int err = str_parse_duration_ms(span, &back);
    free(span);
    return err == 0 ? now_ms - back : 0;
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
