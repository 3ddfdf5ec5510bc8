/* Meta-commands: what concerns the shell itself, named as in psql. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/command_help.h"
#include "shell/commands.h"
#include "shell/request.h"
#include "shell/shell.h"

/* "on", "off", or nothing, which turns it over. */
static bool cmd_meta_switch(const struct command_call *call, bool now)
{
    const char *text = command_argument_text(call, 0);
    return text == NULL ? !now : strcmp(text, "on") == 0;
}

static int cmd_meta_timing_run(struct shell *shell, const struct command_call *call)
{
    shell->settings.has_timing = cmd_meta_switch(call, shell->settings.has_timing);
    shell_say(shell, "Timing is %s.", shell->settings.has_timing ? "on" : "off");
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_timing = {
    .name = "\\timing",
    .summary = "Show how long each command took",
    .arguments = {{"on|off", COMMAND_TYPE_CHOICE, COMMAND_COUNT_OPTIONAL, "on|off",
                   "without it: turn over"}},
    .run = cmd_meta_timing_run,
};

static int cmd_meta_tuples_run(struct shell *shell, const struct command_call *call)
{
    shell->settings.tuples_only = cmd_meta_switch(call, shell->settings.tuples_only);
    shell_say(shell, "Tuples only is %s.", shell->settings.tuples_only ? "on" : "off");
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_tuples = {
    .name = "\\t",
    .summary = "Show only the rows: no header, no footer",
    .arguments = {{"on|off", COMMAND_TYPE_CHOICE, COMMAND_COUNT_OPTIONAL, "on|off",
                   "without it: turn over"}},
    .run = cmd_meta_tuples_run,
};

static int cmd_meta_expanded_run(struct shell *shell, const struct command_call *call)
{
    static const char *const names[] = {"auto", "on", "off"};
    const char *text = command_argument_text(call, 0);
    if (text == NULL)
        text = shell->settings.expanded == SHELL_EXPANDED_ON ? "auto" : "on";
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        if (strcmp(names[i], text) == 0)
            shell->settings.expanded = (enum shell_expanded)i;
    }
    shell_say(shell, "Expanded display is %s.", text);
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_expanded = {
    .name = "\\x",
    .summary = "Show each row as a list: on, off, or auto where a table does not fit",
    .arguments = {{"on|off|auto", COMMAND_TYPE_CHOICE, COMMAND_COUNT_OPTIONAL, "on|off|auto",
                   "without it: turn over"}},
    .run = cmd_meta_expanded_run,
};

static int cmd_meta_pset_run(struct shell *shell, const struct command_call *call)
{
    static const char *const levels[] = {"linearizable", "weak", "stale"};
    const char *name = command_argument_text(call, 0);
    const char *value = command_argument_text(call, 1);
    struct shell_settings *settings = &shell->settings;
    bool is_on = value != NULL && strcmp(value, "on") == 0;
    bool is_switch = is_on || (value != NULL && strcmp(value, "off") == 0);
    if (name == NULL) {
        const char *consistency = settings->consistency;
        shell_say(shell, "format       %s\nconsistency  %s\npager        %s",
                  format_name(settings->format), consistency != NULL ? consistency : "linearizable",
                  shell->output.has_pager ? "on" : "off");
        return SHELL_STATUS_OK;
    }
    if (strcmp(name, "pager") == 0 && is_switch) {
        shell->output.has_pager = is_on;
        return SHELL_STATUS_OK;
    }
    if (strcmp(name, "format") == 0 && value != NULL && format_parse(value, &settings->format) == 0)
        return SHELL_STATUS_OK;
    for (size_t i = 0; strcmp(name, "consistency") == 0 && i < MEM_COUNT(levels); i++) {
        if (value != NULL && strcmp(value, levels[i]) == 0) {
            settings->consistency = i == 0 ? NULL : levels[i];
            return SHELL_STATUS_OK;
        }
    }
    shell_error(shell, "\\pset %s: \"%s\" is no value for it", name, value != NULL ? value : "");
    shell_hint(shell, "format %s; consistency linearizable|weak|stale; pager on|off",
               format_choices);
    return SHELL_STATUS_USAGE;
}

const struct command cmd_meta_pset = {
    .name = "\\pset",
    .summary = "Set the format of output, the consistency of reads, the pager",
    .arguments = {{"NAME", COMMAND_TYPE_CHOICE, COMMAND_COUNT_OPTIONAL, "format|consistency|pager",
                   "format, consistency or pager; without it: show them"},
                  {"VALUE", COMMAND_TYPE_TEXT, COMMAND_COUNT_OPTIONAL, NULL,
                   "table, json, ...; linearizable, weak, stale; on, off"}},
    .examples = {{"\\pset format csv", "for the rest of the session"}},
    .run = cmd_meta_pset_run,
};

static int cmd_meta_output_run(struct shell *shell, const struct command_call *call)
{
    struct error e = {0};
    if (output_redirect(&shell->output, command_argument_text(call, 0), &e) == 0)
        return SHELL_STATUS_OK;
    shell_error(shell, "%s", e.text);
    return SHELL_STATUS_USAGE;
}

const struct command cmd_meta_output = {
    .name = "\\o",
    .summary = "Send results to a file or a command, or back to the terminal",
    .arguments = {{"FILE or |COMMAND", COMMAND_TYPE_FILE, COMMAND_COUNT_LINE, NULL,
                   "without it: the terminal"}},
    .examples = {{"\\o |grep failed", "until the next \\o"}},
    .run = cmd_meta_output_run,
};

static int cmd_meta_echo_run(struct shell *shell, const struct command_call *call)
{
    const char *text = command_argument_text(call, 0);
    if (text != NULL)
        output_write(&shell->output, text, strlen(text));
    output_write(&shell->output, "\n", 1);
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_echo = {
    .name = "\\echo",
    .summary = "Write a line of text to where results go",
    .arguments = {{"TEXT", COMMAND_TYPE_TEXT, COMMAND_COUNT_LINE, NULL, "as it stands"}},
    .run = cmd_meta_echo_run,
};

static int cmd_meta_shell_run(struct shell *shell, const struct command_call *call)
{
    const char *line = command_argument_text(call, 0);
    const char *user_shell = getenv("SHELL");
    output_flush(&shell->output);
    if (line == NULL || line[0] == '\0')
        line = user_shell != NULL && user_shell[0] != '\0' ? user_shell : "/bin/sh";
    int rc = system(line);
    return rc == 0 ? SHELL_STATUS_OK : SHELL_STATUS_FAILED;
}

const struct command cmd_meta_shell = {
    .name = "\\!",
    .summary = "Run a command of this machine, or its shell",
    .arguments = {{"COMMAND", COMMAND_TYPE_TEXT, COMMAND_COUNT_LINE, NULL,
                   "the rest of the line, by sh -c"}},
    .run = cmd_meta_shell_run,
};

static int cmd_meta_include_run(struct shell *shell, const struct command_call *call)
{
    const char *path = command_argument_text(call, 0);
    if (shell->depth == SHELL_INCLUDE_DEPTH_MAX) {
        shell_error(shell, "%s: files include each other more than %d deep", path,
                    SHELL_INCLUDE_DEPTH_MAX);
        return SHELL_STATUS_USAGE;
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        shell_error(shell, "%s: %s", path, strerror(errno));
        return SHELL_STATUS_USAGE;
    }
    shell->depth++;
    int status = shell_run_stream(shell, file, path);
    shell->depth--;
    (void)fclose(file);
    return status;
}

const struct command cmd_meta_include = {
    .name = "\\i",
    .summary = "Run the statements of a file",
    .arguments = {{"FILE", COMMAND_TYPE_FILE, COMMAND_COUNT_ONE, NULL, "of this machine"}},
    .run = cmd_meta_include_run,
};

static int cmd_meta_connect_run(struct shell *shell, const struct command_call *call)
{
    const char *endpoint = command_argument_text(call, 0);
    struct error e = {0};
    struct client_path path;
    json_t *answer;
    if (shell_reconnect(shell, endpoint, &e) != 0) {
        shell_error(shell, "%s", e.text);
        return SHELL_STATUS_USAGE;
    }
    (void)client_path(&path, "status", NULL);
    int status = request_get(shell, &path, &answer);
    if (status != SHELL_STATUS_OK)
        return status;
    const char *node = json_string_value(json_object_get(answer, "node"));
    shell_say(shell, "You are connected to %s at %s.", node != NULL ? node : "a node",
              client_endpoint(shell->client));
    json_decref(answer);
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_connect = {
    .name = "\\connect",
    .summary = "Talk to another endpoint, or another cluster",
    .arguments = {{"ENDPOINT", COMMAND_TYPE_TEXT, COMMAND_COUNT_ONE, NULL,
                   "unix:PATH, http://HOST:PORT or https://HOST:PORT"}},
    .run = cmd_meta_connect_run,
};

static int cmd_meta_help_run(struct shell *shell, const struct command_call *call)
{
    const char *name = command_argument_text(call, 0);
    if (name == NULL)
        return command_help_all(shell);
    return command_help_group(shell, &name, 1);
}

const struct command cmd_meta_help = {
    .name = "\\?",
    .summary = "List the commands, or explain one",
    .arguments = {{"COMMAND", COMMAND_TYPE_COMMAND, COMMAND_COUNT_OPTIONAL, NULL, "its name"}},
    .run = cmd_meta_help_run,
};

static int cmd_meta_quit_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    shell->wants_quit = true;
    return SHELL_STATUS_OK;
}

const struct command cmd_meta_quit = {
    .name = "\\q",
    .summary = "Leave the shell",
    .run = cmd_meta_quit_run,
};
