#!/usr/bin/env bats
# The state of the cluster as tables: cluster.nodes, .jobs, .tasks, .tables, .commits, .settings.

load ../lib/cluster.bash
load ../lib/chat.bash

teardown() { stop_cluster; }

setup() {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
}

sql() {
    clustersh -o csv -t -c "$1"
}

@test "nodes, jobs, tasks, tables, commits and settings are tables that join with data" {
    start_cluster 2
    [ "$(sql "select name, state from cluster.nodes order by name")" = $'n1,online\nn2,online' ]
    [ "$(sql "select count(*) from cluster.nodes where list_contains(roles, 'worker') and joined_at <= now()")" = 2 ]

    clustersh -c 'job submit --wait --array 0-4 --name five -- true'
    clustersh -c 'job submit --wait --name bad -- false' || true
    [ "$(sql "select state, count(*), sum(elements) from cluster.jobs group by state order by state")" = $'completed,1,5\nfailed,1,1' ]
    [ "$(sql "select count(*), count(distinct index), min(exit_code) from cluster.tasks t join cluster.jobs j on t.job = j.id where j.name = 'five' and t.state = 'completed'")" = "5,5,0" ]
    [ "$(sql "select sum(ended_at >= started_at)::int from cluster.jobs")" = 2 ]

    # any node answers, with what was acknowledged on another one
    other=unix:$CLUSTER_DIR/n2/data/clusterd.sock
    [ "$(CLUSTERSH_ENDPOINT=$other sql "select count(*), (select count(*) from cluster.tasks), (select max(node) from cluster.settings) from cluster.jobs")" = "2,6,n2" ]

    sql "create table rates (node varchar, price integer)"
    sql "insert into rates values ('n1', 3), ('n2', 4)"
    [ "$(sql "select sum(price) from cluster.nodes n join rates r on r.node = n.name where not n.draining")" = 7 ]
    [ "$(sql "select name, version from cluster.tables")" = "rates,1" ]
    [ "$(sql "select version, operation from cluster.commits where table_name = 'rates' order by version")" = $'0,CREATE TABLE\n1,WRITE' ]
    [ "$(sql "select count(*) from cluster.settings where name = 'node.data_dir' and value <> ''")" = 1 ]
    [ "$(sql "select count(*) from cluster.settings where name like '%secret%' and value not in ('', '(hidden)')")" = 0 ]

    # a table is made of what the cluster is now
    sql "create table seen as select name, state, last_seen, roles from cluster.nodes"
    [ "$(sql "select count(*) from seen")" = 2 ]
}

@test "the tables of the cluster are described, not listed, and never written" {
    start_cluster 1
    [ "$(clustersh -o json -c "describe cluster.nodes" | jq -r '.[] | select(.column_name == "roles" or .column_name == "draining").column_type' | sort)" = $'BOOLEAN\nVARCHAR[]' ]
    [ "$(clustersh -o json -c "show tables")" = "[]" ]
    for statement in "insert into cluster.nodes values (1)" "delete from cluster.jobs" "drop table cluster.tasks" \
        "create table cluster.mine (id integer)" "update cluster.nodes set name = 'x'"; do
        run clustersh -c "$statement"
        [ "$status" = 3 ]
        [[ "$output" == *"SQL only reads"* ]]
    done
    run clustersh -c "select * from cluster.node"
    [[ "$status" = 3 && "$output" == *'no table "cluster.node"'* && "$output" == *cluster.nodes* ]]
    run clustersh -c "select * from cluster.nodes at (version => 1)"
    [[ "$status" = 3 && "$output" == *"no versions"* ]]
}

@test "many rows of the cluster's state go through the store, and none is left there" {
    start_cluster 1
    clustersh -c 'job submit --array 0-9999 --select nowhere=1 -- true'
    [ "$(sql "select count(*), count(distinct index), max(index) from cluster.tasks where state = 'pending'")" = "10000,10000,9999" ]
    wait_until 10 eval '[ -z "$(find "$CLUSTER_DIR" -path "*shuffle*" -name "*.parquet")" ]'
}

@test "the tasks of many jobs come in pages, whichever way the pages end" {
    start_cluster 1
    clustersh -c 'job submit --array 0-5 --select nowhere=1 -- true'
    for i in $(seq 40); do
        printf '{"argv":["true"],"selector":"nowhere=1","name":"j%s"}\n' "$i" | api -f --data-binary @- /api/jobs >"$CLUSTER_DIR/out"
    done
    clustersh -c "job submit --wait --array 0-2 -r 1 -- 'exit 1'" || true
    for limit in 1 2 3 4 7 10 45 49 50; do
        next=
        : >"$CLUSTER_DIR/tasks"
        while [ "$next" != null ]; do
            api -f "/api/tasks?limit=$limit&$next" >"$CLUSTER_DIR/page"
            jq -r '.tasks[] | "\(.job) \(.index) \(.attempt)"' "$CLUSTER_DIR/page" >>"$CLUSTER_DIR/tasks"
            next=$(jq -r .next "$CLUSTER_DIR/page")
        done
        [ "$(wc -l <"$CLUSTER_DIR/tasks")" = 52 ] # 40 + 6 that wait, 3 with two attempts
        [ "$(sort -u "$CLUSTER_DIR/tasks" | wc -l)" = 52 ]
    done
    [ "$(sql "select count(*), count(distinct job), count(distinct (job, index)) from cluster.tasks")" = 52,42,49 ]
    [ "$(api -o "$CLUSTER_DIR/out" -w '%{http_code}' '/api/tasks?limit=0')" = 400 ]
}

@test "attempts of elements far apart are all there" {
    start_cluster 1
    clustersh -c "job submit --wait --array 0-20000:5000,7 -r 2 -- 'exit 1'" || true
    [ "$(sql "select index, count(*), max(attempt) from cluster.tasks group by index order by index")" = \
        $'0,3,3\n7,3,3\n5000,3,3\n10000,3,3\n15000,3,3\n20000,3,3' ]
}

# post FIRST LAST CHANNEL [NODE]: messages, whose texts are their numbers
post() {
    seq "$1" "$2" | jq -c --arg c "$3" '{text: tostring, channel: $c, client: "me", number: .}' >"$CLUSTER_DIR/lines"
    send_all "${4:-n1}" "$CLUSTER_DIR/lines"
}
counts() { [ "$(sql "SELECT count(*) FROM cluster.messages")" = "$1" ]; }
chat_leads() { api -n "${1:-n1}" /api/chat/members | jq -e 'any(.leader)'; }

@test "the messages of the chat are a table, in their order, whichever node is asked" {
    start_cluster 3
    wait_until 30 chat_leads
    post 1 4 general
    post 5 3004 ops n2
    post 3005 3006 general n3
    for node in n1 n2 n3; do
        export CLUSTERSH_ENDPOINT=unix:$(socket_of $node)
        wait_until 20 counts 3006
        [ "$(sql "SELECT text FROM cluster.messages WHERE channel = 'general' ORDER BY seq")" = $'1\n2\n3\n4\n3005\n3006' ]
        [ "$(sql "SELECT count(*), count(DISTINCT seq), min(text::INT), max(text::INT) FROM cluster.messages")" = 3006,3006,1,3006 ]
    done
    [ "$(sql "SELECT channel, count(*) FROM cluster.messages WHERE sender <> '' AND time > now() - INTERVAL 1 HOUR GROUP BY ALL ORDER BY 1")" = $'general,6\nops,3000' ]
    [ "$(sql "SELECT count(*) FROM cluster.messages WHERE time > now() + INTERVAL 1 HOUR")" = 0 ]
    [ "$(sql "SELECT count(*) FROM cluster.messages WHERE time < TIMESTAMPTZ '2020-01-01 00:00:00Z'")" = 0 ]
    # the numbers that messages have are those of the chat
    first=$(api '/api/chat/messages?from=0&limit=1' | jq .seq)
    [ "$(sql "SELECT text FROM cluster.messages WHERE seq = $first")" = 1 ]
    [ "$(sql "SELECT text FROM cluster.messages WHERE seq > $first AND seq <= $((first + 2)) ORDER BY seq DESC")" = $'3\n2' ]
    [ "$(sql "SELECT count(*) FROM cluster.messages WHERE seq < 0 OR channel = 'nobody'")" = 0 ]
    [ "$(sql "SELECT count(*) FROM cluster.messages WHERE channel = 'no body'")" = 0 ]
    # the last ones, and the first ones
    [ "$(sql "SELECT text FROM cluster.messages ORDER BY seq DESC LIMIT 3")" = $'3006\n3005\n3004' ]
    [ "$(sql "SELECT text FROM cluster.messages WHERE channel = 'general' ORDER BY seq DESC LIMIT 2 OFFSET 1")" = $'3005\n4' ]
    [ "$(sql "SELECT text FROM cluster.messages WHERE channel = 'ops' ORDER BY seq LIMIT 2")" = $'5\n6' ]
    [ "$(sql "SELECT count(*) FROM (FROM cluster.messages LIMIT 7)")" = 7 ]
    # joined with data
    [ "$(sql "SELECT count(*) FROM cluster.messages a JOIN cluster.messages b ON a.seq = b.seq WHERE b.channel = 'general'")" = 6 ]
}

@test "the messages of the chat are read from nodes that do not chat, and while the leader of the chat is gone" {
    start_cluster 3
    wait_until 30 chat_leads
    post 1 10 general
    # a node without the role
    clusterd init "$CLUSTER_DIR/n4" -o node.name=n4 -o node.roles=worker -o peer.listen=127.0.0.1:0 -o api.listen=none \
        -o data.listen=none -o cluster.join="$(api /api/nodes | jq -r '.[0].address')" \
        -o cluster.join_token="$(sed -n 's/.*join_token: "\(.*\)"/\1/p' "$CLUSTER_DIR/n1/clusterd.yaml")" >/dev/null
    start_node n4
    wait_until 30 node_state_is n4 online
    on_n4() { CLUSTERSH_ENDPOINT=unix:$(socket_of n4) sql "$1"; }
    n4_has_all() { [ "$(on_n4 "SELECT count(*) FROM cluster.messages")" = 10 ]; }
    wait_until 60 n4_has_all
    [ "$(on_n4 "SELECT text FROM cluster.messages ORDER BY seq DESC LIMIT 1")" = 10 ]
    wait_until 20 chat_has_leader
    kill_node "$CHAT_LEADER"
    wait_until 60 n4_has_all
}

@test "more messages than fit in memory at once are read in pieces" {
    start_cluster 1
    wait_until 30 chat_leads
    text=$(printf 'x%.0s' {1..3000})
    for ((i = 0; i < 4; i++)); do
        seq 1 2000 | jq -c --arg t "$text" '{text: ($t + tostring), channel: "long"}' |
            api -f -H 'Content-Type: application/x-ndjson' --data-binary @- /api/chat/messages >/dev/null
    done
    [ "$(sql "SELECT count(*), count(DISTINCT seq), min(length(text)), max(length(text)) FROM cluster.messages")" = 8000,8000,3001,3004 ]
    [ "$(sql "SELECT text FROM cluster.messages ORDER BY seq DESC LIMIT 1")" = "${text}2000" ]
}
