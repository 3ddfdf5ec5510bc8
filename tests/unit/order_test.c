#include "core/order.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tests/lib/order_bed.h"
#include "tests/unit/generated.h"

/* ---- delivery -------------------------------------------------------------------------------- */

static void a_node_alone_leads_and_delivers(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 1);
    order_bed_form(&bed);
    order_bed_submit(&bed, 1, 1, 1);
    assert_int_equal(bed.nodes[1].acks, 0); /* not on its disk yet */
    order_bed_settle(&bed);
    assert_int_equal(bed.nodes[1].acks, 1);
    assert_int_equal(bed.nodes[1].reply.seq, 2); /* behind the entry that its lead began with */
    assert_int_equal(bed.nodes[1].messages, 1);
    order_bed_done(&bed);
}

static void the_highest_id_leads_and_any_node_takes_messages(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 5);
    order_bed_form(&bed);
    assert_int_equal(order_bed_leader(&bed, 1000), 5);
    for (unsigned id = 1; id <= 5; id++)
        order_bed_submit(&bed, id, id, 1);
    order_bed_settle(&bed);
    for (unsigned id = 1; id <= 5; id++) {
        assert_int_equal(bed.nodes[id].acks, 1);
        assert_int_equal(bed.nodes[id].messages, 5);
        assert_int_equal(order_bed_view(&bed, id).leader, 5);
    }
    order_bed_done(&bed);
}

static void a_message_is_acknowledged_when_a_majority_has_it_on_disk_and_not_before(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    bed.nodes[1].disk_hangs = bed.nodes[2].disk_hangs = true;
    order_bed_submit(&bed, 3, 1, 1);
    order_bed_settle(&bed);
    assert_int_equal(bed.nodes[3].acks, 0);
    bed.nodes[1].disk_hangs = false;
    order_bed_settle(&bed);
    assert_int_equal(bed.nodes[3].acks, 1);
    order_bed_wait(&bed, 10);
    assert_int_equal(bed.nodes[1].messages, 1);
    assert_int_equal(bed.nodes[2].messages, 0); /* it has the entry, not on its disk */
    order_bed_done(&bed);
}

struct sent_count {
    unsigned appends; /* with entries */
    unsigned notices;
    unsigned replies;
};

static struct sent_count sent;

static void count_sent(struct order_bed *bed, unsigned from, const struct order_send *send)
{
    (void)bed;
    (void)from;
    const Wire__ChatMessage *message = send->message;
    if (message->kind_case == WIRE__CHAT_MESSAGE__KIND_APPEND) {
        sent.appends += message->append->count > 0;
        sent.notices += message->append->notice;
    } else if (message->kind_case == WIRE__CHAT_MESSAGE__KIND_APPEND_REPLY) {
        sent.replies++;
    }
}

static void what_a_majority_has_is_told_with_the_next_entries(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    order_bed_wait(&bed, 10);
    bed.on_send = count_sent;
    sent = (struct sent_count){0};
    for (unsigned i = 1; i <= 3; i++) {
        order_bed_submit(&bed, 3, 1, i);
        order_bed_settle(&bed);
        assert_int_equal(bed.nodes[3].acks, i);
        assert_int_equal(bed.nodes[1].messages, i - 1);
    }
    assert_int_equal(sent.appends, 6);
    assert_int_equal(sent.notices, 0);
    order_bed_wait(&bed, 10); /* nothing follows: it is told alone */
    assert_int_equal(bed.nodes[1].messages, 3);
    assert_int_equal(bed.nodes[2].messages, 3);
    assert_int_equal(sent.notices, 2);
    assert_int_equal(sent.replies, 6);
    order_bed_done(&bed);
}

static void a_node_whose_clients_wait_is_told_at_once_what_a_majority_has(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    order_bed_wait(&bed, 10);
    order_bed_submit(&bed, 1, 1, 1);
    order_bed_settle(&bed);
    assert_int_equal(bed.nodes[1].acks, 1);
    assert_int_equal(bed.nodes[1].messages, 1);
    assert_int_equal(bed.nodes[2].messages, 0);
    order_bed_wait(&bed, 10);
    assert_int_equal(bed.nodes[2].messages, 1);
    order_bed_done(&bed);
}

/* ---- duplicates ------------------------------------------------------------------------------ */

static void a_message_repeated_anywhere_is_in_the_log_once(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    order_bed_submit(&bed, 1, 7, 1);
    order_bed_submit(&bed, 2, 7, 1);
    order_bed_submit(&bed, 3, 7, 1);
    order_bed_settle(&bed);
    for (unsigned id = 1; id <= 3; id++) {
        assert_int_equal(bed.nodes[id].messages, 1);
        assert_int_equal(bed.nodes[id].reply.seq, 2);
        assert_int_equal(bed.nodes[id].acks, 1);
    }
    order_bed_wait(&bed, 1000000);
    order_bed_submit(&bed, 2, 7, 1);
    assert_true(bed.nodes[2].reply.duplicate);
    assert_int_equal(bed.nodes[2].reply.code, 0);
    assert_int_equal(bed.nodes[2].messages, 1);
    order_bed_done(&bed);
}

static void numbers_may_leave_gaps_up_to_a_limit(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 1);
    order_bed_form(&bed);
    for (uint64_t i = 1; i <= ORDER_NUMBER_GAPS_MAX; i++) {
        order_bed_submit(&bed, 1, 1, 2 * i);
        order_bed_settle(&bed);
        assert_int_equal(bed.nodes[1].reply.code, 0);
    }
    order_bed_submit(&bed, 1, 1, UINT64_MAX);
    assert_int_equal(bed.nodes[1].reply.code, ERR_TOO_LARGE);
    order_bed_submit(&bed, 1, 1, 1); /* fills one */
    order_bed_settle(&bed);
    order_bed_submit(&bed, 1, 1, UINT64_MAX);
    order_bed_settle(&bed);
    assert_int_equal(bed.nodes[1].reply.code, 0);
    order_bed_done(&bed);
}

static void the_earlier_of_two_askers_is_told_that_the_later_one_gets_the_answer(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 1);
    order_bed_form(&bed);
    bed.nodes[1].disk_hangs = true;
    order_bed_submit(&bed, 1, 1, 1);
    order_bed_submit(&bed, 1, 1, 1);
    assert_int_equal(bed.nodes[1].reply.code, ERR_CANCELLED);
    bed.nodes[1].disk_hangs = false;
    order_bed_settle(&bed);
    assert_int_equal(bed.nodes[1].acks, 1);
    order_bed_done(&bed);
}

/* ---- elections ------------------------------------------------------------------------------- */

static void after_a_leaders_death_the_next_delivery_comes_within_600_ms(void **state)
{
    (void)state;
    for (unsigned told = 0; told < 2; told++) {
        struct order_bed bed;
        order_bed_init(&bed, 3);
        order_bed_form(&bed);
        order_bed_wait(&bed, 1000);
        for (unsigned id = 1; id <= 2 && told == 0; id++) /* the host is gone, nobody says so */
            bed.cut[3][id] = bed.cut[id][3] = true;
        if (told != 0)
            order_bed_kill(&bed, 3);
        int64_t died_ms = bed.now_ms;
        order_bed_submit(&bed, 1, 1, 1);
        while (bed.nodes[1].acks == 0 && bed.now_ms < died_ms + 5000)
            order_bed_wait(&bed, 1);
        assert_in_range(bed.now_ms - died_ms, 0, told != 0 ? 300 : 600);
        assert_int_equal(order_bed_view(&bed, 1).leader, 2);
        order_bed_done(&bed);
    }
}

static void a_returning_higher_id_catches_up_and_then_gets_the_lead_without_a_gap(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    order_bed_submit(&bed, 1, 1, 1);
    order_bed_settle(&bed);
    order_bed_kill(&bed, 3);
    assert_int_equal(order_bed_leader(&bed, 1000), 2);
    for (uint64_t number = 2; number <= 50; number++)
        order_bed_submit(&bed, 1, 1, number);
    order_bed_settle(&bed);
    order_bed_start(&bed, 3);
    uint64_t number = 51;
    int64_t slowest_ms = 0;
    while (order_bed_view(&bed, 1).leader != 3 && number < 2000) {
        int64_t at_ms = bed.now_ms;
        uint64_t acks = bed.nodes[1].acks;
        order_bed_submit(&bed, 1, 1, number++);
        for (order_bed_settle(&bed); bed.nodes[1].acks == acks;)
            order_bed_wait(&bed, 1);
        slowest_ms = bed.now_ms - at_ms > slowest_ms ? bed.now_ms - at_ms : slowest_ms;
        order_bed_wait(&bed, 10);
    }
    assert_int_equal(order_bed_view(&bed, 1).leader, 3);
    assert_in_range(slowest_ms, 0, 100);
    order_bed_wait(&bed, 500);
    for (unsigned id = 1; id <= 3; id++)
        assert_int_equal(bed.nodes[id].messages, number - 1);
    order_bed_done(&bed);
}

static void a_node_whose_disk_lost_what_it_acknowledged_gets_it_again(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    for (uint64_t number = 1; number <= 50; number++)
        order_bed_submit(&bed, 3, 1, number);
    order_bed_wait(&bed, 200);
    order_bed_kill(&bed, 1);
    order_bed_lose(&bed, 1, 20);
    order_bed_start(&bed, 1);
    order_bed_wait(&bed, 500);
    assert_int_equal(bed.nodes[1].messages, 50);
    order_bed_done(&bed);
}

static void a_minority_neither_elects_nor_acknowledges(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 5);
    order_bed_form(&bed);
    for (unsigned a = 4; a <= 5; a++) {
        for (unsigned b = 1; b <= 3; b++)
            bed.cut[a][b] = bed.cut[b][a] = true;
    }
    order_bed_submit(&bed, 5, 1, 1);
    order_bed_wait(&bed, 2000);
    assert_int_equal(bed.nodes[5].acks, 0);
    for (unsigned id = 4; id <= 5; id++) {
        assert_int_not_equal(order_state(bed.nodes[id].order), ORDER_STATE_LEADING);
        assert_int_equal(order_bed_view(&bed, id).term, 1); /* it did not even claim */
    }
    assert_int_equal(order_bed_leader(&bed, 0), 3);
    memset(bed.cut, 0, sizeof bed.cut);
    order_bed_wait(&bed, 3000);
    assert_int_equal(bed.nodes[5].acks, 1);
    assert_int_equal(order_bed_leader(&bed, 0), 5);
    order_bed_done(&bed);
}

static void a_node_that_hears_nobody_does_not_depose_a_leader_that_others_hear(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    bed.cut[3][1] = true; /* one way */
    order_bed_wait(&bed, 3000);
    assert_int_equal(order_bed_leader(&bed, 0), 3);
    assert_int_equal(order_bed_view(&bed, 3).term, 1);
    order_bed_done(&bed);
}

static void a_promise_is_sent_when_it_is_durable(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    order_bed_kill(&bed, 3);
    bed.nodes[1].disk_hangs = true;
    assert_int_equal(order_bed_leader(&bed, 250), 0);
    bed.nodes[1].disk_hangs = false;
    assert_int_equal(order_bed_leader(&bed, 1000), 2);
    order_bed_done(&bed);
}

/* ---- disks ----------------------------------------------------------------------------------- */

static unsigned appends_of_leader;

static void count_appends(struct order_bed *bed, unsigned from, const struct order_send *send)
{
    (void)bed;
    appends_of_leader += from == 3 && send->message->kind_case == WIRE__CHAT_MESSAGE__KIND_APPEND;
}

static void a_leader_whose_disk_hangs_falls_silent_and_gives_up(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    order_bed_wait(&bed, 1000);
    bed.on_send = count_appends;
    bed.nodes[3].disk_hangs = true;
    order_bed_wait(&bed, 110);
    appends_of_leader = 0;
    order_bed_wait(&bed, 200);
    assert_int_equal(appends_of_leader, 0); /* no heartbeat left since */
    order_bed_wait(&bed, 600);
    assert_int_equal(order_bed_leader(&bed, 0), 2);
    assert_true(order_bed_view(&bed, 3).disk_hangs);
    order_bed_wait(&bed, 3000);
    assert_int_equal(order_bed_leader(&bed, 0), 2); /* it is not able to lead */
    bed.nodes[3].disk_hangs = false;
    order_bed_wait(&bed, 3000);
    assert_int_equal(order_bed_leader(&bed, 0), 3);
    order_bed_done(&bed);
}

static void on_a_full_disk_another_leads_and_what_was_delivered_is_still_there(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    order_bed_submit(&bed, 3, 1, 1);
    order_bed_settle(&bed);
    order_bed_step(&bed, 3, (struct order_event){.type = ORDER_EVENT_DISK, .disk_code = -28});
    order_bed_wait(&bed, 300);
    assert_int_equal(order_bed_leader(&bed, 0), 2);
    order_bed_submit(&bed, 3, 1, 2); /* it still forwards */
    order_bed_settle(&bed);
    order_bed_wait(&bed, 300);
    assert_int_equal(bed.nodes[1].messages, 2);
    assert_int_equal(bed.nodes[3].messages, 1);
    assert_non_null(order_entry(bed.nodes[3].order, 2));
    order_bed_step(&bed, 3, (struct order_event){.type = ORDER_EVENT_DISK});
    order_bed_wait(&bed, 2000);
    assert_int_equal(bed.nodes[3].messages, 2);
    assert_int_equal(order_bed_leader(&bed, 0), 3);
    order_bed_done(&bed);
}

static void a_node_that_stops_hands_on_at_once(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    order_bed_wait(&bed, 1000);
    order_bed_step(&bed, 3, (struct order_event){.type = ORDER_EVENT_STOP});
    order_bed_wait(&bed, 110);
    assert_int_equal(order_bed_leader(&bed, 0), 2);
    order_bed_submit(&bed, 3, 1, 1);
    assert_int_equal(bed.nodes[3].reply.code, ERR_UNAVAILABLE);
    order_bed_done(&bed);
}

/* ---- members --------------------------------------------------------------------------------- */

static void form_alone(struct order_bed *bed, unsigned id)
{
    struct order_member self = {.id = id};
    order_bed_start(bed, id);
    int err = order_bed_step(
        bed, id,
        (struct order_event){
            .type = ORDER_EVENT_FORM, .members = &self, .members_n = 1, .group = ORDER_BED_GROUP});
    assert_int_equal(err, 0);
    assert_int_equal(order_bed_leader(bed, 1000), id);
}

static size_t voters_of(const struct order_bed *bed, unsigned id)
{
    struct order_peer_view members[ORDER_MEMBERS_MAX];
    size_t n = order_members(bed->nodes[id].order, members);
    size_t voters = 0;
    for (size_t i = 0; i < n; i++)
        voters += members[i].member.voter;
    return voters;
}

static void nodes_join_through_any_member_and_then_vote(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    form_alone(&bed, 2);
    order_bed_submit(&bed, 2, 1, 1);
    order_bed_settle(&bed);
    order_bed_start(&bed, 1);
    assert_int_equal(order_bed_step(&bed, 1, (struct order_event){.type = ORDER_EVENT_JOIN}), 0);
    order_bed_wait(&bed, 500);
    assert_int_equal(voters_of(&bed, 2), 2);
    order_bed_start(&bed, 3);
    assert_int_equal(order_bed_step(&bed, 3, (struct order_event){.type = ORDER_EVENT_JOIN}), 0);
    order_bed_wait(&bed, 3000);
    for (unsigned id = 1; id <= 3; id++) {
        assert_int_equal(voters_of(&bed, id), 3);
        assert_int_equal(bed.nodes[id].messages, 1);
        assert_int_equal(order_bed_view(&bed, id).leader, 3);
    }
    assert_int_equal(order_bed_step(&bed, 1, (struct order_event){.type = ORDER_EVENT_JOIN}),
                     ERR_EXISTS);
    order_bed_done(&bed);
}

/* It may have acknowledged and promised what it does not know any more. */
static void a_voter_that_lost_its_log_votes_again_when_it_has_the_others(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    for (uint64_t number = 1; number <= 50; number++)
        order_bed_submit(&bed, 3, 1, number);
    order_bed_settle(&bed);
    order_bed_kill(&bed, 1);
    order_bed_lose(&bed, 1, 0);
    order_bed_kill(&bed, 3);
    order_bed_start(&bed, 1);
    assert_int_equal(order_bed_step(&bed, 1, (struct order_event){.type = ORDER_EVENT_JOIN}), 0);
    assert_int_equal(order_bed_leader(&bed, 2000), 0); /* only 3 may know what it acknowledged */
    order_bed_start(&bed, 3);
    while (voters_of(&bed, 3) == 3 && bed.now_ms < 60000)
        order_bed_wait(&bed, 1);
    assert_int_equal(voters_of(&bed, 3), 2);
    order_bed_wait(&bed, 2000);
    for (unsigned id = 1; id <= 3; id++) {
        assert_int_equal(voters_of(&bed, id), 3);
        assert_int_equal(bed.nodes[id].messages, 50);
    }
    order_bed_submit(&bed, 1, 2, 1);
    order_bed_wait(&bed, 500);
    assert_int_equal(bed.nodes[1].messages, 51);
    order_bed_done(&bed);
}

static void members_change_one_at_a_time(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    struct order_member four = {.id = 4, .uuid = {{4}}};
    struct order_member five = {.id = 5, .uuid = {{5}}};
    struct order_event put = {.type = ORDER_EVENT_MEMBER_PUT, .members = &four, .members_n = 1};
    struct order_event remove = {.type = ORDER_EVENT_MEMBER_REMOVE, .peer = 1};
    assert_int_equal(order_bed_step(&bed, 1, put), ERR_NOT_LEADER);
    assert_int_equal(order_bed_step(&bed, 3, put), 0);
    assert_int_equal(order_bed_step(&bed, 3, remove), ERR_BUSY);
    order_bed_settle(&bed);
    assert_int_equal(order_bed_step(&bed, 3, put), 0); /* is one already */
    five.id = 4;
    put.members = &five;
    assert_int_equal(order_bed_step(&bed, 3, put), ERR_EXISTS);
    assert_int_equal(order_bed_step(&bed, 3, remove), 0);
    order_bed_settle(&bed);
    assert_int_equal(voters_of(&bed, 3), 2);
    remove.peer = 9;
    assert_int_equal(order_bed_step(&bed, 3, remove), ERR_NOT_FOUND);
    order_bed_done(&bed);
}

static void a_leader_that_is_removed_goes_and_the_others_go_on(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    struct order_event remove = {.type = ORDER_EVENT_MEMBER_REMOVE, .peer = 3};
    assert_int_equal(order_bed_step(&bed, 3, remove), 0);
    order_bed_wait(&bed, 1000);
    assert_int_equal(order_state(bed.nodes[3].order), ORDER_STATE_OUTSIDE);
    assert_int_equal(order_bed_leader(&bed, 0), 2);
    order_bed_submit(&bed, 1, 1, 1);
    order_bed_settle(&bed);
    assert_int_equal(bed.nodes[1].acks, 1);
    order_bed_done(&bed);
}

static void the_last_voter_cannot_be_removed(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 1);
    order_bed_form(&bed);
    struct order_event remove = {.type = ORDER_EVENT_MEMBER_REMOVE, .peer = 1};
    assert_int_equal(order_bed_step(&bed, 1, remove), ERR_INVALID);
    order_bed_done(&bed);
}

static void a_log_is_formed_once_and_of_itself(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 2);
    order_bed_start(&bed, 1);
    struct order_member two = {.id = 2};
    struct order_event form = {
        .type = ORDER_EVENT_FORM, .members = &two, .members_n = 1, .group = 1};
    assert_int_equal(order_bed_step(&bed, 1, form), ERR_INVALID); /* it is not among them */
    two.id = 1;
    form.group = 0;
    assert_int_equal(order_bed_step(&bed, 1, form), ERR_INVALID);
    form.group = 1;
    assert_int_equal(order_bed_step(&bed, 1, form), 0);
    assert_int_equal(order_bed_step(&bed, 1, form), ERR_EXISTS);
    order_bed_done(&bed);
}

static void leadership_goes_where_it_is_told_and_back_to_the_highest(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    order_bed_wait(&bed, 1000);
    struct order_event transfer = {.type = ORDER_EVENT_TRANSFER, .peer = 1};
    assert_int_equal(order_bed_step(&bed, 2, transfer), ERR_NOT_LEADER);
    assert_int_equal(order_bed_step(&bed, 3, transfer), 0);
    order_bed_settle(&bed);
    assert_int_equal(order_bed_leader(&bed, 0), 1);
    order_bed_wait(&bed, 2000);
    assert_int_equal(order_bed_leader(&bed, 0), 3);
    order_bed_done(&bed);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void memory_stays_flat_and_old_entries_are_read_in_pieces(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    bed.check = false;
    bed.config.cache_bytes = 64 << 10;
    bed.config.chunk_bytes = 8 << 10;
    order_bed_form(&bed);
    order_bed_kill(&bed, 1);
    uint64_t bytes = 0;
    for (uint64_t number = 1; number <= 20000; number++) {
        order_bed_submit(&bed, 3, 1, number);
        if (number % 50 == 0)
            order_bed_settle(&bed);
        if (number == 2000)
            bytes = order_bed_view(&bed, 3).bytes;
    }
    assert_true(order_bed_view(&bed, 3).bytes <= bytes + (16 << 10));
    order_bed_start(&bed, 1);
    order_bed_wait(&bed, 2000);
    assert_int_equal(bed.nodes[1].messages, 20000);
    assert_true(bed.nodes[3].reads > 10);
    order_bed_done(&bed);
}

struct lumps {
    unsigned seen;
    Wire__ChatMessage *last; /* with a lump */
};

static void count_lumps(struct order_bed *bed, unsigned from, const struct order_send *send)
{
    struct lumps *lumps = bed->arg;
    if (send->message->kind_case != WIRE__CHAT_MESSAGE__KIND_APPEND ||
        send->message->append->lump.len == 0)
        return;
    assert_int_equal(from, 3);
    assert_int_equal(send->message->append->entries.len, 0);
    lumps->seen++;
    if (lumps->last != NULL)
        wire__chat_message__free_unpacked(lumps->last, NULL);
    size_t len = wire__chat_message__get_packed_size(send->message);
    uint8_t *bytes = mem_alloc(len);
    (void)wire__chat_message__pack(send->message, bytes);
    lumps->last = wire__chat_message__unpack(NULL, len, bytes);
    free(bytes);
}

/* Nodes 3 and 2 have 1,000 messages of five clients, node 1 missed them. */
static void init_far_behind(struct order_bed *bed, struct lumps *lumps)
{
    order_bed_init(bed, 3);
    bed->config.cache_bytes = 1 << 10;
    bed->config.chunk_bytes = 8 << 10;
    bed->config.lumps = true;
    *lumps = (struct lumps){0};
    bed->on_send = count_lumps;
    bed->arg = lumps;
    order_bed_form(bed);
    order_bed_kill(bed, 1);
    for (uint64_t number = 1; number <= 1000; number++) {
        order_bed_submit(bed, 3, (unsigned)(number % 5), number / 5 + 1);
        if (number % 50 == 0)
            order_bed_settle(bed);
    }
}

static void done_far_behind(struct order_bed *bed, struct lumps *lumps)
{
    if (lumps->last != NULL)
        wire__chat_message__free_unpacked(lumps->last, NULL);
    order_bed_done(bed);
}

static void a_node_far_behind_gets_lumps_where_both_take_them(void **state)
{
    (void)state;
    for (int taken = 0; taken < 3; taken++) {
        struct order_bed bed;
        struct lumps lumps;
        init_far_behind(&bed, &lumps);
        if (taken == 1) /* an older leader */
            order_bed_kill(&bed, 3);
        bed.config.lumps = taken == 2;
        if (taken == 1)
            order_bed_start(&bed, 3);
        bed.config.lumps = taken > 0;
        order_bed_start(&bed, 1);
        order_bed_wait(&bed, 3000);
        assert_int_equal(bed.nodes[1].messages, 1000);
        assert_true((lumps.seen > 5) == (taken == 2));
        assert_int_equal(bed.nodes[1].forms_n, bed.nodes[2].forms_n);
        for (size_t i = 0; i < bed.nodes[1].forms_n; i++)
            assert_memory_equal(bed.nodes[1].forms[i], bed.nodes[2].forms[i], bed.nodes[2].lens[i]);
        for (unsigned client = 0; client < 5; client++) {
            struct uuid id = order_bed_client(client);
            assert_true(order_knows(bed.nodes[1].order, &id, 100));
        }
        done_far_behind(&bed, &lumps);
    }
}

static void a_lump_waits_for_the_disk_and_what_follows_it_too(void **state)
{
    (void)state;
    struct order_bed bed;
    struct lumps lumps;
    init_far_behind(&bed, &lumps);
    order_bed_start(&bed, 1);
    bed.nodes[1].disk_hangs = true;
    order_bed_wait(&bed, 150);
    assert_true(lumps.seen > 0);
    assert_int_equal(bed.nodes[1].messages, 0);
    bed.nodes[1].disk_hangs = false;
    order_bed_submit(&bed, 3, 7, 1);
    order_bed_wait(&bed, 2000);
    assert_int_equal(bed.nodes[1].messages, 1001);
    done_far_behind(&bed, &lumps);
}

static void a_lump_that_lies_is_refused(void **state)
{
    (void)state;
    struct order_bed bed;
    struct lumps lumps;
    init_far_behind(&bed, &lumps);
    order_bed_start(&bed, 1);
    order_bed_wait(&bed, 100);
    assert_non_null(lumps.last);
    Wire__ChatMessage *message = lumps.last;
    Wire__ChatAppend *append = message->append;
    const Wire__ChatAppend good = *append;
    struct order_entry entries[ORDER_BED_LUMP_MAX];
    size_t ends[ORDER_BED_LUMP_MAX];
    for (int lie = 0; lie < 10; lie++) {
        *append = good;
        struct order_event event = {.type = ORDER_EVENT_MESSAGE,
                                    .peer = 3,
                                    .message = message,
                                    .entries = entries,
                                    .lump_ends = ends,
                                    .entries_n = order_bed_read_lump(append, entries, ends)};
        uint64_t last_seq = order_bed_view(&bed, 1).last_seq;
        switch (lie) {
        case 0:
            append->count++;
            break;
        case 1:
            append->count = 0;
            break;
        case 2: /* news */
            append->commit_seq = append->prev_seq + append->count - 1;
            break;
        case 3:
            entries[3].seq++;
            break;
        case 4:
            entries[3].term = 0;
            break;
        case 5: /* terms that fall */
            entries[2].term = 9;
            break;
        case 6:
            entries[4].client = (struct uuid){0};
            break;
        case 7:
            entries[4].number = 0;
            break;
        case 8:
            append->entries = append->lump;
            break;
        case 9:
            append->prev_seq = UINT64_MAX - 2;
            break;
        }
        assert_int_equal(order_bed_step(&bed, 1, event), ERR_PROTOCOL);
        assert_int_equal(order_bed_view(&bed, 1).last_seq, last_seq);
    }
    *append = good;
    done_far_behind(&bed, &lumps);
}

static void a_lump_is_refused_by_who_takes_none(void **state)
{
    (void)state;
    struct order_bed bed;
    struct lumps lumps;
    init_far_behind(&bed, &lumps);
    order_bed_start(&bed, 1);
    order_bed_wait(&bed, 100);
    order_bed_kill(&bed, 1);
    bed.config.lumps = false;
    order_bed_start(&bed, 1);
    struct order_entry entries[ORDER_BED_LUMP_MAX];
    size_t ends[ORDER_BED_LUMP_MAX];
    struct order_event event = {.type = ORDER_EVENT_MESSAGE,
                                .peer = 3,
                                .message = lumps.last,
                                .entries = entries,
                                .lump_ends = ends,
                                .entries_n =
                                    order_bed_read_lump(lumps.last->append, entries, ends)};
    assert_int_equal(order_bed_step(&bed, 1, event), ERR_PROTOCOL);
    done_far_behind(&bed, &lumps);
}

static void a_snapshot_holds_what_is_remembered_and_nothing_damaged_is_taken(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 1);
    order_bed_form(&bed);
    for (uint64_t number = 1; number <= 10; number++)
        order_bed_submit(&bed, 1, 1, 2 * number);
    order_bed_settle(&bed);
    struct buf snapshot;
    uint64_t seq = 0;
    buf_init(&snapshot, 1 << 20);
    assert_int_equal(order_snapshot(bed.nodes[1].order, &snapshot), 0);
    assert_int_equal(order_snapshot_seq(snapshot.data, snapshot.len, &seq), 0);
    assert_int_equal(seq, 11);
    struct order_config config = bed.config;
    config.id = 1;
    config.address = "";
    struct error e;
    struct order *other = order_new(&config);
    assert_int_equal(order_load_snapshot(other, snapshot.data, snapshot.len, &e), 0);
    struct uuid client = order_bed_client(1);
    for (uint64_t number = 1; number <= 20; number++)
        assert_true(order_knows(other, &client, number) == (number % 2 == 0));
    order_free(other);
    for (size_t bit = 0; bit < 8 * snapshot.len; bit += 3) {
        snapshot.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_true(order_snapshot_seq(snapshot.data, snapshot.len, &seq) < 0);
        snapshot.data[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    buf_done(&snapshot);
    order_bed_done(&bed);
}

static void a_log_that_contradicts_itself_is_refused(void **state)
{
    (void)state;
    struct order_config config;
    struct error e;
    order_config_default(&config);
    config.id = 1;
    struct order_entry entry = {.seq = 1, .term = 3, .type = ORDER_ENTRY_LEAD};
    struct order *order = order_new(&config);
    assert_int_equal(order_load_entries(order, &entry, 1, &e), 0);
    entry.seq = 3;
    assert_int_equal(order_load_entries(order, &entry, 1, &e), ERR_INVALID);
    entry.seq = 2;
    entry.term = 2;
    assert_int_equal(order_load_entries(order, &entry, 1, &e), ERR_CORRUPT);
    entry.term = 3;
    entry.type = ORDER_ENTRY_MEMBERS;
    entry.payload = "nonsense";
    entry.payload_len = 8;
    assert_int_equal(order_load_entries(order, &entry, 1, &e), ERR_CORRUPT);
    order_free(order);
}

/* ---- hostile input --------------------------------------------------------------------------- */

static void what_no_client_may_say_is_refused(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 1);
    order_bed_form(&bed);
    char large[70000] = {0};
    struct order_submit wrong[] = {
        {.number = 1},
        {.client = order_bed_client(1)},
        {.client = order_bed_client(1), .number = 1, .channel = large, .channel_len = 65},
        {.client = order_bed_client(1), .number = 1, .sender = large, .sender_len = 129},
        {.client = order_bed_client(1), .number = 1, .payload = large, .payload_len = 65537},
    };
    for (size_t i = 0; i < MEM_COUNT(wrong); i++) {
        order_bed_step(
            &bed, 1,
            (struct order_event){.type = ORDER_EVENT_SUBMIT, .submits = &wrong[i], .submits_n = 1});
        assert_int_equal(bed.nodes[1].reply.code, i == 4 ? ERR_TOO_LARGE : ERR_INVALID);
    }
    assert_int_equal(bed.nodes[1].answers, 5);
    order_bed_done(&bed);
}

static void without_a_leader_a_submission_is_answered_in_time(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    order_bed_kill(&bed, 3);
    order_bed_kill(&bed, 2);
    order_bed_wait(&bed, 1000);
    order_bed_submit(&bed, 1, 1, 1);
    order_bed_wait(&bed, 9800);
    assert_int_equal(bed.nodes[1].answers, 0);
    order_bed_wait(&bed, 400);
    assert_int_equal(bed.nodes[1].answers, 1);
    assert_int_equal(bed.nodes[1].reply.code, ERR_NO_LEADER);
    order_bed_done(&bed);
}

static void a_message_of_another_log_is_refused(void **state)
{
    (void)state;
    struct order_bed bed;
    order_bed_init(&bed, 3);
    order_bed_form(&bed);
    Wire__ChatClaim claim = WIRE__CHAT_CLAIM__INIT;
    Wire__ChatMessage message = WIRE__CHAT_MESSAGE__INIT;
    message.group = ORDER_BED_GROUP + 1;
    message.term = 99;
    message.kind_case = WIRE__CHAT_MESSAGE__KIND_CLAIM;
    message.claim = &claim;
    struct order_event event = {.type = ORDER_EVENT_MESSAGE, .peer = 3, .message = &message};
    assert_int_equal(order_bed_step(&bed, 1, event), ERR_WRONG_CLUSTER);
    assert_int_equal(order_bed_view(&bed, 1).term, 1);
    order_bed_done(&bed);
}

/* Real messages, recorded, with some of their bytes changed. */
struct recording {
    uint8_t *bytes[512];
    size_t lens[512];
    size_t n;
    struct prng prng;
};

static void record_message(struct order_bed *bed, unsigned from, const struct order_send *send)
{
    struct recording *recording = bed->arg;
    (void)from;
    size_t at = recording->n < 512 ? recording->n++ : prng_below(&recording->prng, 512);
    free(recording->bytes[at]);
    size_t len = wire__chat_message__get_packed_size(send->message);
    recording->bytes[at] = mem_alloc(len + 1);
    recording->lens[at] = wire__chat_message__pack(send->message, recording->bytes[at]);
}

static void messages_with_changed_bytes_crash_nothing(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 60);
    while (generated_next(&g)) {
        struct order_bed bed;
        static struct recording recording;
        order_bed_init(&bed, 3);
        recording.prng = g.prng;
        bed.on_send = record_message;
        bed.arg = &recording;
        order_bed_form(&bed);
        for (uint64_t number = 1; number <= 20; number++)
            order_bed_submit(&bed, (unsigned)(1 + number % 3), 1, number);
        order_bed_wait(&bed, 300);
        for (unsigned i = 0; i < 300; i++) {
            size_t at = prng_below(&g.prng, recording.n);
            uint8_t *copy = mem_dup(recording.bytes[at], recording.lens[at] + 1);
            size_t len = recording.lens[at];
            for (uint64_t flips = 1 + prng_below(&g.prng, 3); flips > 0 && len > 0; flips--)
                copy[prng_below(&g.prng, len)] ^= (uint8_t)(1U << prng_below(&g.prng, 8));
            Wire__ChatMessage *message = wire__chat_message__unpack(NULL, len, copy);
            struct order_event event = {.type = ORDER_EVENT_MESSAGE,
                                        .peer = 1 + prng_below(&g.prng, 3),
                                        .message = message};
            unsigned to = 1 + (unsigned)prng_below(&g.prng, 3);
            if (message != NULL)
                (void)order_bed_step(&bed, to, event);
            if (message != NULL)
                wire__chat_message__free_unpacked(message, NULL);
            free(copy);
        }
        order_bed_done(&bed);
        for (size_t i = 0; i < recording.n; i++)
            free(recording.bytes[i]);
        memset(&recording, 0, sizeof recording);
    }
}

/* ---- states ---------------------------------------------------------------------------------- */

static void the_states_print_themselves(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(order_state_print(&out), 0);
    assert_non_null(strstr(buf_cstr(&out), "| polling | claiming | a majority misses the leader"));
    assert_true(order_state_allows(ORDER_STATE_CLAIMING, ORDER_STATE_LEADING));
    assert_false(order_state_allows(ORDER_STATE_FOLLOWER, ORDER_STATE_LEADING));
    assert_string_equal(order_state_name(ORDER_STATE_COPYING), "copying");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_alone_leads_and_delivers),
        cmocka_unit_test(the_highest_id_leads_and_any_node_takes_messages),
        cmocka_unit_test(a_message_is_acknowledged_when_a_majority_has_it_on_disk_and_not_before),
        cmocka_unit_test(what_a_majority_has_is_told_with_the_next_entries),
        cmocka_unit_test(a_node_whose_clients_wait_is_told_at_once_what_a_majority_has),
        cmocka_unit_test(a_message_repeated_anywhere_is_in_the_log_once),
        cmocka_unit_test(numbers_may_leave_gaps_up_to_a_limit),
        cmocka_unit_test(the_earlier_of_two_askers_is_told_that_the_later_one_gets_the_answer),
        cmocka_unit_test(after_a_leaders_death_the_next_delivery_comes_within_600_ms),
        cmocka_unit_test(a_returning_higher_id_catches_up_and_then_gets_the_lead_without_a_gap),
        cmocka_unit_test(a_node_whose_disk_lost_what_it_acknowledged_gets_it_again),
        cmocka_unit_test(a_minority_neither_elects_nor_acknowledges),
        cmocka_unit_test(a_node_that_hears_nobody_does_not_depose_a_leader_that_others_hear),
        cmocka_unit_test(a_promise_is_sent_when_it_is_durable),
        cmocka_unit_test(a_leader_whose_disk_hangs_falls_silent_and_gives_up),
        cmocka_unit_test(on_a_full_disk_another_leads_and_what_was_delivered_is_still_there),
        cmocka_unit_test(a_node_that_stops_hands_on_at_once),
        cmocka_unit_test(nodes_join_through_any_member_and_then_vote),
        cmocka_unit_test(a_voter_that_lost_its_log_votes_again_when_it_has_the_others),
        cmocka_unit_test(members_change_one_at_a_time),
        cmocka_unit_test(a_leader_that_is_removed_goes_and_the_others_go_on),
        cmocka_unit_test(the_last_voter_cannot_be_removed),
        cmocka_unit_test(a_log_is_formed_once_and_of_itself),
        cmocka_unit_test(leadership_goes_where_it_is_told_and_back_to_the_highest),
        cmocka_unit_test(memory_stays_flat_and_old_entries_are_read_in_pieces),
        cmocka_unit_test(a_node_far_behind_gets_lumps_where_both_take_them),
        cmocka_unit_test(a_lump_waits_for_the_disk_and_what_follows_it_too),
        cmocka_unit_test(a_lump_that_lies_is_refused),
        cmocka_unit_test(a_lump_is_refused_by_who_takes_none),
        cmocka_unit_test(a_snapshot_holds_what_is_remembered_and_nothing_damaged_is_taken),
        cmocka_unit_test(a_log_that_contradicts_itself_is_refused),
        cmocka_unit_test(what_no_client_may_say_is_refused),
        cmocka_unit_test(without_a_leader_a_submission_is_answered_in_time),
        cmocka_unit_test(a_message_of_another_log_is_refused),
        cmocka_unit_test(messages_with_changed_bytes_crash_nothing),
        cmocka_unit_test(the_states_print_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
