#!/usr/bin/env bats
# What a worker owes its tasks: results survive its death, a shutdown gives work back, nothing runs on behind it.

load ../lib/cluster.bash

teardown() { stop_cluster; }

# Sets LEADER and WORKERS, the two others.
roles() {
    LEADER=$(leader)
    WORKERS=($(printf '%s\n' n1 n2 n3 | grep -v "$LEADER"))
}

stop_node() {
    local pid
    pid=$(node_pid "$1")
    DOWN="${DOWN:-} $1"
    kill "$pid"
    wait_until 30 bash -c "! kill -0 $pid"
}

@test "a result that nobody took survives the death of its worker and counts once" {
    start_cluster 3
    roles
    local worker=${WORKERS[0]} other=${WORKERS[1]}
    job=$(submit "{\"commands\":[\"touch $CLUSTER_DIR/on; while ! [ -e $CLUSTER_DIR/go ]; do sleep 0.02; done; echo result >>$CLUSTER_DIR/runs; echo out\"],\"selector\":\"name=$worker\"}")
    wait_until 20 test -e "$CLUSTER_DIR/on"
    kill_node "$LEADER"
    kill_node "$other"
    touch "$CLUSTER_DIR/go"
    wait_until 20 bash -c "[ -s $CLUSTER_DIR/$worker/data/worker/reports ] && [ \$(stat -c %s $CLUSTER_DIR/$worker/data/worker/reports) -gt 8 ]"
    kill_node "$worker"
    for node in n1 n2 n3; do start_node $node; done
    wait_until 30 all_vote
    [ "$(job_end "$job")" = completed ]
    [ "$(cat "$CLUSTER_DIR/runs")" = result ]
    [ "$(api "/api/jobs/$job/tasks?attempts=all" | jq length)" = 1 ]
    [ "$(api "/api/jobs/$job/output")" = out ]
}

@test "a worker that is shut down gives back what runs and what waits" {
    start_cluster 3
    roles
    job=$(submit "{\"array\":\"0-11\",\"commands\":[\"touch $CLUSTER_DIR/on_\$CLUSTERD_NODE; if [ \$CLUSTERD_NODE = ${WORKERS[0]} ]; then sleep 1000; fi\"]}")
    wait_until 20 test -e "$CLUSTER_DIR/on_${WORKERS[0]}"
    stop_node "${WORKERS[0]}"
    [ "$(job_end "$job")" = completed ]
    [ "$(api -n "$LEADER" "/api/jobs/$job" | jq .completed)" = 12 ]
    api -n "$LEADER" "/api/jobs/$job/tasks?attempts=all" | jq -e 'map(select(.state != "completed")) | length > 0 and all(.code != "exit_nonzero")'
}

@test "a shutdown gives tasks their grace, and kills what ignores it" {
    start_cluster 3 -o worker.kill_grace=2s
    roles
    submit "{\"commands\":[\"trap 'echo bye >$CLUSTER_DIR/bye; exit 1' TERM; touch $CLUSTER_DIR/polite; while :; do sleep 0.05; done\"],\"selector\":\"name=${WORKERS[0]}\",\"kill_grace_ms\":100000}"
    submit "{\"commands\":[\"trap '' TERM; echo \$\$ >$CLUSTER_DIR/deaf; while :; do sleep 0.05; done\"],\"selector\":\"name=${WORKERS[0]}\",\"kill_grace_ms\":100000}"
    wait_until 20 test -e "$CLUSTER_DIR/polite"
    wait_until 20 test -s "$CLUSTER_DIR/deaf"
    stop_node "${WORKERS[0]}"
    [ "$(cat "$CLUSTER_DIR/bye")" = bye ]
    wait_until 10 bash -c "! kill -0 $(cat "$CLUSTER_DIR/deaf")"
}

@test "a killed daemon leaves no task behind" {
    start_cluster 3
    roles
    submit "{\"commands\":[\"setsid sleep 1000 & echo \$! >$CLUSTER_DIR/child; echo \$\$ >$CLUSTER_DIR/shell; sleep 1000\"],\"selector\":\"name=${WORKERS[0]}\"}"
    wait_until 20 test -s "$CLUSTER_DIR/shell"
    kill_node "${WORKERS[0]}"
    wait_until 20 bash -c "! kill -0 $(cat "$CLUSTER_DIR/child")"
    wait_until 20 bash -c "! kill -0 $(cat "$CLUSTER_DIR/shell")"
}

@test "what ran when the daemon died runs again" {
    start_cluster 1
    job=$(submit "{\"commands\":[\"echo x >>$CLUSTER_DIR/runs; [ \$(wc -l <$CLUSTER_DIR/runs) = 2 ] || sleep 1000\"]}")
    wait_until 20 test -s "$CLUSTER_DIR/runs"
    kill -9 "$CLUSTER_PID"
    wait "$CLUSTER_PID" || true
    clusterd run --config "$CLUSTER_DIR/n1/clusterd.yaml" >/dev/null 2>&1 3>&- &
    STARTED_PIDS=$!
    wait_until 20 api -f /api/nodes
    [ "$(job_end "$job")" = completed ]
    [ "$(wc -l <"$CLUSTER_DIR/runs")" = 2 ]
}

@test "what waits in line behind an element that takes long runs elsewhere" {
    start_cluster 3 -o worker.slots=1
    job=$(submit "{\"array\":\"0-59\",\"commands\":[\"echo x >>$CLUSTER_DIR/ran_\$CLUSTERD_ARRAY_INDEX; [ \$CLUSTERD_ARRAY_INDEX != 20 ] || while ! [ -e $CLUSTER_DIR/go ]; do sleep 0.02; done\"]}")
    wait_until 30 bash -c "[ \$(curl -s --unix-socket $(socket_of n1) http://localhost/api/jobs/$job | jq .completed) = 59 ]"
    touch "$CLUSTER_DIR/go"
    [ "$(job_end "$job")" = completed ]
    [ "$(cat "$CLUSTER_DIR"/ran_* | wc -l)" = 60 ]
}

@test "elements of one command and of several share the slots of their node" {
    start_cluster 1 -o worker.slots=2
    local take="cd $CLUSTER_DIR; mkdir slot1 2>/dev/null && me=slot1 || { mkdir slot2 && me=slot2; } && echo \$me >me_\$CLUSTERD_JOB_ID.\$CLUSTERD_ARRAY_INDEX"
    local leave="cd $CLUSTER_DIR; rmdir \$(cat me_\$CLUSTERD_JOB_ID.\$CLUSTERD_ARRAY_INDEX)"
    one=$(submit "$(jq -cn --arg line "$take && $leave" '{array: "0-59", commands: [$line]}')")
    several=$(submit "$(jq -cn --arg take "$take" --arg leave "$leave" '{array: "0-19", commands: [$take, $leave]}')")
    more=$(submit "$(jq -cn --arg line "$take && $leave" '{array: "0-59", priority: 1, commands: [$line]}')")
    for job in "$one" "$several" "$more"; do
        [ "$(job_end "$job")" = completed ]
    done
}

@test "a cancelled job starts nothing of what waits in line" {
    start_cluster 1 -o worker.slots=1
    job=$(submit "{\"array\":\"0-99\",\"commands\":[\"echo \$CLUSTERD_ARRAY_INDEX >>$CLUSTER_DIR/ran; [ \$CLUSTERD_ARRAY_INDEX != 20 ] || sleep 1000\"]}")
    wait_until 30 grep -qx 20 "$CLUSTER_DIR/ran"
    clustersh -s "unix:$(socket_of n1)" job cancel "$job"
    [ "$(job_end "$job")" = cancelled ]
    [ "$(wc -l <"$CLUSTER_DIR/ran")" = 21 ]
}

@test "heartbeats tell how the node is" {
    start_cluster 3
    wait_until 20 bash -c "curl -s --unix-socket $(socket_of n1) http://localhost/api/nodes | jq -e 'all(.memory_available_bytes > 0 and .disk_free_bytes > 0 and .uptime_ms > 0 and .slots > 0)'"
    job=$(submit "{\"commands\":[\"while ! [ -e $CLUSTER_DIR/go ]; do sleep 0.05; done\"],\"selector\":\"name=n2\"}")
    wait_until 20 bash -c "[ \$(curl -s --unix-socket $(socket_of n1) http://localhost/api/nodes/n2 | jq .tasks_running) = 1 ]"
    touch "$CLUSTER_DIR/go"
    [ "$(job_end "$job")" = completed ]
}
