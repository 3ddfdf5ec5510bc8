#!/usr/bin/env bats
# INSERTs of many writers into one table: those that wait go together, and each is its own all the same.

load ../lib/cluster.bash

teardown() {
    stop_cluster
}

setup() {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
}

sql() { clustersh -o csv -t -c "$1"; }
# A statement in the background; what it says goes to $BATS_TEST_TMPDIR/NAME.
begin() {
    clustersh -c "$2" >"$BATS_TEST_TMPDIR/$1" 2>&1 3>&- &
    eval "$1=$!"
}
said() { cat "$BATS_TEST_TMPDIR/$1"; }
statements() { [ "$(api /api/sql | jq length)" = "$1" ]; }
statement() { api /api/sql | jq -er --arg part "$1" '.[] | select(.sql | contains($part)) | .query'; }
tasks() { api /metrics | grep -qx "clusterd_$1"; }
executors() { ps -o pid=,args= --ppid "$(node_pid n1)" | awk '/clusterd executor/ { print $1 }'; }
versions() { sql "describe history $1" | wc -l; }
# Runs until it is cancelled.
forever="list_reduce(range(100000000), (x, y) -> x + y)"

# Statements that wait, since the first one does not end before it is cancelled.
hold() {
    begin first "insert into $1 values ($forever, 'first')"
    wait_until 30 tasks 'queue_length{queue="sql_tasks"} 1'
}
release() {
    api -X DELETE "/api/sql/$(statement "'first'")" >/dev/null
    ! wait "$first"
    said first | grep -q cancelled
}

@test "INSERTs that wait go together in one version, and each fails alone" {
    start_cluster 1 -o sql.slots=2
    sql "create table t (id bigint not null, s varchar)"
    hold t
    begin two "insert into t values (2, 'two'), (3, 'three')"
    begin names "insert into main.t (s, id) values ('x' || 'y', 1 + 3)"
    begin conversion "insert into t values ('nope', 'x')"
    begin count "insert into t values (5)"
    begin binder "insert into t values (6, s)"
    begin null "insert into t values (null, 'x')"
    begin column "insert into t (id, nope) values (7, 'x')"
    begin other "insert into t select 8, 'a query goes by itself'"
    wait "$other"
    begin gone "insert into t values (9, 'its client goes')"
    wait_until 20 statements 9
    kill "$gone"
    ! wait "$gone"
    wait_until 20 statements 8
    release
    wait "$two"
    wait "$names"
    for name in conversion count binder null column; do ! wait "${!name}"; done
    said two | grep -q 'INSERT 2'
    said names | grep -q 'INSERT 1'
    said conversion | grep -q 'column id: nope is no BIGINT'
    said count | grep -q 'the query gives 1 columns, table "t" takes 2'
    said binder | grep -q '"s" was not found'
    said binder | grep -q '^ *^$' # the caret
    said null | grep -q 'column id takes no null'
    said column | grep -q 'has no column "nope"'
    [ "$(sql 'select id, s from t order by id' | tr '\n' ' ')" = '2,two 3,three 4,xy 8,a query goes by itself ' ]
    [ "$(versions t)" = 3 ]
    wait_until 10 statements 0
}

@test "one that is cancelled while they are written takes its rows with it, the others lose nothing" {
    start_cluster 1 -o sql.slots=2
    sql "create table t (id bigint, s varchar)"
    hold t
    begin slow "insert into t values ($forever + 1, 'slow')"
    wait_until 20 statements 2
    for i in 1 2 3; do begin "quick$i" "insert into t values ($i, 'quick')"; done
    wait_until 20 statements 5
    release
    wait_until 20 tasks 'sql_tasks_total{result="cancelled"} 1'
    wait_until 20 tasks 'queue_length{queue="sql_tasks"} 1'
    api -X DELETE "/api/sql/$(statement "'slow'")" | jq -e '.state == "cancelled"'
    ! wait "$slow"
    for i in 1 2 3; do name=quick$i; wait "${!name}"; said "$name" | grep -q 'INSERT 1'; done
    [ "$(sql 'select id, s from t order by id' | tr '\n' ' ')" = '1,quick 2,quick 3,quick ' ]
    [ "$(versions t)" = 2 ]
    [ "$(find "$CLUSTER_DIR" -path '*lake*' -name 'part-*.parquet' | wc -l)" = 1 ]
}

@test "an executor that dies under them costs nothing and doubles nothing" {
    start_cluster 1 -o sql.slots=2
    sql "create table t (id bigint, s varchar, day date) partitioned by (day)"
    begin first "insert into t values ($forever, 'first', null)"
    wait_until 30 tasks 'queue_length{queue="sql_tasks"} 1'
    begin slow "insert into t values (0, ($forever)::varchar, null)"
    wait_until 20 statements 2
    for i in 1 2 3 4; do begin "w$i" "insert into t values ($i, 'w', '2025-01-0$i'), ($i, 'w', null)"; done
    wait_until 20 statements 6
    release
    wait_until 20 tasks 'sql_tasks_total{result="cancelled"} 1'
    wait_until 20 tasks 'queue_length{queue="sql_tasks"} 1'
    for pid in $(executors); do kill -9 "$pid"; done
    wait_until 20 tasks 'queue_length{queue="sql_tasks"} 1'
    api -X DELETE "/api/sql/$(statement 'values (0,')" >/dev/null
    ! wait "$slow"
    for i in 1 2 3 4; do name=w$i; wait "${!name}"; said "$name" | grep -q 'INSERT 2'; done
    [ "$(sql "select count(*), count(distinct id), count(day), sum(id) from t where s = 'w'")" = '8,4,4,20' ]
    [ "$(versions t)" = 2 ]
}

@test "sixteen writers while the leader is killed: what was acknowledged is there once, nothing twice" {
    start_cluster 3
    sql "create table w (id bigint, s varchar)"
    local victim others=() i
    victim=$(leader)
    for i in 1 2 3; do [ "n$i" = "$victim" ] || others+=("n$i"); done
    export CLUSTERSH_ENDPOINT
    for i in {1..16}; do
        CLUSTERSH_ENDPOINT=unix:$(socket_of "${others[i % 2]}")
        (for j in {1..8}; do
            clustersh -c "insert into w values ($((i * 100 + j)), 'row ' || $i)" >/dev/null 2>&1 && echo $((i * 100 + j))
        done >"$BATS_TEST_TMPDIR/acked.$i") 3>&- &
        writers[i]=$!
    done
    wait_until 30 eval '[ "$(cat "$BATS_TEST_TMPDIR"/acked.* | wc -l)" -ge 20 ]'
    kill_node "$victim"
    for i in {1..16}; do wait "${writers[i]}"; done
    sql "select id from w order by id" >"$BATS_TEST_TMPDIR/rows"
    [ -z "$(uniq -d "$BATS_TEST_TMPDIR/rows")" ]
    sort -n "$BATS_TEST_TMPDIR"/acked.* >"$BATS_TEST_TMPDIR/acked"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/acked")" -ge 20 ]
    [ -z "$(comm -23 <(sort "$BATS_TEST_TMPDIR/acked") <(sort "$BATS_TEST_TMPDIR/rows"))" ]
}
