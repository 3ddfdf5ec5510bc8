/* The leader's rollouts without a cluster: what they ask of it is answered here, at once and from
 * within, which is the hardest that may come. */
#include "tests/unit/generated.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/api_json.h"
#include "role/events.h"
#include "role/rollouts_internal.h"
#include "role/routing_table.h"

struct node {
    struct loop *loop;
    struct routing_table *table;
    struct replica replica;
    Wire__Members members;
    enum txn_outcome outcome; /* that the metadata group holds */
    unsigned asked;           /* what it holds */
    unsigned begun;           /* transactions */
    unsigned inside;          /* of calls: 1 is none in another */
};

/* ---- the cluster ---- */

struct loop *node_loop(const struct node *node)
{
    return node->loop;
}

uint64_t node_id(const struct node *node)
{
    (void)node;
    return 1;
}

bool node_is_active(const struct node *node)
{
    (void)node;
    return true;
}

struct routing_table *node_routing(const struct node *node)
{
    return node->table;
}

const struct replica *node_replica(const struct node *node)
{
    return &node->replica;
}

const Wire__Members *node_members(const struct node *node)
{
    return &node->members;
}

uint64_t node_session(const struct node *node, uint64_t peer)
{
    (void)node;
    return peer;
}

bool participant_takes_part(const Wire__Node *member)
{
    return member != NULL;
}

bool events_enabled(const struct node *node)
{
    (void)node;
    return false;
}

void event_emit(struct node *node, enum event_kind kind, const struct event_about *about,
                const char *fmt, ...)
{
    (void)node, (void)kind, (void)about, (void)fmt;
}

void event_rows_add(struct event_rows *rows, const char *key, json_t *row)
{
    (void)rows, (void)key;
    json_decref(row);
}

void events_add_source(struct node *node, const struct event_source *source)
{
    (void)node, (void)source;
}

void changes_add(struct changes *changes, const Wire__Change *change, changes_done_fn done,
                 void *arg)
{
    (void)changes, (void)change;
    if (done != NULL)
        done(arg, 0, NULL);
}

void changes_audit(struct changes *changes, const char *user, const char *action,
                   const char *object, const char *detail)
{
    (void)changes, (void)user, (void)action, (void)object, (void)detail;
}

void state_read(struct state *state, enum state_consistency consistency, state_db_query_fn query,
                state_db_answer_fn answer, void *arg)
{
    (void)state, (void)consistency, (void)query, (void)answer, (void)arg;
    fail_msg("nothing is read here");
}

void participant_decide(struct node *node, const struct uuid *txid, enum txn_outcome outcome,
                        participant_decided_fn fn, void *arg)
{
    (void)txid;
    assert_int_equal(outcome, TXN_OUTCOME_ABORT);
    node->asked++;
    fn(arg, node->outcome);
}

int participant_step(struct participant *participant, struct txn_event event,
                     char text[TXN_TEXT_MAX])
{
    (void)text;
    struct node *node = participant->node;
    assert_int_equal(event.type, TXN_EVENT_BEGIN);
    assert_int_equal(node->inside, 0);
    node->inside++;
    node->begun++;
    struct uuid txid = event.body->txid;
    rollouts_on_outcome(participant->rollouts, &txid, true, "");
    node->inside--;
    return 0;
}

/* ---- other parts ---- */

json_t *api_json_text(const char *text)
{
    return json_string(text);
}

json_t *api_json_time(uint64_t ms)
{
    return json_integer((json_int_t)ms);
}

void rollouts_api_add_routes(struct rollouts *rollouts)
{
    (void)rollouts;
}

void rollouts_model_add_routes(struct rollouts *rollouts)
{
    (void)rollouts;
}

const struct rollouts_model *rollouts_model(const struct rollouts *rollouts, const char *id)
{
    (void)rollouts, (void)id;
    static const struct rollouts_model model = {.url = "echo:"};
    return &model;
}

void rollouts_model_load(struct rollouts *rollouts, json_t *json)
{
    (void)rollouts, (void)json;
}

void rollouts_models_clear(struct rollouts *rollouts)
{
    (void)rollouts;
}

void rollouts_measure(struct rollouts_entry *entry)
{
    (void)entry;
}

void rollouts_run_gates(struct rollouts_entry *entry, uint32_t gates)
{
    (void)entry, (void)gates;
}

void rollouts_stop_gates(struct rollouts_entry *entry)
{
    (void)entry;
}

/* ---- tests ---- */

struct bed {
    struct node node;
    struct participant participant;
    struct rollouts *rollouts;
    Wire__Node *members[1];
    Wire__Node member;
};

static struct bed *bed_new(void)
{
    struct bed *bed = mem_zalloc(sizeof *bed);
    bed->node.loop = loop_new();
    bed->node.table = routing_table_new();
    wire__members__init(&bed->node.members);
    wire__node__init(&bed->member);
    bed->member.id = 1;
    bed->members[0] = &bed->member;
    bed->node.members.nodes = bed->members;
    bed->node.members.n_nodes = 1;
    bed->participant.node = &bed->node;
    bed->participant.txn = txn_new(&(struct txn_config){.self = 1});
    bed->rollouts = rollouts_new(&bed->participant);
    bed->participant.rollouts = bed->rollouts;
    bed->rollouts->active = true;
    return bed;
}

static void bed_free(struct bed *bed)
{
    rollouts_stop(bed->rollouts);
    rollouts_free(bed->rollouts);
    txn_free(bed->participant.txn);
    routing_table_free(bed->node.table);
    loop_free(bed->node.loop);
    free(bed);
}

/* What the last leader left: the first switch is under way. */
static struct rollouts_entry *bed_restore(struct bed *bed, const char *steps)
{
    struct rollout r;
    struct error e;
    struct rollout_update update;
    rollout_init(&r);
    assert_int_equal(rollout_steps_parse(steps, &r, &e), 0);
    r.targets_n = 1;
    strcpy(r.targets[0].service, "web");
    strcpy(r.targets[0].stable, "m1");
    strcpy(r.targets[0].canary, "m2");
    uuid_generate(&r.id);
    struct rollout_event start = {.type = ROLLOUT_EVENT_START,
                                  .wall_ms = loop_wall_ms(bed->node.loop)};
    uuid_generate(&start.fresh);
    assert_int_equal(rollout_step(&r, &start, &update), 0);
    struct rollouts_entry *entry = rollouts_entry_new(bed->rollouts, &r);
    assert_int_equal(
        rollouts_step(entry, (struct rollout_event){.type = ROLLOUT_EVENT_RESTORED}, NULL, NULL),
        0);
    return entry;
}

static void bed_run(struct bed *bed, const struct rollouts_entry *entry, enum rollout_state state)
{
    enum { BED_MS = 30000 };
    int64_t end_ms = clock_mono_ms() + BED_MS;
    while (entry->r.state != state && clock_mono_ms() < end_ms)
        loop_turn(bed->node.loop);
    assert_string_equal(rollout_state_name(entry->r.state), rollout_state_name(state));
}

/* The deadline of the step that the answer began was lost when the answer came inside of the step
 * that had asked. */
static void what_a_step_asks_for_is_done_after_it(void **state)
{
    (void)state;
    struct bed *bed = bed_new();
    bed->node.outcome = TXN_OUTCOME_COMMIT;
    struct rollouts_entry *entry = bed_restore(bed, "5:50ms,25:50ms,100");
    assert_int_equal(bed->node.asked, 0);
    bed_run(bed, entry, ROLLOUT_STATE_PROMOTED);
    assert_int_equal(bed->node.asked, 1);
    assert_int_equal(bed->node.begun, 2);
    bed_free(bed);
}

static void a_switch_that_its_leader_did_not_decide_is_made_anew(void **state)
{
    (void)state;
    struct bed *bed = bed_new();
    bed->node.outcome = TXN_OUTCOME_ABORT;
    struct rollouts_entry *entry = bed_restore(bed, "100");
    bed_run(bed, entry, ROLLOUT_STATE_PROMOTED);
    assert_int_equal(bed->node.begun, 1);
    bed_free(bed);
}

static void what_is_kept_is_read_as_it_was(void **state)
{
    (void)state;
    struct bed *bed = bed_new();
    struct rollout r;
    json_t *notes;
    rollout_init(&r);
    r.kind = ROLLOUT_KIND_ROLLBACK;
    r.steps_n = 0;
    r.state = ROLLOUT_STATE_SWITCHING;
    r.targets_n = 1;
    strcpy(r.targets[0].service, "web");
    strcpy(r.targets[0].canary, "m1");
    r.targets[0].to_version = 3;
    struct rollouts_entry *entry = rollouts_entry_new(bed->rollouts, &r);
    json_t *json = rollouts_json(entry);
    assert_int_equal(rollouts_parse(json, &r, &notes), 0);
    assert_int_equal(r.steps_n, 0);
    assert_int_equal(r.targets[0].to_version, 3);
    json_decref(notes);
    json_decref(json);
    bed_free(bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_step_asks_for_is_done_after_it),
        cmocka_unit_test(a_switch_that_its_leader_did_not_decide_is_made_anew),
        cmocka_unit_test(what_is_kept_is_read_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
