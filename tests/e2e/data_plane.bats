#!/usr/bin/env bats
# The data plane of real nodes: requests are split by the routing state, through every switch of it.

load ../lib/cluster.bash

teardown() { stop_cluster; }

data_of() { # NODE: where its data plane listens
    awk '/^data:/ { found = 1 } found && /listen:/ { gsub(/"/, ""); print $2; exit }' "$CLUSTER_DIR/$1/clusterd.yaml"
}

ask() { # NODE PATH [CURL-ARGS...]
    local node=$1 path=$2
    shift 2
    curl -sS -m 60 "$@" "http://$(data_of "$node")$path"
}

post() { api -f -X POST -d "$2" "$1" >/dev/null; }

models() { # ID=URL...
    local model
    for model in "$@"; do post /api/models "$(jq -n --arg id "${model%%=*}" --arg url "${model#*=}" '$ARGS.named')"; done
}

serves() { # NODE SERVICE VERSION
    [ "$(ask "$1" "/routing/state/$2" | jq .version)" = "$3" ]
}

@test "every node serves what the routing state says, and shows it" {
    start_cluster 3
    [ "$(ask n1 /predict -o /dev/null -w '%{http_code}')" = 404 ]
    models m1=echo: m2=echo:
    post /api/rollouts/web/start '{"model":"m1"}'
    for node in n1 n2 n3; do
        wait_until 10 serves $node web 1
        [ "$(ask $node /predict -d 'two words' | jq -c '[.service,.model,.version,.input]')" = '["web","m1",1,"two words"]' ]
        [ "$(ask $node /health | jq -r .status)" = ok ]
        [ "$(ask $node /routing | jq -c '[.node,.in_rotation,.services[0].stable_model_id]')" = "[\"$node\",true,\"m1\"]" ]
        [ "$(ask $node /routing/state | jq -r .status)" = stable ]
    done
    [ "$(ask n2 /predict/other -o /dev/null -w '%{http_code}')" = 404 ]
}

@test "where several services are served one must be named" {
    start_cluster 1
    models m1=echo: m2=echo:
    post /api/rollouts/web/start '{"model":"m1","also":{"api":"m2"}}'
    wait_until 10 serves n1 api 1
    ask n1 /routing/state | jq -r .error.message | grep -F 'ask for /routing/state/SERVICE'
    ask n1 /predict -d x | jq -r .error.message | grep -F 'ask for /predict/SERVICE'
    [ "$(ask n1 /predict/api -d x | jq -r .model)" = m2 ]
}

@test "a canary gets its share of every hundred requests, and a sticky client keeps its model" {
    start_cluster 1
    models m1=echo: m2=echo:
    post /api/rollouts/web/start '{"model":"m1"}'
    wait_until 10 serves n1 web 1
    post /api/rollouts/web/start '{"model":"m2","steps":"25:wait,100"}'
    wait_until 10 serves n1 web 2
    answers=$(ask n1 '/predict?[1-100]' -d x | jq -r .model | sort | uniq -c | xargs)
    [ "$answers" = "75 m1 25 m2" ]
    [ "$(ask n1 '/predict?[1-20]' -H 'X-Sticky-Key: somebody' | jq -r .model | sort -u | wc -l)" = 1 ]
}

@test "no request is lost while versions change" {
    start_cluster 3
    models m1=echo: m2=echo:
    post /api/rollouts/web/start '{"model":"m1"}'
    for node in n1 n2 n3; do wait_until 10 serves $node web 1; done
    for node in n1 n2 n3; do
        ask $node '/predict?[1-2000]' -d x -o /dev/null -w '%{http_code}\n' >"$BATS_TEST_TMPDIR/$node" 3>&- &
        clients="${clients:-} $!"
    done
    post /api/rollouts/web/start '{"model":"m2","steps":"10:100ms,50:100ms,90:100ms,100"}'
    wait $clients
    [ "$(cat "$BATS_TEST_TMPDIR"/n? | sort | uniq -c | xargs)" = "6000 200" ]
}

@test "a canary that fails more than its gate allows is taken back" {
    start_cluster 3
    models good=echo: bad=echo:fail=50
    post /api/rollouts/web/start '{"model":"good"}'
    wait_until 10 serves n1 web 1
    post /api/rollouts/web/start '{"model":"bad","steps":"50:1m,100","gates":["errors<=5%"],"samples_min":20,"interval_ms":500}'
    wait_until 10 serves n1 web 2
    ask n1 '/predict?[1-200]' -d x -o /dev/null
    is_aborted() { [ "$(api /api/rollouts/web | jq -r .state)" = aborted ]; }
    wait_until 30 is_aborted
    wait_until 10 serves n1 web 3
    [ "$(ask n1 '/predict?[1-100]' -d x | jq -r .model | sort -u)" = good ]
}

@test "a model that was taken back and mended is judged by what it does now" {
    start_cluster 3
    models good=echo: bad=echo:fail=100
    post /api/rollouts/web/start '{"model":"good"}'
    wait_until 10 serves n1 web 1
    post /api/rollouts/web/start '{"model":"bad","steps":"50:wait,100","gates":["errors<=5%"],"samples_min":20,"interval_ms":500}'
    wait_until 10 serves n1 web 2
    ask n1 '/predict?[1-100]' -d x -o /dev/null
    state_is() { [ "$(api /api/rollouts/web | jq -r .state)" = "$1" ]; }
    wait_until 30 state_is aborted
    wait_until 10 api -f -X DELETE /api/models/bad # it serves no more
    models bad=echo:
    post /api/rollouts/web/retry '{}'
    wait_until 10 state_is waiting
    ask n1 '/predict?[1-100]' -d x -o /dev/null
    passes() { api /api/rollouts/web | jq -e '.gates[0] | .verdict == "pass" and .value == 0'; }
    wait_until 30 passes
    post /api/rollouts/web/promote '{}' # n1 votes on what it sees itself
    wait_until 10 state_is promoted
}

@test "a model that is down is a 502 that names it" {
    start_cluster 1
    models m1=http://127.0.0.1:1/predict
    post /api/rollouts/web/start '{"model":"m1"}'
    wait_until 10 serves n1 web 1
    run ask n1 /predict -d x -w '%{http_code}'
    [[ $output == *'model m1 at 127.0.0.1:1: '*502 ]]
}
