# What box.sh does otherwise where the guest has Nanos. Needs head and timeout besides (coreutils).
#
# Read: /vm/image, which is this VM's alone; /places, at which bytes of it address, mask and gateway stand, and its /etc/resolv.conf begins, which
# has 4,096. Written in /vm: the image there, and exit, the program's exit status; while it runs the pipes monitor.in and monitor.out.

# To Nanos on link is what its mask says: it gets one that is a bit shorter than its network's, and this is its own address but for that bit.
near_address() {
  near=$(($(number "$ip") ^ 1 << (32 - ${address#*/})))
  echo "$((near >> 24)).$((near >> 16 & 255)).$((near >> 8 & 255)).$((near & 255))"
}

# Nanos takes no command line from QEMU: what only the start knows is put into its image. QEMU's file for what the guest writes has no name and
# lies in /vm too.
prepare() {
  TMPDIR=/vm
  export TMPDIR
  rm -f exit exit.new monitor.in monitor.out qemu.pid
  read -r address_at mask_at gateway_at resolver_at < /places || fail "it does not know its image"
  length=${address#*/}
  {
    number "${address%/*}" | put "$address_at" \
      && printf '0x%08x' $((0xffffffff << (33 - length) & 0xffffffff)) | put "$mask_at" \
      && number "${gateway:-0.0.0.0}" | put "$gateway_at" \
      && names > resolv.conf \
      && { cat resolv.conf && yes ''; } 2> /dev/null | head -c 4096 | put "$resolver_at"
  } || fail "it cannot write its network into its image"
  mkfifo monitor.in monitor.out || fail "it cannot make the pipes of QEMU's monitor"
  exec 5<> monitor.in 6<> monitor.out
}

# usage: put AT    Writes standard input, at most 4,096 bytes, over those of the image from AT on.
put() {
  dd of=image bs=4096 count=1 iflag=fullblock oflag=seek_bytes seek="$1" conv=notrunc 2> /dev/null
}

# usage: number ADDRESS    An address as one number of a fixed length.
number() (
  IFS=.
  # shellcheck disable=SC2086
  printf '0x%02x%02x%02x%02x' $1
)

# The power button.
ask_to_stop() {
  echo system_powerdown >&5
}

# QEMU's status is twice the program's and one, where it has run a guest and ended by itself.
judge() {
  timeout 1 head -c 1 <&6 > greeting 2> /dev/null
  if [ -s greeting ] && [ ! -e qemu.pid ]; then
    [ "$status" = 0 ] || [ $((status % 2)) = 0 ] || {
      echo $((status / 2)) > exit.new && mv exit.new exit && status=0
    }
    [ "$status" != 0 ] || [ -e exit ] || echo "microVM: the guest ended without an exit status" >&2
  fi
  rm -f greeting monitor.in monitor.out qemu.pid resolv.conf
}
