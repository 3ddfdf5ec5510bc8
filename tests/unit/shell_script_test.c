/* What scripts are made of: variables, conditions, the words of backslash commands, prompts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "shell/condition.h"
#include "shell/interpolate.h"
#include "shell/meta_words.h"
#include "shell/prompt.h"
#include "shell/text.h"
#include "shell/vars.h"
#include "tests/unit/generated.h"

static struct vars vars;

static int set_up(void **state)
{
    (void)state;
    vars_init(&vars);
    assert_int_equal(vars_set(&vars, "n", "5", NULL), 0);
    assert_int_equal(vars_set(&vars, "name", "it's \"so\"", NULL), 0);
    assert_int_equal(vars_set(&vars, "two", "a b", NULL), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vars_done(&vars);
    return 0;
}

/* Variables */

static void variables_are_set_unset_and_listed_by_name(void **state)
{
    (void)state;
    struct error e = {0};
    assert_string_equal(vars_get(&vars, "n"), "5");
    assert_null(vars_get(&vars, "nn"));
    assert_int_equal(vars_set(&vars, "n", vars_get(&vars, "n"), NULL), 0); /* of itself */
    assert_string_equal(vars_get(&vars, "n"), "5");
    assert_true(vars_unset(&vars, "n"));
    assert_false(vars_unset(&vars, "n"));
    assert_int_equal(vars_set(&vars, "1x", "", &e), ERR_INVALID);
    assert_int_equal(vars_set(&vars, "a-b", "", &e), ERR_INVALID);
    assert_int_equal(vars_set(&vars, "", "", &e), ERR_INVALID);
    for (size_t i = 1; i < vars.n; i++)
        assert_true(strcmp(vars.items[i - 1].name, vars.items[i].name) < 0);
}

static void variables_that_steer_the_shell_take_what_they_can(void **state)
{
    (void)state;
    struct error e = {0};
    assert_int_equal(vars_set(&vars, "ON_ERROR_STOP", "tru", NULL), 0);
    assert_true(vars_is_on(&vars, "ON_ERROR_STOP", false));
    assert_int_equal(vars_set(&vars, "ON_ERROR_STOP", "maybe", &e), ERR_INVALID);
    assert_string_equal(e.text, "ON_ERROR_STOP: \"maybe\" is none of "
                                "on|off|true|false|yes|no|1|0");
    assert_int_equal(vars_set(&vars, "ECHO", "all", NULL), 0);
    assert_int_equal(vars_set(&vars, "ECHO", "some", &e), ERR_INVALID);
    assert_true(vars_is_on(&vars, "QUIET", true));
}

static void there_is_a_limit_of_variables(void **state)
{
    (void)state;
    char name[32];
    int rc = 0;
    for (int i = 0; i < VARS_MAX + 1 && rc == 0; i++) {
        (void)snprintf(name, sizeof name, "v%d", i);
        rc = vars_set(&vars, name, "", NULL);
    }
    assert_int_equal(rc, ERR_TOO_LARGE);
    assert_int_equal(vars.n, VARS_MAX);
}

static void truth_has_many_spellings(void **state)
{
    (void)state;
    bool value;
    static const char *const yes[] = {"on", "TRUE", "t", "yes", "Y", "1"};
    static const char *const no[] = {"off", "of", "false", "F", "no", "n", "0"};
    static const char *const neither[] = {"", "o", "2", "truely", "x"};
    for (size_t i = 0; i < MEM_COUNT(yes); i++) {
        assert_int_equal(vars_parse_bool(yes[i], &value), 0);
        assert_true(value);
    }
    for (size_t i = 0; i < MEM_COUNT(no); i++) {
        assert_int_equal(vars_parse_bool(no[i], &value), 0);
        assert_false(value);
    }
    for (size_t i = 0; i < MEM_COUNT(neither); i++)
        assert_int_equal(vars_parse_bool(neither[i], &value), ERR_INVALID);
}

/* Interpolation */

static void assert_sql(const char *text, const char *expected)
{
    char *got = interpolate_sql(&vars, text, strlen(text), NULL);
    assert_string_equal(got, expected);
    free(got);
}

static void assert_command(const char *text, const char *expected)
{
    char *got = interpolate_command(&vars, text, strlen(text), NULL);
    assert_string_equal(got, expected);
    free(got);
}

static void variables_stand_in_sql_as_text_names_or_as_they_are(void **state)
{
    (void)state;
    assert_sql("select :n, :'name', :\"name\"", "select 5, 'it''s \"so\"', \"it's \"\"so\"\"\"");
    assert_sql("select ':n', \":n\", $$:n$$ -- :n\n/* :n */", "select ':n', \":n\", $$:n$$ -- :n\n"
                                                              "/* :n */");
    assert_sql("select '1'::n, x::bigint, :unset, :'unset'", "select '1'::n, x::bigint, :unset, "
                                                             ":'unset'");
    assert_sql("select a[1:2], {'a': 1}, {a: n}", "select a[1:2], {'a': 1}, {a: n}");
    assert_sql("select :{?n}, :{?unset}, :{?}", "select TRUE, FALSE, :{?}");
    assert_sql("select :n:n :", "select 55 :");
    assert_sql("", "");
}

static void a_variable_is_one_word_of_a_command(void **state)
{
    (void)state;
    assert_command("job show :n", "job show 5");
    assert_command("exec @all -- echo :two :'two'", "exec @all -- echo 'a b' 'a b'");
    assert_command("kv put k :name", "kv put k 'it'\\''s \"so\"'");
    assert_command("x --name=:two ':two' \":two\" \\:two", "x --name='a b' ':two' \":two\" \\:two");
    assert_command("http://host:n 5:n id:n :nn", "http://host:n 5:n id:n :nn");
}

/* Conditions */

static void only_the_first_true_branch_runs(void **state)
{
    (void)state;
    struct condition c = {0};
    struct error e = {0};
    assert_true(condition_is_active(&c));
    assert_int_equal(condition_if(&c, false, NULL), 0);
    assert_false(condition_is_active(&c));
    assert_true(condition_wants_elif(&c));
    assert_int_equal(condition_elif(&c, true, NULL), 0);
    assert_true(condition_is_active(&c));
    assert_int_equal(condition_elif(&c, true, NULL), 0);
    assert_false(condition_is_active(&c));
    assert_false(condition_wants_elif(&c));
    assert_int_equal(condition_else(&c, NULL), 0);
    assert_false(condition_is_active(&c));
    assert_int_equal(condition_elif(&c, true, &e), ERR_INVALID);
    assert_string_equal(e.text, "\\elif behind \\else");
    assert_int_equal(condition_else(&c, &e), ERR_INVALID);
    assert_int_equal(condition_endif(&c, NULL), 0);
    assert_true(condition_is_active(&c));
    assert_int_equal(condition_endif(&c, &e), ERR_INVALID);
    assert_string_equal(e.text, "\\endif without \\if");
    assert_int_equal(condition_else(&c, &e), ERR_INVALID);
}

static void what_is_inside_a_skipped_branch_is_skipped(void **state)
{
    (void)state;
    struct condition c = {0};
    assert_int_equal(condition_if(&c, false, NULL), 0);
    assert_int_equal(condition_if(&c, true, NULL), 0);
    assert_false(condition_is_active(&c));
    assert_false(condition_wants_elif(&c));
    assert_int_equal(condition_else(&c, NULL), 0);
    assert_false(condition_is_active(&c));
    assert_int_equal(condition_endif(&c, NULL), 0);
    assert_int_equal(condition_else(&c, NULL), 0);
    assert_true(condition_is_active(&c));
    int rc = 0;
    while (rc == 0)
        rc = condition_if(&c, true, NULL);
    assert_int_equal(rc, ERR_TOO_LARGE);
    assert_int_equal(c.depth, CONDITION_DEPTH_MAX);
}

/* Words of backslash commands */

static void assert_words_of(const char *text, enum meta_words_form form, const char *expected)
{
    struct meta_words words;
    struct error e = {0};
    int rc = meta_words_read(&words, &vars, text, strlen(text), form, true, &e);
    char *out = mem_strdup(rc == 0 ? "" : e.text);
    for (size_t i = 0; rc == 0 && i < words.n; i++) {
        char *longer = mem_printf("%s[%s]", out, words.texts[i]);
        free(out);
        out = longer;
    }
    meta_words_done(&words);
    assert_string_equal(out, expected);
    free(out);
}

static void words_are_read_as_psql_reads_them(void **state)
{
    (void)state;
    assert_words_of(" a 'b c'  d\n", META_WORDS_PLAIN, "[a][b c][d]");
    assert_words_of("'a\\nb\\t\\101\\x42\\'' 'it''s'", META_WORDS_PLAIN, "[a\nb\tAB'][it's]");
    assert_words_of("\"a b\" x\"y\"", META_WORDS_PLAIN, "[\"a b\"][x\"y\"]");
    assert_words_of(":n :'two' x:n :unset", META_WORDS_PLAIN, "[5]['a b'][x5][:unset]");
    assert_words_of("`echo a b; echo c` d", META_WORDS_PLAIN, "[a b\nc][d]");
    assert_words_of("a \\b", META_WORDS_PLAIN, "[a]");
    assert_words_of("a\\b", META_WORDS_PLAIN, "[a\\b]");
    assert_words_of("'a", META_WORDS_PLAIN, "a ' quote is not closed");
    assert_words_of("`a", META_WORDS_PLAIN, "a ` quote is not closed");
    assert_words_of("''", META_WORDS_PLAIN, "[]");
    assert_words_of("", META_WORDS_PLAIN, "");
    assert_words_of("  ls ':n' \\x; ", META_WORDS_LINE, "[ls ':n' \\x;]");
    assert_words_of("|grep 'a' | wc", META_WORDS_PIPE, "[|grep 'a' | wc]");
    assert_words_of("'a b'", META_WORDS_PIPE, "[a b]");
    assert_words_of("(format=csv null='x y') |wc -l", META_WORDS_PIPE,
                    "[(format=csv][null=x y)][|wc -l]");
}

static void a_quoted_word_is_read_back(void **state)
{
    (void)state;
    static const char *const all[] = {"plain", "a b", "it's", "back\\slash", "", "a\nb", "|x", "`"};
    for (size_t i = 0; i < MEM_COUNT(all); i++) {
        char *quoted = meta_words_quote(all[i]);
        char *expected = mem_printf("[%s]", all[i]);
        assert_words_of(quoted, META_WORDS_PLAIN, expected);
        free(expected);
        free(quoted);
    }
}

static void any_bytes_are_read_to_the_end(void **state)
{
    (void)state;
    struct generated g;
    char text[64];
    generated_init(&g, 5000);
    while (generated_next(&g)) {
        struct meta_words words;
        size_t len = strlen(generated_text(&g, "a '\"`\\:n\n|(){?}x1", sizeof text, text));
        for (int form = META_WORDS_PLAIN; form <= META_WORDS_LINE; form++) {
            (void)meta_words_read(&words, &vars, text, len, (enum meta_words_form)form, false,
                                  NULL);
            meta_words_done(&words);
        }
        free(interpolate_sql(&vars, text, len, NULL));
        free(interpolate_command(&vars, text, len, NULL));
    }
}

/* Prompts */

static void assert_prompt(const char *format, const struct prompt_facts *facts,
                          const char *expected)
{
    char out[PROMPT_TEXT_MAX];
    prompt_format(format, facts, &vars, out);
    assert_string_equal(out, expected);
}

static void a_prompt_says_node_leader_and_what_is_wrong(void **state)
{
    (void)state;
    json_t *status = json_pack("{s:s, s:s, s:i, s:s}", "node", "n1", "leader", "n2", "term", 7,
                               "version", "0.1.0");
    json_t *nodes = json_pack("[{s:s}, {s:s}, {s:s}]", "state", "online", "state", "offline",
                              "state", "draining");
    json_t *alone = json_pack("{s:s, s:n}", "node", "n\033[1", "leader");
    struct prompt_facts facts = {.status = status, .endpoint = "unix:/x"};
    assert_prompt(PROMPT_FIRST, &facts, "clustersh n1 (leader n2)> ");
    assert_prompt("%n/%l %t %v %E %x%%", &facts, "n1/n2 7 0.1.0 unix:/x %");
    facts.nodes = nodes;
    assert_prompt("%s", &facts, "(leader n2, 1 of 3 down)");
    facts.is_read_only = facts.has_failed = true;
    assert_prompt("%s%x", &facts, "(leader n2, 1 of 3 down, read-only)!");
    facts = (struct prompt_facts){.status = alone, .has_color = true};
    assert_prompt("%n %S", &facts, "n\\x1b[1 \001\033[33m\002(no leader)\001\033[0m\002");
    facts = (struct prompt_facts){.status = NULL};
    assert_prompt(PROMPT_FIRST, &facts, "clustersh (no connection)> ");
    json_decref(status);
    json_decref(nodes);
    json_decref(alone);
}

static void a_prompt_says_what_is_open(void **state)
{
    (void)state;
    static const struct {
        enum statement_end end;
        const char *mark;
    } ends[] = {
        {STATEMENT_END_SQL, "...> "},         {STATEMENT_END_QUOTE_SINGLE, "'> "},
        {STATEMENT_END_QUOTE_DOUBLE, "\"> "}, {STATEMENT_END_COMMENT, "*> "},
        {STATEMENT_END_BRACKET, "(> "},       {STATEMENT_END_JOINED, "...> "},
    };
    for (size_t i = 0; i < MEM_COUNT(ends); i++) {
        struct prompt_facts facts = {.end = ends[i].end, .is_further = true};
        assert_prompt("%R> ", &facts, ends[i].mark);
    }
    struct prompt_facts facts = {.end = STATEMENT_END_SQL, .is_further = true, .width = 4};
    assert_prompt(PROMPT_FURTHER, &facts, "      ...> ");
    assert_prompt("%w|", &facts, "    |");
    facts = (struct prompt_facts){.is_skipped = true};
    assert_prompt("%R> ", &facts, "@> ");
}

static void a_prompt_may_hold_variables_commands_and_escapes(void **state)
{
    (void)state;
    struct prompt_facts facts = {.status = NULL};
    assert_prompt("%:n:%:unset:%:two:", &facts, "5a b");
    assert_prompt("%`echo hi; echo no`.", &facts, "hi.");
    assert_prompt("%[%033[1m%]x%[%033[0m%]", &facts, "\001\033[1m\002x\001\033[0m\002");
    assert_prompt("%", &facts, "%");
    assert_prompt("a%5", &facts, "a");
    assert_int_equal(prompt_width("one\ntwo\001\033[1m\002\303\274 "), 5);
    char longest[3000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    char out[PROMPT_TEXT_MAX];
    prompt_format(longest, &facts, &vars, out);
    assert_true(strlen(out) < PROMPT_TEXT_MAX);
}

int main(void)
{
    text_set_utf8(true);
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(variables_are_set_unset_and_listed_by_name),
        CASE(variables_that_steer_the_shell_take_what_they_can),
        CASE(there_is_a_limit_of_variables),
        CASE(truth_has_many_spellings),
        CASE(variables_stand_in_sql_as_text_names_or_as_they_are),
        CASE(a_variable_is_one_word_of_a_command),
        CASE(only_the_first_true_branch_runs),
        CASE(what_is_inside_a_skipped_branch_is_skipped),
        CASE(words_are_read_as_psql_reads_them),
        CASE(a_quoted_word_is_read_back),
        CASE(any_bytes_are_read_to_the_end),
        CASE(a_prompt_says_node_leader_and_what_is_wrong),
        CASE(a_prompt_says_what_is_open),
        CASE(a_prompt_may_hold_variables_commands_and_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
