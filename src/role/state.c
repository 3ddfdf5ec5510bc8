/* One libraft server over run/raft_io and run/state_db. libraft has no notice of a changed leader,
 * so a hook compares at the end of each turn that moved something. Order of one change: raft_apply
 * -> log on a majority -> fsm apply queues the batch -> state thread -> applied -> proposer. */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "role/state_internal.h"

static const struct log_about state_log = {.role = "metadata"};

static void state_on_raft_closed(struct raft *raft);

void state_wake(struct state *state)
{
    loop_hook_arm(&state->hook);
}

/* ---- the state machine as libraft sees it -------------------------------------------------------
 */

static int state_fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct state *state = fsm->data;
    *result = NULL;
    state->queued = state->raft.last_applied + 1;
    state_db_apply(state->db, state->queued, buf->base, buf->len);
    return 0;
}

/* Keeps about log_bytes_kept of log behind the snapshot for followers that lag a little. */
static void state_set_trailing(struct state *state)
{
    uint64_t bytes = raft_io_log_bytes(&state->io);
    uint64_t entries = state->raft.last_applied - raft_io_snapshot_index(&state->io);
    uint64_t entry_bytes = entries > 0 ? bytes / entries + 1 : 1;
    uint64_t trailing = state->options.log_bytes_kept / entry_bytes;
    if (trailing < STATE_TRAILING_MIN)
        trailing = STATE_TRAILING_MIN;
    if (trailing > STATE_SNAPSHOT_ENTRIES)
        trailing = STATE_SNAPSHOT_ENTRIES;
    raft_set_snapshot_trailing(&state->raft, (unsigned)trailing);
}

static int state_fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct state *state = fsm->data;
    if (raft_io_is_sending_snapshot(&state->io))
        return RAFT_BUSY;
    state_set_trailing(state);
    metric_series_add(metric_series(METRIC_SNAPSHOTS, "taken"), 1);
    return raft_io_snapshot_bufs(bufs, n_bufs);
}

static int state_fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct state *state = fsm->data;
    struct raft_io_descriptor descriptor;
    if (raft_io_descriptor_parse(buf, &descriptor) < 0)
        return RAFT_MALFORMED;
    raft_free(buf->base);
    if (descriptor.path[0] != '\0') {
        metric_series_add(metric_series(METRIC_SNAPSHOTS, "received"), 1);
        state_db_restore(state->db, descriptor.path);
    } else if (state_db_applied(state->db) < descriptor.index) {
        log_error(&state_log,
                  "the state file is older than the log that goes with it: "
                  "remove %s to have this node fetch the state from the others",
                  state->dir);
        return RAFT_CORRUPT;
    }
    state->queued = descriptor.index;
    state_db_skip(state->db, descriptor.index);
    return 0;
}

/* ---- snapshots: what raft_io asks of the state file ---------------------------------------------
 */

static void state_on_persisted(void *arg, int code, const char *text)
{
    struct raft_io_done *done = arg;
    if (code < 0)
        log_warn(&state_log, "snapshot of the state: %s", text);
    done->cb(done, code);
}

static void state_persist(void *arg, uint64_t index, struct raft_io_done *done)
{
    struct state *state = arg;
    state_db_skip(state->db, index);
    state_db_persist(state->db, state_on_persisted, done);
}

static void state_copy(void *arg, uint64_t index, const char *path, struct raft_io_done *done)
{
    struct state *state = arg;
    (void)index;
    state_db_copy(state->db, path, state_on_persisted, done);
}

/* ---- proposals ----------------------------------------------------------------------------------
 */

static void state_end_proposal(struct state_proposal *proposal, int code,
                               const struct state_result *results, size_t n)
{
    proposal->state->proposals--;
    metric_series_add(metric_series(METRIC_RAFT_PROPOSALS, code == 0 ? "ok" : err_name(code)), 1);
    proposal->done(proposal->arg, code, results, n);
    free(proposal);
}

static void state_refuse(struct state *state, struct state_proposal *proposal, int code)
{
    proposal->code = code;
    STAILQ_INSERT_TAIL(&state->refused, proposal, link);
    state_wake(state);
}

static void state_on_raft_applied(struct raft_apply *req, int status, void *result)
{
    struct state_proposal *proposal = req->data;
    (void)result;
    if (status != 0) {
        state_refuse(proposal->state, proposal, ERR_OUTCOME_UNKNOWN);
        return;
    }
    int64_t now_us = clock_mono_us();
    metric_observe(METRIC_RAFT_COMMIT, now_us - proposal->since_us);
    proposal->since_us = now_us;
    STAILQ_INSERT_TAIL(&proposal->state->committed, proposal, link);
}

void state_propose(struct state *state, const void *batch, size_t len, state_proposed_fn done,
                   void *arg)
{
    struct state_proposal *proposal = mem_zalloc(sizeof *proposal);
    proposal->state = state;
    proposal->done = done;
    proposal->arg = arg;
    proposal->apply.data = proposal;
    proposal->since_us = clock_mono_us();
    state->proposals++;
    assert(len > 0);
    if (state->failed || !state->active) {
        state_refuse(state, proposal, ERR_NOT_LEADER);
        return;
    }
    if (state_is_full(state) || state->proposals > STATE_PROPOSALS_MAX) {
        state_refuse(state, proposal, state_is_full(state) ? -ENOSPC : ERR_BUSY);
        return;
    }
    struct raft_buffer buf = {.base = raft_malloc(len), .len = len};
    if (buf.base == NULL)
        abort();
    memcpy(buf.base, batch, len);
    int status = raft_apply(&state->raft, &proposal->apply, &buf, 1, state_on_raft_applied);
    if (status != 0) {
        raft_free(buf.base);
        state_refuse(state, proposal,
                     status == RAFT_NOTLEADER ? ERR_NOT_LEADER : raft_io_code(status));
        return;
    }
    proposal->index = proposal->apply.index;
}

static void state_on_db_applied(void *arg, uint64_t index, const struct state_result *results,
                                size_t n)
{
    struct state *state = arg;
    state_wake(state);
    struct state_proposal *proposal = STAILQ_FIRST(&state->committed);
    if (proposal == NULL || proposal->index != index)
        return;
    STAILQ_REMOVE_HEAD(&state->committed, link);
    metric_observe_since(METRIC_RAFT_APPLY, proposal->since_us);
    state_end_proposal(proposal, 0, results, n);
}

/* ---- who leads ----------------------------------------------------------------------------------
 */

static void state_deactivate(struct state *state)
{
    state->barrier_index = 0;
    if (!state->active)
        return;
    state->active = false;
    state->callbacks.inactive(state->callbacks.arg);
}

static void state_on_barrier(struct raft_barrier *req, int status)
{
    struct state *state = req->data;
    state->barrier_sent = false;
    if (status != 0 || state->barrier_term != state->raft.current_term)
        return;
    state->barrier_index = req->index;
    state->queued = req->index;
    state_db_skip(state->db, req->index);
}

/* libraft tells nobody that it stands for election: terms in which it is found to, or leads. */
static void state_count_election(struct state *state, bool won)
{
    uint64_t term = state->raft.current_term;
    if (state->election_term < term)
        metric_series_add(metric_series(METRIC_ELECTIONS_STARTED, "cluster"), 1);
    state->election_term = term;
    if (won)
        metric_series_add(metric_series(METRIC_ELECTIONS_WON, "cluster"), 1);
}

static void state_announce_leader(struct state *state)
{
    raft_id leader = 0;
    const char *address = NULL;
    raft_leader(&state->raft, &leader, &address);
    uint64_t term = state->raft.current_term;
    if (raft_state(&state->raft) == RAFT_CANDIDATE)
        state_count_election(state, false);
    if (leader == state->leader_id && term == state->term)
        return;
    if (leader == state->options.id)
        state_count_election(state, true);
    state_deactivate(state);
    state->leader_id = leader;
    state->term = term;
    state->callbacks.leader(state->callbacks.arg, leader, term);
}

static void state_announce_candidate(struct state *state)
{
    const struct raft *raft = &state->raft;
    if (raft->state != RAFT_CANDIDATE) {
        state->candidate_term = 0;
        return;
    }
    bool pre_vote = raft->candidate_state.in_pre_vote;
    uint64_t term = raft->current_term + pre_vote;
    if (term == state->candidate_term && pre_vote == state->candidate_pre_vote)
        return;
    state->candidate_term = term;
    state->candidate_pre_vote = pre_vote;
    if (state->callbacks.candidate != NULL)
        state->callbacks.candidate(state->callbacks.arg, term, pre_vote);
}

/* A new leader first has everything before its own term applied, which one barrier shows. */
static void state_check_lead(struct state *state)
{
    if (raft_state(&state->raft) != RAFT_LEADER) {
        state_deactivate(state);
    } else if (state->barrier_index == 0 && !state->barrier_sent) {
        state->barrier_term = state->raft.current_term;
        state->barrier_sent = raft_barrier(&state->raft, &state->barrier, state_on_barrier) == 0;
    } else if (!state->active && state->barrier_index > 0 &&
               state_db_applied(state->db) >= state->barrier_index) {
        state->active = true;
        state->callbacks.active(state->callbacks.arg, state->term);
    }
}

static void state_tell_refused(struct state *state)
{
    struct state_proposals refused = STAILQ_HEAD_INITIALIZER(refused);
    STAILQ_CONCAT(&refused, &state->refused);
    struct state_proposal *proposal;
    while ((proposal = STAILQ_FIRST(&refused)) != NULL) {
        STAILQ_REMOVE_HEAD(&refused, link);
        state_end_proposal(proposal, proposal->code, NULL, 0);
    }
}

/* After a failure of log or state: out of the group, everything that waits is told. */
static void state_stop_failed(struct state *state)
{
    if (state->raft_closing)
        return;
    state->raft_closing = true;
    state_deactivate(state);
    state->leader_id = 0;
    log_error(&state_log, "this replica stops: %s", state->failure.text);
    raft_close(&state->raft, state_on_raft_closed);
    state->callbacks.failed(state->callbacks.arg, &state->failure);
}

/* With a full disk somebody else had better lead. */
static void state_give_up_lead(struct state *state)
{
    state->give_up_lead = false;
    state->transfer_done = NULL;
    state->transfer.data = state;
    if (state->raft.transfer == NULL &&
        raft_transfer(&state->raft, &state->transfer, 0, state_on_transferred) == 0)
        log_warn(&state_log, "handing the lead over because the disk is full");
}

static void state_check(struct state *state)
{
    if (state->failed && !state->closing)
        state_stop_failed(state);
    if (state->give_up_lead && state->active)
        state_give_up_lead(state);
    if (!state->closing && !state->failed) {
        state_announce_candidate(state);
        state_announce_leader(state);
        state_check_lead(state);
        raft_set_snapshot_threshold(&state->raft,
                                    raft_io_log_bytes(&state->io) > state->options.snapshot_bytes
                                        ? 1
                                        : STATE_SNAPSHOT_ENTRIES);
    }
    state_advance_reads(state);
    state_tell_refused(state);
    uint64_t applied = state_db_applied(state->db);
    if (applied != state->reported) {
        state->reported = applied;
        state->callbacks.applied(state->callbacks.arg, applied);
    }
}

static void state_on_hook(void *arg)
{
    state_check(arg);
}

static void state_on_timer(void *arg)
{
    struct state *state = arg;
    loop_timer_start(&state->timer, state->options.heartbeat_ms);
    state_wake(state);
}

/* ---- trouble with the disk ----------------------------------------------------------------------
 */

static void state_free(struct state *state)
{
    free(state->dir);
    free(state->address);
    free(state);
}

static void state_on_db_closed(void *arg)
{
    struct state *state = arg;
    void (*closed)(void *arg) = state->closed;
    void *closed_arg = state->closed_arg;
    loop_hook_disarm(&state->hook);
    loop_timer_stop(&state->timer);
    state_free(state);
    if (closed != NULL)
        closed(closed_arg);
}

static void state_close_db(struct state *state)
{
    state->active = false;
    state_advance_reads(state);
    state_tell_refused(state);
    state_db_close(state->db, state_on_db_closed, state);
}

void state_close(struct state *state, void (*closed)(void *arg), void *arg)
{
    assert(!state->closing);
    state_deactivate(state);
    state->closing = true;
    state->closed = closed;
    state->closed_arg = arg;
    if (state->raft_closed) {
        state_close_db(state);
    } else if (!state->raft_closing) {
        state->raft_closing = true;
        raft_close(&state->raft, state_on_raft_closed);
    }
}

static void state_on_raft_closed(struct raft *raft)
{
    struct state *state = raft->data;
    raft_io_done(&state->io);
    state->raft_closed = true;
    if (state->closing)
        state_close_db(state);
    else
        state_wake(state);
}

static void state_fail(struct state *state, const struct error *e)
{
    if (state->failed || state->closing)
        return;
    state->failed = true;
    state->failure = *e;
    state_wake(state);
}

static void state_on_log_failed(void *arg, const struct error *e)
{
    state_fail(arg, e);
}

static void state_on_db_failed(void *arg, const struct error *e)
{
    state_fail(arg, e);
}

static void state_set_full(struct state *state, bool *flag, bool full)
{
    bool was = state_is_full(state);
    *flag = full;
    if (state_is_full(state) == was)
        return;
    if (!was) {
        log_error(&state_log, "the disk is full: changes are refused until there is room");
        state->give_up_lead = state->active && state_voters(state) > 1;
    } else {
        log_info(&state_log, "there is room on the disk again");
    }
    state->callbacks.full(state->callbacks.arg, !was);
    state_wake(state);
}

static void state_on_reserve(void *arg, int code)
{
    struct state *state = arg;
    state_set_full(state, &state->reserve_lost, code < 0);
}

static void state_on_stalled(void *arg, int code)
{
    struct state *state = arg;
    state_set_full(state, &state->stalled, code < 0);
}

/* ---- life ---------------------------------------------------------------------------------------
 */

static int state_send(void *arg, uint64_t server_id, const Wire__RaftMessage *message)
{
    struct state *state = arg;
    if (message->kind_case == WIRE__RAFT_MESSAGE__KIND_REQUEST_VOTE)
        state_wake(state); /* an election began */
    return state->callbacks.send_raft(state->callbacks.arg, server_id, message);
}

void state_receive_raft(struct state *state, uint64_t from, const Wire__RaftMessage *message)
{
    if (state->failed || state->closing)
        return;
    state_wake(state);
    if (raft_io_receive(&state->io, from, message) < 0)
        log_warn(&state_log, "malformed Raft message from node %llu", (unsigned long long)from);
}

static int state_bootstrap(struct state *state, struct error *e)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    int status =
        raft_configuration_add(&configuration, state->options.id, state->address, RAFT_VOTER);
    if (status == 0)
        status = raft_bootstrap(&state->raft, &configuration);
    raft_configuration_close(&configuration);
    return status == 0 ? 0
                       : error_set(e, raft_io_code(status), "cannot found the cluster: %s",
                                   raft_errmsg(&state->raft));
}

static int state_start_raft(struct state *state, bool bootstrap, struct error *e)
{
    state->fsm = (struct raft_fsm){.version = 1,
                                   .data = state,
                                   .apply = state_fsm_apply,
                                   .snapshot = state_fsm_snapshot,
                                   .restore = state_fsm_restore};
    bool pristine = raft_io_is_pristine(&state->io);
    int status =
        raft_init(&state->raft, &state->io, &state->fsm, state->options.id, state->address);
    if (status != 0)
        return error_set(e, raft_io_code(status), "Raft: %s", raft_strerror(status));
    state->raft.data = state;
    state->barrier.data = state;
    state->change.data = state;
    raft_set_election_timeout(&state->raft, state->options.election_timeout_ms);
    raft_set_heartbeat_timeout(&state->raft, state->options.heartbeat_ms);
    raft_set_snapshot_threshold(&state->raft, STATE_SNAPSHOT_ENTRIES);
    raft_set_pre_vote(&state->raft, true);
    int err = bootstrap && pristine ? state_bootstrap(state, e) : 0;
    if (err == 0 && (status = raft_start(&state->raft)) != 0)
        err = error_set(e, raft_io_code(status), "Raft: %s", raft_errmsg(&state->raft));
    return err;
}

int state_open(struct state **out, const struct state_options *options,
               const struct state_callbacks *callbacks, bool bootstrap, struct error *e)
{
    struct state *state = mem_zalloc(sizeof *state);
    state->options = *options;
    state->callbacks = *callbacks;
    state->dir = mem_strdup(options->dir);
    state->address = mem_strdup(options->address);
    state->options.dir = state->dir;
    STAILQ_INIT(&state->committed);
    STAILQ_INIT(&state->refused);
    STAILQ_INIT(&state->reads_next);
    STAILQ_INIT(&state->reads_round);
    STAILQ_INIT(&state->reads_ready);
    struct raft_io_options io_options = {
        .loop = options->loop,
        .dir = state->dir,
        .election_timeout_ms = options->election_timeout_ms,
        .transport = {.send = state_send, .arg = state},
        .snapshots = {.persist = state_persist, .copy = state_copy, .arg = state},
        .on_failed = state_on_log_failed,
        .on_reserve = state_on_reserve,
        .arg = state,
    };
    struct state_db_callbacks db_callbacks = {.applied = state_on_db_applied,
                                              .stalled = state_on_stalled,
                                              .failed = state_on_db_failed,
                                              .arg = state};
    char *path = mem_printf("%s/state.db", options->dir);
    int err = state_db_open(&state->db, loop_uv(options->loop), path, &db_callbacks, e);
    free(path);
    if (err < 0) {
        state_free(state);
        return err;
    }
    loop_hook_init(&state->hook, options->loop, LOOP_PHASE_DEFER, state_on_hook, state);
    loop_timer_init(&state->timer, options->loop, state_on_timer, state);
    err = raft_io_open(&state->io, &io_options, e);
    if (err == 0 && raft_io_torn_bytes(&state->io) > 0)
        log_info(&state_log,
                 "%llu bytes at the end of the log were cut: a write that was interrupted",
                 (unsigned long long)raft_io_torn_bytes(&state->io));
    if (err == 0)
        err = state_start_raft(state, bootstrap, e);
    if (err < 0)
        return err; /* the daemon ends: nothing is worth undoing */
    loop_timer_start(&state->timer, options->heartbeat_ms);
    state_wake(state);
    state->reported = state_db_applied(state->db);
    *out = state;
    return 0;
}

bool state_is_full(const struct state *state)
{
    return state->reserve_lost || state->stalled;
}

bool state_is_active(const struct state *state)
{
    return state->active;
}

uint64_t state_leader(const struct state *state)
{
    return state->leader_id;
}

uint64_t state_term(const struct state *state)
{
    return state->term;
}

uint64_t state_applied(const struct state *state)
{
    return state_db_applied(state->db);
}

uint64_t state_commit(const struct state *state)
{
    return state->raft.commit_index;
}

uint64_t state_last_index(const struct state *state)
{
    return raft_last_index((struct raft *)(uintptr_t)&state->raft);
}

void state_get_stats(const struct state *state, struct state_stats *out)
{
    *out = (struct state_stats){
        .commit_index = state_commit(state),
        .applied_index = state_applied(state),
        .last_index = state_last_index(state),
        .snapshot_index = raft_io_snapshot_index(&state->io),
        .log_bytes = raft_io_log_bytes(&state->io),
        .proposals = state->proposals,
    };
}
