#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/generated.h"

static const int all_codes[] = {
#define CODE(symbol, number, api_name, text) symbol,
    ERR_LIST(CODE)
#undef CODE
};

enum { CODES = sizeof all_codes / sizeof *all_codes };

static void every_code_has_a_number_a_name_and_a_text_of_its_own(void **state)
{
    (void)state;
    for (int i = 0; i < CODES; i++) {
        assert_true(all_codes[i] <= -4096);
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(all_codes[i], all_codes[j]);
            assert_string_not_equal(err_name(all_codes[i]), err_name(all_codes[j]));
            assert_string_not_equal(err_text(all_codes[i]), err_text(all_codes[j]));
        }
    }
}

static void every_name_is_snake_case(void **state)
{
    (void)state;
    for (int code = -5000; code <= 0; code++) {
        const char *name = err_name(code);
        assert_true(name[0] != '\0');
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
    }
}

/* They cross the wire: neither may ever change. */
static void numbers_and_names_are_stable(void **state)
{
    (void)state;
    assert_int_equal(ERR_PROTOCOL, -4096);
    assert_int_equal(ERR_NOT_FOUND, -4103);
    assert_int_equal(ERR_INTERNAL, -4116);
    assert_string_equal(err_name(ERR_OUTCOME_UNKNOWN), "outcome_unknown");
    assert_string_equal(err_name(0), "ok");
}

static void errno_values_have_the_texts_of_the_system(void **state)
{
    (void)state;
    assert_string_equal(err_text(-ENOENT), "No such file or directory");
    assert_string_equal(err_name(-ENOENT), "not_found");
    assert_string_equal(err_name(-ENOSPC), "disk_full");
    assert_string_equal(err_name(-EIO), "io");
    assert_string_equal(err_text(-99999), "unknown error");
    assert_string_equal(err_text(7), "unknown error");
    assert_string_equal(err_text(0), "no error");
}

static void names_lead_back_to_their_codes(void **state)
{
    (void)state;
    for (int i = 0; i < CODES; i++)
        assert_int_equal(err_from_name(err_name(all_codes[i])), all_codes[i]);
    assert_int_equal(err_from_name("ok"), 0);
    assert_int_equal(err_from_name("disk_full"), -ENOSPC);
    assert_int_equal(err_from_name("of_a_later_version"), ERR_INTERNAL);
    assert_int_equal(err_from_name(""), ERR_INTERNAL);
}

static void a_set_error_returns_its_code_with_or_without_a_place(void **state)
{
    (void)state;
    struct error e;
    assert_int_equal(error_set(&e, ERR_BUSY, "queue of %d is full", 7), ERR_BUSY);
    assert_int_equal(e.code, ERR_BUSY);
    assert_string_equal(e.text, "queue of 7 is full");
    assert_int_equal(error_set(NULL, ERR_BUSY, "%d", 7), ERR_BUSY);
}

static void a_prefix_goes_in_front_and_keeps_the_code(void **state)
{
    (void)state;
    struct error e;
    (void)error_set(&e, ERR_CORRUPT, "checksum differs");
    assert_int_equal(error_prefix(&e, "segment %d", 3), ERR_CORRUPT);
    assert_string_equal(e.text, "segment 3: checksum differs");
    assert_int_equal(error_prefix(NULL, "x"), ERR_INTERNAL);
}

static void long_texts_are_cut_and_end(void **state)
{
    (void)state;
    struct error e;
    char text[2 * ERROR_TEXT_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)error_set(&e, ERR_INVALID, "%s", text);
    assert_int_equal(strlen(e.text), ERROR_TEXT_MAX - 1);
    (void)error_prefix(&e, "%s", "prefix");
    assert_int_equal(strlen(e.text), ERROR_TEXT_MAX - 1);
    assert_memory_equal(e.text, "prefix: xxx", 11);
    (void)error_prefix(&e, "%s", text);
    assert_int_equal(strlen(e.text), ERROR_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_number_a_name_and_a_text_of_its_own),
        cmocka_unit_test(every_name_is_snake_case),
        cmocka_unit_test(numbers_and_names_are_stable),
        cmocka_unit_test(errno_values_have_the_texts_of_the_system),
        cmocka_unit_test(names_lead_back_to_their_codes),
        cmocka_unit_test(a_set_error_returns_its_code_with_or_without_a_place),
        cmocka_unit_test(a_prefix_goes_in_front_and_keeps_the_code),
        cmocka_unit_test(long_texts_are_cut_and_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
