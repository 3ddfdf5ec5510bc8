#!/usr/bin/env bats
# The daemon's command line, its configuration, its data directory: what it refuses, and what it says then.

load ../lib/cluster.bash

setup() {
    DIR=$(mktemp -d /tmp/clusterd-test.XXXXXX)
    cd "$DIR"
}

teardown() {
    stop_cluster
    [ -z "${PID:-}" ] || kill "$PID" 2>/dev/null || true
    rm -rf "$DIR"
}

# A node of its own in $DIR/$1.
make_node() {
    clusterd init "$DIR/$1" -o "node.name=$1" -o peer.listen=127.0.0.1:0 -o api.listen=127.0.0.1:0 \
        -o data.listen=127.0.0.1:0 "${@:2}" >/dev/null
}

# The node of $DIR/$1 starts and serves.
run_node() {
    clusterd run --announce --config "$DIR/$1/clusterd.yaml" >"$DIR/$1.ready" 2>"$DIR/$1.log" 3>&- &
    PID=$!
    wait_until 30 grep -q '^ready: ' "$DIR/$1.ready"
}

# `says STATUS WHAT COMMAND...`: it ends with that status and says that.
says() {
    local want=$1 what=$2
    shift 2
    run timeout $((30 * ${TEST_PATIENCE:-4})) "$@"
    [ "$status" = "$want" ] && [[ "$output" == *"$what"* ]] || { echo "status $status: $output" >&2; return 1; }
}

@test "wrong use is refused with status 2 and says what is wrong" {
    says 2 'a command is missing' clusterd
    says 2 'unknown command frob' clusterd frob
    says 2 'run needs --config FILE' clusterd run
    says 2 'unknown option --bogus' clusterd run --bogus
    says 2 'a value is missing after --config' clusterd run --config
    says 2 'takes no such option' clusterd run --config x --nodes 3
    says 2 'one argument too many: extra' clusterd dev extra
    says 2 'one argument too many: b' clusterd init a b
    says 2 'must be from 1 to 50, not 0' clusterd dev --nodes 0
    says 2 'a FILE is missing' clusterd config check
    [ ! -e clusterd-dev ]
}

@test "what is wrong in a configuration is named" {
    says 1 'No such file' clusterd config check missing.yaml
    printf 'node:\n  nmae: x\n' >c.yaml
    says 1 'c.yaml, line 2: unknown key "node.nmae", did you mean "name"?' clusterd config check c.yaml
    says 1 'unknown key "node.slots"' clusterd run --config /dev/null -o node.slots=1
    says 1 'must be SECTION.KEY=VALUE' clusterd run --config /dev/null -o slots
}

@test "a data directory has one owner, and is refused when it is foreign, newer or incomplete" {
    make_node a
    run_node a
    says 1 "is in use by pid $PID: stop that one" clusterd run --config a/clusterd.yaml
    kill "$PID"
    wait "$PID"
    echo '2 9.9.9' >a/data/format
    says 1 'is of format 2, written by clusterd 9.9.9' clusterd run --config a/clusterd.yaml
    echo '1 0.1.0' >a/data/format
    mv a/data/identity identity
    says 1 'identity: is missing: put it back' clusterd run --config a/clusterd.yaml
    echo '{' >a/data/identity
    says 1 'identity: unreadable: put it back' clusterd run --config a/clusterd.yaml
    mkdir full && touch full/file
    says 1 'is neither empty nor a data directory of clusterd (it has file)' clusterd run --config a/clusterd.yaml -o node.data_dir=full
    cp identity a/data/identity
    run_node a
}

@test "a node that cannot join says why" {
    start_cluster 1
    peer=$(api /api/status | jq -r .peer)
    make_node w -o "cluster.join=$peer" -o cluster.join_token=wrong-wrong-wrong
    says 1 'the join token is wrong: set cluster.join_token' clusterd run --config w/clusterd.yaml
    make_node x -o "cluster.join=$peer"
    says 1 'the join token is wrong: set cluster.join_token' clusterd run --config x/clusterd.yaml
    make_node y -o cluster.join=127.0.0.1:9 -o cluster.join_token=some-token-of-some
    clusterd run --config y/clusterd.yaml 2>y.log 3>&- &
    PID=$!
    wait_until 30 grep -q 'cannot join yet through 127.0.0.1:9 (cluster.join)' y.log
}

@test "a copy of a data directory gets no second node into the cluster" {
    start_cluster 3
    cp -a "$CLUSTER_DIR/n3/data" copy
    sed "s,$CLUSTER_DIR/n3/data,$DIR/copy,; s,listen: \"127.0.0.1:[0-9]*\",listen: \"127.0.0.1:0\",; s,path: .*,path: \"\"," \
        "$CLUSTER_DIR/n3/clusterd.yaml" >copy.yaml
    link=$(api /api/nodes | jq -c '.[] | select(.name == "n3") | .pid')
    clusterd run --config copy.yaml 2>copy.log 3>&- &
    PID=$!
    wait_until 30 grep -q 'another process answers as this node: is a data directory a copy' copy.log
    wait_until 30 all_vote
    wait_until 20 node_state_is n3 online
    [ "$(api /api/nodes | jq -c '.[] | select(.name == "n3") | .pid')" = "$link" ]
}

@test "the state of another cluster is not taken for one's own" {
    make_node a
    make_node b
    run_node a
    kill "$PID"
    wait "$PID"
    run_node b
    kill "$PID"
    wait "$PID"
    rm -r b/data/raft
    cp -a a/data/raft b/data/raft
    says 1 'holds the state of cluster' clusterd run --config b/clusterd.yaml
    rm -r b/data
    mv a/data b/data
    run_node b
}

@test "a port that is taken is named" {
    start_cluster 1
    api_port=$(api /api/status | jq -r '.api[1] | sub(".*:"; "")')
    peer=$(api /api/status | jq -r .peer)
    make_node b
    says 1 "port $api_port of 127.0.0.1 is in use" clusterd run --config b/clusterd.yaml -o "api.listen=127.0.0.1:$api_port"
    says 1 "cannot listen for peers on $peer" clusterd run --config b/clusterd.yaml -o "peer.listen=$peer"
    says 1 "n1 ended (status 1): port $api_port of 127.0.0.1 is in use" clusterd dev --nodes 2 --data "$DIR/dev" \
        -o "api.listen=127.0.0.1:$api_port" -o peer.listen=127.0.0.1:0
}

@test "the nodes of a development cluster have one token: a console goes on with another node over TCP" {
    start_cluster 3
    for node in n2 n3; do cmp "$CLUSTER_DIR/n1/data/api.token" "$CLUSTER_DIR/$node/data/api.token"; done
    address=$(api -n n2 /api/status | jq -r '.api[1]')
    curl -sSf -m 60 -H "Authorization: Bearer $(cat "$CLUSTER_DIR/n1/data/api.token")" "$address/api/nodes" | jq -e 'length == 3'
    endpoint=$(api /api/status | jq -r '.api[1]')
    (
        echo 'node list'
        wait_until 60 test -e "$CLUSTER_DIR/go"
        echo 'node list'
    ) | clustersh -s "$endpoint" --token-file "$CLUSTER_DIR/api.token" -o jsonl >"$CLUSTER_DIR/out" 2>"$CLUSTER_DIR/err" 3>&- &
    shell=$!
    wait_until 60 grep -q n3 "$CLUSTER_DIR/out"
    kill_node n1
    touch "$CLUSTER_DIR/go"
    wait $shell
    [ "$(wc -l <"$CLUSTER_DIR/out")" = 6 ]
}

@test "a token of one's own is used, kept beside the socket, and must be private" {
    make_node a -o "api.token_file=$DIR/token"
    install -m 600 /dev/null token
    echo 0123456789abcdef0123 >token
    run_node a
    [ "$(cat a/data/api.token)" = 0123456789abcdef0123 ]
    address=$(sed -n 's/^ready: .* \(http:.*\)/\1/p' a.ready)
    curl -sSf -m 60 -H 'Authorization: Bearer 0123456789abcdef0123' "$address/api/status" | jq -e '.node == "a"'
    kill "$PID"
    wait "$PID"
    chmod 644 token
    says 1 'others may read the API token' clusterd run --config a/clusterd.yaml
}
