#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/raft_io.h"
#include "tests/unit/generated.h"
#include "tests/unit/raft_world.h"

enum { CHUNKS = 12, WINDOW_CHUNKS = 4 };

/* Servers 1 to 3, of which `*away` was stopped and wiped; its log starts behind a snapshot. */
static void make_world(struct raft_world *w, uint64_t *away)
{
    raft_world_init(w, 3, 1);
    w->threshold = 200;
    w->trailing = 20;
    w->state_bytes = (CHUNKS - 1) * RAFT_IO_CHUNK_BYTES + 1000;
    raft_world_start_all(w);
    raft_world_apply_all(w, 1000, 100);
    *away = raft_world_wait_leader(w) % 3 + 1;
    raft_world_stop(w, *away);
    raft_world_wipe(w, *away);
    raft_world_apply_all(w, 300, 100);
    w->threshold = 1 << 20; /* for the servers that start from here on */
}

/* Number of files in the server's directory whose name has `part` in it. */
static unsigned count_files(const struct raft_server_case *s, const char *part,
                            char path[WAL_FIXTURE_PATH_MAX])
{
    DIR *dir = opendir(s->dir);
    struct dirent *file;
    unsigned count = 0;
    while ((file = readdir(dir)) != NULL)
        if (strstr(file->d_name, part) != NULL) {
            count++;
            if (path != NULL)
                assert_true(snprintf(path, WAL_FIXTURE_PATH_MAX, "%s/%s", s->dir, file->d_name) <
                            WAL_FIXTURE_PATH_MAX);
        }
    closedir(dir);
    return count;
}

static void a_wiped_server_catches_up_from_a_snapshot(void **state)
{
    (void)state;
    struct raft_world w;
    uint64_t away;
    make_world(&w, &away);
    struct raft_server_case *s = raft_world_server(&w, away);
    raft_world_start(&w, away, 0);
    raft_world_wait(&w, raft_world_agrees(&w));
    assert_true(s->restored >= 1);
    assert_true(w.chunks >= CHUNKS);
    raft_world_stop(&w, away);
    raft_world_start(&w, away, 0);
    raft_world_wait(&w, raft_world_agrees(&w));
    raft_world_apply_all(&w, 50, 100);
    raft_world_wait(&w, raft_world_agrees(&w));
    assert_int_equal(count_files(s, "incoming", NULL), 0);
    raft_world_done(&w);
}

static void several_receivers_share_one_copy(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 5, 1);
    w.threshold = 100;
    w.trailing = 10;
    w.state_bytes = CHUNKS * RAFT_IO_CHUNK_BYTES;
    raft_world_start_all(&w);
    raft_world_apply_all(&w, 500, 100);
    uint64_t leader = raft_world_wait_leader(&w);
    uint64_t first = leader % 5 + 1;
    uint64_t second = first % 5 + 1;
    raft_world_stop(&w, first);
    raft_world_stop(&w, second);
    raft_world_wipe(&w, first);
    raft_world_wipe(&w, second);
    raft_world_start(&w, first, 0);
    raft_world_start(&w, second, 0);
    raft_world_wait(&w, raft_world_agrees(&w));
    assert_true(raft_world_server(&w, first)->restored >= 1);
    assert_true(raft_world_server(&w, second)->restored >= 1);
    if (raft_world_leader(&w) == leader)
        assert_int_equal(raft_world_server(&w, leader)->copies, 1);
    raft_world_done(&w);
}

static void a_transfer_goes_on_where_a_broken_link_left_it(void **state)
{
    (void)state;
    struct raft_world w;
    uint64_t away;
    make_world(&w, &away);
    w.chunks_max = CHUNKS / 2;
    raft_world_start(&w, away, 0);
    raft_world_wait(&w, w.chunks > w.chunks_max);
    raft_world_apply_all(&w, 100, 100); /* nothing else waits for it */
    raft_world_isolate(&w, away, true);
    raft_world_apply_all(&w, 100, 100);
    raft_world_isolate(&w, away, false);
    w.chunks_max = 0;
    raft_world_wait(&w, raft_world_agrees(&w));
    assert_true(raft_world_server(&w, away)->restored >= 1);
    assert_true(w.chunks < 2 * CHUNKS + 3 * WINDOW_CHUNKS);
    raft_world_done(&w);
}

static void a_receiver_that_restarts_gets_all_of_it_anew(void **state)
{
    (void)state;
    struct raft_world w;
    uint64_t away;
    make_world(&w, &away);
    w.chunks_max = CHUNKS / 2;
    raft_world_start(&w, away, 0);
    raft_world_wait(&w, w.chunks > w.chunks_max);
    raft_world_stop(&w, away);
    w.chunks_max = 0;
    raft_world_start(&w, away, 0);
    raft_world_wait(&w, raft_world_agrees(&w));
    assert_true(raft_world_server(&w, away)->restored >= 1);
    assert_int_equal(count_files(raft_world_server(&w, away), ".part", NULL), 0);
    raft_world_done(&w);
}

static void another_leader_sends_its_own_when_the_sender_is_lost(void **state)
{
    (void)state;
    struct raft_world w;
    uint64_t away;
    make_world(&w, &away);
    w.chunks_max = CHUNKS / 2;
    raft_world_start(&w, away, 0);
    raft_world_wait(&w, w.chunks > w.chunks_max);
    uint64_t old = raft_world_wait_leader(&w);
    struct raft_server_case *s = raft_world_server(&w, old);
    raft_world_isolate(&w, old, true);
    w.chunks_max = 0;
    /* The wiped one has no configuration and no vote until it has the snapshot: only the old leader
     * can give it to it. */
    raft_world_wait(&w, raft_state(&s->raft) != RAFT_LEADER);
    raft_world_wait(&w, !raft_io_is_sending_snapshot(&s->io));
    raft_world_isolate(&w, old, false);
    raft_world_wait(&w, raft_world_agrees(&w));
    assert_true(raft_world_server(&w, away)->restored >= 1);
    raft_world_done(&w);
}

static void a_damaged_chunk_is_sent_again(void **state)
{
    (void)state;
    struct raft_world w;
    uint64_t away;
    make_world(&w, &away);
    w.chunk_damaged = w.chunks + 5;
    raft_world_start(&w, away, 0);
    raft_world_wait(&w, raft_world_agrees(&w));
    assert_int_equal(raft_world_server(&w, away)->restored, 1);
    assert_true(w.chunks > CHUNKS);
    raft_world_done(&w);
}

static void a_file_that_was_damaged_on_the_disk_is_not_installed(void **state)
{
    (void)state;
    struct raft_world w;
    uint64_t away;
    make_world(&w, &away);
    w.chunks_max = CHUNKS / 2;
    struct raft_server_case *s = raft_world_server(&w, away);
    raft_world_start(&w, away, 0);
    char path[WAL_FIXTURE_PATH_MAX];
    struct stat st = {0};
    raft_world_wait(&w, count_files(s, ".part", path) == 1 && stat(path, &st) == 0 &&
                            st.st_size >= 2 * RAFT_IO_CHUNK_BYTES);
    wal_fixture_poke(path, RAFT_IO_CHUNK_BYTES, "damage", 6);
    w.chunks_max = 0;
    raft_world_wait(&w, raft_world_agrees(&w)); /* the state machine checks its content */
    assert_int_equal(s->restored, 1);
    assert_true(w.chunks >= 2 * CHUNKS);
    raft_world_done(&w);
}

static void an_install_that_a_crash_cut_off_is_finished_at_the_start(void **state)
{
    (void)state;
    struct raft_world w;
    uint64_t away;
    make_world(&w, &away);
    struct raft_server_case *s = raft_world_server(&w, away);
    raft_world_start(&w, away, 0);
    /* The term comes first, with two writes; the next write is the reset of the log. */
    raft_world_wait(&w, s->raft.current_term > 0 && s->disk.writes > 0 &&
                            count_files(s, "incoming", NULL) > 0);
    wal_disk_fail(&s->disk, WAL_FAULT_POWER, 0, 0);
    raft_world_wait(&w, !s->running);
    assert_int_equal(s->failure.code, -EIO);
    wal_disk_fail(&s->disk, WAL_FAULT_NONE, 0, 0);
    size_t chunks = w.chunks;
    assert_int_equal(s->restored, 0);
    raft_world_start(&w, away, 0);
    assert_int_equal(s->restored, 1);
    raft_world_wait(&w, raft_world_agrees(&w));
    assert_int_equal(w.chunks, chunks);
    raft_world_done(&w);
}

static void a_snapshot_that_cannot_be_stored_is_tried_again_later(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 1, 1);
    w.threshold = 100;
    w.persist_code = -ENOSPC;
    raft_world_start(&w, 1, 1);
    struct raft_server_case *s = raft_world_server(&w, 1);
    raft_world_apply_all(&w, 1000, 100);
    assert_int_equal(s->persisted, 1); /* not for each entry */
    assert_int_equal(raft_io_snapshot_index(&s->io), 0);
    w.persist_code = 0;
    while (raft_io_snapshot_index(&s->io) == 0) {
        raft_world_apply(&w, 1, 100);
        raft_world_wait(&w, w.outstanding == 0);
        raft_world_turn(&w);
    }
    assert_int_equal(s->failures, 0);
    raft_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wiped_server_catches_up_from_a_snapshot),
        cmocka_unit_test(several_receivers_share_one_copy),
        cmocka_unit_test(a_transfer_goes_on_where_a_broken_link_left_it),
        cmocka_unit_test(a_receiver_that_restarts_gets_all_of_it_anew),
        cmocka_unit_test(another_leader_sends_its_own_when_the_sender_is_lost),
        cmocka_unit_test(a_damaged_chunk_is_sent_again),
        cmocka_unit_test(a_file_that_was_damaged_on_the_disk_is_not_installed),
        cmocka_unit_test(an_install_that_a_crash_cut_off_is_finished_at_the_start),
        cmocka_unit_test(a_snapshot_that_cannot_be_stored_is_tried_again_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
