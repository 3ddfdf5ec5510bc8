/* The messages of the chat as they come, from a place on, without loss or repetition: when a
 * connection breaks, another node is asked for what comes behind the last message seen. */
#ifndef SHELL_CHAT_STREAM_H
#define SHELL_CHAT_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "shell/shell.h"

struct chat_stream {
    /* The owner's, before chat_stream_start(); borrowed. */
    struct shell *shell;
    const char *channel; /* NULL: all */
    const char *from;    /* a number, a time, NULL: the last ones */
    uint64_t limit;      /* messages; 0: no limit */
    bool follows;
    bool insists; /* a node has answered before: asks again for as long as none does */
    /* A message, as JSON and as the line it came in. */
    void (*on_message)(void *arg, const json_t *message, const char *line, size_t len);
    /* Messages before `first` were asked for and are gone. */
    void (*on_gone)(void *arg, uint64_t first);
    void *arg;

    /* The stream's. */
    struct client_call *call;
    uint64_t next;     /* number behind the last one seen; 0: none seen */
    uint64_t seen;     /* messages */
    int64_t retry_ms;  /* when to ask again; 0: not waiting */
    unsigned failures; /* since the last message */
    bool ended;
    int status; /* exit status, once ended */
};

void chat_stream_start(struct chat_stream *stream);
/* Asks again when it is time to; called after every wait. */
void chat_stream_work(struct chat_stream *stream);
/* When chat_stream_work() wants to be called; INT64_MAX: when something comes. */
int64_t chat_stream_deadline_ms(const struct chat_stream *stream);
void chat_stream_stop(struct chat_stream *stream);

/* Malloc'ed: a message for people, "12:04:05 #general anna: text", harmless to a terminal; without
 * the channel when `channel` is it. Further lines of the text are indented. */
char *chat_stream_format(const json_t *message, const char *channel, bool has_color);

#endif
