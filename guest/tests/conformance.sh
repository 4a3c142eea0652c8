#!/bin/sh
# The ABI conformance suite inside the guest, with 1, 2 and 4 processors: conformance.sh [kernel.elf] [vcpus...]
# Prints each run's failures and "N passed, N failed"; 0 when nothing failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools=$here/../zig-out/tests
kernel=${1:-$here/../zig-out/kernel/ukernel-full.elf}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- 1 2 4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

mkdir -p "$work/data"
awk 'BEGIN { for (i = 0; i < 1000; i++) print "0123456789" }' > "$work/text"
: > "$work/empty"
echo link > "$work/byte"
pairs="data/text=$work/text bad/inode=$work/byte bad/chunks=$work/byte bad/directory/entry=$work/byte"
i=0
while [ $i -lt 300 ]; do
    pairs="$pairs data/many/name-$i=$work/empty"
    i=$((i + 1))
done
# $pairs is a list of words.
# shellcheck disable=SC2086
"$tools/pack" "$work/image" "$kernel" "$tools/conformance" \
    "name conformance" "arg conformance" "env SUITE=conformance" \
    "capability log" "capability time" "capability task" "capability mem:exec-write" "capability io" "capability ipc" "capability net" "capability trace" \
    -- $pairs data/link:text data/loop:loop bad/inode! bad/directory! bad/chunks!
{
    echo "ukernel-config 1"
    for word in wall names block input corrupt; do echo "arg $word"; done
    echo "wall_ns 1790000000000000000"
    echo "nameserver 10.0.0.53"
    echo "seed 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f"
} > "$work/configuration"

failed=0
for vcpus in "$@"; do
    truncate -s 0 "$work/disk"
    truncate -s 1M "$work/disk"
    if [ "$vcpus" = 1 ]; then
        # Without a configuration and devices: what is not provided says so.
        OUT=$work/out "$here/boot.sh" "$work/image" 1 192 240 > "$work/log" || echo "boot failed" >> "$work/log"
    else
        OUT=$work/out CONFIG=$work/configuration DISK=$work/disk REPLIES=1 \
            "$here/boot.sh" "$work/image" "$vcpus" 192 240 > "$work/log" || echo "boot failed" >> "$work/log"
    fi
    grep -E '^(FAIL|not provoked|ukernel:|panic|TIMEOUT|boot failed|  )' "$work/log" || true
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$work/log" || echo "no result line")
    echo "conformance, $vcpus processors: $line"
    case "$line" in *" passed, 0 failed"*) tail -n 1 "$work/log" | grep -q '^exit 0 0 ' || { tail -n 3 "$work/log"; failed=1; } ;; *) tail -n 12 "$work/log"; failed=1 ;; esac
done
exit $failed
