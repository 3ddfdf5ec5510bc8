/* clustersh on a terminal, against a fake cluster. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/lib/fake_cluster.h"
#include "tests/lib/screen.h"

static const char prompt[] = "clustersh n1 (leader n1)> ";

struct world {
    char dir[64];
    char socket_path[96];
    char history[96];
    struct fake_cluster *cluster;
    struct screen *screen;
};

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/clustersh_pty.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->socket_path, sizeof w->socket_path, "%s/api.sock", w->dir);
    (void)snprintf(w->history, sizeof w->history, "%s/history", w->dir);
    char *endpoint = mem_printf("unix:%s", w->socket_path);
    assert_int_equal(setenv("CLUSTERSH_ENDPOINT", endpoint, 1), 0);
    assert_int_equal(setenv("CLUSTERSH_HISTORY", w->history, 1), 0);
    assert_int_equal(setenv("HOME", w->dir, 1), 0);
    free(endpoint);
    w->cluster = fake_cluster_new(w->socket_path);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    screen_close(w->screen);
    fake_cluster_free(w->cluster);
    (void)unlink(w->history);
    (void)rmdir(w->dir);
    free(w);
    return 0;
}

static void open_sized(struct world *w, const char *term, unsigned short rows,
                       unsigned short columns)
{
    const char *top = getenv("TOP_BUILDDIR");
    char *path = mem_printf("%s/clustersh", top != NULL ? top : ".");
    const char *const argv[] = {path, NULL};
    screen_close(w->screen);
    w->screen = screen_open(&(struct screen_options){argv, term, rows, columns});
    free(path);
}

static struct screen *open_shell(struct world *w)
{
    open_sized(w, "xterm-256color", 24, 80);
    screen_wait_cursor(w->screen, prompt);
    return w->screen;
}

/* The prompt */

static void the_prompt_shows_the_node_and_the_leader_as_they_change(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_wait(s, "clusterd 0.1.0 at unix:");
    fake_cluster_set_leader(w->cluster, "n2");
    screen_wait_cursor(s, "clustersh n1 (leader n2)> ");
    fake_cluster_set_leader(w->cluster, NULL);
    screen_wait_cursor(s, "clustersh n1 (no leader)> ");
    screen_type(s, "raft transfer n3\r");
    screen_wait_cursor(s, "clustersh n1 (leader n3)> ");
}

static void what_is_typed_survives_a_new_prompt(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "node li");
    screen_wait_cursor(s, "(leader n1)> node li");
    fake_cluster_set_leader(w->cluster, "n2");
    screen_wait_cursor(s, "(leader n2)> node li");
    screen_type(s, "st\r");
    screen_wait(s, "(3 rows)");
}

static void ctrl_d_leaves(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "\004");
    assert_int_equal(screen_wait_exit(s), 0);
}

static void quit_leaves(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "\\echo a; b\r");
    screen_wait(s, "\na; b\n");
    screen_wait_cursor(s, prompt);
    screen_type(s, "quit\r");
    assert_int_equal(screen_wait_exit(s), 0);
}

static void sigterm_leaves_the_terminal_in_order(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    size_t len;
    screen_type(s, "half a li");
    screen_wait_cursor(s, "half a li");
    screen_signal(s, SIGTERM);
    assert_int_equal(screen_wait_exit(s), 0);
    const char *raw = screen_raw(s, &len);
    const char *on = strstr(raw, "\033[?2004h");
    assert_true(on == NULL || strstr(on, "\033[?2004l") != NULL);
}

static void the_rc_file_runs_first(void **state)
{
    struct world *w = *state;
    char *path = mem_printf("%s/rc", w->dir);
    char *folder = mem_printf("%s/clustersh", w->dir);
    char *inside = mem_printf("%s/rc", folder);
    (void)mkdir(folder, 0700);
    FILE *file = fopen(inside, "we");
    (void)fputs("\\pset format csv\n\\echo hello from rc\n", file);
    (void)fclose(file);
    assert_int_equal(setenv("XDG_CONFIG_HOME", w->dir, 1), 0);
    struct screen *s = open_shell(w);
    screen_wait(s, "hello from rc");
    screen_type(s, "kv list\r");
    screen_wait(s, "key,version,bytes,updated_at");
    (void)unsetenv("XDG_CONFIG_HOME");
    (void)unlink(inside);
    (void)rmdir(folder);
    free(path);
    free(folder);
    free(inside);
}

/* Completion */

static void tab_completes_commands_and_options(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "no\t");
    screen_wait_cursor(s, "> node ");
    screen_type(s, "li\t--o\tcs\t");
    screen_wait_cursor(s, "> node list --output csv ");
    screen_type(s, "\r");
    screen_wait(s, "name,state,leader");
}

static void tab_twice_lists_what_could_follow(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "job l\t\t");
    screen_wait(s, "list  List jobs, newest first");
    screen_wait(s, "logs  Print what a job wrote");
    screen_wait_cursor(s, "> job l");
}

static void tab_knows_nodes_groups_and_jobs_of_the_cluster(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "job submit --name sorting -- hold\r");
    screen_wait(s, "4f120001-");
    screen_wait_cursor(s, prompt);
    screen_type(s, "job cancel 4\t");
    screen_wait_cursor(s, "job cancel 4f120001 ");
    screen_type(s, "\025node show \t\t");
    screen_wait(s, "n3  online");
    screen_type(s, "\025exec @la\tgp\t");
    screen_wait_cursor(s, "exec @label=gpu ");
    screen_type(s, "\025job show \t\t");
    screen_wait(s, "4f120001  sorting running");
}

static void tab_knows_tables_and_their_columns(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "sel\t");
    screen_wait_cursor(s, "> select ");
    screen_type(s, "* from sal\t");
    screen_wait_cursor(s, "select * from sales.daily ");
    screen_type(s, "\025select a from tr\t");
    screen_wait_cursor(s, "select a from trips ");
    screen_type(s, "where dist\t");
    screen_wait_cursor(s, "where dist");
    screen_type(s, "a\t");
    screen_wait_cursor(s, "where distance ");
}

static void tab_quotes_files_that_need_it(void **state)
{
    struct world *w = *state;
    char *path = mem_printf("%s/two words", w->dir);
    char *keys = mem_printf("file upload %s/two\t", w->dir);
    (void)fclose(fopen(path, "we"));
    struct screen *s = open_shell(w);
    screen_type(s, keys);
    screen_wait_cursor(s, "two words' ");
    screen_type(s, "\r");
    screen_wait(s, "f1");
    (void)unlink(path);
    free(path);
    free(keys);
}

static void tab_does_not_hang_when_the_cluster_is_away(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    fake_cluster_stop(w->cluster);
    screen_type(s, "kv get \t\tabc");
    screen_wait_cursor(s, "kv get abc");
    screen_type(s, "\025no\t");
    screen_wait_cursor(s, "> node ");
    fake_cluster_start(w->cluster);
}

/* Ctrl-C */

static void ctrl_c_drops_what_is_typed_and_nothing_else(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "node lis");
    screen_wait_cursor(s, "node lis");
    screen_type(s, "\003");
    screen_wait(s, "node lis^C\nclustersh n1");
    screen_wait_cursor(s, prompt);
    screen_type(s, "kv put 'a\rb");
    screen_wait_cursor(s, "'> b");
    screen_type(s, "\003");
    screen_wait_cursor(s, prompt);
    screen_type(s, "status\r");
    screen_wait(s, "resident");
    screen_wait_cursor(s, prompt);
}

static void ctrl_c_stops_a_running_exec_and_not_the_shell(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "exec @all --live hold\r");
    screen_wait(s, "n3: holding");
    screen_type(s, "\003");
    screen_wait(s, "\nerror: interrupted: stopped on n[1-3]");
    fake_cluster_wait_closed(w->cluster, 1);
    screen_wait_cursor(s, prompt);
    screen_type(s, "exec n1 echo after\r");
    screen_wait(s, "\nafter\n");
}

static void an_exec_that_takes_long_tells_who_is_waited_for(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "exec n[1-2] hold\r");
    screen_wait(s, "0 of 2 done in ");
    screen_wait(s, "waiting for n[1-2]");
    screen_type(s, "\003");
    screen_wait(s, "\nn[1-2] (2)\n");
    screen_wait_gone(s, "waiting for n[1-2]");
    screen_wait_cursor(s, prompt);
}

static void ctrl_c_stops_following_and_the_job_goes_on(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "job submit -- slow\r");
    screen_wait(s, "4f120001-");
    screen_type(s, "job logs -f last\r");
    screen_wait(s, "\nstarted\n");
    screen_type(s, "\003");
    screen_wait(s, "hint: the job goes on");
    screen_wait_cursor(s, prompt);
    screen_type(s, "job logs -f last\r");
    fake_cluster_finish(w->cluster);
    screen_wait(s, "\nfinished\n");
    screen_wait_cursor(s, prompt);
}

static void ctrl_c_cancels_a_job_that_runs_in_front(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "job run -- slow\r");
    screen_wait(s, "\nstarted\n");
    screen_type(s, "\003");
    screen_wait(s, "cancelling job 4f120001-");
    screen_wait_cursor(s, prompt);
    char *change = fake_cluster_last_change(w->cluster);
    assert_non_null(strstr(change, "/cancel? {\"reason\":\"interrupted\"}"));
    free(change);
}

static void watch_repeats_until_ctrl_c(void **state)
{
    struct world *w = *state;
    open_sized(w, "xterm-256color", 50, 200);
    struct screen *s = w->screen;
    screen_wait_cursor(s, prompt);
    screen_type(s, "kv list \\watch 100ms\r");
    screen_wait_count(s, "(0 rows)", 3);
    screen_type(s, "\003");
    screen_wait_cursor(s, prompt);
}

/* History */

static void ctrl_r_finds_an_earlier_statement(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "raft status\rstatus\r");
    screen_wait(s, "resident");
    screen_wait_cursor(s, prompt);
    screen_type(s, "\022raf");
    screen_wait(s, "(reverse-i-search)`raf': raft status");
    screen_type(s, "\003");
    screen_wait(s, "^C"); /* the line of the search is the prompt's again before that */
    screen_wait_cursor(s, prompt);
    screen_type(s, "\022raf\r");
    screen_wait_count(s, "(3 rows)", 2);
}

static void a_statement_of_several_lines_is_one_history_item(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "kv put a 'one\r");
    screen_wait_cursor(s, "        '> ");
    screen_type(s, "two'\r");
    screen_wait(s, "version");
    screen_wait_cursor(s, prompt);
    screen_type(s, "kv \\\r");
    screen_wait_cursor(s, "      ...> ");
    screen_type(s, "list\r");
    screen_wait(s, "(1 row)");
    screen_wait_cursor(s, prompt);
    screen_type(s, "\020\020");
    screen_wait(s, "> kv put a 'one\ntwo'");
    screen_type(s, "\r");
    screen_wait(s, "version │ 2");
}

static void history_lasts_and_is_private(void **state)
{
    struct world *w = *state;
    struct stat st;
    struct screen *s = open_shell(w);
    screen_type(s, "kv list\rstatus\rkv list\r");
    screen_wait_count(s, "(0 rows)", 2);
    screen_wait_cursor(s, prompt);
    screen_type(s, "\004");
    assert_int_equal(screen_wait_exit(s), 0);
    assert_int_equal(stat(w->history, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    s = open_shell(w);
    screen_type(s, "\020");
    screen_wait_cursor(s, "> kv list");
    screen_type(s, "\020");
    screen_wait_cursor(s, "> status");
    screen_type(s, "\020\020");
    screen_wait_cursor(s, "> status");
}

static void a_history_that_cannot_be_written_is_said_once(void **state)
{
    struct world *w = *state;
    assert_int_equal(setenv("CLUSTERSH_HISTORY", "/proc/nowhere/history", 1), 0);
    struct screen *s = open_shell(w);
    screen_type(s, "\\echo one\r\\echo two\r\\echo three\r");
    screen_wait(s, "\nthree\n");
    screen_wait_cursor(s, prompt);
    assert_int_equal(screen_count(s, "warning: history /proc/nowhere/history"), 1);
    screen_type(s, "\020\020");
    screen_wait_cursor(s, "> \\echo two");
}

/* The server */

static void a_server_that_dies_is_one_line_and_is_found_again(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    fake_cluster_stop(w->cluster);
    screen_wait_cursor(s, "clustersh (no connection)> ");
    screen_wait(s, "error: the cluster is out of reach");
    fake_cluster_start(w->cluster);
    screen_wait_cursor(s, prompt);
    assert_int_equal(screen_count(s, "error:"), 1);
    screen_type(s, "kv list\r");
    screen_wait(s, "(0 rows)");
}

static void without_a_server_there_is_a_prompt_that_tries_again(void **state)
{
    struct world *w = *state;
    fake_cluster_stop(w->cluster);
    open_sized(w, "xterm-256color", 24, 80);
    struct screen *s = w->screen;
    screen_wait(s, "error: no connection to unix:");
    screen_wait_cursor(s, "clustersh (no connection)> ");
    screen_type(s, "node list\r");
    screen_wait(s, "hint: is clusterd running there?");
    screen_wait_cursor(s, "clustersh (no connection)> ");
    fake_cluster_start(w->cluster);
    screen_type(s, "kv list\r");
    screen_wait(s, "(0 rows)");
    screen_wait_cursor(s, prompt);
}

static void a_server_that_does_not_answer_is_left_for_the_next(void **state)
{
    struct world *w = *state;
    struct sockaddr_un silent = {.sun_family = AF_UNIX};
    (void)snprintf(silent.sun_path, sizeof silent.sun_path, "%s/silent.sock", w->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&silent, sizeof silent), 0);
    assert_int_equal(listen(fd, 16), 0);
    char *endpoints = mem_printf("unix:%s,unix:%s", silent.sun_path, w->socket_path);
    assert_int_equal(setenv("CLUSTERSH_ENDPOINT", endpoints, 1), 0);
    struct screen *s = open_shell(w);
    assert_int_equal(screen_count(s, "error:"), 0);
    (void)close(fd);
    (void)unlink(silent.sun_path);
    free(endpoints);
}

static void where_the_complaints_of_a_failed_job_are_is_said(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "job submit exit 4\rjob logs last\r");
    screen_wait(s, "hint: the job failed; job logs last --stderr shows its complaints");
    screen_wait_cursor(s, prompt);
    screen_type(s, "job logs last --stderr\r");
    screen_wait(s, "\nboom\n");
    screen_wait_cursor(s, prompt);
    assert_int_equal(screen_count(s, "hint:"), 1);
}

/* Terminals */

static void a_dumb_terminal_gets_no_escapes(void **state)
{
    struct world *w = *state;
    size_t len;
    open_sized(w, "dumb", 24, 80);
    struct screen *s = w->screen;
    screen_wait_cursor(s, prompt);
    screen_type(s, "kv put a 'x\ry'\rnode list\r");
    screen_wait(s, "(3 rows)");
    screen_type(s, "exec @all --live hold\r");
    screen_wait(s, "n3: holding");
    screen_type(s, "\003");
    screen_wait(s, "interrupted: stopped on n[1-3]");
    screen_wait_cursor(s, prompt);
    screen_type(s, "\004");
    assert_int_equal(screen_wait_exit(s), 0);
    const char *raw = screen_raw(s, &len);
    assert_null(memchr(raw, '\033', len));
}

static void a_small_terminal_shows_records_instead_of_a_wide_table(void **state)
{
    struct world *w = *state;
    open_sized(w, "xterm-256color", 10, 40);
    struct screen *s = w->screen;
    screen_wait_cursor(s, prompt);
    screen_type(s, "\\pset pager off\rnode list\r");
    screen_wait(s, "free mem \xe2\x94\x82 6.0 GiB\n");
    screen_wait_cursor(s, prompt);
}

static void a_large_terminal_shows_every_column(void **state)
{
    struct world *w = *state;
    open_sized(w, "xterm-256color", 50, 200);
    struct screen *s = w->screen;
    screen_wait_cursor(s, prompt);
    screen_type(s, "node list\r");
    screen_wait(s, "127.0.0.1:7400");
    screen_wait(s, "metadata,worker");
}

static void a_new_size_is_used_at_once(void **state)
{
    struct world *w = *state;
    open_sized(w, "xterm-256color", 50, 200);
    struct screen *s = w->screen;
    screen_wait_cursor(s, prompt);
    screen_type(s, "node list\r");
    screen_wait(s, "127.0.0.1:7400");
    screen_wait_cursor(s, prompt);
    screen_resize(s, 30, 80);
    screen_type(s, "\014node list\r");
    screen_wait(s, "metadata,w\xe2\x80\xa6");
    screen_wait_cursor(s, prompt);
}

static void a_long_result_goes_through_the_pager(void **state)
{
    struct world *w = *state;
    assert_int_equal(setenv("PAGER", "sed s/^/paged:/", 1), 0);
    open_sized(w, "xterm-256color", 10, 80);
    struct screen *s = w->screen;
    screen_wait_cursor(s, prompt);
    screen_type(s, "node show n1\r");
    screen_wait(s, "paged:id");
    screen_wait_cursor(s, prompt);
    screen_type(s, "\\pset pager off\r\014raft status\r");
    screen_wait(s, "\n n1   ");
    (void)unsetenv("PAGER");
}

static void meta_commands_set_the_shell(void **state)
{
    struct world *w = *state;
    struct screen *s = open_shell(w);
    screen_type(s, "\\timing\r\\x\rkv list\r");
    screen_wait(s, "timing is on");
    screen_wait(s, "expanded is on");
    screen_wait(s, "Time: ");
    screen_type(s, "\\! echo from $((40+2))\r");
    screen_wait(s, "from 42");
    screen_type(s, "\\connect http://127.0.0.1:1\r");
    screen_wait(s, "error: no connection to http://127.0.0.1:1");
    screen_wait(s, "hint: the connection to unix:");
    screen_wait_cursor(s, prompt);
    screen_type(s, "\\connect nonsense://x\r");
    screen_wait(s, "it must be unix:PATH");
}

int main(void)
{
    (void)setenv("LC_ALL", "C.UTF-8", 1);
    (void)setenv("INPUTRC", "/dev/null", 1);
    (void)setenv("PAGER", "", 1);
    (void)unsetenv("NO_COLOR");
    (void)unsetenv("CLUSTERSH_PAGER");
    (void)unsetenv("CLUSTERSH_TOKEN");
    (void)unsetenv("XDG_CONFIG_HOME");
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_prompt_shows_the_node_and_the_leader_as_they_change),
        CASE(what_is_typed_survives_a_new_prompt),
        CASE(ctrl_d_leaves),
        CASE(quit_leaves),
        CASE(sigterm_leaves_the_terminal_in_order),
        CASE(the_rc_file_runs_first),
        CASE(tab_completes_commands_and_options),
        CASE(tab_twice_lists_what_could_follow),
        CASE(tab_knows_nodes_groups_and_jobs_of_the_cluster),
        CASE(tab_knows_tables_and_their_columns),
        CASE(tab_quotes_files_that_need_it),
        CASE(tab_does_not_hang_when_the_cluster_is_away),
        CASE(ctrl_c_drops_what_is_typed_and_nothing_else),
        CASE(ctrl_c_stops_a_running_exec_and_not_the_shell),
        CASE(an_exec_that_takes_long_tells_who_is_waited_for),
        CASE(ctrl_c_stops_following_and_the_job_goes_on),
        CASE(ctrl_c_cancels_a_job_that_runs_in_front),
        CASE(watch_repeats_until_ctrl_c),
        CASE(ctrl_r_finds_an_earlier_statement),
        CASE(a_statement_of_several_lines_is_one_history_item),
        CASE(history_lasts_and_is_private),
        CASE(a_history_that_cannot_be_written_is_said_once),
        CASE(a_server_that_dies_is_one_line_and_is_found_again),
        CASE(without_a_server_there_is_a_prompt_that_tries_again),
        CASE(a_server_that_does_not_answer_is_left_for_the_next),
        CASE(where_the_complaints_of_a_failed_job_are_is_said),
        CASE(a_dumb_terminal_gets_no_escapes),
        CASE(a_small_terminal_shows_records_instead_of_a_wide_table),
        CASE(a_large_terminal_shows_every_column),
        CASE(a_new_size_is_used_at_once),
        CASE(a_long_result_goes_through_the_pager),
        CASE(meta_commands_set_the_shell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
