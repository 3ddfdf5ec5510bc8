/* The program against a fake cluster: what it prints where, and how it ends. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"
#include "tests/lib/fake_cluster.h"

extern char **environ;

struct world {
    char dir[64];
    char socket_path[96];
    struct fake_cluster *cluster;
    char *out;
    char *err;
    int status; /* exit status, 128 + signal */
};

static int set_up(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/clustersh_test.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->socket_path, sizeof w->socket_path, "%s/api.sock", w->dir);
    char *endpoint = mem_printf("unix:%s", w->socket_path);
    assert_int_equal(setenv("CLUSTERSH_ENDPOINT", endpoint, 1), 0);
    assert_int_equal(setenv("HOME", w->dir, 1), 0);
    free(endpoint);
    w->cluster = fake_cluster_new(w->socket_path);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    if (w->cluster != NULL)
        fake_cluster_free(w->cluster);
    free(w->out);
    free(w->err);
    (void)rmdir(w->dir);
    free(w);
    return 0;
}

static char *slurp(FILE *file)
{
    char *text = NULL;
    size_t cap = 0;
    rewind(file);
    if (getdelim(&text, &cap, '\0', file) < 0) {
        free(text);
        text = mem_strdup("");
    }
    (void)fclose(file);
    return text;
}

static const char *program(void)
{
    static char path[512];
    const char *top = getenv("TOP_BUILDDIR");
    (void)snprintf(path, sizeof path, "%s/clustersh", top != NULL ? top : ".");
    return path;
}

static pid_t start(const char *const *argv, FILE *in, FILE *out, FILE *err)
{
    pid_t pid;
    posix_spawn_file_actions_t actions;
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, fileno(in), 0);
    (void)posix_spawn_file_actions_adddup2(&actions, fileno(out), 1);
    (void)posix_spawn_file_actions_adddup2(&actions, fileno(err), 2);
    int rc = posix_spawn(&pid, program(), &actions, NULL, (char *const *)argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        fail_msg("%s: %s", program(), strerror(rc));
    return pid;
}

static void finish(struct world *w, pid_t pid, FILE *in, FILE *out, FILE *err)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    w->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    free(w->out);
    free(w->err);
    w->out = slurp(out);
    w->err = slurp(err);
    (void)fclose(in);
}

/* Runs clustersh with these arguments and `input` on standard input. */
#define RUN(w, input, ...) run(w, input, (const char *const[]){"clustersh", __VA_ARGS__, NULL})

static void run(struct world *w, const char *input, const char *const *argv)
{
    FILE *in = tmpfile();
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    (void)fputs(input, in);
    (void)fflush(in);
    rewind(in);
    finish(w, start(argv, in, out, err), in, out, err);
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

/* Exit status */

static void the_exit_status_tells_what_kind_of_failure_it_was(void **state)
{
    struct world *w = *state;
    RUN(w, "", "node", "list");
    assert_int_equal(w->status, 0);
    RUN(w, "", "nosuch");
    assert_int_equal(w->status, 1);
    assert_string_equal(w->err, "error: unknown command: nosuch\nhint: help lists the commands\n");
    RUN(w, "", "--nosuch");
    assert_int_equal(w->status, 1);
    RUN(w, "", "node", "list", "--nosuch");
    assert_int_equal(w->status, 1);
    RUN(w, "", "job", "show", "beef");
    assert_int_equal(w->status, 3);
    assert_string_equal(w->err, "error: no such job\nhint: job list shows the jobs\n");
    assert_string_equal(w->out, "");
    RUN(w, "", "-f", "/nowhere/x");
    assert_int_equal(w->status, 1);
    fake_cluster_stop(w->cluster);
    RUN(w, "", "node", "list");
    assert_int_equal(w->status, 2);
    assert_has(w->err, "error: no connection to unix:");
    assert_has(w->err, "hint: ");
    RUN(w, "", "-s", "http://h:99999", "node", "list");
    assert_int_equal(w->status, 1);
}

static void statements_run_in_order_and_stop_at_the_first_failure(void **state)
{
    struct world *w = *state;
    RUN(w, "", "-c", "\\echo one; \\echo x", "-c", "kv put a 1; job show beef; kv put a 2", "-c",
        "\\echo three");
    assert_int_equal(w->status, 3);
    assert_string_equal(w->out, "one;\nx\nkey     | a\nversion | 1\n");
    RUN(w, "", "-k", "-c", "job show beef", "-c", "\\echo three");
    assert_int_equal(w->status, 3);
    assert_string_equal(w->out, "three\n");
}

static void standard_input_and_files_have_the_same_grammar(void **state)
{
    struct world *w = *state;
    static const char script[] = "# a script\n\\echo one\nkv put a 'two\nlines'\n"
                                 "kv get a; \\pset format csv\nkv \\\n list\n";
    static const char expected[] = "one\nkey     | a\nversion | 1\ntwo\nlines"
                                   "key,version,bytes,updated_at\n"
                                   "a,1,9,2026-11-20T20:00:00.000Z\n";
    RUN(w, script, "-o", "table");
    assert_string_equal(w->err, "");
    assert_string_equal(w->out, expected);
    assert_int_equal(w->status, 0);

    char *path = mem_printf("%s/script", w->dir);
    FILE *file = fopen(path, "we");
    (void)fputs("\\echo from file\njob show beef\n\\echo never\n", file);
    (void)fclose(file);
    RUN(w, "", "-f", path);
    assert_int_equal(w->status, 3);
    assert_string_equal(w->out, "from file\n");
    char *where = mem_printf("%s:2: error: no such job", path);
    assert_has(w->err, where);
    free(where);
    char *include = mem_printf("\\i %s\n", path);
    RUN(w, include, "-k");
    assert_string_equal(w->out, "from file\nnever\n");
    free(include);
    (void)unlink(path);
    free(path);
}

static void help_is_there_for_everything(void **state)
{
    struct world *w = *state;
    RUN(w, "", "--help");
    assert_int_equal(w->status, 0);
    assert_has(w->out, "job submit");
    RUN(w, "", "help", "job", "submit");
    assert_has(w->out, "--array SET");
    RUN(w, "", "job", "submit", "--help");
    assert_has(w->out, "--array SET");
    RUN(w, "", "help", "raft");
    assert_has(w->out, "raft transfer");
    RUN(w, "", "job", "--help");
    assert_int_equal(w->status, 0);
    assert_has(w->out, "job wait");
    RUN(w, "", "help", "timing");
    assert_has(w->out, "usage: \\timing");
    RUN(w, "", "help", "nosuch");
    assert_int_equal(w->status, 1);
    RUN(w, "", "--version");
    assert_has(w->out, "clustersh ");
}

/* Output */

static void output_to_a_pipe_has_neither_colour_nor_width(void **state)
{
    struct world *w = *state;
    RUN(w, "", "node", "list");
    assert_null(strchr(w->out, '\033'));
    assert_has(w->out, "127.0.0.1:7400");
    assert_has(w->out, "(3 rows)\n");
    RUN(w, "", "--color", "always", "node", "list");
    assert_has(w->out, "\033[32monline\033[0m");
    RUN(w, "", "-t", "node", "list");
    assert_null(strstr(w->out, "rows)"));
}

static void json_is_an_array_of_objects_with_the_keys_of_the_api(void **state)
{
    struct world *w = *state;
    RUN(w, "", "-o", "json", "node", "list");
    json_t *rows = json_loads(w->out, 0, NULL);
    assert_int_equal(json_array_size(rows), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "name")), "n1");
    assert_true(json_is_true(json_object_get(json_array_get(rows, 0), "leader")));
    json_decref(rows);
    RUN(w, "", "node", "show", "n2", "-o", "jsonl");
    json_t *row = json_loads(w->out, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(row, "slots_used")), 1);
    json_decref(row);
    RUN(w, "", "raft", "status", "-o", "json");
    rows = json_loads(w->out, 0, NULL);
    assert_true(json_is_true(json_object_get(json_array_get(rows, 0), "leader")));
    json_decref(rows);
}

static void results_can_go_to_a_file_or_a_command(void **state)
{
    struct world *w = *state;
    char *path = mem_printf("%s/out", w->dir);
    char *script = mem_printf("\\o %s\n\\qecho to file\n\\o |tr a-z A-Z\n\\qecho shout\n\\o\n"
                              "\\echo back\n\\! cat %s\n",
                              path, path);
    RUN(w, script, "-t");
    assert_string_equal(w->out, "SHOUT\nback\nto file\n");
    free(script);
    (void)unlink(path);
    free(path);
    RUN(w, "\\o /nowhere/x\n", "-t");
    assert_int_equal(w->status, 1);
}

/* Scripts */

static char *write_file(struct world *w, const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", w->dir, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
    return path;
}

static void variables_come_from_the_command_line(void **state)
{
    struct world *w = *state;
    RUN(w, "\\echo :a :{?b} :{?c}\nselect :'a';\n", "-v", "a=it's", "-v", "b", "-t");
    assert_int_equal(w->status, 0);
    assert_string_equal(w->out, "it's TRUE FALSE\n select 'it''s'\n");
    RUN(w, "", "-v", "1=2", "-c", "status");
    assert_int_equal(w->status, 1);
    assert_has(w->err, "error: -v: \"1\" is no name of a variable");
}

static void on_error_stop_says_whether_a_script_goes_on(void **state)
{
    struct world *w = *state;
    RUN(w, "select wrong;\n\\echo behind\n", "-t");
    assert_int_equal(w->status, 3);
    assert_string_equal(w->out, "");
    RUN(w, "\\set ON_ERROR_STOP off\nselect wrong;\n\\echo :ERROR :LAST_ERROR_CODE :ROW_COUNT\n",
        "-t");
    assert_int_equal(w->status, 3);
    assert_string_equal(w->out, "true invalid 0\n");
    RUN(w, "insert into t values (1);\n\\echo :ERROR :ROW_COUNT\n", "-t");
    assert_int_equal(w->status, 0);
    assert_string_equal(w->out, "INSERT 2\nfalse 2\n");
}

static void files_include_each_other_relative_to_themselves(void **state)
{
    struct world *w = *state;
    char *inner =
        write_file(w, "inner.csh", "\\echo inner :x\n\\if :{?x}\nselect wrong;\n\\endif\n");
    char *outer = write_file(w, "outer.csh", "\\set x 1\n\\ir inner.csh\n\\echo not reached\n");
    RUN(w, "", "-f", outer);
    assert_int_equal(w->status, 3);
    assert_string_equal(w->out, "inner 1\n");
    assert_has(w->err, "/inner.csh:3: error: no such thing");
    (void)unlink(outer);
    free(outer);
    outer = write_file(w, "outer.csh", "\\if true\n\\echo a\n");
    RUN(w, "", "-f", outer);
    assert_int_equal(w->status, 1);
    assert_has(w->err, "error: 1 \\if without \\endif");
    RUN(w, "", "-c", "\\endif");
    assert_int_equal(w->status, 1);
    assert_has(w->err, "error: \\endif without \\if");
    (void)unlink(outer);
    (void)unlink(inner);
    free(outer);
    free(inner);
}

static void statements_are_shown_as_echo_says(void **state)
{
    struct world *w = *state;
    RUN(w, "\\set ECHO queries\n\\set x 5\nselect :x;\n", "-t");
    assert_string_equal(w->out, "select 5;\n select 5\n");
    RUN(w, "\\set ECHO errors\nselect wrong;\n", "-t");
    assert_has(w->err, "statement: select wrong;");
}

static void a_pipe_that_closes_is_no_message(void **state)
{
    struct world *w = *state;
    RUN(w, "\\o |true\nselect many;\nselect many;\n\\o\n\\echo behind\n", "-t");
    assert_string_equal(w->err, "");
    RUN(w, "select many \\g |head -n 1\n\\echo behind\n", "-t");
    assert_has(w->out, "behind\n");
    assert_string_equal(w->err, "");
}

static void statements_may_stand_in_variables(void **state)
{
    struct world *w = *state;
    RUN(w, "\\set q 'select 1; select 2'\n:q;\n\\set c 'kv list'\n:c -o csv\n", "-t", "-o", "csv");
    assert_int_equal(w->status, 0);
    assert_string_equal(w->out, "select 1\nselect 2\n");
    RUN(w, "\\set q :q\n\\set q ':q'\n:q\n", "-t");
    assert_int_equal(w->status, 1);
    assert_has(w->err, "error: a variable stands for a statement that begins with itself");
}

/* Nodes and Raft */

static void nodes_that_are_not_there_are_named_beside_those_that_are(void **state)
{
    struct world *w = *state;
    RUN(w, "", "-o", "tsv", "-t", "node", "list", "n[2-5],web");
    assert_int_equal(w->status, 3);
    assert_non_null(strstr(w->out, "n3"));
    assert_null(strstr(w->out, "n1"));
    assert_non_null(strstr(w->err, "error: there is no node n[4-5],web\n"));
    RUN(w, "", "node", "list", "nosuch");
    assert_int_equal(w->status, 3);
    assert_string_equal(w->out, "");
    assert_non_null(strstr(w->err, "error: there is no node nosuch\n"));
    RUN(w, "", "node", "list", "@worker & n1");
    assert_int_equal(w->status, 0);
}

static void node_sets_are_expanded_for_changes(void **state)
{
    struct world *w = *state;
    RUN(w, "", "node", "drain", "n[1-2]", "--reason", "new disk", "--deadline", "10m", "-o", "csv");
    assert_int_equal(w->status, 0);
    char *change = fake_cluster_last_change(w->cluster);
    assert_string_equal(change, "POST /api/nodes/n2/drain? "
                                "{\"reason\":\"new disk\",\"deadline_ms\":600000}");
    free(change);
    RUN(w, "", "node", "resume", "@all,!n3");
    assert_has(w->out, "n1");
    assert_null(strstr(w->out, "n3"));
    RUN(w, "", "node", "remove", "n3", "--force");
    change = fake_cluster_last_change(w->cluster);
    assert_has(change, "POST /api/nodes/n3/remove?force=true ");
    free(change);
    RUN(w, "", "node", "drain", "@nogroup");
    assert_int_equal(w->status, 1);
    RUN(w, "", "node", "show", "nx");
    assert_int_equal(w->status, 3);
}

static void raft_commands_change_the_group(void **state)
{
    struct world *w = *state;
    RUN(w, "", "raft", "transfer", "n3", "-o", "jsonl");
    assert_string_equal(w->out, "{\"leader\":\"n3\",\"term\":8}\n");
    RUN(w, "", "raft", "add", "n4");
    char *change = fake_cluster_last_change(w->cluster);
    assert_string_equal(change, "POST /api/raft/add? {\"node\":\"n4\"}");
    free(change);
}

static void keys_are_stored_compared_and_listed(void **state)
{
    struct world *w = *state;
    RUN(w, "", "kv", "put", "lock", "me", "--if-version", "0");
    assert_int_equal(w->status, 0);
    RUN(w, "", "kv", "put", "lock", "you", "--if-version", "0");
    assert_int_equal(w->status, 3);
    RUN(w, "from stdin\n", "kv", "put", "b", "--file", "-");
    RUN(w, "", "kv", "get", "b");
    assert_string_equal(w->out, "from stdin\n");
    RUN(w, "", "kv", "get", "b", "-o", "jsonl");
    assert_string_equal(w->out, "{\"key\":\"b\",\"version\":1,\"value\":\"from stdin\\n\"}\n");
    RUN(w, "", "kv", "put", "b");
    assert_int_equal(w->status, 1);
    RUN(w, "", "kv", "delete", "b");
    assert_int_equal(w->status, 0);
    RUN(w, "", "kv", "get", "b");
    assert_int_equal(w->status, 3);
}

/* Jobs */

static void submit_prints_the_id_only_and_sends_what_was_asked(void **state)
{
    struct world *w = *state;
    char *path = mem_printf("%s/input.tar.gz", w->dir);
    FILE *file = fopen(path, "we");
    (void)fputs("data", file);
    (void)fclose(file);
    RUN(w, "", "job", "submit", "true");
    char *after = mem_printf("ok:%.36s", w->out);
    RUN(w, "", "job", "submit", "--name", "count", "--array", "0-3%2", "--after", "ok:4f12", "-e",
        "A=x=y", "--file", path, "--url", "w.txt=http://h/a?b=c", "--unpack", "--time", "1m",
        "--memory", "1G", "--priority", "-2", "--select", "gpu=1", "--retries", "2", "--", "wc",
        "-l", "--array");
    assert_int_equal(w->status, 0);
    assert_int_equal(strlen(w->out), 37);
    assert_string_equal(w->err, "");
    char *body = fake_cluster_last_submit(w->cluster);
    json_t *sent = json_loads(body, 0, NULL);
    json_t *expected =
        json_pack("{s:s, s:s, s:[s], s:{s:s}, s:[{s:s,s:s,s:b},{s:s,s:s}], s:i, s:i, s:i, s:s, s:i,"
                  " s:[s,s,s]}",
                  "name", "count", "array", "0-3%2", "after", after, "env", "A", "x=y", "files",
                  "name", "input.tar.gz", "file", "f1", "unpack", 1, "name", "w.txt", "url",
                  "http://h/a?b=c", "time_limit_ms", 60000, "memory_bytes", 1 << 30, "priority", -2,
                  "selector", "gpu=1", "retries", 2, "argv", "wc", "-l", "--array");
    assert_true(json_equal(sent, expected));
    json_decref(sent);
    json_decref(expected);
    free(body);
    (void)unlink(path);
    free(path);
    free(after);
}

static void a_job_to_wait_for_that_is_not_there_is_said_before_anything_is_submitted(void **state)
{
    struct world *w = *state;
    RUN(w, "", "job", "submit", "--after", "ok:beef", "--", "true");
    assert_int_equal(w->status, 3);
    assert_non_null(strstr(w->err, "no such job"));
    RUN(w, "", "job", "show", "last");
    assert_int_equal(w->status, 3);
}

static void a_single_word_is_a_program_or_goes_through_a_shell(void **state)
{
    struct world *w = *state;
    static const char *const lines[] = {"exit",      ":",     "A=1", "a*",
                                        "$HOME/run", "~/run", "a;b", "cd"};
    static const char *const names[] = {"true", "/usr/bin/g++-12", "./run.sh"};
    char *expected;
    char *body;
    for (size_t i = 0; i < MEM_COUNT(lines); i++) {
        RUN(w, "", "job", "submit", "--", lines[i]);
        body = fake_cluster_last_submit(w->cluster);
        expected = mem_printf("{\"commands\":[\"%s\"]}", lines[i]);
        assert_string_equal(body, expected);
        free(expected);
        free(body);
    }
    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        RUN(w, "", "job", "submit", "--", names[i]);
        body = fake_cluster_last_submit(w->cluster);
        expected = mem_printf("{\"argv\":[\"%s\"]}", names[i]);
        assert_string_equal(body, expected);
        free(expected);
        free(body);
    }
    RUN(w, "", "job", "submit", "echo hi; echo ho");
    body = fake_cluster_last_submit(w->cluster);
    assert_string_equal(body, "{\"commands\":[\"echo hi; echo ho\"]}");
    free(body);
    RUN(w, "", "job", "submit", "--command", "echo a", "--command", "echo b");
    body = fake_cluster_last_submit(w->cluster);
    assert_string_equal(body, "{\"commands\":[\"echo a\",\"echo b\"]}");
    free(body);
    RUN(w, "", "job", "submit", "--command", "a", "--", "b");
    assert_int_equal(w->status, 1);
    RUN(w, "", "job", "submit", "--env", "novalue", "--", "b");
    assert_int_equal(w->status, 1);
    RUN(w, "", "job", "submit", "--file", "/nowhere/f", "--", "b");
    assert_int_equal(w->status, 1);
}

static void words_that_are_no_text_are_refused(void **state)
{
    struct world *w = *state;
    RUN(w, "", "job", "submit", "--", "echo", "\xff");
    assert_int_equal(w->status, 1);
    assert_string_equal(w->err, "error: \"\\xff\" is not UTF-8 text\n");
    RUN(w, "", "job", "submit", "--name", "\xff", "--", "echo", "x");
    assert_int_equal(w->status, 1);
    RUN(w, "", "exec", "@all", "--", "echo", "\xff");
    assert_int_equal(w->status, 1);
    RUN(w, "", "exec", "@all", "-e", "A=\xff", "--", "echo", "x");
    assert_int_equal(w->status, 1);
}

static void a_result_that_cannot_be_written_is_an_error(void **state)
{
    struct world *w = *state;
    RUN(w, "\\o /dev/full\nnode list\n", "-t");
    assert_int_equal(w->status, 1);
    assert_has(w->err, "error: writing the results: No space left on device");
}

static void run_shows_both_streams_apart_and_ends_with_the_jobs_status(void **state)
{
    struct world *w = *state;
    RUN(w, "", "job", "run", "--", "echo", "hello");
    assert_int_equal(w->status, 0);
    assert_string_equal(w->out, "hello\n");
    assert_string_equal(w->err, "");
    RUN(w, "", "job", "run", "--", "exit", "7");
    assert_int_equal(w->status, 7);
    assert_string_equal(w->out, "");
    assert_has(w->err, "boom\n");
    RUN(w, "", "job", "run", "--array", "0-2", "--", "echo", "el");
    assert_string_equal(w->out, "0: el 0\n1: el 1\n2: el 2\n");
}

static void wait_succeeds_only_when_all_elements_completed(void **state)
{
    struct world *w = *state;
    RUN(w, "", "job", "submit", "--", "echo", "x");
    RUN(w, "", "job", "wait", "last");
    assert_int_equal(w->status, 0);
    assert_has(w->out, "completed: 1 of 1 elements completed");
    RUN(w, "", "job", "submit", "--", "exit", "1");
    RUN(w, "", "job", "wait", "last");
    assert_int_equal(w->status, 3);
    RUN(w, "", "job", "submit", "--wait", "--", "exit", "1");
    assert_int_equal(w->status, 3);
    RUN(w, "", "job", "submit", "--", "hold");
    RUN(w, "", "job", "wait", "last", "--timeout", "10ms");
    assert_int_equal(w->status, 3);
    assert_has(w->err, "has not ended in time");
}

static void logs_are_byte_for_byte_or_labelled(void **state)
{
    struct world *w = *state;
    RUN(w, "", "job", "submit", "--", "bytes");
    RUN(w, "", "job", "logs", "last");
    assert_string_equal(w->out, "\033[31mred\033]0;title\007\xff\n");
    RUN(w, "", "job", "submit", "--", "exit", "1");
    RUN(w, "", "job", "logs", "last", "--stderr");
    assert_string_equal(w->err, "boom\n");
    RUN(w, "", "job", "logs", "last", "--both");
    assert_string_equal(w->out, "err: boom\n");
    RUN(w, "", "job", "submit", "--array", "0-1", "--", "echo", "x");
    RUN(w, "", "job", "logs", "last");
    assert_string_equal(w->out, "0: x 0\n1: x 1\n");
    RUN(w, "", "job", "logs", "last_1");
    assert_string_equal(w->out, "x 1\n");
    RUN(w, "", "job", "logs", "last", "--element", "0");
    assert_string_equal(w->out, "x 0\n");
}

static void results_show_the_first_line_of_each_output(void **state)
{
    struct world *w = *state;
    RUN(w, "", "job", "submit", "--array", "0-1", "--", "echo", "x");
    RUN(w, "", "job", "results", "last");
    assert_has(w->out, "x 0\n");
    assert_has(w->out, "x 1\n");
    RUN(w, "", "job", "submit", "--", "bytes");
    RUN(w, "", "job", "results", "last");
    assert_null(strchr(w->out, '\033'));
    assert_has(w->out, "red");
}

static void jobs_are_cancelled_and_retried(void **state)
{
    struct world *w = *state;
    RUN(w, "", "job", "submit", "--", "hold");
    RUN(w, "", "job", "cancel", "last_0", "--reason", "enough", "-o", "csv");
    assert_has(w->out, ",cancelled,");
    char *change = fake_cluster_last_change(w->cluster);
    assert_string_equal(change, "POST /api/jobs/last/cancel? "
                                "{\"elements\":\"0\",\"reason\":\"enough\"}");
    free(change);
    RUN(w, "", "job", "retry", "last", "beef");
    assert_int_equal(w->status, 3);
    assert_has(w->out, "completed");
    RUN(w, "", "job", "list", "-o", "jsonl");
    assert_has(w->out, "\"seq\":1");
}

/* Exec */

static void equal_outputs_are_folded(void **state)
{
    struct world *w = *state;
    RUN(w, "", "exec", "@all", "--", "where");
    assert_int_equal(w->status, 0);
    assert_string_equal(w->out, "---------------\nn[1-2] (2)\n---------------\nhere\n"
                                "---------------\nn3\n---------------\nelsewhere\n");
    RUN(w, "", "exec", "@all", "-L", "--", "where");
    assert_string_equal(w->out, "n1: here\nn2: here\nn3: elsewhere\n");
    RUN(w, "", "exec", "@all", "--live", "--", "where");
    assert_string_equal(w->out, "n1: here\nn2: here\nn3: elsewhere\n");
    RUN(w, "", "exec", "n1", "-L", "--", "bytes");
    assert_string_equal(w->out, "n1: \xfe\xff\n");
    RUN(w, "", "exec", "n1", "-o", "csv", "--", "echo", "x");
    assert_string_equal(w->out, "node,state,exit_code,code,wall_ms,stdout,stderr\n"
                                "n1,ended,0,ok,12,\"x\n\",\n");
}

static void the_greatest_exit_code_is_the_exit_status(void **state)
{
    struct world *w = *state;
    RUN(w, "", "exec", "n[1-2]", "--", "exit", "4");
    assert_int_equal(w->status, 4);
    assert_has(w->err, "error: n[1-2]: exit status 4\n");
    assert_has(w->err, "boom\n");
    assert_string_equal(w->out, "");
    RUN(w, "", "exec", "@nogroup", "--", "true");
    assert_int_equal(w->status, 3);
}

static void ctrl_c_stops_the_command_on_every_node(void **state)
{
    struct world *w = *state;
    int ends[2];
    char line[64];
    FILE *in = tmpfile();
    FILE *err = tmpfile();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    FILE *out = fdopen(ends[1], "w");
    FILE *reader = fdopen(ends[0], "r");
    pid_t pid = start((const char *const[]){"clustersh", "exec", "@all", "--live", "hold", NULL},
                      in, out, err);
    (void)fclose(out);
    for (int node = 1; node <= 3; node++) {
        char *expected = mem_printf("n%d: holding\n", node);
        assert_non_null(fgets(line, sizeof line, reader));
        assert_string_equal(line, expected);
        free(expected);
    }
    assert_int_equal(kill(pid, SIGINT), 0);
    fake_cluster_wait_closed(w->cluster, 1);
    finish(w, pid, in, reader, err);
    assert_int_equal(w->status, 130);
    assert_has(w->err, "interrupted: stopped on n[1-3]");
}

static void an_interrupted_exec_names_also_nodes_that_were_not_heard(void **state)
{
    struct world *w = *state;
    int ends[2];
    char line[64];
    FILE *in = tmpfile();
    FILE *err = tmpfile();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    FILE *out = fdopen(ends[1], "w");
    FILE *reader = fdopen(ends[0], "r");
    pid_t pid = start((const char *const[]){"clustersh", "exec", "@all", "--live", "hang", NULL},
                      in, out, err);
    (void)fclose(out);
    assert_non_null(fgets(line, sizeof line, reader));
    assert_int_equal(kill(pid, SIGINT), 0);
    fake_cluster_wait_closed(w->cluster, 1);
    finish(w, pid, in, reader, err);
    assert_int_equal(w->status, 130);
    assert_has(w->err, "interrupted: stopped on n[1-3]");
}

static void a_reader_that_leaves_ends_the_follower(void **state)
{
    struct world *w = *state;
    RUN(w, "", "job", "submit", "--", "slow");
    int ends[2];
    char line[64];
    FILE *in = tmpfile();
    FILE *err = tmpfile();
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    FILE *out = fdopen(ends[1], "w");
    FILE *reader = fdopen(ends[0], "r");
    pid_t pid =
        start((const char *const[]){"clustersh", "job", "logs", "-f", "last", NULL}, in, out, err);
    (void)fclose(out);
    assert_non_null(fgets(line, sizeof line, reader));
    assert_string_equal(line, "started\n");
    (void)fclose(reader);
    fake_cluster_finish(w->cluster);
    finish(w, pid, in, tmpfile(), err);
    assert_int_equal(w->status, 128 + SIGPIPE);
}

int main(void)
{
    (void)setenv("LC_ALL", "C", 1);
    (void)setenv("TZ", "UTC", 1);
    (void)unsetenv("CLUSTERSH_TOKEN");
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_exit_status_tells_what_kind_of_failure_it_was),
        CASE(statements_run_in_order_and_stop_at_the_first_failure),
        CASE(standard_input_and_files_have_the_same_grammar),
        CASE(help_is_there_for_everything),
        CASE(output_to_a_pipe_has_neither_colour_nor_width),
        CASE(json_is_an_array_of_objects_with_the_keys_of_the_api),
        CASE(results_can_go_to_a_file_or_a_command),
        CASE(variables_come_from_the_command_line),
        CASE(on_error_stop_says_whether_a_script_goes_on),
        CASE(files_include_each_other_relative_to_themselves),
        CASE(statements_are_shown_as_echo_says),
        CASE(a_pipe_that_closes_is_no_message),
        CASE(statements_may_stand_in_variables),
        CASE(nodes_that_are_not_there_are_named_beside_those_that_are),
        CASE(node_sets_are_expanded_for_changes),
        CASE(raft_commands_change_the_group),
        CASE(keys_are_stored_compared_and_listed),
        CASE(submit_prints_the_id_only_and_sends_what_was_asked),
        CASE(a_job_to_wait_for_that_is_not_there_is_said_before_anything_is_submitted),
        CASE(a_single_word_is_a_program_or_goes_through_a_shell),
        CASE(words_that_are_no_text_are_refused),
        CASE(a_result_that_cannot_be_written_is_an_error),
        CASE(run_shows_both_streams_apart_and_ends_with_the_jobs_status),
        CASE(wait_succeeds_only_when_all_elements_completed),
        CASE(logs_are_byte_for_byte_or_labelled),
        CASE(results_show_the_first_line_of_each_output),
        CASE(jobs_are_cancelled_and_retried),
        CASE(equal_outputs_are_folded),
        CASE(the_greatest_exit_code_is_the_exit_status),
        CASE(ctrl_c_stops_the_command_on_every_node),
        CASE(an_interrupted_exec_names_also_nodes_that_were_not_heard),
        CASE(a_reader_that_leaves_ends_the_follower),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
