#!/bin/sh
# Workloads that press, and the fuzzer, each in a VM of its own with 1, 2 and 4 processors: stress.sh [kernel.elf]
#   WAKES=<n>       wake-ups of each pair (default 5000, in 4 pairs)
#   FUZZ_CALLS=<n>  calls of each fuzzer run (default 100000)
#   SEEDS="1 2"     seeds of the fuzzer
# Prints what failed and at last "N passed, N failed"; 0 when nothing failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../zig-out/tests
kernel=${1:-$here/../zig-out/kernel/ukernel-full.elf}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

# The same image serves every run: the mode comes by the configuration.
for program in stress fuzz; do
    "$tools/pack" "$work/$program" "$kernel" "$tools/$program" "name $program" "arg $program" \
        "capability log" "capability time" "capability task" "capability mem:exec-write" "capability io" "capability ipc" "capability net" "capability trace"
done

truncate -s 1M "$work/disk"

# try <name> <program> <vcpus> <MiB> <seconds> <pattern of the last line> <pattern of the console> <argument>...
try() {
    name=$1 program=$2 vcpus=$3 memory=$4 seconds=$5 ending=$6 console=$7
    shift 7
    { echo "ukernel-config 1"; for argument in "$@"; do echo "arg $argument"; done; } > "$work/configuration"
    result=0
    CONFIG=$work/configuration DISK=$work/disk "$here/boot.sh" "$work/$program" "$vcpus" "$memory" "$seconds" > "$work/log" 2>&1 || result=$?
    if [ $result = 0 ] && tail -n 1 "$work/log" | grep -Eq "$ending" && grep -Eq "$console" "$work/log"; then
        passed=$((passed + 1))
        echo "ok   $name, $vcpus processors: $(grep -E "$console" "$work/log" | head -n 1)"
    else
        failed=$((failed + 1))
        echo "FAIL $name, $vcpus processors (boot.sh gave $result; wanted $ending and $console):"
        tail -n 30 "$work/log"
    fi
}

for vcpus in 1 2 4; do
    try jump stress $vcpus 64 60 '^exit 0 0 ' '^ok ' jump 20000
    try reserve stress $vcpus 32 60 '^exit 0 0 ' ' passed, 0 failed' reserve
    try spinners stress $vcpus 64 60 '^exit 0 0 ' '% of their time' spinners
    # By counted instructions, so that the bounds hold however busy the host is.
    export COUNTED=1
    try fair stress $vcpus 64 120 '^exit 0 0 ' ' passed, 0 failed' fair
    unset COUNTED
    try registers stress $vcpus 64 60 '^exit 0 0 ' 'rounds, ' registers
    try signals stress $vcpus 64 60 '^exit 0 0 ' '^ok ' signals 3000
    try disk stress $vcpus 64 60 '^exit 0 0 ' 'tasks read ' disk 500
    try wake stress $vcpus 64 120 '^exit 0 0 ' '^ok ' wake "${WAKES:-5000}"
done
export COUNTED=1
try poll stress 1 64 60 '^exit 0 0 ' 'there and back' poll
unset COUNTED
for seed in ${SEEDS:-1 2}; do
    for vcpus in 1 4; do
        try "fuzz, seed $seed" fuzz $vcpus 128 600 '^exit 0 0 ' 'kinds of outcome' "$seed" "${FUZZ_CALLS:-100000}"
    done
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
