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

@test "columns are added, the rows from before have none, and other statements go on" {
    start_cluster 1 -o sql.paths="$FILES"
    sql "create table t (id integer not null, name varchar) partitioned by (name) location '$FILES/t'"
    sql "insert into t values (1, 'a'), (2, 'b')"
    [ "$(clustersh -c "alter table t add column n bigint")" = "ALTER TABLE" ]
    sql "alter table t add ts timestamp"
    sql "alter table t add column if not exists N integer"
    sql "insert into t values (3, 'a', 30, '2024-01-01 00:00:00')"
    [ "$(sql "select id, name, n, ts from t order by id")" = $'1,a,,\n2,b,,\n3,a,30,2024-01-01 00:00:00' ]
    [ "$(sql "select count(*), count(n), min(n), max(n) from t")" = 3,1,30,30 ]
    [ "$(sql "select id from t where n is null order by id")" = $'1\n2' ]
    [ "$(sql "select id from t where n = 30")" = 3 ]
    [ "$(sql "select name, sum(n) from t group by name order by name")" = $'a,30\nb,' ]
    [ "$(clustersh -c "update t set n = id where n is null")" = "UPDATE 2" ]
    [ "$(clustersh -c "delete from t where n = 1")" = "DELETE 1" ]
    [ "$(sql "select * from t at (version => 1) order by id")" = $'1,a\n2,b' ]
    [ "$(sql "select id, n from t at (version => 4) order by id")" = $'1,\n2,\n3,30' ]
    sql "optimize t"
    [ "$(sql "select id, n from t order by id")" = $'2,2\n3,30' ]
    sql "alter table t alter column id drop not null"
    sql "insert into t (name) values ('c')"
    [ "$(clustersh -o json -c "describe history t" | jq -c '[.[].operation] | reverse | .[2:4]')" = '["ADD COLUMNS","ADD COLUMNS"]' ]
    refuses "alter table t add column n integer" 'has a column "n" already'
    refuses "alter table t add column x integer not null" "NULL in the rows that are there"
    refuses "alter table t add column x hugeint" "no type HUGEINT"
    refuses "alter table t add column x integer default 5" "no defaults"
    refuses "alter table t rename column n to m" "CREATE OR REPLACE TABLE t AS SELECT * RENAME"
    refuses "alter table t drop column n" "CREATE OR REPLACE TABLE t AS SELECT * EXCLUDE"
    refuses "alter table t alter n type varchar" "CREATE OR REPLACE TABLE t AS SELECT * REPLACE"
    refuses "alter table t rename to u" "then DROP TABLE old"
    refuses "alter table nosuch add column n integer" "there is no table nosuch"
    # Another engine's table of this kind says nothing of columns that files lack.
    wait_until 10 test -e "$FILES/t/_delta_log/00000000000000000004.json"
    cp -r "$FILES/t" "$FILES/v"
    sed -i 's/"clusterd.columnsAdded":"true"//' "$FILES"/v/_delta_log/*.json
    rm -f "$FILES"/v/_delta_log/0000000000000000000[5-9].json "$FILES"/v/_delta_log/*checkpoint*
    sql "create table v location '$FILES/v'"
    [ "$(sql "select id, name, n, ts from v order by id")" = $'1,a,,\n2,b,,\n3,a,30,2024-01-01 00:00:00' ]
    [ "$(sql "select name, sum(n) from v group by name order by name")" = $'a,30\nb,' ]
}

@test "older versions fill tables, their own too" {
    start_cluster 1
    sql "create table t as select i as id, i % 3 as k from range(10) r(i)"
    sql "delete from t where id > 4"
    sql "alter table t add column more varchar"
    [ "$(clustersh -c "create table old as select * from t at (version => 0)")" = "CREATE TABLE AS 10" ]
    [ "$(clustersh -c "insert into t (id, k) select * from t at (version => 0) where id > 7")" = "INSERT 2" ]
    [ "$(clustersh -c "insert into t by name select id, k from t at (version => 0) where id = 7")" = "INSERT 1" ]
    [ "$(sql "select id, more from t where id > 3 order by id")" = $'4,\n7,\n8,\n9,' ]
    sql "create table sums as select count(*) as n, sum(id) as s, max(k) as m from t at (version => 0)"
    [ "$(clustersh -o json -c "describe sums" | jq -c '[.[].column_name]')" = '["n","s","m"]' ]
    [ "$(sql "select s from sums")" = 45 ]
    sql "create or replace table t as select * from t at (version => 0)"
    [ "$(sql "select count(*), sum(id) from t")" = 10,45 ]
    refuses "create table v as select * from t at (version => 99)" "has no version 99"
}

@test "what does not fit its column is told with the column" {
    start_cluster 1
    sql "create table t as select 1 as id, 'a' as s, date '2024-01-01' as d"
    refuses "insert into t values ('x', 'a', null)" "column id: x is no INTEGER"
    refuses "insert into t select 1, 'a', 'no day'" "column d: no day is no DATE"
    refuses "update t set id = 'x'" "column id: "
    refuses "update t set id = 99999999999 where s = 'a'" "column id: "
    refuses "update t set id = 2 where id = 'x'" "Could not convert string 'x'"
    [[ "$output" != *"column id"* ]]
    refuses "update t set nosuch = 1" 'table "t" has no column "nosuch"'
    [ "$(sql "select * from t")" = "1,a,2024-01-01" ]
}

@test "a table that is replaced says what its new columns ask of readers" {
    start_cluster 1
    sql "create table t as select 1 as a"
    sql "create or replace table t as select timestamp '2024-01-01 00:00:00' as ts"
    [ "$(sql "select * from t")" = "2024-01-01 00:00:00" ]
    wait_until 10 eval 'grep -q "readerFeatures.*timestampNtz" "$CLUSTER_DIR"/lake/tables/t-*/_delta_log/*1.json'
    sql "insert into t values ('2025-01-01 00:00:00')"
    [ "$(sql "select count(*), max(ts) from t")" = "2,2025-01-01 00:00:00" ]
}
