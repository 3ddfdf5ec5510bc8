#include "tui/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mdoc.h"
#include "base/mem.h"
#include "tui/act.h"
#include "tui/term.h"

#define UP    TERM_KEY_UP
#define DOWN  TERM_KEY_DOWN
#define ENTER TERM_KEY_ENTER

/* clang-format off */
const struct keys_row keys_table[] = {
    {KEYS_EVERYWHERE, '?', TERM_KEY_F1, "help", NULL, "what the keys do here", true, false, act_help},
    {KEYS_EVERYWHERE, ':', 0, "", NULL, "type a command; Tab completes it", false, false, act_command},
    {KEYS_EVERYWHERE, '/', 0, "filter", "REGEX", "show what matches only; ! in front inverts, Esc ends it", true, false, act_filter},
    {KEYS_EVERYWHERE, ENTER, 0, "enter", NULL, "go into what is selected", false, false, act_enter},
    {KEYS_EVERYWHERE, TERM_KEY_ESC, TERM_KEY_BACKSPACE, "back", NULL, "end the filter, drop the marks, go back", false, false, act_back},
    {KEYS_EVERYWHERE, TERM_KEY_TAB, TERM_KEY_BACKTAB, "focus", NULL, "the other part of this place", false, false, act_focus},
    {KEYS_EVERYWHERE, 'q', TERM_CTRL('c'), "quit", NULL, "leave", true, false, act_quit},
    {KEYS_EVERYWHERE, TERM_CTRL('l'), 0, "redraw", NULL, "draw the screen anew", false, false, act_redraw},
    {KEYS_EVERYWHERE, TERM_CTRL('z'), 0, "suspend", NULL, "stop; fg continues", false, false, act_suspend},
    {KEYS_EVERYWHERE, '1', 0, "overview", NULL, "what is wrong, since when, and where", false, false, act_view_1},
    {KEYS_EVERYWHERE, '2', 0, "nodes", NULL, "nodes and how they fare", false, false, act_view_2},
    {KEYS_EVERYWHERE, '3', 0, "elections", NULL, "who leads, who led, and why it changed", false, false, act_view_3},
    {KEYS_EVERYWHERE, '4', 0, "jobs", NULL, "jobs, their tasks and output", false, false, act_view_4},
    {KEYS_EVERYWHERE, '5', 0, "queries", NULL, "SQL statements and their stages", false, false, act_view_5},
    {KEYS_EVERYWHERE, '6', 0, "rollouts", NULL, "what serves, how much of it, gates and votes", false, false, act_view_6},
    {KEYS_EVERYWHERE, '7', 0, "chat", NULL, "messages", false, false, act_view_7},
    {KEYS_EVERYWHERE, '8', 0, "logs", NULL, "events and log records of all nodes", false, false, act_view_8},
    {KEYS_EVERYWHERE, 0, 0, "mouse", "on|off", "off: the terminal selects text again", false, false, act_mouse},
    {KEYS_EVERYWHERE, 0, 0, "theme", "dark|light|mono", "other colours, or none", false, false, act_theme},

    {KEYS_TIME, 'Z', 0, "freeze", NULL, "hold the screen still, and let it go on", true, false, act_freeze},
    {KEYS_TIME, '[', 0, "earlier", NULL, "five seconds back", false, false, act_earlier},
    {KEYS_TIME, ']', 0, "later", NULL, "five seconds forth", false, false, act_later},
    {KEYS_TIME, '{', 0, "minute earlier", NULL, "a minute back", false, false, act_minute_earlier},
    {KEYS_TIME, '}', 0, "minute later", NULL, "a minute forth", false, false, act_minute_later},
    {KEYS_TIME, '(', 0, "event earlier", NULL, "to the event before on the line of time", false, false, act_event_earlier},
    {KEYS_TIME, ')', 0, "event later", NULL, "to the event after", false, false, act_event_later},
    {KEYS_TIME, TERM_KEY_END, 0, "now", NULL, "back to now; when it is now, to the end of the list", false, false, act_now},
    {KEYS_TIME, 0, 0, "time", "TIME", "to 14:05, 14:05:09, or 10m ago", false, false, act_time},
    {KEYS_TIME, 0, 0, "span", "TIME", "how much the line of time shows", false, false, act_span},

    {KEYS_LIST, UP, 'k', "up", NULL, "the row above", false, false, act_up},
    {KEYS_LIST, DOWN, 'j', "down", NULL, "the row below", false, false, act_down},
    {KEYS_LIST, TERM_KEY_PAGE_UP, TERM_CTRL('b'), "page up", NULL, "a page up", false, false, act_page_up},
    {KEYS_LIST, TERM_KEY_PAGE_DOWN, TERM_CTRL('f'), "page down", NULL, "a page down", false, false, act_page_down},
    {KEYS_LIST, TERM_KEY_HOME, 'g', "top", NULL, "the first row", false, false, act_top},
    {KEYS_LIST, 'G', 0, "bottom", NULL, "the last row", false, false, act_bottom},
    {KEYS_LIST, '>', 0, "sort", "COLUMN", "sort by the next column", false, false, act_sort_next},
    {KEYS_LIST, '<', 0, "sort before", NULL, "sort by the column before", false, false, act_sort_before},
    {KEYS_LIST, 'I', 0, "invert", NULL, "the other order", false, false, act_invert},
    {KEYS_LIST, ' ', 0, "mark", NULL, "mark the row: actions take all that are marked", true, false, act_mark},
    {KEYS_LIST, TERM_KEY_CTRL_SPACE, 'V', "mark range", NULL, "mark from the last one marked to here", false, false, act_mark_range},
    {KEYS_LIST, '*', 0, "mark all", NULL, "mark all that are shown", false, false, act_mark_all},
    {KEYS_LIST, 'U', 0, "unmark", NULL, "drop all marks", false, false, act_unmark},
    {KEYS_LIST, 'F', 0, "follow", NULL, "keep the row in its place when the order changes", false, false, act_follow_row},
    {KEYS_LIST, 'd', 0, "detail", NULL, "show or hide what is known of the row", false, false, act_detail},
    {KEYS_LIST, 'C', 0, "columns", NULL, "choose the columns; they are remembered", false, false, act_columns},
    {KEYS_LIST, 'y', 0, "copy", "COLUMN", "copy the row's name or id, or one column", false, false, act_copy},
    {KEYS_LIST, 'Y', 0, "copy row", NULL, "copy the whole row, or those that are marked", false, false, act_copy_row},

    {KEYS_LOG, UP, 'k', "line up", NULL, "the line above", false, false, act_up},
    {KEYS_LOG, DOWN, 'j', "line down", NULL, "the line below", false, false, act_down},
    {KEYS_LOG, TERM_KEY_PAGE_UP, TERM_CTRL('b'), "lines page up", NULL, "a page up", false, false, act_page_up},
    {KEYS_LOG, TERM_KEY_PAGE_DOWN, TERM_CTRL('f'), "lines page down", NULL, "a page down", false, false, act_page_down},
    {KEYS_LOG, TERM_KEY_HOME, 'g', "first line", NULL, "the first line", false, false, act_top},
    {KEYS_LOG, 'G', 0, "last line", NULL, "the last line, and follow", false, false, act_bottom},
    {KEYS_LOG, 's', 'F', "follow", NULL, "follow what comes, or stand still", true, false, act_log_follow},
    {KEYS_LOG, 'w', 0, "wrap", NULL, "wrap long lines, or cut them", true, false, act_log_wrap},
    {KEYS_LOG, 't', 0, "times", NULL, "another form of the time, or none", false, false, act_log_time},
    {KEYS_LOG, 'e', 0, "errors", NULL, "warnings and errors only", true, false, act_log_errors},
    {KEYS_LOG, '+', '=', "level", "debug|info|warn|error", "show more", false, false, act_log_more},
    {KEYS_LOG, '-', 0, "level up", NULL, "show less", false, false, act_log_less},
    {KEYS_LOG, ' ', 'm', "mark line", NULL, "mark the line", false, false, act_mark},
    {KEYS_LOG, TERM_KEY_CTRL_SPACE, 'V', "mark lines", NULL, "mark from the mark above to here", false, false, act_mark_range},
    {KEYS_LOG, 'n', 0, "next mark", NULL, "to the next mark", false, false, act_log_next_mark},
    {KEYS_LOG, 'N', 0, "mark before", NULL, "to the mark before", false, false, act_log_mark_before},
    {KEYS_LOG, 'U', 0, "unmark lines", NULL, "drop all marks", false, false, act_unmark},
    {KEYS_LOG, TERM_CTRL('s'), 0, "save", "FILE", "save what is shown, or the marked lines", false, false, act_log_save},
    {KEYS_LOG, '@', 0, "there", NULL, "to the moment of this line", false, false, act_log_there},
    {KEYS_LOG, 'y', 'Y', "copy line", NULL, "copy the line, or those that are marked", false, false, act_copy},
    {KEYS_LOG, 0, 0, "from", "NODES", "lines of these nodes only, as n[1-3]; nothing: all", false, false, act_log_from},
    {KEYS_LOG, 0, 0, "kind", "KINDS", "of these kinds only, as job.*,raft.lead; nothing: all", false, false, act_log_kind},

    {KEYS_NODES, 'l', 0, "logs of", NULL, "one log of the marked nodes", true, false, act_node_logs},
    {KEYS_NODES, 'D', 0, "drain", "REASON", "give the node no new work", true, true, act_node_drain},
    {KEYS_NODES, 'R', 0, "resume", NULL, "give it work again", true, true, act_node_resume},
    {KEYS_NODES, 'L', 0, "lead", NULL, "hand the lead of the cluster to the node", false, true, act_node_lead},

    {KEYS_ELECTIONS, 'T', 0, "transfer", "NODE", "hand the lead over, to a node or to whoever fits", true, true, act_transfer},

    {KEYS_JOBS, 'K', TERM_KEY_DELETE, "cancel", "REASON", "cancel the job", true, true, act_job_cancel},
    {KEYS_JOBS, 'R', 0, "retry", NULL, "run again what failed", false, true, act_job_retry},

    {KEYS_TASKS, 'K', TERM_KEY_DELETE, "cancel task", "REASON", "cancel the element", true, true, act_task_cancel},

    {KEYS_QUERIES, 'K', TERM_KEY_DELETE, "cancel query", NULL, "cancel the statement", true, true, act_query_cancel},

    {KEYS_ROLLOUTS, 'P', 0, "promote", NULL, "take the next step now", true, true, act_rollout_promote},
    {KEYS_ROLLOUTS, 'p', 0, "pause", NULL, "stay at this step", true, true, act_rollout_pause},
    {KEYS_ROLLOUTS, 'f', 0, "freeze rollout", NULL, "stay, whatever the gates say", false, true, act_rollout_freeze},
    {KEYS_ROLLOUTS, 'r', 0, "resume rollout", NULL, "go on", false, true, act_rollout_resume},
    {KEYS_ROLLOUTS, 'A', 0, "abort", NULL, "back to what was stable", true, true, act_rollout_abort},

    {KEYS_CHAT, 'i', 0, "send", "TEXT", "write a message", true, true, act_chat_send},
    {KEYS_CHAT, 0, 0, "channel", "NAME", "another channel; nothing: all", false, false, act_chat_channel},
};
/* clang-format on */

const size_t keys_n = MEM_COUNT(keys_table);

const char *keys_context_title(enum keys_context context)
{
    static const char *const titles[KEYS_CONTEXTS] = {
        [KEYS_EVERYWHERE] = "everywhere",
        [KEYS_TIME] = "time",
        [KEYS_LIST] = "in lists",
        [KEYS_LOG] = "in logs",
        [KEYS_NODES] = "nodes",
        [KEYS_ELECTIONS] = "elections",
        [KEYS_JOBS] = "jobs",
        [KEYS_TASKS] = "tasks",
        [KEYS_QUERIES] = "queries",
        [KEYS_ROLLOUTS] = "rollouts",
        [KEYS_CHAT] = "chat",
    };
    return titles[context];
}

const char *keys_name(uint32_t key, char out[static KEYS_NAME_MAX])
{
    static const struct {
        uint32_t key;
        const char *name;
    } names[] = {
        {TERM_KEY_TAB, "Tab"},
        {TERM_KEY_ENTER, "Enter"},
        {TERM_KEY_ESC, "Esc"},
        {TERM_KEY_SPACE, "Space"},
        {TERM_KEY_BACKSPACE, "Backsp"},
        {TERM_KEY_UP, "Up"},
        {TERM_KEY_DOWN, "Down"},
        {TERM_KEY_LEFT, "Left"},
        {TERM_KEY_RIGHT, "Right"},
        {TERM_KEY_HOME, "Home"},
        {TERM_KEY_END, "End"},
        {TERM_KEY_PAGE_UP, "PgUp"},
        {TERM_KEY_PAGE_DOWN, "PgDn"},
        {TERM_KEY_DELETE, "Del"},
        {TERM_KEY_BACKTAB, "Shift-Tab"},
        {TERM_KEY_CTRL_SPACE, "Ctrl-Space"},
        {TERM_KEY_F1, "F1"},
    };
    out[0] = '\0';
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        if (names[i].key == key)
            (void)snprintf(out, KEYS_NAME_MAX, "%s", names[i].name);
    }
    if (out[0] == '\0' && key > 0 && key < ' ')
        (void)snprintf(out, KEYS_NAME_MAX, "Ctrl-%c", (int)(key + '@'));
    else if (out[0] == '\0' && key > ' ' && key < 0x7f)
        (void)snprintf(out, KEYS_NAME_MAX, "%c", (int)key);
    return out;
}

const struct keys_row *keys_find(uint32_t key, const enum keys_context *contexts, size_t n)
{
    for (size_t c = 0; c < n && key != 0; c++) {
        for (size_t i = 0; i < keys_n; i++) {
            if (keys_table[i].context == contexts[c] &&
                (keys_table[i].key == key || keys_table[i].also == key))
                return &keys_table[i];
        }
    }
    return NULL;
}

const struct keys_row *keys_find_name(const char *name, size_t len,
                                      const enum keys_context *contexts, size_t n,
                                      size_t *n_matches)
{
    const struct keys_row *found = NULL;
    *n_matches = 0;
    for (size_t c = 0; c < n && len > 0; c++) {
        for (size_t i = 0; i < keys_n; i++) {
            const struct keys_row *row = &keys_table[i];
            if (row->context != contexts[c] || strncmp(row->name, name, len) != 0)
                continue;
            if (row->name[len] == '\0') {
                *n_matches = 1;
                return row;
            }
            found = row;
            ++*n_matches;
        }
    }
    return *n_matches == 1 ? found : NULL;
}

static void keys_print_item(const struct keys_row *row, struct buf *b)
{
    char name[KEYS_NAME_MAX];
    mdoc_macro(b, "It");
    if (row->key != 0)
        mdoc_arg(b, keys_name(row->key, name));
    if (row->also != 0) {
        mdoc_word(b, ",");
        mdoc_arg(b, keys_name(row->also, name));
    }
    if (row->name[0] != '\0') {
        char *command = mem_printf(":%s", row->name);
        if (row->key != 0)
            mdoc_word(b, ",");
        mdoc_word(b, "Cm");
        mdoc_arg(b, command);
        free(command);
    }
    if (row->argument != NULL) {
        mdoc_word(b, "Ar");
        mdoc_arg(b, row->argument);
    }
    mdoc_end(b);
    mdoc_sentence(b, row->help);
}

void keys_print_man(struct buf *b)
{
    for (enum keys_context context = 0; context < KEYS_CONTEXTS; context++) {
        mdoc_subsection(b, keys_context_title(context));
        mdoc_line(b, ".Bl -tag -width Ds");
        for (size_t i = 0; i < keys_n; i++) {
            if (keys_table[i].context == context)
                keys_print_item(&keys_table[i], b);
        }
        mdoc_line(b, ".El");
    }
}
