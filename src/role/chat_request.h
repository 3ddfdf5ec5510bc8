/* Pages of the chat's messages for this node itself, from a node that has them: the one that leads
 * the chat if it can be reached, else any that takes part in it (role/chat_rows.c). */
#ifndef ROLE_CHAT_REQUEST_H
#define ROLE_CHAT_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    CHAT_REQUEST_PATIENCE_MS = 10000, /* while nobody answers */
    CHAT_REQUEST_LEADER_MS = 6000,    /* of it for a leader, longer than an election */
    CHAT_REQUEST_TIMEOUT_MS = 10000,  /* for an answer */
};

struct node;
struct chat_request;

struct chat_page {
    const char *lines; /* of the rows, borrowed */
    size_t len;
    size_t rows;
    uint64_t node;     /* that answered */
    uint64_t next, to; /* where the next page begins; there is none when next > to */
};

/* `page` or `e` is NULL. ERR_UNSUPPORTED: no node takes part in the chat. */
typedef void (*chat_request_fn)(void *arg, const struct chat_page *page, const struct error *e);

/* `path` (copied) is that of GET /api/chat/rows with a query. `first` is asked first; 0: whoever is
 * best. `fn` is called once, never from within. */
struct chat_request *chat_request_start(struct node *node, const char *path, const char *user,
                                        uint64_t first, chat_request_fn fn, void *arg);
/* `fn` is not called any more. Only before it was. */
void chat_request_cancel(struct chat_request *request);

#endif
