/* What model.c (what is shown), model_past.c (going back) and model_read.c (what comes in) share.
 */
#ifndef TUI_MODEL_INTERNAL_H
#define TUI_MODEL_INTERNAL_H

#include "base/buf.h"
#include "tui/model.h"
#include "tui/model_source.h"

struct model_frame {
    struct model_state state;
    int64_t when_ms;
    uint64_t pos; /* events from here on come after it */
};

struct model {
    struct model_state live;
    int64_t live_ms;
    struct model_lines *events, *messages, *output;
    struct model_vitals *vitals;

    struct model_frame *frames; /* ascending */
    size_t n_frames, frames_cap;

    enum model_mode mode;
    struct model_state shown; /* unless live is shown */
    int64_t shown_ms;
    uint64_t shown_pos;
    bool is_elsewhere;    /* what is shown came from the server: */
    int64_t past_from_ms; /* patches change it from that moment's first on; INT64_MAX: none does */
    struct model_lines *past_events;
    struct model_vitals *past_vitals;

    struct model_sources *sources;
    struct model_sources *earlier; /* of events that model_read_earlier() has listed */
    bool is_resuming;              /* until the first cursor after a break */
    int64_t frame_ms;              /* of the last frame read */
    uint64_t announced; /* losses that the stream told of and numbers have not shown yet */
    uint64_t lost, duplicates, malformed;
    char complaint[ERROR_TEXT_MAX];
    char cursor[MODEL_CURSOR_MAX];
    char partial[MODEL_PARTIAL_MAX];
    uint64_t message_next;

    struct buf scratch; /* texts of the event that is being read */
    uint64_t generation;
};

/* An event as its parts; texts borrow from the line or the model's scratch. */
struct model_event {
    struct model_line line;
    char *id; /* NODE:SEQ, NUL-terminated */
    uint64_t lost;
};

/* Counts a line that can't be read; the first is remembered. */
void model_complain(struct model *model, const char *what, const char *text, size_t len);
/* Takes a frame of the live state for later when it is time, and drops what is over the bounds. */
void model_past_keep(struct model *model, bool now);
/* Forgets the frames and begins with one of now. */
void model_past_restart(struct model *model);
/* Applies the patch of an event, if it has one. */
void model_apply(struct model_state *state, const struct model_line *line);

#endif
