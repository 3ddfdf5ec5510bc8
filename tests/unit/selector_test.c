#include "core/selector.h"

#include <string.h>

#include "base/mem.h"
#include "tests/unit/generated.h"

static const char *const labels[] = {"gpu", "zone=eu-1", "disk=ssd", "disk=nvme"};

static bool matches(const char *text)
{
    const struct selector_node node = {"n1", false, labels, MEM_COUNT(labels)};
    struct selector selector;
    struct error e;
    if (selector_parse(&selector, text, &e) < 0)
        fail_msg("%s: %s", text, e.text);
    bool result = selector_matches(&selector, &node);
    selector_done(&selector);
    return result;
}

static void an_empty_selector_matches_every_node(void **state)
{
    (void)state;
    assert_true(matches(NULL));
    assert_true(matches(""));
    assert_true(matches("   "));
}

static void a_key_holds_where_a_label_has_it_with_any_value(void **state)
{
    (void)state;
    assert_true(matches("gpu"));
    assert_true(matches("zone"));
    assert_false(matches("zon"));
    assert_false(matches("zone2"));
    assert_true(matches("!fpga"));
    assert_false(matches("!zone"));
}

static void a_value_must_be_that_of_some_label_of_its_key(void **state)
{
    (void)state;
    assert_true(matches("zone=eu-1"));
    assert_false(matches("zone=eu"));
    assert_true(matches("disk=ssd"));
    assert_true(matches("disk=nvme"));
    assert_false(matches("disk=hdd"));
    assert_true(matches("gpu="));
    assert_false(matches("gpu=1"));
}

static void not_equal_holds_also_where_the_key_is_absent(void **state)
{
    (void)state;
    assert_true(matches("rack!=r1"));
    assert_true(matches("disk!=hdd"));
    assert_false(matches("disk!=ssd"));
}

static void values_take_wildcards(void **state)
{
    (void)state;
    assert_true(matches("zone=eu-*"));
    assert_true(matches("zone=eu-?"));
    assert_false(matches("zone!=eu*"));
    assert_true(matches("name=n*"));
}

static void name_and_kind_are_labels_of_every_node(void **state)
{
    (void)state;
    assert_true(matches("name=n1"));
    assert_false(matches("name=n2"));
    assert_true(matches("kind=node"));
    assert_true(matches("kind!=agent,name"));
}

static void all_terms_must_hold(void **state)
{
    (void)state;
    assert_true(matches("gpu,zone=eu-1, disk=ssd ,!fpga"));
    assert_false(matches("gpu,zone=eu-1,fpga"));
}

static void equal_selectors_have_equal_text(void **state)
{
    (void)state;
    static const char *const same[] = {"b=2,!a,c!=1", " c!=1 , b=2,!a", "!a,b=2,b=2,c!=1"};
    for (size_t i = 0; i < MEM_COUNT(same); i++) {
        struct selector selector;
        assert_int_equal(selector_parse(&selector, same[i], NULL), 0);
        char *text = selector_format(&selector);
        assert_string_equal(text, "!a,b=2,c!=1");
        free(text);
        selector_done(&selector);
    }
}

static void what_is_no_term_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const wrong[] = {",",     "a,",     "=1",   "!",     "!=1", "a b",
                                        "a=b c", "a==1=2", "!a=1", "a=\t1", "-a",  "a=x,,b"};
    for (size_t i = 0; i < MEM_COUNT(wrong); i++) {
        struct selector selector;
        struct error e;
        int err = selector_parse(&selector, wrong[i], &e);
        if (err != ERR_INVALID)
            fail_msg("\"%s\" gave %d", wrong[i], err);
        assert_non_null(strstr(e.text, "node selector"));
    }
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    struct selector selector;
    char text[SELECTOR_TEXT_MAX + 2];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(selector_parse(&selector, text, NULL), ERR_TOO_LARGE);
    for (size_t i = 0; i < 2 * (SELECTOR_TERMS_MAX + 1); i += 2)
        memcpy(text + i, "a,", 3);
    text[2 * (SELECTOR_TERMS_MAX + 1) - 1] = '\0';
    assert_int_equal(selector_parse(&selector, text, NULL), ERR_TOO_LARGE);
    text[2 * SELECTOR_TERMS_MAX - 1] = '\0';
    assert_int_equal(selector_parse(&selector, text, NULL), 0);
    selector_done(&selector);
}

static void any_text_parses_to_its_own_canonical_form_or_is_refused(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 5000);
    while (generated_next(&g)) {
        char text[40];
        generated_text(&g, "ab=!,* ", sizeof text, text);
        struct selector first;
        if (selector_parse(&first, text, NULL) < 0)
            continue;
        char *canonical = selector_format(&first);
        struct selector second;
        generated_check(&g, selector_parse(&second, canonical, NULL) == 0, "%s", canonical);
        char *again = selector_format(&second);
        generated_check(&g, strcmp(again, canonical) == 0, "%s, %s", canonical, again);
        free(again);
        free(canonical);
        selector_done(&second);
        selector_done(&first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_selector_matches_every_node),
        cmocka_unit_test(a_key_holds_where_a_label_has_it_with_any_value),
        cmocka_unit_test(a_value_must_be_that_of_some_label_of_its_key),
        cmocka_unit_test(not_equal_holds_also_where_the_key_is_absent),
        cmocka_unit_test(values_take_wildcards),
        cmocka_unit_test(name_and_kind_are_labels_of_every_node),
        cmocka_unit_test(all_terms_must_hold),
        cmocka_unit_test(equal_selectors_have_equal_text),
        cmocka_unit_test(what_is_no_term_is_refused_by_name),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(any_text_parses_to_its_own_canonical_form_or_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
