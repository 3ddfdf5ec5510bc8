/* Drawing: cells that differ from what was last shown are given to ncurses, which finds the
 * cheapest way. Input is in term_input.c, signals in term_signal.c. */
#include "tui/term_internal.h"

#include <assert.h>
#include <curses.h>
#include <langinfo.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

struct term_state term_one = {.kept_fd = -1, .own_fd = -1};

static const char term_xterm_on[] = "\033[?2004h";
static const char term_xterm_off[] = "\033[?2004l";

void term_modes(bool on)
{
    const char *bytes = on ? term_xterm_on : term_xterm_off;
    mmask_t mask = BUTTON1_PRESSED | BUTTON4_PRESSED | BUTTON5_PRESSED;
    if (term_one.is_xterm)
        term_out_say(bytes, strlen(bytes));
    term_out_begin();
    (void)mousemask(on && term_one.mouse ? mask : 0, NULL);
    term_out_end();
}

void term_leave(void)
{
    term_modes(false);
    term_out_begin();
    (void)endwin();
    term_out_end();
    bool is_out = term_out_last();
    (void)tcsetattr(STDIN_FILENO, is_out ? TCSADRAIN : TCSANOW, &term_one.saved);
}

void term_return(void)
{
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &term_one.mode);
    term_out_begin();
    (void)refresh();
    (void)keypad(term_one.keys, TRUE); /* the file has no modes: ncurses leaves it out */
    term_out_end();
    term_modes(true);
    term_redraw();
}

void term_set_mouse(bool on)
{
    term_one.mouse = on;
    term_modes(true);
}

/* Pairs are shared by inks that look the same: terminals of 8 colours have 64 of them. */
static short term_pair(struct theme_look look, bool has_default)
{
    short fg = (short)(look.fg >= 0 ? look.fg : has_default ? -1 : COLOR_WHITE);
    short bg = (short)(look.bg >= 0 ? look.bg : has_default ? -1 : COLOR_BLACK);
    if (look.fg < 0 && look.bg < 0)
        return 0;
    for (short i = 0; i < term_one.n_pairs; i++) {
        if (term_one.pairs[i].fg == fg && term_one.pairs[i].bg == bg)
            return (short)(i + 1);
    }
    if (term_one.n_pairs + 1 >= COLOR_PAIRS || init_pair((short)(term_one.n_pairs + 1), fg, bg))
        return 0;
    term_one.pairs[term_one.n_pairs].fg = fg;
    term_one.pairs[term_one.n_pairs].bg = bg;
    return ++term_one.n_pairs;
}

static void term_init_colors(bool wanted)
{
    term_one.colors = 0;
    if (wanted && has_colors()) {
        (void)start_color();
        term_one.has_default = use_default_colors() == OK;
        term_one.colors = COLORS;
    }
}

void term_set_theme(enum theme theme)
{
    term_one.n_pairs = 0;
    for (unsigned ground = 0; ground < GROUND_N; ground++) {
        for (unsigned ink = 0; ink < INK_N; ink++) {
            struct theme_look look = theme_look(theme, ink, ground, term_one.colors);
            struct term_look *to = &term_one.looks[ink][ground];
            to->pair = term_one.colors > 0 ? term_pair(look, term_one.has_default) : 0;
            to->attr = look.attr;
        }
    }
    term_redraw();
}

/* Whether the terminal's type can be drawn on. */
static int term_check(struct error *e, char hint[static TERM_HINT_MAX])
{
    const char *type = getenv("TERM");
    int found = 0;
    (void)snprintf(hint, TERM_HINT_MAX,
                   "clustertop --once prints the same without a terminal; TERM=vt100 suits nearly "
                   "every terminal");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        (void)snprintf(hint, TERM_HINT_MAX,
                       "clustertop --once prints the same for files and pipes, with -o json for "
                       "programs");
        return error_set(e, ERR_UNSUPPORTED, "standard %s is not a terminal",
                         isatty(STDOUT_FILENO) ? "input" : "output");
    }
    if (type == NULL || type[0] == '\0')
        return error_set(e, ERR_UNSUPPORTED,
                         "TERM is not set: what this terminal can do is not known");
    if (setupterm(NULL, STDOUT_FILENO, &found) != OK)
        return error_set(e, ERR_UNSUPPORTED,
                         "nothing is known about a terminal of the type '%.64s'", type);
    bool can_draw = cursor_address != NULL && clear_screen != NULL;
    (void)del_curterm(cur_term);
    if (!can_draw)
        return error_set(e, ERR_UNSUPPORTED, "a terminal of the type '%.64s' can't be drawn on",
                         type);
    return 0;
}

static bool term_wants_ascii(void)
{
    const char *type = getenv("TERM");
    return strcmp(nl_langinfo(CODESET), "UTF-8") != 0 || str_starts_with(type, "vt") ||
           str_starts_with(type, "ansi");
}

/* What a crash writes to leave the terminal usable. */
static void term_prepare_rescue(void)
{
    const char *const parts[] = {exit_attribute_mode, cursor_normal, keypad_local, exit_ca_mode};
    struct buf b;
    buf_init(&b, sizeof term_one.rescue - 1);
    if (term_one.is_xterm) {
        (void)buf_append_str(&b, term_xterm_off);
        (void)buf_append_str(&b, "\033[?1000l\033[?1006l");
    }
    for (size_t i = 0; i < MEM_COUNT(parts); i++) {
        if (parts[i] != NULL)
            (void)buf_append_str(&b, parts[i]);
    }
    if (b.len > 0)
        memcpy(term_one.rescue, b.data, b.len);
    term_one.rescue_len = b.len;
    buf_done(&b);
}

/* Ctrl-S and Ctrl-Q are keys. */
static void term_input_mode(void)
{
    struct termios mode;
    if (tcgetattr(STDIN_FILENO, &mode) == 0) {
        mode.c_iflag &= ~(tcflag_t)(IXON | IXOFF);
        (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
        (void)def_prog_mode();
        term_one.mode = mode;
    }
}

int term_open(const struct term_options *options, struct error *e, char hint[static TERM_HINT_MAX])
{
    int rc = term_check(e, hint);
    if (rc != 0)
        return rc;
    (void)tcgetattr(STDIN_FILENO, &term_one.saved);
    SCREEN *screen = term_out_open() ? newterm(NULL, term_one.out, stdin) : NULL;
    if (screen == NULL) {
        term_out_close();
        return error_set(e, ERR_UNSUPPORTED, "the terminal can't be taken over");
    }
    term_one.screen = screen;
    term_one.ascii = options->ascii || term_wants_ascii();
    const char *mouse = tigetstr("kmous");
    term_one.is_xterm = mouse != NULL && mouse != (char *)-1;
    term_one.mouse = !options->no_mouse;
    term_prepare_rescue();
    (void)cbreak();
    (void)noecho();
    (void)nonl();
    term_input_mode();
    term_one.keys = newpad(1, 1); /* reading by a window would draw it */
    (void)keypad(term_one.keys, TRUE);
    (void)nodelay(term_one.keys, TRUE);
    (void)leaveok(stdscr, FALSE);
    (void)set_escdelay(25);
    (void)mouseinterval(0);
    term_input_init();
    term_init_colors(!options->no_color);
    term_set_theme(options->theme);
    term_modes(true);
    term_signal_open();
    return 0;
}

void term_close(void)
{
    if (term_one.screen == NULL)
        return;
    term_leave();
    term_signal_close();
    (void)delwin(term_one.keys);
    delscreen(term_one.screen);
    term_out_close();
    free(term_one.shown);
    term_one = (struct term_state){.kept_fd = -1, .own_fd = -1};
}

bool term_is_ascii(void)
{
    return term_one.ascii;
}

int term_colors(void)
{
    return term_one.colors;
}

void term_size(int *w, int *h)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
        int width = size.ws_col < GRID_WIDTH_MAX ? size.ws_col : GRID_WIDTH_MAX;
        int height = size.ws_row < GRID_HEIGHT_MAX ? size.ws_row : GRID_HEIGHT_MAX;
        if (height != LINES || width != COLS)
            (void)resizeterm(height, width);
    }
    *w = COLS;
    *h = LINES;
}

void term_redraw(void)
{
    (void)clearok(curscr, TRUE);
    term_one.shown_w = 0;
}

bool term_is_ready(void)
{
    struct pollfd fd = {.fd = term_out_fd(), .events = POLLOUT};
    term_send();
    return !term_is_sending() && poll(&fd, 1, 0) != 0;
}

static void term_put(int x, int y, const struct cell *cell)
{
    const struct term_look *look = &term_one.looks[cell->style.ink][cell->style.ground];
    unsigned bits = (unsigned)look->attr | cell->style.attr;
    attr_t attrs = A_NORMAL;
    attrs |= bits & ATTR_BOLD ? A_BOLD : 0;
    attrs |= bits & ATTR_DIM ? A_DIM : 0;
    attrs |= bits & ATTR_UNDERLINE ? A_UNDERLINE : 0;
    attrs |= bits & ATTR_REVERSE ? A_REVERSE : 0;
    wchar_t text[3] = {(wchar_t)cell->ch, (wchar_t)cell->mark, 0};
    cchar_t c;
    if (setcchar(&c, text, attrs, look->pair, NULL) == OK)
        (void)mvadd_wch(y, x, &c);
}

/* Gives a row to ncurses from its first to its last difference. */
static void term_show_row(const struct grid *grid, int y)
{
    const struct cell *row = &grid->cells[(size_t)y * (size_t)grid->w];
    struct cell *shown = &term_one.shown[(size_t)y * (size_t)grid->w];
    int from = 0;
    int to = grid->w;
    while (from < to && memcmp(&row[from], &shown[from], sizeof *row) == 0)
        from++;
    while (to > from && memcmp(&row[to - 1], &shown[to - 1], sizeof *row) == 0)
        to--;
    if (from == to)
        return;
    if (row[from].ch == 0 && from > 0)
        from--;
    for (int x = from; x < to; x++) {
        if (row[x].ch != 0)
            term_put(x, y, &row[x]);
    }
    memcpy(&shown[from], &row[from], (size_t)(to - from) * sizeof *row);
}

void term_show(const struct grid *grid)
{
    if (term_one.shown_w != grid->w || term_one.shown_h != grid->h) {
        size_t n = (size_t)grid->w * (size_t)grid->h;
        free(term_one.shown);
        term_one.shown = mem_calloc(n, sizeof *term_one.shown);
        term_one.shown_w = grid->w;
        term_one.shown_h = grid->h;
        for (size_t i = 0; i < n; i++)
            term_one.shown[i].ch = ' ';
        (void)erase();
    }
    for (int y = 0; y < grid->h; y++)
        term_show_row(grid, y);
    term_out_begin();
    bool has_cursor = grid->cursor_x >= 0 && grid->cursor_y >= 0;
    (void)curs_set(has_cursor);
    if (has_cursor)
        (void)move(grid->cursor_y, grid->cursor_x);
    (void)wnoutrefresh(stdscr);
    (void)doupdate();
    term_out_end();
}
