#!/usr/bin/env bats
# The configurations in examples/ are good, and do what they say.

load ../lib/cluster.bash
load ../lib/chat.bash

examples=$BATS_TEST_DIRNAME/../../examples

teardown() {
    [ -n "${BATS_TEST_COMPLETED:-}" ] || tail -n 5 "$CLUSTER_DIR"/*.log >&2 || true
    local pid
    for pid in ${STARTED_PIDS:-}; do kill "$pid" 2>/dev/null || true; done
    for pid in ${STARTED_PIDS:-}; do wait "$pid" 2>/dev/null || true; done
    [ -z "${CLUSTER_DIR:-}" ] || rm -rf "$CLUSTER_DIR"
}

@test "every configuration of a node passes the check" {
    for file in "$examples"/chat/host/*.yaml "$examples"/chat/containers/clusterd.yaml; do
        clusterd config check "$file"
    done
    sed -n '/^  clusterd.yaml: |/,/^  start: |/p' "$examples/chat/kubernetes/chat.yaml" | sed '1d;$d' |
        sed 's/^    //' >"$BATS_TEST_TMPDIR/k8s.yaml"
    clusterd config check "$BATS_TEST_TMPDIR/k8s.yaml"
}

# Three ports on loopback that nobody has.
free_ports() {
    local port
    for port in $(shuf -i 20000-30000 -n 100); do
        (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || echo "$port"
    done | head -n 3
}

@test "three nodes of one host: the highest leads, the log is where the configuration says" {
    CLUSTER_DIR=$(mktemp -d /tmp/clusterd-example.XXXXXX)
    ports=$(free_ports)
    for i in 1 2 3; do
        sed -e "s,/tmp/clusterd-chat,$CLUSTER_DIR/run,; s/listen: .*/listen: 127.0.0.1:0/" \
            -e "s/:7400/:$(sed -n 1p <<<"$ports")/; s/:7410/:$(sed -n 2p <<<"$ports")/; s/:7420/:$(sed -n 3p <<<"$ports")/" \
            -e "s/port: 7400/port: $(sed -n 1p <<<"$ports")/; s/port: 7410/port: $(sed -n 2p <<<"$ports")/; s/port: 7420/port: $(sed -n 3p <<<"$ports")/" \
            "$examples/chat/host/n$i.yaml" >"$CLUSTER_DIR/n$i.yaml"
        mkdir -p "$CLUSTER_DIR/run" "$CLUSTER_DIR/n$i"
        ln -s "$CLUSTER_DIR/run/n$i" "$CLUSTER_DIR/n$i/data"
        clusterd run --config "$CLUSTER_DIR/n$i.yaml" >/dev/null 2>"$CLUSTER_DIR/n$i.log" 3>&- &
        STARTED_PIDS="${STARTED_PIDS:-} $!"
    done
    CLUSTER_NODES=3
    wait_until 30 all_take_part
    wait_until 30 chat_leader_is n3
    clustersh -s "unix:$CLUSTER_DIR/run/n1/clusterd.sock" chat send hello
    wait_until 10 all_have 1
    is_there() { jq -e 'select(.text == "hello")' "$CLUSTER_DIR"/run/n2-log/*.jsonl; }
    wait_until 10 is_there
}
