/* What the parts of run/link share; nobody else includes it.
 *
 *     link_set.c     the set: identity, hooks, closing
 *     link_accept.c  connections that come in
 *     link_dial.c    connections that go out, again and again
 *     link_hello.c   who is there: the handshake
 *     link.c         states of a link, sending, which of two survives
 *     link_io.c      bytes: reading, decoding, corked writes, TLS in between
 *     link_probe.c   pings, silence */
#ifndef RUN_LINK_INTERNAL_H
#define RUN_LINK_INTERNAL_H

#include <netdb.h>
#include <sys/queue.h>

#include "base/hash.h"
#include "base/prng.h"
#include "run/address.h"
#include "run/link.h"
#include "run/link_tls.h"
#include "wire/frame.h"

#define LINK_DOUBLE_TEXT "another process answers as this node: is a data directory a copy?"

enum {
    LINK_NONCE_BYTES = 16,
    LINK_MAC_BYTES = 32,
    LINK_HELLO_BYTES_MAX = 16 * 1024, /* frames before the link is up */
    LINK_READ_BYTES = 64 * 1024,      /* of one read; shared by the links of a set */
    LINK_WRITE_BYTES = 256 * 1024,    /* handed to the kernel at once */
    LINK_OUT_KEPT_BYTES = 4096,       /* of an empty queue; the rest is given back */
    LINK_OUT_SPARE_BYTES = 64 * 1024, /* above the queue's bound, for pings and the Goodbye */
    LINK_TURN_FRAMES_MAX = 1024,      /* of one link before others have their turn */
    LINK_CLOSE_MS = 1000,             /* for the Goodbye to arrive */
    LINK_STABLE_MS = 1000,            /* up for so long: the backoff begins anew */
    LINK_PATIENCE_PART = 10, /* of the handshake's time; then others that wait push it out */
    LINK_REASON_MAX = 256,
    LINK_LOG_RECORDS_MAX = 10, /* about refused links, in a second */
};

/* X(symbol, name) */
#define LINK_STATE_LIST(X)                                                                         \
    X(LINK_STATE_CONNECTING, "connecting")                                                         \
    X(LINK_STATE_TLS, "tls")                                                                       \
    X(LINK_STATE_HELLO, "hello") /* waits for the peer's Hello */                                  \
    X(LINK_STATE_PROOF, "proof") /* waits for the peer's Proof */                                  \
    X(LINK_STATE_UP, "up")                                                                         \
    X(LINK_STATE_CLOSING, "closing") /* what is queued and a Goodbye are on their way */           \
    X(LINK_STATE_LINGER, "linger")   /* our end is closed; waits for the peer's */                 \
    X(LINK_STATE_GONE, "gone")       /* the descriptor is being closed */

enum link_state {
#define LINK_STATE_ENUM(symbol, name) symbol,
    LINK_STATE_LIST(LINK_STATE_ENUM)
#undef LINK_STATE_ENUM
};

struct link {
    struct link_set *set;
    struct link_dial *dial; /* NULL: accepted, or no longer wanted by its dial */
    enum link_state state;
    bool outgoing;
    bool connected; /* the socket is */
    bool pending;   /* accepted, not up yet: in set->pending */
    bool was_up;
    bool untold;    /* in set->downs: the owner is to be told */
    bool dirty;     /* in set->dirty: has something to write */
    bool attention; /* in set->attention: has something to do in the next turn */
    bool paused;    /* not reading: had its share of this turn, or is computing */
    bool computing; /* a thread has the TLS session */
    bool secured;   /* the TLS handshake is done */
    bool ended;     /* TLS has said its last word */
    bool lost;      /* nobody is there for a Goodbye */
    bool writing;   /* uv_write or uv_shutdown is under way */
    bool full;      /* the owner was told ERR_BUSY */
    unsigned refs;  /* the handle, work under way */

    uv_tcp_t tcp;
    union {
        uv_connect_t connect;
        uv_write_t write;
        uv_shutdown_t shutdown;
    } request;               /* never two at once */
    struct loop_timer timer; /* of the state: handshake, probing, closing */

    struct link_tls_session *tls; /* NULL: plain */
    struct error tls_error;
    int tls_status; /* of the handshake step under way */

    struct frame_decoder decoder;
    struct buf out;    /* frames, from out_at */
    struct buf flying; /* what goes to the socket, from flying_at */
    size_t out_at;
    size_t flying_at;
    size_t writing_len;

    Wire__Hello *peer;
    struct metric_series *frames_in, *frames_out, *bytes_in, *bytes_out; /* NULL before it is up */
    uint64_t node_id;
    uint8_t nonce[LINK_NONCE_BYTES];
    ProtobufCMessage *message; /* during its delivery */
    void *data;

    int64_t born_ms;
    int64_t pinged_ms;
    int64_t ping_sent_us;
    uint64_t ping_sequence;
    struct link_stats stats;
    int down_code;
    char down_reason[LINK_REASON_MAX];

    TAILQ_ENTRY(link) of_set;
    TAILQ_ENTRY(link) of_pending;
    TAILQ_ENTRY(link) of_downs;
    TAILQ_ENTRY(link) of_dirty;
    TAILQ_ENTRY(link) of_attention;
    UT_hash_handle hh; /* by node id, while up */
};

TAILQ_HEAD(link_list, link);

struct link_dial {
    struct link_set *set;
    char *address;
    char host[ADDRESS_HOST_MAX];
    uint16_t port;
    uint64_t node_id;  /* wanted; 0: whoever */
    uint64_t found_id; /* who answered */
    struct link *link; /* under way or up */
    unsigned attempts; /* since a link was stable */
    bool standing_by;  /* another link to the node is up */
    bool resolving;
    bool dead; /* undialed while resolving */
    struct loop_timer timer;
    uv_getaddrinfo_t resolve;
    struct addrinfo *found; /* of the last resolution */
    struct addrinfo *next;  /* to be tried */
    TAILQ_ENTRY(link_dial) of_set;
};

struct link_set {
    struct loop *loop;
    struct link_set_options options;
    char *cluster_id, *node_uuid, *name, *version, *peer_address, *api_address, *secret;
    uint64_t node_id;
    uint64_t boot;
    struct prng prng;     /* for jitter */
    struct link_tls *tls; /* NULL: plain */
    bool check_name;

    uv_tcp_t listener;
    bool listening;
    bool accept_waits; /* a connection waits in the listener */
    struct loop_timer accept_timer;
    char address[ADDRESS_TEXT_MAX];

    struct link_list links;
    struct link_list pending; /* oldest first */
    struct link_list downs;
    struct link_list dirty;
    struct link_list attention;
    struct link *by_node;
    TAILQ_HEAD(, link_dial) dials;
    struct loop_hook defer;
    struct loop_hook flush;
    struct loop_timer turn; /* the next one, for `attention` */
    unsigned links_n;
    unsigned pending_n;
    unsigned open; /* links, the listener, resolutions: what closing waits for */
    bool closing;
    bool end_due; /* closing was asked for in this turn */
    void (*closed)(void *arg);
    void *closed_arg;
    struct link_set_stats stats;
    int64_t log_second; /* strangers must not fill the log */
    unsigned log_records;
    uint8_t read_buf[LINK_READ_BYTES];
    uint8_t plain_buf[LINK_READ_BYTES];
};

/* ---- link.c ---- */

/* A new link of the set, in state CONNECTING. `dial` NULL: it is to be accepted. */
struct link *link_new(struct link_set *set, struct link_dial *dial);
void link_hold(struct link *link);
void link_release(struct link *link);
void link_set_state(struct link *link, enum link_state state);
bool link_is_closing(const struct link *link); /* or gone */

/* The connection is there: TLS or Hello begins. */
void link_connected(struct link *link);
void link_secured(struct link *link);
/* The handshake is through. */
void link_up(struct link *link);
/* The other side is gone, or as good as: no Goodbye. */
void link_lost(struct link *link, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Whether a link to the same node is up that this one would not replace. */
bool link_is_double(const struct link *link);
bool link_is_second(const struct link *link);
/* Refused for who it is: Goodbye where possible, and a record in the log. */
void link_turn_away(struct link *link, int code, const char *reason);
/* Came against the rules: Goodbye, and a record in the log. */
void link_refuse(struct link *link, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Tells the owner of links that went down; then closes the sockets of those that were lost. */
void link_tell_downs(struct link_set *set);
/* Closes the socket now. */
void link_drop(struct link *link);

/* ---- link_io.c ---- */

void link_io_start(struct link *link);
/* Queues a message of the link itself, past the bound of the queue. */
/* A frame of so many bytes was queued. */
void link_io_count_out(struct link *link, size_t bytes);
void link_io_send(struct link *link, enum wire_type type, const ProtobufCMessage *message);
void link_io_mark(struct link *link); /* has something to write at the end of the turn */
void link_io_flush(struct link *link);
void link_io_attend(struct link *link); /* has link_io_attended() called in the next turn */
void link_io_attended(struct link *link);
size_t link_io_queued(const struct link *link);

/* ---- link_hello.c ---- */

void link_hello_begin(struct link *link);
/* A message of a link that is not up. */
void link_hello_take(struct link *link, enum wire_type type);

/* ---- link_probe.c ---- */

void link_probe_start(struct link *link);
void link_probe(struct link *link); /* its timer */
void link_probe_take_ping(struct link *link, const Wire__Ping *ping);
void link_probe_take_pong(struct link *link, const Wire__Pong *pong);
int64_t link_probe_interval_ms(const struct link_set *set);
int64_t link_probe_silence_ms(const struct link_set *set);

/* ---- link_accept.c ---- */

/* A place among the pending may have become free. */
void link_accept_next(struct link_set *set);

/* ---- link_dial.c ---- */

/* The dial's link ended. */
void link_dial_ended(struct link_dial *dial, struct link *link);
/* No link to this node is up any more. */
void link_dial_wake(struct link_set *set, uint64_t node_id);
/* Dials at once those that wait. */
void link_dial_hurry(struct link_set *set);

/* ---- link_set.c ---- */

/* One of what closing waits for is gone. */
void link_set_closed_one(struct link_set *set);

#endif
