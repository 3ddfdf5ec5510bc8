#!/usr/bin/env bats
# The state of the cluster as tables: cluster.nodes, .jobs, .tasks, .tables, .commits, .settings.

load ../lib/cluster.bash

teardown() { stop_cluster; }

setup() {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
}

sql() {
    clustersh -o csv -t -c "$1"
}

all_online() {
    [ "$(api /api/nodes | jq '[.[] | select(.state == "online")] | length')" = "$CLUSTER_NODES" ]
}

@test "nodes, jobs, tasks, tables, commits and settings are tables that join with data" {
    start_cluster 2
    wait_until 30 all_online
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

@test "attempts of elements far apart are all there" {
    start_cluster 1
    clustersh -c "job submit --wait --array 0-20000:5000,7 -r 2 -- 'exit 1'" || true
    [ "$(sql "select index, count(*), max(attempt) from cluster.tasks group by index order by index")" = \
        $'0,3,3\n7,3,3\n5000,3,3\n10000,3,3\n15000,3,3\n20000,3,3' ]
}
