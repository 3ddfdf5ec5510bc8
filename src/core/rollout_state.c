/* States of a rollout and their edges; names. */
#include <string.h>

#include "base/mem.h"
#include "core/rollout.h"

static const char *const rollout_names[] = {
    [ROLLOUT_STATE_NONE] = "none",           [ROLLOUT_STATE_SWITCHING] = "switching",
    [ROLLOUT_STATE_WATCHING] = "watching",   [ROLLOUT_STATE_WAITING] = "waiting",
    [ROLLOUT_STATE_PAUSED] = "paused",       [ROLLOUT_STATE_FROZEN] = "frozen",
    [ROLLOUT_STATE_REVERTING] = "reverting", [ROLLOUT_STATE_PROMOTED] = "promoted",
    [ROLLOUT_STATE_ABORTED] = "aborted",     [ROLLOUT_STATE_ROLLED_BACK] = "rolled_back",
};

static const struct rollout_edge {
    enum rollout_state from;
    enum rollout_state to;
    const char *cause;
} rollout_edges[] = {
    {ROLLOUT_STATE_NONE, ROLLOUT_STATE_SWITCHING, "started"},
    {ROLLOUT_STATE_SWITCHING, ROLLOUT_STATE_WATCHING, "switched; the step has a time"},
    {ROLLOUT_STATE_SWITCHING, ROLLOUT_STATE_WAITING, "switched; the step waits for promote"},
    {ROLLOUT_STATE_SWITCHING, ROLLOUT_STATE_PAUSED, "switched; pause was asked for"},
    {ROLLOUT_STATE_SWITCHING, ROLLOUT_STATE_FROZEN, "switched; freeze was asked for"},
    {ROLLOUT_STATE_SWITCHING, ROLLOUT_STATE_PROMOTED, "the last switch is made"},
    {ROLLOUT_STATE_SWITCHING, ROLLOUT_STATE_ROLLED_BACK, "the earlier version is back"},
    {ROLLOUT_STATE_SWITCHING, ROLLOUT_STATE_REVERTING,
     "abort was asked for, or the switch failed too often"},
    {ROLLOUT_STATE_SWITCHING, ROLLOUT_STATE_ABORTED,
     "the same, before any traffic was moved; or a rollback"},
    {ROLLOUT_STATE_WATCHING, ROLLOUT_STATE_SWITCHING, "its time is over and the gates pass"},
    {ROLLOUT_STATE_WATCHING, ROLLOUT_STATE_PAUSED, "pause, or too often inconclusive"},
    {ROLLOUT_STATE_WATCHING, ROLLOUT_STATE_FROZEN, "freeze"},
    {ROLLOUT_STATE_WATCHING, ROLLOUT_STATE_REVERTING, "abort, a failed gate, no progress"},
    {ROLLOUT_STATE_WAITING, ROLLOUT_STATE_SWITCHING, "promote"},
    {ROLLOUT_STATE_WAITING, ROLLOUT_STATE_PAUSED, "pause, or too often inconclusive"},
    {ROLLOUT_STATE_WAITING, ROLLOUT_STATE_FROZEN, "freeze"},
    {ROLLOUT_STATE_WAITING, ROLLOUT_STATE_REVERTING, "abort, or a failed gate"},
    {ROLLOUT_STATE_PAUSED, ROLLOUT_STATE_WATCHING, "resume"},
    {ROLLOUT_STATE_PAUSED, ROLLOUT_STATE_WAITING, "resume"},
    {ROLLOUT_STATE_PAUSED, ROLLOUT_STATE_SWITCHING, "promote"},
    {ROLLOUT_STATE_PAUSED, ROLLOUT_STATE_FROZEN, "freeze"},
    {ROLLOUT_STATE_PAUSED, ROLLOUT_STATE_REVERTING, "abort, or a failed gate"},
    {ROLLOUT_STATE_FROZEN, ROLLOUT_STATE_WATCHING, "resume"},
    {ROLLOUT_STATE_FROZEN, ROLLOUT_STATE_WAITING, "resume"},
    {ROLLOUT_STATE_FROZEN, ROLLOUT_STATE_PAUSED, "pause"},
    {ROLLOUT_STATE_FROZEN, ROLLOUT_STATE_REVERTING, "abort"},
    {ROLLOUT_STATE_WATCHING, ROLLOUT_STATE_ABORTED, "a rollback took its place"},
    {ROLLOUT_STATE_WAITING, ROLLOUT_STATE_ABORTED, "a rollback took its place"},
    {ROLLOUT_STATE_PAUSED, ROLLOUT_STATE_ABORTED, "a rollback took its place"},
    {ROLLOUT_STATE_FROZEN, ROLLOUT_STATE_ABORTED, "a rollback took its place"},
    {ROLLOUT_STATE_REVERTING, ROLLOUT_STATE_ABORTED, "the stable model has all traffic again"},
};

const char *rollout_state_name(enum rollout_state state)
{
    return (size_t)state < MEM_COUNT(rollout_names) ? rollout_names[state] : "none";
}

int rollout_state_parse(const char *name)
{
    for (size_t i = 0; i < MEM_COUNT(rollout_names); i++) {
        if (strcmp(rollout_names[i], name) == 0)
            return (int)i;
    }
    return ERR_INVALID;
}

bool rollout_allows(enum rollout_state from, enum rollout_state to)
{
    for (size_t i = 0; i < MEM_COUNT(rollout_edges); i++) {
        if (rollout_edges[i].from == from && rollout_edges[i].to == to)
            return true;
    }
    return false;
}

int rollout_state_print(struct buf *out)
{
    int err = buf_append_str(out, "| from | to | cause |\n|---|---|---|\n");
    for (size_t i = 0; i < MEM_COUNT(rollout_edges) && err == 0; i++)
        err = buf_printf(out, "| %s | %s | %s |\n", rollout_state_name(rollout_edges[i].from),
                         rollout_state_name(rollout_edges[i].to), rollout_edges[i].cause);
    return err;
}

bool rollout_is_ended(const struct rollout *rollout)
{
    return rollout->state == ROLLOUT_STATE_PROMOTED || rollout->state == ROLLOUT_STATE_ABORTED ||
           rollout->state == ROLLOUT_STATE_ROLLED_BACK;
}

static const char *const rollout_verdicts[] = {"none", "pass", "fail", "inconclusive"};

const char *rollout_verdict_name(enum rollout_verdict verdict)
{
    return (size_t)verdict < MEM_COUNT(rollout_verdicts) ? rollout_verdicts[verdict] : "none";
}

int rollout_verdict_parse(const char *name)
{
    for (size_t i = 0; i < MEM_COUNT(rollout_verdicts); i++) {
        if (strcmp(rollout_verdicts[i], name) == 0)
            return (int)i;
    }
    return ERR_INVALID;
}
