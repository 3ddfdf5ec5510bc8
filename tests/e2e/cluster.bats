#!/usr/bin/env bats
# Three real nodes: membership, the replicated state, and what happens when some of them go.

load ../lib/cluster.bash
bats_require_minimum_version 1.5.0

teardown() { stop_cluster; }

@test "three nodes form one cluster, every one of them answers" {
    start_cluster 3
    for node in n1 n2 n3; do
        [ "$(api -n $node /api/nodes | jq length)" = 3 ]
        [ "$(api -n $node /api/status | jq -r .node)" = $node ]
    done
}

@test "a change through any node is read through any other" {
    start_cluster 3
    for node in n1 n2 n3; do
        acknowledged -n $node -X PUT --data-binary "by $node" /api/kv/key >/dev/null
        for other in n1 n2 n3; do
            [ "$(api -n $other /api/kv/key)" = "by $node" ]
        done
    done
}

@test "of two writers with the same expectation one wins" {
    start_cluster 3
    version=$(api -X PUT -d one /api/kv/key | jq .version)
    [ "$(api -n n2 -o /dev/null -w '%{http_code}' -X PUT -d two "/api/kv/key?if_version=$version")" = 200 ]
    [ "$(api -n n3 -o /dev/null -w '%{http_code}' -X PUT -d three "/api/kv/key?if_version=$version")" = 409 ]
    [ "$(api /api/kv/key)" = two ]
}

@test "the leader is killed: another leads, nothing acknowledged is lost" {
    start_cluster 3
    for i in $(seq 20); do acknowledged -X PUT -d "$i" "/api/kv/k$i" >/dev/null; done
    old=$(leader)
    kill_node "$old"
    up=$(up_node)
    acknowledged -n "$up" -X PUT -d after /api/kv/after >/dev/null
    wait_until 30 led_by_another "$old"
    for i in $(seq 20); do [ "$(api -n "$up" "/api/kv/k$i")" = "$i" ]; done
}

@test "a killed node comes back and catches up" {
    start_cluster 3
    kill_node n3
    for i in $(seq 50); do acknowledged -X PUT -d "$i" "/api/kv/k$i" >/dev/null; done
    start_node n3
    wait_until 20 all_vote
    has_it() { [ "$(api -n n3 -f '/api/kv/k50?consistency=stale')" = 50 ]; }
    wait_until 20 has_it
    [ "$(api -n n3 /api/kv/k50)" = 50 ]
}

@test "nobody else is given the ports of a node that is down" {
    start_cluster 2
    kill_node n2
    ports=$(sed -n 's/^ *listen: "127\.0\.0\.1:\([0-9]*\)"$/\1/p' "$CLUSTER_DIR/n2/clusterd.yaml")
    [ "$(wc -w <<<"$ports")" = 3 ]
    for port in $ports; do
        run -45 curl -sS --interface 127.0.0.1 --local-port "$port" http://127.0.0.1:1/
    done
    start_node n2
    wait_until 20 all_online
}

@test "a node that is stopped says so: it is offline at once, and online when it is back" {
    start_cluster 3 -o jobs.offline_after=1h
    node=n2
    [ "$(leader)" != n2 ] || node=n3
    pid=$(node_pid $node)
    DOWN=" $node"
    kill "$pid"
    wait_until 60 node_state_is $node offline
    left() { api -n "$(up_node)" '/api/events?since=1h' | jq -es --arg n $node 'any(.[]; .kind == "node.leave" and .key == $n)'; }
    wait_until 20 left
    wait_until 20 process_has_ended "$pid"
    start_node $node
    wait_until 60 node_state_is $node online
}

@test "a node that lost its data comes back under its name as a new member" {
    start_cluster 3
    api -f -X PUT -d kept /api/kv/key >/dev/null
    kill_node n3
    rm -rf "$CLUSTER_DIR/n3/data"
    start_node n3
    wait_until 30 all_vote
    [ "$(api -n n3 /api/kv/key)" = kept ]
    wait_until 10 holds /api/nodes 'map(select(.name == "n3") | .id) | length == 1 and .[0] > 3'
}

@test "without a majority nothing is acknowledged, with it again everything goes on" {
    start_cluster 3
    api -f -X PUT -d before /api/kv/key >/dev/null
    kill_node n2
    kill_node n3
    [ "$(api -n n1 -o /dev/null -w '%{http_code}' -X PUT -d minority /api/kv/key)" -ge 500 ]
    start_node n2
    start_node n3
    wait_until 30 api -n n1 -f -X PUT -d again /api/kv/other
    has_it() { [ "$(api -n n2 -f /api/kv/other)" = again ]; }
    wait_until 30 has_it
}

@test "the whole cluster is killed and started again: the state is there" {
    start_cluster 3
    for i in $(seq 20); do acknowledged -X PUT -d "$i" "/api/kv/k$i" >/dev/null; done
    for node in n1 n2 n3; do kill_node $node; done
    for node in n1 n2 n3; do start_node $node; done
    wait_until 30 all_answer
    for i in $(seq 20); do [ "$(api -n n2 "/api/kv/k$i")" = "$i" ]; done
    ! grep -h 'cannot write' "$CLUSTER_DIR"/n?/clusterd.log || false
}

@test "the lead can be given to a named node" {
    start_cluster 3
    to=$(printf '%s\n' n1 n2 n3 | grep -v "$(leader)" | head -n 1)
    is_given() { leader_is "$to" || { api -f -d "{\"to\":\"$to\"}" /api/raft/transfer && false; }; }
    wait_until 10 is_given
    acknowledged -X PUT -d x /api/kv/key >/dev/null
}

@test "a drained node gets no work until it is resumed" {
    start_cluster 2
    api -f -d '{"reason":"new disk"}' /api/nodes/n2/drain >/dev/null
    wait_until 10 node_state_is n2 drained
    job=$(submit '{"array":"0-9","argv":["true"]}')
    [ "$(job_end "$job")" = completed ]
    [ "$(api "/api/jobs/$job/tasks" | jq -r '[.[].node] | unique | join(",")')" = n1 ]
    api -f -X POST /api/nodes/n2/resume >/dev/null
    wait_until 10 node_state_is n2 online
}
