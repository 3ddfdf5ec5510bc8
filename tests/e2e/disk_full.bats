#!/usr/bin/env bats
# A full disk: what changes is refused with the right status, what reads goes on, and so does all when there is room.

load ../lib/cluster.bash
load ../lib/chat.bash

setup() {
    DISK=$(mktemp -d /tmp/clusterd-disk.XXXXXX)
    mount -t tmpfs -o size=64m tmpfs "$DISK" 2>/dev/null || skip 'needs to mount a small file system'
    export TMPDIR_CLUSTER=$DISK
}

teardown() {
    [ -z "${FOLLOWER_DISK:-}" ] || umount -l "$FOLLOWER_DISK"
    stop_cluster
    rm -rf "$DISK"/clusterd-test.*
    umount "$DISK" 2>/dev/null
    rmdir "$DISK"
}

is_refused() {
    [ "$(api -o /dev/null -w '%{http_code}' -m 2 -X PUT --data-binary "@$DISK/value" /api/kv/filler)" = 507 ]
}

@test "a full disk refuses changes, answers reads, and forgets nothing" {
    start_cluster 1
    head -c 30000 /dev/zero >"$DISK/value"
    job=$(submit '{"argv":["echo","before"]}')
    [ "$(job_end "$job")" = completed ]
    dd if=/dev/zero of="$DISK/fill" bs=1M 2>/dev/null || true
    wait_until 30 is_refused
    [ "$(api -o /dev/null -w "%{http_code}" -d "{\"argv\":[\"true\"]}" /api/jobs)" = 507 ]
    [ "$(api "/api/jobs/$job" | jq -r .state)" = completed ]
    rm "$DISK/fill"
    wait_until 30 api -f -X PUT -d x /api/kv/again
    job=$(submit '{"argv":["echo","after"]}')
    [ "$(job_end "$job")" = completed ]
}

# The node gets a small file system of its own for its data.
give_own_disk() {
    local dir=$CLUSTER_DIR/$1
    kill_node "$1"
    wait_until 20 node_state_is "$1" offline
    mv "$dir/data" "$dir/before"
    mkdir "$dir/data"
    mount -t tmpfs -o size=160m tmpfs "$dir/data"
    FOLLOWER_DISK=$dir/data
    cp -a "$dir/before/." "$dir/data/"
    start_node "$1"
    wait_until 30 all_vote
}

lags() {
    [ "$(api /api/raft | jq --arg n "$1" '.[] | select(.name == $n) | .lag')" -gt "$2" ]
}

has_caught_up() {
    [ "$(api /api/raft | jq --arg n "$1" '.[] | select(.name == $n) | .lag')" = 0 ]
}

@test "a follower whose disk is full goes on answering, and catches up when there is room" {
    unset TMPDIR_CLUSTER
    start_cluster 3
    give_own_disk n3
    wait_until 30 led_by_another n3
    pid=$(node_pid n3)
    acknowledged -X PUT -d kept /api/kv/key >/dev/null
    job=$(submit '{"argv":["true"]}')
    [ "$(job_end "$job")" = completed ]
    wait_until 20 has_caught_up n3
    dd if=/dev/zero of="$FOLLOWER_DISK/fill" bs=64k 2>/dev/null || true
    head -c 60000 /dev/zero >"$CLUSTER_DIR/value"
    wait_until 60 api -f -X PUT --data-binary "@$CLUSTER_DIR/value" '/api/kv/filler[1-400]'
    wait_until 30 lags n3 20
    [ "$(node_pid n3)" = "$pid" ]
    [ "$(api -n n3 -f /api/kv/key)" = kept ]
    [ "$(api -n n3 -f '/api/kv/key?consistency=stale')" = kept ]
    acknowledged -n n3 -X PUT -d through /api/kv/other >/dev/null
    [ "$(api -n n3 -f /api/kv/other)" = through ]
    wait_until 10 holds -n n3 /healthz '.status == "ok"'
    wait_until 10 node_state_is n3 online
    rm "$FOLLOWER_DISK/fill"
    wait_until 60 has_caught_up n3
    [ "$(node_pid n3)" = "$pid" ]
    has_other() { [ "$(api -n n3 -f '/api/kv/other?consistency=stale')" = through ]; }
    wait_until 10 has_other
    wait_until 30 all_vote
}

chat_state_is() {
    [ "$(api -n n1 /api/chat/members | jq -r --arg n "$1" '.[] | select(.name == $n) | .state')" = "$2" ]
}

# A bulk of messages, some of which may be refused; those that are acknowledged are counted.
send_many() {
    api -n n1 -m 20 -H 'Content-Type: application/x-ndjson' --data-binary "@$CLUSTER_DIR/many" /api/chat/messages |
        grep '"seq"' >>"$CLUSTER_DIR/acknowledged"
}

leads_no_more() {
    send_many
    chat_led_by_another "$1"
}

acknowledged_are_in() {
    log_of "$1" | jq '.[0]' | sort >"$CLUSTER_DIR/seqs"
    [ -z "$(jq .seq "$CLUSTER_DIR/acknowledged" | sort | comm -23 - "$CLUSTER_DIR/seqs")" ]
}

@test "a chat leader whose disk is full gives up the lead, stays readable, and leads again when there is room" {
    unset TMPDIR_CLUSTER
    start_chat
    give_own_disk n3
    wait_until 30 chat_leader_is n3
    wait_until 30 all_take_part
    send n1 '{"text":"before"}' >"$CLUSTER_DIR/acknowledged"
    text=$(head -c 4000 /dev/zero | tr '\0' x)
    for ((i = 0; i < 250; i++)); do echo "{\"text\":\"$text\"}"; done >"$CLUSTER_DIR/many"
    pid=$(node_pid n3)
    dd if=/dev/zero of="$FOLLOWER_DISK/fill" bs=64k 2>/dev/null || true
    wait_until 60 leads_no_more n3
    [ "$(api -n n3 '/api/chat/messages?from=0&limit=1' | jq -r .text)" = before ]
    [ "$(node_pid n3)" = "$pid" ]
    rm "$FOLLOWER_DISK/fill"
    wait_until 60 chat_leader_is n3
    wait_until 30 chat_state_is n3 online
    send n3 '{"text":"after"}' >>"$CLUSTER_DIR/acknowledged"
    wait_until 30 all_agree
    for node in n1 n2 n3; do acknowledged_are_in "$node"; done
}

node_is_full() {
    api /api/nodes | jq -e --arg n "$1" --argjson full "$2" '.[] | select(.name == $n) | .disk_full == $full'
}

@test "a worker whose disk is full is given nothing, the job says so, and it goes on by itself" {
    unset TMPDIR_CLUSTER
    start_cluster 3
    give_own_disk n3
    wait_until 30 led_by_another n3
    wait_until 20 node_is_full n3 false
    dd if=/dev/zero of="$FOLLOWER_DISK/fill" bs=64k 2>/dev/null || true
    wait_until 20 node_is_full n3 true
    job=$(submit '{"array":"0-39","commands":["true"]}')
    [ "$(job_end "$job")" = completed ]
    [ "$(api "/api/jobs/$job/tasks?attempts=all&limit=1000" | jq '[.[] | select(.node == "n3" and .state != "returned")] | length')" = 0 ]
    job=$(submit '{"argv":["true"],"selector":"name=n3"}')
    wait_until 20 holds "/api/jobs/$job" '.reason == "n3 has no disk space"'
    rm "$FOLLOWER_DISK/fill"
    [ "$(job_end "$job")" = completed ]
    wait_until 20 node_is_full n3 false
}

@test "elements that find no room on the disk before they begin run elsewhere, without using up retries" {
    unset TMPDIR_CLUSTER
    start_cluster 3 -o worker.heartbeat_interval=10s -o jobs.suspect_after=30s -o jobs.offline_after=60s -o worker.slots=2
    kill_node n3
    dir=$CLUSTER_DIR/n3
    mv "$dir/data" "$dir/before"
    mkdir "$dir/data"
    mount -t tmpfs -o size=160m tmpfs "$dir/data"
    FOLLOWER_DISK=$dir/data
    cp -a "$dir/before/." "$dir/data/"
    start_node n3
    wait_until 30 node_runs n3
    dd if=/dev/zero of="$FOLLOWER_DISK/fill" bs=64k 2>/dev/null || true
    job=$(submit '{"array":"0-29","commands":["true"]}')
    [ "$(job_end "$job")" = completed ]
    [ "$(api "/api/jobs/$job" | jq .failed)" = 0 ]
    wait_until 20 node_is_full n3 true
}

node_runs() {
    [ "$(job_end "$(submit "{\"argv\":[\"true\"],\"selector\":\"name=$1\"}")")" = completed ]
}
