/* Happy path: readline keeps the line that is typed; a message that comes takes that line away,
 * writes itself, and lets readline draw the line again below. One's own messages are shown when
 * they come back with everybody's, in the order that all nodes have.
 *
 * How it fails: a node that dies is replaced by another; what is on its way is sent again under its
 * number. */
#include "shell/chat_talk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <readline/readline.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "shell/chat_send.h"
#include "shell/chat_stream.h"
#include "shell/interrupt.h"
#include "shell/line.h"
#include "shell/request.h"

#define DEFAULT_CHANNEL "general"

enum { CHANNEL_MAX = 64, WHERE_MAX = 64, LINE_MAX_BYTES = 1 << 20, TELL_LATE_MS = 3000 };

struct chat_talk {
    struct shell *shell;
    char channel[CHANNEL_MAX + 1];
    char prompt[CHANNEL_MAX + 8];
    char from[WHERE_MAX + 1]; /* of /from; the stream asks for it again when a node dies */
    struct chat_stream stream;
    struct chat_send send;
    bool is_over;
    bool told_late;
    bool input_ended;
};

/* readline's callbacks have no argument. */
static struct chat_talk *talk_now;

/* ---- the terminal ---------------------------------------------------------------------------- */

static void say(struct chat_talk *talk, const char *text)
{
    struct output *output = &talk->shell->output;
    output_write(output, text, strlen(text));
    output_write(output, "\n", 1);
}

static void on_message(void *arg, const json_t *message, const char *line, size_t len)
{
    struct chat_talk *talk = arg;
    struct output *output = &talk->shell->output;
    if (format_is_json(talk->shell->format)) {
        output_write_json(output, line, len);
        return;
    }
    char *text = chat_stream_format(message, talk->channel, output_has_color(output));
    say(talk, text);
    free(text);
}

static void on_gone(void *arg, uint64_t first)
{
    char *text = mem_printf("-- messages before number %llu are not kept any more --",
                            (unsigned long long)first);
    say(arg, text);
    free(text);
}

static void make_prompt(struct chat_talk *talk)
{
    (void)snprintf(talk->prompt, sizeof talk->prompt, "#%s> ", talk->channel);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void listen(struct chat_talk *talk, const char *from)
{
    chat_stream_stop(&talk->stream);
    talk->stream = (struct chat_stream){
        .shell = talk->shell,
        .channel = talk->channel,
        .from = from,
        .follows = true,
        .insists = client_is_connected(talk->shell->client),
        .on_message = on_message,
        .on_gone = on_gone,
        .arg = talk,
    };
    chat_stream_start(&talk->stream);
}

static void do_help(struct chat_talk *talk, const char *argument)
{
    (void)argument;
    say(talk, "/channel NAME    go to another channel\n"
              "/from WHERE      show again from a number or a time on\n"
              "/members         who keeps the log, and who leads\n"
              "/quit            leave, as does Ctrl-D\n"
              "//TEXT           a message that begins with a slash");
}

static void do_channel(struct chat_talk *talk, const char *argument)
{
    if (!str_is_name(argument, CHANNEL_MAX)) {
        say(talk, "a channel's name is letters, digits, '-', '_', '.'");
        return;
    }
    (void)snprintf(talk->channel, sizeof talk->channel, "%s", argument);
    make_prompt(talk);
    listen(talk, NULL);
}

static void do_from(struct chat_talk *talk, const char *argument)
{
    uint64_t number;
    int64_t wall_ms;
    if (strlen(argument) > WHERE_MAX || (str_parse_u64(argument, 0, UINT64_MAX - 1, &number) < 0 &&
                                         clock_parse_rfc3339(argument, &wall_ms) < 0)) {
        say(talk, "from which number or time? As /from 100 or /from 2026-11-28T12:00:00Z");
        return;
    }
    (void)snprintf(talk->from, sizeof talk->from, "%s", argument);
    listen(talk, talk->from);
}

static void do_members(struct chat_talk *talk, const char *argument)
{
    (void)argument;
    (void)shell_run_words(talk->shell, (const char *const[]){"chat", "members"}, 2);
}

static void do_quit(struct chat_talk *talk, const char *argument)
{
    (void)argument;
    talk->is_over = true;
}

static const struct {
    const char *name;
    void (*run)(struct chat_talk *talk, const char *argument);
} talk_commands[] = {
    {"help", do_help},       {"channel", do_channel}, {"from", do_from},
    {"members", do_members}, {"quit", do_quit},
};

static void run_command(struct chat_talk *talk, const char *line)
{
    char name[32];
    size_t len = strcspn(line, " ");
    (void)snprintf(name, sizeof name, "%.*s", (int)(len < 31 ? len : 31), line);
    const char *argument = line + len + strspn(line + len, " ");
    int found = -1;
    for (size_t i = 0; i < MEM_COUNT(talk_commands) && len > 0; i++)
        if (str_starts_with(talk_commands[i].name, name))
            found = (int)i;
    if (found >= 0)
        talk_commands[found].run(talk, argument);
    else
        say(talk, "no such command; /help lists them");
}

static void take_line(struct chat_talk *talk, const char *line)
{
    if (line[strspn(line, " \t\r")] == '\0')
        return;
    if (line[0] == '/' && line[1] != '/') {
        run_command(talk, line + 1);
        return;
    }
    int rc = chat_send_add(&talk->send, talk->channel, line + (line[0] == '/'));
    if (rc == ERR_BUSY)
        say(talk, "-- not sent: too many messages wait for an answer --");
    else if (rc < 0)
        say(talk, "-- not sent: it is not UTF-8 --");
}

/* ---- readline -------------------------------------------------------------------------------- */

static char *complete_command(const char *text, int state)
{
    static size_t next;
    if (state == 0)
        next = 0;
    while (next < MEM_COUNT(talk_commands)) {
        char *word = mem_printf("/%s", talk_commands[next++].name);
        if (str_starts_with(word, text))
            return word;
        free(word);
    }
    return NULL;
}

static char **complete(const char *text, int start, int end)
{
    (void)end;
    rl_attempted_completion_over = 1;
    return start == 0 && text[0] == '/' ? rl_completion_matches(text, complete_command) : NULL;
}

static void on_line(char *line)
{
    struct chat_talk *talk = talk_now;
    line_end(talk->shell);
    if (line == NULL) {
        talk->is_over = true;
        return;
    }
    /* What was typed comes back as a message: the line goes. */
    if (line[0] != '/' && line[0] != '\0')
        (void)fprintf(rl_outstream, "\033[A\r\033[K");
    take_line(talk, line);
    free(line);
}

/* Ctrl-C takes what is typed; with nothing typed it ends the conversation. */
static void drop_input(struct chat_talk *talk)
{
    talk->is_over = rl_end == 0;
    line_drop(talk->shell);
}

/* Says once that a message waits for longer than usual. */
static void tell_late(struct chat_talk *talk)
{
    bool is_late = chat_send_is_late(&talk->send, TELL_LATE_MS);
    if (is_late && !talk->told_late)
        say(talk, "-- no answer yet: a majority of the chat's nodes must have a message --");
    talk->told_late = is_late;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static int64_t wait_ms(const struct chat_talk *talk)
{
    int64_t stream_ms = chat_stream_deadline_ms(&talk->stream);
    int64_t send_ms = chat_send_deadline_ms(&talk->send);
    int64_t deadline_ms = stream_ms < send_ms ? stream_ms : send_ms;
    if (deadline_ms == INT64_MAX)
        return 1000;
    int64_t left_ms = deadline_ms - clock_mono_ms();
    return left_ms < 0 ? 0 : left_ms < 1000 ? left_ms : 1000;
}

static void turn(struct chat_talk *talk)
{
    struct shell *shell = talk->shell;
    struct pollfd p[3] = {
        {.fd = talk->input_ended ? -1 : STDIN_FILENO, .events = POLLIN},
        {.fd = interrupt_fd(), .events = POLLIN},
        {.fd = client_fd(shell->client), .events = POLLIN},
    };
    int n = poll(p, 3, (int)wait_ms(talk));
    if (interrupt_wants_end()) {
        talk->is_over = true;
        return;
    }
    line_signals(shell);
    interrupt_quiet();
    if (interrupt_take()) {
        drop_input(talk);
        return;
    }
    if (n > 0 && p[2].revents != 0)
        client_dispatch(shell->client);
    chat_stream_work(&talk->stream);
    chat_send_work(&talk->send);
    tell_late(talk);
    output_settle(&shell->output);
    if (n > 0 && p[0].revents != 0)
        rl_callback_read_char();
}

static int talk_on_terminal(struct chat_talk *talk)
{
    rl_completion_func_t *completion = rl_attempted_completion_function;
    rl_command_func_t *tab = rl_function_of_keyseq("\t", emacs_standard_keymap, NULL);
    rl_attempted_completion_function = complete;
    (void)rl_bind_key_in_map('\t', rl_complete, emacs_standard_keymap);
    rl_voidfunc_t *redisplay = rl_redisplay_function;
    rl_redisplay_function = rl_redisplay; /* what is typed is no statement */
    line_init();
    talk_now = talk;
    interrupt_catch_all();
    listen(talk, talk->stream.from);
    while (!talk->is_over && !talk->stream.ended) {
        if (!line_is_open())
            line_begin(talk->shell, talk->prompt, on_line);
        turn(talk);
    }
    bool was_typing = line_is_open();
    line_end(talk->shell);
    if (was_typing)
        (void)fputs("\n", stdout);
    talk->is_over = true;
    while (!chat_send_is_idle(&talk->send) && !interrupt_take()) {
        shell_wait(talk->shell, chat_send_deadline_ms(&talk->send));
        chat_send_work(&talk->send);
    }
    rl_attempted_completion_function = completion;
    rl_redisplay_function = redisplay;
    (void)rl_bind_key_in_map('\t', tab != NULL ? tab : rl_complete, emacs_standard_keymap);
    talk_now = NULL;
    return talk->stream.status;
}

/* ---- without a terminal ---------------------------------------------------------------------- */

static int wait_for_answers(struct chat_talk *talk, unsigned left)
{
    while (talk->send.n > left) {
        shell_wait(talk->shell, chat_send_deadline_ms(&talk->send));
        chat_send_work(&talk->send);
        if (shell_take_interrupt(talk->shell))
            return SHELL_STATUS_INTERRUPTED;
    }
    return SHELL_STATUS_OK;
}

/* Each line is a message, whatever it begins with. False when it is left out, which was said. */
static bool send_input_line(struct chat_talk *talk, const char *line, size_t len, size_t number)
{
    const char *what = NULL;
    if (len > LINE_MAX_BYTES)
        what = "is longer than a message can be";
    else if (strlen(line) < len)
        what = "holds a NUL character";
    else if (line[strspn(line, " \t\r")] != '\0' &&
             chat_send_add(&talk->send, talk->channel, line) < 0)
        what = "is not UTF-8";
    if (what != NULL)
        shell_error(talk->shell, "not sent: line %zu %s", number, what);
    return what == NULL;
}

static int talk_from_input(struct chat_talk *talk)
{
    char *line = NULL;
    size_t cap = 0;
    size_t number = 0;
    ssize_t len;
    bool sent_all = true;
    int status = SHELL_STATUS_OK;
    while (status == SHELL_STATUS_OK && (len = getline(&line, &cap, stdin)) > 0) {
        if (line[len - 1] == '\n')
            line[--len] = '\0';
        sent_all = send_input_line(talk, line, (size_t)len, ++number) && sent_all;
        status = wait_for_answers(talk, CHAT_SEND_WAITING_MAX / 2);
    }
    free(line);
    if (status == SHELL_STATUS_OK)
        status = wait_for_answers(talk, 0);
    return status == SHELL_STATUS_OK && !sent_all ? SHELL_STATUS_FAILED : status;
}

int chat_talk(struct shell *shell, const char *channel, const char *from)
{
    struct chat_talk talk = {.shell = shell};
    int status = shell_connect(shell);
    if (status != SHELL_STATUS_OK)
        return status;
    live_fetch(&shell->live, LIVE_NODES); /* whom to turn to when this node dies */
    (void)snprintf(talk.channel, sizeof talk.channel, "%s",
                   channel != NULL ? channel : DEFAULT_CHANNEL);
    make_prompt(&talk);
    chat_send_init(&talk.send, shell);
    talk.send.names_texts = true;
    talk.stream.ended = true;
    talk.stream.from = from;
    bool on_terminal = isatty(STDIN_FILENO) && output_is_terminal(&shell->output);
    status = on_terminal ? talk_on_terminal(&talk) : talk_from_input(&talk);
    chat_stream_stop(&talk.stream);
    if (status == SHELL_STATUS_OK)
        status = talk.send.status;
    chat_send_done(&talk.send);
    return status;
}
