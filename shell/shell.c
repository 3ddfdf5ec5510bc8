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
#include "client/client_replay.h"
#include "shell/command_help.h"
#include "shell/interrupt.h"
#include "shell/render.h"
#include "shell/sql.h"
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
    vars_init(&shell->vars);
}

static void shell_failure_done(struct shell_failure *failure)
{
    free(failure->text);
    free(failure->hint);
    free(failure->statement);
    free(failure->endpoint);
    *failure = (struct shell_failure){0};
}

void shell_done(struct shell *shell)
{
    live_done(&shell->live);
    client_close(shell->client);
    client_replay_free(shell->replay);
    output_done(&shell->output);
    free((char *)shell->connection.endpoints);
    free((char *)shell->connection.token);
    free((char *)shell->connection.token_file);
    free((char *)shell->connection.ca_file);
    free((char *)shell->connection.cert_file);
    free((char *)shell->connection.key_file);
    free((char *)shell->settings.null);
    free(shell->last);
    free(shell->typed);
    vars_done(&shell->vars);
    shell_failure_done(&shell->failure);
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

int shell_try(struct shell *shell, const char *endpoints, bool is_ours, struct client **previous,
              struct error *e)
{
    struct client *client;
    struct client_options options = shell->connection;
    options.endpoints = endpoints;
    options.replay = NULL;
    if (is_ours && options.token == NULL && options.token_file == NULL)
        options.token = client_token(shell->client);
    int rc = client_open(&options, &client, e);
    if (rc != 0)
        return rc;
    live_done(&shell->live);
    *previous = shell->client;
    shell->client = client;
    return 0;
}

void shell_keep(struct shell *shell, const char *endpoints, struct client *previous)
{
    client_close(previous);
    client_replay_free(shell->replay);
    shell->replay = shell->connection.replay = NULL;
    char *copy = mem_strdup(endpoints);
    free((char *)shell->connection.endpoints);
    shell->connection.endpoints = copy;
}

void shell_go_back(struct shell *shell, struct client *previous)
{
    live_done(&shell->live);
    client_close(shell->client);
    shell->client = previous;
}

int shell_reconnect(struct shell *shell, const char *endpoints, struct error *e)
{
    struct client *previous;
    int rc = shell_try(shell, endpoints, false, &previous, e);
    if (rc == 0)
        shell_keep(shell, endpoints, previous);
    return rc;
}

/* Saying */

/* "file:line: " of the innermost file that runs; NULL for none. */
static char *shell_where(const struct shell *shell)
{
    const struct script *script = shell->script;
    while (script != NULL && script->name == NULL)
        script = script->outer;
    if (script == NULL)
        return NULL;
    char *name = text_clean(script->name, strlen(script->name), false);
    char *where = mem_printf("%s:%u: ", name, script->line);
    free(name);
    return where;
}

/* Takes `text`. */
static void shell_say_on_stderr(struct shell *shell, const char *color, const char *label,
                                char *text)
{
    char *clean = text_clean(text, strlen(text), true);
    bool has_color = output_error_has_color(&shell->output);
    char *where = strcmp(label, "error") == 0 ? shell_where(shell) : NULL;
    output_note(&shell->output, "%s%s%s%s:%s %s", where != NULL ? where : "",
                has_color ? "\033[" : "", has_color ? color : "", label, has_color ? "\033[0m" : "",
                clean);
    free(where);
    free(clean);
    free(text);
}

static char *shell_vprintf(const char *fmt, va_list args)
{
    char *text;
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    return text;
}

void shell_error(struct shell *shell, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = shell_vprintf(fmt, args);
    va_end(args);
    shell_failure_done(&shell->failure);
    shell->failure.text = mem_strdup(text);
    shell_say_on_stderr(shell, "31m", "error", text);
}

void shell_hint(struct shell *shell, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = shell_vprintf(fmt, args);
    va_end(args);
    free(shell->failure.hint);
    shell->failure.hint = mem_strdup(text);
    shell_say_on_stderr(shell, "36m", "hint", text);
}

void shell_note_failure(struct shell *shell, int code, unsigned status)
{
    free(shell->failure.endpoint);
    shell->failure.endpoint =
        shell->client != NULL ? mem_strdup(client_endpoint(shell->client)) : NULL;
    shell->failure.code = code;
    shell->failure.status = status;
}

void shell_say(struct shell *shell, const char *fmt, ...)
{
    if ((shell->format != FORMAT_TABLE && shell->format != FORMAT_VERTICAL) ||
        shell->capture != NULL)
        return;
    va_list args;
    va_start(args, fmt);
    char *text = shell_vprintf(fmt, args);
    va_end(args);
    char *clean = text_clean(text, strlen(text), true);
    output_write(&shell->output, clean, strlen(clean));
    output_write(&shell->output, "\n", 1);
    free(clean);
    free(text);
}

static void shell_capture_names(struct shell_capture *capture, const struct column *columns,
                                const json_t *row)
{
    const char *key;
    json_t *value;
    if (capture->names != NULL)
        return;
    for (const struct column *c = columns; c != NULL && c->key != NULL; c++) {
        MEM_GROW(capture->names, capture->cap, capture->n_names + 1);
        capture->names[capture->n_names++] = mem_strdup(c->key);
    }
    if (columns != NULL)
        return;
    json_object_foreach((json_t *)(uintptr_t)row, key, value)
    {
        MEM_GROW(capture->names, capture->cap, capture->n_names + 1);
        capture->names[capture->n_names++] = mem_strdup(key);
    }
}

static void shell_capture_row(struct shell_capture *capture, const struct column *columns,
                              const json_t *row)
{
    json_t *values = json_array();
    shell_capture_names(capture, columns, row);
    for (size_t i = 0; i < capture->n_names; i++) {
        json_t *value = json_object_get(row, capture->names[i]);
        (void)json_array_append_new(values, value != NULL ? json_incref(value) : json_null());
    }
    (void)json_array_append_new(capture->rows, values);
}

static void shell_capture_take(struct shell_capture *capture, const struct column *columns,
                               const json_t *json, bool is_object)
{
    size_t i;
    json_t *row;
    if (is_object) {
        shell_capture_row(capture, columns, json);
        return;
    }
    if (columns != NULL)
        shell_capture_names(capture, columns, NULL);
    json_array_foreach(json, i, row)
    {
        shell_capture_row(capture, columns, row);
    }
}

void shell_capture_begin(struct shell *shell, struct shell_capture *capture)
{
    *capture = (struct shell_capture){.rows = json_array()};
    shell->capture = capture;
}

void shell_capture_end(struct shell *shell)
{
    shell->capture = NULL;
}

void shell_capture_done(struct shell_capture *capture)
{
    for (size_t i = 0; i < capture->n_names; i++)
        free(capture->names[i]);
    free(capture->names);
    json_decref(capture->rows);
    *capture = (struct shell_capture){0};
}

char *shell_capture_text(const json_t *value)
{
    if (value == NULL || json_is_null(value))
        return NULL;
    if (json_is_string(value))
        return mem_strdup(json_string_value(value));
    return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
}

static void shell_print(struct shell *shell, const struct column *columns, const json_t *json,
                        bool is_object)
{
    shell->row_count += is_object ? 1 : json_array_size(json);
    if (shell->capture != NULL) {
        shell_capture_take(shell->capture, columns, json, is_object);
        return;
    }
    output_measure(&shell->output);
    struct render r = {
        .format = shell->format,
        .tuples_only = shell->settings.tuples_only,
        .has_color = output_has_color(&shell->output),
        .on_terminal = output_is_terminal(&shell->output),
        .width = shell->output.width,
        .now_ms = shell_now_ms(shell),
        .border = shell->settings.border,
        .no_footer = shell->settings.no_footer,
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
        output_page(&shell->output, buf_cstr(&b), b.len, shell->settings.pager_lines);
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

static int shell_run_parsed(struct shell *shell, const struct command *command,
                            const char *const *words, size_t n)
{
    struct command_call call;
    struct error e = {0};
    int status = SHELL_STATUS_USAGE;
    if (command_parse(command, words, n, NULL, &call, &e) != 0) {
        shell_error(shell, "%s", e.text);
        shell_hint(shell, command_is_meta(command) ? "\\? %s" : "help %s",
                   command->name + command_is_meta(command));
    } else if (call.help) {
        status = command_help_one(shell, command);
    } else {
        status = shell_run_call(shell, &call);
    }
    command_call_done(&call);
    return status;
}

int shell_run_meta(struct shell *shell, const struct command *command, const char *const *words,
                   size_t n)
{
    return shell_run_parsed(shell, command, words, n);
}

int shell_unknown_meta(struct shell *shell, const char *text, size_t len)
{
    const struct command *command;
    size_t n_words;
    struct error e = {0};
    char hint[COMMAND_HINT_MAX];
    char *name = mem_strndup(text, len);
    const char *const words[] = {name};
    if (command_find(words, 1, &command, &n_words, &e, hint) == 0)
        (void)snprintf(hint, sizeof hint, "did you mean \"%s\"?", command->name);
    else if (hint[0] == '\0')
        (void)snprintf(hint, sizeof hint, "\\? lists them");
    shell_error(shell, "unknown command: %s", name);
    shell_hint(shell, "%s", hint);
    free(name);
    return SHELL_STATUS_USAGE;
}

int shell_run_words(struct shell *shell, const char *const *words, size_t n)
{
    const struct command *command;
    size_t n_words;
    struct error e = {0};
    char hint[COMMAND_HINT_MAX];
    if (command_find(words, n, &command, &n_words, &e, hint) == 0)
        return shell_run_parsed(shell, command, words + n_words, n - n_words);
    bool asks_help = n > 1 && strcmp(words[n - 1], "--help") == 0;
    if (asks_help)
        return command_help_group(shell, words, n - 1);
    shell_error(shell, "%s", e.text);
    if (hint[0] != '\0')
        shell_hint(shell, "%s", hint);
    return SHELL_STATUS_USAGE;
}

int shell_run_sql(struct shell *shell, const char *text, size_t len)
{
    int64_t started_us = clock_mono_us();
    shell->format = shell->settings.format;
    int status = sql_run(shell, text, len);
    output_flush(&shell->output);
    if (shell->settings.has_timing)
        shell_time(shell, started_us);
    return status;
}

/* Around a statement */

void shell_begin_statement(struct shell *shell)
{
    shell->row_count = 0;
}

void shell_set_exit_code(struct shell *shell, int code)
{
    char text[16];
    if (code < 0)
        return;
    (void)snprintf(text, sizeof text, "%d", code);
    (void)vars_set(&shell->vars, "SHELL_EXIT_CODE", text, NULL);
    (void)vars_set(&shell->vars, "SHELL_ERROR", code != 0 ? "true" : "false", NULL);
}

void shell_end_statement(struct shell *shell, int status, const char *text)
{
    struct shell_failure *failure = &shell->failure;
    const char *echo = vars_get(&shell->vars, "ECHO");
    char count[32];
    (void)snprintf(count, sizeof count, "%llu", (unsigned long long)shell->row_count);
    (void)vars_set(&shell->vars, "ROW_COUNT", count, NULL);
    (void)vars_set(&shell->vars, "ERROR", status == SHELL_STATUS_OK ? "false" : "true", NULL);
    if (status == SHELL_STATUS_OK || failure->text == NULL)
        return;
    free(failure->statement);
    failure->statement = mem_strdup(text);
    (void)vars_set(&shell->vars, "LAST_ERROR_MESSAGE", failure->text, NULL);
    (void)vars_set(&shell->vars, "LAST_ERROR_CODE",
                   failure->code != 0 ? err_name(failure->code) : "usage", NULL);
    if (echo != NULL && strcmp(echo, "errors") == 0)
        output_note(&shell->output, "statement: %s", text);
}
