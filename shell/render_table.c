/* For people: an aligned table, and records with one value a line.
 *
 * Every cell's text is made once; a column is as wide as its widest cell. While the table is wider
 * than the terminal, WIDE columns go, the last one first; then the widest column that may shrink
 * gets narrower, down to RENDER_SHRINK_TO. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shell/render.h"
#include "shell/text.h"

struct render_cells {
    const struct column *columns[RENDER_COLUMNS_MAX];
    size_t widths[RENDER_COLUMNS_MAX];
    bool hidden[RENDER_COLUMNS_MAX];
    size_t n_columns;
    char **texts; /* row by row */
    size_t n_rows;
};

static void render_cells_init(struct render_cells *cells, const struct render *r,
                              const struct column *columns, const json_t *rows,
                              enum column_use shown, enum column_use use)
{
    *cells = (struct render_cells){.n_rows = json_array_size(rows)};
    for (const struct column *c = columns; c->key != NULL; c++) {
        if (column_is_shown(c, shown) && cells->n_columns < RENDER_COLUMNS_MAX)
            cells->columns[cells->n_columns++] = c;
    }
    cells->texts = mem_calloc(cells->n_rows * cells->n_columns + 1, sizeof *cells->texts);
    for (size_t k = 0; k < cells->n_columns; k++) {
        const struct column *c = cells->columns[k];
        cells->widths[k] = r->tuples_only ? 1 : text_width(column_title(c, use));
        for (size_t i = 0; i < cells->n_rows; i++) {
            char *text = column_text(c, json_array_get(rows, i), use, r->now_ms);
            size_t width = text_width(text);
            if (width > cells->widths[k])
                cells->widths[k] = width;
            cells->texts[i * cells->n_columns + k] = text;
        }
    }
}

static void render_cells_done(struct render_cells *cells)
{
    for (size_t i = 0; i < cells->n_rows * cells->n_columns; i++)
        free(cells->texts[i]);
    free(cells->texts);
}

/* A cell has a space on both sides; columns are apart by one line. */
static size_t render_total_width(const struct render_cells *cells)
{
    size_t total = 0;
    for (size_t k = 0; k < cells->n_columns; k++)
        total += cells->hidden[k] ? 0 : cells->widths[k] + 3;
    return total > 0 ? total - 1 : 0;
}

static bool render_shrink_widest(struct render_cells *cells)
{
    size_t widest = cells->n_columns;
    for (size_t k = 0; k < cells->n_columns; k++) {
        if (cells->hidden[k] || !column_may_shrink(cells->columns[k]) ||
            cells->widths[k] <= RENDER_SHRINK_TO)
            continue;
        if (widest == cells->n_columns || cells->widths[k] > cells->widths[widest])
            widest = k;
    }
    if (widest < cells->n_columns)
        cells->widths[widest]--;
    return widest < cells->n_columns;
}

static bool render_fit(struct render_cells *cells, size_t width)
{
    if (width == 0)
        return true;
    for (size_t k = cells->n_columns; k-- > 0 && render_total_width(cells) > width;)
        cells->hidden[k] = cells->columns[k]->show == COLUMN_SHOW_WIDE;
    while (render_total_width(cells) > width) {
        if (!render_shrink_widest(cells))
            return false;
    }
    return true;
}

static size_t render_last_shown(const struct render_cells *cells)
{
    size_t last = cells->n_columns;
    while (last > 0 && cells->hidden[last - 1])
        last--;
    return last - (last > 0);
}

static void render_colored(const struct render *r, const char *color, struct buf *b)
{
    if (r->has_color && color[0] != '\0')
        (void)buf_printf(b, "\033[%sm", color);
}

static const char *render_bar(const struct render *r)
{
    return r->border == FORMAT_BORDER_NONE ? " " : text_is_utf8() ? " \xe2\x94\x82" : " |";
}

static void render_table_line(const struct render *r, const struct render_cells *cells,
                              char *const *texts, struct buf *b)
{
    size_t last = render_last_shown(cells);
    bool is_framed = r->border == FORMAT_BORDER_FULL;
    if (is_framed)
        (void)buf_append_str(b, render_bar(r) + 1);
    for (size_t k = 0; k <= last; k++) {
        const struct column *c = cells->columns[k];
        bool is_last = k == last;
        if (cells->hidden[k])
            continue;
        const char *text = texts != NULL ? texts[k] : column_title(c, COLUMN_USE_TABLE);
        const char *color = texts == NULL                  ? "1"
                            : c->kind == COLUMN_KIND_STATE ? column_state_color(text)
                                                           : "";
        (void)buf_append_byte(b, ' ');
        render_colored(r, color, b);
        text_append_fit(b, text, cells->widths[k], column_is_right(c), !is_last || is_framed);
        if (color[0] != '\0')
            render_colored(r, "0", b);
        if (!is_last || is_framed)
            (void)buf_append_str(b, render_bar(r));
    }
    (void)buf_append_byte(b, '\n');
}

/* The corners and joints of a rule, left to right; and what they are in ASCII. */
struct render_rule {
    const char *left, *joint, *right;
};

static void render_table_rule(const struct render *r, const struct render_cells *cells,
                              const struct render_rule *rule, struct buf *b)
{
    static const struct render_rule ascii = {"+", "+", "+"};
    const struct render_rule *joints = text_is_utf8() ? rule : &ascii;
    bool is_first = true;
    if (r->border == FORMAT_BORDER_FULL)
        (void)buf_append_str(b, joints->left);
    for (size_t k = 0; k < cells->n_columns; k++) {
        if (cells->hidden[k])
            continue;
        if (!is_first)
            (void)buf_append_str(b, r->border == FORMAT_BORDER_NONE ? " " : joints->joint);
        for (size_t i = 0; i < cells->widths[k] + 2; i++) {
            bool is_gap = r->border == FORMAT_BORDER_NONE && (i == 0 || i > cells->widths[k]);
            (void)buf_append_str(b, is_gap ? " " : text_is_utf8() ? "\xe2\x94\x80" : "-");
        }
        is_first = false;
    }
    if (r->border == FORMAT_BORDER_FULL)
        (void)buf_append_str(b, joints->right);
    (void)buf_append_byte(b, '\n');
}

bool render_table(const struct render *r, const struct column *columns, const json_t *rows,
                  struct buf *b)
{
    static const struct render_rule top = {"\xe2\x94\x8c", "\xe2\x94\xac", "\xe2\x94\x90"};
    static const struct render_rule middle = {"\xe2\x94\x9c", "\xe2\x94\xbc", "\xe2\x94\xa4"};
    static const struct render_rule foot = {"\xe2\x94\x94", "\xe2\x94\xb4", "\xe2\x94\x98"};
    struct render_cells cells;
    bool is_framed = r->border == FORMAT_BORDER_FULL;
    size_t frame = is_framed ? 2 : 0;
    render_cells_init(&cells, r, columns, rows, COLUMN_USE_TABLE, COLUMN_USE_TABLE);
    bool fits = render_fit(&cells, r->width > frame ? r->width - frame : r->width);
    if (fits && is_framed)
        render_table_rule(r, &cells, &top, b);
    if (fits && !r->tuples_only) {
        render_table_line(r, &cells, NULL, b);
        render_table_rule(r, &cells, &middle, b);
    }
    for (size_t i = 0; fits && i < cells.n_rows; i++)
        render_table_line(r, &cells, cells.texts + i * cells.n_columns, b);
    if (fits && is_framed)
        render_table_rule(r, &cells, &foot, b);
    if (fits && !r->tuples_only && !r->no_footer)
        (void)buf_printf(b, "(%zu row%s)\n", cells.n_rows, cells.n_rows == 1 ? "" : "s");
    render_cells_done(&cells);
    return fits;
}

static void render_record_rule(size_t number, size_t width, struct buf *b)
{
    char title[32];
    int n = snprintf(title, sizeof title, "-[ record %zu ]", number);
    (void)buf_append_str(b, title);
    for (size_t i = (size_t)n; i < width; i++)
        (void)buf_append_byte(b, '-');
    (void)buf_append_byte(b, '\n');
}

void render_vertical(const struct render *r, const struct column *columns, const json_t *rows,
                     unsigned records, struct buf *b)
{
    struct render_cells cells;
    bool is_titled = (records & RENDER_RECORDS_TITLED) != 0 && !r->tuples_only;
    render_cells_init(&cells, r, columns, rows,
                      (records & RENDER_RECORDS_DETAILED) != 0 ? COLUMN_USE_VERTICAL
                                                               : COLUMN_USE_TABLE,
                      COLUMN_USE_VERTICAL);
    size_t widest = 0;
    for (size_t k = 0; k < cells.n_columns; k++) {
        size_t width = text_width(column_title(cells.columns[k], COLUMN_USE_VERTICAL));
        widest = width > widest ? width : widest;
    }
    size_t rule = r->width > 0 && r->width < 40 ? r->width : 40;
    for (size_t i = 0; i < cells.n_rows; i++) {
        if (is_titled)
            render_record_rule(i + 1, rule, b);
        for (size_t k = 0; k < cells.n_columns; k++) {
            const struct column *c = cells.columns[k];
            const char *text = cells.texts[i * cells.n_columns + k];
            const char *color = c->kind == COLUMN_KIND_STATE ? column_state_color(text) : "";
            text_append_fit(b, column_title(c, COLUMN_USE_VERTICAL), widest, false, true);
            (void)buf_append_str(b, text_is_utf8() ? " \xe2\x94\x82 " : " | ");
            render_colored(r, color, b);
            (void)buf_append_str(b, text);
            if (color[0] != '\0')
                render_colored(r, "0", b);
            (void)buf_append_byte(b, '\n');
        }
    }
    if (cells.n_rows == 0 && is_titled)
        (void)buf_append_str(b, "(0 rows)\n");
    render_cells_done(&cells);
}
