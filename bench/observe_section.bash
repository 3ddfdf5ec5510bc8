# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by bench/run: what it costs to be watched. The same load with everything on (events kept, /metrics of every node read
# each second, traces sent to a collector at the default share) and with all of it off, in turn, which first changes
# from round to round; a ratio is of one round.

observe_options=()
observe_collector() {
    rm -f "$work/otlp.port"
    "$TOP_BUILDDIR/tests/lib/otlp_collector" /dev/null "$work/otlp.port" &
    collector_pid=$!
    pids+=("$collector_pid")
    until [ -s "$work/otlp.port" ]; do sleep 0.05; done
    observe_options=(-o events.enabled=true -o trace.endpoint="http://127.0.0.1:$(cat "$work/otlp.port")")
}

# observe_watched COMMAND...: runs it while every node's metrics are read once a second, by one process a node.
observe_watched() {
    local socket scrapers=()
    for socket in "${watched[@]}"; do
        curl -s -o /dev/null --rate 1/s --unix-socket "${socket#unix:}" 'http://localhost/metrics?[1-100000]' &
        scrapers+=($!)
    done
    "$@"
    kill "${scrapers[@]}"
    wait "${scrapers[@]}" 2>/dev/null
}

# observe_round I MEASURE: on and off, or off and on; their rates, and the ratio, as lines of files.
observe_round() {
    local on off
    if [ $(($1 % 2)) = 0 ]; then
        on=$(observe_watched "$2" on)
        off=$("$2" off)
    else
        off=$("$2" off)
        on=$(observe_watched "$2" on)
    fi
    echo "$on" >>"$work/$2.on"
    echo "$off" >>"$work/$2.off"
    awk -v a="$on" -v b="$off" 'BEGIN { printf "%.4f\n", a / b }' >>"$work/$2.ratio"
}

# shellcheck disable=SC2317 # called by name
observe_dispatch() {
    local begin end job
    export CLUSTERSH_ENDPOINT=${dispatch_of[$1]}
    begin=$(now_ms)
    job=$(clustersh job submit --array 0-999 -- true)
    clustersh job wait "$job" >/dev/null
    end=$(now_ms)
    awk -v ms=$((end - begin)) 'BEGIN { printf "%.0f\n", 1000000 / ms }'
}
# shellcheck disable=SC2317
observe_order() {
    api_load -c 64 -X POST -H 'Content-Type: application/json' -B "{\"text\":\"$message%u\"}" "${chat_of[$1]}" /api/chat/messages | jq -r .per_s
}

observe_figures() { # MEASURE WHAT
    figure observe "$2, nobody watches" "$(median <"$work/$1.off")" '1/s'
    figure observe "$2, everything on" "$(median <"$work/$1.on")" '1/s'
    figure observe '  on / off, median of the rounds' "$(median <"$work/$1.ratio")" 'x' '>= 0.97'
}

section_observe() {
    observe_bench >"$work/observe"
    figure observe 'one count; one observation' "$(jq -r '"\(.count_ns); \(.observe_ns)"' "$work/observe")" 'ns'
    figure observe 'a count that is found by its labels' "$(jq -r .find_ns "$work/observe")" 'ns'
    figure observe 'a trace that is not recorded' "$(jq -r .unrecorded_ns "$work/observe")" 'ns'
    figure observe 'a span, with its line for the collector' "$(jq -r .span_ns "$work/observe")" 'ns'
    section_observe_dispatch
    section_observe_order
    section_observe_burst
}

# 10,000 events a second of 100 nodes through one collector, with a reader: what it takes, and what it keeps of the processor and the memory.
section_observe_burst() {
    local address token before after load dropped seen leader
    start_cluster observe.burst 1
    leader=$cluster_pid
    address=$(clustersh -o jsonl node list | jq -r .address)
    token=$(sed -n 's/^  join_token: "\(.*\)"/\1/p' "$work/observe.burst/n1/clusterd.yaml")
    curl -sN --unix-socket "${endpoint#unix:}" 'http://localhost/api/events?follow=true&since=1h' >"$work/burst.stream" &
    pids+=("$!")
    worker_load -n 100 -e 100 "$address" "$token" >"$work/burst.out" &
    load=$!
    pids+=("$load")
    until grep -q online "$work/burst.out"; do kill -0 "$load" 2>/dev/null || return; sleep 0.1; done
    before=$(awk '{ print $14 + $15 }' "/proc/$leader/stat")
    sleep 20
    after=$(awk '{ print $14 + $15 }' "/proc/$leader/stat")
    figure observe '10,000 events/s of 100 nodes: collector, processor' "$(ratio $((after - before)) 20)" '% core'
    figure observe '  memory' "$(awk '/VmRSS/ { printf "%.1f", $2 / 1024 }' "/proc/$leader/status")" 'MB'
    kill "$load"
    wait "$load" 2>/dev/null
    figure observe '  told; taken; left out by the nodes' "$(tail -n 1 "$work/burst.out" | jq -r '"\(.told); \(.taken); \(.left_out)"')" ''
    sleep 2
    seen=$(grep -c '"kind":"task.state"' "$work/burst.stream")
    dropped=$(jq -s 'map(.dropped // 0) | add' "$work/burst.stream")
    figure observe '  seen by a reader; dropped for it, which it is told' "$seen; $dropped" ''
    stop_cluster
}

section_observe_dispatch() {
    local i off
    local -A dispatch_of
    [ -x "$TOP_BUILDDIR/tests/lib/otlp_collector" ] || return 0
    observe_collector
    start_cluster observe.off 1 -o worker.slots=2 -o events.enabled=false
    off=$cluster_pid dispatch_of[off]=$endpoint
    start_cluster observe.on 1 -o worker.slots=2 "${observe_options[@]}"
    dispatch_of[on]=$endpoint watched=("${sockets[@]}")
    for ((i = 0; i < 4 * runs; i++)); do observe_round "$i" observe_dispatch; done
    api_load -c 1 "$endpoint" /metrics >"$work/scrape"
    kill "$off" "$collector_pid"
    stop_cluster
    observe_figures observe_dispatch '1,000 no-op elements'
    figure observe 'GET /metrics, median' "$(ratio "$(jq -r .p50_us "$work/scrape")" 1000)" 'ms'
}

section_observe_order() {
    local i off
    local -A chat_of
    [ -x "$TOP_BUILDDIR/tests/lib/otlp_collector" ] || return 0
    observe_collector
    start_chat observe.chat.off -o events.enabled=false
    off=$cluster_pid chat_of[off]=$chat
    start_chat observe.chat.on "${observe_options[@]}"
    chat_of[on]=$chat watched=("${sockets[@]}")
    for ((i = 0; i < 3 * runs; i++)); do SECONDS_EACH=2 observe_round "$i" observe_order; done
    kill "$off" "$collector_pid"
    stop_cluster
    observe_figures observe_order 'ordered messages, 64 clients'
}
