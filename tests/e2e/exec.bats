#!/usr/bin/env bats
# exec: a command on many nodes, now; and /api/execute in direct mode.

load ../lib/cluster.bash

teardown() { stop_cluster; }

run_on() {
    api -f -N -d "$(jq -cn --arg nodes "$1" --arg command "$2" '{nodes: $nodes, argv: [$command]}')" /api/exec
}

# All of a stream of a node, as bytes.
stream_of() {
    local line
    jq -r --arg n "$1" --arg e "$2" 'select(.node == $n and .event == $e) | .data_base64 // (.data | @base64)' |
        while read -r line; do base64 -d <<<"$line"; done
}

# Three nodes that reach each other.
start_three() {
    start_cluster 3
    local node
    for node in n1 n2 n3; do wait_until 20 reaches_all "$node"; done
}
reaches_all() { api -n "$1" -f -d '{"nodes":"@all","argv":["true"]}' /api/exec | jq -es 'last | .event == "done" and .ok == 3'; }

no_process() {
    ! pgrep -f -- "$1"
}

exec_dirs_are_empty() {
    [ -z "$(find "$CLUSTER_DIR"/n*/data/exec -mindepth 1)" ]
}

@test "a command runs on every node, through any node" {
    start_three
    for via in n1 n2 n3; do
        api -n $via -f -d '{"nodes":"@all","argv":["echo out $CLUSTERD_NODE; echo err >&2; exit ${CLUSTERD_NODE#n}"]}' /api/exec >"$CLUSTER_DIR/lines"
        for node in n1 n2 n3; do
            [ "$(stream_of $node stdout <"$CLUSTER_DIR/lines")" = "out $node" ]
            [ "$(stream_of $node stderr <"$CLUSTER_DIR/lines")" = err ]
            [ "$(jq -c "select(.node == \"$node\" and .event == \"ended\") | [.exit_code, .signal, .code]" "$CLUSTER_DIR/lines")" = "[${node#n},0,\"exit_nonzero\"]" ]
            [ "$(jq -r "select(.node == \"$node\") | .event" "$CLUSTER_DIR/lines" | head -n 1)" = started ]
        done
        [ "$(head -n 1 "$CLUSTER_DIR/lines")" = '{"event":"targets","nodes":["n1","n2","n3"]}' ]
        [ "$(tail -n 1 "$CLUSTER_DIR/lines")" = '{"event":"done","ok":0,"failed":3}' ]
    done
    wait_until 20 exec_dirs_are_empty
}

@test "sets of nodes mean what they say" {
    start_three
    nodes_of() { run_on "$1" true | jq -r 'select(.event == "ended") | .node' | sort | tr '\n' ' '; }
    [ "$(nodes_of 'n[1-2]')" = "n1 n2 " ]
    [ "$(nodes_of '@all!n2')" = "n1 n3 " ]
    [ "$(nodes_of 'n3,n1')" = "n1 n3 " ]
    [ "$(nodes_of '@worker&n2')" = "n2 " ]
}

@test "output is live" {
    start_three
    run_on @all "echo first; while ! [ -e $CLUSTER_DIR/go ]; do sleep 0.02; done; echo second" >"$CLUSTER_DIR/lines" 3>&- &
    local pid=$!
    wait_until 20 bash -c "[ \$(grep -c first $CLUSTER_DIR/lines) = 3 ]"
    ! grep -q second "$CLUSTER_DIR/lines"
    touch "$CLUSTER_DIR/go"
    wait $pid
    [ "$(grep -c second "$CLUSTER_DIR/lines")" = 3 ]
    [ "$(tail -n 1 "$CLUSTER_DIR/lines")" = '{"event":"done","ok":3,"failed":0}' ]
}

@test "a node that is down is a failed line, the others run" {
    start_three
    kill_node n3
    wait_until 20 node_state_is n3 offline
    run_on @all 'echo here' >"$CLUSTER_DIR/lines"
    [ "$(jq -r 'select(.event == "failed") | "\(.node) \(.code)"' "$CLUSTER_DIR/lines")" = "n3 unavailable" ]
    [ "$(tail -n 1 "$CLUSTER_DIR/lines")" = '{"event":"done","ok":2,"failed":1}' ]
}

@test "a node that dies meanwhile is a failed line" {
    start_three
    run_on @all "touch $CLUSTER_DIR/on_\$CLUSTERD_NODE; [ \$CLUSTERD_NODE != n3 ] || sleep 1000" >"$CLUSTER_DIR/lines" 3>&- &
    local pid=$!
    wait_until 20 test -e "$CLUSTER_DIR/on_n3"
    kill_node n3
    wait $pid
    [ "$(jq -r 'select(.event == "failed") | "\(.node) \(.code)"' "$CLUSTER_DIR/lines")" = "n3 unavailable" ]
    [ "$(tail -n 1 "$CLUSTER_DIR/lines")" = '{"event":"done","ok":2,"failed":1}' ]
}

@test "closing the connection stops the commands on every node, with all they started" {
    start_three
    local mark=31415.$$
    curl -sN --unix-socket "$(socket_of n1)" -d "{\"nodes\":\"@all\",\"argv\":[\"touch $CLUSTER_DIR/on_\$CLUSTERD_NODE; sleep $mark & sleep $mark\"]}" http://localhost/api/exec >/dev/null 3>&- &
    local pid=$!
    for node in n1 n2 n3; do wait_until 20 test -e "$CLUSTER_DIR/on_$node"; done
    kill $pid
    wait_until 20 no_process "^sleep $mark"
    wait_until 20 exec_dirs_are_empty
}

@test "much output of all nodes arrives whole at a slow reader, and no node grows" {
    start_three
    before=$(awk '/VmHWM/ { print $2 }' "/proc/$(node_pid n1)/status")
    run_on @all 'head -c 20000000 /dev/zero | tr "\0" x' | { sleep 1; jq -j 'select(.event == "stdout") | .data'; } | tr -d '\n' | tr -s x y >"$CLUSTER_DIR/kinds"
    [ "$(cat "$CLUSTER_DIR/kinds")" = y ]
    run_on @all 'head -c 20000000 /dev/zero | tr "\0" x' | jq -s 'map(select(.event == "stdout") | .data | length) | add' | grep -qx 60000000
    is_instrumented || for node in n1 n2 n3; do
        [ "$(awk '/VmHWM/ { print $2 }' "/proc/$(node_pid $node)/status")" -lt $((before + 30000)) ]
    done
}

@test "bytes that are no text and characters across pieces come through" {
    start_cluster 1
    head -c 700000 /dev/urandom >"$CLUSTER_DIR/random"
    run_on n1 "cat $CLUSTER_DIR/random" | stream_of n1 stdout | cmp - "$CLUSTER_DIR/random"
    for ((i = 0; i < 50000; i++)); do echo "zähle bis $i: äöü€𝄞"; done >"$CLUSTER_DIR/text"
    run_on n1 "cat $CLUSTER_DIR/text" >"$CLUSTER_DIR/lines"
    jq -j 'select(.event == "stdout") | .data' "$CLUSTER_DIR/lines" | cmp - "$CLUSTER_DIR/text"
    ! grep -q data_base64 "$CLUSTER_DIR/lines"
}

@test "several arguments run without a shell; environment and time limit hold" {
    start_cluster 1
    [ "$(api -f -d '{"nodes":"n1","argv":["printf","%s|","a b","$HOME"]}' /api/exec | stream_of n1 stdout)" = 'a b|$HOME|' ]
    [ "$(api -f -d '{"nodes":"n1","argv":["echo $X"],"env":{"X":"a=b c"}}' /api/exec | stream_of n1 stdout)" = 'a=b c' ]
    [ "$(api -f -d '{"nodes":"n1","argv":["sleep","100"],"time_limit_ms":200}' /api/exec | jq -r 'select(.event == "ended") | .code')" = time_limit ]
    [ "$(api -f -d '{"nodes":"n1","argv":["/does/not/exist","x"]}' /api/exec | jq -r 'select(.event == "failed") | .code')" = spawn_failed ]
    [ "$(api -f -d '{"nodes":"n1","argv":["kill -9 $$"]}' /api/exec | jq -c 'select(.event == "ended") | [.exit_code, .signal, .code]')" = '[null,9,"signal"]' ]
}

@test "direct mode answers with the output and how it ended" {
    start_three
    direct() { api -n n2 -d "$1" /api/execute; }
    direct '{"mode":"direct","command":"echo out; echo err >&2; exit 7"}' >"$CLUSTER_DIR/answer"
    jq -e '.mode == "direct" and .exit_code == 7 and .signal == 0 and .stdout == "out\n" and .stderr == "err\n" and .wall_ms >= 0 and (has("truncated") | not)' "$CLUSTER_DIR/answer"
    [ "$(direct '{"mode":"direct","argv":["printf","%s","$CLUSTERD_NODE"]}' | jq -r .stdout)" = '$CLUSTERD_NODE' ]
    [ "$(direct '{"mode":"direct","command":"echo $CLUSTERD_NODE"}' | jq -r .stdout)" = n2 ]
    direct '{"mode":"direct","command":"head -c 3000000 /dev/zero | tr \"\\0\" x; echo end >&2"}' >"$CLUSTER_DIR/answer"
    jq -e '(.stdout | length) == 1048576 and .truncated and .stderr == "end\n" and .exit_code == 0' "$CLUSTER_DIR/answer"
    [ "$(direct '{"mode":"direct","command":"sleep 100","time_limit_ms":200}' | jq -r .code)" = time_limit ]
    [ "$(direct '{"mode":"direct","argv":["/does/not/exist","x"]}' | jq -r .error.code)" = invalid ]
}

@test "a client of direct mode that goes away ends the command" {
    start_cluster 1
    local mark=27182.$$
    curl -s --unix-socket "$(socket_of n1)" -d "{\"mode\":\"direct\",\"command\":\"touch $CLUSTER_DIR/on; sleep $mark\"}" http://localhost/api/execute >/dev/null 3>&- &
    local pid=$!
    wait_until 20 test -e "$CLUSTER_DIR/on"
    kill $pid
    wait_until 20 no_process "^sleep $mark"
}

@test "what is asked wrongly is refused before anything runs" {
    start_cluster 1
    status() { api -o "$CLUSTER_DIR/answer" -w '%{http_code}' -d "$1" "${2:-/api/exec}"; }
    [ "$(status '{"nodes":"n9","argv":["true"]}')" = 404 ]
    [ "$(status '{"nodes":"n[1-4],n8","argv":["true"]}')" = 404 ]
    jq -e '.error.message == "there is no node n[2-4,8]"' "$CLUSTER_DIR/answer"
    [ "$(status '{"nodes":"@nobody","argv":["true"]}')" = 404 ]
    [ "$(status '{"nodes":"n[1-","argv":["true"]}')" = 400 ]
    [ "$(status '{"argv":["true"]}')" = 400 ]
    [ "$(status '{"nodes":"n1"}')" = 400 ]
    [ "$(status '{"nodes":"n1","argv":[]}')" = 400 ]
    [ "$(status '{"nodes":"n1","argv":"true"}')" = 400 ]
    [ "$(status '{"nodes":"n1","argv":["true"],"env":{"A=B":"x"}}')" = 400 ]
    [ "$(status '{"nodes":"n1","argv":["true"],"time_limit_ms":-1}')" = 400 ]
    [ "$(status '{"nodes":"n1","argv":["true"],"shell":"bash"}')" = 400 ]
    jq -e '.error.message | contains("shell")' "$CLUSTER_DIR/answer"
    [ "$(status '[1]')" = 400 ]
    [ "$(status '{"mode":"direct"}' /api/execute)" = 400 ]
}

# add_worker NAME: a node that only works, joined to n1.
add_worker() {
    clusterd init "$CLUSTER_DIR/$1" -o node.name="$1" -o node.roles=worker -o peer.listen=127.0.0.1:0 -o api.listen=none \
        -o data.listen=none -o peer.mesh_max=1 -o cluster.join="$(api /api/nodes | jq -r '.[0].address')" \
        -o cluster.join_token="$(sed -n 's/.*join_token: "\(.*\)"/\1/p' "$CLUSTER_DIR/n1/clusterd.yaml")" >/dev/null
    start_node "$1"
    wait_until 30 node_state_is "$1" online
}

@test "a node that keeps no link to others links to them while it has something to ask" {
    start_cluster 1 -o peer.mesh_max=1
    add_worker w1
    add_worker w2
    wait_until 30 api -n w1 -f -o "$CLUSTER_DIR/lines" -d '{"nodes":"w2","argv":["echo here"]}' /api/exec
    [ "$(stream_of w2 stdout <"$CLUSTER_DIR/lines")" = here ]
    wait_until 30 reaches_all w2
    job=$(submit '{"commands":["head -c 100000 /dev/zero | tr \"\\0\" x"],"selector":"name=w2"}')
    [ "$(job_end "$job")" = completed ]
    [ "$(api -n w1 -f "/api/jobs/$job/output" | wc -c)" = 100000 ]
    add_worker w3
    kill_node w3
    api -n w1 -f -d '{"nodes":"w2,w3","argv":["echo","on"]}' /api/exec >"$CLUSTER_DIR/lines"
    [ "$(tail -n 1 "$CLUSTER_DIR/lines")" = '{"event":"done","ok":1,"failed":1}' ]
    [ "$(jq -r 'select(.event == "failed") | [.node, .code] | join(" ")' "$CLUSTER_DIR/lines")" = 'w3 unavailable' ]
}
