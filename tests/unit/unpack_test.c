#include "run/unpack.h"

#include <archive.h>
#include <archive_entry.h>
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
#include "run/task_dir.h"

struct fixture {
    char dir[64];
    char *archive;
    char *target;
    struct unpack_stats stats;
    struct error e;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);

    snprintf(f->dir, sizeof f->dir, "/tmp/clusterd-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->archive = mem_printf("%s/a", f->dir);
    f->target = mem_printf("%s/outer/target", f->dir);
    char *outer = mem_printf("%s/outer", f->dir);
    assert_int_equal(mkdir(outer, 0700), 0);
    assert_int_equal(mkdir(f->target, 0700), 0);
    free(outer);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(task_dir_remove(f->dir, NULL), 0);
    free(f->archive);
    free(f->target);
    free(f);
    return 0;
}

/* One entry of an archive to be made. */
struct item {
    unsigned type; /* AE_IF... */
    const char *name;
    const char *text; /* content or target of a link */
    const char *hardlink;
    unsigned mode;
    size_t zeros; /* so many bytes of content */
};

static void write_item(struct archive *a, const struct item *item)
{
    static const char zeros[65536];
    struct archive_entry *entry = archive_entry_new();
    size_t len = item->zeros ? item->zeros : item->text ? strlen(item->text) : 0;

    archive_entry_set_pathname(entry, item->name);
    archive_entry_set_filetype(entry, item->type);
    archive_entry_set_perm(entry, item->mode ? item->mode : 0644);
    archive_entry_set_mtime(entry, 1000000000, 0);
    if (item->type == AE_IFREG && !item->hardlink)
        archive_entry_set_size(entry, (int64_t)len);
    if (item->type == AE_IFLNK)
        archive_entry_set_symlink(entry, item->text);
    if (item->hardlink)
        archive_entry_set_hardlink(entry, item->hardlink);
    assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
    if (item->type == AE_IFREG && item->zeros) {
        for (size_t left = len; left > 0;) {
            size_t n = left < sizeof zeros ? left : sizeof zeros;
            assert_int_equal(archive_write_data(a, zeros, n), n);
            left -= n;
        }
    } else if (item->type == AE_IFREG && len > 0) {
        assert_int_equal(archive_write_data(a, item->text, len), len);
    }
    archive_entry_free(entry);
}

/* `format` is "zip", "tar", or "tar." and a filter that libarchive has a name for. */
static void make(struct fixture *f, const char *format, const struct item *items, size_t n)
{
    struct archive *a = archive_write_new();
    bool is_zip = strcmp(format, "zip") == 0;

    assert_int_equal(archive_write_set_format_by_name(a, is_zip ? "zip" : "pax"), ARCHIVE_OK);
    if (strlen(format) > 4)
        assert_int_equal(archive_write_add_filter_by_name(a, format + 4), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, f->archive), ARCHIVE_OK);
    for (size_t i = 0; i < n; i++)
        write_item(a, &items[i]);
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

static int run_limited(struct fixture *f, struct unpack_limits limits)
{
    return unpack(f->archive, f->target, &limits, NULL, &f->stats, &f->e);
}

static int run(struct fixture *f)
{
    return run_limited(f, (struct unpack_limits){0});
}

static int make_and_run(struct fixture *f, const char *format, const struct item *items, size_t n)
{
    make(f, format, items, n);
    return run(f);
}

#define MAKE_AND_RUN(f, format, ...)                                                               \
    make_and_run((f), (format), (const struct item[]){__VA_ARGS__},                                \
                 sizeof((const struct item[]){__VA_ARGS__}) / sizeof(struct item))

static bool exists(struct fixture *f, const char *name)
{
    struct stat st;
    char *path = mem_printf("%s/%s", f->target, name);
    bool there = lstat(path, &st) == 0;

    free(path);
    return there;
}

static void assert_content(struct fixture *f, const char *name, const char *expected)
{
    char *text;
    size_t len;

    assert_int_equal(task_dir_read_small(f->target, name, 4096, &text, &len), 0);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(text, expected, len);
    free(text);
}

static unsigned mode_of(struct fixture *f, const char *name)
{
    struct stat st;
    char *path = mem_printf("%s/%s", f->target, name);

    assert_int_equal(lstat(path, &st), 0);
    free(path);
    return st.st_mode & 07777;
}

static void assert_text(struct fixture *f, const char *part)
{
    if (!strstr(f->e.text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, f->e.text);
}

/* ---- */

static void every_usual_format_is_unpacked(void **state)
{
    static const char *const formats[] = {"zip",    "tar",      "tar.gzip", "tar.bzip2",
                                          "tar.xz", "tar.lzma", "tar.zstd", "tar.lz4"};
    struct fixture *f = *state;

    for (size_t i = 0; i < MEM_COUNT(formats); i++) {
        int err = MAKE_AND_RUN(
            f, formats[i], {.type = AE_IFDIR, .name = "dir", .mode = 0755},
            {.type = AE_IFREG, .name = "dir/file", .text = "content"},
            {.type = AE_IFREG, .name = "./deep/er/script", .text = "#!/bin/sh\n", .mode = 0755});
        if (err < 0)
            fail_msg("%s: %s", formats[i], f->e.text);
        assert_content(f, "dir/file", "content");
        assert_int_equal(mode_of(f, "deep/er/script"), 0755);
        assert_int_equal(f->stats.entries, 3);
        assert_int_equal(f->stats.bytes, 17);
        assert_int_equal(task_dir_remove(f->target, NULL), 0);
        assert_int_equal(mkdir(f->target, 0700), 0);
    }
}

static void links_within_the_archive_are_made(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(MAKE_AND_RUN(f, "tar",
                                  {.type = AE_IFREG, .name = "lib/x.so.1", .text = "library"},
                                  {.type = AE_IFLNK, .name = "lib/x.so", .text = "x.so.1"},
                                  {.type = AE_IFLNK, .name = "bin/up", .text = "../lib/x.so.1"},
                                  {.type = AE_IFREG, .name = "copy", .hardlink = "lib/x.so.1"}),
                     0);
    assert_content(f, "copy", "library");
    char *up = mem_printf("%s/bin/up", f->target);
    assert_int_equal(access(up, R_OK), 0);
    free(up);
}

static void a_later_entry_replaces_an_earlier_one(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(MAKE_AND_RUN(f, "tar", {.type = AE_IFREG, .name = "a", .text = "one"},
                                  {.type = AE_IFREG, .name = "a", .text = "two"}),
                     0);
    assert_content(f, "a", "two");
}

static void set_id_bits_and_write_rights_of_others_do_not_come_along(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(MAKE_AND_RUN(f, "tar",
                                  {.type = AE_IFREG, .name = "su", .text = "x", .mode = 06755},
                                  {.type = AE_IFDIR, .name = "sticky", .mode = 01777},
                                  {.type = AE_IFREG, .name = "locked", .text = "x", .mode = 0}),
                     0);
    assert_int_equal(mode_of(f, "su"), 0755);
    assert_int_equal(mode_of(f, "sticky"), 0777);
    assert_int_equal(mode_of(f, "locked") & 0600, 0600);
}

static void what_would_leave_the_target_is_refused(void **state)
{
    static const struct {
        struct item items[2];
        const char *text;
    } cases[] = {
        {{{.type = AE_IFREG, .name = "../evil", .text = "x"}}, "\"..\""},
        {{{.type = AE_IFREG, .name = "a/../../evil", .text = "x"}}, "\"..\""},
        {{{.type = AE_IFREG, .name = "/evil", .text = "x"}}, "absolute"},
        {{{.type = AE_IFREG, .name = "//evil", .text = "x"}}, "absolute"},
        {{{.type = AE_IFDIR, .name = "..", .mode = 0755}}, "\"..\""},
        {{{.type = AE_IFLNK, .name = "out", .text = "/etc"},
          {.type = AE_IFREG, .name = "out/evil", .text = "x"}},
         "points out"},
        {{{.type = AE_IFLNK, .name = "out", .text = ".."},
          {.type = AE_IFREG, .name = "out/evil", .text = "x"}},
         "points out"},
        {{{.type = AE_IFLNK, .name = "a/out", .text = "../.."}}, "points out"},
        {{{.type = AE_IFLNK, .name = "a/out", .text = "x/../../.."}}, "points out"},
        {{{.type = AE_IFLNK, .name = "in", .text = "sub"},
          {.type = AE_IFREG, .name = "in/file", .text = "x"}},
         "goes through a link"},
        {{{.type = AE_IFLNK, .name = "d/root", .text = ".."},
          {.type = AE_IFLNK, .name = "out", .text = "d/root/../evil"}},
         "points out"},
        {{{.type = AE_IFREG, .name = "out", .hardlink = "../evil"}}, "\"..\""},
        {{{.type = AE_IFREG, .name = "out", .hardlink = "/etc/passwd"}}, "absolute"},
        {{{.type = AE_IFLNK, .name = "a/up", .text = ".."},
          {.type = AE_IFREG, .name = "out", .hardlink = "a/up"}},
         "no file"},
        {{{.type = AE_IFCHR, .name = "device"}}, "devices"},
        {{{.type = AE_IFIFO, .name = "pipe"}}, "FIFOs"},
    };
    struct fixture *f = *state;
    char *evil = mem_printf("%s/outer/evil", f->dir);

    for (size_t i = 0; i < MEM_COUNT(cases); i++) {
        make(f, "tar", cases[i].items, cases[i].items[1].name ? 2 : 1);
        int err = run(f);
        if (err != ERR_INVALID)
            fail_msg("case %zu: %d", i, err);
        assert_text(f, cases[i].text);
        assert_int_equal(strncmp(f->e.text, "a: ", 3), 0);
        assert_int_not_equal(access(evil, F_OK), 0);
        assert_int_equal(task_dir_remove(f->target, NULL), 0);
        assert_int_equal(mkdir(f->target, 0700), 0);
    }
    free(evil);
}

static void zip_names_that_leave_the_target_are_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(MAKE_AND_RUN(f, "zip", {.type = AE_IFREG, .name = "../evil", .text = "x"}),
                     ERR_INVALID);
    assert_int_equal(MAKE_AND_RUN(f, "zip", {.type = AE_IFREG, .name = "/evil", .text = "x"}),
                     ERR_INVALID);
}

static void a_bomb_is_stopped_when_it_shows(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    assert_int_equal(MAKE_AND_RUN(f, "zip", {.type = AE_IFREG, .name = "zeros", .zeros = 64 << 20}),
                     ERR_TOO_LARGE);
    assert_text(f, "bomb");
    char *path = mem_printf("%s/zeros", f->target);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size <= 12 << 20);
    free(path);
    assert_int_equal(MAKE_AND_RUN(f, "tar.gzip",
                                  {.type = AE_IFREG, .name = "one", .zeros = 6 << 20},
                                  {.type = AE_IFREG, .name = "two", .zeros = 6 << 20}),
                     ERR_TOO_LARGE);
    assert_text(f, "two");
}

static void ten_mebibytes_may_expand_as_they_like(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(MAKE_AND_RUN(f, "zip", {.type = AE_IFREG, .name = "zeros", .zeros = 10 << 20}),
                     0);
    assert_int_equal(f->stats.bytes, 10 << 20);
}

static void limits_of_bytes_and_entries_hold(void **state)
{
    struct fixture *f = *state;
    const struct item items[] = {{.type = AE_IFREG, .name = "a", .text = "12345"},
                                 {.type = AE_IFREG, .name = "b", .text = "12345"}};

    make(f, "tar", items, 2);
    assert_int_equal(run_limited(f, (struct unpack_limits){.bytes_max = 10}), 0);
    assert_int_equal(run_limited(f, (struct unpack_limits){.bytes_max = 9}), ERR_TOO_LARGE);
    assert_int_equal(run_limited(f, (struct unpack_limits){.entries_max = 2}), 0);
    assert_int_equal(run_limited(f, (struct unpack_limits){.entries_max = 1}), ERR_TOO_LARGE);
}

static void a_truncated_archive_is_refused_wherever_it_was_cut(void **state)
{
    static const char *const formats[] = {"zip", "tar.gzip", "tar.xz"};
    struct fixture *f = *state;
    struct item items[] = {{.type = AE_IFREG, .name = "a", .zeros = 100000},
                           {.type = AE_IFREG, .name = "b", .text = "text"}};
    struct stat st;

    for (size_t i = 0; i < MEM_COUNT(formats); i++) {
        make(f, formats[i], items, 2);
        assert_int_equal(stat(f->archive, &st), 0);
        for (off_t cut = st.st_size - 10; cut > 20; cut -= 7) {
            assert_int_equal(truncate(f->archive, cut), 0);
            int err = run(f);
            /* what follows the last entry of a tar is padding */
            if (err == 0 && strcmp(formats[i], "zip") != 0 && f->stats.bytes == 100004)
                continue;
            if (err != ERR_INVALID && err != ERR_CORRUPT)
                fail_msg("%s cut to %ld of %ld bytes: %d", formats[i], (long)cut, (long)st.st_size,
                         err);
        }
    }
}

static void flipped_bits_never_crash_and_never_leave_the_target(void **state)
{
    static const char *const formats[] = {"zip", "tar", "tar.gzip"};
    struct fixture *f = *state;
    struct item items[] = {{.type = AE_IFREG, .name = "a/b/c", .text = "some content"},
                           {.type = AE_IFLNK, .name = "a/l", .text = "b/c"},
                           {.type = AE_IFREG, .name = "d", .text = "more content"}};
    struct stat st;
    uint8_t byte;

    for (size_t i = 0; i < MEM_COUNT(formats); i++) {
        make(f, formats[i], items, 3);
        assert_int_equal(stat(f->archive, &st), 0);
        int fd = open(f->archive, O_RDWR | O_CLOEXEC);
        for (off_t at = 0; at < st.st_size; at += 3) {
            assert_int_equal(pread(fd, &byte, 1, at), 1);
            uint8_t flipped = byte ^ (uint8_t)(1 << at % 8);
            assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
            (void)run(f);
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        }
        close(fd);
    }
    char *outer = mem_printf("%s/outer", f->dir);
    assert_int_equal(stat(outer, &st), 0);
    assert_int_equal(st.st_nlink, 3); /* ".", the entry above, target/ */
    free(outer);
}

static void what_is_no_archive_is_refused(void **state)
{
    static const char *const texts[] = {"", "hello", "PK\003\004"};
    struct fixture *f = *state;

    for (size_t i = 0; i < MEM_COUNT(texts); i++) {
        FILE *file = fopen(f->archive, "we");
        assert_non_null(file);
        fputs(texts[i], file);
        fclose(file);
        assert_int_equal(run(f), ERR_INVALID);
        assert_int_equal(strncmp(f->e.text, "a: ", 3), 0);
    }
}

static void a_missing_archive_is_an_error(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run(f), -ENOENT);
}

static void names_in_messages_are_printable(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(MAKE_AND_RUN(f, "tar", {.type = AE_IFREG, .name = "../\033[2J", .text = "x"}),
                     ERR_INVALID);
    assert_text(f, "\\x1b[2J");
    assert_null(strchr(f->e.text, '\033'));
}

static void a_raised_flag_cancels(void **state)
{
    struct fixture *f = *state;
    const struct item items[] = {{.type = AE_IFREG, .name = "a", .text = "12345"}};
    atomic_bool cancel = true;
    struct unpack_limits limits = {0};

    make(f, "tar", items, 1);
    assert_int_equal(unpack(f->archive, f->target, &limits, &cancel, &f->stats, &f->e),
                     ERR_CANCELLED);
    assert_false(exists(f, "a"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(every_usual_format_is_unpacked),
        CASE(links_within_the_archive_are_made),
        CASE(a_later_entry_replaces_an_earlier_one),
        CASE(set_id_bits_and_write_rights_of_others_do_not_come_along),
        CASE(what_would_leave_the_target_is_refused),
        CASE(zip_names_that_leave_the_target_are_refused),
        CASE(a_bomb_is_stopped_when_it_shows),
        CASE(ten_mebibytes_may_expand_as_they_like),
        CASE(limits_of_bytes_and_entries_hold),
        CASE(a_truncated_archive_is_refused_wherever_it_was_cut),
        CASE(flipped_bits_never_crash_and_never_leave_the_target),
        CASE(what_is_no_archive_is_refused),
        CASE(a_missing_archive_is_an_error),
        CASE(names_in_messages_are_printable),
        CASE(a_raised_flag_cancels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
