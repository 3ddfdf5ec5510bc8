#!/usr/bin/env bats
# clustersh --replay: a report (docs/events.md) in place of a cluster.

load ../lib/cluster.bash

teardown() { stop_cluster; }

replay() { clustersh --replay "$CLUSTER_DIR/r.tar.zst" "$@"; }

# fails_with STATUS TEXT COMMAND...
fails_with() {
    local want=$1 text=$2
    shift 2
    run "$@"
    [ "$status" = "$want" ] || { echo "status $status: $output" >&2; return 1; }
    [[ "$output" = *"$text"* ]] || { echo "$output" >&2; return 1; }
}

# What stays as it is while nothing happens.
still_nodes='sort_by(.name) | map({name, id, state, roles, kind, leader, address, draining, drain_reason})'
still_jobs='map(del(.idempotency_key))'
still_routing='sort_by(.node) | map({node, service, version, stable_model_id, status, txid})'

@test "a replay answers as the cluster did" {
    start_cluster 3
    wait_until 20 api -f /api/frame
    job=$(clustersh job submit --name kept --array 0-3 -- 'test $CLUSTERD_ARRAY_INDEX != 2')
    clustersh job wait "$job" -q || true
    clustersh chat send 'remember this'
    clustersh model add m1 echo:
    clustersh rollout start web m1
    clustersh node drain n3 --reason cable
    serves() { [ "$(clustersh -o json routing show | jq 'map(select(.status == "stable")) | length')" = 3 ]; }
    wait_until 20 serves
    # The report has what is told of the last moment, and what the collector looks at each second.
    same() {
        clustersh report "$CLUSTER_DIR/r.tar.zst" || return 1
        for pair in "node list:$still_nodes" "job list:$still_jobs" "routing show:$still_routing" \
            "election show:sort_by(.group) | map({group, leader, term})" "audit:map(del(.at))" \
            "rollout history:map({service, model, what, by, state})" "chat members:sort_by(.name) | map({name, leader, state})"; do
            live=$(clustersh -o json ${pair%%:*} | jq -S "${pair#*:}")
            past=$(replay -o json ${pair%%:*} | jq -S "${pair#*:}")
            [ "$live" = "$past" ] || { printf '%s\n%s\n%s\n' "$pair" "$live" "$past" >"$CLUSTER_DIR/differs"; return 1; }
        done
    }
    wait_until 30 same || { cat "$CLUSTER_DIR/differs"; false; }
    stop_nodes
    [ "$(replay -o jsonl job show last | jq -r .id)" = "$job" ]
    [ "$(replay -o json job tasks "$job" --state failed | jq -c 'map([.index, .code])')" = '[[2,"exit_nonzero"]]' ]
    replay chat tail | grep -q 'remember this'
    replay events --since 1h --kind job.submit -o jsonl | jq -e '.row.name == "kept"'
    replay events --since 1h --kind log.record --node n1 | grep -q n1
    replay -c 'node list -o json' -c 'election show' | grep -q cluster
    # status 3 of a job that failed, as ever
    fails_with 3 "failed: 3 of 4 elements completed" replay job wait "$job"
}

# Ends the nodes, keeps their folder.
stop_nodes() {
    local node
    for node in n1 n2 n3; do kill_node $node; done
}

@test "what needs a cluster is refused with status 3, and nothing waits" {
    start_cluster 1
    wait_until 20 api -f /api/frame
    clustersh report "$CLUSTER_DIR/r.tar.zst"
    fails_with 3 "this is a replay of $CLUSTER_DIR/r.tar.zst: nothing runs in it" replay job submit -- true
    fails_with 3 "nothing can be changed" replay node drain n1
    fails_with 3 "SQL needs the nodes" replay -c 'SELECT 1;'
    fails_with 3 "a report does not hold keys" replay kv list
    fails_with 3 "nothing more comes to follow" replay events --follow
    fails_with 3 "nothing more comes to follow" replay chat tail --follow
    fails_with 3 "what jobs wrote" replay job logs --follow last
    fails_with 3 "no job nosuch" replay job show nosuch
    fails_with 1 "either --server or --replay" replay -s unix:/x node list
    fails_with 1 "--at needs --replay" clustersh --at 10m node list
    fails_with 1 "is no time" replay --at soon node list
    fails_with 3 "the report spans" replay --at 2020-01-01T00:00:00Z node list
    fails_with 1 "there is no replay" clustersh -c '\at 10m'
    fails_with 0 "at " replay -c '\at'
    # names to complete are those of the report, also when there is a cluster
    [[ "$(clustersh --complete --replay "$CLUSTER_DIR/r.tar.zst" node show n)" = "n1"* ]]
    [ "$(clustersh --complete --replay "$CLUSTER_DIR/nosuch" node show n)" = : ]
}

@test "another time shows what was then" {
    start_cluster 1
    wait_until 20 api -f /api/frame
    first=$(clustersh job run --name first -- true; clustersh -o json job list | jq -r '.[0].ended_at')
    later() { [ "$(date -u +%Y-%m-%dT%H:%M:%S)" \> "${first:0:19}" ]; }
    wait_until 20 later
    between=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
    clustersh job run --name second -- true
    has_both() { clustersh report "$CLUSTER_DIR/r.tar.zst" && [ "$(replay -o json job list | jq -c 'map(.name)')" = '["second","first"]' ]; }
    wait_until 20 has_both
    [ "$(replay --at "$between" -o json job list | jq -c 'map(.name)')" = '["first"]' ]
    [ "$(replay -o jsonl -c "\\at $between" -c 'job list' -c '\at end' -c 'job list' | jq -s -c 'map(.name)')" = '["first","second","first"]' ]
    [ "$(replay --at "$between" -o jsonl events --since 1h --kind job.submit | jq -s length)" = 1 ]
}

@test "a report that is cut, forged or none is refused at once" {
    start_cluster 1
    wait_until 20 api -f /api/frame
    clustersh report "$CLUSTER_DIR/r.tar.zst"
    cd "$CLUSTER_DIR"
    fails_with 1 "No such file" clustersh --replay nosuch node list
    fails_with 1 "Is a directory" clustersh --replay . node list
    head -c 1000 r.tar.zst >cut
    fails_with 1 "no report that can be opened" clustersh --replay cut node list
    : >empty
    fails_with 1 "no report that can be opened" clustersh --replay empty node list
    mkdir r
    zstd -dc r.tar.zst | tar -x -C r
    sed -i 's/"kind":"daemon.start"/"kind":"daemon.forge"/' r/events.jsonl
    tar -c -C r . | zstd -q >forged
    fails_with 1 "no report that can be opened" clustersh --replay forged node list
}
