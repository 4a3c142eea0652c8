#!/bin/sh
# Makes the images that the reader's unit tests read: make-test-images.sh <output folder>
# The content is fixed; erofs_test.zig states what it expects of it.
set -eu
out=$1
command -v mkfs.erofs >/dev/null || { echo "mkfs.erofs is missing: install erofs-utils" >&2; exit 1; }
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
fill() { # file bytes: a pattern in which every 16-byte line is different
    awk -v n="$2" 'BEGIN { for (i = 0; i * 16 < n; i++) printf "%015d\n", i }' | head -c "$2" > "$1"
}
mkdir -p "$out" "$tree/small/sub/deeper" "$tree/large/many"
cd "$tree/small"
for bytes in 0 1 4095 4096 4097 9000; do fill "size-$bytes" $bytes; done
ln size-4097 sub/hard
ln -s ../size-1 sub/relative
ln -s /sub/deeper absolute
ln -s loop-b loop-a
ln -s loop-a loop-b
ln -s missing dangling
ln -s size-1 chain-1
i=2; while [ $i -le 18 ]; do ln -s chain-$((i - 1)) chain-$i; i=$((i + 1)); done
fill sub/deeper/leaf 20
mkdir empty
mkfifo pipe
chmod 4755 size-1

cd "$tree/large"
i=0; while [ $i -lt 1500 ]; do : > "many/$(printf 'name-%04d' $i)"; i=$((i + 1)); done
: > "many/$(printf 'n%.0s' $(seq 200))"
fill holes 8192
truncate -s 1048576 holes
fill tail 4096
dd if=tail of=holes bs=4096 seek=200 conv=notrunc 2>/dev/null
rm tail

options="-T0 -U 00000000-0000-0000-0000-000000000000 --all-root -x-1"
mkfs.erofs $options "$out/small.erofs" "$tree/small" >/dev/null
mkfs.erofs $options -Enoinline_data "$out/plain.erofs" "$tree/small" >/dev/null
mkfs.erofs $options -Eforce-inode-extended "$out/extended.erofs" "$tree/small" >/dev/null
mkfs.erofs $options --chunksize=4096 "$out/large.erofs" "$tree/large" >/dev/null 2>&1
