/* exec: events of all nodes come as one stream of JSON lines.
 *
 * Gathered (the default), nothing is printed before the end; live, every line goes out when it is
 * whole. Ctrl-C closes the stream, which stops the command everywhere; what was gathered is still
 * printed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/nodeset.h"
#include "base/str.h"
#include "shell/commands.h"
#include "shell/gather.h"
#include "shell/jobs.h"
#include "shell/request.h"
#include "shell/shell.h"
#include "shell/words.h"

enum {
    CMD_EXEC_TELL_AFTER_MS = 400,
    CMD_EXEC_TELL_MS = 1000,
    CMD_EXEC_OUTPUT_BYTES_MAX = 1 << 30,
    CMD_EXEC_LINE_BYTES_MAX = 64 * 1024,
};

struct cmd_exec {
    struct shell *shell;
    struct gather gather;
    bool is_live;
    bool is_done;
    bool said_done; /* the cluster's own last line has come */
    int status;     /* of the stream itself */
};

/* Live output */

static void cmd_exec_write_line(struct cmd_exec *exec, const struct gather_node *node,
                                enum gather_stream stream, const char *line, size_t len)
{
    struct output *output = &exec->shell->output;
    bool has_color =
        stream == GATHER_STDOUT ? output_has_color(output) : output_error_has_color(output);
    char *text =
        mem_printf("%s%s:%s ", has_color ? "\033[36m" : "", node->name, has_color ? "\033[0m" : "");
    if (stream == GATHER_STDOUT) {
        output_write(output, text, strlen(text));
        output_write_foreign(output, NULL, line, len);
        output_write(output, "\n", 1);
    } else {
        output_status_clear(output);
        output_flush(output);
        (void)fputs(text, stderr);
        output_error_foreign(output, NULL, line, len);
        (void)fputc('\n', stderr);
    }
    free(text);
}

/* Writes the whole lines that the node has, and at its end or when it is too long the rest. */
static void cmd_exec_write_lines(struct cmd_exec *exec, struct gather_node *node,
                                 enum gather_stream stream, bool all)
{
    struct buf *b = &node->output[stream];
    size_t at = 0;
    while (at < b->len) {
        const char *line = (const char *)b->data + at;
        const char *newline = memchr(line, '\n', b->len - at);
        size_t len = newline != NULL ? (size_t)(newline - line) : b->len - at;
        if (newline == NULL && !all && len < CMD_EXEC_LINE_BYTES_MAX)
            break;
        cmd_exec_write_line(exec, node, stream, line, len);
        at += len + (newline != NULL);
    }
    buf_consume(b, at);
}

/* Events */

static void cmd_exec_on_output(struct cmd_exec *exec, struct gather_node *node,
                               enum gather_stream stream, const json_t *event)
{
    const json_t *data = json_object_get(event, "data");
    const json_t *encoded = json_object_get(event, "data_base64");
    struct buf decoded;
    buf_init(&decoded, CLIENT_LINE_BYTES_MAX);
    if (json_is_string(encoded))
        (void)base64_decode(&decoded, json_string_value(encoded), json_string_length(encoded));
    else if (json_is_string(data))
        (void)buf_append(&decoded, json_string_value(data), json_string_length(data));
    struct buf *b = &node->output[stream];
    if (buf_append(b, decoded.data, decoded.len) != 0) {
        (void)buf_append(b, decoded.data, b->max - b->len);
        node->is_cut = true;
    }
    buf_done(&decoded);
    if (exec->is_live)
        cmd_exec_write_lines(exec, node, stream, false);
}

static void cmd_exec_on_over(struct cmd_exec *exec, struct gather_node *node, const json_t *event)
{
    json_int_t number = json_integer_value(json_object_get(event, "signal"));
    json_int_t code = json_integer_value(json_object_get(event, "exit_code"));
    node->exit_code = number > 0 ? (int)(128 + number % 128) : (int)code;
    node->wall_ms = json_integer_value(json_object_get(event, "wall_ms"));
    gather_end(node, jobs_text(event, "code"), jobs_text(event, "text"));
    if (exec->is_live) {
        cmd_exec_write_lines(exec, node, GATHER_STDOUT, true);
        cmd_exec_write_lines(exec, node, GATHER_STDERR, true);
    }
    if (exec->shell->format == FORMAT_JSONL) {
        json_t *row = json_array();
        (void)json_array_append_new(row, gather_node_json(node));
        shell_print_rows(exec->shell, NULL, row);
        json_decref(row);
    }
}

/* The first line: who was asked, so that an early Ctrl-C can name them all. */
static void cmd_exec_on_targets(struct cmd_exec *exec, const json_t *event)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(event, "nodes"), i, name)
    {
        if (json_is_string(name))
            (void)gather_node(&exec->gather, json_string_value(name));
    }
}

static void cmd_exec_on_line(void *arg, const char *line, size_t len)
{
    struct cmd_exec *exec = arg;
    json_t *event = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
    const char *name = json_string_value(json_object_get(event, "node"));
    const char *what = jobs_text(event, "event");
    struct gather_node *node = name != NULL ? gather_node(&exec->gather, name) : NULL;
    if (strcmp(what, "done") == 0) {
        exec->said_done = true;
    } else if (strcmp(what, "targets") == 0) {
        cmd_exec_on_targets(exec, event);
    } else if (node == NULL) {
        /* a keep-alive, or an event that a newer version sends */
    } else if (strcmp(what, "started") == 0) {
        node->started = true;
    } else if (strcmp(what, "stdout") == 0) {
        cmd_exec_on_output(exec, node, GATHER_STDOUT, event);
    } else if (strcmp(what, "stderr") == 0) {
        cmd_exec_on_output(exec, node, GATHER_STDERR, event);
    } else if (strcmp(what, "ended") == 0) {
        node->ended = true;
        cmd_exec_on_over(exec, node, event);
    } else if (strcmp(what, "failed") == 0) {
        node->failed = true;
        cmd_exec_on_over(exec, node, event);
    }
    json_decref(event);
}

static void cmd_exec_on_done(void *arg, const struct client_reply *reply)
{
    struct cmd_exec *exec = arg;
    exec->is_done = true;
    if (reply->code != 0)
        exec->status = request_report_reply(exec->shell, reply);
}

/* The end */

static void cmd_exec_print_prefixed(struct cmd_exec *exec)
{
    struct nodeset names;
    nodeset_init(&names);
    for (size_t i = 0; i < exec->gather.n; i++)
        nodeset_add(&names, exec->gather.nodes[i]->name);
    for (size_t i = 0; i < names.n; i++) {
        struct gather_node *node = gather_node(&exec->gather, names.names[i]);
        cmd_exec_write_lines(exec, node, GATHER_STDOUT, true);
        cmd_exec_write_lines(exec, node, GATHER_STDERR, true);
    }
    nodeset_done(&names);
}

static void cmd_exec_print_gathered(struct cmd_exec *exec)
{
    struct output *output = &exec->shell->output;
    struct buf b;
    buf_init(&b, CMD_EXEC_OUTPUT_BYTES_MAX);
    gather_format(&exec->gather, GATHER_STDOUT, output_has_color(output),
                  output_is_terminal(output), &b);
    output_write(output, b.data, b.len);
    output_flush(output);
    buf_clear(&b);
    gather_format(&exec->gather, GATHER_STDERR, output_error_has_color(output),
                  isatty(STDERR_FILENO), &b);
    (void)fwrite(buf_cstr(&b), 1, b.len, stderr);
    buf_done(&b);
}

static void cmd_exec_print_failures(struct cmd_exec *exec)
{
    struct buf b;
    buf_init(&b, CMD_EXEC_OUTPUT_BYTES_MAX);
    gather_failures(&exec->gather, &b);
    const char *line = buf_cstr(&b);
    while (*line != '\0') {
        size_t len = strcspn(line, "\n");
        shell_error(exec->shell, "%.*s", (int)len, line);
        line += len + (line[len] == '\n');
    }
    buf_done(&b);
}

static void cmd_exec_print(struct cmd_exec *exec, bool by_line)
{
    static const struct column columns[] = {
        COLUMN("node", NULL, TEXT),          COLUMN("state", NULL, STATE),
        COLUMN("exit_code", "exit", COUNT),  COLUMN("code", NULL, TEXT),
        COLUMN("wall_ms", "time", DURATION), COLUMN("stdout", NULL, TEXT),
        COLUMN("stderr", NULL, TEXT),        COLUMN_END,
    };
    struct shell *shell = exec->shell;
    output_status_clear(&shell->output);
    if (shell->format == FORMAT_JSONL || exec->is_live)
        return;
    if (shell->format != FORMAT_TABLE) {
        json_t *rows = gather_json(&exec->gather);
        shell_print_rows(shell, columns, rows);
        json_decref(rows);
    } else if (by_line) {
        cmd_exec_print_prefixed(exec);
    } else {
        cmd_exec_print_gathered(exec);
    }
}

/* Running */

static json_t *cmd_exec_body(struct shell *shell, const struct command_call *call)
{
    size_t n_words;
    size_t n_pairs;
    const struct command_value *words = command_argument_all(call, 1, &n_words);
    const struct command_value *pairs = command_option_all(call, "env", &n_pairs);
    json_t *argv = words_json(shell, words, n_words);
    json_t *env = argv != NULL ? words_env(shell, pairs, n_pairs) : NULL;
    json_t *nodes =
        env != NULL ? words_json(shell, command_argument_all(call, 0, &n_words), 1) : NULL;
    if (nodes == NULL) {
        json_decref(argv);
        json_decref(env);
        return NULL;
    }
    json_t *body =
        json_pack("{s:O, s:o, s:o}", "nodes", json_array_get(nodes, 0), "argv", argv, "env", env);
    json_decref(nodes);
    const struct command_value *limit = command_option(call, "time");
    if (limit != NULL)
        (void)json_object_set_new(body, "time_limit_ms", json_integer((json_int_t)limit->number));
    return body;
}

static void cmd_exec_tell(struct cmd_exec *exec, int64_t started_ms)
{
    char waiting[256];
    char elapsed[STR_SHORT_MAX];
    int64_t ms = clock_mono_ms() - started_ms;
    if (ms < CMD_EXEC_TELL_AFTER_MS || exec->gather.n == 0)
        return;
    gather_waiting(&exec->gather, waiting, sizeof waiting);
    output_status(&exec->shell->output, "%zu of %zu done in %s, waiting for %s",
                  gather_count_over(&exec->gather), exec->gather.n,
                  str_format_duration(ms / 1000 * 1000, elapsed), waiting);
}

/* Dispatches until the stream has ended. False after Ctrl-C, which closed it. */
static bool cmd_exec_follow(struct cmd_exec *exec, struct client_call *stream)
{
    int64_t started_ms = clock_mono_ms();
    int64_t tell_ms = started_ms + CMD_EXEC_TELL_AFTER_MS;
    while (!exec->is_done) {
        shell_wait(exec->shell, tell_ms);
        if (!exec->is_done && shell_take_interrupt(exec->shell)) {
            client_cancel(stream);
            return false;
        }
        if (clock_mono_ms() >= tell_ms && !exec->is_done) {
            cmd_exec_tell(exec, started_ms);
            tell_ms = clock_mono_ms() + CMD_EXEC_TELL_MS;
        }
    }
    return true;
}

static int cmd_exec_stream(struct cmd_exec *exec, const char *body, bool by_line)
{
    static const struct client_handler handler = {.data = cmd_exec_on_line,
                                                  .done = cmd_exec_on_done};
    struct shell *shell = exec->shell;
    struct error e = {0};
    struct client_call *stream =
        client_start(shell->client,
                     &CLIENT_REQUEST(.method = "POST", .path = "/api/exec", .data = body,
                                     .data_len = strlen(body), .body = CLIENT_BODY_LINES),
                     &handler, exec, &e);
    if (stream == NULL) {
        shell_error(shell, "%s", e.text);
        return SHELL_STATUS_FAILED;
    }
    if (!cmd_exec_follow(exec, stream)) {
        char waiting[256];
        cmd_exec_print(exec, by_line);
        gather_waiting(&exec->gather, waiting, sizeof waiting);
        shell_error(shell, "interrupted: stopped on %s",
                    waiting[0] != '\0' ? waiting : "all nodes");
        return SHELL_STATUS_INTERRUPTED;
    }
    cmd_exec_print(exec, by_line);
    if (exec->status != SHELL_STATUS_OK)
        return exec->status;
    cmd_exec_print_failures(exec);
    if (!exec->said_done) {
        shell_error(shell, "the stream ended early: some nodes may not have been heard");
        return SHELL_STATUS_FAILED;
    }
    return gather_status(&exec->gather);
}

static int cmd_exec_run(struct shell *shell, const struct command_call *call)
{
    struct cmd_exec exec = {.shell = shell, .is_live = command_option_given(call, "live")};
    int status = shell_connect(shell);
    if (status != SHELL_STATUS_OK)
        return status;
    json_t *json = cmd_exec_body(shell, call);
    if (json == NULL)
        return SHELL_STATUS_USAGE;
    char *body = json_dumps(json, JSON_COMPACT);
    gather_init(&exec.gather);
    status = cmd_exec_stream(&exec, body, command_option_given(call, "line"));
    gather_done(&exec.gather);
    free(body);
    json_decref(json);
    return status;
}

const struct command cmd_exec = {
    .name = "exec",
    .summary = "Run a command now on every node of a set and show what it wrote",
    .text = "Equal outputs are shown once, below the folded set of their nodes. The exit status is "
            "the greatest of all nodes, 3 where a node could not run it. Ctrl-C stops the command "
            "on every node.",
    .options = {{"live", 'l', COMMAND_TYPE_FLAG, NULL, NULL, false,
                 "show every line as it comes, behind its node's name"},
                {"line", 'L', COMMAND_TYPE_FLAG, NULL, NULL, false,
                 "node by node at the end, every line behind its node's name"},
                {"env", 'e', COMMAND_TYPE_TEXT, "NAME=VALUE", NULL, true, "set a variable"},
                {"time", 't', COMMAND_TYPE_DURATION, "TIME", NULL, false,
                 "stop it where it runs longer"}},
    .arguments = {{"NODES", COMMAND_TYPE_NODES, COMMAND_COUNT_ONE, NULL,
                   "names, n[1-3], @all, @online, @ROLE, @label=L; a,b both, !x not, a&b in both"},
                  {"COMMAND", COMMAND_TYPE_TEXT, COMMAND_COUNT_ARGV, NULL,
                   "a program and its arguments; a single word goes through sh -c"}},
    .examples = {{"exec @all -- uname -a", "folded: one block for all nodes that agree"},
                 {"exec n[1-3] --live 'tail -f /var/log/syslog | grep -i oom'",
                  "through a shell, as it comes, until Ctrl-C"}},
    .run = cmd_exec_run,
};
