/* What client.c (endpoints, descriptor, timers) and client_call.c (one request) share. */
#ifndef CLIENT_CLIENT_INTERNAL_H
#define CLIENT_CLIENT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "client/client.h"
#include "client/client_endpoint.h"
#include "client/client_replay_answer.h"
#include "client/curl_library.h"

enum {
    CLIENT_PAUSE_FIRST_MS = 20, /* before the first repetition; doubles */
    CLIENT_PAUSE_MAX_MS = 1000,
    CLIENT_ETAG_MAX = 128,
    CLIENT_PARTIAL_MAX = 512,
    CLIENT_TYPE_MAX = 64,
    CLIENT_ERROR_BYTES_MAX = 64 * 1024, /* body of an error */
};

enum client_call_state {
    CLIENT_CALL_WAITING,   /* starts when due_ms is reached */
    CLIENT_CALL_RUNNING,   /* a transport has it: a replay, client_http.c or libcurl */
    CLIENT_CALL_CANCELLED, /* freed at the end of the dispatch */
    CLIENT_CALL_DONE,
};

struct client_call {
    TAILQ_ENTRY(client_call) entry;
    struct client *client;
    enum client_call_state state;
    struct client_handler handler;
    void *arg;

    char *method;
    char *path;
    uint8_t *data;
    size_t data_len;
    int fd;
    uint64_t fd_bytes;
    uint64_t fd_sent;
    char *content_type;
    char *idempotency_key;
    bool repeatable;
    enum client_body body_kind;

    struct client_replay_answer *answer; /* of a replay, under way */
    int watched_fd;                      /* that it waits for; -1: none */
    struct client_http *http;            /* over a Unix socket */
    CURL *easy;                          /* over TCP */
    struct curl_slist *headers;
    char curl_text[CURL_ERROR_SIZE];
    unsigned status; /* of the answer under way; 0: its head has not come */
    struct buf body; /* whole body, or the line under way */
    char etag[CLIENT_ETAG_MAX];
    char partial[CLIENT_PARTIAL_MAX];
    char type[CLIENT_TYPE_MAX]; /* of the body */
    int data_code;              /* why the data callback's side ended it: ERR_TOO_LARGE */
    bool delivered;             /* some of a stream has reached the caller */

    size_t endpoint; /* that this attempt goes to */
    size_t tried;    /* endpoints that could not be reached in this round */
    unsigned pause_ms;
    int64_t due_ms;
    uint64_t attempt_ms;
    int64_t connect_until_ms; /* while the queue of a Unix socket is full; 0: it is not */
    int64_t attempt_until_ms; /* INT64_MAX: none */
    int64_t deadline_ms;      /* INT64_MAX: none */
    int64_t retry_until_ms;   /* set by the first failure; 0 before */
};

TAILQ_HEAD(client_calls, client_call);
TAILQ_HEAD(client_https, client_http);

struct client {
    struct client_replay *replay; /* NULL: there is a cluster */
    struct client_endpoint endpoints[CLIENT_ENDPOINTS_MAX];
    bool learned[CLIENT_ENDPOINTS_MAX];  /* by client_learn(), not given */
    bool unusable[CLIENT_ENDPOINTS_MAX]; /* a learned one that refuses our token */
    size_t n_endpoints;
    size_t current; /* endpoint that answered last */
    bool connected;
    bool ever_connected;
    char trouble[ERROR_TEXT_MAX]; /* why calls are being repeated; "" when none is */

    char *token;
    char *ca_file;
    char *cert_file;
    char *key_file;
    unsigned connect_timeout_ms;
    unsigned retry_ms;
    bool retry_first;

    int epoll_fd;
    int timer_fd;
    const struct curl_library *curl; /* NULL before the first call over TCP */
    CURLM *multi;
    int64_t curl_due_ms; /* INT64_MAX: none */
    bool dispatching;
    struct client_calls calls;
    size_t n_calls;
    struct client_https https; /* connections over Unix sockets, in use or kept */
};

/* ---- client_call.c: what becomes of a call, however it travels ---- */

/* Hands the call to a transport, for client->current. */
void client_call_launch(struct client_call *call);
/* Takes the next piece of what a replay answers. */
void client_call_replay(struct client_call *call);
/* A piece of the body. False: nothing more is wanted, the call has been cancelled or is too large,
 * which data_code says. */
bool client_call_take(struct client_call *call, const char *bytes, size_t len);
/* A header line of the answer, without its end. */
void client_call_header(struct client_call *call, const char *line, size_t len);
/* The whole answer has come. */
void client_call_answered(struct client_call *call);
/* The endpoint could not be reached: nothing was sent. `is_hopeless`: asking again can't help. */
void client_call_unreachable(struct client_call *call, const char *text, bool is_hopeless);
/* The connection ended after the request had left and before the answer was whole. */
void client_call_broken(struct client_call *call, const char *text);
/* Ends a call at its deadline. ERR_OUTCOME_UNKNOWN when the request has left and is not repeatable.
 */
void client_call_late(struct client_call *call);
/* Gives up an attempt that has brought no answer yet, for another endpoint. */
void client_call_abandon(struct client_call *call);
/* Answers with a failure of our own. */
void client_call_fail(struct client_call *call, int code, const char *text);
/* Takes the call from its transport and frees it. */
void client_call_free(struct client_call *call);

/* ---- client_curl.c: over TCP ---- */

void client_curl_launch(struct client_call *call, const struct client_endpoint *endpoint);
void client_curl_detach(struct client_call *call);
/* A socket of libcurl's is ready: bits of enum epoll. */
void client_curl_ready(struct client *client, int fd, uint32_t events);
/* After those: timers, and what has been finished. */
void client_curl_work(struct client *client);
void client_curl_close(struct client *client);

/* ---- client_http.c: over Unix sockets ---- */

void client_http_launch(struct client_call *call, const struct client_endpoint *endpoint);
void client_http_detach(struct client_call *call); /* closes its connection */
/* Whether the descriptor was one of these. */
bool client_http_ready(struct client *client, int fd, uint32_t events);
void client_http_close(struct client *client);

#endif
