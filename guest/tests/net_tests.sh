#!/bin/sh
# Tests the guest's network from outside, by this machine's TCP/IP: net_tests.sh [bytes] [sequential] [concurrent] [seconds]
# By QEMU's user-mode network, and by a tap interface in a network namespace through a link that loses, doubles, reorders and delays.
# Prints failures, figures, each test that this machine cannot run, and at last "N passed, N failed"; 0 when nothing failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../zig-out/tests
kernel=$here/../zig-out/kernel/ukernel-net.elf
bytes=${1:-1048576} sequential=${2:-100} concurrent=${3:-200} seconds=${4:-240}
work=$(mktemp -d)
guest=
cleanup() {
    [ -z "$guest" ] || kill "$guest" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

"$tools/pack" "$work/image" "$kernel" "$tools/net-server" "name net-server" "arg net-server" \
    "capability log" "capability task" "capability mem" "capability io" "capability net"

add() { # log
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "$1" | tail -n 1)
    [ -n "$line" ] || line="0 passed, 1 failed"
    passed=$((passed + ${line%% *}))
    line=${line#*, }
    failed=$((failed + ${line%% *}))
}

# Runs the client beside a guest; NET, CONFIG and PREFIX are the caller's. Then stops the guest, which must end well.
try() { # what vcpus address offset bytes sequential concurrent [lossy | attacks | all-attacks]
    what=$1 vcpus=$2
    shift 2
    echo "- $what, $vcpus processors"
    STOP_FILE=$work/stop "$here/boot.sh" "$work/image" "$vcpus" 128 "$seconds" > "$work/log" 2>&1 &
    guest=$!
    ${PREFIX:-} timeout "$seconds" "$tools/net-client" "$@" > "$work/client" 2>&1 || true
    sed 's/^/  /' "$work/client"
    add "$work/client"
    : > "$work/stop"
    wait "$guest" || true
    guest=
    if tail -n 1 "$work/log" | grep -q '^exit 0 0 '; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL $what: the guest did not end well"
        tail -n 15 "$work/log" | sed 's/^/    /'
    fi
}

# Free ports: one that is taken makes QEMU end, and the next are tried.
forwards() { # offset
    for port in 7 9 13 19 80; do printf ',hostfwd=tcp:127.0.0.1:%d-:%d' $(($1 + port)) $port; done
    printf ',hostfwd=udp:127.0.0.1:%d-:7' $(($1 + 7))
}
free() { # offset
    for port in 7 9 13 19 80; do
        if grep -qi ":$(printf '%04X' $(($1 + port))) " /proc/net/tcp /proc/net/udp; then return 1; fi
    done
}
offset=20000
while ! free $offset; do offset=$((offset + 100)); done
for vcpus in 1 4; do NET="user$(forwards $offset)" try "user-mode network" $vcpus 127.0.0.1 $offset "$bytes" "$sequential" "$concurrent"; done

# Until the address comes: on a link whose DHCP server lets wait.
echo "- waiting for the address, 2 processors"
"$tools/pack" "$work/waiting" "$kernel" "$tools/net-wait" "name net-wait" "capability log" "capability task" "capability mem" "capability io" "capability net"
: > "$work/wait.console"
timeout "$seconds" /usr/bin/python3 "$here/dhcp_server.py" "$work/ours" "$work/theirs" "$work/wait.console" READY &
server=$!
while ! [ -e "$work/ours" ]; do
    kill -0 $server
    sleep 0.05
done
status=0
OUT=$work/wait NET="dgram,local.type=unix,local.path=$work/theirs,remote.type=unix,remote.path=$work/ours" \
    "$here/boot.sh" "$work/waiting" 2 128 "$seconds" > "$work/log" 2>&1 || status=$?
kill $server 2>/dev/null || true
wait $server 2>/dev/null || true
rm -f "$work/ours" "$work/theirs"
add "$work/log"
if [ $status != 0 ] || ! grep -q '^[1-9][0-9]* passed, 0 failed$' "$work/log"; then sed 's/^/    /' "$work/log" | tail -n 15; fi

# Where root and a tap are to be had: in a namespace of its own, which ends with its last process.
if ! unshare -n true 2>/dev/null || ! [ -w /dev/net/tun ]; then
    echo "NOT RUN: the tests against Linux over a tap need root and /dev/net/tun"
    echo "$passed passed, $failed failed"
    [ $failed = 0 ]
    exit
fi
{
    echo "ukernel-config 1"
    echo "address 10.9.0.2/24 10.9.0.1"
} > "$work/configuration"

link() { # loss double reorder delay bytes sequential concurrent [lossy | attacks | all-attacks]
    unshare -n sh -c 'while ! [ -e "$0/end" ]; do sleep 0.2; done' "$work" &
    space=$!
    inside="nsenter -n -t $space"
    while [ "$(readlink "/proc/$space/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
    $inside "$tools/net-relay" mctap "$work/ours" "$work/theirs" "$1" "$2" "$3" "$4" 1 2> "$work/relay" &
    relay=$!
    while ! $inside ip link set mctap up 2>/dev/null; do
        kill -0 $relay
        sleep 0.05
    done
    $inside ip address add 10.9.0.1/24 dev mctap
    what="Linux over a link that loses $1, doubles $2 and reorders $3 of 1000 frames, $4 ms each way"
    shift 4
    NET="dgram,local.type=unix,local.path=$work/theirs,remote.type=unix,remote.path=$work/ours" CONFIG=$work/configuration \
        PREFIX=$inside try "$what" 2 10.9.0.2 0 "$@"
    kill $relay
    wait $relay || true
    sed 's/^/  /' "$work/relay"
    : > "$work/end"
    wait $space || true
    rm -f "$work/end" "$work/ours" "$work/theirs"
}
# What the relay saw: saw WHAT PATTERN LEAST, for each number that the pattern finds
saw() {
    if sed -n "s/$2/\\1 \\2/p" "$work/relay" | awk -v least="$3" '{ seen = 1; if ($1 < least || $2 < least) bad = 1 } END { exit bad || !seen }'; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL $1: less than $3 one way"
    fi
}
selective() { saw "selective acknowledgements" '.*selective acknowledgements: \([0-9]*\) to the guest, \([0-9]*\) from it.*' 1; }

# A neighbour that has a link-local address alone, on a link without the guest's gateway.
echo "- a link-local neighbour, 1 processor"
printf 'ukernel-config 1\naddress 10.88.0.5/24 10.88.0.1\n' > "$work/neighbour"
# shellcheck disable=SC2016
unshare -n sh -c '
    here=$1 work=$2
    ip tuntap add dev mctap mode tap
    ip link set mctap up
    ip address add 169.254.7.9/32 dev mctap
    ip route add 10.88.0.5 dev mctap src 169.254.7.9
    CONFIG=$work/neighbour NET=tap,ifname=mctap,script=no,downscript=no STOP_FILE=$work/stop "$here/boot.sh" "$work/image" 1 64 60 > "$work/log" 2>&1 &
    timeout 50 /usr/bin/python3 -c "
import time, urllib.request
for _ in range(200):
    try: print(urllib.request.urlopen(\"http://10.88.0.5/\", timeout=5).read().decode()); break
    except OSError: time.sleep(0.2)
"
    : > "$work/stop"
    wait
' sh "$here" "$work" > "$work/client" 2>&1 || true
if grep -q '^hello$' "$work/client" && tail -n 1 "$work/log" | grep -q '^exit 0 0 '; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    echo "FAIL a link-local neighbour: no page"
    tail -n 15 "$work/client" "$work/log" | sed 's/^/    /'
fi

attacks=attacks
[ "$bytes" -lt 104857600 ] || attacks=all-attacks
link 0 0 0 0 "$bytes" "$sequential" "$concurrent" $attacks
link 10 10 50 2 "$bytes" 20 30 lossy
selective
link 50 20 100 5 "$bytes" 5 10 lossy
selective
link 0 0 0 50 "$((bytes < 26214400 ? bytes * 4 : bytes))" 3 5
saw "bytes in flight at 100 ms there and back" '^in flight at most \([0-9]*\) bytes to the guest, \([0-9]*\) from it.*' 65537

echo "$passed passed, $failed failed"
[ $failed = 0 ]
