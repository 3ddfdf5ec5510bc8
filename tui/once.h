/* clustertop --once: what a view shows, for files, pipes and programs. */
#ifndef TUI_ONCE_H
#define TUI_ONCE_H

#include <stdio.h>

#include "tui/app.h"

enum { ONCE_WIDTH = 120, ONCE_HEIGHT_MAX = 400 };

/* The place as text of `width` columns, as many lines as it needs. Both say when it is a part only
 * (model_partial()) and what is missing (model_gaps()). */
void once_print_text(struct app *app, int width, bool ascii, FILE *to);
/* {"at","view","missing":{"events_lost",...},...}: what is wrong, and the rows of the view's table,
 * named and typed as in docs/api.md; for logs and chat the latest lines. */
int once_print_json(struct app *app, FILE *to);

#endif
