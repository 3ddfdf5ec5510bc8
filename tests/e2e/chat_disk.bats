#!/usr/bin/env bats
# The ordered log on disks that hang and fail, by tests/lib/slow_disk.c between one node and its disk.

load ../lib/cluster.bash
load ../lib/chat.bash

setup() {
    shim=$(dirname "$(command -v clusterd)")/tests/lib/slow_disk.so
    [ -e "$shim" ] || skip "no $shim: make tests/lib/slow_disk.so"
    ! is_instrumented || skip 'the sanitizer has to come first'
}

teardown() { stop_cluster; }

# start_on_slow_disk WAY: a cluster in which the log of n3, which leads, is on such a disk, written in that WAY.
start_on_slow_disk() {
    start_chat
    kill_node n3
    wait_until 20 chat_has_leader
    LD_PRELOAD=$shim SLOW_DISK=$CLUSTER_DIR/disk SLOW_DISK_UNDER=$CLUSTER_DIR/n3/data/chat SLOW_DISK_AIO=$1 start_node n3
    wait_until 40 chat_leader_is n3
    wait_until 20 all_take_part
}

# The disk hangs or fails, until `rm $CLUSTER_DIR/disk`.
disk() {
    echo "$1" >"$CLUSTER_DIR/mood"
    mv "$CLUSTER_DIR/mood" "$CLUSTER_DIR/disk"
}

n3_says() { grep -q -- "$1" "$CLUSTER_DIR/n3/clusterd.log"; }

# Messages are sent while the disk of the leader gets into that mood: all are there once, in their order.
disk_under_load() {
    {
        seq -f 'line %.0f' 200
        wait_until 60 test -e "$CLUSTER_DIR/disk" # it meets some of the load, however fast that is
        seq -f 'line %.0f' 201 300
    } | clustersh -s "$(endpoints n1 n2 n1)" chat 3>&- &
    sender=$!
    wait_until 20 has_begun
    disk "$1"
    wait_until 30 chat_led_by_another n3
    wait $sender
    DOWN=' n3' wait_until 20 all_have 300
    jq -r '.[4]' "$CLUSTER_DIR/log.n1" | diff - <(seq -f 'line %.0f' 300)
    rm "$CLUSTER_DIR/disk"
    wait_until 40 chat_leader_is n3
    send n1 '{"text":"after"}' >/dev/null
    wait_until 20 all_have 301
}
has_begun() { [ "$(log_of n1 | wc -l)" -gt 20 ]; }

@test "a leader whose disk hangs loses the lead and nothing else, and leads again when it goes on" {
    start_on_slow_disk yes
    disk_under_load hang
    wait_until 10 n3_says 'has taken nothing for'
}

@test "the same where a thread writes" {
    start_on_slow_disk no
    disk_under_load hang
    wait_until 10 n3_says 'has taken nothing for'
}

@test "a leader whose disk fails says so and takes no part until it can be written again" {
    start_on_slow_disk yes
    disk_under_load fail
    wait_until 10 n3_says 'takes no part in the chat until its disk can be written again'
    wait_until 10 n3_says 'can be written again'
}

@test "the same where a thread writes, and the disk fails" {
    start_on_slow_disk no
    disk_under_load fail
    wait_until 10 n3_says 'takes no part in the chat until its disk can be written again'
}
