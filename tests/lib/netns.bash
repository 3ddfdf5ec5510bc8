# For tests/e2e: hosts in network namespaces on a switch of their own, whose links can be cut. Needs root, ip and nft.
#
#   start_hosts N                 hosts h1 ... hN (10.77.0.1 ...); false where namespaces can't be made
#   on_host I COMMAND...          runs on host I
#   start_host_nodes N [OPTION]   a cluster with node nI on host I; sets CLUSTER_DIR, as cluster.bash wants it
#   cut_both_ways I... -- K...    drops everything between the two groups; cut_one_way: from the first to the second
#   lose PERCENT                  drops that much of everything
#   heal                          all of it again
#   stop_hosts                    ends nodes and hosts

NET=t$$

start_hosts() {
    local i
    [ "$(id -u)" = 0 ] && command -v nft >/dev/null && ip netns add "$NET-sw" 2>/dev/null || return 1
    ip -n "$NET-sw" link set lo up
    ip -n "$NET-sw" link add br0 type bridge stp_state 0 forward_delay 0 || return 1
    ip -n "$NET-sw" link set br0 up
    for ((i = 1; i <= $1; i++)); do
        ip netns add "$NET-h$i" || return 1
        ip -n "$NET-h$i" link set lo up
        ip -n "$NET-sw" link add "p$i" type veth peer name eth0 netns "$NET-h$i" || return 1
        ip -n "$NET-sw" link set "p$i" master br0 up
        ip -n "$NET-h$i" addr add "10.77.0.$i/24" dev eth0
        ip -n "$NET-h$i" link set eth0 up
    done
    ip netns exec "$NET-sw" nft 'table bridge part { chain f { type filter hook forward priority 0; }; }'
}

stop_hosts() {
    local pid name
    for pid in ${HOST_PIDS:-}; do { kill -CONT "$pid" && kill -9 "$pid"; } 2>/dev/null || true; done
    for pid in ${HOST_PIDS:-}; do wait "$pid" 2>/dev/null || true; done
    HOST_PIDS=
    for name in $(ip netns list 2>/dev/null | cut -d' ' -f1 | grep "^$NET-"); do ip netns del "$name" || true; done
    [ -z "${CLUSTER_DIR:-}" ] || rm -rf "$CLUSTER_DIR"
}

on_host() {
    local i=$1
    shift
    ip netns exec "$NET-h$i" "$@"
}

start_host_node() {
    ip netns exec "$NET-h$1" clusterd run --config "$CLUSTER_DIR/n$1/clusterd.yaml" >/dev/null 2>"$CLUSTER_DIR/n$1/errors" 3>&- &
    HOST_PIDS="${HOST_PIDS:-} $!"
}

start_host_nodes() {
    local n=$1 i
    shift
    CLUSTER_DIR=$(mktemp -d /tmp/clusterd-net.XXXXXX)
    CLUSTER_NODES=$n
    for ((i = 1; i <= n; i++)); do
        local options=(-o "node.name=n$i" -o "node.data_dir=$CLUSTER_DIR/n$i/data" -o "peer.listen=10.77.0.$i:7400"
            -o "peer.advertise=10.77.0.$i:7400" -o peer.allow_plain=true -o api.listen=none
            -o cluster.join_token=0123456789abcdef0123456789abcdef -o "chat.node_id=$i" -o "log.path=$CLUSTER_DIR/n$i/log")
        [ "$i" = 1 ] && options+=(-o cluster.bootstrap=true) || options+=(-o cluster.join=10.77.0.1:7400)
        mkdir -p "$CLUSTER_DIR/n$i"
        clusterd init "$CLUSTER_DIR/n$i" "${options[@]}" "$@" >/dev/null || return 1
        start_host_node "$i"
        wait_until 20 api -n "n$i" -f /healthz || return 1
    done
    export CLUSTERSH_ENDPOINT=unix:$CLUSTER_DIR/n1/data/clusterd.sock
}

# "p1","p2" for 1 2
ports_of() {
    local i text=
    for i in "$@"; do text+="${text:+,}\"p$i\""; done
    echo "$text"
}

cut_one_way() {
    local from=() to=() seen=
    for i in "$@"; do
        if [ "$i" = -- ]; then seen=1; elif [ -z "$seen" ]; then from+=("$i"); else to+=("$i"); fi
    done
    ip netns exec "$NET-sw" nft "add rule bridge part f iifname { $(ports_of "${from[@]}") } oifname { $(ports_of "${to[@]}") } drop"
}

cut_both_ways() {
    local from=() to=() seen=
    for i in "$@"; do
        if [ "$i" = -- ]; then seen=1; elif [ -z "$seen" ]; then from+=("$i"); else to+=("$i"); fi
    done
    cut_one_way "${from[@]}" -- "${to[@]}"
    cut_one_way "${to[@]}" -- "${from[@]}"
}

lose() { ip netns exec "$NET-sw" nft "add rule bridge part f numgen random mod 100 < $1 drop"; }
heal() { ip netns exec "$NET-sw" nft flush chain bridge part f; }
