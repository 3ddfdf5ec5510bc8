#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "run/file_copy.h"

static char dir[] = "/tmp/file_copy_test.XXXXXX";
static char from[64], to[64];

static void write_file(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(from, sizeof from, "%s/from", dir);
    (void)snprintf(to, sizeof to, "%s/to", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)unlink(from);
    (void)unlink(to);
    return rmdir(dir);
}

static void a_copy_is_the_same_and_its_own(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, FILE_COPY_PIECE_BYTES, 3 * FILE_COPY_PIECE_BYTES + 7};
    for (size_t i = 0; i < MEM_COUNT(sizes); i++) {
        uint8_t *data = mem_zalloc(sizes[i] + 1);
        for (size_t k = 0; k < sizes[i]; k++)
            data[k] = (uint8_t)(k * 31 + k / 251);
        write_file(from, data, sizes[i]);
        struct file_copy copy = {
            .from = from, .to = to, .bytes = sizes[i], .xxh3 = XXH3_64bits(data, sizes[i])};
        assert_int_equal(file_copy_checked(&copy, NULL), 0);
        uint8_t *back = mem_zalloc(sizes[i] + 1);
        int fd = open(to, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, back, sizes[i] + 1), sizes[i]);
        assert_memory_equal(back, data, sizes[i]);
        assert_int_equal(close(fd), 0);
        assert_int_equal(unlink(to), 0);
        free(back);
        free(data);
    }
}

static void what_differs_is_noticed_and_nothing_is_left(void **state)
{
    (void)state;
    struct error e;
    write_file(from, "content", 7);
    uint64_t sum = XXH3_64bits("content", 7);
    struct file_copy copy = {.from = from, .to = to, .bytes = 7, .xxh3 = sum + 1};
    assert_int_equal(file_copy_checked(&copy, &e), ERR_CORRUPT);
    assert_int_equal(access(to, F_OK), -1);
    copy.xxh3 = sum;
    copy.bytes = 8;
    assert_int_equal(file_copy_checked(&copy, &e), ERR_CORRUPT);
    assert_int_equal(access(to, F_OK), -1);
    copy.bytes = UINT64_MAX;
    assert_int_equal(file_copy_checked(&copy, &e), 0);
    assert_int_equal(file_copy_checked(&copy, &e), -EEXIST);
    assert_int_equal(access(to, F_OK), 0); /* somebody else's */
    assert_int_equal(unlink(to), 0);
}

static void a_copy_can_be_given_up(void **state)
{
    (void)state;
    struct error e;
    atomic_bool cancel = true;
    write_file(from, "content", 7);
    struct file_copy copy = {
        .from = from, .to = to, .bytes = 7, .xxh3 = XXH3_64bits("content", 7), .cancel = &cancel};
    assert_int_equal(file_copy_checked(&copy, &e), ERR_CANCELLED);
    assert_int_equal(access(to, F_OK), -1);
}

static void a_link_is_not_followed(void **state)
{
    (void)state;
    struct error e;
    write_file(from, "content", 7);
    assert_int_equal(symlink("/nowhere/else", to), 0);
    struct file_copy copy = {.from = from, .to = to, .bytes = 7, .xxh3 = XXH3_64bits("content", 7)};
    assert_true(file_copy_checked(&copy, &e) < 0);
    copy.from = to;
    copy.to = from;
    assert_true(file_copy_checked(&copy, &e) < 0);
    assert_int_equal(unlink(to), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_is_the_same_and_its_own),
        cmocka_unit_test(what_differs_is_noticed_and_nothing_is_left),
        cmocka_unit_test(a_copy_can_be_given_up),
        cmocka_unit_test(a_link_is_not_followed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
