/* clustersh: options, then one command, statements, or the prompt. */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mdoc.h"
#include "base/mem.h"
#include "shell/command_help.h"
#include "shell/command_man.h"
#include "shell/complete_program.h"
#include "shell/interrupt.h"
#include "shell/program.h"
#include "shell/repl.h"
#include "shell/shell.h"
#include "shell/text.h"

static void clustersh_apply(struct shell *shell, const struct command_call *call)
{
    static const char *const colors[] = {"auto", "always", "never"};
    struct shell_settings *settings = &shell->settings;
    const char *format = command_option_text(call, "output");
    const char *color = command_option_text(call, "color");
    const char *consistency = command_option_text(call, "consistency");
    if (format != NULL)
        (void)format_parse(format, &settings->format);
    for (size_t i = 0; color != NULL && i < MEM_COUNT(colors); i++) {
        if (strcmp(color, colors[i]) == 0)
            shell->output.color = (enum output_color)i;
    }
    if (consistency != NULL)
        settings->consistency = consistency;
    settings->tuples_only = command_option_given(call, "tuples-only");
    if (command_option_given(call, "keep-going"))
        (void)vars_set(&shell->vars, "ON_ERROR_STOP", "off", NULL);
    if (command_option_given(call, "quiet"))
        (void)vars_set(&shell->vars, "QUIET", "on", NULL);
    settings->has_timing = command_option_given(call, "timing");
    if (command_option_given(call, "expanded"))
        settings->expanded = SHELL_EXPANDED_ON;
}

/* -v NAME=VALUE, or NAME alone, which is then set and empty. */
static int clustersh_set_variables(struct shell *shell, const struct command_call *call)
{
    size_t n;
    const struct command_value *values = command_option_all(call, "variable", &n);
    for (size_t i = 0; i < n; i++) {
        struct error e = {0};
        char *name = mem_strdup(values[i].text);
        char *equals = strchr(name, '=');
        if (equals != NULL)
            *equals = '\0';
        int rc = vars_set(&shell->vars, name, equals != NULL ? equals + 1 : "", &e);
        free(name);
        if (rc != 0) {
            shell_error(shell, "-v: %s", e.text);
            return SHELL_STATUS_USAGE;
        }
    }
    return SHELL_STATUS_OK;
}

/* -c and -f, in the order in which they stand. */
static int clustersh_run_statements(struct shell *shell, const struct command_call *call)
{
    size_t n_texts;
    size_t n_files;
    const struct command_value *texts = command_option_all(call, "command", &n_texts);
    const struct command_value *files = command_option_all(call, "file", &n_files);
    int first = SHELL_STATUS_OK;
    size_t t = 0;
    size_t f = 0;
    while ((t < n_texts || f < n_files) && !shell->wants_quit) {
        bool is_text = f == n_files || (t < n_texts && texts[t].at < files[f].at);
        int status = is_text ? script_run_text(shell, texts[t++].text)
                             : script_run_file(shell, files[f++].text);
        if (first == SHELL_STATUS_OK)
            first = status;
        if (status == SHELL_STATUS_INTERRUPTED ||
            (status != SHELL_STATUS_OK && !script_goes_on(shell)))
            break;
    }
    return first;
}

static int clustersh_run_arguments(struct shell *shell, const struct command_value *values,
                                   size_t n)
{
    const char **words = mem_calloc(n, sizeof *words);
    for (size_t i = 0; i < n; i++)
        words[i] = values[i].text;
    int status = shell_run_words(shell, words, n);
    free(words);
    return status;
}

/* $CLUSTERSHRC, else ~/.clustershrc, else clustersh/rc of the configuration. Malloc'ed or NULL. */
static char *clustersh_rc_file(const struct command_call *call)
{
    const char *given = getenv("CLUSTERSHRC");
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    if (command_option_given(call, "no-rc"))
        return NULL;
    if (given != NULL && given[0] != '\0')
        return mem_strdup(given);
    char *own = home != NULL ? mem_printf("%s/.clustershrc", home) : NULL;
    if (own != NULL && access(own, R_OK) == 0)
        return own;
    free(own);
    if (config != NULL && config[0] == '/')
        return mem_printf("%s/clustersh/rc", config);
    return home != NULL ? mem_printf("%s/.config/clustersh/rc", home) : NULL;
}

static int clustersh_open_replay(struct shell *shell, const struct command_call *call)
{
    const char *path = command_option_text(call, "replay");
    const char *at = command_option_text(call, "at");
    if (path == NULL && at == NULL)
        return SHELL_STATUS_OK;
    if (path != NULL && !command_option_given(call, "server"))
        return shell_open_replay(shell, path, at);
    shell_error(shell, "%s",
                path != NULL ? "give either --server or --replay" : "--at needs --replay FILE");
    return SHELL_STATUS_USAGE;
}

static int clustersh_run(struct shell *shell, const struct command_call *call)
{
    size_t n;
    const struct command_value *words = command_argument_all(call, 0, &n);
    bool has_statements =
        command_option_given(call, "command") || command_option_given(call, "file");
    if (n > 0 && has_statements) {
        shell_error(shell, "give either a command or -c and -f, not both");
        return SHELL_STATUS_USAGE;
    }
    if (n > 0)
        return clustersh_run_arguments(shell, words, n);
    if (has_statements)
        return clustersh_run_statements(shell, call);
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return script_run_stream(shell, stdin, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    char *rc_file = clustersh_rc_file(call);
    int status = repl_run(shell, rc_file);
    free(rc_file);
    return status;
}

static int clustersh_help(struct shell *shell)
{
    (void)command_help_one(shell, &program_row);
    (void)fputs("\ncommands:\n", stdout);
    return command_help_all(shell);
}

static int clustersh_dump(void (*print)(const struct command *, struct buf *))
{
    struct buf b;
    buf_init(&b, COMMAND_HELP_BYTES_MAX);
    print(&program_row, &b);
    (void)fwrite(b.data, 1, b.len, stdout);
    buf_done(&b);
    return fflush(stdout) == 0 ? SHELL_STATUS_OK : SHELL_STATUS_USAGE;
}

static int clustersh_dump_man(struct shell *shell, const char *page)
{
    struct buf b;
    int rc = 0;
    buf_init(&b, MDOC_BYTES_MAX);
    if (strcmp(page, "list") == 0)
        command_man_list(&b);
    else
        rc = command_man_page(&program_row, page, &b);
    (void)fwrite(b.data, 1, b.len, stdout);
    buf_done(&b);
    if (rc != 0) {
        shell_error(shell, "there is no page %s", page);
        shell_hint(shell, "clustersh --dump-man list names them");
        return SHELL_STATUS_USAGE;
    }
    return fflush(stdout) == 0 ? SHELL_STATUS_OK : SHELL_STATUS_USAGE;
}

int main(int argc, char **argv)
{
    struct command_call call;
    struct client_options connection = {0};
    struct shell shell;
    struct error e = {0};
    int status;
    (void)setlocale(LC_ALL, "");
    text_set_locale();
    if (argc > 1 && strcmp(argv[1], "--complete") == 0) {
        complete_program((const char *const *)argv + 2, (size_t)argc - 2, stdout);
        return SHELL_STATUS_OK;
    }
    interrupt_init();
    int rc = command_parse(&program_row, (const char *const *)argv + 1,
                           argc > 0 ? (size_t)argc - 1 : 0, NULL, &call, &e);
    if (rc == 0)
        program_connection(&call, &connection);
    shell_init(&shell, &connection);
    if (rc != 0) {
        shell_error(&shell, "%s", e.text);
        shell_hint(&shell, "clustersh --help");
        status = SHELL_STATUS_USAGE;
    } else if (call.help) {
        status = clustersh_help(&shell);
    } else if (command_option_given(&call, "version")) {
        status =
            printf("clustersh %s\n", PACKAGE_VERSION) > 0 ? SHELL_STATUS_OK : SHELL_STATUS_USAGE;
    } else if (command_option_given(&call, "dump-commands")) {
        status = clustersh_dump(command_docs_json);
    } else if (command_option_given(&call, "dump-man")) {
        status = clustersh_dump_man(&shell, command_option_text(&call, "dump-man"));
    } else if (command_option_given(&call, "dump-markdown")) {
        status = clustersh_dump(command_docs_markdown);
    } else {
        clustersh_apply(&shell, &call);
        status = clustersh_set_variables(&shell, &call);
        if (status == SHELL_STATUS_OK)
            status = clustersh_open_replay(&shell, &call);
        if (status == SHELL_STATUS_OK)
            status = clustersh_run(&shell, &call);
    }
    output_flush(&shell.output);
    if (shell.output.broken == EPIPE) {
        status = status != SHELL_STATUS_OK ? status : SHELL_STATUS_USAGE;
    } else if (shell.output.broken != 0) {
        shell_error(&shell, "writing the results: %s", strerror(shell.output.broken));
        status = status != SHELL_STATUS_OK ? status : SHELL_STATUS_USAGE;
    }
    shell_done(&shell);
    command_call_done(&call);
    return status;
}
