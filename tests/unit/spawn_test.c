#include "run/spawn.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/dir_pool.h"
#include "tests/unit/spawn_fixture.h"

static int setup(void **state)
{
    struct spawn_fixture *f = mem_zalloc(sizeof *f);

    spawn_fixture_init(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    spawn_fixture_done(*state);
    free(*state);
    return 0;
}

/* ---- how a command ends ---- */

static void an_exit_code_comes_back(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {{"exit 0", 0}, {"exit 3", 3}, {"exit 255", 255}};
    struct spawn_fixture_run r;

    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL(cases[i].text), &r);
        assert_int_equal(r.result.end, SPAWN_EXITED);
        assert_int_equal(r.result.exit_code, cases[i].code);
        assert_int_equal(r.result.reason, SPAWN_REASON_NONE);
        assert_true(r.has_started && r.pid > 0);
        assert_true(r.result.started_ms > 0 && r.result.ended_ms >= r.result.started_ms);
        assert_true(r.result.wall_us > 0 && r.result.rss_max_bytes > 0);
        spawn_fixture_run_done(&r);
    }
}

static void a_signal_comes_back(void **state)
{
    struct spawn_fixture_run r;

    spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL("kill -SEGV $$"), &r);
    assert_int_equal(r.result.end, SPAWN_SIGNALED);
    assert_int_equal(r.result.signal, SIGSEGV);
    spawn_fixture_run_done(&r);
}

static void time_of_the_processor_is_counted(void **state)
{
    struct spawn_fixture_run r;

    spawn_fixture_run(*state,
                      SPAWN_FIXTURE_SHELL("i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done"), &r);
    assert_true(r.result.user_us + r.result.system_us > 1000);
    assert_true(r.result.user_us <= r.result.wall_us * 2);
    spawn_fixture_run_done(&r);
}

static void a_missing_command_fails_with_its_errno(void **state)
{
    struct spawn_fixture_run r;

    spawn_fixture_needs_vfork();
    spawn_fixture_run(*state,
                      (struct spawn_command){.argv = (const char *const[]){"no-such-thing", NULL},
                                             .dir_use = SPAWN_FIXTURE_TIDY},
                      &r);
    assert_int_equal(r.result.end, SPAWN_FAILED);
    assert_int_equal(r.result.error, -ENOENT);
    assert_string_equal(r.what, "execute");
    assert_false(r.has_started);
    spawn_fixture_run_done(&r);
}

static void what_may_not_be_executed_fails_with_its_errno(void **state)
{
    struct spawn_fixture_run r;

    spawn_fixture_needs_vfork();
    spawn_fixture_run(
        *state, (struct spawn_command){.argv = (const char *const[]){"/etc/passwd", NULL}}, &r);
    assert_int_equal(r.result.end, SPAWN_FAILED);
    assert_int_equal(r.result.error, -EACCES);
    spawn_fixture_run_done(&r);
}

static void the_shell_says_what_it_did_not_find(void **state)
{
    struct spawn_fixture_run r;

    spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL("no-such-thing"), &r);
    assert_int_equal(r.result.exit_code, 127);
    assert_non_null(strstr(r.err, "no-such-thing: not found"));
    spawn_fixture_run_done(&r);
}

/* ---- what a command sees ---- */

static void the_command_is_looked_up_in_its_own_path(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run r;
    char *bin = mem_printf("%s/bin", f->dir);
    char *script = mem_printf("%s/greet", bin);
    char *path = mem_printf("PATH=/nowhere:%s:/usr/bin", bin);

    assert_int_equal(mkdir(bin, 0700), 0);
    int fd = open(script, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    assert_int_equal(write(fd, "echo hello $1\n", 14), 14); /* without "#!" */
    close(fd);
    spawn_fixture_run(f,
                      (struct spawn_command){.argv = (const char *const[]){"greet", "you", NULL},
                                             .env = (const char *const[]){path, NULL},
                                             .dir_use = SPAWN_FIXTURE_TIDY},
                      &r);
    assert_int_equal(r.result.exit_code, 0);
    assert_string_equal(r.out, "hello you\n");
    spawn_fixture_run_done(&r);
    free(bin);
    free(script);
    free(path);
}

static void it_sees_its_directory_and_its_environment(void **state)
{
    struct spawn_fixture_run r;
    struct spawn_command command = {.argv = (const char *const[]){"/usr/bin/env", NULL},
                                    .env = (const char *const[]){"A=1", "B=two words", NULL},
                                    .dir_use = SPAWN_FIXTURE_TIDY};

    spawn_fixture_run(*state, command, &r);
    assert_non_null(strstr(r.out, "\nA=1\nB=two words\n"));
    assert_int_equal(strncmp(r.out, "CLUSTERD_TASK_TOKEN=", 20), 0);
    spawn_fixture_run_done(&r);

    spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL("pwd"), &r);
    char *expected = mem_printf("%s/work\n", r.dir);
    assert_string_equal(r.out, expected);
    free(expected);
    spawn_fixture_run_done(&r);
}

static void no_descriptor_leaks_into_it(void **state)
{
    struct spawn_fixture_run r;
    int fds[2];

    assert_int_equal(pipe(fds), 0); /* two that are not close-on-exec in the daemon */
    spawn_fixture_run(
        *state,
        (struct spawn_command){.argv = (const char *const[]){"/bin/ls", "/proc/self/fd", NULL},
                               .dir_use = SPAWN_FIXTURE_TIDY},
        &r);
    assert_string_equal(r.out, "0\n1\n2\n3\n"); /* 3 is ls reading that directory */
    spawn_fixture_run_done(&r);
    close(fds[0]);
    close(fds[1]);
}

static void its_input_is_empty(void **state)
{
    struct spawn_fixture_run r;

    spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL("wc -c; readlink /proc/self/fd/0"), &r);
    assert_string_equal(r.out, "0\n/dev/null\n");
    spawn_fixture_run_done(&r);
}

static void it_has_default_signals_no_privileges_and_its_own_session(void **state)
{
    struct spawn_fixture_run r;
    char *expected;

    spawn_fixture_run(*state,
                      SPAWN_FIXTURE_SHELL("grep -E '^(SigBlk|SigIgn|NoNewPrivs)' /proc/self/status;"
                                          "ulimit -c; cut -d' ' -f5,6 /proc/$$/stat"),
                      &r);
    expected = mem_printf("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                          "NoNewPrivs:\t1\n0\n%d %d\n",
                          r.pid, r.pid);
    assert_string_equal(r.out, expected);
    free(expected);
    spawn_fixture_run_done(&r);
}

static void large_arguments_and_environments_arrive(void **state)
{
    enum { COUNT = 12, BYTES = 100000 };
    struct spawn_fixture_run r;
    const char *argv[COUNT + 5] = {"/bin/sh", "-c", "echo $# ${#1} ${#BIG}", "sh"};
    char *arg = mem_alloc(BYTES + 1);
    char *env = mem_alloc(BYTES + 5);

    memset(arg, 'a', BYTES);
    arg[BYTES] = '\0';
    snprintf(env, BYTES + 5, "BIG=%s", arg);
    for (int i = 0; i < COUNT; i++)
        argv[4 + i] = arg;
    spawn_fixture_run(*state,
                      (struct spawn_command){.argv = argv,
                                             .env = (const char *const[]){env, NULL},
                                             .dir_use = SPAWN_FIXTURE_TIDY},
                      &r);
    assert_string_equal(r.out, "12 100000 100000\n");
    spawn_fixture_run_done(&r);
    free(arg);
    free(env);
}

static void what_can_not_be_a_command_is_refused(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_callbacks callbacks = {.ended = spawn_fixture_ended};
    uint64_t id = 0;
    char *huge = mem_alloc(SPAWN_REQUEST_BYTES_MAX + 1);
    struct spawn_command command = {.argv = (const char *const[]){NULL}};

    memset(huge, 'a', SPAWN_REQUEST_BYTES_MAX);
    huge[SPAWN_REQUEST_BYTES_MAX] = '\0';
    assert_int_equal(spawn_run(f->spawn, &command, &callbacks, &id), ERR_INVALID);
    command.argv = (const char *const[]){"", NULL};
    assert_int_equal(spawn_run(f->spawn, &command, &callbacks, &id), ERR_INVALID);
    command.argv = (const char *const[]){"true", huge, NULL};
    assert_int_equal(spawn_run(f->spawn, &command, &callbacks, &id), ERR_TOO_LARGE);
    command.argv = (const char *const[]){"true", NULL};
    command.dir = "relative";
    assert_int_equal(spawn_run(f->spawn, &command, &callbacks, &id), ERR_INVALID);
    assert_int_equal(id, 0);
    free(huge);
}

/* ---- its directory ---- */

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static void small_output_comes_with_the_result_and_the_directory_goes(void **state)
{
    struct spawn_fixture_run r;

    spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL("echo out; echo err >&2; exit 4"), &r);
    assert_true(r.result.tidied);
    assert_string_equal(r.out, "out\n");
    assert_string_equal(r.err, "err\n");
    assert_false(exists(r.dir));
    spawn_fixture_run_done(&r);
}

static void a_directory_stays_when_its_output_is_large(void **state)
{
    struct spawn_fixture_run r;
    char *out;
    size_t len;

    spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL("head -c 4097 /dev/zero"), &r);
    assert_false(r.result.tidied);
    assert_int_equal(r.result.stdout_bytes, 4097);
    assert_int_equal(task_dir_read_small(r.dir, TASK_DIR_STDOUT, 5000, &out, &len), 0);
    assert_int_equal(len, 4097);
    free(out);
    spawn_fixture_run_done(&r);
}

static void a_directory_stays_when_something_is_left_in_it(void **state)
{
    struct spawn_fixture_run r;

    spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL("touch left"), &r);
    assert_false(r.result.tidied);
    char *left = mem_printf("%s/work/left", r.dir);
    assert_true(exists(left));
    free(left);
    spawn_fixture_run_done(&r);
}

static void a_directory_whose_rights_were_changed_is_not_used_again(void **state)
{
    struct spawn_fixture_run r;

    spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL("chmod 777 ."), &r);
    assert_false(r.result.tidied);
    spawn_fixture_run_done(&r);
}

static void a_directory_that_is_there_is_an_error(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run r;
    char *there = mem_printf("%s/run-0", f->tasks);

    assert_int_equal(mkdir(there, 0700), 0);
    spawn_fixture_run(f, SPAWN_FIXTURE_SHELL("true"), &r);
    assert_int_equal(r.result.end, SPAWN_FAILED);
    assert_int_equal(r.result.error, -EEXIST);
    assert_string_equal(r.what, "make its directory");
    free(there);
    spawn_fixture_run_done(&r);
}

static void a_directory_that_can_not_be_made_is_an_error(void **state)
{
    struct spawn_fixture_run r;
    struct spawn_command command = {.argv = (const char *const[]){"true", NULL},
                                    .dir = "/proc/nowhere"};

    command.dir_use = 0;
    spawn_fixture_run(*state, command, &r);
    assert_int_equal(r.result.end, SPAWN_FAILED);
    assert_int_equal(r.result.error, -ENOENT);
    assert_string_equal(r.what, "open its output");
    spawn_fixture_run_done(&r);
}

static void commands_one_after_the_other_append_to_the_same_streams(void **state)
{
    struct spawn_fixture_run first, second;
    struct spawn_command command = SPAWN_FIXTURE_SHELL("echo one; touch kept");

    command.dir_use = SPAWN_DIR_MAKE;
    spawn_fixture_run(*state, command, &first);
    command = SPAWN_FIXTURE_SHELL("echo two; rm kept");
    command.dir_use = 0;
    command.dir = first.dir;
    spawn_fixture_run(*state, command, &second);
    assert_int_equal(second.result.exit_code, 0);
    assert_int_equal(second.result.stdout_bytes, 8);
    spawn_fixture_run_done(&first);
    spawn_fixture_run_done(&second);
}

static void a_spare_directory_is_as_empty_as_a_new_one(void **state)
{
    struct spawn_fixture_run r;

    spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL("echo out; echo err >&2"), &r);
    assert_true(r.result.tidied);
    spawn_fixture_run_done(&r);
    spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL("ls -A; stat -c %a . .."), &r);
    assert_true(r.result.tidied);
    assert_string_equal(r.out, "700\n700\n");
    assert_string_equal(r.err, "");
    spawn_fixture_run_done(&r);
}

/* ---- limits and ends ---- */

static void a_time_limit_ends_the_command(void **state)
{
    struct spawn_fixture_run r;
    struct spawn_command command = SPAWN_FIXTURE_SHELL("sleep 1000");

    command.time_limit_ms = 50;
    command.kill_grace_ms = 50000;
    spawn_fixture_run(*state, command, &r);
    assert_int_equal(r.result.reason, SPAWN_REASON_TIME_LIMIT);
    assert_int_equal(r.result.end, SPAWN_SIGNALED);
    assert_int_equal(r.result.signal, SIGTERM);
    assert_true(r.result.wall_us >= 50000);
    spawn_fixture_run_done(&r);
}

static void who_ignores_sigterm_is_killed_after_the_grace(void **state)
{
    struct spawn_fixture_run r;
    struct spawn_command command = SPAWN_FIXTURE_SHELL("trap '' TERM; sleep 1000; sleep 1000");

    command.time_limit_ms = 2000; /* time enough to get as far as the trap */
    command.kill_grace_ms = 50;
    spawn_fixture_run(*state, command, &r);
    assert_int_equal(r.result.reason, SPAWN_REASON_TIME_LIMIT);
    assert_int_equal(r.result.signal, SIGKILL);
    assert_true(r.result.wall_us >= 2050000);
    spawn_fixture_run_done(&r);
}

static void a_stopped_command_gets_the_signal_that_ends_it(void **state)
{
    struct spawn_fixture_run r;
    struct spawn_command command = SPAWN_FIXTURE_SHELL("kill -STOP $$");

    command.time_limit_ms = 50;
    command.kill_grace_ms = 50000;
    spawn_fixture_run(*state, command, &r);
    assert_int_equal(r.result.signal, SIGTERM);
    spawn_fixture_run_done(&r);
}

static void a_killed_command_may_clean_up_in_its_grace(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run r;

    spawn_fixture_begin(
        f, SPAWN_FIXTURE_SHELL("trap 'echo bye; exit 7' TERM; sleep 1000 & echo $$ >../pid; wait"),
        &r);
    (void)spawn_fixture_wait_pid(f, r.dir, "pid");
    spawn_kill(f->spawn, r.id, 50000);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &r);
    assert_int_equal(r.result.reason, SPAWN_REASON_KILL);
    assert_int_equal(r.result.exit_code, 7);
    assert_int_equal(r.result.stdout_bytes, 4);
    spawn_fixture_run_done(&r);
}

static void a_child_may_use_the_grace_though_its_shell_is_gone(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run r;

    spawn_fixture_begin(f,
                        SPAWN_FIXTURE_SHELL("sh -c 'trap \"sleep 0.1; echo saved; exit 0\" TERM; "
                                            "sleep 1000 & echo $$ >../pid; wait'; exit 1"),
                        &r);
    (void)spawn_fixture_wait_pid(f, r.dir, "pid");
    spawn_kill(f->spawn, r.id, 50000);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &r);
    assert_int_equal(r.result.signal, SIGTERM);
    assert_int_equal(r.result.stdout_bytes, 6);
    spawn_fixture_run_done(&r);
}

static void a_second_kill_hastens_the_first(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run r;

    spawn_fixture_begin(
        f, SPAWN_FIXTURE_SHELL("trap '' TERM; echo $$ >../pid; sleep 1000; sleep 1000"), &r);
    (void)spawn_fixture_wait_pid(f, r.dir, "pid");
    spawn_kill(f->spawn, r.id, 1000000);
    spawn_kill(f->spawn, r.id, 0);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &r);
    assert_int_equal(r.result.signal, SIGKILL);
    spawn_kill(f->spawn, r.id, 0); /* means nothing any more */
    spawn_fixture_run_done(&r);
}

static void output_without_end_is_stopped_at_its_limit(void **state)
{
    struct spawn_fixture_run r;
    struct spawn_command command = SPAWN_FIXTURE_SHELL("exec yes");
    struct stat st;

    command.output_bytes_max = 1000000;
    spawn_fixture_run(*state, command, &r);
    assert_int_equal(r.result.reason, SPAWN_REASON_OUTPUT_LIMIT);
    assert_int_equal(r.result.stdout_bytes, 1000000);
    char *path = mem_printf("%s/stdout", r.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 1000000);
    free(path);
    spawn_fixture_run_done(&r);
}

static void memory_without_end_is_stopped_at_its_limit(void **state)
{
    struct spawn_fixture_run r;
    /* tail keeps a last line that doesn't end */
    struct spawn_command command =
        SPAWN_FIXTURE_SHELL("(head -c 200000000 /dev/zero; sleep 1000) | tail -n 1");

    command.memory_bytes_max = 100 * 1000 * 1000;
    spawn_fixture_run(*state, command, &r);
    assert_int_equal(r.result.reason, SPAWN_REASON_MEMORY_LIMIT);
    assert_int_equal(r.result.signal, SIGKILL);
    spawn_fixture_run_done(&r);
}

/* ---- nothing is left behind ---- */

static void a_background_child_ends_with_its_command(void **state)
{
    struct spawn_fixture_run r;

    spawn_fixture_run(*state, SPAWN_FIXTURE_SHELL("sleep 1000 & echo $!"), &r);
    assert_int_equal(r.result.exit_code, 0);
    int pid = (int)strtol(r.out, NULL, 10);
    assert_true(pid > 0 && spawn_fixture_is_gone(&pid));
    spawn_fixture_run_done(&r);
}

static void a_daemon_in_a_session_of_its_own_ends_with_its_command(void **state)
{
    struct spawn_fixture_run r;
    struct spawn_fixture *f = *state;

    /* the daemon's parent is gone, its child too is in another session */
    spawn_fixture_run(f,
                      SPAWN_FIXTURE_SHELL("setsid sh -c 'setsid sleep 1000 & echo $! >../child; "
                                          "echo $$ >../daemon; wait' & "
                                          "while ! [ -s ../daemon ]; do :; done"),
                      &r);
    assert_int_equal(r.result.end, SPAWN_EXITED);
    int daemon = spawn_fixture_wait_pid(f, r.dir, "daemon");
    int child = spawn_fixture_wait_pid(f, r.dir, "child");
    assert_true(spawn_fixture_is_gone(&daemon));
    assert_true(spawn_fixture_is_gone(&child));
    spawn_fixture_run_done(&r);
}

static void a_daemon_without_environment_ends_when_all_ended_that_ran_with_it(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run other, r, later;

    spawn_fixture_begin(f, SPAWN_FIXTURE_SHELL("sleep 1000"), &other);
    spawn_fixture_run(
        f,
        SPAWN_FIXTURE_SHELL("(env -i setsid sh -c 'echo $$ >../daemon; "
                            "exec sleep 1000' &); while ! [ -s ../daemon ]; do :; done"),
        &r);
    int daemon = spawn_fixture_wait_pid(f, r.dir, "daemon");
    assert_false(spawn_fixture_is_gone(&daemon)); /* it may be the other's */
    spawn_fixture_begin(f, SPAWN_FIXTURE_SHELL("sleep 1000"), &later);
    spawn_fixture_wait(f, spawn_fixture_has_started, &later);
    spawn_kill(f->spawn, other.id, 0);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &other);
    assert_true(spawn_fixture_is_gone(&daemon));
    assert_false(later.has_ended);
    spawn_fixture_run_done(&other);
    spawn_fixture_run_done(&r);
    spawn_kill(f->spawn, later.id, 0);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &later);
    spawn_fixture_run_done(&later);
}

static void a_daemon_of_a_running_command_is_left_alone(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run r, other;

    spawn_fixture_begin(
        f,
        SPAWN_FIXTURE_SHELL("(setsid sh -c 'echo $$ >../daemon; exec sleep 1000' &);"
                            "exec sleep 1000"),
        &r);
    int daemon = spawn_fixture_wait_pid(f, r.dir, "daemon");
    spawn_fixture_run(f, SPAWN_FIXTURE_SHELL("true"), &other);
    assert_false(spawn_fixture_is_gone(&daemon));
    spawn_kill(f->spawn, r.id, 0);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &r);
    assert_true(spawn_fixture_is_gone(&daemon));
    spawn_fixture_run_done(&other);
    spawn_fixture_run_done(&r);
}

static void closing_ends_all_commands_and_the_spawner(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run r;
    struct spawn_options options = {0};
    int spawner = spawn_pid(f->spawn);

    spawn_fixture_begin(
        f, SPAWN_FIXTURE_SHELL("setsid sleep 1000 & echo $! >../daemon; exec sleep 1000"), &r);
    int daemon = spawn_fixture_wait_pid(f, r.dir, "daemon");
    spawn_fixture_wait(f, spawn_fixture_has_started, &r);
    spawn_close(f->spawn, NULL, NULL);
    spawn_fixture_wait(f, spawn_fixture_is_gone, &spawner);
    assert_true(spawn_fixture_is_gone(&r.pid));
    assert_true(spawn_fixture_is_gone(&daemon));
    assert_false(r.has_ended);
    spawn_fixture_run_done(&r);
    assert_int_equal(spawn_new(&f->loop, &options, &f->spawn, NULL), 0);
}

/* ---- many ---- */

static void a_thousand_commands_run_at_once(void **state)
{
    enum { COUNT = 1000 };
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run *runs = mem_calloc(COUNT, sizeof *runs);

    for (int i = 0; i < COUNT; i++)
        spawn_fixture_begin(
            f, (struct spawn_command){.argv = (const char *const[]){"sleep", "1000", NULL}},
            &runs[i]);
    for (int i = 0; i < COUNT; i++)
        spawn_fixture_wait(f, spawn_fixture_has_started, &runs[i]);
    assert_int_equal(spawn_command_count(f->spawn), COUNT);
    for (int i = 0; i < COUNT; i++)
        spawn_kill(f->spawn, runs[i].id, 0);
    for (int i = 0; i < COUNT; i++) {
        spawn_fixture_wait(f, spawn_fixture_has_ended, &runs[i]);
        assert_int_equal(runs[i].result.signal, SIGKILL);
        spawn_fixture_run_done(&runs[i]);
    }
    assert_int_equal(spawn_command_count(f->spawn), 0);
    free(runs);
}

static void more_commands_than_there_is_room_for_are_refused(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_command command = {.argv = (const char *const[]){"true", NULL}};
    struct spawn_callbacks callbacks = {.ended = spawn_fixture_ended};
    uint64_t id;
    int err = 0;

    for (int i = 0; i < SPAWN_COMMANDS_MAX; i++)
        err = err < 0 ? err : spawn_run(f->spawn, &command, &callbacks, &id);
    assert_int_equal(err, 0);
    assert_int_equal(spawn_run(f->spawn, &command, &callbacks, &id), ERR_BUSY);
}

/* ---- deaths ---- */

static void a_dead_spawner_is_replaced_and_nothing_of_it_survives(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run r, next;

    spawn_fixture_begin(
        f, SPAWN_FIXTURE_SHELL("setsid sleep 1000 & echo $! >../daemon; exec sleep 1000"), &r);
    int daemon = spawn_fixture_wait_pid(f, r.dir, "daemon");
    spawn_fixture_wait(f, spawn_fixture_has_started, &r);
    assert_int_equal(kill(spawn_pid(f->spawn), SIGKILL), 0);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &r);
    assert_int_equal(r.result.end, SPAWN_LOST);

    spawn_fixture_run(f, SPAWN_FIXTURE_SHELL("exit 5"), &next);
    assert_int_equal(next.result.exit_code, 5);
    assert_int_equal(spawn_restart_count(f->spawn), 1);
    /* not always our child: whoever adopted it may take a moment to wait for it */
    spawn_fixture_wait(f, spawn_fixture_is_gone, &daemon);
    spawn_fixture_wait(f, spawn_fixture_is_gone, &r.pid);
    spawn_fixture_run_done(&r);
    spawn_fixture_run_done(&next);
}

static void what_was_not_sent_to_a_dead_spawner_goes_to_the_next(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run lost, next;
    int spawner = spawn_pid(f->spawn);

    spawn_fixture_begin(f, SPAWN_FIXTURE_SHELL("exec sleep 1000"), &lost);
    spawn_fixture_wait(f, spawn_fixture_has_started, &lost);
    assert_int_equal(kill(spawner, SIGKILL), 0);
    spawn_fixture_wait(f, spawn_fixture_is_gone, &lost.pid); /* dies with its parent */
    spawn_fixture_begin(f, SPAWN_FIXTURE_SHELL("exit 6"), &next);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &next);
    assert_int_equal(lost.result.end, SPAWN_LOST);
    assert_true(next.result.end == SPAWN_LOST || next.result.exit_code == 6);
    spawn_fixture_run_done(&lost);
    spawn_fixture_run_done(&next);
}

/* A daemon of our own making, to be stopped and killed: `spawn_test daemon DIR` runs a command in
 * DIR that leaves its pid there. */
static int daemon_main(const char *dir)
{
    uv_loop_t loop;
    struct spawn *spawn;
    struct spawn_options options = {0};
    struct spawn_command command = SPAWN_FIXTURE_SHELL(
        "setsid sleep 1000 & echo $! >../daemon; echo $$ >../pid; exec sleep 1000");
    struct spawn_callbacks callbacks = {.ended = spawn_fixture_ended};
    uint64_t id;

    command.dir = dir;
    command.env = spawn_fixture_env;
    command.time_limit_ms = 300;
    uv_loop_init(&loop);
    if (spawn_new(&loop, &options, &spawn, NULL) < 0 ||
        spawn_run(spawn, &command, &callbacks, &id) < 0)
        return EXIT_FAILURE;
    uv_run(&loop, UV_RUN_DEFAULT);
    return EXIT_SUCCESS;
}

static pid_t start_daemon(const char *dir)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "spawn_test", "daemon", dir, NULL);
        _exit(127);
    }
    return pid;
}

static void a_killed_daemon_takes_its_commands_along(void **state)
{
    struct spawn_fixture *f = *state;
    char *dir = mem_printf("%s/killed", f->tasks);
    pid_t daemon = start_daemon(dir);
    int command = spawn_fixture_wait_pid(f, dir, "pid");
    int child = spawn_fixture_wait_pid(f, dir, "daemon");

    assert_int_equal(kill(daemon, SIGKILL), 0);
    assert_int_equal(waitpid(daemon, NULL, 0), daemon);
    spawn_fixture_wait(f, spawn_fixture_is_gone, &command);
    spawn_fixture_wait(f, spawn_fixture_is_gone, &child);
    free(dir);
}

static void a_time_limit_holds_while_the_daemon_is_stopped(void **state)
{
    struct spawn_fixture *f = *state;
    char *dir = mem_printf("%s/stopped", f->tasks);
    pid_t daemon = start_daemon(dir);
    int command = spawn_fixture_wait_pid(f, dir, "pid");
    int child = spawn_fixture_wait_pid(f, dir, "daemon");

    assert_int_equal(kill(daemon, SIGSTOP), 0);
    spawn_fixture_wait(f, spawn_fixture_is_gone, &command);
    spawn_fixture_wait(f, spawn_fixture_is_gone, &child);
    assert_int_equal(waitpid(daemon, NULL, WNOHANG), 0);
    assert_int_equal(kill(daemon, SIGKILL), 0);
    assert_int_equal(waitpid(daemon, NULL, 0), daemon);
    free(dir);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        CASE(an_exit_code_comes_back),
        CASE(a_signal_comes_back),
        CASE(time_of_the_processor_is_counted),
        CASE(a_missing_command_fails_with_its_errno),
        CASE(what_may_not_be_executed_fails_with_its_errno),
        CASE(the_shell_says_what_it_did_not_find),
        CASE(the_command_is_looked_up_in_its_own_path),
        CASE(it_sees_its_directory_and_its_environment),
        CASE(no_descriptor_leaks_into_it),
        CASE(its_input_is_empty),
        CASE(it_has_default_signals_no_privileges_and_its_own_session),
        CASE(large_arguments_and_environments_arrive),
        CASE(what_can_not_be_a_command_is_refused),
        CASE(small_output_comes_with_the_result_and_the_directory_goes),
        CASE(a_directory_stays_when_its_output_is_large),
        CASE(a_directory_stays_when_something_is_left_in_it),
        CASE(a_directory_whose_rights_were_changed_is_not_used_again),
        CASE(a_directory_that_is_there_is_an_error),
        CASE(a_directory_that_can_not_be_made_is_an_error),
        CASE(commands_one_after_the_other_append_to_the_same_streams),
        CASE(a_spare_directory_is_as_empty_as_a_new_one),
        CASE(a_time_limit_ends_the_command),
        CASE(who_ignores_sigterm_is_killed_after_the_grace),
        CASE(a_stopped_command_gets_the_signal_that_ends_it),
        CASE(a_killed_command_may_clean_up_in_its_grace),
        CASE(a_child_may_use_the_grace_though_its_shell_is_gone),
        CASE(a_second_kill_hastens_the_first),
        CASE(output_without_end_is_stopped_at_its_limit),
        CASE(memory_without_end_is_stopped_at_its_limit),
        CASE(a_background_child_ends_with_its_command),
        CASE(a_daemon_in_a_session_of_its_own_ends_with_its_command),
        CASE(a_daemon_without_environment_ends_when_all_ended_that_ran_with_it),
        CASE(a_daemon_of_a_running_command_is_left_alone),
        CASE(closing_ends_all_commands_and_the_spawner),
        CASE(a_thousand_commands_run_at_once),
        CASE(more_commands_than_there_is_room_for_are_refused),
        CASE(a_dead_spawner_is_replaced_and_nothing_of_it_survives),
        CASE(what_was_not_sent_to_a_dead_spawner_goes_to_the_next),
        CASE(a_killed_daemon_takes_its_commands_along),
        CASE(a_time_limit_holds_while_the_daemon_is_stopped),
    };

    spawn_fixture_main(argc, argv);
    if (argc > 2 && strcmp(argv[1], "daemon") == 0)
        return daemon_main(argv[2]);
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
