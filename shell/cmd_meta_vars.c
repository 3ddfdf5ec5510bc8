/* Variables: \set, \unset, \prompt, \getenv, \setenv; and text: \echo, \qecho, \warn. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "shell/commands.h"
#include "shell/interpolate.h"
#include "shell/line.h"
#include "shell/shell.h"
#include "shell/text.h"

static int set_variable(struct shell *shell, const char *name, const char *value)
{
    struct error e = {0};
    if (vars_set(&shell->vars, name, value, &e) == 0)
        return SHELL_STATUS_OK;
    shell_error(shell, "%s", e.text);
    return SHELL_STATUS_USAGE;
}

/* ---- \set, \unset ---------------------------------------------------------------------------- */

static int list_variables(struct shell *shell)
{
    static const struct column columns[] = {
        COLUMN("name", NULL, TEXT),
        COLUMN("value", NULL, TEXT),
        COLUMN_END,
    };
    json_t *rows = json_array();
    for (size_t i = 0; i < shell->vars.n; i++) {
        json_t *value = json_string(shell->vars.items[i].value);
        (void)json_array_append_new(rows,
                                    json_pack("{s:s, s:o}", "name", shell->vars.items[i].name,
                                              "value", value != NULL ? value : json_string("?")));
    }
    shell_print_rows(shell, columns, rows);
    json_decref(rows);
    return SHELL_STATUS_OK;
}

/* The words behind the name, one behind the other; a switch without a value is on. */
static int cmd_meta_set_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    const char *name = command_argument_text(call, 0);
    const struct command_value *words = command_argument_all(call, 1, &n);
    if (name == NULL)
        return list_variables(shell);
    struct buf value;
    buf_init(&value, INTERPOLATE_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        (void)buf_append_str(&value, words[i].text);
    const struct vars_special *special = vars_specials;
    while (special->name != NULL && strcmp(special->name, name) != 0)
        special++;
    bool is_switch = special->choices != NULL && command_choices_has(special->choices, "on");
    int status = set_variable(shell, name, n == 0 && is_switch ? "on" : buf_cstr(&value));
    buf_done(&value);
    return status;
}

const struct command cmd_meta_set = {
    .name = "\\set",
    .summary = "Set a variable, or list them all",
    .text = "In statements :NAME is its value, :'NAME' that as SQL text, :\"NAME\" as a name of "
            "SQL, :{?NAME} whether it is set. In a command it is one word, whatever it holds. "
            "Some names steer the shell (help variables): ON_ERROR_STOP, ECHO, QUIET, HISTCONTROL, "
            "PROMPT1, "
            "PROMPT2 (help prompts). It sets some itself: ERROR, ROW_COUNT, LAST_ERROR_MESSAGE, "
            "LAST_ERROR_CODE, SHELL_ERROR, SHELL_EXIT_CODE.",
    .arguments = {{"NAME", COMMAND_TYPE_VARIABLE, COMMAND_COUNT_OPTIONAL, NULL,
                   "letters, digits and _"},
                  {"VALUE", COMMAND_TYPE_TEXT, COMMAND_COUNT_ANY, NULL,
                   "words, joined; '...' knows \\n, `...` is what a command writes"}},
    .examples = {{"\\set day '2026-11-28'", "then: SELECT * FROM t WHERE day = :'day';"},
                 {"\\set n `nproc`", "what a command of this machine writes"}},
    .run = cmd_meta_set_run,
};

static int cmd_meta_unset_run(struct shell *shell, const struct command_call *call)
{
    (void)vars_unset(&shell->vars, command_argument_text(call, 0));
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_unset = {
    .name = "\\unset",
    .summary = "Forget a variable",
    .arguments = {{"NAME", COMMAND_TYPE_VARIABLE, COMMAND_COUNT_ONE, NULL, "its name"}},
    .run = cmd_meta_unset_run,
};

static int cmd_meta_prompt_run(struct shell *shell, const struct command_call *call)
{
    const char *first = command_argument_text(call, 0);
    const char *second = command_argument_text(call, 1);
    char *line = line_ask(shell, second != NULL ? first : "");
    if (line == NULL) {
        shell_error(shell, "\\prompt: nothing was typed");
        return SHELL_STATUS_FAILED;
    }
    int status = set_variable(shell, second != NULL ? second : first, line);
    free(line);
    return status;
}

const struct command cmd_meta_prompt = {
    .name = "\\prompt",
    .summary = "Ask for a line and keep it as a variable",
    .arguments = {{"TEXT", COMMAND_TYPE_TEXT, COMMAND_COUNT_ONE, NULL,
                   "what stands in front of it"},
                  {"NAME", COMMAND_TYPE_VARIABLE, COMMAND_COUNT_OPTIONAL, NULL,
                   "of the variable; alone it is the first"}},
    .examples = {{"\\prompt 'which table? ' table", "then: SELECT * FROM :\"table\";"}},
    .run = cmd_meta_prompt_run,
};

static int cmd_meta_getenv_run(struct shell *shell, const struct command_call *call)
{
    const char *value = getenv(command_argument_text(call, 1));
    return value != NULL ? set_variable(shell, command_argument_text(call, 0), value)
                         : SHELL_STATUS_OK;
}

const struct command cmd_meta_getenv = {
    .name = "\\getenv",
    .summary = "Take a variable from the environment, if it is there",
    .arguments = {{"NAME", COMMAND_TYPE_VARIABLE, COMMAND_COUNT_ONE, NULL, "of the variable here"},
                  {"ENV", COMMAND_TYPE_TEXT, COMMAND_COUNT_ONE, NULL, "of the environment"}},
    .run = cmd_meta_getenv_run,
};

static int cmd_meta_setenv_run(struct shell *shell, const struct command_call *call)
{
    const char *name = command_argument_text(call, 0);
    const char *value = command_argument_text(call, 1);
    int rc = value != NULL ? setenv(name, value, 1) : unsetenv(name);
    if (rc == 0)
        return SHELL_STATUS_OK;
    shell_error(shell, "\\setenv: \"%s\" is no name for the environment", name);
    return SHELL_STATUS_USAGE;
}

const struct command cmd_meta_setenv = {
    .name = "\\setenv",
    .summary = "Set a variable of the environment, for commands that the shell runs",
    .arguments = {{"NAME", COMMAND_TYPE_TEXT, COMMAND_COUNT_ONE, NULL, "such as PAGER"},
                  {"VALUE", COMMAND_TYPE_TEXT, COMMAND_COUNT_OPTIONAL, NULL, "without it: unset"}},
    .run = cmd_meta_setenv_run,
};

/* ---- text ------------------------------------------------------------------------------------ */

/* Words with a blank between them and a newline; -n in front leaves that out. Malloc'ed. */
static char *join_words(const struct command_call *call)
{
    size_t n;
    const struct command_value *words = command_argument_all(call, 0, &n);
    bool no_newline = n > 0 && strcmp(words[0].text, "-n") == 0;
    struct buf b;
    buf_init(&b, SIZE_MAX / 4);
    for (size_t i = no_newline; i < n; i++) {
        (void)buf_append_str(&b, i > no_newline ? " " : "");
        (void)buf_append_str(&b, words[i].text);
    }
    (void)buf_append_str(&b, no_newline ? "" : "\n");
    return buf_steal(&b, NULL);
}

/* What a variable holds may come from anywhere: a terminal does not obey it. */
static char *clean_for(char *text, bool is_terminal)
{
    if (!is_terminal)
        return text;
    char *clean = text_clean(text, strlen(text), true);
    free(text);
    return clean;
}

static int cmd_meta_echo_run(struct shell *shell, const struct command_call *call)
{
    bool is_warn = call->command == &cmd_meta_warn;
    bool is_stdout = call->command == &cmd_meta_echo && shell->output.file != stdout;
    char *text = clean_for(join_words(call), is_warn     ? isatty(STDERR_FILENO)
                                             : is_stdout ? isatty(STDOUT_FILENO)
                                                         : output_is_terminal(&shell->output));
    if (is_warn) {
        output_flush(&shell->output);
        (void)fputs(text, stderr);
    } else if (is_stdout) {
        (void)fputs(text, stdout);
        (void)fflush(stdout);
    } else {
        output_write(&shell->output, text, strlen(text));
    }
    free(text);
    return SHELL_STATUS_OK;
}

#define TEXT_ARGUMENT                                                                              \
    {                                                                                              \
        "TEXT", COMMAND_TYPE_TEXT, COMMAND_COUNT_ANY, NULL, "words; -n in front: no newline"       \
    }

const struct command cmd_meta_echo = {
    .name = "\\echo",
    .summary = "Write a line of text to standard output",
    .arguments = {TEXT_ARGUMENT},
    .run = cmd_meta_echo_run,
};

const struct command cmd_meta_qecho = {
    .name = "\\qecho",
    .summary = "Write a line of text to where results go",
    .arguments = {TEXT_ARGUMENT},
    .run = cmd_meta_echo_run,
};

const struct command cmd_meta_warn = {
    .name = "\\warn",
    .summary = "Write a line of text to standard error",
    .arguments = {TEXT_ARGUMENT},
    .run = cmd_meta_echo_run,
};
