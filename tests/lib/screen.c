#include "tests/lib/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <vterm.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

enum { SCREEN_RAW_MAX = 16 * 1024 * 1024, SCREEN_ROW_BYTES_MAX = 4096 };

struct screen {
    int fd;
    pid_t pid;
    bool has_ended; /* its terminal is closed */
    bool is_reaped;
    int status;
    VTerm *vterm;
    VTermScreen *display;
    unsigned short rows;
    unsigned short columns;
    struct buf raw;
    char text[SCREEN_TEXT_MAX];
};

struct screen *screen_open(const struct screen_options *options)
{
    struct screen *s = mem_zalloc(sizeof *s);
    struct winsize size = {.ws_row = options->rows, .ws_col = options->columns};
    s->rows = options->rows;
    s->columns = options->columns;
    buf_init(&s->raw, SCREEN_RAW_MAX);
    s->vterm = vterm_new(options->rows, options->columns);
    vterm_set_utf8(s->vterm, 1);
    s->display = vterm_obtain_screen(s->vterm);
    vterm_screen_reset(s->display, 1);
    s->pid = forkpty(&s->fd, NULL, NULL, &size);
    if (s->pid < 0)
        fail_msg("forkpty: %s", strerror(errno));
    if (s->pid == 0) {
        (void)setenv("TERM", options->term, 1);
        (void)execv(options->argv[0], (char *const *)options->argv);
        _exit(127);
    }
    (void)fcntl(s->fd, F_SETFD, FD_CLOEXEC);
    return s;
}

/* Takes what the program has written; false when there is no more by the deadline. */
static bool screen_read(struct screen *s, int64_t deadline_ms)
{
    char bytes[4096];
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    int64_t left_ms = deadline_ms - clock_mono_ms();
    if (s->has_ended || poll(&p, 1, left_ms > 0 ? (int)left_ms : 0) <= 0)
        return false;
    ssize_t n = read(s->fd, bytes, sizeof bytes);
    if (n <= 0) {
        s->has_ended = true;
        return false;
    }
    (void)buf_append(&s->raw, bytes, (size_t)n);
    (void)vterm_input_write(s->vterm, bytes, (size_t)n);
    size_t answer = vterm_output_read(s->vterm, bytes, sizeof bytes);
    if (answer > 0)
        (void)!write(s->fd, bytes, answer);
    return true;
}

static size_t screen_put(char *to, size_t room, uint32_t c)
{
    if (c == 0)
        c = ' ';
    if (room < 4)
        return 0;
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    to[0] = (char)(0xe0 | c >> 12);
    to[1] = (char)(0x80 | (c >> 6 & 0x3f));
    to[2] = (char)(0x80 | (c & 0x3f));
    return 3;
}

/* Appends the row's text up to `columns`; returns the new length. */
static size_t screen_add_row(struct screen *s, int row, int columns, size_t len)
{
    for (int column = 0; column < columns;) {
        VTermScreenCell cell;
        (void)vterm_screen_get_cell(s->display, (VTermPos){row, column}, &cell);
        len += screen_put(s->text + len, sizeof s->text - len - 2, cell.chars[0]);
        column += cell.width > 0 ? cell.width : 1;
    }
    return len;
}

const char *screen_text(struct screen *s)
{
    size_t len = 0;
    for (int row = 0; row < s->rows; row++) {
        size_t start = len;
        len = screen_add_row(s, row, s->columns, len);
        while (len > start && s->text[len - 1] == ' ')
            len--;
        s->text[len++] = '\n';
    }
    while (len > 1 && s->text[len - 2] == '\n')
        len--;
    s->text[len] = '\0';
    return s->text;
}

/* Text of the cursor's line up to the cursor. */
static const char *screen_cursor_line(struct screen *s)
{
    VTermPos at;
    vterm_state_get_cursorpos(vterm_obtain_state(s->vterm), &at);
    size_t len = screen_add_row(s, at.row, at.col, 0);
    s->text[len] = '\0';
    return s->text;
}

const char *screen_raw(struct screen *s, size_t *len)
{
    *len = s->raw.len;
    return buf_cstr(&s->raw);
}

unsigned screen_count(struct screen *s, const char *text)
{
    unsigned n = 0;
    for (const char *p = screen_text(s); (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

static bool screen_ends_with(const char *line, const char *text)
{
    size_t len = strlen(line);
    size_t n = strlen(text);
    return len >= n && strcmp(line + len - n, text) == 0;
}

enum screen_goal { SCREEN_GOAL_THERE, SCREEN_GOAL_GONE, SCREEN_GOAL_CURSOR };

static bool screen_has(struct screen *s, enum screen_goal goal, const char *text, unsigned count)
{
    switch (goal) {
    case SCREEN_GOAL_THERE:
        return screen_count(s, text) >= count;
    case SCREEN_GOAL_GONE:
        return strstr(screen_text(s), text) == NULL;
    default:
        return screen_ends_with(screen_cursor_line(s), text);
    }
}

static void screen_wait_for(struct screen *s, enum screen_goal goal, const char *text,
                            unsigned count)
{
    static const char *const names[] = {"to have", "to lose", "cursor behind"};
    int64_t deadline_ms = clock_mono_ms() + SCREEN_WAIT_MS;
    while (!screen_has(s, goal, text, count)) {
        if (!screen_read(s, deadline_ms) && (s->has_ended || clock_mono_ms() >= deadline_ms))
            fail_msg("waited for the screen %s \"%s\"%s:\n%s", names[goal], text,
                     s->has_ended ? ", but the program has ended" : "", screen_text(s));
    }
}

void screen_wait(struct screen *s, const char *text)
{
    screen_wait_for(s, SCREEN_GOAL_THERE, text, 1);
}

void screen_wait_count(struct screen *s, const char *text, unsigned n)
{
    screen_wait_for(s, SCREEN_GOAL_THERE, text, n);
}

void screen_wait_gone(struct screen *s, const char *text)
{
    screen_wait_for(s, SCREEN_GOAL_GONE, text, 0);
}

void screen_wait_cursor(struct screen *s, const char *text)
{
    screen_wait_for(s, SCREEN_GOAL_CURSOR, text, 1);
}

/* Foreground of the first character of the text where it stands last; -2: nowhere. */
static int screen_color(struct screen *s, const char *text)
{
    for (int row = s->rows - 1; row >= 0; row--) {
        int columns[SCREEN_ROW_BYTES_MAX];
        size_t len = 0;
        for (int column = 0; column < s->columns && len + 8 < SCREEN_ROW_BYTES_MAX;) {
            VTermScreenCell cell;
            (void)vterm_screen_get_cell(s->display, (VTermPos){row, column}, &cell);
            size_t n = screen_put(s->text + len, sizeof s->text - len - 2, cell.chars[0]);
            for (size_t i = 0; i < n; i++)
                columns[len + i] = column;
            len += n;
            column += cell.width > 0 ? cell.width : 1;
        }
        s->text[len] = '\0';
        const char *found = NULL;
        for (const char *p = s->text; (p = strstr(p, text)) != NULL; p++)
            found = p;
        if (found == NULL)
            continue;
        VTermScreenCell cell;
        (void)vterm_screen_get_cell(s->display, (VTermPos){row, columns[found - s->text]}, &cell);
        return VTERM_COLOR_IS_DEFAULT_FG(&cell.fg) || !VTERM_COLOR_IS_INDEXED(&cell.fg)
                   ? -1
                   : cell.fg.indexed.idx;
    }
    return -2;
}

void screen_wait_color(struct screen *s, const char *text, int color)
{
    int64_t deadline_ms = clock_mono_ms() + SCREEN_WAIT_MS;
    while (screen_color(s, text) != color) {
        if (!screen_read(s, deadline_ms) && (s->has_ended || clock_mono_ms() >= deadline_ms))
            fail_msg("waited for \"%s\" in colour %d, it has %d:\n%s", text, color,
                     screen_color(s, text), screen_text(s));
    }
}

void screen_type(struct screen *s, const char *keys)
{
    size_t len = strlen(keys);
    if (write(s->fd, keys, len) != (ssize_t)len)
        fail_msg("typing \"%s\": %s", keys, strerror(errno));
}

void screen_resize(struct screen *s, unsigned short rows, unsigned short columns)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    s->rows = rows;
    s->columns = columns;
    vterm_set_size(s->vterm, rows, columns);
    (void)ioctl(s->fd, TIOCSWINSZ, &size);
}

void screen_signal(struct screen *s, int number)
{
    (void)kill(s->pid, number);
}

static bool screen_reap(struct screen *s, int options)
{
    int status;
    if (!s->is_reaped && waitpid(s->pid, &status, options) == s->pid) {
        s->is_reaped = true;
        s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return s->is_reaped;
}

int screen_wait_exit(struct screen *s)
{
    int64_t deadline_ms = clock_mono_ms() + SCREEN_WAIT_MS;
    while (screen_read(s, deadline_ms))
        continue;
    if (!s->has_ended)
        fail_msg("waited for the program's end:\n%s", screen_text(s));
    (void)screen_reap(s, 0);
    return s->status;
}

void screen_wait_typed(struct screen *s)
{
    int64_t deadline_ms = clock_mono_ms() + SCREEN_WAIT_MS;
    int fd = open(ptsname(s->fd), O_RDWR | O_NOCTTY | O_CLOEXEC), n = 1;
    assert_true(fd >= 0);
    while (ioctl(fd, FIONREAD, &n) == 0 && n > 0 && clock_mono_ms() < deadline_ms)
        (void)poll(NULL, 0, 1);
    (void)close(fd);
    if (n > 0)
        fail_msg("what was typed is not read");
}

int screen_wait_exit_unread(struct screen *s)
{
    int64_t deadline_ms = clock_mono_ms() + SCREEN_WAIT_MS;
    while (!screen_reap(s, WNOHANG)) {
        if (clock_mono_ms() >= deadline_ms)
            fail_msg("waited for the program's end");
        (void)poll(NULL, 0, 1);
    }
    return s->status;
}

void screen_close(struct screen *s)
{
    if (s == NULL)
        return;
    (void)close(s->fd);
    if (!s->is_reaped) {
        (void)kill(s->pid, SIGKILL);
        (void)waitpid(s->pid, NULL, 0);
    }
    vterm_free(s->vterm);
    buf_done(&s->raw);
    free(s);
}
