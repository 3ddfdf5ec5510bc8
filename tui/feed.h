/* Brings a cluster's life into a model: over a client, or from a report archive.
 *
 * No loop in here: poll feed_fd(), call feed_dispatch() when it is readable (timers are behind the
 * same descriptor). Nothing blocks. Callbacks run inside feed_dispatch().
 *
 * Live: a frame, then events, vitals and chat are followed. When the connection goes, the feed says
 * so, asks the other nodes it learnt of, goes on where it was by the cursor, and takes a new frame
 * only when the cursor is too old. The model keeps what it had all the time.
 *
 * While no node leads the servers tell a part only (model_partial()): the feed asks for a frame now
 * and then, and for one of the whole when a node leads again.
 *
 * What comes waits in a bounded queue of which each feed_dispatch() gives the model a few
 * milliseconds' worth, so that a burst keeps nobody from the keyboard. When much is waiting the
 * connections are not read: a server that has to drop events then says so in the stream. */
#ifndef TUI_FEED_H
#define TUI_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "client/client.h"
#include "tui/model.h"

enum { FEED_TEXT_MAX = 512, FEED_ACTIONS_MAX = 64 };

enum feed_state {
    FEED_CONNECTING, /* nothing was ever shown */
    FEED_LOADING,    /* connected; the first frame is on its way */
    FEED_LIVE,
    FEED_LOST,   /* was live; tries again, see feed_lost_ms() */
    FEED_FAILED, /* will not work without the user: an older server, a refused token */
    FEED_REPLAY, /* from a file: nothing more comes */
};

struct feed;

struct feed_options {
    struct client_options client;
    bool read_only;     /* every feed_act() is refused */
    unsigned turn_us;   /* of one feed_dispatch() for the model; 0: 2,000 */
    size_t queue_bytes; /* waiting for it, with which nothing more is read; 0: 2 MiB */
};

/* Starts to connect. ERR_INVALID, ERR_NOT_FOUND ... as client_open(). `model` outlives the feed. */
int feed_open(const struct feed_options *options, struct model *model, struct feed **feed,
              struct error *e);
/* Opens a report archive and shows its last moment. ERR_CORRUPT, ERR_VERSION, ERR_TOO_LARGE,
 * -errno with the reason. */
int feed_open_replay(const char *path, struct model *model, struct feed **feed, struct error *e);
void feed_close(struct feed *feed); /* NULL allowed */

int feed_fd(const struct feed *feed);
void feed_dispatch(struct feed *feed);

enum feed_state feed_state(const struct feed *feed);
/* A whole sentence for the status line: why it is not live, what it does; "" when all is well. */
const char *feed_text(const struct feed *feed);
const char *feed_hint(const struct feed *feed); /* what the user can do about it; "" */
int64_t feed_lost_ms(const struct feed *feed);  /* how long already; 0 when not lost */
/* The node that answers, as its endpoint; the file of a replay. Printable. */
const char *feed_endpoint(const struct feed *feed);
bool feed_is_read_only(const struct feed *feed); /* asked for, or a replay */
/* Whether a past moment that feed_seek() asked the server for is still on its way. */
bool feed_is_seeking(const struct feed *feed);
/* First and last moment that can be shown at all; 0 when unknown. */
void feed_span(const struct feed *feed, int64_t *first_ms, int64_t *last_ms);
/* Bytes that have come and that the model has not taken yet: feed_fd() is readable. */
size_t feed_waiting(const struct feed *feed);
/* Changes with whatever the functions above tell. */
uint64_t feed_generation(const struct feed *feed);

/* Shows the moment `at_ms`: at once where the model has it, else when the server has answered
 * (feed_is_seeking()); feed_text() says when it can't. A later call replaces an earlier one. */
void feed_seek(struct feed *feed, int64_t at_ms);
void feed_go_live(struct feed *feed); /* in a replay: to the end */

/* Loads the tasks of a job into the model's tasks (they also come by events). NULL: none any more.
 */
void feed_tasks(struct feed *feed, const char *job);
/* Follows the output of "UUID_INDEX" into model_output(), both streams. NULL: none any more. The
 * model's output is cleared. */
void feed_output(struct feed *feed, const char *task);

enum feed_verb {
    FEED_JOB_CANCEL,       /* key: job, or UUID_INDEX for one element */
    FEED_JOB_RETRY,        /* job */
    FEED_NODE_DRAIN,       /* node */
    FEED_NODE_RESUME,      /* node */
    FEED_NODE_REMOVE,      /* node */
    FEED_RAFT_TRANSFER,    /* node that shall lead; NULL: any */
    FEED_CHAT_TRANSFER,    /* node that shall lead; NULL: any */
    FEED_ROLLOUT_PROMOTE,  /* service */
    FEED_ROLLOUT_PAUSE,    /* service */
    FEED_ROLLOUT_FREEZE,   /* service */
    FEED_ROLLOUT_RESUME,   /* service */
    FEED_ROLLOUT_ABORT,    /* service */
    FEED_ROLLOUT_ROLLBACK, /* service */
    FEED_QUERY_CANCEL,     /* query */
    FEED_CHAT_SAY,         /* key: channel, NULL: general; text: what */
};

struct feed_action {
    enum feed_verb verb;
    const char *key;  /* as model_row_key() gives it */
    const char *text; /* reason, or what is said; may be NULL */
};

/* What came of it: code 0, or an error. `text` is a whole sentence, printable. */
struct feed_result {
    int code;
    const char *text;
    const char *hint;
};

typedef void (*feed_done_fn)(void *arg, const struct feed_result *result);

/* ERR_FORBIDDEN when read-only, ERR_BUSY when FEED_ACTIONS_MAX are under way; else 0, and `done`
 * is called once, from feed_dispatch(). Copies the action. */
int feed_act(struct feed *feed, const struct feed_action *action, feed_done_fn done, void *arg,
             struct error *e);
/* "cancel job": what asks the user, and what the result speaks of. */
const char *feed_verb_text(enum feed_verb verb);

#endif
