/* Up to five libraft servers on one loop, each with raft_io in a directory of its own, and a
 * network between them that loses what it is told to. The state machine hashes what it applies, so
 * that equal states mean equal histories. */
#ifndef TESTS_UNIT_RAFT_WORLD_H
#define TESTS_UNIT_RAFT_WORLD_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/prng.h"
#include "run/loop.h"
#include "run/raft_io.h"
#include "tests/unit/wal_fixture.h"

enum {
    RAFT_WORLD_SERVERS_MAX = 5,
    RAFT_WORLD_ELECTION_MS = 250,
    RAFT_WORLD_HEARTBEAT_MS = 40,
    RAFT_WORLD_WAIT_MS = 120000,
    RAFT_WORLD_TRACKED = 8192, /* commands that are tracked one by one */
};

struct raft_world;

/* The state machine: in memory, and as a file when raft_io asks for it. */
struct raft_machine {
    uint64_t applied;
    uint64_t count; /* commands */
    uint64_t hash;
    uint8_t seen[RAFT_WORLD_TRACKED / 8]; /* numbers of the commands applied */
};

struct raft_server_case {
    struct raft_world *world;
    uint64_t id;
    char dir[WAL_FIXTURE_PATH_MAX];
    struct wal_disk disk;
    struct raft raft;
    struct raft_io io;
    struct raft_fsm fsm;
    struct raft_machine machine;
    bool running;
    bool closing;
    bool close_wanted;    /* after the callback that found it out */
    struct error failure; /* from on_failed */
    unsigned failures;
    int reserve;
    unsigned restored; /* from files received */
    unsigned copies;
    unsigned persisted;
};

struct raft_parcel {
    STAILQ_ENTRY(raft_parcel) entry;
    uint64_t from;
    uint64_t to;
    size_t len;
    uint8_t data[];
};

struct raft_world {
    struct loop *loop;
    unsigned count;
    struct raft_server_case servers[RAFT_WORLD_SERVERS_MAX];
    struct prng prng;
    STAILQ_HEAD(, raft_parcel) parcels;
    struct loop_hook hook;
    bool cut[RAFT_WORLD_SERVERS_MAX + 1][RAFT_WORLD_SERVERS_MAX + 1]; /* from, to */
    unsigned drop_percent;
    size_t chunks;         /* snapshot chunks that were sent */
    size_t chunks_max;     /* after which every link is cut; 0: never */
    size_t chunk_damaged;  /* the how manieth arrives with a flipped bit; 0: none */
    int persist_code;      /* what the state machines answer to persist */
    size_t parcel_largest; /* bytes */
    size_t state_bytes;    /* of a state file */
    unsigned threshold;    /* entries before a snapshot */
    unsigned trailing;
    bool on_disk;
    uint64_t command; /* number of the next */
    uint8_t acked[RAFT_WORLD_TRACKED / 8];
    unsigned outstanding; /* applies */
    unsigned applied_ok;
    unsigned applied_lost;
    int apply_status; /* of the last that failed */
};

void raft_world_init(struct raft_world *w, unsigned count, uint64_t seed);
void raft_world_done(struct raft_world *w);

/* Each server by its id, from 1. */
struct raft_server_case *raft_world_server(struct raft_world *w, uint64_t id);

/* Opens and starts a server; `voters` > 0 bootstraps it with servers 1 to `voters`. */
int raft_world_open(struct raft_world *w, uint64_t id, unsigned voters, struct error *e);
void raft_world_start(struct raft_world *w, uint64_t id, unsigned voters);
void raft_world_start_all(struct raft_world *w);
void raft_world_stop(struct raft_world *w, uint64_t id); /* waits */
void raft_world_wipe(struct raft_world *w, uint64_t id); /* a stopped one's directory */

/* One turn of the loop. */
void raft_world_turn(struct raft_world *w);

/* Fails the test, with what each server is at. */
void raft_world_give_up(struct raft_world *w, const char *condition);

/* Turns until `condition`, or fails the test after RAFT_WORLD_WAIT_MS. */
#define raft_world_wait(w, condition)                                                              \
    do {                                                                                           \
        int64_t until_ = loop_now_ms((w)->loop) + RAFT_WORLD_WAIT_MS;                              \
        while (!(condition)) {                                                                     \
            raft_world_turn(w);                                                                    \
            if (loop_now_ms((w)->loop) > until_)                                                   \
                raft_world_give_up(w, #condition);                                                 \
        }                                                                                          \
    } while (0)

/* Id of the leader of the highest term among the running servers, 0 if there is none. */
uint64_t raft_world_leader(struct raft_world *w);
uint64_t raft_world_wait_leader(struct raft_world *w);

/* Proposes `count` commands of `len` bytes on the leader; the callbacks count. */
void raft_world_apply(struct raft_world *w, unsigned count, size_t len);
/* Until `count` were applied; on a busy machine the lead may move and some be lost. */
void raft_world_apply_all(struct raft_world *w, unsigned count, size_t len);

/* Whether all running servers have applied all that the leader has, with the same result. */
bool raft_world_agrees(struct raft_world *w);

/* Fails the test if the server lacks a command that was acknowledged. */
void raft_world_check_acked(const struct raft_world *w, const struct raft_server_case *s);

void raft_world_isolate(struct raft_world *w, uint64_t id, bool cut);

#endif
