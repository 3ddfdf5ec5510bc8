/* Membership of the Raft group: one change at a time, transfers of the lead. */
#include "role/state_internal.h"

static enum state_member_role state_role_of(int raft_role)
{
    return raft_role == RAFT_VOTER     ? STATE_VOTER
           : raft_role == RAFT_STANDBY ? STATE_STANDBY
                                       : STATE_SPARE;
}

unsigned state_members(const struct state *state, struct state_member *members)
{
    const struct raft *raft = &state->raft;
    unsigned n = 0;
    for (unsigned i = 0; i < raft->configuration.n && n < STATE_MEMBERS_MAX; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        members[n] = (struct state_member){.id = server->id, .role = state_role_of(server->role)};
        if (raft->state == RAFT_LEADER)
            members[n].match_index = raft->leader_state.progress[i].match_index;
        n++;
    }
    return n;
}

bool state_has_member(const struct state *state, uint64_t id)
{
    for (unsigned i = 0; i < state->raft.configuration.n; i++)
        if (state->raft.configuration.servers[i].id == id)
            return true;
    return false;
}

static void state_on_changed(struct raft_change *req, int status)
{
    struct state *state = req->data;
    state_changed_fn done = state->change_done;
    state->change_done = NULL;
    done(state->change_arg, raft_io_code(status), status == 0 ? "" : raft_strerror(status));
}

/* Begins a change; says at once why it can't be. */
static bool state_begin_change(struct state *state, state_changed_fn done, void *arg)
{
    if (!state->active || state->change_done != NULL) {
        done(arg, state->active ? ERR_BUSY : ERR_NOT_LEADER,
             state->active ? "another change of the group is under way" : err_text(ERR_NOT_LEADER));
        return false;
    }
    state->change_done = done;
    state->change_arg = arg;
    return true;
}

static void state_change_started(struct state *state, int status)
{
    if (status != 0)
        state_on_changed(&state->change, status);
}

void state_add(struct state *state, uint64_t id, const char *address, state_changed_fn done,
               void *arg)
{
    if (state_begin_change(state, done, arg))
        state_change_started(state,
                             raft_add(&state->raft, &state->change, id, address, state_on_changed));
}

void state_assign(struct state *state, uint64_t id, enum state_member_role role,
                  state_changed_fn done, void *arg)
{
    static const int raft_roles[] = {
        [STATE_STANDBY] = RAFT_STANDBY, [STATE_VOTER] = RAFT_VOTER, [STATE_SPARE] = RAFT_SPARE};
    if (state_begin_change(state, done, arg))
        state_change_started(state, raft_assign(&state->raft, &state->change, id, raft_roles[role],
                                                state_on_changed));
}

void state_remove(struct state *state, uint64_t id, state_changed_fn done, void *arg)
{
    if (state_begin_change(state, done, arg))
        state_change_started(state,
                             raft_remove(&state->raft, &state->change, id, state_on_changed));
}

void state_on_transferred(struct raft_transfer *req)
{
    struct state *state = req->data;
    state_changed_fn done = state->transfer_done;
    state->transfer_done = NULL;
    if (done == NULL)
        return;
    bool moved = raft_state(&state->raft) != RAFT_LEADER;
    done(state->transfer_arg, moved ? 0 : ERR_TIMEOUT,
         moved ? "" : "the other node did not take the lead in time");
}

void state_transfer(struct state *state, uint64_t to, state_changed_fn done, void *arg)
{
    if (!state->active || state->raft.transfer != NULL) {
        done(arg, state->active ? ERR_BUSY : ERR_NOT_LEADER,
             state->active ? "a transfer is under way" : err_text(ERR_NOT_LEADER));
        return;
    }
    state->transfer_done = done;
    state->transfer_arg = arg;
    state->transfer.data = state;
    int status = raft_transfer(&state->raft, &state->transfer, to, state_on_transferred);
    if (status != 0) {
        state->transfer_done = NULL;
        done(arg,
             status == RAFT_NOTFOUND || status == RAFT_BADID ? ERR_NOT_FOUND : raft_io_code(status),
             status == RAFT_NOTFOUND ? "there is no other voter"
             : status == RAFT_BADID  ? "that node is no voter, or leads already"
                                     : raft_strerror(status));
    }
}
