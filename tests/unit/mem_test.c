#include "base/mem.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/generated.h"

static void zero_bytes_are_memory_too(void **state)
{
    (void)state;
    void *p = mem_alloc(0);
    assert_non_null(p);
    free(p);
    p = mem_calloc(0, 8);
    assert_non_null(p);
    free(p);
}

static void zeroed_memory_is_zero(void **state)
{
    (void)state;
    static const char zeros[64];
    char *p = mem_zalloc(64);
    assert_memory_equal(p, zeros, 64);
    free(p);
    p = mem_calloc(8, 8);
    assert_memory_equal(p, zeros, 64);
    free(p);
}

static void copies_hold_what_they_copy(void **state)
{
    (void)state;
    char *p = mem_strndup("abcdef", 3);
    assert_string_equal(p, "abc");
    free(p);
    p = mem_strndup(NULL, 0);
    assert_string_equal(p, "");
    free(p);
    p = mem_dup("a\0b", 3);
    assert_memory_equal(p, "a\0b", 3);
    free(p);
    p = mem_printf("%s-%d", "x", 7);
    assert_string_equal(p, "x-7");
    free(p);
    assert_null(mem_strdup(NULL));
}

static void an_array_grows_by_doubling_and_keeps_its_elements(void **state)
{
    (void)state;
    int *array = NULL;
    size_t cap = 0;
    size_t growths = 0;
    for (int i = 0; i < 1000; i++) {
        size_t before = cap;
        MEM_GROW(array, cap, i + 1);
        growths += cap != before;
        array[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(array[i], i);
    assert_int_equal(cap, 1024);
    assert_int_equal(growths, 8);
    free(array);
}

static void allocate_too_much(void)
{
    (void)mem_alloc((size_t)PTRDIFF_MAX);
}

static void multiply_too_far(void)
{
    (void)mem_reallocarray(NULL, SIZE_MAX / 2, 4);
}

static void count_too_far(void)
{
    (void)mem_calloc(SIZE_MAX / 2, 4);
}

/* Runs `action` in a child and returns how that ended. */
static int status_of(void (*action)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        static const struct rlimit no_core;
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        action();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_failed_allocation_ends_the_program(void **state)
{
    (void)state;
    assert_int_not_equal(status_of(allocate_too_much), 0);
    assert_int_not_equal(status_of(multiply_too_far), 0);
    assert_int_not_equal(status_of(count_too_far), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_bytes_are_memory_too),
        cmocka_unit_test(zeroed_memory_is_zero),
        cmocka_unit_test(copies_hold_what_they_copy),
        cmocka_unit_test(an_array_grows_by_doubling_and_keeps_its_elements),
        cmocka_unit_test(a_failed_allocation_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
