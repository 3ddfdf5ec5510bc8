/* Power cuts, flipped bits, lost and foreign files: what was acknowledged is there, or its loss is
 * told with the numbers. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/mem.h"
#include "base/str.h"
#include "run/journal.h"
#include "tests/unit/generated.h"
#include "tests/unit/journal_fixture.h"

static void after_a_power_cut_at_any_write_all_that_was_acknowledged_is_there(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct journal_fixture f;
        journal_fixture_init(&f, g.seed, false);
        f.options.whole = true; /* nothing may look like damage */
        f.options.buffered = prng_chance(&g.prng, 1, 3);
        wal_disk_vary(&f.disk, &g.prng);
        bool bulk = prng_chance(&g.prng, 1, 2);
        journal_fixture_must_open(&f);
        wal_disk_fail(&f.disk, WAL_FAULT_POWER, (unsigned)prng_below(&g.prng, 30), 0);
        for (int i = 0; i < 200 && f.failures == 0; i++) {
            if (prng_chance(&g.prng, 1, 10) && f.next > 1)
                journal_fixture_truncate(&f, prng_between(&g.prng, 1, f.next - 1));
            else if (bulk && prng_chance(&g.prng, 3, 4))
                journal_fixture_append_bulk(&f, 1 + (unsigned)prng_below(&g.prng, 30),
                                            prng_below(&g.prng, 900));
            else
                journal_fixture_append(&f, 1 + (unsigned)prng_below(&g.prng, 8),
                                       prng_below(&g.prng, 900));
            if (prng_chance(&g.prng, 1, 3))
                journal_fixture_sync(&f);
            loop_turn(f.loop);
        }
        journal_fixture_close(&f);
        wal_disk_fail(&f.disk, WAL_FAULT_NONE, 0, 0);
        struct error e = {.text = ""};
        int rc = journal_fixture_open(&f, &e);
        generated_check(&g, rc == 0, "%s", e.text);
        const char *wrong = journal_fixture_check(&f);
        generated_check(&g, wrong == NULL, "%s", wrong);
        journal_fixture_append(&f, 3, 100);
        journal_fixture_reopen(&f);
        wrong = journal_fixture_check(&f);
        generated_check(&g, wrong == NULL, "%s", wrong);
        generated_check(&g, journal_torn_bytes(f.journal) == 0, "%s was cut twice", "a tail");
        journal_fixture_done(&f);
    }
}

static void cut_file(const char *path, size_t len)
{
    assert_int_equal(truncate(path, (off_t)len), 0);
}

static void a_file_cut_at_any_byte_keeps_the_whole_lines(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    f.options.whole = true;
    journal_fixture_must_open(&f);
    assert_int_equal(journal_fixture_append(&f, 6, 5), 0);
    journal_fixture_wait(&f);
    journal_fixture_close(&f);
    char path[WAL_FIXTURE_PATH_MAX];
    journal_fixture_path(&f, 1, path);
    uint8_t *data;
    size_t len;
    wal_fixture_read(path, &data, &len);
    while (len > 0 && data[len - 1] == '\n')
        len--;
    const uint8_t *head_end = memchr(data, '\n', len);
    for (size_t cut = (size_t)(head_end - data) + 1; cut <= len + 1; cut++) {
        unlink(path);
        wal_fixture_poke(path, 0, data, len + 1);
        cut_file(path, cut);
        unsigned lines = 0;
        for (size_t i = 0; i < cut; i++)
            lines += data[i] == '\n';
        if (cut == len + 1)
            lines = 7;
        struct error e;
        if (journal_fixture_open(&f, &e) < 0)
            fail_msg("cut at %zu: %s", cut, e.text);
        assert_int_equal(journal_last(f.journal), lines - 1);
        assert_int_equal(journal_torn_bytes(f.journal) > 0,
                         data[cut - 1] != '\n' && cut != len + 1);
        journal_fixture_close(&f);
    }
    free(data);
    journal_fixture_done(&f);
}

/* Ten lines, each in a write of its own, over three files. */
static void prepare_ten(struct journal_fixture *f)
{
    journal_fixture_must_open(f);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(journal_fixture_append(f, 1, 3500), 0);
        journal_fixture_wait(f);
    }
    journal_fixture_close(f);
}

static void flip(const char *path, size_t at)
{
    uint8_t *data;
    size_t len;
    wal_fixture_read(path, &data, &len);
    assert_true(at < len);
    uint8_t byte = data[at] ^ 0x10;
    wal_fixture_poke(path, at, &byte, 1);
    free(data);
}

static size_t offset_of(const char *path, uint64_t seq)
{
    uint8_t *data;
    size_t len;
    wal_fixture_read(path, &data, &len);
    char text[40];
    snprintf(text, sizeof text, "\"seq\":%" PRIu64 ",", seq);
    const char *at = memmem(data, len, text, strlen(text));
    assert_non_null(at);
    while (at > (const char *)data && at[-1] != '\n')
        at--;
    size_t offset = (size_t)(at - (const char *)data);
    free(data);
    return offset;
}

static void a_flipped_bit_in_the_middle_is_told_with_its_numbers(void **state)
{
    (void)state;
    const size_t offsets[] = {0, 3, 10, 30, 50, 700}; /* brace, names, sum, numbers, content */
    for (size_t i = 0; i < MEM_COUNT(offsets); i++) {
        struct journal_fixture f;
        journal_fixture_init(&f, 1, false);
        prepare_ten(&f);
        char path[WAL_FIXTURE_PATH_MAX];
        journal_fixture_path(&f, 1, path);
        size_t at = offset_of(path, 2);
        flip(path, at + offsets[i]);
        f.options.whole = true;
        struct error e;
        assert_int_equal(journal_fixture_open(&f, &e), ERR_CORRUPT);
        assert_non_null(strstr(e.text, "00000000000000000001.jsonl"));
        assert_non_null(strstr(e.text, "lines 2 to 2"));
        f.options.whole = false;
        journal_fixture_must_open(&f);
        struct journal_damage damage;
        assert_true(journal_damage(f.journal, 0, &damage));
        assert_int_equal(damage.first, 2);
        assert_int_equal(damage.last, 2);
        assert_int_equal(damage.offset, at);
        assert_false(journal_damage(f.journal, 1, &damage));
        assert_int_equal(journal_last(f.journal), 10);
        struct journal_read read = {.from = 2, .bytes_max = 100000};
        assert_int_equal(journal_read_now(f.journal, &read), ERR_CORRUPT);
        assert_int_equal(read.damage.first, 2);
        read.from = 3;
        assert_int_equal(journal_read_now(f.journal, &read), 0);
        read.from = 1;
        assert_int_equal(journal_read_now(f.journal, &read), 0);
        assert_int_equal(read.next, 2);
        journal_read_done(&read);
        journal_fixture_done(&f);
    }
}

static void damage_that_comes_later_is_found_by_a_read(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    prepare_ten(&f);
    journal_fixture_must_open(&f);
    char path[WAL_FIXTURE_PATH_MAX];
    journal_fixture_path(&f, 1, path);
    flip(path, offset_of(path, 3) + 100);
    struct journal_read read = {.from = 3, .bytes_max = 100000};
    assert_int_equal(journal_read_now(f.journal, &read), ERR_CORRUPT);
    assert_int_equal(read.damage.first, 3);
    assert_int_equal(read.damage.last, 3);
    struct journal_damage damage;
    assert_true(journal_damage(f.journal, 0, &damage));
    journal_read_done(&read);
    journal_fixture_done(&f);
}

static void what_was_damaged_is_put_back(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 100);
    while (generated_next(&g)) {
        struct journal_fixture f;
        journal_fixture_init(&f, g.seed, false);
        prepare_ten(&f);
        journal_fixture_must_open(&f);
        struct buf objects[11];
        for (uint64_t seq = 1; seq <= 10; seq++) {
            buf_init(&objects[seq], 10000);
            journal_fixture_object(&f, seq, &objects[seq]);
        }
        journal_fixture_close(&f);
        char path[WAL_FIXTURE_PATH_MAX];
        journal_fixture_path(&f, 5, path);
        if (prng_chance(&g.prng, 1, 4))
            unlink(path); /* lines 5 to 8 */
        else
            flip(path, prng_below(&g.prng, 14000)); /* anywhere in it */
        if (prng_chance(&g.prng, 1, 3)) {
            journal_fixture_path(&f, 1, path);
            flip(path, offset_of(path, prng_between(&g.prng, 1, 4)) + prng_below(&g.prng, 3000));
        }
        journal_fixture_must_open(&f);
        struct journal_damage damage;
        while (journal_damage(f.journal, 0, &damage)) {
            if (damage.first > 0 && prng_chance(&g.prng, 1, 2)) { /* a part of it */
                damage.first = prng_between(&g.prng, damage.first, damage.last);
                damage.last = prng_between(&g.prng, damage.first, damage.last);
            }
            struct buf lines;
            buf_init(&lines, 100000);
            for (uint64_t seq = damage.first; seq <= damage.last; seq++)
                (void)buf_append(&lines, objects[seq].data, objects[seq].len);
            assert_int_equal(journal_repair(f.journal, damage.first, damage.last + 9, &lines),
                             ERR_NOT_FOUND);
            int rc = journal_repair(f.journal, damage.first, damage.last, &lines);
            generated_check(&g, rc == 0, "%s", err_text(rc));
            buf_done(&lines);
            journal_fixture_append(&f, 1, 20);
            journal_fixture_wait(&f);
        }
        f.options.whole = true;
        journal_fixture_reopen(&f);
        const char *wrong = journal_fixture_check(&f);
        generated_check(&g, wrong == NULL, "%s", wrong);
        for (uint64_t seq = 1; seq <= 10; seq++)
            buf_done(&objects[seq]);
        journal_fixture_done(&f);
    }
}

static void damaged_carried_lines_are_told_and_put_back(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    prepare_ten(&f);
    journal_fixture_must_open(&f);
    struct buf carry;
    buf_init(&carry, 1000);
    (void)buf_append_str(&carry, "{\"x\":1}\n{\"x\":2}\n");
    assert_int_equal(journal_drop(f.journal, 5, &carry), 0);
    journal_fixture_wait(&f);
    journal_fixture_close(&f);
    char path[WAL_FIXTURE_PATH_MAX];
    journal_fixture_path(&f, 5, path);
    f.dropped = 5;
    flip(path, offset_of(path, 5) - 10);
    for (int i = 0; i < 2; i++) { /* and is not forgotten */
        journal_fixture_must_open(&f);
        struct journal_damage damage;
        assert_true(journal_damage(f.journal, 0, &damage));
        assert_int_equal(damage.first, 0);
        assert_int_equal(damage.last, 0);
        if (i == 1) {
            assert_int_equal(journal_repair(f.journal, 0, 0, &carry), 0);
            journal_fixture_wait(&f);
        }
        journal_fixture_close(&f);
    }
    f.options.whole = true;
    journal_fixture_must_open(&f);
    assert_int_equal(f.carried_n, 2);
    journal_fixture_must_hold(&f);
    buf_done(&carry);
    journal_fixture_done(&f);
}

static void a_newer_format_is_refused_and_not_touched(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    journal_fixture_must_open(&f);
    journal_fixture_close(&f);
    static const char head[] = "{\"sum\":\"fe8a93fd66a5d0fb\",\"journal\":2,\"more\":true}\n";
    char path[WAL_FIXTURE_PATH_MAX];
    journal_fixture_path(&f, 1, path);
    unlink(path);
    char line[sizeof head];
    memcpy(line, head, sizeof head);
    snprintf(line + 8, 17, "%016" PRIx64, XXH3_64bits(head + 26, strlen(head) - 27));
    line[24] = '"';
    wal_fixture_poke(path, 0, line, strlen(head));
    struct error e;
    assert_int_equal(journal_fixture_open(&f, &e), ERR_VERSION);
    assert_non_null(strstr(e.text, "newer version"));
    uint8_t *data;
    size_t len;
    wal_fixture_read(path, &data, &len);
    assert_int_equal(len, strlen(head));
    free(data);
    journal_fixture_done(&f);
}

static void a_file_of_another_journal_is_refused(void **state)
{
    (void)state;
    struct journal_fixture f;
    journal_fixture_init(&f, 1, false);
    prepare_ten(&f);
    struct journal_fixture other;
    journal_fixture_init(&other, 2, false);
    prepare_ten(&other);
    char from[WAL_FIXTURE_PATH_MAX];
    char to[WAL_FIXTURE_PATH_MAX];
    journal_fixture_path(&other, 5, from);
    journal_fixture_path(&f, 5, to);
    assert_int_equal(rename(from, to), 0);
    struct error e;
    assert_int_equal(journal_fixture_open(&f, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, "another journal"));
    journal_fixture_done(&f);
    journal_fixture_done(&other);
}

/* Whatever is in the files, an open ends with an answer, and what it took can be opened again. */
static void garbage_of_any_kind_does_no_harm(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 300);
    while (generated_next(&g)) {
        struct journal_fixture f;
        journal_fixture_init(&f, g.seed, false);
        prepare_ten(&f);
        char path[WAL_FIXTURE_PATH_MAX];
        for (unsigned i = 1 + (unsigned)prng_below(&g.prng, 4); i > 0; i--) {
            journal_fixture_path(&f, 1 + 4 * prng_below(&g.prng, 3), path);
            uint8_t junk[3000];
            size_t len = prng_below(&g.prng, sizeof junk);
            prng_bytes(&g.prng, junk, len);
            if (prng_chance(&g.prng, 1, 3))
                memset(junk, prng_chance(&g.prng, 1, 2) ? '\n' : 0, len);
            size_t at = prng_below(&g.prng, 16000);
            if (prng_chance(&g.prng, 1, 5))
                cut_file(path, at);
            else
                wal_fixture_poke(path, at, junk, len);
        }
        f.options.on_line = NULL;
        struct error e;
        int rc = journal_fixture_open(&f, &e);
        generated_check(&g, rc == 0 || rc == ERR_CORRUPT, "%s", e.text);
        if (rc == 0) {
            f.next = journal_last(f.journal) + 1;
            assert_int_equal(journal_fixture_append(&f, 5, 100), 0);
            journal_fixture_reopen(&f);
        }
        journal_fixture_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_power_cut_at_any_write_all_that_was_acknowledged_is_there),
        cmocka_unit_test(a_file_cut_at_any_byte_keeps_the_whole_lines),
        cmocka_unit_test(a_flipped_bit_in_the_middle_is_told_with_its_numbers),
        cmocka_unit_test(damage_that_comes_later_is_found_by_a_read),
        cmocka_unit_test(what_was_damaged_is_put_back),
        cmocka_unit_test(damaged_carried_lines_are_told_and_put_back),
        cmocka_unit_test(a_newer_format_is_refused_and_not_touched),
        cmocka_unit_test(a_file_of_another_journal_is_refused),
        cmocka_unit_test(garbage_of_any_kind_does_no_harm),
    };
    return cmocka_run_group_tests_name("journal damage", tests, NULL, NULL);
}
