#include "base/rangeset.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "tests/unit/generated.h"

static void assert_reads_as(const char *text, const char *want)
{
    struct rangeset set;
    rangeset_init(&set);
    assert_int_equal(rangeset_parse(&set, text, UINT32_MAX, UINT64_MAX), 0);
    char *written = rangeset_format(&set);
    assert_string_equal(written, want);
    free(written);
    rangeset_done(&set);
}

static void text_is_read_and_written_in_its_shortest_form(void **state)
{
    (void)state;
    assert_reads_as("0", "0");
    assert_reads_as("0-99", "0-99");
    assert_reads_as("1,3,5-9", "1,3,5-9");
    assert_reads_as("5-9,3,1", "1,3,5-9");
    assert_reads_as("1,2,3", "1-3");
    assert_reads_as("0-5,3-9", "0-9");
    assert_reads_as("0-4,5-9", "0-9");
    assert_reads_as("0-98:2", "0-98:2");
    assert_reads_as("0-99:2", "0-98:2");
    assert_reads_as("1,3,5", "1,3,5");
    assert_reads_as("1,3,5,7", "1-7:2");
    assert_reads_as("1,2,4,6,8,11", "1-2,4,6,8,11");
    assert_reads_as("0-10:20", "0");
    assert_reads_as("7-9:1", "7-9");
    assert_reads_as("4294967295", "4294967295");
    assert_reads_as("0-4294967295", "0-4294967295");
    assert_reads_as("0-4294967294:4294967294", "0,4294967294");
    assert_reads_as("000001", "1");
}

static void a_million_consecutive_elements_cost_one_range(void **state)
{
    (void)state;
    struct rangeset set;
    rangeset_init(&set);
    assert_int_equal(rangeset_parse(&set, "0-499999,500000-999999", UINT32_MAX, 1000000), 0);
    assert_int_equal(set.n, 1);
    assert_int_equal(rangeset_count(&set), 1000000);
    rangeset_done(&set);
}

static void wrong_forms_are_refused_and_leave_the_set(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",      ",",     "1,",  ",1",   "1,,2",   "-",
                                        "1-",    "-1",    "3-1", "1:2",  "1-5:",   "1-5:0",
                                        "1-5:x", "1 ",    " 1",  "1, 2", "+1",     "0x10",
                                        "1.5",   "1-2-3", "1;2", "a",    "1-5:2:3"};
    struct rangeset set;
    rangeset_init(&set);
    rangeset_add(&set, 7, 8);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(rangeset_parse(&set, wrong[i], UINT32_MAX, UINT64_MAX), ERR_INVALID);
        assert_int_equal(rangeset_count(&set), 2);
    }
    rangeset_done(&set);
}

static void limits_hold_to_the_element(void **state)
{
    (void)state;
    struct rangeset set;
    rangeset_init(&set);
    assert_int_equal(rangeset_parse(&set, "0-10", 9, 100), ERR_TOO_LARGE);
    assert_int_equal(rangeset_parse(&set, "0-9", 9, 9), ERR_TOO_LARGE);
    assert_int_equal(rangeset_parse(&set, "99999999999999999999999", UINT32_MAX, 9), ERR_TOO_LARGE);
    assert_int_equal(rangeset_parse(&set, "4294967296", UINT32_MAX, 9), ERR_TOO_LARGE);
    assert_int_equal(rangeset_parse(&set, "0-4000000000:2", UINT32_MAX, 1000), ERR_TOO_LARGE);
    assert_int_equal(rangeset_parse(&set, "0-8:2,0-8:2", 9, 9), ERR_TOO_LARGE);
    assert_true(rangeset_is_empty(&set));
    assert_int_equal(rangeset_parse(&set, "0-9,0-9,5", 9, 10), 0);
    assert_int_equal(rangeset_parse(&set, "3-7", 9, 10), 0);
    assert_int_equal(rangeset_count(&set), 10);
    rangeset_done(&set);
}

/* The model: which of WIDTH elements, from `base` on, are in. */
enum { WIDTH = 160 };

struct model {
    uint32_t base;
    bool in[WIDTH];
};

static void model_set(struct model *m, uint32_t first, uint32_t last, bool in)
{
    for (uint64_t i = first; i <= last; i++)
        m->in[i - m->base] = in;
}

static void check_equals_model(struct generated *g, const struct rangeset *set,
                               const struct model *m)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < WIDTH; i++) {
        uint32_t index = m->base + i;
        uint32_t next = 0;
        uint32_t want = i;
        while (want < WIDTH && !m->in[want])
            want++;
        bool found = rangeset_next(set, index, &next);
        generated_check(g, rangeset_contains(set, index) == m->in[i], "element %u", index);
        generated_check(g, found == (want < WIDTH), "next from %u", index);
        generated_check(g, !found || next == m->base + want, "next from %u is %u", index, next);
        count += m->in[i];
    }
    generated_check(g, rangeset_count(set) == count, "count of %u", count);
    generated_check(g, rangeset_is_empty(set) == (count == 0), "count of %u", count);
    for (size_t i = 0; i < set->n; i++) {
        const struct rangeset_range *r = &set->ranges[i];
        generated_check(g, r->first <= r->last, "range %zu is %u-%u", i, r->first, r->last);
        generated_check(g, i == 0 || r->first > (uint64_t)r[-1].last + 1, "range %zu at %u", i,
                        r->first);
    }
}

static void check_round_trip(struct generated *g, const struct rangeset *set)
{
    char *text = rangeset_format(set);
    struct rangeset again;
    rangeset_init(&again);
    int err = set->n > 0 ? rangeset_parse(&again, text, UINT32_MAX, UINT64_MAX) : 0;
    generated_check(g, err == 0, "\"%s\" gives %d", text, err);
    generated_check(g,
                    again.n == set->n && (set->n == 0 || memcmp(again.ranges, set->ranges,
                                                                set->n * sizeof *set->ranges) == 0),
                    "\"%s\"", text);
    free(text);
    rangeset_done(&again);
}

static void adding_and_removing_equals_an_array_of_flags(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct model m = {.base = prng_chance(&g.prng, 1, 2) ? 0 : UINT32_MAX - WIDTH + 1};
        struct rangeset set;
        rangeset_init(&set);
        for (int step = 0; step < 40; step++) {
            uint32_t first = m.base + (uint32_t)prng_below(&g.prng, WIDTH);
            uint32_t longest = m.base + (WIDTH - 1) - first;
            uint32_t last = first + (uint32_t)prng_below(&g.prng, longest < 12 ? longest + 1 : 12);
            bool add = prng_chance(&g.prng, 3, 5);
            (add ? rangeset_add : rangeset_remove)(&set, first, last);
            model_set(&m, first, last, add);
            check_equals_model(&g, &set, &m);
        }
        check_round_trip(&g, &set);
        struct rangeset copy;
        rangeset_init(&copy);
        rangeset_add(&copy, 1, 2);
        rangeset_copy(&copy, &set);
        check_equals_model(&g, &copy, &m);
        rangeset_done(&copy);
        rangeset_done(&set);
    }
}

static void any_list_of_items_equals_an_array_of_flags(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 1500);
    while (generated_next(&g)) {
        struct model m = {.base = prng_chance(&g.prng, 1, 2) ? 0 : UINT32_MAX - WIDTH + 1};
        struct rangeset set;
        char text[512] = "";
        size_t len = 0;
        rangeset_init(&set);
        rangeset_add(&set, m.base + 3, m.base + 5);
        model_set(&m, m.base + 3, m.base + 5, true);
        for (uint64_t items = prng_between(&g.prng, 1, 8); items > 0; items--) {
            uint32_t a = (uint32_t)prng_below(&g.prng, WIDTH);
            uint32_t b = (uint32_t)prng_between(&g.prng, a, WIDTH - 1);
            uint32_t step = (uint32_t)prng_between(&g.prng, 1, 9);
            if (a == b)
                step = 1;
            for (uint32_t i = a; i <= b; i += step)
                m.in[i] = true;
            const char *comma = len > 0 ? "," : "";
            len += (size_t)snprintf(text + len, sizeof text - len,
                                    a == b      ? "%s%u"
                                    : step == 1 ? "%s%u-%u"
                                                : "%s%u-%u:%u",
                                    comma, m.base + a, m.base + b, step);
        }
        int err = rangeset_parse(&set, text, UINT32_MAX, 8 * WIDTH);
        generated_check(&g, err == 0, "\"%s\" gives %d", text, err);
        check_equals_model(&g, &set, &m);
        check_round_trip(&g, &set);
        rangeset_done(&set);
    }
}

static void any_text_is_read_within_the_limits_or_refused(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 20000);
    while (generated_next(&g)) {
        char text[24];
        generated_text(&g, "00112233445566778899---,,,:: x", sizeof text, text);
        struct rangeset set;
        rangeset_init(&set);
        rangeset_add(&set, 1000, 1009);
        int err = rangeset_parse(&set, text, 5000, 100);
        bool refused = err == ERR_INVALID || err == ERR_TOO_LARGE;
        generated_check(&g, err == 0 || refused, "\"%s\" gives %d", text, err);
        generated_check(&g, rangeset_count(&set) <= 100, "\"%s\"", text);
        generated_check(&g, !refused || (set.n == 1 && rangeset_count(&set) == 10), "\"%s\"", text);
        generated_check(&g, set.ranges[set.n - 1].last <= 5000, "\"%s\"", text);
        check_round_trip(&g, &set);
        rangeset_done(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_read_and_written_in_its_shortest_form),
        cmocka_unit_test(a_million_consecutive_elements_cost_one_range),
        cmocka_unit_test(wrong_forms_are_refused_and_leave_the_set),
        cmocka_unit_test(limits_hold_to_the_element),
        cmocka_unit_test(adding_and_removing_equals_an_array_of_flags),
        cmocka_unit_test(any_list_of_items_equals_an_array_of_flags),
        cmocka_unit_test(any_text_is_read_within_the_limits_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
