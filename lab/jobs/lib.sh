# Sourced by the lab's jobs: checks that are counted over the host's boots, and what is done in most of them.
# shellcheck shell=sh disable=SC2034

state=/var/lib/lab
checkout=/lab/checkout
prefix=/opt/metacircular
mcp="$prefix/bin/mcp --timeout 600"

say() { printf '%s s: %s\n' "$(cut -d. -f1 /proc/uptime)" "$*"; }

# check NAME COMMAND …: runs it and tells whether it succeeded, with its last lines where not.
check() {
  name=$1
  shift
  if "$@" >/tmp/check.out 2>&1; then
    say "ok: $name"
    echo ok >>$state/results
  else
    say "FAILED: $name (status $?)"
    tail -n 15 /tmp/check.out | sed 's/^/    /'
    echo failed >>$state/results
  fi
}

# wait_for SECONDS COMMAND …: until it succeeds; every second lasts, in an emulated host, as long as it likes.
wait_for() {
  until=$(($(cut -d. -f1 /proc/uptime) + $1))
  shift
  until "$@"; do
    [ "$(cut -d. -f1 /proc/uptime)" -lt "$until" ] || return 1
    sleep 1
  done
}

# A look at the kernel's table costs nothing; a client that asks too early takes the processor from what it waits for.
listens() { ss -Hltn "sport = :$1" | grep -q .; }

# Goes on in the next boot.
lab_reboot() {
  touch /run/lab-reboot
  exit 0
}

# Nothing is written any more, nobody is told; the next boot follows.
power_cut() {
  sync
  if [ -e /lab/native ]; then touch /lab/power-cut; else echo b >/proc/sysrq-trigger; fi
  sleep 60
}

# Whether the kernel's control groups of version 2 have memory and processors to limit.
has_limits() { [ "$(grep -owE 'memory|cpu' /sys/fs/cgroup/cgroup.controllers | sort -u | wc -l)" = 2 ]; }

# Ends the job: 0 when every check of every boot succeeded.
lab_end() {
  passed=$(grep -c '^ok$' $state/results)
  failed=$(grep -c '^failed$' $state/results)
  say "$passed checks passed, $failed failed"
  [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
  exit
}

# as USER COMMAND …: in the user's environment as after a login, without a terminal.
as() {
  as_uid=$(id -u "$1")
  as_user=$1
  shift
  (cd / && exec setpriv --reuid "$as_uid" --regid "$(id -g "$as_user")" --init-groups --inh-caps=-all -- env -i \
    HOME="$(getent passwd "$as_user" | cut -d: -f6)" USER="$as_user" LOGNAME="$as_user" PATH="$PATH" \
    XDG_RUNTIME_DIR="/run/user/$as_uid" DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$as_uid/bus" "$@")
}

# A container image of busybox in the user's podman.
import_busybox() {
  tar -C / -c --transform 's,.*busybox,bin/busybox,' "$(readlink -f /bin/busybox)" | as "$1" podman import - localhost/lab:v1
}

# container USER NAME FORMAT: one fact of a container, by its name.
container() { as "$1" podman inspect --type container --format "$3" "$2"; }

# limits_hold USER CONTAINER: whether the kernel holds it to 64 MiB and half a processor.
limits_hold() {
  pid=$(container "$1" "$2" '{{.State.Pid}}')
  group=/sys/fs/cgroup$(cut -d: -f3- "/proc/$pid/cgroup")
  # What limits may be the group itself or the one that the runtime made around it.
  memory=$(cat "$group/memory.max") cpu=$(cat "$group/cpu.max")
  [ "$memory" != max ] || memory=$(cat "$group/../memory.max")
  [ "${cpu%% *}" != max ] || cpu=$(cat "$group/../cpu.max")
  echo "memory.max $memory, cpu.max $cpu"
  [ "$memory" = 67108864 ] && [ "$cpu" = "50000 100000" ]
}
