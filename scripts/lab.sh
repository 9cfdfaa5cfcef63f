#!/usr/bin/env bash
# A lab of network namespaces for moving connections between hosts: a client, two hosts A and B that both carry the
# service addresses, a backend host, and a switch.
#
#   lab.sh up | down
#
# Needs root and iproute2. BATON_LAB_PREFIX (default "baton-") begins every namespace's name, so that labs can stand side
# by side. All addresses come from the documentation ranges (RFC 5737, RFC 3849) and exist inside the namespaces only:
#
#   front link   e0   client .1   A .2   B .3               192.0.2.0/24      2001:db8::/64
#   back link    e1   A .2   B .3   backend .4              198.51.100.0/24   2001:db8:1::/64
#   service           A and B on lo; the one that answers for them has them on e0 (e1) too
#                     192.0.2.100 2001:db8::100, towards the backend 198.51.100.100 2001:db8:1::100
set -euo pipefail

prefix=${BATON_LAB_PREFIX:-baton-}
roles=(client a b backend switch)

down() {
    for role in "${roles[@]}"; do
        ip netns del "$prefix$role" 2>/dev/null || true
    done
}

# The namespace joins a link: link ROLE INTERFACE BRIDGE IPV4 IPV6
link() {
    local name=$prefix$1 interface=$2 bridge=$3 port=$1-$2
    ip link add "$interface" netns "$name" type veth peer name "$port" netns "${prefix}switch"
    ip -n "${prefix}switch" link set "$port" master "$bridge" up
    ip -n "$name" addr add "$4" dev "$interface"
    ip -n "$name" addr add "$5" dev "$interface" nodad
    ip -n "$name" link set "$interface" up
}

up() {
    down
    for role in "${roles[@]}"; do
        ip netns add "$prefix$role"
        # Without duplicate address detection every address works at once. rp_filter: a steered packet comes by another
        # way than an answer would go. arp_ignore, arp_announce: an address on lo is not answered for. tcp_rmem, tcp_wmem:
        # a connection's queues are as large as it may be behind, and moving them takes as long as copying them.
        ip netns exec "$prefix$role" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 \
            net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
            net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 \
            net.ipv4.tcp_rmem="4096 131072 2097152" net.ipv4.tcp_wmem="4096 16384 2097152"
        ip -n "$prefix$role" link set lo up
    done
    for bridge in front back; do
        # A snooping bridge would keep neighbour discovery from hosts it has not heard of yet.
        ip -n "${prefix}switch" link add "$bridge" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
        ip -n "${prefix}switch" link set "$bridge" up
    done
    link client e0 front 192.0.2.1/24 2001:db8::1/64
    link a e0 front 192.0.2.2/24 2001:db8::2/64
    link b e0 front 192.0.2.3/24 2001:db8::3/64
    link a e1 back 198.51.100.2/24 2001:db8:1::2/64
    link b e1 back 198.51.100.3/24 2001:db8:1::3/64
    link backend e1 back 198.51.100.4/24 2001:db8:1::4/64
    for role in a b; do
        for address in 192.0.2.100/32 198.51.100.100/32 2001:db8::100/128 2001:db8:1::100/128; do
            ip -n "$prefix$role" addr add "$address" dev lo
        done
    done
    ip -n "${prefix}a" addr add 192.0.2.100/32 dev e0
    ip -n "${prefix}a" addr add 2001:db8::100/128 dev e0 nodad
    ip -n "${prefix}a" addr add 198.51.100.100/32 dev e1
    ip -n "${prefix}a" addr add 2001:db8:1::100/128 dev e1 nodad
}

case ${1:-} in
up) up ;;
down) down ;;
*)
    echo "usage: $0 up | down" >&2
    exit 2
    ;;
esac
