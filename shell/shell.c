/* From a statement to a command: split, find the row, parse by it, run it, time it. */
#include "shell/shell.h"

#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "shell/command_help.h"
#include "shell/interrupt.h"
#include "shell/render.h"
#include "shell/sql.h"
#include "shell/statement.h"
#include "shell/text.h"

enum { SHELL_RENDER_BYTES_MAX = 1 << 30 };

/* Life */

static void shell_copy_connection(struct client_options *to, const struct client_options *from)
{
    *to = *from;
    to->endpoints = mem_strdup(from->endpoints);
    to->token = mem_strdup(from->token);
    to->token_file = mem_strdup(from->token_file);
    to->ca_file = mem_strdup(from->ca_file);
    to->cert_file = mem_strdup(from->cert_file);
    to->key_file = mem_strdup(from->key_file);
}

void shell_init(struct shell *shell, const struct client_options *connection)
{
    *shell = (struct shell){0};
    shell_copy_connection(&shell->connection, connection);
    output_init(&shell->output);
    live_init(&shell->live, shell);
}

void shell_done(struct shell *shell)
{
    live_done(&shell->live);
    client_close(shell->client);
    output_done(&shell->output);
    free((char *)shell->connection.endpoints);
    free((char *)shell->connection.token);
    free((char *)shell->connection.token_file);
    free((char *)shell->connection.ca_file);
    free((char *)shell->connection.cert_file);
    free((char *)shell->connection.key_file);
    free(shell->last);
}

int shell_connect(struct shell *shell)
{
    struct error e = {0};
    if (shell->client != NULL)
        return SHELL_STATUS_OK;
    int rc = client_open(&shell->connection, &shell->client, &e);
    if (rc == 0)
        return SHELL_STATUS_OK;
    shell_error(shell, "%s", e.text);
    if (rc == ERR_NOT_FOUND)
        shell_hint(shell, "start one with clusterd dev, or name it: -s ENDPOINT or "
                          "CLUSTERSH_ENDPOINT, such as unix:PATH or https://HOST:7401");
    return rc == ERR_INVALID ? SHELL_STATUS_USAGE : SHELL_STATUS_NO_CONNECTION;
}

int shell_reconnect(struct shell *shell, const char *endpoints, struct error *e)
{
    struct client *client;
    struct client_options options = shell->connection;
    options.endpoints = endpoints;
    int rc = client_open(&options, &client, e);
    if (rc != 0)
        return rc;
    live_done(&shell->live);
    client_close(shell->client);
    shell->client = client;
    char *copy = mem_strdup(endpoints);
    free((char *)shell->connection.endpoints);
    shell->connection.endpoints = copy;
    return 0;
}

/* Saying */

static void shell_say_on_stderr(struct shell *shell, const char *color, const char *label,
                                const char *fmt, va_list args)
{
    char *text;
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    char *clean = text_clean(text, strlen(text), true);
    bool has_color = output_error_has_color(&shell->output);
    char *source = NULL, *where = NULL;
    if (shell->source != NULL && strcmp(label, "error") == 0) {
        source = text_clean(shell->source, strlen(shell->source), false);
        where = mem_printf("%s:%u: ", source, shell->source_line);
    }
    output_note(&shell->output, "%s%s%s%s:%s %s", where != NULL ? where : "",
                has_color ? "\033[" : "", has_color ? color : "", label, has_color ? "\033[0m" : "",
                clean);
    free(where);
    free(source);
    free(clean);
    free(text);
}

void shell_error(struct shell *shell, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    shell_say_on_stderr(shell, "31m", "error", fmt, args);
    va_end(args);
}

void shell_hint(struct shell *shell, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    shell_say_on_stderr(shell, "36m", "hint", fmt, args);
    va_end(args);
}

void shell_say(struct shell *shell, const char *fmt, ...)
{
    if (shell->format != FORMAT_TABLE && shell->format != FORMAT_VERTICAL)
        return;
    char *text;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    va_end(args);
    char *clean = text_clean(text, strlen(text), true);
    output_write(&shell->output, clean, strlen(clean));
    output_write(&shell->output, "\n", 1);
    free(clean);
    free(text);
}

static void shell_print(struct shell *shell, const struct column *columns, const json_t *json,
                        bool is_object)
{
    output_measure(&shell->output);
    struct render r = {
        .format = shell->format,
        .tuples_only = shell->settings.tuples_only,
        .has_color = output_has_color(&shell->output),
        .on_terminal = output_is_terminal(&shell->output),
        .width = shell->output.width,
        .now_ms = clock_wall_ms(),
    };
    if (r.format == FORMAT_TABLE && shell->settings.expanded == SHELL_EXPANDED_ON)
        r.format = FORMAT_VERTICAL;
    if (shell->settings.expanded == SHELL_EXPANDED_OFF)
        r.width = 0;
    struct buf b;
    buf_init(&b, SHELL_RENDER_BYTES_MAX);
    int rc = is_object ? render_object(&r, columns, json, &b) : render_rows(&r, columns, json, &b);
    if (rc != 0)
        shell_error(shell, "the result is larger than %d MiB: it is cut",
                    SHELL_RENDER_BYTES_MAX >> 20);
    if (shell->is_interactive)
        output_page(&shell->output, buf_cstr(&b), b.len);
    else
        output_write(&shell->output, b.data, b.len);
    buf_done(&b);
}

void shell_print_rows(struct shell *shell, const struct column *columns, const json_t *rows)
{
    shell_print(shell, columns, rows, false);
}

void shell_print_object(struct shell *shell, const struct column *columns, const json_t *object)
{
    shell_print(shell, columns, object, true);
}

/* Waiting */

void shell_wait(struct shell *shell, int64_t deadline_ms)
{
    struct pollfd p[2] = {
        {.fd = interrupt_fd(), .events = POLLIN},
        {.fd = shell->client != NULL ? client_fd(shell->client) : -1, .events = POLLIN}};
    int timeout_ms = -1;
    if (deadline_ms != INT64_MAX) {
        int64_t left_ms = deadline_ms - clock_mono_ms();
        timeout_ms = left_ms <= 0 ? 0 : left_ms > 60000 ? 60000 : (int)left_ms;
    }
    output_flush(&shell->output);
    if (poll(p, 2, timeout_ms) > 0 && p[1].revents != 0)
        client_dispatch(shell->client);
    interrupt_quiet();
}

bool shell_take_interrupt(struct shell *shell)
{
    if (!interrupt_take())
        return false;
    output_status_clear(&shell->output);
    output_flush(&shell->output);
    if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
        (void)fputc('\n', stderr);
    return true;
}

/* Running */

static void shell_time(struct shell *shell, int64_t started_us)
{
    int64_t us = clock_mono_us() - started_us;
    output_note(&shell->output, "Time: %lld.%03lld ms", (long long)(us / 1000),
                (long long)(us % 1000));
}

static int shell_run_call(struct shell *shell, const struct command_call *call)
{
    shell->format = shell->settings.format;
    if (!command_is_meta(call->command) && command_option_given(call, "output"))
        (void)format_parse(command_option_text(call, "output"), &shell->format);
    int64_t started_us = clock_mono_us();
    int status = call->command->run(shell, call);
    output_status_clear(&shell->output);
    output_flush(&shell->output);
    if (shell->settings.has_timing && !command_is_meta(call->command))
        shell_time(shell, started_us);
    return status;
}

int shell_run_words(struct shell *shell, const char *const *words, size_t n, const char *line)
{
    const struct command *command;
    size_t n_words;
    struct error e = {0};
    char hint[COMMAND_HINT_MAX];
    if (command_find(words, n, &command, &n_words, &e, hint) != 0) {
        bool asks_help = n > 1 && strcmp(words[n - 1], "--help") == 0;
        if (asks_help)
            return command_help_group(shell, words, n - 1);
        shell_error(shell, "%s", e.text);
        if (hint[0] != '\0')
            shell_hint(shell, "%s", hint);
        return SHELL_STATUS_USAGE;
    }
    struct command_call call;
    int status = SHELL_STATUS_USAGE;
    if (command_parse(command, words + n_words, n - n_words, line, &call, &e) != 0) {
        shell_error(shell, "%s", e.text);
        shell_hint(shell, "help %s", command->name);
    } else if (call.help) {
        status = command_help_one(shell, command);
    } else {
        status = shell_run_call(shell, &call);
    }
    command_call_done(&call);
    return status;
}

static int shell_run_sql(struct shell *shell, const char *text, size_t len)
{
    int64_t started_us = clock_mono_us();
    shell->format = shell->settings.format;
    int status = sql_run(shell, text, len);
    output_flush(&shell->output);
    if (shell->settings.has_timing)
        shell_time(shell, started_us);
    return status;
}

static unsigned shell_count_lines(const char *text, size_t len)
{
    unsigned n = 0;
    for (size_t i = 0; i < len; i++)
        n += text[i] == '\n';
    return n;
}

static int shell_run_statement(struct shell *shell, const char *text, size_t len)
{
    size_t from, sql_len;
    if (statement_is_sql(text, len, &from, &sql_len)) {
        free(shell->last);
        shell->last = mem_strndup(text, len);
        unsigned line = shell->source_line;
        shell->source_line += shell_count_lines(text, from);
        int status = shell_run_sql(shell, text + from, sql_len);
        shell->source_line = line;
        return status;
    }
    struct statement statement;
    struct error e = {0};
    int status = SHELL_STATUS_OK;
    if (statement_split(&statement, text, len, false, &e) != 0) {
        shell_error(shell, "%s", e.text);
        status = SHELL_STATUS_USAGE;
    } else if (statement.n > 0) {
        bool is_meta = statement.texts[0][0] == '\\' && !statement.words[0].quoted;
        char *line = is_meta ? statement_rest(text, len) : NULL;
        if (!is_meta) {
            free(shell->last);
            shell->last = mem_strndup(text, len);
        }
        status = shell_run_words(shell, statement.texts, statement.n, line);
        free(line);
    }
    statement_done(&statement);
    return status;
}

int shell_run_text(struct shell *shell, const char *text)
{
    int first = SHELL_STATUS_OK;
    while (*text != '\0' && !shell->wants_quit) {
        size_t len;
        (void)statement_next(text, &len);
        int status = shell_run_statement(shell, text, len);
        shell->source_line += shell_count_lines(text, len);
        text += len;
        if (first == SHELL_STATUS_OK)
            first = status;
        bool goes_on = shell->settings.keep_going || shell->is_interactive;
        if (status == SHELL_STATUS_INTERRUPTED || (status != SHELL_STATUS_OK && !goes_on))
            break;
    }
    return first;
}

/* Reads lines until they make whole statements, runs those, goes on. */
int shell_run_stream(struct shell *shell, FILE *stream, const char *name)
{
    const char *outer = shell->source;
    unsigned outer_line = shell->source_line;
    struct buf text;
    char *line = NULL;
    size_t cap = 0;
    int first = SHELL_STATUS_OK;
    unsigned next_line = 1;
    buf_init(&text, STATEMENT_BYTES_MAX);
    shell->source = name;
    for (bool is_over = false; !is_over && !shell->wants_quit;) {
        ssize_t n = getline(&line, &cap, stream);
        is_over = n < 0;
        shell->source_line = next_line;
        if (n > 0 && memchr(line, '\0', (size_t)n) != NULL) {
            shell_error(shell, "a line holds a NUL character: that is no text");
            first = first != SHELL_STATUS_OK ? first : SHELL_STATUS_USAGE;
            break;
        }
        if (n > 0 && buf_append(&text, line, (size_t)n) != 0) {
            shell_error(shell, "a statement is longer than %d bytes", STATEMENT_BYTES_MAX);
            first = first != SHELL_STATUS_OK ? first : SHELL_STATUS_USAGE;
            break;
        }
        size_t len;
        const char *all = buf_cstr(&text);
        enum statement_end end = STATEMENT_END_COMPLETE;
        for (size_t at = 0; at < text.len && end == STATEMENT_END_COMPLETE; at += len)
            end = statement_next(all + at, &len);
        if (end != STATEMENT_END_COMPLETE && !is_over)
            continue;
        int status = shell_run_text(shell, all);
        next_line += shell_count_lines(all, text.len);
        buf_clear(&text);
        if (first == SHELL_STATUS_OK)
            first = status;
        if (status == SHELL_STATUS_INTERRUPTED ||
            (status != SHELL_STATUS_OK && !shell->settings.keep_going && !shell->is_interactive))
            break;
    }
    shell->source = outer;
    shell->source_line = outer_line;
    free(line);
    buf_done(&text);
    return first;
}
