#!/usr/bin/env bats
# A full disk: what changes is refused with the right status, what reads goes on, and so does all when there is room.

load ../lib/cluster.bash

setup() {
    DISK=$(mktemp -d /tmp/clusterd-disk.XXXXXX)
    mount -t tmpfs -o size=64m tmpfs "$DISK" 2>/dev/null || skip 'needs to mount a small file system'
    export TMPDIR_CLUSTER=$DISK
}

teardown() {
    stop_cluster
    umount "$DISK" 2>/dev/null
    rmdir "$DISK"
}

is_refused() {
    [ "$(api -o /dev/null -w '%{http_code}' -m 2 -X PUT --data-binary "@$DISK/value" /api/kv/filler)" = 507 ]
}

@test "a full disk refuses changes, answers reads, and forgets nothing" {
    start_cluster 1
    head -c 30000 /dev/zero >"$DISK/value"
    job=$(submit '{"argv":["echo","before"]}')
    [ "$(job_end "$job")" = completed ]
    dd if=/dev/zero of="$DISK/fill" bs=1M 2>/dev/null || true
    wait_until 30 is_refused
    [ "$(api -o /dev/null -w "%{http_code}" -d "{\"argv\":[\"true\"]}" /api/jobs)" = 507 ]
    [ "$(api "/api/jobs/$job" | jq -r .state)" = completed ]
    rm "$DISK/fill"
    wait_until 30 api -f -X PUT -d x /api/kv/again
    job=$(submit '{"argv":["echo","after"]}')
    [ "$(job_end "$job")" = completed ]
}
