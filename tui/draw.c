#include "tui/draw.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

enum { DRAW_LEVELS = 8 };

static uint32_t draw_level(const struct grid *grid, int level)
{
    static const char ascii[DRAW_LEVELS + 1] = " _.-=+*#@";
    if (level <= 0)
        return ' ';
    if (level > DRAW_LEVELS)
        level = DRAW_LEVELS;
    return grid->ascii ? (uint32_t)ascii[level] : 0x2580u + (uint32_t)level;
}

void draw_spark(struct grid *grid, struct rect rect, const float *values, size_t n, double max,
                struct style style)
{
    if (rect.w <= 0 || rect.h <= 0)
        return;
    size_t w = (size_t)rect.w;
    size_t from = n > w ? n - w : 0;
    double top = max;
    for (size_t i = from; i < n && max <= 0; i++)
        top = !isnan(values[i]) && values[i] > top ? values[i] : top;
    for (size_t i = from; i < n; i++) {
        int x = rect.x + rect.w - (int)(n - i);
        if (isnan(values[i]))
            continue;
        double part = top > 0 ? values[i] / top : 0;
        part = part < 0 ? 0 : part > 1 ? 1 : part;
        /* one row is never full: rows above each other stay apart */
        int levels = rect.h == 1 ? DRAW_LEVELS - 1 : DRAW_LEVELS * rect.h;
        int level = (int)lround(part * levels);
        level = level < 1 ? 1 : level;
        for (int row = 0; row < rect.h; row++) {
            int here = level - row * DRAW_LEVELS;
            if (here > 0)
                grid_put(grid, x, rect.y + rect.h - 1 - row, style, draw_level(grid, here));
        }
    }
}

/* A heavy line over a thin one, with halves: bars above each other stay apart. */
void draw_bar(struct grid *grid, int x, int y, int w, double part, struct style style)
{
    static const uint32_t heavy[] = {0x2501, '='};
    static const uint32_t half[] = {0x2578, '-'};
    static const uint32_t thin[] = {0x2500, '.'};
    part = isnan(part) || part < 0 ? 0 : part > 1 ? 1 : part;
    int halves = (int)lround(part * w * 2);
    if (part > 0 && halves == 0)
        halves = 1;
    for (int i = 0; i < w; i++) {
        int here = halves - i * 2;
        if (here >= 2)
            grid_put(grid, x + i, y, style, heavy[grid->ascii]);
        else if (here == 1)
            grid_put(grid, x + i, y, style, half[grid->ascii]);
        else
            grid_put(grid, x + i, y, STYLE(INK_RULE), thin[grid->ascii]);
    }
}

enum theme_ink draw_level_ink(double part)
{
    return part >= 0.95 ? INK_BAD : part >= 0.8 ? INK_WARN : INK_ACCENT;
}

void draw_strip(struct grid *grid, int x, int y, int w, const float *interval_ms, size_t n,
                double expected_ms)
{
    size_t columns = w > 0 ? (size_t)w : 0;
    size_t from = n > columns ? n - columns : 0;
    for (size_t i = from; i < n; i++) {
        int at = x + w - (int)(n - i);
        if (isnan(interval_ms[i])) {
            grid_put(grid, at, y, STYLE(INK_BAD), grid_glyph(grid, GLYPH_CROSS));
            continue;
        }
        double late = expected_ms > 0 ? interval_ms[i] / expected_ms : 1;
        int level = late <= 1.1 ? 1 : late <= 1.5 ? 2 : late <= 2 ? 4 : late <= 3 ? 6 : 8;
        enum theme_ink ink = late <= 1.5 ? INK_GOOD : late <= 3 ? INK_WARN : INK_BAD;
        grid_put(grid, at, y, STYLE(ink), draw_level(grid, level));
    }
}

void draw_title(struct grid *grid, struct rect rect, const char *title, const char *right,
                bool is_active)
{
    if (rect.w < 1)
        return;
    struct style style = STYLE_BOLD(is_active ? INK_ACCENT : INK_TITLE);
    int x = rect.x + grid_text(grid, rect.x, rect.y, rect.w, style, title) + 1;
    int end = rect.x + rect.w;
    int w = right != NULL ? grid_width(grid, right, strlen(right)) : 0;
    if (w > 0 && x + w + 3 <= end) {
        (void)grid_text(grid, end - w, rect.y, w, STYLE(INK_DIM), right);
        end -= w + 1;
    }
    grid_hline(grid, x, rect.y, end - x, STYLE(INK_RULE));
}

void draw_box(struct grid *grid, struct rect r, const char *title)
{
    struct style style = STYLE_ON(INK_RULE, GROUND_DIALOG);
    grid_fill(grid, r, STYLE_ON(INK_TEXT, GROUND_DIALOG));
    if (r.w < 2 || r.h < 2)
        return;
    int right = r.x + r.w - 1;
    int bottom = r.y + r.h - 1;
    grid_hline(grid, r.x, r.y, r.w, style);
    grid_hline(grid, r.x, bottom, r.w, style);
    for (int y = r.y + 1; y < bottom; y++) {
        grid_put(grid, r.x, y, style, grid_glyph(grid, GLYPH_VLINE));
        grid_put(grid, right, y, style, grid_glyph(grid, GLYPH_VLINE));
    }
    grid_put(grid, r.x, r.y, style, grid_glyph(grid, GLYPH_CORNER_TL));
    grid_put(grid, right, r.y, style, grid_glyph(grid, GLYPH_CORNER_TR));
    grid_put(grid, r.x, bottom, style, grid_glyph(grid, GLYPH_CORNER_BL));
    grid_put(grid, right, bottom, style, grid_glyph(grid, GLYPH_CORNER_BR));
    if (title != NULL && title[0] != '\0' && r.w > 6) {
        struct style bold = {INK_TITLE, GROUND_DIALOG, ATTR_BOLD};
        grid_put(grid, r.x + 2, r.y, bold, ' ');
        int used = grid_text(grid, r.x + 3, r.y, r.w - 6, bold, title);
        grid_put(grid, r.x + 3 + used, r.y, bold, ' ');
    }
}

/* Bytes of the next line, and with the blank or newline behind it in *step. */
static size_t draw_line(const struct grid *measure, const char *s, int w, size_t *step)
{
    size_t len = strcspn(s, "\n");
    size_t fits = grid_prefix(measure, s, len, w);
    if (fits < len) {
        size_t blank = fits;
        while (blank > 0 && s[blank] != ' ')
            blank--;
        fits = blank > 0 ? blank : fits;
    }
    *step = fits + (s[fits] == '\n' || s[fits] == ' ');
    return fits;
}

int draw_wrapped(struct grid *grid, struct rect rect, struct style style, const char *s,
                 const struct grid *measure)
{
    int lines = 0;
    if (rect.w < 1)
        return 0;
    while (*s != '\0') {
        size_t step;
        size_t len = draw_line(measure, s, rect.w, &step);
        if (grid != NULL && lines < rect.h)
            (void)grid_text_n(grid, rect.x, rect.y + lines, rect.w, style, s, len);
        s += step;
        lines++;
    }
    return lines;
}
