/* chat, chat send, tail, members, transfer */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "shell/chat_send.h"
#include "shell/chat_stream.h"
#include "shell/chat_talk.h"
#include "shell/commands.h"
#include "shell/nodes.h"
#include "shell/request.h"
#include "shell/shell.h"

#define OPTION_CHANNEL                                                                             \
    {                                                                                              \
        "channel", 'C', COMMAND_TYPE_CHANNEL, "NAME", NULL, false, "the channel; default general"  \
    }

/* ---- members --------------------------------------------------------------------------------- */

static char *cmd_chat_leader(const json_t *row)
{
    return json_is_true(json_object_get(row, "leader")) ? mem_strdup("*") : NULL;
}

static const struct column cmd_chat_member_columns[] = {
    COLUMN("name", NULL, TEXT),
    COLUMN("id", "priority", COUNT),
    COLUMN_AS("leader", NULL, FLAG, cmd_chat_leader),
    COLUMN("state", NULL, STATE),
    COLUMN_DETAIL("voter", NULL, FLAG),
    COLUMN("durable_seq", "durable", COUNT),
    COLUMN("delivered_seq", "delivered", COUNT),
    COLUMN("lag", NULL, COUNT),
    COLUMN_WIDE("address", NULL, TEXT),
    COLUMN_END,
};

static int cmd_chat_members_run(struct shell *shell, const struct command_call *call)
{
    (void)call;
    struct client_path path;
    json_t *members;
    (void)client_path(&path, "chat", "members", NULL);
    int status = request_get(shell, &path, &members);
    if (status != 0)
        return status;
    nodes_sort(members);
    shell_print_rows(shell, cmd_chat_member_columns, members);
    json_decref(members);
    return SHELL_STATUS_OK;
}

const struct command cmd_chat_members = {
    .name = "chat members",
    .summary = "Show the nodes that keep the chat's log, who leads, and how far each is",
    .text = "How far the others are only the leader knows: ask it with -s.",
    .run = cmd_chat_members_run,
};

static int cmd_chat_transfer_run(struct shell *shell, const struct command_call *call)
{
    const char *to = command_argument_text(call, 0);
    json_t *answer;
    json_t *body = to != NULL ? json_pack("{s:s}", "to", to) : json_object();
    int status = request_change(shell, "POST", "/api/chat/transfer", body, &answer);
    if (status != 0)
        return status;
    shell_say(shell, "the lead goes to %s",
              to != NULL ? to : "the node with the highest priority of the others");
    json_decref(answer);
    return SHELL_STATUS_OK;
}

const struct command cmd_chat_transfer = {
    .name = "chat transfer",
    .summary = "Hand the lead of the chat to another node",
    .text = "The node with the highest priority takes it back after a while: to keep it away, "
            "give it another chat.node_id.",
    .arguments = {{"NODE", COMMAND_TYPE_NODE, COMMAND_COUNT_OPTIONAL, NULL,
                   "who is to lead; without it the highest of the others"}},
    .run = cmd_chat_transfer_run,
};

/* ---- send ------------------------------------------------------------------------------------ */

static const struct column cmd_chat_sent_columns[] = {
    COLUMN("seq", NULL, COUNT),
    COLUMN("at", NULL, TIME),
    COLUMN("duplicate", NULL, FLAG),
    COLUMN_END,
};

static void cmd_chat_on_answer(void *arg, const json_t *answer)
{
    struct shell *shell = arg;
    if (answer != NULL && shell->format != FORMAT_TABLE)
        shell_print_object(shell, cmd_chat_sent_columns, answer);
}

static char *cmd_chat_text(const struct command_call *call)
{
    size_t n;
    const struct command_value *words = command_argument_all(call, 0, &n);
    struct buf text;
    buf_init(&text, SIZE_MAX / 4);
    for (size_t i = 0; i < n; i++) {
        (void)buf_append_str(&text, i > 0 ? " " : "");
        (void)buf_append_str(&text, words[i].text);
    }
    (void)buf_cstr(&text);
    return buf_steal(&text, NULL);
}

static int cmd_chat_send_run(struct shell *shell, const struct command_call *call)
{
    int status = shell_connect(shell);
    if (status != SHELL_STATUS_OK)
        return status;
    struct chat_send send;
    chat_send_init(&send, shell);
    send.on_answer = cmd_chat_on_answer;
    send.arg = shell;
    const struct command_value *number = command_option(call, "number");
    const char *client = command_option_text(call, "client");
    if ((number != NULL) != (client != NULL)) {
        shell_error(shell, "--client and --number go together");
        return SHELL_STATUS_USAGE;
    }
    if (client != NULL && (strlen(client) >= sizeof send.client || number->number == 0)) {
        shell_error(shell, "a client has at most %zu characters, numbers begin with 1",
                    sizeof send.client - 1);
        return SHELL_STATUS_USAGE;
    }
    if (client != NULL) {
        (void)snprintf(send.client, sizeof send.client, "%s", client);
        send.number = number->number - 1;
    }
    live_fetch(&shell->live, LIVE_NODES); /* whom to turn to when this node dies */
    char *text = cmd_chat_text(call);
    if (chat_send_add(&send, command_option_text(call, "channel"), text) < 0) {
        shell_error(shell, "the message is not UTF-8");
        status = SHELL_STATUS_USAGE;
    }
    free(text);
    while (!chat_send_is_idle(&send) && status == SHELL_STATUS_OK) {
        shell_wait(shell, chat_send_deadline_ms(&send));
        chat_send_work(&send);
        if (shell_take_interrupt(shell))
            status = SHELL_STATUS_INTERRUPTED;
    }
    if (status == SHELL_STATUS_OK)
        status = send.status;
    chat_send_done(&send);
    return status;
}

const struct command cmd_chat_send = {
    .name = "chat send",
    .summary = "Send one message; done when a majority has it on disk",
    .text = "It is sent again to other nodes as long as needed, and is in the log once. A script "
            "that may be run twice gives --client and --number of its own for the same effect.",
    .options = {OPTION_CHANNEL,
                {"client", 0, COMMAND_TYPE_TEXT, "NAME", NULL, false,
                 "the sender's name for itself, with --number"},
                {"number", 0, COMMAND_TYPE_COUNT, "N", NULL, false,
                 "of the message among the client's: what was there already is not sent again"}},
    .arguments = {{"TEXT", COMMAND_TYPE_TEXT, COMMAND_COUNT_ARGV, NULL, "the message"}},
    .examples = {{"chat send deploy begins", ""},
                 {"chat send -C ops -- '--- maintenance ---'", "to another channel"}},
    .run = cmd_chat_send_run,
};

/* ---- tail ------------------------------------------------------------------------------------ */

struct cmd_chat_tail {
    struct shell *shell;
    const char *channel;
    json_t *rows; /* of formats that need all of them */
    json_t
        *kept; /* the last ones, of which `last` are wanted; NULL: all are printed as they come */
    uint64_t last;
};

static const struct column cmd_chat_message_columns[] = {
    COLUMN("seq", NULL, COUNT), COLUMN("at", NULL, TIME),   COLUMN("channel", NULL, TEXT),
    COLUMN("from", NULL, TEXT), COLUMN("text", NULL, TEXT), COLUMN_END,
};

static void cmd_chat_print(struct cmd_chat_tail *tail, const json_t *message, const char *line,
                           size_t len)
{
    struct output *output = &tail->shell->output;
    if (tail->rows != NULL) {
        json_array_append(tail->rows, (json_t *)(uintptr_t)message);
    } else if (tail->shell->format == FORMAT_JSONL) {
        output_write_json(output, line, len);
    } else {
        char *text = chat_stream_format(message, tail->channel, output_has_color(output));
        output_write(output, text, strlen(text));
        output_write(output, "\n", 1);
        free(text);
    }
}

static void cmd_chat_on_message(void *arg, const json_t *message, const char *line, size_t len)
{
    struct cmd_chat_tail *tail = arg;
    if (tail->kept == NULL) {
        cmd_chat_print(tail, message, line, len);
        return;
    }
    if (json_array_size(tail->kept) == tail->last)
        (void)json_array_remove(tail->kept, 0);
    (void)json_array_append(tail->kept, (json_t *)(uintptr_t)message);
}

static void cmd_chat_print_kept(struct cmd_chat_tail *tail)
{
    const json_t *message;
    size_t i;
    json_array_foreach(tail->kept, i, message)
    {
        char *line = json_dumps(message, JSON_COMPACT);
        cmd_chat_print(tail, message, line, strlen(line));
        free(line);
    }
}

static void cmd_chat_on_gone(void *arg, uint64_t first)
{
    struct cmd_chat_tail *tail = arg;
    output_note(&tail->shell->output, "messages before number %" PRIu64 " are not kept any more",
                first);
}

/* Reads the stream to its end, or until it is interrupted. */
static void cmd_chat_read(struct shell *shell, struct chat_stream *stream)
{
    chat_stream_start(stream);
    while (!stream->ended) {
        output_flush(&shell->output);
        shell_wait(shell, chat_stream_deadline_ms(stream));
        chat_stream_work(stream);
        if (shell_take_interrupt(shell))
            stream->status = SHELL_STATUS_INTERRUPTED;
        if (stream->status == SHELL_STATUS_INTERRUPTED || shell->output.broken != 0)
            break;
    }
    chat_stream_stop(stream);
}

/* The last N: near the end there may be fewer of the channel, then all are looked through. */
static int cmd_chat_read_last(struct shell *shell, struct cmd_chat_tail *tail,
                              const struct chat_stream *asked)
{
    struct chat_stream stream = *asked;
    tail->kept = json_array();
    cmd_chat_read(shell, &stream);
    if (stream.status == SHELL_STATUS_OK && json_array_size(tail->kept) < tail->last) {
        stream = *asked;
        stream.from = "0";
        stream.on_gone = NULL;
        (void)json_array_clear(tail->kept);
        cmd_chat_read(shell, &stream);
    }
    if (stream.status == SHELL_STATUS_OK)
        cmd_chat_print_kept(tail);
    json_decref(tail->kept);
    return stream.status;
}

/* Where what comes from now on begins. Malloc'ed; NULL after a failure that was said. */
static char *cmd_chat_end(struct shell *shell, const char *channel, int *status)
{
    struct cmd_chat_tail tail = {.shell = shell, .channel = channel, .last = 1};
    struct chat_stream stream = {
        .shell = shell, .channel = channel, .on_message = cmd_chat_on_message, .arg = &tail};
    tail.kept = json_array();
    cmd_chat_read(shell, &stream);
    json_decref(tail.kept);
    *status = stream.status;
    return stream.status == SHELL_STATUS_OK ? mem_printf("%" PRIu64, stream.next) : NULL;
}

static int cmd_chat_tail_run(struct shell *shell, const struct command_call *call)
{
    const struct command_value *lines = command_option(call, "lines");
    struct cmd_chat_tail tail = {.shell = shell, .channel = command_option_text(call, "channel")};
    struct chat_stream stream = {
        .shell = shell,
        .channel = tail.channel,
        .from = command_option_text(call, "from"),
        .limit = lines != NULL ? lines->number : 0,
        .follows = command_option_given(call, "follow"),
        .on_message = cmd_chat_on_message,
        .on_gone = cmd_chat_on_gone,
        .arg = &tail,
    };
    int status = shell_connect(shell);
    if (status != SHELL_STATUS_OK)
        return status;
    bool needs_all = shell->format != FORMAT_TABLE && shell->format != FORMAT_JSONL;
    if (needs_all && stream.follows) {
        shell_error(shell, "--follow writes lines: use the format table or jsonl");
        return SHELL_STATUS_USAGE;
    }
    bool wants_none = lines != NULL && lines->number == 0;
    char *end = NULL;
    if (wants_none && stream.follows && stream.from == NULL) {
        stream.from = end = cmd_chat_end(shell, tail.channel, &status);
        if (end == NULL)
            return status;
        stream.insists = true;
    }
    tail.rows = needs_all ? json_array() : NULL;
    if (stream.follows)
        live_fetch(&shell->live, LIVE_NODES); /* whom to turn to when this node dies */
    if (stream.limit > 0 && stream.from == NULL && !stream.follows) {
        tail.last = stream.limit;
        stream.limit = 0;
        status = cmd_chat_read_last(shell, &tail, &stream);
    } else if (!wants_none || stream.follows) {
        cmd_chat_read(shell, &stream);
        status = stream.status;
    }
    if (tail.rows != NULL && status == SHELL_STATUS_OK)
        shell_print_rows(shell, cmd_chat_message_columns, tail.rows);
    json_decref(tail.rows);
    free(end);
    return status;
}

const struct command cmd_chat_tail = {
    .name = "chat tail",
    .summary = "Print messages in their order, the same on every node",
    .text = "Without --from the last ones. When a node dies, another one goes on behind the last "
            "message that was printed: nothing is lost and nothing comes twice.",
    .options = {{"follow", 'f', COMMAND_TYPE_FLAG, NULL, NULL, false, "go on as messages come"},
                {"from", 'F', COMMAND_TYPE_TEXT, "WHERE", NULL, false,
                 "from this number, or from this time (2026-11-28T12:00:00Z), on; 0: the first"},
                {"channel", 'C', COMMAND_TYPE_CHANNEL, "NAME", NULL, false,
                 "of this channel only; default all"},
                {"lines", 'n', COMMAND_TYPE_COUNT, "N", NULL, false,
                 "the last N; with --from or --follow: end after N; -n 0 -f: only what comes from "
                 "now on"}},
    .examples = {{"chat tail -f --from 0", "everything there is, and what comes"},
                 {"chat tail --channel ops -o jsonl", "for programs"}},
    .run = cmd_chat_tail_run,
};

/* ---- conversation ---------------------------------------------------------------------------- */

static int cmd_chat_connect(struct shell *shell, const struct command_call *call)
{
    const char *host = command_option_text(call, "host");
    const struct command_value *port = command_option(call, "port");
    if (host == NULL && port == NULL)
        return SHELL_STATUS_OK;
    struct error e;
    bool is_v6 = host != NULL && strchr(host, ':') != NULL;
    char *endpoint =
        mem_printf("%s://%s%s%s:%" PRIu64, command_option_given(call, "tls") ? "https" : "http",
                   is_v6 ? "[" : "", host != NULL ? host : "127.0.0.1", is_v6 ? "]" : "",
                   port != NULL ? port->number : 7401);
    int rc = shell_reconnect(shell, endpoint, &e);
    free(endpoint);
    if (rc == 0)
        return SHELL_STATUS_OK;
    shell_error(shell, "%s", e.text);
    return rc == ERR_INVALID ? SHELL_STATUS_USAGE : SHELL_STATUS_NO_CONNECTION;
}

static int cmd_chat_run(struct shell *shell, const struct command_call *call)
{
    int status = cmd_chat_connect(shell, call);
    if (status != SHELL_STATUS_OK)
        return status;
    return chat_talk(shell, command_option_text(call, "channel"),
                     command_option_text(call, "from"));
}

const struct command cmd_chat = {
    .name = "chat",
    .summary = "Converse: what you type is sent, what all say appears above the prompt",
    .text = "Any node will do; the order is the same on all. /help lists the commands of the "
            "conversation, Ctrl-D ends it. Lines from a pipe are sent one by one, as they are.",
    .options = {OPTION_CHANNEL,
                {"from", 'F', COMMAND_TYPE_TEXT, "WHERE", NULL, false,
                 "show messages from this number or time on first"},
                {"host", 'H', COMMAND_TYPE_TEXT, "HOST", NULL, false,
                 "connect to the API of this host instead of -s"},
                {"port", 'P', COMMAND_TYPE_COUNT, "PORT", NULL, false, "its port; default 7401"},
                {"tls", 0, COMMAND_TYPE_FLAG, NULL, NULL, false, "by HTTPS"}},
    .run = cmd_chat_run,
};
