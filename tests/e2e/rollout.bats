#!/usr/bin/env bats
# Rollouts over three real nodes: what they serve changes everywhere or nowhere.

load ../lib/cluster.bash

teardown() { stop_cluster; }

post() { # [-n NODE] PATH JSON: the status; the body in $CLUSTER_DIR/answer
    local node=n1
    if [ "$1" = -n ]; then node=$2; shift 2; fi
    api -n "$node" -o "$CLUSTER_DIR/answer" -w '%{http_code}' -X POST -d "$2" "$1"
}

message() { jq -r .error.message "$CLUSTER_DIR/answer"; }

models() { # ID...
    for id in "$@"; do [ "$(post /api/models "{\"id\":\"$id\",\"url\":\"echo:\"}")" = 201 ]; done
}

serves() { # SERVICE MODEL: every node, at one version
    [ "$(api -n "$(up_node)" /api/routing | jq -r --arg s "$1" '[.[] | select(.service == $s)] |
        map(.stable_model_id + "@" + (.version | tostring)) | unique | join(" ")' | sed 's/@.*//')" = "$2" ]
}

agree() { # SERVICE N: N nodes, all with the same version and transaction
    [ "$(api -n "$(up_node)" /api/routing | jq -c --arg s "$1" '[.[] | select(.service == $s)] |
        [length, (map([.version, .txid]) | unique | length)]')" = "[$2,1]" ]
}

state() { api -n "$(up_node)" "/api/rollouts/$1" | jq -r .state; }
is() { [ "$(state "$1")" = "$2" ]; }

web_serves_m1() {
    models m1 m2
    [ "$(post /api/rollouts/web/start '{"model":"m1"}')" = 200 ]
    wait_until 10 is web promoted
}

@test "a rollout goes through its steps, and all nodes agree" {
    start_cluster 3
    web_serves_m1
    [ "$(post -n n2 /api/rollouts/web/start '{"model":"m2","steps":"5:200ms,25:wait,100"}')" = 200 ]
    wait_until 10 is web waiting
    agree web 3
    [ "$(api -n n3 /routing | jq -c '.[0] | [.stable_model_id, .canary_model_id, .weights.canary, .status]')" = \
        '["m1","m2",25,"canary"]' ]
    [ "$(post -n n3 /api/rollouts/web/promote '{}')" = 200 ]
    wait_until 10 is web promoted
    wait_until 10 serves web m2
    agree web 3
    [ "$(api -n n2 /api/rollouts/indoubt)" = '[]' ]
}

@test "a gate that fails takes the traffic back" {
    start_cluster 3
    web_serves_m1
    [ "$(post /api/rollouts/web/start \
        '{"model":"m2","steps":"5:1m,100","interval_ms":500,"gates":["command:test ! -e /"]}')" = 200 ]
    wait_until 15 is web aborted
    wait_until 10 serves web m1
    agree web 3
    api /api/rollouts/web | jq -r .text | grep -F 'gate command:test ! -e /: exit code 1'
    [ "$(post /api/rollouts/web/promote '{}')" = 409 ]
    [ "$(message)" = 'the rollout is aborted and cannot be promoted: rollout start begins another' ]
}

@test "a rollback goes to any earlier version at once, from the middle of a rollout too" {
    start_cluster 3
    web_serves_m1
    [ "$(post /api/rollouts/web/start '{"model":"m2","steps":"50:wait,100"}')" = 200 ]
    wait_until 10 is web waiting
    [ "$(post /api/rollouts/web/rollback '{"version":1,"reason":"slow"}')" = 200 ]
    wait_until 10 is web rolled_back
    agree web 3
    [ "$(api /routing | jq -c '.[0] | [.version, .stable_model_id, .weights.stable]')" = '[3,"m1",100]' ]
    api '/api/rollouts/history?service=web' | jq -r '.[].what' | grep -x superseded
    [ "$(post /api/rollouts/web/rollback '{"version":9}')" = 400 ]
    api /api/audit | jq -r '.[].action' | grep -x 'rollout rollback'
}

@test "the leader is killed in the middle: the next one goes on with the same rollout" {
    start_cluster 3
    web_serves_m1
    [ "$(post /api/rollouts/web/start '{"model":"m2","steps":"10:3s,100"}')" = 200 ]
    wait_until 10 is web watching
    kill_node "$(leader)"
    wait_until 30 is web promoted
    wait_until 10 agree web 2
    [ "$(api -n "$(up_node)" /api/rollouts/web | jq -r '[.notes[].what] | join(" ")')" = 'start step promoted' ]
}

@test "a node that was away fetches what it missed, one that cannot keeps what it had" {
    start_cluster 3
    web_serves_m1
    kill_node n3
    [ "$(post /api/rollouts/web/start '{"model":"m2","steps":"100"}')" = 200 ]
    wait_until 20 is web promoted
    start_node n3
    wait_until 20 agree web 3
    [ "$(api -n n3 /routing | jq -r '.[0].stable_model_id')" = m2 ]
}

@test "everything is still there after all nodes were killed" {
    start_cluster 3
    web_serves_m1
    for node in n1 n2 n3; do kill_node $node; done
    for node in n1 n2 n3; do start_node $node; done
    wait_until 30 agree web 3
    jq -r .kind "$CLUSTER_DIR/n1/data/routing/"*.jsonl | grep -x decided
}

@test "several services change in one transaction" {
    start_cluster 3
    web_serves_m1
    [ "$(post /api/rollouts/api/start '{"model":"m1"}')" = 200 ]
    wait_until 10 is api promoted
    [ "$(post /api/rollouts/web/start '{"model":"m2","also":{"api":"m2"},"steps":"100"}')" = 200 ]
    wait_until 10 serves web m2
    wait_until 10 serves api m2
    [ "$(api /routing | jq '[.[].txid] | unique | length')" = 1 ]
}

@test "what makes no sense is refused with what to do" {
    start_cluster 1
    web_serves_m1
    refused() { # STATUS WORDS PATH JSON
        [ "$(post "$3" "$4")" = "$1" ]
        message | grep -F -- "$2"
    }
    refused 400 "weights sum to 100; 60 and 50 don't" /api/rollouts/web/start \
        '{"model":"m2","weights":{"stable":60,"canary":50}}'
    refused 400 '-10 is negative' /api/rollouts/web/start '{"model":"m2","weights":{"stable":110,"canary":-10}}'
    refused 404 'no model is called m9' /api/rollouts/web/start '{"model":"m9"}'
    refused 400 'names no metric' /api/rollouts/web/start '{"model":"m2","gates":["speed<=1"]}'
    refused 400 'steps grow' /api/rollouts/web/start '{"model":"m2","steps":"50,25,100"}'
    refused 400 'has all traffic' /api/rollouts/web/start '{"model":"m1"}'
    refused 400 'unknown key' /api/rollouts/web/start '{"model":"m2","wieghts":{}}'
    refused 404 'has no rollout' /api/rollouts/nothing/promote '{}'
    refused 404 'is known here' /api/rollouts/resolve \
        '{"txid":"5ac6e154-78fa-4ab8-96f9-527fe47fc3f4","outcome":"commit"}'
    refused 400 'commit or abort' /api/rollouts/resolve \
        '{"txid":"5ac6e154-78fa-4ab8-96f9-527fe47fc3f4","outcome":"maybe"}'
    [ "$(post /api/models '{"id":"m3","url":"ftp://x/"}')" = 400 ]
    [ "$(post /api/models '{"id":"m1","url":"echo:fail=1"}')" = 409 ]
    [ "$(api -o /dev/null -w '%{http_code}' -X DELETE /api/models/m1)" = 409 ]
    [ "$(post /api/rollouts/web/start '{"model":"m2","steps":"50:wait,100"}')" = 200 ]
    refused 409 'has a rollout already' /api/rollouts/web/start '{"model":"m2"}'
    txid=$(api /routing | jq -r '.[0].txid')
    refused 409 'a known outcome is never changed' /api/rollouts/resolve "{\"txid\":\"$txid\",\"outcome\":\"abort\"}"
}

@test "what the cluster keeps of rollouts cannot be written over" {
    start_cluster 1
    web_serves_m1
    [ "$(api -o /dev/null -w '%{http_code}' -X PUT -d x /api/kv/clusterd%2Fmodel%2Fm1)" = 403 ]
    api /api/kv/clusterd%2Fmodel%2Fm1 | jq -e '.id == "m1"'
}
