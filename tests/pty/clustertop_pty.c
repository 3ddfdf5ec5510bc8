/* clustertop on terminals of several types and sizes, with any input, against a simulated cluster.
 */
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
#include "base/prng.h"
#include "tests/lib/top_bed.h"

static void it_shows_nodes_jobs_and_what_happens(void **state)
{
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    screen_type(s, "2");
    screen_wait(s, "heartbeats");
    screen_wait(s, "n3");
    screen_type(s, "8");
    fake_top_emit(w->top, 2, "log.record", "the second node says hello", "");
    screen_wait(s, "the second node says hello");
    screen_type(s, "q");
    assert_int_equal(screen_wait_exit(s), 0);
    top_bed_check_restored(s);
}

/* Terminals */

static void assert_refused(struct top_bed *w, const char *term, const char *why)
{
    struct screen *s = top_bed_open(w, term, 24, 80, NULL);
    screen_wait(s, why);
    screen_wait(s, "clustertop --once");
    assert_int_equal(screen_wait_exit(s), 1);
}

static void terminals_that_cannot_be_drawn_on_are_refused_with_a_way_out(void **state)
{
    struct top_bed *w = *state;
    top_bed_begin(w, 3, 0, false);
    assert_refused(w, "dumb", "a terminal of the type 'dumb' can't be drawn on");
    assert_refused(w, "no-such-terminal", "nothing is known about a terminal");
    assert_refused(w, "", "TERM is not set");
}

static void without_a_terminal_it_says_what_to_do_and_once_does_it(void **state)
{
    struct top_bed *w = *state;
    char out[65536];
    char command[1200];
    top_bed_begin(w, 3, 0, false);
    (void)snprintf(command, sizeof command, "%s 2>&1 </dev/null", w->program);
    assert_int_equal(top_bed_run(command, out, sizeof out), 1);
    assert_non_null(strstr(out, "is not a terminal"));
    assert_non_null(strstr(out, "--once"));
    (void)snprintf(command, sizeof command, "TERM= LC_ALL=C %s --once 2>&1 </dev/null", w->program);
    assert_int_equal(top_bed_run(command, out, sizeof out), 0);
    assert_non_null(strstr(out, "Nodes"));
    for (const char *s = out; *s != '\0'; s++)
        assert_true(*s == '\n' || (*s >= ' ' && *s < 0x7f));
    (void)snprintf(command, sizeof command, "%s --once -o json --view nodes 2>&1", w->program);
    assert_int_equal(top_bed_run(command, out, sizeof out), 0);
    assert_non_null(strstr(out, "\"nodes\": ["));
    fake_top_free(w->top);
    w->top = NULL;
    (void)snprintf(command, sizeof command, "%s -s unix:%s/none --once 2>&1", w->program, w->dir);
    assert_int_equal(top_bed_run(command, out, sizeof out), 2);
    (void)snprintf(command, sizeof command, "%s --replay %s --once 2>&1", w->program, w->program);
    assert_int_equal(top_bed_run(command, out, sizeof out), 1);
    assert_non_null(strstr(out, "is no report that can be opened"));
}

static void a_vt100_gets_neither_colours_nor_anything_beyond_ascii(void **state)
{
    struct top_bed *w = *state;
    top_bed_begin(w, 3, 50, true);
    struct screen *s = top_bed_open(w, "vt100", 24, 80, NULL);
    static const char *const views[] = {"2", "3", "4", "5", "6", "7", "8", "1"};
    for (size_t i = 0; i < MEM_COUNT(views); i++) {
        screen_type(s, views[i]);
        screen_wait(s, i == 7 ? "1 over" : views[i]);
    }
    screen_wait(s, "Nodes");
    size_t len;
    const char *raw = screen_raw(s, &len);
    char *text = mem_strndup(raw, len);
    for (size_t i = 0; i < len; i++)
        assert_true((unsigned char)raw[i] < 0x80);
    assert_null(strstr(text, "\033[3"));
    assert_null(strstr(text, "38;5"));
    free(text);
}

static void without_a_locale_it_is_ascii_in_colour(void **state)
{
    struct top_bed *w = *state;
    size_t len;
    top_bed_begin(w, 3, 50, true);
    assert_int_equal(setenv("LC_ALL", "C", 1), 0);
    struct screen *s = top_bed_open(w, "xterm-256color", 40, 120, NULL);
    screen_type(s, "8");
    screen_wait(s, "Logs");
    screen_type(s, "2");
    screen_wait(s, "n3 ");
    const char *raw = screen_raw(s, &len);
    char *text = mem_strndup(raw, len);
    for (size_t i = 0; i < len; i++)
        assert_true((unsigned char)raw[i] < 0x80);
    assert_non_null(strstr(text, "38;5"));
    free(text);
}

static void no_color_is_respected(void **state)
{
    struct top_bed *w = *state;
    size_t len;
    assert_int_equal(setenv("NO_COLOR", "1", 1), 0);
    struct screen *s = top_bed_open_usual(w);
    const char *raw = screen_raw(s, &len);
    char *text = mem_strndup(raw, len);
    assert_null(strstr(text, "38;5"));
    assert_null(strstr(text, "48;5"));
    assert_null(strstr(text, "\033[39;49m"));
    free(text);
    assert_int_equal(unsetenv("NO_COLOR"), 0);
}

static void it_is_usable_from_40x10_to_300x100(void **state)
{
    static const unsigned short sizes[][2] = {{10, 40}, {24, 80}, {100, 300}};
    struct top_bed *w = *state;
    top_bed_begin(w, 40, 0, false);
    for (size_t i = 0; i < MEM_COUNT(sizes); i++) {
        struct screen *s = top_bed_open(w, "xterm-256color", sizes[i][0], sizes[i][1], NULL);
        screen_type(s, "2");
        screen_wait(s, "n2");
        screen_type(s, "G");
        screen_wait(s, "n40");
        screen_type(s, "?");
        screen_wait(s, "Nodes: who is there");
        screen_type(s, "\033");
        screen_wait_gone(s, "Nodes: who is there");
        screen_type(s, "D");
        screen_wait(s, "do it");
        screen_type(s, "n");
        screen_type(s, "q");
        assert_int_equal(screen_wait_exit(s), 0);
    }
}

static void a_terminal_of_one_cell_is_no_reason_to_crash(void **state)
{
    struct top_bed *w = *state;
    top_bed_begin(w, 3, 50, false);
    struct screen *s = top_bed_open(w, "xterm-256color", 1, 1, NULL);
    screen_type(s, "12345678?\033:x\033Dn");
    screen_resize(s, 24, 80);
    screen_type(s, "2");
    screen_wait(s, "2 nodes");
    screen_resize(s, 1, 1);
    screen_type(s, "q");
    assert_int_equal(screen_wait_exit(s), 0);
}

static void resizing_at_any_moment_ends_in_a_whole_screen(void **state)
{
    struct top_bed *w = *state;
    struct prng prng;
    top_bed_begin(w, 30, 500, false);
    struct screen *s = top_bed_open(w, "xterm-256color", 24, 80, NULL);
    screen_wait(s, "1 over");
    prng_init(&prng, 5);
    for (int i = 0; i < 150; i++) {
        char key[2] = {(char)('1' + (char)prng_below(&prng, 8)), '\0'};
        screen_resize(s, (unsigned short)(1 + prng_below(&prng, 100)),
                      (unsigned short)(1 + prng_below(&prng, 300)));
        if (i % 3 == 0)
            screen_type(s, key);
    }
    screen_resize(s, 40, 120);
    screen_type(s, "2");
    screen_wait(s, "heartbeats");
    screen_wait(s, "30 nodes");
}

/* Input */

static void every_key_of_every_view_leaves_it_alive(void **state)
{
    static const char *const keys[] = {
        "j",      "k",      "G",  "g",  " ",     "V",      "*",      "U",       "I",       ">",
        "<",      "F",      "d",  "w",  "t",     "e",      "+",      "-",       "m",       "n",
        "N",      "s",      "Z",  "Z",  "[",     "]",      "{",      "}",       "(",       ")",
        "l",      "?x",     "Dn", "Rn", "Ln",    "Tn",     "Kn",     "Pn",      "pn",      "fn",
        "rn",     "An",     "@",  "\t", "\r",    "\033[A", "\033[B", "\033[5~", "\033[6~", "\033[F",
        "\033[H", "\033[Z", "y",  "Y",  "C j\r", ":x\033", "i\033",  "\x0c",    "/n\033",  "=",
    };
    struct top_bed *w = *state;
    top_bed_begin(w, 5, 100, false);
    struct screen *s = top_bed_open(w, "xterm-256color", 30, 100, NULL);
    screen_wait(s, "1 over");
    for (char view = '1'; view <= '8'; view++) {
        for (size_t i = 0; i < MEM_COUNT(keys); i++) {
            char text[32];
            (void)snprintf(text, sizeof text, "%c%s", view, keys[i]);
            screen_type(s, text);
            if (i % 8 == 7) {
                screen_type(s, "\033");
                screen_wait(s, "   ");
            }
        }
    }
    /* each Esc may end a filter, marks, a place */
    screen_type(s, "\033[F2/nosuchnode");
    screen_wait(s, "/nosuchnode");
    screen_type(s, "\rq");
    assert_int_equal(screen_wait_exit(s), 0);
    top_bed_check_restored(s);
}

static void an_action_asks_once_and_is_done(void **state)
{
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    screen_type(s, "2");
    screen_wait(s, "heartbeats");
    screen_type(s, "gD");
    screen_wait(s, "drain node n1");
    assert_null(fake_top_last_change(w->top));
    screen_type(s, "y");
    screen_wait(s, "done");
    char *change = fake_top_last_change(w->top);
    assert_non_null(change);
    assert_non_null(strstr(change, "/api/nodes/n1/drain"));
    free(change);
}

static void read_only_changes_nothing(void **state)
{
    struct top_bed *w = *state;
    top_bed_begin(w, 3, 0, false);
    struct screen *s = top_bed_open(w, "xterm-256color", 40, 120, "--readonly");
    screen_wait(s, "read only");
    screen_type(s, "2D");
    screen_wait(s, "not with --readonly");
    screen_type(s, "y");
    screen_type(s, "8");
    screen_wait(s, "Logs");
    assert_null(fake_top_last_change(w->top));
}

static void pasted_text_and_unknown_keys_do_nothing(void **state)
{
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    screen_type(s, "2");
    screen_wait(s, "heartbeats");
    screen_type(s, "\033[200~Dy\rq[[[\033[201~");
    screen_wait(s, "pasted text goes to");
    screen_type(s, "\033[99;7~\033[[z\033Oz\033[1;2P");
    screen_type(s, "/\033[200~n2\n\033[201~");
    screen_wait(s, "/n2");
    screen_type(s, "\r");
    screen_wait(s, "1 of 3");
    assert_null(fake_top_last_change(w->top));
    assert_null(strstr(screen_text(s), "THE PAST"));
}

static void input_that_is_no_utf8_is_survived(void **state)
{
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    screen_type(s, "\xff\xfe\xc3\xe2\x82\xf0\x9f\x98");
    screen_type(s, "/\xff\xe2\x82\xac\xc3");
    screen_type(s, "\033");
    screen_type(s, "8");
    screen_wait(s, "Logs");
}

static void the_mouse_reaches_what_it_clicks(void **state)
{
    struct top_bed *w = *state;
    struct screen *s = top_bed_open_usual(w);
    screen_type(s, "\033[<0;16;1M\033[<0;16;1m");
    screen_wait(s, "heartbeats");
}

static void what_is_copied_goes_to_the_clipboard(void **state)
{
    struct top_bed *w = *state;
    size_t len;
    struct screen *s = top_bed_open_usual(w);
    screen_type(s, "2");
    screen_wait(s, "heartbeats");
    screen_type(s, "gy");
    screen_wait(s, "copied: n1");
    const char *raw = screen_raw(s, &len);
    char *text = mem_strndup(raw, len);
    assert_non_null(strstr(text, "\033]52;c;bjE=\033\\"));
    free(text);
    s = top_bed_open(w, "vt100", 24, 80, NULL);
    screen_type(s, "2");
    screen_wait(s, "n3 ");
    screen_type(s, "y");
    screen_wait(s, "no clipboard");
    raw = screen_raw(s, &len);
    text = mem_strndup(raw, len);
    assert_null(strstr(text, "\033]"));
    free(text);
}

static void columns_order_and_theme_are_found_again(void **state)
{
    struct top_bed *w = *state;
    size_t len;
    struct screen *s = top_bed_open_usual(w);
    screen_type(s, "2");
    screen_wait(s, "heartbeats");
    screen_type(s, "C");
    screen_wait(s, "[x] heartbeats");
    for (int i = 0; i < 10; i++)
        screen_type(s, "j");
    screen_type(s, " ");
    screen_wait(s, "[ ] heartbeats");
    screen_type(s, "\r");
    screen_wait_gone(s, "heartbeats");
    screen_type(s, ":sort load\r:theme mono\r");
    screen_type(s, "q");
    assert_int_equal(screen_wait_exit(s), 0);
    s = top_bed_open(w, "xterm-256color", 40, 120, "--view=nodes");
    screen_wait(s, "load \xe2\x96");
    assert_null(strstr(screen_text(s), "heartbeats"));
    const char *raw = screen_raw(s, &len);
    char *text = mem_strndup(raw, len);
    assert_null(strstr(text, "38;5"));
    free(text);
    screen_type(s, "q");
    assert_int_equal(screen_wait_exit(s), 0);
    s = top_bed_open(w, "xterm-256color", 40, 120, "--theme=light");
    screen_wait_color(s, "3 nodes", 236);
}

#define PTY_TEST(name) cmocka_unit_test_setup_teardown(name, top_bed_set_up, top_bed_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PTY_TEST(it_shows_nodes_jobs_and_what_happens),
        PTY_TEST(terminals_that_cannot_be_drawn_on_are_refused_with_a_way_out),
        PTY_TEST(without_a_terminal_it_says_what_to_do_and_once_does_it),
        PTY_TEST(a_vt100_gets_neither_colours_nor_anything_beyond_ascii),
        PTY_TEST(without_a_locale_it_is_ascii_in_colour),
        PTY_TEST(no_color_is_respected),
        PTY_TEST(it_is_usable_from_40x10_to_300x100),
        PTY_TEST(a_terminal_of_one_cell_is_no_reason_to_crash),
        PTY_TEST(resizing_at_any_moment_ends_in_a_whole_screen),
        PTY_TEST(every_key_of_every_view_leaves_it_alive),
        PTY_TEST(an_action_asks_once_and_is_done),
        PTY_TEST(read_only_changes_nothing),
        PTY_TEST(pasted_text_and_unknown_keys_do_nothing),
        PTY_TEST(input_that_is_no_utf8_is_survived),
        PTY_TEST(the_mouse_reaches_what_it_clicks),
        PTY_TEST(what_is_copied_goes_to_the_clipboard),
        PTY_TEST(columns_order_and_theme_are_found_again),
    };
    (void)setlocale(LC_ALL, "C.UTF-8");
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
