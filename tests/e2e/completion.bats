#!/usr/bin/env bats
# Completion of bash, zsh and fish, which ask the programs: with a cluster, without one, with one that hangs.

setup_file() {
    load ../lib/cluster.bash
    start_cluster 3
    export CLUSTER_DIR CLUSTER_PID CLUSTER_NODES CLUSTERSH_ENDPOINT
    export HOME=$CLUSTER_DIR
    JOB=$(clustersh job submit --name greet -- true)
    export JOB
}

teardown_file() {
    load ../lib/cluster.bash
    stop_cluster
}

setup() {
    load ../lib/cluster.bash
    completions=$BATS_TEST_DIRNAME/../../completions
}

bats_require_minimum_version 1.5.0

# in_bash LINE: what bash's function makes of the line with the cursor at its end, a candidate a line. Words are taken
# apart as readline does it, at blanks and at COMP_WORDBREAKS.
in_bash() {
    bash --norc -c '
        source "$1"
        COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9
        compopts=$3
        compopt() { echo "compopt $*" >>"$compopts"; }
        COMP_WORDS=() rest=$2
        while [ -n "$rest" ]; do
            rest=${rest#"${rest%%[![:space:]]*}"}
            if [[ $rest =~ ^[=:@]+ || $rest =~ ^[^=:@[:space:]]+ ]]; then
                COMP_WORDS+=("$BASH_REMATCH")
                rest=${rest#"$BASH_REMATCH"}
            fi
        done
        case $2 in *[[:space:]]) COMP_WORDS+=("") ;; esac
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        word=${COMP_WORDS[COMP_CWORD]}
        case $word in [=:@]*) word= ;; esac
        _clusterd "${COMP_WORDS[0]}" "$word" ""
        printf "%s\n" "${COMPREPLY[@]}"' bash "$completions/clusterd.bash" "$1" "$BATS_TEST_TMPDIR/compopt"
}

in_zsh() {
    zsh -f -c '
        compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -rl -- "$@"; }
        _files() { print files; }
        words=(${(z)2}) PREFIX=
        [[ $2 == *" " ]] && words+=("") || PREFIX=$words[-1]
        CURRENT=${#words}
        source $1' zsh "$completions/_clusterd" "$1"
}

in_fish() {
    # shellcheck disable=SC2016
    fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$completions/clusterd.fish" "$1" | cut -f 1
}

# completes_to LINE CANDIDATES: as the shell in $ask does it. Names of the cluster may come too late on a busy machine.
completes_to() {
    [ "$($ask "$1" | sort | tr '\n' ' ')" = "$2" ]
}

# All that is claimed of one shell: in_SHELL is its function.
check_shell() {
    local ask=in_$1
    completes_to 'clustersh node ' 'drain list remove resume show '
    wait_until 20 completes_to 'clustersh node show ' 'n1 n2 n3 '
    wait_until 20 completes_to 'clustersh -o json job show ' "${JOB:0:8} last "
    [ "$($ask 'clustersh job list --state fa')" = failed ]
    [ "$($ask 'clusterd conf')" = config ]
    [ "$($ask 'clusterd config ' | sort | tr '\n' ' ')" = 'check reference show ' ]
    [ "$($ask 'clustertop --view ele')" = elections ]
}

@test "bash completes commands, options, and names of the cluster" {
    check_shell bash
    ask=in_bash wait_until 20 completes_to 'clustersh exec @onl' 'online '
    [ "$(in_bash 'clustersh job list --state=fa')" = failed ]
    [ "$(in_bash 'clusterd run -o log.level=w')" = warn ]
    in_bash 'clusterd run -o log.le' >/dev/null
    grep -qx 'compopt -o nospace' "$BATS_TEST_TMPDIR/compopt"
}

@test "bash completes files where files may stand" {
    cd "$BATS_TEST_TMPDIR"
    touch 'a file' nightly.csh
    mkdir folder
    [ "$(in_bash 'clustersh -f ni')" = nightly.csh ]
    [ "$(in_bash 'clusterd init f')" = folder ]
    [ "$(in_bash 'clustersh -f a')" = 'a file' ]
    grep -qx 'compopt -o filenames' "$BATS_TEST_TMPDIR/compopt"
}

@test "a real bash puts the completion in" {
    command -v script || skip 'no script(1)'
    printf 'source %q\nPS1="ready "\nbind "set bell-style none"\n' "$completions/clusterd.bash" >"$BATS_TEST_TMPDIR/rc"
    run -0 script -qec "bash --noprofile --rcfile $BATS_TEST_TMPDIR/rc -i" /dev/null < <(
        printf "clustersh job show la\\t| grep name; exit\n"
    )
    [[ $output == *greet* ]]
}

@test "zsh completes commands, options, and names of the cluster" {
    command -v zsh || skip 'no zsh'
    check_shell zsh
    ask=in_zsh wait_until 20 completes_to 'clustersh exec @onl' '@online '
    [ "$(in_zsh 'clustersh -f ni')" = files ]
}

@test "fish completes commands, options, and names of the cluster" {
    command -v fish || skip 'no fish'
    check_shell fish
    ask=in_fish wait_until 20 completes_to 'clustersh exec @onl' '@online '
    cd "$BATS_TEST_TMPDIR"
    touch nightly.csh
    [ "$(in_fish 'clustersh -f ni')" = nightly.csh ]
}

@test "services are completed, also one that has only changed with another" {
    clustersh model add first
    clustersh model add second
    clustersh rollout start alone first --also along=first -w
    clustersh rollout start alone second --steps 100 -w
    all_services() { [ "$(clustersh --complete rollout history al | sed '/^:/d' | cut -f 1 | tr '\n' ' ')" = 'alone along ' ]; }
    wait_until 20 all_services
}

@test "without a cluster it is quiet and knows everything else" {
    export CLUSTERSH_ENDPOINT=unix:$BATS_TEST_TMPDIR/nowhere.sock
    run -0 --separate-stderr clustersh --complete node show ''
    [ "$output" = : ]
    # shellcheck disable=SC2154
    [ -z "$stderr" ]
    [ "$(in_bash 'clustersh node dr')" = drain ]
    run -0 --separate-stderr clustersh --complete -s 'https://[' node show ''
    [ "$output" = : ] && [ -z "$stderr" ]
    run -0 --separate-stderr clustersh --complete
    [ -z "$stderr" ]
}

@test "a node that hangs does not hang the completion" {
    pid=$(node_pid n3)
    kill -STOP "$pid"
    export CLUSTERSH_ENDPOINT
    CLUSTERSH_ENDPOINT=unix:$(socket_of n3)
    run -0 --separate-stderr timeout $((10 * ${TEST_PATIENCE:-4})) clustersh --complete node show ''
    kill -CONT "$pid"
    [ "$output" = : ] && [ -z "$stderr" ]
}
