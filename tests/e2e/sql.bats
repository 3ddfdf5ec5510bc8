#!/usr/bin/env bats
# SQL through clustersh on real nodes: tables, statements that write, plans over three nodes, a worker that dies.

bats_require_minimum_version 1.5.0
load ../lib/cluster.bash

teardown() { stop_cluster; }

setup() {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
}

sql() {
    clustersh -o csv -t -c "$1"
}

# A table of four files on three nodes that split anything.
start_facts() {
    start_cluster 3 -o sql.split_bytes=1
    sql "create table facts as select i as id, i % 7 as k, 'it''s ' || i % 3 as s, (i % 100)::decimal(10,2) / 4 as d from range(5000) r(i)"
    sql "insert into facts select id + 5000, k, s, d from facts"
    sql "insert into facts select id + 10000, k, s, d from facts where id < 5000"
    sql "insert into facts select id + 15000, null, s, d from facts where id < 5000"
}

@test "a table is made, filled, read, changed, and remembers its versions" {
    start_cluster 1
    sql "create table t (id integer not null, name varchar, d decimal(10,2)) partitioned by (name)"
    sql "insert into t values (1, 'a', 1.5), (2, 'it''s 🐙', 2.25), (3, null, null)"
    [ "$(sql "select id, name, d from t order by id")" = $'1,a,1.50\n2,it\'s 🐙,2.25\n3,,' ]
    sql "insert into t (d, id) select 7, 4"
    [ "$(sql "select id, name, d from t where id = 4")" = "4,,7.00" ]
    [ "$(clustersh -c "update t set d = d + 1 where id > 1")" = "UPDATE 3" ]
    [ "$(clustersh -c "delete from t where id in (select max(id) from t)")" = "DELETE 1" ]
    [ "$(sql "select id, d from t order by id")" = $'1,1.50\n2,3.25\n3,' ]
    [ "$(sql "select count(*) from t at (version => 1)")" = 3 ]
    [ "$(sql "select count(*) from t at (version => 0)")" = 0 ]
    [ "$(clustersh -o json -c "describe history t" | jq -c '[.[].operation]')" = '["DELETE","UPDATE","WRITE","WRITE","CREATE TABLE"]' ]
    [ "$(clustersh -o json -c "describe t" | jq -c '[.[].column_type]')" = '["INTEGER","VARCHAR","DECIMAL(10,2)"]' ]
    [ "$(clustersh -o json -c "show tables" | jq -r '.[].name')" = t ]
    sql "create or replace table t as select 5 as k"
    [ "$(sql "select * from t")" = 5 ]
    [ "$(sql "select count(*) from t at (version => 1)")" = 3 ]
    sql "drop table t"
    [ "$(clustersh -o json -c "show tables")" = "[]" ]
    clustersh -o json audit | jq -e --arg user "$(id -un)" 'map([.action, .object, .user]) == [["table drop", "t", $user], ["table create", "t", $user]]'
}

@test "small files become few, what no version needs is deleted, the answer stays" {
    start_cluster 1
    sql "create table t as select 0 as id"
    for i in 1 2 3 4 5; do sql "insert into t values ($i)"; done
    before=$(find "$CLUSTER_DIR" -name 'part-*.parquet' | wc -l)
    [ "$before" = 6 ]
    sql "optimize t"
    [ "$(sql "select sum(id), count(*) from t")" = 15,6 ]
    [ "$(sql "select count(*) from t at (version => 1)")" = 2 ]
    [ "$(clustersh -o json -c "vacuum t retain 0 hours dry run" | jq length)" = 6 ]
    sql "vacuum t retain 0 hours"
    [ "$(find "$CLUSTER_DIR" -name 'part-*.parquet' | wc -l)" = 1 ]
    [ "$(sql "select sum(id), count(*) from t")" = 15,6 ]
}

@test "VACUUM leaves what another writer named in its own way, and what is not the table's" {
    start_cluster 1 -o sql.paths="$BATS_TEST_TMPDIR"
    dir=$BATS_TEST_TMPDIR/t
    mkdir -p "$dir/_delta_log" "$dir/sub"
    sql "copy (select 1 as id) to '$dir/a+b.parquet'"
    sql "copy (select 2 as id) to '$dir/whole.parquet'"
    sql "copy (select 3 as id) to '$dir/sub/plain.parquet'"
    cp "$dir/whole.parquet" "$dir/orphan.parquet"
    cp "$dir/whole.parquet" "$dir/sub/_theirs.parquet"
    touch -d '3 days ago' "$dir"/*.parquet "$dir"/sub/*.parquet
    cat >"$dir/_delta_log/00000000000000000000.json" <<JSON
{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"5fba94ed-9794-4965-ba6e-6ee3c0d22af9","format":{"provider":"parquet","options":{}},"schemaString":"{\\"type\\":\\"struct\\",\\"fields\\":[{\\"name\\":\\"id\\",\\"type\\":\\"integer\\",\\"nullable\\":true,\\"metadata\\":{}}]}","partitionColumns":[],"configuration":{},"createdTime":1587968585495}}
{"add":{"path":"a%2Bb.parquet","partitionValues":{},"size":$(stat -c %s "$dir/a+b.parquet"),"modificationTime":1,"dataChange":true}}
{"add":{"path":"file://$dir/whole.parquet","partitionValues":{},"size":$(stat -c %s "$dir/whole.parquet"),"modificationTime":1,"dataChange":true}}
{"add":{"path":"sub/plain.parquet","partitionValues":{},"size":$(stat -c %s "$dir/sub/plain.parquet"),"modificationTime":1,"dataChange":true}}
JSON
    sql "create table t location '$dir'"
    [ "$(sql "select sum(id) from t")" = 6 ]
    [ "$(clustersh -o json -c "vacuum t retain 0 hours dry run" | jq -c '[.[].path]')" = '["orphan.parquet"]' ]
    sql "vacuum t retain 0 hours"
    [ "$(cd "$dir" && find . -name '*.parquet' | sort | xargs)" = './a+b.parquet ./sub/_theirs.parquet ./sub/plain.parquet ./whole.parquet' ]
    [ "$(sql "select sum(id) from t")" = 6 ]
}

@test "what another engine's table asks of its writers and is not known here is refused by name, reading goes on" {
    start_cluster 1 -o sql.paths="$BATS_TEST_TMPDIR"
    foreign() { # NAME PROTOCOL CONFIGURATION METADATA
        mkdir -p "$BATS_TEST_TMPDIR/$1/_delta_log"
        sql "copy (select 1 as id) to '$BATS_TEST_TMPDIR/$1/a.parquet'"
        cat >"$BATS_TEST_TMPDIR/$1/_delta_log/00000000000000000000.json" <<JSON
{"protocol":$2}
{"metaData":{"id":"5fba94ed-9794-4965-ba6e-6ee3c0d22af9","format":{"provider":"parquet","options":{}},"schemaString":"{\\"type\\":\\"struct\\",\\"fields\\":[{\\"name\\":\\"id\\",\\"type\\":\\"integer\\",\\"nullable\\":true,\\"metadata\\":$4}]}","partitionColumns":[],"configuration":$3,"createdTime":1587968585495}}
{"add":{"path":"a.parquet","partitionValues":{},"size":$(stat -c %s "$BATS_TEST_TMPDIR/$1/a.parquet"),"modificationTime":1,"dataChange":true}}
JSON
        sql "create table $1 location '$BATS_TEST_TMPDIR/$1'"
        [ "$(sql "select id from $1")" = 1 ]
    }
    refused() { # WHAT STATEMENT
        run -3 clustersh -c "$2"
        [[ "$output" == *"$1"* ]]
    }
    foreign checked '{"minReaderVersion":1,"minWriterVersion":3}' '{"delta.constraints.positive":"id > 0"}' '{}'
    foreign featured '{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["rowTracking"]}' '{}' '{}'
    foreign ruled '{"minReaderVersion":1,"minWriterVersion":2}' '{}' '{\"delta.invariants\":\"x\"}'
    foreign appended '{"minReaderVersion":1,"minWriterVersion":2}' '{"delta.appendOnly":"true"}' '{}'
    for statement in "insert into T values (-1)" "insert into T select 2" "update T set id = 2" "delete from T" "optimize T" \
        "vacuum T" "create or replace table T (id integer)"; do
        refused checkConstraints "${statement/T/checked}"
        refused rowTracking "${statement/T/featured}"
        refused invariant "${statement/T/ruled}"
    done
    for statement in "update T set id = 2" "delete from T" "delete from T where id = 1" "create or replace table T as select 1 as id"; do
        refused delta.appendOnly "${statement/T/appended}"
    done
    sql "insert into appended values (5)"
    sql "optimize appended"
    [ "$(sql "select sum(id) from appended")" = 6 ]
    [ "$(sql "select version from cluster.tables where name = 'checked'")" = 0 ]
}

@test "copies go out and come in again" {
    start_cluster 1 -o sql.paths="$BATS_TEST_TMPDIR"
    sql "create table t as select i as id, 'x' || i as s from range(100) r(i)"
    for format in csv parquet json; do
        sql "copy (select * from t where id < 50) to '$BATS_TEST_TMPDIR/t.$format'"
        sql "create or replace table u (id bigint, s varchar)"
        sql "copy u from '$BATS_TEST_TMPDIR/t.$format'"
        [ "$(sql "select count(*), sum(id), max(s) from u")" = "50,1225,x9" ]
    done
}

@test "mistakes are told with their place, and nothing outside is reached" {
    start_cluster 1
    sql "create table things (id integer)"
    run clustersh -c "select id from thing"
    [ "$status" = 3 ]
    [[ "$output" == *'there is no table "thing"'* && "$output" == *'did you mean "things"?'* ]]
    run clustersh -c "select idd from things"
    [ "$status" = 3 ]
    [ "${lines[2]}" = "         ^" ]
    file=$BATS_TEST_TMPDIR/a-folder-with-a-name-that-is-rather-long/s.sql
    mkdir "$(dirname "$file")"
    printf -- '-- first\nselect 1;\n\n-- what is wrong\nselect id,\n  idd from things;\n' >"$file"
    run clustersh -f "$file"
    [[ "$status" = 3 && "$output" == *"$file:6: error"* && "$output" == *$'\n    idd from things\n    ^'* ]]
    run clustersh -c "select * from read_csv('/etc/passwd')"
    [[ "$status" = 3 && "$output" == *"isn't allowed"* ]]
    run clustersh -c "copy things from '/etc/passwd'"
    [ "$status" = 3 ]
    run clustersh -c "attach 'x.db'"
    [[ "$status" = 3 && "$output" == *"isn't possible here"* ]]
    run clustersh -c "insert into things values ('x')"
    [ "$status" = 3 ]
    run clustersh -c "insert into things values (1, 2)"
    [[ "$status" = 3 && "$output" == *"2 columns"* ]]
    [ "$(sql "select count(*) from things")" = 0 ]
}

@test "plans go over three nodes and answer as one does" {
    start_facts
    [[ "$(clustersh -c "explain select k, sum(d) from facts group by k")" == *"partial aggregates, 3 tasks -> 3 partitions"* ]]
    [ "$(sql "select k, count(*), sum(id), avg(d), count(distinct s) from facts group by k order by k nulls last limit 3")" = \
        $'0,2145,16085355,12.372377622377622,3\n1,2145,16087500,12.377622377622378,3\n2,2142,16059645,12.365196078431373,3' ]
    [ "$(sql "select count(*) from facts a join facts b on a.id = b.id + 1 where b.k = 3")" = "$(sql "select count(*) from facts where k = 3 and id < 19999")" ]
    [ "$(sql "select s, row_number() over (partition by s order by id) as n from facts qualify n = 2 order by s")" = \
        $'it\'s 0,2\nit\'s 1,2\nit\'s 2,2' ]
    [ "$(sql "select distinct k from facts order by k desc nulls last limit 2")" = $'6\n5' ]
    [ "$(sql "select id from facts" | wc -l)" = 20000 ]
    takes_part() { [[ "$(clustersh -c "explain analyze select k, count(*) from facts group by k")" == *"on n2"* ]]; }
    wait_until 10 takes_part
    wait_until 10 eval '[ -z "$(find "$CLUSTER_DIR" -path "*shuffle*" -name "*.parquet")" ]'
}

# Which node ran which task of the first stage, with that node coordinating.
places() {
    clustersh -s "unix:$(socket_of "$1")" -c "explain analyze select count(*), sum(id) from facts where id >= 0" |
        sed -n '/stage 1 ran/,/stage 2 ran/p' | grep -o 'task [0-9]* on n[0-9]*'
}

@test "the parts of a table are read by the same nodes again, and by those that others would choose" {
    start_facts
    first=$(places n2)
    [ "$(grep -o 'n[0-9]$' <<<"$first" | sort | xargs)" = "n1 n2 n3" ]
    [ "$(places n3)" = "$first" ]
    [ "$(places n2)" = "$first" ]
    first=$(places n1) # it knows where the table was read when it was made
    [ "$(places n1)" = "$first" ]
}

@test "a worker that is killed while a query runs is replaced by another" {
    start_facts
    kill -STOP "$(node_pid n3)" # so that the query waits for it
    clustersh -o csv -t -c "select count(*), sum(a.id % 7 + b.id % 5) from facts a, facts b where a.k = b.k and a.id % 3 = 0" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" &
    query=$!
    wait_until 20 eval '[ "$(api /api/sql | jq length)" = 1 ]'
    kill_node n3
    wait "$query"
    expected=$(sql "select count(*), sum(a.id % 7 + b.id % 5) from facts a, facts b where a.k = b.k and a.id % 3 = 0")
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = "$expected" ]
}

# Two tables of which none is small, of types that differ; a row in three has no key, many have one.
make_sides() {
    sql "create table l as select i as id, case when i % 3 > 0 then i % 700 end::smallint as k, 's' || i % 11 as s from range(6000) r(i)"
    sql "insert into l select id + 6000, k, s from l"
    sql "insert into l select id + 12000, 5, s from l where id < 3000"
    sql "create table r as select i as id, i % 900 as k, (i % 50)::decimal(10,2) as d from range(1500) r(i)"
    sql "insert into r select id + 1500, k + 300, d from r"
}

joins=(
    "select count(*), sum(l.id), sum(r.d) from l join r on l.k = r.k"
    "select count(*), count(r.id), sum(l.id) from l left join r on l.k = r.k and r.d > 20"
    "select count(*), count(l.id), count(r.id) from l full join r on l.k = r.k where l.id % 2 = 0 or r.d < 30"
    "select s, count(*) from l semi join r on l.k = r.k where id > 50 group by s order by s"
    "select count(*) from l where not exists (select * from r where r.k = l.k and r.d > 10)"
    "select count(*) from r where k in (select k from l group by k having count(*) > 11)"
    "select count(*), sum(c.id) from l a join r b on a.k = b.k join l c on b.id = c.id where a.id < 4000"
)

@test "joins of large tables are dealt over three nodes and answer as one node does" {
    start_cluster 3 -o sql.split_bytes=1 -o sql.broadcast_bytes=1
    make_sides
    [[ "$(clustersh -c "explain ${joins[0]}")" == *"rows of l, for a join, 3 tasks -> 3 partitions by 1 key"* ]]
    [[ "$(clustersh -c "explain analyze ${joins[0]}")" == *"on n3"* ]]
    for query in "${joins[@]}"; do sql "$query" >>"$BATS_TEST_TMPDIR/three"; done
    stop_cluster
    start_cluster 1
    make_sides
    for query in "${joins[@]}"; do sql "$query" >>"$BATS_TEST_TMPDIR/one"; done
    diff "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/three"
}

@test "a worker that is killed during the shuffle of a join is replaced by another" {
    start_cluster 3 -o sql.split_bytes=1 -o sql.broadcast_bytes=1
    make_sides
    sql "insert into l select i + 20000, 7, 's' from range(12000) r(i)"
    query="select count(*), sum(a.id % 7 + b.id % 5), count(distinct a.s) from l a join l b on a.k = b.k"
    clustersh -o csv -t -c "$query" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" &
    pid=$!
    wait_until 20 eval '[ -n "$(find "$CLUSTER_DIR" -path "*shuffle*" -name "*.parquet")" ] || ! kill -0 "$pid"' # or it was too fast
    kill_node n3
    wait "$pid"
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = "$(sql "$query")" ]
    [ "$(sed 's/,.*//' "$BATS_TEST_TMPDIR/out")" = "$(sql "select sum(n * n) from (select count(*) as n from l where k is not null group by k)")" ]
}

# Processes of a node that run SQL tasks.
executors_of() {
    local pid
    for pid in $(cat "/proc/$(node_pid "$1")/task"/*/children); do
        tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q 'executor' && echo "$pid"
    done
    return 0
}

has_executors() {
    [ -n "$(executors_of "$1")" ]
}

@test "a task of a join that does not come to an end runs once more on another node, and counts once" {
    start_cluster 3 -o sql.split_bytes=1 -o sql.broadcast_bytes=1
    make_sides
    query=${joins[0]}
    expected=$(sql "$query")
    wait_until 20 has_executors n3
    mapfile -t stopped < <(executors_of n3)
    kill -STOP "${stopped[@]}"
    plan=$(clustersh -c "explain analyze $query")
    [[ "$plan" =~ on\ n[12],\ attempt\ 2 ]] || { echo "$plan"; false; }
    wait_until 20 has_executors n3
    mapfile -t stopped < <(executors_of n3)
    kill -STOP "${stopped[@]}"
    [ "$(sql "$query")" = "$expected" ]
    # Nobody waits for those that were stopped: they go, others take their place.
    wait_until 20 eval '! kill -0 "${stopped[0]}" 2>/dev/null'
    [ "$(sql "$query")" = "$expected" ]
    wait_until 10 eval '[ -z "$(find "$CLUSTER_DIR" -path "*shuffle*" -name "*.parquet")" ]'
}

waiting_on_n2() {
    [ "$(clustersh -o json query list | jq -r '.[].node')" = n2 ]
}

@test "any node ends a statement that another one coordinates" {
    start_facts
    CLUSTERSH_ENDPOINT=unix:$(socket_of n2) clustersh -c "select count(*) from facts a, facts b, facts c" 2>"$BATS_TEST_TMPDIR/err" &
    query=$!
    wait_until 20 waiting_on_n2
    id=$(clustersh -o json query list | jq -r '.[0].query')
    [ "$(api -n n3 "/api/sql?nodes=n2" | jq -r '.[0].query')" = "$id" ]
    [ "$(api -n n3 "/api/sql" | jq length)" = 0 ]
    [ "$(api -n n3 -o /dev/null -w '%{http_code}' -X DELETE "/api/sql/$id?nodes=here")" = 404 ]
    [ "$(api -n n3 -o /dev/null -w '%{http_code}' -X DELETE "/api/sql/$id?nodes=nobody")" = 400 ]
    run -3 clustersh query cancel "ffff${id:4}"
    [[ "$output" == *"query list"* ]]
    CLUSTERSH_ENDPOINT=unix:$(socket_of n3) clustersh query cancel "${id:0:8}"
    status=0
    wait "$query" || status=$?
    [ "$status" = 3 ]
    grep -q cancelled "$BATS_TEST_TMPDIR/err"
    CLUSTERSH_ENDPOINT=unix:$(socket_of n2) clustersh -c "select count(*) from facts a, facts b, facts c" 2>"$BATS_TEST_TMPDIR/err" &
    query=$!
    wait_until 20 waiting_on_n2
    id=$(clustersh -o json query list | jq -r '.[0].query')
    [ "$(api -n n1 -X DELETE "/api/sql/$id" | jq -r .node)" = n2 ]
    wait "$query" || true
    [ "$(api -n n1 -o /dev/null -w '%{http_code}' -X DELETE "/api/sql/$id")" = 404 ]
    kill_node n2
    [ "$(api -n n1 -o /dev/null -w '%{http_code}' -X DELETE "/api/sql/$id")" = 503 ]
}

@test "Ctrl-C and DELETE end a statement on every node" {
    start_facts
    clustersh -c "select count(*) from facts a, facts b, facts c" 2>"$BATS_TEST_TMPDIR/err" &
    query=$!
    wait_until 20 eval '[ "$(api /api/sql | jq length)" = 1 ]'
    id=$(api /api/sql | jq -r '.[0].query')
    api -X DELETE "/api/sql/$id"
    status=0
    wait "$query" || status=$?
    [ "$status" = 3 ]
    grep -q cancelled "$BATS_TEST_TMPDIR/err"
    clustersh -c "select count(*) from facts a, facts b, facts c" 2>"$BATS_TEST_TMPDIR/err" &
    query=$!
    wait_until 20 eval '[ "$(api /api/sql | jq length)" = 1 ]'
    kill -KILL "$query"
    wait "$query" || true
    wait_until 10 eval '[ "$(api /api/sql | jq length)" = 0 ]'
    [ "$(sql "select 1")" = 1 ]
}

parts_n() {
    find "$CLUSTER_DIR" -name 'part-*.parquet' | wc -l
}

@test "a table of a schema that is made of a query is where its files are" {
    start_cluster 1
    sql "create table s.t as select i as a from range(10) r(i)"
    sql "create or replace table s.u as select 7 as a"
    sql "create table t as select 1 as a"
    [ "$(sql "select sum(a) from s.t where a > 1")" = 44 ]
    [ "$(sql "select a + 0 from s.u")" = 7 ]
    [ "$(sql "select a + 0 from t")" = 1 ]
}

@test "a table that is made of a query is there with all of it, or not at all" {
    start_cluster 1
    run clustersh -c "create table t as select 1 / (i - 5000) as a, case when i = 99999 then error('late') else i end as b from range(100000) r(i)"
    [[ "$status" = 3 && "$output" == *late* ]]
    [ "$(clustersh -o json -c "show tables")" = "[]" ]
    [ "$(parts_n)" = 0 ]
    sql "create table t as select i as a, i % 3 as k from range(10) r(i)"
    [ "$(clustersh -o json -c "describe history t" | jq -c '[.[] | [.version, .operation, .rows_added]]')" = '[[0,"CREATE TABLE AS SELECT",10]]' ]
    [ "$(sql "select count(*), sum(a) from t at (version => 0)")" = 10,45 ]
    run clustersh -c "create table t as select 2 as b"
    [[ "$status" = 3 && "$output" == *"already"* ]]
    [ "$(clustersh -c "create table if not exists t as select error('never') as b")" = "CREATE TABLE AS" ]
    sql "create or replace table u partitioned by (k) as select * from t"
    [ "$(sql "select k, count(*) from u group by k order by k")" = $'0,4\n1,3\n2,3' ]
    run clustersh -c "create table bad partitioned by (nope) as select 1 as a"
    [ "$status" = 3 ]
    run clustersh -c "insert into t select case when i = 299999 then error('late') else i end, 1 from range(300000) r(i)"
    [ "$status" = 3 ]
    [ "$(sql "select count(*) from t")" = 10 ]
    wait_until 10 eval '[ "$(parts_n)" = 4 ]'
}

@test "DELETE and UPDATE of more files than a stage has tasks" {
    start_cluster 1
    sql "create table t (id bigint, k bigint) partitioned by (k)"
    sql "insert into t select i, i % 1040 from range(2080) r(i)"
    [ "$(clustersh -c "delete from t where id >= 1040")" = "DELETE 1040" ]
    [ "$(clustersh -c "update t set id = id + 1 where id < 1040")" = "UPDATE 1040" ]
    [ "$(sql "select count(*), sum(id), count(distinct k) from t")" = 1040,541320,1040 ]
}

@test "PIVOT finds its columns by itself, reads no file, and says where it can't" {
    start_facts
    [ "$(sql "pivot (select k, s from facts where id < 6) on k using count(*) order by s")" = "$(sql "pivot (select k, s from facts where id < 6) on k in (0, 1, 2, 3, 4, 5) using count(*) order by s")" ]
    [ "$(sql "with p as (pivot facts on s using max(id)) select count(*) from p")" -gt 0 ]
    run clustersh -c "create table p as pivot facts on s using max(id)"
    [[ "$status" = 3 && "$output" == *"PIVOT ... ON column IN (values)"* ]]
    run clustersh -c "pivot (from read_csv('/etc/passwd')) on column0 using count(*)"
    [[ "$status" = 3 && "$output" == *"isn't allowed"* ]]
    run clustersh -c "pivot '/etc/passwd.csv' on column0 using count(*)"
    [[ "$status" = 3 && "$output" == *"isn't allowed"* ]]
    [ "$(clustersh -o json -c "show facts" | jq -r '.[0].column_name')" = id ]
    [ "$(sql "select count(distinct (id, k)) from facts")" = 20000 ]
}
