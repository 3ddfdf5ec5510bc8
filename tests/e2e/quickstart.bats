# ./quickstart on the programs of this build: a tree of its own, whose scripts/build has nothing to do.

setup_file() {
    export TREE=$BATS_FILE_TMPDIR/tree
    mkdir -p "$TREE/scripts" "$BATS_FILE_TMPDIR/texts"
    cp "$TOP_SRCDIR/quickstart" "$TREE/"
    ln -s "$TOP_BUILDDIR" "$TREE/build-release"
    printf '#!/bin/sh\n' >"$TREE/scripts/build"
    chmod +x "$TREE/scripts/build"
    echo 'one two three' >"$BATS_FILE_TMPDIR/texts/three"
    echo 'one two' >"$BATS_FILE_TMPDIR/texts/two of them"
    CLUSTERD_QUICKSTART_DIR=$(mktemp -d /tmp/clusterd-test.XXXXXX)
    export CLUSTERD_QUICKSTART_DIR
    cd "$BATS_FILE_TMPDIR/texts"
    "$TREE/quickstart" three 'two of them' </dev/null 3>&- >../output 2>&1 || { cat ../output; return 1; }
}

teardown_file() {
    "$TREE/quickstart" stop
    rm -rf "$CLUSTERD_QUICKSTART_DIR"
}

output_has() {
    grep -Eq "$1" "$BATS_FILE_TMPDIR/output" || { cat "$BATS_FILE_TMPDIR/output"; return 1; }
}

@test "quickstart counts the words of the files given, one element for each, and names the nodes" {
    output_has '^ *0 .* n[123] .* completed .* 3 words in .*/texts/three'
    output_has '^ *1 .* n[123] .* completed .* 2 words in .*/texts/two of them'
}

@test "quickstart shows one command's equal output on every node once" {
    output_has '^n\[1-3\] \(3\)'
    [ "$(grep -cxF "$(uname -a)" "$BATS_FILE_TMPDIR/output")" = 1 ]
}

@test "quickstart has three clients talk while the leader dies, and the nodes agree on what was said" {
    output_has '^\$ kill -9 [0-9]+$'
    output_has '^the last 24 messages are the same on all three nodes'
}

@test "quickstart rolls a good model out and takes a bad one back, on all nodes" {
    output_has '^demo: promoted, 100 %'
    output_has '^demo: aborted, 0 %: gate errors<=5%'
    output_has '"service":"demo","model":"v2"'
    [ "$(grep -Ec '^ n[123] .* demo .* v2 ' "$BATS_FILE_TMPDIR/output")" = 6 ]
}

@test "quickstart asks SQL of the packages over three nodes, and of an older version" {
    packages=$(dpkg-query -W | wc -l)
    output_has '^CREATE TABLE$'
    [ "$(grep -c '^COPY FROM [0-9]' "$BATS_FILE_TMPDIR/output")" = 3 ]
    for node in n1 n2 n3; do output_has "task [0-9]+ on $node"; done
    libs=$(sed -n 's/^DELETE \([0-9]*\)$/\1/p' "$BATS_FILE_TMPDIR/output")
    [ "$(grep -A2 '^ *now' "$BATS_FILE_TMPDIR/output" | tail -n 1 | tr -d ' ')" = $((packages - libs)) ]
    [ "$(grep -A2 '^ *before' "$BATS_FILE_TMPDIR/output" | tail -n 1 | tr -d ' ')" = "$packages" ]
}

@test "a second quickstart uses the cluster that is up" {
    before=$(cat "$CLUSTERD_QUICKSTART_DIR/pid")
    run "$TREE/quickstart" --no-shell "$BATS_FILE_TMPDIR/texts/three" </dev/null 3>&-
    [ "$status" = 0 ]
    [[ $output == *'are running already'*'3 words in'* ]]
    [ "$(cat "$CLUSTERD_QUICKSTART_DIR/pid")" = "$before" ]
}

@test "quickstart ends at a prompt on a terminal" {
    tmux -L "quickstart-$$" new-session -d -x 100 -y 50 "$TREE/quickstart" "$BATS_FILE_TMPDIR/texts/three"
    wait_for_prompt() { tmux -L "quickstart-$$" capture-pane -p | grep -q '^clustersh n1.*> *$'; }
    for _ in $(seq 1200); do wait_for_prompt && break; sleep 0.1; done
    wait_for_prompt
    tmux -L "quickstart-$$" kill-server
}

@test "quickstart stop ends every process, and the next start finds what the cluster kept" {
    run "$TREE/quickstart" stop
    [ "$status" = 0 ]
    ! grep -qsF "$CLUSTERD_QUICKSTART_DIR" /proc/[0-9]*/cmdline
    run "$TREE/quickstart" "$BATS_FILE_TMPDIR/texts/three" </dev/null 3>&-
    echo "$output"
    [ "$status" = 0 ]
    run clustersh -s "unix:$CLUSTERD_QUICKSTART_DIR/cluster/n1/data/clusterd.sock" -o jsonl job list
    [ "$(grep -c wordcount <<<"$output")" = 4 ]
}

@test "quickstart refuses what it cannot read or does not know, and starts nothing" {
    run "$TREE/quickstart" /nonexistent
    [ "$status" = 1 ]
    [[ $output == *'cannot read /nonexistent'* ]]
    run "$TREE/quickstart" --unknown
    [ "$status" = 1 ]
    [[ $output == *usage:* ]]
}

@test "quickstart shows what the screen shows, and how to open it" {
    output_has '^\$ clustertop --once$'
    output_has '3 online'
    output_has '^Its screen: .*/clustertop -s unix:'
}
