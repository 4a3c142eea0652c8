#!/bin/sh
# Runs unmodified Linux programs through the linux adapter, in QEMU: linux_tests.sh
# Prints a line for each failure and each test that this machine cannot run, and at last "N passed, N failed"; 0 when nothing failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
KERNEL=$here/../zig-out/kernel/ukernel-full.elf
export KERNEL
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

expect() { # what status-line-pattern text image vcpus memory seconds
    what=$1 end=$2 text=$3
    shift 3
    "$here/boot.sh" "$work/$1.img" "$2" "$3" "$4" > "$work/log" 2>&1 || true
    last=$(tail -n 1 "$work/log")
    if expr "$last" : "$end" > /dev/null && grep -q -- "$text" "$work/log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $what: wanted '$end' and '$text'"
        sed 's/^/    /' "$work/log" | tail -n 20
    fi
}

image() { # name entry line...
    name=$1
    shift
    "$here/linux-image" "$work/$name.img" "$work/$name" "$@"
}

# Debian's static busybox.
busybox=/bin/busybox
if [ -x $busybox ] && ! ldd $busybox > /dev/null 2>&1; then
    mkdir -p "$work/echo/bin" && cp $busybox "$work/echo/bin/busybox"
    image echo /bin/busybox "arg echo" "arg hello from busybox"
    expect 'busybox echo' 'exit 0 1 ' '^hello from busybox' echo 1 32 30
    cp -r "$work/echo" "$work/missing"
    image missing /bin/absent "arg absent"
    expect 'a program that is not there' 'exit 127 ' '/bin/absent cannot be started: it is not in the image' missing 1 32 30
    cp -r "$work/echo" "$work/shell"
    # No process is made: every word is the shell's own.
    image shell /bin/busybox "arg sh" "arg -c" \
        'arg set -e; cd /tmp; echo one > a; echo two >> a; read x < a; echo $x; test -d /bin; test ! -e /none; echo no > /bin/x || echo denied; exit 7'
    expect 'busybox sh' 'exit 7 ' '^denied' shell 1 32 30
else
    echo "not run: busybox: no static /bin/busybox here (package busybox-static)"
fi

echo "$passed passed, $failed failed"
[ $failed = 0 ]
