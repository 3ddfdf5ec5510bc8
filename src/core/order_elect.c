/* Who leads. Happy path: the leader is silent; the highest node that is left polls, a majority
 * misses the leader too, it claims the next term, the promises come, it leads.
 *
 * Everything that takes time has one deadline: election_ms for a follower, answer_ms for a poll,
 * for waiting and for a claim. */
#include "core/order_internal.h"

/* The claimant's log is at least as long. */
static bool order_elect_covers(const struct order *order, uint64_t term, uint64_t seq)
{
    uint64_t own_term = order_log_last_term(&order->log);
    if (ORDER_BUG(LONGEST_BY_SEQ))
        return order->log.last_seq >= seq;
    return own_term != term ? own_term > term : order->log.last_seq >= seq;
}

/* So far behind that the service should not wait until it has caught up. */
static bool order_elect_is_behind(const struct order *order, uint64_t seq, uint64_t other_seq)
{
    return other_seq > seq && other_seq - seq > order->config.behind_max;
}

bool order_hears(const struct order *order)
{
    if (order->state == ORDER_STATE_LEADING || order->state == ORDER_STATE_CLAIMING ||
        order->state == ORDER_STATE_COPYING)
        return true;
    uint32_t patience_ms = order->config.leader_timeout_ms - order->config.heartbeat_ms / 2;
    return order->heard_ms != 0 && order->now_ms - order->heard_ms < patience_ms;
}

void order_elect_later(struct order *order, int64_t ms)
{
    order->election_ms = order->now_ms + ms;
}

void order_follow_nobody(struct order *order, const char *reason)
{
    order->heard_ms = 0;
    order->promise_due = false;
    order_set_state(order, ORDER_STATE_FOLLOWER, 0, "%s", reason);
    order_elect_later(order, order->config.leader_timeout_ms);
}

void order_adopt_term(struct order *order, uint64_t term, uint64_t promised_to)
{
    if (term == order->meta.term && promised_to == order->meta.promised_to)
        return;
    if (term > order->meta.term) {
        order->matched_seq = 0;
        order->acked_seq = 0;
        order->claim_transfer = false;
        order->leader = 0; /* whoever it was led in another term */
    }
    order->meta.term = term;
    order->meta.promised_to = promised_to;
    order->promise_due = false;
    order_record_meta(order);
}

/* ---- polling --------------------------------------------------------------------------------- */

static void order_poll_begin(struct order *order, const char *reason)
{
    if (!order_is_able(order)) {
        order_elect_later(order, order->config.leader_timeout_ms);
        return;
    }
    if (order->state != ORDER_STATE_POLLING)
        order_set_state(order, ORDER_STATE_POLLING, 0, "%s", reason);
    order->round++;
    order->answer_ms = order->now_ms + order_answer_ms(order);
    struct order_peer *peer;
    struct order_peer *next;
    HASH_ITER (hh, order->peers, peer, next) {
        peer->answered = false;
        Wire__ChatPoll *poll =
            peer->voter ? order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_POLL) : NULL;
        if (poll == NULL)
            continue;
        poll->round = order->round;
        poll->last_term = order_log_last_term(&order->log);
        poll->last_seq = order->log.last_seq;
    }
}

enum order_poll_outcome { POLL_OPEN, POLL_CLAIM, POLL_WAIT };

static enum order_poll_outcome order_poll_judge(const struct order *order)
{
    bool over = order->now_ms >= order->answer_ms;
    size_t missing = 1;
    bool open = false;
    bool yields = false;
    bool must = false;
    const struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        if (!peer->voter)
            continue;
        bool higher = peer->id > order->config.id && !ORDER_BUG(LOWER_IGNORES_HIGHER);
        missing += peer->answered && !peer->hears;
        if (!peer->answered) {
            open = open || (higher && peer->linked && !over);
            continue;
        }
        bool behind = order_elect_is_behind(order, peer->last_seq, order->log.last_seq) ||
                      peer->last_seq < order->log.base_seq;
        bool ahead = order_elect_is_behind(order, order->log.last_seq, peer->last_seq);
        bool helpless = order->log.last_seq < peer->base_seq;
        yields = yields || (peer->able && !peer->hears && ((higher && !behind) || ahead));
        must = must || (peer->able && !peer->hears && helpless);
    }
    if (missing < order_majority(order))
        return POLL_OPEN;
    if (must)
        return POLL_WAIT;
    if (order->passed_over)
        return POLL_CLAIM;
    if (yields)
        return POLL_WAIT;
    return open ? POLL_OPEN : POLL_CLAIM;
}

static void order_poll_work(struct order *order)
{
    switch (order_poll_judge(order)) {
    case POLL_CLAIM:
        order_claim(order, false,
                    order->passed_over ? "who should have taken over did not"
                                       : "a majority misses the leader, no higher id takes over");
        break;
    case POLL_WAIT:
        order->passed_over = true;
        order->answer_ms = order->now_ms + order->config.leader_timeout_ms;
        order_set_state(order, ORDER_STATE_WAITING, 0, "another node is to take over");
        break;
    case POLL_OPEN:
        if (order->now_ms >= order->answer_ms)
            order_poll_begin(order, "");
    }
}

void order_on_poll(struct order *order, struct order_peer *peer, const Wire__ChatPoll *poll)
{
    bool claims = order->state == ORDER_STATE_CLAIMING || order->state == ORDER_STATE_COPYING;
    bool lower = peer->id < order->config.id;
    /* A claimant takes over from the lower ones; the higher may have the lead from it later. */
    bool hears = order_hears(order) && !(claims && lower);
    Wire__ChatPollReply *reply = order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_POLL_REPLY);
    if (reply != NULL) {
        reply->round = poll->round;
        reply->hears = hears;
        reply->leader = order->leader;
        reply->able = order_is_able(order);
        reply->last_term = order_log_last_term(&order->log);
        reply->last_seq = order->log.last_seq;
        reply->base_seq = order->log.base_seq;
        if (!peer->member && order_conf_find(&order->confs[0], peer->id) == NULL)
            reply->removed_seq = order->confs[0].seq;
    }
    if (order->state == ORDER_STATE_FOLLOWER && !hears && lower)
        order_poll_begin(order, "asked by a lower id that misses the leader");
}

void order_on_poll_reply(struct order *order, struct order_peer *peer,
                         const Wire__ChatPollReply *reply)
{
    if (order->state != ORDER_STATE_POLLING || reply->round != order->round)
        return;
    if (reply->removed_seq > order->confs[order->confs_n - 1].seq) {
        order_set_state(order, ORDER_STATE_OUTSIDE, 0, "removed by entry %llu",
                        (unsigned long long)reply->removed_seq);
        return;
    }
    peer->answered = true;
    peer->hears = reply->hears;
    peer->able = reply->able;
    peer->base_seq = reply->base_seq;
    peer->last_term = reply->last_term;
    peer->last_seq = reply->last_seq;
}

/* ---- claiming -------------------------------------------------------------------------------- */

void order_claim(struct order *order, bool transfer, const char *reason)
{
    uint64_t term = order->meta.term > order->seen_term ? order->meta.term : order->seen_term;
    order_adopt_term(order, term + 1, order->config.id);
    order->claim_transfer = transfer;
    order->claim_sent = false;
    order->passed_over = false;
    order->elections++;
    struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next)
        peer->promised = peer->refused = false;
    order->answer_ms = order->now_ms + order->config.leader_timeout_ms;
    order_set_state(order, ORDER_STATE_CLAIMING, 0, "%s", reason);
}

static void order_claim_send(struct order *order)
{
    order->claim_sent = true;
    order->again_ms = order->now_ms + order_answer_ms(order);
    struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        Wire__ChatClaim *claim =
            peer->voter ? order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_CLAIM) : NULL;
        if (claim != NULL)
            claim->transfer = order->claim_transfer;
    }
}

static size_t order_claim_promises(const struct order *order)
{
    size_t promises = order_is_voter(order);
    const struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next)
        promises += peer->voter && peer->promised;
    return promises;
}

static bool order_claim_has_majority(const struct order *order)
{
    size_t promises = order_claim_promises(order);
    if (ORDER_BUG(MINORITY_CLAIM))
        return 2 * promises + 1 >= order_voters(order);
    return promises >= order_majority(order);
}

/* Who promised and has the longest log, if it is longer than this node's; NULL otherwise. */
static const struct order_peer *order_claim_longest(const struct order *order)
{
    const struct order_peer *longest = NULL;
    const struct order_peer *peer;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        if (!peer->promised || order_elect_covers(order, peer->last_term, peer->last_seq))
            continue;
        if (longest == NULL || peer->last_term > longest->last_term ||
            (peer->last_term == longest->last_term && peer->last_seq > longest->last_seq))
            longest = peer;
    }
    return ORDER_BUG(NO_COPY) ? NULL : longest;
}

/* Promises of a majority of those who count by its own log, and no longer log among them. */
static void order_claim_work(struct order *order)
{
    if (order->persisted < order->meta_record && !ORDER_BUG(OWN_PROMISE_EARLY))
        return;
    if (!order->claim_sent || order->now_ms >= order->again_ms)
        order_claim_send(order);
    bool copying = order->state == ORDER_STATE_COPYING;
    if (!order_claim_has_majority(order) && !(copying && ORDER_BUG(MEMBERS_AT_CLAIM))) {
        if (copying)
            order_set_state(order, ORDER_STATE_CLAIMING, 0, "other members' promises are needed");
        return;
    }
    const struct order_peer *longest = order_claim_longest(order);
    if (longest == NULL)
        order_lead(order);
    else if (!copying)
        order_copy_begin(order, longest->id);
    else if (order->copy_peer == longest->id)
        order_copy_work(order);
    else
        order_copy_begin(order, longest->id);
}

/* A promise of this node to whoever claims `term`. */
static bool order_claim_may_promise(const struct order *order, uint64_t peer, uint64_t term,
                                    bool transfer)
{
    if (order->meta.damaged && !ORDER_BUG(DAMAGED_VOTES))
        return false;
    if (term == order->meta.term)
        return order->meta.promised_to == peer || ORDER_BUG(PROMISE_TWICE);
    if (term < order->meta.term)
        return false;
    bool other = order->state == ORDER_STATE_LEADING || order->leader != 0;
    return transfer || !other || !order_hears(order);
}

void order_on_claim(struct order *order, struct order_peer *peer, uint64_t term,
                    const Wire__ChatClaim *claim)
{
    if (order_claim_may_promise(order, peer->id, term, claim->transfer)) {
        bool repeated = term == order->meta.term && order->state == ORDER_STATE_FOLLOWER &&
                        order->meta.promised_to == peer->id;
        if (!repeated && order->state != ORDER_STATE_OUTSIDE)
            order_set_state(order, ORDER_STATE_FOLLOWER, 0, "promised to a claimant of term %llu",
                            (unsigned long long)term);
        order_adopt_term(order, term, peer->id);
        order->promise_due = true;
        if (order->leader == 0)
            order->heard_ms = order->now_ms;
        order_elect_later(order, order->config.leader_timeout_ms);
        return;
    }
    Wire__ChatRefuse *refuse = order_send(order, peer->id, WIRE__CHAT_MESSAGE__KIND_REFUSE);
    if (refuse == NULL)
        return;
    refuse->hears = term > order->meta.term && order_hears(order);
    refuse->leader = order->leader;
    refuse->damaged = order->meta.damaged;
}

void order_on_promise(struct order *order, struct order_peer *peer, uint64_t term,
                      const Wire__ChatPromise *promise)
{
    bool claims = order->state == ORDER_STATE_CLAIMING || order->state == ORDER_STATE_COPYING;
    if (!claims || term != order->meta.term)
        return;
    peer->promised = true;
    peer->refused = false;
    peer->last_term = promise->last_term;
    peer->last_seq = promise->last_seq;
}

void order_on_refuse(struct order *order, struct order_peer *peer, uint64_t term,
                     const Wire__ChatRefuse *refuse)
{
    bool claims = order->state == ORDER_STATE_CLAIMING || order->state == ORDER_STATE_COPYING;
    if (term > order->seen_term)
        order->seen_term = term;
    if (!claims)
        return;
    if (term > order->meta.term) {
        order_follow_nobody(order, "claimed a term that is over");
        order_elect_later(order, order_answer_ms(order));
        return;
    }
    peer->refused = true;
    size_t refused = 0;
    size_t higher = 0;
    for (peer = order->peers; peer != NULL; peer = peer->hh.next) {
        refused += peer->voter && peer->refused;
        higher += peer->voter && peer->id > order->config.id;
    }
    if (order_voters(order) - refused >= order_majority(order))
        return;
    order_follow_nobody(order, refuse->hears ? "others hear a leader"
                                             : "others have promised the term to another");
    order_elect_later(order, (int64_t)(1 + higher) * order_answer_ms(order));
}

/* ---- in each step ---------------------------------------------------------------------------- */

static void order_promise_work(struct order *order)
{
    if (!order->promise_due ||
        (order->persisted < order->meta_record && !ORDER_BUG(PROMISE_FORGOTTEN)))
        return;
    Wire__ChatPromise *promise =
        order_send(order, order->meta.promised_to, WIRE__CHAT_MESSAGE__KIND_PROMISE);
    order->promise_due = false;
    if (promise == NULL)
        return;
    /* Every entry in memory was given to the disk before the promise was: all are durable. */
    promise->last_term = order_log_last_term(&order->log);
    promise->last_seq = order->log.last_seq;
}

static void order_elect_timeout(struct order *order)
{
    bool claims = order->state == ORDER_STATE_CLAIMING || order->state == ORDER_STATE_COPYING;
    if (order->state == ORDER_STATE_FOLLOWER && order->now_ms >= order->election_ms)
        order_poll_begin(order, order->leader != 0 ? "the leader is silent" : "there is no leader");
    if (order->state == ORDER_STATE_WAITING && order->now_ms >= order->answer_ms)
        order_poll_begin(order, "who was to take over did not");
    if (claims && !order_is_able(order))
        order_follow_nobody(order, "is not able to lead any more");
    else if (claims && order->now_ms >= order->answer_ms)
        order_follow_nobody(order, order->state == ORDER_STATE_CLAIMING
                                       ? "no majority promised in time"
                                       : "the longest log could not be copied in time");
}

void order_elect_work(struct order *order)
{
    order_promise_work(order);
    order_elect_timeout(order);
    if (order->state == ORDER_STATE_POLLING)
        order_poll_work(order);
    if (order->state == ORDER_STATE_CLAIMING || order->state == ORDER_STATE_COPYING)
        order_claim_work(order);
}
