#!/usr/bin/env bats
# count(*), count(c), min(c), max(c) of a whole table come from its log: no task runs.

load ../lib/cluster.bash

teardown() { stop_cluster; }

setup() {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
}

sql() {
    clustersh -o csv -t -c "$1"
}

explained() {
    clustersh -o csv -t -c "explain $1"
}

# The same by the log and by reading the data, with the names of its columns.
same() {
    [[ "$(explained "select $1 from t x")" == *"no task"* ]] || { explained "select $1 from t x"; return 1; }
    [[ "$(explained "select $1 from t x where true")" != *"no task"* ]]
    log=$(clustersh -o json -c "select $1 from t x")
    read=$(clustersh -o json -c "select $1 from t x where true")
    [ "$log" = "$read" ] || { echo "$1: $log, not $read"; return 1; }
}

@test "counts and extremes of whole columns need no task, and are what the data says" {
    start_cluster 1
    sql "create table t (id bigint, day date, \"a-b\" varchar, d double, e integer)"
    same "count(*), count(id), max(id), min(day)"
    sql "insert into t select i, date '2024-01-01' + i::int, case when i % 3 = 0 then null else 'it''s ' || i end, i / 7, null from range(100) r(i)"
    sql "insert into t select 9007199254740993 + i, null, 'é' || i, 1.5, null from range(10) r(i)"
    sql "delete from t where id = 17"
    for asked in "count(*)" "COUNT(*) as n" "count()" "count(id), count(x.day), count(\"a-b\"), count(e)" "min(id), MAX(ID), max(id) as \"m, n\"" \
        "min(day), max(x.day)" "min(\"a-b\"), max(\"a-b\")" "min(e), max(e)" "count(d)"; do
        same "$asked"
    done
    [ "$(sql "select count(*), max(id) from t")" = "109,9007199254741002" ]
    [ "$(sql "select count(*), max(id) from t at (version => 1)")" = "100,99" ]
    [[ "$(clustersh -c "explain analyze select count(*) from t")" == *"answered by the log of t at version 3: no task, 0 of"* ]]
}

@test "extremes of decimals, times and the least of doubles come from the log, as the data has them" {
    start_cluster 1
    sql "create table t (d decimal(18,3), w decimal(38,10), ts timestamp, z timestamptz, x double, y double)"
    sql "insert into t values (null, null, null, null, null, null)"
    same "min(d), max(w), min(ts), max(z), min(x)"
    sql "insert into t select i / 8, -i * 1e20, timestamp '2024-01-31 12:00:00.5' + to_microseconds(i * 1234567), timestamptz '2024-01-31 12:00:00+00' + to_seconds(i),
        i / 7.0 - 3, case when i = 5 then 'nan'::double else i end from range(100) r(i)"
    sql "insert into t select -i, i, timestamp '1999-12-31 23:59:59', timestamptz '1999-12-31 23:59:59.000001+00', i * 1e300, 0 from range(1, 3) r(i)"
    for asked in "min(d), max(d)" "min(ts)" "max(ts)" "min(z), max(z)" "min(x)"; do
        same "$asked"
    done
    for asked in "max(x)" "min(y)" "max(y)" "min(w)"; do
        [[ "$(explained "select $asked from t x")" != *"no task"* ]]
    done
    [ "$(sql "select max(y), min(y) from t")" = nan,0.0 ] || [ "$(sql "select max(y), min(y) from t")" = NaN,0.0 ]
}

@test "what the log does not know exactly is read" {
    start_cluster 1
    sql "create table t as select i as id, i % 5 as k, i / 3 as d from range(50) r(i)"
    for query in "select count(distinct id) from t" "select max(id + 1) from t" "select max(d) from t" "select count(*) from t where id > 3" \
        "select k, count(*) from t group by k" "select count(*) filter (id > 3) from t" "select count(*) from t limit 0" \
        "select count(*) from t a, t b" "select count(*) + 1 from t" "select count(*) from t having count(*) > 50"; do
        [[ "$(explained "$query")" != *"no task"* ]] || { echo "$query"; return 1; }
    done
    [ "$(sql "select count(distinct id), max(d) from t")" = "50,16.333333333333332" ]
    [ "$(sql "select count(*) from t limit 0")" = "" ]
}
