/* What clustertop knows of a cluster, now and at any moment before, and what it shows of it. Knows
 * nothing of the screen, of sockets or clocks: frames, events, vitals and messages come in as text
 * (docs/events.md), feed.h brings them.
 *
 * There is a live state, which goes on whatever is shown, and the shown state: the live one, or
 * another moment's (frozen, or gone back to). Views read the shown side only.
 *
 * Going back needs a frame before that moment. The model keeps frames of its own each
 * MODEL_FRAME_MS as long as MODEL_PAST_BYTES_MAX last, and the events since. What is older comes
 * from the server: feed_seek(). */
#ifndef TUI_MODEL_H
#define TUI_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "tui/model_filter.h"
#include "tui/model_lines.h"
#include "tui/model_row.h"
#include "tui/model_state.h"
#include "tui/model_vitals.h"

enum {
    MODEL_EVENTS_MAX = 128 * 1024,
    MODEL_EVENT_BYTES_MAX = 16 * 1024 * 1024,
    MODEL_MESSAGES_MAX = 8 * 1024,
    MODEL_MESSAGE_BYTES_MAX = 1024 * 1024,
    MODEL_OUTPUT_MAX = 32 * 1024,
    MODEL_OUTPUT_BYTES_MAX = 4 * 1024 * 1024,
    MODEL_FRAME_MS = 10 * 1000,
    MODEL_FRAME_EVENTS = 16 * 1024, /* or after so many events */
    MODEL_FRAMES_MAX = 512,
    MODEL_PAST_BYTES_MAX = 8 * 1024 * 1024, /* of rows that only the past holds */
    MODEL_CURSOR_MAX = 512,
    MODEL_PARTIAL_MAX = 512,
};

enum model_mode {
    MODEL_MODE_LIVE,
    MODEL_MODE_FROZEN, /* the moment of freezing; counts as the past */
    MODEL_MODE_PAST,
};

struct model;

struct model *model_new(void);
void model_free(struct model *model);

/* The shown side. */
const struct model_state *model_state(const struct model *model);
enum model_mode model_mode(const struct model *model);
int64_t model_at_ms(const struct model *model); /* the moment that is shown */
/* Events of the shown moment's past: show positions below model_events_end(). */
const struct model_lines *model_events(const struct model *model);
uint64_t model_events_end(const struct model *model);
const struct model_vitals *model_vitals(const struct model *model);
/* Chat: `source` is the sender, `kind` the channel, `number` the seq. Show below the end. */
const struct model_lines *model_messages(const struct model *model);
uint64_t model_messages_end(const struct model *model);
/* The output of the task that feed_output() follows: `kind` is its stream. */
const struct model_lines *model_output(const struct model *model);
/* Changes whenever anything that is shown has changed. */
uint64_t model_generation(const struct model *model);

/* The live side, whatever is shown: for "how far behind", badges, and rates. */
const struct model_state *model_live_state(const struct model *model);
const struct model_lines *model_live_events(const struct model *model);
const struct model_vitals *model_live_vitals(const struct model *model);
int64_t model_live_ms(const struct model *model);   /* how late it is in the cluster; 0: unknown */
int64_t model_oldest_ms(const struct model *model); /* as far as it goes back by itself; 0 */
/* Events that are known to be missing, for ever; those the server or a node said it dropped are
 * among them. */
uint64_t model_lost(const struct model *model);
uint64_t model_duplicates(const struct model *model); /* dropped here */
uint64_t model_malformed(const struct model *model);  /* lines that could not be read */
/* Rows, and changes of rows, that the shown state lacks: they were past a bound or had no key. */
uint64_t model_left_out(const struct model *model);
/* What is known to be missing, for people: "3 events lost, 1 line unreadable, 2 rows left out", or
 * `brief` "6 missing". "" when all is there. Returns `out`. */
const char *model_gaps(const struct model *model, bool brief, char *out, size_t size);

/* Moving. */
void model_go_live(struct model *model);
void model_freeze(struct model *model); /* stays at the moment that is shown */
/* Shows the moment `at_ms`. ERR_UNAVAILABLE when the model doesn't reach back so far: what is shown
 * stays. A moment that is yet to come is now. */
int model_seek(struct model *model, int64_t at_ms);
/* Shows the moment just after the event at `pos` of model_live_events(). */
int model_seek_event(struct model *model, uint64_t pos);
/* Shows a frame that the server gave for a moment before model_oldest_ms(), at `at_ms`. Lists of
 * that past are empty until model_past_line() and model_past_vitals_line() fill them. */
int model_seek_frame(struct model *model, int64_t at_ms, const char *text, size_t len,
                     struct error *e);
/* A line of the past that model_seek_frame() shows; ignored otherwise, and when it is later than
 * what is shown. */
void model_past_line(struct model *model, const char *text, size_t len);
/* Patches of model_past_line() change what is shown from the first line on that is not earlier than
 * `from_ms`: the frame was one of about that moment, before the one that is shown. */
void model_past_apply_from(struct model *model, int64_t from_ms);
void model_past_vitals_line(struct model *model, const char *text, size_t len);

/* What comes in, as docs/events.md has it. A frame takes the place of the live state; its cursor
 * counts when there is none yet. After a later frame events come from the old cursor on: patches
 * applied once more in their order end where they ended. Malformed lines are counted and left out;
 * the first reason is in model_complaint(). */
int model_read_frame(struct model *model, const char *text, size_t len, struct error *e);
enum model_line_kind {
    MODEL_LINE_EVENT,     /* taken, or a duplicate */
    MODEL_LINE_CURSOR,    /* caught up so far: model_cursor() */
    MODEL_LINE_DROPPED,   /* the server could not send all */
    MODEL_LINE_PARTIAL,   /* what follows is a part only: model_partial() */
    MODEL_LINE_ERROR,     /* the stream ends, with this reason in `e` */
    MODEL_LINE_MALFORMED, /* counted */
};
/* Events of before the first frame, which has what they changed: they only stand in the list. Read
 * them between the frame and the first event that follows it, in the order of arrival; then
 * model_end_earlier(). Lines of another kind are ignored. */
void model_read_earlier(struct model *model, const char *text, size_t len);
void model_end_earlier(struct model *model);
enum model_line_kind model_read_event(struct model *model, const char *text, size_t len,
                                      struct error *e);
/* Before events come again after a break: until the next cursor they may begin earlier than what
 * was read before. */
void model_resume(struct model *model);
void model_read_vitals(struct model *model, const char *text, size_t len);
void model_read_message(struct model *model, const char *text, size_t len);
/* Rows of an answer like GET /api/jobs/ID/tasks, laid over the live table (and the shown one when
 * live is shown). */
int model_read_rows(struct model *model, enum model_table table, const char *text, size_t len,
                    struct error *e);
/* Bytes as they come; the feed holds back a line's beginning until the rest is there. */
void model_add_output(struct model *model, const char *stream, const char *bytes, size_t len);
void model_clear_output(struct model *model);

/* Why what comes is a part of the truth only, as no node leads: a sentence, printable; "" when it
 * is whole. The last frame or stream of events says. */
const char *model_partial(const struct model *model);
/* Where to go on after a break; "" before the first frame. */
const char *model_cursor(const struct model *model);
/* The server has nothing any more from there on: the next frame's counts, and the list says so. */
void model_forget_cursor(struct model *model);
uint64_t model_message_next(const struct model *model); /* last seq + 1; 0: none yet */
const char *model_complaint(const struct model *model); /* "": none */

/* Bytes that the model holds, about. */
size_t model_bytes(const struct model *model);

#endif
