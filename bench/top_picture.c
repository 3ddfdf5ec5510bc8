/* A picture (SVG) of what a program shows on a terminal, for documentation.
 *
 * usage: top_picture [-c COLUMNS] [-r ROWS] [-f TEXT] [-k KEYS] [-w SECONDS] COMMAND... >FILE.svg
 *
 * Waits until TEXT stands on the screen, types KEYS one by one (\e, \r are escapes), waits SECONDS
 * (default 1) and draws the cells. */
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vterm.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

enum {
    PICTURE_WAIT_MS = 20000,
    PICTURE_KEY_MS = 400,
    PICTURE_TEXT_MAX = 1024 * 1024,
    PICTURE_CELL_X10 = 84, /* width of a cell in tenths of a pixel */
    PICTURE_CELL_Y = 18,
    PICTURE_EDGE = 10,
};

static const char picture_ink[] = "#c9d1d9", picture_paper[] = "#0d1117";

struct picture {
    pid_t pid;
    int fd;
    int rows, columns;
    VTerm *vterm;
    VTermScreen *screen;
};

static void picture_start(struct picture *p, char **command)
{
    struct winsize size = {.ws_row = (unsigned short)p->rows, .ws_col = (unsigned short)p->columns};
    p->pid = forkpty(&p->fd, NULL, NULL, &size);
    if (p->pid < 0)
        exit(EXIT_FAILURE);
    if (p->pid == 0) {
        (void)setenv("TERM", "xterm-256color", 1);
        (void)setenv("LC_ALL", "C.UTF-8", 1);
        (void)execvp(command[0], command);
        _exit(127);
    }
    p->vterm = vterm_new(p->rows, p->columns);
    vterm_set_utf8(p->vterm, 1);
    p->screen = vterm_obtain_screen(p->vterm);
    vterm_screen_enable_altscreen(p->screen, 1);
    vterm_screen_reset(p->screen, 1);
}

static void picture_read(struct picture *p, int64_t ms)
{
    int64_t until_ms = clock_mono_ms() + ms, left_ms;
    char bytes[65536];
    while ((left_ms = until_ms - clock_mono_ms()) > 0) {
        struct pollfd poll_fd = {.fd = p->fd, .events = POLLIN};
        if (poll(&poll_fd, 1, (int)left_ms) <= 0)
            return;
        ssize_t n = read(p->fd, bytes, sizeof bytes);
        if (n <= 0)
            return;
        (void)vterm_input_write(p->vterm, bytes, (size_t)n);
        size_t len = vterm_output_read(p->vterm, bytes, sizeof bytes);
        if (len > 0)
            (void)!write(p->fd, bytes, len);
    }
}

static bool picture_has(struct picture *p, const char *text)
{
    char *all = mem_alloc(PICTURE_TEXT_MAX);
    VTermRect whole = {.end_row = p->rows, .end_col = p->columns};
    size_t n = vterm_screen_get_text(p->screen, all, PICTURE_TEXT_MAX - 1, whole);
    all[n] = '\0';
    bool has = strstr(all, text) != NULL;
    free(all);
    return has;
}

static void picture_type(struct picture *p, const char *keys)
{
    for (; *keys != '\0'; keys++) {
        char key = *keys;
        if (key == '\\' && keys[1] != '\0')
            key = *++keys == 'e' ? '\033' : *keys == 'r' ? '\r' : *keys;
        (void)!write(p->fd, &key, 1);
        picture_read(p, PICTURE_KEY_MS);
    }
}

/* Drawing */

struct picture_look {
    char ink[16], paper[16]; /* "" as usual */
    bool bold, dim, underline;
};

static void picture_colour(struct picture *p, VTermColor colour, char out[16])
{
    out[0] = '\0';
    if (VTERM_COLOR_IS_DEFAULT_FG(&colour) || VTERM_COLOR_IS_DEFAULT_BG(&colour))
        return;
    vterm_screen_convert_color_to_rgb(p->screen, &colour);
    (void)snprintf(out, 16, "#%02x%02x%02x", colour.rgb.red, colour.rgb.green, colour.rgb.blue);
}

static void picture_look(struct picture *p, const VTermScreenCell *cell, struct picture_look *look)
{
    *look = (struct picture_look){.bold = cell->attrs.bold, .underline = cell->attrs.underline};
    picture_colour(p, cell->fg, look->ink);
    picture_colour(p, cell->bg, look->paper);
    if (cell->attrs.reverse) {
        char ink[16];
        (void)snprintf(ink, sizeof ink, "%s", look->ink[0] != '\0' ? look->ink : picture_ink);
        (void)snprintf(look->ink, sizeof look->ink, "%s",
                       look->paper[0] != '\0' ? look->paper : picture_paper);
        (void)snprintf(look->paper, sizeof look->paper, "%s", ink);
    }
}

static bool picture_same(const struct picture_look *a, const struct picture_look *b)
{
    return strcmp(a->ink, b->ink) == 0 && strcmp(a->paper, b->paper) == 0 && a->bold == b->bold &&
           a->underline == b->underline;
}

static size_t picture_utf8(uint32_t c, char out[8])
{
    size_t n = 0;
    if (c < 0x80) {
        out[n++] = (char)c;
    } else if (c < 0x800) {
        out[n++] = (char)(0xc0 | c >> 6);
        out[n++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        out[n++] = (char)(0xe0 | c >> 12);
        out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        out[n++] = (char)(0x80 | (c & 0x3f));
    } else {
        out[n++] = (char)(0xf0 | c >> 18);
        out[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        out[n++] = (char)(0x80 | (c & 0x3f));
    }
    return n;
}

static void picture_cell_text(const VTermScreenCell *cell, struct buf *text)
{
    uint32_t c = cell->chars[0] != 0 ? cell->chars[0] : ' ';
    char utf8[8];
    if (c == '<' || c == '>' || c == '&') {
        (void)buf_append_str(text, c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;");
        return;
    }
    (void)buf_append(text, utf8, picture_utf8(c, utf8));
}

static void picture_draw_run(int row, int from, int to, const struct picture_look *look,
                             struct buf *text)
{
    int x = PICTURE_EDGE * 10 + from * PICTURE_CELL_X10, width = (to - from) * PICTURE_CELL_X10;
    int y = PICTURE_EDGE + row * PICTURE_CELL_Y;
    const char *shown = buf_cstr(text);
    if (look->paper[0] != '\0')
        printf("<rect x=\"%d.%d\" y=\"%d\" width=\"%d.%d\" height=\"%d\" fill=\"%s\"/>\n", x / 10,
               x % 10, y, width / 10, width % 10, PICTURE_CELL_Y, look->paper);
    if (shown[strspn(shown, " ")] == '\0')
        return;
    printf("<text x=\"%d.%d\" y=\"%d\" textLength=\"%d.%d\"%s%s", x / 10, x % 10,
           y + PICTURE_CELL_Y - 5, width / 10, width % 10,
           look->bold ? " font-weight=\"bold\"" : "",
           look->underline ? " text-decoration=\"underline\"" : "");
    if (look->ink[0] != '\0')
        printf(" fill=\"%s\"", look->ink);
    printf(">%s</text>\n", shown);
}

static void picture_draw_row(struct picture *p, int row)
{
    struct picture_look look, next;
    struct buf text;
    int begin = 0;
    buf_init(&text, PICTURE_TEXT_MAX);
    for (int column = 0; column < p->columns;) {
        VTermScreenCell cell;
        (void)vterm_screen_get_cell(p->screen, (VTermPos){.row = row, .col = column}, &cell);
        picture_look(p, &cell, &next);
        if (column > begin && !picture_same(&look, &next)) {
            picture_draw_run(row, begin, column, &look, &text);
            buf_clear(&text);
            begin = column;
        }
        look = next;
        picture_cell_text(&cell, &text);
        column += cell.width > 0 ? cell.width : 1;
        if (column >= p->columns)
            picture_draw_run(row, begin, p->columns, &look, &text);
    }
    buf_done(&text);
}

static void picture_draw(struct picture *p)
{
    int width = p->columns * PICTURE_CELL_X10 / 10 + 2 * PICTURE_EDGE;
    int height = p->rows * PICTURE_CELL_Y + 2 * PICTURE_EDGE;
    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\">\n", width, height);
    printf("<rect width=\"%d\" height=\"%d\" rx=\"6\" fill=\"%s\"/>\n", width, height,
           picture_paper);
    printf("<g font-family=\"DejaVu Sans Mono,Menlo,Consolas,monospace\" font-size=\"14\" "
           "fill=\"%s\" xml:space=\"preserve\">\n",
           picture_ink);
    for (int row = 0; row < p->rows; row++)
        picture_draw_row(p, row);
    printf("</g>\n</svg>\n");
}

int main(int argc, char **argv)
{
    struct picture p = {.rows = 30, .columns = 110};
    const char *text = NULL, *keys = "";
    double seconds = 1;
    int option;
    while ((option = getopt(argc, argv, "+c:r:f:k:w:")) != -1) {
        if (option == 'c')
            p.columns = (int)strtol(optarg, NULL, 10);
        else if (option == 'r')
            p.rows = (int)strtol(optarg, NULL, 10);
        else if (option == 'f')
            text = optarg;
        else if (option == 'k')
            keys = optarg;
        else if (option == 'w')
            seconds = strtod(optarg, NULL);
        else
            return EXIT_FAILURE;
    }
    if (optind == argc || p.rows < 1 || p.columns < 1) {
        fprintf(stderr, "usage: top_picture [-c COLUMNS] [-r ROWS] [-f TEXT] [-k KEYS] "
                        "[-w SECONDS] COMMAND...\n");
        return EXIT_FAILURE;
    }
    picture_start(&p, argv + optind);
    int64_t until_ms = clock_mono_ms() + PICTURE_WAIT_MS;
    while (text != NULL && !picture_has(&p, text) && clock_mono_ms() < until_ms)
        picture_read(&p, 100);
    picture_type(&p, keys);
    picture_read(&p, (int64_t)(seconds * 1000));
    picture_draw(&p);
    (void)kill(p.pid, SIGTERM);
    (void)waitpid(p.pid, NULL, 0);
    vterm_free(p.vterm);
    return EXIT_SUCCESS;
}
