/* Backslash commands that concern the shell itself, named as in psql. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "client/client_replay.h"
#include "base/str.h"
#include "shell/command_help.h"
#include "shell/commands.h"
#include "shell/editor.h"
#include "shell/hist.h"
#include "shell/interrupt.h"
#include "shell/shell.h"

/* ---- where results go ------------------------------------------------------------------------ */

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
    .arguments = {{"FILE or |COMMAND", COMMAND_TYPE_PIPE, COMMAND_COUNT_OPTIONAL, NULL,
                   "without it: the terminal"}},
    .examples = {{"\\o |grep failed", "until the next \\o"}},
    .run = cmd_meta_output_run,
};

/* ---- files ----------------------------------------------------------------------------------- */

static int include(struct shell *shell, const char *path)
{
    if (shell->depth == SHELL_INCLUDE_DEPTH_MAX) {
        shell_error(shell, "%s: files include each other more than %d deep", path,
                    SHELL_INCLUDE_DEPTH_MAX);
        return SHELL_STATUS_USAGE;
    }
    shell->depth++;
    int status = script_run_file(shell, path);
    shell->depth--;
    return status;
}

static int cmd_meta_include_run(struct shell *shell, const struct command_call *call)
{
    return include(shell, command_argument_text(call, 0));
}

const struct command cmd_meta_include = {
    .name = "\\i",
    .summary = "Run the statements of a file",
    .arguments = {{"FILE", COMMAND_TYPE_FILE, COMMAND_COUNT_ONE, NULL, "of this machine"}},
    .run = cmd_meta_include_run,
};

static int cmd_meta_include_relative_run(struct shell *shell, const struct command_call *call)
{
    const char *path = command_argument_text(call, 0);
    const struct script *script = shell->script;
    while (script != NULL && script->name == NULL)
        script = script->outer;
    const char *slash = script != NULL ? strrchr(script->name, '/') : NULL;
    if (path[0] == '/' || slash == NULL)
        return include(shell, path);
    char *whole = mem_printf("%.*s/%s", (int)(slash - script->name), script->name, path);
    int status = include(shell, whole);
    free(whole);
    return status;
}

const struct command cmd_meta_include_relative = {
    .name = "\\ir",
    .summary = "Run the statements of a file that lies beside the one that runs",
    .arguments = {{"FILE", COMMAND_TYPE_FILE, COMMAND_COUNT_ONE, NULL, "of this machine"}},
    .run = cmd_meta_include_relative_run,
};

static int cmd_meta_cd_run(struct shell *shell, const struct command_call *call)
{
    const char *path = command_argument_text(call, 0);
    if (path == NULL)
        path = getenv("HOME");
    if (path != NULL && chdir(path) == 0)
        return SHELL_STATUS_OK;
    shell_error(shell, "%s: %s", path != NULL ? path : "HOME",
                path != NULL ? strerror(errno) : "it is not set");
    return SHELL_STATUS_USAGE;
}

const struct command cmd_meta_cd = {
    .name = "\\cd",
    .summary = "Go to another folder of this machine",
    .arguments = {{"FOLDER", COMMAND_TYPE_FILE, COMMAND_COUNT_OPTIONAL, NULL, "without it: HOME"}},
    .run = cmd_meta_cd_run,
};

static int cmd_meta_history_run(struct shell *shell, const struct command_call *call)
{
    struct error e = {0};
    const char *path = command_argument_text(call, 0);
    char *text = hist_text();
    int status = SHELL_STATUS_OK;
    if (path == NULL) {
        output_page(&shell->output, text, strlen(text), shell->settings.pager_lines);
    } else {
        FILE *file = fopen(path, "we");
        bool is_good = file != NULL && fputs(text, file) >= 0;
        if (file != NULL)
            is_good = fclose(file) == 0 && is_good;
        if (!is_good) {
            (void)error_set(&e, -errno, "%s: %s", path, strerror(errno));
            shell_error(shell, "%s", e.text);
            status = SHELL_STATUS_USAGE;
        }
    }
    free(text);
    return status;
}

const struct command cmd_meta_history = {
    .name = "\\s",
    .summary = "Show the history, or write it to a file",
    .arguments = {{"FILE", COMMAND_TYPE_FILE, COMMAND_COUNT_OPTIONAL, NULL, "of this machine"}},
    .run = cmd_meta_history_run,
};

/* ---- other programs -------------------------------------------------------------------------- */

static int cmd_meta_shell_run(struct shell *shell, const struct command_call *call)
{
    const char *line = command_argument_text(call, 0);
    const char *user_shell = getenv("SHELL");
    output_flush(&shell->output);
    if (line == NULL || line[0] == '\0')
        line = user_shell != NULL && user_shell[0] != '\0' ? user_shell : "/bin/sh";
    const char *const argv[] = {"/bin/sh", "-c", line, NULL};
    int code = editor_run_program(argv);
    shell_set_exit_code(shell, code < 0 ? 127 : code);
    if (code < 0)
        shell_error(shell, "\\!: %s", strerror(-code));
    return code == 0 ? SHELL_STATUS_OK : SHELL_STATUS_FAILED;
}

const struct command cmd_meta_shell = {
    .name = "\\!",
    .summary = "Run a command of this machine, or its shell",
    .text = "How it ended is in SHELL_EXIT_CODE, whether it failed in SHELL_ERROR.",
    .arguments = {{"COMMAND", COMMAND_TYPE_TEXT, COMMAND_COUNT_LINE, NULL,
                   "the rest of the line, by sh -c"}},
    .run = cmd_meta_shell_run,
};

/* $CLUSTERTOP, else clustertop beside this program, else one in PATH. Malloc'ed. */
static char *top_program(void)
{
    char self[PATH_MAX];
    const char *given = getenv("CLUSTERTOP");
    if (given != NULL && given[0] != '\0')
        return mem_strdup(given);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        char *beside = mem_printf("%s/clustertop", dirname(self));
        if (access(beside, X_OK) == 0)
            return beside;
        free(beside);
    }
    return mem_strdup("clustertop");
}

/* The endpoint that answers first; behind it those that were given, or the one that was found, for
 * the token is beside its socket. Malloc'ed. */
static char *top_endpoints(const struct shell *shell)
{
    const char *given = shell->connection.endpoints;
    const char *current = client_endpoint(shell->client);
    if (given == NULL)
        given = client_endpoint_first(shell->client);
    if (strcmp(given, current) == 0)
        return mem_strdup(current);
    return mem_printf("%s,%s", current, given);
}

static int cmd_meta_top_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    int status = shell_connect(shell);
    if (status != SHELL_STATUS_OK)
        return status;
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        shell_error(shell, "\\top needs a terminal");
        return SHELL_STATUS_USAGE;
    }
    const struct client_options *c = &shell->connection;
    char *program = top_program();
    char *endpoints = top_endpoints(shell);
    const char *argv[12] = {program, "-s", endpoints};
    if (shell->replay != NULL) {
        argv[1] = "--replay";
        argv[2] = client_replay_path(shell->replay);
    }
    const char *const names[] = {"--token-file", "--ca", "--cert", "--key"};
    const char *const values[] = {c->token_file, c->ca_file, c->cert_file, c->key_file};
    size_t n = 3;
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        if (values[i] == NULL)
            continue;
        argv[n++] = names[i];
        argv[n++] = values[i];
    }
    /* One that was found beside a socket is found no more behind \c to another node. */
    const char *token = c->token_file == NULL && getenv("CLUSTERSH_TOKEN") == NULL
                            ? client_token(shell->client)
                            : NULL;
    if (token != NULL)
        (void)setenv("CLUSTERSH_TOKEN", token, 1);
    output_flush(&shell->output);
    int code = editor_run_program(argv);
    if (token != NULL)
        (void)unsetenv("CLUSTERSH_TOKEN");
    if (code == 127 || code < 0) {
        shell_error(shell, "%s: %s", program,
                    code < 0 ? strerror(-code) : "there is no such program");
        shell_hint(shell, "install clustertop beside clustersh, or set CLUSTERTOP to its path");
        status = SHELL_STATUS_USAGE;
    } else if (code != 0) {
        shell_error(shell, "%s ended with status %d", program, code);
        status = SHELL_STATUS_FAILED;
    }
    free(endpoints);
    free(program);
    return status;
}

const struct command cmd_meta_top = {
    .name = "\\top",
    .summary = "Open the dashboard, clustertop, and come back",
    .text = "It is $CLUSTERTOP, else clustertop beside clustersh, else the one in PATH.",
    .run = cmd_meta_top_run,
};

/* ---- help, leaving --------------------------------------------------------------------------- */

static int cmd_meta_help_run(struct shell *shell, const struct command_call *call)
{
    const char *name = command_argument_text(call, 0);
    if (name == NULL)
        return command_help_meta(shell);
    return command_help_group(shell, &name, 1);
}

const struct command cmd_meta_help = {
    .name = "\\?",
    .summary = "List the backslash commands, or explain a command",
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
