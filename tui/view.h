/* What a place shows, and how one gets there. A view is one const struct in its file view_*.c. */
#ifndef TUI_VIEW_H
#define TUI_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/grid.h"
#include "tui/keys.h"
#include "tui/list.h"
#include "tui/log_view.h"
#include "tui/model.h"

struct app;
struct place;

enum { VIEW_SUBJECT_MAX = 160, VIEW_LABEL_MAX = 64, VIEW_TABS_MAX = 10, VIEW_STATUS_MAX = 160 };

struct view {
    const char *name;  /* behind `:` */
    const char *brief; /* in the head when it is narrow */
    const char *title;
    const char *about; /* one sentence for the help */
    enum keys_context context;
    const struct list_source *list; /* NULL: no list */
    bool has_log;
    unsigned log_show;                 /* enum log_view_show */
    enum model_table table;            /* that the list is made from; MODEL_TABLES: several */
    void (*open)(struct place *place); /* these may be NULL */
    void (*update)(struct place *place);
    void (*draw)(struct place *place, struct grid *grid, struct rect rect);
    void (*enter)(struct place *place); /* Enter on what is selected */
    void (*close)(struct place *place);
    /* What is drawn below the list for the selected row; lines that it wants. */
    int detail_height;
    void (*detail)(struct place *place, const void *row, struct grid *grid, struct rect rect);
};

enum place_focus { PLACE_LIST, PLACE_LOG };

struct place {
    struct app *app;
    const struct view *view;
    char subject[VIEW_SUBJECT_MAX]; /* raw: a key of the model */
    char label[VIEW_LABEL_MAX];     /* in the path */
    struct list list;
    struct log_view log;
    enum place_focus focus;
    bool hides_detail;
    const void **rows; /* of the list */
    size_t n_rows, rows_cap;
    const void *made_of; /* what the list was made from: its table, and how that stood */
    uint64_t generation;
    uint64_t vitals;
    int64_t made_at_ms;
    void *own; /* the view's */
};

/* The views that numbers switch to; NULL ends it. The first is shown at the start. */
extern const struct view *const view_tabs[];

extern const struct view view_overview;
extern const struct view view_nodes;
extern const struct view view_node;
extern const struct view view_elections;
extern const struct view view_jobs;
extern const struct view view_tasks;
extern const struct view view_output;
extern const struct view view_queries;
extern const struct view view_stages;
extern const struct view view_rollouts;
extern const struct view view_chat;
extern const struct view view_logs;

struct place *place_new(struct app *app, const struct view *view, const char *subject,
                        const char *label);
void place_free(struct place *place);
void place_update(struct place *place);
/* Whether lines of its log are left to look at. */
bool place_is_behind(const struct place *place);
void place_draw(struct place *place, struct grid *grid, struct rect rect);
/* The list of a place, or NULL when the log has the focus or there is none; and the other way. */
struct list *place_list(struct place *place);
struct log_view *place_log(struct place *place);

/* For lists of rows of the model: fills place->rows with those that `takes` (NULL: all). */
size_t place_take_rows(struct place *place, enum model_table table,
                       bool (*takes)(const struct place *place, const struct model_row *row),
                       const void ***rows);
void place_add_row(struct place *place, const void *row);
void place_row_key(void *arg, const void *row, char key[static LIST_KEY_MAX]);

/* Helpers of cells and facts */
const struct model_state *place_state(const struct place *place);
int64_t place_at_ms(const struct place *place); /* the moment that is shown */
void cell_text(struct list_cell *cell, enum theme_ink ink, const char *s);
void cell_printf(struct list_cell *cell, enum theme_ink ink, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void cell_number(struct list_cell *cell, enum theme_ink ink, double number, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void cell_unknown(struct list_cell *cell);
/* A state's word in its colour. */
void cell_state(struct list_cell *cell, const char *state);
enum theme_ink state_ink(const char *state);
/* "12s", "4m05s", "3h12m" since a time; nothing when it is 0. */
void cell_age(struct list_cell *cell, int64_t since_ms, int64_t now_ms);
void cell_bytes(struct list_cell *cell, double bytes);
void cell_duration(struct list_cell *cell, double ms);
const char *format_clock(int64_t at_ms, char out[static 32]); /* local time of day */

/* "LABEL  value" at a place of a detail pane; the next line. */
int draw_fact(struct grid *grid, struct rect rect, int y, const char *label, enum theme_ink ink,
              const char *fmt, ...) __attribute__((format(printf, 6, 7)));

#endif
