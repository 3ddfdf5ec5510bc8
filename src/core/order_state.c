/* The states, which may follow which, and why. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/order_internal.h"

static const char *const order_state_names[] = {
    [ORDER_STATE_OUTSIDE] = "outside",   [ORDER_STATE_FOLLOWER] = "follower",
    [ORDER_STATE_POLLING] = "polling",   [ORDER_STATE_WAITING] = "waiting",
    [ORDER_STATE_CLAIMING] = "claiming", [ORDER_STATE_COPYING] = "copying",
    [ORDER_STATE_LEADING] = "leading",
};

static const struct order_edge {
    enum order_state from;
    enum order_state to;
    const char *cause;
} order_edges[] = {
    {ORDER_STATE_OUTSIDE, ORDER_STATE_FOLLOWER, "formed the log, or taken in"},
    {ORDER_STATE_FOLLOWER, ORDER_STATE_FOLLOWER, "another leader, or none"},
    {ORDER_STATE_FOLLOWER, ORDER_STATE_POLLING, "misses the leader, or asked by a lower id"},
    {ORDER_STATE_FOLLOWER, ORDER_STATE_CLAIMING, "the leader hands over"},
    {ORDER_STATE_FOLLOWER, ORDER_STATE_OUTSIDE, "removed"},
    {ORDER_STATE_POLLING, ORDER_STATE_FOLLOWER, "heard a leader, promised to a claimant"},
    {ORDER_STATE_POLLING, ORDER_STATE_WAITING, "a higher id answered that it takes over"},
    {ORDER_STATE_POLLING, ORDER_STATE_CLAIMING,
     "a majority misses the leader, and no higher id takes over"},
    {ORDER_STATE_POLLING, ORDER_STATE_OUTSIDE, "removed"},
    {ORDER_STATE_WAITING, ORDER_STATE_FOLLOWER, "heard a leader, promised to a claimant"},
    {ORDER_STATE_WAITING, ORDER_STATE_POLLING, "the higher id did not take over in time"},
    {ORDER_STATE_WAITING, ORDER_STATE_OUTSIDE, "removed"},
    {ORDER_STATE_CLAIMING, ORDER_STATE_COPYING, "a majority promised, someone's log is longer"},
    {ORDER_STATE_CLAIMING, ORDER_STATE_LEADING, "a majority promised, no log is longer"},
    {ORDER_STATE_CLAIMING, ORDER_STATE_FOLLOWER, "refused, no majority in time, or a higher term"},
    {ORDER_STATE_CLAIMING, ORDER_STATE_OUTSIDE, "removed"},
    {ORDER_STATE_COPYING, ORDER_STATE_LEADING, "has the longest log of a majority"},
    {ORDER_STATE_COPYING, ORDER_STATE_CLAIMING, "what was copied names other members"},
    {ORDER_STATE_COPYING, ORDER_STATE_FOLLOWER, "copying stands still, or a higher term"},
    {ORDER_STATE_COPYING, ORDER_STATE_OUTSIDE, "removed"},
    {ORDER_STATE_LEADING, ORDER_STATE_FOLLOWER,
     "a higher term, no majority heard, the disk hangs or is full, stopped"},
    {ORDER_STATE_LEADING, ORDER_STATE_OUTSIDE, "removed"},
};

const char *order_state_name(enum order_state state)
{
    return (size_t)state < MEM_COUNT(order_state_names) ? order_state_names[state] : "unknown";
}

bool order_state_allows(enum order_state from, enum order_state to)
{
    for (size_t i = 0; i < MEM_COUNT(order_edges); i++) {
        if (order_edges[i].from == from && order_edges[i].to == to)
            return true;
    }
    return false;
}

int order_state_print(struct buf *out)
{
    int err = buf_append_str(out, "| from | to | cause |\n|---|---|---|\n");
    for (size_t i = 0; i < MEM_COUNT(order_edges) && err == 0; i++)
        err = buf_printf(out, "| %s | %s | %s |\n", order_state_name(order_edges[i].from),
                         order_state_name(order_edges[i].to), order_edges[i].cause);
    return err;
}

void order_set_state(struct order *order, enum order_state to, uint64_t leader, const char *fmt,
                     ...)
{
    assert(order_state_allows(order->state, to));
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(order->reason, sizeof order->reason, fmt, args);
    va_end(args);
    struct order_update *update = order->update;
    MEM_GROW(update->changes, update->changes_cap, update->changes_n + 1);
    struct order_change *change = &update->changes[update->changes_n++];
    *change = (struct order_change){
        .from = order->state, .to = to, .term = order->meta.term, .leader = leader};
    (void)snprintf(change->reason, sizeof change->reason, "%s", order->reason);
    bool other_leader = leader != 0 && leader != order->leader;
    order->state = to;
    order->leader = leader;
    order->since_ms = order->now_ms;
    if (other_leader)
        order_client_leader_changed(order);
}
