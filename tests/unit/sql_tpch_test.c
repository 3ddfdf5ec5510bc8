/* The 22 queries of TPC-H by stages, beside DuckDB itself. */
#include "tests/lib/sql_oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/lib/tpch.h"
#include "tests/unit/generated.h"

enum {
    WANTED_DISTRIBUTED = 18,
    BROADCAST_BYTES = 1000, /* nearly everything is shuffled */
};

static int setup(void **state)
{
    struct sql_oracle *o = mem_zalloc(sizeof *o);
    sql_oracle_init(o);
    const char *scale = getenv("TPCH_SCALE");
    for (int i = 0; i < TPCH_TABLES; i++) {
        char *sql = tpch_create(i, scale != NULL ? atof(scale) : 0.01);
        sql_oracle_exec(o, sql);
        free(sql);
        sql_oracle_table(o, tpch_tables[i], i < 2 ? 1 : 5);
    }
    *state = o;
    return 0;
}

static int teardown(void **state)
{
    sql_oracle_done(*state);
    free(*state);
    return 0;
}

static void each_query_answers_as_duckdb_does(void **state)
{
    const char *only = getenv("TPCH_QUERY");
    static const uint64_t broadcast_bytes[] = {0, BROADCAST_BYTES, 1};
    for (size_t round = 0; round < 3 * MEM_COUNT(broadcast_bytes); round++) {
        size_t distributed = 0, workers = round % 3 + 1;
        for (int q = 0; q < TPCH_QUERIES; q++) {
            struct sql_plan_options options = {
                workers, 1, 1000, 0, "2025-01-31 12:00:00+00", broadcast_bytes[round / 3]};
            struct sql_oracle_result result;
            if (only != NULL && atoi(only) != q + 1)
                continue;
            char *text = sql_oracle_check(*state, tpch_queries[q], &options, false, &result);
            if (text != NULL)
                fail_msg("query %d, %zu workers: %s", q + 1, workers, text);
            distributed += result.tasks > 1;
        }
        if (workers == 1)
            assert_int_equal(distributed, 0);
        else if (only == NULL)
            assert_true(distributed >= WANTED_DISTRIBUTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_query_answers_as_duckdb_does),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
