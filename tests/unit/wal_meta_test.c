#include "run/wal_meta.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/unit/generated.h"
#include "tests/unit/wal_fixture.h"

struct meta_case {
    struct wal_fixture f; /* its directory and disk */
    char *path;
};

static void init(struct meta_case *c, uint64_t seed)
{
    wal_fixture_init(&c->f, seed, false);
    c->path = mem_printf("%s/meta", c->f.dir);
}

static void done(struct meta_case *c)
{
    free(c->path);
    wal_fixture_done(&c->f);
}

static struct wal_meta *must_open(struct meta_case *c)
{
    struct wal_meta *meta;
    struct error e;
    if (wal_meta_open(&meta, c->path, &c->f.disk.io, &e) < 0)
        fail_msg("%s", e.text);
    return meta;
}

static void store(struct wal_meta *meta, const char *text)
{
    struct error e;
    assert_int_equal(wal_meta_store(meta, text, strlen(text), &e), 0);
}

static bool holds(const struct wal_meta *meta, const char *text)
{
    size_t len;
    const void *content = wal_meta_get(meta, &len);
    return len == strlen(text) && memcmp(content, text, len) == 0;
}

static void what_was_stored_is_there_after_opening_again(void **state)
{
    (void)state;
    struct meta_case c;
    init(&c, 1);
    struct wal_meta *meta = must_open(&c);
    assert_true(holds(meta, ""));
    store(meta, "term 1");
    wal_meta_close(meta);
    meta = must_open(&c);
    assert_true(holds(meta, "term 1"));
    store(meta, "term 2, vote 3");
    store(meta, "x");
    wal_meta_close(meta);
    meta = must_open(&c);
    assert_true(holds(meta, "x"));
    wal_meta_close(meta);
    done(&c);
}

static void damage_to_one_copy_is_healed_by_the_other(void **state)
{
    (void)state;
    struct meta_case c;
    init(&c, 1);
    struct wal_meta *meta = must_open(&c);
    store(meta, "old");
    store(meta, "new");
    wal_meta_close(meta);
    uint8_t *whole;
    size_t len;
    wal_fixture_read(c.path, &whole, &len);
    for (size_t at = 0; at < len; at += at % 4096 < 40 ? 1 : 61) {
        uint8_t flipped = whole[at] ^ 4;
        wal_fixture_poke(c.path, 0, whole, len);
        wal_fixture_poke(c.path, at, &flipped, 1);
        meta = must_open(&c);
        assert_true(holds(meta, "new"));
        wal_meta_close(meta);
    }
    memset(whole, 0x55, len);
    wal_fixture_poke(c.path, 0, whole, len);
    struct error e;
    assert_int_equal(wal_meta_open(&meta, c.path, NULL, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, c.path));
    free(whole);
    done(&c);
}

static void a_power_cut_leaves_the_old_or_the_new_content(void **state)
{
    (void)state;
    struct generated g;
    generated_init(&g, 200);
    while (generated_next(&g)) {
        struct meta_case c;
        init(&c, g.seed);
        struct wal_meta *meta = must_open(&c);
        store(meta, "old");
        wal_disk_fail(&c.f.disk, WAL_FAULT_POWER, (unsigned)prng_below(&g.prng, 3), 0);
        struct error e;
        bool stored = wal_meta_store(meta, "new", 3, &e) == 0;
        wal_meta_close(meta);
        wal_disk_fail(&c.f.disk, WAL_FAULT_NONE, 0, 0);
        meta = must_open(&c);
        generated_check(&g, holds(meta, "new") || (!stored && holds(meta, "old")), "stored %d",
                        stored);
        wal_meta_close(meta);
        done(&c);
    }
}

static void after_a_failed_store_nothing_is_stored_any_more(void **state)
{
    (void)state;
    struct meta_case c;
    init(&c, 1);
    struct wal_meta *meta = must_open(&c);
    store(meta, "old");
    wal_disk_fail(&c.f.disk, WAL_FAULT_WRITE, 0, EIO);
    struct error e;
    assert_int_equal(wal_meta_store(meta, "new", 3, &e), -EIO);
    assert_int_equal(wal_meta_store(meta, "new", 3, &e), -EIO);
    assert_true(holds(meta, "old"));
    wal_meta_close(meta);
    meta = must_open(&c);
    assert_true(holds(meta, "old"));
    store(meta, "new");
    wal_meta_close(meta);
    done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_stored_is_there_after_opening_again),
        cmocka_unit_test(damage_to_one_copy_is_healed_by_the_other),
        cmocka_unit_test(a_power_cut_leaves_the_old_or_the_new_content),
        cmocka_unit_test(after_a_failed_store_nothing_is_stored_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
