#include "tests/unit/raft_world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "tests/unit/generated.h"

/* libraft before 0.17 leaks the array of buffers of a snapshot that it could not install. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libraft.so";
}

/* ---- the state machine and its file
 * -------------------------------------------------------------- */

static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct raft_server_case *s = fsm->data;
    uint64_t index = s->raft.last_applied + 1;
    *result = NULL;
    if (index <= s->machine.applied)
        return 0;
    s->machine.applied = index;
    s->machine.count++;
    s->machine.hash = XXH3_64bits_withSeed(buf->base, buf->len, s->machine.hash ^ index);
    uint64_t number;
    assert_true(buf->len >= sizeof number);
    memcpy(&number, buf->base, sizeof number);
    if (number < RAFT_WORLD_TRACKED) {
        uint8_t bit = (uint8_t)(1u << (number % 8));
        assert_false(s->machine.seen[number / 8] & bit); /* never twice */
        s->machine.seen[number / 8] |= bit;
    }
    return 0;
}

static char *state_path(const struct raft_server_case *s)
{
    return mem_printf("%s/state", s->dir);
}

/* The machine and as much filling as the world wants, made of its hash. */
static int write_state(const struct raft_server_case *s, const char *path)
{
    size_t len = sizeof s->machine + s->world->state_bytes;
    uint8_t *data = mem_alloc(len);
    struct prng prng;
    memcpy(data, &s->machine, sizeof s->machine);
    prng_init(&prng, s->machine.hash);
    prng_bytes(&prng, data + sizeof s->machine, s->world->state_bytes);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    int rc = fd < 0 || write(fd, data, len) != (ssize_t)len ? -EIO : 0;
    if (fd >= 0)
        close(fd);
    free(data);
    return rc;
}

static void read_state(struct raft_server_case *s)
{
    char *path = state_path(s);
    if (access(path, F_OK) == 0) {
        uint8_t *data;
        size_t len;
        wal_fixture_read(path, &data, &len);
        assert_int_equal(len, sizeof s->machine + s->world->state_bytes);
        memcpy(&s->machine, data, sizeof s->machine);
        uint8_t *filling = mem_alloc(s->world->state_bytes + 1);
        struct prng prng;
        prng_init(&prng, s->machine.hash);
        prng_bytes(&prng, filling, s->world->state_bytes);
        assert_memory_equal(filling, data + sizeof s->machine, s->world->state_bytes);
        free(filling);
        free(data);
    }
    free(path);
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct raft_server_case *s = fsm->data;
    return raft_io_is_sending_snapshot(&s->io) ? RAFT_BUSY : raft_io_snapshot_bufs(bufs, n_bufs);
}

static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct raft_server_case *s = fsm->data;
    struct raft_io_descriptor descriptor;
    assert_int_equal(raft_io_descriptor_parse(buf, &descriptor), 0);
    raft_free(buf->base);
    if (descriptor.path[0] != '\0' && access(descriptor.path, F_OK) == 0) {
        char *path = state_path(s);
        assert_int_equal(rename(descriptor.path, path), 0);
        free(path);
        read_state(s);
        s->restored++;
    }
    return 0;
}

static void on_persist(void *arg, uint64_t index, struct raft_io_done *done)
{
    struct raft_server_case *s = arg;
    assert_true(index <= s->raft.last_applied + 1);
    char *path = state_path(s);
    char *part = mem_printf("%s.part", path);
    int rc = s->world->persist_code;
    if (rc == 0)
        rc = write_state(s, part);
    if (rc == 0 && rename(part, path) != 0)
        rc = -errno;
    s->persisted++;
    free(part);
    free(path);
    done->cb(done, rc);
}

static void on_copy(void *arg, uint64_t index, const char *path, struct raft_io_done *done)
{
    struct raft_server_case *s = arg;
    (void)index;
    s->copies++;
    done->cb(done, write_state(s, path));
}

/* ---- the network
 * --------------------------------------------------------------------------------- */

static int on_send(void *arg, uint64_t to, const Wire__RaftMessage *message)
{
    struct raft_server_case *s = arg;
    struct raft_world *w = s->world;
    assert_in_range(to, 1, w->count);
    if (w->cut[s->id][to])
        return ERR_UNAVAILABLE;
    if (message->kind_case == WIRE__RAFT_MESSAGE__KIND_SNAPSHOT_CHUNK) {
        w->chunks++;
        if (w->chunks_max > 0 && w->chunks > w->chunks_max)
            return ERR_UNAVAILABLE;
    }
    if (w->drop_percent > 0 && prng_chance(&w->prng, w->drop_percent, 100))
        return 0;
    size_t len = wire__raft_message__get_packed_size(message);
    struct raft_parcel *parcel = mem_alloc(sizeof *parcel + len);
    parcel->from = s->id;
    parcel->to = to;
    parcel->len = len;
    wire__raft_message__pack(message, parcel->data);
    if (message->kind_case == WIRE__RAFT_MESSAGE__KIND_SNAPSHOT_CHUNK &&
        w->chunks == w->chunk_damaged)
        parcel->data[len / 2] ^= 1;
    if (len > w->parcel_largest)
        w->parcel_largest = len;
    STAILQ_INSERT_TAIL(&w->parcels, parcel, entry);
    loop_hook_arm(&w->hook);
    return 0;
}

static void on_deliver(void *arg)
{
    struct raft_world *w = arg;
    STAILQ_HEAD(, raft_parcel) parcels = STAILQ_HEAD_INITIALIZER(parcels);
    STAILQ_CONCAT(&parcels, &w->parcels);
    struct raft_parcel *parcel;
    while ((parcel = STAILQ_FIRST(&parcels)) != NULL) {
        STAILQ_REMOVE_HEAD(&parcels, entry);
        struct raft_server_case *s = raft_world_server(w, parcel->to);
        if (s->running && !s->closing && !w->cut[parcel->from][parcel->to]) {
            Wire__RaftMessage *message =
                wire__raft_message__unpack(NULL, parcel->len, parcel->data);
            assert_non_null(message);
            assert_int_equal(raft_io_receive(&s->io, parcel->from, message), 0);
            wire__raft_message__free_unpacked(message, NULL);
        }
        free(parcel);
    }
}

void raft_world_isolate(struct raft_world *w, uint64_t id, bool cut)
{
    for (uint64_t other = 1; other <= w->count; other++)
        w->cut[id][other] = w->cut[other][id] = cut;
}

/* ---- servers -----------------------------------------------------------------------------------
 */

struct raft_server_case *raft_world_server(struct raft_world *w, uint64_t id)
{
    assert_in_range(id, 1, w->count);
    return &w->servers[id - 1];
}

static void on_failed(void *arg, const struct error *e)
{
    struct raft_server_case *s = arg;
    s->failure = *e;
    s->failures++;
    s->close_wanted = true;
}

static void on_reserve(void *arg, int code)
{
    struct raft_server_case *s = arg;
    s->reserve = code;
}

static void on_closed(struct raft *raft)
{
    struct raft_server_case *s = raft->data;
    raft_io_done(&s->io);
    s->running = false;
    s->closing = false;
}

static int bootstrap(struct raft_server_case *s, unsigned voters, struct error *e)
{
    struct raft_configuration conf;
    raft_configuration_init(&conf);
    for (unsigned i = 1; i <= voters; i++) {
        char address[16];
        snprintf(address, sizeof address, "server-%u", i);
        assert_int_equal(raft_configuration_add(&conf, i, address, RAFT_VOTER), 0);
    }
    int rv = raft_bootstrap(&s->raft, &conf);
    raft_configuration_close(&conf);
    return rv == 0 ? 0 : error_set(e, raft_io_code(rv), "bootstrap: %s", raft_strerror(rv));
}

static int start(struct raft_server_case *s, unsigned voters, struct error *e)
{
    char address[16];
    snprintf(address, sizeof address, "server-%u", (unsigned)s->id);
    assert_int_equal(raft_init(&s->raft, &s->io, &s->fsm, s->id, address), 0);
    s->raft.data = s;
    raft_set_election_timeout(&s->raft, RAFT_WORLD_ELECTION_MS);
    raft_set_heartbeat_timeout(&s->raft, RAFT_WORLD_HEARTBEAT_MS);
    raft_set_snapshot_threshold(&s->raft, s->world->threshold);
    raft_set_snapshot_trailing(&s->raft, s->world->trailing);
    raft_set_pre_vote(&s->raft, true);
    int rc = voters > 0 ? bootstrap(s, voters, e) : 0;
    int rv = rc == 0 ? raft_start(&s->raft) : 0;
    if (rv != 0)
        rc = error_set(e, raft_io_code(rv), "start: %s", raft_errmsg(&s->raft));
    s->running = true;
    return rc;
}

int raft_world_open(struct raft_world *w, uint64_t id, unsigned voters, struct error *e)
{
    struct raft_server_case *s = raft_world_server(w, id);
    assert_false(s->running);
    struct raft_io_options options = {
        .loop = w->loop,
        .dir = s->dir,
        .election_timeout_ms = RAFT_WORLD_ELECTION_MS,
        .transport = {on_send, s},
        .snapshots = {on_persist, on_copy, s},
        .on_failed = on_failed,
        .on_reserve = on_reserve,
        .arg = s,
        .wal_io = &s->disk.io,
        .segment_bytes = 256 << 10,
    };
    s->fsm = (struct raft_fsm){
        .version = 1,
        .data = s,
        .apply = fsm_apply,
        .snapshot = fsm_snapshot,
        .restore = fsm_restore,
    };
    s->machine = (struct raft_machine){0};
    read_state(s);
    s->failures = 0;
    int rc = raft_io_open(&s->io, &options, e);
    return rc < 0 ? rc : start(s, voters, e);
}

void raft_world_start(struct raft_world *w, uint64_t id, unsigned voters)
{
    struct error e;
    if (raft_world_open(w, id, voters, &e) < 0)
        fail_msg("server %u: %s", (unsigned)id, e.text);
}

void raft_world_start_all(struct raft_world *w)
{
    for (uint64_t id = 1; id <= w->count; id++)
        raft_world_start(w, id, w->count);
}

static void begin_close(struct raft_server_case *s)
{
    if (!s->running || s->closing)
        return;
    s->closing = true;
    s->close_wanted = false;
    raft_close(&s->raft, on_closed);
}

void raft_world_stop(struct raft_world *w, uint64_t id)
{
    struct raft_server_case *s = raft_world_server(w, id);
    begin_close(s);
    raft_world_wait(w, !s->running);
}

void raft_world_wipe(struct raft_world *w, uint64_t id)
{
    struct raft_server_case *s = raft_world_server(w, id);
    assert_false(s->running);
    char *log = mem_printf("%s/log", s->dir);
    wal_fixture_remove(log);
    free(log);
    wal_fixture_remove(s->dir);
    assert_int_equal(mkdir(s->dir, 0700), 0);
}

void raft_world_turn(struct raft_world *w)
{
    loop_turn(w->loop);
    for (unsigned i = 0; i < w->count; i++)
        if (w->servers[i].close_wanted)
            begin_close(&w->servers[i]);
}

void raft_world_give_up(struct raft_world *w, const char *condition)
{
    static const char *const states[] = {"unavailable", "follower", "candidate", "leader"};
    for (unsigned i = 0; i < w->count; i++) {
        const struct raft_server_case *s = &w->servers[i];
        if (!s->running) {
            print_message("server %u: stopped\n", i + 1);
            continue;
        }
        print_message("server %u: %s, term %llu, log to %llu, stored %llu, commit %llu, applied "
                      "%llu, snapshot %llu%s\n",
                      i + 1, states[s->raft.state], s->raft.current_term,
                      raft_last_index((struct raft *)&s->raft), s->raft.last_stored,
                      s->raft.commit_index, s->raft.last_applied, s->raft.log.snapshot.last_index,
                      raft_io_is_silent(&s->io) ? ", silent" : "");
        if (s->raft.state == RAFT_LEADER)
            for (unsigned j = 0; j < s->raft.configuration.n; j++) {
                const struct raft_progress *p = &s->raft.leader_state.progress[j];
                print_message("  for server %llu: state %u, next %llu, match %llu, snapshot %llu\n",
                              s->raft.configuration.servers[j].id, p->state, p->next_index,
                              p->match_index, p->snapshot_index);
            }
    }
    print_message("%zu snapshot chunks were sent\n", w->chunks);
    fail_msg("waited in vain for %s", condition);
}

void raft_world_init(struct raft_world *w, unsigned count, uint64_t seed)
{
    *w = (struct raft_world){
        .loop = loop_new(),
        .count = count,
        .threshold = 1 << 20,
        .trailing = 64,
    };
    prng_init(&w->prng, seed);
    STAILQ_INIT(&w->parcels);
    loop_hook_init(&w->hook, w->loop, LOOP_PHASE_DEFER, on_deliver, w);
    for (unsigned i = 0; i < count; i++) {
        struct raft_server_case *s = &w->servers[i];
        s->world = w;
        s->id = i + 1;
        wal_disk_init(&s->disk, seed + i);
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(s->dir, sizeof s->dir, "%s/clusterd-raft-XXXXXX", base);
        assert_non_null(mkdtemp(s->dir));
    }
}

void raft_world_done(struct raft_world *w)
{
    for (uint64_t id = 1; id <= w->count; id++) {
        struct raft_server_case *s = raft_world_server(w, id);
        raft_world_stop(w, id);
        raft_world_wipe(w, id);
        rmdir(s->dir);
    }
    assert_int_equal(w->outstanding, 0);
    struct raft_parcel *parcel;
    while ((parcel = STAILQ_FIRST(&w->parcels)) != NULL) {
        STAILQ_REMOVE_HEAD(&w->parcels, entry);
        free(parcel);
    }
    loop_hook_disarm(&w->hook);
    loop_free(w->loop);
}

/* ---- what they do ------------------------------------------------------------------------------
 */

uint64_t raft_world_leader(struct raft_world *w)
{
    struct raft_server_case *leader = NULL;
    for (unsigned i = 0; i < w->count; i++) {
        struct raft_server_case *s = &w->servers[i];
        if (s->running && !s->closing && raft_state(&s->raft) == RAFT_LEADER &&
            (leader == NULL || s->raft.current_term > leader->raft.current_term))
            leader = s;
    }
    return leader != NULL ? leader->id : 0;
}

uint64_t raft_world_wait_leader(struct raft_world *w)
{
    raft_world_wait(w, raft_world_leader(w) != 0);
    return raft_world_leader(w);
}

struct apply_case {
    struct raft_apply apply;
    struct raft_world *world;
    uint64_t number;
};

static void on_applied(struct raft_apply *req, int status, void *result)
{
    struct apply_case *c = req->data;
    struct raft_world *w = c->world;
    (void)result;
    w->outstanding--;
    if (status == 0) {
        w->applied_ok++;
        if (c->number < RAFT_WORLD_TRACKED)
            w->acked[c->number / 8] |= (uint8_t)(1u << (c->number % 8));
    } else {
        w->applied_lost++;
        w->apply_status = status;
    }
    free(c);
}

void raft_world_apply(struct raft_world *w, unsigned count, size_t len)
{
    struct raft_server_case *s = raft_world_server(w, raft_world_leader(w));
    for (unsigned i = 0; i < count; i++) {
        struct raft_buffer buf = {.base = raft_malloc(len), .len = len};
        struct apply_case *c = mem_zalloc(sizeof *c);
        prng_bytes(&w->prng, buf.base, len);
        c->number = w->command++;
        memcpy(buf.base, &c->number, sizeof c->number);
        c->world = w;
        c->apply.data = c;
        if (raft_apply(&s->raft, &c->apply, &buf, 1, on_applied) != 0) {
            raft_free(buf.base);
            free(c);
            w->applied_lost++;
            continue;
        }
        w->outstanding++;
    }
}

void raft_world_apply_all(struct raft_world *w, unsigned count, size_t len)
{
    enum { AT_ONCE = 100 };
    unsigned target = w->applied_ok + count;
    while (w->applied_ok < target) {
        unsigned left = target - w->applied_ok;
        raft_world_wait_leader(w);
        raft_world_apply(w, left < AT_ONCE ? left : AT_ONCE, len);
        raft_world_wait(w, w->outstanding == 0);
    }
}

void raft_world_check_acked(const struct raft_world *w, const struct raft_server_case *s)
{
    for (size_t i = 0; i < sizeof w->acked; i++)
        if ((w->acked[i] & ~s->machine.seen[i]) != 0)
            fail_msg("server %u lacks one of the commands from %zu on, which was acknowledged",
                     (unsigned)s->id, i * 8);
}

bool raft_world_agrees(struct raft_world *w)
{
    uint64_t id = raft_world_leader(w);
    if (id == 0)
        return false;
    const struct raft_server_case *leader = raft_world_server(w, id);
    for (unsigned i = 0; i < w->count; i++) {
        const struct raft_server_case *s = &w->servers[i];
        if (!s->running)
            continue;
        if (s->raft.last_applied != leader->raft.last_applied ||
            s->machine.applied != leader->machine.applied)
            return false;
        assert_int_equal(s->machine.hash, leader->machine.hash);
        assert_int_equal(s->machine.count, leader->machine.count);
    }
    return true;
}
