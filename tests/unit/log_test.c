#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "tests/unit/generated.h"

/* Each test logs to `path` inside a directory of its own. */
static char directory[64];
static char path[96];

static int make_directory(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/log_test.XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/log", directory);
    return 0;
}

static int remove_entry(const char *name, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(name);
}

static int remove_directory(void **state)
{
    (void)state;
    log_set_hook(NULL, NULL);
    log_close();
    return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void open_log(enum log_format format, uint64_t bytes_max, unsigned files_max)
{
    const struct log_options options = {.level = LOG_LEVEL_INFO,
                                        .format = format,
                                        .path = path,
                                        .bytes_max = bytes_max,
                                        .files_max = files_max,
                                        .node = "n1"};
    assert_int_equal(log_open(&options), 0);
}

/* The whole file as malloc'ed text; NULL when there is none. */
static char *read_file(const char *name)
{
    FILE *f = fopen(name, "r");
    if (f == NULL)
        return NULL;
    char *text = NULL;
    size_t size = 0;
    if (getdelim(&text, &size, EOF, f) < 0) {
        free(text);
        text = mem_strdup("");
    }
    (void)fclose(f);
    return text;
}

/* The record on line `line` (from 0) of file `name`, or NULL past the last. */
static json_t *read_record(const char *name, unsigned line)
{
    FILE *f = fopen(name, "r");
    assert_non_null(f);
    char *text = NULL;
    size_t size = 0;
    json_t *json = NULL;
    for (unsigned i = 0; i <= line; i++) {
        if (getline(&text, &size, f) < 0)
            goto out;
    }
    json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_true(json_is_object(json));
out:
    free(text);
    (void)fclose(f);
    return json;
}

static void assert_field(const json_t *record, const char *key, const char *want)
{
    const char *value = json_string_value(json_object_get(record, key));
    assert_non_null(value);
    assert_string_equal(value, want);
}

static void a_record_is_one_json_line_with_what_it_is_about(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_AUTO, 0, 0);
    int64_t before_ms = clock_wall_ms();
    log_warn(LOG_ABOUT(.role = "worker", .job = "j", .task = "3", .peer = "n2", .code = -ENOSPC),
             "disk of %d bytes is full", 7);
    log_info(NULL, "plain");
    json_t *record = read_record(path, 0);
    int64_t time_ms = 0;
    const char *time = json_string_value(json_object_get(record, "time"));
    assert_int_equal(clock_parse_rfc3339(time, &time_ms), 0);
    assert_in_range(time_ms, before_ms, clock_wall_ms());
    assert_field(record, "level", "warn");
    assert_field(record, "node", "n1");
    assert_field(record, "role", "worker");
    assert_field(record, "job", "j");
    assert_field(record, "task", "3");
    assert_field(record, "peer", "n2");
    assert_field(record, "code", "disk_full");
    assert_field(record, "text", "disk of 7 bytes is full");
    assert_int_equal(json_object_size(record), 9);
    json_decref(record);
    record = read_record(path, 1);
    assert_int_equal(json_object_size(record), 4);
    json_decref(record);
    assert_null(read_record(path, 2));
}

static void a_code_may_be_one_of_another_list(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_AUTO, 0, 0);
    log_info(LOG_ABOUT(.role = "worker", .code_name = "exit_nonzero"), "x");
    log_info(LOG_ABOUT(.role = "worker", .code = -ENOSPC, .code_name = "exit_nonzero"), "x");
    json_t *record = read_record(path, 0);
    assert_field(record, "code", "exit_nonzero");
    json_decref(record);
    record = read_record(path, 1);
    assert_field(record, "code", "disk_full");
    json_decref(record);
}

static void so_many_of_a_kind_are_taken_in_a_second(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    char more[LOG_LIMIT_TEXT_MAX];
    for (int64_t now_ms = 7000; now_ms < 9000; now_ms += 100) {
        assert_int_equal(log_limit_take(&limit, 3, now_ms, more), now_ms % 1000 < 300);
        if (now_ms % 1000 < 300)
            assert_string_equal(more, now_ms == 8000 ? "; 7 more were left out" : "");
    }
    assert_true(log_limit_take(&limit, 3, 11500, more));
    assert_string_equal(more, "; 7 more were left out");
}

static void records_below_the_level_are_left_out(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_JSON, 0, 0);
    log_debug(NULL, "no");
    log_set_level(LOG_LEVEL_ERROR);
    log_warn(NULL, "no");
    log_error(NULL, "yes");
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug(NULL, "yes");
    log_set_node(NULL);
    log_debug(NULL, "nameless");
    for (unsigned i = 0; i < 3; i++) {
        json_t *record = read_record(path, i);
        assert_field(record, "text", i < 2 ? "yes" : "nameless");
        assert_int_equal(json_object_get(record, "node") != NULL, i < 2);
        json_decref(record);
    }
    assert_null(read_record(path, 3));
}

static void hostile_bytes_stay_inside_their_string(void **state)
{
    (void)state;
    static const char hostile[] = "\"}\n{\"level\":\"error\x1b[2J\xff\xc2\x9b";
    open_log(LOG_FORMAT_JSON, 0, 0);
    log_info(LOG_ABOUT(.peer = hostile), "%s", hostile);
    json_t *record = read_record(path, 0);
    assert_field(record, "peer", "\"}\n{\"level\":\"error\x1b[2J\xef\xbf\xbd\xc2\x9b");
    assert_field(record, "text", "\"}\n{\"level\":\"error\x1b[2J\xef\xbf\xbd\xc2\x9b");
    json_decref(record);
    assert_null(read_record(path, 1));
    char *text = read_file(path);
    assert_null(strchr(text, '\x1b'));
    assert_null(strstr(text, "\xc2\x9b"));
    free(text);
}

static void text_in_a_file_has_no_colours(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_TEXT, 0, 0);
    log_error(LOG_ABOUT(.role = "metadata", .code = ERR_CORRUPT), "two\nlines \x1b[31m");
    char *text = read_file(path);
    assert_string_equal(text + strlen("2026-11-20T20:15:04.123Z"),
                        " ERROR metadata: two\\nlines \\x1b[31m node=n1 code=corrupt\n");
    free(text);
}

/* What one warning looks like on a terminal. */
static void log_to_terminal(char *seen, size_t size)
{
    int master;
    int slave;
    struct log_options options = {.level = LOG_LEVEL_INFO};
    char name[64];
    assert_int_equal(openpty(&master, &slave, name, NULL, NULL), 0);
    options.path = name;
    assert_int_equal(log_open(&options), 0);
    log_warn(NULL, "bell \a");
    ssize_t n = read(master, seen, size - 1);
    assert_true(n > 0);
    seen[n] = '\0';
    log_close();
    (void)close(master);
    (void)close(slave);
}

static void colours_appear_only_on_a_terminal_that_wants_them(void **state)
{
    (void)state;
    char seen[256];
    assert_int_equal(setenv("TERM", "xterm", 1), 0);
    assert_int_equal(unsetenv("NO_COLOR"), 0);
    log_to_terminal(seen, sizeof seen);
    assert_non_null(strstr(seen, " \x1b[33mWARN \x1b[0m bell \\x07\r\n"));
    assert_int_equal(setenv("NO_COLOR", "1", 1), 0);
    log_to_terminal(seen, sizeof seen);
    assert_non_null(strstr(seen, " WARN  bell \\x07\r\n"));
    assert_int_equal(unsetenv("NO_COLOR"), 0);
    assert_int_equal(setenv("TERM", "dumb", 1), 0);
    log_to_terminal(seen, sizeof seen);
    assert_null(strchr(seen, '\x1b'));
}

static void a_long_text_is_cut_and_says_so(void **state)
{
    (void)state;
    char *text = mem_zalloc(10000);
    memset(text, '\x01', 9999);
    open_log(LOG_FORMAT_JSON, 0, 0);
    log_set_node(text);
    log_error(LOG_ABOUT(.role = text, .job = text, .task = text, .peer = text,
                        .code = ERR_OUTCOME_UNKNOWN),
              "%s", text);
    json_t *record = read_record(path, 0);
    const char *logged = json_string_value(json_object_get(record, "text"));
    assert_int_equal(strlen(logged), 4095);
    assert_string_equal(logged + 4092, "...");
    assert_int_equal(json_string_length(json_object_get(record, "job")), 256);
    json_decref(record);
    free(text);
}

static void a_field_is_cut_between_characters(void **state)
{
    (void)state;
    char peer[300];
    open_log(LOG_FORMAT_JSON, 0, 0);
    (void)snprintf(peer, sizeof peer, "x%0253d\xe2\x82\xac", 0);
    log_info(LOG_ABOUT(.peer = peer), "x");
    json_t *record = read_record(path, 0);
    assert_int_equal(json_string_length(json_object_get(record, "peer")), 254);
    json_decref(record);
}

/* Numbers of the records in path.N ... path.1, path, which must follow one another from `first`. */
static unsigned count_records(const char *name, unsigned first)
{
    unsigned lines = 0;
    json_t *record;
    while ((record = read_record(name, lines)) != NULL) {
        char want[16];
        (void)snprintf(want, sizeof want, "record %04u", first + lines);
        assert_field(record, "text", want);
        json_decref(record);
        lines++;
    }
    return lines;
}

static void a_file_is_rotated_at_its_limit_and_no_record_is_lost(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_JSON, 1000, 50);
    for (unsigned i = 0; i < 200; i++)
        log_info(NULL, "record %04u", i);
    unsigned total = 0;
    for (unsigned i = 50; i-- > 0;) {
        char name[128];
        struct stat st;
        (void)snprintf(name, sizeof name, i > 0 ? "%s.%u" : "%s", path, i);
        if (stat(name, &st) < 0)
            continue;
        assert_in_range(st.st_size, 1, 1000);
        total += count_records(name, total);
    }
    assert_int_equal(total, 200);
}

static bool file_exists(unsigned number)
{
    char name[128];
    (void)snprintf(name, sizeof name, "%s.%u", path, number);
    return access(name, F_OK) == 0;
}

static void only_the_files_asked_for_are_kept(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_JSON, 1000, 2);
    for (unsigned i = 0; i < 200; i++)
        log_info(NULL, "record %04u", i);
    assert_true(file_exists(1) && file_exists(2));
    assert_false(file_exists(3));
    open_log(LOG_FORMAT_JSON, 1000, 0);
    for (unsigned i = 0; i < 200; i++)
        log_info(NULL, "record %04u", i);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 1, 1000);
    assert_false(file_exists(3));
}

static void an_old_file_counts_towards_the_limit(void **state)
{
    (void)state;
    open_log(LOG_FORMAT_JSON, 1000, 1);
    for (unsigned i = 0; i < 8; i++)
        log_info(NULL, "record %04u", i);
    assert_false(file_exists(1));
    open_log(LOG_FORMAT_JSON, 1000, 1);
    for (unsigned i = 0; i < 8; i++)
        log_info(NULL, "record %04u", i);
    assert_true(file_exists(1));
}

static void a_rotation_that_fails_loses_nothing(void **state)
{
    (void)state;
    char name[128];
    (void)snprintf(name, sizeof name, "%s.1", path);
    assert_int_equal(mkdir(name, 0700), 0);
    open_log(LOG_FORMAT_JSON, 1000, 1);
    for (unsigned i = 0; i < 100; i++)
        log_info(NULL, "record %04u", i);
    assert_int_equal(count_records(path, 0), 100);
}

static void a_rotation_that_failed_is_tried_again_a_files_size_later(void **state)
{
    (void)state;
    char name[128];
    struct stat st = {0};
    (void)snprintf(name, sizeof name, "%s.1", path);
    assert_int_equal(mkdir(name, 0700), 0);
    open_log(LOG_FORMAT_JSON, 1000, 1);
    for (unsigned i = 0; st.st_size <= 1000; i++) {
        log_info(NULL, "record %04u", i);
        assert_int_equal(stat(path, &st), 0);
    }
    assert_int_equal(rmdir(name), 0);
    log_info(NULL, "too early");
    assert_false(file_exists(1));
    for (unsigned i = 0; i < 20; i++)
        log_info(NULL, "record %04u", i);
    assert_true(file_exists(1));
}

static void a_reopened_log_starts_a_new_file(void **state)
{
    (void)state;
    char moved[128];
    (void)snprintf(moved, sizeof moved, "%s.moved", path);
    open_log(LOG_FORMAT_JSON, 0, 0);
    log_info(NULL, "record 0000");
    assert_int_equal(rename(path, moved), 0);
    log_info(NULL, "record 0001");
    assert_int_equal(log_reopen(), 0);
    log_info(NULL, "record 0002");
    assert_int_equal(count_records(moved, 0), 2);
    assert_int_equal(count_records(path, 2), 1);
}

static void a_file_that_cannot_be_opened_leaves_the_log_where_it_was(void **state)
{
    (void)state;
    char wrong[128];
    (void)snprintf(wrong, sizeof wrong, "%s/none/log", directory);
    open_log(LOG_FORMAT_JSON, 0, 0);
    assert_int_equal(log_open(&(struct log_options){.path = wrong}), -ENOENT);
    log_info(NULL, "record 0000");
    assert_int_equal(count_records(path, 0), 1);
}

static void what_cannot_be_written_is_counted(void **state)
{
    (void)state;
    assert_int_equal(log_open(&(struct log_options){.path = "/dev/full"}), 0);
    for (int i = 0; i < 3; i++)
        log_error(NULL, "gone");
    open_log(LOG_FORMAT_JSON, 0, 0);
    log_info(NULL, "first");
    log_info(NULL, "second");
    json_t *record = read_record(path, 0);
    assert_int_equal(json_integer_value(json_object_get(record, "lost")), 3);
    json_decref(record);
    record = read_record(path, 1);
    assert_null(json_object_get(record, "lost"));
    json_decref(record);
}

/* A limit on file size cuts a write as a full disk does. */
static void a_record_cut_short_does_not_spoil_the_next(void **state)
{
    (void)state;
    struct rlimit limit;
    open_log(LOG_FORMAT_JSON, 0, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit small = {.rlim_cur = 20, .rlim_max = limit.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    log_info(NULL, "cut");
    log_info(NULL, "refused");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    log_info(NULL, "whole");
    json_t *record = read_record(path, 1);
    assert_field(record, "text", "whole");
    assert_int_equal(json_integer_value(json_object_get(record, "lost")), 2);
    json_decref(record);
    assert_null(read_record(path, 2));
}

enum { THREADS = 4, THREAD_RECORDS = 250 };

static void *log_many(void *arg)
{
    for (int i = 0; i < THREAD_RECORDS; i++)
        log_info(LOG_ABOUT(.role = arg), "number %d", i);
    return NULL;
}

static void each_record_of_several_threads_is_one_write(void **state)
{
    (void)state;
    int ends[2];
    int saved = dup(STDERR_FILENO);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(log_open(&(struct log_options){.level = LOG_LEVEL_INFO}), 0);
    pthread_t threads[THREADS];
    static char roles[THREADS][2] = {"0", "1", "2", "3"};
    int next[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, roles[i]), 0);
    for (int i = 0; i < THREADS * THREAD_RECORDS; i++) {
        char packet[1024];
        ssize_t n = recv(ends[0], packet, sizeof packet, 0);
        assert_true(n > 0 && packet[n - 1] == '\n');
        json_t *record = json_loadb(packet, (size_t)n, 0, NULL);
        assert_true(json_is_object(record));
        int thread = atoi(json_string_value(json_object_get(record, "role")));
        char want[32];
        (void)snprintf(want, sizeof want, "number %d", next[thread]++);
        assert_field(record, "text", want);
        json_decref(record);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    (void)close(saved);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

struct hooked {
    int calls;
    enum log_level level;
    char text[64];
    char peer[64];
};

static void remember(void *arg, enum log_level level, int64_t wall_ms,
                     const struct log_about *about, const char *text)
{
    struct hooked *hooked = arg;
    hooked->calls++;
    hooked->level = level;
    assert_true(wall_ms > 0);
    (void)snprintf(hooked->text, sizeof hooked->text, "%s", text);
    (void)snprintf(hooked->peer, sizeof hooked->peer, "%s", about->peer ? about->peer : "");
}

static void the_hook_sees_each_record_that_passes_the_level(void **state)
{
    (void)state;
    struct hooked hooked = {0};
    open_log(LOG_FORMAT_JSON, 0, 0);
    log_set_hook(remember, &hooked);
    log_debug(NULL, "no");
    log_warn(LOG_ABOUT(.peer = "n2"), "yes %d", 1);
    assert_int_equal(hooked.calls, 1);
    assert_int_equal(hooked.level, LOG_LEVEL_WARN);
    assert_string_equal(hooked.text, "yes 1");
    assert_string_equal(hooked.peer, "n2");
    log_info(NULL, "about nothing");
    assert_string_equal(hooked.peer, "");
    log_set_hook(NULL, NULL);
    log_warn(NULL, "unseen");
    assert_int_equal(hooked.calls, 2);
}

static void logging_keeps_errno(void **state)
{
    (void)state;
    assert_int_equal(log_open(&(struct log_options){.path = "/dev/full"}), 0);
    errno = EXDEV;
    log_error(NULL, "gone");
    assert_int_equal(errno, EXDEV);
}

static void levels_have_names_both_ways(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_ERROR;
    for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++) {
        assert_int_equal(log_parse_level(log_level_name((enum log_level)i), &level), 0);
        assert_int_equal(level, i);
    }
    assert_int_equal(log_parse_level("Warning", &level), 0);
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_int_equal(log_parse_level("loud", &level), ERR_INVALID);
    assert_int_equal(log_parse_level("", &level), ERR_INVALID);
    assert_int_equal(level, LOG_LEVEL_WARN);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_record_is_one_json_line_with_what_it_is_about),
        LOG_TEST(a_code_may_be_one_of_another_list),
        LOG_TEST(so_many_of_a_kind_are_taken_in_a_second),
        LOG_TEST(records_below_the_level_are_left_out),
        LOG_TEST(hostile_bytes_stay_inside_their_string),
        LOG_TEST(text_in_a_file_has_no_colours),
        LOG_TEST(colours_appear_only_on_a_terminal_that_wants_them),
        LOG_TEST(a_long_text_is_cut_and_says_so),
        LOG_TEST(a_field_is_cut_between_characters),
        LOG_TEST(a_file_is_rotated_at_its_limit_and_no_record_is_lost),
        LOG_TEST(only_the_files_asked_for_are_kept),
        LOG_TEST(an_old_file_counts_towards_the_limit),
        LOG_TEST(a_rotation_that_fails_loses_nothing),
        LOG_TEST(a_rotation_that_failed_is_tried_again_a_files_size_later),
        LOG_TEST(a_reopened_log_starts_a_new_file),
        LOG_TEST(a_file_that_cannot_be_opened_leaves_the_log_where_it_was),
        LOG_TEST(what_cannot_be_written_is_counted),
        LOG_TEST(a_record_cut_short_does_not_spoil_the_next),
        LOG_TEST(each_record_of_several_threads_is_one_write),
        LOG_TEST(the_hook_sees_each_record_that_passes_the_level),
        LOG_TEST(logging_keeps_errno),
        LOG_TEST(levels_have_names_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
