/* What is remembered of clustertop: columns, order, theme. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tui/settings.h"

static char dir[64];
static char *path;

static const struct list_column columns[] = {
    {"name", 4, 10, 0, false, false, false}, {"cpu", 4, 10, 1, true, true, false},
    {"", 4, 4, 2, false, false, true},       {"at once", 4, 10, 3, false, false, false},
    {NULL, 0, 0, 0, false, false, false},
};

static size_t no_rows(void *arg, const void ***rows)
{
    (void)arg;
    *rows = NULL;
    return 0;
}

static const struct list_source source = {.columns = columns, .sort = 0, .rows = no_rows};

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/tui_settings.XXXXXX");
    assert_non_null(mkdtemp(dir));
    path = mem_printf("%s/a/b/clustertop.conf", dir);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const below[] = {"a/b/clustertop.conf", "a/b", "a", "."};
    (void)state;
    for (size_t i = 0; i < MEM_COUNT(below); i++) {
        char *full = mem_printf("%s/%s", dir, below[i]);
        (void)chmod(full, 0700);
        (void)remove(full);
        free(full);
    }
    (void)rmdir(dir);
    free(path);
    return 0;
}

static void write_file(const char *text)
{
    char *folder = mem_printf("%s/a", dir);
    (void)mkdir(folder, 0700);
    free(folder);
    folder = mem_printf("%s/a/b", dir);
    (void)mkdir(folder, 0700);
    free(folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static char *read_file(void)
{
    char text[4096];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text, f);
    (void)fclose(f);
    return mem_strndup(text, n);
}

static int open_settings(struct settings *settings, struct error *e)
{
    return settings_open(settings, mem_strdup(path), e);
}

static void what_was_chosen_is_found_again(void **state)
{
    (void)state;
    struct settings settings;
    struct list list;
    struct error e = {0};
    assert_int_equal(open_settings(&settings, &e), 0); /* no file yet */
    list_init(&list, &source, NULL);
    assert_false(settings_take(&settings, "nodes", &list));
    list_hide(&list, 0, true); /* the first can't be */
    list_hide(&list, 2, true);
    list_hide(&list, 3, true);
    list_sort_by_column(&list, 1, false);
    assert_true(settings_take(&settings, "nodes", &list));
    assert_false(settings_take(&settings, "nodes", &list));
    settings.theme = THEME_LIGHT;
    assert_int_equal(settings_save(&settings, &e), 0);
    list_done(&list);
    settings_done(&settings);
    char *text = read_file();
    assert_string_equal(text, "theme light\nhide nodes cpu line, at once\nsort nodes cpu\n");
    free(text);

    assert_int_equal(open_settings(&settings, &e), 0);
    list_init(&list, &source, NULL);
    settings_apply(&settings, "jobs", &list);
    assert_int_equal(list.hidden, 0);
    settings_apply(&settings, "nodes", &list);
    assert_true(list_is_hidden(&list, 2) && list_is_hidden(&list, 3));
    assert_false(list_is_hidden(&list, 0) || list_is_hidden(&list, 1));
    assert_int_equal(list.sort, 1);
    assert_false(list.descending);
    assert_int_equal(settings.theme, THEME_LIGHT);
    list_done(&list);
    settings_done(&settings);
}

static void lines_of_a_newer_one_stay_and_wrong_ones_are_said(void **state)
{
    (void)state;
    struct settings settings;
    struct error e = {0};
    write_file("# mine\n\nzoom 3\nhide nodes name,  cpu , nothing\ntheme pink\nsort nodes");
    assert_int_equal(open_settings(&settings, &e), ERR_INVALID);
    assert_non_null(strstr(e.text, ":5: not understood: theme pink"));
    assert_int_equal(settings.theme, THEME_DARK);
    assert_int_equal(settings_save(&settings, &e), 0);
    settings_done(&settings);
    char *text = read_file();
    assert_non_null(strstr(text, "# mine\n"));
    assert_non_null(strstr(text, "zoom 3\n"));
    assert_null(strstr(text, "pink"));
    free(text);
}

static void a_file_of_any_kind_is_survived(void **state)
{
    (void)state;
    struct settings settings;
    struct list list;
    struct error e = {0};
    char *big = mem_zalloc(SETTINGS_BYTES_MAX + 100);
    memset(big, 'a', SETTINGS_BYTES_MAX + 99);
    memcpy(big, "hide ", 5);
    write_file(big);
    free(big);
    assert_true(open_settings(&settings, &e) < 0);
    settings_done(&settings);
    write_file(
        "hide\nsort\nhide nodes\nsort nodes  descending\nsort \t\nhide \xff\xfe \x01\n,,,\n");
    (void)open_settings(&settings, &e);
    list_init(&list, &source, NULL);
    settings_apply(&settings, "nodes", &list);
    assert_int_equal(list.hidden, 0);
    list_done(&list);
    settings_done(&settings);
    /* a folder in its place */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(open_settings(&settings, &e) < 0);
    assert_true(settings_save(&settings, &e) < 0);
    assert_non_null(strstr(e.text, path));
    settings_done(&settings);
}

static void without_a_place_nothing_is_kept_and_that_is_said(void **state)
{
    (void)state;
    struct settings settings;
    struct error e = {0};
    assert_int_equal(settings_open(&settings, NULL, &e), 0);
    assert_int_equal(settings_save(&settings, &e), ERR_UNAVAILABLE);
    settings_done(&settings);
    assert_int_equal(setenv("XDG_CONFIG_HOME", "/x", 1), 0);
    char *place = settings_default_path();
    assert_string_equal(place, "/x/clusterd/clustertop.conf");
    free(place);
    assert_int_equal(setenv("XDG_CONFIG_HOME", "not/absolute", 1), 0);
    assert_int_equal(setenv("HOME", "/home/me", 1), 0);
    place = settings_default_path();
    assert_string_equal(place, "/home/me/.config/clusterd/clustertop.conf");
    free(place);
    assert_int_equal(unsetenv("HOME"), 0);
    assert_null(settings_default_path());
}

static void themes_have_names_and_no_colour_has_none(void **state)
{
    enum theme theme;
    (void)state;
    for (unsigned i = 0; i < THEMES; i++) {
        assert_true(theme_from_name(theme_name(i), &theme));
        assert_int_equal(theme, i);
    }
    assert_false(theme_from_name("pink", &theme));
    for (unsigned ink = 0; ink < INK_N; ink++) {
        for (unsigned ground = 0; ground < GROUND_N; ground++) {
            struct theme_look look = theme_look(THEME_MONO, ink, ground, 256);
            assert_true(look.fg < 0 && look.bg < 0);
            look = theme_look(THEME_LIGHT, ink, ground, 256);
            assert_true(look.fg != look.bg || look.fg < 0);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_chosen_is_found_again),
        TEST(lines_of_a_newer_one_stay_and_wrong_ones_are_said),
        TEST(a_file_of_any_kind_is_survived),
        TEST(without_a_place_nothing_is_kept_and_that_is_said),
        TEST(themes_have_names_and_no_colour_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
