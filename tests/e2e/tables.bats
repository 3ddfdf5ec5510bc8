#!/usr/bin/env bats
# Tables over the API: made, committed to, read at any version; their logs in the object store, whatever dies.

load ../lib/cluster.bash

teardown() { stop_cluster; }

post() { # [-n NODE] PATH JSON
    local at=()
    [ "$1" != -n ] || { at=(-n "$2"); shift 2; }
    api "${at[@]}" -X POST -H 'Content-Type: application/json' -d "$2" "$1"
}

make_table() { # NAME
    post /api/tables '{"name":"'"$1"'","columns":[{"name":"id","type":"BIGINT"},{"name":"day","type":"DATE"}],"partitioned_by":["day"]}' | jq -re .id
}

adds() { # FILE [ROWS]
    printf '{"add":{"path":"%s","partitionValues":{"day":"2024-01-01"},"size":10,"modificationTime":1,"dataChange":true,"stats":"{\\"numRecords\\":%d}"}}\n' "$1" "${2:-5}"
}

removes() {
    printf '{"remove":{"path":"%s","deletionTimestamp":1,"dataChange":true}}\n' "$1"
}

commit() { # [-n NODE] ID BASE TXN <lines
    local at=()
    [ "$1" != -n ] || { at=(-n "$2"); shift 2; }
    api "${at[@]}" -X POST -H 'Content-Type: text/plain' --data-binary @- "/api/tables/$1/commits?base=$2&txn_id=$3"
}

# The same, until a leader has answered.
committed() { # NODE ID BASE TXN LINES
    acknowledged -n "$1" -X POST -H 'Content-Type: text/plain' --data-binary "$5" "/api/tables/$2/commits?base=$3&txn_id=$4"
}

table() { # NAME [QUERY]
    api -n "$(up_node)" "/api/tables/$1${2:-}"
}

log_dir() {
    echo "$(table "$1" | jq -re .place | sed s/^file://)/_delta_log"
}

entries() {
    (cd "$(log_dir "$1")" && ls | grep -E '^[0-9]{20}\.json$' | sed 's/\.json$//; s/^0*\([0-9]\)/\1/' | sort -n | xargs)
}

entries_are() {
    [ "$(entries "$1")" = "$(seq 0 "$2" | xargs)" ]
}

@test "a table is made, committed to, read at any version through any node, and dropped" {
    start_cluster 3
    id=$(make_table Orders)
    [ "$(adds a | commit "$id" 0 one | jq -c .)" = '{"version":1,"duplicate":false}' ]
    [ "$({ removes a; adds b 7; } | commit -n n2 "$id" 1 two | jq .version)" = 2 ]
    for node in n1 n2 n3; do
        [ "$(api -n $node /api/tables/orders | jq -c '[.version, .files, .rows, .name]')" = '[2,1,7,"Orders"]' ]
        [ "$(api -n $node '/api/tables/orders?version=1' | jq .rows)" = 5 ]
        [ "$(api -n $node '/api/tables/orders/files?version=1' | jq -r '.[].path')" = a ]
    done
    [ "$(table orders '?version=3' | jq -r .error.code)" = not_found ]
    at=$(table orders/history | jq -r '.[] | select(.version == 1) | .at')
    [ "$(table orders "?at=$at" | jq .version)" = 1 ]
    [ "$(table orders '?at=2001-01-01T00:00:00Z' | jq -r .error.code)" = not_found ]
    [ "$(table orders/history | jq -c '[.[].operation]')" = '["WRITE","WRITE","CREATE TABLE"]' ]
    wait_until 10 entries_are orders 2
    dir=$(log_dir orders)
    [ "$(api -X DELETE /api/tables/ORDERS | jq .dropped)" = true ]
    [ "$(table orders | jq -r .error.code)" = not_found ]
    wait_until 10 test ! -e "$dir"
    make_table orders
}

@test "the same commit sent five times is applied once" {
    start_cluster 1
    id=$(make_table t)
    for i in 1 2 3 4 5; do [ "$(adds a | commit "$id" 0 same | jq .version)" = 1 ]; done
    [ "$(adds a | commit "$id" 0 same | jq .duplicate)" = true ]
    [ "$(table t | jq -c '[.version, .rows]')" = '[1,5]' ]
}

@test "of two that rewrite the same file one wins, and the other is told" {
    start_cluster 1
    id=$(make_table t)
    adds a | commit "$id" 0 one
    { removes a; adds b; } | commit "$id" 1 two
    [ "$({ removes a; adds c; } | commit "$id" 1 three | jq -r .error.code)" = conflict ]
    [ "$(adds d | commit "$id" 1 four | jq .version)" = 3 ]
    [ "$(api /api/tables/t/files | jq -c '[.[].path]')" = '["b","d"]' ]
}

@test "what is wrong is one clear error, the table as it was" {
    start_cluster 1
    id=$(make_table t)
    [ "$(post /api/tables '{"name":"T","columns":[{"name":"a","type":"INT"}]}' | jq -r .error.code)" = exists ]
    [ "$(post /api/tables '{"name":"T","columns":[{"name":"a","type":"INT"}],"if_not_exists":true}' | jq .duplicate)" = true ]
    post /api/tables '{"name":"u","columns":[{"name":"a","type":"HUGEINT"}]}' | jq -re .error.message | grep -q 'HUGEINT: use BIGINT'
    post /api/tables '{"name":"u","place":"file:'"$CLUSTER_DIR"'/lake/none"}' | jq -re .error.message | grep -q 'holds no Delta table'
    [ "$(post /api/tables '{"name":"u","place":"file:/etc","columns":[{"name":"a","type":"INT"}]}' | jq -r .error.code)" = forbidden ]
    echo '{"add":' | commit "$id" 0 x | jq -re .error.message | grep -q 'line 1'
    [ "$(adds a | commit "$id" 7 x | jq -r .error.code)" = invalid ]
    [ "$(adds a | commit 00000000-0000-4000-8000-000000000000 0 x | jq -r .error.code)" = not_found ]
    [ "$(table t | jq -c '[.version, .files]')" = '[0,0]' ]
}

@test "sixteen writers through three nodes: nothing is lost, the log is whole and in order" {
    start_cluster 3
    id=$(make_table t)
    for w in $(seq 16); do
        for i in $(seq 12); do committed n$((w % 3 + 1)) "$id" 0 "w$w-$i" "$(adds "w$w-$i" 1)"; done >"$CLUSTER_DIR/out$w" &
    done
    wait $(jobs -p | grep -vx "$CLUSTER_PID")
    [ "$(cat "$CLUSTER_DIR"/out* | jq -s '[.[].version] | sort == [range(1; 193)]')" = true ]
    [ "$(table t | jq -c '[.version, .files, .rows]')" = '[192,192,192]' ]
    wait_until 20 entries_are t 192
    [ "$(cat "$(log_dir t)"/*.json | jq -r '.add.path // empty' | sort -u | wc -l)" = 192 ]
}

@test "the leader is killed before it publishes what it acknowledged: the next one does" {
    mkdir -p "$BATS_TEST_TMPDIR/fail"
    export CLUSTERD_FAILPOINTS=$BATS_TEST_TMPDIR/fail
    start_cluster 3
    id=$(make_table t)
    wait_until 10 entries_are t 0
    down_node() { for node in n1 n2 n3; do [ -n "$(node_pid $node)" ] || echo $node; done | grep .; }
    for point in tables.publish tables.published; do
        version=$(table t | jq .version)
        touch "$CLUSTERD_FAILPOINTS/$point"
        # The answer may be lost with the node that is killed: then it is asked for again below.
        acknowledged=$(adds "$point" | commit -n "$(up_node)" "$id" 0 "$point" | jq ".version // empty") || true
        wait_until 10 test ! -e "$CLUSTERD_FAILPOINTS/$point"
        wait_until 10 down_node
        old=$(down_node)
        DOWN="$old"
        [ "${acknowledged:-$((version + 1))}" = $((version + 1)) ]
        wait_until 20 entries_are t $((version + 1))
        [ "$(committed "$(up_node)" "$id" 0 "$point" "$(adds "$point")" | jq -c .)" = '{"version":'$((version + 1))',"duplicate":true}' ]
        start_node "$old"
        DOWN=
        wait_until 30 all_vote
    done
    [ "$(table t | jq -c '[.version, .files]')" = '[2,2]' ]
}

@test "every tenth version has a checkpoint, and a table is taken over from its log" {
    start_cluster 1
    id=$(make_table t)
    # One checkpoint at a time: a machine that is slow at the first one would pass the second one over.
    for i in $(seq 10); do adds "f$i" | commit "$id" 0 "x$i" >/dev/null; done
    wait_until 20 grep -q '"version":10' "$(log_dir t)/_last_checkpoint"
    for i in $(seq 11 23); do adds "f$i" | commit "$id" 0 "x$i" >/dev/null; done
    wait_until 20 grep -q '"version":20' "$(log_dir t)/_last_checkpoint"
    cp -r "$(dirname "$(log_dir t)")" "$CLUSTER_DIR/lake/copy"
    rm "$CLUSTER_DIR"/lake/copy/_delta_log/0000000000000000000*.json
    post /api/tables '{"name":"copy","place":"file:'"$CLUSTER_DIR"'/lake/copy"}'
    [ "$(table copy | jq -c '[.version, .files, .rows]')" = '[23,23,115]' ]
    [ "$(table copy '?version=21' | jq .files)" = 21 ]
    [ "$(table copy '?version=12' | jq .files)" = 12 ]
    [ "$(table copy '?version=3' | jq -r .error.code)" = corrupt ]
    copy=$(table copy | jq -r .id)
    [ "$({ removes f1; adds g; } | commit "$copy" 23 y | jq .version)" = 24 ]
    wait_until 10 test -e "$CLUSTER_DIR/lake/copy/_delta_log/00000000000000000024.json"
    [ "$(table copy | jq .files)" = 23 ]
    api -X DELETE /api/tables/copy
    test -e "$CLUSTER_DIR/lake/copy/_delta_log/00000000000000000024.json"
}

@test "a table of another writer is registered, read and continued; what is not supported is named" {
    start_cluster 1
    log=$CLUSTER_DIR/lake/spark/_delta_log
    mkdir -p "$log"
    cat >"$log/00000000000000000000.json" <<'JSON'
{"commitInfo":{"timestamp":1587968586154,"operation":"WRITE","operationParameters":{"mode":"ErrorIfExists","partitionBy":"[]"},"isBlindAppend":true}}
{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"5fba94ed-9794-4965-ba6e-6ee3c0d22af9","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[],"configuration":{},"createdTime":1587968585495}}
{"add":{"path":"part-00000-a.snappy.parquet","partitionValues":{},"size":262,"modificationTime":1587968586000,"dataChange":true}}
JSON
    echo '{"remove":{"path":"part-00000-a.snappy.parquet","deletionTimestamp":1,"dataChange":true}}
{"add":{"path":"part-00001-b.snappy.parquet","partitionValues":{},"size":300,"modificationTime":2,"dataChange":true,"stats":"{\"numRecords\":3}"}}' >"$log/00000000000000000001.json"
    post /api/tables '{"name":"spark","place":"file:'"$CLUSTER_DIR"'/lake/spark"}'
    [ "$(table spark | jq -c '[.version, .files, .rows, .columns[0].type]')" = '[1,1,3,"BIGINT"]' ]
    id=$(table spark | jq -r .id)
    [ "$(echo '{"add":{"path":"c","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}' | commit "$id" 1 z | jq .version)" = 2 ]
    wait_until 10 test -e "$log/00000000000000000002.json"
    # Somebody else writes on: the table takes no more commits, and says so.
    echo '{"commitInfo":{}}' >"$log/00000000000000000003.json"
    adds x | commit "$id" 2 lost
    wait_until 10 sh -c "curl -sS --unix-socket $(socket_of n1) http://localhost/api/tables | grep -q 'another writer'"
    [ "$(adds x | commit "$id" 2 refused | jq -r .error.code)" = corrupt ]

    mkdir -p "$CLUSTER_DIR/lake/dv/_delta_log"
    sed 's/"minReaderVersion":1,"minWriterVersion":2/"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]/' \
        "$log/00000000000000000000.json" >"$CLUSTER_DIR/lake/dv/_delta_log/00000000000000000000.json"
    post /api/tables '{"name":"dv","place":"file:'"$CLUSTER_DIR"'/lake/dv"}' | jq -re .error.message | grep -q deletionVectors
    rm "$log/00000000000000000001.json"
    post /api/tables '{"name":"gap","place":"file:'"$CLUSTER_DIR"'/lake/spark/"}' | jq -re .error.message | grep -q 'where 1 is due'
}

@test "a table of another writer is read as of a time before it was registered" {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    start_cluster 1 -o sql.paths="$BATS_TEST_TMPDIR"
    clustersh -c "create table a (id bigint) location '$BATS_TEST_TMPDIR/t'"
    for i in 1 2 3; do clustersh -c "insert into a values ($i)"; done
    wait_until 10 test -e "$BATS_TEST_TMPDIR/t/_delta_log/00000000000000000003.json"
    clustersh -c "drop table a"
    # entries of 2001 to 2004, the last one without a time of its own
    for v in 0 1 2 3; do
        at=$(date -u -d "$((2001 + v))-06-01" +%s)000
        sed -i "s/\"timestamp\":[0-9]*/\"timestamp\":$at/" "$BATS_TEST_TMPDIR/t/_delta_log/0000000000000000000$v.json"
    done
    sed -i '/commitInfo/d' "$BATS_TEST_TMPDIR/t/_delta_log/00000000000000000003.json"
    touch -d 2004-06-01 "$BATS_TEST_TMPDIR/t/_delta_log/00000000000000000003.json"
    clustersh -c "create table b location '$BATS_TEST_TMPDIR/t'"
    clustersh -c "insert into b values (9)"
    asked() { clustersh -o csv -t -c "select count(*) from b at (timestamp => '$1')"; }
    [ "$(asked 2001-07-01)" = 0 ]
    [ "$(asked '2002-06-01 00:00:00')" = 1 ]
    [ "$(asked 2004-05-31)" = 2 ]
    [ "$(asked 2005-01-01)" = 3 ]
    [ "$(asked "$(date -u -d '+1 hour' '+%F %T')")" = 4 ]
    run clustersh -c "select count(*) from b at (timestamp => '2000-01-01')"
    [[ "$status" = 3 && "$output" == *"so old"* ]]
}

@test "checkpoints of many tables at once: none is left out" {
    start_cluster 1
    for i in 1 2 3 4 5 6 7 8; do
        api -f -X POST -d "{\"name\":\"t$i\",\"columns\":[{\"name\":\"id\",\"type\":\"bigint\"}]}" /api/tables >/dev/null
        id=$(api /api/tables/t$i | jq -r .id)
        for v in 0 1 2 3 4 5 6 7 8 9; do
            echo "{\"add\":{\"path\":\"part-$v.parquet\",\"partitionValues\":{},\"size\":9,\"modificationTime\":1,\"dataChange\":true}}" |
                api -f -X POST --data-binary @- "/api/tables/$id/commits?base=$v&txn_id=$v" >/dev/null
        done &
        writers="${writers:-} $!"
    done
    # shellcheck disable=SC2086 # several
    wait $writers
    checkpoints() { find "$CLUSTER_DIR" -name '00000000000000000010.checkpoint.parquet' | wc -l; }
    wait_until 30 eval '[ "$(checkpoints)" = 8 ]'
}
