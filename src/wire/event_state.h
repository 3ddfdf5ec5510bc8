/* The state of a cluster as its events tell it (docs/events.md): tables of rows, each row a JSON
 * object. A frame is all of it as one object; patches change it. Who holds a frame and applies the
 * later patches has the state at any moment, on the node that collects as in a console. */
#ifndef WIRE_EVENT_STATE_H
#define WIRE_EVENT_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/error.h"

enum {
    EVENT_STATE_ROWS_MAX = 100000,    /* in all tables */
    EVENT_STATE_ROW_MAX = 64 * 1024,  /* bytes of a row; a patch that makes it longer is left out */
    EVENT_STATE_BYTES_MAX = 64 << 20, /* of all rows */
    EVENT_STATE_KEY_MAX = 512,
};

/* A table of frames, and the fields that its key is made of ("NODE/SERVICE" of two). */
struct event_state_table {
    const char *name;
    const char *key;
    const char *key2; /* NULL: one field */
};

/* In the order of frames; ended by a NULL name. "tasks" is in no frame. */
extern const struct event_state_table event_state_tables[];
/* NULL: no table of frames. */
const struct event_state_table *event_state_table(const char *name);
/* Writes the key of `row` to `out`; ERR_INVALID when the fields are missing or too long. */
int event_state_key(const struct event_state_table *table, const json_t *row,
                    char out[static EVENT_STATE_KEY_MAX]);

struct event_state;

struct event_state *event_state_new(void);
void event_state_free(struct event_state *state); /* NULL allowed */
void event_state_clear(struct event_state *state);

/* Changes the fields `row` (borrowed; NULL: none) of a row, which is made when it isn't there, or
 * takes it away. The fields of its key are those of `key`, whatever `row` says of them. 0 also for
 * tables that no frame has. ERR_TOO_LARGE: past a bound, ERR_INVALID: no key of this table; nothing
 * has changed then, and it is counted. */
int event_state_patch(struct event_state *state, const char *table, const char *key,
                      const json_t *row, bool gone);
/* The same from an event's line. ERR_INVALID also when it is none. */
int event_state_apply(struct event_state *state, const char *json, size_t len);

/* Takes every table of a frame that it knows. Rows without their key and those past a bound are
 * left out and counted: a frame of another version is as good as what of it can be read.
 * ERR_INVALID when it is no object at all; then `state` is empty. */
int event_state_load(struct event_state *state, const json_t *frame);

/* Rows and patches that were left out since the state was made or cleared; a frame that is loaded
 * brings what it says of itself. */
uint64_t event_state_refused(const struct event_state *state);

/* The row's text, or NULL; borrowed until the row changes. */
const char *event_state_row(const struct event_state *state, const char *table, const char *key);
size_t event_state_rows(const struct event_state *state, const char *table);

/* Called for each row, in no order; it may change or remove this row. */
typedef void (*event_state_fn)(void *arg, const char *key, const char *row);
void event_state_each(struct event_state *state, const char *table, event_state_fn fn, void *arg);

/* What is to be added to a row when it is printed: fields with a comma in front, or nothing. */
typedef void (*event_state_more_fn)(void *arg, const char *table, const char *key, struct buf *out);

/* Appends `"nodes":[...],...`, rows in the natural order of their keys, and `,"left_out":N` when
 * event_state_refused() is not 0. `more` may be NULL. */
int event_state_print(const struct event_state *state, event_state_more_fn more, void *arg,
                      struct buf *out);

#endif
