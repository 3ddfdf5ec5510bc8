/* What clustertop writes to its terminal: a pseudoterminal whose other side the test reads when it
 * likes. Writes to it are counted. */
#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tui/term.h"

enum { TEST_W = 200, TEST_H = 50, TEST_BYTES_MAX = 64 * 1024 * 1024 };

static unsigned test_writes;    /* to the terminal */
static struct buf test_written; /* by them */

ssize_t __real_write(int fd, const void *bytes, size_t len);
ssize_t __wrap_write(int fd, const void *bytes, size_t len);

ssize_t __wrap_write(int fd, const void *bytes, size_t len)
{
    ssize_t n = __real_write(fd, bytes, len);
    if (isatty(fd)) {
        test_writes++;
        if (n > 0)
            assert_int_equal(buf_append(&test_written, bytes, (size_t)n), 0);
    }
    return n;
}

struct test_bed {
    int master;
    int saved[2];    /* the test's own standard input and output */
    struct buf seen; /* on the terminal */
    struct grid *grid;
};

static int test_set_up(void **state)
{
    struct test_bed *w = mem_zalloc(sizeof *w);
    struct winsize size = {.ws_col = TEST_W, .ws_row = TEST_H};
    struct termios mode;
    struct error e;
    char hint[TERM_HINT_MAX];
    int slave;
    (void)fflush(stdout);
    assert_int_equal(openpty(&w->master, &slave, NULL, NULL, &size), 0);
    for (int fd = 0; fd < 2; fd++) {
        w->saved[fd] = dup(fd);
        assert_int_equal(dup2(slave, fd), fd);
    }
    (void)close(slave);
    assert_int_equal(tcgetattr(STDOUT_FILENO, &mode), 0);
    mode.c_oflag &= ~(tcflag_t)OPOST; /* what is written is what is seen */
    assert_int_equal(tcsetattr(STDOUT_FILENO, TCSANOW, &mode), 0);
    buf_init(&w->seen, TEST_BYTES_MAX);
    buf_init(&test_written, TEST_BYTES_MAX);
    assert_int_equal(setenv("TERM", "xterm-256color", 1), 0);
    assert_int_equal(term_open(&(struct term_options){.theme = THEME_DARK}, &e, hint), 0);
    w->grid = grid_new(TEST_W, TEST_H, false);
    *state = w;
    return 0;
}

static void test_close_terminal(struct test_bed *w)
{
    term_close();
    for (int fd = 0; fd < 2 && w->saved[fd] >= 0; fd++) {
        (void)dup2(w->saved[fd], fd);
        (void)close(w->saved[fd]);
        w->saved[fd] = -1;
    }
}

static int test_tear_down(void **state)
{
    struct test_bed *w = *state;
    if (w->saved[0] >= 0)
        test_close_terminal(w);
    (void)close(w->master);
    grid_free(w->grid);
    buf_done(&w->seen);
    buf_done(&test_written);
    free(w);
    return 0;
}

/* Reads what is on the terminal by now. */
static void test_look(struct test_bed *w)
{
    struct pollfd fd = {.fd = w->master, .events = POLLIN};
    char bytes[4096];
    ssize_t n;
    while (poll(&fd, 1, 0) > 0 && (n = read(w->master, bytes, sizeof bytes)) > 0)
        assert_int_equal(buf_append(&w->seen, bytes, (size_t)n), 0);
}

static void test_look_anew(struct test_bed *w)
{
    test_look(w);
    buf_clear(&w->seen);
    buf_clear(&test_written);
    test_writes = 0;
}

/* A screen without two neighbours that look the same. */
static void test_fill(struct test_bed *w, unsigned seed)
{
    static const enum theme_ink inks[] = {INK_TEXT, INK_GOOD, INK_BAD, INK_DIM, INK_WARN};
    char text[2] = "a";
    for (int y = 0; y < w->grid->h; y++) {
        for (int x = 0; x < w->grid->w; x++) {
            seed = seed * 1103515245 + 12345;
            text[0] = (char)('a' + (seed >> 16) % 26);
            (void)grid_text(w->grid, x, y, 1, STYLE(inks[(seed >> 24) % MEM_COUNT(inks)]), text);
        }
    }
}

static bool test_has(const struct buf *b, const char *text)
{
    return b->len > 0 && memmem(b->data, b->len, text, strlen(text)) != NULL;
}

static void a_frame_is_one_write_and_nothing_goes_around_it(void **state)
{
    struct test_bed *w = *state;
    term_show(w->grid);
    test_look_anew(w);
    for (unsigned frame = 0; frame < 20; frame++) {
        for (int y = 0; y < TEST_H; y += 3)
            (void)grid_text(w->grid, (int)frame * 7, y, 5, STYLE(INK_GOOD), "there");
        if (frame == 10)
            term_redraw();
        assert_true(term_is_ready());
        term_show(w->grid);
        assert_int_equal(term_read().kind, TERM_INPUT_NONE); /* draws nothing either */
        test_look(w);
        assert_int_equal(test_writes, 1);
        assert_true(w->seen.len > 0);
        assert_int_equal(w->seen.len, test_written.len);
        assert_memory_equal(w->seen.data, test_written.data, w->seen.len);
        test_look_anew(w);
    }
}

static void what_a_full_terminal_has_no_room_for_follows_whole_and_in_its_order(void **state)
{
    struct test_bed *w = *state;
    unsigned frames = 0;
    test_look_anew(w);
    while (term_is_ready()) { /* never waits, though nobody reads */
        test_fill(w, ++frames);
        term_show(w->grid);
    }
    assert_true(term_is_sending());
    assert_true(term_copy("behind it"));
    while (term_is_sending()) {
        test_look(w);
        term_send();
    }
    test_look(w);
    assert_int_equal(w->seen.len, test_written.len);
    assert_memory_equal(w->seen.data, test_written.data, w->seen.len);
    assert_memory_equal(w->seen.data + w->seen.len - 2, "\033\\", 2); /* of the copy */
    test_look_anew(w);
    term_show(w->grid);
    test_look(w);
    assert_int_equal(w->seen.len, 0); /* it was all there */
}

static void
a_terminal_that_nobody_reads_is_given_back_and_put_right_when_somebody_does(void **state)
{
    struct test_bed *w = *state;
    struct termios mode;
    test_look_anew(w);
    for (unsigned frames = 0; term_is_ready(); frames++) {
        test_fill(w, frames);
        term_show(w->grid);
    }
    assert_int_equal(tcgetattr(STDIN_FILENO, &mode), 0);
    assert_int_equal(mode.c_lflag & (ICANON | ECHO), 0);
    int slave = dup(STDIN_FILENO);
    test_close_terminal(w);
    assert_int_equal(tcgetattr(slave, &mode), 0);
    assert_int_equal(mode.c_lflag & (ICANON | ECHO), ICANON | ECHO);
    test_look(w);
    assert_true(test_has(&w->seen, "\033[?1049l"));
    (void)close(slave);
}

#define TERM_TEST(name) cmocka_unit_test_setup_teardown(name, test_set_up, test_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TERM_TEST(a_frame_is_one_write_and_nothing_goes_around_it),
        TERM_TEST(what_a_full_terminal_has_no_room_for_follows_whole_and_in_its_order),
        TERM_TEST(a_terminal_that_nobody_reads_is_given_back_and_put_right_when_somebody_does),
    };
    (void)setlocale(LC_ALL, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
