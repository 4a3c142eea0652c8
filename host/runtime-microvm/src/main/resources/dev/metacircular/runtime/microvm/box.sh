# Runs one microVM as the only program of a container. The guest takes over the container's address: one IP, one name, all ports.
# Needs sh, iproute2, util-linux and coreutils; NET_ADMIN for the network and SETPCAP to give both up before the VMM.
#
# usage: sh /box.sh VMM [ARGUMENT...]    In an argument @mac@ stands for the guest's link address.
#
# What a guest with our own kernel needs stands here; a /nanos.sh says what is otherwise with Nanos.
#
# Read: /config (the run-time configuration so far as it was known before the start), /channel (an empty channel), /vmm.json (a
# configuration file of the VMM's, where it has one). Written in /vm: channel, network, vmm.json, and the pipes serial.in
# and console.
# The console goes to standard output. Exit status: 0 the guest ended, how stands in the channel; 125 there is no VM, why stands on
# standard error; above 128 a signal ended the VMM.
set -u
umask 077
ulimit -c 0
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C

fail() {
  echo "microVM: $*" >&2
  exit 125
}

# As process 1 of its namespace this shell is not ended by a signal that it has no trap for.
stop_asked=
vmm=
stop() {
  stop_asked=1
  [ -n "$vmm" ] || exit 143
  ask_to_stop
}
trap stop TERM

ask_to_stop() {
  printf '\033_ukernel:stop\033\\' >&3
}

# Sets address (A.B.C.D/LENGTH), mac and gateway (or nothing) from eth0. A namespace that podman has not cleaned up since the last run
# has no address to be found any more, for the guest had it.
find_address() {
  set -- $(ip -4 -o addr show dev eth0 2>&1)
  address=${4-}
  case $address in
    *.*.*.*/*)
      mac=$(cat /sys/class/net/eth0/address) || fail "the container's eth0 has no link address"
      set -- $(ip -4 route show default)
      gateway=
      [ "${2-}" != via ] || gateway=$3
      echo "$address $mac $gateway" > network || fail "it cannot write to its state directory"
      ;;
    *)
      [ -d /sys/class/net/vm0 ] || fail "the container's eth0 has no IPv4 address: ${*:-ip says nothing}"
      read -r address mac gateway < network || fail "it does not know the container's address any more"
      ;;
  esac
}

# The guest gets eth0's link address too, which its neighbours may know already; eth0 gets another. Programs in this namespace, such as
# who forwards published ports, reach the guest from an address that nobody else on the network has, and that the guest takes for on link.
take_over() {
  case $mac in
    02:*) own=06:${mac#*:} ;;
    *) own=02:${mac#*:} ;;
  esac
  ip=${address%/*}
  near=$(near_address)
  for left in vm0 tap0; do
    [ ! -d "/sys/class/net/$left" ] || ip link del "$left" || return
  done
  ip -batch - <<EOF
link add vm0 type bridge
addr flush dev eth0
link set dev eth0 address $own
link set dev eth0 master vm0
tuntap add tap0 mode tap user 0
link set dev tap0 master vm0 up
addr add $near/32 dev vm0
link set dev vm0 up
route add $ip/32 dev vm0 src $near
EOF
}

# For our kernel a link-local one.
near_address() {
  echo "169.254.${ip#*.*.}"
}

# The run-time configuration: what was prepared, and what only the start knows.
configuration() {
  cat /config || return
  echo "wall_ns $(date +%s%N)"
  echo "seed $(od -v -An -tx1 -N32 /dev/urandom | tr -d ' \n')"
  echo "address $address${gateway:+ $gateway}"
  names
}

# The lines of resolv.conf that the guest gets.
names() {
  # Of what resolv.conf may say as much as a guest takes: three IPv4 servers and one domain. It refuses to start with more.
  servers=0 search=
  while read -r key value _ || [ -n "$key" ]; do
    case $key:$value in
      nameserver:*[!0-9.]* | search:*[!A-Za-z0-9._-]* | search:.* | search:*. | search:*..*) ;;
      nameserver:*.*.*.*)
        [ "$servers" = 3 ] || echo "nameserver $value"
        [ "$servers" = 3 ] || servers=$((servers + 1))
        ;;
      search:?*) search=${search:-$value} ;;
    esac
  done < /etc/resolv.conf
  [ -z "$search" ] || echo "search $search"
}

# Files of the guest's that are made anew at each start.
prepare() {
  cp --sparse=always /channel channel.new && mv channel.new channel || fail "it cannot make its channel"

  # From here on nobody can open it by a name, for it may hold secrets.
  configuration > initrd || fail "it cannot write its configuration"
  exec 4< initrd
  rm -f initrd
}

# How the guest ended stands in its channel, whatever the VMM's status is.
judge() { :; }

[ ! -f /nanos.sh ] || . /nanos.sh

# Becomes the program, for good without what this shell may do.
unprivileged() {
  exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"
}

for program in ip setpriv mkfifo od stdbuf "$1"; do
  command -v "$program" > /dev/null || fail "there is no $program on the node"
done
[ -c /dev/net/tun ] || fail "the node gives no /dev/net/tun; as root: modprobe tun"
cd /vm || fail "its state directory is not there"
rm -f serial.in console channel.new initrd vmm.json control.sock

find_address
reason=$(take_over 2>&1) || fail "it cannot take over the container's network:" $reason

mkfifo serial.in console || fail "it cannot make the pipes of its console"
exec 3<> serial.in
prepare

if [ -f /vmm.json ]; then
  sed "s/@mac@/$mac/g" /vmm.json > vmm.json || fail "it cannot write the VMM's configuration"
fi
for word in "$@"; do
  shift
  case $word in
    *@mac@*) word=${word%%@mac@*}$mac${word#*@mac@} ;;
  esac
  set -- "$@" "$word"
done

# The VMM writes byte by byte, and of a line that its reader gets in parts podman does not always tell all: whole lines go on, or what of
# one fills a buffer. A serial line ends its lines as a terminal wants it; a log does not.
unprivileged stdbuf -oL tr -d '\r' < console 3>&- 4<&- &
lines=$!
unprivileged "$@" <&3 > console 3>&- &
vmm=$!
exec 4<&-

# A signal cuts the waiting short; what it then says is not the VMM's status.
status=127
while :; do
  stop_asked=
  wait "$vmm"
  last=$?
  [ "$last" = 127 ] && break
  status=$last
  [ -n "$stop_asked" ] || break
done
while kill -0 "$lines" 2> /dev/null; do wait "$lines"; done

judge
rm -f serial.in console control.sock vmm.json
[ "$status" != 0 ] || exit 0
echo "microVM: the VMM ended with status $status" >&2
[ "$status" -gt 128 ] || status=125
exit "$status"
