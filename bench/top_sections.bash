# shellcheck shell=bash
# The section of bench/run about clustertop: simulated clusters of several sizes, beside htop, btop and crm_mon.
# shellcheck disable=SC2154 # runs, work, pids: of bench/run

# top_look NODES RATE [OPTION...]: clustertop at a simulated cluster of so many nodes and events a second.
top_look() {
    local nodes=$1 rate=$2 load
    shift 2
    top_load -n "$nodes" -r "$rate" "$work/top$nodes.$rate" >"$work/top.ready" &
    load=$!
    pids+=("$load")
    until grep -qs ready "$work/top.ready"; do sleep 0.05; done
    top_pty -n $((runs * 2 + 1)) -t "${TOP_SECONDS:-20}" -k 12 -f "$nodes nodes" -- clustertop -s "unix:$work/top$nodes.$rate" "$@"
    kill "$load"
    wait "$load" 2>/dev/null
}
# top_back RUNS SECONDS KEY: from a key that goes back in time to the last byte of that moment, 1,000 nodes: by `[` five seconds,
# which the model has, by `{` a minute each, to twelve minutes, which the server has.
top_back() {
    top_load -n 1000 -r 200 "$work/top.back" >"$work/top.ready" &
    pids+=("$!")
    local load=$!
    until grep -qs ready "$work/top.ready"; do sleep 0.05; done
    top_pty -n "$1" -t "$2" -k "$3" -m 12 -q 80 -f '1000 nodes' -- clustertop -s "unix:$work/top.back" -i 100ms -v nodes >"$work/top"
    kill "$load"
    wait "$load" 2>/dev/null
    figure top "back in time with $3, 1,000 nodes, on the screen" "$(jq -r .key_ms "$work/top")" 'ms' '<= 200'
    figure top '  the longest' "$(jq -r .key_max_ms "$work/top")" 'ms' '<= 200'
}
top_figures() {
    figure top "$1: to the first frame" "$(jq -r .frame_ms "$2")" 'ms' "${3:-}"
    figure top '  of it on the processor' "$(jq -r .frame_cpu_ms "$2")" 'ms'
    figure top '  processor, at rest' "$(jq -r .cpu_percent "$2")" '% core' "${4:-}"
    figure top '  resident' "$(jq -r .rss_mb "$2")" 'MB' "${5:-}"
    figure top '  to the terminal' "$(jq -r .bytes_per_s "$2")" 'B/s'
    [ "$(jq -r .key_ms "$2")" = -1 ] || figure top '  key to paint' "$(jq -r .key_ms "$2")" 'ms' '<= 16'
}

# A terminal of 200x50; peers watch this machine, crm_mon a cluster of 20 nodes in a file. Keys of peers turn a tree of processes on
# and off.
section_top() {
    local n rate what
    have clustertop || return 0
    for n in 3 10 100 1000; do
        rate=$((n / 5 + 2))
        if [ "$n" = 3 ]; then
            top_look 3 "$rate" -i 1s >"$work/top"
            top_figures '3 nodes, 1 s' "$work/top" '<= 50' '<= 0.3'
        else
            top_look "$n" "$rate" -i 100ms >"$work/top"
            top_figures "$n nodes, 100 ms" "$work/top" '<= 50' '<= 5' '<= 60'
        fi
    done
    for what in 10,000 50,000; do
        top_look 1000 "${what/,/}" -i 100ms -v logs >"$work/top"
        top_figures "logs, $what events/s" "$work/top" '' '' '<= 60'
        figure top '  key to paint, the longest of 40' "$(jq -r .key_max_ms "$work/top")" 'ms' '<= 16'
    done
    top_back 1 12 '['
    top_back 1 3 '{'
    top_model -r $((runs * 2 + 1)) >"$work/top"
    figure top 'a word in 100,000 lines that go on coming' "$(jq -r .filter_word_ms "$work/top")" 'ms' '<= 100'
    figure top 'a pattern in them' "$(jq -r .filter_regex_ms "$work/top")" 'ms' '<= 100'
    figure top '  in either case' "$(jq -r .filter_fold_ms "$work/top")" 'ms' '<= 100'
    figure top 'ten minutes back, 1000 nodes' "$(jq -r .seek_ms "$work/top")" 'ms' '<= 200'
    figure top "  a frame of the server's" "$(jq -r .seek_frame_ms "$work/top")" 'ms' '<= 200'
    figure top 'events taken' "$(jq -r .events_per_s "$work/top")" '1/s'
    if have htop; then
        top_pty -n "$runs" -t "${TOP_SECONDS:-20}" -k t -f 'Load average' -- htop -d 10 >"$work/top"
        top_figures htop "$work/top"
    fi
    if have btop; then
        top_pty -n "$runs" -t "${TOP_SECONDS:-20}" -k e -f proc -- btop --utf-force >"$work/top"
        top_figures btop "$work/top"
    fi
    if have crm_mon; then
        top_cib >"$work/cib.xml"
        CIB_file="$work/cib.xml" top_pty -n "$runs" -t "${TOP_SECONDS:-20}" -f Online -- watch -n1 -t crm_mon -1 >"$work/top"
        top_figures 'crm_mon, 20 nodes' "$work/top"
    fi
}

top_cib() {
    local i
    printf '<cib crm_feature_set="3.17.0" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0" have-quorum="1" dc-uuid="1">'
    printf '<configuration><crm_config/><nodes>'
    for i in {1..20}; do printf '<node id="%d" uname="n%d"/>' "$i" "$i"; done
    printf '</nodes><resources/><constraints/></configuration><status>'
    for i in {1..20}; do printf '<node_state id="%d" uname="n%d" in_ccm="true" crmd="online" join="member" expected="member"/>' "$i" "$i"; done
    printf '</status></cib>\n'
}
