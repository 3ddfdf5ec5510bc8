#!/usr/bin/env bats
# Uploaded files: kept on two nodes, given by all, fetched by the tasks that want them.

load ../lib/cluster.bash

teardown() { stop_cluster; }

# Uploads FILE through NODE and prints its id.
upload() {
    api -n "$1" -f -H 'Content-Type: application/octet-stream' --data-binary "@$2" "/api/files?name=${3:-data}" | jq -re .id
}

holders() {
    local node
    for node in n1 n2 n3; do
        [ ! -e "$CLUSTER_DIR/$node/data/files/$1" ] || echo "$node"
    done
}

sum_job() {
    jq -cn --arg id "$1" --arg selector "$2" '{commands: ["cksum <in/data.bin"], files: [{name: "in/data.bin", file: $id}], selector: $selector}'
}

@test "an upload is kept on two nodes and given by every one" {
    start_cluster 3
    head -c 5000000 /dev/urandom >"$CLUSTER_DIR/data"
    for node in n1 n2 n3; do
        id=$(upload $node "$CLUSTER_DIR/data")
        [ "$(holders "$id" | wc -l)" = 2 ]
        for other in n1 n2 n3; do
            api -n $other -f "/api/files/$id" | cmp - "$CLUSTER_DIR/data"
        done
    done
}

@test "the answer to an upload says what was stored" {
    start_cluster 1
    printf abc >"$CLUSTER_DIR/data"
    api -o "$CLUSTER_DIR/answer" -w '%{http_code}' -H 'Content-Type: application/octet-stream' \
        --data-binary "@$CLUSTER_DIR/data" '/api/files?name=a%20b.txt' >"$CLUSTER_DIR/status"
    [ "$(cat "$CLUSTER_DIR/status")" = 201 ]
    jq -e '.name == "a b.txt" and .bytes == 3 and .xxh == "78af5f94892f3950" and (.id | length) == 36' "$CLUSTER_DIR/answer"
}

@test "an empty file is a file" {
    start_cluster 3
    : >"$CLUSTER_DIR/data"
    id=$(upload n2 "$CLUSTER_DIR/data")
    for node in n1 n2 n3; do
        [ "$(api -n $node -f "/api/files/$id" | wc -c)" = 0 ]
    done
    job=$(submit "$(sum_job "$id" '')")
    [ "$(job_end "$job")" = completed ]
}

@test "tasks find an uploaded file in their directory, on whichever node they run" {
    start_cluster 3
    head -c 3000000 /dev/urandom >"$CLUSTER_DIR/data"
    id=$(upload n1 "$CLUSTER_DIR/data")
    for node in n1 n2 n3; do
        job=$(submit "$(sum_job "$id" "name=$node")")
        [ "$(job_end "$job")" = completed ]
        [ "$(api "/api/jobs/$job/output")" = "$(cksum <"$CLUSTER_DIR/data")" ]
    done
}

@test "an uploaded archive is unpacked for the task" {
    start_cluster 1
    mkdir "$CLUSTER_DIR/tree"
    echo content >"$CLUSTER_DIR/tree/file"
    tar -czf "$CLUSTER_DIR/tree.tar.gz" -C "$CLUSTER_DIR" tree
    id=$(upload n1 "$CLUSTER_DIR/tree.tar.gz" tree.tar.gz)
    job=$(submit "{\"commands\":[\"cat tree/file\"],\"files\":[{\"name\":\"tree.tar.gz\",\"file\":\"$id\",\"unpack\":true}]}")
    [ "$(job_end "$job")" = completed ]
    [ "$(api "/api/jobs/$job/output")" = content ]
}

@test "one of the two that hold a file may die" {
    start_cluster 3
    head -c 3000000 /dev/urandom >"$CLUSTER_DIR/data"
    id=$(upload n1 "$CLUSTER_DIR/data")
    third=$(printf '%s\n' n1 n2 n3 | grep -vxF "$(holders "$id")")
    kill_node "$(holders "$id" | head -n 1)"
    is_given() { api -n "$third" -f "/api/files/$id" | cmp - "$CLUSTER_DIR/data"; }
    wait_until 20 is_given # it may have led
    job=$(submit "$(sum_job "$id" "name=$third")")
    [ "$(job_end "$job")" = completed ]
}

@test "a damaged copy is not given out as a whole file, and tasks take the other one" {
    start_cluster 3
    head -c 3000000 /dev/urandom >"$CLUSTER_DIR/data"
    id=$(upload n1 "$CLUSTER_DIR/data")
    third=$(printf '%s\n' n1 n2 n3 | grep -vxF "$(holders "$id")")
    printf X | dd of="$CLUSTER_DIR/n1/data/files/$id" bs=1 seek=1000000 conv=notrunc status=none
    job=$(submit "$(sum_job "$id" "name=$third")")
    [ "$(job_end "$job")" = completed ]
    [ "$(api "/api/jobs/$job/output")" = "$(cksum <"$CLUSTER_DIR/data")" ]
    run api -n "$third" -f -o /dev/null "/api/files/$id"
    [ "$status" != 0 ]
}

@test "a job whose file does not exist is refused" {
    start_cluster 1
    status() { api -o "$CLUSTER_DIR/answer" -w '%{http_code}' -d "$1" /api/jobs; }
    [ "$(status "$(sum_job 01234567-89ab-4cde-8f01-23456789abcd '')")" = 404 ]
    jq -re .error.message "$CLUSTER_DIR/answer" | grep -q 01234567-89ab-4cde-8f01-23456789abcd
    [ "$(status "$(sum_job nonsense '')")" = 400 ]
    [ "$(api /api/jobs | jq length)" = 0 ]
}

@test "a file that belongs to no upload is removed, those of uploads stay" {
    start_cluster 3 -o api.orphan_after=1s
    printf abc >"$CLUSTER_DIR/data"
    id=$(upload n1 "$CLUSTER_DIR/data")
    other=$(upload n2 "$CLUSTER_DIR/data")
    third=$(printf '%s\n' n1 n2 n3 | grep -vxF "$(holders "$id")")
    cp "$CLUSTER_DIR/data" "$CLUSTER_DIR/$third/data/files/$id"
    cp "$CLUSTER_DIR/data" "$CLUSTER_DIR/n1/data/files/01234567-89ab-4cde-8f01-23456789abcd"
    touch -d '1 hour ago' "$CLUSTER_DIR"/n*/data/files/*
    wait_until 30 test ! -e "$CLUSTER_DIR/$third/data/files/$id"
    wait_until 30 test ! -e "$CLUSTER_DIR/n1/data/files/01234567-89ab-4cde-8f01-23456789abcd"
    [ "$(holders "$id" | wc -l)" = 2 ]
    [ "$(holders "$other" | wc -l)" = 2 ]
}

@test "an upload that is broken off leaves nothing behind" {
    start_cluster 1
    head -c 30000000 /dev/zero >"$CLUSTER_DIR/data"
    run timeout 1 curl -s --limit-rate 5M --unix-socket "$(socket_of n1)" -H 'Content-Type: application/octet-stream' \
        --data-binary "@$CLUSTER_DIR/data" http://localhost/api/files
    [ "$status" = 124 ]
    wait_until 20 bash -c "[ -z \"\$(find $CLUSTER_DIR/n1/data/files -type f)\" ]"
}

@test "what is asked wrongly is refused" {
    start_cluster 1
    status() { api -o "$CLUSTER_DIR/answer" -w '%{http_code}' "$@"; }
    [ "$(status /api/files/01234567-89ab-4cde-8f01-23456789abcd)" = 404 ]
    [ "$(status /api/files/..%2Fapi.token)" = 404 ]
    [ "$(status /api/files/x)" = 404 ]
    jq -e .error.code "$CLUSTER_DIR/answer"
    [ "$(status -H 'Content-Type: application/octet-stream' -d x '/api/files?name=a%2Fb')" = 400 ]
    [ "$(status -H 'Content-Type: application/octet-stream' -d x '/api/files?name=..')" = 400 ]
    [ "$(status -H 'Content-Type: application/octet-stream' -d x '/api/files?name=')" = 400 ]
    [ -z "$(find "$CLUSTER_DIR/n1/data/files" -type f)" ]
}

# How often tasks of NODE got their files so: hit, shared, miss, store, straight.
cache_count() {
    api -n "$1" /metrics | sed -n "s/^clusterd_file_cache_requests_total{result=\"$2\"} //p" | grep . || echo 0
}

# The node that does not hold the upload.
other_than_holders() {
    local node
    for node in n1 n2 n3; do
        [ -e "$CLUSTER_DIR/$node/data/files/$1" ] || echo "$node"
    done
}

# array_job ID NODE COUNT COMMAND
array_job() {
    jq -cn --arg id "$1" --arg selector "name=$2" --arg array "0-$(($3 - 1))" --arg command "$4" \
        '{commands: [$command], files: [{name: "in/data.bin", file: $id}], selector: $selector, array: $array}'
}

@test "the elements of an array share one fetch, and later jobs need none" {
    start_cluster 3 -o worker.slots=8
    head -c 3000000 /dev/urandom >"$CLUSTER_DIR/data"
    sum=$(cksum <"$CLUSTER_DIR/data")
    id=$(upload n1 "$CLUSTER_DIR/data")
    node=$(other_than_holders "$id")
    job=$(submit "$(array_job "$id" "$node" 24 'cksum <in/data.bin; echo damage >in/data.bin')")
    [ "$(job_end "$job")" = completed ]
    [ "$(api "/api/jobs/$job/tasks?output=true" | jq -r '.[].stdout' | sort -u | grep .)" = "$sum" ]
    have_shared() { [ "$(cache_count "$node" miss)" = 1 ] && [ $(($(cache_count "$node" hit) + $(cache_count "$node" shared))) = 23 ]; }
    wait_until 10 have_shared
    kill_node "$node"
    start_node "$node"
    for holder in n1 n2 n3; do rm -f "$CLUSTER_DIR/$holder/data/files/$id"; done
    job=$(submit "$(array_job "$id" "$node" 4 'cksum <in/data.bin')")
    [ "$(job_end "$job")" = completed ]
    [ "$(api "/api/jobs/$job/tasks?output=true" | jq -r '.[].stdout' | sort -u | grep .)" = "$sum" ]
}

@test "a kept file that was damaged is fetched again" {
    start_cluster 3
    head -c 1000000 /dev/urandom >"$CLUSTER_DIR/data"
    id=$(upload n1 "$CLUSTER_DIR/data")
    node=$(other_than_holders "$id")
    for harm in 'printf x | dd of="$kept" bs=1 seek=500000 conv=notrunc' ': >"$kept"' 'rm "$kept"'; do
        job=$(submit "$(array_job "$id" "$node" 1 'cksum <in/data.bin')")
        [ "$(job_end "$job")" = completed ]
        kept=$CLUSTER_DIR/$node/data/file-cache/$id
        chmod u+w "$kept"
        eval "$harm"
        job=$(submit "$(array_job "$id" "$node" 3 'cksum <in/data.bin')")
        [ "$(job_end "$job")" = completed ]
        [ "$(api "/api/jobs/$job/tasks?output=true" | jq -r '.[].stdout' | sort -u | grep .)" = "$(cksum <"$CLUSTER_DIR/data")" ]
    done
}

@test "files are kept up to a bound, the one used last the longest" {
    start_cluster 3 -o worker.file_cache=5M
    files=()
    for i in 1 2 3; do
        head -c 2000000 /dev/urandom >"$CLUSTER_DIR/data$i"
        id=$(upload n1 "$CLUSTER_DIR/data$i")
        files+=("$id")
        rm -f "$CLUSTER_DIR/n3/data/files/$id" # what n3 holds it needs not to keep
        job=$(submit "$(array_job "$id" n3 1 'cksum <in/data.bin')")
        [ "$(job_end "$job")" = completed ]
        [ "$(api "/api/jobs/$job/output")" = "$(cksum <"$CLUSTER_DIR/data$i")" ]
    done
    has_the_last_two() { [ "$(ls "$CLUSTER_DIR/n3/data/file-cache" | sort)" = "$(printf '%s\n' "${files[@]:1}" | sort)" ]; }
    wait_until 10 has_the_last_two
    head -c 6000000 /dev/urandom >"$CLUSTER_DIR/large"
    id=$(upload n1 "$CLUSTER_DIR/large")
    rm -f "$CLUSTER_DIR/n3/data/files/$id"
    job=$(submit "$(array_job "$id" n3 1 'cksum <in/data.bin')")
    [ "$(job_end "$job")" = completed ]
    [ ! -e "$CLUSTER_DIR/n3/data/file-cache/$id" ]
}

# Serves $CLUSTER_DIR/data by HTTP; sets url. What was answered is in $CLUSTER_DIR/served.
serve_data() {
    local program
    program=$(dirname "$(command -v clusterd)")/tests/lib/url_serve
    [ -x "$program" ] || skip "no $program: make tests/lib/url_serve"
    : >"$CLUSTER_DIR/served"
    "$program" "$CLUSTER_DIR/data" "$CLUSTER_DIR/served" >"$CLUSTER_DIR/url" 3>&- &
    export STARTED_PIDS=$! # stop_cluster ends it
    wait_until 20 test -s "$CLUSTER_DIR/url"
    url=$(cat "$CLUSTER_DIR/url")
}

# url_job URL COUNT COMMAND
url_job() {
    jq -cn --arg url "$1" --arg array "0-$(($2 - 1))" --arg command "$3" \
        '{commands: [$command], files: [{name: "in/data.bin", url: $url}], array: $array}'
}

@test "the elements of an array download a URL once, and see it when it has changed" {
    start_cluster 1 -o worker.slots=4
    head -c 2000000 /dev/urandom >"$CLUSTER_DIR/data"
    sum=$(cksum <"$CLUSTER_DIR/data")
    serve_data
    job=$(submit "$(url_job "$url/data" 12 'cksum <in/data.bin; echo damage >in/data.bin')")
    [ "$(job_end "$job")" = completed ]
    [ "$(api "/api/jobs/$job/tasks?output=true" | jq -r '.[].stdout' | sort -u | grep .)" = "$sum" ]
    [ "$(grep -c 200 "$CLUSTER_DIR/served")" = 1 ]
    head -c 2000000 /dev/urandom >"$CLUSTER_DIR/data"
    sum=$(cksum <"$CLUSTER_DIR/data")
    job=$(submit "$(url_job "$url/data" 12 'cksum <in/data.bin')")
    [ "$(job_end "$job")" = completed ]
    [ "$(api "/api/jobs/$job/tasks?output=true" | jq -r '.[].stdout' | sort -u | grep .)" = "$sum" ]
    [ "$(grep -c 200 "$CLUSTER_DIR/served")" = 2 ]
}

@test "what a server says is not to be stored is downloaded by each element" {
    start_cluster 1 -o worker.slots=4
    head -c 2000 /dev/urandom >"$CLUSTER_DIR/data"
    serve_data
    job=$(submit "$(url_job "$url/once" 6 'cksum <in/data.bin')")
    [ "$(job_end "$job")" = completed ]
    [ "$(grep -c 200 "$CLUSTER_DIR/served")" = 6 ]
    [ -z "$(find "$CLUSTER_DIR/n1/data/url-cache" -type f)" ]
}
