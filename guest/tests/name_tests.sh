#!/bin/sh
# Names to addresses in a guest, from our own programs and ordinary ones of Linux, by a name server of the test's own behind QEMU's user-mode network: name_tests.sh
# Needs network namespaces; says NOT RUN where they are missing. Prints failures and at last "N passed, N failed"; 0 when nothing failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../zig-out/tests
kernel=$here/../zig-out/kernel/ukernel-net.elf
namespace="unshare -n"
[ "$(id -u)" = 0 ] || namespace="unshare -Urn"
if ! $namespace ip link set lo up 2>/dev/null; then
    echo "NOT RUN: name_tests.sh needs network namespaces and ip (package iproute2)"
    echo "0 passed, 0 failed"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The first server is nobody, in the guest itself; the second is the loopback of QEMU's side.
{
    echo "ukernel-config 1"
    echo "nameserver 127.0.0.1"
    echo "nameserver 10.0.2.2"
    echo "search in.test"
} > "$work/configuration"
cat > "$work/wanted" << 'END'
10.9.8.7 10.9.8.7:80
localhost 127.0.0.1:80
db 10.1.0.1:80
DB.in.test. 10.1.0.1:80
whole.test 10.1.0.2:80
alias.test 10.1.0.3:80
steps.test 10.1.0.4:80
forged.test 10.1.0.5:80
late.test 10.1.0.6:80
nobody failed 2
nobody.test failed 2
empty.test failed 2
broken.test failed 10
round.test failed 10
silent.test failed 5
not..a.name failed 1
10.0.0.256 failed 1
END
pack() { # image workload argument...
    image=$1 workload=$2
    shift 2
    for argument in "$@"; do set -- "$@" "arg $argument"; shift; done
    "$tools/pack" "$work/$image" "$kernel" "$tools/$workload" "name $workload" "arg $workload" "$@" "capability log" "capability io" "capability net"
}
# Names are words.
# shellcheck disable=SC2046
pack names net-names $(sed 's/ .*//' "$work/wanted")
pack ask workloads ask host.test 8053

# Ordinary Linux programs, by their own resolvers: musl's, and Go's where there is a go command.
ordinary="localhost db whole.test alias.test late.test nobody"
printf '%s\n' "localhost 127.0.0.1" "db 10.1.0.1" "whole.test 10.1.0.2" "alias.test 10.1.0.3" "late.test 10.1.0.6" "nobody failed" > "$work/ordinary"
linux() { # image program argument...
    image=$1 program=$2
    shift 2
    for argument in "$@"; do set -- "$@" "arg $argument"; shift; done
    mkdir -p "$work/$image-root/bin"
    cp "$program" "$work/$image-root/bin/$image"
    "$here/linux-image" "$work/$image" "$work/$image-root" "/bin/$image" "arg $image" "$@" "capability net"
}
# shellcheck disable=SC2086
linux musl "$tools/linux-names" $ordinary
linux fetch "$tools/linux-names" -c host.test 8053
if [ -x /bin/busybox ] && ! ldd /bin/busybox > /dev/null 2>&1; then
    mkdir -p "$work/busybox-root/etc"
    : > "$work/busybox-root/etc/resolv.conf"
    linux busybox /bin/busybox cat /etc/resolv.conf /etc/hosts /etc/hostname
else
    echo "not run: DHCP's name server: no static /bin/busybox here (package busybox-static)"
fi
go=no
if command -v go > /dev/null; then
    go=yes
    GO111MODULE=off GOFLAGS='' GOTOOLCHAIN=local CGO_ENABLED=0 GOCACHE="${GOCACHE:-${HOME:-/tmp}/.cache/go-build}" \
        timeout 300 go build -trimpath -o "$work/linux-names-go" "$here/linux_names.go"
    # shellcheck disable=SC2086
    linux go "$work/linux-names-go" $ordinary http://host.test:8053/
else
    echo "not run: Go: no go command here"
fi

# shellcheck disable=SC2016
$namespace sh -c '
    here=$1 work=$2
    ip link set lo up
    timeout 120 /usr/bin/python3 "$here/dns_server.py" "$work/ready" &
    names=$!
    timeout 120 /usr/bin/python3 -m http.server --bind 127.0.0.1 --directory "$work" 8053 > /dev/null 2>&1 &
    web=$!
    while ! [ -e "$work/ready" ]; do
        kill -0 $names || exit 1
        sleep 0.05
    done
    CONFIG=$work/configuration NET=user "$here/boot.sh" "$work/names" 2 64 60 > "$work/names.log" 2>&1 || true
    CONFIG=$work/configuration NET=user STOP_AFTER=2 "$here/boot.sh" "$work/ask" 1 64 60 > "$work/ask.log" 2>&1 || true
    CONFIG=$work/configuration KERNEL=$3 NET=user
    export CONFIG KERNEL NET
    "$here/boot.sh" "$work/musl" 1 64 60 > "$work/musl.log" 2>&1 || true
    "$here/boot.sh" "$work/fetch" 2 64 60 > "$work/fetch.log" 2>&1 || true
    [ $4 = no ] || "$here/boot.sh" "$work/go" 2 128 60 > "$work/go.log" 2>&1 || true
    # What DHCP tells, where the configuration names nobody: QEMU answers there itself, and knows no such name.
    unset CONFIG
    "$here/boot.sh" "$work/busybox" 1 64 60 > "$work/busybox.log" 2>&1 || true
    kill $names $web
    wait
' sh "$here" "$work" "$here/../zig-out/kernel/ukernel-full.elf" $go || true

passed=0 failed=0
check() { # what log line
    if tr -d '\r' < "$work/$2.log" | grep -qxF "$3"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL $1: wanted '$3'"
        sed 's/^/    /' "$work/$2.log" | tail -n 25
    fi
}
while read -r line; do check "a name" names "$line"; done < "$work/wanted"
check "the end" names "exit 0 0 the first task ended"
check "a question by name, over TCP" ask "HTTP/1.0 200 OK"
while read -r line; do
    check "a name by musl" musl "$line"
    [ $go = no ] || check "a name by Go" go "$line"
done < "$work/ordinary"
check "the name of the machine" musl "host musl"
check "a Linux program's question by name, over TCP" fetch "HTTP/1.0 200 OK"
if [ $go = yes ]; then
    check "a Go program's question by name, over TCP" go "HTTP/1.0 200 OK"
    check "Go's own connections" go "100 connections, then true"
fi
if [ -x /bin/busybox ] && ! ldd /bin/busybox > /dev/null 2>&1; then check "DHCP's name server" busybox "nameserver 10.0.2.3"; fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
