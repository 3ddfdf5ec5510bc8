/* What the parts of the chat's API share. */
#ifndef ROLE_CHAT_API_H
#define ROLE_CHAT_API_H

#include <sys/queue.h>

#include "base/hash.h"
#include "role/chat_internal.h"
#include "role/chat_line.h"
#include "run/http_request.h"

enum {
    CHAT_BATCH_MAX = 4096,          /* messages in one request */
    CHAT_BATCH_BYTES_MAX = 8 << 20, /* of its body */
    CHAT_BATCHES_MAX = 1024,        /* requests at once */
    CHAT_CLIENT_MAX = 128,          /* bytes of a client's name for itself */
    CHAT_LIMIT_MAX = 1000000000,    /* messages that one reader may ask for */
};

/* A user's allowance of messages. */
struct chat_rate {
    char *user;
    double tokens;
    int64_t at_ms;
    UT_hash_handle hh;
};

TAILQ_HEAD(chat_tail_list, chat_tail);
TAILQ_HEAD(chat_rows_list, chat_rows);
TAILQ_HEAD(chat_batch_list, chat_batch);
TAILQ_HEAD(chat_single_list, chat_single);

struct chat_api {
    struct chat *chat;
    struct chat_tail_list tails;
    unsigned tails_n;
    struct chat_rows_list rows;
    unsigned rows_n;
    struct chat_batch_list batches;
    unsigned batches_n;
    struct chat_single_list singles;
    struct chat_rate *rates;
    struct chat_line_clock clock;
    struct buf scratch;
    uint64_t promised_term, promised_to; /* that were told */
};

/* Takes `n` messages from what `user` may send now. */
bool chat_api_allow(struct chat_api *api, const char *user, unsigned n);

/* Appends the answer to one message as a JSON object. */
void chat_api_put_reply(struct chat_api *api, struct buf *out, const struct order_reply *reply);

/* The HTTP status and the words for a reply's code. */
void chat_api_explain(const struct order_reply *reply, struct error *e, const char **hint);

/* A message as a line of the API. */
void chat_api_put_message(struct chat_api *api, struct buf *out, const struct order_entry *entry);
void chat_api_get_messages(struct http_request *req, void *arg);
void chat_api_tails_delivered(struct chat_api *api);
void chat_api_tails_stop(struct chat_api *api);
void chat_api_tails_disk_gone(struct chat_api *api);

void chat_api_get_rows(struct http_request *req, void *arg);
void chat_api_rows_disk_gone(struct chat_api *api);

void chat_api_get_members(struct http_request *req, void *arg);
void chat_api_add_source(struct chat_api *api); /* of frames */
void chat_api_transfer(struct http_request *req, void *arg);
/* For /api/elections. */
void chat_api_describe(void *arg, struct node_election *out);

#endif
