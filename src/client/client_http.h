/* What client_http.c (connections, requests) and client_http_answer.c (answers) share. */
#ifndef CLIENT_CLIENT_HTTP_H
#define CLIENT_CLIENT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "client/client_internal.h"

enum {
    CLIENT_HTTP_HEAD_BYTES_MAX = 64 * 1024,
    CLIENT_HTTP_BLOCK_BYTES = 128 * 1024,
};

enum client_http_state {
    CLIENT_HTTP_HEAD,
    CLIENT_HTTP_LENGTH,      /* `left` bytes of body */
    CLIENT_HTTP_CHUNK_SIZE,  /* a line */
    CLIENT_HTTP_CHUNK,       /* `left` bytes of it */
    CLIENT_HTTP_CHUNK_END,   /* the line break behind it */
    CLIENT_HTTP_TRAILER,     /* lines up to an empty one */
    CLIENT_HTTP_UNTIL_CLOSE, /* body */
    CLIENT_HTTP_DONE,
};

struct client_http {
    TAILQ_ENTRY(client_http) entry;
    struct client *client;
    struct client_call *call; /* NULL: kept */
    size_t endpoint;
    int fd;
    uint32_t events;   /* that epoll watches; 0: not in its set */
    bool is_used;      /* it carried a call before this one */
    bool has_received; /* something of the answer */
    bool may_keep;
    bool is_at_end; /* the server has closed its side */
    enum client_http_state state;
    uint64_t left;
    struct buf out; /* to send, before the body from a descriptor */
    size_t sent;
    bool has_left; /* some byte was sent */
    struct buf in; /* received */
    size_t at;     /* of it is taken */
};

/* Takes one piece of what has been received. 1: taken; 0: more has to come; ERR_PROTOCOL: it is no
 * HTTP; ERR_CLOSED: the call wants no more. Not in CLIENT_HTTP_DONE. */
int client_http_take(struct client_http *http);

#endif
