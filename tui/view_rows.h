/* What several views make of rows of the model. */
#ifndef TUI_VIEW_ROWS_H
#define TUI_VIEW_ROWS_H

#include "tui/model.h"
#include "tui/view.h"

enum { VIEW_SHORT_MAX = 64 };

/* A UUID's first eight characters, with "_7" of a task; other ids as they are, cut. */
const char *view_short_id(const char *id, char out[static VIEW_SHORT_MAX]);

/* Numbers of a JSON array or object in a field, and members. */
double view_member(const struct model_row *row, const char *field, const char *member);

/* How far a job is: 0 to 1; NAN when unknown. */
double view_job_done(const struct model_row *job);
/* What a job runs, in one line, into `out`. */
const char *view_job_command(const struct model_row *job, char *out, size_t size);

/* The state's word that a person looks for first has the smallest number. */
int view_state_rank(const char *state);

/* What something took, or has taken up to the moment that is shown while it runs since `began_ms`.
 */
void view_cell_took(struct list_cell *cell, const struct place *place, const struct model_row *row,
                    int64_t began_ms);

/* "12s" since `ms`, "" for 0. */
const char *view_age(int64_t since_ms, int64_t now_ms, char *out, size_t size);

/* Draws how far a job is. */
void view_draw_job(const struct model_row *job, struct grid *grid, struct rect rect);

/* The strip of a node's heartbeats, one second a column, up to the moment that is shown. */
void view_draw_beats(const struct place *place, const char *node, struct grid *grid,
                     struct rect rect);
/* A vital's last seconds; `max` 0: scaled to the largest. */
void view_draw_vital(const struct place *place, const char *node, enum model_vital vital,
                     double max, struct grid *grid, struct rect rect, struct style style);

#endif
