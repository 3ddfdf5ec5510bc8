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
#include "client/client_replay.h"
#include "shell/hist.h"
#include "shell/interrupt.h"
#include "shell/line.h"
#include "shell/moment.h"
#include "shell/prompt.h"
#include "shell/repl_complete.h"
#include "shell/repl_paint.h"
#include "shell/statement.h"
#include "shell/text.h"

enum {
    REPL_FIRST_WAIT_MS = 100, /* for the first answer, before the first prompt */
    REPL_NEXT_WAIT_MS = 20,
    REPL_REFRESH_MS = 2000, /* of the prompt while it waits */
    REPL_NODES_MS = 10000,  /* of the nodes that it knows */
};

struct repl {
    struct shell *shell;
    struct script script;
    struct buf pending; /* lines of the statement that is not complete */
    struct buf item;    /* of the history: what was typed for the statement so far */
    enum statement_end end;
    char prompt[PROMPT_TEXT_MAX];
    size_t width; /* of the last prompt of a first line */
    bool was_connected;
    bool is_over;
    unsigned seen_changes;
    int64_t nodes_ms; /* when the nodes were asked for */
    char *history_path;
    bool warned_history;
};

/* readline's callbacks have no argument. */
static struct repl *repl_now;

/* The prompt */

static bool repl_is_further(const struct repl *repl)
{
    return repl->pending.len > 0 || repl->script.query.len > 0;
}

static void repl_make_prompt(struct repl *repl)
{
    struct shell *shell = repl->shell;
    bool is_further = repl_is_further(repl);
    struct prompt_facts facts = {
        .status = shell->live.items[LIVE_STATUS].value,
        .nodes = shell->live.items[LIVE_NODES].value,
        .endpoint = shell->client != NULL ? client_endpoint(shell->client) : NULL,
        .replay_ms = shell->replay != NULL ? client_replay_at_ms(shell->replay) : 0,
        .end = is_further ? repl->end : STATEMENT_END_COMPLETE,
        .is_further = is_further,
        .is_skipped = !condition_is_active(&repl->script.condition),
        .has_failed = vars_is_on(&shell->vars, "ERROR", false),
        .is_read_only = shell->failure.code == -ENOSPC && vars_is_on(&shell->vars, "ERROR", false),
        .has_color = output_has_color(&shell->output),
        .width = repl->width,
    };
    const char *format = vars_get(&shell->vars, is_further ? "PROMPT2" : "PROMPT1");
    if (format == NULL)
        format = is_further ? PROMPT_FURTHER : PROMPT_FIRST;
    prompt_format(format, &facts, &shell->vars, repl->prompt);
    if (!is_further)
        repl->width = prompt_width(repl->prompt);
}

static void repl_on_line(char *line);

static void repl_show_prompt(struct repl *repl)
{
    if (!repl_is_further(repl))
        (void)live_get(&repl->shell->live, LIVE_STATUS, REPL_NEXT_WAIT_MS);
    repl->was_connected = repl->shell->live.items[LIVE_STATUS].value != NULL;
    repl->seen_changes = repl->shell->live.changes;
    repl_make_prompt(repl);
    line_begin(repl->shell, repl->prompt, repl_on_line);
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
    if (is_lost)
        shell_error(repl->shell, "the cluster is out of reach: %s", item->trouble);
    repl_make_prompt(repl);
    if (strcmp(old, repl->prompt) != 0)
        line_set_prompt(repl->shell, repl->prompt);
}

/* Lines */

static void repl_remember(struct repl *repl)
{
    struct error e = {0};
    const char *text = buf_cstr(&repl->item);
    const char *control = vars_get(&repl->shell->vars, "HISTCONTROL");
    if (control != NULL && strcmp(control, "ignorespace") == 0 && text[0] == ' ')
        return;
    if (hist_add(repl->history_path, text, &e) == 0 || repl->warned_history)
        return;
    repl->warned_history = true;
    output_note(&repl->shell->output, "warning: %s; it lasts for this session only", e.text);
}

/* How the text ends that was typed for the statement. */
static enum statement_end repl_find_end(const struct repl *repl, const char *text)
{
    enum statement_end end = STATEMENT_END_COMPLETE;
    bool in_sql = repl->script.query.len > 0;
    for (size_t len; *text != '\0' && !statement_end_is_open(end); text += len) {
        end = in_sql ? statement_next_behind(text, &len) : statement_next(text, &len);
        in_sql = end == STATEMENT_END_CUT;
    }
    return end;
}

static void repl_run_pending(struct repl *repl)
{
    struct shell *shell = repl->shell;
    size_t used;
    char *text = mem_strdup(buf_cstr(&repl->pending));
    (void)interrupt_take();
    int status = script_feed(shell, text, false, &used);
    if (status == SHELL_STATUS_INTERRUPTED)
        used = strlen(text);
    (void)interrupt_take();
    output_flush(&shell->output);
    if (shell->output.broken != 0) {
        if (shell->output.broken != EPIPE)
            shell_error(shell, "writing the results: %s", strerror(shell->output.broken));
        (void)output_redirect(&shell->output, NULL, NULL);
    }
    buf_clear(&repl->pending);
    if (text[used + strspn(text + used, " \t\r\n")] != '\0')
        (void)buf_append_str(&repl->pending, text + used);
    free(text);
    repl->end =
        repl->pending.len > 0 ? repl_find_end(repl, buf_cstr(&repl->pending)) : STATEMENT_END_SQL;
    if (!repl_is_further(repl))
        buf_clear(&repl->item);
}

static void repl_take(struct repl *repl, const char *line)
{
    bool fits = buf_append_str(&repl->pending, line) == 0 &&
                buf_append_byte(&repl->pending, '\n') == 0 &&
                buf_append_str(&repl->item, line) == 0 && buf_append_byte(&repl->item, '\n') == 0;
    if (!fits) {
        shell_error(repl->shell,
                    "a statement is longer than %d MiB: COPY and \\copy take large data",
                    STATEMENT_BYTES_MAX >> 20);
        buf_clear(&repl->pending);
        buf_clear(&repl->item);
        return;
    }
    repl->end = repl_find_end(repl, buf_cstr(&repl->pending));
    if (!statement_end_is_open(repl->end)) {
        repl_remember(repl);
        repl_run_pending(repl);
    }
}

/* What an editor gave back runs as if it had been typed. */
static void repl_take_typed(struct repl *repl)
{
    struct shell *shell = repl->shell;
    while (shell->typed != NULL && !shell->wants_quit) {
        char *text = shell->typed;
        shell->typed = NULL;
        buf_clear(&repl->item);
        size_t len = strlen(text);
        while (len > 0 && text[len - 1] == '\n')
            text[--len] = '\0';
        repl_take(repl, text);
        free(text);
    }
}

static void repl_on_line(char *line)
{
    struct repl *repl = repl_now;
    line_end(repl->shell);
    if (line == NULL) {
        repl->is_over = true;
        return;
    }
    repl_take(repl, line);
    free(line);
    repl_take_typed(repl);
    if (repl->shell->wants_quit)
        repl->is_over = true;
}

/* Ctrl-C at the prompt: what is typed is gone, the shell is not. */
static void repl_drop_input(struct repl *repl)
{
    struct error e = {0};
    bool was_empty = rl_end == 0 && !repl_is_further(repl);
    line_drop(repl->shell);
    buf_clear(&repl->pending);
    buf_clear(&repl->item);
    buf_clear(&repl->script.query);
    if (was_empty && condition_endif(&repl->script.condition, &e) == 0)
        output_note(&repl->shell->output, "\\if: left its block");
    repl_show_prompt(repl);
}

/* The loop */

static void repl_refresh(struct repl *repl)
{
    struct live *live = &repl->shell->live;
    int64_t now_ms = clock_mono_ms();
    if (repl_is_further(repl))
        return;
    live_fetch(live, LIVE_STATUS);
    if (now_ms - repl->nodes_ms >= REPL_NODES_MS) {
        repl->nodes_ms = now_ms;
        live_fetch(live, LIVE_NODES);
    }
}

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
    line_signals(shell);
    interrupt_quiet();
    if (interrupt_take()) {
        repl_drop_input(repl);
        return;
    }
    if (n == 0)
        repl_refresh(repl);
    if (n > 0 && p[2].revents != 0) {
        client_dispatch(shell->client);
        repl_on_change(repl);
    }
    output_settle(&shell->output);
    if (n > 0 && p[0].revents != 0)
        rl_callback_read_char();
}

static void repl_set_up_readline(struct repl *repl)
{
    struct error e = {0};
    line_init();
    repl_paint_install(repl->shell, &repl->pending);
    repl_complete_install(repl->shell, &repl->pending);
    repl->history_path = hist_default_path();
    if (repl->history_path != NULL && hist_load(repl->history_path, &e) != 0) {
        output_note(&repl->shell->output, "warning: %s; it lasts for this session only", e.text);
        repl->warned_history = true;
        free(repl->history_path);
        repl->history_path = NULL;
    }
}

static void repl_greet_replay(struct shell *shell)
{
    char first[MOMENT_TEXT_MAX], last[MOMENT_TEXT_MAX];
    int64_t first_ms, last_ms;
    client_replay_span(shell->replay, &first_ms, &last_ms);
    if (!vars_is_on(&shell->vars, "QUIET", false))
        output_note(&shell->output,
                    "replay of %s, from %s to %s; \\at TIME goes to another time, help lists the "
                    "commands",
                    client_replay_path(shell->replay), moment_format(first_ms, first),
                    moment_format(last_ms, last));
}

static void repl_greet(struct repl *repl)
{
    struct shell *shell = repl->shell;
    if (shell_connect(shell) != SHELL_STATUS_OK)
        return;
    if (shell->replay != NULL) {
        repl_greet_replay(shell);
        return;
    }
    const json_t *status = live_get(&shell->live, LIVE_STATUS, REPL_FIRST_WAIT_MS);
    const char *trouble = shell->live.items[LIVE_STATUS].trouble;
    const char *version = json_string_value(json_object_get(status, "version"));
    if (status != NULL && !vars_is_on(&shell->vars, "QUIET", false)) {
        char *clean = text_clean(version != NULL ? version : "",
                                 version != NULL ? strlen(version) : 0, false);
        output_note(&shell->output, "clusterd %s at %s; help lists the commands, \\? the rest",
                    clean, client_endpoint(shell->client));
        if (version != NULL && strcmp(version, PACKAGE_VERSION) != 0)
            output_note(&shell->output,
                        "warning: clustersh is %s: what one of them does not know may fail",
                        PACKAGE_VERSION);
        free(clean);
    } else if (status == NULL && trouble[0] != '\0') {
        shell_error(shell, "%s", trouble);
        shell_hint(shell, "commands try again; \\connect ENDPOINT goes elsewhere");
    }
}

static void repl_run_rc(struct shell *shell, const char *rc_file)
{
    FILE *file = rc_file != NULL ? fopen(rc_file, "re") : NULL;
    if (file == NULL)
        return;
    (void)script_run_stream(shell, file, rc_file);
    (void)fclose(file);
}

int repl_run(struct shell *shell, const char *rc_file)
{
    struct repl repl = {.shell = shell};
    repl_now = &repl;
    shell->is_interactive = true;
    buf_init(&repl.pending, STATEMENT_BYTES_MAX);
    buf_init(&repl.item, STATEMENT_BYTES_MAX);
    interrupt_catch_all();
    repl_run_rc(shell, rc_file);
    repl_set_up_readline(&repl);
    repl_greet(&repl);
    live_fetch(&shell->live, LIVE_NODES); /* whom to turn to when this node dies */
    repl.nodes_ms = clock_mono_ms();
    script_begin(shell, &repl.script, NULL);
    repl.script.is_prompt = true;
    while (!repl.is_over && !shell->wants_quit) {
        if (!line_is_open())
            repl_show_prompt(&repl);
        repl_turn(&repl);
    }
    bool was_typing = line_is_open();
    line_end(shell);
    if (was_typing || !shell->wants_quit)
        (void)fputs("\n", stdout);
    (void)script_end(shell, SHELL_STATUS_OK);
    buf_done(&repl.pending);
    buf_done(&repl.item);
    free(repl.history_path);
    repl_now = NULL;
    return SHELL_STATUS_OK;
}
