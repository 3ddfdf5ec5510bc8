#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/generated.h"
#include "tui/model_filter.h"

enum { LINES = 128 * 1024, BYTES = 16 * 1024 * 1024 };

static const struct model_lines_limits limits = {LINES, BYTES};

static void add(struct model_lines *lines, const char *source, const char *kind,
                enum model_level level, const char *text)
{
    (void)model_lines_add(lines, &(struct model_line){.source = source,
                                                      .kind = kind,
                                                      .level = level,
                                                      .text = text,
                                                      .text_len = strlen(text),
                                                      .table = -1});
}

static void add_many(struct model_lines *lines, unsigned from, unsigned n)
{
    char text[64];
    for (unsigned i = from; i < from + n; i++) {
        (void)snprintf(text, sizeof text, "request %u took %u ms%s", i, i % 977,
                       i % 100 == 0 ? " timeout" : "");
        add(lines, "n1", "log.record", MODEL_LEVEL_INFO, text);
    }
}

static struct model_filter *new_filter(const struct model_lines *lines,
                                       const struct model_filter_spec *spec)
{
    struct model_filter *filter;
    struct error e;
    if (model_filter_new(lines, spec, &filter, &e) != 0)
        fail_msg("%s", e.text);
    return filter;
}

static void run_all(struct model_filter *filter)
{
    while (!model_filter_run(filter, 0))
        continue;
}

static void test_lines_that_match_are_found(void **state)
{
    struct model_lines *lines = model_lines_new(&limits);
    (void)state;
    add_many(lines, 0, 1000);
    struct model_filter *filter =
        new_filter(lines, &(struct model_filter_spec){.pattern = "took [0-9]+ ms timeout$"});
    run_all(filter);
    assert_int_equal(model_filter_count(filter), 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(model_filter_at(filter, i), i * 100);
    assert_int_equal(model_filter_find(filter, 101), 2);
    assert_int_equal(model_filter_find(filter, 901), 10);
    model_filter_free(filter);
    filter = new_filter(lines, &(struct model_filter_spec){
                                   .pattern = "TIMEOUT", .ignore_case = true, .invert = true});
    run_all(filter);
    assert_int_equal(model_filter_count(filter), 990);
    model_filter_free(filter);
    model_lines_free(lines);
}

/* No line is looked at twice, whatever comes meanwhile; the newest are found first. */
static void test_the_work_grows_with_the_new_lines_only(void **state)
{
    struct model_lines *lines = model_lines_new(&limits);
    (void)state;
    add_many(lines, 0, 100000);
    struct model_filter *filter =
        new_filter(lines, &(struct model_filter_spec){.pattern = "t[i]meout"});
    (void)model_filter_run(filter, 0);
    assert_true(model_filter_count(filter) > 0);
    assert_int_equal(model_filter_at(filter, model_filter_count(filter) - 1), 99900);
    unsigned from = 100000;
    while (!model_filter_run(filter, 0)) {
        add_many(lines, from, 10);
        from += 10;
    }
    assert_int_equal(model_filter_work(filter), from);
    assert_int_equal(model_filter_count(filter), (from + 99) / 100);
    add_many(lines, from, 100);
    run_all(filter);
    assert_int_equal(model_filter_work(filter), from + 100);
    model_filter_free(filter);
    model_lines_free(lines);
}

static void test_a_plain_word_costs_no_regular_expression(void **state)
{
    struct model_lines *lines = model_lines_new(&limits);
    (void)state;
    add_many(lines, 0, 10000);
    struct model_filter *filter =
        new_filter(lines, &(struct model_filter_spec){.pattern = "timeout"});
    run_all(filter);
    assert_int_equal(model_filter_count(filter), 100);
    assert_int_equal(model_filter_work(filter), 100);
    model_filter_free(filter);
    model_lines_free(lines);
}

static void test_levels_kinds_and_sources_narrow(void **state)
{
    struct model_lines *lines = model_lines_new(&limits);
    struct nodeset set;
    (void)state;
    add(lines, "n1", "job.state", MODEL_LEVEL_INFO, "a");
    add(lines, "n2", "job.fail", MODEL_LEVEL_WARN, "b");
    add(lines, "n3", "raft.lead", MODEL_LEVEL_ERROR, "c");
    add(lines, "n3", "state.row", MODEL_LEVEL_ERROR, "");
    struct {
        struct model_filter_spec spec;
        size_t want;
    } cases[] = {{{.level_min = MODEL_LEVEL_WARN}, 2},   {{.kinds = "job.*"}, 2},
                 {{.kinds = "job.*,!job.fail"}, 1},      {{.kinds = "!job.*"}, 1},
                 {{.kinds = "raft.lead,job.state"}, 2},  {{.pattern = "n2"}, 1},
                 {{.pattern = "job\\.state a"}, 1},      {{.level_min = MODEL_LEVEL_DEBUG}, 3},
                 {{.empty_lines = true, .kinds = ""}, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct model_filter *filter = new_filter(lines, &cases[i].spec);
        run_all(filter);
        assert_int_equal(model_filter_count(filter), cases[i].want);
        model_filter_free(filter);
    }
    nodeset_init(&set);
    assert_int_equal(nodeset_parse(&set, "n[1-2]", NULL, NULL, NULL), 0);
    struct model_filter *filter = new_filter(lines, &(struct model_filter_spec){.sources = &set});
    run_all(filter);
    assert_int_equal(model_filter_count(filter), 2);
    model_filter_free(filter);
    nodeset_done(&set);
    model_lines_free(lines);
}

static void test_a_wrong_pattern_is_explained(void **state)
{
    struct model_lines *lines = model_lines_new(&limits);
    struct model_filter *filter;
    struct error e;
    (void)state;
    assert_int_equal(
        model_filter_new(lines, &(struct model_filter_spec){.pattern = "a(\x1b"}, &filter, &e),
        ERR_INVALID);
    assert_non_null(strstr(e.text, "a(\\x1b"));
    model_lines_free(lines);
}

static void test_a_match_is_where_it_stands(void **state)
{
    struct model_lines *lines = model_lines_new(&limits);
    size_t begin, end;
    (void)state;
    struct model_filter *filter = new_filter(lines, &(struct model_filter_spec){.pattern = "l+o"});
    assert_true(model_filter_match(filter, "hello", &begin, &end));
    assert_int_equal(begin, 2);
    assert_int_equal(end, 5);
    assert_false(model_filter_match(filter, "help", &begin, &end));
    model_filter_free(filter);
    model_lines_free(lines);
}

/* A filter in slices over a list that drops lines finds what one look at the end finds. */
static void test_generated_lists_are_filtered_as_in_one_go(void **state)
{
    static const struct model_lines_limits small = {256, 64 * 1024};
    static const char *const patterns[] = {"a", "a.*b", "^n1", "c$", "ab*c", "(a|b)c", "[ab]+c"};
    struct generated g;
    (void)state;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct model_lines *lines = model_lines_new(&small);
        struct model_filter_spec spec = {.pattern = patterns[prng_below(&g.prng, 7)],
                                         .invert = prng_chance(&g.prng, 1, 3)};
        struct model_filter *filter = new_filter(lines, &spec);
        for (unsigned i = 0; i < 600; i++) {
            char text[12];
            add(lines, prng_chance(&g.prng, 1, 2) ? "n1" : "n2", "k", MODEL_LEVEL_INFO,
                generated_text(&g, "abc", sizeof text, text));
            if (prng_chance(&g.prng, 1, 50))
                (void)model_filter_run(filter, 0);
        }
        run_all(filter);
        struct model_filter *fresh = new_filter(lines, &spec);
        run_all(fresh);
        generated_check(&g, model_filter_count(filter) == model_filter_count(fresh), "%zu and %zu",
                        model_filter_count(filter), model_filter_count(fresh));
        for (size_t i = 0; i < model_filter_count(fresh); i++)
            generated_check(&g, model_filter_at(filter, i) == model_filter_at(fresh, i), "at %zu",
                            i);
        model_filter_free(filter);
        model_filter_free(fresh);
        model_lines_free(lines);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_that_match_are_found),
        cmocka_unit_test(test_the_work_grows_with_the_new_lines_only),
        cmocka_unit_test(test_a_plain_word_costs_no_regular_expression),
        cmocka_unit_test(test_levels_kinds_and_sources_narrow),
        cmocka_unit_test(test_a_wrong_pattern_is_explained),
        cmocka_unit_test(test_a_match_is_where_it_stands),
        cmocka_unit_test(test_generated_lists_are_filtered_as_in_one_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
