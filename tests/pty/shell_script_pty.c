/* Backslash commands at the prompt, Ctrl-C in every state, a node that goes away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/lib/report_file.h"
#include "tests/lib/shell_bed.h"

/* Statements and what becomes of them */

static void a_statement_waits_for_what_is_said_of_it(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "select 'a'\r");
    screen_wait_cursor(s, "      ...> ");
    screen_type(s, "\\p\r");
    screen_wait(s, "\nselect 'a'\n");
    screen_wait_cursor(s, "      ...> ");
    screen_type(s, ", 'b' \\g\r");
    screen_wait(s, "\n select 'a'");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "select 'dropped'\r\\r\r");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    shell_bed_run(bed, "\\p");
    assert_int_equal(screen_count(s, "\nselect 'dropped'\n"), 0);
    shell_bed_run(bed, "select one \\gx");
    screen_wait(s, "name    \342\224\202 it's");
}

static void results_go_to_files_and_commands_for_one_statement(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    char *line = mem_printf("select one \\g (format=csv) %s/out", bed->dir);
    shell_bed_run(bed, line);
    free(line);
    char *out = shell_bed_read(bed, "out");
    assert_string_equal(out, "n,name,nothing\n5,it's,\n");
    free(out);
    shell_bed_run(bed, "kv list \\g |tr a-z A-Z");
    screen_wait(s, "(0 ROWS)");
    shell_bed_run(bed, "\\w |cat -A");
    screen_wait(s, "kv list $\n");
    shell_bed_run(bed, "select one \\g /no/such/folder/x");
    screen_wait(s, "error: /no/such/folder/x: No such file or directory");
    shell_bed_run(bed, "select one;");
    screen_wait(s, "(1 row)");
}

static void one_row_becomes_variables(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    shell_bed_run(bed, "\\set my_nothing here");
    shell_bed_run(bed, "select one \\gset my_");
    shell_bed_run(bed, "\\echo :my_n :my_name :{?my_nothing}");
    screen_wait(s, "\n5 it's FALSE\n");
    shell_bed_run(bed, "select :my_n, :'my_name', :\"my_name\";");
    screen_wait(s, "select 5, 'it''s', \"it's\"");
    shell_bed_run(bed, "kv put k :my_name");
    shell_bed_run(bed, "kv get k");
    screen_wait(s, "\nit's\n");
    shell_bed_run(bed, "node show n2 \\gset node_");
    shell_bed_run(bed, "\\echo :node_name is :node_state");
    screen_wait(s, "\nn2 is online\n");
    shell_bed_run(bed, "select none \\gset");
    screen_wait(s, "error: \\gset: there is no row");
    shell_bed_run(bed, "select many \\gset");
    screen_wait(s, "error: \\gset: there is more than one row");
}

static void rows_run_as_statements_but_never_as_backslash_commands(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    shell_bed_run(bed, "\\set x 7");
    shell_bed_run(bed, "select cells \\gexec");
    screen_wait(s, "select :x\n");
    shell_bed_run(bed, "kv list -o csv");
    screen_wait(s, "\na,1,");
    screen_wait(s, "\nb,1,");
    shell_bed_run(bed, "\\cd :HOME");
    shell_bed_run(bed, "select evil \\gexec");
    screen_wait(s, "error: \\gexec runs SQL and commands, none that begin with a backslash");
    assert_int_equal(access("evil", F_OK), -1);
}

static void a_failure_can_be_looked_at(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    shell_bed_run(bed, "select wrong;");
    screen_wait(s, "error: no such thing\n  select wrong\n         ^\nhint: look again");
    shell_bed_run(bed, "\\errverbose");
    screen_wait(s, "code      \342\224\202 invalid");
    screen_wait(s, "statement \342\224\202 select wrong;");
    shell_bed_run(bed, "\\echo :ERROR :LAST_ERROR_CODE");
    screen_wait(s, "\ntrue invalid\n");
}

static void blocks_are_skipped_and_the_prompt_says_so(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "\\if false\r");
    screen_wait_cursor(s, "(leader n1)@> ");
    screen_type(s, "select 'skipped';\r");
    screen_wait_cursor(s, "(leader n1)@> ");
    screen_type(s, "\\else\r");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    shell_bed_run(bed, "\\echo shown");
    screen_type(s, "\\endif\r");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    assert_int_equal(screen_count(s, "\n select 'skipped'"), 0);
    screen_type(s, "\\if no\r");
    screen_wait_cursor(s, "(leader n1)@> ");
    screen_type(s, "\003");
    screen_wait(s, "\\if: left its block");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
}

static void a_line_is_asked_for(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "\\prompt 'which one? ' which\r");
    screen_wait_cursor(s, "which one? ");
    screen_type(s, "that one\r");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    shell_bed_run(bed, "\\echo it is :which");
    screen_wait(s, "\nit is that one\n");
    screen_type(s, "\\prompt 'again? ' which\r");
    screen_wait_cursor(s, "again? ");
    screen_type(s, "\003");
    screen_wait(s, "error: \\prompt: nothing was typed");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
}

static void the_prompt_is_what_its_variable_says(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "\\set PROMPT1 '%n/%l%R%x> '\r");
    screen_wait_cursor(s, "\nn1/n1> " + 1);
    screen_type(s, "\\set PROMPT2 '%w%R '\r");
    screen_type(s, "select wrong;\r");
    screen_wait_cursor(s, "n1/n1!> ");
    fake_cluster_set_leader(bed->cluster, "n3");
    screen_wait_cursor(s, "n1/n3!> ");
    screen_type(s, "select (\r");
    screen_wait_cursor(s, "        ( ");
}

static void tables_come_from_files_and_go_to_them(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    const char *path = shell_bed_write(bed, "in.csv", "id,name\n1,'x'\n2,\n");
    char *line = mem_printf("\\copy trips from '%s'", path);
    shell_bed_run(bed, line);
    free(line);
    screen_wait(s, "COPY 2");
    char *change = fake_cluster_last_sql(bed->cluster);
    assert_string_equal(change, "INSERT INTO trips (\"id\", \"name\") VALUES ('1','''x'''),"
                                "('2',NULL)");
    free(change);
    line = mem_printf("\\copy (select one) to '%s/out.jsonl'", bed->dir);
    shell_bed_run(bed, line);
    free(line);
    screen_wait(s, "COPY 1");
    char *out = shell_bed_read(bed, "out.jsonl");
    assert_string_equal(out, "{\"n\":5,\"name\":\"it's\",\"nothing\":null}\n");
    free(out);
    shell_bed_run(bed, "\\copy trips from nowhere.csv");
    screen_wait(s, "error: nowhere.csv: No such file or directory");
}

/* Completion of what only a live cluster knows */

static void tab_knows_functions_columns_of_the_cluster_and_variables(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "\\ti\t");
    screen_wait_cursor(s, "> \\timing ");
    screen_type(s, "\025select regexp_m\t");
    screen_wait_cursor(s, "> select regexp_matches(");
    screen_type(s, "\025SELECT REI\t");
    screen_wait_cursor(s, "> SELECT REINDEX ");
    screen_type(s, "\025select sub from cluster.jobs where subm\t");
    screen_wait_cursor(s, "where submitted_at ");
    screen_type(s, "\025\\set mine 1\r");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "select :mi\t");
    screen_wait_cursor(s, "> select :mine ");
    screen_type(s, "\025\\pset for\tjsonl\t");
    screen_wait_cursor(s, "> \\pset format jsonl ");
    screen_type(s, "\025\\c n\t\t");
    screen_wait(s, "n2  online");
}

/* Ctrl-C */

static void ctrl_c_ends_what_runs_in_every_state(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "select hold;\r"); /* SQL */
    screen_wait(s, "stage 1 of 2");
    screen_type(s, "\003");
    fake_cluster_wait_closed(bed->cluster, 1);
    screen_wait(s, "error: interrupted");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "select one \\watch 0.1\r"); /* \watch */
    screen_wait_count(s, "(1 row)", 2);
    screen_type(s, "\003");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "select (\r"); /* several lines */
    screen_wait_cursor(s, "(> ");
    screen_type(s, "'a\003");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "job l\t\t\003"); /* completion */
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "\\! echo be''gun; read x\r"); /* a command of this machine */
    screen_wait(s, "\nbegun\n");
    screen_type(s, "\003");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    shell_bed_run(bed, "\\echo still here");
    screen_wait(s, "\nstill here\n");
}

static void a_pager_keeps_ctrl_c_for_itself(void **state)
{
    struct shell_bed *bed = *state;
    /* Runs until it has caught four: a signal just before `read` would not end it. */
    const char *path =
        shell_bed_script(bed, "pager",
                         "#!/bin/sh\nn=0\ntrap 'n=$((n + 1)); echo caught it' INT\ncat >/dev/null\n"
                         "echo paging\nwhile [ $n -lt 4 ]; do :; done\nread x </dev/tty\n");
    assert_int_equal(setenv("PAGER", path, 1), 0);
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "select many;\r");
    screen_wait(s, "\npaging\n");
    for (unsigned i = 1; i <= 4; i++) {
        screen_type(s, "\003");
        screen_wait_count(s, "caught it\n", i);
    }
    screen_type(s, "\r");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    assert_int_equal(setenv("PAGER", "", 1), 0);
}

/* The chat */

static void a_message_that_fails_is_named_above_the_line(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "chat\r");
    screen_wait(s, "anna: message 2");
    screen_wait_cursor(s, "#general> ");
    screen_type(s, "first text\rhalf of the second");
    screen_wait(s,
                "error: not sent: \"first text\": a message has at most 3 bytes\nhint: say less\n");
    screen_wait_cursor(s, "#general> half of the second");
    screen_type(s, "\025/he\t");
    screen_wait_cursor(s, "#general> /help ");
    screen_type(s, "\003");
    screen_wait_cursor(s, "#general> ");
    screen_type(s, "\004");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    shell_bed_run(bed, "chat tail -n 0");
    shell_bed_run(bed, "chat tail --from 2");
    screen_wait_count(s, "anna: message 2", 2);
    assert_int_equal(screen_count(s, "anna: message 2"), 2);
    screen_type(s, "job lis\t");
    screen_wait_cursor(s, "> job list ");
}

/* A node that goes away */

static void a_query_is_asked_again_a_change_is_not(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    shell_bed_run(bed, "select 'break';");
    screen_wait(s, "\n select 'break'\n(1 row)");
    assert_int_equal(screen_count(s, "error"), 0);
    fake_cluster_break_again(bed->cluster);
    shell_bed_run(bed, "insert into t values ('break');");
    screen_wait(s, "error: the connection to ");
    screen_wait(s, "hint: it may have been done: look before you repeat it");
    shell_bed_run(bed, "\\echo :LAST_ERROR_CODE");
    screen_wait(s, "\noutcome_unknown\n");
}

/* A report in place of the cluster */

static void a_replay_shows_in_the_prompt_and_goes_to_another_time(void **state)
{
    static const char frames[] =
        "{\"at\":\"2026-11-20T20:15:00Z\",\"cursor\":\"a\",\"nodes\":[{\"name\":\"web1\"}],"
        "\"elections\":[{\"group\":\"cluster\",\"leader\":\"web1\",\"term\":1}]}\n";
    static const char events[] =
        "{\"id\":\"web1:1\",\"at\":\"2026-11-20T20:15:10Z\",\"kind\":\"raft.lead\",\"table\":"
        "\"elections\",\"key\":\"cluster\",\"row\":{\"leader\":\"web2\\u001b[2J\"}}\n"
        "{\"id\":\"web1:2\",\"at\":\"2026-11-20T20:15:03Z\",\"kind\":\"log.record\",\"text\":"
        "\"\\ud800\"}\n"
        "{\"id\":\"web1:3\",\"at\":\"2026-11-20T20:15:04Z\",\"kind\":\"log.record\",\"text\":7}"
        "\nnot\n";
    static const struct report_file_member members[] = {{"frames.jsonl", frames, 0},
                                                        {"events.jsonl", events, 0}};
    struct shell_bed *bed = *state;
    char *path = mem_printf("%s/report", bed->dir);
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    assert_int_equal(report_file_write(path,
                                       "\"format\":1,\"at\":\"2026-11-20T20:15:20Z\",\"node\":"
                                       "\"web1\",\"version\":\"1\"",
                                       members, 2),
                     0);
    const char *const arguments[] = {"--replay", path, NULL};
    struct screen *s = shell_bed_open_as(bed, "xterm-256color", 60, 120, arguments);
    screen_wait(s, "from 11-20 20:15:00.000 to 11-20 20:15:20.000");
    screen_wait_cursor(s, "clustersh web1 (replay of 11-20 20:15:20.000, leader web2\\x1b[2J)> ");
    screen_type(s, "\\at -15s\r");
    screen_wait_cursor(s, "clustersh web1 (replay of 11-20 20:15:05.000, leader web1)> ");
    screen_type(s, "node show w\t");
    screen_wait_cursor(s, "> node show web1 ");
    screen_type(s, "\r");
    screen_wait(s, "\nname          \342\224\202 web1\n");
    screen_type(s, "node drain web1\r");
    screen_wait(s, "nothing can be changed");
    screen_wait_cursor(s, "leader web1)> ");
    screen_type(s,
                "select name from clus\t.no\t where na\t\025"); /* what SQL has is completed too */
    screen_type(s, "select count(*) from range(100000000000) a, range(1000);\r");
    screen_wait(s, "tasks, ");
    screen_type(s, "\003");
    screen_wait(s, "error: interrupted\n");
    screen_wait_cursor(s, "leader web1)> ");
    screen_type(s, "select name || '!' as n from cluster.nodes;\r");
    screen_wait(s, "\n web1!\n");
    screen_wait_cursor(s, "leader web1)> ");
    screen_type(s, "select count(*) || ' of ' || max(id) as n from cluster.events;\r");
    screen_wait(s, "\n 2 of web1:3\n"); /* what is damaged spoils nothing else */
    screen_wait_cursor(s, "leader web1)> ");
    screen_type(s, "\\c unix:/nonexistent\r"); /* which would leave the replay */
    screen_wait(s, "/nonexistent: ");
    screen_wait_cursor(s, "leader web1)> ");
    screen_type(s, "\004");
    assert_int_equal(screen_wait_exit(s), 0);
    free(path);
}

int main(void)
{
    shell_bed_environment();
#define CASE(name) cmocka_unit_test_setup_teardown(name, shell_bed_set_up, shell_bed_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_statement_waits_for_what_is_said_of_it),
        CASE(results_go_to_files_and_commands_for_one_statement),
        CASE(one_row_becomes_variables),
        CASE(rows_run_as_statements_but_never_as_backslash_commands),
        CASE(a_failure_can_be_looked_at),
        CASE(blocks_are_skipped_and_the_prompt_says_so),
        CASE(a_line_is_asked_for),
        CASE(the_prompt_is_what_its_variable_says),
        CASE(tables_come_from_files_and_go_to_them),
        CASE(tab_knows_functions_columns_of_the_cluster_and_variables),
        CASE(ctrl_c_ends_what_runs_in_every_state),
        CASE(a_pager_keeps_ctrl_c_for_itself),
        CASE(a_message_that_fails_is_named_above_the_line),
        CASE(a_query_is_asked_again_a_change_is_not),
        CASE(a_replay_shows_in_the_prompt_and_goes_to_another_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
