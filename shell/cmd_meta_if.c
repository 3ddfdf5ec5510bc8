#include "shell/cmd_meta_if.h"

#include "shell/commands.h"
#include "shell/meta_words.h"
#include "shell/shell.h"

bool cmd_meta_if_is(const struct command *command)
{
    return command == &cmd_meta_if || command == &cmd_meta_elif || command == &cmd_meta_else ||
           command == &cmd_meta_endif;
}

/* The expression: one word that is a truth value. What is none is said and counts as false. */
static int cmd_meta_if_value(struct shell *shell, const struct command *command, const char *text,
                             size_t len, bool *value)
{
    struct meta_words words;
    struct error e = {0};
    int status = SHELL_STATUS_USAGE;
    *value = false;
    if (meta_words_read(&words, &shell->vars, text, len, META_WORDS_PLAIN, true, &e) != 0)
        shell_error(shell, "%s: %s", command->name, e.text);
    else if (words.n != 1)
        shell_error(shell, "%s needs one expression: true, false, on, off, yes, no, 1 or 0",
                    command->name);
    else if (vars_parse_bool(words.texts[0], value) != 0)
        shell_error(shell, "%s: \"%s\" is neither true nor false", command->name, words.texts[0]);
    else
        status = SHELL_STATUS_OK;
    shell_set_exit_code(shell, words.exit_code);
    meta_words_done(&words);
    return status;
}

int cmd_meta_if_run(struct shell *shell, const struct command *command, const char *text,
                    size_t len)
{
    struct condition *condition = &shell->script->condition;
    struct error e = {0};
    bool value = false;
    int status = SHELL_STATUS_OK;
    int rc;
    bool is_if = command == &cmd_meta_if;
    bool asks = is_if ? condition_is_active(condition)
                      : command == &cmd_meta_elif && condition_wants_elif(condition);
    if (asks)
        status = cmd_meta_if_value(shell, command, text, len, &value);
    if (is_if)
        rc = condition_if(condition, value, &e);
    else if (command == &cmd_meta_elif)
        rc = condition_elif(condition, value, &e);
    else if (command == &cmd_meta_else)
        rc = condition_else(condition, &e);
    else
        rc = condition_endif(condition, &e);
    if (rc == 0)
        return status;
    shell_error(shell, "%s", e.text);
    return SHELL_STATUS_USAGE;
}

/* Reached as an argument of the program only, where there is no block. */
static int cmd_meta_if_alone(struct shell *shell, const struct command_call *call)
{
    shell_error(shell, "%s belongs into a script or to the prompt", call->command->name);
    return SHELL_STATUS_USAGE;
}

const struct command cmd_meta_if = {
    .name = "\\if",
    .summary = "Run what follows, up to \\elif, \\else or \\endif, only if it is true",
    .text = "An expression is true, false, on, off, yes, no, 1 or 0; :{?NAME} tells whether a "
            "variable is set. What is skipped is read, but nothing of it runs.",
    .arguments = {{"EXPRESSION", COMMAND_TYPE_TEXT, COMMAND_COUNT_ONE, NULL, "a truth value"}},
    .examples = {{"\\if :{?target}", "was clustersh called with -v target=...?"}},
    .run = cmd_meta_if_alone,
};

const struct command cmd_meta_elif = {
    .name = "\\elif",
    .summary = "Run what follows if it is true and nothing above was",
    .arguments = {{"EXPRESSION", COMMAND_TYPE_TEXT, COMMAND_COUNT_ONE, NULL, "a truth value"}},
    .run = cmd_meta_if_alone,
};

const struct command cmd_meta_else = {
    .name = "\\else",
    .summary = "Run what follows if nothing above was true",
    .run = cmd_meta_if_alone,
};

const struct command cmd_meta_endif = {
    .name = "\\endif",
    .summary = "End what \\if began",
    .run = cmd_meta_if_alone,
};
