#include "run/raft_term.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "run/raft_load.h"
#include "run/raft_message.h"
#include "run/raft_transfer.h"

struct raft_held {
    STAILQ_ENTRY(raft_held) entry;
    uint64_t from;
    Wire__RaftMessage *message;
};

/* A term and, unless 0, a vote in it. */
struct need {
    uint64_t term;
    uint64_t vote;
};

static bool is_met(const struct raft_node *node, const struct need *need)
{
    return node->term == need->term && (need->vote == 0 || node->vote == need->vote);
}

/* ---- what libraft will ask for ------------------------------------------------------------------
 */

static struct need needed_for_term(const struct raft *raft, uint64_t term)
{
    return (struct need){term > raft->current_term ? term : 0, 0};
}

static struct need needed_for_vote(const struct raft *raft, const Wire__RaftRequestVote *m)
{
    bool has_leader = raft->state == RAFT_LEADER ||
                      (raft->state == RAFT_FOLLOWER && raft->follower_state.current_leader.id != 0);
    if (m->pre_vote || (has_leader && !m->disrupt_leader) || m->term < raft->current_term)
        return (struct need){0};
    /* A vote already given in this term stays as it is. */
    if (m->term == raft->current_term && raft->voted_for != 0)
        return (struct need){0};
    return (struct need){m->term, m->candidate_id};
}

static struct need needed_for_vote_result(const struct raft *raft,
                                          const Wire__RaftRequestVoteResult *m)
{
    if (raft->state != RAFT_CANDIDATE)
        return (struct need){0};
    if (!raft->candidate_state.in_pre_vote)
        return needed_for_term(raft, m->term);
    if (m->term > raft->current_term + 1)
        return (struct need){m->term, 0};
    bool may_win = m->vote_granted && m->pre_vote == WIRE__RAFT_PRE_VOTE__RAFT_PRE_VOTE_YES;
    return may_win ? (struct need){raft->current_term + 1, raft->id} : (struct need){0};
}

static struct need needed_for_timeout_now(const struct raft *raft, uint64_t from,
                                          const Wire__RaftTimeoutNow *m)
{
    if (raft->state != RAFT_FOLLOWER || raft->follower_state.current_leader.id != from ||
        m->term < raft->current_term)
        return (struct need){0};
    return (struct need){m->term + 1, raft->id};
}

static struct need needed_for(const struct raft *raft, uint64_t from,
                              const Wire__RaftMessage *message)
{
    switch (message->kind_case) {
    case WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES:
        return needed_for_term(raft, message->append_entries->term);
    case WIRE__RAFT_MESSAGE__KIND_APPEND_ENTRIES_RESULT:
        if (raft->state != RAFT_LEADER)
            return (struct need){0};
        return needed_for_term(raft, message->append_entries_result->term);
    case WIRE__RAFT_MESSAGE__KIND_REQUEST_VOTE:
        return needed_for_vote(raft, message->request_vote);
    case WIRE__RAFT_MESSAGE__KIND_REQUEST_VOTE_RESULT:
        return needed_for_vote_result(raft, message->request_vote_result);
    case WIRE__RAFT_MESSAGE__KIND_TIMEOUT_NOW:
        return needed_for_timeout_now(raft, from, message->timeout_now);
    default:
        return (struct need){0};
    }
}

/* ---- storing ----------------------------------------------------------------------------------
 */

static void free_held(struct raft_held *held)
{
    wire__raft_message__free_unpacked(held->message, NULL);
    free(held);
}

static void store(void *arg)
{
    struct raft_node *node = arg;
    struct raft_storing *s = &node->storing;
    s->code = raft_load_write_meta(node->meta, s->term, s->vote, &s->error);
}

static void deliver_held(struct raft_node *node)
{
    struct raft_storing *s = &node->storing;
    while (!s->busy && !node->closing && !STAILQ_EMPTY(&s->held)) {
        struct raft_held *held = STAILQ_FIRST(&s->held);
        STAILQ_REMOVE_HEAD(&s->held, entry);
        s->held_count--;
        if (!raft_node_is_silent(node))
            raft_message_deliver(node, held->from, held->message);
        free_held(held);
    }
}

static void on_stored(void *arg, int code)
{
    struct raft_node *node = arg;
    struct raft_storing *s = &node->storing;
    s->busy = false;
    if (code == 0 && s->code == 0) {
        node->term = s->term;
        node->vote = s->vote;
        deliver_held(node);
        raft_download_wake(node);
    } else if (code == 0) {
        raft_node_fail(node, &s->error);
    }
    raft_node_release(node);
}

static void start(struct raft_node *node, const struct need *need)
{
    struct raft_storing *s = &node->storing;
    assert(!s->busy);
    s->busy = true;
    s->term = need->term;
    s->vote = need->vote;
    s->since_ms = loop_now_ms(node->options.loop);
    raft_node_hold(node);
    (void)loop_work(node->options.loop, store, on_stored, node);
}

static Wire__RaftMessage *copy_message(const Wire__RaftMessage *message)
{
    size_t len = wire__raft_message__get_packed_size(message);
    uint8_t *data = mem_alloc(len + 1);
    wire__raft_message__pack(message, data);
    Wire__RaftMessage *copy = wire__raft_message__unpack(NULL, len, data);
    free(data);
    return copy;
}

bool raft_term_hold(struct raft_node *node, uint64_t from, const Wire__RaftMessage *message)
{
    struct raft_storing *s = &node->storing;
    if (!s->busy) {
        struct need need = needed_for(raft_node_raft(node), from, message);
        if (need.term == 0 || is_met(node, &need))
            return false;
        start(node, &need);
    }
    if (s->held_count < RAFT_TERM_HELD_MAX) {
        struct raft_held *held = mem_zalloc(sizeof *held);
        held->from = from;
        held->message = copy_message(message);
        STAILQ_INSERT_TAIL(&s->held, held, entry);
        s->held_count++;
    }
    return true;
}

/* A candidate whose election ran out begins the next one at a tick. */
bool raft_term_hold_tick(struct raft_node *node)
{
    const struct raft *raft = raft_node_raft(node);
    if (node->storing.busy)
        return true;
    if (raft->state != RAFT_CANDIDATE || raft->candidate_state.in_pre_vote ||
        raft->io->time(node->io) - raft->election_timer_start <
            raft->candidate_state.randomized_election_timeout)
        return false;
    struct need need = {raft->current_term + 1, raft->id};
    if (is_met(node, &need))
        return false;
    start(node, &need);
    return true;
}

uint64_t raft_term_wait_ms(const struct raft_node *node)
{
    const struct raft_storing *s = &node->storing;
    return s->busy ? (uint64_t)(loop_now_ms(node->options.loop) - s->since_ms) : 0;
}

/* ---- libraft's calls ----------------------------------------------------------------------------
 */

int raft_term_set(struct raft_io *io, raft_term term)
{
    struct raft_node *node = raft_node_of(io);
    return node->term == term ? 0 : raft_load_store_meta(node, term, 0);
}

int raft_term_set_vote(struct raft_io *io, raft_id server_id)
{
    struct raft_node *node = raft_node_of(io);
    return node->vote == server_id ? 0 : raft_load_store_meta(node, node->term, server_id);
}

void raft_term_init(struct raft_node *node)
{
    STAILQ_INIT(&node->storing.held);
}

void raft_term_close(struct raft_node *node)
{
    struct raft_held *held;
    while ((held = STAILQ_FIRST(&node->storing.held)) != NULL) {
        STAILQ_REMOVE_HEAD(&node->storing.held, entry);
        free_held(held);
    }
    node->storing.held_count = 0;
}
