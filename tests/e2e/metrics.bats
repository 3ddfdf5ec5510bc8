#!/usr/bin/env bats
# What nodes count, as Prometheus and as cluster.metrics see it.

load ../lib/cluster.bash

teardown() { stop_cluster; }

value() { # NODE SERIES: its value, 0 when there is none
    api -n "$1" /metrics | awk -v series="$2" '$1 == series { print $2; found = 1 } END { if (!found) print 0 }'
}

sum() { # SERIES: over all nodes
    local node
    for node in $(seq -f 'n%g' "$CLUSTER_NODES"); do value "$node" "$1"; done | awk '{ s += $1 } END { print s }'
}

is() { [ "$(value "$1" "$2")" = "$3" ]; }
of_leader() { local lead; lead=$(leader_now) && "$1" "$lead" "${@:2}"; }
sums_to() { [ "$(sum "$1")" = "$2" ]; }
sums_to_least() { awk -v a="$(sum "$1")" -v b="$2" 'BEGIN { exit !(a >= b) }'; }
at_least() { awk -v a="$(value "$1" "$2")" -v b="$3" 'BEGIN { exit !(a >= b) }'; }

# The rules of the text format, for where there is no promtool.
well_formed() {
    awk '
    /^# HELP / { if (NF < 4 || $3 in help) { print "help: " $0; bad = 1 } help[$3] = 1; next }
    /^# TYPE / { if ($4 !~ /^(counter|gauge|histogram)$/ || $3 in type) { print "type: " $0; bad = 1 } type[$3] = $4; next }
    /^#/ { print "comment: " $0; bad = 1; next }
    {
        if ($0 !~ /^[a-z_]+(\{[a-z_]+="([^"\\\n]|\\["\\n])*"(,[a-z_]+="([^"\\\n]|\\["\\n])*")*\})? -?([0-9.e+-]+|NaN|[+-]Inf)$/) {
            print "sample: " $0; bad = 1
        }
        name = $1; sub(/\{.*/, "", name); family = name
        if (!(family in type)) sub(/_(bucket|sum|count)$/, "", family)
        if (!(family in type) || !(family in help)) { print "nobody said what this is: " $0; bad = 1 }
        line = $0; sub(/ [^ ]*$/, "", line)
        if (line in seen) { print "twice: " $0; bad = 1 }
        seen[line] = 1
    }
    END { exit bad }'
}

@test "what a cluster does is counted, and promtool has nothing to say about it" {
    start_cluster 3
    clustersh -c 'job submit --wait --array 0-9 -- true'
    clustersh -c 'job submit --wait -- false' || true
    clustersh -c 'chat send hello'
    api -f -X POST -d '{"id":"m1","url":"echo:"}' /api/models
    api -f -X POST -d '{"model":"m1"}' /api/rollouts/web/start

    wait_until 10 sums_to 'clusterd_jobs_submitted_total' 2
    wait_until 10 sums_to 'clusterd_jobs_ended_total{state="completed"}' 1
    wait_until 10 sums_to 'clusterd_jobs_ended_total{state="failed"}' 1
    wait_until 10 sums_to 'clusterd_attempts_total{state="completed"}' 10
    wait_until 10 of_leader is 'clusterd_nodes{state="online"}' 3
    wait_until 10 of_leader is 'clusterd_leading{group="cluster"}' 1
    wait_until 10 sums_to 'clusterd_leading{group="cluster"}' 1
    wait_until 10 sums_to 'clusterd_tasks_ended_total{result="ok"}' 10
    wait_until 10 sums_to 'clusterd_tasks_ended_total{result="exit_nonzero"}' 1
    wait_until 10 sums_to 'clusterd_task_duration_seconds_count' 11
    wait_until 10 sums_to_least 'clusterd_elections_won_total{group="cluster"}' 1
    wait_until 10 sums_to_least 'clusterd_elections_won_total{group="chat"}' 1
    wait_until 10 is n1 'clusterd_chat_submits_total{result="ok"}' 1
    wait_until 10 is n1 'clusterd_chat_submit_seconds_count' 1
    for node in n1 n2 n3; do
        wait_until 10 at_least $node clusterd_heartbeat_round_trip_seconds_count 1
        wait_until 10 at_least $node clusterd_raft_applied_index 3
        wait_until 10 at_least $node 'clusterd_log_sync_seconds_count{log="raft"}' 3
        wait_until 10 at_least $node 'clusterd_log_sync_seconds_count{log="chat"}' 1
        wait_until 10 at_least $node process_resident_memory_bytes 1000000
        api -n $node /metrics >"$BATS_TEST_TMPDIR/$node"
        well_formed <"$BATS_TEST_TMPDIR/$node"
        ! command -v promtool || promtool check metrics <"$BATS_TEST_TMPDIR/$node"
    done
    wait_until 10 sums_to_least 'clusterd_raft_commit_seconds_count' 3
    wait_until 10 sums_to_least 'clusterd_raft_proposals_total{result="ok"}' 3
    wait_until 10 sums_to_least 'clusterd_txns_total{outcome="commit"}' 1
    wait_until 10 sums_to_least 'clusterd_txn_seconds_count{outcome="commit"}' 1
    lead=$(leader)
    other=$([ "$lead" = n1 ] && echo n2 || echo n1)
    wait_until 10 is "$lead" "clusterd_link_up{peer=\"$other\"}" 1
    wait_until 10 at_least "$lead" "clusterd_heartbeats_received_total{peer=\"$other\"}" 1
    wait_until 10 at_least "$lead" "clusterd_link_bytes_total{peer=\"$other\",direction=\"in\"}" 100
    wait_until 10 at_least "$lead" "clusterd_link_bytes_total{peer=\"$other\",direction=\"out\"}" 100
    wait_until 10 at_least n1 'clusterd_http_requests_total{route="/metrics",method="GET",code="200"}' 3
    wait_until 10 is n1 'clusterd_http_requests_total{route="/api/models",method="POST",code="201"}' 1
    wait_until 10 at_least n1 'clusterd_http_request_seconds_count{route="/healthz"}' 1
}

@test "requests of the data plane are counted by model and status" {
    start_cluster 1
    api -f -X POST -d '{"id":"good","url":"echo:"}' /api/models
    api -f -X POST -d '{"id":"bad","url":"echo:fail=100"}' /api/models
    api -f -X POST -d '{"model":"good"}' /api/rollouts/web/start
    api -f -X POST -d '{"model":"bad"}' /api/rollouts/broken/start
    data=$(awk '/^data:/ { found = 1 } found && /listen:/ { gsub(/"/, ""); print $2; exit }' "$CLUSTER_DIR/n1/clusterd.yaml")
    wait_until 10 curl -sf -d x "http://$data/predict/web"
    curl -s "http://$data/predict/web?[1-5]" -d x >/dev/null
    wait_until 10 is n1 'clusterd_data_requests_total{service="web",model="good",code="200"}' 6
    wait_until 10 is n1 'clusterd_data_request_seconds_count{service="web",model="good"}' 6
    wait_until 10 eval '[ "$(curl -s -o /dev/null -w "%{http_code}" -d x "http://$data/predict/broken")" = 500 ]'
    wait_until 10 at_least n1 'clusterd_data_requests_total{service="broken",model="bad",code="500"}' 1
}

@test "on TCP a scrape needs the token, and gets OpenMetrics when it asks for it" {
    start_cluster 1
    address=$(sed -n 's,.*\(http://[^ ]*\).*,\1,p' "$CLUSTER_DIR/ready")
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$address/metrics")" = 401 ]
    token=$(cat "$CLUSTER_DIR/n1/data/api.token")
    curl -sf -D "$BATS_TEST_TMPDIR/head" -H "Authorization: Bearer $token" \
        -H 'Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5' "$address/metrics" >"$BATS_TEST_TMPDIR/out"
    grep -qi '^content-type: application/openmetrics-text; version=1.0.0' "$BATS_TEST_TMPDIR/head"
    [ "$(tail -n 1 "$BATS_TEST_TMPDIR/out")" = '# EOF' ]
    grep -qx '# TYPE clusterd_heartbeats_sent counter' "$BATS_TEST_TMPDIR/out"
    [ "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "$address/api/metrics?nodes=some")" = 400 ]
}

all_are_up() {
    holds '/api/metrics?nodes=all' '[.[] | select(.name == "up") | [.node, (.value | floor)]] | sort == [["n1", 1], ["n2", 1], ["n3", 1]]'
}

@test "a dead node is a row of cluster.metrics, and its link is down" {
    start_cluster 3
    victim=$([ "$(leader)" = n3 ] && echo n2 || echo n3)
    wait_until 20 all_are_up
    kill_node $victim
    wait_until 20 is n1 "clusterd_link_up{peer=\"$victim\"}" 0
    wait_until 30 of_leader is "clusterd_node_changes_total{peer=\"$victim\",state=\"offline\"}" 1
    wait_until 20 holds '/api/metrics?nodes=all' '[.[] | select(.node == $n) | [.name, (.value | floor)]] == [["up", 0]]' --arg n $victim
    wait_until 20 of_leader is 'clusterd_nodes{state="offline"}' 1
    start_node $victim
    wait_until 30 is n1 "clusterd_link_up{peer=\"$victim\"}" 1
    wait_until 10 at_least n1 "clusterd_link_connects_total{peer=\"$victim\"}" 2
}

@test "the metrics of all nodes are a table" {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    start_cluster 3
    sql() { clustersh -o csv -t -c "$1"; }
    is_true() { [ "$(sql "$1")" = true ]; }
    wait_until 20 all_are_up
    [ "$(sql "select node, value from cluster.metrics where name = 'up' order by node")" = $'n1,1.0\nn2,1.0\nn3,1.0' ]
    [ "$(sql "select sum(value)::int from cluster.metrics where name = 'clusterd_nodes' and labels['state'] = 'online'")" = 3 ]
    [ "$(sql "select count(*) > 100, count(distinct node), bool_or(name like '%_bucket') from cluster.metrics")" = "true,3,false" ]
    sql "create table t as select 1 as x"
    wait_until 10 holds '/api/metrics?nodes=all' '[.[] | select(.name == "clusterd_sql_queries_total" and .labels.result == "ok") | .value] | add == 4'
    [ "$(sql "select sum(value)::int from cluster.metrics where name = 'clusterd_sql_queries_total' and labels['result'] = 'ok'")" = 4 ]
    run clustersh -c "select no_such_column from t"
    [ "$status" = 3 ]
    wait_until 10 is_true "select sum(value) >= 1 from cluster.metrics where name = 'clusterd_sql_queries_total' and labels['result'] <> 'ok'"
    wait_until 10 is_true "select sum(value) >= 1 from cluster.metrics where name = 'clusterd_object_operations_total' and labels['operation'] like 'put%'"
    wait_until 10 is_true "select sum(value) >= 1 from cluster.metrics where name = 'clusterd_sql_tasks_total'"
}
