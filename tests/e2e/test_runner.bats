# tests/run: what it counts, what it shows, how it ends.

setup() {
    export TEST_LOGS=$BATS_TEST_TMPDIR/logs
    cd "$BATS_TEST_TMPDIR"
}

# program NAME: makes a test program of the shell commands on standard input.
program() {
    { echo '#!/bin/sh'; cat; } >"$1"
    chmod +x "$1"
}

run_tests() {
    run "$TOP_SRCDIR/tests/run" "${@/#/$BATS_TEST_TMPDIR/}"
}

last_line_is() {
    [ "${lines[-1]}" = "$1" ] || { echo "$output"; return 1; }
}

@test "passed cases of all programs are summed in the last line" {
    program one <<<'echo "ok 1 - a"; echo "ok 2 - b"; echo "1..2"'
    program two <<<'echo "ok 1 - c"'
    run_tests one two
    [ "$status" = 0 ]
    last_line_is '3 passed, 0 failed'
}

@test "the seconds that each took are told" {
    program one <<<'sleep 1.1; echo "ok 1 - a"'
    program two <<<'sleep 1.1; echo "not ok 1 - a"'
    run_tests one two
    grep -E '^PASS .*/one \(1\) [1-9][0-9]* s$' <<<"$output"
    grep -E '^FAIL .*/two \(1 of 1\) [1-9][0-9]* s' <<<"$output"
}

@test "a TEST that waits keeps no processor from the others" {
    program one <<<'until [ -e go ]; do sleep 0.05; done; echo "ok 1 - a"'
    program two <<<'touch go; echo "ok 1 - b"'
    run_tests one two
    last_line_is '2 passed, 0 failed'
}

@test "what an earlier run left of a TEST is not taken for its end" {
    program .one <<<'sleep 0.3; echo "ok 1 - a"'
    mkdir -p "$TEST_LOGS"
    touch "$TEST_LOGS/.one.log"
    echo 0 0 >"$TEST_LOGS/.one.status"
    run "$TOP_SRCDIR/tests/run" .one
    last_line_is '1 passed, 0 failed'
}

@test "a failed case is shown and fails the run" {
    program bad <<<'echo "ok 1 - a"; echo "not ok 2 - b"; echo "# expected 1, got 2"; exit 1'
    run_tests bad
    [ "$status" = 1 ]
    [[ $output == *'not ok 2 - b'*'# expected 1, got 2'* ]]
    last_line_is '1 passed, 1 failed'
}

@test "a program that crashes counts as failed, with what it said" {
    program crash <<<'echo "ok 1 - a"; echo "assertion: x > 0" >&2; kill -SEGV $$'
    run_tests crash
    [ "$status" = 1 ]
    [[ $output == *'assertion: x > 0'* ]]
    last_line_is '1 passed, 1 failed'
}

@test "a program that ends before its plan does counts as failed" {
    program short <<<'echo "1..3"; echo "ok 1 - a"'
    run_tests short
    last_line_is '1 passed, 1 failed'
}

@test "a program without a case counts as failed" {
    program silent <<<'exit 0'
    run_tests silent
    last_line_is '0 passed, 1 failed'
}

@test "a program over its time limit counts as failed" {
    program slow <<<'echo "ok 1 - a"; exec sleep 60'
    TEST_TIMEOUT_S=3 run_tests slow
    [[ $output == *'over its limit of 3 s'* ]]
    last_line_is '1 passed, 1 failed'
}

@test "skipped cases are shown and count neither as passed nor as failed" {
    program skips <<<'echo "ok 1 - a"; echo "ok 2 - b # skip no network"; echo "not ok 3 # SKIP c"'
    run_tests skips
    [ "$status" = 0 ]
    [[ $output == *'no network'* ]]
    last_line_is '1 passed, 0 failed'
}

@test "what a sanitizer says of any process counts as failed, and is shown" {
    program leaks <<<'to=${ASAN_OPTIONS#log_path=}; echo "ERROR: LeakSanitizer" >"${to%%:*}.clusterd.17"; echo "ok 1 - a"'
    SANITIZERS=address run_tests leaks
    [ "$status" = 1 ]
    [[ $output == *'sanitizers have something to say'*'ERROR: LeakSanitizer'* ]]
    last_line_is '1 passed, 1 failed'
    program leaks <<<'echo "ok 1 - a"'
    SANITIZERS=address run_tests leaks
    last_line_is '1 passed, 0 failed'
}
