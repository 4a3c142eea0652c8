#!/bin/sh
# The guest's network stack as a program on a tap device, judged by Linux's own, over links without faults, with loss, and far away: net_linux.sh
# Needs /dev/net/tun and network namespaces; says NOT RUN where they are missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=$here/../zig-out/tests/net-tap
[ -x "$program" ] || {
    echo "net_linux.sh: there is no $program; build it with: cd guest && zig build workloads" >&2
    exit 2
}
namespace="unshare -n"
[ "$(id -u)" = 0 ] || namespace="unshare -Urn"
if ! $namespace sh -c 'ip tuntap add dev t0 mode tap' 2>/dev/null; then
    echo "NOT RUN: net_linux.sh needs network namespaces, /dev/net/tun and ip (package iproute2)"
    exit 0
fi

passed=0 failed=0
# A profile, then loss, duplication and reordering per mille, delay in ms each way.
judge() {
    profile=$1
    shift
    log=$(mktemp)
    # shellcheck disable=SC2016
    $namespace sh -c '
        ip link set lo up
        ip tuntap add dev t0 mode tap
        ip addr add 10.99.0.1/24 dev t0
        ip link set t0 txqueuelen 5000 up
        program=$1 judge=$2 profile=$3
        shift 3
        "$program" t0 "$@" &
        running=$!
        timeout 400 /usr/bin/python3 "$judge" "$profile" || true
        if kill "$running" 2>/dev/null; then wait "$running" 2>/dev/null || true; else echo "FAILED the stack ended"; fi
    ' sh "$program" "$here/net_judge.py" "$profile" "$@" 1 >"$log" 2>&1 || true
    sed "s/^/$profile: /" "$log" | grep -v ' passed, ' || true
    counts=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log")
    bad=$(echo "${counts:-0 1}" | cut -d' ' -f2)
    grep -q '^FAILED the stack ended' "$log" && bad=$((bad + 1))
    passed=$((passed + $(echo "${counts:-0 1}" | cut -d' ' -f1))) failed=$((failed + bad))
    rm -f "$log"
}
judge clean 0 0 0 0
judge lossy 10 10 20 0
judge bad 50 20 50 2
judge far 0 0 0 50
echo "$passed passed, $failed failed"
[ $failed = 0 ]
