/* Rows as text in every format. Nothing here writes anywhere. */
#ifndef SHELL_RENDER_H
#define SHELL_RENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "shell/column.h"
#include "shell/format.h"

enum { RENDER_COLUMNS_MAX = 48, RENDER_SHRINK_TO = 6 };

struct render {
    enum format format;
    bool tuples_only; /* no header, no footer */
    bool has_color;
    bool on_terminal; /* csv and tsv too are cleaned of what it would obey */
    size_t width;     /* of the terminal; 0: no limit */
    int64_t now_ms;   /* for ages */
    bool no_footer;   /* no count of rows */
    enum format_border border;
};

/* Appends `rows`, an array of objects. JSON formats give the objects whole, with every key that the
 * API sent. A table that does not fit `width` even when its text columns are cut is shown
 * vertically. ERR_TOO_LARGE when `b` is full. */
int render_rows(const struct render *r, const struct column *columns, const json_t *rows,
                struct buf *b);

/* One object: as render_rows, but a table is the list of its keys and values. */
int render_object(const struct render *r, const struct column *columns, const json_t *object,
                  struct buf *b);

enum render_records {
    RENDER_RECORDS_TITLED = 1,   /* "-[ record 1 ]---" in front of each */
    RENDER_RECORDS_DETAILED = 2, /* with the columns that a table leaves out */
};

/* A table or vertical records (a set of enum render_records) for people. False from the table: it
 * does not fit. */
bool render_table(const struct render *r, const struct column *columns, const json_t *rows,
                  struct buf *b);
void render_vertical(const struct render *r, const struct column *columns, const json_t *rows,
                     unsigned records, struct buf *b);

#endif
