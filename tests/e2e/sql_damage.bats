#!/usr/bin/env bats
# What is wrong with files, logs and statements is one clear error each, with what to do; the table stays as it was.

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

nothing_is_left() {
    [ -z "$(find "$CLUSTER_DIR" -path '*/data/sql/*' -type f)" ]
}

@test "a csv row that does not fit is named by file and line" {
    start_cluster 1 -o sql.paths="$FILES"
    sql "create table t (id integer not null, s varchar, d date, n decimal(6,2))"
    row() {
        printf 'id,s,d,n\n1,a,2024-01-01,1.5\n%s\n' "$1" >"$FILES/rows.csv"
        refuses "copy t from '$FILES/rows.csv'" "$FILES/rows.csv, line 3: "
    }
    row '2,b,2024-13-01,2'
    row 'x,b,2024-01-01,2'
    row '2,b,2024-01-01'
    row '2,b,2024-01-01,2,3'
    row '2,b,2024-01-01,99999999'
    row ',b,2024-01-01,2'
    row $'2,b\xff,2024-01-01,2'
    [[ "$output" != *"the line is"* ]]
    printf 'id,s,d,n\n1,"two\nlines",2024-01-01,1\n2,b,,\n,c,,\n' >"$FILES/rows.csv"
    refuses "copy t from '$FILES/rows.csv'" "$FILES/rows.csv, line 5: column id takes no null"
    { echo id,s,d,n; for i in $(seq 50000); do echo "$i,x,2024-01-01,1"; done; echo "zz,x,2024-01-01,1"; } | gzip >"$FILES/late.csv.gz"
    refuses "copy t from '$FILES/late.csv.gz'" "$FILES/late.csv.gz, line 50002: "
    refuses "copy t from '$FILES/none.csv'" "no file matches $FILES/none.csv"
    mkfifo "$FILES/pipe.csv"
    refuses "copy t from '$FILES/pipe.csv'" "$FILES/pipe.csv is a device, pipe or socket, not a file"
    mkdir "$FILES/folder.csv"
    refuses "copy t from '$FILES/folder.csv'" "$FILES/folder.csv is a directory, not a file"
    [ "$(sql "select count(*) from t")" = 0 ]
    wait_until 10 nothing_is_left
}

@test "a quote that nothing closes, a line that is no JSON, a pipe that nobody writes to: named, and nothing waits" {
    start_cluster 1 -o sql.paths="$FILES"
    sql "create table t (id integer, s varchar)"
    printf 'id,s\n1,"x\n2,y\n3,z\n' >"$FILES/open.csv"
    refuses "copy t from '$FILES/open.csv' (header)" "$FILES/open.csv, line 2: a value begins with a quote"
    refuses "copy t from '$FILES/open.csv'" "$FILES/open.csv, line 2: a value begins with a quote"
    { echo id,s; for i in $(seq 30000); do echo "$i,x"; done; echo '7,"open'; for i in $(seq 30000); do echo "$i,x"; done; } >"$FILES/late.csv"
    refuses "copy t from '$FILES/late.csv'" "$FILES/late.csv, line 30002: a value begins with a quote"
    printf 'id,s\n1,"a ""b"", c"\n2,de\n' >"$FILES/good.csv"
    sql "copy t from '$FILES/good.csv'"
    [ "$(sql "select s from t where id = 1")" = '"a ""b"", c"' ]
    printf "id,s\n3,'a,b'\n" >"$FILES/single.csv"
    sql "copy t from '$FILES/single.csv' (quote '''')"
    [ "$(sql "select s from t where id = 3")" = '"a,b"' ]
    sql "delete from t"
    printf '{"id":1}\n{"id":x}\n{"id":3}\n' >"$FILES/bad.json"
    refuses "copy t from '$FILES/bad.json'" "$FILES/bad.json, line 2: this is no JSON"
    [[ "$output" != *"VERSION"* ]]
    printf '{"id":1}\n{"id":"x"}\n' >"$FILES/type.json"
    refuses "copy t from '$FILES/type.json'" "$FILES/type.json, line 2: "
    mkfifo "$FILES/pipe.csv"
    for reader in "read_csv('$FILES/pipe.csv')" "read_text(['$FILES/good.csv', 'file:$FILES/pipe.csv'])" "read_json ( '$FILES/pipe.csv' )"; do
        refuses "select * from $reader" "$FILES/pipe.csv is a device, pipe or socket, not a file"
        refuses "insert into t select 1, 'x' from $reader" "$FILES/pipe.csv is a device, pipe or socket, not a file"
    done
    [ "$(sql "select '$FILES/pipe.csv'")" = "$FILES/pipe.csv" ]
    for statement in 'select ?' "insert into t values (?, 'x')" 'insert into t select $1, 2' "copy (select ?) to '$FILES/x.csv'"; do
        refuses "$statement" 'parameters (?, $1) have no values here'
    done
    [ "$(sql "select count(*) from t")" = 0 ]
    wait_until 10 nothing_is_left
}

@test "a file of a table that is cut, damaged or gone is named, with what to do" {
    start_cluster 1
    sql "create table t as select i as id, 'row ' || i as s from range(1000) r(i)"
    file=$(find "$CLUSTER_DIR" -name 'part-*.parquet')
    cp "$file" "$BATS_TEST_TMPDIR/good"
    head -c 300 "$BATS_TEST_TMPDIR/good" >"$file"
    refuses "select max(s || '') from t" "$file is damaged"
    cp "$BATS_TEST_TMPDIR/good" "$file"
    printf ZZZZZZZZ | dd of="$file" bs=1 seek=8 conv=notrunc status=none
    refuses "select count(s || ''), sum(id + 0) from t" "$file is damaged"
    : >"$file"
    refuses "select max(s || '') from t" "$file is damaged"
    rm "$file"
    refuses "select max(s || '') from t" "a file of the table is missing: $file"
    refuses "delete from t where id = 1" "$file"
    cp "$BATS_TEST_TMPDIR/good" "$file"
    [ "$(sql "select count(s || ''), sum(id + 0) from t")" = 1000,499500 ]
    [ "$(clustersh -o json -c "describe history t" | jq length)" = 1 ]
}

@test "a log with a broken, missing or lying entry is refused by the entry, and one that can be read is read" {
    start_cluster 1 -o sql.paths="$FILES"
    sql "create table source (id bigint) location '$FILES/source'"
    for i in $(seq 12); do sql "insert into source values ($i)"; done
    wait_until 10 test -e "$FILES/source/_delta_log/00000000000000000012.json" -a -e "$FILES/source/_delta_log/_last_checkpoint"
    sql "drop table source"
    attempt() {
        rm -rf "$FILES/t"
        cp -r "$FILES/source" "$FILES/t"
        (cd "$FILES/t/_delta_log" && eval "$1")
    }
    place="create table t location '$FILES/t'"
    attempt 'echo "{not json" >00000000000000000012.json'
    refuses "$place" "entry 12 of the log, line 1"
    attempt 'rm 00000000000000000011.json'
    refuses "$place" "entry 12 where 11 is due"
    attempt 'sed -i "s/\"size\":[0-9]*/\"size\":-5/" 00000000000000000012.json'
    refuses "$place" "entry 12 of the log, line 2"
    cut='head -c 500 00000000000000000010.checkpoint.parquet >x; mv x 00000000000000000010.checkpoint.parquet'
    attempt "$cut" # all entries are there
    sql "$place"
    [ "$(sql "select count(*), sum(id + 0) from t")" = 12,78 ]
    wait_until 10 grep -q "checkpoint 10.*is read instead" "$CLUSTER_DIR/log"
    is_counted() { api /metrics | grep -q '^clusterd_table_checkpoints_unreadable_total [1-9]'; }
    wait_until 10 is_counted
    sql "drop table t"
    attempt "$cut; rm 00000000000000000000.json"
    refuses "$place" "_delta_log/00000000000000000010.checkpoint.parquet"
    [[ "$output" != *scratch* ]]
    attempt 'echo "{\"version\":10,\"size\":5000}" >_last_checkpoint; rm 00000000000000000000.json'
    refuses "$place" "checkpoint 10 has"
    attempt 'echo "{\"version\":99,\"size\":5}" >_last_checkpoint'
    sql "$place"
    [ "$(sql "select count(*), sum(id + 0) from t")" = 12,78 ]
    sql "drop table t"
    attempt 'sed -i "s#\"path\":\"part-#\"path\":\"../../../etc/part-#" 00000000000000000012.json'
    sql "$place"
    run clustersh -c "select sum(id + 0) from t"
    [ "$status" = 3 ]
}

@test "statements of 10 MB, of a thousand columns, and commits on a dropped table" {
    start_cluster 1
    jq -n '{sql: ("select 1" + (" + 1" * 2600000))}' >"$BATS_TEST_TMPDIR/large"
    [[ "$(api -X POST -H 'Content-Type: application/json' -d "@$BATS_TEST_TMPDIR/large" /api/sql)" == *'"error"'* ]]
    { printf "select length('"; head -c 17000000 /dev/zero | tr '\0' x; echo "');"; } >"$FILES/too_large.sql"
    run clustersh -f "$FILES/too_large.sql"
    [[ "$status" != 0 && "$output" == *"longer than 16 MiB"* ]]
    sql "create table t (i integer, s varchar)"
    { printf "insert into t values (1, '"; head -c 10000000 /dev/zero | tr '\0' x; echo "');"; } >"$FILES/large.sql"
    clustersh -f "$FILES/large.sql"
    [ "$(sql "select i, length(s) from t")" = 1,10000000 ]
    sql "create table wide ($(seq -s, -f 'c%g bigint' 1000))"
    sql "insert into wide select $(seq -s, -f 'i + %g' 1000) from range(100) r(i)"
    [ "$(sql "select min(c1 + 0), max(c1000 + 0) from wide")" = 1,1099 ]
    id=$(api /api/tables/wide | jq -r .id)
    sql "drop table wide"
    [[ "$(api -X POST -d '{"commitInfo":{}}' "/api/tables/$id/commits?base=0&txn_id=x")" == *'"not_found"'* ]]
    [ "$(sql "select 1")" = 1 ]
}

# Statements whose reading and planning goes to a thread, at any moment of it.
@test "a large statement is answered, cancelled, left by its client, and outlived by no node that stops" {
    start_cluster 1
    sql "create table t as select i from range(1000) r(i)"
    sql "insert into t select i + 1000 from range(1000) r(i)"
    many=$(seq -s ' or i = ' 3 2 1500)
    echo "{\"sql\":\"select count(*) from t where i = $many\"}" >"$FILES/many"
    large() { api -N -X POST -H 'Content-Type: application/json' -d "@$FILES/many" /api/sql; }
    [[ "$(large)" == *'"rows":[[749]]'* ]]
    sql "delete from t where i = $many"
    [ "$(sql "select count(*) from t")" = 1251 ]
    sql "update t set i = i + 1 where i = $many or i = 0"
    sql "insert into t select i + 0 from t where i = $many or i = 1"
    [ "$(sql "select count(*) from t")" = 1253 ]
    [[ "$(sql "explain select i from t where i = $many")" == *stage* ]]
    running() { api /api/sql | jq -re '.[0].query'; }
    running_or_over() { running || grep -q -e '"done"' -e '"error"' "$FILES/answer"; }
    for i in 1 2 3 4 5; do
        large >"$FILES/answer" &
        wait_until 60 running_or_over
        api -X DELETE "/api/sql/$(running || echo over)" >/dev/null || true
        wait $!
        grep -q -e '"cancelled"' -e '"rows":' "$FILES/answer"
    done
    for i in 0.01 0.05 0.1 0.2; do timeout "$i" curl -s --unix-socket "$(socket_of n1)" -d "@$FILES/many" http://localhost/api/sql >/dev/null || true; done
    wait_until 20 none_runs
    for i in 1 2 3; do large >/dev/null & done
    kill "$CLUSTER_PID"
    wait "$CLUSTER_PID" # its status: an end in order
    wait
}
none_runs() { [ "$(api /api/sql | jq length)" = 0 ]; }
