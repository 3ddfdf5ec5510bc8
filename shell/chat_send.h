/* Messages on their way to the chat, in the order they were written, each there once whatever
 * breaks: one at a time, with a number that any node recognises when it is sent again. */
#ifndef SHELL_CHAT_SEND_H
#define SHELL_CHAT_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "base/uuid.h"
#include "shell/shell.h"

enum {
    CHAT_SEND_WAITING_MAX = 256,
    CHAT_SEND_ATTEMPT_MS = 12000,  /* longer than a node itself waits for a majority (10 s) */
    CHAT_SEND_PATIENCE_MS = 30000, /* with one message */
};

struct chat_send_item;

struct chat_send {
    struct shell *shell;
    /* The cluster's answer to a message; NULL when it was given up, after saying why. */
    void (*on_answer)(void *arg, const json_t *answer);
    void *arg;
    bool names_texts; /* a failure says which message it is about */

    char client[UUID_TEXT_MAX];
    uint64_t number;
    STAILQ_HEAD(, chat_send_item) items;
    unsigned n;
    struct client_call *call;
    int64_t retry_ms;
    int status; /* of the first that was given up */
};

void chat_send_init(struct chat_send *send, struct shell *shell);
void chat_send_done(struct chat_send *send);

/* ERR_BUSY: too many wait. */
int chat_send_add(struct chat_send *send, const char *channel, const char *text);
bool chat_send_is_idle(const struct chat_send *send);
/* Whether the first of them waits for its answer since `ms` or longer. */
bool chat_send_is_late(const struct chat_send *send, int64_t ms);
void chat_send_work(struct chat_send *send); /* called after every wait */
int64_t chat_send_deadline_ms(const struct chat_send *send);

#endif
