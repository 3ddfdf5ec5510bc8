/* What the parts of run/link share; nobody else includes it. */
#ifndef RUN_LINK_INTERNAL_H
#define RUN_LINK_INTERNAL_H

#include <sys/queue.h>
#include <uthash.h>

#include "run/link.h"
#include "wire/frame.h"

enum {
    LINK_NONCE_BYTES = 16,
    LINK_MAC_BYTES = 32,
    LINK_READ_BYTES = 256 * 1024,
    LINK_TURN_FRAMES_MAX = 4096, /* of one link before others have their turn */
    LINK_CLOSE_MAX_MS = 1000,
};

enum link_state {
    LINK_CONNECTING,
    LINK_HELLO, /* waits for the peer's Hello */
    LINK_PROOF, /* accepted; waits for the peer's Proof */
    LINK_UP,
    LINK_CLOSING, /* on_down follows, a Goodbye may still be on its way */
    LINK_GONE,    /* its handle is being closed */
};

struct link {
    struct link_set *set;
    struct link_dial *dial; /* NULL: accepted */
    enum link_state state;
    bool outgoing;
    bool was_up; /* on_down is due */
    bool down_told;
    bool connected; /* the socket is */
    bool writing;
    bool full; /* the owner was told ERR_BUSY */
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct frame_decoder decoder;
    struct buf out;    /* frames of this turn */
    struct buf flying; /* handed to libuv */
    Wire__Hello *peer;
    uint64_t node_id;
    uint8_t nonce[LINK_NONCE_BYTES];
    struct loop_timer timer; /* handshake, probing, closing */
    int64_t heard_ms;
    uint64_t ping_sequence;
    struct link_stats stats;
    int down_code;
    char down_reason[256];
    void *data;
    ProtobufCMessage *message; /* during on_message */
    bool dirty;                /* in set->dirty */
    TAILQ_ENTRY(link) of_set;
    TAILQ_ENTRY(link) of_dirty;
    UT_hash_handle hh; /* by node id, while up */
};

struct link_dial {
    struct link_set *set;
    char *address;
    char host[256];
    char port[8];
    uint64_t node_id;  /* wanted, 0: whoever */
    uint64_t found_id; /* who answered */
    struct link *link; /* under way or up; NULL: waits */
    unsigned attempts; /* since the last success */
    struct loop_timer timer;
    uv_getaddrinfo_t resolve;
    bool resolving;
    bool dead; /* undialed while resolving */
    TAILQ_ENTRY(link_dial) of_set;
};

struct link_set {
    struct loop *loop;
    struct link_set_options options;
    char *cluster_id, *node_uuid, *name, *version, *peer_address, *api_address, *secret;
    uint64_t node_id;
    uint64_t boot;
    uv_tcp_t listener;
    bool listening;
    char address[64];
    TAILQ_HEAD(, link) links;
    struct link *by_node;
    TAILQ_HEAD(, link) dirty;
    TAILQ_HEAD(, link_dial) dials;
    struct loop_hook flush;
    struct loop_hook defer;
    unsigned links_n;
    unsigned pending_n;
    unsigned handles; /* open, with resolutions under way */
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
    struct link_set_stats stats;
    uint8_t *scratch;
};

/* ---- link.c ---- */

struct link *link_new(struct link_set *set, struct link_dial *dial);
/* The link is to go down: the owner hears of it at the end of the turn. */
void link_down(struct link *link, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The handshake is through. */
void link_set_up(struct link *link);
void link_dial_failed(struct link_dial *dial, int code, const char *reason);

/* ---- link_io.c ---- */

void link_io_start(struct link *link);
void link_io_send(struct link *link, enum wire_type type, const ProtobufCMessage *message);
void link_io_flush(struct link *link);
void link_io_mark(struct link *link);

/* ---- link_hello.c ---- */

void link_hello_begin(struct link *link);
void link_hello_take(struct link *link, enum wire_type type, const ProtobufCMessage *message);

#endif
