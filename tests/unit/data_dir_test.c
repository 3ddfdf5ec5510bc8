#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "run/atomic_file.h"
#include "run/data_dir.h"

static char root[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/clusterd-data-XXXXXX");
    assert_non_null(mkdtemp(root));
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_root(const char *name)
{
    static char path[2][256];
    static unsigned turn;
    turn ^= 1;
    (void)snprintf(path[turn], sizeof path[turn], "%s/%s", root, name);
    return path[turn];
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in_root(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static struct data_dir *must_open(const char *name)
{
    struct data_dir *dir = NULL;
    struct error e = {0};
    if (data_dir_open(in_root(name), &dir, &e) < 0)
        fail_msg("%s", e.text);
    return dir;
}

/* Opening fails with this code and these words. */
static void expect_refused(const char *name, int code, const char *words)
{
    struct data_dir *dir = NULL;
    struct error e = {0};
    assert_int_equal(data_dir_open(in_root(name), &dir, &e), code);
    assert_null(dir);
    if (strstr(e.text, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, e.text);
}

static void a_new_directory_is_private_and_has_an_identity(void **state)
{
    (void)state;
    struct uuid id;
    struct data_dir *dir = must_open("deep/below/data");
    const struct data_dir_identity *identity = data_dir_identity(dir);
    assert_int_equal(uuid_parse(identity->node_uuid, &id), 0);
    assert_string_equal(identity->cluster_id, "");
    assert_int_equal(identity->node_id, 0);
    assert_string_equal(identity->name, "");
    assert_string_equal(data_dir_path(dir), in_root("deep/below/data"));
    assert_int_equal(mode_of(data_dir_path(dir)), 0700);
    assert_int_equal(mode_of(in_root("deep/below/data/identity")), 0600);
    assert_int_equal(mode_of(in_root("deep/below/data/lock")), 0600);
    data_dir_close(dir);
}

static void an_empty_directory_is_taken_and_made_private(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_root("data"), 0755), 0);
    struct data_dir *dir = must_open("data");
    assert_int_equal(mode_of(in_root("data")), 0700);
    data_dir_close(dir);
}

static void the_identity_lasts(void **state)
{
    (void)state;
    struct error e;
    struct data_dir *dir = must_open("data");
    struct data_dir_identity identity = *data_dir_identity(dir);
    (void)snprintf(identity.cluster_id, sizeof identity.cluster_id,
                   "3fa85f64-5717-4562-b3fc-2c963f66afa6");
    (void)snprintf(identity.name, sizeof identity.name, "n1");
    identity.node_id = UINT64_C(1) << 62;
    assert_int_equal(data_dir_set_identity(dir, &identity, &e), 0);
    assert_memory_equal(data_dir_identity(dir), &identity, sizeof identity);
    data_dir_close(dir);
    dir = must_open("data");
    assert_string_equal(data_dir_identity(dir)->node_uuid, identity.node_uuid);
    assert_string_equal(data_dir_identity(dir)->cluster_id, identity.cluster_id);
    assert_string_equal(data_dir_identity(dir)->name, "n1");
    assert_true(data_dir_identity(dir)->node_id == identity.node_id);
    data_dir_close(dir);
}

static void the_uuid_of_a_node_cannot_be_changed(void **state)
{
    (void)state;
    struct error e;
    struct data_dir *dir = must_open("data");
    struct data_dir_identity identity = *data_dir_identity(dir);
    identity.node_uuid[0] = identity.node_uuid[0] == 'a' ? 'b' : 'a';
    assert_int_equal(data_dir_set_identity(dir, &identity, &e), ERR_INVALID);
    assert_string_not_equal(data_dir_identity(dir)->node_uuid, identity.node_uuid);
    data_dir_close(dir);
}

static void a_directory_in_use_names_the_pid_that_has_it(void **state)
{
    (void)state;
    char words[64];
    struct data_dir *dir = must_open("data");
    (void)snprintf(words, sizeof words, "in use by pid %d", (int)getpid());
    expect_refused("data", ERR_BUSY, words);
    data_dir_close(dir);
    data_dir_close(must_open("data"));
}

static void the_lock_of_a_process_that_died_is_free(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct data_dir *dir = NULL;
        struct error e;
        _exit(data_dir_open(in_root("data"), &dir, &e) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    data_dir_close(must_open("data"));
}

static void a_newer_format_is_refused_with_both_versions(void **state)
{
    (void)state;
    data_dir_close(must_open("data"));
    write_file("data/format", "7 9.9.9\n");
    expect_refused("data", ERR_VERSION, "format 7, written by clusterd 9.9.9");
    expect_refused("data", ERR_VERSION,
                   "this is clusterd " VERSION ", which reads formats up to 1");
    write_file("data/format", "nonsense");
    expect_refused("data", ERR_CORRUPT, "data/format");
}

static void somebody_elses_directory_is_left_untouched(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_root("home"), 0755), 0);
    write_file("home/letter.txt", "dear");
    expect_refused("home", ERR_INVALID, "letter.txt");
    assert_int_equal(access(in_root("home/lock"), F_OK), -1);
    assert_int_equal(mode_of(in_root("home")), 0755);
    write_file("plain", "a file");
    expect_refused("plain", -ENOTDIR, "plain");
}

static void a_damaged_or_missing_identity_is_refused(void **state)
{
    (void)state;
    const char *const damaged[] = {
        "",
        "{",
        "{}",
        "{\"node_uuid\": 1, \"cluster_id\": \"\", \"node_id\": 0, \"name\": \"\"}",
        "{\"node_uuid\": \"x\", \"cluster_id\": \"\", \"node_id\": 0, \"name\": \"\"}",
        "{\"node_uuid\": \"3fa85f64-5717-4562-b3fc-2c963f66afa6\", \"cluster_id\": \"c\", "
        "\"node_id\": 0, \"name\": \"\"}",
        "{\"node_uuid\": \"3fa85f64-5717-4562-b3fc-2c963f66afa6\", \"cluster_id\": \"\", "
        "\"node_id\": -1, \"name\": \"\"}",
    };
    data_dir_close(must_open("data"));
    for (size_t i = 0; i < MEM_COUNT(damaged); i++) {
        write_file("data/identity", damaged[i]);
        expect_refused("data", ERR_CORRUPT, "data/identity");
    }
    assert_int_equal(unlink(in_root("data/identity")), 0);
    expect_refused("data", ERR_CORRUPT, "data/identity: is missing");
}

static void a_first_start_that_was_cut_short_is_begun_again(void **state)
{
    (void)state;
    data_dir_close(must_open("data"));
    assert_int_equal(unlink(in_root("data/format")), 0); /* is written last */
    write_file("data/format.tmp", "");
    data_dir_close(must_open("data"));
    assert_int_equal(access(in_root("data/format"), F_OK), 0);
}

static void subdirectories_are_made_private_at_any_depth(void **state)
{
    (void)state;
    struct error e;
    struct data_dir *dir = must_open("data");
    char *path = data_dir_subdir(dir, "raft/snapshots", &e);
    assert_string_equal(path, in_root("data/raft/snapshots"));
    assert_int_equal(mode_of(path), 0700);
    assert_int_equal(mode_of(in_root("data/raft")), 0700);
    free(path);
    path = data_dir_subdir(dir, "raft/snapshots", &e);
    assert_non_null(path);
    free(path);
    write_file("data/file", "");
    assert_null(data_dir_subdir(dir, "file/below", &e));
    assert_int_equal(e.code, -ENOTDIR);
    data_dir_close(dir);
}

static void a_replaced_file_has_the_new_content_and_its_mode(void **state)
{
    (void)state;
    struct buf b;
    struct error e;
    buf_init(&b, 64);
    assert_int_equal(atomic_file_write(in_root("f"), 0640, "first content", 13, &e), 0);
    assert_int_equal(atomic_file_write(in_root("f"), 0600, "second", 6, &e), 0);
    assert_int_equal(atomic_file_read(in_root("f"), &b, &e), 0);
    assert_string_equal(buf_cstr(&b), "second");
    assert_int_equal(mode_of(in_root("f")), 0600);
    assert_int_equal(access(in_root("f.tmp"), F_OK), -1);
    buf_done(&b);
}

static void a_replacement_that_fails_leaves_the_old_file(void **state)
{
    (void)state;
    struct buf b;
    struct error e;
    buf_init(&b, 64);
    assert_int_equal(atomic_file_write(in_root("f"), 0600, "old", 3, &e), 0);
    assert_int_equal(mkdir(in_root("f.tmp"), 0700), 0);
    assert_int_equal(atomic_file_write(in_root("f"), 0600, "new", 3, &e), -EISDIR);
    assert_non_null(strstr(e.text, in_root("f")));
    assert_int_equal(atomic_file_read(in_root("f"), &b, &e), 0);
    assert_string_equal(buf_cstr(&b), "old");
    buf_done(&b);
}

static void a_file_over_the_limit_is_not_read(void **state)
{
    (void)state;
    struct buf b;
    struct error e;
    buf_init(&b, 4);
    write_file("f", "12345");
    assert_int_equal(atomic_file_read(in_root("f"), &b, &e), ERR_TOO_LARGE);
    assert_int_equal(atomic_file_read(in_root("none"), &b, &e), -ENOENT);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define DIR_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        DIR_TEST(a_new_directory_is_private_and_has_an_identity),
        DIR_TEST(an_empty_directory_is_taken_and_made_private),
        DIR_TEST(the_identity_lasts),
        DIR_TEST(the_uuid_of_a_node_cannot_be_changed),
        DIR_TEST(a_directory_in_use_names_the_pid_that_has_it),
        DIR_TEST(the_lock_of_a_process_that_died_is_free),
        DIR_TEST(a_newer_format_is_refused_with_both_versions),
        DIR_TEST(somebody_elses_directory_is_left_untouched),
        DIR_TEST(a_damaged_or_missing_identity_is_refused),
        DIR_TEST(a_first_start_that_was_cut_short_is_begun_again),
        DIR_TEST(subdirectories_are_made_private_at_any_depth),
        DIR_TEST(a_replaced_file_has_the_new_content_and_its_mode),
        DIR_TEST(a_replacement_that_fails_leaves_the_old_file),
        DIR_TEST(a_file_over_the_limit_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
