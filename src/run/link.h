/* Links between nodes: one TCP connection, plain or mutual TLS 1.3, that carries frames.
 *
 * A link_set is a node's end of all its links. It accepts on one address and keeps links to the
 * addresses that it was told to dial. The side that connected says Hello first, the other answers
 * with its own Hello, and the first proves that it knows the cluster's secret (run/link_hello.c);
 * then the link is up. Whoever does not want it says Goodbye, with the reason. Frames that are sent
 * within one turn of the loop leave in one write at its end, in the order they were sent.
 *
 * Between two nodes at most one link is up. When both connected, the one survives that was up first
 * with the lower node id; of two with the same initiator the newer one replaces the older, which
 * the other side has lost; and so does a link of a peer that was restarted (its Hello has a new
 * `boot`).
 *
 * Anything that comes over the wire against the rules (frame over the limit, unknown type,
 * malformed body, silence, slow handshake) closes that one link, with a Goodbye where possible, and
 * is logged.
 *
 * No callback is called from inside a function of this header.
 */
#ifndef RUN_LINK_H
#define RUN_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "run/loop.h"
#include "wire/message.h"

struct link_set;
struct link;
struct link_dial;

/* What this node says about itself. Copied. */
struct link_identity {
    const char *cluster_id; /* "": in no cluster yet */
    uint64_t node_id;       /* 0: in no cluster yet */
    const char *node_uuid;  /* of the data directory */
    const char *name;       /* of the node */
    const char *version;    /* of the software, for people */
    const char
        *peer_address;       /* HOST:PORT for others to dial; "": where link_set_listen() listens */
    const char *api_address; /* may be "" */
};

/* PEM files. The peer's certificate must chain to the CA. */
struct link_tls_options {
    const char *cert_path;
    const char *key_path;
    const char *ca_path;
    bool check_name; /* it must also carry the name that the peer's Hello says, as a DNS name */
};

struct link_ops {
    /* A peer said Hello. 0: the link comes up. Otherwise a code, with the reason in `e`: the peer
     * is told both in a Goodbye. The protocol, the cluster ids (when both sides have one) and
     * connections to ourselves have been checked. NULL: every peer is accepted. */
    int (*on_hello)(void *arg, struct link *link, const Wire__Hello *hello, struct error *e);

    /* The link takes and brings messages from now on. A link that this one replaces has gone down
     * before. */
    void (*on_up)(void *arg, struct link *link);

    /* A message came. Borrowed, unless the callee takes it with link_take_message(). */
    void (*on_message)(void *arg, struct link *link, enum wire_type type,
                       const ProtobufCMessage *message);

    /* After an ERR_BUSY: the queue is at most half full again. NULL allowed. */
    void (*on_drain)(void *arg, struct link *link);

    /* The link is gone; what was queued and not read by the peer is lost. Called once for each
     * on_up. `link` is valid during this call only. */
    void (*on_down)(void *arg, struct link *link, int code, const char *reason);

    /* An attempt to connect failed, or the peer refused; the next one follows by itself. NULL
     * allowed. */
    void (*on_dial_failed)(void *arg, struct link_dial *dial, int code, const char *reason);
};

struct link_set_options {
    struct loop *loop;
    struct link_identity identity;
    const struct link_tls_options *tls; /* NULL: plain TCP */
    const char *secret; /* both sides prove that they know it; "" or NULL: nothing is proved */
    const struct link_ops *ops;    /* borrowed for the life of the set */
    void *arg;                     /* for the ops */
    size_t frame_bytes_max;        /* body of a frame that is accepted */
    size_t queue_bytes_max;        /* of each link; one frame is always taken */
    unsigned links_max;            /* connections in all; further ones are not accepted */
    unsigned pending_max;          /* accepted connections before their Hello */
    unsigned handshake_timeout_ms; /* from the connection to the Hello */
    unsigned ping_interval_ms;     /* silence after which a link is probed */
    unsigned silence_timeout_ms;   /* after which it counts as dead */
    unsigned backoff_min_ms;       /* between attempts to connect */
    unsigned backoff_max_ms;
};

/* Defaults: 8 MiB, 16 MiB, 4096 links, 64 pending, 5 s, 250 ms, 2 s, 50 ms to 5 s.
 * With more links than ping_interval_ms the interval is one millisecond for each link (so that
 * probing costs at most 1,000 pings a second), and the timeout at least three intervals. */
void link_set_options_init(struct link_set_options *options);

/* NULL with `e` set when the TLS files cannot be used. */
struct link_set *link_set_new(const struct link_set_options *options, struct error *e);

/* Says Goodbye on every link, stops dialing and listening, and when the last descriptor is closed
 * frees the set and calls `fn` (NULL allowed). on_down is called for the links that are up. */
void link_set_close(struct link_set *set, void (*fn)(void *arg), void *arg);

/* Accepts links on `address`, "HOST:PORT" or "[IPV6]:PORT"; port 0 takes a free one. Once. Resolves
 * a host name blockingly, so names belong to the time before the loop runs. */
int link_set_listen(struct link_set *set, const char *address, struct error *e);

/* The real HOST:PORT that is listened on; "" before link_set_listen(). Owned by the set. */
const char *link_set_address(const struct link_set *set);

/* A new identity (after joining a cluster). Links that came up under another cluster id or node id
 * go down and those that were dialed come back under the new one. */
void link_set_identify(struct link_set *set, const struct link_identity *identity);

/* ---- dialing ------------------------------------------------------------------------------ */

/* Keeps a link to `address`: connects, and connects again when it went down, after a jittered
 * exponential backoff. While another link to the same node is up it stands by. `node_id` 0: whoever
 * answers there; otherwise any other node is refused. NULL with `e` set when the address has no
 * port or host. */
struct link_dial *link_dial(struct link_set *set, const char *address, uint64_t node_id,
                            struct error *e);

/* Stops; a link that is up stays. `dial` is gone. */
void link_undial(struct link_dial *dial);

const char *link_dial_address(const struct link_dial *dial);
uint64_t link_dial_node_id(const struct link_dial *dial); /* 0 as long as nobody answered */

/* ---- links that are up -------------------------------------------------------------------- */

/* The link to a node, or NULL. */
struct link *link_to(const struct link_set *set, uint64_t node_id);

/* Calls fn for every link that is up. `fn` may send and close. */
void link_set_each(struct link_set *set, void (*fn)(void *arg, struct link *link), void *arg);

/* Queues a message. ERR_BUSY: the queue is full, on_drain follows; ERR_CLOSED: the link is going
 * down; ERR_TOO_LARGE: over the frame limit. On failure nothing was queued. Success means queued:
 * whether it arrived only the peer can tell. */
int link_send(struct link *link, enum wire_type type, const ProtobufCMessage *message);

/* During on_message only: the message becomes the caller's, to be freed with wire_free(). */
ProtobufCMessage *link_take_message(struct link *link);

/* Sends what is queued and a Goodbye with `code` (< 0) and `reason` (for the peer's log), for at
 * most a second, and closes. on_down follows at the end of the turn. */
void link_close(struct link *link, int code, const char *reason);

/* What the peer said in its Hello; valid as long as the link. */
const Wire__Hello *link_peer(const struct link *link);
uint64_t link_node_id(const struct link *link); /* 0: a node that has not joined */
bool link_is_outgoing(const struct link *link);

/* For the owner: starts as NULL. */
void link_set_data(struct link *link, void *data);
void *link_data(const struct link *link);

struct link_stats {
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t bytes_in; /* of frames, before TLS */
    uint64_t bytes_out;
    size_t queued_bytes;
    size_t queued_bytes_max; /* the most there were */
    uint32_t rtt_us;         /* smoothed; 0: not measured yet */
    int64_t up_since_ms;     /* loop_now_ms() */
    int64_t heard_ms;
};

void link_get_stats(const struct link *link, struct link_stats *out);

struct link_set_stats {
    unsigned up;
    unsigned pending;         /* accepted, no Hello yet */
    uint64_t accepted;        /* connections, since the start */
    uint64_t refused;         /* by Hello: other cluster, protocol, owner; by TLS */
    uint64_t protocol_errors; /* links closed for what came over them */
    uint64_t silent;          /* links declared dead */
    uint64_t handshake_timeouts;
};

void link_set_get_stats(const struct link_set *set, struct link_set_stats *out);

#endif
