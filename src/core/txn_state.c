/* States and their edges, names of what crosses the wire. */
#include "base/error.h"
#include "base/mem.h"
#include "core/txn.h"

#include <string.h>

static const char *const txn_state_names[] = {
    [TXN_STATE_NONE] = "none",         [TXN_STATE_JUDGING] = "judging",
    [TXN_STATE_PREPARED] = "prepared", [TXN_STATE_DOUBT] = "in_doubt",
    [TXN_STATE_REFUSED] = "refused",   [TXN_STATE_COMMITTED] = "committed",
    [TXN_STATE_ABORTED] = "aborted",   [TXN_STATE_COLLECTING] = "collecting",
    [TXN_STATE_DECIDING] = "deciding", [TXN_STATE_ENDED] = "ended",
};

static const struct txn_edge {
    enum txn_side side;
    enum txn_state from;
    enum txn_state to;
    const char *cause;
} txn_edges[] = {
    {TXN_SIDE_PARTICIPANT, TXN_STATE_NONE, TXN_STATE_JUDGING, "PREPARE_REQ came"},
    {TXN_SIDE_PARTICIPANT, TXN_STATE_NONE, TXN_STATE_REFUSED,
     "PREPARE_REQ cannot be met, a resolver asked, or the abort came first"},
    {TXN_SIDE_PARTICIPANT, TXN_STATE_NONE, TXN_STATE_PREPARED, "replayed"},
    {TXN_SIDE_PARTICIPANT, TXN_STATE_NONE, TXN_STATE_COMMITTED, "replayed from a snapshot"},
    {TXN_SIDE_PARTICIPANT, TXN_STATE_NONE, TXN_STATE_ABORTED, "replayed from a snapshot"},
    {TXN_SIDE_PARTICIPANT, TXN_STATE_JUDGING, TXN_STATE_PREPARED, "the gates agree"},
    {TXN_SIDE_PARTICIPANT, TXN_STATE_JUDGING, TXN_STATE_REFUSED,
     "a gate refuses, a resolver asked, or the abort came"},
    {TXN_SIDE_PARTICIPANT, TXN_STATE_PREPARED, TXN_STATE_DOUBT,
     "no decision in time, or a restart"},
    {TXN_SIDE_PARTICIPANT, TXN_STATE_PREPARED, TXN_STATE_COMMITTED, "decided"},
    {TXN_SIDE_PARTICIPANT, TXN_STATE_PREPARED, TXN_STATE_ABORTED, "decided"},
    {TXN_SIDE_PARTICIPANT, TXN_STATE_DOUBT, TXN_STATE_COMMITTED,
     "decided, learnt from a peer, or by an operator"},
    {TXN_SIDE_PARTICIPANT, TXN_STATE_DOUBT, TXN_STATE_ABORTED,
     "decided, learnt from a peer, resolved, or by an operator"},
    {TXN_SIDE_COORDINATOR, TXN_STATE_NONE, TXN_STATE_COLLECTING, "begun"},
    {TXN_SIDE_COORDINATOR, TXN_STATE_NONE, TXN_STATE_COMMITTED, "replayed"},
    {TXN_SIDE_COORDINATOR, TXN_STATE_NONE, TXN_STATE_ABORTED, "replayed, or given up at restart"},
    {TXN_SIDE_COORDINATOR, TXN_STATE_COLLECTING, TXN_STATE_DECIDING,
     "the metadata group is to decide"},
    {TXN_SIDE_COORDINATOR, TXN_STATE_COLLECTING, TXN_STATE_COMMITTED, "all votes are yes"},
    {TXN_SIDE_COORDINATOR, TXN_STATE_COLLECTING, TXN_STATE_ABORTED,
     "a vote is no, or did not come in time"},
    {TXN_SIDE_COORDINATOR, TXN_STATE_DECIDING, TXN_STATE_COMMITTED, "the group holds commit"},
    {TXN_SIDE_COORDINATOR, TXN_STATE_DECIDING, TXN_STATE_ABORTED,
     "the group holds abort, or a vote is no"},
    {TXN_SIDE_COORDINATOR, TXN_STATE_COMMITTED, TXN_STATE_ENDED, "every participant has it"},
    {TXN_SIDE_COORDINATOR, TXN_STATE_ABORTED, TXN_STATE_ENDED, "every participant has it"},
};

const char *txn_state_name(enum txn_state state)
{
    return (size_t)state < MEM_COUNT(txn_state_names) ? txn_state_names[state] : "none";
}

bool txn_state_allows(enum txn_side side, enum txn_state from, enum txn_state to)
{
    for (size_t i = 0; i < MEM_COUNT(txn_edges); i++) {
        if (txn_edges[i].side == side && txn_edges[i].from == from && txn_edges[i].to == to)
            return true;
    }
    return false;
}

int txn_state_print(struct buf *out)
{
    int err = buf_append_str(out, "| side | from | to | cause |\n|---|---|---|---|\n");
    for (size_t i = 0; i < MEM_COUNT(txn_edges) && err == 0; i++)
        err = buf_printf(out, "| %s | %s | %s | %s |\n",
                         txn_edges[i].side == TXN_SIDE_COORDINATOR ? "coordinator" : "participant",
                         txn_state_name(txn_edges[i].from), txn_state_name(txn_edges[i].to),
                         txn_edges[i].cause);
    return err;
}

static const char *const txn_outcome_names[] = {"none", "commit", "abort"};

const char *txn_outcome_name(enum txn_outcome outcome)
{
    return (size_t)outcome < MEM_COUNT(txn_outcome_names) ? txn_outcome_names[outcome] : "none";
}

int txn_outcome_parse(const char *name)
{
    if (strcmp(name, "commit") == 0)
        return TXN_OUTCOME_COMMIT;
    return strcmp(name, "abort") == 0 ? (int)TXN_OUTCOME_ABORT : (int)ERR_INVALID;
}

const char *txn_standing_name(enum txn_standing standing)
{
    static const char *const names[] = {
        [TXN_STANDING_UNKNOWN] = "unknown",     [TXN_STANDING_UNDECIDED] = "undecided",
        [TXN_STANDING_PREPARED] = "prepared",   [TXN_STANDING_REFUSED] = "refused",
        [TXN_STANDING_COMMITTED] = "committed", [TXN_STANDING_ABORTED] = "aborted",
    };
    return (size_t)standing < MEM_COUNT(names) ? names[standing] : "unknown";
}
