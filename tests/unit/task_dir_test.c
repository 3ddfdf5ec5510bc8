#include "run/task_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "run/dir_pool.h"

struct fixture {
    char dir[64];
    char *task;
    struct error e;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    snprintf(f->dir, sizeof f->dir, "/tmp/clusterd-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->task = mem_printf("%s/task", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(task_dir_remove(f->dir, NULL), 0);
    free(f->task);
    free(f);
    return 0;
}

/* Makes a directory, or a file with a word in it when the name doesn't end with "/". */
static void make(struct fixture *f, const char *name, mode_t mode)
{
    char *path = mem_printf("%s/%s", f->dir, name);

    if (path[strlen(path) - 1] == '/') {
        assert_int_equal(mkdir(path, mode), 0);
    } else {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
        assert_int_equal(write(fd, "word", 4), 4);
        close(fd);
    }
    free(path);
}

static bool is_there(struct fixture *f, const char *name)
{
    struct stat st;
    char *path = mem_printf("%s/%s", f->dir, name);
    bool there = lstat(path, &st) == 0;

    free(path);
    return there;
}

static void the_name_of_an_attempt_and_back(void **state)
{
    (void)state;
    struct task_key key = {.index = 7, .attempt = 4000000000};
    struct task_key again;

    assert_int_equal(uuid_parse("0123e567-e89b-42d3-a456-426614174000", &key.job), 0);
    char *path = task_dir_path("/data/tasks", &key);
    assert_string_equal(path, "/data/tasks/0123e567-e89b-42d3-a456-426614174000_7.4000000000");
    assert_int_equal(task_dir_parse(strrchr(path, '/') + 1, &again), 0);
    assert_memory_equal(&key, &again, sizeof key);
    free(path);
    assert_int_equal(task_dir_parse("0123e567-e89b-42d3-a456-426614174000_7.-1", &again),
                     ERR_INVALID);
    assert_int_equal(task_dir_parse("0123e567-e89b-42d3-a456-426614174000", &again), ERR_INVALID);
    assert_int_equal(task_dir_parse("", &again), ERR_INVALID);
}

static void a_new_directory_is_clean_and_private(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_int_equal(task_dir_make(f->task, &f->e), 0);
    assert_true(task_dir_is_clean(f->task));
    assert_int_equal(stat(f->task, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(task_dir_make(f->task, &f->e), -EEXIST);
}

static void a_directory_with_anything_of_the_task_is_not_clean(void **state)
{
    static const char *const names[] = {"task/work/file", "task/work/dir/", "task/other"};
    struct fixture *f = *state;

    for (size_t i = 0; i < MEM_COUNT(names); i++) {
        assert_int_equal(task_dir_make(f->task, &f->e), 0);
        make(f, names[i], 0700);
        assert_false(task_dir_is_clean(f->task));
        assert_int_equal(task_dir_remove(f->task, &f->e), 0);
    }
    assert_false(task_dir_is_clean(f->task));
}

static void thousands_of_files_are_removed(void **state)
{
    struct fixture *f = *state;
    char name[32];

    make(f, "tree/", 0700);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, i % 100 ? "tree/%d" : "tree/%d/", i);
        make(f, name, 0700);
    }
    char *tree = mem_printf("%s/tree", f->dir);
    assert_int_equal(task_dir_remove(tree, &f->e), 0);
    assert_false(is_there(f, "tree"));
    free(tree);
}

static void a_tree_deeper_than_any_path_is_removed(void **state)
{
    enum { DEPTH = 2000 };
    struct fixture *f = *state;
    char *tree = mem_printf("%s/tree", f->dir);
    static const char name[] = "a-directory-with-a-name-of-some-length";

    assert_int_equal(mkdir(tree, 0700), 0);
    int fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(fd, name, 0700), 0);
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(fd);
        fd = next;
    }
    close(fd);
    assert_int_equal(task_dir_remove(tree, &f->e), 0);
    assert_false(is_there(f, "tree"));
    free(tree);
}

static void rights_do_not_protect_from_removal(void **state)
{
    struct fixture *f = *state;
    char *tree = mem_printf("%s/tree", f->dir);
    static const char *const dirs[] = {"tree/a/b", "tree/a", "tree"};

    make(f, "tree/", 0700);
    make(f, "tree/a/", 0700);
    make(f, "tree/a/b/", 0700);
    make(f, "tree/a/b/file", 0);
    bool is_root = geteuid() == 0; /* who may do all: it shows only as somebody else */
    for (size_t i = 0; i < MEM_COUNT(dirs); i++) {
        char *path = mem_printf("%s/%s", f->dir, dirs[i]);
        assert_int_equal(chmod(path, 0), 0);
        if (is_root)
            assert_int_equal(chown(path, 65534, 65534), 0);
        free(path);
    }
    if (is_root) {
        assert_int_equal(chown(f->dir, 65534, 65534), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    int err = task_dir_remove(tree, &f->e);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    if (err < 0)
        fail_msg("%s", f->e.text);
    assert_false(is_there(f, "tree"));
    free(tree);
}

static void links_are_removed_and_not_followed(void **state)
{
    struct fixture *f = *state;
    char *tree = mem_printf("%s/tree", f->dir);
    char *link = mem_printf("%s/tree/link", f->dir);
    char *kept = mem_printf("%s/kept", f->dir);

    make(f, "tree/", 0700);
    make(f, "kept/", 0700);
    make(f, "kept/file", 0600);
    assert_int_equal(symlink(kept, link), 0);
    assert_int_equal(task_dir_remove(tree, &f->e), 0);
    assert_false(is_there(f, "tree"));
    assert_true(is_there(f, "kept/file"));
    free(tree);
    free(link);
    free(kept);
}

static void what_is_missing_is_removed_already(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(task_dir_remove(f->task, &f->e), 0);
    assert_int_equal(task_dir_remove_work(f->task, &f->e), 0);
}

static void a_small_file_is_read_and_a_large_one_is_not(void **state)
{
    struct fixture *f = *state;
    char *data;
    size_t len;

    make(f, "file", 0600);
    assert_int_equal(task_dir_read_small(f->dir, "file", 4, &data, &len), 0);
    assert_int_equal(len, 4);
    assert_memory_equal(data, "word", 4);
    free(data);
    assert_int_equal(task_dir_read_small(f->dir, "file", 3, &data, &len), ERR_TOO_LARGE);
    assert_int_equal(task_dir_read_small(f->dir, "other", 3, &data, &len), -ENOENT);
}

static void the_pool_gives_back_what_it_got(void **state)
{
    struct fixture *f = *state;
    struct dir_pool pool;
    struct stat first, second;
    char *spare = mem_printf("%s/spare", f->dir);
    char *other = mem_printf("%s/other", f->dir);

    make(f, "spare/", 0700);
    make(f, "spare/0/", 0700); /* left by an earlier process: it isn't trusted */
    make(f, "spare/0/left", 0600);
    dir_pool_init(&pool, spare);
    assert_int_equal(dir_pool_make(&pool, f->task), 0);
    assert_int_equal(stat(f->task, &first), 0);
    assert_int_equal(dir_pool_remove(&pool, f->task), 0);
    assert_false(is_there(f, "spare/0/left"));
    assert_false(is_there(f, "task"));
    assert_int_equal(dir_pool_make(&pool, other), 0);
    assert_int_equal(stat(other, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    assert_true(task_dir_is_clean(other));
    assert_int_equal(dir_pool_make(&pool, other), -EEXIST);
    assert_int_equal(dir_pool_remove(&pool, other), 0);
    assert_int_equal(mkdir(other, 0700), 0); /* an empty one is in the way too */
    assert_int_equal(dir_pool_make(&pool, other), -EEXIST);
    dir_pool_done(&pool);
    free(spare);
    free(other);
}

static void without_a_pool_directories_are_made_and_removed(void **state)
{
    struct fixture *f = *state;
    struct dir_pool pool;

    dir_pool_init(&pool, NULL);
    assert_int_equal(dir_pool_make(&pool, f->task), 0);
    assert_true(task_dir_is_clean(f->task));
    assert_int_equal(dir_pool_remove(&pool, f->task), 0);
    assert_false(is_there(f, "task"));
    dir_pool_done(&pool);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(the_name_of_an_attempt_and_back),
        CASE(a_new_directory_is_clean_and_private),
        CASE(a_directory_with_anything_of_the_task_is_not_clean),
        CASE(thousands_of_files_are_removed),
        CASE(a_tree_deeper_than_any_path_is_removed),
        CASE(rights_do_not_protect_from_removal),
        CASE(links_are_removed_and_not_followed),
        CASE(what_is_missing_is_removed_already),
        CASE(a_small_file_is_read_and_a_large_one_is_not),
        CASE(the_pool_gives_back_what_it_got),
        CASE(without_a_pool_directories_are_made_and_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
