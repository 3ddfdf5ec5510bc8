/* Reads of the replicated state and the rounds that confirm the lead for them.
 *
 * Happy path: a linearisable read notes the commit index, waits for a round in which a majority
 * says that the term is still this leader's, then for its own state to be that far. All reads that
 * began before a round share it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "role/state_internal.h"

unsigned state_voters(const struct state *state)
{
    unsigned n = 0;
    for (unsigned i = 0; i < state->raft.configuration.n; i++)
        n += state->raft.configuration.servers[i].role == RAFT_VOTER;
    return n;
}

static bool state_is_voter(const struct state *state, uint64_t id)
{
    for (unsigned i = 0; i < state->raft.configuration.n; i++)
        if (state->raft.configuration.servers[i].id == id)
            return state->raft.configuration.servers[i].role == RAFT_VOTER;
    return false;
}

static void state_fail_reads(struct state *state, struct state_readings *reads)
{
    struct state_reading *reading;
    while ((reading = STAILQ_FIRST(reads)) != NULL) {
        STAILQ_REMOVE_HEAD(reads, link);
        reading->answer(reading->arg, state->closing ? ERR_CLOSED : ERR_NOT_LEADER);
        free(reading);
    }
}

/* Hands reads to the state's readers when libraft has applied what they must see. */
static void state_start_ready_reads(struct state *state)
{
    struct state_reading *reading;
    while ((reading = STAILQ_FIRST(&state->reads_ready)) != NULL &&
           state->raft.last_applied >= reading->commit) {
        STAILQ_REMOVE_HEAD(&state->reads_ready, link);
        /* What was acknowledged is applied here already, so nobody waits for a full disk. */
        state_db_read(state->db, state_db_applied(state->db), reading->query, reading->answer,
                      reading->arg);
        free(reading);
    }
}

static void state_finish_round(struct state *state)
{
    state->round_open = false;
    STAILQ_CONCAT(&state->reads_ready, &state->reads_round);
    state_start_ready_reads(state);
}

static void state_ask_round(struct state *state)
{
    Wire__ReadConfirm message = WIRE__READ_CONFIRM__INIT;
    message.call = state->round;
    message.term = state->raft.current_term;
    for (unsigned i = 0; i < state->raft.configuration.n; i++) {
        const struct raft_server *server = &state->raft.configuration.servers[i];
        if (server->role == RAFT_VOTER && server->id != state->options.id)
            (void)state->callbacks.send_confirm(state->callbacks.arg, server->id, &message);
    }
    state->round_started_ms = loop_now_ms(state->options.loop);
}

static void state_start_round(struct state *state)
{
    assert(!state->round_open && STAILQ_EMPTY(&state->reads_round));
    STAILQ_CONCAT(&state->reads_round, &state->reads_next);
    state->round++;
    state->round_votes = state_is_voter(state, state->options.id) ? 1 : 0;
    memset(state->round_heard, 0, sizeof state->round_heard);
    state->round_open = true;
    if (state->round_votes > state_voters(state) / 2)
        state_finish_round(state);
    else
        state_ask_round(state);
}

void state_receive_confirm(struct state *state, const Wire__ReadConfirm *message,
                           Wire__ReadConfirmReply *reply)
{
    reply->call = message->call;
    reply->term = state->raft.current_term;
    reply->ok = message->term == state->raft.current_term && !raft_io_is_silent(&state->io);
}

void state_receive_confirm_reply(struct state *state, uint64_t from,
                                 const Wire__ReadConfirmReply *message)
{
    if (!state->round_open || message->call != state->round || !message->ok ||
        message->term != state->raft.current_term || !state_is_voter(state, from))
        return;
    for (unsigned i = 0; i < STATE_MEMBERS_MAX && state->round_heard[i] != from; i++)
        if (state->round_heard[i] == 0) {
            state->round_heard[i] = from;
            state->round_votes++;
            break;
        }
    if (state->round_votes > state_voters(state) / 2)
        state_finish_round(state);
}

void state_read(struct state *state, enum state_consistency consistency, state_db_query_fn query,
                state_db_answer_fn answer, void *arg)
{
    if (consistency == STATE_STALE) {
        state_db_read(state->db, 0, query, answer, arg);
        return;
    }
    struct state_reading *reading = mem_zalloc(sizeof *reading);
    reading->consistency = consistency;
    reading->query = query;
    reading->answer = answer;
    reading->arg = arg;
    reading->commit = state->raft.commit_index;
    if (consistency == STATE_WEAK && state->active)
        STAILQ_INSERT_TAIL(&state->reads_ready, reading, link);
    else
        STAILQ_INSERT_TAIL(&state->reads_next, reading, link);
    state_wake(state);
}

void state_advance_reads(struct state *state)
{
    if (!state->active) {
        state->round_open = false;
        state_fail_reads(state, &state->reads_next);
        state_fail_reads(state, &state->reads_round);
        state_fail_reads(state, &state->reads_ready);
        return;
    }
    if (!state->round_open && !STAILQ_EMPTY(&state->reads_next))
        state_start_round(state);
    else if (state->round_open && loop_now_ms(state->options.loop) - state->round_started_ms >
                                      state->options.heartbeat_ms)
        state_ask_round(state); /* a question or its answer was lost */
    state_start_ready_reads(state);
}
