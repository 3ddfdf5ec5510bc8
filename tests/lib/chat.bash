# For tests/e2e of the chat, on top of cluster.bash. CHAT_NODES: the nodes that take part, n1 n2 n3 unless set.

# Three nodes with heartbeats of 100 ms; returns when all take part and the highest leads.
start_chat() {
    start_cluster 3 -o chat.heartbeat_interval_ms=100 "$@"
    wait_until 30 chat_leader_is n3
    wait_until 10 all_take_part
}

chat_nodes() { echo "${CHAT_NODES:-n1 n2 n3}"; }

# What a node (the first that is up) knows about the chat's leader.
chat_leader() {
    api -n "${1:-$(up_node)}" /api/elections | jq -re '.[] | select(.group == "chat") | .leader // empty'
}

# In one look each; chat_has_leader sets CHAT_LEADER. A node that is down leads no more, even if that isn't known yet.
chat_leader_is() { [ "$(chat_leader)" = "$1" ]; }
chat_has_leader() { CHAT_LEADER=$(chat_leader) && [[ " ${DOWN:-} " != *" $CHAT_LEADER "* ]]; }
chat_led_by_another() { chat_has_leader && [ "$CHAT_LEADER" != "$1" ]; }

all_take_part() {
    local node
    for node in $(chat_nodes); do
        [ "$(api -n "$node" /api/chat/members | jq '[.[] | select(.voter)] | length')" = "$(chat_nodes | wc -w)" ] || return 1
    done
}

# Everything that a node has, one line a message.
log_of() { api -n "$1" '/api/chat/messages?from=0' | jq -c '[.seq, .at, .channel, .from, .text]'; }

# All nodes that are up have the same messages.
all_agree() {
    local node first=
    for node in $(chat_nodes); do
        [[ " ${DOWN:-} " != *" $node "* ]] || continue
        log_of "$node" >"$CLUSTER_DIR/log.$node"
        [ -z "$first" ] || cmp -s "$CLUSTER_DIR/log.$first" "$CLUSTER_DIR/log.$node" || return 1
        first=$node
    done
}

# The same, and there are `$1` of them.
all_have() {
    all_agree && [ "$(wc -l <"$CLUSTER_DIR/log.$(up_node)")" = "$1" ]
}

# A message, sent to a node until it is acknowledged: its number makes it one, however often it is sent.
send() {
    local message=$2
    [[ $message == *'"client"'* ]] || message="${message%\}},\"client\":\"$(</proc/sys/kernel/random/uuid)\",\"number\":1}"
    acknowledged -n "$1" -H 'Content-Type: application/json' -d "$message" /api/chat/messages
}
# Messages of a file, a line each with client and number, in one request, until each is acknowledged.
send_all() { wait_until 60 all_are_sent "$1" "$2"; }
all_are_sent() {
    api -n "$1" -f -H 'Content-Type: application/x-ndjson' --data-binary "@$2" /api/chat/messages >"$CLUSTER_DIR/sent" &&
        [ "$(grep -c '"seq"' "$CLUSTER_DIR/sent")" = "$(wc -l <"$2")" ]
}
status_of() { api -n n1 -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' "$@" /api/chat/messages; }
endpoints() { echo "unix:$(socket_of "$1"),unix:$(socket_of "$2"),unix:$(socket_of "$3")"; }
