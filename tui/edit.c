#include "tui/edit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "tui/term.h"

void edit_set(struct edit *edit, const char *text)
{
    edit->len = strnlen(text, sizeof edit->text - 1);
    memmove(edit->text, text, edit->len);
    edit->text[edit->len] = '\0';
    edit->at = edit->len;
}

void edit_init(struct edit *edit, struct edit_history *history, const char *text)
{
    *edit = (struct edit){.history = history};
    edit_set(edit, text);
}

void edit_done(struct edit *edit)
{
    free(edit->kept);
    *edit = (struct edit){0};
}

static size_t edit_left(const struct edit *edit, size_t at)
{
    while (at > 0 && ((unsigned char)edit->text[--at] & 0xc0) == 0x80)
        ;
    return at;
}

static size_t edit_right(const struct edit *edit, size_t at)
{
    if (at < edit->len)
        at++;
    while (at < edit->len && ((unsigned char)edit->text[at] & 0xc0) == 0x80)
        at++;
    return at;
}

static void edit_cut(struct edit *edit, size_t from, size_t to)
{
    memmove(edit->text + from, edit->text + to, edit->len - to + 1);
    edit->len -= to - from;
    edit->at = from;
}

static void edit_insert(struct edit *edit, const char *s, size_t len)
{
    if (edit->len + len >= sizeof edit->text)
        return;
    memmove(edit->text + edit->at + len, edit->text + edit->at, edit->len - edit->at + 1);
    memcpy(edit->text + edit->at, s, len);
    edit->len += len;
    edit->at += len;
}

static size_t edit_word(const struct edit *edit)
{
    size_t at = edit->at;
    while (at > 0 && edit->text[at - 1] == ' ')
        at--;
    while (at > 0 && edit->text[at - 1] != ' ')
        at--;
    return at;
}

static void edit_recall(struct edit *edit, bool older)
{
    size_t n = edit->history != NULL ? edit->history->n : 0;
    if (older ? edit->back == n : edit->back == 0)
        return;
    if (edit->back == 0) {
        free(edit->kept);
        edit->kept = mem_strdup(edit->text);
    }
    edit->back += older ? 1 : (size_t)-1;
    edit_set(edit, edit->back == 0 ? edit->kept : edit->history->lines[n - edit->back]);
}

static bool edit_move(struct edit *edit, uint32_t key)
{
    switch (key) {
    case TERM_KEY_LEFT:
    case TERM_CTRL('b'):
        edit->at = edit_left(edit, edit->at);
        return true;
    case TERM_KEY_RIGHT:
    case TERM_CTRL('f'):
        edit->at = edit_right(edit, edit->at);
        return true;
    case TERM_KEY_HOME:
    case TERM_CTRL('a'):
        edit->at = 0;
        return true;
    case TERM_KEY_END:
    case TERM_CTRL('e'):
        edit->at = edit->len;
        return true;
    case TERM_KEY_UP:
    case TERM_CTRL('p'):
        edit_recall(edit, true);
        return true;
    case TERM_KEY_DOWN:
    case TERM_CTRL('n'):
        edit_recall(edit, false);
        return true;
    default:
        return false;
    }
}

bool edit_key(struct edit *edit, uint32_t key)
{
    if (edit_move(edit, key))
        return true;
    switch (key) {
    case TERM_KEY_BACKSPACE:
        edit_cut(edit, edit_left(edit, edit->at), edit->at);
        return true;
    case TERM_KEY_DELETE:
    case TERM_CTRL('d'): {
        size_t at = edit->at;
        edit_cut(edit, at, edit_right(edit, at));
        return true;
    }
    case TERM_CTRL('u'):
        edit_cut(edit, 0, edit->at);
        return true;
    case TERM_CTRL('k'):
        edit_cut(edit, edit->at, edit->len);
        return true;
    case TERM_CTRL('w'):
        edit_cut(edit, edit_word(edit), edit->at);
        return true;
    default:
        break;
    }
    if (key < ' ' || key == 0x7f || key > 0x10ffff)
        return false;
    char bytes[4];
    size_t n = grid_utf8(key, bytes);
    edit_insert(edit, bytes, n);
    return true;
}

void edit_paste(struct edit *edit, const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = str_utf8_len(s + i, len - i);
        unsigned char c = (unsigned char)s[i];
        if (n == 1 && (c == '\n' || c == '\r' || c == '\t'))
            edit_insert(edit, " ", 1);
        else if (n > 1 || (n == 1 && c >= ' ' && c != 0x7f))
            edit_insert(edit, s + i, n);
        i += n > 0 ? n : 1;
    }
}

void edit_draw(const struct edit *edit, struct grid *grid, int x, int y, int w, struct style style)
{
    size_t from = 0;
    if (w < 1)
        return;
    while (from < edit->at && grid_width(grid, edit->text + from, edit->at - from) >= w)
        from = edit_right(edit, from);
    size_t n = grid_prefix(grid, edit->text + from, edit->len - from, w);
    int before = grid_width(grid, edit->text + from, edit->at - from);
    (void)grid_text_n(grid, x, y, w, style, edit->text + from, n);
    grid->cursor_x = x + before < grid->w ? x + before : grid->w - 1;
    grid->cursor_y = y;
}

void edit_history_add(struct edit_history *history, const char *text)
{
    if (text[0] == '\0' || (history->n > 0 && strcmp(history->lines[history->n - 1], text) == 0))
        return;
    if (history->n == EDIT_HISTORY_MAX) {
        free(history->lines[0]);
        memmove(history->lines, history->lines + 1, (EDIT_HISTORY_MAX - 1) * sizeof(char *));
        history->n--;
    }
    history->lines[history->n++] = mem_strdup(text);
}

void edit_history_done(struct edit_history *history)
{
    for (size_t i = 0; i < history->n; i++)
        free(history->lines[i]);
    history->n = 0;
}
