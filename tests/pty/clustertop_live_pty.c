/* clustertop while things happen: to the cluster, in the past, to the program itself. */
#include <locale.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/lib/top_bed.h"

/* The cluster */

static void a_burst_of_events_slows_nobody_down(void **state)
{
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    screen_type(s, "8");
    screen_wait(s, "Logs");
    for (int i = 0; i < 5; i++) {
        fake_top_burst(w->top, 10000);
        screen_type(s, i % 2 == 0 ? "2" : "8");
        screen_wait(s, i % 2 == 0 ? "heartbeats" : "Logs");
    }
    fake_top_emit(w->top, 1, "log.record", "after the storm", "");
    screen_type(s, "8");
    screen_wait(s, "after the storm");
    screen_type(s, "/after the st");
    screen_wait(s, "1 of ");
}

static void while_events_never_cease_each_key_is_answered(void **state)
{
    static const char *const shows[][2] = {
        {"2", "heartbeats"}, {"4", "render-0"}, {"8", "Logs"}, {"1", "Nodes"}};
    struct top_bed *w = *state;
    top_bed_begin(w, 3, 20000, false);
    struct screen *s = top_bed_open(w, "xterm-256color", 40, 120, NULL);
    screen_wait(s, "3 nodes");
    for (size_t i = 0; i < 3 * MEM_COUNT(shows); i++) {
        screen_type(s, shows[i % MEM_COUNT(shows)][0]);
        screen_wait(s, shows[i % MEM_COUNT(shows)][1]);
    }
    fake_top_set_rate(w->top, 0);
    fake_top_emit(w->top, 1, "log.record", "after the storm", "");
    screen_type(s, "8");
    screen_wait(s, "after the storm");
}

static void when_the_server_goes_it_says_so_and_keeps_what_it_had(void **state)
{
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    screen_type(s, "2");
    screen_wait(s, "heartbeats");
    fake_top_stop(w->top);
    screen_wait(s, "NOT CONNECTED");
    screen_wait(s, "n3");
    screen_type(s, "D");
    screen_wait(s, "there is no connection");
    fake_top_start(w->top);
    screen_wait_gone(s, "NOT CONNECTED");
    fake_top_emit(w->top, 1, "log.record", "back again", "");
    screen_type(s, "8");
    screen_wait(s, "back again");
}

static void without_a_server_it_waits_and_can_be_left(void **state)
{
    struct top_bed *w = *state;
    struct screen *s = top_bed_open(w, "xterm-256color", 24, 80, NULL);
    screen_wait(s, "connecting");
    screen_type(s, "2?");
    screen_wait(s, "Nodes: who");
    screen_type(s, "\033q");
    assert_int_equal(screen_wait_exit(s), 0);
    top_bed_check_restored(s);
}

static void nothing_hostile_reaches_the_terminal(void **state)
{
    struct top_bed *w = *state;
    top_bed_begin(w, 12, 300, true);
    struct screen *s = top_bed_open(w, "xterm-256color", 40, 120, NULL);
    static const char *const views[] = {"2", "3", "4", "4\r", "5", "6", "7", "8", "1"};
    for (size_t i = 0; i < MEM_COUNT(views); i++) {
        screen_type(s, views[i]);
        fake_top_burst(w->top, 200);
        screen_wait(s, "12 nodes");
    }
    screen_type(s, "q");
    assert_int_equal(screen_wait_exit(s), 0);
    size_t len;
    const char *raw = screen_raw(s, &len);
    char *text = mem_strndup(raw, len);
    assert_null(strstr(text, "\033]"));        /* titles, clipboard */
    assert_null(strstr(text, "\xe2\x80\xae")); /* direction */
    assert_null(strstr(text, "\xc2\x9b"));     /* C1 */
    assert_null(strchr(text, '\a'));
    free(text);
}

/* The past */

static void a_report_is_shown_without_a_cluster_and_changes_nothing(void **state)
{
    struct top_bed *w = *state;
    char path[128];
    top_bed_begin(w, 3, 0, false);
    fake_top_burst(w->top, 500);
    fake_top_emit(w->top, 2, "log.record", "the last words", "");
    (void)snprintf(path, sizeof path, "%s/report.tar.zst", w->dir);
    assert_int_equal(fake_top_report(w->top, path, 2), 0);
    fake_top_free(w->top);
    w->top = NULL;
    char *option = mem_printf("--replay=%s", path);
    struct screen *s = top_bed_open(w, "xterm-256color", 40, 120, option);
    free(option);
    screen_wait(s, "3 nodes");
    screen_type(s, "8");
    screen_wait(s, "the last words");
    screen_type(s, "2D");
    screen_wait(s, "not with --readonly");
    screen_type(s, "q");
    assert_int_equal(screen_wait_exit(s), 0);
    assert_int_equal(unlink(path), 0);
}

static void one_goes_back_in_time_and_returns(void **state)
{
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    fake_top_burst(w->top, 2000);
    fake_top_emit(w->top, 1, "log.record", "this is now", "");
    screen_type(s, "8");
    screen_wait(s, "this is now");
    screen_type(s, "Z");
    screen_wait(s, "FROZEN");
    fake_top_emit(w->top, 1, "log.record", "nobody sees this yet", "");
    screen_type(s, "2");
    screen_wait(s, "heartbeats");
    screen_type(s, "8");
    screen_wait(s, "this is now");
    assert_null(strstr(screen_text(s), "nobody sees this yet"));
    screen_type(s, "\033[F");
    screen_wait(s, "nobody sees this yet");
    screen_wait_gone(s, "FROZEN");
}

/* Signals */

static void every_signal_leaves_the_terminal_as_it_was(void **state)
{
    static const int numbers[] = {SIGTERM, SIGHUP, SIGQUIT, SIGINT};
    struct top_bed *w = *state;
    for (size_t i = 0; i < MEM_COUNT(numbers); i++) {
        struct screen *s = top_bed_open_usual(w);
        screen_signal(s, numbers[i]);
        assert_int_equal(screen_wait_exit(s), numbers[i] == SIGINT ? 0 : 128 + numbers[i]);
        top_bed_check_restored(s);
    }
}

static void while_nobody_reads_the_terminal_keys_and_signals_are_heard(void **state)
{
    enum { SCREENS = 100 }; /* several times what a terminal has room for */
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    for (unsigned i = 0; i < SCREENS; i++) {
        screen_type(s, "\x0c");
        screen_wait_typed(s);
    }
    screen_signal(s, SIGTERM);
    assert_int_equal(screen_wait_exit_unread(s), 128 + SIGTERM);
    (void)screen_wait_exit(s);
    top_bed_check_restored(s);
}

static void a_terminal_that_is_read_again_shows_what_is_true_by_then(void **state)
{
    enum { SCREENS = 100 };
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    screen_type(s, "8");
    for (unsigned i = 0; i < SCREENS; i++) {
        screen_type(s, "\x0c");
        screen_wait_typed(s);
    }
    fake_top_emit(w->top, 1, "log.record", "while nobody looked", "");
    screen_wait(s, "while nobody looked");
}

static void a_crash_leaves_the_terminal_as_it_was(void **state)
{
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    screen_signal(s, SIGABRT);
    (void)screen_wait_exit(s);
    top_bed_check_restored(s);
}

static void stopped_and_continued_it_draws_itself_anew(void **state)
{
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    screen_signal(s, SIGSTOP);
    fake_top_emit(w->top, 1, "log.record", "while it slept", "");
    screen_type(s, "8");
    screen_signal(s, SIGCONT);
    screen_wait(s, "while it slept");
    screen_signal(s, SIGTSTP);
    screen_signal(s, SIGCONT);
    screen_type(s, "2");
    screen_wait(s, "heartbeats");
}

static void ctrl_z_gives_the_terminal_to_the_shell_and_fg_brings_it_back(void **state)
{
    static const char script[] =
        "set -m; \"$0\"; echo \"the shell has$(stty -a | grep -o ' -*icanon')\"; "
        "read -r x; fg >/dev/null";
    struct top_bed *w = *state;
    const char *const argv[] = {"/bin/bash", "-c", script, w->program, NULL};
    top_bed_begin(w, 3, 0, false);
    w->screen = screen_open(&(struct screen_options){argv, "xterm-256color", 40, 120});
    struct screen *s = w->screen;
    screen_type(s, "2");
    screen_wait(s, "heartbeats");
    screen_type(s, "\x1a");
    screen_wait(s, "the shell has icanon");
    screen_type(s, "\n");
    screen_wait(s, "heartbeats");
    screen_wait(s, "n3 ");
    fake_top_emit(w->top, 1, "log.record", "while it slept", "");
    screen_type(s, "8");
    screen_wait(s, "while it slept");
    screen_type(s, "q");
    assert_int_equal(screen_wait_exit(s), 0);
}

#define PTY_TEST(name) cmocka_unit_test_setup_teardown(name, top_bed_set_up, top_bed_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PTY_TEST(a_burst_of_events_slows_nobody_down),
        PTY_TEST(while_events_never_cease_each_key_is_answered),
        PTY_TEST(when_the_server_goes_it_says_so_and_keeps_what_it_had),
        PTY_TEST(without_a_server_it_waits_and_can_be_left),
        PTY_TEST(nothing_hostile_reaches_the_terminal),
        PTY_TEST(a_report_is_shown_without_a_cluster_and_changes_nothing),
        PTY_TEST(one_goes_back_in_time_and_returns),
        PTY_TEST(every_signal_leaves_the_terminal_as_it_was),
        PTY_TEST(while_nobody_reads_the_terminal_keys_and_signals_are_heard),
        PTY_TEST(a_terminal_that_is_read_again_shows_what_is_true_by_then),
        PTY_TEST(a_crash_leaves_the_terminal_as_it_was),
        PTY_TEST(stopped_and_continued_it_draws_itself_anew),
        PTY_TEST(ctrl_z_gives_the_terminal_to_the_shell_and_fg_brings_it_back),
    };
    (void)setlocale(LC_ALL, "C.UTF-8");
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
