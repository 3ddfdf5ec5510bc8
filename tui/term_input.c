/* Keys as ncurses knows them, plus what it doesn't: pasted text in brackets, and sequences of keys
 * that the terminal's description lacks, which are dropped whole instead of being taken for what
 * their letters mean. */
#include "tui/term_internal.h"

#include <curses.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"

enum {
    TERM_NC_PASTE_BEGIN = KEY_MAX - 8,
    TERM_NC_PASTE_END,
    TERM_NC_HOME,
    TERM_NC_END,
    TERM_PASTE_WAIT_MS = 1000,
    TERM_SEQUENCE_MAX = 32,
};

static const struct {
    int from;
    uint32_t to;
} term_keys[] = {
    {KEY_UP, TERM_KEY_UP},
    {KEY_DOWN, TERM_KEY_DOWN},
    {KEY_LEFT, TERM_KEY_LEFT},
    {KEY_RIGHT, TERM_KEY_RIGHT},
    {KEY_HOME, TERM_KEY_HOME},
    {KEY_FIND, TERM_KEY_HOME},
    {TERM_NC_HOME, TERM_KEY_HOME},
    {KEY_END, TERM_KEY_END},
    {KEY_SELECT, TERM_KEY_END},
    {TERM_NC_END, TERM_KEY_END},
    {KEY_PPAGE, TERM_KEY_PAGE_UP},
    {KEY_NPAGE, TERM_KEY_PAGE_DOWN},
    {KEY_DC, TERM_KEY_DELETE},
    {KEY_BTAB, TERM_KEY_BACKTAB},
    {KEY_BACKSPACE, TERM_KEY_BACKSPACE},
    {KEY_ENTER, TERM_KEY_ENTER},
    {KEY_F(1), TERM_KEY_F1},
};

void term_input_init(void)
{
    (void)define_key("\033[200~", TERM_NC_PASTE_BEGIN);
    (void)define_key("\033[201~", TERM_NC_PASTE_END);
    /* the other form of what the description names */
    (void)define_key("\033[H", TERM_NC_HOME);
    (void)define_key("\033[F", TERM_NC_END);
    (void)define_key("\033[1~", TERM_NC_HOME);
    (void)define_key("\033[4~", TERM_NC_END);
}

/* Drops the rest of a sequence that nobody knows. False for a bare Esc; a key that came close
 * behind one is a key. */
static bool term_drop_sequence(void)
{
    int c = wgetch(term_one.keys);
    if (c == ERR)
        return false;
    if (c == 'O') {
        (void)wgetch(term_one.keys);
        return true;
    }
    if (c != '[') {
        (void)ungetch(c);
        return false;
    }
    for (int i = 0; i < TERM_SEQUENCE_MAX && (c = wgetch(term_one.keys)) != ERR; i++) {
        if (c >= 0x40 && c <= 0x7e && !(i == 0 && c == '['))
            break;
    }
    return true;
}

static struct term_input term_read_paste(void)
{
    size_t len = 0;
    for (;;) {
        int c = wgetch(term_one.keys);
        if (c == TERM_NC_PASTE_END)
            break;
        if (c == ERR) {
            struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
            if (poll(&fd, 1, TERM_PASTE_WAIT_MS) <= 0 || (fd.revents & POLLIN) == 0)
                break;
        } else if (c < 0x100 && len < sizeof term_one.paste) {
            term_one.paste[len++] = (char)c;
        }
    }
    return (struct term_input){.kind = TERM_INPUT_PASTE, .paste = term_one.paste, .paste_len = len};
}

static struct term_input term_read_mouse(void)
{
    MEVENT event;
    struct term_input input = {.kind = TERM_INPUT_NONE};
    if (getmouse(&event) != OK)
        return input;
    input.x = event.x;
    input.y = event.y;
    if (event.bstate & BUTTON4_PRESSED)
        input.kind = TERM_INPUT_WHEEL_UP;
    else if (event.bstate & BUTTON5_PRESSED)
        input.kind = TERM_INPUT_WHEEL_DOWN;
    else if (event.bstate & BUTTON1_PRESSED)
        input.kind = TERM_INPUT_CLICK;
    return input;
}

static struct term_input term_read_code(int code)
{
    struct term_input input = {.kind = TERM_INPUT_NONE};
    if (code == KEY_MOUSE)
        return term_read_mouse();
    if (code == TERM_NC_PASTE_BEGIN)
        return term_read_paste();
    for (size_t i = 0; i < MEM_COUNT(term_keys); i++) {
        if (term_keys[i].from == code) {
            input.kind = TERM_INPUT_KEY;
            input.key = term_keys[i].to;
        }
    }
    return input;
}

static bool term_is_closed(void)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&fd, 1, 0) <= 0)
        return false;
    return (fd.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* Takes a byte into the character that is under way; true when that is whole. Bytes that are no
 * UTF-8 are dropped. */
static bool term_take_byte(int byte, uint32_t *ch)
{
    char *have = term_one.partial;
    if ((byte & 0xc0) != 0x80)
        term_one.n_partial = 0;
    have[term_one.n_partial++] = (char)byte;
    size_t n = str_utf8_len(have, term_one.n_partial);
    if (n == 0) {
        /* one that can't become a character, or a first byte that has no more to come */
        if (term_one.n_partial == sizeof term_one.partial || (unsigned char)have[0] < 0xc2)
            term_one.n_partial = 0;
        return false;
    }
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    *ch = (unsigned char)have[0] & masks[n];
    for (size_t i = 1; i < n; i++)
        *ch = *ch << 6 | ((unsigned char)have[i] & 0x3f);
    term_one.n_partial = 0;
    return true;
}

struct term_input term_read(void)
{
    for (;;) {
        int c = wgetch(term_one.keys);
        if (c == ERR)
            return (struct term_input){.kind =
                                           term_is_closed() ? TERM_INPUT_CLOSED : TERM_INPUT_NONE};
        struct term_input input = {.kind = TERM_INPUT_KEY, .key = (uint32_t)c};
        if (c >= 0x100)
            input = term_read_code(c);
        else if (!term_take_byte(c, &input.key))
            input.kind = TERM_INPUT_NONE;
        else if (c == 0)
            input.key = TERM_KEY_CTRL_SPACE;
        else if (c == '\n')
            input.key = TERM_KEY_ENTER;
        else if (c == 127 || c == 8)
            input.key = TERM_KEY_BACKSPACE;
        else if (c == TERM_KEY_ESC && term_drop_sequence())
            input.kind = TERM_INPUT_NONE;
        if (input.kind != TERM_INPUT_NONE)
            return input;
    }
}
