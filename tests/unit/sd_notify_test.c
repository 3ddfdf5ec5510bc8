#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/sd_notify.h"

struct manager {
    char dir[64];
    char path[96]; /* '@' first: abstract */
    int fd;
};

static void manager_listen(struct manager *m, const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    (void)snprintf(m->path, sizeof m->path, "%s", path);
    memcpy(name.sun_path, path, len);
    if (path[0] == '@')
        name.sun_path[0] = '\0';
    m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(m->fd, (struct sockaddr *)&name,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
    assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
}

static void manager_init(struct manager *m)
{
    char path[96];
    (void)snprintf(m->dir, sizeof m->dir, "/tmp/clusterd-notify-XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    (void)snprintf(path, sizeof path, "%s/socket", m->dir);
    manager_listen(m, path);
}

static void forget_manager(void)
{
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
}

static void manager_done(struct manager *m)
{
    forget_manager();
    (void)close(m->fd);
    (void)unlink(m->path);
    (void)rmdir(m->dir);
}

static void expect(struct manager *m, const char *text)
{
    char got[1024];
    ssize_t n = recv(m->fd, got, sizeof got - 1, MSG_DONTWAIT);
    assert_true(n >= 0);
    got[n] = '\0';
    assert_string_equal(got, text);
}

static void every_state_is_told_in_the_managers_words(void **state)
{
    (void)state;
    struct manager m;
    manager_init(&m);
    assert_true(sd_notify_is_enabled());
    assert_int_equal(sd_notify_ready(NULL), 0);
    expect(&m, "READY=1");
    assert_int_equal(sd_notify_ready("serving"), 0);
    expect(&m, "READY=1\nSTATUS=serving");
    assert_int_equal(sd_notify_watchdog(), 0);
    expect(&m, "WATCHDOG=1");
    assert_int_equal(sd_notify_stopping("draining"), 0);
    expect(&m, "STOPPING=1\nSTATUS=draining");
    manager_done(&m);
}

static void a_status_cannot_smuggle_in_another_assignment(void **state)
{
    (void)state;
    struct manager m;
    manager_init(&m);
    assert_int_equal(sd_notify_ready("one\nMAINPID=1"), 0);
    expect(&m, "READY=1\nSTATUS=one MAINPID=1");
    manager_done(&m);
}

static void an_abstract_socket_is_spoken_to(void **state)
{
    (void)state;
    struct manager m = {0};
    char path[64];
    (void)snprintf(path, sizeof path, "@clusterd-notify-test-%d", (int)getpid());
    manager_listen(&m, path);
    assert_int_equal(sd_notify_ready(NULL), 0);
    expect(&m, "READY=1");
    manager_done(&m);
}

static void without_a_manager_nothing_happens(void **state)
{
    (void)state;
    forget_manager();
    assert_false(sd_notify_is_enabled());
    assert_int_equal(sd_notify_ready("x"), 0);
    assert_int_equal(sd_notify_watchdog_ms(), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", "relative", 1), 0);
    assert_false(sd_notify_is_enabled());
    assert_int_equal(setenv("NOTIFY_SOCKET", "", 1), 0);
    assert_false(sd_notify_is_enabled());
    forget_manager();
}

static void a_manager_that_is_gone_is_an_error_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(setenv("NOTIFY_SOCKET", "/nowhere/socket", 1), 0);
    assert_int_equal(sd_notify_ready(NULL), -ENOENT);
    forget_manager();
}

static void the_watchdog_is_for_the_process_it_names(void **state)
{
    (void)state;
    char pid[16];
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    assert_int_equal(setenv("WATCHDOG_USEC", "30000000", 1), 0);
    assert_int_equal(sd_notify_watchdog_ms(), 30000);
    assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    assert_int_equal(sd_notify_watchdog_ms(), 30000);
    assert_int_equal(setenv("WATCHDOG_PID", "1", 1), 0);
    assert_int_equal(sd_notify_watchdog_ms(), 0);
    assert_int_equal(setenv("WATCHDOG_PID", pid, 1), 0);
    assert_int_equal(setenv("WATCHDOG_USEC", "soon", 1), 0);
    assert_int_equal(sd_notify_watchdog_ms(), 0);
    forget_manager();
    assert_null(getenv("WATCHDOG_USEC"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_is_told_in_the_managers_words),
        cmocka_unit_test(a_status_cannot_smuggle_in_another_assignment),
        cmocka_unit_test(an_abstract_socket_is_spoken_to),
        cmocka_unit_test(without_a_manager_nothing_happens),
        cmocka_unit_test(a_manager_that_is_gone_is_an_error_and_no_more),
        cmocka_unit_test(the_watchdog_is_for_the_process_it_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
