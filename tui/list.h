/* A table on the screen: rows of anything, told by callbacks; sorted by any column, filtered,
 * marked. The selected row is known by its key, so that no other row gets its place by itself,
 * whatever comes, goes, or changes the order. */
#ifndef TUI_LIST_H
#define TUI_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/filter.h"
#include "tui/grid.h"

enum {
    LIST_CELL_MAX = 256,
    LIST_KEY_MAX = 128, /* bytes of a key, with its end */
    LIST_COLUMNS_MAX = 24,
    LIST_ROWS_MAX = 100000,
    LIST_LABEL_MAX = 40,
};

struct list_cell {
    char text[LIST_CELL_MAX];
    struct style style;
    double number;   /* what is sorted by, when has_number */
    bool has_number; /* rows without come last */
};

struct list_column {
    const char *name; /* NULL ends the table */
    int min, max;     /* columns; max 0: all that is left, else more only where nobody wants it */
    int priority;     /* 0 is always shown; larger ones go first when it gets narrow */
    bool right;       /* text is aligned at the right */
    bool descending;  /* the order that sorting by it begins with */
    bool is_drawn;    /* by the callback `draw`, `max` wide; not sorted by */
};

/* What a list shows. `row` is whatever `rows` gave; it is valid until the next list_update. */
struct list_source {
    const struct list_column *columns;
    int sort; /* column it is sorted by at first; -1: the order of `rows` */
    size_t (*rows)(void *arg, const void ***rows); /* array borrowed until the next call */
    void (*key)(void *arg, const void *row, char key[static LIST_KEY_MAX]);
    void (*cell)(void *arg, const void *row, int column, struct list_cell *cell);
    void (*draw)(void *arg, const void *row, int column, struct grid *grid, struct rect rect);
};

struct list_row;
struct list_mark;

struct list {
    const struct list_source *source;
    void *arg;
    int sort;
    bool descending;
    bool is_sort_set; /* by the user */
    uint32_t hidden;  /* columns that the user wants not to see, a bit each */
    struct filter filter;
    bool follows;
    bool is_idle;          /* the keys go elsewhere: the selected row is not shown as such */
    struct list_row *rows; /* those shown, in order */
    size_t n, cap;
    size_t n_all; /* before the filter */
    size_t at;    /* selected; 0 when there is none */
    size_t top;
    char key[LIST_KEY_MAX];    /* of the selected row; "" when there is none */
    char anchor[LIST_KEY_MAX]; /* last marked: where a range begins */
    struct list_mark *marks;
    size_t n_marks;
    int seen[LIST_COLUMNS_MAX]; /* widths so far: columns grow, and don't shrink as rows change */
    int height;                 /* of rows, as last drawn */
    int drawn_y;
    int drawn_x[LIST_COLUMNS_MAX], drawn_w[LIST_COLUMNS_MAX];
};

void list_init(struct list *list, const struct list_source *source, void *arg);
void list_done(struct list *list);

/* Takes the rows anew. */
void list_update(struct list *list);
/* A head and as many rows as fit. */
void list_draw(struct list *list, struct grid *grid, struct rect rect);

const void *list_selected(const struct list *list); /* NULL when there is none */
bool list_select(struct list *list, const char *key);
void list_move(struct list *list, long delta);
void list_page(struct list *list, int pages);
void list_home(struct list *list);
void list_end(struct list *list);

void list_sort_step(struct list *list, int step);
void list_sort_invert(struct list *list);
bool list_sort_by(struct list *list, const char *column); /* by the beginning of its name */
void list_sort_by_column(struct list *list, int column, bool descending);

int list_columns(const struct list *list); /* how many there are */
/* What a person calls a column: its name, or "cpu line" for what is drawn behind "cpu". */
const char *list_column_label(const struct list *list, int column, char out[static LIST_LABEL_MAX]);
/* The first column is always shown. */
void list_hide(struct list *list, int column, bool hidden);
bool list_is_hidden(const struct list *list, int column);
int list_set_filter(struct list *list, const char *text, struct error *e);

void list_mark_toggle(struct list *list); /* and goes on to the next row */
void list_mark_range(struct list *list);  /* from the last one marked to here */
void list_mark_all(struct list *list);    /* all that are shown */
void list_mark_clear(struct list *list);
bool list_is_marked(const struct list *list, const char *key);

/* The marked rows that are there, or the selected one when none is marked; their number. `rows` is
 * malloc'ed. */
size_t list_targets(const struct list *list, const void ***rows);

/* What a click hit. */
enum list_hit { LIST_HIT_NONE, LIST_HIT_ROW, LIST_HIT_SAME_ROW, LIST_HIT_HEAD };
enum list_hit list_click(struct list *list, int x, int y);

#endif
