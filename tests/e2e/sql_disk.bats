#!/usr/bin/env bats
# Disks without room under SQL: who has some writes, and when nobody has, the table is as it was.

load ../lib/cluster.bash

setup() {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    PROBE=$(mktemp -d /tmp/clusterd-disk.XXXXXX)
    mount -t tmpfs -o size=1m tmpfs "$PROBE" 2>/dev/null || skip 'needs to mount a small file system'
    umount "$PROBE"
    MOUNTS=()
}

teardown() {
    local disk
    for disk in "${MOUNTS[@]}"; do umount -l "$disk"; done
    stop_cluster
    rmdir "$PROBE"
}

sql() {
    clustersh -s "unix:$(socket_of "${2:-n1}")" -o csv -t -c "$1"
}

refuses() {
    run clustersh -c "$1"
    [[ "$status" = 3 && "$output" == *"$2"* && "$(grep -c '^error' <<<"$output")" = 1 ]] || { echo "$1: $output"; return 1; }
}

nothing_is_left() {
    [ -z "$(find "$CLUSTER_DIR"/*/data/sql "$CLUSTER_DIR"/lake "$BATS_TEST_TMPDIR" -type f \( -name '*.tmp' -o -path '*/sql/*' \))" ]
}

# The SQL scratch of a node gets a small file system of its own.
give_own_disk() {
    local dir=$CLUSTER_DIR/$1
    kill_node "$1"
    mv "$dir/data" "$dir/before"
    mkdir "$dir/data"
    mount -t tmpfs -o size=160m tmpfs "$dir/data"
    MOUNTS+=("$dir/data")
    cp -a "$dir/before/." "$dir/data/"
    start_node "$1"
    wait_until 30 all_online
    wait_until 30 all_vote
}

# Fills the disk of a node, up to what is left for others.
fill() {
    dd if=/dev/zero of="$1/fill" bs=64k 2>/dev/null || true
    truncate -s "-${2:-0}" "$1/fill"
}

@test "a node without room on its disk takes no part in writing, and reads as ever" {
    start_cluster 3 -o sql.split_bytes=1
    n1_leads() { leader_is n1 || { api -X POST -d '{"to":"n1"}' /api/raft/transfer && false; }; }
    wait_until 30 n1_leads
    sql "create table t as select i as id, i % 7 as k from range(10000) r(i)"
    for i in 1 2 3 4 5 6; do sql "insert into t select i, i % 7 from range(10000) r(i)"; done
    give_own_disk n3
    fill "$CLUSTER_DIR/n3/data" 2M # too little, by what a node keeps for itself, but something
    [ "$(clustersh -s "unix:$(socket_of n3)" -c "insert into t values (-1, -1)")" = "INSERT 1" ]
    [ "$(clustersh -s "unix:$(socket_of n3)" -c "insert into t select i + 100000, 1 from range(1000) r(i)")" = "INSERT 1000" ]
    sql "create table u as select * from t" n3
    [ "$(clustersh -s "unix:$(socket_of n3)" -c "delete from u where k = 8")" = "DELETE 0" ]
    [ "$(sql "select count(*), count(distinct id) from u" n3)" = 71001,11001 ]
    sql "copy (select * from u) to '$CLUSTER_DIR/lake/out.parquet'" n3
    shuffled=$(sql "explain analyze select id, count(*) from t group by id" n3 | sed -n '/stage 1 ran/,/stage 2 ran/p')
    echo "$shuffled"
    [[ "$shuffled" == *"on n1"* && "$shuffled" == *"on n2"* && "$shuffled" != *"on n3"* ]]
    fill "$CLUSTER_DIR/n3/data"
    sql "insert into t values (-2, -2)" n3
    [ "$(sql "select count(*) from t where id < 0" n3)" = 2 ]
}

@test "when no node has room a statement that writes is one clear error, the table as it was, nothing left" {
    mount -t tmpfs -o size=160m tmpfs "$PROBE"
    MOUNTS+=("$PROBE")
    TMPDIR_CLUSTER=$PROBE start_cluster 1 -o sql.store="file:$BATS_TEST_TMPDIR/lake"
    sql "create table t as select i as id from range(100000) r(i)"
    [ "$(clustersh -c "insert into t values (-1)")" = "INSERT 1" ]
    fill "$PROBE" 1M
    refuses "insert into t select i from range(1000) r(i)" "the disk of n1 is full"
    refuses "create table u as select * from t" "the disk of n1 is full"
    refuses "update t set id = 0 where id = -1" "the disk of n1 is full"
    refuses "select * from u" 'there is no table "u"'
    [ "$(sql "select count(*), min(id) from t")" = 100001,-1 ]
    wait_until 20 nothing_is_left
    truncate -s -80M "$PROBE/fill"
    # There is room when it begins, and none before it ends.
    refuses "create table u as select hash(i) as a, hash(i + 1) as b, hash(i + 2) as c from range(20000000) r(i)" ""
    [[ "$output" == *"No space left"* || "$output" == *"is full"* ]] || { echo "$output"; false; }
    refuses "select * from u" 'there is no table "u"'
    wait_until 20 nothing_is_left
    [ "$(clustersh -c "insert into t values (-2)")" = "INSERT 1" ]
}
