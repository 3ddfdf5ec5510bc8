#include "run/state_tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "run/task_dir.h"
#include "tests/unit/generated.h"

struct fixture {
    char dir[64];
    char *path;
    struct state_store *store;
    sqlite3 *reader;
    uint64_t index;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/clusterd-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = mem_printf("%s/state.db", f->dir);
    assert_int_equal(state_store_open(&f->store, f->path, NULL), 0);
    assert_int_equal(state_store_open_reader(f->path, &f->reader, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    sqlite3_close(f->reader);
    state_store_close(f->store);
    assert_int_equal(task_dir_remove(f->dir, NULL), 0);
    free(f->path);
    free(f);
    return 0;
}

static struct state_result apply(struct fixture *f, Wire__Change *change)
{
    Wire__Batch batch = WIRE__BATCH__INIT;
    const struct state_result *results;
    size_t n;
    batch.at_ms = 1000 + ++f->index;
    batch.changes = &change;
    batch.n_changes = 1;
    size_t len = wire__batch__get_packed_size(&batch);
    uint8_t *packed = mem_alloc(len);
    wire__batch__pack(&batch, packed);
    assert_int_equal(state_store_begin(f->store, NULL), 0);
    assert_int_equal(state_store_apply(f->store, f->index, packed, len, &results, &n, NULL), 0);
    assert_int_equal(n, 1);
    struct state_result result = results[0];
    assert_int_equal(state_store_commit(f->store, NULL), 0);
    free(packed);
    return result;
}

static struct uuid id_of(uint8_t n)
{
    return (struct uuid){.bytes = {n}};
}

static ProtobufCBinaryData bytes_of(const void *data, size_t len)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)data, .len = len};
}

static struct state_result create(struct fixture *f, uint8_t n, const char *name, const char *txn)
{
    struct uuid id = id_of(n);
    char place[32];
    snprintf(place, sizeof place, "file:/t%u", n);
    Wire__TableCreate row = WIRE__TABLE_CREATE__INIT;
    row.id = bytes_of(id.bytes, sizeof id.bytes);
    row.name = (char *)(uintptr_t)name;
    row.place = place;
    row.txn_id = (char *)(uintptr_t)txn;
    row.entry = bytes_of("zero", 4);
    row.operation = (char *)"CREATE TABLE";
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_TABLE_CREATE;
    change.table_create = &row;
    return apply(f, &change);
}

/* Commits against `base` with the removed paths (NULL-terminated). */
static struct state_result commit_of(struct fixture *f, uint8_t n, uint64_t base, const char *txn,
                                     const char *const *removed, bool whole)
{
    struct uuid id = id_of(n);
    uint8_t hashes[16 * STATE_TABLES_HASH_BYTES];
    size_t count = 0;
    for (; removed != NULL && removed[count] != NULL; count++)
        state_tables_hash(removed[count], hashes + count * STATE_TABLES_HASH_BYTES);
    Wire__TableCommit row = WIRE__TABLE_COMMIT__INIT;
    row.id = bytes_of(id.bytes, sizeof id.bytes);
    row.read_version = base;
    row.txn_id = (char *)(uintptr_t)txn;
    row.entry = bytes_of(txn, strlen(txn));
    row.removed = bytes_of(hashes, count * STATE_TABLES_HASH_BYTES);
    row.whole = whole;
    row.operation = (char *)"WRITE";
    row.rows_added = 7;
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_TABLE_COMMIT;
    change.table_commit = &row;
    return apply(f, &change);
}

static struct state_result commit(struct fixture *f, uint8_t n, uint64_t base, const char *txn,
                                  const char *const *removed)
{
    return commit_of(f, n, base, txn, removed, false);
}

static void publish(struct fixture *f, uint8_t n, uint64_t version, const char *broken)
{
    struct uuid id = id_of(n);
    Wire__TablePublished row = WIRE__TABLE_PUBLISHED__INIT;
    row.id = bytes_of(id.bytes, sizeof id.bytes);
    row.version = version;
    row.broken = (char *)(uintptr_t)broken;
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_TABLE_PUBLISHED;
    change.table_published = &row;
    apply(f, &change);
}

static void names_are_unique_without_regard_to_case(void **state)
{
    struct fixture *f = *state;
    struct state_result result = create(f, 1, "Orders", "a");
    assert_true(result.code == 0 && result.version == 0 && !result.repeated);
    assert_int_equal(create(f, 2, "orders", "b").code, ERR_EXISTS);
    assert_int_equal(create(f, 1, "other", "c").code, ERR_CONFLICT); /* the same place */
    result = create(f, 3, "ORDERS", "a");
    assert_true(result.code == 0 && result.repeated);
    struct state_table table;
    assert_int_equal(state_query_table_named(f->reader, "oRDERS", &table), 0);
    assert_string_equal(table.name, "Orders");
    assert_int_equal(table.id.bytes[0], 1);
    assert_true(table.published == UINT64_MAX);
    state_table_done(&table);
    assert_int_equal(state_query_table_named(f->reader, "none", &table), ERR_NOT_FOUND);
}

static void appends_never_conflict(void **state)
{
    struct fixture *f = *state;
    create(f, 1, "t", "c");
    for (uint64_t i = 1; i <= 5; i++) {
        char txn[8];
        snprintf(txn, sizeof txn, "x%u", (unsigned)i);
        struct state_result result = commit(f, 1, 0, txn, NULL);
        assert_int_equal(result.code, 0);
        assert_true(result.version == i);
    }
}

static void of_two_that_remove_a_file_one_wins(void **state)
{
    struct fixture *f = *state;
    static const char *const first[] = {"a", "b", NULL}, *const second[] = {"c", "b", NULL},
                             *const third[] = {"c", NULL};
    create(f, 1, "t", "c");
    assert_int_equal(commit(f, 1, 0, "one", first).code, 0);
    struct state_result result = commit(f, 1, 0, "two", second);
    assert_int_equal(result.code, ERR_CONFLICT);
    assert_true(result.version == 1);
    assert_int_equal(commit(f, 1, 0, "three", third).code, 0);
    /* Who read the version that removed it may have it again. */
    assert_int_equal(commit(f, 1, 2, "four", second).code, 0);
}

static void a_commit_repeated_with_its_id_answers_as_before(void **state)
{
    struct fixture *f = *state;
    static const char *const removed[] = {"a", NULL};
    create(f, 1, "t", "c");
    for (int i = 0; i < 5; i++) {
        struct state_result result = commit(f, 1, 0, "same", removed);
        assert_int_equal(result.code, 0);
        assert_true(result.version == 1);
        assert_true(result.repeated == (i > 0));
    }
    struct state_table table;
    assert_int_equal(state_query_table_named(f->reader, "t", &table), 0);
    assert_true(table.version == 1);
    state_table_done(&table);
}

static void what_cannot_be_committed_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(commit(f, 1, 0, "x", NULL).code, ERR_NOT_FOUND);
    create(f, 1, "t", "c");
    assert_int_equal(commit(f, 1, 1, "x", NULL).code, ERR_INVALID);
    assert_int_equal(commit(f, 1, 0, "", NULL).code, ERR_INVALID);
    publish(f, 1, 0, "somebody else wrote there");
    assert_int_equal(commit(f, 1, 0, "x", NULL).code, ERR_CORRUPT);
    struct uuid id = id_of(1);
    Wire__TableDrop drop = WIRE__TABLE_DROP__INIT;
    drop.id = bytes_of(id.bytes, sizeof id.bytes);
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_TABLE_DROP;
    change.table_drop = &drop;
    assert_int_equal(apply(f, &change).code, 0);
    assert_int_equal(apply(f, &change).code, ERR_NOT_FOUND);
    assert_int_equal(commit(f, 1, 0, "x", NULL).code, ERR_NOT_FOUND);
    assert_int_equal(create(f, 2, "t", "again").code, 0);
}

static int count_table(void *arg, struct state_table *table)
{
    ++*(unsigned *)arg;
    state_table_done(table);
    return 0;
}

static void entries_are_there_until_they_are_published(void **state)
{
    struct fixture *f = *state;
    create(f, 1, "t", "c");
    create(f, 2, "u", "c");
    publish(f, 2, 0, "");
    enum { N = STATE_TABLES_KEEP + 50 };
    for (unsigned i = 1; i < N; i++) {
        char txn[16];
        snprintf(txn, sizeof txn, "x%u", i);
        commit(f, 1, i - 1, txn, NULL);
    }
    unsigned unpublished = 0, all = 0;
    assert_int_equal(state_query_tables(f->reader, true, count_table, &unpublished), 0);
    assert_int_equal(state_query_tables(f->reader, false, count_table, &all), 0);
    assert_int_equal(unpublished, 1);
    assert_int_equal(all, 2);
    struct uuid id = id_of(1);
    struct state_table_entries entries = {0};
    assert_int_equal(state_query_table_entries(f->reader, &id, 0, &entries), 0);
    assert_int_equal(entries.n, N);
    assert_memory_equal(entries.entries[0].lines, "zero", 4);
    assert_memory_equal(entries.entries[7].lines, "x7", 2);
    state_table_entries_done(&entries);
    publish(f, 1, N - 1, "");
    unpublished = 0;
    assert_int_equal(state_query_tables(f->reader, true, count_table, &unpublished), 0);
    assert_int_equal(unpublished, 0);
    assert_int_equal(state_query_table_entries(f->reader, &id, 0, &entries), 0);
    assert_int_equal(entries.n, N);
    assert_null(entries.entries[N - 1 - STATE_TABLES_KEEP].lines);
    assert_non_null(entries.entries[N - STATE_TABLES_KEEP].lines);
    assert_int_equal(entries.entries[5].rows_added, 7);
    assert_string_equal(entries.entries[5].operation, "WRITE");
    state_table_entries_done(&entries);
    assert_int_equal(state_query_table_history(f->reader, &id, UINT64_MAX, 3, &entries), 0);
    assert_int_equal(entries.n, 3);
    assert_true(entries.entries[0].version == N - 1);
    uint64_t version = 0;
    assert_int_equal(
        state_query_table_version_at(f->reader, &id, entries.entries[1].at_ms, &version), 0);
    assert_true(version == N - 2);
    assert_int_equal(state_query_table_version_at(f->reader, &id, 1, &version), ERR_NOT_FOUND);
    state_table_entries_done(&entries);
}

static void writers_wait_for_what_is_not_published(void **state)
{
    struct fixture *f = *state;
    char txn[16];
    create(f, 1, "t", "place");
    for (uint64_t i = 1; i < STATE_TABLES_BEHIND_MAX; i++) {
        (void)snprintf(txn, sizeof txn, "x%" PRIu64, i);
        assert_int_equal(commit(f, 1, i - 1, txn, NULL).code, 0);
    }
    assert_int_equal(commit(f, 1, 0, "more", NULL).code, ERR_BUSY);
    assert_true(commit(f, 1, 0, "x1", NULL).repeated);
    publish(f, 1, 0, "");
    assert_int_equal(commit(f, 1, 0, "more", NULL).code, 0);
    assert_int_equal(commit(f, 1, 0, "even more", NULL).code, ERR_BUSY);
}

static void entries_come_in_pieces_that_fit(void **state)
{
    struct fixture *f = *state;
    create(f, 1, "t", "c");
    char *big = mem_alloc(1 << 20);
    memset(big, 'x', 1 << 20);
    for (int i = 0; i < 6; i++) {
        memcpy(big, &i, sizeof i);
        big[0] = (char)('a' + i);
        big[1] = 'x';
        big[2] = 'x';
        big[3] = 'x';
        big[(1 << 20) - 1] = '\0';
        assert_int_equal(commit(f, 1, (uint64_t)i, big, NULL).code, 0);
    }
    struct uuid id = id_of(1);
    struct state_table_entries entries = {0};
    assert_int_equal(state_query_table_entries(f->reader, &id, 1, &entries), 0);
    assert_true(entries.more);
    assert_true(entries.n >= 3 && entries.n <= 4);
    state_table_entries_done(&entries);
    assert_int_equal(state_query_table_entries(f->reader, &id, 6, &entries), 0);
    assert_false(entries.more);
    assert_int_equal(entries.n, 1);
    state_table_entries_done(&entries);
    free(big);
}

/* Against a model that keeps everything. */
/* Q13: what adds only stands, of several that remove one file one wins, and a change of the columns
 * (`whole`) stands alone among those that did not see it. */
static void decisions_are_those_of_the_model(void **state)
{
    struct fixture *f = *state;
    struct generated g;
    uint8_t table = 0;
    generated_init(&g, 60);
    while (generated_next(&g)) {
        uint64_t removed_at[8] = {0}, whole_at = 0, version = 0;
        char name[16];
        snprintf(name, sizeof name, "t%u", ++table);
        assert_int_equal(create(f, table, name, "c").code, 0);
        for (int i = 0; i < 25; i++) {
            char txn[16], paths[8][8];
            const char *removed[9] = {NULL};
            size_t n = 0;
            uint64_t base = version - prng_below(&g.prng, version + 1 < 4 ? version + 1 : 4);
            bool whole = prng_chance(&g.prng, 1, 8);
            bool conflict = base < (whole ? version : whole_at);
            snprintf(txn, sizeof txn, "x%d", i);
            for (int p = 0; p < 8; p++) {
                if (!prng_chance(&g.prng, 1, 6))
                    continue;
                snprintf(paths[n], sizeof paths[n], "p%d", p);
                removed[n] = paths[n];
                n++;
                conflict = conflict || removed_at[p] > base;
            }
            struct state_result result = commit_of(f, table, base, txn, removed, whole);
            generated_check(&g, (result.code == ERR_CONFLICT) == conflict, "%s", txn);
            if (result.code == ERR_CONFLICT)
                continue;
            version++;
            generated_check(&g, result.version == version, "%s", txn);
            whole_at = whole ? version : whole_at;
            for (size_t k = 0; k < n; k++)
                removed_at[paths[k][1] - '0'] = version;
        }
        if (table == 250)
            break;
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(names_are_unique_without_regard_to_case),
        CASE(appends_never_conflict),
        CASE(of_two_that_remove_a_file_one_wins),
        CASE(a_commit_repeated_with_its_id_answers_as_before),
        CASE(what_cannot_be_committed_is_refused),
        CASE(entries_are_there_until_they_are_published),
        CASE(writers_wait_for_what_is_not_published),
        CASE(entries_come_in_pieces_that_fit),
        CASE(decisions_are_those_of_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
