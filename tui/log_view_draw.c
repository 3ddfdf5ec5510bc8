/* Lines as they stand on the screen: a head of time, node, level and kind, then the text, cut or
 * wrapped. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tui/log_view_internal.h"

enum { LOG_VIEW_SOURCE_MAX = 16, LOG_VIEW_KIND_WIDTH = 16, LOG_VIEW_WRAP_MAX = 20 };
enum { LOG_VIEW_UUID = 36, LOG_VIEW_SHORT_ID = 8 };

enum theme_ink log_view_ink(const char *name)
{
    unsigned hash = 0;
    unsigned number = 0;
    for (; *name != '\0'; name++) {
        bool is_digit = *name >= '0' && *name <= '9';
        if (!is_digit)
            hash = (hash + number) * 33 + (unsigned char)*name;
        number = is_digit ? number * 10 + (unsigned)(*name - '0') : 0;
    }
    return INK_NODE_1 + (enum theme_ink)((hash % INK_NODES + number) % INK_NODES);
}

static int log_view_time_text(enum log_view_time form, int64_t at_ms, char *out, size_t size)
{
    time_t seconds = (time_t)(at_ms / 1000);
    struct tm tm;
    out[0] = '\0';
    if (form == LOG_VIEW_NO_TIME || localtime_r(&seconds, &tm) == NULL)
        return 0;
    size_t n = form == LOG_VIEW_DATE ? strftime(out, size, "%Y-%m-%d %H:%M:%S", &tm)
                                     : strftime(out, size, "%H:%M:%S", &tm);
    if (form == LOG_VIEW_TIME_MS)
        n += (size_t)snprintf(out + n, size - n, ".%03d", (int)(at_ms % 1000));
    return (int)n;
}

static struct style log_view_text_style(enum model_level level)
{
    static const enum theme_ink inks[] = {INK_DIM, INK_TEXT, INK_WARN, INK_BAD};
    return STYLE(inks[level]);
}

/* Draws what stands in front of the text; the column where the text begins. */
static int log_view_draw_head(struct log_view *view, struct grid *grid, struct rect r,
                              const struct model_line *line)
{
    static const char levels[] = {'d', ' ', 'W', 'E'};
    char time[40];
    int x = r.x + 2;
    if (log_view_time_text(r.w >= 50 ? view->time : LOG_VIEW_NO_TIME, line->at_ms, time,
                           sizeof time) > 0)
        x += grid_text(grid, x, r.y, r.w, STYLE(INK_DIM), time) + 1;
    if (view->show & LOG_VIEW_SOURCE) {
        (void)grid_text(grid, x, r.y, view->source_width, STYLE(log_view_ink(line->source)),
                        line->source);
        x += view->source_width + 1;
    }
    if (view->show & LOG_VIEW_LEVEL) {
        grid_put(grid, x, r.y, log_view_text_style(line->level), (uint32_t)levels[line->level]);
        x += 2;
    }
    if ((view->show & LOG_VIEW_KIND) && r.w >= 90) {
        (void)grid_text(grid, x, r.y, view->kind_width, STYLE(INK_DIM), line->kind);
        x += view->kind_width + 1;
    }
    return x;
}

static bool log_view_is_uuid(const char *s)
{
    for (size_t i = 0; i < LOG_VIEW_UUID; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool is_hex = (s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f');
        if (is_dash ? s[i] != '-' : !is_hex)
            return false;
    }
    return true;
}

/* Where the next UUID begins, from `at` on; `len`: there is none. */
static size_t log_view_find_uuid(const char *text, size_t at, size_t len)
{
    for (; at + LOG_VIEW_UUID <= len; at++)
        if (text[at + LOG_VIEW_SHORT_ID] == '-' && log_view_is_uuid(text + at))
            return at;
    return len;
}

/* The columns of the text when each UUID is what it is known by, its beginning; draws it too. */
static int log_view_put(struct grid *grid, struct rect r, struct style style, const char *text,
                        size_t len, bool draws)
{
    int x = 0;
    for (size_t at = 0; at < len;) {
        size_t uuid = log_view_find_uuid(text, at, len);
        size_t to = uuid < len ? uuid + LOG_VIEW_SHORT_ID : len;
        if (draws && x < r.w)
            (void)grid_text_n(grid, r.x + x, r.y, r.w - x, style, text + at, to - at);
        x += grid_width(grid, text + at, to - at);
        at = uuid < len ? uuid + LOG_VIEW_UUID : len;
    }
    return x;
}

/* Whether what was looked for is in a UUID, or goes into one. */
static bool log_view_cuts_match(const char *text, size_t len, size_t begin, size_t end)
{
    for (size_t at = 0; (at = log_view_find_uuid(text, at, len)) < len; at += LOG_VIEW_UUID)
        if (at < end && at + LOG_VIEW_UUID > begin)
            return true;
    return false;
}

/* The text's part that starts at `from`, with what matched in it emphasised. */
static void log_view_draw_text(const struct log_view *view, struct grid *grid, struct rect r,
                               const struct model_line *line, size_t from, size_t len)
{
    struct style style = log_view_text_style(line->level);
    size_t begin = 0;
    size_t end = 0;
    if (view->filter == NULL || view->pattern[0] == '\0' || view->pattern[0] == '!' ||
        !model_filter_match(view->filter, line->text, &begin, &end))
        begin = end = 0;
    bool is_whole = view->wraps || log_view_cuts_match(line->text, line->text_len, begin, end);
    if (is_whole)
        (void)grid_text_n(grid, r.x, r.y, r.w, style, line->text + from, len);
    else
        (void)log_view_put(grid, r, style, line->text + from, len, true);
    begin = begin < from ? from : begin;
    end = end > from + len ? from + len : end;
    if (begin >= end)
        return;
    int x = is_whole ? grid_width(grid, line->text + from, begin - from)
                     : log_view_put(grid, r, style, line->text + from, begin - from, false);
    int w = grid_width(grid, line->text + begin, end - begin);
    w = x + w > r.w ? r.w - x : w;
    style.attr = ATTR_UNDERLINE | ATTR_BOLD;
    if (w > 0)
        (void)grid_text_n(grid, r.x + x, r.y, w, style, line->text + begin, end - begin);
}

/* Width of the text when the head is drawn: the same for every line. */
static int log_view_text_x(const struct log_view *view, struct rect r)
{
    int x = 2;
    if (r.w >= 50 && view->time != LOG_VIEW_NO_TIME)
        x += view->time == LOG_VIEW_TIME ? 9 : view->time == LOG_VIEW_TIME_MS ? 13 : 20;
    x += view->show & LOG_VIEW_SOURCE ? view->source_width + 1 : 0;
    x += view->show & LOG_VIEW_LEVEL ? 2 : 0;
    x += (view->show & LOG_VIEW_KIND) && r.w >= 90 ? view->kind_width + 1 : 0;
    return x;
}

static int log_view_rows(const struct log_view *view, const struct grid *grid,
                         const struct model_line *line, int width)
{
    if (!view->wraps || width < 1)
        return 1;
    int rows = 0;
    for (size_t from = 0; from < line->text_len && rows < LOG_VIEW_WRAP_MAX; rows++)
        from += grid_prefix(grid, line->text + from, line->text_len - from, width);
    return rows > 0 ? rows : 1;
}

static int log_view_draw_line(struct log_view *view, struct grid *grid, struct rect r, uint64_t pos,
                              bool is_active)
{
    struct model_line line;
    model_lines_get(view->lines, pos, &line);
    struct rect row = {r.x, r.y, r.w, 1};
    if (line.is_hole) {
        (void)grid_text(grid, r.x + 2, r.y, r.w - 2, STYLE(INK_WARN), line.text);
        return 1;
    }
    bool is_marked = log_view_is_marked(view, pos);
    if (is_marked)
        grid_put(grid, r.x, r.y, STYLE_BOLD(INK_WARN), grid_glyph(grid, GLYPH_MARK));
    int x = log_view_draw_head(view, grid, row, &line);
    int width = r.x + r.w - x;
    int rows = log_view_rows(view, grid, &line, width);
    size_t from = 0;
    for (int i = 0; i < rows && i < r.h; i++) {
        size_t len = line.text_len - from;
        if (view->wraps)
            len = len > 0 ? grid_prefix(grid, line.text + from, len, width) : 0;
        log_view_draw_text(view, grid, (struct rect){x, r.y + i, width, 1}, &line, from, len);
        from += len;
    }
    row.h = rows < r.h ? rows : r.h;
    if (pos == view->at && is_active && !view->follows)
        grid_ground(grid, row, GROUND_SELECT);
    else if (is_marked)
        grid_ground(grid, row, GROUND_MARK);
    return rows;
}

static int log_view_rows_at(const struct log_view *view, const struct grid *grid, size_t i,
                            int width)
{
    struct model_line line;
    if (!view->wraps)
        return 1;
    model_lines_get(view->lines, model_filter_at(view->filter, i), &line);
    return log_view_rows(view, grid, &line, width);
}

/* The first index to draw, so that the selected line is on the screen. */
static size_t log_view_place(struct log_view *view, const struct grid *grid, struct rect r,
                             size_t n)
{
    int width = r.w - log_view_text_x(view, r);
    size_t at = log_view_index(view, view->at, n);
    size_t top = log_view_index(view, view->top, n);
    view->at = model_filter_at(view->filter, at);
    /* the topmost from which the selected one, or the end, still fits */
    int left = r.h;
    size_t lowest = view->follows ? n - 1 : at;
    size_t earliest = lowest;
    for (size_t i = lowest + 1; i-- > 0;) {
        left -= log_view_rows_at(view, grid, i, width);
        if (left < 0)
            break;
        earliest = i;
    }
    if (view->follows || top < earliest)
        top = earliest;
    if (top > at)
        top = at;
    /* nothing stays empty below the end */
    left = r.h;
    size_t last = n;
    for (size_t i = n; i-- > 0;) {
        left -= log_view_rows_at(view, grid, i, width);
        if (left < 0)
            break;
        last = i;
    }
    top = top > last && last < n ? last : top;
    view->top = model_filter_at(view->filter, top);
    return top;
}

static void log_view_measure(struct log_view *view, struct grid *grid, size_t top, size_t n,
                             int height)
{
    int room = LOG_VIEW_SOURCE_MAX;
    for (size_t i = top; i < n && i < top + (size_t)height; i++) {
        struct model_line line;
        model_lines_get(view->lines, model_filter_at(view->filter, i), &line);
        int w = grid_width(grid, line.source, strlen(line.source));
        w = w > room ? room : w;
        view->source_width = w > view->source_width ? w : view->source_width;
        w = grid_width(grid, line.kind, strlen(line.kind));
        w = w > LOG_VIEW_KIND_WIDTH ? LOG_VIEW_KIND_WIDTH : w;
        view->kind_width = w > view->kind_width ? w : view->kind_width;
    }
}

void log_view_draw(struct log_view *view, struct grid *grid, struct rect rect, bool is_active)
{
    view->height = rect.h;
    view->drawn = rect;
    size_t n = log_view_count(view);
    if (rect.h < 1 || rect.w < 4)
        return;
    if (n == 0) {
        size_t looked = 0;
        size_t all = 0;
        if (view->filter != NULL)
            model_filter_progress(view->filter, &looked, &all);
        const char *why = looked < all ? "looking ..."
                          : all > 0    ? "nothing matches"
                                       : "nothing yet";
        (void)grid_text(grid, rect.x + 2, rect.y, rect.w - 2, STYLE(INK_DIM), why);
        return;
    }
    size_t top = log_view_place(view, grid, rect, n);
    log_view_measure(view, grid, top, n, rect.h);
    int y = rect.y;
    for (size_t i = top; i < n && y < rect.y + rect.h; i++)
        y += log_view_draw_line(view, grid, (struct rect){rect.x, y, rect.w, rect.y + rect.h - y},
                                model_filter_at(view->filter, i), is_active);
}
