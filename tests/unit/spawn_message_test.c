#include "run/spawn_message.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "run/spawn_channel.h"
#include "tests/unit/generated.h"

enum { OUT_BYTES_MAX = 64 << 20 };

static const char *const argv_[] = {"printf", "%s", "a b", "", NULL};
static const char *const env_[] = {"A=1", "EMPTY=", NULL};

static struct spawn_message_cursor body_of(const struct buf *out)
{
    return (struct spawn_message_cursor){out->data + sizeof(struct spawn_message_head),
                                         out->len - sizeof(struct spawn_message_head)};
}

static void a_command_comes_through_as_it_was(void **state)
{
    (void)state;
    struct spawn_command command = {.argv = argv_,
                                    .env = env_,
                                    .dir = "/some/dir",
                                    .dir_use = SPAWN_DIR_MAKE,
                                    .time_limit_ms = 1,
                                    .kill_grace_ms = 2,
                                    .output_bytes_max = 3,
                                    .memory_bytes_max = 4,
                                    .cpu_milli_max = 5,
                                    .nice = -6};
    struct spawn_message_run run;
    struct buf out;
    char *dir;
    char **argv, **env;

    buf_init(&out, OUT_BYTES_MAX);
    assert_int_equal(spawn_message_add_run(&out, 77, &command), 0);
    assert_int_equal(out.len % 8, 0);
    assert_int_equal(spawn_message_read_run(body_of(&out), &run, &dir, &argv, &env), 0);
    assert_int_equal(run.id, 77);
    assert_int_equal(run.time_limit_ms, 1);
    assert_int_equal(run.kill_grace_ms, 2);
    assert_int_equal(run.output_bytes_max, 3);
    assert_int_equal(run.memory_bytes_max, 4);
    assert_int_equal(run.cpu_milli_max, 5);
    assert_int_equal(run.nice, -6);
    assert_int_equal(run.dir_use, SPAWN_DIR_MAKE);
    assert_string_equal(dir, "/some/dir");
    for (int i = 0; i < 4; i++)
        assert_string_equal(argv[i], argv_[i]);
    assert_null(argv[4]);
    assert_null(env[0]); /* room for the caller's */
    assert_string_equal(env[1], "A=1");
    assert_string_equal(env[2], "EMPTY=");
    assert_null(env[3]);
    free(argv);
    buf_done(&out);
}

static void a_command_that_is_refused_leaves_nothing_behind(void **state)
{
    (void)state;
    const char *many[] = {"x", NULL};
    struct spawn_command commands[] = {{.argv = NULL},
                                       {.argv = many, .dir = "relative"},
                                       {.argv = many, .dir_use = SPAWN_DIR_MAKE}};
    struct buf out;

    buf_init(&out, OUT_BYTES_MAX);
    for (size_t i = 0; i < MEM_COUNT(commands); i++)
        assert_int_equal(spawn_message_add_run(&out, 1, &commands[i]), ERR_INVALID);
    assert_int_equal(out.len, 0);
    buf_done(&out);
    buf_init(&out, 64);
    assert_int_equal(spawn_message_add_run(&out, 1, &(struct spawn_command){.argv = many}),
                     ERR_TOO_LARGE);
    assert_int_equal(out.len, 0);
    buf_done(&out);
}

static void a_record_that_was_cut_is_malformed(void **state)
{
    (void)state;
    struct spawn_command command = {.argv = argv_, .env = env_, .dir = "/d"};
    struct spawn_message_run run;
    struct buf out;
    char *dir;
    char **argv, **env;

    buf_init(&out, OUT_BYTES_MAX);
    assert_int_equal(spawn_message_add_run(&out, 1, &command), 0);
    struct spawn_message_cursor body = body_of(&out);
    /* the last bytes are padding, the one before them ends the last string */
    size_t last = body.len;
    while (body.data[last - 2] == '\0')
        last--;
    for (size_t len = 0; len < last; len++) {
        struct spawn_message_cursor cut = {body.data, len};
        assert_int_equal(spawn_message_read_run(cut, &run, &dir, &argv, &env), ERR_PROTOCOL);
    }
    buf_done(&out);
}

static void any_bytes_are_read_without_harm(void **state)
{
    (void)state;
    struct generated g;
    uint8_t data[256];
    struct spawn_message_run run;
    struct spawn_message_ended ended;
    struct spawn_result result;
    char *dir;
    char **argv, **env;

    generated_init(&g, 2000);
    while (generated_next(&g)) {
        for (size_t i = 0; i < sizeof data; i++)
            data[i] = prng_below(&g.prng, 4) ? 0 : (uint8_t)prng_below(&g.prng, 256);
        struct spawn_message_cursor body = {data, prng_below(&g.prng, sizeof data + 1)};
        if (spawn_message_read_run(body, &run, &dir, &argv, &env) == 0)
            free(argv);
        if (spawn_message_read_ended(body, &ended, &result) == 0 && result.tidied)
            generated_check(&g, result.stdout_bytes + result.stderr_bytes <= body.len,
                            "%llu bytes of streams in %zu",
                            (unsigned long long)(result.stdout_bytes + result.stderr_bytes),
                            body.len);
    }
}

/* ---- the channel ---- */

struct ends {
    struct spawn_channel a;
    struct spawn_channel b;
    uint64_t next; /* id that is expected at `b` */
    size_t bytes;
};

static void ends_init(struct ends *e)
{
    int fds[2];

    *e = (struct ends){.next = 1};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    spawn_channel_init(&e->a, fds[0], OUT_BYTES_MAX);
    spawn_channel_init(&e->b, fds[1], OUT_BYTES_MAX);
}

static void ends_done(struct ends *e)
{
    spawn_channel_done(&e->a);
    spawn_channel_done(&e->b);
}

static int take(void *arg, enum spawn_message_type type, struct spawn_message_cursor body)
{
    struct ends *e = arg;
    struct spawn_message_run run;
    char *dir;
    char **argv, **env;

    if (type != SPAWN_MESSAGE_RUN)
        return ERR_PROTOCOL;
    assert_int_equal(spawn_message_read_run(body, &run, &dir, &argv, &env), 0);
    assert_int_equal(run.id, e->next++);
    e->bytes += strlen(argv[1]);
    free(argv);
    return 0;
}

static void add(struct ends *e, uint64_t id, size_t bytes)
{
    char *arg = mem_alloc(bytes + 1);
    const char *argv[] = {"x", arg, NULL};

    memset(arg, 'a', bytes);
    arg[bytes] = '\0';
    assert_int_equal(spawn_message_add_run(&e->a.out, id, &(struct spawn_command){.argv = argv}),
                     0);
    free(arg);
}

static void many_records_travel_in_one_packet(void **state)
{
    (void)state;
    struct ends e;

    ends_init(&e);
    for (uint64_t id = 1; id <= 100; id++)
        add(&e, id, 10);
    assert_int_equal(spawn_channel_flush(&e.a), 0);
    assert_int_equal(e.a.out.len, 0);
    assert_int_equal(spawn_channel_receive(&e.b, 1, take, &e), 0);
    assert_int_equal(e.next, 101);
    ends_done(&e);
}

static void a_record_larger_than_a_packet_travels_between_the_others(void **state)
{
    (void)state;
    struct ends e;

    ends_init(&e);
    add(&e, 1, 10);
    add(&e, 2, 3 << 20);
    add(&e, 3, SPAWN_MESSAGE_PACKET_BYTES);
    add(&e, 4, 10);
    assert_int_equal(spawn_channel_flush(&e.a), 0);
    assert_int_equal(spawn_channel_receive(&e.b, 100, take, &e), 0);
    assert_int_equal(e.next, 5);
    assert_int_equal(e.bytes, 20 + (3 << 20) + SPAWN_MESSAGE_PACKET_BYTES);
    ends_done(&e);
}

static void what_the_socket_does_not_take_goes_later(void **state)
{
    (void)state;
    struct ends e;

    ends_init(&e);
    for (uint64_t id = 1; id <= 2000; id++)
        add(&e, id, 1000);
    assert_int_equal(spawn_channel_flush(&e.a), 1);
    assert_true(e.a.out.len > 0);
    for (int i = 0; i < 1000 && e.next <= 2000; i++) {
        assert_int_equal(spawn_channel_receive(&e.b, 3, take, &e), 0);
        assert_true(spawn_channel_flush(&e.a) >= 0);
    }
    assert_int_equal(e.next, 2001);
    assert_int_equal(e.bytes, 2000 * 1000);
    ends_done(&e);
}

static void a_peer_that_is_gone_shows(void **state)
{
    (void)state;
    struct ends e;

    ends_init(&e);
    add(&e, 1, 10);
    assert_int_equal(spawn_channel_flush(&e.a), 0);
    add(&e, 2, 10);
    close(e.a.fd);
    e.a.fd = -1;
    assert_int_equal(spawn_channel_receive(&e.b, 100, take, &e),
                     ERR_CLOSED); /* after what it said */
    assert_int_equal(e.next, 2);
    buf_clear(&e.b.out);
    assert_int_equal(spawn_message_add_run(&e.b.out, 1, &(struct spawn_command){.argv = argv_}), 0);
    assert_int_equal(spawn_channel_flush(&e.b), ERR_CLOSED);
    ends_done(&e);
}

static void packets_of_strangers_are_malformed(void **state)
{
    (void)state;
    static const struct spawn_message_head heads[] = {
        {0, SPAWN_MESSAGE_RUN},
        {7, SPAWN_MESSAGE_RUN},
        {sizeof heads[0] + 1, SPAWN_MESSAGE_RUN},
        {UINT32_MAX, SPAWN_MESSAGE_RUN},
        {sizeof heads[0], 99},
        {sizeof heads[0], SPAWN_MESSAGE_LARGE}, /* with nothing attached */
    };
    struct ends e;

    for (size_t i = 0; i < MEM_COUNT(heads); i++) {
        ends_init(&e);
        assert_int_equal(send(e.a.fd, &heads[i], sizeof heads[i], 0), sizeof heads[i]);
        assert_int_equal(spawn_channel_receive(&e.b, 1, take, &e), ERR_PROTOCOL);
        ends_done(&e);
    }
    ends_init(&e);
    assert_int_equal(send(e.a.fd, "x", 1, 0), 1);
    assert_int_equal(spawn_channel_receive(&e.b, 1, take, &e), ERR_PROTOCOL);
    ends_done(&e);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_comes_through_as_it_was),
        cmocka_unit_test(a_command_that_is_refused_leaves_nothing_behind),
        cmocka_unit_test(a_record_that_was_cut_is_malformed),
        cmocka_unit_test(any_bytes_are_read_without_harm),
        cmocka_unit_test(many_records_travel_in_one_packet),
        cmocka_unit_test(a_record_larger_than_a_packet_travels_between_the_others),
        cmocka_unit_test(what_the_socket_does_not_take_goes_later),
        cmocka_unit_test(a_peer_that_is_gone_shows),
        cmocka_unit_test(packets_of_strangers_are_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
