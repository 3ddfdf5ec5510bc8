#!/usr/bin/env bats
# The ordered log on three real nodes: one order everywhere, through the death of any.

load ../lib/cluster.bash
load ../lib/chat.bash

teardown() { stop_cluster; }

@test "clients at once on different nodes: one order on every node" {
    start_chat
    for node in n1 n2 n3; do
        seq -f "$node says %.0f" 100 | clustersh -s "unix:$(socket_of $node)" chat 3>&- &
    done
    wait $(jobs -p | grep -v "^$CLUSTER_PID$")
    wait_until 20 all_have 300
    for node in n1 n2 n3; do # and each client's own order
        jq -r '.[4]' "$CLUSTER_DIR/log.n1" | grep "^$node says" | diff - <(seq -f "$node says %.0f" 100)
    done
}

@test "a message that is sent again is there once, however late and wherever" {
    start_chat
    first=$(send n1 '{"text":"once","client":"me","number":1}' | jq .seq)
    [ "$(send n2 '{"text":"once","client":"me","number":1}' | jq -c '[.seq, .duplicate]')" = "[$first,true]" ]
    for i in $(seq 2 20); do send n1 "{\"text\":\"$i\",\"client\":\"me\",\"number\":$i}" >/dev/null; done
    kill_node n3
    wait_until 20 chat_has_leader
    [ "$(send n1 '{"text":"once","client":"me","number":1}' | jq .duplicate)" = true ]
    start_node n3
    wait_until 20 chat_leader_is n3
    [ "$(send n2 '{"text":"twenty","client":"me","number":20}' | jq .duplicate)" = true ]
    wait_until 20 all_have 20
}

# The same as another user, over TCP.
send_as_nobody() {
    local address
    address=$(api /api/nodes | jq -r --arg n "$1" '.[] | select(.name == $n) | .api_address')
    setpriv --reuid=65534 --regid=65534 --clear-groups curl -sf -H 'Content-Type: application/json' -d "$2" \
        -H "Authorization: Bearer $(cat "$CLUSTER_DIR/$1/data/api.token")" "http://$address/api/chat/messages"
}

@test "a client whose name is a UUID is itself over any connection, another name counts for its user" {
    [ "$(id -u)" = 0 ] || skip "needs a second user"
    start_chat
    message='{"text":"once","client":"0f773869-6f41-4677-b953-85e3c316f95c","number":1}'
    first=$(send n1 "$message" | jq .seq)
    [ "$(send_as_nobody n2 "$message" | jq -c '[.seq, .duplicate]')" = "[$first,true]" ]
    send n1 '{"text":"mine","client":"me","number":1}' >/dev/null
    [ "$(send_as_nobody n2 '{"text":"another","client":"me","number":1}' | jq .duplicate)" = false ]
    wait_until 20 all_have 3
}

@test "lines from a pipe are messages as they are, and one that cannot be sent is an error in the end" {
    start_chat
    printf '/quit\n//x\n\nlast\n' | clustersh -s "unix:$(socket_of n1)" chat
    run clustersh -s "unix:$(socket_of n2)" chat < <(printf 'one\nb\xff\nn\0l\ntwo\n')
    [[ "$status" = 3 && $output == *"line 2 is not UTF-8"*"line 3 holds a NUL"* ]]
    wait_until 20 all_have 5
    [ "$(jq -r '.[4]' "$CLUSTER_DIR/log.n1" | tr '\n' ' ')" = '/quit //x last one two ' ]
}

has_begun() { [ "$(log_of n1 | wc -l)" -gt 20 ]; }

@test "the leader is killed under load: nothing acknowledged is lost, nothing comes twice" {
    start_chat
    {
        seq -f 'line %.0f' 300
        wait_until 60 test -e "$CLUSTER_DIR/killed" # it meets some of the load, however fast that is
        seq -f 'line %.0f' 301 400
    } | clustersh -s "$(endpoints n1 n2 n3)" chat 3>&- &
    sender=$!
    wait_until 20 has_begun
    kill_node n3
    touch "$CLUSTER_DIR/killed"
    wait $sender
    wait_until 20 all_have 400
    jq -r '.[4]' "$CLUSTER_DIR/log.n1" | diff - <(seq -f 'line %.0f' 400)
    start_node n3
    wait_until 20 all_have 400
    wait_until 20 chat_leader_is n3
    send n1 '{"text":"after"}' >/dev/null
    wait_until 20 all_have 401
}

@test "a leader that stops is replaced, and follows when it goes on" {
    start_chat
    send n1 '{"text":"before"}' >/dev/null
    pid=$(node_pid n3)
    kill -STOP "$pid"
    DOWN=' n3'
    clustersh -s "$(endpoints n1 n2 n2)" chat send meanwhile
    wait_until 20 chat_led_by_another n3
    kill -CONT "$pid"
    DOWN=
    wait_until 20 chat_leader_is n3
    send n3 '{"text":"after"}' >/dev/null
    wait_until 20 all_have 3
}

@test "a reader goes on at another node without loss or repetition" {
    start_chat
    clustersh -s "$(endpoints n3 n1 n2)" -o jsonl chat tail -f --from 0 -n 200 >"$CLUSTER_DIR/read" 3>&- &
    reader=$!
    for i in $(seq 100); do send n1 "{\"text\":\"$i\"}" >/dev/null; done
    wait_until 20 grep -q '"100"' "$CLUSTER_DIR/read"
    kill_node n3
    seq 101 200 | clustersh -s "$(endpoints n1 n2 n2)" chat
    wait $reader
    jq -r .text "$CLUSTER_DIR/read" | diff - <(seq 200)
}

@test "a node that returns gets what it missed" {
    start_chat
    kill_node n1
    for first in $(seq 1 500 9501); do
        seq "$first" $((first + 499)) | sed 's/.*/{"text":"m &","client":"me","number":&}/' >"$CLUSTER_DIR/lines"
        send_all n2 "$CLUSTER_DIR/lines"
    done
    start_node n1
    wait_until 30 all_have 10000
}

@test "what a node has missed beyond the leader's memory comes from its disk, and every number is known" {
    start_chat -o chat.message_bytes_max=256K
    kill_node n1
    head -c 100000 /dev/zero | tr '\0' x >"$CLUSTER_DIR/large"
    for first in $(seq 1 20 101); do
        awk -v "i=$first" '{ for (end = i + 20; i < end; i++) printf "{\"text\":\"%d \\u001b ü %s\",\"client\":\"me\",\"number\":%d}\n", i, $0, i }' "$CLUSTER_DIR/large" >"$CLUSTER_DIR/lines"
        send_all n2 "$CLUSTER_DIR/lines"
    done
    start_node n1
    wait_until 30 all_have 120
    [ "$(log_of n1 | jq -r '.[4][0:7]' | sed -n 2p)" = "$(printf '2 \e ü x')" ]
    n1_leads() { chat_leader_is n1 || { clustersh chat transfer n1 && false; }; } # for a moment, then the highest again
    wait_until 20 n1_leads
    [ "$(send n1 '{"text":"again","client":"me","number":7}' | jq .duplicate)" = true ]
    kill_node n1 # what it wrote is whole
    start_node n1
    wait_until 30 all_have 120
    ! grep -q -e damaged -e corrupt "$CLUSTER_DIR/n1/clusterd.log"
}

node_votes() { api -n n3 /api/chat/members | jq -e --arg name "$1" '.[] | select(.name == $name) | .voter' >/dev/null; }
is_founded() { api -n n3 -f /api/kv/clusterd.chat.group | grep -q ' founded$'; }

@test "nodes that lost their logs, the founder too, get them from the others and are of one chat with them" {
    start_chat
    wait_until 10 is_founded
    seq -f '{"text":"m %.0f"}' 500 | api -n n2 -f -H 'Content-Type: application/x-ndjson' --data-binary @- /api/chat/messages >/dev/null
    for node in n1 n2; do
        kill_node $node
        rm -r "$CLUSTER_DIR/$node/data/chat"
        start_node $node
        wait_until 30 all_have 500
        wait_until 30 node_votes $node
    done
    [ "$(api -n n1 /api/chat/members | jq length)" = 3 ]
    send n1 '{"text":"after"}' >/dev/null
    wait_until 20 all_have 501
}

@test "when all logs are gone and the cluster is told so, the nodes begin a new chat" {
    start_chat
    wait_until 10 is_founded
    send n1 '{"text":"old"}' >/dev/null
    api -n n2 -f -X DELETE /api/kv/clusterd.chat.group >/dev/null
    for node in n1 n2 n3; do
        kill_node $node
        rm -r "$CLUSTER_DIR/$node/data/chat"
    done
    for node in n1 n2 n3; do start_node $node; done
    wait_until 30 all_take_part
    send n1 '{"text":"new","client":"me","number":1}' >/dev/null
    wait_until 20 all_have 1
}

@test "many messages in one request are answered in their order, bad ones too" {
    start_chat
    printf '%s\n' '{"text":"a"}' '{"text":""}' '{"text":"b"}' 'x' |
        api -f -H 'Content-Type: application/x-ndjson' --data-binary @- /api/chat/messages >"$CLUSTER_DIR/answers"
    [ "$(jq -s -c 'map(.error.code // .duplicate)' "$CLUSTER_DIR/answers")" = '[false,"invalid",false,"invalid"]' ]
    wait_until 20 all_have 2
    [ "$(api '/api/chat/messages?from=0' | jq -r .text | tr '\n' ' ')" = 'a b ' ]
}

@test "a minority acknowledges nothing, a majority goes on" {
    start_chat
    send n1 '{"text":"one"}' >/dev/null
    wait_until 20 all_have 1
    kill_node n3
    kill_node n2
    run api -n n1 -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d '{"text":"lonely"}' /api/chat/messages
    [ "$output" = 503 ] || [ "$output" = 504 ]
    [ "$(log_of n1 | wc -l)" = 1 ]
    start_node n2
    wait_until 20 chat_has_leader
    send n1 '{"text":"two"}' >/dev/null
}

@test "what is no message is refused and says why" {
    start_chat
    [ "$(status_of -d '{"text":""}')" = 400 ]
    [ "$(status_of -d '{"text":5}')" = 400 ]
    [ "$(status_of -d '{"text":"a","from":"somebody else"}')" = 400 ]
    [ "$(status_of -d '{"text":"a","channel":"no spaces"}')" = 400 ]
    [ "$(status_of -d '{"text":"a","client":"c"}')" = 400 ]
    [ "$(status_of -d '{"text":"a","client":"c","number":0}')" = 400 ]
    [ "$(status_of -d $'{"text":"\xff\xfe"}')" = 400 ]
    [ "$(status_of -d "{\"text\":\"$(printf 'x%.0s' $(seq 66000))\"}")" = 413 ]
    [ "$(status_of -d 'no JSON')" = 400 ]
    [ "$(api -o /dev/null -w '%{http_code}' '/api/chat/messages?from=yesterday')" = 400 ]
    run clustersh chat send "$(printf 'x%.0s' $(seq 66000))"
    [ "$status" = 3 ]
    [[ $output == *'at most 65536 are allowed'* ]]
}

@test "who speaks is told by the connection, and escapes do nothing to a terminal" {
    start_chat
    clustersh chat send $'\e[2Jgone?'
    wait_until 20 all_have 1
    [ "$(api '/api/chat/messages?from=0' | jq -r .from)" = "$(id -un)" ]
    run clustersh chat tail
    [[ $output == *"$(id -un): "'\x1b[2Jgone?'* ]]
    [[ $output != *$'\e'* ]]
}

@test "messages are found by channel and by time" {
    start_chat
    clustersh chat send -C ops first
    before=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
    clustersh chat send second
    clustersh chat send -C ops third
    wait_until 20 all_have 3
    [ "$(clustersh -o jsonl chat tail -C ops | jq -r .text | tr '\n' ' ')" = 'first third ' ]
    [ "$(clustersh -o jsonl chat tail --from "$before" | jq -r .text | tr '\n' ' ')" = 'second third ' ]
    [ "$(clustersh -o jsonl chat tail --from 0 -n 1 | jq -r .text)" = first ]
    last=$(clustersh -o jsonl chat tail --from 0 | jq -r .text | tail -n 2 | xargs)
    [ "$(clustersh -o jsonl chat tail -n 2 | jq -r .text | xargs)" = "$last" ]
    [ "$(clustersh chat tail -n 1000 | wc -l)" = "$(clustersh chat tail --from 0 | wc -l)" ]
}

@test "the log is JSON that jq reads" {
    start_chat
    clustersh chat send 'to be read'
    is_there() { [ "$(jq -r 'select(.kind == "message") | .text' "$CLUSTER_DIR"/n1/data/chat/*.jsonl)" = 'to be read' ]; }
    wait_until 20 is_there # of a majority n1 may not be one
}

@test "a torn end of the log is cut, damage in the middle is repaired from the others" {
    start_chat
    for i in $(seq 50); do send n1 "{\"text\":\"message $i\"}" >/dev/null; done
    wait_until 20 all_have 50
    kill_node n1
    log=$(echo "$CLUSTER_DIR"/n1/data/chat/*.jsonl)
    end=$(grep -ab . "$log" | tail -n 1 | cut -d: -f1)
    at=$(grep -abo '"text":"message 20"' "$log" | cut -d: -f1)
    printf '{"sum":"half a li' | dd of="$log" bs=1 seek=$((end + $(grep -a . "$log" | tail -n 1 | wc -c))) conv=notrunc status=none
    printf X | dd of="$log" bs=1 seek=$((at + 10)) conv=notrunc status=none
    start_node n1
    wait_until 30 all_have 50
    kill_node n1
    start_node n1 # and stays so
    wait_until 30 all_have 50
    ! grep -aq 'half a li' "$log"
}

@test "retention gives up old messages and still knows their numbers" {
    start_chat -o chat.keep_bytes=10M -o chat.message_bytes_max=256K
    send n1 '{"text":"early","client":"me","number":1}' >/dev/null
    head -c 200000 /dev/zero | tr '\0' x >"$CLUSTER_DIR/large"
    jq -Rsc '{text: .}' "$CLUSTER_DIR/large" >"$CLUSTER_DIR/line"
    for i in $(seq 8); do
        for k in $(seq 20); do jq -c --argjson n $((i * 20 + k)) '{text, client: "me", number: $n}' "$CLUSTER_DIR/line"; done >"$CLUSTER_DIR/lines"
        send_all n1 "$CLUSTER_DIR/lines"
    done
    wait_until 30 gone_on n1
    wait_until 30 gone_on n3
    [ "$(send n2 '{"text":"early","client":"me","number":1}' | jq .duplicate)" = true ]
    kill_node n2 # what it kept is enough to go on
    start_node n2
    wait_until 20 all_take_part
    send n2 '{"text":"late"}' >/dev/null
}
gone_on() { api -n "$1" '/api/chat/messages?from=1&limit=1' | head -c 100 | grep -q gone_before; }

@test "the lead is handed over on request, and the highest takes it back" {
    start_chat
    clustersh chat transfer n1
    n1_led() { holds '/api/events?since=1h&kind=chat.lead' 'any(.node == "n1")' -s; }
    wait_until 20 n1_led
    clustersh election show | grep -q chat
    wait_until 20 chat_leader_is n3
    run clustersh chat transfer nobody
    [ "$status" = 3 ]
}

@test "two nodes with one chat.node_id are told, and have one leader all the same" {
    start_cluster 3 -o chat.heartbeat_interval_ms=100 -o chat.node_id=7
    wait_until 20 all_take_part
    for node in n1 n2 n3; do
        wait_until 10 grep -q 'has the same chat.node_id 7' "$CLUSTER_DIR/$node/clusterd.log"
    done
    [ "$(api -n n1 /api/chat/members | jq -c 'map(.id) | unique')" = '[7]' ]
    wait_until 30 chat_has_leader
    send n1 '{"text":"one order"}' >/dev/null
    wait_until 10 all_have 1
}

@test "a node that is removed from the cluster leaves the chat, and the others are a majority without it" {
    start_chat
    kill_node n1
    is_removed() {
        api -n n2 -X POST '/api/nodes/n1/remove?force=true'
        holds -n n2 /api/nodes 'all(.name != "n1")'
    }
    wait_until 20 is_removed # n1 may have led the cluster
    CHAT_NODES='n2 n3'
    wait_until 30 all_take_part
    kill_node n2 # of two members both are needed
    start_node n2
    wait_until 20 all_take_part
    send n2 '{"text":"one"}' >/dev/null
    wait_until 10 all_have 1
    wait_until 10 holds -n n3 /api/chat/members '(map(.name) | sort) == ["n2", "n3"]'
}

@test "a node without the role says so" {
    start_cluster 1 -o node.roles=metadata,worker
    [ "$(api -o /dev/null -w '%{http_code}' /api/chat/members)" = 501 ]
    run clustersh chat send hello
    [ "$status" = 3 ]
    [[ $output == *'takes no part in the chat'* ]]
}
