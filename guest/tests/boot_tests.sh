#!/bin/sh
# Boots every named kernel with 1, 2 and 4 virtual CPUs, and every way a workload can go wrong: boot_tests.sh
# Prints a line for each failure and at last "N passed, N failed"; 0 when nothing failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../zig-out/tests
kernels=$here/../zig-out/kernel
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0

pack() { # image kernel workload line...
    image=$1 kernel=$2 workload=$3
    shift 3
    "$tools/pack" "$work/$image" "$kernels/ukernel-$kernel.elf" "$tools/$workload" "name $workload" "arg $workload" \
        "capability log" "capability time" "capability task" "capability mem:exec-write" "capability io" "$@"
}

expect() { # what status-line-pattern text image vcpus memory seconds
    what=$1 end=$2 text=$3
    shift 3
    "$here/boot.sh" "$work/$1" "$2" "$3" "$4" > "$work/log" 2>&1 || true
    last=$(tail -n 1 "$work/log")
    if expr "$last" : "$end" > /dev/null && grep -q -- "$text" "$work/log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL $what: wanted '$end' and '$text'"
        sed 's/^/    /' "$work/log" | tail -n 20
    fi
}

for kernel in minimal net full; do
    pack hello "$kernel" hello "env STATUS=42"
    for vcpus in 1 2 4; do
        expect "hello on $kernel, $vcpus processors" 'exit 42 ' 'hello from hello' hello $vcpus 64 30
    done
done
pack pie minimal hello-pie
expect 'a position-independent program' 'exit 0 0 ' 'hello from hello-pie' pie 1 16 30
pack zig minimal hello-zig
expect 'a program in Zig' 'exit 0 0 ' 'hello from hello-zig' zig 1 16 30
pack library full library "arg two words" "env KEY=value=1"
for vcpus in 1 2; do expect "the C library, $vcpus processors" 'exit 0 0 ' ' passed, 0 failed' library $vcpus 64 30; done
pack waiting net waiting "capability ipc" "capability net"
pack waiting-zig net waiting-zig "capability ipc" "capability net"
for vcpus in 1 4; do
    expect "channels, poll sets and sockets from C, $vcpus processors" 'exit 0 0 ' ' passed, 0 failed' waiting $vcpus 64 60
    expect "channels, poll sets and sockets from Zig, $vcpus processors" 'exit 0 0 ' 'all good' waiting-zig $vcpus 64 60
done
expect 'hello in 2 MiB' 'exit 42 ' 'hello from hello' hello 1 2 30

crash() { # way status text
    pack crash full crash "arg $1"
    expect "$1" "exit $2 3 " "$3" crash 2 16 30
}
crash null_pointer 139 'write of 8 at .*: null pointer'
crash stack_overflow 139 'a stack overflow'
crash foreign_call 159 'syscall at .* with rax 39: not a call'
crash gate_copy 159 'syscall at .* with rax 0: not a call'
crash gate_pages_copy 159 'syscall at .* with rax 10: not a call'
crash execute_data 139 'execution of .*the mapping does not allow it'
crash int80 159 'int 0x80 at .* with rax 20: not a call'
crash sysenter 159 'sysenter at .* with rax 20: not a call'
crash write_text 139 'the mapping does not allow it'
crash write_kernel 139 "write of ffffffff80101000 at .*: not the workload's memory"
crash read_direct_map 139 "read of ffff800000100000 at .*: not the workload's memory"
crash privileged 139 'privileged instruction'
crash port 139 'privileged instruction'
crash divide 136 'division error'
crash far_jump 139 'outside the address range'
crash illegal 132 'illegal instruction'
crash single_step 133 'single step'
crash lost_stack 139 'nothing is mapped there'
crash all_memory 139 'no memory left for the page'

pack little minimal crash "arg null_pointer"
expect 'a crash on the minimal kernel' 'exit 139 3 ' 'write of 8 at .*: null pointer' little 1 16 30

pack spin full crash "arg spin"
STOP_AFTER=3 expect 'a spinning workload is stopped' 'exit 143 2 ' 'crash: spin' spin 2 16 30

# The program that the host's tests of runtimes use.
workload() { # name status-line-pattern text
    pack workload full workloads "arg $1" "env GREETING=hello=world" "env PASSWORD=s3cret"
    expect "the workload $1" "$2" "$3" workload 1 32 30
}
printf 'content\nmore' > "$work/disk"
truncate -s 1048576 "$work/disk"
workload fails 'exit 3 0 ' '^boom'
workload long_line 'exit 0 0 ' '^end'
tr -d '\r' < "$work/log" > "$work/lines"
if awk 'length == 40000 && !/[^x]/ { whole++ } END { exit whole != 1 }' "$work/lines"; then passed=$((passed + 1)); else
    failed=$((failed + 1))
    echo "FAIL the workload long_line: its line of 40,000 is not whole"
fi
workload panic 'exit 139 3 ' 'writing to nowhere'
STOP_AFTER=1 workload runs 'exit 0 0 ' ''
STOP_AFTER=1 workload flood 'exit 143 2 ' '^flood 00000000000000000020 '
DISK=$work/disk STOP_AFTER=1 workload reports 'exit 0 0 ' '^greeting=hello=world secret=s3cret file=content user=0'
DISK=$work/disk STOP_AFTER=2 workload fill 'exit 0 0 ' '^fill: wrote 1048576 of 1048576 bytes'

pack unread full crash "arg stop_unread"
STOP_AFTER=3 expect 'a stop request that is not read ends the VM with its last listener' 'exit 143 2 ' 'crash: stop_unread' unread 1 16 30

APPEND=ukernel.selftest=1 expect 'a kernel panic' 'exit 125 4 asked for by' '  by ffffffff80' hello 2 32 30
APPEND=ukernel.selftest=2 expect 'a fault in the kernel' 'exit 125 4 exception in the kernel' 'cr2 ffffd00000000000' hello 2 32 30

echo "$passed passed, $failed failed"
[ $failed = 0 ]
