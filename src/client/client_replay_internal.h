/* What client_replay.c (moments, state), client_replay_api.c (requests), client_replay_jobs.c,
 * client_replay_stream.c (lines of the archive), client_replay_table.c and client_replay_sql.c
 * share. */
#ifndef CLIENT_CLIENT_REPLAY_INTERNAL_H
#define CLIENT_CLIENT_REPLAY_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/nodeset.h"
#include "client/client.h"
#include "client/client_replay.h"
#include "client/client_replay_answer.h"
#include "client/replay_archive.h"
#include "wire/event_kind.h"
#include "wire/event_state.h"
#include "wire/http_target.h"

enum {
    CLIENT_REPLAY_PIECE_BYTES = 1024 * 1024,
    CLIENT_REPLAY_PIECE_LINES = 8 * 1024, /* of both: looked at for one piece of an answer */
    CLIENT_REPLAY_NAME_MAX = 256,
    CLIENT_REPLAY_TABLES = 9,
    CLIENT_REPLAY_ROWS_MAX = 100, /* of an answer, unless it is asked for more */
};

struct client_replay_lake; /* what SQL needs (client_replay_sql.c) */
struct client_replay_sql;  /* a statement */

struct client_replay {
    struct replay_archive *archive;
    char *path;
    int64_t first_ms, last_ms;
    int64_t at_ms;
    struct event_state *state;       /* at that moment */
    struct client_replay_lake *lake; /* NULL before the first statement */
};

/* What matters of an event's line. Names that are too long are "". */
struct client_replay_event {
    int64_t at_ms;
    enum log_level level;
    char kind[64];
    char node[CLIENT_REPLAY_NAME_MAX];
    char table[64];
    char key[CLIENT_REPLAY_NAME_MAX];
};

/* False for a line that is no event. */
bool client_replay_read_event(const char *line, size_t len, struct client_replay_event *event);

/* Lines of events in the order of their time. */
struct client_replay_line {
    int64_t at_ms;
    size_t offset;
};

struct client_replay_lines {
    struct client_replay_line *all; /* free() it */
    size_t n, cap;
};

/* Adds the events of that time in whose lines `text` stands. */
void client_replay_find_lines(const struct client_replay *replay, int64_t from_ms, int64_t to_ms,
                              const char *text, struct client_replay_lines *lines);

/* Rows of a table of the state, in the natural order of their keys; yours. */
json_t *client_replay_rows(const struct client_replay *replay, const char *table);
/* The same of "nodes", with what the vitals say. */
json_t *client_replay_nodes(const struct client_replay *replay);

/* Lines of a part of the archive that fit. */
struct client_replay_stream {
    enum replay_part_name part;
    size_t offset;
    int64_t since_ms, until_ms;
    char kinds[EVENT_PATTERN_BYTES_MAX + 1]; /* "": all */
    char table[64];
    char channel[128];
    enum log_level level;
    bool has_nodes;
    struct nodeset nodes;
    int64_t from_seq;
    uint64_t left; /* lines */
    bool is_over;
};

struct client_replay_answer {
    struct client_replay *replay;
    struct http_target target;
    unsigned status;
    struct buf body; /* not handed out yet */
    bool is_stream;
    struct client_replay_stream stream;
    struct client_replay_sql *sql; /* or this */
};

void client_replay_fail(struct client_replay_answer *answer, int code, const char *hint,
                        const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Takes `json`. */
void client_replay_give(struct client_replay_answer *answer, json_t *json);

/* The field's text, "" when there is none. */
const char *client_replay_text(const json_t *row, const char *key);
/* Drops rows whose `field` is not `value`; NULL: none. */
void client_replay_keep(json_t *rows, const char *field, const char *value);
/* What "limit" asks for. */
uint64_t client_replay_limit(const struct client_replay_answer *answer, uint64_t otherwise);
void client_replay_cut(json_t *rows, uint64_t limit);

enum client_replay_attempts {
    CLIENT_REPLAY_ACTIVE, /* those that are assigned or running */
    CLIENT_REPLAY_LAST,   /* of each element the last one */
    CLIENT_REPLAY_ALL,
};

/* Attempts at tasks of a job, or of all (NULL), at the moment; in no order. */
json_t *client_replay_tasks(const struct client_replay *replay, const char *job,
                            enum client_replay_attempts attempts);
/* The jobs, newest first; yours. */
json_t *client_replay_jobs(const struct client_replay *replay);

/* GET /api/jobs and below. */
void client_replay_ask_jobs(struct client_replay_answer *answer);
void client_replay_ask_job(struct client_replay_answer *answer);
void client_replay_ask_wait(struct client_replay_answer *answer);
void client_replay_ask_tasks(struct client_replay_answer *answer);

/* GET /api/events, /api/vitals, /api/chat/messages. */
void client_replay_ask_events(struct client_replay_answer *answer);
void client_replay_ask_vitals(struct client_replay_answer *answer);
void client_replay_ask_messages(struct client_replay_answer *answer);
void client_replay_stream_next(struct client_replay_answer *answer, struct buf *out);

/* A table of the cluster's state (wire/cluster_rows.h) as the report has it at the moment. */
struct client_replay_table {
    const char *name;
    const char *const (*columns)[2]; /* name, type */
    size_t columns_n;
    /* Of the state; NULL: of lines. */
    json_t *(*rows)(const struct client_replay *replay);
    enum replay_part_name part;
    const char *kind; /* of events that are rows; NULL: all */
    /* A row, an array of rows, or NULL; yours. NULL: they are events. */
    json_t *(*row)(const json_t *line);
};

extern const struct client_replay_table client_replay_tables[CLIENT_REPLAY_TABLES];
/* As they are called in SQL, whatever the case; NULL: there is none. */
const struct client_replay_table *client_replay_table(const char *name);
/* Writes rows, a JSON object a line; *offset begins with 0, and SIZE_MAX is the end: it is called
 * again until then. -errno. */
int client_replay_table_write(const struct client_replay *replay,
                              const struct client_replay_table *table, size_t *offset, FILE *file);

/* POST /api/sql: {"sql":"..."}. */
void client_replay_ask_sql(struct client_replay_answer *answer, const char *body, size_t len);
/* Appends what has come; false when that was the last. */
bool client_replay_sql_next(struct client_replay_sql *sql, struct buf *out);
/* The descriptor to wait for; -1: client_replay_sql_next() has something to do; -2: another
 * statement must end first. */
int client_replay_sql_fd(const struct client_replay_sql *sql);
int64_t client_replay_sql_due_ms(const struct client_replay_sql *sql); /* of its next progress */
void client_replay_sql_free(struct client_replay_sql *sql);            /* NULL allowed; ends it */
void client_replay_lake_free(struct client_replay_lake *lake);         /* NULL allowed */

#endif
