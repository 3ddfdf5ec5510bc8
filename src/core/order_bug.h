/* Wrong turns that the simulated worlds must notice (tests/sim/order_sim). They exist only in the
 * simulator's own build of core/order_*.c; everywhere else ORDER_BUG() is false. */
#ifndef CORE_ORDER_BUG_H
#define CORE_ORDER_BUG_H

#include <stdbool.h>

/* X(symbol, what the node does wrong) */
#define ORDER_BUG_LIST(X)                                                                          \
    X(NONE, "nothing")                                                                             \
    X(PROMISE_FORGOTTEN, "promises leave before they are durable")                                 \
    X(PROMISE_TWICE, "a second claim to the same term is promised as well")                        \
    X(OWN_PROMISE_EARLY, "a claimant claims before its own promise is durable")                    \
    X(ACK_EARLY, "followers acknowledge what is not durable")                                      \
    X(COUNT_EARLY, "the leader counts its own copy before it is durable")                          \
    X(OLD_TERM_COUNTED, "an entry of an old term is delivered by counting copies")                 \
    X(NO_LEAD_ENTRY, "a leader begins without an entry of its own term")                           \
    X(NO_COPY, "a claimant leads without copying the longest log")                                 \
    X(LONGEST_BY_SEQ, "the longest log is the one with the most entries, whatever their term")     \
    X(MINORITY_CLAIM, "the promises of one less than a majority are enough")                       \
    X(MINORITY_COMMIT, "copies on one disk less than a majority are enough")                       \
    X(STALE_TERM_APPEND, "entries of a deposed leader are taken")                                  \
    X(NO_PREV_CHECK, "entries are taken without looking at what is before them")                   \
    X(TRUNCATE_ALWAYS, "repeated entries cut off what follows them")                               \
    X(NO_TRUNCATE, "entries that contradict the leader's stay")                                    \
    X(MARKS_WITHOUT_TAIL, "the leader looks for duplicates only in what was delivered")            \
    X(MARKS_FORGOTTEN, "snapshots hold no numbers of clients")                                     \
    X(DUPLICATES_BY_TIME, "numbers are forgotten after a while")                                   \
    X(REPLY_EARLY, "clients are answered when the leader numbers their message")                   \
    X(MEMBERS_AT_ONCE, "members change while another change is under way")                         \
    X(MEMBERS_LATE, "a change of members counts only when it is delivered")                        \
    X(MEMBERS_STAY, "a change of members that is cut off stays in force")                          \
    X(MEMBERS_AT_CLAIM, "a claimant doesn't look again at the members that it copied")             \
    X(DAMAGED_VOTES, "a node with a damaged log promises")                                         \
    X(DAMAGED_COUNTS, "what a node with a damaged log acknowledges counts")                        \
    X(HANGING_LEADER, "a leader whose disk hangs goes on with its heartbeats")                     \
    X(FULL_LEADER, "a leader with a full disk stays")                                              \
    X(NO_TAKEOVER, "a returning higher id is never given the lead")                                \
    X(LOWER_IGNORES_HIGHER, "a lower id claims without waiting for a higher one's answer")         \
    X(NO_CHECK_QUORUM, "a leader without a majority stays")                                        \
    X(LUMPS_FROM_THE_START, "of a lump that overlaps the log, what is there is written again")     \
    X(LUMPS_WITHOUT_MARKS, "numbers of clients that come in lumps are not remembered")

enum order_bug {
#define ORDER_BUG_ENUM(symbol, text) ORDER_BUG_##symbol,
    ORDER_BUG_LIST(ORDER_BUG_ENUM)
#undef ORDER_BUG_ENUM
        ORDER_BUG_N
};

#ifdef ORDER_SEEDED_BUGS
extern enum order_bug order_bug;
#define ORDER_BUG(symbol) (order_bug == ORDER_BUG_##symbol)
#else
#define ORDER_BUG(symbol) false
#endif

#endif
