# For tests/e2e: clusters of real processes on free ports of loopback, in a folder of their own.
#
#   start_cluster N [OPTION...]   `clusterd dev --nodes N`; sets CLUSTER_DIR, CLUSTER_PID, CLUSTERSH_ENDPOINT (node n1)
#   api [-n NODE] CURL-ARGS PATH  a request to a node's API (default n1)
#   holds [-n NODE] PATH CONDITION [JQ-ARGS]
#                                 a node's answer meets a condition of jq, in one look
#   acknowledged [-n NODE] CURL-ARGS PATH
#                                 a change, asked for until a leader has answered; prints the answer, fails where it is no
#   node_pid NODE                 the process of a node
#   start_node NODE               starts a node again that was killed
#   leader                        name of the node that leads, waits until there is one
#   leader_is NODE                in one look, as led_by_another, which is for after a kill
#   wait_until SECONDS COMMAND... until it succeeds; fails with what it was. The seconds are those of a machine with
#                                 time to spare, TEST_PATIENCE times as many are waited (4; tests/run: more for sanitizers)

wait_until() {
    local left_ms=$(($1 * 1000 * ${TEST_PATIENCE:-4})) pause_ms=20 pause
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $((left_ms -= pause_ms)) -le 0 ]; then
            echo "never: $*" >&2
            return 1
        fi
        printf -v pause '0.%03d' "$pause_ms"
        sleep "$pause"
        pause_ms=$((pause_ms < 160 ? pause_ms * 5 / 4 : 200))
    done
}

start_cluster() {
    local nodes=$1
    shift
    CLUSTER_DIR=$(mktemp -d "${TMPDIR_CLUSTER:-/tmp}/clusterd-test.XXXXXX")
    CLUSTER_NODES=$nodes
    clusterd dev --nodes "$nodes" --no-restart --data "$CLUSTER_DIR" -o peer.listen=127.0.0.1:0 \
        -o api.listen=127.0.0.1:0 -o data.listen=127.0.0.1:0 "$@" >"$CLUSTER_DIR/ready" 2>"$CLUSTER_DIR/log" 3>&- &
    CLUSTER_PID=$!
    is_ready_or_ended() { grep -q '^ready: ' "$CLUSTER_DIR/ready" || ! kill -0 "$CLUSTER_PID"; }
    wait_until 30 is_ready_or_ended
    grep -q '^ready: ' "$CLUSTER_DIR/ready" || { cat "$CLUSTER_DIR/log" >&2; return 1; }
    export CLUSTERSH_ENDPOINT=unix:$CLUSTER_DIR/n1/data/clusterd.sock
    [ "$nodes" -lt 2 ] || wait_until 30 all_online
    [ "$nodes" -lt 3 ] || wait_until 30 all_vote
}

stop_cluster() {
    [ -n "${CLUSTER_PID:-}" ] || return 0
    local pid
    for pid in ${STARTED_PIDS:-}; do kill -CONT "$pid" 2>/dev/null; kill "$pid" 2>/dev/null; done
    pkill -CONT -P "$CLUSTER_PID" 2>/dev/null
    kill "$CLUSTER_PID" 2>/dev/null
    wait "$CLUSTER_PID" 2>/dev/null
    for pid in ${STARTED_PIDS:-}; do wait "$pid" 2>/dev/null; done
    rm -rf "$CLUSTER_DIR"
    CLUSTER_PID=
    STARTED_PIDS=
}

socket_of() {
    echo "$CLUSTER_DIR/$1/data/clusterd.sock"
}

api() {
    local node=n1
    if [ "$1" = -n ]; then
        node=$2
        shift 2
    fi
    curl -sS -m 60 --unix-socket "$(socket_of "$node")" "${@:1:$#-1}" "http://localhost${*: -1}"
}

holds() {
    local node=n1
    if [ "$1" = -n ]; then
        node=$2
        shift 2
    fi
    api -n "$node" -f "$1" | jq -e "${@:3}" "$2"
}

# The key makes it one change however often it is asked for. Without -n: any node that is up.
acknowledged() {
    local node key answer
    node=$(up_node)
    if [ "$1" = -n ]; then
        node=$2
        shift 2
    fi
    key=$(</proc/sys/kernel/random/uuid)
    wait_until 60 is_answered "$@" || return 1
    echo "${answer%$'\n'*}"
    [[ $answer == *$'\n2'?? ]]
}
is_answered() {
    answer=$(api -n "$node" -H "Idempotency-Key: $key" -w '\n%{http_code}' "$@") && [[ $answer != *$'\n50'[34] ]]
}

# What is read, as hexadecimal digits.
hex() {
    od -An -v -tx1 | tr -d ' \n'
}

# A sanitizer keeps freed memory, so that bounds of memory say nothing.
is_instrumented() {
    grep -q -e __asan_init -e __tsan_init "$(command -v clusterd)"
}

# A node that answers: the first that isn't in $DOWN.
up_node() {
    local i
    for ((i = 1; i <= CLUSTER_NODES; i++)); do
        [[ " ${DOWN:-} " == *" n$i "* ]] || { echo "n$i"; return; }
    done
}

leader() {
    wait_until 30 has_leader && echo "$LEADS"
}
# Sets LEADS. A node that is down leads no more, even if that isn't known yet.
has_leader() {
    LEADS=$(leader_now) && [[ " ${DOWN:-} " != *" $LEADS "* ]]
}
leader_now() { api -n "$(up_node)" /healthz | jq -re .leader; }

leader_is() { [ "$(leader_now)" = "$1" ]; }
led_by_another() { has_leader && [ "$LEADS" != "$1" ]; }

all_online() {
    all_answer && [ "$(api -n "$(up_node)" /api/nodes | jq '[.[] | select(.state == "online")] | length')" = "$CLUSTER_NODES" ]
}

all_vote() {
    all_answer && [ "$(api -n "$(up_node)" /api/raft | jq '[.[] | select(.role == "voter" and .state == "online")] | length')" = "$CLUSTER_NODES" ]
}

# Each knows who leads: a node that was started again counts as online before it serves.
all_answer() {
    local i
    for ((i = 1; i <= CLUSTER_NODES; i++)); do api -n "n$i" -f -m 5 /healthz || return 1; done
}

node_state_is() {
    [ "$(api -n "$(up_node)" /api/nodes | jq -r --arg n "$1" '.[] | select(.name == $n) | .state')" = "$2" ]
}

node_pid() {
    pgrep -o -f -- "config $CLUSTER_DIR/$1/clusterd.yaml" # a child looks like it until its exec
}

# Returns when the process has ended: until then its data directory is in use.
kill_node() {
    local pid
    pid=$(node_pid "$1")
    DOWN="${DOWN:-} $1"
    kill -9 "$pid"
    wait_until 20 process_has_ended "$pid"
}
process_has_ended() {
    [ ! -e "/proc/$1/status" ] || grep -qzP '(?s)State:\tZ.*\nThreads:\t1\n' "/proc/$1/status"
}

start_node() {
    clusterd run --config "$CLUSTER_DIR/$1/clusterd.yaml" >/dev/null 2>&1 3>&- &
    STARTED_PIDS="${STARTED_PIDS:-} $!"
    DOWN=${DOWN/ $1/}
}

submit() {
    acknowledged -d "$1" /api/jobs | jq -re .id
}

# Waits for a job to end and prints its state.
job_end() {
    local state
    wait_until 100 job_has_ended "$1" && echo "$state"
}
job_has_ended() {
    state=$(api -n "$(up_node)" -f "/api/jobs/$1" | jq -re 'select(.ended_at != null) | .state')
}
