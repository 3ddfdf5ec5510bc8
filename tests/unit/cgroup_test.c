/* The kernel of a test machine may have its controllers elsewhere (cgroup v1), so most of this runs
 * on a directory that looks like a group; killing on a real one where there is one to be made. */
#include "run/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "run/task_dir.h"

struct fixture {
    char dir[64];
    struct cgroup_root root;
    char group[64]; /* name of command 1's */
};

static void write_file(struct fixture *f, const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", f->dir, name);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(path);
}

static void make_dir(struct fixture *f, const char *name)
{
    char *path = mem_printf("%s/%s", f->dir, name);

    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

static void assert_file(struct fixture *f, const char *name, const char *expected)
{
    char *text;
    size_t len;

    assert_int_equal(task_dir_read_small(f->dir, name, 1024, &text, &len), 0);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(text, expected, len);
    free(text);
}

/* A group with files that the kernel would have made. */
static void make_group(struct fixture *f)
{
    static const char *const files[] = {"memory.max",    "memory.swap.max", "memory.oom.group",
                                        "memory.events", "cpu.max",         "cgroup.procs",
                                        "cgroup.kill"};
    char name[128];

    make_dir(f, f->group);
    for (size_t i = 0; i < MEM_COUNT(files); i++) {
        snprintf(name, sizeof name, "%s/%s", f->group, files[i]);
        write_file(f, name, "");
    }
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    f->root.fd = -1;
    snprintf(f->dir, sizeof f->dir, "/tmp/clusterd-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->group, sizeof f->group, "clusterd-%d-1", (int)getpid());
    write_file(f, "cgroup.controllers", "cpuset cpu io memory pids\n");
    write_file(f, "cgroup.subtree_control", "");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    cgroup_close(&f->root);
    assert_int_equal(task_dir_remove(f->dir, NULL), 0);
    free(f);
    return 0;
}

static void controllers_are_handed_down(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(cgroup_open_at(&f->root, f->dir), 0);
    assert_true(f->root.has_memory && f->root.has_cpu);
    assert_file(f, "cgroup.subtree_control", "+memory +cpu");
}

static void without_a_useful_controller_there_are_no_groups(void **state)
{
    static const char *const lists[] = {"", "\n", "cpuset io pids\n", "cpux xmemory\n"};
    struct fixture *f = *state;

    for (size_t i = 0; i < MEM_COUNT(lists); i++) {
        write_file(f, "cgroup.controllers", lists[i]);
        assert_int_equal(cgroup_open_at(&f->root, f->dir), -ENOTSUP);
    }
    assert_int_equal(cgroup_open_at(&f->root, "/no/such/directory"), -ENOTSUP);
    assert_int_equal(f->root.fd, -1);
}

static void a_group_gets_its_limits(void **state)
{
    struct fixture *f = *state;
    char name[128];

    assert_int_equal(cgroup_open_at(&f->root, f->dir), 0);
    make_group(f);
    int group = cgroup_make(&f->root, 1, &(struct cgroup_limits){1 << 20, 1500});
    assert_true(group >= 0);
    snprintf(name, sizeof name, "%s/memory.max", f->group);
    assert_file(f, name, "1048576");
    snprintf(name, sizeof name, "%s/memory.swap.max", f->group);
    assert_file(f, name, "0");
    snprintf(name, sizeof name, "%s/cpu.max", f->group);
    assert_file(f, name, "150000 100000");
    int procs = cgroup_open_procs(group);
    assert_true(procs >= 0);
    close(procs);
    cgroup_kill(group);
    snprintf(name, sizeof name, "%s/cgroup.kill", f->group);
    assert_file(f, name, "1");
    close(group);
}

static void a_share_below_what_the_kernel_takes_is_raised(void **state)
{
    struct fixture *f = *state;
    char name[128];

    assert_int_equal(cgroup_open_at(&f->root, f->dir), 0);
    make_group(f);
    int group = cgroup_make(&f->root, 1, &(struct cgroup_limits){0, 1});
    assert_true(group >= 0);
    snprintf(name, sizeof name, "%s/cpu.max", f->group);
    assert_file(f, name, "1000 100000");
    snprintf(name, sizeof name, "%s/memory.max", f->group);
    assert_file(f, name, "");
    close(group);
}

static void a_group_that_can_not_be_limited_is_not_used(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_int_equal(cgroup_open_at(&f->root, f->dir), 0);
    /* a plain directory has no memory.max */
    assert_int_equal(cgroup_make(&f->root, 2, &(struct cgroup_limits){1 << 20, 0}), -ENOENT);
    char *path = mem_printf("%s/clusterd-%d-2", f->dir, (int)getpid());
    assert_int_not_equal(stat(path, &st), 0);
    free(path);
}

static void the_kernel_says_when_memory_was_out(void **state)
{
    struct fixture *f = *state;
    char name[128];

    assert_int_equal(cgroup_open_at(&f->root, f->dir), 0);
    make_group(f);
    int group = cgroup_make(&f->root, 1, &(struct cgroup_limits){1 << 20, 0});
    snprintf(name, sizeof name, "%s/memory.events", f->group);
    write_file(f, name, "low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\n");
    assert_false(cgroup_was_out_of_memory(group));
    write_file(f, name, "low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\n");
    assert_true(cgroup_was_out_of_memory(group));
    close(group);
}

static void groups_of_dead_spawners_are_removed(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char name[64];
    char own[64];
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid); /* a pid that is free */
    snprintf(name, sizeof name, "clusterd-%d-5", (int)pid);
    snprintf(own, sizeof own, "clusterd-%d-5", (int)getpid());
    make_dir(f, name);
    make_dir(f, own);
    make_dir(f, "clusterd-other");
    assert_int_equal(cgroup_open_at(&f->root, f->dir), 0);
    assert_int_not_equal(fstatat(f->root.fd, name, &st, 0), 0);
    assert_int_equal(fstatat(f->root.fd, own, &st, 0), 0);
    assert_int_equal(fstatat(f->root.fd, "clusterd-other", &st, 0), 0);
}

static void a_real_group_is_killed_whole(void **state)
{
    (void)state;
    char path[128] = "/sys/fs/cgroup/clusterd-test-XXXXXX";
    struct stat st;

    if (stat("/sys/fs/cgroup/cgroup.procs", &st) < 0)
        snprintf(path, sizeof path, "/sys/fs/cgroup/unified/clusterd-test-XXXXXX");
    if (!mkdtemp(path))
        skip();
    int group = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int procs = cgroup_open_procs(group);
    if (procs < 0) {
        close(group);
        rmdir(path);
        skip();
    }
    pid_t pid = fork();
    if (pid == 0) {
        ssize_t n = write(procs, "0", 1);
        for (;;)
            n = pause();
        _exit((int)n);
    }
    char text[32];
    char *file = mem_printf("%s/cgroup.procs", path);
    do {
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        ssize_t n = read(fd, text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        close(fd);
    } while (atoi(text) != pid);
    cgroup_kill(group);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(procs);
    close(group);
    assert_int_equal(rmdir(path), 0);
    free(file);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(controllers_are_handed_down),
        CASE(without_a_useful_controller_there_are_no_groups),
        CASE(a_group_gets_its_limits),
        CASE(a_share_below_what_the_kernel_takes_is_raised),
        CASE(a_group_that_can_not_be_limited_is_not_used),
        CASE(the_kernel_says_when_memory_was_out),
        CASE(groups_of_dead_spawners_are_removed),
        CASE(a_real_group_is_killed_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
