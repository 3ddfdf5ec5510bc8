#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "run/peer_user.h"

enum { NOBODY = 65534 };

struct pair {
    struct sockaddr_storage address;
    socklen_t address_len;
    int listener, peer, own;
};

static void listen_on(struct pair *p, const char *ip)
{
    struct sockaddr_in *in = (void *)&p->address;
    struct sockaddr_in6 *in6 = (void *)&p->address;
    *p = (struct pair){.listener = -1, .peer = -1, .own = -1};
    if (inet_pton(AF_INET, ip, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        p->address_len = sizeof *in;
    } else {
        assert_int_equal(inet_pton(AF_INET6, ip, &in6->sin6_addr), 1);
        in6->sin6_family = AF_INET6;
        p->address_len = sizeof *in6;
    }
    p->listener = socket(p->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&p->address, p->address_len) < 0)
        skip(); /* a machine without IPv6 */
    assert_int_equal(listen(p->listener, 1), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&p->address, &p->address_len), 0);
}

static int connect_to(const struct pair *p)
{
    int fd = socket(p->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&p->address, p->address_len), 0);
    return fd;
}

static void pair_open(struct pair *p, const char *ip)
{
    listen_on(p, ip);
    p->peer = connect_to(p);
    p->own = accept(p->listener, NULL, NULL);
    assert_true(p->own >= 0);
}

static void pair_close(struct pair *p)
{
    (void)close(p->listener);
    (void)close(p->peer);
    (void)close(p->own);
}

static void the_user_of_a_peer_on_this_machine_is_known(void **state)
{
    static const char *const ips[] = {"127.0.0.1", "127.1.2.3", "::1"};
    (void)state;
    for (size_t i = 0; i < sizeof ips / sizeof *ips; i++) {
        struct pair p;
        uid_t uid = 12345;
        pair_open(&p, ips[i]);
        assert_int_equal(peer_user_of(p.own, &uid), 0);
        assert_int_equal(uid, getuid());
        assert_int_equal(shutdown(p.peer, SHUT_WR), 0);
        assert_int_equal(peer_user_of(p.own, &uid), 0);
        pair_close(&p);
    }
}

static void another_user_is_told_apart(void **state)
{
    (void)state;
    if (getuid() != 0)
        skip();
    struct pair p;
    uid_t uid;
    char byte;
    listen_on(&p, "127.0.0.1");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (setuid(NOBODY) < 0)
            _exit(1);
        int fd = connect_to(&p);
        _exit(read(fd, &byte, 1) == 1 ? 0 : 2); /* until it has been looked at */
    }
    p.own = accept(p.listener, NULL, NULL);
    assert_int_equal(peer_user_of(p.own, &uid), 0);
    assert_int_equal(uid, NOBODY);
    assert_int_equal(write(p.own, "x", 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pair_close(&p);
}

/* The kernel would say that it is root's. */
static void a_peer_that_has_closed_its_end_is_nobodys(void **state)
{
    (void)state;
    struct pair p;
    uid_t uid = 12345;
    pair_open(&p, "127.0.0.1");
    assert_int_equal(write(p.peer, "x", 1), 1);
    assert_int_equal(close(p.peer), 0);
    p.peer = -1;
    assert_int_equal(peer_user_of(p.own, &uid), ERR_NOT_FOUND);
    assert_int_equal(uid, 12345);
    pair_close(&p);
}

static void what_is_no_connection_is_refused(void **state)
{
    (void)state;
    uid_t uid;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(peer_user_of(fds[0], &uid), ERR_UNSUPPORTED);
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_true(peer_user_of(fds[0], &uid) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_user_of_a_peer_on_this_machine_is_known),
        cmocka_unit_test(another_user_is_told_apart),
        cmocka_unit_test(a_peer_that_has_closed_its_end_is_nobodys),
        cmocka_unit_test(what_is_no_connection_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
