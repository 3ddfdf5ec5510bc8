#include "base/nodeset.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "tests/unit/generated.h"

/* The universe of the generated expressions: a set of its names is a 64-bit mask. */
enum { PLAIN = 20, PADDED = 12, GRID = 4, UNIVERSE = PLAIN + PADDED + GRID * GRID + 2 };

static char universe[UNIVERSE][16];

static int fill_universe(void **state)
{
    (void)state;
    int n = 0;
    for (int i = 1; i <= PLAIN; i++)
        (void)snprintf(universe[n++], sizeof universe[0], "n%d", i);
    for (int i = 1; i <= PADDED; i++)
        (void)snprintf(universe[n++], sizeof universe[0], "p%02d.x", i);
    for (int i = 1; i <= GRID * GRID; i++)
        (void)snprintf(universe[n++], sizeof universe[0], "r%dc%d", (i - 1) / GRID + 1,
                       (i - 1) % GRID + 1);
    (void)snprintf(universe[n++], sizeof universe[0], "web");
    (void)snprintf(universe[n++], sizeof universe[0], "db-1");
    return n == UNIVERSE ? 0 : -1;
}

/* "@all", "@mask=HEX", and "@broken", which fails half-way. */
static int resolve(void *arg, const char *name, struct nodeset *set)
{
    (void)arg;
    if (strcmp(name, "broken") == 0) {
        nodeset_add(set, "n1");
        return ERR_UNAVAILABLE;
    }
    uint64_t mask = UINT64_MAX;
    if (str_starts_with(name, "mask="))
        mask = strtoull(name + 5, NULL, 16);
    else if (strcmp(name, "all") != 0)
        return ERR_NOT_FOUND;
    for (int i = UNIVERSE - 1; i >= 0; i--) {
        if (mask >> i & 1)
            nodeset_add(set, universe[i]);
    }
    return 0;
}

static void assert_folds_to(const char *text, const char *want)
{
    struct nodeset set;
    struct error e = {0};
    nodeset_init(&set);
    int err = nodeset_parse(&set, text, resolve, NULL, &e);
    if (err < 0)
        fail_msg("%s: %s", text, e.text);
    char *folded = nodeset_fold(&set);
    assert_string_equal(folded, want);
    free(folded);
    nodeset_done(&set);
}

static void lists_and_patterns_fold_back(void **state)
{
    (void)state;
    assert_folds_to("web", "web");
    assert_folds_to("n[1-8]", "n[1-8]");
    assert_folds_to("n3,n1", "n[1,3]");
    assert_folds_to("n1,n2,n3,n7,web", "n[1-3,7],web");
    assert_folds_to("n10,n9,n2", "n[2,9-10]");
    assert_folds_to("n1,n1,n[1-1]", "n1");
    assert_folds_to("n[1-2].example.com", "n[1-2].example.com");
    assert_folds_to("10.0.0.1,10.0.0.2,10.0.1.1", "10.0.0.[1-2],10.0.1.1");
    assert_folds_to(" a , b\t,c ", "a,b,c");
}

static void leading_zeros_are_kept(void **state)
{
    (void)state;
    assert_folds_to("n[01-12]", "n[01-12]");
    assert_folds_to("n[098-102]", "n[098-102]");
    assert_folds_to("n[08-101]", "n[08-101]");
    assert_folds_to("n1,n01,n001", "n[1,01,001]");
    assert_folds_to("n[9-10],n09", "n[9,09-10]");
    assert_folds_to("n0,n00,n[1-2]", "n[0,00,1-2]");
}

static void several_brackets_multiply_and_fold_back(void **state)
{
    (void)state;
    assert_folds_to("r[1-2]n[1-3]", "r[1-2]n[1-3]");
    assert_folds_to("r1n1,r1n2,r2n1,r2n2", "r[1-2]n[1-2]");
    assert_folds_to("r[1-2]n[1-3]!r2n2", "r1n[1-3],r2n[1,3]");
    assert_folds_to("a[1-2]b[1-2]c[1-2]d[1-2]", "a[1-2]b[1-2]c[1-2]d[1-2]");
    assert_folds_to("z1a1b1c1d1,z1a1b1c1d2,z2a1b1c1d1", "z1a1b1c1d[1-2],z2a1b1c1d1");
    assert_folds_to("n1234567890123,n1234567890124", "n1234567890123,n1234567890124");
}

static void operators_work_from_left_to_right_and_intersection_first(void **state)
{
    (void)state;
    assert_folds_to("n[1-8]!n3", "n[1-2,4-8]");
    assert_folds_to("n[1-8],!n3", "n[1-2,4-8]");
    assert_folds_to("n[1-8]!n3,n3", "n[1-8]");
    assert_folds_to("n1,n[2-5]&n[4-9]", "n[1,4-5]");
    assert_folds_to("n[1-9]!n[2-8]&n[4-6]", "n[1-3,7-9]");
    assert_folds_to("n[1-9]!web", "n[1-9]");
    assert_folds_to("n1!n1", "");
    assert_folds_to("@mask=3,web", "n[1-2],web");
    assert_folds_to("@all & n[19-30] ! n20", "n19");
}

static void wrong_forms_are_refused_say_why_and_leave_the_set(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        ",",
                                        "n1,",
                                        ",n1",
                                        "n1,,n2",
                                        "n[",
                                        "n[]",
                                        "n[1",
                                        "n[1-]",
                                        "n[-1]",
                                        "n[3-1]",
                                        "n[1-2-3]",
                                        "n[a]",
                                        "n[1,]",
                                        "n]",
                                        "n1 n2",
                                        "!n1",
                                        "n1&",
                                        "n1!",
                                        "n1!!n2",
                                        "&n1",
                                        "n1&&n2",
                                        "@",
                                        "n1@all",
                                        "@all[1]",
                                        "n/1",
                                        "-n",
                                        "n\n",
                                        "n\xc3\xa9",
                                        "n[1-2",
                                        "n[1-2]]",
                                        "n[0000000001]",
                                        "a[1]b[1]c[1]d[1]e[1]",
                                        "n[[1]]"};
    struct nodeset set;
    nodeset_init(&set);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error e = {0};
        if (nodeset_parse(&set, wrong[i], resolve, NULL, &e) != ERR_INVALID)
            fail_msg("\"%s\" is not refused", wrong[i]);
        assert_int_equal(e.code, ERR_INVALID);
        assert_non_null(strstr(e.text, "at byte"));
        assert_int_equal(set.n, 0);
    }
    nodeset_done(&set);
}

static void groups_fail_with_their_own_codes(void **state)
{
    (void)state;
    struct nodeset set;
    struct error e;
    nodeset_init(&set);
    nodeset_add(&set, "web");
    assert_int_equal(nodeset_parse(&set, "n1,@none", resolve, NULL, &e), ERR_NOT_FOUND);
    assert_int_equal(nodeset_parse(&set, "n1,@broken", resolve, NULL, &e), ERR_UNAVAILABLE);
    assert_int_equal(nodeset_parse(&set, "n1,@all", NULL, NULL, &e), ERR_INVALID);
    assert_int_equal(set.n, 1);
    assert_true(nodeset_contains(&set, "web"));
    nodeset_done(&set);
}

static void an_error_shows_hostile_text_as_bytes(void **state)
{
    (void)state;
    struct nodeset set;
    struct error e;
    nodeset_init(&set);
    assert_int_equal(nodeset_parse(&set, "\x1b[31m", NULL, NULL, &e), ERR_INVALID);
    assert_null(strchr(e.text, '\x1b'));
    nodeset_done(&set);
}

static void no_more_names_are_written_out_than_the_limit(void **state)
{
    (void)state;
    static const char *const large[] = {"n[1-65537]",
                                        "n[1-65536],a",
                                        "n[1-999999999]",
                                        "a[1-300]b[1-300]",
                                        "n[1-40000]!n[1-40000]",
                                        "n[1-40000,1-40000]",
                                        "a[1-9999]b[1-9999]c[1-9999]d[1-9999]"};
    struct nodeset set;
    struct error e;
    nodeset_init(&set);
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        assert_int_equal(nodeset_parse(&set, large[i], NULL, NULL, &e), ERR_TOO_LARGE);
        assert_int_equal(set.n, 0);
    }
    assert_int_equal(nodeset_parse(&set, "a[1-256]b[1-256]", NULL, NULL, &e), 0);
    assert_int_equal(set.n, NODESET_NAMES_MAX);
    char *folded = nodeset_fold(&set);
    assert_string_equal(folded, "a[1-256]b[1-256]");
    free(folded);
    nodeset_done(&set);
}

static void the_limit_counts_the_names_of_groups(void **state)
{
    (void)state;
    enum { TIMES = NODESET_NAMES_MAX / UNIVERSE };
    char text[(TIMES + 1) * sizeof "@all,"] = "@all";
    struct nodeset set;
    struct error e;
    nodeset_init(&set);
    for (int i = 1; i < TIMES; i++)
        memcpy(text + strlen("@all") + (size_t)(i - 1) * strlen(",@all"), ",@all", sizeof ",@all");
    assert_int_equal(nodeset_parse(&set, text, resolve, NULL, &e), 0);
    assert_int_equal(set.n, UNIVERSE);
    strcat(text, ",@all");
    assert_int_equal(nodeset_parse(&set, text, resolve, NULL, &e), ERR_TOO_LARGE);
    nodeset_done(&set);
}

static void names_have_a_longest_length(void **state)
{
    (void)state;
    char name[NODESET_NAME_MAX + 2];
    struct nodeset set;
    struct error e;
    nodeset_init(&set);
    memset(name, 'n', sizeof name);
    name[NODESET_NAME_MAX + 1] = '\0';
    assert_int_equal(nodeset_parse(&set, name, NULL, NULL, &e), ERR_INVALID);
    name[NODESET_NAME_MAX] = '\0';
    assert_int_equal(nodeset_parse(&set, name, NULL, NULL, &e), 0);
    nodeset_done(&set);
}

static void names_are_in_natural_order(void **state)
{
    (void)state;
    static const char *const ordered[] = {"1",      "2",   "10",          "a",           "a1",
                                          "a1.5",   "a1b", "a2",          "a02",         "a10b2",
                                          "a10b10", "b",   "n9999999999", "n10000000000"};
    struct nodeset set;
    nodeset_init(&set);
    for (size_t i = sizeof ordered / sizeof *ordered; i-- > 0;)
        nodeset_add(&set, ordered[i]);
    assert_int_equal(set.n, sizeof ordered / sizeof *ordered);
    for (size_t i = 0; i < set.n; i++)
        assert_string_equal(set.names[i], ordered[i]);
    nodeset_done(&set);
}

static void the_order_of_names_is_total(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 20000);
    while (generated_next(&g)) {
        char name[3][8];
        int order[3];
        for (int i = 0; i < 3; i++)
            generated_text(&g, "0019a.", sizeof name[i], name[i]);
        for (int i = 0; i < 3; i++)
            order[i] = nodeset_compare_names(name[i], name[(i + 1) % 3]);
        generated_check(&g, (order[0] == 0) == (strcmp(name[0], name[1]) == 0), "%s %s", name[0],
                        name[1]);
        generated_check(&g, (order[0] > 0) == (nodeset_compare_names(name[1], name[0]) < 0),
                        "%s %s", name[0], name[1]);
        bool circle = (order[0] < 0 && order[1] < 0 && order[2] < 0) ||
                      (order[0] > 0 && order[1] > 0 && order[2] > 0);
        generated_check(&g, !circle, "%s %s %s", name[0], name[1], name[2]);
    }
}

static void check_ordered(struct generated *g, const struct nodeset *set)
{
    for (size_t i = 1; i < set->n; i++)
        generated_check(g, nodeset_compare_names(set->names[i - 1], set->names[i]) < 0, "%s %s",
                        set->names[i - 1], set->names[i]);
}

static void check_round_trip(struct generated *g, const struct nodeset *set)
{
    struct nodeset again;
    struct error e = {0};
    char *folded = nodeset_fold(set);
    nodeset_init(&again);
    int err = set->n > 0 ? nodeset_parse(&again, folded, NULL, NULL, &e) : 0;
    generated_check(g, err == 0, "%s: %s", folded, e.text);
    generated_check(g, again.n == set->n, "%s", folded);
    for (size_t i = 0; i < set->n; i++)
        generated_check(g, strcmp(again.names[i], set->names[i]) == 0, "%s", folded);
    free(folded);
    nodeset_done(&again);
}

/* Writes an item at `out` and returns its mask. */
static uint64_t make_item(struct generated *g, char *out, size_t size)
{
    int kind = (int)prng_below(&g->prng, 5);
    if (kind == 0) {
        int i = (int)prng_below(&g->prng, UNIVERSE);
        (void)snprintf(out, size, "%s", universe[i]);
        return UINT64_C(1) << i;
    }
    if (kind == 1) {
        uint64_t mask = prng_next(&g->prng) & ((UINT64_C(1) << UNIVERSE) - 1);
        (void)snprintf(out, size, "@mask=%" PRIx64, mask);
        return mask;
    }
    if (kind == 2) {
        int first[2];
        int last[2];
        uint64_t mask = 0;
        for (int d = 0; d < 2; d++) {
            first[d] = (int)prng_between(&g->prng, 1, GRID);
            last[d] = (int)prng_between(&g->prng, (uint64_t)first[d], GRID);
        }
        for (int r = first[0]; r <= last[0]; r++) {
            for (int c = first[1]; c <= last[1]; c++)
                mask |= UINT64_C(1) << (PLAIN + PADDED + (r - 1) * GRID + c - 1);
        }
        (void)snprintf(out, size, "r[%d-%d]c[%d-%d]", first[0], last[0], first[1], last[1]);
        return mask;
    }
    int count = kind == 3 ? PLAIN : PADDED;
    int first = (int)prng_between(&g->prng, 1, (uint64_t)count);
    int last = (int)prng_between(&g->prng, (uint64_t)first, (uint64_t)count);
    int other = (int)prng_between(&g->prng, 1, (uint64_t)count);
    (void)snprintf(out, size, kind == 3 ? "n[%d-%d,%d]" : "p[%02d-%02d,%02d].x", first, last,
                   other);
    uint64_t mask = UINT64_C(1) << (other - 1);
    for (int i = first; i <= last; i++)
        mask |= UINT64_C(1) << (i - 1);
    return kind == 3 ? mask : mask << PLAIN;
}

static void any_expression_equals_the_algebra_of_masks(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 2000);
    while (generated_next(&g)) {
        char text[1024] = "";
        char item[64];
        uint64_t want = 0;
        for (uint64_t terms = prng_between(&g.prng, 1, 7); terms > 0; terms--) {
            bool take_away = text[0] != '\0' && prng_chance(&g.prng, 1, 3);
            bool comma = text[0] != '\0' && (!take_away || prng_chance(&g.prng, 1, 2));
            uint64_t term = make_item(&g, item, sizeof item);
            strcat(strcat(strcat(text, comma ? "," : ""), take_away ? "!" : ""), item);
            while (prng_chance(&g.prng, 1, 3) && strlen(text) < 800) {
                term &= make_item(&g, item, sizeof item);
                strcat(strcat(text, prng_chance(&g.prng, 1, 4) ? " & " : "&"), item);
            }
            want = take_away ? want & ~term : want | term;
            if (want == 0)
                break; /* nothing to take away from */
        }
        struct nodeset set;
        struct error e = {0};
        nodeset_init(&set);
        int err = nodeset_parse(&set, text, resolve, NULL, &e);
        generated_check(&g, err == 0, "%s: %s", text, e.text);
        generated_check(&g, set.n == (size_t)__builtin_popcountll(want), "%s: %zu", text, set.n);
        for (int i = 0; i < UNIVERSE; i++)
            generated_check(&g, nodeset_contains(&set, universe[i]) == (want >> i & 1), "%s: %s",
                            text, universe[i]);
        check_ordered(&g, &set);
        check_round_trip(&g, &set);
        nodeset_done(&set);
    }
}

static void any_names_fold_and_read_back(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 3000);
    while (generated_next(&g)) {
        struct nodeset set;
        nodeset_init(&set);
        for (uint64_t n = prng_below(&g.prng, 40); n > 0; n--) {
            char name[14];
            generated_text(&g, prng_chance(&g.prng, 1, 2) ? "a012-" : "000111129", sizeof name,
                           name);
            if (str_is_name(name, NODESET_NAME_MAX))
                nodeset_add(&set, name);
        }
        check_ordered(&g, &set);
        check_round_trip(&g, &set);
        nodeset_done(&set);
    }
}

static void any_text_is_a_set_or_refused_with_a_reason(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 20000);
    while (generated_next(&g)) {
        char text[20];
        struct nodeset set;
        struct error e = {0};
        generated_text(&g, "nn0123[[]]--,,!&@ all\xff", sizeof text, text);
        nodeset_init(&set);
        nodeset_add(&set, "web");
        int err = nodeset_parse(&set, text, resolve, NULL, &e);
        generated_check(&g, err == 0 || (e.code == err && e.text[0] != '\0'), "\"%s\"", text);
        generated_check(&g, err == 0 || set.n == 1, "\"%s\"", text);
        check_ordered(&g, &set);
        if (set.n < 1000)
            check_round_trip(&g, &set);
        nodeset_done(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_and_patterns_fold_back),
        cmocka_unit_test(leading_zeros_are_kept),
        cmocka_unit_test(several_brackets_multiply_and_fold_back),
        cmocka_unit_test(operators_work_from_left_to_right_and_intersection_first),
        cmocka_unit_test(wrong_forms_are_refused_say_why_and_leave_the_set),
        cmocka_unit_test(groups_fail_with_their_own_codes),
        cmocka_unit_test(an_error_shows_hostile_text_as_bytes),
        cmocka_unit_test(no_more_names_are_written_out_than_the_limit),
        cmocka_unit_test(the_limit_counts_the_names_of_groups),
        cmocka_unit_test(names_have_a_longest_length),
        cmocka_unit_test(names_are_in_natural_order),
        cmocka_unit_test(the_order_of_names_is_total),
        cmocka_unit_test(any_expression_equals_the_algebra_of_masks),
        cmocka_unit_test(any_names_fold_and_read_back),
        cmocka_unit_test(any_text_is_a_set_or_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, fill_universe, NULL);
}
