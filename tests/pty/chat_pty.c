/* A conversation on a terminal, with a real node. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/lib/screen.h"

struct world {
    char dir[64];
    char *endpoint;
    pid_t node;
    struct screen *screen;
};

static char *program(const char *name)
{
    const char *top = getenv("TOP_BUILDDIR");
    return mem_printf("%s/%s", top != NULL ? top : ".", name);
}

/* Starts a node and waits for its line; the rest of what it says goes to a file. */
static void start_node(struct world *w)
{
    char *clusterd = program("clusterd");
    char *log = mem_printf("%s/log", w->dir);
    char *data = mem_printf("%s/data", w->dir);
    int ends[2];
    char line[512];
    size_t len = 0;
    assert_int_equal(pipe(ends), 0);
    w->node = fork();
    assert_true(w->node >= 0);
    if (w->node == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        if (freopen(log, "w", stderr) == NULL)
            _exit(1);
        (void)execl(clusterd, "clusterd", "dev", "--data", data, "-o", "peer.listen=127.0.0.1:0",
                    "-o", "api.listen=none", "-o", "data.listen=127.0.0.1:0", "-o",
                    "chat.heartbeat_interval_ms=100", (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    while (len < sizeof line - 1) {
        ssize_t n = read(ends[0], line + len, sizeof line - 1 - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            fail_msg("the node ended before it was ready");
        len += (size_t)n;
        line[len] = '\0';
        if (strchr(line, '\n') != NULL)
            break;
    }
    (void)close(ends[0]);
    char *space = strchr(line, ' ');
    assert_non_null(space);
    w->endpoint = mem_strndup(space + 1, strcspn(space + 1, " \n"));
    assert_int_equal(setenv("CLUSTERSH_ENDPOINT", w->endpoint, 1), 0);
    free(data);
    free(log);
    free(clusterd);
}

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/chat_pty.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(setenv("HOME", w->dir, 1), 0);
    start_node(w);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    screen_close(w->screen);
    (void)kill(w->node, SIGTERM);
    (void)waitpid(w->node, NULL, 0);
    char *remove = mem_printf("rm -rf %s", w->dir);
    assert_int_equal(system(remove), 0); /* NOLINT */
    free(remove);
    free(w->endpoint);
    free(w);
    return 0;
}

static struct screen *open_chat(struct world *w, const char *option)
{
    char *path = program("clustersh");
    const char *const argv[] = {path, "chat", option, NULL};
    w->screen = screen_open(&(struct screen_options){argv, "xterm-256color", 24, 80});
    screen_wait_cursor(w->screen, "> ");
    free(path);
    return w->screen;
}

/* Another client. */
static void say(const char *text, const char *channel)
{
    char *path = program("clustersh");
    char *command = mem_printf("%s chat send -C %s -- '%s'", path, channel, text);
    assert_int_equal(system(command), 0); /* NOLINT */
    free(command);
    free(path);
}

static void what_is_typed_is_said_and_shown_once(void **state)
{
    struct screen *s = open_chat(*state, NULL);
    screen_type(s, "hello everybody\r");
    screen_wait(s, ": hello everybody\n");
    screen_wait_cursor(s, "#general> ");
    assert_int_equal(screen_count(s, "hello everybody"), 1);
}

static void a_line_that_is_being_typed_survives_what_comes(void **state)
{
    struct screen *s = open_chat(*state, NULL);
    screen_type(s, "half a thou");
    screen_wait_cursor(s, "#general> half a thou");
    say("an interruption", "general");
    screen_wait(s, ": an interruption\n#general> half a thou\n");
    screen_wait_cursor(s, "#general> half a thou");
    screen_type(s, "ght\r");
    screen_wait(s, ": half a thought\n");
}

static void a_long_line_survives_too(void **state)
{
    struct screen *s = open_chat(*state, NULL);
    const char *words = "one two three four five six seven eight nine ten eleven twelve thirteen "
                        "fourteen fifteen sixteen";
    screen_type(s, words);
    screen_wait_cursor(s, "sixteen");
    say("an interruption", "general");
    screen_wait(s, ": an interruption\n#general> one two three");
    screen_wait_cursor(s, "sixteen");
    assert_int_equal(screen_count(s, "one two three"), 1);
    assert_int_equal(screen_count(s, "sixteen"), 1);
}

static void escapes_in_a_message_are_shown_and_not_obeyed(void **state)
{
    struct screen *s = open_chat(*state, NULL);
    say("before", "general");
    screen_wait(s, ": before\n");
    say("\033[2J\033]0;mine\007gone", "general");
    screen_wait(s, "\\x1b[2J\\x1b]0;mine\\x07gone");
    screen_wait(s, ": before\n");
}

static void slash_commands_are_no_messages(void **state)
{
    struct screen *s = open_chat(*state, NULL);
    screen_type(s, "/help\r");
    screen_wait(s, "/channel NAME");
    screen_type(s, "/mem\r");
    screen_wait(s, "priority");
    screen_type(s, "/nonsense\r");
    screen_wait(s, "no such command");
    screen_type(s, "//slash\r");
    screen_wait(s, ": /slash\n");
    screen_type(s, "/quit\r");
    assert_int_equal(screen_wait_exit(s), 0);
}

static void another_channel_is_another_conversation(void **state)
{
    struct screen *s = open_chat(*state, NULL);
    say("for operators", "ops");
    screen_type(s, "/channel ops\r");
    screen_wait(s, ": for operators\n");
    screen_wait_cursor(s, "#ops> ");
    say("for all", "general");
    say("more for operators", "ops");
    screen_wait(s, ": more for operators\n");
    assert_int_equal(screen_count(s, "for all"), 0);
}

static void a_wrong_place_to_begin_ends_nothing(void **state)
{
    struct screen *s = open_chat(*state, NULL);
    say("of old", "general");
    screen_wait(s, ": of old\n");
    screen_type(s, "/from yesterday\r");
    screen_wait(s, "from which number or time?");
    screen_type(s, "/from 0\r");
    screen_wait_cursor(s, "#general> ");
    screen_type(s, "still here\r");
    screen_wait(s, ": still here\n");
    assert_int_equal(screen_count(s, ": of old"), 2);
}

static void tab_completes_commands(void **state)
{
    struct screen *s = open_chat(*state, NULL);
    screen_type(s, "/ch\t");
    screen_wait_cursor(s, "#general> /channel ");
}

static void ctrl_c_drops_what_is_typed_and_then_leaves(void **state)
{
    struct screen *s = open_chat(*state, NULL);
    screen_type(s, "not meant");
    screen_wait_cursor(s, "not meant");
    screen_type(s, "\003");
    screen_wait_cursor(s, "#general> ");
    screen_type(s, "\004");
    assert_int_equal(screen_wait_exit(s), 0);
}

static void a_node_that_comes_back_is_listened_to_again(void **state)
{
    struct world *w = *state;
    struct screen *s = open_chat(w, NULL);
    say("first", "general");
    screen_wait(s, ": first\n");
    (void)kill(w->node, SIGKILL);
    (void)waitpid(w->node, NULL, 0);
    free(w->endpoint);
    start_node(w);
    say("second", "general");
    screen_wait(s, ": second\n");
    assert_int_equal(screen_count(s, ": first"), 1);
}

static void a_channel_where_nobody_spoke_is_listened_to_again(void **state)
{
    struct world *w = *state;
    struct screen *s = open_chat(w, NULL);
    screen_type(s, "/channel quiet\r");
    screen_wait_cursor(s, "#quiet> ");
    say("elsewhere", "general"); /* by now the node has answered */
    screen_type(s, "/from 0\r");
    screen_wait_cursor(s, "#quiet> ");
    (void)kill(w->node, SIGKILL);
    (void)waitpid(w->node, NULL, 0);
    free(w->endpoint);
    start_node(w);
    say("at last", "quiet");
    screen_wait(s, ": at last\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_typed_is_said_and_shown_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_that_is_being_typed_survives_what_comes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_long_line_survives_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(escapes_in_a_message_are_shown_and_not_obeyed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(slash_commands_are_no_messages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_channel_is_another_conversation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_place_to_begin_ends_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tab_completes_commands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_channel_where_nobody_spoke_is_listened_to_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ctrl_c_drops_what_is_typed_and_then_leaves, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_node_that_comes_back_is_listened_to_again, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("chat on a terminal", tests, NULL, NULL);
}
