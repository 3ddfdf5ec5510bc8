#include "tui/grid.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"

enum { GRID_REPLACEMENT = 0xfffd, GRID_PRINTF_MAX = 1024 };

static const uint32_t grid_glyphs[GLYPH_N][2] = {
    [GLYPH_HLINE] = {0x2500, '-'},     [GLYPH_VLINE] = {0x2502, '|'},
    [GLYPH_CORNER_TL] = {0x256d, '+'}, [GLYPH_CORNER_TR] = {0x256e, '+'},
    [GLYPH_CORNER_BL] = {0x2570, '+'}, [GLYPH_CORNER_BR] = {0x256f, '+'},
    [GLYPH_ELLIPSIS] = {0x2026, '~'},  [GLYPH_CRUMB] = {0x203a, '>'},
    [GLYPH_DOT] = {0x00b7, ','},       [GLYPH_BULLET] = {0x25cf, '*'},
    [GLYPH_UP] = {0x25b2, '^'},        [GLYPH_DOWN] = {0x25bc, 'v'},
    [GLYPH_MARK] = {0x2713, '+'},      [GLYPH_LEAD] = {0x2605, '*'},
    [GLYPH_TICK] = {0x2575, '\''},     [GLYPH_NOW] = {0x25b8, '>'},
    [GLYPH_CROSS] = {0x00d7, 'x'},     [GLYPH_THUMB] = {0x2590, '#'},
    [GLYPH_NONE] = {0x2013, '-'},
};

static const struct cell grid_blank = {.ch = ' '};

struct grid *grid_new(int w, int h, bool ascii)
{
    struct grid *grid = mem_zalloc(sizeof *grid);
    grid->ascii = ascii;
    grid_resize(grid, w, h);
    return grid;
}

void grid_free(struct grid *grid)
{
    if (grid == NULL)
        return;
    free(grid->cells);
    free(grid);
}

static int grid_clamp(int v, int min, int max)
{
    return v < min ? min : v > max ? max : v;
}

void grid_resize(struct grid *grid, int w, int h)
{
    grid->w = grid_clamp(w, 1, GRID_WIDTH_MAX);
    grid->h = grid_clamp(h, 1, GRID_HEIGHT_MAX);
    free(grid->cells);
    grid->cells = mem_calloc((size_t)grid->w * (size_t)grid->h, sizeof *grid->cells);
    grid_clear(grid);
}

void grid_clear(struct grid *grid)
{
    size_t n = (size_t)grid->w * (size_t)grid->h;
    for (size_t i = 0; i < n; i++)
        grid->cells[i] = grid_blank;
    grid->cursor_x = grid->cursor_y = -1;
}

uint32_t grid_glyph(const struct grid *grid, enum glyph glyph)
{
    assert(glyph < GLYPH_N);
    return grid_glyphs[glyph][grid->ascii];
}

static struct cell *grid_at(struct grid *grid, int x, int y)
{
    return &grid->cells[(size_t)y * (size_t)grid->w + (size_t)x];
}

static bool grid_has(const struct grid *grid, int x, int y)
{
    return x >= 0 && y >= 0 && x < grid->w && y < grid->h;
}

/* Whatever is written over half of a wide character takes its other half away. */
static void grid_set(struct grid *grid, int x, int y, const struct cell *to)
{
    struct cell *cell = grid_at(grid, x, y);
    if (cell->ch == 0 && x > 0 && to->ch != 0)
        grid_at(grid, x - 1, y)->ch = ' ';
    if (x + 1 < grid->w && cell[1].ch == 0)
        cell[1].ch = ' ';
    *cell = *to;
}

static void grid_put_wide(struct grid *grid, int x, int y, struct style style, uint32_t ch)
{
    if (!grid_has(grid, x, y) || !grid_has(grid, x + 1, y)) {
        grid_put(grid, x, y, style, ' ');
        grid_put(grid, x + 1, y, style, ' ');
        return;
    }
    grid_set(grid, x, y, &(struct cell){.ch = ch, .style = style});
    grid_set(grid, x + 1, y, &(struct cell){.ch = ' ', .style = style});
    grid_at(grid, x + 1, y)->ch = 0;
}

void grid_put(struct grid *grid, int x, int y, struct style style, uint32_t ch)
{
    assert(ch >= ' ');
    if (grid_has(grid, x, y))
        grid_set(grid, x, y, &(struct cell){.ch = ch, .style = style});
}

void grid_fill(struct grid *grid, struct rect rect, struct style style)
{
    for (int y = rect.y; y < rect.y + rect.h; y++) {
        for (int x = rect.x; x < rect.x + rect.w; x++)
            grid_put(grid, x, y, style, ' ');
    }
}

void grid_ground(struct grid *grid, struct rect rect, enum theme_ground ground)
{
    for (int y = rect.y; y < rect.y + rect.h; y++) {
        for (int x = rect.x; x < rect.x + rect.w; x++) {
            if (grid_has(grid, x, y))
                grid_at(grid, x, y)->style.ground = (uint8_t)ground;
        }
    }
}

void grid_hline(struct grid *grid, int x, int y, int w, struct style style)
{
    uint32_t line = grid_glyph(grid, GLYPH_HLINE);
    for (int i = 0; i < w; i++)
        grid_put(grid, x + i, y, style, line);
}

/* A character that a terminal would act on instead of showing it, or that changes the order or
 * form of others. */
static bool grid_is_hostile(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff ||
           (c >= 0xfff0 && c < 0xfffd) || c >= 0xe0000;
}

/* The next character as it is drawn: its bytes, code point and columns (0: combining). */
static size_t grid_next(const struct grid *grid, const char *s, size_t left, uint32_t *ch,
                        int *columns)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned char first = (unsigned char)s[0];
    *columns = 1;
    if (first >= 0x20 && first < 0x7f) {
        *ch = first;
        return 1;
    }
    uint32_t replacement = grid->ascii ? '?' : GRID_REPLACEMENT;
    size_t n = first < 0x80 ? 1 : str_utf8_len(s, left);
    *ch = first == '\t' ? ' ' : replacement;
    if (n <= 1 || grid->ascii)
        return n == 0 ? 1 : n;
    uint32_t c = first & masks[n];
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)s[i] & 0x3f);
    int width = grid_is_hostile(c) ? -1 : wcwidth((wchar_t)c);
    if (width >= 0) {
        *ch = c;
        *columns = width;
    }
    return n;
}

int grid_width(const struct grid *grid, const char *s, size_t len)
{
    int width = 0;
    for (size_t i = 0; i < len;) {
        uint32_t ch;
        int columns;
        i += grid_next(grid, s + i, len - i, &ch, &columns);
        width += columns;
    }
    return width;
}

size_t grid_prefix(const struct grid *grid, const char *s, size_t len, int w)
{
    int width = 0;
    size_t i = 0;
    while (i < len) {
        uint32_t ch;
        int columns;
        size_t step = grid_next(grid, s + i, len - i, &ch, &columns);
        if (i > 0 && width + columns > w)
            break;
        width += columns;
        i += step;
    }
    return i;
}

/* Whether `s` takes more than `w` columns; looks no further than that. */
static bool grid_is_longer(const struct grid *grid, const char *s, size_t len, int w)
{
    int width = 0;
    for (size_t i = 0; i < len && width <= w;) {
        uint32_t ch;
        int columns;
        i += grid_next(grid, s + i, len - i, &ch, &columns);
        width += columns;
    }
    return width > w;
}

int grid_text_n(struct grid *grid, int x, int y, int w, struct style style, const char *s,
                size_t len)
{
    if (w <= 0)
        return 0;
    bool cut = grid_is_longer(grid, s, len, w);
    int room = cut ? w - 1 : w;
    int used = 0;
    for (size_t i = 0; i < len;) {
        uint32_t ch;
        int columns;
        i += grid_next(grid, s + i, len - i, &ch, &columns);
        if (used + columns > room)
            break;
        if (columns == 2) {
            grid_put_wide(grid, x + used, y, style, ch);
        } else if (columns == 1) {
            grid_put(grid, x + used, y, style, ch);
        } else if (used > 0) {
            int at = x + used - 1;
            if (grid_has(grid, at, y) && grid_at(grid, at, y)->ch == 0)
                at--;
            if (grid_has(grid, at, y))
                grid_at(grid, at, y)->mark = ch;
        }
        used += columns;
    }
    if (cut)
        grid_put(grid, x + used++, y, style, grid_glyph(grid, GLYPH_ELLIPSIS));
    return used;
}

int grid_text(struct grid *grid, int x, int y, int w, struct style style, const char *s)
{
    return grid_text_n(grid, x, y, w, style, s, strlen(s));
}

int grid_text_right(struct grid *grid, int x, int y, int w, struct style style, const char *s)
{
    size_t len = strlen(s);
    int width = grid_width(grid, s, len);
    if (width < w)
        return grid_text_n(grid, x + w - width, y, width, style, s, len);
    return grid_text_n(grid, x, y, w, style, s, len);
}

int grid_printf(struct grid *grid, int x, int y, int w, struct style style, const char *fmt, ...)
{
    char text[GRID_PRINTF_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return n > 0 ? grid_text(grid, x, y, w, style, text) : 0;
}

size_t grid_utf8(uint32_t c, char out[static 4])
{
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (n == 1) {
        out[0] = (char)c;
        return 1;
    }
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(first[n] | c);
    return n;
}

char *grid_row_text(const struct grid *grid, int y)
{
    struct buf b;
    buf_init(&b, (size_t)GRID_WIDTH_MAX * 8 + 1);
    int end = grid->w;
    const struct cell *row = &grid->cells[(size_t)y * (size_t)grid->w];
    while (end > 0 && row[end - 1].ch == ' ' && row[end - 1].mark == 0)
        end--;
    for (int x = 0; x < end; x++) {
        char bytes[4];
        if (row[x].ch != 0)
            (void)buf_append(&b, bytes, grid_utf8(row[x].ch, bytes));
        if (row[x].mark != 0)
            (void)buf_append(&b, bytes, grid_utf8(row[x].mark, bytes));
    }
    return b.len > 0 ? buf_steal(&b, NULL) : mem_strdup("");
}

struct rect rect_inset(struct rect r, int left, int top, int right, int bottom)
{
    r.x += left;
    r.y += top;
    r.w -= left + right;
    r.h -= top + bottom;
    if (r.w < 0)
        r.w = 0;
    if (r.h < 0)
        r.h = 0;
    return r;
}
