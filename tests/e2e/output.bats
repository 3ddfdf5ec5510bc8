#!/usr/bin/env bats
# The output of elements: from any node, while they run and after, byte for byte.

load ../lib/cluster.bash

teardown() { stop_cluster; }

# Follows in the background into FILE; FILE.head has the head of the answer.
follow() {
    local file=$1 node=$2 path=$3
    : >"$file"
    { api -n "$node" -N -D "$file.head" -o "$file" "$path" 2>/dev/null && echo 0 || echo $?; } >"$file.status" 3>&- &
    FOLLOWER=$!
}

# Waits for the follower's end; FOLLOWED is curl's exit status.
follow_end() {
    wait "$FOLLOWER"
    FOLLOWED=$(cat "$1.status")
}

# Prints a line for each thing that MARKS/go lets it do.
steps() {
    local commands='echo one;'
    local step
    for step in "$@"; do commands+=" while ! [ -e $CLUSTER_DIR/$step ]; do sleep 0.02; done; echo $step;"; done
    jq -cn --arg commands "$commands" '{commands: [$commands], selector: "'"${SELECTOR:-}"'"}'
}

task_state_is() {
    [ "$(api -n "$(up_node)" "/api/jobs/$1/tasks" | jq -r '.[0].state')" = "$2" ]
}

# The attempt that counts: on a busy machine a second node may seem lost too.
last_attempt() {
    api -n "$(up_node)" "/api/jobs/$1/tasks" | jq '.[0].attempt'
}

rss_max_kb() {
    awk '/VmHWM/ { print $2 }' "/proc/$(node_pid "$1")/status"
}

@test "large output comes from every node byte for byte" {
    start_cluster 3
    job=$(submit "{\"commands\":[\"head -c 3000000 /dev/urandom | tee $CLUSTER_DIR/out; head -c 300000 /dev/urandom | tee $CLUSTER_DIR/err >&2\"]}")
    [ "$(job_end "$job")" = completed ]
    for node in n1 n2 n3; do
        api -n $node -f "/api/jobs/$job/output" | cmp - "$CLUSTER_DIR/out"
        api -n $node -f "/api/jobs/$job/output?stream=stderr" | cmp - "$CLUSTER_DIR/err"
        api -n $node -f "/api/jobs/$job/output?offset=2000001" | cmp - <(tail -c +2000002 "$CLUSTER_DIR/out")
    done
}

@test "small output comes from every node, even when it is no text, and outlives its worker" {
    start_cluster 3
    job=$(submit '{"commands":["printf \"a\\377\\000\\376b\""],"selector":"name=n3"}')
    [ "$(job_end "$job")" = completed ]
    kill_node n3
    leader # n3 may have been it
    for node in n1 n2; do
        [ "$(api -n $node -f "/api/jobs/$job/output" | hex)" = 61ff00fe62 ]
        [ "$(api -n $node -f "/api/jobs/$job/output?offset=3" | hex)" = fe62 ]
        [ "$(api -n $node -f "/api/jobs/$job/output?stream=stderr" | wc -c)" = 0 ]
    done
}

@test "a follower sees each line while the element runs, and ends with it" {
    start_cluster 3
    job=$(SELECTOR=name=n2 submit "$(SELECTOR=name=n2 steps two three)")
    follow "$CLUSTER_DIR/seen" n3 "/api/jobs/$job/output?follow=true"
    wait_until 20 grep -q one "$CLUSTER_DIR/seen"
    touch "$CLUSTER_DIR/two"
    wait_until 20 grep -q two "$CLUSTER_DIR/seen"
    ! grep -q three "$CLUSTER_DIR/seen"
    touch "$CLUSTER_DIR/three"
    follow_end "$CLUSTER_DIR/seen"
    [ "$FOLLOWED" = 0 ]
    [ "$(cat "$CLUSTER_DIR/seen" | tr '\n' ' ')" = "one two three " ]
}

@test "without follow the output so far is given at once" {
    start_cluster 1
    job=$(submit "$(steps two)")
    wait_until 20 bash -c "[ -n \"\$(curl -s --unix-socket $(socket_of n1) http://localhost/api/jobs/$job/output)\" ]"
    [ "$(api "/api/jobs/$job/output")" = one ]
    touch "$CLUSTER_DIR/two"
    [ "$(job_end "$job")" = completed ]
}

@test "a follower of an element that waits begins when it runs" {
    start_cluster 1
    first=$(submit "$(steps go)")
    second=$(submit "{\"argv\":[\"echo\",\"second\"],\"after\":[\"any:$first\"]}")
    follow "$CLUSTER_DIR/seen" n1 "/api/jobs/${second}_0/output?follow=true"
    wait_until 20 test -s "$CLUSTER_DIR/seen.head"
    touch "$CLUSTER_DIR/go"
    follow_end "$CLUSTER_DIR/seen"
    [ "$FOLLOWED" = 0 ]
    [ "$(cat "$CLUSTER_DIR/seen")" = second ]
}

@test "a follower of an element that is cancelled before it runs ends" {
    start_cluster 1
    job=$(submit '{"argv":["true"],"selector":"gpu=1"}')
    follow "$CLUSTER_DIR/seen" n1 "/api/jobs/$job/output?follow=true"
    wait_until 20 test -s "$CLUSTER_DIR/seen.head"
    api -f -X POST "/api/jobs/$job/cancel" >/dev/null
    follow_end "$CLUSTER_DIR/seen"
    [ "$FOLLOWED" = 0 ]
    [ ! -s "$CLUSTER_DIR/seen" ]
}

@test "a follower sees the end of an element that is cancelled, that fails, that runs out of time" {
    start_cluster 1
    for spec in '{"commands":["echo seen; exit 3"]}' '{"commands":["echo seen; sleep 100"],"time_limit_ms":3000}'; do
        job=$(submit "$spec")
        [ "$(api -f "/api/jobs/$job/output?follow=true")" = seen ]
        [ "$(job_end "$job")" = failed ]
    done
    job=$(submit "$(steps never)")
    follow "$CLUSTER_DIR/seen" n1 "/api/jobs/$job/output?follow=true"
    wait_until 20 grep -q one "$CLUSTER_DIR/seen"
    api -f -X POST "/api/jobs/$job/cancel" >/dev/null
    follow_end "$CLUSTER_DIR/seen"
    [ "$FOLLOWED" = 0 ]
}

@test "much output followed live from another node arrives whole, and no node grows" {
    start_cluster 3
    before=$(rss_max_kb n2)
    job=$(submit '{"commands":["i=0; while [ $i -lt 256 ]; do head -c 1048576 /dev/zero | tr \"\\\\0\" x; i=$((i+1)); done"],"selector":"name=n2"}')
    [ "$(api -n n3 -f "/api/jobs/$job/output?follow=true" | tr -d x | wc -c)" = 0 ]
    [ "$(api -n n1 -f "/api/jobs/$job/output" | wc -c)" = 268435456 ]
    is_instrumented || for node in n1 n2 n3; do [ "$(rss_max_kb $node)" -lt $((before + 40000)) ]; done
}

@test "a follower that does not read holds nothing up" {
    start_cluster 3
    job=$(submit "{\"commands\":[\"head -c 50000000 /dev/zero; touch $CLUSTER_DIR/written\"],\"selector\":\"name=n2\"}")
    exec 7< <(api -n n3 -N "/api/jobs/$job/output?follow=true" 3>&-)
    head -c 1000 <&7 >/dev/null
    [ "$(job_end "$job")" = completed ]
    [ "$(api -n n3 -f "/api/jobs/$job/output" | wc -c)" = 50000000 ]
    exec 7<&-
}

@test "when the node dies before it wrote anything, the follower goes on with the next attempt" {
    start_cluster 3
    job=$(submit "{\"commands\":[\"if mkdir $CLUSTER_DIR/first; then sleep 100; fi; echo from \$CLUSTERD_ATTEMPT\"],\"selector\":\"name!=$(leader)\"}")
    wait_until 20 test -e "$CLUSTER_DIR/first"
    wait_until 20 task_state_is "$job" running
    node=$(api "/api/jobs/$job/tasks" | jq -r '.[0].node')
    follow "$CLUSTER_DIR/seen" "$(leader)" "/api/jobs/$job/output?follow=true"
    kill_node "$node"
    follow_end "$CLUSTER_DIR/seen"
    [ "$FOLLOWED" = 0 ]
    [ "$(last_attempt "$job")" -ge 2 ]
    [ "$(cat "$CLUSTER_DIR/seen")" = "from $(last_attempt "$job")" ] || { cat "$CLUSTER_DIR/seen" >&2; return 1; }
}

@test "when the node dies after it wrote something, the follower is broken off, not misled" {
    start_cluster 3
    job=$(submit "{\"commands\":[\"echo from \$CLUSTERD_ATTEMPT; if mkdir $CLUSTER_DIR/first; then sleep 100; fi\"],\"selector\":\"name!=$(leader)\"}")
    wait_until 20 task_state_is "$job" running
    node=$(api "/api/jobs/$job/tasks" | jq -r '.[0].node')
    follow "$CLUSTER_DIR/seen" "$(leader)" "/api/jobs/$job/output?follow=true"
    wait_until 20 grep -q from "$CLUSTER_DIR/seen"
    kill_node "$node"
    follow_end "$CLUSTER_DIR/seen"
    [ "$FOLLOWED" = 18 ]
    [ "$(cat "$CLUSTER_DIR/seen")" = "from 1" ]
    [ "$(job_end "$job")" = completed ]
    [ "$(last_attempt "$job")" -ge 2 ]
    [ "$(api -n "$(up_node)" "/api/jobs/$job/output")" = "from $(last_attempt "$job")" ]
}

@test "the leader dies while output is followed: the follower does not notice" {
    start_cluster 3
    old=$(leader)
    others=($(printf '%s\n' n1 n2 n3 | grep -v "$old"))
    job=$(submit "$(SELECTOR=name=${others[0]} steps two)")
    follow "$CLUSTER_DIR/seen" "${others[1]}" "/api/jobs/$job/output?follow=true"
    wait_until 20 grep -q one "$CLUSTER_DIR/seen"
    kill_node "$old"
    touch "$CLUSTER_DIR/two"
    follow_end "$CLUSTER_DIR/seen"
    [ "$FOLLOWED" = 0 ]
    [ "$(cat "$CLUSTER_DIR/seen" | tr '\n' ' ')" = "one two " ]
}

@test "an attempt that comes and ends while the leader is asked about the one before is given too" {
    export CLUSTERD_FAILPOINTS=$BATS_TEST_TMPDIR/failpoints
    mkdir "$CLUSTERD_FAILPOINTS"
    start_cluster 3
    lead=$(leader)
    others=($(printf '%s\n' n1 n2 n3 | grep -v "$lead"))
    job=$(submit "{\"commands\":[\"until [ -e $CLUSTER_DIR/go ]; do sleep 0.01; done; [ \$CLUSTERD_ATTEMPT = 2 ] && echo second\"],\"selector\":\"name=${others[0]}\",\"retries\":1}")
    wait_until 20 task_state_is "$job" running
    follow "$CLUSTER_DIR/seen" "${others[1]}" "/api/jobs/$job/output?follow=true"
    touch "$CLUSTERD_FAILPOINTS/output.over"
    # the first fails, and there is no place for a second
    api -n "$lead" -f -X POST -d '{}' "/api/nodes/${others[0]}/drain" >/dev/null
    touch "$CLUSTER_DIR/go"
    wait_until 60 test -e "$CLUSTERD_FAILPOINTS/output.over.held"
    # the node that follows stands still between two questions: what ends now it has not heard of
    api -n "$lead" -f -X POST "/api/nodes/${others[0]}/resume" >/dev/null
    ended() { api -n "$lead" -f "/api/jobs/$job" | jq -e '.state == "completed"'; }
    wait_until 100 ended
    rm "$CLUSTERD_FAILPOINTS/output.over"
    follow_end "$CLUSTER_DIR/seen"
    [ "$FOLLOWED" = 0 ]
    [ "$(cat "$CLUSTER_DIR/seen")" = second ]
}

@test "each attempt's output can be asked for" {
    start_cluster 1
    job=$(submit '{"commands":["echo attempt $CLUSTERD_ATTEMPT; [ $CLUSTERD_ATTEMPT = 3 ]"],"retries":5}')
    [ "$(job_end "$job")" = completed ]
    for attempt in 1 2 3; do
        [ "$(api "/api/jobs/$job/output?attempt=$attempt&follow=true")" = "attempt $attempt" ]
    done
    [ "$(api "/api/jobs/$job/output")" = "attempt 3" ]
}

@test "what is not there is said clearly" {
    start_cluster 3
    job=$(submit '{"argv":["echo","x"]}')
    [ "$(job_end "$job")" = completed ]
    status() { api -n n2 -o "$CLUSTER_DIR/answer" -w '%{http_code}' "$1"; }
    [ "$(status "/api/jobs/$job/output?element=1")" = 404 ]
    [ "$(status "/api/jobs/${job}_7/output")" = 404 ]
    [ "$(status "/api/jobs/$job/output?attempt=2")" = 404 ]
    [ "$(status /api/jobs/deadbeef/output)" = 404 ]
    [ "$(status "/api/jobs/$job/output?stream=stdin")" = 400 ]
    [ "$(status "/api/jobs/$job/output?offset=-1")" = 400 ]
    [ "$(status "/api/jobs/a%2F..%2Fb/output")" = 400 ]
    jq -e .error.code "$CLUSTER_DIR/answer"
    [ "$(api "/api/jobs/$job/output?offset=1000")" = "" ]
}
