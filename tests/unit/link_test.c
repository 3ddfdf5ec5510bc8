#include "tests/lib/link_fixture.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#define UP_BOTH(a, b) ((a)->link != NULL && (b)->link != NULL)

/* Two nodes, the first one dials. */
static void pair_init(struct link_fixture *f, struct fixture_node *a, struct fixture_node *b)
{
    fixture_node_init(a, f, 1);
    fixture_node_init(b, f, 2);
    (void)fixture_node_dial(a, b);
    LINK_WAIT(f, UP_BOTH(a, b));
}

static void pair_done(struct fixture_node *a, struct fixture_node *b)
{
    fixture_node_stop(a);
    fixture_node_stop(b);
}

static void two_nodes_learn_from_each_other_who_they_are(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    pair_init(f, &a, &b);
    assert_ptr_equal(link_to(a.set, 2), a.link);
    assert_ptr_equal(link_to(b.set, 1), b.link);
    assert_null(link_to(a.set, 3));
    assert_true(link_is_outgoing(a.link));
    assert_false(link_is_outgoing(b.link));
    assert_string_equal(link_peer(b.link)->name, "n1");
    assert_string_equal(link_peer(b.link)->node_uuid, a.uuid);
    assert_string_equal(link_peer(b.link)->peer_address, link_set_address(a.set));
    pair_done(&a, &b);
}

static void messages_arrive_in_order_in_both_directions(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    pair_init(f, &a, &b);
    for (uint64_t i = 0; i < 500; i++) {
        assert_int_equal(fixture_node_send(&a, i, i % 7 * 1000), 0);
        assert_int_equal(fixture_node_send(&b, i, i % 3 * 10), 0);
    }
    LINK_WAIT(f, a.messages == 500 && b.messages == 500);
    assert_true(a.in_order && b.in_order);
    pair_done(&a, &b);
}

static void messages_of_one_turn_leave_together_at_its_end(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_stats stats;
    pair_init(f, &a, &b);
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(fixture_node_send(&a, i, 100), 0);
    link_get_stats(a.link, &stats);
    assert_true(stats.queued_bytes >= 1000);
    link_fixture_turn(f);
    link_get_stats(a.link, &stats);
    assert_int_equal(stats.queued_bytes, 0);
    LINK_WAIT(f, b.messages == 10);
    pair_done(&a, &b);
}

static void the_reason_of_a_close_reaches_the_other_side_behind_all_messages(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    fixture_node_init(&a, f, 1);
    fixture_node_init(&b, f, 2);
    struct link_dial *dial = fixture_node_dial(&a, &b);
    LINK_WAIT(f, UP_BOTH(&a, &b));
    link_undial(dial);
    assert_non_null(a.link);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(fixture_node_send(&a, i, 100000), 0);
    struct link *link = a.link;
    link_close(link, ERR_FORBIDDEN, "I have had enough");
    Wire__Heartbeat heartbeat = WIRE__HEARTBEAT__INIT;
    assert_int_equal(link_send(link, WIRE_HEARTBEAT, &heartbeat.base), ERR_CLOSED);
    assert_null(link_to(a.set, 2));
    LINK_WAIT(f, a.downs == 1 && b.downs == 1);
    assert_int_equal(b.messages, 20);
    assert_true(b.in_order);
    assert_int_equal(b.down_code, ERR_FORBIDDEN);
    assert_string_equal(b.down_reason, "I have had enough");
    assert_int_equal(a.down_code, ERR_FORBIDDEN);
    pair_done(&a, &b);
}

static void a_node_that_the_owner_refuses_is_told_why(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    fixture_node_init(&a, f, 1);
    fixture_node_init(&b, f, 2);
    b.refuse_code = ERR_FORBIDDEN;
    (void)fixture_node_dial(&a, &b);
    LINK_WAIT(f, a.dial_failures > 0);
    assert_int_equal(a.dial_code, ERR_FORBIDDEN);
    assert_string_equal(a.dial_reason, "n2 does not want n1");
    b.refuse_code = 0;
    LINK_WAIT(f, UP_BOTH(&a, &b));
    pair_done(&a, &b);
}

static void a_node_of_another_cluster_is_refused(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_set_options options;
    fixture_node_options(&a, f, 1, &options);
    options.identity.cluster_id = "00000000-0000-4000-8000-000000000001";
    fixture_node_start(&a, &options);
    fixture_node_init(&b, f, 2);
    (void)fixture_node_dial(&a, &b);
    LINK_WAIT(f, a.dial_failures > 0);
    assert_int_equal(a.dial_code, ERR_WRONG_CLUSTER);
    assert_non_null(strstr(a.dial_reason, LINK_FIXTURE_CLUSTER));
    assert_int_equal(b.ups, 0);
    pair_done(&a, &b);
}

static void a_node_without_a_cluster_may_come_to_join(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_set_options options;
    fixture_node_options(&a, f, 0, &options);
    options.identity.cluster_id = "";
    fixture_node_start(&a, &options);
    fixture_node_init(&b, f, 2);
    (void)fixture_node_dial(&a, &b);
    LINK_WAIT(f, UP_BOTH(&a, &b));
    assert_int_equal(link_node_id(b.link), 0);
    assert_null(link_to(b.set, 0));

    struct link_identity joined = options.identity;
    joined.cluster_id = LINK_FIXTURE_CLUSTER;
    joined.node_id = 7;
    link_set_identify(a.set, &joined);
    LINK_WAIT(f, link_to(b.set, 7) != NULL && link_to(a.set, 2) != NULL);
    assert_int_equal(a.ups, 2);
    assert_int_equal(a.downs, 1);
    link_set_identify(a.set, &joined);
    link_fixture_turn(f);
    assert_int_equal(a.downs, 1);
    pair_done(&a, &b);
}

static void a_node_does_not_link_to_itself(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a;
    fixture_node_init(&a, f, 1);
    (void)fixture_node_dial(&a, &a);
    LINK_WAIT(f, a.dial_failures > 0);
    assert_int_equal(a.dial_code, ERR_CONFLICT);
    assert_int_equal(a.ups, 0);
    fixture_node_stop(&a);
}

static void a_node_other_than_the_one_that_was_dialed_is_refused(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct error e;
    fixture_node_init(&a, f, 1);
    fixture_node_init(&b, f, 2);
    assert_non_null(link_dial(a.set, link_set_address(b.set), 3, &e));
    LINK_WAIT(f, a.dial_failures > 0);
    assert_int_equal(a.dial_code, ERR_CONFLICT);
    assert_int_equal(a.ups, 0);
    pair_done(&a, &b);
}

static void an_address_without_port_or_host_is_refused(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a;
    struct error e;
    fixture_node_init(&a, f, 1);
    const char *const wrong[] = {"",     "localhost", ":7400",      "localhost:", "localhost:0",
                                 "::1",  "a:b:1",     "host:65536", "host:-1",    "[::1]",
                                 "[]:1", "[::1:1"};
    for (size_t i = 0; i < MEM_COUNT(wrong); i++) {
        assert_null(link_dial(a.set, wrong[i], 0, &e));
        assert_int_equal(e.code, ERR_INVALID);
    }
    fixture_node_stop(&a);
}

static void names_are_resolved_and_every_address_is_tried(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct error e;
    char address[64];
    fixture_node_init(&a, f, 1);
    fixture_node_init(&b, f, 2);
    /* may give ::1 first, where nobody listens */
    (void)snprintf(address, sizeof address, "localhost%s", strrchr(link_set_address(b.set), ':'));
    assert_non_null(link_dial(a.set, address, 2, &e));
    LINK_WAIT(f, UP_BOTH(&a, &b));
    assert_int_equal(a.dial_failures, 0);
    pair_done(&a, &b);
}

static void links_run_over_ipv6(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_set_options options;
    struct error e;
    fixture_node_init(&a, f, 1);
    fixture_node_options(&b, f, 2, &options);
    b.set = link_set_new(&options, &e);
    if (link_set_listen(b.set, "[::1]:0", &e) == 0) { /* a machine without IPv6 passes */
        assert_int_equal(strncmp(link_set_address(b.set), "[::1]:", 6), 0);
        (void)fixture_node_dial(&a, &b);
        LINK_WAIT(f, UP_BOTH(&a, &b));
    }
    pair_done(&a, &b);
}

static void an_address_in_use_is_named_in_the_error(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_set_options options;
    struct error e;
    fixture_node_init(&a, f, 1);
    fixture_node_options(&b, f, 2, &options);
    b.set = link_set_new(&options, &e);
    assert_int_equal(link_set_listen(b.set, link_set_address(a.set), &e), -EADDRINUSE);
    assert_non_null(strstr(e.text, link_set_address(a.set)));
    pair_done(&a, &b);
}

/* ---- one link between two nodes ----------------------------------------------------------- */

static bool have_one_link_each(struct fixture_node *nodes, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < i; j++) {
            struct link *there = link_to(nodes[i].set, j + 1);
            struct link *back = link_to(nodes[j].set, i + 1);
            if (there == NULL || back == NULL || link_is_outgoing(there) == link_is_outgoing(back))
                return false;
        }
    return true;
}

static bool has_pending(const struct fixture_node *node)
{
    struct link_set_stats stats;
    link_set_get_stats(node->set, &stats);
    return stats.pending > 0;
}

static void a_link_that_is_up_stays_when_another_connection_gets_through(void **state)
{
    struct link_fixture *f = *state;
    for (uint64_t slow = 1; slow <= 2; slow++) { /* whose connection it is */
        struct fixture_node nodes[2];
        struct error e;
        fixture_node_init(&nodes[0], f, 1);
        fixture_node_init(&nodes[1], f, 2);
        struct fixture_node *a = &nodes[slow - 1];
        struct fixture_node *b = &nodes[2 - slow];
        struct fixture_cable *cable = fixture_cable_new(f, link_set_address(b->set));
        fixture_cable_stall(cable, true);
        assert_non_null(
            link_dial(a->set, fixture_cable_address(cable), b->set == nodes[0].set ? 1 : 2, &e));
        LINK_WAIT(f, has_pending(b));
        (void)fixture_node_dial(b, a);
        LINK_WAIT(f, UP_BOTH(a, b));
        fixture_cable_stall(cable, false);
        LINK_WAIT(f, !has_pending(b));
        assert_int_equal(fixture_node_send(a, 1, 0), 0);
        assert_int_equal(fixture_node_send(b, 1, 0), 0);
        LINK_WAIT(f, a->messages == 1 && b->messages == 1);
        assert_int_equal(a->ups + b->ups, 2);
        assert_int_equal(a->downs + b->downs, 0);
        fixture_cable_free(cable);
        pair_done(&nodes[0], &nodes[1]);
    }
}

static void when_all_dial_all_one_link_is_left_of_each_pair(void **state)
{
    struct link_fixture *f = *state;
    for (int round = 0; round < 10; round++) {
        enum { NODES = 5 };
        struct fixture_node nodes[NODES];
        for (unsigned i = 0; i < NODES; i++)
            fixture_node_init(&nodes[i], f, i + 1);
        for (unsigned i = 0; i < NODES; i++)
            for (unsigned j = 0; j < NODES; j++)
                if (i != j)
                    (void)fixture_node_dial(&nodes[i], &nodes[j]);
        LINK_WAIT(f, have_one_link_each(nodes, NODES));
        for (unsigned i = 0; i < NODES; i++) {
            struct link_set_stats stats;
            link_set_get_stats(nodes[i].set, &stats);
            assert_int_equal(stats.up, NODES - 1);
        }
        for (unsigned i = 0; i < NODES; i++)
            fixture_node_stop(&nodes[i]);
    }
}

static void two_dials_to_the_same_node_share_its_link(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct error e;
    pair_init(f, &a, &b);
    assert_non_null(link_dial(a.set, link_set_address(b.set), 2, &e));
    assert_non_null(link_dial(a.set, link_set_address(b.set), 0, &e));
    for (unsigned i = 0; i < 30; i++)
        link_fixture_turn(f);
    struct link_set_stats stats;
    LINK_WAIT(f, UP_BOTH(&a, &b));
    link_set_get_stats(a.set, &stats);
    assert_int_equal(stats.up, 1);
    assert_true(a.ups <= 3);
    pair_done(&a, &b);
}

static void a_restarted_peer_is_linked_again_soon(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b, again;
    struct link_set_options options;
    struct error e;
    fixture_node_options(&a, f, 1, &options);
    options.silence_timeout_ms = 1000000;
    fixture_node_start(&a, &options);
    fixture_node_init(&b, f, 2);
    struct fixture_cable *cable = fixture_cable_new(f, link_set_address(b.set));
    assert_non_null(link_dial(a.set, fixture_cable_address(cable), 2, &e));
    LINK_WAIT(f, UP_BOTH(&a, &b));
    /* b dies without a sign; its next life connects by itself, against the rule of the lower id */
    fixture_cable_stall(cable, true);
    struct link *old = a.link;
    fixture_node_init(&again, f, 2);
    assert_non_null(link_dial(again.set, link_set_address(a.set), 1, &e));
    LINK_WAIT(f, again.link != NULL && a.link != NULL && a.link != old);
    assert_int_equal(a.downs, 1);
    assert_int_equal(a.down_code, ERR_EXISTS);
    fixture_cable_free(cable);
    fixture_node_stop(&a);
    fixture_node_stop(&b);
    fixture_node_stop(&again);
}

static void a_second_process_with_a_peers_identity_is_refused_while_the_first_is_alive(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b, copy;
    struct error e;
    pair_init(f, &a, &b);
    assert_non_null(link_dial(b.set, link_set_address(a.set), 1, &e));
    LINK_WAIT(f, UP_BOTH(&a, &b));
    struct link *first = a.link;
    fixture_node_init(&copy, f, 2);
    assert_non_null(link_dial(copy.set, link_set_address(a.set), 1, &e));
    LINK_WAIT(f, copy.dial_failures >= 3);
    assert_int_equal(copy.dial_code, ERR_CONFLICT);
    assert_non_null(strstr(copy.dial_reason, "is a data directory a copy?"));
    assert_ptr_equal(a.link, first);
    assert_int_equal(a.downs, 0);
    fixture_node_stop(&b);
    LINK_WAIT(f, UP_BOTH(&a, &copy));
    fixture_node_stop(&a);
    fixture_node_stop(&copy);
}

/* ---- losing and finding ------------------------------------------------------------------- */

static void a_link_that_was_cut_comes_back(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct error e;
    fixture_node_init(&a, f, 1);
    fixture_node_init(&b, f, 2);
    struct fixture_cable *cable = fixture_cable_new(f, link_set_address(b.set));
    assert_non_null(link_dial(a.set, fixture_cable_address(cable), 2, &e));
    for (unsigned round = 1; round <= 5; round++) {
        LINK_WAIT(f, UP_BOTH(&a, &b));
        assert_int_equal(fixture_node_send(&a, round, 0), 0);
        LINK_WAIT(f, b.messages == round);
        fixture_cable_cut(cable);
        LINK_WAIT(f, a.downs == round && b.downs == round);
    }
    LINK_WAIT(f, UP_BOTH(&a, &b));
    fixture_cable_free(cable);
    pair_done(&a, &b);
}

static void a_node_that_is_not_there_yet_is_found_when_it_comes(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_set_options options;
    struct error e;
    char address[64];
    fixture_node_init(&a, f, 1);
    fixture_node_init(&b, f, 2);
    (void)snprintf(address, sizeof address, "%s", link_set_address(b.set));
    fixture_node_stop(&b);
    assert_non_null(link_dial(a.set, address, 2, &e));
    LINK_WAIT(f, a.dial_failures >= 3);
    assert_int_equal(a.dial_code, -ECONNREFUSED);
    fixture_node_options(&b, f, 2, &options);
    b.set = link_set_new(&options, &e);
    assert_int_equal(link_set_listen(b.set, address, &e), 0);
    LINK_WAIT(f, UP_BOTH(&a, &b));
    pair_done(&a, &b);
}

static void attempts_to_connect_become_rarer(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a;
    struct link_set_options options;
    struct error e;
    fixture_node_options(&a, f, 1, &options);
    options.backoff_min_ms = 1;
    options.backoff_max_ms = 1000000;
    fixture_node_start(&a, &options);
    assert_non_null(link_dial(a.set, "127.0.0.1:1", 0, &e));
    int64_t begin_ms = loop_now_ms(f->loop);
    LINK_WAIT(f, a.dial_failures == 8);
    /* at least half of 1 + 2 + 4 + ... + 64 */
    assert_true(loop_now_ms(f->loop) - begin_ms >= 63);
    fixture_node_stop(&a);
}

static void a_silent_peer_is_declared_dead(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_set_options options;
    struct link_set_stats stats;
    struct error e;
    fixture_node_options(&a, f, 1, &options);
    options.ping_interval_ms = 5;
    options.silence_timeout_ms = 40;
    fixture_node_start(&a, &options);
    fixture_node_init(&b, f, 2);
    struct fixture_cable *cable = fixture_cable_new(f, link_set_address(b.set));
    assert_non_null(link_dial(a.set, fixture_cable_address(cable), 2, &e));
    LINK_WAIT(f, UP_BOTH(&a, &b));
    fixture_cable_stall(cable, true);
    LINK_WAIT(f, a.downs == 1);
    assert_int_equal(a.down_code, ERR_TIMEOUT);
    link_set_get_stats(a.set, &stats);
    assert_int_equal(stats.silent, 1);
    fixture_cable_free(cable);
    pair_done(&a, &b);
}

static void pings_keep_an_idle_link_alive_and_measure_it(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_set_options options;
    struct link_stats stats = {0};
    fixture_node_options(&a, f, 1, &options);
    options.ping_interval_ms = 2;
    fixture_node_start(&a, &options);
    fixture_node_init(&b, f, 2);
    (void)fixture_node_dial(&a, &b);
    LINK_WAIT(f, UP_BOTH(&a, &b));
    while (stats.frames_in < 20) {
        link_fixture_turn(f);
        link_get_stats(a.link, &stats);
    }
    assert_true(stats.rtt_us > 0);
    assert_int_equal(a.downs, 0);
    assert_int_equal(a.messages + b.messages, 0);
    pair_done(&a, &b);
}

static void a_dial_that_is_given_up_leaves_its_link_and_dials_no_more(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct error e;
    fixture_node_init(&a, f, 1);
    fixture_node_init(&b, f, 2);
    struct fixture_cable *cable = fixture_cable_new(f, link_set_address(b.set));
    struct link_dial *dial = link_dial(a.set, fixture_cable_address(cable), 2, &e);
    LINK_WAIT(f, UP_BOTH(&a, &b));
    assert_string_equal(link_dial_address(dial), fixture_cable_address(cable));
    assert_int_equal(link_dial_node_id(dial), 2);
    link_undial(dial);
    assert_int_equal(fixture_node_send(&a, 0, 0), 0);
    LINK_WAIT(f, b.messages == 1);
    fixture_cable_cut(cable);
    LINK_WAIT(f, a.downs == 1 && b.downs == 1);
    assert_int_equal(fixture_cable_connections(cable), 1);
    /* given up at every step of connecting */
    for (unsigned turns = 0; turns < 8; turns++) {
        dial = link_dial(a.set, turns % 2 ? "localhost:1" : link_set_address(b.set), 2, &e);
        for (unsigned i = 0; i < turns; i++)
            link_fixture_turn(f);
        link_undial(dial);
    }
    fixture_cable_free(cable);
    pair_done(&a, &b);
}

static void nodes_with_different_secrets_do_not_link(void **state)
{
    struct link_fixture *f = *state;
    const char *const secrets[][2] = {{"one", "two"}, {"one", ""}, {"", "two"}};
    for (size_t i = 0; i < MEM_COUNT(secrets); i++) {
        struct fixture_node a, b;
        struct link_set_options options;
        fixture_node_options(&a, f, 1, &options);
        options.secret = secrets[i][0];
        fixture_node_start(&a, &options);
        fixture_node_options(&b, f, 2, &options);
        options.secret = secrets[i][1];
        fixture_node_start(&b, &options);
        (void)fixture_node_dial(&a, &b);
        LINK_WAIT(f, a.dial_code == ERR_UNAUTHORIZED || a.down_code == ERR_UNAUTHORIZED);
        assert_int_equal(b.ups, 0);
        pair_done(&a, &b);
    }
}

static void nodes_with_the_same_secret_link(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_set_options options;
    fixture_node_options(&a, f, 1, &options);
    options.secret = "the same";
    fixture_node_start(&a, &options);
    fixture_node_options(&b, f, 2, &options);
    options.secret = "the same";
    fixture_node_start(&b, &options);
    (void)fixture_node_dial(&a, &b);
    LINK_WAIT(f, UP_BOTH(&a, &b));
    pair_done(&a, &b);
}

/* ---- load --------------------------------------------------------------------------------- */

static void a_full_queue_is_busy_and_drains_when_the_peer_reads_again(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_set_options options;
    struct link_stats stats;
    struct error e;
    enum { QUEUE = 1 << 20, BODY = 64 * 1024 };
    fixture_node_options(&a, f, 1, &options);
    options.queue_bytes_max = QUEUE;
    options.silence_timeout_ms = 1000000;
    fixture_node_start(&a, &options);
    fixture_node_options(&b, f, 2, &options);
    options.silence_timeout_ms = 1000000;
    fixture_node_start(&b, &options);
    struct fixture_cable *cable = fixture_cable_new(f, link_set_address(b.set));
    assert_non_null(link_dial(a.set, fixture_cable_address(cable), 2, &e));
    LINK_WAIT(f, UP_BOTH(&a, &b));
    fixture_cable_stall(cable, true);

    /* until the kernel takes no more, and then the queue */
    uint64_t sent = 0;
    for (int busy = 0; busy < 3;) {
        int err = fixture_node_send(&a, sent, BODY);
        assert_true(err == 0 || err == ERR_BUSY);
        if (err == 0) {
            sent++;
            continue;
        }
        unsigned drains = a.drains;
        uv_run(loop_uv(f->loop), UV_RUN_NOWAIT);
        link_fixture_turn(f);
        busy = a.drains == drains ? busy + 1 : 0;
    }
    link_get_stats(a.link, &stats);
    assert_true(stats.queued_bytes <= QUEUE && stats.queued_bytes > QUEUE / 2);
    unsigned drains = a.drains;
    fixture_cable_stall(cable, false);
    LINK_WAIT(f, a.drains > drains);
    link_get_stats(a.link, &stats);
    assert_true(stats.queued_bytes <= QUEUE / 2);
    LINK_WAIT(f, b.messages == sent);
    assert_true(b.in_order);
    fixture_cable_free(cable);
    pair_done(&a, &b);
}

static void a_frame_over_the_limit_is_not_sent_and_one_as_large_is(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    pair_init(f, &a, &b);
    assert_int_equal(fixture_node_send(&a, 0, FRAME_BODY_BYTES_MAX), ERR_TOO_LARGE);
    assert_int_equal(fixture_node_send(&a, 0, FRAME_BODY_BYTES_MAX - 64), 0);
    assert_int_equal(fixture_node_send(&a, 1, 10), 0);
    LINK_WAIT(f, b.messages == 2);
    assert_true(b.in_order);
    pair_done(&a, &b);
}

static void a_frame_over_the_receivers_limit_closes_the_link_only(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b, c;
    struct link_set_options options;
    struct link_set_stats stats;
    fixture_node_init(&a, f, 1);
    fixture_node_options(&b, f, 2, &options);
    options.frame_bytes_max = 1000;
    fixture_node_start(&b, &options);
    fixture_node_init(&c, f, 3);
    (void)fixture_node_dial(&a, &b);
    (void)fixture_node_dial(&c, &b);
    LINK_WAIT(f, a.link != NULL && c.link != NULL && b.ups == 2);
    assert_int_equal(fixture_node_send(&a, 0, 1001), 0);
    LINK_WAIT(f, a.downs == 1);
    assert_int_equal(a.down_code, ERR_TOO_LARGE);
    link_set_get_stats(b.set, &stats);
    assert_int_equal(stats.protocol_errors, 1);
    assert_int_equal(c.downs, 0);
    fixture_node_stop(&c);
    pair_done(&a, &b);
}

static void an_idle_link_takes_little_memory(void **state)
{
    struct link_fixture *f = *state;
    enum { PEERS = 200, LINK_BYTES_MAX = 12 * 1024 }; /* 1,000 links: 12 MB */
    static struct fixture_node peers[PEERS];
    struct fixture_node hub;
    fixture_node_init(&hub, f, 1);
    for (unsigned i = 0; i < PEERS; i++)
        fixture_node_init(&peers[i], f, i + 2);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < PEERS; i++)
        (void)fixture_node_dial(&peers[i], &hub);
    LINK_WAIT(f, hub.ups == PEERS);
    for (unsigned i = 0; i < PEERS; i++) {
        LINK_WAIT(f, peers[i].link != NULL);
        assert_int_equal(fixture_node_send(&peers[i], 0, 20000), 0);
    }
    LINK_WAIT(f, hub.messages == PEERS);
    for (unsigned i = 0; i < 20; i++)
        link_fixture_turn(f);
    size_t bytes = (mallinfo2().uordblks - before) / (2 * PEERS);
    print_message("# %zu bytes for an end of an idle link\n", bytes);
    assert_true(bytes < LINK_BYTES_MAX);
    for (unsigned i = 0; i < PEERS; i++)
        fixture_node_stop(&peers[i]);
    fixture_node_stop(&hub);
}

static void count_link(void *arg, struct link *link)
{
    unsigned *n = arg;
    assert_non_null(link_peer(link));
    (*n)++;
    link_close(link, ERR_CLOSED, "counted");
}

static void each_visits_every_link_that_is_up(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b, c;
    unsigned n = 0;
    fixture_node_init(&a, f, 1);
    fixture_node_init(&b, f, 2);
    fixture_node_init(&c, f, 3);
    (void)fixture_node_dial(&a, &b);
    (void)fixture_node_dial(&c, &a);
    LINK_WAIT(f, a.ups == 2 && b.link != NULL && c.link != NULL);
    link_set_each(a.set, count_link, &n);
    assert_int_equal(n, 2);
    link_set_each(a.set, count_link, &n);
    assert_int_equal(n, 2);
    LINK_WAIT(f, a.downs == 2);
    fixture_node_stop(&c);
    pair_done(&a, &b);
}

static void a_hundred_thousand_frames_pass(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    enum { FRAMES = 100000, BATCH = 100 };
    pair_init(f, &a, &b);
    int64_t begin_us = clock_mono_us();
    for (uint64_t sent = 0; sent < FRAMES;) {
        for (unsigned i = 0; i < BATCH; i++)
            assert_int_equal(fixture_node_send(&a, sent++, 128), 0);
        link_fixture_turn(f);
    }
    LINK_WAIT(f, b.messages == FRAMES);
    int64_t took_us = clock_mono_us() - begin_us;
    assert_true(b.in_order);
    print_message("# %d frames of 128 bytes in %lld ms: %lld a second (information)\n", FRAMES,
                  (long long)took_us / 1000, (long long)FRAMES * 1000000 / took_us);
    pair_done(&a, &b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define LINK_TEST(name)                                                                            \
    cmocka_unit_test_setup_teardown(name, link_fixture_setup, link_fixture_teardown)
        LINK_TEST(two_nodes_learn_from_each_other_who_they_are),
        LINK_TEST(messages_arrive_in_order_in_both_directions),
        LINK_TEST(messages_of_one_turn_leave_together_at_its_end),
        LINK_TEST(the_reason_of_a_close_reaches_the_other_side_behind_all_messages),
        LINK_TEST(a_node_that_the_owner_refuses_is_told_why),
        LINK_TEST(a_node_of_another_cluster_is_refused),
        LINK_TEST(a_node_without_a_cluster_may_come_to_join),
        LINK_TEST(a_node_does_not_link_to_itself),
        LINK_TEST(a_node_other_than_the_one_that_was_dialed_is_refused),
        LINK_TEST(an_address_without_port_or_host_is_refused),
        LINK_TEST(names_are_resolved_and_every_address_is_tried),
        LINK_TEST(links_run_over_ipv6),
        LINK_TEST(an_address_in_use_is_named_in_the_error),
        LINK_TEST(a_link_that_is_up_stays_when_another_connection_gets_through),
        LINK_TEST(when_all_dial_all_one_link_is_left_of_each_pair),
        LINK_TEST(two_dials_to_the_same_node_share_its_link),
        LINK_TEST(a_restarted_peer_is_linked_again_soon),
        LINK_TEST(a_second_process_with_a_peers_identity_is_refused_while_the_first_is_alive),
        LINK_TEST(a_link_that_was_cut_comes_back),
        LINK_TEST(a_node_that_is_not_there_yet_is_found_when_it_comes),
        LINK_TEST(attempts_to_connect_become_rarer),
        LINK_TEST(a_silent_peer_is_declared_dead),
        LINK_TEST(pings_keep_an_idle_link_alive_and_measure_it),
        LINK_TEST(a_dial_that_is_given_up_leaves_its_link_and_dials_no_more),
        LINK_TEST(nodes_with_different_secrets_do_not_link),
        LINK_TEST(nodes_with_the_same_secret_link),
        LINK_TEST(a_full_queue_is_busy_and_drains_when_the_peer_reads_again),
        LINK_TEST(a_frame_over_the_limit_is_not_sent_and_one_as_large_is),
        LINK_TEST(a_frame_over_the_receivers_limit_closes_the_link_only),
        LINK_TEST(an_idle_link_takes_little_memory),
        LINK_TEST(each_visits_every_link_that_is_up),
        LINK_TEST(a_hundred_thousand_frames_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
