#!/usr/bin/env bats
# clustertop beside a real cluster: what it shows once, a report of it without the cluster, and what it says when there
# is none. The screen itself is of tests/pty.

load ../lib/cluster.bash

teardown() { stop_cluster; }

shows() { # VIEW FILTER: what the view has as JSON
    clustertop --once -v "$1" -o json | jq -e "$2"
}

@test "what the cluster is stands in every view, at any node" {
    start_cluster 3
    job=$(submit '{"argv":["true"],"array":"0-4"}')
    wait_until 30 job_has_ended "$job"
    for node in n1 n2 n3; do
        CLUSTERSH_ENDPOINT=unix:$(socket_of $node) wait_until 20 shows nodes '.nodes | length == 3'
    done
    wait_until 20 shows jobs ".jobs[] | select(.id == \"$job\" and .state == \"completed\")"
    wait_until 20 shows elections ".elections[] | select(.group == \"cluster\" and .leader == \"$(leader)\")"
    all_are_online() { clustertop --once | grep -q '3 online'; }
    wait_until 20 all_are_online
    shows overview '.missing == {"events_lost": 0, "lines_unreadable": 0, "rows_left_out": 0}'
}

@test "a report is looked at without a cluster, and a damaged one refused" {
    start_cluster 1
    job=$(submit '{"argv":["true"]}')
    wait_until 30 job_has_ended "$job"
    is_reported() {
        clustertop --replay "$BATS_TEST_TMPDIR/report" --once -v jobs -o json |
            jq -e --arg id "$job" '.jobs[] | select(.id == $id and .state == "completed")'
    }
    reports() { api -f /api/report >"$BATS_TEST_TMPDIR/report" && is_reported; }
    wait_until 20 reports # it holds what the disk has by then
    stop_cluster
    unset CLUSTERSH_ENDPOINT
    is_reported
    clustertop --replay "$BATS_TEST_TMPDIR/report" --once -o json | jq -e '.missing | add == 0'
    head -c 1000 "$BATS_TEST_TMPDIR/report" >"$BATS_TEST_TMPDIR/cut"
    run clustertop --replay "$BATS_TEST_TMPDIR/cut" --once
    [ "$status" != 0 ]
    [[ $output == *"$BATS_TEST_TMPDIR/cut is no report"* ]]
}

@test "no cluster: a reason, what to do, and exit status 2" {
    run clustertop -s "unix:$BATS_TEST_TMPDIR/none" --once
    [ "$status" = 2 ]
    [[ $output == *"$BATS_TEST_TMPDIR/none"* ]]
}
