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
        [ "$(clustertop -s "unix:$(socket_of $node)" --once -v nodes -o json | jq '.nodes | length')" = 3 ]
    done
    wait_until 20 shows jobs ".jobs[] | select(.id == \"$job\" and .state == \"completed\")"
    shows elections ".elections[] | select(.group == \"cluster\" and .leader == \"$(leader)\")"
    clustertop --once | grep -q '3 online'
    shows overview '.missing == {"events_lost": 0, "lines_unreadable": 0, "rows_left_out": 0}'
}

@test "a report is looked at without a cluster, and a damaged one refused" {
    start_cluster 1
    job=$(submit '{"argv":["true"]}')
    wait_until 30 job_has_ended "$job"
    wait_until 20 shows jobs ".jobs[] | select(.id == \"$job\" and .state == \"completed\")"
    api -f /api/report >"$BATS_TEST_TMPDIR/report"
    stop_cluster
    unset CLUSTERSH_ENDPOINT
    clustertop --replay "$BATS_TEST_TMPDIR/report" --once -v jobs -o json | jq -e ".jobs[] | select(.id == \"$job\" and .state == \"completed\")"
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
