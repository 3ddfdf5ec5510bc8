#!/usr/bin/env bats
# clustersh against a real cluster: the same grammar as arguments, -c, -f and on standard input; what it prints where;
# how it ends.

setup_file() {
    load ../lib/cluster.bash
    start_cluster 3
    export CLUSTER_DIR CLUSTER_PID CLUSTER_NODES CLUSTERSH_ENDPOINT
    export HOME=$CLUSTER_DIR
}

teardown_file() {
    load ../lib/cluster.bash
    stop_cluster
}

setup() {
    load ../lib/cluster.bash
}

# run, with standard error in $stderr instead of $output
bats_require_minimum_version 1.5.0

@test "node list names every node and one leader" {
    run -0 clustersh -o json node list
    [ "$(jq -r '[.[].name] | join(" ")' <<<"$output")" = 'n1 n2 n3' ]
    [ "$(jq '[.[] | select(.leader)] | length' <<<"$output")" = 1 ]
    jq -e 'all(has("name") and has("id") and has("roles") and has("state") and has("address") and has("pid"))' <<<"$output"
    run -0 clustersh raft status -o json
    [ "$(jq '[.[] | select(.leader == true)] | length' <<<"$output")" = 1 ]
}

@test "from a Unix socket another node is gone to by its name, with the token that is beside the socket" {
    for node in n2 n3; do
        run -0 clustersh -o json -c "\\c $node" -c '\conninfo'
        [ "$(grep '^\[' <<<"$output" | jq -r '.[0].node')" = "$node" ]
    done
    run -2 clustersh -c '\c http://127.0.0.1:1' -c '\conninfo'
}

@test "submit prints the id alone, wait and results tell how it went" {
    id=$(clustersh job submit --name greet -- echo hello)
    [[ $id =~ ^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$ ]]
    clustersh job wait "$id"
    [ "$(clustersh job logs "$id")" = hello ]
    run -0 clustersh -o json job results "${id:0:8}"
    [ "$(jq -r '.[0].stdout' <<<"$output")" = hello ]
    [ "$(jq -r '.[0].state' <<<"$output")" = completed ]
    run -0 clustersh job show last -o json
    [ "$(jq -r '.[0].name' <<<"$output")" = greet ]
}

@test "wait fails when an element failed, and when the time is over" {
    id=$(clustersh job submit --array 0-3 'exit $((CLUSTERD_ARRAY_INDEX == 2))')
    run -3 clustersh job wait "$id"
    [ "$(clustersh -t -o csv job tasks "$id" --state failed | wc -l)" = 1 ]
    id=$(clustersh job submit -- sleep 60)
    run -3 --separate-stderr clustersh job wait "$id" --timeout 50ms
    [[ $stderr == *'has not ended in time'* ]]
    clustersh job cancel "$id"
    run -3 clustersh job wait "$id"
}

@test "run keeps the streams apart and ends with the exit status of the job" {
    run -7 --separate-stderr clustersh job run 'echo out; echo err >&2; exit 7'
    [ "$output" = out ]
    [[ $stderr == err$'\n'error:* ]]
    run -0 clustersh job run --array 0-11%3 'echo element $CLUSTERD_ARRAY_INDEX of $CLUSTERD_JOB_ID | cut -d" " -f1-3'
    [ "$(sort -n <<<"$output" | head -n 2)" = $'0: element 0 of\n1: element 1 of' ]
    [ ${#lines[@]} = 12 ]
}

@test "a file goes along with a job" {
    echo 'the content' >"$BATS_TEST_TMPDIR/my input"
    [ "$(clustersh job run --file "$BATS_TEST_TMPDIR/my input:in.txt" -- cat in.txt)" = 'the content' ]
    tar -C "$BATS_TEST_TMPDIR" -czf "$BATS_TEST_TMPDIR/pack.tar.gz" 'my input'
    [ "$(clustersh job run --file "$BATS_TEST_TMPDIR/pack.tar.gz" --unpack -- cat 'my input')" = 'the content' ]
}

@test "the same key submits once" {
    id=$(clustersh job submit --idempotency-key once -- true)
    [ "$(clustersh job submit --idempotency-key once -- true)" = "$id" ]
}

@test "logs -f follows a running job to its end" {
    id=$(clustersh job submit 'echo first; while [ ! -e '"$BATS_TEST_TMPDIR"'/go ]; do sleep 0.05; done; echo last')
    clustersh job logs -f "$id" >"$BATS_TEST_TMPDIR/out" 3>&- &
    follower=$!
    wait_until 20 grep -q first "$BATS_TEST_TMPDIR/out"
    touch "$BATS_TEST_TMPDIR/go"
    wait $follower
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = $'first\nlast' ]
}

@test "exec folds equal outputs and ends with the greatest exit code" {
    run -0 clustersh exec @all -- echo same
    [ "$output" = $'---------------\nn[1-3] (3)\n---------------\nsame' ]
    run -0 clustersh exec '@all,!n2' -L 'echo $CLUSTERD_NODE'
    [ ${#lines[@]} = 2 ]
    run -4 clustersh exec n2 'exit 4'
    run -3 --separate-stderr clustersh exec nowhere -- true
    [[ $stderr == 'error: '* ]]
}

@test "output with a NUL comes through whole, inline and live" {
    [ "$(clustersh exec n1 -- 'printf "a\\0b\\n"' | tail -n 1 | hex)" = 6100620a ]
    [ "$(clustersh job run -- 'printf "a\\0b\\n"' | hex)" = 6100620a ]
    [ "$(clustersh job logs last | hex)" = 6100620a ]
    clustersh job results last
    api '/api/jobs/last/tasks?output=true' | jq -e '.[0] | .stdout_base64 == "YQBiCg==" and .stderr == "" and (has("stderr_base64") | not)'
    api -d '{"mode":"direct","command":"printf \"a\\\\0b\""}' /api/execute | jq -e '.stdout_base64 == "YQBi" and (has("stderr_base64") | not)'
}

@test "what is no text, and a socket that is not there, are clear errors" {
    printf 'status\na\0b\nstatus\n' >"$BATS_TEST_TMPDIR/bad"
    run -1 --separate-stderr timeout 60 clustersh -o jsonl -f "$BATS_TEST_TMPDIR/bad"
    [[ $stderr == *':2: error: '*'NUL character'* ]]
    [ ${#lines[@]} = 1 ]
    run -1 timeout 60 clustersh -k -f "$BATS_TEST_TMPDIR"
    [[ $output == *"error: $BATS_TEST_TMPDIR: Is a directory"* ]]
    run -2 clustersh -s "unix:$BATS_TEST_TMPDIR/none" status
    [[ $output == *"no connection to unix:$BATS_TEST_TMPDIR/none: No such file or directory"* ]]
}

@test "an interrupted exec stops its command everywhere" {
    clustersh exec @all --live "echo started; exec sleep 987$$" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
    shell=$!
    all_started() { [ "$(grep -c started "$BATS_TEST_TMPDIR/out")" = 3 ]; }
    wait_until 20 all_started
    # a background job of a script ignores SIGINT unless it asks for it: clustersh does
    kill -INT $shell
    local status=0
    wait $shell || status=$? # not by `run`: its subshell is no parent of the shell
    [ $status = 130 ]
    grep -q 'interrupted: stopped on n\[1-3\]' "$BATS_TEST_TMPDIR/err"
    gone() { ! pgrep -f "sleep 987$$"; }
    wait_until 20 gone
}

@test "statements come from -c, -f and standard input" {
    run -0 clustersh -c 'kv put shell/a 1' -c 'kv get shell/a; \echo'
    [ "${lines[-1]}" = 1 ]
    printf '%s\n' '# comment' 'kv put shell/b "two' 'lines"' 'kv \' ' get shell/b' >"$BATS_TEST_TMPDIR/script"
    [ "$(clustersh -f "$BATS_TEST_TMPDIR/script" | tail -n 2)" = $'two\nlines' ]
    [ "$(clustersh <"$BATS_TEST_TMPDIR/script" | tail -n 2)" = $'two\nlines' ]
}

@test "the exit status tells usage, connection and failure apart" {
    run -1 clustersh nosuch
    run -1 clustersh node list --nosuch
    run -1 clustersh job submit
    run -2 clustersh -s "unix:$BATS_TEST_TMPDIR/none.sock" node list
    run -3 clustersh job show 00000000
    run -3 clustersh -c 'job show 00000000' -c '\echo never'
    [[ $output != *never* ]]
    run -3 clustersh -k -c 'job show 00000000' -c '\echo still'
    [[ $output == *still* ]]
    run -0 clustersh help
}

@test "TCP asks for the token that lies beside the socket" {
    local address
    address=$(clustersh node show n1 -o json | jq -r '.[0].api_address')
    run -3 --separate-stderr clustersh -s "http://$address" node list
    [[ $stderr == *'hint: '*token* ]]
    run -0 clustersh -s "http://$address" --token-file "$CLUSTER_DIR/n1/data/api.token" node list
    CLUSTERSH_TOKEN=$(cat "$CLUSTER_DIR/n1/data/api.token") run -0 clustersh -s "http://$address" status
}

@test "another endpoint is used when the first is gone" {
    run -0 clustersh -s "unix:$BATS_TEST_TMPDIR/none.sock,unix:$(socket_of n2)" -o json status
    [ "$(jq -r '.[0].node' <<<"$output")" = n2 ]
}

@test "a set with a node that is not there changes none of them" {
    run clustersh node drain 'n[1-4]'
    [ "$status" = 3 ]
    [[ $output == *"there is no node n4"* ]]
    clustersh -o json node list | jq -e 'all(.draining == false)'
}

@test "a drained node gets no work and a resumed one does" {
    clustersh node drain n3 --reason test
    wait_until 20 node_state_is n3 drained
    run -0 clustersh job run --array 0-5 'echo $CLUSTERD_NODE'
    [[ $output != *n3* ]]
    clustersh node resume n3
    wait_until 20 node_state_is n3 online
    run -0 clustersh audit -o csv
    [[ $output == *drain*n3* ]]
}

@test "the lead is handed over by command" {
    hands_over() {
        local before
        before=$(leader) && [ "$(clustersh raft transfer -o json | jq -re '.[0].leader')" != "$before" ]
    }
    wait_until 20 hands_over
}

@test "a query whose node hangs is answered by another one; \\gexec acts on what a query finds; sets have algebra" {
    run -0 clustersh -t -o csv -c "node list @all & !n2"
    [ "$(cut -d, -f1 <<<"$output" | tr '\n' ' ')" = 'n1 n3 ' ]
    run -0 clustersh -c "SELECT 'kv put gexec/' || name || ' ' || name FROM cluster.nodes ORDER BY name \\gexec" \
        -c "SELECT count(*) AS n FROM cluster.nodes \\gset" -c "kv put gexec/count :n"
    [ "$(clustersh kv get gexec/n2)" = n2 ]
    [ "$(clustersh kv get gexec/count)" = 3 ]
    [ "$(printf '\xef\xbb\xbf/* of a script;\n\\\\q */\n-- more\nSELECT 6;\n/* */ node list n2\n' | clustersh -t -o csv | cut -d, -f1 | paste -sd ' ')" = '6 n2' ]
    run -1 clustersh -c '/* open'
    [[ "$output" = *'is not closed'* ]]
    [ "$(clustersh -t -o csv -c $'SELECT 1 AS a, [2] AS b -- not run\n\\gdesc' | paste -sd ' ')" = 'a,INTEGER b,INTEGER[]' ]
    run -1 clustersh -c 'node list \gdesc'
    [[ "$output" = *'describes SQL, not commands'* ]]
    [ "$(clustersh -t -o csv -c "SELECT 'again' \\watch c=3 i=100ms" | grep -c '^again$')" = 3 ]
    [ "$(clustersh -t -o csv -c "SELECT 'again' \\watch 100ms 2" | grep -c '^again$')" = 2 ]
    run -1 clustersh -c 'SELECT 1 \watch c=0'
    [[ "$output" = *'neither a time nor a count'* ]]
    run -1 clustersh -c '\timing perhaps'
    [[ "$output" = *'hint: \? timing'* ]]
    local pid
    pid=$(node_pid n3)
    kill -STOP "$pid"
    run clustersh -s "$(socket_of n3),$(socket_of n1)" -t -o csv -c 'SELECT 42 AS answer;'
    kill -CONT "$pid"
    [ "$status" = 0 ]
    [ "$output" = 42 ]
}

@test "a list of jobs longer than a page has each job once, newest first, and ends where it is told to" {
    for i in {1..1100}; do echo 'job submit --name many -- true'; done >"$BATS_TEST_TMPDIR/many"
    clustersh -f "$BATS_TEST_TMPDIR/many" >"$BATS_TEST_TMPDIR/out"
    clustersh -o jsonl job list --all --name many | jq -r .seq >"$BATS_TEST_TMPDIR/seqs"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/seqs")" = 1100 ]
    sort -rnu "$BATS_TEST_TMPDIR/seqs" | diff - "$BATS_TEST_TMPDIR/seqs"
    clustersh -o jsonl job list -n 1050 --name many | jq -r .seq | diff - <(head -n 1050 "$BATS_TEST_TMPDIR/seqs")
    [ "$(clustersh -o jsonl job list -n 7 --name many | wc -l)" = 7 ]
}
