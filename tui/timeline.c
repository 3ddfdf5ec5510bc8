#include "tui/timeline.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/str.h"

enum { TIMELINE_LABEL = 8, TIMELINE_NOW = 4 };

void timeline_init(struct timeline *timeline)
{
    *timeline = (struct timeline){.span_ms = 10 * 60 * 1000};
}

static enum timeline_tick timeline_worth(const struct model_line *line)
{
    if (line->level == MODEL_LEVEL_ERROR)
        return TIMELINE_ERROR;
    if (line->level == MODEL_LEVEL_WARN)
        return TIMELINE_WARN;
    if (strcmp(line->kind, "raft.lead") == 0 || strcmp(line->kind, "chat.lead") == 0 ||
        strcmp(line->kind, "rollout.state") == 0 || strcmp(line->kind, "operator.command") == 0)
        return TIMELINE_LEAD;
    return line->level == MODEL_LEVEL_INFO ? TIMELINE_SOME : TIMELINE_NOTHING;
}

static void timeline_take(struct timeline *timeline, const struct model_line *line)
{
    int64_t second = line->when_ms / 1000;
    if (second <= timeline->newest_s - TIMELINE_SECONDS || second <= 0)
        return;
    if (second > timeline->newest_s) {
        int64_t from = timeline->newest_s + 1;
        if (second - from >= TIMELINE_SECONDS)
            from = second - TIMELINE_SECONDS + 1;
        for (int64_t s = from; s <= second; s++)
            timeline->ticks[s % TIMELINE_SECONDS] = TIMELINE_NOTHING;
        timeline->newest_s = second;
    }
    uint8_t *tick = &timeline->ticks[second % TIMELINE_SECONDS];
    enum timeline_tick worth = timeline_worth(line);
    if (worth > *tick)
        *tick = (uint8_t)worth;
}

void timeline_update(struct timeline *timeline, const struct model_lines *events)
{
    if (timeline->generation != model_lines_generation(events)) {
        int64_t span_ms = timeline->span_ms;
        timeline_init(timeline);
        timeline->span_ms = span_ms;
        timeline->generation = model_lines_generation(events);
    }
    uint64_t first = model_lines_first(events);
    if (timeline->next < first)
        timeline->next = first;
    for (uint64_t end = model_lines_end(events); timeline->next < end; timeline->next++) {
        struct model_line line;
        model_lines_get(events, timeline->next, &line);
        timeline_take(timeline, &line);
    }
}

static enum timeline_tick timeline_tick_at(const struct timeline *timeline, int64_t second)
{
    if (second > timeline->newest_s || second <= timeline->newest_s - TIMELINE_SECONDS ||
        second <= 0)
        return TIMELINE_NOTHING;
    return timeline->ticks[second % TIMELINE_SECONDS];
}

static void timeline_draw_tick(struct grid *grid, int x, int y, enum timeline_tick tick)
{
    static const struct {
        enum theme_ink ink;
        uint32_t ch, ascii;
    } forms[] = {
        [TIMELINE_NOTHING] = {INK_RULE, 0x2500, '-'}, [TIMELINE_SOME] = {INK_DIM, 0x2500, '-'},
        [TIMELINE_LEAD] = {INK_ACCENT, 0x2534, '+'},  [TIMELINE_WARN] = {INK_WARN, 0x2582, 'w'},
        [TIMELINE_ERROR] = {INK_BAD, 0x2585, 'E'},
    };
    grid_put(grid, x, y, STYLE(forms[tick].ink), grid->ascii ? forms[tick].ascii : forms[tick].ch);
}

static void timeline_label(char *out, size_t size, int64_t at_ms)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm tm;
    if (localtime_r(&seconds, &tm) == NULL || strftime(out, size, "%H:%M:%S", &tm) == 0)
        out[0] = '\0';
}

void timeline_draw(struct timeline *timeline, struct grid *grid, struct rect rect, int64_t at_ms,
                   int64_t now_ms, bool is_live)
{
    char label[16];
    int64_t span = timeline->span_ms;
    int64_t to = now_ms;
    if (!is_live && at_ms < now_ms - span * 19 / 20)
        to = at_ms + span / 2;
    timeline->from_ms = to - span;
    timeline->to_ms = to;
    timeline->x = rect.x + TIMELINE_LABEL + 1;
    timeline->w = rect.w - TIMELINE_LABEL - 1 - (is_live ? TIMELINE_NOW : TIMELINE_LABEL + 1);
    if (timeline->w < 4 || now_ms <= 0)
        return;
    timeline_label(label, sizeof label, timeline->from_ms);
    (void)grid_text_right(grid, rect.x, rect.y, TIMELINE_LABEL, STYLE(INK_DIM), label);
    for (int i = 0; i < timeline->w; i++) {
        int64_t from = (timeline->from_ms + span * i / timeline->w) / 1000;
        int64_t end = (timeline->from_ms + span * (i + 1) / timeline->w) / 1000;
        enum timeline_tick worst = timeline_tick_at(timeline, from);
        for (int64_t s = from + 1; s < end; s++) {
            enum timeline_tick tick = timeline_tick_at(timeline, s);
            worst = tick > worst ? tick : worst;
        }
        timeline_draw_tick(grid, timeline->x + i, rect.y, worst);
    }
    int64_t shown = is_live ? to : at_ms;
    int64_t at = (shown - timeline->from_ms) * timeline->w / span;
    at = at < 0 ? 0 : at >= timeline->w ? timeline->w - 1 : at;
    grid_put(grid, timeline->x + (int)at, rect.y,
             is_live ? STYLE_BOLD(INK_GOOD) : STYLE_ON(INK_TEXT, GROUND_ALERT),
             grid->ascii ? '|'
             : is_live   ? 0x25cf
                         : 0x25c6);
    timeline_label(label, sizeof label, to);
    if (is_live)
        (void)grid_text(grid, rect.x + rect.w - 3, rect.y, 3, STYLE(INK_GOOD), "now");
    else
        (void)grid_text(grid, rect.x + rect.w - TIMELINE_LABEL, rect.y, TIMELINE_LABEL,
                        STYLE(INK_DIM), to >= now_ms ? "now" : label);
}

int64_t timeline_at(const struct timeline *timeline, int x)
{
    if (timeline->w < 4 || x < timeline->x || x >= timeline->x + timeline->w)
        return 0;
    return timeline->from_ms +
           (timeline->to_ms - timeline->from_ms) * (2 * (x - timeline->x) + 1) / (2 * timeline->w);
}

int64_t timeline_next(const struct timeline *timeline, int64_t at_ms, bool back)
{
    int64_t second = at_ms / 1000;
    for (int64_t i = 0; i < TIMELINE_SECONDS; i++) {
        second += back ? -1 : 1;
        if (back ? second <= timeline->newest_s - TIMELINE_SECONDS : second > timeline->newest_s)
            return 0;
        if (timeline_tick_at(timeline, second) >= TIMELINE_LEAD)
            return second * 1000 + 999;
    }
    return 0;
}
