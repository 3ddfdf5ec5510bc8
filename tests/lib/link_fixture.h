/* Nodes that are linked within one loop, a cable between two of them that can be pulled, and
 * strangers that send any bytes. */
#ifndef TESTS_LIB_LINK_FIXTURE_H
#define TESTS_LIB_LINK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/uuid.h"
#include "run/link.h"
#include "run/loop.h"
#include "wire/frame.h"

#define LINK_FIXTURE_CLUSTER "3fa85f64-5717-4562-b3fc-2c963f66afa6"

struct link_fixture {
    struct loop *loop;
    struct loop_timer patience;
    unsigned nodes; /* not stopped yet */
};

/* cmocka's setup and teardown. */
int link_fixture_setup(void **state);
int link_fixture_teardown(void **state);

void link_fixture_turn(struct link_fixture *f);

/* Turns the loop until `condition`; the test fails when that takes too long. */
#define LINK_WAIT(f, condition)                                                                    \
    do {                                                                                           \
        while (!(condition))                                                                       \
            link_fixture_turn(f);                                                                  \
    } while (0)

/* ---- nodes -------------------------------------------------------------------------------- */

struct fixture_node {
    struct link_fixture *f;
    struct link_set *set; /* NULL once closed */
    char uuid[UUID_TEXT_MAX];
    char name[16];
    struct link *link; /* that came up last; NULL when it went down */
    unsigned ups, downs, drains, messages, dial_failures;
    bool in_order; /* sequence numbers of the Heartbeats that came had no gap */
    uint64_t next_sequence;
    int refuse_code; /* on_hello answers this */
    int down_code, dial_code;
    char down_reason[256];
    char dial_reason[256];
};

/* Options of a node of this cluster, to be changed before fixture_node_start(). */
void fixture_node_options(struct fixture_node *node, struct link_fixture *f, uint64_t id,
                          struct link_set_options *options);
/* Makes the set and listens on a free port of 127.0.0.1. */
void fixture_node_start(struct fixture_node *node, const struct link_set_options *options);
/* Both, with the defaults. */
void fixture_node_init(struct fixture_node *node, struct link_fixture *f, uint64_t id);
/* Closes the set and waits for its end. */
void fixture_node_stop(struct fixture_node *node);

struct link_dial *fixture_node_dial(struct fixture_node *node, const struct fixture_node *to);

/* Queues a Heartbeat with this sequence number, padded to about `bytes`. */
int fixture_node_send(struct fixture_node *node, uint64_t sequence, size_t bytes);

/* ---- a cable: a forwarder on loopback ----------------------------------------------------- */

struct fixture_cable;

struct fixture_cable *fixture_cable_new(struct link_fixture *f, const char *to);
const char *fixture_cable_address(const struct fixture_cable *cable);
void fixture_cable_stall(struct fixture_cable *cable,
                         bool stall);                /* nothing passes, no end shows */
void fixture_cable_cut(struct fixture_cable *cable); /* resets what is connected */
unsigned fixture_cable_connections(const struct fixture_cable *cable); /* ever */
void fixture_cable_free(struct fixture_cable *cable);

/* ---- strangers ---------------------------------------------------------------------------- */

struct fixture_stranger {
    struct link_fixture *f;
    int fd;
    uv_poll_t poll;
    bool poll_open;
    struct buf in;
    bool ended; /* the node closed */
};

void fixture_stranger_connect(struct fixture_stranger *stranger, struct link_fixture *f,
                              const char *address);
void fixture_stranger_send(struct fixture_stranger *stranger, const void *data, size_t len);
void fixture_stranger_send_message(struct fixture_stranger *stranger, enum wire_type type,
                                   const ProtobufCMessage *message);
void fixture_stranger_hello(struct fixture_stranger *stranger, const Wire__Hello *hello);
/* Waits for the end of the connection and returns the code of the Goodbye that came last (0: none);
 * `reason` (NULL allowed) gets its text. */
int fixture_stranger_wait_goodbye(struct fixture_stranger *stranger, char reason[static 256]);
void fixture_stranger_done(struct fixture_stranger *stranger);

#endif
