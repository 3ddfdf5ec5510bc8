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

has_ended() { api -n "$(up_node)" "/api/rollouts/$1" | jq -e '.ended_at != null' >/dev/null; }

web_serves_m1() {
    models m1 m2
    [ "$(post /api/rollouts/web/start '{"model":"m1"}')" = 200 ]
    wait_until 10 is web promoted
    wait_until 10 agree web "$CLUSTER_NODES"
}

@test "a rollout goes through its steps, and all nodes agree" {
    start_cluster 3
    web_serves_m1
    [ "$(post -n n2 /api/rollouts/web/start '{"model":"m2","steps":"5:200ms,25:wait,100"}')" = 200 ]
    wait_until 10 is web waiting
    wait_until 10 agree web 3
    wait_until 10 holds -n n3 /routing \
        '.[0] | [.stable_model_id, .canary_model_id, .weights.canary, .status] == ["m1", "m2", 25, "canary"]'
    [ "$(post -n n3 /api/rollouts/web/promote '{}')" = 200 ]
    wait_until 10 is web promoted
    wait_until 10 serves web m2
    wait_until 10 agree web 3
    wait_until 10 holds -n n2 /api/rollouts/indoubt '. == []'
}

@test "who asks for a change as the leader dies is told that nobody knows, and it isn't done twice" {
    export CLUSTERD_FAILPOINTS=$BATS_TEST_TMPDIR
    start_cluster 3
    web_serves_m1
    [ "$(post /api/rollouts/web/start '{"model":"m2","steps":"5:wait,25:wait,50:wait,100"}')" = 200 ]
    wait_until 10 is web waiting
    old=$(leader)
    asked=$([ "$old" = n1 ] && echo n2 || echo n1)
    wait_until 10 weighs 5
    touch "$CLUSTERD_FAILPOINTS/api.reply"
    [ "$(api -n "$asked" -o "$CLUSTER_DIR/answer" -w '%{http_code}' -H 'Idempotency-Key: k' -d '{}' /api/rollouts/web/promote)" = 504 ]
    [ "$(jq -r .error.code "$CLUSTER_DIR/answer")" = outcome_unknown ]
    DOWN=" $old"
    wait_until 30 led_by_another "$old"
    wait_until 30 weighs 25
    wait_until 30 is web waiting
    weighs 25
}
weighs() { holds -n "$(up_node)" /routing ".[0].weights.canary == $1"; }

@test "a gate that fails takes the traffic back" {
    start_cluster 3
    web_serves_m1
    [ "$(post /api/rollouts/web/start \
        '{"model":"m2","steps":"5:1m,100","interval_ms":500,"gates":["command:test ! -e /"]}')" = 200 ]
    wait_until 15 is web aborted
    wait_until 10 serves web m1
    wait_until 10 agree web 3
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
    wait_until 10 agree web 3
    wait_until 10 holds /routing '.[0] | [.version, .stable_model_id, .weights.stable] == [3, "m1", 100]'
    api '/api/rollouts/history?service=web' | jq -r '.[].what' | grep -x superseded
    [ "$(post /api/rollouts/web/rollback '{"version":9}')" = 400 ]
    wait_until 10 holds /api/audit 'any(.action == "rollout rollback")'
}

@test "the leader is killed in the middle: the next one goes on with the same rollout" {
    start_cluster 3
    web_serves_m1
    [ "$(post /api/rollouts/web/start '{"model":"m2","steps":"10:5s,100"}')" = 200 ]
    is_under_way() { is web watching || is web promoted; } # a machine that stands still for that long proves less
    wait_until 10 is_under_way
    kill_node "$(leader)"
    wait_until 30 is web promoted
    wait_until 10 agree web 2
    [ "$(api -n "$(up_node)" /api/rollouts/web | jq -r '[.notes[].what] | join(" ")')" = 'start step promoted' ]
}

@test "a node that was away fetches what it missed, one that cannot keeps what it had" {
    start_cluster 3
    web_serves_m1
    kill_node n3
    leader # n3 may have been it
    [ "$(post /api/rollouts/web/start '{"model":"m2","steps":"100"}')" = 200 ]
    wait_until 20 is web promoted
    start_node n3
    wait_until 20 agree web 3
    wait_until 10 holds -n n3 /routing '.[0].stable_model_id == "m2"'
}

@test "everything is still there after all nodes were killed" {
    start_cluster 3
    web_serves_m1
    since=$(api -n n2 /routing | jq -r '.[0].since')
    for node in n1 n2 n3; do kill_node $node; done
    for node in n1 n2 n3; do start_node $node; done
    wait_until 30 agree web 3
    [ "$(api -n n2 /routing | jq -r '.[0].since')" = "$since" ]
    jq -r .kind "$CLUSTER_DIR/n1/data/routing/"*.jsonl | grep -x decided
}

@test "a node whose log of transactions is damaged says so and ends" {
    start_cluster 3
    web_serves_m1
    kill_node n1
    log=$(echo "$CLUSTER_DIR"/n1/data/routing/*.jsonl)
    at=$(grep -abo -m 1 '"kind":"decided"' "$log" | head -n 1 | cut -d: -f1)
    printf X | dd of="$log" bs=1 seek=$((at + 1)) conv=notrunc status=none
    run clusterd run --config "$CLUSTER_DIR/n1/clusterd.yaml"
    [ "$status" = 1 ]
    [[ $output == *"clusterd: the log of transactions: "*"$log"* ]]
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
    clustersh -o vertical rollout status web | grep -E '^also .* api=m2$'
}

@test "a rollback of one of several services takes back what the rollout did to the others" {
    start_cluster 3
    web_serves_m1
    [ "$(post /api/rollouts/api/start '{"model":"m1"}')" = 200 ]
    wait_until 10 is api promoted
    [ "$(post /api/rollouts/web/start '{"model":"m2","also":{"api":"m2"},"steps":"50:wait,100"}')" = 200 ]
    wait_until 10 is web waiting
    [ "$(post /api/rollouts/api/rollback '{"version":1,"reason":"slow"}')" = 200 ]
    wait_until 10 is api rolled_back
    wait_until 10 agree web 3
    wait_until 10 holds /routing \
        'map([.service, .stable_model_id, .weights.stable, .version]) == [["api", "m1", 100, 3], ["web", "m1", 100, 3]]'
    [ "$(api /routing | jq '[.[].txid] | unique | length')" = 1 ]
    wait_until 10 is web rolled_back
}

@test "the history names the versions that a rollback goes to, also those of services that change along" {
    start_cluster 3
    web_serves_m1
    [ "$(post /api/rollouts/api/start '{"model":"m2","also":{"batch":"m1"}}')" = 200 ]
    wait_until 10 is api promoted
    [ "$(post /api/rollouts/web/start '{"model":"m2","also":{"api":"m1"},"steps":"50:wait,100"}')" = 200 ]
    wait_until 10 is web waiting
    [ "$(post /api/rollouts/web/promote '{}')" = 200 ]
    wait_until 10 is web promoted
    [ "$(api '/api/rollouts/history?service=api' | jq -c 'map([.service, .model, .what, .version])')" = \
        '[["api","m1","promoted",3],["api","m1","promote",null],["api","m1","step",2],["api","m1","start",null],["api","m2","promoted",1],["api","m2","start",null]]' ]
    [ "$(api '/api/rollouts/history?service=batch' | jq -c 'map([.model, .version])')" = '[["m1",1],["m1",null]]' ]
    clustersh rollout history web | grep -E 'm2 .* promoted .* 3 '
}

@test "a rollback brings a model back that is registered no more" {
    start_cluster 3
    web_serves_m1
    [ "$(post /api/rollouts/web/start '{"model":"m2","steps":"100"}')" = 200 ]
    wait_until 10 is web promoted
    api -f -X DELETE /api/models/m1
    [ "$(post /api/rollouts/web/rollback '{}')" = 200 ]
    wait_until 10 is web rolled_back
    wait_until 10 serves web m1
    data=$(awk '/^data:/ { found = 1 } found && /listen:/ { gsub(/"/, ""); print $2; exit }' "$CLUSTER_DIR/n1/clusterd.yaml")
    [ "$(curl -sS -d x "http://$data/predict" | jq -r .model)" = m1 ]
}

@test "an aborted rollout is tried again as it was" {
    start_cluster 3
    web_serves_m1
    touch "$CLUSTER_DIR/not-yet"
    [ "$(post /api/rollouts/web/start \
        '{"model":"m2","steps":"5:1m,100","interval_ms":500,"gates":["command:cd '"$CLUSTER_DIR"'; test -e ready-to-go -o -e not-yet"]}')" = 200 ]
    [ "$(post /api/rollouts/web/retry '{}')" = 409 ]
    rm "$CLUSTER_DIR/not-yet"
    wait_until 15 is web aborted
    id=$(api /api/rollouts/web | jq -r .id)
    touch "$CLUSTER_DIR/ready-to-go"
    [ "$(post /api/rollouts/web/retry '{"reason":"mended"}')" = 200 ]
    passes() { api /api/rollouts/web | jq -e '.state == "watching" and .gates[0].verdict == "pass"'; }
    wait_until 15 passes
    api /api/rollouts/web | jq -e --arg id "$id" '.id != $id and .steps == "5:1m,100" and .reason == "mended"'
    [ "$(post /api/rollouts/web/promote '{}')" = 200 ]
    wait_until 10 is web promoted
    [ "$(post /api/rollouts/web/retry '{}')" = 409 ]
    [ "$(message)" = 'the rollout of web was promoted: there is nothing to try again' ]
    [ "$(post /api/rollouts/nothing/retry '{}')" = 404 ]
}

@test "a dry run says what a rollout would do, and does nothing" {
    start_cluster 1
    web_serves_m1
    [ "$(post /api/rollouts/web/start '{"model":"m2","steps":"50:10m,100","gates":["errors<=1%"],"dry_run":true}')" = 200 ]
    jq -e '.state == "none" and .steps == "50:10m,100" and .targets[0].stable == "m1" and .txid == null' "$CLUSTER_DIR/answer"
    is web promoted
    [ "$(post /api/rollouts/web/start '{"model":"m9","dry_run":true}')" = 404 ]
    clustersh rollout start web m2 --steps 50:10m,100 --dry-run | grep -F '50 %'
    [ "$(api /routing | jq '.[0].version')" = 1 ]
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
    refused 400 '101 is more' /api/rollouts/web/start '{"model":"m2","weights":{"stable":-1,"canary":101}}'
    refused 400 'a gate asks a URL' /api/rollouts/web/start '{"model":"m2","gates":["http:foo"]}'
    refused 404 'no model is called m9' /api/rollouts/web/start '{"model":"m9"}'
    refused 400 'names no metric' /api/rollouts/web/start '{"model":"m2","gates":["speed<=1"]}'
    refused 400 'steps grow' /api/rollouts/web/start '{"model":"m2","steps":"50,25,100"}'
    refused 400 'has all traffic' /api/rollouts/web/start '{"model":"m1"}'
    refused 400 'unknown key' /api/rollouts/web/start '{"model":"m2","wieghts":{}}'
    refused 404 'has no rollout' /api/rollouts/nothing/promote '{}'
    refused 400 'unknown key "fulll"' /api/rollouts/web/promote '{"fulll":true}'
    refused 400 '"full" is true or false' /api/rollouts/web/promote '{"full":"yes"}'
    refused 400 '"reason" is a text' /api/rollouts/web/abort '{"reason":7}'
    refused 400 'unknown key "full"' /api/rollouts/web/pause '{"full":true}'
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

@test "no more services are begun than a node serves" {
    start_cluster 1
    models m1
    for i in {1..9}; do # seven at a time, and an eighth
        also=$(jq -nc --arg i "$i" '[range(6) | {("s\($i)-\(.)"): "m1"}] | add')
        [ "$(post "/api/rollouts/s$i/start" "{\"model\":\"m1\",\"also\":$also}")" = 200 ]
        wait_until 20 is "s$i" promoted
    done
    wait_until 10 holds /routing 'length == 63'
    [ "$(post /api/rollouts/one/start '{"model":"m1","also":{"two":"m1"}}')" = 413 ]
    [ "$(post /api/rollouts/one/start '{"model":"m1"}')" = 200 ]
    wait_until 20 is one promoted
    [ "$(post /api/rollouts/another/start '{"model":"m1"}')" = 413 ]
    message | grep -F '64 services are served already'
}

@test "what the cluster keeps of rollouts cannot be written over" {
    start_cluster 1
    web_serves_m1
    [ "$(api -o /dev/null -w '%{http_code}' -X PUT -d x /api/kv/clusterd%2Fmodel%2Fm1)" = 403 ]
    api /api/kv/clusterd%2Fmodel%2Fm1 | jq -e '.id == "m1"'
}

# ---- two-phase commit with somebody missing in the middle

doubts() { api -n "$1" /routing/state | jq '.in_doubt | length'; }
in_doubt() { [ "$(doubts "$1")" = 1 ]; }
no_doubts() { [ "$(doubts "$1")" = 0 ]; }

# A switch begins, and one node ends at that point of it: $dead. $a and $b are the others.
switch_ends_at() { # FAILPOINT DECIDE_BY
    export CLUSTERD_FAILPOINTS=$BATS_TEST_TMPDIR
    start_cluster 3
    web_serves_m1
    touch "$CLUSTERD_FAILPOINTS/$1"
    # with the answer, if it is the coordinator that ends
    post -n "$(leader)" /api/rollouts/web/start "{\"model\":\"m2\",\"steps\":\"100\",\"decide_by\":\"$2\"}" || true
    wait_until 20 one_is_dead
    DOWN=" $dead"
}
one_is_dead() {
    local node
    for node in n1 n2 n3; do
        if node_pid $node; then continue; fi
        dead=$node
        read -r a b <<<"$(printf '%s\n' n1 n2 n3 | grep -v $dead | paste -sd ' ')"
        return 0
    done
    return 1
}

# After three tries in vain it takes an operator.
is_promoted() { is web promoted || { is web aborted && post -n "$(up_node)" /api/rollouts/web/retry '{}' && false; }; }

@test "a vote that does not come in time is an abort; the switch is tried again" {
    start_cluster 3
    web_serves_m1
    coordinator=$(leader)
    stopped=$([ "$coordinator" = n3 ] && echo n2 || echo n3)
    pid=$(node_pid "$stopped")
    kill -STOP "$pid"
    [ "$(post -n "$coordinator" /api/rollouts/web/start '{"model":"m2","steps":"100"}')" = 200 ]
    was_aborted() { api -n "$coordinator" /metrics | grep -q '^clusterd_txns_total{outcome="abort"} [1-9]'; }
    wait_until 20 was_aborted
    named() { api -n "$coordinator" '/api/events?since=1h&kind=txn.*' | grep -F "node $stopped did not vote within"; }
    wait_until 20 named
    kill -CONT "$pid"
    wait_until 30 is_promoted
    wait_until 10 agree web 3
    for node in n1 n2 n3; do wait_until 10 no_doubts $node; done
}

@test "the coordinator is killed between PREPARE_REQ and its decision: nobody waits for it" {
    switch_ends_at txn.votes metadata
    wait_until 30 no_doubts "$a"
    wait_until 30 no_doubts "$b"
    wait_until 30 is_promoted
    wait_until 10 agree web 2
    start_node "$dead"
    wait_until 30 agree web 3
    wait_until 10 no_doubts "$dead"
}

@test "a participant is killed after its vote: it asks for the decision when it is back" {
    switch_ends_at txn.vote metadata
    start_node "$dead"
    wait_until 30 is_promoted
    wait_until 20 agree web 3
    wait_until 10 no_doubts "$dead"
}

@test "without the metadata group those in doubt wait for the coordinator, or for an operator" {
    switch_ends_at txn.votes peers
    wait_until 20 in_doubt "$a"
    wait_until 20 in_doubt "$b"
    is_missed() { clustersh -s "unix:$(socket_of "$a")" -o table rollout indoubt | grep "^ $dead .*does not answer"; }
    wait_until 20 is_missed
    wait_until 20 holds -n "$a" /api/rollouts/indoubt '[.[] | select(.txid)] | length == 2'
    txid=$(api -n "$a" /api/rollouts/indoubt | jq -r '[.[] | select(.txid)] | .[0].txid')
    [ "$(post -n "$a" /api/rollouts/resolve "{\"txid\":\"$txid\",\"outcome\":\"commit\"}")" = 503 ]
    message | grep -F 'did not say that it is prepared'
    in_doubt "$a"
    [ "$(post -n "$b" /api/rollouts/resolve "{\"txid\":\"$txid\",\"outcome\":\"abort\",\"reason\":\"gone\"}")" = 200 ]
    wait_until 10 no_doubts "$a"
    wait_until 10 no_doubts "$b"
    wait_until 30 is_promoted
    wait_until 10 agree web 2
    wait_until 10 holds -n "$a" /api/audit 'any(.action == "rollout resolve" and .detail == "abort: gone")'
    start_node "$dead"
    wait_until 30 agree web 3
}

@test "without the metadata group the coordinator that returns has its undecided transactions aborted" {
    switch_ends_at txn.votes peers
    wait_until 20 in_doubt "$a"
    wait_until 20 in_doubt "$b"
    start_node "$dead"
    wait_until 30 no_doubts "$a"
    wait_until 30 no_doubts "$b"
    wait_until 40 has_ended web # done, or given up while others were still in doubt
    wait_until 30 agree web 3
}

@test "the commands of clustersh" {
    start_cluster 3
    clustersh model add m1
    clustersh model add m2 echo:fail=100
    [ "$(clustersh -o jsonl model list | jq -r .id | paste -sd ' ')" = 'm1 m2' ]
    clustersh rollout start web m1 --watch
    clustersh rollout start web m2 --weight 10 --reason 'release 9'
    wait_until 10 is web waiting
    shows() { [ "$(clustersh -o jsonl routing show web | jq -r "$1" | paste -sd ,)" = "$2" ]; }
    wait_until 10 shows '[.node, .version, .weights.canary] | join(" ")' 'n1 2 10,n2 2 10,n3 2 10'
    clustersh rollout freeze web
    run clustersh rollout promote web
    [ "$status" = 3 ]
    [[ "$output" == *'resume it first'* ]]
    clustersh rollout resume web
    clustersh rollout pause web
    clustersh rollout abort web -r 'changed my mind'
    run clustersh rollout status web --watch
    [ "$status" = 3 ]
    clustersh -o jsonl rollout status web | jq -e '.state == "aborted"'
    clustersh rollout rollback web 2 -r again -w
    wait_until 10 shows .canary_model_id m2,m2,m2
    clustersh rollout history web -n 3 | grep again
    clustersh rollout indoubt
    run clustersh rollout resolve 5ac6e154-78fa-4ab8-96f9-527fe47fc3f4 abort
    [ "$status" = 1 ]
    run clustersh model remove m1
    [ "$status" = 3 ]
}
