/* A report played into a model: its end as if it were live, moments before as the model has them,
 * or from the report's frames. */
#ifndef TUI_REPLAY_H
#define TUI_REPLAY_H

#include <stdint.h>

#include "base/error.h"
#include "tui/model.h"

enum {
    REPLAY_EVENTS_MAX = 100 * 1000,  /* that the model gets at once; older moments get their own */
    REPLAY_BACK_MS = 10 * 60 * 1000, /* events and vitals shown before such a moment */
};

struct replay;

/* Errors as replay_archive_open(). */
int replay_open(const char *path, struct model *model, struct replay **replay, struct error *e);
void replay_free(struct replay *replay); /* NULL allowed */

/* For a moment that model_seek() doesn't reach. 0, or ERR_NOT_FOUND when it is before the report's
 * first frame. */
int replay_seek(const struct replay *replay, struct model *model, int64_t at_ms, struct error *e);

/* The first frame, and the last thing that happened. */
void replay_span(const struct replay *replay, int64_t *first_ms, int64_t *last_ms);

#endif
