#include "run/spawn.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/log.h"
#include "tests/unit/generated.h"
#include "tests/unit/spawn_fixture.h"

enum { MANY = 24 };

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

/* A shell's command line that waits in line for `slots`. */
static void begin(struct spawn_fixture *f, uint32_t slots, const char *text,
                  struct spawn_fixture_run *r)
{
    struct spawn_command command = SPAWN_FIXTURE_SHELL(text);

    command.slots = slots;
    spawn_fixture_begin(f, command, r);
}

/* One that runs until `end_gate`. */
static void begin_gated(struct spawn_fixture *f, uint32_t slots, const char *gate,
                        struct spawn_fixture_run *r)
{
    char *text = mem_printf("while [ ! -e %s/%s ]; do sleep 0.01; done", f->dir, gate);

    begin(f, slots, text, r);
    free(text);
}

static void open_gate(struct spawn_fixture *f, const char *gate)
{
    char *path = mem_printf("%s/%s", f->dir, gate);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);
    free(path);
}

/* Runs one that waits in no line: what was asked for before has been seen to by then. */
static void settle(struct spawn_fixture *f)
{
    struct spawn_fixture_run r;

    spawn_fixture_run(f, SPAWN_FIXTURE_SHELL("exit 0"), &r);
    spawn_fixture_run_done(&r);
    spawn_fixture_run(f, SPAWN_FIXTURE_SHELL("exit 0"), &r);
    spawn_fixture_run_done(&r);
}

static void one_starts_when_another_ends(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run first, second;

    spawn_set_slots(f->spawn, 1);
    begin_gated(f, 1, "gate", &first);
    begin(f, 1, "exit 3", &second);
    spawn_fixture_wait(f, spawn_fixture_has_started, &first);
    settle(f);
    assert_false(second.has_started || second.has_ended);
    open_gate(f, "gate");
    spawn_fixture_wait(f, spawn_fixture_has_ended, &second);
    assert_true(first.has_ended && second.has_started);
    assert_int_equal(second.result.exit_code, 3);
    assert_true(second.result.started_ms >= first.result.ended_ms);
    spawn_fixture_run_done(&first);
    spawn_fixture_run_done(&second);
}

static void one_that_waits_in_no_line_starts_at_once(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run first, second;

    spawn_set_slots(f->spawn, 0);
    begin(f, 1, "exit 0", &first);
    begin(f, 0, "exit 0", &second);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &second);
    assert_false(first.has_started);
    spawn_set_slots(f->spawn, 1);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &first);
    spawn_fixture_run_done(&first);
    spawn_fixture_run_done(&second);
}

static void one_that_needs_several_slots_lets_nobody_pass(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run one, large, small;

    spawn_set_slots(f->spawn, 2);
    begin_gated(f, 1, "one", &one);
    begin_gated(f, 2, "large", &large);
    begin(f, 1, "exit 0", &small);
    spawn_fixture_wait(f, spawn_fixture_has_started, &one);
    settle(f);
    assert_false(large.has_started || small.has_started);
    open_gate(f, "one");
    spawn_fixture_wait(f, spawn_fixture_has_started, &large);
    settle(f);
    assert_false(small.has_started);
    open_gate(f, "large");
    spawn_fixture_wait(f, spawn_fixture_has_ended, &small);
    spawn_fixture_run_done(&one);
    spawn_fixture_run_done(&large);
    spawn_fixture_run_done(&small);
}

static void fewer_slots_hold_back_what_has_not_started(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run one, two, three;

    spawn_set_slots(f->spawn, 2);
    begin_gated(f, 1, "one", &one);
    begin_gated(f, 1, "two", &two);
    spawn_fixture_wait(f, spawn_fixture_has_started, &two);
    spawn_set_slots(f->spawn, 1);
    begin(f, 1, "exit 0", &three);
    open_gate(f, "one");
    spawn_fixture_wait(f, spawn_fixture_has_ended, &one);
    settle(f);
    assert_false(three.has_started);
    open_gate(f, "two");
    spawn_fixture_wait(f, spawn_fixture_has_ended, &three);
    assert_true(two.has_ended);
    spawn_fixture_run_done(&one);
    spawn_fixture_run_done(&two);
    spawn_fixture_run_done(&three);
}

static void what_waits_can_be_taken_back(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run first, second, third;

    spawn_set_slots(f->spawn, 1);
    begin_gated(f, 1, "gate", &first);
    begin(f, 1, "exit 0", &second);
    begin(f, 1, "exit 0", &third);
    spawn_fixture_wait(f, spawn_fixture_has_started, &first);
    spawn_recall(f->spawn, second.id);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &second);
    assert_int_equal(second.result.end, SPAWN_RECALLED);
    assert_true(second.result.tidied);
    assert_int_equal(second.result.started_ms, 0);
    assert_false(second.has_started || third.has_started || first.has_ended);
    spawn_recall(f->spawn, first.id); /* too late */
    settle(f);
    assert_false(first.has_ended);
    open_gate(f, "gate");
    spawn_fixture_wait(f, spawn_fixture_has_ended, &third);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &first);
    assert_int_equal(first.result.end, SPAWN_EXITED);
    assert_int_equal(third.result.end, SPAWN_EXITED);
    spawn_fixture_run_done(&first);
    spawn_fixture_run_done(&second);
    spawn_fixture_run_done(&third);
}

static void killing_what_waits_keeps_it_from_starting(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run r;

    spawn_set_slots(f->spawn, 0);
    begin(f, 1, "exit 0", &r);
    spawn_kill(f->spawn, r.id, 1000);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &r);
    assert_int_equal(r.result.end, SPAWN_RECALLED);
    assert_false(r.has_started);
    spawn_fixture_run_done(&r);
}

static void what_can_not_start_lets_the_next_one_go(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run first, second;
    struct spawn_command missing = {.argv = (const char *const[]){"no-such-thing", NULL},
                                    .dir_use = SPAWN_FIXTURE_TIDY,
                                    .slots = 1};

    spawn_fixture_needs_vfork();
    spawn_set_slots(f->spawn, 1);
    spawn_fixture_begin(f, missing, &first);
    begin(f, 1, "exit 0", &second);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &second);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &first);
    assert_int_equal(first.result.end, SPAWN_FAILED);
    assert_int_equal(second.result.end, SPAWN_EXITED);
    spawn_fixture_run_done(&first);
    spawn_fixture_run_done(&second);
}

static void a_daemon_of_one_that_ended_is_gone_before_the_next_starts(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run first, second;
    char *text = mem_printf("setsid sh -c 'echo $$ > %s/pid; sleep 1000' &"
                            " until [ -s %s/pid ]; do sleep 0.01; done",
                            f->dir, f->dir);
    char *look = mem_printf("! kill -0 $(cat %s/pid)", f->dir);

    spawn_set_slots(f->spawn, 1);
    begin(f, 1, text, &first);
    begin(f, 1, look, &second);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &second);
    assert_int_equal(second.result.exit_code, 0);
    spawn_fixture_run_done(&first);
    spawn_fixture_run_done(&second);
    free(text);
    free(look);
}

static void a_dead_spawner_loses_what_waited_and_the_next_one_knows_the_slots(void **state)
{
    struct spawn_fixture *f = *state;
    struct spawn_fixture_run first, second, third;

    spawn_set_slots(f->spawn, 1);
    begin_gated(f, 1, "gate", &first);
    begin(f, 1, "exit 0", &second);
    spawn_fixture_wait(f, spawn_fixture_has_started, &first);
    log_set_level(LOG_LEVEL_ERROR);
    kill(spawn_pid(f->spawn), SIGKILL);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &second);
    assert_int_equal(second.result.end, SPAWN_LOST);
    spawn_fixture_run_done(&first);
    spawn_fixture_run_done(&second);
    begin_gated(f, 1, "gate", &first);
    begin(f, 1, "exit 0", &second);
    begin(f, 0, "exit 0", &third);
    spawn_fixture_wait(f, spawn_fixture_has_ended, &third);
    settle(f);
    assert_true(first.has_started);
    assert_false(second.has_started);
    open_gate(f, "gate");
    spawn_fixture_wait(f, spawn_fixture_has_ended, &second);
    spawn_fixture_run_done(&first);
    spawn_fixture_run_done(&second);
    spawn_fixture_run_done(&third);
}

struct crowd {
    struct spawn_fixture *f;
    struct spawn_fixture_run runs[MANY];
};

static bool all_ended(void *arg)
{
    const struct crowd *crowd = arg;

    for (int i = 0; i < MANY; i++) {
        if (!crowd->runs[i].has_ended)
            return false;
    }
    return true;
}

/* Each command takes a lock directory for each of its slots out of as many as there are, and fails
 * when it finds none free. Some are taken back on the way. */
static void never_more_run_than_there_are_slots(void **state)
{
    struct crowd crowd = {.f = *state};
    struct generated g;

    generated_init(&g, 6);
    while (generated_next(&g)) {
        uint32_t slots = 1 + (uint32_t)prng_below(&g.prng, 4);
        spawn_set_slots(crowd.f->spawn, slots);
        for (int i = 0; i < MANY; i++) {
            uint32_t need = 1 + (uint32_t)prng_below(&g.prng, slots);
            char *text =
                mem_printf("cd %s; had=; for n in $(seq %u); do got=; for s in $(seq %u); do"
                           " mkdir slot$s 2>/dev/null && { got=$s; break; }; done;"
                           " [ $got ] || exit 9; had=\"$had slot$got\"; done; rmdir $had",
                           crowd.f->dir, need, slots);
            begin(crowd.f, need, text, &crowd.runs[i]);
            free(text);
        }
        for (int i = 0; i < MANY; i += 5)
            spawn_recall(crowd.f->spawn, crowd.runs[i].id);
        spawn_fixture_wait(crowd.f, all_ended, &crowd);
        for (int i = 0; i < MANY; i++) {
            const struct spawn_result *result = &crowd.runs[i].result;
            bool may_be_recalled = i % 5 == 0;
            generated_check(&g,
                            (result->end == SPAWN_EXITED && result->exit_code == 0) ||
                                (may_be_recalled && result->end == SPAWN_RECALLED),
                            "command %d ends with %d, exit code %d", i, result->end,
                            result->exit_code);
            spawn_fixture_run_done(&crowd.runs[i]);
        }
    }
}

int main(int argc, char **argv)
{
    spawn_fixture_main(argc, argv);
    const struct CMUnitTest tests[] = {
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        CASE(one_starts_when_another_ends),
        CASE(one_that_waits_in_no_line_starts_at_once),
        CASE(one_that_needs_several_slots_lets_nobody_pass),
        CASE(fewer_slots_hold_back_what_has_not_started),
        CASE(what_waits_can_be_taken_back),
        CASE(killing_what_waits_keeps_it_from_starting),
        CASE(what_can_not_start_lets_the_next_one_go),
        CASE(a_daemon_of_one_that_ended_is_gone_before_the_next_starts),
        CASE(a_dead_spawner_loses_what_waited_and_the_next_one_knows_the_slots),
        CASE(never_more_run_than_there_are_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
