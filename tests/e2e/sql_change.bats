#!/usr/bin/env bats
# Statements that change tables: each as a user of DuckDB would try it.

load ../lib/cluster.bash

teardown() { stop_cluster; }

setup() {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    FILES=$BATS_TEST_TMPDIR/files
    mkdir "$FILES"
}

sql() {
    clustersh -o csv -t -c "$1"
}

# refuses STATEMENT TEXT: with one error that has TEXT in it.
refuses() {
    run clustersh -c "$1"
    [[ "$status" = 3 && "$output" == *"$2"* && "$(grep -c '^error' <<<"$output")" = 1 ]] || { echo "$1: $output"; return 1; }
}

@test "DELETE without a condition and TRUNCATE take all rows, and read no file" {
    start_cluster 1
    sql "create table t as select i as id, i % 2 as odd from range(1000) r(i)"
    sql "insert into t values (1000, 0), (1001, 1)"
    find "$CLUSTER_DIR" -name 'part-*.parquet' -exec mv {} {}.away \;
    [ "$(clustersh -c "delete from t")" = "DELETE 1002" ]
    find "$CLUSTER_DIR" -name 'part-*.parquet.away' -exec bash -c 'mv "$1" "${1%.away}"' _ {} \;
    [ "$(sql "select count(*), count(id) from t")" = 0,0 ]
    [ "$(sql "select count(id + 0) from t at (version => 1)")" = 1002 ]
    [ "$(clustersh -c "delete from t")" = "DELETE 0" ]
    sql "insert into t values (1, 1)"
    [ "$(clustersh -c "truncate table t")" = "DELETE 1" ]
    [ "$(clustersh -c "truncate t")" = "DELETE 0" ]
    [ "$(clustersh -o json -c "describe history t" | jq -c '[.[].operation]')" = '["DELETE","WRITE","DELETE","WRITE","CREATE TABLE AS SELECT"]' ]
    refuses "truncate nosuch" "there is no table nosuch"
    refuses "truncate t where id = 1" "the end of the statement is missing"
}
