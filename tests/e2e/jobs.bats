#!/usr/bin/env bats
# Jobs on real nodes through the deaths of leaders and workers: every element completes exactly once.

load ../lib/cluster.bash

teardown() { stop_cluster; }

# Each element appends its name to a file of its own: a second completed run would show as a second line.
marks() {
    jq -cn --arg dir "$CLUSTER_DIR/marks" --arg array "$1" --arg sleep "${2:-0.05}" \
        '{array: $array, retries: 2, commands: ["sleep " + $sleep + "; echo $CLUSTERD_ARRAY_INDEX; echo x >> " + $dir + "/$CLUSTERD_ARRAY_INDEX"]}'
}

# Every element is completed, by one attempt each, and its output is there.
assert_all_completed() {
    local job=$1 n=$2 node
    node=$(up_node)
    [ "$(api -n "$node" "/api/jobs/$job" | jq .completed)" = "$n" ]
    [ "$(api -n "$node" "/api/jobs/$job/tasks?limit=10000&attempts=all&state=completed" | jq '[.[].index] | length')" = "$n" ]
    [ "$(api -n "$node" "/api/jobs/$job/tasks?limit=10000&attempts=all&state=completed" | jq '[.[].index] | unique | length')" = "$n" ]
    [ "$(api -n "$node" "/api/jobs/$job/tasks?limit=10000&output=true" | jq '[.[] | select(.stdout == "\(.index)\n")] | length')" = "$n" ]
}

@test "an array runs on all nodes and every element completes" {
    start_cluster 3
    mkdir "$CLUSTER_DIR/marks" "$CLUSTER_DIR/on"
    # none ends before each node has begun one
    local begin="touch $CLUSTER_DIR/on/\$CLUSTERD_NODE; until [ \$(ls $CLUSTER_DIR/on | wc -l) = 3 ]; do sleep 0.02; done"
    job=$(submit "$(marks 0-59 | jq -c --arg begin "$begin" '.commands |= map($begin + "; " + .)')")
    [ "$(job_end "$job")" = completed ]
    assert_all_completed "$job" 60
    [ "$(api "/api/jobs/$job/tasks?limit=100" | jq '[.[].node] | unique | length')" = 3 ]
    [ "$(cat "$CLUSTER_DIR"/marks/* | wc -l)" = 60 ]
}

@test "the leader is killed while 200 elements run" {
    start_cluster 3
    mkdir "$CLUSTER_DIR/marks"
    job=$(submit "$(marks 0-199)")
    wait_until 20 test -e "$CLUSTER_DIR/marks/10"
    kill_node "$(leader)"
    [ "$(job_end "$job")" = completed ]
    assert_all_completed "$job" 200
}

@test "a worker is killed: its elements run elsewhere" {
    start_cluster 3
    mkdir "$CLUSTER_DIR/marks"
    victim=$(printf '%s\n' n1 n2 n3 | grep -v "$(leader)" | tail -n 1)
    job=$(submit "$(marks 0-99 0.1)")
    wait_until 20 test -e "$CLUSTER_DIR/marks/10"
    kill_node "$victim"
    [ "$(job_end "$job")" = completed ]
    assert_all_completed "$job" 100
}

@test "a worker is stopped past the time limit and continued: nothing counts twice" {
    start_cluster 3 -o jobs.offline_after=3200ms
    mkdir "$CLUSTER_DIR/marks"
    victim=$(printf '%s\n' n1 n2 n3 | grep -v "$(leader)" | tail -n 1)
    job=$(submit "$(marks 0-59 0.1)")
    wait_until 20 test -e "$CLUSTER_DIR/marks/5"
    pid=$(node_pid "$victim")
    kill -STOP "$pid"
    wait_until 20 node_state_is "$victim" offline
    kill -CONT "$pid"
    [ "$(job_end "$job")" = completed ]
    assert_all_completed "$job" 60
    wait_until 20 node_state_is "$victim" online
}

@test "every server is restarted while a job runs" {
    start_cluster 1
    mkdir "$CLUSTER_DIR/marks"
    job=$(submit "$(marks 0-39 0.1)")
    wait_until 20 test -e "$CLUSTER_DIR/marks/5"
    kill -9 "$CLUSTER_PID"
    wait "$CLUSTER_PID" || true
    clusterd run --config "$CLUSTER_DIR/n1/clusterd.yaml" >/dev/null 2>&1 3>&- &
    STARTED_PIDS=$!
    wait_until 20 api -f /api/nodes
    [ "$(job_end "$job")" = completed ]
    assert_all_completed "$job" 40
}

@test "a key submits once, however often it is repeated" {
    start_cluster 3
    first=$(submit '{"argv":["true"],"idempotency_key":"k"}')
    [ "$(job_end "$first")" = completed ]
    for node in n1 n2 n3; do
        [ "$(acknowledged -n $node -d '{"argv":["true"],"idempotency_key":"k"}' /api/jobs | jq -r .id)" = "$first" ]
    done
    [ "$(api /api/jobs | jq length)" = 1 ]
}

@test "a dependency is waited for; one that can't be met cancels" {
    start_cluster 1
    good=$(submit '{"argv":["true"]}')
    bad=$(submit '{"argv":["false"]}')
    after_good=$(submit "{\"argv\":[\"true\"],\"after\":[\"ok:$good\"]}")
    after_bad=$(submit "{\"argv\":[\"true\"],\"after\":[\"ok:$bad\"]}")
    [ "$(job_end "$after_good")" = completed ]
    [ "$(job_end "$after_bad")" = cancelled ]
}

@test "a failed element is retried, and the job says why it failed" {
    start_cluster 1
    job=$(submit '{"commands":["echo no >&2; exit 3"],"retries":2}')
    [ "$(job_end "$job")" = failed ]
    [ "$(api "/api/jobs/$job/tasks?attempts=all" | jq length)" = 3 ]
    [ "$(api "/api/jobs/$job/tasks?output=true" | jq -r '.[0] | "\(.exit_code) \(.code) \(.stderr)"')" = "3 exit_nonzero no" ]
}

@test "a large array is filtered, restored and retried in pieces" {
    start_cluster 1 -o worker.slots=2
    job=$(submit "{\"array\":\"0-4499\",\"commands\":[\"i=\$CLUSTERD_ARRAY_INDEX; while [ \$i = 4499 ] && ! [ -e $CLUSTER_DIR/go ]; do sleep 0.05; done; [ \$((i % 1000)) != 999 ] || [ -e $CLUSTER_DIR/well ]\"]}")
    wait_until 90 bash -c "[ \$(curl -s --unix-socket $(socket_of n1) http://localhost/api/jobs/$job | jq '.completed + .failed') = 4499 ]"
    [ "$(api "/api/jobs/$job/tasks?state=failed" | jq -c 'map(.index)')" = '[999,1999,2999,3999]' ]
    [ "$(api "/api/jobs/$job/tasks?state=failed&limit=1&after=1000" | jq -c 'map(.index)')" = '[1999]' ]
    [ "$(api "/api/jobs/$job/tasks?state=completed&limit=3&after=4000" | jq -c 'map(.index)')" = '[4001,4002,4003]' ]
    kill -9 "$CLUSTER_PID"
    wait "$CLUSTER_PID" || true
    clusterd run --config "$CLUSTER_DIR/n1/clusterd.yaml" >/dev/null 2>&1 3>&- &
    STARTED_PIDS=$!
    wait_until 20 api -f "/api/jobs/$job"
    touch "$CLUSTER_DIR/go"
    [ "$(job_end "$job")" = failed ]
    [ "$(api "/api/jobs/$job" | jq -c '[.completed, .failed]')" = '[4496,4]' ]
    touch "$CLUSTER_DIR/well"
    [ "$(api -X POST "/api/jobs/$job/retry" | jq -r .state)" = running ]
    [ "$(job_end "$job")" = completed ]
    [ "$(api "/api/jobs/$job" | jq -c '[.completed, .failed]')" = '[4500,0]' ]
    [ "$(api "/api/jobs/$job/tasks?element=1999&attempts=all" | jq -c 'map(.state)')" = '["failed","completed"]' ]
    [ "$(api "/api/jobs/$job/tasks?attempts=all&limit=10000" | jq 'map(select(.state == "completed")) | length')" = 4500 ]
}

@test "elements that wait are told apart from those that do not" {
    start_cluster 1 -o worker.slots=4
    job=$(submit "{\"array\":\"1,3,5-9%2\",\"commands\":[\"while ! [ -e $CLUSTER_DIR/go ]; do sleep 0.05; done\"]}")
    wait_until 20 bash -c "[ \$(curl -s --unix-socket $(socket_of n1) http://localhost/api/jobs/$job | jq .running) = 2 ]"
    [ "$(api "/api/jobs/$job/tasks?state=pending" | jq -c 'map(.index)')" = '[5,6,7,8,9]' ]
    [ "$(api "/api/jobs/$job/tasks?state=pending&limit=2&after=5" | jq -c 'map(.index)')" = '[6,7]' ]
    [ "$(api "/api/jobs/$job/tasks?limit=3" | jq -c 'map([.index, .state == "pending"])')" = '[[1,false],[3,false],[5,true]]' ]
    touch "$CLUSTER_DIR/go"
    [ "$(job_end "$job")" = completed ]
    [ "$(api "/api/jobs/$job/tasks?state=pending")" = '[]' ]
}

@test "an element that is cancelled before it begins is cancelled from then on" {
    start_cluster 1 -o worker.slots=2
    job=$(submit "{\"array\":\"0-9%2\",\"commands\":[\"while ! [ -e $CLUSTER_DIR/go ]; do sleep 0.05; done\"]}")
    wait_until 20 bash -c "[ \$(curl -s --unix-socket $(socket_of n1) http://localhost/api/jobs/$job | jq .running) = 2 ]"
    api -f -d '{"elements":"4-5,8"}' "/api/jobs/$job/cancel" >/dev/null
    [ "$(api "/api/jobs/$job/tasks?state=pending" | jq -c 'map(.index)')" = '[2,3,6,7,9]' ]
    [ "$(api "/api/jobs/$job/tasks?state=cancelled" | jq -c 'map([.index, .attempt])')" = '[[4,0],[5,0],[8,0]]' ]
    [ "$(api "/api/jobs/$job/tasks?state=cancelled&limit=1&after=4" | jq -c 'map(.index)')" = '[5]' ]
    [ "$(api "/api/jobs/$job/tasks" | jq -c 'map(select(.state == "cancelled").index)')" = '[4,5,8]' ]
    [ "$(api "/api/jobs/$job/tasks?element=8" | jq -r '.[0].state')" = cancelled ]
    api -f -d '{"elements":"0"}' "/api/jobs/$job/cancel" >/dev/null
    wait_until 20 bash -c "curl -s --unix-socket $(socket_of n1) 'http://localhost/api/jobs/$job/tasks?state=cancelled' | jq -e 'map(.index) == [0,4,5,8]'"
    touch "$CLUSTER_DIR/go"
    [ "$(job_end "$job")" = cancelled ]
    [ "$(api "/api/jobs/$job/tasks" | jq -c 'map(select(.state == "cancelled").index)')" = '[0,4,5,8]' ]
    [ "$(api "/api/jobs/$job/tasks?state=pending")" = '[]' ]
}

@test "a pending job says why it waits" {
    start_cluster 1
    job=$(submit '{"argv":["true"],"selector":"gpu=1"}')
    wait_until 10 holds "/api/jobs/$job" '.reason | contains("gpu")'
    [ "$(api -f -X POST "/api/jobs/$job/cancel" | jq -r .state)" = cancelled ]
}

@test "a running element says what it uses, wherever it runs" {
    start_cluster 3
    job=$(submit '{"commands":["echo begun; echo oops >&2; while [ ! -e '"$CLUSTER_DIR"'/enough ]; do :; done"],"array":"0-2"}')
    busy() {
        api "/api/jobs/$job/tasks?usage=true" |
            jq -e 'length == 3 and all(.[]; .state == "running" and .user_ms + .system_ms >= 20 and .rss_max_bytes > 0
                and .stdout_bytes == 6 and .stderr_bytes == 5 and .started_at != null)'
    }
    wait_until 60 busy
    [ "$(api "/api/jobs/$job/tasks" | jq -c '[.[] | .user_ms + .stdout_bytes]')" = '[0,0,0]' ]
    touch "$CLUSTER_DIR/enough"
    [ "$(job_end "$job")" = completed ]
}

@test "cancel stops what runs, with all it started" {
    start_cluster 1
    job=$(submit "{\"commands\":[\"setsid sleep 1000 & echo \$! > $CLUSTER_DIR/pid; sleep 1000\"]}")
    wait_until 20 test -s "$CLUSTER_DIR/pid"
    api -f -X POST "/api/jobs/$job/cancel" >/dev/null
    [ "$(job_end "$job")" = cancelled ]
    wait_until 20 bash -c "! kill -0 $(cat "$CLUSTER_DIR/pid")"
}

@test "a time limit ends an element that ignores SIGTERM" {
    start_cluster 1
    job=$(submit '{"commands":["trap \"\" TERM; while :; do sleep 0.1; done"],"time_limit_ms":200,"kill_grace_ms":200}')
    [ "$(job_end "$job")" = failed ]
    [ "$(api "/api/jobs/$job/tasks" | jq -r '.[0].code')" = time_limit ]
}

@test "an agent in any language works through the polling API" {
    start_cluster 3
    worker=$(api -f -d '{"name":"agent1"}' /api/workers/register | jq -re .worker_id)
    job=$(api -f -d '{"command":"echo hello","selector":"kind=agent"}' /api/jobs/create | jq -re .job_id)
    got=$(api -n n2 -f "/api/jobs/get-job?worker_id=$worker")
    [ "$(jq -r .job_id <<<"$got")" = "$job" ]
    [ "$(api /api/workers/register | jq -r '.[0].state')" = busy ]
    result="{\"worker_id\":\"$worker\",\"job_id\":\"$job\",\"exit_code\":0,\"stdout\":\"hello\\n\"}"
    [ "$(api -n n3 -d "$result" /api/jobs/submit-result | jq -c .)" = '{"accepted":true,"duplicate":false}' ]
    [ "$(api -n n1 -d "$result" /api/jobs/submit-result | jq -c .)" = '{"accepted":true,"duplicate":true}' ]
    [ "$(api "/api/jobs/status?job_id=$job" | jq -r '"\(.state) \(.results[0].stdout)"')" = "completed hello" ]
    other=$(api -f -d '{"name":"agent2"}' /api/workers/register | jq -re .worker_id)
    [ "$(api -o /dev/null -w '%{http_code}' -d "${result/$worker/$other}" /api/jobs/submit-result)" = 403 ]
    [ "$(api -f -d "{\"worker_id\":\"$worker\"}" /api/workers/register | jq -r .worker_id)" = "$worker" ]
    [ "$(api -o /dev/null -w '%{http_code}' "/api/jobs/get-job?worker_id=$worker")" = 204 ]
}

@test "what is asked wrongly is refused with the right status and one clear error" {
    start_cluster 1
    status() { api -o "$CLUSTER_DIR/answer" -w '%{http_code}' "$@"; }
    [ "$(status -d '{' /api/jobs)" = 400 ]
    [ "$(status -d '{"argv":"true"}' /api/jobs)" = 400 ]
    [ "$(status -d '{"argv":["true",1]}' /api/jobs)" = 400 ]
    jq -e '.error.message == "\"argv\" must be a list of strings"' "$CLUSTER_DIR/answer"
    [ "$(status -d '{"worker_id":5}' /api/workers/heartbeat)" = 400 ]
    jq -e '.error.message | contains("no text")' "$CLUSTER_DIR/answer"
    [ "$(status -d '{"argv":["true"],"frob":1}' /api/jobs)" = 400 ]
    jq -e '.error | .code == "invalid" and (.message | contains("frob"))' "$CLUSTER_DIR/answer"
    [ "$(status -d '{"argv":["true"],"array":"5-1"}' /api/jobs)" = 400 ]
    [ "$(status -d '{"argv":["true"],"after":["ok:7"]}' /api/jobs)" = 400 ]
    [ "$(status /api/jobs/abcdef)" = 404 ]
    [ "$(status /api/nowhere)" = 404 ]
    [ "$(status -X DELETE /api/jobs)" = 405 ]
    [ "$(status -d '{"worker_id":"nobody"}' /api/workers/heartbeat)" = 404 ]
    [ "$(status -d '{}' /api/jobs/submit-result)" = 400 ]
    port=$(api /api/status | jq -r '.api[1]')
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$port/api/nodes")" = 401 ]
    token=$(cat "$CLUSTER_DIR/n1/data/api.token")
    [ "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "$port/api/nodes")" = 200 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" -H 'Origin: http://evil' "$port/api/nodes")" = 403 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" -H 'Host: evil' "$port/api/nodes")" = 403 ]
}
