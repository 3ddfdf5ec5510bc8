/* The line that is typed: colours, history, editor, suspending, what stands above it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/lib/shell_bed.h"

enum { RED = 1, GREEN = 2, YELLOW = 3, BLUE = 4, MAGENTA = 5, CYAN = 6, NONE = -1 };

/* Colours */

static void what_is_typed_is_coloured_as_it_is_typed(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "selec");
    screen_wait_cursor(s, "> selec");
    screen_wait_color(s, "selec", NONE);
    screen_type(s, "t");
    screen_wait_color(s, "select", BLUE);
    screen_type(s, " 'abc");
    screen_wait_color(s, "'abc", RED);
    screen_type(s, "', 15, max(x)");
    screen_wait_color(s, "'abc'", GREEN);
    screen_wait_color(s, "15", MAGENTA);
    screen_wait_color(s, "max", CYAN);
    screen_wait_color(s, "x)", NONE);
    screen_type(s, "\001"); /* the cursor stays where the editing is */
    screen_wait_cursor(s, "(leader n1)> ");
    screen_type(s, "-- \005");
    screen_wait_cursor(s, "-- select 'abc', 15, max(x)");
    screen_type(s, "\025node list --output json");
    screen_wait_color(s, "node list", CYAN);
    screen_wait_color(s, "--output", CYAN);
    screen_wait_color(s, "json", NONE);
    screen_type(s, "\025nosuch thing");
    screen_wait_cursor(s, "nosuch thing");
    screen_type(s, "; ");
    screen_wait_color(s, "nosuch", RED);
}

static void wide_characters_and_several_rows_keep_their_places(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open_as(bed, "xterm-256color", 24, 40, NULL);
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "select '\346\227\245\346\234\254', "
                   "'one', 'two', 'three', 'four', 'five', 22");
    screen_wait_color(s, "22", MAGENTA);
    screen_wait_cursor(s, "22");
    screen_wait_color(s, "'two'", GREEN);
    screen_wait(s, "'\346\227\245\346\234\254'");
    screen_type(s, "\001\033d\033d"); /* two words at the beginning go */
    screen_wait_gone(s, "\346\227\245");
    screen_type(s, "\005");
    screen_wait_cursor(s, "22");
    screen_resize(s, 24, 60);
    screen_type(s, "3");
    screen_wait_cursor(s, "223");
    assert_int_equal(screen_count(s, "'three'"), 1);
}

static void further_lines_know_the_ones_before(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "select 'a\r");
    screen_wait_cursor(s, "        '> ");
    screen_type(s, "b' from");
    screen_wait_color(s, "b'", GREEN);
    screen_wait_color(s, "from", BLUE);
    screen_type(s, " /* x\r");
    screen_wait_cursor(s, "        *> ");
    screen_type(s, "*/ (\r");
    screen_wait_cursor(s, "        (> ");
    screen_type(s, ") t\r");
    screen_wait_cursor(s, "      ...> ");
    screen_type(s, ";\r");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
}

static void a_paste_of_several_lines_is_coloured_and_runs(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "\033[200~select 'one\ntwo' as x\nfrom t;\033[201~");
    screen_wait_cursor(s, "from t;");
    screen_wait_color(s, "two' as", GREEN);
    screen_wait_color(s, "from t;", BLUE);
    screen_type(s, "\r");
    screen_wait(s, "(1 row)");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
}

static void colours_are_off_where_they_are_not_wanted(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    shell_bed_run(bed, "\\pset highlight off");
    screen_type(s, "select 1, 'x");
    screen_wait_cursor(s, "select 1, 'x");
    screen_wait_color(s, "select 1", NONE);
    screen_wait_color(s, "'x", NONE);
    assert_int_equal(setenv("NO_COLOR", "1", 1), 0);
    s = shell_bed_open(bed);
    screen_type(s, "select 1");
    screen_wait_cursor(s, "select 1");
    screen_wait_color(s, "select 1", NONE);
    (void)unsetenv("NO_COLOR");
    size_t len;
    s = shell_bed_open_as(bed, "vt100", 24, 80, NULL);
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "select 1");
    screen_wait_cursor(s, "select 1");
    screen_wait_color(s, "select 1", NONE);
    s = shell_bed_open_as(bed, "no-such-terminal", 24, 80, NULL);
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "select 17\r;\r");
    screen_wait(s, "(1 row)");
    s = shell_bed_open_as(bed, "dumb", 24, 80, NULL);
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "select 17;\r");
    screen_wait(s, "(1 row)");
    const char *raw = screen_raw(s, &len);
    assert_null(memchr(raw, '\033', len));
}

static void broken_text_is_typed_and_stored_without_harm(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "select '\377\301';\r");
    screen_wait(s, "error: the statement isn't UTF-8 text");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    shell_bed_run(bed, "\\echo fine");
    screen_wait(s, "\nfine\n");
}

/* History */

static void a_history_file_that_is_no_text_is_read_and_goes_on(void **state)
{
    struct shell_bed *bed = *state;
    FILE *file = fopen(bed->history, "we");
    static const char bytes[] = "\\\\echo good\n\377\376\0\001broken\n\n\033[31mred\n";
    assert_int_equal(fwrite(bytes, 1, sizeof bytes - 1, file), sizeof bytes - 1);
    (void)fclose(file);
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "\022good");
    screen_wait(s, "\\echo good");
    screen_type(s, "\r");
    screen_wait(s, "\ngood\n");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "\020\020");
    screen_wait_cursor(s, "^[[31mred");
    (void)unlink(bed->history);
    assert_int_equal(mkdir(bed->history, 0700), 0);
    s = shell_bed_open(bed);
    screen_wait(s, "warning: history ");
    shell_bed_run(bed, "\\echo on");
    screen_wait(s, "\non\n");
}

static void several_lines_come_back_as_one_also_after_a_restart(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "select 1,\r");
    screen_wait_cursor(s, "      ...> ");
    screen_type(s, "  'a\\b' as second\r");
    screen_wait_cursor(s, "      ...> ");
    screen_type(s, ";\r");
    screen_wait(s, "(1 row)");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "\004");
    assert_int_equal(screen_wait_exit(s), 0);
    s = shell_bed_open(bed);
    screen_type(s, "\022second\033");
    screen_wait(s, "> select 1,\n  'a\\b' as second\n;");
    screen_type(s, "\005\r");
    screen_wait(s, "(1 row)");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    shell_bed_run(bed, "\\s");
    screen_wait(s, "\nselect 1,\n  'a\\b' as second\n;\n\\s\n");
}

static void lines_that_begin_with_a_blank_may_stay_out(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    shell_bed_run(bed, "\\set HISTCONTROL ignorespace");
    shell_bed_run(bed, " \\echo secret");
    screen_type(s, "\020");
    screen_wait_cursor(s, "> \\set HISTCONTROL ignorespace");
    char *kept = shell_bed_read(bed, "history");
    assert_null(strstr(kept, "secret"));
    free(kept);
}

/* The editor */

static void an_editor_changes_the_statement_and_it_runs(void **state)
{
    struct shell_bed *bed = *state;
    const char *path =
        shell_bed_script(bed, "ed", "#!/bin/sh\nsed -i 's/before/after/' \"$1\"\nls -l \"$1\"\n");
    assert_int_equal(setenv("EDITOR", path, 1), 0);
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "select 'before';\r");
    screen_wait(s, "select 'before'\n(1 row)");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    shell_bed_run(bed, "\\e");
    screen_wait(s, "-rw------- ");
    screen_type(s, "\\p\r");
    screen_wait(s, "select 'after';");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "select 'before'\r\\e\r");
    screen_wait_cursor(s, "      ...> ");
    screen_type(s, "\\p\r");
    screen_wait_count(s, "\nselect 'after'\n", 1);
    screen_type(s, ";\r");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    path = shell_bed_write(bed, "file.sql", "select 'before', 'file';\n");
    char *line = mem_printf("\\e %s", path);
    shell_bed_run(bed, line);
    screen_wait(s, "select 'after', 'file'");
    free(line);
    assert_int_equal(setenv("EDITOR", "/no/such/editor", 1), 0);
    s = shell_bed_open(bed);
    shell_bed_run(bed, "\\e");
    screen_wait(s, "error: there is no editor \"/no/such/editor\": set EDITOR");
    assert_int_equal(setenv("EDITOR", "true", 1), 0);
    s = shell_bed_open(bed);
    shell_bed_run(bed, "\\e");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    (void)unsetenv("EDITOR");
}

/* Other programs */

static void the_dashboard_opens_and_gives_the_terminal_back(void **state)
{
    struct shell_bed *bed = *state;
    const char *path = shell_bed_script(bed, "top",
                                        "#!/bin/sh\nstty raw -echo\nprintf 'top of %s %s\\r\\n' "
                                        "\"$1\" \"$2\"\n");
    assert_int_equal(setenv("CLUSTERTOP", path, 1), 0);
    struct screen *s = shell_bed_open(bed);
    shell_bed_run(bed, "\\top");
    screen_wait(s, "top of -s unix:/tmp/");
    screen_type(s, "\\! stty -a | tr ' ;' '\\n\\n' | grep -x -e echo -e icanon\r");
    screen_wait(s, "\nicanon\n");
    screen_wait(s, "\necho\n");
    /* another node answers: the token is still beside the socket of the first */
    char *endpoints = mem_printf("unix:%s/none,unix:%s", bed->dir, bed->socket_path);
    char *all = mem_printf("-s unix:%s,unix:%s/none\n", bed->socket_path, bed->dir);
    assert_int_equal(setenv("CLUSTERSH_ENDPOINT", endpoints, 1), 0);
    s = shell_bed_open(bed);
    shell_bed_run(bed, "\\top");
    screen_wait(s, all);
    free(endpoints);
    free(all);
    assert_int_equal(setenv("CLUSTERTOP", "/no/such/top", 1), 0);
    s = shell_bed_open(bed);
    shell_bed_run(bed, "\\top");
    screen_wait(s, "error: /no/such/top: there is no such program");
    screen_wait(s, "hint: install clustertop beside clustersh");
    (void)unsetenv("CLUSTERTOP");
}

static void ctrl_z_stops_the_shell_and_the_line_comes_back(void **state)
{
    struct shell_bed *bed = *state;
    const char *top = getenv("TOP_BUILDDIR");
    char *path = mem_printf("%s/clustersh", top != NULL ? top : ".");
    const char *const argv[] = {"/bin/bash", "--norc", "--noprofile", "-i", NULL};
    assert_int_equal(setenv("PS1", "bash$ ", 1), 0);
    screen_close(bed->screen);
    struct screen *s = bed->screen =
        screen_open(&(struct screen_options){argv, "xterm-256color", 24, 80});
    screen_wait_cursor(s, "bash$ ");
    screen_type(s, path);
    screen_type(s, "\r");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "\\echo half a li");
    screen_wait_cursor(s, "half a li");
    screen_type(s, "\032");
    screen_wait(s, "Stopped");
    screen_wait_cursor(s, "bash$ ");
    screen_type(s, "echo in between\r");
    screen_wait(s, "\nin between\n");
    screen_type(s, "fg\r");
    screen_wait_cursor(s, "\\echo half a li");
    screen_type(s, "ne\r");
    screen_wait(s, "\nhalf a line\n");
    screen_wait_cursor(s, SHELL_BED_PROMPT);
    screen_type(s, "\004");
    screen_wait_cursor(s, "bash$ ");
    free(path);
}

static unsigned count_raw(struct screen *s, const char *text)
{
    size_t len;
    unsigned n = 0;
    for (const char *p = screen_raw(s, &len); (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

static void the_pager_takes_what_is_too_high_or_too_wide(void **state)
{
    struct shell_bed *bed = *state;
    const char *path =
        shell_bed_script(bed, "pager", "#!/bin/sh\necho paged; head -n 3; cat >/dev/null\n");
    assert_int_equal(setenv("PAGER", path, 1), 0);
    struct screen *s = shell_bed_open(bed);
    shell_bed_run(bed, "select many;");
    assert_int_equal(count_raw(s, "paged\r\n"), 1);
    shell_bed_run(bed, "select one;");
    assert_int_equal(count_raw(s, "paged\r\n"), 1);
    shell_bed_run(bed, "\\pset pager_min_lines 2");
    shell_bed_run(bed, "select one;");
    assert_int_equal(count_raw(s, "paged\r\n"), 2);
    shell_bed_run(bed, "\\pset pager_min_lines 1000");
    shell_bed_run(bed, "\\x off");
    shell_bed_run(bed, "select 'a wide one, that goes on and on', '................................"
                       "......................................................................';");
    assert_int_equal(count_raw(s, "paged\r\n"), 3);
    shell_bed_run(bed, "\\pset pager off");
    shell_bed_run(bed, "select many;");
    screen_wait(s, "(100 rows)");
    assert_int_equal(setenv("PAGER", "/no/such/pager", 1), 0);
    s = shell_bed_open(bed);
    shell_bed_run(bed, "select many;");
    screen_wait(s, "(100 rows)");
    assert_int_equal(setenv("PAGER", "", 1), 0);
}

static void what_comes_while_a_line_is_typed_stands_above_it(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    screen_type(s, "select 'half of");
    screen_wait_cursor(s, "half of");
    fake_cluster_stop(bed->cluster);
    screen_wait(s, "error: the cluster is out of reach");
    screen_wait_cursor(s, "clustersh (no connection)> select 'half of");
    screen_wait_color(s, "'half of", RED);
    fake_cluster_start(bed->cluster);
    screen_wait_cursor(s, "(leader n1)> select 'half of");
    screen_type(s, " it';\r");
    screen_wait(s, "\n select 'half of it'\n");
}

static void bytes_that_a_terminal_would_obey_never_reach_it(void **state)
{
    struct shell_bed *bed = *state;
    struct screen *s = shell_bed_open(bed);
    static const char *const formats[] = {"table", "vertical", "csv",     "tsv",
                                          "json",  "jsonl",    "markdown"};
    for (size_t i = 0; i < MEM_COUNT(formats); i++) {
        char *line = mem_printf("select bytes \\g (format=%s)", formats[i]);
        shell_bed_run(bed, line);
        free(line);
    }
    shell_bed_run(bed, "select bytes \\gset");
    shell_bed_run(bed, "\\echo :a");
    shell_bed_run(bed, "\\p");
    screen_wait(s, "[31mred");
    size_t len;
    const char *raw = screen_raw(s, &len);
    assert_null(strstr(raw, "\033[31mred"));
    assert_null(strstr(raw, "\302\233")); /* C1: CSI in one character */
    assert_null(strstr(raw, "\342\200\256"));
}

int main(void)
{
    shell_bed_environment();
#define CASE(name) cmocka_unit_test_setup_teardown(name, shell_bed_set_up, shell_bed_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_is_typed_is_coloured_as_it_is_typed),
        CASE(wide_characters_and_several_rows_keep_their_places),
        CASE(further_lines_know_the_ones_before),
        CASE(a_paste_of_several_lines_is_coloured_and_runs),
        CASE(colours_are_off_where_they_are_not_wanted),
        CASE(broken_text_is_typed_and_stored_without_harm),
        CASE(a_history_file_that_is_no_text_is_read_and_goes_on),
        CASE(several_lines_come_back_as_one_also_after_a_restart),
        CASE(lines_that_begin_with_a_blank_may_stay_out),
        CASE(an_editor_changes_the_statement_and_it_runs),
        CASE(the_dashboard_opens_and_gives_the_terminal_back),
        CASE(ctrl_z_stops_the_shell_and_the_line_comes_back),
        CASE(the_pager_takes_what_is_too_high_or_too_wide),
        CASE(what_comes_while_a_line_is_typed_stands_above_it),
        CASE(bytes_that_a_terminal_would_obey_never_reach_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
