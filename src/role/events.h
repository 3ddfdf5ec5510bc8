/* What a node sees, told to the cluster (docs/events.md). A service of the node that every role may
 * use: an event is numbered, kept, and sent to the node that leads, which collects what all nodes
 * tell, knows from it the state of the cluster, and answers whoever reads them.
 *
 * Nothing here fails or waits: what cannot be kept is counted. On the loop's thread. Where events
 * are switched off nothing happens, and what was to be taken is released. */
#ifndef ROLE_EVENTS_H
#define ROLE_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "wire/event_kind.h"
#include "role/role.h"
#include "wire/cluster.pb-c.h"

struct node;

/* All of it may be left out. Strings are borrowed; `row` and `more` are taken. */
struct event_about {
    const char *node;  /* name of the node that it is about */
    const char *by;    /* the user who caused it */
    const char *cause; /* a word or a line */
    const char *key;   /* of a row of the kind's table: fields of `row` have changed */
    const char *table; /* in place of the kind's */
    json_t *row;
    bool gone;    /* the row is no more */
    bool minor;   /* of level debug, whatever the kind says: it was meant to be so */
    json_t *more; /* further keys of the event */
};

#define EVENT_ABOUT(...) (&(const struct event_about){__VA_ARGS__})

/* Tells an event. `about` may be NULL. The text is complete in itself, for people. */
void event_emit(struct node *node, enum event_kind kind, const struct event_about *about,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* An event of something that is not certain yet: told later, or never. NULL where events are
 * switched off; both functions take NULL. */
struct event_draft;
struct event_draft *event_draft(struct node *node, enum event_kind kind,
                                const struct event_about *about, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void event_publish(struct node *node, struct event_draft *draft);
void event_draft_free(struct event_draft *draft);

/* Whether events are told at all, for callers whose preparation costs something. */
bool events_enabled(const struct node *node);

/* ---- on the node that leads: what the frames hold ----------------------------------------------
 */

/* Rows of a table as they are now. A source is asked about once a second; what differs from what
 * events told becomes an event without a text. */
struct event_rows;
void event_rows_add(struct event_rows *rows, const char *key, json_t *row); /* takes `row` */

enum { EVENT_SLICES = 10, EVENT_SOURCES_MAX = 16, EVENT_SOURCE_TEXT_MAX = 256 };

struct event_source {
    const char *table;
    /* What is told of a row that has changed (`before` NULL: that is new; `row` NULL: that is
     * gone). EVENT_NONE: nothing but the row. NULL: nothing ever. */
    enum event_kind (*tell)(const char *key, const json_t *before, const json_t *row,
                            char text[EVENT_SOURCE_TEXT_MAX]);
    bool local;  /* rows that only this node knows: told once to each new collector */
    bool whole;  /* rows that it does not add are no more */
    bool sliced; /* asked for each of EVENT_SLICES parts in turn, else for everything (slice 0) */
    void (*fn)(void *arg, struct event_rows *rows, unsigned slice);
    void *arg;
};

/* Copied; at the start of a role. */
void events_add_source(struct node *node, const struct event_source *source);

/* The coordinator has read the state: sources can be asked, frames be answered. */
void events_begin(struct node *node);
/* A row of the state as it was found when this node took the lead, unless an event told it since.
 */
void events_found_row(struct node *node, const char *table, const char *key, json_t *row);

/* The last messages of the chat as JSON lines, for reports. */
void events_set_messages(struct node *node, void (*fn)(void *arg, struct buf *out), void *arg);

/* How far this node has what the nodes told, collected by whoever led. */
uint64_t events_position(const struct node *node);

/* A heartbeat of a node has come to this leader. */
void events_heard(struct node *node, uint64_t from, const Wire__Vitals *vitals);

extern const struct role events_role;

#endif
