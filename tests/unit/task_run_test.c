#include "run/task_run.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "run/http_client.h"
#include "run/spawner.h"
#include "run/task_dir.h"
#include "tests/lib/http_fixture.h"

struct world {
    struct http_fixture f;
    struct http_client *client;
    struct spawn *spawn;
    struct task_run_node node;
    char *tasks_dir;
    char archive[64 * 1024];
    size_t archive_len;
    struct http_request *held;
    /* an upload that was asked for */
    task_run_fetched_fn fetched;
    void *fetched_arg;
    char *upload_path;
    bool has_upload;
    bool closed;
};

/* An attempt and what became of it. */
struct attempt {
    Wire__AssignTask assign;
    Wire__JobSpec spec;
    Wire__TaskKey key;
    struct task_key id;
    Wire__TaskFile file;
    Wire__TaskFile *files[1];
    struct task_run *run;
    uint32_t line_slots;
    bool is_running;
    bool is_done;
    char *dir;
    Wire__TaskReport *report;
};

/* ---- the world ---- */

static void serve_hello(struct http_request *req, void *arg)
{
    (void)arg;
    http_reply(req, 200, "text/plain", "#!/bin/sh\necho hello\n", 21);
}

static void serve_archive(struct http_request *req, void *arg)
{
    struct world *w = arg;

    http_reply(req, 200, "application/zip", w->archive, w->archive_len);
}

static void serve_later(struct http_request *req, void *arg)
{
    struct world *w = arg;

    w->held = req;
    w->has_upload = true;
}

static void serve_nothing(struct http_request *req, void *arg)
{
    (void)arg;
    http_reply_error(req, 404, "not_found", "it is not here", NULL);
}

static const struct http_route routes[] = {
    {"GET", "/nowhere", HTTP_ROUTE_PUBLIC, 0, serve_nothing},
    {"GET", "/hello", HTTP_ROUTE_PUBLIC, 0, serve_hello},
    {"GET", "/archive", HTTP_ROUTE_PUBLIC, 0, serve_archive},
    {"GET", "/later", HTTP_ROUTE_PUBLIC, 0, serve_later},
};

static void *upload_start(void *arg, const Wire__TaskFile *file, const char *path,
                          task_run_fetched_fn fetched, void *fetched_arg)
{
    struct world *w = arg;

    assert_string_equal(file->file, "an-upload");
    w->fetched = fetched;
    w->fetched_arg = fetched_arg;
    w->upload_path = mem_strdup(path);
    w->has_upload = true;
    return w;
}

static void upload_cancel(void *arg, void *handle)
{
    struct world *w = arg;

    assert_ptr_equal(handle, w);
    w->fetched(w->fetched_arg, ERR_CANCELLED, "cancelled");
}

static int setup(void **state)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct http_server_options options;
    struct http_client_options client_options;
    struct spawn_options spawn_options = {0};

    http_fixture_options(&w->f, &options);
    http_fixture_start(&w->f, &options, routes, MEM_COUNT(routes), w);
    http_client_options_init(&client_options);
    client_options.loop = &w->f.loop;
    w->client = http_client_new(&client_options);
    w->tasks_dir = mem_printf("%s/tasks", w->f.dir);
    assert_int_equal(mkdir(w->tasks_dir, 0700), 0);
    spawn_options.tasks_dir = w->tasks_dir;
    assert_int_equal(spawn_new(&w->f.loop, &spawn_options, &w->spawn, NULL), 0);
    w->node = (struct task_run_node){
        .loop = &w->f.loop,
        .spawn = w->spawn,
        .http = w->client,
        .files = {upload_start, upload_cancel, w},
        .name = "n1",
        .tasks_dir = w->tasks_dir,
    };
    *state = w;
    return 0;
}

static void set_closed(void *arg)
{
    ((struct world *)arg)->closed = true;
}

static int teardown(void **state)
{
    struct world *w = *state;

    spawn_close(w->spawn, set_closed, w);
    http_fixture_wait(&w->f, &w->closed);
    w->closed = false;
    http_client_close(w->client, set_closed, w);
    http_fixture_wait(&w->f, &w->closed);
    assert_int_equal(task_dir_remove(w->tasks_dir, NULL), 0);
    http_fixture_stop(&w->f);
    free(w->tasks_dir);
    free(w->upload_path);
    free(w);
    return 0;
}

/* ---- attempts ---- */

static void running(void *arg, struct task_run *run, int64_t started_ms)
{
    struct attempt *a = arg;

    assert_ptr_equal(run, a->run);
    assert_false(a->is_running || a->is_done);
    assert_int_equal(started_ms, task_run_started_ms(run));
    a->is_running = true;
}

static void done(void *arg, struct task_run *run, const Wire__TaskReport *report)
{
    struct attempt *a = arg;
    uint8_t *packed = mem_alloc(wire__task_report__get_packed_size(report));

    assert_ptr_equal(run, a->run);
    assert_false(a->is_done);
    a->is_done = true;
    a->report = wire__task_report__unpack(NULL, wire__task_report__pack(report, packed), packed);
    assert_non_null(a->report);
    free(packed);
}

static void attempt_init(struct attempt *a)
{
    *a = (struct attempt){.id.index = 7, .id.attempt = 2};
    wire__assign_task__init(&a->assign);
    wire__job_spec__init(&a->spec);
    wire__task_file__init(&a->file);
    uuid_generate(&a->id.job);
    task_key_write(&a->id, &a->key);
    a->assign.key = &a->key;
    a->assign.spec = &a->spec;
    a->assign.job_name = (char *)"test";
    a->assign.array_count = 10;
}

static void attempt_set_commands(struct attempt *a, const char *const *commands, size_t n)
{
    a->spec.commands = (char **)(uintptr_t)commands;
    a->spec.n_commands = n;
}

static void attempt_set_file(struct attempt *a)
{
    a->files[0] = &a->file;
    a->assign.files = a->files;
    a->assign.n_files = 1;
}

static void attempt_start(struct world *w, struct attempt *a)
{
    struct task_run_callbacks callbacks = {running, done, a};

    a->run = task_run_start(&w->node, &a->assign, a->line_slots, &callbacks);
    assert_false(a->is_running || a->is_done);
    a->dir = mem_strdup(task_run_dir(a->run));
}

static void attempt_run(struct world *w, struct attempt *a)
{
    attempt_start(w, a);
    http_fixture_wait(&w->f, &a->is_done);
}

static void attempt_done(struct attempt *a)
{
    wire__task_report__free_unpacked(a->report, NULL);
    free(a->dir);
}

static bool is_there(const char *dir, const char *name)
{
    struct stat st;
    char *path = mem_printf("%s/%s", dir, name);
    bool there = lstat(path, &st) == 0;

    free(path);
    return there;
}

static void assert_stdout(const struct attempt *a, const char *text)
{
    if (a->report->stdout_inline.len != strlen(text) ||
        memcmp(a->report->stdout_inline.data, text, strlen(text)) != 0)
        fail_msg("stdout is \"%.*s\", stderr \"%.*s\", text \"%s\"",
                 (int)a->report->stdout_inline.len, (const char *)a->report->stdout_inline.data,
                 (int)a->report->stderr_inline.len, (const char *)a->report->stderr_inline.data,
                 a->report->text);
}

static void assert_failed(const struct attempt *a, enum task_code code, const char *part)
{
    assert_int_equal(a->report->phase, WIRE__TASK_PHASE__TASK_PHASE_FAILED);
    assert_string_equal(task_code_name(a->report->code), task_code_name(code));
    if (!strstr(a->report->text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, a->report->text);
}

static void assert_completed(const struct attempt *a)
{
    if (a->report->phase != WIRE__TASK_PHASE__TASK_PHASE_COMPLETED)
        fail_msg("%s: %s", task_code_name(a->report->code), a->report->text);
    assert_int_equal(a->report->code, TASK_CODE_OK);
}

#define COMMANDS(a, ...)                                                                           \
    static const char *const commands_[] = {__VA_ARGS__};                                          \
    attempt_init(a);                                                                               \
    attempt_set_commands((a), commands_, MEM_COUNT(commands_))

/* ---- commands ---- */

static void a_command_completes_and_nothing_stays(void **state)
{
    struct attempt a;
    COMMANDS(&a, "echo out; echo err >&2; touch left");

    attempt_run(*state, &a);
    assert_completed(&a);
    assert_stdout(&a, "out\n");
    assert_int_equal(a.report->stdout_bytes, 4);
    assert_memory_equal(a.report->stderr_inline.data, "err\n", 4);
    assert_int_equal(a.report->exit_code, 0);
    assert_int_equal(a.report->key->index, 7);
    assert_true(a.report->started_ms > 0 && a.report->ended_ms >= a.report->started_ms);
    assert_true(a.report->rss_max_bytes > 0);
    assert_false(a.report->output_kept);
    assert_false(is_there(a.dir, ""));
    attempt_done(&a);
}

static void a_command_knows_what_it_is(void **state)
{
    struct attempt a;
    char job[UUID_TEXT_MAX];
    Wire__EnvVar vars[3] = {WIRE__ENV_VAR__INIT, WIRE__ENV_VAR__INIT, WIRE__ENV_VAR__INIT};
    Wire__EnvVar *list[] = {&vars[0], &vars[1], &vars[2]};
    COMMANDS(&a, "echo $CLUSTERD_JOB_ID $CLUSTERD_JOB_NAME $CLUSTERD_ARRAY_INDEX"
                 " $CLUSTERD_ARRAY_COUNT $CLUSTERD_ATTEMPT $CLUSTERD_NODE $MINE $HOME");

    vars[0].name = (char *)"MINE";
    vars[0].value = (char *)"my own";
    vars[1].name = (char *)"HOME";
    vars[1].value = (char *)"/nowhere";
    vars[2].name = (char *)"CLUSTERD_NODE";
    vars[2].value = (char *)"another";
    a.spec.env = list;
    a.spec.n_env = 3;
    attempt_run(*state, &a);
    char *expected = mem_printf("%s test 7 10 2 n1 my own /nowhere\n", uuid_format(&a.id.job, job));
    assert_stdout(&a, expected);
    free(expected);
    attempt_done(&a);
}

static void secrets_of_the_daemon_stay_behind(void **state)
{
    struct attempt a;
    COMMANDS(&a, "echo [$NOTIFY_SOCKET$MY_SECRET]");

    setenv("NOTIFY_SOCKET", "/run/x", 1);
    setenv("MY_SECRET", "x", 1);
    attempt_run(*state, &a);
    assert_stdout(&a, "[]\n");
    attempt_done(&a);
}

static void an_exit_code_fails_it(void **state)
{
    struct attempt a;
    COMMANDS(&a, "echo text; exit 3");

    attempt_run(*state, &a);
    assert_failed(&a, TASK_CODE_EXIT_NONZERO, "exit code 3");
    assert_int_equal(a.report->exit_code, 3);
    assert_stdout(&a, "text\n");
    assert_false(is_there(a.dir, ""));
    attempt_done(&a);
}

static void a_signal_fails_it(void **state)
{
    struct attempt a;
    COMMANDS(&a, "kill -ABRT $$");

    attempt_run(*state, &a);
    assert_failed(&a, TASK_CODE_SIGNAL, "ended by signal 6, SIGABRT");
    assert_int_equal(a.report->signal, SIGABRT);
    assert_int_equal(a.report->exit_code, -1);
    attempt_done(&a);
}

static void commands_run_in_order_in_one_directory(void **state)
{
    struct attempt a;
    COMMANDS(&a, "echo one >file; echo first", "cat file", "rm file; echo last");

    attempt_run(*state, &a);
    assert_completed(&a);
    assert_stdout(&a, "first\none\nlast\n");
    attempt_done(&a);
}

static void the_first_that_fails_is_the_last(void **state)
{
    struct attempt a;
    COMMANDS(&a, "echo one", "false", "echo three");

    attempt_run(*state, &a);
    assert_failed(&a, TASK_CODE_EXIT_NONZERO, "command 2 of 3: exit code 1");
    assert_stdout(&a, "one\n");
    attempt_done(&a);
}

static void arguments_are_passed_without_a_shell(void **state)
{
    struct attempt a;
    static const char *const argv[] = {"printf", "%s|", "a b", "$HOME", ""};

    attempt_init(&a);
    a.spec.argv = (char **)(uintptr_t)argv;
    a.spec.n_argv = MEM_COUNT(argv);
    attempt_run(*state, &a);
    assert_completed(&a);
    assert_stdout(&a, "a b|$HOME||");
    attempt_done(&a);
}

static void a_command_that_does_not_exist_fails_with_127(void **state)
{
    struct attempt a;
    static const char *const argv[] = {"no-such-thing"};

#ifdef __SANITIZE_THREAD__
    skip(); /* makes a fork of vfork */
#endif
    attempt_init(&a);
    a.spec.argv = (char **)(uintptr_t)argv;
    a.spec.n_argv = 1;
    attempt_run(*state, &a);
    assert_failed(&a, TASK_CODE_SPAWN_FAILED, "cannot execute no-such-thing: ");
    assert_int_equal(a.report->exit_code, 127);
    assert_false(is_there(a.dir, ""));
    attempt_done(&a);
}

static void a_command_that_may_not_be_executed_fails_with_126(void **state)
{
    struct attempt a;
    static const char *const argv[] = {"/etc/passwd"};

#ifdef __SANITIZE_THREAD__
    skip(); /* makes a fork of vfork */
#endif
    attempt_init(&a);
    a.spec.argv = (char **)(uintptr_t)argv;
    a.spec.n_argv = 1;
    attempt_run(*state, &a);
    assert_failed(&a, TASK_CODE_SPAWN_FAILED, "cannot execute /etc/passwd: ");
    assert_int_equal(a.report->exit_code, 126);
    attempt_done(&a);
}

static void a_job_without_command_fails(void **state)
{
    struct attempt a;

    attempt_init(&a);
    attempt_run(*state, &a);
    assert_failed(&a, TASK_CODE_SPAWN_FAILED, "no command");
    attempt_done(&a);
}

static void the_time_limit_is_for_all_commands_together(void **state)
{
    struct attempt a;
    /* none of them takes as long; which one is cut short depends on the machine */
    COMMANDS(&a, "sleep 0.2", "sleep 0.2", "sleep 0.2", "sleep 0.2");

    a.spec.time_limit_ms = 500;
    attempt_run(*state, &a);
    assert_failed(&a, TASK_CODE_TIME_LIMIT, "of 4: ran longer than 500ms");
    attempt_done(&a);
}

static void output_above_the_limit_fails_it_and_is_kept(void **state)
{
    struct attempt a;
    COMMANDS(&a, "exec yes");

    a.spec.output_bytes_max = 100000;
    attempt_run(*state, &a);
    assert_failed(&a, TASK_CODE_OUTPUT_LIMIT, "wrote more output than");
    assert_int_equal(a.report->stdout_bytes, 100000);
    assert_true(a.report->output_kept);
    attempt_done(&a);
}

static void large_output_is_kept_and_the_working_directory_goes(void **state)
{
    struct attempt a;
    COMMANDS(&a, "mkdir -p a/b; touch a/b/c; chmod 0 a/b; head -c 5000 /dev/zero; echo x >&2");

    attempt_run(*state, &a);
    assert_completed(&a);
    assert_true(a.report->output_kept);
    assert_int_equal(a.report->stdout_bytes, 5000);
    assert_int_equal(a.report->stderr_bytes, 2);
    assert_int_equal(a.report->stdout_inline.len + a.report->stderr_inline.len, 0);
    assert_true(is_there(a.dir, "stdout") && is_there(a.dir, "stderr"));
    assert_false(is_there(a.dir, "work"));
    attempt_done(&a);
}

static void what_an_earlier_daemon_left_is_replaced(void **state)
{
    struct attempt a;
    COMMANDS(&a, "ls -A; echo ok");
    struct world *w = *state;

    char *dir = task_dir_path(w->tasks_dir, &a.id);
    char *old = mem_printf("%s/work/old", dir);
    assert_int_equal(task_dir_make(dir, NULL), 0);
    close(open(old, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    attempt_run(w, &a);
    assert_completed(&a);
    assert_stdout(&a, "ok\n");
    attempt_done(&a);
    free(old);
    free(dir);
}

static void the_death_of_the_spawner_loses_the_attempt(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "exec sleep 1000");

    attempt_start(w, &a);
    http_fixture_wait(&w->f, &a.is_running);
    assert_int_equal(kill(spawn_pid(w->spawn), SIGKILL), 0);
    http_fixture_wait(&w->f, &a.is_done);
    assert_failed(&a, TASK_CODE_NODE_LOST, "died");
    attempt_done(&a);
}

/* ---- files ---- */

static void make_archive(struct world *w, const char *name)
{
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();

    archive_write_set_format_zip(archive);
    assert_int_equal(
        archive_write_open_memory(archive, w->archive, sizeof w->archive, &w->archive_len), 0);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, 7);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(archive, "content", 7), 7);
    archive_entry_free(entry);
    archive_write_close(archive);
    archive_write_free(archive);
}

static char *url(struct world *w, const char *path)
{
    return mem_printf("http://127.0.0.1:%u%s", w->f.port, path);
}

/* One attempt with one file from our server. */
static void run_with_url(struct world *w, struct attempt *a, const char *path)
{
    a->file.url = url(w, path);
    attempt_set_file(a);
    attempt_run(w, a);
    free(a->file.url);
    a->file.url = NULL;
}

static void a_file_is_downloaded_to_its_name(void **state)
{
    struct attempt a;
    COMMANDS(&a, "bin/tools/hello");

    a.file.name = (char *)"bin/tools/hello";
    a.file.executable = true;
    a.file.bytes = 21;
    run_with_url(*state, &a, "/hello");
    assert_completed(&a);
    assert_stdout(&a, "hello\n");
    attempt_done(&a);
}

static void an_archive_is_unpacked_where_it_lies(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "cat input/dir/file");

    make_archive(w, "dir/file");
    a.file.name = (char *)"input/data.zip";
    a.file.unpack = true;
    run_with_url(w, &a, "/archive");
    assert_completed(&a);
    assert_stdout(&a, "content");
    attempt_done(&a);
}

static void an_archive_that_leaves_its_directory_fails_it(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "true");

    make_archive(w, "../../evil");
    a.file.name = (char *)"data.zip";
    a.file.unpack = true;
    run_with_url(w, &a, "/archive");
    assert_failed(&a, TASK_CODE_UNPACK_FAILED, "data.zip: ../../evil: names with \"..\"");
    assert_false(is_there(a.dir, ""));
    attempt_done(&a);
}

static void a_missing_file_fails_it(void **state)
{
    struct attempt a;
    COMMANDS(&a, "true");

    a.file.name = (char *)"file";
    run_with_url(*state, &a, "/nowhere");
    assert_failed(&a, TASK_CODE_DOWNLOAD_FAILED, "/nowhere answers with status 404");
    assert_int_equal(a.report->started_ms, 0);
    attempt_done(&a);
}

static void a_server_that_is_not_there_fails_it(void **state)
{
    struct attempt a;
    COMMANDS(&a, "true");

    a.file.name = (char *)"file";
    a.file.url = (char *)"http://127.0.0.1:1/";
    attempt_set_file(&a);
    attempt_run(*state, &a);
    assert_failed(&a, TASK_CODE_DOWNLOAD_FAILED, "127.0.0.1");
    attempt_done(&a);
}

static void another_size_or_checksum_fails_it(void **state)
{
    struct attempt a;
    COMMANDS(&a, "true");

    a.file.name = (char *)"file";
    a.file.bytes = 22;
    run_with_url(*state, &a, "/hello");
    assert_failed(&a, TASK_CODE_DOWNLOAD_FAILED, "file has 21 bytes instead of 22");
    attempt_done(&a);

    attempt_init(&a);
    attempt_set_commands(&a, commands_, 1);
    a.file.name = (char *)"file";
    a.file.xxh = (char *)"0123456789abcdef";
    run_with_url(*state, &a, "/hello");
    assert_failed(&a, TASK_CODE_DOWNLOAD_FAILED, "checksum");
    attempt_done(&a);
}

static void the_right_checksum_is_accepted(void **state)
{
    struct attempt a;
    COMMANDS(&a, "true");

    /* the shorter and the longer form; the failure of a wrong one tells what is right */
    static const char prefix[] = "file has the checksum ";
    for (int digits = 16; digits <= 32; digits += 16) {
        char sum[33] = "00000000000000000000000000000000";
        sum[digits] = '\0';
        attempt_init(&a);
        attempt_set_commands(&a, commands_, 1);
        a.file.name = (char *)"file";
        a.file.xxh = sum;
        run_with_url(*state, &a, "/hello");
        memcpy(sum, strstr(a.report->text, prefix) + strlen(prefix), (size_t)digits);
        attempt_done(&a);
        attempt_init(&a);
        attempt_set_commands(&a, commands_, 1);
        a.file.name = (char *)"file";
        a.file.xxh = sum;
        run_with_url(*state, &a, "/hello");
        assert_completed(&a);
        attempt_done(&a);
    }
}

static void names_of_files_can_not_leave_the_directory(void **state)
{
    static const char *const names[] = {"../evil", "/tmp/evil", "a/../../evil", "", "dir/", "."};
    struct attempt a;
    COMMANDS(&a, "true");

    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        attempt_init(&a);
        attempt_set_commands(&a, commands_, 1);
        a.file.name = (char *)(uintptr_t)names[i];
        run_with_url(*state, &a, "/hello");
        assert_failed(&a, TASK_CODE_DOWNLOAD_FAILED, "is no name for a file");
        attempt_done(&a);
    }
}

static void an_uploaded_file_comes_from_who_has_it(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "cat file");

    a.file.name = (char *)"file";
    a.file.file = (char *)"an-upload";
    attempt_set_file(&a);
    attempt_start(w, &a);
    http_fixture_wait(&w->f, &w->has_upload);
    int fd = open(w->upload_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "uploaded", 8), 8);
    close(fd);
    w->fetched(w->fetched_arg, 0, "");
    http_fixture_wait(&w->f, &a.is_done);
    assert_completed(&a);
    assert_stdout(&a, "uploaded");
    attempt_done(&a);
}

/* ---- cancel ---- */

static void assert_cancelled(const struct attempt *a, enum task_code code, const char *reason)
{
    assert_int_equal(a->report->phase, WIRE__TASK_PHASE__TASK_PHASE_CANCELLED);
    assert_int_equal(a->report->code, code);
    assert_string_equal(a->report->text, reason);
    assert_false(is_there(a->dir, "work"));
}

static void a_cancel_ends_a_running_command(void **state)
{
#ifdef __SANITIZE_THREAD__
    skip(); /* makes a fork of vfork: the signal may come before the command does */
#endif
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "exec sleep 1000", "echo never");

    attempt_start(w, &a);
    http_fixture_wait(&w->f, &a.is_running);
    task_run_cancel(a.run, TASK_CODE_CANCELLED, "by its user", false);
    assert_false(a.is_done);
    http_fixture_wait(&w->f, &a.is_done);
    assert_cancelled(&a, TASK_CODE_CANCELLED, "by its user");
    assert_int_equal(a.report->signal, SIGTERM);
    attempt_done(&a);
}

static void a_cancel_before_the_first_turn_ends_it_too(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "exec sleep 1000");

    attempt_start(w, &a);
    task_run_cancel(a.run, TASK_CODE_SUPERSEDED, "another counts", false);
    http_fixture_wait(&w->f, &a.is_done);
    assert_cancelled(&a, TASK_CODE_SUPERSEDED, "another counts");
    attempt_done(&a);
}

static void a_cancel_ends_one_that_waits_in_line(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "echo never");

    spawn_set_slots(w->spawn, 0);
    a.line_slots = 1;
    attempt_start(w, &a);
    task_run_cancel(a.run, TASK_CODE_CANCELLED, "by its user", false);
    http_fixture_wait(&w->f, &a.is_done);
    assert_cancelled(&a, TASK_CODE_CANCELLED, "by its user");
    assert_false(a.is_running || is_there(a.dir, ""));
    attempt_done(&a);
}

static void one_that_waits_in_line_can_be_taken_back(void **state)
{
    struct world *w = *state;
    struct attempt a;
    struct attempt b;
    COMMANDS(&a, "echo hello");

    b = a;
    b.id.index++;
    task_key_write(&b.id, &b.key);
    b.assign.key = &b.key;
    b.assign.spec = &b.spec;
    spawn_set_slots(w->spawn, 0);
    a.line_slots = b.line_slots = 1;
    attempt_start(w, &a);
    attempt_start(w, &b);
    task_run_recall(a.run);
    http_fixture_wait(&w->f, &a.is_done);
    assert_int_equal(a.report->phase, WIRE__TASK_PHASE__TASK_PHASE_RETURNED);
    assert_false(a.is_running || b.is_done || is_there(a.dir, ""));
    spawn_set_slots(w->spawn, 1);
    http_fixture_wait(&w->f, &b.is_done);
    assert_true(b.is_running);
    assert_completed(&b);
    assert_stdout(&b, "hello\n");
    attempt_done(&a);
    attempt_done(&b);
}

static void a_directory_in_the_way_sends_one_through_the_line_again(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "echo hello");

    spawn_set_slots(w->spawn, 1);
    a.line_slots = 1;
    char *dir = task_dir_path(w->tasks_dir, &a.id);
    assert_int_equal(mkdir(dir, 0700), 0);
    attempt_run(w, &a);
    assert_completed(&a);
    assert_stdout(&a, "hello\n");
    free(dir);
    attempt_done(&a);
}

static void a_hard_cancel_does_not_wait_for_the_grace(void **state)
{
#ifdef __SANITIZE_THREAD__
    skip(); /* makes a fork of vfork: the signal may come before the command does */
#endif
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "trap '' TERM; sleep 1000; sleep 1000");

    a.spec.kill_grace_ms = 1000000;
    attempt_start(w, &a);
    http_fixture_wait(&w->f, &a.is_running);
    task_run_cancel(a.run, TASK_CODE_CANCELLED, "first", false);
    task_run_cancel(a.run, TASK_CODE_CANCELLED, "second", true);
    http_fixture_wait(&w->f, &a.is_done);
    assert_cancelled(&a, TASK_CODE_CANCELLED, "first");
    attempt_done(&a);
}

static void a_command_that_completes_in_spite_of_a_cancel_has_completed(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "trap 'echo saved; exit 0' TERM; echo ready >&2; sleep 1000 & wait");

    attempt_start(w, &a);
    http_fixture_wait(&w->f, &a.is_running);
    char *path = mem_printf("%s/stderr", a.dir);
    struct stat st;
    do
        http_fixture_turn(&w->f);
    while (stat(path, &st) < 0 || st.st_size == 0); /* the trap is set */
    free(path);
    task_run_cancel(a.run, TASK_CODE_CANCELLED, "by its user", false);
    http_fixture_wait(&w->f, &a.is_done);
    assert_completed(&a);
    attempt_done(&a);
}

static void a_cancel_ends_a_download(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "true");

    a.file.name = (char *)"file";
    a.file.url = url(w, "/later");
    attempt_set_file(&a);
    attempt_start(w, &a);
    http_fixture_wait(&w->f, &w->has_upload);
    task_run_cancel(a.run, TASK_CODE_CANCELLED, "by its user", false);
    assert_false(a.is_done);
    http_fixture_wait(&w->f, &a.is_done);
    assert_cancelled(&a, TASK_CODE_CANCELLED, "by its user");
    http_reply(w->held, 200, "text/plain", "late", 4);
    free(a.file.url);
    attempt_done(&a);
}

static void a_download_is_part_of_the_time_limit(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "true");

    w->held = NULL;
    a.file.name = (char *)"file";
    a.file.url = url(w, "/later");
    attempt_set_file(&a);
    a.spec.time_limit_ms = 300;
    attempt_start(w, &a);
    http_fixture_wait(&w->f, &a.is_done);
    assert_failed(&a, TASK_CODE_DOWNLOAD_FAILED, "timed out");
    if (w->held != NULL)
        http_reply(w->held, 200, "text/plain", "late", 4);
    free(a.file.url);
    attempt_done(&a);
}

static void a_cancel_ends_the_copy_of_an_upload(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "true");

    a.file.name = (char *)"file";
    a.file.file = (char *)"an-upload";
    attempt_set_file(&a);
    attempt_start(w, &a);
    http_fixture_wait(&w->f, &w->has_upload);
    task_run_cancel(a.run, TASK_CODE_CANCELLED, "by its user", false);
    http_fixture_wait(&w->f, &a.is_done);
    assert_cancelled(&a, TASK_CODE_CANCELLED, "by its user");
    attempt_done(&a);
}

static void a_cancel_while_its_directory_is_made_ends_it(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "true");

    a.file.name = (char *)"file";
    a.file.file = (char *)"an-upload";
    attempt_set_file(&a);
    attempt_start(w, &a);
    task_run_cancel(a.run, TASK_CODE_CANCELLED, "by its user", false);
    http_fixture_wait(&w->f, &a.is_done);
    assert_cancelled(&a, TASK_CODE_CANCELLED, "by its user");
    assert_false(w->has_upload);
    attempt_done(&a);
}

/* ---- a full disk ---- */

/* Puts a small file system below the tasks, once the spawner holds what it holds of the other;
 * false when we may not mount. */
static bool mount_small(struct world *w, const char *options)
{
    struct attempt a;
    COMMANDS(&a, "true");

    attempt_run(w, &a);
    assert_completed(&a);
    attempt_done(&a);
    return mount("small", w->tasks_dir, "tmpfs", 0, options) == 0;
}

static void a_disk_without_room_for_its_directory_fails_it(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "true");

    if (!mount_small(w, "size=64k,nr_inodes=2"))
        skip();
    attempt_run(w, &a);
    assert_failed(&a, TASK_CODE_DISK_FULL, "cannot make its directory for /bin/sh: ");
    attempt_done(&a);
    assert_int_equal(umount(w->tasks_dir), 0);
}

static void a_command_that_fails_on_a_full_disk_failed_for_that(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "cat /dev/zero >fill");

    if (!mount_small(w, "size=256k"))
        skip();
    attempt_run(w, &a);
    assert_failed(&a, TASK_CODE_DISK_FULL, "the disk is full");
    attempt_done(&a);
    assert_int_equal(umount(w->tasks_dir), 0);
}

static void a_download_that_fills_the_disk_fails_it(void **state)
{
    struct world *w = *state;
    struct attempt a;
    COMMANDS(&a, "true");

    if (!mount_small(w, "size=4k"))
        skip();
    w->archive_len = sizeof w->archive;
    a.file.name = (char *)"file";
    run_with_url(w, &a, "/archive");
    assert_failed(&a, TASK_CODE_DISK_FULL, "");
    attempt_done(&a);
    assert_int_equal(umount(w->tasks_dir), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        CASE(a_command_completes_and_nothing_stays),
        CASE(a_command_knows_what_it_is),
        CASE(secrets_of_the_daemon_stay_behind),
        CASE(an_exit_code_fails_it),
        CASE(a_signal_fails_it),
        CASE(commands_run_in_order_in_one_directory),
        CASE(the_first_that_fails_is_the_last),
        CASE(arguments_are_passed_without_a_shell),
        CASE(a_command_that_does_not_exist_fails_with_127),
        CASE(a_command_that_may_not_be_executed_fails_with_126),
        CASE(a_job_without_command_fails),
        CASE(the_time_limit_is_for_all_commands_together),
        CASE(output_above_the_limit_fails_it_and_is_kept),
        CASE(large_output_is_kept_and_the_working_directory_goes),
        CASE(what_an_earlier_daemon_left_is_replaced),
        CASE(the_death_of_the_spawner_loses_the_attempt),
        CASE(a_file_is_downloaded_to_its_name),
        CASE(an_archive_is_unpacked_where_it_lies),
        CASE(an_archive_that_leaves_its_directory_fails_it),
        CASE(a_missing_file_fails_it),
        CASE(a_server_that_is_not_there_fails_it),
        CASE(another_size_or_checksum_fails_it),
        CASE(the_right_checksum_is_accepted),
        CASE(names_of_files_can_not_leave_the_directory),
        CASE(an_uploaded_file_comes_from_who_has_it),
        CASE(a_cancel_ends_a_running_command),
        CASE(a_cancel_before_the_first_turn_ends_it_too),
        CASE(a_cancel_ends_one_that_waits_in_line),
        CASE(one_that_waits_in_line_can_be_taken_back),
        CASE(a_directory_in_the_way_sends_one_through_the_line_again),
        CASE(a_hard_cancel_does_not_wait_for_the_grace),
        CASE(a_command_that_completes_in_spite_of_a_cancel_has_completed),
        CASE(a_cancel_ends_a_download),
        CASE(a_download_is_part_of_the_time_limit),
        CASE(a_cancel_ends_the_copy_of_an_upload),
        CASE(a_cancel_while_its_directory_is_made_ends_it),
        CASE(a_disk_without_room_for_its_directory_fails_it),
        CASE(a_command_that_fails_on_a_full_disk_failed_for_that),
        CASE(a_download_that_fills_the_disk_fails_it),
    };

    if (argc > 1 && strcmp(argv[1], "spawner") == 0)
        return spawner_main(SPAWNER_FD);
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
