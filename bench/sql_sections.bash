# shellcheck shell=bash
# Sections of bench/run about SQL: tpch (queries beside DuckDB), sqlsmall (latencies, commits), sqlbulk (COPY, memory), sqlfiles
# (tables of many files). TPCH_DIR keeps the data of TPC-H between runs; TPCH_SCALE (1) is its size.

sql() { clustersh -o csv -t -c "$1"; }

# The most memory that a process has had, MB.
peak_mb() { awk '/VmHWM/ { printf "%.1f", $2 / 1024 }' "/proc/$1/status"; }
# Forgets it.
peak_reset() { echo 5 >"/proc/$1/clear_refs"; }

tpch_data() {
    tpch=${TPCH_DIR:-$work/tpch}
    [ -e "$tpch/orders.csv" ] && return
    mkdir -p "$tpch"
    tpch_bench make "${TPCH_SCALE:-1}" "$tpch"
}

# Tables of the running cluster from the files of tpch_data, and "$work/NAME.files" with what they are made of.
tpch_load() {
    local name=$1 table file place
    for table in region nation supplier part partsupp customer orders lineitem; do
        sql "create table $table as select * from read_parquet('$tpch/$table-0.parquet')"
        for file in "$tpch/$table"-[1-9].parquet; do
            [ ! -e "$file" ] || sql "insert into $table select * from read_parquet('$file')"
        done
        place=$(curl -s --unix-socket "${endpoint#unix:}" "http://localhost/api/tables/$table" | jq -r .place)
        find "${place#file:}" -name '*.parquet' -printf "$table %p\n"
    done >"$work/$name.files"
}

# tpch_figures NAME THREADS [WANTED]: the queries beside DuckDB with so many threads.
tpch_figures() {
    local name=$1 threads=$2 wanted=${3:-} over
    tpch_bench -t "$threads" -r "$runs" run "$endpoint" "$work/$name.files" | tee "$out/$name.jsonl" |
        jq -r '"\(.query) \(.ms) \(.bare_ms) \(.ratio)"' >"$work/$name.queries"
    figure tpch "$name: all queries, geometric mean, ours / DuckDB" \
        "$(awk '{ s += log($4) } END { printf "%.3f", exp(s / NR) }' "$work/$name.queries")" 'x' "$wanted"
    figure tpch "$name: all queries, sum, ours" "$(awk '{ s += $2 } END { printf "%.0f", s }' "$work/$name.queries")" 'ms'
    figure tpch "$name: all queries, sum, DuckDB" "$(awk '{ s += $3 } END { printf "%.0f", s }' "$work/$name.queries")" 'ms'
    over=$(awk '$4 > 1.3 && $2 - $3 > 15 { printf "%sQ%s %.2f", n++ ? ", " : "", $1, $4 }' "$work/$name.queries")
    figure tpch "$name: queries over 1.3 times and 15 ms more" "${over:-none}" ''
}

section_tpch() {
    have tpch_bench || return 0
    local q
    tpch_data
    start_cluster tpch1 1 -o "sql.paths=$tpch"
    tpch_load one_node
    tpch_figures one_node "$(nproc)" '<= 1.10'
    stop_cluster
    start_cluster tpch2 2 -o "sql.paths=$tpch" -o sql.threads=1
    tpch_load two_nodes
    tpch_figures two_nodes 2 '<= 1.4'
    for q in $(seq 22); do tpch_bench explain "$q" "$endpoint"; done >"$work/explain"
    figure tpch 'two_nodes: queries in stages of several tasks' "$(grep -c '^true' "$work/explain")" 'of 22' '>= 18'
    stop_cluster
    # At this scale the small sides of all joins go to every node: here none does.
    start_cluster tpch3 2 -o "sql.paths=$tpch" -o sql.threads=1 -o sql.broadcast_bytes=1
    tpch_load joins_dealt
    tpch_figures joins_dealt 2
    stop_cluster
}

# SQL tasks that the nodes have, queued or running, together.
sql_tasks() {
    local socket
    for socket in "${sockets[@]}"; do curl -s --unix-socket "${socket#unix:}" http://localhost/metrics; done |
        awk '$1 == "clusterd_queue_length{queue=\"sql_tasks\"}" { n += $2 } END { print n + 0 }'
}
# One statement that runs on all nodes is cancelled: ms until none of them has a task of it any more.
cancel_round() {
    local id begin
    clustersh -c "select count(*), sum(a.id % 7 + b.id % 5) from facts a, facts b, facts c where a.k = b.k and a.id + b.id <> c.id" >/dev/null 2>&1 &
    until [ "$(sql_tasks)" -ge 2 ]; do sleep 0.05; done
    sleep 0.2 # all of them compute
    id=$(curl -s --unix-socket "${endpoint#unix:}" http://localhost/api/sql | jq -r '.[0].query')
    begin=$(now_ms)
    curl -s -X DELETE --unix-socket "${endpoint#unix:}" "http://localhost/api/sql/$id" >/dev/null
    wait $!
    until [ "$(sql_tasks)" = 0 ]; do :; done
    echo $(($(now_ms) - begin))
}

section_sqlcancel() {
    local i
    start_cluster sqlcancel 3 -o sql.split_bytes=1 -o sql.slots=1
    sql "create table facts as select i as id, i % 7 as k from range(20000) r(i)" >/dev/null
    for i in 1 2; do sql "insert into facts select * from facts" >/dev/null; done
    for i in {1..20}; do cancel_round; done >"$work/cancel"
    figure sql 'cancel of a statement on 3 nodes, median' "$(median <"$work/cancel")" 'ms'
    figure sql '  worst of 20, all nodes are rid of it' "$(sort -n "$work/cancel" | tail -1)" 'ms' '<= 200'
    stop_cluster
}

section_sqlsmall() {
    local i
    start_cluster sqlsmall 3
    sql "create table t as select 1::bigint as id, 'x' as s" >/dev/null
    sql_load -n 200 "$endpoint" 'select 1' >"$work/select1"
    figure sql 'select 1 over one connection, median' "$(jq -r .p50_ms "$work/select1")" 'ms' '<= 3'
    sql_load -n 200 "$endpoint" "insert into t values (%u, 'a row')" >"$work/insert"
    figure sql 'one-row INSERT, 3 metadata replicas, median' "$(jq -r .p50_ms "$work/insert")" 'ms' '<= 20'
    figure sql '  p99' "$(jq -r .p99_ms "$work/insert")" 'ms'
    sql "create table w as select 1::bigint as id, 'x' as s" >/dev/null
    sql_load -c 16 -n 60 "$endpoint" "insert into w values (%u, 'a row')" >"$work/insert16"
    figure sql '16 writers of one table, commits' "$(jq -r .per_s "$work/insert16")" '1/s' '>= 300'
    figure sql '  rows that are not there' "$((960 + 1 - $(sql 'select count(*) from w')))" '' '0'
    figure sql '  refused' "$(jq -r .failed "$work/insert16")" '' '0'
    stop_cluster
}

# many_files NAME FILES COMMITS: a table whose log says so much; the files themselves are nowhere.
many_files() {
    local id socket=${endpoint#unix:} c
    id=$(curl -s --unix-socket "$socket" -H 'Content-Type: application/json' \
        -d '{"name":"'"$1"'","columns":[{"name":"id","type":"BIGINT"},{"name":"s","type":"VARCHAR"}]}' http://localhost/api/tables | jq -re .id)
    for ((c = 0; c < $3; c++)); do
        awk -v n=$(($2 / $3)) -v c="$c" 'BEGIN { for (i = 0; i < n; i++) { k = c * n + i
            printf "{\"add\":{\"path\":\"part-%08d.parquet\",\"partitionValues\":{},\"size\":1000,\"modificationTime\":1,\"dataChange\":true,\"stats\":\"{\\\"numRecords\\\":10,\\\"minValues\\\":{\\\"id\\\":%d},\\\"maxValues\\\":{\\\"id\\\":%d},\\\"nullCount\\\":{\\\"id\\\":0}}\"}}\n", k, k * 10, k * 10 + 9 } }' |
            curl -s --unix-socket "$socket" -H 'Content-Type: text/plain' --data-binary @- \
                "http://localhost/api/tables/$id/commits?base=$c&txn_id=$1$c" >/dev/null
    done
}

has_checkpoint() { find "$work/$1" -name '_last_checkpoint' | grep -q .; }

section_sqlfiles() {
    local looks=200 pid begin end
    start_cluster sqlfiles 1
    many_files thousand 1000 5
    sql_load -n 100 "$endpoint" 'select count(*), min(id), max(id) from thousand' >"$work/counts"
    figure sql 'count(*), min, max at 1,000 files, median' "$(jq -r .p50_ms "$work/counts")" 'ms' '<= 5'
    many_files hundred 100000 10
    until has_checkpoint sqlfiles || [ $((looks -= 1)) -le 0 ]; do sleep 0.1; done
    stop_cluster
    start_cluster sqlfiles 1
    pid=$cluster_pid # one node is one process
    peak_reset "$pid"
    begin=$(now_ms)
    sql 'select count(*) from hundred' >/dev/null
    end=$(now_ms)
    figure sql 'first snapshot of 100,000 files, node started anew' $((end - begin)) 'ms' '<= 1000'
    figure sql '  node, most resident' "$(peak_mb "$pid")" 'MB' '<= 200'
    stop_cluster
}

copy_round() {
    local ours theirs begin
    begin=$(now_ms)
    sql "copy c from '$tpch/orders.csv' (header true)" >/dev/null
    ours=$(($(now_ms) - begin))
    theirs=$(tpch_bench -t "$(nproc)" copy "$tpch/orders.csv")
    rm -f "$tpch/orders.csv.parquet"
    echo "$ours" >>"$work/copy.ours"
    echo "$theirs" >>"$work/copy.theirs"
}

section_sqlbulk() {
    local pid
    have tpch_bench || return 0
    tpch_data
    start_cluster sqlbulk 1 -o "sql.paths=$tpch"
    pid=$cluster_pid # one node is one process
    sql "create table c as select * from read_parquet('$tpch/orders-0.parquet') limit 0" >/dev/null
    repeat copy_round
    figure sql "COPY of $(($(stat -c %s "$tpch/orders.csv") / 1000000)) MB of csv" "$(median <"$work/copy.ours")" 'ms'
    figure sql '  ours / DuckDB'"'"'s COPY to Parquet' "$(ratio "$(median <"$work/copy.ours")" "$(median <"$work/copy.theirs")")" 'x' '<= 1.2'
    peak_reset "$pid"
    sql_load -n 1 "$endpoint" "select i, hash(i) as h, 'row number ' || i as s, repeat('x', 60) as x from range(8300000) r(i)" >"$work/result"
    figure sql "a result of $(($(jq -r .bytes "$work/result") / 1000000)) MB: node, most resident" "$(peak_mb "$pid")" 'MB' '<= 60'
    figure sql '  rate' "$(jq -r '.bytes / 1000 / .p50_ms | floor' "$work/result")" 'MB/s'
    peak_reset "$pid"
    sql "create table ten as select i as id, 'row ' || i as s from range(10000000) r(i)" >/dev/null
    figure sql '10 million rows inserted: node, most resident' "$(peak_mb "$pid")" 'MB' '<= 60'
    stop_cluster
}

# What travels from a bucket: two of sixteen columns, once, and a condition that most row groups can't satisfy.
s3_control() { curl -sS "$s3_endpoint/control/$1"; }
s3_bytes() { s3_control stats | jq .bytes; }
s3_query_ms() {
    local begin
    begin=$(now_ms)
    clustersh -o csv -t -c "$1" >/dev/null
    echo $(($(now_ms) - begin))
}
section_s3() {
    local rows=1000000 columns='' i size two cold warm
    s3_serve >"$work/s3.endpoint" &
    pids+=($!)
    until grep -qs http "$work/s3.endpoint"; do sleep 0.05; done
    s3_endpoint=$(cat "$work/s3.endpoint")
    start_cluster s3 1 -o sql.store=s3://bucket/lake -o sql.s3_endpoint="$s3_endpoint" -o sql.s3_region=eu-test-1 \
        -o sql.s3_access_key=AKIATEST -o sql.s3_secret_key=secret/of+tests
    for ((i = 1; i < 16; i++)); do columns="$columns, random() as c$i"; done
    clustersh -c "create table wide as select i as id $columns from range($rows) r(i)" >/dev/null
    size=$(clustersh -o json -c "show tables" | jq -r '.[0].name' | xargs -I{} curl -sS --unix-socket "${endpoint#unix:}" http://localhost/api/tables/{} | jq .bytes)
    two=$((2 * 8 * rows))
    s3_control 'reset?counted=part-' >/dev/null
    cold=$(s3_query_ms "select sum(c3), max(c9) from wide")
    figure s3 '2 of 16 columns: bytes that travel / of these columns' "$(ratio "$(s3_bytes)" "$two")" 'times' '<= 1.2'
    figure s3 '  of the whole file' "$(ratio "$(s3_bytes)" "$size")" 'times'
    s3_control 'reset?counted=part-' >/dev/null
    warm=$(s3_query_ms "select sum(c3), max(c9) from wide")
    figure s3 '  the same again: bytes' "$(s3_bytes)" 'bytes' '0'
    figure s3 '  the first time, again' "$cold, $warm" 'ms'
    s3_control 'reset?counted=part-' >/dev/null
    clustersh -o csv -t -c "select sum(c5), max(c6) from wide where id between 400000 and 400100" >/dev/null
    figure s3 'a range of 100 rows: bytes / of its columns' "$(ratio "$(s3_bytes)" $((3 * 8 * rows)))" 'times' '<= 0.3'
    stop_cluster
}
