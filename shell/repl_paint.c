/* readline's own redisplay keeps its record of the screen right; painting over it changes colours
 * only, never a character, and ends with the cursor where it was.
 *
 * While more input waits, as in a paste, nothing is painted. */
#include "shell/repl_paint.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include <readline/readline.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/highlight.h"
#include "shell/prompt.h"
#include "shell/text.h"

enum { REPL_PAINT_BYTES_MAX = 16 * 1024 };

static struct shell *repl_paint_shell;
static const struct buf *repl_paint_pending;
static struct highlight_span repl_paint_spans[HIGHLIGHT_SPANS_MAX];

/* Places */

/* Bytes and columns of the character at `s`; 0 bytes: its place is not known. */
static size_t repl_paint_char(const char *s, size_t left, size_t *columns)
{
    unsigned char c = (unsigned char)s[0];
    *columns = 1;
    if (c < 0x20 || c == 0x7f)
        return 0;
    if (c < 0x80)
        return 1;
    size_t n = text_is_utf8() ? str_utf8_len(s, left) : 0;
    char one[8] = "";
    if (n == 0 || n >= sizeof one)
        return 0;
    memcpy(one, s, n);
    wchar_t wide;
    if (mbtowc(&wide, one, n) != (int)n || wcwidth(wide) < 1)
        return 0; /* readline joins what has no width to what stands before it */
    *columns = (size_t)wcwidth(wide);
    return n;
}

bool repl_paint_layout(const char *line, size_t len, size_t prompt_width, size_t width,
                       struct repl_paint_cell *cells)
{
    size_t row = prompt_width / width;
    size_t column = prompt_width % width;
    for (size_t at = 0; at < len;) {
        size_t columns = 0;
        size_t n = line[at] == '\n' ? 1 : repl_paint_char(line + at, len - at, &columns);
        if (n == 0)
            return false;
        if (column + columns > width) { /* a wide one that does not fit */
            row++;
            column = 0;
        }
        for (size_t i = 0; i < n; i++)
            cells[at + i] = (struct repl_paint_cell){(unsigned)row, (unsigned)column};
        column += columns;
        if (line[at] == '\n' || column == width) {
            row++;
            column = 0;
        }
        at += n;
    }
    cells[len] = (struct repl_paint_cell){(unsigned)row, (unsigned)column};
    return true;
}

/* Painting */

static void repl_paint_move(struct buf *b, struct repl_paint_cell *from, struct repl_paint_cell to)
{
    if (from->row > to.row)
        (void)buf_printf(b, "\033[%uA", from->row - to.row);
    else if (from->row < to.row)
        (void)buf_printf(b, "\033[%uB", to.row - from->row);
    (void)buf_append_byte(b, '\r');
    if (to.column > 0)
        (void)buf_printf(b, "\033[%uC", to.column);
    *from = to;
}

/* Writes line[at, end) in its colour, row by row: the terminal never breaks a line by itself. */
static void repl_paint_part(struct buf *b, const struct repl_paint_cell *cells, const char *line,
                            size_t at, size_t end, const char *color,
                            struct repl_paint_cell *cursor)
{
    while (at < end) {
        size_t to = at;
        while (to < end && cells[to].row == cells[at].row && line[to] != '\n')
            to++;
        if (to > at) {
            repl_paint_move(b, cursor, cells[at]);
            if (color[0] != '\0')
                (void)buf_printf(b, "\033[%sm%.*s\033[0m", color, (int)(to - at), line + at);
            else
                (void)buf_append(b, line + at, to - at);
        }
        at = to + (to < end && line[to] == '\n');
    }
}

static void repl_paint_line(struct buf *b, const struct repl_paint_cell *cells, size_t skip,
                            size_t n_spans)
{
    const char *line = rl_line_buffer;
    size_t len = (size_t)rl_end;
    struct repl_paint_cell cursor = cells[rl_point];
    size_t at = 0;
    for (size_t i = 0; i < n_spans && at < len; i++) {
        const struct highlight_span *span = &repl_paint_spans[i];
        size_t end = span->at + span->len;
        if (end <= skip)
            continue;
        size_t from = span->at > skip ? span->at - skip : 0;
        end = end - skip < len ? end - skip : len;
        repl_paint_part(b, cells, line, at, from, "", &cursor);
        repl_paint_part(b, cells, line, from, end, highlight_color(span->kind), &cursor);
        at = end;
    }
    repl_paint_part(b, cells, line, at, len, "", &cursor);
    repl_paint_move(b, &cursor, cells[rl_point]);
}

/* Whether something else stands there than the prompt: a search, a count. */
static bool repl_paint_is_message(void)
{
    return rl_display_prompt == NULL || rl_prompt == NULL ||
           strcmp(rl_display_prompt, rl_prompt) != 0;
}

static bool repl_paint_wanted(int *width, int *height)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    if (repl_paint_shell->settings.no_highlight || rl_end == 0 || rl_done ||
        (size_t)rl_end > REPL_PAINT_BYTES_MAX)
        return false;
    if (repl_paint_is_message())
        return false;
    rl_get_screen_size(height, width);
    return *width >= 10 && poll(&p, 1, 0) <= 0;
}

static void repl_paint_redisplay(void)
{
    static bool was_message;
    int width = 0;
    int height = 0;
    if (was_message && !repl_paint_is_message()) {
        /* readline leaves the end of a longer message behind the line */
        (void)rl_clear_visible_line();
        (void)rl_on_new_line();
    }
    was_message = repl_paint_is_message();
    rl_redisplay();
    if (!repl_paint_wanted(&width, &height))
        return;
    struct shell *shell = repl_paint_shell;
    size_t skip = repl_paint_pending->len;
    struct repl_paint_cell *cells = mem_calloc((size_t)rl_end + 1, sizeof *cells);
    if (repl_paint_layout(rl_line_buffer, (size_t)rl_end, prompt_width(rl_prompt), (size_t)width,
                          cells) &&
        cells[rl_end].row < (unsigned)height) {
        struct buf text;
        struct buf out;
        buf_init(&text, HIGHLIGHT_BYTES_MAX + REPL_PAINT_BYTES_MAX);
        buf_init(&out, 32 * REPL_PAINT_BYTES_MAX);
        bool fits = buf_append(&text, repl_paint_pending->data, skip) == 0 &&
                    buf_append(&text, rl_line_buffer, (size_t)rl_end) == 0;
        bool in_sql = shell->script != NULL && shell->script->query.len > 0;
        size_t n = fits ? highlight_find(buf_cstr(&text), text.len, in_sql, skip + (size_t)rl_point,
                                         repl_paint_spans)
                        : 0;
        repl_paint_line(&out, cells, skip, n);
        (void)fwrite(buf_cstr(&out), 1, out.len, rl_outstream);
        (void)fflush(rl_outstream);
        buf_done(&out);
        buf_done(&text);
    }
    free(cells);
}

/* Whether the terminal has colours and moves its cursor. */
static bool repl_paint_can(void)
{
    static const char *const kinds[] = {"xterm",   "screen",    "tmux",    "linux",   "rxvt",
                                        "konsole", "vte",       "putty",   "st",      "foot",
                                        "kitty",   "alacritty", "wezterm", "contour", "gnome",
                                        "cygwin",  "eterm",     "iterm"};
    const char *term = getenv("TERM");
    const char *color = getenv("COLORTERM");
    if (term == NULL || rl_get_termcap("up") == NULL)
        return false;
    bool has_color = strstr(term, "color") != NULL || (color != NULL && color[0] != '\0');
    for (size_t i = 0; i < MEM_COUNT(kinds) && !has_color; i++)
        has_color = str_starts_with(term, kinds[i]);
    return has_color && strstr(term, "mono") == NULL && !str_ends_with(term, "-m");
}

void repl_paint_install(struct shell *shell, const struct buf *pending)
{
    const char *scrolls = NULL;
    repl_paint_shell = shell;
    repl_paint_pending = pending;
    if (!output_has_color(&shell->output))
        return;
    (void)rl_initialize(); /* reads the terminal's capabilities and ~/.inputrc */
    scrolls = rl_variable_value("horizontal-scroll-mode");
    if (repl_paint_can() && (scrolls == NULL || strcmp(scrolls, "on") != 0))
        rl_redisplay_function = repl_paint_redisplay;
}
