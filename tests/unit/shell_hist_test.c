#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <readline/history.h>

#include "base/mem.h"
#include "shell/hist.h"

static char dir[64];
static char *path;

static int set_up(void **state)
{
    (void)state;
    clear_history();
    (void)snprintf(dir, sizeof dir, "/tmp/hist_test.XXXXXX");
    assert_non_null(mkdtemp(dir));
    path = mem_printf("%s/state/clustersh/history", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char *folder = mem_printf("%s/state/clustersh", dir);
    (void)unlink(path);
    (void)rmdir(folder);
    folder[strlen(folder) - strlen("/clustersh")] = '\0';
    (void)rmdir(folder);
    (void)rmdir(dir);
    free(folder);
    free(path);
    return 0;
}

static void reload(void)
{
    clear_history();
    assert_int_equal(hist_load(path, NULL), 0);
}

static void items_come_back_whole_and_in_order(void **state)
{
    (void)state;
    assert_int_equal(hist_load(path, NULL), 0);
    assert_int_equal(hist_add(path, "node list\n", NULL), 0);
    assert_int_equal(hist_add(path, "exec @all 'a\nb\\n'\n", NULL), 0);
    assert_int_equal(hist_add(path, "  \n", NULL), 0);
    reload();
    assert_int_equal(history_length, 2);
    assert_string_equal(history_list()[0]->line, "node list");
    assert_string_equal(history_list()[1]->line, "exec @all 'a\nb\\n'");
}

static void an_item_that_comes_again_moves_to_the_end(void **state)
{
    (void)state;
    static const char *const items[] = {"a", "b", "a", "c", "b"};
    for (size_t i = 0; i < MEM_COUNT(items); i++)
        assert_int_equal(hist_add(path, items[i], NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(history_length, 3);
        assert_string_equal(history_list()[0]->line, "a");
        assert_string_equal(history_list()[1]->line, "c");
        assert_string_equal(history_list()[2]->line, "b");
        reload();
    }
}

static void the_file_is_readable_by_its_owner_only(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(hist_add(path, "kv put secret x", NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_file_that_has_grown_is_rewritten_within_the_bound(void **state)
{
    (void)state;
    assert_int_equal(hist_add(path, "first", NULL), 0);
    FILE *file = fopen(path, "we");
    for (int i = 0; i < 2 * HIST_ITEMS_MAX + 1; i++)
        (void)fprintf(file, "item %d\n", i);
    (void)fclose(file);
    reload();
    assert_int_equal(history_length, HIST_ITEMS_MAX);
    file = fopen(path, "re");
    int lines = 0;
    int c;
    while ((c = fgetc(file)) != EOF)
        lines += c == '\n';
    (void)fclose(file);
    assert_int_equal(lines, HIST_ITEMS_MAX);
}

static void a_place_that_cannot_be_written_is_an_error_and_the_session_goes_on(void **state)
{
    (void)state;
    struct error e = {0};
    assert_int_equal(hist_add("/proc/nowhere/history", "x", &e), -ENOENT);
    assert_non_null(strstr(e.text, "/proc/nowhere/history"));
    assert_int_equal(history_length, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(items_come_back_whole_and_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_item_that_comes_again_moves_to_the_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_file_is_readable_by_its_owner_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_has_grown_is_rewritten_within_the_bound, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_place_that_cannot_be_written_is_an_error_and_the_session_goes_on, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
