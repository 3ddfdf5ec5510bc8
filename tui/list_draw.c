/* Which columns fit, how wide they are, and the cells of what is visible. */
#include <string.h>

#include "tui/list_internal.h"

enum { LIST_GAP = 2, LIST_MARGIN = 2 };

/* Takes the widths of what is visible into what was seen. */
static void list_measure(struct list *list, struct grid *grid, int height)
{
    struct list_cell cell;
    for (int c = 0; c < list_columns(list); c++) {
        const struct list_column *column = &list->source->columns[c];
        int w = (int)strlen(column->name) + (c == list->sort ? 2 : 0);
        for (size_t i = list->top; i < list->n && i < list->top + (size_t)height; i++) {
            if (column->is_drawn)
                break;
            cell = (struct list_cell){0};
            list->source->cell(list->arg, list->rows[i].row, c, &cell);
            int width = grid_width(grid, cell.text, strnlen(cell.text, sizeof cell.text));
            w = width > w ? width : w;
        }
        w = column->is_drawn ? column->max : w;
        w = w < column->min ? column->min : w;
        list->seen[c] = w > list->seen[c] ? w : list->seen[c];
    }
}

/* Whether the column takes what is left over. */
static bool list_is_open(const struct list_column *column)
{
    return column->max == 0;
}

static int list_usual_width(const struct list *list, int c)
{
    const struct list_column *column = &list->source->columns[c];
    if (list_is_open(column))
        return column->min;
    return list->seen[c] < column->max ? list->seen[c] : column->max;
}

/* Takes columns by their priority as long as they fit; what is left of the width. */
static int list_choose(struct list *list, int width)
{
    int left = width + LIST_GAP;
    memset(list->drawn_w, 0, sizeof list->drawn_w);
    for (int priority = 0; priority < LIST_COLUMNS_MAX; priority++) {
        for (int c = 0; c < list_columns(list); c++) {
            int w = list_usual_width(list, c);
            if (list->source->columns[c].priority != priority || list_is_hidden(list, c) ||
                (priority > 0 && w + LIST_GAP > left))
                continue;
            list->drawn_w[c] = w;
            left -= w + LIST_GAP;
        }
    }
    return left;
}

/* What columns that take the rest still want for what was seen in them; with `always`, those that
 * are always shown only. */
static int list_want(const struct list *list, bool always)
{
    int want = 0;
    for (int c = 0; c < list_columns(list); c++) {
        const struct list_column *column = &list->source->columns[c];
        if (list->drawn_w[c] > 0 && list_is_open(column) && (!always || column->priority == 0) &&
            list->seen[c] > list->drawn_w[c])
            want += list->seen[c] - list->drawn_w[c];
    }
    return want;
}

/* Where it is narrow, an open column that is always shown gets up to half of the width, from the
 * longest texts beside it. What is left then. */
static int list_yield(struct list *list, int width, int left)
{
    int want = list_want(list, true);
    int room = width / 2;
    for (int c = 0; c < list_columns(list); c++)
        room -= list_is_open(&list->source->columns[c]) ? list->drawn_w[c] : 0;
    want = want > room ? room : want;
    while (want > left) {
        int longest = -1;
        for (int c = 0; c < list_columns(list); c++) {
            const struct list_column *column = &list->source->columns[c];
            if (!list_is_open(column) && !column->right && !column->is_drawn &&
                list->drawn_w[c] > column->min && list->drawn_w[c] > width / 4 &&
                (longest < 0 || list->drawn_w[c] > list->drawn_w[longest]))
                longest = c;
        }
        if (longest < 0)
            break;
        list->drawn_w[longest]--;
        left++;
    }
    return left;
}

/* What nobody else wants goes to texts that were cut. What is left then. */
static int list_uncut(struct list *list, int left)
{
    int free = left - list_want(list, false);
    for (int c = 0; c < list_columns(list) && free > 0; c++) {
        int cut = list->seen[c] - list->drawn_w[c];
        if (list->drawn_w[c] == 0 || list_is_open(&list->source->columns[c]) || cut <= 0)
            continue;
        cut = cut < free ? cut : free;
        list->drawn_w[c] += cut;
        free -= cut;
        left -= cut;
    }
    return left;
}

static void list_fit(struct list *list, int width)
{
    int n = list_columns(list);
    int open = 0;
    int left = list_uncut(list, list_yield(list, width, list_choose(list, width)));
    for (int c = 0; c < n; c++)
        open += list->drawn_w[c] > 0 && list_is_open(&list->source->columns[c]);
    for (int c = 0; c < n && open > 0 && left > 0; c++) {
        if (list->drawn_w[c] == 0 || !list_is_open(&list->source->columns[c]))
            continue;
        list->drawn_w[c] += left / open;
        left -= left / open;
        open--;
    }
}

static void list_draw_head(struct list *list, struct grid *grid, struct rect rect)
{
    int end = rect.x + rect.w;
    list->drawn_y = rect.y;
    for (int c = 0; c < list_columns(list); c++) {
        const struct list_column *column = &list->source->columns[c];
        int x = list->drawn_x[c];
        int w = list->drawn_w[c];
        if (w == 0 || x >= end)
            continue;
        w = x + w > end ? end - x : w;
        bool sorted = c == list->sort;
        struct style style = STYLE(sorted ? INK_ACCENT : INK_DIM);
        int len = (int)strlen(column->name) + (sorted ? 2 : 0);
        int at = column->right && len < w ? x + w - len : x;
        int used = grid_text(grid, at, rect.y, w - (at - x), style, column->name);
        if (sorted && used + 2 <= w)
            grid_put(grid, at + used + 1, rect.y, style,
                     grid_glyph(grid, list->descending ? GLYPH_DOWN : GLYPH_UP));
    }
}

static void list_draw_row(struct list *list, struct grid *grid, struct rect rect, size_t i)
{
    int end = rect.x + rect.w;
    char key[LIST_KEY_MAX];
    list_key_at(list, i, key);
    bool marked = list_is_marked(list, key);
    if (marked)
        grid_put(grid, rect.x, rect.y, STYLE_BOLD(INK_WARN), grid_glyph(grid, GLYPH_MARK));
    for (int c = 0; c < list_columns(list); c++) {
        const struct list_column *column = &list->source->columns[c];
        int x = list->drawn_x[c];
        int w = list->drawn_w[c];
        if (w == 0 || x >= end)
            continue;
        w = x + w > end ? end - x : w;
        if (column->is_drawn) {
            list->source->draw(list->arg, list->rows[i].row, c, grid,
                               (struct rect){x, rect.y, w, 1});
            continue;
        }
        struct list_cell cell = {0};
        list->source->cell(list->arg, list->rows[i].row, c, &cell);
        if (column->right)
            (void)grid_text_right(grid, x, rect.y, w, cell.style, cell.text);
        else
            (void)grid_text(grid, x, rect.y, w, cell.style, cell.text);
    }
    struct rect whole = {rect.x, rect.y, rect.w, 1};
    if (i == list->at && !list->is_idle)
        grid_ground(grid, whole, GROUND_SELECT);
    else if (marked)
        grid_ground(grid, whole, GROUND_MARK);
}

static void list_draw_thumb(const struct list *list, struct grid *grid, struct rect rect)
{
    if (list->n <= (size_t)rect.h || rect.h < 2)
        return;
    size_t h = (size_t)rect.h;
    size_t size = h * h / list->n;
    size = size < 1 ? 1 : size;
    size_t room = list->n - h;
    size_t at = list->top < room ? list->top * (h - size) / room : h - size;
    for (size_t i = 0; i < size; i++)
        grid_put(grid, rect.x + rect.w - 1, rect.y + (int)(at + i), STYLE(INK_RULE),
                 grid_glyph(grid, GLYPH_THUMB));
}

void list_draw(struct list *list, struct grid *grid, struct rect rect)
{
    if (rect.h < 1 || rect.w < 1)
        return;
    list->height = rect.h - 1;
    size_t height = (size_t)list->height;
    if (list->top + height > list->n)
        list->top = list->n > height ? list->n - height : 0;
    int margin = rect.w > 30 ? LIST_MARGIN : 1;
    list_measure(list, grid, list->height);
    list_fit(list, rect.w - margin - 1);
    int x = rect.x + margin;
    for (int c = 0; c < list_columns(list); c++) {
        list->drawn_x[c] = x;
        x += list->drawn_w[c] > 0 ? list->drawn_w[c] + LIST_GAP : 0;
    }
    struct rect inner = {rect.x, rect.y, rect.w - 1, rect.h};
    list_draw_head(list, grid, inner);
    for (size_t i = 0; i < height && list->top + i < list->n; i++)
        list_draw_row(list, grid, (struct rect){rect.x, rect.y + 1 + (int)i, rect.w - 1, 1},
                      list->top + i);
    list_draw_thumb(list, grid, rect_inset(rect, 0, 1, 0, 0));
}
