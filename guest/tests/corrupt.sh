#!/bin/sh
# Boots images with one damaged byte of metadata: each ends in time, with a clear refusal, a fault of the workload that names the image, or
# as if nothing were wrong; never with a kernel panic. corrupt.sh [kernel.elf]
#   SAMPLES=<n>  how many (default 24)
# Prints at last "N passed, N failed"; 0 when nothing failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../zig-out/tests
kernel=${1:-$here/../zig-out/kernel/ukernel-full.elf}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
passed=0 failed=0 refused=0 unharmed=0
"$tools/pack" "$work/image" "$kernel" "$tools/hello" "name hello" "arg hello" "capability io" "capability mem"
seed=1
while [ $seed -le "${SAMPLES:-24}" ]; do
    damage=$("$tools/mutate" "$work/image" "$work/damaged" $seed)
    result=0
    "$here/boot.sh" "$work/damaged" $((seed % 2 + 1)) 32 20 > "$work/log" 2>&1 || result=$?
    last=$(tail -n 1 "$work/log")
    case "$result $last" in
        "0 exit 0 0 "*) unharmed=$((unharmed + 1)) good=1 ;;
        "0 exit 126 4 "?*) refused=$((refused + 1)) good=1 ;;
        "0 exit 139 3 "*"the image is corrupt there") refused=$((refused + 1)) good=1 ;;
        # Damage that makes another program of it: it ends as programs do, and says how.
        "0 exit "*" 3 "?*) refused=$((refused + 1)) good=1 ;;
        *) good=0 ;;
    esac
    ! grep -q 'ukernel: panic' "$work/log" || good=0
    if [ $good = 1 ]; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL seed $seed, $damage:"
        tail -n 20 "$work/log"
    fi
    seed=$((seed + 1))
done
echo "$refused refused, $unharmed not harmed by it"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
