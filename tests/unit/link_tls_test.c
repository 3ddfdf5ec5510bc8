#include "tests/lib/link_fixture.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/prng.h"
#include "run/link_tls.h"
#include "tests/lib/tls_fixture.h"

static struct tls_fixture tls;
static struct tls_fixture_pair ca, other_ca, n1, n2, expired, foreign;

static int make_certificates(void **state)
{
    (void)state;
    tls_fixture_init(&tls);
    ca = tls_fixture_ca(&tls, "ca");
    other_ca = tls_fixture_ca(&tls, "other-ca");
    n1 = tls_fixture_cert(&tls, &ca, "n1", "n1", 3600);
    n2 = tls_fixture_cert(&tls, &ca, "n2", "n2", 3600);
    expired = tls_fixture_cert(&tls, &ca, "expired", "n1", -60);
    foreign = tls_fixture_cert(&tls, &other_ca, "foreign", "n1", 3600);
    return 0;
}

static int remove_certificates(void **state)
{
    (void)state;
    tls_fixture_done(&tls);
    return 0;
}

static struct link_tls_options with(const struct tls_fixture_pair *pair,
                                    const struct tls_fixture_pair *authority)
{
    return (struct link_tls_options){
        .cert_path = pair->cert_path, .key_path = pair->key_path, .ca_path = authority->cert_path};
}

/* `tls_options` NULL: plain. */
static void node_init(struct fixture_node *node, struct link_fixture *f, uint64_t id,
                      const struct link_tls_options *tls_options)
{
    struct link_set_options options;
    fixture_node_options(node, f, id, &options);
    options.tls = tls_options;
    options.handshake_timeout_ms = 10000;
    fixture_node_start(node, &options);
}

/* ---- sessions without a loop -------------------------------------------------------------- */

struct tls_pair {
    struct link_tls *tls[2];
    struct link_tls_session *ends[2];
};

static void tls_pair_init(struct tls_pair *pair)
{
    struct error e;
    struct link_tls_options options[] = {with(&n1, &ca), with(&n2, &ca)};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(link_tls_new(&options[i], &pair->tls[i], &e), 0);
        pair->ends[i] = link_tls_session_new(pair->tls[i], i == 0);
    }
}

static void tls_pair_done(struct tls_pair *pair)
{
    for (int i = 0; i < 2; i++) {
        link_tls_session_free(pair->ends[i]);
        link_tls_free(pair->tls[i]);
    }
}

/* Carries what `from` has to say to the other end, in pieces of `piece` bytes. */
static void tls_pair_carry(struct tls_pair *pair, int from, size_t piece)
{
    struct buf *out = link_tls_output(pair->ends[from]);
    for (size_t at = 0; at < out->len; at += piece) {
        size_t len = out->len - at < piece ? out->len - at : piece;
        assert_int_equal(link_tls_feed(pair->ends[!from], out->data + at, len), 0);
    }
    buf_clear(out);
}

static void tls_pair_shake(struct tls_pair *pair, size_t piece)
{
    struct error e;
    int done[2] = {0, 0};
    for (int round = 0; round < 20 && !(done[0] && done[1]); round++) {
        for (int i = 0; i < 2; i++) {
            if (!done[i])
                done[i] = link_tls_handshake(pair->ends[i], &e);
            assert_true(done[i] >= 0);
            tls_pair_carry(pair, i, piece);
        }
    }
    assert_true(done[0] == 1 && done[1] == 1);
}

static void bytes_pass_encrypted_in_both_directions(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct error e;
    static char sent[100000];
    static char got[100000];
    tls_pair_init(&pair);
    tls_pair_shake(&pair, 100);
    memset(sent, 'x', sizeof sent);
    for (int i = 0; i < 2; i++) {
        link_tls_seal(pair.ends[i], sent, sizeof sent);
        struct buf *out = link_tls_output(pair.ends[i]);
        assert_true(out->len > sizeof sent);
        assert_null(memmem(out->data, out->len, "xxxxxxxx", 8));
        tls_pair_carry(&pair, i, SIZE_MAX);
        size_t have = 0;
        ssize_t n;
        while ((n = link_tls_open(pair.ends[!i], got + have, sizeof got - have, &e)) > 0 &&
               have + (size_t)n < sizeof got)
            have += (size_t)n;
        assert_memory_equal(sent, got, sizeof got);
    }
    assert_true(link_tls_has_name(pair.ends[0], "n2"));
    assert_true(link_tls_has_name(pair.ends[1], "N1"));
    assert_false(link_tls_has_name(pair.ends[0], "n1"));
    assert_false(link_tls_has_name(pair.ends[0], "n"));
    assert_false(link_tls_has_name(pair.ends[0], ""));
    link_tls_end(pair.ends[0]);
    tls_pair_carry(&pair, 0, SIZE_MAX);
    assert_int_equal(link_tls_open(pair.ends[1], got, sizeof got, &e), -ECONNRESET);
    tls_pair_done(&pair);
}

static void a_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct tls_pair pair;
    struct error e;
    char got[64];
    tls_pair_init(&pair);
    tls_pair_shake(&pair, SIZE_MAX);
    link_tls_seal(pair.ends[0], "hello", 5);
    struct buf *out = link_tls_output(pair.ends[0]);
    out->data[out->len - 3] ^= 1;
    tls_pair_carry(&pair, 0, SIZE_MAX);
    assert_int_equal(link_tls_open(pair.ends[1], got, sizeof got, &e), ERR_PROTOCOL);
    tls_pair_done(&pair);
}

static void random_bytes_never_end_a_handshake_well(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    for (int round = 0; round < 200; round++) {
        struct tls_pair pair;
        struct error e = {0};
        uint8_t data[600];
        prng_bytes(&prng, data, sizeof data);
        if (round % 2 == 0)
            memcpy(data, "\x16\x03\x01\x01\x00\x01", 6); /* begins as a ClientHello */
        tls_pair_init(&pair);
        assert_int_equal(link_tls_feed(pair.ends[1], data, sizeof data), 0);
        int status = link_tls_handshake(pair.ends[1], &e);
        assert_true(status == 0 || (status == ERR_PROTOCOL && e.text[0] != '\0'));
        tls_pair_done(&pair);
    }
}

static void unusable_files_are_named(void **state)
{
    (void)state;
    struct link_tls *made = NULL;
    struct error e;
    struct link_tls_options options = with(&n1, &ca);
    options.key_path = n2.key_path;
    assert_int_equal(link_tls_new(&options, &made, &e), ERR_INVALID);
    assert_non_null(strstr(e.text, n2.key_path));
    options = with(&n1, &ca);
    options.cert_path = "/nowhere/cert.pem";
    assert_int_equal(link_tls_new(&options, &made, &e), -ENOENT);
    assert_non_null(strstr(e.text, "/nowhere/cert.pem"));
    options = with(&n1, &ca);
    options.ca_path = n1.key_path;
    assert_int_equal(link_tls_new(&options, &made, &e), ERR_INVALID);
    assert_non_null(strstr(e.text, n1.key_path));
    assert_null(made);
}

/* ---- links -------------------------------------------------------------------------------- */

static void nodes_of_one_ca_link_and_talk(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_tls_options one = with(&n1, &ca);
    struct link_tls_options two = with(&n2, &ca);
    one.check_name = two.check_name = true;
    node_init(&a, f, 1, &one);
    node_init(&b, f, 2, &two);
    (void)fixture_node_dial(&a, &b);
    LINK_WAIT(f, a.link != NULL && b.link != NULL);
    for (uint64_t i = 0; i < 300; i++) {
        size_t bytes = i % 50 == 0 ? 300000 : i * 10;
        assert_int_equal(fixture_node_send(&a, i, bytes), 0);
        assert_int_equal(fixture_node_send(&b, i, bytes), 0);
    }
    LINK_WAIT(f, a.messages == 300 && b.messages == 300);
    assert_true(a.in_order && b.in_order);
    assert_int_equal(fixture_node_send(&a, 300, FRAME_BODY_BYTES_MAX - 64), 0);
    LINK_WAIT(f, b.messages == 301);
    link_close(a.link, ERR_FORBIDDEN, "enough");
    LINK_WAIT(f, b.downs == 1);
    assert_int_equal(b.down_code, ERR_FORBIDDEN);
    assert_string_equal(b.down_reason, "enough");
    fixture_node_stop(&a);
    fixture_node_stop(&b);
}

/* The two don't link, in whichever direction they try, and one side says these words. */
static void expect_refused(struct link_fixture *f, const struct link_tls_options *first,
                           const struct link_tls_options *second, int code, const char *words)
{
    for (int direction = 0; direction < 2; direction++) {
        struct fixture_node a, b;
        node_init(&a, f, 1, first);
        node_init(&b, f, 2, second);
        struct fixture_node *from = direction == 0 ? &a : &b;
        (void)fixture_node_dial(from, direction == 0 ? &b : &a);
        LINK_WAIT(f, from->dial_failures > 0);
        if (code != 0)
            assert_int_equal(from->dial_code, code);
        if (strstr(from->dial_reason, words) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", words, from->dial_reason);
        assert_int_equal(a.ups + b.ups, 0);
        fixture_node_stop(&a);
        fixture_node_stop(&b);
    }
}

static void a_certificate_of_another_ca_is_refused(void **state)
{
    struct link_tls_options one = with(&foreign, &ca);
    struct link_tls_options two = with(&n2, &ca);
    expect_refused(*state, &one, &two, ERR_UNAUTHORIZED, "TLS: ");
}

static void an_expired_certificate_is_refused(void **state)
{
    struct link_tls_options one = with(&expired, &ca);
    struct link_tls_options two = with(&n2, &ca);
    expect_refused(*state, &one, &two, ERR_UNAUTHORIZED, "TLS: ");
}

static void the_reason_of_a_refused_certificate_is_said(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_tls_options one = with(&expired, &ca);
    struct link_tls_options two = with(&n2, &ca);
    node_init(&a, f, 1, &one);
    node_init(&b, f, 2, &two);
    (void)fixture_node_dial(&b, &a);
    LINK_WAIT(f, b.dial_failures > 0);
    assert_non_null(strstr(b.dial_reason, "expired"));
    fixture_node_stop(&a);
    fixture_node_stop(&b);
}

static void plain_and_tls_do_not_link(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_tls_options two = with(&n2, &ca);
    for (int direction = 0; direction < 2; direction++) {
        node_init(&a, f, 1, NULL);
        node_init(&b, f, 2, &two);
        struct fixture_node *from = direction == 0 ? &a : &b;
        (void)fixture_node_dial(from, direction == 0 ? &b : &a);
        LINK_WAIT(f, from->dial_failures > 0);
        assert_int_equal(from->dial_code, ERR_PROTOCOL);
        assert_non_null(strstr(from->dial_reason, "TLS"));
        assert_int_equal(a.ups + b.ups, 0);
        fixture_node_stop(&a);
        fixture_node_stop(&b);
    }
}

static void a_name_that_the_certificate_does_not_carry_is_refused(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_tls_options one = with(&n2, &ca); /* n1 with the certificate of n2 */
    struct link_tls_options two = with(&n2, &ca);
    node_init(&a, f, 1, &one);
    two.check_name = true;
    node_init(&b, f, 2, &two);
    (void)fixture_node_dial(&a, &b);
    LINK_WAIT(f, a.dial_failures > 0);
    assert_int_equal(a.dial_code, ERR_UNAUTHORIZED);
    assert_non_null(strstr(a.dial_reason, "\"n1\""));
    assert_int_equal(b.ups, 0);
    fixture_node_stop(&a);
    fixture_node_stop(&b);
}

static void a_set_that_closes_during_handshakes_closes_clean(void **state)
{
    struct link_fixture *f = *state;
    struct link_tls_options one = with(&n1, &ca);
    struct link_tls_options two = with(&n2, &ca);
    for (unsigned turns = 0; turns < 12; turns++) {
        struct fixture_node a, b;
        node_init(&a, f, 1, &one);
        node_init(&b, f, 2, &two);
        (void)fixture_node_dial(&a, &b);
        for (unsigned i = 0; i < turns; i++)
            link_fixture_turn(f);
        fixture_node_stop(turns % 2 ? &a : &b);
        fixture_node_stop(turns % 2 ? &b : &a);
    }
}

static void a_client_that_stops_in_the_handshake_is_dropped(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a;
    struct fixture_stranger stranger;
    struct link_set_options options;
    struct link_tls_options one = with(&n1, &ca);
    struct error e;
    struct link_tls *other = NULL;
    fixture_node_options(&a, f, 1, &options);
    options.tls = &one;
    options.handshake_timeout_ms = 30;
    fixture_node_start(&a, &options);
    assert_int_equal(link_tls_new(&one, &other, &e), 0);
    struct link_tls_session *session = link_tls_session_new(other, true);
    assert_int_equal(link_tls_handshake(session, &e), 0);
    struct buf *hello = link_tls_output(session);
    for (size_t len = 0; len <= hello->len; len += hello->len / 2) {
        fixture_stranger_connect(&stranger, f, link_set_address(a.set));
        fixture_stranger_send(&stranger, hello->data, len);
        LINK_WAIT(f, stranger.ended);
        fixture_stranger_done(&stranger);
    }
    struct link_set_stats stats;
    link_set_get_stats(a.set, &stats);
    assert_true(stats.handshake_timeouts >= 2);
    link_tls_session_free(session);
    link_tls_free(other);
    fixture_node_stop(&a);
}

static void an_idle_tls_link_takes_bounded_memory(void **state)
{
    struct link_fixture *f = *state;
    enum { PEERS = 40, LINK_BYTES_MAX = 30 * 1024 };
    static struct fixture_node peers[PEERS];
    struct fixture_node hub;
    struct link_tls_options one = with(&n1, &ca);
    struct link_tls_options two = with(&n2, &ca);
    node_init(&hub, f, 1, &one);
    for (unsigned i = 0; i < PEERS; i++)
        node_init(&peers[i], f, i + 2, &two);
    size_t before = mallinfo2().uordblks;
    for (unsigned i = 0; i < PEERS; i++) {
        (void)fixture_node_dial(&peers[i], &hub);
        LINK_WAIT(f, peers[i].link != NULL);
        assert_int_equal(fixture_node_send(&peers[i], 0, 20000), 0);
    }
    LINK_WAIT(f, hub.messages == PEERS);
    size_t bytes = (mallinfo2().uordblks - before) / (2 * PEERS);
    print_message("# %zu bytes for an end of an idle TLS link\n", bytes);
    assert_true(bytes < LINK_BYTES_MAX);
    for (unsigned i = 0; i < PEERS; i++)
        fixture_node_stop(&peers[i]);
    fixture_node_stop(&hub);
}

static void many_frames_pass_over_tls(void **state)
{
    struct link_fixture *f = *state;
    struct fixture_node a, b;
    struct link_tls_options one = with(&n1, &ca);
    struct link_tls_options two = with(&n2, &ca);
    enum { FRAMES = 50000, BATCH = 100 };
    node_init(&a, f, 1, &one);
    node_init(&b, f, 2, &two);
    (void)fixture_node_dial(&a, &b);
    LINK_WAIT(f, a.link != NULL && b.link != NULL);
    int64_t begin_us = clock_mono_us();
    for (uint64_t sent = 0; sent < FRAMES;) {
        for (unsigned i = 0; i < BATCH; i++)
            assert_int_equal(fixture_node_send(&a, sent++, 128), 0);
        link_fixture_turn(f);
    }
    LINK_WAIT(f, b.messages == FRAMES);
    int64_t took_us = clock_mono_us() - begin_us;
    assert_true(b.in_order);
    print_message("# %d frames of 128 bytes over TLS in %lld ms: %lld a second (information)\n",
                  FRAMES, (long long)took_us / 1000, (long long)FRAMES * 1000000 / took_us);
    fixture_node_stop(&a);
    fixture_node_stop(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TLS_TEST(name)                                                                             \
    cmocka_unit_test_setup_teardown(name, link_fixture_setup, link_fixture_teardown)
        cmocka_unit_test(bytes_pass_encrypted_in_both_directions),
        cmocka_unit_test(a_flipped_bit_is_noticed),
        cmocka_unit_test(random_bytes_never_end_a_handshake_well),
        cmocka_unit_test(unusable_files_are_named),
        TLS_TEST(nodes_of_one_ca_link_and_talk),
        TLS_TEST(a_certificate_of_another_ca_is_refused),
        TLS_TEST(an_expired_certificate_is_refused),
        TLS_TEST(the_reason_of_a_refused_certificate_is_said),
        TLS_TEST(plain_and_tls_do_not_link),
        TLS_TEST(a_name_that_the_certificate_does_not_carry_is_refused),
        TLS_TEST(a_set_that_closes_during_handshakes_closes_clean),
        TLS_TEST(a_client_that_stops_in_the_handshake_is_dropped),
        TLS_TEST(an_idle_tls_link_takes_bounded_memory),
        TLS_TEST(many_frames_pass_over_tls),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
