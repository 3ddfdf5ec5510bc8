#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "run/state_query.h"
#include "run/state_store.h"

struct fixture {
    char dir[64];
    char *path;
    struct state_store *store;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    struct error e;
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/state_store_test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->path = mem_printf("%s/state.db", f->dir);
    assert_int_equal(state_store_open(&f->store, f->path, &e), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    state_store_close(f->store);
    char *command = mem_printf("rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    free(command);
    free(f->path);
    free(f);
    return 0;
}

/* Applies one change as entry `index` in a transaction of its own. */
static struct state_result apply(struct fixture *f, uint64_t index, Wire__Change *change)
{
    Wire__Batch batch = WIRE__BATCH__INIT;
    const struct state_result *results = NULL;
    size_t n = 0;
    struct error e;
    batch.at_ms = 1000;
    batch.changes = &change;
    batch.n_changes = 1;
    uint8_t packed[4096];
    assert_true(wire__batch__get_packed_size(&batch) <= sizeof packed);
    size_t len = wire__batch__pack(&batch, packed);
    assert_int_equal(state_store_begin(f->store, &e), 0);
    assert_int_equal(state_store_apply(f->store, index, packed, len, &results, &n, &e), 0);
    struct state_result result = n > 0 ? results[0] : (struct state_result){.code = 1};
    assert_int_equal(state_store_commit(f->store, &e), 0);
    return result;
}

static struct state_result put(struct fixture *f, uint64_t index, const char *key,
                               const char *value, int64_t if_version)
{
    Wire__KvPut row = WIRE__KV_PUT__INIT;
    Wire__Change change = WIRE__CHANGE__INIT;
    row.key = (char *)(uintptr_t)key;
    row.value.data = (uint8_t *)(uintptr_t)value;
    row.value.len = strlen(value);
    row.conditional = if_version >= 0;
    row.if_version = if_version >= 0 ? (uint64_t)if_version : 0;
    change.of_case = WIRE__CHANGE__OF_KV_PUT;
    change.kv_put = &row;
    return apply(f, index, &change);
}

static char *get(struct fixture *f, const char *key)
{
    sqlite3 *reader = NULL;
    struct error e;
    struct state_query_value value = {0};
    assert_int_equal(state_store_open_reader(f->path, &reader, &e), 0);
    int code = state_query_kv(reader, key, &value);
    sqlite3_close(reader);
    if (code < 0)
        return NULL;
    char *text = mem_strndup(value.data, value.len);
    free(value.data);
    return text;
}

static void an_entry_is_applied_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, 5, "a", "one", -1).code, 0);
    assert_int_equal(put(f, 5, "a", "two", -1).code, 1); /* skipped: no result */
    assert_int_equal(put(f, 4, "a", "three", -1).code, 1);
    char *value = get(f, "a");
    assert_string_equal(value, "one");
    free(value);
    assert_int_equal(state_store_applied(f->store), 5);
}

static void the_applied_index_survives_reopening(void **state)
{
    struct fixture *f = *state;
    struct error e;
    (void)put(f, 7, "a", "one", -1);
    state_store_close(f->store);
    assert_int_equal(state_store_open(&f->store, f->path, &e), 0);
    assert_int_equal(state_store_applied(f->store), 7);
    uint64_t probed = 0;
    assert_int_equal(state_store_probe(f->path, &probed, &e), 0);
    assert_int_equal(probed, 7);
}

static void a_condition_that_does_not_hold_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct state_result first = put(f, 1, "a", "one", 0);
    assert_int_equal(first.code, 0);
    struct state_result again = put(f, 2, "a", "two", 0);
    assert_int_equal(again.code, ERR_CONFLICT);
    assert_int_equal(again.version, first.version);
    struct state_result next = put(f, 3, "a", "three", (int64_t)first.version);
    assert_int_equal(next.code, 0);
    assert_true(next.version > first.version);
    char *value = get(f, "a");
    assert_string_equal(value, "three");
    free(value);
}

static void a_deleted_key_never_gets_an_old_version_again(void **state)
{
    struct fixture *f = *state;
    struct state_result first = put(f, 1, "a", "one", -1);
    Wire__KvDelete row = WIRE__KV_DELETE__INIT;
    Wire__Change change = WIRE__CHANGE__INIT;
    row.key = (char *)(uintptr_t) "a";
    change.of_case = WIRE__CHANGE__OF_KV_DELETE;
    change.kv_delete = &row;
    assert_int_equal(apply(f, 2, &change).code, 0);
    assert_null(get(f, "a"));
    assert_int_equal(apply(f, 3, &change).code, ERR_NOT_FOUND);
    assert_true(put(f, 4, "a", "two", 0).version > first.version);
}

static void put_job(struct fixture *f, uint64_t index, uint64_t seq, const uint8_t id[16],
                    Wire__JobState job_state, const char *key)
{
    Wire__JobSpec spec = WIRE__JOB_SPEC__INIT;
    Wire__JobRow row = WIRE__JOB_ROW__INIT;
    Wire__Change change = WIRE__CHANGE__INIT;
    spec.name = (char *)(uintptr_t) "name";
    spec.idempotency_key = (char *)(uintptr_t)key;
    row.seq = seq;
    row.id.data = (uint8_t *)(uintptr_t)id;
    row.id.len = 16;
    row.state = job_state;
    row.spec = &spec;
    row.total = 3;
    row.ended_ms = job_state >= WIRE__JOB_STATE__JOB_STATE_COMPLETED ? seq : 0;
    change.of_case = WIRE__CHANGE__OF_JOB;
    change.job = &row;
    (void)apply(f, index, &change);
}

static void a_job_is_found_by_id_prefix_key_and_last(void **state)
{
    struct fixture *f = *state;
    static const uint8_t a[16] = {0xab, 0xcd, 0x01};
    static const uint8_t b[16] = {0xab, 0xcd, 0x02};
    put_job(f, 1, 1, a, WIRE__JOB_STATE__JOB_STATE_PENDING, "k1");
    put_job(f, 2, 2, b, WIRE__JOB_STATE__JOB_STATE_PENDING, "");
    sqlite3 *reader = NULL;
    struct error e;
    struct uuid id;
    Wire__JobRow *row = NULL;
    assert_int_equal(state_store_open_reader(f->path, &reader, &e), 0);
    assert_int_equal(state_query_find_job(reader, "abcd", "", &id), ERR_CONFLICT);
    assert_int_equal(state_query_find_job(reader, "abcd01", "", &id), 0);
    assert_memory_equal(id.bytes, a, 16);
    assert_int_equal(state_query_find_job(reader, "last", "", &id), 0);
    assert_memory_equal(id.bytes, b, 16);
    assert_int_equal(state_query_find_job(reader, "abc", "", &id), ERR_INVALID);
    assert_int_equal(state_query_find_job(reader, "zzzz", "", &id), ERR_INVALID);
    assert_int_equal(state_query_find_job(reader, "ffff", "", &id), ERR_NOT_FOUND);
    assert_int_equal(state_query_job_keyed(reader, "k1", &row), 0);
    assert_int_equal(row->seq, 1);
    wire__job_row__free_unpacked(row, NULL);
    sqlite3_close(reader);
}

static void retention_takes_the_oldest_ended_jobs(void **state)
{
    struct fixture *f = *state;
    for (uint64_t seq = 1; seq <= 6; seq++) {
        uint8_t id[16] = {(uint8_t)seq};
        put_job(f, seq, seq, id,
                seq == 3 ? WIRE__JOB_STATE__JOB_STATE_RUNNING
                         : WIRE__JOB_STATE__JOB_STATE_COMPLETED,
                "");
    }
    sqlite3 *reader = NULL;
    struct error e;
    uint64_t seqs[8];
    unsigned n = 0;
    assert_int_equal(state_store_open_reader(f->path, &reader, &e), 0);
    assert_int_equal(state_query_forgettable(reader, 0, 2, seqs, 8, &n), 0);
    assert_int_equal(n, 3); /* 1, 2, 4 go; 5, 6 are the newest two; 3 runs */
    assert_int_equal(seqs[2], 4);
    assert_int_equal(state_query_forgettable(reader, 3, 100, seqs, 8, &n), 0);
    assert_int_equal(n, 2);
    sqlite3_close(reader);
}

static void a_record_without_report_keeps_the_report_there_is(void **state)
{
    struct fixture *f = *state;
    Wire__TaskReport report = WIRE__TASK_REPORT__INIT;
    Wire__TaskRow row = WIRE__TASK_ROW__INIT;
    Wire__Change change = WIRE__CHANGE__INIT;
    change.of_case = WIRE__CHANGE__OF_TASK;
    change.task = &row;
    row.job_seq = 1;
    row.attempt = 1;
    row.state = WIRE__ATTEMPT_STATE__ATTEMPT_STATE_RUNNING;
    row.report = &report;
    report.started_ms = 77;
    (void)apply(f, 1, &change);
    row.report = NULL;
    row.state = WIRE__ATTEMPT_STATE__ATTEMPT_STATE_LOST;
    row.code = 9;
    (void)apply(f, 2, &change);
    sqlite3 *reader = NULL;
    sqlite3_stmt *stmt = NULL;
    struct error e;
    assert_int_equal(state_store_open_reader(f->path, &reader, &e), 0);
    assert_int_equal(
        sqlite3_prepare_v2(reader, "SELECT state, started_ms, code FROM tasks", -1, &stmt, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), WIRE__ATTEMPT_STATE__ATTEMPT_STATE_LOST);
    assert_int_equal(sqlite3_column_int(stmt, 1), 77);
    assert_int_equal(sqlite3_column_int(stmt, 2), 9);
    sqlite3_finalize(stmt);
    sqlite3_close(reader);
}

static void a_copy_holds_what_was_applied(void **state)
{
    struct fixture *f = *state;
    struct error e;
    uint64_t applied = 0;
    (void)put(f, 9, "a", "one", -1);
    char *copy = mem_printf("%s/copy.db", f->dir);
    assert_int_equal(state_store_copy(f->path, copy, &e), 0);
    assert_int_equal(state_store_probe(copy, &applied, &e), 0);
    assert_int_equal(applied, 9);
    free(copy);
}

static void a_malformed_entry_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct state_result *results;
    size_t n;
    struct error e;
    assert_int_equal(state_store_begin(f->store, &e), 0);
    assert_int_equal(state_store_apply(f->store, 1, "\xff\xff\xff", 3, &results, &n, &e),
                     ERR_CORRUPT);
    assert_non_null(strstr(e.text, "entry 1"));
}

static void a_newer_format_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error e;
    sqlite3 *db = NULL;
    struct state_store *again = NULL;
    char *path = mem_printf("%s/newer.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(state_store_open(&again, path, &e), ERR_VERSION);
    assert_non_null(strstr(e.text, "newer"));
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_entry_is_applied_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_applied_index_survives_reopening, setup, teardown),
        cmocka_unit_test_setup_teardown(a_condition_that_does_not_hold_changes_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_deleted_key_never_gets_an_old_version_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_job_is_found_by_id_prefix_key_and_last, setup, teardown),
        cmocka_unit_test_setup_teardown(retention_takes_the_oldest_ended_jobs, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_without_report_keeps_the_report_there_is, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_copy_holds_what_was_applied, setup, teardown),
        cmocka_unit_test_setup_teardown(a_malformed_entry_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_format_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
