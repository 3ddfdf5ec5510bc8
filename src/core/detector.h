/* Failure detector: which nodes are alive, judged by their heartbeats alone.
 *
 *   unknown ──heard──> alive ──silent──> suspect ──silent longer──> offline ──heard──> alive
 *
 * A node that should beat every `interval_ms` is suspect after three missed beats, or later when
 * its beats have been irregular: the limit is max(3 interval, mean + 4 deviation), mean and
 * deviation estimated as in Jacobson's SIGCOMM 1988 "Congestion avoidance and control", which
 * Bertier, Marin, Sens (DSN 2002) adapted to heartbeats; there it is the only limit, here the three
 * beats are the floor and `offline_ms` the ceiling. It is offline after `offline_ms` of silence,
 * never earlier.
 *
 * A pause of our own process is not the silence of others. The caller promises to step no later
 * than next_deadline_ms; coming more than DETECTOR_STALL_MS late means that nobody was listening,
 * and that whole gap doesn't count against anybody.
 *
 * A heartbeat costs O(1), a tick O(log n) for each node that is due. */
#ifndef CORE_DETECTOR_H
#define CORE_DETECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum {
    DETECTOR_INTERVAL_MS = 1000,
    DETECTOR_OFFLINE_MS = 5000,
    DETECTOR_POLL_INTERVAL_MS = 10000, /* agents that poll over HTTP */
    DETECTOR_POLL_OFFLINE_MS = 30000,
    DETECTOR_MISSED_MAX = 3,
    DETECTOR_TICK_MS = 500,  /* the longest pause that next_deadline_ms asks for */
    DETECTOR_STALL_MS = 250, /* later than this is a stall of ours */
    DETECTOR_REASON_MAX = 96,
};

enum detector_state {
    DETECTOR_STATE_NONE,    /* not watched */
    DETECTOR_STATE_UNKNOWN, /* watched, not heard yet */
    DETECTOR_STATE_ALIVE,
    DETECTOR_STATE_SUSPECT,
    DETECTOR_STATE_OFFLINE,
};

enum detector_event_type {
    DETECTOR_EVENT_TICK,
    DETECTOR_EVENT_WATCH,     /* begins to watch `node`, silent since now; again: new times only */
    DETECTOR_EVENT_HEARD,     /* any message of a watched node */
    DETECTOR_EVENT_LINK_LOST, /* its connection broke: suspect at once; offline comes in its time */
    DETECTOR_EVENT_LEFT,      /* it said goodbye: offline at once */
    DETECTOR_EVENT_FORGET,    /* watches it no longer; no change is reported */
};

struct detector_event {
    enum detector_event_type type;
    int64_t now_ms; /* monotonic, never less than in the event before */
    uint64_t node;  /* unknown nodes are ignored, except by WATCH */
    /* WATCH: 0 gives the defaults above; offline_ms > interval_ms */
    uint32_t interval_ms;
    uint32_t offline_ms;
};

struct detector_change {
    uint64_t node;
    enum detector_state from;
    enum detector_state to;
    int64_t silent_ms; /* since it was last heard */
    char reason[DETECTOR_REASON_MAX];
};

/* Starts zeroed; detector_step clears it. */
struct detector_update {
    struct detector_change *changes;
    size_t n;
    size_t cap;
    int64_t stalled_ms;       /* > 0: our own stall, found in this step */
    int64_t next_deadline_ms; /* step with a TICK no later than this */
};

struct detector;

struct detector *detector_new(void);
void detector_free(struct detector *detector);

/* Fills `update` with what the event changed. Returns 0, or ERR_NOT_FOUND for a node that isn't
 * watched. */
int detector_step(struct detector *detector, const struct detector_event *event,
                  struct detector_update *update);
void detector_update_done(struct detector_update *update);

enum detector_state detector_get(const struct detector *detector, uint64_t node);
const char *detector_state_name(enum detector_state state);
bool detector_state_allows(enum detector_state from, enum detector_state to);

/* Appends the machine as a Markdown table: from, to, cause. 0 or ERR_TOO_LARGE. */
int detector_state_print(struct buf *out);

/* Asserts every invariant. For tests. */
void detector_check(const struct detector *detector);

#endif
