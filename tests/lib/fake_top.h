/* A simulated cluster of any size as clustertop sees it: /api/frame, /api/events, /api/vitals,
 * /api/nodes, chat, tasks, output and the actions, on a Unix socket or a port. Things happen at a
 * rate of one's choice, or only when the test says so. For tests and measurements. */
#ifndef TESTS_LIB_FAKE_TOP_H
#define TESTS_LIB_FAKE_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_top;

struct fake_top_options {
    const char *socket_path; /* NULL: a free port of 127.0.0.1 */
    unsigned nodes;          /* n1 ... */
    unsigned jobs;
    double rate;        /* events a second; 0: none by themselves */
    bool with_vitals;   /* each second */
    bool is_hostile;    /* escapes, overlong and broken text in names and texts */
    unsigned cursor_ms; /* between two cursors in a stream; 0: 1000 */
    uint64_t seed;
};

struct fake_top *fake_top_new(const struct fake_top_options *options);
void fake_top_free(struct fake_top *top);
const char *fake_top_endpoint(struct fake_top *top);

/* A further node that serves the same cluster on a port of its own; it is in /api/nodes. */
const char *fake_top_add_server(struct fake_top *top);
/* Stops and restarts the first server's listening; its connections break. */
void fake_top_stop(struct fake_top *top);
void fake_top_start(struct fake_top *top);
/* The first server takes connections and says nothing more (true), or goes on. */
void fake_top_hang(struct fake_top *top, bool hangs);
/* Requests for frames, events and vitals are not found, as at an older server. */
void fake_top_be_old(struct fake_top *top, bool is_old);
/* No node leads (true), or n1 does again: streams that are there end, frames and streams are those
 * of n1, which knows the others as offline. */
void fake_top_be_leaderless(struct fake_top *top, bool is_leaderless);
/* Cursors from before are not known any more (404). */
void fake_top_forget_cursors(struct fake_top *top);
/* Streams of events that are there write this line once, as it is. */
void fake_top_say(struct fake_top *top, const char *line);

/* One event of node `node` (1 ...) with the next number: `more` is further members of the object
 * with a leading comma, or "". */
void fake_top_emit(struct fake_top *top, unsigned node, const char *kind, const char *text,
                   const char *more);
/* `n` events of all kinds at once. */
void fake_top_burst(struct fake_top *top, unsigned n);
/* Another rate of what happens by itself; only where it was not 0 from the beginning. */
void fake_top_set_rate(struct fake_top *top, double rate);
/* Leaves out `n` numbers of the node. */
void fake_top_lose(struct fake_top *top, unsigned node, unsigned n);
unsigned fake_top_followers(struct fake_top *top); /* streams of events that ever followed */
uint64_t fake_top_events(struct fake_top *top);    /* so far */

/* "POST /api/... BODY" of the last change; free it. NULL when there was none. */
char *fake_top_last_change(struct fake_top *top);
unsigned fake_top_frames(struct fake_top *top); /* asked for so far */

/* Writes a report archive of all events, as docs/events.md has it, with one frame, that of
 * the beginning, or with `frames` of them ten seconds apart up to now. */
int fake_top_report(struct fake_top *top, const char *path, unsigned frames);

#endif
