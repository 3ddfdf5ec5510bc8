#!/usr/bin/env bats
# Keys and the audit trail, from the prompt.

load ../lib/cluster.bash

setup() { start_cluster 1; }
teardown() { stop_cluster; }

@test "a value is put, got, listed and deleted" {
    clustersh kv put greeting 'hello world'
    [ "$(clustersh kv get greeting)" = 'hello world' ]
    [ "$(clustersh -o jsonl kv list | jq -r .key)" = greeting ]
    clustersh kv delete greeting
    run clustersh kv get greeting
    [ "$status" = 3 ]
}

@test "a value over the limit is refused" {
    head -c 70000 /dev/zero >"$CLUSTER_DIR/large"
    [ "$(api -o /dev/null -w '%{http_code}' -X PUT --data-binary "@$CLUSTER_DIR/large" /api/kv/large)" = 413 ]
}

@test "what operators do is kept" {
    clustersh node drain n1 --reason 'new disk'
    clustersh node resume n1
    clustersh -o jsonl audit | jq -s -e 'map(.action) == ["node.resume", "node.drain"]'
    clustersh -o jsonl audit | jq -s -e '.[1].detail == "new disk"'
}
