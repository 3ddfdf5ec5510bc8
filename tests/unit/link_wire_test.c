#include "tests/lib/link_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/prng.h"

/* A node that strangers come to, linked with another one that must not notice. */
struct home {
    struct link_fixture *f;
    struct fixture_node node;
    struct fixture_node friend;
};

static void home_init(struct home *home, struct link_fixture *f, unsigned handshake_timeout_ms)
{
    struct link_set_options options;
    home->f = f;
    fixture_node_options(&home->node, f, 1, &options);
    options.handshake_timeout_ms = handshake_timeout_ms;
    fixture_node_start(&home->node, &options);
    fixture_node_init(&home->friend, f, 2);
    (void)fixture_node_dial(&home->friend, &home->node);
    LINK_WAIT(f, home->node.link != NULL && home->friend.link != NULL);
}

static void home_done(struct home *home)
{
    unsigned messages = home->friend.messages;
    home->node.link = link_to(home->node.set, 2);
    assert_non_null(home->node.link);
    assert_int_equal(fixture_node_send(&home->node, 0, 100), 0);
    LINK_WAIT(home->f, home->friend.messages == messages + 1);
    assert_int_equal(home->friend.downs, 0);
    fixture_node_stop(&home->friend);
    fixture_node_stop(&home->node);
}

static struct link_set_stats home_stats(const struct home *home)
{
    struct link_set_stats stats;
    link_set_get_stats(home->node.set, &stats);
    return stats;
}

static void stranger_to(struct fixture_stranger *stranger, struct home *home)
{
    fixture_stranger_connect(stranger, home->f, link_set_address(home->node.set));
}

static char good_cluster[] = LINK_FIXTURE_CLUSTER;
static char other_cluster[] = "00000000-0000-4000-8000-000000000001";
static char good_uuid[] = "99999999-9999-4999-8999-999999999999";
static char good_name[] = "n9";
static char good_version[] = "9.9";

static Wire__Hello good_hello(void)
{
    static uint8_t nonce[16];
    Wire__Hello hello = WIRE__HELLO__INIT;
    hello.protocol = WIRE_PROTOCOL;
    hello.cluster_id = good_cluster;
    hello.node_id = 9;
    hello.node_uuid = good_uuid;
    hello.name = good_name;
    hello.version = good_version;
    hello.boot = 1;
    hello.nonce = (ProtobufCBinaryData){.len = sizeof nonce, .data = nonce};
    return hello;
}

/* Goes through the handshake by hand. */
static void stranger_come_up(struct fixture_stranger *stranger, struct home *home)
{
    Wire__Hello hello = good_hello();
    Wire__Proof proof = WIRE__PROOF__INIT;
    stranger_to(stranger, home);
    fixture_stranger_hello(stranger, &hello);
    fixture_stranger_send_message(stranger, WIRE_PROOF, &proof.base);
    LINK_WAIT(home->f, link_to(home->node.set, 9) != NULL);
}

/* A stranger sends these bytes and is told this code. */
static void expect_goodbye(struct home *home, const void *data, size_t len, int code,
                           const char *words)
{
    struct fixture_stranger stranger;
    char reason[256];
    stranger_to(&stranger, home);
    fixture_stranger_send(&stranger, data, len);
    assert_int_equal(fixture_stranger_wait_goodbye(&stranger, reason), code);
    if (strstr(reason, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, reason);
    fixture_stranger_done(&stranger);
}

static void a_client_that_speaks_something_else_is_told_so(void **state)
{
    struct home home;
    home_init(&home, *state, 5000);
    const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    expect_goodbye(&home, http, sizeof http - 1, ERR_PROTOCOL, "not a frame");
    assert_int_equal(home_stats(&home).protocol_errors, 1);
    home_done(&home);
}

static void a_large_frame_before_the_handshake_is_refused_by_its_header(void **state)
{
    struct home home;
    uint8_t header[FRAME_HEADER_BYTES];
    home_init(&home, *state, 5000);
    frame_header_write(header, WIRE_HELLO, 1 << 20);
    expect_goodbye(&home, header, sizeof header, ERR_TOO_LARGE, "over the limit");
    home_done(&home);
}

static void an_unknown_type_is_refused(void **state)
{
    struct home home;
    uint8_t header[FRAME_HEADER_BYTES];
    home_init(&home, *state, 5000);
    frame_header_write(header, 9, 0);
    expect_goodbye(&home, header, sizeof header, ERR_PROTOCOL, "unknown type 9");
    home_done(&home);
}

static void a_malformed_body_is_refused(void **state)
{
    struct home home;
    struct buf b;
    home_init(&home, *state, 5000);
    buf_init(&b, 100);
    assert_int_equal(frame_append(&b, WIRE_HELLO, "\xff\xff\xff", 3), 0);
    expect_goodbye(&home, b.data, b.len, ERR_PROTOCOL, "malformed message hello");
    buf_done(&b);
    home_done(&home);
}

static void a_message_before_hello_is_refused(void **state)
{
    struct home home;
    struct buf b;
    home_init(&home, *state, 5000);
    buf_init(&b, 100);
    for (unsigned type = 1; type < WIRE_TYPE_LIMIT; type++) {
        if (wire_descriptor(type) == NULL || type == WIRE_HELLO || type == WIRE_GOODBYE)
            continue;
        buf_clear(&b);
        assert_int_equal(frame_append(&b, (uint16_t)type, "", 0), 0);
        expect_goodbye(&home, b.data, b.len, ERR_PROTOCOL, "before the handshake");
    }
    assert_int_equal(home.node.messages, 0);
    buf_done(&b);
    home_done(&home);
}

static void expect_hello_refused(struct home *home, const Wire__Hello *hello, int code,
                                 const char *words)
{
    struct buf b;
    buf_init(&b, 4096);
    assert_int_equal(wire_pack(&b, WIRE_HELLO, &hello->base), 0);
    expect_goodbye(home, b.data, b.len, code, words);
    buf_done(&b);
}

static void a_hello_of_another_protocol_is_told_both_versions(void **state)
{
    struct home home;
    home_init(&home, *state, 5000);
    Wire__Hello hello = good_hello();
    hello.protocol = WIRE_PROTOCOL + 1;
    expect_hello_refused(&home, &hello, ERR_VERSION, "protocol 2 (clusterd 9.9)");
    expect_hello_refused(&home, &hello, ERR_VERSION, "protocol 1 (clusterd 1.0)");
    assert_int_equal(home_stats(&home).refused, 2);
    home_done(&home);
}

static void a_hello_with_wrong_fields_is_refused(void **state)
{
    struct home home;
    home_init(&home, *state, 5000);
    Wire__Hello hello = good_hello();
    hello.node_uuid = good_name;
    expect_hello_refused(&home, &hello, ERR_PROTOCOL, "malformed Hello");
    hello.node_uuid = good_uuid;
    hello.nonce.len = 15;
    expect_hello_refused(&home, &hello, ERR_PROTOCOL, "malformed Hello");
    hello.nonce.len = 16;
    hello.cluster_id = other_cluster;
    expect_hello_refused(&home, &hello, ERR_WRONG_CLUSTER, other_cluster);
    hello.cluster_id = good_cluster;
    hello.node_id = 1;
    expect_hello_refused(&home, &hello, ERR_CONFLICT, "both are node 1");
    hello.node_id = 9;
    hello.node_uuid = home.node.uuid;
    expect_hello_refused(&home, &hello, ERR_CONFLICT, "itself");
    home_done(&home);
}

static void what_a_stranger_calls_itself_reaches_no_terminal(void **state)
{
    struct home home;
    struct fixture_stranger stranger;
    char reason[256];
    char name[] = "\033[2Jn9";
    home_init(&home, *state, 5000);
    Wire__Hello hello = good_hello();
    hello.name = name;
    hello.cluster_id = other_cluster;
    stranger_to(&stranger, &home);
    fixture_stranger_hello(&stranger, &hello);
    assert_int_equal(fixture_stranger_wait_goodbye(&stranger, reason), ERR_WRONG_CLUSTER);
    assert_null(strchr(reason, '\033'));
    fixture_stranger_done(&stranger);
    home_done(&home);
}

static void a_link_that_is_up_closes_on_a_second_hello(void **state)
{
    struct home home;
    struct fixture_stranger stranger;
    char reason[256];
    home_init(&home, *state, 5000);
    stranger_come_up(&stranger, &home);
    Wire__Hello hello = WIRE__HELLO__INIT;
    fixture_stranger_hello(&stranger, &hello);
    assert_int_equal(fixture_stranger_wait_goodbye(&stranger, reason), ERR_PROTOCOL);
    assert_null(link_to(home.node.set, 9));
    fixture_stranger_done(&stranger);
    home_done(&home);
}

static void a_link_that_is_up_closes_on_garbage_and_delivers_what_came_before(void **state)
{
    struct home home;
    struct fixture_stranger stranger;
    char reason[256];
    home_init(&home, *state, 5000);
    stranger_come_up(&stranger, &home);
    Wire__Heartbeat heartbeat = WIRE__HEARTBEAT__INIT;
    for (int i = 0; i < 3; i++)
        fixture_stranger_send_message(&stranger, WIRE_HEARTBEAT, &heartbeat.base);
    fixture_stranger_send(&stranger, "\x03\x00\x00\x00\x1e\x00\x00\x00\xff\xff\xff", 11);
    fixture_stranger_send_message(&stranger, WIRE_HEARTBEAT, &heartbeat.base);
    assert_int_equal(fixture_stranger_wait_goodbye(&stranger, reason), ERR_PROTOCOL);
    assert_non_null(strstr(reason, "heartbeat"));
    assert_int_equal(home.node.messages, 3);
    assert_int_equal(home.node.down_code, ERR_PROTOCOL);
    fixture_stranger_done(&stranger);
    home_done(&home);
}

static void a_half_sent_frame_ends_with_its_connection(void **state)
{
    struct home home;
    struct fixture_stranger stranger;
    home_init(&home, *state, 5000);
    stranger_come_up(&stranger, &home);
    fixture_stranger_send(&stranger, "\x03\x00\x00\x00\x1e\x00\x00\x00\xff", 9);
    fixture_stranger_done(&stranger);
    LINK_WAIT(home.f, home.node.downs == 1);
    /* a reset where the stranger had not read all that it got */
    assert_true(home.node.down_code == -ECONNRESET);
    assert_int_equal(home.node.messages, 0);
    home_done(&home);
}

static void a_client_that_says_nothing_is_dropped_in_time(void **state)
{
    struct home home;
    home_init(&home, *state, 20);
    expect_goodbye(&home, "", 0, ERR_TIMEOUT, "handshake took too long");
    assert_int_equal(home_stats(&home).handshake_timeouts, 1);
    LINK_WAIT(home.f, home_stats(&home).pending == 0);
    home_done(&home);
}

static void a_client_that_drips_its_hello_is_dropped_in_the_same_time(void **state)
{
    struct home home;
    struct fixture_stranger stranger;
    char reason[256];
    struct buf b;
    home_init(&home, *state, 20);
    Wire__Hello hello = WIRE__HELLO__INIT;
    char name[4096];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    hello.name = name;
    buf_init(&b, 8192);
    assert_int_equal(wire_pack(&b, WIRE_HELLO, &hello.base), 0);
    stranger_to(&stranger, &home);
    for (size_t at = 0; !stranger.ended; at++) {
        if (at < b.len - 1)
            fixture_stranger_send(&stranger, b.data + at, 1);
        link_fixture_turn(home.f);
    }
    assert_int_equal(fixture_stranger_wait_goodbye(&stranger, reason), ERR_TIMEOUT);
    fixture_stranger_done(&stranger);
    buf_done(&b);
    home_done(&home);
}

static void idle_strangers_keep_no_node_out(void **state)
{
    struct home home;
    enum { STRANGERS = 24, PENDING = 8 };
    static struct fixture_stranger strangers[STRANGERS];
    struct fixture_node late;
    struct link_set_options options;
    home.f = *state;
    fixture_node_options(&home.node, home.f, 1, &options);
    options.pending_max = PENDING;
    options.handshake_timeout_ms = 1000;
    fixture_node_start(&home.node, &options);
    for (unsigned i = 0; i < STRANGERS; i++) {
        stranger_to(&strangers[i], &home);
        link_fixture_turn(home.f);
        assert_true(home_stats(&home).pending <= PENDING);
    }
    fixture_node_init(&late, home.f, 2);
    (void)fixture_node_dial(&late, &home.node);
    /* the oldest strangers give up their places one after the other */
    for (unsigned i = 0; i < STRANGERS - PENDING; i++) {
        char reason[256];
        (void)fixture_stranger_wait_goodbye(&strangers[i], reason);
        assert_true(home_stats(&home).pending <= PENDING);
    }
    LINK_WAIT(home.f, late.link != NULL && home.node.link != NULL);
    for (unsigned i = 0; i < STRANGERS; i++)
        fixture_stranger_done(&strangers[i]);
    fixture_node_stop(&late);
    fixture_node_stop(&home.node);
}

static void many_nodes_that_come_at_once_are_all_served(void **state)
{
    struct home home;
    enum { NODES = 60 };
    static struct fixture_node nodes[NODES];
    struct link_set_options options;
    home.f = *state;
    fixture_node_options(&home.node, home.f, 1, &options);
    options.pending_max = 4;
    fixture_node_start(&home.node, &options);
    for (unsigned i = 0; i < NODES; i++) {
        fixture_node_init(&nodes[i], home.f, i + 2);
        (void)fixture_node_dial(&nodes[i], &home.node);
    }
    LINK_WAIT(home.f, home_stats(&home).up == NODES);
    for (unsigned i = 0; i < NODES; i++) {
        LINK_WAIT(home.f, nodes[i].link != NULL);
        assert_int_equal(nodes[i].ups, 1);
    }
    assert_int_equal(home_stats(&home).accepted, NODES);
    for (unsigned i = 0; i < NODES; i++)
        fixture_node_stop(&nodes[i]);
    fixture_node_stop(&home.node);
}

static void links_over_the_limit_are_refused(void **state)
{
    struct home home;
    struct fixture_node nodes[3];
    struct link_set_options options;
    home.f = *state;
    fixture_node_options(&home.node, home.f, 1, &options);
    options.links_max = 2;
    fixture_node_start(&home.node, &options);
    for (unsigned i = 0; i < 3; i++) {
        fixture_node_init(&nodes[i], home.f, i + 2);
        (void)fixture_node_dial(&nodes[i], &home.node);
        LINK_WAIT(home.f, nodes[i].link != NULL || nodes[i].dial_failures > 0);
    }
    assert_int_equal(nodes[2].dial_code, ERR_BUSY);
    assert_int_equal(home_stats(&home).up, 2);
    for (unsigned i = 0; i < 3; i++)
        fixture_node_stop(&nodes[i]);
    fixture_node_stop(&home.node);
}

static void random_bytes_never_bring_a_link_up_or_the_node_down(void **state)
{
    struct home home;
    struct prng prng;
    home_init(&home, *state, 20);
    prng_init(&prng, 20261121);
    for (int round = 0; round < 200; round++) {
        struct fixture_stranger stranger;
        char reason[256];
        uint8_t data[512];
        size_t len = prng_below(&prng, sizeof data);
        prng_bytes(&prng, data, len);
        if (len >= FRAME_HEADER_BYTES && round % 2 == 0)
            frame_header_write(data, (uint16_t)prng_below(&prng, 8),
                               (uint32_t)prng_below(&prng, len));
        stranger_to(&stranger, &home);
        fixture_stranger_send(&stranger, data, len);
        int code = fixture_stranger_wait_goodbye(&stranger, reason);
        assert_true(code < 0 ||
                    (code == 0 && len >= FRAME_HEADER_BYTES && data[4] == WIRE_GOODBYE));
        fixture_stranger_done(&stranger);
    }
    assert_int_equal(home.node.ups, 1);
    home_done(&home);
}

/* ---- fairness ----------------------------------------------------------------------------- */

static void a_flood_of_one_peer_leaves_the_others_their_turn(void **state)
{
    struct home home;
    struct fixture_stranger flood;
    home_init(&home, *state, 5000);
    stranger_come_up(&flood, &home);
    struct buf b;
    buf_init(&b, 8 << 20);
    Wire__TaskAck ack = WIRE__TASK_ACK__INIT;
    for (int i = 0; i < 5000; i++)
        assert_int_equal(wire_pack(&b, WIRE_TASK_ACK, &ack.base), 0);
    fixture_stranger_send(&flood, b.data, b.len);
    /* no turn takes it all, and none of it is lost */
    unsigned turns = 0;
    for (unsigned before = home.node.messages; home.node.messages < 5000; turns++) {
        link_fixture_turn(home.f);
        assert_true(home.node.messages - before <= 1024);
        before = home.node.messages;
    }
    assert_true(turns >= 5);
    buf_done(&b);
    fixture_stranger_done(&flood);
    LINK_WAIT(home.f, home.node.downs == 1);
    home_done(&home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WIRE_TEST(name)                                                                            \
    cmocka_unit_test_setup_teardown(name, link_fixture_setup, link_fixture_teardown)
        WIRE_TEST(a_client_that_speaks_something_else_is_told_so),
        WIRE_TEST(a_large_frame_before_the_handshake_is_refused_by_its_header),
        WIRE_TEST(an_unknown_type_is_refused),
        WIRE_TEST(a_malformed_body_is_refused),
        WIRE_TEST(a_message_before_hello_is_refused),
        WIRE_TEST(a_hello_of_another_protocol_is_told_both_versions),
        WIRE_TEST(a_hello_with_wrong_fields_is_refused),
        WIRE_TEST(what_a_stranger_calls_itself_reaches_no_terminal),
        WIRE_TEST(a_link_that_is_up_closes_on_a_second_hello),
        WIRE_TEST(a_link_that_is_up_closes_on_garbage_and_delivers_what_came_before),
        WIRE_TEST(a_half_sent_frame_ends_with_its_connection),
        WIRE_TEST(a_client_that_says_nothing_is_dropped_in_time),
        WIRE_TEST(a_client_that_drips_its_hello_is_dropped_in_the_same_time),
        WIRE_TEST(idle_strangers_keep_no_node_out),
        WIRE_TEST(many_nodes_that_come_at_once_are_all_served),
        WIRE_TEST(links_over_the_limit_are_refused),
        WIRE_TEST(random_bytes_never_bring_a_link_up_or_the_node_down),
        WIRE_TEST(a_flood_of_one_peer_leaves_the_others_their_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
