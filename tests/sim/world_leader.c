/* The leader: the scheduler and the detector, turns that become durable one after the other, and
 * messages that leave behind them. */
#include <assert.h>

#include "base/mem.h"
#include "tests/sim/world.h"

static void world_leader_tick(struct world *w, struct world_event *event);

/* ---- turns
 * --------------------------------------------------------------------------------------- */

static struct world_turn *world_turn_new(void)
{
    struct world_turn *turn = mem_zalloc(sizeof *turn);
    STAILQ_INIT(&turn->answers);
    return turn;
}

static void world_turn_free(struct world_turn *turn)
{
    for (struct world_answer *answer; (answer = STAILQ_FIRST(&turn->answers)) != NULL;) {
        STAILQ_REMOVE_HEAD(&turn->answers, of_turn);
        free(answer);
    }
    sched_update_done(&turn->update);
    free(turn);
}

static void world_leader_send(struct world *w, const struct sched_send *send)
{
    const struct world_leader *leader = &w->leader;
    uint64_t session = leader->session[send->node];
    if (w->bug == WORLD_BUG_SWALLOWED_CANCEL && send->type == SCHED_SEND_CANCEL)
        return;
    if (w->bug == WORLD_BUG_SWALLOWED_ACK && send->type == SCHED_SEND_ACK)
        return;
    if (send->session != session && w->bug != WORLD_BUG_OLD_SESSION)
        return;
    if (world_worker(w, send->node) == NULL)
        return;
    struct world_event *event = world_worker_tell(w, send->node, session);
    event->send = send->type;
    event->key = send->key;
}

static void world_turn_dispatch(struct world *w, struct world_turn *turn)
{
    for (size_t i = 0; i < turn->update.sends_n; i++)
        world_leader_send(w, &turn->update.sends[i]);
    const struct world_answer *answer;
    STAILQ_FOREACH (answer, &turn->answers, of_turn) {
        if (world_chance(w, 15) && !w->healed)
            continue; /* the connection broke */
        struct world_event *event = world_at(w, world_ms(w, 0, 20), answer->fire);
        event->node = answer->node;
        event->boot = answer->boot;
        event->key = answer->key;
        event->reply = answer->reply;
        event->code = answer->code;
    }
}

static void world_leader_applied(struct world *w, struct world_event *event)
{
    if (w->leader.alive && w->leader.epoch == event->epoch)
        world_leader_step(w,
                          (struct sched_event){.type = SCHED_EVENT_APPLIED, .turn = event->turn});
}

static void world_leader_commit(struct world *w, struct world_event *event)
{
    struct world_leader *leader = &w->leader;
    if (!leader->alive || leader->epoch != event->epoch)
        return;
    struct world_turn *turn = STAILQ_FIRST(&leader->turns);
    STAILQ_REMOVE_HEAD(&leader->turns, of_leader);
    world_truth_apply(w, &turn->update);
    struct world_event *applied = world_at(w, world_ms(w, 0, 50), world_leader_applied);
    applied->epoch = leader->epoch;
    applied->turn = turn->update.turn;
    if (w->bug != WORLD_BUG_EARLY_SENDS)
        world_turn_dispatch(w, turn);
    world_turn_free(turn);
    if (world_leader_is_settled(w) && world_chance(w, 5))
        world_truth_compare(w);
}

/* The loop's turn is over: what it collected is proposed. */
static void world_leader_end_turn(struct world *w)
{
    struct world_leader *leader = &w->leader;
    struct world_turn *turn = leader->open;
    turn->update = leader->update;
    leader->update = (struct sched_update){.turn = turn->update.turn + 1};
    leader->open = world_turn_new();
    STAILQ_INSERT_TAIL(&leader->turns, turn, of_leader);
    int64_t commit_ms = w->time.now_ms + world_ms(w, 0, world_chance(w, 5) ? 500 : 10);
    if (commit_ms > leader->commit_ms)
        leader->commit_ms = commit_ms;
    struct world_event *event =
        world_at(w, leader->commit_ms - w->time.now_ms, world_leader_commit);
    event->epoch = leader->epoch;
    if (w->bug == WORLD_BUG_EARLY_SENDS)
        world_turn_dispatch(w, turn);
}

static void world_leader_turn_ends(struct world *w, struct world_event *event)
{
    if (!w->leader.alive || w->leader.epoch != event->epoch)
        return;
    w->leader.ending = false;
    world_leader_end_turn(w);
}

static bool world_leader_has_collected(const struct world_leader *leader)
{
    const struct sched_update *update = &leader->update;
    return update->jobs_n + update->tasks_n + update->sends_n > 0 ||
           !STAILQ_EMPTY(&leader->open->answers);
}

static void world_leader_plan_turn(struct world *w)
{
    struct world_leader *leader = &w->leader;
    if (leader->ending || !world_leader_has_collected(leader))
        return;
    leader->ending = true;
    world_at(w, world_ms(w, 0, 2), world_leader_turn_ends)->epoch = leader->epoch;
}

bool world_leader_is_settled(const struct world *w)
{
    return w->leader.alive && STAILQ_EMPTY(&w->leader.turns) &&
           !world_leader_has_collected(&w->leader);
}

struct world_answer *world_leader_answer(struct world *w, world_fire_fn fire, uint64_t node,
                                         int code)
{
    struct world_leader *leader = &w->leader;
    struct world_answer *answer = mem_zalloc(sizeof *answer);
    answer->fire = fire;
    answer->node = node;
    answer->code = code;
    answer->reply = leader->update.reply;
    STAILQ_INSERT_TAIL(&leader->open->answers, answer, of_turn);
    world_leader_plan_turn(w);
    return answer;
}

/* ---- steps
 * --------------------------------------------------------------------------------------- */

static void world_leader_plan_tick(struct world *w)
{
    struct world_leader *leader = &w->leader;
    int64_t due_ms = leader->update.next_deadline_ms;
    if (leader->seen.next_deadline_ms < due_ms)
        due_ms = leader->seen.next_deadline_ms;
    if (due_ms < w->time.now_ms)
        due_ms = w->time.now_ms;
    if (leader->tick_ms >= w->time.now_ms && leader->tick_ms <= due_ms)
        return;
    leader->tick_ms = due_ms;
    world_at(w, due_ms - w->time.now_ms, world_leader_tick)->epoch = leader->epoch;
}

int world_leader_step(struct world *w, struct sched_event event)
{
    struct world_leader *leader = &w->leader;
    if (!leader->alive)
        return ERR_NO_LEADER;
    size_t sends_before = leader->update.sends_n;
    event.now_ms = w->time.now_ms;
    event.wall_ms = w->time.now_ms;
    int err = sched_step(leader->sched, &event, &leader->update);
    w->steps++;
    sched_check(leader->sched);
    world_truth_placed(w, sends_before);
    world_leader_plan_turn(w);
    return err;
}

static void world_leader_tell_health(struct world *w, const struct detector_change *change)
{
    static const enum sched_health health[] = {
        [DETECTOR_STATE_ALIVE] = SCHED_HEALTH_ALIVE,
        [DETECTOR_STATE_SUSPECT] = SCHED_HEALTH_SUSPECT,
        [DETECTOR_STATE_OFFLINE] = SCHED_HEALTH_OFFLINE,
    };
    if (w->bug == WORLD_BUG_NO_OFFLINE && change->to == DETECTOR_STATE_OFFLINE)
        return;
    world_trace(w, "node %u is %s: %s", (unsigned)change->node, detector_state_name(change->to),
                change->reason);
    world_leader_step(w, (struct sched_event){.type = SCHED_EVENT_NODE_HEALTH,
                                              .node = change->node,
                                              .health = health[change->to]});
    uint64_t session = w->leader.session[change->node];
    if (change->to == DETECTOR_STATE_ALIVE && change->from != DETECTOR_STATE_SUSPECT &&
        session != 0)
        world_worker_tell(w, change->node, session)->want_full = true;
}

static void world_leader_detect(struct world *w, enum detector_event_type type, uint64_t node)
{
    struct world_leader *leader = &w->leader;
    bool agent = world_agent(w, node) != NULL;
    const struct detector_event event = {
        .type = type,
        .now_ms = w->time.now_ms,
        .node = node,
        .interval_ms = agent ? 2000 : 1000,
        .offline_ms = agent ? 8000 : 5000,
    };
    detector_step(leader->detector, &event, &leader->seen);
    detector_check(leader->detector);
    for (size_t i = 0; i < leader->seen.n; i++)
        world_leader_tell_health(w, &leader->seen.changes[i]);
    world_leader_plan_tick(w);
}

static void world_leader_tick(struct world *w, struct world_event *event)
{
    if (!w->leader.alive || w->leader.epoch != event->epoch)
        return;
    w->leader.tick_ms = 0;
    world_leader_step(w, (struct sched_event){.type = SCHED_EVENT_TICK});
    world_leader_detect(w, DETECTOR_EVENT_TICK, 0);
}

void world_leader_heard(struct world *w, uint64_t node)
{
    if (w->leader.alive)
        world_leader_detect(w, DETECTOR_EVENT_HEARD, node);
}

/* ---- what arrives from workers
 * ------------------------------------------------------------------- */

static bool world_leader_hears(const struct world *w, const struct world_event *event)
{
    return w->leader.alive && w->leader.epoch == event->epoch;
}

void world_leader_connected(struct world *w, struct world_event *event)
{
    uint64_t *session = &w->leader.session[event->node];
    if (!world_leader_hears(w, event) || event->link <= *session)
        return;
    *session = event->link;
    world_leader_heard(w, event->node);
    world_leader_step(w, (struct sched_event){.type = SCHED_EVENT_NODE_LINK,
                                              .node = event->node,
                                              .session = event->link});
}

/* Breaks the rule that the bug is about. */
static void world_leader_distort(struct world *w, struct world_event *event)
{
    for (size_t i = 0; i < event->reports_n; i++) {
        struct sched_report *report = &event->reports[i];
        struct task_key key = report->key;
        if (w->bug == WORLD_BUG_FORGED_RESULT &&
            report->phase == WIRE__TASK_PHASE__TASK_PHASE_RUNNING && world_chance(w, 20))
            report->phase = WIRE__TASK_PHASE__TASK_PHASE_COMPLETED;
        for (key.attempt = 1; key.attempt < 60; key.attempt++) {
            if (w->bug == WORLD_BUG_WRONG_ATTEMPT &&
                sched_attempt_is_live(w->leader.sched, &key, event->node))
                report->key = key;
            for (uint64_t node = 1; w->bug == WORLD_BUG_WRONG_NODE && node <= WORLD_NODES_MAX;
                 node++) {
                if (!sched_attempt_is_live(w->leader.sched, &key, node))
                    continue;
                report->key = key;
                event->node = node;
            }
        }
    }
    if (w->bug != WORLD_BUG_HELD_TOO_MUCH || !event->held)
        return;
    for (const struct sched_rows_task *task = w->rows.tasks; task != NULL; task = task->hh.next) {
        if (task->node != event->node || attempt_state_is_ended(task->state))
            continue;
        struct sched_report report = {.phase = WIRE__TASK_PHASE__TASK_PHASE_QUEUED};
        report.key.index = task->key.index;
        report.key.attempt = task->key.attempt;
        for (struct sched_rows_job *job = w->rows.jobs; job != NULL; job = job->hh.next) {
            if (job->seq == task->key.seq)
                report.key.job = job->spec.id;
        }
        event->reports =
            mem_reallocarray(event->reports, event->reports_n + 1, sizeof *event->reports);
        event->reports[event->reports_n++] = report;
    }
}

void world_leader_reports(struct world *w, struct world_event *event)
{
    if (!world_leader_hears(w, event))
        return;
    world_leader_distort(w, event);
    world_leader_heard(w, event->node);
    for (size_t i = 0; i < event->reports_n; i++)
        world_trace(w, "worker %u %s %s: phase %d code %d", (unsigned)event->node,
                    event->held ? "holds" : "reports", world_key(&event->reports[i].key),
                    event->reports[i].phase, event->reports[i].code);
    world_leader_step(w, (struct sched_event){
                             .type = event->held ? SCHED_EVENT_NODE_HELD : SCHED_EVENT_REPORTS,
                             .node = event->node,
                             .session = event->held || world_chance(w, 50) ? event->link : 0,
                             .reports = event->reports,
                             .reports_n = event->reports_n,
                         });
}

void world_leader_beat(struct world *w, struct world_event *event)
{
    if (!world_leader_hears(w, event))
        return;
    world_leader_heard(w, event->node);
    uint32_t load_milli = (uint32_t)prng_below(&w->time.prng, 4000);
    world_leader_step(w, (struct sched_event){
                             .type = SCHED_EVENT_NODE_VITALS,
                             .node = event->node,
                             .load_milli = load_milli,
                             .disk_full = load_milli % 32 == 7,
                         });
}

/* ---- falling and rising
 * -------------------------------------------------------------------------- */

void world_leader_free(struct world *w)
{
    struct world_leader *leader = &w->leader;
    for (struct world_turn *turn; (turn = STAILQ_FIRST(&leader->turns)) != NULL;) {
        STAILQ_REMOVE_HEAD(&leader->turns, of_leader);
        world_turn_free(turn);
    }
    if (leader->open != NULL)
        world_turn_free(leader->open);
    leader->open = NULL;
    sched_free(leader->sched);
    leader->sched = NULL;
    detector_free(leader->detector);
    leader->detector = NULL;
    detector_update_done(&leader->seen);
}

/* Any number of the turns that were proposed are durable, in order. */
void world_leader_crash(struct world *w)
{
    struct world_leader *leader = &w->leader;
    world_leader_end_turn(w);
    struct world_turn *turn;
    unsigned durable = 0;
    STAILQ_FOREACH (turn, &leader->turns, of_leader)
        durable++;
    durable = (unsigned)prng_below(&w->time.prng, durable + 1);
    world_trace(w, "the leader falls, %u more turns are durable", durable);
    for (turn = STAILQ_FIRST(&leader->turns); durable > 0; durable--) {
        if (w->bug == WORLD_BUG_TORN_BATCH && durable == 1)
            turn->update.tasks_n /= 2;
        world_truth_apply(w, &turn->update);
        turn = STAILQ_NEXT(turn, of_leader);
    }
    world_leader_free(w);
    sched_update_clear(&leader->update);
    leader->alive = false;
    for (unsigned i = 0; i < w->workers_n; i++)
        world_worker_break(w, &w->workers[i]);
    world_at(w, world_ms(w, 100, 3000), world_elect);
}

static void world_leader_tell_nodes(struct world *w, struct sched *sched,
                                    struct sched_update *update)
{
    static const char *const labels[] = {"odd", "disk=ssd"};
    for (uint64_t id = 1; id <= WORLD_NODES_MAX; id++) {
        const struct world_worker *worker = world_worker(w, id);
        if (w->removed[id] || (worker == NULL && world_agent(w, id) == NULL))
            continue;
        char name[4] = {'n', (char)('0' + id), '\0'};
        const struct sched_node_spec put = {
            .id = id,
            .name = name,
            .poll = worker == NULL,
            .slots = worker != NULL ? worker->slots : 1,
            .labels = labels + (id + 1) % 2,
            .labels_n = 1,
        };
        struct sched_event event = {
            .type = SCHED_EVENT_NODE_PUT, .now_ms = w->time.now_ms, .put = &put};
        sched_step(sched, &event, update);
        event = (struct sched_event){.type = SCHED_EVENT_NODE_DRAIN,
                                     .now_ms = w->time.now_ms,
                                     .node = id,
                                     .draining = w->draining[id]};
        sched_step(sched, &event, update);
    }
}

struct sched *world_leader_rebuild(struct world *w, struct sched_update *update)
{
    struct sched *sched = sched_new(&w->config);
    world_leader_tell_nodes(w, sched, update);
    int err = sched_rows_restore(&w->rows, sched, update, w->time.now_ms);
    if (err < 0)
        world_wrong(w, "the rows are refused: %s", err_text(err));
    return sched;
}

void world_elect(struct world *w, struct world_event *event)
{
    (void)event;
    struct world_leader *leader = &w->leader;
    assert(!leader->alive);
    leader->alive = true;
    leader->epoch++;
    world_trace(w, "leader %u", (unsigned)leader->epoch);
    leader->ending = false;
    leader->commit_ms = w->time.now_ms;
    leader->tick_ms = 0;
    leader->open = world_turn_new();
    leader->detector = detector_new();
    for (uint64_t id = 0; id <= WORLD_NODES_MAX; id++)
        leader->session[id] = 0;
    leader->sched = world_leader_rebuild(w, &leader->update);
    sched_check(leader->sched);
    for (uint64_t id = 1; id <= WORLD_NODES_MAX; id++) {
        if (world_worker(w, id) != NULL || world_agent(w, id) != NULL)
            world_leader_detect(w, DETECTOR_EVENT_WATCH, id);
    }
    world_leader_plan_turn(w);
    world_leader_plan_tick(w);
}
