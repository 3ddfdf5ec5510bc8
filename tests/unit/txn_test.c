/* Two-phase commit on a bed of machines whose messages wait until they are told to arrive. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "core/txn.h"

enum { BED_MAX = 5, BED_MESSAGES_MAX = 256 };

struct bed {
    int n;
    int64_t now_ms;
    bool group;
    bool down[BED_MAX + 1];
    bool judges_no[BED_MAX + 1];
    bool silent_judge[BED_MAX + 1];
    struct txn *txn[BED_MAX + 1];
    struct txn_update update[BED_MAX + 1];
    struct {
        uint64_t to;
        struct txn_message message;
    } messages[BED_MESSAGES_MAX];
    size_t messages_n;
    enum txn_outcome registered, outcome;
    bool no_group_answer;
    int resolved; /* code of the last answer to an operator; 1: none */
    int alarms;
    int ended;
    char text[TXN_TEXT_MAX];
};

static int bed_step(struct bed *bed, int node, struct txn_event event);

static void bed_effect(struct bed *bed, int node, struct txn_effect *effect)
{
    switch (effect->type) {
    case TXN_EFFECT_SEND:
        assert_true(bed->messages_n < BED_MESSAGES_MAX);
        bed->messages[bed->messages_n].to = effect->message.peer;
        bed->messages[bed->messages_n].message = effect->message;
        bed->messages[bed->messages_n++].message.peer = (uint64_t)node;
        effect->message = (struct txn_message){0};
        break;
    case TXN_EFFECT_JUDGE:
        if (!bed->silent_judge[node])
            bed_step(bed, node,
                     (struct txn_event){.type = TXN_EVENT_JUDGED,
                                        .txid = effect->body->txid,
                                        .yes = !bed->judges_no[node],
                                        .text = "too many errors"});
        break;
    case TXN_EFFECT_PROPOSE:
        if (bed->registered == TXN_OUTCOME_NONE)
            bed->registered = effect->outcome;
        if (!bed->no_group_answer)
            bed_step(bed, node,
                     (struct txn_event){.type = TXN_EVENT_GROUP,
                                        .txid = effect->txid,
                                        .outcome = bed->registered});
        break;
    case TXN_EFFECT_OUTCOME:
        bed->outcome = effect->outcome;
        memcpy(bed->text, effect->text, sizeof bed->text);
        break;
    case TXN_EFFECT_RESOLVED:
        bed->resolved = effect->code;
        memcpy(bed->text, effect->text, sizeof bed->text);
        break;
    case TXN_EFFECT_ALARM:
        bed->alarms++;
        break;
    case TXN_EFFECT_ENDED:
        bed->ended++;
        break;
    default:
        break;
    }
}

static int bed_step(struct bed *bed, int node, struct txn_event event)
{
    event.now_ms = bed->now_ms;
    event.wall_ms = bed->now_ms;
    int err = txn_step(bed->txn[node], &event, &bed->update[node]);
    txn_check(bed->txn[node]);
    struct txn_update taken = bed->update[node];
    bed->update[node] = (struct txn_update){.next_deadline_ms = taken.next_deadline_ms};
    memcpy(bed->update[node].text, taken.text, sizeof taken.text);
    for (size_t i = 0; i < taken.effects_n; i++)
        bed_effect(bed, node, &taken.effects[i]);
    txn_update_done(&taken);
    return err;
}

static void bed_members(struct bed *bed, int node)
{
    uint64_t ids[BED_MAX];
    for (int i = 0; i < bed->n; i++)
        ids[i] = (uint64_t)i + 1;
    bed_step(
        bed, node,
        (struct txn_event){.type = TXN_EVENT_MEMBERS, .peers = ids, .peers_n = (size_t)bed->n});
    for (int i = 1; i <= bed->n; i++)
        bed_step(bed, node,
                 (struct txn_event){.type = TXN_EVENT_ALIVE, .peer = (uint64_t)i, .alive = true});
}

static void bed_start(struct bed *bed, int node)
{
    struct txn_config config;
    txn_config_default(&config, (uint64_t)node);
    bed->txn[node] = txn_new(&config);
    bed_step(bed, node, (struct txn_event){.type = TXN_EVENT_RESTORED});
    bed_members(bed, node);
}

static void bed_init(struct bed *bed, int n, bool group)
{
    *bed = (struct bed){.n = n, .now_ms = 1000, .group = group, .resolved = 1};
    for (int i = 1; i <= n; i++)
        bed_start(bed, i);
}

/* Delivers what is on its way, and what that causes; to nodes that are down nothing arrives. */
static void bed_deliver(struct bed *bed)
{
    for (size_t i = 0; i < bed->messages_n; i++) {
        int to = (int)bed->messages[i].to;
        struct txn_message message = bed->messages[i].message;
        if (!bed->down[to])
            bed_step(bed, to, (struct txn_event){.type = TXN_EVENT_RECEIVED, .message = &message});
        txn_body_free(message.body);
        txn_items_free(message.items, message.items_n);
        free(message.text);
    }
    bed->messages_n = 0;
}

static void bed_done(struct bed *bed)
{
    for (int i = 1; i <= bed->n; i++)
        bed->down[i] = true;
    bed_deliver(bed);
    for (int i = 1; i <= bed->n; i++) {
        txn_free(bed->txn[i]);
        txn_update_done(&bed->update[i]);
    }
}

static void bed_down(struct bed *bed, int node, bool down)
{
    bed->down[node] = down;
    for (int i = 1; i <= bed->n; i++) {
        if (!bed->down[i])
            bed_step(bed, i,
                     (struct txn_event){
                         .type = TXN_EVENT_ALIVE, .peer = (uint64_t)node, .alive = !down});
    }
}

static void bed_wait(struct bed *bed, int64_t ms)
{
    for (int64_t end_ms = bed->now_ms + ms; bed->now_ms < end_ms;) {
        bed->now_ms += 50;
        for (int i = 1; i <= bed->n; i++) {
            if (!bed->down[i])
                bed_step(bed, i, (struct txn_event){.type = TXN_EVENT_TICK});
        }
        bed_deliver(bed);
    }
}

static struct uuid id_of(int n)
{
    struct uuid id = {{0}};
    id.bytes[15] = (uint8_t)n;
    return id;
}

/* Node `node` begins transaction `n` on `key`, with the participants 1 to `participants`. */
static int bed_begin(struct bed *bed, int node, int n, const char *key, uint64_t base,
                     int participants)
{
    uint64_t ids[BED_MAX];
    for (int i = 0; i < participants; i++)
        ids[i] = (uint64_t)(participants - i);
    char name[8];
    strcpy(name, key);
    char value[] = "v";
    struct txn_write write = {.key = name, .base_version = base, .value = value, .len = 1};
    const struct txn_body from = {.txid = id_of(n),
                                  .coordinator = (uint64_t)node,
                                  .group = bed->group,
                                  .participants = ids,
                                  .participants_n = (size_t)participants,
                                  .writes = &write,
                                  .writes_n = 1};
    char why[TXN_TEXT_MAX];
    struct txn_body *body = txn_body_new(&from, why);
    assert_non_null(body);
    int err = bed_step(bed, node, (struct txn_event){.type = TXN_EVENT_BEGIN, .body = body});
    txn_body_free(body);
    return err;
}

static int bed_resolve(struct bed *bed, int node, int n, enum txn_outcome outcome)
{
    bed->resolved = 1;
    return bed_step(
        bed, node,
        (struct txn_event){
            .type = TXN_EVENT_RESOLVE, .txid = id_of(n), .outcome = outcome, .text = "ada"});
}

static void bed_expect(const struct bed *bed, int n, enum txn_state state)
{
    struct uuid id = id_of(n);
    for (int i = 1; i <= bed->n; i++) {
        if (!bed->down[i])
            assert_string_equal(txn_state_name(txn_state_of(bed->txn[i], &id)),
                                txn_state_name(state));
    }
}

/* ---- the two phases
 * ------------------------------------------------------------------------------- */

static void all_agree_and_every_node_has_the_new_version(void **state)
{
    (void)state;
    for (int group = 0; group < 2; group++) {
        struct bed bed;
        bed_init(&bed, 3, group);
        assert_int_equal(bed_begin(&bed, 2, 1, "web", 0, 3), 0);
        bed_deliver(&bed);
        bed_expect(&bed, 1, TXN_STATE_COMMITTED);
        assert_int_equal(bed.outcome, TXN_OUTCOME_COMMIT);
        assert_int_equal(bed.ended, 1);
        for (int i = 1; i <= 3; i++)
            assert_int_equal(txn_version(bed.txn[i], "web"), 1);
        assert_int_equal(bed.registered, group ? TXN_OUTCOME_COMMIT : TXN_OUTCOME_NONE);
        bed_done(&bed);
    }
}

static void one_no_aborts_with_its_reason(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, false);
    bed.judges_no[3] = true;
    bed_begin(&bed, 1, 1, "web", 0, 3);
    bed_deliver(&bed);
    assert_int_equal(bed.outcome, TXN_OUTCOME_ABORT);
    assert_string_equal(bed.text, "node 3 votes no: too many errors");
    assert_int_equal(txn_version(bed.txn[1], "web"), 0);
    bed_done(&bed);
}

static void a_vote_that_does_not_come_within_two_seconds_is_an_abort(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, false);
    bed.silent_judge[2] = true;
    bed_begin(&bed, 1, 1, "web", 0, 3);
    bed_wait(&bed, 1950);
    assert_int_equal(bed.outcome, TXN_OUTCOME_NONE);
    bed_wait(&bed, 50);
    assert_int_equal(bed.outcome, TXN_OUTCOME_ABORT);
    assert_string_equal(bed.text, "node 2 did not vote within 2000 ms");
    /* the judge comes to its end, too late */
    assert_int_equal(
        bed_step(&bed, 2,
                 (struct txn_event){.type = TXN_EVENT_JUDGED, .txid = id_of(1), .yes = true}),
        ERR_NOT_FOUND);
    bed_deliver(&bed);
    assert_int_equal(bed.ended, 1);
    bed_done(&bed);
}

static void of_two_coordinators_one_wins_and_the_other_is_told(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, false);
    bed.silent_judge[3] = true;
    bed_begin(&bed, 1, 1, "web", 0, 3);
    bed_deliver(&bed);
    bed_begin(&bed, 2, 2, "web", 0, 3);
    bed_deliver(&bed);
    assert_int_equal(bed.outcome, TXN_OUTCOME_ABORT);
    assert_non_null(strstr(bed.text, "is being changed by transaction"));
    bed_step(&bed, 3, (struct txn_event){.type = TXN_EVENT_JUDGED, .txid = id_of(1), .yes = true});
    bed_deliver(&bed);
    assert_int_equal(bed.outcome, TXN_OUTCOME_COMMIT);
    /* and a third one builds on what is no longer there */
    bed_begin(&bed, 2, 3, "web", 0, 3);
    bed_deliver(&bed);
    assert_int_equal(bed.outcome, TXN_OUTCOME_ABORT);
    assert_non_null(strstr(bed.text, "has version 1 of web, the change builds on 0"));
    bed_done(&bed);
}

static void a_minority_cannot_change_anything(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 4, false);
    assert_int_equal(bed_begin(&bed, 1, 1, "web", 0, 2), ERR_UNAVAILABLE);
    assert_string_equal(bed.update[1].text, "2 of 4 nodes are there, a change needs a majority");
    assert_int_equal(bed_begin(&bed, 1, 1, "web", 0, 3), 0);
    assert_int_equal(bed_begin(&bed, 1, 1, "web", 0, 3), ERR_EXISTS);
    bed_done(&bed);
}

/* ---- in doubt
 * -------------------------------------------------------------------------------------- */

/* Participants 1 to 3 of coordinator `coordinator` are prepared, and it is down undecided. */
static void bed_doubt(struct bed *bed, int coordinator)
{
    bed_begin(bed, coordinator, 1, "web", 0, 3);
    bed->silent_judge[coordinator] = true;
    for (size_t i = 0; i < bed->messages_n; i++)
        assert_int_equal(bed->messages[i].message.type, TXN_MESSAGE_PREPARE);
    bed_deliver(bed);
    bed_down(bed, coordinator, true);
}

static void when_all_that_answer_are_prepared_they_wait_for_the_coordinator(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, false);
    bed.silent_judge[1] = true;
    bed_doubt(&bed, 1);
    bed_wait(&bed, 60000);
    bed_expect(&bed, 1, TXN_STATE_DOUBT);
    struct txn_doubt doubt;
    assert_true(txn_doubt_at(bed.txn[2], 0, &doubt));
    assert_int_equal(doubt.body->coordinator, 1);
    /* it forgot everything: presumed abort */
    txn_free(bed.txn[1]);
    bed_start(&bed, 1);
    bed_down(&bed, 1, false);
    bed_wait(&bed, 2000);
    struct uuid id = id_of(1);
    assert_int_equal(txn_state_of(bed.txn[2], &id), TXN_STATE_ABORTED);
    assert_int_equal(txn_state_of(bed.txn[3], &id), TXN_STATE_ABORTED);
    bed_done(&bed);
}

static void a_participant_that_has_not_voted_refuses_for_good_when_asked(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 5, false);
    bed.silent_judge[1] = bed.silent_judge[2] = true;
    bed_begin(&bed, 1, 1, "web", 0, 3);
    bed_deliver(&bed);
    bed_down(&bed, 1, true);
    bed_wait(&bed, 5000);
    struct uuid id = id_of(1);
    assert_int_equal(txn_state_of(bed.txn[3], &id), TXN_STATE_ABORTED);
    assert_int_equal(txn_state_of(bed.txn[2], &id), TXN_STATE_REFUSED);
    bed_done(&bed);
}

static void a_known_decision_wins(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, false);
    bed_begin(&bed, 1, 1, "web", 0, 3);
    bed_deliver(&bed);
    struct uuid id = id_of(1);
    assert_int_equal(txn_state_of(bed.txn[2], &id), TXN_STATE_COMMITTED);
    /* node 3 replays only its vote */
    struct uuid ids = id;
    uint64_t participants[] = {1, 2, 3};
    char key[] = "web";
    char value[] = "v";
    struct txn_write write = {.key = key, .value = value, .len = 1};
    const struct txn_body from = {.txid = ids,
                                  .coordinator = 1,
                                  .participants = participants,
                                  .participants_n = 3,
                                  .writes = &write,
                                  .writes_n = 1};
    char why[TXN_TEXT_MAX];
    struct txn_record record = {.type = TXN_RECORD_PREPARED, .txid = id};
    record.body = txn_body_new(&from, why);
    txn_free(bed.txn[3]);
    struct txn_config config;
    txn_config_default(&config, 3);
    bed.txn[3] = txn_new(&config);
    assert_int_equal(
        bed_step(&bed, 3, (struct txn_event){.type = TXN_EVENT_RESTORE, .record = &record}), 0);
    assert_int_equal(
        bed_step(&bed, 3, (struct txn_event){.type = TXN_EVENT_RESTORE, .record = &record}),
        ERR_CORRUPT);
    txn_body_free(record.body);
    bed_step(&bed, 3, (struct txn_event){.type = TXN_EVENT_RESTORED});
    bed_members(&bed, 3);
    bed_down(&bed, 1, true);
    bed_wait(&bed, 5000);
    assert_int_equal(txn_state_of(bed.txn[3], &id), TXN_STATE_COMMITTED);
    assert_int_equal(txn_version(bed.txn[3], "web"), 1);
    bed_done(&bed);
}

static void with_a_metadata_group_a_lost_coordinator_blocks_nobody(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, true);
    bed.silent_judge[1] = true;
    bed_doubt(&bed, 1);
    bed_wait(&bed, 5000);
    bed_expect(&bed, 1, TXN_STATE_ABORTED);
    assert_int_equal(bed.registered, TXN_OUTCOME_ABORT);
    bed_done(&bed);
}

/* ---- operators
 * -------------------------------------------------------------------------------------- */

static void an_operator_is_refused_what_contradicts_or_is_not_known(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, false);
    assert_int_equal(bed_resolve(&bed, 1, 9, TXN_OUTCOME_COMMIT), ERR_NOT_FOUND);
    assert_non_null(strstr(bed.update[1].text, "rollout indoubt"));
    bed_begin(&bed, 1, 1, "web", 0, 3);
    bed_deliver(&bed);
    assert_int_equal(bed_resolve(&bed, 2, 1, TXN_OUTCOME_ABORT), ERR_CONFLICT);
    assert_string_equal(bed.update[2].text,
                        "the transaction is committed; a known outcome is never changed");
    assert_int_equal(bed_resolve(&bed, 2, 1, TXN_OUTCOME_COMMIT), 0);
    assert_int_equal(bed.resolved, 0);
    bed_done(&bed);
}

static void an_operator_aborts_what_waits_and_commits_only_what_all_prepared(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, false);
    bed.silent_judge[1] = true;
    bed_doubt(&bed, 1);
    bed_wait(&bed, 4000);
    assert_int_equal(bed_resolve(&bed, 2, 1, TXN_OUTCOME_COMMIT), 0);
    assert_int_equal(bed_resolve(&bed, 2, 1, TXN_OUTCOME_COMMIT), ERR_BUSY);
    bed.resolved = 1;
    bed_wait(&bed, 2000);
    assert_int_equal(bed.resolved, ERR_UNAVAILABLE);
    assert_non_null(strstr(bed.text, "node 1 did not say that it is prepared"));
    assert_int_equal(bed_resolve(&bed, 2, 1, TXN_OUTCOME_ABORT), 0);
    bed_wait(&bed, 2000);
    assert_int_equal(bed.resolved, 0);
    bed_expect(&bed, 1, TXN_STATE_ABORTED);
    bed_done(&bed);
}

static void a_live_coordinator_decides_by_itself(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, true);
    bed.no_group_answer = true; /* the group has no leader */
    bed_begin(&bed, 1, 1, "web", 0, 3);
    bed_deliver(&bed);
    assert_int_equal(bed_resolve(&bed, 2, 1, TXN_OUTCOME_ABORT), 0);
    bed_deliver(&bed);
    bed_wait(&bed, 1500);
    assert_int_equal(bed.resolved, ERR_CONFLICT);
    bed.no_group_answer = false;
    bed_wait(&bed, 2000);
    bed_expect(&bed, 1, TXN_STATE_COMMITTED);
    bed_done(&bed);
}

static void two_outcomes_that_meet_are_an_alarm_and_change_nothing(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, false);
    bed_begin(&bed, 1, 1, "web", 0, 3);
    bed_deliver(&bed);
    const struct txn_message lie = {
        .type = TXN_MESSAGE_DECISION, .peer = 3, .txid = id_of(1), .outcome = TXN_OUTCOME_ABORT};
    for (int i = 0; i < 3; i++)
        bed_step(&bed, 2, (struct txn_event){.type = TXN_EVENT_RECEIVED, .message = &lie});
    assert_int_equal(bed.alarms, 1);
    bed_expect(&bed, 1, TXN_STATE_COMMITTED);
    bed_done(&bed);
}

/* ---- reconciliation, restarts
 * ------------------------------------------------------------------------ */

static void who_missed_a_change_fetches_it_and_is_out_of_rotation_until_then(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, false);
    bed_down(&bed, 3, true);
    bed_begin(&bed, 1, 1, "web", 0, 2);
    bed_deliver(&bed);
    assert_int_equal(txn_version(bed.txn[1], "web"), 1);
    char key[] = "web";
    struct txn_item item = {.key = key, .version = 1};
    const struct txn_message beat = {
        .type = TXN_MESSAGE_HEARTBEAT, .peer = 1, .items = &item, .items_n = 1};
    bed.now_ms += 100;
    bed_step(&bed, 3, (struct txn_event){.type = TXN_EVENT_RECEIVED, .message = &beat});
    assert_true(txn_in_rotation(bed.txn[3]));
    bed.now_ms += TXN_LAG_MS;
    bed_step(&bed, 3, (struct txn_event){.type = TXN_EVENT_TICK});
    assert_false(txn_in_rotation(bed.txn[3]));
    bed_down(&bed, 3, false);
    bed_wait(&bed, 2 * TXN_HEARTBEAT_MS);
    assert_true(txn_in_rotation(bed.txn[3]));
    assert_int_equal(txn_version(bed.txn[3], "web"), 1);
    assert_memory_equal(txn_item(bed.txn[3], "web", 1)->value, "v", 1);
    bed_done(&bed);
}

struct replay {
    struct txn *txn;
    struct txn_update update;
    int n;
};

static void replay_one(void *arg, const struct txn_record *record)
{
    struct replay *replay = arg;
    const struct txn_event event = {.type = TXN_EVENT_RESTORE, .record = record};
    assert_int_equal(txn_step(replay->txn, &event, &replay->update), 0);
    replay->n++;
}

static void a_snapshot_says_what_the_records_said(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed, 3, false);
    for (int i = 1; i <= 5; i++) {
        bed.judges_no[3] = i == 3;
        bed_begin(&bed, 1, i, "web", txn_version(bed.txn[1], "web"), 3);
        bed_deliver(&bed);
    }
    bed.judges_no[3] = false;
    bed.silent_judge[3] = true;
    bed_begin(&bed, 1, 6, "api", 0, 3);
    bed_deliver(&bed);
    struct txn_config config;
    txn_config_default(&config, 2);
    struct replay replay = {.txn = txn_new(&config)};
    txn_snapshot(bed.txn[2], replay_one, &replay);
    assert_true(replay.n > 5);
    assert_int_equal(txn_version(replay.txn, "web"), 4);
    assert_non_null(txn_item(replay.txn, "web", 2));
    for (int i = 1; i <= 6; i++) {
        struct uuid id = id_of(i);
        assert_int_equal(txn_state_of(replay.txn, &id), txn_state_of(bed.txn[2], &id));
    }
    assert_non_null(txn_holder(replay.txn, "api"));
    txn_check(replay.txn);
    txn_free(replay.txn);
    txn_update_done(&replay.update);
    bed_done(&bed);
}

static void what_breaks_a_limit_is_no_transaction(void **state)
{
    (void)state;
    char why[TXN_TEXT_MAX];
    uint64_t twice[] = {2, 2};
    char good[] = "web";
    char bad[] = "a b";
    struct txn_write writes[] = {{.key = good}, {.key = good}};
    struct txn_body body = {.txid = id_of(1),
                            .coordinator = 1,
                            .participants = twice,
                            .participants_n = 1,
                            .writes = writes,
                            .writes_n = 2};
    assert_null(txn_body_new(&body, why));
    assert_string_equal(why, "web is changed twice in one transaction");
    body.writes_n = 1;
    body.participants_n = 2;
    assert_null(txn_body_new(&body, why));
    body.participants_n = 1;
    writes[0].key = bad;
    assert_null(txn_body_new(&body, why));
    writes[0].key = good;
    writes[0].len = TXN_VALUE_BYTES_MAX + 1;
    writes[0].value = mem_zalloc(writes[0].len);
    assert_null(txn_body_new(&body, why));
    free(writes[0].value);
    body.writes_n = 0;
    assert_null(txn_body_new(&body, why));
}

static void the_machines_print_themselves(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 8192);
    assert_int_equal(txn_state_print(&out), 0);
    assert_non_null(strstr(buf_cstr(&out), "| participant | prepared | committed | decided |\n"));
    buf_done(&out);
    assert_false(txn_state_allows(TXN_SIDE_PARTICIPANT, TXN_STATE_COMMITTED, TXN_STATE_ABORTED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_agree_and_every_node_has_the_new_version),
        cmocka_unit_test(one_no_aborts_with_its_reason),
        cmocka_unit_test(a_vote_that_does_not_come_within_two_seconds_is_an_abort),
        cmocka_unit_test(of_two_coordinators_one_wins_and_the_other_is_told),
        cmocka_unit_test(a_minority_cannot_change_anything),
        cmocka_unit_test(when_all_that_answer_are_prepared_they_wait_for_the_coordinator),
        cmocka_unit_test(a_participant_that_has_not_voted_refuses_for_good_when_asked),
        cmocka_unit_test(a_known_decision_wins),
        cmocka_unit_test(with_a_metadata_group_a_lost_coordinator_blocks_nobody),
        cmocka_unit_test(an_operator_is_refused_what_contradicts_or_is_not_known),
        cmocka_unit_test(an_operator_aborts_what_waits_and_commits_only_what_all_prepared),
        cmocka_unit_test(a_live_coordinator_decides_by_itself),
        cmocka_unit_test(two_outcomes_that_meet_are_an_alarm_and_change_nothing),
        cmocka_unit_test(who_missed_a_change_fetches_it_and_is_out_of_rotation_until_then),
        cmocka_unit_test(a_snapshot_says_what_the_records_said),
        cmocka_unit_test(what_breaks_a_limit_is_no_transaction),
        cmocka_unit_test(the_machines_print_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
