#include "run/api_auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char dir[64];
    char path[96];
};

static int set_up(void **state)
{
    static struct place place;
    (void)strcpy(place.dir, "/tmp/api-auth-test-XXXXXX");
    assert_non_null(mkdtemp(place.dir));
    (void)snprintf(place.path, sizeof place.path, "%s/api.token", place.dir);
    *state = &place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    (void)unlink(place->path);
    return rmdir(place->dir); /* fails when something was left behind */
}

static void a_new_token_is_long_private_and_stays(void **state)
{
    struct place *place = *state;
    char token[API_AUTH_TOKEN_MAX + 1];
    char again[API_AUTH_TOKEN_MAX + 1];
    struct error e;
    assert_int_equal(api_auth_load(place->path, token, &e), 0);
    assert_int_equal(strlen(token), API_AUTH_TOKEN_LEN);
    assert_int_equal(
        strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
        API_AUTH_TOKEN_LEN);
    struct stat st;
    assert_int_equal(stat(place->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(api_auth_load(place->path, again, &e), 0);
    assert_string_equal(again, token);
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(api_auth_load(place->path, again, &e), 0);
    assert_string_not_equal(again, token);
}

static void write_token(const struct place *place, const char *content, mode_t mode)
{
    FILE *file = fopen(place->path, "we");
    assert_non_null(file);
    (void)fputs(content, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(place->path, mode), 0);
}

static void a_token_of_ones_own_is_taken(void **state)
{
    struct place *place = *state;
    char token[API_AUTH_TOKEN_MAX + 1];
    struct error e;
    write_token(place, "my-own.token_~+/=0123\n", 0400);
    assert_int_equal(api_auth_load(place->path, token, &e), 0);
    assert_string_equal(token, "my-own.token_~+/=0123");
}

static void a_token_that_others_may_read_is_refused(void **state)
{
    struct place *place = *state;
    char token[API_AUTH_TOKEN_MAX + 1];
    struct error e;
    write_token(place, "0123456789abcdef\n", 0640);
    assert_int_equal(api_auth_load(place->path, token, &e), ERR_FORBIDDEN);
    assert_non_null(strstr(e.text, "chmod 600"));
}

static void what_is_no_token_is_refused(void **state)
{
    struct place *place = *state;
    char token[API_AUTH_TOKEN_MAX + 1];
    char longest[API_AUTH_TOKEN_MAX + 2];
    struct error e;
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *const wrong[] = {
        "", "\n", "short", "spaces in the token of one", "umlaut-\xc3\xa4-umlaut-umlaut", longest};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_token(place, wrong[i], 0600);
        assert_int_equal(api_auth_load(place->path, token, &e), ERR_CORRUPT);
    }
    assert_int_equal(unlink(place->path), 0);
    assert_int_equal(symlink("/dev/null", place->path), 0);
    assert_true(api_auth_load(place->path, token, &e) < 0);
    assert_true(api_auth_load("/nonexistent/api.token", token, &e) < 0);
    assert_non_null(strstr(e.text, "/nonexistent/api.token"));
}

static void a_token_that_is_saved_replaces_what_was_there(void **state)
{
    struct place *place = *state;
    char token[API_AUTH_TOKEN_MAX + 1];
    struct error e;
    struct stat before;
    struct stat after;
    char longest[API_AUTH_TOKEN_MAX + 1];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(api_auth_save(place->path, longest, &e), 0);
    assert_int_equal(api_auth_load(place->path, token, &e), 0);
    assert_string_equal(token, longest);
    write_token(place, "no token\n", 0644);
    assert_int_equal(api_auth_save(place->path, "0123456789abcdef", &e), 0);
    assert_int_equal(api_auth_load(place->path, token, &e), 0);
    assert_string_equal(token, "0123456789abcdef");
    assert_int_equal(stat(place->path, &before), 0);
    assert_int_equal(api_auth_save(place->path, "0123456789abcdef", &e), 0);
    assert_int_equal(stat(place->path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino); /* not written again */
    assert_true(api_auth_save("/nonexistent/api.token", "0123456789abcdef", &e) < 0);
    assert_non_null(strstr(e.text, "/nonexistent/api.token"));
}

static void only_the_exact_token_passes(void **state)
{
    (void)state;
    assert_true(api_auth_check("Bearer 0123456789abcdef", "0123456789abcdef"));
    assert_true(api_auth_check("bearer   0123456789abcdef", "0123456789abcdef"));
    static const char *const wrong[] = {"",
                                        "Bearer",
                                        "Bearer ",
                                        "0123456789abcdef",
                                        "Bearer 0123456789abcde",
                                        "Bearer 0123456789abcdeff",
                                        "Bearer 0123456789abcdeF",
                                        "Bearer 0123456789abcdef ",
                                        "Basic 0123456789abcdef",
                                        "Bearer0123456789abcdef"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(api_auth_check(wrong[i], "0123456789abcdef"));
    assert_false(api_auth_check(NULL, "0123456789abcdef"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_token_is_long_private_and_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_of_ones_own_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_that_others_may_read_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_token_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_that_is_saved_replaces_what_was_there, set_up,
                                        tear_down),
        cmocka_unit_test(only_the_exact_token_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
