#!/usr/bin/env bats
# What nodes tell: events, frames, vitals (docs/events.md).

load ../lib/cluster.bash

teardown() {
    [ -z "${FOLLOWER:-}" ] || kill "$FOLLOWER" 2>/dev/null || true
    FOLLOWER=
    stop_cluster
}

# follow NODE QUERY: an endless stream of events into $CLUSTER_DIR/stream
follow() {
    curl -sSN --unix-socket "$(socket_of "$1")" "http://localhost/api/events?follow=true&$2" >"$CLUSTER_DIR/stream" 2>&1 3>&- &
    FOLLOWER=$!
    wait_until 20 grep -q '"cursor"' "$CLUSTER_DIR/stream"
}

stream_has() {
    jq -se "map(select($1)) | length > 0" "$CLUSTER_DIR/stream"
}

ready_frame() { api -n "${1:-n1}" -f /api/frame; }

# A frame without what changes by itself.
still() {
    jq -S 'del(.at, .cursor) | .nodes |= map(del(.cpu_percent, .load, .tasks_running, .rtt_ms, .memory_available_bytes,
        .disk_free_bytes, .rss_bytes, .tasks_queued, .uptime_ms, .last_seen))'
}

@test "every node answers with the events of all nodes" {
    start_cluster 3
    have_begun() { api -n "$1" '/api/events?since=1h&kind=daemon.start' | jq -se 'map(.node // empty) | unique == ["n1", "n2", "n3"]'; }
    for node in n1 n2 n3; do
        wait_until 20 have_begun $node
        api -n $node '/api/events?since=1h' | tail -n 1 | jq -e .cursor
    done
}

@test "a following stream has what happens, at once, and through any node" {
    start_cluster 3
    follow n2 'kind=job.*,task.*'
    id=$(submit '{"name":"told","commands":["true"],"array":"0-3"}')
    wait_until 20 stream_has ".kind == \"job.state\" and .key == \"$id\" and .row.state == \"completed\""
    stream_has ".kind == \"job.submit\" and .row.name == \"told\" and .row.elements == 4"
    has_four() {
        jq -se --arg id "$id" 'map(select(.table == "tasks" and (.key | startswith($id)) and .row.state == "completed")) | length == 4' \
            "$CLUSTER_DIR/stream"
    }
    wait_until 20 has_four
}

@test "a failed element and a failed job are told with the reason" {
    start_cluster 1
    follow n1 level=warn
    submit '{"name":"bad","commands":["exit 3"]}'
    wait_until 20 stream_has '.kind == "task.fail" and .row.code == "exit_nonzero"'
    wait_until 20 stream_has '.kind == "job.fail" and .row.state == "failed" and (.text | startswith("job bad is failed"))'
}

@test "a node that is killed is suspected, then offline, then online again" {
    start_cluster 3
    other=$(for n in n1 n2 n3; do [ $n = "$(leader)" ] || echo $n; done | head -n 1)
    follow "$(leader)" "kind=node.*&node=$other"
    kill_node "$other"
    wait_until 30 stream_has '.kind == "node.suspect" and .row.state == "suspect"'
    wait_until 60 stream_has '.kind == "node.offline" and .level == "error"'
    start_node "$other"
    wait_until 30 stream_has '.kind == "node.online" and .row.state == "online"'
}

@test "a change of the lead: elections are told, the next collector has what the others saw" {
    start_cluster 3
    wait_until 20 ready_frame
    all_known() { ready_frame | jq -e '(.elections | map(.group) | sort == ["chat", "cluster"]) and (.raft | length == 3 and (map(select(.leader)) | length == 1))'; }
    wait_until 20 all_known
    old=$(leader)
    kill_node "$old"
    has_lead() { api -n "$(up_node)" '/api/events?since=1m&kind=raft.lead,events.collector' | jq -se --arg old "$old" 'map(.kind) | index("raft.lead") and index("events.collector")'; }
    wait_until 30 has_lead
    has_seen() { api -n "$(up_node)" "/api/events?since=1h&kind=$2" | jq -se --arg n "$1" --arg k "$2" 'any(.kind == $k and ($n == "" or .node == $n))'; }
    for n in n1 n2 n3; do
        [ $n = "$old" ] || wait_until 20 has_seen $n daemon.start
    done
    wait_until 20 has_seen '' raft.election
    is_new() { ready_frame "$(up_node)" | jq -e --arg old "$old" '.elections[] | select(.group == "cluster") | .leader != $old and .leader != null'; }
    wait_until 20 is_new
}

@test "statements, their stages and ends are told, and stay in the frames for a while" {
    start_cluster 1
    wait_until 20 ready_frame
    clustersh -c 'CREATE TABLE t AS SELECT i, i % 7 AS k FROM range(1000) r(i)' -c 'SELECT k, count(*) FROM t GROUP BY k' >/dev/null
    run clustersh -c 'SELECT 1 FROM t WHERE nonsense(i)'
    [ "$status" = 3 ]
    told() { api '/api/events?since=1h&kind=query.*' | jq -se 'map(.kind) | index("query.begin") and index("query.stage") and index("query.end") and index("query.fail")'; }
    wait_until 20 told
    wait_until 20 holds /api/frame '.queries | map(.state) | index("completed") and index("failed")'
    wait_until 20 holds /api/frame '.stages | length > 0 and all((.state == "completed" and .tasks == .tasks_done) or .state == "failed")'
}

@test "a rollout: its states, the transaction, what every node serves" {
    start_cluster 3
    wait_until 20 ready_frame
    api -f -d '{"id":"a","url":"echo:"}' /api/models >/dev/null
    api -f -d '{"id":"b","url":"echo:"}' /api/models >/dev/null
    api -f -d '{"model":"a"}' /api/rollouts/api/start >/dev/null
    promoted() { ready_frame n2 | jq -e '.rollouts[] | select(.service == "api") | .state == "promoted"'; }
    wait_until 30 promoted
    serves() { ready_frame n2 | jq -e '.routing | map(select(.service == "api" and .version == 1 and .stable_model_id == "a")) | length == 3'; }
    wait_until 30 serves
    told() { api '/api/events?since=1h' | jq -se 'map(.kind) | index("txn.state") and index("rollout.state") and index("routing.version")'; }
    wait_until 20 told
    none_left() { ready_frame | jq -e '.transactions == []'; }
    wait_until 30 none_left
}

@test "what a person does is told with who did it" {
    start_cluster 1
    api -X POST -d '{}' /api/nodes/n1/drain >/dev/null
    told() { api '/api/events?since=1h&kind=operator.command' | jq -se --arg u "$(id -un)" 'any(.by == $u and .action == "node.drain" and .object == "n1")'; }
    wait_until 20 told
}

@test "a frame and the patches behind its cursor are the next frame" {
    start_cluster 3
    wait_until 20 ready_frame n2
    ready_frame n2 >"$CLUSTER_DIR/before"
    id=$(submit '{"name":"a","commands":["true"],"array":"0-9"}')
    job_end "$id"
    api -X POST -d '{"reason":"new disk"}' /api/nodes/n2/drain >/dev/null
    node_is_drained() { ready_frame | jq -e '.nodes[] | select(.name == "n2") | .state == "drained" and .drain_reason == "new disk"'; }
    wait_until 20 node_is_drained
    wait_until 20 frames_meet # the patches may reach behind the second frame, which was asked for before
}
frames_meet() {
    ready_frame n3 >"$CLUSTER_DIR/after"
    api -n n3 "/api/events?since=$(jq -r .cursor "$CLUSTER_DIR/before")" >"$CLUSTER_DIR/between"
    # The reader's part of the contract, in jq: patches of tables that frames have, in order, up to the frame.
    jq -n --slurpfile f "$CLUSTER_DIR/before" --slurpfile e "$CLUSTER_DIR/between" --slurpfile g "$CLUSTER_DIR/after" '
        {nodes: "name", jobs: "id"} as $keys
        | reduce ($e[] | select(.table != null and $keys[.table] != null)) as $p ($f[0];
            .[$p.table] |= ((map(select(.[$keys[$p.table]] == $p.key))[0] // {($keys[$p.table]): $p.key}) as $row
                | map(select(.[$keys[$p.table]] != $p.key)) + (if $p.gone then [] else [$row + $p.row] end)
                | sort_by(.[$keys[$p.table]])))
        | {nodes, jobs}' >"$CLUSTER_DIR/made"
    diff <(jq '{nodes, jobs, at: 0, cursor: 0}' "$CLUSTER_DIR/made" | still) <(jq '{nodes, jobs, at: 0, cursor: 0}' "$CLUSTER_DIR/after" | still)
}

@test "vitals of every node each second, null for one that is silent" {
    start_cluster 3
    has_three() { api -n n2 '/api/vitals?since=20s' | tail -n 1 | jq -e '.nodes | (.n1, .n2, .n3) | length == 8'; }
    wait_until 20 has_three
    other=$(for n in n1 n2 n3; do [ $n = "$(leader)" ] || echo $n; done | head -n 1)
    kill_node "$other"
    is_silent() { api -n "$(leader)" '/api/vitals?since=20s' | tail -n 1 | jq -e --arg n "$other" '.nodes[$n] == null and .step_ms == 1000'; }
    wait_until 20 is_silent
    api -n "$(leader)" "/api/vitals?since=20s&nodes=$(leader)" | tail -n 1 | jq -e '.nodes | length == 1'
}

# Every node's numbers in the stream: no hole that is not told, none twice.
numbers_are_whole() {
    api -n "$(up_node)" '/api/events?since=1h' | jq -se '
        (map(select(.kind == "events.dropped"))) as $told
        | map(select(.id).id | split(":")) | group_by(.[0]) | map(map(.[1] | tonumber))
        | all(. == (unique)) and (($told | length > 0) or all((max - min + 1) == length))'
}

@test "history outlives the processes: every node is killed and started again" {
    start_cluster 3
    wait_until 20 ready_frame
    job_end "$(submit '{"name":"before","commands":["true"]}')"
    in_history() { api -n "$(up_node)" "/api/events?since=1h&kind=job.*" | jq -se --arg n "$1" 'any(.kind == "job.submit" and .row.name == $n)'; }
    wait_until 20 in_history before
    # The last moment is not on the disk yet when a process is killed: what came before it is, and with everybody: what a
    # leader learns late of an earlier one it tells without its rows.
    position=$((16#$(api '/api/events?since=1h' | tail -n 1 | jq -re '.cursor | ltrimstr("c") | split("-")[0]')))
    api -X POST -d '{"reason":"marker"}' /api/nodes/n1/drain >/dev/null
    kept_of() { sqlite3 -readonly "$CLUSTER_DIR/$1/data/events.db" 'SELECT coalesce(max(last), 0) FROM stream'; }
    kept_by_all() { for n in n1 n2 n3; do [ "$(kept_of $n)" -ge "$position" ] || return 1; done; }
    wait_until 20 kept_by_all
    for n in n1 n2 n3; do kill_node $n; done
    for n in n1 n2 n3; do start_node $n; done
    wait_until 60 ready_frame
    wait_until 20 in_history before
    numbers_are_whole
}

@test "the collector is killed under load: nothing that other nodes told is lost or comes twice" {
    start_cluster 3
    wait_until 20 ready_frame
    id=$(submit '{"commands":["true"],"array":"0-199","retries":3}')
    old=$(leader)
    kill_node "$old"
    [ "$(job_end "$id")" = completed ]
    new_frame() { ready_frame "$(up_node)"; }
    wait_until 30 new_frame
    for n in n1 n2 n3; do
        [ $n != "$old" ] || continue
        # What the node itself has on its disk is in the stream of the new collector.
        complete() {
            api -n "$(leader)" '/api/events?since=1h' | jq -se --arg n "$1" '
                map(select(.id) | select(.id | startswith($n + ":")) | .id | split(":")[1] | tonumber)
                | length > 0 and min == 1 and (max - min + 1) == (unique | length) and length == (unique | length)'
        }
        wait_until 20 complete $n
    done
}

@test "the state of a moment that has passed" {
    start_cluster 1
    wait_until 20 ready_frame
    online() { ready_frame | jq -e '.nodes[0].state == "online"'; }
    wait_until 20 online
    at=$(ready_frame | jq -r .at)
    api -X POST -d '{"reason":"later"}' /api/nodes/n1/drain >/dev/null
    submit '{"name":"later","commands":["true"]}' >/dev/null
    drained() { ready_frame | jq -e '.nodes[0].draining and (.jobs | length == 1)'; }
    wait_until 20 drained
    then_was() { api -f "/api/frame?at=$at" | jq -e --arg at "$at" '.at == $at and (.nodes[0].draining | not) and .jobs == []'; }
    wait_until 20 then_was
    api "/api/events?since=$(api "/api/frame?at=$at" | jq -r .cursor)" | jq -se 'any(.kind == "node.drain") and any(.kind == "job.submit") and (any(.kind == "daemon.start") | not)'
    [ "$(api -o /dev/null -w '%{http_code}' '/api/frame?at=soon')" = 400 ]
}

@test "vitals as a table: each node's steps once, only the span of time that is asked for is read" {
    start_cluster 3
    wait_until 20 ready_frame
    sql() { clustersh -s "unix:$(socket_of n2)" -o csv -t -c "$1"; }
    answers() { [ "$(sql "$2")" = "$1" ]; }
    wait_until 30 answers 3 "SELECT count(DISTINCT node) FROM cluster.vitals WHERE cpu_percent >= 0 AND step_ms = 1000"
    wait_until 30 answers true "SELECT count(*) > 8 FROM cluster.vitals"
    [ "$(sql "SELECT count(*) = count(DISTINCT (node, time)) FROM cluster.vitals")" = true ]
    [ "$(sql "SELECT count(*) FROM cluster.vitals WHERE time > now() + INTERVAL 1 HOUR")" = 0 ]
    third=$(sql "SELECT DISTINCT time FROM cluster.vitals ORDER BY time LIMIT 1 OFFSET 2")
    [ "$(sql "SELECT count(DISTINCT time) FROM cluster.vitals WHERE time < TIMESTAMPTZ '$third'")" = 2 ]
    # behind a step come the next ones, and the span is taken by who has them
    last=$(api '/api/vitals/rows?since=1h' | jq '.[-1].position')
    api "/api/vitals/rows?since=1h&after=$((last - 1))" | jq -e --argjson last "$last" '.[0].position == $last'
    api "/api/vitals/rows?since=1h&until=2020-01-01T00:00:00Z" | jq -e '. == []'
}

@test "events and logs as tables: only the span of time that is asked for is read" {
    start_cluster 3
    wait_until 20 ready_frame
    [ "$(job_end "$(submit '{"name":"in sql","commands":["true"]}')")" = completed ]
    sql() { clustersh -o csv -c "$1" | tail -n +2; }
    in_sql() { [ "$(sql "SELECT count(*) FROM cluster.events WHERE kind = 'job.submit' AND json_extract_string(row, 'name') = 'in sql'")" = 1 ]; }
    wait_until 20 in_sql
    answers() { [ "$(sql "$2")" = "$1" ]; }
    [ "$(sql "SELECT count(*) > 0 FROM cluster.events WHERE time > now() - INTERVAL 1 HOUR")" = true ]
    [ "$(sql "SELECT count(*) FROM cluster.events WHERE time > now() + INTERVAL 1 HOUR")" = 0 ]
    [ "$(sql "SELECT count(*) FROM cluster.events WHERE time < TIMESTAMPTZ '2020-01-01 00:00:00Z'")" = 0 ]
    wait_until 20 answers 3 "SELECT count(DISTINCT node) FROM cluster.log"
    wait_until 20 answers "$(leader)" "SELECT leader FROM cluster.elections WHERE \"group\" = 'cluster'"
    wait_until 20 answers 3 "SELECT count(*) FROM cluster.events e JOIN cluster.nodes n ON e.node = n.name WHERE e.kind = 'daemon.start'"
    [ "$(sql "SELECT count(*) FROM cluster.rollouts")" = 0 ]
}

@test "clustersh events: the past, and what comes; clustersh report" {
    start_cluster 1
    wait_until 20 ready_frame
    told() { clustersh events --kind daemon.start | grep -q "n1 .*daemon.start"; }
    wait_until 20 told
    clustersh -o jsonl events --kind daemon.start --limit 1 | jq -se 'length == 1 and all(.kind == "daemon.start")'
    run clustersh events --since yesterday
    [ "$status" = 3 ]
    clustersh -o jsonl events -f --since 1h --kind 'job.*' >"$CLUSTER_DIR/stream" 2>/dev/null </dev/null 3>&- &
    FOLLOWER=$!
    submit '{"name":"first","commands":["true"]}' >/dev/null
    wait_until 20 stream_has '.kind == "job.submit" and .row.name == "first"'
    clustersh report --since 1h "$CLUSTER_DIR/r.tar.zst"
    zstd -dc "$CLUSTER_DIR/r.tar.zst" | tar -xO report.json | jq -e '.format == 1'
}

@test "clustersh events says why a stream ended early, and fails" {
    program=$(dirname "$(command -v clusterd)")/tests/lib/url_serve
    [ -x "$program" ] || skip "no $program: make tests/lib/url_serve"
    printf '%s\n' '{"id":"1","at":"2026-11-28T20:15:04.000Z","kind":"job.submit","node":"n1","text":"the first"}' \
        '{"error":{"code":"closed","message":"this node is being stopped"}}' >"$BATS_TEST_TMPDIR/lines"
    "$program" "$BATS_TEST_TMPDIR/lines" "$BATS_TEST_TMPDIR/log" >"$BATS_TEST_TMPDIR/url" 3>&- &
    FOLLOWER=$!
    wait_until 20 grep -q http "$BATS_TEST_TMPDIR/url"
    CLUSTERSH_TOKEN=x run timeout 60 clustersh -s "$(grep -o 'http://[0-9.:]*' "$BATS_TEST_TMPDIR/url")" events
    [[ "$status" = 3 && "$output" == *"the first"*"this node is being stopped"* ]]
}

@test "events of a node that is gone can be asked for, through any node" {
    start_cluster 3
    for node in n1 n2 n3; do
        wait_until 20 ready_frame $node
        api -n $node '/api/events?since=1h&node=n9' | jq -se 'map(.error // empty) == [] and (last | .cursor)'
    done
}

@test "clustersh events -f goes on at another node when the one that leads is killed, without repetition" {
    start_cluster 3
    wait_until 20 ready_frame
    all=unix:$(socket_of n1),unix:$(socket_of n2),unix:$(socket_of n3)
    clustersh -s "$all" -o jsonl events -f --kind 'job.*' >"$CLUSTER_DIR/stream" 2>/dev/null </dev/null 3>&- &
    FOLLOWER=$!
    submitted() { submit "{\"name\":\"$1\",\"commands\":[\"true\"]}"; }
    seen() { stream_has ".kind == \"job.submit\" and .row.name == \"$1\""; }
    again() { submitted first && seen first; }
    wait_until 20 again
    kill_node "$(leader)"
    wait_until 30 submitted second
    wait_until 30 seen second
    [ "$(jq -s 'map(.id) | length == (unique | length)' "$CLUSTER_DIR/stream")" = true ]
}

@test "a report opens without the cluster, and holds what was there" {
    start_cluster 3
    wait_until 20 ready_frame
    job_end "$(submit '{"name":"reported","commands":["echo hello"]}')"
    clustersh chat send 'remember this' >/dev/null
    in_history() { api "/api/events?since=1h&kind=job.*" | grep -q reported; }
    wait_until 20 in_history
    mkdir "$CLUSTER_DIR/r"
    cd "$CLUSTER_DIR/r"
    # The disk has the last of it a moment later.
    is_in() {
        clusterd report --since 1h --socket "$(socket_of n2)" ../r.tar.zst && zstd -dc ../r.tar.zst | tar -x --overwrite &&
            grep reported events.jsonl && grep 'remember this' messages.jsonl &&
            tail -n 1 frames.jsonl | jq -e '(.nodes | length == 3) and (.jobs | map(.name) | index("reported"))' &&
            tail -n 1 vitals.jsonl | jq -e '.nodes | length == 3'
    }
    wait_until 20 is_in
    jq -e '.format == 1 and (.members | map(.name) | index("events.jsonl"))' report.json
    for n in n1 n2 n3; do
        grep -q '^node:' config/$n.yaml
        grep -q "started\|leads" logs/$n.jsonl
    done
    [ "$(cat ../*/data/join.token ../api.token | grep -c -F -f - -r . | grep -vc ':0$')" = 0 ] # no secrets
    clustertop --replay ../r.tar.zst --once -o json | jq -e . >/dev/null
}

@test "a report that is cut or forged is refused" {
    start_cluster 1
    wait_until 20 ready_frame
    clusterd report --socket "$(socket_of n1)" "$CLUSTER_DIR/r.tar.zst"
    cd "$CLUSTER_DIR"
    head -c 1000 r.tar.zst >cut.tar.zst
    run clustertop --replay cut.tar.zst --once
    [ "$status" != 0 ]
    [[ "$output" = *"no report that can be opened"* ]]
    mkdir r
    zstd -dc r.tar.zst | tar -x -C r
    sed -i 's/"kind":"daemon.start"/"kind":"daemon.forge"/' r/events.jsonl
    tar -c -C r . | zstd -q >forged.tar.zst
    run clustertop --replay forged.tar.zst --once
    [ "$status" != 0 ]
    [[ "$output" = *"no report that can be opened"* ]]
}

@test "clusterd report says what is wrong" {
    run clusterd report
    [ "$status" = 2 ]
    cd "$BATS_TEST_TMPDIR"
    run clusterd report --socket /nowhere r
    [ "$status" = 1 ]
    [[ "$output" = *"no node answers on /nowhere"* ]]
    [ ! -e r ] && [ ! -e r.part ]
    start_cluster 1
    run clusterd report --since yesterday --socket "$(socket_of n1)" r
    [ "$status" = 1 ]
    [[ "$output" = *"since=yesterday is neither"* ]]
    [ ! -e r ]
}

@test "a damaged file of events is put aside, and the node goes on" {
    start_cluster 3
    kill_node n3
    dd if=/dev/urandom of="$CLUSTER_DIR/n3/data/events.db" bs=4096 count=8 conv=notrunc status=none
    rm -f "$CLUSTER_DIR/n3/data/events.db-wal"
    start_node n3
    told() { api '/api/events?since=1h&node=n3' | jq -se 'any(.kind == "log.record" and (.text | contains("was damaged")))'; }
    wait_until 30 told
    [ -e "$CLUSTER_DIR/n3/data/events.db.damaged" ]
}

@test "filters: kind, level, node, table, limit, until" {
    before=$(date -u +%Y-%m-%dT%H:%M:%SZ)
    start_cluster 1
    submit '{"commands":["exit 1"]}'
    has_fail() { api '/api/events?since=1h&kind=job.fail' | grep -q job.fail; }
    wait_until 20 has_fail
    all_are() { api "/api/events?since=1h&$1" | jq -se "map(select(.id)) | length > 0 and all($2)"; }
    wait_until 10 all_are kind=job.\* '.kind | startswith("job.")'
    wait_until 10 all_are level=warn '.level == "warn" or .level == "error"'
    wait_until 10 all_are node=n1 '.node == "n1"'
    wait_until 10 all_are table=nodes '.table == "nodes"'
    [ "$(api '/api/events?since=1h&limit=3' | jq -s 'map(select(.id)) | length')" = 3 ]
    [ "$(api '/api/events?since=1h&until='"$before" | jq -s 'map(select(.id)) | length')" = 0 ]
}

@test "bad parameters are told as such" {
    start_cluster 1
    for query in since=yesterday until=x level=loud kind=nothing.\* table=files limit=0 follow=perhaps since=c1- since=c-1-1 since=c1-%201 since=c1-1-1; do
        [ "$(api -o "$CLUSTER_DIR/out" -w '%{http_code}' "/api/events?$query")" = 400 ]
        jq -e '.error.code == "invalid"' "$CLUSTER_DIR/out"
    done
    [ "$(api -o /dev/null -w '%{http_code}' '/api/vitals?step_ms=1')" = 400 ]
}

@test "a cursor of another cluster, or of the future, hides nothing" {
    start_cluster 1
    follow n1 'since=cffffffffffffffff-7fffffffffffffff'
    id=$(submit '{"name":"seen","commands":["true"]}')
    wait_until 20 stream_has ".kind == \"job.submit\" and .key == \"$id\""
    has_since() { api "/api/events?since=cfffffffffffffff0-1&kind=job.*" | jq -se --arg id "$id" 'any(.key == $id)'; }
    wait_until 20 has_since
}

@test "escapes in names and logs stay escapes in the stream" {
    start_cluster 1
    submit '{"name":"x","commands":["printf \"\\033[31mred\\n\" >&2; exit 1"]}' >/dev/null
    api -X POST -d "$(jq -n '{reason: "\u001b[2J\u009b31m\u202e"}')" /api/nodes/n1/drain >/dev/null
    told() { api '/api/events?since=1h&kind=node.drain' | grep -q node.drain; }
    wait_until 20 told
    [ "$(api '/api/events?since=1h' | LC_ALL=C grep -cP '[\x00-\x09\x0b-\x1f\x7f]')" = 0 ]
    [ "$(api '/api/frame' | LC_ALL=C grep -cP '[\x00-\x09\x0b-\x1f\x7f]')" = 0 ]
}

@test "with events switched off there are none, and nothing else is missing" {
    start_cluster 1 -o events.enabled=false
    [ "$(api -o /dev/null -w '%{http_code}' /api/events)" = 404 ]
    [ "$(job_end "$(submit '{"commands":["true"]}')")" = completed ]
}

# Warnings that are not of the machine's speed.
warnings() {
    api "/api/events?since=1h&level=warn" | jq -c 'select(.kind != null and .kind != "log.record" and .kind != "node.stall" and
        .kind != "node.late" and .kind != "node.suspect")'
}

@test "links that nodes give up on purpose are no warnings; one that breaks is" {
    start_cluster 3
    chat_is_n3() { [ "$(api /api/elections | jq -r '.[] | select(.group == "chat") | .leader')" = n3 ]; }
    wait_until 60 chat_is_n3 # the highest takes over what the first began
    wait_until 20 holds '/api/events?since=1h&kind=link.down' 'any(.cause == "the node has a new identity")' -s
    api '/api/events?since=1h&kind=link.down' |
        jq -se 'all(.[] | select(.cause == "the node has a new identity"); .level == "debug")'
    api '/api/events?since=1h&kind=chat.lost' | jq -se 'all(.[] | select(.cause == "the lead is handed over"); .level == "debug")'
    [ "$(warnings | jq -r 'select(.kind == "link.down" and (.cause | test("identity|another link|shutting|stopp")))')" = "" ]
    victim=$([ "$(leader)" = n2 ] && echo n3 || echo n2)
    kill_node "$victim"
    told() { api -n "$(leader)" '/api/events?since=1h&kind=link.down&level=warn' | jq -se --arg v "$victim" 'any(.peer == $v)'; }
    wait_until 20 told
}

@test "members of the cluster's state and of the chat, and whom they promise to follow, are told" {
    start_cluster 3
    told() { api "/api/events?since=1h&kind=$1" | jq -se "any($2)"; }
    wait_until 30 told raft.member '.key == "n3" and .row.role == "voter" and .table == "raft" and .level == "info"'
    wait_until 30 told chat.member '.key == "n3" and .table == "chat" and .row.state == "online"'
    wait_until 60 told chat.promise '.to == "n3" and .node == "n1" and .term >= 1 and .level == "debug"'
    kill_node n2
    wait_until 30 told raft.member '.key == "n2" and .row.state == "offline"'
    # what a new collector finds is no news
    [ "$(api '/api/events?since=1h&kind=raft.member' | jq -se 'map(select(.key == "n2" and .row.state == "offline")) | length')" = 1 ] ||
        led_by_another n1
}

@test "a store that fails is told once, and that it is well again" {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    start_cluster 1
    clustersh -c 'create table t (a int)'
    published() { [ "$(clustersh -o csv -t -c "select published from cluster.tables where name = 't'")" = "$1" ]; }
    wait_until 30 published 0
    log=$(clustersh -o csv -t -c "select place from cluster.tables where name = 't'")
    log=${log#file:}/_delta_log
    mv "$log" "$log.away"
    touch "$log"
    clustersh -c 'insert into t values (1)'
    told() { [ "$(api '/api/events?since=1h&kind=store.*' | jq -r .kind | grep -v null | xargs)" = "$1" ]; }
    wait_until 30 told store.trouble
    rm "$log"
    mv "$log.away" "$log"
    wait_until 60 told 'store.trouble store.well'
    wait_until 30 published 1
}

# mirrored NODE: every other voter has all that NODE has collected
mirrored() {
    [ "$(api -n "$1" '/api/metrics' | jq '[.[] | select(.name == "clusterd_events_mirror_lag") | .value] | length == 2 and all(. == 0)')" = true ]
}

@test "a leader that is killed takes nothing of what happened with it: events, frames and vitals are at the next one" {
    start_cluster 3
    old=$(leader)
    wait_until 30 mirrored "$old"
    ticks=$(vitals_of "$old" "$old")
    id=$(submit '{"name":"before the end","commands":["true"]}')
    [ "$(job_end "$id")" = completed ]
    told() { api -n "$old" "/api/events?since=1h&kind=job.state" | jq -se --arg id "$id" 'any(.key == $id and .row.state == "completed")'; }
    wait_until 20 told
    seen=$(api -n "$old" '/api/events?since=1h' | jq -r 'select(.id != null) | .id')
    cursor=$(api -n "$old" '/api/events?since=1h' | tail -n 1 | jq -re .cursor)
    wait_until 30 mirrored "$old"
    two_more() { [ "$(vitals_of "$old" "$old")" -ge $((ticks + 2)) ]; }
    wait_until 60 two_more # given on as they came
    kill_node "$old"
    wait_until 60 led_by_another "$old"
    new=$(leader)
    wait_until 30 ready_frame "$new"
    has_all() { [ -z "$(comm -23 <(sort <<<"$seen") <(api -n "$new" '/api/events?since=1h' | jq -r 'select(.id != null) | .id' | sort))" ]; }
    wait_until 30 has_all
    # each once
    [ -z "$(api -n "$new" '/api/events?since=1h' | jq -r 'select(.id != null) | .id' | sort | uniq -d)" ]
    # a cursor of the old one goes on at the new one, with nothing that came before it
    wait_until 20 holds -n "$new" "/api/events?since=$cursor" 'any(.kind == "events.collector")' -s
    api -n "$new" "/api/events?since=$cursor" | jq -se --arg id "$id" 'all(.key != $id or .kind != "job.submit")'
    # vitals and the state of its time
    has_vitals() { [ "$(vitals_of "$new" "$old")" -ge 1 ]; }
    wait_until 20 has_vitals
    at=$(api -n "$new" '/api/events?since=1h' | jq -r --arg id "$id" 'select(.kind == "job.state" and .key == $id and .row.state == "completed") | .at')
    [ "$(api -n "$new" "/api/frame?at=$at" | jq -r --arg id "$id" '.jobs[] | select(.id == $id) | .name')" = "before the end" ]
}

@test "a node that tells more than it can keep loses some, and it is said how many, to the one" {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    start_cluster 3 -o events.memory_bytes=64K
    wait_until 30 ready_frame
    old=$(leader)
    others=($(printf '%s\n' n1 n2 n3 | grep -v "$old"))
    full=${others[0]}
    kill_node "$full"
    rm -f "$CLUSTER_DIR/$full"/data/events.db*
    mkdir "$CLUSTER_DIR/$full/data/events.db" # no disk to keep them on
    start_node "$full"
    # its numbers from here on
    begun() {
        api -n "$old" '/api/events?since=1h&kind=daemon.start' |
            jq -sre --arg n "$full" 'map(select(.node == $n)) | select(length == 2) | .[-1].id | split(":")[1]'
    }
    wait_until 30 begun
    from=$(begun)
    kill_node "$old"
    kill_node "${others[1]}" # nobody collects
    numbers() {
        api -n "$1" '/api/events?since=1h' |
            jq -r --arg n "$full" --argjson from "$from" 'select(.id != null) | .id | split(":") | select(.[0] == $n) | .[1] | tonumber | select(. > $from)'
    }
    for i in {1..60}; do echo "SELECT $i;"; done >"$CLUSTER_DIR/burst"
    overflows() {
        clustersh -s "unix:$(socket_of "$full")" -f "$CLUSTER_DIR/burst" >/dev/null
        [ "$(numbers "$full" | head -n 1)" -gt $((from + 200)) ]
    }
    wait_until 30 overflows
    pid=$(node_pid "$full")
    kill -STOP "$pid" # one of the others shall lead
    start_node "$old"
    start_node "${others[1]}"
    leads=0
    wait_until 60 ready_frame "$old" || leads=1
    kill -CONT "$pid"
    [ "$leads" = 0 ]
    counted() {
        local new lost
        new=$(api -n "$old" /healthz | jq -re .leader) && [ "$new" != "$full" ] || return 1
        lost=$(api -n "$new" '/api/events?since=1h&kind=events.dropped' | jq -s --arg n "$full" 'map(select(.node == $n) | .lost) | add')
        numbers "$new" | sort -n >"$CLUSTER_DIR/have"
        # each number once, and what is not there is what is said to be lost
        [ -z "$(uniq -d "$CLUSTER_DIR/have")" ] || return 1
        jq -se --argjson from "$from" --argjson lost "$lost" 'max - $from == length + $lost and $lost > 100' "$CLUSTER_DIR/have" || return 1
        api -n "$new" /api/metrics | jq -e --arg n "$full" --argjson lost "$lost" 'any(.name == "clusterd_events_lost_total" and .labels.peer == $n and .value == $lost)'
    }
    wait_until 30 counted
}

@test "what a leader told of the others when it was cut off changes nothing when it comes late" {
    start_cluster 3 -o jobs.suspect_after=300ms -o worker.heartbeat_interval=100ms -o raft.election_timeout=5s
    wait_until 30 ready_frame
    old=$(leader)
    others=($(printf '%s\n' n1 n2 n3 | grep -v "$old"))
    follow "$old" 'kind=node.suspect'
    pids=
    for node in "${others[@]}"; do pids="$pids $(node_pid "$node")"; done
    kill -STOP $pids
    told=0
    wait_until 60 stream_has ".kind == \"node.suspect\" and .node == \"${others[0]}\" and .table == \"nodes\"" || told=1
    id=$(jq -rs --arg n "${others[0]}" 'map(select(.kind == "node.suspect" and .node == $n))[-1].id' "$CLUSTER_DIR/stream")
    on_disk() { sqlite3 -readonly "$CLUSTER_DIR/$old/data/events.db" 'SELECT max(last) FROM own' | jq -e ". >= ${id#*:}"; }
    wait_until 20 on_disk || told=1
    kill_node "$old"
    kill -CONT $pids
    [ "$told" = 0 ]
    leads() { led_by_another "$old" && ready_frame "$(up_node)"; }
    wait_until 60 leads
    start_node "$old"
    # It came before the next leader told what it knows, to a node that mirrored it; else without its row.
    came() {
        api -n "$(leader)" '/api/events?since=1h' | jq -se --arg id "$id" --arg old "$old" --arg n "${others[0]}" '
            (map(.kind == "events.collector" and .node != $old) | index(true)) as $begins
            | to_entries[] | select(.value.id == $id)
            | .value.node == $n and .value.text != "" and (.key < $begins or (.value | has("table") or has("row") | not))'
    }
    wait_until 60 came
}

# vitals_of ASKED NODE: how many seconds of NODE are known
vitals_of() { api -n "$1" '/api/vitals?since=1h' | jq -s --arg n "$2" 'map(select(.nodes[$n] != null)) | length'; }

@test "while no node leads a node tells what it has and says so, and a reader goes on without a loss when one leads" {
    start_cluster 3
    wait_until 30 mirrored "$(leader)"
    id=$(submit '{"name":"still known","commands":["true"]}')
    [ "$(job_end "$id")" = completed ]
    old=$(leader)
    told() { api -n "$old" "/api/events?since=1h&kind=job.state" | jq -se --arg id "$id" 'any(.key == $id and .row.state == "completed")'; }
    wait_until 20 told
    wait_until 30 mirrored "$old"
    left=$([ "$old" = n1 ] && echo n2 || echo n1)
    for node in n1 n2 n3; do [ "$node" = "$left" ] || kill_node "$node"; done
    partial() { api -n "$left" '/api/events?since=1h' | head -n 1 | jq -e --arg n "$left" '.partial == $n'; }
    wait_until 60 partial
    # what the others told, and what it sees itself
    knows() { api -n "$left" '/api/events?since=1h' | jq -se "any($1)"; }
    wait_until 30 knows ".kind == \"job.submit\" and .key == \"$id\""
    for node in n1 n2 n3; do wait_until 30 knows ".kind == \"daemon.start\" and .node == \"$node\""; done
    wait_until 30 knows ".kind == \"raft.prevote\" and .node == \"$left\""
    [ -z "$(api -n "$left" '/api/events?since=1h' | jq -r 'select(.id != null) | .id' | sort | uniq -d)" ]
    # a reader hears what comes, to the end of this time, and goes on
    follow "$left" since=1h
    wait_until 20 stream_has ".kind == \"raft.prevote\""
    cursor=$(jq -r 'select(.cursor != null) | .cursor' "$CLUSTER_DIR/stream" | tail -n 1)
    start_node "$old"
    wait_until 60 grep -q '"error"' "$CLUSTER_DIR/stream"
    has_all() {
        [ -z "$(comm -23 <(jq -r 'select(.id != null) | .id' "$CLUSTER_DIR/stream" | sort) \
            <(api -n "$left" '/api/events?since=1h' | jq -r 'select(.id != null) | .id' | sort))" ]
    }
    wait_until 60 has_all
    goes_on() { api -n "$left" "/api/events?since=$cursor" | jq -se --arg n "$old" 'any(.kind == "daemon.start" and .node == $n) and all(.partial == null)'; }
    wait_until 60 goes_on
}
