/* help, quit, exit */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mdoc.h"
#include "base/mem.h"
#include "shell/command_help.h"
#include "shell/command_man.h"
#include "shell/commands.h"
#include "shell/program.h"
#include "shell/shell.h"

enum { CMD_HELP_NOT_FOUND = 127 }; /* of sh, for a program that there isn't */

/* Writes the page to a file of its own, since man(1) of this version may not be installed. */
static int cmd_help_write(const char *page, char *path)
{
    struct buf b;
    buf_init(&b, MDOC_BYTES_MAX);
    int rc = command_man_page(&program_row, page, &b);
    int fd = rc == 0 ? mkstemp(path) : -1;
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file != NULL && fwrite(b.data, 1, b.len, file) != b.len)
        rc = -EIO;
    if (file == NULL || fclose(file) != 0)
        rc = rc == 0 ? -errno : rc;
    buf_done(&b);
    return rc;
}

static int cmd_help_man(struct shell *shell, const char *const *words, size_t n)
{
    const char *tmp = getenv("TMPDIR");
    char *page = command_man_of(words, n);
    if (page == NULL) {
        shell_error(shell, "there is no manual page about that");
        shell_hint(shell, "help -m opens clustersh(1), which names the others");
        return SHELL_STATUS_USAGE;
    }
    char *path = mem_printf("%s/clustersh-man-XXXXXX", tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
    int status = SHELL_STATUS_OK;
    int rc = cmd_help_write(page, path);
    output_flush(&shell->output);
    if (rc == 0) {
        char *line = mem_printf("man -l '%s'", path);
        bool is_plain = strchr(path, '\'') == NULL;
        int ended = is_plain ? system(line) : -1;
        free(line);
        if (ended == -1 || (WIFEXITED(ended) && WEXITSTATUS(ended) == CMD_HELP_NOT_FOUND)) {
            shell_error(shell, "man cannot be run");
            shell_hint(shell, "install man-db, or use help without -m");
            status = SHELL_STATUS_FAILED;
        }
    } else {
        shell_error(shell, "%s: %s", path, strerror(-rc));
        status = SHELL_STATUS_FAILED;
    }
    (void)unlink(path);
    free(path);
    free(page);
    return status;
}

static int cmd_help_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    const struct command_value *values = command_argument_all(call, 0, &n);
    bool wants_man = command_option_given(call, "man");
    if (n == 0 && !wants_man)
        return command_help_all(shell);
    const char **words = mem_calloc(n + 1, sizeof *words);
    for (size_t i = 0; i < n; i++)
        words[i] = values[i].text;
    int status = wants_man ? cmd_help_man(shell, words, n) : command_help_group(shell, words, n);
    free(words);
    return status;
}

const struct command cmd_help = {
    .name = "help",
    .summary = "List the commands, or explain one",
    .text =
        "Besides commands and their groups it knows topics, such as nodes, and the statements of "
        "SQL: help topics lists them.",
    .options = {{"man", 'm', COMMAND_TYPE_FLAG, NULL, NULL, false,
                 "open the manual page about it instead"}},
    .arguments = {{"COMMAND", COMMAND_TYPE_COMMAND, COMMAND_COUNT_ARGV_OPTIONAL, NULL,
                   "a command, a group such as job, or a topic"}},
    .examples = {{"help job submit", "its options and examples"},
                 {"help create table", "the syntax of a statement of SQL"},
                 {"help -m job", "the manual page of the commands about jobs"}},
    .run = cmd_help_run,
};

static int cmd_quit_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    shell->wants_quit = true;
    return SHELL_STATUS_OK;
}

const struct command cmd_quit = {
    .name = "quit",
    .also = "q",
    .summary = "Leave the shell",
    .run = cmd_quit_run,
};

const struct command cmd_exit = {
    .name = "exit",
    .summary = "Leave the shell",
    .run = cmd_quit_run,
};
