/* usage: raft_bench [DIR [SECONDS]]
 *
 * Commands of 128 bytes a second that three libraft servers commit, each with raft_io and a log of
 * its own in DIR, all on one loop in one process, with 1, 16, 64 and 256 outstanding. Messages are
 * packed, queued and unpacked, but pass no socket: what is left is libraft, raft_io and three logs
 * on one disk. DIR must be on the disk to be measured (default /tmp). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "run/loop.h"
#include "run/raft_io.h"

enum {
    SERVERS = 3,
    ROUNDS = 5,
    COMMAND_BYTES = 128,
    SAMPLES_MAX = 1 << 21,
    ELECTION_MS = 400,
    HEARTBEAT_MS = 80,
    SNAPSHOT_ENTRIES = 8192,
    TRAILING_ENTRIES = 1024,
};

struct bench;

struct server {
    struct bench *bench;
    struct raft raft;
    struct raft_io io;
    struct raft_fsm fsm;
    bool closed;
};

struct parcel {
    STAILQ_ENTRY(parcel) entry;
    uint64_t from;
    uint64_t to;
    size_t len;
    uint8_t data[];
};

struct bench {
    struct loop *loop;
    struct loop_hook hook;
    STAILQ_HEAD(, parcel) parcels;
    struct server servers[SERVERS];
    struct server *leader;
    int64_t end_us;
    unsigned outstanding;
    uint32_t *samples;
    size_t count;
};

struct command {
    struct raft_apply apply;
    struct bench *bench;
    int64_t begin_us;
};

struct figures {
    double per_second;
    double p50_us;
    double p99_us;
    double max_us;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "raft_bench: %s: %s\n", what, why);
    exit(1);
}

/* ---- servers -----------------------------------------------------------------------------------
 */

static int on_send(void *arg, uint64_t to, const Wire__RaftMessage *message)
{
    struct server *s = arg;
    struct bench *b = s->bench;
    size_t len = wire__raft_message__get_packed_size(message);
    struct parcel *parcel = mem_alloc(sizeof *parcel + len);
    parcel->from = s->raft.id;
    parcel->to = to;
    parcel->len = len;
    wire__raft_message__pack(message, parcel->data);
    STAILQ_INSERT_TAIL(&b->parcels, parcel, entry);
    loop_hook_arm(&b->hook);
    return 0;
}

static void on_deliver(void *arg)
{
    struct bench *b = arg;
    STAILQ_HEAD(, parcel) parcels = STAILQ_HEAD_INITIALIZER(parcels);
    STAILQ_CONCAT(&parcels, &b->parcels);
    struct parcel *parcel;
    while ((parcel = STAILQ_FIRST(&parcels)) != NULL) {
        STAILQ_REMOVE_HEAD(&parcels, entry);
        Wire__RaftMessage *message = wire__raft_message__unpack(NULL, parcel->len, parcel->data);
        if (!b->servers[parcel->to - 1].closed)
            raft_io_receive(&b->servers[parcel->to - 1].io, parcel->from, message);
        wire__raft_message__free_unpacked(message, NULL);
        free(parcel);
    }
}

static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    (void)fsm, (void)buf;
    *result = NULL;
    return 0;
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    (void)fsm;
    return raft_io_snapshot_bufs(bufs, n_bufs);
}

static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    (void)fsm;
    raft_free(buf->base);
    return 0;
}

static void on_persist(void *arg, uint64_t index, struct raft_io_done *done)
{
    (void)arg, (void)index;
    done->cb(done, 0);
}

static void on_copy(void *arg, uint64_t index, const char *path, struct raft_io_done *done)
{
    (void)arg, (void)index, (void)path;
    done->cb(done, ERR_UNSUPPORTED);
}

static void on_failed(void *arg, const struct error *e)
{
    (void)arg;
    die("log", e->text);
}

static void bootstrap(struct raft *raft)
{
    struct raft_configuration conf;
    raft_configuration_init(&conf);
    for (unsigned i = 1; i <= SERVERS; i++) {
        char address[16];
        snprintf(address, sizeof address, "server-%u", i);
        raft_configuration_add(&conf, i, address, RAFT_VOTER);
    }
    if (raft_bootstrap(raft, &conf) != 0)
        die("bootstrap", raft_errmsg(raft));
    raft_configuration_close(&conf);
}

static void start_server(struct bench *b, unsigned id, const char *base)
{
    struct server *s = &b->servers[id - 1];
    char *dir = mem_printf("%s/%u", base, id);
    char address[16];
    snprintf(address, sizeof address, "server-%u", id);
    s->bench = b;
    s->fsm = (struct raft_fsm){.version = 1,
                               .data = s,
                               .apply = fsm_apply,
                               .snapshot = fsm_snapshot,
                               .restore = fsm_restore};
    struct raft_io_options options = {.loop = b->loop,
                                      .dir = dir,
                                      .election_timeout_ms = ELECTION_MS,
                                      .transport = {on_send, s},
                                      .snapshots = {on_persist, on_copy, s},
                                      .on_failed = on_failed};
    struct error e;
    if (mkdir(dir, 0700) != 0)
        die(dir, strerror(errno));
    if (raft_io_open(&s->io, &options, &e) < 0)
        die(dir, e.text);
    if (raft_init(&s->raft, &s->io, &s->fsm, id, address) != 0)
        die("raft_init", s->io.errmsg);
    s->raft.data = s;
    raft_set_election_timeout(&s->raft, ELECTION_MS);
    raft_set_heartbeat_timeout(&s->raft, HEARTBEAT_MS);
    raft_set_snapshot_threshold(&s->raft, SNAPSHOT_ENTRIES);
    raft_set_snapshot_trailing(&s->raft, TRAILING_ENTRIES);
    raft_set_pre_vote(&s->raft, true);
    bootstrap(&s->raft);
    if (raft_start(&s->raft) != 0)
        die("raft_start", raft_errmsg(&s->raft));
    free(dir);
}

static void wait_for_leader(struct bench *b)
{
    b->leader = NULL;
    while (b->leader == NULL) {
        loop_turn(b->loop);
        for (unsigned i = 0; i < SERVERS; i++)
            if (raft_state(&b->servers[i].raft) == RAFT_LEADER)
                b->leader = &b->servers[i];
    }
}

static void on_closed(struct raft *raft)
{
    struct server *s = raft->data;
    raft_io_done(&s->io);
    s->closed = true;
}

/* ---- load -------------------------------------------------------------------------------------
 */

static void propose(struct bench *b, struct command *c);

static void on_applied(struct raft_apply *req, int status, void *result)
{
    struct command *c = req->data;
    struct bench *b = c->bench;
    (void)result;
    if (status != 0)
        die("apply", raft_strerror(status));
    int64_t now = clock_mono_us();
    if (b->count < SAMPLES_MAX)
        b->samples[b->count++] = (uint32_t)(now - c->begin_us);
    b->outstanding--;
    if (now < b->end_us)
        propose(b, c);
}

static void propose(struct bench *b, struct command *c)
{
    struct raft_buffer buf = {.base = raft_malloc(COMMAND_BYTES), .len = COMMAND_BYTES};
    memset(buf.base, 'c', COMMAND_BYTES);
    c->bench = b;
    c->begin_us = clock_mono_us();
    c->apply.data = c;
    if (raft_apply(&b->leader->raft, &c->apply, &buf, 1, on_applied) != 0)
        die("raft_apply", raft_errmsg(&b->leader->raft));
    b->outstanding++;
}

static int compare_u32(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x;
    uint32_t b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

static int compare_rate(const void *x, const void *y)
{
    double a = ((const struct figures *)x)->per_second;
    double b = ((const struct figures *)y)->per_second;
    return a < b ? -1 : a > b;
}

static struct figures measure(struct bench *b, unsigned outstanding, int64_t duration_us)
{
    struct command *commands = mem_calloc(outstanding, sizeof *commands);
    int64_t begin = clock_mono_us();
    b->count = 0;
    b->end_us = begin + duration_us;
    for (unsigned i = 0; i < outstanding; i++)
        propose(b, &commands[i]);
    while (b->outstanding > 0)
        loop_turn(b->loop);
    int64_t took = clock_mono_us() - begin;
    free(commands);
    qsort(b->samples, b->count, sizeof *b->samples, compare_u32);
    return (struct figures){
        .per_second = (double)b->count * 1e6 / (double)took,
        .p50_us = b->samples[b->count / 2],
        .p99_us = b->samples[b->count * 99 / 100],
        .max_us = b->samples[b->count - 1],
    };
}

int main(int argc, char **argv)
{
    static const unsigned outstanding[] = {1, 16, 64, 256};
    const char *base = argc > 1 ? argv[1] : "/tmp";
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.0;
    char *dir = mem_printf("%s/raft_bench-XXXXXX", base);
    if (mkdtemp(dir) == NULL)
        die(dir, strerror(errno));
    struct bench b = {.loop = loop_new()};
    b.samples = mem_calloc(SAMPLES_MAX, sizeof *b.samples);
    STAILQ_INIT(&b.parcels);
    loop_hook_init(&b.hook, b.loop, LOOP_PHASE_FLUSH, on_deliver, &b);
    for (unsigned id = 1; id <= SERVERS; id++)
        start_server(&b, id, dir);
    wait_for_leader(&b);
    printf("%4s %9s %9s %9s %8s %8s %8s\n", "out", "min/s", "median/s", "max/s", "p50 us", "p99 us",
           "max us");
    for (size_t i = 0; i < MEM_COUNT(outstanding); i++) {
        struct figures rounds[ROUNDS];
        for (unsigned round = 0; round < ROUNDS; round++)
            rounds[round] = measure(&b, outstanding[i], (int64_t)(seconds * 1e6));
        qsort(rounds, ROUNDS, sizeof *rounds, compare_rate);
        const struct figures *f = &rounds[ROUNDS / 2];
        printf("%4u %9.0f %9.0f %9.0f %8.0f %8.0f %8.0f\n", outstanding[i], rounds[0].per_second,
               f->per_second, rounds[ROUNDS - 1].per_second, f->p50_us, f->p99_us, f->max_us);
    }
    for (unsigned i = 0; i < SERVERS; i++)
        raft_close(&b.servers[i].raft, on_closed);
    while (!b.servers[0].closed || !b.servers[1].closed || !b.servers[2].closed)
        loop_turn(b.loop);
    loop_free(b.loop);
    char *clean = mem_printf("rm -rf '%s'", dir);
    int rc = system(clean);
    free(clean);
    free(dir);
    free(b.samples);
    return rc == 0 ? 0 : 1;
}
