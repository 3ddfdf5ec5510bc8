/* What feed.c (connection, turns), feed_stream.c (streams, what waits of them), feed_live.c (what
 * is followed), feed_past.c (moments of the server), feed_task.c (tasks, output), feed_act.c
 * (actions) and feed_replay.c (report archives) share. */
#ifndef TUI_FEED_INTERNAL_H
#define TUI_FEED_INTERNAL_H

#include <sys/queue.h>

#include "base/buf.h"
#include "client/client.h"
#include "client/client_path.h"
#include "tui/feed.h"
#include "tui/feed_queue.h"

enum {
    FEED_STREAM_SILENT_MS = 5000, /* a stream of events has a cursor each second */
    FEED_ANSWER_MS = 3000,        /* then another node is asked */
    FEED_TIMEOUT_MS = 20000,
    FEED_PAUSE_FIRST_MS = 100, /* before connecting again; doubles */
    FEED_PAUSE_MAX_MS = 2000,
    FEED_LEARN_MS = 60000,
    FEED_CHAT_AGAIN_MS = 15000,
    FEED_TASKS_PAGE = 1000,
    FEED_TASKS_MAX = 20000, /* of one job */
    FEED_OUTPUT_BACK_BYTES = 1024 * 1024,
    FEED_EARLIER_MS = 10 * 60 * 1000, /* so much of the past is there at once */
    FEED_EARLIER_WAIT_MS = 3000,
    FEED_ID_MAX = 600,
    FEED_TURN_US = 2000,                    /* of what has come, before keys are looked at again */
    FEED_QUEUE_BYTES_MAX = 2 * 1024 * 1024, /* waiting; then nothing is read */
};

struct feed;
struct replay;

/* How a stream ended, until the model has taken what came before. */
struct feed_end {
    int code;
    unsigned status;
    bool connected;
    char text[FEED_TEXT_MAX];
    char hint[CLIENT_HINT_MAX];
};

/* A call that is there or not, and when to make it again. */
struct feed_stream {
    struct feed *feed;
    struct client_call *call;           /* NULL: none under way */
    uint64_t run;                       /* other with each call, and when it is stopped */
    const struct client_handler *taker; /* gets, in feed_turn(), what came in this run */
    struct feed_end end;
    int64_t again_ms; /* when to start it; INT64_MAX: not by itself */
    int64_t heard_ms;
    unsigned pause_ms;
};

struct feed_output_stream {
    struct feed_stream stream;
    const char *name; /* stdout, stderr */
    uint64_t offset;
    struct buf line; /* the beginning of one */
    bool is_over;
};

struct feed_act_call {
    TAILQ_ENTRY(feed_act_call) entry;
    struct feed *feed;
    struct client_call *call;
    enum feed_verb verb;
    char *what; /* printable */
    feed_done_fn done;
    void *arg;
};

struct feed {
    struct model *model;
    struct client *client; /* NULL in a replay */
    struct replay *replay; /* NULL otherwise */
    int epoll_fd, timer_fd;
    bool read_only;
    enum feed_state state;
    char text[FEED_TEXT_MAX];
    char hint[CLIENT_HINT_MAX];
    char endpoint[FEED_TEXT_MAX];
    int64_t lost_at_ms; /* 0: not lost */
    uint64_t generation;
    bool needs_frame;
    bool is_part; /* the events that are followed: no node leads */

    struct feed_queue queue;
    size_t queue_bytes_max;
    unsigned turn_us;
    struct feed_stream frame, earlier, events, vitals, chat;
    int64_t learn_ms; /* when to look for nodes that are new; INT64_MAX: not by itself */
    bool has_earlier; /* events of before the first frame were asked for */

    struct feed_stream past_frame, past_events, past_vitals;
    int64_t seek_ms;

    struct feed_stream tasks;
    char tasks_job[FEED_ID_MAX]; /* "": none */
    int64_t tasks_after;
    size_t tasks_n;

    char output_task[FEED_ID_MAX]; /* "": none */
    struct feed_output_stream output[2];

    TAILQ_HEAD(, feed_act_call) acts;
    size_t n_acts;
};

/* Starts a GET of `path`; a failure to start counts as one of the call. The handler of a stream
 * (CLIENT_BODY_LINES, _BYTES) is called by feed_turn(), and its `call` may have ended by then; that
 * of another answer by client_dispatch(). */
void feed_stream_get(struct feed_stream *stream, const char *path, enum client_body body,
                     const struct client_handler *handler);
void feed_stream_stop(struct feed_stream *stream);
/* Makes it again after a pause that doubles. */
void feed_stream_later(struct feed_stream *stream, int64_t first_ms);
void feed_stream_heard(struct feed_stream *stream); /* something came */
bool feed_stream_is_due(const struct feed_stream *stream, int64_t now_ms);

/* Whether the connections are to be read: not while too much is waiting. */
bool feed_may_read(const struct feed *feed);
/* Gives the model what has come, about until `until_us`, and at least one piece. */
void feed_turn(struct feed *feed, int64_t until_us);

/* Says what is shown as feed_text() and feed_hint(); both are made printable. */
void feed_say(struct feed *feed, enum feed_state state, const char *text, const char *hint);

/* feed.c: it failed, and why; from now on what is shown is old. */
bool feed_is_refused(const struct client_reply *reply);
void feed_say_failed(struct feed *feed, const struct client_reply *reply);
void feed_lose(struct feed *feed, const char *text);

/* Each at a tick, when its stream is due. */
void feed_learn(struct feed *feed);
void feed_get_frame(struct feed *feed);
void feed_follow_events(struct feed *feed);
void feed_follow_vitals(struct feed *feed);
void feed_follow_chat(struct feed *feed);
void feed_end_earlier(struct feed *feed); /* as far as it came */
void feed_past_stop(struct feed *feed);
void feed_tasks_start(struct feed *feed);
void feed_output_start(struct feed *feed, struct feed_output_stream *output);
void feed_output_stop(struct feed *feed);
void feed_acts_free(struct feed *feed);

#endif
