#include "shell/repl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/readline.h>

#include "base/clock.h"
#include "base/mem.h"
#include "shell/hist.h"
#include "shell/interrupt.h"
#include "shell/prompt.h"
#include "shell/repl_complete.h"
#include "shell/statement.h"
#include "shell/text.h"

enum {
    REPL_FIRST_WAIT_MS = 100, /* for the first answer, before the first prompt */
    REPL_NEXT_WAIT_MS = 20,
    REPL_REFRESH_MS = 2000, /* of the prompt while it waits */
};

struct repl {
    struct shell *shell;
    struct buf pending; /* lines of the statement that is not complete */
    enum statement_end end;
    char prompt[PROMPT_TEXT_MAX];
    bool at_prompt; /* readline has the terminal */
    bool was_connected;
    bool is_over;
    unsigned seen_changes;
    char *history_path;
    bool warned_history;
};

/* readline's callbacks have no argument. */
static struct repl *repl_now;

/* The prompt */

static void repl_make_prompt(struct repl *repl)
{
    const struct live_item *item = &repl->shell->live.items[LIVE_STATUS];
    if (repl->pending.len > 0)
        prompt_format_continued(repl->end, repl->prompt);
    else
        prompt_format(item->value, output_has_color(&repl->shell->output), repl->prompt);
}

static void repl_on_line(char *line);

static void repl_show_prompt(struct repl *repl)
{
    if (repl->pending.len == 0)
        (void)live_get(&repl->shell->live, LIVE_STATUS, REPL_NEXT_WAIT_MS);
    repl->was_connected = repl->shell->live.items[LIVE_STATUS].value != NULL;
    repl->seen_changes = repl->shell->live.changes;
    repl_make_prompt(repl);
    output_flush(&repl->shell->output);
    rl_callback_handler_install(repl->prompt, repl_on_line);
    repl->at_prompt = true;
}

static void repl_hide_prompt(struct repl *repl)
{
    if (repl->at_prompt)
        rl_callback_handler_remove();
    repl->at_prompt = false;
}

/* The status changed while the prompt waits: a new prompt, and once a line when the node is gone.
 */
static void repl_on_change(struct repl *repl)
{
    const struct live_item *item = &repl->shell->live.items[LIVE_STATUS];
    char old[PROMPT_TEXT_MAX];
    if (repl->seen_changes == repl->shell->live.changes || RL_ISSTATE(RL_STATE_ISEARCH))
        return;
    repl->seen_changes = repl->shell->live.changes;
    bool is_lost = repl->was_connected && item->value == NULL;
    repl->was_connected = item->value != NULL;
    memcpy(old, repl->prompt, sizeof old);
    repl_make_prompt(repl);
    if (!is_lost && strcmp(old, repl->prompt) == 0)
        return;
    (void)rl_clear_visible_line();
    if (is_lost) {
        (void)fprintf(rl_outstream, "\r");
        (void)fflush(rl_outstream);
        shell_error(repl->shell, "the cluster is out of reach: %s", item->trouble);
    }
    (void)rl_set_prompt(repl->prompt);
    (void)rl_on_new_line();
    rl_redisplay();
}

/* Lines */

static void repl_remember(struct repl *repl)
{
    struct error e = {0};
    if (hist_add(repl->history_path, buf_cstr(&repl->pending), &e) == 0 || repl->warned_history)
        return;
    repl->warned_history = true;
    output_note(&repl->shell->output, "warning: %s; it lasts for this session only", e.text);
}

static void repl_run_pending(struct repl *repl)
{
    char *text = mem_strdup(buf_cstr(&repl->pending));
    repl_remember(repl);
    buf_clear(&repl->pending);
    (void)interrupt_take();
    (void)shell_run_text(repl->shell, text);
    (void)interrupt_take();
    output_flush(&repl->shell->output);
    if (repl->shell->output.broken != 0)
        (void)output_redirect(&repl->shell->output, NULL, NULL);
    free(text);
}

static enum statement_end repl_find_end(const char *text)
{
    enum statement_end end = STATEMENT_END_COMPLETE;
    size_t len;
    for (; *text != '\0' && end == STATEMENT_END_COMPLETE; text += len)
        end = statement_next(text, &len);
    return end;
}

static void repl_on_line(char *line)
{
    struct repl *repl = repl_now;
    repl_hide_prompt(repl);
    if (line == NULL) {
        repl->is_over = true;
        return;
    }
    if (buf_append_str(&repl->pending, line) != 0 || buf_append_byte(&repl->pending, '\n') != 0) {
        shell_error(repl->shell, "a statement is longer than %d bytes", STATEMENT_BYTES_MAX);
        buf_clear(&repl->pending);
    }
    free(line);
    repl->end = repl_find_end(buf_cstr(&repl->pending));
    if (repl->end == STATEMENT_END_COMPLETE)
        repl_run_pending(repl);
    if (repl->shell->wants_quit)
        repl->is_over = true;
}

/* Ctrl-C at the prompt: what is typed is gone, the shell is not. */
static void repl_drop_input(struct repl *repl)
{
    rl_callback_sigcleanup();
    rl_free_line_state();
    (void)fprintf(rl_outstream, "^C\n");
    buf_clear(&repl->pending);
    repl_hide_prompt(repl);
    repl_show_prompt(repl);
}

/* The loop */

static void repl_turn(struct repl *repl)
{
    struct shell *shell = repl->shell;
    struct pollfd p[3] = {
        {.fd = STDIN_FILENO, .events = POLLIN},
        {.fd = interrupt_fd(), .events = POLLIN},
        {.fd = shell->client != NULL ? client_fd(shell->client) : -1, .events = POLLIN},
    };
    int n = poll(p, 3, REPL_REFRESH_MS);
    if (interrupt_wants_end()) {
        repl->is_over = true;
        return;
    }
    if (interrupt_take_resize())
        rl_resize_terminal();
    interrupt_quiet();
    if (interrupt_take()) {
        repl_drop_input(repl);
        return;
    }
    if (n == 0 && repl->pending.len == 0)
        live_fetch(&shell->live, LIVE_STATUS);
    if (n > 0 && p[2].revents != 0) {
        client_dispatch(shell->client);
        repl_on_change(repl);
    }
    if (n > 0 && p[0].revents != 0)
        rl_callback_read_char();
}

static void repl_set_up_readline(struct repl *repl)
{
    struct error e = {0};
    rl_readline_name = "clustersh";
    rl_outstream = stdout;
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_change_environment = 0;
    repl_complete_install(repl->shell, &repl->pending);
    repl->history_path = hist_default_path();
    if (repl->history_path != NULL && hist_load(repl->history_path, &e) != 0) {
        output_note(&repl->shell->output, "warning: %s; it lasts for this session only", e.text);
        repl->warned_history = true;
        free(repl->history_path);
        repl->history_path = NULL;
    }
}

static void repl_greet(struct repl *repl)
{
    struct shell *shell = repl->shell;
    if (shell_connect(shell) != SHELL_STATUS_OK)
        return;
    const json_t *status = live_get(&shell->live, LIVE_STATUS, REPL_FIRST_WAIT_MS);
    const char *trouble = shell->live.items[LIVE_STATUS].trouble;
    const char *version = json_string_value(json_object_get(status, "version"));
    if (status != NULL) {
        char *clean = text_clean(version != NULL ? version : "",
                                 version != NULL ? strlen(version) : 0, false);
        output_note(&shell->output, "clusterd %s at %s; help lists the commands", clean,
                    client_endpoint(shell->client));
        free(clean);
    } else if (trouble[0] != '\0') {
        shell_error(shell, "%s", trouble);
        shell_hint(shell, "commands try again; \\connect ENDPOINT goes elsewhere");
    }
}

static void repl_run_rc(struct shell *shell, const char *rc_file)
{
    FILE *file = rc_file != NULL ? fopen(rc_file, "re") : NULL;
    if (file == NULL)
        return;
    (void)shell_run_stream(shell, file, rc_file);
    (void)fclose(file);
}

int repl_run(struct shell *shell, const char *rc_file)
{
    struct repl repl = {.shell = shell};
    repl_now = &repl;
    shell->is_interactive = true;
    buf_init(&repl.pending, STATEMENT_BYTES_MAX);
    interrupt_catch_all();
    repl_set_up_readline(&repl);
    repl_greet(&repl);
    live_fetch(&shell->live, LIVE_NODES); /* whom to turn to when this node dies */
    repl_run_rc(shell, rc_file);
    while (!repl.is_over && !shell->wants_quit) {
        if (!repl.at_prompt)
            repl_show_prompt(&repl);
        repl_turn(&repl);
    }
    bool was_typing = repl.at_prompt;
    repl_hide_prompt(&repl);
    if (was_typing || !shell->wants_quit)
        (void)fputs("\n", stdout);
    buf_done(&repl.pending);
    free(repl.history_path);
    repl_now = NULL;
    return SHELL_STATUS_OK;
}
