/* events, report */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "shell/commands.h"
#include "shell/moment.h"
#include "shell/request.h"
#include "shell/shell.h"
#include "shell/text.h"

enum {
    EVENTS_RETRY_MIN_MS = 100,
    EVENTS_RETRY_MAX_MS = 2000,
    EVENTS_FAILURES_QUIET = 3,
    EVENTS_IDS_MAX = 4096, /* remembered, for what comes twice after a break */
    EVENTS_CURSOR_MAX = 64,
    EVENTS_NAMES_MAX = 1024,
};

/* Events as they come; when the connection breaks another node is asked from the last cursor on. */
struct cmd_events {
    struct shell *shell;
    const struct command_call *call;
    struct client_call *request;
    bool follows, lines; /* JSON lines, or text for people */
    bool ended;
    bool told_partial; /* that nobody collects */
    int status;
    struct error failed; /* what the stream said last, why there is no more; code 0: nothing */
    char cursor[EVENTS_CURSOR_MAX];
    char *ids[EVENTS_IDS_MAX]; /* a ring */
    size_t ids_n;
    json_t *seen; /* the same as a set */
    uint64_t left;
    uint64_t unreadable; /* lines */
    int64_t retry_ms;
    unsigned failures;
};

/* ---- a line ---------------------------------------------------------------------------------- */

static void cmd_events_print(struct cmd_events *events, const json_t *event)
{
    char time[MOMENT_TEXT_MAX];
    char *level = text_of_field(event, "level", false), *node = text_of_field(event, "node", false);
    char *kind = text_of_field(event, "kind", false), *text = text_of_field(event, "text", false);
    char *by = text_of_field(event, "by", false);
    bool color = output_has_color(&events->shell->output);
    const char *begin = !color                        ? ""
                        : strcmp(level, "error") == 0 ? "\033[1;31m"
                        : strcmp(level, "warn") == 0  ? "\033[33m"
                        : strcmp(level, "debug") == 0 ? "\033[2m"
                                                      : "";
    struct buf b;
    buf_init(&b, SIZE_MAX / 4);
    (void)buf_printf(&b, "%s%s %-5s %-8s %-16s ", begin, moment_of(event, false, time), level, node,
                     kind);
    (void)buf_printf(&b, "%s%s%s%s%s\n", text, *by ? " (" : "", by, *by ? ")" : "",
                     *begin ? "\033[0m" : "");
    output_write(&events->shell->output, b.data, b.len);
    buf_done(&b);
    free(level);
    free(node);
    free(kind);
    free(text);
    free(by);
}

/* Whether an event came before; remembers it. */
static bool cmd_events_is_known(struct cmd_events *events, const char *id)
{
    if (!events->follows)
        return false;
    if (json_object_get(events->seen, id) != NULL)
        return true;
    size_t at = events->ids_n++ % EVENTS_IDS_MAX;
    if (events->ids[at] != NULL)
        (void)json_object_del(events->seen, events->ids[at]);
    free(events->ids[at]);
    events->ids[at] = mem_strdup(id);
    (void)json_object_set_new(events->seen, id, json_true());
    return false;
}

static void cmd_events_end(struct cmd_events *events, int status)
{
    events->ended = true;
    events->status = status;
}

/* Whether what came was an answer: its last line is a cursor. */
static int cmd_events_judge(const struct cmd_events *events)
{
    char text[64];
    if (events->unreadable == 0 && events->cursor[0] != '\0')
        return SHELL_STATUS_OK;
    if (events->unreadable == 0)
        return request_strange(events->shell, "its last line is no cursor");
    (void)snprintf(text, sizeof text, "%llu line%s can't be read",
                   (unsigned long long)events->unreadable, events->unreadable == 1 ? "" : "s");
    return request_strange(events->shell, text);
}

/* That nobody collects, and whose events are missing. */
static void cmd_events_say_partial(const struct cmd_events *events, const json_t *event)
{
    char *node = text_of_field(event, "partial", false);
    char *reason = text_of_field(event, "reason", false);
    const json_t *missing = json_object_get(event, "missing"), *name;
    struct buf names;
    size_t i;
    buf_init(&names, EVENTS_NAMES_MAX);
    json_array_foreach(missing, i, name)
    {
        const char *text = json_is_string(name) ? json_string_value(name) : "?";
        char *clean = str_printable(text, strlen(text), false);
        (void)buf_printf(&names, "%s%s", i > 0 ? ", " : "; not reached: ", clean);
        free(clean);
    }
    output_note(&events->shell->output, "%s: this is what %s has%s",
                *reason != '\0' ? reason : "no node leads", node, buf_cstr(&names));
    buf_done(&names);
    free(node);
    free(reason);
}

static void cmd_events_take(struct cmd_events *events, const json_t *event, const char *line,
                            size_t len)
{
    const char *id = json_string_value(json_object_get(event, "id"));
    const char *cursor = json_string_value(json_object_get(event, "cursor"));
    json_int_t dropped = json_integer_value(json_object_get(event, "dropped"));
    if (cursor != NULL && strlen(cursor) < sizeof events->cursor) {
        memcpy(events->cursor, cursor, strlen(cursor) + 1);
        events->failures = 0;
    }
    if (dropped > 0)
        output_note(&events->shell->output, "%lld events were missed", (long long)dropped);
    const char *partial = json_string_value(json_object_get(event, "partial"));
    if (partial != NULL && !events->told_partial)
        cmd_events_say_partial(events, event);
    events->told_partial = events->told_partial || partial != NULL;
    if (id == NULL || events->left == 0 || cmd_events_is_known(events, id))
        return;
    events->left--;
    if (events->lines) {
        output_write(&events->shell->output, line, len);
        output_write(&events->shell->output, "\n", 1);
    } else {
        cmd_events_print(events, event);
    }
    if (events->follows)
        output_flush(&events->shell->output);
    if (events->left == 0)
        cmd_events_end(events, SHELL_STATUS_OK);
}

static void cmd_events_on_data(void *arg, const char *bytes, size_t len)
{
    struct cmd_events *events = arg;
    json_t *event = json_loadb(bytes, len, 0, NULL);
    const json_t *error = json_object_get(event, "error");
    if (json_is_object(error)) {
        char *text = text_of_field(error, "message", false);
        const char *code = json_string_value(json_object_get(error, "code"));
        (void)error_set(&events->failed, err_from_name(code != NULL ? code : ""), "%s", text);
        free(text);
    } else if (json_is_object(event)) {
        cmd_events_take(events, event, bytes, len);
    } else if (len > 0 && events->unreadable++ == 0 && events->follows) {
        output_note(&events->shell->output, "a line that can't be read was left out");
    }
    json_decref(event);
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* Whether asking again, perhaps another node, may help. A stream that began ends for many reasons
 * that lie with the node; that its query makes no sense is none of them. */
static bool cmd_events_may_help(int code, bool streamed)
{
    if (streamed)
        return code != ERR_NOT_FOUND && code != ERR_INVALID;
    return code == 0 || code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_BUSY ||
           code == ERR_NO_LEADER;
}

static void cmd_events_on_done(void *arg, const struct client_reply *answer)
{
    struct cmd_events *events = arg;
    struct client_reply reply = *answer;
    bool streamed = reply.code == 0 && events->failed.code != 0;
    events->request = NULL;
    if (streamed) {
        reply.code = events->failed.code;
        reply.text = events->failed.text;
    }
    bool may_help = cmd_events_may_help(reply.code, streamed);
    if (events->ended)
        return;
    if (reply.code == 0 && !events->follows) {
        cmd_events_end(events, cmd_events_judge(events));
        return;
    }
    if (!may_help || !events->follows || (events->cursor[0] == '\0' && !reply.connected)) {
        cmd_events_end(events, request_report_reply(events->shell, &reply));
        return;
    }
    if (++events->failures == EVENTS_FAILURES_QUIET)
        output_note(&events->shell->output, "the connection is lost: trying other nodes");
    int64_t pause_ms = EVENTS_RETRY_MIN_MS * (int64_t)events->failures;
    events->retry_ms =
        clock_mono_ms() + (pause_ms < EVENTS_RETRY_MAX_MS ? pause_ms : EVENTS_RETRY_MAX_MS);
}

static void cmd_events_ask(struct cmd_events *events)
{
    static const struct client_handler handler = {.data = cmd_events_on_data,
                                                  .done = cmd_events_on_done};
    static const char *const filters[] = {"until", "kind", "node", "level"};
    const struct command_call *call = events->call;
    struct client_path path;
    struct error e;
    const char *since = command_option_text(call, "since");
    if (events->cursor[0] != '\0')
        since = events->cursor;
    else if (since == NULL && !events->follows)
        since = "1h";
    (void)client_path(&path, "events", NULL);
    (void)client_path_param(&path, "since", since);
    for (unsigned i = 0; i < MEM_COUNT(filters); i++)
        (void)client_path_param(&path, filters[i], command_option_text(call, filters[i]));
    (void)client_path_param(&path, "follow", events->follows ? "true" : NULL);
    events->retry_ms = 0;
    events->failed.code = 0;
    events->request =
        client_start(events->shell->client,
                     &CLIENT_REQUEST(.method = "GET", .path = path.text, .body = CLIENT_BODY_LINES),
                     &handler, events, &e);
    if (events->request == NULL)
        events->retry_ms = clock_mono_ms() + EVENTS_RETRY_MIN_MS;
}

static int cmd_events_run(struct shell *shell, const struct command_call *call)
{
    int status = shell_connect(shell);
    if (status != 0)
        return status;
    struct cmd_events events = {.shell = shell,
                                .call = call,
                                .follows = command_option_given(call, "follow"),
                                .lines = format_is_json(shell->format),
                                .left = UINT64_MAX,
                                .seen = json_object()};
    if (command_option_given(call, "limit"))
        events.left = command_option(call, "limit")->number;
    cmd_events_ask(&events);
    while (!events.ended) {
        bool waits = events.request == NULL;
        shell_wait(shell, waits ? events.retry_ms : INT64_MAX);
        if (shell_take_interrupt(shell))
            cmd_events_end(&events, SHELL_STATUS_INTERRUPTED);
        else if (!events.ended && events.request == NULL && clock_mono_ms() >= events.retry_ms)
            cmd_events_ask(&events);
    }
    if (events.request != NULL)
        client_cancel(events.request);
    for (size_t i = 0; i < EVENTS_IDS_MAX; i++)
        free(events.ids[i]);
    json_decref(events.seen);
    return events.status;
}

const struct command cmd_events = {
    .name = "events",
    .summary = "Show what happened in the cluster, and what happens",
    .text =
        "Without --since: the last hour, or with --follow what comes from now on. A stream that "
        "breaks goes on at another node. Formats for programs write one JSON object a line.",
    .options = {{"follow", 'f', COMMAND_TYPE_FLAG, NULL, NULL, false, "go on as events come"},
                {"since", 's', COMMAND_TYPE_TEXT, "TIME", NULL, false,
                 "from a time on, or for so long back: 2026-11-20T20:15:00Z, 10m"},
                {"until", 'u', COMMAND_TYPE_TEXT, "TIME", NULL, false, "up to a time"},
                {"kind", 'k', COMMAND_TYPE_KINDS, "KINDS", NULL, false,
                 "only these: job.*,raft.lead"},
                {"node", 'n', COMMAND_TYPE_NODES, "NODES", NULL, false,
                 "only what is about these nodes"},
                {"level", 'l', COMMAND_TYPE_CHOICE, "LEVEL", "debug|info|warn|error", false,
                 "only what is as bad as this, or worse"},
                {"limit", 'L', COMMAND_TYPE_COUNT, "N", NULL, false, "end after N"}},
    .examples = {{"events --since 10m --level warn", "what went wrong in the last ten minutes"},
                 {"events -f --kind 'raft.*,node.*'", "elections and nodes, as they happen"},
                 {"events -o jsonl --since 24h", "everything that is kept, for a program"}},
    .run = cmd_events_run,
};

/* ---- report ---------------------------------------------------------------------------------- */

struct cmd_report {
    FILE *file;
    bool ended;
    bool failed; /* to write */
    int status;
    struct shell *shell;
};

static void cmd_report_on_data(void *arg, const char *bytes, size_t len)
{
    struct cmd_report *report = arg;
    report->failed = report->failed || fwrite(bytes, 1, len, report->file) != len;
}

static void cmd_report_on_done(void *arg, const struct client_reply *reply)
{
    struct cmd_report *report = arg;
    report->ended = true;
    if (reply->code == 0 && reply->partial[0] != '\0') {
        char *why = str_printable(reply->partial, strlen(reply->partial), false);
        output_note(&report->shell->output,
                    "a partial report: what the node and those that it reaches have (%s)", why);
        free(why);
    }
    report->status =
        reply->code == 0 ? SHELL_STATUS_OK : request_report_reply(report->shell, reply);
}

static int cmd_report_fetch(struct shell *shell, const struct command_call *call, FILE *file)
{
    static const struct client_handler handler = {.data = cmd_report_on_data,
                                                  .done = cmd_report_on_done};
    struct cmd_report report = {.file = file, .shell = shell};
    struct client_path path;
    struct error e;
    (void)client_path(&path, "report", NULL);
    (void)client_path_param(&path, "since", command_option_text(call, "since"));
    struct client_call *request =
        client_start(shell->client,
                     &CLIENT_REQUEST(.method = "GET", .path = path.text, .body = CLIENT_BODY_BYTES),
                     &handler, &report, &e);
    if (request == NULL) {
        shell_error(shell, "%s", e.text);
        return SHELL_STATUS_USAGE;
    }
    while (!report.ended) {
        shell_wait(shell, INT64_MAX);
        if (!report.ended && shell_take_interrupt(shell)) {
            client_cancel(request);
            return SHELL_STATUS_INTERRUPTED;
        }
    }
    if (report.status == SHELL_STATUS_OK && (report.failed || fflush(file) != 0)) {
        shell_error(shell, "the report cannot be written: %s", err_text(-errno));
        return SHELL_STATUS_USAGE;
    }
    return report.status;
}

static int cmd_report_run(struct shell *shell, const struct command_call *call)
{
    const char *name = command_argument_text(call, 0);
    int status = shell_connect(shell);
    if (status != 0)
        return status;
    char *part = mem_printf("%s.part", name);
    FILE *file = fopen(part, "wbe");
    if (file == NULL) {
        shell_error(shell, "%s: %s", part, err_text(-errno));
        free(part);
        return SHELL_STATUS_USAGE;
    }
    status = cmd_report_fetch(shell, call, file);
    if (fclose(file) != 0 && status == 0) {
        shell_error(shell, "%s: %s", part, err_text(-errno));
        status = SHELL_STATUS_USAGE;
    }
    if (status == 0 && rename(part, name) != 0) {
        shell_error(shell, "%s: %s", name, err_text(-errno));
        status = SHELL_STATUS_USAGE;
    }
    if (status != 0)
        (void)unlink(part);
    else
        shell_say(shell, "wrote %s: clustertop --replay %s opens it, and clustersh", name, name);
    free(part);
    return status;
}

const struct command cmd_report = {
    .name = "report",
    .summary = "Write all that is known of the cluster to a file",
    .text = "One archive (.tar.zst) with the state of the cluster, now and before, its events, "
            "vitals, the last messages of the chat, logs, and the nodes' configurations without "
            "secrets. clustertop --replay and clustersh --replay open it without a cluster.",
    .options = {{"since", 's', COMMAND_TYPE_TEXT, "TIME", NULL, false,
                 "from a time on, or for so long back; default: all that is kept"}},
    .arguments = {{"FILE", COMMAND_TYPE_FILE, COMMAND_COUNT_ONE, NULL, "to write"}},
    .examples = {{"report --since 2h trouble.tar.zst", "the last two hours, for somebody else"}},
    .run = cmd_report_run,
};
