#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "base/str.h"
#include "shell/command.h"
#include "shell/command_group.h"
#include "shell/command_help.h"
#include "shell/command_man.h"
#include "shell/commands.h"
#include "shell/program.h"
#include "shell/meta_words.h"
#include "shell/statement.h"
#include "shell/text.h"
#include "shell/topic.h"

static char hint[COMMAND_HINT_MAX];
static int parse(const char *line, struct statement *s, struct command_call *call);
static struct error error;

/* The words of a line: as those of a statement, or of a backslash command, its name first. */
static void split(const char *line, struct statement *s)
{
    struct meta_words words;
    size_t name;
    if (line[0] != '\\') {
        assert_int_equal(statement_split(s, line, strlen(line), false, NULL), 0);
        return;
    }
    (void)meta_words_command(line, strlen(line), &name);
    assert_int_equal(meta_words_read(&words, NULL, line + name, strlen(line) - name,
                                     META_WORDS_PLAIN, false, NULL),
                     0);
    *s = (struct statement){.n = words.n + 1, .words = mem_calloc(words.n + 1, sizeof *s->words)};
    s->words[0].text = mem_strndup(line, name);
    for (size_t i = 0; i < words.n; i++)
        s->words[i + 1].text = words.texts[i];
    free(words.texts);
    s->texts = mem_calloc(s->n + 1, sizeof *s->texts);
    for (size_t i = 0; i < s->n; i++)
        s->texts[i] = s->words[i].text;
}

/* Name of the row that a line finds, or the error. */
static const char *find(const char *line)
{
    struct statement s;
    const struct command *command;
    size_t n_words;
    memset(&error, 0, sizeof error);
    split(line, &s);
    int rc = command_find(s.texts, s.n, &command, &n_words, &error, hint);
    statement_done(&s);
    return rc == 0 ? command->name : error.text;
}

static void a_unique_beginning_of_each_word_finds_the_command(void **state)
{
    (void)state;
    assert_string_equal(find("job list"), "job list");
    assert_string_equal(find("j li -n 3"), "job list");
    assert_string_equal(find("n l"), "node list");
    assert_string_equal(find("exe @all uname"), "exec");
    assert_string_equal(find("\\t"), "\\t");
    assert_string_equal(find("\\ti"), "\\timing");
    assert_string_equal(find("\\w 2"), "\\w");
    assert_string_equal(find("q"), "quit");
}

static void a_set_of_nodes_may_stand_in_several_words(void **state)
{
    (void)state;
    struct statement s;
    struct command_call call;
    size_t n;
    assert_int_equal(parse("node drain @worker & !n3 n7 , n8 --reason x", &s, &call), 0);
    const struct command_value *sets = command_argument_all(&call, 0, &n);
    assert_int_equal(n, 2);
    assert_string_equal(sets[0].text, "@worker & !n3");
    assert_string_equal(sets[1].text, "n7 , n8");
    assert_string_equal(command_option_text(&call, "reason"), "x");
    command_call_done(&call);
    statement_done(&s);
    assert_int_equal(parse("exec @a & @b -- echo a & b", &s, &call), 0);
    assert_string_equal(command_argument_text(&call, 0), "@a & @b");
    (void)command_argument_all(&call, 1, &n);
    assert_int_equal(n, 4);
    command_call_done(&call);
    statement_done(&s);
}

static void an_ambiguous_command_names_what_it_could_be(void **state)
{
    (void)state;
    assert_string_equal(find("job l"), "ambiguous command: job l, could be: job list, job logs");
    assert_int_equal(error.code, ERR_CONFLICT);
    assert_string_equal(find("job r"), "ambiguous command: job r, could be: job run, job results, "
                                       "job retry");
}

static void an_unknown_command_proposes_the_nearest(void **state)
{
    (void)state;
    assert_string_equal(find("stauts"), "unknown command: stauts");
    assert_string_equal(hint, "did you mean \"status\"?");
    assert_string_equal(find("job lsit"), "unknown command: job lsit");
    assert_string_equal(hint, "did you mean \"job list\"?");
    assert_string_equal(find("selct 1"), "unknown command: selct");
    assert_string_equal(hint, "did you mean SQL's \"select\"?");
    assert_string_equal(find("job abcdefghijkl"), "unknown command: job abcdefghijkl");
    assert_string_equal(hint, "help job lists its commands");
    assert_string_equal(find("foo"), "unknown command: foo"); /* not \o */
    assert_string_equal(hint, "help lists the commands");
    assert_string_equal(find("xyzzy 1"), "unknown command: xyzzy");
    assert_string_equal(hint, "help lists the commands");
    assert_string_equal(find("'\033[31m'"), "unknown command: \\x1b[31m");
}

static void a_group_alone_lists_its_commands(void **state)
{
    (void)state;
    assert_string_equal(find("raft"), "raft needs a command: status, transfer, add, remove");
    assert_int_equal(error.code, ERR_INVALID);
}

/* Parses a line and returns 0, or leaves the text in `error`. */
static int parse(const char *line, struct statement *s, struct command_call *call)
{
    const struct command *command;
    size_t n_words;
    memset(&error, 0, sizeof error);
    split(line, s);
    assert_int_equal(command_find(s->texts, s->n, &command, &n_words, &error, hint), 0);
    return command_parse(command, s->texts + n_words, s->n - n_words, NULL, call, &error);
}

static void options_stand_anywhere_before_the_command_line(void **state)
{
    (void)state;
    struct statement s;
    struct command_call call;
    size_t n;
    assert_int_equal(parse("job submit --array 0-9%2 -r3 --time=1m30s --env A=1 -e B=2 --memory 1G "
                           "--priority -5 -w -- sort -r --array x",
                           &s, &call),
                     0);
    assert_string_equal(command_option_text(&call, "array"), "0-9%2");
    assert_int_equal(command_option(&call, "retries")->number, 3);
    assert_int_equal(command_option(&call, "time")->number, 90000);
    assert_int_equal(command_option(&call, "memory")->number, 1 << 30);
    assert_int_equal(command_option(&call, "priority")->integer, -5);
    assert_true(command_option_given(&call, "wait"));
    assert_false(command_option_given(&call, "quiet"));
    const struct command_value *env = command_option_all(&call, "env", &n);
    assert_int_equal(n, 2);
    assert_string_equal(env[1].text, "B=2");
    const struct command_value *words = command_argument_all(&call, 0, &n);
    assert_int_equal(n, 4);
    assert_string_equal(words[0].text, "sort");
    assert_string_equal(words[2].text, "--array");
    command_call_done(&call);
    statement_done(&s);
}

static void the_first_word_of_a_command_line_ends_the_options(void **state)
{
    (void)state;
    struct statement s;
    struct command_call call;
    size_t n;
    assert_int_equal(parse("exec --live n1 ls -l -- x", &s, &call), 0);
    assert_true(command_option_given(&call, "live"));
    assert_string_equal(command_argument_text(&call, 0), "n1");
    (void)command_argument_all(&call, 1, &n);
    assert_int_equal(n, 4);
    command_call_done(&call);
    statement_done(&s);
}

static void letters_may_stand_together(void **state)
{
    (void)state;
    struct statement s;
    struct command_call call;
    assert_int_equal(parse("job logs -fb last -E2 -ojson", &s, &call), 0);
    assert_true(command_option_given(&call, "follow"));
    assert_true(command_option_given(&call, "both"));
    assert_int_equal(command_option(&call, "element")->number, 2);
    assert_string_equal(command_option_text(&call, "output"), "json");
    command_call_done(&call);
    statement_done(&s);
}

static void what_does_not_fit_the_row_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *text;
    } rows[] = {
        {"job show", "job show needs JOB: its id, a unique beginning of it, or last"},
        {"job show a b", "job show takes no argument \"b\""},
        {"job list --lmit 3", "job list has no option --lmit, did you mean --limit?"},
        {"job list -Z", "job list has no option -Z"},
        {"job list --limit", "--limit needs N"},
        {"job list --limit x", "--limit: \"x\" is not a count"},
        {"job list --limit 3 --limit 4", "--limit is given twice"},
        {"job list --all=1", "--all takes no value"},
        {"job list --state done",
         "--state: \"done\" is none of pending|running|completed|failed|cancelled"},
        {"job list -o xml", "--output: \"xml\" is none of "
                            "table|vertical|csv|tsv|json|jsonl|markdown"},
        {"job wait x --timeout soon",
         "--timeout: \"soon\" is no duration such as 500ms, 10s, 1h30m"},
        {"job submit --memory lots -- x", "--memory: \"lots\" is no size such as 64K, 100M, 2G"},
        {"job submit --priority 1.5 -- x", "--priority: \"1.5\" is not a whole number"},
        {"exec n1", "exec needs COMMAND: a program and its arguments; a single word goes through "
                    "sh -c"},
        {"\\timing maybe", "on|off: \"maybe\" is none of on|off"},
    };
    for (size_t i = 0; i < MEM_COUNT(rows); i++) {
        struct statement s;
        struct command_call call;
        assert_int_equal(parse(rows[i].line, &s, &call), ERR_INVALID);
        assert_string_equal(error.text, rows[i].text);
        command_call_done(&call);
        statement_done(&s);
    }
}

static void help_is_given_whatever_else_is_wrong(void **state)
{
    (void)state;
    struct statement s;
    struct command_call call;
    assert_int_equal(parse("job show --help --nonsense", &s, &call), 0);
    assert_true(call.help);
    command_call_done(&call);
    statement_done(&s);
}

/* Every row */

static void check_row(const struct command *row)
{
    const struct command_option *option;
    bool letters[256] = {0};
    assert_non_null(row->summary);
    assert_true(strlen(row->summary) < 90);
    assert_false(str_ends_with(row->summary, "."));
    for (size_t i = 0; (option = command_option_at(row, i)) != NULL; i++) {
        assert_true(i < COMMAND_OPTIONS_MAX);
        assert_int_equal(option->value == NULL, option->type == COMMAND_TYPE_FLAG);
        assert_int_equal(option->choices != NULL, option->type == COMMAND_TYPE_CHOICE);
        if (option->letter != 0 && letters[(unsigned char)option->letter])
            fail_msg("%s: -%c twice", row->name, option->letter);
        letters[(unsigned char)option->letter] = true;
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(option->name, command_option_at(row, k)->name);
    }
    for (size_t i = 0; i + 1 < COMMAND_ARGUMENTS_MAX && row->arguments[i].name != NULL; i++) {
        bool takes_all = row->arguments[i].count != COMMAND_COUNT_ONE &&
                         row->arguments[i].count != COMMAND_COUNT_OPTIONAL;
        assert_true(!takes_all || row->arguments[i + 1].name == NULL);
        assert_non_null(row->arguments[i].help);
    }
}

static void every_row_is_sound_and_found_by_its_name(void **state)
{
    (void)state;
    check_row(&program_row);
    for (size_t i = 0; command_table[i] != NULL; i++) {
        check_row(command_table[i]);
        if (strcmp(command_table[i]->name, "\\!") != 0)
            assert_string_equal(find(command_table[i]->name), command_table[i]->name);
        assert_non_null(command_table[i]->run);
    }
}

static void every_example_parses(void **state)
{
    (void)state;
    for (size_t i = 0; command_table[i] != NULL; i++) {
        const struct command_example *examples = command_table[i]->examples;
        for (size_t k = 0; k < COMMAND_EXAMPLES_MAX && examples[k].line != NULL; k++) {
            size_t len;
            struct command_call call;
            struct statement s;
            (void)statement_next(examples[k].line, &len);
            if (statement_begins_sql(examples[k].line, len))
                continue;
            char *line = mem_strndup(examples[k].line, len);
            if (parse(line, &s, &call) != 0 && !command_is_meta(command_table[i]))
                fail_msg("%s: %s", line, error.text);
            command_call_done(&call);
            statement_done(&s);
            free(line);
        }
    }
}

static void every_help_fits_eighty_columns(void **state)
{
    (void)state;
    for (size_t i = 0; command_table[i] != NULL; i++) {
        struct buf b;
        buf_init(&b, COMMAND_HELP_BYTES_MAX);
        command_help_text(command_table[i], COMMAND_HELP_WIDTH, &b);
        for (const char *line = buf_cstr(&b); *line != '\0';) {
            size_t len = strcspn(line, "\n");
            if (len > COMMAND_HELP_WIDTH)
                fail_msg("%s: %.*s", command_table[i]->name, (int)len, line);
            line += len + 1;
        }
        buf_done(&b);
    }
}

static void the_json_dump_has_every_command(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, COMMAND_HELP_BYTES_MAX);
    command_docs_json(&program_row, &b);
    json_t *all = json_loadb((const char *)b.data, b.len, 0, NULL);
    assert_non_null(all);
    size_t n = 0;
    while (command_table[n] != NULL)
        n++;
    assert_int_equal(json_array_size(json_object_get(all, "commands")), n);
    json_decref(all);
    buf_done(&b);
}

static void the_reference_is_what_the_rows_say(void **state)
{
    (void)state;
    const char *top = getenv("TOP_SRCDIR");
    char *path = mem_printf("%s/docs/commands.md", top != NULL ? top : ".");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        fail_msg("%s is missing", path);
    struct buf b;
    struct buf kept;
    buf_init(&b, COMMAND_HELP_BYTES_MAX);
    buf_init(&kept, COMMAND_HELP_BYTES_MAX);
    command_docs_markdown(&program_row, &b);
    int c;
    while ((c = fgetc(file)) != EOF)
        (void)buf_append_byte(&kept, (uint8_t)c);
    (void)fclose(file);
    if (strcmp(buf_cstr(&b), buf_cstr(&kept)) != 0)
        fail_msg("docs/commands.md is old: clustersh --dump-markdown > docs/commands.md");
    buf_done(&b);
    buf_done(&kept);
    free(path);
}

static void every_group_has_a_row_and_a_page(void **state)
{
    (void)state;
    for (size_t i = 0; command_table[i] != NULL; i++) {
        const char *name = command_table[i]->name;
        char *first = mem_strndup(name, strcspn(name, " "));
        bool is_own =
            strcmp(first, "help") == 0 || strcmp(first, "quit") == 0 || strcmp(first, "exit") == 0;
        const struct command_group *group = command_group_find(first);
        if (!command_is_meta(command_table[i]) && !is_own && group == NULL)
            fail_msg("%s has no row in command_group.c", first);
        if (group != NULL)
            assert_true(command_group_has(group, command_table[i]));
        free(first);
    }
    for (const struct command_group *group = command_groups; group->name != NULL; group++) {
        bool is_used = false;
        for (size_t i = 0; command_table[i] != NULL; i++)
            is_used = is_used || command_group_has(group, command_table[i]);
        if (!is_used)
            fail_msg("no command belongs to the group %s", group->name);
    }
}

static void every_page_of_the_list_can_be_printed(void **state)
{
    (void)state;
    struct buf list;
    buf_init(&list, COMMAND_HELP_BYTES_MAX);
    command_man_list(&list);
    for (const char *line = buf_cstr(&list); *line != '\0';) {
        size_t len = strcspn(line, "\n");
        size_t page_len = strcspn(line, " \n");
        char *target = page_len < len ? mem_strndup(line + page_len + 1, len - page_len - 1)
                                      : mem_strndup(line, len);
        struct buf page;
        buf_init(&page, COMMAND_HELP_BYTES_MAX);
        assert_int_equal(command_man_page(&program_row, target, &page), 0);
        assert_non_null(strstr(buf_cstr(&page), ".Sh NAME"));
        buf_done(&page);
        free(target);
        line += len + 1;
    }
    struct buf none;
    buf_init(&none, COMMAND_HELP_BYTES_MAX);
    assert_int_equal(command_man_page(&program_row, "clustersh-nothing.1", &none), ERR_NOT_FOUND);
    assert_int_equal(command_man_page(&program_row, ".1", &none), ERR_NOT_FOUND);
    assert_int_equal(command_man_page(&program_row, "clustersh-.1", &none), ERR_NOT_FOUND);
    buf_done(&none);
    buf_done(&list);
}

static void assert_page(const char *page, size_t n, const char *const *words)
{
    char *found = command_man_of(words, n);
    if (page == NULL)
        assert_null(found);
    else
        assert_string_equal(found != NULL ? found : "(none)", page);
    free(found);
}

static void words_lead_to_the_page_about_them(void **state)
{
    (void)state;
    assert_page("clustersh.1", 0, NULL);
    assert_page("clustersh-job.1", 1, (const char *const[]){"job"});
    assert_page("clustersh-job.1", 2, (const char *const[]){"job", "sub"});
    assert_page("clustersh.1", 1, (const char *const[]){"\\watch"});
    assert_page("clustersh.1", 1, (const char *const[]){"statements"});
    assert_page("clustersh-sql.7", 1, (const char *const[]){"sql"});
    assert_page("clustersh-sql.7", 2, (const char *const[]){"create", "table"});
    assert_page(NULL, 1, (const char *const[]){"nonsense"});
}

static void topics_are_found_by_a_unique_beginning(void **state)
{
    (void)state;
    assert_string_equal(topic_find((const char *const[]){"drop"}, 1)->name, "DROP TABLE");
    assert_string_equal(topic_find((const char *const[]){"Describe"}, 1)->name, "DESCRIBE");
    assert_string_equal(topic_find((const char *const[]){"describe", "h"}, 2)->name,
                        "DESCRIBE HISTORY");
    assert_null(topic_find((const char *const[]){"de"}, 1));
    assert_null(topic_find((const char *const[]){"zz"}, 1));
}

static void every_example_of_sql_is_sql(void **state)
{
    (void)state;
    for (const struct topic *topic = topic_sql; topic->name != NULL; topic++) {
        for (size_t i = 0; i < COMMAND_EXAMPLES_MAX && topic->examples[i].line != NULL; i++) {
            const char *line = topic->examples[i].line;
            size_t len, from, sql_len;
            if (statement_next(line, &len) != STATEMENT_END_COMPLETE || line[len] != '\0' ||
                !statement_is_sql(line, len, &from, &sql_len))
                fail_msg("%s: %s", topic->name, line);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unique_beginning_of_each_word_finds_the_command),
        cmocka_unit_test(a_set_of_nodes_may_stand_in_several_words),
        cmocka_unit_test(an_ambiguous_command_names_what_it_could_be),
        cmocka_unit_test(an_unknown_command_proposes_the_nearest),
        cmocka_unit_test(a_group_alone_lists_its_commands),
        cmocka_unit_test(options_stand_anywhere_before_the_command_line),
        cmocka_unit_test(the_first_word_of_a_command_line_ends_the_options),
        cmocka_unit_test(letters_may_stand_together),
        cmocka_unit_test(what_does_not_fit_the_row_is_said),
        cmocka_unit_test(help_is_given_whatever_else_is_wrong),
        cmocka_unit_test(every_row_is_sound_and_found_by_its_name),
        cmocka_unit_test(every_example_parses),
        cmocka_unit_test(every_help_fits_eighty_columns),
        cmocka_unit_test(every_group_has_a_row_and_a_page),
        cmocka_unit_test(every_page_of_the_list_can_be_printed),
        cmocka_unit_test(words_lead_to_the_page_about_them),
        cmocka_unit_test(topics_are_found_by_a_unique_beginning),
        cmocka_unit_test(every_example_of_sql_is_sql),
        cmocka_unit_test(the_json_dump_has_every_command),
        cmocka_unit_test(the_reference_is_what_the_rows_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
