#!/usr/bin/env bats
# Traces: who caused what, over nodes and processes, as a collector gets it.

load ../lib/cluster.bash

setup() {
    collector=${TOP_BUILDDIR:-$(dirname "$(command -v clusterd)")}/tests/lib/otlp_collector
    [ -x "$collector" ] || skip "make tests/lib/otlp_collector first"
    OUT=$BATS_TEST_TMPDIR/traces
    touch "$OUT"
}

teardown() {
    stop_cluster
    [ -z "${COLLECTOR_PID:-}" ] || kill "$COLLECTOR_PID" 2>/dev/null || true
}

start_collector() {
    "$collector" "$OUT" "$BATS_TEST_TMPDIR/port" "$@" 3>&- &
    COLLECTOR_PID=$!
    wait_until 10 test -s "$BATS_TEST_TMPDIR/port"
    COLLECTOR=http://127.0.0.1:$(cat "$BATS_TEST_TMPDIR/port")
}

# All spans so far, one a line, with the node that sent them.
spans() {
    jq -c '.resourceSpans[] | (.resource.attributes | map(select(.key == "clusterd.node"))[0].value.stringValue) as $node
        | .scopeSpans[].spans[] | . + {node: $node}
        | .attributes |= (map({key, value: (.value | to_entries[0].value)}) | from_entries)' "$OUT"
}

count() { # JQ-CONDITION N: so many spans are such
    [ "$(spans | jq -s "[.[] | select($1)] | length")" -ge "$2" ]
}

# Each span that names a parent has it in the trace, but for the one that came from outside.
family() { # TRACE OUTSIDE
    spans | jq -es --arg t "$1" --arg o "$2" '[.[] | select(.traceId == $t)] as $all | ($all | map(.spanId)) as $ids
        | ($ids | unique | length) == ($ids | length) and
          all($all[]; (.parentSpanId // $o) as $p | $p == $o or ($ids | index($p)) != null)'
}

value() {
    api -n "$1" /metrics | awk -v series="$2" '$1 == series { print $2; found = 1 } END { if (!found) print 0 }'
}
at_least() { awk -v a="$(value "$1" "$2")" -v b="$3" 'BEGIN { exit !(a >= b) }'; }

traced() { # runs curl with a context of its own: trace $1, span 00f067aa0ba902b7
    local trace=$1
    shift
    api -H "traceparent: 00-$trace-00f067aa0ba902b7-01" "$@"
}

@test "a job's trace: the request, the job, its attempts on every node, the commands' own context" {
    start_collector
    start_cluster 3 -o trace.endpoint="$COLLECTOR" -o trace.sample=0
    trace=4bf92f3577b34da6a3ce929d0e0e4736
    # asked of a node that does not lead: the context is forwarded, too
    follower=$([ "$(leader)" = n1 ] && echo n2 || echo n1)
    id=$(api -n $follower -f -H "traceparent: 00-$trace-00f067aa0ba902b7-01" -d '{"name":"traced","commands":["echo $TRACEPARENT"],"array":"0-11"}' /api/jobs | jq -r .id)
    [ "$(job_end "$id")" = completed ]
    wait_until 20 count '.name == "task"' 12
    wait_until 20 count '.name == "job"' 1
    wait_until 20 family $trace 00f067aa0ba902b7
    job=$(spans | jq -rs '.[] | select(.name == "job") | .spanId')
    [ "$(spans | jq -rs '.[] | select(.name == "job") | [.traceId, .parentSpanId, .kind, .attributes["clusterd.job.id"], .attributes["clusterd.job.state"]] | join(" ")')" = "$trace 00f067aa0ba902b7 2 $id completed" ]
    [ "$(spans | jq -rs '[.[] | select(.name == "task") | .parentSpanId] | unique | join(" ")')" = "$job" ]
    [ "$(spans | jq -s '[.[] | select(.name == "task") | .node] | unique | length')" -ge 2 ]
    [ "$(spans | jq -s '[.[] | select(.name == "task") | .attributes["clusterd.task.index"] | tonumber] | sort == [range(12)]')" = true ]
    # what a command saw is its own attempt's span
    seen=$(clustersh -c "job logs ${id}_3")
    [ "$seen" = "00-$trace-$(spans | jq -rs '.[] | select(.attributes["clusterd.task.index"] == "3") | .spanId')-01" ]
    # nothing else is recorded with a sample of 0
    id=$(submit '{"commands":["echo [$TRACEPARENT]"]}')
    [ "$(job_end "$id")" = completed ]
    [ "$(clustersh -c "job logs $id")" = "[]" ]
    [ "$(spans | jq -rs 'map(.traceId) | unique | join(" ")')" = $trace ]
}

@test "a job that outlives its leader is told once, by the next one, under the same span" {
    start_collector
    start_cluster 3 -o trace.endpoint="$COLLECTOR" -o trace.sample=0
    trace=4bf92f3577b34da6a3ce929d0e0e4736 lead=$(leader)
    other=$([ "$lead" = n1 ] && echo n2 || echo n1)
    go=$BATS_TEST_TMPDIR/go
    id=$(api -f -H "traceparent: 00-$trace-00f067aa0ba902b7-01" \
        -d "{\"commands\":[\"until [ -e $go ]; do sleep 0.1; done\"],\"selector\":\"name=$other\"}" /api/jobs | jq -r .id)
    wait_until 20 eval "[ \"\$(api -n $other /api/jobs/$id | jq .running)\" = 1 ]"
    kill_node "$lead"
    touch "$go"
    [ "$(job_end "$id")" = completed ]
    wait_until 20 count '.name == "job"' 1
    wait_until 20 count '.name == "task"' 1
    wait_until 20 family $trace 00f067aa0ba902b7
    [ "$(spans | jq -s '[.[] | select(.name == "job")] | length')" = 1 ]
    [ "$(spans | jq -rs '.[] | select(.name == "job") | .node')" != "$lead" ]
    [ "$(spans | jq -rs '(.[] | select(.name == "job") | .spanId) == (.[] | select(.name == "task") | .parentSpanId)')" = true ]
}

@test "a failed attempt and its job are errors in the trace, the retry is another span" {
    start_collector
    start_cluster 1 -o trace.endpoint="$COLLECTOR" -o trace.sample=1
    id=$(submit '{"commands":["exit 7"],"retries":1}')
    [ "$(job_end "$id")" = failed ]
    wait_until 20 count '.name == "job"' 1
    wait_until 20 count '.name == "task"' 2
    [ "$(spans | jq -s '[.[] | select(.name == "task") | .status.code, .attributes["process.exit.code"]] | unique == [2, "7"]')" = true ]
    [ "$(spans | jq -s '.[] | select(.name == "job") | [.status.code, .parentSpanId] == [2, null]')" = true ]
    [ "$(spans | jq -s 'map(.traceId) | unique | length')" = 1 ]
}

@test "a query's trace: stages below it, tasks on other nodes below these, the store's operations" {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    start_collector
    start_cluster 3 -o trace.endpoint="$COLLECTOR" -o trace.sample=0 -o sql.split_bytes=1
    clustersh -c 'create table t (k integer, v integer)'
    for i in 1 2 3 4; do clustersh -c "insert into t select range % 7, range from range(1000)"; done
    trace=0af7651916cd43dd8448eb211c80319c
    traced $trace -f -d '{"sql":"select k, count(*), sum(v) from t group by k order by k"}' /api/sql | grep -q '"done"'
    wait_until 20 count '.name == "sql query"' 1
    wait_until 20 count '.name == "sql stage"' 2
    wait_until 20 count '.name == "sql task"' 3
    wait_until 20 count '.name | startswith("object ")' 1
    wait_until 20 family $trace 00f067aa0ba902b7
    query=$(spans | jq -rs '.[] | select(.name == "sql query") | .spanId')
    [ "$(spans | jq -rs '[.[] | select(.name == "sql stage") | .parentSpanId] | unique | join(" ")')" = "$query" ]
    [ "$(spans | jq -rs '(map(select(.name == "sql stage") | .spanId)) as $s | all(.[] | select(.name == "sql task"); .parentSpanId as $p | $s | index($p) != null)')" = true ]
    [ "$(spans | jq -s '[.[] | select(.name == "sql task") | .node] | unique | length')" -ge 2 ]
    [ "$(spans | jq -rs '.[] | select(.name == "sql query") | [.attributes["clusterd.query.command"], .attributes["clusterd.query.rows"]] | join(" ")')" = "SELECT 7" ]
    # one that fails
    traced aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa -d '{"sql":"select nothing from t"}' /api/sql | grep -q '"error"'
    wait_until 20 count '.name == "sql query" and .status.code == 2' 1
}

@test "what a task reads from a bucket is below the task" {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    bucket=$(dirname "$collector")/s3_serve
    [ -x "$bucket" ] || skip "make tests/lib/s3_serve first"
    start_collector
    "$bucket" >"$BATS_TEST_TMPDIR/endpoint" 3>&- &
    export STARTED_PIDS=$! # stop_cluster ends it
    wait_until 10 grep -q http "$BATS_TEST_TMPDIR/endpoint"
    start_cluster 1 -o trace.endpoint="$COLLECTOR" -o trace.sample=0 -o sql.store=s3://bucket/lake -o sql.s3_endpoint="$(cat "$BATS_TEST_TMPDIR/endpoint")" \
        -o sql.s3_region=eu-test-1 -o sql.s3_access_key=AKIATEST -o sql.s3_secret_key=secret/of+tests
    clustersh -c 'create table t as select range as i from range(100000)'
    trace=0af7651916cd43dd8448eb211c80319c
    traced $trace -f -d '{"sql":"select sum(i) from t"}' /api/sql | grep -q '"done"'
    wait_until 20 count '.name == "sql query"' 1
    wait_until 20 count '.name == "object get"' 1
    wait_until 20 family $trace 00f067aa0ba902b7
    [ "$(spans | jq -rs '(map(select(.name == "sql task") | .spanId)) as $t | any(.[] | select(.name == "object get"); .parentSpanId as $p | $t | index($p) != null)')" = true ]
    [ "$(spans | jq -rs '[.[] | select(.name == "object get") | .attributes["clusterd.object.result"]] | unique | join(" ")')" = ok ]
    wait_until 10 at_least n1 'clusterd_object_cache_read_bytes_total{from="store"}' 1
}

@test "a rollout's transaction is one trace over all nodes; a request of the data plane hands its context on" {
    start_collector
    start_cluster 3 -o trace.endpoint="$COLLECTOR" -o trace.sample=1
    api -f -X POST -d '{"id":"m1","url":"echo:"}' /api/models
    api -f -X POST -d '{"model":"m1"}' /api/rollouts/web/start
    wait_until 20 count '.name == "rollout transaction"' 1
    wait_until 20 count '.name == "txn vote"' 3
    wait_until 20 count '.name == "txn apply"' 3
    [ "$(spans | jq -s '[.[] | select(.name == "txn vote") | .node] | unique == ["n1", "n2", "n3"]')" = true ]
    [ "$(spans | jq -rs '. as $all | ($all[] | select(.name == "rollout transaction")) as $r | all($all[] | select(.name | startswith("txn ")); .traceId == $r.traceId and .parentSpanId == $r.spanId)')" = true ]
    data=$(awk '/^data:/ { found = 1 } found && /listen:/ { gsub(/"/, ""); print $2; exit }' "$CLUSTER_DIR/n1/clusterd.yaml")
    wait_until 10 curl -sf -d x "http://$data/predict/web"
    curl -sf -d x -H 'traceparent: 00-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-00f067aa0ba902b7-01' "http://$data/predict/web"
    wait_until 20 count '.name == "predict" and .traceId == "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" and .parentSpanId == "00f067aa0ba902b7"' 1
    api -f -H 'traceparent: 00-cccccccccccccccccccccccccccccccc-00f067aa0ba902b7-01' -d '{"text":"hello"}' /api/chat/messages
    wait_until 20 count '.name == "chat append" and .traceId == "cccccccccccccccccccccccccccccccc"' 1
}

@test "the collector's token and headers are sent" {
    start_collector secret-token
    start_cluster 1 -o trace.endpoint="$COLLECTOR/v1/traces" -o trace.sample=1 -o trace.token=secret-token -o "trace.headers=X-Scope=a, X-Key=other-secret"
    [ "$(job_end "$(submit '{"commands":["true"]}')")" = completed ]
    wait_until 20 count '.name == "job"' 1
    ! grep -rq -e secret-token -e other-secret "$CLUSTER_DIR/log"
    [ "$(clusterd config show "$CLUSTER_DIR/n1/clusterd.yaml" | grep -c -e secret-token -e other-secret)" = 0 ]
}

@test "a collector that is down, slow, mad or unwilling costs spans, a line in the log, and nothing else" {
    start_collector
    for path in :down /slow /garbage /busy /refuse; do
        endpoint=$COLLECTOR$path
        [ $path != :down ] || endpoint=http://127.0.0.1:1
        start_cluster 1 -o trace.endpoint="$endpoint" -o trace.sample=1
        id=$(submit '{"commands":["true"],"array":"0-199"}')
        [ "$(job_end "$id")" = completed ]
        case $path in
        /slow) ;; # still waits
        *) wait_until 30 at_least n1 'clusterd_trace_exports_total{result="failed"}' 1 ;;
        esac
        [ "$(job_end "$(submit '{"commands":["true"]}')")" = completed ]
        [ "$(grep -c '"role":"trace"' "$CLUSTER_DIR/log")" -le 1 ]
        case $path in
        /refuse) wait_until 10 at_least n1 'clusterd_trace_spans_total{result="dropped"}' 1 ;;
        esac
        stop_cluster
    done
    [ ! -s "$OUT" ]
}

@test "an endpoint that is none is said so at once" {
    run clusterd run --config <(printf 'trace: {endpoint: "localhost:4318"}\n')
    [ "$status" = 1 ]
    [[ "$output" == *"trace.endpoint"*"http://"* ]]
    run clusterd init "$BATS_TEST_TMPDIR/x" -o trace.sample=1.5
    [[ "$status" = 1 && "$output" == *"trace.sample is 1.5, must be from 0 to 1"* ]]
    run clusterd init "$BATS_TEST_TMPDIR/x" -o trace.sample=much
    [[ "$status" = 1 && "$output" == *"must be a share"* ]]
}

@test "a node that is stopped sends the spans that wait first, and ends all the same when the collector takes none" {
    start_collector
    start_cluster 1 -o trace.endpoint="$COLLECTOR" -o trace.sample=0
    for i in 1 2 3 4 5 6 7 8; do
        id=$(traced 4bf92f3577b34da6a3ce929d0e0e473$i -f -d '{"commands":["true"]}' /api/jobs | jq -r .id)
        [ "$(job_end "$id")" = completed ]
    done
    end_cluster
    # a machine that stalls for so long is told of
    [ "$(spans | jq -r 'select(.name == "job") | .traceId' | sort -u | wc -l)" = 8 ] || grep -q 'spans were not sent' "$CLUSTER_DIR/log"
    rm -rf "$CLUSTER_DIR"

    start_cluster 1 -o trace.endpoint="$COLLECTOR" -o trace.sample=1
    kill -STOP "$COLLECTOR_PID"
    [ "$(job_end "$(submit '{"commands":["true"]}')")" = completed ]
    end_cluster
    kill -CONT "$COLLECTOR_PID"
    grep -q 'spans were not sent' "$CLUSTER_DIR/log"
    [ "$(grep -c 'giving up' "$CLUSTER_DIR/log")" = 0 ]
    rm -rf "$CLUSTER_DIR"
}

end_cluster() {
    local pid=$CLUSTER_PID
    CLUSTER_PID=
    kill "$pid"
    wait "$pid" || true
}
