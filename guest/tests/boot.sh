#!/bin/sh
# Boots one packed image and says how it ended: boot.sh <image> <vcpus> <memory MiB> <seconds>
#   OUT=<prefix>    writes <prefix>.console and <prefix>.channel (default: a folder of its own that is removed)
#   CONFIG=<file>   run-time configuration, passed as the initrd
#   DISK=<file>     a block device for the workload
#   NET=<back end> a network device on that back end of QEMU's -netdev
#   REPLIES=1       answers the workload: "READY 1" by a line of input, "READY 2" by the host's stop request
#   STOP_FILE=<file> asks for an orderly stop when the file is there, and removes it
#   STOP_AFTER=<s>  asks for an orderly stop after that time
#   APPEND=<words> kernel command line
#   KERNEL=<file>   boots that kernel rather than the one in the image
#   SLOTS=<n>       slots of the channel; default 4096
#   SLOW=<bytes>    what the channel takes in a second at most
#   RECORDS=1       prints every record of the channel, not only the last
#   ACCEL=<accel>   default tcg,thread=multi
#   COUNTED=1       the VM's clock counts the instructions it executes (16 ns each): what a busy host does to it can not be seen inside
# Prints the console and then "exit <status> <cause> <text>" of the channel; 0 when the VM ended by itself in time with a sound channel.
set -eu
image=$1 vcpus=$2 memory=$3 seconds=$4
tools=$(dirname "$0")/../zig-out/tests
work=$(mktemp -d)
qemu=
cleanup() {
    [ -z "$qemu" ] || kill -9 "$qemu" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
out=${OUT:-$work/out}
"$tools/channel" make "$out.channel" "${SLOTS:-4096}"
: > "$out.console"
mkfifo "$work/input"
if [ "${COUNTED:-}" = 1 ]; then set -- -accel tcg,thread=single -icount shift=4,sleep=off; else set -- -accel "${ACCEL:-tcg,thread=multi}"; fi
set -- "$@" -cpu max -smp "$vcpus" -m "$memory" \
    -M microvm,acpi=off,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=on \
    -global virtio-mmio.force-legacy=false -nodefaults -no-user-config -display none -no-reboot \
    -kernel "${KERNEL:-$image}" -serial stdio \
    -drive "file=$image,format=raw,if=none,id=root,readonly=on" -device virtio-blk-device,drive=root,bus=virtio-mmio-bus.0 \
    -drive "file=$out.channel,format=raw,if=none,id=channel${SLOW:+,throttling.bps-write=$SLOW}" -device virtio-blk-device,drive=channel,bus=virtio-mmio-bus.1
[ -z "${DISK:-}" ] || set -- "$@" -drive "file=$DISK,format=raw,if=none,id=disk" -device virtio-blk-device,drive=disk,bus=virtio-mmio-bus.2
[ -z "${NET:-}" ] || set -- "$@" -netdev "$NET,id=net" -device virtio-net-device,netdev=net,bus=virtio-mmio-bus.3
[ -z "${APPEND:-}" ] || set -- "$@" -append "$APPEND"
[ -z "${CONFIG:-}" ] || set -- "$@" -initrd "$CONFIG"
qemu-system-x86_64 "$@" < "$work/input" > "$out.console" 2> "$work/errors" &
qemu=$!
exec 3> "$work/input"
stop() { printf '\033_ukernel:stop\033\\' >&3; }

replied=0 ticks=0
while kill -0 "$qemu" 2>/dev/null; do
    sleep 0.1
    ticks=$((ticks + 1))
    if [ "${REPLIES:-}" = 1 ]; then
        if [ $replied = 0 ] && grep -q 'READY 1' "$out.console"; then printf 'input\n' >&3; replied=1; fi
        if [ $replied = 1 ] && grep -q 'READY 2' "$out.console"; then stop; replied=2; fi
    fi
    [ "$ticks" != "$((${STOP_AFTER:-100000} * 10))" ] || stop
    if [ -n "${STOP_FILE:-}" ] && [ -e "$STOP_FILE" ]; then
        rm "$STOP_FILE"
        stop
    fi
    if [ "$ticks" -ge $((seconds * 10)) ]; then
        cat "$out.console"
        echo "TIMEOUT after $seconds s"
        exit 3
    fi
done
status=0
wait "$qemu" || status=$?
qemu=
cat "$out.console" "$work/errors"
[ "$status" = 0 ] || echo "qemu ended with $status"
if "$tools/channel" read "$out.channel" > "$work/records"; then good=0; else good=1; fi
if [ "${RECORDS:-}" = 1 ]; then cat "$work/records"; else tail -n 1 "$work/records"; fi
exit $good
