#!/usr/bin/env bats
# What the nodes' own logs say about jobs, tasks and statements: which, where, and why as a code.

load ../lib/cluster.bash

teardown() { stop_cluster; }

records() { # JQ-CONDITION: of the logs of all nodes
    cat "$CLUSTER_DIR"/n*/clusterd.log "$CLUSTER_DIR"/log 2>/dev/null | grep '^{' | jq -c "select($1)"
}

has() { [ -n "$(records "$1")" ]; }

@test "a failed attempt, a lost one and the end of a job are on record with job, task and code" {
    start_cluster 3
    id=$(submit '{"commands":["exit 3"],"array":"4-5"}')
    [ "$(job_end "$id")" = failed ]
    for index in 4 5; do
        wait_until 10 has ".role == \"worker\" and .job == \"$id\" and .task == \"${id}_$index.1\" and .code == \"exit_nonzero\" and (.text | contains(\"exit code 3\"))"
    done
    wait_until 10 has ".role == \"coordinator\" and .job == \"$id\" and .code == \"failed\" and (.text | contains(\"0 of 2\"))"
    id=$(submit '{"commands":["true"]}')
    [ "$(job_end "$id")" = completed ]
    wait_until 10 has ".role == \"coordinator\" and .job == \"$id\" and .code == null and (.text | contains(\"1 of 1 elements completed\"))"

    victim=$([ "$(leader)" = n3 ] && echo n2 || echo n3)
    id=$(submit "{\"commands\":[\"sleep 300\"],\"selector\":\"name=$victim\"}")
    wait_until 20 eval "[ \"\$(api /api/jobs/$id | jq .running)\" = 1 ]"
    kill_node $victim
    wait_until 60 has ".job == \"$id\" and .task == \"${id}_0.1\" and .peer == \"$victim\" and .code == \"node_lost\""
}

@test "a statement that fails is on record with its number and code, and so is its task" {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    start_cluster 1
    run clustersh -c "select error('on purpose') from range(3)"
    [ "$status" = 3 ]
    wait_until 10 has '.role == "query" and (.job | length) == 36 and .code != null and (.text | contains("on purpose"))'
    query=$(records '.role == "query" and (.text | contains("on purpose"))' | jq -r .job)
    wait_until 10 has ".role == \"sql_worker\" and .job == \"$query\" and .task == \"0_0\" and .code != null"
}

@test "a job of many failures is some records a second, which say how many were left out" {
    start_cluster 1
    id=$(submit '{"commands":["false"],"array":"0-999"}')
    [ "$(job_end "$id")" = failed ]
    seconds=$(($(records '.role == "worker" and .code == "exit_nonzero"' | jq -r '.time[:19]' | sort -u | wc -l) + 1))
    [ "$(records '.role == "worker" and .code == "exit_nonzero"' | wc -l)" -le $((20 * seconds)) ]
}
