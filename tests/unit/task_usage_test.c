#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "run/task_usage.h"

/* A session of its own with a child that works. It says a byte on `fd` when both are there. */
static void live(int fd)
{
    (void)setsid();
    if (fork() == 0) {
        (void)!write(fd, "x", 1);
        for (volatile unsigned long i = 0;; i = i + 1)
            ;
    }
    for (;;)
        (void)pause();
}

static void what_all_processes_of_a_session_use_is_added_up(void **state)
{
    (void)state;
    int fds[2];
    char dir[] = "/tmp/task-usage-test.XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = mem_printf("%s/stdout", dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("seven\n!", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pipe(fds), 0);
    pid_t leader = fork();
    if (leader == 0)
        live(fds[1]);
    char byte;
    assert_int_equal(read(fds[0], &byte, 1), 1);
    struct task_usage usages[2] = {{.dir = dir}, {.session = leader, .dir = dir}};
    do { /* until the child was seen to work: the clock of processes ticks each 10 ms */
        usages[1].user_us = usages[1].system_us = usages[1].rss_bytes = 0;
        task_usage_measure(usages, 2);
    } while (usages[1].user_us + usages[1].system_us == 0);
    assert_true(usages[1].rss_bytes > 0);
    assert_int_equal(usages[1].stdout_bytes, 7);
    assert_int_equal(usages[1].stderr_bytes, 0);
    /* what runs no command has its output, and no process of the machine is taken for its own */
    assert_int_equal(usages[0].rss_bytes, 0);
    assert_int_equal(usages[0].user_us + usages[0].system_us, 0);
    assert_int_equal(usages[0].stdout_bytes, 7);
    assert_int_equal(kill(-leader, SIGKILL), 0);
    assert_int_equal(waitpid(leader, NULL, 0), leader);
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_all_processes_of_a_session_use_is_added_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
