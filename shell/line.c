#include "shell/line.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/readline.h>

#include "base/mem.h"
#include "shell/interrupt.h"

static bool line_open;
static char *line_asked;
static bool line_asked_is_over;

void line_init(void)
{
    rl_readline_name = "clustersh";
    rl_outstream = stdout;
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_change_environment = 0;
}

static bool line_can_clear(void)
{
    return rl_get_termcap("up") != NULL && rl_get_termcap("ce") != NULL;
}

static void line_hide(void *arg)
{
    (void)arg;
    if (line_can_clear())
        (void)rl_clear_visible_line();
    (void)fputs(line_can_clear() ? "\r" : "\n", rl_outstream);
    (void)fflush(rl_outstream);
}

static void line_show(void *arg)
{
    (void)arg;
    (void)rl_on_new_line();
    (*rl_redisplay_function)();
}

bool line_is_open(void)
{
    return line_open;
}

void line_begin(struct shell *shell, const char *prompt, void (*on_line)(char *line))
{
    output_flush(&shell->output);
    rl_callback_handler_install(prompt, on_line);
    line_open = true;
    output_at_line(&shell->output, line_hide, line_show, NULL);
    interrupt_catch_stop(true);
}

void line_end(struct shell *shell)
{
    if (!line_open)
        return;
    interrupt_catch_stop(false);
    output_at_line(&shell->output, NULL, NULL, NULL);
    rl_callback_handler_remove();
    line_open = false;
}

void line_set_prompt(struct shell *shell, const char *prompt)
{
    output_above(&shell->output);
    (void)rl_set_prompt(prompt);
    output_settle(&shell->output);
}

void line_drop(struct shell *shell)
{
    rl_callback_sigcleanup();
    rl_free_line_state();
    (void)fprintf(rl_outstream, "^C\n");
    line_end(shell);
}

void line_signals(struct shell *shell)
{
    (void)shell;
    if (interrupt_take_resize()) {
        /* With a redisplay of our own readline leaves the old rows where they are. */
        if (line_open && rl_redisplay_function != rl_redisplay) {
            (void)rl_clear_visible_line();
            (void)fputs("\r", rl_outstream);
        }
        rl_resize_terminal();
    }
    bool stops = interrupt_take_stop();
    bool continues = interrupt_take_continue();
    if (!line_open || (!stops && !continues))
        return;
    if (stops) {
        rl_cleanup_after_signal();
        (void)fputs("\n", rl_outstream);
        (void)fflush(rl_outstream);
        interrupt_stop();
    }
    rl_reset_after_signal();
    rl_resize_terminal();
    (void)rl_on_new_line();
    (*rl_redisplay_function)();
}

/* Asking */

static void line_on_asked(char *line)
{
    rl_callback_handler_remove();
    line_asked = line;
    line_asked_is_over = true;
}

static char *line_ask_input(const char *prompt)
{
    char *line = NULL;
    size_t cap = 0;
    (void)fputs(prompt, stdout);
    (void)fflush(stdout);
    ssize_t n = getline(&line, &cap, stdin);
    if (n < 0) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

static int line_no_completion(int count, int key)
{
    return rl_insert(count, key);
}

char *line_ask(struct shell *shell, const char *prompt)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return line_ask_input(prompt);
    rl_voidfunc_t *redisplay = rl_redisplay_function;
    rl_command_func_t *tab = rl_function_of_keyseq("\t", emacs_standard_keymap, NULL);
    line_init();
    output_flush(&shell->output);
    rl_redisplay_function = rl_redisplay;
    (void)rl_bind_key_in_map('\t', line_no_completion, emacs_standard_keymap);
    line_asked = NULL;
    line_asked_is_over = false;
    rl_callback_handler_install(prompt, line_on_asked);
    while (!line_asked_is_over) {
        struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                              {.fd = interrupt_fd(), .events = POLLIN}};
        int n = poll(p, 2, -1);
        if (interrupt_take_resize())
            rl_resize_terminal();
        interrupt_quiet();
        if (interrupt_pending() || interrupt_wants_end()) {
            rl_callback_sigcleanup();
            rl_free_line_state();
            rl_callback_handler_remove();
            (void)shell_take_interrupt(shell);
            break;
        }
        if (n > 0 && p[0].revents != 0)
            rl_callback_read_char();
    }
    rl_redisplay_function = redisplay;
    if (tab != NULL)
        (void)rl_bind_key_in_map('\t', tab, emacs_standard_keymap);
    char *line = line_asked;
    line_asked = NULL;
    return line;
}
