#include "run/raft_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/unit/generated.h"
#include "tests/unit/raft_world.h"

static uint64_t another(uint64_t id)
{
    return id % 3 + 1;
}

static void a_single_voter_leads_and_keeps_its_state_over_restarts(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 1, 1);
    raft_world_start(&w, 1, 1);
    struct raft_server_case *s = raft_world_server(&w, 1);
    for (int restart = 0; restart < 3; restart++) {
        raft_world_apply_all(&w, 200, 100);
        struct raft_machine before = s->machine;
        raft_term term = s->raft.current_term;
        raft_world_stop(&w, 1);
        raft_world_start(&w, 1, 0);
        raft_world_wait(&w, s->machine.count == before.count);
        assert_int_equal(s->machine.hash, before.hash);
        assert_int_equal(s->raft.current_term, term);
    }
    raft_world_done(&w);
}

static void three_servers_elect_a_leader_and_apply_ten_thousand_commands(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    raft_world_start_all(&w);
    raft_world_apply_all(&w, 10000, 128);
    raft_world_wait(&w, raft_world_agrees(&w));
    assert_true(raft_world_server(&w, 1)->machine.count >= 10000);
    raft_world_done(&w);
}

static void a_second_bootstrap_is_refused(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 1, 1);
    struct error e;
    raft_world_start(&w, 1, 1);
    raft_world_stop(&w, 1);
    assert_int_equal(raft_world_open(&w, 1, 1, &e), ERR_EXISTS);
    assert_false(raft_io_is_pristine(&raft_world_server(&w, 1)->io));
    raft_world_done(&w);
}

static void a_restart_finds_term_vote_and_entries(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    raft_world_start_all(&w);
    raft_world_apply_all(&w, 500, 50);
    raft_world_wait(&w, raft_world_agrees(&w));
    for (uint64_t id = 1; id <= 3; id++) {
        struct raft_server_case *s = raft_world_server(&w, id);
        raft_term term = s->raft.current_term;
        raft_id vote = s->raft.voted_for;
        raft_index last = raft_last_index(&s->raft);
        raft_world_stop(&w, id);
        raft_world_start(&w, id, 0);
        assert_true(s->raft.current_term > term || s->raft.voted_for == vote);
        assert_true(s->raft.current_term >= term);
        assert_true(raft_last_index(&s->raft) >= last);
    }
    raft_world_wait(&w, raft_world_agrees(&w));
    raft_world_apply_all(&w, 10, 50);
    raft_world_wait(&w, raft_world_agrees(&w));
    raft_world_done(&w);
}

static void a_server_that_was_away_catches_up_from_the_log(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    raft_world_start_all(&w);
    uint64_t away = another(raft_world_wait_leader(&w));
    raft_world_stop(&w, away);
    raft_world_apply_all(&w, 3000, 1000); /* more than one message holds */
    raft_world_start(&w, away, 0);
    raft_world_wait(&w, raft_world_agrees(&w));
    assert_int_equal(raft_world_server(&w, away)->restored, 0);
    assert_true(w.parcel_largest > RAFT_IO_MESSAGE_BYTES_MAX / 2);
    assert_true(w.parcel_largest < RAFT_IO_MESSAGE_BYTES_MAX + 1000);
    raft_world_done(&w);
}

static void entries_that_nobody_else_has_are_replaced(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    raft_world_start_all(&w);
    raft_world_apply_all(&w, 10, 50);
    uint64_t old = raft_world_wait_leader(&w);
    raft_world_isolate(&w, old, true);
    unsigned lost = w.applied_lost;
    raft_world_apply(&w, 20, 50);
    raft_world_wait(&w, w.outstanding == 0);
    assert_int_equal(w.applied_lost - lost, 20);
    assert_int_equal(raft_io_code(w.apply_status), ERR_OUTCOME_UNKNOWN);
    raft_world_wait(&w, raft_world_leader(&w) != 0 && raft_world_leader(&w) != old);
    raft_world_apply_all(&w, 5, 50);
    raft_world_isolate(&w, old, false);
    raft_world_wait(&w, raft_world_agrees(&w));
    raft_world_stop(&w, old); /* the truncated log is right on the disk too */
    raft_world_start(&w, old, 0);
    raft_world_wait(&w, raft_world_agrees(&w));
    raft_world_done(&w);
}

static void snapshots_bound_the_log(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    w.threshold = 500;
    raft_world_start_all(&w);
    for (int i = 0; i < 10; i++) {
        raft_world_apply_all(&w, 1000, 200);
        for (uint64_t id = 1; id <= 3; id++)
            raft_world_wait(&w, raft_io_log_bytes(&raft_world_server(&w, id)->io) < 1500 * 300);
    }
    raft_world_wait(&w, raft_world_agrees(&w));
    for (uint64_t id = 1; id <= 3; id++) {
        struct raft_server_case *s = raft_world_server(&w, id);
        assert_true(raft_io_snapshot_index(&s->io) > 8000);
        struct raft_machine before = s->machine;
        raft_world_stop(&w, id);
        raft_world_start(&w, id, 0);
        raft_world_wait(&w, raft_world_agrees(&w));
        assert_int_equal(s->machine.hash, before.hash);
    }
    raft_world_done(&w);
}

static void an_entry_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 1, 1);
    raft_world_start(&w, 1, 1);
    raft_world_apply(&w, 1, RAFT_IO_ENTRY_BYTES_MAX + 1);
    assert_int_equal(w.applied_lost, 1);
    raft_world_apply_all(&w, 1, RAFT_IO_ENTRY_BYTES_MAX);
    raft_world_done(&w);
}

static void lost_messages_delay_but_change_nothing(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 5);
    raft_world_start_all(&w);
    raft_world_wait_leader(&w);
    w.drop_percent = 10;
    unsigned before = w.applied_ok;
    while (w.applied_ok - before < 1000) {
        raft_world_wait_leader(&w);
        raft_world_apply(&w, 50, 100);
        raft_world_wait(&w, w.outstanding == 0);
    }
    w.drop_percent = 0;
    raft_world_wait(&w, raft_world_agrees(&w));
    raft_world_done(&w);
}

static unsigned count_writes_on_loop(struct raft_world *w)
{
    unsigned writes = 0;
    for (unsigned i = 0; i < w->count; i++)
        writes += wal_disk_writes_of_owner(&w->servers[i].disk);
    return writes;
}

static void the_loop_never_waits_for_the_disk(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    w.threshold = 100;
    raft_world_start_all(&w);
    unsigned before = count_writes_on_loop(&w); /* those of the opens */
    for (int round = 0; round < 3; round++) {
        raft_world_apply_all(&w, 500, 100);
        uint64_t old = raft_world_wait_leader(&w);
        raft_world_isolate(&w, old, true);
        raft_world_wait(&w, raft_world_leader(&w) != 0 && raft_world_leader(&w) != old);
        raft_world_isolate(&w, old, false);
        raft_world_wait(&w, raft_world_agrees(&w));
    }
    uint64_t old = raft_world_wait_leader(&w);
    struct raft_transfer transfer;
    if (raft_transfer(&raft_world_server(&w, old)->raft, &transfer, 0, NULL) == 0)
        raft_world_wait(&w, raft_world_leader(&w) != 0 && raft_world_leader(&w) != old);
    raft_world_apply_all(&w, 10, 100);
    assert_int_equal(count_writes_on_loop(&w), before);
    raft_world_done(&w);
}

/* ---- disks ------------------------------------------------------------------------------------
 */

static void a_leader_whose_disk_hangs_falls_silent_and_loses_the_lead(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    raft_world_start_all(&w);
    raft_world_apply_all(&w, 100, 50);
    uint64_t old = raft_world_wait_leader(&w);
    struct raft_server_case *s = raft_world_server(&w, old);
    wal_disk_fail(&s->disk, WAL_FAULT_HANG, 0, 0);
    raft_world_apply(&w, 10, 50);
    raft_world_wait(&w, raft_world_leader(&w) != 0 && raft_world_leader(&w) != old);
    assert_true(raft_io_is_silent(&s->io));
    raft_world_wait(&w, raft_state(&s->raft) != RAFT_LEADER);
    raft_world_apply_all(&w, 100, 50); /* the others go on */
    wal_disk_release(&s->disk);
    raft_world_wait(&w, w.outstanding == 0 && raft_world_agrees(&w));
    assert_false(raft_io_is_silent(&s->io));
    raft_world_done(&w);
}

static void a_leader_whose_disk_fails_is_replaced_and_its_applies_are_unknown(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    raft_world_start_all(&w);
    raft_world_apply_all(&w, 100, 50);
    uint64_t old = raft_world_wait_leader(&w);
    struct raft_server_case *s = raft_world_server(&w, old);
    wal_disk_fail(&s->disk, WAL_FAULT_POWER, 0, 0);
    unsigned lost = w.applied_lost;
    for (int i = 0; i < 5; i++)
        raft_world_apply(&w, 2, 50);
    raft_world_wait(&w, !s->running);
    assert_int_equal(s->failures, 1);
    assert_int_equal(s->failure.code, -EIO);
    assert_int_equal(w.outstanding, 0);
    assert_int_equal(w.applied_lost - lost, 10);
    assert_int_equal(raft_io_code(w.apply_status), ERR_OUTCOME_UNKNOWN);
    raft_world_wait(&w, raft_world_leader(&w) != 0);
    raft_world_apply_all(&w, 100, 50);
    wal_disk_fail(&s->disk, WAL_FAULT_NONE, 0, 0);
    raft_world_start(&w, old, 0);
    raft_world_wait(&w, raft_world_agrees(&w));
    raft_world_done(&w);
}

static void a_follower_whose_disk_fails_stops_and_the_others_go_on(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    raft_world_start_all(&w);
    raft_world_apply_all(&w, 100, 50);
    uint64_t victim = another(raft_world_wait_leader(&w));
    struct raft_server_case *s = raft_world_server(&w, victim);
    wal_disk_fail(&s->disk, WAL_FAULT_POWER, 0, 0);
    raft_world_apply_all(&w, 100, 50);
    raft_world_wait(&w, !s->running);
    assert_int_equal(s->failures, 1);
    wal_disk_fail(&s->disk, WAL_FAULT_NONE, 0, 0);
    raft_world_start(&w, victim, 0);
    raft_world_wait(&w, raft_world_agrees(&w));
    raft_world_done(&w);
}

static void a_candidate_answers_nobody_for_a_snapshot_that_it_followed(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    w.threshold = 100;
    w.trailing = 10;
    raft_world_start_all(&w);
    uint64_t victim = another(raft_world_wait_leader(&w));
    struct raft_server_case *s = raft_world_server(&w, victim);
    raft_world_isolate(&w, victim, true);
    raft_world_apply_all(&w, 1000, 50);
    wal_disk_fail(&s->disk, WAL_FAULT_HANG, 0, 0);
    raft_world_isolate(&w, victim, false);
    raft_world_wait(&w, s->raft.snapshot.put.data != NULL && wal_disk_is_hanging(&s->disk));
    raft_world_isolate(&w, victim, true);
    raft_world_wait(&w, raft_state(&s->raft) == RAFT_CANDIDATE);
    wal_disk_release(&s->disk); /* on_send checks whom libraft writes to */
    raft_world_wait(&w, s->raft.snapshot.put.data == NULL);
    raft_world_isolate(&w, victim, false);
    raft_world_wait(&w, raft_world_agrees(&w));
    raft_world_done(&w);
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 1, 1);
    raft_world_start(&w, 1, 1);
    struct raft_server_case *s = raft_world_server(&w, 1);
    raft_world_apply_all(&w, 10, 1000);
    wal_disk_fail(&s->disk, WAL_FAULT_SPACE, 0, 0);
    while (s->reserve == 0 && s->failures == 0) {
        raft_world_apply(&w, 10, 1000);
        raft_world_wait(&w, w.outstanding == 0);
    }
    assert_int_equal(s->reserve, -ENOSPC);
    assert_int_equal(s->failures, 0);
    wal_disk_fail(&s->disk, WAL_FAULT_NONE, 0, 0);
    raft_world_wait(&w, s->reserve == 0);
    raft_world_done(&w);
}

/* More than its two segments take; the others store it. */
static void fill_server(struct raft_world *w, struct raft_server_case *s)
{
    wal_disk_fail(&s->disk, WAL_FAULT_SPACE, 0, 0);
    for (int i = 0; i < 40; i++)
        raft_world_apply_all(w, 1, 20000);
    raft_world_wait(w, raft_io_is_full(&s->io));
    assert_int_equal(s->reserve, -ENOSPC);
}

static void a_follower_whose_disk_is_full_follows_without_storing(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    raft_world_start_all(&w);
    raft_world_apply_all(&w, 10, 50);
    uint64_t leader = raft_world_wait_leader(&w);
    struct raft_server_case *s = raft_world_server(&w, another(leader));
    fill_server(&w, s);
    uint64_t stored = s->machine.count;
    raft_term term = s->raft.current_term;
    int64_t until = loop_now_ms(w.loop) + 6 * RAFT_WORLD_ELECTION_MS;
    while (loop_now_ms(w.loop) < until) {
        raft_world_turn(&w);
        assert_int_equal(s->raft.state, RAFT_FOLLOWER); /* it stands for no election */
        assert_false(raft_io_is_silent(&s->io));
    }
    assert_int_equal(s->failures, 0);
    assert_int_equal(s->machine.count, stored);
    if (s->raft.current_term == term) /* the others had no reason to elect, if they were not slow */
        assert_int_equal(s->raft.follower_state.current_leader.id, leader);
    wal_disk_fail(&s->disk, WAL_FAULT_NONE, 0, 0);
    raft_world_wait(&w, raft_world_agrees(&w) && s->reserve == 0);
    assert_int_equal(s->failures, 0);
    raft_world_done(&w);
}

static void a_leader_whose_disk_is_full_loses_the_lead_and_comes_back(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    raft_world_start_all(&w);
    raft_world_apply_all(&w, 10, 50);
    uint64_t old = raft_world_wait_leader(&w);
    struct raft_server_case *s = raft_world_server(&w, old);
    wal_disk_fail(&s->disk, WAL_FAULT_SPACE, 0, 0);
    while (raft_world_leader(&w) == old) {
        raft_world_apply(&w, 1, 20000);
        raft_world_wait(&w, w.outstanding < 20 || raft_world_leader(&w) != old);
    }
    raft_world_wait(&w, raft_world_leader(&w) != 0);
    assert_int_not_equal(raft_world_leader(&w), old);
    raft_world_apply_all(&w, 10, 50);
    assert_int_equal(s->failures, 0);
    wal_disk_fail(&s->disk, WAL_FAULT_NONE, 0, 0);
    raft_world_wait(&w, w.outstanding == 0 && raft_world_agrees(&w));
    assert_int_equal(s->failures, 0);
    raft_world_done(&w);
}

/* ---- what is refused ---------------------------------------------------------------------------
 */

static void malformed_messages_are_refused(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 3, 1);
    raft_world_start(&w, 1, 3);
    struct raft_io *io = &raft_world_server(&w, 1)->io;
    Wire__RaftMessage m;
    wire__raft_message__init(&m);
    assert_int_equal(raft_io_receive(io, 2, &m), ERR_PROTOCOL);
    Wire__RaftRequestVote vote;
    wire__raft_request_vote__init(&vote);
    m.kind_case = WIRE__RAFT_MESSAGE__KIND_REQUEST_VOTE;
    m.request_vote = &vote;
    assert_int_equal(raft_io_receive(io, 2, &m), ERR_PROTOCOL); /* term 0 */
    Wire__RaftEntry entry;
    wire__raft_entry__init(&entry);
    Wire__RaftEntry *entries[] = {&entry};
    Wire__RaftAppendEntries append;
    wire__raft_append_entries__init(&append);
    append.term = 5;
    append.n_entries = 1;
    append.entries = entries;
    m.kind_case = WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES;
    m.append_entries = &append;
    assert_int_equal(raft_io_receive(io, 2, &m), ERR_PROTOCOL); /* an entry of no type */
    uint8_t configuration[] = {1, 255, 255, 255, 255, 0, 0, 0, 0, 1, 2, 3};
    entry.term = 5;
    entry.type = WIRE__RAFT_ENTRY_TYPE__RAFT_ENTRY_CHANGE;
    entry.data.data = configuration;
    entry.data.len = sizeof configuration;
    assert_int_equal(raft_io_receive(io, 2, &m), ERR_PROTOCOL);
    Wire__SnapshotBegin begin;
    wire__snapshot_begin__init(&begin);
    begin.term = 5;
    m.kind_case = WIRE__RAFT_MESSAGE__KIND_SNAPSHOT_BEGIN;
    m.snapshot_begin = &begin;
    assert_int_equal(raft_io_receive(io, 2, &m), ERR_PROTOCOL);
    assert_int_equal(raft_io_receive(io, 0, &m), ERR_PROTOCOL);
    assert_int_equal(raft_world_server(&w, 1)->raft.current_term, 1);
    raft_world_done(&w);
}

static void a_damaged_snapshot_record_is_refused(void **state)
{
    (void)state;
    struct raft_world w;
    raft_world_init(&w, 1, 1);
    w.threshold = 50;
    raft_world_start(&w, 1, 1);
    raft_world_apply_all(&w, 200, 50);
    struct raft_server_case *s = raft_world_server(&w, 1);
    raft_world_wait(&w, raft_io_snapshot_index(&s->io) > 0);
    raft_world_stop(&w, 1);
    char *path = mem_printf("%s/snapshot", s->dir);
    uint8_t *data;
    size_t len;
    wal_fixture_read(path, &data, &len);
    data[len / 2] ^= 1;
    wal_fixture_poke(path, 0, data, len);
    struct error e;
    assert_int_equal(raft_world_open(&w, 1, 0, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, path));
    free(data);
    free(path);
    raft_world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_voter_leads_and_keeps_its_state_over_restarts),
        cmocka_unit_test(three_servers_elect_a_leader_and_apply_ten_thousand_commands),
        cmocka_unit_test(a_second_bootstrap_is_refused),
        cmocka_unit_test(a_restart_finds_term_vote_and_entries),
        cmocka_unit_test(a_server_that_was_away_catches_up_from_the_log),
        cmocka_unit_test(entries_that_nobody_else_has_are_replaced),
        cmocka_unit_test(snapshots_bound_the_log),
        cmocka_unit_test(an_entry_over_the_limit_is_refused),
        cmocka_unit_test(lost_messages_delay_but_change_nothing),
        cmocka_unit_test(the_loop_never_waits_for_the_disk),
        cmocka_unit_test(a_leader_whose_disk_hangs_falls_silent_and_loses_the_lead),
        cmocka_unit_test(a_leader_whose_disk_fails_is_replaced_and_its_applies_are_unknown),
        cmocka_unit_test(a_follower_whose_disk_fails_stops_and_the_others_go_on),
        cmocka_unit_test(a_candidate_answers_nobody_for_a_snapshot_that_it_followed),
        cmocka_unit_test(a_full_disk_is_told),
        cmocka_unit_test(a_follower_whose_disk_is_full_follows_without_storing),
        cmocka_unit_test(a_leader_whose_disk_is_full_loses_the_lead_and_comes_back),
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(a_damaged_snapshot_record_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
