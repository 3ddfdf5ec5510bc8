#!/usr/bin/env bats
# Tables in a bucket: what travels, what is kept, every statement, and a store that fails. The bucket is
# tests/lib/s3_server, which counts and can be told to fail.

load ../lib/cluster.bash

setup() {
    [ -e "$BATS_TEST_DIRNAME/../../third_party/duckdb/lib/libduckdb.so" ] || skip "no DuckDB here"
    local program
    program=$(dirname "$(command -v clusterd)")/tests/lib/s3_serve
    [ -x "$program" ] || skip "no $program: make tests/lib/s3_serve"
    "$program" >"$BATS_TEST_TMPDIR/endpoint" 3>&- &
    export STARTED_PIDS=$! # stop_cluster ends it
    wait_until 10 grep -q http "$BATS_TEST_TMPDIR/endpoint"
    ENDPOINT=$(cat "$BATS_TEST_TMPDIR/endpoint")
}

teardown() { stop_cluster; }

# start_bucket_cluster N [OPTION...]
start_bucket_cluster() {
    local nodes=$1
    shift
    start_cluster "$nodes" -o sql.store=s3://bucket/lake -o sql.s3_endpoint="$ENDPOINT" -o sql.s3_region=eu-test-1 \
        -o sql.s3_access_key=AKIATEST -o sql.s3_secret_key=secret/of+tests -o sql.paths=s3://bucket/files "$@"
}

sql() {
    clustersh -o csv -t -c "$1"
}
control() {
    curl -sS "$ENDPOINT/control/$1"
}
stat_of() {
    control stats | jq ".$1"
}
nothing_is_left() {
    [ -z "$(find "$CLUSTER_DIR"/*/data/sql -path '*scratch/*')" ] && [ "$(stat_of uploads)" = 0 ]
}

# Sixteen columns of numbers that don't compress: 8 bytes a row each, 400,000 rows.
make_wide() {
    sql "create table wide as select i as id, random() as c1, random() as c2, random() as c3, random() as c4, random() as c5,
        random() as c6, random() as c7, random() as c8, random() as c9, random() as c10, random() as c11, random() as c12,
        random() as c13, random() as c14, 'x' || random() as c15 from range(400000) r(i)"
}

@test "two of sixteen columns travel and little else, once, and not again after a restart" {
    start_bucket_cluster 1
    make_wide
    control 'reset?counted=part-'
    first=$(sql "select min(c3), max(c9), max(c3) from wide")
    travelled=$(stat_of bytes)
    echo "$travelled bytes for $((2 * 8 * 400000)) of columns"
    [ "$travelled" -ge 6400000 ]
    [ "$travelled" -le $((12 * 2 * 8 * 400000 / 10)) ]
    control 'reset?counted=part-'
    [ "$(sql "select min(c3), max(c9), max(c3) from wide")" = "$first" ]
    [ "$(stat_of bytes)" = 0 ]
    kill -9 "$CLUSTER_PID"
    wait_until 20 process_has_ended "$CLUSTER_PID"
    start_node n1
    wait_until 30 sql "select 1"
    [ "$(sql "select min(c3), max(c9), max(c3) from wide")" = "$first" ]
    [ "$(stat_of bytes)" = 0 ]
    [ "$(sql "select count(*) from wide where c4 >= 0")" = 400000 ]
    [ "$(stat_of bytes)" -ge 3200000 ]
    [ "$(stat_of bytes)" -le 3840000 ]
}

@test "row groups that a condition rules out don't travel, and no row is missed" {
    start_bucket_cluster 1
    make_wide
    control 'reset?counted=part-'
    [ "$(sql "select count(c1), sum(id) from wide where id between 200000 and 200009")" = 10,2000045 ]
    [ "$(stat_of bytes)" -le $((12 * 2 * 8 * 400000 / 10 / 2)) ]
    [ "$(sql "select count(c1) from wide where id = 399999 or id = 0")" = 2 ]
    [ "$(sql "select count(*) from wide where id < 250000 and id >= 100")" = 249900 ]
    # what is deleted or changed is chosen by the condition; all other rows of the file stay
    [ "$(clustersh -c "delete from wide where id between 10 and 19")" = "DELETE 10" ]
    [ "$(clustersh -c "update wide set c1 = 7 where id between 150000 and 150001")" = "UPDATE 2" ]
    [ "$(sql "select count(*), sum(id), count(*) filter (c1 = 7) from wide")" = 399990,79999799855,2 ]
}

@test "every statement works in a bucket, and large files go in parts" {
    start_bucket_cluster 1
    make_wide
    [ "$(sql "select count(*), sum(id) from wide")" = 400000,79999800000 ]
    [ "$(clustersh -c "insert into wide select id + 400000, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15 from wide where id < 10")" = "INSERT 10" ]
    [ "$(clustersh -c "delete from wide where id % 2 = 0")" = "DELETE 200005" ]
    [ "$(sql "select count(*) from wide")" = 200005 ]
    [ "$(sql "select count(*) from wide at (version => 0)")" = 400000 ]
    clustersh -c "optimize wide"
    [ "$(sql "select count(*) from wide")" = 200005 ]
    objects=$(stat_of objects)
    clustersh -c "vacuum wide retain 0 hours"
    [ "$(stat_of objects)" -lt "$objects" ]
    sql "create table p (id bigint, k varchar) partitioned by (k)"
    sql "insert into p select i, 'a/' || i % 3 from range(100) r(i)"
    [ "$(sql "select k, count(*) from p where k <> 'a/1' group by k order by k")" = $'a/0,34\na/2,33' ]
    for format in csv csv.gz json parquet; do
        sql "copy (select id, k from p where id < 50) to 's3://bucket/files/out/t.$format'"
        sql "create or replace table u (id bigint, k varchar)"
        sql "copy u from 's3://bucket/files/out/t.$format'"
        [ "$(sql "select count(*), sum(id), max(k) from u")" = "50,1225,a/2" ]
    done
    sql "copy (select 1 as id, 'b' as k) to 's3://bucket/files/out/more.csv'"
    sql "create or replace table u (id bigint, k varchar)"
    sql "copy u from 's3://bucket/files/out/*.csv'"
    [ "$(sql "select count(*) from u")" = 51 ]
    sql "create table registered location 's3://bucket/files/table'" || sql "create table registered (id int) location 's3://bucket/files/table'"
    sql "insert into registered values (4)"
    [ "$(sql "select * from registered")" = 4 ]
    for i in $(seq 12); do sql "insert into registered values ($i)"; done
    sql "drop table registered"
    sql "create table again location 's3://bucket/files/table'"
    [ "$(sql "select count(*) from again")" = 13 ]
    wait_until 10 nothing_is_left
}

@test "three nodes share a bucket: shuffles, small files, conditions" {
    start_bucket_cluster 3 -o sql.split_bytes=1
    sql "create table facts as select i as id, i % 7 as k, 'it''s ' || i % 3 as s, (i % 100)::decimal(10,2) / 4 as d from range(5000) r(i)"
    for i in 5000 10000 15000; do sql "insert into facts select id + $i, k, s, d from facts where id < 5000"; done
    [ "$(sql "select k, count(*), sum(id), avg(d), count(distinct s) from facts group by k order by k limit 2")" = \
        "$(sql "select k, count(*), sum(id), avg(d), count(distinct s) from (select * from facts offset 0) group by k order by k limit 2")" ]
    [ "$(sql "select count(*) from facts a join facts b on a.id = b.id + 1 where b.k = 3")" = "$(sql "select count(*) from facts where k = 3 and id < 19999")" ]
    [ "$(sql "select count(*) from facts where id >= 17500")" = 2500 ]
    wait_until 10 nothing_is_left
}

@test "a store that refuses, storms or cuts: one error each, the table as it was" {
    start_bucket_cluster 1
    sql "create table t as select i as id, i || 'x' as s from range(100000) r(i)"
    before=$(sql "select count(*), sum(id) from t")
    objects=$(stat_of objects)
    control 'fail?fault=503&skip=1&n=3'
    [ "$(sql "select sum(length(s)) from t")" = 588890 ]
    control 'fail?fault=cut_body&skip=0&n=2'
    [ "$(sql "select count(*) from t where s <> ''")" = 100000 ]
    control 'fail?fault=403&skip=0&n=100000'
    run clustersh -c "insert into t values (1, 'y')"
    [[ "$status" = 3 && "$output" == *"s3://bucket/lake"* && "$output" == *AccessDenied* ]]
    [ "$(grep -c '^error' <<<"$output")" = 1 ]
    control 'fail?fault=none'
    control 'fail?fault=cut&skip=0&n=100000'
    run clustersh -c "insert into t select i, 'y' from range(2000000) r(i)"
    [[ "$status" = 3 && "$(grep -c '^error' <<<"$output")" = 1 ]]
    control 'fail?fault=none'
    run clustersh -c "copy t from 's3://nobucket/x.csv'"
    [[ "$status" = 3 && "$output" == *"does not allow"* ]]
    run clustersh -c "copy t from 's3://bucket/files/none.csv'"
    [[ "$status" = 3 && "$output" == *"s3://bucket/files/none.csv"* ]]
    run clustersh -c "copy (select 1/0 as a, error('no') as b) to 's3://bucket/files/never.csv'"
    [ "$status" = 3 ]
    [ "$(sql "select count(*), sum(id) from t")" = "$before" ]
    [ "$(stat_of objects)" = "$objects" ]
    wait_until 10 nothing_is_left
}

@test "wrong keys are told, and not shown" {
    start_bucket_cluster 1 -o sql.s3_secret_key=never-to-be-shown
    run clustersh -c "create table t as select 1 as a"
    [[ "$status" = 3 && "$output" == *SignatureDoesNotMatch*sql.s3_credentials* ]]
    run clustersh -c "create table u (a integer)"
    [[ "$status" = 3 && "$output" == *SignatureDoesNotMatch*  ]]
    [ "$(sql "show tables")" = "" ]
    [[ "$output" != *never-to-be-shown* && "$(cat "$CLUSTER_DIR/log")" != *never-to-be-shown* ]]
}

@test "a bucket that isn't there is told, with what to do" {
    start_bucket_cluster 1 -o sql.store=s3://missing/lake
    run clustersh -c "create table t as select 1 as a"
    [[ "$status" = 3 && "$output" == *NoSuchBucket*sql.store* ]]
}
