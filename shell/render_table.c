/* For people: an aligned table, and records with one value a line.
 *
 * Every cell's text is made once; a column is as wide as its widest cell. While the table is wider
 * than the terminal, the widest column that may shrink loses a column, down to RENDER_SHRINK_TO. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shell/render.h"
#include "shell/text.h"

struct render_cells {
    const struct column *columns[RENDER_COLUMNS_MAX];
    size_t widths[RENDER_COLUMNS_MAX];
    size_t n_columns;
    char **texts; /* row by row */
    size_t n_rows;
};

static void render_cells_init(struct render_cells *cells, const struct render *r,
                              const struct column *columns, const json_t *rows, enum column_use use)
{
    *cells = (struct render_cells){.n_rows = json_array_size(rows)};
    for (const struct column *c = columns; c->key != NULL; c++) {
        if (c->is_detail && use == COLUMN_USE_TABLE)
            continue;
        if (cells->n_columns < RENDER_COLUMNS_MAX)
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
static bool render_shrink(struct render_cells *cells, size_t width)
{
    size_t total = 0;
    for (size_t k = 0; k < cells->n_columns; k++)
        total += cells->widths[k] + 3;
    total -= total > 0;
    while (width > 0 && total > width) {
        size_t widest = cells->n_columns;
        for (size_t k = 0; k < cells->n_columns; k++) {
            if (!column_may_shrink(cells->columns[k]) || cells->widths[k] <= RENDER_SHRINK_TO)
                continue;
            if (widest == cells->n_columns || cells->widths[k] > cells->widths[widest])
                widest = k;
        }
        if (widest == cells->n_columns)
            return false;
        cells->widths[widest]--;
        total--;
    }
    return true;
}

static void render_colored(const struct render *r, const char *color, struct buf *b)
{
    if (r->has_color && color[0] != '\0')
        (void)buf_printf(b, "\033[%sm", color);
}

static void render_table_line(const struct render *r, const struct render_cells *cells,
                              char *const *texts, struct buf *b)
{
    for (size_t k = 0; k < cells->n_columns; k++) {
        const struct column *c = cells->columns[k];
        bool is_last = k + 1 == cells->n_columns;
        const char *text = texts != NULL ? texts[k] : column_title(c, COLUMN_USE_TABLE);
        const char *color = texts == NULL                  ? "1"
                            : c->kind == COLUMN_KIND_STATE ? column_state_color(text)
                                                           : "";
        (void)buf_append_byte(b, ' ');
        render_colored(r, color, b);
        text_append_fit(b, text, cells->widths[k], column_is_right(c), !is_last);
        if (color[0] != '\0')
            render_colored(r, "0", b);
        if (!is_last)
            (void)buf_append_str(b, text_is_utf8() ? " \xe2\x94\x82" : " |");
    }
    (void)buf_append_byte(b, '\n');
}

static void render_table_rule(const struct render_cells *cells, struct buf *b)
{
    for (size_t k = 0; k < cells->n_columns; k++) {
        if (k > 0)
            (void)buf_append_str(b, text_is_utf8() ? "\xe2\x94\xbc" : "+");
        for (size_t i = 0; i < cells->widths[k] + 2; i++)
            (void)buf_append_str(b, text_is_utf8() ? "\xe2\x94\x80" : "-");
    }
    (void)buf_append_byte(b, '\n');
}

bool render_table(const struct render *r, const struct column *columns, const json_t *rows,
                  struct buf *b)
{
    struct render_cells cells;
    render_cells_init(&cells, r, columns, rows, COLUMN_USE_TABLE);
    bool fits = render_shrink(&cells, r->width);
    if (fits && !r->tuples_only) {
        render_table_line(r, &cells, NULL, b);
        render_table_rule(&cells, b);
    }
    for (size_t i = 0; fits && i < cells.n_rows; i++)
        render_table_line(r, &cells, cells.texts + i * cells.n_columns, b);
    if (fits && !r->tuples_only)
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
                     bool with_header, struct buf *b)
{
    struct render_cells cells;
    render_cells_init(&cells, r, columns, rows, COLUMN_USE_VERTICAL);
    size_t widest = 0;
    for (size_t k = 0; k < cells.n_columns; k++) {
        size_t width = text_width(column_title(cells.columns[k], COLUMN_USE_VERTICAL));
        widest = width > widest ? width : widest;
    }
    size_t rule = r->width > 0 && r->width < 40 ? r->width : 40;
    for (size_t i = 0; i < cells.n_rows; i++) {
        if (with_header && !r->tuples_only)
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
    if (cells.n_rows == 0 && with_header && !r->tuples_only)
        (void)buf_append_str(b, "(0 rows)\n");
    render_cells_done(&cells);
}
