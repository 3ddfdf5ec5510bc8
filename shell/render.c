#include "shell/render.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "shell/text.h"

static void render_csv_cell(const char *text, struct buf *b)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        (void)buf_append_str(b, text);
        return;
    }
    (void)buf_append_byte(b, '"');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            (void)buf_append_byte(b, '"');
        (void)buf_append_byte(b, (uint8_t)*text);
    }
    (void)buf_append_byte(b, '"');
}

static void render_tsv_cell(const char *text, struct buf *b)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '\t':
            (void)buf_append_str(b, "\\t");
            break;
        case '\n':
            (void)buf_append_str(b, "\\n");
            break;
        case '\r':
            (void)buf_append_str(b, "\\r");
            break;
        case '\\':
            (void)buf_append_str(b, "\\\\");
            break;
        default:
            (void)buf_append_byte(b, (uint8_t)*text);
        }
    }
}

static void render_markdown_cell(const char *text, struct buf *b)
{
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '\\')
            (void)buf_append_byte(b, '\\');
        (void)buf_append_byte(b, (uint8_t)*text);
    }
}

static void render_cell(enum format format, const char *text, struct buf *b)
{
    if (format == FORMAT_CSV)
        render_csv_cell(text, b);
    else if (format == FORMAT_TSV)
        render_tsv_cell(text, b);
    else
        render_markdown_cell(text, b);
}

/* Header or row, its cells apart: "a,b" or "| a | b |". `row` NULL: the header. */
static void render_line(const struct render *r, const struct column *columns, const json_t *row,
                        struct buf *b)
{
    bool is_markdown = r->format == FORMAT_MARKDOWN;
    const char *separator = is_markdown ? " | " : r->format == FORMAT_CSV ? "," : "\t";
    bool is_first = true;
    (void)buf_append_str(b, is_markdown ? "| " : "");
    for (const struct column *c = columns; c->key != NULL; c++) {
        if (is_markdown && !column_is_shown(c, COLUMN_USE_TABLE))
            continue;
        char *text = row == NULL
                         ? mem_strdup(column_title(c, COLUMN_USE_RAW))
                         : column_text(c, row, is_markdown ? COLUMN_USE_VERTICAL : COLUMN_USE_RAW,
                                       r->now_ms);
        if (r->on_terminal) {
            char *clean = text_clean(text, strlen(text), true);
            free(text);
            text = clean;
        }
        (void)buf_append_str(b, is_first ? "" : separator);
        render_cell(r->format, text, b);
        is_first = false;
        free(text);
    }
    (void)buf_append_str(b, is_markdown ? " |\n" : "\n");
}

static void render_markdown_rule(const struct column *columns, struct buf *b)
{
    for (const struct column *c = columns; c->key != NULL; c++) {
        if (column_is_shown(c, COLUMN_USE_TABLE))
            (void)buf_append_str(b, column_is_right(c) ? "|---:" : "|---");
    }
    (void)buf_append_str(b, "|\n");
}

static void render_lines(const struct render *r, const struct column *columns, const json_t *rows,
                         struct buf *b)
{
    if (!r->tuples_only) {
        render_line(r, columns, NULL, b);
        if (r->format == FORMAT_MARKDOWN)
            render_markdown_rule(columns, b);
    }
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        render_line(r, columns, row, b);
    }
}

static void render_json(const struct render *r, const json_t *rows, struct buf *b)
{
    bool is_array = r->format == FORMAT_JSON;
    size_t i;
    json_t *row;
    if (is_array)
        (void)buf_append_str(b, "[");
    json_array_foreach(rows, i, row)
    {
        char *text = json_dumps(row, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        if (text != NULL && r->on_terminal) {
            char *clean = text_clean_json(text);
            free(text);
            text = clean;
        }
        if (is_array)
            (void)buf_append_str(b, i > 0 ? ",\n " : "");
        (void)buf_append_str(b, text != NULL ? text : "null");
        (void)buf_append_str(b, is_array ? "" : "\n");
        free(text);
    }
    if (is_array)
        (void)buf_append_str(b, "]\n");
}

/* What does not fit `b` was dropped on the way; a full buffer tells. */
static int render_check(const struct buf *b)
{
    return b->len < b->max ? 0 : ERR_TOO_LARGE;
}

int render_rows(const struct render *r, const struct column *columns, const json_t *rows,
                struct buf *b)
{
    if (format_is_json(r->format))
        render_json(r, rows, b);
    else if (r->format == FORMAT_VERTICAL)
        render_vertical(r, columns, rows, RENDER_RECORDS_TITLED | RENDER_RECORDS_DETAILED, b);
    else if (r->format != FORMAT_TABLE)
        render_lines(r, columns, rows, b);
    else if (!render_table(r, columns, rows, b))
        render_vertical(r, columns, rows, RENDER_RECORDS_TITLED, b);
    return render_check(b);
}

int render_object(const struct render *r, const struct column *columns, const json_t *object,
                  struct buf *b)
{
    json_t *rows = json_array();
    (void)json_array_append(rows, (json_t *)object);
    int rc = 0;
    if (r->format == FORMAT_TABLE)
        render_vertical(r, columns, rows, RENDER_RECORDS_DETAILED, b);
    else
        rc = render_rows(r, columns, rows, b);
    json_decref(rows);
    return rc != 0 ? rc : render_check(b);
}
