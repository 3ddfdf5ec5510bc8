#!/usr/bin/env bats
# clustersh --replay: a report (docs/events.md) in place of a cluster.

load ../lib/cluster.bash

teardown() { stop_cluster; }

replay() { clustersh --replay "$CLUSTER_DIR/r.tar.zst" "$@"; }

# fails_with STATUS TEXT COMMAND...
fails_with() {
    local want=$1 text=$2
    shift 2
    run "$@"
    [ "$status" = "$want" ] || { echo "status $status: $output" >&2; return 1; }
    [[ "$output" = *"$text"* ]] || { echo "$output" >&2; return 1; }
}

# What stays as it is while nothing happens.
still_nodes='sort_by(.name) | map({name, id, state, roles, kind, leader, address, draining, drain_reason})'
still_jobs='map(del(.idempotency_key))'
still_routing='sort_by(.node) | map({node, service, version, stable_model_id, status, txid})'

@test "a replay answers as the cluster did" {
    start_cluster 3
    wait_until 20 api -f /api/frame
    job=$(clustersh job submit --name kept --array 0-3 -- 'test $CLUSTERD_ARRAY_INDEX != 2')
    clustersh job wait "$job" -q || true
    clustersh chat send 'remember this'
    clustersh model add m1 echo:
    clustersh rollout start web m1
    clustersh node drain n3 --reason cable
    serves() { [ "$(clustersh -o json routing show | jq 'map(select(.status == "stable")) | length')" = 3 ]; }
    wait_until 20 serves
    # The report has what is told of the last moment, and what the collector looks at each second.
    same() {
        clustersh report "$CLUSTER_DIR/r.tar.zst" || return 1
        for pair in "node list:$still_nodes" "job list:$still_jobs" "routing show:$still_routing" \
            "election show:sort_by(.group) | map({group, leader, term})" "audit:map(del(.at))" \
            "rollout history:map({service, model, what, by, state})" "chat members:sort_by(.name) | map({name, leader, state})"; do
            live=$(clustersh -o json ${pair%%:*} | jq -S "${pair#*:}")
            past=$(replay -o json ${pair%%:*} | jq -S "${pair#*:}")
            [ "$live" = "$past" ] || { printf '%s\n%s\n%s\n' "$pair" "$live" "$past" >"$CLUSTER_DIR/differs"; return 1; }
        done
    }
    wait_until 30 same || { cat "$CLUSTER_DIR/differs"; false; }
    stop_nodes
    [ "$(replay -o jsonl job show last | jq -r .id)" = "$job" ]
    [ "$(replay -o json job tasks "$job" --state failed | jq -c 'map([.index, .code])')" = '[[2,"exit_nonzero"]]' ]
    replay chat tail | grep -q 'remember this'
    replay events --since 1h --kind job.submit -o jsonl | jq -e '.row.name == "kept"'
    replay events --since 1h --kind log.record --node n1 | grep -q n1
    replay -c 'node list -o json' -c 'election show' | grep -q cluster
    # status 3 of a job that failed, as ever
    fails_with 3 "failed: 3 of 4 elements completed" replay job wait "$job"
}

@test "SQL reads a report as it read the cluster, at any time in it" {
    start_cluster 3
    wait_until 20 api -f /api/frame
    job=$(clustersh job submit --name counted --array 0-3 -- 'test $CLUSTERD_ARRAY_INDEX != 2')
    clustersh job wait "$job" -q || true
    clustersh chat send 'remember this'
    between=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
    clustersh job run --name later -- true
    sql() {
        "$1" -o json -c 'SELECT name, id, state, roles, kind, leader FROM cluster.nodes ORDER BY name;'
        "$1" -o json -c "SELECT j.name, t.state, count(*) AS n FROM cluster.tasks t JOIN cluster.jobs j ON t.job = j.id GROUP BY ALL ORDER BY ALL;"
        "$1" -o json -c 'SELECT seq, channel, sender, text FROM cluster.messages ORDER BY seq;'
        "$1" -o json -c 'SELECT "group", leader, term FROM cluster.elections ORDER BY 1;'
        "$1" -o json -c "SELECT id, kind, level, text FROM cluster.events WHERE kind IN ('job.submit', 'job.fail') ORDER BY id;"
        "$1" -o json -c 'DESCRIBE cluster.jobs;'
    }
    same() {
        clustersh report "$CLUSTER_DIR/r.tar.zst" && sql clustersh >"$CLUSTER_DIR/live" && sql replay >"$CLUSTER_DIR/past" &&
            cmp -s "$CLUSTER_DIR/live" "$CLUSTER_DIR/past" &&
            [ "$(replay -t -o csv -c "SELECT count(DISTINCT node) FROM cluster.vitals WHERE cpu_percent >= 0;")" = 3 ]
    }
    wait_until 40 same || { diff "$CLUSTER_DIR/live" "$CLUSTER_DIR/past"; false; }
    grep -q '"n": *3' "$CLUSTER_DIR/past"
    stop_nodes
    mkdir "$CLUSTER_DIR/tmp"
    export TMPDIR=$CLUSTER_DIR/tmp
    count='SELECT count(*) FROM cluster.jobs;'
    [ "$(replay -t -o csv -c "$count" -c "\at $between" -c "$count" -c '\at end' -c "$count" | paste -sd ' ')" = '2 1 2' ]
    [ "$(replay -t -o csv -c "SELECT count(*) > 3 FROM cluster.log WHERE node IS NOT NULL;")" = true ]
    [ "$(replay -o jsonl -c "SELECT 'job show ' || id FROM cluster.jobs WHERE name = 'later' \gexec" | jq -r .name)" = later ]
    [[ "$(replay -t -o csv -c 'EXPLAIN SELECT count(*) FROM cluster.events;')" = *READ_JSON* ]]
    # a long answer, one that is given up in the middle, and what is left of all of it: nothing
    [ "$(replay -t -o csv -c 'SELECT * FROM range(300000);' | tail -n 1)" = 299999 ]
    replay -t -o csv -c 'SELECT * FROM range(100000000);' | head -n 1 | grep -qx 0
    # a console that was killed leaves a folder: the next one takes it away, and no other's
    mkdir -p "$TMPDIR/clustersh-report.killed/executor" "$TMPDIR/clustersh-report.new" "$TMPDIR/clustersh-other"
    touch -d '1 hour ago' "$TMPDIR"/*
    touch "$TMPDIR/clustersh-report.new"
    replay -c 'SELECT 1;'
    [ "$(ls "$TMPDIR" | paste -sd ' ')" = 'clustersh-other clustersh-report.new' ]
    # without clusterd the other commands still look
    cp "$(command -v clustersh)" "$TMPDIR/clustersh"
    PATH=/usr/bin:/bin
    fails_with 3 'SQL needs clusterd' "$TMPDIR/clustersh" --replay "$CLUSTER_DIR/r.tar.zst" -c 'SELECT 1;'
    "$TMPDIR/clustersh" --replay "$CLUSTER_DIR/r.tar.zst" node list | grep -q n3
}

# Ends the nodes, keeps their folder.
stop_nodes() {
    local node
    for node in n1 n2 n3; do kill_node $node; done
}

@test "what needs a cluster is refused with status 3, and nothing waits" {
    start_cluster 1
    wait_until 20 api -f /api/frame
    clustersh report "$CLUSTER_DIR/r.tar.zst"
    fails_with 3 "this is a replay of $CLUSTER_DIR/r.tar.zst: nothing runs in it" replay job submit -- true
    fails_with 3 "nothing can be changed" replay node drain n1
    fails_with 3 "it can be asked, not changed" replay -c 'INSERT INTO t VALUES (1);'
    fails_with 3 "a report does not hold cluster.metrics" replay -c 'SELECT * FROM cluster.metrics;'
    fails_with 3 "a report holds cluster.nodes" replay -c 'SELECT * FROM t;'
    fails_with 3 "disabled by configuration" replay -c "SELECT * FROM read_text('/etc/hostname');"
    fails_with 3 "a report does not hold keys" replay kv list
    fails_with 3 "nothing more comes to follow" replay events --follow
    fails_with 3 "nothing more comes to follow" replay chat tail --follow
    fails_with 3 "what jobs wrote" replay job logs --follow last
    fails_with 3 "no job nosuch" replay job show nosuch
    fails_with 1 "either --server or --replay" replay -s unix:/x node list
    fails_with 1 "--at needs --replay" clustersh --at 10m node list
    fails_with 1 "is no time" replay --at soon node list
    fails_with 3 "the report spans" replay --at 2020-01-01T00:00:00Z node list
    fails_with 1 "there is no replay" clustersh -c '\at 10m'
    fails_with 0 "at " replay -c '\at'
    # names to complete are those of the report, also when there is a cluster
    [[ "$(clustersh --complete --replay "$CLUSTER_DIR/r.tar.zst" node show n)" = "n1"* ]]
    [ "$(clustersh --complete --replay "$CLUSTER_DIR/nosuch" node show n)" = : ]
}

@test "another time shows what was then" {
    start_cluster 1
    wait_until 20 api -f /api/frame
    first=$(clustersh job run --name first -- true; clustersh -o json job list | jq -r '.[0].ended_at')
    later() { [ "$(date -u +%Y-%m-%dT%H:%M:%S)" \> "${first:0:19}" ]; }
    wait_until 20 later
    between=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
    clustersh job run --name second -- true
    has_both() { clustersh report "$CLUSTER_DIR/r.tar.zst" && [ "$(replay -o json job list | jq -c 'map(.name)')" = '["second","first"]' ]; }
    wait_until 20 has_both
    [ "$(replay --at "$between" -o json job list | jq -c 'map(.name)')" = '["first"]' ]
    [ "$(replay -o jsonl -c "\\at $between" -c 'job list' -c '\at end' -c 'job list' | jq -s -c 'map(.name)')" = '["first","second","first"]' ]
    [ "$(replay --at "$between" -o jsonl events --since 1h --kind job.submit | jq -s length)" = 1 ]
}

@test "a report that is cut, forged or none is refused at once" {
    start_cluster 1
    wait_until 20 api -f /api/frame
    clustersh report "$CLUSTER_DIR/r.tar.zst"
    cd "$CLUSTER_DIR"
    fails_with 1 "No such file" clustersh --replay nosuch node list
    fails_with 1 "Is a directory" clustersh --replay . node list
    head -c 1000 r.tar.zst >cut
    fails_with 1 "no report that can be opened" clustersh --replay cut node list
    : >empty
    fails_with 1 "no report that can be opened" clustersh --replay empty node list
    mkfifo pipe # nobody writes
    fails_with 1 "no report that can be opened" timeout 60 clustersh --replay pipe node list
    clustersh --replay <(cat r.tar.zst) node list | grep -q n1
    mkdir r
    zstd -dc r.tar.zst | tar -x -C r
    sed -i 's/"kind":"daemon.start"/"kind":"daemon.forge"/' r/events.jsonl
    tar -c -C r . | zstd -q >forged
    fails_with 1 "no report that can be opened" clustersh --replay forged node list
}
