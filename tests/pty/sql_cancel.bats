#!/usr/bin/env bats
# SQL at a real prompt on a real cluster: Ctrl-C ends the statement on every node, and never the shell.

load ../lib/cluster.bash

teardown() {
    exec 5>&-
    stop_cluster
}

setup() {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    command -v script || skip "no script(1) here"
}

statements() {
    [ "$(api /api/sql | jq length)" = "$1" ]
}

@test "Ctrl-C ends a statement on every node and leaves nothing of it" {
    start_cluster 3 -o sql.split_bytes=1 -o sql.slots=1
    clustersh -c "create table facts as select i as id, i % 7 as k from range(20000) r(i)"
    clustersh -c "insert into facts select * from facts"
    clustersh -c "insert into facts select * from facts"
    mkfifo "$BATS_TEST_TMPDIR/keys"
    exec 5<>"$BATS_TEST_TMPDIR/keys"
    HOME=$BATS_TEST_TMPDIR TERM=xterm script -qfec clustersh "$BATS_TEST_TMPDIR/screen" <&5 >/dev/null 2>&1 3>&- &
    local shell=$!
    wait_until 20 grep -q 'clustersh n1' "$BATS_TEST_TMPDIR/screen"
    for round in 1 2 3; do
        printf 'select count(*), sum(a.id %% 7 + b.id %% 5) from facts a, facts b, facts c where a.k = b.k;\r' >&5
        wait_until 20 statements 1
        printf '\003' >&5
        wait_until 10 eval "[ \$(grep -ac interrupted '$BATS_TEST_TMPDIR/screen') = $round ]"
        wait_until 10 statements 0
        # the only slot of each node is free again
        printf '%s\r' "select 'answer ' || sum(c * $round) from (select k, count(*) as c from facts group by k);" >&5
        wait_until 20 grep -aq "answer $((80000 * round))" "$BATS_TEST_TMPDIR/screen"
    done
    wait_until 10 eval '[ -z "$(find "$CLUSTER_DIR" -path "*shuffle*" -name "*.parquet")" ]'
    printf '\004' >&5
    wait "$shell"
}
