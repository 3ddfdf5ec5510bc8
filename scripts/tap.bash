# Sourced by the checks: one TAP case for each claim, and at the end the plan.

tap_count=0
tap_failed=0

# tap_case CLAIM PROBLEMS: the claim holds if PROBLEMS is empty.
tap_case() {
    tap_count=$((tap_count + 1))
    if [ -z "$2" ]; then
        echo "ok $tap_count - $1"
    else
        echo "not ok $tap_count - $1"
        sed 's/^/# /' <<<"$2"
        tap_failed=$((tap_failed + 1))
    fi
}

tap_skip() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $1 # SKIP $2"
}

tap_done() {
    echo "1..$tap_count"
    [ "$tap_failed" = 0 ]
}
