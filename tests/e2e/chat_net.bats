#!/usr/bin/env bats
# The ordered log over networks that are cut and that lose: three and five hosts in namespaces.

load ../lib/cluster.bash
load ../lib/netns.bash
load ../lib/chat.bash

setup() {
    start_hosts 5 || { stop_hosts; skip 'needs root, ip and nft to make network namespaces'; }
}
teardown() { stop_hosts; }

@test "a leader that is cut off acknowledges nothing; the majority goes on; after the cut all agree" {
    start_host_nodes 3 -o chat.heartbeat_interval_ms=100
    wait_until 30 chat_leader_is n3
    wait_until 20 all_take_part
    send n1 '{"text":"before"}' >/dev/null
    cut_both_ways 3 -- 1 2
    send_any() { clustersh -s "$(endpoints n1 n2 n2)" chat send "$@"; }
    send_any during
    run api -n n3 -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d '{"text":"lost"}' /api/chat/messages
    [ "$output" = 503 ] || [ "$output" = 504 ]
    heal
    wait_until 30 chat_leader_is n3
    send n3 '{"text":"after"}' >/dev/null
    has_both() { all_agree && grep -q during "$CLUSTER_DIR/log.n1" && grep -q after "$CLUSTER_DIR/log.n1"; }
    wait_until 30 has_both
}

@test "a cut in one direction: who cannot be heard does not lead" {
    start_host_nodes 3 -o chat.heartbeat_interval_ms=100
    wait_until 30 chat_leader_is n3
    wait_until 20 all_take_part
    cut_one_way 3 -- 1 2
    clustersh -s "$(endpoints n1 n2 n2)" chat send during
    DOWN=' n3'
    wait_until 20 chat_led_by_another n3
    DOWN=
    heal
    wait_until 30 chat_leader_is n3
    send n3 '{"text":"after"}' >/dev/null
    wait_until 30 all_have 2
}

@test "30 % of everything is lost: every message is there once, in one order" {
    start_host_nodes 3 -o chat.heartbeat_interval_ms=200 -o chat.leader_timeout_ms=2000
    wait_until 30 chat_leader_is n3
    wait_until 20 all_take_part
    lose 30
    for node in n1 n2; do
        seq -f "$node says %.0f" 20 | clustersh -s "unix:$(socket_of $node)" chat 3>&- &
        senders="${senders:-} $!"
    done
    wait $senders
    heal
    wait_until 60 all_have 40
    for node in n1 n2; do
        jq -r '.[4]' "$CLUSTER_DIR/log.n1" | grep "^$node says" | diff - <(seq -f "$node says %.0f" 20)
    done
}

@test "five hosts: the leader and one more are cut off, three go on" {
    start_host_nodes 5 -o chat.heartbeat_interval_ms=100
    CHAT_NODES="n1 n2 n3 n4 n5"
    wait_until 30 chat_leader_is n5
    wait_until 20 all_take_part
    cut_both_ways 4 5 -- 1 2 3
    clustersh -s "$(endpoints n1 n2 n3)" chat send during
    DOWN=' n4 n5'
    wait_until 10 chat_leader_is n3
    DOWN=
    heal
    wait_until 30 chat_leader_is n5
    send n5 '{"text":"after"}' >/dev/null
    wait_until 30 all_have 2
}
