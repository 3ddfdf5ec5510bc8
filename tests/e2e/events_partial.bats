#!/usr/bin/env bats
# While no node leads: frames, vitals and reports of the nodes that are left (docs/events.md).

bats_require_minimum_version 1.5.0
load ../lib/cluster.bash

teardown() {
    [ -z "${FOLLOWER:-}" ] || kill "$FOLLOWER" 2>/dev/null || true
    FOLLOWER=
    stop_cluster
}

ready_frame() { api -n "${1:-n1}" -f /api/frame; }

# mirrored NODE COUNT: so many other voters have all that NODE has collected
mirrored() {
    api -n "$1" /api/metrics | jq -e --argjson n "$2" '[.[] | select(.name == "clusterd_events_mirror_lag") | .value] | length == $n and all(. == 0)'
}

# told NODE JOB: the node has the end of the job in its events
told() { api -n "$1" "/api/events?since=1h&kind=job.state" | jq -se --arg id "$2" 'any(.key == $id and .row.state == "completed")'; }

# How many seconds a node knows in which all three were heard.
full_ticks() { api -n "$1" '/api/vitals?since=1h' | jq -s 'map(select(.nodes != null and ([.nodes[] | select(. != null)] | length) == 3)) | length'; }

# Kills all but one of three nodes, one that does not lead: $LEFT. The job $ID was there before.
lose_majority() {
    start_cluster 3
    wait_until 30 ready_frame
    wait_until 30 mirrored "$(leader)" 2
    ID=$(submit '{"name":"still known","commands":["true"]}')
    [ "$(job_end "$ID")" = completed ]
    local old
    old=$(leader)
    wait_until 20 told "$old" "$ID"
    wait_until 30 mirrored "$old" 2
    local seen
    seen=$(full_ticks "$old")
    two_more() { [ "$(full_ticks "$old")" -ge $((seen + 2)) ]; }
    wait_until 60 two_more # given on as they came
    LEFT=$([ "$old" = n1 ] && echo n2 || echo n1)
    for node in n1 n2 n3; do [ "$node" = "$LEFT" ] || kill_node "$node"; done
}

is_partial() { api -n "$LEFT" -f "$1" | head -n 1 | jq -e --arg n "$LEFT" '.partial == $n and .reason == "no node leads" and .reached == [$n] and (.missing | length) == 2'; }

@test "a node that is left alone answers with the state it knows, and says that it is a part" {
    lose_majority
    wait_until 60 is_partial /api/frame
    frame_has() { ready_frame "$LEFT" | jq -e --arg n "$LEFT" --arg id "$ID" "$1"; }
    wait_until 20 frame_has '.jobs | any(.id == $id and .state == "completed")'
    wait_until 20 frame_has '.elections | any(.group == "cluster" and .leader == null)'
    wait_until 20 frame_has '.nodes | length == 3 and all(.leader == false) and (.[] | select(.name == $n) | .state == "online")'
    wait_until 20 frame_has '.raft | length == 3 and all(.leader == false) and all((.state == "online") == (.name == $n))'
    # who is silent becomes so here too, as the leader would have it
    wait_until 60 frame_has '[.nodes[] | select(.state == "offline")] | length == 2'
    # the past as it was
    at=$(api -n "$LEFT" '/api/events?since=1h' | jq -r --arg id "$ID" 'select(.kind == "job.state" and .key == $id and .row.state == "completed") | .at')
    api -n "$LEFT" -f "/api/frame?at=$at" | jq -e --arg id "$ID" '(.jobs | any(.id == $id)) and (.nodes | all(.state == "online") and any(.leader))'
    # events behind its cursor continue it
    cursor=$(ready_frame "$LEFT" | jq -r .cursor)
    api -n "$LEFT" "/api/events?since=$cursor" | jq -se --arg id "$ID" 'all(.key != $id)'
}

@test "a node that is left alone goes on with vitals: its own, and none of those it does not reach" {
    lose_majority
    wait_until 60 is_partial '/api/vitals?since=1h'
    latest() { api -n "$LEFT" '/api/vitals?since=1h' | tail -n 1 | jq -e --arg n "$LEFT" "$1"; }
    wait_until 60 latest '(.nodes | length == 3) and (.nodes[$n] | length == 8) and ([.nodes[] | select(. == null)] | length == 2)'
    # what the leader had before is there, and nothing is there twice
    api -n "$LEFT" '/api/vitals?since=1h' | jq -se '[.[] | select(.at != null)] | any([.nodes[] | select(. != null)] | length == 3) and (map(.at) | . == unique)'
    # a stream ends when a node leads
    curl -sSN -m 120 --unix-socket "$(socket_of "$LEFT")" 'http://localhost/api/vitals?follow=true' >"$CLUSTER_DIR/stream" 2>&1 3>&- &
    FOLLOWER=$!
    wait_until 20 grep -q '"step_ms"' "$CLUSTER_DIR/stream"
    for node in n1 n2 n3; do [ "$node" = "$LEFT" ] || { start_node "$node"; break; }; done
    wait_until 60 grep -q '"error"' "$CLUSTER_DIR/stream"
    whole() { api -n "$LEFT" -f /api/frame | jq -e '.partial == null' && api -n "$LEFT" '/api/vitals?since=1h' | head -n 1 | jq -e '.partial == null'; }
    wait_until 60 whole
}

@test "a report of a node that is left alone says what is missing, and opens" {
    lose_majority
    cd "$CLUSTER_DIR"
    partial_report() { clusterd report --since 1h --socket "$(socket_of "$LEFT")" r.tar.zst 2>said && grep -q 'no node leads; not reached: n' said; }
    wait_until 60 partial_report
    zstd -dc r.tar.zst | tar -xO report.json | jq -e --arg n "$LEFT" '.partial == $n and .reason == "no node leads" and (.missing | length) == 2'
    # what it saw itself since, which nobody collected
    has_own() { partial_report && zstd -dc r.tar.zst | tar -xO events.jsonl | jq -se --arg n "$LEFT" 'any(.kind == "raft.none" and .node == $n) and (map(.id) | length == (unique | length))'; }
    wait_until 60 has_own
    run --separate-stderr clustersh --replay r.tar.zst job list
    [ "$status" = 0 ]
    [[ "$output" = *"still known"* ]]
    [[ "$stderr" = *"a partial report: what $LEFT had and could reach (no node leads)"* ]]
    clustertop --replay r.tar.zst --once | grep -q 'nobody leads'
    run clustersh -s "unix:$(socket_of "$LEFT")" report r2.tar.zst
    [ "$status" = 0 ]
    [[ "$output" = *"a partial report"*"no node leads"* ]]
}

@test "the console lists what the node knows while no node leads, and says so; who asks for a consistency gets that or an error" {
    lose_majority
    console() { run --separate-stderr clustersh -s "unix:$(socket_of "$LEFT")" --retry 1s "$@"; }
    # lists CONDITION COMMAND...: that is what it prints, as a part
    lists() {
        console "${@:2}"
        [ "$status" = 0 ] && [[ "$stderr" = *"no node leads: this is what $LEFT knows; not reached: n"* ]] &&
            jq -se --arg n "$LEFT" --arg id "$ID" "$1" <<<"$output"
    }
    wait_until 60 lists '.[0] | length == 3 and all(.leader == false)' -o json node list
    wait_until 20 lists '.[0][] | select(.name == $n) | .state == "online" and .cpu_percent != null and .last_seen != null' -o json node list
    wait_until 20 lists '.[0] | map(select(.name != $n)) | all(.cpu_percent == null and .last_seen == null)' -o json node list
    wait_until 20 lists '.[0] | length == 3 and all(.leader == false)' -o json raft status
    wait_until 20 lists '.[0][0].name == $n' -o json node show "$LEFT"
    wait_until 20 lists '.[0] | .id == $id and .state == "completed"' -o jsonl job list --name 'still known'
    wait_until 20 lists '. == []' -o jsonl job list --name other
    wait_until 20 lists '.[0][0].id == $id' -o json job show "${ID%%-*}"
    no_audit() { console audit; [ "$status" = 3 ] && [[ "$stderr" = *"no node leads, and the audit trail comes from the one that does"* ]]; }
    wait_until 20 no_audit
    console node show n9
    [ "$status" = 3 ]
    console --consistency linearizable node list
    [ "$status" = 3 ]
    [[ "$stderr" = *"no leader"* ]]
}

@test "events as tables while no node leads: what the node has, and a row that says so" {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    lose_majority
    sql() { clustersh -s "unix:$(socket_of "$LEFT")" -o csv -t -c "$1"; }
    says() { [[ "$(sql "SELECT text FROM cluster.events WHERE kind = 'events.partial'")" = *"no node leads: these are the events that $LEFT has"* ]]; }
    wait_until 60 says
    answers() { [ "$(sql "$2")" = "$1" ]; }
    wait_until 20 answers 1 "SELECT count(*) FROM cluster.events WHERE kind = 'job.submit' AND key = '$ID'"
    wait_until 20 answers true "SELECT count(*) > 0 FROM cluster.events WHERE kind = 'raft.none' AND node = '$LEFT'"
    [ "$(sql "SELECT count(*) = count(DISTINCT id) FROM cluster.events WHERE id IS NOT NULL")" = true ]
    wait_until 20 answers true "SELECT leader IS NULL FROM cluster.elections WHERE \"group\" = 'cluster'"
    run clustersh -s "unix:$(socket_of "$LEFT")" events --since 1h
    [[ "$output" = *"no node leads: this is what $LEFT has; not reached: n"* ]]
}

# Four nodes of which three vote; all voters but one are killed: $LEFT, and $SPARE, which never collected.
all_vote() { [ "$CLUSTER_NODES" != 4 ] || return 0; }

@test "a node without a share of the history answers with that of one that it reaches, and with what others saw since" {
    start_cluster 4 -o raft.voters_max=3
    wait_until 30 ready_frame
    three_vote() { api /api/raft | jq -e '[.[] | select(.role == "voter")] | length == 3'; }
    wait_until 60 three_vote
    wait_until 30 mirrored "$(leader)" 2
    id=$(submit '{"name":"still known","commands":["true"]}')
    [ "$(job_end "$id")" = completed ]
    old=$(leader)
    wait_until 20 told "$old" "$id"
    wait_until 30 mirrored "$old" 2
    SPARE=$(api /api/raft | jq -r '[.[] | select(.role == "voter") | .name] as $v | ["n1", "n2", "n3", "n4"] - $v | .[0]')
    LEFT=$(api /api/raft | jq -r --arg old "$old" '[.[] | select(.role == "voter" and .name != $old)][0].name')
    for node in n1 n2 n3 n4; do [ "$node" = "$LEFT" ] || [ "$node" = "$SPARE" ] || kill_node "$node"; done
    knows() { api -n "$SPARE" -f "$1" | head -n 1 | jq -e --arg n "$LEFT" '.partial == $n and (.missing | length) == 2'; }
    wait_until 60 knows /api/frame
    wait_until 60 knows '/api/events?since=1h'
    wait_until 60 knows '/api/vitals?since=1h'
    wait_until 20 holds -n "$SPARE" /api/frame '.jobs | any(.id == $id)' --arg id "$id"
    both() { api -n "$SPARE" '/api/vitals?since=1h' | tail -n 1 | jq -e --arg a "$LEFT" --arg b "$SPARE" '(.nodes[$a] | length == 8) and (.nodes[$b] | length == 8)'; }
    wait_until 60 both
    # of each what it saw itself since: no link to the one that led
    saw() { api -n "$1" '/api/events?since=1h&kind=link.down' | jq -se --arg n "$2" --arg old "$old" 'any(.node == $n and .peer == $old)'; }
    for asked in "$LEFT" "$SPARE"; do
        for node in "$LEFT" "$SPARE"; do wait_until 60 saw "$asked" "$node"; done
        [ -z "$(api -n "$asked" '/api/events?since=1h' | jq -r 'select(.id != null) | .id' | sort | uniq -d)" ]
    done
    cd "$CLUSTER_DIR"
    in_report() { clusterd report --socket "$(socket_of "$SPARE")" r.tar.zst 2>/dev/null && zstd -dc r.tar.zst | tar -xO events.jsonl | jq -se --arg n "$SPARE" --arg id "$id" 'any(.kind == "link.down" and .node == $n) and any(.key == $id)'; }
    wait_until 60 in_report
    # a stream hears of another node as it comes, also of one that comes later
    curl -sSN -m 120 --unix-socket "$(socket_of "$LEFT")" 'http://localhost/api/events?follow=true&kind=daemon.*' >stream 2>&1 3>&- &
    FOLLOWER=$!
    wait_until 20 grep -q '"cursor"' stream
    kill_node "$SPARE"
    start_node "$SPARE"
    wait_until 60 grep -q "\"id\":\"$SPARE:.*daemon.start" stream
}
