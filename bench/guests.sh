# Sourced by bench/boot, bench/abi, bench/net and bench/firecracker, after scripts/common.sh: the machine that all guests run on, Debian's Linux kernel, the small programs.
# shellcheck shell=bash disable=SC2034,SC2154

# As host/vm starts it.
machine=(-accel "tcg,thread=multi" -cpu max -smp 1 -nodefaults -no-user-config -display none -no-reboot -global "virtio-mmio.force-legacy=false" -serial stdio)
microvm=microvm,acpi=off,x-option-roms=off,rtc=off,isa-serial=on
# Debian's kernel hangs on a machine that has neither.
microvm_ours=$microvm,pit=off,pic=off
microvm_linux=$microvm,pit=on,pic=on
# It finds virtio-mmio devices by ACPI alone, and with that no timer to measure the time stamp counter by.
microvm_linux_net=microvm,acpi=on,rtc=off,isa-serial=on,pit=on,pic=on
tsc_khz=$(awk '/^cpu MHz/ { printf "%d", $4 * 1000; exit }' /proc/cpuinfo)
qemu_binary=qemu-system-x86_64
linux_seconds=120

# disk SLOT FILE on|off: a block device; the last is whether it is read-only.
disk() { printf -- '-drive if=none,id=disk%s,format=raw,readonly=%s,file=%s -device virtio-blk-device,drive=disk%s,bus=virtio-mmio-bus.%s' "$1" "$3" "$2" "$1" "$1"; }

# Sets linux to Debian's cloud kernel and linux_modules to a folder with its virtio network modules, unpacked from its package and not installed;
# kept for the next run. Fails with the reason in linux_missing.
find_linux() {
  local package cache="$out/linux-guest"
  linux="$cache/vmlinuz" linux_modules="$cache/modules" linux_missing=
  linux_package=$(cat "$cache/package" 2>/dev/null) && [ -s "$linux" ] && [ -s "$linux_modules/virtio_net.ko" ] && return 0
  mkdir -p "$linux_modules"
  package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
  [ -n "$package" ] || { linux_missing="Debian's package sources have no linux-image-cloud-amd64 (apt-get update may help)"; return 1; }
  (cd "$cache" && timeout 300 apt-get download -q "$package" >"$out/apt.log" 2>&1 && dpkg-deb -x "$package"_*.deb tree && mv tree/boot/vmlinuz-* vmlinuz &&
    find tree \( -name virtio.ko -o -name virtio_ring.ko -o -name virtio_mmio.ko -o -name '*failover.ko' -o -name virtio_net.ko \) -exec mv {} modules/ \; &&
    [ -s modules/virtio_net.ko ]) ||
    { linux_missing="cannot download $package, or it has no virtio_net.ko (see build-output/apt.log)"; rm -rf "$cache"; return 1; }
  rm -rf "$cache/tree" "$cache"/*.deb
  printf '%s' "$package" >"$cache/package"
  linux_package=$package
}

# compile SOURCE PROGRAM: a static program for Linux.
compile() { "$zig" cc -target x86_64-linux-musl -static -O2 -std=gnu17 -Wall -Wextra -Werror -D_GNU_SOURCE -s -o "$2" "$1"; }

# initramfs PROGRAM FILE [MORE…]: one whose process 1 is the program, with more files beside it.
initramfs() {
  local tree file=$2
  tree=$(mktemp -d "$work/tree.XXXXXX")
  cp "$1" "$tree/init"
  shift 2
  [ $# = 0 ] || cp "$@" "$tree/"
  (cd "$tree" && find . -type f | sed 's,^./,,' | cpio -o -H newc -R 0:0 --quiet) >"$file"
}

# pack_project FOLDER IMAGE
pack_project() { (cd "$1" && timeout 300 "$root/bin/ukernel" pack --image "$2") >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "$1 cannot be packed" "look at the lines above"; }; }

# The median of the numbers on standard input, one a line; nothing when there are none.
median() { sort -n | awk '{ n[NR] = $1 } END { if (NR) print NR % 2 ? n[(NR + 1) / 2] : (n[NR / 2] + n[NR / 2 + 1]) / 2 }'; }

load_now() { say "load $(cut -d' ' -f1-3 /proc/loadavg) on $(nproc) processors, $("$qemu_binary" --version | sed -n 's/^QEMU emulator version \([^ ]*\).*/QEMU \1/p'), software emulation, $(date -u +%Y-%m-%d)"; }
