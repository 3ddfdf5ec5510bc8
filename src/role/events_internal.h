/* What the parts of events share; nobody else includes it. */
#ifndef ROLE_EVENTS_INTERNAL_H
#define ROLE_EVENTS_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>
#include <uthash.h>

#include "core/event.h"
#include "core/vitals_tick.h"
#include "role/events.h"
#include "role/node.h"
#include "run/event_seq.h"
#include "run/event_store.h"
#include "wire/http_target.h"
#include "wire/event_state.h"

enum {
    EVENTS_OWN_MAX = 16384,    /* events of this node in memory */
    EVENTS_STREAM_MAX = 65536, /* collected events in memory */
    EVENTS_STREAM_BYTES_MAX = 16 << 20,
    EVENTS_LOG_MAX = 4096, /* records of the log that wait for the loop */
    EVENTS_BATCH_MAX = 1024,
    EVENTS_BATCH_BYTES_MAX = 256 << 10,
    EVENTS_TICK_MS = 1000 / EVENT_SLICES,
    EVENTS_READERS_MAX = 256,
    EVENTS_TICKS_MAX = 300, /* vitals in memory, one a second */
    EVENTS_TICKS_BYTES_MAX = 4 << 20,
    EVENTS_FRAME_MS = 60000,          /* between two frames that are kept */
    EVENTS_DARK_MS = 1500,            /* without a collector; an election takes less */
    EVENTS_MIRROR_PATIENCE_MS = 2000, /* then it is asked again where it stands */
    EVENTS_PIECE_BYTES_MAX = 2 << 20, /* of a frame that is given to mirrors */
};

/* Positions in the collected stream: those of a later collector are greater. */
#define EVENTS_TERM_SHIFT 40

struct events_log_record {
    enum log_level level;
    int64_t at_ms;
    char *text;
    char *role, *job, *task, *peer; /* NULL: none */
    int code;
    STAILQ_ENTRY(events_log_record) link;
};

/* What the collector has of a node. */
struct events_mark {
    uint64_t node;
    uint64_t seq;
    bool dirty; /* not on the disk yet */
    UT_hash_handle hh;
};

/* The latest heartbeats of a node. */
struct events_pulse {
    uint64_t node;
    struct vitals_sample sample;
    int64_t heard_ms;  /* monotonic; 0: never */
    uint64_t position; /* while nobody collects: up to which it has the stream */
    bool fresh;        /* heard since the last tick */
    UT_hash_handle hh;
};

/* A node that may collect next, and what it has of the stream. */
struct events_mirror {
    struct events *events;
    uint64_t node;
    bool known;                    /* it has told where it stands */
    bool in_flight;                /* something that it has not acknowledged */
    int64_t sent_ms;               /* monotonic */
    uint64_t position;             /* that it has */
    struct event_store_read *read; /* of what is not in memory any more */
    TAILQ_ENTRY(events_mirror) link;
};
TAILQ_HEAD(events_mirrors, events_mirror);

struct events_past;
struct events_wait;
struct events_report_job;
struct events_reader;
struct events_relay;
TAILQ_HEAD(events_pasts, events_past);
TAILQ_HEAD(events_waits, events_wait);
TAILQ_HEAD(events_report_jobs, events_report_job);
TAILQ_HEAD(events_readers, events_reader);
TAILQ_HEAD(events_relays, events_relay);

struct events {
    struct node *node;
    char *name;    /* of this node, as JSON text without quotes */
    int log_level; /* records from this level on; -1: none */
    bool stopping;

    struct event_store *store; /* NULL: in memory only */

    /* this node's own events */
    struct event_seq seq;
    struct event_ring own;
    struct loop_hook hook; /* something to send or to collect */
    uint64_t asked_by;     /* collector that takes them; 0: nobody has asked */
    uint64_t asked_term;
    uint64_t sent; /* seq */
    bool in_flight;
    struct event_store_read *send_read; /* of what is not in memory any more */

    /* records of the log, from any thread */
    pthread_mutex_t log_mutex;
    STAILQ_HEAD(, events_log_record) log;
    unsigned log_n;
    uint64_t log_lost;
    bool log_posted;
    struct loop_post log_post;

    /* while this node collects */
    bool collecting;
    bool begun;   /* frames can be answered */
    bool finding; /* the rows that it has at its begin */
    uint64_t term;
    struct event_ring stream;
    uint64_t position; /* of the last */
    struct events_mark *marks;
    struct event_state *state;
    struct event_source sources[EVENT_SOURCES_MAX];
    unsigned sources_n;
    struct loop_timer timer;
    unsigned slice;

    struct events_mirrors mirrors;
    uint64_t mirrored_term; /* of the collector whose stream this node has */

    /* while nobody collects that this node can reach */
    int64_t dark_ms;      /* since when, monotonic; 0: somebody does */
    int64_t dark_wall_ms; /* the same by the clock */
    bool dark;            /* for longer than an election takes */
    struct events_waits waits;

    struct events_pulse *pulses;
    struct vitals_ticks ticks;
    struct vitals_ticks tens; /* of ten seconds, the last minute of them */
    unsigned seconds;
    int64_t frame_ms;        /* when the last frame was kept, monotonic */
    uint64_t frame_position; /* and what it was of */

    struct events_readers readers;
    struct events_relays relays;
    unsigned readers_n;        /* both */
    struct events_pasts pasts; /* frames of the past that are being made */
    struct events_report_jobs reports;
    struct {
        void (*fn)(void *arg, struct buf *out);
        void *arg;
    } messages; /* of the chat */
};

/* ---- events.c ---- */

/* NULL where events are switched off. */
struct events *events_of(const struct node *node);
/* Numbers and keeps an event with the kind, level, about and table of `event`, whose line, without
 * its beginning, is `rest`. */
void events_to_wire(const struct event *event, Wire__Event *row);
struct event events_from_wire(const Wire__Event *row); /* borrows */
void events_say(struct events *events, int64_t at_ms, const struct event *event, const char *rest,
                size_t rest_len);

/* ---- events_log.c: the log's records ---- */

void events_log_start(struct events *events);
void events_log_stop(struct events *events);

/* ---- events_send.c: from this node to the collector ---- */

void events_send(struct events *events);
void events_on_ack(void *self, uint64_t from, const ProtobufCMessage *message);
void events_send_lost(struct events *events); /* the collector, or the way to it */

/* ---- events_collect.c ---- */

void events_collect_begin(struct events *events);
void events_collect_end(struct events *events);
void events_collect_own(struct events *events);
void events_collect_ask(struct events *events, uint64_t node);
void events_on_batch(void *self, uint64_t from, const ProtobufCMessage *message);
void events_collect_free(struct events *events);
struct events_mark *events_mark_get(struct events *events, uint64_t node);
/* What the disk does not know yet. */
void events_collect_flush(struct events *events);

/* Whether a row of another node, or only its line, is of the form. */
bool events_is_line(const Wire__Event *row);
bool events_is_json(const char *line, size_t len);

/* ---- events_mirror.c: the stream at those who may collect next ---- */

void events_mirrors_choose(struct events *events); /* each second */
void events_mirrors_send(struct events *events);   /* what is new */
/* A frame (`step_ms` 0) or a tick was kept here. */
void events_mirrors_give(struct events *events, uint32_t step_ms, int64_t at_ms, uint64_t position,
                         const char *data, size_t len);
void events_mirrors_end(struct events *events);
void events_mirrors_measure(const struct events *events); /* for the metrics */
void events_mirror_lost(struct events *events, uint64_t node);
void events_on_mirror(void *self, uint64_t from, const ProtobufCMessage *message);
void events_on_mirror_ack(void *self, uint64_t from, const ProtobufCMessage *message);

/* ---- events_frame.c: the state ---- */

void events_frame_apply(struct events *events, const struct event *event);
void events_frame_tick(struct events *events, unsigned slice);
/* A new collector is to know the rows that only this node knows. */
void events_tell_local(struct events *events);
/* malloc'ed. */
char *events_frame_text(struct events *events, size_t *len);
void events_frame_keep(struct events *events);

/* ---- events_vitals.c ---- */

void events_vitals_tick(struct events *events);
/* Fields of a node's row that come from its heartbeats. */
void events_vitals_print(struct events *events, const char *name, struct buf *out);
void events_vitals_take(struct events *events, uint64_t from, const Wire__Vitals *vitals);
void events_vitals_set_position(struct events *events, uint64_t node, uint64_t position);
uint64_t events_vitals_position(const struct events *events, uint64_t node);
/* All members will be in the ticks, silent until they are heard. */
void events_vitals_expect(struct events *events);
/* Monotonic; 0: never. */
int64_t events_vitals_heard_ms(const struct events *events, uint64_t node);
/* What is in memory; the disk has it. */
void events_vitals_clear(struct events *events);
/* One line. */
typedef const char *(*events_name_fn)(const void *arg, uint64_t node);
int events_vitals_line(events_name_fn name, const void *arg, const struct vitals_tick *tick,
                       const struct nodeset *only, struct buf *out);

/* ---- events_dark.c: while no node can be reached that collects ---- */

/* This node, or a leader that it is linked to. */
bool events_has_collector(const struct events *events);
void events_dark_look(struct events *events); /* each tick */
/* It may be an election: a collector may come in a moment. */
bool events_must_wait(const struct events *events);
/* `fn` is called when that is over, with the events as its argument. */
void events_wait(struct events *events, struct http_request *req, http_request_fn fn);
void events_waits_go_on(struct events *events);
void events_waits_end(struct events *events);
/* Why, in words. */
const char *events_dark_reason(const struct events *events, char out[static EVENT_SOURCE_TEXT_MAX]);
/* {"partial":NODE,"reason","reached":[...],"missing":[...]} */
json_t *events_dark_json(const struct events *events);
/* The node that is linked and has more of what was collected than this one; 0: none. */
uint64_t events_dark_other(const struct events *events);
/* Has that node answer `req`; false: there is none. */
bool events_dark_pass(struct events *events, struct http_request *req);
/* What this node knows better than a frame that the last collector made, and laying it over the
 * state (on any thread; changes `fixes`). */
json_t *events_dark_fixes(const struct events *events);
void events_dark_fix(struct event_state *state, const json_t *fixes);
void events_on_vitals(void *self, uint64_t from, const ProtobufCMessage *message);

/* ---- events_query.c: what a request asks for ---- */

enum events_what { EVENTS_OF_STREAM, EVENTS_OF_VITALS, EVENTS_OF_REPORT };

struct events_query {
    bool vitals;
    bool report;  /* the archive, not lines */
    char *target; /* as it was asked; NULL: by this node itself */
    bool own;     /* only this node's own events behind `own_after`, without other lines */
    uint64_t own_after;
    bool uncollected; /* only what nobody collected */
    bool rows;        /* with a position for what nobody collected, which other nodes' lack */
    bool follow;
    bool has_since, has_until, has_cursor;
    int64_t since_ms, until_ms;
    uint64_t cursor;
    enum log_level level;                    /* this and worse */
    char kinds[EVENT_PATTERN_BYTES_MAX + 1]; /* "": all */
    char table[EVENT_NAME_MAX + 1];
    bool has_nodes;
    struct nodeset nodes;
    uint64_t limit;
    uint64_t step_ms;
    uint64_t begin; /* only behind this position */
    bool exact;     /* ends before the first event behind `until_ms` */
};

/* ERR_INVALID with the reason. After success events_query_done(). */
int events_query_parse(struct events *events, const char *target, enum events_what what,
                       struct events_query *query, struct error *e);
void events_query_done(struct events_query *query);
/* A time, or a duration back from now. */
int events_query_time(struct events *events, const char *name, const char *text, int64_t *at_ms,
                      struct error *e);
bool events_query_wants(const struct events_query *query, const struct event *event);

enum { EVENTS_CURSOR_MAX = 48 };
const char *events_cursor(uint64_t position, int64_t at_ms, char out[static EVENTS_CURSOR_MAX]);

/* ---- events_read.c: readers, on the node that has what they read ---- */

/* Where lines go. */
struct events_out {
    /* Instead of lines, if not NULL: each event that is wanted, with its position. */
    void (*event)(void *arg, const char *json, size_t len, uint64_t position);
    /* 0; 1: taken, but wait for events_reader_resume(); ERR_CLOSED: nobody reads any more. */
    int (*write)(void *arg, const void *data, size_t len);
    void (*end)(void *arg, const struct error *e); /* NULL: all was said. The reader is gone then */
    void *arg;
};

/* Takes `query`. `out` is not called from within. */
struct events_reader *events_reader_new(struct events *events, struct events_query *query,
                                        const struct events_out *out);
void events_reader_resume(struct events_reader *reader);
void events_reader_free(struct events_reader *reader); /* without a word */
void events_readers_wake(struct events *events);
void events_readers_tick(struct events *events); /* each second */
void events_readers_end(struct events *events, int code, const char *text);
void events_readers_end_partial(struct events *events); /* a node leads */
void events_readers_linked(struct events *events, uint64_t node);

/* ---- events_others.c: what nobody collected, of the nodes that this one is linked to ---- */

struct events_others_ask {
    const char *target; /* of /api/events; copied */
    int64_t since_ms;   /* in place of the target's */
    bool follow;
    void (*line)(void *arg, const char *json, size_t len); /* an event */
    void (*lost)(void *arg, uint64_t node);                /* it did not answer to the end */
    void (*heard)(void *arg);                              /* one has said something, or all */
    void *arg;
};

/* Callbacks come later, and none of them may free it. */
struct events_others *events_others_new(struct events *events, const struct events_others_ask *ask);
void events_others_free(struct events_others *others); /* NULL allowed */
bool events_others_ended(const struct events_others *others);
/* What was taken is out of the way: more may come. */
void events_others_pay(struct events_others *others);
void events_others_linked(struct events_others *others, uint64_t node);

/* ---- events_relay.c: readers of other nodes' streams ---- */

void events_on_read(void *self, uint64_t from, const ProtobufCMessage *message);
void events_on_credit(void *self, uint64_t from, const ProtobufCMessage *message);
void events_on_read_cancel(void *self, uint64_t from, const ProtobufCMessage *message);
void events_relays_lost(struct events *events, uint64_t peer);

/* ---- events_past.c: frames of the past ---- */

/* `text` (malloc'ed, taken) is the frame; or NULL, and why. */
typedef void (*events_past_fn)(void *arg, char *text, size_t len, const struct error *e,
                               const char *hint);
/* The state at that time; NULL with the reason. `fn` is called once, never from within. */
struct events_past *events_past_start(struct events *events, int64_t at_ms, events_past_fn fn,
                                      void *arg, struct error *e);
void events_past_cancel(struct events_past *past); /* `fn` is not called any more */
/* Answers `req` with the state at that time. */
void events_past_frame(struct events *events, struct http_request *req, int64_t at_ms);
void events_pasts_end(struct events *events);

/* ---- events_report.c ---- */

/* `fd` (taken) is the archive, or an error is. */
typedef void (*events_report_fn)(void *arg, int fd, const struct error *e);
/* `fn` is called once, never from within. */
struct events_report_job *events_report_start(struct events *events, int64_t since_ms,
                                              events_report_fn fn, void *arg);
void events_reports_end(struct events *events);           /* when the node is freed */
void events_report_cancel(struct events_report_job *job); /* `fn` is not called any more */
json_t *events_report_settings(const struct node *node);

/* ---- events_api.c ---- */

void events_api_add_routes(struct events *events);

/* ---- events_rows.c ---- */

void events_get_rows(struct http_request *req, void *arg);
void events_get_vitals_rows(struct http_request *req, void *arg);

#endif
