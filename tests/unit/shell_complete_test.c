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
#include "shell/complete.h"
#include "shell/program.h"

static void names(void *arg, enum complete_names kind, struct complete *complete)
{
    (void)arg;
    switch (kind) {
    case COMPLETE_NAMES_NODES:
        complete_add(complete, "n2", "online");
        complete_add(complete, "n1", "online");
        break;
    case COMPLETE_NAMES_GROUPS:
        complete_add(complete, "@all", NULL);
        complete_add(complete, "@label=gpu", NULL);
        break;
    case COMPLETE_NAMES_JOBS:
        complete_add(complete, "4f120001", "sort running");
        complete_add(complete, "77aa0002", "grep failed");
        break;
    case COMPLETE_NAMES_KEYS:
        complete_add(complete, "lock/deploy", NULL);
        break;
    case COMPLETE_NAMES_TABLES:
        complete_add(complete, "trips", NULL);
        complete_add(complete, "towns", NULL);
        complete_add(complete, "cluster.nodes", NULL);
        break;
    case COMPLETE_NAMES_COLUMNS:
        if (strcmp(complete->of, "trips") == 0)
            complete_add(complete, "town_id", "BIGINT");
        else if (strcmp(complete->of, "towns") == 0)
            complete_add(complete, "town_name", "VARCHAR");
        break;
    case COMPLETE_NAMES_FUNCTIONS:
        complete_add(complete, "regexp_matches", "scalar");
        complete_add(complete, "range", "table");
        break;
    case COMPLETE_NAMES_KEYWORDS:
        complete_add(complete, "reset", NULL);
        break;
    case COMPLETE_NAMES_VARIABLES:
        complete_add(complete, "day", "2026-11-28");
        complete_add(complete, "n", "5");
        break;
    case COMPLETE_NAMES_TASKS:
        complete_add(complete, "4f12_0", NULL);
        complete_add(complete, "4f12_1", NULL);
        break;
    case COMPLETE_NAMES_MODELS:
        complete_add(complete, "spam-7", NULL);
        break;
    case COMPLETE_NAMES_SERVICES:
        complete_add(complete, "web", NULL);
        break;
    case COMPLETE_NAMES_CHANNELS:
        complete_add(complete, "ops", NULL);
        break;
    case COMPLETE_NAMES_TXNS:
        complete_add(complete, "77-1", NULL);
        break;
    case COMPLETE_NAMES_QUERIES:
        complete_add(complete, "0c1d2e3f-0000-4000-8000-000000000001", "select 1");
        break;
    }
}

/* What may stand at the end of `line`: "a b c", an open end marked by '+'. */
static char *complete(const char *line)
{
    struct complete c;
    complete_line(&c, line, strlen(line), names, NULL);
    /* what is taken away for it is what it begins with */
    const char *typed = line + c.from;
    if (strpbrk(typed, "'\"") == NULL && strcmp(typed, c.prefix) != 0)
        fail_msg("%s: \"%s\" stands where \"%s\" is completed", line, typed, c.prefix);
    char *out = mem_strdup("");
    for (size_t i = 0; i < c.n; i++) {
        char *longer = mem_printf("%s%s%s", out, i > 0 ? " " : "", c.items[i].text);
        free(out);
        out = longer;
    }
    if (c.is_open) {
        char *longer = mem_printf("%s+", out);
        free(out);
        out = longer;
    }
    complete_done(&c);
    return out;
}

static void assert_complete(const char *line, const char *expected)
{
    char *items = complete(line);
    if (strcmp(items, expected) != 0)
        fail_msg("%s: got \"%s\", expected \"%s\"", line, items, expected);
    free(items);
}

static void words_of_commands_come_from_the_table(void **state)
{
    (void)state;
    assert_complete("", "audit chat election events exec exit file help job kv model node query "
                        "quit raft report rollout "
                        "routing "
                        "status");
    assert_complete("no", "node");
    assert_complete("job l", "list logs");
    assert_complete("j sh", "show");
    assert_complete("\\ti", "\\timing");
    assert_complete("\\g", "\\g \\gdesc \\getenv \\gexec \\gset \\gx");
    assert_complete("select 1 \\ge", "\\getenv \\gexec");
    assert_complete("job list \\wa", "\\watch");
    assert_complete("nosuch x", "");
    assert_complete("help job re", "results retry");
    assert_complete("node list; ra", "raft");
    assert_complete("node list\nra", "raft");
}

static void options_are_offered_until_they_are_given(void **state)
{
    (void)state;
    assert_complete("job list --a", "--all");
    assert_complete("job list --all --a", "");
    assert_complete("job submit --env A=1 --en", "--env");
    assert_complete("job submit -- x --en", "");
    assert_complete("node drain -", "--deadline --help --output --reason");
}

static void values_are_of_the_options_type(void **state)
{
    (void)state;
    assert_complete("job list --state c", "cancelled completed");
    assert_complete("job list --state=c", "--state=cancelled --state=completed");
    assert_complete("node list -o js", "json jsonl");
    assert_complete("node list --output=v", "--output=vertical");
    assert_complete("\\timing o", "off on");
}

static void names_come_from_the_cluster(void **state)
{
    (void)state;
    assert_complete("node show ", "n1 n2");
    assert_complete("job show 4", "4f120001");
    assert_complete("job cancel 4f120001 7", "77aa0002");
    assert_complete("kv get l", "lock/deploy");
    assert_complete("raft transfer n1", "n1");
    assert_complete("query cancel 0c", "0c1d2e3f-0000-4000-8000-000000000001");
    assert_complete("raft status --limit n", "");
}

static void everything_that_has_a_name_is_known(void **state)
{
    (void)state;
    assert_complete("job logs 4f12_", "4f12_0 4f12_1");
    assert_complete("rollout start w", "web");
    assert_complete("rollout start web sp", "spam-7");
    assert_complete("rollout promote w", "web");
    assert_complete("rollout resolve 7", "77-1");
    assert_complete("chat send --channel o", "ops");
    assert_complete("model remove s", "spam-7");
    assert_complete("\\c n", "n1 n2");
    assert_complete("\\d t", "towns trips");
    assert_complete("\\df reg", "regexp_matches");
    assert_complete("\\h create ", "table");
    assert_complete("\\h CREATE T", "TABLE");
}

static void backslash_commands_know_their_names_and_values(void **state)
{
    (void)state;
    assert_complete("\\pset fo", "footer format");
    assert_complete("\\pset format j", "json jsonl");
    assert_complete("\\pset footer ", "off on");
    assert_complete("\\set ON", "ON_ERROR_STOP");
    assert_complete("\\set ECHO e", "errors");
    assert_complete("\\unset d", "day");
    assert_complete("\\copy t", "towns trips");
    assert_complete("\\copy towns ", "from to");
    assert_complete("\\copy towns from std", "stdin stdout");
    assert_complete("\\echo :d", ":day");
    assert_complete("job show :n", ":n");
    assert_complete("select :d", "day");
}

static void sql_knows_functions_aliases_and_named_queries(void **state)
{
    (void)state;
    assert_complete("select rege", "regexp_matches(+");
    assert_complete("SELECT REGE", "REGEXP_MATCHES(+");
    assert_complete("select rese", "reset");
    assert_complete("select tri from trips tripstable where tripst", "tripstable");
    assert_complete("with tops as (select 1) select * from to", "tops towns");
    assert_complete("select x.town from towns x where x.", "town_name");
}

static void a_node_set_is_completed_item_by_item(void **state)
{
    (void)state;
    assert_complete("exec n", "n1 n2");
    assert_complete("exec @", "@all @label=gpu");
    assert_complete("exec n1,n", "n1,n1 n1,n2");
    assert_complete("exec @all,!@l", "@all,!@label=gpu");
    assert_complete("events --kind chat.le", "chat.lead");
    assert_complete("events -k disk", "disk.* disk.full disk.room");
    assert_complete("events --kind 'job.*,raft.le", "job.*,raft.lead");
}

static void files_are_completed_and_folders_stay_open(void **state)
{
    (void)state;
    char dir[] = "/tmp/complete_test.XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chdir(dir), 0);
    (void)mkdir("sub", 0700);
    (void)fclose(fopen("one file", "we"));
    (void)fclose(fopen("sub/inner", "we"));
    (void)fclose(fopen(".hidden", "we"));
    assert_complete("\\i s", "sub/+");
    assert_complete("\\i sub/", "sub/inner");
    assert_complete("\\i ", "one file sub/");
    assert_complete("\\i .h", ".hidden");
    assert_complete("job submit --file 'one", "one file");
    assert_complete("job submit -- cat sub/i", "sub/inner");
    (void)unlink("one file");
    (void)unlink("sub/inner");
    (void)unlink(".hidden");
    (void)rmdir("sub");
    assert_int_equal(chdir("/"), 0);
    (void)rmdir(dir);
}

static void the_word_that_is_replaced_is_told_by_its_place(void **state)
{
    (void)state;
    struct complete c;
    complete_line(&c, "node show 'n", 12, names, NULL);
    assert_int_equal(c.from, 10);
    assert_string_equal(c.prefix, "n");
    char *common = complete_common(&c);
    assert_string_equal(common, "n");
    free(common);
    complete_done(&c);
    complete_line(&c, "node show ", 10, names, NULL);
    assert_int_equal(c.from, 10);
    assert_string_equal(c.prefix, "");
    complete_done(&c);
    complete_line(&c, "node show nXX", 11, names, NULL);
    assert_int_equal(c.n, 2);
    complete_done(&c);
}

static void sql_knows_tables_columns_and_key_words(void **state)
{
    (void)state;
    assert_complete("sel", "select");
    assert_complete("DESC", "DESCRIBE");
    assert_complete("select * from ", "cluster.nodes towns trips");
    assert_complete("select * from tr", "trips");
    assert_complete("select * from trips a join to", "towns");
    assert_complete("select * from trips a, to", "towns");
    assert_complete("insert into t", "towns trips");
    assert_complete("describe cluster.n", "cluster.nodes");
    assert_complete("select * from trips where town", "town_id");
    assert_complete("select * from trips a, towns b where a.", "town_id");
    assert_complete("select * from trips a join towns as b on b.to", "town_name");
    assert_complete("select * from trips where town_id = 1 gr", "group grouping");
    assert_complete("select * from trips GR", "GROUP GROUPING");
    assert_complete("select 'from tr", "");
    assert_complete("node list; select * from to", "towns");
}

static void sql_looks_at_tables_behind_the_cursor(void **state)
{
    (void)state;
    struct complete c;
    complete_line(&c, "select to from trips", 9, names, NULL);
    assert_int_equal(c.from, 7);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.items[0].text, "to");
    assert_string_equal(c.items[1].text, "town_id");
    complete_done(&c);
}

/* What the last word may become, as the arguments of clustersh: NULL ends them; 'f' and '+' as
 * marks. */
static void assert_words(const char *expected, const char *const *words)
{
    struct complete c;
    size_t n = 0;
    while (words[n] != NULL)
        n++;
    complete_words(&c, &program_row, words, n, names, NULL);
    char *out = mem_strdup("");
    for (size_t i = 0; i < c.n; i++) {
        char *longer = mem_printf("%s%s%s", out, i > 0 ? " " : "", c.items[i].text);
        free(out);
        out = longer;
    }
    char *marked = mem_printf("%s%s%s", out, c.wants_files ? "f" : "", c.is_open ? "+" : "");
    if (strcmp(marked, expected) != 0)
        fail_msg("%s: got \"%s\", expected \"%s\"", words[n - 1], marked, expected);
    free(marked);
    free(out);
    complete_done(&c);
}
#define ASSERT_WORDS(expected, ...) assert_words(expected, (const char *const[]){__VA_ARGS__, NULL})

static void words_of_a_shell_are_options_then_a_command(void **state)
{
    (void)state;
    ASSERT_WORDS("raft report rollout routing", "r");
    ASSERT_WORDS("--server", "--se");
    ASSERT_WORDS("node", "--server", "unix:/x", "no");
    ASSERT_WORDS("", "--server", "no");
    ASSERT_WORDS("node", "-s", "unix:/x", "-t", "no");
    ASSERT_WORDS("csv", "-o", "c");
    ASSERT_WORDS("--output=csv", "--output=c");
    ASSERT_WORDS("f", "-f", "");
    ASSERT_WORDS("drain", "-t", "node", "dr");
    ASSERT_WORDS("n1 n2", "n", "sh", "n");
    ASSERT_WORDS("--all", "job", "list", "--al");
    ASSERT_WORDS("failed", "job", "list", "--state", "f");
    ASSERT_WORDS("4f120001", "-t", "--", "job", "show", "4");
    ASSERT_WORDS("f", "exec", "@all", "--", "");
    ASSERT_WORDS("submit", "help", "job", "sub");
    ASSERT_WORDS("", "no", "such", "thing", "");
}

static void a_statement_behind_c_is_completed_whole(void **state)
{
    (void)state;
    ASSERT_WORDS("job list+", "-c", "job li");
    ASSERT_WORDS("node list; node show n1 node list; node show n2+", "-c",
                 "node list; node show n");
    ASSERT_WORDS("select * from trips+", "-c", "select * from tr");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_commands_come_from_the_table),
        cmocka_unit_test(options_are_offered_until_they_are_given),
        cmocka_unit_test(values_are_of_the_options_type),
        cmocka_unit_test(names_come_from_the_cluster),
        cmocka_unit_test(everything_that_has_a_name_is_known),
        cmocka_unit_test(backslash_commands_know_their_names_and_values),
        cmocka_unit_test(sql_knows_functions_aliases_and_named_queries),
        cmocka_unit_test(a_node_set_is_completed_item_by_item),
        cmocka_unit_test(files_are_completed_and_folders_stay_open),
        cmocka_unit_test(the_word_that_is_replaced_is_told_by_its_place),
        cmocka_unit_test(sql_knows_tables_columns_and_key_words),
        cmocka_unit_test(sql_looks_at_tables_behind_the_cursor),
        cmocka_unit_test(words_of_a_shell_are_options_then_a_command),
        cmocka_unit_test(a_statement_behind_c_is_completed_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
